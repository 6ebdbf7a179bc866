/*  SPDX-License-Identifier: MPL-2.0

    The client's core: sessions, and what ends a request. The other parts: test_client_retry.c,
    test_client_conversation.c.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/wire/advice.h"
#include "tests/support/client_world.h"

/*  ---- The session ---------------------------------------------------------------------------- */

static void a_client_connects_with_its_first_request_and_not_before (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_pass (&world, 10 * SECOND);
    world_expect (&world, "");
    world_submit (&world, 1);
    world_expect (&world, "open(a)");
    world_connect_only (&world);
    world_expect (&world, "HELLO");
    world_welcome (&world, 10);
    world_expect (&world, "r1>");
    assert_true (world_reply_with (&world, 1, RP_OK, 0));
    world_expect (&world, "r1=OK");
    world_end (&world);
}

static void requests_go_in_the_order_in_which_they_were_submitted (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    for (int number = 1; number <= 4; number++)
        world_submit (&world, number);
    world_connect (&world);
    world_expect (&world, "open(a) HELLO r1> r2> r3> r4>");
    world_end (&world);
}

static void the_time_left_on_the_wire_is_what_is_left_when_it_is_sent (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 1200 * MS);
    rp_client_core_connected (&world.core, world.now);
    rp_head_t welcome = {.command = RP_COMMAND_WELCOME, .interval_ms = 2000, .max_open = 10};
    rp_client_core_message (&world.core, &welcome, world.now);
    rp_client_order_t order;
    while (rp_client_core_next_order (&world.core, &order, world.now))
        if (order.kind == RP_CLIENT_SEND)
            break;
    assert_int_equal (order.kind, RP_CLIENT_SEND);
    assert_int_equal (order.head.deadline_ms, 3800);
    assert_int_equal (order.head.attempts, 1);
    world_end (&world);
}

static void an_idle_session_sends_heartbeats_and_a_silent_broker_is_lost (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 2100 * MS);
    world_expect (&world, "r1> HEARTBEAT");
    world_say (&world, RP_COMMAND_HEARTBEAT);
    world_pass (&world, 2100 * MS);
    world_expect (&world, "HEARTBEAT");
    world_pass (&world, 3800 * MS); // 5.9 s since the broker's last message: under three intervals
    assert_int_equal (world.core.link.state, RP_LINK_UP);
    world_pass (&world, 200 * MS);
    assert_int_equal (world.core.link.state, RP_LINK_CONNECTING);
    assert_non_null (strstr (world.core.error, "a: the broker said nothing"));
    assert_int_equal (world.exchanges[1].status, RP_UNKNOWN);
    world_end (&world);
}

static void a_refusal_for_good_ends_what_waits_and_what_comes_later (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 0);
    world_connect_only (&world);
    world_bye (&world, RP_DENIED, "go away");
    world_expect (&world, "open(a) HELLO close r1=DENIED");
    assert_int_equal (world.exchanges[1].end, RP_END_REFUSED);
    assert_string_equal (world.core.error, "a: the broker refused with DENIED: go away");
    world_submit (&world, 2);
    world_pass (&world, 60 * SECOND);
    world_expect (&world, "r2=DENIED");
    world_end (&world);
}

static void a_broker_that_is_full_at_the_greeting_is_tried_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 0);
    world_connect_only (&world);
    world_bye (&world, RP_BUSY, "too many clients");
    world_expect (&world, "open(a) HELLO close");
    world_pass (&world, 100 * MS);
    world_expect (&world, "open(a)");
    world_end (&world);
}

static void the_next_endpoint_is_tried_when_one_fails (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 2);
    world_submit (&world, 1);
    world_expect (&world, "open(a)");
    world_fail (&world);
    world_pass (&world, 100 * MS);
    world_expect (&world, "close open(b)");
    world_connect_only (&world);
    world_welcome (&world, 10);
    world_expect (&world, "HELLO r1>");
    world_end (&world);
}

static void of_a_list_that_is_down_each_has_its_cause (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 2);
    world_submit (&world, 1);
    world_pass (&world, 0);
    for (int round = 0; round < 2; round++) {
        world_fail (&world);
        world_pass (&world, 1000 * MS); // b does not answer
    }
    assert_string_equal (
      world.core.error, "a: connection refused; b: no connection within 1000 ms");
    world_end (&world);
}

