/*  The checks that hold between any two events.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/audit.h"

#include <string.h>

#include "common/base/heap.h"

typedef struct {
    size_t open;
    size_t running;
    size_t waiting;
    size_t waiting_bytes;
    size_t open_bytes;
    size_t abandoned;
    size_t streams;
    uint64_t granted_bytes;
    bool certain; /* no session is about to end, whose requests would end without a reply */
} s_census_t;

/*  What is left of a grant.  */
static uint64_t s_left (const audit_flow_t *flow)
{
    return flow->granted - flow->passed;
}

static s_census_t s_take_census (const audit_t *self)
{
    s_census_t census = {.certain = true};
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        if (peer->closing || (peer->over && !peer->worker))
            census.certain = false;
    }
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        census.open++;
        census.open_bytes += request->size + (request->parts ? request->parts->body : 0);
        census.streams += request->stream || request->more;
        census.granted_bytes += s_left (&request->reply) + s_left (&request->body);
        if (request->delivery) {
            census.running++;
        }
        else {
            census.waiting++;
            census.waiting_bytes += request->size;
        }
    }
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        bool apart = !delivery->request || delivery->request->other == delivery;
        census.abandoned += apart;
        census.open_bytes += apart ? delivery->size : 0;
    }
    return census;
}

/*  Checks that accepted = finals + waiting + running, and that the gauges equal the model's.  */
static void s_check_counts (audit_t *self)
{
    const rp_stats_t *stats = rp_dispatch_stats (self->core);
    uint64_t finals = 0;
    for (size_t status = 0; status < RP_FINAL_COUNT; status++)
        finals += stats->final[status];
    AUDIT_REQUIRE (self, stats->requests == finals + stats->waiting + stats->running,
      "accepted %llu, but %llu finals, %llu waiting, %llu running",
      (unsigned long long) stats->requests, (unsigned long long) finals,
      (unsigned long long) stats->waiting, (unsigned long long) stats->running);
    s_census_t census = s_take_census (self);
    if (!census.certain)
        return;
    AUDIT_REQUIRE (self, stats->waiting == census.waiting && stats->running == census.running,
      "%llu waiting and %llu running are %zu and %zu", (unsigned long long) stats->waiting,
      (unsigned long long) stats->running, census.waiting, census.running);
    AUDIT_REQUIRE (self,
      stats->waiting_bytes == census.waiting_bytes && stats->open_bytes == census.open_bytes,
      "bytes of waiting or open requests are off");
    AUDIT_REQUIRE (self, stats->abandoned == census.abandoned, "abandoned deliveries are off");
    // Parts of foreign workers make streams of requests that ask for none.
    AUDIT_REQUIRE (self,
      stats->granted_bytes == census.granted_bytes
        && rp_dispatch_counts (self->core).streams >= census.streams,
      "streams, or the bytes that their readers have granted, are off");
}

typedef struct {
    uint64_t workers_lost;
    uint64_t redeliveries;
    uint64_t final[RP_FINAL_COUNT];
} s_sum_t;

static void s_sum_figures (const rp_figures_t *figures, void *arg)
{
    s_sum_t *sum = arg;
    sum->workers_lost += figures->workers_lost;
    sum->redeliveries += figures->redeliveries;
    for (size_t status = 0; status < RP_FINAL_COUNT; status++)
        sum->final[status] += figures->final[status];
}

/*  Checks that no counter goes down, which a monitoring system would take for a start of the broker, and
    that those of the services add up.  */
static void s_check_counters (audit_t *self)
{
    const rp_stats_t *stats = rp_dispatch_stats (self->core);
#define S_COUNTER(name, text)                                                                      \
    AUDIT_REQUIRE (self, stats->name >= self->counted.name, "the counter " #name " goes down");
    RP_COUNTER_MAP (S_COUNTER)
#undef S_COUNTER
    self->counted = *stats;
    s_sum_t sum = {0};
    rp_dispatch_each_figures (self->core, s_sum_figures, &sum);
    AUDIT_REQUIRE (self,
      sum.workers_lost == stats->workers_lost && sum.redeliveries == stats->redeliveries
        && memcmp (sum.final, stats->final, sizeof sum.final) == 0,
      "the counters of the services do not add up to the broker's");
}

static void s_sum_service (const rp_service_info_t *info, void *arg)
{
    rp_service_info_t *sum = arg;
    sum->waiting += info->waiting;
    sum->waiting_bytes += info->waiting_bytes;
    sum->running += info->running;
    sum->workers += info->workers;
    sum->conversations += info->conversations;
    sum->held += info->held;
}

static void s_check_worker (const rp_worker_info_t *info, void *arg)
{
    audit_t *self = arg;
    const audit_peer_t *worker = audit_find_peer (self, info->session);
    AUDIT_REQUIRE (self, worker && worker->worker, "a worker is listed that is not there");
    AUDIT_REQUIRE (self,
      info->running + info->abandoned == worker->held && info->window == worker->window
        && strcmp (info->service, worker->service) == 0,
      "a worker is listed with %u + %u of %u and holds %u of %u", info->running, info->abandoned,
      info->window, worker->held, worker->window);
}

/*  Checks that the lists that people see agree with the counters and with the model.  */
static void s_check_lists (audit_t *self)
{
    rp_service_info_t sum = {0};
    rp_dispatch_each_service (self->core, self->now, s_sum_service, &sum);
    rp_dispatch_each_worker (self->core, self->now, s_check_worker, self);
    const rp_stats_t *stats = rp_dispatch_stats (self->core);
    rp_dispatch_counts_t counts = rp_dispatch_counts (self->core);
    size_t peers = 0;
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node))
        peers++;
    AUDIT_REQUIRE (self, counts.clients + counts.workers == peers, "sessions are miscounted");
    AUDIT_REQUIRE (self,
      sum.waiting == stats->waiting && sum.waiting_bytes == stats->waiting_bytes
        && sum.running == stats->running && sum.workers == counts.workers
        && sum.conversations == counts.conversations
        && sum.held == stats->running + stats->abandoned,
      "the services do not add up to the whole");
}

