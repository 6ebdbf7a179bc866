/*  The store of jobs: every operation and outcome, and that all of it is there after a restart.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <riposte/error.h>
#include "tests/support/disk.h"
#include "tests/support/shelf.h"

static test_shelf_t s_shelf;
static test_shelf_t *const shelf = &s_shelf;

static int s_setup (void **state)
{
    (void) state;
    test_disk_reset ();
    test_shelf_init (shelf);
    test_shelf_open (shelf);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_shelf_clear (shelf);
    return 0;
}

static void s_want_text (const char *expected, const rp_store_span_t *span)
{
    assert_int_equal (span->size, strlen (expected));
    assert_memory_equal (span->data, expected, span->size);
    assert_int_equal (((const char *) span->data)[span->size], 0);
}

static uint64_t s_put (const char *body)
{
    rp_store_job_t job = test_job ();
    return test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), body);
}

static uint64_t s_put_with_key (rp_stored_outcome_t outcome, const char *key, const char *body)
{
    rp_store_job_t job = test_job ();
    job.key = test_span (key);
    memcpy (job.digest, body, strlen (body)); // stands for a digest
    return test_shelf_want (shelf, outcome, test_put (&job), body);
}

static uint64_t s_look_at_key (rp_stored_outcome_t outcome, const char *key, const char *body)
{
    rp_store_job_t job = test_job ();
    job.key = test_span (key);
    memcpy (job.digest, body, strlen (body));
    return test_shelf_want (
      shelf, outcome, (rp_store_op_t){.kind = RP_STORE_KEY, .job = &job}, NULL);
}

static void s_attempt (uint64_t id, uint8_t number)
{
    test_shelf_want (shelf, RP_STORED_SAFE,
      (rp_store_op_t){
        .kind = RP_STORE_ATTEMPT, .id = id, .attempt = number, .at = 2000, .worker = "w"},
      NULL);
}

static void s_park (uint64_t id, uint8_t attempts, int64_t due)
{
    test_shelf_want (shelf, RP_STORED_SAFE,
      (rp_store_op_t){.kind = RP_STORE_PARK,
        .id = id,
        .attempt = attempts,
        .at = 3000,
        .due = due,
        .status = RP_WORKER_LOST,
        .text = "lost it",
        .text_size = 7},
      NULL);
}

static uint64_t s_put_dead (const char *body)
{
    uint64_t id = s_put (body);
    s_attempt (id, 1);
    rp_store_op_t op = test_final (id, RP_WORKER_LOST);
    op.attempt = 1;
    op.dead = true;
    test_shelf_want (shelf, RP_STORED_SAFE, op, NULL);
    return id;
}

static rp_stored_t s_load (const char *service, int64_t before, uint16_t rows)
{
    return test_shelf_do (shelf,
      (rp_store_op_t){.kind = RP_STORE_LOAD,
        .text = service,
        .text_size = (uint16_t) strlen (service),
        .before = before,
        .rows = rows},
      NULL);
}

/*  ---- One job ---------------------------------------------------------------------------------- */

static void test_a_job_is_kept_with_everything_about_it (void **state)
{
    (void) state;
    rp_store_job_t job = {.service = test_span ("upper"),
      .principal = test_span ("ada"),
      .key = test_span ("k\x01y"),
      .headers = test_span ("h=1"),
      .digest = "0123456789abcde",
      .accepted = 1111,
      .not_before = 2222,
      .deadline = 3333,
      .attempt_timeout_ms = 4,
      .backoff_ms = 5,
      .keep_ms = 6,
      .flags = 7,
      .attempts = 8};
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "hello");
    assert_int_equal (id, 1);
    test_shelf_reopen (shelf);
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    s_want_text ("upper", &row->job.service);
    s_want_text ("ada", &row->job.principal);
    s_want_text ("k\x01y", &row->job.key);
    s_want_text ("h=1", &row->job.headers);
    assert_memory_equal (row->job.digest, job.digest, RP_STORE_DIGEST);
    assert_int_equal (row->job.accepted, 1111);
    assert_int_equal (row->job.not_before, 2222);
    assert_int_equal (row->job.deadline, 3333);
    assert_int_equal (row->job.attempt_timeout_ms, 4);
    assert_int_equal (row->job.backoff_ms, 5);
    assert_int_equal (row->job.keep_ms, 6);
    assert_int_equal (row->job.flags, 7);
    assert_int_equal (row->job.attempts, 8);
    assert_int_equal (row->state, RP_JOB_WAITING);
    assert_int_equal (row->due, 2222);
    assert_int_equal (row->attempt, 0);
    assert_int_equal (row->attempt_count, 0);
    assert_int_equal (row->body_count, 1);
    s_want_text ("hello", &row->body[0]);
    rp_stored_clear (&result);
}

