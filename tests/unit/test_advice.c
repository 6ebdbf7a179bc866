/*  SPDX-License-Identifier: MPL-2.0

    The advice that an error gives when no broker is reached.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/wire/advice.h"

static void each_reason_has_its_next_step (void **state)
{
    (void) state;
    assert_null (rp_advice (""));
    assert_null (rp_advice ("tcp://a:1: no connection within 500 ms"));
    assert_null (rp_advice ("tcp://a:1: " RP_REASON_UNREACHED));
    assert_string_equal (
      rp_advice ("tcp://a:1: " RP_REASON_DESCRIPTORS), "raise the limit: ulimit -n");
    assert_string_equal (rp_advice ("host a " RP_REASON_UNRESOLVED ": Name or service not known"),
      "check the name, or write an address in its place");
    assert_string_equal (rp_advice (RP_REASON_UNANSWERED " within 3000 ms"),
      "check the name servers, or write an address in the place of the name");
    assert_string_equal (
      rp_advice (RP_REASON_FORBIDDEN), "ask for that right, or name another endpoint");
}

static void of_a_list_what_can_be_done_first_counts (void **state)
{
    (void) state;
    assert_null (rp_advice ("tcp://a:1: host a " RP_REASON_UNRESOLVED
                            ": Name or service not known; tcp://b:1: " RP_REASON_UNREACHED));
    assert_string_equal (
      rp_advice ("tcp://a:1: " RP_REASON_UNREACHED "; tcp://b:1: " RP_REASON_DESCRIPTORS),
      "raise the limit: ulimit -n");
}

static void a_broker_that_answered_counts_before_one_that_did_not (void **state)
{
    (void) state;
    static const char *const reasons[] = {RP_REASON_KEY_DENIED, RP_REASON_KEY_MADE,
      RP_REASON_KEY_MISSING, RP_REASON_KEY_NEEDLESS, RP_REASON_KEY_WRONG};
    char why[512];
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++) {
        snprintf (
          why, sizeof why, "tcp://a:1: %s; tcp://b:1: %s", RP_REASON_UNREACHED, reasons[index]);
        assert_non_null (rp_advice (why));
        assert_true (rp_reason_is_of_keys (why));
        for (size_t other = 0; other < index; other++)
            assert_string_not_equal (rp_advice (why), rp_advice (reasons[other]));
    }
    assert_false (rp_reason_is_of_keys ("tcp://a:1: " RP_REASON_UNREACHED));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (each_reason_has_its_next_step),
      cmocka_unit_test (of_a_list_what_can_be_done_first_counts),
      cmocka_unit_test (a_broker_that_answered_counts_before_one_that_did_not),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
