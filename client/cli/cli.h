/*  riposte: the options, the session and the error functions that its commands share.

    SPDX-License-Identifier: MPL-2.0

    There is one file per command. Each command gets the same rp_cli_t, writes its answer to
    standard output and each error as one line to standard error (with -o json and jsonl: as an
    object to standard output), and returns the exit code of the program.

    Thread-safety: none; all of it runs on the main thread.
*/

#ifndef RP_CLI_H
#define RP_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/client.h>

#include "client/cli/errors.h"
#include "client/cli/output.h"
#include "common/tool/options.h"

/*  The exit code when some of several requests failed; no status has it.  */
#define RP_CLI_EXIT_BATCH 8

typedef struct {
    const char *server;
    bool spread;
    const char *key_file;   /* NULL: none */
    const char *server_key; /* NULL: none */
    const char *context;    /* NULL: the one in use */
    int output;             /* rp_output_t */
    bool quiet;
    bool verbose;
    bool no_color;
    int64_t timeout;
    uint64_t attempts;
    uint64_t priority;
    const char *hedge; /* NULL: not given */
    int64_t wait_broker;
    int64_t wait_worker;
    /*  call  */
    uint64_t first; /* 0: not given, as quorum */
    uint64_t quorum;
    rp_option_list_t headers;
    bool lines;
    bool exit_code_from_worker;
    bool stream;
    bool stream_body;
    int64_t idle_timeout; /* 0: none */
    uint64_t parallel;
    /*  call, send, ping, top, slow, bench  */
    uint64_t count;
    /*  send; NULL: not given  */
    int64_t delay;
    const char *at;
    const char *deadline;
    int64_t backoff;
    int64_t attempt_timeout;
    int64_t keep;
    const char *key;
    /*  result  */
    int64_t wait;
    /*  jobs  */
    int state; /* counts only if it was given */
    /*  dead purge: every job; status, services, workers, jobs: every broker  */
    bool all;
    /*  talk  */
    rp_option_list_t variables;
    uint64_t again;
    /*  bench  */
    uint64_t clients;
    uint64_t inflight; /* 0: not given */
    uint64_t rate;     /* 0: none */
    uint64_t size;
    int64_t duration; /* 0: not given */
    int64_t warmup;   /* -1: not given */
    uint64_t workers;
    int protocol;     /* rp_bench_protocol_t */
    const char *hdr;  /* NULL: none */
    const char *plot; /* NULL: none */
    /*  check; NULL: not given  */
    const char *services;
    const char *max_waiting;
    const char *max_oldest;
    const char *min_workers;
    const char *max_memory;
    bool perfdata;
    /*  top  */
    int64_t interval;
    /*  slow  */
    bool failed;
    /*  events  */
    uint64_t since;
    bool no_follow;
    /*  rules, keys lint  */
    const char *rules; /* NULL: the usual file */
    const char *from;  /* the directory of authorized keys; NULL: not given */
    /*  keys; NULL: not given  */
    const char *keys_dir;
    const char *keys_into;
    const char *principal;
    const char *expires;
    rp_option_list_t roles;
} rp_cli_options_t;

typedef struct {
    rp_cli_options_t options;
    rp_arguments_t arguments;
    const rp_program_t *program;
    rp_client_t *client; /* NULL before rp_cli_connect */
    bool sends;          /* calls are durable: send */
    uint64_t made;       /* calls so far */
    rp_colours_t out;    /* for standard output */
    rp_colours_t err;    /* for standard error */
} rp_cli_t;

/*  ---- Commands ----------------------------------------------------------------------------  */

