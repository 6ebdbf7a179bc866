/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/postgres_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/postgres_sql.h"
#include "common/base/check.h"
#include "common/base/heap.h"

/*  Dead jobs that one PURGE removes.  */
#define S_PURGE_JOBS 500u

bool rp_postgres_items_prepare (rp_postgres_t *postgres)
{
    static const char *const statements[][3] = {
#define S_STATEMENT(name, types, sql) {#name, types, sql},
      RP_POSTGRES_MAP (S_STATEMENT)
#undef S_STATEMENT
    };
    const size_t count = sizeof statements / sizeof *statements;
    for (size_t index = 0; index < count; index++)
        if (!rp_postgres_prepare (
              postgres, statements[index][0], statements[index][1], statements[index][2]))
            return false;
    if (!rp_postgres_sync (postgres))
        return false;
    bool prepared = true;
    for (size_t index = 0; index < count; index++) {
        PGresult *answer;
        prepared = rp_postgres_take (postgres, &answer) == RP_POSTGRES_DONE && prepared;
        if (answer)
            postgres->pq->PQclear (answer);
    }
    return rp_postgres_take_sync (postgres) && prepared;
}

/*  ---- Values ---------------------------------------------------------------------------------- */

static void s_span (rp_postgres_values_t *values, const void *data, size_t size)
{
    if (size > 0)
        rp_postgres_add_bytes (values, data, size);
    else
        rp_postgres_add_null (values);
}

static void s_worker (rp_postgres_values_t *values, const char *worker)
{
    if (worker)
        rp_postgres_add_bytes (values, worker, strlen (worker));
    else
        rp_postgres_add_null (values);
}

/*  Adds sizes and bytes.  */
static void s_body (rp_postgres_values_t *values, const rp_columns_body_t *body)
{
    s_span (values, body->joined, body->sizes);
    if (body->data)
        rp_postgres_add_bytes (values, body->data, body->size);
    else
        rp_postgres_add_null (values);
}

static rp_postgres_values_t s_one (uint64_t id)
{
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_number (&values, (int64_t) id);
    return values;
}

static rp_postgres_values_t s_two (uint64_t one, uint64_t two)
{
    rp_postgres_values_t values = s_one (one);
    rp_postgres_add_number (&values, (int64_t) two);
    return values;
}

static bool s_no_memory (rp_postgres_t *postgres)
{
    snprintf (postgres->trouble, sizeof postgres->trouble, "out of memory");
    return false;
}

/*  ---- Answers --------------------------------------------------------------------------------- */

/*  A row of an answer.  */
typedef struct {
    rp_columns_t columns;
    const rp_postgres_t *postgres;
    const PGresult *answer;
    int row;
} s_columns_t;

static bool s_is_null (const rp_columns_t *columns, int column)
{
    const s_columns_t *self = RP_CONTAINER (columns, const s_columns_t, columns);
    return self->postgres->pq->PQgetisnull (self->answer, self->row, column);
}

static int64_t s_number (const rp_columns_t *columns, int column)
{
    const s_columns_t *self = RP_CONTAINER (columns, const s_columns_t, columns);
    return rp_postgres_number (self->postgres, self->answer, self->row, column);
}

static rp_store_span_t s_bytes (const rp_columns_t *columns, int column)
{
    const s_columns_t *self = RP_CONTAINER (columns, const s_columns_t, columns);
    return rp_postgres_bytes (self->postgres, self->answer, self->row, column);
}

static s_columns_t s_columns (const rp_postgres_t *postgres, const PGresult *answer)
{
    return (s_columns_t){.columns = {.is_null = s_is_null, .number = s_number, .bytes = s_bytes},
      .postgres = postgres,
      .answer = answer};
}

static int s_count (const rp_postgres_t *postgres, const PGresult *answer)
{
    return postgres->pq->PQntuples (answer);
}

