/*  Whether traces tell the truth: the timeline of each request that ends against the journal records of it.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef TIMELINE_H
#define TIMELINE_H

#include "tests/support/audit.h"

/*  Of one seed.  */
void timeline_begin (void);

/*  Takes an action of the core, after the event that it follows from. Calls audit_fail if a request
    ends whose timeline is not what was recorded.  */
void timeline_action (audit_t *audit, const rp_action_t *action);

#endif
