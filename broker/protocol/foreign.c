/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/foreign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/error.h>

#include "broker/core/dispatch.h"
#include "broker/protocol/titanic.h"
#include "common/base/uninitialized.h"
#include "common/wire/flow.h"
#include "common/wire/headers.h"
#include "common/wire/name.h"

void rp_foreign_fit (rp_foreign_t *self)
{
    const rp_limits_t *limits = self->limits;
    // A client that stops is to be within its backlog. Small parts take several times what they cost, each one message.
    self->window = rp_flow_window (RP_FLOW_WINDOW, limits->stream_window);
    self->window = rp_flow_window (self->window, limits->connection_backlog_bytes / 8);
    self->window = rp_flow_window (self->window, limits->connection_backlog * RP_PART_COST / 2);
    char window[24];
    snprintf (window, sizeof window, "%llu", (unsigned long long) self->window);
    self->streams_size = 0;
    (void) rp_headers_append (
      self->streams, &self->streams_size, sizeof self->streams, RP_STREAM_WINDOW, window);
}

void rp_foreign_init (
  rp_foreign_t *self, rp_message_pool_t *pool, const rp_limits_t *limits, uint64_t seed)
{
    *self = (rp_foreign_t){.pool = pool, .limits = limits};
    rp_foreign_fit (self);
    rp_list_init (&self->sessions);
    // A refused request has an envelope too, until the refusal is sent.
    rp_envelopes_init (
      &self->envelopes, (uint32_t) (limits->total_queue + limits->max_clients), (uint32_t) seed);
}

void rp_foreign_clear (rp_foreign_t *self)
{
    for (rp_list_node_t *node; (node = rp_list_first (&self->sessions));) {
        rp_foreign_session_t *foreign_session = RP_CONTAINER (node, rp_foreign_session_t, node);
        rp_foreign_end (self, &foreign_session);
    }
    rp_envelopes_clear (&self->envelopes);
}

rp_foreign_session_t *rp_foreign_begin (rp_foreign_t *self, rp_dialect_t dialect, bool worker)
{
    rp_foreign_session_t *foreign_session = malloc (sizeof *foreign_session);
    if (!foreign_session)
        return NULL;
    *foreign_session = (rp_foreign_session_t){.dialect = dialect, .worker = worker};
    rp_list_init (&foreign_session->envelopes);
    rp_list_append (&self->sessions, &foreign_session->node);
    self->joined[dialect]++;
    self->there[dialect]++;
    self->workers[dialect] += worker;
    return foreign_session;
}

void rp_foreign_change (
  rp_foreign_t *self, rp_foreign_session_t *foreign_session, rp_dialect_t dialect, bool worker)
{
    self->there[foreign_session->dialect]--;
    self->workers[foreign_session->dialect] -= foreign_session->worker;
    self->there[dialect]++;
    self->workers[dialect] += worker;
    foreign_session->dialect = dialect;
    foreign_session->worker = worker;
}

void rp_foreign_end (rp_foreign_t *self, rp_foreign_session_t **session_p)
{
    rp_foreign_session_t *foreign_session = *session_p;
    if (!foreign_session)
        return;
    *session_p = NULL;
    rp_envelopes_drop_all (&self->envelopes, &foreign_session->envelopes);
    rp_list_remove (&foreign_session->node);
    self->there[foreign_session->dialect]--;
    self->workers[foreign_session->dialect] -= foreign_session->worker;
    free (foreign_session);
}

/*  ---- In ------------------------------------------------------------------------------------ */

uint32_t rp_foreign_frames (rp_message_t *message, rp_frame_t *frames)
{
    for (uint32_t index = 0; index < message->count; index++) {
        zmq_msg_t *frame = rp_message_frame (message, index);
        frames[index] = (rp_frame_t){zmq_msg_data (frame), zmq_msg_size (frame)};
    }
    return message->count;
}

void rp_foreign_hello (
  const rp_foreign_t *self, const rp_foreign_message_t *foreign, rp_head_t *head)
{
    const char *kind = rp_dialect_name (foreign->dialect);
    *head = (rp_head_t){.command = RP_COMMAND_HELLO,
      .interval_ms = (uint32_t) self->limits->foreign_heartbeat,
      .key = kind,
      .key_size = (uint8_t) strlen (kind)};
    if (!foreign->worker)
        return;
    head->flags = RP_FLAG_WORKER;
    head->window = (uint32_t) self->limits->foreign_window;
    head->name = foreign->name;
    head->name_size = foreign->name_size;
}

