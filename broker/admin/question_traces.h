/*  The questions about requests: trace, slow.

    SPDX-License-Identifier: MPL-2.0

    Each returns an object; NULL if the parameters are wrong, or out of memory.
    Thread-safety: none; questions are answered in the thread of the core.
*/

#ifndef RP_QUESTION_TRACES_H
#define RP_QUESTION_TRACES_H

#include "broker/admin/asked.h"

/*  The requests that an id may mean, open ones first, then the latest.  */
json_t *rp_question_trace (rp_asked_t *asked);

/*  The requests that took longest, the slowest first.  */
json_t *rp_question_slow (rp_asked_t *asked);

#endif
