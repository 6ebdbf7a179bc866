/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/jobs_state.h"
#include "common/base/check.h"
#include "common/base/earlier.h"

/*  How many bytes one LOAD brings.  */
#define S_LOAD_BYTES (4u << 20)
/*  Jobs that ran and are listed at once.  */
#define S_ROWS 1000u
/*  How often a service with jobs that are due looks whether workers have come, µs.  */
#define S_LOOK_US 200000

/*  ---- Loading -------------------------------------------------------------------------------- */

void rp_jobs_list_running (rp_jobs_t *self, uint64_t after)
{
    rp_store_op_t *op = rp_jobs_store (self, RP_STORE_LIST, NULL,
      (rp_jobs_pending_t){.purpose = RP_JOBS_FOR_RECOVER, .after = after});
    op->id = after;
    op->state = RP_JOB_RUNNING;
    op->own = true;
    op->rows = S_ROWS;
}

static void s_load (rp_jobs_t *self, rp_jobs_service_t *service)
{
    service->loads = true;
    service->passed = (rp_job_key_t){INT64_MAX, UINT64_MAX};
    rp_store_op_t *op = rp_jobs_store (
      self, RP_STORE_LOAD, NULL, (rp_jobs_pending_t){.service = rp_pool_handle (&service->pooled)});
    op->id = service->horizon.id;
    op->after = service->horizon.due;
    op->before = self->clock + RP_JOBS_AHEAD_US;
    uint64_t left = self->options.bytes > self->bytes ? self->options.bytes - self->bytes : 1;
    service->load_bytes = left < S_LOAD_BYTES ? (uint32_t) left : S_LOAD_BYTES;
    self->bytes += service->load_bytes;
    op->bytes = service->load_bytes;
    uint32_t half = (self->options.page + 1) / 2; // what is in memory already may be among them
    uint32_t room = service->loaded < half ? self->options.page - service->loaded : half;
    op->rows = (uint16_t) room;
    op->text = service->name;
    op->text_size = service->name_size;
}

static uint32_t s_bytes (const rp_store_row_t *row)
{
    uint64_t bytes = row->job.headers.size;
    for (size_t index = 0; index < row->body_count; index++)
        bytes += row->body[index].size + (index > 0 ? RP_STORE_FRAME : 0);
    return bytes < UINT32_MAX ? (uint32_t) bytes : UINT32_MAX;
}

/*  Takes a row into memory. False if there is no memory for it.  */
static bool s_take_row (
  rp_jobs_t *self, rp_jobs_service_t *service, const rp_store_row_t *row, rp_payload_t *payload)
{
    if (row->state != RP_JOB_WAITING || rp_job_find (self, row->id)) {
        rp_actions_drop (self->actions, payload); // it is in memory already, or is written again
        return true;
    }
    rp_job_t *job = payload ? rp_job_new (self, service) : NULL;
    if (!job || !rp_job_name (self, job, row->id)
        || !rp_heap_push (&service->waiting, &job->turn, (uint64_t) row->due)) {
        rp_actions_drop (self->actions, payload);
        if (job)
            rp_job_forget (self, job);
        return false;
    }
    job->bytes = s_bytes (row);
    rp_job_set_state (self, job, RP_STEP_WAITING);
    job->payload = payload;
    job->due = row->due;
    job->instant = row->job.flags & RP_JOB_FLAG_INSTANT ? row->job.not_before : 0;
    job->deadline = row->job.deadline;
    job->keep_ms = row->job.keep_ms;
    job->attempt_ms = row->job.attempt_timeout_ms;
    job->backoff_ms = row->job.backoff_ms;
    job->attempt = row->attempt;
    job->attempts = row->job.attempts;
    return true;
}

