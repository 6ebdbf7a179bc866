/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "broker/jobs/job_terms.h"
#include "broker/jobs/jobs_state.h"
#include "common/base/check.h"
#include "common/base/earlier.h"

/*  How long a job waits whose attempt did not begin, µs: what refused it may go on refusing.  */
#define S_RETURN_US 100000

/*  The allowed transitions, from row to column. What is written a second time stays where it is.  */
static const bool s_allowed[RP_STEP_COUNT][RP_STEP_COUNT] = {
  [RP_STEP_NEW] = {[RP_STEP_PUTTING] = true,
    [RP_STEP_WAITING] = true,
    [RP_STEP_PARKING] = true,
    [RP_STEP_FINISHING] = true},
  [RP_STEP_PUTTING] = {[RP_STEP_WAITING] = true, [RP_STEP_RUNNING] = true},
  [RP_STEP_WAITING] =
    {[RP_STEP_CLAIMING] = true, [RP_STEP_PARKING] = true, [RP_STEP_FINISHING] = true},
  [RP_STEP_CLAIMING] =
    {[RP_STEP_WAITING] = true, [RP_STEP_RUNNING] = true, [RP_STEP_FINISHING] = true},
  [RP_STEP_RUNNING] = {[RP_STEP_PARKING] = true, [RP_STEP_FINISHING] = true},
  [RP_STEP_PARKING] = {[RP_STEP_PARKING] = true, [RP_STEP_FINISHING] = true},
  [RP_STEP_FINISHING] = {[RP_STEP_FINISHING] = true},
};

/*  ---- Jobs in memory ------------------------------------------------------------------------- */

rp_job_t *rp_job_find (const rp_jobs_t *self, uint64_t id)
{
    uint64_t hash = rp_hash_pair (id, 0, self->options.seed);
    rp_table_cursor_t cursor;
    rp_job_t *job = rp_table_first (&self->jobs_by_id, hash, &cursor);
    while (job && job->id != id)
        job = rp_table_next (&self->jobs_by_id, hash, &cursor);
    return job;
}

bool rp_job_name (rp_jobs_t *self, rp_job_t *job, uint64_t id)
{
    if (!rp_table_insert (&self->jobs_by_id, rp_hash_pair (id, 0, self->options.seed), job))
        return false;
    job->id = id;
    return true;
}

/*  Undoes what is counted of a job for its state.  */
static void s_leave_state (rp_jobs_t *self, rp_job_t *job)
{
    if (job->state == RP_STEP_WAITING) {
        rp_heap_remove (&job->service->waiting, &job->turn);
        job->service->loaded--;
        self->bytes -= job->bytes;
    }
    else if (job->state == RP_STEP_RUNNING) {
        self->figures.running--;
    }
}

void rp_job_set_state (rp_jobs_t *self, rp_job_t *job, rp_job_step_t state)
{
    RP_CHECK (s_allowed[job->state][state]);
    s_leave_state (self, job);
    job->state = (uint8_t) state;
    if (state == RP_STEP_WAITING) {
        job->service->loaded++;
        self->bytes += job->bytes;
    }
    else if (state == RP_STEP_RUNNING) {
        self->figures.running++;
    }
}

void rp_job_forget (rp_jobs_t *self, rp_job_t *job)
{
    s_leave_state (self, job);
    if (job->id)
        rp_table_remove (&self->jobs_by_id, rp_hash_pair (job->id, 0, self->options.seed), job);
    rp_actions_drop (self->actions, job->payload);
    self->figures.loaded--;
    rp_pool_give (&self->jobs, job);
}

rp_job_t *rp_job_new (rp_jobs_t *self, rp_jobs_service_t *service)
{
    rp_job_t *job = rp_pool_take (&self->jobs);
    if (!job)
        return NULL;
    rp_heap_node_init (&job->turn);
    job->service = service;
    self->figures.loaded++;
    return job;
}

void rp_job_leave (rp_jobs_t *self, rp_job_t *job)
{
    rp_jobs_service_t *service = job->service;
    service->active--;
    rp_job_forget (self, job);
    rp_jobs_look_at (self, service, self->clock);
}

bool rp_job_keep (rp_jobs_t *self, rp_job_t *job)
{
    rp_jobs_service_t *service = job->service;
    if (!rp_heap_push (&service->waiting, &job->turn, (uint64_t) job->due))
        return false;
    rp_job_set_state (self, job, RP_STEP_WAITING);
    rp_jobs_look_at (self, service, job->due);
    return true;
}

