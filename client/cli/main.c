/*  riposte: the client on the command line.

    SPDX-License-Identifier: MPL-2.0

    Read in this order: the table below, cli.h, session.c (the connection, one request), then the
    file of a command.
*/

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "common/io/writer.h"
#include "common/wire/limits.h"

#define S_SECOND_US INT64_C (1000000)
#define S_LONGEST_US ((uint64_t) RP_DEADLINE_MAX_MS * 1000)
/*  The requests that the broker's default lets one client have open.  */
#define S_PARALLEL_MAX 10000
/*  Of bench: more threads would measure the scheduler of this machine.  */
#define S_CLIENTS_MAX 1000
#define S_WORKERS_MAX 1000
#define S_RATE_MAX 10000000
/*  The largest body that a broker can be configured to take.  */
#define S_BODY_MAX 1073741824

static const char *const s_protocols[] = {"native", "mdp01", NULL}; // rp_bench_protocol_t
static const char *const s_outputs[] = {"table", "json", "jsonl", "csv", NULL};

#define S_AT(member) .offset = offsetof (rp_cli_options_t, member)

static const rp_option_t s_options[] = {
  {.kind = RP_OPTION_HEADING, .help = "For every command"},
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT[,…]",
    .environment = "RIPOSTE_SERVER",
    S_AT (server),
    .help = "the brokers, first choice first (tcp://127.0.0.1:5555)"},
  {.name = "output",
    .letter = 'o',
    .kind = RP_OPTION_CHOICE,
    .argument = "FORMAT",
    .environment = "RIPOSTE_OUTPUT",
    .choices = s_outputs,
    S_AT (output),
    .help =
      "table, json, jsonl (a line per item) or csv (table; of call: the body, byte for byte)"},
  {.name = "quiet",
    .letter = 'q',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_QUIET",
    S_AT (quiet),
    .help = "say only what went wrong"},
  {.name = "verbose",
    .letter = 'v',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_VERBOSE",
    S_AT (verbose),
    .help = "show each request and its times on standard error; shorten nothing"},
  {.name = "timeout",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "RIPOSTE_TIMEOUT",
    .smallest = 1000,
    .largest = S_LONGEST_US,
    S_AT (timeout),
    .help = "deadline of each request (5s)"},
  {.name = "attempts",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_ATTEMPTS",
    .smallest = 1,
    .largest = RP_ATTEMPTS_MAX,
    S_AT (attempts),
    .help = "attempts of each request: when a worker is lost, another gets the request, which may "
            "then run twice (1)"},
  {.name = "wait-broker",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "RIPOSTE_WAIT_BROKER",
    .smallest = 1000,
    .largest = S_LONGEST_US,
    S_AT (wait_broker),
    .help = "how long to try when no broker can be reached (1s, or --timeout if that is less); a "
            "broker that is only slow gets --timeout"},
  {.name = "no-color",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_NO_COLOR",
    S_AT (no_color),
    .help = "no colours; also when NO_COLOR is set, or the output is no terminal"},

  {.kind = RP_OPTION_HEADING, .commands = "call talk bench", .help = "For requests"},
  {.name = "header",
    .letter = 'H',
    .kind = RP_OPTION_LIST,
    .argument = "KEY:VALUE",
    .commands = "call talk",
    S_AT (headers),
    .help = "add a header; may be repeated"},
  {.name = "wait-worker",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "RIPOSTE_WAIT_WORKER",
    .commands = "call talk bench",
    .largest = S_LONGEST_US,
    S_AT (wait_worker),
    .help = "how long a request may wait while no worker offers the service (0)"},
  {.name = "lines",
    .letter = 'n',
    .kind = RP_OPTION_FLAG,
    .commands = "call",
    S_AT (lines),
    .help = "a call for each line of standard input, its newline included; replies in their order"},
  {.name = "count",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call ping bench",
    .smallest = 1,
    .largest = UINT64_C (1000000000000),
    S_AT (count),
    .help = "do the same N times; of bench: requests of all clients together"},
  {.name = "parallel",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call",
    .smallest = 1,
    .largest = S_PARALLEL_MAX,
    S_AT (parallel),
    .help = "with --lines or --count: calls open at once (1)"},
  {.name = "exit-code-from-worker",
    .kind = RP_OPTION_FLAG,
    .commands = "call",
    S_AT (exit_code_from_worker),
    .help =
      "exit with the number of the worker's error, such as a command's exit status, instead of 1"},
  {.name = "set",
    .kind = RP_OPTION_LIST,
    .argument = "NAME=VALUE",
    .commands = "talk",
    S_AT (variables),
    .help = "the value of $NAME in the script; may be repeated"},
  {.name = "again",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "talk",
    .smallest = 0,
    .largest = 1000,
    S_AT (again),
    .help = "when the conversation is lost, begin the script again, up to N times (0)"},

  {.kind = RP_OPTION_HEADING, .commands = "bench", .help = "For bench"},
  {.name = "clients",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "bench",
    .smallest = 1,
    .largest = S_CLIENTS_MAX,
    S_AT (clients),
    .help = "clients, each with a connection and a thread of its own (8)"},
  {.name = "inflight",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "bench",
    .smallest = 1,
    .largest = S_PARALLEL_MAX,
    S_AT (inflight),
    .help = "requests that each client has open; with --rate, at most (8; with --rate: 10000)"},
  {.name = "rate",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "bench",
    .smallest = 1,
    .largest = S_RATE_MAX,
    S_AT (rate),
    .help =
      "requests due per second, of all clients together, whether or not replies come; latency "
      "counts from the time a request was due (without --rate, each client sends the next "
      "request when one has ended)"},
  {.name = "size",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .commands = "bench",
    .largest = S_BODY_MAX,
    S_AT (size),
    .help = "body of each request (64B)"},
  {.name = "duration",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "bench",
    .smallest = 10000,
    .largest = S_LONGEST_US,
    S_AT (duration),
    .help = "how long to send requests (10s), or --count"},
  {.name = "warmup",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "bench",
    .largest = S_LONGEST_US,
    S_AT (warmup),
    .help = "how long to send requests first, without counting them (1s; with --count: 0)"},
  {.name = "workers",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "bench",
    .largest = S_WORKERS_MAX,
    S_AT (workers),
    .help = "start this many workers, which send each body back (0: use the workers that exist)"},
  {.name = "protocol",
    .kind = RP_OPTION_CHOICE,
    .argument = "PROTOCOL",
    .commands = "bench",
    .choices = s_protocols,
    S_AT (protocol),
    .help =
      "protocol of the clients: native, or mdp01 for Majordomo 0.1, where a request without a "
      "reply within --timeout counts as UNKNOWN (native)"},
  {.name = "hdr",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .commands = "bench",
    S_AT (hdr),
    .help = "write all percentiles, in microseconds, in the text format of HdrHistogram"},
  {.name = "plot",
    .kind = RP_OPTION_STRING,
    .argument = "FILE.svg",
    .commands = "bench",
    S_AT (plot),
    .help = "draw the percentiles; needs gnuplot"},
};

