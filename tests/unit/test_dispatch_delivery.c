/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/wire/headers.h"
#include "tests/support/trace.h"

/*  ---- Which worker gets a request ------------------------------------------------------------ */

static void s_a_request_goes_to_a_worker_and_its_reply_comes_back (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 500, .attempts = 2});
    expect ("w1<r1");
    assert_int_equal (delivery_of ("r1")->attempt, 1);
    assert_int_equal (delivery_of ("r1")->attempts, 2);
    assert_int_equal (delivery_of ("r1")->deadline_ms, 500);
    pass (3);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
    assert_int_equal (answer_to ("r1")->attempt, 1);
    assert_int_equal (answer_to ("r1")->queue_us, 0);
    assert_int_equal (answer_to ("r1")->work_us, 3000);
}

static void s_the_client_learns_how_long_a_request_was_queued (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 500});
    pass (7);
    credit ("w1", 1);
    assert_int_equal (delivery_of ("r1")->deadline_ms, 493);
    pass (2);
    reply ("w1", "r1", RP_APP_ERROR);
    expect ("w1<r1 c1<r1:APP_ERROR");
    assert_int_equal (answer_to ("r1")->queue_us, 7000);
    assert_int_equal (answer_to ("r1")->work_us, 2000);
}

static void s_most_room_first_then_least_recently_used (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 3);
    hello_worker ("w3", "upper", 2);
    hello_client ("c1");
    for (unsigned id = 1; id <= 6; id++)
        request ("c1", (const char *[]){"", "r1", "r2", "r3", "r4", "r5", "r6"}[id], "upper");
    expect ("w2<r1 w3<r2 w2<r3 w1<r4 w3<r5 w2<r6");
}

static void s_equal_workers_take_turns (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "upper");
    reply ("w2", "r2", RP_OK);
    request ("c1", "r3", "upper");
    expect ("w1<r1 c1<r1:OK w2<r2 c1<r2:OK w1<r3");
}

static void s_a_worker_with_one_slot_never_holds_two (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    heartbeat ("w1");
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK w1<r2");
}

static void s_requests_are_served_in_the_order_in_which_they_came (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    request ("c2", "r2", "upper");
    request ("c1", "r3", "upper");
    expect (NOTHING);
    credit ("w1", 3);
    expect ("w1<r1 w1<r2 w1<r3");
}

static void s_a_reply_lets_the_next_one_go_at_once (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    expect ("w1<r1 w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<r3");
}

static void s_a_worker_that_joins_gets_what_waits (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    hello_worker ("w2", "upper", 1);
    expect ("w2<r1");
}

static void s_services_do_not_see_each_other (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "lower", 5);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "lower");
    expect ("w1<r1 w2<r3");
}

/*  ---- Windows -------------------------------------------------------------------------------- */

static void s_a_window_of_zero_gets_nothing (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect (NOTHING);
    assert_int_equal (stats ()->waiting, 1);
}

static void s_credit_widens_the_window (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    expect ("w1<r1");
    credit ("w1", 3);
    expect ("w1<r2 w1<r3");
}

static void s_credit_narrows_the_window (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    expect ("w1<r1 w1<r2 w1<r3");
    credit ("w1", 1);
    request ("c1", "r4", "upper");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r1:OK c1<r2:OK");
    reply ("w1", "r3", RP_OK);
    expect ("c1<r3:OK w1<r4");
}

static void s_a_window_of_4096_is_granted_and_4097_is_not (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 4096);
    assert_int_equal (last_greeting ()->window, 4096);
    hello (
      "w2", &(rp_head_t){.flags = RP_FLAG_WORKER, .window = 4097, .name = "upper", .name_size = 5});
    expect ("w2<bye:INVALID");
    credit ("w1", 4096);
    expect (NOTHING);
    credit ("w1", 4097);
    expect ("w1<bye:INVALID");
}

/*  ---- Redelivery ----------------------------------------------------------------------------- */

static void s_what_a_lost_worker_held_goes_first_and_in_order_to_another (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2});
    request_with ("c1", "r3", "upper", (with_t){.attempts = 2});
    request ("c1", "r4", "upper");
    expect ("w1<r1 w1<r2 w1<r3");
    hello_worker ("w2", "upper", 0);
    bye ("w1");
    credit ("w2", 4);
    expect ("w2<r1#2 w2<r2#2 w2<r3#2 w2<r4");
    assert_int_equal (stats ()->redeliveries, 3);
}

