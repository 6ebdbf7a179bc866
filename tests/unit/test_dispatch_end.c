/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"
#include "tests/support/trace.h"

/*  ---- Deadlines ------------------------------------------------------------------------------ */

static void s_a_deadline_that_passes_in_the_queue_is_expired (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    pass (99);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:EXPIRED");
    assert_int_equal (answer_to ("r1")->attempt, 0);
    assert_int_equal (answer_to ("r1")->queue_us, 100000);
    credit ("w1", 1);
    expect (NOTHING);
}

static void s_a_deadline_that_passes_at_a_worker_is_deadline_and_the_worker_is_told (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    expect ("w1<r1");
    pass (100);
    expect ("c1<r1:DEADLINE w1<cancel:r1");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_a_deadline_between_two_deliveries_is_deadline (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100, .attempts = 2});
    bye ("w1");
    expect ("w1<r1");
    pass (100);
    expect ("c1<r1:DEADLINE");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_a_request_that_comes_too_late_is_expired_at_the_door (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.overdue = true});
    expect ("c1<r1:EXPIRED");
}

static void s_nothing_is_dispatched_after_its_deadline_though_no_tick_has_come (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    request_with ("c1", "r2", "upper", (with_t){.time_ms = 500});
    slip (200);
    credit ("w1", 2);
    expect ("c1<r1:EXPIRED w1<r2");
}

static void s_a_reply_after_the_deadline_is_late_though_no_tick_has_come (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    request ("c1", "r2", "upper");
    slip (100);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r1 c1<r1:DEADLINE w1<r2");
    assert_int_equal (stats ()->late_replies, 1);
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_a_worker_always_gets_a_millisecond_at_least (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 1});
    audit ()->now += 999; // µs
    credit ("w1", 1);
    expect ("w1<r1");
    assert_int_equal (delivery_of ("r1")->deadline_ms, 1);
}

static void s_the_place_of_an_overdue_request_is_free_when_its_worker_replies (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100});
    request ("c1", "r2", "upper");
    pass (100);
    expect ("w1<r1 c1<r1:DEADLINE w1<cancel:r1");
    assert_int_equal (stats ()->abandoned, 1);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r2");
    assert_int_equal (stats ()->late_replies, 1);
}

/*  ---- Cancel --------------------------------------------------------------------------------- */

static void s_a_queued_request_that_is_cancelled_never_starts (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    expect ("c1<r1:CANCELLED");
    assert_int_equal (answer_to ("r1")->attempt, 0);
    credit ("w1", 1);
    expect (NOTHING);
}

static void s_a_running_request_that_is_cancelled_says_that_it_had_started (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_only_the_workers_own_reply_frees_the_place_of_a_cancelled_request (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    request ("c1", "r2", "upper");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r2");
}

static void s_a_cancelled_request_is_not_redelivered (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 3});
    cancel ("c1", "r1");
    bye ("w1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_an_unsent_delivery_that_was_cancelled_is_forgotten (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED w1<cancel:r1");
    unsent ("w1", "r1", false);
    expect (NOTHING);
    assert_int_equal (stats ()->abandoned, 0);
}

static void s_a_cancel_between_two_deliveries_says_so (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 0);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    bye ("w1");
    cancel ("c1", "r1");
    expect ("w1<r1 c1<r1:CANCELLED");
    assert_int_equal (answer_to ("r1")->attempt, 1);
}

static void s_a_cancel_of_something_unknown_is_counted_and_harmless (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    cancel ("c1", "r1");
    request ("c1", "r2", "upper");
    cancel ("c2", "r2");
    expect ("w1<r1 c1<r1:OK w1<r2");
    assert_int_equal (stats ()->unknown_cancels, 2);
    assert_true (is_there ("c1") && is_there ("c2"));
}

/*  ---- A client that is gone ------------------------------------------------------------------ */

static void s_a_client_that_leaves_withdraws_what_is_queued_and_cancels_what_runs (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    request ("c2", "r3", "upper");
    bye ("c1");
    expect ("w1<r1 w1<cancel:r1");
    assert_int_equal (stats ()->final[RP_CANCELLED], 2);
    reply ("w1", "r1", RP_OK);
    expect ("w1<r3");
}

static void s_two_clients_may_use_the_same_id (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_worker ("w2", "upper", 1);
    hello_client ("c1");
    hello_client ("c2");
    request ("c1", "r1", "upper");
    request ("c2", "r1", "upper");
    expect ("w1<r1 w2<r1");
    reply ("w2", "r1", RP_OK);
    expect ("c2<r1:OK");
    reply ("w1", "r1", RP_APP_ERROR);
    expect ("c1<r1:APP_ERROR");
}