/*  True if a reply may come in parts there.  */
static bool s_has_parts (rp_dialect_t dialect)
{
    return dialect != RP_DIALECT_MDP01 && dialect != RP_DIALECT_PLAIN;
}

uint8_t rp_foreign_traits (const rp_foreign_t *self, const rp_foreign_message_t *foreign)
{
    bool plain = foreign->dialect == RP_DIALECT_PLAIN;
    uint8_t traits = RP_TRAIT_MUTE | RP_TRAIT_UNTIMED;
    if (foreign->worker)
        traits = plain ? RP_TRAIT_MUTE : RP_TRAIT_BUSY_MUTE | RP_TRAIT_LEARN;
    else if (!self->limits->foreign_errors)
        traits |= RP_TRAIT_WORDLESS;
    return s_has_parts (foreign->dialect) ? traits | RP_TRAIT_PARTS : traits;
}

/*  Fills the native head. A REQUEST gets the id of its envelope, by which its reply finds the
    envelope.  */
static bool s_fill_head (rp_foreign_t *self,
  rp_foreign_session_t *foreign_session,
  const rp_foreign_message_t *foreign,
  const rp_frame_t *frames,
  rp_head_t *head)
{
    *head = (rp_head_t){.command = foreign->command};
    if (foreign->command == RP_COMMAND_REPLY) {
        head->id = foreign->token;
        head->flags = foreign->more ? RP_FLAG_MORE : 0;
    }
    else if (foreign->command == RP_COMMAND_REQUEST) {
        head->id = rp_envelopes_add (&self->envelopes, &foreign_session->envelopes, frames,
          foreign->envelope, foreign->name, foreign->name_size);
        head->name = foreign->name;
        head->name_size = foreign->name_size;
        head->deadline_ms = head->wait_ms = (uint32_t) self->limits->foreign_deadline;
        head->attempts = (uint8_t) self->limits->foreign_attempts;
        if (s_has_parts (foreign->dialect)) {
            head->flags = RP_FLAG_STREAM;
            head->headers = self->streams;
            head->headers_size = (uint16_t) self->streams_size;
        }
        return head->id != 0;
    }
    return true;
}

/*  Makes a request for Titanic of one for its services, or leaves the request as it is. A job's reply is one piece.  */
static void s_read_titanic (const rp_foreign_message_t *foreign,
  const rp_frame_t *frames,
  uint32_t count,
  rp_titanic_request_t *titanic,
  rp_head_t *head)
{
    if (foreign->command != RP_COMMAND_REQUEST || !rp_name_is_titanic (head->name, head->name_size))
        return;
    head->flags = 0;
    head->headers_size = 0;
    rp_titanic_read (titanic, frames, count, foreign->body, head);
}

/*  Replaces the frames before the body by one with the head, and what is inlined behind it.  */
static bool s_replace_envelope (rp_message_t *message,
  const rp_head_t *head,
  uint32_t body,
  const char *inlined,
  size_t inlined_size)
{
    uint32_t kept = body < message->count ? message->count - body : 0;
    size_t size = rp_wire_size (head);
    zmq_msg_t *rest = kept ? malloc (kept * sizeof *rest) : NULL;
    zmq_msg_t first;
    if ((kept && !rest) || zmq_msg_init_size (&first, size + inlined_size) != 0) {
        free (rest);
        return false;
    }
    rp_wire_encode (head, zmq_msg_data (&first), size);
    if (inlined_size)
        memcpy ((char *) zmq_msg_data (&first) + size, inlined, inlined_size);
    message->bytes = size + inlined_size;
    for (uint32_t index = 0; index < kept; index++) {
        zmq_msg_init (&rest[index]);
        zmq_msg_move (&rest[index], rp_message_frame (message, body + index));
        message->bytes += zmq_msg_size (&rest[index]);
    }
    zmq_msg_move (&message->first, &first);
    zmq_msg_close (&first);
    for (uint32_t index = 1; index < message->count; index++)
        zmq_msg_close (rp_message_frame (message, index));
    free (message->rest);
    message->rest = rest;
    message->count = 1 + kept;
    return true;
}

