/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/trace.h"

#include <string.h>

#include "broker/core/request.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"

const char *rp_trace_kind_name (rp_trace_kind_t kind)
{
    static const char *const names[RP_TRACE_EVENT_COUNT] = {"accepted", "waited", "given", "lost",
      "returned", "unsent", "hedged", "ended", "waits", "runs", "failed", "died", "retried"};
    return names[kind];
}

const char *rp_wait_name (rp_wait_t wait)
{
    static const char *const names[] = {"", "busy", "no_worker", "line", "pinned"};
    return names[wait];
}

/*  ---- Timelines ------------------------------------------------------------------------------ */

/*  A loss, wherever it is kept.  */
typedef struct {
    rp_trace_loss_t loss;
    const char *worker;
    const char *text;
} s_loss_t;

/*  What a timeline is made of.  */
typedef struct {
    rp_trace_t trace;
    int64_t dispatched;
    rp_wait_t wait;
    uint32_t workers;
    bool given; /* a worker has it, or had it at its end */
    const char *text;
    uint32_t loss_count;
    s_loss_t losses[RP_TRACE_LOSSES_MAX];
} s_story_t;

static rp_trace_event_t *s_add (rp_trace_t *trace, rp_trace_kind_t kind, int64_t at)
{
    rp_trace_event_t *event = &trace->events[trace->count++];
    *event = (rp_trace_event_t){.kind = kind, .at = at, .worker = "", .text = ""};
    return event;
}

static void s_add_wait (
  rp_trace_t *trace, int64_t since, int64_t at, rp_wait_t wait, uint32_t workers)
{
    if (wait == RP_WAIT_NOT || at == since)
        return;
    rp_trace_event_t *event = s_add (trace, RP_TRACE_WAITED, at);
    event->us = at - since;
    event->wait = wait;
    event->workers = workers;
}

static void s_add_given (rp_trace_t *trace, int64_t at, uint8_t attempt, const char *worker)
{
    rp_trace_event_t *event = s_add (trace, RP_TRACE_GIVEN, at);
    event->attempt = attempt;
    event->worker = worker;
}

/*  Adds the deliveries that came to nothing; returns when the latest was lost.  */
static int64_t s_add_losses (s_story_t *story)
{
    rp_trace_t *trace = &story->trace;
    int64_t since = trace->accepted;
    for (uint32_t index = 0; index < story->loss_count; index++) {
        const s_loss_t *lost = &story->losses[index];
        const rp_trace_loss_t *loss = &lost->loss;
        if (index == 0 || loss->given >= since) { // otherwise it was hedged, and given before
            s_add_wait (trace, since, loss->given, (rp_wait_t) loss->wait, loss->workers);
            s_add_given (trace, loss->given, loss->attempt, lost->worker);
        }
        rp_trace_event_t *event = s_add (trace, (rp_trace_kind_t) loss->kind, loss->lost);
        event->us = loss->lost - loss->given;
        event->attempt = loss->attempt;
        event->worker = lost->worker;
        event->text = lost->text;
        since = loss->lost;
    }
    return since;
}

/*  What an open request does now.  */
static void s_add_now (s_story_t *story, int64_t since)
{
    rp_trace_t *trace = &story->trace;
    rp_trace_event_t *event =
      s_add (trace, story->given ? RP_TRACE_RUNS : RP_TRACE_WAITS, trace->ended);
    event->us = trace->ended - (story->given ? story->dispatched : since);
    if (story->given) {
        event->attempt = trace->attempt;
        event->worker = trace->worker;
        return;
    }
    event->wait = story->wait;
    event->workers = story->workers;
}

static void s_finish (s_story_t *story)
{
    rp_trace_t *trace = &story->trace;
    s_add (trace, RP_TRACE_ACCEPTED, trace->accepted);
    int64_t since = s_add_losses (story);
    int64_t until = story->given ? story->dispatched : trace->ended;
    if (story->given || !trace->open)
        s_add_wait (trace, since, until, story->wait, story->workers);
    if (story->given && (story->loss_count == 0 || story->dispatched >= since))
        s_add_given (trace, story->dispatched, trace->attempt, trace->worker);
    if (trace->open) {
        s_add_now (story, since);
        return;
    }
    rp_trace_event_t *event = s_add (trace, RP_TRACE_ENDED, trace->ended);
    event->us = story->given ? trace->ended - story->dispatched : 0;
    event->status = trace->status;
    event->attempt = trace->attempt;
    event->worker = story->given ? trace->worker : "";
    event->text = story->text;
}

