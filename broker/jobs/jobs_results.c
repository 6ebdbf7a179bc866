/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/check.h"
#include "common/base/earlier.h"

/*  How often jobs are looked for whose deadline has passed, and when to write again what found no space,
    µs.  */
#define S_EXPIRY_US 1000000
#define S_AGAIN_US 500000

/*  ---- Results of the store ------------------------------------------------------------------- */

static rp_jobs_pending_t s_next_pending (rp_jobs_t *self)
{
    RP_CHECK (self->pending_count > 0);
    rp_jobs_pending_t pending = self->pending[self->pending_first];
    self->pending_first = (self->pending_first + 1) & (self->pending_capacity - 1);
    self->pending_count--;
    return pending;
}

/*  No space, or no database: the same is written again later.  */
static void s_write_later (rp_jobs_t *self, rp_job_t *job)
{
    if (rp_list_is_empty (&self->again))
        self->again_at = self->time.now + S_AGAIN_US;
    rp_list_append (&self->again, &job->node);
    if (!job->payload) // its text was valid for as long as the actions
        rp_job_set_text (job, rp_strerror (job->status));
}

static void s_refuse_key (rp_jobs_t *self, const rp_jobs_pending_t *pending)
{
    rp_jobs_refuse (self, pending->session, pending->request, RP_KEY_MISMATCH,
      "this idempotency key belongs to a job with another body");
}

static void s_put (
  rp_jobs_t *self, const rp_jobs_pending_t *pending, rp_job_t *job, const rp_stored_t *stored)
{
    rp_jobs_service_t *service = job->service;
    job->payload = stored->kept;
    rp_jobs_put_t *put = job->put;
    job->put = NULL;
    service->coming -= job->attempt == 0;
    if (stored->outcome == RP_STORED_SAFE) {
        RP_CHECK_MEMORY (rp_job_name (self, job, stored->id));
        rp_jobs_accept (self, pending->session, pending->request, job->id, false);
        if (job->attempt)
            rp_job_start (self, job);
        else
            rp_job_wait (self, job);
        rp_pool_give (&self->puts, put);
        return;
    }
    service->open--;
    self->figures.open--;
    if (stored->outcome == RP_STORED_KNOWN)
        rp_jobs_accept (self, pending->session, pending->request, stored->id, true);
    else if (stored->outcome == RP_STORED_MISMATCH)
        s_refuse_key (self, pending);
    else if (stored->outcome == RP_STORED_TOO_LARGE)
        rp_jobs_refuse (self, pending->session, pending->request, RP_TOO_LARGE,
          "the store keeps no body of this size");
    else if (stored->outcome == RP_STORED_FULL)
        rp_jobs_refuse_or_replay (
          self, pending->session, pending->request, &put->job, "the store is full");
    else if (stored->outcome == RP_STORED_AWAY)
        rp_jobs_refuse (self, pending->session, pending->request, RP_BUSY, RP_JOBS_AWAY);
    else if (stored->outcome == RP_STORED_LOST)
        rp_jobs_refuse (self, pending->session, pending->request, RP_BUSY, RP_JOBS_LOST);
    else if (stored->outcome == RP_STORED_BUSY)
        rp_jobs_refuse (
          self, pending->session, pending->request, RP_BUSY, "too many jobs wait to be written");
    rp_pool_give (&self->puts, put);
    if (job->attempt)
        service->active--;
    rp_job_forget (self, job);
    rp_jobs_look_at (self, service, self->clock);
}

/*  What the store knows of the key of a submission for which there is no room.  */
static void s_looked (rp_jobs_t *self, const rp_jobs_pending_t *pending, const rp_stored_t *stored)
{
    rp_jobs_look_t *look = rp_pool_find (&self->looks_at_keys, pending->look);
    RP_CHECK (look != NULL);
    if (stored->outcome == RP_STORED_KNOWN)
        rp_jobs_accept (self, pending->session, pending->request, stored->id, true);
    else if (stored->outcome == RP_STORED_MISMATCH)
        s_refuse_key (self, pending);
    else
        rp_jobs_refuse (self, pending->session, pending->request, RP_BUSY,
          stored->outcome == RP_STORED_LOST ? RP_JOBS_LOST : look->refusal);
    rp_pool_give (&self->looks_at_keys, look);
}

