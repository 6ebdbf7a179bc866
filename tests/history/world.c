/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/history/world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire/headers.h"
#include "common/wire/limits.h"

#define S_MS 1000
#define S_START INT64_C (1000000000)
#define S_AGE_STEP 5u /* ms */
#define S_GRACE_US ((int64_t) RP_DEADLINE_GRACE_MS * S_MS)

static const char *const s_services[] = {"a", "b"};
static const char *const s_principals[] = {"ada", "bob"};

static void s_need (bool condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "history_world: cannot %s\n", what);
    exit (2);
}

/*  ---- Time ----------------------------------------------------------------------------------- */

/*  Draws how long a message is on its way; it does not overtake the one before it.  */
static int64_t s_way (world_t *self, int64_t *latest)
{
    int64_t arrival = self->now + 50 + (int64_t) world_draw (self, 300);
    if (arrival < *latest)
        arrival = *latest;
    *latest = arrival;
    return arrival - self->now;
}

/*  ---- Histories ------------------------------------------------------------------------------ */

__attribute__ ((format (printf, 3, 4))) static void s_write (
  world_t *self, const world_peer_t *peer, const char *format, ...)
{
    fprintf (self->peers_file, "%" PRId64 "\t%s:%s\t", self->now,
      peer->worker ? "worker" : "client", peer->name);
    va_list arguments;
    va_start (arguments, format);
    vfprintf (self->peers_file, format, arguments);
    va_end (arguments);
    fputc ('\n', self->peers_file);
}

/*  ---- Rules ---------------------------------------------------------------------------------- */

#define S_RULES_TEXT 1024u

__attribute__ ((format (printf, 2, 3))) static void s_append (char *text, const char *format, ...)
{
    size_t used = strlen (text);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text + used, S_RULES_TEXT - used, format, arguments);
    va_end (arguments);
}

static void s_mistake (const char *message, void *arg)
{
    (void) arg;
    s_need (false, message);
}

/*  Draws which actions are allowed (nearly all), records them, and makes rules of them for the
    core.  */
static rp_rules_t *s_draw_rules (world_t *self)
{
    static const char *const words[] = {"call", "serve"};
    char text[S_RULES_TEXT] = "";
    char said[2][S_RULES_TEXT] = {"", ""};
    for (unsigned principal = 0; principal < WORLD_PRINCIPALS; principal++) {
        s_append (text, "principal = \"%s\"\n", s_principals[principal]);
        for (unsigned cell = 0; cell < 2 * WORLD_SERVICES; cell++) {
            const char *service = s_services[cell % WORLD_SERVICES];
            unsigned word = cell / WORLD_SERVICES;
            bool allowed = world_draw (self, 6) != 0;
            if (allowed)
                s_append (
                  said[word], "%s%s:%s", *said[word] ? "," : "", s_principals[principal], service);
            if (self->bug < 0 ? allowed : world_bug_allows (self, words[word], allowed))
                s_append (text, "    %s = \"%s\"\n", words[word], service);
        }
    }
    fprintf (self->peers_file, "%" PRId64 "\tchaos\trules\tcall=%s\tserve=%s\n", self->now, said[0],
      said[1]);
    rp_rules_t *rules = rp_rules_read (text, strlen (text), s_mistake, NULL);
    s_need (rules != NULL, "read rules");
    return rules;
}

/*  The broker's own client, whose requests are the executions for idempotency keys.  */
static void s_begin_replays (world_t *self)
{
    rp_head_t hello = {.command = RP_COMMAND_HELLO,
      .interval_ms = RP_HEARTBEAT_MAX_MS,
      .key = "keyed",
      .key_size = 5};
    self->sender = WORLD_PEERS;
    rp_dispatch_handle (self->core,
      &(rp_event_t){.kind = RP_EVENT_MESSAGE,
        .head = &hello,
        .traits = RP_TRAIT_MUTE | RP_TRAIT_TRUSTED,
        .principal = "riposte"},
      self->now, &self->actions);
    for (size_t index = 0; index < self->actions.count; index++)
        world_do (self, &self->actions.list[index]);
    rp_actions_reset (&self->actions);
    self->replays = rp_replays_new (&(rp_replays_options_t){.core = self->core,
      .limits = &self->limits,
      .client = self->keyed,
      .seed = world_draw (self, UINT64_MAX)});
    s_need (self->keyed.v && self->replays, "begin");
}

