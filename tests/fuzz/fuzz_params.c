/*  Fuzzes what the broker makes of the query of a URL, after libmicrohttpd has taken it apart: whatever is
    taken can be written as JSON and is the same when it is read again.

    SPDX-License-Identifier: MPL-2.0

    Lines NAME=VALUE, each a parameter.
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/params.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_add (json_t *params, char *line)
{
    char wrong[RP_PARAM_WRONG_MAX];
    char *value = strchr (line, '=');
    size_t before = json_object_size (params);
    if (value)
        *value++ = '\0';
    bool good = rp_params_add (params, line, value, wrong);
    RP_CHECK (good == (json_object_size (params) == before + 1));
    RP_CHECK (good || wrong[0]);
    RP_CHECK (strnlen (wrong, sizeof wrong) < sizeof wrong);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    char *text = malloc (size + 1);
    json_t *params = json_object ();
    RP_CHECK (text && params);
    memcpy (text, data, size);
    text[size] = '\0';
    for (char *rest = text, *line; (line = strsep (&rest, "\n"));)
        s_add (params, line);
    char *written = json_dumps (params, JSON_COMPACT);
    json_t *again = json_loads (written, JSON_REJECT_DUPLICATES, NULL);
    RP_CHECK (written && again && json_equal (params, again));
    json_decref (again);
    free (written);
    json_decref (params);
    free (text);
    return 0;
}
