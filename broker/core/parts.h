/*  Replies in parts: any number of REPLYs with RP_FLAG_MORE, then one without.

    SPDX-License-Identifier: MPL-2.0

    A client that takes parts (RP_TRAIT_PARTS) gets each as it comes; after the first its request is
    not redelivered any more. For any other client they are kept and joined, and go out with the
    last one as one reply, within max_body; a redelivery forgets them. Kept bytes count in
    open_bytes, so that total_queue_bytes bounds them too.

    Only foreign peers send parts: version 1 of Riposte's own protocol refuses the flag. So what is
    joined has no text, headers or code in its head. Internal to the core.
*/

#ifndef RP_PARTS_H
#define RP_PARTS_H

#include "broker/core/state.h"

/*  A part, from the worker that holds the request.  */
void rp_parts_take (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

/*  Why a reply, with the parts that are kept, is too large, as text for its client, and counts it;
    NULL if it is not.  */
const char *rp_parts_excess (
  rp_dispatch_t *self, const rp_request_t *request, const rp_event_t *event);

/*  The last one came: answers with the parts and it. An error goes alone; the parts are
    dropped.  */
void rp_parts_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

void rp_parts_clear (rp_dispatch_t *self, rp_request_t *request);

/*  Drops what is kept, if anything is.  */
static inline void rp_parts_drop (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->parts)
        rp_parts_clear (self, request);
}

#endif
