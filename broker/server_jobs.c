/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/server_jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/job_trace.h"
#include "broker/admin/json.h"
#include "broker/admin/json_jobs.h"
#include "broker/jobs/job_id.h"
#include "broker/jobs/job_terms.h"
#include "broker/kept_message.h"
#include "broker/server_client.h"
#include "common/base/check.h"
#include "common/io/clock.h"
#include "common/wire/headers.h"

/*  How long the end of the broker waits for the disk, ms.  */
#define S_END_MS 5000u
/*  Room for what one request or answer needs: a job as it is written, a name, a text.  */
#define S_ROOM (sizeof (rp_store_job_t) + RP_WIRE_TEXT_MAX + (size_t) 2 * RP_WIRE_NAME_MAX)
/*  How long a question may wait for a job's final, ms: clients ask again.  */
#define S_WAIT_MAX_MS 60000u

static rp_jobs_time_t s_time (int64_t now)
{
    return (rp_jobs_time_t){.now = now, .wall = rp_clock_wall_us ()};
}

/*  True if one more request of a client, or answer of the core, finds room for its texts among what is
    wanted.  */
static bool s_has_room (rp_actions_t *wanted)
{
    if (wanted->count == 0)
        rp_actions_reset (wanted);
    return sizeof wanted->text - wanted->text_used >= S_ROOM;
}

/*  Jobs have numbers here, and ids outside.  */
static const rp_store_secret_t *s_secret (const rp_server_t *self)
{
    return rp_store_secret (self->jobs.store);
}

/*  ---- Messages and rows ---------------------------------------------------------------------- */

/*  Makes the request of a job again. NULL when out of memory.  */
static rp_payload_t *s_request_of (rp_server_t *self, const rp_store_row_t *row)
{
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1, // the core's client gives it another
      .attempts = row->job.attempts,
      .name = row->job.service.data,
      .name_size = (uint8_t) row->job.service.size,
      .headers = row->job.headers.data,
      .headers_size = (uint16_t) row->job.headers.size};
    return rp_outbox_payload (rp_kept_message (&self->pool, &head, row->body, row->body_count));
}

/*  Makes the reply to a question for a job's final. NULL when out of memory.  */
static rp_message_t *s_result_of (rp_server_t *self, const rp_store_row_t *row, uint64_t request)
{
    rp_head_t head = {.command = RP_COMMAND_REPLY,
      .id = request,
      .job = rp_job_id_tell (s_secret (self), row->id),
      .status = row->status,
      .attempt = row->attempt,
      .code = row->code,
      .text = row->text.data,
      .text_size = (uint16_t) row->text.size,
      .headers = row->reply_headers.data,
      .headers_size = (uint16_t) row->reply_headers.size};
    return rp_kept_message (&self->pool, &head, row->reply, row->reply_count);
}

/*  ---- Answers -------------------------------------------------------------------------------- */

static void s_send (rp_server_t *self, rp_session_id_t session, rp_message_t *message)
{
    if (message)
        rp_outbox_send (&self->outbox, session, &message);
    else
        rp_outbox_report_dropped (&self->outbox, session, "the broker has no memory to answer it");
}

static const char s_no_memory[] = "the broker is out of memory";

static void s_refuse (
  rp_server_t *self, rp_session_id_t session, uint64_t id, rp_status_t status, const char *text)
{
    rp_head_t head = {.command = RP_COMMAND_REPLY,
      .id = id,
      .status = (uint8_t) status,
      .text = text,
      .text_size = (uint16_t) strlen (text)};
    s_send (self, session, rp_kept_message (&self->pool, &head, NULL, 0));
}

/*  ---- Answers to what is kept ---------------------------------------------------------------- */

/*  What a kept question is answered with. answer: NULL is `wrong`.  */
typedef struct {
    json_t *answer;
    rp_asking_why_t why;
    const char *wrong;
} s_told_t;

static void s_tell_client (
  rp_server_t *self, const rp_server_jobs_asked_t *asked, const s_told_t *told)
{
    if (!told->answer) {
        s_refuse (self, asked->session, asked->request, RP_BUSY, told->wrong);
        return;
    }
    char *text = json_dumps (told->answer, RP_JSON_FLAGS);
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = asked->request};
    rp_store_span_t frame = {text, text ? strlen (text) : 0};
    s_send (self, asked->session, text ? rp_kept_message (&self->pool, &head, &frame, 1) : NULL);
    free (text);
    json_decref (told->answer);
}