static void test_frames_stay_apart (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    const rp_store_span_t frames[] = {test_span ("one"), test_span (""), test_span ("three")};
    const size_t counts[] = {0, 1, 3};
    for (size_t test = 0; test < 3; test++) {
        rp_store_op_t op = test_put (&job);
        op.number = ++shelf->number;
        rp_stored_t result;
        assert_true (rp_store_submit (shelf->store, &op, frames, counts[test], &job));
        assert_true (test_shelf_take (shelf, &result));
        assert_ptr_equal (result.kept, &job);
        rp_store_op_t final = test_final (result.id, RP_OK);
        final.number = ++shelf->number;
        assert_true (rp_store_submit (shelf->store, &final, frames, counts[test], NULL));
        rp_stored_t ended;
        assert_true (test_shelf_take (shelf, &ended));
        const rp_store_row_t *row = test_shelf_find (shelf, result.id, &ended);
        assert_int_equal (row->body_count, counts[test]);
        assert_int_equal (row->reply_count, counts[test]);
        for (size_t index = 0; index < counts[test]; index++) {
            assert_int_equal (row->body[index].size, frames[index].size);
            assert_memory_equal (row->body[index].data, frames[index].data, frames[index].size);
            assert_int_equal (row->reply[index].size, frames[index].size);
            assert_memory_equal (row->reply[index].data, frames[index].data, frames[index].size);
        }
        rp_stored_clear (&ended);
    }
}

static void test_an_empty_frame_is_no_absent_one (void **state)
{
    (void) state;
    uint64_t id = s_put ("");
    rp_stored_t result;
    assert_int_equal (test_shelf_find (shelf, id, &result)->body_count, 1);
    rp_stored_clear (&result);
    id = s_put (NULL);
    assert_int_equal (test_shelf_find (shelf, id, &result)->body_count, 0);
    rp_stored_clear (&result);
}

static void test_a_life_of_a_job (void **state)
{
    (void) state;
    uint64_t id = s_put ("body");
    s_attempt (id, 1);
    test_shelf_reopen (shelf);
    test_shelf_want_state (shelf, id, RP_JOB_RUNNING);
    s_park (id, 1, 9000);
    test_shelf_reopen (shelf);
    test_shelf_want_state (shelf, id, RP_JOB_WAITING);
    s_attempt (id, 2);
    rp_store_op_t op = test_final (id, RP_APP_ERROR);
    op.attempt = 2;
    op.code = 4000000000u;
    op.text = "why";
    op.text_size = 3;
    op.headers = (const uint8_t *) "r=2";
    op.headers_size = 3;
    op.until = 77;
    // It would be cleaned up at once: until is past. So it is looked at before.
    op.until = RP_STORE_NEVER - 1;
    test_shelf_want (shelf, RP_STORED_SAFE, op, "reply");
    test_shelf_reopen (shelf);
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    assert_int_equal (row->state, RP_JOB_DONE);
    assert_int_equal (row->status, RP_APP_ERROR);
    assert_int_equal (row->code, 4000000000u);
    assert_int_equal (row->attempt, 2);
    assert_int_equal (row->ended, 5000);
    assert_int_equal (row->until, RP_STORE_NEVER - 1);
    s_want_text ("why", &row->text);
    s_want_text ("r=2", &row->reply_headers);
    assert_int_equal (row->reply_count, 1);
    s_want_text ("reply", &row->reply[0]);
    s_want_text ("body", &row->body[0]);
    assert_int_equal (row->attempt_count, 2);
    const rp_store_attempt_t *first = &row->attempts[0];
    assert_int_equal (first->number, 1);
    assert_int_equal (first->started, 2000);
    assert_int_equal (first->ended, 3000);
    assert_int_equal (first->status, RP_WORKER_LOST);
    s_want_text ("w", &first->worker);
    s_want_text ("lost it", &first->text);
    assert_int_equal (row->attempts[1].number, 2);
    assert_int_equal (row->attempts[1].ended, 5000);
    rp_stored_clear (&result);
}

static void test_the_first_attempt_goes_with_the_job (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    rp_store_op_t op = test_put (&job);
    op.attempt = 1;
    op.at = 1500;
    op.worker = "idle";
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, op, "b");
    test_shelf_reopen (shelf);
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    assert_int_equal (row->state, RP_JOB_RUNNING);
    assert_int_equal (row->attempt, 1);
    assert_int_equal (row->attempt_count, 1);
    assert_int_equal (row->attempts[0].started, 1500);
    assert_int_equal (row->attempts[0].ended, 0);
    s_want_text ("idle", &row->attempts[0].worker);
    rp_stored_clear (&result);
}

static void test_an_attempt_that_never_began_is_not_listed (void **state)
{
    (void) state;
    uint64_t id = s_put ("b");
    s_attempt (id, 1);
    test_shelf_want (shelf, RP_STORED_SAFE,
      (rp_store_op_t){.kind = RP_STORE_PARK, .id = id, .due = 9, .unbegun = true}, NULL);
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    assert_int_equal (row->attempt, 0);
    assert_int_equal (row->attempt_count, 0);
    assert_int_equal (row->due, 9);
    rp_stored_clear (&result);
}

