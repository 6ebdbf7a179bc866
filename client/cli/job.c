/*  riposte job, dead show: the whole life of a job, in the words of the broker.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/job_question.h"
#include "client/cli/text.h"
#include "common/base/units.h"
#include "common/program/instant.h"

static const char *s_text (const json_t *job, const char *key)
{
    const char *text = json_string_value (json_object_get (job, key));
    return text ? text : "";
}

static bool s_is_in (const json_t *job, const char *state)
{
    return strcmp (s_text (job, "state"), state) == 0;
}

/*  Writes a text that a peer has chosen, so that it cannot control a terminal.  */
static void s_put (const char *before, const char *text)
{
    char *visible = rp_text_visible (text, strlen (text));
    if (!visible)
        rp_output_no_memory ();
    if (*visible)
        printf ("%s%s", before, visible);
    free (visible);
}

/*  Writes an instant, at the beginning of a line.  */
static void s_begin (json_int_t instant)
{
    char text[RP_INSTANT_TEXT_MAX];
    printf ("  %s", rp_instant_format (text, sizeof text, instant));
}

static void s_put_size (const char *before, const json_t *job, const char *key)
{
    char text[RP_UNITS_TEXT_MAX];
    printf ("%s%s", before, rp_size_format (text, (uint64_t) rp_output_number (job, key)));
}

/*  Writes what happened, a line each. The broker has escaped the texts.  */
static void s_write_events (const json_t *job)
{
    size_t index;
    json_t *event;
    json_array_foreach (json_object_get (job, "events"), index, event)
    {
        s_begin (rp_output_number (job, "accepted_us") + rp_output_number (event, "at_us"));
        printf ("  %s\n", s_text (event, "text"));
    }
}

static void s_write_life (const rp_cli_t *self, const json_t *job)
{
    json_int_t deadline = rp_output_number (job, "deadline_us");
    printf ("%sjob %s%s  ", self->out.bold, s_text (job, "id"), self->out.reset);
    s_put ("", s_text (job, "service"));
    printf ("  %s  attempt %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT "\n",
      s_text (job, "state"), rp_output_number (job, "attempt"), rp_output_number (job, "attempts"));
    s_put_size ("  ", job, "body_bytes");
    s_put ("  of ", s_text (job, "principal"));
    s_put ("  key ", s_text (job, "key"));
    s_put ("  a new life of job ", s_text (job, "parent"));
    if (rp_output_number (job, "ended_us"))
        s_put_size ("  reply ", job, "reply_bytes");
    putchar ('\n');
    s_write_events (job);
    if (deadline) {
        s_begin (deadline);
        puts ("  deadline for its first attempt");
    }
}

/*  What may be done next, to standard error.  */
static void s_advise (const rp_cli_t *self, const json_t *job)
{
    const char *id = s_text (job, "id");
    if (self->options.quiet)
        return;
    if (s_is_in (job, "dead") && !*s_text (job, "child"))
        fprintf (stderr, "again: riposte dead retry %s\n", id);
    else if (s_is_in (job, "done"))
        fprintf (stderr, "its result: riposte result %s\n", id);
}

static int s_show (rp_cli_t *self, bool dead)
{
    const char *id = rp_job_id (self, 0);
    if (!id)
        return rp_status_exit_code (RP_USAGE);
    if (self->arguments.count > 1)
        return rp_cli_usage ("%s takes one id, not \"%s\" too", self->arguments.command->name,
          self->arguments.items[1]);
    int code = rp_cli_connect (self, 1);
    json_t *job = NULL;
    if (code == 0)
        job = rp_job_ask (self, "riposte.job", json_pack ("{s:s}", "id", id), id, &code);
    if (!job)
        return code;
    if (dead && !s_is_in (job, "dead")) {
        char why[64];
        snprintf (why, sizeof why, "it is not dead, but %.16s", s_text (job, "state"));
        rp_error_t error = {.status = RP_APP_ERROR,
          .job = id,
          .asked = true,
          .why = why,
          .server = self->options.server,
          .next = "see: riposte job"};
        code = rp_cli_tell (self, &error);
    }
    else if (rp_cli_writes_json (self))
        rp_output_json ((rp_output_t) self->options.output, json_incref (job));
    else {
        s_write_life (self, job);
        fflush (stdout);
        s_advise (self, job);
    }
    json_decref (job);
    return code;
}

int rp_cli_job (rp_cli_t *self)
{
    return s_show (self, false);
}

int rp_cli_dead_show (rp_cli_t *self)
{
    return s_show (self, true);
}