/*  Tells a kept question, which the jobs know by their client in the core.  */
static void s_tell_asked (
  rp_server_t *self, rp_server_jobs_asked_t *asked, s_told_t told, int64_t began)
{
    rp_asking_question_t *question = asked->question;
    if (question) {
        question->answer = told.answer;
        question->why = told.why;
        snprintf (question->wrong, sizeof question->wrong, "%s", told.answer ? "" : told.wrong);
        int64_t now = rp_clock_us ();
        rp_asking_tell_kept (&self->asking, question, now, now - began);
    }
    else
        s_tell_client (self, asked, &told);
    *asked = (rp_server_jobs_asked_t){0};
}

static rp_server_jobs_asked_t *s_asked (rp_server_t *self, uint64_t id)
{
    rp_server_jobs_asked_t *asked = self->jobs.asked;
    while (asked->id != id) // each is answered once
        RP_CHECK (++asked < self->jobs.asked + RP_SERVER_JOBS_ASKED);
    return asked;
}

/*  Puts a job before the requests that have the id, too.  */
static json_t *s_with_job (rp_server_t *self, json_t *traces)
{
    (void) json_array_insert_new (json_object_get (traces, "traces"), 0,
      rp_job_trace_json (&self->jobs.stored->rows->jobs[0], s_secret (self), rp_clock_wall_us ()));
    return traces;
}

static void s_tell_rows (rp_server_t *self, uint64_t id)
{
    int64_t began = rp_clock_us ();
    rp_server_jobs_asked_t *asked = s_asked (self, id);
    const rp_stored_t *stored = self->jobs.stored;
    if (asked->traces) {
        s_tell_asked (self, asked, (s_told_t){.answer = s_with_job (self, asked->traces)}, began);
        return;
    }
    const rp_json_jobs_manner_t manner = {
      .secret = s_secret (self), .wall = rp_clock_wall_us (), .body = asked->body};
    s_tell_asked (
      self, asked, (s_told_t){.answer = rp_json_jobs (stored, &manner), .wrong = ""}, began);
}

/*  Tells what a REPLY without rows says: that there is no such job, or too much to do.  */
static void s_tell_reply (rp_server_t *self, const rp_head_t *head)
{
    char text[RP_QUESTION_WRONG_MAX];
    rp_server_jobs_asked_t *asked = s_asked (self, head->id);
    snprintf (text, sizeof text, "%.*s", (int) head->text_size, head->text);
    bool busy = head->status == RP_BUSY;
    s_told_t told = {.answer = asked->traces, // otherwise there is no such job
      .why = busy ? RP_ASKING_BUSY : RP_ASKING_ABSENT,
      .wrong = text};
    if (busy) {
        json_decref (told.answer);
        told.answer = NULL;
    }
    s_tell_asked (self, asked, told, rp_clock_us ());
}

/*  Answers a question with the rows in hand.  */
static void s_answer_rows (rp_server_t *self, const rp_action_t *action)
{
    const rp_stored_t *stored = self->jobs.stored;
    if (action->session.v == self->jobs.client.v) {
        s_tell_rows (self, action->asked.id);
        return;
    }
    if (action->asked.what == RP_JOBS_RESULT) {
        s_send (
          self, action->session, s_result_of (self, &stored->rows->jobs[0], action->asked.id));
        return;
    }
    char *text = rp_json_jobs_write (
      stored, &(rp_json_jobs_manner_t){.secret = s_secret (self), .wall = rp_clock_wall_us ()});
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = action->asked.id};
    rp_store_span_t frame = {text, text ? strlen (text) : 0};
    s_send (self, action->session, text ? rp_kept_message (&self->pool, &head, &frame, 1) : NULL);
    free (text);
}

/*  ---- Questions ------------------------------------------------------------------------------ */

/*  A name behind "riposte." that the core passes on, and what is asked of the store for it.  */
typedef struct {
    const char *name;
    rp_store_kind_t kind;
    rp_jobs_what_t what;
    rp_job_state_t state; /* LIST: in this state, unless the question says another */
} s_name_t;

