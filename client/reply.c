/*  Replies: fills them in when a request ends, and has the functions with which an application
    reads them.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "common/wire/headers.h"

void rp_reply_init (rp_reply_t *self)
{
    memset (self, 0, offsetof (rp_reply_t, first));
    self->body = "";
}

void rp_reply_release (rp_reply_t *self)
{
    if (self->frames > 0)
        zmq_msg_close (&self->first);
    if (self->frames > 1)
        zmq_msg_close (&self->second);
    if (self->own_text)
        free (self->own_text);
    if (self->joined)
        free (self->joined);
}

/*  ---- Filling -------------------------------------------------------------------------------- */

/*  Makes a string of the text in place: moves it down by one byte, onto the last field of the head,
    which has been read.  */
static const char *s_terminate_text (char *text, size_t size)
{
    memmove (text - 1, text, size);
    text[size - 1] = '\0';
    return text - 1;
}

/*  Joins the frames of a body that has more than fit in first and second.  */
static bool s_join (rp_reply_t *self, rp_message_t *message, size_t head_size)
{
    char *at = self->joined = malloc (message->bytes - head_size + 1);
    if (!at)
        return false;
    for (uint32_t index = 0; index < message->count; index++) {
        zmq_msg_t *frame = rp_message_frame (message, index);
        size_t skip = index ? 0 : head_size;
        size_t size = zmq_msg_size (frame) - skip;
        memcpy (at, (char *) zmq_msg_data (frame) + skip, size);
        at += size;
    }
    self->body = self->joined;
    self->size = (size_t) (at - self->joined);
    return true;
}

/*  Takes the values of the head, when text is at its final place.  */
static void s_take_head (rp_reply_t *self, const rp_head_t *head, char *text)
{
    self->code = head->code;
    self->attempts = head->attempt;
    self->queue_us = head->queue_us;
    self->work_us = head->work_us;
    self->job = head->job;
    if (head->headers_size) {
        self->headers = text + head->text_size;
        self->headers_size = head->headers_size;
        rp_headers_make_strings ((uint8_t *) text + head->text_size, head->headers_size);
    }
    if (head->text_size)
        self->text = s_terminate_text (text, head->text_size);
}

bool rp_reply_copy (rp_reply_t *self, const uint8_t *frame, size_t size, const rp_head_t *head)
{
    rp_call_t *call = RP_CONTAINER (self, rp_call_t, reply);
    char *copy = call->data;
    if (size > call->capacity && !(copy = self->joined = malloc (size)))
        return false;
    memcpy (copy, frame, size);
    self->body = copy + head->size;
    self->size = size - head->size;
    s_take_head (self, head, copy + (head->text - (const char *) frame));
    return true;
}

bool rp_reply_fill (rp_reply_t *self, rp_message_t *message, const rp_head_t *head)
{
    // A reply outlives the lock that guards bundles; and a small reply must not keep the 8 KiB that
    // libzmq read it into.
    if (rp_message_is_to_copy (message))
        return rp_reply_copy (self, rp_message_data (message), message->bytes, head);
    size_t text_at = (size_t) (head->text - (const char *) rp_message_data (message));
    bool inline_body = zmq_msg_size (&message->first) > head->size;
    bool joins = message->count > 2 || (message->count == 2 && inline_body);
    if (joins && !s_join (self, message, head->size))
        return false;

    zmq_msg_init (&self->first);
    zmq_msg_move (&self->first, &message->first);
    self->frames = 1;
    char *frame = zmq_msg_data (&self->first);
    if (!joins && message->count == 2) {
        zmq_msg_init (&self->second);
        zmq_msg_move (&self->second, rp_message_frame (message, 1));
        self->frames = 2;
        self->body = zmq_msg_data (&self->second);
        self->size = zmq_msg_size (&self->second);
    }
    else if (!joins) {
        self->body = frame + head->size;
        self->size = zmq_msg_size (&self->first) - head->size;
    }
    s_take_head (self, head, frame + text_at);
    return true;
}

/*  ---- Reading -------------------------------------------------------------------------------- */

rp_status_t rp_reply_status (const rp_reply_t *self)
{
    return self->status;
}

const char *rp_reply_message (const rp_reply_t *self)
{
    if (self->status == RP_OK)
        return "";
    return self->text ? self->text : rp_explain_status (self->status);
}

uint32_t rp_reply_code (const rp_reply_t *self)
{
    return self->code;
}

const void *rp_reply_body (const rp_reply_t *self)
{
    return self->body;
}

size_t rp_reply_size (const rp_reply_t *self)
{
    return self->size;
}

const char *rp_reply_header (const rp_reply_t *self, const char *key)
{
    return rp_headers_find_string (self->headers, self->headers_size, key);
}

void rp_reply_each_header (const rp_reply_t *self, rp_header_fn *function, void *arg)
{
    const char *key;
    const char *value;
    size_t offset = 0;
    while (rp_headers_next_strings (self->headers, self->headers_size, &offset, &key, &value))
        function (key, value, arg);
}

uint64_t rp_reply_id (const rp_reply_t *self)
{
    return self->id;
}

void *rp_reply_tag (const rp_reply_t *self)
{
    return self->tag;
}

uint32_t rp_reply_attempts (const rp_reply_t *self)
{
    return self->attempts;
}

uint32_t rp_reply_queue_us (const rp_reply_t *self)
{
    return self->queue_us;
}

uint32_t rp_reply_work_us (const rp_reply_t *self)
{
    return self->work_us;
}

uint64_t rp_reply_total_us (const rp_reply_t *self)
{
    return self->total_us;
}

uint64_t rp_reply_job (const rp_reply_t *self)
{
    return self->job;
}

/*  A worker's reply, which a job's result is, may have a header of that name too.  */
bool rp_reply_is_replayed (const rp_reply_t *self)
{
    const rp_call_t *call = RP_CONTAINER (self, rp_call_t, reply);
    if (!call->exchange.durable)
        return call->exchange.replayed;
    const char *replayed = rp_reply_header (self, RP_JOB_REPLAYED);
    return self->status == RP_OK && replayed && strcmp (replayed, "1") == 0;
}

const char *rp_reply_worker (const rp_reply_t *self)
{
    const char *worker = rp_reply_header (self, "worker");
    return worker ? worker : "";
}
