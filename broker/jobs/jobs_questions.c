/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "broker/jobs/jobs_state.h"

/*  When a job that another broker has is looked at for those who wait for its final: after the first pause, then after
    one twice as long each time, up to the longest, µs.  */
#define S_LOOK_US 200000
#define S_LOOK_MOST_US 2000000

/*  ---- Questions ------------------------------------------------------------------------------ */

static uint64_t s_waiter_hash (const rp_jobs_t *self, uint64_t job)
{
    return rp_hash_pair (job, 1, self->options.seed);
}

static uint64_t s_request_hash (const rp_jobs_t *self, rp_session_id_t session, uint64_t request)
{
    return rp_hash_pair (session.v, request, self->options.seed);
}

static uint64_t s_session_hash (const rp_jobs_t *self, rp_session_id_t session)
{
    return rp_hash_pair (session.v, 2, self->options.seed);
}

static rp_jobs_asker_t *s_find_asker (const rp_jobs_t *self, rp_session_id_t session)
{
    uint64_t hash = s_session_hash (self, session);
    rp_table_cursor_t cursor;
    rp_jobs_asker_t *asker = rp_table_first (&self->askers_by_session, hash, &cursor);
    while (asker && asker->session.v != session.v)
        asker = rp_table_next (&self->askers_by_session, hash, &cursor);
    return asker;
}

/*  Returns the asker, made if there is none; NULL when out of memory.  */
static rp_jobs_asker_t *s_get_asker (rp_jobs_t *self, rp_session_id_t session)
{
    rp_jobs_asker_t *asker = s_find_asker (self, session);
    if (asker || !(asker = rp_pool_take (&self->askers)))
        return asker;
    asker->session = session;
    rp_list_init (&asker->waiters);
    if (rp_table_insert (&self->askers_by_session, s_session_hash (self, session), asker))
        return asker;
    rp_pool_give (&self->askers, asker);
    return NULL;
}

/*  Frees an asker without questions.  */
static void s_leave_asker (rp_jobs_t *self, rp_jobs_asker_t *asker)
{
    if (!rp_list_is_empty (&asker->waiters))
        return;
    rp_table_remove (&self->askers_by_session, s_session_hash (self, asker->session), asker);
    rp_pool_give (&self->askers, asker);
}

/*  Has a job that another broker has looked at after the waiter's pause: nobody says here when it ends.  */
static void s_look_after_pause (rp_jobs_t *self, rp_jobs_waiter_t *waiter)
{
    int64_t look = self->time.now + waiter->pause;
    if (look < waiter->until)
        rp_heap_update (&self->patience, &waiter->due, (uint64_t) look);
}

/*  Who has looked for all is gone: one of the others does.  */
static void s_hand_on_look (rp_jobs_t *self, uint64_t job, uint32_t pause)
{
    uint64_t hash = s_waiter_hash (self, job);
    rp_table_cursor_t cursor;
    rp_jobs_waiter_t *waiter = rp_table_first (&self->waiters_by_job, hash, &cursor);
    while (
      waiter
      && (waiter->question.job != job || waiter->question.what != RP_JOBS_RESULT || !waiter->found))
        waiter = rp_table_next (&self->waiters_by_job, hash, &cursor);
    if (!waiter) // or each is asked for, and looks if there is need
        return;
    waiter->pause = pause;
    s_look_after_pause (self, waiter);
}

static void s_drop_waiter (rp_jobs_t *self, rp_jobs_waiter_t *waiter)
{
    const rp_jobs_question_t *question = &waiter->question;
    rp_heap_remove (&self->patience, &waiter->due);
    rp_table_remove (&self->waiters_by_job, s_waiter_hash (self, question->job), waiter);
    rp_table_remove (&self->waiters_by_request,
      s_request_hash (self, question->session, question->request), waiter);
    rp_list_remove (&waiter->node);
    waiter->asker->count--;
    s_leave_asker (self, waiter->asker);
    if (waiter->pause > 0)
        s_hand_on_look (self, question->job, waiter->pause);
    rp_pool_give (&self->waiters, waiter);
}

