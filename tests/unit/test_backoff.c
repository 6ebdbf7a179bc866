/*  SPDX-License-Identifier: MPL-2.0

    The pause between attempts: its bounds for given random bits.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/backoff.h"

enum { FIRST = 50000, LARGEST = 2000000 };

/*  Returns the pause for random bits that draw the last value of its range.  */
static int64_t s_longest (uint32_t failures, int64_t whole)
{
    uint64_t values = (uint64_t) (whole - whole / 2 + 1);
    return rp_backoff_us (failures, FIRST, LARGEST, values * 1000 - 1);
}

static void the_first_attempt_does_not_wait (void **state)
{
    (void) state;
    assert_int_equal (rp_backoff_us (0, FIRST, LARGEST, UINT64_MAX), 0);
}

static void each_failure_doubles_the_pause_up_to_the_largest (void **state)
{
    (void) state;
    static const int64_t wholes[] = {
      50000, 100000, 200000, 400000, 800000, 1600000, 2000000, 2000000};
    for (uint32_t index = 0; index < sizeof wholes / sizeof *wholes; index++) {
        assert_int_equal (rp_backoff_us (index + 1, FIRST, LARGEST, 0), wholes[index] / 2);
        assert_int_equal (s_longest (index + 1, wholes[index]), wholes[index]);
    }
}

static void any_random_number_stays_between_half_and_whole (void **state)
{
    (void) state;
    uint64_t random = 1;
    int64_t smallest = INT64_MAX;
    int64_t largest = 0;
    for (int draw = 0; draw < 10000; draw++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int64_t pause = rp_backoff_us (3, FIRST, LARGEST, random >> 11);
        assert_in_range (pause, 100000, 200000);
        smallest = pause < smallest ? pause : smallest;
        largest = pause > largest ? pause : largest;
    }
    // the jitter uses its whole range, so that peers of a dead broker do not come back in step
    assert_true (smallest < 101000);
    assert_true (largest > 199000);
}

static void years_of_failures_do_not_overflow (void **state)
{
    (void) state;
    assert_int_equal (rp_backoff_us (UINT32_MAX, FIRST, LARGEST, 0), LARGEST / 2);
    assert_int_equal (rp_backoff_us (UINT32_MAX, 1, INT64_MAX, 0), INT64_MAX / 2);
}

static void a_first_pause_above_the_largest_is_cut (void **state)
{
    (void) state;
    assert_int_equal (rp_backoff_us (1, 3000, 1000, 0), 500);
    assert_int_equal (rp_backoff_us (1, 3000, 1000, 500), 1000);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_first_attempt_does_not_wait),
      cmocka_unit_test (each_failure_doubles_the_pause_up_to_the_largest),
      cmocka_unit_test (any_random_number_stays_between_half_and_whole),
      cmocka_unit_test (years_of_failures_do_not_overflow),
      cmocka_unit_test (a_first_pause_above_the_largest_is_cut),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
