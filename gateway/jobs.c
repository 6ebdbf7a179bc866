/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/jobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/units.h"
#include "common/io/clock.h"
#include "common/program/instant.h"
#include "common/wire/limits.h"
#include "gateway/answer.h"

/*  The longest that one question waits for a final.  */
#define S_STEP_MS 1000

/*  ---- Terms ---------------------------------------------------------------------------------- */

static int s_set_backoff (rp_call_t *call, uint64_t ms)
{
    return ms > UINT32_MAX ? RP_USAGE : rp_call_set_backoff_ms (call, (uint32_t) ms);
}

static int s_set_attempt_timeout (rp_call_t *call, uint64_t ms)
{
    return ms > UINT32_MAX ? RP_USAGE : rp_call_set_attempt_timeout_ms (call, (uint32_t) ms);
}

/*  Terms that are durations.  */
static const struct {
    const char *name;
    int (*set) (rp_call_t *call, uint64_t ms);
    const char *range;
} s_durations[] = {
  {"Riposte-Delay", rp_call_set_delay_ms, "wants at most 366d"},
  {"Riposte-Backoff", s_set_backoff, "wants at most 5m"},
  {"Riposte-Attempt-Timeout", s_set_attempt_timeout, "wants 1ms to 24h"},
  {"Riposte-Keep", rp_call_set_keep_ms, "wants at most 366d"},
};

/*  Returns NULL, or what is wrong with the value.  */
static const char *s_set_duration (rp_call_t *call, size_t index, const char *value)
{
    int64_t us;
    const char *reason;
    if (!rp_duration_parse (value, &us, &reason))
        return reason;
    uint64_t ms = (uint64_t) us / 1000 + (us % 1000 != 0);
    return s_durations[index].set (call, ms) == RP_OK ? NULL : s_durations[index].range;
}

static const char *s_set_not_before (rp_call_t *call, const char *value)
{
    int64_t instant;
    if (!rp_instant_parse (value, &instant)
        || rp_call_set_not_before (call, instant > 0 ? instant : 1) != RP_OK)
        return "wants an instant such as 2027-01-31T18:30:00Z; to wait: Riposte-Delay";
    return NULL;
}

static const char *s_set_deadline (rp_call_t *call, const char *value)
{
    static const char wanted[] =
      "wants an instant such as 2027-01-31T18:30:00Z, or a time from now on such as 2h";
    int64_t instant;
    const char *reason;
    if (!rp_instant_parse (value, &instant)) {
        int64_t now = rp_clock_wall_us ();
        if (!rp_duration_parse (value, &instant, &reason) || instant <= 0
            || instant > INT64_MAX - now)
            return wanted;
        instant += now;
    }
    return rp_call_set_job_deadline (call, instant > 0 ? instant : 1) == RP_OK ? NULL : wanted;
}

bool rp_http_job_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size)
{
    static const struct {
        const char *name;
        const char *(*set) (rp_call_t *call, const char *value);
    } instants[] = {
      {"Riposte-Not-Before", s_set_not_before},
      {"Riposte-Deadline", s_set_deadline},
    };
    const char *name = "the job";
    const char *wrong =
      rp_call_set_durable (call, true) == RP_OK ? NULL : "finds no memory for its terms";
    for (size_t index = 0; !wrong && index < sizeof s_durations / sizeof *s_durations; index++) {
        const char *value = rp_http_header (self, s_durations[index].name);
        name = s_durations[index].name;
        wrong = value ? s_set_duration (call, index, value) : NULL;
    }
    for (size_t index = 0; !wrong && index < sizeof instants / sizeof *instants; index++) {
        const char *value = rp_http_header (self, instants[index].name);
        name = instants[index].name;
        wrong = value ? instants[index].set (call, value) : NULL;
    }
    if (wrong)
        snprintf (fault, size, "%s %s", name, wrong);
    return !wrong;
}

/*  ---- Questions ------------------------------------------------------------------------------ */

bool rp_http_job_is_question (const rp_http_exchange_t *self)
{
    return self->resource.kind == RP_RESOURCE_JOB_RESULT
           || self->resource.kind == RP_RESOURCE_JOB_CANCEL;
}

