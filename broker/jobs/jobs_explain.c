/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/earlier.h"

/*  What is known of a service with open jobs.  */
static rp_jobs_service_info_t s_info (
  const rp_jobs_t *self, const rp_jobs_service_t *service, int64_t now)
{
    uint64_t due;
    rp_jobs_service_info_t info = {.name = service->name,
      .name_size = service->name_size,
      .waiting = service->open > service->active ? service->open - service->active : 0,
      .running = service->active,
      .due = RP_JOBS_NEVER,
      .died = rp_job_deaths_count (&self->deaths, service->name, service->name_size, now)};
    if (rp_heap_first (&service->waiting, &due))
        info.due = (int64_t) due;
    if (!service->whole)
        info.due = rp_earlier (info.due, service->next_due);
    return info;
}

bool rp_jobs_find_service (
  const rp_jobs_t *self, const char *name, size_t size, int64_t now, rp_jobs_service_info_t *info)
{
    const rp_jobs_service_t *service = rp_jobs_look_up (self, name, size);
    if (service) {
        *info = s_info (self, service, now);
        return true;
    }
    *info = (rp_jobs_service_info_t){.name = name,
      .name_size = size,
      .due = RP_JOBS_NEVER,
      .died = rp_job_deaths_count (&self->deaths, name, size, now)};
    return info->died > 0;
}

void rp_jobs_each_service (
  const rp_jobs_t *self, int64_t now, rp_jobs_service_fn *function, void *arg)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        const rp_jobs_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1) || service->open == 0)
            continue;
        rp_jobs_service_info_t info = s_info (self, service, now);
        function (&info, arg);
    }
    for (size_t index = 0; index < RP_JOB_DEATHS_SERVICES; index++) {
        rp_jobs_service_info_t info = {.due = RP_JOBS_NEVER};
        info.name = rp_job_deaths_at (&self->deaths, index, now, &info.died);
        info.name_size = info.name ? strlen (info.name) : 0;
        const rp_jobs_service_t *service =
          info.name ? rp_jobs_look_up (self, info.name, info.name_size) : NULL;
        if (info.name && (!service || service->open == 0))
            function (&info, arg);
    }
}

size_t rp_jobs_explain (const rp_jobs_service_info_t *info,
  uint32_t workers,
  int64_t wall,
  rp_cause_t causes[RP_JOBS_CAUSES_MAX])
{
    size_t count = 0;
    if (info->waiting > 0 && info->due <= wall) // otherwise all of them are for later
        causes[count++] =
          (rp_cause_t){.kind = workers ? RP_CAUSE_JOBS_WAIT : RP_CAUSE_JOBS_UNSERVED,
            .weight = info->waiting,
            .waiting = info->waiting,
            .workers = workers};
    if (info->died > 0)
        causes[count++] = (rp_cause_t){.kind = RP_CAUSE_JOBS_DEAD,
          .weight = info->died,
          .waiting = info->waiting,
          .workers = workers};
    if (count == 2 && causes[1].weight > causes[0].weight) {
        rp_cause_t first = causes[0];
        causes[0] = causes[1];
        causes[1] = first;
    }
    return count;
}
