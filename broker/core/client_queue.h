/*  Client queues: the waiting requests of one client for one service, with one priority, in the order of
    arrival. They take turns in the service's queue (queue.h).

    SPDX-License-Identifier: MPL-2.0

    Internal to the core.

    Cost: everything O(1). Most clients use one service and priority at a time; that client queue is part
    of the session. Further client queues come from a pool and are found by a table.
*/

#ifndef RP_CLIENT_QUEUE_H
#define RP_CLIENT_QUEUE_H

#include "broker/core/state.h"

/*  Returns the client queue of a client in a service for this priority, made if there is none, and
    counts one more open request. NULL when out of memory.  */
rp_client_queue_t *rp_client_queue_open (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, unsigned priority);

/*  Returns how many requests of a client wait for the service with this priority.  */
uint32_t rp_client_queue_waiting (const rp_dispatch_t *self,
  const rp_session_t *client,
  const rp_service_t *service,
  unsigned priority);

/*  Counts one open request less. That request must not be in the client queue.  */
void rp_client_queue_close (rp_dispatch_t *self, rp_client_queue_t *client_queue);

/*  Puts a request at the back of its client queue; front: at the front. If the client queue was
    empty, it gets the last turn; with front the next turn of its priority, because its last turn came to
    nothing. If it was not empty, it keeps its turn: otherwise a request that breaks each worker would
    delay all other clients.  */
void rp_client_queue_put (rp_request_t *request, bool front, int64_t now);

/*  Removes a request from its client queue.  */
void rp_client_queue_take (rp_request_t *request);

/*  Ends the turn of a client queue: if requests are left in it, it goes behind the others.  */
void rp_client_queue_end_turn (rp_client_queue_t *client_queue, int64_t now);

/*  Returns the next request of a client queue that is not empty.  */
static inline rp_request_t *rp_client_queue_next (const rp_client_queue_t *client_queue)
{
    return RP_CONTAINER (rp_list_first (&client_queue->requests), rp_request_t, node);
}

#endif