static const s_name_t s_names[] = {
  {"result", RP_STORE_FIND, RP_JOBS_RESULT, RP_JOB_ANY},
  {"job", RP_STORE_FIND, RP_JOBS_STATE, RP_JOB_ANY},
  {"cancel", RP_STORE_FIND, RP_JOBS_CANCEL, RP_JOB_ANY},
  {"remove", RP_STORE_FIND, RP_JOBS_REMOVE, RP_JOB_ANY},
  {"jobs", RP_STORE_LIST, RP_JOBS_STATE, RP_JOB_ANY},
  {"brokers", RP_STORE_BROKERS, RP_JOBS_STATE, RP_JOB_ANY},
  {"dead.list", RP_STORE_LIST, RP_JOBS_STATE, RP_JOB_DEAD},
  {"dead.retry", RP_STORE_FIND, RP_JOBS_RETRY, RP_JOB_ANY},
  {"dead.purge", RP_STORE_PURGE, RP_JOBS_STATE, RP_JOB_ANY},
};

/*  NULL: there is no such name.  */
static const s_name_t *s_find_name (const char *name, size_t size)
{
    for (size_t index = 0; index < sizeof s_names / sizeof *s_names; index++)
        if (size == strlen (s_names[index].name) && memcmp (name, s_names[index].name, size) == 0)
            return &s_names[index];
    return NULL;
}

/*  Returns what is wrong with a question; NULL: nothing.  */
static const char *s_check (
  const rp_server_t *self, const s_name_t *name, const rp_json_jobs_question_t *question)
{
    if (question->id == 0 && name->kind == RP_STORE_FIND)
        return "the question wants the job's \"id\"";
    if (question->id && name->kind == RP_STORE_PURGE
        && rp_job_id_read (s_secret (self), question->id) == 0)
        return "there is no such dead job"; // 0 would be all of them
    if (name->kind == RP_STORE_PURGE
        && (question->id != 0) + (*question->service != '\0') + question->all != 1)
        return "the question wants the \"id\" of a dead job, the \"service\" of all that are to "
               "go, or \"all\": true";
    return NULL;
}

static const char *s_who (const rp_action_t *action)
{
    return action->principal ? action->principal : RP_PRINCIPAL_ANONYMOUS;
}

/*  The principal whose jobs the sender may see; NULL: all.  */
static const char *s_whose (const rp_server_t *self, const rp_action_t *action, rp_rule_t rule)
{
    return rp_dispatch_allows (self->core, action->session, rule, NULL, 0) ? NULL : s_who (action);
}

/*  Who asks, and by which id it is answered.  */
typedef struct {
    rp_session_id_t session;
    uint64_t id;
    const char *principal; /* whose jobs it may see; NULL: all */
    const char *who;       /* the principal; NULL: it changes nothing */
} s_asker_t;

static void s_ask (rp_server_t *self,
  const s_asker_t *asker,
  const s_name_t *name,
  const rp_json_jobs_question_t *question,
  int64_t now)
{
    rp_jobs_ask (self->jobs.jobs,
      &(rp_jobs_question_t){.what = name->what,
        .session = asker->session,
        .request = asker->id,
        .job = rp_job_id_read (s_secret (self), question->id),
        .wait_ms = question->wait_ms < S_WAIT_MAX_MS ? question->wait_ms : S_WAIT_MAX_MS,
        .body = question->body > 0 && asker->session.v == self->jobs.client.v,
        .principal = asker->principal},
      s_time (now), self->jobs.wanted);
}

static void s_browse (rp_server_t *self,
  const s_asker_t *asker,
  const s_name_t *name,
  const rp_json_jobs_question_t *question)
{
    rp_store_op_t op = {.kind = (uint8_t) name->kind,
      .state = question->state == RP_JOB_ANY ? (uint8_t) name->state : question->state,
      .id = rp_job_id_read (s_secret (self), question->id),
      .rows = question->most};
    size_t size = strlen (question->service);
    if (size > 0) { // copied until the operation is carried out
        char *room = rp_actions_room (self->jobs.wanted, size + 1);
        RP_CHECK (room != NULL); // s_take_heard sees to it
        op.text = memcpy (room, question->service, size + 1);
        op.text_size = (uint16_t) size;
    }
    rp_jobs_browse (self->jobs.jobs, asker->session, asker->id, &op, self->jobs.wanted);
}

