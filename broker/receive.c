/*  Receive: from messages as they come to events for the core.

    SPDX-License-Identifier: MPL-2.0

    Who sends is told by the routing id (and the listener), what protocol that is by the session, or
    by the first frames of somebody who has none. A foreign peer's first message says HELLO for it.
*/

#include <errno.h>
#include <string.h>

#include "broker/server_state.h"
#include "common/wire/head.h"

/*  ---- Who sent it ---------------------------------------------------------------------------- */

typedef struct {
    rp_session_id_t session; /* nobody: it has no session */
    rp_listener_t *listener;
    const void *key;
    size_t size;
    uint8_t prefixed[RP_LISTENER_KEY_MAX]; /* where the key lies, if it has a prefix */
} s_source_t;

static void s_find_source (rp_server_t *self, rp_listener_t *listener, s_source_t *source)
{
    source->listener = listener;
    const void *routing_id = zmq_msg_data (&self->routing_id);
    source->size = listener->kind == RP_LISTENER_BACK ? 0 : zmq_msg_size (&self->routing_id);
    source->key = rp_listener_key (listener, routing_id, &source->size, source->prefixed);
    source->session = rp_connections_by_routing_id (&self->connections, source->key, source->size);
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
      .session = source->session,
      .head = &head,
      .payload = rp_outbox_payload (message),
      .too_many_frames =
        (!whole || message->count > RP_FRAMES_MAX) && message->bytes <= rp_server_max_bytes (self),
      .error = rp_wire_decode (&head, rp_message_data (message), rp_message_size (message))};
    if (source->session.v == 0) {
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
      .session = source->session,
      .payload = rp_outbox_payload (bundle),
      .error = RP_WIRE_ERROR_BUNDLE};
    if (source->session.v == 0)
        sender.descriptor = zmq_msg_get (&bundle->first, ZMQ_SRCFD);
    rp_server_handle (self, &event, &sender, now);
}

