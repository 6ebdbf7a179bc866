/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/columns.h"

#include <stdlib.h>
#include <string.h>

/*  Columns, in the order of RP_COLUMNS_JOB and RP_COLUMNS_CONTENT.  */
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
_Static_assert(S_ID == RP_COLUMN_ID && S_SERVICE == RP_COLUMN_SERVICE
                 && S_BODY_BYTES == RP_COLUMN_BODY_BYTES && S_DUE == RP_COLUMN_DUE
                 && S_OPEN_STARTED == RP_COLUMN_OPEN_STARTED && S_DEAD == RP_COLUMN_DEAD
                 && S_HEADERS == RP_COLUMN_HEADERS,
  "places of columns");

static bool s_text (
  rp_store_rows_t *rows, const rp_columns_t *columns, int column, rp_store_span_t *span)
{
    rp_store_span_t bytes = columns->bytes (columns, column);
    return rp_rows_copy (rows, bytes.data, bytes.size, span);
}

static size_t s_size (const uint8_t *sizes, size_t index)
{
    const uint8_t *at = sizes + 4 * index;
    return (size_t) at[0] | (size_t) at[1] << 8 | (size_t) at[2] << 16 | (size_t) at[3] << 24;
}

/*  Reads a body: NULL has no frame, one without sizes has one.  */
static bool s_frames (rp_store_rows_t *rows,
  const rp_columns_t *columns,
  int sizes_column,
  int column,
  rp_store_span_t **frames,
  uint32_t *count)
{
    *frames = NULL;
    *count = 0;
    if (columns->is_null (columns, column))
        return true;
    rp_store_span_t whole;
    if (!s_text (rows, columns, column, &whole))
        return false;
    rp_store_span_t sizes = columns->bytes (columns, sizes_column);
    size_t listed = sizes.size / 4;
    size_t total = listed > 0 ? listed : 1;
    rp_store_span_t *spans = rp_rows_room (rows, total * sizeof *spans);
    if (!spans)
        return false;
    spans[0] = whole;
    const uint8_t *at = whole.data;
    size_t left = whole.size;
    for (size_t index = 0; index < listed; index++) {
        size_t size = s_size (sizes.data, index);
        spans[index] = (rp_store_span_t){.data = at, .size = size < left ? size : left};
        at += spans[index].size;
        left -= spans[index].size;
    }
    *frames = spans;
    *count = (uint32_t) total;
    return true;
}

static bool s_content (rp_store_rows_t *rows, rp_store_row_t *row, const rp_columns_t *columns)
{
    return s_text (rows, columns, S_HEADERS, &row->job.headers)
           && s_text (rows, columns, S_REPLY_HEADERS, &row->reply_headers)
           && s_frames (rows, columns, S_FRAMES, S_BODY, &row->body, &row->body_count)
           && s_frames (rows, columns, S_REPLY_FRAMES, S_REPLY, &row->reply, &row->reply_count);
}

