/*  riposte jobs, dead list, cancel, dead retry, dead purge: what the broker keeps, and what becomes
    of it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/every.h"
#include "client/cli/job_question.h"
#include "client/cli/listing.h"

/*  Jobs of one answer, and of a table without --count.  */
#define S_PAGE 1000

/*  ---- Lists ---------------------------------------------------------------------------------- */

static const rp_column_t s_columns[] = {
  {"BROKER", RP_CELL_TEXT, "broker", NULL}, // the first, since a table of one broker is without it
  {"ID", RP_CELL_TEXT, "id", NULL},
  {"SERVICE", RP_CELL_TEXT, "service", NULL},
  {"STATE", RP_CELL_TEXT, "state", NULL},
  {"ATTEMPT", RP_CELL_SHARE, "attempt", "attempts"},
  {"ACCEPTED", RP_CELL_INSTANT, "accepted_us", NULL},
  {"DUE", RP_CELL_INSTANT, "due_us", NULL},
  {"ENDED", RP_CELL_INSTANT, "ended_us", NULL},
  {"STATUS", RP_CELL_TEXT, "status", NULL},
};

/*  A list that is being read, of one broker after the other.  */
typedef struct {
    const rp_cli_t *cli;
    const char *what;     /* is asked */
    const json_t *params; /* of the first question to each broker */
    json_t *jobs;         /* so far; with jsonl they are written instead */
    json_t *seen;         /* their ids, if several brokers are asked: these may share a store */
    uint64_t left;        /* jobs to be read, at most */
    bool answered;        /* a broker has */
    bool more;            /* a broker has more */
} s_list_t;

/*  Takes the jobs of an answer over. broker: NULL if only one is asked.  */
static void s_take (s_list_t *self, const json_t *answer, const char *broker)
{
    size_t index;
    json_t *job;
    json_array_foreach (json_object_get (answer, "jobs"), index, job)
    {
        const char *id = json_string_value (json_object_get (job, "id"));
        if (self->left == 0)
            return;
        if (broker && id) {
            if (json_object_get (self->seen, id))
                continue;
            rp_output_set (self->seen, id, json_true ());
            rp_output_set (job, "broker", rp_output_text (broker));
        }
        self->left--;
        if (self->cli->options.output == RP_OUTPUT_JSONL)
            rp_output_json (RP_OUTPUT_JSONL, json_incref (job));
        else if (json_array_append (self->jobs, job) != 0)
            rp_output_no_memory ();
    }
}

/*  Reads page after page of one broker. Returns the exit code.  */
static int s_read_pages (rp_cli_t *one, s_list_t *self)
{
    int code = 0;
    bool more = true;
    json_t *params = json_copy ((json_t *) self->params);
    while (more && self->left > 0) {
        json_t *answer = rp_job_ask (one, self->what, json_copy (params), NULL, &code);
        if (!answer)
            break;
        self->answered = true;
        s_take (self, answer, self->cli->options.all ? one->options.server : NULL);
        json_t *next = json_object_get (answer, "next");
        more = json_is_true (json_object_get (answer, "more")) && json_is_string (next);
        if (more)
            rp_output_set (params, "id", json_incref (next));
        json_decref (answer);
    }
    self->more |= more && code == 0;
    json_decref (params);
    return code;
}

static int s_read_broker (rp_cli_t *one, json_t *status, void *arg)
{
    (void) status;
    return s_read_pages (one, arg);
}

static void s_write_list (const s_list_t *self, const char *empty)
{
    bool all = self->cli->options.all;
    const rp_listing_t listing = {.list = "jobs",
      .empty = empty,
      .columns = s_columns + !all,
      .column_count = sizeof s_columns / sizeof *s_columns - !all};
    if (self->cli->options.output != RP_OUTPUT_JSONL)
        rp_listing_write (self->cli, &listing, json_pack ("{s:O}", "jobs", self->jobs));
    if (self->more && !self->cli->options.quiet)
        fprintf (stderr, "there are more; all of them: -o jsonl, or --count N\n");
}

static int s_run (rp_cli_t *self, const char *what, const char *state, const char *empty)
{
    const rp_arguments_t *arguments = &self->arguments;
    if (arguments->count > 1)
        return rp_cli_usage (
          "%s takes one service, not \"%s\" too", arguments->command->name, arguments->items[1]);
    const char *service = arguments->count > 0 ? rp_cli_service (self) : NULL;
    if (arguments->count > 0 && !service)
        return rp_status_exit_code (RP_USAGE);
    int code = self->options.all ? 0 : rp_cli_connect (self, 1);
    if (code != 0)
        return code;
    bool endless = self->options.output == RP_OUTPUT_JSONL;
    uint64_t left = self->options.count > 0 ? self->options.count : endless ? UINT64_MAX : S_PAGE;
    json_t *params = json_object ();
    if (service)
        rp_output_set (params, "service", rp_output_text (service));
    if (state)
        rp_output_set (params, "state", json_string (state));
    rp_output_set (
      params, "most", json_integer (left < S_PAGE ? (json_int_t) left : (json_int_t) S_PAGE));
    s_list_t list = {.cli = self,
      .what = what,
      .params = params,
      .jobs = json_array (),
      .seen = json_object (),
      .left = left};
    if (!list.jobs || !list.seen)
        rp_output_no_memory ();
    code =
      self->options.all ? rp_every_ask (self, s_read_broker, &list) : s_read_pages (self, &list);
    if (code == 0 || (self->options.all && list.answered))
        s_write_list (&list, empty);
    json_decref (list.jobs);
    json_decref (list.seen);
    json_decref (params);
    return code;
}