/*  Says in the log who changes what.  */
static void s_log (rp_server_t *self,
  const s_asker_t *asker,
  const s_name_t *name,
  const rp_json_jobs_question_t *question,
  int64_t now)
{
    const char *verb = name->what == RP_JOBS_RETRY ? "retries" : "purges";
    if (name->what != RP_JOBS_RETRY && name->kind != RP_STORE_PURGE)
        return;
    if (question->id)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
          "%s %s the dead job %" PRIu64, asker->who, verb, question->id);
    else
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
          "%s %s dead jobs of %s%s%s", asker->who, verb, *question->service ? "\"" : "all services",
          question->service, *question->service ? "\"" : "");
}

static void s_put (rp_server_t *self,
  const s_asker_t *asker,
  const s_name_t *name,
  const rp_json_jobs_question_t *question,
  int64_t now)
{
    s_log (self, asker, name, question, now);
    if (name->kind == RP_STORE_FIND)
        s_ask (self, asker, name, question, now);
    else
        s_browse (self, asker, name, question);
}

/*  ---- Questions over HTTP -------------------------------------------------------------------- */

bool rp_server_jobs_is_question (const rp_asking_question_t *question)
{
    return s_find_name (question->name, strlen (question->name)) != NULL;
}

/*  Returns a free place; NULL if the store has enough to answer, or there is no room for what is wanted.  */
static rp_server_jobs_asked_t *s_place (rp_server_t *self, bool http)
{
    rp_server_jobs_asked_t *place = NULL;
    unsigned count = 0;
    for (size_t index = 0; index < RP_SERVER_JOBS_ASKED; index++) {
        count += self->jobs.asked[index].question != NULL;
        if (self->jobs.asked[index].id == 0)
            place = &self->jobs.asked[index];
    }
    return (http && count >= RP_SERVER_JOBS_ASKED_HTTP) || !s_has_room (self->jobs.wanted) ? NULL
                                                                                           : place;
}

/*  Keeps a question, and asks the store.  */
static void s_keep (rp_server_t *self,
  rp_server_jobs_asked_t *place,
  rp_server_jobs_asked_t asked,
  const s_name_t *name,
  const rp_json_jobs_question_t *question,
  int64_t now)
{
    *place = asked;
    place->id = ++self->jobs.asked_id;
    s_put (self,
      &(s_asker_t){.session = self->jobs.client,
        .id = place->id,
        .who = asked.question ? asked.question->who : NULL},
      name, question, now);
}

static const char s_too_many[] = "too many questions about jobs wait for the store; ask again";

/*  Refuses a question; always false.  */
static bool s_turn_away (rp_asking_question_t *question, rp_asking_why_t why, const char *wrong)
{
    question->why = why;
    snprintf (question->wrong, sizeof question->wrong, "%s", wrong);
    return false;
}

bool rp_server_jobs_ask (rp_server_t *self, rp_asking_question_t *question, int64_t now)
{
    rp_json_jobs_question_t read;
    const s_name_t *name = s_find_name (question->name, strlen (question->name));
    const char *wrong = rp_json_jobs_read (&read, question->params);
    if (!self->jobs.jobs)
        return s_turn_away (question, RP_ASKING_ABSENT,
          "this broker keeps no jobs: it was started without a store (--store FILE)");
    if (!wrong)
        wrong = s_check (self, name, &read);
    if (wrong)
        return s_turn_away (question, RP_ASKING_BAD, wrong);
    rp_server_jobs_asked_t *place = s_place (self, true);
    if (!place)
        return s_turn_away (question, RP_ASKING_BUSY, s_too_many);
    s_keep (self, place, (rp_server_jobs_asked_t){.question = question, .body = read.body}, name,
      &read, now);
    return true;
}

/*  ---- Traces ---------------------------------------------------------------------------------- */

static const s_name_t s_find = {"trace", RP_STORE_FIND, RP_JOBS_STATE, RP_JOB_ANY};

