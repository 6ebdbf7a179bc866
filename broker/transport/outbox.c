/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"

void rp_egress_init (
  rp_egress_t *self, void *router, rp_peers_t *peers, rp_message_pool_t *pool, size_t backlog)
{
    *self = (rp_egress_t){.router = router, .peers = peers, .pool = pool, .backlog_max = backlog};
}

void rp_egress_serve_guests (rp_egress_t *self, rp_guests_t *guests, rp_gate_t *gates)
{
    self->guests = guests;
    self->gates = gates;
}

/*  The parcel that a payload is; NULL if it is a message.  */
static rp_parcel_t *s_parcel (rp_payload_t *payload)
{
    uintptr_t address = (uintptr_t) payload;
    return address & 1 ? (rp_parcel_t *) (address - 1) : NULL;
}

void rp_egress_keep (rp_egress_t *self, const rp_head_t *head, rp_payload_t **payload_p)
{
    rp_message_t *message = rp_egress_message (*payload_p);
    rp_parcel_t *parcel = rp_parcel_new (self->pool, head, message);
    if (!parcel) {
        (void) rp_message_leave_bundle (self->pool, message); // without memory it keeps all of it
        return;
    }
    *payload_p = (rp_payload_t *) ((uintptr_t) parcel + 1);
    rp_message_destroy (self->pool, &message);
}

static void s_drop (rp_egress_t *self, rp_payload_t *payload)
{
    rp_parcel_t *parcel = s_parcel (payload);
    rp_message_t *message = parcel ? NULL : rp_egress_message (payload);
    rp_parcel_destroy (&parcel);
    rp_message_destroy (self->pool, &message);
}

void rp_egress_clear (rp_egress_t *self)
{
    while (self->event_first < self->event_count)
        s_drop (self, self->events[self->event_first++].payload);
    for (size_t index = 0; index < self->waiting_count; index++)
        rp_message_destroy (self->pool, &self->waiting[index].message);
    free (self->events);
    // The total stays: libzmq still has some of what counts in it.
    self->events = NULL;
    self->event_first = self->event_count = self->event_capacity = self->waiting_count = 0;
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
        s_drop (self, event->payload);
    }
    self->event_first = self->event_count = 0;
    return false;
}

/*  Of a request that waited. NULL when out of memory; the parcel is still there then.  */
static rp_message_t *s_unpack (rp_egress_t *self, const rp_action_t *action, rp_parcel_t *parcel)
{
    rp_message_t *message = rp_parcel_open (parcel, self->pool, &action->head);
    if (message && !action->keep)
        rp_parcel_destroy (&parcel);
    return message;
}

/*  The message that a SEND means, taken from its payload unless that is to be kept. NULL when out
    of memory; what was to be taken is then in *lost_p.  */
static rp_message_t *s_prepare (rp_egress_t *self, const rp_action_t *action, rp_payload_t **lost_p)
{
    rp_message_t *message = rp_egress_message (action->payload);
    *lost_p = action->keep ? NULL : action->payload;
    if (s_parcel (action->payload))
        return s_unpack (self, action, s_parcel (action->payload));
    if (!message) {
        message = rp_message_new (self->pool, rp_wire_size (&action->head));
        if (message)
            rp_wire_encode (&action->head, rp_message_data (message), rp_message_size (message));
        return message;
    }
    if (action->keep && !(message = rp_message_share (self->pool, message)))
        return NULL;
    if (!rp_message_own_head (self->pool, message)) {
        if (action->keep)
            rp_message_destroy (self->pool, &message);
        return NULL;
    }
    rp_wire_patch (rp_message_data (message), &action->head);
    return message;
}

/*  The core wants a request back that could not be sent, unless it kept it.  */
static void s_report (
  rp_egress_t *self, const rp_egress_waiting_t *waiting, rp_payload_t *payload, bool full)
{
    rp_event_t event = {
      .kind = RP_EVENT_UNSENT, .peer = waiting->peer, .token = waiting->token, .full = full};
    if (waiting->token.v && !waiting->keep) {
        if (payload
            && !s_parcel (payload)) // it will wait again, and must not keep a bundle meanwhile
            (void) rp_message_leave_bundle (self->pool, rp_egress_message (payload));
        event.payload = payload;
    }
    else {
        s_drop (self, payload);
    }
    s_add_event (self, &event);
}

/*  Sends to whoever has a key. 0, or -1 with errno as rp_message_send.  */
static int s_send_to (rp_egress_t *self, const void *key, size_t size, rp_message_t **message_p)
{
    uint8_t gate = rp_gate_of_key (key, size);
    const void *routing_id = rp_gate_routing_id (key, &size);
    void *socket = gate ? self->gates[gate].socket : self->router;
    return rp_message_send (self->pool, socket, routing_id, size, message_p);
}

/*  Lets a message count that is about to be sent to a session. False if too much waits for it
    already, or when out of memory: errno as rp_message_send.  */
