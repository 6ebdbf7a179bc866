/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/compact_body.h"

#include <stdlib.h>
#include <string.h>

/*  Bytes of headers and body; a copy of more costs more than it saves.  */
#define S_LARGEST 4096u

struct rp_compact_body {
    uint32_t body_size;
    uint16_t headers_size;
    bool has_body; /* the body may be empty */
    uint8_t bytes[];
};

/*  Returns the one body frame, inline or not; NULL if there is none.  */
static const uint8_t *s_body (const rp_head_t *head, rp_message_t *message, size_t *size)
{
    *size = 0;
    if (head->flags & RP_FLAG_INLINE) {
        *size = rp_message_size (message) - head->size;
        return rp_message_data (message) + head->size;
    }
    if (message->count == 1)
        return NULL;
    zmq_msg_t *frame = rp_message_frame (message, 1);
    *size = zmq_msg_size (frame);
    return zmq_msg_data (frame);
}

rp_compact_body_t *rp_compact_body_new (
  rp_message_pool_t *pool, const rp_head_t *head, rp_message_t *message)
{
    uint32_t body_frames = message->count - 1 + ((head->flags & RP_FLAG_INLINE) != 0);
    if (body_frames > 1 || message->bytes > S_LARGEST)
        return NULL;
    size_t size;
    const uint8_t *body = s_body (head, message, &size);
    rp_compact_body_t *self = malloc (sizeof *self + head->headers_size + size);
    if (!self)
        return NULL;
    self->body_size = (uint32_t) size;
    self->headers_size = head->headers_size;
    self->has_body = body != NULL;
    if (head->headers_size)
        memcpy (self->bytes, head->headers, head->headers_size);
    if (size)
        memcpy (self->bytes + head->headers_size, body, size);
    pool->copied += size;
    return self;
}

void rp_compact_body_destroy (rp_compact_body_t **self_p)
{
    free (*self_p);
    *self_p = NULL;
}

rp_message_t *rp_compact_body_open (
  const rp_compact_body_t *self, rp_message_pool_t *pool, const rp_head_t *head)
{
    rp_head_t whole = *head;
    whole.headers = self->bytes;
    whole.headers_size = self->headers_size;
    whole.flags &= (uint16_t) ~RP_FLAG_INLINE;
    if (self->has_body)
        whole.flags |= RP_FLAG_INLINE;
    size_t head_size = rp_wire_size (&whole);
    rp_message_t *message = rp_message_new (pool, head_size + self->body_size);
    if (!message)
        return NULL;
    rp_wire_encode (&whole, rp_message_data (message), head_size);
    if (self->body_size)
        memcpy (
          rp_message_data (message) + head_size, self->bytes + self->headers_size, self->body_size);
    pool->copied += self->body_size;
    return message;
}
