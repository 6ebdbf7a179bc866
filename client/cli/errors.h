/*  What went wrong, for people and for programs: one line (what, why, the next step), or a JSON
    object, and the exit code.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_ERRORS_H
#define RP_ERRORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/client.h>

typedef struct {
    int status;
    uint32_t code;       /* the application's own number; 0 is none */
    const char *service; /* what was asked for; NULL: nothing yet */
    const char *hint;    /* the nearest name that exists, or NULL */
    const char *why;     /* "" where nobody said */
    const char *server;  /* the endpoints */
    const char *next;    /* the next step, if it is not the usual one; NULL: it is */
} rp_error_t;

/*  What a reply says. The error points into reply, service and server.  */
rp_error_t rp_error_of (const rp_reply_t *reply, const char *service, const char *server);

/*  Large enough for a line with the longest text that a peer can send, made visible.  */
#define RP_ERROR_LINE_MAX 8192u

/*  Writes the line, without a newline, into buffer of RP_ERROR_LINE_MAX bytes, and returns it.
    What came from a peer cannot steer a terminal.  */
const char *rp_error_line (const rp_error_t *self, char *buffer);

/*  {"code": "NO_WORKER", "service": …, "hint": …, "message": …, "number": …}  */
json_t *rp_error_json (const rp_error_t *self);

#endif