bool rp_server_jobs_ask_trace (rp_server_t *self, rp_asking_question_t *question, int64_t now)
{
    rp_json_jobs_question_t read;
    if (!self->jobs.jobs || !question->answer || strcmp (question->name, s_find.name) != 0
        || rp_json_jobs_read (&read, question->params) || read.id == 0)
        return false;
    rp_server_jobs_asked_t *place = s_place (self, true);
    json_t *traces = question->answer;
    question->answer = NULL;
    if (!place) {
        json_decref (traces);
        return s_turn_away (question, RP_ASKING_BUSY, s_too_many);
    }
    s_keep (self, place, (rp_server_jobs_asked_t){.question = question, .traces = traces}, &s_find,
      &read, now);
    return true;
}

/*  Asks for the job that a client's request for traces may mean. False if it means none.  */
static bool s_ask_trace (rp_server_t *self,
  const rp_action_t *action,
  const rp_head_t *head,
  rp_message_t *request,
  int64_t now)
{
    char wrong[RP_QUESTION_WRONG_MAX];
    rp_json_jobs_question_t read;
    rp_store_span_t frames[RP_FRAMES_MAX];
    size_t count = rp_kept_frames (request, head, frames);
    const void *body = count > 0 ? frames[0].data : NULL;
    size_t size = count > 0 ? frames[0].size : 0;
    if (rp_json_jobs_read_text (&read, body, size) || read.id == 0)
        return false;
    rp_server_jobs_asked_t *place = s_place (self, false);
    if (!place) {
        s_refuse (self, action->session, action->head.id, RP_BUSY, s_too_many);
        return true;
    }
    json_t *traces = rp_question_answer_text (
      &self->admin.sources, s_find.name, strlen (s_find.name), body, size, now, wrong);
    if (!traces)
        return false; // what is wrong is said there
    s_keep (self, place,
      (rp_server_jobs_asked_t){
        .session = action->session, .request = action->head.id, .traces = traces},
      &s_find, &read, now);
    return true;
}

/*  Answers a client's request for traces.  */
static void s_answer_trace (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *request = rp_outbox_message (action->payload);
    rp_head_t head;
    if (!rp_kept_read (&self->pool, request, &head))
        s_refuse (self, action->session, action->head.id, RP_BUSY, s_no_memory);
    else if (!s_ask_trace (self, action, &head, request, now))
        s_send (self, action->session,
          rp_admin_answer (&self->admin, action->session, &head, &request, now));
    rp_message_destroy (&self->pool, &request);
}

/*  ---- Questions of clients ------------------------------------------------------------------- */

/*  Answers a question about jobs, of which the body is read.  */
static void s_answer_read (rp_server_t *self,
  const rp_action_t *action,
  rp_message_t *request,
  const rp_head_t *head,
  int64_t now)
{
    static const char prefix[] = "riposte.";
    const size_t skip = sizeof prefix - 1;
    const s_name_t *name = s_find_name (head->name + skip, head->name_size - skip);
    RP_CHECK (name != NULL); // the core passes on no other names
    rp_store_span_t frames[RP_FRAMES_MAX];
    size_t count = rp_kept_frames (request, head, frames);
    rp_json_jobs_question_t question;
    const char *wrong = rp_json_jobs_read_text (
      &question, count > 0 ? frames[0].data : NULL, count > 0 ? frames[0].size : 0);
    if (!wrong)
        wrong = s_check (self, name, &question);
    rp_rule_t rule = name->what == RP_JOBS_STATE ? RP_RULE_OBSERVE : RP_RULE_ADMIN;
    const s_asker_t asker = {.session = action->session,
      .id = action->head.id,
      .principal = s_whose (self, action, rule),
      .who = s_who (action)};
    if (wrong)
        s_refuse (self, action->session, action->head.id, RP_APP_ERROR, wrong);
    else
        s_put (self, &asker, name, &question, now);
}

static void s_answer (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *request = rp_outbox_message (action->payload);
    rp_head_t head;
    if (rp_kept_read (&self->pool, request, &head))
        s_answer_read (self, action, request, &head, now);
    else // without its body it would be another question
        s_refuse (self, action->session, action->head.id, RP_BUSY, s_no_memory);
    rp_message_destroy (&self->pool, &request);
}

