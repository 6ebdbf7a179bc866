/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void s_only_brokers_that_are_gone_lose_their_jobs (void **state)
{
    (void) state;
    const rp_member_t members[] = {
      {.id = 1, .holder = 1, .left = 1}, {.id = 2, .holder = 2, .silent = true}, // not heard
      {.id = 3, .holder = 2, .silent = true},                // its jobs come with those of 2
      {.id = 4, .holder = 4, .left = 1, .ended = true},      // of this machine
      {.id = 5, .holder = 5, .silent = true, .ended = true}, // this broker itself
      {.id = 6, .holder = 6, .silent = true},
      {.id = 7, .holder = 7}, // its lease has ended, but perhaps it is about to renew it
    };
    rp_membership_t self = {.first = 6};
    assert_int_equal (rp_membership_choose (&self, members, 6, 5), 1);
    assert_int_equal (rp_membership_choose (&self, members, 6, 5), 3);
    assert_int_equal (rp_membership_choose (&self, members, 6, 5), 5);
    assert_int_equal (rp_membership_choose (&self, members, 6, 5), 6);
    self = (rp_membership_t){.first = 6};
    assert_int_equal (rp_membership_choose (&self, members, 1, 5), 1);
    assert_int_equal (rp_membership_choose (&self, NULL, 0, 5), 0);
}

static void s_brokers_share_those_that_are_gone (void **state)
{
    (void) state;
    rp_membership_t self = {.first = 7 + 2};
    const rp_member_t members[] = {{.id = 1, .holder = 1, .ended = true}, {.id = 2, .holder = 2},
      {.id = 3, .holder = 3, .ended = true}, {.id = 4, .holder = 4, .ended = true},
      {.id = 5, .holder = 5}, {.id = 6, .holder = 6}, {.id = 7, .holder = 7, .ended = true}};
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 2);
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 3);
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 6);
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 0);
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 7);
    self.tried = 0;
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 2);
    rp_membership_give_way (&self);
    assert_int_equal (rp_membership_choose (&self, members, 7, 9), 7);
    rp_member_t again[] = {members[0]};
    rp_membership_see (&self, again, 1, 1, 0, UINT64_C (5) << 40);
    assert_int_equal (rp_membership_choose (&self, again, 1, 9), 0);
}

/*  A look that takes no time.  */
static void s_see (rp_membership_t *self, rp_member_t *members, size_t count, int64_t now)
{
    rp_membership_begin_look (self, now);
    rp_membership_see (self, members, count, 1, now, 0);
}

/*  What has seen the lease of a member for long enough, which had not ended.  */
static rp_membership_t s_make_seen (rp_member_t member)
{
    rp_membership_t self = {.count = 0};
    member.left = 1;
    s_see (&self, &member, 1, -RP_MEMBERSHIP_SEEN_US);
    return self;
}

static void s_a_lease_is_over_for_others_when_it_was_seen_to_have_ended_for_long_enough (
  void **state)
{
    (void) state;
    const int64_t silent = RP_MEMBERSHIP_SILENT_US;
    rp_membership_t self = {.count = 0};
    rp_member_t members[] = {{.id = 1, .holder = 1, .until = 10, .left = 1},
      {.id = 2, .holder = 2, .until = 20, .left = 1},
      {.id = 3, .holder = 3, .until = 30, .left = 1}};
    s_see (&self, members, 3, -RP_MEMBERSHIP_SEEN_US);
    members[0].left = members[1].left = 0;
    s_see (&self, members, 3, 0);
    assert_false (members[0].silent || members[1].silent || members[2].silent);
    s_see (&self, members, 3, silent - 1);
    assert_false (members[0].silent || members[1].silent || members[2].silent);
    members[1].until = 25; // it was renewed, and has ended again
    members[2].left = 0;
    s_see (&self, members, 3, silent);
    assert_true (members[0].silent);
    assert_false (members[1].silent || members[2].silent);
    members[1].left = 1;
    s_see (&self, members, 3, 2 * silent);
    assert_true (members[0].silent && members[2].silent);
    assert_false (members[1].silent);
}

static void s_a_lease_that_a_clock_has_ended_is_left_alone_until_it_would_be_renewed (void **state)
{
    (void) state;
    rp_membership_t self = {.count = 0};
    rp_member_t member = {.id = 1, .holder = 1, .left = -100 * RP_MEMBERSHIP_LEASE_US};
    s_see (&self, &member, 1, 0);
    s_see (&self, &member, 1, RP_MEMBERSHIP_SEEN_US - 1);
    assert_false (member.silent);
    assert_int_equal (self.next, RP_MEMBERSHIP_SEEN_US);
    s_see (&self, &member, 1, RP_MEMBERSHIP_SEEN_US);
    assert_true (member.silent);
    assert_true (RP_MEMBERSHIP_SEEN_US > 2 * RP_MEMBERSHIP_RENEW_US);
    // A lease is seen soon enough before it ends.
    assert_true (RP_MEMBERSHIP_SEEN_US <= RP_MEMBERSHIP_NEAR_US - RP_MEMBERSHIP_LOOK_US
                                            + 3 * RP_MEMBERSHIP_SILENT_US / 2);
    assert_true (RP_MEMBERSHIP_NEAR_US < RP_MEMBERSHIP_LEASE_US - 2 * RP_MEMBERSHIP_RENEW_US);
}

