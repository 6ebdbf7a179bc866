/*  riposte-http: lets programs that speak HTTP send requests to services.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <riposte/error.h>

#include "common/base/units.h"
#include "common/http/address.h"
#include "common/program/contexts.h"
#include "common/program/signals.h"
#include "common/program/writer.h"
#include "common/tool/options.h"
#include "gateway/gateway.h"

#define S_DAY_US 86400000000
/*  Descriptors for other things than connections of HTTP: libzmq's, files, another broker.  */
#define S_OWN_DESCRIPTORS 48u

static const rp_option_t s_table[] = {
  {.kind = RP_OPTION_HEADING, .help = "Where"},
  {.name = "listen",
    .kind = RP_OPTION_STRING,
    .argument = "ADDRESS:PORT",
    .environment = "RIPOSTE_LISTEN",
    .offset = offsetof (rp_gateway_options_t, listen),
    .help = "take requests of HTTP there (127.0.0.1:8080)"},
  {.name = "insecure",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_LISTEN_INSECURE",
    .offset = offsetof (rp_gateway_options_t, insecure),
    .help = "without --tokens too, listen where other machines reach it"},
  {.name = "tokens",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .environment = "RIPOSTE_TOKENS",
    .offset = offsetof (rp_gateway_options_t, tokens),
    .help = "take requests with a token of this file only, which has the role \"call\""},
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT[,ENDPOINT...]",
    .environment = "RIPOSTE_SERVER",
    .offset = offsetof (rp_gateway_options_t, server),
    .help = "the brokers, first choice first (tcp://127.0.0.1:5555)"},
  {.name = "spread",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_SPREAD",
    .offset = offsetof (rp_gateway_options_t, spread),
    .help = "begin with a random one of the brokers, and of the addresses of a name, so that many "
            "gateways share them"},
  {.name = "key-file",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .environment = "RIPOSTE_KEY_FILE",
    .offset = offsetof (rp_gateway_options_t, key_file),
    .help = "the gateway's own key, NAME.key_secret; make one: riposte keys new NAME"},
  {.name = "server-key",
    .kind = RP_OPTION_STRING,
    .argument = "KEY|FILE",
    .environment = "RIPOSTE_SERVER_KEY",
    .offset = offsetof (rp_gateway_options_t, server_key),
    .help = "the broker's public key, or a file that has it: no other broker is talked to"},
  {.name = "context",
    .kind = RP_OPTION_STRING,
    .argument = "NAME",
    .environment = "RIPOSTE_CONTEXT",
    .offset = offsetof (rp_gateway_options_t, context),
    .help = "take what is not given otherwise from this context (that of riposte context use)"},
  {.kind = RP_OPTION_HEADING, .help = "Requests"},
  {.name = "timeout",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_TIMEOUT",
    .offset = offsetof (rp_gateway_options_t, timeout),
    .smallest = 1000,
    .largest = S_DAY_US,
    .help = "deadline of a request without Riposte-Timeout (5s)"},
  {.name = "attempts",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_ATTEMPTS",
    .offset = offsetof (rp_gateway_options_t, attempts),
    .smallest = 1,
    .largest = 10,
    .help = "attempts of a request without Riposte-Attempts (1)"},
  {.name = "conversations",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_CONVERSATIONS",
    .offset = offsetof (rp_gateway_options_t, conversations),
    .smallest = 1,
    .largest = 1000000,
    .help = "conversations open at once; more draw 429 (1000)"},
  {.name = "conversation-idle",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_CONVERSATION_IDLE",
    .offset = offsetof (rp_gateway_options_t, conversation_idle),
    .smallest = 1000000,
    .largest = S_DAY_US,
    .help = "a conversation without a request ends after this (10m)"},
  {.kind = RP_OPTION_HEADING, .help = "Limits"},
  {.name = "max-body",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .environment = "RIPOSTE_MAX_BODY",
    .offset = offsetof (rp_gateway_options_t, max_body),
    .smallest = 1,
    .largest = 1073741824,
    .help = "largest body of a request (16MiB)"},
  {.name = "total-body",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .environment = "RIPOSTE_TOTAL_BODY",
    .offset = offsetof (rp_gateway_options_t, total_body),
    .smallest = 1,
    .largest = 1099511627776,
    .help = "all bodies in memory at once; above it requests draw 429 (256MiB)"},
  {.name = "connections",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_CONNECTIONS",
    .offset = offsetof (rp_gateway_options_t, connections),
    .smallest = 1,
    .largest = 1000000,
    .help = "connections at once (10000)"},
  {.name = "streams",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_STREAMS",
    .offset = offsetof (rp_gateway_options_t, streams),
    .smallest = 1,
    .largest = 1000000,
    .help = "replies in parts at once; more draw 429 (1000)"},
  {.name = "per-address",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_PER_ADDRESS",
    .offset = offsetof (rp_gateway_options_t, per_address),
    .smallest = 0,
    .largest = 1000000,
    .help = "connections of one address at once; 0: no limit (0)"},
  {.name = "header-bytes",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .environment = "RIPOSTE_HEADER_BYTES",
    .offset = offsetof (rp_gateway_options_t, header_bytes),
    .smallest = 1024,
    .largest = 1048576,
    .help = "largest request line and headers of a request (32KiB)"},
  {.name = "idle",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_IDLE",
    .offset = offsetof (rp_gateway_options_t, idle),
    .smallest = 1000000,
    .largest = S_DAY_US,
    .help = "a connection on which nothing happens is closed after this (60s)"},
  {.name = "upload",
    .kind = RP_OPTION_DURATION,
    .argument = "TIME",
    .environment = "RIPOSTE_UPLOAD",
    .offset = offsetof (rp_gateway_options_t, upload),
    .smallest = 1000000,
    .largest = S_DAY_US,
    .help = "how long a peer may take for headers, for a body, and to read a response (60s)"},
  {.kind = RP_OPTION_HEADING, .help = "What it says"},
  {.name = "quiet",
    .letter = 'q',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_QUIET",
    .offset = offsetof (rp_gateway_options_t, quiet),
    .help = "say nothing but errors"},
  {.name = "verbose",
    .letter = 'v',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_VERBOSE",
    .offset = offsetof (rp_gateway_options_t, verbose),
    .help = "pass on what libmicrohttpd says of connections"},
};