int rp_cli_jobs (rp_cli_t *self)
{
    static const char *const states[] = {"waiting", "running", "done", "dead"};
    bool given = rp_options_given (self->program, &self->arguments, "state");
    return s_run (self, "riposte.jobs", given ? states[self->options.state] : NULL,
      "no such jobs; send one: riposte send SERVICE BODY");
}

int rp_cli_dead_list (rp_cli_t *self)
{
    return s_run (self, "riposte.dead.list", NULL, "no dead jobs");
}

/*  ---- Cancel, retry -------------------------------------------------------------------------- */

static const char *s_text (const json_t *job, const char *key)
{
    const char *text = json_string_value (json_object_get (job, key));
    return text ? text : "?";
}

/*  Does something with each job that the arguments name, whatever becomes of the others. Returns the
    first exit code that is not 0.  */
static int s_each (
  rp_cli_t *self, const char *what, int (*tell) (const rp_cli_t *self, json_t *job, const char *id))
{
    size_t count = self->arguments.count > 0 ? self->arguments.count : 1;
    for (size_t index = 0; index < count; index++)
        if (!rp_job_id (self, index))
            return rp_status_exit_code (RP_USAGE);
    int first = rp_cli_connect (self, 1);
    if (first != 0)
        return first;
    for (size_t index = 0; index < count && !rp_cli_interrupted (); index++) {
        int code = 0;
        const char *id = self->arguments.items[index];
        json_t *job = rp_job_ask (self, what, json_pack ("{s:s}", "id", id), id, &code);
        if (job)
            code = tell (self, job, id);
        json_decref (job);
        first = first ? first : code;
    }
    return first == 0 && rp_cli_interrupted () ? rp_status_exit_code (RP_INTERRUPTED) : first;
}

static void s_write_job (const rp_cli_t *self, json_t *job, const char *line)
{
    if (rp_cli_writes_json (self))
        rp_output_json ((rp_output_t) self->options.output, json_incref (job));
    else if (line)
        printf ("%s\n", line);
}

static int s_tell_cancelled (const rp_cli_t *self, json_t *job, const char *id)
{
    char line[64];
    char why[128];
    const char *status = s_text (job, "status");
    bool dead = strcmp (s_text (job, "state"), "dead") == 0;
    snprintf (line, sizeof line, "job %s was cancelled", id);
    if (strcmp (status, "CANCELLED") == 0) {
        s_write_job (self, job, self->options.quiet ? NULL : line);
        return 0;
    }
    snprintf (why, sizeof why, "it has ended before, with %s", status);
    rp_error_t error = {.status = RP_APP_ERROR,
      .job = id,
      .asked = true,
      .why = why,
      .server = self->options.server,
      .next = dead ? "remove it: riposte dead purge" : "its result: riposte result"};
    return rp_cli_tell (self, &error);
}

int rp_cli_cancel (rp_cli_t *self)
{
    return s_each (self, "riposte.cancel", s_tell_cancelled);
}

static int s_tell_retried (const rp_cli_t *self, json_t *job, const char *id)
{
    (void) id;
    s_write_job (self, job, s_text (job, "id"));
    return 0;
}

int rp_cli_dead_retry (rp_cli_t *self)
{
    return s_each (self, "riposte.dead.retry", s_tell_retried);
}

/*  ---- Purge ---------------------------------------------------------------------------------- */

/*  Returns the parameters of a purge. NULL after an error was written.  */
static json_t *s_purge_params (rp_cli_t *self)
{
    const char *name = self->arguments.count == 1 ? self->arguments.items[0] : NULL;
    if (self->arguments.count > 1 || (name != NULL) == self->options.all) {
        rp_cli_usage ("dead purge wants one ID or SERVICE, or --all; see: riposte dead list");
        return NULL;
    }
    if (!name)
        return json_pack ("{s:b}", "all", 1);
    if (rp_job_id_is_valid (name))
        return json_pack ("{s:s}", "id", name);
    name = rp_cli_service (self);
    return name ? json_pack ("{s:o}", "service", rp_output_text (name)) : NULL;
}

int rp_cli_dead_purge (rp_cli_t *self)
{
    json_int_t purged = 0;
    json_t *params = s_purge_params (self);
    if (!params)
        return rp_status_exit_code (RP_USAGE);
    const char *id = json_string_value (json_object_get (params, "id"));
    int code = rp_cli_connect (self, 1);
    for (bool more = true; code == 0 && more && !rp_cli_interrupted ();) {
        json_t *answer = rp_job_ask (self, "riposte.dead.purge", json_copy (params), id, &code);
        purged += rp_output_number (answer, "purged");
        more = json_is_true (json_object_get (answer, "more"));
        json_decref (answer);
    }
    json_decref (params);
    if (code != 0)
        return code;
    if (rp_cli_interrupted ())
        code = rp_status_exit_code (RP_INTERRUPTED);
    if (rp_cli_writes_json (self))
        rp_output_json ((rp_output_t) self->options.output, json_pack ("{s:I}", "purged", purged));
    else if (!self->options.quiet)
        printf ("removed %" JSON_INTEGER_FORMAT "\n", purged);
    return code;
}