static void s_begin_broker (world_t *self)
{
    char path[4096];
    snprintf (path, sizeof path, "%s/broker-%u.history", self->directory, ++self->instance);
    int descriptor = rp_history_open (path);
    s_need (descriptor > 0, "open a history");
    self->limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    self->limits.service_queue = 30;
    self->limits.rejoin_grace = 20;
    self->limits.service_linger = 50;
    self->limits.age_step = world_bug_age_step (self, S_AGE_STEP);
    if (self->ruled && !self->rules)
        self->rules = s_draw_rules (self);
    self->core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = self->limits,
      .rules = self->rules,
      .seed = world_draw (self, UINT64_MAX),
      .instance = self->instance,
      .version = "0",
      .now = self->now,
      .history = true,
      .replays = true});
    s_need (self->core
              && rp_history_begin (
                &self->history, descriptor, rp_dispatch_instance (self->core), self->now),
      "begin");
    rp_history_ages (&self->history, self->now, S_AGE_STEP);
    s_begin_replays (self);
    for (unsigned peer = 0; peer < WORLD_PEERS; peer++)
        world_later (self, s_way (self, &self->peers[peer].there),
          &(world_event_t){.kind = WORLD_JOIN, .peer = peer, .number = self->peers[peer].life});
}

/*  killed: the history ends in the middle of a line.  */
static void s_end_broker (world_t *self, bool killed)
{
    if (killed)
        rp_journal_reach_last (rp_history_journal (&self->history));
    else
        rp_history_end (&self->history, self->now);
    if (killed)
        s_need (write (self->history.descriptor, "12345\tbro", 9) == 9, "write");
    close (self->history.descriptor);
    rp_history_clear (&self->history);
    rp_replays_destroy (&self->replays, &self->actions);
    rp_dispatch_destroy (&self->core, &self->actions);
    rp_actions_reset (&self->actions);
    rp_actions_reset (&self->wanted);
    self->keyed.v = 0;
    self->holds = false;
}

/*  ---- The broker ----------------------------------------------------------------------------- */

world_peer_t *world_peer (world_t *self, rp_session_id_t session)
{
    for (unsigned peer = 0; peer < WORLD_PEERS; peer++)
        if (session.v && self->peers[peer].session.v == session.v)
            return &self->peers[peer];
    return NULL;
}

static void s_lose_session (world_peer_t *peer)
{
    peer->session.v = 0;
    peer->life++;
}

static void s_send (world_t *self, const rp_action_t *action)
{
    world_peer_t *peer = world_peer (self, action->session);
    if (!peer)
        return;
    world_event_t event = {.kind = peer->worker ? WORLD_TO_WORKER : WORLD_TO_CLIENT,
      .peer = (unsigned) (peer - self->peers),
      .number = peer->life,
      .head = action->head,
      .payload = action->payload};
    event.head.name = event.head.key = event.head.text = NULL;
    event.head.headers = NULL;
    if (action->token.v && action->payload) {
        world_request_t *request = &self->requests[action->payload->request];
        request->token = action->token;
        request->worker = action->session;
    }
    else if (action->head.command == RP_COMMAND_REPLY) {
        self->requests[self->ids[action->head.id]].token.v = 0;
    }
    world_later (self, s_way (self, &peer->here), &event);
}

/*  ---- Idempotency keys ------------------------------------------------------------------------ */

