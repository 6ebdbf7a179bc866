/*  Requests: each from its acceptance to its one final status.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 6.1. Internal to the core.
*/

#ifndef RP_REQUEST_H
#define RP_REQUEST_H

#include "broker/core/state.h"
#include "common/base/earlier.h"

/*  The bytes of a request that count in limits: body and headers, since headers can outweigh the
    body many times.  */
static inline size_t rp_request_weight (const rp_event_t *event)
{
    return event->size + event->head->headers_size;
}

/*  Bytes that an open request of a foreign client takes beside its body: the request, its return
    envelope, its places in lists.  */
#define RP_REQUEST_COST 512u

/*  Accepts a request of a client for a service: counts it and sets its deadline, but puts it in no
    list. Takes the event's payload. NULL at the limit or when out of memory: nothing has changed
    then.  */
rp_request_t *rp_request_accept (
  rp_dispatch_t *self, rp_session_t *client, rp_service_t *service, const rp_event_t *event);

/*  Finds the open request of a client by id; NULL if there is none.  */
rp_request_t *rp_request_find (const rp_dispatch_t *self, const rp_session_t *client, uint64_t id);

/*  Sets the state; the only function that does. Checks the transition and keeps the counters; the
    caller keeps the lists.  */
void rp_request_set_state (rp_dispatch_t *self, rp_request_t *request, rp_request_state_t state);

/*  Handles RP_EVENT_DROPPED.  */
void rp_request_dropped (rp_dispatch_t *self, const rp_event_t *event);

/*  Handles RP_EVENT_UNSENT of a reply with this status. A client of the native protocol learns of
    the loss by the end of its connection.  */
void rp_request_reply_unsent (rp_dispatch_t *self, const rp_session_t *client, uint8_t status);

/*  Sends the client a part of a reply; the payload goes with it.  */
void rp_request_send_part (
  rp_dispatch_t *self, const rp_request_t *request, const rp_head_t *part, rp_payload_t *payload);

/*  Gives the client the final status, with the worker's reply if there is one (head: its status,
    code, flags; the payload goes with it), and parts the request from its client. Does not free the
    request.  */
void rp_request_answer (
  rp_dispatch_t *self, rp_request_t *request, const rp_head_t *reply, rp_payload_t *payload);

/*  Gives the client of a request, and its place among its client's, to another delivery of it, for which there is
    no client so far. Neither is in a list of its service then.  */
void rp_request_move_client (rp_dispatch_t *self, rp_request_t *from, rp_request_t *to);

/*  When the limit of the attempt ends; RP_NEVER if there is none.  */
static inline int64_t rp_request_limit_end (const rp_request_t *request)
{
    uint32_t limit = request->worker->attempt_limit;
    return limit ? request->dispatched + (int64_t) limit * 1000 : RP_NEVER;
}

/*  When the request ends, or its attempt, if its worker does not answer.  */
static inline int64_t rp_request_run_end (const rp_request_t *request)
{
    return rp_earlier (rp_request_deadline (request), rp_request_limit_end (request));
}

/*  Frees an answered request: takes it out of its list, gives its worker's place back, and lets its
    conversation go on.  */
void rp_request_free (rp_dispatch_t *self, rp_request_t *request);

/*  Frees an abandoned one, with which another delivery of the request may go on (hedge.h). begun: it counts as an
    attempt.  */
void rp_request_let_go (rp_dispatch_t *self, rp_request_t *request, bool begun);

/*  Ends a request with a status of the broker's own; text from rp_actions_format, or static.  */
void rp_request_finish (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text);

/*  Ends a running request for its client only. The worker gets CANCEL, keeps the request, and still
    owes a reply.  */
void rp_request_abandon (
  rp_dispatch_t *self, rp_request_t *request, rp_status_t status, const char *text);

/*  Gives a waiting request, whose deadline has not passed, to a worker with room. False if it has ended instead,
    since that worker cannot read it.  */
bool rp_request_start (rp_dispatch_t *self, rp_request_t *request, rp_session_t *worker);

/*  Ends a waiting request, since the worker that it is for cannot read it (rp_stream_fits).  */
void rp_request_unread (rp_dispatch_t *self, rp_request_t *request);

/*  A worker lost the request: redelivers it if its attempts allow that, otherwise ends it with
    WORKER_LOST.  */
void rp_request_lost (rp_dispatch_t *self, rp_request_t *request, const char *text);

/*  A worker gave the request back without beginning it, so the attempt does not count. The request
    goes to another worker. If there is none and the request does not wait for one to appear, it
    ends with NO_WORKER.  */
void rp_request_unbegun (rp_dispatch_t *self, rp_request_t *request, const char *text);

/*  The rules changed: ends a waiting request whose client may not call the service any more.  */
void rp_request_recheck (rp_dispatch_t *self, rp_request_t *request);

/*  No rule allows the request of a trusted client any more: it is not given to a worker again, and ends if it waits.  */
void rp_request_bar (rp_dispatch_t *self, rp_request_t *request);

/*  The request could not be sent to its worker, so the attempt does not count.  */
void rp_request_unsent (rp_dispatch_t *self, rp_request_t *request, rp_payload_t *payload);

/*  A worker's room has grown: gives it requests of its own conversations first, since no other
    worker can take them.  */
void rp_request_refill (rp_dispatch_t *self, rp_session_t *worker);

/*  True while the request may wait, though its service has no worker.  */
bool rp_request_is_patient (const rp_dispatch_t *self, const rp_request_t *request);

/*  Sets the timer of a waiting request: to its deadline, or to the end of its wait for a
    worker.  */
void rp_request_watch (rp_dispatch_t *self, rp_request_t *request);

/*  The timer of the request is due: its deadline, the end of its wait for a worker, or the limit of
    the attempt.  */
void rp_request_due (rp_dispatch_t *self, rp_request_t *request);

/*  No worker came: ends the request with NO_WORKER, or WORKER_LOST if a worker had it before.  */
void rp_request_no_worker (rp_dispatch_t *self, rp_request_t *request);

/*  Cancels a request, because its client sent CANCEL or is gone.  */
void rp_request_cancel (rp_dispatch_t *self, rp_request_t *request);

/*  Refuses a request that was never accepted, with this reply.  */
void rp_request_refuse_with (
  rp_dispatch_t *self, rp_session_t *client, const rp_event_t *event, const rp_head_t *reply);

/*  Refuses a request that was never accepted, with this status and text.  */
void rp_request_refuse (rp_dispatch_t *self,
  rp_session_t *client,
  const rp_event_t *event,
  rp_status_t status,
  const char *text);

#endif
