/*  Rows of SQLite become rows of a result.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SQLITE_ROWS_H
#define RP_SQLITE_ROWS_H

#include <sqlite3.h>

#include "broker/store/columns.h"

/*  Adds the row at which a statement is, content: with that too. NULL when out of memory.  */
rp_store_row_t *rp_sqlite_rows_read (rp_store_rows_t *rows, sqlite3_stmt *statement, bool content);

/*  Adds, as the attempts of a job, those that a statement gives (number, started, ended, status,
    worker, text), before the one that it has. Returns SQLite's code: SQLITE_DONE.  */
int rp_sqlite_rows_read_attempts (
  rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement);

/*  Adds a service (name, waiting, running, due). False when out of memory.  */
bool rp_sqlite_rows_read_service (rp_store_rows_t *rows, sqlite3_stmt *statement);

#endif