/*  A request with a key, or a cancel of what the core does not have.  */
static void s_take_keyed (world_t *self, const rp_action_t *action)
{
    if (action->head.command == RP_COMMAND_CANCEL) {
        bool known = rp_replays_cancel (
          self->replays, action->session, action->head.id, self->now, &self->wanted);
        rp_dispatch_count_cancel (self->core, known);
        return;
    }
    const world_peer_t *peer = world_peer (self, action->session);
    const uint8_t digest[RP_REPLAYS_DIGEST] = {self->requests[action->payload->request].other};
    rp_replays_request_t request = {.session = action->session,
      .head = &action->head,
      .payload = action->payload,
      .bytes = 1,
      .principal = peer && peer->principal ? peer->principal : RP_PRINCIPAL_ANONYMOUS,
      .quota = rp_dispatch_quota (self->core, action->session),
      .digest = digest};
    if (self->bug >= 0)
        world_bug_keyed (self, &request);
    rp_replays_submit (self->replays, &request, self->now, &self->wanted);
}

/*  Tells a client what the replays have for it.  */
static void s_tell_keyed (world_t *self, const rp_action_t *wanted)
{
    rp_action_t action = *wanted;
    if (self->bug >= 0)
        world_bug_told (self, &action);
    s_send (self, &action);
}

/*  The core has answered an execution.  */
static void s_answered (world_t *self, const rp_action_t *action)
{
    if (action->head.command != RP_COMMAND_REPLY)
        return;
    rp_replays_answered (self->replays, &action->head, action->payload, 1, self->now, &self->told);
    for (size_t index = 0; index < self->told.count; index++)
        if (self->told.list[index].kind == RP_ACTION_SEND)
            s_tell_keyed (self, &self->told.list[index]);
    rp_actions_reset (&self->told);
}

void world_do (world_t *self, const rp_action_t *action)
{
    world_peer_t *peer = world_peer (self, action->session);
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            if (self->sender == WORLD_PEERS)
                self->keyed = action->session;
            else
                self->peers[self->sender].session = action->session;
            break;
        case RP_ACTION_REPLAY:
            s_take_keyed (self, action);
            break;
        case RP_ACTION_SEND:
            if (self->keyed.v && action->session.v == self->keyed.v) {
                s_answered (self, action);
                break;
            }
            if (action->session.v == 0 && self->now < S_START + 1000 * S_MS) // HELLO was denied
                world_later (self, 20 * S_MS,
                  &(world_event_t){.kind = WORLD_JOIN,
                    .peer = self->sender,
                    .number = self->peers[self->sender].life});
            s_send (self, action);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_ABORT:
            if (!peer)
                break;
            s_lose_session (peer);
            world_later (self, 3 * S_MS,
              &(world_event_t){
                .kind = WORLD_JOIN, .peer = (unsigned) (peer - self->peers), .number = peer->life});
            break;
        case RP_ACTION_HISTORY:
            rp_history_record (&self->history, self->now, action);
            break;
        default:
            break;
    }
}

static void s_carry_out (world_t *self)
{
    for (size_t index = 0; index < self->actions.count; index++) {
        rp_action_t action = self->actions.list[index];
        if (self->bug < 0 || world_bug_action (self, &action))
            world_do (self, &action);
    }
    rp_actions_reset (&self->actions);
}

static bool s_tell (world_t *self, unsigned sender, rp_event_t *event);

static size_t s_headers (const world_t *self, unsigned number, uint8_t headers[128])
{
    char name[16];
    size_t size = 0;
    const char *key = self->requests[number].idempotency;
    snprintf (name, sizeof name, "q%u", number);
    s_need (rp_headers_append (headers, &size, 128, RP_HISTORY_HEADER, name), "add");
    if (*key)
        s_need (rp_headers_append (headers, &size, 128, RP_JOB_KEY, key), "add");
    return size;
}

/*  Begins an execution in the core, withdraws it, or says that no rule allows it any more.  */
static void s_execute (world_t *self, const rp_action_t *action)
{
    uint8_t headers[128];
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = action->head.id};
    if (action->kind == RP_ACTION_START) {
        const world_request_t *request = &self->requests[action->payload->request];
        head.command = RP_COMMAND_REQUEST;
        head.deadline_ms = action->head.deadline_ms;
        head.attempts = (uint8_t) request->attempts;
        head.name = request->service;
        head.name_size = 1;
        head.headers = headers;
        head.headers_size = (uint16_t) s_headers (self, action->payload->request, headers);
    }
    s_tell (self, WORLD_PEERS,
      &(rp_event_t){.kind = action->kind == RP_ACTION_BAR ? RP_EVENT_BAR : RP_EVENT_MESSAGE,
        .session = self->keyed,
        .head = &head,
        .payload = action->payload,
        .size = action->payload ? 1 : 0});
}

