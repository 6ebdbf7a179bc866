/*  riposte trace: tells what happened to a request, and why it waited.

    SPDX-License-Identifier: MPL-2.0

    The words are the broker's.
*/

#include <stdio.h>
#include <string.h>

#include "client/cli/listing.h"
#include "client/cli/text.h"
#include "common/base/units.h"

static const char s_service[] = "riposte.trace";

static const char *s_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

/*  Writes "  title VALUE" if there is a value.  */
static void s_write_part (const char *title, const char *value)
{
    if (*value)
        printf ("  %s %s", title, value);
}

/*  Writes whose request it is, and what came of it.  */
static void s_write_title (const rp_cli_t *self, const json_t *trace)
{
    char total[RP_UNITS_TEXT_MAX], ago[RP_UNITS_TEXT_MAX];
    bool open = json_is_true (json_object_get (trace, "open"));
    const char *status = open ? "open" : s_text (trace, "status");
    const char *service = s_text (trace, "service");
    printf ("%s%s  %s%s", self->out.bold, *service ? service : "?",
      open || strcmp (status, "OK") == 0 ? "" : self->out.red, status);
    printf (
      "%s  %s", self->out.reset, rp_duration_format (total, rp_output_number (trace, "total_us")));
    if (!open)
        printf (", %s ago", rp_duration_format (ago, rp_output_number (trace, "ended_us_ago")));
    s_write_part (*s_text (trace, "job") ? "job" : "id", s_text (trace, "id"));
    if (*s_text (trace, "client"))
        printf ("  client %s/%s", s_text (trace, "client"), s_text (trace, "client_request"));
    if (strcmp (s_text (trace, "principal"), "anonymous") != 0)
        s_write_part ("principal", s_text (trace, "principal"));
    s_write_part ("request-id", s_text (trace, "request_id"));
    s_write_part ("trace-id", s_text (trace, "trace_id"));
    putchar ('\n');
}

/*  Writes a line for each event, with the time since the request was accepted.  */
static void s_write_events (const rp_cli_t *self, const json_t *events)
{
    char time[RP_UNITS_TEXT_MAX];
    size_t index;
    json_t *event;
    json_array_foreach (events, index, event)
    {
        rp_duration_format (time, rp_output_number (event, "at_us"));
        size_t width = rp_text_width (time, strlen (time));
        printf ("%s%*s%s%s  %s\n", self->out.dim, (int) (width < 10 ? 10 - width : 0), "", time,
          self->out.reset, s_text (event, "text"));
    }
}

static void s_write_table (const rp_cli_t *self, const json_t *traces)
{
    size_t index;
    json_t *trace;
    json_array_foreach (traces, index, trace)
    {
        if (index)
            putchar ('\n');
        s_write_title (self, trace);
        s_write_events (self, json_object_get (trace, "events"));
        if (rp_output_number (trace, "omitted"))
            printf ("%12s%" JSON_INTEGER_FORMAT " more attempts came to nothing\n", "",
              rp_output_number (trace, "omitted"));
    }
}

/*  Returns the events of all traces, each with the id of its request.  */
static json_t *s_all_events (const json_t *traces)
{
    json_t *all = json_array ();
    size_t index, at;
    json_t *trace, *event;
    json_array_foreach (traces, index, trace)
    {
        json_array_foreach (json_object_get (trace, "events"), at, event)
        {
            rp_output_set (event, "id", json_incref (json_object_get (trace, "id")));
            if (!all || json_array_append (all, event) != 0)
                rp_output_no_memory ();
        }
    }
    json_t *answer = json_object ();
    rp_output_set (answer, "events", all);
    return answer;
}

static void s_write_csv (const rp_cli_t *self, const json_t *traces)
{
    static const rp_column_t columns[] = {
      {"", RP_CELL_TEXT, "id", NULL},
      {"", RP_CELL_COUNT, "at_us", NULL},
      {"", RP_CELL_TEXT, "kind", NULL},
      {"", RP_CELL_COUNT, "us", NULL},
      {"", RP_CELL_TEXT, "wait", NULL},
      {"", RP_CELL_COUNT, "workers", NULL},
      {"", RP_CELL_COUNT, "attempt", NULL},
      {"", RP_CELL_TEXT, "worker", NULL},
      {"", RP_CELL_TEXT, "status", NULL},
      {"", RP_CELL_TEXT, "text", NULL},
    };
    static const rp_listing_t listing = {
      .list = "events", .columns = columns, .column_count = sizeof columns / sizeof *columns};
    rp_listing_write (self, &listing, s_all_events (traces));
}

static void s_write (const rp_cli_t *self, const json_t *answer)
{
    size_t index;
    json_t *trace;
    const json_t *traces = json_object_get (answer, "traces");
    if (self->options.output == RP_OUTPUT_JSON)
        rp_output_json (RP_OUTPUT_JSON, json_deep_copy (answer));
    else if (self->options.output == RP_OUTPUT_CSV)
        s_write_csv (self, traces);
    else if (self->options.output == RP_OUTPUT_TABLE)
        s_write_table (self, traces);
    else
        json_array_foreach (traces, index, trace)
          rp_output_json (RP_OUTPUT_JSONL, json_incref (trace));
}

int rp_cli_trace (rp_cli_t *self)
{
    int code = 0;
    if (self->arguments.count != 1)
        return rp_cli_usage ("trace wants the id of one request, such as call -v shows");
    const char *id = self->arguments.items[0];
    json_t *params = json_object ();
    rp_output_set (params, "id", rp_output_text (id));
    json_t *answer = rp_listing_ask_with (self, s_service, params, &code);
    if (!answer)
        return code;
    bool found = json_array_size (json_object_get (answer, "traces")) > 0;
    if (found || rp_cli_writes_json (self))
        s_write (self, answer);
    json_decref (answer);
    if (!found && !rp_cli_writes_json (self))
        rp_cli_fail (
          "the broker knows no request \"%s\": none came, or it ended too long ago (limit "
          "trace_bytes)",
          id);
    return found ? 0 : 1;
}
