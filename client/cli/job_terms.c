/*  Idempotency keys, and the terms of jobs, on the command lines of riposte call and riposte send.

    SPDX-License-Identifier: MPL-2.0
*/

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "common/base/units.h"
#include "common/io/clock.h"
#include "common/program/instant.h"

#define S_KEY_MAX 127u

static bool s_given (const rp_cli_t *self, const char *name)
{
    return rp_options_given (self->program, &self->arguments, name);
}

static uint64_t s_milliseconds (int64_t us)
{
    return ((uint64_t) us + 999) / 1000; // the options allow a year at most
}

static int s_check_at (const rp_cli_t *self)
{
    int64_t at;
    if (self->options.at && !rp_instant_parse (self->options.at, &at))
        return rp_cli_usage ("--at wants an instant such as 2027-01-31T18:30:00Z or "
                             "2027-01-31T18:30:00+01:00, not \"%s\"; to wait: --delay 5m",
          self->options.at);
    return self->options.at && s_given (self, "delay")
             ? rp_cli_usage ("--at and --delay do not go together")
             : 0;
}

/*  Reads --deadline, an instant or a time from now on. False if it is neither.  */
static bool s_deadline (const rp_cli_t *self, int64_t *unix_us)
{
    int64_t time;
    const char *reason;
    if (rp_instant_parse (self->options.deadline, unix_us))
        return true;
    if (!rp_duration_parse (self->options.deadline, &time, &reason) || time <= 0)
        return false;
    *unix_us = rp_clock_wall_us () + time;
    return true;
}

/*  The number of the last request is not known, so its key may still be found to be too long.  */
int rp_cli_check_key (const rp_cli_t *self)
{
    const char *key = self->options.key;
    bool clean = true;
    for (const char *at = key ? key : ""; *at; at++)
        clean = clean && (unsigned char) *at >= ' ' && *at != 127;
    if (key && (!*key || strlen (key) > S_KEY_MAX || !clean))
        return rp_cli_usage (
          "--key wants 1 to %u bytes without control characters", (unsigned) S_KEY_MAX);
    return 0;
}

int rp_cli_check_terms (const rp_cli_t *self)
{
    int64_t deadline;
    int code = s_check_at (self);
    if (code == 0)
        code = rp_cli_check_key (self);
    if (code == 0 && self->options.deadline && !s_deadline (self, &deadline))
        return rp_cli_usage ("--deadline wants an instant such as 2027-01-31T18:30:00Z, or a time "
                             "from now on such as 2h, not \"%s\"",
          self->options.deadline);
    return code;
}

static int s_set_key (const rp_cli_t *self, rp_call_t *call)
{
    char key[S_KEY_MAX + 24];
    bool several = self->options.lines || self->options.count > 0;
    if (several)
        snprintf (key, sizeof key, "%s-%" PRIu64, self->options.key, self->made);
    return rp_call_set_key (call, several ? key : self->options.key);
}

static int s_set_terms (const rp_cli_t *self, rp_call_t *call)
{
    const rp_cli_options_t *options = &self->options;
    int64_t instant = 0;
    int rc = rp_call_set_durable (call, true);
    if (rc == RP_OK && s_given (self, "attempts"))
        rc = rp_call_set_attempts (call, (uint8_t) options->attempts);
    if (rc == RP_OK && options->key)
        rc = s_set_key (self, call);
    if (rc == RP_OK && options->delay > 0)
        rc = rp_call_set_delay_ms (call, s_milliseconds (options->delay));
    if (rc == RP_OK && options->at && rp_instant_parse (options->at, &instant))
        rc = rp_call_set_not_before (call, instant > 0 ? instant : 1);
    if (rc == RP_OK && options->deadline && s_deadline (self, &instant))
        rc = rp_call_set_job_deadline (call, instant > 0 ? instant : 1);
    if (rc == RP_OK && s_given (self, "backoff"))
        rc = rp_call_set_backoff_ms (call, (uint32_t) s_milliseconds (options->backoff));
    if (rc == RP_OK && s_given (self, "attempt-timeout"))
        rc = rp_call_set_attempt_timeout_ms (
          call, (uint32_t) s_milliseconds (options->attempt_timeout));
    if (rc == RP_OK && s_given (self, "keep"))
        rc = rp_call_set_keep_ms (call, s_milliseconds (options->keep));
    return rc;
}

static int s_prepared (rp_cli_t *self, int rc)
{
    if (rc == RP_OK)
        return 0;
    if (rc == RP_USAGE)
        return rp_cli_usage (
          "--key: with its number behind it, it is over %u bytes", (unsigned) S_KEY_MAX);
    rp_error_t error = {.status = rc, .why = "", .server = self->options.server};
    return rp_cli_tell (self, &error);
}

int rp_cli_prepare_job (rp_cli_t *self, rp_call_t *call)
{
    return s_prepared (self, s_set_terms (self, call));
}

int rp_cli_prepare_key (rp_cli_t *self, rp_call_t *call)
{
    return s_prepared (self, self->options.key ? s_set_key (self, call) : RP_OK);
}