static void test_a_job_ends_once (void **state)
{
    (void) state;
    uint64_t id = s_put ("b");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (id, RP_OK), "first");
    test_shelf_want (shelf, RP_STORED_ALREADY, test_final (id, RP_CANCELLED), NULL);
    rp_store_op_t op = {.kind = RP_STORE_ATTEMPT, .id = id, .attempt = 1};
    test_shelf_want (shelf, RP_STORED_ALREADY, op, NULL);
    op.kind = RP_STORE_PARK;
    test_shelf_want (shelf, RP_STORED_ALREADY, op, NULL);
    test_shelf_reopen (shelf);
    test_shelf_want (shelf, RP_STORED_ALREADY, test_final (id, RP_CANCELLED), NULL);
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    assert_int_equal (row->status, RP_OK);
    s_want_text ("first", &row->reply[0]);
    rp_stored_clear (&result);
}

static void test_what_is_not_there_is_absent (void **state)
{
    (void) state;
    const rp_store_kind_t kinds[] = {RP_STORE_ATTEMPT, RP_STORE_PARK, RP_STORE_FINAL,
      RP_STORE_RETRY, RP_STORE_REMOVE, RP_STORE_PURGE, RP_STORE_FIND};
    for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++)
        test_shelf_want (
          shelf, RP_STORED_ABSENT, (rp_store_op_t){.kind = (uint8_t) kinds[index], .id = 9}, NULL);
}

static void test_a_job_is_due_when_its_put_says (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.not_before = 5000;
    job.flags = 7;
    rp_store_op_t op = test_put (&job);
    op.due = 9000;
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, op, "x");
    rp_stored_t result;
    rp_store_row_t *row = test_shelf_find (shelf, id, &result);
    assert_non_null (row);
    assert_int_equal (row->due, 9000);
    assert_int_equal (row->job.not_before, 5000);
    rp_stored_clear (&result);
    result = test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_SERVICES}, NULL);
    assert_int_equal (result.flags, 7);
    rp_stored_clear (&result);
}

/*  ---- Keys ------------------------------------------------------------------------------------- */

static void test_a_key_makes_one_job (void **state)
{
    (void) state;
    uint64_t id = s_put_with_key (RP_STORED_SAFE, "key", "body");
    for (int run = 0; run < 2; run++) {
        assert_int_equal (s_put_with_key (RP_STORED_KNOWN, "key", "body"), id);
        assert_int_equal (s_put_with_key (RP_STORED_MISMATCH, "key", "other"), id);
        assert_int_equal (s_look_at_key (RP_STORED_KNOWN, "key", "body"), id);
        assert_int_equal (s_look_at_key (RP_STORED_MISMATCH, "key", "other"), id);
        (void) s_look_at_key (RP_STORED_ABSENT, "key2", "body");
        test_shelf_reopen (shelf);
    }
    assert_int_not_equal (s_put_with_key (RP_STORED_SAFE, "key2", "body"), id);
}

static void test_a_known_key_gives_the_job_without_what_is_large (void **state)
{
    (void) state;
    uint64_t id = s_put_with_key (RP_STORED_SAFE, "key", "body");
    rp_store_op_t op = test_final (id, RP_OK);
    op.code = 3;
    test_shelf_want (shelf, RP_STORED_SAFE, op, "the reply");
    test_shelf_reopen (shelf);
    assert_int_equal (s_put_with_key (RP_STORED_MISMATCH, "key", "other"), id);
    rp_store_job_t job = test_job ();
    job.key = test_span ("key");
    memcpy (job.digest, "body", 4);
    rp_stored_t result = test_shelf_do (shelf, test_put (&job), "body");
    assert_int_equal (result.outcome, RP_STORED_KNOWN);
    const rp_store_row_t *row = &result.rows->jobs[0];
    assert_int_equal (row->state, RP_JOB_DONE);
    assert_int_equal (row->code, 3);
    assert_int_equal (row->reply_bytes, strlen ("the reply"));
    assert_int_equal (row->body_count + row->reply_count, 0);
    rp_stored_clear (&result);
}

static void test_a_key_is_of_a_principal_and_a_service (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.key = test_span ("key");
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "b");
    job.principal = test_span ("another");
    assert_int_not_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "b"), id);
    job.service = test_span ("another");
    assert_int_not_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "b"), id);
}

static void test_a_key_of_the_same_transaction_is_known (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.key = test_span ("key");
    for (int index = 0; index < 100; index++)
        test_shelf_submit (shelf, test_put (&job), "b");
    for (int index = 0; index < 100; index++) {
        rp_stored_t result;
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.id, 1);
        assert_int_equal (result.outcome, index == 0 ? RP_STORED_SAFE : RP_STORED_KNOWN);
        rp_stored_clear (&result);
    }
}

