/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/receive.h"

#include <errno.h>
#include <string.h>

#include "common/base/uninitialized.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"

size_t rp_receive_max_bytes (const rp_limits_t *limits)
{
    return (size_t) limits->max_body + RP_BUNDLE_MAX + RP_RECEIVE_SLACK;
}

void rp_receive_init (rp_receive_t *self)
{
    zmq_msg_init (&self->routing_id);
}

/*  Ends the foreign session that was begun with the last event, a HELLO, if the core has not
    admitted it.  */
static void s_end_greeting (rp_receive_t *self)
{
    if (self->greeting)
        rp_foreign_end (self->foreign, &self->sender.foreign);
    self->greeting = false;
}

void rp_receive_clear (rp_receive_t *self)
{
    s_end_greeting (self);
    rp_message_destroy (self->pool, &self->bundle);
    rp_message_destroy (self->pool, &self->greeted);
    rp_message_destroy (self->pool, &self->restarted);
    zmq_msg_close (&self->routing_id);
}

/*  ---- Who sent it --------------------------------------------------------------------------- */

static void s_find_session (rp_receive_t *self)
{
    rp_source_t *source = &self->source;
    source->session = rp_routes_find (&self->connections->routes, source->key, source->size);
}

/*  Finds the listener's own key, which all its REP workers share, or the key of the routing id.  */
static void s_find_source (rp_receive_t *self, rp_listener_t *listener)
{
    rp_source_t *source = &self->source;
    source->listener = listener;
    source->size = listener->kind == RP_LISTENER_BACK ? 0 : zmq_msg_size (&self->routing_id);
    source->key =
      rp_listener_key (listener, zmq_msg_data (&self->routing_id), &source->size, source->prefixed);
    s_find_session (self);
}

/*  Begins an event from the source; the caller completes it.  */
static rp_event_t *s_begin_event (rp_receive_t *self, rp_event_kind_t kind, rp_message_t *message)
{
    self->sender = (rp_sender_t){.routing_id = self->source.key, .size = self->source.size};
    self->event = (rp_event_t){.kind = kind,
      .session = self->source.session,
      .head = &self->head,
      .payload = rp_outbox_payload (message)};
    return &self->event;
}

/*  Returns the principal that sent a message, from what libzmq says of the message itself, since
    its descriptor may belong to another connection by now. NULL: the sender may not be here.  */
static const char *s_find_principal (
  rp_receive_t *self, rp_connection_t *connection, rp_message_t *message)
{
    zmq_msg_t *frame = rp_message_frame (message, message->count - 1);
    if (self->source.listener->secure)
        return self->source.session.v && connection->principal
                 ? rp_admission_again (frame, connection->principal)
                 : rp_admission_of_message (self->admission, frame, connection->key);
    uid_t user = connection->user;
    if (rp_admission_user (frame, &user) || connection->address.family == AF_UNIX)
        return rp_admission_of_user (self->admission, user);
    return rp_admission_anonymous (self->admission);
}

/*  Finds the connection of a message, and its principal. If a connection seems to have two
    principals, one of them had its descriptor before; it is not known which, so the connection has
    none.  */
static rp_connection_t *s_hear (rp_receive_t *self, rp_message_t *message)
{
    rp_connection_t *connection = rp_connections_hear (self->connections,
      zmq_msg_get (&message->first, ZMQ_SRCFD), self->source.listener->number, NULL);
    if (!connection || (connection->principal && !self->admission->credentials))
        return connection;
    const char *principal = s_find_principal (self, connection, message);
    bool agrees = !connection->principal || connection->principal == principal;
    connection->principal = agrees ? principal : NULL;
    return connection;
}

/*  Completes an event whose sender has no session.  */
static void s_set_sender (rp_receive_t *self, rp_connection_t *connection)
{
    self->sender.connection = connection;
    self->event.principal = connection ? connection->principal : NULL;
}

/*  True if a message with the routing id of a foreign session did not come from its peer: the
    session's connection is known, and the message came over one that is not, of a peer older than
    ZMTP 3.0.  */
static bool s_is_from_elsewhere (const rp_receive_t *self, rp_message_t *message)
{
    const char *principal = rp_routes_principal (&self->connections->routes, self->source.session);
    return principal && strcmp (principal, RP_PRINCIPAL_ANONYMOUS) != 0
           && zmq_msg_get (&message->first, ZMQ_SRCFD) < 0;
}

