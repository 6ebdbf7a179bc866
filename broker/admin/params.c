/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/params.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

static bool s_is_utf8 (const char *text, size_t size)
{
    uint32_t point;
    for (size_t at = 0, length; at < size; at += length)
        if ((length = rp_utf8_decode (text + at, size - at, &point)) == 0)
            return false;
    return true;
}

bool rp_params_add (
  json_t *params, const char *name, const char *value, char wrong[RP_PARAM_WRONG_MAX])
{
    size_t size = strlen (name);
    size_t length = value ? strlen (value) : 0;
    wrong[0] = 0;
    if (size == 0 || size > RP_PARAM_NAME_MAX || !s_is_utf8 (name, size))
        snprintf (wrong, RP_PARAM_WRONG_MAX, "there is no parameter of such a name");
    else if (json_object_get (params, name))
        snprintf (wrong, RP_PARAM_WRONG_MAX, "\"%s\" is there twice", name);
    else if (length > RP_PARAM_VALUE_MAX)
        snprintf (wrong, RP_PARAM_WRONG_MAX, "\"%s\" is too long", name);
    else if (!s_is_utf8 (value, length))
        snprintf (wrong, RP_PARAM_WRONG_MAX, "\"%s\" is not UTF-8", name);
    return !wrong[0]
           && json_object_set_new (params, name, json_stringn (value ? value : "", length)) == 0;
}