static void s_turn_replays (world_t *self)
{
    rp_actions_t wanted = self->wanted;
    rp_actions_init (&self->wanted);
    (void) rp_replays_tick (self->replays, self->now, &wanted);
    for (size_t index = 0; index < wanted.count; index++) {
        const rp_action_t *action = &wanted.list[index];
        if (action->kind == RP_ACTION_SEND)
            s_tell_keyed (self, action);
        else if (action->kind != RP_ACTION_DROP)
            s_execute (self, action);
    }
    rp_actions_clear (&wanted);
}

static void s_tick (world_t *self)
{
    s_turn_replays (self);
    int64_t next = rp_dispatch_tick (self->core, self->now, &self->actions);
    (void) next; // the world's own events come often enough
    s_carry_out (self);
    if (world_draw (self, 256) != 0)
        return;
    rp_stats_t stats = *rp_dispatch_stats (self->core);
    if (self->bug >= 0)
        world_bug_stats (self, &stats);
    self->history.scraped = self->now - RP_HISTORY_SCRAPE_US;
    rp_history_scrape (&self->history, self->now, &stats);
}

/*  Gives an event to the core. Returns false if a bug kept it back.  */
static bool s_tell (world_t *self, unsigned sender, rp_event_t *event)
{
    rp_head_t head = {0};
    if (event->head)
        head = *event->head;
    event->head = &head;
    self->sender = sender;
    if (event->kind == RP_EVENT_MESSAGE)
        rp_history_message (&self->history, self->now, event->session, &head);
    if (self->bug >= 0 && !world_bug_event (self, event, &head))
        return false;
    rp_dispatch_handle (self->core, event, self->now, &self->actions);
    s_carry_out (self);
    s_tick (self);
    return true;
}

/*  ---- Clients -------------------------------------------------------------------------------- */

static rp_payload_t *s_payload (world_t *self, unsigned request)
{
    rp_payload_t *payload = calloc (1, sizeof *payload);
    s_need (payload != NULL, "get memory");
    payload->next = self->payloads;
    payload->request = request;
    self->payloads = payload;
    return payload;
}

/*  Sends a message to the present broker; it is lost if that broker is gone when it arrives.  */
static void s_post (
  world_t *self, unsigned peer, const rp_head_t *head, rp_payload_t *payload, unsigned number)
{
    world_later (self, s_way (self, &self->peers[peer].there),
      &(world_event_t){.kind = WORLD_TO_BROKER,
        .peer = peer,
        .number = number,
        .instance = self->instance,
        .session = self->peers[peer].session,
        .head = *head,
        .payload = payload});
}

static void s_post_request (world_t *self, unsigned number)
{
    world_request_t *request = &self->requests[number];
    world_peer_t *client = &self->peers[request->client];
    s_need (self->id_count + 1 < WORLD_IDS, "find an id");
    request->id = ++self->id_count;
    self->ids[request->id] = number;
    int64_t left = (request->deadline - self->now) / S_MS;
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .flags = *request->idempotency                  ? RP_FLAG_KEYED
               : request->key && !client->established ? RP_FLAG_OPEN
                                                      : 0,
      .id = request->id,
      .conversation = request->key,
      .deadline_ms = left > 0 ? (uint32_t) left : 1,
      .attempts = (uint8_t) request->attempts,
      .priority = request->priority,
      .name = request->service,
      .name_size = 1};
    s_post (self, request->client, &head, s_payload (self, number), number);
}

/*  Puts a request into its client's conversation, if it may: one at a time until a worker has
    answered.  */
