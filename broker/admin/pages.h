/*  Pages: what the broker's HTTP has to read, by path. Each is written from one snapshot, or needs
    none.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: for the thread of broker/admin/http.h.
*/

#ifndef RP_PAGES_H
#define RP_PAGES_H

#include <stdbool.h>

#include <microhttpd.h>

#include "broker/admin/http_answers.h"
#include "broker/admin/snapshot.h"

/*  The metrics in both formats, of one snapshot.  */
typedef struct {
    rp_http_shared_t plain;
    rp_http_shared_t open;
} rp_page_metrics_t;

typedef struct {
    const char *path;
    bool bare; /* who may not see it gets it without data: the snapshot is NULL */
    /*  that the broker's loop turns, and whether it drains, is all that it says, to everybody; NULL: it wants a
        snapshot, and a token where there are keys  */
    enum MHD_Result (*life) (struct MHD_Connection *connection, bool draining);
    enum MHD_Result (*answer) (struct MHD_Connection *connection, const rp_snapshot_t *snapshot);
    /*  instead of it, for a text that is long and wanted by many  */
    enum MHD_Result (*share) (
      struct MHD_Connection *connection, const rp_snapshot_t *snapshot, rp_page_metrics_t *metrics);
} rp_page_t;

/*  There is another snapshot.  */
void rp_page_metrics_drop (rp_page_metrics_t *self);

/*  NULL: there is none at this path.  */
const rp_page_t *rp_page_find (const char *path);

#endif