static bool s_begin_rows (rp_postgres_t *postgres, const rp_postgres_item_t *item)
{
    item->result->rows = rp_rows_new ();
    return item->result->rows || s_no_memory (postgres);
}

/*  Adds the one job of an answer, with its content; ABSENT if there is none.  */
static bool s_read_found (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, const PGresult *answer)
{
    if (s_count (postgres, answer) == 0) {
        item->result->outcome = RP_STORED_ABSENT;
        return true;
    }
    s_columns_t columns = s_columns (postgres, answer);
    return s_begin_rows (postgres, item)
           && (rp_columns_read_job (item->result->rows, &columns.columns, true)
               || s_no_memory (postgres));
}

/*  ---- Operations ------------------------------------------------------------------------------ */

static bool s_send (
  rp_postgres_t *postgres, rp_postgres_item_t *item, const char *name, rp_postgres_values_t *values)
{
    RP_CHECK (item->places < RP_POSTGRES_STATEMENTS);
    item->places++;
    return rp_postgres_send (postgres, name, values);
}

static rp_postgres_values_t s_key (const rp_store_job_t *job)
{
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_bytes (&values, job->key.data, job->key.size);
    rp_postgres_add_bytes (&values, job->service.data, job->service.size);
    rp_postgres_add_bytes (&values, job->principal.data, job->principal.size);
    return values;
}

static bool s_send_put_job (rp_postgres_t *postgres, rp_postgres_item_t *item, const char *name)
{
    const rp_store_job_t *job = item->work.op->job;
    rp_columns_body_t body;
    if (!rp_columns_join (&body, item->work.frames, item->work.count))
        return s_no_memory (postgres);
    rp_postgres_values_t values = s_one (item->id);
    rp_postgres_add_bytes (&values, job->service.data, job->service.size);
    rp_postgres_add_bytes (&values, job->principal.data, job->principal.size);
    rp_postgres_add_number (&values, job->accepted);
    rp_postgres_add_number (&values, job->not_before);
    rp_postgres_add_number (&values, job->deadline);
    rp_postgres_add_number (&values, job->attempts);
    rp_postgres_add_number (&values, job->attempt_timeout_ms);
    rp_postgres_add_number (&values, job->backoff_ms);
    rp_postgres_add_number (&values, (int64_t) job->keep_ms);
    rp_postgres_add_number (&values, job->flags);
    rp_postgres_add_number (&values, (int64_t) job->parent);
    s_span (&values, job->key.data, job->key.size);
    s_span (&values, job->digest, job->key.size > 0 ? RP_STORE_DIGEST : 0);
    s_span (&values, job->headers.data, job->headers.size);
    s_body (&values, &body);
    bool sent = s_send (postgres, item, name, &values);
    free (body.joined);
    return sent;
}

static bool s_send_put_open (rp_postgres_t *postgres, rp_postgres_item_t *item, const char *name)
{
    const rp_store_op_t *op = item->work.op;
    const rp_store_job_t *job = op->job;
    rp_postgres_values_t values = s_one (item->id);
    rp_postgres_add_bytes (&values, job->service.data, job->service.size);
    rp_postgres_add_number (&values, op->due > 0                       ? op->due
                                     : job->not_before > job->accepted ? job->not_before
                                                                       : job->accepted);
    rp_postgres_add_number (&values, op->attempt);
    if (op->attempt > 0)
        rp_postgres_add_number (&values, op->at);
    else
        rp_postgres_add_null (&values);
    s_worker (&values, op->attempt > 0 ? op->worker : NULL);
    if (job->deadline != RP_STORE_NEVER)
        rp_postgres_add_number (&values, job->deadline);
    else
        rp_postgres_add_null (&values);
    rp_postgres_add_number (&values, item->broker);
    return s_send (postgres, item, name, &values);
}

