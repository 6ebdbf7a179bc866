/*  riposte: the client on the command line. Has the table of options and commands, checks the
    options, and calls the command.

    SPDX-License-Identifier: MPL-2.0

    Read in this order: the table below, cli.h, session.c (the connection, one request), then the
    file of a command.
*/

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "common/program/writer.h"
#include "common/tool/options_commands.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"

#define S_SECOND_US INT64_C (1000000)
#define S_LONGEST_US ((uint64_t) RP_DEADLINE_MAX_MS * 1000)
/*  Of jobs: 366 days, and five minutes.  */
#define S_KEEP_US UINT64_C (31622400000000)
#define S_BACKOFF_US UINT64_C (300000000)
/*  The requests that the broker's default lets one client have open.  */
#define S_PARALLEL_MAX 10000
/*  Of bench: more threads would measure the scheduler of this machine.  */
#define S_CLIENTS_MAX 1000
#define S_WORKERS_MAX 1000
#define S_RATE_MAX 10000000
/*  The largest body that a broker can be configured to take.  */
#define S_BODY_MAX 1073741824
/*  The largest number that JSON has exactly.  */
#define S_EVENT_MAX UINT64_C (9007199254740991)

static const char *const s_protocols[] = {"native", "mdp01", NULL}; // rp_bench_protocol_t
static const char *const s_states[] = {"waiting", "running", "done", "dead", NULL};
static const char *const s_outputs[] = {"table", "json", "jsonl", "csv", NULL};

/*  The commands that connect to a broker.  */
#define S_CONNECTING                                                                               \
    "call send result jobs job cancel dead talk services workers brokers status ping check top "   \
    "events trace "                                                                                \
    "slow explain bench config reload"

/*  The commands that look into directories of keys.  */
#define S_WITH_DIRECTORY                                                                           \
    "keys-new keys-rotate keys-authorize keys-revoke keys-list keys-lint keys-token rules"

#define S_AT(member) .offset = offsetof (rp_cli_options_t, member)

