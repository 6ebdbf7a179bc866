/*  An error for people and for programs: a line (what, why, next step) or JSON, and an exit code.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_ERRORS_H
#define RP_ERRORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/client.h>

typedef struct {
    int status;
    uint32_t code;       /* the application's own number; 0: none */
    const char *service; /* NULL: no service was asked for yet */
    const char *hint;    /* the nearest existing name, or NULL */
    const char *why;     /* "" if no reason is known */
    const char *server;  /* the endpoints */
    const char *next;    /* the next step; NULL: the usual one */
    const char *job;     /* the id of the job that ended so, or was asked for; NULL: none */
    bool asked;          /* it is the question about the job that ended so */
} rp_error_t;

/*  Makes an error of a reply. The error points into reply, service and server.  */
rp_error_t rp_error_of (const rp_reply_t *reply, const char *service, const char *server);

/*  Bytes for a line with the longest text that a peer can send, escaped.  */
#define RP_ERROR_LINE_MAX 8192u

/*  Writes the line, without a newline, into buffer of RP_ERROR_LINE_MAX bytes, and returns buffer.
    Text from a peer is escaped, so that it cannot control a terminal.  */
const char *rp_error_line (const rp_error_t *self, char *buffer);

/*  {"code": "NO_WORKER", "service": …, "job": …, "hint": …, "message": …, "number": …}  */
json_t *rp_error_json (const rp_error_t *self);

#endif
