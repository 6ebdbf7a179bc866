/*  The life of a job as a timeline, made of its row.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/admin/job_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <riposte/error.h>

#include "broker/admin/narrative.h"
#include "common/wire/headers.h"

#define MS INT64_C (1000)
#define S (1000 * MS)
/*  2026-11-28T20:00:00Z  */
#define T INT64_C (1795896000000000)

#define SPAN(text) ((rp_store_span_t){(text), sizeof (text) - 1})

/*  Ids are numbers up to this one.  */
static const rp_store_secret_t s_secret = {.plain = 1000};

/*  A job that is waiting, of no attempt.  */
static rp_store_row_t s_row (void)
{
    return (rp_store_row_t){.id = 17,
      .state = RP_JOB_WAITING,
      .due = T,
      .job = {.service = SPAN ("resize"), .principal = SPAN ("ada"), .accepted = T, .attempts = 3}};
}

static void s_expect (const rp_store_row_t *row, int64_t wall, const char *told)
{
    rp_job_trace_t self;
    rp_job_trace (&self, row, &s_secret, wall);
    char *text = rp_narrative_trace (&self.trace);
    assert_string_equal (text, told);
    free (text);
    int64_t at = row->job.accepted;
    for (size_t index = 0; index < self.trace.count; index++) {
        assert_true (self.trace.events[index].at >= at);
        at = self.trace.events[index].at;
    }
}

static void s_a_job_that_waits_says_until_when (void **state)
{
    (void) state;
    rp_store_row_t row = s_row ();
    s_expect (&row, T + 90 * S, "accepted · waiting for 1 m 30 s: no worker has taken it yet");
    row.due = row.job.not_before = T + 3600 * S;
    s_expect (&row, T + 90 * S,
      "accepted · waiting for 1 m 30 s: it is not to begin before 2026-11-28T21:00:00.000Z");
}

static void s_a_job_that_runs_says_where (void **state)
{
    (void) state;
    rp_store_attempt_t attempt = {.number = 1, .started = T + 38 * MS, .worker = SPAN ("host-812")};
    rp_store_row_t row = s_row ();
    row.state = RP_JOB_RUNNING;
    row.attempt = 1;
    row.attempts = &attempt;
    row.attempt_count = 1;
    s_expect (&row, T + 2038 * MS,
      "accepted · waited 38 ms · given to host-812 (attempt 1) · running for 2 s");
    attempt.worker.size = 0; // not known yet
    row.job.not_before = T + 30 * MS;
    s_expect (&row, T + 2038 * MS,
      "accepted · waited 38 ms: it was sent to begin later · given to a worker (attempt 1) · "
      "running for 2 s");
}

/*  Two attempts, of which the first failed.  */
static rp_store_attempt_t s_attempts[2];

static rp_store_row_t s_twice (rp_job_state_t state, rp_status_t status)
{
    s_attempts[0] = (rp_store_attempt_t){.number = 1,
      .started = T,
      .ended = T + 2100 * MS,
      .status = RP_WORKER_LOST,
      .worker = SPAN ("host-812"),
      .text = SPAN ("its connection broke")};
    s_attempts[1] = (rp_store_attempt_t){.number = 2,
      .started = T + 3100 * MS,
      .ended = T + 3411 * MS,
      .status = (uint8_t) status,
      .worker = SPAN ("host-815")};
    rp_store_row_t row = s_row ();
    row.state = state;
    row.attempt = 2;
    row.attempts = s_attempts;
    row.attempt_count = 2;
    row.status = (uint8_t) status;
    row.ended = T + 3411 * MS;
    return row;
}

#define BEGINNING                                                                                  \
    "accepted · given to host-812 (attempt 1) · failed after 2.1 s: its connection broke · "    \
    "waited 1 s: the pause after an attempt that failed · given to host-815 (attempt 2) · "

static void s_a_job_that_is_done_says_how_it_came_to_that (void **state)
{
    (void) state;
    rp_store_row_t row = s_twice (RP_JOB_DONE, RP_OK);
    s_expect (&row, T + 60 * S, BEGINNING "replied OK after 311 ms");
    json_t *object = rp_job_trace_json (&row, &s_secret, T + 60 * S);
    assert_string_equal (json_string_value (json_object_get (object, "job")), "17");
    assert_string_equal (json_string_value (json_object_get (object, "status")), "OK");
    assert_int_equal (json_integer_value (json_object_get (object, "total_us")), 3411 * MS);
    assert_int_equal (json_integer_value (json_object_get (object, "work_us")), 311 * MS);
    assert_int_equal (
      json_integer_value (json_object_get (object, "ended_us_ago")), 60 * S - 3411 * MS);
    json_decref (object);
}

