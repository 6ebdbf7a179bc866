/*  Surveys: requests for all workers of a service.

    SPDX-License-Identifier: MPL-2.0

    To the core, a survey is one ordinary request, its copy, for each worker that takes requests when it comes; all
    are requests of one trusted client, which lives here. What a copy ends with goes to the survey's client as a part,
    and one final ends the survey: when all copies have ended, when as many have answered OK as it asks for, or when
    its quorum cannot be reached any more. Copies that are open then are withdrawn.

    Copies have the deadline of their survey, so the core ends them, and this has no clock.

    Copies count in the limit client_open of their client, and in the quotas of its principal, as so many requests;
    a survey for which there is no room draws BUSY as a whole, and no worker gets it.

    Ownership: a payload passed in belongs here until it comes out with an action. START with `keep` says that another
    START with the same payload follows.

    Source: docs/PROTOCOL.md, section 13; docs/adr/0050.
    Pure: reads no clock, socket or disk. Thread-safety: none.
*/

#ifndef RP_SURVEYS_H
#define RP_SURVEYS_H

#include "broker/core/action.h"
#include "broker/core/dispatch.h"

typedef struct rp_surveys rp_surveys_t;

typedef struct {
    const rp_dispatch_t *core; /* asked for workers and rules; not owned */
    const rp_limits_t *limits; /* as of each call; not owned */
    uint64_t seed;             /* secret */
} rp_surveys_options_t;

/*  NULL when out of memory.  */
rp_surveys_t *rp_surveys_new (const rp_surveys_options_t *options);
void rp_surveys_destroy (rp_surveys_t **self_p);

/*  A request with RP_FLAG_ALL, which the core has looked at (rp_copy_refuse). No other one of its session with its id is
    open here.  */
typedef struct {
    rp_session_id_t session;
    const rp_head_t *head;
    rp_payload_t *payload;
    size_t bytes;            /* of headers and body */
    const char *principal;   /* NUL-terminated */
    const rp_quota_t *quota; /* of that principal; its copies are counted apart; NULL: none */
} rp_surveys_request_t;

/*  Appends a START for each worker, or the REPLY that refuses the request, its final.  */
void rp_surveys_submit (
  rp_surveys_t *self, const rp_surveys_request_t *request, int64_t now, rp_actions_t *actions);

/*  A client withdraws a request that the core does not have: its copies are withdrawn, and it ends when they have.
    False if there is no such request here.  */
bool rp_surveys_cancel (
  rp_surveys_t *self, rp_session_id_t session, uint64_t request, rp_actions_t *actions);

/*  A session is over: nothing is sent to it any more, and its copies are withdrawn.  */
void rp_surveys_left (rp_surveys_t *self, rp_session_id_t session, rp_actions_t *actions);

/*  Returns the name of the worker that the copy with this id is for; NULL if there is none.  */
const char *rp_surveys_worker (const rp_surveys_t *self, uint64_t id);

/*  The core has ended a copy: head is that of its REPLY, as it is to go to the client, with the worker's name among the
    headers of the payload. To told go a SEND of this payload, or its DROP, and perhaps the final, to be carried out
    at once; to wanted what is to be withdrawn.  */
void rp_surveys_answered (rp_surveys_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  int64_t now,
  rp_actions_t *told,
  rp_actions_t *wanted);

/*  Other rules are in force: copies that they do not allow, and that no worker has yet, are to end. What was wanted
    before has to be carried out.  */
void rp_surveys_recheck (const rp_surveys_t *self, rp_actions_t *actions);

/*  How many surveys have copies that have not ended.  */
size_t rp_surveys_open (const rp_surveys_t *self);

#endif
