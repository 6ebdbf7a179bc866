/*  Answers: the functions with which an application ends a task, with a reply or an error, or gives
    it back undone; and the headers of an answer.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/headers.h"
#include "common/base/uninitialized.h"
#include "worker/worker_state.h"

int rp_task_add_header (rp_task_t *self, const char *key, const char *value)
{
    if (!key || !value)
        return RP_USAGE;
    if (!self->reply_headers) {
        self->reply_headers = malloc (RP_WIRE_HEADERS_MAX);
        if (!self->reply_headers)
            return RP_NO_MEMORY;
    }
    if (rp_headers_append (
          self->reply_headers, &self->reply_headers_size, RP_WIRE_HEADERS_MAX, key, value))
        return RP_OK;
    uint8_t alone[RP_WIRE_HEADERS_MAX];
    size_t size = 0;
    return rp_headers_append (alone, &size, sizeof alone, key, value) ? RP_TOO_LARGE : RP_USAGE;
}

void rp_task_end_conversation (rp_task_t *self)
{
    self->last = true;
}

/*  An answer that an application gave, before it is sent.  */
typedef struct {
    rp_status_t status;
    uint32_t code;
    uint32_t lost; /* RP_LOST_UNBEGUN or 0 */
    char text[RP_WIRE_TEXT_MAX];
    size_t text_size;
    const void *body;
    size_t size;
} s_answer_t;

/*  One line, cut between characters, without what the protocol does not allow in a text.  */
static void s_set_text (s_answer_t *self, const char *text)
{
    size_t size = text ? strlen (text) : 0;
    if (size > RP_WIRE_TEXT_MAX) {
        size = RP_WIRE_TEXT_MAX;
        while (size > 0 && ((unsigned char) text[size] & 0xc0) == 0x80)
            size--;
    }
    for (size_t index = 0; index < size; index++) {
        unsigned char c = (unsigned char) text[index];
        self->text[index] = c < 32 || c == 127 ? ' ' : text[index];
    }
    self->text_size = size;
}

/*  Makes it an error with this text and without a body.  */
static void s_replace (s_answer_t *self, const char *text)
{
    self->status = RP_APP_ERROR;
    self->code = 0;
    self->lost = 0;
    self->body = NULL;
    self->size = 0;
    s_set_text (self, text);
}

/*  The frame of the request, if the body is exactly that frame; otherwise NULL.  */
static zmq_msg_t *s_find_frame (const rp_task_t *self, const void *body, size_t size)
{
    if (!self->message || self->message->count != 2)
        return NULL;
    zmq_msg_t *frame = rp_message_frame (self->message, 1);
    return zmq_msg_data (frame) == body && zmq_msg_size (frame) == size ? frame : NULL;
}

static int s_fill_frame (zmq_msg_t *frame, zmq_msg_t *whole, const void *body, size_t size)
{
    if (whole) {
        zmq_msg_init (frame);
        return zmq_msg_copy (frame, whole); // shares the bytes
    }
    if (zmq_msg_init_size (frame, size) != 0)
        return -1;
    memcpy (zmq_msg_data (frame), body, size);
    return 0;
}

/*  A frame for a body that is too large to be copied with the lock held. NULL when out of
    memory.  */
static zmq_msg_t *s_new_frame (const rp_task_t *self, const void *body, size_t size)
{
    zmq_msg_t *frame = malloc (sizeof *frame);
    if (!frame)
        return NULL;
    if (s_fill_frame (frame, s_find_frame (self, body, size), body, size) != 0) {
        free (frame);
        return NULL;
    }
    return frame;
}

static void s_free_frame (zmq_msg_t *frame)
{
    if (!frame)
        return;
    zmq_msg_close (frame);
    free (frame);
}

static rp_head_t s_head (const rp_task_t *self, const s_answer_t *answer)
{
    bool inline_body = answer->size > 0 && answer->size <= RP_INLINE_MAX;
    return (rp_head_t){
      .command = RP_COMMAND_REPLY,
      .id = self->work.token,
      .status = (uint8_t) answer->status,
      .code = answer->code,
      .lost = answer->lost,
      .text = answer->text,
      .text_size = (uint16_t) answer->text_size,
      .headers = self->reply_headers,
      .headers_size = (uint16_t) self->reply_headers_size,
      .flags = (uint16_t) ((inline_body ? RP_FLAG_INLINE : 0u) | (self->last ? RP_FLAG_LAST : 0u)),
    };
}

/*  The first frame: the head, and the body if it goes inline.  */
static size_t s_frame_size (const rp_head_t *head, const s_answer_t *answer)
{
    return rp_wire_size (head) + (head->flags & RP_FLAG_INLINE ? answer->size : 0);
}

static void s_write_frame (const rp_head_t *head, const s_answer_t *answer, uint8_t *at)
{
    at += rp_wire_encode (head, at, rp_wire_size (head));
    if (head->flags & RP_FLAG_INLINE)
        memcpy (at, answer->body, answer->size);
}

/*  Replaces an answer that the broker would not pass on by an error that says why.  */
static int s_check (rp_task_t *self, s_answer_t *answer)
{
    if (self->work.cancelled) {
        s_replace (answer, "cancelled");
        return RP_CLOSED;
    }
    uint64_t max_body = self->worker->core.sessions[self->work.session].max_body;
    if (answer->size <= max_body)
        return RP_OK;
    char text[128];
    snprintf (text, sizeof text, "the reply of %zu bytes is over the broker's limit of %llu bytes",
      answer->size, (unsigned long long) max_body);
    s_replace (answer, text);
    return RP_TOO_LARGE;
}

