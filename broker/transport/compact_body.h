/*  Compact bodies: the headers and body of a small request in one block, for as long as the request
    waits.

    SPDX-License-Identifier: MPL-2.0

    A received message takes 112 bytes, and keeps a whole buffer of libzmq's, or a whole bundle,
    alive. A compact body has only headers and body: the rest of the head is in the core's request,
    and is written again when the request goes to a worker, with the body behind it in the first
    frame.

    Cost: 8 bytes beside headers and body, and the overhead of malloc. Thread-safety: none.
*/

#ifndef RP_COMPACT_BODY_H
#define RP_COMPACT_BODY_H

#include "common/io/message.h"
#include "common/wire/head.h"

typedef struct rp_compact_body rp_compact_body_t;

/*  Copies headers and body of a request; head is decoded from message. NULL when out of memory,
    when the request is large (a copy would cost more than it saves), or when its body has more than
    one frame.  */
rp_compact_body_t *rp_compact_body_new (
  rp_message_pool_t *pool, const rp_head_t *head, rp_message_t *message);

/*  NULL is allowed.  */
void rp_compact_body_destroy (rp_compact_body_t **self_p);

/*  Makes the message again, with this head; headers and the flag INLINE are the compact body's.
    NULL when out of memory.  */
rp_message_t *rp_compact_body_open (
  const rp_compact_body_t *self, rp_message_pool_t *pool, const rp_head_t *head);

#endif
