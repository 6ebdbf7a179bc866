/*  A service: the client queues in which its requests wait, and its workers by room.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core.
*/

#ifndef RP_SERVICE_H
#define RP_SERVICE_H

#include "broker/core/state.h"

/*  By name; NULL if there is none.  */
rp_service_t *rp_service_find (const rp_dispatch_t *self, const char *name, size_t size);

/*  By name, made if there is none. NULL when there are too many or memory is out.  */
rp_service_t *rp_service_get (rp_dispatch_t *self, const char *name, size_t size);

/*  Schedules it before this call of the core returns.  */
void rp_service_touch (rp_dispatch_t *self, rp_service_t *service);

/*  Schedules all services that were touched, and forgets those that nothing needs any more.  */
void rp_service_settle (rp_dispatch_t *self);

/*  A new request, whose deadline has not passed: to a worker at once if nobody waits and one has
    room; otherwise it is queued, last of its client's.  */
void rp_service_submit (rp_dispatch_t *self, rp_service_t *service, rp_request_t *request);

/*  Queues a request, last of its client's; with front, as the client's next.  */
void rp_service_enqueue (
  rp_dispatch_t *self, rp_service_t *service, rp_request_t *request, bool front);

/*  Its linger ended: requests that wait end, unless they asked to wait for longer.  */
void rp_service_due (rp_dispatch_t *self, rp_service_t *service);

/*  A worker joins, or is taken out. Joining is false when memory is out.  */
bool rp_service_join (rp_dispatch_t *self, rp_service_t *service, rp_session_t *worker);
void rp_service_leave (rp_dispatch_t *self, rp_session_t *worker);

/*  The worker's room has changed: its place in the order follows.  */
void rp_service_room_changed (rp_dispatch_t *self, rp_session_t *worker);

/*  Says in a NO_WORKER reply what has no worker, and suggests the nearest name that has, in the
    text and as the header `hint`.  */
void rp_service_explain_absence (
  rp_dispatch_t *self, const char *name, size_t size, rp_head_t *reply);

static inline bool rp_worker_has_room (const rp_session_t *worker)
{
    return worker->held < worker->window && !worker->ending;
}

#endif
