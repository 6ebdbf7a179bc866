/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/survey/surveys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/heap.h"
#include "common/base/list.h"
#include "common/base/pool.h"
#include "common/base/table.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"

/*  Whom copies count for: a session, or a principal (session 0).  */
typedef struct {
    rp_pooled_t pooled;
    rp_session_id_t session;
    rp_list_t surveys; /* of a session */
    uint64_t hash;
    uint64_t copies;
    uint64_t bytes; /* of their bodies and headers */
    char principal[RP_PRINCIPAL_MAX + 1];
} s_asker_t;

/*  A request for all workers, until its last copy has ended.  */
typedef struct {
    rp_pooled_t pooled;
    rp_list_node_t node; /* in its session's */
    rp_list_t copies;    /* that are open */
    s_asker_t *client;   /* NULL: its session is over */
    s_asker_t *owner;
    uint64_t request;
    uint64_t bytes;
    int64_t begun;
    uint32_t asked;
    uint32_t open;
    uint32_t given;  /* of those that ended, copies that workers had */
    uint32_t wanted; /* OKs with which it ends */
    bool quorum;     /* … and fails as soon as they cannot come any more */
    bool cancelled;
    bool over;                      /* its client has the final */
    uint32_t ended[RP_FINAL_COUNT]; /* copies, by status */
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1]; /* of the service */
} s_survey_t;

typedef struct {
    rp_pooled_t pooled; /* its handle is the copy's id in the core */
    rp_list_node_t node;
    s_survey_t *survey;
    char worker[RP_PEER_NAME_MAX + 1];
} s_copy_t;

struct rp_surveys {
    rp_surveys_options_t options;
    rp_pool_t askers;
    rp_pool_t surveys;
    rp_pool_t copies;
    rp_table_t askers_by_who;
    rp_table_t surveys_by_request;
};

/*  ---- Whom copies count for ------------------------------------------------------------------ */

/*  Returns the asker, made if there is none. NULL when out of memory.  */
static s_asker_t *s_asker (rp_surveys_t *self, rp_session_id_t session, const char *principal)
{
    uint64_t hash = session.v ? rp_hash_pair (session.v, 0, self->options.seed)
                              : rp_hash_bytes (principal, strlen (principal), self->options.seed);
    rp_table_cursor_t cursor;
    s_asker_t *asker = rp_table_first (&self->askers_by_who, hash, &cursor);
    while (asker && (asker->session.v != session.v || strcmp (asker->principal, principal) != 0))
        asker = rp_table_next (&self->askers_by_who, hash, &cursor);
    if (asker || !(asker = rp_pool_take (&self->askers)))
        return asker;
    asker->session = session;
    asker->hash = hash;
    rp_list_init (&asker->surveys);
    memcpy (asker->principal, principal, strlen (principal));
    if (rp_table_insert (&self->askers_by_who, hash, asker))
        return asker;
    rp_pool_give (&self->askers, asker);
    return NULL;
}

/*  Frees an asker that has no copies.  */
static void s_leave_asker (rp_surveys_t *self, s_asker_t *asker)
{
    if (!asker || asker->copies > 0 || !rp_list_is_empty (&asker->surveys))
        return;
    rp_table_remove (&self->askers_by_who, asker->hash, asker);
    rp_pool_give (&self->askers, asker);
}

static void s_count (s_asker_t *asker, uint64_t copies, uint64_t bytes)
{
    asker->copies += copies;
    asker->bytes += copies * bytes;
}

/*  ---- Finding -------------------------------------------------------------------------------- */

static uint64_t s_request_hash (const rp_surveys_t *self, rp_session_id_t session, uint64_t request)
{
    return rp_hash_pair (session.v, request, self->options.seed + 1);
}

static s_survey_t *s_find (const rp_surveys_t *self, rp_session_id_t session, uint64_t request)
{
    uint64_t hash = s_request_hash (self, session, request);
    rp_table_cursor_t cursor;
    s_survey_t *survey = rp_table_first (&self->surveys_by_request, hash, &cursor);
    while (survey && (survey->client->session.v != session.v || survey->request != request))
        survey = rp_table_next (&self->surveys_by_request, hash, &cursor);
    return survey;
}

