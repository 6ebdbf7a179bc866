/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/json_settings.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

/*  Returns a text; bytes that are not UTF-8, and what a terminal would obey, are escaped.  */
static json_t *s_text (const char *text)
{
    size_t size = strlen (text);
    char *escaped = malloc (4 * size + 1);
    if (!escaped)
        return NULL;
    rp_utf8_escape (text, size, escaped, 4 * size + 1);
    json_t *json = json_string (escaped);
    free (escaped);
    return json;
}

/*  Returns all texts of a value in one.  */
static json_t *s_value (const rp_setting_t *row, const void *values)
{
    char buffer[RP_SETTING_TEXT_MAX];
    json_t *joined = json_string ("");
    const char *text;
    for (size_t index = 0; joined && (text = rp_setting_text (row, values, index, buffer));
         index++) {
        json_t *one = s_text (text);
        json_t *longer = one ? json_sprintf ("%s%s%s", json_string_value (joined),
                           index > 0 ? "\n" : "", json_string_value (one))
                             : NULL;
        json_decref (one);
        json_decref (joined);
        joined = longer;
    }
    return joined;
}

/*  Returns one setting. NULL when out of memory.  */
static json_t *s_setting (
  const rp_settings_t *settings, size_t index, json_t *value, json_t *initial)
{
    const rp_setting_t *row = &settings->table->rows[index];
    char source[RP_SETTING_SOURCE_MAX];
    rp_setting_source_write (&settings->sources[index], row->path, source);
    json_t *from = s_text (source);
    return json_pack ("{s:s, s:O*, s:O*, s:o*, s:b}", "name", row->path, "value", value, "default",
      initial, "source", from, "reloadable", row->reloadable);
}

json_t *rp_json_settings (const rp_settings_t *settings, bool diff)
{
    json_t *list = json_array ();
    for (size_t index = 0; index < settings->table->count; index++) {
        const rp_setting_t *row = &settings->table->rows[index];
        char buffer[RP_UNITS_TEXT_MAX];
        const char *text = rp_setting_default (row, buffer);
        json_t *initial = s_text (text ? text : "");
        json_t *value = s_value (row, settings->values);
        if (!diff || !json_equal (value, initial))
            (void) json_array_append_new (list, s_setting (settings, index, value, initial));
        json_decref (value);
        json_decref (initial);
    }
    return json_pack ("{s:o}", "settings", list);
}