static const rp_option_t s_options[] = {
  {.kind = RP_OPTION_HEADING, .help = "For every command"},
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT[,…]",
    .environment = "RIPOSTE_SERVER",
    S_AT (server),
    .help = "the brokers, first choice first, or srv:NAME, the name of SRV records in the DNS "
            "(tcp://127.0.0.1:5555)"},
  {.name = "spread",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_SPREAD",
    .commands = S_CONNECTING " context-add",
    S_AT (spread),
    .help = "begin with a random one of the brokers, and of the addresses of a name, so that many "
            "clients share them"},
  {.name = "key-file",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .environment = "RIPOSTE_KEY_FILE",
    .commands = S_CONNECTING " context-add",
    S_AT (key_file),
    .help = "this client's own key, NAME.key_secret; make one: riposte keys new NAME"},
  {.name = "server-key",
    .kind = RP_OPTION_STRING,
    .argument = "KEY|FILE",
    .environment = "RIPOSTE_SERVER_KEY",
    .commands = S_CONNECTING " context-add",
    S_AT (server_key),
    .help = "the broker's public key, or a file that has it: no other broker is talked to"},
  {.name = "context",
    .kind = RP_OPTION_STRING,
    .argument = "NAME",
    .environment = "RIPOSTE_CONTEXT",
    .commands = S_CONNECTING,
    S_AT (context),
    .help = "take what is not given otherwise from this context (that of riposte context use)"},
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
            "then run twice (1; of send: 5)"},
  {.name = "wait-broker",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "RIPOSTE_WAIT_BROKER",
    .smallest = 1000,
    .largest = S_LONGEST_US,
    S_AT (wait_broker),
    .help = "how long to try when no broker can be reached (1s, or --timeout if that is less); a "
            "broker that is only slow gets --timeout"},
  {.name = "all",
    .kind = RP_OPTION_FLAG,
    .commands = "call services workers status jobs dead-purge",
    S_AT (all),
    .help =
      "ask every broker of the list, and every address of a name; numbers are added up. Of call: "
      "every worker of the service, and write what each answers as it comes. Of dead purge: every "
      "dead job"},
  {.name = "no-color",
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_NO_COLOR",
    S_AT (no_color),
    .help = "no colours; also when NO_COLOR is set, or the output is no terminal"},

  {.kind = RP_OPTION_HEADING, .commands = "call send talk bench", .help = "For requests"},
  {.name = "header",
    .letter = 'H',
    .kind = RP_OPTION_LIST,
    .argument = "KEY:VALUE",
    .commands = "call send talk",
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
  {.name = "priority",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_PRIORITY",
    .commands = "call send talk bench",
    .smallest = 0,
    .largest = RP_PRIORITY_MAX,
    S_AT (priority),
    .help = "where requests wait for a worker, those of a higher priority go first: 0 to 9 (4)"},
  {.name = "hedge",
    .kind = RP_OPTION_STRING,
    .argument = "WHEN",
    .commands = "call bench",
    S_AT (hedge),
    .help =
      "with --attempts of 2 or more: give the request to a second worker, too, when the first "
      "takes longer than WHEN, a time (20ms) or what so many requests of the service take "
      "(95%); the first answer counts"},
  {.name = "lines",
    .letter = 'n',
    .kind = RP_OPTION_FLAG,
    .commands = "call send",
    S_AT (lines),
    .help = "a call, or a job, for each line of standard input, its newline included; replies in "
            "their order"},
  {.name = "count",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call send jobs dead-list ping top slow bench",
    .smallest = 1,
    .largest = UINT64_C (1000000000000),
    S_AT (count),
    .help =
      "do the same N times; of bench: requests of all clients together; of top: tables, then "
      "end; of slow: requests to list, at most 100 (20); of jobs and dead list: write at most N "
      "jobs (1000; with -o jsonl: all)"},
  {.name = "parallel",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call send",
    .smallest = 1,
    .largest = S_PARALLEL_MAX,
    S_AT (parallel),
    .help = "with --lines or --count: calls, or jobs that are not accepted yet, at once (1)"},
  {.name = "exit-code-from-worker",
    .kind = RP_OPTION_FLAG,
    .commands = "call",
    S_AT (exit_code_from_worker),
    .help =
      "exit with the number of the worker's error, such as a command's exit status, instead of 1"},
  {.name = "first",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call",
    .smallest = 1,
    .largest = RP_ALL_MOST,
    S_AT (first),
    .help = "as --all, until N workers have answered OK; the others are cancelled"},
  {.name = "quorum",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "call",
    .smallest = 1,
    .largest = RP_ALL_MOST,
    S_AT (quorum),
    .help = "as --first, and fail as soon as N workers cannot answer OK any more"},
  {.name = "stream",
    .kind = RP_OPTION_FLAG,
    .commands = "call",
    S_AT (stream),
    .help = "write the reply part by part, as it comes; --timeout is for all of it (24h)"},
  {.name = "stream-body",
    .kind = RP_OPTION_FLAG,
    .commands = "call",
    S_AT (stream_body),
    .help = "with --stream: send standard input part by part, as it comes"},
  {.name = "idle-timeout",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "call",
    .smallest = 1000,
    .largest = S_LONGEST_US,
    S_AT (idle_timeout),
    .help = "with --stream: end with DEADLINE when a worker has it and nothing came or went for so "
            "long (never)"},
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

  {.kind = RP_OPTION_HEADING,
    .commands = "send result jobs dead-purge",
    .help = "For jobs; TIME is an instant such as 2027-01-31T18:30:00Z or …+01:00"},
  {.name = "delay",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "send",
    .largest = S_KEEP_US,
    S_AT (delay),
    .help = "begin after this time at the earliest"},
  {.name = "at",
    .kind = RP_OPTION_STRING,
    .argument = "TIME",
    .commands = "send",
    S_AT (at),
    .help = "begin at this instant at the earliest"},
  {.name = "deadline",
    .kind = RP_OPTION_STRING,
    .argument = "TIME|DURATION",
    .commands = "send",
    S_AT (deadline),
    .help = "end with EXPIRED if no worker has begun it by then (never)"},
  {.name = "backoff",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "send",
    .largest = S_BACKOFF_US,
    S_AT (backoff),
    .help = "pause after the first attempt that failed; it doubles, up to 5m (1s)"},
  {.name = "attempt-timeout",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "send",
    .smallest = 1000,
    .largest = S_LONGEST_US,
    S_AT (attempt_timeout),
    .help = "an attempt that takes longer has failed (24h)"},
  {.name = "key",
    .kind = RP_OPTION_STRING,
    .argument = "KEY",
    .commands = "call send",
    S_AT (key),
    .help =
      "idempotency key: asked again with the same key and body, it is still one job, or (call) "
      "gets the same reply, as long as the broker remembers it (replay_keep); with --lines or "
      "--count the keys are KEY-1, KEY-2, …"},
  {.name = "keep",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "send",
    .largest = S_KEEP_US,
    S_AT (keep),
    .help = "how long the result is kept (24h)"},
  {.name = "wait",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "result",
    .largest = S_KEEP_US,
    S_AT (wait),
    .help = "how long to wait until the job is done (0)"},
  {.name = "state",
    .kind = RP_OPTION_CHOICE,
    .argument = "STATE",
    .commands = "jobs",
    .choices = s_states,
    S_AT (state),
    .help = "only jobs that are waiting, running, done or dead"},

  {.kind = RP_OPTION_HEADING,
    .commands = "check",
    .help = "For check; a threshold is WARNING:CRITICAL, WARNING: or CRITICAL"},
  {.name = "services",
    .kind = RP_OPTION_STRING,
    .argument = "A,B",
    .commands = "check",
    S_AT (services),
    .help = "look at these services only, each of which must have a worker (all)"},
  {.name = "max-waiting",
    .kind = RP_OPTION_STRING,
    .argument = "W:C",
    .commands = "check",
    S_AT (max_waiting),
    .help = "requests that may wait for one service, such as 100:1000"},
  {.name = "max-oldest",
    .kind = RP_OPTION_STRING,
    .argument = "W:C",
    .commands = "check",
    S_AT (max_oldest),
    .help = "how long a request may have waited, such as 1s:10s"},
  {.name = "min-workers",
    .kind = RP_OPTION_STRING,
    .argument = "W:C",
    .commands = "check",
    S_AT (min_workers),
    .help = "workers that each service must have, such as 3:1 (1 where requests wait)"},
  {.name = "max-memory",
    .kind = RP_OPTION_STRING,
    .argument = "W:C",
    .commands = "check",
    S_AT (max_memory),
    .help = "bytes that requests and unread replies may take, such as 256MiB:1GiB, or 70%:90% of "
            "total_queue_bytes"},
  {.name = "perfdata",
    .kind = RP_OPTION_FLAG,
    .commands = "check",
    S_AT (perfdata),
    .help = "write performance data behind the text; with --services for each of them too"},

  {.kind = RP_OPTION_HEADING, .commands = "top", .help = "For top"},
  {.name = "interval",
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .commands = "top",
    .smallest = 100000,
    .largest = S_LONGEST_US,
    S_AT (interval),
    .help = "time between two tables (1s)"},

  {.kind = RP_OPTION_HEADING, .commands = "slow", .help = "For slow"},
  {.name = "failed",
    .kind = RP_OPTION_FLAG,
    .commands = "slow",
    S_AT (failed),
    .help = "only requests that did not end with OK"},
  {.kind = RP_OPTION_HEADING, .commands = "events", .help = "For events"},
  {.name = "since",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .commands = "events",
    .largest = S_EVENT_MAX,
    S_AT (since),
    .help = "begin after the event with this number (0: with the first that the broker has kept)"},
  {.name = "no-follow",
    .kind = RP_OPTION_FLAG,
    .commands = "events",
    S_AT (no_follow),
    .help = "end after what has happened so far"},

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

  {.kind = RP_OPTION_HEADING, .commands = S_WITH_DIRECTORY, .help = "For keys and rules"},
  {.name = "dir",
    .kind = RP_OPTION_STRING,
    .argument = "DIR",
    .commands = S_WITH_DIRECTORY,
    S_AT (keys_dir),
    .help =
      "the directory of pairs and rules (/etc/riposte for root, otherwise ~/.config/riposte)"},
  {.name = "principal",
    .kind = RP_OPTION_STRING,
    .argument = "NAME",
    .commands = "keys-authorize keys-token",
    S_AT (principal),
    .help = "who has the key, or the token; several keys may have one principal"},
  {.name = "role",
    .kind = RP_OPTION_LIST,
    .argument = "ROLE",
    .commands = "keys-authorize keys-token",
    S_AT (roles),
    .help = "a role of the rules file; may be repeated"},
  {.name = "expires",
    .kind = RP_OPTION_STRING,
    .argument = "DATE",
    .commands = "keys-authorize",
    S_AT (expires),
    .help = "not authorized from this date on, such as 2027-01-31 (its first second, UTC), or "
            "2027-01-31T18:30:00Z"},
  {.name = "into",
    .kind = RP_OPTION_STRING,
    .argument = "DIR",
    .commands = "keys-authorize keys-token",
    S_AT (keys_into),
    .help = "the directory of authorized keys to write to (\"authorized\" in --dir)"},
  {.name = "from",
    .kind = RP_OPTION_STRING,
    .argument = "DIR",
    .commands = "keys-revoke keys-list keys-lint rules-explain",
    S_AT (from),
    .help = "the directory of authorized keys to look in (\"authorized\" in --dir); of rules "
            "explain: their roles count too (none)"},
  {.name = "rules",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .commands = "rules keys-lint",
    S_AT (rules),
    .help = "the rules file (\"rules\" in --dir; of keys lint: if it is there)"},
};

