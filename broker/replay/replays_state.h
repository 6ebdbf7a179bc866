/*  The state of replays, which the files of broker/replay share and nothing else sees.

    SPDX-License-Identifier: MPL-2.0

    References: an execution → its owner; a request that waits → its execution, which leads to all that wait. An
    owner leads to its results, the oldest first.

    replay_memory.c     who takes how much, and what is forgotten for it
    replays.c           the way of a request

    Thread-safety: none.
*/

#ifndef RP_REPLAYS_STATE_H
#define RP_REPLAYS_STATE_H

#include "broker/replay/replays.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/limits.h"

/*  A principal that has anything here.  */
typedef struct {
    rp_pooled_t pooled;
    rp_heap_node_t place; /* in self->largest, while it has results */
    rp_list_t results;    /* the oldest first */
    uint64_t hash;
    uint64_t bytes;
    uint64_t waiting;       /* its requests that wait */
    uint64_t waiting_bytes; /* of their bodies and headers */
    uint32_t executions;    /* with those that have ended */
    char name[RP_PRINCIPAL_MAX + 1];
} rp_replay_owner_t;

/*  An execution, and its result.  */
typedef struct {
    rp_pooled_t pooled;   /* its handle is the request's id in the core */
    rp_list_node_t owned; /* a result: in its owner's */
    rp_list_node_t aged;  /* a result: in self->results */
    rp_list_t waiters;
    rp_replay_owner_t *owner;
    rp_payload_t *result; /* NULL: it has not ended */
    char *name;           /* service, then key; one block of malloc */
    uint64_t hash;
    uint64_t bytes; /* that it counts for */
    int64_t ended;
    uint64_t wanted; /* a result: the turn in which it was last; 0: never */
    uint32_t queue_us;
    uint32_t work_us;
    uint16_t flags;
    uint8_t status;
    uint8_t attempt;
    uint8_t service_size;
    uint8_t key_size;
    bool withdrawn; /* nobody waits, and its key is forgotten */
    uint8_t digest[RP_REPLAYS_DIGEST];
} rp_replay_t;

/*  A session with requests that wait.  */
typedef struct {
    rp_pooled_t pooled;
    rp_session_id_t session;
    uint64_t waiting;
} rp_replay_client_t;

/*  A request that waits for an execution.  */
typedef struct {
    rp_pooled_t pooled;
    rp_heap_node_t due;
    rp_list_node_t node;
    rp_replay_t *replay;
    rp_replay_client_t *client;
    uint64_t request;
    uint64_t bytes;
    bool first; /* the execution is its own */
} rp_replay_waiter_t;

/*  What each takes, with its places in tables and lists.  */
#define RP_REPLAY_COST (sizeof (rp_replay_t) + 64u)
#define RP_REPLAY_WAITER_COST (sizeof (rp_replay_waiter_t) + 48u)
#define RP_REPLAY_RESULT_COST 192u

struct rp_replays {
    rp_replays_options_t options;
    rp_pool_t owners;
    rp_pool_t replays;
    rp_pool_t waiters;
    rp_pool_t clients;
    rp_table_t owners_by_name;
    rp_table_t replays_by_key;
    rp_table_t waiters_by_request;
    rp_table_t clients_by_session;
    rp_heap_t largest; /* owners with results, the one that takes the most first */
    rp_heap_t due;     /* waiters, by deadline */
    rp_list_t results; /* the oldest first */
    rp_replays_figures_t figures;
    uint64_t turn; /* from 2 on */
    int64_t now;
    rp_actions_t *actions;
};

/*  Returns the owner, made if there is none. NULL when out of memory.  */
rp_replay_owner_t *rp_replay_owner (rp_replays_t *self, const char *principal);

/*  Frees an owner that has nothing here.  */
void rp_replay_leave_owner (rp_replays_t *self, rp_replay_owner_t *owner);

/*  Makes room for so many more bytes of an owner: evicts results of the owner that takes the most, and then of the
    next. False if no owner takes more than this one would.  */
bool rp_replay_make_room (rp_replays_t *self, rp_replay_owner_t *owner, uint64_t bytes);

/*  The execution takes more, or less.  */
void rp_replay_grow (rp_replays_t *self, rp_replay_t *replay, uint64_t bytes);
void rp_replay_shrink (rp_replays_t *self, rp_replay_t *replay, uint64_t bytes);

rp_replay_t *rp_replay_find (const rp_replays_t *self,
  const rp_replay_owner_t *owner,
  const rp_head_t *head,
  const char *key,
  uint8_t key_size);

/*  Makes an execution, under its key. NULL when out of memory.  */
rp_replay_t *rp_replay_new (rp_replays_t *self,
  rp_replay_owner_t *owner,
  const rp_head_t *head,
  const char *key,
  uint8_t key_size);

/*  Takes the execution's key away: the next request with it begins another.  */
void rp_replay_forget_key (rp_replays_t *self, rp_replay_t *replay);

/*  Remembers a result, unless there is no room even for it alone, and forgets others for it, unless one of them is
    wanted, and not sent yet: then rp_replay_tidy does.  */
void rp_replay_remember (
  rp_replays_t *self, rp_replay_t *replay, rp_payload_t *result, uint64_t bytes);

/*  Frees an execution for which nobody waits, with its result.  */
void rp_replay_free (rp_replays_t *self, rp_replay_t *replay);

/*  Forgets results for which there is no room, and those whose time has come. Returns when the next one's has.  */
int64_t rp_replay_tidy (rp_replays_t *self);

#endif