/*  Makes a question wait. NULL when out of memory, or of places.  */
static rp_jobs_waiter_t *s_add_waiter (rp_jobs_t *self, const rp_jobs_question_t *question)
{
    int64_t until = self->time.now + (int64_t) question->wait_ms * 1000;
    rp_jobs_asker_t *asker = s_get_asker (self, question->session);
    rp_jobs_waiter_t *waiter = asker ? rp_pool_take (&self->waiters) : NULL;
    if (!waiter) {
        if (asker)
            s_leave_asker (self, asker);
        return NULL;
    }
    uint64_t by_job = s_waiter_hash (self, question->job);
    uint64_t by_request = s_request_hash (self, question->session, question->request);
    rp_heap_node_init (&waiter->due);
    waiter->question = *question;
    waiter->until = until;
    waiter->asker = asker;
    bool timed = rp_heap_push (&self->patience, &waiter->due, (uint64_t) until);
    bool named = timed && rp_table_insert (&self->waiters_by_job, by_job, waiter);
    if (named && rp_table_insert (&self->waiters_by_request, by_request, waiter)) {
        rp_list_append (&asker->waiters, &waiter->node);
        asker->count++;
        return waiter;
    }
    if (named)
        rp_table_remove (&self->waiters_by_job, by_job, waiter);
    if (timed)
        rp_heap_remove (&self->patience, &waiter->due);
    rp_pool_give (&self->waiters, waiter);
    s_leave_asker (self, asker);
    return NULL;
}

void rp_jobs_find_for (rp_jobs_t *self, const rp_jobs_waiter_t *waiter)
{
    rp_store_op_t *op = rp_jobs_store (
      self, RP_STORE_FIND, NULL, (rp_jobs_pending_t){.waiter = rp_pool_handle (&waiter->pooled)});
    op->id = waiter->question.job;
    if (!waiter->question.body)
        op->leaves =
          waiter->question.what == RP_JOBS_RESULT ? RP_STORE_LEAVE_BODY : RP_STORE_LEAVE_FRAMES;
}

static size_t s_count_waiters (const rp_jobs_t *self, uint64_t job)
{
    size_t count = 0;
    uint64_t hash = s_waiter_hash (self, job);
    rp_table_cursor_t cursor;
    for (const void *waiter = rp_table_first (&self->waiters_by_job, hash, &cursor); waiter;
         waiter = rp_table_next (&self->waiters_by_job, hash, &cursor))
        count++;
    return count;
}

/*  Returns why a question finds no place; NULL if there may be one.  */
static const char *s_over_limit (const rp_jobs_t *self, const rp_jobs_question_t *question)
{
    bool waits = question->what == RP_JOBS_RESULT && question->wait_ms > 0;
    size_t most = waits ? RP_JOBS_WAITERS_OF_ONE : 2 * RP_JOBS_WAITERS_OF_ONE;
    const rp_jobs_asker_t *asker = s_find_asker (self, question->session);
    if (asker && asker->count >= rp_dispatch_limits (self->options.core)->client_open)
        return "too many questions of this client about jobs wait (limit client_open)";
    if (s_count_waiters (self, question->job) >= most)
        return "too many questions about this job wait";
    return NULL;
}

void rp_jobs_ask (
  rp_jobs_t *self, const rp_jobs_question_t *question, rp_jobs_time_t time, rp_actions_t *actions)
{
    rp_jobs_set_time (self, time);
    self->actions = actions;
    const char *refusal = self->away ? RP_JOBS_AWAY : s_over_limit (self, question);
    rp_jobs_waiter_t *waiter = refusal ? NULL : s_add_waiter (self, question);
    if (!waiter) {
        rp_jobs_reply (self, question->session, question->request, RP_BUSY,
          refusal ? refusal : "too many questions about jobs wait in the broker");
        return;
    }
    if (question->principal) {
        size_t size = strnlen (question->principal, RP_PRINCIPAL_MAX);
        memcpy (waiter->principal, question->principal, size);
        waiter->question.principal = waiter->principal;
    }
    rp_jobs_find_for (self, waiter);
}