static const rp_option_command_t s_commands[] = {
  {.name = "call",
    .arguments = "SERVICE [BODY|@FILE|-]",
    .help = "send one request, or many, and write the replies"},
  {.name = "send",
    .arguments = "SERVICE [BODY|@FILE|-]",
    .help = "have the broker keep a request as a job, and write the job's id"},
  {.name = "result",
    .arguments = "ID",
    .help = "write the result of a job; exit code 5 while there is none"},
  {.name = "jobs", .arguments = "[SERVICE]", .help = "list the jobs that the broker keeps"},
  {.name = "job", .arguments = "ID", .help = "show the life of a job"},
  {.name = "cancel", .arguments = "ID…", .help = "end jobs that are not done"},
  {.name = "brokers", .help = "list the brokers that share a store of jobs, and who has whose"},
  {.name = "dead list",
    .arguments = "[SERVICE]",
    .help = "list the jobs whose attempts are used up"},
  {.name = "dead show", .arguments = "ID", .help = "show the life of a dead job"},
  {.name = "dead retry",
    .arguments = "ID…",
    .help = "give dead jobs a new life, and write the ids of the new jobs"},
  {.name = "dead purge", .arguments = "[ID|SERVICE]", .help = "remove dead jobs"},
  {.name = "talk",
    .arguments = "SERVICE [SCRIPT|-]",
    .help = "hold one conversation: a request per line, from a script or typed"},
  {.name = "services", .help = "list the services, their workers and their queues"},
  {.name = "workers", .help = "list the workers and what they are doing"},
  {.name = "status", .help = "show the broker in numbers"},
  {.name = "ping", .help = "measure the round trip to the broker"},
  {.name = "check", .help = "say in one line whether all is well: a Nagios plugin"},
  {.name = "top", .help = "watch the services, the worst first"},
  {.name = "trace",
    .arguments = "ID",
    .help = "tell what happened to a request, and why it waited"},
  {.name = "slow",
    .arguments = "[SERVICE]",
    .help = "list the requests that took longest, of those that ended"},
  {.name = "explain",
    .arguments = "[SERVICE]",
    .help = "say why requests wait or fail, the worst cause first"},
  {.name = "config",
    .arguments = "[diff]",
    .help =
      "show the broker's settings and where each comes from; diff: those that are no defaults"},
  {.name = "events", .help = "show joins, losses, denials, drains and reloads as they come"},
  {.name = "reload", .help = "have the broker read its settings, keys and rules again"},
  {.name = "bench",
    .arguments = "SERVICE",
    .help = "send many requests, and measure their rate and latency"},
  {.name = "store check",
    .arguments = "FILE|URL",
    .help = "read all of a store of jobs; no broker has a file open meanwhile"},
  {.name = "store backup",
    .arguments = "FILE COPY",
    .help = "copy a store of jobs to a new file, also beside its broker"},
  {.name = "store compact", .arguments = "FILE", .help = "make the file of a store of jobs small"},
  {.name = "store init",
    .arguments = "URL",
    .help = "make the tables of a store of jobs in PostgreSQL, such as postgresql://host/database"},
  {.name = "store migrate",
    .arguments = "URL",
    .help = "bring the tables of an older riposte up to date; no broker has the store meanwhile"},
  {.name = "rules check", .arguments = "[FILE]", .help = "show every mistake of a rules file"},
  {.name = "rules explain",
    .arguments = "PRINCIPAL RULE [SERVICE]",
    .help = "say whether the rules allow something, and by which line; of a client: PRINCIPAL "
            "weight CLIENT"},
  {.name = "keys new",
    .arguments = "NAME",
    .help = "make a pair of keys: NAME.key, and NAME.key_secret, which is its owner's only"},
  {.name = "keys authorize",
    .arguments = "FILE",
    .help = "let the owner of a public key in, as a principal; again, with other roles: change it"},
  {.name = "keys revoke",
    .arguments = "NAME|FILE",
    .help = "take an authorized key out, by its name or by a file that has the same key"},
  {.name = "keys list", .help = "list the authorized keys"},
  {.name = "keys show", .arguments = "FILE", .help = "show a certificate, but no secret key"},
  {.name = "keys rotate",
    .arguments = "NAME",
    .help =
      "make a new pair in the place of one, which is kept as NAME.old.key, NAME.old.key_secret"},
  {.name = "keys lint",
    .help = "look for secrets that others can read, keys that are there twice or have expired, and "
            "principals without rules"},
  {.name = "keys token",
    .help = "make a token for HTTP; it is shown once, and its SHA-256 is kept"},
  {.name = "context add",
    .arguments = "NAME",
    .help = "keep --server, --spread, --key-file, --server-key and --timeout under a name"},
  {.name = "context use", .arguments = "NAME", .help = "use a context without --context"},
  {.name = "context list", .help = "list the contexts"},
  {.name = "context remove", .arguments = "NAME", .help = "remove a context"},
  {.name = "context show", .arguments = "[NAME]", .help = "show a context, or that in use"},
};