static const rp_option_command_t s_commands[] = {
  {.name = "call",
    .arguments = "SERVICE [BODY|@FILE|-]",
    .help = "send one request, or many, and write the replies"},
  {.name = "talk",
    .arguments = "SERVICE [SCRIPT|-]",
    .help = "hold one conversation: a request per line, from a script or typed"},
  {.name = "services", .help = "list the services, their workers and their queues"},
  {.name = "workers", .help = "list the workers and what they are doing"},
  {.name = "status", .help = "show the broker in numbers"},
  {.name = "ping", .help = "measure the round trip to the broker"},
  {.name = "bench",
    .arguments = "SERVICE",
    .help = "send many requests, and measure their rate and latency"},
};

static int (*const s_runs[]) (rp_cli_t *) = {
  rp_cli_call,
  rp_cli_talk,
  rp_cli_services,
  rp_cli_workers,
  rp_cli_status,
  rp_cli_ping,
  rp_cli_bench,
};

static const char *const s_usage[] = {"COMMAND [ARGUMENT…] [OPTION…]", NULL};

static const char *const s_description[] = {
  "The body of a call is its second argument, the content of a file (@FILE), or standard input "
  "(-, or no argument where standard input is no terminal). Behind --, a body may begin with @ "
  "or -. Only the reply's body goes to standard output, byte for byte.",
  "With --lines or --count, replies are written in the order of their requests, and the exit "
  "code is 8 if any of them failed.",
  "A script of talk has a request per line. Blank lines and lines that begin with # are skipped. "
  "\\n \\r \\t \\\\ \\$ \\# and \\xHH stand for one character each; $NAME and ${NAME} for the "
  "value of --set, and ${NAME:-DEFAULT} for DEFAULT if there is no value. The script goes on "
  "after an error that the worker replied with, and ends at any other status. From a pipe, each "
  "line is sent when it comes, and its reply is written before the next line is read; with "
  "--again, the script is read to its end first, because it may begin again.",
  "bench counts the requests that it sends after its warm-up, and waits for the end of each; "
  "rate and latency are of the requests that ended with OK. Ctrl-C ends bench early, with the "
  "result so far. -o json writes rate (a second), requests, failed (a number per status), "
  "latency_us with p50, p90, p99, p999 and max (null where no request ended with OK), and "
  "service, protocol, loop (open or closed), clients, inflight, asked_rate, workers, size, "
  "duration_s and unsent (requests that were due and for which no time was left). The exit code "
  "is 8 if any request failed.",
  "An error is one line on standard error; with -o json and jsonl it is an object on standard "
  "output: {\"error\": {\"code\": \"NO_WORKER\", \"service\": …, \"hint\": …, \"message\": …}}.",
  "Ctrl-C cancels the open requests, and the exit code is 130; a second Ctrl-C ends the program "
  "at once.",
  NULL};