int rp_cli_call (rp_cli_t *self);
int rp_cli_send (rp_cli_t *self);
int rp_cli_result (rp_cli_t *self);
int rp_cli_jobs (rp_cli_t *self);
int rp_cli_job (rp_cli_t *self);
int rp_cli_cancel (rp_cli_t *self);
int rp_cli_brokers (rp_cli_t *self);
int rp_cli_dead_list (rp_cli_t *self);
int rp_cli_dead_show (rp_cli_t *self);
int rp_cli_dead_retry (rp_cli_t *self);
int rp_cli_dead_purge (rp_cli_t *self);
int rp_cli_talk (rp_cli_t *cli);
int rp_cli_services (rp_cli_t *self);
int rp_cli_workers (rp_cli_t *self);
int rp_cli_status (rp_cli_t *self);
int rp_cli_ping (rp_cli_t *self);
int rp_cli_check (rp_cli_t *self);
int rp_cli_top (rp_cli_t *cli);
int rp_cli_trace (rp_cli_t *self);
int rp_cli_slow (rp_cli_t *self);
int rp_cli_explain (rp_cli_t *self);
int rp_cli_config (rp_cli_t *self);
int rp_cli_events (rp_cli_t *cli);
int rp_cli_reload (rp_cli_t *self);
int rp_cli_bench (rp_cli_t *cli);
int rp_cli_store_check (rp_cli_t *cli);
int rp_cli_store_backup (rp_cli_t *cli);
int rp_cli_store_compact (rp_cli_t *cli);
int rp_cli_store_init (rp_cli_t *cli);
int rp_cli_store_migrate (rp_cli_t *cli);
int rp_cli_rules_check (rp_cli_t *cli);
int rp_cli_rules_explain (rp_cli_t *cli);
int rp_cli_keys_new (rp_cli_t *cli);
int rp_cli_keys_authorize (rp_cli_t *cli);
int rp_cli_keys_revoke (rp_cli_t *cli);
int rp_cli_keys_list (rp_cli_t *cli);
int rp_cli_keys_show (rp_cli_t *cli);
int rp_cli_keys_rotate (rp_cli_t *cli);
int rp_cli_keys_lint (rp_cli_t *cli);
int rp_cli_keys_token (rp_cli_t *cli);
int rp_cli_context_add (rp_cli_t *cli);
int rp_cli_context_use (rp_cli_t *cli);
int rp_cli_context_list (rp_cli_t *cli);
int rp_cli_context_remove (rp_cli_t *cli);
int rp_cli_context_show (rp_cli_t *cli);

/*  Sets the options that were not given from the context that was, or that is in use. Returns 0, or
    the exit code after an error was written.  */
int rp_cli_take_context (rp_cli_t *cli);

/*  ---- Session (session.c) -----------------------------------------------------------------  */

/*  From now on the first SIGINT or SIGTERM asks for an orderly end, and the second ends the
    program. A closed pipe is an error of write, and no signal.  */
void rp_cli_catch_signals (void);

/*  True after SIGINT or SIGTERM.  */
bool rp_cli_interrupted (void);

/*  Creates the client and waits for a broker, at most --wait-broker. max_open: requests that the
    command will have open at once. Returns 0, or the exit code after an error was written.  */
int rp_cli_connect (rp_cli_t *self, uint32_t max_open);

/*  The two halves of rp_cli_connect: creates the client; waits for a broker, where the limit counts from
    the time begun, µs. Each returns 0, or the exit code after an error was written.  */
int rp_cli_begin (rp_cli_t *self, uint32_t max_open);
int rp_cli_await (rp_cli_t *self, int64_t begun);

/*  Creates a call with the values of the options. NULL after an error was written; *code is the
    exit code.  */
rp_call_t *rp_cli_call_new (
  rp_cli_t *self, const char *service, const void *body, size_t size, int *code);

/*  Applies the options that say how a request is given to a worker. Returns as rp_cli_prepare.  */
int rp_cli_set_terms (const rp_cli_t *self, rp_call_t *call);

/*  Applies the options to a call. Returns 0, or the exit code after an error was written.  */
int rp_cli_prepare (rp_cli_t *self, rp_call_t *call);

