/*  A client's client queue in a service: how clients take turns, whatever each of them has waiting.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core. The service's queue is a ring of client queues: one request at each turn,
    and within a client queue in the order in which they came. A client that floods waits behind
    itself.

    Cost: everything O(1). Most clients use one service at a time, whose client queue is part of the
    session; client queues of others come from a pool and are found by a table.
*/

#ifndef RP_CLIENT_QUEUE_H
#define RP_CLIENT_QUEUE_H

#include "broker/core/state.h"

/*  The client queue of a client in a service, made if there is none, for one more open request.
    NULL when memory is out.  */
rp_client_queue_t *rp_client_queue_open (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service);

/*  One of its requests is not open any more, nor in it.  */
void rp_client_queue_close (rp_dispatch_t *self, rp_client_queue_t *client_queue);

/*  Puts a request at the back of its client queue; at the front with front. A client queue that was
    empty gets the last turn, or the next one with front: it had its turn, which came to nothing.
    One that was not keeps its place, or a request that breaks each worker would keep the others
    waiting.  */
void rp_client_queue_put (rp_request_t *request, bool front);

/*  Takes a queued request out of its client queue.  */
void rp_client_queue_take (rp_request_t *request);

/*  The client queue has had its turn: the others first, if it has more.  */
void rp_client_queue_end_turn (rp_client_queue_t *client_queue);

/*  The request whose turn it is, in a client queue in which requests wait.  */
static inline rp_request_t *rp_client_queue_next (const rp_client_queue_t *client_queue)
{
    return RP_CONTAINER (rp_list_first (&client_queue->requests), rp_request_t, node);
}

#endif