/*  ---- In and out of the core ----------------------------------------------------------------- */

static void s_submit (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head;
    if (!rp_kept_read (&self->pool, message, &head)) {
        s_refuse (self, action->session, action->head.id, RP_BUSY, s_no_memory);
        rp_message_destroy (&self->pool, &message);
        return;
    }
    uint8_t digest[RP_STORE_DIGEST];
    rp_header_t key;
    if (rp_headers_find (head.headers, head.headers_size, RP_JOB_KEY, &key))
        rp_kept_digest (message, &head, digest, sizeof digest);
    rp_jobs_submit (self->jobs.jobs,
      &(rp_jobs_request_t){.session = action->session,
        .head = &head,
        .payload = action->payload,
        .bytes = rp_kept_bytes (message),
        .principal = s_who (action),
        .digest = digest},
      s_time (now), self->jobs.wanted);
}

static void s_hear (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_message_t *message = rp_outbox_message (action->payload);
    rp_head_t head = action->head;
    if (head.command != RP_COMMAND_REPLY) { // WELCOME, heartbeats, BYE
        rp_message_destroy (&self->pool, &message);
        return;
    }
    rp_head_t decoded;
    if (message && !rp_kept_read_reply (&self->pool, message, &head, &decoded)) {
        // As if the worker had been lost: its reply cannot be kept.
        rp_message_destroy (&self->pool, &message);
        head.status = RP_WORKER_LOST;
        head.text = "the broker had no memory for the reply";
        head.text_size = (uint16_t) strlen (head.text);
    }
    else if (message) {
        head.text = decoded.text;
        head.text_size = decoded.text_size;
        head.headers = decoded.headers;
        head.headers_size = decoded.headers_size;
        head.flags = decoded.flags;
        head.code = decoded.code;
    }
    rp_jobs_answered (
      self->jobs.jobs, &head, rp_outbox_payload (message), s_time (now), self->jobs.wanted);
}

/*  Gives the core an attempt.  */
static void s_start (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_head_t head = rp_server_head_to_start (action);
    head.attempt = action->head.attempt;
    head.attempts = action->head.attempts;
    head.wait_ms = 0;
    head.priority = rp_job_terms_priority (&head);
    rp_server_start (self, self->jobs.client, (rp_session_id_t){0}, action->payload, &head, now);
}

static void s_store (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    rp_store_span_t frames[RP_FRAMES_MAX];
    rp_message_t *body = rp_outbox_message (action->payload);
    rp_head_t head;
    size_t count = body && rp_kept_read (&self->pool, body, &head) // it lies in no bundle any more
                     ? rp_kept_frames (body, &head, frames)
                     : 0;
    if (!rp_store_submit (self->jobs.store, &action->op, frames, count, body))
        rp_server_fail (self, "there is no memory to keep jobs", now);
    else
        self->jobs.submitted++;
}

/*  Sends what the jobs tell a client.  */
static void s_tell (rp_server_t *self, const rp_action_t *action)
{
    rp_action_t told = *action;
    told.head.job = rp_job_id_tell (s_secret (self), action->head.job);
    rp_outbox_post (&self->outbox, &told);
}

/*  ---- Carrying out --------------------------------------------------------------------------- */

static void s_carry_out_one (rp_server_t *self, const rp_action_t *action, int64_t now)
{
    switch (action->kind) {
        case RP_ACTION_STORE:
            s_store (self, action, now);
            break;
        case RP_ACTION_START:
            s_start (self, action, now);
            break;
        case RP_ACTION_ROWS:
            s_answer_rows (self, action);
            break;
        case RP_ACTION_SEND:
            if (action->session.v == self->jobs.client.v)
                s_tell_reply (self, &action->head);
            else
                s_tell (self, action);
            break;
        default:
            rp_server_client_carry_out (self, self->jobs.client, action, now);
            break;
    }
}

