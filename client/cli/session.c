/*  riposte: connects a command to the brokers, prepares and performs one request, and ends waits on
    a signal.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/units.h"
#include "common/io/clock.h"
#include "common/wire/advice.h"
#include "common/wire/head.h"
#include "common/wire/name.h"

/*  A signal just before a wait does not end it, and is then seen this much later.  */
#define S_SLICE_MS 200u

/*  After a signal, how long the first write of an answer may wait for its reader, and each further
    write, µs.  */
#define S_LAST_US 400000
#define S_AGAIN_US 20000

/*  An endpoint has at most 270 bytes; the reasons for a list, as many as the client keeps.  */
#define S_ENDPOINT_MAX 280
#define S_WHY_MAX 2048

/*  The only state that a signal handler changes.  */
static volatile sig_atomic_t s_interrupted;

/*  The signal ends the write that waits for the reader of the answer. The timer ends later writes:
    the reader gets S_LAST_US for the rest of the answer, and S_AGAIN_US for each further write.  */
static void s_interrupt (int number)
{
    (void) number;
    s_interrupted = 1;
    setitimer (ITIMER_REAL,
      &(struct itimerval){.it_value.tv_usec = S_LAST_US, .it_interval.tv_usec = S_AGAIN_US}, NULL);
}

/*  The handler does nothing: its signal only interrupts a system call.  */
static void s_alarm (int number)
{
    (void) number;
}

void rp_cli_catch_signals (void)
{
    // No SA_RESTART: the signal has to end waits. SA_RESETHAND: the second signal ends the program.
    struct sigaction action = {.sa_handler = s_interrupt, .sa_flags = (int) SA_RESETHAND};
    struct sigaction alarm = {.sa_handler = s_alarm};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset (&action.sa_mask);
    sigemptyset (&alarm.sa_mask);
    sigemptyset (&ignore.sa_mask);
    sigaction (SIGALRM, &alarm, NULL);
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    sigaction (SIGPIPE, &ignore, NULL);
}

bool rp_cli_interrupted (void)
{
    return s_interrupted != 0;
}

static uint32_t s_milliseconds (int64_t us)
{
    return us > 0 ? (uint32_t) ((us + 999) / 1000) : 0; // the options allow a day at most
}

static int s_tell_no_client (const rp_cli_t *self)
{
    if (errno == EINVAL)
        return rp_cli_usage ("--server wants endpoints such as tcp://127.0.0.1:5555 or "
                             "ipc:///run/x, with commas between them, not \"%s\"",
          self->options.server);
    rp_error_t error = {.status = errno == ENOMEM ? RP_NO_MEMORY : RP_SYSTEM,
      .why = strerror (errno),
      .server = self->options.server,
      .next = errno == EMFILE || errno == ENFILE ? rp_advice (RP_REASON_DESCRIPTORS) : NULL};
    return rp_cli_tell (self, &error);
}

/*  True if the client's last error names each broker of the list. Of a name with several addresses,
    one is enough: the others had their share of the time.  */
static bool s_all_failed (const char *server, const char *why)
{
    char endpoint[S_ENDPOINT_MAX];
    char address[S_ENDPOINT_MAX];
    for (const char *at = server, *rest; *at; at = rest) {
        size_t size = strcspn (at, ",");
        rest = at + size + (at[size] == ',');
        snprintf (endpoint, sizeof endpoint, "%.*s: ", (int) size, at);
        snprintf (address, sizeof address, "%.*s at ", (int) size, at);
        if (!strstr (why, endpoint) && !strstr (why, address))
            return false;
    }
    return true;
}

/*  The time was over before each broker of the list had answered or failed: says so in why.  */
static void s_explain_timeout (const rp_cli_t *self, char *why, size_t size)
{
    char time[RP_UNITS_TEXT_MAX];
    char failed[S_WHY_MAX / 2];
    const char *advice = rp_advice (why);
    snprintf (failed, sizeof failed, "%s%s", *why ? ": " : "", why);
    snprintf (why, size, "no broker of %s has answered within %s%s; %s", self->options.server,
      rp_duration_format (time, self->options.timeout), failed,
      advice ? advice : "allow more time: --timeout 5s");
}