void rp_job_wait (rp_jobs_t *self, rp_job_t *job)
{
    rp_jobs_service_t *service = job->service;
    rp_job_key_t key = {job->due, job->id};
    bool near = service->whole || !rp_job_key_is_before (service->horizon, key);
    if (near && job->payload && service->loaded < self->options.page
        && self->bytes + job->bytes <= self->options.bytes
        && job->due <= self->clock + RP_JOBS_AHEAD_US && rp_job_keep (self, job))
        return;
    rp_jobs_leave_behind (self, service, key);
    rp_job_forget (self, job);
}

/*  ---- One job's way -------------------------------------------------------------------------- */

void rp_job_start (rp_jobs_t *self, rp_job_t *job)
{
    rp_job_set_state (self, job, RP_STEP_RUNNING);
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_START, (rp_session_id_t){0});
    action->payload = job->payload;
    action->head = (rp_head_t){.id = rp_job_handle (job),
      .attempt = (uint8_t) (job->attempt - 1),
      .attempts = job->attempts,
      .deadline_ms = job->attempt_ms ? job->attempt_ms : RP_DEADLINE_MAX_MS};
    job->payload = NULL;
}

/*  Appends an operation on a job.  */
static rp_store_op_t *s_write (
  rp_jobs_t *self, const rp_job_t *job, rp_store_kind_t kind, rp_payload_t *body)
{
    rp_store_op_t *op =
      rp_jobs_store (self, kind, body, (rp_jobs_pending_t){.job = rp_job_handle (job)});
    op->id = job->id;
    op->at = self->time.wall;
    op->attempt = job->attempt;
    return op;
}

/*  The same for the end of an attempt: how, why and at which worker.  */
static rp_store_op_t *s_write_end (
  rp_jobs_t *self, const rp_job_t *job, rp_store_kind_t kind, rp_payload_t *body)
{
    rp_store_op_t *op = s_write (self, job, kind, body);
    op->status = job->status;
    op->text = job->text;
    op->text_size = job->text_size;
    op->worker = job->worker[0] ? job->worker : NULL;
    return op;
}

void rp_job_write_final (rp_jobs_t *self, rp_job_t *job)
{
    rp_job_set_state (self, job, RP_STEP_FINISHING);
    uint64_t keep = job->keep_ms;
    if (job->dead && keep < RP_JOB_KEEP_DEAD_MS)
        keep = RP_JOB_KEEP_DEAD_MS;
    rp_store_op_t *op = s_write_end (self, job, RP_STORE_FINAL, job->payload);
    op->until = self->time.wall + (int64_t) keep * 1000;
    op->code = job->code;
    op->dead = job->dead;
    op->other = job->other;
    op->headers = job->headers;
    op->headers_size = job->headers_size;
    job->payload = NULL;
}

void rp_job_set_text (rp_job_t *job, const char *text)
{
    job->text = text;
    job->text_size = (uint16_t) strlen (text);
}

void rp_job_end_waiting (rp_jobs_t *self, rp_job_t *job, rp_status_t status, const char *text)
{
    job->service->active++;
    rp_actions_drop (self->actions, job->payload); // what is written with a final is a reply
    job->payload = NULL;
    job->status = (uint8_t) status;
    job->dead = false;
    rp_job_set_text (job, text);
    rp_job_write_final (self, job);
}

void rp_job_claim (rp_jobs_t *self, rp_job_t *job)
{
    if (job->deadline <= self->time.wall) {
        rp_job_end_waiting (
          self, job, RP_EXPIRED, "the job's deadline passed before a worker had it");
        return;
    }
    job->service->active++;
    rp_job_set_state (self, job, RP_STEP_CLAIMING);
    job->attempt++;
    (void) s_write (self, job, RP_STORE_ATTEMPT, NULL);
}

void rp_job_write_park (rp_jobs_t *self, rp_job_t *job)
{
    rp_job_set_state (self, job, RP_STEP_PARKING);
    rp_store_op_t *op = s_write_end (self, job, RP_STORE_PARK, NULL);
    op->due = job->due;
    op->unbegun = job->unbegun;
}

void rp_job_put_off (rp_jobs_t *self, rp_job_t *job, int64_t due)
{
    job->service->active++;
    job->unbegun = true;
    job->status = 0;
    rp_job_set_text (job, "");
    job->due = due;
    rp_job_write_park (self, job);
}

void rp_job_fail (rp_jobs_t *self, rp_job_t *job)
{
    if (job->attempt >= job->attempts) {
        job->dead = true;
        rp_job_write_final (self, job);
        return;
    }
    uint64_t chance = rp_hash_pair (job->id, job->attempt, self->options.seed);
    uint32_t pause = rp_job_pause (job->backoff_ms, job->attempt, chance);
    self->figures.retried++;
    job->unbegun = false;
    job->due = self->clock + (int64_t) pause * 1000;
    rp_job_write_park (self, job);
}

