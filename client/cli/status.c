/*  riposte status: shows the broker in numbers.

    SPDX-License-Identifier: MPL-2.0

    Groups of numbers have the names that the broker gives them, so a broker with more counters
    needs no newer client.
*/

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/every.h"
#include "client/cli/listing.h"
#include "client/cli/text.h"
#include "common/base/units.h"

#define S_TITLE_WIDTH 12
/*  A path such as "limits.service_queue_bytes".  */
#define S_PATH_MAX 256u

static const char *s_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "?";
}

/*  Writes "OK 118  NO_WORKER 1", in as many lines as needed. all: with zeros.  */
static void s_write_numbers (const char *title, json_t *object, size_t width, bool all)
{
    const char *key;
    json_t *value;
    size_t used = 0; // columns of this line
    json_object_foreach (object, key, value)
    {
        if (!json_is_integer (value) || (json_integer_value (value) == 0 && !all))
            continue;
        char cell[S_PATH_MAX];
        snprintf (cell, sizeof cell, "  %s %" JSON_INTEGER_FORMAT, key, json_integer_value (value));
        if (used == 0 || used + strlen (cell) > width) {
            printf ("%s%-*s", used > 0 ? "\n" : "", S_TITLE_WIDTH, used > 0 ? "" : title);
            used = S_TITLE_WIDTH;
        }
        fputs (cell, stdout);
        used += strlen (cell);
    }
    if (used > 0)
        putchar ('\n');
}

static void s_write_endpoints (const json_t *endpoints)
{
    size_t index;
    json_t *endpoint;
    json_array_foreach (endpoints, index, endpoint)
    {
        const char *text = json_string_value (endpoint);
        printf ("%-*s  %s\n", S_TITLE_WIDTH, index == 0 ? "endpoints" : "", text ? text : "?");
    }
}

/*  Writes "on", and the groups of numbers that belong to it.  */
static void s_write_security (json_t *status, size_t width, bool all)
{
    json_t *security = json_object_get (status, "security");
    bool on = json_is_true (json_object_get (security, "on"));
    if (!on && !all)
        return;
    printf ("%-*s  %s  keys %" JSON_INTEGER_FORMAT "\n", S_TITLE_WIDTH, "security",
      on ? "on" : "off", rp_output_number (security, "keys"));
    s_write_numbers ("handshakes", json_object_get (status, "handshakes"), width, true);
}

/*  Writes a line for each principal; none if everybody is anonymous.  */
static void s_write_principals (const json_t *principals)
{
    size_t index;
    json_t *principal;
    const char *first = s_text (json_array_get (principals, 0), "name");
    if (json_array_size (principals) == 0
        || (json_array_size (principals) == 1 && strcmp (first, "anonymous") == 0))
        return;
    json_array_foreach (principals, index, principal)
    {
        const char *key;
        json_t *value;
        printf ("%-*s  \"%s\"", S_TITLE_WIDTH, index == 0 ? "principals" : "",
          s_text (principal, "name"));
        json_object_foreach (principal, key, value)
        {
            if (json_is_integer (value) && json_integer_value (value) != 0)
                printf ("  %s %" JSON_INTEGER_FORMAT, key, json_integer_value (value));
        }
        putchar ('\n');
    }
}

/*  Writes each text of a list on a line of its own.  */
static void s_write_texts (const char *what, const json_t *texts)
{
    size_t index;
    json_t *text;
    json_array_foreach (texts, index, text)
    {
        const char *line = json_string_value (text);
        printf ("%-*s  %s%s\n", S_TITLE_WIDTH, "", what, line ? line : "?");
    }
}

static void s_write_reload (const json_t *reload, bool all)
{
    json_int_t count = rp_output_number (reload, "count");
    const json_t *restart = json_object_get (reload, "needs_restart");
    if (count == 0 && !all)
        return;
    printf ("%-*s  %s  count %" JSON_INTEGER_FORMAT "  failed %" JSON_INTEGER_FORMAT "\n",
      S_TITLE_WIDTH, "reload", json_is_true (json_object_get (reload, "ok")) ? "ok" : "failed",
      count, rp_output_number (reload, "failed"));
    s_write_texts ("", json_object_get (reload, "problems"));
    s_write_texts ("needs a restart: ", restart);
}

