/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/model_store.h"

#include <stdlib.h>
#include <string.h>

#include <riposte/error.h>
#include "common/base/check.h"
#include "common/base/heap.h"

/*  ---- Memory --------------------------------------------------------------------------------- */

static void *s_alloc (size_t size)
{
    void *memory = calloc (1, size ? size : 1);
    RP_CHECK (memory != NULL);
    return memory;
}

/*  A copy, with a NUL behind it.  */
static model_blob_t s_blob (const void *data, size_t size)
{
    model_blob_t blob = {s_alloc (size + 1), size};
    if (size)
        memcpy (blob.data, data, size);
    return blob;
}

static rp_store_span_t s_span (model_blob_t blob)
{
    return (rp_store_span_t){blob.data, blob.size};
}

static void s_clear_row (model_row_t *row)
{
    model_blob_t blobs[] = {row->service, row->principal, row->key, row->headers, row->body,
      row->text, row->reply, row->reply_headers};
    for (size_t index = 0; index < sizeof blobs / sizeof *blobs; index++)
        free (blobs[index].data);
    for (unsigned index = 0; index < row->attempt_count; index++)
        free (row->texts[index].data);
    free (row);
}

void model_store_drop_rows (rp_store_rows_t *rows)
{
    for (size_t index = 0; index < rows->count; index++) {
        rp_store_row_t *row = &rows->jobs[index];
        const void *owned[] = {row->job.service.data, row->job.principal.data, row->job.key.data,
          row->job.headers.data, row->text.data, row->reply_headers.data};
        for (size_t each = 0; each < sizeof owned / sizeof *owned; each++)
            free ((void *) (uintptr_t) owned[each]);
        if (row->body)
            free ((void *) (uintptr_t) row->body->data);
        if (row->reply)
            free ((void *) (uintptr_t) row->reply->data);
        free (row->body);
        free (row->reply);
        free (row->attempts);
    }
    rows->count = 0;
}

static void s_clear_rows (rp_store_rows_t *rows)
{
    if (!rows)
        return;
    model_store_drop_rows (rows);
    for (size_t index = 0; index < rows->service_count; index++)
        free ((void *) (uintptr_t) rows->services[index].service.data);
    for (size_t index = 0; index < rows->ended_count; index++)
        free ((void *) (uintptr_t) rows->ended[index].service.data);
    free (rows->ended);
    free (rows->jobs);
    free (rows->services);
    free (rows);
}

void model_store_free (model_op_t *op)
{
    model_blob_t blobs[] = {
      op->text, op->headers, op->worker, op->service, op->principal, op->key, op->body};
    for (size_t index = 0; index < sizeof blobs / sizeof *blobs; index++)
        free (blobs[index].data);
    s_clear_rows (op->result.rows);
    free (op);
}

void model_store_init (model_store_t *self)
{
    memset (self, 0, sizeof *self);
    rp_list_init (&self->queue);
    rp_list_init (&self->results);
}

static void s_lose (rp_list_t *list, void (*lost) (void *kept))
{
    rp_list_node_t *node;
    while ((node = rp_list_first (list))) {
        model_op_t *op = RP_CONTAINER (node, model_op_t, node);
        rp_list_remove (node);
        if (lost && op->result.kept)
            lost (op->result.kept);
        model_store_free (op);
    }
}

void model_store_crash (model_store_t *self, void (*lost) (void *kept))
{
    s_lose (&self->queue, lost);
    s_lose (&self->results, lost);
    self->queued = self->result_count = 0;
    self->number = 0;
}

void model_store_clear (model_store_t *self)
{
    model_store_crash (self, NULL);
    for (uint64_t id = 1; id <= self->last; id++)
        if (self->rows[id])
            s_clear_row (self->rows[id]);
    for (size_t index = 0; index < self->note_count; index++)
        free (self->notes[index].service.data);
    free (self->notes);
    free (self->rows);
    memset (self, 0, sizeof *self);
}

void model_store_order (
  model_store_t *self, rp_store_kind_t kind, rp_stored_outcome_t outcome, unsigned count)
{
    self->ordered[kind] = outcome;
    self->ordered_count[kind] = count;
}

model_row_t *model_store_row (const model_store_t *self, uint64_t id)
{
    return id > 0 && id <= self->last ? self->rows[id] : NULL;
}