/*  ---- Ended requests ------------------------------------------------------------------------- */

static const char *s_take_string (const uint8_t **at)
{
    const char *text = (const char *) *at;
    *at += strlen (text) + 1;
    return text;
}

/*  Names of a session that lives, or of which the ring still has the end.  */
typedef struct {
    const char *name;
    const char *service;
    const char *principal;
} s_names_t;

static s_names_t s_names (const rp_dispatch_t *self, uint64_t handle)
{
    const rp_session_t *session = rp_pool_find (&self->sessions, handle);
    if (session)
        return (s_names_t){
          session->name, session->service ? session->service->name : "", session->principal->name};
    uint32_t walked = 0;
    const rp_trace_cell_t *cell;
    while ((cell = rp_trace_ring_next (&self->trace.ordinary, &walked)))
        if (cell->kind == RP_TRACE_CELL_SESSION && cell->session == handle) {
            const uint8_t *at = (const uint8_t *) (cell + 1);
            s_names_t names;
            names.name = s_take_string (&at);
            names.service = s_take_string (&at);
            names.principal = s_take_string (&at);
            return names;
        }
    return (s_names_t){"", "", ""};
}

static void s_read_plain (const rp_dispatch_t *self, const rp_trace_cell_t *cell, s_story_t *story)
{
    rp_trace_t *trace = &story->trace;
    s_names_t client = s_names (self, cell->session), worker = s_names (self, cell->worker);
    trace->client = client.name;
    trace->principal = client.principal;
    trace->worker = worker.name;
    trace->service =
      cell->figures < RP_FIGURES_MAX ? self->figures.list[cell->figures]->name : worker.service;
    trace->request_id = trace->trace_id = trace->parent_id = story->text = "";
    story->dispatched = cell->ended - cell->work_us;
    trace->accepted = story->dispatched - cell->queue_us;
    story->given = true;
}

static void s_read_full (const rp_trace_cell_t *cell, s_story_t *story)
{
    rp_trace_t *trace = &story->trace;
    const uint8_t *at = (const uint8_t *) (cell + 1);
    rp_trace_tail_t tail;
    memcpy (&tail, at, sizeof tail);
    at += sizeof tail;
    trace->accepted = tail.accepted;
    trace->reply = tail.reply;
    trace->body = tail.body;
    trace->omitted = tail.omitted;
    trace->service = s_take_string (&at);
    trace->client = s_take_string (&at);
    trace->worker = s_take_string (&at);
    trace->principal = s_take_string (&at);
    trace->request_id = s_take_string (&at);
    trace->trace_id = s_take_string (&at);
    trace->parent_id = s_take_string (&at);
    story->text = s_take_string (&at);
    story->dispatched = tail.dispatched;
    story->given = cell->given;
    story->loss_count = tail.losses;
    for (uint32_t index = 0; index < tail.losses; index++) {
        s_loss_t *loss = &story->losses[index];
        memcpy (&loss->loss, at, sizeof loss->loss);
        at += sizeof loss->loss;
        loss->worker = s_take_string (&at);
        loss->text = s_take_string (&at);
    }
}

static void s_read (const rp_dispatch_t *self, const rp_trace_cell_t *cell, s_story_t *story)
{
    memset (story, 0, sizeof *story);
    rp_trace_t *trace = &story->trace;
    trace->token = (rp_token_t){cell->token};
    trace->session = (rp_session_id_t){cell->session};
    trace->client_id = cell->client_id;
    trace->status = cell->status;
    trace->attempt = cell->attempt;
    trace->attempts = cell->kind == RP_TRACE_CELL_FULL ? cell->attempts : 0;
    trace->ended = cell->ended;
    trace->queue_us = cell->queue_us;
    trace->work_us = cell->work_us;
    story->wait = (rp_wait_t) cell->wait;
    story->workers = cell->wait ? cell->workers : 0;
    if (cell->kind == RP_TRACE_CELL_PLAIN)
        s_read_plain (self, cell, story);
    else
        s_read_full (cell, story);
    s_finish (story);
}

