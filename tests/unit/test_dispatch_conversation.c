/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/trace.h"

/*  Makes conversation k1 of c1 on w1, with one request that was answered.  */
static void s_established (void)
{
    hello_worker ("w1", "site", 2);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    expect ("w1<r1");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_requests_of_a_conversation_run_one_at_a_time_in_order (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    next_in ("c1", "r4", "site", "k1");
    expect ("w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<r3");
    reply ("w1", "r3", RP_APP_ERROR);
    expect ("c1<r3:APP_ERROR w1<r4");
    reply ("w1", "r4", RP_OK);
    expect ("c1<r4:OK");
}

static void s_a_conversation_stays_on_the_worker_that_answered_first (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 100);
    for (unsigned round = 0; round < 3; round++) {
        next_in ("c1", "r2", "site", "k1");
        expect ("w1<r2");
        reply ("w1", "r2", RP_OK);
        expect ("c1<r2:OK");
    }
}

static void s_a_request_waits_for_its_worker_while_that_is_full (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "site");
    hello_worker ("w2", "site", 9);
    expect ("w1<r1 c1<r1:OK w1<r2");
    next_in ("c1", "r3", "site", "k1");
    expect (NOTHING);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<r3");
}

static void s_what_is_pinned_to_a_worker_goes_before_what_is_queued (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "site");
    request ("c1", "r3", "site");
    next_in ("c1", "r4", "site", "k1");
    expect ("w1<r1 c1<r1:OK w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<r4");
    reply ("w1", "r4", RP_OK);
    expect ("c1<r4:OK w1<r3");
}

static void s_more_credit_lets_a_pinned_request_go (void **state)
{
    (void) state;
    s_established ();
    credit ("w1", 0);
    next_in ("c1", "r2", "site", "k1");
    expect (NOTHING);
    credit ("w1", 1);
    expect ("w1<r2");
}

static void s_an_unanswered_opener_is_redelivered_elsewhere (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "site", (with_t){.attempts = 2, .conversation = "k1", .open = true});
    next_in ("c1", "r2", "site", "k1");
    hello_worker ("w2", "site", 1);
    expect ("w1<r1");
    bye ("w1");
    expect ("w2<r1#2");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK w2<r2");
}

static void s_an_established_conversation_is_lost_with_its_worker (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 5);
    request_with ("c1", "r2", "site", (with_t){.attempts = 3, .conversation = "k1"});
    next_in ("c1", "r3", "site", "k1");
    next_in ("c1", "r4", "site", "k1");
    expect ("w1<r2");
    bye ("w1");
    expect ("c1<r2:WORKER_LOST c1<r3:CONVERSATION_LOST c1<r4:CONVERSATION_LOST");
    next_in ("c1", "r5", "site", "k1");
    expect ("c1<r5:CONVERSATION_LOST");
    open_in ("c1", "r6", "site", "k1");
    expect ("w2<r6");
    assert_int_equal (stats ()->conversations_lost, 1);
}

static void s_an_idle_conversation_whose_worker_is_lost_is_lost_for_the_next_request (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 5);
    bye ("w1");
    expect (NOTHING);
    next_in ("c1", "r2", "site", "k1");
    expect ("c1<r2:CONVERSATION_LOST");
    assert_int_equal (answer_to ("r2")->attempt, 0);
}

static void s_a_lost_conversation_says_so_though_no_worker_is_left (void **state)
{
    (void) state;
    s_established ();
    bye ("w1");
    pass (10000);
    next_in ("c1", "r2", "site", "k1");
    expect ("c1<r2:CONVERSATION_LOST");
}

static void s_a_conversation_that_may_not_begin_is_refused (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    next_in ("c1", "r1", "site", "k1");
    expect ("c1<r1:CONVERSATION_LOST");
    assert_int_equal (counts ().conversations, 0);
}

static void s_end_tells_the_worker_and_forgets_the_conversation (void **state)
{
    (void) state;
    s_established ();
    end ("c1", "k1");
    expect ("w1<end:k1");
    assert_int_equal (counts ().conversations, 0);
    next_in ("c1", "r2", "site", "k1");
    expect ("c1<r2:CONVERSATION_LOST");
}