/*  The survey has ended for its client; its copies may still be open.  */
static void s_part_from_client (rp_surveys_t *self, s_survey_t *survey)
{
    s_asker_t *client = survey->client;
    rp_table_remove (
      &self->surveys_by_request, s_request_hash (self, client->session, survey->request), survey);
    rp_list_remove (&survey->node);
    s_count (client, (uint64_t) - (int64_t) survey->open, survey->bytes);
    survey->client = NULL;
    survey->over = true;
    s_leave_asker (self, client);
}

static void s_free (rp_surveys_t *self, s_survey_t *survey)
{
    s_asker_t *owner = survey->owner;
    rp_pool_give (&self->surveys, survey);
    s_leave_asker (self, owner);
}

static void s_free_copy (rp_surveys_t *self, s_copy_t *copy)
{
    s_survey_t *survey = copy->survey;
    survey->open--;
    s_count (survey->owner, (uint64_t) -1, survey->bytes);
    if (survey->client)
        s_count (survey->client, (uint64_t) -1, survey->bytes);
    rp_list_remove (&copy->node);
    rp_pool_give (&self->copies, copy);
}

/*  Has the core withdraw all copies that are open.  */
static void s_withdraw (const s_survey_t *survey, rp_actions_t *actions)
{
    for (rp_list_node_t *node = rp_list_first (&survey->copies); node;
         node = rp_list_next (&survey->copies, node))
        rp_actions_add (actions, RP_ACTION_WITHDRAW, (rp_session_id_t){0})->head.id =
          rp_pool_handle (&RP_CONTAINER (node, s_copy_t, node)->pooled);
}

/*  ---- Submission ----------------------------------------------------------------------------- */

static void s_refuse (
  rp_actions_t *actions, const rp_surveys_request_t *request, rp_status_t status, const char *text)
{
    rp_actions_add (actions, RP_ACTION_SEND, request->session)->head =
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .id = request->head->id,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
    rp_actions_drop (actions, request->payload);
}

/*  Returns why a request for so many workers cannot be taken, and the status; NULL if it can.  */
static const char *s_door (const rp_surveys_t *self,
  const rp_surveys_request_t *request,
  const s_asker_t *client,
  const s_asker_t *owner,
  size_t workers,
  rp_actions_t *actions,
  rp_status_t *status)
{
    const rp_head_t *head = request->head;
    const rp_quota_t *quota = request->quota;
    uint64_t quorum = 0;
    (void) rp_headers_number (
      head->headers, head->headers_size, RP_ALL_QUORUM, RP_ALL_MOST, &quorum);
    *status = RP_EXPIRED;
    if (head->deadline_ms == 0)
        return "the deadline had passed when the request came";
    *status = RP_NO_WORKER;
    if (workers == 0)
        return rp_actions_format (
          actions, "no worker offers \"%.*s\"", (int) head->name_size, head->name);
    if (quorum > workers)
        return rp_actions_format (actions,
          "a quorum of %u cannot be reached: \"%.*s\" has %zu workers", (unsigned) quorum,
          (int) head->name_size, head->name, workers);
    *status = RP_BUSY;
    if (client->copies + workers > self->options.limits->client_open)
        return rp_actions_format (actions,
          "%zu workers are as many requests, too many for this client (limit client_open = %llu)",
          workers, (unsigned long long) self->options.limits->client_open);
    if (quota && owner->copies + workers > quota->open)
        return "too many workers for what this principal may have open (quota open)";
    if (quota && owner->bytes + workers * request->bytes > quota->open_bytes)
        return "a body for each worker is over what this principal may have open (quota "
               "open_bytes)";
    return NULL;
}

typedef struct {
    rp_surveys_t *self;
    s_survey_t *survey;
    const rp_surveys_request_t *request;
    rp_actions_t *actions;
} s_begin_t;

/*  Begins the copy for a worker. When out of memory that worker is not asked.  */
static void s_begin_copy (const rp_taker_t *worker, void *arg)
{
    const s_begin_t *begin = arg;
    s_survey_t *survey = begin->survey;
    s_copy_t *copy = rp_pool_take (&begin->self->copies);
    if (!copy)
        return;
    copy->survey = survey;
    snprintf (copy->worker, sizeof copy->worker, "%s", worker->name);
    rp_list_append (&survey->copies, &copy->node);
    survey->asked++;
    rp_action_t *action = rp_actions_add (begin->actions, RP_ACTION_START, worker->session);
    action->payload = begin->request->payload;
    action->keep = true;
    action->head = (rp_head_t){
      .id = rp_pool_handle (&copy->pooled), .deadline_ms = begin->request->head->deadline_ms};
}

