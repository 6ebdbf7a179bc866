/*  The settings of a broker as JSON: what is in force, and where each value came from.

    SPDX-License-Identifier: MPL-2.0

    Values and defaults are texts, as a file of settings has them, but without quotes: "16MiB". Those of a list
    are in one text, with a newline between two; "" is a setting that is not set. No setting is a secret:
    keys and rules are in files of their own, whose paths are shown.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_JSON_SETTINGS_H
#define RP_JSON_SETTINGS_H

#include <stdbool.h>

#include <jansson.h>

#include "common/tool/settings.h"

/*  Returns {"settings": [{"name", "value", "default", "source", "reloadable"}]}, in the order of the table. diff:
    only those whose values are not the defaults. NULL when out of memory.  */
json_t *rp_json_settings (const rp_settings_t *settings, bool diff);

#endif
