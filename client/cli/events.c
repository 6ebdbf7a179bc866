/*  riposte events: shows what has happened at the broker, then what happens, until its user leaves.

    SPDX-License-Identifier: MPL-2.0

    It asks again and again for what came after the last event that it has. A broker that goes away is asked
    again; one that was started anew numbers its events from 1, which its instance tells.
*/

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/listing.h"
#include "client/cli/text.h"

/*  Time between two questions.  */
#define S_PAUSE_MS 250
/*  The most events that an answer has.  */
#define S_MOST 1000

static const char s_service[] = "riposte.events";

static const char *const s_fields[] = {
  "number", "time", "level", "topic", "peer", "principal", "service", "request_id", "more", "text"};
#define S_FIELDS (sizeof s_fields / sizeof *s_fields)

typedef struct {
    rp_cli_t *cli;
    rp_output_t format;
    rp_output_list_t list;
    json_int_t since;
    char *instance; /* of the broker that has answered; NULL: none yet */
    bool silent;    /* the broker does not answer, which was said */
} s_events_t;

/*  ---- Writing ------------------------------------------------------------------------------- */

static const char *s_text (const json_t *event, const char *field)
{
    const char *text = json_string_value (json_object_get (event, field));
    return text ? text : "";
}

/*  As a line of the log, with whom it is about behind it.  */
static void s_write_line (const s_events_t *self, const json_t *event)
{
    const rp_colours_t *colours = &self->cli->out;
    const char *level = s_text (event, "level");
    const char *peer = s_text (event, "peer");
    const char *principal = s_text (event, "principal");
    json_int_t more = rp_output_number (event, "more");
    bool bad = strcmp (level, "error") == 0 || strcmp (level, "warning") == 0;
    printf ("%s%s%s %s%s%s %s: ", colours->dim, s_text (event, "time"), colours->reset,
      bad ? colours->red : "", level, bad ? colours->reset : "", s_text (event, "topic"));
    if (*peer)
        printf ("%s%s%s: ", peer, *principal ? " " : "", principal);
    fputs (s_text (event, "text"), stdout);
    if (more > 0)
        printf (" (%" JSON_INTEGER_FORMAT " more like it)", more);
    putchar ('\n');
}

static void s_write_csv (const json_t *event)
{
    for (size_t index = 0; index < S_FIELDS; index++) {
        const json_t *value = json_object_get (event, s_fields[index]);
        if (index > 0)
            putchar (',');
        if (json_is_integer (value))
            printf ("%" JSON_INTEGER_FORMAT, json_integer_value (value));
        else if (json_is_string (value))
            rp_text_csv (stdout, json_string_value (value), json_string_length (value));
    }
    putchar ('\n');
}

static void s_write (s_events_t *self, json_t *event)
{
    if (self->format == RP_OUTPUT_TABLE)
        s_write_line (self, event);
    else if (self->format == RP_OUTPUT_CSV)
        s_write_csv (event);
    else
        rp_output_list_add (&self->list, json_incref (event));
}

static void s_begin (s_events_t *self)
{
    if (self->format == RP_OUTPUT_JSON || self->format == RP_OUTPUT_JSONL)
        rp_output_list_begin (&self->list, self->format);
    for (size_t index = 0; self->format == RP_OUTPUT_CSV && index < S_FIELDS; index++)
        printf ("%s%s", s_fields[index], index + 1 < S_FIELDS ? "," : "\n");
}

static void s_end (s_events_t *self)
{
    if (self->format == RP_OUTPUT_JSON || self->format == RP_OUTPUT_JSONL)
        rp_output_list_end (&self->list);
    free (self->instance);
}

/*  ---- Asking -------------------------------------------------------------------------------- */

/*  Asks once. NULL after an error, which is written the first time in a row; *code is its exit code.  */
static json_t *s_ask (s_events_t *self, int *code)
{
    char params[80];
    size_t size = (size_t) snprintf (params, sizeof params,
      "{\"since\":%" JSON_INTEGER_FORMAT ",\"most\":%d}", self->since, S_MOST);
    rp_call_t *call = rp_cli_call_new (self->cli, s_service, params, size, code);
    rp_reply_t *reply = call ? rp_cli_perform (self->cli, s_service, size, &call, code) : NULL;
    if (!reply)
        return NULL;
    rp_error_t error = rp_error_of (reply, s_service, self->cli->options.server);
    json_t *answer = rp_listing_answer (reply, &error);
    if (!answer && !self->instance)
        *code = rp_cli_tell (self->cli, &error);
    else if (!answer) {
        *code = rp_status_exit_code (error.status);
        if (!self->silent && error.status != RP_CANCELLED)
            rp_cli_tell_line (self->cli, "trying again: ", &error);
        self->silent = true;
    }
    rp_reply_destroy (&reply);
    return answer;
}

static void s_note (const s_events_t *self, const char *format, json_int_t number)
{
    if (!self->cli->options.quiet) {
        fflush (stdout);
        fprintf (stderr, format, number);
    }
}

/*  Remembers which broker has answered. False if it is another than before, whose events have other
    numbers.  */
static bool s_is_same (s_events_t *self, const json_t *answer)
{
    const char *instance = s_text (answer, "instance");
    bool first = !self->instance;
    if (!first && strcmp (self->instance, instance) == 0)
        return true;
    free (self->instance);
    if (!(self->instance = strdup (instance)))
        rp_output_no_memory ();
    if (first)
        return true;
    s_note (self,
      "riposte: this is another broker, or it was started again; events after number "
      "%" JSON_INTEGER_FORMAT " of the one before may be missing\n",
      self->since);
    self->since = 0;
    return false;
}

static void s_take (s_events_t *self, const json_t *answer)
{
    size_t index;
    json_t *event;
    self->silent = false;
    if (!s_is_same (self, answer))
        return; // asks again, from the start
    json_int_t missed = rp_output_number (answer, "missed");
    if (missed > 0)
        s_note (self, "riposte: %" JSON_INTEGER_FORMAT " events are missing here: no longer kept\n",
          missed);
    json_array_foreach (json_object_get (answer, "events"), index, event) s_write (self, event);
    self->since = rp_output_number (answer, "last");
    fflush (stdout);
}

/*  Waits for the next question. False if nobody wants it: a signal came, or the reader has left.  */
static bool s_wait (void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (!rp_cli_interrupted ())
        (void) poll (&out, 1, S_PAUSE_MS);
    return !rp_cli_interrupted () && !ferror (stdout) && !(out.revents & POLLERR);
}

int rp_cli_events (rp_cli_t *cli)
{
    bool asked = rp_options_given (cli->program, &cli->arguments, "output");
    s_events_t self = {.cli = cli,
      .format = asked ? (rp_output_t) cli->options.output : RP_OUTPUT_JSONL,
      .since = (json_int_t) cli->options.since};
    if (cli->arguments.count > 0)
        return rp_cli_usage ("events takes no argument, not \"%s\"", cli->arguments.items[0]);
    int code = rp_cli_connect (cli, 1);
    json_t *answer = code == 0 ? s_ask (&self, &code) : NULL;
    if (!answer)
        return code;
    s_begin (&self);
    do {
        if (answer)
            s_take (&self, answer);
        json_decref (answer);
        answer = NULL;
        if (cli->options.no_follow)
            break;
    } while (s_wait () && ((answer = s_ask (&self, &code)) || !rp_cli_interrupted ()));
    json_decref (answer);
    s_end (&self);
    return rp_cli_interrupted () ? rp_status_exit_code (RP_INTERRUPTED) : 0;
}