static void s_one_attempt_is_never_redelivered (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect ("w1<r1");
    bye ("w1");
    expect ("c1<r1:WORKER_LOST");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_the_last_attempt_ends_with_worker_lost (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_worker ("w3", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    bye ("w1");
    bye ("w2");
    expect ("w1<r1 w2<r1#2 c1<r1:WORKER_LOST");
    assert_int_equal (answer_to ("r1")->attempt, 2);
}

static void s_a_worker_that_gives_up_does_not_get_it_again_while_another_has_room (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 9);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w2<r1#2");
    reply ("w2", "r1", RP_WORKER_LOST);
    expect ("w1<r1#3");
}

static void s_the_only_worker_gets_again_what_it_gave_up (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w1<r1#2");
    reply_with ("w1", "r1",
      &(rp_head_t){.status = RP_WORKER_LOST, .text = "child died", .text_size = 10}, false);
    expect ("c1<r1:WORKER_LOST");
    assert_true (answer_says ("r1", "child died"));
}

static void s_a_reply_to_an_earlier_attempt_is_refused_and_counted (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w2<r1#2");
    reply ("w1", "r1", RP_OK);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_a_second_attempt_at_the_same_worker_has_a_token_of_its_own (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    uint64_t first = delivery_of ("r1")->id;
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w1<r1#2");
    assert_true (delivery_of ("r1")->id != first);
    message ("w1", &(rp_head_t){.command = RP_COMMAND_REPLY, .id = first}, 0);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
}

static void s_a_late_reply_to_a_request_in_the_queue_is_refused (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    credit ("w1", 0);
    reply ("w1", "r1", RP_WORKER_LOST);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1");
    assert_int_equal (stats ()->late_replies, 1);
    assert_int_equal (stats ()->waiting, 1);
}

static void s_a_second_reply_is_refused_and_costs_the_worker_nothing (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 2);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    request ("c1", "r4", "upper");
    expect ("w1<r1 c1<r1:OK w1<r2 w1<r3");
    assert_int_equal (stats ()->late_replies, 1);
    assert_true (is_there ("w1"));
}

static void s_a_reply_by_a_worker_that_does_not_hold_it_is_refused (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect ("w1<r1");
    reply_as ("w2", "w1", "r1", RP_OK);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
    assert_true (is_there ("w2"));
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_a_reply_that_was_never_asked_for_is_refused (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    for (uint64_t id = 1; id < 2000; id++)
        message ("w1", &(rp_head_t){.command = RP_COMMAND_REPLY, .id = id << 20 | id}, 0);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1999);
}

static void s_a_status_that_is_not_a_workers_to_give_ends_its_session (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    reply ("w1", "r1", RP_BUSY);
    expect ("w1<r1 w1<bye:INVALID w2<r1#2");
}

/*  ---- Sends that fail ------------------------------------------------------------------------ */

static void s_an_unsent_delivery_goes_to_another_worker_and_is_no_attempt (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect ("w1<r1");
    unsent ("w1", "r1", false);
    expect ("w2<r1");
    assert_int_equal (delivery_of ("r1")->attempt, 1);
    assert_int_equal (stats ()->deliveries, 2);
    assert_int_equal (stats ()->redeliveries, 0);
    tick ();
    // No connection is aborted: its descriptor may belong to another connection by now.
    expect ("");
    assert_int_equal (stats ()->workers_lost, 1);
}

static void s_an_unsent_delivery_keeps_its_attempts (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_worker ("w3", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    unsent ("w1", "r1", false);
    bye ("w2");
    expect ("w1<r1 w2<r1 w3<r1#2");
    assert_int_equal (stats ()->redeliveries, 1);
    unsent ("w3", "r1", false);
    assert_int_equal (stats ()->redeliveries, 1);
    hello_worker ("w4", "upper", 1);
    expect ("w4<r1#2");
    assert_int_equal (stats ()->redeliveries, 2);
}

static void s_an_unsent_delivery_waits_when_there_is_no_other_worker (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    unsent ("w1", "r1", true);
    expect ("w1<r1");
    tick ();
    expect ("cut:w1");
    hello_worker ("w2", "upper", 1);
    expect ("w2<r1");
}

/*  ---- A request that was never begun --------------------------------------------------------- */

static void s_a_request_that_was_not_begun_goes_to_another_worker_and_is_charged_nothing (
  void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    give_back ("w1", "r1");
    expect ("w1<r1 w2<r1");
    assert_int_equal (delivery_of ("r1")->attempt, 1);
    assert_int_equal (stats ()->deliveries, 2);
    assert_int_equal (stats ()->redeliveries, 0);
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_a_worker_that_did_not_begin_a_request_gets_none_until_it_asks (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    give_back ("w1", "r1");
    request ("c1", "r2", "upper");
    expect ("w1<r1 w2<r1");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK w2<r2");
    request ("c1", "r3", "upper");
    expect ("");
    credit ("w1", 1);
    expect ("w1<r3");
}

static void s_a_request_that_no_worker_could_begin_ends_with_no_worker_and_why (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    pass (5000);
    request ("c1", "r1", "upper");
    reply_with ("w1", "r1",
      &(rp_head_t){.status = RP_WORKER_LOST,
        .lost = RP_LOST_UNBEGUN,
        .text = "cannot start it",
        .text_size = 15},
      false);
    expect ("w1<r1 c1<r1:NO_WORKER");
    assert_int_equal (answer_to ("r1")->attempt, 0);
    assert_true (answer_says ("r1", "cannot start it"));
}

static void s_one_that_waits_for_a_worker_goes_on_waiting_when_none_began_it (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    pass (5000);
    request_with ("c1", "r1", "upper", (with_t){.wait_ms = 1000});
    give_back ("w1", "r1");
    expect ("w1<r1");
    hello_worker ("w2", "upper", 1);
    expect ("w2<r1");
}

/*  The core keeps no copy of a request in its last attempt if its worker has answered before.  */
static void s_a_worker_that_answered_and_then_fails_costs_a_request_that_says_it_never_ran (
  void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    hello_worker ("w2", "upper", 0);
    request ("c1", "r2", "upper");
    credit ("w2", 1);
    expect ("w1<r1 c1<r1:OK w1<r2");
    give_back ("w1", "r2");
    expect ("c1<r2:NO_WORKER");
    credit ("w1", 2);
    request ("c1", "r3", "upper");
    expect ("w1<r3");
    give_back ("w1", "r3");
    expect ("w2<r3"); // the core keeps the copy, as w1 has given back a request
}

static void s_a_worker_that_may_decline_costs_no_request_though_it_answered_before (void **state)
{
    (void) state;
    uint8_t headers[32];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, "declines", "1"));
    hello ("w1", &(rp_head_t){.flags = RP_FLAG_WORKER,
                   .time = RP_HEARTBEAT_MAX_MS,
                   .value = 2,
                   .name = "upper",
                   .name_size = 5,
                   .headers = headers,
                   .headers_size = (uint16_t) size});
    expect ("w1<welcome");
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    expect ("w1<r1 c1<r1:OK w1<r2 w1<r3");
    hello_worker ("w2", "upper", 1);
    give_back ("w1", "r2");
    expect ("w2<r2");
    give_back ("w1", "r3");
    reply ("w2", "r2", RP_OK);
    expect ("c1<r2:OK w2<r3");
}

static void s_what_was_lost_before_it_was_not_begun_stays_lost (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    pass (5000);
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    reply ("w1", "r1", RP_WORKER_LOST);
    bye ("w1");
    expect ("w1<r1 w2<r1#2");
    give_back ("w2", "r1");
    expect ("c1<r1:WORKER_LOST");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_a_worker_may_say_that_it_did_not_begin_what_was_withdrawn (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    give_back ("w1", "r1");
    request ("c1", "r2", "upper");
    expect ("");
    credit ("w1", 1);
    expect ("w1<r2");
}

static void s_a_conversation_waits_for_its_worker_when_a_request_was_not_begun (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "upper", "t1");
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r2", "upper", (with_t){.conversation = "t1", .attempts = 2});
    expect ("w1<r1 c1<r1:OK w1<r2");
    give_back ("w1", "r2");
    expect ("");
    credit ("w1", 1);
    expect ("w1<r2");
}

static void s_what_a_closing_worker_already_got_is_lost_with_it (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2});
    request ("c1", "r3", "upper");
    expect ("w1<r1 w1<r2 w1<r3");
    unsent ("w1", "r3", false);
    hello_worker ("w2", "upper", 3);
    expect ("w2<r3");
    tick ();
    expect ("c1<r1:WORKER_LOST w2<r2#2");
}