/*  ---- Lists ------------------------------------------------------------------------------------ */

static void test_jobs_are_loaded_by_due_time (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    for (int index = 0; index < 20; index++) {
        job.not_before = index < 10 ? 5000 : 9000 - index; // ten are due at once
        test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    }
    job.service = test_span ("another");
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    rp_store_op_t op = {
      .kind = RP_STORE_LOAD, .text = "s", .text_size = 1, .before = 8985, .rows = 3};
    size_t seen = 0;
    for (bool more = true; more;) {
        rp_stored_t result = test_shelf_do (shelf, op, NULL);
        assert_int_equal (result.outcome, RP_STORED_SAFE);
        assert_true (result.rows->count > 0);
        for (size_t index = 0; index < result.rows->count; index++) {
            const rp_store_row_t *row = &result.rows->jobs[index];
            assert_true (row->due > op.after || (row->due == op.after && row->id > op.id));
            op.after = row->due;
            op.id = row->id;
            s_want_text ("body", &row->body[0]);
            seen++;
        }
        more = result.more;
        // What is left: of the same due time, a later one, or one behind `before`.
        assert_int_equal (result.due, seen < 10 ? 5000 : seen < 15 ? 8966 + seen + 5 : 8986);
        rp_stored_clear (&result);
    }
    assert_int_equal (seen, 15);
    op.before = RP_STORE_NEVER;
    op.rows = 0;
    rp_stored_t result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.rows->count, 5);
    assert_false (result.more);
    assert_int_equal (result.due, RP_STORE_NEVER);
    rp_stored_clear (&result);
}

static void test_a_load_is_bounded_by_bytes (void **state)
{
    (void) state;
    for (int index = 0; index < 4; index++)
        s_put ("0123456789");
    rp_store_op_t op = {
      .kind = RP_STORE_LOAD, .text = "s", .text_size = 1, .before = RP_STORE_NEVER, .bytes = 25};
    rp_stored_t result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.rows->count, 2);
    assert_true (result.more);
    rp_stored_clear (&result);
    op.bytes = 1;
    result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.rows->count, 1); // one at least
    assert_true (result.more);
    rp_stored_clear (&result);
}

static void test_jobs_that_ran_are_loaded_with_their_attempt (void **state)
{
    (void) state;
    uint64_t id = s_put ("b");
    s_attempt (id, 3);
    uint64_t ended = s_put ("b");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (ended, RP_OK), NULL);
    rp_stored_t result = s_load ("s", RP_STORE_NEVER, 0);
    assert_int_equal (result.rows->count, 0); // it runs here
    rp_stored_clear (&result);
    test_shelf_reopen (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, (rp_store_op_t){.kind = RP_STORE_SERVICES}, NULL);
    result = s_load ("s", RP_STORE_NEVER, 0);
    assert_int_equal (result.rows->count, 1);
    assert_int_equal (result.rows->jobs[0].id, id);
    assert_int_equal (result.rows->jobs[0].state, RP_JOB_RUNNING);
    assert_int_equal (result.rows->jobs[0].attempt, 3);
    assert_int_equal (result.rows->jobs[0].attempts[0].started, 2000);
    rp_stored_clear (&result);
}

static void test_services_with_open_jobs_are_listed (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    s_attempt (s_put ("b"), 1);
    s_put ("b");
    job.service = test_span ("t");
    job.not_before = 8000;
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "b");
    job.service = test_span ("over");
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "b");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (id, RP_OK), NULL);
    rp_stored_t result = test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_SERVICES}, NULL);
    assert_int_equal (result.rows->service_count, 2);
    const rp_store_service_t *services = result.rows->services;
    s_want_text ("s", &services[0].service);
    assert_int_equal (services[0].waiting, 1);
    assert_int_equal (services[0].running, 1);
    assert_int_equal (services[0].due, 1000);
    s_want_text ("t", &services[1].service);
    assert_int_equal (services[1].waiting, 1);
    assert_int_equal (services[1].running, 0);
    assert_int_equal (services[1].due, 8000);
    rp_stored_clear (&result);
}

/*  Returns how many jobs a list has, in steps of two.  */
static size_t s_count (const char *service, rp_job_state_t job_state)
{
    rp_store_op_t op = {.kind = RP_STORE_LIST,
      .text = service,
      .text_size = (uint16_t) strlen (service),
      .state = (uint8_t) job_state,
      .rows = 2};
    size_t count = 0;
    for (bool more = true; more;) {
        rp_stored_t result = test_shelf_do (shelf, op, NULL);
        assert_int_equal (result.outcome, RP_STORED_SAFE);
        for (size_t index = 0; index < result.rows->count; index++) {
            const rp_store_row_t *row = &result.rows->jobs[index];
            assert_true (row->id > op.id);
            assert_int_equal (row->body_count, 0);
            assert_int_equal (row->body_bytes, 4);
            op.id = row->id;
            if (job_state != RP_JOB_ANY)
                assert_int_equal (row->state, job_state);
        }
        count += result.rows->count;
        more = result.more;
        op.id = result.id;
        rp_stored_clear (&result);
    }
    return count;
}

