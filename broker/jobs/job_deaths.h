/*  Job deaths: how many jobs of each service have died in the last hour. Bounded: of more services than there is
    room for, those in which a job died last.

    SPDX-License-Identifier: MPL-2.0

    Pure: reads no clock. Times are µs on a clock that only moves forward. Thread-safety: none.
*/

#ifndef RP_JOB_DEATHS_H
#define RP_JOB_DEATHS_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire/head.h"

#define RP_JOB_DEATHS_SERVICES 64u
/*  The hour is counted in parts, so it may be shorter by one of them.  */
#define RP_JOB_DEATHS_PARTS 12u

typedef struct {
    int64_t latest; /* part of all time, of the last death */
    uint32_t counts[RP_JOB_DEATHS_PARTS];
    uint8_t name_size; /* 0: free */
    char name[RP_WIRE_NAME_MAX + 1];
} rp_job_deaths_place_t;

/*  All zero: nothing has died.  */
typedef struct {
    rp_job_deaths_place_t places[RP_JOB_DEATHS_SERVICES];
} rp_job_deaths_t;

void rp_job_deaths_add (rp_job_deaths_t *self, const char *service, size_t size, int64_t now);

uint64_t rp_job_deaths_count (
  const rp_job_deaths_t *self, const char *service, size_t size, int64_t now);

/*  Returns the name at a place, NUL-terminated, and how many died; NULL: none. index: less than
    RP_JOB_DEATHS_SERVICES.  */
const char *rp_job_deaths_at (
  const rp_job_deaths_t *self, size_t index, int64_t now, uint64_t *count);

#endif
