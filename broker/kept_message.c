/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/kept_message.h"

#include <string.h>

#include <riposte/error.h>
#include <zmq.h>

#include "common/access/digest.h"

bool rp_kept_read (rp_message_pool_t *pool, rp_message_t *message, rp_head_t *head)
{
    return rp_message_leave_bundle (pool, message)
           && rp_wire_decode (head, rp_message_data (message), rp_message_size (message))
                == RP_WIRE_ERROR_NONE;
}

bool rp_kept_read_reply (
  rp_message_pool_t *pool, rp_message_t *message, const rp_head_t *said, rp_head_t *head)
{
    if (!rp_message_leave_bundle (pool, message))
        return false;
    rp_wire_patch (rp_message_data (message), said);
    return rp_kept_read (pool, message, head);
}

rp_action_t rp_kept_refusal (rp_session_id_t session, uint64_t id)
{
    static const char text[] = "the broker is out of memory";
    return (rp_action_t){.kind = RP_ACTION_SEND,
      .session = session,
      .head = {.command = RP_COMMAND_REPLY,
        .status = RP_BUSY,
        .id = id,
        .text = text,
        .text_size = sizeof text - 1}};
}

size_t rp_kept_bytes (const rp_message_t *message)
{
    return message->bytes + (size_t) (message->count - 1) * RP_STORE_FRAME;
}

size_t rp_kept_frames (rp_message_t *message, const rp_head_t *head, rp_store_span_t *frames)
{
    size_t count = 0;
    if (head->flags & RP_FLAG_INLINE)
        frames[count++] = (rp_store_span_t){
          rp_message_data (message) + head->size, rp_message_size (message) - head->size};
    for (uint32_t index = 1; index < message->count; index++) {
        zmq_msg_t *frame = rp_message_frame (message, index);
        frames[count++] = (rp_store_span_t){zmq_msg_data (frame), zmq_msg_size (frame)};
    }
    return count;
}

void rp_kept_digest (rp_message_t *message, const rp_head_t *head, uint8_t *digest, size_t size)
{
    rp_store_span_t frames[RP_FRAMES_MAX];
    rp_digest_part_t parts[RP_FRAMES_MAX];
    size_t count = rp_kept_frames (message, head, frames);
    for (size_t index = 0; index < count; index++)
        parts[index] = (rp_digest_part_t){frames[index].data, frames[index].size};
    rp_digest (parts, count, digest, size);
}

rp_message_t *rp_kept_message (
  rp_message_pool_t *pool, rp_head_t *head, const rp_store_span_t *frames, size_t count)
{
    // A body of the most frames leaves none for the head.
    bool inlined = count > 0 && (frames[0].size <= RP_INLINE_MAX || count == RP_FRAMES_MAX);
    if (inlined)
        head->flags |= RP_FLAG_INLINE;
    size_t size = rp_wire_size (head);
    size_t extra = inlined ? frames[0].size : 0;
    uint32_t rest = (uint32_t) (count - inlined);
    rp_message_t *message = rp_message_new (pool, size + extra);
    if (!message)
        return NULL;
    bool made = rp_wire_encode (head, rp_message_data (message), size) == size
                && (rest == 0 || rp_message_add_frames (message, rest));
    if (inlined && extra)
        memcpy (rp_message_data (message) + size, frames[0].data, extra);
    for (uint32_t index = 0; made && index < rest; index++)
        made = rp_message_fill_frame (
          message, index + 1, frames[index + inlined].data, frames[index + inlined].size);
    if (!made)
        rp_message_destroy (pool, &message);
    return message;
}