/*  The attempt never reached a worker: the job waits again, and the attempt does not count.  */
static void s_return (rp_jobs_t *self, rp_job_t *job)
{
    job->attempt--;
    job->unbegun = true;
    job->due = self->clock + S_RETURN_US;
    if (job->status == RP_BUSY)
        rp_jobs_hold_back (self, job->service);
    rp_job_write_park (self, job);
}

static void s_read_reply (
  rp_jobs_t *self, rp_job_t *job, const rp_head_t *head, const rp_payload_t *reply)
{
    job->status = head->status;
    job->code = head->code;
    job->flags = head->flags;
    job->text = head->text;
    job->text_size = head->text_size;
    job->headers = head->headers;
    job->headers_size = head->headers_size;
    job->worker[0] = 0;
    if (!reply) { // the text is the core's, which may use its place before this is written
        job->text = rp_actions_format (self->actions, "%.*s", (int) head->text_size, head->text);
        job->text_size = (uint16_t) strlen (job->text);
        if (job->text_size == 0) // or the list has no room for it
            rp_job_set_text (job, rp_strerror (job->status));
        job->headers = NULL;
        job->headers_size = 0;
    }
    if (head->key) {
        size_t size = strnlen (head->key, sizeof job->worker - 1);
        memcpy (job->worker, head->key, size);
        job->worker[size] = 0;
    }
}

void rp_jobs_answered (rp_jobs_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  rp_jobs_time_t time,
  rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    rp_job_t *job = rp_pool_find (&self->jobs, head->id);
    if (!job || job->state != RP_STEP_RUNNING) {
        rp_actions_drop (actions, payload);
        return;
    }
    bool answered = head->status == RP_OK || head->status == RP_APP_ERROR;
    s_read_reply (self, job, head, answered ? payload : NULL);
    if (answered)
        job->payload = payload;
    else
        rp_actions_drop (actions, payload);
    if (answered || job->cancelled) {
        if (!answered) {
            job->attempt = head->attempt; // without one that never began
            job->status = RP_CANCELLED;
            rp_job_set_text (job, "the job was cancelled");
        }
        rp_job_write_final (self, job);
    }
    else if (head->attempt < job->attempt) {
        s_return (self, job);
    }
    else {
        rp_job_fail (self, job);
    }
}

bool rp_job_end_row (
  rp_jobs_t *self, const rp_store_row_t *row, rp_status_t status, const char *text)
{
    rp_jobs_service_t *service =
      rp_jobs_get_service (self, row->job.service.data, row->job.service.size);
    rp_job_t *job = service ? rp_job_new (self, service) : NULL;
    if (!job)
        return false;
    rp_job_set_state (self, job, RP_STEP_FINISHING);
    if (!rp_job_name (self, job, row->id)) {
        rp_job_forget (self, job);
        return false;
    }
    service->active++;
    job->other = row->elsewhere || !self->begun;
    if (job->other) {
        service->open++;
        self->figures.open++;
    }
    job->keep_ms = row->job.keep_ms;
    job->attempt = row->attempt;
    job->attempts = row->job.attempts;
    job->status = (uint8_t) status;
    rp_job_set_text (job, text);
    rp_job_write_final (self, job);
    return true;
}

/*  ---- Submission ----------------------------------------------------------------------------- */

/*  When a job is due; jobs without delay in the order in which they came.  */
static int64_t s_due (rp_jobs_t *self, int64_t not_before)
{
    if (not_before > self->time.wall)
        return not_before + self->ahead;
    self->latest_due = rp_later (self->clock, self->latest_due + 1);
    return self->latest_due;
}

/*  Fills in what the store is told of a new job.  */
static void s_fill_put (const rp_jobs_t *self,
  rp_jobs_put_t *put,
  const rp_jobs_request_t *request,
  const rp_job_terms_t *terms,
  const rp_job_t *job)
{
    const rp_jobs_service_t *service = job->service;
    size_t size = strnlen (request->principal, sizeof put->principal);
    memcpy (put->principal, request->principal, size);
    put->job = (rp_store_job_t){
      .service = {service->name, service->name_size},
      .principal = {put->principal, size},
      .key = {terms->key, terms->key_size},
      .headers = {request->head->headers, request->head->headers_size},
      .accepted = self->time.wall,
      .not_before = job->instant ? job->instant : job->due,
      .flags = rp_jobs_flags (self, job->instant != 0),
      .deadline = terms->deadline == INT64_MAX ? RP_STORE_NEVER : terms->deadline,
      .attempt_timeout_ms = terms->attempt_ms,
      .backoff_ms = terms->backoff_ms,
      .keep_ms = terms->keep_ms,
      .attempts = terms->attempts,
    };
    if (terms->key_size)
        memcpy (put->job.digest, request->digest, RP_STORE_DIGEST);
}

