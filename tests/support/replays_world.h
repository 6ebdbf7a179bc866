/*  A world around broker/replay: the real core, clients, workers, and what clients are told.

    SPDX-License-Identifier: MPL-2.0

    Does what broker/server_replays.c does, without sockets or clocks. Nothing happens by itself: the test
    submits, answers tasks, and lets the clock go. A request's content is its number, from 1 on; its body, which
    the digest is of, another number. A reply's content is a number that the test chooses.

    There is one world at a time.
*/

#ifndef REPLAYS_WORLD_H
#define REPLAYS_WORLD_H

#include "broker/replay/replays.h"

#define REPLAYS_WORLD_START INT64_C (1000000000)
#define REPLAYS_WORLD_PEERS 8u

/*  A message: a request, or a reply.  */
struct rp_payload {
    uint64_t content;
    unsigned body;
    size_t bytes; /* that a reply takes */
    uint8_t headers[160];
    uint16_t headers_size;
};

typedef struct {
    rp_session_id_t session; /* 0: not there */
    char name[32];           /* of a client's principal, or a worker's service */
} replays_peer_t;

/*  A request that a worker has.  */
typedef struct {
    rp_token_t token;
    rp_session_id_t worker;
    uint64_t content; /* of the request that began the execution */
    unsigned attempt;
    uint32_t deadline_ms;
    bool cancelled;
} replays_task_t;

/*  What a client was told about a request.  */
typedef struct {
    rp_session_id_t session;
    uint64_t request; /* content */
    uint64_t execution;
    uint64_t content; /* 0: none */
    rp_status_t status;
    unsigned attempts;
    bool replayed;
    char text[96];
} replays_told_t;

typedef struct replays_world replays_world_t;

/*  Looks at what passes, and may change it. A function returns false to keep it back. All may be NULL.  */
typedef struct {
    bool (*submit) (replays_world_t *world, rp_replays_request_t *request);
    bool (*start) (replays_world_t *world, rp_action_t *action);
    void (*withdraw) (replays_world_t *world, uint64_t execution);
    bool (*bar) (replays_world_t *world);
    void (*task) (replays_world_t *world, const replays_task_t *task);
    void (*answer) (replays_world_t *world, rp_head_t *head, rp_payload_t **payload);
    bool (*told) (replays_world_t *world, replays_told_t *told);
} replays_hooks_t;

struct replays_world {
    rp_dispatch_t *core;
    rp_replays_t *replays;
    rp_limits_t limits;
    rp_session_id_t client;
    rp_session_id_t admitted;
    rp_actions_t acts; /* of the core */
    rp_actions_t wanted;
    rp_actions_t heard; /* of an answer */
    replays_peer_t clients[REPLAYS_WORLD_PEERS];
    replays_peer_t workers[REPLAYS_WORLD_PEERS];
    replays_task_t *tasks;
    size_t task_count;
    size_t task_capacity;
    replays_told_t *told;
    size_t told_count;
    size_t told_capacity;
    int64_t now;
    int64_t due; /* when the core or the replays want their next tick */
    uint64_t requests;
    size_t payloads; /* that exist */
    const rp_rules_t *rules;
    replays_hooks_t hooks;
};

/*  limits and rules may be changed before replays_world_begin.  */
void replays_world_init (replays_world_t *self);
void replays_world_begin (replays_world_t *self);
/*  Ends everything; every payload must have come back.  */
void replays_world_clear (replays_world_t *self);

/*  Returns its number.  */
unsigned replays_world_join_client (replays_world_t *self, const char *principal);
unsigned replays_world_join_worker (replays_world_t *self, const char *service, unsigned window);
/*  The peer's connection is lost.  */
void replays_world_lose_client (replays_world_t *self, unsigned client);
void replays_world_lose_worker (replays_world_t *self, unsigned worker);

typedef struct {
    const char *service;
    const char *key; /* NULL: an ordinary request */
    unsigned body;
    unsigned timeout_ms; /* 0: 1000 */
    unsigned attempts;   /* 0: 1 */
} replays_request_t;

/*  Returns the request's content.  */
uint64_t replays_world_submit (
  replays_world_t *self, unsigned client, const replays_request_t *request);
void replays_world_cancel (replays_world_t *self, unsigned client, uint64_t request);

/*  Answers a task, which is then gone. bytes: that the reply takes.  */
void replays_world_reply (
  replays_world_t *self, size_t task, rp_status_t status, uint64_t content, size_t bytes);

/*  Other rules are in force.  */
void replays_world_rules (replays_world_t *self, const rp_rules_t *rules);

/*  Has all that is due done.  */
void replays_world_turn (replays_world_t *self);
/*  Lets time pass, with a turn whenever one is due.  */
void replays_world_pass (replays_world_t *self, int64_t us);

rp_replays_figures_t replays_world_figures (const replays_world_t *self);

/*  What the client of a request was told; NULL if nothing.  */
const replays_told_t *replays_world_told (const replays_world_t *self, uint64_t request);

#endif
