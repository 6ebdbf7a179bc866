/*  A world around the broker's core, whose histories are known to be good, or known to be bad.

    SPDX-License-Identifier: MPL-2.0

    Clients submit, cancel and hold conversations, workers work, both come and go, and the broker is
    killed and started again. Time is simulated, chance comes from a seed, and the core is the real
    one. Every party writes a history. A bug may be put between the core and the rest (bugs.c): it
    loses, doubles, swaps or holds back what passes, as a core with that bug would.
*/

#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/core/dispatch.h"
#include "broker/replay/replays.h"
#include "broker/store/history.h"

#define WORLD_PEERS 12u
#define WORLD_CLIENTS 5u
#define WORLD_REQUESTS 1500u
#define WORLD_IDS (WORLD_REQUESTS * 4u)
#define WORLD_TASKS 16384u
#define WORLD_PRINCIPALS 2u
#define WORLD_SERVICES 2u
/*  Idempotency keys in use at a time, and how many requests later there are others.  */
#define WORLD_KEYS 3u
#define WORLD_KEYS_EVERY 40u

/*  The payload of a request or a reply.  */
struct rp_payload {
    struct rp_payload *next; /* list of all payloads, which are freed at the end */
    unsigned request;
    char body[32];
};

typedef struct {
    bool worker;
    bool dead; /* a client that was killed; it does not come back */
    char name[24];
    const char *service;
    const char *principal;
    rp_session_id_t session; /* 0: none */
    unsigned life;           /* goes up when it loses a session */
    unsigned talk;           /* number of its latest conversation */
    uint64_t key;            /* of that conversation; 0: none */
    unsigned seq;
    unsigned in_talk; /* open requests of that conversation */
    bool established;
    int64_t there; /* when its latest message arrives; `here`: when the latest one for it does */
    int64_t here;
} world_peer_t;

typedef struct {
    unsigned client;
    unsigned attempts; /* attempts left */
    unsigned talk;
    uint64_t key;
    uint64_t id;      /* the latest id */
    uint8_t priority; /* as in a head */
    int64_t deadline;
    char idempotency[16]; /* its idempotency key; "": none */
    bool other;           /* with another body than others with the key */
    bool open;
    bool stale; /* its conversation is over */
    const char *service;
    rp_token_t token; /* of the latest delivery */
    rp_session_id_t worker;
} world_request_t;

typedef struct {
    unsigned worker;
    unsigned life;
    unsigned request;
    rp_token_t token;
    bool over;
} world_task_t;

typedef enum {
    WORLD_SUBMIT,
    WORLD_CANCEL,
    WORLD_FAULT,
    WORLD_JOIN,
    WORLD_TO_BROKER,
    WORLD_TO_CLIENT,
    WORLD_TO_WORKER,
    WORLD_DONE,
    WORLD_GIVE_UP,
    WORLD_ACTION, /* an action that a bug held back */
} world_kind_t;

typedef struct {
    int64_t time;
    uint64_t order;
    world_kind_t kind;
    unsigned peer;
    unsigned number; /* of the request, or the task */
    unsigned instance;
    rp_session_id_t session;
    rp_head_t head;
    rp_payload_t *payload;
    rp_action_t action;
} world_event_t;

typedef struct {
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_limits_t limits;
    rp_replays_t *replays;
    rp_session_id_t keyed; /* the session of the executions for keys */
    rp_actions_t wanted;   /* of the replays, until their turn */
    rp_actions_t told;     /* the same of an answer, at once */
    rp_history_t history;
    unsigned instance;
    FILE *peers_file;
    const char *directory;
    uint64_t random;
    int64_t now;
    world_event_t *queue; /* a heap */
    size_t count;
    size_t capacity;
    uint64_t order;
    world_peer_t peers[WORLD_PEERS];
    world_request_t requests[WORLD_REQUESTS];
    unsigned request_count;
    unsigned ids[WORLD_IDS]; /* number of the request that has an id */
    unsigned id_count;
    world_task_t tasks[WORLD_TASKS];
    unsigned task_count;
    unsigned renamed;
    unsigned sender;  /* the peer whose event is handled */
    bool ruled;       /* rules are in force and change, and keys are revoked */
    bool prioritised; /* requests have priorities of all kinds */
    rp_rules_t *rules;
    rp_payload_t *payloads;
    int bug; /* number of the bug; -1: none */
    unsigned bites;
    world_event_t held; /* what a bug put aside */
    bool holds;
    rp_payload_t *kept;
} world_t;

uint64_t world_draw (world_t *self, uint64_t below);
/*  Adds an event that happens after a pause; world_next takes the next event.  */
void world_later (world_t *self, int64_t pause, const world_event_t *event);
world_event_t world_next (world_t *self);
void world_do (world_t *self, const rp_action_t *action);
/*  Returns the peer that has this session, or NULL.  */
world_peer_t *world_peer (world_t *self, rp_session_id_t session);

/*  ---- Bugs ----------------------------------------------------------------------------------- */

/*  Returns the number of a bug by its name, or -1; the name by number, or NULL after the last.  */
int world_bug (const char *name);
const char *world_bug_name (int bug);

/*  Changes an event for the core, or an action from it, as the bug does. False: it goes no
    further.  */
bool world_bug_event (world_t *self, rp_event_t *event, rp_head_t *head);
bool world_bug_action (world_t *self, rp_action_t *action);
/*  Changes a request with an idempotency key for the replays, or what they tell a client.  */
void world_bug_keyed (world_t *self, rp_replays_request_t *request);
void world_bug_told (world_t *self, rp_action_t *action);
void world_bug_stats (world_t *self, rp_stats_t *stats);
/*  Returns how long a step of ageing is for the core, ms.  */
uint64_t world_bug_age_step (world_t *self, uint64_t age_step);
/*  Returns what the core takes for allowed, which a bug may change.  */
bool world_bug_allows (world_t *self, const char *rule, bool allowed);

#endif
