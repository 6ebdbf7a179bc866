/*  The messages of a client for people: one line with what happened, why, and what to do next.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdarg.h>
#include <stdio.h>

#include "client/client_state.h"
#include "common/base/units.h"
#include "common/wire/advice.h"

static char *s_format (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

static char *s_format (const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start (arguments, format);
    int rc = vasprintf (&text, format, arguments);
    va_end (arguments);
    return rc < 0 ? NULL : text;
}

const char *rp_explain_trouble (const rp_client_core_t *core)
{
    return !core->error[0] && rp_link_looks_up (&core->link) ? RP_REASON_UNANSWERED : core->error;
}

/*  Returns "tcp://…: connection refused"; only the endpoint if nothing failed yet.  */
static const char *s_error (const rp_client_core_t *core)
{
    const char *trouble = rp_explain_trouble (core);
    return trouble[0] ? trouble : core->config.endpoints[0];
}

static char *s_unreached (const rp_client_core_t *core, const char *time)
{
    const char *why = s_error (core);
    const char *advice = rp_advice (why);
    return s_format ("no broker was reached within %s (%s); %s", time, why,
      advice ? advice : "check that riposte-broker runs there, or name another endpoint");
}

static char *s_refused (const rp_client_core_t *core)
{
    const char *why = s_error (core);
    const char *advice = rp_reason_is_of_keys (why) ? rp_advice (why) : NULL;
    return s_format ("%s; %s", why, advice ? advice : "check the endpoint and this client's name");
}

/*  Returns why the session ended, as the first half of a sentence.  */
static const char *s_loss (const rp_client_core_t *core, char *text, size_t size)
{
    char time[RP_UNITS_TEXT_MAX];
    if (core->absence > 0)
        snprintf (text, size,
          "this process stood still for %s, and its session with the broker ended",
          rp_duration_format (time, core->absence));
    else
        snprintf (text, size, "the broker was lost before the reply came (%s)", s_error (core));
    return text;
}

/*  The same for what is only said of durable requests; NULL if there is nothing of the kind.  */
static char *s_of_job (
  const rp_client_core_t *core, const rp_exchange_t *exchange, const char *time)
{
    char loss[RP_CLIENT_ERROR_MAX + 64];
    const char *next = exchange->keyed
                         ? "send it again with the same key"
                         : "find out, and give jobs a key, with which they may be sent again";
    switch (exchange->end) {
        case RP_END_NO_JOBS:
            return s_format (
              "the broker at %s keeps no jobs; start it with a store: riposte-broker --store FILE",
              core->config.endpoints[core->link.current]);
        case RP_END_LOST:
            return s_format ("%s; it may have the job: %s", s_loss (core, loss, sizeof loss), next);
        case RP_END_SILENT:
            return s_format ("no answer came from the broker within %s and %u ms of grace; it may "
                             "have the job: %s",
              time, RP_DEADLINE_GRACE_MS, next);
        default:
            return NULL;
    }
}

static char *s_no_replays (const rp_client_core_t *core)
{
    return s_format (
      "the broker at %s remembers no results by their keys, so the request could run "
      "twice; use another broker (replay_bytes not 0), or no key",
      core->config.endpoints[core->link.current]);
}

static char *s_no_streams (const rp_client_core_t *core)
{
    return s_format ("the broker at %s knows no streams; use a newer one, or call without a stream",
      core->config.endpoints[core->link.current]);
}

static char *s_no_all (const rp_client_core_t *core)
{
    return s_format ("the broker at %s gives no request to all workers; use a newer one",
      core->config.endpoints[core->link.current]);
}

static char *s_too_large (const rp_client_core_t *core, size_t bytes)
{
    char size[RP_UNITS_TEXT_MAX];
    char limit[RP_UNITS_TEXT_MAX];
    return s_format ("the body of %s is over the broker's limit of %s; send less at once, or raise "
                     "max_body there",
      rp_size_format (size, bytes), rp_size_format (limit, core->max_body));
}

char *rp_explain_end (const rp_client_core_t *core, const rp_call_t *call)
{
    char time[RP_UNITS_TEXT_MAX];
    char loss[RP_CLIENT_ERROR_MAX + 64];
    const rp_exchange_t *exchange = &call->exchange;
    rp_duration_format (time, (int64_t) exchange->timeout_ms * 1000);
    char *of_job = exchange->durable ? s_of_job (core, exchange, time) : NULL;
    if (of_job)
        return of_job;
    switch (exchange->end) {
        case RP_END_UNREACHED:
            return s_unreached (core, time);
        case RP_END_HELD:
            return s_format (
              "not sent within %s: the broker was lost (%s), or held its limit of %u requests of "
              "this client; allow more time, or submit fewer at once",
              time, s_error (core), (unsigned) core->broker_open);
        case RP_END_LOST:
            return s_format ("%s; it may have run: find out, or allow more attempts if running it "
                             "twice does no harm",
              s_loss (core, loss, sizeof loss));
        case RP_END_BUDGET:
            return s_format (
              "%s, and the retry budget is spent; it may have run: find out, and try again later",
              s_loss (core, loss, sizeof loss));
        case RP_END_SILENT:
            return s_format (
              "no reply came from the broker within %s and %u ms of grace; it may have run: "
              "find out before trying again",
              time, RP_DEADLINE_GRACE_MS);
        case RP_END_TOO_LARGE:
            return s_too_large (core, exchange->size);
        case RP_END_REFUSED:
            return s_refused (core);
        case RP_END_WITHDRAWN:
            return s_format ("withdrawn by the client");
        case RP_END_CONVERSATION_OVER:
            return s_format ("the conversation was over before this request was sent; the next "
                             "request begins anew");
        case RP_END_NO_REPLAYS:
            return s_no_replays (core);
        case RP_END_NO_STREAMS:
            return s_no_streams (core);
        case RP_END_NO_ALL:
            return s_no_all (core);
        case RP_END_NO_JOBS:
        case RP_END_REPLY:
            break;
    }
    return NULL;
}

const char *rp_explain_excess (void)
{
    return "the broker sent more than was granted, so a part is missing";
}

const char *rp_explain_status (rp_status_t status)
{
    switch (status) {
        case RP_APP_ERROR:
            return "the worker replied with an error and no message; see the worker's log";
        case RP_NO_WORKER:
            return "no worker offers the service; start one, or list them: riposte services";
        case RP_BUSY:
            return "a queue or a limit is full; try again later, or start more workers";
        case RP_DRAINING:
            return "the broker is shutting down; try again later, or at another endpoint";
        case RP_DENIED:
            return "the broker does not allow it; use another service name";
        case RP_INVALID:
            return "the broker says that the request breaks the protocol; check versions";
        case RP_TOO_LARGE:
            return "the body is over the broker's limit; send less at once, or raise max_body "
                   "there";
        case RP_EXPIRED:
            return "the deadline passed before a worker had room, so it never ran; allow more "
                   "time, or start more workers";
        case RP_CANCELLED:
            return "withdrawn by the client";
        case RP_WORKER_LOST:
            return "the worker was lost while it had the request; it may have run: find out, or "
                   "allow more attempts";
        case RP_DEADLINE:
            return "the deadline passed while a worker had the request; it may have run: allow "
                   "more time";
        case RP_CONVERSATION_LOST:
            return "the conversation and its state are gone with its worker; the next request "
                   "begins anew";
        case RP_KEY_MISMATCH:
            return "its key was used with another body, so it never ran; use another key";
        default:
            return rp_strerror ((int) status);
    }
}
