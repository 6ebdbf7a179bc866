/*  Turns: clients that wait for one service are served in turn, by priority and by how long they have
    waited; and the core's client queues hold each waiting request once.

    SPDX-License-Identifier: MPL-2.0

    The client queues are the only part inside the core that the auditor looks at: a queue that is
    left behind would show from outside only after a long time.
*/

#include "tests/support/audit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"

/*  ---- From outside --------------------------------------------------------------------------- */

bool audit_turn_is_of (const audit_served_t *served, const audit_request_t *request)
{
    return served->client.v == request->client->id.v && served->priority == request->priority
           && strcmp (served->service, request->service) == 0;
}

audit_served_t *audit_turn_find (const audit_t *self, const audit_request_t *request)
{
    for (rp_list_node_t *node = rp_list_first (&self->served); node;
         node = rp_list_next (&self->served, node)) {
        audit_served_t *served = RP_CONTAINER (node, audit_served_t, node);
        if (audit_turn_is_of (served, request))
            return served;
    }
    return NULL;
}

static bool s_waits (const audit_request_t *request)
{
    return !request->delivery && !request->client->over;
}

void audit_turn_awaited (audit_t *self, const audit_request_t *request)
{
    audit_served_t *served = audit_turn_find (self, request);
    if (!served) {
        served = calloc (1, sizeof *served);
        if (!served)
            abort ();
        served->client = request->client->id;
        served->priority = request->priority;
        memcpy (served->service, request->service, sizeof served->service);
        served->shares = self->turns;
        rp_list_append (&self->served, &served->node);
    }
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (s_waits (other) && audit_turn_is_of (served, other))
            return;
    }
    served->began = self->now;
}

/*  The class of what has waited for its turn since then.  */
static uint64_t s_class (const audit_t *self, unsigned priority, int64_t since)
{
    uint64_t class = priority + (uint64_t) ((self->now - since) / self->age_step);
    return class < RP_PRIORITY_MAX ? class : RP_PRIORITY_MAX;
}

/*  The same where weights or terms have a say in whose turn it is within a priority: it has the class of who
    has waited longest with that priority, and who could not pay has none but its priority for certain.  */
static void s_check_class_loosely (
  audit_t *self, const audit_request_t *request, const audit_served_t *served)
{
    int64_t since = served->began;
    unsigned least = 0;
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (!s_waits (other) || other == request || strcmp (other->service, request->service) != 0)
            continue;
        const audit_served_t *theirs = audit_turn_find (self, other);
        if (other->priority == request->priority && theirs->began < since)
            since = theirs->began;
        if (other->priority > least && !other->key && other->deadline > self->now)
            least = other->priority;
    }
    AUDIT_REQUIRE (self, s_class (self, request->priority, since) >= least,
      "a request is started while one of a higher priority waits");
}

/*  Checks that no client waits whose class is higher for certain, or the same and who has waited longer
    for certain.  */
static void s_check_class (
  audit_t *self, const audit_request_t *request, const audit_served_t *served)
{
    uint64_t most = s_class (self, request->priority, served->began);
    if (self->loose) {
        s_check_class_loosely (self, request, served);
        return;
    }
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (!s_waits (other) || other == request || other->key || other->deadline <= self->now
            || strcmp (other->service, request->service) != 0)
            continue;
        const audit_served_t *theirs = audit_turn_find (self, other);
        int64_t since = theirs->latest_at > other->queued_at ? theirs->latest_at : other->queued_at;
        uint64_t least = s_class (self, other->priority, since);
        AUDIT_REQUIRE (
          self, most >= least, "a request is started while one of a higher class waits");
        AUDIT_REQUIRE (self, most > least || served->began <= since,
          "a request is started while one of its class waits that has waited longer");
    }
}

/*  Checks that each client that waited at this client's last turn has had a turn since.  */
static void s_check_turn (
  audit_t *self, const audit_request_t *request, const audit_served_t *served)
{
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (other->delivery || other->key || other->client == request->client || other->client->over
            || other->queued >= served->turn || other->priority != request->priority
            || strcmp (other->service, request->service) != 0)
            continue;
        const audit_served_t *theirs = audit_turn_find (self, other);
        AUDIT_REQUIRE (self, theirs && theirs->latest > served->turn,
          "a client has a second turn while another waits for its first");
    }
}