/*  Takes the messages of a bundle one by one, for as long as the session lasts.  */
static void s_take_bundle (
  rp_server_t *self, const s_source_t *source, rp_message_t *bundle, bool whole, int64_t now)
{
    if (!rp_connections_bundles (&self->connections, source->session) || !whole || bundle->count > 1
        || !rp_bundle_is_valid (rp_message_data (bundle), rp_message_size (bundle))) {
        s_refuse_bundle (self, source, bundle, now);
        return;
    }
    size_t offset = 0;
    while (!self->ended && rp_connections_is_bound (&self->connections, source->session)) {
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

/*  ---- Foreign peers
    ---------------------------------------------------------------------------------  */

/*  What cannot be taken from a foreign peer. A session ends; a worker without
    one is told so in its own words. REP workers are one session, which does not end because one of
    them erred.  */
static void s_refuse_foreign (rp_server_t *self,
  const s_source_t *source,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  const char *why,
  bool too_many_frames,
  int64_t now)
{
    rp_foreign_session_t unknown = {.dialect = foreign->dialect, .worker = foreign->worker};
    rp_sender_t sender = s_sender (source);
    sender.foreign = &unknown;
    rp_event_t event = {.kind = RP_EVENT_BAD,
      .too_many_frames = too_many_frames,
      .session = source->session,
      .payload = rp_outbox_payload (message),
      .error = foreign->error == RP_DIALECT_ERROR_UNKNOWN ? RP_WIRE_ERROR_NOT_NATIVE
                                                          : RP_WIRE_ERROR_FOREIGN,
      .why = why};
    sender.descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    self->foreign.bad[foreign->error]++;
    if (source->listener->kind == RP_LISTENER_BACK)
        event.session = (rp_session_id_t){0};
    // Only a worker can be told. One that was a client so far is told in the words that it used
    // now.
    rp_foreign_session_t *foreign_session =
      rp_connections_foreign (&self->connections, source->session);
    if (foreign_session && foreign->worker)
        rp_foreign_change (&self->foreign, foreign_session, foreign->dialect, true);
    rp_server_handle (self, &event, &sender, now);
}

/*  Says HELLO for a foreign peer. Afterwards the source has a session, unless it was refused.
    window: of REP workers, how many there are; otherwise 0.  */
static void s_greet (rp_server_t *self,
  s_source_t *source,
  const rp_foreign_message_t *foreign,
  int descriptor,
  uint32_t window,
  int64_t now)
{
    rp_sender_t sender = s_sender (source);
    sender.descriptor = descriptor;
    sender.foreign = rp_foreign_begin (&self->foreign, foreign->dialect, foreign->worker);
    if (!sender.foreign)
        return; // out of memory; the next that is heard of it tries again
    rp_foreign_session_t *foreign_session = sender.foreign;
    rp_head_t hello;
    rp_foreign_hello (&self->foreign, foreign, &hello);
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .head = &hello,
      .traits = rp_foreign_traits (&self->foreign, foreign)};
    if (window > 0) {
        hello.value = window;
        event.attempt_limit = (uint32_t) self->limits.foreign_attempt;
    }
    rp_server_handle (self, &event, &sender, now);
    if (sender.foreign) // nobody took it
        rp_foreign_end (&self->foreign, &foreign_session);
    source->session = rp_connections_by_routing_id (&self->connections, source->key, source->size);
}

/*  Gives the core what a foreign peer with a session said.  */
static void s_take_said (rp_server_t *self,
  const s_source_t *source,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  int64_t now)
{
    rp_foreign_session_t *foreign_session =
      rp_connections_foreign (&self->connections, source->session);
    rp_sender_t sender = s_sender (source);
    rp_head_t head;
    if (!rp_foreign_take (&self->foreign, foreign_session, foreign, message, &head)) {
        rp_message_destroy (&self->pool, &message); // out of memory
        return;
    }
    rp_event_t event = {.kind = RP_EVENT_MESSAGE,
      .session = source->session,
      .head = &head,
      .payload = rp_outbox_payload (message),
      .size = message->bytes - rp_message_size (message)};
    event.oversized = event.size > self->limits.max_body;
    rp_server_handle (self, &event, &sender, now);
}

/*  A message of somebody without a session that is no beginning of one: the core says so to whoever
    can be told.  */
static void s_take_strange (rp_server_t *self,
  const s_source_t *source,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  int descriptor,
  int64_t now)
{
    rp_foreign_session_t unknown = {.dialect = foreign->dialect, .worker = foreign->worker};
    rp_sender_t sender = s_sender (source);
    sender.descriptor = descriptor;
    sender.foreign = &unknown;
    rp_head_t head = {.command = foreign->command};
    rp_event_t event = {
      .kind = RP_EVENT_MESSAGE, .head = &head, .payload = rp_outbox_payload (message)};
    rp_server_handle (self, &event, &sender, now);
}

static void s_read_foreign (const rp_listener_t *listener,
  rp_foreign_message_t *foreign,
  const rp_frame_t *frames,
  uint32_t count)
{
    if (listener->kind == RP_LISTENER_OPEN) {
        rp_dialect_read (foreign, frames, count);
        return;
    }
    if (listener->kind == RP_LISTENER_FRONT)
        rp_dialect_read_plain_client (foreign, frames, count);
    else
        rp_dialect_read_plain_worker (foreign, frames, count);
    foreign->name = listener->service;
    foreign->name_size = (uint8_t) strlen (listener->service);
}

/*  An id that libzmq makes (a zero, then a number) belongs to one connection only. With one of its
    own a foreign peer may come back on another, which may have the same descriptor.  */
static bool s_may_have_moved (rp_server_t *self, rp_session_id_t session, int descriptor)
{
    const uint8_t *id = zmq_msg_data (&self->routing_id);
    return zmq_msg_size (&self->routing_id) != 5 || id[0] != 0
           || descriptor != rp_connections_descriptor (&self->connections, session);
}

/*  A foreign peer may have come back on another connection, which may have the descriptor of one
    that is gone. Looking costs a system call.  */
static void s_move (rp_server_t *self, const s_source_t *source, int descriptor, int64_t now)
{
    rp_session_id_t displaced =
      rp_connections_move (&self->connections, source->session, descriptor);
    rp_pending_remove (&self->pending, descriptor);
    if (displaced.v)
        rp_server_tell (self, &(rp_event_t){.kind = RP_EVENT_SUSPECT, .session = displaced}, now);
}

static void s_take_foreign (rp_server_t *self,
  s_source_t *source,
  const rp_frame_t *frames,
  rp_message_t *message,
  bool whole,
  int64_t now)
{
    rp_foreign_message_t foreign;
    s_read_foreign (source->listener, &foreign, frames, message->count);
    const rp_foreign_session_t *foreign_session =
      rp_connections_foreign (&self->connections, source->session);
    int descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    const char *why = NULL;
    bool too_many_frames = !whole && message->bytes <= rp_server_max_bytes (self);
    if (whole && foreign.command && message->count - foreign.body >= RP_FRAMES_MAX)
        too_many_frames =
          foreign.command == RP_COMMAND_REQUEST || foreign.command == RP_COMMAND_REPLY;
    if (too_many_frames)
        why = "more than 63 frames of body";
    else if (!whole) // its frames after the first are gone
        why = "a message over max_body";
    else if (foreign.error != RP_DIALECT_ERROR_NONE)
        why = rp_dialect_error_text (foreign.error);
    else if (foreign_session
             && (foreign_session->worker != foreign.worker
                 || foreign_session->dialect != foreign.dialect))
        why = "a client and a worker, or two protocols, on one connection";
    else if (source->session.v && !foreign_session)
        why = "two protocols on one connection";
    if (why) {
        s_refuse_foreign (self, source, &foreign, message, why, too_many_frames, now);
        return;
    }
    if (foreign_session && source->listener->kind != RP_LISTENER_BACK
        && s_may_have_moved (self, source->session, descriptor))
        s_move (self, source, descriptor, now);
    bool greets = foreign.command == RP_COMMAND_HELLO || foreign.command == RP_COMMAND_REQUEST;
    if (source->session.v == 0 && greets)
        s_greet (self, source, &foreign, descriptor, 0, now);
    else if (source->session.v == 0) {
        s_take_strange (self, source, &foreign, message, descriptor, now);
        if (source->listener->kind == RP_LISTENER_BACK) // its session ended, but it lives
            rp_server_count_rep (self, source->listener, now);
        return;
    }
    else if (foreign.command == RP_COMMAND_HELLO)
        greets = false; // a second one, which the core refuses
    if (source->session.v == 0 || (greets && foreign.command == RP_COMMAND_HELLO))
        rp_message_destroy (&self->pool, &message);
    else
        s_take_said (self, source, &foreign, message, now);
}

/*  ---- Plain REP workers ---------------------------------------------------------------------- */

/*  How often it is seen to that those that are connected have a session, µs.  */
#define S_REVIVE_US 1000000

/*  They are one session: its window is how many of them there are. It ends with the last of them,
    and begins with the next that is heard of.  */
void rp_server_count_rep (rp_server_t *self, rp_listener_t *listener, int64_t now)
{
    uint32_t window = listener->connected < RP_WINDOW_MAX ? listener->connected : RP_WINDOW_MAX;
    s_source_t source = {.listener = listener};
    source.key = rp_listener_key (listener, NULL, &source.size, source.prefixed);
    source.session = rp_connections_by_routing_id (&self->connections, source.key, source.size);
    if (source.session.v) {
        rp_command_t command = window ? RP_COMMAND_CREDIT : RP_COMMAND_BYE;
        rp_head_t head = {.command = (uint8_t) command, .value = window};
        rp_event_t event = {.kind = RP_EVENT_MESSAGE, .session = source.session, .head = &head};
        rp_sender_t sender = s_sender (&source);
        rp_server_handle (self, &event, &sender, now);
    }
    else if (window > 0) {
        rp_foreign_message_t foreign = {.dialect = RP_DIALECT_PLAIN,
          .worker = true,
          .name = listener->service,
          .name_size = (uint8_t) strlen (listener->service)};
        s_greet (self, &source, &foreign, -1, window, now);
    }
}

int64_t rp_server_revive_rep (rp_server_t *self, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t index = 0; index < self->listener_count; index++) {
        rp_listener_t *listener = &self->listeners[index];
        if (listener->kind != RP_LISTENER_BACK || listener->connected == 0
            || rp_dispatch_is_draining (self->core))
            continue;
        if (now >= listener->looked + S_REVIVE_US) {
            listener->looked = now;
            rp_server_count_rep (self, listener, now);
        }
        if (listener->looked + S_REVIVE_US < next)
            next = listener->looked + S_REVIVE_US;
    }
    return next;
}