static const char *const s_usage[] = {"[OPTION...]", NULL};

static const char *const s_description[] = {
  "Takes requests of HTTP and sends them to the services of a broker: POST /call/SERVICE with a "
  "body, "
  "conversations, POST and GET /jobs, GET /services. The status of the request becomes that of the "
  "response; errors "
  "are "
  "application/problem+json (RFC 9457). A peer that hangs up has its request cancelled, unless it "
  "has an idempotency key.",
  "GET /openapi.json describes all of it; docs/HTTP.md explains it.",
  "SIGTERM or SIGINT drains: no new connections, and the end when open requests have ended. A "
  "second "
  "one stops at once. SIGHUP reads the tokens anew.",
  NULL,
};

static const char *const s_examples[] = {
  "riposte-http",
  "riposte-http --listen 127.0.0.1:8080 -s tcp://10.0.0.1:5555,tcp://10.0.0.2:5555",
  "curl --data-binary hello http://127.0.0.1:8080/call/upper",
  NULL,
};

static const rp_program_t s_program = {
  .name = "riposte-http",
  .summary = "lets programs that speak HTTP send requests to services",
  .usage = s_usage,
  .description = s_description,
  .options = s_table,
  .option_count = sizeof s_table / sizeof s_table[0],
  .examples = s_examples,
  .exits =
    (const rp_option_exit_t[]){{1, "it could not go on"}, {130, "stopped by a second signal"}},
  .exit_count = 2,
};

static const int s_signals[] = {SIGTERM, SIGINT, SIGHUP};

static int s_check (const rp_gateway_options_t *options)
{
    rp_http_address_t address;
    const char *reason;
    if (!rp_http_address_parse (options->listen, &address, &reason))
        fprintf (stderr, "riposte-http: --listen \"%s\" %s\n", options->listen, reason);
    else if (!rp_http_address_is_loopback (&address) && !options->insecure && !options->tokens)
        fprintf (stderr,
          "riposte-http: --listen \"%s\" lets other machines in, and whoever reaches it may call "
          "services; give --tokens FILE (riposte keys token --principal NAME --role call), or say "
          "--insecure\n",
          options->listen);
    else if (options->key_file && !options->server_key)
        fputs (
          "riposte-http: --key-file goes with --server-key, the key of the broker, which has to "
          "prove who it is\n",
          stderr);
    else
        return RP_OPTIONS_GO_ON;
    return rp_status_exit_code (RP_USAGE);
}

/*  Takes from the context what was not given otherwise. Returns RP_OPTIONS_GO_ON, or the exit code
    after an error was written.  */
