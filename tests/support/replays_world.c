/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/replays_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"

/*  ---- Payloads ------------------------------------------------------------------------------- */

static rp_payload_t *s_payload (replays_world_t *self, uint64_t content)
{
    rp_payload_t *payload = calloc (1, sizeof *payload);
    RP_CHECK (payload != NULL);
    payload->content = content;
    self->payloads++;
    return payload;
}

static void s_free (replays_world_t *self, rp_payload_t *payload)
{
    if (!payload)
        return;
    RP_CHECK (self->payloads > 0);
    self->payloads--;
    free (payload);
}

/*  ---- What clients are told ------------------------------------------------------------------ */

static void s_tell (replays_world_t *self, const rp_action_t *action)
{
    if (self->told_count == self->told_capacity) {
        self->told_capacity = self->told_capacity ? self->told_capacity * 2 : 64;
        self->told = realloc (self->told, self->told_capacity * sizeof *self->told);
        RP_CHECK (self->told != NULL);
    }
    replays_told_t *told = &self->told[self->told_count];
    *told = (replays_told_t){.session = action->session,
      .request = action->head.id,
      .execution = action->head.job,
      .content = action->payload ? action->payload->content : 0,
      .status = (rp_status_t) action->head.status,
      .attempts = action->head.attempt,
      .replayed = (action->head.flags & RP_FLAG_REPLAYED) != 0};
    snprintf (told->text, sizeof told->text, "%.*s", (int) action->head.text_size,
      action->head.text ? action->head.text : "");
    if (!self->hooks.told || self->hooks.told (self, told))
        self->told_count++;
}

const replays_told_t *replays_world_told (const replays_world_t *self, uint64_t request)
{
    for (size_t index = 0; index < self->told_count; index++)
        if (self->told[index].request == request)
            return &self->told[index];
    return NULL;
}

/*  ---- The core ------------------------------------------------------------------------------- */

static void s_add_task (replays_world_t *self, const rp_action_t *action)
{
    if (self->task_count == self->task_capacity) {
        self->task_capacity = self->task_capacity ? self->task_capacity * 2 : 64;
        self->tasks = realloc (self->tasks, self->task_capacity * sizeof *self->tasks);
        RP_CHECK (self->tasks != NULL);
    }
    replays_task_t *task = &self->tasks[self->task_count++];
    *task = (replays_task_t){.token = action->token,
      .worker = action->session,
      .content = action->payload->content,
      .attempt = action->head.attempt,
      .deadline_ms = action->head.deadline_ms};
    if (self->hooks.task)
        self->hooks.task (self, task);
}

/*  The core has answered an execution.  */
static void s_answered (replays_world_t *self, const rp_action_t *action)
{
    rp_head_t head = action->head;
    rp_payload_t *payload = action->payload;
    if (self->hooks.answer)
        self->hooks.answer (self, &head, &payload);
    rp_replays_answered (
      self->replays, &head, payload, payload ? payload->bytes : 0, self->now, &self->heard);
    for (size_t index = 0; index < self->heard.count; index++) {
        const rp_action_t *heard = &self->heard.list[index];
        if (heard->kind == RP_ACTION_SEND)
            s_tell (self, heard);
        else
            s_free (self, heard->payload);
    }
    rp_actions_reset (&self->heard);
}

static bool s_is_client (const replays_world_t *self, rp_session_id_t session)
{
    for (unsigned index = 0; index < REPLAYS_WORLD_PEERS; index++)
        if (self->clients[index].session.v == session.v)
            return true;
    return false;
}

static void s_send (replays_world_t *self, const rp_action_t *action)
{
    if (action->session.v == self->client.v) {
        if (action->head.command == RP_COMMAND_REPLY)
            s_answered (self, action);
        return;
    }
    if (action->token.v && action->payload)
        s_add_task (self, action);
    for (size_t index = 0; action->head.command == RP_COMMAND_CANCEL && index < self->task_count;
         index++)
        if (self->tasks[index].token.v == action->head.id)
            self->tasks[index].cancelled = true;
    if (action->head.command == RP_COMMAND_REPLY && s_is_client (self, action->session))
        s_tell (self, action);
    if (!action->keep)
        s_free (self, action->payload);
}