bool rp_foreign_take (rp_foreign_t *self,
  rp_foreign_session_t *foreign_session,
  const rp_foreign_message_t *foreign,
  rp_message_t *message,
  rp_head_t *head)
{
    RP_UNINITIALIZED rp_frame_t frames[RP_FOREIGN_FRAMES_MAX];
    rp_foreign_frames (message, frames);
    bool has_body = foreign->command == RP_COMMAND_REQUEST || foreign->command == RP_COMMAND_REPLY;
    uint32_t body = has_body ? foreign->body : message->count;
    if (!s_fill_head (self, foreign_session, foreign, frames, head))
        return false;
    RP_UNINITIALIZED rp_titanic_request_t titanic;
    titanic.body = body;
    titanic.inlined_size = 0;
    if (self->titanic)
        s_read_titanic (foreign, frames, message->count, &titanic, head);
    if (!s_replace_envelope (message, head, titanic.body, titanic.inlined, titanic.inlined_size)) {
        if (foreign->command == RP_COMMAND_REQUEST)
            rp_envelopes_remove (&self->envelopes, head->id);
        return false;
    }
    // Decode again: the name pointed into a frame that is gone.
    return rp_wire_decode (head, rp_message_data (message), rp_message_size (message))
             == RP_WIRE_ERROR_NONE
           || foreign->command == RP_COMMAND_REPLY;
}

/*  ---- Out ----------------------------------------------------------------------------------- */

/*  An envelope, a prefix, a status of Titanic's with two frames for people, and a body.  */
#define S_PARTS_MAX (RP_ENVELOPE_FRAMES_MAX + RP_PREFIX_FRAMES_MAX + 3 + 1 + RP_FRAMES_MAX)

/*  The frames of a message to be made, in order. A frame with a source shares the source's
    content.  */
typedef struct {
    rp_frame_t frames[S_PARTS_MAX];
    zmq_msg_t *sources[S_PARTS_MAX];
    uint32_t count;
} s_parts_t;

static void s_add (s_parts_t *self, const void *data, size_t size, zmq_msg_t *source)
{
    self->frames[self->count] = (rp_frame_t){data, size};
    self->sources[self->count++] = source;
}

static void s_add_frames (s_parts_t *self, const rp_frame_t *frames, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++)
        s_add (self, frames[index].data, frames[index].size, NULL);
}

/*  Adds the body of a native message, frame by frame; if it has none an empty frame, because MDP
    requires one.  */
static void s_add_body (
  rp_message_pool_t *pool, s_parts_t *self, rp_message_t *native, const rp_head_t *head)
{
    size_t inline_size = rp_message_size (native) - head->size;
    if (head->flags & RP_FLAG_INLINE || native->count == 1)
        s_add (self, rp_message_data (native) + head->size, inline_size, NULL);
    pool->copied += inline_size;
    for (uint32_t index = 1; index < native->count; index++)
        s_add (self, NULL, 0, rp_message_frame (native, index));
}

/*  Adds what the client gets of a reply; its protocol has no status. False if the client gets
    nothing.  */
static bool s_add_outcome (
  const rp_foreign_t *self, s_parts_t *parts, rp_message_t *native, const rp_head_t *head)
{
    bool answered = head->status == RP_OK || head->status == RP_APP_ERROR;
    bool empty = native->count == 1 && rp_message_size (native) == head->size;
    if (answered && !(empty && head->text_size)) {
        s_add_body (self->pool, parts, native, head);
        return true;
    }
    if (answered) {
        s_add (parts, head->text, head->text_size, NULL);
        return true;
    }
    if (!self->limits->foreign_errors)
        return false;
    const char *name = rp_status_name (head->status);
    s_add (parts, name, strlen (name), NULL);
    s_add (parts, head->text, head->text_size, NULL);
    return true;
}

/*  Adds what a client of Titanic gets of the answer.  */
static void s_add_titanic (rp_message_pool_t *pool,
  s_parts_t *parts,
  const rp_titanic_answer_t *answer,
  rp_message_t *native,
  const rp_head_t *head)
{
    s_add (parts, answer->status, strlen (answer->status), NULL);
    if (answer->uuid[0])
        s_add (parts, answer->uuid, RP_TITANIC_UUID, NULL);
    if (answer->told) {
        const char *name = rp_status_name (head->status);
        s_add (parts, name, strlen (name), NULL);
        s_add (parts, head->text, head->text_size, NULL);
    }
    if (answer->body)
        s_add_body (pool, parts, native, head);
}

