/*  Replies in parts: passed on to a client that takes them, joined for any other.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/trace.h"

static void s_hello_streaming_client (const char *peer)
{
    hello_foreign_client (peer, RP_TRAIT_MUTE | RP_TRAIT_PARTS, RP_HEARTBEAT_MAX_MS);
}

/*  A worker that sends parts and knows no grants.  */
static void s_hello_parts_worker (const char *peer, const char *service, unsigned window)
{
    hello_foreign_worker (peer, service, (foreign_t){.traits = RP_TRAIT_PARTS, .window = window});
}

/*  ---- To a client that takes them ------------------------------------------------------------ */

static void s_see_replies (const rp_worker_info_t *info, void *arg)
{
    *(uint64_t *) arg = info->replies;
}

/*  Returns how many replies the only worker has sent.  */
static uint64_t s_replies (void)
{
    uint64_t replies = 0;
    rp_dispatch_each_worker (audit ()->core, audit ()->now, s_see_replies, &replies);
    return replies;
}

static void s_a_client_that_takes_parts_gets_each_as_it_comes (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request ("c1", "r1", "upper");
    slip (5);
    part ("w1", "r1", 10);
    expect ("w1<r1 c1<r1:part");
    assert_int_equal (answer_size ("r1"), 10);
    assert_int_equal (answer_to ("r1")->attempt, 1);
    assert_int_equal (answer_to ("r1")->work_us, 5000);
    part ("w1", "r1", 20);
    last_part ("w1", "r1", 30);
    expect ("c1<r1:part c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 30);
    assert_int_equal (stats ()->final[RP_OK], 1);
    assert_int_equal (s_replies (), 1);
}

static void s_parts_do_not_free_the_worker_and_the_last_one_does (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    part ("w1", "r1", 10);
    part ("w1", "r1", 10);
    expect ("w1<r1 c1<r1:part c1<r1:part");
    last_part ("w1", "r1", 0);
    expect ("c1<r1:OK w1<r2");
}

static void s_a_request_whose_client_saw_a_part_is_not_redelivered (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    part ("w1", "r1", 10);
    s_hello_parts_worker ("w2", "upper", 1);
    bye ("w1");
    expect ("w1<r1 c1<r1:part c1<r1:WORKER_LOST");
}

static void s_a_request_whose_client_saw_no_part_is_redelivered (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    s_hello_parts_worker ("w2", "upper", 1);
    bye ("w1");
    part ("w2", "r1", 10);
    expect ("w1<r1 w2<r1#2 c1<r1:part");
}

static void s_a_worker_that_gives_up_after_a_part_ends_the_request (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    part ("w1", "r1", 10);
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 c1<r1:part c1<r1:WORKER_LOST");
}

static void s_a_limit_that_passes_after_a_part_ends_the_request (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper",
      (foreign_t){.traits = RP_TRAIT_MUTE | RP_TRAIT_PARTS, .attempt_limit_ms = 1000});
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    part ("w1", "r1", 10);
    pass (1000);
    expect ("w1<r1 c1<r1:part c1<r1:WORKER_LOST");
}

static void s_a_part_over_the_limit_ends_the_request_with_an_error (void **state)
{
    (void) state;
    limits ()->max_body = 1000;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 900);
    part ("w1", "r1", 900); // the limit is for each part, not for their sum
    reply_sized ("w1", "r1", &(rp_head_t){.flags = RP_FLAG_MORE}, 1001, true);
    expect ("w1<r1 c1<r1:part c1<r1:part c1<r1:APP_ERROR w1<cancel:r1");
    assert_true (answer_says ("r1", "limit of 1000 (max_body)"));
    part ("w1", "r1", 10);
    last_part ("w1", "r1", 10);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 2);
    assert_int_equal (stats ()->too_large, 1);
}

/*  ---- To a foreign client, in whose place the shell grants --------------------------------------- */

