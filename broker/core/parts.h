/*  Replies in parts: any number of REPLYs with RP_FLAG_MORE, then one without.

    SPDX-License-Identifier: MPL-2.0

    A client that takes parts (RP_TRAIT_PARTS) gets each part as it comes; after the first part its
    request is not redelivered any more. For any other client the core keeps and joins the parts, up
    to max_body, and sends them with the last one as one reply; a redelivery drops the kept parts.
    Kept bytes count in open_bytes, so that total_queue_bytes bounds them too.

    Only foreign workers send parts: version 1 of Riposte's own protocol refuses the flag. So the
    head of a joined reply has no text, headers or code. Internal to the core.
*/

#ifndef RP_PARTS_H
#define RP_PARTS_H

#include "broker/core/state.h"

/*  Takes a part from the worker that holds the request.  */
void rp_parts_take (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

/*  Checks the size of a reply with its kept parts. Returns a text for the client, and counts the
    reply, if it is too large; otherwise NULL.  */
const char *rp_parts_excess (
  rp_dispatch_t *self, const rp_request_t *request, const rp_event_t *event);

/*  Takes the last part: answers with all parts. An error status goes alone, and the parts are
    dropped.  */
void rp_parts_answer (rp_dispatch_t *self, rp_request_t *request, const rp_event_t *event);

void rp_parts_clear (rp_dispatch_t *self, rp_request_t *request);

/*  Drops the kept parts, if there are any.  */
static inline void rp_parts_drop (rp_dispatch_t *self, rp_request_t *request)
{
    if (request->parts)
        rp_parts_clear (self, request);
}

#endif
