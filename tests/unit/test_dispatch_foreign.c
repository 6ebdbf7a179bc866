/*  Sessions of foreign protocols: which peers may be silent, and what the core learns from them.
    Limits of attempts are in test_dispatch_attempt.c, replies in parts in test_dispatch_parts.c.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/trace.h"

/*  Registers a worker of MDP: its interval is not known, and a single thread does both its work and
    its heartbeats.  */
static void s_hello_mdp_worker (const char *peer, unsigned guess_ms)
{
    hello_foreign_worker (peer, "upper",
      (foreign_t){.traits = RP_TRAIT_BUSY_MUTE | RP_TRAIT_LEARN, .interval_ms = guess_ms});
}

/*  Lets time pass while a peer sends heartbeats at this interval, and ignores the trace.  */
static void s_beat (const char *peer, unsigned count, unsigned interval_ms)
{
    while (count-- > 0) {
        pass (interval_ms);
        heartbeat (peer);
    }
}

/*  ---- MUTE ----------------------------------------------------------------------------------- */

static void s_who_says_nothing_unasked_is_not_lost_by_silence (void **state)
{
    (void) state;
    hello_foreign_client ("c1", RP_TRAIT_MUTE, 1000);
    hello_foreign_worker ("w1", "upper", (foreign_t){.traits = RP_TRAIT_MUTE, .interval_ms = 1000});
    pass (3500);
    forget ();
    pass (60000);
    assert_true (is_there ("c1") && is_there ("w1"));
}

static void s_who_says_nothing_unasked_is_told_of_the_broker_at_its_interval (void **state)
{
    (void) state;
    hello_foreign_client ("c1", RP_TRAIT_MUTE, 1000);
    pass (3500);
    expect ("c1<beat c1<beat c1<beat");
}

static void s_a_mute_session_whose_heartbeat_cannot_be_sent_is_over (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper", (foreign_t){.traits = RP_TRAIT_MUTE, .interval_ms = 1000});
    hello_client ("c1");
    request_with ("c1", "r1", "upper", (with_t){.attempts = 2});
    pass (1000);
    expect ("w1<r1 w1<beat");
    unsent ("w1", NULL, false);
    tick ();
    expect ("");
    assert_int_equal (counts ().workers, 0);
    hello_worker ("w2", "upper", 1);
    expect ("w2<r1#2");
}

static void s_a_mute_session_is_probed_when_its_connection_looks_broken (void **state)
{
    (void) state;
    hello_foreign_client ("c1", RP_TRAIT_MUTE, 60000);
    suspect ("c1");
    pass (400);
    expect ("c1<beat c1<beat c1<beat c1<beat c1<beat");
}

static void s_a_request_that_ends_without_a_word_is_logged_and_counted (void **state)
{
    (void) state;
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_WORDLESS, 60000);
    hello_client ("c2");
    hello_worker ("w1", "upper", 2);
    request ("c1", "r1", "upper");
    request ("c2", "r2", "upper");
    pass (100000);
    assert_int_equal (stats ()->final[RP_DEADLINE], 2);
    assert_int_equal (stats ()->unanswered[RP_DEADLINE], 1);
    assert_int_equal (logged (RP_TOPIC_UNANSWERED), 1);
}

static void s_a_request_that_the_shell_drops_is_logged_and_counted (void **state)
{
    (void) state;
    hello_client ("c1");
    dropped ("c1", "the broker has no memory to answer it");
    assert_int_equal (stats ()->unanswered[RP_BUSY], 1);
    drain_broker ();
    dropped ("c1", "the broker has no memory to answer it");
    assert_int_equal (stats ()->unanswered[RP_DRAINING], 1);
    assert_int_equal (logged (RP_TOPIC_UNANSWERED), 2);
}

/*  ---- UNTIMED -------------------------------------------------------------------------------- */

static void s_a_client_whose_time_counts_while_it_waits (const char *peer)
{
    hello_foreign_client (peer, RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS, 60000);
}