static const char *const s_examples[] = {"echo hello | riposte call upper",
  "riposte call -v upper hi", "riposte call resize @photo.jpg > small.jpg",
  "riposte call lookup -n --parallel 64 < names.txt",
  "riposte talk site examples/site.talk --set user=ada", "riposte workers -o json",
  "riposte bench echo --workers 2 --rate 5000 --hdr echo.hdr", NULL};

static const rp_option_exit_t s_exits[] = {
  {RP_CLI_EXIT_BATCH, "some requests of several failed"},
};

static const rp_program_t s_program = {.name = "riposte",
  .summary = "sends requests to services and shows what a broker is doing",
  .usage = s_usage,
  .description = s_description,
  .options = s_options,
  .option_count = sizeof s_options / sizeof *s_options,
  .commands = s_commands,
  .command_count = sizeof s_commands / sizeof *s_commands,
  .examples = s_examples,
  .exits = s_exits,
  .exit_count = sizeof s_exits / sizeof *s_exits,
  .statuses = true};

static rp_output_t s_find_output (const char *name, rp_output_t otherwise)
{
    for (int index = 0; name && s_outputs[index]; index++)
        if (strcmp (name, s_outputs[index]) == 0)
            return (rp_output_t) index;
    return otherwise;
}

/*  Returns the value of --output or its variable, even if the rest of the command line is
    wrong.  */
static rp_output_t s_asked_output (int argc, char **argv)
{
    rp_output_t format = s_find_output (getenv ("RIPOSTE_OUTPUT"), RP_OUTPUT_TABLE);
    for (int at = 1; at < argc && strcmp (argv[at], "--") != 0; at++) {
        const char *text = argv[at];
        bool apart = strcmp (text, "-o") == 0 || strcmp (text, "--output") == 0;
        const char *value = apart                                 ? argv[at + 1] // NULL at the end
                            : strncmp (text, "--output=", 9) == 0 ? text + 9
                            : strncmp (text, "-o", 2) == 0        ? text + 2
                                                                  : NULL;
        format = s_find_output (value, format);
    }
    return format;
}

static int s_parse (int argc, char **argv, rp_cli_t *cli)
{
    static const char prefix[] = "riposte: ";
    char *line = NULL;
    size_t size = 0;
    rp_cli_tell_usage_as (s_asked_output (argc, argv)); // before the parser reorders argv
    FILE *err = open_memstream (&line, &size);
    if (!err)
        rp_output_no_memory ();
    int code = rp_options_parse (
      &s_program, argc, argv, getenv, &cli->options, &cli->arguments, stdout, err);
    if (fclose (err) != 0)
        rp_output_no_memory ();
    if (size > sizeof prefix) {
        line[size - 1] = '\0';
        rp_cli_usage ("%s", line + sizeof prefix - 1);
    }
    free (line);
    return code;
}

int main (int argc, char **argv)
{
    rp_cli_t cli = {.options = {.server = "tcp://127.0.0.1:5555",
                      .timeout = 5 * S_SECOND_US,
                      .attempts = 1,
                      .parallel = 1,
                      .clients = 8,
                      .size = 64,
                      .warmup = -1}};
    rp_writer_take_stderr ();
    int code = s_parse (argc, argv, &cli);
    if (code != RP_OPTIONS_GO_ON)
        return code;
    rp_cli_tell_usage_as ((rp_output_t) cli.options.output);
    if (cli.options.wait_broker == 0)
        cli.options.wait_broker =
          cli.options.timeout < S_SECOND_US ? cli.options.timeout : S_SECOND_US;
    cli.out = rp_output_colours (STDOUT_FILENO, cli.options.no_color);
    cli.err = rp_output_colours (STDERR_FILENO, cli.options.no_color);
    rp_cli_catch_signals ();
    code = s_runs[cli.arguments.command - s_commands](&cli);
    rp_client_destroy (&cli.client);
    return rp_output_finish (code, rp_cli_interrupted);
}
