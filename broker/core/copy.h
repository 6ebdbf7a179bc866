/*  Copies: requests of a client of the broker's own that are for one worker each, which get a request for all workers
    to them (broker/survey). A copy waits for its worker in that worker's pinned line, behind what waits there already
    and before the queue of the service, and is given to no other one.

    SPDX-License-Identifier: MPL-2.0

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

/*  Ends the copies that wait for a worker, which takes no more.  */
void rp_copy_end_waiting (rp_dispatch_t *self, rp_session_t *worker, const char *text);

#endif
