/*  Bundles: several messages of one frame each, in one frame.

    SPDX-License-Identifier: MPL-2.0

    A message through libzmq costs more than all that the broker decides about it. So a sender that
    has several messages for one peer puts them into one bundle, and the receiver takes them out
    again. The messages in a bundle are as they would be alone.

    Source: docs/PROTOCOL.md, section 2.1.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_BUNDLE_H
#define RP_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cursor.h"

#define RP_BUNDLE_SIGNATURE 0x5242u /* "RB" */
#define RP_BUNDLE_VERSION 1u
/*  Bytes before the first message, and before each message.  */
#define RP_BUNDLE_HEAD 4u
#define RP_BUNDLE_ENTRY_HEAD 4u
/*  Bytes of a whole bundle, at most.  */
#define RP_BUNDLE_MAX 65536u
/*  Larger messages go alone, in bytes: copying them costs more than a bundle saves.  */
#define RP_BUNDLE_MESSAGE_MAX 4096u

/*  True if a frame claims to be a bundle.  */
bool rp_bundle_is (const void *data, size_t size);

/*  True if a bundle is well-formed: within RP_BUNDLE_MAX, and filled by one or more messages, none
    of them empty.  */
bool rp_bundle_is_valid (const void *data, size_t size);

/*  Takes the next message out of a valid bundle. *offset is 0 before the first. NULL at the
    end.  */
static inline uint8_t *rp_bundle_next (
  uint8_t *data, size_t size, size_t *offset, size_t *message_size)
{
    size_t at = *offset ? *offset : RP_BUNDLE_HEAD;
    if (at >= size)
        return NULL;
    *message_size = rp_get_u32 (data + at);
    at += RP_BUNDLE_ENTRY_HEAD;
    *offset = at + *message_size;
    return data + at;
}

/*  Writes the head of a bundle, or of the next message in it. Returns the place behind it.  */
uint8_t *rp_bundle_write_head (uint8_t *at);
uint8_t *rp_bundle_write_entry_head (uint8_t *at, size_t message_size);

#endif
