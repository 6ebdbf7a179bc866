/*  Egress: carries out what the core decided about peers.

    SPDX-License-Identifier: MPL-2.0

    A message that is passed on is the one that came in: its head is rewritten where it lies. What
    could not be sent is not an error here but news for the core, and waits in a line of events
    until the server feeds it back.

    What is for a session waits in an outbox until the batch of messages at hand has been handled, and
    then goes out back to back. Sent one by one in between, messages would keep libzmq's I/O thread
    awake and hand it a few bytes at a time: measured, a quarter of the bytes per system call, and a
    third more CPU time per request. Whatever must not come after a later decision (FORGET, CUT) empties
    the outbox first.

    Thread-safety: none.
*/

#ifndef RP_EGRESS_H
#define RP_EGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/core/action.h"
#include "broker/core/dispatch.h"
#include "broker/peers.h"
#include "common/io/message.h"

/*  Who sent the event being handled: it gets what is for nobody, and is bound by ADMIT. Without a
    sender routing_id is NULL.  */
typedef struct {
    const void *routing_id;
    size_t size;
    int descriptor; /* of its connection; -1: not known */
} rp_sender_t;

/*  Messages that wait at most. Enough to be worth it; few enough to be in the cache still.  */
#define RP_EGRESS_OUTBOX 256u

typedef struct {
    rp_peer_id_t peer;
    rp_token_t token; /* of a REQUEST; it goes back to the core if it cannot be sent, unless kept */
    bool keep;
    rp_message_t *message;
} rp_egress_waiting_t;

typedef struct {
    void *router;            /* not owned */
    rp_peers_t *peers;       /* not owned */
    rp_message_pool_t *pool; /* not owned */
    rp_event_t *events;      /* from event_first to event_count */
    size_t event_first;
    size_t event_count;
    size_t event_capacity;
    size_t waiting_count;
    rp_egress_waiting_t waiting[RP_EGRESS_OUTBOX];
} rp_egress_t;

void rp_egress_init (
  rp_egress_t *self, void *router, rp_peers_t *peers, rp_message_pool_t *pool);
void rp_egress_clear (rp_egress_t *self);

/*  Carries out ADMIT, SEND, FORGET, CUT or DROP. A SEND to a session waits in the outbox.  */
void rp_egress_carry_out (
  rp_egress_t *self, const rp_action_t *action, const rp_sender_t *sender);

/*  Sends what waits in the outbox. False if nothing did: the socket was not used.  */
bool rp_egress_flush (rp_egress_t *self);

/*  Sends a message to a session, as SEND does; takes *message_p in any case.  */
void rp_egress_send (rp_egress_t *self, rp_peer_id_t peer, rp_message_t **message_p);

/*  Takes the next event that the core has to be told. False if there is none.  */
bool rp_egress_next_event (rp_egress_t *self, rp_event_t *event);

/*  The core's payloads are the shell's messages.  */
static inline rp_payload_t *rp_egress_payload (rp_message_t *message)
{
    return (rp_payload_t *) message;
}

static inline rp_message_t *rp_egress_message (rp_payload_t *payload)
{
    return (rp_message_t *) payload;
}

#endif
