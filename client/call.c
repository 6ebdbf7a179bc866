/*  Calls: requests before they are submitted, and the messages made of them.

    SPDX-License-Identifier: MPL-2.0

    A call keeps its body as long as the request may be sent again, or the call may be given back to
    its caller. A small body lies in the call and is copied behind the head of each message; a large
    body lies in a frame that the messages share.
*/

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "common/base/units.h"
#include "common/wire/headers.h"
#include "common/wire/hedge.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"

static bool s_has_large (const rp_call_t *self)
{
    return self->exchange.size > RP_INLINE_MAX;
}

static rp_call_t *s_new (const char *service, size_t name_size, const void *body, size_t size)
{
    size_t inline_size = size <= RP_INLINE_MAX ? size : 0;
    size_t capacity = name_size + inline_size + RP_CALL_SPARE;
    rp_call_t *self = malloc (sizeof *self + capacity);
    if (!self)
        return NULL;
    memset (self, 0, offsetof (rp_call_t, reply));
    self->name_size = (uint8_t) name_size;
    self->exchange.size = size;
    self->capacity = capacity;
    if (s_has_large (self) && zmq_msg_init_size (&self->large, size) != 0) {
        free (self);
        errno = ENOMEM;
        return NULL;
    }
    rp_reply_init (&self->reply);
    memcpy (self->data, service, name_size);
    if (size)
        memcpy (inline_size ? self->data + name_size : zmq_msg_data (&self->large), body, size);
    return self;
}

rp_call_t *rp_call_new (const char *service, const void *body, size_t size)
{
    size_t name_size = service ? strlen (service) : 0;
    if (!service || !rp_name_is_valid (service, name_size) || (!body && size)) {
        errno = EINVAL;
        return NULL;
    }
    return s_new (service, name_size, body, size);
}

rp_call_t *rp_call_new_in (rp_conversation_t *conversation, const void *body, size_t size)
{
    if (!conversation || (!body && size)) {
        errno = EINVAL;
        return NULL;
    }
    rp_call_t *self = s_new (conversation->name, conversation->name_size, body, size);
    if (!self)
        return NULL;
    conversation->references++;
    self->conversation = conversation;
    self->exchange.conversation = &conversation->conversation;
    return self;
}

/*  Frees what only the request needed.  */
static void s_clear_request (rp_call_t *self)
{
    if (s_has_large (self))
        zmq_msg_close (&self->large);
    if (self->headers)
        free (self->headers);
    if (self->conversation)
        rp_conversation_release (self->conversation);
    self->exchange.size = 0;
    self->headers = NULL;
    self->conversation = NULL;
}

void rp_call_free (rp_call_t *self)
{
    s_clear_request (self);
    rp_reply_release (&self->reply);
    free (self);
}

bool rp_answer_take (rp_call_t *call,
  const uint8_t *frame,
  size_t size,
  const rp_head_t *head,
  rp_message_t *message,
  int64_t now)
{
    rp_call_t *answer = s_new ("", 0, NULL, 0);
    if (!answer)
        return false;
    rp_reply_t *reply = &answer->reply;
    if (!(message ? rp_reply_fill (reply, message, head)
                  : rp_reply_copy (reply, frame, size, head))) {
        rp_call_free (answer);
        return false;
    }
    reply->status = (rp_status_t) head->status;
    reply->id = call->exchange.id;
    reply->tag = call->tag;
    reply->total_us = (uint64_t) (now - call->exchange.submitted);
    rp_list_append (&call->answers, &answer->node);
    return true;
}

rp_reply_t *rp_call_become_reply (rp_call_t *self)
{
    s_clear_request (self);
    return &self->reply;
}

void rp_call_destroy (rp_call_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    rp_call_free (*self_p);
    *self_p = NULL;
}

/*  A reply lies in its call, and is the only part of it still in use (rp_call_become_reply).  */
void rp_reply_destroy (rp_reply_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    rp_call_t *call = RP_CONTAINER (*self_p, rp_call_t, reply);
    *self_p = NULL;
    rp_reply_release (&call->reply);
    free (call);
}

/*  Adds the large body to a message of one frame, without copying it.  */
static bool s_add_large (rp_call_t *self, rp_message_t *message)
{
    zmq_msg_t *frame = malloc (sizeof *frame);
    if (!frame)
        return false;
    zmq_msg_init (frame);
    if (zmq_msg_copy (frame, &self->large) != 0) {
        free (frame);
        return false;
    }
    message->rest = frame;
    message->count = 2;
    message->bytes += self->exchange.size;
    return true;
}

size_t rp_call_prepare (const rp_call_t *self, rp_head_t *head)
{
    bool large = s_has_large (self);
    size_t inline_size = large ? 0 : self->exchange.size;
    head->name = self->data;
    head->name_size = self->name_size;
    head->headers = self->headers;
    head->headers_size = self->headers_size;
    if (inline_size)
        head->flags |= RP_FLAG_INLINE;
    return large ? 0 : rp_wire_size (head) + inline_size;
}

void rp_call_write (const rp_call_t *self, const rp_head_t *head, uint8_t *at, size_t size)
{
    at += rp_wire_encode (head, at, size);
    if (head->flags & RP_FLAG_INLINE)
        memcpy (at, self->data + self->name_size, self->exchange.size);
}

