/*  riposte slow: lists the requests that took longest, of those that ended.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/listing.h"

/*  The broker lists no more.  */
#define S_COUNT_MAX 100u

int rp_cli_slow (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"TOTAL", RP_CELL_DURATION, "total_us", NULL},
      {"QUEUE", RP_CELL_DURATION, "queue_us", NULL},
      {"WORK", RP_CELL_DURATION, "work_us", NULL},
      {"STATUS", RP_CELL_TEXT, "status", NULL},
      {"SERVICE", RP_CELL_TEXT, "service", NULL},
      {"ATTEMPT", RP_CELL_COUNT, "attempt", NULL},
      {"WORKER", RP_CELL_TEXT, "worker", NULL},
      {"CLIENT", RP_CELL_TEXT, "client", NULL},
      {"AGO", RP_CELL_DURATION, "ended_us_ago", NULL},
      {"ID", RP_CELL_TEXT, "id", NULL},
    };
    static const rp_listing_t listing = {.service = "riposte.slow",
      .list = "traces",
      .empty = "no such request has ended, or none is kept (limit trace_bytes)",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    int code = 0;
    const rp_arguments_t *arguments = &self->arguments;
    if (arguments->count > 1)
        return rp_cli_usage ("slow takes one service, not \"%s\" too", arguments->items[1]);
    if (self->options.count > S_COUNT_MAX)
        return rp_cli_usage ("--count of slow is at most %u", S_COUNT_MAX);
    if (arguments->count && !rp_cli_service (self))
        return rp_status_exit_code (RP_USAGE);
    json_t *params = json_object ();
    if (arguments->count)
        rp_output_set (params, "service", rp_output_text (arguments->items[0]));
    if (self->options.failed)
        rp_output_set (params, "failed", json_true ());
    if (self->options.count)
        rp_output_set (params, "most", json_integer ((json_int_t) self->options.count));
    json_t *answer = rp_listing_ask_with (self, listing.service, params, &code);
    if (answer)
        rp_listing_write (self, &listing, answer);
    return code;
}
