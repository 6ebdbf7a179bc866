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
    return rp_worker_has_room (worker) && rp_list_is_empty (&worker->pinned);
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
    if (rp_copy_goes_at_once (worker)
        && (!rp_terms_throttle (service->terms) || rp_service_pass (self, service))) {
        (void) rp_request_start (self, request, worker);
        rp_service_room_changed (self, worker);
        return;
    }
    rp_request_set_wait (request, RP_WAIT_PINNED);
    rp_request_set_state (self, request, RP_REQUEST_PINNED);
    rp_list_append (&worker->pinned, &request->node);
}

void rp_copy_end_waiting (rp_dispatch_t *self, rp_session_t *worker, const char *text)
{
    for (rp_list_node_t *node = rp_list_first (&worker->pinned), *next; node; node = next) {
        next = rp_list_next (&worker->pinned, node);
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (request->copy)
            rp_request_finish (self, request, RP_NO_WORKER, text);
    }
}