static void s_a_closing_workers_reply_still_counts (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 3);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    unsent ("w1", NULL, true);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 c1<r1:OK");
    tick ();
    expect ("cut:w1");
}

static void s_a_client_that_does_not_read_is_cut_off (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    unsent ("c1", NULL, true);
    expect ("w1<r1");
    tick ();
    expect ("cut:c1 w1<cancel:r1");
    assert_int_equal (stats ()->clients_lost, 1);
    assert_int_equal (stats ()->waiting, 0);
}

static void s_an_unsent_message_to_nobody_does_no_harm (void **state)
{
    (void) state;
    hello_client ("c1");
    unsent ("w9", NULL, false);
    tick ();
    expect (NOTHING);
    assert_true (is_there ("c1"));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_goes_to_a_worker_and_its_reply_comes_back),
      S_TEST (s_the_client_learns_how_long_a_request_was_queued),
      S_TEST (s_most_room_first_then_least_recently_used),
      S_TEST (s_equal_workers_take_turns),
      S_TEST (s_a_worker_with_one_slot_never_holds_two),
      S_TEST (s_requests_are_served_in_the_order_in_which_they_came),
      S_TEST (s_a_reply_lets_the_next_one_go_at_once),
      S_TEST (s_a_worker_that_joins_gets_what_waits),
      S_TEST (s_services_do_not_see_each_other),
      S_TEST (s_a_window_of_zero_gets_nothing),
      S_TEST (s_credit_widens_the_window),
      S_TEST (s_credit_narrows_the_window),
      S_TEST (s_a_window_of_4096_is_granted_and_4097_is_not),
      S_TEST (s_what_a_lost_worker_held_goes_first_and_in_order_to_another),
      S_TEST (s_one_attempt_is_never_redelivered),
      S_TEST (s_the_last_attempt_ends_with_worker_lost),
      S_TEST (s_a_worker_that_gives_up_does_not_get_it_again_while_another_has_room),
      S_TEST (s_the_only_worker_gets_again_what_it_gave_up),
      S_TEST (s_a_reply_to_an_earlier_attempt_is_refused_and_counted),
      S_TEST (s_a_second_attempt_at_the_same_worker_has_a_token_of_its_own),
      S_TEST (s_a_late_reply_to_a_request_in_the_queue_is_refused),
      S_TEST (s_a_second_reply_is_refused_and_costs_the_worker_nothing),
      S_TEST (s_a_reply_by_a_worker_that_does_not_hold_it_is_refused),
      S_TEST (s_a_reply_that_was_never_asked_for_is_refused),
      S_TEST (s_a_status_that_is_not_a_workers_to_give_ends_its_session),
      S_TEST (s_an_unsent_delivery_goes_to_another_worker_and_is_no_attempt),
      S_TEST (s_an_unsent_delivery_keeps_its_attempts),
      S_TEST (s_a_request_that_was_not_begun_goes_to_another_worker_and_is_charged_nothing),
      S_TEST (s_a_worker_that_did_not_begin_a_request_gets_none_until_it_asks),
      S_TEST (s_a_request_that_no_worker_could_begin_ends_with_no_worker_and_why),
      S_TEST (s_one_that_waits_for_a_worker_goes_on_waiting_when_none_began_it),
      S_TEST (s_a_worker_that_answered_and_then_fails_costs_a_request_that_says_it_never_ran),
      S_TEST (s_a_worker_that_may_decline_costs_no_request_though_it_answered_before),
      S_TEST (s_what_was_lost_before_it_was_not_begun_stays_lost),
      S_TEST (s_a_worker_may_say_that_it_did_not_begin_what_was_withdrawn),
      S_TEST (s_a_conversation_waits_for_its_worker_when_a_request_was_not_begun),
      S_TEST (s_an_unsent_delivery_waits_when_there_is_no_other_worker),
      S_TEST (s_what_a_closing_worker_already_got_is_lost_with_it),
      S_TEST (s_a_closing_workers_reply_still_counts),
      S_TEST (s_a_client_that_does_not_read_is_cut_off),
      S_TEST (s_an_unsent_message_to_nobody_does_no_harm),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
