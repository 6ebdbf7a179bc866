/*  Jobs: what a request of HTTP says of a job, and what the broker says of it.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/HTTP.md. Thread-safety: none.
*/

#ifndef RP_GATEWAY_JOBS_H
#define RP_GATEWAY_JOBS_H

#include "gateway/state.h"

/*  True if the exchange asks the broker about a job, rather than a service.  */
bool rp_http_job_is_question (const rp_http_exchange_t *self);

/*  Reads how long the peer prefers to wait.  */
void rp_http_job_prefer (rp_http_exchange_t *self);

/*  True if the reply says that the job is not done yet, and the peer waits on.  */
bool rp_http_job_goes_on (const rp_http_exchange_t *self, int64_t now);

/*  Makes the question. The broker does not end it when it is cancelled, so it is short, and is asked
    again. NULL when out of memory.  */
rp_call_t *rp_http_job_question (rp_http_exchange_t *self);

/*  Makes the call a job, with the terms that the request's headers say, but for those that it has in
    common with other calls. False with a fault for people.  */
bool rp_http_job_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size);

/*  Makes the response to the reply, of JOB_SEND or of a question. NULL when out of memory. code: of
    HTTP.  */
struct MHD_Response *rp_http_job_answer (rp_http_exchange_t *self, unsigned *code);

#endif