/*  ---- Receiving ------------------------------------------------------------------------------ */

/*  True for an empty message that is the first on its connection: a socket with ZMQ_PROBE_ROUTER
    says so that it is there. Where the connection is not known (of peers older than ZMTP 3.0) it
    may be one.  */
static bool s_is_probe (
  rp_server_t *self, rp_listener_t *listener, rp_message_t *message, bool whole, int64_t now)
{
    if (!whole || message->count != 1 || rp_message_size (message) != 0)
        return false;
    int descriptor = zmq_msg_get (&message->first, ZMQ_SRCFD);
    rp_server_read_monitor (self, listener, now); // the news that it came may be there still
    if (descriptor >= 0 && !rp_handshakes_remove (&self->handshakes, descriptor))
        return false;
    char buffer[RP_CONNECTIONS_TEXT_MAX];
    rp_log_write (&self->log, RP_LEVEL_DEBUG, RP_TOPIC_CLIENT, now,
      rp_connections_descriptor_address (descriptor, buffer), "it is there (ZMQ_PROBE_ROUTER)");
    return true;
}

/*  Says whose message it is, and in what protocol.  */
static void s_take (
  rp_server_t *self, rp_listener_t *listener, rp_message_t *message, bool whole, int64_t now)
{
    s_source_t source;
    s_find_source (self, listener, &source);
    rp_frame_t frames[RP_FOREIGN_FRAMES_MAX];
    bool foreign = listener->kind != RP_LISTENER_OPEN
                   || rp_connections_foreign (&self->connections, source.session);
    bool bundle = !foreign && rp_bundle_is (rp_message_data (message), rp_message_size (message));
    if (foreign || (source.session.v == 0 && !bundle)) {
        if (s_is_probe (self, listener, message, whole, now)) {
            rp_message_destroy (&self->pool, &message);
            return;
        }
        uint32_t count = rp_foreign_frames (message, frames);
        foreign = foreign || !rp_dialect_is_native (frames, count);
    }
    if (foreign)
        s_take_foreign (self, &source, frames, message, whole, now);
    else if (bundle)
        s_take_bundle (self, &source, message, whole, now);
    else
        s_take_native (self, &source, message, whole, now);
}

bool rp_server_receive (rp_server_t *self, rp_listener_t *listener, int64_t now)
{
    if (listener->kind != RP_LISTENER_BACK
        && zmq_msg_recv (&self->routing_id, listener->socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR)
            return true;
        if (errno != EAGAIN)
            rp_server_fail (self, "receive", now);
        return false;
    }
    rp_message_t *message;
    rp_received_t received = rp_message_receive (
      &self->pool, listener->socket, RP_FOREIGN_FRAMES_MAX, rp_server_max_bytes (self), &message);
    if (received == RP_RECEIVED_ERROR)
        rp_server_fail (self, "receive", now);
    else if (message)
        s_take (self, listener, message, received == RP_RECEIVED, now);
    return message && !self->ended;
}
