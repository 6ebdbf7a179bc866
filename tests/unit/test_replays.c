/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/replay/replays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/replay/replays_state.h"
#include "tests/support/replays_world.h"

#define S_MS INT64_C (1000)
#define S_SECOND INT64_C (1000000)

static replays_world_t s_world;

static int s_set_up (void **state)
{
    (void) state;
    replays_world_init (&s_world);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    replays_world_clear (&s_world);
    return 0;
}

/*  ---- Words ---------------------------------------------------------------------------------- */

/*  Two clients of ada, 0 and 1, and one of bob, 2; a worker of "a".  */
static void s_begin (void)
{
    replays_world_begin (&s_world);
    (void) replays_world_join_client (&s_world, "ada");
    (void) replays_world_join_client (&s_world, "ada");
    (void) replays_world_join_client (&s_world, "bob");
    (void) replays_world_join_worker (&s_world, "a", 10);
}

static uint64_t s_ask_with (unsigned client, const replays_request_t *request)
{
    uint64_t content = replays_world_submit (&s_world, client, request);
    replays_world_turn (&s_world);
    return content;
}

static uint64_t s_ask (unsigned client, const char *key, unsigned body)
{
    return s_ask_with (client, &(replays_request_t){.service = "a", .key = key, .body = body});
}

static void s_reply (rp_status_t status, uint64_t content)
{
    assert_true (s_world.task_count > 0);
    replays_world_reply (&s_world, 0, status, content, 100);
    replays_world_turn (&s_world);
}

static const replays_told_t *s_told (uint64_t request)
{
    const replays_told_t *told = replays_world_told (&s_world, request);
    assert_non_null (told);
    return told;
}

static void s_expect (uint64_t request, rp_status_t status, uint64_t content, bool replayed)
{
    const replays_told_t *told = s_told (request);
    assert_int_equal (told->status, status);
    assert_int_equal (told->content, content);
    assert_int_equal (told->replayed, replayed);
}

static void s_expect_nothing (uint64_t request)
{
    assert_null (replays_world_told (&s_world, request));
}

static rp_replays_figures_t s_figures (void)
{
    return replays_world_figures (&s_world);
}

/*  ---- One execution -------------------------------------------------------------------------- */

static void s_who_asks_again_gets_the_same (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    s_reply (RP_OK, 41);
    uint64_t second = s_ask (0, "k", 1);
    uint64_t third = s_ask (1, "k", 1);
    assert_int_equal (s_world.task_count, 0);
    s_expect (first, RP_OK, 41, false);
    s_expect (second, RP_OK, 41, true);
    s_expect (third, RP_OK, 41, true);
    assert_true (s_told (first)->execution != 0);
    assert_true (s_told (first)->execution == s_told (third)->execution);
    assert_int_equal (s_told (third)->attempts, 1);
    assert_int_equal (s_figures ().executed, 1);
    assert_int_equal (s_figures ().replayed, 2);
}

static void s_who_asks_while_it_runs_waits_for_it (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    assert_int_equal (s_world.task_count, 1);
    s_expect_nothing (second);
    s_reply (RP_APP_ERROR, 42);
    s_expect (first, RP_APP_ERROR, 42, false);
    s_expect (second, RP_APP_ERROR, 42, true);
}

static void s_another_body_is_never_run (void **state)
{
    (void) state;
    s_begin ();
    (void) s_ask (0, "k", 1);
    uint64_t while_it_runs = s_ask (1, "k", 2);
    s_reply (RP_OK, 41);
    uint64_t later = s_ask (0, "k", 2);
    assert_int_equal (s_world.task_count, 0);
    s_expect (while_it_runs, RP_KEY_MISMATCH, 0, false);
    s_expect (later, RP_KEY_MISMATCH, 0, false);
    assert_int_equal (s_figures ().mismatched, 2);
    assert_int_equal (s_figures ().refused, 0);
}

