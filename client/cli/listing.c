/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/grid.h"
#include "client/cli/text.h"
#include "common/base/units.h"
#include "common/program/instant.h"

/*  A name, or two numbers with a slash.  */
#define S_CELL_MAX 256u

int rp_listing_check (const rp_cli_t *self)
{
    if (self->arguments.count == 0)
        return 0;
    return rp_cli_usage (
      "%s takes no argument, not \"%s\"", self->arguments.command->name, self->arguments.items[0]);
}

json_t *rp_listing_ask (rp_cli_t *self, const char *service, int *code)
{
    *code = rp_listing_check (self);
    if (*code == 0)
        *code = rp_cli_connect (self, 1);
    return *code == 0 ? rp_listing_ask_again (self, service, code) : NULL;
}

/*  Asks with parameters; "": none.  */
static json_t *s_ask (rp_cli_t *self, const char *service, const char *params, int *code)
{
    size_t size = strlen (params);
    rp_call_t *call = rp_cli_call_new (self, service, params, size, code);
    rp_reply_t *reply = call ? rp_cli_perform (self, service, size, &call, code) : NULL;
    if (!reply)
        return NULL;
    rp_error_t error = rp_error_of (reply, service, self->options.server);
    json_t *answer = rp_listing_answer (reply, &error);
    *code = answer ? 0 : rp_cli_tell (self, &error);
    rp_reply_destroy (&reply);
    return answer;
}

json_t *rp_listing_ask_again (rp_cli_t *self, const char *service, int *code)
{
    return s_ask (self, service, "", code);
}

json_t *rp_listing_ask_with (rp_cli_t *self, const char *service, json_t *params, int *code)
{
    char *text = params ? json_dumps (params, JSON_COMPACT) : NULL;
    json_decref (params);
    if (!text)
        rp_output_no_memory ();
    *code = rp_cli_connect (self, 1);
    json_t *answer = *code == 0 ? s_ask (self, service, text, code) : NULL;
    free (text);
    return answer;
}

json_t *rp_listing_answer (const rp_reply_t *reply, rp_error_t *error)
{
    if (error->status != RP_OK)
        return NULL;
    json_t *answer = json_loadb (rp_reply_body (reply), rp_reply_size (reply), 0, NULL);
    if (json_is_object (answer))
        return answer;
    json_decref (answer);
    error->status = RP_INVALID;
    error->why = "its answer is not JSON that this program understands";
    return NULL;
}

static void s_format_rate (double rate, char *cell)
{
    if (rate >= 0.1)
        rp_rate_format (cell, (uint64_t) (rate * 1000 + 0.5));
    else if (rate > 0)
        snprintf (cell, S_CELL_MAX, "%.2f/s", rate);
    else
        snprintf (cell, S_CELL_MAX, "-");
}

static void s_format_cell (const rp_column_t *column, const json_t *item, char *cell)
{
    const char *text = json_string_value (json_object_get (item, column->field));
    json_int_t number = rp_output_number (item, column->field);
    switch (column->cell) {
        case RP_CELL_COUNT:
            snprintf (cell, S_CELL_MAX, "%" JSON_INTEGER_FORMAT "%s", number,
              column->second && json_is_true (json_object_get (item, column->second)) ? "+" : "");
            break;
        case RP_CELL_SHARE:
            snprintf (cell, S_CELL_MAX, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, number,
              rp_output_number (item, column->second));
            break;
        case RP_CELL_DURATION:
            if (number > 0)
                rp_duration_format (cell, number);
            else
                snprintf (cell, S_CELL_MAX, "-");
            break;
        case RP_CELL_INSTANT:
            rp_instant_format (cell, S_CELL_MAX, number);
            break;
        case RP_CELL_FLAG:
            snprintf (cell, S_CELL_MAX, "%s",
              json_is_true (json_object_get (item, column->field)) ? "yes" : "no");
            break;
        case RP_CELL_RATE:
            s_format_rate (json_number_value (json_object_get (item, column->field)), cell);
            break;
        case RP_CELL_TEXT:
        default:
            snprintf (cell, S_CELL_MAX, "%s", text ? text : "");
            break;
    }
}

