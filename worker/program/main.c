/*  riposte-worker: makes any program a worker. Reads the options, checks them against each other,
    connects, and chooses what answers the requests: a process for each (exec.c), processes that
    stay (persistent.c), or a service of its own (builtin.c).

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <riposte/worker.h>

#include "common/io/socket.h"
#include "common/program/contexts.h"
#include "common/program/signals.h"
#include "common/program/writer.h"
#include "common/tool/options.h"
#include "common/wire/address.h"
#include "common/wire/advice.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"
#include "worker/program/builtin.h"
#include "worker/program/child.h"
#include "worker/program/exec.h"
#include "worker/program/persistent.h"
#include "worker/program/worker_options.h"

#define S_DAY_US 86400000000
/*  Brokers with which one worker is registered at once, at most.  */
#define S_BROKERS_MAX 16u

static const char *const s_builtins[] = {"echo", "upper", "sleep", "fail", NULL};

static const rp_option_t s_table[] = {
  {.kind = RP_OPTION_HEADING, .help = "Where and how much"},
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT[,ENDPOINT...]",
    .environment = "RIPOSTE_SERVER",
    .offset = offsetof (rp_worker_options_t, server),
    .help =
      "brokers to register with, all at once, or srv:NAME, the name of SRV records in the DNS "
      "(tcp://127.0.0.1:5555)"},
  {.name = "key-file",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .environment = "RIPOSTE_KEY_FILE",
    .offset = offsetof (rp_worker_options_t, key_file),
    .help = "this worker's own key, NAME.key_secret; make one: riposte keys new NAME"},
  {.name = "server-key",
    .kind = RP_OPTION_STRING,
    .argument = "KEY|FILE",
    .environment = "RIPOSTE_SERVER_KEY",
    .offset = offsetof (rp_worker_options_t, server_key),
    .help = "the brokers' public key, or a file that has it: no other broker is talked to"},
  {.name = "context",
    .kind = RP_OPTION_STRING,
    .argument = "NAME",
    .environment = "RIPOSTE_CONTEXT",
    .offset = offsetof (rp_worker_options_t, context),
    .help =
      "take brokers and keys that are not given otherwise from this context of riposte context"},
  {.name = "slots",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_SLOTS",
    .offset = offsetof (rp_worker_options_t, slots),
    .smallest = 1,
    .largest = RP_WINDOW_MAX,
    .help = "requests to run at once (1)"},
  {.name = "name",
    .kind = RP_OPTION_STRING,
    .argument = "NAME",
    .environment = "RIPOSTE_NAME",
    .offset = offsetof (rp_worker_options_t, name),
    .help = "what people see of this worker (HOST-PID)"},
  {.name = "heartbeat",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_HEARTBEAT",
    .offset = offsetof (rp_worker_options_t, heartbeat),
    .smallest = RP_HEARTBEAT_MIN_MS * UINT64_C (1000),
    .largest = RP_HEARTBEAT_MAX_MS * UINT64_C (1000),
    .help = "interval between signs of life; lost after three (1s)"},
  {.name = "drain",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_DRAIN",
    .offset = offsetof (rp_worker_options_t, drain),
    .smallest = 0,
    .largest = S_DAY_US,
    .help = "how long a first SIGTERM or SIGINT waits for what runs (30s)"},
  {.kind = RP_OPTION_HEADING, .help = "What runs"},
  {.name = "builtin",
    .kind = RP_OPTION_CHOICE,
    .argument = "NAME",
    .environment = "RIPOSTE_BUILTIN",
    .offset = offsetof (rp_worker_options_t, builtin),
    .choices = s_builtins,
    .help =
      "serve without a program: echo, upper, sleep (the body says how long) or fail (the body "
      "is the code)"},
  {.name = "stream",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_STREAM",
    .offset = offsetof (rp_worker_options_t, stream),
    .help =
      "send what the command writes as it comes, to clients that read it so, and give it what "
      "they send as it comes"},
  {.name = "persistent",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_PERSISTENT",
    .offset = offsetof (rp_worker_options_t, persistent),
    .help = "keep one process per slot, which reads requests one after the other"},
  {.name = "wait-ready",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_WAIT_READY",
    .offset = offsetof (rp_worker_options_t, wait_ready),
    .help = "with --persistent: give a process nothing before it has said RP/1 READY"},
  {.name = "start-limit",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_START_LIMIT",
    .offset = offsetof (rp_worker_options_t, start_limit),
    .smallest = 0,
    .largest = S_DAY_US,
    .help =
      "with --persistent: how long a process may take until it is ready, or has answered its first "
      "request; 0: as long as it likes (60s)"},
  {.name = "kill-after",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_KILL_AFTER",
    .offset = offsetof (rp_worker_options_t, kill_after),
    .smallest = 0,
    .largest = S_DAY_US,
    .help = "from SIGTERM to SIGKILL for a process that is not wanted any more (2s)"},
  {.name = "max-output",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .environment = "RIPOSTE_MAX_OUTPUT",
    .offset = offsetof (rp_worker_options_t, max_output),
    .smallest = 1,
    .largest = 1073741824,
    .help = "largest reply of a process, unless its client reads a stream (16MiB)"},
  {.kind = RP_OPTION_HEADING, .help = "What it says"},
  {.name = "quiet",
    .letter = 'q',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_QUIET",
    .offset = offsetof (rp_worker_options_t, quiet),
    .help = "say nothing but errors"},
  {.name = "verbose",
    .letter = 'v',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_VERBOSE",
    .offset = offsetof (rp_worker_options_t, verbose),
    .help = "pass on what processes write to stderr"},
};

