/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/sqlite_rows.h"

#include <string.h>

/*  Columns, in the order of RP_SQLITE_JOB and RP_SQLITE_CONTENT.  */
enum {
    S_ID,
    S_SERVICE,
    S_PRINCIPAL,
    S_KEY,
    S_DIGEST,
    S_ACCEPTED,
    S_NOT_BEFORE,
    S_DEADLINE,
    S_ATTEMPTS,
    S_ATTEMPT_TIMEOUT,
    S_BACKOFF,
    S_KEEP,
    S_FLAGS,
    S_PARENT,
    S_BODY_BYTES,
    S_DUE,
    S_OPEN_ATTEMPT,
    S_OPEN_STARTED,
    S_OPEN_WORKER,
    S_UNTIL,
    S_ENDED,
    S_STATUS,
    S_CODE,
    S_ATTEMPT,
    S_DEAD,
    S_CHILD,
    S_STARTED,
    S_WORKER,
    S_TEXT,
    S_REPLY_BYTES,
    S_HEADERS,
    S_FRAMES,
    S_BODY,
    S_REPLY_HEADERS,
    S_REPLY_FRAMES,
    S_REPLY
};

static bool s_text (
  rp_store_rows_t *rows, sqlite3_stmt *statement, int column, rp_store_span_t *span)
{
    const void *data = sqlite3_column_blob (statement, column);
    return rp_rows_copy (rows, data, (size_t) sqlite3_column_bytes (statement, column), span);
}

void rp_sqlite_rows_put_sizes (const rp_store_span_t *frames, size_t count, uint8_t *out)
{
    for (size_t index = 0; index < count; index++)
        for (unsigned byte = 0; byte < 4; byte++)
            *out++ = (uint8_t) (frames[index].size >> (8 * byte));
}

static size_t s_size (const uint8_t *sizes, size_t index)
{
    const uint8_t *at = sizes + 4 * index;
    return (size_t) at[0] | (size_t) at[1] << 8 | (size_t) at[2] << 16 | (size_t) at[3] << 24;
}

/*  Reads a body: NULL has no frame, one without sizes has one.  */
static bool s_frames (rp_store_rows_t *rows,
  sqlite3_stmt *statement,
  int sizes_column,
  int column,
  rp_store_span_t **frames,
  uint32_t *count)
{
    *frames = NULL;
    *count = 0;
    if (sqlite3_column_type (statement, column) == SQLITE_NULL)
        return true;
    rp_store_span_t whole;
    if (!s_text (rows, statement, column, &whole))
        return false;
    const uint8_t *sizes = sqlite3_column_blob (statement, sizes_column);
    size_t listed = (size_t) sqlite3_column_bytes (statement, sizes_column) / 4;
    size_t total = listed > 0 ? listed : 1;
    rp_store_span_t *spans = rp_rows_room (rows, total * sizeof *spans);
    if (!spans)
        return false;
    spans[0] = whole;
    const uint8_t *at = whole.data;
    size_t left = whole.size;
    for (size_t index = 0; index < listed; index++) {
        size_t size = s_size (sizes, index);
        spans[index] = (rp_store_span_t){.data = at, .size = size < left ? size : left};
        at += spans[index].size;
        left -= spans[index].size;
    }
    *frames = spans;
    *count = (uint32_t) total;
    return true;
}

static bool s_content (rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement)
{
    return s_text (rows, statement, S_HEADERS, &row->job.headers)
           && s_text (rows, statement, S_REPLY_HEADERS, &row->reply_headers)
           && s_frames (rows, statement, S_FRAMES, S_BODY, &row->body, &row->body_count)
           && s_frames (rows, statement, S_REPLY_FRAMES, S_REPLY, &row->reply, &row->reply_count);
}

/*  The attempt that runs, or the last one of a job that has ended.  */
static bool s_latest (rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement)
{
    bool ended = row->state >= RP_JOB_DONE;
    int started = ended ? S_STARTED : S_OPEN_STARTED;
    if (sqlite3_column_type (statement, started) == SQLITE_NULL)
        return true;
    rp_store_attempt_t *attempt = rp_rows_room (rows, sizeof *attempt);
    if (!attempt || !s_text (rows, statement, ended ? S_WORKER : S_OPEN_WORKER, &attempt->worker))
        return false;
    attempt->started = sqlite3_column_int64 (statement, started);
    attempt->number = row->attempt;
    if (ended) {
        attempt->ended = row->ended;
        attempt->status = row->status;
        attempt->text = row->text;
    }
    row->attempts = attempt;
    row->attempt_count = 1;
    return true;
}

