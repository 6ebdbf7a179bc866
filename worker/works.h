/*  The requests that a worker holds: the state of each, its place in the window, its list.

    SPDX-License-Identifier: MPL-2.0

    Pure; the part of worker/worker_core.h that keeps them: works.c also has its functions from
    rp_worker_core_request to rp_worker_core_finish. A work that is held takes a place in the window
    of its session, until it is finished or the session is over.

    Thread-safety: none.
*/

#ifndef RP_WORKS_H
#define RP_WORKS_H

#include "worker/worker_core.h"

/*  Which state may follow which, from row to column.  */
extern const bool rp_work_allowed[RP_WORK_STATE_COUNT][RP_WORK_STATE_COUNT];

/*  The one setter of a work's state: checks the transition and counts what is OUT. Lists are the
    caller's. For the worker's core and its tests.  */
static inline void rp_work_set_state (
  rp_worker_core_t *self, rp_work_t *work, rp_work_state_t state)
{
    RP_CHECK (rp_work_allowed[work->state][state]);
    if (work->state == RP_WORK_OUT)
        self->out--;
    if (state == RP_WORK_OUT)
        self->out++;
    work->state = state;
}

/*  The work, which is in no list, ends here: the reply has this status and text.  */
void rp_worker_works_return (
  rp_worker_core_t *self, rp_work_t *work, rp_status_t status, const char *text);

/*  CANCEL came. False if no work with this token is held.  */
bool rp_worker_works_cancel (rp_worker_core_t *self, uint32_t session, uint64_t token);

/*  The work that is held under this token; NULL: none.  */
rp_work_t *rp_worker_works_find (const rp_worker_core_t *self, uint32_t session, uint64_t token);

/*  The session is over: what is ready returns, what is out is cancelled, and every place in the
    window is free.  */
void rp_worker_works_end_all (rp_worker_core_t *self, uint32_t session);

#endif
