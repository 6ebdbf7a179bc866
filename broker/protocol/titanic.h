/*  Titanic: requests of Majordomo clients that outlive them, as jobs. A pure codec.

    SPDX-License-Identifier: MPL-2.0

    Three services take and give frames inside the bodies of Majordomo:

        titanic.request   service, body…  →  200, UUID
        titanic.reply     UUID            →  200, body…  or 300 while there is no reply
        titanic.close     UUID            →  200

    Each becomes a native request: one that is a job, riposte.result, riposte.remove. What the native answer
    means is the status in the first frame: 400 if asking again is of no use, 500 if it may be. Behind these
    two come the name and the text of the native status, for people.

    A UUID is the number of the job, which nobody guesses, in hexadecimal.

    Source: ZeroMQ RFC 9/TSP; docs/INTEROP.md; docs/PROTOCOL.md, section 9;
    docs/adr/0019-ids-of-jobs-are-not-counted.md.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_TITANIC_H
#define RP_TITANIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/protocol/dialect.h"
#include "common/wire/head.h"

#define RP_TITANIC_UUID 32u

/*  The native request that was made of one for Titanic.  */
typedef struct {
    uint32_t body;         /* number of the first frame of its body */
    uint16_t inlined_size; /* a body of its own instead: the question; 0: none */
    char inlined[46];
} rp_titanic_request_t;

/*  Makes it of the frames of a request whose name is one of Titanic's, body being the number of the first
    behind that name, and completes the head, which has that name. A request that names no service stays one
    for titanic.request, which the core refuses.  */
void rp_titanic_read (rp_titanic_request_t *self,
  const rp_frame_t *frames,
  uint32_t count,
  uint32_t body,
  rp_head_t *head);

/*  What a client gets instead of a native answer.  */
typedef struct {
    const char *status;             /* three digits; static */
    char uuid[RP_TITANIC_UUID + 1]; /* "": none */
    bool told;                      /* the name and the text of the native status follow */
    bool body;                      /* the body follows */
} rp_titanic_answer_t;

/*  Words the answer, an ACCEPTED or a REPLY, to a request for this name.  */
void rp_titanic_write (
  rp_titanic_answer_t *answer, const char *name, size_t name_size, const rp_head_t *head);

#endif