static void test_jobs_are_listed_by_service_and_state (void **state)
{
    (void) state;
    for (int index = 0; index < 3; index++) {
        s_put ("body");
        s_attempt (s_put ("body"), 1);
        test_shelf_want (shelf, RP_STORED_SAFE, test_final (s_put ("body"), RP_OK), "r");
        s_put_dead ("body");
    }
    rp_store_job_t job = test_job ();
    job.service = test_span ("t");
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    assert_int_equal (s_count ("", RP_JOB_ANY), 13);
    assert_int_equal (s_count ("s", RP_JOB_ANY), 12);
    assert_int_equal (s_count ("", RP_JOB_WAITING), 4);
    assert_int_equal (s_count ("s", RP_JOB_WAITING), 3);
    assert_int_equal (s_count ("s", RP_JOB_RUNNING), 3);
    assert_int_equal (s_count ("s", RP_JOB_DONE), 3);
    assert_int_equal (s_count ("", RP_JOB_DEAD), 3);
    assert_int_equal (s_count ("t", RP_JOB_DEAD), 0);
}

/*  ---- Dead jobs -------------------------------------------------------------------------------- */

static void test_a_retry_is_a_new_life (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.key = test_span ("key");
    job.deadline = 4000; // 3000 after it was accepted
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_attempt (id, 1);
    rp_store_op_t retry = {.kind = RP_STORE_RETRY, .id = id, .at = 10000, .due = 12000};
    test_shelf_want (shelf, RP_STORED_ABSENT, retry, NULL); // it is not dead
    rp_store_op_t op = test_final (id, RP_WORKER_LOST);
    op.dead = true;
    test_shelf_want (shelf, RP_STORED_SAFE, op, NULL);
    rp_stored_t result = test_shelf_do (shelf, retry, NULL);
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_true (result.id > id);
    uint64_t child = result.id;
    const rp_store_row_t *row = &result.rows->jobs[0];
    assert_int_equal (row->id, child);
    assert_int_equal (row->state, RP_JOB_WAITING);
    assert_int_equal (row->due, 12000);
    assert_int_equal (row->job.parent, id);
    assert_int_equal (row->job.deadline, 13000);
    assert_int_equal (row->job.attempts, 5);
    s_want_text ("body", &row->body[0]);
    rp_stored_clear (&result);
    test_shelf_reopen (shelf);
    row = test_shelf_find (shelf, id, &result);
    assert_int_equal (row->state, RP_JOB_DONE);
    assert_int_equal (row->child, child);
    rp_stored_clear (&result);
    test_shelf_want (shelf, RP_STORED_ABSENT, retry, NULL);
    // Who asks again with the key gets the new one.
    assert_int_equal (test_shelf_want (shelf, RP_STORED_KNOWN, test_put (&job), "body"), child);
}

static void test_dead_jobs_are_purged (void **state)
{
    (void) state;
    uint64_t one = s_put_dead ("body");
    for (int index = 0; index < 5; index++)
        s_put_dead ("body");
    uint64_t alive = s_put ("body");
    rp_store_op_t op = {.kind = RP_STORE_PURGE, .id = alive};
    test_shelf_want (shelf, RP_STORED_ABSENT, op, NULL);
    op.id = one;
    test_shelf_want (shelf, RP_STORED_SAFE, op, NULL);
    test_shelf_want (shelf, RP_STORED_ABSENT, op, NULL);
    op = (rp_store_op_t){.kind = RP_STORE_PURGE, .text = "t", .text_size = 1};
    rp_stored_t result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.count, 0);
    op = (rp_store_op_t){.kind = RP_STORE_PURGE, .text = "s", .text_size = 1, .rows = 3};
    result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.count, 3);
    assert_true (result.more);
    result = test_shelf_do (shelf, op, NULL);
    assert_int_equal (result.count, 2);
    assert_false (result.more);
    assert_int_equal (s_count ("", RP_JOB_ANY), 1);
}

