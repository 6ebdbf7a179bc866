/*  Copies: requests of a client of the broker's own that are for one worker each, which get a request for all workers
    to them (broker/survey). A copy waits for its worker in that worker's line of copies, and is given to no other one.

    SPDX-License-Identifier: MPL-2.0

    Where copies wait for a worker, and others in the queue of its service, the worker's places are given in turn: one to
    a copy, one to the queue (docs/adr/0053). What waits for a worker's conversations goes before both. A place whose
    turn is the queue's is *offered*: the service gives it out as any, and if the queue has become empty by then, the
    copies get it back. While the terms of a service keep requests back, it is the service's places that are given in
    turn, to copies of its workers in rotation.

    Invariant: outside a call of the core, no copy waits for a worker that has room, unless the terms of its service keep
    it back.

    Cost: O(1); for a service whose terms keep requests back, O(workers). None while no copy waits.

    Source: docs/PROTOCOL.md, section 13. Internal to the core.
*/

#ifndef RP_COPY_H
#define RP_COPY_H

#include "broker/core/dispatch.h"
#include "broker/core/state.h"

/*  True if a worker takes requests, now or when it has room.  */
static inline bool rp_copy_may_take (const rp_session_t *worker)
{
    return worker->role == RP_ROLE_WORKER && !worker->draining && !worker->ending;
}

/*  Returns why a REQUEST with ALL cannot be; NULL: it can.  */
const char *rp_copy_refuse (const rp_head_t *head);

/*  True if a copy for this worker need not wait, but for the terms of the service.  */
bool rp_copy_goes_at_once (const rp_session_t *worker);

/*  Accepts a copy, and gives it to its worker or has it wait; or refuses it when out of memory.  */
void rp_copy_submit (
  rp_dispatch_t *self, rp_session_t *client, rp_session_t *worker, const rp_event_t *event);

/*  Starts a copy at its worker, which has room.  */
void rp_copy_start (rp_dispatch_t *self, rp_request_t *copy, rp_session_t *worker);

/*  Ends the copies that wait for a worker, which takes no more.  */
void rp_copy_end_waiting (rp_dispatch_t *self, rp_session_t *worker, const char *text);

/*  Returns the copy (its node) that is to have the next place of a worker with room. NULL: none waits, or the turn is the
    queue's, to which the place is offered: the service has to be scheduled.  */
rp_list_node_t *rp_copy_next (rp_session_t *worker);

/*  The place that a worker offers to the queue is looked at again.  */
void rp_copy_take_back (rp_session_t *worker);

/*  Copies may wait for a worker no more: counts it off, if none does.  */
void rp_copy_settle (rp_session_t *worker);

/*  A request of the queue was given to a worker of a service that has copies, whose room it changed: the next turn is
    theirs.  */
void rp_copy_queue_had_turn (rp_dispatch_t *self, rp_session_t *worker);

/*  Gives the copies of one worker the place that they offered to the queue, which is empty. False: there is no such
    worker, or there is something in the queue.  */
bool rp_copy_take_offer (rp_dispatch_t *self, rp_service_t *service);

/*  A worker leaves its service; no copy waits for it.  */
void rp_copy_leave (rp_session_t *worker);

#endif
