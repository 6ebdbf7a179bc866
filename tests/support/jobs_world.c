/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/jobs_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/check.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"

static rp_jobs_time_t s_time (const jobs_world_t *self)
{
    return (rp_jobs_time_t){.now = self->now, .wall = self->wall};
}

/*  ---- Payloads ------------------------------------------------------------------------------- */

static rp_payload_t *s_payload (jobs_world_t *self, uint64_t content)
{
    rp_payload_t *payload = calloc (1, sizeof *payload);
    RP_CHECK (payload != NULL);
    payload->content = content;
    self->payloads++;
    return payload;
}

static void s_free (jobs_world_t *self, rp_payload_t *payload)
{
    if (!payload)
        return;
    RP_CHECK (self->payloads > 0);
    self->payloads--;
    free (payload);
}

static jobs_world_t *s_world;

static void s_lost (void *kept)
{
    s_free (s_world, kept);
}

/*  ---- The core ------------------------------------------------------------------------------- */

static void s_add_task (jobs_world_t *self, const rp_action_t *action)
{
    if (self->task_count == self->task_capacity) {
        self->task_capacity = self->task_capacity ? self->task_capacity * 2 : 64;
        self->tasks = realloc (self->tasks, self->task_capacity * sizeof *self->tasks);
        RP_CHECK (self->tasks != NULL);
    }
    jobs_task_t *task = &self->tasks[self->task_count++];
    *task = (jobs_task_t){.token = action->token,
      .worker = action->session,
      .content = action->payload->content,
      .job = jobs_world_job (self, action->payload->content),
      .attempt = action->head.attempt,
      .attempts = action->head.attempts,
      .given = self->now,
      .deadline_ms = action->head.deadline_ms};
    if (self->hooks.start)
        self->hooks.start (self, task);
}

static void s_send (jobs_world_t *self, const rp_action_t *action)
{
    if (action->session.v == self->client.v && action->head.command == RP_COMMAND_REPLY) {
        rp_action_t *heard = rp_actions_add (&self->heard, action->kind, action->session);
        *heard = *action;
        if (!action->payload && action->head.text_size > 0)
            heard->head.text = rp_actions_format (
              &self->heard, "%.*s", (int) action->head.text_size, action->head.text);
        return;
    }
    if (action->token.v && action->payload)
        s_add_task (self, action);
    for (size_t index = 0; action->head.command == RP_COMMAND_CANCEL && index < self->task_count;
         index++)
        if (self->tasks[index].token.v == action->head.id)
            self->tasks[index].cancelled = true;
    if (!action->keep)
        s_free (self, action->payload);
}

static void s_forget_worker (jobs_world_t *self, rp_session_id_t session)
{
    for (unsigned index = 0; index < JOBS_WORLD_WORKERS; index++)
        if (self->workers[index].session.v == session.v)
            self->workers[index].session.v = 0;
    for (size_t index = self->task_count; index-- > 0;)
        if (self->tasks[index].worker.v == session.v)
            self->tasks[index] = self->tasks[--self->task_count];
}

static void s_carry_out_core (jobs_world_t *self)
{
    for (size_t index = 0; index < self->acts.count; index++) {
        const rp_action_t *action = &self->acts.list[index];
        switch (action->kind) {
            case RP_ACTION_ADMIT:
                self->admitted = action->session;
                break;
            case RP_ACTION_SEND:
                s_send (self, action);
                break;
            case RP_ACTION_DROP:
                s_free (self, action->payload);
                break;
            case RP_ACTION_UNBIND:
            case RP_ACTION_ABORT:
                s_forget_worker (self, action->session);
                break;
            default:
                break;
        }
    }
    rp_actions_reset (&self->acts);
}

static void s_tell_core (jobs_world_t *self, const rp_event_t *event)
{
    rp_dispatch_handle (self->core, event, self->now, &self->acts);
    s_carry_out_core (self);
}

/*  ---- Carrying out --------------------------------------------------------------------------- */

static void s_start (jobs_world_t *self, const rp_action_t *action)
{
    rp_payload_t *payload = action->payload;
    RP_CHECK (payload != NULL);
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = action->head.id,
      .attempt = action->head.attempt,
      .attempts = action->head.attempts,
      .deadline_ms = action->head.deadline_ms,
      .name = payload->service,
      .name_size = (uint8_t) strlen (payload->service),
      .headers = payload->headers,
      .headers_size = payload->headers_size};
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                         .session = self->client,
                         .head = &head,
                         .payload = payload,
                         .size = sizeof payload->content});
}