/*  Carries out what the jobs want done; the core's answers to it may want more.  */
static bool s_settle (rp_server_t *self, int64_t now)
{
    rp_server_jobs_t *jobs = &self->jobs;
    bool any = jobs->wanted->count > 0;
    while (jobs->wanted->count > 0) {
        rp_actions_t *batch = jobs->wanted;
        jobs->wanted = batch == jobs->lists ? &jobs->lists[1] : jobs->lists;
        for (size_t index = 0; index < batch->count; index++)
            s_carry_out_one (self, &batch->list[index], now);
        rp_actions_reset (batch);
    }
    return any;
}

/*  Tells the log that this broker's jobs are another's.  */
static void s_look_lost (rp_server_t *self, const rp_stored_t *stored, int64_t now)
{
    bool begins = stored->kind == RP_STORE_SERVICES && stored->outcome == RP_STORED_SAFE;
    if (stored->outcome == RP_STORED_LOST && !self->jobs.lost) {
        self->jobs.lost = true;
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "another broker has taken over the jobs of this one, which could not be heard for too "
          "long; it begins "
          "again without them");
    }
    else if (begins)
        self->jobs.lost = false;
}

/*  Takes a result of the store. False if there is none.  */
static bool s_take (rp_server_t *self, int64_t now)
{
    rp_stored_t stored;
    if (!rp_store_take (self->jobs.store, &stored))
        return false;
    self->jobs.taken++;
    s_look_lost (self, &stored, now);
    if (stored.outcome == RP_STORED_BROKEN) {
        rp_message_t *body = stored.kept;
        rp_message_destroy (&self->pool, &body);
        rp_stored_clear (&stored);
        rp_server_fail (self, rp_store_trouble (self->jobs.store), now);
        return false;
    }
    rp_payload_t **rows = NULL;
    size_t count = stored.kind == RP_STORE_LOAD && stored.rows ? stored.rows->count : 0;
    if (count > 0) {
        rows = calloc (count, sizeof *rows);
        RP_CHECK_MEMORY (rows != NULL);
        for (size_t index = 0; index < count; index++)
            if (stored.rows->jobs[index].state == RP_JOB_WAITING)
                rows[index] = s_request_of (self, &stored.rows->jobs[index]);
    }
    self->jobs.stored = &stored;
    rp_jobs_stored (self->jobs.jobs, &stored, rows, s_time (now), self->jobs.wanted);
    (void) s_settle (self, now);
    self->jobs.stored = NULL;
    free (rows);
    rp_stored_clear (&stored);
    return true;
}

/*  Takes what the core had for the jobs, as far as there is room for what follows from it. What they want done
    is carried out later, so the core adds nothing meanwhile. False if nothing was taken.  */
static bool s_take_heard (rp_server_t *self, int64_t now)
{
    rp_actions_t *heard = &self->jobs.heard;
    size_t index = 0;
    for (; index < heard->count && s_has_room (self->jobs.wanted); index++) {
        const rp_action_t *action = &heard->list[index];
        if (action->kind == RP_ACTION_SEND)
            s_hear (self, action, now);
        else if (action->kind == RP_ACTION_ADMIN)
            s_answer_trace (self, action, now);
        else if (action->kind != RP_ACTION_JOB)
            rp_jobs_end_session (self->jobs.jobs, action->session);
        else if (action->head.command == RP_COMMAND_CANCEL)
            rp_dispatch_count_cancel (
              self->core, rp_jobs_withdraw (
                            self->jobs.jobs, action->session, action->head.id, self->jobs.wanted));
        else if (action->head.flags & RP_FLAG_DURABLE)
            s_submit (self, action, now);
        else
            s_answer (self, action, now);
    }
    if (index == heard->count)
        rp_actions_reset (heard);
    else if (index > 0) {
        heard->count -= index;
        memmove (heard->list, heard->list + index, heard->count * sizeof *heard->list);
    }
    return index > 0;
}

/*  Tells the jobs whether the store is reachable, and the log when that changes.  */
static void s_look_away (rp_server_t *self, int64_t now)
{
    bool away = rp_store_is_away (self->jobs.store);
    if (away == self->jobs.away)
        return;
    self->jobs.away = away;
    rp_jobs_set_away (self->jobs.jobs, away);
    if (away)
        rp_log_write (&self->log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, now, NULL,
          "the store of jobs is not reachable, so jobs are refused until it is: %s",
          rp_store_trouble (self->jobs.store));
    else
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
          "the store of jobs is reachable again");
}

