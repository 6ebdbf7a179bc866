/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/trace_log.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "common/base/uninitialized.h"
#include "common/wire/headers.h"

_Static_assert(sizeof (rp_trace_cell_t) == 64, "a cell is a cache line");
_Static_assert(offsetof (struct rp_trace_ended, tail)
                 == offsetof (struct rp_trace_ended, cell) + sizeof (rp_trace_cell_t),
  "a tail is behind its cell");

/*  The largest tail: names, ids, a text, and all losses.  */
#define S_TAIL_MAX                                                                                 \
    (sizeof (rp_trace_tail_t) + 1024                                                               \
      + RP_TRACE_LOSSES_MAX                                                                        \
          * (sizeof (rp_trace_loss_t) + RP_PEER_NAME_MAX + 1 + RP_TRACE_TEXT_MAX + 1))

static void s_begin (rp_trace_ring_t *self, uint64_t bytes)
{
    uint64_t size = bytes / sizeof (rp_trace_cell_t);
    if (size > UINT32_MAX / 2)
        size = UINT32_MAX / 2;
    self->cells = size ? calloc (size, sizeof (rp_trace_cell_t)) : NULL;
    self->size = self->cells ? (uint32_t) size : 0;
}

void rp_trace_log_init (rp_trace_log_t *self, uint64_t bytes)
{
    s_begin (&self->ordinary, bytes / 2);
    s_begin (&self->kept, bytes / 4);
    uint64_t notes = bytes / 8 / sizeof (rp_trace_note_t);
    self->room = bytes / 8;
    rp_pool_init (&self->notes, sizeof (rp_trace_note_t),
      notes < UINT32_MAX / 2 ? (uint32_t) notes : UINT32_MAX / 2, 0);
    rp_table_init (&self->notes_by_slot);
}

void rp_trace_log_clear (rp_trace_log_t *self)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->notes); slot++) {
        rp_trace_note_t *note = rp_pool_at (&self->notes, slot);
        if (note->pooled.generation & 1)
            free (note->losses);
    }
    rp_pool_clear (&self->notes);
    rp_table_clear (&self->notes_by_slot);
    free (self->ordinary.cells);
    free (self->kept.cells);
}

const rp_trace_cell_t *rp_trace_ring_next (const rp_trace_ring_t *self, uint32_t *walked)
{
    uint32_t step = self->last;
    if (*walked) {
        uint32_t at = self->at >= *walked ? self->at - *walked : self->at + self->size - *walked;
        step = self->cells[at].back;
    }
    if (step == 0 || *walked + step > self->size)
        return NULL;
    *walked += step;
    return &self->cells[self->at >= *walked ? self->at - *walked : self->at + self->size - *walked];
}

/*  ---- Notes ---------------------------------------------------------------------------------- */

static uint64_t s_hash (const rp_dispatch_t *self, uint32_t slot)
{
    return rp_hash_pair (slot, 1, self->seed);
}

rp_trace_note_t *rp_trace_note (const rp_dispatch_t *self, uint32_t slot)
{
    uint64_t hash = s_hash (self, slot);
    rp_table_cursor_t cursor;
    rp_trace_note_t *note = rp_table_first (&self->trace.notes_by_slot, hash, &cursor);
    while (note && note->slot != slot)
        note = rp_table_next (&self->trace.notes_by_slot, hash, &cursor);
    return note;
}

/*  Returns the note of a request, which is made if there is none; NULL at the limit.  */
static rp_trace_note_t *s_note (rp_dispatch_t *self, rp_request_t *request)
{
    uint32_t slot = request->pooled.slot;
    if (request->noted)
        return rp_trace_note (self, slot);
    rp_trace_note_t *note = self->trace.ordinary.size ? rp_pool_take (&self->trace.notes) : NULL;
    if (!note)
        return NULL;
    note->slot = slot;
    note->accepted = request->accepted;
    if (!rp_table_insert (&self->trace.notes_by_slot, s_hash (self, slot), note)) {
        rp_pool_give (&self->trace.notes, note);
        return NULL;
    }
    request->noted = true;
    return note;
}

static void s_drop (rp_dispatch_t *self, rp_request_t *request, rp_trace_note_t *note)
{
    rp_table_remove (&self->trace.notes_by_slot, s_hash (self, note->slot), note);
    self->trace.room += note->count * sizeof *note->losses;
    free (note->losses);
    rp_pool_give (&self->trace.notes, note);
    request->noted = false;
}

/*  True for VERSION-TRACE-PARENT-FLAGS, of which the trace id is hexadecimal, in lower case, and not
    zero.  */
static bool s_has_trace_id (const rp_header_t *header)
{
    if (header->value_size < 55 || header->value[2] != '-' || header->value[35] != '-')
        return false;
    bool zero = true;
    for (const char *at = header->value + 3; at < header->value + 3 + RP_TRACE_ID_SIZE; at++) {
        if ((*at < '0' || *at > '9') && (*at < 'a' || *at > 'f'))
            return false;
        zero &= *at == '0';
    }
    return !zero;
}

