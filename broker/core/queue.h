/*  The queue of a service: whose turn it is among the client queues in which requests wait.

    SPDX-License-Identifier: MPL-2.0

    Internal to the core. A queue has a ring of client queues for each priority, in which they take turns:
    each turn takes one request, and puts the client queue behind the others of its ring; so a client that
    floods a service delays only itself. Which ring is next depends on how long its first client queue has
    been without a turn: its class is its priority, and one more for each age_step. The highest class is
    next; of equal ones, that which has waited longest (docs/adr/0040).

    A ring is in the order in which its client queues began to wait for their turns, so its first one has
    the highest class of it, and nothing has to be moved when time passes. With one priority this is a
    plain ring.

    Cost: everything O(1); the number of priorities is a constant.
*/

#ifndef RP_QUEUE_H
#define RP_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/wire/limits.h"

typedef struct rp_session rp_session_t;
typedef struct rp_service rp_service_t;

/*  A client queue. It exists for each client, service and priority with open requests, waiting or not,
    so that an accepted request can always be queued again.  */
typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in the service's queue while requests is not empty */
    rp_list_t requests;  /* QUEUED, next first */
    rp_session_t *client;
    rp_service_t *service;
    int64_t since;    /* in the service's queue: when it began to wait for its turn */
    uint64_t credit;  /* in the service's queue, where weights hold: work that it may start, us */
    uint32_t open;    /* requests of the client for the service with the priority */
    uint32_t waiting; /* how many are in requests */
    uint32_t work_us; /* where work is measured: what one of them takes; 0: not known */
    uint8_t priority; /* 0 to RP_PRIORITY_MAX */
} rp_client_queue_t;

typedef struct {
    rp_list_t rings[RP_PRIORITY_MAX + 1];
    uint32_t sizes[RP_PRIORITY_MAX + 1]; /* client queues in each ring */
    unsigned used; /* a bit for each ring that is not empty, and RP_QUEUE_MARKS */
} rp_queue_t;

/*  Nothing may pass by the queue, not even while it is empty: terms of its service, or weights of clients,
    have a say in which request starts, and when.  */
#define RP_QUEUE_SPECIAL (1u << 31)
/*  Copies wait for workers of its service, whose places they and the queue get in turn (copy.h).  */
#define RP_QUEUE_SHARED (1u << 30)
#define RP_QUEUE_MARKS (RP_QUEUE_SPECIAL | RP_QUEUE_SHARED)

void rp_queue_init (rp_queue_t *self);

static inline bool rp_queue_is_empty (const rp_queue_t *self)
{
    return (self->used & ~RP_QUEUE_MARKS) == 0;
}

/*  True if a request that can start need not wait for a turn. (No copy waits for a worker that has room.)  */
static inline bool rp_queue_is_open (const rp_queue_t *self)
{
    return (self->used & ~RP_QUEUE_SHARED) == 0;
}

/*  True if its client queues do not simply take turns.  */
static inline bool rp_queue_is_special (const rp_queue_t *self)
{
    return (self->used & RP_QUEUE_MARKS) != 0;
}

static inline bool rp_queue_is_shared (const rp_queue_t *self)
{
    return (self->used & RP_QUEUE_SHARED) != 0;
}

static inline void rp_queue_set_special (rp_queue_t *self, bool special)
{
    self->used = (self->used & ~RP_QUEUE_SPECIAL) | (special ? RP_QUEUE_SPECIAL : 0);
}

static inline void rp_queue_set_shared (rp_queue_t *self, bool shared)
{
    self->used = (self->used & ~RP_QUEUE_SHARED) | (shared ? RP_QUEUE_SHARED : 0);
}

/*  Puts a client queue behind the others of its priority, to wait from now on; or before them, to have
    waited since then, or as long as they.  */
static inline void rp_queue_append (rp_queue_t *self, rp_client_queue_t *client_queue, int64_t now)
{
    client_queue->since = now;
    rp_list_append (&self->rings[client_queue->priority], &client_queue->node);
    self->sizes[client_queue->priority]++;
    self->used |= 1u << client_queue->priority;
}

void rp_queue_prepend (rp_queue_t *self, rp_client_queue_t *client_queue, int64_t since);

static inline void rp_queue_remove (rp_queue_t *self, rp_client_queue_t *client_queue)
{
    rp_list_remove (&client_queue->node);
    if (--self->sizes[client_queue->priority] == 0)
        self->used &= ~(1u << client_queue->priority);
}

/*  The part of rp_queue_next for several priorities.  */
rp_client_queue_t *rp_queue_choose (const rp_queue_t *self, int64_t now, uint64_t age_step);

/*  Returns the client queue whose turn it is; the queue is not empty. age_step: ms.  */
static inline rp_client_queue_t *rp_queue_next (
  const rp_queue_t *self, int64_t now, uint64_t age_step)
{
    unsigned rings = self->used & ~RP_QUEUE_MARKS;
    if (rings & (rings - 1))
        return rp_queue_choose (self, now, age_step);
    return RP_CONTAINER (self->rings[__builtin_ctz (rings)].ring.next, rp_client_queue_t, node);
}

/*  Walks over all client queues: the first (NULL: none), the one behind another.  */
rp_client_queue_t *rp_queue_first (const rp_queue_t *self);
rp_client_queue_t *rp_queue_after (const rp_queue_t *self, const rp_client_queue_t *client_queue);

#endif