static void s_the_time_that_an_answer_took_does_not_count (void **state)
{
    (void) state;
    const int64_t silent = RP_MEMBERSHIP_SILENT_US, stood = 8 * RP_MEMBERSHIP_LEASE_US;
    rp_member_t member = {.id = 1, .holder = 1};
    rp_membership_t self = s_make_seen (member);
    rp_membership_begin_look (&self, 0);
    rp_membership_see (&self, &member, 1, 1, stood, 0);
    s_see (&self, &member, 1, stood + silent - 1);
    assert_false (member.silent);
    s_see (&self, &member, 1, stood + silent);
    assert_true (member.silent);
}

static void s_where_commits_are_slow_a_lease_is_left_alone_for_longer (void **state)
{
    (void) state;
    const int64_t took = RP_MEMBERSHIP_LEASE_US, silent = RP_MEMBERSHIP_SILENT_US + 2 * took;
    rp_member_t member = {.id = 1, .holder = 1};
    rp_membership_t self = s_make_seen (member);
    self.took = took;
    s_see (&self, &member, 1, 0);
    s_see (&self, &member, 1, silent - 1);
    assert_false (member.silent);
    s_see (&self, &member, 1, silent);
    assert_true (member.silent);
}

static void s_looks_are_where_a_lease_ends_and_has_been_silent (void **state)
{
    (void) state;
    const int64_t look = RP_MEMBERSHIP_LOOK_US;
    rp_membership_t self = {.count = 0};
    rp_member_t member = {.id = 1, .holder = 1, .left = 3 * look};
    s_see (&self, &member, 1, 0);
    assert_int_equal (self.next, look);
    member.left = look / 2;
    rp_membership_see (&self, &member, 1, 1, look, RP_MEMBERSHIP_SPREAD_US - 1);
    assert_int_equal (self.next, look + look / 2 + RP_MEMBERSHIP_SPREAD_US - 1);
    member.left = 0;
    s_see (&self, &member, 1, 2 * look);
    rp_membership_see (&self, &member, 1, 1, 2 * look + 10, 5);
    assert_int_equal (self.next, 2 * look + RP_MEMBERSHIP_SILENT_US + 5);
    rp_membership_see (&self, &member, 1, 3, 2 * look + 10, 5 + 3 * RP_MEMBERSHIP_SPREAD_US);
    assert_int_equal (self.next, 2 * look + RP_MEMBERSHIP_SILENT_US + 5);
    s_see (&self, &member, 1, 4 * look); // it could not be taken over
    assert_int_equal (self.next, 5 * look);
    assert_true (member.silent);
    member.holder = 2;
    member.left = 1;
    s_see (&self, &member, 1, 5 * look);
    assert_int_equal (self.next, 6 * look);
}

static void s_a_lease_is_renewed_long_before_it_ends (void **state)
{
    (void) state;
    rp_membership_t self = {.renewed = 100};
    rp_membership_begin_look (&self, 200);
    assert_false (rp_membership_renews (&self, 100 + RP_MEMBERSHIP_RENEW_US - 1));
    assert_true (rp_membership_renews (&self, 100 + RP_MEMBERSHIP_RENEW_US));
    assert_false (rp_membership_looks (&self, 200 + RP_MEMBERSHIP_LOOK_US - 1));
    assert_true (rp_membership_looks (&self, 200 + RP_MEMBERSHIP_LOOK_US));
    assert_int_equal (rp_membership_due (&self), 100 + RP_MEMBERSHIP_RENEW_US);
    self.renewed = 300;
    assert_int_equal (rp_membership_due (&self), 200 + RP_MEMBERSHIP_LOOK_US);
    // Two that come to nothing leave time for a third.
    assert_true (3 * RP_MEMBERSHIP_RENEW_US < RP_MEMBERSHIP_LEASE_US);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_only_brokers_that_are_gone_lose_their_jobs),
      cmocka_unit_test (s_brokers_share_those_that_are_gone),
      cmocka_unit_test (
        s_a_lease_is_over_for_others_when_it_was_seen_to_have_ended_for_long_enough),
      cmocka_unit_test (s_a_lease_that_a_clock_has_ended_is_left_alone_until_it_would_be_renewed),
      cmocka_unit_test (s_the_time_that_an_answer_took_does_not_count),
      cmocka_unit_test (s_where_commits_are_slow_a_lease_is_left_alone_for_longer),
      cmocka_unit_test (s_looks_are_where_a_lease_ends_and_has_been_silent),
      cmocka_unit_test (s_a_lease_is_renewed_long_before_it_ends),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