static void of_a_name_each_address_has_its_cause_until_it_is_looked_up_again (void **state)
{
    (void) state;
    static const char *names[] = {"tcp://name:1"};
    rp_addresses_t found = {0};
    rp_addresses_add (&found, names[0], "10.0.0.1");
    rp_addresses_add (&found, names[0], "::1");
    client_world_t world;
    world_begin (&world, 1);
    world.core.config.endpoints = names;
    world_submit (&world, 1);
    world_pass (&world, 0);
    rp_client_core_found (&world.core, &found, world.now);
    world_pass (&world, 0);
    world_fail (&world);
    world_pass (&world, 1000 * MS); // ::1 does not answer
    world_expect (&world,
      "open(tcp://name:1) open(tcp://10.0.0.1:1) close open(tcp://[::1]:1) close "
      "open(tcp://name:1)");
    assert_string_equal (world.core.error, "tcp://name:1 at 10.0.0.1: connection refused; "
                                           "tcp://name:1 at [::1]: no connection within 500 ms");
    rp_client_core_failed (&world.core, "host name does not resolve", world.now);
    assert_string_equal (world.core.error, "tcp://name:1: host name does not resolve");
    world_pass (&world, 100 * MS);
    world_pass (&world, 3000 * MS);
    assert_string_equal (world.core.error, "tcp://name:1: no name server answered within 3000 ms");
    world_end (&world);
}

static void a_request_tries_every_broker_of_a_list_by_its_deadline (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 2);
    rp_client_core_start (&world.core, world.now);
    world_pass (&world, 10 * MS);
    world.exchanges[1] = (rp_exchange_t){.timeout_ms = 300, .attempts = 1};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    world_pass (&world, 100 * MS);
    world_connect_only (&world);
    world_welcome (&world, 10);
    world_expect (&world, "open(a) close open(b) HELLO r1>");
    world_end (&world);
}

static void a_draining_broker_finishes_what_it_has_before_the_client_moves (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 2);
    world_submit (&world, 1);
    world_say (&world, RP_COMMAND_DRAIN);
    world_submit (&world, 2);
    world_expect (&world, "r1>");
    world_reply (&world, 1, RP_OK);
    world_pass (&world, 100 * MS);
    world_expect (&world, "BYE close(orderly) r1=OK open(b)");
    world_connect_only (&world);
    world_welcome (&world, 10);
    world_expect (&world, "HELLO r2>");
    world_end (&world);
}

static void a_draining_broker_without_another_is_still_asked (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_say (&world, RP_COMMAND_DRAIN);
    world_submit (&world, 2);
    world_reply (&world, 2, RP_DRAINING);
    world_expect (&world, "r1> r2> r2=DRAINING");
    world_end (&world);
}

static void what_makes_no_sense_is_ignored_and_counted (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_say (&world, RP_COMMAND_WELCOME);
    world_say (&world, RP_COMMAND_REQUEST);
    world_say (&world, RP_COMMAND_CREDIT);
    world_expect (&world, "");
    assert_int_equal (world.core.ignored, 3);
    assert_int_equal (world.core.link.state, RP_LINK_UP);
    world_end (&world);
}

/*  ---- Statuses ------------------------------------------------------------------------------- */

static void without_any_broker_a_request_ends_at_its_deadline_with_no_broker (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 0);
    world_fail (&world);
    world.trace[0] = '\0';
    for (int step = 0; step < 50; step++) {
        assert_int_equal (world.core.open_count, 1);
        world_pass (&world, 100 * MS);
        world_fail (&world);
    }
    world_pass (&world, 0);
    assert_int_equal (world.core.open_count, 0);
    assert_int_equal (world.exchanges[1].status, RP_NO_BROKER);
    assert_int_equal (world.exchanges[1].ended - world.exchanges[1].submitted, 5 * SECOND);
    assert_string_equal (world.core.error, "a: connection refused");
    world_end (&world);
}

static void a_session_that_waits_for_nothing_is_quiet_until_it_asks_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_pass (&world, 1900 * MS);
    world_say (&world, RP_COMMAND_HEARTBEAT);
    world_pass (&world, 100 * MS);
    world_expect (&world, "HEARTBEAT(20000)");
    world_pass (&world, 15 * SECOND);
    world_submit (&world, 1);
    world_pass (&world, 4900 * MS); // since the request
    world_expect (&world, "r1> HEARTBEAT HEARTBEAT");
    world_pass (&world, 100 * MS);
    world_expect (&world, "");
    world_pass (&world, SECOND);
    world_expect (&world, "close open(a) r1=UNKNOWN");
    world_end (&world);
}

static void a_request_that_was_held_back_until_its_deadline_expired (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_submit (&world, 2);
    world_pass (&world, 0);
    world_connect_only (&world);
    world_welcome (&world, 1);
    world_expect (&world, "open(a) HELLO r1>");
    for (int step = 0; step < 5; step++) {
        world_pass (&world, SECOND);
        world_say (&world, RP_COMMAND_HEARTBEAT);
    }
    world_expect (&world, "HEARTBEAT HEARTBEAT HEARTBEAT HEARTBEAT r2=EXPIRED HEARTBEAT");
    assert_int_equal (world.exchanges[2].end, RP_END_HELD);
    world_end (&world);
}

