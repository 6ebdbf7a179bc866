/*  riposte explain: says why requests wait or fail, the worst cause first.

    SPDX-License-Identifier: MPL-2.0

    The words are the broker's.
*/

#include <stdio.h>

#include "client/cli/listing.h"

static const char s_service[] = "riposte.explain";

static const char *s_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "?";
}

static void s_write_line (const rp_cli_t *self, const json_t *service, const json_t *of)
{
    printf ("%s%s:%s %s\n", self->out.bold, s_text (service, "name"), self->out.reset,
      s_text (of, "text"));
}

static void s_write_table (const rp_cli_t *self, const json_t *services)
{
    size_t index, at;
    json_t *service, *cause;
    if (json_array_size (services) == 0)
        puts ("nothing waits or fails");
    json_array_foreach (services, index, service)
    {
        const json_t *causes = json_object_get (service, "causes");
        if (json_array_size (causes) == 0)
            s_write_line (self, service, service);
        json_array_foreach (causes, at, cause) s_write_line (self, service, cause);
    }
}

/*  Returns the causes of all services, each with the name of its service.  */
static json_t *s_all_causes (const json_t *services)
{
    json_t *all = json_array ();
    size_t index, at;
    json_t *service, *cause;
    json_array_foreach (services, index, service)
    {
        json_array_foreach (json_object_get (service, "causes"), at, cause)
        {
            rp_output_set (cause, "service", json_incref (json_object_get (service, "name")));
            if (!all || json_array_append (all, cause) != 0)
                rp_output_no_memory ();
        }
    }
    json_t *answer = json_object ();
    rp_output_set (answer, "causes", all);
    return answer;
}

static void s_write_csv (const rp_cli_t *self, const json_t *services)
{
    static const rp_column_t columns[] = {
      {"", RP_CELL_TEXT, "service", NULL},
      {"", RP_CELL_TEXT, "kind", NULL},
      {"", RP_CELL_COUNT, "weight", NULL},
      {"", RP_CELL_COUNT, "waiting", NULL},
      {"", RP_CELL_DURATION, "since_us", NULL},
      {"", RP_CELL_DURATION, "oldest_us", NULL},
      {"", RP_CELL_COUNT, "workers", NULL},
      {"", RP_CELL_COUNT, "concerned", NULL},
      {"", RP_CELL_DURATION, "p50_us", NULL},
      {"", RP_CELL_RATE, "arrivals_per_s", NULL},
      {"", RP_CELL_COUNT, "more", NULL},
      {"", RP_CELL_TEXT, "worker", NULL},
      {"", RP_CELL_TEXT, "text", NULL},
    };
    static const rp_listing_t listing = {
      .list = "causes", .columns = columns, .column_count = sizeof columns / sizeof *columns};
    rp_listing_write (self, &listing, s_all_causes (services));
}

static void s_write (const rp_cli_t *self, const json_t *answer)
{
    size_t index;
    json_t *service;
    const json_t *services = json_object_get (answer, "services");
    if (self->options.output == RP_OUTPUT_JSON)
        rp_output_json (RP_OUTPUT_JSON, json_deep_copy (answer));
    else if (self->options.output == RP_OUTPUT_CSV)
        s_write_csv (self, services);
    else if (self->options.output == RP_OUTPUT_TABLE)
        s_write_table (self, services);
    else
        json_array_foreach (services, index, service)
          rp_output_json (RP_OUTPUT_JSONL, json_incref (service));
}

int rp_cli_explain (rp_cli_t *self)
{
    int code = 0;
    const rp_arguments_t *arguments = &self->arguments;
    if (arguments->count > 1)
        return rp_cli_usage ("explain takes one service, not \"%s\" too", arguments->items[1]);
    if (arguments->count && !rp_cli_service (self))
        return rp_status_exit_code (RP_USAGE);
    json_t *params = json_object ();
    if (arguments->count)
        rp_output_set (params, "service", rp_output_text (arguments->items[0]));
    json_t *answer = rp_listing_ask_with (self, s_service, params, &code);
    if (!answer)
        return code;
    s_write (self, answer);
    json_decref (answer);
    return 0;
}