static bool s_fill (zmq_msg_t *frame, const s_parts_t *parts, uint32_t index)
{
    if (parts->sources[index])
        return zmq_msg_copy (frame, parts->sources[index]) == 0;
    size_t size = parts->frames[index].size;
    zmq_msg_t made;
    if (zmq_msg_init_size (&made, size) != 0)
        return false;
    if (size)
        memcpy (zmq_msg_data (&made), parts->frames[index].data, size);
    zmq_msg_move (frame, &made);
    zmq_msg_close (&made);
    return true;
}

/*  Makes a message of the parts. NULL with ENOMEM when out of memory.  */
static rp_message_t *s_compose (rp_message_pool_t *pool, const s_parts_t *parts)
{
    rp_message_t *message = rp_message_new (pool, 0);
    bool filled =
      message && (parts->count == 1 || rp_message_add_frames (message, parts->count - 1));
    for (uint32_t index = 0; filled && index < parts->count; index++) {
        filled = s_fill (rp_message_frame (message, index), parts, index);
        message->bytes += zmq_msg_size (rp_message_frame (message, index));
    }
    if (!filled) {
        rp_message_destroy (pool, &message);
        errno = ENOMEM;
    }
    return message;
}

/*  Counts a part that goes to a client. Once half of the window was sent, a grant is due.  */
static void s_count_part (rp_foreign_t *self,
  const rp_foreign_session_t *foreign_session,
  rp_envelope_t *envelope,
  const rp_message_t *native,
  const rp_head_t *head)
{
    envelope->session = foreign_session->session;
    envelope->sent += rp_wire_part_cost (native->bytes - head->size + head->headers_size);
    if (envelope->owed_node.next || 2 * (envelope->sent - envelope->written) < self->window)
        return;
    rp_envelopes_owe (&self->envelopes, envelope);
    self->envelopes.owed_anew = true;
}

static rp_message_t *s_to_client (rp_foreign_t *self,
  const rp_foreign_session_t *foreign_session,
  rp_message_t *native,
  rp_head_t *head)
{
    bool answers = head->command == RP_COMMAND_REPLY || head->command == RP_COMMAND_ACCEPTED;
    rp_envelope_t *envelope = answers ? rp_envelopes_find (&self->envelopes, head->id) : NULL;
    errno = 0;
    if (!envelope)
        return NULL;
    head->name = envelope->name;
    head->name_size = envelope->name_size;
    RP_UNINITIALIZED rp_titanic_answer_t titanic;
    bool is_titanic = self->titanic && rp_name_is_titanic (head->name, head->name_size);
    if (is_titanic)
        rp_titanic_write (&titanic, head->name, head->name_size, head);
    head->command = RP_COMMAND_REPLY;
    rp_prefix_t prefix;
    s_parts_t parts = {.count = 0};
    rp_message_t *message = NULL;
    bool told = true;
    s_add_frames (&parts, envelope->frames, envelope->count);
    if (rp_dialect_write (&prefix, foreign_session->dialect, false, head)) {
        s_add_frames (&parts, prefix.frames, prefix.count);
        if (is_titanic)
            s_add_titanic (self->pool, &parts, &titanic, native, head);
        else
            told = s_add_outcome (self, &parts, native, head);
        if (told)
            message = s_compose (self->pool, &parts);
    }
    int reason = message ? 0 : errno;
    if (head->flags & RP_FLAG_MORE)
        s_count_part (self, foreign_session, envelope, native, head);
    else if (reason != ENOMEM)
        rp_envelopes_remove (&self->envelopes, head->id);
    errno = reason;
    return message;
}

rp_message_t *rp_foreign_translate (
  rp_foreign_t *self, const rp_foreign_session_t *foreign_session, rp_message_t *native)
{
    rp_head_t head;
    // A REPLY with MORE is not valid in the native protocol, but decodes up to its flags.
    (void) rp_wire_decode (&head, rp_message_data (native), rp_message_size (native));
    if (!foreign_session->worker)
        return s_to_client (self, foreign_session, native, &head);
    rp_prefix_t prefix;
    errno = 0;
    if (!rp_dialect_write (&prefix, foreign_session->dialect, true, &head))
        return NULL;
    s_parts_t parts = {.count = 0};
    s_add_frames (&parts, prefix.frames, prefix.count);
    if (head.command == RP_COMMAND_REQUEST)
        s_add_body (self->pool, &parts, native, &head);
    return s_compose (self->pool, &parts);
}