static bool s_join_talk (world_t *self, world_peer_t *client, world_request_t *request)
{
    if (!client->key) {
        client->key = ++self->order;
        client->talk++;
        client->seq = 0;
        client->established = false;
    }
    if (client->in_talk > 0 && !client->established)
        return false;
    client->in_talk++;
    client->seq++;
    request->service = s_services[0];
    request->key = client->key;
    request->talk = client->talk;
    return true;
}

/*  Gives a request an idempotency key that others have, too, and sometimes another body.  */
static void s_submit_keyed (world_t *self, const world_peer_t *client, unsigned number)
{
    world_request_t *request = &self->requests[number];
    snprintf (request->idempotency, sizeof request->idempotency, "k%u",
      number / WORLD_KEYS_EVERY * WORLD_KEYS + (unsigned) world_draw (self, WORLD_KEYS));
    request->other = world_draw (self, 5) == 0;
    s_write (self, client,
      "submit\treq=q%u\tservice=%s\tdeadline=%" PRId64 "\tattempts=%u\tconv=-\tseq=0\tkey=%s/%s/%s",
      number, request->service, request->deadline, request->attempts,
      client->principal ? client->principal : RP_PRINCIPAL_ANONYMOUS, request->service,
      request->idempotency);
}

static void s_submit (world_t *self, unsigned peer)
{
    static const int64_t times[] = {8, 40, 300, 3000};
    world_peer_t *client = &self->peers[peer];
    if (client->dead || !client->session.v || self->request_count == WORLD_REQUESTS)
        return;
    unsigned number = self->request_count++;
    world_request_t *request = &self->requests[number];
    *request = (world_request_t){.client = peer,
      .attempts = 1 + (unsigned) world_draw (self, 3),
      .deadline = self->now + times[world_draw (self, 4)] * S_MS,
      .open = true,
      .priority = (uint8_t) (self->prioritised ? number % (RP_PRIORITY_MAX + 2) : 0),
      .service = s_services[world_draw (self, 2)]};
    bool talks = world_draw (self, 3) == 0 && s_join_talk (self, client, request);
    if (talks)
        s_write (self, client,
          "submit\treq=q%u\tservice=%s\tdeadline=%" PRId64 "\tattempts=%u\tconv=%s/%u\tseq=%u",
          number, request->service, request->deadline, request->attempts, client->name,
          request->talk, client->seq);
    else if (world_draw (self, 5) == 0)
        s_submit_keyed (self, client, number);
    else
        s_write (self, client,
          "submit\treq=q%u\tservice=%s\tdeadline=%" PRId64 "\tattempts=%u\tconv=-\tseq=0", number,
          request->service, request->deadline, request->attempts);
    s_post_request (self, number);
    world_later (self, request->deadline + S_GRACE_US - self->now,
      &(world_event_t){.kind = WORLD_GIVE_UP, .number = number});
    if (world_draw (self, 8) == 0)
        world_later (self, (int64_t) world_draw (self, 8 * S_MS),
          &(world_event_t){.kind = WORLD_CANCEL, .number = number});
}

static void s_cancel (world_t *self, unsigned number)
{
    const world_request_t *request = &self->requests[number];
    if (!request->open || self->peers[request->client].dead)
        return;
    s_write (self, &self->peers[request->client], "cancel\treq=q%u", number);
    s_post (self, request->client, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = request->id},
      NULL, number);
}

/*  Records a final status. This client believes every message, so it records a second status
    too.  */
static void s_final (world_t *self,
  unsigned peer,
  unsigned number,
  rp_status_t status,
  unsigned made,
  const char *body,
  bool replayed)
{
    world_request_t *request = &self->requests[number];
    world_peer_t *client = &self->peers[peer];
    s_write (self, client,
      "final\treq=q%u\tstatus=%s\tmade=%u\tbody=%s\treplayed=%d\ttext=", number,
      rp_status_name ((int) status), made, body, replayed);
    if (!request->open)
        return;
    request->open = false;
    if (!request->key || request->key != client->key)
        return;
    client->in_talk--;
    if (status == RP_OK || status == RP_APP_ERROR)
        client->established = true;
    if (status == RP_WORKER_LOST || status == RP_CONVERSATION_LOST || status == RP_UNKNOWN) {
        client->key = 0;
        client->in_talk = 0;
    }
}

