/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/egress.h"

#include <errno.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/wire.h"

void rp_egress_init (rp_egress_t *self, void *router, rp_peers_t *peers, rp_message_pool_t *pool)
{
    *self = (rp_egress_t) {.router = router, .peers = peers, .pool = pool};
}

void rp_egress_clear (rp_egress_t *self)
{
    while (self->event_first < self->event_count) {
        rp_message_t *message = rp_egress_message (self->events[self->event_first++].payload);
        rp_message_destroy (self->pool, &message);
    }
    for (size_t index = 0; index < self->waiting_count; index++)
        rp_message_destroy (self->pool, &self->waiting[index].message);
    free (self->events);
    *self = (rp_egress_t) {0};
}

/*  Out of memory ends the process, as in rp_actions_add and for the same reason.  */
static void s_add_event (rp_egress_t *self, const rp_event_t *event)
{
    if (self->event_count == self->event_capacity) {
        size_t capacity = self->event_capacity ? self->event_capacity * 2 : 64;
        rp_event_t *events = realloc (self->events, capacity * sizeof *events);
        RP_CHECK (events != NULL);
        self->events = events;
        self->event_capacity = capacity;
    }
    self->events[self->event_count++] = *event;
}

bool rp_egress_next_event (rp_egress_t *self, rp_event_t *event)
{
    while (self->event_first < self->event_count) {
        *event = self->events[self->event_first++];
        if (rp_peers_is_bound (self->peers, event->peer))
            return true;
        // Its session ended meanwhile, and everything that concerned it with it.
        rp_message_t *message = rp_egress_message (event->payload);
        rp_message_destroy (self->pool, &message);
    }
    self->event_first = self->event_count = 0;
    return false;
}

/*  The message that a SEND means, taken from its payload unless that is to be kept. NULL when out
    of memory; what was taken is then given to *lost_p.  */
static rp_message_t *s_prepare (rp_egress_t *self, const rp_action_t *action, rp_message_t **lost_p)
{
    rp_message_t *message = rp_egress_message (action->payload);
    *lost_p = NULL;
    if (!message) {
        message = rp_message_new (self->pool, rp_wire_size (&action->head));
        if (message)
            rp_wire_encode (
              &action->head, zmq_msg_data (&message->first), zmq_msg_size (&message->first));
        return message;
    }
    if (action->keep && !(message = rp_message_share (self->pool, message)))
        return NULL;
    if (!rp_message_own_head (message)) {
        *lost_p = message;
        return NULL;
    }
    rp_wire_patch (zmq_msg_data (&message->first), &action->head);
    return message;
}

/*  The core wants a request back that could not be sent, unless it kept it.  */
static void s_report (
  rp_egress_t *self, const rp_egress_waiting_t *waiting, rp_message_t *message, bool full)
{
    rp_event_t event = {
      .kind = RP_EVENT_UNSENT, .peer = waiting->peer, .token = waiting->token, .full = full};
    if (waiting->token.v && !waiting->keep) {
        event.payload = rp_egress_payload (message);
        message = NULL;
    }
    rp_message_destroy (self->pool, &message);
    s_add_event (self, &event);
}

static void s_send (rp_egress_t *self, rp_egress_waiting_t *waiting)
{
    size_t size;
    const void *routing_id = rp_peers_routing_id (self->peers, waiting->peer, &size);
    if (!routing_id)
        rp_message_destroy (self->pool, &waiting->message); // its session ended meanwhile
    else if (
      rp_message_send (self->pool, self->router, routing_id, size, &waiting->message) != 0)
        s_report (self, waiting, waiting->message, errno == EAGAIN);
}

bool rp_egress_flush (rp_egress_t *self)
{
    size_t count = self->waiting_count;
    for (size_t index = 0; index < count; index++)
        s_send (self, &self->waiting[index]);
    self->waiting_count = 0;
    return count > 0;
}

static void s_post (rp_egress_t *self, const rp_egress_waiting_t *waiting)
{
    if (self->waiting_count == RP_EGRESS_OUTBOX)
        rp_egress_flush (self);
    self->waiting[self->waiting_count++] = *waiting;
}

/*  To somebody without a session, who is known only now.  */
static void
s_send_back (rp_egress_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    rp_message_t *lost;
    rp_message_t *message = sender->routing_id ? s_prepare (self, action, &lost) : NULL;
    if (message)
        rp_message_send (self->pool, self->router, sender->routing_id, sender->size, &message);
    rp_message_destroy (self->pool, &message); // if it did not go: nobody waits for it
}

static void s_post_action (rp_egress_t *self, const rp_action_t *action)
{
    rp_egress_waiting_t waiting = {
      .peer = action->peer, .token = action->token, .keep = action->keep};
    rp_message_t *lost;
    waiting.message = s_prepare (self, action, &lost);
    if (waiting.message)
        s_post (self, &waiting);
    else
        s_report (self, &waiting, lost, true); // out of memory
}

void rp_egress_send (rp_egress_t *self, rp_peer_id_t peer, rp_message_t **message_p)
{
    s_post (self, &(rp_egress_waiting_t) {.peer = peer, .message = *message_p});
    *message_p = NULL;
}

static void s_admit (rp_egress_t *self, rp_peer_id_t peer, const rp_sender_t *sender)
{
    rp_peer_id_t displaced;
    // Out of memory leaves a session that nobody can reach; it ends by its silence.
    if (
      sender->routing_id
      && rp_peers_bind (
        self->peers, peer, sender->routing_id, sender->size, sender->descriptor, &displaced)
      && displaced.v)
        s_add_event (self, &(rp_event_t) {.kind = RP_EVENT_SUSPECT, .peer = displaced});
}

void rp_egress_carry_out (
  rp_egress_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    rp_message_t *message;
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            s_admit (self, action->peer, sender);
            break;
        case RP_ACTION_SEND:
            if (action->peer.v)
                s_post_action (self, action);
            else
                s_send_back (self, action, sender);
            break;
        case RP_ACTION_CUT:
            rp_egress_flush (self);
            rp_peers_cut (self->peers, action->peer);
            rp_peers_unbind (self->peers, action->peer);
            break;
        case RP_ACTION_FORGET:
            rp_egress_flush (self);
            rp_peers_unbind (self->peers, action->peer);
            break;
        case RP_ACTION_DROP:
            message = rp_egress_message (action->payload);
            rp_message_destroy (self->pool, &message);
            break;
        case RP_ACTION_ADMIN:
        case RP_ACTION_LOG:
        case RP_ACTION_STOP:
            RP_CHECK (false); // the server's own
    }
}
