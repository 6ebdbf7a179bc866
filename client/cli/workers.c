/*  riposte workers: lists the registered workers, and what each is doing.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/listing.h"

int rp_cli_workers (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"WORKER", RP_CELL_TEXT, "name", NULL},
      {"SERVICE", RP_CELL_TEXT, "service", NULL},
      {"STATE", RP_CELL_TEXT, "state", NULL},
      {"RUNNING", RP_CELL_SHARE, "running", "window"},
      {"OLDEST", RP_CELL_DURATION, "oldest_us", NULL},
      {"CONVERSATIONS", RP_CELL_COUNT, "conversations", NULL},
      {"REPLIES", RP_CELL_COUNT, "replies", NULL},
      {"UP", RP_CELL_DURATION, "age_us", NULL},
      {"SILENT", RP_CELL_DURATION, "silent_us", NULL},
      {"ADDRESS", RP_CELL_TEXT, "address", NULL},
    };
    static const rp_listing_t listing = {.service = "riposte.workers",
      .list = "workers",
      .empty = "no workers; start one: riposte-worker upper -- tr a-z A-Z",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    return rp_listing_run (self, &listing);
}
