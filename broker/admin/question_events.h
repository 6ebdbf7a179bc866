/*  The question about what has happened at the broker: events.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; questions are answered in the thread of the core.
*/

#ifndef RP_QUESTION_EVENTS_H
#define RP_QUESTION_EVENTS_H

#include "broker/admin/asked.h"

/*  The events after a number, as in broker/admin/events.h, and the broker's instance. An object; NULL if the
    parameters are wrong, or out of memory.  */
json_t *rp_question_events (rp_asked_t *asked);

#endif