/*  True if only the native session's own peer can have sent a message: its connection stands, and
    libzmq made its routing id, which nobody else knows.  */
static bool s_is_certain (rp_receive_t *self)
{
    return !rp_routes_is_lost (&self->connections->routes, self->source.session)
           && !rp_listener_id_is_chosen (
             zmq_msg_data (&self->routing_id), zmq_msg_size (&self->routing_id));
}

/*  Returns why the sender of a message may not be here; NULL if it may. A peer can choose the
    routing id of another, so the principal of the message is compared with that of its native
    session; with that of a foreign session when it moves (s_find_moved).  */
static const char *s_refuse_sender (
  rp_receive_t *self, rp_message_t *message, rp_connection_t **connection)
{
    static const char another[] = "it has chosen the routing id of another";
    rp_session_id_t session = self->source.session;
    const rp_routes_t *routes = &self->connections->routes;
    bool secure = self->source.listener->secure;
    if (self->source.listener->kind == RP_LISTENER_BACK) // ZAP has asked for each of them
        return NULL;
    if (session.v && rp_routes_foreign (routes, session))
        return s_is_from_elsewhere (self, message) ? another : NULL;
    if (session.v && s_is_certain (self))
        return NULL;
    *connection = s_hear (self, message);
    const char *anonymous = rp_admission_anonymous (self->admission);
    const char *principal = *connection ? (*connection)->principal : secure ? NULL : anonymous;
    if (!principal)
        return secure ? "its key is not authorized any more" : "it is not known who it is";
    const char *owner = rp_routes_principal (routes, session);
    return session.v && principal != (owner ? owner : anonymous) ? another : NULL;
}

/*  Cuts a peer off. connection: NULL if not known.  */
static void s_cut (
  rp_receive_t *self, const rp_connection_t *connection, const char *why, int64_t now)
{
    char buffer[RP_ADDRESS_TEXT_MAX];
    rp_log_write (self->log, RP_LEVEL_WARNING, RP_TOPIC_REFUSED, now,
      connection ? rp_address_format (&connection->address, buffer) : NULL, "cut: %s", why);
    if (connection)
        (void) rp_connection_abort (connection);
}

/*  Finds the sender of a message. False if it is nobody that may be here: then its connection is
    aborted.  */
static bool s_is_admitted (
  rp_receive_t *self, rp_listener_t *listener, rp_message_t *message, int64_t now)
{
    rp_connection_t *connection = NULL;
    const char *why = NULL;
    bool chosen = listener->kind != RP_LISTENER_BACK;
    if (chosen && zmq_msg_size (&self->routing_id) > RP_LISTENER_ID_MAX) {
        why = "it has chosen a routing id of more than 255 bytes";
        connection = rp_connections_hear (
          self->connections, zmq_msg_get (&message->first, ZMQ_SRCFD), listener->number, NULL);
    }
    else {
        s_find_source (self, listener);
        if (self->admission->credentials)
            why = s_refuse_sender (self, message, &connection);
    }
    if (why)
        s_cut (self, connection, why, now);
    return !why;
}

/*  ---- Native messages ----------------------------------------------------------------------- */

static void s_take_native (rp_receive_t *self, rp_message_t *message, bool whole)
{
    rp_event_t *event = s_begin_event (self, RP_EVENT_MESSAGE, message);
    event->too_many_frames = (!whole || message->count > RP_FRAMES_MAX)
                             && message->bytes <= rp_receive_max_bytes (self->limits);
    event->error =
      rp_wire_decode (&self->head, rp_message_data (message), rp_message_size (message));
    if (event->session.v == 0) {
        s_set_sender (self, s_hear (self, message));
        self->sender.bundles = (self->head.flags & RP_FLAG_BUNDLES) != 0;
    }
    if (event->error != RP_WIRE_ERROR_NONE || event->too_many_frames) {
        event->kind = RP_EVENT_BAD;
        return;
    }
    event->size = message->bytes - self->head.size;
    event->oversized = event->size > self->limits->max_body;
}

static void s_refuse_bundle (rp_receive_t *self, rp_message_t *bundle)
{
    rp_event_t *event = s_begin_event (self, RP_EVENT_BAD, bundle);
    event->error = RP_WIRE_ERROR_BUNDLE;
    if (event->session.v == 0)
        s_set_sender (self, s_hear (self, bundle));
}