static void more_than_the_broker_allows_waits_for_room (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    for (int number = 1; number <= 4; number++)
        world_submit (&world, number);
    world_pass (&world, 0);
    world_connect_only (&world);
    world_welcome (&world, 2);
    world_expect (&world, "open(a) HELLO r1> r2>");
    world_reply (&world, 2, RP_OK);
    world_expect (&world, "r2=OK r3>");
    world_reply (&world, 1, RP_APP_ERROR);
    world_expect (&world, "r1=APP_ERROR r4>");
    world_end (&world);
}

static void more_than_the_client_allows_is_full (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    for (int number = 0; number < 20; number++)
        world_submit (&world, number);
    rp_exchange_t one = {.timeout_ms = 1000, .attempts = 1};
    assert_int_equal (rp_client_core_submit (&world.core, &one, world.now), RP_FULL);
    world_end (&world);
}

static void a_body_over_the_brokers_limit_is_too_large_and_not_sent (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world.exchanges[1] = (rp_exchange_t){.size = 1001, .timeout_ms = 1000, .attempts = 3};
    world.exchanges[2] = (rp_exchange_t){.size = 1000, .timeout_ms = 1000, .attempts = 3};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    rp_client_core_submit (&world.core, &world.exchanges[2], world.now);
    world_expect (&world, "r1=TOO_LARGE r2>");
    assert_int_equal (world.core.max_body, 1000);
    world_end (&world);
}

static void a_broker_that_keeps_a_request_too_long_makes_it_unknown (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    for (int step = 0; step < 12; step++) {
        assert_int_equal (world.core.open_count, 1);
        world_pass (&world, 500 * MS);
        world_say (&world, RP_COMMAND_HEARTBEAT);
    }
    world_expect (
      &world, "r1> HEARTBEAT HEARTBEAT HEARTBEAT HEARTBEAT HEARTBEAT CANCEL(r1) r1=UNKNOWN");
    assert_int_equal (world.exchanges[1].end, RP_END_SILENT);
    assert_int_equal (world.exchanges[1].ended - world.exchanges[1].submitted, 6 * SECOND);
    world_reply (&world, 1, RP_OK);
    world_expect (&world, "");
    assert_int_equal (world.core.late, 1);
    world_end (&world);
}

static void a_lost_broker_leaves_a_single_attempt_unknown (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_fail (&world);
    world_expect (&world, "r1> close r1=UNKNOWN open(a)");
    assert_int_equal (world.exchanges[1].end, RP_END_LOST);
    world_end (&world);
}

static void byes_leave_a_single_attempt_unknown (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_bye (&world, RP_DRAINING, "");
    world_expect (&world, "r1> close r1=UNKNOWN open(a)");
    assert_string_equal (world.core.error, "a: the broker said BYE with DRAINING");
    world_end (&world);
}

static void a_reply_ends_a_request_once (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    assert_true (world_reply_with (&world, 1, RP_OK, 0));
    assert_false (world_reply_with (&world, 1, RP_OK, 0));
    world_expect (&world, "r1> r1=OK");
    assert_int_equal (world.core.late, 1);
    world_end (&world);
}

static void a_foreign_reply_is_dropped_and_counted (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    uint64_t id = world.exchanges[1].wire_id;
    uint64_t foreign[] = {0, 1, id + 1, id + RP_SLOTS_MAX, id - RP_SLOTS_MAX, UINT64_MAX};
    for (size_t index = 0; index < sizeof foreign / sizeof *foreign; index++)
        world_hear (&world, (rp_head_t){.command = RP_COMMAND_REPLY, .id = foreign[index]});
    world_expect (&world, "r1>");
    assert_int_equal (world.core.late, sizeof foreign / sizeof *foreign);
    world_end (&world);
}

static void ids_are_never_zero_and_never_used_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    uint64_t seen[200];
    for (size_t count = 0; count < 200; count++) {
        world_submit (&world, 1);
        seen[count] = world.exchanges[1].id;
        assert_true (seen[count] != 0);
        for (size_t earlier = 0; earlier < count; earlier++)
            assert_true (seen[earlier] != seen[count]);
        world_reply (&world, 1, RP_OK);
    }
    world_end (&world);
}