static void s_a_native_workers_parts_come_to_a_foreign_client_as_they_are_granted (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 200});
    assert_int_equal (delivery_of ("r1")->flags, RP_FLAG_STREAM);
    part ("w1", "r1", 100);
    grant ("c1", "r1", 500);
    part ("w1", "r1", 200);
    last_part ("w1", "r1", 30);
    expect ("w1<r1 c1<r1:part w1<r1:grant=500 c1<r1:part c1<r1:OK");
    assert_int_equal (stats ()->granted_bytes, 0);
}

static void s_a_foreign_worker_is_not_told_to_wait_and_what_it_sends_counts_as_granted (
  void **state)
{
    (void) state;
    limits ()->stream_window = 1000;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 200});
    part ("w1", "r1", 100);
    part ("w1", "r1", 3000);
    expect ("w1<r1 c1<r1:part c1<r1:part");
    assert_int_equal (stats ()->granted_bytes, 0);
    grant ("c1", "r1", 3228 + 200); // what both cost, and the window
    assert_int_equal (stats ()->granted_bytes, 200);
    part ("w1", "r1", 10);
    last_part ("w1", "r1", 0);
    expect ("c1<r1:part c1<r1:OK");
    assert_int_equal (stats ()->granted_bytes, 0);
}

static void s_a_foreign_client_that_saw_no_part_is_told_of_none (void **state)
{
    (void) state;
    hello_streaming_worker ("w1", "upper", 2);
    s_hello_streaming_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.window = 200});
    request_with ("c1", "r2", "upper", (with_t){.window = 200});
    part ("w1", "r2", 100);
    reply ("w1", "r1", RP_WORKER_LOST);
    assert_false (answer_says ("r1", "passed on"));
    reply ("w1", "r2", RP_WORKER_LOST);
    assert_true (answer_says ("r2", "100 bytes of the reply had been passed on"));
    expect ("w1<r1 w1<r2 c1<r2:part c1<r1:WORKER_LOST c1<r2:WORKER_LOST");
}

/*  ---- To any other client -------------------------------------------------------------------- */

static void s_parts_are_joined_for_a_client_that_takes_none (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    uint64_t open = stats ()->open_bytes;
    part ("w1", "r1", 10);
    part ("w1", "r1", 20);
    expect ("w1<r1");
    assert_int_equal (stats ()->open_bytes, open + 30);
    last_part ("w1", "r1", 30);
    expect ("c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 60);
    assert_int_equal (answer_to ("r1")->attempt, 1);
    assert_int_equal (answer_to ("r1")->flags, RP_FLAG_INLINE); // the flags of the first part
    assert_int_equal (stats ()->open_bytes, 0);
}

static void s_where_the_first_part_begins_stays_as_it_is (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply_sized ("w1", "r1", &(rp_head_t){.flags = RP_FLAG_MORE}, 10, false);
    reply_sized ("w1", "r1", &(rp_head_t){.flags = RP_FLAG_INLINE}, 20, false);
    expect ("w1<r1 c1<r1:OK");
    assert_int_equal (answer_to ("r1")->flags, 0);
    assert_int_equal (answer_size ("r1"), 30);
}

static void s_an_empty_last_part_brings_what_came_before (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 10);
    last_part ("w1", "r1", 0);
    expect ("w1<r1 c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 10);
}

static void s_a_redelivery_begins_with_no_parts (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    part ("w1", "r1", 10);
    s_hello_parts_worker ("w2", "upper", 1);
    bye ("w1");
    part ("w2", "r1", 100);
    last_part ("w2", "r1", 100);
    expect ("w1<r1 w2<r1#2 c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 200);
}

static void s_parts_whose_sum_is_over_the_limit_end_the_request_with_an_error (void **state)
{
    (void) state;
    limits ()->max_body = 1000;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 600);
    part ("w1", "r1", 400);
    expect ("w1<r1");
    part ("w1", "r1", 1);
    expect ("c1<r1:APP_ERROR w1<cancel:r1");
    assert_true (answer_says ("r1", "1001 bytes is over the limit of 1000 (max_body)"));
    assert_int_equal (answer_size ("r1"), 0);
    part ("w1", "r1", 5);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
    request ("c1", "r2", "upper");
    expect (NOTHING); // the worker still has r1
    last_part ("w1", "r1", 5);
    expect ("w1<r2");
    assert_int_equal (stats ()->too_large, 1);
    assert_int_equal (stats ()->final[RP_APP_ERROR], 1);
    assert_int_equal (s_replies (), 1); // the reply that was too large
}

static void s_a_last_part_over_the_limit_ends_the_request_with_an_error (void **state)
{
    (void) state;
    limits ()->max_body = 1000;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 600);
    last_part ("w1", "r1", 401);
    expect ("w1<r1 c1<r1:APP_ERROR");
    assert_true (answer_says ("r1", "1001 bytes is over the limit of 1000 (max_body)"));
    request ("c1", "r2", "upper");
    expect ("w1<r2");
}

