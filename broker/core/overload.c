/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/overload.h"

#include "broker/core/client_queue.h"
#include "broker/core/request.h"

/*  How long starts are counted before they say how fast they are; single ones come in bursts.  */
#define S_PACE_US INT64_C (100000)

void rp_overload_started (rp_service_t *service, int64_t now)
{
    if (rp_queue_is_empty (&service->queue)) {
        service->pace_since = 0;
        return;
    }
    if (service->pace_since == 0) {
        service->pace_since = now;
        service->pace_starts = 0;
        return;
    }
    service->pace_starts++;
    int64_t time = now - service->pace_since;
    if (time < S_PACE_US)
        return;
    int64_t gap = time / service->pace_starts + 1;
    gap = gap < UINT32_MAX ? gap : UINT32_MAX;
    service->gap_us = (uint32_t) (service->gap_us ? (service->gap_us + gap) / 2 : gap);
    service->pace_since = now;
    service->pace_starts = 0;
}

/*  Estimates how long a request will wait whose client has so many waiting with this priority, us; 0: not known.
    Clients take turns, so as many of each other one go before it, and none that are not there.  */
static int64_t s_wait (const rp_service_t *service, uint32_t own, unsigned priority)
{
    uint64_t clients = own == 0; // it has no place in the ring so far
    for (unsigned ring = priority; ring <= RP_PRIORITY_MAX; ring++)
        clients += service->queue.sizes[ring];
    uint64_t places = clients * (own + 1);
    if (places > service->waiting + 1)
        places = service->waiting + 1;
    return (int64_t) (places * service->gap_us);
}

static unsigned long long s_ms (int64_t us)
{
    return (unsigned long long) (us + 999) / 1000;
}

const char *rp_overload_forecast (
  rp_dispatch_t *self, const rp_session_t *client, rp_service_t *service, const rp_head_t *head)
{
    bool free = rp_queue_is_empty (&service->queue) && rp_heap_first (&service->room, NULL);
    if (!rp_terms_admit (service->terms) || service->worker_count == 0 || free
        || client->traits & (RP_TRAIT_UNTIMED | RP_TRAIT_TRUSTED))
        return NULL;
    unsigned priority = rp_wire_priority (head);
    int64_t wait =
      s_wait (service, rp_client_queue_waiting (self, client, service, priority), priority);
    if (wait + service->work_us <= (int64_t) head->deadline_ms * 1000)
        return NULL;
    self->stats.not_admitted++;
    return rp_actions_format (self->actions,
      "it would wait about %llu ms, take %llu ms, and has %u ms (setting service, %s: "
      "admission=on)",
      s_ms (wait), s_ms (service->work_us), (unsigned) head->deadline_ms, service->name);
}

bool rp_overload_is_too_late (rp_dispatch_t *self, rp_request_t *request)
{
    const rp_service_t *service = request->client_queue->service;
    int64_t left = rp_request_deadline (request) - self->now;
    if (self->now
        == request->accepted) // a worker is free: if all were refused, nothing new would be learned
        return false;
    if (left >= service->work_us || request->attempt > 0
        || request->client_queue->client->traits & (RP_TRAIT_UNTIMED | RP_TRAIT_TRUSTED))
        return false;
    self->stats.not_admitted++;
    rp_request_finish (self, request, RP_EXPIRED,
      rp_actions_format (self->actions,
        "at its turn it had %llu ms left and would take %llu ms (setting service, %s: "
        "admission=on)",
        s_ms (left), s_ms (service->work_us), service->name));
    return true;
}

/*  Returns the request of a client queue that came first, of those that may be dropped; NULL if there is none.  */
static rp_request_t *s_oldest (const rp_client_queue_t *client_queue)
{
    if (client_queue->client->traits & RP_TRAIT_TRUSTED)
        return NULL;
    for (rp_list_node_t *node = rp_list_first (&client_queue->requests); node;
         node = rp_list_next (&client_queue->requests, node)) {
        rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        if (request->attempt == 0 && !request->untimed)
            return request;
    }
    return NULL;
}

bool rp_overload_drop_oldest (rp_dispatch_t *self, rp_service_t *service, unsigned priority)
{
    if (!rp_terms_overload (service->terms, RP_OVERLOAD_DROP_OLDEST))
        return false;
    rp_request_t *oldest = NULL;
    for (const rp_client_queue_t *client_queue = rp_queue_first (&service->queue);
         client_queue && client_queue->priority <= priority;
         client_queue = rp_queue_after (&service->queue, client_queue)) {
        rp_request_t *request = s_oldest (client_queue);
        if (request && (!oldest || request->accepted < oldest->accepted))
            oldest = request;
    }
    if (!oldest)
        return false;
    self->stats.dropped++;
    rp_request_finish (self, oldest, RP_BUSY,
      rp_actions_format (self->actions,
        "dropped after %llu ms, since the queue is full and it had waited longest (setting "
        "service, "
        "%s: overload=drop_oldest)",
        s_ms (self->now - oldest->accepted), service->name));
    return true;
}

bool rp_overload_goes_first (rp_dispatch_t *self, const rp_request_t *request)
{
    const rp_client_queue_t *client_queue = request->client_queue;
    const rp_service_t *service = client_queue->service;
    if (service->worker_count == 0)
        return false;
    int64_t wait = s_wait (service, client_queue->waiting, client_queue->priority);
    if (self->now + wait + service->work_us <= rp_request_deadline (request))
        return false;
    self->stats.put_first++;
    return true;
}
