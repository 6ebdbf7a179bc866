/*  riposte talk: holds one conversation, a request per line, from a script or typed.

    SPDX-License-Identifier: MPL-2.0
*/

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/input.h"
#include "client/cli/script.h"
#include "client/cli/transcript.h"
#include "common/base/units.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_MS 200

typedef struct {
    rp_cli_t *cli;
    const char *service;
    rp_script_variables_t variables;
    rp_script_t script;
    rp_conversation_t *conversation;
    rp_transcript_t transcript;
} s_talk_t;

static int s_read_variables (s_talk_t *self)
{
    const rp_option_list_t *list = &self->cli->options.variables;
    self->variables.items = calloc (list->count + 1, sizeof *self->variables.items);
    if (!self->variables.items)
        rp_output_no_memory ();
    for (size_t index = 0; index < list->count; index++) {
        if (!rp_script_variable (list->items[index], &self->variables.items[index]))
            return rp_cli_usage ("--set wants NAME=VALUE, not \"%s\"", list->items[index]);
        self->variables.count++;
    }
    return 0;
}

/*  True if the conversation and its state are lost, or if this status leaves that open.  */
static bool s_is_lost (int status)
{
    return status == RP_CONVERSATION_LOST || status == RP_WORKER_LOST || status == RP_UNKNOWN
           || status == RP_NO_BROKER;
}

static void s_begin (s_talk_t *self)
{
    rp_conversation_destroy (&self->conversation);
    self->conversation = rp_conversation_new (self->cli->client, self->service);
    if (!self->conversation)
        rp_output_no_memory (); // rp_cli_service has checked the name
}

static rp_reply_t *s_ask (s_talk_t *self, const rp_script_request_t *request, int *code)
{
    rp_call_t *call = rp_call_new_in (self->conversation, request->body, request->size);
    if (!call)
        rp_output_no_memory ();
    *code = rp_cli_prepare (self->cli, call);
    if (*code != 0) {
        rp_call_destroy (&call);
        return NULL;
    }
    return rp_cli_perform (self->cli, self->service, request->size, &call, code);
}

/*  ---- From a script -------------------------------------------------------------------------  */

static int s_read_script (s_talk_t *self, const char *path)
{
    rp_input_t input = {0};
    const char *name = strcmp (path, "-") == 0 ? "standard input" : path;
    rp_input_outcome_t read = rp_input_read (&input, path);
    int code = 0;
    if (read == RP_INPUT_INTERRUPTED)
        code = rp_status_exit_code (RP_INTERRUPTED);
    else if (read != RP_INPUT_OK)
        code = rp_cli_usage ("cannot read %s (%s)", name, rp_input_reason (read));
    else {
        char reason[RP_SCRIPT_REASON_MAX];
        size_t line = 0;
        rp_script_outcome_t outcome =
          rp_script_read (&self->script, input.data, input.size, &self->variables, &line, reason);
        if (outcome == RP_SCRIPT_NO_MEMORY)
            rp_output_no_memory ();
        if (outcome == RP_SCRIPT_WRONG)
            code = rp_cli_usage ("%s:%zu %s", name, line, reason);
        else if (self->script.count == 0)
            code = rp_cli_usage ("%s has no request in it; write one per line", name);
    }
    rp_input_free (&input);
    return code;
}

static int s_check_variables (const s_talk_t *self)
{
    for (size_t index = 0; index < self->variables.count; index++) {
        const rp_script_variable_t *variable = &self->variables.items[index];
        if (!variable->used)
            return rp_cli_usage ("--set %.*s: the script does not use $%.*s",
              (int) variable->name_size, variable->name, (int) variable->name_size, variable->name);
    }
    return 0;
}

/*  Sends one request and writes its outcome. Returns its status; RP_INTERRUPTED and *code when
    there is no reply or the reader is gone. *code is also set when the status is an error.  */
static int s_take_step (
  s_talk_t *self, const rp_script_request_t *request, rp_reply_t **last, int *code)
{
    rp_transcript_request (&self->transcript, request->body, request->size);
    int failure = 0;
    rp_reply_t *reply = s_ask (self, request, &failure);
    if (!reply) {
        *code = failure;
        return RP_INTERRUPTED;
    }
    rp_transcript_reply (&self->transcript, request->body, request->size, reply);
    int status = (int) rp_reply_status (reply);
    rp_reply_destroy (last);
    *last = reply;
    if (status != RP_OK)
        *code = rp_status_exit_code (status);
    if (ferror (stdout)) {
        *code = 1; // rp_output_finish reports the reason, if one is due
        return RP_INTERRUPTED;
    }
    return status;
}

static bool s_goes_on (int status)
{
    return status == RP_OK || status == RP_APP_ERROR;
}