bool rp_jobs_withdraw (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_actions_t *actions)
{
    self->actions = actions;
    uint64_t hash = s_request_hash (self, session, request);
    rp_table_cursor_t cursor;
    rp_jobs_waiter_t *waiter = rp_table_first (&self->waiters_by_request, hash, &cursor);
    while (
      waiter && (waiter->question.request != request || waiter->question.session.v != session.v))
        waiter = rp_table_next (&self->waiters_by_request, hash, &cursor);
    if (!waiter)
        return false;
    s_drop_waiter (self, waiter);
    rp_jobs_reply (self, session, request, RP_CANCELLED, "the question was cancelled");
    return true;
}

void rp_jobs_end_session (rp_jobs_t *self, rp_session_id_t session)
{
    rp_jobs_asker_t *asker;
    while ((asker = s_find_asker (self, session))) // it goes with its last question
        s_drop_waiter (
          self, RP_CONTAINER (rp_list_first (&asker->waiters), rp_jobs_waiter_t, node));
}

void rp_jobs_answer_rows (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_jobs_what_t what)
{
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_ROWS, session);
    action->asked.id = request;
    action->asked.what = (int) what;
}

static bool s_is_own (const rp_jobs_waiter_t *waiter, const rp_store_row_t *row)
{
    const char *principal = waiter->question.principal;
    return !principal
           || (row->job.principal.size == strlen (principal)
               && memcmp (row->job.principal.data, principal, row->job.principal.size) == 0);
}

/*  Cancels an open job, whose row is in hand. False when out of memory.  */
static bool s_cancel (rp_jobs_t *self, const rp_store_row_t *row)
{
    rp_job_t *job = rp_job_find (self, row->id);
    if (job && job->state == RP_STEP_WAITING) {
        rp_job_end_waiting (self, job, RP_CANCELLED, "the job was cancelled");
    }
    else if (job && job->state == RP_STEP_RUNNING && !job->cancelled) {
        rp_actions_add (self->actions, RP_ACTION_WITHDRAW, (rp_session_id_t){0})->head.id =
          rp_job_handle (job);
        job->cancelled = true;
    }
    else if (job) {
        job->cancelled = true; // once it is written
    }
    else {
        return rp_job_end_row (self, row, RP_CANCELLED, "the job was cancelled");
    }
    return true;
}

/*  True if somebody looks at another broker's job for all who wait for it.  */
static bool s_is_looked_at (const rp_jobs_t *self, uint64_t job)
{
    uint64_t hash = s_waiter_hash (self, job);
    rp_table_cursor_t cursor;
    const rp_jobs_waiter_t *waiter = rp_table_first (&self->waiters_by_job, hash, &cursor);
    while (waiter && (waiter->question.job != job || waiter->pause == 0))
        waiter = rp_table_next (&self->waiters_by_job, hash, &cursor);
    return waiter != NULL;
}

/*  A question goes on waiting for another broker's job.  */
static void s_look_later (rp_jobs_t *self, rp_jobs_waiter_t *waiter)
{
    if (waiter->pause == 0 && s_is_looked_at (self, waiter->question.job))
        return;
    waiter->pause = waiter->pause == 0                   ? S_LOOK_US
                    : waiter->pause < S_LOOK_MOST_US / 2 ? waiter->pause * 2
                                                         : S_LOOK_MOST_US;
    s_look_after_pause (self, waiter);
}