static void s_note_told (jobs_world_t *self, const jobs_told_t *told)
{
    if (self->told_count == self->told_capacity) {
        self->told_capacity = self->told_capacity ? self->told_capacity * 2 : 64;
        self->told = realloc (self->told, self->told_capacity * sizeof *self->told);
        RP_CHECK (self->told != NULL);
    }
    self->told[self->told_count] = *told;
    if (!self->hooks.told || self->hooks.told (self, &self->told[self->told_count]))
        self->told_count++;
}

static void s_tell_client (jobs_world_t *self, const rp_action_t *action)
{
    jobs_told_t told = {.session = action->session, .head = action->head};
    rp_header_t header;
    told.replayed =
      rp_headers_find (action->head.headers, action->head.headers_size, RP_JOB_REPLAYED, &header);
    snprintf (told.text, sizeof told.text, "%.*s", (int) action->head.text_size,
      action->head.text ? action->head.text : "");
    if (action->payload) {
        told.has_content = true;
        told.content = action->payload->content;
        if (!action->keep)
            s_free (self, action->payload);
    }
    told.job = action->head.job;
    s_note_told (self, &told);
}

static void s_tell_rows (jobs_world_t *self, const rp_action_t *action)
{
    const rp_stored_t *stored = self->stored;
    RP_CHECK (stored != NULL);
    jobs_told_t told = {.session = action->session,
      .head = {.command = RP_COMMAND_REPLY, .id = action->asked.id},
      .rows = true,
      .what = (rp_jobs_what_t) action->asked.what,
      .kind = stored->kind,
      .outcome = stored->outcome,
      .count = stored->rows ? stored->rows->count : 0};
    if (told.count > 0) {
        const rp_store_row_t *row = &stored->rows->jobs[0];
        told.job = row->id;
        told.state = row->state;
        told.status = row->status;
        snprintf (told.text, sizeof told.text, "%s", (const char *) row->text.data);
        if (told.what == RP_JOBS_RESULT)
            told.head.job = row->id;
        if (row->reply_count > 0) {
            told.has_content = true;
            memcpy (&told.content, row->reply[0].data, sizeof told.content);
        }
    }
    s_note_told (self, &told);
}

static void s_store (jobs_world_t *self, const rp_action_t *action)
{
    rp_store_op_t op = action->op;
    rp_payload_t *body = action->payload;
    if (self->hooks.submit && !self->hooks.submit (self, &op, body))
        return;
    model_store_submit (
      &self->store, &op, body ? &body->content : NULL, body ? sizeof body->content : 0, body, body);
}

static void s_carry_out (jobs_world_t *self, const rp_action_t *action)
{
    switch (action->kind) {
        case RP_ACTION_STORE:
            s_store (self, action);
            break;
        case RP_ACTION_START:
            s_start (self, action);
            break;
        case RP_ACTION_WITHDRAW: {
            rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = action->head.id};
            s_tell_core (self,
              &(rp_event_t){.kind = RP_EVENT_MESSAGE, .session = self->client, .head = &head});
            break;
        }
        case RP_ACTION_ROWS:
            s_tell_rows (self, action);
            break;
        case RP_ACTION_SEND:
            s_tell_client (self, action);
            break;
        case RP_ACTION_DROP:
            s_free (self, action->payload);
            break;
        default:
            RP_CHECK (false);
    }
}

static bool s_settle (jobs_world_t *self)
{
    bool any = self->wanted->count > 0;
    while (self->wanted->count > 0) {
        rp_actions_t *batch = self->wanted;
        self->wanted = batch == self->lists ? &self->lists[1] : self->lists;
        for (size_t index = 0; index < batch->count; index++)
            s_carry_out (self, &batch->list[index]);
        rp_actions_reset (batch);
    }
    return any;
}