/*  Lets time pass while a peer sends a heartbeat every second.  */
static void s_live (const char *peer, unsigned ms)
{
    for (unsigned passed = 0; passed < ms; passed += 1000) {
        pass (1000);
        heartbeat (peer);
    }
}

static void s_a_worker_that_lives_may_take_as_long_as_it_likes_for_it (void **state)
{
    (void) state;
    s_a_client_whose_time_counts_while_it_waits ("c1");
    hello_worker_beating ("w1", "upper", 1, 1000);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 60000, .wait_ms = 60000});
    expect ("w1<r1");
    s_live ("w1", 200000);
    forget ();
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_its_request_ends_when_it_has_waited_so_long_all_in_all (void **state)
{
    (void) state;
    s_a_client_whose_time_counts_while_it_waits ("c1");
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 60000, .wait_ms = 60000, .attempts = 3});
    pass (20000);
    hello_worker_beating ("w1", "upper", 1, 1000);
    s_live ("w1", 70000);
    forget ();
    bye ("w1");
    pass (39999);
    assert_int_equal (stats ()->waiting, 1);
    pass (1);
    assert_int_equal (stats ()->waiting, 0);
    assert_int_equal (logged (RP_TOPIC_UNANSWERED), 1);
}

static void s_its_request_ends_with_a_limit_of_attempts (void **state)
{
    (void) state;
    s_a_client_whose_time_counts_while_it_waits ("c1");
    hello_foreign_worker ("w1", "upper",
      (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 60000, .attempt_limit_ms = 90000});
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 60000, .wait_ms = 60000, .attempts = 1});
    pass (89999);
    assert_int_equal (stats ()->running, 1);
    pass (1);
    assert_int_equal (stats ()->running, 0);
    assert_int_equal (stats ()->unanswered[RP_WORKER_LOST], 1);
}

static void s_a_reply_that_it_does_not_take_is_logged_and_counted (void **state)
{
    (void) state;
    s_a_client_whose_time_counts_while_it_waits ("c1");
    unsent_reply ("c1", RP_OK);
    unsent_reply ("c1", RP_APP_ERROR);
    unsent_reply ("c1", RP_BUSY); // this client is never told BUSY, so it misses nothing
    assert_int_equal (stats ()->unanswered[RP_OK], 1);
    assert_int_equal (stats ()->unanswered[RP_APP_ERROR], 1);
    assert_int_equal (logged (RP_TOPIC_UNANSWERED), 2);
}

static void s_a_client_that_is_told_of_failures_is_told_nothing_once_it_is_cut (void **state)
{
    (void) state;
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_UNTIMED, 60000);
    hello_worker ("w1", "upper", 2);
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    unsent_reply ("c1", RP_BUSY);
    reply ("w1", "r1", RP_OK);
    tick ();
    assert_int_equal (stats ()->unanswered[RP_BUSY], 1);
    assert_int_equal (stats ()->unanswered[RP_OK], 1);
    assert_int_equal (stats ()->unanswered[RP_CANCELLED], 1);
}

static void s_a_client_of_riposte_s_own_learns_of_a_lost_reply_by_the_end_of_its_connection (
  void **state)
{
    (void) state;
    hello_client ("c1");
    unsent_reply ("c1", RP_OK);
    assert_int_equal (stats ()->unanswered[RP_OK], 0);
    tick ();
    expect ("cut:c1");
}

static void s_a_native_clients_deadline_counts_whatever_its_worker (void **state)
{
    (void) state;
    hello_client ("c1");
    hello_worker_beating ("w1", "upper", 1, 1000);
    request_with ("c1", "r1", "upper", (with_t){.time_ms = 5000});
    s_live ("w1", 5000);
    assert_int_equal (stats ()->final[RP_DEADLINE], 1);
}

/*  ---- BUSY_MUTE ------------------------------------------------------------------------------ */

