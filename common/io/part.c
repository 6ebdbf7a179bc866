/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*  Copies the body: the rest of the first frame, then the others.  */
static rp_part_t *s_copy (
  const uint8_t *frame, size_t frame_size, size_t head_size, rp_message_t *message)
{
    size_t inline_size = frame_size - head_size;
    size_t size = message ? message->bytes - head_size : inline_size;
    rp_part_t *self = malloc (sizeof *self + size);
    if (!self)
        return NULL;
    char *at = self->data;
    if (inline_size)
        memcpy (at, frame + head_size, inline_size);
    at += inline_size;
    for (uint32_t index = 1; message && index < message->count; index++) {
        zmq_msg_t *other = rp_message_frame (message, index);
        memcpy (at, zmq_msg_data (other), zmq_msg_size (other));
        at += zmq_msg_size (other);
    }
    *self = (rp_part_t){.body = self->data, .size = size};
    return self;
}

/*  Keeps a message whose body is in one frame.  */
static rp_part_t *s_keep (rp_message_t **message_p, size_t head_size)
{
    rp_part_t *self = malloc (sizeof *self);
    if (!self)
        return NULL;
    rp_message_t *message = *message_p;
    bool alone = message->count == 1;
    zmq_msg_t *frame = rp_message_frame (message, alone ? 0 : 1);
    size_t skip = alone ? head_size : 0;
    *self = (rp_part_t){.message = message,
      .body = (char *) zmq_msg_data (frame) + skip,
      .size = zmq_msg_size (frame) - skip};
    *message_p = NULL;
    return self;
}

rp_part_t *rp_part_add (rp_list_t *list,
  const uint8_t *frame,
  size_t frame_size,
  const rp_head_t *head,
  rp_message_t **message_p)
{
    rp_message_t *message = message_p ? *message_p : NULL;
    bool one = message && !rp_message_is_to_copy (message)
               && (message->count == 1 || (message->count == 2 && frame_size == head->size));
    rp_part_t *self =
      one ? s_keep (message_p, head->size) : s_copy (frame, frame_size, head->size, message);
    if (!self)
        return NULL;
    self->weight = self->size + head->headers_size;
    rp_list_append (list, &self->node);
    return self;
}

/*  Makes the message of a part. NULL when out of memory.  */
static rp_message_t *s_message (
  rp_message_pool_t *pool, const rp_head_t *head, const void *data, size_t size)
{
    size_t inline_size = head->flags & RP_FLAG_INLINE ? size : 0;
    size_t head_size = rp_wire_size (head);
    rp_message_t *message = rp_message_new (pool, head_size + inline_size);
    if (!message)
        return NULL;
    uint8_t *at = rp_message_data (message);
    at += rp_wire_encode (head, at, head_size);
    if (inline_size)
        memcpy (at, data, inline_size);
    else if (size > 0
             && !(rp_message_add_frames (message, 1)
                  && rp_message_fill_frame (message, 1, data, size)))
        rp_message_destroy (pool, &message);
    return message;
}

int rp_part_send (
  rp_channel_t *channel, rp_message_pool_t *pool, rp_head_t *head, const void *data, size_t size)
{
    bool is_inline = size > 0 && size <= RP_INLINE_MAX;
    if (is_inline)
        head->flags |= RP_FLAG_INLINE;
    size_t frame_size = rp_wire_size (head) + (is_inline ? size : 0);
    uint8_t *room = is_inline || size == 0 ? rp_channel_room (channel, frame_size) : NULL;
    if (room) {
        room += rp_wire_encode (head, room, frame_size);
        if (is_inline)
            memcpy (room, data, size);
        return 0;
    }
    rp_message_t *message = s_message (pool, head, data, size);
    if (!message) {
        errno = ENOMEM;
        return -1;
    }
    if (rp_channel_send (channel, pool, &message) == 0)
        return 0;
    int reason = errno;
    rp_message_destroy (pool, &message);
    errno = reason;
    return -1;
}

rp_part_t *rp_part_take (rp_list_t *list)
{
    rp_list_node_t *node = rp_list_first (list);
    if (node)
        rp_list_remove (node);
    return (rp_part_t *) node;
}

void rp_part_destroy (rp_message_pool_t *pool, rp_part_t **self_p)
{
    rp_part_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    rp_message_destroy (pool, &self->message);
    free (self);
}

void rp_part_clear (rp_message_pool_t *pool, rp_list_t *list)
{
    for (rp_part_t *part; (part = rp_part_take (list));)
        rp_part_destroy (pool, &part);
}
