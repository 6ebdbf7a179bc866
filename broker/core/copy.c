/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/copy.h"

#include "broker/core/request.h"
#include "broker/core/service.h"
#include "common/wire/headers.h"

const char *rp_copy_refuse (const rp_head_t *head)
{
    uint64_t first = 0, quorum = 0;
    rp_header_t header;
    bool firsts = rp_headers_find (head->headers, head->headers_size, RP_ALL_FIRST, &header);
    bool quorums = rp_headers_find (head->headers, head->headers_size, RP_ALL_QUORUM, &header);
    if (head->flags & RP_FLAG_HEDGE)
        return "a request for all workers cannot be hedged: each of them gets it anyway";
    if (head->flags & (RP_FLAG_DURABLE | RP_FLAG_KEYED))
        return "a job, or a request with an idempotency key, is for one worker, not for all";
    if (firsts && quorums)
        return "a request for all workers has all-first or all-quorum, not both";
    if (!rp_headers_number (head->headers, head->headers_size, RP_ALL_FIRST, RP_ALL_MOST, &first)
        || !rp_headers_number (
          head->headers, head->headers_size, RP_ALL_QUORUM, RP_ALL_MOST, &quorum)
        || (firsts && first == 0) || (quorums && quorum == 0))
        return "all-first and all-quorum are numbers of workers, 1 to 65535";
    return NULL;
}

bool rp_copy_goes_at_once (const rp_session_t *worker)
{
    return rp_worker_has_room (worker) && rp_list_is_empty (&worker->pinned)
           && rp_list_is_empty (&worker->copies);
}

void rp_copy_start (rp_dispatch_t *self, rp_request_t *copy, rp_session_t *worker)
{
    rp_service_t *service = worker->service;
    worker->copied = service->copied = true;
    (void) rp_request_start (self, copy, worker);
    if (!rp_terms_throttle (service->terms))
        return;
    // Of the places that the terms let the service give, the next is for copies of another worker.
    rp_list_remove (&worker->service_node);
    rp_list_append (&service->workers, &worker->service_node);
}

/*  Has a copy wait for its worker.  */
static void s_pin (rp_dispatch_t *self, rp_request_t *copy, rp_session_t *worker)
{
    rp_service_t *service = worker->service;
    rp_request_set_wait (copy, RP_WAIT_PINNED);
    rp_request_set_state (self, copy, RP_REQUEST_PINNED);
    rp_list_append (&worker->copies, &copy->node);
    worker->wanted = true;
    rp_service_touch (self, service); // its terms may let it start now
    if (worker->asked)
        return;
    worker->asked = true;
    service->asked++;
    rp_queue_set_shared (&service->queue, true);
}

void rp_copy_submit (
  rp_dispatch_t *self, rp_session_t *client, rp_session_t *worker, const rp_event_t *event)
{
    rp_service_t *service = worker->service;
    rp_request_t *request = rp_request_accept (self, client, service, event);
    if (!request) {
        rp_request_refuse (self, client, event, RP_BUSY, "the broker is out of memory");
        return;
    }
    request->flags &= (uint16_t) ~RP_FLAG_ALL; // not every worker knows it
    request->copy = true;
    if (!rp_copy_goes_at_once (worker) || rp_terms_throttle (service->terms)) {
        s_pin (self, request, worker);
        return;
    }
    rp_copy_start (self, request, worker);
    rp_service_room_changed (self, worker);
}

void rp_copy_end_waiting (rp_dispatch_t *self, rp_session_t *worker, const char *text)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&worker->copies)))
        rp_request_finish (self, RP_CONTAINER (node, rp_request_t, node), RP_NO_WORKER, text);
}

rp_list_node_t *rp_copy_next (rp_session_t *worker)
{
    rp_service_t *service = worker->service;
    bool copied = rp_terms_throttle (service->terms) ? service->copied : worker->copied;
    rp_list_node_t *first = rp_list_first (&worker->copies);
    if (!first || !copied || rp_queue_is_empty (&service->queue))
        return first;
    rp_list_append (&service->offered, &worker->offered_node);
    return NULL;
}

void rp_copy_take_back (rp_session_t *worker)
{
    if (worker->offered_node.next)
        rp_list_remove (&worker->offered_node);
}

void rp_copy_settle (rp_session_t *worker)
{
    if (!worker->asked || !rp_list_is_empty (&worker->copies))
        return;
    worker->asked = false;
    if (--worker->service->asked == 0)
        rp_queue_set_shared (&worker->service->queue, false);
}

void rp_copy_queue_had_turn (rp_dispatch_t *self, rp_session_t *worker)
{
    rp_service_t *service = worker->service;
    worker->copied = service->copied = false;
    rp_request_refill (self, worker);
    if (rp_terms_throttle (service->terms))
        rp_service_refill (self, service);
}

bool rp_copy_take_offer (rp_dispatch_t *self, rp_service_t *service)
{
    rp_list_node_t *node = rp_list_first (&service->offered);
    if (!node || !rp_queue_is_empty (&service->queue))
        return false;
    rp_session_t *worker = RP_CONTAINER (node, rp_session_t, offered_node);
    rp_copy_take_back (worker);
    rp_request_refill (self, worker);
    return true;
}

void rp_copy_leave (rp_session_t *worker)
{
    rp_copy_take_back (worker);
    rp_copy_settle (worker);
}