/*  Runs the script from its beginning. Returns the status that ended it: RP_OK, also if replies
    were errors of the application (then *code is 1); RP_INTERRUPTED when it could not go on.  */
static int s_run_round (s_talk_t *self, size_t *answered, rp_reply_t **last, int *code)
{
    s_begin (self);
    rp_transcript_round (&self->transcript);
    *answered = 0;
    *code = 0;
    for (size_t index = 0; index < self->script.count; index++) {
        int status = s_take_step (self, &self->script.requests[index], last, code);
        if (!s_goes_on (status))
            return status;
        ++*answered;
    }
    return RP_OK;
}

static void s_tell_end (const s_talk_t *self, const rp_reply_t *last)
{
    if (rp_cli_writes_json (self->cli) || !last || rp_reply_status (last) == RP_OK
        || ferror (stdout))
        return;
    rp_error_t error = rp_error_of (last, self->service, self->cli->options.server);
    if (s_is_lost (error.status))
        error.next = "begin the script again: --again 1";
    rp_cli_tell_line (self->cli, "", &error);
}

static int s_run_script (s_talk_t *self)
{
    rp_reply_t *last = NULL;
    size_t answered = 0;
    int code = 0;
    rp_transcript_begin (&self->transcript, self->cli, self->service);
    for (uint64_t again = self->cli->options.again;; again--) {
        int status = s_run_round (self, &answered, &last, &code);
        if (!s_is_lost (status) || again == 0 || rp_cli_interrupted ())
            break;
        if (!self->cli->options.quiet)
            fprintf (stderr, "riposte: lost after %zu of %zu requests (%s); beginning again\n",
              answered, self->script.count, rp_status_name (status));
    }
    rp_transcript_end (&self->transcript, self->script.count, answered);
    fflush (stdout);
    s_tell_end (self, last);
    rp_reply_destroy (&last);
    return code;
}

/*  ---- From a pipe ---------------------------------------------------------------------------  */

typedef struct {
    rp_input_t input;
    size_t line;
    bool at_end;
} s_pipe_t;

/*  Reads more input; blocks. Returns 0, or the exit code after an error was written.  */
static int s_fill (s_pipe_t *self)
{
    struct pollfd item = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll (&item, 1, S_SLICE_MS) <= 0)
        if (rp_cli_interrupted ())
            return rp_status_exit_code (RP_INTERRUPTED);
    rp_input_outcome_t outcome = rp_input_fill (&self->input, STDIN_FILENO);
    self->at_end = outcome == RP_INPUT_END;
    if (outcome == RP_INPUT_FAILED || outcome == RP_INPUT_TOO_LARGE)
        return rp_cli_usage ("cannot read standard input (%s)", rp_input_reason (outcome));
    return 0;
}

/*  Reads up to the next request, whose body the caller frees. False at the end, or after an error
    was written: *code is the exit code.  */
static bool s_next (s_talk_t *self, s_pipe_t *pipe, rp_script_request_t *request, int *code)
{
    char reason[RP_SCRIPT_REASON_MAX];
    for (;;) {
        size_t size = rp_input_line (&pipe->input);
        if (size == 0 && pipe->at_end)
            size = pipe->input.size; // the last line may lack its newline
        if (size == 0) {
            int failure = pipe->at_end ? 0 : s_fill (pipe);
            if (failure != 0)
                *code = failure;
            if (failure != 0 || (pipe->at_end && pipe->input.size == 0))
                return false;
            continue;
        }
        pipe->line++;
        rp_script_outcome_t outcome =
          rp_script_read_line (pipe->input.data, size, &self->variables, request, reason);
        rp_input_drop (&pipe->input, size);
        if (outcome == RP_SCRIPT_NO_MEMORY)
            rp_output_no_memory ();
        if (outcome == RP_SCRIPT_WRONG)
            *code = rp_cli_usage ("standard input:%zu %s", pipe->line, reason);
        if (outcome != RP_SCRIPT_NOTHING)
            return outcome == RP_SCRIPT_REQUEST;
    }
}

/*  Sends each request, and waits for its reply before reading the next.  */
static int s_run_pipe (s_talk_t *self)
{
    s_pipe_t pipe = {0};
    rp_script_request_t request;
    rp_reply_t *last = NULL;
    size_t sent = 0;
    size_t answered = 0;
    int code = 0;
    int status = RP_OK;
    while (s_goes_on (status) && s_next (self, &pipe, &request, &code)) {
        if (sent == 0 && (code = rp_cli_connect (self->cli, 1)) == 0) {
            s_begin (self);
            rp_transcript_begin (&self->transcript, self->cli, self->service);
            rp_transcript_round (&self->transcript);
        }
        if (self->conversation) {
            status = s_take_step (self, &request, &last, &code);
            sent++;
            answered += s_goes_on (status);
        }
        else
            status = RP_NO_BROKER;
        free (request.body);
    }
    rp_input_free (&pipe.input);
    if (sent > 0 && !ferror (stdout)) {
        rp_transcript_end (&self->transcript, sent, answered);
        fflush (stdout);
    }
    s_tell_end (self, last);
    rp_reply_destroy (&last);
    if (sent == 0 && code == 0)
        return rp_cli_usage ("standard input has no request in it; write one per line");
    return code == 0 ? s_check_variables (self) : code;
}