static bool s_send_put (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_job_t *job = item->work.op->job;
    if (job->key.size == 0)
        return s_send_put_job (postgres, item, "PUT_JOB")
               && s_send_put_open (postgres, item, "PUT_OPEN");
    rp_postgres_values_t values = s_key (job);
    rp_postgres_add_number (&values, (int64_t) item->id);
    return s_send (postgres, item, "PUT_KEY", &values)
           && s_send_put_job (postgres, item, "PUT_JOB_WITH_KEY")
           && s_send_put_open (postgres, item, "PUT_OPEN_WITH_KEY")
           && s_send (postgres, item, "KNOWN", &values);
}

static bool s_read_put (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    rp_stored_t *result = item->result;
    const rp_store_job_t *job = item->work.op->job;
    result->id = item->id;
    if (job->key.size == 0 || strcmp (postgres->pq->PQcmdTuples (answers[0]), "1") == 0)
        return true;
    if (!s_read_found (postgres, item, answers[3]))
        return false;
    if (result->outcome == RP_STORED_ABSENT) {
        snprintf (postgres->trouble, sizeof postgres->trouble,
          "the store has an idempotency key without its job; see what `riposte store check` says");
        return false;
    }
    const rp_store_row_t *row = &result->rows->jobs[0];
    result->id = row->id;
    if (memcmp (row->job.digest, job->digest, RP_STORE_DIGEST) == 0) {
        result->outcome = RP_STORED_KNOWN;
        return true;
    }
    result->outcome = RP_STORED_MISMATCH;
    rp_rows_destroy (&result->rows);
    return true;
}

static bool s_send_key (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    rp_postgres_values_t values = s_key (item->work.op->job);
    return s_send (postgres, item, "KEY", &values);
}

static bool s_read_key (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (s_count (postgres, answers[0]) == 0) {
        item->result->outcome = RP_STORED_ABSENT;
        return true;
    }
    rp_store_span_t digest = rp_postgres_bytes (postgres, answers[0], 0, 1);
    bool same = digest.size == RP_STORE_DIGEST
                && memcmp (digest.data, item->work.op->job->digest, RP_STORE_DIGEST) == 0;
    item->result->id = (uint64_t) rp_postgres_number (postgres, answers[0], 0, 0);
    item->result->outcome = same ? RP_STORED_KNOWN : RP_STORED_MISMATCH;
    return true;
}

static bool s_send_attempt (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    rp_postgres_values_t values = s_two (op->id, op->attempt);
    rp_postgres_add_number (&values, op->at);
    s_worker (&values, op->worker);
    return s_send (postgres, item, "ATTEMPT", &values);
}

static bool s_send_park (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    rp_postgres_values_t values = s_one (op->id);
    rp_postgres_add_number (&values, op->due);
    rp_postgres_add_number (&values, op->attempt);
    if (op->unbegun)
        return s_send (postgres, item, "PARK_UNBEGUN", &values);
    rp_postgres_add_number (&values, op->at);
    rp_postgres_add_number (&values, op->status);
    s_worker (&values, op->worker);
    rp_postgres_add_bytes (&values, op->text, op->text_size);
    return s_send (postgres, item, "PARK", &values);
}

static bool s_send_final (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    rp_columns_body_t body;
    if (!rp_columns_join (&body, item->work.frames, item->work.count))
        return s_no_memory (postgres);
    rp_postgres_values_t values = s_one (op->id);
    rp_postgres_add_number (&values, op->until);
    rp_postgres_add_number (&values, op->at);
    rp_postgres_add_number (&values, op->status);
    rp_postgres_add_number (&values, op->code);
    rp_postgres_add_number (&values, op->attempt);
    rp_postgres_add_number (&values, op->dead);
    s_worker (&values, op->worker);
    s_span (&values, op->text, op->text_size);
    s_span (&values, op->headers, op->headers_size);
    s_body (&values, &body);
    bool sent = s_send (postgres, item, op->other ? "FINAL_OF_OTHER" : "FINAL", &values);
    free (body.joined);
    return sent;
}

