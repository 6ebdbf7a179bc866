/*  Job trace: the life of a job as a timeline (broker/core/trace.h), made of its row in the store.

    SPDX-License-Identifier: MPL-2.0

    Times are wall times, which may jump: what would be before the beginning is at it.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_JOB_TRACE_H
#define RP_JOB_TRACE_H

#include <jansson.h>

#include "broker/core/store_op.h"
#include "broker/core/trace.h"

/*  A trace with its texts.  */
typedef struct {
    rp_trace_t trace;
    char request_id[RP_TRACE_REQUEST_ID_MAX + 1];
    char text[128]; /* for what it waits, or as which job it was retried */
} rp_job_trace_t;

/*  Makes the timeline of a job; row: of FIND, which it must not outlive. secret: of ids. wall: now.  */
void rp_job_trace (
  rp_job_trace_t *self, const rp_store_row_t *row, const rp_store_secret_t *secret, int64_t wall);

/*  Returns it as rp_narrative_trace_json does, with the id of the job as `id` and as `job`; NULL when out of
    memory.  */
json_t *rp_job_trace_json (
  const rp_store_row_t *row, const rp_store_secret_t *secret, int64_t wall);

#endif