/*  The arguments of call and send: one request, --lines or --count. Returns the exit code.  */
int rp_cli_request (rp_cli_t *self);

/*  True for a call of --all, --first or --quorum.  */
bool rp_cli_asks_all (const rp_cli_options_t *options);
/*  Checks what goes with these. Returns 0, or the exit code after an error was written.  */
int rp_cli_check_all (const rp_cli_t *self);
/*  Performs it. Returns the exit code.  */
int rp_cli_ask_all (rp_cli_t *cli, const char *service, const void *body, size_t size);

/*  The call of --stream, with this body, or its beginning. Returns the exit code.  */
int rp_cli_stream (rp_cli_t *cli, const char *service, const void *body, size_t size);

/*  Checks the options of send. Returns 0, or the exit code after an error was written.  */
int rp_cli_check_terms (const rp_cli_t *self);

/*  The same of --key, which call has too.  */
int rp_cli_check_key (const rp_cli_t *self);

/*  Gives a call the key of the options, if they have one. Returns 0, or the exit code after an error was
    written.  */
int rp_cli_prepare_key (rp_cli_t *self, rp_call_t *call);

/*  Makes a call of send durable, with the terms of the options. Returns 0, or the exit code after an
    error was written.  */
int rp_cli_prepare_job (rp_cli_t *self, rp_call_t *call);

/*  Submits a call, waits for its end and returns the reply. On an interrupt it cancels the request
    first, and the reply has RP_CANCELLED. NULL when the request could not be submitted (after an
    error was written) or after an interrupt (without one): *code is the exit code. service and size
    are for -v.  */
rp_reply_t *rp_cli_perform (
  rp_cli_t *self, const char *service, size_t size, rp_call_t **call_p, int *code);

/*  Takes the first argument as a service name. NULL after an error was written.  */
const char *rp_cli_service (rp_cli_t *self);

/*  ---- Errors and -v (telling.c) -----------------------------------------------------------  */

/*  The format of errors that rp_cli_usage and rp_cli_fail write from now on.  */
void rp_cli_tell_usage_as (rp_output_t format);

/*  For `riposte check`: from now on errors are the line of a Nagios plugin on standard output, and
    their exit codes Nagios'. A broker that does not answer is CRITICAL, everything else UNKNOWN.  */
void rp_cli_tell_as_plugin (void);

/*  Returns the exit code of this command for a status.  */
int rp_cli_exit_code (int status);

/*  Returns the exit code for a reply: with --exit-code-from-worker, the number of the worker's error.  */
int rp_cli_reply_exit_code (const rp_cli_t *self, const rp_reply_t *reply);

/*  Returns its exit code if standard output could not be written, by a full disk for example.  */
int rp_cli_unwritten_code (void);

/*  Writes a usage error as one line, or with JSON as an object. Returns its exit code, 2.  */
int rp_cli_usage (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/*  Likewise an error of files or of the system, SYSTEM. Returns its exit code, 1.  */
int rp_cli_fail (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/*  Writes an error in the output format. Returns its exit code.  */
int rp_cli_tell (const rp_cli_t *self, const rp_error_t *error);

/*  Writes only the line of an error, to standard error, behind prefix ("call 3: ").  */
void rp_cli_tell_line (const rp_cli_t *self, const char *prefix, const rp_error_t *error);

/*  Returns the reply as an object: status, code, message, body, times, worker, and error if it is
    one. service: as on the command line.  */
json_t *rp_cli_reply_json (const rp_cli_t *self, const rp_reply_t *reply, const char *service);

/*  Write the lines of -v for a request that was sent, with the id that `riposte trace` takes, and for one
    that has ended.  */
void rp_cli_tell_request (const rp_cli_t *self, const char *service, size_t size, uint64_t id);
void rp_cli_tell_reply (const rp_cli_t *self, const rp_reply_t *reply);

/*  True if the output format is json or jsonl.  */
bool rp_cli_writes_json (const rp_cli_t *self);

#endif
