/*  JSON: what a snapshot says, as objects whose members broker/admin/admin.h lists.

    SPDX-License-Identifier: MPL-2.0

    Each returns an object that the caller releases; NULL when out of memory. Out of memory in the middle
    leaves an object with a gap.
    Thread-safety: pure functions of a snapshot.
*/

#ifndef RP_JSON_H
#define RP_JSON_H

#include <jansson.h>

#include "broker/admin/snapshot.h"

/*  How answers are written, wherever they go: more digits of a rate would be noise.  */
#define RP_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION (9))

json_t *rp_json_status (const rp_snapshot_t *snapshot);
json_t *rp_json_services (const rp_snapshot_t *snapshot);
json_t *rp_json_workers (const rp_snapshot_t *snapshot);

/*  Parts of those.  */
json_t *rp_json_service (const rp_snapshot_service_t *self);
json_t *rp_json_worker (const rp_snapshot_worker_t *self);
json_t *rp_json_principal (const rp_principal_info_t *info);

/*  Jobs and their store; null without one.  */
json_t *rp_json_kept (const rp_snapshot_t *snapshot);

/*  Returns an array of the lines of a text; NULL: none.  */
json_t *rp_json_lines (const char *text);

#endif