/*  ---- Rows ----------------------------------------------------------------------------------- */

static bool s_is_open (const model_row_t *row)
{
    return row->state == RP_JOB_WAITING || row->state == RP_JOB_RUNNING;
}

static bool s_same (rp_store_span_t one, rp_store_span_t other)
{
    return one.size == other.size
           && (one.size == 0 || memcmp (one.data, other.data, one.size) == 0);
}

static model_row_t *s_add_row (
  model_store_t *self, const rp_store_job_t *job, const void *body, size_t size)
{
    if (self->last + 1 >= self->row_capacity) {
        self->row_capacity = self->row_capacity ? self->row_capacity * 2 : 64;
        self->rows = realloc (self->rows, self->row_capacity * sizeof *self->rows);
        RP_CHECK (self->rows != NULL);
    }
    model_row_t *row = s_alloc (sizeof *row);
    self->rows[++self->last] = row;
    row->id = self->last;
    row->job = *job;
    row->service = s_blob (job->service.data, job->service.size);
    row->principal = s_blob (job->principal.data, job->principal.size);
    row->key = s_blob (job->key.data, job->key.size);
    row->headers = s_blob (job->headers.data, job->headers.size);
    row->body = s_blob (body, size);
    row->job.service = s_span (row->service);
    row->job.principal = s_span (row->principal);
    row->job.key = s_span (row->key);
    row->job.headers = s_span (row->headers);
    row->state = RP_JOB_WAITING;
    row->due = job->not_before > job->accepted ? job->not_before : job->accepted;
    return row;
}

uint64_t model_store_put (
  model_store_t *self, const rp_store_job_t *job, const void *body, size_t size)
{
    return s_add_row (self, job, body, size)->id;
}

/*  The job that has this key; NULL if none has.  */
static model_row_t *s_find_key (model_store_t *self, const rp_store_job_t *job)
{
    for (uint64_t id = self->last; id > 0 && job->key.size > 0; id--) {
        model_row_t *row = self->rows[id];
        if (row && row->child == 0 && s_same (row->job.key, job->key)
            && s_same (row->job.service, job->service)
            && (self->keys_of_everybody || s_same (row->job.principal, job->principal)))
            return row;
    }
    return NULL;
}

static rp_store_rows_t *s_begin_rows (model_op_t *op)
{
    if (!op->result.rows)
        op->result.rows = s_alloc (sizeof *op->result.rows);
    return op->result.rows;
}

static rp_store_span_t *s_frame (const void *data, size_t size)
{
    rp_store_span_t *frame = s_alloc (sizeof *frame);
    *frame = s_span (s_blob (data, size));
    return frame;
}

/*  Adds a row to a result: all of it is a copy, as of now.  */
static void s_show (model_op_t *op, const model_row_t *row, bool content)
{
    rp_store_rows_t *rows = s_begin_rows (op);
    rows->jobs = realloc (rows->jobs, (rows->count + 1) * sizeof *rows->jobs);
    RP_CHECK (rows->jobs != NULL);
    rp_store_row_t *shown = &rows->jobs[rows->count++];
    *shown = (rp_store_row_t){.id = row->id,
      .job = row->job,
      .state = row->state,
      .attempt = s_is_open (row) ? row->attempt : row->made,
      .due = row->due,
      .body_bytes = row->body.size,
      .ended = row->ended,
      .until = row->until,
      .reply_bytes = row->reply.size,
      .child = row->child,
      .code = row->code,
      .status = row->status,
      .text = s_span (s_blob (row->text.data, row->text.size)),
      .reply_headers = s_span (s_blob (row->reply_headers.data, row->reply_headers.size))};
    shown->job.service = s_span (s_blob (row->service.data, row->service.size));
    shown->job.principal = s_span (s_blob (row->principal.data, row->principal.size));
    shown->job.key = s_span (s_blob (row->key.data, row->key.size));
    shown->job.headers = s_span (s_blob (row->headers.data, row->headers.size));
    if (content) {
        shown->body = s_frame (row->body.data, row->body.size);
        shown->body_count = 1;
        if (row->has_reply) {
            shown->reply = s_frame (row->reply.data, row->reply.size);
            shown->reply_count = 1;
        }
    }
}

