/*  The backend for a file of SQLite.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/adr/0017-jobs-in-sqlite.md.
*/

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/backend.h"
#include "broker/store/sqlite_copy.h"
#include "broker/store/sqlite_file.h"
#include "broker/store/sqlite_rows.h"
#include "broker/store/sqlite_sql.h"
#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/io/clock.h"

/*  Pages in the write-ahead log from which it is moved into the file: 4 MiB. A longer log makes a start
    after a crash longer, a shorter one means more syncs.  */
#define S_LOG_PAGES 1000
/*  Jobs, and microseconds, of one batch of cleaning: bounds the wait of others.  */
#define S_CLEAN_JOBS 500
#define S_CLEAN_US 10000
/*  Dead jobs that one PURGE removes.  */
#define S_PURGE_JOBS 500
/*  Jobs that one LIST looks at. It looks at open ones that do not run without reading them.  */
#define S_LIST_LOOKS 4000u
/*  Free pages are given back when they are more than a quarter of the file, and more than this number;
    in steps, while nothing waits.  */
#define S_FREE_PAGES 4096
#define S_FREE_STEP 256
/*  How often the store looks for a request for a copy of the file, µs.  */
#define S_COPY_US 500000

typedef enum {
#define S_ENUM(name, sql) S_##name,
    RP_SQLITE_MAP (S_ENUM)
#undef S_ENUM
      S_COUNT
} s_statement_t;

static const char *const s_sql[] = {
#define S_SQL(name, sql) sql,
  RP_SQLITE_MAP (S_SQL)
#undef S_SQL
};

typedef struct {
    rp_backend_t backend;
    sqlite3 *db;
    sqlite3_stmt *statements[S_COUNT];
    rp_store_secret_t secret;
    uint64_t last;  /* the last id that was given */
    uint64_t begun; /* the same when the transaction began */
    size_t held;    /* bytes of rows that the transaction has read */
    bool listed; /* jobs whose broker ended before this one are listed; in a transaction: listing */
    bool listing;
    bool took_in; /* the log that was left by the broker before this one */
    int log_pages;
    bool kept; /* the file cannot be made smaller */
    const char *vfs;
    rp_sqlite_copy_t *copy; /* that is being made; NULL: none */
    int64_t copy_at;        /* when to look whether one is wanted */
    bool broken;
    char trouble[RP_STORE_TEXT];
} s_sqlite_t;

static s_sqlite_t *s_of (rp_backend_t *backend)
{
    return RP_CONTAINER (backend, s_sqlite_t, backend);
}

/*  ---- Statements ------------------------------------------------------------------------------ */

/*  Makes of SQLite's code what the store does about it; keeps the words.  */
static rp_backend_result_t s_result (s_sqlite_t *self, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
        return RP_BACKEND_OK;
    rp_sqlite_file_explain (self->db, rc, self->trouble);
    if (rp_sqlite_file_is_full (self->db, rc))
        return RP_BACKEND_FULL;
    self->broken = true;
    return RP_BACKEND_BROKEN;
}

static rp_backend_result_t s_no_memory (s_sqlite_t *self)
{
    snprintf (self->trouble, sizeof self->trouble, "out of memory");
    self->broken = true;
    return RP_BACKEND_BROKEN;
}

/*  Returns a statement to bind. Binding fails for a wrong index only, or for sizes over SQLite's limit
    of a billion bytes, which stepping then reports as a constraint.  */
static sqlite3_stmt *s_use (s_sqlite_t *self, s_statement_t which)
{
    return self->statements[which];
}

static void s_number (sqlite3_stmt *statement, int index, int64_t value)
{
    (void) sqlite3_bind_int64 (statement, index, value);
}

static void s_text (sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    (void) sqlite3_bind_text64 (
      statement, index, data ? data : "", size, SQLITE_STATIC, SQLITE_UTF8);
}

/*  NULL: no value.  */
static void s_optional (sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        s_text (statement, index, text, strlen (text));
}

static void s_blob (sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    (void) sqlite3_bind_blob64 (statement, index, data ? data : "", size, SQLITE_STATIC);
}