/*  Of ATTEMPT, PARK, FINAL.  */
static bool s_read_change (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    static const rp_stored_outcome_t outcomes[] = {
      RP_STORED_SAFE, RP_STORED_ALREADY, RP_STORED_ABSENT};
    int64_t came = rp_postgres_number (postgres, answers[0], 0, 0);
    item->result->outcome = outcomes[came >= 0 && came < 2 ? came : 2];
    // Only another broker can have ended it.
    item->result->noted = came != 0 && !(item->kind == RP_STORE_FINAL && item->work.op->other);
    return true;
}

static bool s_send_retry (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    rp_postgres_values_t both = s_two (op->id, item->id);
    rp_postgres_values_t job = s_two (op->id, item->id);
    rp_postgres_add_number (&job, op->at);
    rp_postgres_add_number (&job, op->due > op->at ? op->due : 0);
    rp_postgres_add_number (&job, op->attempt);
    rp_postgres_values_t child = s_one (item->id);
    rp_postgres_values_t open = s_two (item->id, (uint64_t) item->broker);
    return s_send (postgres, item, "RETRY_FINAL", &both)
           && s_send (postgres, item, "RETRY_JOB", &job)
           && s_send (postgres, item, "RETRY_OPEN", &open)
           && s_send (postgres, item, "RETRY_KEY", &both)
           && s_send (postgres, item, "FIND", &child);
}

static bool s_read_retry (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (!s_read_found (postgres, item, answers[4]))
        return false;
    if (item->result->outcome == RP_STORED_SAFE)
        item->result->id = item->id;
    return true;
}

/*  Of REMOVE, or of PURGE with an id.  */
static bool s_send_remove (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    rp_postgres_values_t values = s_two (item->work.op->id, item->kind == RP_STORE_PURGE);
    return s_send (postgres, item, "REMOVE", &values);
}

static bool s_read_remove (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (rp_postgres_number (postgres, answers[0], 0, 0) == 0)
        item->result->outcome = RP_STORED_ABSENT;
    else if (item->kind == RP_STORE_PURGE)
        item->result->count = 1;
    return true;
}

static uint64_t s_purge_limit (const rp_store_op_t *op)
{
    return op->rows > 0 && op->rows < S_PURGE_JOBS ? op->rows : S_PURGE_JOBS;
}

static bool s_send_purge (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    if (op->id)
        return s_send_remove (postgres, item);
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_bytes (&values, op->text, op->text_size);
    rp_postgres_add_number (&values, (int64_t) s_purge_limit (op));
    return s_send (postgres, item, "PURGE", &values);
}

static bool s_read_purge (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (item->work.op->id)
        return s_read_remove (postgres, item, answers);
    item->result->count = (uint64_t) rp_postgres_number (postgres, answers[0], 0, 0);
    item->result->more = item->result->count == s_purge_limit (item->work.op);
    return true;
}

static bool s_send_find (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    static const char *const statements[] = {[RP_STORE_LEAVE_NOTHING] = "FIND",
      [RP_STORE_LEAVE_BODY] = "FIND_FINAL",
      [RP_STORE_LEAVE_FRAMES] = "FIND_STATE"};
    rp_postgres_values_t values = s_one (item->work.op->id);
    return s_send (postgres, item, statements[item->work.op->leaves], &values)
           && s_send (postgres, item, "FIND_ATTEMPTS", &values);
}

