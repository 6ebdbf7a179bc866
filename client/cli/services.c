/*  riposte services: lists the services that workers offer, and the state of each.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>

#include "client/cli/every.h"
#include "client/cli/listing.h"

/*  Returns what is said of a service in a list; NULL if it is not there.  */
static json_t *s_find (const json_t *services, const char *name)
{
    size_t index;
    json_t *service;
    json_array_foreach (services, index, service)
    {
        const char *other = json_string_value (json_object_get (service, "name"));
        if (name && other && strcmp (name, other) == 0)
            return service;
    }
    return NULL;
}

/*  Adds the numbers of one broker. Of ages and of quantiles, which cannot be added, it takes the largest.  */
static void s_add_up (json_t *sum, json_t *service)
{
    const char *key;
    json_t *value;
    json_object_foreach (service, key, value)
    {
        double one = json_number_value (json_object_get (sum, key));
        double other = json_number_value (value);
        bool is_time = strstr (key, "_us") != NULL;
        double both = !is_time ? one + other : one > other ? one : other;
        if (json_is_integer (value))
            rp_output_set (sum, key, json_integer ((json_int_t) both));
        else if (json_is_real (value))
            rp_output_set (sum, key, json_real (both));
    }
}

/*  Returns a service once, with the sums of all brokers. Takes over the reference.  */
static json_t *s_sums (json_t *answer)
{
    size_t index;
    json_t *service;
    json_t *sums = json_array ();
    json_array_foreach (json_object_get (answer, "services"), index, service)
    {
        json_t *sum = s_find (sums, json_string_value (json_object_get (service, "name")));
        (void) json_object_del (service, "broker");
        rp_output_set (service, "brokers", json_integer (1));
        if (sum)
            s_add_up (sum, service);
        else if (json_array_append (sums, service) != 0)
            rp_output_no_memory ();
    }
    json_decref (answer);
    return json_pack ("{s:o}", "services", sums);
}

int rp_cli_services (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"BROKERS", RP_CELL_COUNT, "brokers",
        NULL}, // the first, since a table of one broker is without it
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
    size_t left_out = self->options.all ? 0 : 1;
    const rp_listing_t listing = {.service = "riposte.services",
      .list = "services",
      .empty = "no services: no worker is there; start one: riposte-worker upper -- tr a-z A-Z",
      .columns = columns + left_out,
      .column_count = sizeof columns / sizeof *columns - left_out};
    if (!self->options.all)
        return rp_listing_run (self, &listing);
    int code = 0;
    json_t *answer = rp_every_list (self, listing.service, listing.list, &code);
    if (answer)
        rp_listing_write (self, &listing, s_sums (answer));
    return code;
}