/*  True if each line is sent when it comes. A script that may begin again is read to its end
    first.  */
static bool s_is_pipe (const s_talk_t *self, const char *path)
{
    struct stat about;
    return strcmp (path, "-") == 0 && self->cli->options.again == 0
           && !(fstat (STDIN_FILENO, &about) == 0 && S_ISREG (about.st_mode));
}

/*  ---- Typed by hand -------------------------------------------------------------------------  */

static void s_show_end (const s_talk_t *self, const rp_reply_t *reply)
{
    const rp_colours_t *err = &self->cli->err;
    char time[RP_UNITS_TEXT_MAX];
    rp_transcript_show (reply);
    fflush (stdout);
    if (rp_reply_status (reply) != RP_OK) {
        rp_error_t error = rp_error_of (reply, self->service, self->cli->options.server);
        if (s_is_lost (error.status))
            error.next = "the next request begins a new conversation";
        rp_cli_tell_line (self->cli, "", &error);
    }
    fprintf (stderr, "%s%s%s\n", err->dim,
      rp_duration_format (time, (int64_t) rp_reply_total_us (reply)), err->reset);
}

/*  Sends a typed line, if it is a request. False when the conversation cannot go on.  */
static bool s_take_line (s_talk_t *self, const char *line, size_t size, int *code)
{
    char reason[RP_SCRIPT_REASON_MAX];
    rp_script_request_t request;
    rp_script_outcome_t outcome =
      rp_script_read_line (line, size, &self->variables, &request, reason);
    if (outcome == RP_SCRIPT_NO_MEMORY)
        rp_output_no_memory ();
    if (outcome == RP_SCRIPT_WRONG)
        rp_cli_usage ("the line %s", reason);
    if (outcome != RP_SCRIPT_REQUEST)
        return true;
    rp_reply_t *reply = s_ask (self, &request, code);
    free (request.body);
    if (!reply)
        return false;
    int status = (int) rp_reply_status (reply);
    *code = rp_status_exit_code (status);
    s_show_end (self, reply);
    rp_reply_destroy (&reply);
    if (s_is_lost (status))
        s_begin (self);
    return true;
}

static int s_run_by_hand (s_talk_t *self)
{
    char *line = NULL;
    size_t room = 0;
    int code = 0;
    s_begin (self);
    if (!self->cli->options.quiet)
        fprintf (stderr, "a conversation with \"%s\": a request per line, Ctrl-D ends it\n",
          self->service);
    for (;;) {
        fprintf (stderr, "%s%s>%s ", self->cli->err.bold, self->service, self->cli->err.reset);
        ssize_t size = getline (&line, &room, stdin);
        if (size < 0 || rp_cli_interrupted ())
            break;
        if (!s_take_line (self, line, (size_t) size, &code))
            break;
    }
    fputc ('\n', stderr);
    free (line);
    return rp_cli_interrupted () ? rp_status_exit_code (RP_INTERRUPTED) : code;
}

/*  ---- The command ---------------------------------------------------------------------------  */

static int s_talk (s_talk_t *self, const char *path)
{
    int code = s_read_variables (self);
    if (code == 0 && path && s_is_pipe (self, path))
        return s_run_pipe (self);
    if (code == 0 && path)
        code = s_read_script (self, path);
    if (code == 0 && path)
        code = s_check_variables (self);
    if (code == 0)
        code = rp_cli_connect (self->cli, 1);
    if (code != 0)
        return code;
    return path ? s_run_script (self) : s_run_by_hand (self);
}

int rp_cli_talk (rp_cli_t *cli)
{
    const rp_arguments_t *arguments = &cli->arguments;
    s_talk_t self = {.cli = cli, .service = rp_cli_service (cli)};
    if (!self.service)
        return rp_status_exit_code (RP_USAGE);
    if (arguments->count > 2)
        return rp_cli_usage ("talk takes one script, not \"%s\" too", arguments->items[2]);
    const char *path = arguments->count == 2   ? arguments->items[1]
                       : isatty (STDIN_FILENO) ? NULL
                                               : "-";
    int code = s_talk (&self, path);
    rp_conversation_destroy (&self.conversation);
    rp_script_free (&self.script);
    free (self.variables.items);
    return code;
}
