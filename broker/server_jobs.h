/*  Server's jobs: joins the jobs, which are pure, with the store, the core and the outbox.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SERVER_JOBS_H
#define RP_SERVER_JOBS_H

#include <string.h>

#include "broker/admin/asking.h"
#include "broker/jobs/jobs.h"
#include "broker/store/store.h"
#include "common/io/message.h"
#include "common/program/poller.h"

typedef struct rp_server rp_server_t;

/*  Questions that the store has at once, beside those of clients about jobs: over HTTP, of which more would make
    commits wait, and for traces, which the core answers too.  */
#define RP_SERVER_JOBS_ASKED_HTTP 4u
#define RP_SERVER_JOBS_ASKED 32u

/*  One of them.  */
typedef struct {
    uint64_t id;                    /* of the question, to the jobs; 0: none */
    rp_asking_question_t *question; /* over HTTP; NULL: of a client */
    rp_session_id_t session;        /* the client */
    uint64_t request;               /* its id of the question */
    json_t *
      traces; /* what the core has answered, to which the job is added; NULL: the answer is the job's */
    uint16_t body; /* bytes of a body that are wanted */
} rp_server_jobs_asked_t;

typedef struct {
    rp_jobs_t *jobs;        /* NULL: off */
    rp_store_t *store;      /* NULL: off */
    rp_session_id_t client; /* in the core, of the attempts; 0: off */
    /*  what the jobs want done, and what is carried out of it: two that change places, since what an
        action points to may lie in its list  */
    rp_actions_t heard; /* of the core, since the last turn */
    rp_actions_t lists[2];
    rp_actions_t *wanted;
    const rp_stored_t *stored; /* the result in hand */
    rp_server_jobs_asked_t asked[RP_SERVER_JOBS_ASKED];
    uint64_t asked_id;  /* of the latest of them */
    uint64_t submitted; /* operations */
    uint64_t taken;     /* results */
    bool away;          /* the store is not reachable */
    bool lost;          /* another broker has the jobs that were here, and it has not begun again */
    rp_poller_deadline_t due;
} rp_server_jobs_t;

/*  Begins, once the core and the poller are made, if there is a store. False when out of memory.  */
bool rp_server_jobs_begin (rp_server_t *self, int64_t now);

/*  Waits until what was told to be written is, a few seconds at most, and tells what follows from it.  */
void rp_server_jobs_end (rp_server_t *self);
void rp_server_jobs_clear (rp_server_t *self);

/*  Takes an action of the core that is for the jobs: JOB, SEND to their client, ADMIN for traces, or the end of
    a session. They see it at their next turn, when the session may be over: principal is that of a JOB now.  */
static inline void rp_server_jobs_hear (
  rp_server_jobs_t *self, const rp_action_t *action, const char *principal)
{
    rp_action_t *heard = rp_actions_add (&self->heard, action->kind, action->session);
    *heard = *action;
    if (action->kind == RP_ACTION_JOB)
        heard->principal = principal;
    if (action->kind != RP_ACTION_SEND || action->payload)
        return;
    // What follows is valid as long as the core's actions, and its sessions.
    heard->head.text = rp_actions_format (&self->heard, "%.*s", (int) action->head.text_size,
      action->head.text_size ? action->head.text : "");
    heard->head.text_size = (uint16_t) strlen (heard->head.text);
    if (action->head.command == RP_COMMAND_REPLY && action->head.key)
        heard->head.key = rp_actions_format (&self->heard, "%s", action->head.key);
}

/*  True if a question over HTTP is about jobs.  */
bool rp_server_jobs_is_question (const rp_asking_question_t *question);

/*  Asks it. True if it is kept, and will be told (broker/admin/asking.h); false if it is answered.  */
bool rp_server_jobs_ask (rp_server_t *self, rp_asking_question_t *question, int64_t now);

/*  The same of a question for traces that the core has answered: a job may have the id that is asked for.  */
bool rp_server_jobs_ask_trace (rp_server_t *self, rp_asking_question_t *question, int64_t now);

/*  Carries out what the jobs want done, and what is due. To be called after each batch. True if there was
    anything.  */
bool rp_server_jobs_tick (rp_server_t *self, int64_t now);

#endif
