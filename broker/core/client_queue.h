/*  A client's lane in a service: how clients take turns, whatever each of them has waiting.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core. The service's queue is a ring of lanes: one request at each turn, and
    within a lane in the order in which they came. A client that floods waits behind itself.

    Cost: everything O(1). Most clients use one service at a time, whose lane is part of the
    session; lanes of others come from a pool and are found by a table.
*/

#ifndef RP_CLIENT_QUEUE_H
#define RP_CLIENT_QUEUE_H

#include "broker/core/state.h"

/*  The lane of a client in a service, made if there is none, for one more open request. NULL when
    memory is out.  */
rp_lane_t *rp_lane_open (rp_dispatch_t *self, rp_peer_t *client, rp_service_t *service);

/*  One of its requests is not open any more, nor in it.  */
void rp_lane_close (rp_dispatch_t *self, rp_lane_t *lane);

/*  Puts a request at the back of its lane; at the front with front. A lane that was empty gets the
    last turn, or the next one with front: it had its turn, which came to nothing. One that was not
    keeps its place, or a request that breaks each worker would keep the others waiting.  */
void rp_lane_put (rp_request_t *request, bool front);

/*  Takes a queued request out of its lane.  */
void rp_lane_take (rp_request_t *request);

/*  The lane has had its turn: the others first, if it has more.  */
void rp_lane_end_turn (rp_lane_t *lane);

/*  The request whose turn it is, in a lane in which requests wait.  */
static inline rp_request_t *rp_lane_next (const rp_lane_t *lane)
{
    return RP_CONTAINER (rp_list_first (&lane->requests), rp_request_t, node);
}

#endif