static void s_parts_that_the_broker_has_no_room_for_end_the_request_with_an_error (void **state)
{
    (void) state;
    limits ()->total_queue_bytes = 2000;
    s_hello_parts_worker ("w1", "upper", 2);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    part ("w1", "r1", 1500);
    part ("w1", "r2", 501);
    expect ("w1<r1 w1<r2 c1<r2:APP_ERROR w1<cancel:r2");
    assert_true (answer_says ("r2", "total_queue_bytes"));
    last_part ("w1", "r1", 1500); // the last part needs no room: it is sent at once
    expect ("c1<r1:OK");
    assert_int_equal (answer_size ("r1"), 3000);
}

static void s_an_error_at_the_end_goes_alone (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 10);
    reply_sized ("w1", "r1", &(rp_head_t){.status = RP_APP_ERROR, .code = 7}, 3, false);
    expect ("w1<r1 c1<r1:APP_ERROR");
    assert_int_equal (answer_size ("r1"), 3);
    assert_int_equal (answer_to ("r1")->code, 7);
    assert_int_equal (stats ()->open_bytes, 0);
}

/*  ---- Parts for which no client waits -------------------------------------------------------- */

static void s_a_deadline_drops_the_parts_and_the_rest_is_late (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    part ("w1", "r1", 10);
    pass (100);
    expect ("w1<r1 c1<r1:DEADLINE w1<cancel:r1");
    assert_int_equal (stats ()->open_bytes, 0);
    part ("w1", "r1", 10);
    last_part ("w1", "r1", 10);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 2);
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_a_part_after_the_deadline_is_late_though_no_tick_has_come (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    slip (100);
    part ("w1", "r1", 10);
    expect ("w1<r1 c1<r1:DEADLINE w1<cancel:r1");
    assert_int_equal (stats ()->late_replies, 1);
}

static void s_a_cancel_drops_the_parts (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 10);
    cancel ("c1", "r1");
    part ("w1", "r1", 10);
    last_part ("w1", "r1", 10);
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    assert_int_equal (stats ()->open_bytes, 0);
}

static void s_a_client_that_leaves_lets_go_of_the_parts (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 10);
    bye ("c1");
    part ("w1", "r1", 10);
    expect ("w1<r1 w1<cancel:r1");
    assert_int_equal (stats ()->open_bytes, 0);
}

static void s_parts_for_a_client_that_is_about_to_end_are_dropped (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_streaming_client ("c1");
    request ("c1", "r1", "upper");
    unsent ("c1", NULL, true);
    part ("w1", "r1", 10);
    tick ();
    expect ("w1<r1 cut:c1 w1<cancel:r1");
}

static void s_parts_inside_a_broker_that_ends_are_given_back (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    part ("w1", "r1", 10);
    part ("w1", "r1", 10);
    expect ("w1<r1"); // the auditor finds lost payloads when it destroys the core
}