static void a_request_that_the_transport_did_not_take_is_sent_a_little_later (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    rp_client_order_t order;
    world.exchanges[1] = (rp_exchange_t){.timeout_ms = 1000, .attempts = 1};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    assert_true (rp_client_core_next_order (&world.core, &order, world.now));
    assert_int_equal (order.kind, RP_CLIENT_SEND);
    rp_client_core_unsent (&world.core, order.exchange, world.now);
    world_submit (&world, 2);
    world_expect (&world, "");
    world_pass (&world, RP_SEND_PAUSE_US);
    world_expect (&world, "r1> r2>");
    world_end (&world);
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static void s_deny (client_world_t *world)
{
    rp_client_core_denied (&world->core, RP_REASON_KEY_DENIED, world->now);
    world_take_orders (world);
}

static void what_waits_ends_when_no_broker_accepts_the_key (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 2);
    world_submit (&world, 1);
    world_pass (&world, 0);
    s_deny (&world);
    world_expect (&world, "open(a) close open(b)");
    s_deny (&world);
    world_expect (&world, "close r1=DENIED");
    assert_int_equal (world.exchanges[1].end, RP_END_REFUSED);
    assert_string_equal (world.core.error, "a: " RP_REASON_KEY_DENIED "; b: " RP_REASON_KEY_DENIED);
    world_end (&world);
}

static void a_client_whose_key_is_authorized_later_gets_in (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    world_pass (&world, 0);
    s_deny (&world);
    world_expect (&world, "open(a) close r1=DENIED");
    world_submit (&world, 2); // the request waits for the next attempt
    world_expect (&world, "");
    world_pass (&world, SECOND);
    world_connect (&world);
    world_expect (&world, "open(a) HELLO r2>");
    world_end (&world);
}

static void a_deadline_before_the_next_attempt_is_denied_too (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    rp_client_core_start (&world.core, world.now);
    world_pass (&world, 0);
    s_deny (&world);
    world_submit (&world, 1);
    world.core.link.due = world.now + 10 * SECOND;
    world_pass (&world, 6 * SECOND);
    world_expect (&world, "open(a) close r1=DENIED");
    world_end (&world);
}

static void a_request_that_may_have_run_is_not_denied (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 2, NULL);
    world_expect (&world, "r1>");
    world_fail (&world); // the key was revoked, and its sessions were ended
    world_pass (&world, SECOND);
    s_deny (&world);
    world_expect (&world, "close open(a) close r1=UNKNOWN");
    world_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_client_connects_with_its_first_request_and_not_before),
      cmocka_unit_test (requests_go_in_the_order_in_which_they_were_submitted),
      cmocka_unit_test (the_time_left_on_the_wire_is_what_is_left_when_it_is_sent),
      cmocka_unit_test (an_idle_session_sends_heartbeats_and_a_silent_broker_is_lost),
      cmocka_unit_test (a_refusal_for_good_ends_what_waits_and_what_comes_later),
      cmocka_unit_test (a_broker_that_is_full_at_the_greeting_is_tried_again),
      cmocka_unit_test (the_next_endpoint_is_tried_when_one_fails),
      cmocka_unit_test (of_a_list_that_is_down_each_has_its_cause),
      cmocka_unit_test (of_a_name_each_address_has_its_cause_until_it_is_looked_up_again),
      cmocka_unit_test (a_request_tries_every_broker_of_a_list_by_its_deadline),
      cmocka_unit_test (a_draining_broker_finishes_what_it_has_before_the_client_moves),
      cmocka_unit_test (a_draining_broker_without_another_is_still_asked),
      cmocka_unit_test (what_makes_no_sense_is_ignored_and_counted),
      cmocka_unit_test (without_any_broker_a_request_ends_at_its_deadline_with_no_broker),
      cmocka_unit_test (a_session_that_waits_for_nothing_is_quiet_until_it_asks_again),
      cmocka_unit_test (a_request_that_was_held_back_until_its_deadline_expired),
      cmocka_unit_test (more_than_the_broker_allows_waits_for_room),
      cmocka_unit_test (more_than_the_client_allows_is_full),
      cmocka_unit_test (a_body_over_the_brokers_limit_is_too_large_and_not_sent),
      cmocka_unit_test (a_broker_that_keeps_a_request_too_long_makes_it_unknown),
      cmocka_unit_test (a_lost_broker_leaves_a_single_attempt_unknown),
      cmocka_unit_test (byes_leave_a_single_attempt_unknown),
      cmocka_unit_test (a_reply_ends_a_request_once),
      cmocka_unit_test (a_foreign_reply_is_dropped_and_counted),
      cmocka_unit_test (ids_are_never_zero_and_never_used_again),
      cmocka_unit_test (a_request_that_the_transport_did_not_take_is_sent_a_little_later),
      cmocka_unit_test (what_waits_ends_when_no_broker_accepts_the_key),
      cmocka_unit_test (a_client_whose_key_is_authorized_later_gets_in),
      cmocka_unit_test (a_deadline_before_the_next_attempt_is_denied_too),
      cmocka_unit_test (a_request_that_may_have_run_is_not_denied),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
