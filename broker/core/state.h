/*  The core's own state: what its parts share, and nobody else sees.

    SPDX-License-Identifier: MPL-2.0

    Who points to whom:

        client ──< requests >── service ──< workers
           │          │            │           │
           └──< conversations ─────┴───────────┘

    Every item with a time limit is in a heap of timers (requests in one of their own) from its
    birth to its end, so that setting a timer can never fail. A request is in exactly one list: its
    client's client queue in the service, its conversation's line, its worker's pinned line, or its
    worker's running list; rp_request_set_state says which. A client queue is in its service's queue
    exactly while a request waits in it.
*/

#ifndef RP_STATE_H
#define RP_STATE_H

#include "broker/core/dispatch.h"
#include "common/base/heap.h"
#include "common/base/index.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/limits.h"

/*  A timer that is not set.  */
#define RP_NEVER INT64_MAX

typedef enum { RP_TIMER_SESSION, RP_TIMER_SERVICE, RP_TIMER_CONVERSATION } rp_timer_kind_t;

typedef struct {
    rp_heap_node_t node;
    rp_timer_kind_t kind;
} rp_timer_t;

typedef struct rp_session rp_session_t;
typedef struct rp_service rp_service_t;
typedef struct rp_request rp_request_t;
typedef struct rp_dispatch_conversation rp_dispatch_conversation_t;

/*  A client's place in a service. There is one for each client and service with open requests,
    whether or not they wait, so that a request that was accepted can always be queued again.  */
typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in the service's queue while requests is not empty */
    rp_list_t requests;  /* QUEUED, next first */
    rp_session_t *client;
    rp_service_t *service;
    uint32_t open; /* requests of the client for the service */
} rp_client_queue_t;

typedef enum { RP_ROLE_NONE, RP_ROLE_CLIENT, RP_ROLE_WORKER, RP_ROLE_COUNT } rp_role_t;

/*  Gaps between HEARTBEATs from which an interval is learned. One that is late by chance, or the
    time for which the broker itself stood still, counts until so many more have come.  */
#define RP_SESSION_GAPS 4u

/*  A session.  */
struct rp_session {
    rp_pooled_t pooled;
    rp_timer_t timer;
    rp_list_node_t ending_node; /* in self->ending while ending != NULL */
    const char *ending;         /* why the session is to end at the next tick */
    bool abort;                 /* … and its connection with it */
    bool cut;                   /* … by the broker: whoever it is may still wait */
    bool draining;
    rp_role_t role;
    uint8_t probes_left;
    uint8_t traits;
    bool slow;        /* it announced a longer interval */
    uint32_t agreed;  /* the interval in WELCOME, ms */
    int64_t interval; /* at which it is told that the broker lives */
    int64_t heard;
    int64_t said;
    int64_t probe_at;
    int64_t joined;
    rp_list_t conversations; /* of a client: those it opened; of a worker: those it holds */

    rp_list_t requests; /* client: open ones */
    rp_index_t
      by_id; /* … by its ids; of its own, so that a client with very many slows nobody else */
    rp_client_queue_t client_queue; /* client: of one service; those of others come from the pool */
    uint32_t open;
    uint64_t open_bytes;         /* … with what each takes beside its body */
    uint32_t conversation_count; /* client: conversations */

    rp_service_t *service; /* worker, from here on */
    rp_list_node_t service_node;
    rp_list_t running; /* running and abandoned, oldest first */
    rp_list_t pinned;  /* of its conversations, waiting for room */
    rp_heap_node_t room_node;
    uint32_t window;
    uint32_t held;
    uint32_t work_us; /* that a request takes there; 0: not known */
    uint32_t abandoned;
    uint32_t attempt_limit; /* ms, 0: none */
    bool
      declines; /* it may give back what it did not begin at any time, so all that it gets is kept */
    bool unproven; /* it has not answered yet, or gave something back since: what it gets is kept */
    uint64_t replies;

