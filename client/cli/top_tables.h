/*  `riposte top` without a terminal: a table, an object or lines of CSV per interval.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the main thread.
*/

#ifndef RP_TOP_TABLES_H
#define RP_TOP_TABLES_H

#include "client/cli/cli.h"

/*  Runs until --count tables are written, a signal comes or the reader is gone; connected is the
    client of cli. Each table has the rates of the interval before it. A broker that does not answer
    is a line on standard error in place of a table. Returns the exit code: of the last round.  */
int rp_top_tables (rp_cli_t *cli);

#endif