size_t rp_trace_ended_size (const rp_trace_ended_t *self)
{
    return sizeof *self + self->size;
}

void rp_trace_ended_read (const rp_trace_ended_t *self, rp_trace_fn *function, void *arg)
{
    s_story_t story;
    s_read (NULL, &self->cell, &story); // a full record has all its names
    function (&story.trace, arg);
}

/*  ---- Open requests -------------------------------------------------------------------------- */

/*  As in REPLY: more than an hour stays more than an hour.  */
static uint32_t s_us (int64_t time)
{
    return time < 0 ? 0 : time > UINT32_MAX ? UINT32_MAX : (uint32_t) time;
}

static void s_read_open (
  const rp_dispatch_t *self, const rp_request_t *request, int64_t now, s_story_t *story)
{
    memset (story, 0, sizeof *story);
    rp_trace_t *trace = &story->trace;
    const rp_trace_note_t *note =
      request->noted ? rp_trace_note (self, request->pooled.slot) : NULL;
    const rp_session_t *client = rp_request_client (request);
    const rp_service_t *service = rp_request_service (request);
    story->given = request->state == RP_REQUEST_RUNNING;
    story->dispatched = request->dispatched;
    story->wait = (rp_wait_t) request->waited;
    story->workers =
      !story->given || service->counted <= request->dispatched ? service->worker_count : 0;
    *trace = (rp_trace_t){.token = {rp_pool_handle (&request->pooled)},
      .session = rp_session_id (client),
      .client_id = request->client_id,
      .open = true,
      .attempt = request->attempt,
      .attempts = request->attempts,
      .accepted = note ? note->accepted : request->accepted,
      .ended = now,
      .service = service->name,
      .client = client->name,
      .principal = client->principal->name,
      .worker = story->given ? request->worker->name : "",
      .request_id = note ? note->request_id : "",
      .trace_id = note ? note->trace_id : "",
      .parent_id = note ? note->parent_id : "",
      .reply = rp_stream_reply_total (request),
      .body = rp_stream_body_total (request),
      .omitted = note ? note->omitted : 0};
    trace->queue_us = s_us ((story->given ? request->dispatched : now) - request->accepted);
    trace->work_us = story->given ? s_us (now - request->dispatched) : 0;
    story->loss_count = note ? note->count : 0;
    for (uint32_t index = 0; index < story->loss_count; index++)
        story->losses[index] = (s_loss_t){
          note->losses[index].loss, note->losses[index].worker, note->losses[index].text};
    s_finish (story);
}

/*  ---- Queries -------------------------------------------------------------------------------- */

/*  Of sessions that had the same name and have ended, the latest are looked at.  */
#define S_NAMESAKES_MAX 32u

static bool s_is_hexadecimal (const char *text, size_t size)
{
    for (size_t index = 0; index < size; index++)
        if (!((text[index] >= '0' && text[index] <= '9')
              || (text[index] >= 'a' && text[index] <= 'f')))
            return false;
    return true;
}

/*  Reads digits; returns where they end. A number that is too large matches nothing.  */
static const char *s_read_number (const char *text, uint64_t *number)
{
    *number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *number = *number > (UINT64_MAX - 9) / 10 ? UINT64_MAX / 10
                                                  : *number * 10 + (uint64_t) (*text - '0');
    return text;
}

void rp_trace_query_read (rp_trace_query_t *query, const char *text, char *buffer)
{
    *query = (rp_trace_query_t){.request_id = text};
    size_t size = strlen (text);
    uint64_t number;
    const char *end = s_read_number (text, &number);
    const char *slash = strrchr (text, '/');
    if (end > text && *end == '\0')
        query->token = number;
    if (slash && slash > text && slash[1])
        query->by_client = *s_read_number (slash + 1, &query->client_id) == '\0';
    if (end == slash) {
        query->session = (rp_session_id_t){number};
    }
    else if (query->by_client) {
        query->client = text;
        query->client_size = (size_t) (slash - text);
    }
    const char *id = size == RP_TRACE_ID_SIZE                          ? text
                     : size >= 55 && text[2] == '-' && text[35] == '-' ? text + 3
                                                                       : NULL;
    if (!id || !s_is_hexadecimal (id, RP_TRACE_ID_SIZE))
        return;
    memcpy (buffer, id, RP_TRACE_ID_SIZE);
    buffer[RP_TRACE_ID_SIZE] = 0;
    query->trace_id = buffer;
}