static void s_a_part_by_a_worker_that_does_not_hold_the_request_is_late (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    s_hello_parts_worker ("w2", "lower", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply_with (
      "w2", "r1", &(rp_head_t){.flags = RP_FLAG_MORE, .id = delivery_of ("r1")->id}, false);
    expect ("w1<r1");
    assert_int_equal (stats ()->late_replies, 1);
    last_part ("w1", "r1", 10);
    expect ("c1<r1:OK");
}

static void s_a_part_from_nobody_draws_bye (void **state)
{
    (void) state;
    message ("w1", &(rp_head_t){.command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = 77}, 10);
    message ("w1", &(rp_head_t){.command = RP_COMMAND_REPLY, .id = 77}, 10);
    expect ("w1<bye:INVALID w1<bye:INVALID");
}

static void s_a_part_with_a_status_ends_the_workers_session (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply_with ("w1", "r1", &(rp_head_t){.flags = RP_FLAG_MORE, .status = RP_APP_ERROR}, false);
    expect ("w1<r1 w1<bye:INVALID c1<r1:WORKER_LOST");
}

/*  ---- In a conversation ---------------------------------------------------------------------- */

static void s_only_the_last_part_answers_in_a_conversation (void **state)
{
    (void) state;
    s_hello_parts_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.conversation = "k1", .open = true, .attempts = 2});
    part ("w1", "r1", 10);
    next_in ("c1", "r2", "upper", "k1");
    s_hello_parts_worker ("w2", "upper", 1);
    bye ("w1");
    expect ("w1<r1 w2<r1#2");
    part ("w2", "r1", 10);
    last_part ("w2", "r1", 10);
    expect ("c1<r1:OK w2<r2");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_client_that_takes_parts_gets_each_as_it_comes),
      S_TEST (s_parts_do_not_free_the_worker_and_the_last_one_does),
      S_TEST (s_a_request_whose_client_saw_a_part_is_not_redelivered),
      S_TEST (s_a_request_whose_client_saw_no_part_is_redelivered),
      S_TEST (s_a_worker_that_gives_up_after_a_part_ends_the_request),
      S_TEST (s_a_limit_that_passes_after_a_part_ends_the_request),
      S_TEST (s_a_part_over_the_limit_ends_the_request_with_an_error),
      S_TEST (s_a_native_workers_parts_come_to_a_foreign_client_as_they_are_granted),
      S_TEST (s_a_foreign_worker_is_not_told_to_wait_and_what_it_sends_counts_as_granted),
      S_TEST (s_a_foreign_client_that_saw_no_part_is_told_of_none),
      S_TEST (s_parts_are_joined_for_a_client_that_takes_none),
      S_TEST (s_where_the_first_part_begins_stays_as_it_is),
      S_TEST (s_an_empty_last_part_brings_what_came_before),
      S_TEST (s_a_redelivery_begins_with_no_parts),
      S_TEST (s_parts_whose_sum_is_over_the_limit_end_the_request_with_an_error),
      S_TEST (s_a_last_part_over_the_limit_ends_the_request_with_an_error),
      S_TEST (s_parts_that_the_broker_has_no_room_for_end_the_request_with_an_error),
      S_TEST (s_an_error_at_the_end_goes_alone),
      S_TEST (s_a_deadline_drops_the_parts_and_the_rest_is_late),
      S_TEST (s_a_part_after_the_deadline_is_late_though_no_tick_has_come),
      S_TEST (s_a_cancel_drops_the_parts),
      S_TEST (s_a_client_that_leaves_lets_go_of_the_parts),
      S_TEST (s_parts_for_a_client_that_is_about_to_end_are_dropped),
      S_TEST (s_parts_inside_a_broker_that_ends_are_given_back),
      S_TEST (s_a_part_by_a_worker_that_does_not_hold_the_request_is_late),
      S_TEST (s_a_part_from_nobody_draws_bye),
      S_TEST (s_a_part_with_a_status_ends_the_workers_session),
      S_TEST (s_only_the_last_part_answers_in_a_conversation),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
