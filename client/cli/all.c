/*  riposte call --all: asks every worker of a service, and writes what each answers, as it comes; --first and --quorum
    end it sooner.

    SPDX-License-Identifier: MPL-2.0

    As a table each line of an answer has the worker's name and a colon before it, and standard error has who did not
    answer with OK, and a summary at the end.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/text.h"
#include "common/wire/head.h"

typedef struct {
    rp_cli_t *cli;
    const char *service;
    rp_output_list_t list;
} s_asking_t;

/*  ---- Answers -------------------------------------------------------------------------------- */

/*  Writes a body line by line, each behind the worker's name.  */
static void s_put_lines (const char *worker, const char *body, size_t size)
{
    while (size > 0) {
        const char *end = memchr (body, '\n', size);
        size_t line = end ? (size_t) (end - body) : size;
        printf ("%s: ", worker);
        fwrite (body, 1, line, stdout);
        putchar ('\n');
        line += end != NULL;
        body += line;
        size -= line;
    }
}

static bool s_put_answer (const rp_reply_t *answer, void *arg)
{
    s_asking_t *self = arg;
    const char *worker = rp_reply_worker (answer);
    if (rp_cli_writes_json (self->cli)) {
        rp_output_list_add (&self->list, rp_cli_reply_json (self->cli, answer, self->service));
        return !rp_cli_interrupted ();
    }
    char *visible = rp_text_visible (worker, strlen (worker));
    if (!visible)
        rp_output_no_memory ();
    s_put_lines (visible, rp_reply_body (answer), rp_reply_size (answer));
    fflush (stdout); // keeps the order of both outputs on one terminal
    if (rp_reply_status (answer) != RP_OK) {
        char prefix[RP_ERROR_LINE_MAX / 8];
        snprintf (prefix, sizeof prefix, "%s: ", visible);
        rp_error_t error = rp_error_of (answer, self->service, self->cli->options.server);
        if (error.status == RP_WORKER_LOST)
            error.next = "find out at this worker before you ask again";
        rp_cli_tell_line (self->cli, prefix, &error);
    }
    free (visible);
    return !rp_cli_interrupted () && !ferror (stdout);
}

/*  ---- The end -------------------------------------------------------------------------------- */

static json_int_t s_number (const rp_reply_t *reply, const char *key)
{
    const char *text = rp_reply_header (reply, key);
    return text ? (json_int_t) strtoul (text, NULL, 10) : 0;
}

/*  Makes {"OK": 2, "WORKER_LOST": 1} of "OK=2 WORKER_LOST=1".  */
static json_t *s_statuses (const rp_reply_t *reply)
{
    json_t *object = json_object ();
    const char *text = rp_reply_header (reply, RP_ALL_STATUSES);
    for (const char *at = text ? text : ""; *at;) {
        char name[32];
        size_t size = strcspn (at, "=");
        snprintf (name, sizeof name, "%.*s", (int) size, at);
        at += size + (at[size] == '=');
        char *end;
        rp_output_set (object, name, json_integer ((json_int_t) strtoul (at, &end, 10)));
        at = end + strspn (end, " ");
        if (size == 0)
            break;
    }
    return object;
}

static void s_put_json (s_asking_t *self, const rp_reply_t *reply)
{
    json_t *object = rp_cli_reply_json (self->cli, reply, self->service);
    (void) json_object_del (object, "body");
    (void) json_object_del (object, "headers");
    rp_output_set (object, "workers", json_integer (s_number (reply, RP_ALL_WORKERS)));
    rp_output_set (object, "answered", json_integer (s_number (reply, RP_ALL_ANSWERED)));
    rp_output_set (object, "statuses", s_statuses (reply));
    rp_output_list_add (&self->list, object);
    rp_output_list_end (&self->list);
}

/*  Writes the summary. Returns the exit code.  */
static int s_put_end (s_asking_t *self, const rp_reply_t *reply)
{
    const char *statuses = rp_reply_header (reply, RP_ALL_STATUSES);
    bool failed = rp_reply_status (reply) != RP_OK;
    if (rp_cli_writes_json (self->cli))
        s_put_json (self, reply);
    else if (statuses && !self->cli->options.quiet)
        fprintf (stderr, "riposte: %lld of %lld workers answered: %s%s\n",
          (long long) s_number (reply, RP_ALL_ANSWERED),
          (long long) s_number (reply, RP_ALL_WORKERS), statuses,
          self->cli->options.quorum && failed ? "; there is no quorum" : "");
    else if (!statuses) {
        rp_error_t error = rp_error_of (reply, self->service, self->cli->options.server);
        rp_cli_tell_line (self->cli, "", &error);
    }
    return rp_cli_reply_exit_code (self->cli, reply);
}

static int s_set (const rp_cli_options_t *options, rp_call_t *call)
{
    if (options->first)
        return rp_call_set_first (call, (uint32_t) options->first);
    if (options->quorum)
        return rp_call_set_quorum (call, (uint32_t) options->quorum);
    return rp_call_set_all (call);
}

int rp_cli_ask_all (rp_cli_t *cli, const char *service, const void *body, size_t size)
{
    s_asking_t self = {.cli = cli, .service = service};
    int code = rp_cli_connect (cli, 1);
    rp_call_t *call = code == 0 ? rp_cli_call_new (cli, service, body, size, &code) : NULL;
    if (!call)
        return code;
    rp_reply_t *reply = NULL;
    if (rp_cli_writes_json (cli))
        rp_output_list_begin (&self.list, (rp_output_t) cli->options.output);
    int rc = s_set (&cli->options, call);
    if (rc == RP_OK)
        rc = rp_client_perform_all (cli->client, &call, s_put_answer, &self, &reply);
    if (rc == RP_OK)
        code = s_put_end (&self, reply);
    else {
        rp_error_t error = {
          .status = rc, .service = service, .why = "", .server = cli->options.server};
        if (rp_cli_writes_json (cli))
            rp_output_list_end (&self.list);
        if (rc != RP_INTERRUPTED)
            rp_cli_tell_line (cli, "", &error);
        code = rp_cli_exit_code (rc);
    }
    rp_reply_destroy (&reply);
    rp_call_destroy (&call);
    return code;
}

/*  ---- Options -------------------------------------------------------------------------------- */

bool rp_cli_asks_all (const rp_cli_options_t *options)
{
    return options->all || options->first || options->quorum;
}

int rp_cli_check_all (const rp_cli_t *self)
{
    const rp_cli_options_t *options = &self->options;
    if (!rp_cli_asks_all (options))
        return 0;
    if ((options->all != 0) + (options->first > 0) + (options->quorum > 0) > 1)
        return rp_cli_usage ("--all, --first and --quorum do not go together: say one of them");
    if (options->lines || options->count > 0 || options->key || options->hedge || options->stream)
        return rp_cli_usage (
          "--all, --first and --quorum are for one call, without --lines, --count, --key, "
          "--hedge or --stream");
    if (options->exit_code_from_worker)
        return rp_cli_usage ("--exit-code-from-worker is for the call of one worker");
    if (options->output == RP_OUTPUT_CSV)
        return rp_cli_usage (
          "--all, --first and --quorum write a table, json or jsonl: leave -o csv out");
    return 0;
}