/*  Tells the jobs, and the log, when jobs of other brokers have been taken over.  */
static void s_look_news (rp_server_t *self, int64_t now)
{
    char taken[RP_STORE_TEXT];
    if (!rp_store_take_news (self->jobs.store, taken))
        return;
    rp_jobs_hear_news (self->jobs.jobs, s_time (now), self->jobs.wanted);
    if (*taken)
        rp_log_write (&self->log, RP_LEVEL_INFO, RP_TOPIC_BROKER, now, NULL,
          "this broker has the jobs now of broker %s, which is gone or cannot be heard", taken);
}

bool rp_server_jobs_tick (rp_server_t *self, int64_t now)
{
    if (!self->jobs.jobs)
        return false;
    bool any = false;
    s_look_away (self, now);
    s_look_news (self, now);
    while (
      s_take_heard (self, now) || s_settle (self, now) || (!self->failed && s_take (self, now)))
        any = true;
    if (rp_dispatch_is_draining (self->core)) {
        rp_jobs_drain (self->jobs.jobs);
        rp_store_leave (self->jobs.store);
    }
    int64_t due = rp_jobs_tick (self->jobs.jobs, s_time (now), self->jobs.wanted);
    while (s_settle (self, now) || s_take_heard (self, now))
        any = true;
    rp_poller_set_deadline (&self->poller, &self->jobs.due, due);
    return any;
}

/*  ---- Making --------------------------------------------------------------------------------- */

bool rp_server_jobs_begin (rp_server_t *self, int64_t now)
{
    if (!self->jobs.store)
        return true;
    self->jobs.jobs = rp_jobs_new (&(rp_jobs_options_t){.core = self->core,
      .seed = rp_clock_entropy (),
      .most = self->limits.jobs,
      .services = self->limits.max_services});
    if (!self->jobs.jobs
        || !rp_poller_add (&self->poller, rp_store_descriptor (self->jobs.store), NULL, NULL)
        || !rp_poller_add_deadline (&self->poller, &self->jobs.due, NULL, NULL))
        return false;
    self->jobs.client = rp_server_join_core (self, "jobs", RP_TRAIT_UNTIMED, now);
    rp_jobs_begin (self->jobs.jobs, s_time (now), self->jobs.wanted);
    return self->jobs.client.v != 0;
}

void rp_server_jobs_end (rp_server_t *self)
{
    if (!self->jobs.jobs || self->failed)
        return;
    int64_t until = rp_clock_us () + (int64_t) S_END_MS * 1000;
    int64_t now;
    while (
      !self->failed && rp_jobs_is_writing (self->jobs.jobs) && (now = rp_clock_us ()) < until) {
        (void) rp_store_wait (self->jobs.store, (unsigned) ((until - now) / 1000 + 1));
        (void) rp_server_jobs_tick (self, now);
    }
}

void rp_server_jobs_clear (rp_server_t *self)
{
    rp_server_jobs_t *jobs = &self->jobs;
    rp_jobs_destroy (&jobs->jobs, jobs->wanted);
    for (size_t index = 0; index < RP_SERVER_JOBS_ASKED; index++) {
        rp_asking_question_destroy (&jobs->asked[index].question);
        json_decref (jobs->asked[index].traces);
    }
    // Each result gives a body back.
    while (jobs->store && jobs->taken < jobs->submitted && rp_store_wait (jobs->store, S_END_MS)) {
        rp_stored_t stored;
        while (rp_store_take (jobs->store, &stored)) {
            rp_message_t *body = stored.kept;
            rp_message_destroy (&self->pool, &body);
            rp_stored_clear (&stored);
            jobs->taken++;
        }
    }
    rp_store_close (&jobs->store);
    for (size_t index = 0; index < jobs->wanted->count; index++)
        rp_outbox_drop (&self->outbox, jobs->wanted->list[index].payload);
    for (size_t index = 0; index < jobs->heard.count; index++)
        rp_outbox_drop (&self->outbox, jobs->heard.list[index].payload);
    rp_actions_clear (&jobs->heard);
    rp_actions_clear (&jobs->lists[0]);
    rp_actions_clear (&jobs->lists[1]);
}
