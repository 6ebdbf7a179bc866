/*  riposte call --stream: writes the reply part by part, as it comes; with --stream-body, sends standard input in
    the same way, meanwhile.

    SPDX-License-Identifier: MPL-2.0

    Standard output is written without a wait for more, so that people, and programs behind a pipe, see each part at
    once. While it is not read, no part is taken, and so the worker waits. A pipe that nobody reads any more ends the
    request.
*/

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/answers.h"
#include "client/cli/cli.h"
#include "client/cli/input.h"
#include "common/base/units.h"
#include "common/wire/limits.h"

typedef struct {
    rp_cli_t *cli;
    const char *service;
    rp_stream_t *stream;
    rp_input_t input; /* read from standard input, and not sent yet */
    uint64_t parts;
    bool feeds;     /* standard input, or its end, is still to be sent */
    bool at_end;    /* standard input has ended */
    bool cancelled; /* after a signal */
    bool unread;    /* nobody reads standard output any more */
} s_talk_t;

/*  ---- Output --------------------------------------------------------------------------------- */

static void s_put_part (s_talk_t *self, const void *data, size_t size)
{
    self->parts++;
    if (rp_cli_writes_json (self->cli)) {
        json_t *object = json_object ();
        rp_output_set (object, "part", json_integer ((json_int_t) self->parts));
        rp_output_set_body (object, data, size);
        rp_output_json (RP_OUTPUT_JSONL, object);
    }
    else
        fwrite (data, 1, size, stdout);
    self->unread = fflush (stdout) != 0;
}

/*  Writes how it ended. The body of a reply with OK was the last part. Returns the exit code.  */
static int s_put_end (s_talk_t *self)
{
    const rp_reply_t *reply = rp_stream_reply (self->stream);
    rp_answers_t answers;
    rp_cli_tell_reply (self->cli, reply);
    if (rp_cli_writes_json (self->cli)) {
        json_t *object = rp_cli_reply_json (self->cli, reply, self->service);
        if (rp_reply_status (reply) == RP_OK) {
            json_object_del (object, "body");
            json_object_del (object, "body_base64");
        }
        rp_output_set (object, "parts", json_integer ((json_int_t) self->parts));
        rp_output_json (RP_OUTPUT_JSONL, object);
    }
    else if (rp_reply_status (reply) != RP_OK) {
        rp_answers_begin (&answers, self->cli, self->service, false);
        rp_answers_add (&answers, reply);
    }
    return rp_cli_reply_exit_code (self->cli, reply);
}

/*  ---- Input ---------------------------------------------------------------------------------- */

/*  Sends what there is room for, and the end of the body behind it.  */
static void s_send (s_talk_t *self)
{
    size_t written = 0;
    if (self->input.size > 0) {
        (void) rp_stream_write (self->stream, self->input.data, self->input.size, 0, &written);
        rp_input_drop (&self->input, written);
    }
    if (self->input.size == 0 && self->at_end)
        self->feeds = rp_stream_write_end (self->stream, 0) == RP_TIMED_OUT;
}

/*  Standard input has something, or has ended. False after an error, which was written.  */
static bool s_fill (s_talk_t *self)
{
    rp_input_outcome_t outcome = rp_input_fill (&self->input, STDIN_FILENO);
    if (outcome == RP_INPUT_OK || outcome == RP_INPUT_INTERRUPTED)
        return true;
    self->at_end = true;
    if (outcome == RP_INPUT_END)
        return true;
    rp_cli_usage ("cannot read standard input (%s)", rp_input_reason (outcome));
    return false;
}

/*  ---- The loop ------------------------------------------------------------------------------- */

/*  Waits for a part, for room to send, for standard input, or until nobody reads the output. False after an error,
    which was written.  */
static bool s_wait (s_talk_t *self)
{
    bool reads = self->feeds && !self->at_end && self->input.size == 0;
    struct pollfd entries[] = {
      {.fd = rp_stream_fd (self->stream), .events = POLLIN},
      {.fd = STDOUT_FILENO},
      {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll (entries, 3, -1) <= 0)
        return true; // a signal
    self->unread |= entries[1].revents != 0;
    return !entries[2].revents || s_fill (self);
}

/*  Reads and sends until the stream has ended. Returns the exit code.  */
static int s_run (s_talk_t *self)
{
    for (;;) {
        const void *data;
        size_t size;
        if (rp_cli_interrupted () && !self->cancelled) {
            (void) rp_stream_cancel (self->stream); // fails if it ended just now
            self->cancelled = true;
            self->feeds = false;
        }
        int rc = rp_stream_read (self->stream, 0, &data, &size);
        if (rc == RP_OK) {
            s_put_part (self, data, size);
            if (self->unread)
                return rp_cli_unwritten_code ();
            continue;
        }
        if (rc == RP_CLOSED)
            return s_put_end (self);
        if (rc == RP_NO_MEMORY)
            rp_output_no_memory ();
        if (self->feeds)
            s_send (self);
        if (!s_wait (self))
            return rp_cli_exit_code (RP_USAGE);
        if (self->unread)
            return rp_cli_unwritten_code ();
    }
}

static int s_begin (s_talk_t *self, rp_call_t **call_p, size_t size)
{
    rp_cli_options_t *options = &self->cli->options;
    if (!rp_options_given (self->cli->program, &self->cli->arguments, "timeout"))
        options->timeout = RP_DEADLINE_MAX_MS * RP_US_PER_MS;
    int rc = rp_call_set_stream (*call_p, 0, (uint32_t) (options->idle_timeout / RP_US_PER_MS));
    rp_call_set_more (*call_p, options->stream_body);
    if (rc == RP_OK)
        rc = rp_call_set_timeout_ms (*call_p, (uint32_t) (options->timeout / RP_US_PER_MS));
    if (rc == RP_OK)
        rc = rp_client_stream (self->cli->client, call_p, &self->stream);
    if (rc == RP_OK && rp_stream_fd (self->stream) < 0)
        rc = RP_SYSTEM;
    if (rc == RP_OK) {
        rp_cli_tell_request (self->cli, self->service, size, rp_stream_id (self->stream));
        return 0;
    }
    rp_error_t error = {
      .status = rc, .service = self->service, .why = "", .server = options->server};
    return rp_cli_tell (self->cli, &error);
}

int rp_cli_stream (rp_cli_t *cli, const char *service, const void *body, size_t size)
{
    s_talk_t self = {.cli = cli, .service = service, .feeds = cli->options.stream_body};
    int code = rp_cli_connect (cli, 1);
    rp_call_t *call = code == 0 ? rp_cli_call_new (cli, service, body, size, &code) : NULL;
    if (!call)
        return code;
    code = s_begin (&self, &call, size);
    if (code == 0)
        code = s_run (&self);
    rp_stream_destroy (&self.stream);
    rp_call_destroy (&call);
    rp_input_free (&self.input);
    return code;
}