    int64_t patience; /* how long it may be silent */
    int64_t beat;     /* LEARN: its latest HEARTBEAT */
    int64_t freed;    /* when a delivery was last taken from it, without a word of its own */
    uint32_t gaps[RP_SESSION_GAPS]; /* LEARN: between its latest HEARTBEATs, us */
    uint8_t gap;                    /* the oldest of them */
    char name[RP_PEER_NAME_MAX + 1];
};

struct rp_service {
    rp_pooled_t pooled;
    rp_timer_t timer; /* set while it has no workers, until its linger has ended */
    rp_list_node_t dirty_node;
    bool dirty;
    uint64_t hash;
    rp_list_t queue; /* client queues in which requests wait, in the order of their turns */
    rp_list_t workers;
    rp_heap_t room; /* workers with room that take new work, in the order in which they get it */
    uint32_t worker_count;
    uint64_t conversations;
    uint64_t waiting;
    uint64_t untimed; /* of those that wait */
    uint64_t waiting_bytes;
    uint64_t running;
    uint64_t requests;
    uint64_t ended;
    uint64_t failed;
    int64_t linger_until; /* while it has no workers: until then requests wait for one */
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1];
};

/*  name, waits (counted in queues)  */
#define RP_REQUEST_STATE_MAP(X)                                                                    \
    X (NEW, false)                                                                                 \
    X (QUEUED,                                                                                     \
      true)        /* in its client queue                                                       */ \
    X (HELD, true) /* behind another request of its conversation                        */         \
    X (PINNED, true)     /* its conversation's worker has no room                             */   \
    X (RUNNING, false)   /* with a worker                                                     */   \
    X (ABANDONED, false) /* ended for the client, but still with a worker                     */   \
    X (DONE, false)

typedef enum {
#define RP_REQUEST_STATE_ENUM(name, waits) RP_REQUEST_##name,
    RP_REQUEST_STATE_MAP (RP_REQUEST_STATE_ENUM)
#undef RP_REQUEST_STATE_ENUM
      RP_REQUEST_STATE_COUNT
} rp_request_state_t;

/*  There may be a million of these, so nothing stands here that can be told from something else
    (tests/unit/test_dispatch_memory.c).  */
struct rp_request {
    rp_pooled_t pooled; /* its handle is the token of the latest delivery */
    rp_heap_node_t due; /* in self->due from birth to end */
    uint16_t flags;
    unsigned char attempt : 4;
    unsigned char attempts : 4;
    unsigned char state : 3; /* rp_request_state_t */
    bool untimed : 1;        /* its time counts while it waits only (RP_TRAIT_UNTIMED) */
    bool answered : 1;       /* it has its final status */
    bool orphaned : 1;       /* its conversation ended while a worker had it */
    bool streamed : 1;       /* its client has seen part of the reply */
    bool inlined : 1;        /* the first of parts has RP_FLAG_INLINE */
    rp_list_node_t node;
    rp_list_node_t client_node;
    union {
        rp_client_queue_t
          *client_queue;       /* until it has its final status: leads to client and service */
        rp_service_t *service; /* from then on */
    };
    rp_session_t *worker; /* RUNNING, ABANDONED */
    rp_dispatch_conversation_t *conversation;
    rp_payload_t *payload; /* NULL while the only copy is on its way */
    rp_payload_t *parts;   /* of the reply so far, joined; the client does not take parts */
    uint64_t client_id;
    int64_t accepted; /* of an untimed one: later by the time for which workers had it */
    int64_t dispatched;
    uint32_t time; /* ms from accepted until the deadline */
    uint32_t wait; /* ms it may wait for a worker to appear, from accepted on */
    uint32_t bytes;
    union {
        uint32_t excluded;    /* mark of the worker that lost it last */
        uint32_t parts_bytes; /* while parts != NULL */
    };
};