/*  Writes a group of numbers; a group inside it gets a line of its own.  */
static void s_write_group (const char *title, json_t *group, size_t width, bool all)
{
    const char *key;
    json_t *inner;
    s_write_numbers (title, group, width, all);
    json_object_foreach (group, key, inner)
    {
        char longer[S_PATH_MAX];
        snprintf (longer, sizeof longer, "%s %s", title, key);
        if (json_is_object (inner))
            s_write_numbers (longer, inner, width, all);
    }
}

/*  Writes current values with their zeros; other values only if they are not zero, and limits only
    with -v.  */
static void s_write_table (const rp_cli_t *self, json_t *status)
{
    char uptime[RP_UNITS_TEXT_MAX];
    size_t width = rp_output_width (STDOUT_FILENO, 100);
    bool all = self->options.verbose;
    printf ("%sriposte-broker %s%s  pid %" JSON_INTEGER_FORMAT "  up %s%s\n", self->out.bold,
      s_text (status, "version"), self->out.reset, rp_output_number (status, "pid"),
      rp_duration_format (uptime, rp_output_number (status, "uptime_us")),
      json_is_true (json_object_get (status, "draining")) ? "  draining" : "");
    s_write_endpoints (json_object_get (status, "endpoints"));

    s_write_security (status, width, all);
    s_write_principals (json_object_get (status, "principals"));
    s_write_reload (json_object_get (status, "reload"), all);

    static const char *const own_line[] = {"pid", "uptime_us", "security", "handshakes", "reload"};
    for (size_t index = 0; index < sizeof own_line / sizeof *own_line; index++)
        (void) json_object_del (status, own_line[index]);
    s_write_numbers ("peers", status, width, true);
    const char *title;
    json_t *group;
    json_object_foreach (status, title, group)
    {
        bool now = strcmp (title, "gauges") == 0 || strcmp (title, "counts") == 0;
        if (json_is_object (group) && (all || strcmp (title, "limits") != 0))
            s_write_group (title, group, width, all || now);
        if (json_is_false (json_object_get (group, "reachable")))
            printf (
              "%-*s  the store is not reachable: these figures are of before\n", S_TITLE_WIDTH, "");
    }
}

/*  Writes a line per value, with its path.  */
static void s_write_csv (const json_t *value, const char *path)
{
    const char *key;
    size_t index;
    json_t *member;
    char longer[S_PATH_MAX];
    json_object_foreach ((json_t *) value, key, member)
    {
        snprintf (longer, sizeof longer, "%s%s%s", path, *path ? "." : "", key);
        s_write_csv (member, longer);
    }
    json_array_foreach (value, index, member)
    {
        snprintf (longer, sizeof longer, "%s.%zu", path, index);
        s_write_csv (member, longer);
    }
    if (json_is_object (value) || json_is_array (value))
        return;
    printf ("%s,", path);
    if (json_is_string (value))
        rp_text_csv (stdout, json_string_value (value), json_string_length (value));
    else if (json_is_boolean (value))
        fputs (json_is_true (value) ? "true" : "false", stdout);
    else
        printf ("%" JSON_INTEGER_FORMAT, json_integer_value (value));
    putchar ('\n');
}

/*  ---- Of every broker ------------------------------------------------------------------------ */

/*  What of a status can be added up: numbers, and groups of them.  */
static const char *const s_additive[] = {
  "clients", "workers", "conversations", "gauges", "counters", "finals", "unanswered"};

static void s_add_number (json_t *sum, const char *key, const json_t *value)
{
    if (json_is_integer (value))
        rp_output_set (
          sum, key, json_integer (rp_output_number (sum, key) + json_integer_value (value)));
}