static bool s_count (rp_egress_t *self, rp_peer_id_t peer, rp_message_t *message)
{
    rp_backlog_t *backlog = rp_peers_backlog (self->peers, peer, &self->backlog);
    errno = ENOMEM;
    if (!backlog)
        return false;
    size_t waits = rp_backlog_bytes (backlog);
    if (waits > 0 && waits + message->bytes > self->backlog_max) {
        errno = EAGAIN;
        return false;
    }
    return rp_message_leave_bundle (self->pool, message)
           && rp_backlog_add (
             backlog, rp_message_frame (message, message->count - 1), message->bytes);
}

/*  Sends to a session, which has a key. 0, or -1 with errno as rp_message_send.  */
static int s_send_to_session (rp_egress_t *self,
  const rp_egress_waiting_t *waiting,
  const void *key,
  size_t size,
  rp_message_t **message_p)
{
    bool counts = (*message_p)->bytes > RP_EGRESS_SMALL && !waiting->token.v;
    if (counts && !s_count (self, waiting->peer, *message_p))
        return -1;
    return s_send_to (self, key, size, message_p);
}

/*  Sends what is said to a guest instead of a message. Where its protocol has no word for that, its
    connection is looked at: that is what a heartbeat is for. The message stays. 0, or -1 with
    errno.  */
static int s_send_guest (rp_egress_t *self,
  const rp_guest_session_t *guest,
  const rp_egress_waiting_t *waiting,
  const void *key,
  size_t size)
{
    rp_message_t *message = rp_guests_translate (self->guests, guest, waiting->message);
    if (!message && errno == 0) {
        errno = EHOSTUNREACH;
        return rp_peers_stands (self->peers, waiting->peer) ? 0 : -1;
    }
    if (!message)
        return -1;
    int rc = s_send_to_session (self, waiting, key, size, &message);
    int reason = errno;
    rp_message_destroy (self->pool, &message);
    errno = reason;
    return rc;
}

static void s_send (rp_egress_t *self, rp_egress_waiting_t *waiting)
{
    size_t size;
    const void *key = rp_peers_routing_id (self->peers, waiting->peer, &size);
    const rp_guest_session_t *guest = rp_peers_guest (self->peers, waiting->peer);
    int rc = 0;
    if (key && guest)
        rc = s_send_guest (self, guest, waiting, key, size);
    else if (key)
        rc = s_send_to_session (self, waiting, key, size, &waiting->message);
    if (rc != 0)
        s_report (
          self, waiting, rp_egress_payload (waiting->message), errno == EAGAIN || errno == ENOMEM);
    else
        rp_message_destroy (self->pool, &waiting->message); // a guest's, or its session has ended
}

static rp_egress_waiting_t *s_next (rp_egress_t *self, const rp_egress_waiting_t *waiting)
{
    return waiting->next ? &self->waiting[waiting->next] : NULL;
}

/*  What the message takes in a bundle; 0 if it goes alone.  */
static size_t s_bundled_size (rp_message_t *message)
{
    bool fits = message->count == 1 && message->bytes <= RP_BUNDLE_MESSAGE_MAX;
    return fits ? RP_BUNDLE_ENTRY_HEAD + message->bytes : 0;
}

/*  Copies messages, from first up to end, into a new one. NULL when out of memory.  */
static rp_message_t *s_bundle (
  rp_egress_t *self, rp_egress_waiting_t *first, const rp_egress_waiting_t *end, size_t size)
{
    rp_message_t *bundle = rp_message_new (self->pool, size);
    if (!bundle)
        return NULL;
    uint8_t *at = rp_bundle_write_head (rp_message_data (bundle));
    for (rp_egress_waiting_t *one = first; one != end; one = s_next (self, one)) {
        size_t bytes = one->message->bytes;
        at = rp_bundle_write_entry_head (at, bytes);
        memcpy (at, rp_message_data (one->message), bytes);
        rp_message_count_copy (self->pool, at, bytes);
        at += bytes;
    }
    return bundle;
}

/*  Sends what waits for one session, from first on: in one bundle as much as fits. Returns what is
    left, NULL if nothing.  */
static rp_egress_waiting_t *s_send_some (rp_egress_t *self, rp_egress_waiting_t *first)
{
    size_t total = RP_BUNDLE_HEAD;
    rp_egress_waiting_t *end = first;
    for (size_t size; end && (size = s_bundled_size (end->message)) > 0; end = s_next (self, end)) {
        if (total + size > RP_BUNDLE_MAX)
            break;
        total += size;
    }
    size_t id_size;
    const void *routing_id = rp_peers_routing_id (self->peers, first->peer, &id_size);
    rp_message_t *bundle = NULL;
    if (routing_id && end != first && end != s_next (self, first))
        bundle = s_bundle (self, first, end, total);
    if (!bundle) {
        s_send (self, first);
        return s_next (self, first);
    }
    bool sent = s_send_to_session (self, first, routing_id, id_size, &bundle) == 0;
    bool full = errno == EAGAIN || errno == ENOMEM;
    rp_message_destroy (self->pool, &bundle);
    for (rp_egress_waiting_t *one = first; one != end; one = s_next (self, one)) {
        if (sent)
            rp_message_destroy (self->pool, &one->message);
        else
            s_report (self, one, rp_egress_payload (one->message), full);
    }
    return end;
}