/*  Ends an active job that was cancelled while something else was written.  */
static void s_write_cancelled (rp_jobs_t *self, rp_job_t *job)
{
    rp_actions_drop (self->actions, job->payload); // what is written with a final is a reply
    job->payload = NULL;
    job->status = RP_CANCELLED;
    job->worker[0] = 0;
    rp_job_set_text (job, "the job was cancelled");
    rp_job_write_final (self, job);
}

/*  A job is not open any more, unless that comes as news.  */
static void s_close (rp_jobs_t *self, const rp_job_t *job, const rp_stored_t *stored)
{
    if (stored->noted && !job->other)
        return;
    job->service->open--;
    self->figures.open--;
}

/*  The job has ended, by whatever hand.  */
static void s_leave_ended (rp_jobs_t *self, rp_job_t *job, const rp_stored_t *stored)
{
    s_close (self, job, stored);
    rp_jobs_tell_waiters (self, job, NULL);
    rp_job_leave (self, job);
}

static void s_claimed (rp_jobs_t *self, rp_job_t *job, const rp_stored_t *stored)
{
    rp_jobs_service_t *service = job->service;
    if (rp_stored_is_for_later (stored->outcome)) {
        job->attempt--;
        if (job->cancelled) {
            s_write_cancelled (self, job);
            return;
        }
        // Its row is as it was, so it stays where it was.
        service->active--;
        service->pause = self->time.now + S_AGAIN_US;
        if (!rp_job_keep (self, job)) {
            rp_jobs_leave_behind (self, service, (rp_job_key_t){job->due, job->id});
            rp_job_forget (self, job);
        }
        return;
    }
    if (stored->outcome != RP_STORED_SAFE) {
        s_leave_ended (self, job, stored);
        return;
    }
    if (!job->cancelled) {
        rp_job_start (self, job);
        return;
    }
    job->attempt--;
    s_write_cancelled (self, job);
}

static void s_parked (rp_jobs_t *self, rp_job_t *job, const rp_stored_t *stored)
{
    if (rp_stored_is_for_later (stored->outcome)) {
        s_write_later (self, job);
        return;
    }
    if (stored->outcome == RP_STORED_SAFE && job->cancelled) {
        s_write_cancelled (self, job);
        return;
    }
    if (stored->outcome != RP_STORED_SAFE) {
        s_leave_ended (self, job, stored);
        return;
    }
    rp_jobs_leave_behind (self, job->service, (rp_job_key_t){job->due, job->id});
    rp_job_leave (self, job);
}

static void s_finished (rp_jobs_t *self, rp_job_t *job, const rp_stored_t *stored)
{
    if (rp_stored_is_for_later (stored->outcome)) {
        job->payload = stored->kept;
        s_write_later (self, job);
        return;
    }
    job->payload = stored->kept;
    if (stored->outcome == RP_STORED_TOO_LARGE) { // only a worker's reply can be
        rp_actions_drop (self->actions, job->payload);
        job->payload = NULL;
        job->status = RP_APP_ERROR;
        job->code = 0;
        job->headers_size = 0;
        rp_job_set_text (job, "the worker's reply is larger than the store keeps");
        rp_job_write_final (self, job);
        return;
    }
    s_close (self, job, stored);
    self->figures.done += !job->dead;
    self->figures.dead += job->dead;
    if (job->dead)
        rp_job_deaths_add (
          &self->deaths, job->service->name, job->service->name_size, self->time.now);
    rp_jobs_tell_waiters (self, job, stored->outcome == RP_STORED_SAFE ? job->payload : NULL);
    rp_job_leave (self, job);
}