static bool s_read_find (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (!s_read_found (postgres, item, answers[0]))
        return false;
    if (item->result->outcome != RP_STORED_SAFE)
        return true;
    rp_store_rows_t *rows = item->result->rows;
    rp_columns_attempts_t attempts = {.list = NULL};
    s_columns_t columns = s_columns (postgres, answers[1]);
    for (; columns.row < s_count (postgres, answers[1]); columns.row++)
        if (!rp_columns_read_attempt (rows, &rows->jobs[0], &columns.columns, &attempts))
            return s_no_memory (postgres);
    rp_columns_set_attempts (&rows->jobs[0], &attempts);
    if (rows->jobs[0].state == RP_JOB_WAITING || rows->jobs[0].state == RP_JOB_RUNNING) {
        int64_t holder = rp_postgres_number (postgres, answers[0], 0, RP_POSTGRES_HOLDER_COLUMN);
        rows->jobs[0].elsewhere = holder != item->broker ? (uint64_t) holder : 0;
    }
    return true;
}

/*  ---- Lists ------------------------------------------------------------------------------------ */

static size_t s_rows (const rp_store_op_t *op)
{
    return op->rows > 0 && op->rows < RP_STORE_ROWS_MAX ? op->rows : RP_STORE_ROWS_MAX;
}

static int64_t s_load_bytes (const rp_store_op_t *op)
{
    return op->bytes > 0 ? op->bytes : INT64_MAX / 2;
}

static bool s_send_load (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    const rp_store_op_t *op = item->work.op;
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_bytes (&values, op->text, op->text_size);
    rp_postgres_values_t due = values;
    rp_postgres_add_number (&values, op->after);
    rp_postgres_add_number (&values, (int64_t) op->id);
    rp_postgres_add_number (&values, op->before);
    rp_postgres_add_number (&values, (int64_t) s_rows (op) + 1);
    rp_postgres_add_number (&values, s_load_bytes (op));
    rp_postgres_add_number (&values, item->broker);
    rp_postgres_add_number (&due, op->before);
    rp_postgres_add_number (&due, item->broker);
    return s_send (postgres, item, "LOAD", &values) && s_send (postgres, item, "LOAD_DUE", &due);
}

/*  Takes the rows that fit, of which there is one at least. A row weighs what LOAD says.  */
static bool s_read_load (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    rp_stored_t *result = item->result;
    const rp_store_op_t *op = item->work.op;
    int64_t bytes = s_load_bytes (op), used = 0;
    if (!s_begin_rows (postgres, item))
        return false;
    s_columns_t columns = s_columns (postgres, answers[0]);
    for (; columns.row < s_count (postgres, answers[0]); columns.row++) {
        int64_t weight = s_number (&columns.columns, RP_COLUMN_BODY_BYTES)
                         + (int64_t) s_bytes (&columns.columns, RP_COLUMN_HEADERS).size;
        weight = weight < 1 ? 1 : weight > bytes ? bytes : weight;
        if (result->rows->count == s_rows (op) || used + weight > bytes) {
            result->more = true;
            result->due = s_number (&columns.columns, RP_COLUMN_DUE);
            return true;
        }
        used += weight;
        if (!rp_columns_read_job (result->rows, &columns.columns, true))
            return s_no_memory (postgres);
    }
    columns = s_columns (postgres, answers[1]);
    result->due = s_is_null (&columns.columns, 0) ? RP_STORE_NEVER : s_number (&columns.columns, 0);
    return true;
}

static bool s_send_list (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    static const struct {
        const char *page;
        const char *behind;
    } by_state[] = {
      [RP_JOB_ANY] = {"LIST", "BEHIND_JOBS"},
      [RP_JOB_WAITING] = {"LIST_WAITING", "BEHIND_OPEN"},
      [RP_JOB_RUNNING] = {"LIST_RUNNING", "BEHIND_OPEN"},
      [RP_JOB_DONE] = {"LIST_DONE", "BEHIND_FINALS"},
      [RP_JOB_DEAD] = {"LIST_DEAD", "BEHIND_DEAD"},
      [RP_JOB_OVERDUE] = {"LIST_OVERDUE", NULL},
    };
    const rp_store_op_t *op = item->work.op;
    RP_CHECK (op->state <= RP_JOB_OVERDUE);
    bool by_time = op->state == RP_JOB_OVERDUE;
    rp_postgres_values_t values = {.count = 0};
    rp_postgres_add_number (&values, by_time ? op->before : (int64_t) op->id);
    rp_postgres_values_t behind = values;
    rp_postgres_add_bytes (&values, op->text, op->text_size);
    rp_postgres_add_number (&values, (int64_t) s_rows (op) + 1);
    bool ran = op->own && op->state == RP_JOB_RUNNING;
    if (by_time || ran)
        rp_postgres_add_number (&values, item->broker);
    if (ran)
        rp_postgres_add_number (&behind, item->broker);
    return s_send (postgres, item, ran ? "LIST_OWN_RUNNING" : by_state[op->state].page, &values)
           && (by_time
               || s_send (
                 postgres, item, ran ? "BEHIND_RAN" : by_state[op->state].behind, &behind));
}

