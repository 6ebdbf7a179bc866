/*  Workers whose protocol says little: attempts that a limit ends, and windows that change at any
    time.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/trace.h"

static void s_see_worker (const rp_worker_info_t *info, void *arg)
{
    *(rp_worker_info_t *) arg = *info;
}

/*  Returns the only worker.  */
static rp_worker_info_t s_worker (void)
{
    rp_worker_info_t info = {0};
    rp_dispatch_each_worker (audit ()->core, audit ()->now, s_see_worker, &info);
    return info;
}

/*  ---- The limit of an attempt ---------------------------------------------------------------- */

static void s_hello_plain_worker (const char *peer, unsigned window)
{
    hello_foreign_worker (peer, "upper",
      (foreign_t){.traits = RP_TRAIT_MUTE, .window = window, .attempt_limit_ms = 1000});
}

static void s_an_attempt_that_is_not_answered_in_time_goes_to_another_worker (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    hello_worker ("w2", "upper", 1);
    pass (999);
    expect ("w1<r1");
    pass (1);
    expect ("w2<r1#2");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK");
    assert_int_equal (stats ()->overdue_attempts, 1);
    assert_int_equal (stats ()->redeliveries, 1);
    assert_int_equal (logged (RP_TOPIC_LOST), 1);
    assert_true (is_there ("w1"));
}

static void s_an_attempt_goes_to_the_same_worker_if_there_is_no_other (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    pass (2000);
    expect ("w1<r1 w1<r1#2 w1<r1#3");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_the_last_attempt_that_is_not_answered_in_time_ends_with_worker_lost (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    pass (1000);
    expect ("w1<r1 c1<r1:WORKER_LOST w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
}

static void s_the_client_is_told_that_the_worker_did_not_answer_in_time (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    pass (1000);
    assert_true (answer_says ("r1", "did not answer within the limit"));
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_the_late_reply_of_a_lost_attempt_is_refused_and_counted (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    rp_token_t first = {delivery_of ("r1")->id};
    pass (1000);
    expect ("w1<r1 w1<r1#2");
    reply_with ("w1", "r1", &(rp_head_t){.id = first.v}, false);
    expect (NOTHING);
    assert_int_equal (stats ()->late_replies, 1);
    assert_int_equal (s_worker ().running, 1);
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_a_late_reply_after_the_limit_costs_an_idle_worker_nothing (void **state)
{
    (void) state;
    hello_foreign_worker (
      "w1", "upper", (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .attempt_limit_ms = 1000});
    hello_client ("c1");
    request ("c1", "r1", "upper");
    pass (1000);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 c1<r1:WORKER_LOST");
    request ("c1", "r2", "upper");
    expect ("w1<r2");
}

static void s_a_late_reply_to_what_waits_or_has_ended_is_refused_and_counted (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    credit ("w1", 0);
    pass (1000);
    reply ("w1", "r1", RP_OK); // the request waits again
    cancel ("c1", "r1");
    reply ("w1", "r1", RP_OK); // the request has ended
    expect ("w1<r1 c1<r1:CANCELLED");
    assert_int_equal (stats ()->late_replies, 2);
}

static void s_the_deadline_comes_before_a_later_limit (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .time_ms = 400});
    request ("c1", "r2", "upper");
    pass (999);
    expect ("w1<r1 c1<r1:DEADLINE w1<cancel:r1");
    pass (1); // w1 has room again, though it never replied
    expect ("w1<r2");
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_a_deadline_at_the_limit_is_the_deadline (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .time_ms = 1000});
    pass (1000);
    expect ("w1<r1 c1<r1:DEADLINE w1<cancel:r1");
    assert_int_equal (s_worker ().abandoned, 0);
}

static void s_the_place_of_a_cancelled_attempt_is_free_after_the_limit (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    cancel ("c1", "r1");
    pass (1000);
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1 w1<r2");
    assert_int_equal (stats ()->overdue_attempts, 1);
}

static void s_a_reply_before_the_limit_is_noticed_counts (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    slip (1500);
    reply ("w1", "r1", RP_OK);
    tick ();
    expect ("w1<r1 c1<r1:OK");
}

static void s_the_limit_holds_for_each_attempt_and_for_its_worker_only (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    hello_worker ("w2", "upper", 1);
    pass (30000);
    expect ("w1<r1 w2<r1#2");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_a_worker_freed_by_its_limit_is_waited_for_anew (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper",
      (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 1000, .attempt_limit_ms = 10000});
    hello_client ("c1");
    request ("c1", "r1", "upper");
    pass (12999);
    assert_true (is_there ("w1"));
    forget ();
    pass (1);
    expect ("cut:w1");
}

static void s_a_conversation_goes_on_with_the_worker_that_did_not_answer_in_time (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "upper", "k1");
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r2", "upper", (with_t){.conversation = "k1", .attempts = 3});
    next_in ("c1", "r3", "upper", "k1");
    expect ("w1<r1 c1<r1:OK w1<r2");
    pass (1000);
    expect ("c1<r2:WORKER_LOST w1<r3");
}