static const char *const s_usage[] = {
  "[OPTION...] SERVICE -- COMMAND [ARGUMENT...]",
  "[OPTION...] --persistent SERVICE -- COMMAND [ARGUMENT...]",
  "[OPTION...] --builtin NAME SERVICE",
  NULL,
};

static const char *const s_description[] = {
  "Offers SERVICE to the brokers and runs COMMAND for each request: the body on its standard "
  "input, the reply from its standard output. Exit status 0 is a reply; any other is an error with "
  "that "
  "number, and the last line of standard error is its message. Of a job (riposte send), 75 asks "
  "for another attempt after a pause. With --stream, a client that asks for a stream (riposte call "
  "--stream) gets the output as it is written; while it does not read, COMMAND waits. A body that "
  "is "
  "sent in parts (--stream-body) reaches standard input as it comes.",
  "COMMAND finds RIPOSTE_SERVICE, RIPOSTE_ID, RIPOSTE_ATTEMPT, RIPOSTE_TIME_LEFT_MS, "
  "RIPOSTE_CONVERSATION, RIPOSTE_DURABLE (1 of a job), RIPOSTE_KEY (the idempotency key, or empty) "
  "and RIPOSTE_HEADER_NAME for each header in its environment. It is ended "
  "with SIGTERM, later SIGKILL, and its process group with it, when the request is cancelled or "
  "past its deadline.",
  "SIGTERM or SIGINT drains: no new requests, and the end when what runs has ended. A second one "
  "stops at once.",
  NULL,
};

static const char *const s_examples[] = {
  "riposte-worker upper -- tr a-z A-Z",
  "riposte-worker --slots 4 -s tcp://a:5555,tcp://b:5555 resize -- convert - -resize 50% -",
  "riposte-worker --stream log -- xargs tail -n +1 -f",
  "riposte-worker --builtin echo echo",
  NULL,
};

static const rp_program_t s_program = {
  .name = "riposte-worker",
  .summary = "makes any program a worker",
  .usage = s_usage,
  .description = s_description,
  .options = s_table,
  .option_count = sizeof s_table / sizeof s_table[0],
  .examples = s_examples,
  .exits = (const rp_option_exit_t[]){{1, "it could not go on"},
    {6, "the broker does not allow the service's name"}, {130, "stopped by a second signal"}},
  .exit_count = 3,
};

/*  Says what is wrong with the command line. Returns the exit code.  */
static int s_wrong (const char *format, const char *detail)
{
    fputs ("riposte-worker: ", stderr);
    fprintf (stderr, format, detail);
    fputs ("; see riposte-worker --help\n", stderr);
    return rp_status_exit_code (RP_USAGE);
}

/*  Sets brokers and keys that were not given from the context that was. A worker takes none that is
    merely in use: it serves wherever its command line says.  */