/*  Ends the jobs of a page whose deadline has passed before a worker had them.  */
static void s_expire (rp_jobs_t *self, const rp_stored_t *stored)
{
    static const char text[] = "the job's deadline passed before a worker had it";
    size_t count = stored->rows ? stored->rows->count : 0, ended = 0;
    for (size_t index = 0; index < count; index++) {
        const rp_store_row_t *row = &stored->rows->jobs[index];
        rp_job_t *job = rp_job_find (self, row->id);
        if (job && job->state == RP_STEP_WAITING)
            rp_job_end_waiting (self, job, RP_EXPIRED, text);
        else if (!job && !rp_job_end_row (self, row, RP_EXPIRED, text))
            break; // out of memory: the next page has it again
        else if (job)
            continue;
        ended++;
    }
    // The next page has those that are not written yet again, so it is worth a look only after progress.
    self->expiry = self->time.now + (stored->more && ended > 0 ? 0 : S_EXPIRY_US);
}

/*  The store was busy: what ran behind this job is listed again later, and with it all that is listed from there on.  */
static void s_recover_later (rp_jobs_t *self, uint64_t after)
{
    if (self->recovery == RP_JOBS_NEVER || after < self->recovered)
        self->recovered = after;
    self->recovery = self->time.now + S_AGAIN_US;
}

/*  A page of the jobs that ran when the broker ended: their attempts are lost.  */
static void s_recover (rp_jobs_t *self, const rp_jobs_pending_t *pending, const rp_stored_t *stored)
{
    // Before the beginning their services are not known, and it lists them again.
    if (!self->begun)
        return;
    if (stored->outcome != RP_STORED_SAFE) {
        s_recover_later (self, pending->after);
        return;
    }
    size_t count = stored->rows ? stored->rows->count : 0;
    for (size_t index = 0; index < count; index++) {
        const rp_store_row_t *row = &stored->rows->jobs[index];
        if (rp_job_find (self, row->id))
            continue; // it runs since then, or is being ended
        rp_jobs_service_t *service =
          rp_jobs_get_service (self, row->job.service.data, row->job.service.size);
        RP_CHECK_MEMORY (service != NULL);
        rp_job_t *job = rp_job_new (self, service);
        RP_CHECK_MEMORY (job != NULL && rp_job_name (self, job, row->id));
        service->active++;
        job->attempt = row->attempt;
        job->attempts = row->job.attempts;
        job->keep_ms = row->job.keep_ms;
        job->backoff_ms = row->job.backoff_ms;
        job->status = RP_WORKER_LOST;
        rp_job_set_text (job, "the broker ended while a worker had it");
        rp_job_fail (self, job);
    }
    if (stored->more)
        rp_jobs_list_running (self, stored->id);
}

static void s_browsed (rp_jobs_t *self, const rp_jobs_pending_t *pending, const rp_stored_t *stored)
{
    if (stored->outcome != RP_STORED_SAFE) {
        bool absent = stored->outcome == RP_STORED_ABSENT;
        rp_jobs_reply (self, pending->session, pending->request, absent ? RP_APP_ERROR : RP_BUSY,
          absent                              ? "there is no such dead job"
          : stored->outcome == RP_STORED_FULL ? "the store is full"
          : stored->outcome == RP_STORED_AWAY ? RP_JOBS_AWAY
          : stored->outcome == RP_STORED_LOST ? RP_JOBS_LOST
                                              : "too much waits for the store of jobs");
        return;
    }
    if (stored->kind == RP_STORE_RETRY) {
        // The new job is a row; whoever asked is told its id.
        const rp_store_row_t *row = &stored->rows->jobs[0];
        rp_jobs_service_t *service =
          rp_jobs_get_service (self, row->job.service.data, row->job.service.size);
        if (service) {
            service->open++;
            self->figures.open++;
            rp_jobs_leave_behind (self, service, (rp_job_key_t){row->due, row->id});
        }
    }
    rp_jobs_answer_rows (self, pending->session, pending->request, RP_JOBS_STATE);
}