static bool s_take_heard (jobs_world_t *self)
{
    bool any = self->heard.count > 0;
    for (size_t index = 0; index < self->heard.count; index++) {
        const rp_action_t *action = &self->heard.list[index];
        rp_head_t head = action->head;
        if (action->payload) {
            head.text = action->payload->text;
            head.text_size = (uint16_t) strlen (head.text);
        }
        if (self->hooks.answer)
            self->hooks.answer (self, &head, 0);
        rp_jobs_answered (self->jobs, &head, action->payload, s_time (self), self->wanted);
    }
    rp_actions_reset (&self->heard);
    return any;
}

static void s_do_all (jobs_world_t *self)
{
    while (s_settle (self) || s_take_heard (self)) {
    }
}

void jobs_world_turn (jobs_world_t *self)
{
    s_do_all (self);
    self->core_due = rp_dispatch_tick (self->core, self->now, &self->acts);
    s_carry_out_core (self);
    s_do_all (self);
    self->due = rp_jobs_tick (self->jobs, s_time (self), self->wanted);
    s_do_all (self);
}

/*  ---- The store ------------------------------------------------------------------------------ */

static void s_note_commit (
  const rp_store_op_t *op, const rp_stored_t *result, const model_row_t *row, void *arg)
{
    jobs_world_t *self = arg;
    if (op->kind == RP_STORE_PUT && result->outcome == RP_STORED_SAFE) {
        uint64_t content;
        memcpy (&content, row->body.data, sizeof content);
        while (content >= self->jobs_of_capacity) {
            uint64_t capacity = self->jobs_of_capacity ? self->jobs_of_capacity * 2 : 1024;
            self->jobs_of = realloc (self->jobs_of, capacity * sizeof *self->jobs_of);
            RP_CHECK (self->jobs_of != NULL);
            memset (self->jobs_of + self->jobs_of_capacity, 0,
              (capacity - self->jobs_of_capacity) * sizeof *self->jobs_of);
            self->jobs_of_capacity = capacity;
        }
        self->jobs_of[content] = row->id;
    }
    if (self->hooks.commit)
        self->hooks.commit (self, op, result, row);
}

bool jobs_world_take (jobs_world_t *self)
{
    model_op_t *op = model_store_take (&self->store);
    if (!op)
        return false;
    rp_stored_t *stored = &op->result;
    if (self->hooks.result)
        self->hooks.result (self, stored);
    size_t count = stored->kind == RP_STORE_LOAD && stored->rows ? stored->rows->count : 0;
    rp_payload_t **rows = calloc (count + 1, sizeof (rp_payload_t *));
    RP_CHECK (rows != NULL);
    for (size_t index = 0; index < count; index++) {
        const rp_store_row_t *row = &stored->rows->jobs[index];
        if (row->state != RP_JOB_WAITING)
            continue;
        if (self->rows_refused > 0) {
            self->rows_refused--;
            continue;
        }
        uint64_t content;
        memcpy (&content, row->body[0].data, sizeof content);
        rows[index] = s_payload (self, content);
        memcpy (rows[index]->service, row->job.service.data, row->job.service.size);
        memcpy (rows[index]->headers, row->job.headers.data, row->job.headers.size);
        rows[index]->headers_size = (uint16_t) row->job.headers.size;
        rows[index]->attempts = row->job.attempts;
    }
    self->stored = stored;
    rp_jobs_stored (self->jobs, stored, rows, s_time (self), self->wanted);
    (void) s_settle (self);
    self->stored = NULL;
    free (rows);
    model_store_free (op);
    s_do_all (self);
    jobs_world_check (self);
    return true;
}

void jobs_world_check (const jobs_world_t *self)
{
    uint64_t open = 0;
    if (self->store.queued + self->store.result_count + self->wanted->count + self->heard.count > 0
        || self->store.lost || !self->jobs->begun)
        return;
    rp_jobs_figures_t figures = jobs_world_figures (self);
    for (uint64_t id = 1; id <= self->store.last; id++) {
        const model_row_t *row = self->store.rows[id];
        open += row && (row->state == RP_JOB_WAITING || row->state == RP_JOB_RUNNING)
                && !row->elsewhere && !row->news;
    }
    for (size_t index = 0; index < self->store.note_count; index++)
        open += !self->store.notes[index].told;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->jobs->jobs); slot++) {
        const rp_job_t *job = rp_pool_at (&self->jobs->jobs, slot);
        open += (job->pooled.generation & 1) && job->other;
    }
    RP_CHECK (self->strict ? figures.open == open : figures.open >= open);
    for (uint64_t id = 1; id <= self->store.last; id++) {
        const model_row_t *row = self->store.rows[id];
        if (!row || row->state != RP_JOB_WAITING || row->elsewhere || row->news
            || rp_job_find (self->jobs, id))
            continue;
        const rp_jobs_service_t *service =
          rp_jobs_get_service (self->jobs, row->service.data, row->service.size);
        RP_CHECK (service && !service->whole);
        RP_CHECK (rp_job_key_is_before (service->horizon, (rp_job_key_t){row->due, id}));
        RP_CHECK (service->next_due <= row->due);
    }
}

