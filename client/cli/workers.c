/*  riposte workers: lists the registered workers, and what each is doing.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>

#include "client/cli/every.h"
#include "client/cli/listing.h"

/*  Who has no key.  */
static const char s_anonymous[] = "anonymous";

/*  True if a worker of the answer has a key, or comes from a known user.  */
static bool s_has_principals (const json_t *answer)
{
    size_t index;
    json_t *worker;
    json_array_foreach (json_object_get (answer, "workers"), index, worker)
    {
        const char *principal = json_string_value (json_object_get (worker, "principal"));
        if (principal && strcmp (principal, s_anonymous) != 0)
            return true;
    }
    return false;
}

int rp_cli_workers (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"BROKER", RP_CELL_TEXT, "broker",
        NULL}, // the first, since a table of one broker is without it
      {"WORKER", RP_CELL_TEXT, "name", NULL}, {"SERVICE", RP_CELL_TEXT, "service", NULL},
      {"STATE", RP_CELL_TEXT, "state", NULL}, {"RUNNING", RP_CELL_SHARE, "running", "window"},
      {"OLDEST", RP_CELL_DURATION, "oldest_us", NULL},
      {"CONVERSATIONS", RP_CELL_COUNT, "conversations", NULL},
      {"REPLIES", RP_CELL_COUNT, "replies", NULL}, {"UP", RP_CELL_DURATION, "age_us", NULL},
      {"SILENT", RP_CELL_DURATION, "silent_us", NULL}, {"ADDRESS", RP_CELL_TEXT, "address", NULL},
      {"PRINCIPAL", RP_CELL_TEXT, "principal", NULL}, // the last, since a table may be without it
    };
    rp_listing_t listing = {.service = "riposte.workers",
      .list = "workers",
      .empty = "no workers; start one: riposte-worker upper -- tr a-z A-Z",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    int code = 0;
    if (!self->options.all) {
        listing.columns++;
        listing.column_count--;
    }
    json_t *answer = self->options.all ? rp_every_list (self, listing.service, listing.list, &code)
                                       : rp_listing_ask (self, listing.service, &code);
    if (!answer)
        return code;
    if (self->options.output == RP_OUTPUT_TABLE && !s_has_principals (answer))
        listing.column_count--;
    rp_listing_write (self, &listing, answer);
    return code;
}