static void s_a_key_is_one_principals_and_one_services (void **state)
{
    (void) state;
    s_begin ();
    (void) replays_world_join_worker (&s_world, "b", 1);
    (void) s_ask (0, "k", 1);
    (void) s_ask (2, "k", 2);
    (void) s_ask_with (0, &(replays_request_t){.service = "b", .key = "k", .body = 3});
    (void) s_ask (0, "kk", 4);
    assert_int_equal (s_world.task_count, 4);
}

static void s_a_request_without_a_key_is_the_cores (void **state)
{
    (void) state;
    s_begin ();
    uint64_t one = s_ask (0, NULL, 1);
    s_reply (RP_OK, 41);
    s_expect (one, RP_OK, 41, false);
    assert_int_equal (s_told (one)->execution, 0);
    assert_int_equal (s_figures ().executed, 0);
}

static void s_attempts_are_made_within_the_execution (void **state)
{
    (void) state;
    s_begin ();
    (void) replays_world_join_worker (&s_world, "a", 10);
    uint64_t first =
      s_ask_with (0, &(replays_request_t){.service = "a", .key = "k", .body = 1, .attempts = 2});
    uint64_t second = s_ask (1, "k", 1);
    unsigned holder = s_world.tasks[0].worker.v == s_world.workers[0].session.v ? 0 : 1;
    replays_world_lose_worker (&s_world, holder);
    replays_world_turn (&s_world);
    assert_int_equal (s_world.task_count, 1);
    assert_int_equal (s_world.tasks[0].attempt, 2);
    s_reply (RP_OK, 41);
    assert_int_equal (s_told (first)->attempts, 2);
    s_expect (second, RP_OK, 41, true);
}

/*  ---- Ends that are no results --------------------------------------------------------------- */

static void s_a_lost_worker_is_told_to_all_and_forgotten (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    s_reply (RP_WORKER_LOST, 0);
    s_expect (first, RP_WORKER_LOST, 0, false);
    s_expect (second, RP_WORKER_LOST, 0, false);
    uint64_t again = s_ask (0, "k", 2);
    assert_int_equal (s_world.task_count, 1);
    s_reply (RP_OK, 41);
    s_expect (again, RP_OK, 41, false);
}

static void s_what_did_not_run_is_not_remembered (void **state)
{
    (void) state;
    s_begin ();
    replays_world_lose_worker (&s_world, 0);
    uint64_t none = s_ask (0, "k", 1);
    s_expect (none, RP_NO_WORKER, 0, false);
    (void) replays_world_join_worker (&s_world, "a", 1);
    uint64_t again = s_ask (0, "k", 1);
    s_reply (RP_OK, 41);
    s_expect (again, RP_OK, 41, false);
    assert_int_equal (s_figures ().failed, 1);
}

/*  ---- Each its own --------------------------------------------------------------------------- */

static void s_each_has_its_own_deadline (void **state)
{
    (void) state;
    s_begin ();
    replays_request_t request = {.service = "a", .key = "k", .body = 1, .timeout_ms = 100};
    uint64_t hasty = s_ask_with (0, &request);
    request.timeout_ms = 1000;
    uint64_t patient = s_ask_with (1, &request);
    replays_world_pass (&s_world, 99 * S_MS);
    s_expect_nothing (hasty);
    replays_world_pass (&s_world, 1 * S_MS);
    s_expect (hasty, RP_DEADLINE, 0, false);
    assert_int_equal (s_told (hasty)->attempts, 1);
    assert_false (s_world.tasks[0].cancelled);
    s_reply (RP_OK, 41);
    s_expect (patient, RP_OK, 41, true);
}

