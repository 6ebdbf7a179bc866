/*  A world around the broker's core, whose histories are known to be good, or known to be bad.

    SPDX-License-Identifier: MPL-2.0

    Clients submit, cancel and hold conversations, workers work, both come and go, the broker is
    killed and started again: all of it in a time of its own, from a seed, with the real core in the
    middle. Everybody writes a history. Between the core and the rest sits a bug, if one is asked
    for (bugs.c): it loses, doubles, swaps or holds back what passes, as a core would that had that
    bug.
*/

#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/core/dispatch.h"
#include "broker/store/history.h"

#define WORLD_PEERS 12u
#define WORLD_CLIENTS 5u
#define WORLD_REQUESTS 1500u
#define WORLD_IDS (WORLD_REQUESTS * 4u)
#define WORLD_TASKS 16384u

/*  What a request or a reply carries.  */
struct rp_payload {
    struct rp_payload *next; /* all there are, until the end */
    unsigned request;
    char body[32];
};

typedef struct {
    bool worker;
    bool dead; /* a client that was killed; it does not come back */
    char name[24];
    const char *service;
    rp_session_id_t session; /* 0: none */
    unsigned life;           /* goes up with every loss */
    unsigned talk;           /* number of its conversation */
    uint64_t key;            /* of that; 0: none */
    unsigned seq;
    unsigned in_talk; /* requests of it that are open */
    bool established;
    int64_t there; /* when its latest message arrives; and the latest one for it */
    int64_t here;
} world_peer_t;

typedef struct {
    unsigned client;
    unsigned attempts; /* left */
    unsigned talk;
    uint64_t key;
    uint64_t id; /* the latest */
    int64_t deadline;
    bool open;
    bool stale; /* of a conversation that is over by now */
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
    WORLD_ACTION, /* one that a bug held back */
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
    unsigned ids[WORLD_IDS]; /* the request that an id is of */
    unsigned id_count;
    world_task_t tasks[WORLD_TASKS];
    unsigned task_count;
    unsigned renamed;
    unsigned sender; /* of the event at hand */
    rp_payload_t *payloads;
    int bug; /* number, -1: none */
    unsigned bites;
    world_event_t held; /* what a bug put aside */
    bool holds;
    rp_payload_t *kept;
} world_t;

uint64_t world_draw (world_t *self, uint64_t below);
/*  Something happens after a pause; the next that does.  */
void world_later (world_t *self, int64_t pause, const world_event_t *event);
world_event_t world_next (world_t *self);
void world_do (world_t *self, const rp_action_t *action);
/*  The peer that has this session, or NULL.  */
world_peer_t *world_peer (world_t *self, rp_session_id_t session);

/*  ---- Bugs ----------------------------------------------------------------------------------- */

/*  The number of a bug by its name; -1 if there is none. Names by number; NULL behind the last.  */
int world_bug (const char *name);
const char *world_bug_name (int bug);

/*  What comes to the core, and what comes from it. False: it goes no further.  */
bool world_bug_event (world_t *self, rp_event_t *event, rp_head_t *head);
bool world_bug_action (world_t *self, rp_action_t *action);
void world_bug_stats (world_t *self, rp_stats_t *stats);

#endif
