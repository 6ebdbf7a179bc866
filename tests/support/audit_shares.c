/*  Shares: clients that always have requests waiting get work by their weights.

    SPDX-License-Identifier: MPL-2.0

    What a request is thought to take is the core's to know, so that is looked up inside; who has been given how
    much is counted from outside.
*/

#include "tests/support/audit.h"

#include <string.h>

#include "broker/core/state.h"

static double s_weight (const audit_t *self, const audit_peer_t *client)
{
    if (client->traits & RP_TRAIT_TRUSTED)
        return 1;
    return rp_rules_weight (self->rules, client->principal, client->name);
}

/*  Finds the core's client queue; NULL if it has none (any more).  */
static const rp_client_queue_t *s_inside (const audit_t *self, const audit_request_t *request)
{
    const rp_dispatch_t *core = self->core;
    const rp_session_t *client = rp_pool_find (&core->sessions, request->client->id.v);
    if (!client)
        return NULL;
    const rp_client_queue_t *own = &client->client_queue;
    if (own->open > 0 && own->priority == request->priority
        && strcmp (own->service->name, request->service) == 0)
        return own;
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->client_queues); slot++) {
        const rp_client_queue_t *other = rp_pool_at (&core->client_queues, slot);
        if (other->pooled.generation & 1 && other->client == client
            && other->priority == request->priority
            && strcmp (other->service->name, request->service) == 0)
            return other;
    }
    return NULL;
}

/*  What a request of a client queue is worth now, us by weight.  */
static double s_worth (
  const audit_t *self, const audit_request_t *request, const rp_client_queue_t *client_queue)
{
    uint32_t unit = client_queue->service->unit_us;
    uint32_t cost = client_queue->work_us ? client_queue->work_us : unit;
    return (cost ? cost : 1) / s_weight (self, request->client);
}

typedef struct {
    double sum;
    double most;
} s_share_t;

/*  What was started for it since a turn.  */
static s_share_t s_share (const audit_t *self, const audit_served_t *served, uint64_t since)
{
    s_share_t share = {0};
    for (uint64_t turn = self->turns; turn > since; turn--) {
        const audit_turn_t *one = &self->log[turn % AUDIT_TURNS];
        if (one->served != served)
            continue;
        share.sum += one->worth;
        share.most = one->worth > share.most ? one->worth : share.most;
    }
    return share;
}

/*  Checks that this client has not been given more, for its weight, than another that has waited all the time:
    than the two can be apart who are in different places of the same round.  */
static void s_check_share (audit_t *self,
  const audit_served_t *served,
  const audit_request_t *other,
  const audit_served_t *theirs)
{
    const rp_client_queue_t *client_queue = s_inside (self, other);
    uint64_t since = served->shares > theirs->shares ? served->shares : theirs->shares;
    if (!client_queue || self->turns - since >= AUDIT_TURNS)
        return;
    s_share_t mine = s_share (self, served, since);
    s_share_t his = s_share (self, theirs, since);
    double next = s_worth (self, other, client_queue);
    double unit = client_queue->service->unit_us ? client_queue->service->unit_us : 1;
    double most = 2 * unit + 2 * mine.most + 2 * (his.most > next ? his.most : next);
    AUDIT_REQUIRE (self, mine.sum - his.sum <= most,
      "a client is given more than its weight lets it have beside another");
}

/*  It has what it has from now on.  */
static void s_begin (const audit_t *self, audit_served_t *served)
{
    served->shares = self->turns;
}

static void s_begin_all (const audit_t *self)
{
    for (rp_list_node_t *node = rp_list_first (&self->served); node;
         node = rp_list_next (&self->served, node))
        s_begin (self, RP_CONTAINER (node, audit_served_t, node));
}

void audit_shares_change (audit_t *self)
{
    self->weighed = self->rules && rp_rules_has_weight (self->rules);
    self->loose = self->loose || self->weighed;
    s_begin_all (self);
}

void audit_share_taken (audit_t *self, const audit_request_t *request, audit_served_t *served)
{
    audit_turn_t *turn = &self->log[self->turns % AUDIT_TURNS];
    *turn = (audit_turn_t){0};
    if (!self->weighed)
        return;
    const rp_client_queue_t *client_queue = s_inside (self, request);
    if (request->key
        || !client_queue) { // it may have waited in its worker's queue; or not be there any more
        s_begin (self, served);
        return;
    }
    uint32_t *unit = &self->units[client_queue->service->pooled.slot % 64];
    if (*unit != client_queue->service->unit_us) { // all turns are worth something else
        *unit = client_queue->service->unit_us;
        s_begin_all (self);
        return;
    }
    *turn = (audit_turn_t){served, s_worth (self, request, client_queue)};
    for (rp_list_node_t *node = rp_list_first (&self->requests); node;
         node = rp_list_next (&self->requests, node)) {
        const audit_request_t *other = RP_CONTAINER (node, audit_request_t, node);
        if (other->delivery || other->client->over || other->key
            || other->priority != request->priority
            || strcmp (other->service, request->service) != 0)
            continue;
        const audit_served_t *theirs = audit_turn_find (self, other);
        if (theirs != served)
            s_check_share (self, served, other, theirs);
    }
}

/*  Who has nothing waiting saves nothing, and owes nothing.  */
void audit_check_shares (audit_t *self)
{
    if (!self->weighed)
        return;
    for (rp_list_node_t *node = rp_list_first (&self->served); node;
         node = rp_list_next (&self->served, node)) {
        audit_served_t *served = RP_CONTAINER (node, audit_served_t, node);
        bool waits = false;
        for (rp_list_node_t *next = rp_list_first (&self->requests); next && !waits;
             next = rp_list_next (&self->requests, next)) {
            const audit_request_t *request = RP_CONTAINER (next, audit_request_t, node);
            waits = !request->delivery && !request->key && audit_turn_is_of (served, request);
        }
        if (!waits)
            s_begin (self, served);
    }
}

void audit_shares_bend (const audit_t *self)
{
    rp_dispatch_t *core = self->core;
    for (uint32_t slot = 0; slot < rp_pool_slots (&core->sessions); slot++) {
        rp_session_t *session = rp_pool_at (&core->sessions, slot);
        bool kept = self->bug == AUDIT_BUG_IGNORE_NAME && session->pooled.generation & 1
                    && self->rules && rp_rules_quota (self->rules, session->principal->name).weight;
        if (!kept)
            session->weight = 1;
    }
}