/*  Takes the next message of the bundle in hand, while its session lasts.  */
static rp_receive_result_t s_take_bundled (rp_receive_t *self)
{
    rp_message_t *message = NULL;
    rp_received_t received = RP_RECEIVED_NONE;
    if (rp_routes_has (&self->connections->routes, self->source.session))
        received = rp_message_unbundle (self->pool, self->bundle, &self->offset, &message);
    if (received != RP_RECEIVED) {
        int error = errno;
        rp_message_destroy (self->pool, &self->bundle);
        errno = error;
        return received == RP_RECEIVED_ERROR ? RP_RECEIVE_FAILED : RP_RECEIVE_NOTHING;
    }
    s_take_native (self, message, true);
    return RP_RECEIVE_EVENT;
}

static rp_receive_result_t s_take_bundle (rp_receive_t *self, rp_message_t *bundle, bool whole)
{
    if (!rp_routes_bundles (&self->connections->routes, self->source.session) || !whole
        || bundle->count > 1
        || !rp_bundle_is_valid (rp_message_data (bundle), rp_message_size (bundle))) {
        s_refuse_bundle (self, bundle);
        return RP_RECEIVE_EVENT;
    }
    self->bundle = bundle;
    self->offset = 0;
    return s_take_bundled (self);
}

/*  ---- Foreign messages ---------------------------------------------------------------------- */

/*  Returns a foreign session for a sender that has none, so that the sender can be answered.  */
static rp_foreign_session_t *s_stand_in (rp_receive_t *self)
{
    self->stand_in =
      (rp_foreign_session_t){.dialect = self->said.dialect, .worker = self->said.worker};
    return &self->stand_in;
}

/*  Reports a foreign message that cannot be taken, which ends the session; a worker without a
    session gets DISCONNECT in its own dialect. REP workers are one session, which does not end
    because one of them erred.  */
static void s_refuse_foreign (
  rp_receive_t *self, rp_message_t *message, const char *why, bool too_many_frames)
{
    const rp_foreign_message_t *said = &self->said;
    rp_event_t *event = s_begin_event (self, RP_EVENT_BAD, message);
    event->too_many_frames = too_many_frames;
    event->error =
      said->error == RP_DIALECT_ERROR_UNKNOWN ? RP_WIRE_ERROR_NOT_NATIVE : RP_WIRE_ERROR_FOREIGN;
    event->why = why;
    self->sender.foreign = s_stand_in (self);
    s_set_sender (self, s_hear (self, message));
    self->foreign->bad[said->error]++;
    if (self->source.listener->kind == RP_LISTENER_BACK)
        event->session = (rp_session_id_t){0};
    // Only a worker can be told. A former client is told in the dialect of this message.
    rp_foreign_session_t *session =
      rp_routes_foreign (&self->connections->routes, self->source.session);
    if (session && said->worker)
        rp_foreign_change (self->foreign, session, said->dialect, true);
}

/*  Makes the HELLO of a foreign peer. window: the number of REP workers; otherwise 0. False when
    out of memory: the peer's next message tries again.  */
static bool s_greet (rp_receive_t *self, rp_connection_t *connection, uint32_t window)
{
    rp_event_t *event = s_begin_event (self, RP_EVENT_MESSAGE, NULL);
    s_set_sender (self, connection);
    self->sender.foreign = rp_foreign_begin (self->foreign, self->said.dialect, self->said.worker);
    if (!self->sender.foreign)
        return false;
    self->greeting = true;
    rp_foreign_hello (self->foreign, &self->said, &self->head);
    event->traits = rp_foreign_traits (self->foreign, &self->said);
    if (window > 0) {
        self->head.window = window;
        if (self->source.listener->secure) // ZAP has asked for each of them
            event->traits |= RP_TRAIT_TRUSTED;
    }
    if (self->said.worker)
        event->attempt_limit =
          (uint32_t) (window > 0 ? self->limits->foreign_attempt : self->limits->mdp_attempt);
    return true;
}

/*  Reports a request that cannot be taken. Only the operator can be told.  */
static rp_receive_result_t s_drop_request (
  rp_receive_t *self, rp_message_t *message, const char *why)
{
    rp_event_t *event = s_begin_event (self, RP_EVENT_DROPPED, message);
    self->head = (rp_head_t){.command = RP_COMMAND_REQUEST};
    event->why = why;
    return RP_RECEIVE_EVENT;
}