/*  Checks that every payload in the core belongs to an open request, and each waiting one has
    a payload.  */
static void s_check_payloads (audit_t *self)
{
    size_t inside = 0;
    for (rp_list_node_t *node = rp_list_first (&self->inside); node;
         node = rp_list_next (&self->inside, node)) {
        inside++;
        AUDIT_REQUIRE (self, RP_CONTAINER (node, rp_payload_t, node)->request,
          "a payload is kept that nobody needs any more");
    }
    size_t expected = 0;
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        expected += !request->delivery || request->kept;
        expected += request->parts != NULL;
        AUDIT_REQUIRE (self, !request->ending, "a hedge's loser is cancelled while none has won");
    }
    if (s_take_census (self).certain)
        AUDIT_REQUIRE (self, inside == expected, "%zu payloads inside, not %zu", inside, expected);
}

/*  Checks that a worker was told to cancel each delivery that no client waits for.  */
static void s_check_cancelled (audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->deliveries); node;
         node = rp_list_next (&self->deliveries, node)) {
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        AUDIT_REQUIRE (self,
          delivery->request || delivery->cancelled || delivery->worker->over || self->stopped,
          "a request ended, and its worker was not told");
        AUDIT_REQUIRE (
          self, delivery->worker->held <= RP_WINDOW_MAX, "a worker holds more than any window");
    }
}

static bool s_has_room (const audit_t *self, const audit_request_t *request)
{
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node)) {
        const audit_peer_t *peer = RP_CONTAINER (node, audit_peer_t, node);
        if (peer->worker && !peer->over && !peer->draining && peer->held < peer->window
            && strcmp (peer->service, request->service) == 0)
            return true;
    }
    return false;
}

/*  Checks that no request waits while a worker has room for it.  */
static void s_check_idle (audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        if (request->delivery || request->client->over || request->key)
            continue;
        AUDIT_REQUIRE (self,
          !s_has_room (self, request) || audit_terms_hold (self, request->service),
          "a request waits while a worker has room");
    }
}

/*  Checks that a worker's reply, if the event was one, has ended its request.  */
static void s_check_event (audit_t *self)
{
    bool sender_listens = self->sender && !self->sender->over;
    bool more = self->event && self->event->head && self->event->head->flags & RP_FLAG_MORE;
    if (self->answered && !self->answered->client->over && sender_listens && !more)
        AUDIT_REQUIRE (self, self->event->head->status == RP_WORKER_LOST,
          "a worker's reply did not end the request");
}

void audit_check (audit_t *self)
{
    audit_check_shares (self);
    s_check_counts (self);
    s_check_counters (self);
    s_check_lists (self);
    s_check_payloads (self);
    s_check_cancelled (self);
    s_check_idle (self);
    s_check_event (self);
    audit_check_client_queues (self);
    audit_check_access (self);
    audit_check_streams (self);
}

/*  Checks that a request does not wait if it is the turn of its conversation, whose worker has room.  */
static void s_check_pinned (audit_t *self, const audit_request_t *request)
{
    for (rp_list_node_t *node = rp_list_first (&self->conversations); node;
         node = rp_list_next (&self->conversations, node)) {
        const audit_conversation_t *conversation = RP_CONTAINER (node, audit_conversation_t, node);
        if (conversation->client.v != request->client->id.v || conversation->key != request->key
            || conversation->over || !conversation->established || conversation->running > 0)
            continue;
        const audit_peer_t *worker = audit_find_peer (self, conversation->worker);
        AUDIT_REQUIRE (self,
          !worker || worker->over || worker->closing || worker->held >= worker->window
            || audit_terms_hold (self, request->service),
          "a request of a conversation waits while its worker has room");
    }
}

/*  Checks that nothing is overdue after a tick.  */
void audit_check_tick (audit_t *self)
{
    AUDIT_REQUIRE (self, self->next > self->now, "the core wants a tick at a time that has passed");
    for (rp_list_node_t *node = rp_list_first (&self->peers); node;
         node = rp_list_next (&self->peers, node))
        AUDIT_REQUIRE (self, !RP_CONTAINER (node, audit_peer_t, node)->closing,
          "a session that is to end outlives the tick");
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        AUDIT_REQUIRE (
          self, self->now < audit_request_deadline (request), "a request outlives its deadline");
        AUDIT_REQUIRE (
          self, !audit_stream_is_silent (self, request), "a stream outlives its silence");
        AUDIT_REQUIRE (self,
          !request->key || request->delivery || !request->conversation
            || !request->conversation->over,
          "a request waits in a conversation that is over");
        if (request->key && !request->delivery && !request->client->over)
            s_check_pinned (self, request);
    }
}