/*  Reads with how many OKs it ends.  */
static void s_read_goal (s_survey_t *survey, const rp_head_t *head)
{
    uint64_t first = survey->asked, quorum = 0;
    (void) rp_headers_number (head->headers, head->headers_size, RP_ALL_FIRST, RP_ALL_MOST, &first);
    (void) rp_headers_number (
      head->headers, head->headers_size, RP_ALL_QUORUM, RP_ALL_MOST, &quorum);
    survey->quorum = quorum > 0;
    survey->wanted = (uint32_t) (quorum ? quorum : first < survey->asked ? first : survey->asked);
}

/*  False when out of memory.  */
static bool s_begin (rp_surveys_t *self,
  const rp_surveys_request_t *request,
  s_asker_t *client,
  s_asker_t *owner,
  int64_t now,
  rp_actions_t *actions)
{
    const rp_head_t *head = request->head;
    s_survey_t *survey = rp_pool_take (&self->surveys);
    if (!survey)
        return false;
    survey->client = client;
    survey->owner = owner;
    survey->request = head->id;
    survey->bytes = request->bytes;
    survey->begun = now;
    survey->name_size = head->name_size;
    memcpy (survey->name, head->name, head->name_size);
    rp_list_init (&survey->copies);
    uint64_t hash = s_request_hash (self, request->session, head->id);
    if (!rp_table_insert (&self->surveys_by_request, hash, survey)) {
        rp_pool_give (&self->surveys, survey);
        return false;
    }
    size_t before = actions->count;
    s_begin_t begin = {self, survey, request, actions};
    (void) rp_dispatch_each_taker (
      self->options.core, head->name, head->name_size, s_begin_copy, &begin);
    if (survey->asked == 0) {
        rp_table_remove (&self->surveys_by_request, hash, survey);
        rp_pool_give (&self->surveys, survey);
        return false;
    }
    RP_CHECK (actions->count > before);
    actions->list[actions->count - 1].keep = false;
    survey->open = survey->asked;
    s_read_goal (survey, head);
    rp_list_append (&client->surveys, &survey->node);
    s_count (client, survey->open, survey->bytes);
    s_count (owner, survey->open, survey->bytes);
    return true;
}

void rp_surveys_submit (
  rp_surveys_t *self, const rp_surveys_request_t *request, int64_t now, rp_actions_t *actions)
{
    const rp_head_t *head = request->head;
    s_asker_t *client = s_asker (self, request->session, "");
    s_asker_t *owner = client ? s_asker (self, (rp_session_id_t){0}, request->principal) : NULL;
    rp_status_t status = RP_BUSY;
    const char *refusal = "the broker is out of memory";
    if (owner) {
        size_t workers =
          rp_dispatch_each_taker (self->options.core, head->name, head->name_size, NULL, NULL);
        refusal = s_door (self, request, client, owner, workers, actions, &status);
        if (!refusal && !s_begin (self, request, client, owner, now, actions)) {
            status = RP_BUSY;
            refusal = "the broker is out of memory";
        }
    }
    if (refusal)
        s_refuse (actions, request, status, refusal);
    s_leave_asker (self, client);
    s_leave_asker (self, owner);
}

bool rp_surveys_cancel (
  rp_surveys_t *self, rp_session_id_t session, uint64_t request, rp_actions_t *actions)
{
    s_survey_t *survey = s_find (self, session, request);
    if (!survey)
        return false;
    if (!survey->cancelled)
        s_withdraw (survey, actions);
    survey->cancelled = true;
    return true;
}

void rp_surveys_left (rp_surveys_t *self, rp_session_id_t session, rp_actions_t *actions)
{
    uint64_t hash = rp_hash_pair (session.v, 0, self->options.seed);
    rp_table_cursor_t cursor;
    s_asker_t *client = rp_table_first (&self->askers_by_who, hash, &cursor);
    while (client && client->session.v != session.v)
        client = rp_table_next (&self->askers_by_who, hash, &cursor);
    while (client && !rp_list_is_empty (&client->surveys)) {
        s_survey_t *survey = RP_CONTAINER (rp_list_first (&client->surveys), s_survey_t, node);
        bool last = rp_list_next (&client->surveys, &survey->node) == NULL;
        if (!survey->cancelled)
            s_withdraw (survey, actions);
        s_part_from_client (self, survey);
        if (last) // it is freed
            return;
    }
}