/*  NULL when out of memory.  */
static rp_message_t *s_compose (rp_task_t *self, const rp_head_t *head, const s_answer_t *answer)
{
    rp_message_t *message = rp_message_new (&self->worker->messages, s_frame_size (head, answer));
    if (message)
        s_write_frame (head, answer, zmq_msg_data (&message->first));
    return message;
}

/*  With the lock held: sends an answer that was accepted; message is NULL if it may go in a bundle.
    True if the socket was used.  */
static bool s_send (
  rp_task_t *self, const rp_head_t *head, const s_answer_t *answer, rp_message_t *message)
{
    rp_worker_t *worker = self->worker;
    uint32_t session = self->work.session;
    uint8_t *room =
      message ? NULL : rp_channel_room (worker->channels[session], s_frame_size (head, answer));
    if (room) {
        s_write_frame (head, answer, room);
        return rp_worker_push (worker, session);
    }
    if (!message)
        message = s_compose (self, head, answer);
    rp_worker_send (worker, session, &message);
    return true;
}

/*  In a child of fork(): the request is the parent's to answer.  */
static int s_drop_inherited (rp_task_t **task_p)
{
    rp_pump_t *pump = (*task_p)->worker->pump;
    if (rp_pump_lock_inherited (pump)) {
        rp_task_free (task_p);
        rp_pump_unlock_inherited (pump);
    }
    *task_p = NULL;
    return RP_CLOSED;
}

/*  Ends a task.  */
static int s_answer (rp_task_t **task_p, s_answer_t *answer)
{
    rp_task_t *self = *task_p;
    if (!self || (!answer->body && answer->size))
        return RP_USAGE;
    rp_worker_t *worker = self->worker;
    if (self->trace)
        rp_task_add_header (self, "worker", worker->name); // without it if there is no room
    self->trace = false;
    zmq_msg_t *frame = NULL;
    if (answer->size > RP_INLINE_MAX && !(frame = s_new_frame (self, answer->body, answer->size)))
        return RP_NO_MEMORY;

    if (!rp_pump_lock (worker->pump)) {
        s_free_frame (frame);
        return s_drop_inherited (task_p);
    }
    int result = s_check (self, answer);
    rp_head_t head = s_head (self, answer);
    rp_message_t *message = NULL;
    bool large = answer->size > RP_INLINE_MAX;
    bool bundles =
      !large
      && rp_channel_bundles (worker->channels[self->work.session], s_frame_size (&head, answer));
    if (!bundles && !(message = s_compose (self, &head, answer))) {
        rp_pump_unlock_idle (worker->pump);
        s_free_frame (frame);
        return RP_NO_MEMORY;
    }
    if (large) {
        if (!zmq_msg_get (frame, ZMQ_SHARED))
            worker->messages.copied += answer->size;
        message->rest = frame;
        message->count = 2;
        message->bytes += answer->size;
        frame = NULL;
    }
    bool sent = false;
    if (rp_worker_core_finish (&worker->core, &self->work, answer->status, worker->now))
        sent = s_send (self, &head, answer, message);
    else {
        rp_message_destroy (&worker->messages, &message);
        result = RP_CLOSED;
    }
    rp_task_free (task_p);
    if (sent)
        rp_pump_unlock_sent (worker->pump);
    else
        rp_pump_unlock_idle (worker->pump);
    s_free_frame (frame);
    return result;
}

/*  Puts the parts that were kept for the client before the body of its reply. False when out of memory.  */
static bool s_join (rp_task_t *self, s_answer_t *answer)
{
    rp_task_stream_t *stream = self->stream;
    if (stream->kept_size == 0 || (!answer->body && answer->size))
        return true;
    size_t size = stream->kept_size + answer->size;
    char *kept = realloc (stream->kept, size);
    if (!kept)
        return false;
    if (answer->size)
        memcpy (kept + stream->kept_size, answer->body, answer->size);
    stream->kept = kept;
    stream->kept_capacity = size;
    answer->body = kept;
    answer->size = size;
    return true;
}

int rp_task_reply (rp_task_t **task_p, const void *body, size_t size)
{
    RP_UNINITIALIZED s_answer_t answer;
    answer.status = RP_OK;
    answer.code = 0;
    answer.lost = 0;
    answer.text_size = 0;
    answer.body = body;
    answer.size = size;
    if (*task_p && (*task_p)->stream && !s_join (*task_p, &answer))
        return RP_NO_MEMORY;
    return s_answer (task_p, &answer);
}

int rp_task_fail (
  rp_task_t **task_p, uint32_t code, const char *message, const void *body, size_t size)
{
    s_answer_t answer;
    answer.status = RP_APP_ERROR;
    answer.code = code;
    answer.lost = 0;
    answer.body = body;
    answer.size = size;
    s_set_text (&answer, message);
    return s_answer (task_p, &answer);
}

static int s_give_up (rp_task_t **task_p, const char *message, uint32_t lost)
{
    s_answer_t answer;
    answer.status = RP_WORKER_LOST;
    answer.code = 0;
    answer.lost = lost;
    answer.body = NULL;
    answer.size = 0;
    s_set_text (&answer, message);
    return s_answer (task_p, &answer);
}

int rp_task_abandon (rp_task_t **task_p, const char *message)
{
    return s_give_up (task_p, message, 0);
}

/*  On the wire the same: the attempt failed, and what it did is not known.  */
int rp_task_retry (rp_task_t **task_p, const char *message)
{
    return s_give_up (task_p, message, 0);
}

int rp_task_decline (rp_task_t **task_p, const char *message)
{
    if (!*task_p)
        return RP_USAGE;
    rp_worker_set_ready (
      (*task_p)->worker, 0); // first, for brokers that do not know RP_LOST_UNBEGUN
    return s_give_up (task_p, message, RP_LOST_UNBEGUN);
}
