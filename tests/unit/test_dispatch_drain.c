/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/trace.h"

/*  ---- A worker that drains ------------------------------------------------------------------- */

static void s_an_idle_worker_that_drains_is_told_to_leave_at_once (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 2);
    drain ("w1");
    expect ("w1<bye:OK");
    tick ();
    assert_false (is_there ("w1"));
    assert_int_equal (stats ()->workers_lost, 0);
}

static void s_a_draining_worker_takes_nothing_new_and_leaves_after_its_last_reply (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 3);
    hello_client ("c1");
    request ("c1", "r1", "a");
    request ("c1", "r2", "a");
    drain ("w1");
    request ("c1", "r3", "a");
    expect ("w1<r1 w1<r2");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
    hello_worker ("w2", "a", 1);
    expect ("w2<r3");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<bye:OK");
}

static void s_a_draining_worker_goes_on_with_its_conversations_until_they_end (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "a", "k1");
    reply ("w1", "r1", RP_OK);
    drain ("w1");
    expect ("w1<r1 c1<r1:OK");
    next_in ("c1", "r2", "a", "k1");
    expect ("w1<r2");
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK");
    open_in ("c1", "r3", "a", "k2");
    expect (NOTHING);
    end ("c1", "k1");
    expect ("w1<end:k1 w1<bye:OK");
}

static void s_a_draining_worker_may_be_given_an_idle_conversations_end (void **state)
{
    (void) state;
    limits ()->conversation_idle = 1000;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "a", "k1");
    reply ("w1", "r1", RP_OK);
    drain ("w1");
    drain ("w1");
    expect ("w1<r1 c1<r1:OK");
    pass (1000);
    expect ("w1<end:k1 w1<bye:OK");
    assert_false (is_there ("w1"));
}

static void s_a_draining_worker_that_gives_up_its_last_request_leaves (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_worker ("w2", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 2, .conversation = "k1", .open = true});
    drain ("w1");
    reply ("w1", "r1", RP_WORKER_LOST);
    expect ("w1<r1 w1<bye:OK w2<r1#2");
}

static void s_a_draining_worker_still_says_how_much_it_can_hold (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "a", "k1");
    reply ("w1", "r1", RP_OK);
    drain ("w1");
    credit ("w1", 0);
    next_in ("c1", "r2", "a", "k1");
    expect ("w1<r1 c1<r1:OK");
    credit ("w1", 1);
    expect ("w1<r2");
}

static void s_a_worker_may_leave_with_work_in_hand (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 2);
    hello_worker ("w2", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 2});
    request ("c1", "r2", "a");
    expect ("w1<r1 w2<r2");
    drain ("w1");
    bye ("w1");
    expect (NOTHING);
    reply ("w2", "r2", RP_OK);
    expect ("c1<r2:OK w2<r1#2");
    assert_int_equal (stats ()->workers_lost, 0);
}

static void s_the_last_worker_that_leaves_is_gone_from_every_count (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    hello_worker ("w1", "a", 2);
    hello_client ("c1");
    request ("c1", "r1", "a");
    bye ("w1");
    expect ("w1<r1 c1<r1:WORKER_LOST");
    pass (1);
    assert_int_equal (counts ().workers, 0);
    assert_int_equal (counts ().services, 0);
}

/*  ---- A broker that drains ------------------------------------------------------------------- */

static void s_a_draining_broker_refuses_what_is_new_and_what_waits (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request ("c1", "r1", "a");
    request ("c1", "r2", "a");
    expect ("w1<r1");
    drain_broker ();
    expect ("w1<drain c1<drain c1<r2:DRAINING");
    request ("c1", "r3", "a");
    expect ("c1<r3:DRAINING");
    hello ("c2", &(rp_head_t){.interval_ms = 1000});
    expect ("c2<bye:DRAINING");
}

static void s_a_draining_broker_stops_after_the_last_reply (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 2);
    hello_client ("c1");
    request ("c1", "r1", "a");
    request ("c1", "r2", "a");
    drain_broker ();
    tick ();
    expect ("w1<r1 w1<r2 w1<drain c1<drain");
    reply ("w1", "r2", RP_OK);
    tick ();
    expect ("c1<r2:OK");
    pass (150);
    expect (NOTHING);
    reply ("w1", "r1", RP_OK);
    tick ();
    expect ("c1<r1:OK w1<bye:DRAINING c1<bye:DRAINING stop");
}

static void s_an_idle_broker_that_drains_reads_on_for_a_moment (void **state)
{
    (void) state;
    hello_client ("c1");
    drain_broker ();
    pass (149);
    expect ("c1<drain");
    pass (1);
    expect ("c1<bye:DRAINING stop");
}

static void s_a_request_that_crosses_the_drain_is_answered_and_so_is_the_one_behind_it (
  void **state)
{
    (void) state;
    hello_client ("c1");
    hello_client ("c2");
    drain_broker ();
    pass (149);
    request ("c1", "r1", "a");
    pass (149);
    expect ("c1<drain c2<drain c1<r1:DRAINING");
    request ("c2", "r2", "a");
    pass (149);
    expect ("c2<r2:DRAINING");
    pass (1);
    expect ("c1<bye:DRAINING c2<bye:DRAINING stop");
}

static void s_a_moment_without_requests_counts_while_the_last_ones_run (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request ("c1", "r1", "a");
    drain_broker ();
    pass (100);
    request ("c1", "r2", "a");
    pass (100);
    reply ("w1", "r1", RP_OK);
    tick ();
    expect ("w1<r1 w1<drain c1<drain c1<r2:DRAINING c1<r1:OK");
    pass (50);
    expect ("w1<bye:DRAINING c1<bye:DRAINING stop");
}