/*  After the broker's death: a request that has attempts left stays open, to be sent again; any
    other ends with UNKNOWN.  */
static void s_lose_broker (world_t *self)
{
    for (unsigned number = 0; number < self->request_count; number++) {
        world_request_t *request = &self->requests[number];
        if (!request->open || self->peers[request->client].dead)
            continue;
        if (request->attempts > 1 && !request->key && request->deadline > self->now + 100 * S_MS)
            request->attempts--;
        else
            s_final (self, request->client, number, RP_UNKNOWN, 1, "-", false);
    }
}

static void s_send_again (world_t *self, unsigned peer)
{
    for (unsigned number = 0; number < self->request_count; number++)
        if (self->requests[number].open && self->requests[number].client == peer
            && self->requests[number].deadline > self->now)
            s_post_request (self, number);
}

/*  ---- Workers -------------------------------------------------------------------------------- */

static void s_start (world_t *self, const world_event_t *event)
{
    world_peer_t *worker = &self->peers[event->peer];
    unsigned number = self->task_count++;
    s_need (number < WORLD_TASKS, "start a task");
    world_task_t *task = &self->tasks[number];
    task->worker = event->peer;
    task->life = worker->life;
    task->request = event->payload->request;
    task->token = (rp_token_t){event->head.id};
    s_write (self, worker, "start\treq=q%u\tattempt=%u\tconv=%" PRIu64 "\ttask=%s.%u",
      task->request, event->head.attempt, event->head.conversation, worker->name, number);
    world_later (self, 500 + (int64_t) world_draw (self, 8 * S_MS),
      &(world_event_t){.kind = WORLD_DONE, .number = number});
}

/*  Replies to a task, from the worker's new session if the broker has lost it meanwhile.  */
static void s_done (world_t *self, unsigned number)
{
    world_task_t *task = &self->tasks[number];
    world_peer_t *worker = &self->peers[task->worker];
    if (task->over)
        return;
    rp_status_t status = world_draw (self, 6) ? RP_OK : RP_APP_ERROR;
    rp_payload_t *payload = s_payload (self, task->request);
    snprintf (payload->body, sizeof payload->body, "%s.%u", worker->name, number);
    s_write (self, worker, "reply\treq=q%u\ttask=%s.%u\tstatus=%s\tbody=%s", task->request,
      worker->name, number, rp_status_name (status), payload->body);
    s_post (self, task->worker,
      &(rp_head_t){.command = RP_COMMAND_REPLY, .status = (uint8_t) status, .id = task->token.v},
      payload, task->request);
}

/*  ---- Faults --------------------------------------------------------------------------------- */

/*  Has the broker lose a session, or revokes its key. killed: the peer's process ends too, and its
    tasks.  */
static void s_lose (world_t *self, unsigned number, bool killed, rp_event_kind_t kind)
{
    world_peer_t *peer = &self->peers[number];
    if (!peer->session.v)
        return;
    if (killed) {
        fprintf (self->peers_file, "%" PRId64 "\tchaos\tkill\tparty=%s:%s\n", self->now,
          peer->worker ? "worker" : "client", peer->name);
        for (unsigned task = 0; task < self->task_count; task++)
            self->tasks[task].over |= self->tasks[task].worker == number;
        if (peer->worker)
            snprintf (peer->name, sizeof peer->name, "w%u-%u", number, ++self->renamed);
        else
            peer->dead = true;
    }
    rp_event_t event = {.kind = kind, .session = peer->session};
    s_tell (self, number, &event);
}

static void s_revoke (world_t *self, unsigned number)
{
    const world_peer_t *peer = &self->peers[number];
    if (!peer->session.v)
        return;
    fprintf (self->peers_file, "%" PRId64 "\tchaos\trevoked\tparty=%s:%s\n", self->now,
      peer->worker ? "worker" : "client", peer->name);
    s_lose (self, number, true, RP_EVENT_REVOKED);
}