/*  If every broker has failed, the limit is --wait-broker; while one has not failed yet, because it or this
    machine is slow, the limit is --timeout.  */
int rp_cli_await (rp_cli_t *self, int64_t begun)
{
    char why[S_WHY_MAX] = "";
    int rc = RP_NO_BROKER;
    uint32_t left = 1;
    while (rc == RP_NO_BROKER && left > 0 && !rp_cli_interrupted ()) {
        bool failed =
          s_all_failed (self->options.server, rp_client_last_error (self->client, why, sizeof why));
        int64_t limit = self->options.wait_broker;
        if (!failed && limit < self->options.timeout)
            limit = self->options.timeout;
        left = s_milliseconds (limit - (rp_clock_us () - begun));
        rc = rp_client_connect (self->client, left < S_SLICE_MS ? left : S_SLICE_MS);
    }
    if (rc == RP_OK)
        return 0;
    rp_client_last_error (self->client, why, sizeof why);
    if (rc == RP_NO_BROKER && !s_all_failed (self->options.server, why))
        s_explain_timeout (self, why, sizeof why);
    rp_error_t error = {.status = rp_cli_interrupted () ? RP_INTERRUPTED : rc,
      .why = why,
      .server = self->options.server};
    return rp_cli_tell (self, &error);
}

/*  What went wrong with a key. Returns the exit code.  */
static int s_tell_keys (const rp_cli_t *self, const char *option, int status, const char *why)
{
    if (status == RP_USAGE)
        return rp_cli_usage ("%s: %s", option, why);
    rp_error_t error = {.status = status, .why = why, .server = self->options.server};
    return rp_cli_tell (self, &error);
}

static int s_set_keys (rp_cli_t *self)
{
    char why[S_WHY_MAX] = "";
    const rp_cli_options_t *options = &self->options;
    const char *option = "--key-file";
    int rc = RP_OK;
    if (options->key_file && !options->server_key)
        return rp_cli_usage ("--key-file goes with --server-key, the key of the broker, which has "
                             "to prove who it is");
    if (options->key_file)
        rc = rp_client_set_key_file (self->client, options->key_file);
    if (rc == RP_OK && options->server_key) {
        option = "--server-key";
        rc = rp_client_set_server_key (self->client, options->server_key);
    }
    if (rc == RP_OK)
        return 0;
    return s_tell_keys (self, option, rc, rp_client_last_error (self->client, why, sizeof why));
}

int rp_cli_begin (rp_cli_t *self, uint32_t max_open)
{
    const rp_cli_options_t *options = &self->options;
    self->client = rp_client_new (options->server);
    if (!self->client)
        return s_tell_no_client (self);
    int rc = rp_client_set_timeout_ms (self->client, s_milliseconds (options->timeout));
    if (rc == RP_OK)
        rc = rp_client_set_attempts (self->client, (uint8_t) options->attempts);
    if (rc == RP_OK)
        rc = rp_client_set_max_open (self->client, max_open);
    if (rc == RP_OK)
        rc = rp_client_set_interruptible (self->client, true);
    if (rc == RP_OK)
        rc = rp_client_set_spread (self->client, options->spread);
    if (rc != RP_OK) {
        rp_error_t error = {.status = rc, .why = "", .server = options->server};
        return rp_cli_tell (self, &error);
    }
    return s_set_keys (self);
}

int rp_cli_connect (rp_cli_t *self, uint32_t max_open)
{
    int code = rp_cli_begin (self, max_open);
    return code != 0 ? code : rp_cli_await (self, rp_clock_us ());
}

const char *rp_cli_service (rp_cli_t *self)
{
    if (self->arguments.count == 0) {
        rp_cli_usage ("a service is missing; list them: riposte services");
        return NULL;
    }
    const char *service = self->arguments.items[0];
    if (!rp_name_is_valid (service, strlen (service))) {
        rp_cli_usage ("a service name is 1 to %u bytes without control characters; "
                      "list them: riposte services",
          (unsigned) RP_WIRE_NAME_MAX);
        return NULL;
    }
    return service;
}