static void test_a_job_that_is_done_is_removed (void **state)
{
    (void) state;
    uint64_t done = s_put_with_key (RP_STORED_SAFE, "key", "body");
    uint64_t dead = s_put_dead ("body");
    uint64_t alive = s_put ("body");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (done, RP_OK), "reply");
    const uint64_t kept[] = {dead, alive};
    for (int index = 0; index < 2; index++)
        test_shelf_want (shelf, RP_STORED_ABSENT,
          (rp_store_op_t){.kind = RP_STORE_REMOVE, .id = kept[index]}, NULL);
    rp_store_op_t op = {.kind = RP_STORE_REMOVE, .id = done};
    test_shelf_want (shelf, RP_STORED_SAFE, op, NULL);
    test_shelf_want (shelf, RP_STORED_ABSENT, op, NULL);
    test_shelf_reopen (shelf);
    test_shelf_want (
      shelf, RP_STORED_ABSENT, (rp_store_op_t){.kind = RP_STORE_FIND, .id = done}, NULL);
    test_shelf_want_state (shelf, dead, RP_JOB_DEAD);
    assert_true (s_put_with_key (RP_STORED_SAFE, "key", "other") > alive); // the key is free
}

/*  ---- Cleaning --------------------------------------------------------------------------------- */

/*  Ends a job so that it may be cleaned up at once.  */
static void s_end_past (uint64_t id)
{
    rp_store_op_t op = test_final (id, RP_OK);
    op.until = 6000;
    test_shelf_want (shelf, RP_STORED_SAFE, op, "reply");
}

static void s_wait_cleaned (uint64_t count)
{
    rp_store_figures_t figures;
    for (int turn = 0; turn < TEST_SHELF_MS; turn++) {
        rp_store_figures (shelf->store, &figures);
        if (figures.cleaned >= count)
            return;
        usleep (1000);
    }
    fail_msg ("%u of %u jobs were cleaned up", (unsigned) figures.cleaned, (unsigned) count);
}

static void test_finals_are_cleaned_up_when_their_time_is_over (void **state)
{
    (void) state;
    uint64_t id = s_put_with_key (RP_STORED_SAFE, "key", "body");
    uint64_t kept = s_put ("body");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (kept, RP_OK), "reply");
    s_end_past (id);
    s_wait_cleaned (1);
    test_shelf_want (
      shelf, RP_STORED_ABSENT, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    test_shelf_want_state (shelf, kept, RP_JOB_DONE);
    assert_true (s_put_with_key (RP_STORED_SAFE, "key", "other") > kept); // the key is free
}

static void test_ids_are_never_given_again (void **state)
{
    (void) state;
    s_put ("body");
    uint64_t last = s_put ("body");
    s_end_past (last);
    s_wait_cleaned (1);
    test_shelf_reopen (shelf);
    assert_true (s_put ("body") > last);
}

static void test_a_file_gives_space_back (void **state)
{
    (void) state;
    test_shelf_only_in_a_file (shelf);
    static char body[1 << 20];
    memset (body, 'x', sizeof body - 1);
    rp_store_figures_t figures;
    for (int index = 0; index < 40; index++)
        s_end_past (s_put (body));
    rp_store_figures (shelf->store, &figures);
    s_wait_cleaned (40);
    for (int turn = 0; turn < TEST_SHELF_MS; turn++) {
        rp_store_figures (shelf->store, &figures);
        if (figures.file_bytes < (20u << 20))
            break;
        usleep (1000);
    }
    assert_true (figures.file_bytes < (20u << 20));
}

/*  ---- Order, groups, limits -------------------------------------------------------------------- */

static void test_results_come_in_order_and_share_syncs (void **state)
{
    (void) state;
    const int count = 5000;
    rp_store_job_t job = test_job ();
    for (int index = 0; index < count; index++)
        test_shelf_submit (shelf, test_put (&job), "body");
    for (int index = 1; index <= count; index++) {
        rp_stored_t result;
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.number, index);
        assert_int_equal (result.id, index);
        assert_int_equal (result.outcome, RP_STORED_SAFE);
    }
    rp_store_figures_t figures;
    rp_store_figures (shelf->store, &figures);
    assert_int_equal (figures.ops[RP_STORE_PUT], count);
    assert_int_equal (figures.outcomes[RP_STORED_SAFE], count);
    assert_int_equal (rp_spread_count (&figures.commit_us), figures.commits);
    assert_int_equal (figures.queued, 0);
    assert_int_equal (figures.queued_bytes, 0);
    assert_true (figures.commits < (uint64_t) count / 10);
    rp_stored_t none;
    assert_false (rp_store_take (shelf->store, &none));
    assert_false (rp_store_wait (shelf->store, 0));
}

static void test_closing_finishes_what_was_submitted (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    for (int index = 0; index < 1000; index++)
        test_shelf_submit (shelf, test_put (&job), "body");
    test_shelf_reopen (shelf);
    test_shelf_want_state (shelf, 1000, RP_JOB_WAITING);
}