static void s_a_worker_that_is_silent_while_it_works_is_not_lost (void **state)
{
    (void) state;
    hello_foreign_worker (
      "w1", "upper", (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 1000});
    hello_client ("c1");
    request ("c1", "r1", "upper");
    expect ("w1<r1");
    pass (10000);
    expect ("w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat");
    reply ("w1", "r1", RP_OK);
    expect ("c1<r1:OK");
}

static void s_its_silence_begins_anew_when_it_is_free_again (void **state)
{
    (void) state;
    hello_foreign_worker (
      "w1", "upper", (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 1000});
    hello_client ("c1");
    request ("c1", "r1", "upper");
    pass (10000);
    reply ("w1", "r1", RP_OK);
    forget ();
    pass (2999);
    expect ("w1<beat w1<beat");
    pass (1);
    expect ("cut:w1");
}

static void s_an_idle_worker_that_falls_silent_is_lost_though_it_may_when_busy (void **state)
{
    (void) state;
    hello_foreign_worker (
      "w1", "upper", (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 1000});
    pass (3000);
    expect ("w1<beat w1<beat cut:w1");
    assert_int_equal (counts ().workers, 0);
}

static void s_a_worker_that_still_owes_a_reply_nobody_wants_is_busy (void **state)
{
    (void) state;
    hello_foreign_worker (
      "w1", "upper", (foreign_t){.traits = RP_TRAIT_BUSY_MUTE, .interval_ms = 1000});
    hello_client ("c1");
    request ("c1", "r1", "upper");
    cancel ("c1", "r1");
    pass (10000);
    assert_true (is_there ("w1"));
    reply ("w1", "r1", RP_OK);
    forget ();
    request ("c1", "r2", "upper");
    expect ("w1<r2");
}

/*  ---- LEARN ---------------------------------------------------------------------------------- */

static void s_a_session_that_has_shown_no_heartbeat_keeps_the_guess (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    pass (7499);
    assert_true (is_there ("w1"));
    pass (1);
    expect ("w1<beat w1<beat cut:w1");
}

static void s_a_slow_heart_is_given_its_time_after_one_gap (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    s_beat ("w1", 2, 6000);
    forget ();
    pass (17999);
    assert_true (is_there ("w1"));
    pass (1);
    assert_false (is_there ("w1"));
}

static void s_one_quick_gap_does_not_bring_death_nearer (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    s_beat ("w1", 2, 200);
    forget ();
    pass (7499);
    assert_true (is_there ("w1"));
    pass (1);
    assert_false (is_there ("w1"));
}

static void s_a_quick_heart_is_told_often_at_once_and_lost_soon_when_it_is_known (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    s_beat ("w1", 2, 200);
    expect (NOTHING);
    pass (1000);
    expect ("w1<beat w1<beat w1<beat w1<beat w1<beat w1<beat"); // seven: the first was overdue
    s_beat ("w1", 5, 200);
    forget ();
    pass (599);
    assert_true (is_there ("w1"));
    pass (1);
    assert_false (is_there ("w1"));
}

static void s_it_is_told_at_the_smallest_gap_and_waited_for_by_the_largest (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    s_beat ("w1", 5, 500);
    s_beat ("w1", 1, 1000);
    forget ();
    pass (2999);
    expect ("w1<beat w1<beat w1<beat w1<beat w1<beat");
    pass (1);
    expect ("cut:w1");
}

static void s_what_is_learned_stays_within_the_brokers_range (void **state)
{
    (void) state;
    limits ()->heartbeat_min = 100;
    limits ()->heartbeat_max = 4000;
    s_hello_mdp_worker ("w1", 2500);
    heartbeat ("w1");
    slip (7000); // a late tick: the core has not seen this time pass
    heartbeat ("w1");
    pass (11999);
    assert_true (is_there ("w1"));
    pass (1);
    assert_false (is_there ("w1"));
}