static void s_forget_peer (replays_world_t *self, rp_session_id_t session)
{
    for (unsigned index = 0; index < REPLAYS_WORLD_PEERS; index++) {
        if (self->workers[index].session.v == session.v)
            self->workers[index].session.v = 0;
        if (self->clients[index].session.v == session.v)
            self->clients[index].session.v = 0;
    }
    for (size_t index = self->task_count; index-- > 0;)
        if (self->tasks[index].worker.v == session.v)
            self->tasks[index] = self->tasks[--self->task_count];
}

static const char *s_principal (const replays_world_t *self, rp_session_id_t session)
{
    for (unsigned index = 0; index < REPLAYS_WORLD_PEERS; index++)
        if (self->clients[index].session.v == session.v)
            return self->clients[index].name;
    return RP_PRINCIPAL_ANONYMOUS;
}

static void s_replay (replays_world_t *self, const rp_action_t *action)
{
    if (action->head.command == RP_COMMAND_CANCEL) {
        bool known = rp_replays_cancel (
          self->replays, action->session, action->head.id, self->now, &self->wanted);
        rp_dispatch_count_cancel (self->core, known);
        return;
    }
    uint8_t digest[RP_REPLAYS_DIGEST] = {(uint8_t) (action->payload->body % 100)};
    rp_replays_request_t request = {.session = action->session,
      .head = &action->head,
      .payload = action->payload,
      .bytes = 8,
      .principal = s_principal (self, action->session),
      .quota = rp_dispatch_quota (self->core, action->session),
      .digest = digest};
    if (!self->hooks.submit || self->hooks.submit (self, &request))
        rp_replays_submit (self->replays, &request, self->now, &self->wanted);
    else
        s_free (self, action->payload);
}

static void s_carry_out_core (replays_world_t *self)
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
            case RP_ACTION_REPLAY:
                s_replay (self, action);
                break;
            case RP_ACTION_DROP:
                s_free (self, action->payload);
                break;
            case RP_ACTION_UNBIND:
            case RP_ACTION_ABORT:
                s_forget_peer (self, action->session);
                break;
            default:
                break;
        }
    }
    rp_actions_reset (&self->acts);
}

static void s_tell_core (replays_world_t *self, const rp_event_t *event)
{
    rp_dispatch_handle (self->core, event, self->now, &self->acts);
    s_carry_out_core (self);
}

static void s_tell_head (replays_world_t *self, rp_session_id_t session, const rp_head_t *head)
{
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE, .session = session, .head = head});
}

/*  ---- Carrying out --------------------------------------------------------------------------- */

static const char *s_services[] = {"a", "b"};

static void s_start (replays_world_t *self, const rp_action_t *given)
{
    rp_action_t action = *given;
    rp_payload_t *payload = action.payload;
    if (self->hooks.start && !self->hooks.start (self, &action)) {
        s_free (self, payload);
        return;
    }
    // What the message's own head says: the world has it in the body.
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = action.head.id,
      .deadline_ms = action.head.deadline_ms,
      .attempts = (uint8_t) (payload->body / 100 % 10),
      .name = s_services[payload->body / 1000],
      .name_size = 1,
      .headers = payload->headers,
      .headers_size = payload->headers_size};
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                         .session = self->client,
                         .head = &head,
                         .payload = payload,
                         .size = 8});
}

