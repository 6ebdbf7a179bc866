/*  Server's surveys: joins the surveys, which are pure, with the core and the outbox.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SERVER_SURVEYS_H
#define RP_SERVER_SURVEYS_H

#include "broker/survey/surveys.h"

typedef struct rp_server rp_server_t;

typedef struct {
    rp_surveys_t *surveys;
    rp_session_id_t client; /* in the core, of the copies */
    rp_actions_t wanted;    /* what the surveys want done at their next turn */
    rp_actions_t told;      /* what follows from an answer of the core, at once */
} rp_server_surveys_t;

/*  Begins, once the core is made. False when out of memory.  */
bool rp_server_surveys_begin (rp_server_t *self, int64_t now);

void rp_server_surveys_clear (rp_server_t *self);

/*  Takes an action SURVEY of the core. What follows is carried out at the next turn.  */
void rp_server_surveys_take (rp_server_t *self, const rp_action_t *action, int64_t now);

/*  Takes a SEND to the client of the copies. The client of the survey is told at once, before anything that the core
    wants done next: it may be to end its session.  */
void rp_server_surveys_answered (rp_server_t *self, const rp_action_t *action, int64_t now);

/*  Other rules are in force; as rp_server_replays_recheck.  */
void rp_server_surveys_recheck (rp_server_t *self, int64_t now);

/*  Carries out what the surveys want done. To be called after each batch. True if there was anything.  */
bool rp_server_surveys_tick (rp_server_t *self, int64_t now);

#endif
