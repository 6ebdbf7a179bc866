/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/text.h"
#include "common/wire/address.h"
#include "common/wire/advice.h"

typedef struct {
    int status;
    const char *what; /* %s is the service, in quotes */
    const char *next;
} s_entry_t;

/*  Statuses whose line is "what: why; next". A why that contains the next step needs no next.  */
static const s_entry_t s_entries[] = {
  {RP_BUSY, "%s was not taken", "try again later, or with --attempts 5"},
  {RP_DRAINING, "%s was not taken", "try again later, or name more brokers: --server A,B"},
  {RP_DENIED, "%s is not allowed", "see what there is: riposte services"},
  {RP_INVALID, "the broker refused %s", "compare riposte --version with riposte status"},
  {RP_TOO_LARGE, "%s was not taken", "send less, or raise that limit of the broker"},
  {RP_EXPIRED, "no worker took %s", "see: riposte workers, or wait longer: --timeout 30s"},
  {RP_WORKER_LOST, "no reply from %s", "it may have run; if twice is harmless: --attempts 3"},
  {RP_DEADLINE, "no reply from %s", "it may have run; wait longer: --timeout 30s"},
  {RP_KEY_MISMATCH, "%s was not taken", "use another key, or send what was sent with it"},
  {RP_CONVERSATION_LOST, "the conversation with %s is lost", "begin it again: --again 1"},
  {RP_UNKNOWN, "no reply from %s", "it may have run; if twice is harmless: --attempts 3"},
  {RP_FULL, "%s was not taken", "use a smaller --parallel"},
};

static const s_entry_t *s_find (int status)
{
    for (size_t index = 0; index < sizeof s_entries / sizeof *s_entries; index++)
        if (s_entries[index].status == status)
            return &s_entries[index];
    return NULL;
}

/*  A line that grows at its end; text beyond its bound is dropped.  */
typedef struct {
    char *buffer;
    size_t used;
} s_line_t;

static void __attribute__ ((format (printf, 2, 3))) s_add (s_line_t *self, const char *format, ...)
{
    size_t room = RP_ERROR_LINE_MAX - self->used;
    va_list list;
    va_start (list, format);
    int size = vsnprintf (self->buffer + self->used, room, format, list);
    va_end (list);
    if (size > 0)
        self->used += (size_t) size < room ? (size_t) size : room - 1;
}

static char *s_visible (const char *text)
{
    char *copy = rp_text_visible (text, strlen (text));
    if (!copy)
        rp_output_no_memory ();
    return copy;
}

/*  Adds what, with the service in place of %s.  */
static void s_add_what (s_line_t *self, const char *what, const char *service)
{
    const char *place = strstr (what, "%s");
    if (!place)
        s_add (self, "%s", what);
    else if (service)
        s_add (self, "%.*s\"%s\"%s", (int) (place - what), what, service, place + 2);
    else
        s_add (self, "%.*sthe request%s", (int) (place - what), what, place + 2);
}

rp_error_t rp_error_of (const rp_reply_t *reply, const char *service, const char *server)
{
    return (rp_error_t){.status = (int) rp_reply_status (reply),
      .code = rp_reply_code (reply),
      .service = service,
      .hint = rp_reply_header (reply, "hint"),
      .why = rp_reply_message (reply),
      .server = server};
}

/*  why: from a client that was connecting, "ENDPOINT: reason" for each endpoint that failed; from a
    client that gave up a request, a complete line.  */
static void s_add_no_broker (s_line_t *line, const char *server, const char *why)
{
    size_t size = strlen (server);
    bool of_server = strncmp (why, server, size) == 0 && strncmp (why + size, ": ", 2) == 0;
    bool of_endpoint =
      strncmp (why, "tcp://", 6) == 0 || strncmp (why, "ipc://", 6) == 0 || rp_address_is_srv (why);
    if (strchr (why, ';') && !of_endpoint) {
        s_add (line, "%s", why);
        return;
    }
    s_add (line, "%s %s", rp_reason_is_of_keys (why) ? "no session with" : "no broker at", server);
    if (*why)
        s_add (line, " (%s)", of_server ? why + size + 2 : why);
    const char *advice = rp_advice (why);
    s_add (line, "; %s", advice ? advice : "start one: riposte-broker");
}