static void s_an_id_that_is_open_already_is_invalid_and_the_first_goes_on (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r1", "upper");
    expect ("w1<r1 c1<r1:INVALID");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

/*  ---- No worker ------------------------------------------------------------------------------ */

static void s_a_request_for_an_unknown_service_draws_no_worker_at_once (void **state)
{
    (void) state;
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect ("c1<r1:NO_WORKER");
    assert_true (answer_says ("r1", "\"upper\""));
    assert_int_equal (counts ().services, 0);
}

static void s_a_mistyped_name_draws_a_suggestion_that_programs_can_read (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "uper");
    expect ("c1<r1:NO_WORKER");
    assert_true (answer_says ("r1", "did you mean \"upper\"?"));
    rp_header_t header;
    const rp_head_t *answer = answer_to ("r1");
    assert_true (rp_headers_find (answer->headers, answer->headers_size, "hint", &header));
    assert_int_equal (header.value_size, 5);
    assert_memory_equal (header.value, "upper", 5);
}

static void s_a_name_far_from_any_draws_no_suggestion (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request ("c1", "r1", "translate");
    expect ("c1<r1:NO_WORKER");
    assert_int_equal (answer_to ("r1")->headers_size, 0);
}

static void s_a_whole_queue_that_ends_at_once_is_told_why (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    for (unsigned id = 1; id <= 999; id++) {
        char name[16];
        snprintf (name, sizeof name, "r%u", id);
        request ("c1", name, "upper");
    }
    bye ("w1");
    pass (3000);
    assert_int_equal (stats ()->final[RP_NO_WORKER], 999);
    assert_true (answer_says ("r999", "no worker offers"));
}

static void s_a_request_may_wait_for_a_worker (void **state)
{
    (void) state;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.wait_ms = 10000});
    request_with ("c1", "r2", "upper", (with_t){.wait_ms = 20000});
    pass (9999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:NO_WORKER");
    hello_worker ("w1", "upper", 1);
    expect ("w1<r2");
    assert_int_equal (stats ()->waiting, 0);
}

static void s_a_wait_for_a_worker_never_outlasts_the_deadline (void **state)
{
    (void) state;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 100, .wait_ms = 10000});
    pass (100);
    expect ("c1<r1:NO_WORKER");
    assert_true (answer_says ("r1", "no worker offers"));
    assert_int_equal (counts ().services, 0);
}

static void s_at_the_deadline_it_counts_whether_a_worker_offers_the_service (void **state)
{
    (void) state;
    limits ()->rejoin_grace = 3000;
    limits ()->service_linger = 3000;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 1000}); // within the rejoin grace
    pass (1000);
    expect ("c1<r1:NO_WORKER");
    hello_worker ("w1", "upper", 0);
    request_with ("c1", "r2", "upper", (with_t){.time_ms = 1000});
    pass (1000);
    expect ("c1<r2:EXPIRED");
    request_with ("c1", "r3", "upper", (with_t){.time_ms = 1000});
    bye ("w1"); // the service lingers
    pass (1000);
    expect ("c1<r3:NO_WORKER");
}

static void s_a_wait_for_a_worker_ends_when_one_comes_though_it_is_full (void **state)
{
    (void) state;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 5000, .wait_ms = 1000});
    hello_worker ("w1", "upper", 0);
    pass (4999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:EXPIRED");
}

static void s_a_wait_is_over_when_it_is_though_a_worker_came_and_went (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.wait_ms = 10000});
    hello_worker ("w1", "upper", 0);
    pass (5000);
    bye ("w1");
    pass (4999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:NO_WORKER");
}

static void s_a_wait_counts_again_between_two_deliveries (void **state)
{
    (void) state;
    limits ()->service_linger = 100;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2, .wait_ms = 5000});
    bye ("w1");
    expect ("w1<r1");
    pass (4999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:WORKER_LOST");
}