/*  True if a request of this session may be meant; its client's name is looked at later.  */
static bool s_is_client (const rp_trace_query_t *query, uint64_t session, uint64_t client_id)
{
    return query->by_client && query->client_id == client_id
           && (query->session.v == 0 || query->session.v == session);
}

static bool s_is_named (const rp_trace_query_t *query, const char *client)
{
    return !query->client
           || (strlen (client) == query->client_size
               && memcmp (client, query->client, query->client_size) == 0);
}

static bool s_matches (const rp_trace_query_t *query, const s_story_t *story)
{
    const rp_trace_t *trace = &story->trace;
    if (query->token && query->token == trace->token.v)
        return true;
    if (s_is_client (query, trace->session.v, trace->client_id)
        && s_is_named (query, trace->client))
        return true;
    for (uint32_t index = 0; query->token && index < story->loss_count; index++)
        if (query->token == story->losses[index].loss.token)
            return true;
    return (query->request_id && *trace->request_id
             && strncmp (query->request_id, trace->request_id, RP_TRACE_REQUEST_ID_MAX) == 0)
           || (query->trace_id && strcmp (query->trace_id, trace->trace_id) == 0);
}

/*  Sessions that have ended and had the name that is looked for. A session ends after its requests, so a
    walk back meets its name first; looking it up for each request would be a walk each.  */
typedef struct {
    uint64_t handles[S_NAMESAKES_MAX];
    size_t count;
} s_namesakes_t;

static void s_meet (s_namesakes_t *self, const rp_trace_query_t *query, const rp_trace_cell_t *cell)
{
    if (query->client && self->count < S_NAMESAKES_MAX
        && s_is_named (query, (const char *) (cell + 1)))
        self->handles[self->count++] = cell->session;
}

static bool s_has_name (const rp_dispatch_t *self,
  const rp_trace_query_t *query,
  const s_namesakes_t *namesakes,
  uint64_t handle)
{
    const rp_session_t *session = rp_pool_find (&self->sessions, handle);
    if (!query->client || session)
        return !query->client || s_is_named (query, session->name);
    for (size_t index = 0; index < namesakes->count; index++)
        if (namesakes->handles[index] == handle)
            return true;
    return false;
}

/*  True if an ordinary record, which is looked at without its names, matches.  */
static bool s_matches_plain (const rp_dispatch_t *self,
  const rp_trace_query_t *query,
  const s_namesakes_t *namesakes,
  const rp_trace_cell_t *cell)
{
    return (query->token && query->token == cell->token)
           || (s_is_client (query, cell->session, cell->client_id)
               && s_has_name (self, query, namesakes, cell->session));
}

/*  True if a record with its names may match, which is then read.  */
static bool s_may_match (const rp_trace_query_t *query, const rp_trace_cell_t *cell)
{
    return query->token || query->request_id || query->trace_id
           || s_is_client (query, cell->session, cell->client_id);
}

static size_t s_find_open (const rp_dispatch_t *self,
  int64_t now,
  const rp_trace_query_t *query,
  size_t most,
  rp_trace_fn *function,
  void *arg)
{
    size_t found = 0;
    s_story_t story;
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->requests) && found < most; slot++) {
        const rp_request_t *request = rp_pool_at (&self->requests, slot);
        if (!(request->pooled.generation & 1) || request->answered)
            continue;
        bool plain = query->token == rp_pool_handle (&request->pooled)
                     || (query->by_client && query->client_id == request->client_id);
        if (!plain && !request->noted)
            continue;
        s_read_open (self, request, now, &story);
        if (!s_matches (query, &story))
            continue;
        function (&story.trace, arg);
        found++;
    }
    return found;
}