static int s_take_context (rp_worker_options_t *settings, const rp_arguments_t *arguments)
{
    static rp_contexts_t contexts; // the settings point into it until the end of the program
    char why[RP_CONTEXTS_REASON_MAX];
    const char **places[] = {[RP_CONTEXT_SERVER] = &settings->server,
      [RP_CONTEXT_KEY_FILE] = &settings->key_file,
      [RP_CONTEXT_SERVER_KEY] = &settings->server_key};
    if (!settings->context)
        return RP_OPTIONS_GO_ON;
    if (!rp_contexts_load (&contexts, why))
        return s_wrong ("%s", why);
    const rp_named_context_t *item = rp_contexts_find (&contexts, settings->context);
    if (!item)
        return s_wrong ("there is no context \"%s\"", settings->context);
    for (size_t index = 0; index < sizeof places / sizeof *places; index++)
        if (item->values[index][0]
            && !rp_options_given (&s_program, arguments, rp_context_value_names[index]))
            *places[index] = item->values[index];
    return RP_OPTIONS_GO_ON;
}

/*  ---- Checking ------------------------------------------------------------------------------- */

static int s_check_endpoints (const char *endpoints)
{
    for (const char *at = endpoints;;) {
        const char *reason;
        size_t size = strcspn (at, ",");
        if (!rp_socket_peer_endpoint_is_valid (at, size, &reason)) {
            fprintf (stderr,
              "riposte-worker: endpoint \"%.*s\" %s; give tcp://HOST:PORT or ipc://PATH\n",
              (int) size, at, reason);
            return rp_status_exit_code (RP_USAGE);
        }
        if (at[size] == '\0')
            return RP_OPTIONS_GO_ON;
        at += size + 1;
    }
}

/*  SERVICE -- COMMAND …, or SERVICE alone with --builtin.  */
static int s_check (rp_worker_options_t *settings, const rp_arguments_t *arguments)
{
    size_t before = arguments->count - arguments->after_dashes;
    bool builtin = settings->builtin != RP_BUILTIN_NONE;
    if (before == 0)
        return s_wrong ("%s", "no service is named");
    if (before > 1)
        return s_wrong (
          "\"%s\" is not expected; a command goes behind \"--\"", arguments->items[1]);
    settings->service = arguments->items[0];
    settings->command = arguments->items + 1;
    if (!rp_name_is_valid (settings->service, strlen (settings->service)))
        return s_wrong ("%s", "a service is 1 to 127 bytes without control characters");
    if (builtin && (settings->persistent || arguments->after_dashes > 0))
        return s_wrong ("%s", "--builtin goes without a command and without --persistent");
    if (settings->stream && (builtin || settings->persistent))
        return s_wrong ("%s",
          "--stream goes with a command for each request, without --builtin and "
          "--persistent");
    if (!builtin && arguments->after_dashes == 0)
        return s_wrong ("no command: say  riposte-worker %s -- COMMAND", settings->service);
    if (!builtin && !rp_child_is_found (settings->command[0]))
        return s_wrong ("command \"%s\" was not found, or cannot be run", settings->command[0]);
    if (settings->name
        && (strlen (settings->name) > RP_PEER_NAME_MAX
            || !rp_name_is_valid (settings->name, strlen (settings->name))))
        return s_wrong ("%s", "--name wants 1 to 63 bytes without control characters");
    if (settings->key_file && !settings->server_key)
        return s_wrong ("%s", "--key-file goes with --server-key, the key of the broker, which has "
                              "to prove who it is");
    return s_check_endpoints (settings->server);
}

/*  ---- Running -------------------------------------------------------------------------------- */

/*  Signals that the loop reads.  */
static const int s_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

/*  Three pipes per slot soon pass the usual 1,024 descriptors. No more than needed: children
    inherit the limit, and old programs size tables by it. If the system refuses, some slots fail to
    start their process, and say so.  */
static void s_raise_limit (uint64_t slots)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t) slots * 3 + 256;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit (RLIMIT_NOFILE, &limit) != 0)
        perror ("riposte-worker: cannot raise the limit of open files");
}

static void s_notice (const char *text, void *arg)
{
    rp_loop_say (arg, "%s", text);
}

/*  Says what is wrong with a key. Returns the exit code, or RP_OPTIONS_GO_ON.  */
static int s_set_keys (const rp_worker_options_t *settings, rp_worker_t *worker)
{
    char why[512];
    const char *option = "--key-file";
    int status = RP_OK;
    if (settings->key_file)
        status = rp_worker_set_key_file (worker, settings->key_file);
    if (status == RP_OK && settings->server_key) {
        option = "--server-key";
        status = rp_worker_set_server_key (worker, settings->server_key);
    }
    if (status == RP_OK)
        return RP_OPTIONS_GO_ON;
    fprintf (
      stderr, "riposte-worker: %s: %s\n", option, rp_worker_last_error (worker, why, sizeof why));
    return rp_status_exit_code (status);
}

