/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S_SECOND RP_LOG_LIMIT_INTERVAL_US

/*  Any start will do: the clock's zero has no meaning.  */
static const int64_t s_start = 5000000000;

static unsigned s_passing (rp_log_limit_t *limit, int64_t now, unsigned lines)
{
    unsigned passed = 0;
    for (unsigned line = 0; line < lines; line++) {
        uint64_t held_back;
        passed += rp_log_limit_pass (limit, now, &held_back);
    }
    return passed;
}

static void s_a_burst_passes_and_no_more (void **state)
{
    (void) state;
    rp_log_limit_t limit = {0};
    assert_int_equal (s_passing (&limit, s_start, 1000), RP_LOG_LIMIT_BURST);
}

static void s_after_a_burst_one_line_passes_per_interval (void **state)
{
    (void) state;
    rp_log_limit_t limit = {0};
    s_passing (&limit, s_start, 1000);
    assert_int_equal (s_passing (&limit, s_start + S_SECOND - 1, 10), 0);
    assert_int_equal (s_passing (&limit, s_start + S_SECOND, 10), 1);
    assert_int_equal (s_passing (&limit, s_start + 3 * S_SECOND, 10), 2);
}

static void s_a_steady_flood_passes_at_the_rate (void **state)
{
    (void) state;
    rp_log_limit_t limit = {0};
    unsigned passed = 0;
    for (int64_t at = 0; at < 100 * S_SECOND; at += 1000)
        passed += s_passing (&limit, s_start + at, 1);
    assert_in_range (passed, RP_LOG_LIMIT_BURST + 98, RP_LOG_LIMIT_BURST + 100);
}

static void s_the_next_line_says_how_many_were_held_back (void **state)
{
    (void) state;
    rp_log_limit_t limit = {0};
    uint64_t held_back = 99;
    assert_true (rp_log_limit_pass (&limit, s_start, &held_back));
    assert_int_equal (held_back, 0);
    s_passing (&limit, s_start, RP_LOG_LIMIT_BURST + 6);
    assert_true (rp_log_limit_pass (&limit, s_start + S_SECOND, &held_back));
    assert_int_equal (held_back, 7);
    assert_true (rp_log_limit_pass (&limit, s_start + 2 * S_SECOND, &held_back));
    assert_int_equal (held_back, 0);
}

static void s_quiet_restores_the_burst_and_never_more (void **state)
{
    (void) state;
    rp_log_limit_t limit = {0};
    s_passing (&limit, s_start, 1000);
    assert_int_equal (s_passing (&limit, s_start + 1000 * S_SECOND, 1000), RP_LOG_LIMIT_BURST);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_burst_passes_and_no_more),
      cmocka_unit_test (s_after_a_burst_one_line_passes_per_interval),
      cmocka_unit_test (s_a_steady_flood_passes_at_the_rate),
      cmocka_unit_test (s_the_next_line_says_how_many_were_held_back),
      cmocka_unit_test (s_quiet_restores_the_burst_and_never_more),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
