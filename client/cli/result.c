/*  riposte result: writes the result of a job.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/job_question.h"
#include "common/base/units.h"
#include "common/io/clock.h"

/*  The longest that a broker waits for a job; then it is asked again.  */
#define S_STEP_US INT64_C (60000000)
/*  Before the next question, µs.  */
#define S_PAUSE_US INT64_C (200000)

/*  True if the broker may answer the same question later.  */
static bool s_may_pass (rp_status_t status)
{
    return status == RP_UNKNOWN || status == RP_NO_BROKER || status == RP_BUSY
           || status == RP_DRAINING || status == RP_EXPIRED || status == RP_DEADLINE;
}

static rp_reply_t *s_ask (rp_cli_t *self, const char *id, int64_t wait_us, int *code)
{
    json_t *params =
      json_pack ("{s:s, s:I}", "id", id, "wait_ms", (json_int_t) ((wait_us + 999) / 1000));
    return rp_job_question (self, "riposte.result", params, wait_us, code);
}

static void s_pause (int64_t us)
{
    struct timespec time = {.tv_nsec = us * 1000};
    (void) nanosleep (&time, NULL); // a signal ends it, and is seen by the next question
}

/*  Asks until there is an answer that stands, or the time has passed. NULL as rp_job_question.  */
static rp_reply_t *s_wait (rp_cli_t *self, const char *id, int *code)
{
    int64_t until = rp_clock_us () + self->options.wait;
    for (;;) {
        int64_t left = until - rp_clock_us ();
        int64_t step = left < 0 ? 0 : left < S_STEP_US ? left : S_STEP_US;
        rp_reply_t *reply = s_ask (self, id, step, code);
        if (!reply || rp_reply_job (reply) != 0)
            return reply;
        rp_status_t status = rp_reply_status (reply);
        left = until - rp_clock_us ();
        if (left <= 0 || (status != RP_OK && !s_may_pass (status)))
            return reply;
        rp_reply_destroy (&reply);
        s_pause (left < S_PAUSE_US ? left : S_PAUSE_US);
    }
}

static int s_write_final (const rp_cli_t *self, const rp_reply_t *reply, const char *id)
{
    rp_error_t error = rp_error_of (reply, NULL, self->options.server);
    error.job = id;
    if (rp_cli_writes_json (self)) {
        json_t *object = rp_cli_reply_json (self, reply, NULL);
        rp_output_set (object, "id", json_string (id));
        if (error.status != RP_OK)
            rp_output_set (object, "error", rp_error_json (&error));
        rp_output_json ((rp_output_t) self->options.output, object);
    }
    else {
        fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);
        fflush (stdout); // keeps the order of both outputs on one terminal
        if (error.status != RP_OK)
            rp_cli_tell_line (self, "", &error);
    }
    return rp_status_exit_code (error.status);
}

/*  The job has no result yet: says how it stands. Returns the exit code.  */
static int s_tell_not_done (const rp_cli_t *self, const rp_reply_t *reply, const char *id)
{
    char why[128];
    char waited[RP_UNITS_TEXT_MAX];
    json_t *job = json_loadb (rp_reply_body (reply), rp_reply_size (reply), 0, NULL);
    const char *state = json_string_value (json_object_get (job, "state"));
    int size =
      snprintf (why, sizeof why, "it is not done%s%s", state ? ", but " : "", state ? state : "");
    if (self->options.wait > 0 && size > 0 && (size_t) size < sizeof why)
        snprintf (why + size, sizeof why - (size_t) size, ", after %s",
          rp_duration_format (waited, self->options.wait));
    rp_error_t error = {.status = RP_TIMED_OUT,
      .job = id,
      .asked = true,
      .why = why,
      .server = self->options.server,
      .next = self->options.wait > 0 ? "wait longer, or see: riposte job" : "to wait: --wait 30s"};
    int code = rp_cli_tell (self, &error);
    json_decref (job);
    return code;
}

int rp_cli_result (rp_cli_t *self)
{
    const char *id = rp_job_id (self, 0);
    if (!id)
        return rp_status_exit_code (RP_USAGE);
    if (self->arguments.count > 1)
        return rp_cli_usage ("result takes one id, not \"%s\" too", self->arguments.items[1]);
    int code = rp_cli_connect (self, 1);
    rp_reply_t *reply = code == 0 ? s_wait (self, id, &code) : NULL;
    if (!reply)
        return code;
    if (rp_reply_job (reply) != 0)
        code = s_write_final (self, reply, id);
    else if (rp_reply_status (reply) == RP_OK)
        code = s_tell_not_done (self, reply, id);
    else {
        rp_error_t error = rp_job_error (self, reply, "riposte.result", id);
        code = rp_cli_tell (self, &error);
    }
    rp_reply_destroy (&reply);
    return code;
}