static bool s_read_list (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    rp_stored_t *result = item->result;
    if (!s_begin_rows (postgres, item))
        return false;
    s_columns_t columns = s_columns (postgres, answers[0]);
    for (; columns.row < s_count (postgres, answers[0]); columns.row++) {
        if (result->rows->count == s_rows (item->work.op)) {
            result->more = true;
            return true;
        }
        result->id = (uint64_t) s_number (&columns.columns, RP_COLUMN_ID);
        if (!rp_columns_read_job (result->rows, &columns.columns, false))
            return s_no_memory (postgres);
    }
    // There may be more behind those that were looked at.
    result->more = item->places > 1 && s_count (postgres, answers[1]) > 1;
    if (result->more)
        result->id = (uint64_t) rp_postgres_number (postgres, answers[1], 0, 0);
    return true;
}

static bool s_send_services (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    rp_postgres_values_t self = s_one ((uint64_t) item->broker);
    rp_postgres_values_t told = s_two ((uint64_t) item->broker, item->work.op->news);
    postgres->silent_us = RP_POSTGRES_SILENT_LONG_US;
    return s_send (postgres, item, "LOST", &told) && s_send (postgres, item, "LAST_FLAGS", &told)
           && s_send (postgres, item, "SERVICES", &told) && s_send (postgres, item, "ENDED", &self)
           && s_send (postgres, item, "TOLD", &self);
}

static bool s_read_ended (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, const PGresult *answer)
{
    rp_store_rows_t *rows = item->result->rows;
    s_columns_t columns = s_columns (postgres, answer);
    for (; columns.row < s_count (postgres, answer); columns.row++) {
        rp_store_ended_t *ended = rp_rows_add_ended (rows);
        rp_store_span_t service = s_bytes (&columns.columns, 1);
        if (!ended || !rp_rows_copy (rows, service.data, service.size, &ended->service))
            return s_no_memory (postgres);
        ended->id = (uint64_t) s_number (&columns.columns, 0);
    }
    return true;
}

static bool s_read_services (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    rp_stored_t *result = item->result;
    const PGresult *flags = answers[1];
    const PGresult *services = answers[2];
    if (!s_begin_rows (postgres, item))
        return false;
    result->adopted = true; // a broker begins without jobs of its own
    if (s_count (postgres, flags) > 0)
        result->flags = (uint32_t) rp_postgres_number (postgres, flags, 0, 0);
    s_columns_t columns = s_columns (postgres, services);
    for (; columns.row < s_count (postgres, services); columns.row++)
        if (!rp_columns_read_service (result->rows, &columns.columns))
            return s_no_memory (postgres);
    return s_read_ended (postgres, item, answers[3]);
}

static bool s_send_brokers (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    rp_postgres_values_t none = {.count = 0};
    return s_send (postgres, item, "BROKERS", &none);
}

/*  The last word of `process` is the host.  */
static rp_store_span_t s_host (rp_store_span_t process)
{
    const char *text = process.data;
    size_t at = process.size;
    while (at > 0 && text[at - 1] != ' ')
        at--;
    return (rp_store_span_t){text + at, process.size - at};
}