/*  The attempt that runs, or the last one of a job that has ended.  */
static bool s_latest (rp_store_rows_t *rows, rp_store_row_t *row, const rp_columns_t *columns)
{
    bool ended = row->state >= RP_JOB_DONE;
    int started = ended ? S_STARTED : S_OPEN_STARTED;
    if (columns->is_null (columns, started))
        return true;
    rp_store_attempt_t *attempt = rp_rows_room (rows, sizeof *attempt);
    if (!attempt || !s_text (rows, columns, ended ? S_WORKER : S_OPEN_WORKER, &attempt->worker))
        return false;
    attempt->started = columns->number (columns, started);
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

static void s_numbers (rp_store_row_t *row, const rp_columns_t *columns)
{
    rp_store_job_t *job = &row->job;
    row->id = (uint64_t) columns->number (columns, S_ID);
    row->body_bytes = (uint64_t) columns->number (columns, S_BODY_BYTES);
    job->accepted = columns->number (columns, S_ACCEPTED);
    job->not_before = columns->number (columns, S_NOT_BEFORE);
    job->deadline = columns->number (columns, S_DEADLINE);
    job->attempts = (uint8_t) columns->number (columns, S_ATTEMPTS);
    job->attempt_timeout_ms = (uint32_t) columns->number (columns, S_ATTEMPT_TIMEOUT);
    job->backoff_ms = (uint32_t) columns->number (columns, S_BACKOFF);
    job->keep_ms = (uint64_t) columns->number (columns, S_KEEP);
    job->flags = (uint32_t) columns->number (columns, S_FLAGS);
    job->parent = (uint64_t) columns->number (columns, S_PARENT);
    rp_store_span_t digest = columns->bytes (columns, S_DIGEST);
    if (digest.size == RP_STORE_DIGEST)
        memcpy (job->digest, digest.data, RP_STORE_DIGEST);
    if (!columns->is_null (columns, S_DUE)) {
        bool runs = !columns->is_null (columns, S_OPEN_STARTED);
        row->state = runs ? RP_JOB_RUNNING : RP_JOB_WAITING;
        row->due = columns->number (columns, S_DUE);
        row->attempt = (uint8_t) columns->number (columns, S_OPEN_ATTEMPT);
        return;
    }
    row->state = columns->number (columns, S_DEAD) ? RP_JOB_DEAD : RP_JOB_DONE;
    row->attempt = (uint8_t) columns->number (columns, S_ATTEMPT);
    row->ended = columns->number (columns, S_ENDED);
    row->until = columns->number (columns, S_UNTIL);
    row->status = (uint8_t) columns->number (columns, S_STATUS);
    row->code = (uint32_t) columns->number (columns, S_CODE);
    row->child = (uint64_t) columns->number (columns, S_CHILD);
    row->reply_bytes = (uint64_t) columns->number (columns, S_REPLY_BYTES);
}

rp_store_row_t *rp_columns_read_job (
  rp_store_rows_t *rows, const rp_columns_t *columns, bool content)
{
    rp_store_row_t *row = rp_rows_add_job (rows);
    if (!row)
        return NULL;
    s_numbers (row, columns);
    bool whole = s_text (rows, columns, S_SERVICE, &row->job.service)
                 && s_text (rows, columns, S_PRINCIPAL, &row->job.principal)
                 && s_text (rows, columns, S_KEY, &row->job.key)
                 && s_text (rows, columns, S_TEXT, &row->text)
                 && (!content || s_content (rows, row, columns)) && s_latest (rows, row, columns);
    return whole ? row : NULL;
}

bool rp_columns_read_attempt (rp_store_rows_t *rows,
  const rp_store_row_t *row,
  const rp_columns_t *columns,
  rp_columns_attempts_t *attempts)
{
    if (attempts->count + row->attempt_count >= attempts->room) { // there are few
        size_t room = 2 * attempts->room + 8;
        rp_store_attempt_t *larger = rp_rows_room (rows, room * sizeof *larger);
        if (!larger)
            return false;
        if (attempts->count > 0)
            memcpy (larger, attempts->list, attempts->count * sizeof *larger);
        attempts->list = larger;
        attempts->room = room;
    }
    rp_store_attempt_t *attempt = &attempts->list[attempts->count++];
    attempt->number = (uint8_t) columns->number (columns, 0);
    attempt->started = columns->number (columns, 1);
    attempt->ended = columns->number (columns, 2);
    attempt->status = (uint8_t) columns->number (columns, 3);
    return s_text (rows, columns, 4, &attempt->worker) && s_text (rows, columns, 5, &attempt->text);
}

void rp_columns_set_attempts (rp_store_row_t *row, rp_columns_attempts_t *attempts)
{
    if (attempts->count == 0)
        return;
    if (row->attempt_count > 0)
        attempts->list[attempts->count++] = row->attempts[0];
    row->attempts = attempts->list;
    row->attempt_count = attempts->count;
}

bool rp_columns_read_service (rp_store_rows_t *rows, const rp_columns_t *columns)
{
    rp_store_service_t *service = rp_rows_add_service (rows);
    if (!service || !s_text (rows, columns, 0, &service->service))
        return false;
    service->waiting = (uint64_t) columns->number (columns, 1);
    service->running = (uint64_t) columns->number (columns, 2);
    service->due = columns->is_null (columns, 3) ? RP_STORE_NEVER : columns->number (columns, 3);
    return true;
}

/*  ---- Bodies ---------------------------------------------------------------------------------- */

static void s_put_sizes (const rp_store_span_t *frames, size_t count, uint8_t *out)
{
    for (size_t index = 0; index < count; index++)
        for (unsigned byte = 0; byte < 4; byte++)
            *out++ = (uint8_t) (frames[index].size >> (8 * byte));
}

bool rp_columns_join (rp_columns_body_t *self, const rp_store_span_t *frames, size_t count)
{
    *self = (rp_columns_body_t){.joined = NULL};
    if (count == 1) {
        self->data = frames[0].data ? frames[0].data : "";
        self->size = frames[0].size;
    }
    if (count < 2)
        return true;
    for (size_t index = 0; index < count; index++)
        self->size += frames[index].size;
    self->sizes = 4 * count;
    self->joined = malloc (self->sizes + self->size);
    if (!self->joined)
        return false;
    s_put_sizes (frames, count, self->joined);
    uint8_t *at = self->joined + self->sizes;
    self->data = at;
    for (size_t index = 0; index < count; index++) {
        if (frames[index].size > 0)
            memcpy (at, frames[index].data, frames[index].size);
        at += frames[index].size;
    }
    return true;
}
