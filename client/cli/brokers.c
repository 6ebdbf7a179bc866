/*  riposte brokers: lists the brokers that share a store of jobs, and who has whose jobs.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/listing.h"

int rp_cli_brokers (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"ID", RP_CELL_COUNT, "id", NULL},
      {"ENDPOINTS", RP_CELL_TEXT, "endpoints", NULL},
      {"HOST", RP_CELL_TEXT, "host", NULL},
      {"STATE", RP_CELL_TEXT, "state", NULL},
      {"EPOCH", RP_CELL_COUNT, "epoch", NULL},
      {"JOINED", RP_CELL_INSTANT, "joined_us", NULL},
      {"LEASE", RP_CELL_INSTANT, "lease_until_us", NULL},
      {"JOBS", RP_CELL_COUNT, "jobs", "more"},
      {"HOLDER", RP_CELL_COUNT, "holder", NULL},
      {"ADOPTED", RP_CELL_INSTANT, "adopted_us", NULL},
    };
    const rp_listing_t listing = {.service = "riposte.brokers",
      .list = "brokers",
      .empty = "this broker keeps its jobs in a file, which it shares with no other",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    return rp_listing_run (self, &listing);
}
