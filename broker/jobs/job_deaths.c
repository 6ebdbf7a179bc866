/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/job_deaths.h"

#include <stdbool.h>
#include <string.h>

#define S_PART_US (INT64_C (3600000000) / RP_JOB_DEATHS_PARTS)

static bool s_is (const rp_job_deaths_place_t *place, const char *service, size_t size)
{
    return place->name_size == size && memcmp (place->name, service, size) == 0;
}

/*  Returns the place of a service; RP_JOB_DEATHS_SERVICES: it has none.  */
static size_t s_find (const rp_job_deaths_t *self, const char *service, size_t size)
{
    size_t index = 0;
    while (index < RP_JOB_DEATHS_SERVICES && !s_is (&self->places[index], service, size))
        index++;
    return index;
}

/*  The place that is free, or of which the last death is the longest ago.  */
static rp_job_deaths_place_t *s_oldest (rp_job_deaths_t *self)
{
    rp_job_deaths_place_t *oldest = self->places;
    for (size_t index = 0; index < RP_JOB_DEATHS_SERVICES; index++) {
        rp_job_deaths_place_t *place = &self->places[index];
        if (place->name_size == 0)
            return place;
        if (place->latest < oldest->latest)
            oldest = place;
    }
    return oldest;
}

static uint64_t s_count (const rp_job_deaths_place_t *place, int64_t now)
{
    uint64_t count = 0;
    int64_t first = now / S_PART_US - RP_JOB_DEATHS_PARTS + 1;
    for (int64_t part = first > 0 ? first : 0; part <= place->latest; part++)
        count += place->counts[part % RP_JOB_DEATHS_PARTS];
    return count;
}

void rp_job_deaths_add (rp_job_deaths_t *self, const char *service, size_t size, int64_t now)
{
    size_t index = s_find (self, service, size);
    rp_job_deaths_place_t *place =
      index < RP_JOB_DEATHS_SERVICES ? &self->places[index] : s_oldest (self);
    int64_t part = now / S_PART_US;
    if (index == RP_JOB_DEATHS_SERVICES) {
        *place = (rp_job_deaths_place_t){.latest = part, .name_size = (uint8_t) size};
        memcpy (place->name, service, size);
    }
    if (part - place->latest >= RP_JOB_DEATHS_PARTS)
        memset (place->counts, 0, sizeof place->counts);
    else
        for (int64_t at = place->latest + 1; at <= part; at++)
            place->counts[at % RP_JOB_DEATHS_PARTS] = 0;
    place->latest = part;
    place->counts[part % RP_JOB_DEATHS_PARTS]++;
}

uint64_t rp_job_deaths_count (
  const rp_job_deaths_t *self, const char *service, size_t size, int64_t now)
{
    size_t index = s_find (self, service, size);
    return index < RP_JOB_DEATHS_SERVICES ? s_count (&self->places[index], now) : 0;
}

const char *rp_job_deaths_at (
  const rp_job_deaths_t *self, size_t index, int64_t now, uint64_t *count)
{
    const rp_job_deaths_place_t *place = &self->places[index];
    *count = place->name_size ? s_count (place, now) : 0;
    return *count ? place->name : NULL;
}