rp_message_t *rp_call_message (rp_call_t *self, const rp_head_t *head, rp_message_pool_t *messages)
{
    size_t inline_size = head->flags & RP_FLAG_INLINE ? self->exchange.size : 0;
    size_t size = rp_wire_size (head) + inline_size;
    rp_message_t *message = rp_message_new (messages, size);
    if (!message)
        return NULL;
    rp_call_write (self, head, zmq_msg_data (&message->first), size);
    if (s_has_large (self) && !s_add_large (self, message))
        rp_message_destroy (messages, &message);
    return message;
}

void rp_call_sent (rp_call_t *self)
{
    if (!s_has_large (self) || rp_exchange_may_repeat (&self->exchange))
        return;
    zmq_msg_close (&self->large);
    zmq_msg_init (&self->large);
}

/*  ---- Setters -------------------------------------------------------------------------------- */

int rp_call_set_timeout_ms (rp_call_t *self, uint32_t timeout_ms)
{
    if (timeout_ms == 0 || timeout_ms > RP_DEADLINE_MAX_MS)
        return RP_USAGE;
    self->exchange.timeout_ms = timeout_ms;
    return RP_OK;
}

int rp_call_set_attempts (rp_call_t *self, uint8_t attempts)
{
    if (attempts == 0 || attempts > RP_ATTEMPTS_MAX)
        return RP_USAGE;
    self->exchange.attempts = attempts;
    return RP_OK;
}

int rp_call_set_wait_worker_ms (rp_call_t *self, uint32_t wait_ms)
{
    if (wait_ms > RP_DEADLINE_MAX_MS)
        return RP_USAGE;
    self->exchange.wait_ms = wait_ms;
    return RP_OK;
}

int rp_call_add_header (rp_call_t *self, const char *key, const char *value)
{
    if (!key || !value)
        return RP_USAGE;
    size_t pair_size = 1 + strlen (key) + 2 + strlen (value);
    uint8_t pair[1 + RP_HEADER_KEY_MAX + 2 + RP_HEADER_VALUE_MAX];
    size_t size = 0;
    if (!rp_headers_append (pair, &size, sizeof pair, key, value))
        return RP_USAGE;
    if (self->headers_size + pair_size > RP_WIRE_HEADERS_MAX)
        return RP_TOO_LARGE;
    uint8_t *headers = realloc (self->headers, self->headers_size + pair_size);
    if (!headers)
        return RP_NO_MEMORY;
    self->headers = headers;
    size = self->headers_size;
    if (!rp_headers_append (headers, &size, size + pair_size, key, value))
        return RP_TOO_LARGE;
    self->headers_size = (uint16_t) size;
    return RP_OK;
}

/*  Removes the first header with this key, unless it is the last of all.  */
static void s_remove_earlier (rp_call_t *self, const char *key)
{
    rp_header_t header;
    size_t size = strlen (key);
    for (size_t start = 0, offset = 0;
         rp_headers_next (self->headers, self->headers_size, &offset, &header); start = offset) {
        if (header.key_size != size || memcmp (header.key, key, size) != 0)
            continue;
        if (offset < self->headers_size) {
            memmove (self->headers + start, self->headers + offset, self->headers_size - offset);
            self->headers_size = (uint16_t) (self->headers_size - (offset - start));
        }
        return;
    }
}

int rp_call_put_header (rp_call_t *self, const char *key, const char *value)
{
    int rc = rp_call_add_header (self, key, value);
    if (rc == RP_OK)
        s_remove_earlier (self, key);
    return rc;
}

int rp_call_put_number (rp_call_t *self, const char *key, uint64_t value)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, value);
    return rp_call_put_header (self, key, text);
}

/*  Sets the header that says when to hedge. Returns as rp_call_put_header.  */
static int s_put_hedge (rp_call_t *self, const char *when)
{
    rp_hedge_terms_t terms;
    const char *reason;
    int64_t time;
    if (rp_duration_parse (when, &time, &reason))
        return time < RP_US_PER_MS || time > RP_DEADLINE_MAX_MS * RP_US_PER_MS
                 ? RP_USAGE
                 : rp_call_put_number (self, RP_REQUEST_HEDGE, (uint64_t) (time / RP_US_PER_MS));
    if (!rp_hedge_read (&terms, when, strlen (when)) || terms.ms)
        return RP_USAGE;
    return rp_call_put_header (self, RP_REQUEST_HEDGE, when);
}

int rp_call_set_hedge (rp_call_t *self, const char *when)
{
    int rc = !when || self->conversation ? RP_USAGE : s_put_hedge (self, when);
    if (rc == RP_OK)
        self->exchange.hedged = true;
    return rc;
}

void rp_call_set_trace (rp_call_t *self, bool trace)
{
    self->exchange.trace = trace;
}

int rp_call_set_callback (rp_call_t *self, rp_callback_fn *callback, void *arg)
{
    if (!callback)
        return RP_USAGE;
    self->callback = callback;
    self->arg = arg;
    return RP_OK;
}

void rp_call_set_tag (rp_call_t *self, void *tag)
{
    self->tag = tag;
}
