/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/share.h"

#include "broker/core/state.h"

/*  What the next request of a client queue is thought to take, us.  */
static uint64_t s_cost (const rp_client_queue_t *client_queue, uint64_t unit)
{
    return client_queue->work_us ? client_queue->work_us : unit;
}

/*  What a turn gives, us.  */
static uint64_t s_grant (const rp_client_queue_t *client_queue, uint64_t unit)
{
    return unit * client_queue->client->weight;
}

static void s_end_turn (rp_queue_t *self, rp_client_queue_t *client_queue, int64_t now)
{
    rp_queue_remove (self, client_queue);
    rp_queue_append (self, client_queue, now);
}

/*  Gives the client queues of a ring, none of which can pay at its next turn, as many turns as it takes until one
    can at the turn after.  */
static void s_advance (const rp_list_t *ring, uint64_t unit)
{
    uint64_t turns = UINT64_MAX;
    for (rp_list_node_t *node = rp_list_first (ring); node; node = rp_list_next (ring, node)) {
        const rp_client_queue_t *client_queue = RP_CONTAINER (node, rp_client_queue_t, node);
        uint64_t lacks = s_cost (client_queue, unit) - client_queue->credit;
        uint64_t needed = (lacks - 1) / s_grant (client_queue, unit);
        turns = needed < turns ? needed : turns;
    }
    for (rp_list_node_t *node = rp_list_first (ring); node; node = rp_list_next (ring, node)) {
        rp_client_queue_t *client_queue = RP_CONTAINER (node, rp_client_queue_t, node);
        client_queue->credit += turns * s_grant (client_queue, unit);
    }
}

/*  A turn comes to a client queue: gives it its credit. True if it can pay for its next request.  */
static bool s_begin_turn (rp_client_queue_t *client_queue, uint64_t unit)
{
    uint64_t cost = s_cost (client_queue, unit), grant = s_grant (client_queue, unit);
    if (client_queue->credit < cost)
        client_queue->credit += grant;
    else if (client_queue->credit > cost + grant)
        client_queue->credit = cost + grant; // it was given when requests seemed longer
    return client_queue->credit >= cost;
}

/*  The part of rp_share_next for when the next client queue cannot pay.  */
static __attribute__ ((noinline)) rp_client_queue_t *s_search (
  rp_queue_t *self, rp_client_queue_t *next, int64_t now, uint64_t age_step, uint64_t unit)
{
    const rp_client_queue_t *poor[RP_PRIORITY_MAX + 1] = {NULL}; // the first that could not pay
    do {
        if (!poor[next->priority])
            poor[next->priority] = next;
        s_end_turn (self, next, now);
        next = rp_queue_next (self, now, age_step);
        if (next == poor[next->priority])
            s_advance (&self->rings[next->priority], unit);
    } while (!s_begin_turn (next, unit));
    return next;
}

rp_client_queue_t *rp_share_next (
  rp_queue_t *self, int64_t now, uint64_t age_step, uint32_t unit_us)
{
    rp_client_queue_t *next = rp_queue_next (self, now, age_step);
    return s_begin_turn (next, unit_us) ? next : s_search (self, next, now, age_step, unit_us);
}

void rp_share_started (
  rp_queue_t *self, rp_client_queue_t *client_queue, int64_t now, uint32_t unit_us)
{
    uint64_t cost = s_cost (client_queue, unit_us);
    client_queue->credit -= cost;
    if (client_queue->waiting == 0)
        return;
    if (client_queue->credit < cost) {
        s_end_turn (self, client_queue, now);
        return;
    }
    rp_queue_remove (self, client_queue);
    rp_queue_prepend (self, client_queue, now);
}