static rp_worker_t *s_new_worker (const rp_worker_options_t *settings)
{
    rp_worker_t *worker = rp_worker_new (settings->server, settings->service);
    if (!worker)
        return NULL;
    uint32_t slots = (uint32_t) settings->slots;
    // Commands and sleep run in all slots at once. The other builtins do not wait, so a thread each
    // would only cost.
    bool parallel = settings->builtin == RP_BUILTIN_NONE || settings->builtin == RP_BUILTIN_SLEEP;
    uint32_t threads = !parallel ? 1 : slots < 256 ? slots : 256;
    if (rp_worker_set_slots (worker, slots) != RP_OK
        || rp_worker_set_threads (worker, threads) != RP_OK
        || rp_worker_set_streams (worker, settings->stream) != RP_OK
        || rp_worker_set_declines (worker, settings->builtin == RP_BUILTIN_NONE) != RP_OK
        || rp_worker_set_heartbeat_ms (worker, (uint32_t) (settings->heartbeat / 1000)) != RP_OK
        || rp_worker_set_drain_ms (worker, (uint32_t) (settings->drain / 1000)) != RP_OK
        || (settings->name && rp_worker_set_name (worker, settings->name) != RP_OK)
        || rp_worker_on_notice (worker, s_notice, (void *) settings) != RP_OK) {
        rp_worker_destroy (&worker);
        errno = EINVAL;
    }
    return worker;
}

/*  Returns how many brokers the worker can be registered with.  */
static size_t s_count_brokers (const char *endpoints)
{
    size_t count = 1;
    for (const char *at = endpoints; at;
         at = strchr (at, ','), at += at != NULL, count += at != NULL)
        if (rp_address_is_srv (at))
            return S_BROKERS_MAX;
    return count;
}

static int s_run (const rp_worker_options_t *settings, rp_worker_t *worker, int signal_fd)
{
    if (settings->builtin != RP_BUILTIN_NONE)
        return rp_builtin_run (settings, worker, signal_fd);
    size_t brokers = s_count_brokers (settings->server);
    if (!settings->persistent)
        return rp_loop_run (settings, &rp_exec_runner, NULL, worker, brokers, signal_fd);
    rp_persistent_t *state = rp_persistent_new ();
    if (!state) {
        fprintf (stderr, "riposte-worker: out of memory\n");
        return rp_status_exit_code (RP_NO_MEMORY);
    }
    int code = rp_loop_run (settings, &rp_persistent_runner, state, worker, brokers, signal_fd);
    rp_persistent_destroy (&state);
    return code;
}

int main (int argc, char **argv)
{
    rp_worker_options_t settings = {
      .server = "tcp://127.0.0.1:5555",
      .slots = 1,
      .heartbeat = 1000000,
      .drain = 30000000,
      .kill_after = 2000000,
      .start_limit = 60000000,
      .max_output = 16777216,
      .builtin = RP_BUILTIN_NONE,
    };
    rp_writer_take_stderr ();
    rp_arguments_t arguments;
    int code =
      rp_options_parse (&s_program, argc, argv, getenv, &settings, &arguments, stdout, stderr);
    if (code == RP_OPTIONS_GO_ON)
        code = s_take_context (&settings, &arguments);
    if (code == RP_OPTIONS_GO_ON)
        code = s_check (&settings, &arguments);
    if (code != RP_OPTIONS_GO_ON)
        return code;

    s_raise_limit (settings.slots);
    int signal_fd = rp_signals_open (s_signals, sizeof s_signals / sizeof *s_signals);
    rp_worker_t *worker = signal_fd < 0 ? NULL : s_new_worker (&settings);
    if (!worker) {
        bool few = errno == EMFILE || errno == ENFILE;
        fprintf (stderr, "riposte-worker: cannot start: %s%s%s\n", strerror (errno),
          few ? "; " : "", few ? rp_advice (RP_REASON_DESCRIPTORS) : "");
        return rp_status_exit_code (errno == EINVAL ? RP_USAGE : RP_SYSTEM);
    }
    code = s_set_keys (&settings, worker);
    if (code == RP_OPTIONS_GO_ON)
        code = s_run (&settings, worker, signal_fd);
    rp_worker_destroy (&worker);
    close (signal_fd);
    return code;
}