void audit_turn_taken (audit_t *self, const audit_request_t *request)
{
    audit_served_t *served = audit_turn_find (self, request);
    served->latest = ++self->turns;
    served->latest_at = self->now;
    audit_share_taken (self, request, served);
    if (request->key) // it may wait in its worker's queue
        return;
    if (served->turn && !served->returned && !self->loose)
        s_check_turn (self, request, served);
    if (!served->returned)
        s_check_class (self, request, served);
    served->turn = served->latest;
    served->began = self->now;
    served->returned = false;
}

void audit_turn_lost (audit_t *self, audit_request_t *request)
{
    request->queued = self->turns;
    request->queued_at = self->now;
    audit_served_t *served = audit_turn_find (self, request);
    served->returned = true;
    served->shares = self->turns; // it goes first, whatever it has been given
}

void audit_turns_forget (audit_t *self, rp_session_id_t client)
{
    for (rp_list_node_t *node = rp_list_first (&self->served), *next; node; node = next) {
        next = rp_list_next (&self->served, node);
        audit_served_t *served = RP_CONTAINER (node, audit_served_t, node);
        if (client.v && served->client.v != client.v)
            continue;
        for (unsigned turn = 0; turn < AUDIT_TURNS; turn++)
            if (self->log[turn].served == served)
                self->log[turn].served = NULL;
        rp_list_remove (node);
        free (served);
    }
}

/*  ---- From inside ---------------------------------------------------------------------------- */

typedef struct {
    size_t queued;
    size_t open;
} s_sum_t;

static void s_check_client_queue (audit_t *self,
  const rp_service_t *service,
  const rp_client_queue_t *client_queue,
  s_sum_t *in_client_queues)
{
    AUDIT_REQUIRE (
      self, client_queue->service == service, "a client queue is in another service's queue");
    AUDIT_REQUIRE (
      self, !rp_list_is_empty (&client_queue->requests), "an empty client queue is in the queue");
    for (rp_list_node_t *node = rp_list_first (&client_queue->requests); node;
         node = rp_list_next (&client_queue->requests, node)) {
        const rp_request_t *request = RP_CONTAINER (node, rp_request_t, node);
        AUDIT_REQUIRE (self,
          request->state == RP_REQUEST_QUEUED && request->client_queue == client_queue,
          "a request is in a client queue that is not its own, or should be elsewhere");
        in_client_queues->queued++;
    }
}

/*  Sums up the requests in the client queues of all services, and the counts that all client queues
    in use have.  */
static s_sum_t s_look_at_client_queues (audit_t *self)
{
    const rp_dispatch_t *core = self->core;
    s_sum_t sum = {0};
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->services); slot++) {
        const rp_service_t *service = rp_pool_at (&core->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        for (const rp_client_queue_t *client_queue = rp_queue_first (&service->queue); client_queue;
             client_queue = rp_queue_after (&service->queue, client_queue))
            s_check_client_queue (self, service, client_queue, &sum);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->sessions); slot++) {
        const rp_session_t *peer = rp_pool_at (&core->sessions, slot);
        if (peer->pooled.generation & 1)
            sum.open += peer->client_queue.open;
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->client_queues); slot++) {
        const rp_client_queue_t *client_queue = rp_pool_at (&core->client_queues, slot);
        if (!(client_queue->pooled.generation & 1))
            continue;
        AUDIT_REQUIRE (self, client_queue->open > 0, "a client queue is kept that nobody needs");
        AUDIT_REQUIRE (self,
          client_queue->client->client_queue.open == 0
            || client_queue->client->client_queue.service != client_queue->service
            || client_queue->client->client_queue.priority != client_queue->priority,
          "a client has two client queues of a priority in one service");
        sum.open += client_queue->open;
    }
    return sum;
}

void audit_check_client_queues (audit_t *self)
{
    const rp_dispatch_t *core = self->core;
    s_sum_t sum = {0};
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->requests); slot++) {
        const rp_request_t *request = rp_pool_at (&core->requests, slot);
        if (!(request->pooled.generation & 1))
            continue;
        sum.open += !request->answered;
        sum.queued += request->state == RP_REQUEST_QUEUED;
    }
    s_sum_t in_client_queues = s_look_at_client_queues (self);
    AUDIT_REQUIRE (self, sum.queued == in_client_queues.queued,
      "%zu requests are queued and %zu are in client queues", sum.queued, in_client_queues.queued);
    AUDIT_REQUIRE (self, sum.open == in_client_queues.open,
      "%zu requests are open and %zu have client queues", sum.open, in_client_queues.open);
    AUDIT_REQUIRE (self, core->client_queues.count == core->client_queues_by_user.count,
      "client queues and their table differ");
}