static void s_add_up (json_t *total, const json_t *status)
{
    for (size_t index = 0; index < sizeof s_additive / sizeof *s_additive; index++) {
        const char *key = s_additive[index];
        const char *name;
        json_t *number;
        json_t *value = json_object_get (status, key);
        s_add_number (total, key, value);
        if (json_is_object (value) && !json_object_get (total, key))
            rp_output_set (total, key, json_object ());
        json_object_foreach (value, name, number)
          s_add_number (json_object_get (total, key), name, number);
    }
}

/*  Makes a row of a table.  */
static json_t *s_row (const json_t *status)
{
    static const char *const kept[] = {
      "broker", "version", "draining", "uptime_us", "clients", "workers", "conversations"};
    json_t *row = json_object ();
    for (size_t index = 0; index < sizeof kept / sizeof *kept; index++)
        if (json_object_get (status, kept[index]))
            rp_output_set (row, kept[index], json_incref (json_object_get (status, kept[index])));
    const json_t *gauges = json_object_get (status, "gauges");
    const json_t *counters = json_object_get (status, "counters");
    rp_output_set (row, "waiting", json_integer (rp_output_number (gauges, "waiting")));
    rp_output_set (row, "running", json_integer (rp_output_number (gauges, "running")));
    rp_output_set (row, "requests", json_integer (rp_output_number (counters, "requests")));
    return row;
}

static int s_take_status (rp_cli_t *one, json_t *status, void *arg)
{
    rp_output_set (status, "broker", rp_output_text (one->options.server));
    if (json_array_append (arg, status) != 0)
        rp_output_no_memory ();
    return 0;
}

static int s_run_all (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"BROKER", RP_CELL_TEXT, "broker", NULL},
      {"VERSION", RP_CELL_TEXT, "version", NULL},
      {"DRAINING", RP_CELL_FLAG, "draining", NULL},
      {"UP", RP_CELL_DURATION, "uptime_us", NULL},
      {"CLIENTS", RP_CELL_COUNT, "clients", NULL},
      {"WORKERS", RP_CELL_COUNT, "workers", NULL},
      {"CONVERSATIONS", RP_CELL_COUNT, "conversations", NULL},
      {"WAITING", RP_CELL_COUNT, "waiting", NULL},
      {"RUNNING", RP_CELL_COUNT, "running", NULL},
      {"REQUESTS", RP_CELL_COUNT, "requests", NULL},
    };
    static const rp_listing_t listing = {
      .list = "brokers", .columns = columns, .column_count = sizeof columns / sizeof *columns};
    size_t index;
    json_t *status;
    int code = rp_listing_check (self);
    if (code != 0)
        return code;
    rp_output_t output = (rp_output_t) self->options.output;
    bool whole = output == RP_OUTPUT_JSON || output == RP_OUTPUT_JSONL;
    json_t *brokers = json_array ();
    json_t *rows = json_array ();
    json_t *total = json_object ();
    if (!brokers || !rows || !total)
        rp_output_no_memory ();
    code = rp_every_ask (self, s_take_status, brokers);
    json_array_foreach (brokers, index, status)
    {
        s_add_up (total, status);
        (void) json_array_append_new (rows, whole ? json_incref (status) : s_row (status));
    }
    if (output == RP_OUTPUT_TABLE && json_array_size (rows) > 0) {
        rp_output_set (total, "broker", json_string ("total"));
        (void) json_array_append_new (rows, s_row (total));
    }
    json_t *answer = json_pack ("{s:o, s:o}", "brokers", rows, "total", total);
    if (!answer)
        rp_output_no_memory ();
    if (json_array_size (brokers) > 0)
        rp_listing_write (self, &listing, json_incref (answer));
    json_decref (answer);
    json_decref (brokers);
    return code;
}

int rp_cli_status (rp_cli_t *self)
{
    int code = 0;
    if (self->options.all)
        return s_run_all (self);
    json_t *status = rp_listing_ask (self, "riposte.status", &code);
    if (!status)
        return code;
    if (self->options.output == RP_OUTPUT_TABLE)
        s_write_table (self, status);
    else if (self->options.output == RP_OUTPUT_CSV) {
        puts ("name,value");
        s_write_csv (status, "");
    }
    else
        rp_output_json ((rp_output_t) self->options.output, json_incref (status));
    json_decref (status);
    return 0;
}