/*  A job that was looked at for all who wait is not open any more: each has it read as it wants to.  */
static void s_find_for_all (rp_jobs_t *self, uint64_t job)
{
    uint64_t hash = s_waiter_hash (self, job);
    rp_table_cursor_t cursor;
    for (rp_jobs_waiter_t *waiter = rp_table_first (&self->waiters_by_job, hash, &cursor); waiter;
         waiter = rp_table_next (&self->waiters_by_job, hash, &cursor))
        if (waiter->question.job == job && waiter->question.what == RP_JOBS_RESULT
            && waiter->found) {
            waiter->found = false;
            rp_jobs_find_for (self, waiter);
        }
}

/*  Retries a job, whose row is in hand, or says why not.  */
static void s_retry (rp_jobs_t *self, const rp_jobs_question_t *question, const rp_store_row_t *row)
{
    const char *over = rp_jobs_over_limit (self, row->job.service.data, row->job.service.size);
    if (row->state != RP_JOB_DEAD) {
        rp_jobs_reply (
          self, question->session, question->request, RP_APP_ERROR, "there is no such dead job");
    }
    else if (over) {
        rp_jobs_reply (self, question->session, question->request, RP_BUSY, over);
    }
    else {
        rp_store_op_t *op = rp_jobs_store (self, RP_STORE_RETRY, NULL,
          (rp_jobs_pending_t){.session = question->session, .request = question->request});
        op->id = row->id;
        op->at = op->due = self->time.wall;
    }
}

/*  Why the store did not answer, and may do so later; NULL if it did.  */
static const char *s_why_later (rp_stored_outcome_t outcome)
{
    if (outcome == RP_STORED_LOST)
        return RP_JOBS_LOST;
    if (outcome == RP_STORED_AWAY)
        return RP_JOBS_AWAY;
    bool later = outcome == RP_STORED_BUSY || rp_stored_is_for_later (outcome);
    return later ? "too much waits for the store of jobs" : NULL;
}

void rp_jobs_found (rp_jobs_t *self, rp_jobs_waiter_t *waiter, const rp_stored_t *stored)
{
    const rp_jobs_question_t *question = &waiter->question;
    const rp_store_row_t *row =
      stored->outcome == RP_STORED_SAFE && stored->rows ? &stored->rows->jobs[0] : NULL;
    bool ended = row && (row->state == RP_JOB_DONE || row->state == RP_JOB_DEAD);
    bool ends = question->what == RP_JOBS_CANCEL || question->what == RP_JOBS_REMOVE;
    if (waiter->pause > 0 && (ended || stored->outcome == RP_STORED_ABSENT))
        s_find_for_all (self, question->job);
    if (stored->outcome == RP_STORED_LOST && self->services_at == RP_JOBS_NEVER) {
        rp_jobs_find_for (self, waiter); // behind the new beginning, which is on its way
        return;
    }
    const char *later = s_why_later (stored->outcome);
    if (later) {
        rp_jobs_reply (self, question->session, question->request, RP_BUSY, later);
    }
    else if (!row || !s_is_own (waiter, row)) {
        rp_jobs_reply (
          self, question->session, question->request, RP_APP_ERROR, "there is no such job");
    }
    else if (question->what == RP_JOBS_RETRY) {
        s_retry (self, question, row);
    }
    else if (ends && !ended && !waiter->found) {
        waiter->found = true;
        if (s_cancel (self, row))
            return;
        rp_jobs_reply (
          self, question->session, question->request, RP_BUSY, "the broker is out of memory");
    }
    else if (question->what == RP_JOBS_RESULT && !ended && question->wait_ms > 0
             && !waiter->found) {
        waiter->found = true;
        if (row->elsewhere)
            s_look_later (self, waiter);
        else
            waiter->pause = 0; // its final is told here
        return;
    }
    else if (question->what == RP_JOBS_REMOVE && ended) {
        rp_jobs_store (self, RP_STORE_REMOVE, NULL,
          (rp_jobs_pending_t){.waiter = rp_pool_handle (&waiter->pooled)})
          ->id = row->id;
        return;
    }
    else {
        rp_jobs_answer_rows (self, question->session, question->request,
          question->what == RP_JOBS_RESULT && ended ? RP_JOBS_RESULT : RP_JOBS_STATE);
    }
    s_drop_waiter (self, waiter);
}

