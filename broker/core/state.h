/*  The core's own state, which the files of the core share and nothing else sees.

    SPDX-License-Identifier: MPL-2.0

    References:

        client ──< requests >── service ──< workers
           │          │            │           │
           └──< conversations ─────┴───────────┘

    Every item with a time limit is in a heap of timers (requests have their own) from its birth to
    its end, so that setting a timer can never fail. A request is in exactly one list: its client
    queue, its conversation's line, its worker's pinned line or line of copies, or its worker's running
    list; rp_request_set_state says which. A client queue is in its service's queue exactly while a
    request waits in it.
*/

#ifndef RP_STATE_H
#define RP_STATE_H

#include "broker/core/dispatch.h"
#include "broker/core/queue.h"
#include "broker/core/terms.h"
#include "broker/core/trace_log.h"
#include "common/base/heap.h"
#include "common/base/index.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/limits.h"

/*  The time of a timer that is not set.  */
#define RP_NEVER INT64_MAX

/*  How often figures and arrivals are looked at.  */
#define RP_REFRESH_US INT64_C (5000000)

typedef enum { RP_TIMER_SESSION, RP_TIMER_SERVICE, RP_TIMER_CONVERSATION } rp_timer_kind_t;

typedef struct {
    rp_heap_node_t node;
    rp_timer_kind_t kind;
} rp_timer_t;

typedef struct rp_principal rp_principal_t;
typedef struct rp_session rp_session_t;
typedef struct rp_service rp_service_t;
typedef struct rp_request rp_request_t;
typedef struct rp_request_stream rp_request_stream_t;
typedef struct rp_hedging rp_hedging_t;
typedef struct rp_dispatch_conversation rp_dispatch_conversation_t;

/*  Whom sessions belong to. It outlives its sessions, so that one that comes back at once has only
    what is left of its rate.  */
struct rp_principal {
    rp_pooled_t pooled;
    uint64_t hash;
    rp_quota_t quota; /* UINT64_MAX: no limit */
    uint32_t sessions;
    uint32_t workers; /* how many of the sessions */
    uint64_t open;    /* requests, while there are rules */
    uint64_t open_bytes;
    int64_t pause; /* between two requests at the rate, ns; 0: no limit */
    int64_t paid;  /* the time up to which its requests have used the rate, ns */
    uint64_t denied;
    uint64_t over_quota;
    char name[RP_PRINCIPAL_MAX + 1];
};

/*  How many services a client's permission to call is remembered for.  */
#define RP_ACL_SERVICES 4u
/*  How many denials are remembered, so that each is in the log once.  */
#define RP_ACL_DENIALS 256u

typedef enum { RP_ROLE_NONE, RP_ROLE_CLIENT, RP_ROLE_WORKER, RP_ROLE_COUNT } rp_role_t;

/*  The number of gaps between HEARTBEATs from which the heartbeat interval is learned. A gap that
    is too long by chance, or because the broker stood still, counts until this many more have
    come.  */
#define RP_SESSION_GAPS 4u

/*  A trait beside RP_TRAIT_…, which the core sets: there are rules. It is a trait because a request
    looks at some of the others anyway.  */
#define RP_TRAIT_RULED 0x80u
/*  Likewise, of a client: what its requests take is measured, since there are weights, or terms that estimate
    how long a request waits. It has the bit of a trait that only workers have.  */
#define RP_TRAIT_MEASURED RP_TRAIT_BUSY_MUTE
/*  Likewise, of a client: it has requests for all workers open, whose ids no other request of it may have.  */
#define RP_TRAIT_ASKS 0x100u

