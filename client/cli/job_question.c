/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/job_question.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/listing.h"
#include "common/wire/limits.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_MS 200u
/*  The digits of the largest id.  */
#define S_DIGITS_MAX 19u

bool rp_job_id_is_valid (const char *text)
{
    size_t size = strlen (text);
    return size > 0 && size <= S_DIGITS_MAX && strspn (text, "0123456789") == size
           && strspn (text, "0") < size;
}

const char *rp_job_id (const rp_cli_t *self, size_t index)
{
    const char *text = index < self->arguments.count ? self->arguments.items[index] : NULL;
    if (text && rp_job_id_is_valid (text))
        return text;
    if (!text)
        rp_cli_usage (
          "%s wants the id of a job, as riposte send writes it; list them: riposte jobs",
          self->arguments.command->name);
    else
        rp_cli_usage ("the id of a job is a number, not \"%s\"; list them: riposte jobs", text);
    return NULL;
}

/*  Submits the question and waits for its reply. A signal ends the wait at once: a question needs no
    orderly end, and its broker may be waiting for the job. NULL: *code is the exit code.  */
static rp_reply_t *s_perform (
  rp_cli_t *self, const char *service, size_t size, rp_call_t **call_p, int *code)
{
    uint64_t id = 0;
    rp_reply_t *reply = NULL;
    int rc = rp_cli_interrupted () ? RP_INTERRUPTED : rp_client_submit (self->client, call_p, &id);
    rp_call_destroy (call_p);
    if (rc == RP_OK) {
        rp_cli_tell_request (self, service, size, id);
        do
            rc = rp_client_collect (self->client, S_SLICE_MS, &reply);
        while ((rc == RP_TIMED_OUT || rc == RP_INTERRUPTED) && !rp_cli_interrupted ());
    }
    if (reply) {
        rp_cli_tell_reply (self, reply);
        return reply;
    }
    rp_error_t error = {.status = rp_cli_interrupted () ? RP_INTERRUPTED : rc,
      .why = "",
      .server = self->options.server};
    rp_cli_tell_line (self, "", &error); // never JSON: a list may be open
    *code = rp_status_exit_code (error.status);
    return NULL;
}

rp_reply_t *rp_job_question (
  rp_cli_t *self, const char *service, json_t *params, int64_t wait_us, int *code)
{
    char *text = params ? json_dumps (params, JSON_COMPACT) : NULL;
    json_decref (params);
    if (!text)
        rp_output_no_memory ();
    size_t size = strlen (text);
    rp_reply_t *reply = NULL;
    rp_call_t *call = rp_cli_call_new (self, service, text, size, code);
    free (text);
    if (call) {
        int64_t timeout = (self->options.timeout + wait_us + 999) / 1000;
        if (timeout > RP_DEADLINE_MAX_MS)
            timeout = RP_DEADLINE_MAX_MS;
        (void) rp_call_set_timeout_ms (call, (uint32_t) timeout);
        reply = s_perform (self, service, size, &call, code);
    }
    return reply;
}

rp_error_t rp_job_error (
  const rp_cli_t *self, const rp_reply_t *reply, const char *service, const char *job)
{
    rp_error_t error = rp_error_of (reply, service, self->options.server);
    error.job = job;
    error.asked = true;
    if (error.status == RP_UNKNOWN)
        error.why = "the broker was lost, or did not answer in time";
    else if (error.status == RP_DENIED && strstr (error.why, "belong to the broker")) {
        // A broker from before there were jobs.
        error.status = RP_INVALID;
        error.why = "this broker is too old to keep jobs";
    }
    if (error.status == RP_INVALID) {
        error.next = "start one with a store: riposte-broker --store FILE";
        error.job = NULL; // none is there
    }
    else if (error.status == RP_APP_ERROR && job)
        error.next = "list them: riposte jobs";
    else if (job && !strchr (error.why, ';'))
        error.next = "try again later";
    return error;
}

json_t *rp_job_ask (rp_cli_t *self, const char *service, json_t *params, const char *job, int *code)
{
    rp_reply_t *reply = rp_job_question (self, service, params, 0, code);
    if (!reply)
        return NULL;
    rp_error_t error = rp_job_error (self, reply, service, job);
    json_t *answer = rp_listing_answer (reply, &error);
    if (error.status == RP_APP_ERROR && strncmp (service, "riposte.dead.", 13) == 0)
        error.next = "list them: riposte dead list";
    *code = answer ? 0 : rp_cli_tell (self, &error);
    rp_reply_destroy (&reply);
    return answer;
}
