/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/jobs/jobs_state.h"
#include "tests/support/jobs_world.h"

#define S_SECOND INT64_C (1000000)
#define S_HOUR (3600 * S_SECOND)
#define S_NONE SIZE_MAX

static jobs_world_t s_world;

static int s_set_up (void **state)
{
    (void) state;
    jobs_world_init (&s_world);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    jobs_world_clear (&s_world);
    return 0;
}

/*  ---- Words ---------------------------------------------------------------------------------- */

static void s_begin (void)
{
    jobs_world_begin (&s_world);
    jobs_world_settle (&s_world);
}

static void s_submit (uint64_t content, const jobs_terms_t *terms)
{
    jobs_world_submit (&s_world, "upper", content, terms);
}

/*  Submits a job, which is accepted.  */
static uint64_t s_accept (uint64_t content, const jobs_terms_t *terms)
{
    s_submit (content, terms);
    jobs_world_settle (&s_world);
    const jobs_told_t *told = jobs_world_told (&s_world, 0, content);
    assert_non_null (told);
    assert_int_equal (told->head.command, RP_COMMAND_ACCEPTED);
    return told->head.job;
}

static bool s_runs (uint64_t content)
{
    return jobs_world_task (&s_world, content) != S_NONE;
}

static jobs_task_t s_task (uint64_t content)
{
    size_t task = jobs_world_task (&s_world, content);
    assert_true (task != S_NONE);
    return s_world.tasks[task];
}

static void s_end (uint64_t content, rp_status_t status, uint64_t reply)
{
    size_t task = jobs_world_task (&s_world, content);
    assert_true (task != S_NONE);
    jobs_world_reply (&s_world, task, status, reply);
    jobs_world_settle (&s_world);
}

static const model_row_t *s_row (uint64_t content)
{
    const model_row_t *row = jobs_world_row (&s_world, content);
    assert_non_null (row);
    return row;
}

static uint64_t s_reply_of (uint64_t content)
{
    const model_row_t *row = s_row (content);
    uint64_t reply = 0;
    assert_int_equal (row->reply.size, sizeof reply);
    memcpy (&reply, row->reply.data, sizeof reply);
    return reply;
}

static void s_expect_final (uint64_t content, rp_status_t status)
{
    assert_int_equal (s_row (content)->state, RP_JOB_DONE);
    assert_int_equal (s_row (content)->status, status);
}

static const jobs_told_t *s_told (uint64_t request)
{
    const jobs_told_t *told = jobs_world_told (&s_world, 0, request);
    assert_non_null (told);
    return told;
}

static void s_expect_refusal (uint64_t request, rp_status_t status)
{
    assert_int_equal (s_told (request)->head.command, RP_COMMAND_REPLY);
    assert_int_equal (s_told (request)->head.status, status);
    assert_int_equal (s_told (request)->head.job, 0);
}

static void s_ask (rp_jobs_what_t what, uint64_t request, uint64_t job, uint32_t wait_ms)
{
    jobs_world_ask (&s_world, what, 0, request, job, wait_ms, "ada");
}

/*  ---- Acceptance ----------------------------------------------------------------------------- */

static void s_nobody_is_told_before_the_job_is_on_disk (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_submit (1, NULL);
    jobs_world_turn (&s_world);
    assert_int_equal (s_world.told_count, 0);
    assert_int_equal (s_world.task_count, 0);
    assert_true (rp_jobs_is_writing (s_world.jobs));
    model_store_commit (&s_world.store);
    jobs_world_turn (&s_world);
    assert_int_equal (s_world.told_count, 0);
    jobs_world_take (&s_world);
    assert_int_equal (s_told (1)->head.command, RP_COMMAND_ACCEPTED);
    assert_int_equal (s_told (1)->head.job, jobs_world_job (&s_world, 1));
    assert_true (s_runs (1));
}

static void s_a_job_that_a_worker_can_have_is_written_once (void **state)
{
    (void) state;
    s_begin ();
    uint64_t before = s_world.store.number;
    jobs_world_join (&s_world, "upper", 1);
    s_submit (1, NULL);
    jobs_world_turn (&s_world);
    model_store_commit (&s_world.store);
    assert_int_equal (s_row (1)->state, RP_JOB_RUNNING);
    assert_int_equal (s_row (1)->attempt, 1);
    jobs_world_settle (&s_world);
    s_end (1, RP_OK, 1001);
    // PUT, FINAL; the other is the look for overdue jobs
    assert_true (s_world.store.number - before <= 3);
    s_expect_final (1, RP_OK);
    assert_int_equal (s_reply_of (1), 1001);
}

static void s_a_job_without_a_worker_waits_until_one_comes (void **state)
{
    (void) state;
    s_begin ();
    s_accept (1, NULL);
    assert_int_equal (s_row (1)->state, RP_JOB_WAITING);
    jobs_world_pass (&s_world, 60 * S_SECOND);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_runs (1));
    assert_int_equal (s_task (1).attempt, 1);
    s_end (1, RP_APP_ERROR, 5);
    s_expect_final (1, RP_APP_ERROR);
}

static void s_an_attempt_begins_only_when_it_is_on_disk (void **state)
{
    (void) state;
    s_begin ();
    s_accept (1, NULL);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_slip (&s_world, S_SECOND);
    jobs_world_turn (&s_world);
    for (unsigned round = 0; round < 3; round++) {
        jobs_world_turn (&s_world);
        assert_int_equal (s_world.task_count, 0);
    }
    while (model_store_commit (&s_world.store)) {
    }
    jobs_world_turn (&s_world);
    assert_int_equal (s_world.task_count, 0);
    jobs_world_settle (&s_world);
    assert_true (s_runs (1));
}

static void s_terms_that_make_no_sense_are_refused (void **state)
{
    (void) state;
    s_begin ();
    s_submit (1, &(jobs_terms_t){.delay_ms = 5000, .deadline_ms = 4000});
    jobs_world_settle (&s_world);
    s_expect_refusal (1, RP_INVALID);
    assert_int_equal (s_world.payloads, 0);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (jobs_world_figures (&s_world).refused, 1);
}

static void s_too_many_open_jobs_are_refused_until_one_ends (void **state)
{
    (void) state;
    s_world.most = 2;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    s_accept (2, NULL);
    s_submit (3, NULL);
    jobs_world_settle (&s_world);
    s_expect_refusal (3, RP_BUSY);
    s_end (1, RP_OK, 1);
    s_accept (4, NULL);
}

static void s_a_burst_of_any_size_is_taken (void **state)
{
    (void) state;
    s_begin ();
    for (uint64_t content = 1; content <= 3000; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    for (uint64_t content = 1; content <= 3000; content++)
        assert_int_equal (s_told (content)->head.command, RP_COMMAND_ACCEPTED);
    assert_int_equal (jobs_world_figures (&s_world).open, 3000);
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static void s_a_key_has_one_job (void **state)
{
    (void) state;
    s_begin ();
    const jobs_terms_t first = {.key = "k", .body = 9};
    uint64_t job = s_accept (1, &first);
    assert_int_equal (s_accept (2, &first), job);
    assert_true (s_told (2)->replayed);
    assert_false (s_told (1)->replayed);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
    assert_int_equal (jobs_world_figures (&s_world).accepted, 1);
    assert_int_equal (jobs_world_figures (&s_world).replayed, 1);
    // Both at once, before the first is on disk.
    s_submit (3, &(jobs_terms_t){.key = "l", .body = 9});
    s_submit (4, &(jobs_terms_t){.key = "l", .body = 9});
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (3)->head.job, s_told (4)->head.job);
}

static void s_a_key_with_another_body_is_refused (void **state)
{
    (void) state;
    s_begin ();
    s_accept (1, &(jobs_terms_t){.key = "k", .body = 9});
    s_submit (2, &(jobs_terms_t){.key = "k", .body = 10});
    jobs_world_settle (&s_world);
    s_expect_refusal (2, RP_KEY_MISMATCH);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
    assert_int_equal (s_world.payloads, 1); // the first job's
}

static void s_a_key_known_or_not_leaves_the_room_as_it_was (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1); // room for two attempts
    s_accept (1, &(jobs_terms_t){.key = "k", .body = 9});
    for (uint64_t content = 2; content < 10; content++)
        s_submit (content, &(jobs_terms_t){.key = "k", .body = 9 + content % 2});
    jobs_world_settle (&s_world);
    s_end (1, RP_OK, 1);
    s_accept (20, NULL);
    s_accept (21, NULL);
    s_end (20, RP_OK, 1);
    s_end (21, RP_OK, 1);
}

/*  What the same key draws when nothing new is taken. again: the request.  */
static void s_expect_only_replays (uint64_t again, uint64_t job)
{
    size_t payloads = s_world.payloads;
    const jobs_terms_t known = {.key = "k", .body = 9};
    assert_int_equal (s_accept (again, &known), job);
    assert_true (s_told (again)->replayed);
    s_submit (again + 1, &(jobs_terms_t){.key = "k", .body = 10});
    s_submit (again + 2, &(jobs_terms_t){.key = "l", .body = 9});
    jobs_world_submit (&s_world, "other", again + 3, &known);
    s_submit (again + 4, &(jobs_terms_t){.key = "k", .body = 9, .principal = "bob"});
    jobs_world_settle (&s_world);
    s_expect_refusal (again + 1, RP_KEY_MISMATCH);
    for (uint64_t request = again + 2; request < again + 5; request++)
        s_expect_refusal (request, RP_BUSY);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
    assert_int_equal (s_world.payloads, payloads);
    assert_int_equal (s_world.jobs->looks_at_keys.count, 0);
    assert_int_equal (s_world.jobs->puts.count, 0);
}

static void s_a_key_is_answered_while_too_many_jobs_are_open (void **state)
{
    (void) state;
    s_world.most = 1;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.key = "k", .body = 9});
    s_expect_only_replays (2, job);
    assert_string_equal (s_told (4)->text, "too many jobs are open (limit jobs)");
    model_store_order (&s_world.store, RP_STORE_KEY, RP_STORED_BUSY, 1);
    s_submit (9, &(jobs_terms_t){.key = "k", .body = 9});
    jobs_world_settle (&s_world);
    s_expect_refusal (9, RP_BUSY);
}

static void s_a_key_is_answered_while_the_store_is_full (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.key = "k", .body = 9});
    model_store_order (&s_world.store, RP_STORE_PUT, RP_STORED_FULL, 5);
    s_expect_only_replays (2, job);
    assert_string_equal (s_told (4)->text, "the store is full");
}

static void s_another_principal_has_keys_of_its_own (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.key = "k", .body = 9});
    uint64_t other = s_accept (2, &(jobs_terms_t){.key = "k", .body = 9, .principal = "bob"});
    assert_int_not_equal (job, other);
}

/*  ---- Time ----------------------------------------------------------------------------------- */

