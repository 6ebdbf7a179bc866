/*  Writes the texts about settings, from the table of common/tool/settings.h.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_SETTINGS_PAGES_H
#define RP_SETTINGS_PAGES_H

#include "common/tool/settings.h"

/*  Writes a file with every setting, its reason, its range and where its value came from. The file reads back
    to the same values.  */
void rp_settings_print (const rp_settings_t *settings, FILE *out);

/*  For --help settings.  */
void rp_settings_help (const rp_setting_table_t *table, FILE *out);

/*  The manual page PROGRAM.cfg(5).  */
void rp_settings_man (const rp_setting_table_t *table, FILE *out);

#endif