void jobs_world_settle (jobs_world_t *self)
{
    do {
        jobs_world_turn (self);
        while (model_store_commit (&self->store)) {
        }
        while (jobs_world_take (self)) {
        }
        jobs_world_turn (self);
        jobs_world_check (self);
    } while (self->store.queued + self->store.result_count > 0);
}

void jobs_world_slip (jobs_world_t *self, int64_t us)
{
    self->now += us;
    self->wall += us;
}

void jobs_world_pass (jobs_world_t *self, int64_t us)
{
    int64_t until = self->now + us;
    jobs_world_settle (self);
    while (self->now < until) {
        int64_t next = self->due < self->core_due ? self->due : self->core_due;
        next = next < self->now + 1 ? self->now + 1 : next;
        jobs_world_slip (self, (next < until ? next : until) - self->now);
        jobs_world_settle (self);
    }
}

/*  ---- Making --------------------------------------------------------------------------------- */

void jobs_world_init (jobs_world_t *self)
{
    memset (self, 0, sizeof *self);
    s_world = self;
    model_store_init (&self->store);
    self->store.commit = s_note_commit;
    self->store.arg = self;
    rp_actions_init (&self->acts);
    rp_actions_init (&self->heard);
    rp_actions_init (&self->lists[0]);
    rp_actions_init (&self->lists[1]);
    self->wanted = self->lists;
    self->now = JOBS_WORLD_START;
    self->wall = JOBS_WORLD_WALL;
    self->most = 1000000;
    self->seed = 77;
    self->limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    self->limits.rejoin_grace = 0;
    self->limits.service_linger = 0;
}

static void s_hello (jobs_world_t *self, const rp_head_t *head, uint8_t traits)
{
    self->admitted.v = 0;
    s_tell_core (
      self, &(rp_event_t){
              .kind = RP_EVENT_MESSAGE, .head = head, .traits = traits, .principal = "riposte"});
    RP_CHECK (self->admitted.v != 0);
}

void jobs_world_begin (jobs_world_t *self)
{
    self->seed++;
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = self->limits,
      .seed = self->seed * 31,
      .instance = self->seed,
      .version = "0",
      .now = self->now,
      .jobs = true});
    self->jobs = rp_jobs_new (&(rp_jobs_options_t){.core = self->core,
      .seed = self->seed,
      .most = self->most,
      .page = self->page,
      .bytes = self->bytes,
      .services = self->services});
    RP_CHECK (self->core && self->jobs);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .interval_ms = RP_HEARTBEAT_MAX_MS};
    s_hello (self, &hello, RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_TRUSTED);
    self->client = self->admitted;
    rp_jobs_begin (self->jobs, s_time (self), self->wanted);
    (void) s_settle (self);
    self->due = self->core_due = self->now;
}

void jobs_world_crash (jobs_world_t *self)
{
    rp_jobs_destroy (&self->jobs, self->wanted);
    for (rp_actions_t *list = self->lists; list < self->lists + 2; list++) {
        for (size_t index = 0; index < list->count; index++)
            if (list->list[index].kind != RP_ACTION_SEND || !list->list[index].keep)
                s_free (self, list->list[index].payload);
        rp_actions_reset (list);
    }
    for (size_t index = 0; index < self->heard.count; index++)
        s_free (self, self->heard.list[index].payload);
    rp_actions_reset (&self->heard);
    rp_dispatch_destroy (&self->core, &self->acts);
    for (size_t index = 0; index < self->acts.count; index++)
        if (self->acts.list[index].kind == RP_ACTION_DROP)
            s_free (self, self->acts.list[index].payload);
    rp_actions_reset (&self->acts);
    model_store_crash (&self->store, s_lost);
    RP_CHECK (self->payloads == 0);
    memset (self->workers, 0, sizeof self->workers);
    self->task_count = 0;
    self->client.v = 0;
}