struct rp_session {
    rp_pooled_t pooled;
    rp_timer_t timer;
    rp_list_node_t ending_node; /* in self->ending, if it ends at the next tick */
    const char *ending;         /* why the session is to end at the next tick */
    bool abort;                 /* abort its connection then */
    /*  the broker cut it off, so its client may still wait for replies  */
    bool cut;
    bool draining;
    bool barred; /* a worker that may not serve any more */
    rp_role_t role;
    rp_principal_t *principal;
    uint8_t probes_left;
    uint8_t weight;   /* client: what its turns are worth, where weights hold */
    bool slow;        /* it announced a longer interval */
    uint16_t traits;  /* RP_TRAIT_…, with those of the core's own */
    uint32_t agreed;  /* the interval in WELCOME, ms */
    int64_t interval; /* of the broker's heartbeats to it */
    int64_t heard;
    int64_t said;
    int64_t probe_at;
    int64_t joined;
    /*  of a client: those that it opened; of a worker: those that it holds  */
    rp_list_t conversations;

    rp_list_t requests; /* client: its open ones */
    /*  client: open requests by id; one index per client, so that a client with very many slows no
        other  */
    rp_index_t by_id;
    /*  client: for one service and priority; further client queues come from the pool  */
    rp_client_queue_t client_queue;
    uint32_t open;
    uint64_t open_bytes;         /* bodies, and RP_REQUEST_COST for each request */
    uint32_t conversation_count; /* client */
    /*  client: handles of services that the rules in force allow it to call, by their slots  */
    uint64_t may_call[RP_ACL_SERVICES];

    rp_service_t *service; /* worker, as all members from here to replies */
    rp_list_node_t service_node;
    rp_list_t running; /* running and abandoned, oldest first */
    rp_list_t pinned;  /* requests of its conversations that wait for room */
    union {
        rp_list_t copies; /* copies that wait for room */
        rp_list_t asks;   /* client: its requests for all workers that are open (ask.h) */
    };
    rp_list_node_t offered_node; /* in its service's offered: room that copies leave to the queue */
    bool wanted; /* there may be something in pinned or copies: looked at first, before both */
    bool asked;  /* … in copies: it counts in its service's asked */
    bool copied; /* of copies and the queue, a copy had its latest place: the next is the queue's */
    rp_heap_node_t room_node;
    uint32_t window;
    uint32_t held;
    uint32_t work_us; /* time that a request takes there; 0: not known */
    uint32_t abandoned;
    uint32_t attempt_limit; /* ms, 0: none */
    uint16_t reads;         /* flags of REQUEST that it knows */
    /*  it may give back, at any time, a request that it did not begin: so the core keeps all
        payloads  */
    bool declines;
    /*  it has not answered yet, or has given a request back since: so the core keeps all
        payloads  */
    bool unproven;
    uint64_t replies;

    int64_t patience; /* how long it may be silent */
    int64_t beat;     /* LEARN: time of the latest HEARTBEAT */
    int64_t freed;    /* when the core last took a delivery from it that it had not answered */
    uint32_t gaps[RP_SESSION_GAPS]; /* LEARN: the gaps between the latest HEARTBEATs, us */
    uint8_t gap;                    /* index of the oldest gap */
    char name[RP_PEER_NAME_MAX + 1];
};

struct rp_service {
    rp_pooled_t pooled;
    rp_timer_t timer; /* set while it has no workers, until its linger has ended */
    rp_list_node_t dirty_node;
    bool dirty;
    uint64_t hash;
    rp_queue_t queue;        /* client queues in which requests wait */
    const rp_terms_t *terms; /* NULL: none */
    uint64_t most;           /* requests that may wait */
    int64_t paid;            /* the time up to which starts have used the rate of the terms, ns */
    int64_t pace_since;   /* there have been waiting requests at each start since then; 0: none */
    uint32_t pace_starts; /* since then */
    uint32_t gap_us;      /* between two starts while requests wait; 0: not known */
    uint32_t work_us;     /* where work is measured: what a request takes; 0: not known */
    uint32_t
      unit_us; /* the same as it was at the latest refresh, the unit of weights; 1: not known */
    rp_list_t workers;
    rp_heap_t room;    /* workers with room that take new work, by turn */
    rp_list_t offered; /* workers with room that copies wait for, since it is the queue's turn */
    uint32_t asked;    /* workers for which copies may wait */
    bool copied;       /* as of a worker, of all places that its terms let it give */
    uint32_t worker_count;
    uint64_t conversations;
    uint64_t waiting;
    uint64_t untimed; /* how many of the waiting requests are untimed */
    uint64_t waiting_bytes;
    uint64_t running;
    uint64_t requests;
    uint64_t ended;
    uint64_t failed;
    int64_t linger_until; /* without workers: requests wait for one until then */
    rp_figures_t *figures;
    rp_hedging_t *hedging; /* owned; NULL: no request asked for it so far */
    int64_t counted;       /* when worker_count changed last */
    int64_t waits_since; /* since when there have been waiting requests at each refresh; 0: none */
    struct {
        int64_t at;
        uint64_t requests;
        uint64_t failed;
    } newer, older; /* at the latest refresh, and at the one before */
    int64_t made;   /* when it appeared */
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1];
};

