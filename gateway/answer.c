/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/utf8.h"
#include "gateway/event_text.h"

bool rp_answer_header (struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header (response, name, value) == MHD_YES;
}

/*  Adds the header if it can be one; the response is good without it.  */
static void s_add (struct MHD_Response *response, const char *name, const char *value)
{
    (void) rp_answer_header (response, name, value);
}

static void s_set_text (json_t *object, const char *name, const char *value)
{
    char escaped[4 * 1024];
    rp_utf8_escape (value, strlen (value), escaped, sizeof escaped);
    (void) json_object_set_new (object, name, json_string (escaped));
}

/*  Makes a response of an object, which it takes.  */
static struct MHD_Response *s_problem (json_t *problem)
{
    char *text = problem ? json_dumps (problem, JSON_COMPACT) : NULL;
    json_decref (problem);
    struct MHD_Response *response =
      text ? MHD_create_response_from_buffer (strlen (text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free (text);
        return NULL;
    }
    s_add (response, "Content-Type", "application/problem+json");
    return response;
}

static json_t *s_members (unsigned http_status, int status, const char *title, const char *detail)
{
    char type[64] = "about:blank";
    json_t *problem = json_object ();
    if (status)
        snprintf (type, sizeof type, "urn:riposte:status:%s", rp_status_name (status));
    s_set_text (problem, "type", type);
    s_set_text (problem, "title", title);
    (void) json_object_set_new (problem, "status", json_integer (http_status));
    if (*detail)
        s_set_text (problem, "detail", detail);
    if (status)
        s_set_text (problem, "riposte_status", rp_status_name (status));
    return problem;
}

static void s_add_status (struct MHD_Response *response, int status)
{
    const char *retry = rp_http_retry_after (status);
    s_add (response, "Riposte-Status", rp_status_name (status));
    if (retry)
        s_add (response, "Retry-After", retry);
}

struct MHD_Response *rp_answer_problem (
  unsigned http_status, int status, const char *title, const char *detail, const char *service)
{
    json_t *problem =
      s_members (http_status, status, status ? rp_strerror (status) : title, detail);
    if (service && *service)
        s_set_text (problem, "service", service);
    struct MHD_Response *response = s_problem (problem);
    if (response && status)
        s_add_status (response, status);
    return response;
}

struct MHD_Response *rp_answer_text (const char *text, size_t size, const char *type)
{
    struct MHD_Response *response =
      MHD_create_response_from_buffer (size, (void *) text, MHD_RESPMEM_PERSISTENT);
    if (response)
        s_add (response, "Content-Type", type);
    return response;
}

/*  ---- Replies -------------------------------------------------------------------------------- */

static void s_free_reply (void *arg)
{
    rp_reply_t *reply = arg;
    rp_reply_destroy (&reply);
}

/*  The headers of a reply on their way to the response.  */
typedef struct {
    struct MHD_Response *response;
    bool has_type; /* it has a Content-Type, and cannot have two */
} s_passing_t;

static void s_pass_header (const char *key, const char *value, void *arg)
{
    char name[128];
    s_passing_t *self = arg;
    bool is_type = strcmp (key, "content-type") == 0;
    if (!is_type || !self->has_type)
        s_add (self->response, rp_header_name (key, name, sizeof name), value);
    self->has_type |= is_type;
}

/*  Writes what Server-Timing says, which counts in milliseconds.  */
static void s_timing (const rp_reply_t *reply, char *text, size_t size)
{
    snprintf (text, size, "queue;dur=%.3f, work;dur=%.3f, total;dur=%.3f",
      rp_reply_queue_us (reply) / 1e3, rp_reply_work_us (reply) / 1e3,
      (double) rp_reply_total_us (reply) / 1e3);
}

static void s_add_number (struct MHD_Response *response, const char *name, uint64_t number)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRIu64, number);
    s_add (response, name, text);
}

