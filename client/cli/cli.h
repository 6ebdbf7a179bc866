/*  riposte: what its commands share.

    SPDX-License-Identifier: MPL-2.0

    One file per command. Each gets the same rp_cli_t, writes its answer to standard output and one
    line per thing that went wrong to standard error (with -o json and jsonl an object to standard
    output instead), and returns the exit code of the program.

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

/*  Exit code when some requests of several failed; not a status of its own.  */
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
    rp_colours_t out;    /* of standard output */
    rp_colours_t err;    /* of standard error */
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

/*  SIGINT and SIGTERM ask for an orderly end from now on, a second one ends the program; a reader
    that closes its pipe is an error of write and not a death.  */
void rp_cli_catch_signals (void);

/*  True after SIGINT or SIGTERM.  */
bool rp_cli_interrupted (void);

/*  Creates the client and waits for a broker, for as long as --wait-broker says. max_open: requests
    the command will have open at once. Returns 0, or the exit code after it has told why.  */
int rp_cli_connect (rp_cli_t *self, uint32_t max_open);

/*  Creates a call with what the options say. NULL after it has told why; *code is the exit.  */
rp_call_t *rp_cli_call_new (
  rp_cli_t *self, const char *service, const void *body, size_t size, int *code);

/*  Applies what the options say to a call. Returns 0, or the exit code after it has told why.  */
int rp_cli_prepare (rp_cli_t *self, rp_call_t *call);

/*  Submits a call, waits for its end and returns the reply; on an interrupt the request is
    withdrawn first, and the reply says CANCELLED. NULL, after it has told why, when the request
    could not be submitted, and without a word after an interrupt: *code is the exit code then.
    service and size are for -v.  */
rp_reply_t *rp_cli_perform (
  rp_cli_t *self, const char *service, size_t size, rp_call_t **call_p, int *code);

/*  Takes the first argument as a service name. NULL after it has told what is wrong.  */
const char *rp_cli_service (rp_cli_t *self);

/*  ---- Telling (telling.c) -----------------------------------------------------------------  */

/*  How rp_cli_usage tells, from now on.  */
void rp_cli_tell_usage_as (rp_output_t format);

/*  Tells of wrong usage in one line, and with JSON as an object. Returns 2, the exit code for it.  */
int rp_cli_usage (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/*  Tells an error as the output format wants it, and returns its exit code.  */
int rp_cli_tell (const rp_cli_t *self, const rp_error_t *error);

/*  The line only, on standard error, behind prefix ("call 3: ").  */
void rp_cli_tell_line (const rp_cli_t *self, const char *prefix, const rp_error_t *error);

/*  The reply as an object: status, code, message, body, times, worker, and error if it is one.
    service as it was asked for.  */
json_t *rp_cli_reply_json (const rp_cli_t *self, const rp_reply_t *reply, const char *service);

/*  The line that -v writes when a request goes out, and the one when it has ended.  */
void rp_cli_tell_request (const rp_cli_t *self, const char *service, size_t size, uint64_t id);
void rp_cli_tell_reply (const rp_cli_t *self, const rp_reply_t *reply);

/*  True if the output format is one for programs that read JSON.  */
bool rp_cli_writes_json (const rp_cli_t *self);

#endif
