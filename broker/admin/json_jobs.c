/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/json_jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <riposte/error.h>

#include "broker/admin/job_trace.h"
#include "broker/admin/json.h"
#include "broker/jobs/job_id.h"
#include "common/base/units.h"
#include "common/base/utf8.h"

/*  The longest text that a job has: that of a reply.  */
#define S_TEXT_MAX 1024u

static const char *const s_states[] = {
  [RP_JOB_WAITING] = "waiting",
  [RP_JOB_RUNNING] = "running",
  [RP_JOB_DONE] = "done",
  [RP_JOB_DEAD] = "dead",
};

/*  Reads the name of a state. False if it is none.  */
static bool s_state (const char *name, uint8_t *state)
{
    for (unsigned index = RP_JOB_WAITING; index <= RP_JOB_DEAD; index++)
        if (strcmp (s_states[index], name) == 0) {
            *state = (uint8_t) index;
            return true;
        }
    return false;
}

static void s_set_span (json_t *object, const char *name, rp_store_span_t span)
{
    char escaped[S_TEXT_MAX * 4 + 1];
    if (span.size == 0)
        return;
    size_t size = span.size < S_TEXT_MAX ? span.size : S_TEXT_MAX;
    rp_utf8_escape (span.data, size, escaped, sizeof escaped);
    (void) json_object_set_new (object, name, json_string (escaped));
}

static void s_set_number (json_t *object, const char *name, int64_t number)
{
    (void) json_object_set_new (object, name, json_integer ((json_int_t) number));
}

static void s_set_id (
  json_t *object, const char *name, const rp_store_secret_t *secret, uint64_t number)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, rp_job_id_tell (secret, number));
    if (number)
        (void) json_object_set_new (object, name, json_string (text));
}

/*  Makes a text of the beginning of a body, line by line.  */
static json_t *s_body (const rp_store_row_t *row, size_t most)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream (&text, &size);
    if (!out)
        return NULL;
    for (uint32_t frame = 0; frame < row->body_count && most > 0; frame++) {
        const char *at = row->body[frame].data;
        size_t left = row->body[frame].size < most ? row->body[frame].size : most;
        most -= left;
        while (left > 0) {
            char escaped[4 * 256 + 1];
            size_t piece = 0;
            while (piece < left && piece < 256 && at[piece] != '\n' && at[piece] != '\t')
                piece++;
            if (piece == 256) // not in the middle of a character
                for (size_t back = 1; back <= 3 && piece < left && (at[piece] & 0xc0) == 0x80;
                     back++)
                    piece--;
            rp_utf8_escape (at, piece, escaped, sizeof escaped);
            fputs (escaped, out);
            if (piece < left && (at[piece] == '\n' || at[piece] == '\t'))
                fputc (at[piece++], out);
            at += piece;
            left -= piece;
        }
    }
    bool whole = !ferror (out);
    json_t *body = fclose (out) == 0 && whole ? json_stringn (text, size) : NULL;
    free (text);
    return body;
}

static json_t *s_attempt (const rp_store_attempt_t *attempt)
{
    json_t *object = json_object ();
    s_set_number (object, "number", attempt->number);
    s_set_number (object, "started_us", attempt->started);
    if (attempt->ended) {
        s_set_number (object, "ended_us", attempt->ended);
        (void) json_object_set_new (
          object, "status", json_string (rp_status_name (attempt->status)));
    }
    s_set_span (object, "worker", attempt->worker);
    s_set_span (object, "text", attempt->text);
    return object;
}

/*  Adds the timeline of a job.  */
static void s_set_events (
  json_t *object, const rp_store_row_t *row, const rp_json_jobs_manner_t *manner)
{
    json_t *trace = rp_job_trace_json (row, manner->secret, manner->wall);
    (void) json_object_set (object, "events", json_object_get (trace, "events"));
    (void) json_object_set (object, "told", json_object_get (trace, "text"));
    json_decref (trace);
}

