/*  Outbox: the one way out of the broker, for all messages to peers.

    SPDX-License-Identifier: MPL-2.0

    A message that is passed on is the one that came in, with its head rewritten in place. A message
    that could not be sent is not an error here: it becomes an event for the core, and waits until
    the server takes it.

    Messages to sessions wait here until the batch in hand is handled, and then go out back to back.
    Sent one by one in between, they would keep libzmq's I/O thread awake and feed it a few bytes at
    a time: measured, a quarter of the bytes per system call, and a third more CPU time per request.
    Messages to one session go in bundles if it reads them (common/wire/bundle.h). rp_outbox_empty
    sends at once what must go before a later action, such as the end of a session.

    Before anything goes out, all records of the journal are written (broker/store/journal.h).

    Messages in libzmq for one session are bounded by libzmq in number, and here in bytes: a session
    over that is full. Requests to workers do not count, because the core counts them while they are
    open; small messages count only together.

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
#include "broker/transport/backlog.h"
#include "broker/transport/compact_body.h"
#include "broker/transport/listener.h"
#include "broker/transport/routes.h"
#include "common/io/message.h"

/*  The sender of the event in hand. It gets the messages for session 0, and ADMIT binds its
    session. No sender: routing_id is NULL.  */
typedef struct {
    const void *routing_id;
    size_t size;
    rp_connection_t *connection; /* of a sender without a session; NULL: not known */
    bool bundles;                /* it reads bundles */
    /*  The foreign session of the sender, which ADMIT takes (and nulls); without a session, one
        that takes its place.  */
    rp_foreign_session_t *foreign;
} rp_sender_t;

/*  A larger message counts in the backlog by itself, bytes. Smaller ones count together, once they
    exceed this: messages are written in order, so the last of them stands for all. To count each
    would cost more than it does.  */
#define RP_OUTBOX_SMALL 1024u
/*  What libzmq takes for a frame beside its bytes.  */
#define RP_OUTBOX_FRAME ((size_t) 64)

/*  A larger message, bytes, goes out as soon as its event is handled: at the end of the batch it
    would have left the processor's cache, and libzmq sends as much in system calls of its own
    anyway.  */
#define RP_OUTBOX_LARGE 16384u

/*  The most messages that wait: as many as a batch of the server, to make bundles large.  */
#define RP_OUTBOX_OUTBOX 1024u

typedef struct {
    rp_session_id_t session;
    rp_token_t token; /* of a REQUEST; goes back to the core if it cannot be sent, unless kept */
    bool keep;
    bool follows; /* an earlier message's next is this one */
    bool reply;   /* the last REPLY to a request, with this status */
    uint8_t status;
    uint32_t next; /* number of the session's next message; 0: none */
    rp_message_t *message;
} rp_outbox_waiting_t;

typedef struct {
    void *router;               /* of listener 0; not owned */
    rp_listener_t *listeners;   /* by number; not owned, may be NULL */
    rp_foreign_t *foreign;      /* not owned; NULL: no foreign sessions */
    rp_routes_t *routes;        /* not owned */
    rp_message_pool_t *pool;    /* not owned */
    rp_journal_t *journal;      /* not owned; NULL: no journal */
    rp_backlog_total_t backlog; /* of all sessions, bytes */
    size_t backlog_max;         /* bytes that may wait for a session, if it does not read */
    size_t backlog_most;        /* …, even if it reads */
    bool exceeded;              /* the backlog of a session may exceed backlog_max */
    rp_event_t *events;         /* from event_first to event_count */
    size_t event_first;
    size_t event_count;
    size_t event_capacity;
    size_t waiting_count;
    bool large; /* a waiting message is larger than RP_OUTBOX_LARGE */
    bool used;  /* a socket was used since the last rp_outbox_flush */
    rp_outbox_waiting_t waiting[RP_OUTBOX_OUTBOX];
} rp_outbox_t;

/*  backlog, most: as rp_outbox_set_backlog.  */
void rp_outbox_init (rp_outbox_t *self,
  void *router,
  rp_routes_t *routes,
  rp_message_pool_t *pool,
  rp_journal_t *journal,
  size_t backlog,
  size_t most);
void rp_outbox_clear (rp_outbox_t *self);

/*  Changes, for the next message, how many bytes may wait for one session (backlog), and how many if it reads (most); a
    single message may always. The caller ends a session that exceeds the former and does not read.  */
static inline void rp_outbox_set_backlog (rp_outbox_t *self, size_t backlog, size_t most)
{
    self->backlog_max = backlog;
    self->backlog_most = most;
}

/*  Sets where foreign sessions and their listeners are.  */
void rp_outbox_serve_foreign (rp_outbox_t *self, rp_foreign_t *foreign, rp_listener_t *listeners);

/*  Carries out a SEND to a session: the message waits in the outbox.  */
void rp_outbox_post (rp_outbox_t *self, const rp_action_t *action);

/*  Carries out a SEND to a sender without a session, at once.  */
void rp_outbox_answer (rp_outbox_t *self, const rp_action_t *action, const rp_sender_t *sender);

/*  Frees a payload; NULL is allowed.  */
void rp_outbox_drop (rp_outbox_t *self, rp_payload_t *payload);

/*  Appends the body of other to payload, and frees other.  */
void rp_outbox_join (rp_outbox_t *self, rp_payload_t *payload, rp_payload_t *other);

/*  Sends all waiting messages.  */
void rp_outbox_empty (rp_outbox_t *self);

/*  Sends all waiting messages. False if no socket was used since the last call.  */
bool rp_outbox_flush (rp_outbox_t *self);

/*  True if waiting messages should go before the next message is taken.  */
static inline bool rp_outbox_is_urgent (const rp_outbox_t *self)
{
    return self->large;
}

/*  Sends an answer that the broker itself made to a session, as SEND does; takes *message_p in any
    case.  */
void rp_outbox_send (rp_outbox_t *self, rp_session_id_t session, rp_message_t **message_p);

/*  Bytes that all sessions have not read yet.  */
static inline size_t rp_outbox_backlog (const rp_outbox_t *self)
{
    return atomic_load_explicit (&self->backlog, memory_order_relaxed);
}

/*  Reports that a request was dropped while actions were carried out, and that its client cannot be
    told. The core gets it with the next events. why: a constant.  */
void rp_outbox_report_dropped (rp_outbox_t *self, rp_session_id_t client, const char *why);

/*  Takes the next event for the core. False if there is none.  */
bool rp_outbox_next_event (rp_outbox_t *self, rp_event_t *event);

/*  A request with this head waits from now on: its payload, a message, is replaced by one that
    takes less memory if possible.  */
void rp_outbox_keep (rp_outbox_t *self, const rp_head_t *head, rp_payload_t **payload_p);

/*  A payload is a message of the shell, or, for a request that waits, a compact body; the address
    of a compact body has its lowest bit set.  */
static inline rp_payload_t *rp_outbox_payload (rp_message_t *message)
{
    return (rp_payload_t *) message;
}

static inline rp_message_t *rp_outbox_message (rp_payload_t *payload)
{
    return (rp_message_t *) payload;
}

#endif