/*  ---- Operations ----------------------------------------------------------------------------- */

static void s_put (model_store_t *self, model_op_t *op)
{
    model_row_t *row = s_find_key (self, &op->job);
    if (row) {
        bool same = memcmp (row->job.digest, op->job.digest, RP_STORE_DIGEST) == 0;
        op->result.outcome = same ? RP_STORED_KNOWN : RP_STORED_MISMATCH;
        op->result.id = row->id;
        if (same)
            s_show (op, row, true);
        return;
    }
    row = s_add_row (self, &op->job, op->body.data, op->body.size);
    op->result.id = row->id;
    if (op->op.due)
        row->due = op->op.due;
    if (op->op.attempt) {
        row->state = RP_JOB_RUNNING;
        row->attempt = op->op.attempt;
        row->started = op->op.at;
    }
}

static void s_key (model_store_t *self, model_op_t *op)
{
    const model_row_t *row = s_find_key (self, &op->job);
    op->result.outcome = RP_STORED_ABSENT;
    if (!row)
        return;
    bool same = memcmp (row->job.digest, op->job.digest, RP_STORE_DIGEST) == 0;
    op->result.outcome = same ? RP_STORED_KNOWN : RP_STORED_MISMATCH;
    op->result.id = row->id;
}

/*  Open, and not another broker's.  */
static bool s_is_own (const model_row_t *row)
{
    return s_is_open (row) && row->elsewhere == 0;
}

/*  The same, and the broker has been told of it.  */
static bool s_is_told (const model_row_t *row)
{
    return s_is_own (row) && !row->news;
}

/*  An open job is about to end by the hand of one who may not have it. What SERVICES has not told of is not counted, so
    that it ends is nothing to tell.  */
static void s_note (model_store_t *self, const model_row_t *row)
{
    self->notes = realloc (self->notes, (self->note_count + 1) * sizeof *self->notes);
    RP_CHECK (self->notes != NULL);
    self->notes[self->note_count++] =
      (model_note_t){row->id, s_blob (row->service.data, row->service.size), !s_is_told (row)};
}

static bool s_is_noted (const model_store_t *self, uint64_t id)
{
    size_t index = 0;
    while (index < self->note_count && self->notes[index].id != id)
        index++;
    return index < self->note_count;
}

/*  Nothing that is noted so far is told any more.  */
static void s_pass_notes (model_store_t *self)
{
    for (size_t index = 0; index < self->note_count; index++)
        self->notes[index].told = true;
}

/*  The open job of an operation; NULL, with the outcome, if it is not.  */
static model_row_t *s_open_row (model_store_t *self, model_op_t *op)
{
    model_row_t *row = model_store_row (self, op->op.id);
    op->result.id = op->op.id;
    if (row && s_is_open (row))
        return row;
    op->result.outcome = row ? RP_STORED_ALREADY : RP_STORED_ABSENT;
    op->result.noted = !op->op.other && s_is_noted (self, op->op.id);
    return NULL;
}

static void s_attempt (model_store_t *self, model_op_t *op)
{
    model_row_t *row = s_open_row (self, op);
    if (!row)
        return;
    row->state = RP_JOB_RUNNING;
    row->attempt = op->op.attempt;
    row->started = op->op.at;
}

static void s_park (model_store_t *self, model_op_t *op)
{
    model_row_t *row = s_open_row (self, op);
    if (!row)
        return;
    if (!op->op.unbegun && row->state == RP_JOB_RUNNING) {
        RP_CHECK (row->attempt_count < MODEL_ATTEMPTS);
        unsigned index = row->attempt_count++;
        row->texts[index] = s_blob (op->text.data, op->text.size);
        row->attempts[index] = (rp_store_attempt_t){.started = row->started,
          .ended = op->op.at,
          .text = s_span (row->texts[index]),
          .number = row->attempt,
          .status = op->op.status};
    }
    row->state = RP_JOB_WAITING;
    row->attempt = op->op.attempt;
    row->due = op->op.due;
}

