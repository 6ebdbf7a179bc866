/*  riposte: writes the errors of the commands, and with -v the course of a request.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/text.h"
#include "client/cli/verdict.h"
#include "common/base/units.h"
#include "common/io/endpoint_list.h"
#include "common/wire/limits.h"

/*  The format of --output for errors that are found in many places.  */
static rp_output_t s_usage_format = RP_OUTPUT_TABLE;

/*  Errors are for Nagios.  */
static bool s_is_plugin;

static bool s_is_json (rp_output_t format)
{
    return format == RP_OUTPUT_JSON || format == RP_OUTPUT_JSONL;
}

void rp_cli_tell_usage_as (rp_output_t format)
{
    s_usage_format = format;
}

void rp_cli_tell_as_plugin (void)
{
    s_is_plugin = true;
}

int rp_cli_exit_code (int status)
{
    if (!s_is_plugin)
        return rp_status_exit_code (status);
    return status == RP_NO_BROKER || status == RP_DEADLINE ? RP_VERDICT_CRITICAL
                                                           : RP_VERDICT_UNKNOWN;
}

/*  An exit status has eight bits, and 0 would mean success.  */
int rp_cli_reply_exit_code (const rp_cli_t *self, const rp_reply_t *reply)
{
    int status = (int) rp_reply_status (reply);
    uint32_t code = rp_reply_code (reply);
    if (!self->options.exit_code_from_worker || status != RP_APP_ERROR || code == 0)
        return rp_status_exit_code (status);
    return code < 255 ? (int) code : 255;
}

int rp_cli_unwritten_code (void)
{
    return s_is_plugin ? RP_VERDICT_UNKNOWN : 1;
}

/*  Writes the line of a Nagios plugin, in which a vertical bar would begin the performance data.  */
static void s_write_plugin (int status, char *line)
{
    for (char *bar = strchr (line, '|'); bar; bar = strchr (bar, '|'))
        *bar = '/';
    printf (
      "RIPOSTE %s - %s\n", rp_verdict_name ((rp_verdict_state_t) rp_cli_exit_code (status)), line);
}

static int s_tell (int status, const char *format, va_list list)
{
    char line[RP_ERROR_LINE_MAX];
    vsnprintf (line, sizeof line, format, list);
    // Not in a list that has begun: an object of another kind would not belong there.
    if (s_is_json (s_usage_format) && !rp_output_has_begun ()) {
        json_t *error = json_object ();
        rp_output_set (error, "code", json_string (rp_status_name (status)));
        rp_output_set (error, "message", rp_output_text (line));
        json_t *object = json_object ();
        rp_output_set (object, "error", error);
        rp_output_json (s_usage_format, object);
    }
    else if (s_is_plugin)
        s_write_plugin (status, line);
    else
        fprintf (stderr, "riposte: %s\n", line);
    return rp_cli_exit_code (status);
}

int rp_cli_usage (const char *format, ...)
{
    va_list list;
    va_start (list, format);
    int code = s_tell (RP_USAGE, format, list);
    va_end (list);
    return code;
}

int rp_cli_fail (const char *format, ...)
{
    va_list list;
    va_start (list, format);
    int code = s_tell (RP_SYSTEM, format, list);
    va_end (list);
    return code;
}

bool rp_cli_writes_json (const rp_cli_t *self)
{
    return s_is_json ((rp_output_t) self->options.output);
}

void rp_cli_tell_line (const rp_cli_t *self, const char *prefix, const rp_error_t *error)
{
    char line[RP_ERROR_LINE_MAX];
    if (s_is_plugin) {
        rp_error_line (error, line);
        s_write_plugin (error->status, line);
        return;
    }
    fprintf (stderr, "%sriposte:%s %s%s\n", self->err.red, self->err.reset, prefix,
      rp_error_line (error, line));
}

int rp_cli_tell (const rp_cli_t *self, const rp_error_t *error)
{
    if (rp_cli_writes_json (self)) {
        json_t *object = json_object ();
        rp_output_set (object, "error", rp_error_json (error));
        rp_output_json ((rp_output_t) self->options.output, object);
    }
    else
        rp_cli_tell_line (self, "", error);
    return rp_cli_exit_code (error->status);
}

/*  Adds the header as [key, value]: keys may repeat, and their order matters.  */
static void s_add_header (const char *key, const char *value, void *arg)
{
    json_t *pair = json_array ();
    if (!pair || json_array_append_new (pair, rp_output_text (key)) != 0
        || json_array_append_new (pair, rp_output_text (value)) != 0
        || json_array_append_new (arg, pair) != 0)
        rp_output_no_memory ();
}

static json_t *s_headers_json (const rp_reply_t *reply)
{
    json_t *list = json_array ();
    if (!list)
        rp_output_no_memory ();
    rp_reply_each_header (reply, s_add_header, list);
    return list;
}