/*  What a reply without a body of its own says.  */
static json_t *s_of_reply (const rp_reply_t *reply, const char *service)
{
    int status = (int) rp_reply_status (reply);
    json_t *problem =
      s_members (rp_http_status (status), status, rp_strerror (status), rp_reply_message (reply));
    if (*service)
        s_set_text (problem, "service", service);
    (void) json_object_set_new (problem, "attempts", json_integer (rp_reply_attempts (reply)));
    const char *hint = rp_reply_header (reply, "hint");
    if (hint)
        s_set_text (problem, "hint", hint);
    if (status == RP_APP_ERROR)
        (void) json_object_set_new (problem, "code", json_integer (rp_reply_code (reply)));
    return problem;
}

static bool s_has_body (const rp_reply_t *reply)
{
    rp_status_t status = rp_reply_status (reply);
    return status == RP_OK || (status == RP_APP_ERROR && rp_reply_size (reply) > 0);
}

/*  Adds what every response to a reply has but its status.  */
static void s_dress (struct MHD_Response *response, const rp_reply_t *reply, const char *type)
{
    rp_status_t status = rp_reply_status (reply);
    bool has_body = s_has_body (reply);
    s_add_number (response, "Riposte-Attempts", rp_reply_attempts (reply));
    if (status == RP_APP_ERROR)
        s_add_number (response, "Riposte-Code", rp_reply_code (reply));
    s_passing_t passing = {.response = response, .has_type = !has_body};
    rp_reply_each_header (reply, s_pass_header, &passing);
    if (!passing.has_type)
        s_add (response, "Content-Type", type);
    s_add (response, "X-Content-Type-Options", "nosniff"); // a worker's words are nobody's page
}

/*  What every response to a reply has but its status. Takes *reply_p.  */
static struct MHD_Response *s_reply (rp_reply_t **reply_p, const char *service, const char *type)
{
    rp_reply_t *reply = *reply_p;
    bool has_body = s_has_body (reply);
    struct MHD_Response *response =
      has_body ? MHD_create_response_from_buffer_with_free_callback_cls (
        rp_reply_size (reply), (void *) rp_reply_body (reply), s_free_reply, reply)
               : s_problem (s_of_reply (reply, service));
    if (!response)
        return NULL;
    *reply_p = NULL;
    s_dress (response, reply, type);
    if (!has_body)
        rp_reply_destroy (&reply);
    return response;
}

struct MHD_Response *rp_answer_reply (rp_reply_t **reply_p, const char *service, const char *type)
{
    rp_reply_t *reply = *reply_p;
    int status = (int) rp_reply_status (reply);
    char timing[128];
    s_timing (reply, timing, sizeof timing);
    bool replayed = rp_reply_is_replayed (reply);
    struct MHD_Response *response = s_reply (reply_p, service, type);
    if (!response)
        return NULL;
    s_add_status (response, status);
    s_add (response, "Server-Timing", timing);
    if (replayed)
        s_add (response, "Idempotency-Replayed", "true");
    return response;
}

/*  ---- Replies in parts ----------------------------------------------------------------------- */

struct MHD_Response *rp_answer_copy (const rp_reply_t *reply, const char *service)
{
    char timing[128];
    struct MHD_Response *response = s_has_body (reply)
                                      ? MHD_create_response_from_buffer (rp_reply_size (reply),
                                        (void *) rp_reply_body (reply), MHD_RESPMEM_MUST_COPY)
                                      : s_problem (s_of_reply (reply, service));
    if (!response)
        return NULL;
    s_timing (reply, timing, sizeof timing);
    s_dress (response, reply, "application/octet-stream");
    s_add_status (response, (int) rp_reply_status (reply));
    s_add (response, "Server-Timing", timing);
    return response;
}

static bool s_set_base64 (json_t *object, const char *name, const uint8_t *data, size_t size)
{
    size_t digits = (size + 2) / 3 * 4;
    char *text = malloc (digits + 1);
    if (!text)
        return false;
    for (size_t at = 0; at < size; at += 3)
        rp_event_text_base64 (data + at, size - at < 3 ? size - at : 3, text + at / 3 * 4);
    bool is_set = json_object_set_new (object, name, json_stringn (text, digits)) == 0;
    free (text);
    return is_set;
}