struct rp_dispatch_conversation {
    rp_pooled_t pooled; /* its handle is its number for the worker */
    rp_timer_t timer;   /* idle limit; not set while a request is open */
    rp_list_node_t client_node;
    rp_list_node_t worker_node; /* while worker != NULL */
    rp_session_t *client;
    rp_session_t *worker;
    rp_service_t *service;
    rp_request_t *current; /* the one that is queued, pinned, running or abandoned */
    rp_list_t line;        /* those behind it */
    uint64_t key;
    uint64_t hash;
    bool established; /* a worker answered */
};

struct rp_dispatch {
    rp_limits_t limits;
    uint64_t seed;

    int64_t now;           /* of the event or tick being handled */
    rp_actions_t *actions; /* likewise */

    rp_pool_t sessions;
    rp_pool_t services;
    rp_pool_t requests;
    rp_pool_t conversations;
    rp_pool_t client_queues;
    rp_table_t services_by_name;
    rp_table_t conversations_by_key;
    rp_table_t client_queues_by_pair; /* client and service */
    rp_heap_t timers;
    rp_heap_t due;    /* requests, likewise: a heap of their own spares each its kind */
    rp_list_t dirty;  /* services to be scheduled before this call returns */
    rp_list_t ending; /* sessions to be ended by the next tick */

    rp_stats_t stats;
    uint32_t clients;
    uint32_t workers;
    uint64_t uses; /* counts dispatches; orders workers by last use */

    uint64_t newest; /* handle of the request that the event at hand began; 0: none */
    bool history;
    bool draining;
    bool stopped;
    int64_t drain_until;
    int64_t rejoin_until;
    int64_t expected; /* when the next tick was asked for */
    int64_t grace_until;

    char instance[17];
    uint8_t welcome[256]; /* headers of WELCOME */
    size_t welcome_size;
};

/*  Timers: born unset, then set as often as one likes, then ended.  */
static inline bool rp_timer_begin (rp_dispatch_t *self, rp_timer_t *timer, rp_timer_kind_t kind)
{
    timer->kind = kind;
    rp_heap_node_init (&timer->node);
    return rp_heap_push (&self->timers, &timer->node, (uint64_t) RP_NEVER);
}

static inline void rp_timer_set (rp_dispatch_t *self, rp_timer_t *timer, int64_t when)
{
    rp_heap_update (&self->timers, &timer->node, (uint64_t) when);
}

static inline void rp_timer_end (rp_dispatch_t *self, rp_timer_t *timer)
{
    rp_heap_remove (&self->timers, &timer->node);
}

/*  Tells a worker from another in half of a handle. Never the same for two sessions with one
    number, and for others so rarely that a wrong guess, which costs one turn, does not matter.  */
static inline uint32_t rp_session_mark (const rp_session_t *session)
{
    return session->pooled.generation * 0x9e3779b1u + session->pooled.slot;
}

/*  Whose it is; NULL once it has its final status.  */
static inline rp_session_t *rp_request_client (const rp_request_t *request)
{
    return request->answered ? NULL : request->client_queue->client;
}

static inline rp_service_t *rp_request_service (const rp_request_t *request)
{
    return request->answered ? request->service : request->client_queue->service;
}

/*  An untimed one has none while a worker has it: whoever lives may take as long as it likes.  */
static inline int64_t rp_request_deadline (const rp_request_t *request)
{
    if (request->untimed && request->state == RP_REQUEST_RUNNING)
        return RP_NEVER;
    return request->accepted + (int64_t) request->time * 1000;
}

static inline void rp_request_set_due (rp_dispatch_t *self, rp_request_t *request, int64_t when)
{
    rp_heap_update (&self->due, &request->due, (uint64_t) when);
}

static inline rp_session_id_t rp_session_id (const rp_session_t *session)
{
    return (rp_session_id_t){rp_pool_handle (&session->pooled)};
}

#endif
