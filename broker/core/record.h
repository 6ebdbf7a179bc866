/*  Gives the history a journal record for each decision of the core, in order.

    SPDX-License-Identifier: MPL-2.0

    Without a history each function costs the test of one flag. Internal to the core.
*/

#ifndef RP_RECORD_H
#define RP_RECORD_H

#include "broker/core/state.h"

/*  The parts of the functions below that run only with a history.  */
void rp_record_add_session (
  rp_dispatch_t *self, rp_record_kind_t kind, const rp_session_t *session);
void rp_record_add_request (
  rp_dispatch_t *self, rp_record_kind_t kind, const rp_request_t *request, unsigned status);
void rp_record_add_refusal (
  rp_dispatch_t *self, const rp_session_t *client, uint64_t id, unsigned status);
void rp_record_add_late (rp_dispatch_t *self, const rp_session_t *worker, uint64_t token);

/*  JOIN, WINDOW, DRAIN, LEAVE.  */
static inline void rp_record_session (
  rp_dispatch_t *self, rp_record_kind_t kind, const rp_session_t *session)
{
    if (__builtin_expect (self->history, false))
        rp_record_add_session (self, kind, session);
}

/*  ACCEPT, DISPATCH, UNSENT, ANSWER, FREE, FINAL. To be called while the request still has the
    values of the record.  */
static inline void rp_record_request (
  rp_dispatch_t *self, rp_record_kind_t kind, const rp_request_t *request, unsigned status)
{
    if (__builtin_expect (self->history, false))
        rp_record_add_request (self, kind, request, status);
}

/*  REFUSE.  */
static inline void rp_record_refusal (
  rp_dispatch_t *self, const rp_session_t *client, uint64_t id, unsigned status)
{
    if (__builtin_expect (self->history, false))
        rp_record_add_refusal (self, client, id, status);
}

/*  LATE.  */
static inline void rp_record_late (rp_dispatch_t *self, const rp_session_t *worker, uint64_t token)
{
    if (__builtin_expect (self->history, false))
        rp_record_add_late (self, worker, token);
}

#endif