/*  The end of a job, or of a question about it.  */
static void s_add_job (s_line_t *line, const rp_error_t *self, const char *why)
{
    bool dead = self->status == RP_WORKER_LOST || self->status == RP_DEADLINE;
    const char *next = self->next;
    if (self->asked)
        s_add (line, "job %s: %s", self->job, *why ? why : rp_strerror (self->status));
    else if (dead) {
        s_add (line, "job %s is dead", self->job);
        if (*why)
            s_add (line, ": %s", why);
        s_add (line, "; its attempts: riposte job %s; again: riposte dead retry %s", self->job,
          self->job);
    }
    else {
        s_add (line, "job %s ended with %s", self->job, rp_status_name (self->status));
        if (*why)
            s_add (line, ": %s", why);
        if (self->code != 0)
            s_add (line, " (code %u)", self->code);
    }
    if (next)
        s_add (line, "; %s", next);
}

static void s_add_line (
  s_line_t *line, const rp_error_t *self, const char *service, const char *hint, const char *why)
{
    const s_entry_t *entry = s_find (self->status);
    bool denied_key = self->status == RP_DENIED && !service && rp_reason_is_of_keys (why);
    if (self->status == RP_NO_BROKER || denied_key)
        s_add_no_broker (line, self->server, why);
    else if (self->job)
        s_add_job (line, self, why);
    else if (self->status == RP_NO_WORKER && !hint && *why && !strstr (why, "no worker offers")) {
        // A worker offers the service, and its text says why it could not begin.
        s_add (
          line, "no worker took \"%s\": %s; see: riposte workers", service ? service : "?", why);
    }
    else if (self->status == RP_NO_WORKER) {
        s_add (line, "no worker offers \"%s\"", service ? service : "?");
        if (hint)
            s_add (line, " (did you mean \"%s\"?)", hint);
        s_add (line, "; list them: riposte services");
    }
    else if (self->status == RP_APP_ERROR) {
        s_add_what (line, "%s failed", service);
        if (*why)
            s_add (line, ": %s", why);
        if (self->code != 0)
            s_add (line, " (code %u)", self->code);
    }
    else if (self->status == RP_INTERRUPTED || self->status == RP_CANCELLED)
        s_add_what (line, service ? "interrupted; %s was withdrawn" : "interrupted", service);
    else {
        s_add_what (line, entry ? entry->what : rp_strerror (self->status), service);
        if (*why)
            s_add (line, ": %s", why);
        if (self->next)
            s_add (line, "; %s", self->next);
        else if (entry && !strchr (why, ';'))
            s_add (line, "; %s", entry->next);
    }
}

const char *rp_error_line (const rp_error_t *self, char *buffer)
{
    char *service = self->service ? s_visible (self->service) : NULL;
    char *hint = self->hint ? s_visible (self->hint) : NULL;
    char *why = s_visible (self->why);
    s_line_t line = {.buffer = buffer};
    *buffer = '\0';
    s_add_line (&line, self, service, hint, why);
    free (service);
    free (hint);
    free (why);
    return buffer;
}

json_t *rp_error_json (const rp_error_t *self)
{
    char line[RP_ERROR_LINE_MAX];
    json_t *error = json_object ();
    rp_output_set (error, "code", json_string (rp_status_name (self->status)));
    if (self->service)
        rp_output_set (error, "service", rp_output_text (self->service));
    if (self->job)
        rp_output_set (error, "job", json_string (self->job));
    if (self->hint)
        rp_output_set (error, "hint", rp_output_text (self->hint));
    rp_output_set (error, "message", rp_output_text (rp_error_line (self, line)));
    if (self->status == RP_APP_ERROR)
        rp_output_set (error, "number", json_integer (self->code));
    return error;
}
