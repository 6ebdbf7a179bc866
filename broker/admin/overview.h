/*  Overview: what the dashboard shows of a broker, as JSON. The worst comes first, and the whole is one
    sentence: either that all is well, or the worst cause.

    SPDX-License-Identifier: MPL-2.0

    docs/OPERATIONS.md lists the members. Names are escaped as in broker/admin/json.h. Each function returns
    an object that the caller releases; NULL when out of memory. Out of memory in the middle leaves an object
    with a gap.
    Thread-safety: pure functions of a snapshot.
*/

#ifndef RP_OVERVIEW_H
#define RP_OVERVIEW_H

#include <jansson.h>

#include "broker/admin/snapshot.h"

/*  Bounds of the lists. What is left out is counted in "services_left_out" and so on.  */
#define RP_OVERVIEW_SERVICES_MAX 1000u
#define RP_OVERVIEW_PRINCIPALS_MAX 200u
#define RP_OVERVIEW_WORKERS_MAX 200u

/*  Returns the sentence, the sums, the services and the principals.  */
json_t *rp_overview_json (const rp_snapshot_t *snapshot);

/*  Returns one service with its workers and histograms. name: as an answer shows it, escaped. *found is
    false, and the result NULL, if there is no such service.  */
json_t *rp_overview_service_json (const rp_snapshot_t *snapshot, const char *name, bool *found);

#endif