void jobs_world_clear (jobs_world_t *self)
{
    if (self->core)
        jobs_world_crash (self);
    model_store_clear (&self->store);
    rp_actions_clear (&self->acts);
    rp_actions_clear (&self->heard);
    rp_actions_clear (&self->lists[0]);
    rp_actions_clear (&self->lists[1]);
    free (self->tasks);
    free (self->told);
    free (self->jobs_of);
    memset (self, 0, sizeof *self);
}

/*  ---- Events --------------------------------------------------------------------------------- */

unsigned jobs_world_join (jobs_world_t *self, const char *service, unsigned window)
{
    uint8_t headers[64];
    size_t size = 0;
    RP_CHECK (rp_headers_append (headers, &size, sizeof headers, RP_HELLO_DECLINES, "1"));
    rp_head_t hello = {.command = RP_COMMAND_HELLO,
      .flags = RP_FLAG_WORKER,
      .interval_ms = RP_HEARTBEAT_MAX_MS,
      .window = window,
      .name = service,
      .name_size = (uint8_t) strlen (service),
      .headers = headers,
      .headers_size = (uint16_t) size};
    unsigned index = 0;
    while (index < JOBS_WORLD_WORKERS && self->workers[index].session.v)
        index++;
    RP_CHECK (index < JOBS_WORLD_WORKERS);
    s_hello (self, &hello, RP_TRAIT_MUTE | RP_TRAIT_BUSY_MUTE);
    self->workers[index].session = self->admitted;
    self->workers[index].window = window;
    snprintf (self->workers[index].service, sizeof self->workers[index].service, "%s", service);
    return index;
}

void jobs_world_lose (jobs_world_t *self, unsigned worker)
{
    rp_session_id_t session = self->workers[worker].session;
    s_forget_worker (self, session);
    rp_head_t bye = {.command = RP_COMMAND_BYE};
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE, .session = session, .head = &bye});
    s_forget_worker (self, session);
}

static void s_add_number (rp_payload_t *payload, const char *name, int64_t number)
{
    char text[24];
    size_t size = payload->headers_size;
    snprintf (text, sizeof text, "%" PRId64, number);
    RP_CHECK (rp_headers_append (payload->headers, &size, sizeof payload->headers, name, text));
    payload->headers_size = (uint16_t) size;
}

void jobs_world_submit (
  jobs_world_t *self, const char *service, uint64_t content, const jobs_terms_t *terms)
{
    static const jobs_terms_t usual = {0};
    if (!terms)
        terms = &usual;
    rp_payload_t *payload = s_payload (self, content);
    snprintf (payload->service, sizeof payload->service, "%s", service);
    size_t size = 0;
    if (terms->key)
        RP_CHECK (rp_headers_append (
          payload->headers, &size, sizeof payload->headers, RP_JOB_KEY, terms->key));
    payload->headers_size = (uint16_t) size;
    if (terms->delay_ms)
        s_add_number (payload, RP_JOB_DELAY, terms->delay_ms);
    if (terms->instant_ms)
        s_add_number (payload, RP_JOB_NOT_BEFORE, self->wall + terms->instant_ms * 1000);
    if (terms->deadline_ms)
        s_add_number (payload, RP_JOB_DEADLINE, self->wall + terms->deadline_ms * 1000);
    if (terms->backoff_ms)
        s_add_number (payload, RP_JOB_BACKOFF, terms->backoff_ms < 0 ? 0 : terms->backoff_ms);
    if (terms->attempt_ms)
        s_add_number (payload, RP_JOB_ATTEMPT, terms->attempt_ms);
    if (terms->keep_ms)
        s_add_number (payload, RP_JOB_KEEP, terms->keep_ms);
    payload->attempts = (uint8_t) (terms->attempts ? terms->attempts : 5);
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .flags = RP_FLAG_DURABLE,
      .id = terms->id ? terms->id : content,
      .attempts = payload->attempts,
      .deadline_ms = 1,
      .name = payload->service,
      .name_size = (uint8_t) strlen (payload->service),
      .headers = payload->headers,
      .headers_size = payload->headers_size};
    uint8_t digest[RP_STORE_DIGEST] = {0};
    uint64_t body = terms->body ? terms->body : content;
    memcpy (digest, &body, sizeof body);
    rp_jobs_submit (self->jobs,
      &(rp_jobs_request_t){.session = {1 + terms->client},
        .head = &head,
        .payload = payload,
        .bytes = sizeof payload->content,
        .principal = terms->principal ? terms->principal : "ada",
        .digest = digest},
      s_time (self), self->wanted);
}

