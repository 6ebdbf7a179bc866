/*  Kept messages: head, frames and digest of a message that outlives the turn in which it came, such as a job or a
    request with an idempotency key; and messages made anew of what was kept.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_KEPT_MESSAGE_H
#define RP_KEPT_MESSAGE_H

#include "broker/core/action.h"
#include "broker/core/store_op.h"
#include "common/io/message.h"
#include "common/wire/head.h"

/*  Takes a message out of the bundle that it came in, if it did, and reads its head. False when out of memory.  */
bool rp_kept_read (rp_message_pool_t *pool, rp_message_t *message, rp_head_t *head);

/*  The same of a reply that the core has given to a client of the broker's own: writes over its head what the core says,
    as to any client. A reply that came in parts has the head of the first, which is none.  */
bool rp_kept_read_reply (
  rp_message_pool_t *pool, rp_message_t *message, const rp_head_t *said, rp_head_t *head);

/*  Returns the action that answers a request which could not be kept, for want of memory.  */
rp_action_t rp_kept_refusal (rp_session_id_t session, uint64_t id);

/*  Returns what a message takes in memory: a body of many small frames takes more than their bytes.  */
size_t rp_kept_bytes (const rp_message_t *message);

/*  Writes where the frames of its body are, and returns how many; frames has room for RP_FRAMES_MAX. The message lies in
    no bundle, and head was read from it.  */
size_t rp_kept_frames (rp_message_t *message, const rp_head_t *head, rp_store_span_t *frames);

/*  Writes the first bytes, at most RP_DIGEST_MAX, of the digest of its body; message and head as above. Where a frame
    ends counts.  */
void rp_kept_digest (rp_message_t *message, const rp_head_t *head, uint8_t *digest, size_t size);

/*  Makes a message of a head and the frames of a body, of which the first is inlined if it is small, or if the message
    had too many frames otherwise. NULL when out of memory.  */
rp_message_t *rp_kept_message (
  rp_message_pool_t *pool, rp_head_t *head, const rp_store_span_t *frames, size_t count);

#endif