static size_t s_find_ended (const rp_dispatch_t *self,
  const rp_trace_ring_t *ring,
  const rp_trace_query_t *query,
  size_t most,
  rp_trace_fn *function,
  void *arg)
{
    size_t found = 0;
    uint32_t walked = 0;
    s_story_t story;
    s_namesakes_t namesakes = {.count = 0};
    const rp_trace_cell_t *cell;
    while (found < most && (cell = rp_trace_ring_next (ring, &walked))) {
        if (cell->kind == RP_TRACE_CELL_SESSION) {
            s_meet (&namesakes, query, cell);
            continue;
        }
        bool plain = cell->kind == RP_TRACE_CELL_PLAIN;
        if (plain ? !s_matches_plain (self, query, &namesakes, cell) : !s_may_match (query, cell))
            continue;
        s_read (self, cell, &story);
        if (!s_matches (query, &story))
            continue;
        function (&story.trace, arg);
        found++;
    }
    return found;
}

size_t rp_trace_find (const rp_dispatch_t *self,
  int64_t now,
  const rp_trace_query_t *query,
  size_t most,
  rp_trace_fn *function,
  void *arg)
{
    size_t found = s_find_open (self, now, query, most, function, arg);
    found += s_find_ended (self, &self->trace.kept, query, most - found, function, arg);
    return found + s_find_ended (self, &self->trace.ordinary, query, most - found, function, arg);
}

static uint64_t s_total (const rp_trace_cell_t *cell)
{
    return (uint64_t) cell->queue_us + cell->work_us;
}

static bool s_failed (const rp_trace_cell_t *cell)
{
    return cell->status != RP_OK;
}

static bool s_is_of (const rp_dispatch_t *self, const rp_trace_cell_t *cell, const char *service)
{
    if (!service)
        return true;
    if (cell->kind == RP_TRACE_CELL_PLAIN)
        return strcmp (cell->figures < RP_FIGURES_MAX ? self->figures.list[cell->figures]->name
                                                      : RP_FIGURES_OTHER,
                 service)
               == 0;
    return strcmp ((const char *) (cell + 1) + sizeof (rp_trace_tail_t), service) == 0;
}

/*  Puts a record into a list of the slowest so far, the slowest first; returns its new length.  */
static size_t s_insert (
  const rp_trace_cell_t **list, size_t count, size_t most, const rp_trace_cell_t *cell)
{
    if (count == most && s_total (cell) <= s_total (list[count - 1]))
        return count;
    size_t at = count < most ? count : most - 1;
    for (; at > 0 && s_total (list[at - 1]) < s_total (cell); at--)
        list[at] = list[at - 1];
    list[at] = cell;
    return count < most ? count + 1 : most;
}

size_t rp_trace_slowest (const rp_dispatch_t *self,
  const char *service,
  bool failed,
  size_t most,
  rp_trace_fn *function,
  void *arg)
{
    const rp_trace_cell_t *list[RP_TRACE_SLOWEST_MAX], *cell;
    const rp_trace_ring_t *rings[] = {&self->trace.kept, &self->trace.ordinary};
    size_t count = 0;
    if (most > RP_TRACE_SLOWEST_MAX)
        most = RP_TRACE_SLOWEST_MAX;
    for (size_t ring = 0; most && ring < 2; ring++) {
        uint32_t walked = 0;
        while ((cell = rp_trace_ring_next (rings[ring], &walked)))
            if (cell->kind != RP_TRACE_CELL_SESSION && (!failed || s_failed (cell))
                && (count < most || s_total (cell) > s_total (list[count - 1]))
                && s_is_of (self, cell, service))
                count = s_insert (list, count, most, cell);
    }
    s_story_t story;
    for (size_t index = 0; index < count; index++) {
        s_read (self, list[index], &story);
        function (&story.trace, arg);
    }
    return count;
}

size_t rp_trace_failures (
  const rp_dispatch_t *self, const char *service, size_t most, rp_trace_fn *function, void *arg)
{
    size_t found = 0;
    uint32_t walked = 0;
    s_story_t story;
    const rp_trace_cell_t *cell;
    while (found < most && (cell = rp_trace_ring_next (&self->trace.kept, &walked))) {
        if (!s_is_of (self, cell, service))
            continue;
        s_read (self, cell, &story);
        bool ordinary = cell->status == RP_OK || cell->status == RP_APP_ERROR;
        if (ordinary && story.loss_count + story.trace.omitted == 0)
            continue; // only slow
        function (&story.trace, arg);
        found++;
    }
    return found;
}