void rp_jobs_removed (rp_jobs_t *self, rp_jobs_waiter_t *waiter, rp_stored_outcome_t outcome)
{
    const rp_jobs_question_t *question = &waiter->question;
    if (outcome == RP_STORED_SAFE)
        rp_jobs_reply (self, question->session, question->request, RP_OK, "the job is removed");
    else if (outcome == RP_STORED_ABSENT)
        rp_jobs_reply (self, question->session, question->request, RP_APP_ERROR,
          "the job is gone, or dead, and dead ones are kept until they are purged");
    else
        rp_jobs_reply (self, question->session, question->request, RP_BUSY,
          outcome == RP_STORED_AWAY   ? RP_JOBS_AWAY
          : outcome == RP_STORED_LOST ? RP_JOBS_LOST
                                      : "the store is full; ask again");
    s_drop_waiter (self, waiter);
}

void rp_jobs_tell_waiters (rp_jobs_t *self, const rp_job_t *job, rp_payload_t *reply)
{
    uint64_t hash = s_waiter_hash (self, job->id);
    rp_table_cursor_t cursor;
    rp_jobs_waiter_t *waiter = rp_table_first (&self->waiters_by_job, hash, &cursor);
    while (waiter) {
        bool told = waiter->question.job == job->id && waiter->found;
        if (told && (waiter->question.what != RP_JOBS_RESULT || !reply)) {
            waiter->found = false; // it is passed again below, and looked for once
            rp_jobs_find_for (self, waiter);
        }
        else if (told) {
            rp_action_t *action =
              rp_actions_add (self->actions, RP_ACTION_SEND, waiter->question.session);
            action->payload = reply;
            action->keep = true;
            action->head = (rp_head_t){.command = RP_COMMAND_REPLY,
              .flags = job->flags & (RP_FLAG_INLINE | RP_FLAG_LAST),
              .status = job->status,
              .attempt = job->attempt,
              .id = waiter->question.request,
              .job = job->id};
            s_drop_waiter (self, waiter);
            waiter = rp_table_first (&self->waiters_by_job, hash, &cursor);
            continue;
        }
        waiter = rp_table_next (&self->waiters_by_job, hash, &cursor);
    }
}

void rp_jobs_browse (rp_jobs_t *self,
  rp_session_id_t session,
  uint64_t request,
  const rp_store_op_t *op,
  rp_actions_t *actions)
{
    self->actions = actions;
    if (self->away) {
        rp_jobs_reply (self, session, request, RP_BUSY, RP_JOBS_AWAY);
        return;
    }
    rp_store_op_t *own = rp_jobs_store (self, (rp_store_kind_t) op->kind, NULL,
      (rp_jobs_pending_t){.session = session, .request = request});
    uint64_t number = own->number;
    *own = *op;
    own->number = number;
}

void rp_jobs_end_patience (rp_jobs_t *self)
{
    uint64_t due;
    rp_heap_node_t *node;
    while ((node = rp_heap_first (&self->patience, &due)) && (int64_t) due <= self->time.now) {
        rp_jobs_waiter_t *waiter = RP_CONTAINER (node, rp_jobs_waiter_t, due);
        bool looks = waiter->until > self->time.now;
        rp_heap_update (
          &self->patience, &waiter->due, (uint64_t) (looks ? waiter->until : RP_JOBS_NEVER));
        if (!looks)
            waiter->question.wait_ms = 0; // if the store answers later
        if (!waiter->found || waiter->question.what != RP_JOBS_RESULT)
            continue;
        waiter->found = !looks; // it may wait again
        rp_jobs_find_for (self, waiter);
    }
}
