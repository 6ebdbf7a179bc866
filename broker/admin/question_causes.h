/*  The question about services: explain.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; questions are answered in the thread of the core.
*/

#ifndef RP_QUESTION_CAUSES_H
#define RP_QUESTION_CAUSES_H

#include "broker/admin/asked.h"

/*  Of all services that have a cause, an answer has the worst.  */
#define RP_EXPLAINED_MAX 1000u

/*  Why requests wait or fail: of one service, or of all that have a cause, the worst first. An object; NULL
    if the parameters are wrong, or out of memory.  */
json_t *rp_question_explain (rp_asked_t *asked);

/*  job_services: services that have open jobs, or of which jobs have died of late, with the causes of that, the
    worst first.  */
json_t *rp_question_job_services (rp_asked_t *asked);

#endif
