/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"

void rp_outbox_init (rp_outbox_t *self,
  void *router,
  rp_routes_t *routes,
  rp_message_pool_t *pool,
  rp_journal_t *journal,
  size_t backlog,
  size_t most)
{
    *self = (rp_outbox_t){.router = router,
      .routes = routes,
      .pool = pool,
      .journal = journal,
      .backlog_max = backlog,
      .backlog_most = most};
}

void rp_outbox_serve_foreign (rp_outbox_t *self, rp_foreign_t *foreign, rp_listener_t *listeners)
{
    self->foreign = foreign;
    self->listeners = listeners;
}

/*  Returns the compact body that a payload is; NULL if it is a message.  */
static rp_compact_body_t *s_compact (rp_payload_t *payload)
{
    uintptr_t address = (uintptr_t) payload;
    return address & 1 ? (rp_compact_body_t *) (address - 1) : NULL;
}

void rp_outbox_keep (rp_outbox_t *self, const rp_head_t *head, rp_payload_t **payload_p)
{
    rp_message_t *message = rp_outbox_message (*payload_p);
    rp_compact_body_t *compact = rp_compact_body_new (self->pool, head, message);
    if (!compact) {
        // out of memory: it keeps the whole bundle
        (void) rp_message_leave_bundle (self->pool, message);
        return;
    }
    *payload_p = (rp_payload_t *) ((uintptr_t) compact + 1);
    rp_message_destroy (self->pool, &message);
}

void rp_outbox_drop (rp_outbox_t *self, rp_payload_t *payload)
{
    rp_compact_body_t *compact = s_compact (payload);
    rp_message_t *message = compact ? NULL : rp_outbox_message (payload);
    rp_compact_body_destroy (&compact);
    rp_message_destroy (self->pool, &message);
}

void rp_outbox_clear (rp_outbox_t *self)
{
    while (self->event_first < self->event_count)
        rp_outbox_drop (self, self->events[self->event_first++].payload);
    for (size_t index = 0; index < self->waiting_count; index++)
        rp_message_destroy (self->pool, &self->waiting[index].message);
    free (self->events);
    // The total stays: libzmq still holds messages that count in it.
    self->events = NULL;
    self->event_first = self->event_count = self->event_capacity = self->waiting_count = 0;
}

/*  Appends an event for the core. Out of memory ends the process, for the same reason as in
    rp_actions_add.  */
static void s_add_event (rp_outbox_t *self, const rp_event_t *event)
{
    if (self->event_count == self->event_capacity) {
        size_t capacity = self->event_capacity ? self->event_capacity * 2 : 64;
        rp_event_t *events = realloc (self->events, capacity * sizeof *events);
        RP_CHECK_MEMORY (events != NULL);
        self->events = events;
        self->event_capacity = capacity;
    }
    self->events[self->event_count++] = *event;
}

bool rp_outbox_next_event (rp_outbox_t *self, rp_event_t *event)
{
    while (self->event_first < self->event_count) {
        *event = self->events[self->event_first++];
        if (event->kind == RP_EVENT_DROPPED || rp_routes_has (self->routes, event->session))
            return true;
        // The session has ended, so the event concerns nothing any more.
        rp_outbox_drop (self, event->payload);
    }
    self->event_first = self->event_count = 0;
    return false;
}

/*  Makes the message of a request that waited. NULL when out of memory; the compact body remains
    then.  */
static rp_message_t *s_unpack (
  rp_outbox_t *self, const rp_action_t *action, rp_compact_body_t *compact)
{
    rp_message_t *message = rp_compact_body_open (compact, self->pool, &action->head);
    if (message && !action->keep)
        rp_compact_body_destroy (&compact);
    return message;
}

/*  Makes the message of a SEND, from its payload unless the core keeps that. NULL when out of
    memory; *lost_p is then the payload that was to be sent.  */