static void s_numbers (rp_store_row_t *row, sqlite3_stmt *statement)
{
    rp_store_job_t *job = &row->job;
    row->id = (uint64_t) sqlite3_column_int64 (statement, S_ID);
    row->body_bytes = (uint64_t) sqlite3_column_int64 (statement, S_BODY_BYTES);
    job->accepted = sqlite3_column_int64 (statement, S_ACCEPTED);
    job->not_before = sqlite3_column_int64 (statement, S_NOT_BEFORE);
    job->deadline = sqlite3_column_int64 (statement, S_DEADLINE);
    job->attempts = (uint8_t) sqlite3_column_int (statement, S_ATTEMPTS);
    job->attempt_timeout_ms = (uint32_t) sqlite3_column_int64 (statement, S_ATTEMPT_TIMEOUT);
    job->backoff_ms = (uint32_t) sqlite3_column_int64 (statement, S_BACKOFF);
    job->keep_ms = (uint64_t) sqlite3_column_int64 (statement, S_KEEP);
    job->flags = (uint32_t) sqlite3_column_int64 (statement, S_FLAGS);
    job->parent = (uint64_t) sqlite3_column_int64 (statement, S_PARENT);
    if (sqlite3_column_bytes (statement, S_DIGEST) == RP_STORE_DIGEST)
        memcpy (job->digest, sqlite3_column_blob (statement, S_DIGEST), RP_STORE_DIGEST);
    if (sqlite3_column_type (statement, S_DUE) != SQLITE_NULL) {
        bool runs = sqlite3_column_type (statement, S_OPEN_STARTED) != SQLITE_NULL;
        row->state = runs ? RP_JOB_RUNNING : RP_JOB_WAITING;
        row->due = sqlite3_column_int64 (statement, S_DUE);
        row->attempt = (uint8_t) sqlite3_column_int (statement, S_OPEN_ATTEMPT);
        return;
    }
    row->state = sqlite3_column_int (statement, S_DEAD) ? RP_JOB_DEAD : RP_JOB_DONE;
    row->attempt = (uint8_t) sqlite3_column_int (statement, S_ATTEMPT);
    row->ended = sqlite3_column_int64 (statement, S_ENDED);
    row->until = sqlite3_column_int64 (statement, S_UNTIL);
    row->status = (uint8_t) sqlite3_column_int (statement, S_STATUS);
    row->code = (uint32_t) sqlite3_column_int64 (statement, S_CODE);
    row->child = (uint64_t) sqlite3_column_int64 (statement, S_CHILD);
    row->reply_bytes = (uint64_t) sqlite3_column_int64 (statement, S_REPLY_BYTES);
}

rp_store_row_t *rp_sqlite_rows_read (rp_store_rows_t *rows, sqlite3_stmt *statement, bool content)
{
    rp_store_row_t *row = rp_rows_add_job (rows);
    if (!row)
        return NULL;
    s_numbers (row, statement);
    bool whole = s_text (rows, statement, S_SERVICE, &row->job.service)
                 && s_text (rows, statement, S_PRINCIPAL, &row->job.principal)
                 && s_text (rows, statement, S_KEY, &row->job.key)
                 && s_text (rows, statement, S_TEXT, &row->text)
                 && (!content || s_content (rows, row, statement))
                 && s_latest (rows, row, statement);
    return whole ? row : NULL;
}

int rp_sqlite_rows_read_attempts (
  rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement)
{
    size_t room = 0;
    size_t count = 0;
    rp_store_attempt_t *list = NULL;
    int rc;
    while ((rc = sqlite3_step (statement)) == SQLITE_ROW) {
        if (count + row->attempt_count >= room) { // there are few
            rp_store_attempt_t *larger =
              rp_rows_room (rows, (room = 2 * room + 8) * sizeof *larger);
            if (!larger)
                return SQLITE_NOMEM;
            if (count > 0)
                memcpy (larger, list, count * sizeof *larger);
            list = larger;
        }
        rp_store_attempt_t *attempt = &list[count++];
        attempt->number = (uint8_t) sqlite3_column_int (statement, 0);
        attempt->started = sqlite3_column_int64 (statement, 1);
        attempt->ended = sqlite3_column_int64 (statement, 2);
        attempt->status = (uint8_t) sqlite3_column_int (statement, 3);
        if (!s_text (rows, statement, 4, &attempt->worker)
            || !s_text (rows, statement, 5, &attempt->text))
            return SQLITE_NOMEM;
    }
    if (count > 0) {
        if (row->attempt_count > 0)
            list[count++] = row->attempts[0];
        row->attempts = list;
        row->attempt_count = count;
    }
    return rc;
}

bool rp_sqlite_rows_read_service (rp_store_rows_t *rows, sqlite3_stmt *statement)
{
    rp_store_service_t *service = rp_rows_add_service (rows);
    if (!service || !s_text (rows, statement, 0, &service->service))
        return false;
    service->waiting = (uint64_t) sqlite3_column_int64 (statement, 1);
    service->running = (uint64_t) sqlite3_column_int64 (statement, 2);
    service->due = sqlite3_column_type (statement, 3) == SQLITE_NULL
                     ? RP_STORE_NEVER
                     : sqlite3_column_int64 (statement, 3);
    return true;
}