static bool s_read_brokers (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    if (!s_begin_rows (postgres, item))
        return false;
    rp_store_rows_t *rows = item->result->rows;
    s_columns_t columns = s_columns (postgres, answers[0]);
    const rp_columns_t *row = &columns.columns;
    for (; columns.row < s_count (postgres, answers[0]); columns.row++) {
        rp_store_broker_t *broker = rp_rows_add_broker (rows);
        rp_store_span_t endpoints = s_bytes (row, 3);
        rp_store_span_t host = s_host (s_bytes (row, 4));
        if (!broker || !rp_rows_copy (rows, endpoints.data, endpoints.size, &broker->endpoints)
            || !rp_rows_copy (rows, host.data, host.size, &broker->host))
            return s_no_memory (postgres);
        broker->id = (uint64_t) s_number (row, 0);
        broker->epoch = (uint64_t) s_number (row, 1);
        broker->holder = (uint64_t) s_number (row, 2);
        broker->joined = s_number (row, 5);
        broker->lease_until = s_number (row, 6);
        broker->adopted = s_number (row, 7);
        broker->alive = s_number (row, 8) != 0;
        for (int half = 9; half <= 10; half++) {
            uint64_t jobs = (uint64_t) s_number (row, half);
            broker->more = broker->more || jobs > RP_POSTGRES_COUNTED;
            broker->jobs += jobs < RP_POSTGRES_COUNTED ? jobs : RP_POSTGRES_COUNTED;
        }
        broker->self = broker->id == (uint64_t) item->broker;
    }
    return true;
}

static bool s_send_clean (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    rp_postgres_values_t values = s_two ((uint64_t) item->now, RP_POSTGRES_CLEAN_JOBS);
    return s_send (postgres, item, "CLEAN", &values);
}

static bool s_read_clean (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    item->result->count = (uint64_t) rp_postgres_number (postgres, answers[0], 0, 0);
    return true;
}

/*  ---- All of them ----------------------------------------------------------------------------- */

static const struct {
    bool (*send) (rp_postgres_t *postgres, rp_postgres_item_t *item);
    bool (*read) (
      rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers);
} s_kinds[] = {
  [RP_STORE_PUT] = {s_send_put, s_read_put},
  [RP_STORE_ATTEMPT] = {s_send_attempt, s_read_change},
  [RP_STORE_PARK] = {s_send_park, s_read_change},
  [RP_STORE_FINAL] = {s_send_final, s_read_change},
  [RP_STORE_RETRY] = {s_send_retry, s_read_retry},
  [RP_STORE_REMOVE] = {s_send_remove, s_read_remove},
  [RP_STORE_PURGE] = {s_send_purge, s_read_purge},
  [RP_STORE_LOAD] = {s_send_load, s_read_load},
  [RP_STORE_FIND] = {s_send_find, s_read_find},
  [RP_STORE_LIST] = {s_send_list, s_read_list},
  [RP_STORE_SERVICES] = {s_send_services, s_read_services},
  [RP_STORE_KEY] = {s_send_key, s_read_key},
  [RP_STORE_BROKERS] = {s_send_brokers, s_read_brokers},
  [RP_POSTGRES_CLEAN] = {s_send_clean, s_read_clean},
};

bool rp_postgres_item_writes (const rp_postgres_item_t *item)
{
    static const bool writes[] = {
#define S_WRITES(name, writes, text) writes,
      RP_STORE_MAP (S_WRITES)
#undef S_WRITES
        true, // CLEAN
    };
    return writes[item->kind] || item->kind == RP_STORE_SERVICES;
}

bool rp_postgres_item_send (rp_postgres_t *postgres, rp_postgres_item_t *item)
{
    item->places = 0;
    return s_kinds[item->kind].send (postgres, item);
}

bool rp_postgres_item_read (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers)
{
    return s_kinds[item->kind].read (postgres, item, answers);
}
