/*  Outbox: the one way out of the broker, for all that is said to peers.

    SPDX-License-Identifier: MPL-2.0

    A message that is passed on is the one that came in: its head is rewritten where it lies. What
    could not be sent is not an error here but news for the core, and waits in a line of events
    until the server feeds it back.

    What is for a session waits in an outbox until the batch of messages at hand has been handled,
    and then goes out back to back. Sent one by one in between, messages would keep libzmq's I/O
    thread awake and hand it a few bytes at a time: measured, a quarter of the bytes per system
    call, and a third more CPU time per request. What is for the same session goes in bundles if it
    reads them (common/wire/bundle.h). What must come before a later decision, as the end of a session
    is one, goes out first: rp_outbox_empty.

    Before anything goes out, whatever the journal has is written (broker/store/journal.h).

    What waits for a peer in libzmq is bounded in messages by libzmq, and here in bytes: who has too
    many waiting is full. Requests to workers are not counted, because the core has them in its
    books for as long as they are open, and neither is what is small.

    Thread-safety: none.
*/

#ifndef RP_OUTBOX_H
#define RP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/core/action.h"
#include "broker/core/dispatch.h"
#include "broker/protocol/foreign.h"
#include "broker/store/journal.h"
#include "broker/transport/compact_body.h"
#include "broker/transport/listener.h"
#include "broker/transport/routes.h"
#include "common/io/backlog.h"
#include "common/io/message.h"

/*  Who sent the event being handled: it gets what is for nobody, and is bound by ADMIT. Without a
    sender routing_id is NULL.  */
typedef struct {
    const void *routing_id;
    size_t size;
    rp_connection_t *connection; /* of somebody without a session; NULL: not known */
    bool bundles;                /* it reads bundles */
    /*  Of one that speaks another protocol: its session, which ADMIT takes (and nulls), or what
        stands for one while it has none.  */
    rp_foreign_session_t *foreign;
} rp_sender_t;

/*  Messages of more bytes count in the backlog, each by itself. Small ones count together, when they
    are more than this: the last of them stands for all, since they are written in their order. To
    count each would cost more than it does.  */
#define RP_OUTBOX_SMALL 1024u
/*  What a frame takes in libzmq beside its bytes.  */
#define RP_OUTBOX_FRAME ((size_t) 64)

/*  More than this is sent as soon as its event has been handled: at the end of a batch it would be
    out of the processor's cache, and for as much libzmq makes system calls of its own anyway.  */
#define RP_OUTBOX_LARGE 16384u

/*  Messages that wait at most: what a batch of the server brings, so that bundles are as large as
    may be.  */
#define RP_OUTBOX_OUTBOX 1024u

typedef struct {
    rp_session_id_t session;
    rp_token_t token; /* of a REQUEST; it goes back to the core if it cannot be sent, unless kept */
    bool keep;
    bool follows;  /* another, earlier one leads to it */
    uint32_t next; /* the next one for the same session, 0: none */
    rp_message_t *message;
} rp_outbox_waiting_t;

typedef struct {
    void *router;               /* of listener 0; not owned */
    rp_listener_t *listeners;   /* the others, by number; not owned, may be NULL */
    rp_foreign_t *foreign;      /* not owned, may be NULL: then there are none */
    rp_routes_t *routes;        /* not owned */
    rp_message_pool_t *pool;    /* not owned */
    rp_journal_t *journal;      /* not owned; NULL: there is none */
    rp_backlog_total_t backlog; /* of all sessions, bytes */
    size_t backlog_max;         /* of one session, bytes */
    rp_event_t *events;         /* from event_first to event_count */
    size_t event_first;
    size_t event_count;
    size_t event_capacity;
    size_t waiting_count;
    bool large; /* one of them is */
    bool used;  /* a socket, since the last rp_outbox_flush */
    rp_outbox_waiting_t waiting[RP_OUTBOX_OUTBOX];
} rp_outbox_t;

/*  backlog: bytes that may wait for one session; one message may of any size.  */
void rp_outbox_init (rp_outbox_t *self,
  void *router,
  rp_routes_t *routes,
  rp_message_pool_t *pool,
  rp_journal_t *journal,
  size_t backlog);
void rp_outbox_clear (rp_outbox_t *self);

/*  Who is not of Riposte's own protocol, and where they come from.  */
void rp_outbox_serve_foreign (rp_outbox_t *self, rp_foreign_t *foreign, rp_listener_t *listeners);

/*  Carries out a SEND to a session: it waits in the outbox.  */
void rp_outbox_post (rp_outbox_t *self, const rp_action_t *action);

/*  Carries out a SEND to somebody without a session, which goes out at once.  */
void rp_outbox_answer (rp_outbox_t *self, const rp_action_t *action, const rp_sender_t *sender);

/*  Frees a payload; NULL is allowed.  */
void rp_outbox_drop (rp_outbox_t *self, rp_payload_t *payload);

/*  Appends the body of another payload, which is freed, to a payload.  */
void rp_outbox_join (rp_outbox_t *self, rp_payload_t *payload, rp_payload_t *other);

/*  Sends what waits in the outbox.  */
void rp_outbox_empty (rp_outbox_t *self);

/*  Likewise. False if nothing was sent from it since the last call: no socket was used.  */
bool rp_outbox_flush (rp_outbox_t *self);

/*  True if what waits should be sent before the next message is taken.  */
static inline bool rp_outbox_is_urgent (const rp_outbox_t *self)
{
    return self->large;
}

/*  Sends a message to a session, as SEND does; takes *message_p in any case.  */
void rp_outbox_send (rp_outbox_t *self, rp_session_id_t session, rp_message_t **message_p);

/*  Bytes that wait for all sessions to read them.  */
static inline size_t rp_outbox_backlog (const rp_outbox_t *self)
{
    return atomic_load_explicit (&self->backlog, memory_order_relaxed);
}

/*  Takes the next event that the core has to be told. False if there is none.  */
bool rp_outbox_next_event (rp_outbox_t *self, rp_event_t *event);

/*  A request waits, whose head is given: from now on its payload takes no more memory than it must.
    What was there before, a message, is gone.  */
void rp_outbox_keep (rp_outbox_t *self, const rp_head_t *head, rp_payload_t **payload_p);

/*  The core's payloads are the shell's messages, or, of requests that wait, its compact bodies: the
    address of a compact body has its lowest bit set.  */
static inline rp_payload_t *rp_outbox_payload (rp_message_t *message)
{
    return (rp_payload_t *) message;
}

static inline rp_message_t *rp_outbox_message (rp_payload_t *payload)
{
    return (rp_message_t *) payload;
}

#endif