void jobs_world_ask (jobs_world_t *self,
  rp_jobs_what_t what,
  unsigned client,
  uint64_t request,
  uint64_t job,
  uint32_t wait_ms,
  const char *principal)
{
    rp_jobs_ask (self->jobs,
      &(rp_jobs_question_t){.what = what,
        .session = {1 + client},
        .request = request,
        .job = job,
        .wait_ms = wait_ms,
        .principal = principal},
      s_time (self), self->wanted);
}

bool jobs_world_withdraw (jobs_world_t *self, unsigned client, uint64_t request)
{
    return rp_jobs_withdraw (self->jobs, (rp_session_id_t){1 + client}, request, self->wanted);
}

void jobs_world_end_client (jobs_world_t *self, unsigned client)
{
    rp_jobs_end_session (self->jobs, (rp_session_id_t){1 + client});
}

static jobs_task_t s_end_task (jobs_world_t *self, size_t task)
{
    RP_CHECK (task < self->task_count);
    jobs_task_t ended = self->tasks[task];
    self->tasks[task] = self->tasks[--self->task_count];
    return ended;
}

static void s_reply (
  jobs_world_t *self, size_t task, rp_status_t status, uint64_t content, uint32_t lost)
{
    static const char text[] = "words";
    jobs_task_t ended = s_end_task (self, task);
    rp_payload_t *payload = s_payload (self, content);
    snprintf (payload->text, sizeof payload->text, "%s", status == RP_OK ? "" : text);
    rp_head_t head = {.command = RP_COMMAND_REPLY,
      .status = (uint8_t) status,
      .id = ended.token.v,
      .text = payload->text,
      .text_size = (uint16_t) strlen (payload->text)};
    if (status == RP_WORKER_LOST)
        head.lost = lost;
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                         .session = ended.worker,
                         .head = &head,
                         .payload = payload,
                         .size = sizeof content});
}

void jobs_world_reply (jobs_world_t *self, size_t task, rp_status_t status, uint64_t content)
{
    s_reply (self, task, status, content, 0);
}

void jobs_world_decline (jobs_world_t *self, size_t task)
{
    s_reply (self, task, RP_WORKER_LOST, 0, RP_LOST_UNBEGUN);
}

/*  ---- What came of it ------------------------------------------------------------------------ */

static bool s_is_about (const jobs_told_t *told, unsigned client, uint64_t request)
{
    return told->session.v == 1 + client && told->head.id == request;
}

const jobs_told_t *jobs_world_told (const jobs_world_t *self, unsigned client, uint64_t request)
{
    for (size_t index = self->told_count; index-- > 0;)
        if (s_is_about (&self->told[index], client, request))
            return &self->told[index];
    return NULL;
}

size_t jobs_world_told_times (const jobs_world_t *self, unsigned client, uint64_t request)
{
    size_t count = 0;
    for (size_t index = 0; index < self->told_count; index++)
        count += s_is_about (&self->told[index], client, request);
    return count;
}

uint64_t jobs_world_job (const jobs_world_t *self, uint64_t content)
{
    return content < self->jobs_of_capacity ? self->jobs_of[content] : 0;
}

size_t jobs_world_task (const jobs_world_t *self, uint64_t content)
{
    for (size_t index = 0; index < self->task_count; index++)
        if (self->tasks[index].content == content)
            return index;
    return SIZE_MAX;
}

model_row_t *jobs_world_row (const jobs_world_t *self, uint64_t content)
{
    return model_store_row (&self->store, jobs_world_job (self, content));
}

rp_jobs_figures_t jobs_world_figures (const jobs_world_t *self)
{
    rp_jobs_figures_t figures;
    rp_jobs_figures (self->jobs, &figures);
    return figures;
}
