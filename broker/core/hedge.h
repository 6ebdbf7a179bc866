/*  Hedges: a second delivery of a request whose worker takes longer than its client likes, to another
    worker. The first answer is the request's.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 12; docs/adr/0045.

    A request has one rp_request_t for each of its deliveries, since a worker answers by its handle. At each
    moment one of the two has the client, and is the request to all others; the other one is abandoned, as
    a request is whose client does not wait for it any more. When the one with the client is lost, or the other
    one is answered first, the client changes over. So nothing else in the core has to know of two.

    What hedges may take beside is bounded for each service: RP_HEDGES_FREE, and of the requests that it has
    accepted since the share that the limit hedge_share states.

    Only requests with RP_FLAG_HEDGE come here. Internal to the core.
*/

#ifndef RP_HEDGE_H
#define RP_HEDGE_H

#include "broker/core/state.h"
#include "broker/core/trace.h"

/*  Hedges of a service that its requests need not have earned; no more than these are saved up.  */
#define RP_HEDGES_FREE 10u

void rp_hedge_init (rp_dispatch_t *self);
void rp_hedge_clear (rp_dispatch_t *self);

/*  Returns why a request with RP_FLAG_HEDGE cannot be taken; NULL if it can.  */
const char *rp_hedge_refuse (const rp_head_t *head);

/*  Takes note that a request has been accepted which asks for a hedge. Without memory it gets none.  */
void rp_hedge_accept (rp_dispatch_t *self, rp_request_t *request, const rp_head_t *head);

/*  Its delivery has begun, and another attempt is left: sets its timer to the hedge, if that is earlier.  */
void rp_hedge_await (rp_dispatch_t *self, rp_request_t *request);

/*  The timer of a running request is due: makes the hedge if it is time for it, and sets the timer anew.
    False if that was not what it was due for.  */
bool rp_hedge_due (rp_dispatch_t *self, rp_request_t *request);

/*  A delivery whose client waits at the other one has something of the reply: it becomes the request, and the other
    one is cancelled.  */
void rp_hedge_win (rp_dispatch_t *self, rp_request_t *request);

/*  A part of the reply has come from the delivery that has the client: cancels the other one.  */
void rp_hedge_settle (rp_dispatch_t *self, rp_request_t *request);

/*  A delivery came to nothing, kind and text as in rp_trace_lost: the request goes on with the other one. False if
    there is no other.  */
bool rp_hedge_survive (
  rp_dispatch_t *self, rp_request_t *request, rp_trace_kind_t kind, const char *text);

/*  A delivery whose client waits at another one came to nothing; it is about to be freed. begun: it counts as an
    attempt.  */
void rp_hedge_leave (rp_dispatch_t *self, rp_request_t *request, bool begun);

/*  The request has its final status: cancels the other delivery.  */
void rp_hedge_end (rp_dispatch_t *self, rp_request_t *request, unsigned status);

#endif
