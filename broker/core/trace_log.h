/*  The log of traces: the two rings of ended requests, and notes about open ones. broker/core/trace reads
    it.

    SPDX-License-Identifier: MPL-2.0

    A ring is cells of 64 bytes. An ordinary request takes one, which names its sessions by their
    handles; when a session ends, its name is written into the same ring, so it stays there longer than
    the requests that need it. Any other record has a tail with its names, in further cells. Each record
    says how many cells back the one before begins; so a ring is read backwards, from the newest.

    A note is kept for an open request with a header by which it is found, or that a worker has lost.
    Internal to the core.
*/

#ifndef RP_TRACE_LOG_H
#define RP_TRACE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/trace.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"
#include "common/wire/traceparent.h"

typedef enum {
    RP_TRACE_CELL_PLAIN,
    RP_TRACE_CELL_FULL,
    RP_TRACE_CELL_SESSION
} rp_trace_cell_kind_t;

/*  The first cell of a record.  */
typedef struct {
    uint64_t session;
    uint64_t client_id;
    uint64_t token;
    uint64_t worker; /* handle; 0: none */
    int64_t ended;
    uint32_t queue_us;
    uint32_t work_us;
    uint32_t back; /* cells to the record before; 0: there is none */
    uint16_t cells;
    uint16_t workers;
    uint16_t figures; /* PLAIN: index of its service's */
    uint8_t kind;
    uint8_t wait;
    uint8_t status;
    uint8_t attempt;
    uint8_t attempts; /* FULL */
    bool given;       /* FULL: a worker had it at its end */
} rp_trace_cell_t;

/*  What a tail begins with; behind it service, client, worker, principal, request id, trace id, parent id
    and text, each NUL-terminated, and then the losses.  */
typedef struct {
    int64_t accepted;
    int64_t dispatched;
    rp_trace_parts_t reply;
    rp_trace_parts_t body;
    uint32_t omitted;
    uint32_t losses;
} rp_trace_tail_t;

/*  One delivery that came to nothing; in a tail worker and text follow.  */
typedef struct {
    int64_t given;
    int64_t lost;
    uint64_t token;
    uint32_t workers;
    uint8_t kind; /* rp_trace_kind_t */
    uint8_t attempt;
    uint8_t wait; /* why it had waited before */
    uint8_t unused;
} rp_trace_loss_t;

#define RP_TRACE_TEXT_MAX 159u

typedef struct {
    rp_trace_loss_t loss;
    char worker[RP_PEER_NAME_MAX + 1];
    char text[RP_TRACE_TEXT_MAX + 1];
} rp_trace_noted_loss_t;

typedef struct {
    rp_pooled_t pooled;
    uint32_t slot; /* of the request */
    uint32_t count;
    uint32_t omitted;
    int64_t accepted; /* which moves on when an untimed request is lost */
    rp_trace_noted_loss_t *losses;
    char request_id[RP_TRACE_REQUEST_ID_MAX + 1];
    char trace_id[RP_TRACE_ID_SIZE + 1];
    char parent_id[RP_TRACEPARENT_SPAN_SIZE + 1]; /* "": it is not exported */
} rp_trace_note_t;

/*  A record that is in no ring.  */
struct rp_trace_ended {
    size_t size; /* of the tail */
    rp_trace_cell_t cell;
    uint8_t tail[]; /* behind the cell, as in a ring */
};

typedef struct {
    rp_trace_cell_t *cells; /* NULL: nothing is kept */
    uint32_t size;
    uint32_t at;   /* where the next record begins */
    uint32_t last; /* cells from the newest record to there; 0: there is none */
} rp_trace_ring_t;

typedef struct {
    rp_trace_ring_t ordinary;
    rp_trace_ring_t kept; /* failed, redelivered, slow */
    rp_pool_t notes;
    rp_table_t notes_by_slot;
    uint64_t room; /* for further losses in notes, bytes */
} rp_trace_log_t;

struct rp_request;
struct rp_session;

/*  bytes: for rings and notes together; 0, or out of memory: nothing is kept.  */
void rp_trace_log_init (rp_trace_log_t *self, uint64_t bytes);
void rp_trace_log_clear (rp_trace_log_t *self);

/*  Begins a record of so many cells; NULL if the ring is smaller.  */
static inline rp_trace_cell_t *rp_trace_ring_take (rp_trace_ring_t *self, uint32_t cells)
{
    uint32_t back = self->last;
    if (self->at + cells > self->size) {
        if (cells > self->size)
            return NULL;
        if (back)
            back += self->size - self->at;
        self->at = 0;
    }
    rp_trace_cell_t *cell = &self->cells[self->at];
    self->at += cells;
    self->last = cells;
    cell->back = back;
    cell->cells = (uint16_t) cells;
    return cell;
}

/*  Goes from the newest record (*walked 0) to the one before; NULL at the end.  */
const rp_trace_cell_t *rp_trace_ring_next (const rp_trace_ring_t *self, uint32_t *walked);

/*  Notes that a request has been accepted with headers.  */
void rp_trace_headers (rp_dispatch_t *self, struct rp_request *request, const rp_head_t *head);

/*  Notes that a delivery came to nothing: kind LOST, RETURNED or UNSENT. To be called before anything
    of the request changes.  */
void rp_trace_lost (
  rp_dispatch_t *self, struct rp_request *request, rp_trace_kind_t kind, const char *text);

/*  Another delivery has the client of a request from now on, and its note.  */
void rp_trace_move (rp_dispatch_t *self, struct rp_request *from, struct rp_request *to);

/*  Keeps a request that ends and is not ordinary, and drops its note.  */
void rp_trace_keep (rp_dispatch_t *self,
  struct rp_request *request,
  const rp_head_t *reply,
  uint32_t queue_us,
  uint32_t work_us,
  bool slow);

/*  A session ends: keeps its names.  */
void rp_trace_session (rp_dispatch_t *self, const struct rp_session *session);

/*  Returns the note about a request; NULL if there is none.  */
rp_trace_note_t *rp_trace_note (const rp_dispatch_t *self, uint32_t slot);

#endif
