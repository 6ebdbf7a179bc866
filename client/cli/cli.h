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
    int output; /* rp_output_t */
    bool quiet;
    bool verbose;
    bool no_color;
    int64_t timeout;
    uint64_t attempts;
    int64_t wait_broker;
    int64_t wait_worker;
    /*  call  */
    rp_option_list_t headers;
    bool lines;
    bool exit_code_from_worker;
    uint64_t parallel;
    /*  call, ping, bench  */
    uint64_t count;
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
} rp_cli_options_t;

typedef struct {
    rp_cli_options_t options;
    rp_arguments_t arguments;
    rp_client_t *client; /* NULL before rp_cli_connect */
    rp_colours_t out;    /* for standard output */
    rp_colours_t err;    /* for standard error */
} rp_cli_t;

/*  ---- Commands ----------------------------------------------------------------------------  */

int rp_cli_call (rp_cli_t *self);
int rp_cli_talk (rp_cli_t *cli);
int rp_cli_services (rp_cli_t *self);
int rp_cli_workers (rp_cli_t *self);
int rp_cli_status (rp_cli_t *self);
int rp_cli_ping (rp_cli_t *self);
int rp_cli_bench (rp_cli_t *cli);

/*  ---- Session (session.c) -----------------------------------------------------------------  */

/*  From now on the first SIGINT or SIGTERM asks for an orderly end, and the second ends the
    program. A closed pipe is an error of write, and no signal.  */
void rp_cli_catch_signals (void);

/*  True after SIGINT or SIGTERM.  */
bool rp_cli_interrupted (void);

/*  Creates the client and waits for a broker, at most --wait-broker. max_open: requests that the
    command will have open at once. Returns 0, or the exit code after an error was written.  */
int rp_cli_connect (rp_cli_t *self, uint32_t max_open);

/*  Creates a call with the values of the options. NULL after an error was written; *code is the
    exit code.  */
rp_call_t *rp_cli_call_new (
  rp_cli_t *self, const char *service, const void *body, size_t size, int *code);

/*  Applies the options to a call. Returns 0, or the exit code after an error was written.  */
int rp_cli_prepare (rp_cli_t *self, rp_call_t *call);

/*  Submits a call, waits for its end and returns the reply. On an interrupt it cancels the request
    first, and the reply has RP_CANCELLED. NULL when the request could not be submitted (after an
    error was written) or after an interrupt (without one): *code is the exit code. service and size
    are for -v.  */
rp_reply_t *rp_cli_perform (
  rp_cli_t *self, const char *service, size_t size, rp_call_t **call_p, int *code);

/*  Takes the first argument as a service name. NULL after an error was written.  */
const char *rp_cli_service (rp_cli_t *self);

/*  ---- Errors and -v (telling.c) -----------------------------------------------------------  */

/*  The format of errors that rp_cli_usage writes from now on.  */
void rp_cli_tell_usage_as (rp_output_t format);

/*  Writes a usage error as one line, or with JSON as an object. Returns its exit code, 2.  */
int rp_cli_usage (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/*  Writes an error in the output format. Returns its exit code.  */
int rp_cli_tell (const rp_cli_t *self, const rp_error_t *error);

/*  Writes only the line of an error, to standard error, behind prefix ("call 3: ").  */
void rp_cli_tell_line (const rp_cli_t *self, const char *prefix, const rp_error_t *error);

/*  Returns the reply as an object: status, code, message, body, times, worker, and error if it is
    one. service: as on the command line.  */
json_t *rp_cli_reply_json (const rp_cli_t *self, const rp_reply_t *reply, const char *service);

/*  Write the lines of -v for a request that was sent, and for one that has ended.  */
void rp_cli_tell_request (const rp_cli_t *self, const char *service, size_t size, uint64_t id);
void rp_cli_tell_reply (const rp_cli_t *self, const rp_reply_t *reply);

/*  True if the output format is json or jsonl.  */
bool rp_cli_writes_json (const rp_cli_t *self);

#endif