static void test_too_much_draws_busy_but_ends_are_taken (void **state)
{
    (void) state;
    static char body[1 << 20];
    memset (body, 'x', sizeof body - 1);
    uint64_t id = s_put ("body");
    rp_store_job_t job = test_job ();
    const int count = 2 * RP_STORE_QUEUE_BYTES / (int) sizeof body;
    for (int index = 0; index < count; index++)
        test_shelf_submit (shelf, test_put (&job), body);
    rp_store_op_t op = test_final (id, RP_OK);
    test_shelf_submit (shelf, op, body);
    int busy = 0;
    rp_stored_t result;
    uint64_t number = shelf->number - (uint64_t) count;
    for (int index = 0; index < count; index++, number++) {
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.number, number);
        assert_true (result.outcome == RP_STORED_SAFE || result.outcome == RP_STORED_BUSY);
        busy += result.outcome == RP_STORED_BUSY;
    }
    assert_true (busy > 0);
    assert_true (busy < count);
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_SAFE);
}

static void test_what_is_large_is_left_out_where_it_is_not_wanted (void **state)
{
    (void) state;
    uint64_t id = s_put ("body");
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (id, RP_OK), "reply");
    for (uint8_t leaves = RP_STORE_LEAVE_NOTHING; leaves <= RP_STORE_LEAVE_FRAMES; leaves++) {
        rp_stored_t result = test_shelf_do (
          shelf, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id, .leaves = leaves}, NULL);
        const rp_store_row_t *row = &result.rows->jobs[0];
        assert_int_equal (row->state, RP_JOB_DONE);
        assert_int_equal (row->body_bytes, 4);
        assert_int_equal (row->reply_bytes, 5);
        assert_int_equal (row->body_count, leaves == RP_STORE_LEAVE_NOTHING);
        assert_int_equal (row->reply_count, leaves != RP_STORE_LEAVE_FRAMES);
        rp_stored_clear (&result);
    }
}

/*  Whoever has one job with a large body may ask for it thousands of times at once.  */
static void test_what_is_read_and_not_taken_is_bounded (void **state)
{
    (void) state;
    static char body[4 << 20];
    memset (body, 'x', sizeof body - 1);
    const uint64_t count = 40, most = 2 * (RP_STORE_READ_BYTES / (sizeof body - 1) + 1);
    rp_store_op_t op = {.kind = RP_STORE_FIND, .id = s_put (body)};
    uint64_t before = shelf->number;
    for (uint64_t index = 0; index < count; index++)
        test_shelf_submit (shelf, op, NULL);
    rp_store_job_t job = test_job ();
    test_shelf_submit (shelf, test_put (&job), "behind them");
    rp_stored_t result;
    for (uint64_t taken = 0; taken < count; taken++) {
        rp_store_figures_t figures;
        assert_true (test_shelf_take (shelf, &result));
        rp_store_figures (shelf->store, &figures);
        assert_true (figures.ops[RP_STORE_FIND] - taken <= most);
        assert_int_equal (result.number, before + 1 + taken);
        assert_int_equal (result.outcome, RP_STORED_SAFE);
        assert_int_equal (result.rows->jobs[0].body[0].size, sizeof body - 1);
        rp_stored_clear (&result);
    }
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_int_equal (result.kind, RP_STORE_PUT);
}

static void test_a_body_that_no_row_can_have_is_refused (void **state)
{
    (void) state;
    static char bytes[1 << 20];
    static rp_store_span_t frames[1000]; // the same frame, again and again
    for (size_t index = 0; index < 1000; index++)
        frames[index] = (rp_store_span_t){.data = bytes, .size = sizeof bytes};
    uint64_t id = s_put ("body");
    rp_store_job_t job = test_job ();
    rp_store_op_t ops[] = {test_put (&job), test_final (id, RP_OK)};
    for (size_t index = 0; index < 2; index++) {
        rp_stored_t result;
        ops[index].number = ++shelf->number;
        assert_true (rp_store_submit (shelf->store, &ops[index], frames, 1000, NULL));
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.outcome, RP_STORED_TOO_LARGE);
    }
    test_shelf_want_state (shelf, id, RP_JOB_WAITING);
}

/*  ---- A full disk ------------------------------------------------------------------------------ */

static void test_a_full_disk_refuses_and_comes_back (void **state)
{
    (void) state;
    test_shelf_only_in_a_file (shelf);
    uint64_t id = s_put ("body");
    test_shelf_close (shelf);
    shelf->settings.vfs = TEST_DISK;
    test_shelf_open (shelf);
    test_disk.full = true;
    rp_store_job_t job = test_job ();
    test_shelf_want (shelf, RP_STORED_FULL, test_put (&job), "body");
    rp_store_figures_t figures;
    rp_store_figures (shelf->store, &figures);
    assert_true (figures.full);
    assert_string_equal (rp_store_trouble (shelf->store), "no space is left on the disk");
    test_shelf_want (shelf, RP_STORED_FULL, test_final (id, RP_OK), NULL);
    test_shelf_want_state (shelf, id, RP_JOB_WAITING); // it can be read
    test_disk.full = false;
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (id, RP_OK), NULL);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), id + 1);
    rp_store_figures (shelf->store, &figures);
    assert_false (figures.full);
    assert_false (figures.broken);
    assert_string_equal (rp_store_trouble (shelf->store), "");
    test_shelf_reopen (shelf);
    test_shelf_want_state (shelf, id, RP_JOB_DONE);
    test_shelf_want_state (shelf, id + 1, RP_JOB_WAITING);
}