static void s_a_delayed_job_waits_for_its_time (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 4);
    s_accept (1, &(jobs_terms_t){.delay_ms = 3600000});
    s_accept (2, &(jobs_terms_t){.delay_ms = 1000});
    assert_int_equal (jobs_world_figures (&s_world).loaded, 1); // the other is a row only
    jobs_world_pass (&s_world, 999000);
    assert_int_equal (s_world.task_count, 0);
    jobs_world_pass (&s_world, 2000);
    assert_true (s_runs (2));
    s_end (2, RP_OK, 2);
    jobs_world_pass (&s_world, S_HOUR - 2 * S_SECOND);
    assert_int_equal (s_world.task_count, 0);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (1));
    s_end (1, RP_OK, 1);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (jobs_world_figures (&s_world).loaded, 0);
}

static void s_the_first_job_of_all_may_be_delayed (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    assert_int_equal (s_accept (1, &(jobs_terms_t){.delay_ms = 10000}), 1);
    jobs_world_pass (&s_world, 11 * S_SECOND);
    assert_true (s_runs (1));
}

static void s_jobs_of_a_service_begin_in_the_order_in_which_they_are_due (void **state)
{
    (void) state;
    s_begin ();
    for (uint64_t content = 1; content <= 50; content++)
        s_submit (content, &(jobs_terms_t){.delay_ms = (int64_t) (content * 37 % 50) * 100});
    jobs_world_settle (&s_world);
    jobs_world_pass (&s_world, 10 * S_SECOND);
    jobs_world_join (&s_world, "upper", 1);
    int64_t due = 0;
    for (unsigned ended = 0; ended < 50; ended++) {
        jobs_world_pass (&s_world, S_SECOND);
        assert_true (s_world.task_count > 0);
        uint64_t content = s_world.tasks[0].content;
        assert_true (s_row (content)->due > due);
        due = s_row (content)->due;
        s_end (content, RP_OK, content);
    }
}

static void s_a_job_does_not_overtake_one_that_is_being_written (void **state)
{
    (void) state;
    s_begin ();
    s_submit (1, NULL); // there is no worker
    jobs_world_turn (&s_world);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_slip (&s_world, S_SECOND / 2);
    s_submit (2, NULL);
    jobs_world_settle (&s_world);
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_runs (1));
}

static void s_a_deadline_passes_in_memory (void **state)
{
    (void) state;
    s_begin ();
    s_accept (1, &(jobs_terms_t){.deadline_ms = 500});
    assert_int_equal (jobs_world_figures (&s_world).loaded, 1);
    jobs_world_pass (&s_world, 3 * S_SECOND);
    s_expect_final (1, RP_EXPIRED);
    assert_int_equal (s_row (1)->made, 0);
    assert_false (s_row (1)->has_reply);
    assert_int_equal (s_world.payloads, 0);
}

static void s_a_deadline_passes_of_a_row (void **state)
{
    (void) state;
    s_world.page = 2;
    s_begin ();
    for (uint64_t content = 1; content <= 20; content++)
        s_submit (content, &(jobs_terms_t){.deadline_ms = content > 10 ? 5000 : 0});
    jobs_world_settle (&s_world);
    jobs_world_pass (&s_world, 8 * S_SECOND);
    for (uint64_t content = 11; content <= 20; content++)
        s_expect_final (content, RP_EXPIRED);
    assert_int_equal (jobs_world_figures (&s_world).open, 10);
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 10; content++) {
        jobs_world_pass (&s_world, S_SECOND);
        s_end (content, RP_OK, content);
    }
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_a_job_that_began_does_not_expire (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.deadline_ms = 500});
    jobs_world_pass (&s_world, 10 * S_SECOND);
    s_end (1, RP_OK, 7);
    s_expect_final (1, RP_OK);
}

static void s_the_clock_may_jump_forward (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    s_accept (1, &(jobs_terms_t){.attempt_ms = 10000});
    s_accept (2, &(jobs_terms_t){.delay_ms = 1800000});
    s_world.wall += S_HOUR;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (1)); // its limit is not of the wall
    assert_false (s_task (1).cancelled);
    assert_int_equal (s_row (1)->attempt_count, 0);
    assert_true (s_runs (2));
    jobs_world_pass (&s_world, 7 * S_SECOND);
    assert_false (s_task (1).cancelled);
    s_end (1, RP_OK, 1);
    s_end (2, RP_OK, 2);
    assert_int_equal (s_row (1)->made, 1);
    assert_int_equal (s_row (2)->made, 1);
}

static void s_the_clock_may_jump_back (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.attempt_ms = 10000});
    s_accept (2, NULL);
    s_accept (3, NULL);
    s_accept (4, &(jobs_terms_t){.delay_ms = 7000});
    s_world.wall -= S_HOUR;
    s_accept (5, NULL);
    jobs_world_pass (&s_world, 5 * S_SECOND);
    assert_false (s_task (1).cancelled);
    const uint64_t order[] = {1, 2, 3, 5};
    for (size_t index = 0; index < sizeof order / sizeof *order; index++) {
        s_end (order[index], RP_OK, order[index]);
        jobs_world_pass (&s_world, S_SECOND / 10);
    }
    assert_int_equal (s_world.task_count, 0);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    s_end (4, RP_OK, 4); // as long after its acceptance as it should be
    for (uint64_t content = 1; content <= 5; content++)
        assert_int_equal (s_row (content)->made, 1);
}

static void s_a_full_page_and_a_clock_that_jumps_back (void **state)
{
    (void) state;
    s_world.page = 4;
    s_begin ();
    for (uint64_t content = 1; content <= 4; content++)
        s_accept (content, NULL);
    s_world.wall -= S_HOUR;
    for (uint64_t content = 5; content <= 10; content++)
        s_accept (content, NULL);
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 10; content++) {
        jobs_world_pass (&s_world, S_SECOND);
        s_end (content, RP_OK, content);
    }
}

static void s_pauses_are_as_long_as_they_are_whatever_the_clock_does (void **state)
{
    (void) state;
    const int64_t jumps[] = {-S_HOUR, S_HOUR, 2 * S_HOUR, -S_HOUR};
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.backoff_ms = 20000, .attempts = 9});
    for (size_t index = 0; index < sizeof jumps / sizeof *jumps; index++) {
        s_end (1, RP_WORKER_LOST, 0);
        jobs_world_pass (&s_world, 2 * S_SECOND);
        s_world.wall += jumps[index];
        jobs_world_pass (&s_world, S_SECOND);
        s_world.wall += jumps[index]; // and again
        int64_t least = (INT64_C (15) << index) * S_SECOND,
                most = (INT64_C (25) << index) * S_SECOND;
        jobs_world_pass (&s_world, least - 4 * S_SECOND);
        assert_false (s_runs (1));
        jobs_world_pass (&s_world, most - least + 6 * S_SECOND);
        assert_true (s_runs (1));
    }
    s_end (1, RP_OK, 1);
    assert_int_equal (s_row (1)->made, 5);
    assert_int_equal (s_row (1)->attempt_count, 4);
}

static void s_an_instant_is_one_of_the_wall_clock (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 9);
    s_accept (1, &(jobs_terms_t){.instant_ms = 10000});
    s_world.wall -= S_HOUR;
    s_accept (2, &(jobs_terms_t){.instant_ms = 10000});
    s_accept (3, &(jobs_terms_t){.instant_ms = 2 * 3600000});
    jobs_world_pass (&s_world, 9 * S_SECOND);
    assert_int_equal (s_world.task_count, 0);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (2));
    assert_false (s_runs (1));
    s_world.wall += S_HOUR - S_SECOND; // set right, nearly: ten seconds for its ten
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (1));
    s_world.wall += S_HOUR;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (3));
    for (uint64_t content = 1; content <= 3; content++)
        assert_int_equal (s_row (content)->attempt_count, 0);
}

/*  Where the jobs' clock is ahead, a time that late is after the last one that there is.  */
static void s_the_last_instant_that_there_is_does_not_come (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 9);
    int64_t last = (INT64_MAX - s_world.wall) / 1000;
    s_accept (1, &(jobs_terms_t){.instant_ms = last - 1, .deadline_ms = last});
    s_world.wall -= S_HOUR;
    last = (INT64_MAX - s_world.wall) / 1000;
    s_accept (2, &(jobs_terms_t){.instant_ms = last - 1, .deadline_ms = last});
    s_accept (3, &(jobs_terms_t){.deadline_ms = last});
    jobs_world_pass (&s_world, 5 * S_SECOND);
    assert_int_equal (s_world.task_count, 1);
    s_end (3, RP_OK, 3);
    jobs_world_crash (&s_world);
    s_begin ();
    jobs_world_join (&s_world, "upper", 9);
    jobs_world_pass (&s_world, 5 * S_SECOND);
    assert_int_equal (s_world.task_count, 0);
}

static void s_a_broker_that_starts_knows_how_the_clock_was_set_back (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 9);
    s_world.wall -= S_HOUR;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    jobs_world_submit (&s_world, "other", 1, NULL);
    s_accept (2, &(jobs_terms_t){.delay_ms = 10000});
    s_accept (3, &(jobs_terms_t){.instant_ms = 10000});
    jobs_world_crash (&s_world);
    s_begin ();
    jobs_world_join (&s_world, "other", 1);
    jobs_world_join (&s_world, "upper", 9);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (1));
    assert_int_equal (s_world.task_count, 1);
    jobs_world_pass (&s_world, 10 * S_SECOND);
    assert_true (s_runs (2) && s_runs (3));
}

/*  ---- Rows and memory ------------------------------------------------------------------------ */