static void s_write_table (const rp_cli_t *self, const rp_listing_t *listing, const json_t *items)
{
    const char *titles[RP_LISTING_COLUMNS_MAX];
    bool right[RP_LISTING_COLUMNS_MAX];
    for (size_t at = 0; at < listing->column_count; at++) {
        rp_cell_t cell = listing->columns[at].cell;
        titles[at] = listing->columns[at].title;
        right[at] = cell != RP_CELL_TEXT && cell != RP_CELL_FLAG && cell != RP_CELL_INSTANT;
    }
    rp_grid_t *grid = rp_grid_new (titles, right, listing->column_count);
    size_t index;
    json_t *item;
    bool good = grid != NULL;
    json_array_foreach (items, index, item)
    {
        char texts[RP_LISTING_COLUMNS_MAX][S_CELL_MAX];
        const char *cells[RP_LISTING_COLUMNS_MAX];
        for (size_t at = 0; at < listing->column_count; at++) {
            s_format_cell (&listing->columns[at], item, texts[at]);
            cells[at] = texts[at];
        }
        good = good && rp_grid_add (grid, cells);
    }
    if (!good)
        rp_output_no_memory ();
    rp_grid_print (grid, stdout, self->out.bold, self->out.reset);
    rp_grid_destroy (&grid);
}

static void s_write_csv_field (const json_t *item, const char *field)
{
    const json_t *value = json_object_get (item, field);
    if (json_is_string (value))
        rp_text_csv (stdout, json_string_value (value), json_string_length (value));
    else if (json_is_boolean (value))
        fputs (json_is_true (value) ? "true" : "false", stdout);
    else if (json_is_real (value))
        printf ("%.3f", json_real_value (value));
    else if (!json_is_null (value))
        printf ("%" JSON_INTEGER_FORMAT, json_integer_value (value));
}

/*  item NULL: writes the names of the columns.  */
static void s_write_csv_line (const rp_listing_t *listing, const json_t *item)
{
    const char *joint = "";
    for (size_t at = 0; at < listing->column_count; at++) {
        const char *fields[] = {listing->columns[at].field, listing->columns[at].second};
        for (size_t part = 0; part < 2 && fields[part]; part++) {
            fputs (joint, stdout);
            if (item)
                s_write_csv_field (item, fields[part]);
            else
                fputs (fields[part], stdout);
            joint = ",";
        }
    }
    putchar ('\n');
}

static void s_write (const rp_cli_t *self, const rp_listing_t *listing, const json_t *items)
{
    size_t index;
    json_t *item;
    if (self->options.output == RP_OUTPUT_CSV) {
        s_write_csv_line (listing, NULL);
        json_array_foreach (items, index, item) s_write_csv_line (listing, item);
        return;
    }
    if (self->options.output == RP_OUTPUT_JSONL) {
        json_array_foreach (items, index, item)
          rp_output_json (RP_OUTPUT_JSONL, json_incref (item));
        return;
    }
    if (json_array_size (items) > 0)
        s_write_table (self, listing, items);
    else if (!self->options.quiet)
        fprintf (stderr, "%s\n", listing->empty);
}

void rp_listing_write (const rp_cli_t *self, const rp_listing_t *listing, json_t *answer)
{
    if (self->options.output == RP_OUTPUT_JSON)
        rp_output_json (RP_OUTPUT_JSON, json_incref (answer));
    else
        s_write (self, listing, json_object_get (answer, listing->list));
    json_decref (answer);
}

int rp_listing_run (rp_cli_t *self, const rp_listing_t *listing)
{
    int code = 0;
    json_t *answer = rp_listing_ask (self, listing->service, &code);
    if (!answer)
        return code;
    rp_listing_write (self, listing, answer);
    return 0;
}