/*  Changes the rules. If a bug keeps them from the core, the former rules stay.  */
static void s_change_rules (world_t *self)
{
    s_turn_replays (self); // what was taken by the rules of before begins by them
    rp_rules_t *rules = s_draw_rules (self);
    rp_event_t event = {.kind = RP_EVENT_RULES, .rules = rules};
    if (s_tell (self, 0, &event)) {
        rp_rules_t *former = self->rules;
        self->rules = rules;
        rules = former;
    }
    rp_replays_recheck (self->replays, &self->wanted);
    s_turn_replays (self);
    rp_rules_destroy (&rules);
}

static void s_fault (world_t *self)
{
    unsigned change = self->ruled ? (unsigned) world_draw (self, 12) : 0;
    if (change == 11) {
        s_revoke (
          self, world_draw (self, 4)
                  ? WORLD_CLIENTS + (unsigned) world_draw (self, WORLD_PEERS - WORLD_CLIENTS)
                  : 1);
        return;
    }
    if (change > 6) {
        s_change_rules (self);
        return;
    }
    unsigned kind = (unsigned) world_draw (self, 48);
    unsigned worker = WORLD_CLIENTS + (unsigned) world_draw (self, WORLD_PEERS - WORLD_CLIENTS);
    if (kind < 16) {
        s_lose (self, worker, true, RP_EVENT_UNSENT);
    }
    else if (kind < 44) {
        s_lose (self, worker, false, RP_EVENT_UNSENT);
    }
    else if (kind < 45) {
        s_lose (self, 0, true, RP_EVENT_UNSENT); // a client; many others are left
    }
    else if (kind < 47 && self->bug < 0) { // it would remove the traces of a bug
        s_end_broker (self, true);
        for (unsigned peer = 0; peer < WORLD_PEERS; peer++)
            s_lose_session (&self->peers[peer]);
        s_lose_broker (self);
        s_begin_broker (self);
    }
}

static void s_join (world_t *self, const world_event_t *event)
{
    world_peer_t *peer = &self->peers[event->peer];
    if (peer->dead || peer->session.v || event->number != peer->life)
        return;
    rp_head_t hello = {.command = RP_COMMAND_HELLO,
      .interval_ms = 60000,
      .key = peer->name,
      .key_size = (uint8_t) strlen (peer->name)};
    if (peer->worker) {
        hello.flags = RP_FLAG_WORKER;
        hello.window = 1 + (uint32_t) world_draw (self, 3);
        hello.name = peer->service;
        hello.name_size = 1;
    }
    rp_event_t message = {.kind = RP_EVENT_MESSAGE, .head = &hello};
    if (self->ruled) { // two principals have workers of each service
        peer->principal = message.principal = s_principals[event->peer / 2 % WORLD_PRINCIPALS];
        fprintf (self->peers_file, "%" PRId64 "\tchaos\tprincipal\tparty=%s:%s\tname=%s\n",
          self->now, peer->worker ? "worker" : "client", peer->name, message.principal);
    }
    s_tell (self, event->peer, &message);
    if (!peer->worker)
        s_send_again (self, event->peer);
}

/*  ---- The whole run -------------------------------------------------------------------------- */

static void s_to_broker (world_t *self, const world_event_t *event)
{
    world_peer_t *peer = &self->peers[event->peer];
    rp_session_id_t session = peer->worker ? peer->session : event->session;
    if (event->instance != self->instance || !session.v || session.v != peer->session.v)
        return;
    uint8_t headers[128];
    rp_head_t head = event->head;
    if (head.command == RP_COMMAND_REQUEST) {
        head.headers = headers;
        head.headers_size = (uint16_t) s_headers (self, event->number, headers);
    }
    rp_event_t message = {.kind = RP_EVENT_MESSAGE,
      .session = session,
      .head = &head,
      .payload = event->payload,
      .size = 1};
    if (!event->payload)
        message.size = 0;
    s_tell (self, event->peer, &message);
}