static int s_take_context (rp_gateway_options_t *options, const rp_arguments_t *arguments)
{
    static rp_contexts_t contexts; // some 200 KiB, into which the options point
    char why[RP_CONTEXTS_REASON_MAX];
    const char **places[] = {[RP_CONTEXT_SERVER] = &options->server,
      [RP_CONTEXT_KEY_FILE] = &options->key_file,
      [RP_CONTEXT_SERVER_KEY] = &options->server_key};
    const char *reason = "wants 1ms to 24h";
    if (!rp_contexts_load (&contexts, why)) {
        fprintf (stderr, "riposte-http: %s\n", why);
        return rp_status_exit_code (RP_USAGE);
    }
    const char *name = options->context ? options->context : contexts.use;
    if (!*name)
        return RP_OPTIONS_GO_ON;
    const rp_named_context_t *item = rp_contexts_find (&contexts, name);
    if (!item) {
        fprintf (
          stderr, "riposte-http: there is no context \"%s\"; see: riposte context list\n", name);
        return rp_status_exit_code (RP_USAGE);
    }
    for (size_t index = 0; index < sizeof places / sizeof *places; index++)
        if (item->values[index][0]
            && !rp_options_given (&s_program, arguments, rp_context_value_names[index]))
            *places[index] = item->values[index];
    if (!rp_options_given (&s_program, arguments, "spread"))
        options->spread = rp_context_flag (item, RP_CONTEXT_SPREAD);
    const char *timeout = item->values[RP_CONTEXT_TIMEOUT];
    int64_t value = options->timeout;
    if (!*timeout || rp_options_given (&s_program, arguments, "timeout"))
        return RP_OPTIONS_GO_ON;
    if (!rp_duration_parse (timeout, &value, &reason) || value < 1000 || value > S_DAY_US) {
        fprintf (stderr, "riposte-http: the timeout of context \"%s\" %s, not \"%s\"\n", name,
          reason, timeout);
        return rp_status_exit_code (RP_USAGE);
    }
    options->timeout = value;
    return RP_OPTIONS_GO_ON;
}

/*  A connection takes a descriptor, a reply in parts another one, and the usual soft limit is 1,024. Where the hard
    one is too low, there are fewer of both: without a descriptor left there would be none to the broker either.  */
static void s_find_descriptors (rp_gateway_options_t *options)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit (RLIMIT_NOFILE, &limit); // on failure, there is room for fewer connections
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0
        || limit.rlim_cur >= options->connections + options->streams + S_OWN_DESCRIPTORS)
        return;
    uint64_t room = limit.rlim_cur > S_OWN_DESCRIPTORS ? limit.rlim_cur - S_OWN_DESCRIPTORS : 1;
    if (options->streams > room / 4)
        options->streams = room / 4;
    if (options->connections > room - options->streams)
        options->connections = room - options->streams;
    if (!options->quiet)
        fprintf (stderr,
          "riposte-http: at most %llu connections, and %llu replies in parts, since %llu "
          "descriptors may be open; raise ulimit -n\n",
          (unsigned long long) options->connections, (unsigned long long) options->streams,
          (unsigned long long) limit.rlim_cur);
}

int main (int argc, char **argv)
{
    rp_gateway_options_t options = {
      .listen = "127.0.0.1:8080",
      .server = "tcp://127.0.0.1:5555",
      .timeout = 5000000,
      .attempts = 1,
      .max_body = 16777216,
      .total_body = 268435456,
      .connections = 10000,
      .streams = 1000,
      .header_bytes = 32768,
      .idle = 60000000,
      .upload = 60000000,
      .conversations = 1000,
      .conversation_idle = 600000000,
    };
    rp_writer_take_stderr ();
    rp_arguments_t arguments;
    int code =
      rp_options_parse (&s_program, argc, argv, getenv, &options, &arguments, stdout, stderr);
    if (code == RP_OPTIONS_GO_ON && arguments.count > 0) {
        fprintf (stderr, "riposte-http: \"%s\" is not expected; see riposte-http --help\n",
          arguments.items[0]);
        code = rp_status_exit_code (RP_USAGE);
    }
    if (code == RP_OPTIONS_GO_ON)
        code = s_take_context (&options, &arguments);
    if (code == RP_OPTIONS_GO_ON)
        code = s_check (&options);
    if (code != RP_OPTIONS_GO_ON)
        return code;
    s_find_descriptors (&options);
    int signals = rp_signals_open (s_signals, sizeof s_signals / sizeof *s_signals);
    if (signals < 0) {
        fprintf (stderr, "riposte-http: cannot start: %s\n", strerror (errno));
        return rp_status_exit_code (RP_SYSTEM);
    }
    rp_gateway_t *gateway = rp_gateway_new (&options);
    if (!gateway)
        return rp_status_exit_code (RP_SYSTEM);
    if (!options.quiet)
        fprintf (stderr, "riposte-http: ready   http://%.*s:%u   brokers %s\n",
          (int) (strrchr (options.listen, ':') - options.listen), options.listen,
          rp_gateway_port (gateway), options.server);
    code = rp_gateway_run (gateway, signals);
    rp_gateway_destroy (&gateway);
    close (signals);
    return code;
}