static void s_thousands_of_jobs_are_rows (void **state)
{
    (void) state;
    s_world.page = 8;
    s_begin ();
    for (uint64_t content = 1; content <= 2000; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    assert_true (jobs_world_figures (&s_world).loaded <= 12);
    assert_int_equal (s_world.payloads, jobs_world_figures (&s_world).loaded);
    jobs_world_join (&s_world, "upper", 4);
    uint64_t ended = 0;
    while (ended < 2000) {
        jobs_world_pass (&s_world, S_SECOND / 4);
        assert_true (s_world.task_count > 0);
        while (s_world.task_count > 0) {
            jobs_world_reply (&s_world, 0, RP_OK, 1);
            ended++;
            assert_true (jobs_world_figures (&s_world).loaded <= 24);
        }
    }
    jobs_world_settle (&s_world);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (jobs_world_figures (&s_world).done, 2000);
}

/*  Commits and takes one by one, while other things happen between.  */
static void s_what_is_written_during_a_load_is_not_lost (void **state)
{
    (void) state;
    s_world.page = 4;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    uint64_t next = 1, ended = 0;
    unsigned chance = 1;
    for (unsigned round = 0; round < 6000; round++) {
        chance = chance * 1103515245u + 12345u;
        unsigned what = chance >> 16;
        if (what % 4 == 0 && next <= 400)
            s_submit (next++, &(jobs_terms_t){.delay_ms = what % 7 * 300, .backoff_ms = 50});
        if (what % 3 == 0)
            model_store_commit (&s_world.store);
        if (what % 5 < 2)
            jobs_world_take (&s_world);
        if (what % 6 == 0 && s_world.task_count > 0) {
            bool fails = what % 8 == 0 && s_world.tasks[0].attempt == 1;
            jobs_world_reply (&s_world, 0, fails ? RP_WORKER_LOST : RP_OK, 1);
            ended += !fails;
        }
        jobs_world_slip (&s_world, 1000);
        jobs_world_turn (&s_world);
    }
    for (unsigned round = 0; round < 4000 && ended < next - 1; round++) {
        jobs_world_pass (&s_world, 50000);
        while (s_world.task_count > 0) {
            jobs_world_reply (&s_world, 0, RP_OK, 1);
            ended++;
        }
    }
    jobs_world_settle (&s_world);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_a_pause_that_ends_before_a_page_of_delayed_jobs_blocks_nothing (void **state)
{
    (void) state;
    s_world.page = 4;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.backoff_ms = 200});
    for (uint64_t content = 2; content <= 5; content++) // all in memory
        s_accept (content, &(jobs_terms_t){.delay_ms = 1500});
    s_end (1, RP_WORKER_LOST, 0); // is due before them, and a row
    jobs_world_pass (&s_world, 500000);
    s_end (1, RP_OK, 1);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    for (uint64_t content = 2; content <= 5; content++) {
        assert_true (s_world.task_count > 0);
        jobs_world_reply (&s_world, 0, RP_OK, 1);
        jobs_world_pass (&s_world, S_SECOND);
    }
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_a_row_without_memory_is_loaded_again (void **state)
{
    (void) state;
    s_world.page = 4;
    s_begin ();
    for (uint64_t content = 1; content <= 20; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    s_world.rows_refused = 5;
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 20; content++) {
        jobs_world_pass (&s_world, S_SECOND);
        s_end (content, RP_OK, content);
    }
    assert_int_equal (s_world.rows_refused, 0);
}

static void s_a_busy_store_is_asked_again (void **state)
{
    (void) state;
    s_world.page = 4;
    s_begin ();
    for (uint64_t content = 1; content <= 20; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    model_store_order (&s_world.store, RP_STORE_LOAD, RP_STORED_BUSY, 3);
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 20; content++) {
        jobs_world_pass (&s_world, 2 * S_SECOND);
        s_end (content, RP_OK, content);
    }
}

static void s_a_waiting_job_takes_little_memory (void **state)
{
    (void) state;
    // Its entries in the heap and in the table are 16 bytes each, at most half empty.
    assert_true (sizeof (rp_job_t) + 64 <= 312);
}

static void s_bodies_that_wait_take_little_memory (void **state)
{
    (void) state;
    s_world.bytes = 5 * sizeof (uint64_t);
    s_begin ();
    for (uint64_t content = 1; content <= 40; content++)
        s_accept (content, NULL);
    for (uint64_t content = 41; content <= 60; content++)
        jobs_world_submit (&s_world, "lower", content, NULL);
    jobs_world_settle (&s_world);
    assert_int_equal (s_world.jobs->figures.loaded, 5);
    // Nobody serves the first, and yet the second goes on, one by one.
    jobs_world_join (&s_world, "lower", 1);
    for (uint64_t content = 41; content <= 60; content++) {
        for (unsigned index = 0; index < 50 && !s_runs (content); index++)
            jobs_world_pass (&s_world, S_SECOND / 10);
        assert_true (s_world.jobs->figures.loaded <= 5 + 3);
        s_end (content, RP_OK, content);
    }
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 40; content++) {
        for (unsigned index = 0; index < 50 && !s_runs (content); index++)
            jobs_world_pass (&s_world, S_SECOND / 10);
        s_end (content, RP_OK, content);
    }
    assert_int_equal (s_world.jobs->bytes, 0);
    assert_int_equal (s_world.jobs->services.count, 0);
}

static void s_one_body_larger_than_all_memory_for_them_runs (void **state)
{
    (void) state;
    s_world.bytes = 1;
    s_begin ();
    s_accept (1, NULL);
    s_accept (2, NULL);
    assert_int_equal (s_world.jobs->figures.loaded, 0);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, S_SECOND);
    s_end (1, RP_OK, 1);
    jobs_world_pass (&s_world, S_SECOND);
    s_end (2, RP_OK, 2);
}

static uint64_t s_tries;

static void s_count_tries (
  jobs_world_t *world, const rp_store_op_t *op, const rp_stored_t *result, const model_row_t *row)
{
    (void) world, (void) result, (void) row;
    s_tries += op->kind == RP_STORE_ATTEMPT || (op->kind == RP_STORE_PUT && op->attempt > 0);
}

static void s_attempts_that_find_no_room_in_the_core_are_tried_a_few_at_a_time (void **state)
{
    (void) state;
    s_world.hooks.commit = s_count_tries;
    s_begin ();
    jobs_world_join (&s_world, "upper", 100);
    rp_dispatch_set_backlog (s_world.core, s_world.limits.total_queue_bytes);
    for (uint64_t content = 1; content <= 500; content++)
        s_submit (content, NULL);
    jobs_world_pass (&s_world, S_SECOND);
    s_tries = 0;
    jobs_world_pass (&s_world, 10 * S_SECOND);
    assert_in_range (s_tries, 10, 110); // with two windows each 100 ms there were 20000
    assert_int_equal (s_world.task_count, 0);
    rp_dispatch_set_backlog (s_world.core, 0);
    jobs_world_pass (&s_world, S_SECOND);
    assert_int_equal (s_world.task_count, 100);
    while (s_world.task_count > 0) {
        jobs_world_reply (&s_world, 0, RP_OK, 1);
        jobs_world_pass (&s_world, S_SECOND / 100);
    }
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_jobs_for_too_many_services_are_refused (void **state)
{
    (void) state;
    s_world.services = 2;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    s_accept (1, NULL);
    jobs_world_submit (&s_world, "lower", 2, NULL);
    jobs_world_submit (&s_world, "third", 3, NULL);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (2)->head.command, RP_COMMAND_ACCEPTED);
    s_expect_refusal (3, RP_BUSY);
    s_accept (4, NULL);
    s_end (1, RP_OK, 1);
    s_end (4, RP_OK, 4);
    jobs_world_submit (&s_world, "third", 5, NULL);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (5)->head.command, RP_COMMAND_ACCEPTED);
}

static void s_services_without_jobs_take_none (void **state)
{
    (void) state;
    s_begin ();
    char name[16];
    for (uint64_t content = 1; content <= 300; content++) {
        snprintf (name, sizeof name, "s%u", (unsigned) content);
        jobs_world_submit (&s_world, name, content, &(jobs_terms_t){.deadline_ms = 100});
        jobs_world_pass (&s_world, 2 * S_SECOND);
        s_expect_final (content, RP_EXPIRED);
    }
    assert_int_equal (s_world.jobs->services.count, 0);
    assert_int_equal (s_world.jobs->jobs.count, 0);
}

/*  ---- What people see of services ------------------------------------------------------------- */

typedef struct {
    unsigned count;
    rp_jobs_service_info_t upper;
} s_seen_t;

static void s_see (const rp_jobs_service_info_t *info, void *arg)
{
    s_seen_t *seen = arg;
    seen->count++;
    if (strcmp (info->name, "upper") == 0)
        seen->upper = *info;
}

/*  Expects what a look at one service says, and a look at all.  */
static void s_expect_service (unsigned services, uint64_t waiting, uint64_t running, uint64_t died)
{
    s_seen_t seen = {0};
    rp_jobs_service_info_t info;
    rp_jobs_each_service (s_world.jobs, s_world.now, s_see, &seen);
    assert_int_equal (seen.count, services);
    bool found = rp_jobs_find_service (s_world.jobs, "upper", 5, s_world.now, &info);
    assert_int_equal (found, waiting + running + died > 0);
    assert_int_equal (info.waiting, waiting);
    assert_int_equal (info.running, running);
    assert_int_equal (info.died, died);
    assert_int_equal (seen.upper.waiting, waiting);
    assert_int_equal (seen.upper.running, running);
    assert_int_equal (seen.upper.died, died);
}

static void s_services_are_seen_with_what_waits_runs_and_died (void **state)
{
    (void) state;
    s_begin ();
    s_expect_service (0, 0, 0, 0);
    s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_accept (2, NULL);
    jobs_world_submit (&s_world, "lower", 3, NULL);
    jobs_world_settle (&s_world);
    s_expect_service (2, 2, 0, 0);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, S_SECOND);
    s_expect_service (2, 0, 2, 0);
    s_end (1, RP_WORKER_LOST, 0);
    jobs_world_settle (&s_world);
    s_expect_service (2, 0, 1, 1);
    s_end (2, RP_OK, 2);
    jobs_world_settle (&s_world);
    s_expect_service (2, 0, 0, 1);
    jobs_world_pass (&s_world, S_HOUR);
    s_expect_service (1, 0, 0, 0);
}

static void s_causes_are_for_jobs_that_could_run (void **state)
{
    (void) state;
    rp_cause_t causes[RP_JOBS_CAUSES_MAX];
    rp_jobs_service_info_t info = {.name = "upper", .waiting = 3, .due = 100};
    assert_int_equal (rp_jobs_explain (&info, 0, 99, causes), 0); // all are for later
    assert_int_equal (rp_jobs_explain (&info, 0, 100, causes), 1);
    assert_int_equal (causes[0].kind, RP_CAUSE_JOBS_UNSERVED);
    assert_int_equal (causes[0].weight, 3);
    info.died = 4;
    assert_int_equal (rp_jobs_explain (&info, 2, 100, causes), 2);
    assert_int_equal (causes[0].kind, RP_CAUSE_JOBS_DEAD);
    assert_int_equal (causes[1].kind, RP_CAUSE_JOBS_WAIT);
    info.waiting = info.died = 0;
    assert_int_equal (rp_jobs_explain (&info, 0, 100, causes), 0);
}

/*  ---- Attempts ------------------------------------------------------------------------------- */

static void s_an_attempt_that_failed_is_made_again_after_a_pause (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    int64_t pause = S_SECOND;
    for (unsigned attempt = 1; attempt <= 4; attempt++) {
        assert_int_equal (s_task (1).attempt, attempt);
        assert_int_equal (s_task (1).attempts, 5);
        s_end (1, RP_WORKER_LOST, 0);
        assert_int_equal (s_row (1)->state, RP_JOB_WAITING);
        assert_int_equal (s_row (1)->attempt_count, attempt);
        assert_non_null (strstr (s_row (1)->attempts[attempt - 1].text.data, "words"));
        jobs_world_pass (&s_world, pause * 3 / 4 - 1000);
        assert_false (s_runs (1));
        jobs_world_pass (&s_world, pause / 2 + 2000);
        assert_true (s_runs (1));
        pause *= 2;
    }
    assert_int_equal (jobs_world_figures (&s_world).retried, 4);
    s_end (1, RP_WORKER_LOST, 0);
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
    assert_int_equal (s_row (1)->status, RP_WORKER_LOST);
    assert_int_equal (s_row (1)->made, 5);
    assert_true (s_row (1)->until - s_row (1)->ended >= (int64_t) RP_JOB_KEEP_DEAD_MS * 1000);
    assert_int_equal (jobs_world_figures (&s_world).dead, 1);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    jobs_world_pass (&s_world, S_HOUR);
    assert_int_equal (s_world.task_count, 0);
}