static void s_carry_out (replays_world_t *self, const rp_action_t *action)
{
    switch (action->kind) {
        case RP_ACTION_START:
            s_start (self, action);
            break;
        case RP_ACTION_WITHDRAW:
            if (self->hooks.withdraw)
                self->hooks.withdraw (self, action->head.id);
            s_tell_head (self, self->client,
              &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = action->head.id});
            break;
        case RP_ACTION_BAR:
            if (!self->hooks.bar || self->hooks.bar (self))
                s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_BAR,
                                     .session = self->client,
                                     .head = &(rp_head_t){.id = action->head.id}});
            break;
        case RP_ACTION_SEND:
            s_tell (self, action);
            break;
        case RP_ACTION_DROP:
            s_free (self, action->payload);
            break;
        default:
            RP_CHECK (false);
    }
}

void replays_world_turn (replays_world_t *self)
{
    int64_t due = rp_replays_tick (self->replays, self->now, &self->wanted);
    for (size_t index = 0; index < self->wanted.count; index++)
        s_carry_out (self, &self->wanted.list[index]);
    rp_actions_reset (&self->wanted);
    self->due = rp_dispatch_tick (self->core, self->now, &self->acts);
    s_carry_out_core (self);
    if (due < self->due)
        self->due = due;
}

void replays_world_pass (replays_world_t *self, int64_t us)
{
    int64_t until = self->now + us;
    replays_world_turn (self);
    while (self->now < until) {
        int64_t next = self->due > self->now ? self->due : self->now + 1;
        self->now = next < until ? next : until;
        replays_world_turn (self);
    }
}

/*  ---- Making --------------------------------------------------------------------------------- */

void replays_world_init (replays_world_t *self)
{
    memset (self, 0, sizeof *self);
    rp_actions_init (&self->acts);
    rp_actions_init (&self->wanted);
    rp_actions_init (&self->heard);
    self->now = REPLAYS_WORLD_START;
    self->limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    self->limits.rejoin_grace = 0;
    self->limits.service_linger = 0;
}

static rp_session_id_t s_hello (
  replays_world_t *self, const rp_head_t *head, uint8_t traits, const char *principal)
{
    self->admitted.v = 0;
    s_tell_core (
      self, &(rp_event_t){
              .kind = RP_EVENT_MESSAGE, .head = head, .traits = traits, .principal = principal});
    RP_CHECK (self->admitted.v != 0);
    return self->admitted;
}

void replays_world_begin (replays_world_t *self)
{
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = self->limits,
      .seed = 31,
      .instance = 7,
      .version = "0",
      .now = self->now,
      .rules = self->rules,
      .replays = true});
    RP_CHECK (self->core != NULL);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .interval_ms = RP_HEARTBEAT_MAX_MS};
    self->client = s_hello (self, &hello, RP_TRAIT_MUTE | RP_TRAIT_TRUSTED, "riposte");
    self->replays = rp_replays_new (&(rp_replays_options_t){
      .core = self->core, .limits = &self->limits, .client = self->client, .seed = 77});
    RP_CHECK (self->replays != NULL);
    self->due = self->now;
}

void replays_world_clear (replays_world_t *self)
{
    for (size_t index = 0; index < self->wanted.count; index++)
        if (!self->wanted.list[index].keep)
            s_free (self, self->wanted.list[index].payload);
    rp_actions_reset (&self->wanted);
    rp_replays_destroy (&self->replays, &self->wanted);
    rp_dispatch_destroy (&self->core, &self->wanted);
    for (size_t index = 0; index < self->wanted.count; index++)
        s_free (self, self->wanted.list[index].payload);
    rp_actions_clear (&self->wanted);
    rp_actions_clear (&self->acts);
    rp_actions_clear (&self->heard);
    RP_CHECK (self->payloads == 0);
    free (self->tasks);
    free (self->told);
}

/*  ---- Events --------------------------------------------------------------------------------- */

static unsigned s_place (const replays_peer_t *peers)
{
    unsigned index = 0;
    while (peers[index].session.v) {
        index++;
        RP_CHECK (index < REPLAYS_WORLD_PEERS);
    }
    return index;
}