/*  name, waits (counted in queues)

        QUEUED      in its client queue
        HELD        behind another request of its conversation
        PINNED      the one worker that it is for, its conversation's or a copy's, has no room
        RUNNING     with a worker
        ABANDONED   ended for the client, but still with a worker
*/
#define RP_REQUEST_STATE_MAP(X)                                                                    \
    X (NEW, false)                                                                                 \
    X (QUEUED, true)                                                                               \
    X (HELD, true)                                                                                 \
    X (PINNED, true)                                                                               \
    X (RUNNING, false)                                                                             \
    X (ABANDONED, false)                                                                           \
    X (DONE, false)

typedef enum {
#define RP_REQUEST_STATE_ENUM(name, waits) RP_REQUEST_##name,
    RP_REQUEST_STATE_MAP (RP_REQUEST_STATE_ENUM)
#undef RP_REQUEST_STATE_ENUM
      RP_REQUEST_STATE_COUNT
} rp_request_state_t;

/*  There may be a million requests, so no member holds what follows from another
    (tests/unit/test_dispatch_memory.c).  */
struct rp_request {
    rp_pooled_t pooled; /* its handle is the token of the latest delivery */
    rp_heap_node_t due; /* in self->due from birth to end */
    uint16_t flags;
    unsigned char attempt : 4;
    unsigned char attempts : 4;
    unsigned char state : 3; /* rp_request_state_t */
    bool untimed : 1;        /* its time counts only while it waits (RP_TRAIT_UNTIMED) */
    bool answered : 1;       /* it has its final status */
    bool orphaned : 1;       /* its conversation ended while a worker had it */
    bool begun : 1;          /* its client has seen part of the reply, or a GRANT of its worker */
    rp_list_node_t node;
    rp_list_node_t client_node;
    union {
        rp_client_queue_t *client_queue; /* until the final status; leads to client and service */
        rp_service_t *service;           /* after the final status */
    };
    rp_session_t *worker; /* RUNNING, ABANDONED */
    rp_dispatch_conversation_t *conversation;
    rp_payload_t *payload;       /* NULL while the only copy is on its way */
    rp_request_stream_t *stream; /* if one of its bodies comes in parts */
    uint64_t client_id;
    int64_t accepted; /* untimed: moved on by the time for which workers had the request */
    int64_t dispatched;
    uint32_t time;       /* ms from accepted until the deadline */
    uint32_t wait : 27;  /* ms from accepted for which it may wait for a worker to appear */
    uint32_t waited : 3; /* rp_wait_t: why it waits, or waited before its latest delivery */
    uint32_t noted : 1;  /* there is a note about it */
    uint32_t barred : 1; /* no rule allows another delivery of a request of a trusted client */
    uint32_t hedged : 1; /* there is a hedge of it (hedge.h) */
    uint32_t copy : 1;   /* it is for one worker only (copy.h) */
    uint32_t bytes;
    uint32_t excluded; /* mark of the worker that lost it last */
};