static void s_end_lets_the_running_request_finish_and_ends_what_waits (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    end ("c1", "k1");
    expect ("w1<r2 c1<r3:CONVERSATION_LOST w1<end:k1");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
}

static void s_what_runs_when_its_conversation_ends_is_not_redelivered (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 5);
    request_with ("c1", "r2", "site", (with_t){.attempts = 3, .conversation = "k1"});
    end ("c1", "k1");
    expect ("w1<r2 w1<end:k1");
    bye ("w1");
    expect ("c1<r2:WORKER_LOST");
}

static void s_an_opener_whose_conversation_ended_is_not_redelivered (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "site", (with_t){.attempts = 3, .conversation = "k1", .open = true});
    end ("c1", "k1");
    expect ("w1<r1 w1<end:k1");
    hello_worker ("w2", "site", 1);
    bye ("w1");
    expect ("c1<r1:WORKER_LOST");
}

static void s_an_unsent_request_whose_conversation_ended_is_lost_with_it (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 1);
    next_in ("c1", "r2", "site", "k1");
    end ("c1", "k1");
    expect ("w1<r2 w1<end:k1");
    unsent ("w1", "r2", false);
    expect ("c1<r2:CONVERSATION_LOST");
    assert_int_equal (answer_to ("r2")->attempt, 0);
}

static void s_an_unsent_request_of_an_established_conversation_is_lost_with_it (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 1);
    next_in ("c1", "r2", "site", "k1");
    expect ("w1<r2");
    unsent ("w1", "r2", false);
    tick ();
    expect ("c1<r2:CONVERSATION_LOST");
}

static void s_an_unsent_opener_goes_to_another_worker (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    next_in ("c1", "r2", "site", "k1");
    hello_worker ("w2", "site", 1);
    expect ("w1<r1");
    unsent ("w1", "r1", true);
    expect ("w2<r1");
    reply ("w2", "r1", RP_OK);
    expect ("c1<r1:OK w2<r2");
}

static void s_a_reply_with_last_ends_the_conversation (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    expect ("w1<r2");
    reply_with ("w1", "r2", &(rp_head_t){.flags = RP_FLAG_LAST}, false);
    expect ("c1<r2:OK c1<r3:CONVERSATION_LOST w1<end:k1");
    assert_true (answer_to ("r3")->attempt == 0);
    open_in ("c1", "r4", "site", "k1");
    expect ("w1<r4");
}

static void s_the_client_learns_that_a_reply_was_the_last (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    reply_with ("w1", "r2", &(rp_head_t){.flags = RP_FLAG_LAST}, false);
    assert_int_equal (answer_to ("r2")->flags, RP_FLAG_LAST);
    expect ("w1<r2 c1<r2:OK w1<end:k1");
}

static void s_last_counts_though_the_client_cancelled (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    cancel ("c1", "r2");
    expect ("w1<r2 c1<r2:CANCELLED w1<cancel:r2");
    reply_with ("w1", "r2", &(rp_head_t){.flags = RP_FLAG_LAST}, false);
    expect ("c1<r3:CONVERSATION_LOST w1<end:k1");
}

static void s_a_worker_that_lost_a_conversation_ends_it_and_stays (void **state)
{
    (void) state;
    s_established ();
    request_with ("c1", "r2", "site", (with_t){.attempts = 3, .conversation = "k1"});
    next_in ("c1", "r3", "site", "k1");
    reply_with ("w1", "r2", &(rp_head_t){.status = RP_WORKER_LOST, .flags = RP_FLAG_LAST}, false);
    expect ("w1<r2 c1<r3:CONVERSATION_LOST w1<end:k1 c1<r2:WORKER_LOST");
    assert_int_equal (stats ()->conversations_lost, 1);
    open_in ("c1", "r4", "site", "k1");
    expect ("w1<r4");
}

static void s_a_conversation_that_a_worker_lost_is_over_though_the_client_cancelled (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    cancel ("c1", "r2");
    expect ("w1<r2 c1<r2:CANCELLED w1<cancel:r2");
    reply_with ("w1", "r2", &(rp_head_t){.status = RP_WORKER_LOST, .flags = RP_FLAG_LAST}, false);
    expect ("c1<r3:CONVERSATION_LOST w1<end:k1");
}