/*  The head of a foreign message for whose body there is no memory. A reply becomes a lost
    delivery: its request ends, or another worker gets it.  */
static rp_head_t s_without_body (const rp_foreign_message_t *said)
{
    static const char lost[] = "the broker has no memory for its reply";
    rp_head_t head = {.command = said->command};
    if (said->command == RP_COMMAND_REPLY) {
        head.id = said->token;
        head.status = RP_WORKER_LOST;
        head.text = lost;
        head.text_size = sizeof lost - 1;
    }
    return head;
}

/*  Takes a message of a foreign peer with a session.  */
static rp_receive_result_t s_take_said (rp_receive_t *self, rp_message_t *message)
{
    rp_event_t *event = s_begin_event (self, RP_EVENT_MESSAGE, message);
    rp_foreign_session_t *session =
      rp_routes_foreign (&self->connections->routes, self->source.session);
    if (!rp_foreign_take (self->foreign, session, &self->said, message, &self->head)) {
        if (self->said.command == RP_COMMAND_REQUEST)
            return s_drop_request (self, message, "the broker has no memory or place for it");
        self->head = s_without_body (&self->said);
        return RP_RECEIVE_EVENT;
    }
    event->size = message->bytes - rp_message_size (message);
    event->oversized = event->size > self->limits->max_body;
    return RP_RECEIVE_EVENT;
}

/*  Takes the foreign message for which a HELLO was made, if the core has admitted the session.  */
static rp_receive_result_t s_take_greeted (rp_receive_t *self)
{
    rp_message_t *message = self->greeted;
    self->greeted = NULL;
    s_find_session (self);
    if (self->source.session.v && self->said.command != RP_COMMAND_HELLO)
        return s_take_said (self, message);
    if (self->said.command == RP_COMMAND_REQUEST)
        return s_drop_request (self, message, "the broker takes no more clients");
    rp_message_destroy (self->pool, &message);
    return RP_RECEIVE_NOTHING;
}

/*  Takes a message that begins no session, from a sender without one: the core answers if that
    dialect has a word for it.  */
static void s_take_strange (rp_receive_t *self, rp_message_t *message, rp_connection_t *connection)
{
    self->head = (rp_head_t){.command = self->said.command};
    s_begin_event (self, RP_EVENT_MESSAGE, message);
    self->sender.foreign = s_stand_in (self);
    s_set_sender (self, connection);
    if (self->source.listener->kind == RP_LISTENER_BACK) // its session ended, but the worker lives
        self->source.listener->recount = true;
}

static void s_read_foreign (rp_receive_t *self, const rp_frame_t *frames, uint32_t count)
{
    const rp_listener_t *listener = self->source.listener;
    if (listener->kind == RP_LISTENER_OPEN) {
        rp_dialect_read (&self->said, frames, count);
        return;
    }
    if (listener->kind == RP_LISTENER_FRONT)
        rp_dialect_read_plain_client (&self->said, frames, count);
    else
        rp_dialect_read_plain_worker (&self->said, frames, count);
    self->said.name = listener->service;
    self->said.name_size = (uint8_t) strlen (listener->service);
}

/*  Finds out whether a foreign peer that chose its routing id has come back on another connection,
    possibly with the same descriptor. With a routing id of libzmq's own it cannot, which saves a
    system call. Returns the new connection, or NULL.  */
static rp_connection_t *s_find_moved (rp_receive_t *self, rp_message_t *message)
{
    const rp_connection_t *known =
      rp_routes_connection (&self->connections->routes, self->source.session);
    bool chosen =
      rp_listener_id_is_chosen (zmq_msg_data (&self->routing_id), zmq_msg_size (&self->routing_id));
    if (!chosen && known && known->descriptor == zmq_msg_get (&message->first, ZMQ_SRCFD))
        return NULL;
    rp_connection_t *connection = s_hear (self, message);
    // asked again, because s_hear may have ended the known one and freed it
    known = rp_routes_connection (&self->connections->routes, self->source.session);
    return connection == known && (!known || known->principal) ? NULL : connection;
}

/*  True if the session in hand is that of the connection's principal.  */
static bool s_is_same (const rp_receive_t *self, const rp_connection_t *connection)
{
    return connection->principal
           == rp_routes_principal (&self->connections->routes, self->source.session);
}

