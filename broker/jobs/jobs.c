/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/jobs.h"

#include <stdlib.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/earlier.h"

/*  How often the wall clock is looked at for a jump, µs.  */
#define S_JUMP_US 1000000
#define S_WAITERS_MAX 100000u

/*  ---- Making --------------------------------------------------------------------------------- */

rp_jobs_t *rp_jobs_new (const rp_jobs_options_t *options)
{
    rp_jobs_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->options = *options;
    if (self->options.page == 0)
        self->options.page = RP_JOBS_PAGE;
    if (self->options.bytes == 0)
        self->options.bytes = RP_JOBS_BYTES;
    uint32_t seed = (uint32_t) options->seed;
    rp_pool_init (&self->services, sizeof (rp_jobs_service_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->jobs, sizeof (rp_job_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->puts, sizeof (rp_jobs_put_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->looks_at_keys, sizeof (rp_jobs_look_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->waiters, sizeof (rp_jobs_waiter_t), S_WAITERS_MAX, seed);
    rp_pool_init (&self->askers, sizeof (rp_jobs_asker_t), S_WAITERS_MAX, seed);
    rp_table_init (&self->services_by_name);
    rp_table_init (&self->jobs_by_id);
    rp_table_init (&self->waiters_by_job);
    rp_table_init (&self->waiters_by_request);
    rp_table_init (&self->askers_by_session);
    rp_heap_init (&self->looks);
    rp_heap_init (&self->patience);
    rp_list_init (&self->again);
    self->again_at = self->recovery = self->services_at = RP_JOBS_NEVER;
    return self;
}

void rp_jobs_destroy (rp_jobs_t **self_p, rp_actions_t *actions)
{
    rp_jobs_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->jobs); slot++) {
        rp_job_t *job = rp_pool_at (&self->jobs, slot);
        if (job->pooled.generation & 1)
            rp_actions_drop (actions, job->payload);
    }
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->services); slot++) {
        rp_jobs_service_t *service = rp_pool_at (&self->services, slot);
        if (service->pooled.generation & 1)
            rp_heap_clear (&service->waiting);
    }
    rp_pool_clear (&self->services);
    rp_pool_clear (&self->jobs);
    rp_pool_clear (&self->puts);
    rp_pool_clear (&self->looks_at_keys);
    rp_pool_clear (&self->waiters);
    rp_pool_clear (&self->askers);
    rp_table_clear (&self->services_by_name);
    rp_table_clear (&self->jobs_by_id);
    rp_table_clear (&self->waiters_by_job);
    rp_table_clear (&self->waiters_by_request);
    rp_table_clear (&self->askers_by_session);
    rp_heap_clear (&self->looks);
    rp_heap_clear (&self->patience);
    free (self->pending);
    free (self);
}

bool rp_jobs_is_writing (const rp_jobs_t *self)
{
    return self->pending_count > 0 || !rp_list_is_empty (&self->again);
}

/*  ---- Time ----------------------------------------------------------------------------------- */

int64_t rp_jobs_tick (rp_jobs_t *self, rp_jobs_time_t time, rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    if (time.now >= self->again_at)
        rp_jobs_write_again (self);
    if (time.now >= self->services_at)
        rp_jobs_list_services (self);
    if (time.now >= self->recovery) {
        self->recovery = RP_JOBS_NEVER;
        rp_jobs_list_running (self, self->recovered);
    }
    rp_jobs_end_patience (self);
    if (time.now >= self->expiry && self->figures.open > 0) {
        self->expiry = RP_JOBS_NEVER; // until its result
        rp_store_op_t *op = rp_jobs_store (
          self, RP_STORE_LIST, NULL, (rp_jobs_pending_t){.purpose = RP_JOBS_FOR_EXPIRE});
        op->state = RP_JOB_OVERDUE;
        op->before = time.wall;
        op->rows = RP_JOBS_PAGE;
    }
    uint64_t due = (uint64_t) RP_JOBS_NEVER;
    rp_heap_node_t *node;
    while ((node = rp_heap_first (&self->looks, &due)) && (int64_t) due <= self->clock)
        rp_jobs_serve (self, RP_CONTAINER (node, rp_jobs_service_t, look));
    int64_t next = rp_earlier (rp_earlier (self->again_at, self->recovery), self->services_at);
    if (self->figures.open > 0)
        next = rp_earlier (next, self->expiry);
    if (node && (int64_t) due != RP_JOBS_NEVER)
        next = rp_earlier (next, time.now + rp_earlier ((int64_t) due - self->clock, S_JUMP_US));
    if (rp_heap_first (&self->patience, &due))
        next = rp_earlier (next, (int64_t) due);
    return next;
}

void rp_jobs_drain (rp_jobs_t *self)
{
    self->draining = true;
}

void rp_jobs_set_away (rp_jobs_t *self, bool away)
{
    self->away = away;
}

void rp_jobs_figures (const rp_jobs_t *self, rp_jobs_figures_t *figures)
{
    *figures = self->figures;
}