static json_t *s_job (const rp_store_row_t *row, const rp_store_secret_t *secret)
{
    json_t *object = json_object ();
    bool ended = row->state == RP_JOB_DONE || row->state == RP_JOB_DEAD;
    s_set_id (object, "id", secret, row->id);
    s_set_span (object, "service", row->job.service);
    s_set_span (object, "principal", row->job.principal);
    s_set_span (object, "key", row->job.key);
    (void) json_object_set_new (object, "state", json_string (s_states[row->state]));
    s_set_number (object, "attempt", row->attempt);
    s_set_number (object, "attempts", row->job.attempts);
    s_set_number (object, "accepted_us", row->job.accepted);
    if (!ended) // by the wall clock
        s_set_number (
          object, "due_us", row->due - (int64_t) (row->job.flags / RP_JOB_FLAG_AHEAD) * 1000000);
    if (row->job.deadline != RP_STORE_NEVER)
        s_set_number (object, "deadline_us", row->job.deadline);
    if (ended) {
        s_set_number (object, "ended_us", row->ended);
        (void) json_object_set_new (object, "status", json_string (rp_status_name (row->status)));
        s_set_span (object, "text", row->text);
        s_set_number (object, "reply_bytes", (int64_t) row->reply_bytes);
    }
    s_set_number (object, "body_bytes", (int64_t) row->body_bytes);
    s_set_id (object, "parent", secret, row->job.parent);
    s_set_id (object, "child", secret, row->child);
    return object;
}

/*  The same with its attempts, its timeline and, if it is wanted, the beginning of its body.  */
static json_t *s_whole_job (const rp_store_row_t *row, const rp_json_jobs_manner_t *manner)
{
    json_t *object = s_job (row, manner->secret);
    json_t *attempts = json_array ();
    for (size_t index = 0; index < row->attempt_count; index++)
        (void) json_array_append_new (attempts, s_attempt (&row->attempts[index]));
    (void) json_object_set_new (object, "attempt_list", attempts);
    s_set_events (object, row, manner);
    if (manner->body > 0)
        (void) json_object_set_new (object, "body", s_body (row, manner->body));
    return object;
}

static json_t *s_brokers (const rp_store_rows_t *rows)
{
    json_t *list = json_array ();
    for (size_t index = 0; rows && index < rows->broker_count; index++) {
        const rp_store_broker_t *broker = &rows->brokers[index];
        json_t *object = json_object ();
        s_set_number (object, "id", (int64_t) broker->id);
        s_set_span (object, "endpoints", broker->endpoints);
        s_set_span (object, "host", broker->host);
        (void) json_object_set_new (
          object, "state", json_string (broker->alive ? "alive" : "gone"));
        (void) json_object_set_new (object, "self", json_boolean (broker->self));
        s_set_number (object, "epoch", (int64_t) broker->epoch);
        s_set_number (object, "joined_us", broker->joined);
        s_set_number (object, "lease_until_us", broker->lease_until);
        s_set_number (object, "jobs", (int64_t) broker->jobs);
        (void) json_object_set_new (object, "more", json_boolean (broker->more));
        s_set_number (object, "holder", (int64_t) broker->holder);
        if (broker->adopted)
            s_set_number (object, "adopted_us", broker->adopted);
        (void) json_array_append_new (list, object);
    }
    return json_pack ("{s:o}", "brokers", list);
}

json_t *rp_json_jobs (const rp_stored_t *stored, const rp_json_jobs_manner_t *manner)
{
    const rp_store_rows_t *rows = stored->rows;
    bool one = stored->kind == RP_STORE_FIND || stored->kind == RP_STORE_RETRY;
    if (one)
        return s_whole_job (&rows->jobs[0], manner);
    if (stored->kind == RP_STORE_BROKERS)
        return s_brokers (rows);
    if (stored->kind == RP_STORE_PURGE)
        return json_pack (
          "{s:I, s:b}", "purged", (json_int_t) stored->count, "more", (int) stored->more);
    json_t *jobs = json_array ();
    uint64_t last = 0;
    for (size_t index = 0; rows && index < rows->count; index++) {
        (void) json_array_append_new (jobs, s_job (&rows->jobs[index], manner->secret));
        last = rows->jobs[index].id;
    }
    json_t *list = json_pack ("{s:o, s:b}", "jobs", jobs, "more", (int) stored->more);
    if (list && stored->more)
        s_set_id (list, "next", manner->secret, stored->id > last ? stored->id : last);
    return list;
}