static void s_final (model_store_t *self, model_op_t *op)
{
    model_row_t *row = s_open_row (self, op);
    if (!row)
        return;
    if (op->op.other)
        s_note (self, row);
    row->state = op->op.dead ? RP_JOB_DEAD : RP_JOB_DONE;
    free (row->text.data); // of a final that a bug forgot
    free (row->reply.data);
    free (row->reply_headers.data);
    row->made = op->op.attempt;
    row->status = op->op.status;
    row->code = op->op.code;
    row->ended = op->op.at;
    row->until = op->op.until;
    row->text = s_blob (op->text.data, op->text.size);
    row->reply_headers = s_blob (op->headers.data, op->headers.size);
    row->has_reply = op->has_body;
    row->reply = s_blob (op->body.data, op->body.size);
}

static void s_retry (model_store_t *self, model_op_t *op)
{
    model_row_t *dead = model_store_row (self, op->op.id);
    if (!dead || dead->state != RP_JOB_DEAD) {
        op->result.outcome = RP_STORED_ABSENT;
        return;
    }
    rp_store_job_t job = dead->job;
    if (job.deadline != RP_STORE_NEVER)
        job.deadline += op->op.at - job.accepted;
    job.accepted = op->op.at;
    job.not_before = op->op.due;
    job.parent = dead->id;
    if (op->op.attempt)
        job.attempts = op->op.attempt;
    model_row_t *row = s_add_row (self, &job, dead->body.data, dead->body.size);
    dead->child = row->id;
    dead->state = RP_JOB_DONE;
    op->result.id = row->id;
    s_show (op, row, true);
}

static bool s_is_of (const model_row_t *row, const model_op_t *op)
{
    return op->text.size == 0 || s_same (row->job.service, s_span (op->text));
}

static void s_remove (model_store_t *self, model_op_t *op)
{
    model_row_t *row = model_store_row (self, op->op.id);
    if (!row || row->state != RP_JOB_DONE) {
        op->result.outcome = RP_STORED_ABSENT;
        return;
    }
    self->rows[row->id] = NULL;
    s_clear_row (row);
}

static void s_purge (model_store_t *self, model_op_t *op)
{
    for (uint64_t id = 1; id <= self->last; id++) {
        model_row_t *row = self->rows[id];
        if (!row || row->state != RP_JOB_DEAD || (op->op.id ? op->op.id != id : !s_is_of (row, op)))
            continue;
        s_clear_row (row);
        self->rows[id] = NULL;
        op->result.count++;
    }
    if (op->op.id && op->result.count == 0)
        op->result.outcome = RP_STORED_ABSENT;
}

static bool s_is_before (int64_t due, uint64_t id, int64_t other_due, uint64_t other_id)
{
    return due < other_due || (due == other_due && id < other_id);
}

static size_t s_most (const model_op_t *op)
{
    return op->op.rows > 0 && op->op.rows < RP_STORE_ROWS_MAX ? op->op.rows : RP_STORE_ROWS_MAX;
}

static int s_compare (const void *one, const void *other)
{
    const model_row_t *a = *(model_row_t *const *) one, *b = *(model_row_t *const *) other;
    return s_is_before (a->due, a->id, b->due, b->id) ? -1 : 1;
}

static void s_load (model_store_t *self, model_op_t *op)
{
    model_row_t **found = s_alloc ((self->last + 1) * sizeof (model_row_t *));
    size_t count = 0;
    s_begin_rows (op);
    op->result.due = RP_STORE_NEVER;
    for (uint64_t id = 1; id <= self->last; id++) {
        model_row_t *row = self->rows[id];
        if (row && s_is_told (row) && s_is_of (row, op)
            && s_is_before (op->op.after, op->op.id, row->due, row->id))
            found[count++] = row;
    }
    qsort (found, count, sizeof *found, s_compare);
    uint64_t bytes = 0;
    for (size_t index = 0; index < count; index++) {
        const model_row_t *row = found[index];
        bytes += row->body.size + row->headers.size;
        bool fits =
          index < s_most (op) && (index == 0 || op->op.bytes == 0 || bytes <= op->op.bytes);
        if (row->due > op->op.before || !fits) {
            op->result.more = row->due <= op->op.before;
            op->result.due = row->due;
            break;
        }
        s_show (op, row, true);
    }
    free (found);
}

