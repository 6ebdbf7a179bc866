/*  Services: each holds the client queues in which its requests wait, and its workers by room, and
    gives the next request to the next worker.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core.
*/

#ifndef RP_SERVICE_H
#define RP_SERVICE_H

#include "broker/core/state.h"

/*  Finds a service by name; NULL if there is none.  */
rp_service_t *rp_service_find (const rp_dispatch_t *self, const char *name, size_t size);

/*  Finds a service by name, or makes it. NULL at the limit or when out of memory.  */
rp_service_t *rp_service_get (rp_dispatch_t *self, const char *name, size_t size);

/*  Returns the figures for a name, whether there is a service of it or not.  */
rp_figures_t *rp_service_figures (rp_dispatch_t *self, const char *name, size_t size);

/*  Marks a service to be scheduled before this call of the core returns.  */
void rp_service_touch (rp_dispatch_t *self, rp_service_t *service);

/*  Schedules all marked services, and frees those that are not needed any more.  */
void rp_service_settle (rp_dispatch_t *self);

/*  Returns the worker that would get the next request, other than this one; NULL if no other has room.  */
rp_session_t *rp_service_other (const rp_service_t *service, const rp_session_t *worker);

/*  Takes a new request, whose deadline has not passed. It goes to a worker at once if no request
    waits and a worker has room; otherwise it is queued, the last of its client.  */
void rp_service_submit (rp_dispatch_t *self, rp_service_t *service, rp_request_t *request);

/*  Queues a request, the last of its client; front: the next of its client. It may be that anyway, by the terms of the
    service.  */
void rp_service_enqueue (
  rp_dispatch_t *self, rp_service_t *service, rp_request_t *request, bool front);

/*  The limits or the terms have changed: takes those that hold for a service.  */
void rp_service_take_terms (rp_dispatch_t *self, rp_service_t *service);

/*  Returns how many requests may wait for a service.  */
uint64_t rp_service_most (const rp_dispatch_t *self, const rp_service_t *service);

/*  A worker has had a request for so long, us; finished: until it was done with it.  */
void rp_service_learn (rp_client_queue_t *client_queue, uint32_t work_us, bool finished);

/*  True if the terms of a service that has some let a request start now, which is counted then.  */
bool rp_service_pass (rp_dispatch_t *self, rp_service_t *service);

/*  Starts what waits for single workers, as far as it is its turn and the terms of the service let it.  */
void rp_service_refill (rp_dispatch_t *self, rp_service_t *service);

/*  The timer of a service: its rate lets another request start; or its linger has ended: ends waiting
    requests, but those that asked to wait longer.  */
void rp_service_due (rp_dispatch_t *self, rp_service_t *service);

/*  Looks again at what arrives, and whether requests wait; to be called every few seconds.  */
void rp_service_refresh (rp_dispatch_t *self, rp_service_t *service);

/*  Return how many requests were accepted, or failed, in 1000 seconds, by those of the last seconds.  */
uint64_t rp_service_arrivals (const rp_service_t *service, int64_t now);
uint64_t rp_service_failures (const rp_service_t *service, int64_t now);

/*  Adds a worker to a service; removes it. Join returns false when out of memory.  */
bool rp_service_join (rp_dispatch_t *self, rp_service_t *service, rp_session_t *worker);
void rp_service_leave (rp_dispatch_t *self, rp_session_t *worker);

/*  The room of a worker has changed: moves the worker to its place in the order.  */
void rp_service_room_changed (rp_dispatch_t *self, rp_session_t *worker);

/*  Fills a NO_WORKER reply: names the service that has no worker, and suggests the nearest name
    that has one, in the text and in the header `hint`.  */
void rp_service_explain_absence (
  rp_dispatch_t *self, const char *name, size_t size, rp_head_t *reply);

static inline bool rp_worker_has_room (const rp_session_t *worker)
{
    return worker->held < worker->window && !worker->ending;
}

#endif
