/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/jobs_state.h"
#include "common/base/earlier.h"

/*  A step of the wall clock that counts as a jump, µs.  */
#define S_JUMP_US 1000000
#define S_SECOND INT64_C (1000000)
/*  No pause is longer, µs.  */
#define S_PAUSE_US (INT64_C (1250) * RP_JOB_PAUSE_MAX_MS)

void rp_jobs_set_time (rp_jobs_t *self, rp_jobs_time_t time)
{
    int64_t jump = time.wall - self->time.wall - (time.now - self->time.now);
    bool first = self->time.wall == 0;
    self->time = time;
    if (first) {
        self->clock = time.wall;
        return;
    }
    if (jump < -S_JUMP_US)
        self->ahead -= jump;
    self->clock = time.wall + self->ahead;
    if (jump > S_JUMP_US)
        self->jumps[self->jump_count++ % RP_JOBS_JUMPS] =
          (rp_jobs_jump_t){.from = self->clock - jump, .by = jump};
}

void rp_jobs_set_ahead (rp_jobs_t *self, uint32_t flags)
{
    self->ahead = rp_later (self->ahead, (int64_t) (flags / RP_JOB_FLAG_AHEAD) * S_SECOND);
    self->clock = self->time.wall + self->ahead;
}

uint32_t rp_jobs_flags (const rp_jobs_t *self, bool instant)
{
    int64_t ahead = (self->ahead + S_SECOND - 1) / S_SECOND;
    return (uint32_t) (ahead < INT32_MAX ? ahead : INT32_MAX) * RP_JOB_FLAG_AHEAD
           | (instant ? RP_JOB_FLAG_INSTANT : 0);
}

int64_t rp_job_true_due (const rp_jobs_t *self, const rp_job_t *job)
{
    if (job->attempt == 0)
        return job->instant > self->time.wall ? job->instant + self->ahead : job->due;
    // A pause that ends within the time that a jump left out was written before it.
    int64_t due = job->due;
    uint32_t index = self->jump_count > RP_JOBS_JUMPS ? self->jump_count - RP_JOBS_JUMPS : 0;
    for (; index < self->jump_count; index++) {
        const rp_jobs_jump_t *jump = &self->jumps[index % RP_JOBS_JUMPS];
        if (due > jump->from && due < jump->from + rp_earlier (jump->by, S_PAUSE_US))
            due += jump->by;
    }
    return due;
}