void rp_http_job_prefer (rp_http_exchange_t *self)
{
    const char *prefer =
      self->resource.kind == RP_RESOURCE_JOB_RESULT ? rp_http_header (self, "Prefer") : NULL;
    self->is_waiting = prefer && rp_prefer_wait_parse (prefer, &self->wait);
    if (self->is_waiting)
        self->wait_until = rp_clock_us () + (int64_t) self->wait * 1000000;
}

bool rp_http_job_goes_on (const rp_http_exchange_t *self, int64_t now)
{
    return self->resource.kind == RP_RESOURCE_JOB_RESULT && self->reply
           && rp_reply_status (self->reply) == RP_OK && rp_reply_job (self->reply) == 0
           && self->wait_until > now && !self->peer->has_hung_up && self->gateway->signal_count == 0
           && !self->gateway->ending;
}

rp_call_t *rp_http_job_question (rp_http_exchange_t *self)
{
    char text[80];
    bool is_result = self->resource.kind == RP_RESOURCE_JOB_RESULT;
    int64_t left = self->is_waiting ? (self->wait_until - rp_clock_us () + 999) / 1000 : 0;
    uint32_t wait_ms = left <= 0 ? 0 : left < S_STEP_MS ? (uint32_t) left : S_STEP_MS;
    if (is_result)
        snprintf (text, sizeof text, "{\"id\":\"%" PRIu64 "\",\"wait_ms\":%" PRIu32 "}",
          self->resource.job, wait_ms);
    else
        snprintf (text, sizeof text, "{\"id\":\"%" PRIu64 "\"}", self->resource.job);
    rp_call_t *call =
      rp_call_new (is_result ? "riposte.result" : "riposte.cancel", text, strlen (text));
    if (!call)
        return NULL;
    uint64_t timeout = (uint64_t) self->gateway->options->timeout / 1000 + wait_ms;
    if (timeout > RP_DEADLINE_MAX_MS)
        timeout = RP_DEADLINE_MAX_MS;
    (void) rp_call_set_timeout_ms (call, (uint32_t) timeout); // in range
    return call;
}

/*  ---- Answers -------------------------------------------------------------------------------- */

/*  The answer to a question that is not about the final.  */
static struct MHD_Response *s_answer_question (rp_http_exchange_t *self, unsigned *code)
{
    rp_status_t status = rp_reply_status (self->reply);
    if (status == RP_APP_ERROR) {
        *code = MHD_HTTP_NOT_FOUND;
        return rp_answer_problem (*code, 0, "Not Found", rp_reply_message (self->reply), NULL);
    }
    if (status != RP_OK)
        return rp_answer_reply (&self->reply, "", "application/octet-stream");
    struct MHD_Response *response = rp_answer_json (&self->reply);
    if (response && self->resource.kind == RP_RESOURCE_JOB_RESULT) {
        *code = MHD_HTTP_ACCEPTED;
        (void) rp_answer_header (response, "Retry-After", "1");
    }
    return response;
}

static struct MHD_Response *s_answer_result (rp_http_exchange_t *self, unsigned *code)
{
    bool is_final = rp_reply_job (self->reply) == self->resource.job;
    struct MHD_Response *response =
      is_final ? rp_answer_final (&self->reply) : s_answer_question (self, code);
    if (response && self->is_waiting) {
        char applied[32];
        snprintf (applied, sizeof applied, "wait=%u", self->wait);
        (void) rp_answer_header (response, "Preference-Applied", applied);
    }
    return response;
}

struct MHD_Response *rp_http_job_answer (rp_http_exchange_t *self, unsigned *code)
{
    int status = (int) rp_reply_status (self->reply);
    *code = rp_http_status (status);
    if (self->resource.kind == RP_RESOURCE_JOB_RESULT)
        return s_answer_result (self, code);
    if (self->resource.kind == RP_RESOURCE_JOB_CANCEL)
        return s_answer_question (self, code);
    if (status != RP_OK)
        return rp_answer_reply (&self->reply, self->resource.service, "application/octet-stream");
    *code = MHD_HTTP_ACCEPTED;
    return rp_answer_accepted (self->reply);
}