/*  ---- Ends ----------------------------------------------------------------------------------- */

const char *rp_surveys_worker (const rp_surveys_t *self, uint64_t id)
{
    const s_copy_t *copy = rp_pool_find (&self->copies, id);
    return copy ? copy->worker : NULL;
}

/*  True if a worker has had a copy, or may have one that is open.  */
static bool s_is_given (const s_survey_t *survey)
{
    return survey->given > 0 || survey->open > 0;
}

/*  Returns the status that ends a survey.  */
static rp_status_t s_outcome (const s_survey_t *survey)
{
    const uint32_t *ended = survey->ended;
    if (ended[RP_OK] >= survey->wanted)
        return RP_OK;
    if (survey->cancelled)
        return RP_CANCELLED;
    for (int status = 0; !s_is_given (survey) && status < (int) RP_FINAL_COUNT; status++)
        if (ended[status] > 0)
            return (rp_status_t) status; // proves that no worker was given it
    if (ended[RP_DEADLINE] + ended[RP_EXPIRED] > 0)
        return RP_DEADLINE;
    return ended[RP_OK] + ended[RP_APP_ERROR] == survey->asked - survey->open ? RP_APP_ERROR
                                                                              : RP_WORKER_LOST;
}

/*  Writes how many copies ended with each status, as in "OK=2 WORKER_LOST=1".  */
static void s_list_statuses (const s_survey_t *survey, char *text, size_t capacity)
{
    size_t used = 0;
    *text = '\0';
    for (int status = 0; status < (int) RP_FINAL_COUNT && used < capacity; status++)
        if (survey->ended[status] > 0)
            used += (size_t) snprintf (text + used, capacity - used, "%s%s=%u", used ? " " : "",
              rp_status_name (status), (unsigned) survey->ended[status]);
}

#define S_STATUSES 512u
#define S_HEADERS (S_STATUSES + 128u)

/*  Writes the headers of the final. Without room in the list it has none.  */
static void s_summarize (
  const s_survey_t *survey, const char *statuses, rp_head_t *reply, rp_actions_t *actions)
{
    char number[16];
    size_t size = 0;
    uint8_t *block = rp_actions_room (actions, S_HEADERS);
    if (!block)
        return;
    snprintf (number, sizeof number, "%u", (unsigned) survey->asked);
    (void) rp_headers_append (block, &size, S_HEADERS, RP_ALL_WORKERS, number);
    snprintf (
      number, sizeof number, "%u", (unsigned) (survey->ended[RP_OK] + survey->ended[RP_APP_ERROR]));
    (void) rp_headers_append (block, &size, S_HEADERS, RP_ALL_ANSWERED, number);
    (void) rp_headers_append (block, &size, S_HEADERS, RP_ALL_STATUSES, statuses);
    reply->headers = block;
    reply->headers_size = (uint16_t) size;
}

static uint32_t s_us (int64_t time)
{
    return time < 0 ? 0 : time > UINT32_MAX ? UINT32_MAX : (uint32_t) time;
}

static void s_finish (
  rp_surveys_t *self, s_survey_t *survey, int64_t now, rp_actions_t *told, rp_actions_t *wanted)
{
    char statuses[S_STATUSES];
    s_list_statuses (survey, statuses, sizeof statuses);
    rp_head_t reply = {.command = RP_COMMAND_REPLY,
      .status = (uint8_t) s_outcome (survey),
      .attempt = s_is_given (survey),
      .id = survey->request,
      .work_us = s_us (now - survey->begun)};
    if (reply.status != RP_OK) {
        reply.text = rp_actions_format (told, "of %u workers: %s%s", (unsigned) survey->asked,
          statuses, survey->open > 0 ? "; the quorum cannot be reached any more" : "");
        reply.text_size = (uint16_t) strlen (reply.text);
    }
    s_summarize (survey, statuses, &reply, told);
    rp_actions_add (told, RP_ACTION_SEND, survey->client->session)->head = reply;
    if (!survey->cancelled)
        s_withdraw (survey, wanted);
    s_part_from_client (self, survey);
}