/*  Ends the former session of a worker that came back with READY, and so was restarted, or whose
    routing id now is another principal's; then the message begins another session.  */
static void s_end_former (rp_receive_t *self, rp_message_t *message)
{
    self->head = (rp_head_t){.command = RP_COMMAND_BYE};
    s_begin_event (self, RP_EVENT_MESSAGE, NULL);
    self->restarted = message;
}

/*  Returns why a foreign message cannot be taken, or NULL.  */
static const char *s_find_fault (
  const rp_receive_t *self, const rp_message_t *message, bool whole, bool *too_many_frames)
{
    const rp_foreign_message_t *said = &self->said;
    const rp_foreign_session_t *session =
      rp_routes_foreign (&self->connections->routes, self->source.session);
    *too_many_frames = !whole && message->bytes <= rp_receive_max_bytes (self->limits);
    if (whole && said->command && message->count - said->body >= RP_FRAMES_MAX)
        *too_many_frames = said->command == RP_COMMAND_REQUEST || said->command == RP_COMMAND_REPLY;
    if (*too_many_frames)
        return "more than 63 frames of body";
    if (!whole) // all frames but the first are gone
        return "a message over max_body";
    if (said->error != RP_DIALECT_ERROR_NONE)
        return rp_dialect_error_text (said->error);
    if (session && (session->worker != said->worker || session->dialect != said->dialect))
        return "a client and a worker, or two protocols, on one connection";
    if (self->source.session.v && !session)
        return "two protocols on one connection";
    return NULL;
}

/*  True for an empty message that is the first on its connection, which a socket with
    ZMQ_PROBE_ROUTER sends. If the connection is not known (peers older than ZMTP 3.0), any empty
    message may be that.  */
static bool s_is_probe (rp_receive_t *self, rp_message_t *message, bool whole, int64_t now)
{
    if (!whole || message->count != 1 || rp_message_size (message) != 0)
        return false;
    bool first;
    char buffer[RP_ADDRESS_TEXT_MAX];
    const rp_connection_t *connection = rp_connections_hear (self->connections,
      zmq_msg_get (&message->first, ZMQ_SRCFD), self->source.listener->number, &first);
    if (connection && !first)
        return false;
    rp_log_write (self->log, RP_LEVEL_DEBUG, RP_TOPIC_CLIENT, now,
      connection ? rp_address_format (&connection->address, buffer) : NULL,
      "connected, and said so with an empty message (ZMQ_PROBE_ROUTER)");
    return true;
}

/*  Takes the first foreign message of a sender: its event is a HELLO, and the message itself
    follows.  */
static rp_receive_result_t s_take_first (rp_receive_t *self, rp_message_t *message)
{
    rp_connection_t *connection = s_hear (self, message);
    if (self->said.command != RP_COMMAND_HELLO && self->said.command != RP_COMMAND_REQUEST) {
        s_take_strange (self, message, connection);
        return RP_RECEIVE_EVENT;
    }
    self->greeted = message;
    if (s_greet (self, connection, 0))
        return RP_RECEIVE_EVENT;
    rp_receive_result_t result = s_take_greeted (self);
    return result == RP_RECEIVE_NOTHING ? RP_RECEIVE_SKIPPED : result; // there may be more
}

static rp_receive_result_t s_take_foreign (
  rp_receive_t *self, rp_message_t *message, bool whole, int64_t now)
{
    bool too_many_frames;
    const char *why = s_find_fault (self, message, whole, &too_many_frames);
    if (why) {
        s_refuse_foreign (self, message, why, too_many_frames);
        return RP_RECEIVE_EVENT;
    }
    if (self->source.session.v) {
        rp_connection_t *moved =
          self->source.listener->kind == RP_LISTENER_BACK ? NULL : s_find_moved (self, message);
        if (moved && (self->said.command == RP_COMMAND_HELLO || !s_is_same (self, moved))) {
            s_end_former (self, message);
            return RP_RECEIVE_EVENT;
        }
        if (moved)
            rp_connections_move (self->connections, self->source.session, moved, now);
        return s_take_said (self, message); // the core refuses a second HELLO
    }
    return s_take_first (self, message);
}