static void s_the_next_request_waits_for_the_reply_to_a_cancelled_one (void **state)
{
    (void) state;
    s_established ();
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    cancel ("c1", "r2");
    expect ("w1<r2 c1<r2:CANCELLED w1<cancel:r2");
    reply ("w1", "r2", RP_OK);
    expect ("w1<r3");
}

static void s_a_cancelled_opener_that_was_answered_establishes (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 1);
    hello_worker ("w2", "site", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    reply ("w1", "r1", RP_OK);
    request_with ("c1", "r2", "site", (with_t){.attempts = 2, .conversation = "k1"});
    expect ("w1<r2");
    bye ("w1");
    expect ("c1<r2:WORKER_LOST");
}

static void s_an_idle_conversation_ends_at_the_limit (void **state)
{
    (void) state;
    limits ()->conversation_idle = 5000;
    s_established ();
    pass (4000);
    next_in ("c1", "r2", "site", "k1");
    expect ("w1<r2");
    pass (6000);
    expect (NOTHING);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
    pass (4999);
    expect (NOTHING);
    pass (1);
    expect ("w1<end:k1");
    next_in ("c1", "r3", "site", "k1");
    expect ("c1<r3:CONVERSATION_LOST");
}

static void s_a_conversation_belongs_to_one_service (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "other", 1);
    next_in ("c1", "r2", "other", "k1");
    expect ("c1<r2:INVALID");
    next_in ("c1", "r3", "site", "k1");
    expect ("w1<r3");
}

static void s_two_clients_may_choose_the_same_number (void **state)
{
    (void) state;
    s_established ();
    hello_worker ("w2", "site", 9);
    hello_client ("c2");
    open_in ("c2", "r11", "site", "k1");
    expect ("w2<r11");
    next_in ("c1", "r2", "site", "k1");
    expect ("w1<r2");
    end ("c2", "k1");
    expect ("w2<end:k1");
    reply ("w1", "r2", RP_OK);
    next_in ("c1", "r3", "site", "k1");
    expect ("c1<r2:OK w1<r3");
}

static void s_many_conversations_spread_over_the_workers (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 2);
    hello_worker ("w2", "site", 2);
    hello_worker ("w3", "site", 2);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    open_in ("c1", "r2", "site", "k2");
    open_in ("c1", "r3", "site", "k3");
    open_in ("c1", "r4", "site", "k4");
    open_in ("c1", "r5", "site", "k5");
    open_in ("c1", "r6", "site", "k6");
    expect ("w1<r1 w2<r2 w3<r3 w1<r4 w2<r5 w3<r6");
}

static void s_a_client_that_leaves_ends_its_conversations (void **state)
{
    (void) state;
    s_established ();
    open_in ("c1", "r2", "site", "k2");
    next_in ("c1", "r3", "site", "k2");
    expect ("w1<r2");
    bye ("c1");
    expect ("w1<end:k1 w1<end:k2 w1<cancel:r2");
    assert_int_equal (counts ().conversations, 0);
    assert_int_equal (stats ()->final[RP_CANCELLED], 2);
}

static void s_an_end_of_something_unknown_is_counted_and_harmless (void **state)
{
    (void) state;
    s_established ();
    end ("c1", "k9");
    expect (NOTHING);
    assert_true (is_there ("c1"));
    assert_int_equal (stats ()->unknown_cancels, 1);
}

static void s_a_deadline_does_not_end_the_conversation (void **state)
{
    (void) state;
    s_established ();
    request_with ("c1", "r2", "site", (with_t){.time_ms = 100, .conversation = "k1"});
    next_in ("c1", "r3", "site", "k1");
    pass (100);
    expect ("w1<r2 c1<r2:DEADLINE w1<cancel:r2");
    reply ("w1", "r2", RP_OK);
    expect ("w1<r3");
}