static void s_heartbeats_that_were_held_up_together_teach_nothing (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 2500);
    s_beat ("w1", 8, 0);
    s_beat ("w1", 8, 1);
    forget ();
    pass (7499);
    assert_true (is_there ("w1"));
}

static void s_gaps_in_which_it_worked_teach_nothing (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 1000);
    hello_client ("c1");
    heartbeat ("w1");
    request ("c1", "r1", "upper");
    pass (20000);
    reply ("w1", "r1", RP_OK);
    heartbeat ("w1");
    forget ();
    pass (3000);
    assert_false (is_there ("w1"));
}

static void s_gaps_in_which_its_work_was_lost_teach_nothing (void **state)
{
    (void) state;
    hello_foreign_worker ("w1", "upper",
      (foreign_t){.traits = RP_TRAIT_BUSY_MUTE | RP_TRAIT_LEARN,
        .interval_ms = 1000,
        .attempt_limit_ms = 9000});
    hello_client ("c1");
    heartbeat ("w1");
    request ("c1", "r1", "upper");
    pass (10000); // the attempt has ended, but the worker does not know
    heartbeat ("w1");
    forget ();
    pass (3000);
    assert_false (is_there ("w1"));
}

static void s_gaps_while_it_works_teach_nothing (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 1000);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    s_beat ("w1", 8, 200);
    reply ("w1", "r1", RP_OK);
    forget ();
    pass (2999);
    assert_true (is_there ("w1"));
}

static void s_a_session_with_an_agreed_interval_is_not_learned_from (void **state)
{
    (void) state;
    hello_worker_beating ("w1", "upper", 1, 1000);
    s_beat ("w1", 8, 200);
    forget ();
    pass (2999);
    expect ("w1<beat w1<beat w1<beat");
    pass (1);
    expect ("cut:w1");
}

/*  ---- Faults of earlier brokers -------------------------------------------------------------- */

static void s_a_busy_worker_that_died_is_gone_from_every_count (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    s_hello_mdp_worker ("w1", 2500);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    suspect ("w1");
    unsent ("w1", NULL, false);
    tick ();
    expect ("w1<r1 w1<beat c1<r1:WORKER_LOST");
    assert_int_equal (counts ().workers + counts ().services, 0);
    assert_int_equal (stats ()->running + stats ()->waiting, 0);
    rp_service_info_t info;
    assert_false (rp_dispatch_find_service (audit ()->core, audit ()->now, "upper", 5, &info));
}

static void s_an_idle_workers_reply_ends_its_session_and_dispatches_nothing_twice (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 60000);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    reply ("w1", "r1", RP_OK);
    request ("c1", "r2", "upper");
    reply ("w1", "r1", RP_OK); // a late reply; r2, which it holds, stays with it
    expect ("w1<r1 c1<r1:OK w1<r2");
    reply ("w1", "r2", RP_OK);
    reply ("w1", "r2", RP_OK);
    expect ("c1<r2:OK w1<bye:INVALID");
    assert_int_equal (stats ()->late_replies, 2);
    assert_int_equal (counts ().workers, 0);
}

static void s_a_silent_worker_leaves_every_list (void **state)
{
    (void) state;
    limits ()->service_linger = 0;
    s_hello_mdp_worker ("w1", 1000);
    hello_client ("c1");
    pass (3000);
    request ("c1", "r1", "upper");
    expect ("w1<beat w1<beat cut:w1 c1<r1:NO_WORKER");
    assert_int_equal (counts ().workers + counts ().services, 0);
}

static void s_a_heartbeat_after_a_restart_draws_bye (void **state)
{
    (void) state;
    heartbeat ("w1");
    expect ("w1<bye:INVALID");
    s_hello_mdp_worker ("w1", 1000);
    assert_int_equal (counts ().workers, 1);
}

static void s_an_unsent_delivery_of_the_only_worker_stays_queued (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 60000);
    hello_client ("c1");
    request ("c1", "r1", "upper");
    unsent ("w1", "r1", true);
    tick ();
    expect ("w1<r1 cut:w1");
    assert_int_equal (stats ()->waiting, 1);
    s_hello_mdp_worker ("w2", 60000);
    expect ("w2<r1");
}

