/*  Server's replays: joins the replays, which are pure, with the core and the outbox.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SERVER_REPLAYS_H
#define RP_SERVER_REPLAYS_H

#include "broker/replay/replays.h"
#include "common/program/poller.h"

typedef struct rp_server rp_server_t;

typedef struct {
    rp_replays_t *replays;  /* NULL: off */
    rp_session_id_t client; /* in the core, of the executions; 0: off */
    rp_actions_t wanted;    /* what the replays want done at their next turn */
    rp_actions_t told;      /* what follows from an answer of the core, at once */
    rp_poller_deadline_t due;
} rp_server_replays_t;

/*  Begins, once the core and the poller are made, unless replay_bytes is 0. False when out of memory.  */
bool rp_server_replays_begin (rp_server_t *self, int64_t now);

void rp_server_replays_clear (rp_server_t *self);

/*  Takes an action REPLAY of the core. What follows is carried out at the next turn.  */
void rp_server_replays_take (rp_server_t *self, const rp_action_t *action, int64_t now);

/*  Takes a SEND to the client of the executions. Who waits is told at once, before anything that the core wants
    done next: it may be to end their sessions.  */
void rp_server_replays_answered (rp_server_t *self, const rp_action_t *action, int64_t now);

/*  Other rules are in force: at once, no worker gets what they do not allow. To be called before anything else is
    read, and after a tick by the rules of before, so that nothing waits to be begun.  */
void rp_server_replays_recheck (rp_server_t *self, int64_t now);

/*  Carries out what the replays want done, and what is due. To be called after each batch. True if there was
    anything.  */
bool rp_server_replays_tick (rp_server_t *self, int64_t now);

#endif