void rp_jobs_loaded (rp_jobs_t *self,
  const rp_jobs_pending_t *pending,
  const rp_stored_t *stored,
  rp_payload_t *const *payloads)
{
    rp_jobs_service_t *service = rp_pool_find (&self->services, pending->service);
    RP_CHECK (service != NULL); // it is kept while it loads
    service->loads = false;
    self->bytes -= service->load_bytes;
    if (stored->outcome != RP_STORED_SAFE) { // BUSY, AWAY, LOST
        rp_jobs_look_at (self, service, self->clock + S_LOOK_US);
        return;
    }
    size_t count = stored->rows ? stored->rows->count : 0;
    bool all = true;
    for (size_t index = 0; index < count; index++) {
        const rp_store_row_t *row = &stored->rows->jobs[index];
        if (!all) {
            rp_actions_drop (self->actions, payloads[index]);
            continue;
        }
        all = s_take_row (self, service, row, payloads[index]);
        if (all)
            service->horizon = (rp_job_key_t){row->due, row->id};
        else
            service->next_due = row->due;
    }
    if (all) {
        service->next_due = stored->due;
        service->whole = !stored->more && stored->due == RP_STORE_NEVER;
        // Nothing is due between the last row and the next one.
        rp_job_key_t next = {stored->due - 1, INT64_MAX};
        if (rp_job_key_is_before (service->horizon, next))
            service->horizon = next;
    }
    if (service->passed.id != UINT64_MAX)
        rp_jobs_leave_behind (self, service, service->passed);
    rp_jobs_look_at (self, service, self->clock);
    rp_jobs_leave_service (self, service);
}

/*  A load brings one job at least. So when the bytes are used up, it is for services of which a worker can
    have that one.  */
static bool s_may_load (rp_jobs_t *self, rp_jobs_service_t *service, bool behind)
{
    if (self->bytes < self->options.bytes && (behind || service->loaded + service->active > 0))
        return true;
    return (behind || service->loaded == 0 || self->bytes < self->options.bytes)
           && rp_jobs_room (self, service) > 0;
}

void rp_jobs_serve (rp_jobs_t *self, rp_jobs_service_t *service)
{
    int64_t wall = self->time.wall, clock = self->clock, again = RP_JOBS_NEVER;
    uint64_t due;
    bool behind = false; // rows before the first in memory are not in memory
    rp_heap_node_t *node;
    rp_heap_update (&self->looks, &service->look, (uint64_t) RP_JOBS_NEVER);
    while ((node = rp_heap_first (&service->waiting, &due))) {
        rp_job_t *job = RP_CONTAINER (node, rp_job_t, turn);
        behind = !service->whole
                 && rp_job_key_is_before (service->horizon, (rp_job_key_t){job->due, job->id});
        if ((int64_t) due > clock && job->deadline > wall) {
            again = rp_earlier (again, (int64_t) due);
            break;
        }
        if (job->deadline > wall && rp_jobs_room (self, service) == 0) {
            again = rp_earlier (again, service->active ? RP_JOBS_NEVER : clock + S_LOOK_US);
            if (job->deadline != RP_JOBS_NEVER)
                again = rp_earlier (again, job->deadline + self->ahead);
            break;
        }
        if (behind)
            break;
        if (service->pause > self->time.now && job->deadline > wall) {
            again = rp_earlier (again, clock + service->pause - self->time.now);
            break;
        }
        int64_t true_due = rp_job_true_due (self, job);
        if (true_due > clock && job->deadline > wall)
            rp_job_put_off (self, job, true_due);
        else {
            if (service->share > 0)
                rp_jobs_share (self, service);
            rp_job_claim (self, job);
        }
    }
    if (!service->whole && !service->loads
        && (behind || service->loaded <= self->options.page / 2)) {
        if (service->next_due > clock + RP_JOBS_AHEAD_US)
            again = rp_earlier (again, service->next_due - RP_JOBS_AHEAD_US / 2);
        else if (s_may_load (self, service, behind))
            s_load (self, service);
        else
            again = rp_earlier (again, clock + S_LOOK_US);
    }
    if (again != RP_JOBS_NEVER)
        rp_jobs_look_at (self, service, rp_later (again, clock + 1));
    rp_jobs_leave_service (self, service);
}