struct rp_dispatch_conversation {
    rp_pooled_t pooled; /* its handle is the conversation's number at the worker */
    rp_timer_t timer;   /* idle limit; not set while a request is open */
    rp_list_node_t client_node;
    rp_list_node_t worker_node; /* while worker != NULL */
    rp_session_t *client;
    rp_session_t *worker;
    rp_service_t *service;
    rp_request_t *current; /* the request that is queued, pinned, running or abandoned */
    rp_list_t line;        /* the requests behind current */
    uint64_t key;
    uint64_t hash;
    bool established; /* a worker has answered */
};

struct rp_dispatch {
    rp_limits_t limits;
    uint64_t seed;
    const rp_rules_t *rules; /* NULL: security is off */
    bool weighed;            /* the rules state weights */
    bool measured;           /* clients have RP_TRAIT_MEASURED */
    rp_terms_list_t terms;   /* not owned */

    int64_t now;           /* time of the event or tick in hand */
    rp_actions_t *actions; /* actions of the event or tick in hand */

    rp_pool_t sessions;
    rp_pool_t services;
    rp_pool_t requests;
    rp_pool_t conversations;
    rp_pool_t client_queues;
    rp_pool_t streams;
    rp_pool_t principals;
    rp_pool_t hedges;
    rp_pool_t asks;
    rp_table_t services_by_name;
    rp_table_t conversations_by_key;
    rp_table_t client_queues_by_user; /* client, service and priority */
    rp_table_t principals_by_name;
    rp_table_t hedges_by_slot; /* of both their deliveries */
    rp_table_t asks_by_id;
    uint64_t denials[RP_ACL_DENIALS]; /* hashes of denials that are in the log */
    rp_heap_t timers;
    /*  deadlines of requests; a heap of their own saves each request a timer kind  */
    rp_heap_t due;
    rp_list_t dirty;  /* services to be scheduled before this call returns */
    rp_list_t ending; /* sessions to be ended by the next tick */

    rp_stats_t stats;
    rp_figures_set_t figures;
    rp_trace_log_t trace;
    int64_t refreshed; /* when figures and arrivals were last looked at */
    uint32_t clients;
    uint32_t workers;
    uint64_t uses; /* counts dispatches, to order workers by last use */

    rp_head_t changed; /* a reply that differs from what its worker or the core said */
    uint64_t newest;   /* handle of the request that the event in hand began; 0: none */
    bool history;
    bool exports;
    bool jobs;
    bool replays;
    bool surveys;
    bool draining;
    bool stopped;
    int64_t drained; /* when the drain began */
    int64_t asked;   /* … and when a request was last refused because of it */
    int64_t rejoin_until;
    int64_t expected; /* when the next tick was asked for */
    int64_t grace_until;

    char instance[17];
    uint8_t welcome[256]; /* headers of WELCOME */
    size_t welcome_size;
};

/*  A timer is begun once (not set), set any number of times, and ended once.  */
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

/*  Returns a mark of 32 bits that tells workers apart. Sessions in the same slot never share one;
    others so rarely that a mistake, which costs one turn, does not matter.  */
static inline uint32_t rp_session_mark (const rp_session_t *session)
{
    return session->pooled.generation * 0x9e3779b1u + session->pooled.slot;
}

/*  The client of a request; NULL once the request has its final status.  */
static inline rp_session_t *rp_request_client (const rp_request_t *request)
{
    return request->answered ? NULL : request->client_queue->client;
}

static inline rp_service_t *rp_request_service (const rp_request_t *request)
{
    return request->answered ? request->service : request->client_queue->service;
}

/*  The deadline of a request. An untimed request has none while a worker has it: a worker that
    lives may take as long as it likes.  */
static inline int64_t rp_request_deadline (const rp_request_t *request)
{
    if (request->untimed && request->state == RP_REQUEST_RUNNING)
        return RP_NEVER;
    return request->accepted + (int64_t) request->time * 1000;
}

/*  It begins to wait for this reason, unless it waits already.  */
static inline void rp_request_set_wait (rp_request_t *request, rp_wait_t why)
{
    if (request->waited == RP_WAIT_NOT)
        request->waited = (unsigned) why & 7u;
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