/*  Passes on what a copy ended with.  */
static void s_pass_on (
  const s_copy_t *copy, const rp_head_t *head, rp_payload_t *payload, rp_actions_t *told)
{
    rp_action_t *action = rp_actions_add (told, RP_ACTION_SEND, copy->survey->client->session);
    action->payload = payload;
    action->head = *head;
    action->head.flags = (uint16_t) ((head->flags & RP_FLAG_INLINE) | RP_FLAG_MORE);
    action->head.id = copy->survey->request;
    action->head.conversation = 0;
    if (payload)
        return;
    size_t capacity = head->headers_size + 1 + sizeof RP_REPLY_WORKER + 2 + sizeof copy->worker;
    size_t size = head->headers_size;
    uint8_t *block = rp_actions_room (told, capacity);
    if (!block)
        return;
    if (size)
        memcpy (block, head->headers, size);
    (void) rp_headers_append (block, &size, capacity, RP_REPLY_WORKER, copy->worker);
    action->head.headers = block;
    action->head.headers_size = (uint16_t) size;
}

/*  True if the survey is to end now.  */
static bool s_is_over (const s_survey_t *survey)
{
    uint32_t ok = survey->ended[RP_OK];
    return survey->open == 0 || ok >= survey->wanted
           || (survey->quorum && ok + survey->open < survey->wanted);
}

void rp_surveys_answered (rp_surveys_t *self,
  const rp_head_t *head,
  rp_payload_t *payload,
  int64_t now,
  rp_actions_t *told,
  rp_actions_t *wanted)
{
    s_copy_t *copy = rp_pool_find (&self->copies, head->id);
    if (!copy) {
        rp_actions_drop (told, payload);
        return;
    }
    s_survey_t *survey = copy->survey;
    survey->ended[head->status]++;
    survey->given += head->attempt > 0;
    if (survey->over)
        rp_actions_drop (told, payload);
    else
        s_pass_on (copy, head, payload, told);
    s_free_copy (self, copy);
    if (!survey->over && s_is_over (survey))
        s_finish (self, survey, now, told, wanted);
    if (survey->open == 0)
        s_free (self, survey);
}

/*  ---- Rules ---------------------------------------------------------------------------------- */

void rp_surveys_recheck (const rp_surveys_t *self, rp_actions_t *actions)
{
    for (uint32_t slot = 0; slot < rp_pool_slots (&self->surveys); slot++) {
        const s_survey_t *survey = rp_pool_at (&self->surveys, slot);
        if (!(survey->pooled.generation & 1)
            || rp_dispatch_allows_principal (self->options.core, survey->owner->principal,
              RP_RULE_CALL, survey->name, survey->name_size))
            continue;
        for (rp_list_node_t *node = rp_list_first (&survey->copies); node;
             node = rp_list_next (&survey->copies, node))
            rp_actions_add (actions, RP_ACTION_BAR, (rp_session_id_t){0})->head.id =
              rp_pool_handle (&RP_CONTAINER (node, s_copy_t, node)->pooled);
    }
}

size_t rp_surveys_open (const rp_surveys_t *self)
{
    return self->surveys.count;
}

/*  ---- Making --------------------------------------------------------------------------------- */

rp_surveys_t *rp_surveys_new (const rp_surveys_options_t *options)
{
    rp_surveys_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->options = *options;
    uint32_t seed = (uint32_t) options->seed;
    rp_pool_init (&self->askers, sizeof (s_asker_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->surveys, sizeof (s_survey_t), UINT32_MAX / 2, seed);
    rp_pool_init (&self->copies, sizeof (s_copy_t), UINT32_MAX / 2, seed);
    rp_table_init (&self->askers_by_who);
    rp_table_init (&self->surveys_by_request);
    return self;
}

void rp_surveys_destroy (rp_surveys_t **self_p)
{
    rp_surveys_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_pool_clear (&self->askers);
    rp_pool_clear (&self->surveys);
    rp_pool_clear (&self->copies);
    rp_table_clear (&self->askers_by_who);
    rp_table_clear (&self->surveys_by_request);
    free (self);
}