static void s_without_room_the_deadline_says_that_nothing_ran (void **state)
{
    (void) state;
    s_begin ();
    replays_world_lose_worker (&s_world, 0);
    (void) replays_world_join_worker (&s_world, "a", 1);
    (void) s_ask (0, "other", 1);
    replays_request_t request = {.service = "a", .key = "k", .body = 1, .timeout_ms = 100};
    uint64_t one = s_ask_with (0, &request);
    replays_world_pass (&s_world, 100 * S_MS);
    s_expect (one, RP_EXPIRED, 0, false);
    s_reply (RP_OK, 41); // of the other: its worker gets nothing now
    assert_int_equal (s_world.task_count, 0);
}

static void s_a_cancel_takes_it_away_from_nobody_else (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    replays_world_cancel (&s_world, 0, first);
    replays_world_turn (&s_world);
    s_expect (first, RP_CANCELLED, 0, false);
    assert_false (s_world.tasks[0].cancelled);
    s_reply (RP_OK, 41);
    s_expect (second, RP_OK, 41, true);
}

static void s_when_the_last_one_cancels_its_worker_is_told (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    replays_world_cancel (&s_world, 0, first);
    replays_world_cancel (&s_world, 1, second);
    replays_world_turn (&s_world);
    assert_true (s_world.tasks[0].cancelled);
    s_reply (RP_OK, 41); // too late
    assert_int_equal (s_figures ().results, 0);
    (void) s_ask (0, "k", 2);
    assert_int_equal (s_world.task_count, 1);
}

static void s_nobody_cancels_for_others (void **state)
{
    (void) state;
    s_begin ();
    uint64_t first = s_ask (0, "k", 1);
    replays_world_cancel (&s_world, 2, first);
    replays_world_turn (&s_world);
    s_expect_nothing (first);
    assert_int_equal (rp_dispatch_stats (s_world.core)->unknown_cancels, 1);
    assert_int_equal (rp_dispatch_stats (s_world.core)->cancels, 0);
}

static void s_who_was_lost_gets_the_result_later (void **state)
{
    (void) state;
    s_begin ();
    (void) s_ask (0, "k", 1);
    replays_world_lose_client (&s_world, 0);
    replays_world_turn (&s_world);
    assert_false (s_world.tasks[0].cancelled);
    s_reply (RP_OK, 41);
    uint64_t again = s_ask (1, "k", 1);
    s_expect (again, RP_OK, 41, true);
}

static void s_what_nobody_came_back_for_ends_at_its_deadline (void **state)
{
    (void) state;
    s_begin ();
    (void) s_ask (0, "k", 1);
    replays_world_lose_client (&s_world, 0);
    replays_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_world.tasks[0].cancelled);
    assert_int_equal (s_figures ().waiting, 0);
}

/*  ---- At the door ---------------------------------------------------------------------------- */

static void s_a_key_is_there_and_not_too_long (void **state)
{
    (void) state;
    s_begin ();
    char key[130];
    memset (key, 'k', sizeof key);
    key[128] = '\0';
    uint64_t long_one = s_ask (0, key, 1);
    uint64_t empty = s_ask (0, "", 1);
    s_expect (long_one, RP_INVALID, 0, false);
    s_expect (empty, RP_INVALID, 0, false);
    key[127] = '\0';
    (void) s_ask (0, key, 1);
    assert_int_equal (s_world.task_count, 1);
}

static void s_a_client_has_no_more_open_than_its_limit (void **state)
{
    (void) state;
    s_world.limits.client_open = 2;
    s_begin ();
    (void) s_ask (0, "k", 1);
    (void) s_ask (0, "k", 1);
    uint64_t third = s_ask (0, "k", 1);
    s_expect (third, RP_BUSY, 0, false);
    assert_non_null (strstr (s_told (third)->text, "client_open"));
    (void) s_ask (1, "k", 1);
    (void) s_ask (1, "other", 1); // the limit is not that of the broker's own client
    (void) s_ask (2, "k", 1);
    (void) s_ask (2, "other", 1);
    assert_int_equal (s_figures ().running, 4);
}