static void s_a_dead_job_says_so_and_as_what_it_lives_on (void **state)
{
    (void) state;
    rp_store_row_t row = s_twice (RP_JOB_DEAD, RP_DEADLINE);
    s_attempts[1].text = SPAN ("it took too long");
    s_expect (&row, T + 60 * S,
      BEGINNING "failed after 311 ms: it took too long · dead: that was its last attempt");
    row.state = RP_JOB_DONE;
    row.child = 18;
    s_expect (&row, T + 60 * S,
      BEGINNING "failed after 311 ms: it took too long · dead: that was its last attempt · "
                "retried as job 18");
}

static void s_a_job_that_ended_before_its_next_attempt_says_why (void **state)
{
    (void) state;
    rp_store_row_t row = s_twice (RP_JOB_DONE, RP_CANCELLED);
    row.attempt_count = 1;
    row.text = SPAN ("the job was cancelled");
    s_expect (&row, T + 60 * S,
      "accepted · given to host-812 (attempt 1) · failed after 2.1 s: its connection broke · "
      "ended with CANCELLED: the job was cancelled");
}

static void s_of_many_attempts_the_latest_are_told (void **state)
{
    (void) state;
    rp_store_attempt_t attempts[100];
    for (uint8_t index = 0; index < 100; index++)
        attempts[index] = (rp_store_attempt_t){.number = (uint8_t) (index + 1),
          .started = T + index * S,
          .ended = T + index * S + MS,
          .status = RP_WORKER_LOST};
    rp_store_row_t row = s_row ();
    row.state = RP_JOB_DEAD;
    row.ended = attempts[99].ended;
    row.attempts = attempts;
    row.attempt_count = 100;
    rp_job_trace_t self;
    rp_job_trace (&self, &row, &s_secret, T + 3600 * S);
    assert_int_equal (self.trace.omitted, 100 - RP_TRACE_LOSSES_MAX);
    assert_true (self.trace.count <= RP_TRACE_EVENTS_MAX);
    assert_int_equal (self.trace.events[self.trace.count - 1].kind, RP_TRACE_DIED);
    assert_int_equal (self.trace.events[self.trace.count - 3].attempt, 100);
}

static void s_a_clock_that_was_set_back_makes_no_negative_times (void **state)
{
    (void) state;
    rp_store_row_t row = s_twice (RP_JOB_DONE, RP_OK);
    row.job.accepted = T + 60 * S;
    s_expect (&row, T,
      "accepted · given to host-812 (attempt 1) · failed after 2.1 s: its connection broke · "
      "waited 1 s: the pause after an attempt that failed · given to host-815 (attempt 2) · "
      "replied OK after 311 ms");
    json_t *object = rp_job_trace_json (&row, &s_secret, T);
    assert_int_equal (json_integer_value (json_object_get (object, "total_us")), 0);
    assert_int_equal (json_integer_value (json_object_get (object, "ended_us_ago")), 0);
    json_decref (object);
}

static void s_its_request_id_is_told (void **state)
{
    (void) state;
    uint8_t headers[256];
    size_t size = 0;
    char value[RP_TRACE_REQUEST_ID_MAX + 41] = "";
    memset (value, 'x', sizeof value - 1);
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_TRACE_REQUEST_ID, value));
    rp_store_row_t row = s_row ();
    row.job.headers = (rp_store_span_t){headers, size};
    rp_job_trace_t self;
    rp_job_trace (&self, &row, &s_secret, T);
    assert_int_equal (strlen (self.trace.request_id), RP_TRACE_REQUEST_ID_MAX);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_job_that_waits_says_until_when),
      cmocka_unit_test (s_a_job_that_runs_says_where),
      cmocka_unit_test (s_a_job_that_is_done_says_how_it_came_to_that),
      cmocka_unit_test (s_a_dead_job_says_so_and_as_what_it_lives_on),
      cmocka_unit_test (s_a_job_that_ended_before_its_next_attempt_says_why),
      cmocka_unit_test (s_of_many_attempts_the_latest_are_told),
      cmocka_unit_test (s_a_clock_that_was_set_back_makes_no_negative_times),
      cmocka_unit_test (s_its_request_id_is_told),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