static void s_a_lost_worker_is_a_failed_attempt (void **state)
{
    (void) state;
    s_begin ();
    unsigned worker = jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.attempts = 2});
    jobs_world_lose (&s_world, worker);
    jobs_world_settle (&s_world);
    assert_int_equal (s_row (1)->attempt_count, 1);
    worker = jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_int_equal (s_task (1).attempt, 2);
    jobs_world_lose (&s_world, worker);
    jobs_world_settle (&s_world);
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
}

static void s_an_attempt_that_takes_too_long_failed (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    s_accept (1, &(jobs_terms_t){.attempt_ms = 1000, .attempts = 1});
    jobs_world_pass (&s_world, 3 * S_SECOND);
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
    assert_int_equal (s_row (1)->status, RP_DEADLINE);
    assert_true (s_task (1).cancelled);
    // Its worker's late reply changes nothing.
    s_end (1, RP_OK, 9);
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
}

static void s_an_attempt_that_never_began_does_not_count (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.attempts = 1});
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal (s_task (1).attempt, 1);
        jobs_world_decline (&s_world, jobs_world_task (&s_world, 1));
        jobs_world_settle (&s_world);
        // Who gives a request back takes none until it says so; another comes.
        if (!s_runs (1))
            jobs_world_join (&s_world, "upper", 1);
        jobs_world_pass (&s_world, S_SECOND);
    }
    assert_int_equal (s_row (1)->attempt_count, 0);
    s_end (1, RP_OK, 3);
    s_expect_final (1, RP_OK);
    assert_int_equal (s_row (1)->made, 1);
}

static void s_a_core_that_refuses_is_not_asked_without_pause (void **state)
{
    (void) state;
    s_world.limits.service_queue = 1;
    s_begin ();
    jobs_world_join (&s_world, "upper", 8); // 16 attempts, of which 9 have room in the core
    for (uint64_t content = 1; content <= 40; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    uint64_t before = s_world.store.number;
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_world.store.number - before < 2000);
    for (unsigned ended = 0; ended < 40; ended++) {
        assert_true (s_world.task_count > 0);
        jobs_world_reply (&s_world, 0, RP_OK, 1);
        jobs_world_pass (&s_world, S_SECOND / 2);
    }
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

/*  ---- Cancel --------------------------------------------------------------------------------- */

static void s_a_job_that_waits_in_memory_is_cancelled (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
    assert_true (s_told (50)->rows);
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
    assert_int_equal (s_world.payloads, 0);
}

static void s_a_job_that_is_a_row_is_cancelled (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.delay_ms = 60000});
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    s_ask (RP_JOBS_CANCEL, 51, job, 0); // a second one, at the same time
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
    assert_int_equal (s_told (51)->state, RP_JOB_DONE);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (s_world.jobs->waiters.count, 0);
    assert_int_equal (s_world.jobs->jobs.count, 0);
}

static void s_a_job_that_runs_is_cancelled (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
    assert_true (s_task (1).cancelled);
    s_end (1, RP_OK, 4);
    s_expect_final (1, RP_CANCELLED);
}

static void s_a_job_whose_attempt_is_being_written_is_cancelled (void **state)
{
    (void) state;
    for (unsigned full = 0; full < 2; full++) {
        s_begin ();
        uint64_t job = s_accept (1 + full, NULL);
        jobs_world_join (&s_world, "upper", 1);
        jobs_world_slip (&s_world, S_SECOND / 4);
        s_ask (RP_JOBS_CANCEL, 50 + full, job, 0);
        jobs_world_turn (&s_world); // FIND, then ATTEMPT
        model_store_order (&s_world.store, RP_STORE_ATTEMPT, RP_STORED_FULL, full);
        jobs_world_settle (&s_world);
        jobs_world_pass (&s_world, 2 * S_SECOND);
        s_expect_final (1 + full, RP_CANCELLED);
        assert_int_equal (s_told (50 + full)->state, RP_JOB_DONE);
        assert_int_equal (s_world.task_count, 0);
        jobs_world_crash (&s_world);
    }
}

static void s_a_job_that_is_parked_is_cancelled (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    jobs_world_reply (&s_world, 0, RP_WORKER_LOST, 0);
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
}

/*  As of a reply over max_body: it has no payload, and a text that is gone once the broker's actions are reset.  */
static void s_an_answer_of_the_cores_own_keeps_its_text (void **state)
{
    (void) state;
    char text[] = "the reply is over the limit";
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    const rp_job_t *job = rp_job_find (s_world.jobs, s_accept (1, NULL));
    assert_non_null (job);
    rp_jobs_answered (s_world.jobs,
      &(rp_head_t){.command = RP_COMMAND_REPLY,
        .status = RP_APP_ERROR,
        .attempt = 1,
        .id = rp_job_handle (job),
        .text = text,
        .text_size = sizeof text - 1},
      NULL, (rp_jobs_time_t){.now = s_world.now, .wall = s_world.wall}, s_world.wanted);
    memset (text, 'x', sizeof text);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_APP_ERROR);
    const model_row_t *row = s_row (1);
    assert_int_equal (row->text.size, sizeof text - 1);
    assert_memory_equal (row->text.data, "the reply is over the limit", sizeof text - 1);
}

static void s_a_job_that_has_ended_stays_as_it_is (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_end (1, RP_OK, 4);
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_OK);
    // And one that ends while the question is on its way.
    job = s_accept (2, NULL);
    s_ask (RP_JOBS_CANCEL, 51, job, 0);
    jobs_world_reply (&s_world, 0, RP_OK, 5);
    jobs_world_settle (&s_world);
    s_expect_final (2, RP_OK);
    assert_int_equal (s_told (51)->state, RP_JOB_DONE);
    assert_int_equal (s_told (51)->status, RP_OK);
}

static void s_nobody_cancels_the_jobs_of_others (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.principal = "bob"});
    for (int what = RP_JOBS_RESULT; what <= RP_JOBS_REMOVE; what++) {
        s_ask ((rp_jobs_what_t) what, 50 + (uint64_t) what, job, 0);
        s_ask ((rp_jobs_what_t) what, 60 + (uint64_t) what, 12345, 0);
        jobs_world_settle (&s_world);
        s_expect_refusal (50 + (uint64_t) what, RP_APP_ERROR);
        s_expect_refusal (60 + (uint64_t) what, RP_APP_ERROR);
        assert_string_equal (
          s_told (50 + (uint64_t) what)->text, s_told (60 + (uint64_t) what)->text);
    }
    assert_int_equal (s_row (1)->state, RP_JOB_WAITING);
    jobs_world_ask (&s_world, RP_JOBS_CANCEL, 0, 70, job, 0, NULL);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
}

/*  ---- Removal -------------------------------------------------------------------------------- */