/*  Steps once, and makes the statement ready for its next use.  */
static int s_step (sqlite3_stmt *statement)
{
    int rc = sqlite3_step (statement);
    int reset = sqlite3_reset (statement);
    (void) sqlite3_clear_bindings (statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? rc : reset;
}

static rp_backend_result_t s_do (s_sqlite_t *self, sqlite3_stmt *statement)
{
    return s_result (self, s_step (statement));
}

/*  Ends the use of a statement of which rows were read. rc: of the last step.  */
static rp_backend_result_t s_end (s_sqlite_t *self, sqlite3_stmt *statement, int rc)
{
    rp_backend_result_t result = s_result (self, rc);
    (void) sqlite3_reset (statement);
    (void) sqlite3_clear_bindings (statement);
    return result;
}

/*  Runs a statement that has the job's id as its first parameter.  */
static rp_backend_result_t s_do_for (s_sqlite_t *self, s_statement_t which, uint64_t id)
{
    sqlite3_stmt *statement = s_use (self, which);
    s_number (statement, 1, (int64_t) id);
    return s_do (self, statement);
}

/*  The same, of which the first row's first number is asked; *found: there is one.  */
static rp_backend_result_t s_ask (
  s_sqlite_t *self, sqlite3_stmt *statement, bool *found, int64_t *value)
{
    int rc = sqlite3_step (statement);
    *found = rc == SQLITE_ROW && sqlite3_column_type (statement, 0) != SQLITE_NULL;
    *value = *found ? sqlite3_column_int64 (statement, 0) : 0;
    return s_end (self, statement, rc);
}

/*  ---- Bodies ---------------------------------------------------------------------------------- */

/*  Binds sizes and bytes to two parameters, if there are any.  */
static void s_body_bind (const rp_columns_body_t *self, sqlite3_stmt *statement, int index)
{
    if (self->joined)
        s_blob (statement, index, self->joined, self->sizes);
    if (self->data)
        s_blob (statement, index + 1, self->data, self->size);
}

/*  ---- Rows ------------------------------------------------------------------------------------ */

static rp_backend_result_t s_begin_rows (s_sqlite_t *self, rp_stored_t *result)
{
    result->rows = rp_rows_new ();
    return result->rows ? RP_BACKEND_OK : s_no_memory (self);
}

/*  Adds the job to the rows of a result, with its content; ABSENT if there is none.  */
static rp_backend_result_t s_add_found (
  s_sqlite_t *self, uint64_t id, rp_store_leave_t leaves, rp_stored_t *result)
{
    static const s_statement_t statements[] = {[RP_STORE_LEAVE_NOTHING] = S_FIND,
      [RP_STORE_LEAVE_BODY] = S_FIND_FINAL,
      [RP_STORE_LEAVE_FRAMES] = S_FIND_STATE};
    sqlite3_stmt *statement = s_use (self, statements[leaves]);
    s_number (statement, 1, (int64_t) id);
    int rc = sqlite3_step (statement);
    if (rc == SQLITE_DONE)
        result->outcome = RP_STORED_ABSENT;
    if (rc == SQLITE_ROW && !rp_sqlite_rows_read (result->rows, statement, true))
        rc = SQLITE_NOMEM;
    return rc == SQLITE_NOMEM ? (s_end (self, statement, SQLITE_OK), s_no_memory (self))
                              : s_end (self, statement, rc);
}

/*  ---- Operations ------------------------------------------------------------------------------ */

/*  Looks whether the key of a new job is known, and says so in the result.  */
static rp_backend_result_t s_look_key (
  s_sqlite_t *self, const rp_store_job_t *job, rp_stored_t *result)
{
    bool found;
    int64_t id;
    sqlite3_stmt *statement = s_use (self, S_KEY);
    s_blob (statement, 1, job->key.data, job->key.size);
    s_text (statement, 2, job->service.data, job->service.size);
    s_text (statement, 3, job->principal.data, job->principal.size);
    rp_backend_result_t rc = s_ask (self, statement, &found, &id);
    if (rc != RP_BACKEND_OK || !found)
        return rc;
    result->id = (uint64_t) id;
    if ((rc = s_begin_rows (self, result)) == RP_BACKEND_OK)
        rc = s_add_found (self, result->id, RP_STORE_LEAVE_FRAMES, result);
    if (rc != RP_BACKEND_OK)
        return rc;
    if (result->rows->count == 1
        && memcmp (result->rows->jobs[0].job.digest, job->digest, RP_STORE_DIGEST) == 0) {
        result->outcome = RP_STORED_KNOWN;
        return rc;
    }
    result->outcome = RP_STORED_MISMATCH;
    rp_rows_destroy (&result->rows);
    return rc;
}

static rp_backend_result_t s_put_job (
  s_sqlite_t *self, const rp_store_work_t *work, const rp_columns_body_t *body, uint64_t id)
{
    const rp_store_job_t *job = work->op->job;
    sqlite3_stmt *statement = s_use (self, S_PUT_JOB);
    s_number (statement, 1, (int64_t) id);
    s_text (statement, 2, job->service.data, job->service.size);
    s_text (statement, 3, job->principal.data, job->principal.size);
    s_number (statement, 4, job->accepted);
    s_number (statement, 5, job->not_before);
    s_number (statement, 6, job->deadline);
    s_number (statement, 7, job->attempts);
    s_number (statement, 8, job->attempt_timeout_ms);
    s_number (statement, 9, job->backoff_ms);
    s_number (statement, 10, (int64_t) job->keep_ms);
    s_number (statement, 11, job->flags);
    s_number (statement, 12, (int64_t) job->parent);
    if (job->key.size > 0) {
        s_blob (statement, 13, job->key.data, job->key.size);
        s_blob (statement, 14, job->digest, RP_STORE_DIGEST);
    }
    if (job->headers.size > 0)
        s_blob (statement, 15, job->headers.data, job->headers.size);
    s_body_bind (body, statement, 16);
    return s_do (self, statement);
}

static rp_backend_result_t s_put_open (s_sqlite_t *self, const rp_store_op_t *op, uint64_t id)
{
    const rp_store_job_t *job = op->job;
    sqlite3_stmt *statement = s_use (self, S_PUT_OPEN);
    s_number (statement, 1, (int64_t) id);
    s_text (statement, 2, job->service.data, job->service.size);
    s_number (statement, 3,
      op->due > 0                       ? op->due
      : job->not_before > job->accepted ? job->not_before
                                        : job->accepted);
    s_number (statement, 4, op->attempt);
    if (op->attempt > 0) {
        s_number (statement, 5, op->at);
        s_optional (statement, 6, op->worker);
    }
    if (job->deadline != RP_STORE_NEVER)
        s_number (statement, 7, job->deadline);
    return s_do (self, statement);
}

static rp_backend_result_t s_run_put (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    const rp_store_job_t *job = op->job;
    rp_backend_result_t rc;
    if (job->key.size > 0) {
        rc = s_look_key (self, job, result);
        if (rc != RP_BACKEND_OK || result->outcome != RP_STORED_SAFE)
            return rc;
    }
    rp_columns_body_t body;
    if (!rp_columns_join (&body, work->frames, work->count))
        return s_no_memory (self);
    uint64_t id = ++self->last;
    rc = s_put_job (self, work, &body, id);
    free (body.joined);
    if (rc == RP_BACKEND_OK)
        rc = s_put_open (self, op, id);
    if (rc == RP_BACKEND_OK && job->key.size > 0) {
        sqlite3_stmt *statement = s_use (self, S_PUT_KEY);
        s_blob (statement, 1, job->key.data, job->key.size);
        s_text (statement, 2, job->service.data, job->service.size);
        s_text (statement, 3, job->principal.data, job->principal.size);
        s_number (statement, 4, (int64_t) id);
        rc = s_do (self, statement);
    }
    result->id = id;
    return rc;
}

static rp_backend_result_t s_run_key (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    rp_backend_result_t rc = s_look_key (self, work->op->job, result);
    rp_rows_destroy (&result->rows);
    if (result->outcome == RP_STORED_SAFE)
        result->outcome = RP_STORED_ABSENT;
    return rc;
}

/*  The job is not open: says whether it has ended.  */
static rp_backend_result_t s_not_open (s_sqlite_t *self, uint64_t id, rp_stored_t *result)
{
    bool found;
    int64_t dead;
    sqlite3_stmt *statement = s_use (self, S_ENDED);
    s_number (statement, 1, (int64_t) id);
    rp_backend_result_t rc = s_ask (self, statement, &found, &dead);
    result->outcome = found ? RP_STORED_ALREADY : RP_STORED_ABSENT;
    return rc;
}

static rp_backend_result_t s_run_attempt (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    sqlite3_stmt *statement = s_use (self, S_ATTEMPT);
    s_number (statement, 1, (int64_t) op->id);
    s_number (statement, 2, op->attempt);
    s_number (statement, 3, op->at);
    s_optional (statement, 4, op->worker);
    rp_backend_result_t rc = s_do (self, statement);
    if (rc == RP_BACKEND_OK && sqlite3_changes (self->db) == 0)
        rc = s_not_open (self, op->id, result);
    return rc;
}

/*  Steps to the open job. *open: there is one, and the statement is at it until s_end.  */
static rp_backend_result_t s_look_open (
  s_sqlite_t *self, uint64_t id, sqlite3_stmt **statement, bool *open)
{
    *statement = s_use (self, S_OPEN);
    s_number (*statement, 1, (int64_t) id);
    int rc = sqlite3_step (*statement);
    *open = rc == SQLITE_ROW;
    return *open ? RP_BACKEND_OK : s_end (self, *statement, rc);
}

/*  Binds the attempt that runs: when it started, and its worker.  */
static void s_bind_attempt (
  sqlite3_stmt *statement, int started, int worker, sqlite3_stmt *open, const char *name)
{
    (void) sqlite3_bind_value (statement, started, sqlite3_column_value (open, 1));
    if (name)
        s_optional (statement, worker, name);
    else
        (void) sqlite3_bind_value (statement, worker, sqlite3_column_value (open, 2));
}

static rp_backend_result_t s_run_park (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    sqlite3_stmt *open;
    bool is_open;
    rp_backend_result_t rc = s_look_open (self, op->id, &open, &is_open);
    if (rc != RP_BACKEND_OK)
        return rc;
    if (!is_open)
        return s_not_open (self, op->id, result);
    if (!op->unbegun && sqlite3_column_type (open, 1) != SQLITE_NULL) {
        sqlite3_stmt *statement = s_use (self, S_PUT_ATTEMPT);
        s_number (statement, 1, (int64_t) op->id);
        s_number (statement, 2, sqlite3_column_int64 (open, 0));
        s_bind_attempt (statement, 3, 6, open, op->worker);
        s_number (statement, 4, op->at);
        s_number (statement, 5, op->status);
        s_text (statement, 7, op->text, op->text_size);
        rc = s_do (self, statement);
    }
    (void) s_end (self, open, SQLITE_OK);
    if (rc != RP_BACKEND_OK)
        return rc;
    sqlite3_stmt *statement = s_use (self, S_PARK);
    s_number (statement, 1, (int64_t) op->id);
    s_number (statement, 2, op->due);
    s_number (statement, 3, op->attempt);
    return s_do (self, statement);
}

static rp_backend_result_t s_run_final (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    sqlite3_stmt *open;
    bool is_open;
    rp_backend_result_t rc = s_look_open (self, op->id, &open, &is_open);
    if (rc != RP_BACKEND_OK)
        return rc;
    if (!is_open)
        return s_not_open (self, op->id, result);
    rp_columns_body_t body;
    if (!rp_columns_join (&body, work->frames, work->count)) {
        (void) s_end (self, open, SQLITE_OK);
        return s_no_memory (self);
    }
    sqlite3_stmt *statement = s_use (self, S_PUT_FINAL);
    s_number (statement, 1, (int64_t) op->id);
    s_number (statement, 2, op->until);
    s_number (statement, 3, op->at);
    s_number (statement, 4, op->status);
    s_number (statement, 5, op->code);
    s_number (statement, 6, op->attempt);
    s_number (statement, 7, op->dead);
    s_bind_attempt (statement, 8, 9, open, op->worker);
    if (op->text_size > 0)
        s_text (statement, 10, op->text, op->text_size);
    if (op->headers_size > 0)
        s_blob (statement, 11, op->headers, op->headers_size);
    s_body_bind (&body, statement, 12);
    rc = s_do (self, statement);
    (void) s_end (self, open, SQLITE_OK);
    free (body.joined);
    return rc == RP_BACKEND_OK ? s_do_for (self, S_CLOSE, op->id) : rc;
}

/*  *state: DONE, DEAD, or ANY for a job without a final.  */
static rp_backend_result_t s_look_end (s_sqlite_t *self, uint64_t id, rp_job_state_t *state)
{
    bool found;
    int64_t value;
    sqlite3_stmt *statement = s_use (self, S_ENDED);
    s_number (statement, 1, (int64_t) id);
    rp_backend_result_t rc = s_ask (self, statement, &found, &value);
    *state = !found ? RP_JOB_ANY : value ? RP_JOB_DEAD : RP_JOB_DONE;
    return rc;
}

static rp_backend_result_t s_run_retry (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    rp_job_state_t state;
    rp_backend_result_t rc = s_look_end (self, op->id, &state);
    if (rc != RP_BACKEND_OK || state != RP_JOB_DEAD) {
        result->outcome = RP_STORED_ABSENT;
        return rc;
    }
    uint64_t id = ++self->last;
    sqlite3_stmt *statement = s_use (self, S_COPY_JOB);
    s_number (statement, 1, (int64_t) op->id);
    s_number (statement, 2, (int64_t) id);
    s_number (statement, 3, op->at);
    s_number (statement, 4, op->due > op->at ? op->due : 0);
    s_number (statement, 5, op->attempt);
    rc = s_do (self, statement);
    const s_statement_t moves[] = {S_MOVE_KEY, S_RETRIED};
    for (size_t move = 0; move < 2 && rc == RP_BACKEND_OK; move++) {
        statement = s_use (self, moves[move]);
        s_number (statement, 1, (int64_t) op->id);
        s_number (statement, 2, (int64_t) id);
        rc = s_do (self, statement);
    }
    result->id = id;
    if (rc == RP_BACKEND_OK)
        rc = s_do_for (self, S_COPY_OPEN, id);
    if (rc == RP_BACKEND_OK)
        rc = s_begin_rows (self, result);
    return rc == RP_BACKEND_OK ? s_add_found (self, id, RP_STORE_LEAVE_NOTHING, result) : rc;
}

/*  Removes a job that has ended, with everything about it.  */
static rp_backend_result_t s_remove (s_sqlite_t *self, uint64_t id)
{
    const s_statement_t steps[] = {S_REMOVE_KEY, S_REMOVE_ATTEMPTS, S_REMOVE_JOB, S_REMOVE_FINAL};
    rp_backend_result_t rc = RP_BACKEND_OK;
    for (size_t step = 0; step < sizeof steps / sizeof *steps && rc == RP_BACKEND_OK; step++)
        rc = s_do_for (self, steps[step], id);
    return rc;
}

static rp_backend_result_t s_run_remove (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    rp_job_state_t state;
    rp_backend_result_t rc = s_look_end (self, work->op->id, &state);
    if (rc != RP_BACKEND_OK || state != RP_JOB_DONE) {
        result->outcome = RP_STORED_ABSENT;
        return rc;
    }
    rc = s_remove (self, work->op->id);
    return rc == RP_BACKEND_OK ? s_do_for (self, S_LAST, self->last) : rc;
}

/*  Removes the jobs whose ids a bound statement gives, at most `limit`, until the time is over.
    *removed: how many. *more: some are left. Ids are never given again, so the last one is noted.  */
static rp_backend_result_t s_remove_some (
  s_sqlite_t *self, sqlite3_stmt *statement, size_t limit, uint64_t *removed, bool *more)
{
    uint64_t ids[S_CLEAN_JOBS];
    size_t count = 0;
    int rc = SQLITE_DONE;
    *removed = 0;
    RP_CHECK (limit <= S_CLEAN_JOBS);
    while (count < limit && (rc = sqlite3_step (statement)) == SQLITE_ROW)
        ids[count++] = (uint64_t) sqlite3_column_int64 (statement, 0);
    *more = count == limit;
    rp_backend_result_t result = s_end (self, statement, rc);
    int64_t end = rp_clock_us () + S_CLEAN_US;
    while (*removed < count && result == RP_BACKEND_OK) {
        if (*removed > 0 && rp_clock_us () > end) {
            *more = true;
            break;
        }
        result = s_remove (self, ids[*removed]);
        *removed += 1;
    }
    if (*removed > 0 && result == RP_BACKEND_OK)
        result = s_do_for (self, S_LAST, self->last);
    return result;
}

static rp_backend_result_t s_run_purge (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    if (op->id == 0) {
        size_t limit = op->rows > 0 && op->rows < S_PURGE_JOBS ? op->rows : S_PURGE_JOBS;
        sqlite3_stmt *statement = s_use (self, S_PURGE);
        s_text (statement, 1, op->text, op->text_size);
        s_number (statement, 2, (int64_t) limit);
        return s_remove_some (self, statement, limit, &result->count, &result->more);
    }
    rp_job_state_t state;
    rp_backend_result_t rc = s_look_end (self, op->id, &state);
    if (rc != RP_BACKEND_OK || state != RP_JOB_DEAD) {
        result->outcome = RP_STORED_ABSENT;
        return rc;
    }
    result->count = 1;
    rc = s_remove (self, op->id);
    return rc == RP_BACKEND_OK ? s_do_for (self, S_LAST, self->last) : rc;
}

static rp_backend_result_t s_run_find (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    rp_backend_result_t rc = s_begin_rows (self, result);
    if (rc == RP_BACKEND_OK)
        rc = s_add_found (self, work->op->id, (rp_store_leave_t) work->op->leaves, result);
    if (rc != RP_BACKEND_OK || result->outcome != RP_STORED_SAFE)
        return rc;
    sqlite3_stmt *statement = s_use (self, S_FIND_ATTEMPTS);
    s_number (statement, 1, (int64_t) work->op->id);
    int read = rp_sqlite_rows_read_attempts (result->rows, &result->rows->jobs[0], statement);
    if (read == SQLITE_NOMEM) {
        (void) s_end (self, statement, SQLITE_OK);
        return s_no_memory (self);
    }
    return s_end (self, statement, read);
}

/*  What a LOAD may still take.  */
typedef struct {
    size_t rows;
    uint64_t bytes;
    bool ended; /* a row was left; its due time is in the result */
} s_room_t;

static uint64_t s_weight (const rp_store_row_t *row)
{
    return row->body_bytes + row->job.headers.size;
}

/*  Adds rows while there is room.  */
static rp_backend_result_t s_load_some (
  s_sqlite_t *self, sqlite3_stmt *statement, s_room_t *room, rp_stored_t *result)
{
    int rc;
    while ((rc = sqlite3_step (statement)) == SQLITE_ROW) {
        bool first = result->rows->count == 0;
        uint64_t bytes = (uint64_t) sqlite3_column_int64 (statement, RP_COLUMN_BODY_BYTES);
        if (!first && (room->rows == 0 || bytes > room->bytes)) {
            room->ended = result->more = true;
            result->due = sqlite3_column_int64 (statement, RP_COLUMN_DUE);
            break;
        }
        rp_store_row_t *row = rp_sqlite_rows_read (result->rows, statement, true);
        if (!row) {
            (void) s_end (self, statement, SQLITE_OK);
            return s_no_memory (self);
        }
        uint64_t weight = s_weight (row);
        room->rows--;
        room->bytes -= weight < room->bytes ? weight : room->bytes;
    }
    return s_end (self, statement, rc);
}

static size_t s_rows (const rp_store_op_t *op)
{
    return op->rows > 0 && op->rows < RP_STORE_ROWS_MAX ? op->rows : RP_STORE_ROWS_MAX;
}

/*  First the rest of the rows with the same due time, then those that are due later, so that both are
    found by the index.  */
static rp_backend_result_t s_run_load (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    const rp_store_op_t *op = work->op;
    s_room_t room = {.rows = s_rows (op), .bytes = op->bytes > 0 ? op->bytes : UINT64_MAX};
    rp_backend_result_t rc = s_begin_rows (self, result);
    if (rc != RP_BACKEND_OK)
        return rc;
    sqlite3_stmt *statement;
    if (op->after <= op->before) {
        statement = s_use (self, S_LOAD_SAME);
        s_text (statement, 1, op->text, op->text_size);
        s_number (statement, 2, op->after);
        s_number (statement, 3, (int64_t) op->id);
        rc = s_load_some (self, statement, &room, result);
    }
    if (rc == RP_BACKEND_OK && !room.ended) {
        statement = s_use (self, S_LOAD);
        s_text (statement, 1, op->text, op->text_size);
        s_number (statement, 2, op->after);
        s_number (statement, 3, op->before);
        rc = s_load_some (self, statement, &room, result);
    }
    if (rc == RP_BACKEND_OK && !room.ended) {
        bool found;
        int64_t due;
        statement = s_use (self, S_NEXT_DUE);
        s_text (statement, 1, op->text, op->text_size);
        s_number (statement, 2, op->before);
        rc = s_ask (self, statement, &found, &due);
        result->due = found ? due : RP_STORE_NEVER;
    }
    return rc;
}

/*  True if a row is of the service and in the state that are asked for.  */
static bool s_is_listed (const rp_store_op_t *op, sqlite3_stmt *statement)
{
    bool open = sqlite3_column_type (statement, RP_COLUMN_DUE) != SQLITE_NULL;
    bool runs = sqlite3_column_type (statement, RP_COLUMN_OPEN_STARTED) != SQLITE_NULL;
    bool dead = sqlite3_column_int (statement, RP_COLUMN_DEAD) != 0;
    rp_job_state_t state =
      open ? (runs ? RP_JOB_RUNNING : RP_JOB_WAITING) : (dead ? RP_JOB_DEAD : RP_JOB_DONE);
    if (op->state != RP_JOB_ANY && op->state != RP_JOB_OVERDUE && op->state != state)
        return false;
    return op->text_size == 0
           || (sqlite3_column_bytes (statement, RP_COLUMN_SERVICE) == (int) op->text_size
               && memcmp (
                    sqlite3_column_blob (statement, RP_COLUMN_SERVICE), op->text, op->text_size)
                    == 0);
}

/*  A list of jobs that run has looked at open ones only: says how far, and whether there are more.  */
static rp_backend_result_t s_look_on (s_sqlite_t *self, uint64_t after, rp_stored_t *result)
{
    int64_t last;
    sqlite3_stmt *statement = s_use (self, S_OPEN_BEHIND);
    s_number (statement, 1, (int64_t) after);
    s_number (statement, 2, S_LIST_LOOKS - 1);
    rp_backend_result_t rc = s_ask (self, statement, &result->more, &last);
    if (result->more)
        result->id = (uint64_t) last;
    return rc;
}

static rp_backend_result_t s_run_list (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    static const s_statement_t by_state[] = {
      [RP_JOB_ANY] = S_LIST,
      [RP_JOB_WAITING] = S_LIST_OPEN,
      [RP_JOB_RUNNING] = S_LIST_RUNNING,
      [RP_JOB_DONE] = S_LIST_DONE,
      [RP_JOB_DEAD] = S_LIST_DEAD,
      [RP_JOB_OVERDUE] = S_LIST_OVERDUE,
    };
    const rp_store_op_t *op = work->op;
    RP_CHECK (op->state <= RP_JOB_OVERDUE);
    rp_backend_result_t rc = s_begin_rows (self, result);
    if (rc != RP_BACKEND_OK)
        return rc;
    sqlite3_stmt *statement = s_use (self, by_state[op->state]);
    s_number (statement, 1, op->state == RP_JOB_OVERDUE ? op->before : (int64_t) op->id);
    if (op->state == RP_JOB_RUNNING)
        s_number (statement, 2, S_LIST_LOOKS);
    size_t rows = s_rows (op);
    size_t looks = 0;
    int step;
    while ((step = sqlite3_step (statement)) == SQLITE_ROW) {
        if (result->rows->count == rows || looks++ == S_LIST_LOOKS) {
            result->more = true;
            break;
        }
        result->id = (uint64_t) sqlite3_column_int64 (statement, 0);
        if (s_is_listed (op, statement) && !rp_sqlite_rows_read (result->rows, statement, false)) {
            (void) s_end (self, statement, SQLITE_OK);
            return s_no_memory (self);
        }
    }
    rc = s_end (self, statement, step);
    return rc == RP_BACKEND_OK && op->state == RP_JOB_RUNNING && !result->more
             ? s_look_on (self, op->id, result)
             : rc;
}

static rp_backend_result_t s_run_services (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    (void) work;
    rp_backend_result_t rc = s_begin_rows (self, result);
    if (rc == RP_BACKEND_OK && !self->listed)
        rc = s_do (self, s_use (self, S_LOST));
    if (rc != RP_BACKEND_OK)
        return rc;
    bool found;
    int64_t flags;
    rc = s_ask (self, s_use (self, S_LAST_FLAGS), &found, &flags);
    if (rc != RP_BACKEND_OK)
        return rc;
    result->flags = (uint32_t) flags;
    self->listing = true;
    sqlite3_stmt *statement = s_use (self, S_SERVICES);
    int step;
    while ((step = sqlite3_step (statement)) == SQLITE_ROW) {
        if (!rp_sqlite_rows_read_service (result->rows, statement)) {
            (void) s_end (self, statement, SQLITE_OK);
            return s_no_memory (self);
        }
    }
    return s_end (self, statement, step);
}

typedef rp_backend_result_t (s_run_fn) (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result);

/*  A file is one broker's.  */
static rp_backend_result_t s_run_brokers (
  s_sqlite_t *self, const rp_store_work_t *work, rp_stored_t *result)
{
    (void) work;
    return s_begin_rows (self, result);
}

static s_run_fn *const s_runs[] = {
  [RP_STORE_PUT] = s_run_put,
  [RP_STORE_ATTEMPT] = s_run_attempt,
  [RP_STORE_PARK] = s_run_park,
  [RP_STORE_FINAL] = s_run_final,
  [RP_STORE_RETRY] = s_run_retry,
  [RP_STORE_REMOVE] = s_run_remove,
  [RP_STORE_PURGE] = s_run_purge,
  [RP_STORE_LOAD] = s_run_load,
  [RP_STORE_FIND] = s_run_find,
  [RP_STORE_LIST] = s_run_list,
  [RP_STORE_SERVICES] = s_run_services,
  [RP_STORE_KEY] = s_run_key,
  [RP_STORE_BROKERS] = s_run_brokers,
};

static rp_backend_result_t s_run (
  rp_backend_t *backend, const rp_store_work_t *work, rp_stored_t *result)
{
    RP_CHECK (work->op->kind < RP_STORE_KIND_COUNT);
    result->outcome = RP_STORED_SAFE;
    result->id = work->op->id;
    rp_backend_result_t rc = s_runs[work->op->kind](s_of (backend), work, result);
    if (rc != RP_BACKEND_OK || result->outcome == RP_STORED_ABSENT)
        rp_rows_destroy (&result->rows);
    s_of (backend)->held += rp_rows_bytes (result->rows);
    return rc;
}

static size_t s_held (const rp_backend_t *backend)
{
    return RP_CONTAINER (backend, const s_sqlite_t, backend)->held;
}

/*  ---- Transactions ---------------------------------------------------------------------------- */

static rp_backend_result_t s_take_in (s_sqlite_t *self)
{
    self->took_in = true;
    return s_result (self, rp_sqlite_file_take_in (self->db));
}

static rp_backend_result_t s_begin (rp_backend_t *backend)
{
    s_sqlite_t *self = s_of (backend);
    self->begun = self->last;
    self->held = 0;
    rp_backend_result_t rc = self->took_in ? RP_BACKEND_OK : s_take_in (self);
    if (rc != RP_BACKEND_OK)
        return rc;
    self->listing = false;
    return s_do (self, s_use (self, S_BEGIN));
}

static rp_backend_result_t s_commit (rp_backend_t *backend)
{
    s_sqlite_t *self = s_of (backend);
    rp_backend_result_t rc = s_do (self, s_use (self, S_COMMIT));
    self->listed |= rc == RP_BACKEND_OK && self->listing;
    return rc;
}

static void s_roll_back (rp_backend_t *backend)
{
    s_sqlite_t *self = s_of (backend);
    self->last = self->begun;
    // SQLite has done it already after some errors.
    if (!self->broken && sqlite3_get_autocommit (self->db) == 0)
        (void) sqlite3_exec (self->db, "ROLLBACK", NULL, NULL, NULL);
}

static rp_backend_result_t s_clean (
  rp_backend_t *backend, int64_t now, uint64_t *cleaned, bool *more)
{
    s_sqlite_t *self = s_of (backend);
    bool found;
    int64_t id;
    *cleaned = 0;
    *more = false;
    sqlite3_stmt *statement = s_use (self, S_PAST);
    s_number (statement, 1, now);
    s_number (statement, 2, 1);
    rp_backend_result_t rc = s_ask (self, statement, &found, &id);
    if (rc != RP_BACKEND_OK || !found)
        return rc;
    rc = s_begin (backend);
    if (rc == RP_BACKEND_OK) {
        s_number (statement, 1, now);
        s_number (statement, 2, S_CLEAN_JOBS);
        rc = s_remove_some (self, statement, S_CLEAN_JOBS, cleaned, more);
    }
    if (rc == RP_BACKEND_OK)
        rc = s_commit (backend);
    if (rc != RP_BACKEND_OK) {
        s_roll_back (backend);
        *cleaned = 0;
        *more = false;
    }
    return rc;
}

static int64_t s_pragma (s_sqlite_t *self, s_statement_t which)
{
    bool found;
    int64_t value;
    (void) s_ask (self, s_use (self, which), &found, &value);
    return value;
}

/*  Goes on with a copy of the file, or looks whether one is wanted. True if it took time.  */
static bool s_copy (s_sqlite_t *self)
{
    int64_t now = rp_clock_us ();
    if (!self->copy && now >= self->copy_at) {
        self->copy = rp_sqlite_copy_begin (self->db, self->vfs);
        self->copy_at = now + S_COPY_US;
    }
    if (!self->copy)
        return false;
    (void) rp_sqlite_copy_step (&self->copy);
    return true;
}

/*  Only the log's pages are counted while others wait, since that costs nothing.  */
static rp_backend_result_t s_tidy (rp_backend_t *backend, bool idle, bool *did)
{
    s_sqlite_t *self = s_of (backend);
    *did = !self->took_in;
    if (*did)
        return s_take_in (self);
    *did = self->log_pages >= S_LOG_PAGES;
    if (*did) {
        int rc = rp_sqlite_file_checkpoint (self->db, false);
        self->log_pages = 0; // also when full: the next commit tells
        return s_result (self, rc);
    }
    *did = s_copy (self);
    if (*did || !idle)
        return RP_BACKEND_OK;
    int64_t spare = s_pragma (self, S_SPARE);
    if (self->kept || spare < S_FREE_PAGES || spare < s_pragma (self, S_PAGES) / 4)
        return self->broken ? RP_BACKEND_BROKEN : RP_BACKEND_OK;
    *did = true;
    char sql[64];
    snprintf (sql, sizeof sql, "PRAGMA incremental_vacuum (%d)", S_FREE_STEP);
    rp_backend_result_t rc = s_result (self, sqlite3_exec (self->db, sql, NULL, NULL, NULL));
    if (rc != RP_BACKEND_OK && !self->broken)
        s_roll_back (backend);
    self->kept = s_pragma (self, S_SPARE) >= spare;
    return rc;
}

static void s_size (rp_backend_t *backend, rp_backend_size_t *size)
{
    s_sqlite_t *self = s_of (backend);
    size->file_bytes = 4096 * (uint64_t) s_pragma (self, S_PAGES);
    size->free_bytes = 4096 * (uint64_t) s_pragma (self, S_SPARE);
}

static const rp_store_secret_t *s_secret (const rp_backend_t *backend)
{
    return &RP_CONTAINER (backend, const s_sqlite_t, backend)->secret;
}

static const char *s_trouble (const rp_backend_t *backend)
{
    return RP_CONTAINER (backend, const s_sqlite_t, backend)->trouble;
}

static void s_close (rp_backend_t *backend)
{
    s_sqlite_t *self = s_of (backend);
    rp_sqlite_copy_break (&self->copy);
    for (size_t index = 0; index < S_COUNT; index++)
        (void) sqlite3_finalize (self->statements[index]);
    rp_sqlite_file_close (self->db, !self->broken);
    free (self);
}

static const rp_backend_class_t s_class = {
  .name = "sqlite",
  .close = s_close,
  .begin = s_begin,
  .run = s_run,
  .held = s_held,
  .commit = s_commit,
  .roll_back = s_roll_back,
  .clean = s_clean,
  .tidy = s_tidy,
  .size = s_size,
  .secret = s_secret,
  .trouble = s_trouble,
};

static int s_logged (void *arg, sqlite3 *db, const char *name, int pages)
{
    s_sqlite_t *self = arg;
    (void) db;
    (void) name;
    self->log_pages = pages;
    return SQLITE_OK;
}

/*  Prepares the statements, and finds the last id. Returns SQLite's code.  */
static int s_prepare (s_sqlite_t *self)
{
    int rc = SQLITE_OK;
    for (size_t index = 0; index < S_COUNT && rc == SQLITE_OK; index++)
        rc = sqlite3_prepare_v3 (
          self->db, s_sql[index], -1, SQLITE_PREPARE_PERSISTENT, &self->statements[index], NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_stmt *statement = NULL;
    rc = sqlite3_prepare_v2 (self->db,
      "SELECT max (ifnull ((SELECT max (id) FROM jobs), 0), (SELECT id FROM last))", -1, &statement,
      NULL);
    if (rc == SQLITE_OK && sqlite3_step (statement) == SQLITE_ROW)
        self->last = (uint64_t) sqlite3_column_int64 (statement, 0);
    return rc == SQLITE_OK ? sqlite3_finalize (statement) : rc;
}

/*  Reads the secret. Returns SQLite's code.  */
static int s_read_secret (s_sqlite_t *self)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2 (self->db, "SELECT key, plain FROM secret", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_step (statement) != SQLITE_ROW
        || sqlite3_column_bytes (statement, 0) != sizeof self->secret.key) {
        rc = sqlite3_finalize (statement);
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    }
    const uint8_t *bytes = sqlite3_column_blob (statement, 0);
    for (size_t index = 0; index < sizeof self->secret.key; index++)
        self->secret.key[index / 4] |= (uint32_t) bytes[index] << 8 * (3 - index % 4);
    self->secret.plain = (uint64_t) sqlite3_column_int64 (statement, 1);
    rc = sqlite3_finalize (statement);
    return rc == SQLITE_OK && self->secret.plain > self->last ? SQLITE_CORRUPT : rc;
}

rp_backend_t *rp_sqlite_open (const rp_store_settings_t *settings, char *text)
{
    s_sqlite_t *self = calloc (1, sizeof *self);
    if (!self) {
        snprintf (text, RP_STORE_TEXT, "out of memory");
        return NULL;
    }
    self->backend.functions = &s_class;
    self->vfs = settings->vfs;
    self->db = rp_sqlite_file_open (settings, true, text);
    if (!self->db) {
        free (self);
        return NULL;
    }
    int rc = s_prepare (self);
    if (rc == SQLITE_OK)
        rc = s_read_secret (self);
    if (rc != SQLITE_OK) {
        rp_sqlite_file_explain (self->db, rc, self->trouble);
        snprintf (text, RP_STORE_TEXT,
          "%s cannot be read (%.200s); restore a backup, or see what `riposte store check` says",
          settings->path, self->trouble);
        self->broken = true;
        s_close (&self->backend);
        return NULL;
    }
    if (settings->pages > 0) {
        char sql[64];
        snprintf (sql, sizeof sql, "PRAGMA max_page_count = %" PRIu64, settings->pages);
        (void) sqlite3_exec (self->db, sql, NULL, NULL, NULL);
    }
    (void) sqlite3_wal_hook (self->db, s_logged, self);
    return &self->backend;
}