static void s_a_quota_holds_for_requests_with_keys (void **state)
{
    (void) state;
    static const char text[] = "principal = \"ada\"\n    call = \"*\"\n    open = 1\n"
                               "principal = \"worker\"\n    serve = \"*\"\n";
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_world.rules = rules;
    s_begin ();
    (void) s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    uint64_t denied = s_ask (2, "k", 1);
    s_expect (second, RP_BUSY, 0, false);
    s_expect (denied, RP_DENIED, 0, false);
    assert_int_equal (s_world.task_count, 1);
    replays_world_clear (&s_world);
    replays_world_init (&s_world);
    rp_rules_destroy (&rules);
}

static void s_rules_that_shrink_end_what_has_not_begun (void **state)
{
    (void) state;
    static const char text[] = "principal = \"worker\"\n    serve = \"*\"\n"
                               "principal = \"bob\"\n    call = \"*\"\n";
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_begin ();
    replays_world_lose_worker (&s_world, 0);
    (void) replays_world_join_worker (&s_world, "a", 1);
    uint64_t runs = s_ask (0, "k", 1);
    uint64_t waits = s_ask (0, "other", 1);
    uint64_t allowed = s_ask (2, "k", 1);
    replays_world_rules (&s_world, rules);
    s_expect (waits, RP_DENIED, 0, false);
    s_expect_nothing (allowed);
    s_reply (RP_OK, 41);
    s_expect (runs, RP_OK, 41, false);
    s_reply (RP_OK, 43);
    s_expect (allowed, RP_OK, 43, false);
    replays_world_rules (&s_world, NULL);
    rp_rules_destroy (&rules);
}

static void s_what_no_rule_allows_any_more_goes_to_no_other_worker (void **state)
{
    (void) state;
    static const char text[] = "principal = \"worker\"\n    serve = \"*\"\n";
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_begin ();
    (void) replays_world_join_worker (&s_world, "a", 10);
    uint64_t runs =
      s_ask_with (0, &(replays_request_t){.service = "a", .key = "k", .body = 1, .attempts = 2});
    unsigned holder = s_world.tasks[0].worker.v == s_world.workers[0].session.v ? 0 : 1;
    replays_world_rules (&s_world, rules);
    s_expect_nothing (runs); // what runs may finish
    replays_world_lose_worker (&s_world, holder);
    replays_world_turn (&s_world);
    assert_int_equal (s_world.task_count, 0);
    s_expect (runs, RP_WORKER_LOST, 0, false);
    assert_non_null (strstr (s_told (runs)->text, "no rule allows another attempt"));
    replays_world_rules (&s_world, NULL);
    rp_rules_destroy (&rules);
}

static void s_what_waits_for_another_attempt_ends_with_its_rule (void **state)
{
    (void) state;
    static const char text[] = "principal = \"worker\"\n    serve = \"*\"\n"
                               "principal = \"bob\"\n    call = \"*\"\n";
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_begin ();
    replays_request_t twice = {.service = "a", .key = "k", .body = 1, .attempts = 2};
    uint64_t waits = s_ask_with (0, &twice);
    uint64_t allowed = s_ask_with (2, &twice);
    (void) replays_world_join_worker (&s_world, "a", 0);
    replays_world_lose_worker (&s_world, 0);
    replays_world_turn (&s_world);
    s_expect_nothing (waits);
    replays_world_rules (&s_world, rules);
    s_expect (waits, RP_WORKER_LOST, 0, false);
    s_expect_nothing (allowed);
    replays_world_rules (&s_world, NULL);
    rp_rules_destroy (&rules);
}

