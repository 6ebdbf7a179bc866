/*  SPDX-License-Identifier: MPL-2.0

    The client's core: conversations.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

static void only_the_first_request_in_flight_may_open_a_conversation (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_submit_with (&world, 2, 1, &world.conversation);
    world_expect (&world, "r1+k1> r2.k1>");
    world_reply (&world, 1, RP_OK);
    world_submit_with (&world, 3, 1, &world.conversation);
    world_expect (&world, "r1=OK r3.k1>");
    world_end (&world);
}

static void a_conversation_that_no_worker_answered_is_opened_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_NO_WORKER);
    world_submit_with (&world, 2, 1, &world.conversation);
    world_expect (&world, "r1+k1> r1=NO_WORKER r2+k1>");
    world_reply (&world, 2, RP_APP_ERROR);
    world_submit_with (&world, 3, 1, &world.conversation);
    world_expect (&world, "r2=APP_ERROR r3.k1>");
    world_end (&world);
}

static void after_conversation_lost_the_next_request_begins_anew_once (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_OK);
    world_submit_with (&world, 2, 1, &world.conversation);
    world_submit_with (&world, 3, 1, &world.conversation);
    world_reply (&world, 2, RP_CONVERSATION_LOST);
    world_submit_with (&world, 4, 1, &world.conversation);
    world_reply (&world, 3, RP_CONVERSATION_LOST); // about the old one; the new one goes on
    world_submit_with (&world, 5, 1, &world.conversation);
    world_expect (
      &world, "r1+k1> r1=OK r2.k1> r3.k1> r2=CONVERSATION_LOST r4+k2> r3=CONVERSATION_LOST r5.k2>");
    world_end (&world);
}

static void a_request_meant_for_a_lost_conversation_does_not_begin_the_next (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_OK);
    world_submit_with (&world, 2, 3, &world.conversation);
    world_reply (&world, 2, RP_BUSY);
    world_submit_with (&world, 3, 1, &world.conversation);
    world_reply (&world, 3, RP_CONVERSATION_LOST);
    world_pass (&world, 100 * MS);
    world_submit_with (&world, 4, 1, &world.conversation);
    world_expect (
      &world, "r1+k1> r1=OK r2.k1> r3.k1> r3=CONVERSATION_LOST r2=CONVERSATION_LOST r4+k2>");
    world_end (&world);
}

static void after_a_last_reply_the_next_request_begins_anew (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply_with (&world, 1, RP_OK, RP_FLAG_LAST);
    world_submit_with (&world, 2, 1, &world.conversation);
    world_expect (&world, "r1+k1> r1=OK r2+k2>");
    world_end (&world);
}

static void a_new_session_learns_that_an_answered_conversation_is_gone (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_OK);
    world_fail (&world);
    world_connect (&world);
    world_submit_with (&world, 2, 1, &world.conversation);
    world_expect (&world, "r1+k1> r1=OK close open(a) HELLO r2.k1>");
    world_reply (&world, 2, RP_CONVERSATION_LOST);
    world_submit_with (&world, 3, 1, &world.conversation);
    world_expect (&world, "r2=CONVERSATION_LOST r3+k2>");
    world_end (&world);
}

static void a_new_session_opens_a_conversation_that_was_never_answered (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 2, &world.conversation);
    world_submit_with (&world, 2, 2, &world.conversation);
    world_fail (&world);
    world_connect (&world);
    world_expect (&world, "r1+k1> r2.k1> close open(a) HELLO r1+k1> r2.k1>");
    world_end (&world);
}

static void a_request_of_an_answered_conversation_is_not_sent_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 3, &world.conversation);
    world_reply (&world, 1, RP_OK);
    world_submit_with (&world, 2, 3, &world.conversation);
    world_fail (&world);
    world_expect (&world, "r1+k1> r1=OK r2.k1> close r2=UNKNOWN open(a)");
    world_end (&world);
}

static void destroying_a_conversation_tells_the_broker_that_knows_it (void **state)
{
    (void) state;
    client_world_t world;
    rp_head_t head;
    world_begin_connected (&world, 1);
    rp_client_conversation_t unused = {0};
    assert_false (rp_client_core_end_conversation (&world.core, &unused, &head, world.now));
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_OK);
    rp_client_conversation_t copy = world.conversation;
    assert_true (
      rp_client_core_end_conversation (&world.core, &world.conversation, &head, world.now));
    assert_int_equal (head.command, RP_COMMAND_END);
    assert_int_equal (head.conversation, 1);
    world_fail (&world);
    world_connect (&world);
    assert_false (rp_client_core_end_conversation (&world.core, &copy, &head, world.now));
    world_end (&world);
}

static void ending_one_while_nothing_is_waited_for_brings_the_heartbeats_back (void **state)
{
    (void) state;
    client_world_t world;
    rp_head_t head;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    world_reply (&world, 1, RP_OK);
    world_pass (&world, 1900 * 1000);
    world_say (&world, RP_COMMAND_HEARTBEAT);
    world_pass (&world, 3000 * 1000);
    world_expect (&world, "r1+k1> r1=OK HEARTBEAT(20000)");
    assert_true (
      rp_client_core_end_conversation (&world.core, &world.conversation, &head, world.now));
    world_pass (&world, 2000 * 1000);
    world_expect (&world, "HEARTBEAT");
    world_end (&world);
}

static void what_waits_in_a_destroyed_conversation_is_not_sent (void **state)
{
    (void) state;
    client_world_t world;
    rp_head_t head;
    world_begin (&world, 1);
    world_submit_with (&world, 1, 1, &world.conversation);
    assert_false (
      rp_client_core_end_conversation (&world.core, &world.conversation, &head, world.now));
    world_connect (&world);
    world_expect (&world, "open(a) HELLO r1=CONVERSATION_LOST");
    assert_int_equal (world.exchanges[1].end, RP_END_CONVERSATION_OVER);
    world_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (only_the_first_request_in_flight_may_open_a_conversation),
      cmocka_unit_test (a_conversation_that_no_worker_answered_is_opened_again),
      cmocka_unit_test (after_conversation_lost_the_next_request_begins_anew_once),
      cmocka_unit_test (a_request_meant_for_a_lost_conversation_does_not_begin_the_next),
      cmocka_unit_test (after_a_last_reply_the_next_request_begins_anew),
      cmocka_unit_test (a_new_session_learns_that_an_answered_conversation_is_gone),
      cmocka_unit_test (a_new_session_opens_a_conversation_that_was_never_answered),
      cmocka_unit_test (a_request_of_an_answered_conversation_is_not_sent_again),
      cmocka_unit_test (destroying_a_conversation_tells_the_broker_that_knows_it),
      cmocka_unit_test (ending_one_while_nothing_is_waited_for_brings_the_heartbeats_back),
      cmocka_unit_test (what_waits_in_a_destroyed_conversation_is_not_sent),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