static rp_message_t *s_prepare (rp_outbox_t *self, const rp_action_t *action, rp_payload_t **lost_p)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    *lost_p = action->keep ? NULL : action->payload;
    if (s_compact (action->payload))
        return s_unpack (self, action, s_compact (action->payload));
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

/*  Keeps a request that is to wait again. One that was made of a compact body has that body inline, which the
    core does not know: it must not go on as a message, whose flags are the core's.  */
static void s_keep_again (rp_outbox_t *self, rp_payload_t **payload_p)
{
    rp_message_t *message = rp_outbox_message (*payload_p);
    rp_head_t head;
    if (rp_wire_decode (&head, rp_message_data (message), rp_message_size (message))
          == RP_WIRE_ERROR_NONE
        && head.flags & RP_FLAG_INLINE)
        rp_outbox_keep (self, &head, payload_p);
    else
        (void) rp_message_leave_bundle (self->pool, message);
}

/*  Reports a message that could not be sent. A request goes back to the core, unless the core kept
    it.  */
static void s_report (
  rp_outbox_t *self, const rp_outbox_waiting_t *waiting, rp_payload_t *payload, bool full)
{
    rp_event_t event = {.kind = RP_EVENT_UNSENT,
      .session = waiting->session,
      .token = waiting->token,
      .full = full,
      .reply = waiting->reply,
      .status = waiting->status};
    if (waiting->token.v && !waiting->keep) {
        if (payload && !s_compact (payload)) // it waits again, and must not keep a bundle alive
            s_keep_again (self, &payload);
        event.payload = payload;
    }
    else {
        rp_outbox_drop (self, payload);
    }
    s_add_event (self, &event);
}

void rp_outbox_report_dropped (rp_outbox_t *self, rp_session_id_t client, const char *why)
{
    s_add_event (self, &(rp_event_t){.kind = RP_EVENT_DROPPED, .session = client, .why = why});
}

/*  Sends to the peer whose session has this key. 0, or -1 with errno as rp_message_send.  */
static int s_send_to (rp_outbox_t *self, const void *key, size_t size, rp_message_t **message_p)
{
    uint8_t listener = rp_listener_of_key (key, size);
    const void *routing_id = rp_listener_routing_id (key, &size);
    void *socket = listener ? self->listeners[listener].socket : self->router;
    return rp_message_send (self->pool, socket, routing_id, size, message_p);
}

/*  Counts a message in the backlog of its session. False if the backlog is full, or when out of
    memory: errno as rp_message_send.  */
static bool s_count (
  rp_outbox_t *self, rp_session_id_t session, rp_message_t *message, size_t bytes)
{
    rp_backlog_t *backlog = rp_routes_backlog (self->routes, session, &self->backlog);
    errno = ENOMEM;
    if (!backlog)
        return false;
    size_t waits = rp_backlog_bytes (backlog);
    if (waits > 0 && waits + bytes > self->backlog_most) {
        errno = EAGAIN;
        return false;
    }
    if (waits > 0 && waits + bytes > self->backlog_max) {
        rp_routes_exceeds (self->routes, session);
        self->exceeded = true;
    }
    return rp_message_leave_bundle (self->pool, message)
           && rp_backlog_add (backlog, rp_message_frame (message, message->count - 1), bytes);
}

/*  Sends a message to a session by its key. 0, or -1 with errno as rp_message_send.  */
static int s_send_to_session (rp_outbox_t *self,
  const rp_outbox_waiting_t *waiting,
  const void *key,
  size_t size,
  rp_message_t **message_p)
{
    uint32_t *small = waiting->token.v ? NULL : rp_routes_small (self->routes, waiting->session);
    if (small) {
        size_t bytes = *small + (*message_p)->bytes + (*message_p)->count * RP_OUTBOX_FRAME;
        *small = bytes > RP_OUTBOX_SMALL ? 0 : (uint32_t) bytes;
        if (bytes > RP_OUTBOX_SMALL && !s_count (self, waiting->session, *message_p, bytes))
            return -1;
    }
    return s_send_to (self, key, size, message_p);
}

