/*  riposte services: lists the services that workers offer, and the state of each.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/listing.h"

int rp_cli_services (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"SERVICE", RP_CELL_TEXT, "name", NULL},
      {"WORKERS", RP_CELL_COUNT, "workers", NULL},
      {"RUNNING", RP_CELL_SHARE, "running", "window"},
      {"WAITING", RP_CELL_COUNT, "waiting", NULL},
      {"OLDEST", RP_CELL_DURATION, "oldest_us", NULL},
      {"RATE", RP_CELL_RATE, "rate_per_s", NULL},
      {"P50", RP_CELL_DURATION, "p50_us", NULL},
      {"P99", RP_CELL_DURATION, "p99_us", NULL},
      {"ERRORS", RP_CELL_RATE, "failed_per_s", NULL},
      {"CONVERSATIONS", RP_CELL_COUNT, "conversations", NULL},
      {"REQUESTS", RP_CELL_COUNT, "requests", NULL},
      {"FAILED", RP_CELL_COUNT, "failed", NULL},
    };
    static const rp_listing_t listing = {.service = "riposte.services",
      .list = "services",
      .empty = "no services: no worker is there; start one: riposte-worker upper -- tr a-z A-Z",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    return rp_listing_run (self, &listing);
}