static void s_a_principal_keeps_what_rules_allow_it_though_its_client_has_gone (void **state)
{
    (void) state;
    static const char text[] = "principal = \"worker\"\n    serve = \"*\"\n"
                               "principal = \"ada\"\n    call = \"*\"\n";
    rp_rules_t *rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_begin ();
    replays_world_lose_worker (&s_world, 0);
    (void) replays_world_join_worker (&s_world, "a", 1);
    (void) s_ask (2, "other", 1);
    (void) s_ask (0, "k", 1);
    uint64_t second = s_ask (1, "k", 1);
    replays_world_lose_client (&s_world, 0);
    replays_world_rules (&s_world, rules);
    s_expect_nothing (second);
    s_reply (RP_OK, 41);
    s_reply (RP_OK, 42);
    s_expect (second, RP_OK, 42, true);
    replays_world_rules (&s_world, NULL);
    rp_rules_destroy (&rules);
}

/*  ---- Memory --------------------------------------------------------------------------------- */

static void s_a_result_is_forgotten_after_its_time (void **state)
{
    (void) state;
    s_world.limits.replay_keep = 5000;
    s_begin ();
    (void) s_ask (0, "k", 1);
    s_reply (RP_OK, 41);
    replays_world_pass (&s_world, 5 * S_SECOND - 1);
    s_expect (s_ask (0, "k", 1), RP_OK, 41, true);
    replays_world_pass (&s_world, 1);
    assert_int_equal (s_figures ().results, 0);
    assert_int_equal (s_figures ().bytes, 0);
    assert_int_equal (s_figures ().evicted, 0);
    (void) s_ask (0, "k", 1);
    assert_int_equal (s_world.task_count, 1);
}

/*  Has a result of so many bytes remembered.  */
static void s_remember (unsigned client, const char *key, size_t bytes)
{
    (void) s_ask (client, key, 1);
    assert_int_equal (s_world.task_count, 1);
    replays_world_reply (&s_world, 0, RP_OK, 1, bytes);
    replays_world_turn (&s_world);
}

static bool s_is_remembered (unsigned client, const char *key)
{
    s_expect (s_ask (client, key, 2), RP_KEY_MISMATCH, 0, false);
    return true;
}

static void s_who_takes_the_most_loses_its_oldest_result (void **state)
{
    (void) state;
    s_world.limits.replay_bytes = 100000;
    s_begin ();
    s_remember (2, "small", 1000);
    for (unsigned number = 0; number < 300; number++) {
        char key[16];
        snprintf (key, sizeof key, "k%u", number);
        s_remember (0, key, 1000);
    }
    assert_true (s_figures ().bytes <= 100000);
    assert_true (s_figures ().evicted > 200);
    assert_true (s_is_remembered (2, "small"));
    assert_true (s_is_remembered (0, "k299"));
    (void) s_ask (0, "k0", 2);
    assert_int_equal (s_world.task_count, 1);
}

static void s_a_result_that_has_no_room_forgets_no_other (void **state)
{
    (void) state;
    s_world.limits.replay_bytes = 100000;
    s_begin ();
    s_remember (0, "k", 1000);
    s_remember (0, "large", 200000);
    assert_int_equal (s_figures ().evicted, 1);
    assert_true (s_is_remembered (0, "k"));
    (void) s_ask (0, "large", 1);
    assert_int_equal (s_world.task_count, 1);
}

static void s_a_crowd_that_runs_pushes_out_nobody_smaller (void **state)
{
    (void) state;
    s_world.limits.replay_bytes = 20000;
    s_begin ();
    s_remember (2, "small", 1000);
    uint64_t last = 0;
    for (unsigned number = 0; number < 100; number++) {
        char key[16];
        snprintf (key, sizeof key, "k%u", number);
        last = s_ask (0, key, 1);
    }
    s_expect (last, RP_BUSY, 0, false);
    assert_non_null (strstr (s_told (last)->text, "replay_bytes"));
    assert_true (s_figures ().bytes <= 20000);
    assert_true (s_is_remembered (2, "small"));
    assert_int_equal (s_figures ().evicted, 0);
}

