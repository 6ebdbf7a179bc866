/*  Intake: from messages as they come to events for the core.

    SPDX-License-Identifier: MPL-2.0

    Who sends is told by the routing id (and the gate), what protocol that is by the session, or by
    the first frames of somebody who has none. A guest's first message says HELLO for it.
*/

#include <errno.h>
#include <string.h>

#include "broker/server_state.h"
#include "common/wire/head.h"

/*  ---- Who sent it ---------------------------------------------------------------------------- */

typedef struct {
    rp_peer_id_t peer; /* nobody: it has no session */
    rp_gate_t *gate;
    const void *key;
    size_t size;
    uint8_t prefixed[RP_GATE_KEY_MAX]; /* where the key lies, if it has a prefix */
} s_source_t;

static void s_find_source (rp_server_t *self, rp_gate_t *gate, s_source_t *source)
{
    source->gate = gate;
    const void *routing_id = zmq_msg_data (&self->routing_id);
    source->size = gate->kind == RP_GATE_BACK ? 0 : zmq_msg_size (&self->routing_id);
    source->key = rp_gate_key (gate, routing_id, &source->size, source->prefixed);
    source->peer = rp_peers_by_routing_id (&self->peers, source->key, source->size);
}

static rp_sender_t s_sender (const s_source_t *source)
{
    return (rp_sender_t){.routing_id = source->key, .size = source->size, .descriptor = -1};
}

/*  ---- Native messages ------------------------------------------------------------------------ */

static void s_take_native (
  rp_server_t *self, const s_source_t *source, rp_message_t *message, bool whole, int64_t now)
{
    rp_sender_t sender = s_sender (source);
    rp_head_t head;
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .peer = source->peer,
      .head = &head,
      .payload = rp_egress_payload (message),
      .too_many_frames =
        (!whole || message->count > RP_FRAMES_MAX) && message->bytes <= rp_server_max_bytes (self),
      .error = rp_wire_decode (&head, rp_message_data (message), rp_message_size (message))};
    if (source->peer.v == 0) {
        sender.descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
        sender.bundles = (head.flags & RP_FLAG_BUNDLES) != 0;
    }
    if (event.error != RP_WIRE_ERROR_NONE || event.too_many_frames) {
        event.kind = RP_EVENT_BAD;
    }
    else {
        event.size = message->bytes - head.size;
        event.oversized = event.size > self->limits.max_body;
    }
    rp_server_handle (self, &event, &sender, now);
}

static void s_refuse_bundle (
  rp_server_t *self, const s_source_t *source, rp_message_t *bundle, int64_t now)
{
    rp_sender_t sender = s_sender (source);
    rp_event_t event = {.kind = RP_EVENT_BAD,
      .peer = source->peer,
      .payload = rp_egress_payload (bundle),
      .error = RP_WIRE_ERROR_BUNDLE};
    if (source->peer.v == 0)
        sender.descriptor = zmq_msg_get (&bundle->first, ZMQ_SRCFD);
    rp_server_handle (self, &event, &sender, now);
}

/*  Takes the messages of a bundle one by one, for as long as the session lasts.  */
static void s_take_bundle (
  rp_server_t *self, const s_source_t *source, rp_message_t *bundle, bool whole, int64_t now)
{
    if (!rp_peers_bundles (&self->peers, source->peer) || !whole || bundle->count > 1
        || !rp_bundle_is_valid (rp_message_data (bundle), rp_message_size (bundle))) {
        s_refuse_bundle (self, source, bundle, now);
        return;
    }
    size_t offset = 0;
    while (!self->ended && rp_peers_is_bound (&self->peers, source->peer)) {
        rp_message_t *message;
        rp_received_t received = rp_message_unbundle (&self->pool, bundle, &offset, &message);
        if (received == RP_RECEIVED_ERROR)
            rp_server_fail (self, "take a bundle apart", now);
        if (received != RP_RECEIVED)
            break;
        s_take_native (self, source, message, true, now);
        self->taken++;
    }
    rp_message_destroy (&self->pool, &bundle);
}

