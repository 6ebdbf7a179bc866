/*  Job terms: what a client states about a job, read from the headers of its request.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 9. Thread-safety: pure functions of their arguments.
*/

#ifndef RP_JOB_TERMS_H
#define RP_JOB_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/wire/head.h"

#define RP_JOB_ATTEMPTS 5u
#define RP_JOB_BACKOFF_MS 1000u
#define RP_JOB_PAUSE_MAX_MS 300000u
#define RP_JOB_KEEP_MS UINT64_C (86400000)        /* a day */
#define RP_JOB_KEEP_DEAD_MS UINT64_C (1209600000) /* 14 days */
#define RP_JOB_KEEP_MAX_MS UINT64_C (31622400000) /* 366 days */
/*  An instant behind this one never comes; with how far clocks are set added to it, it is still a time.  */
#define RP_JOB_INSTANT_MAX (INT64_MAX / 2)

typedef struct {
    const char *key;  /* not NUL-terminated */
    uint8_t key_size; /* 0: none */
    uint8_t attempts;
    int64_t not_before;  /* wall, µs */
    bool instant;        /* it was stated as such, and is none after a time from now */
    int64_t deadline;    /* wall, µs; INT64_MAX: none */
    uint32_t attempt_ms; /* that an attempt may take; 0: no limit */
    uint32_t backoff_ms;
    uint64_t keep_ms;
} rp_job_terms_t;

/*  Reads the terms of a request that comes at this wall time. Returns NULL, or what is wrong with them, a
    static text for the client.  */
const char *rp_job_terms_read (rp_job_terms_t *self, const rp_head_t *head, int64_t wall);

/*  The priority of a job's attempts, as a head states it, by the job's headers.  */
uint8_t rp_job_terms_priority (const rp_head_t *head);

/*  The pause after this many failed attempts, ms: doubled each time, at most five minutes, and a quarter
    more or less by chance, a number of any kind.  */
uint32_t rp_job_pause (uint32_t backoff_ms, unsigned attempts, uint64_t chance);

#endif