/*  Writes one line, escaped: a value may contain control characters for the terminal.  */
static void s_tell_header (const char *key, const char *value, void *arg)
{
    const rp_cli_t *self = arg;
    char *visible = rp_text_visible (value, strlen (value));
    if (!visible)
        rp_output_no_memory ();
    fprintf (stderr, "%s  %s: %s%s\n", self->err.dim, key, visible, self->err.reset);
    free (visible);
}

json_t *rp_cli_reply_json (const rp_cli_t *self, const rp_reply_t *reply, const char *service)
{
    json_t *object = json_object ();
    int status = (int) rp_reply_status (reply);
    rp_output_set (object, "status", json_string (rp_status_name (status)));
    rp_output_set (object, "code", json_integer (rp_reply_code (reply)));
    rp_output_set (object, "message", rp_output_text (rp_reply_message (reply)));
    rp_output_set_body (object, rp_reply_body (reply), rp_reply_size (reply));
    rp_output_set (object, "attempts", json_integer (rp_reply_attempts (reply)));
    rp_output_set (object, "queue_us", json_integer (rp_reply_queue_us (reply)));
    rp_output_set (object, "work_us", json_integer (rp_reply_work_us (reply)));
    rp_output_set (object, "total_us", json_integer ((json_int_t) rp_reply_total_us (reply)));
    rp_output_set (object, "worker", rp_output_text (rp_reply_worker (reply)));
    rp_output_set (object, "headers", s_headers_json (reply));
    if (self->options.key)
        rp_output_set (object, "replayed", json_boolean (rp_reply_is_replayed (reply)));
    if (status != RP_OK) {
        rp_error_t error = rp_error_of (reply, service, self->options.server);
        rp_output_set (object, "error", rp_error_json (&error));
    }
    return object;
}

void rp_cli_tell_request (const rp_cli_t *self, const char *service, size_t size, uint64_t id)
{
    if (!self->options.verbose)
        return;
    char bytes[RP_UNITS_TEXT_MAX];
    char deadline[RP_UNITS_TEXT_MAX];
    char client[RP_PEER_NAME_MAX + 1];
    rp_endpoint_list_name (client, sizeof client);
    fprintf (stderr, "%s→ %s %s  id %s/%llu  deadline %s%s\n", self->err.dim, service,
      rp_size_format (bytes, size), client, (unsigned long long) id,
      rp_duration_format (deadline, self->options.timeout), self->err.reset);
}

/*  Returns the name of a status for people: "no worker" for NO_WORKER.  */
static const char *s_status_words (int status, char *buffer, size_t size)
{
    snprintf (buffer, size, "%s", rp_status_name (status));
    for (char *at = buffer; *at; at++)
        *at = *at == '_' ? ' ' : *at >= 'A' && *at <= 'Z' ? (char) (*at - 'A' + 'a') : *at;
    return buffer;
}

void rp_cli_tell_reply (const rp_cli_t *self, const rp_reply_t *reply)
{
    if (!self->options.verbose)
        return;
    char words[64];
    char text[RP_UNITS_TEXT_MAX];
    fprintf (stderr, "%s← %s %s", self->err.dim,
      s_status_words ((int) rp_reply_status (reply), words, sizeof words),
      rp_size_format (text, rp_reply_size (reply)));
    char *worker = rp_text_visible (rp_reply_worker (reply), strlen (rp_reply_worker (reply)));
    if (!worker)
        rp_output_no_memory ();
    if (*worker)
        fprintf (stderr, "  worker %s", worker);
    free (worker);
    if (rp_reply_attempts (reply) > 1)
        fprintf (stderr, "  attempt %u", rp_reply_attempts (reply));
    if (rp_reply_attempts (reply) > 0) {
        fprintf (stderr, "  queue %s", rp_duration_format (text, rp_reply_queue_us (reply)));
        fprintf (stderr, "  work %s", rp_duration_format (text, rp_reply_work_us (reply)));
    }
    if (rp_reply_job (reply) && self->options.key && !self->sends)
        fprintf (stderr, "  execution keyed/%llu%s", (unsigned long long) rp_reply_job (reply),
          rp_reply_is_replayed (reply) ? " (of an earlier request)" : "");
    else if (rp_reply_job (reply))
        fprintf (stderr, "  job %llu%s", (unsigned long long) rp_reply_job (reply),
          rp_reply_is_replayed (reply) ? " (it was there already)" : "");
    fprintf (stderr, "  total %s%s\n",
      rp_duration_format (text, (int64_t) rp_reply_total_us (reply)), self->err.reset);
    rp_reply_each_header (reply, s_tell_header, (void *) self);
}
