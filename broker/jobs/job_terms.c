/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/job_terms.h"

#include <stddef.h>

#include "broker/core/store_op.h"
#include "common/base/earlier.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"

static bool s_number (const rp_head_t *head, const char *name, uint64_t most, uint64_t *value)
{
    return rp_headers_number (head->headers, head->headers_size, name, most, value);
}

const char *rp_job_terms_read (rp_job_terms_t *self, const rp_head_t *head, int64_t wall)
{
    *self = (rp_job_terms_t){.attempts = head->attempts};
    rp_header_t header;
    if (rp_headers_find (head->headers, head->headers_size, RP_JOB_KEY, &header)) {
        if (header.value_size == 0 || header.value_size > RP_STORE_KEY_MAX)
            return "idempotency-key has 1 to 127 bytes";
        self->key = header.value;
        self->key_size = (uint8_t) header.value_size;
    }
    uint64_t delay = 0, not_before = 0, deadline = 0, attempt = 0, priority = 0;
    uint64_t backoff = RP_JOB_BACKOFF_MS, keep = RP_JOB_KEEP_MS;
    if (!s_number (head, RP_JOB_DELAY, RP_JOB_KEEP_MAX_MS, &delay))
        return "job-delay is a number of ms, at most 366 days";
    if (!s_number (head, RP_JOB_NOT_BEFORE, INT64_MAX, &not_before))
        return "job-not-before is an instant in µs since 1970";
    if (!s_number (head, RP_JOB_DEADLINE, INT64_MAX, &deadline))
        return "job-deadline is an instant in µs since 1970";
    if (!s_number (head, RP_JOB_BACKOFF, RP_JOB_PAUSE_MAX_MS, &backoff))
        return "job-backoff is a number of ms, at most 5 minutes";
    if (!s_number (head, RP_JOB_ATTEMPT, RP_DEADLINE_MAX_MS, &attempt))
        return "job-attempt is a number of ms, at most a day";
    if (!s_number (head, RP_JOB_KEEP, RP_JOB_KEEP_MAX_MS, &keep))
        return "job-keep is a number of ms, at most 366 days";
    if (!s_number (head, RP_JOB_PRIORITY, RP_PRIORITY_MAX, &priority))
        return "job-priority is a number from 0 to 9";
    self->not_before = wall + (int64_t) delay * 1000;
    self->instant = (int64_t) not_before > self->not_before;
    if (self->instant)
        self->not_before = (int64_t) not_before;
    self->deadline = deadline ? (int64_t) deadline : INT64_MAX;
    if (self->deadline <= self->not_before)
        return "the job's deadline is before it may begin";
    self->not_before = rp_earlier (self->not_before, RP_JOB_INSTANT_MAX);
    if (self->deadline > RP_JOB_INSTANT_MAX)
        self->deadline = INT64_MAX;
    self->attempt_ms = (uint32_t) attempt;
    self->backoff_ms = (uint32_t) backoff;
    self->keep_ms = keep;
    return NULL;
}

uint8_t rp_job_terms_priority (const rp_head_t *head)
{
    uint64_t priority = RP_PRIORITY_DEFAULT;
    if (!s_number (head, RP_JOB_PRIORITY, RP_PRIORITY_MAX, &priority))
        priority = RP_PRIORITY_DEFAULT; // a store of an older broker may hold anything
    return rp_wire_stated_priority ((unsigned) priority);
}

uint32_t rp_job_pause (uint32_t backoff_ms, unsigned attempts, uint64_t chance)
{
    uint64_t pause = backoff_ms;
    for (unsigned index = 1; index < attempts && pause < RP_JOB_PAUSE_MAX_MS; index++)
        pause *= 2;
    if (pause > RP_JOB_PAUSE_MAX_MS)
        pause = RP_JOB_PAUSE_MAX_MS;
    uint64_t quarter = pause / 4;
    return (uint32_t) (pause - quarter + (quarter ? chance % (2 * quarter + 1) : 0));
}