const char *rp_jobs_over_limit (const rp_jobs_t *self, const char *service, size_t size)
{
    if (self->figures.open >= self->options.most)
        return "too many jobs are open (limit jobs)";
    if (self->options.services && self->services.count >= self->options.services
        && !rp_jobs_look_up (self, service, size))
        return "jobs are open for too many services (limit max_services)";
    return NULL;
}

/*  There is no room for the job.  */
static void s_refuse_or_replay (rp_jobs_t *self,
  const rp_jobs_request_t *request,
  const rp_job_terms_t *terms,
  const char *refusal)
{
    rp_store_job_t job = {.service = {request->head->name, request->head->name_size},
      .principal = {request->principal, strnlen (request->principal, RP_PRINCIPAL_MAX)},
      .key = {terms->key, terms->key_size}};
    if (terms->key_size)
        memcpy (job.digest, request->digest, RP_STORE_DIGEST);
    rp_jobs_refuse_or_replay (self, request->session, request->head->id, &job, refusal);
}

/*  Makes a job that is to be written; NULL when it is refused.  */
static rp_job_t *s_make (rp_jobs_t *self, const rp_jobs_request_t *request, rp_job_terms_t *terms)
{
    const rp_head_t *head = request->head;
    const char *wrong = rp_job_terms_read (terms, head, self->time.wall);
    const char *over = wrong ? NULL : rp_jobs_over_limit (self, head->name, head->name_size);
    rp_jobs_service_t *service = NULL;
    rp_job_t *job = NULL;
    rp_jobs_put_t *put = NULL;
    if (wrong)
        rp_jobs_refuse (self, request->session, head->id, RP_INVALID, wrong);
    else if (self->away)
        rp_jobs_refuse (self, request->session, head->id, RP_BUSY, RP_JOBS_AWAY);
    else if (over)
        s_refuse_or_replay (self, request, terms, over);
    else if (!(put = rp_pool_take (&self->puts))
             || !(service = rp_jobs_get_service (self, head->name, head->name_size))
             || !(job = rp_job_new (self, service)))
        rp_jobs_refuse (self, request->session, head->id, RP_BUSY, "the broker is out of memory");
    if (!job) {
        rp_actions_drop (self->actions, request->payload);
        if (put)
            rp_pool_give (&self->puts, put);
        if (service)
            rp_jobs_leave_service (self, service);
        return NULL;
    }
    rp_job_set_state (self, job, RP_STEP_PUTTING);
    job->put = put;
    return job;
}

void rp_jobs_submit (
  rp_jobs_t *self, const rp_jobs_request_t *request, rp_jobs_time_t time, rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    const rp_head_t *head = request->head;
    rp_job_terms_t terms;
    rp_job_t *job = s_make (self, request, &terms);
    if (!job)
        return;
    rp_jobs_service_t *service = job->service;
    job->attempts = terms.attempts;
    job->due = s_due (self, terms.not_before);
    job->instant = terms.instant ? terms.not_before : 0;
    job->deadline = terms.deadline;
    job->keep_ms = terms.keep_ms;
    job->attempt_ms = terms.attempt_ms;
    job->backoff_ms = terms.backoff_ms;
    job->bytes = request->bytes < UINT32_MAX ? (uint32_t) request->bytes : UINT32_MAX;
    service->open++;
    self->figures.open++;
    // The first attempt is noted with the job, unless others are before it.
    if (terms.not_before <= time.wall && self->begun && service->share == 0
        && (service->whole || job->due < service->horizon.due) && service->loaded == 0
        && service->coming == 0 && rp_jobs_room (self, service) > 0) {
        job->attempt = 1;
        service->active++;
    }
    else {
        service->coming++;
    }
    s_fill_put (self, job->put, request, &terms, job);
    rp_store_op_t *op = rp_jobs_store (self, RP_STORE_PUT, request->payload,
      (rp_jobs_pending_t){
        .job = rp_job_handle (job), .session = request->session, .request = head->id});
    op->attempt = job->attempt;
    op->at = time.wall;
    op->due = job->due;
    op->job = &job->put->job;
}