static void s_many_attempts_that_are_due_at_once_are_all_lost (void **state)
{
    (void) state;
    enum { COUNT = 200 };
    s_hello_plain_worker ("w1", COUNT);
    hello_client ("c1");
    for (unsigned number = 1; number <= COUNT; number++) {
        char name[8];
        snprintf (name, sizeof name, "r%u", number);
        request ("c1", name, "upper");
    }
    pass (1000);
    assert_int_equal (stats ()->final[RP_WORKER_LOST], COUNT);
    assert_int_equal (s_worker ().running, 0);
}

/*  ---- A window that changes at any time ------------------------------------------------------ */

static void s_a_window_below_what_is_held_stops_new_work_until_it_fits (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 3);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c1", "r3", "upper");
    request ("c1", "r4", "upper");
    credit ("w1", 1);
    reply ("w1", "r1", RP_OK);
    reply ("w1", "r2", RP_OK);
    expect ("w1<r1 w1<r2 w1<r3 c1<r1:OK c1<r2:OK");
    reply ("w1", "r3", RP_OK);
    expect ("c1<r3:OK w1<r4");
}

static void s_a_window_of_nothing_keeps_what_is_held_until_its_limit (void **state)
{
    (void) state;
    s_hello_plain_worker ("w1", 2);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request_with ("c1", "r2", "upper", (with_t){.attempts = 2});
    credit ("w1", 0);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 w1<r2 c1<r1:OK");
    pass (1000);
    expect (NOTHING); // the only worker takes nothing now
    credit ("w1", 1);
    expect ("w1<r2#2");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_an_attempt_that_is_not_answered_in_time_goes_to_another_worker),
      S_TEST (s_an_attempt_goes_to_the_same_worker_if_there_is_no_other),
      S_TEST (s_the_last_attempt_that_is_not_answered_in_time_ends_with_worker_lost),
      S_TEST (s_the_client_is_told_that_the_worker_did_not_answer_in_time),
      S_TEST (s_the_late_reply_of_a_lost_attempt_is_refused_and_counted),
      S_TEST (s_a_late_reply_after_the_limit_costs_an_idle_worker_nothing),
      S_TEST (s_a_late_reply_to_what_waits_or_has_ended_is_refused_and_counted),
      S_TEST (s_the_deadline_comes_before_a_later_limit),
      S_TEST (s_a_deadline_at_the_limit_is_the_deadline),
      S_TEST (s_the_place_of_a_cancelled_attempt_is_free_after_the_limit),
      S_TEST (s_a_reply_before_the_limit_is_noticed_counts),
      S_TEST (s_the_limit_holds_for_each_attempt_and_for_its_worker_only),
      S_TEST (s_a_worker_freed_by_its_limit_is_waited_for_anew),
      S_TEST (s_a_conversation_goes_on_with_the_worker_that_did_not_answer_in_time),
      S_TEST (s_many_attempts_that_are_due_at_once_are_all_lost),
      S_TEST (s_a_window_below_what_is_held_stops_new_work_until_it_fits),
      S_TEST (s_a_window_of_nothing_keeps_what_is_held_until_its_limit),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