static void s_a_job_that_has_ended_is_removed (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_end (1, RP_OK, 4);
    s_ask (RP_JOBS_REMOVE, 50, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (50)->head.status, RP_OK);
    assert_null (model_store_row (&s_world.store, job));
    s_ask (RP_JOBS_REMOVE, 51, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (51, RP_APP_ERROR);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

/*  One that waits, and one that runs; two ask for it at once.  */
static void s_an_open_job_is_cancelled_and_removed (void **state)
{
    (void) state;
    for (unsigned runs = 0; runs < 2; runs++) {
        s_begin ();
        if (runs)
            jobs_world_join (&s_world, "upper", 1);
        uint64_t job = s_accept (1 + runs, NULL);
        assert_int_equal (s_runs (1 + runs), runs);
        s_ask (RP_JOBS_REMOVE, 50 + 2 * runs, job, 0);
        s_ask (RP_JOBS_REMOVE, 51 + 2 * runs, job, 0);
        jobs_world_settle (&s_world);
        assert_int_equal (s_told (50 + 2 * runs)->head.status, RP_OK);
        s_expect_refusal (51 + 2 * runs, RP_APP_ERROR);
        assert_null (model_store_row (&s_world.store, job));
        assert_int_equal (jobs_world_figures (&s_world).open, 0);
        assert_int_equal (s_world.jobs->waiters.count, 0);
        assert_int_equal (s_world.jobs->jobs.count, 0);
        if (runs)
            assert_true (s_task (2).cancelled);
        jobs_world_crash (&s_world);
    }
}

static void s_a_dead_job_is_not_removed (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_end (1, RP_WORKER_LOST, 0);
    s_ask (RP_JOBS_REMOVE, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (50, RP_APP_ERROR);
    assert_int_equal (model_store_row (&s_world.store, job)->state, RP_JOB_DEAD);
}

static void s_a_full_store_removes_nothing_and_says_so (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_end (1, RP_OK, 4);
    model_store_order (&s_world.store, RP_STORE_REMOVE, RP_STORED_FULL, 1);
    s_ask (RP_JOBS_REMOVE, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (50, RP_BUSY);
    s_expect_final (1, RP_OK);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

/*  ---- Results -------------------------------------------------------------------------------- */

static void s_all_who_wait_get_the_final (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    uint64_t job = s_accept (1, NULL), other = s_accept (2, NULL);
    for (uint64_t request = 50; request < 60; request++)
        s_ask (RP_JOBS_RESULT, request, job, 60000);
    s_ask (RP_JOBS_RESULT, 60, other, 60000);
    jobs_world_settle (&s_world);
    assert_null (jobs_world_told (&s_world, 0, 50));
    s_end (1, RP_APP_ERROR, 77);
    for (uint64_t request = 50; request < 60; request++) {
        assert_int_equal (s_told (request)->head.job, job);
        assert_int_equal (s_told (request)->head.status, RP_APP_ERROR);
        assert_int_equal (s_told (request)->content, 77);
        assert_int_equal (jobs_world_told_times (&s_world, 0, request), 1);
    }
    assert_null (jobs_world_told (&s_world, 0, 60));
    assert_int_equal (s_world.jobs->waiters.count, 1);
    s_end (2, RP_OK, 78);
    assert_int_equal (s_told (60)->content, 78);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_crowd_that_waits_for_one_job_is_bounded (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL), other = s_accept (2, NULL);
    uint64_t last = 1000 + RP_JOBS_WAITERS_OF_ONE;
    for (uint64_t request = 1000; request <= last; request++)
        s_ask (RP_JOBS_RESULT, request, job, 60000);
    s_ask (RP_JOBS_RESULT, last + 1, other, 60000);
    jobs_world_settle (&s_world);
    s_expect_refusal (last, RP_BUSY);
    assert_null (jobs_world_told (&s_world, 0, last - 1));
    assert_null (jobs_world_told (&s_world, 0, last + 1));
    s_ask (RP_JOBS_STATE, last + 2, job, 0);
    jobs_world_settle (&s_world);
    assert_true (s_told (last + 2)->rows);
    jobs_world_join (&s_world, "upper", 2);
    jobs_world_pass (&s_world, S_SECOND);
    s_end (1, RP_OK, 77);
    for (uint64_t request = 1000; request < last; request++)
        assert_int_equal (s_told (request)->content, 77);
    s_ask (RP_JOBS_RESULT, last, job, 60000);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (last)->head.status, RP_OK);
}

static void s_a_question_that_waits_is_withdrawn (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    s_ask (RP_JOBS_RESULT, 51, job, 60000);
    jobs_world_ask (&s_world, RP_JOBS_RESULT, 1, 50, job, 60000, "ada");
    jobs_world_settle (&s_world);
    s_ask (RP_JOBS_RESULT, 52, job, 60000);
    jobs_world_turn (&s_world); // the store is still asked for the job
    assert_true (jobs_world_withdraw (&s_world, 0, 50));
    assert_true (jobs_world_withdraw (&s_world, 0, 52));
    assert_false (jobs_world_withdraw (&s_world, 0, 50));
    assert_false (jobs_world_withdraw (&s_world, 1, 51));
    jobs_world_settle (&s_world);
    s_expect_refusal (50, RP_CANCELLED);
    s_expect_refusal (52, RP_CANCELLED);
    s_end (1, RP_OK, 77);
    assert_int_equal (s_told (51)->content, 77);
    assert_int_equal (jobs_world_told (&s_world, 1, 50)->content, 77);
    assert_int_equal (jobs_world_told_times (&s_world, 0, 50), 1);
    assert_int_equal (jobs_world_told_times (&s_world, 0, 52), 1);
    assert_false (jobs_world_withdraw (&s_world, 0, 51));
    assert_int_equal (s_world.jobs->askers.count, 0);
    s_expect_final (1, RP_OK); // the job knows nothing of it
}

static void s_one_client_does_not_take_all_places_of_questions (void **state)
{
    (void) state;
    s_world.limits.client_open = 3;
    s_begin ();
    uint64_t jobs[5];
    for (uint64_t content = 1; content <= 5; content++)
        jobs[content - 1] = s_accept (content, NULL);
    for (uint64_t request = 50; request < 54; request++)
        s_ask (RP_JOBS_RESULT, request, jobs[request - 50], 60000);
    s_ask (RP_JOBS_STATE, 54, jobs[4], 0);
    jobs_world_ask (&s_world, RP_JOBS_RESULT, 1, 50, jobs[0], 60000, "ada");
    jobs_world_settle (&s_world);
    for (uint64_t request = 53; request <= 54; request++) {
        s_expect_refusal (request, RP_BUSY);
        assert_non_null (strstr (s_told (request)->text, "limit client_open"));
    }
    assert_null (jobs_world_told (&s_world, 1, 50));
    assert_true (jobs_world_withdraw (&s_world, 0, 51));
    s_ask (RP_JOBS_STATE, 55, jobs[4], 0);
    jobs_world_settle (&s_world);
    assert_true (s_told (55)->rows);
}

static void s_a_client_that_is_gone_waits_for_nothing (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL), other = s_accept (2, NULL);
    for (uint64_t request = 50; request < 60; request++)
        s_ask (RP_JOBS_RESULT, request, request % 2 ? job : other, 60000);
    jobs_world_ask (&s_world, RP_JOBS_RESULT, 1, 50, job, 60000, "ada");
    jobs_world_settle (&s_world);
    s_ask (RP_JOBS_RESULT, 60, job, 60000);
    jobs_world_end_client (&s_world, 0);
    assert_int_equal (s_world.jobs->waiters.count, 1);
    assert_int_equal (s_world.jobs->askers.count, 1);
    jobs_world_end_client (&s_world, 0);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, S_SECOND);
    s_end (1, RP_OK, 77);
    assert_int_equal (jobs_world_told (&s_world, 1, 50)->content, 77);
    assert_null (jobs_world_told (&s_world, 0, 51));
    assert_int_equal (s_world.jobs->askers.count, 0);
}

static void s_who_waits_is_told_only_when_the_final_is_on_disk (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_settle (&s_world);
    jobs_world_reply (&s_world, 0, RP_OK, 9);
    jobs_world_turn (&s_world);
    assert_null (jobs_world_told (&s_world, 0, 50));
    model_store_commit (&s_world.store);
    jobs_world_turn (&s_world);
    assert_null (jobs_world_told (&s_world, 0, 50));
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (50)->content, 9);
}

static void s_who_asks_while_the_final_is_written_gets_it_once_and_only_its_own (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    jobs_world_reply (&s_world, 0, RP_OK, 9);
    jobs_world_turn (&s_world); // FINAL is on its way
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_ask (&s_world, RP_JOBS_RESULT, 1, 51, job, 60000, "bob");
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (50)->content, 9);
    assert_int_equal (jobs_world_told_times (&s_world, 0, 50), 1);
    assert_int_equal (jobs_world_told_times (&s_world, 1, 51), 1);
    assert_int_equal (jobs_world_told (&s_world, 1, 51)->head.status, RP_APP_ERROR);
    assert_false (jobs_world_told (&s_world, 1, 51)->has_content);
}

static void s_a_final_has_each_who_wants_to_see_the_job_asked_for_once (void **state)
{
    (void) state;
    const uint64_t each = 100;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    for (uint64_t index = 0; index < each; index++)
        s_ask (RP_JOBS_CANCEL, 2000 + index, job, 0);
    for (uint64_t index = 0; index < each; index++)
        s_ask (RP_JOBS_RESULT, 1000 + index, job, 60000);
    jobs_world_reply (&s_world, 0, RP_OK, 9); // as they are on their way
    uint64_t before = s_world.jobs->number;
    jobs_world_settle (&s_world);
    assert_true (s_world.jobs->number - before <= 2 * each + 10);
    for (uint64_t index = 0; index < each; index++) {
        assert_int_equal (s_told (1000 + index)->content, 9);
        assert_int_equal (s_told (2000 + index)->state, RP_JOB_DONE);
        assert_int_equal (jobs_world_told_times (&s_world, 0, 2000 + index), 1);
    }
}

/*  Bodies and finals may be large, and thousands may ask.  */
static void s_a_question_reads_what_it_wants_only (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    for (int what = RP_JOBS_RESULT; what <= RP_JOBS_RETRY; what++) {
        s_ask ((rp_jobs_what_t) what, 50, job, 0);
        const rp_store_op_t *op = &s_world.wanted->list[s_world.wanted->count - 1].op;
        assert_int_equal (op->kind, RP_STORE_FIND);
        assert_int_equal (
          op->leaves, what == RP_JOBS_RESULT ? RP_STORE_LEAVE_BODY : RP_STORE_LEAVE_FRAMES);
        jobs_world_settle (&s_world);
    }
}

static void s_a_final_is_there_for_who_comes_later (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_end (1, RP_OK, 9);
    s_ask (RP_JOBS_RESULT, 50, job, 0);
    s_ask (RP_JOBS_RESULT, 51, job, 1000);
    s_ask (RP_JOBS_STATE, 52, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (50)->content, 9);
    assert_int_equal (s_told (50)->head.job, job);
    assert_int_equal (s_told (51)->content, 9);
    assert_int_equal (s_told (52)->what, RP_JOBS_STATE);
    assert_int_equal (s_told (52)->head.job, 0);
}

static void s_who_waits_for_a_dead_job_gets_its_final (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_settle (&s_world);
    s_end (1, RP_WORKER_LOST, 0);
    assert_true (s_told (50)->rows);
    assert_int_equal (s_told (50)->what, RP_JOBS_RESULT);
    assert_int_equal (s_told (50)->status, RP_WORKER_LOST);
}