/*  Sends a message to a foreign session in its own dialect; the message itself remains. If the
    dialect has no word for it, only checks the connection, which is the purpose of a heartbeat. 0,
    or -1 with errno.  */
static int s_send_foreign (rp_outbox_t *self,
  const rp_foreign_session_t *foreign,
  const rp_outbox_waiting_t *waiting,
  const void *key,
  size_t size)
{
    rp_message_t *message = rp_foreign_translate (self->foreign, foreign, waiting->message);
    if (!message && errno == 0) {
        errno = EHOSTUNREACH;
        // The connection of a client older than ZMTP 3.0 is not known. If that client waits for
        // nothing it may be gone; if it is not, its next request begins a new session.
        bool idle = !foreign->worker && rp_list_is_empty (&foreign->envelopes)
                    && !rp_routes_connection (self->routes, waiting->session);
        return !idle && rp_routes_stands (self->routes, waiting->session) ? 0 : -1;
    }
    if (!message)
        return -1;
    int rc = s_send_to_session (self, waiting, key, size, &message);
    int reason = errno;
    rp_message_destroy (self->pool, &message);
    errno = reason;
    return rc;
}

static void s_send (rp_outbox_t *self, rp_outbox_waiting_t *waiting)
{
    size_t size;
    const void *key = rp_routes_routing_id (self->routes, waiting->session, &size);
    const rp_foreign_session_t *foreign = rp_routes_foreign (self->routes, waiting->session);
    int rc = 0;
    if (key && foreign)
        rc = s_send_foreign (self, foreign, waiting, key, size);
    else if (key)
        rc = s_send_to_session (self, waiting, key, size, &waiting->message);
    if (rc != 0)
        s_report (
          self, waiting, rp_outbox_payload (waiting->message), errno == EAGAIN || errno == ENOMEM);
    else
        rp_message_destroy (
          self->pool, &waiting->message); // it was for a foreign session, or its session has ended
}

static rp_outbox_waiting_t *s_next (rp_outbox_t *self, const rp_outbox_waiting_t *waiting)
{
    return waiting->next ? &self->waiting[waiting->next] : NULL;
}

/*  Returns the bytes that the message takes in a bundle; 0 if it goes alone.  */
static size_t s_bundled_size (rp_message_t *message)
{
    bool fits = message->count == 1 && message->bytes <= RP_BUNDLE_MESSAGE_MAX;
    return fits ? RP_BUNDLE_ENTRY_HEAD + message->bytes : 0;
}

/*  Copies messages, from first up to end, into a bundle. NULL when out of memory.  */
static rp_message_t *s_bundle (
  rp_outbox_t *self, rp_outbox_waiting_t *first, const rp_outbox_waiting_t *end, size_t size)
{
    rp_message_t *bundle = rp_message_new (self->pool, size);
    if (!bundle)
        return NULL;
    uint8_t *at = rp_bundle_write_head (rp_message_data (bundle));
    for (rp_outbox_waiting_t *one = first; one != end; one = s_next (self, one)) {
        size_t bytes = one->message->bytes;
        at = rp_bundle_write_entry_head (at, bytes);
        memcpy (at, rp_message_data (one->message), bytes);
        rp_message_count_copy (self->pool, at, bytes);
        at += bytes;
    }
    return bundle;
}

/*  Sends waiting messages of one session, from first on: as many as fit in one bundle. Returns the
    first that is left, or NULL.  */
