/*  All: requests for all workers of a service. What each answers is a line of JSON, which waits here until the peer takes
    it, and counts for --total-body until then.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/HTTP.md. Thread-safety: none.
*/

#ifndef RP_GATEWAY_ALL_H
#define RP_GATEWAY_ALL_H

#include "gateway/state.h"

/*  Answers that have come and that the peer has not taken whole.  */
typedef struct {
    rp_list_t lines;
    size_t given; /* bytes of the first line, which is being written; 0: it is not */
    int rc;       /* of the last rp_stream_read_answer */
} rp_http_all_t;

/*  True if a header says that all workers are to get the request (Riposte-All, Riposte-First, Riposte-Quorum).  */
bool rp_http_all_is_wanted (const rp_http_exchange_t *self);

/*  Sets what the request's headers say of it. False with a fault for people.  */
bool rp_http_all_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size);

void rp_http_all_init (rp_http_all_t *self);

/*  Frees what was not taken; it counts no more with its exchange's other bytes.  */
void rp_http_all_clear (rp_http_all_t *self);

/*  Takes the answers that have come: to be called whenever the stream has news. False if there is no room for one
    (option --total-body).  */
bool rp_http_all_gather (rp_http_all_t *self, rp_http_exchange_t *exchange, rp_stream_t *stream);

/*  Gives the next line, which ends with NUL, and is valid until the next call; the one before counts no more. Without
    one returns as the last rp_stream_read_answer: RP_TIMED_OUT or RP_CLOSED.  */
int rp_http_all_next (rp_http_all_t *self, rp_http_exchange_t *exchange, char **text);

#endif