static void s_who_has_waited_long_enough_learns_how_it_is (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 2000);
    s_ask (RP_JOBS_RESULT, 51, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (51)->what, RP_JOBS_STATE);
    assert_int_equal (s_told (51)->state, RP_JOB_WAITING);
    jobs_world_pass (&s_world, 1990000);
    assert_null (jobs_world_told (&s_world, 0, 50));
    jobs_world_pass (&s_world, 20000);
    assert_int_equal (s_told (50)->what, RP_JOBS_STATE);
    assert_int_equal (s_told (50)->state, RP_JOB_WAITING);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_slow_store_does_not_make_anybody_wait_for_ever (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 1000);
    jobs_world_turn (&s_world);
    jobs_world_slip (&s_world, 2 * S_SECOND);
    jobs_world_turn (&s_world); // its time is over before the store has answered
    jobs_world_settle (&s_world);
    jobs_world_pass (&s_world, S_SECOND);
    assert_int_equal (s_told (50)->what, RP_JOBS_STATE);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_busy_store_is_said_to_those_who_ask (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    model_store_order (&s_world.store, RP_STORE_FIND, RP_STORED_BUSY, 1);
    s_ask (RP_JOBS_RESULT, 50, job, 1000);
    jobs_world_settle (&s_world);
    s_expect_refusal (50, RP_BUSY);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

/*  ---- A full store --------------------------------------------------------------------------- */

static void s_a_full_store_takes_no_jobs (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    model_store_order (&s_world.store, RP_STORE_PUT, RP_STORED_FULL, 3);
    for (uint64_t content = 1; content <= 3; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    for (uint64_t content = 1; content <= 3; content++)
        s_expect_refusal (content, RP_BUSY);
    assert_int_equal (s_world.payloads, 0);
    model_store_order (&s_world.store, RP_STORE_PUT, RP_STORED_BUSY, 1);
    s_submit (4, NULL);
    jobs_world_settle (&s_world);
    s_expect_refusal (4, RP_BUSY);
    s_accept (5, NULL);
    s_end (5, RP_OK, 1);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_an_attempt_waits_for_space (void **state)
{
    (void) state;
    for (unsigned page = 0; page < 2; page++) {
        s_world.page = page ? 1 : 0;
        s_begin ();
        uint64_t first = 1 + page * 10;
        for (uint64_t content = first; content < first + 4; content++)
            s_accept (content, NULL);
        model_store_order (&s_world.store, RP_STORE_ATTEMPT, RP_STORED_FULL, 6);
        jobs_world_join (&s_world, "upper", 1);
        jobs_world_pass (&s_world, 300000);
        assert_int_equal (s_world.task_count, 0);
        uint64_t before = s_world.store.number;
        jobs_world_pass (&s_world, 100000);
        assert_true (s_world.store.number - before < 20);
        jobs_world_pass (&s_world, 5 * S_SECOND);
        for (unsigned ended = 0; ended < 4; ended++) {
            assert_true (s_world.task_count > 0);
            jobs_world_reply (&s_world, 0, RP_OK, 1);
            jobs_world_pass (&s_world, S_SECOND);
        }
        assert_int_equal (jobs_world_figures (&s_world).open, 0);
        jobs_world_crash (&s_world);
    }
}

static void s_a_final_waits_for_space (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_settle (&s_world);
    model_store_order (&s_world.store, RP_STORE_FINAL, RP_STORED_FULL, 3);
    s_end (1, RP_OK, 9);
    assert_null (jobs_world_told (&s_world, 0, 50));
    assert_true (rp_jobs_is_writing (s_world.jobs));
    jobs_world_pass (&s_world, 3 * S_SECOND);
    s_expect_final (1, RP_OK);
    assert_int_equal (s_reply_of (1), 9);
    assert_int_equal (s_told (50)->content, 9);
    assert_false (rp_jobs_is_writing (s_world.jobs));
}

static void s_a_pause_waits_for_space (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    model_store_order (&s_world.store, RP_STORE_PARK, RP_STORED_FULL, 2);
    s_end (1, RP_WORKER_LOST, 0);
    assert_int_equal (s_row (1)->state, RP_JOB_RUNNING);
    jobs_world_pass (&s_world, 4 * S_SECOND);
    assert_int_equal (s_row (1)->attempt_count, 1);
    assert_int_equal (s_task (1).attempt, 2);
    s_end (1, RP_OK, 1);
}

static void s_overdue_jobs_and_a_full_store_keep_nobody_busy (void **state)
{
    (void) state;
    s_begin ();
    for (uint64_t content = 1; content <= 1500; content++)
        s_submit (content, &(jobs_terms_t){.delay_ms = 5000, .deadline_ms = 5001});
    jobs_world_settle (&s_world);
    jobs_world_slip (&s_world, 6 * S_SECOND);
    model_store_order (&s_world.store, RP_STORE_FINAL, RP_STORED_FULL, 6000);
    uint64_t before = s_world.store.number;
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_world.store.number - before < 12000);
    model_store_order (&s_world.store, RP_STORE_FINAL, RP_STORED_SAFE, 0);
    jobs_world_pass (&s_world, 5 * S_SECOND);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

/*  ---- A store that is not reachable ----------------------------------------------------------- */

static void s_a_store_that_is_away_takes_no_jobs (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    model_store_order (&s_world.store, RP_STORE_PUT, RP_STORED_AWAY, 1);
    s_submit (2, NULL);
    jobs_world_settle (&s_world);
    s_expect_refusal (2, RP_BUSY);
    assert_string_equal (s_told (2)->text, "the store is not reachable");
    uint64_t before = s_world.store.number;
    rp_jobs_set_away (s_world.jobs, true);
    s_submit (3, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 1000);
    jobs_world_settle (&s_world);
    s_expect_refusal (3, RP_BUSY);
    s_expect_refusal (50, RP_BUSY);
    assert_string_equal (s_told (50)->text, "the store is not reachable");
    assert_int_equal (s_world.store.number, before); // nothing waits for it
    rp_jobs_set_away (s_world.jobs, false);
    s_accept (4, NULL);
    assert_int_equal (jobs_world_figures (&s_world).open, 2);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_an_attempt_and_a_final_wait_for_the_store_to_come_back (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    model_store_order (&s_world.store, RP_STORE_LOAD, RP_STORED_AWAY, 2);
    model_store_order (&s_world.store, RP_STORE_ATTEMPT, RP_STORED_AWAY, 2);
    jobs_world_join (&s_world, "upper", 1);
    jobs_world_pass (&s_world, 5 * S_SECOND);
    assert_int_equal (s_world.task_count, 1);
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_settle (&s_world);
    model_store_order (&s_world.store, RP_STORE_FINAL, RP_STORED_AWAY, 3);
    s_end (1, RP_OK, 9);
    assert_null (jobs_world_told (&s_world, 0, 50));
    jobs_world_pass (&s_world, 3 * S_SECOND);
    s_expect_final (1, RP_OK);
    assert_int_equal (s_told (50)->content, 9);
}

/*  ---- Other brokers -------------------------------------------------------------------------- */

/*  Asks for news, which is not answered yet.  */
static void s_ask_for_news (void)
{
    rp_jobs_hear_news (
      s_world.jobs, (rp_jobs_time_t){.now = s_world.now, .wall = s_world.wall}, s_world.wanted);
    jobs_world_turn (&s_world);
}

static void s_hear_news (void)
{
    s_ask_for_news ();
    jobs_world_settle (&s_world);
}

static void s_jobs_that_were_taken_over_run (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    s_accept (2, NULL); // waits behind it
    uint64_t delayed = s_accept (3, &(jobs_terms_t){.delay_ms = 60000});
    // As if others had accepted these, one of them having run there.
    for (uint64_t content = 2; content <= 3; content++)
        jobs_world_row (&s_world, content)->elsewhere = 0;
    rp_store_job_t job = jobs_world_row (&s_world, 2)->job;
    uint64_t content = 11;
    uint64_t waited = model_store_put (&s_world.store, &job, &content, sizeof content);
    content = 12;
    uint64_t ran = model_store_put (&s_world.store, &job, &content, sizeof content);
    model_row_t *row = model_store_row (&s_world.store, ran);
    row->state = RP_JOB_RUNNING;
    row->attempt = 1;
    row->elsewhere = model_store_row (&s_world.store, waited)->elsewhere = 2;
    s_hear_news (); // of none of them
    assert_int_equal (jobs_world_figures (&s_world).open, 3);
    model_store_adopt (&s_world.store);
    s_hear_news ();
    s_hear_news (); // it is told once
    assert_int_equal (jobs_world_figures (&s_world).open, 5);
    assert_true (s_runs (1)); // it goes on
    s_end (1, RP_OK, 1);
    for (unsigned turn = 0; turn < 3; turn++) {
        jobs_world_pass (&s_world, 2 * S_SECOND);
        assert_int_equal (s_world.task_count, 1);
        uint64_t which = s_world.tasks[0].content;
        assert_int_equal (s_world.tasks[0].attempt, which == 12 ? 2 : 1);
        s_end (which, RP_OK, which);
    }
    assert_int_equal (model_store_row (&s_world.store, waited)->state, RP_JOB_DONE);
    assert_int_equal (model_store_row (&s_world.store, ran)->state, RP_JOB_DONE);
    assert_int_equal (model_store_row (&s_world.store, ran)->attempt_count, 1);
    assert_int_equal (model_store_row (&s_world.store, delayed)->state, RP_JOB_WAITING);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
}

/*  Another broker ends while the jobs of one that ended before are still listed.  */
static void s_jobs_of_brokers_that_end_in_turn_run (void **state)
{
    (void) state;
    s_begin ();
    rp_store_job_t job = model_store_row (&s_world.store, s_accept (1, NULL))->job;
    s_world.store.looks = 1;
    for (uint64_t content = 2; content <= 9; content++) {
        model_row_t *row = model_store_row (
          &s_world.store, model_store_put (&s_world.store, &job, &content, sizeof content));
        row->state = RP_JOB_RUNNING;
        row->attempt = 1;
        row->news = content != 2;
        row->elsewhere = content == 2 ? 2 : 0; // of the one that ends last
    }
    rp_jobs_hear_news (
      s_world.jobs, (rp_jobs_time_t){.now = s_world.now, .wall = s_world.wall}, s_world.wanted);
    for (unsigned round = 0; round < 5; round++) {
        jobs_world_turn (&s_world);
        while (model_store_commit (&s_world.store)) {
        }
        while (jobs_world_take (&s_world)) {
        }
    }
    model_store_adopt (&s_world.store);
    s_hear_news ();
    for (uint64_t id = 2; id <= 9; id++)
        assert_int_equal (model_store_row (&s_world.store, id)->attempt_count, 1);
}

static void s_what_another_broker_has_ended_is_not_open_any_more (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t runs = s_accept (1, NULL);
    (void) s_accept (2, NULL);
    uint64_t waits = s_accept (3, NULL);
    uint64_t row = s_accept (4, &(jobs_terms_t){.delay_ms = 60000});
    assert_true (s_runs (1));
    s_ask (RP_JOBS_RESULT, 50, runs, 60000);
    jobs_world_settle (&s_world);
    model_store_end (&s_world.store, runs);
    model_store_end (&s_world.store, waits);
    model_store_end (&s_world.store, row);
    s_hear_news ();
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
    assert_int_equal (s_told (50)->head.status, RP_OK); // how it ended, which is no reply
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
    assert_true (s_task (1).cancelled);
    s_end (1, RP_OK, 1); // too late
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_runs (2));
    s_end (2, RP_OK, 2);
    s_hear_news ();
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (s_world.jobs->services.count, 0);
}

static void s_what_another_broker_has_ended_is_counted_once (void **state)
{
    (void) state;
    for (unsigned news_first = 0; news_first < 2; news_first++) {
        s_begin ();
        uint64_t job = s_accept (1, NULL);
        (void) s_accept (2, &(jobs_terms_t){.delay_ms = 60000});
        model_store_end (&s_world.store, job);
        if (news_first)
            s_ask_for_news ();
        jobs_world_join (&s_world, "upper", 1);
        jobs_world_slip (&s_world, S_SECOND);
        jobs_world_turn (&s_world); // its attempt is asked for
        assert_true (s_world.store.queued > 0);
        jobs_world_settle (&s_world);
        s_hear_news ();
        jobs_world_pass (&s_world, S_SECOND);
        assert_int_equal (jobs_world_figures (&s_world).open, 1);
        assert_int_equal (s_world.task_count, 0);
        assert_int_equal (s_world.jobs->jobs.count, 0);
        jobs_world_clear (&s_world);
        jobs_world_init (&s_world);
    }
}

static void s_what_was_lost_is_dropped_and_what_is_new_goes_on (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t runs = s_accept (1, NULL);
    uint64_t waits = s_accept (2, NULL);
    uint64_t delayed = s_accept (3, &(jobs_terms_t){.delay_ms = 60000});
    assert_true (s_runs (1));
    s_ask (RP_JOBS_RESULT, 50, runs, 60000);
    jobs_world_settle (&s_world);
    model_store_lose (&s_world.store, 2);
    s_submit (4, NULL);
    jobs_world_settle (&s_world);
    s_expect_refusal (4, RP_BUSY);
    assert_non_null (strstr (s_told (4)->text, "another broker has taken over"));
    assert_true (s_task (1).cancelled);
    s_end (1, RP_OK, 1); // too late
    assert_int_equal (model_store_row (&s_world.store, runs)->state, RP_JOB_RUNNING);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (jobs_world_figures (&s_world).loaded, 0);
    assert_int_equal (jobs_world_figures (&s_world).running, 0);
    // It has jobs again.
    s_accept (5, NULL);
    assert_true (s_runs (5));
    s_end (5, RP_OK, 5);
    s_expect_final (5, RP_OK);
    jobs_world_pass (&s_world, 90 * S_SECOND / 2);
    assert_int_equal (s_world.task_count, 0);
    assert_int_equal (model_store_row (&s_world.store, waits)->state, RP_JOB_RUNNING); // noted
    assert_int_equal (model_store_row (&s_world.store, delayed)->state, RP_JOB_WAITING);
    // Who waits goes on waiting, for what the other broker does.
    assert_null (jobs_world_told (&s_world, 0, 50));
    model_store_row (&s_world.store, runs)->state = RP_JOB_DONE;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_int_equal (s_told (50)->job, runs);
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
    // And it may get its jobs back.
    model_store_adopt (&s_world.store);
    s_hear_news ();
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_true (s_runs (2));
    s_end (2, RP_OK, 2);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
}

static void s_what_was_accepted_before_the_beginning_is_lost_too (void **state)
{
    (void) state;
    jobs_world_begin (&s_world);
    model_store_order (&s_world.store, RP_STORE_SERVICES, RP_STORED_BUSY, 1);
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    assert_true (s_runs (1));
    model_store_lose (&s_world.store, 2);
    s_submit (2, NULL);
    jobs_world_settle (&s_world);
    s_expect_refusal (2, RP_BUSY);
    assert_true (s_task (1).cancelled);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (jobs_world_figures (&s_world).loaded, 0);
    assert_true (s_world.jobs->begun);
}

/*  The new row of a broker may be taken over before it is used.  */
static void s_a_beginning_that_is_lost_too_is_made_again (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    s_ask (RP_JOBS_RESULT, 50, job, 60000);
    jobs_world_settle (&s_world);
    model_store_lose (&s_world.store, 2);
    model_store_order (&s_world.store, RP_STORE_SERVICES, RP_STORED_LOST, 1);
    s_ask (RP_JOBS_STATE, 51, job, 0);
    uint64_t before = s_world.store.number;
    jobs_world_settle (&s_world); // who asks keeps nobody busy meanwhile
    assert_true (s_world.store.lost);
    assert_in_range (s_world.store.number - before, 1, 10);
    assert_false (rp_jobs_is_writing (s_world.jobs));
    s_expect_refusal (51, RP_BUSY);
    s_ask (RP_JOBS_STATE, 52, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (52, RP_BUSY);
    jobs_world_pass (&s_world, S_SECOND);
    assert_false (s_world.store.lost);
    s_accept (2, NULL);
    s_ask (RP_JOBS_STATE, 53, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (53)->state, RP_JOB_WAITING);
}

/*  Whatever was on its way to the store when the jobs were lost.  */
static void s_nothing_of_what_was_lost_is_written (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t first = s_accept (1, NULL);
    uint64_t second = s_accept (2, NULL);
    jobs_world_reply (&s_world, jobs_world_task (&s_world, 1), RP_OK, 1); // FINAL
    jobs_world_turn (&s_world);
    s_submit (3, NULL); // PUT
    s_ask (RP_JOBS_CANCEL, 50, second, 0);
    s_ask (RP_JOBS_STATE, 51, second, 0);
    model_store_lose (&s_world.store, 2);
    jobs_world_settle (&s_world);
    s_expect_refusal (3, RP_BUSY);
    assert_int_equal (model_store_row (&s_world.store, first)->state, RP_JOB_RUNNING);
    // A question is asked again; a cancel does what any broker may.
    assert_int_equal (s_told (51)->job, second);
    assert_int_equal (model_store_row (&s_world.store, second)->status, RP_CANCELLED);
    assert_int_equal (s_told (50)->state, RP_JOB_DONE);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_job_of_another_broker_is_looked_at_until_it_ends (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    model_store_row (&s_world.store, job)->elsewhere = 2;
    s_ask (RP_JOBS_RESULT, 50, job, 10000);
    s_ask (RP_JOBS_RESULT, 51, job, 1000);
    jobs_world_settle (&s_world);
    uint64_t before = s_world.store.number;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_null (jobs_world_told (&s_world, 0, 50));
    assert_int_equal (s_told (51)->state, RP_JOB_WAITING); // it has waited long enough
    assert_in_range (s_world.store.number - before, 3, 8);
    model_store_row (&s_world.store, job)->state = RP_JOB_DONE;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_int_equal (s_told (50)->what, RP_JOBS_RESULT);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_crowd_that_waits_for_another_brokers_job_looks_once (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, NULL);
    model_store_row (&s_world.store, job)->elsewhere = 2;
    for (uint64_t request = 100; request < 150; request++)
        s_ask (RP_JOBS_RESULT, request, job, 60000);
    jobs_world_settle (&s_world);
    uint64_t before = s_world.store.number;
    jobs_world_pass (&s_world, 10 * S_SECOND);
    assert_in_range (s_world.store.number - before, 5, 20); // with those for overdue jobs
    // Whoever looks may go; the others are told nevertheless, at once.
    for (uint64_t request = 100; request < 149; request++)
        assert_true (jobs_world_withdraw (&s_world, 0, request));
    for (uint64_t request = 150; request < 200; request++)
        s_ask (RP_JOBS_RESULT, request, job, 60000);
    jobs_world_settle (&s_world);
    model_store_row (&s_world.store, job)->state = RP_JOB_DONE;
    jobs_world_pass (&s_world, 2 * S_SECOND);
    for (uint64_t request = 149; request < 200; request++)
        assert_int_equal (s_told (request)->what, RP_JOBS_RESULT);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

/*  ---- Rows at rest --------------------------------------------------------------------------- */

static void s_browse (rp_store_kind_t kind, uint64_t request, uint64_t job, rp_job_state_t filter)
{
    rp_store_op_t op = {.kind = (uint8_t) kind, .id = job, .state = (uint8_t) filter};
    rp_jobs_browse (s_world.jobs, (rp_session_id_t){1}, request, &op, s_world.wanted);
    jobs_world_settle (&s_world);
}

static void s_a_dead_job_is_retried_as_another (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_end (1, RP_WORKER_LOST, 0);
    s_ask (RP_JOBS_RETRY, 50, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (50)->count, 1);
    assert_int_not_equal (s_told (50)->job, job);
    jobs_world_pass (&s_world, S_SECOND);
    assert_true (s_runs (1));
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
    s_end (1, RP_OK, 3);
    assert_int_equal (model_store_row (&s_world.store, s_told (50)->job)->state, RP_JOB_DONE);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    s_ask (RP_JOBS_RETRY, 51, job, 0); // not again
    jobs_world_settle (&s_world);
    s_expect_refusal (51, RP_APP_ERROR);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (s_world.jobs->waiters.count, 0);
}

static void s_a_dead_job_is_retried_within_the_limits_of_jobs (void **state)
{
    (void) state;
    s_world.most = 1;
    s_world.services = 2;
    s_begin ();
    unsigned worker = jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_end (1, RP_WORKER_LOST, 0);
    jobs_world_lose (&s_world, worker);
    jobs_world_submit (&s_world, "other", 2, NULL);
    s_ask (RP_JOBS_RETRY, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (50, RP_BUSY);
    assert_string_equal (s_told (50)->text, "too many jobs are open (limit jobs)");
    s_world.jobs->options.most = 9;
    s_world.jobs->options.services = 1;
    s_ask (RP_JOBS_RETRY, 51, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (51, RP_BUSY);
    assert_non_null (strstr (s_told (51)->text, "limit max_services"));
    s_world.jobs->options.services = 2;
    model_store_order (&s_world.store, RP_STORE_RETRY, RP_STORED_FULL, 1);
    s_ask (RP_JOBS_RETRY, 52, job, 0);
    jobs_world_settle (&s_world);
    s_expect_refusal (52, RP_BUSY);
    assert_string_equal (s_told (52)->text, "the store is full");
    s_ask (RP_JOBS_RETRY, 53, job, 0);
    jobs_world_settle (&s_world);
    assert_int_equal (s_told (53)->count, 1);
    assert_int_equal (jobs_world_figures (&s_world).open, 2);
}

static void s_questions_about_rows_are_passed_on (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    uint64_t job = s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_end (1, RP_WORKER_LOST, 0);
    s_browse (RP_STORE_LIST, 50, 0, RP_JOB_DEAD);
    assert_int_equal (s_told (50)->count, 1);
    assert_int_equal (s_told (50)->job, job);
    s_browse (RP_STORE_PURGE, 51, job, RP_JOB_ANY);
    assert_int_equal (s_told (51)->outcome, RP_STORED_SAFE);
    assert_null (model_store_row (&s_world.store, job));
    s_browse (RP_STORE_PURGE, 53, job, RP_JOB_ANY);
    s_expect_refusal (53, RP_APP_ERROR);
    model_store_order (&s_world.store, RP_STORE_LIST, RP_STORED_BUSY, 1);
    s_browse (RP_STORE_LIST, 52, 0, RP_JOB_DEAD);
    s_expect_refusal (52, RP_BUSY);
}

/*  ---- End and start -------------------------------------------------------------------------- */

static void s_a_broker_that_drains_begins_nothing (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, NULL);
    rp_jobs_drain (s_world.jobs);
    s_accept (2, NULL);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_false (s_runs (2));
    s_end (1, RP_OK, 1);
    jobs_world_pass (&s_world, 2 * S_SECOND);
    assert_false (s_runs (2));
    s_expect_final (1, RP_OK);
    assert_int_equal (s_row (2)->state, RP_JOB_WAITING);
}

static void s_what_was_accepted_survives_the_broker (void **state)
{
    (void) state;
    s_begin ();
    unsigned attempts = 3;
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.attempts = attempts}); // runs
    s_accept (2, NULL);                                  // is noted
    s_accept (3, NULL);                                  // waits
    s_accept (4, &(jobs_terms_t){.delay_ms = 30000});
    s_accept (5, &(jobs_terms_t){.deadline_ms = 1000});
    s_submit (6, NULL);
    jobs_world_turn (&s_world); // not on disk
    jobs_world_crash (&s_world);
    jobs_world_slip (&s_world, 2 * S_SECOND);
    s_begin ();
    assert_int_equal (jobs_world_job (&s_world, 6), 0);
    assert_int_equal (jobs_world_figures (&s_world).open, 4); // one is past its deadline
    jobs_world_join (&s_world, "upper", 8);
    jobs_world_pass (&s_world, 4 * S_SECOND);
    assert_int_equal (s_row (1)->attempt_count, 1);
    assert_int_equal (s_task (1).attempt, 2);
    assert_int_equal (s_task (2).attempt, 2);
    assert_int_equal (s_task (3).attempt, 1);
    s_expect_final (5, RP_EXPIRED);
    for (uint64_t content = 1; content <= 3; content++)
        s_end (content, RP_OK, content);
    jobs_world_pass (&s_world, 30 * S_SECOND);
    s_end (4, RP_OK, 4);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
}

static void s_a_last_attempt_that_the_broker_took_with_it_kills_the_job (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    s_accept (1, &(jobs_terms_t){.attempts = 1});
    jobs_world_crash (&s_world);
    s_begin ();
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
    assert_int_equal (s_row (1)->status, RP_WORKER_LOST);
}

/*  The store cannot say at once which services have jobs, but lists those that ran.  */
static void s_what_ran_is_taken_up_only_when_it_is_counted (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 2);
    s_accept (1, &(jobs_terms_t){.attempts = 1});
    s_accept (2, NULL);
    jobs_world_crash (&s_world);
    jobs_world_begin (&s_world);
    model_store_order (&s_world.store, RP_STORE_SERVICES, RP_STORED_FULL, 1);
    jobs_world_settle (&s_world);
    assert_int_equal (s_row (1)->state, RP_JOB_RUNNING);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    jobs_world_pass (&s_world, S_SECOND);
    assert_int_equal (s_row (1)->state, RP_JOB_DEAD);
    assert_int_equal (s_row (2)->state, RP_JOB_WAITING);
    assert_int_equal (jobs_world_figures (&s_world).open, 1);
}

static void s_a_row_that_is_not_counted_yet_is_cancelled (void **state)
{
    (void) state;
    s_begin ();
    uint64_t job = s_accept (1, &(jobs_terms_t){.delay_ms = 60000});
    jobs_world_crash (&s_world);
    jobs_world_begin (&s_world);
    model_store_order (&s_world.store, RP_STORE_SERVICES, RP_STORED_FULL, 1);
    s_ask (RP_JOBS_CANCEL, 50, job, 0);
    jobs_world_settle (&s_world);
    s_expect_final (1, RP_CANCELLED);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    jobs_world_pass (&s_world, S_SECOND);
    assert_int_equal (jobs_world_figures (&s_world).open, 0);
    assert_int_equal (s_world.jobs->services.count, 0);
}

/*  More than one page of jobs ran; meanwhile clients come and workers too.  */
static void s_begin_over_many_that_ran (rp_stored_outcome_t outcome)
{
    s_begin ();
    jobs_world_join (&s_world, "upper", 1250);
    for (uint64_t content = 1; content <= 2500; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    assert_int_equal (s_row (2500)->state, RP_JOB_RUNNING);
    jobs_world_crash (&s_world);
    jobs_world_begin (&s_world);
    jobs_world_join (&s_world, "upper", 10);
    jobs_world_join (&s_world, "other", 10);
    jobs_world_submit (&s_world, "other", 3000, NULL); // runs at once
    s_ask (RP_JOBS_CANCEL, 50, jobs_world_job (&s_world, 1700), 0);
    jobs_world_turn (&s_world);
    if (outcome != RP_STORED_SAFE) { // of the second page
        for (unsigned index = 0; index < 2; index++) {
            model_store_commit (&s_world.store);
            jobs_world_take (&s_world);
        }
        model_store_order (&s_world.store, RP_STORE_LIST, outcome, 2);
    }
    jobs_world_settle (&s_world);
    jobs_world_pass (&s_world, S_SECOND / 2);
    assert_int_equal (s_task (3000).attempt, 1);
    assert_int_equal (s_row (3000)->attempt_count, 0);
    jobs_world_pass (&s_world, 3 * S_SECOND);
    for (uint64_t content = 1; content <= 2500; content++)
        assert_true (content == 1700 || s_row (content)->attempt_count == 1);
    s_expect_final (1700, RP_CANCELLED);
    s_end (3000, RP_OK, 1);
    assert_int_equal (s_row (3000)->made, 1);
    assert_int_equal (jobs_world_figures (&s_world).open, 2499);
}

static void s_thousands_may_have_run (void **state)
{
    (void) state;
    s_begin_over_many_that_ran (RP_STORED_SAFE);
}

static void s_a_busy_store_forgets_none_that_ran (void **state)
{
    (void) state;
    s_begin_over_many_that_ran (RP_STORED_BUSY);
}

static void s_the_end_gives_every_payload_back (void **state)
{
    (void) state;
    s_begin ();
    jobs_world_join (&s_world, "upper", 1);
    for (uint64_t content = 1; content <= 20; content++)
        s_submit (content, NULL);
    jobs_world_settle (&s_world);
    for (uint64_t content = 21; content <= 30; content++)
        s_submit (content, NULL);
    jobs_world_turn (&s_world);
    jobs_world_reply (&s_world, 0, RP_OK, 1);
    jobs_world_turn (&s_world);
    jobs_world_crash (&s_world); // checks it
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_nobody_is_told_before_the_job_is_on_disk),
      S_TEST (s_a_job_that_a_worker_can_have_is_written_once),
      S_TEST (s_a_job_without_a_worker_waits_until_one_comes),
      S_TEST (s_an_attempt_begins_only_when_it_is_on_disk),
      S_TEST (s_terms_that_make_no_sense_are_refused),
      S_TEST (s_too_many_open_jobs_are_refused_until_one_ends),
      S_TEST (s_a_burst_of_any_size_is_taken),
      S_TEST (s_a_key_has_one_job),
      S_TEST (s_a_key_with_another_body_is_refused),
      S_TEST (s_a_key_known_or_not_leaves_the_room_as_it_was),
      S_TEST (s_a_key_is_answered_while_too_many_jobs_are_open),
      S_TEST (s_a_key_is_answered_while_the_store_is_full),
      S_TEST (s_another_principal_has_keys_of_its_own),
      S_TEST (s_a_delayed_job_waits_for_its_time),
      S_TEST (s_the_first_job_of_all_may_be_delayed),
      S_TEST (s_jobs_of_a_service_begin_in_the_order_in_which_they_are_due),
      S_TEST (s_a_job_does_not_overtake_one_that_is_being_written),
      S_TEST (s_a_deadline_passes_in_memory),
      S_TEST (s_a_deadline_passes_of_a_row),
      S_TEST (s_a_job_that_began_does_not_expire),
      S_TEST (s_the_clock_may_jump_forward),
      S_TEST (s_the_clock_may_jump_back),
      S_TEST (s_a_full_page_and_a_clock_that_jumps_back),
      S_TEST (s_pauses_are_as_long_as_they_are_whatever_the_clock_does),
      S_TEST (s_an_instant_is_one_of_the_wall_clock),
      S_TEST (s_the_last_instant_that_there_is_does_not_come),
      S_TEST (s_a_broker_that_starts_knows_how_the_clock_was_set_back),
      S_TEST (s_thousands_of_jobs_are_rows),
      S_TEST (s_what_is_written_during_a_load_is_not_lost),
      S_TEST (s_a_pause_that_ends_before_a_page_of_delayed_jobs_blocks_nothing),
      S_TEST (s_a_row_without_memory_is_loaded_again),
      S_TEST (s_a_busy_store_is_asked_again),
      S_TEST (s_a_waiting_job_takes_little_memory),
      S_TEST (s_bodies_that_wait_take_little_memory),
      S_TEST (s_one_body_larger_than_all_memory_for_them_runs),
      S_TEST (s_attempts_that_find_no_room_in_the_core_are_tried_a_few_at_a_time),
      S_TEST (s_jobs_for_too_many_services_are_refused),
      S_TEST (s_services_without_jobs_take_none),
      S_TEST (s_services_are_seen_with_what_waits_runs_and_died),
      S_TEST (s_causes_are_for_jobs_that_could_run),
      S_TEST (s_an_attempt_that_failed_is_made_again_after_a_pause),
      S_TEST (s_a_lost_worker_is_a_failed_attempt),
      S_TEST (s_an_attempt_that_takes_too_long_failed),
      S_TEST (s_an_attempt_that_never_began_does_not_count),
      S_TEST (s_a_core_that_refuses_is_not_asked_without_pause),
      S_TEST (s_a_job_that_waits_in_memory_is_cancelled),
      S_TEST (s_a_job_that_is_a_row_is_cancelled),
      S_TEST (s_a_job_that_runs_is_cancelled),
      S_TEST (s_a_job_whose_attempt_is_being_written_is_cancelled),
      S_TEST (s_a_job_that_is_parked_is_cancelled),
      S_TEST (s_an_answer_of_the_cores_own_keeps_its_text),
      S_TEST (s_a_job_that_has_ended_stays_as_it_is),
      S_TEST (s_nobody_cancels_the_jobs_of_others),
      S_TEST (s_all_who_wait_get_the_final),
      S_TEST (s_a_crowd_that_waits_for_one_job_is_bounded),
      S_TEST (s_a_question_that_waits_is_withdrawn),
      S_TEST (s_one_client_does_not_take_all_places_of_questions),
      S_TEST (s_a_client_that_is_gone_waits_for_nothing),
      S_TEST (s_who_waits_is_told_only_when_the_final_is_on_disk),
      S_TEST (s_who_asks_while_the_final_is_written_gets_it_once_and_only_its_own),
      S_TEST (s_a_final_has_each_who_wants_to_see_the_job_asked_for_once),
      S_TEST (s_a_question_reads_what_it_wants_only),
      S_TEST (s_a_final_is_there_for_who_comes_later),
      S_TEST (s_who_waits_for_a_dead_job_gets_its_final),
      S_TEST (s_who_has_waited_long_enough_learns_how_it_is),
      S_TEST (s_a_slow_store_does_not_make_anybody_wait_for_ever),
      S_TEST (s_a_busy_store_is_said_to_those_who_ask),
      S_TEST (s_a_full_store_takes_no_jobs),
      S_TEST (s_an_attempt_waits_for_space),
      S_TEST (s_a_final_waits_for_space),
      S_TEST (s_a_pause_waits_for_space),
      S_TEST (s_overdue_jobs_and_a_full_store_keep_nobody_busy),
      S_TEST (s_a_store_that_is_away_takes_no_jobs),
      S_TEST (s_an_attempt_and_a_final_wait_for_the_store_to_come_back),
      S_TEST (s_jobs_that_were_taken_over_run),
      S_TEST (s_jobs_of_brokers_that_end_in_turn_run),
      S_TEST (s_what_another_broker_has_ended_is_not_open_any_more),
      S_TEST (s_what_another_broker_has_ended_is_counted_once),
      S_TEST (s_what_was_lost_is_dropped_and_what_is_new_goes_on),
      S_TEST (s_what_was_accepted_before_the_beginning_is_lost_too),
      S_TEST (s_a_beginning_that_is_lost_too_is_made_again),
      S_TEST (s_nothing_of_what_was_lost_is_written),
      S_TEST (s_a_job_of_another_broker_is_looked_at_until_it_ends),
      S_TEST (s_a_crowd_that_waits_for_another_brokers_job_looks_once),
      S_TEST (s_a_dead_job_is_retried_as_another),
      S_TEST (s_a_dead_job_is_retried_within_the_limits_of_jobs),
      S_TEST (s_questions_about_rows_are_passed_on),
      S_TEST (s_a_job_that_has_ended_is_removed),
      S_TEST (s_an_open_job_is_cancelled_and_removed),
      S_TEST (s_a_dead_job_is_not_removed),
      S_TEST (s_a_full_store_removes_nothing_and_says_so),
      S_TEST (s_a_broker_that_drains_begins_nothing),
      S_TEST (s_what_was_accepted_survives_the_broker),
      S_TEST (s_a_last_attempt_that_the_broker_took_with_it_kills_the_job),
      S_TEST (s_what_ran_is_taken_up_only_when_it_is_counted),
      S_TEST (s_a_row_that_is_not_counted_yet_is_cancelled),
      S_TEST (s_thousands_may_have_run),
      S_TEST (s_a_busy_store_forgets_none_that_ran),
      S_TEST (s_the_end_gives_every_payload_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
