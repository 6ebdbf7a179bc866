/*  riposte call: sends one request, or many, to one service. riposte send does the same with jobs,
    whose answers are their ids.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>
#include <unistd.h>

#include "client/cli/answers.h"
#include "client/cli/batch.h"
#include "client/cli/cli.h"
#include "client/cli/input.h"

/*  The body of the second argument.  */
typedef struct {
    const char *data; /* NULL: read the body from path */
    const char *path;
} s_source_t;

static s_source_t s_source (const rp_cli_t *self)
{
    const rp_arguments_t *arguments = &self->arguments;
    if (arguments->count < 2)
        return isatty (STDIN_FILENO) ? (s_source_t){.data = ""} : (s_source_t){.path = "-"};
    const char *text = arguments->items[1];
    if (arguments->after_dashes > 0) // after "--" no character is special
        return (s_source_t){.data = text};
    if (strcmp (text, "-") == 0)
        return (s_source_t){.path = text};
    return *text == '@' ? (s_source_t){.path = text + 1} : (s_source_t){.data = text};
}

static int s_read_body (const s_source_t *source, rp_input_t *input)
{
    rp_input_outcome_t outcome = rp_input_read (input, source->path);
    if (outcome == RP_INPUT_OK)
        return 0;
    if (outcome == RP_INPUT_INTERRUPTED)
        return rp_status_exit_code (RP_INTERRUPTED);
    bool standard = strcmp (source->path, "-") == 0;
    if (standard)
        return rp_cli_usage ("cannot read standard input (%s)", rp_input_reason (outcome));
    return rp_cli_usage ("cannot read %s (%s); a body that begins with @ goes behind --",
      source->path, rp_input_reason (outcome));
}

static int s_call_once (rp_cli_t *self, const char *service, const void *body, size_t size)
{
    int code = rp_cli_connect (self, 1);
    rp_call_t *call = code == 0 ? rp_cli_call_new (self, service, body, size, &code) : NULL;
    rp_reply_t *reply = call ? rp_cli_perform (self, service, size, &call, &code) : NULL;
    if (!reply)
        return code;
    rp_answers_t answers;
    rp_answers_begin (&answers, self, service, false);
    rp_answers_add (&answers, reply);
    rp_answers_end (&answers);
    code = rp_cli_reply_exit_code (self, reply);
    rp_reply_destroy (&reply);
    return code;
}

static int s_check_stream (const rp_cli_t *self)
{
    const rp_cli_options_t *options = &self->options;
    if (!options->stream && options->stream_body)
        return rp_cli_usage ("--stream-body goes with --stream");
    if (!options->stream && options->idle_timeout)
        return rp_cli_usage ("--idle-timeout goes with --stream");
    if (!options->stream)
        return 0;
    if (options->lines || options->count > 0 || options->key || options->hedge)
        return rp_cli_usage (
          "--stream is for one call, without --lines, --count, --key or --hedge");
    if (options->output == RP_OUTPUT_JSON || options->output == RP_OUTPUT_CSV)
        return rp_cli_usage ("--stream writes parts as they come: say -o jsonl, or leave -o out");
    if (options->stream_body && self->arguments.count > 1)
        return rp_cli_usage (
          "--stream-body sends standard input, not \"%s\"", self->arguments.items[1]);
    return 0;
}

static int s_check_arguments (const rp_cli_t *self)
{
    const rp_arguments_t *arguments = &self->arguments;
    if (arguments->count > 2)
        return rp_cli_usage ("too many arguments from \"%s\" on; put a body with blanks in quotes",
          arguments->items[2]);
    if (self->options.lines && arguments->count > 1)
        return rp_cli_usage (
          "--lines takes its bodies from standard input, not from \"%s\"", arguments->items[1]);
    if (self->options.lines && self->options.count > 0)
        return rp_cli_usage ("--lines and --count do not go together");
    int fault = self->sends ? 0 : rp_cli_check_all (self);
    if (fault != 0)
        return fault;
    if (self->options.exit_code_from_worker && (self->options.lines || self->options.count > 0))
        return rp_cli_usage ("--exit-code-from-worker is for one call, without --lines or --count");
    return s_check_stream (self);
}

int rp_cli_request (rp_cli_t *self)
{
    const char *service = rp_cli_service (self);
    int code = service ? s_check_arguments (self) : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    if (self->options.lines)
        return rp_cli_batch (self, service, NULL, 0);
    if (self->options.stream_body)
        return rp_cli_stream (self, service, NULL, 0);

    s_source_t source = s_source (self);
    rp_input_t input = {0};
    code = source.data ? 0 : s_read_body (&source, &input);
    const void *body = source.data ? source.data : input.data;
    size_t size = source.data ? strlen (source.data) : input.size;
    if (code == 0)
        code = self->options.count > 0 ? rp_cli_batch (self, service, body ? body : "", size)
               : self->options.stream  ? rp_cli_stream (self, service, body, size)
               : rp_cli_asks_all (&self->options) ? rp_cli_ask_all (self, service, body, size)
                                                  : s_call_once (self, service, body, size);
    rp_input_free (&input);
    return code;
}

int rp_cli_call (rp_cli_t *self)
{
    int code = rp_cli_check_key (self);
    return code == 0 ? rp_cli_request (self) : code;
}
