/*  Prometheus: what a snapshot says, in the text format 0.0.4 or as OpenMetrics.

    SPDX-License-Identifier: MPL-2.0

    The formats: broker/admin/exposition.h; docs/METRICS.md lists the names. Base units (seconds, bytes).
    No label holds the id of a client or a request, so the number of series is bounded by services,
    statuses and dialects.

    Thread-safety: a pure function of a snapshot and of what /proc says of this process.
*/

#ifndef RP_PROMETHEUS_H
#define RP_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/admin/snapshot.h"

/*  Writes the metrics. open: as OpenMetrics. The caller frees the text; NULL when out of memory.  */
char *rp_prometheus_write (const rp_snapshot_t *snapshot, bool open, size_t *size);

#endif