static void s_export (rp_dispatch_t *self, rp_trace_ended_t *ended)
{
    rp_actions_add (self->actions, RP_ACTION_EXPORT, (rp_session_id_t){0})->ended = ended;
}

void rp_trace_headers (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head)
{
    rp_header_t id, parent;
    const uint8_t *block = head->headers;
    bool named = rp_headers_find (block, head->headers_size, RP_TRACE_REQUEST_ID, &id);
    bool traced = rp_headers_find (block, head->headers_size, RP_TRACE_PARENT, &parent)
                  && s_has_trace_id (&parent);
    rp_traceparent_t exported = {.sampled = false};
    if (traced && self->exports)
        (void) rp_traceparent_read (&exported, parent.value, parent.value_size);
    rp_trace_note_t *note = named || traced ? s_note (self, request) : NULL;
    if (!note) {
        if (exported.sampled)
            s_export (self, NULL);
        return;
    }
    if (exported.sampled)
        memcpy (note->parent_id, exported.span_id, sizeof note->parent_id);
    if (named)
        memcpy (note->request_id, id.value,
          id.value_size < RP_TRACE_REQUEST_ID_MAX ? id.value_size : RP_TRACE_REQUEST_ID_MAX);
    if (traced)
        memcpy (note->trace_id, parent.value + 3, RP_TRACE_ID_SIZE);
}

/*  Workers of the service when it was given out; 0: not known any more.  */
static uint32_t s_workers (const rp_request_t *request)
{
    const rp_service_t *service = rp_request_service (request);
    bool then = request->state != RP_REQUEST_RUNNING || service->counted <= request->dispatched;
    return then ? service->worker_count : 0;
}

static void s_copy (char *target, size_t capacity, const char *text)
{
    size_t size = strnlen (text, capacity - 1);
    memcpy (target, text, size);
    target[size] = 0;
}

/*  Why its worker was lost, if it was; otherwise the text.  */
static const char *s_why (const rp_request_t *request, const char *text)
{
    bool has_worker = request->state == RP_REQUEST_RUNNING;
    return has_worker && request->worker->ending ? request->worker->ending : text;
}

void rp_trace_lost (
  rp_dispatch_t *self, rp_request_t *request, rp_trace_kind_t kind, const char *text)
{
    rp_trace_note_t *note = s_note (self, request);
    unsigned wait = request->waited;
    request->waited = RP_WAIT_NOT;
    if (!note)
        return;
    bool fits =
      note->count < RP_TRACE_LOSSES_MAX && self->trace.room >= sizeof (rp_trace_noted_loss_t);
    rp_trace_noted_loss_t *losses =
      fits ? realloc (note->losses, (note->count + 1) * sizeof *losses) : NULL;
    if (!losses) {
        note->omitted++;
        return;
    }
    self->trace.room -= sizeof *losses;
    note->losses = losses;
    rp_trace_noted_loss_t *loss = &losses[note->count++];
    loss->loss = (rp_trace_loss_t){.given = request->dispatched,
      .lost = self->now,
      .token = rp_pool_handle (&request->pooled),
      .workers = s_workers (request),
      .kind = (uint8_t) kind,
      .attempt = request->attempt,
      .wait = (uint8_t) wait};
    s_copy (loss->worker, sizeof loss->worker, request->worker->name);
    s_copy (loss->text, sizeof loss->text, kind == RP_TRACE_LOST ? s_why (request, text) : text);
}

void rp_trace_move (rp_dispatch_t *self, rp_request_t *from, rp_request_t *to)
{
    rp_trace_note_t *note = from->noted ? rp_trace_note (self, from->pooled.slot) : NULL;
    if (!note)
        return;
    rp_table_remove (&self->trace.notes_by_slot, s_hash (self, note->slot), note);
    from->noted = false;
    note->slot = to->pooled.slot;
    // Never fails: a place has just become free.
    to->noted = rp_table_insert (&self->trace.notes_by_slot, s_hash (self, note->slot), note);
}