static void s_a_long_line_that_expires_all_at_once_does_no_harm (void **state)
{
    (void) state;
    s_established ();
    credit ("w1", 0);
    for (unsigned index = 0; index < 500; index++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", index + 10);
        request_with ("c1", name, "site", (with_t){.time_ms = 100, .conversation = "k1"});
    }
    slip (200);
    credit ("w1", 1);
    stall (0);
    assert_int_equal (stats ()->final[RP_EXPIRED], 500);
    assert_int_equal (stats ()->deliveries, 1);
}

static void s_too_many_conversations_draw_busy (void **state)
{
    (void) state;
    limits ()->max_conversations = 1;
    s_established ();
    open_in ("c1", "r2", "site", "k2");
    expect ("c1<r2:BUSY");
    assert_true (answer_says ("r2", "max_conversations"));
    end ("c1", "k1");
    open_in ("c1", "r3", "site", "k2");
    expect ("w1<end:k1 w1<r3");
}

static void s_one_client_cannot_use_up_the_conversations_of_all (void **state)
{
    (void) state;
    limits ()->client_conversations = 1;
    s_established ();
    open_in ("c1", "r2", "site", "k2");
    expect ("c1<r2:BUSY");
    assert_true (answer_says ("r2", "client_conversations"));
    hello_client ("c9");
    open_in ("c9", "r3", "site", "k9");
    expect ("w1<r3");
    end ("c1", "k1");
    reply ("w1", "r3", RP_OK);
    open_in ("c1", "r4", "site", "k2");
    expect ("w1<end:k1 c9<r3:OK w1<r4");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_requests_of_a_conversation_run_one_at_a_time_in_order),
      S_TEST (s_a_conversation_stays_on_the_worker_that_answered_first),
      S_TEST (s_a_request_waits_for_its_worker_while_that_is_full),
      S_TEST (s_what_is_pinned_to_a_worker_goes_before_what_is_queued),
      S_TEST (s_more_credit_lets_a_pinned_request_go),
      S_TEST (s_an_unanswered_opener_is_redelivered_elsewhere),
      S_TEST (s_an_established_conversation_is_lost_with_its_worker),
      S_TEST (s_an_idle_conversation_whose_worker_is_lost_is_lost_for_the_next_request),
      S_TEST (s_a_lost_conversation_says_so_though_no_worker_is_left),
      S_TEST (s_a_conversation_that_may_not_begin_is_refused),
      S_TEST (s_end_tells_the_worker_and_forgets_the_conversation),
      S_TEST (s_end_lets_the_running_request_finish_and_ends_what_waits),
      S_TEST (s_what_runs_when_its_conversation_ends_is_not_redelivered),
      S_TEST (s_an_opener_whose_conversation_ended_is_not_redelivered),
      S_TEST (s_an_unsent_request_whose_conversation_ended_is_lost_with_it),
      S_TEST (s_an_unsent_request_of_an_established_conversation_is_lost_with_it),
      S_TEST (s_an_unsent_opener_goes_to_another_worker),
      S_TEST (s_a_reply_with_last_ends_the_conversation),
      S_TEST (s_the_client_learns_that_a_reply_was_the_last),
      S_TEST (s_last_counts_though_the_client_cancelled),
      S_TEST (s_a_worker_that_lost_a_conversation_ends_it_and_stays),
      S_TEST (s_a_conversation_that_a_worker_lost_is_over_though_the_client_cancelled),
      S_TEST (s_the_next_request_waits_for_the_reply_to_a_cancelled_one),
      S_TEST (s_a_cancelled_opener_that_was_answered_establishes),
      S_TEST (s_an_idle_conversation_ends_at_the_limit),
      S_TEST (s_a_conversation_belongs_to_one_service),
      S_TEST (s_two_clients_may_choose_the_same_number),
      S_TEST (s_many_conversations_spread_over_the_workers),
      S_TEST (s_a_client_that_leaves_ends_its_conversations),
      S_TEST (s_an_end_of_something_unknown_is_counted_and_harmless),
      S_TEST (s_a_deadline_does_not_end_the_conversation),
      S_TEST (s_a_long_line_that_expires_all_at_once_does_no_harm),
      S_TEST (s_too_many_conversations_draw_busy),
      S_TEST (s_one_client_cannot_use_up_the_conversations_of_all),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