static void s_a_foreign_client_that_is_gone_gets_nothing_more (void **state)
{
    (void) state;
    s_hello_mdp_worker ("w1", 60000);
    hello_foreign_client ("c1", RP_TRAIT_MUTE | RP_TRAIT_PARTS, 60000);
    request ("c1", "r1", "upper");
    request ("c1", "r2", "upper");
    suspect ("c1");
    unsent ("c1", NULL, false);
    tick ();
    expect ("w1<r1 c1<beat w1<cancel:r1");
    assert_int_equal (stats ()->final[RP_CANCELLED], 2);
    part ("w1", "r1", 10);
    reply ("w1", "r1", RP_OK);
    expect (NOTHING);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, trace_setup, trace_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_who_says_nothing_unasked_is_not_lost_by_silence),
      S_TEST (s_who_says_nothing_unasked_is_told_of_the_broker_at_its_interval),
      S_TEST (s_a_mute_session_whose_heartbeat_cannot_be_sent_is_over),
      S_TEST (s_a_request_that_ends_without_a_word_is_logged_and_counted),
      S_TEST (s_a_request_that_the_shell_drops_is_logged_and_counted),
      S_TEST (s_a_mute_session_is_probed_when_its_connection_looks_broken),
      S_TEST (s_a_worker_that_lives_may_take_as_long_as_it_likes_for_it),
      S_TEST (s_its_request_ends_when_it_has_waited_so_long_all_in_all),
      S_TEST (s_its_request_ends_with_a_limit_of_attempts),
      S_TEST (s_a_reply_that_it_does_not_take_is_logged_and_counted),
      S_TEST (s_a_client_that_is_told_of_failures_is_told_nothing_once_it_is_cut),
      S_TEST (s_a_client_of_riposte_s_own_learns_of_a_lost_reply_by_the_end_of_its_connection),
      S_TEST (s_a_native_clients_deadline_counts_whatever_its_worker),
      S_TEST (s_a_worker_that_is_silent_while_it_works_is_not_lost),
      S_TEST (s_its_silence_begins_anew_when_it_is_free_again),
      S_TEST (s_an_idle_worker_that_falls_silent_is_lost_though_it_may_when_busy),
      S_TEST (s_a_worker_that_still_owes_a_reply_nobody_wants_is_busy),
      S_TEST (s_a_session_that_has_shown_no_heartbeat_keeps_the_guess),
      S_TEST (s_a_slow_heart_is_given_its_time_after_one_gap),
      S_TEST (s_one_quick_gap_does_not_bring_death_nearer),
      S_TEST (s_a_quick_heart_is_told_often_at_once_and_lost_soon_when_it_is_known),
      S_TEST (s_it_is_told_at_the_smallest_gap_and_waited_for_by_the_largest),
      S_TEST (s_what_is_learned_stays_within_the_brokers_range),
      S_TEST (s_heartbeats_that_were_held_up_together_teach_nothing),
      S_TEST (s_gaps_in_which_it_worked_teach_nothing),
      S_TEST (s_gaps_in_which_its_work_was_lost_teach_nothing),
      S_TEST (s_gaps_while_it_works_teach_nothing),
      S_TEST (s_a_session_with_an_agreed_interval_is_not_learned_from),
      S_TEST (s_a_busy_worker_that_died_is_gone_from_every_count),
      S_TEST (s_an_idle_workers_reply_ends_its_session_and_dispatches_nothing_twice),
      S_TEST (s_a_silent_worker_leaves_every_list),
      S_TEST (s_a_heartbeat_after_a_restart_draws_bye),
      S_TEST (s_an_unsent_delivery_of_the_only_worker_stays_queued),
      S_TEST (s_a_foreign_client_that_is_gone_gets_nothing_more),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
