/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void s_only_brokers_that_are_gone_lose_their_jobs (void **state)
{
    (void) state;
    const rp_member_t members[] = {
      {.id = 1, .holder = 1, .valid = true},
      {.id = 2, .holder = 2, .valid = false},                // not heard
      {.id = 3, .holder = 2, .valid = false},                // its jobs come with those of 2
      {.id = 4, .holder = 4, .valid = true, .ended = true},  // of this machine
      {.id = 5, .holder = 5, .valid = false, .ended = true}, // this broker itself
      {.id = 6, .holder = 6, .valid = false},
    };
    assert_int_equal (rp_membership_choose (members, 6, 0, 5), 1);
    assert_int_equal (rp_membership_choose (members, 6, 2, 5), 3);
    assert_int_equal (rp_membership_choose (members, 6, 4, 5), 5);
    assert_int_equal (rp_membership_choose (members, 6, 6, 5), 6);
    assert_int_equal (rp_membership_choose (members, 1, 0, 5), 1);
    assert_int_equal (rp_membership_choose (NULL, 0, 0, 5), 0);
}

static void s_a_lease_is_renewed_long_before_it_ends (void **state)
{
    (void) state;
    rp_membership_t self = {.renewed = 100, .looked = 200};
    assert_false (rp_membership_renews (&self, 100 + RP_MEMBERSHIP_RENEW_US - 1));
    assert_true (rp_membership_renews (&self, 100 + RP_MEMBERSHIP_RENEW_US));
    assert_false (rp_membership_looks (&self, 200 + RP_MEMBERSHIP_LOOK_US - 1));
    assert_true (rp_membership_looks (&self, 200 + RP_MEMBERSHIP_LOOK_US));
    // Two that come to nothing leave time for a third.
    assert_true (3 * RP_MEMBERSHIP_RENEW_US < RP_MEMBERSHIP_LEASE_US);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_only_brokers_that_are_gone_lose_their_jobs),
      cmocka_unit_test (s_a_lease_is_renewed_long_before_it_ends),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