/*  ---- Guests --------------------------------------------------------------------------------- */

/*  What cannot be taken from a guest. Whoever has a session is dismissed; a worker without one is
    told so in its own words. REP workers are one session, which does not end because one of them
    erred.  */
static void s_refuse_guest (rp_server_t *self,
  const s_source_t *source,
  const rp_guest_t *guest,
  rp_message_t *message,
  const char *why,
  bool too_many_frames,
  int64_t now)
{
    rp_guest_session_t unknown = {.dialect = guest->dialect, .worker = guest->worker};
    rp_sender_t sender = s_sender (source);
    sender.guest = &unknown;
    rp_event_t event = {.kind = RP_EVENT_BAD,
      .too_many_frames = too_many_frames,
      .peer = source->peer,
      .payload = rp_egress_payload (message),
      .error =
        guest->error == RP_DIALECT_ERROR_UNKNOWN ? RP_WIRE_ERROR_NOT_NATIVE : RP_WIRE_ERROR_GUEST,
      .why = why};
    sender.descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    self->guests.bad[guest->error]++;
    if (source->gate->kind == RP_GATE_BACK)
        event.peer = (rp_peer_id_t){0};
    // Only a worker can be told. One that was a client so far is told in the words that it used
    // now.
    rp_guest_session_t *session = rp_peers_guest (&self->peers, source->peer);
    if (session && guest->worker)
        rp_guests_change (&self->guests, session, guest->dialect, true);
    rp_server_handle (self, &event, &sender, now);
}

/*  Says HELLO for a guest. Afterwards the source has a session, unless it was refused. window: of
    REP workers, how many there are; otherwise 0.  */
static void s_greet (rp_server_t *self,
  s_source_t *source,
  const rp_guest_t *guest,
  int descriptor,
  uint32_t window,
  int64_t now)
{
    rp_sender_t sender = s_sender (source);
    sender.descriptor = descriptor;
    sender.guest = rp_guests_begin (&self->guests, guest->dialect, guest->worker);
    if (!sender.guest)
        return; // out of memory; the next that is heard of it tries again
    rp_guest_session_t *session = sender.guest;
    rp_head_t hello;
    rp_guests_hello (&self->guests, guest, &hello);
    rp_event_t event = {
      .kind = RP_EVENT_MESSAGE, .head = &hello, .traits = rp_guests_traits (guest)};
    if (window > 0) {
        hello.value = window;
        event.attempt_limit = (uint32_t) self->limits.guest_attempt;
    }
    rp_server_handle (self, &event, &sender, now);
    if (sender.guest) // nobody took it
        rp_guests_end (&self->guests, &session);
    source->peer = rp_peers_by_routing_id (&self->peers, source->key, source->size);
}

/*  Gives the core what a guest with a session said.  */
static void s_take_said (rp_server_t *self,
  const s_source_t *source,
  const rp_guest_t *guest,
  rp_message_t *message,
  int64_t now)
{
    rp_guest_session_t *session = rp_peers_guest (&self->peers, source->peer);
    rp_sender_t sender = s_sender (source);
    rp_head_t head;
    if (!rp_guests_take (&self->guests, session, guest, message, &head)) {
        rp_message_destroy (&self->pool, &message); // out of memory
        return;
    }
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .peer = source->peer,
      .head = &head,
      .payload = rp_egress_payload (message),
      .size = message->bytes - rp_message_size (message)};
    event.oversized = event.size > self->limits.max_body;
    rp_server_handle (self, &event, &sender, now);
}

/*  A message of somebody without a session that is no beginning of one: the core says so to whoever
    can be told.  */