static rp_receive_result_t s_take_restarted (rp_receive_t *self)
{
    rp_message_t *message = self->restarted;
    self->restarted = NULL;
    s_find_session (self);
    if (self->source.session.v == 0)
        return s_take_first (self, message);
    // The former session has not ended, so the core refuses READY.
    const rp_connection_t *connection = s_hear (self, message);
    if (connection && s_is_same (self, connection))
        return s_take_said (self, message);
    rp_message_destroy (self->pool, &message);
    return RP_RECEIVE_SKIPPED;
}

/*  ---- Plain REP workers --------------------------------------------------------------------- */

/*  Makes an event of the number of REP workers, which is the window of their one session: CREDIT if
    they have a session, BYE if none is left, HELLO if they have no session. False if there is no
    event.  */
static bool s_count_rep (rp_receive_t *self, rp_listener_t *listener)
{
    uint32_t window = listener->connected < RP_WINDOW_MAX ? listener->connected : RP_WINDOW_MAX;
    listener->recount = false;
    s_find_source (self, listener);
    if (self->source.session.v) {
        self->head =
          (rp_head_t){.command = window ? RP_COMMAND_CREDIT : RP_COMMAND_BYE, .window = window};
        s_begin_event (self, RP_EVENT_MESSAGE, NULL);
        return true;
    }
    self->said = (rp_foreign_message_t){.dialect = RP_DIALECT_PLAIN,
      .worker = true,
      .name = listener->service,
      .name_size = (uint8_t) strlen (listener->service)};
    return window > 0 && s_greet (self, NULL, window);
}

/*  ---- Receiving ----------------------------------------------------------------------------- */

/*  Finds the sender and the protocol of a message.  */
static rp_receive_result_t s_take (
  rp_receive_t *self, rp_listener_t *listener, rp_message_t *message, bool whole, int64_t now)
{
    if (!s_is_admitted (self, listener, message, now)) {
        rp_message_destroy (self->pool, &message);
        return RP_RECEIVE_SKIPPED;
    }
    RP_UNINITIALIZED rp_frame_t frames[RP_FOREIGN_FRAMES_MAX];
    bool foreign = listener->kind != RP_LISTENER_OPEN
                   || rp_routes_foreign (&self->connections->routes, self->source.session);
    bool bundle = !foreign && rp_bundle_is (rp_message_data (message), rp_message_size (message));
    if (foreign || (self->source.session.v == 0 && !bundle)) {
        if (s_is_probe (self, message, whole, now)) {
            rp_message_destroy (self->pool, &message);
            return RP_RECEIVE_SKIPPED;
        }
        uint32_t count = rp_foreign_frames (message, frames);
        foreign = foreign || !rp_dialect_is_native (frames, count);
        if (foreign)
            s_read_foreign (self, frames, count);
    }
    if (foreign)
        return s_take_foreign (self, message, whole, now);
    if (bundle)
        return s_take_bundle (self, message, whole);
    s_take_native (self, message, whole);
    return RP_RECEIVE_EVENT;
}

static rp_receive_result_t s_receive (rp_receive_t *self, rp_listener_t *listener, int64_t now)
{
    if (listener->kind != RP_LISTENER_BACK
        && zmq_msg_recv (&self->routing_id, listener->socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR)
            return RP_RECEIVE_SKIPPED;
        return errno == EAGAIN ? RP_RECEIVE_NOTHING : RP_RECEIVE_FAILED;
    }
    rp_message_t *message;
    rp_received_t received = rp_message_receive (self->pool, listener->socket,
      RP_FOREIGN_FRAMES_MAX, rp_receive_max_bytes (self->limits), &message);
    if (received == RP_RECEIVED_ERROR)
        return RP_RECEIVE_FAILED;
    if (!message)
        return RP_RECEIVE_NOTHING;
    return s_take (self, listener, message, received == RP_RECEIVED, now);
}

rp_receive_result_t rp_receive_next (rp_receive_t *self, rp_listener_t *listener, int64_t now)
{
    rp_receive_result_t result = RP_RECEIVE_NOTHING;
    s_end_greeting (self);
    if (self->greeted)
        result = s_take_greeted (self);
    else if (self->restarted)
        result = s_take_restarted (self);
    else if (self->bundle)
        result = s_take_bundled (self);
    if (result == RP_RECEIVE_NOTHING && listener->recount && s_count_rep (self, listener))
        result = RP_RECEIVE_EVENT;
    return result == RP_RECEIVE_NOTHING ? s_receive (self, listener, now) : result;
}