void rp_egress_empty (rp_egress_t *self)
{
    size_t count = self->waiting_count;
    for (size_t index = 0; index < count; index++) {
        rp_egress_waiting_t *waiting = &self->waiting[index];
        if (waiting->follows)
            continue;
        uint32_t *last = rp_peers_note (self->peers, waiting->peer);
        if (last)
            *last = 0;
        while (waiting)
            waiting = s_send_some (self, waiting);
    }
    self->waiting_count = 0;
    self->large = false;
    self->used |= count > 0;
}

bool rp_egress_flush (rp_egress_t *self)
{
    rp_egress_empty (self);
    bool used = self->used;
    self->used = false;
    return used;
}

/*  The note of a session is the number, plus 1, of the last one that waits for it.  */
static void s_post (rp_egress_t *self, const rp_egress_waiting_t *waiting)
{
    if (self->waiting_count == RP_EGRESS_OUTBOX)
        rp_egress_empty (self);
    uint32_t number = (uint32_t) self->waiting_count++;
    self->waiting[number] = *waiting;
    self->large |= waiting->message->bytes > RP_EGRESS_LARGE;
    if (!rp_peers_bundles (self->peers, waiting->peer))
        return;
    uint32_t *last = rp_peers_note (self->peers, waiting->peer);
    self->waiting[number].follows = *last > 0;
    if (*last)
        self->waiting[*last - 1].next = number;
    *last = number + 1;
}

/*  To somebody without a session, who is known only now.  */
static void s_send_back (rp_egress_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    rp_payload_t *lost;
    rp_message_t *message = sender->routing_id ? s_prepare (self, action, &lost) : NULL;
    if (message && sender->guest) {
        rp_message_t *said = rp_guests_translate (self->guests, sender->guest, message);
        rp_message_destroy (self->pool, &message);
        message = said;
    }
    if (message)
        s_send_to (self, sender->routing_id, sender->size, &message);
    rp_message_destroy (self->pool, &message); // if it did not go: nobody waits for it
}

static void s_post_action (rp_egress_t *self, const rp_action_t *action)
{
    rp_egress_waiting_t waiting = {
      .peer = action->peer, .token = action->token, .keep = action->keep};
    rp_payload_t *lost;
    waiting.message = s_prepare (self, action, &lost);
    if (waiting.message)
        s_post (self, &waiting);
    else
        s_report (self, &waiting, lost, true); // out of memory
}

void rp_egress_send (rp_egress_t *self, rp_peer_id_t peer, rp_message_t **message_p)
{
    s_post (self, &(rp_egress_waiting_t){.peer = peer, .message = *message_p});
    *message_p = NULL;
}

static void s_admit (rp_egress_t *self, rp_peer_id_t peer, rp_sender_t *sender)
{
    rp_peer_id_t displaced;
    // Out of memory leaves a session that nobody can reach; it ends by its silence.
    if (!sender->routing_id
        || !rp_peers_bind (self->peers, peer, sender->routing_id, sender->size, sender->descriptor,
          sender->bundles, &displaced))
        return;
    rp_peers_set_guest (self->peers, peer, sender->guest);
    sender->guest = NULL;
    if (displaced.v)
        s_add_event (self, &(rp_event_t){.kind = RP_EVENT_SUSPECT, .peer = displaced});
}

/*  The session is over. What waits for a peer that left by itself nobody reads any more; and it
    would count for nobody, if the peer greeted again on the same connection.  */
static void s_forget (rp_egress_t *self, rp_peer_id_t peer, bool cut, bool dismissed)
{
    rp_egress_empty (self);
    if (cut || (!dismissed && rp_peers_is_unread (self->peers, peer)))
        rp_peers_cut (self->peers, peer);
    rp_guest_session_t *guest = rp_peers_guest (self->peers, peer);
    if (guest)
        rp_guests_end (self->guests, &guest);
    rp_peers_unbind (self->peers, peer);
}

void rp_egress_carry_out (rp_egress_t *self, const rp_action_t *action, rp_sender_t *sender)
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
            s_forget (self, action->peer, true, false);
            break;
        case RP_ACTION_FORGET:
            s_forget (self, action->peer, false, action->keep);
            break;
        case RP_ACTION_DROP:
            s_drop (self, action->payload);
            break;
        case RP_ACTION_JOIN:
            message = rp_egress_message (action->other);
            // Out of memory ends the process here too: a reply with a hole would pass for a whole
            // one.
            RP_CHECK (rp_message_join (self->pool, rp_egress_message (action->payload), &message));
            break;
        case RP_ACTION_ADMIN:
        case RP_ACTION_LOG:
        case RP_ACTION_HISTORY:
        case RP_ACTION_STOP:
            RP_CHECK (false); // the server's own
    }
}
