/*  Compact body: a small request while it waits, in one block of its own size.

    SPDX-License-Identifier: MPL-2.0

    What came is a message of 112 bytes whose frame lies in a buffer of libzmq's, or in a bundle
    that it would keep. A compact body has the headers and the body only: the rest of the head is in
    the core's own request, and is written anew when the request goes to a worker. The body then
    follows the head in the first frame.

    Cost: 8 bytes beside headers and body, and what malloc adds. Thread-safety: none.
*/

#ifndef RP_COMPACT_BODY_H
#define RP_COMPACT_BODY_H

#include "common/io/message.h"
#include "common/wire/head.h"

typedef struct rp_compact_body rp_compact_body_t;

/*  Copies what is needed of a request: its head, as decoded from it, and the message. NULL when out
    of memory, when it is large (there a copy would cost more than it saves), or when its body has
    more than one frame.  */
rp_compact_body_t *rp_compact_body_new (
  rp_message_pool_t *pool, const rp_head_t *head, rp_message_t *message);

/*  NULL is allowed.  */
void rp_compact_body_destroy (rp_compact_body_t **self_p);

/*  The message again, with this head; but for its headers and the flag INLINE, which are the
    compact body's. NULL when out of memory.  */
rp_message_t *rp_compact_body_open (
  const rp_compact_body_t *self, rp_message_pool_t *pool, const rp_head_t *head);

#endif