static void s_take_strange (rp_server_t *self,
  const s_source_t *source,
  const rp_guest_t *guest,
  rp_message_t *message,
  int descriptor,
  int64_t now)
{
    rp_guest_session_t unknown = {.dialect = guest->dialect, .worker = guest->worker};
    rp_sender_t sender = s_sender (source);
    sender.descriptor = descriptor;
    sender.guest = &unknown;
    rp_head_t head = {.command = guest->command};
    rp_event_t event = {
      .kind = RP_EVENT_MESSAGE, .head = &head, .payload = rp_egress_payload (message)};
    rp_server_handle (self, &event, &sender, now);
}

static void s_read_guest (
  const rp_gate_t *gate, rp_guest_t *guest, const rp_frame_t *frames, uint32_t count)
{
    if (gate->kind == RP_GATE_OPEN) {
        rp_dialect_read (guest, frames, count);
        return;
    }
    if (gate->kind == RP_GATE_FRONT)
        rp_dialect_read_plain_client (guest, frames, count);
    else
        rp_dialect_read_plain_worker (guest, frames, count);
    guest->name = gate->service;
    guest->name_size = (uint8_t) strlen (gate->service);
}

/*  An id that libzmq makes (a zero, then a number) belongs to one connection only. With one of its
    own a guest may come back on another, which may have the same descriptor.  */
static bool s_may_have_moved (rp_server_t *self, rp_peer_id_t peer, int descriptor)
{
    const uint8_t *id = zmq_msg_data (&self->routing_id);
    return zmq_msg_size (&self->routing_id) != 5 || id[0] != 0
           || descriptor != rp_peers_descriptor (&self->peers, peer);
}

/*  A guest may have come back on another connection, which may have the descriptor of one that is
    gone. Looking costs a system call.  */
static void s_move (rp_server_t *self, const s_source_t *source, int descriptor, int64_t now)
{
    rp_peer_id_t displaced = rp_peers_move (&self->peers, source->peer, descriptor);
    rp_strangers_remove (&self->strangers, descriptor);
    if (displaced.v)
        rp_server_tell (self, &(rp_event_t){.kind = RP_EVENT_SUSPECT, .peer = displaced}, now);
}

static void s_take_guest (rp_server_t *self,
  s_source_t *source,
  const rp_frame_t *frames,
  rp_message_t *message,
  bool whole,
  int64_t now)
{
    rp_guest_t guest;
    s_read_guest (source->gate, &guest, frames, message->count);
    const rp_guest_session_t *session = rp_peers_guest (&self->peers, source->peer);
    int descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    const char *why = NULL;
    bool too_many_frames = !whole && message->bytes <= rp_server_max_bytes (self);
    if (whole && guest.command && message->count - guest.body >= RP_FRAMES_MAX)
        too_many_frames = guest.command == RP_COMMAND_REQUEST || guest.command == RP_COMMAND_REPLY;
    if (too_many_frames)
        why = "more than 63 frames of body";
    else if (!whole) // its frames after the first are gone
        why = "a message over max_body";
    else if (guest.error != RP_DIALECT_ERROR_NONE)
        why = rp_dialect_error_text (guest.error);
    else if (session && (session->worker != guest.worker || session->dialect != guest.dialect))
        why = "a client and a worker, or two protocols, on one connection";
    else if (source->peer.v && !session)
        why = "two protocols on one connection";
    if (why) {
        s_refuse_guest (self, source, &guest, message, why, too_many_frames, now);
        return;
    }
    if (session && source->gate->kind != RP_GATE_BACK
        && s_may_have_moved (self, source->peer, descriptor))
        s_move (self, source, descriptor, now);
    bool greets = guest.command == RP_COMMAND_HELLO || guest.command == RP_COMMAND_REQUEST;
    if (source->peer.v == 0 && greets)
        s_greet (self, source, &guest, descriptor, 0, now);
    else if (source->peer.v == 0) {
        s_take_strange (self, source, &guest, message, descriptor, now);
        if (source->gate->kind == RP_GATE_BACK) // its session ended, but it lives
            rp_server_count_rep (self, source->gate, now);
        return;
    }
    else if (guest.command == RP_COMMAND_HELLO)
        greets = false; // a second one, which the core refuses
    if (source->peer.v == 0 || (greets && guest.command == RP_COMMAND_HELLO))
        rp_message_destroy (&self->pool, &message);
    else
        s_take_said (self, source, &guest, message, now);
}