static int (*const s_runs[]) (rp_cli_t *) = {
  rp_cli_call,
  rp_cli_send,
  rp_cli_result,
  rp_cli_jobs,
  rp_cli_job,
  rp_cli_cancel,
  rp_cli_brokers,
  rp_cli_dead_list,
  rp_cli_dead_show,
  rp_cli_dead_retry,
  rp_cli_dead_purge,
  rp_cli_talk,
  rp_cli_services,
  rp_cli_workers,
  rp_cli_status,
  rp_cli_ping,
  rp_cli_check,
  rp_cli_top,
  rp_cli_trace,
  rp_cli_slow,
  rp_cli_explain,
  rp_cli_config,
  rp_cli_events,
  rp_cli_reload,
  rp_cli_bench,
  rp_cli_store_check,
  rp_cli_store_backup,
  rp_cli_store_compact,
  rp_cli_store_init,
  rp_cli_store_migrate,
  rp_cli_rules_check,
  rp_cli_rules_explain,
  rp_cli_keys_new,
  rp_cli_keys_authorize,
  rp_cli_keys_revoke,
  rp_cli_keys_list,
  rp_cli_keys_show,
  rp_cli_keys_rotate,
  rp_cli_keys_lint,
  rp_cli_keys_token,
  rp_cli_context_add,
  rp_cli_context_use,
  rp_cli_context_list,
  rp_cli_context_remove,
  rp_cli_context_show,
};