static void test_a_full_file_still_takes_ends (void **state)
{
    (void) state;
    test_shelf_only_in_a_file (shelf);
    static char body[1 << 16];
    memset (body, 'x', sizeof body - 1);
    test_shelf_close (shelf);
    shelf->settings.pages = 64;
    test_shelf_open (shelf);
    uint64_t id = s_put ("body");
    rp_store_job_t job = test_job ();
    rp_stored_outcome_t outcome = RP_STORED_SAFE;
    for (int index = 0; index < 100 && outcome == RP_STORED_SAFE; index++)
        outcome = test_shelf_do (shelf, test_put (&job), body).outcome;
    assert_int_equal (outcome, RP_STORED_FULL);
    // In one group: what does not fit takes nothing else with it.
    test_shelf_submit (shelf, test_put (&job), body);
    test_shelf_submit (shelf, test_final (id, RP_OK), NULL);
    test_shelf_submit (shelf, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    rp_stored_t result;
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_FULL);
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.rows->jobs[0].state, RP_JOB_DONE);
    rp_stored_clear (&result);
}

static void test_a_failed_sync_ends_the_store (void **state)
{
    (void) state;
    test_shelf_only_in_a_file (shelf);
    test_shelf_close (shelf);
    shelf->settings.vfs = TEST_DISK;
    test_shelf_open (shelf);
    uint64_t id = s_put ("body");
    rp_store_job_t job = test_job ();
    uint64_t before = test_disk.calls;
    s_put ("body");
    test_disk.fails = test_disk.calls + (test_disk.calls - before); // the sync of the next commit
    test_shelf_want (shelf, RP_STORED_BROKEN, test_put (&job), "body");
    rp_store_figures_t figures;
    rp_store_figures (shelf->store, &figures);
    assert_true (figures.broken);
    assert_string_not_equal (rp_store_trouble (shelf->store), "");
    uint64_t calls = test_disk.calls;
    test_shelf_want (shelf, RP_STORED_BROKEN, test_put (&job), "body");
    test_shelf_want (
      shelf, RP_STORED_BROKEN, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    test_shelf_close (shelf);
    assert_int_equal (test_disk.calls, calls); // nothing was written or synced after it
    test_shelf_open (shelf);
    test_shelf_want_state (shelf, id, RP_JOB_WAITING);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (test_a_job_is_kept_with_everything_about_it),
      S_TEST (test_frames_stay_apart),
      S_TEST (test_an_empty_frame_is_no_absent_one),
      S_TEST (test_a_life_of_a_job),
      S_TEST (test_the_first_attempt_goes_with_the_job),
      S_TEST (test_an_attempt_that_never_began_is_not_listed),
      S_TEST (test_a_job_ends_once),
      S_TEST (test_what_is_not_there_is_absent),
      S_TEST (test_a_job_is_due_when_its_put_says),
      S_TEST (test_a_key_makes_one_job),
      S_TEST (test_a_known_key_gives_the_job_without_what_is_large),
      S_TEST (test_a_key_is_of_a_principal_and_a_service),
      S_TEST (test_a_key_of_the_same_transaction_is_known),
      S_TEST (test_jobs_are_loaded_by_due_time),
      S_TEST (test_a_load_is_bounded_by_bytes),
      S_TEST (test_jobs_that_ran_are_loaded_with_their_attempt),
      S_TEST (test_services_with_open_jobs_are_listed),
      S_TEST (test_jobs_are_listed_by_service_and_state),
      S_TEST (test_a_retry_is_a_new_life),
      S_TEST (test_dead_jobs_are_purged),
      S_TEST (test_a_job_that_is_done_is_removed),
      S_TEST (test_finals_are_cleaned_up_when_their_time_is_over),
      S_TEST (test_ids_are_never_given_again),
      S_TEST (test_a_file_gives_space_back),
      S_TEST (test_results_come_in_order_and_share_syncs),
      S_TEST (test_closing_finishes_what_was_submitted),
      S_TEST (test_too_much_draws_busy_but_ends_are_taken),
      S_TEST (test_what_is_large_is_left_out_where_it_is_not_wanted),
      S_TEST (test_what_is_read_and_not_taken_is_bounded),
      S_TEST (test_a_body_that_no_row_can_have_is_refused),
      S_TEST (test_a_full_disk_refuses_and_comes_back),
      S_TEST (test_a_full_file_still_takes_ends),
      S_TEST (test_a_failed_sync_ends_the_store),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