static void s_happen (world_t *self, world_event_t *event)
{
    world_peer_t *peer = &self->peers[event->peer];
    bool reached = event->number == peer->life && !peer->dead;
    switch (event->kind) {
        case WORLD_SUBMIT:
            s_submit (self, event->peer);
            break;
        case WORLD_CANCEL:
            s_cancel (self, event->number);
            break;
        case WORLD_FAULT:
            s_fault (self);
            break;
        case WORLD_JOIN:
            s_join (self, event);
            break;
        case WORLD_TO_BROKER:
            s_to_broker (self, event);
            break;
        case WORLD_TO_CLIENT:
            if (reached && event->head.command == RP_COMMAND_REPLY)
                s_final (self, event->peer, self->ids[event->head.id], event->head.status,
                  event->head.attempt, event->payload ? event->payload->body : "-",
                  event->head.flags & RP_FLAG_REPLAYED);
            break;
        case WORLD_TO_WORKER:
            if (reached && event->head.command == RP_COMMAND_REQUEST)
                s_start (self, event);
            break;
        case WORLD_DONE:
            s_done (self, event->number);
            break;
        case WORLD_GIVE_UP:
            if (self->requests[event->number].open
                && !self->peers[self->requests[event->number].client].dead)
                s_final (self, self->requests[event->number].client, event->number, RP_UNKNOWN, 1,
                  "-", false);
            break;
        case WORLD_ACTION:
            if (event->instance == self->instance)
                world_do (self, &event->action);
            break;
    }
    s_tick (self);
}

static void s_begin (world_t *self)
{
    for (unsigned peer = 0; peer < WORLD_PEERS; peer++) {
        world_peer_t *one = &self->peers[peer];
        one->worker = peer >= WORLD_CLIENTS;
        snprintf (one->name, sizeof one->name, "%c%u", one->worker ? 'w' : 'c', peer);
        one->service = s_services[peer % 2];
    }
    s_begin_broker (self);
    for (unsigned number = 0; number < WORLD_REQUESTS; number++)
        world_later (self, 5 * S_MS + (int64_t) world_draw (self, 800 * S_MS),
          &(world_event_t){
            .kind = WORLD_SUBMIT, .peer = (unsigned) world_draw (self, WORLD_CLIENTS)});
    for (unsigned number = 0; number < 60; number++)
        world_later (self, 50 * S_MS + (int64_t) world_draw (self, 800 * S_MS),
          &(world_event_t){.kind = WORLD_FAULT});
    world_later (self, 12000 * S_MS, &(world_event_t){.kind = WORLD_GIVE_UP});
}

int main (int argc, char **argv)
{
    static world_t world = {.bug = -1};
    if (argc == 2 && strcmp (argv[1], "--bugs") == 0) {
        for (int bug = 0; world_bug_name (bug); bug++)
            puts (world_bug_name (bug));
        return 0;
    }
    if (argc < 3 || argc > 4) {
        fprintf (stderr, "usage: history_world SEED DIRECTORY [BUG], or --bugs\n");
        return 2;
    }
    s_need (argc < 4 || (world.bug = world_bug (argv[3])) >= 0, "find that bug");
    world.random = strtoull (argv[1], NULL, 0);
    world.directory = argv[2];
    world.now = S_START;
    world.ruled = world.random % 2 == 0;
    world.prioritised = world.random % 4 == 3;
    char path[4096];
    snprintf (path, sizeof path, "%s/peers.history", argv[2]);
    world.peers_file = fopen (path, "w");
    s_need (world.peers_file != NULL, "open a history");
    rp_actions_init (&world.actions);
    rp_actions_init (&world.wanted);
    rp_actions_init (&world.told);
    s_begin (&world);
    while (world.count > 0) {
        world_event_t event = world_next (&world);
        world.now = event.time;
        s_happen (&world, &event);
    }
    s_end_broker (&world, false);
    rp_rules_destroy (&world.rules);
    rp_actions_clear (&world.actions);
    rp_actions_clear (&world.wanted);
    rp_actions_clear (&world.told);
    for (rp_payload_t *next; world.payloads; world.payloads = next) {
        next = world.payloads->next;
        free (world.payloads);
    }
    free (world.queue);
    s_need (fclose (world.peers_file) == 0, "write");
    printf ("%u\n", world.bites); // how often the bug struck
    return 0;
}
