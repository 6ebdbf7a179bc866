/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/batch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/answers.h"
#include "client/cli/input.h"
#include "client/cli/progress.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_MS 200

typedef struct {
    uint64_t id;       /* 0: not submitted */
    rp_reply_t *reply; /* NULL: not ended */
} s_entry_t;

typedef struct {
    rp_cli_t *cli;
    const char *service;
    const char *body; /* NULL: from input */
    size_t size;
    uint64_t left; /* requests still to be sent, if body is set */
    rp_input_t input;
    bool at_end;     /* of input */
    s_entry_t *ring; /* request number n is at n modulo room */
    uint64_t room;
    uint64_t sent;
    uint64_t written;
    bool withdrawn; /* after an interrupt */
    int code;       /* not 0: the error that ends the batch */
    rp_answers_t answers;
    rp_progress_t progress;
} s_batch_t;

/*  True if there is a next body now.  */
static bool s_next_body (s_batch_t *self, const char **body, size_t *size)
{
    if (self->body) {
        *body = self->body;
        *size = self->size;
        return self->left > 0;
    }
    *body = self->input.data;
    *size = rp_input_line (&self->input);
    if (*size == 0 && self->at_end)
        *size = self->input.size; // the last line may lack its newline
    return *size > 0;
}

static void s_took_body (s_batch_t *self, size_t size)
{
    if (self->body)
        self->left--;
    else
        rp_input_drop (&self->input, size);
}

static bool s_may_send (const s_batch_t *self)
{
    return self->code == 0 && !self->withdrawn && self->sent - self->written < self->room;
}

static bool s_needs_input (const s_batch_t *self)
{
    return s_may_send (self) && !self->body && !self->at_end;
}

static void s_send_more (s_batch_t *self)
{
    const char *body;
    size_t size;
    while (s_may_send (self) && s_next_body (self, &body, &size)) {
        s_entry_t *entry = &self->ring[self->sent % self->room];
        rp_call_t *call = rp_cli_call_new (self->cli, self->service, body, size, &self->code);
        if (!call)
            return;
        rp_call_set_tag (call, entry);
        int rc = rp_client_submit (self->cli->client, &call, &entry->id);
        if (rc != RP_OK) {
            rp_call_destroy (&call);
            rp_error_t error = {.status = rc,
              .service = self->service,
              .why = "",
              .server = self->cli->options.server};
            rp_cli_tell_line (self->cli, "", &error);
            self->code = rp_status_exit_code (rc);
            return;
        }
        rp_cli_tell_request (self->cli, self->service, size, entry->id);
        s_took_body (self, size);
        self->sent++;
    }
}

static void s_write_ended (s_batch_t *self)
{
    while (self->written < self->sent) {
        s_entry_t *entry = &self->ring[self->written % self->room];
        if (!entry->reply)
            break;
        if (rp_reply_status (entry->reply) != RP_OK)
            rp_progress_clear (&self->progress); // another line follows
        if (!ferror (stdout)) // after standard output has failed, nothing more is written
            rp_answers_add (&self->answers, entry->reply);
        rp_reply_destroy (&entry->reply);
        *entry = (s_entry_t){0};
        self->written++;
    }
    if (ferror (stdout) && self->code == 0)
        self->code = 1; // the answers are not read any more; rp_output_finish reports why
    rp_progress_show (&self->progress, self->written, self->answers.failed);
}

static void s_collect_ended (s_batch_t *self)
{
    rp_reply_t *reply = NULL;
    while (rp_client_collect (self->cli->client, 0, &reply) == RP_OK) {
        s_entry_t *entry = rp_reply_tag (reply);
        entry->reply = reply;
        rp_cli_tell_reply (self->cli, reply);
    }
    s_write_ended (self);
}

/*  Cancels every open request; each still ends with a status.  */
static void s_withdraw (s_batch_t *self)
{
    if (self->withdrawn)
        return;
    self->withdrawn = true;
    for (uint64_t number = self->written; number < self->sent; number++) {
        const s_entry_t *entry = &self->ring[number % self->room];
        if (!entry->reply)
            (void) rp_client_cancel (self->cli->client, entry->id);
    }
}

static void s_wait (s_batch_t *self)
{
    bool needs_input = s_needs_input (self);
    struct pollfd items[] = {
      {.fd = rp_client_fd (self->cli->client), .events = POLLIN},
      {.fd = needs_input ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll (items, 2, S_SLICE_MS) <= 0 || items[1].revents == 0)
        return;
    rp_input_outcome_t outcome = rp_input_fill (&self->input, STDIN_FILENO);
    self->at_end = outcome == RP_INPUT_END;
    if (outcome == RP_INPUT_FAILED || outcome == RP_INPUT_TOO_LARGE)
        self->code = rp_cli_usage ("cannot read standard input (%s)", rp_input_reason (outcome));
}

static bool s_is_over (const s_batch_t *self)
{
    if (self->written < self->sent)
        return false;
    if (self->code != 0 || self->withdrawn)
        return true;
    return self->body ? self->left == 0 : self->at_end && self->input.size == 0;
}

static int s_run (s_batch_t *self)
{
    for (;;) {
        s_send_more (self);
        if (self->code != 0 || rp_cli_interrupted ())
            s_withdraw (self);
        if (s_is_over (self))
            break;
        s_wait (self);
        s_collect_ended (self);
    }
    rp_progress_clear (&self->progress);
    if (!ferror (stdout))
        rp_answers_end (&self->answers);
    if (rp_cli_interrupted ())
        return rp_status_exit_code (RP_INTERRUPTED);
    if (self->code != 0)
        return self->code;
    return self->answers.failed > 0 ? RP_CLI_EXIT_BATCH : 0;
}

int rp_cli_batch (rp_cli_t *cli, const char *service, const void *body, size_t size)
{
    int code = rp_cli_connect (cli, (uint32_t) cli->options.parallel);
    if (code != 0)
        return code;
    s_batch_t self = {.cli = cli,
      .service = service,
      .body = body,
      .size = size,
      .left = cli->options.count,
      .room = cli->options.parallel};
    self.ring = calloc (self.room, sizeof *self.ring);
    if (!self.ring)
        rp_output_no_memory ();
    rp_answers_begin (&self.answers, cli, service, true);
    rp_progress_begin (
      &self.progress, body ? self.left : 0, cli->options.quiet || cli->options.verbose);
    code = s_run (&self);
    free (self.ring);
    rp_input_free (&self.input);
    return code;
}