static void s_find (model_store_t *self, model_op_t *op)
{
    const model_row_t *row = model_store_row (self, op->op.id);
    op->result.id = op->op.id;
    if (!row) {
        op->result.outcome = RP_STORED_ABSENT;
        return;
    }
    s_show (op, row, true);
    rp_store_row_t *shown = &op->result.rows->jobs[0];
    shown->elsewhere = s_is_told (row) || !s_is_open (row) ? 0 : row->elsewhere + row->news;
    if (op->op.leaves != RP_STORE_LEAVE_NOTHING)
        shown->body_count = 0;
    if (op->op.leaves == RP_STORE_LEAVE_FRAMES)
        shown->reply_count = 0;
    shown->attempts = s_alloc ((row->attempt_count + 1) * sizeof *shown->attempts);
    shown->attempt_count = row->attempt_count;
    memcpy (shown->attempts, row->attempts, row->attempt_count * sizeof *shown->attempts);
}

static void s_list (model_store_t *self, model_op_t *op)
{
    s_begin_rows (op);
    for (uint64_t id = op->op.id + 1; id <= self->last; id++) {
        const model_row_t *row = self->rows[id];
        if (op->op.own && self->looks && id - op->op.id > self->looks) {
            op->result.more = true;
            op->result.id = id - 1;
            return;
        }
        if (!row || !s_is_of (row, op))
            continue;
        if ((op->op.own || op->op.state == RP_JOB_OVERDUE) && !s_is_told (row))
            continue;
        if (op->op.state == RP_JOB_OVERDUE
              ? row->state != RP_JOB_WAITING || row->job.deadline > op->op.before
              : op->op.state != RP_JOB_ANY && row->state != op->op.state)
            continue;
        if (op->result.rows->count == s_most (op)) {
            op->result.more = true;
            return;
        }
        s_show (op, row, false);
        op->result.id = id;
    }
}

static void s_tell_notes (model_store_t *self, model_op_t *op)
{
    rp_store_rows_t *rows = op->result.rows;
    rows->ended = s_alloc (self->note_count * sizeof *rows->ended);
    for (size_t index = 0; index < self->note_count; index++) {
        model_note_t *note = &self->notes[index];
        if (note->told)
            continue;
        note->told = true;
        rows->ended[rows->ended_count++] = (rp_store_ended_t){
          .id = note->id, .service = s_span (s_blob (note->service.data, note->service.size))};
    }
}

static void s_services (model_store_t *self, model_op_t *op)
{
    rp_store_rows_t *rows = s_begin_rows (op);
    if (!op->op.news)
        s_pass_notes (self); // their jobs are not counted
    s_tell_notes (self, op);
    for (uint64_t id = self->last; id > 0; id--)
        if (self->rows[id]) {
            op->result.flags = self->rows[id]->job.flags;
            break;
        }
    for (uint64_t id = 1; id <= self->last; id++) {
        model_row_t *row = self->rows[id];
        if (!row || !s_is_own (row) || (op->op.news && !row->news))
            continue;
        row->news = false;
        size_t index = 0;
        while (
          index < rows->service_count && !s_same (rows->services[index].service, row->job.service))
            index++;
        if (index == rows->service_count) {
            rows->services = realloc (rows->services, (index + 1) * sizeof *rows->services);
            RP_CHECK (rows->services != NULL);
            rows->service_count++;
            rows->services[index] = (rp_store_service_t){
              .service = s_span (s_blob (row->service.data, row->service.size)),
              .due = RP_STORE_NEVER};
        }
        rp_store_service_t *service = &rows->services[index];
        service->waiting += row->state == RP_JOB_WAITING;
        service->running += row->state == RP_JOB_RUNNING;
        if (row->state == RP_JOB_WAITING && row->due < service->due)
            service->due = row->due;
    }
}

static void s_brokers (model_store_t *self, model_op_t *op)
{
    (void) self;
    s_begin_rows (op);
}

static void s_run (model_store_t *self, model_op_t *op)
{
    static void (*const runs[RP_STORE_KIND_COUNT]) (model_store_t *, model_op_t *) = {
      [RP_STORE_PUT] = s_put,
      [RP_STORE_ATTEMPT] = s_attempt,
      [RP_STORE_PARK] = s_park,
      [RP_STORE_FINAL] = s_final,
      [RP_STORE_RETRY] = s_retry,
      [RP_STORE_REMOVE] = s_remove,
      [RP_STORE_PURGE] = s_purge,
      [RP_STORE_LOAD] = s_load,
      [RP_STORE_FIND] = s_find,
      [RP_STORE_LIST] = s_list,
      [RP_STORE_SERVICES] = s_services,
      [RP_STORE_KEY] = s_key,
      [RP_STORE_BROKERS] = s_brokers,
    };
    runs[op->op.kind](self, op);
}

