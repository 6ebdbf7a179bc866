/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/asked.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/units.h"
#include "common/base/utf8.h"
#include "common/wire/name.h"

bool rp_asked_wrong (rp_asked_t *self, const char *format, ...)
{
    char text[RP_QUESTION_WRONG_MAX];
    va_list list;
    va_start (list, format);
    vsnprintf (text, sizeof text, format, list);
    va_end (list);
    rp_utf8_escape (text, strlen (text), self->wrong, RP_QUESTION_WRONG_MAX);
    return false;
}

bool rp_asked_text (rp_asked_t *self, const char *name, const char **text)
{
    json_t *value = json_object_get (self->params, name);
    *text = json_string_value (value);
    return !value || *text || rp_asked_wrong (self, "\"%s\" has to be a text", name);
}

/*  Reads a number, or its digits.  */
static bool s_number (const json_t *value, uint64_t *number)
{
    const char *reason, *text = json_string_value (value);
    if (text)
        return rp_count_parse (text, number, &reason);
    if (!json_is_integer (value) || json_integer_value (value) < 0)
        return false;
    *number = (uint64_t) json_integer_value (value);
    return true;
}

bool rp_asked_count (
  rp_asked_t *self, const char *name, size_t smallest, size_t largest, size_t *value)
{
    const json_t *given = json_object_get (self->params, name);
    uint64_t number;
    if (!given)
        return true;
    if (!s_number (given, &number) || number < smallest || number > largest)
        return rp_asked_wrong (
          self, "\"%s\" has to be a number from %zu to %zu", name, smallest, largest);
    *value = (size_t) number;
    return true;
}

bool rp_asked_flag (rp_asked_t *self, const char *name, bool *value)
{
    const json_t *given = json_object_get (self->params, name);
    const char *text = json_string_value (given);
    if (!given)
        return true;
    bool yes = text ? strcmp (text, "true") == 0 : json_is_true (given);
    bool no = text ? strcmp (text, "false") == 0 : json_is_false (given);
    if (!yes && !no)
        return rp_asked_wrong (self, "\"%s\" has to be true or false", name);
    *value = yes;
    return true;
}

bool rp_asked_service (rp_asked_t *self, const char *name, const char **service)
{
    if (!rp_asked_text (self, name, service))
        return false;
    return !*service || rp_name_is_valid (*service, strlen (*service))
           || rp_asked_wrong (self, "\"%s\" has to be the name of a service", name);
}