/*  As it is, for programs; only what is no UTF-8 is shown as to people.  */
static void s_set_header (const char *key, const char *value, void *arg)
{
    if (json_object_set_new (arg, key, json_string (value)) != 0)
        s_set_text (arg, key, value);
}

/*  What an event says of a reply. worker: its name, which is no header then; NULL: not stated.  */
static json_t *s_event (const rp_reply_t *reply, const char *service, const char *worker)
{
    json_t *event = s_of_reply (reply, service);
    if (rp_reply_status (reply) == RP_OK) // which is no problem
        (void) json_object_del (event, "type");
    s_set_text (event, "riposte_status", rp_status_name ((int) rp_reply_status (reply)));
    json_t *headers = json_object ();
    rp_reply_each_header (reply, s_set_header, headers);
    if (worker) {
        (void) json_object_del (headers, RP_REPLY_WORKER);
        s_set_text (event, "worker", worker);
    }
    if (json_object_size (headers) > 0)
        (void) json_object_set (event, "headers", headers);
    json_decref (headers);
    return event;
}

/*  False when out of memory.  */
static bool s_set_body (json_t *event, const rp_reply_t *reply)
{
    size_t size = rp_reply_size (reply);
    const void *body = rp_reply_body (reply);
    if (rp_event_text_is_text (body, size))
        return json_object_set_new (event, "body", json_stringn (body, size)) == 0;
    return s_set_base64 (event, "body_base64", body, size);
}

/*  Makes the text of an event, which it takes, with the reply's body if it is to have that.  */
static char *s_dump (json_t *event, const rp_reply_t *reply, bool has_body)
{
    bool is_whole = event && (!has_body || s_set_body (event, reply));
    char *text = is_whole ? json_dumps (event, JSON_COMPACT) : NULL;
    json_decref (event);
    return text;
}

char *rp_answer_one (const rp_reply_t *answer, const char *service)
{
    json_t *event = s_event (answer, service, rp_reply_worker (answer));
    rp_status_t status = rp_reply_status (answer);
    return s_dump (event, answer, status == RP_OK || status == RP_APP_ERROR);
}

char *rp_answer_end (const rp_reply_t *reply, const char *service)
{
    return s_dump (s_event (reply, service, NULL), reply, rp_reply_status (reply) == RP_APP_ERROR);
}

/*  ---- Jobs ----------------------------------------------------------------------------------- */

struct MHD_Response *rp_answer_final (rp_reply_t **reply_p)
{
    int status = (int) rp_reply_status (*reply_p);
    uint64_t job = rp_reply_job (*reply_p);
    struct MHD_Response *response = s_reply (reply_p, "", "application/octet-stream");
    if (!response)
        return NULL;
    s_add (response, "Riposte-Status", rp_status_name (status)); // asking again changes nothing
    s_add_number (response, "Riposte-Job", job);
    return response;
}

struct MHD_Response *rp_answer_json (rp_reply_t **reply_p)
{
    rp_reply_t *reply = *reply_p;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls (
      rp_reply_size (reply), (void *) rp_reply_body (reply), s_free_reply, reply);
    if (!response)
        return NULL;
    *reply_p = NULL;
    s_add (response, "Content-Type", "application/json");
    return response;
}

struct MHD_Response *rp_answer_accepted (const rp_reply_t *reply)
{
    char text[64];
    char place[64];
    int size = snprintf (text, sizeof text, "{\"id\":\"%" PRIu64 "\"}", rp_reply_job (reply));
    struct MHD_Response *response =
      MHD_create_response_from_buffer ((size_t) size, text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return NULL;
    snprintf (place, sizeof place, "/jobs/%" PRIu64, rp_reply_job (reply));
    s_add (response, "Content-Type", "application/json");
    s_add (response, "Location", place);
    if (rp_reply_is_replayed (reply))
        s_add (response, "Idempotency-Replayed", "true");
    return response;
}
