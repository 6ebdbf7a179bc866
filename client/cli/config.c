/*  riposte config: shows the settings that are in force in a broker, and where each came from.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdlib.h>
#include <string.h>

#include "client/cli/listing.h"

/*  For people: a setting that is not set is "-", and the texts of a list are on one line.  */
static void s_make_readable (json_t *setting, const char *field)
{
    json_t *value = json_object_get (setting, field);
    const char *text = json_string_value (value);
    char *copy = text ? strdup (*text ? text : "-") : NULL;
    if (text && !copy)
        rp_output_no_memory ();
    for (char *at = copy; at && *at; at++)
        if (*at == '\n')
            *at = ' ';
    if (copy)
        rp_output_set (setting, field, json_string (copy));
    free (copy);
}

int rp_cli_config (rp_cli_t *self)
{
    static const rp_column_t columns[] = {
      {"SETTING", RP_CELL_TEXT, "name", NULL}, {"VALUE", RP_CELL_TEXT, "value", NULL},
      {"DEFAULT", RP_CELL_TEXT, "default", NULL}, {"RELOAD", RP_CELL_FLAG, "reloadable", NULL},
      {"FROM", RP_CELL_TEXT, "source", NULL}, // the last, since the name of a file may be long
    };
    static const rp_listing_t listing = {.list = "settings",
      .empty = "all settings have their defaults",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    const rp_arguments_t *given = &self->arguments;
    bool diff = given->count > 0 && strcmp (given->items[0], "diff") == 0;
    if (given->count > diff)
        return rp_cli_usage (
          "config takes no argument but diff, not \"%s\"", given->items[given->count - 1]);
    int code = 0;
    json_t *answer =
      rp_listing_ask_with (self, "riposte.config", json_pack ("{s:b}", "diff", diff), &code);
    if (!answer)
        return code;
    size_t index;
    json_t *setting;
    if (self->options.output == RP_OUTPUT_TABLE)
        json_array_foreach (json_object_get (answer, "settings"), index, setting)
        {
            s_make_readable (setting, "value");
            s_make_readable (setting, "default");
        }
    rp_listing_write (self, &listing, answer);
    return 0;
}