static const char *const s_usage[] = {"COMMAND [ARGUMENT…] [OPTION…]", NULL};

static const char *const s_description[] = {
  "The body of a call or a job is its second argument, the content of a file (@FILE), or standard "
  "input "
  "(-, or no argument where standard input is no terminal). Behind --, a body may begin with @ "
  "or -. Only the reply's body goes to standard output, byte for byte.",
  "With --lines or --count, replies are written in the order of their requests, and the exit "
  "code is 8 if any of them failed.",
  "With --stream, each part of the reply is written as it comes, and taken only as fast as it is "
  "read: a slow reader makes the worker wait. The end of the pipe, such as head's, cancels the "
  "request. With -o jsonl there is a line for each part and one for the end.",
  "send writes a job's id as soon as the broker has it on disk (riposte-broker --store FILE); from "
  "then on it outlives every process, waits for a worker if there is none, and is tried again when "
  "a worker is lost. --timeout is for that acceptance. With --lines or --count there is a line for "
  "each job, - for one that was not accepted. Without --key, a job that was sent when the broker "
  "was lost may be there or not: UNKNOWN.",
  "result writes the body that the worker gave, byte for byte, and exits with the job's status: 0, "
  "1 for the worker's error, 9 or 5 when it is dead, 130 when it was cancelled; and 5 while it is "
  "not done. It may be asked for again until it is no longer kept (--keep).",
  "A script of talk has a request per line. Blank lines and lines that begin with # are skipped. "
  "\\n \\r \\t \\\\ \\$ \\# and \\xHH stand for one character each; $NAME and ${NAME} for the "
  "value of --set, and ${NAME:-DEFAULT} for DEFAULT if there is no value. The script goes on "
  "after an error that the worker replied with, and ends at any other status. From a pipe, each "
  "line is sent when it comes, and its reply is written before the next line is read; with "
  "--again, the script is read to its end first, because it may begin again.",
  "check compares each service with thresholds and writes one line, the worst cause first. It is "
  "a Nagios plugin: its exit codes are 0 OK, 1 WARNING, 2 CRITICAL (also when no broker answers) "
  "and 3 UNKNOWN, and an error is a line on standard output. Without thresholds it is CRITICAL "
  "when a service that --services names, or for which requests wait, has no worker, and WARNING "
  "when the broker is draining or its last reload has failed.",
  "top shows the services of a broker until q is pressed, with rates of the last interval; ? "
  "shows its keys. Without a terminal, or with -o json, jsonl or csv, it writes a table per "
  "interval. A broker that goes away is asked again.",
  "The ID of trace is what call -v shows (CLIENT/NUMBER), the broker's own number of the request, "
  "the value of its header request-id, or the trace id of its traceparent; several requests may "
  "have it. The exit code is 1 if the broker knows none: it keeps those that are open and, up to "
  "its limit trace_bytes, those that ended last.",
  "events writes a line of JSON for each event that the broker has kept, then for each new one, "
  "until Ctrl-C or a closed pipe; with -o table, lines for people. Events that are missing, and a "
  "broker that was started again, are told on standard error.",
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
  "riposte call --stream log /var/log/syslog | head -1",
  "riposte send mail @letter.eml --key order-4711 --deadline 2h",
  "riposte send report now --at 2027-01-01T06:00:00+01:00",
  "riposte send resize -n --parallel 64 --key batch-7 < names.txt > ids",
  "riposte result 42 --wait 30s", "riposte jobs resize --state waiting", "riposte dead retry 42",
  "riposte talk site examples/site.talk --set user=ada", "riposte workers -o json",
  "riposte check --services upper,resize --max-oldest 1s:10s --min-workers 2:1 --perfdata",
  "riposte top --interval 2s", "riposte trace order-17", "riposte slow resize --failed --count 5",
  "riposte events -o table", "riposte config diff",
  "riposte bench echo --workers 2 --rate 5000 --hdr echo.hdr",
  "riposte context add prod -s tcp://prod:5555 --server-key broker.key",
  "riposte keys new ada --dir ./keys",
  "riposte keys authorize ./keys/ada.key --principal ada --role caller --into ./authorized",
  "riposte rules explain ada call upper --rules ./rules", NULL};

