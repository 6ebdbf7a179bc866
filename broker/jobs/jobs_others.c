/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/jobs_state.h"

/*  ---- Other brokers' jobs --------------------------------------------------------------------- */

void rp_jobs_list_services (rp_jobs_t *self)
{
    self->services_at = RP_JOBS_NEVER;
    rp_jobs_store (self, RP_STORE_SERVICES, NULL,
      (rp_jobs_pending_t){.purpose = self->begun ? RP_JOBS_FOR_NEWS : RP_JOBS_FOR_BEGIN})
      ->news = self->begun;
    if (self->begun) // then news tells whether any ran
        return;
    rp_jobs_list_running (self, 0);
}

void rp_jobs_begin (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    rp_jobs_list_services (self);
}

void rp_jobs_hear_news (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    // The answer to the first question may be on its way, and not tell it.
    rp_jobs_store (self, RP_STORE_SERVICES, NULL, (rp_jobs_pending_t){.purpose = RP_JOBS_FOR_NEWS})
      ->news = true;
}

void rp_jobs_count_anew (rp_jobs_t *self)
{
    self->figures.open = 0;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_jobs_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        service->open = 0;
        rp_jobs_look_at (self, service, self->clock);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->jobs); slot++) {
        const rp_job_t *job = rp_pool_at (&self->jobs, slot);
        if (!(job->pooled.generation & 1) || (job->state != RP_STEP_PUTTING && !job->other))
            continue;
        job->service->open++;
        self->figures.open++;
    }
}

/*  Takes a job out of memory that is another broker's now.  */
static void s_drop (rp_jobs_t *self, rp_job_t *job)
{
    if (job->state == RP_STEP_RUNNING)
        rp_actions_add (self->actions, RP_ACTION_WITHDRAW, (rp_session_id_t){0})->head.id =
          rp_job_handle (job);
    if (job->state != RP_STEP_WAITING)
        job->service->active--;
    job->service->open--;
    self->figures.open--;
    rp_job_forget (self, job);
}

void rp_jobs_drop_ended (rp_jobs_t *self, const rp_store_rows_t *rows)
{
    for (size_t index = 0; rows && index < rows->ended_count; index++) {
        const rp_store_ended_t *ended = &rows->ended[index];
        rp_jobs_service_t *service =
          rp_jobs_look_up (self, ended->service.data, ended->service.size);
        rp_job_t *job = rp_job_find (self, ended->id);
        if (!service || service->open == 0)
            continue; // a broker of an older riposte has the jobs
        if (!job || job->other) {
            service->open--;
            self->figures.open--;
        }
        else if (job->state == RP_STEP_WAITING || job->state == RP_STEP_RUNNING) {
            rp_jobs_tell_waiters (self, job, NULL);
            s_drop (self, job);
        }
        else {
            job->other = true; // what is being written tells that it has ended
        }
        rp_jobs_look_at (self, service, self->clock);
    }
}

void rp_jobs_lose (rp_jobs_t *self)
{
    if (self->lost)
        return;
    self->lost = true;
    // Otherwise the beginning is on its way, or was lost itself.
    bool begins = self->begun || self->services_at != RP_JOBS_NEVER;
    self->begun = false;
    rp_list_init (&self->again);
    self->again_at = RP_JOBS_NEVER;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->jobs); slot++) {
        rp_job_t *job = rp_pool_at (&self->jobs, slot);
        if (job->pooled.generation & 1
            && job->state != RP_STEP_PUTTING) // they have a result to come
            s_drop (self, job);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_jobs_service_t *service = rp_pool_at (&self->services, slot);
        if (!(service->pooled.generation & 1))
            continue;
        self->figures.open -= service->open - service->coming - service->active; // rows
        service->open = service->coming + service->active;
        service->whole = true;
        service->next_due = RP_JOBS_NEVER;
        rp_jobs_look_at (self, service, self->clock);
    }
    if (begins)
        rp_jobs_list_services (self);
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->waiters); slot++) {
        rp_jobs_waiter_t *waiter = rp_pool_at (&self->waiters, slot);
        if (waiter->pooled.generation & 1 && waiter->found) {
            waiter->found = false;
            rp_jobs_find_for (self, waiter);
        }
    }
}
