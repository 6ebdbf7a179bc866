/*  Which values of the header traceparent are read, and which are as if there were none.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/traceparent.h"

#define S_TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define S_SPAN "00f067aa0ba902b7"
#define S_GOOD "00-" S_TRACE "-" S_SPAN "-01"

static bool s_reads (const char *value, rp_traceparent_t *parent)
{
    return rp_traceparent_read (parent, value, strlen (value));
}

static void s_is_sampled (const char *value, bool sampled)
{
    rp_traceparent_t parent;
    if (!s_reads (value, &parent))
        fail_msg ("%s is not read", value);
    assert_string_equal (parent.trace_id, S_TRACE);
    assert_string_equal (parent.span_id, S_SPAN);
    assert_int_equal (parent.sampled, sampled);
}

static void s_the_lowest_flag_says_whether_it_is_sampled (void **state)
{
    (void) state;
    s_is_sampled (S_GOOD, true);
    s_is_sampled ("00-" S_TRACE "-" S_SPAN "-00", false);
    s_is_sampled ("00-" S_TRACE "-" S_SPAN "-02", false);
    s_is_sampled ("00-" S_TRACE "-" S_SPAN "-03", true);
    s_is_sampled ("00-" S_TRACE "-" S_SPAN "-ff", true);
    s_is_sampled ("00-" S_TRACE "-" S_SPAN "-fe", false);
}

static void s_a_later_version_may_have_more_behind_the_flags (void **state)
{
    (void) state;
    s_is_sampled ("01-" S_TRACE "-" S_SPAN "-01", true);
    s_is_sampled ("cc-" S_TRACE "-" S_SPAN "-01-what the future will be like", true);
    s_is_sampled ("10-" S_TRACE "-" S_SPAN "-00-", false);
}

static void s_what_is_malformed_is_not_read (void **state)
{
    (void) state;
    static const char *const bad[] = {"", "-", "00", "00-", S_TRACE,
      "00-" S_TRACE "-" S_SPAN,        // no flags
      "00-" S_TRACE "-" S_SPAN "-1",   // one digit
      "00-" S_TRACE "-" S_SPAN "-01-", // more, in version 00
      "00-" S_TRACE "-" S_SPAN "-012", // likewise
      "01-" S_TRACE "-" S_SPAN "-01.", // no dash before more
      "ff-" S_TRACE "-" S_SPAN "-01",  // no version
      "0g-" S_TRACE "-" S_SPAN "-01", "0-" S_TRACE "-" S_SPAN "-010", " " S_GOOD,
      "00-00000000000000000000000000000000-" S_SPAN "-01", // no trace
      "00-" S_TRACE "-0000000000000000-01",                // no parent
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-" S_SPAN "-01", // upper case
      "00-" S_TRACE "-00F067AA0BA902B7-01", "00-" S_TRACE "-" S_SPAN "-0A",
      "00-" S_TRACE "_" S_SPAN "-01", "00_" S_TRACE "-" S_SPAN "-01",
      "00-" S_TRACE "-" S_SPAN "_01", "00-4bf92f3577b34da6a3ce929d0e0e473-0" S_SPAN "-01",
      "00-4bf92f3577b34da6a3ce929d0e0e473\xc3-" S_SPAN "-01",
      "00-../../../../../etc/passwd//////-" S_SPAN "-01"};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        rp_traceparent_t parent, before;
        memset (&parent, 7, sizeof parent);
        before = parent;
        if (s_reads (bad[index], &parent))
            fail_msg ("\"%s\" is read", bad[index]);
        assert_memory_equal (&parent, &before, sizeof parent);
    }
}

static void s_a_value_that_is_cut_short_anywhere_is_not_read (void **state)
{
    (void) state;
    rp_traceparent_t parent;
    for (size_t size = 0; size < strlen (S_GOOD); size++) {
        char value[sizeof S_GOOD];
        memcpy (value, S_GOOD, size); // as it lies in a block of headers, without a NUL
        memset (value + size, '0', sizeof value - size);
        assert_false (rp_traceparent_read (&parent, value, size));
    }
    assert_true (rp_traceparent_read (&parent, S_GOOD, strlen (S_GOOD)));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_the_lowest_flag_says_whether_it_is_sampled),
      cmocka_unit_test (s_a_later_version_may_have_more_behind_the_flags),
      cmocka_unit_test (s_what_is_malformed_is_not_read),
      cmocka_unit_test (s_a_value_that_is_cut_short_anywhere_is_not_read),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
