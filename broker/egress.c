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

static void s_send (rp_egress_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    bool to_sender = action->peer.v == 0;
    size_t size = sender->size;
    const void *routing_id = to_sender
                               ? sender->routing_id
                               : rp_peers_routing_id (self->peers, action->peer, &size);
    rp_message_t *message = rp_egress_message (action->payload);
    if (!routing_id) {
        if (!action->keep)
            rp_message_destroy (self->pool, &message);
        return;
    }
    rp_message_t *lost;
    message = s_prepare (self, action, &lost);
    bool full = true;
    if (message) {
        if (rp_message_send (self->pool, self->router, routing_id, size, &message) == 0)
            return;
        full = errno == EAGAIN;
        lost = message;
    }
    // The core wants a request back, unless it kept it.
    rp_event_t event = {
      .kind = RP_EVENT_UNSENT, .peer = action->peer, .token = action->token, .full = full};
    if (action->token.v && !action->keep) {
        event.payload = rp_egress_payload (lost);
        lost = NULL;
    }
    rp_message_destroy (self->pool, &lost);
    if (!to_sender)
        s_add_event (self, &event);
}

void rp_egress_send (rp_egress_t *self, rp_peer_id_t peer, rp_message_t **message_p)
{
    size_t size;
    const void *routing_id = rp_peers_routing_id (self->peers, peer, &size);
    if (
      routing_id
      && rp_message_send (self->pool, self->router, routing_id, size, message_p) != 0)
        s_add_event (
          self,
          &(rp_event_t) {.kind = RP_EVENT_UNSENT, .peer = peer, .full = errno == EAGAIN});
    rp_message_destroy (self->pool, message_p);
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
            s_send (self, action, sender);
            break;
        case RP_ACTION_CUT:
            rp_peers_cut (self->peers, action->peer);
            rp_peers_unbind (self->peers, action->peer);
            break;
        case RP_ACTION_FORGET:
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