/*  ---- Records -------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[S_TAIL_MAX];
    size_t size;
} s_tail_t;

static void s_put (s_tail_t *self, const void *bytes, size_t size)
{
    memcpy (self->bytes + self->size, bytes, size);
    self->size += size;
}

static void s_put_text (s_tail_t *self, const char *text, size_t size)
{
    s_put (self, text, size);
    self->bytes[self->size++] = 0;
}

static void s_put_string (s_tail_t *self, const char *text)
{
    s_put_text (self, text, strlen (text));
}

static rp_trace_cell_t *s_take (rp_trace_ring_t *ring, const s_tail_t *tail)
{
    size_t cells = 1 + (tail->size + sizeof (rp_trace_cell_t) - 1) / sizeof (rp_trace_cell_t);
    rp_trace_cell_t *cell = rp_trace_ring_take (ring, (uint32_t) cells);
    if (cell)
        memcpy (cell + 1, tail->bytes, tail->size);
    return cell;
}

static void s_put_losses (s_tail_t *tail, const rp_trace_note_t *note)
{
    for (uint32_t index = 0; note && index < note->count; index++) {
        s_put (tail, &note->losses[index].loss, sizeof note->losses[index].loss);
        s_put_string (tail, note->losses[index].worker);
        s_put_string (tail, note->losses[index].text);
    }
}

static void s_write_tail (
  s_tail_t *tail, const rp_request_t *request, const rp_trace_note_t *note, const rp_head_t *reply)
{
    const rp_session_t *client = rp_request_client (request);
    bool ours = reply->status != RP_OK && reply->status != RP_APP_ERROR; // a worker's is private
    const char *why = reply->status == RP_WORKER_LOST ? s_why (request, NULL) : NULL;
    const char *text = why ? why : reply->text;
    size_t size = why ? strlen (why) : ours && text ? reply->text_size : 0;
    tail->size = 0;
    s_put (tail,
      &(rp_trace_tail_t){.accepted = note ? note->accepted : request->accepted,
        .dispatched = request->dispatched,
        .reply = rp_stream_reply_total (request),
        .body = rp_stream_body_total (request),
        .omitted = note ? note->omitted : 0,
        .losses = note ? note->count : 0},
      sizeof (rp_trace_tail_t));
    s_put_string (tail, rp_request_service (request)->name);
    s_put_string (tail, client->name);
    s_put_string (tail, request->state == RP_REQUEST_RUNNING ? request->worker->name : "");
    s_put_string (tail, client->principal->name);
    s_put_string (tail, note ? note->request_id : "");
    s_put_string (tail, note ? note->trace_id : "");
    s_put_string (tail, note ? note->parent_id : "");
    s_put_text (tail, size ? text : "", size < RP_TRACE_TEXT_MAX ? size : RP_TRACE_TEXT_MAX);
    s_put_losses (tail, note);
}

/*  Fills the first cell of a record with a tail.  */
static void s_fill (rp_trace_cell_t *cell,
  const rp_dispatch_t *self,
  const rp_request_t *request,
  const rp_trace_note_t *note,
  unsigned status)
{
    bool given = request->state == RP_REQUEST_RUNNING;
    if (note && note->count && given) // it came to nothing, and no other followed
        given = note->losses[note->count - 1].loss.token != rp_pool_handle (&request->pooled);
    uint32_t workers = s_workers (request);
    cell->session = rp_pool_handle (&rp_request_client (request)->pooled);
    cell->client_id = request->client_id;
    cell->token = rp_pool_handle (&request->pooled);
    cell->worker = 0;
    cell->ended = self->now;
    cell->kind = RP_TRACE_CELL_FULL;
    cell->status = (uint8_t) status;
    cell->attempt = request->attempt;
    cell->attempts = request->attempts;
    cell->wait = request->waited;
    cell->workers = (uint16_t) (workers < UINT16_MAX ? workers : 0);
    cell->given = given;
}

/*  Copies a record for the export.  */
static void s_export_record (rp_dispatch_t *self, const rp_trace_cell_t *cell, const s_tail_t *tail)
{
    rp_trace_ended_t *ended = malloc (sizeof *ended + tail->size);
    if (ended) {
        ended->size = tail->size;
        ended->cell = *cell;
        memcpy (ended->tail, tail->bytes, tail->size);
    }
    s_export (self, ended);
}

void rp_trace_keep (rp_dispatch_t *self,
  rp_request_t *request,
  const rp_head_t *reply,
  uint32_t queue_us,
  uint32_t work_us,
  bool slow)
{
    s_tail_t tail RP_UNINITIALIZED;
    rp_trace_note_t *note = request->noted ? rp_trace_note (self, request->pooled.slot) : NULL;
    bool failed = reply->status != RP_OK && reply->status != RP_APP_ERROR;
    bool longer = failed || slow || (note && note->count + note->omitted > 0);
    s_write_tail (&tail, request, note, reply);
    rp_trace_cell_t whole = {.queue_us = queue_us, .work_us = work_us};
    s_fill (&whole, self, request, note, reply->status);
    rp_trace_cell_t *cell = s_take (longer ? &self->trace.kept : &self->trace.ordinary, &tail);
    if (cell) {
        whole.back = cell->back;
        whole.cells = cell->cells;
        *cell = whole;
    }
    if (!note)
        return;
    if (note->parent_id[0])
        s_export_record (self, &whole, &tail);
    s_drop (self, request, note);
}

void rp_trace_session (rp_dispatch_t *self, const rp_session_t *session)
{
    s_tail_t tail RP_UNINITIALIZED;
    if (!self->trace.ordinary.size)
        return;
    tail.size = 0;
    s_put_string (&tail, session->name);
    s_put_string (&tail, session->role == RP_ROLE_WORKER ? session->service->name : "");
    s_put_string (&tail, session->principal->name);
    rp_trace_cell_t *cell = s_take (&self->trace.ordinary, &tail);
    if (!cell)
        return;
    cell->session = rp_pool_handle (&session->pooled);
    cell->kind = RP_TRACE_CELL_SESSION;
}