static void s_a_client_that_asks_again_and_again_holds_a_drain_up_for_a_second_at_most (
  void **state)
{
    (void) state;
    hello_client ("c1");
    drain_broker ();
    for (unsigned asked = 0; asked < 9; asked++) {
        pass (100);
        request ("c1", "r1", "a");
    }
    pass (99);
    forget ();
    pass (1);
    expect ("c1<bye:DRAINING stop");
}

static void s_a_drain_without_time_ends_at_once (void **state)
{
    (void) state;
    limits ()->drain_limit = 0;
    hello_client ("c1");
    drain_broker ();
    tick ();
    expect ("c1<drain c1<bye:DRAINING stop");
}

static void s_a_draining_broker_stops_at_its_limit (void **state)
{
    (void) state;
    limits ()->drain_limit = 5000;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 3});
    drain_broker ();
    pass (4999);
    expect ("w1<r1 w1<drain c1<drain");
    pass (1);
    expect ("c1<r1:WORKER_LOST w1<cancel:r1 w1<bye:DRAINING c1<bye:DRAINING stop");
}

static void s_stop_ends_a_drain_at_once (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request ("c1", "r1", "a");
    drain_broker ();
    expect ("w1<r1 w1<drain c1<drain");
    stop_broker ();
    expect ("c1<r1:WORKER_LOST w1<cancel:r1 w1<bye:DRAINING c1<bye:DRAINING stop");
    stop_broker ();
    tick ();
    expect (NOTHING);
}

static void s_a_stop_without_a_drain_ends_everything (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request ("c1", "r1", "a");
    request ("c1", "r2", "a");
    expect ("w1<r1");
    stop_broker ();
    expect ("w1<drain c1<drain c1<r2:DRAINING c1<r1:WORKER_LOST w1<cancel:r1 w1<bye:DRAINING "
            "c1<bye:DRAINING stop");
}

static void s_what_waits_for_another_delivery_ends_with_worker_lost_in_a_drain (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 2});
    bye ("w1");
    expect ("w1<r1");
    drain_broker ();
    expect ("c1<drain c1<r1:WORKER_LOST");
}

static void s_nothing_is_redelivered_while_the_broker_drains (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_worker ("w2", "a", 1);
    hello_client ("c1");
    request_with ("c1", "r1", "a", (with_t){.attempts = 2});
    drain_broker ();
    bye ("w1");
    expect ("w1<r1 w1<drain w2<drain c1<drain c1<r1:WORKER_LOST");
}

static void s_a_line_of_a_conversation_is_flushed_in_a_drain (void **state)
{
    (void) state;
    hello_worker ("w1", "a", 1);
    hello_client ("c1");
    open_in ("c1", "r1", "a", "k1");
    next_in ("c1", "r2", "a", "k1");
    next_in ("c1", "r3", "a", "k1");
    expect ("w1<r1");
    drain_broker ();
    expect ("w1<drain c1<drain c1<r2:DRAINING c1<r3:DRAINING");
    reply ("w1", "r1", RP_OK);
    pass (150);
    expect ("c1<r1:OK w1<bye:DRAINING c1<bye:DRAINING stop");
}

static void s_nobody_hears_anything_after_the_brokers_bye (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "a", 1, 1000);
    hello_client_beating ("c1", 1000);
    request ("c1", "r1", "a");
    stop_broker ();
    expect ("w1<r1 w1<drain c1<drain c1<r1:WORKER_LOST w1<cancel:r1 w1<bye:DRAINING "
            "c1<bye:DRAINING stop");
    request ("c1", "r2", "a");
    reply ("w1", "r1", RP_OK);
    suspect ("w1");
    expect (NOTHING);
    pass (10000);
    expect (NOTHING);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_an_idle_worker_that_drains_is_told_to_leave_at_once),
      S_TEST (s_a_draining_worker_takes_nothing_new_and_leaves_after_its_last_reply),
      S_TEST (s_a_draining_worker_goes_on_with_its_conversations_until_they_end),
      S_TEST (s_a_draining_worker_may_be_given_an_idle_conversations_end),
      S_TEST (s_a_draining_worker_that_gives_up_its_last_request_leaves),
      S_TEST (s_a_draining_worker_still_says_how_much_it_can_hold),
      S_TEST (s_a_worker_may_leave_with_work_in_hand),
      S_TEST (s_the_last_worker_that_leaves_is_gone_from_every_count),
      S_TEST (s_a_draining_broker_refuses_what_is_new_and_what_waits),
      S_TEST (s_a_draining_broker_stops_after_the_last_reply),
      S_TEST (s_an_idle_broker_that_drains_reads_on_for_a_moment),
      S_TEST (s_a_request_that_crosses_the_drain_is_answered_and_so_is_the_one_behind_it),
      S_TEST (s_a_moment_without_requests_counts_while_the_last_ones_run),
      S_TEST (s_a_client_that_asks_again_and_again_holds_a_drain_up_for_a_second_at_most),
      S_TEST (s_a_drain_without_time_ends_at_once),
      S_TEST (s_a_draining_broker_stops_at_its_limit),
      S_TEST (s_stop_ends_a_drain_at_once),
      S_TEST (s_a_stop_without_a_drain_ends_everything),
      S_TEST (s_what_waits_for_another_delivery_ends_with_worker_lost_in_a_drain),
      S_TEST (s_nothing_is_redelivered_while_the_broker_drains),
      S_TEST (s_a_line_of_a_conversation_is_flushed_in_a_drain),
      S_TEST (s_nobody_hears_anything_after_the_brokers_bye),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