/*  ---- Other brokers -------------------------------------------------------------------------- */

void model_store_lose (model_store_t *self, uint64_t to)
{
    self->lost = true;
    s_pass_notes (self); // it is told
    for (uint64_t id = 1; id <= self->last; id++)
        if (self->rows[id] && s_is_own (self->rows[id]))
            self->rows[id]->elsewhere = to;
}

void model_store_adopt (model_store_t *self)
{
    for (uint64_t id = 1; id <= self->last; id++) {
        model_row_t *row = self->rows[id];
        if (row && s_is_open (row) && row->elsewhere) {
            row->elsewhere = 0;
            row->news = true;
        }
    }
}

void model_store_end (model_store_t *self, uint64_t id)
{
    model_row_t *row = model_store_row (self, id);
    s_note (self, row);
    row->state = RP_JOB_DONE;
    row->status = RP_CANCELLED;
    row->news = false;
    row->taken = true;
}

/*  ---- In and out ----------------------------------------------------------------------------- */

void model_store_submit (model_store_t *self,
  const rp_store_op_t *from,
  const void *body,
  size_t size,
  bool has_body,
  void *kept)
{
    RP_CHECK (from->number == ++self->number && from->kind < RP_STORE_KIND_COUNT);
    model_op_t *op = s_alloc (sizeof *op);
    op->op = *from;
    op->text = s_blob (from->text, from->text_size);
    op->op.text = op->text.data;
    if (from->worker) {
        op->worker = s_blob (from->worker, strlen (from->worker));
        op->op.worker = op->worker.data;
    }
    if (from->kind == RP_STORE_PUT || from->kind == RP_STORE_KEY) {
        op->job = *from->job;
        op->service = s_blob (from->job->service.data, from->job->service.size);
        op->principal = s_blob (from->job->principal.data, from->job->principal.size);
        op->key = s_blob (from->job->key.data, from->job->key.size);
        op->headers = s_blob (from->job->headers.data, from->job->headers.size);
        op->job.service = s_span (op->service);
        op->job.principal = s_span (op->principal);
        op->job.key = s_span (op->key);
        op->job.headers = s_span (op->headers);
        op->op.job = &op->job;
    }
    else if (from->kind == RP_STORE_FINAL) {
        op->headers = s_blob (from->headers, from->headers_size);
        op->op.headers = op->headers.data;
    }
    op->body = s_blob (body, size);
    op->has_body = has_body;
    op->result =
      (rp_stored_t){.number = from->number, .kind = (rp_store_kind_t) from->kind, .kept = kept};
    rp_list_append (&self->queue, &op->node);
    self->queued++;
}

bool model_store_commit (model_store_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->queue);
    if (!node)
        return false;
    model_op_t *op = RP_CONTAINER (node, model_op_t, node);
    rp_list_remove (node);
    self->queued--;
    if (self->ordered_count[op->op.kind] > 0) {
        self->ordered_count[op->op.kind]--;
        op->result.outcome = self->ordered[op->op.kind];
    }
    else if (self->outcome) {
        op->result.outcome = self->outcome (&op->op, self->arg);
    }
    self->lost =
      self->lost
      && (op->op.kind != RP_STORE_SERVICES || op->op.news
          || op->result.outcome == RP_STORED_LOST); // lost again, at the beginning itself
    if (self->lost && !self->unfenced)
        op->result.outcome = RP_STORED_LOST;
    if (op->result.outcome == RP_STORED_SAFE)
        s_run (self, op);
    rp_list_append (&self->results, &op->node);
    self->result_count++;
    if (self->commit)
        self->commit (&op->op, &op->result,
          model_store_row (self, op->op.kind == RP_STORE_PUT ? op->result.id : op->op.id),
          self->arg);
    return true;
}

model_op_t *model_store_take (model_store_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->results);
    if (!node)
        return NULL;
    rp_list_remove (node);
    self->result_count--;
    return RP_CONTAINER (node, model_op_t, node);
}