/*  ---- Plain REP workers ---------------------------------------------------------------------- */

/*  How often it is seen to that those that are connected have a session, µs.  */
#define S_REVIVE_US 1000000

/*  They are one session: its window is how many of them there are. It ends with the last of them,
    and begins with the next that is heard of.  */
void rp_server_count_rep (rp_server_t *self, rp_gate_t *gate, int64_t now)
{
    uint32_t window = gate->connected < RP_WINDOW_MAX ? gate->connected : RP_WINDOW_MAX;
    s_source_t source = {.gate = gate};
    source.key = rp_gate_key (gate, NULL, &source.size, source.prefixed);
    source.peer = rp_peers_by_routing_id (&self->peers, source.key, source.size);
    if (source.peer.v) {
        rp_command_t command = window ? RP_COMMAND_CREDIT : RP_COMMAND_BYE;
        rp_head_t head = {.command = (uint8_t) command, .value = window};
        rp_event_t event = {.kind = RP_EVENT_MESSAGE, .peer = source.peer, .head = &head};
        rp_sender_t sender = s_sender (&source);
        rp_server_handle (self, &event, &sender, now);
    }
    else if (window > 0) {
        rp_guest_t guest = {.dialect = RP_DIALECT_PLAIN,
          .worker = true,
          .name = gate->service,
          .name_size = (uint8_t) strlen (gate->service)};
        s_greet (self, &source, &guest, -1, window, now);
    }
}

int64_t rp_server_revive_rep (rp_server_t *self, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t index = 0; index < self->gate_count; index++) {
        rp_gate_t *gate = &self->gates[index];
        if (gate->kind != RP_GATE_BACK || gate->connected == 0
            || rp_dispatch_is_draining (self->core))
            continue;
        if (now >= gate->looked + S_REVIVE_US) {
            gate->looked = now;
            rp_server_count_rep (self, gate, now);
        }
        if (gate->looked + S_REVIVE_US < next)
            next = gate->looked + S_REVIVE_US;
    }
    return next;
}

/*  ---- Receiving ------------------------------------------------------------------------------ */

/*  Says whose message it is, and in what protocol.  */
static void s_take (
  rp_server_t *self, rp_gate_t *gate, rp_message_t *message, bool whole, int64_t now)
{
    s_source_t source;
    s_find_source (self, gate, &source);
    rp_frame_t frames[RP_GUEST_FRAMES_MAX];
    bool guest = gate->kind != RP_GATE_OPEN || rp_peers_guest (&self->peers, source.peer);
    bool bundle = !guest && rp_bundle_is (rp_message_data (message), rp_message_size (message));
    if (guest || (source.peer.v == 0 && !bundle)) {
        uint32_t count = rp_guests_frames (message, frames);
        guest = guest || !rp_dialect_is_native (frames, count);
    }
    if (guest)
        s_take_guest (self, &source, frames, message, whole, now);
    else if (bundle)
        s_take_bundle (self, &source, message, whole, now);
    else
        s_take_native (self, &source, message, whole, now);
}

bool rp_server_receive (rp_server_t *self, rp_gate_t *gate, int64_t now)
{
    if (gate->kind != RP_GATE_BACK
        && zmq_msg_recv (&self->routing_id, gate->socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR)
            return true;
        if (errno != EAGAIN)
            rp_server_fail (self, "receive", now);
        return false;
    }
    rp_message_t *message;
    rp_received_t received = rp_message_receive (
      &self->pool, gate->socket, RP_GUEST_FRAMES_MAX, rp_server_max_bytes (self), &message);
    if (received == RP_RECEIVED_ERROR)
        rp_server_fail (self, "receive", now);
    else if (message)
        s_take (self, gate, message, received == RP_RECEIVED, now);
    return message && !self->ended;
}