static const rp_option_exit_t s_exits[] = {
  {1, "check: WARNING"},
  {2, "check: CRITICAL, or no broker answers"},
  {3, "check: UNKNOWN, such as a wrong command line or a missing permission"},
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

/*  True if the command connects to a broker: then --context goes with it.  */
static bool s_connects (const rp_option_command_t *command)
{
    return rp_option_goes_with (&(rp_option_t){.commands = S_CONNECTING}, command, NULL);
}

/*  True if the command is check, even if the rest of the command line is wrong: to Nagios, exit
    code 2 of a usage error would be a broker that is down.  */
static bool s_is_check (int argc, char **argv)
{
    for (int at = 1; at < argc; at++)
        for (size_t index = 0; index < sizeof s_commands / sizeof *s_commands; index++) {
            const char *name = s_commands[index].name;
            size_t word = strcspn (name, " ");
            if (strlen (argv[at]) == word && memcmp (argv[at], name, word) == 0)
                return s_runs[index] == rp_cli_check;
        }
    return false;
}

static int s_parse (int argc, char **argv, rp_cli_t *cli)
{
    static const char prefix[] = "riposte: ";
    char *line = NULL;
    size_t size = 0;
    rp_cli_tell_usage_as (s_asked_output (argc, argv)); // before the parser reorders argv
    if (s_is_check (argc, argv))
        rp_cli_tell_as_plugin ();
    FILE *err = open_memstream (&line, &size);
    if (!err)
        rp_output_no_memory ();
    int code = rp_options_parse (
      &s_program, argc, argv, getenv, &cli->options, &cli->arguments, stdout, err);
    if (fclose (err) != 0)
        rp_output_no_memory ();
    if (size > sizeof prefix) {
        line[size - 1] = '\0';
        code = rp_cli_usage ("%s", line + sizeof prefix - 1);
    }
    free (line);
    return code;
}

int main (int argc, char **argv)
{
    rp_cli_t cli = {.program = &s_program,
      .options = {.server = "tcp://127.0.0.1:5555",
        .timeout = 5 * S_SECOND_US,
        .attempts = 1,
        .priority = RP_PRIORITY_DEFAULT,
        .parallel = 1,
        .clients = 8,
        .size = 64,
        .warmup = -1,
        .interval = S_SECOND_US}};
    rp_writer_take_stderr ();
    int code = s_parse (argc, argv, &cli);
    if (code != RP_OPTIONS_GO_ON)
        return code;
    rp_cli_tell_usage_as ((rp_output_t) cli.options.output);
    code = s_connects (cli.arguments.command) ? rp_cli_take_context (&cli) : 0;
    if (code != 0)
        return code;
    if (cli.options.wait_broker == 0)
        cli.options.wait_broker =
          cli.options.timeout < S_SECOND_US ? cli.options.timeout : S_SECOND_US;
    cli.out = rp_output_colours (STDOUT_FILENO, cli.options.no_color);
    cli.err = rp_output_colours (STDERR_FILENO, cli.options.no_color);
    rp_cli_catch_signals ();
    code = s_runs[cli.arguments.command - s_commands](&cli);
    rp_client_destroy (&cli.client);
    return rp_output_finish (code, rp_cli_unwritten_code (), rp_cli_interrupted);
}