static void s_take_services (rp_jobs_t *self, const rp_stored_t *stored)
{
    if (stored->outcome != RP_STORED_SAFE) {
        self->services_at = self->time.now + S_AGAIN_US;
        return;
    }
    uint64_t before = self->figures.open;
    self->begun = true;
    rp_jobs_set_ahead (self, stored->flags);
    size_t count = stored->rows ? stored->rows->service_count : 0;
    for (size_t index = 0; index < count; index++) {
        const rp_store_service_t *row = &stored->rows->services[index];
        rp_jobs_service_t *service =
          rp_jobs_get_service (self, row->service.data, row->service.size);
        RP_CHECK_MEMORY (service != NULL);
        service->open += row->waiting + row->running;
        self->figures.open += row->waiting + row->running;
        if (row->due != RP_STORE_NEVER)
            rp_jobs_leave_behind (self, service, (rp_job_key_t){row->due, 1});
    }
    if (stored->adopted)
        self->figures.adopted += self->figures.open - before;
}

/*  Takes what was another broker's.  */
static void s_take_news (rp_jobs_t *self, const rp_stored_t *stored)
{
    if (!self->begun) // which is still to come, and tells of all
        return;
    s_take_services (self, stored);
    rp_jobs_drop_ended (self, stored->rows);
    if (!stored->rows || stored->rows->service_count == 0)
        return;
    rp_jobs_list_running (self, 0);
}

/*  What was listed, or browsed.  */
static void s_listed (rp_jobs_t *self, const rp_jobs_pending_t *pending, const rp_stored_t *stored)
{
    switch (pending->purpose) {
        case RP_JOBS_FOR_BEGIN:
            self->lost = stored->outcome == RP_STORED_LOST;
            if (stored->outcome == RP_STORED_SAFE)
                rp_jobs_count_anew (self);
            s_take_services (self, stored);
            break;
        case RP_JOBS_FOR_NEWS:
            s_take_news (self, stored);
            break;
        case RP_JOBS_FOR_RECOVER:
            s_recover (self, pending, stored);
            break;
        case RP_JOBS_FOR_EXPIRE:
            s_expire (self, stored);
            break;
        case RP_JOBS_FOR_BROWSE:
            s_browsed (self, pending, stored);
    }
}

void rp_jobs_stored (rp_jobs_t *self,
  const rp_stored_t *stored,
  rp_payload_t *const *rows,
  rp_jobs_time_t time,
  rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    rp_jobs_pending_t pending = s_next_pending (self);
    RP_CHECK (pending.kind == stored->kind);
    if (stored->outcome == RP_STORED_LOST)
        rp_jobs_lose (self);
    rp_job_t *job = pending.job ? rp_pool_find (&self->jobs, pending.job) : NULL;
    rp_jobs_waiter_t *waiter =
      pending.waiter ? rp_pool_find (&self->waiters, pending.waiter) : NULL;
    if (pending.job && !job) { // it has been lost meanwhile
        rp_actions_drop (actions, stored->kept);
        return;
    }
    switch (pending.kind) {
        case RP_STORE_PUT:
            s_put (self, &pending, job, stored);
            break;
        case RP_STORE_ATTEMPT:
            s_claimed (self, job, stored);
            break;
        case RP_STORE_PARK:
            s_parked (self, job, stored);
            break;
        case RP_STORE_FINAL:
            s_finished (self, job, stored);
            break;
        case RP_STORE_LOAD:
            rp_jobs_loaded (self, &pending, stored, rows);
            break;
        case RP_STORE_FIND:
            if (waiter)
                rp_jobs_found (self, waiter, stored);
            break;
        case RP_STORE_KEY:
            s_looked (self, &pending, stored);
            break;
        case RP_STORE_REMOVE:
            if (waiter)
                rp_jobs_removed (self, waiter, stored->outcome);
            break;
        default:
            s_listed (self, &pending, stored);
    }
}

void rp_jobs_write_again (rp_jobs_t *self)
{
    if (rp_list_is_empty (&self->again))
        return;
    rp_list_t again = self->again;
    again.ring.next->previous = again.ring.previous->next = &again.ring;
    rp_list_init (&self->again);
    self->again_at = RP_JOBS_NEVER;
    rp_list_node_t *node;
    while ((node = rp_list_first (&again))) {
        rp_job_t *job = RP_CONTAINER (node, rp_job_t, node);
        rp_list_remove (node);
        if (job->state == RP_STEP_PARKING)
            rp_job_write_park (self, job);
        else
            rp_job_write_final (self, job);
    }
}