char *rp_json_jobs_write (const rp_stored_t *stored, const rp_json_jobs_manner_t *manner)
{
    json_t *json = rp_json_jobs (stored, manner);
    char *text = json ? json_dumps (json, RP_JSON_FLAGS) : NULL;
    json_decref (json);
    return text;
}

/*  ---- Questions ------------------------------------------------------------------------------ */

/*  Reads an id, which is a number, or a text since JSON's numbers are not exact everywhere. False if it is
    neither; 0 if there is none.  */
static bool s_read_id (json_t *value, uint64_t *id)
{
    *id = 0;
    if (!value)
        return true;
    if (json_is_integer (value) && json_integer_value (value) >= 0) {
        *id = (uint64_t) json_integer_value (value);
        return true;
    }
    const char *text = json_string_value (value);
    if (!text || !*text || strlen (text) > 19)
        return false;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        *id = *id * 10 + (uint64_t) (*at - '0');
    }
    return true;
}

/*  Reads a number. False if it is none, or out of its range.  */
static bool s_number (json_t *value, uint64_t least, uint64_t most, uint64_t *number)
{
    const char *reason, *text = json_string_value (value);
    if (!value)
        return true;
    if (text ? !rp_count_parse (text, number, &reason)
             : !json_is_integer (value) || json_integer_value (value) < 0)
        return false;
    if (!text)
        *number = (uint64_t) json_integer_value (value);
    return *number >= least && *number <= most;
}

const char *rp_json_jobs_read (rp_json_jobs_question_t *self, json_t *object)
{
    uint64_t wait_ms = 0, most = 100, body = 0;
    *self = (rp_json_jobs_question_t){.most = 100};
    json_t *service = json_object_get (object, "service");
    json_t *state = json_object_get (object, "state");
    json_t *all = json_object_get (object, "all");
    const char *name = json_string_value (service);
    if (!s_read_id (json_object_get (object, "id"), &self->id))
        return "\"id\" is the number of a job";
    if (!s_number (json_object_get (object, "wait_ms"), 0, UINT32_MAX, &wait_ms))
        return "\"wait_ms\" is a number of ms";
    if (!s_number (json_object_get (object, "most"), 1, 1000, &most))
        return "\"most\" is a number from 1 to 1000";
    if (!s_number (json_object_get (object, "body"), 0, RP_JSON_JOBS_BODY_MAX, &body))
        return "\"body\" is a number of bytes, at most 4096";
    if (state && (!json_is_string (state) || !s_state (json_string_value (state), &self->state)))
        return "\"state\" is waiting, running, done or dead";
    if (service && (!name || strlen (name) >= sizeof self->service))
        return "\"service\" is the name of a service";
    if (all && !json_is_true (all))
        return "\"all\" is true, or left out";
    if (name)
        memcpy (self->service, name, strlen (name) + 1);
    self->wait_ms = (uint32_t) wait_ms;
    self->most = (uint16_t) most;
    self->body = (uint16_t) body;
    self->all = all != NULL;
    return NULL;
}

const char *rp_json_jobs_read_text (rp_json_jobs_question_t *self, const void *text, size_t size)
{
    *self = (rp_json_jobs_question_t){.most = 100};
    if (size == 0)
        return NULL;
    if (size > RP_JSON_JOBS_MAX)
        return "the question is larger than 8 KiB";
    json_t *object = json_loadb (text, size, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong =
      json_is_object (object) ? rp_json_jobs_read (self, object) : "the question is a JSON object";
    json_decref (object);
    return wrong;
}