static void s_requests_wait_a_while_for_a_service_that_lost_its_last_worker (void **state)
{
    (void) state;
    limits ()->service_linger = 3000;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request ("c1", "r2", "upper");
    bye ("w1");
    pass (1000);
    request ("c1", "r3", "upper");
    expect ("w1<r1");
    pass (1999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:WORKER_LOST c1<r2:NO_WORKER c1<r3:NO_WORKER");
    request ("c1", "r4", "upper");
    expect ("c1<r4:NO_WORKER");
    assert_int_equal (counts ().services, 0);
}

static void s_a_worker_that_comes_back_within_the_linger_gets_what_waits (void **state)
{
    (void) state;
    hello_worker ("w1", "upper", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    request ("c1", "r2", "upper");
    bye ("w1");
    pass (1000);
    hello_worker ("w1", "upper", 2);
    expect ("w1<r1 w1<r1#2 w1<r2");
}

static void s_a_line_behind_an_opener_that_no_worker_came_for_ends_too (void **state)
{
    (void) state;
    hello_worker ("w1", "site", 0);
    hello_client ("c1");
    open_in ("c1", "r1", "site", "k1");
    next_in ("c1", "r2", "site", "k1");
    next_in ("c1", "r3", "site", "k1");
    bye ("w1");
    pass (3000);
    expect ("c1<r1:NO_WORKER c1<r2:NO_WORKER c1<r3:NO_WORKER");
}

static void s_after_a_start_requests_wait_for_workers_to_come_back (void **state)
{
    (void) state;
    limits ()->rejoin_grace = 3000;
    hello_client ("c1");
    request ("c1", "r1", "upper");
    request ("c1", "r2", "lower");
    pass (2000);
    hello_worker ("w1", "upper", 1);
    expect ("w1<r1");
    pass (1000);
    expect ("c1<r2:NO_WORKER");
    request ("c1", "r3", "lower");
    expect ("c1<r3:NO_WORKER");
}

static void s_the_grace_holds_for_a_service_whose_worker_comes_and_goes_in_it (void **state)
{
    (void) state;
    limits ()->rejoin_grace = 3000;
    limits ()->service_linger = 0;
    hello_worker ("w1", "upper", 0);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    bye ("w1");
    pass (2999);
    expect (NOTHING);
    pass (1);
    expect ("c1<r1:NO_WORKER");
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_deadline_that_passes_in_the_queue_is_expired),
      S_TEST (s_a_deadline_that_passes_at_a_worker_is_deadline_and_the_worker_is_told),
      S_TEST (s_a_deadline_between_two_deliveries_is_deadline),
      S_TEST (s_a_request_that_comes_too_late_is_expired_at_the_door),
      S_TEST (s_nothing_is_dispatched_after_its_deadline_though_no_tick_has_come),
      S_TEST (s_a_reply_after_the_deadline_is_late_though_no_tick_has_come),
      S_TEST (s_a_worker_always_gets_a_millisecond_at_least),
      S_TEST (s_the_place_of_an_overdue_request_is_free_when_its_worker_replies),
      S_TEST (s_a_queued_request_that_is_cancelled_never_starts),
      S_TEST (s_a_running_request_that_is_cancelled_says_that_it_had_started),
      S_TEST (s_only_the_workers_own_reply_frees_the_place_of_a_cancelled_request),
      S_TEST (s_a_cancelled_request_is_not_redelivered),
      S_TEST (s_an_unsent_delivery_that_was_cancelled_is_forgotten),
      S_TEST (s_a_cancel_between_two_deliveries_says_so),
      S_TEST (s_a_cancel_of_something_unknown_is_counted_and_harmless),
      S_TEST (s_a_client_that_leaves_withdraws_what_is_queued_and_cancels_what_runs),
      S_TEST (s_two_clients_may_use_the_same_id),
      S_TEST (s_an_id_that_is_open_already_is_invalid_and_the_first_goes_on),
      S_TEST (s_a_request_for_an_unknown_service_draws_no_worker_at_once),
      S_TEST (s_a_mistyped_name_draws_a_suggestion_that_programs_can_read),
      S_TEST (s_a_name_far_from_any_draws_no_suggestion),
      S_TEST (s_a_whole_queue_that_ends_at_once_is_told_why),
      S_TEST (s_a_request_may_wait_for_a_worker),
      S_TEST (s_a_wait_for_a_worker_never_outlasts_the_deadline),
      S_TEST (s_at_the_deadline_it_counts_whether_a_worker_offers_the_service),
      S_TEST (s_a_wait_for_a_worker_ends_when_one_comes_though_it_is_full),
      S_TEST (s_a_wait_is_over_when_it_is_though_a_worker_came_and_went),
      S_TEST (s_a_wait_counts_again_between_two_deliveries),
      S_TEST (s_requests_wait_a_while_for_a_service_that_lost_its_last_worker),
      S_TEST (s_a_worker_that_comes_back_within_the_linger_gets_what_waits),
      S_TEST (s_a_line_behind_an_opener_that_no_worker_came_for_ends_too),
      S_TEST (s_after_a_start_requests_wait_for_workers_to_come_back),
      S_TEST (s_the_grace_holds_for_a_service_whose_worker_comes_and_goes_in_it),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
