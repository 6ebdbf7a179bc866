/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/queue.h"

#include <stddef.h>
#include <string.h>

#include "common/base/earlier.h"

void rp_queue_init (rp_queue_t *self)
{
    for (unsigned priority = 0; priority <= RP_PRIORITY_MAX; priority++)
        rp_list_init (&self->rings[priority]);
    memset (self->sizes, 0, sizeof self->sizes);
    self->used = 0;
}

void rp_queue_prepend (rp_queue_t *self, rp_client_queue_t *client_queue, int64_t since)
{
    rp_list_t *ring = &self->rings[client_queue->priority];
    const rp_list_node_t *first = rp_list_first (ring);
    client_queue->since =
      first ? rp_earlier (since, RP_CONTAINER (first, rp_client_queue_t, node)->since) : since;
    rp_list_prepend (ring, &client_queue->node);
    self->sizes[client_queue->priority]++;
    self->used |= 1u << client_queue->priority;
}

/*  Returns the first client queue of the lowest ring of a set, which is not empty.  */
static rp_client_queue_t *s_lowest (const rp_queue_t *self, unsigned rings)
{
    const rp_list_t *ring = &self->rings[__builtin_ctz (rings)];
    return RP_CONTAINER (rp_list_first (ring), rp_client_queue_t, node);
}

static uint64_t s_class (const rp_client_queue_t *client_queue, int64_t now, uint64_t age_step)
{
    uint64_t age = (uint64_t) (now - client_queue->since) / (age_step * 1000);
    uint64_t class = client_queue->priority + age;
    return class < RP_PRIORITY_MAX ? class : RP_PRIORITY_MAX;
}

rp_client_queue_t *rp_queue_choose (const rp_queue_t *self, int64_t now, uint64_t age_step)
{
    unsigned rings = self->used & ~RP_QUEUE_MARKS;
    rp_client_queue_t *next = s_lowest (self, rings);
    uint64_t highest = s_class (next, now, age_step);
    while (rings &= rings - 1) {
        rp_client_queue_t *other = s_lowest (self, rings);
        uint64_t class = s_class (other, now, age_step);
        if (class < highest || (class == highest && other->since > next->since))
            continue;
        next = other;
        highest = class;
    }
    return next;
}

rp_client_queue_t *rp_queue_first (const rp_queue_t *self)
{
    return rp_queue_is_empty (self) ? NULL : s_lowest (self, self->used);
}

rp_client_queue_t *rp_queue_after (const rp_queue_t *self, const rp_client_queue_t *client_queue)
{
    const rp_list_node_t *node =
      rp_list_next (&self->rings[client_queue->priority], &client_queue->node);
    if (node)
        return RP_CONTAINER (node, rp_client_queue_t, node);
    unsigned rings = self->used & ~RP_QUEUE_MARKS & ~((2u << client_queue->priority) - 1);
    return rings ? s_lowest (self, rings) : NULL;
}