/*  Splits "key: value" and adds it to the call.  */
static int s_add_header (rp_call_t *call, const char *text)
{
    char key[64];
    const char *colon = strchr (text, ':');
    size_t size = colon ? (size_t) (colon - text) : sizeof key;
    if (size >= sizeof key)
        return rp_cli_usage ("--header wants KEY:VALUE, not \"%s\"", text);
    memcpy (key, text, size);
    key[size] = '\0';
    int rc = rp_call_add_header (call, key, colon + 1 + strspn (colon + 1, " "));
    if (rc == RP_TOO_LARGE)
        return rp_cli_usage ("--header: all headers together are over 8 KiB; send it in the body");
    if (rc != RP_OK)
        return rp_cli_usage ("--header: a key is 1 to 63 of a-z 0-9 - _ . and a value has no "
                             "control characters, unlike \"%s\"",
          text);
    return 0;
}

int rp_cli_set_terms (const rp_cli_t *self, rp_call_t *call)
{
    // The client's defaults have the timeout and the attempts.
    const rp_cli_options_t *options = &self->options;
    (void) rp_call_set_wait_worker_ms (call, s_milliseconds (options->wait_worker));
    (void) rp_call_set_priority (call, (uint8_t) options->priority); // in range
    if (!options->hedge)
        return 0;
    if (rp_call_set_hedge (call, options->hedge) != RP_OK)
        return rp_cli_usage (
          "--hedge wants a time of 1ms to 24h, or a percentile such as 95%%, not \"%s\"",
          options->hedge);
    if (options->attempts < 2)
        return rp_cli_usage (
          "--hedge may run a request twice, so it wants --attempts of 2 or more");
    return 0;
}

int rp_cli_prepare (rp_cli_t *self, rp_call_t *call)
{
    self->made++;
    int fault = rp_cli_set_terms (self, call);
    if (fault != 0)
        return fault;
    if (!self->sends)
        rp_call_set_trace (call, self->options.verbose || self->options.output != RP_OUTPUT_TABLE);
    for (size_t index = 0; index < self->options.headers.count; index++) {
        int code = s_add_header (call, self->options.headers.items[index]);
        if (code != 0)
            return code;
    }
    return self->sends ? rp_cli_prepare_job (self, call) : rp_cli_prepare_key (self, call);
}

rp_call_t *rp_cli_call_new (
  rp_cli_t *self, const char *service, const void *body, size_t size, int *code)
{
    rp_call_t *call = rp_call_new (service, body, size);
    if (!call)
        rp_output_no_memory (); // rp_cli_service has checked the name
    *code = rp_cli_prepare (self, call);
    if (*code != 0)
        rp_call_destroy (&call);
    return call;
}

static rp_reply_t *s_collect (rp_cli_t *self, uint64_t id)
{
    rp_reply_t *reply = NULL;
    bool withdrawn = false;
    int rc;
    do {
        if (rp_cli_interrupted () && !withdrawn) {
            (void) rp_client_cancel (self->client, id); // fails if the request ended just now
            withdrawn = true;
        }
        rc = rp_client_collect (self->client, S_SLICE_MS, &reply);
    } while (rc == RP_TIMED_OUT || rc == RP_INTERRUPTED);
    return reply;
}

rp_reply_t *rp_cli_perform (
  rp_cli_t *self, const char *service, size_t size, rp_call_t **call_p, int *code)
{
    uint64_t id = 0;
    rp_reply_t *reply = NULL;
    // Nothing more is sent: a worker could start the request before the cancellation.
    if (rp_cli_interrupted ()) {
        rp_call_destroy (call_p);
        *code = rp_cli_exit_code (RP_INTERRUPTED);
        return NULL;
    }
    int rc = rp_client_submit (self->client, call_p, &id);
    if (rc == RP_OK) {
        rp_cli_tell_request (self, service, size, id);
        reply = s_collect (self, id);
        rc = RP_CLOSED;
    }
    if (reply) {
        rp_cli_tell_reply (self, reply);
        return reply;
    }
    rp_call_destroy (call_p);
    rp_error_t error = {
      .status = rc, .service = service, .why = "", .server = self->options.server};
    rp_cli_tell_line (self, "", &error); // never JSON: a list may be open
    *code = rp_cli_exit_code (rc);
    return NULL;
}