static rp_outbox_waiting_t *s_send_some (rp_outbox_t *self, rp_outbox_waiting_t *first)
{
    size_t total = RP_BUNDLE_HEAD;
    rp_outbox_waiting_t *end = first;
    for (size_t size; end && (size = s_bundled_size (end->message)) > 0; end = s_next (self, end)) {
        if (total + size > RP_BUNDLE_MAX)
            break;
        total += size;
    }
    size_t id_size;
    const void *routing_id = rp_routes_routing_id (self->routes, first->session, &id_size);
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
    for (rp_outbox_waiting_t *one = first; one != end; one = s_next (self, one)) {
        if (sent)
            rp_message_destroy (self->pool, &one->message);
        else
            s_report (self, one, rp_outbox_payload (one->message), full);
    }
    return end;
}

void rp_outbox_empty (rp_outbox_t *self)
{
    size_t count = self->waiting_count;
    if (count > 0)
        rp_journal_reach_last (self->journal);
    for (size_t index = 0; index < count; index++) {
        rp_outbox_waiting_t *waiting = &self->waiting[index];
        if (waiting->follows)
            continue;
        uint32_t *last = rp_routes_mark (self->routes, waiting->session);
        if (last)
            *last = 0;
        while (waiting)
            waiting = s_send_some (self, waiting);
    }
    self->waiting_count = 0;
    self->large = false;
    self->used |= count > 0;
}

bool rp_outbox_flush (rp_outbox_t *self)
{
    rp_outbox_empty (self);
    bool used = self->used;
    self->used = false;
    return used;
}

/*  Appends a waiting message. The mark of a session that reads bundles is the number, plus 1, of
    its last waiting message.  */
static void s_post (rp_outbox_t *self, const rp_outbox_waiting_t *waiting)
{
    if (self->waiting_count == RP_OUTBOX_OUTBOX)
        rp_outbox_empty (self);
    uint32_t number = (uint32_t) self->waiting_count++;
    self->waiting[number] = *waiting;
    self->large |= waiting->message->bytes > RP_OUTBOX_LARGE;
    if (!rp_routes_bundles (self->routes, waiting->session))
        return;
    uint32_t *last = rp_routes_mark (self->routes, waiting->session);
    self->waiting[number].follows = *last > 0;
    if (*last)
        self->waiting[*last - 1].next = number;
    *last = number + 1;
}

void rp_outbox_answer (rp_outbox_t *self, const rp_action_t *action, const rp_sender_t *sender)
{
    rp_payload_t *lost;
    rp_message_t *message = sender->routing_id ? s_prepare (self, action, &lost) : NULL;
    if (message && sender->foreign) {
        rp_message_t *said = rp_foreign_translate (self->foreign, sender->foreign, message);
        rp_message_destroy (self->pool, &message);
        message = said;
    }
    if (message) {
        rp_journal_reach_last (self->journal);
        (void) s_send_to (self, sender->routing_id, sender->size, &message);
    }
    rp_message_destroy (self->pool, &message); // if not sent: no session waits for it
}

void rp_outbox_post (rp_outbox_t *self, const rp_action_t *action)
{
    rp_outbox_waiting_t waiting = {.session = action->session,
      .token = action->token,
      .keep = action->keep,
      .reply = action->head.command == RP_COMMAND_REPLY && !(action->head.flags & RP_FLAG_MORE),
      .status = action->head.status};
    rp_payload_t *lost;
    waiting.message = s_prepare (self, action, &lost);
    if (waiting.message)
        s_post (self, &waiting);
    else
        s_report (self, &waiting, lost, true); // out of memory
}

void rp_outbox_send (rp_outbox_t *self, rp_session_id_t session, rp_message_t **message_p)
{
    s_post (self, &(rp_outbox_waiting_t){
                    .session = session, .reply = true, .status = RP_OK, .message = *message_p});
    *message_p = NULL;
}

/*  Out of memory ends the process: a reply with a gap would look complete.  */
void rp_outbox_join (rp_outbox_t *self, rp_payload_t *payload, rp_payload_t *other)
{
    rp_message_t *joined = rp_outbox_message (other);
    RP_CHECK_MEMORY (rp_message_join (self->pool, rp_outbox_message (payload), &joined));
}
