/*  Jobs: makes calls durable, sends them, and asks for their results.

    SPDX-License-Identifier: MPL-2.0

    The terms of a job travel as headers, so the setters write headers.
*/

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/client_state.h"
#include "common/base/units.h"
#include "common/io/clock.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"

#define S_KEY_MAX 127u
#define S_BACKOFF_MAX_MS 300000u
/*  366 days.  */
#define S_LONGEST_MS UINT64_C (31622400000)
/*  The longest that a broker is asked to wait for a final; then it is asked again.  */
#define S_STEP_MS 60000
/*  Before the next question, so that a broker that answers at once is not flooded.  */
#define S_PAUSE_US INT64_C (100000)

/*  ---- Terms ---------------------------------------------------------------------------------- */

static int s_put_number (
  rp_call_t *self, const char *key, uint64_t value, uint64_t least, uint64_t most)
{
    return value < least || value > most ? RP_USAGE : rp_call_put_number (self, key, value);
}

/*  Writes the header that states the priority of a job.  */
static int s_state_priority (rp_call_t *self)
{
    rp_head_t head = {.priority = self->exchange.priority};
    return s_put_number (self, RP_JOB_PRIORITY, rp_wire_priority (&head), 0, RP_PRIORITY_MAX);
}

int rp_call_set_priority (rp_call_t *self, uint8_t priority)
{
    if (priority > RP_PRIORITY_MAX)
        return RP_USAGE;
    self->exchange.priority = rp_wire_stated_priority (priority);
    return self->exchange.durable ? s_state_priority (self) : RP_OK;
}

int rp_call_set_durable (rp_call_t *self, bool durable)
{
    if (durable && self->conversation)
        return RP_USAGE;
    if (durable == self->exchange.durable)
        return RP_OK;
    int rc = rp_call_put_header (self, RP_JOB_DURABLE, durable ? "1" : "0");
    if (rc == RP_OK && durable && self->exchange.priority)
        rc = s_state_priority (self);
    if (rc == RP_OK)
        self->exchange.durable = durable;
    return rc;
}

int rp_call_set_key (rp_call_t *self, const char *key)
{
    if (!key || !*key || strlen (key) > S_KEY_MAX || self->conversation)
        return RP_USAGE;
    int rc = rp_call_put_header (self, RP_JOB_KEY, key);
    if (rc == RP_OK)
        self->exchange.keyed = true;
    return rc;
}

int rp_call_set_delay_ms (rp_call_t *self, uint64_t delay_ms)
{
    return s_put_number (self, RP_JOB_DELAY, delay_ms, 0, S_LONGEST_MS);
}

int rp_call_set_not_before (rp_call_t *self, int64_t unix_us)
{
    return s_put_number (self, RP_JOB_NOT_BEFORE, (uint64_t) unix_us, 1, INT64_MAX);
}

int rp_call_set_job_deadline (rp_call_t *self, int64_t unix_us)
{
    return s_put_number (self, RP_JOB_DEADLINE, (uint64_t) unix_us, 1, INT64_MAX);
}

int rp_call_set_backoff_ms (rp_call_t *self, uint32_t backoff_ms)
{
    return s_put_number (self, RP_JOB_BACKOFF, backoff_ms, 0, S_BACKOFF_MAX_MS);
}

int rp_call_set_attempt_timeout_ms (rp_call_t *self, uint32_t timeout_ms)
{
    return s_put_number (self, RP_JOB_ATTEMPT, timeout_ms, 1, RP_DEADLINE_MAX_MS);
}

int rp_call_set_keep_ms (rp_call_t *self, uint64_t keep_ms)
{
    return s_put_number (self, RP_JOB_KEEP, keep_ms, 0, S_LONGEST_MS);
}

/*  ---- Sending -------------------------------------------------------------------------------- */

int rp_client_send (rp_client_t *self, rp_call_t **call_p, uint64_t *id)
{
    rp_reply_t *reply = NULL;
    if (id)
        *id = 0;
    int rc = *call_p ? rp_call_set_durable (*call_p, true) : RP_USAGE;
    if (rc == RP_OK)
        rc = rp_client_perform (self, call_p, &reply);
    if (rc != RP_OK)
        return rc;
    rc = (int) rp_reply_status (reply);
    if (rc == RP_OK && rp_reply_job (reply) == 0)
        rc = RP_INVALID; // no broker replies with OK to a durable request
    if (rc == RP_OK && id)
        *id = rp_reply_job (reply);
    rp_reply_destroy (&reply);
    return rc;
}

/*  ---- Results -------------------------------------------------------------------------------- */

/*  Asks once. Returns as rp_client_perform.  */
static int s_ask (rp_client_t *self, uint64_t id, uint32_t wait_ms, rp_reply_t **reply_p)
{
    char question[80];
    snprintf (
      question, sizeof question, "{\"id\":\"%" PRIu64 "\",\"wait_ms\":%" PRIu32 "}", id, wait_ms);
    rp_call_t *call = rp_call_new ("riposte.result", question, strlen (question));
    if (!call)
        return RP_NO_MEMORY;
    uint32_t timeout = self->timeout_ms;
    timeout = timeout > RP_DEADLINE_MAX_MS - S_STEP_MS ? RP_DEADLINE_MAX_MS : timeout + wait_ms;
    int rc = rp_call_set_timeout_ms (call, timeout);
    if (rc == RP_OK)
        rc = rp_call_set_attempts (call, 1);
    if (rc == RP_OK)
        rc = rp_client_perform (self, &call, reply_p);
    rp_call_destroy (&call);
    return rc;
}

/*  True if the same question may have an answer later: the broker was lost or is not there, or has
    no room for it.  */
static bool s_may_pass (rp_status_t status)
{
    switch (status) {
        case RP_UNKNOWN:
        case RP_NO_BROKER:
        case RP_BUSY:
        case RP_DRAINING:
        case RP_EXPIRED:
        case RP_DEADLINE:
            return true;
        default:
            return false;
    }
}

/*  RP_OK; RP_INTERRUPTED; RP_CLOSED in a child of fork().  */
static int s_pause (rp_client_t *self, int64_t until)
{
    int rc = RP_OK;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    while (rc == RP_OK && rp_clock_us () < until)
        if (rp_pump_wait_on (self->pump, &rc, until) != 0 && self->interruptible)
            rc = RP_INTERRUPTED;
    rp_pump_unlock_idle (self->pump);
    return rc;
}

int rp_client_result (rp_client_t *self, uint64_t id, uint32_t wait_ms, rp_reply_t **reply_p)
{
    *reply_p = NULL;
    if (id == 0)
        return RP_USAGE;
    int64_t until = rp_clock_us () + wait_ms * RP_US_PER_MS;
    for (;;) {
        int64_t left = (until - rp_clock_us ()) / RP_US_PER_MS;
        uint32_t step = left <= 0 ? 0 : left < S_STEP_MS ? (uint32_t) left : S_STEP_MS;
        int rc = s_ask (self, id, step, reply_p);
        if (rc != RP_OK || rp_reply_job (*reply_p) == id)
            return rc;
        int64_t now = rp_clock_us ();
        rp_status_t status = rp_reply_status (*reply_p);
        if (status != RP_OK && (now >= until || !s_may_pass (status)))
            return RP_OK;
        rp_reply_destroy (reply_p);
        if (now >= until)
            return RP_TIMED_OUT;
        rc = s_pause (self, until - now < S_PAUSE_US ? until : now + S_PAUSE_US);
        if (rc != RP_OK)
            return rc;
    }
}