unsigned replays_world_join_client (replays_world_t *self, const char *principal)
{
    unsigned client = s_place (self->clients);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .interval_ms = RP_HEARTBEAT_MAX_MS};
    self->clients[client].session = s_hello (self, &hello, RP_TRAIT_MUTE, principal);
    snprintf (self->clients[client].name, sizeof self->clients[client].name, "%s", principal);
    return client;
}

unsigned replays_world_join_worker (replays_world_t *self, const char *service, unsigned window)
{
    unsigned worker = s_place (self->workers);
    rp_head_t hello = {.command = RP_COMMAND_HELLO,
      .flags = RP_FLAG_WORKER,
      .interval_ms = RP_HEARTBEAT_MAX_MS,
      .window = window,
      .name = service,
      .name_size = (uint8_t) strlen (service)};
    self->workers[worker].session = s_hello (self, &hello, RP_TRAIT_MUTE, "worker");
    snprintf (self->workers[worker].name, sizeof self->workers[worker].name, "%s", service);
    return worker;
}

static void s_lose (replays_world_t *self, rp_session_id_t session)
{
    s_forget_peer (self, session);
    s_tell_head (self, session, &(rp_head_t){.command = RP_COMMAND_BYE});
}

void replays_world_lose_client (replays_world_t *self, unsigned client)
{
    s_lose (self, self->clients[client].session);
}

void replays_world_lose_worker (replays_world_t *self, unsigned worker)
{
    s_lose (self, self->workers[worker].session);
}

uint64_t replays_world_submit (
  replays_world_t *self, unsigned client, const replays_request_t *request)
{
    uint64_t content = ++self->requests;
    rp_payload_t *payload = s_payload (self, content);
    unsigned attempts = request->attempts ? request->attempts : 1;
    size_t size = 0;
    RP_CHECK (request->body < 100);
    payload->body = request->body + attempts * 100;
    if (strcmp (request->service, s_services[1]) == 0)
        payload->body += 1000;
    if (request->key)
        RP_CHECK (rp_headers_append (
          payload->headers, &size, sizeof payload->headers, RP_JOB_KEY, request->key));
    payload->headers_size = (uint16_t) size;
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .flags = request->key ? RP_FLAG_KEYED : 0,
      .id = content,
      .attempts = (uint8_t) attempts,
      .deadline_ms = request->timeout_ms ? request->timeout_ms : 1000,
      .name = request->service,
      .name_size = (uint8_t) strlen (request->service),
      .headers = payload->headers,
      .headers_size = payload->headers_size};
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                         .session = self->clients[client].session,
                         .head = &head,
                         .payload = payload,
                         .size = 8});
    return content;
}

void replays_world_cancel (replays_world_t *self, unsigned client, uint64_t request)
{
    s_tell_head (self, self->clients[client].session,
      &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = request});
}

void replays_world_reply (
  replays_world_t *self, size_t task, rp_status_t status, uint64_t content, size_t bytes)
{
    replays_task_t done = self->tasks[task];
    self->tasks[task] = self->tasks[--self->task_count];
    rp_payload_t *payload = s_payload (self, content);
    payload->bytes = bytes;
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = done.token.v, .status = (uint8_t) status};
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_MESSAGE,
                         .session = done.worker,
                         .head = &head,
                         .payload = payload,
                         .size = 8});
}

void replays_world_rules (replays_world_t *self, const rp_rules_t *rules)
{
    replays_world_turn (self);
    s_tell_core (self, &(rp_event_t){.kind = RP_EVENT_RULES, .rules = rules});
    rp_replays_recheck (self->replays, &self->wanted);
    replays_world_turn (self);
}

rp_replays_figures_t replays_world_figures (const replays_world_t *self)
{
    rp_replays_figures_t figures;
    rp_replays_figures (self->replays, &figures);
    return figures;
}
