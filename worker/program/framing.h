/*  Parses what a persistent child writes to riposte-worker: answers, and the line that it can
    serve.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/WORKER.md, "A process that stays". A request, which persistent.c writes to the
    child, is

        RP/1 REQUEST id size time-left-ms attempt conversation
        key: value
        (empty line)
        body, size bytes

    and its answer

        RP/1 OK id size
        RP/1 ERROR id size [code [message]]

    (or RP/1 READY, which says that it can serve) followed by headers, an empty line and the body
    likewise. RP/1 END conversation, followed by an empty line, which persistent.c writes too, tells
    the child that a conversation is over; the child does not answer it.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_FRAMING_H
#define RP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/head.h"

/*  Bytes of an answer's first line and headers. Large enough for every set of headers that a reply
    may carry.  */
#define RP_FRAMING_HEAD_MAX 16384u

typedef enum {
    RP_FRAMING_MORE,   /* incomplete */
    RP_FRAMING_ANSWER, /* *answer is complete */
    RP_FRAMING_BROKEN, /* answer->reason says why; nothing after it can be read */
} rp_framing_result_t;

/*  The pointers point into the bytes that were parsed.  */
typedef struct {
    bool ready; /* RP/1 READY, which answers no request */
    bool ok;
    uint64_t id;
    uint32_t code;
    const char *message;
    size_t message_size;
    const char *body;
    size_t body_size;
    size_t size; /* of the whole answer */
    const char *reason;
    size_t headers_size;
    uint8_t headers[RP_WIRE_HEADERS_MAX]; /* as common/wire/headers.h has them */
} rp_framing_answer_t;

/*  Parses the answer at the front of size bytes.  */
rp_framing_result_t rp_framing_parse (
  const char *data, size_t size, size_t max_body, rp_framing_answer_t *answer);

#endif