/*  The turn that sends a result comes after all that was read with the request for it.  */
static void s_a_result_that_is_on_its_way_is_not_forgotten_before (void **state)
{
    (void) state;
    s_world.limits.replay_bytes = 100000;
    s_begin ();
    s_remember (0, "k", 60000);
    (void) s_ask (0, "large", 1);
    uint64_t again = replays_world_submit (
      &s_world, 1, &(replays_request_t){.service = "a", .key = "k", .body = 1});
    replays_world_reply (&s_world, 0, RP_OK, 43, 60000);
    replays_world_turn (&s_world);
    s_expect (again, RP_OK, 1, true);
    assert_true (s_figures ().bytes <= 100000);
    assert_int_equal (s_figures ().evicted, 1);
    assert_true (s_is_remembered (0, "large"));
}

static void s_results_of_one_turn_are_within_the_limit (void **state)
{
    (void) state;
    s_world.limits.replay_bytes = 100000;
    s_begin ();
    for (unsigned number = 0; number < 5; number++) {
        char key[16];
        snprintf (key, sizeof key, "k%u", number);
        (void) s_ask (0, key, 1);
    }
    for (unsigned number = 0; number < 5; number++) {
        replays_world_reply (&s_world, 0, RP_OK, 43, 60000);
        assert_true (s_figures ().bytes <= 100000);
    }
    replays_world_turn (&s_world);
    assert_int_equal (s_figures ().evicted, 4);
}

static void s_the_end_gives_every_payload_back (void **state)
{
    (void) state;
    s_begin ();
    s_remember (0, "k", 1000);
    (void) s_ask (0, "open", 1);
    (void) s_ask (0, "k", 1);
    (void) replays_world_submit (
      &s_world, 1, &(replays_request_t){.service = "a", .key = "late", .body = 1});
    assert_true (s_world.wanted.count > 0); // the tear-down looks
}

#define S_TEST(function) cmocka_unit_test_setup_teardown (function, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_who_asks_again_gets_the_same),
      S_TEST (s_who_asks_while_it_runs_waits_for_it),
      S_TEST (s_another_body_is_never_run),
      S_TEST (s_a_key_is_one_principals_and_one_services),
      S_TEST (s_a_request_without_a_key_is_the_cores),
      S_TEST (s_attempts_are_made_within_the_execution),
      S_TEST (s_a_lost_worker_is_told_to_all_and_forgotten),
      S_TEST (s_what_did_not_run_is_not_remembered),
      S_TEST (s_each_has_its_own_deadline),
      S_TEST (s_without_room_the_deadline_says_that_nothing_ran),
      S_TEST (s_a_cancel_takes_it_away_from_nobody_else),
      S_TEST (s_when_the_last_one_cancels_its_worker_is_told),
      S_TEST (s_nobody_cancels_for_others),
      S_TEST (s_who_was_lost_gets_the_result_later),
      S_TEST (s_what_nobody_came_back_for_ends_at_its_deadline),
      S_TEST (s_a_key_is_there_and_not_too_long),
      S_TEST (s_a_client_has_no_more_open_than_its_limit),
      S_TEST (s_a_quota_holds_for_requests_with_keys),
      S_TEST (s_rules_that_shrink_end_what_has_not_begun),
      S_TEST (s_what_no_rule_allows_any_more_goes_to_no_other_worker),
      S_TEST (s_what_waits_for_another_attempt_ends_with_its_rule),
      S_TEST (s_a_principal_keeps_what_rules_allow_it_though_its_client_has_gone),
      S_TEST (s_a_result_is_forgotten_after_its_time),
      S_TEST (s_who_takes_the_most_loses_its_oldest_result),
      S_TEST (s_a_result_that_has_no_room_forgets_no_other),
      S_TEST (s_a_crowd_that_runs_pushes_out_nobody_smaller),
      S_TEST (s_a_result_that_is_on_its_way_is_not_forgotten_before),
      S_TEST (s_results_of_one_turn_are_within_the_limit),
      S_TEST (s_the_end_gives_every_payload_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
