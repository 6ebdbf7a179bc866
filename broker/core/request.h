/*  A request, from its acceptance to its one final status.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 6.1. Internal to the core.
*/

#ifndef RP_REQUEST_H
#define RP_REQUEST_H

#include "broker/core/state.h"

/*  What a request counts for in limits of bytes. Headers can outweigh the body many times.  */
static inline size_t rp_request_weight (const rp_event_t *event)
{
    return event->size + event->head->headers_size;
}

/*  What an open request of a foreign client takes beside its body: itself, its return envelope, its
    places in lists.  */
#define RP_REQUEST_COST 512u

/*  Makes a request of a client for a service: counted, its deadline set, in no list yet. Takes
    the event's payload. NULL when the pool is full or memory is out; nothing changed then.  */
rp_request_t *rp_request_accept (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, const rp_event_t *event);

/*  The open request of a client with this id, or NULL.  */
rp_request_t *rp_request_find (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id);

/*  The one setter of the state: checks the transition and keeps the counters. Lists are the
    caller's.  */
void rp_request_set_state (rp_dispatch_t *self, rp_request_t *request, rp_request_state_t state);

/*  RP_EVENT_DROPPED.  */
void rp_request_dropped (rp_dispatch_t *self, const rp_event_t *event);

/*  Sends the client part of a reply; payload moves on.  */
void rp_request_send_part (
  rp_dispatch_t *self, const rp_request_t *request, const rp_head_t *part, rp_payload_t *payload);

/*  Gives the client its final status, with the worker's reply if there is one (head: status, code,
    flags of it; payload moves on), and forgets the client. The request itself stays.  */
void rp_request_answer (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply, rp_payload_t *payload);

/*  Takes the request out of its list, gives its worker's place back, lets its conversation go on,
    and frees it. It must have been answered, or its client be gone.  */
void rp_request_free (rp_dispatch_t *self, rp_request_t *request);

/*  Ends a request with a status of the broker's; text as in rp_actions_format, or static.  */
void rp_request_finish (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text);

/*  Ends a running request for its client and leaves it with the worker, who is told (CANCEL) and
    still owes a reply.  */
void rp_request_abandon (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text);

/*  Gives a request that waits, and whose deadline has not passed, to a worker with room.  */
void rp_request_start (rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker);

/*  A delivery came to nothing. Redelivers if the attempts allow it, otherwise ends with
    WORKER_LOST.
 */
void rp_request_lost (rp_dispatch_t *self, rp_request_t *request, const char *text);

/*  A delivery came to a worker that never began it: as if it had not been tried. It goes to
    another; if no other could take it, and it does not wait for one to appear, it ends with
    NO_WORKER.  */
void rp_request_unbegun (rp_dispatch_t *self, rp_request_t *request, const char *text);

/*  A delivery never left the broker: as if it had not been tried.  */
void rp_request_unsent (rp_dispatch_t *self, rp_request_t *request, rp_payload_t *payload);

/*  The worker's room has grown: its own conversations go first, since they have nowhere else.  */
void rp_request_refill (rp_dispatch_t *self, rp_session_t *worker);

/*  True while it may wait for a worker, though its service has none.  */
bool rp_request_is_patient (const rp_dispatch_t *self, const rp_request_t *request);

/*  Sets the timer of a queued request: to its deadline, or to the end of its wait for a worker.  */
void rp_request_watch (rp_dispatch_t *self, rp_request_t *request);

/*  Its timer rang: the deadline, the end of its wait for a worker, or the limit of the attempt.  */
void rp_request_due (rp_dispatch_t *self, rp_request_t *request);

/*  No worker came: NO_WORKER, or WORKER_LOST if one had it before.  */
void rp_request_no_worker (rp_dispatch_t *self, rp_request_t *request);

/*  Withdraws a request, for its client's CANCEL or because its client is gone.  */
void rp_request_cancel (rp_dispatch_t *self, rp_request_t *request);

/*  Replies to a request that was never accepted; with what else the reply says.  */
void rp_request_refuse_with (
  rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event, const rp_head_t *reply);

/*  Replies to a request that was never accepted.  */
void rp_request_refuse (rp_dispatch_t *self,
  rp_session_t *client,
  const rp_event_t *event,
  rp_status_t status,
  const char *text);

#endif
