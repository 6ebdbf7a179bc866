/*  Rows of SQLite become rows of a result.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SQLITE_ROWS_H
#define RP_SQLITE_ROWS_H

#include <sqlite3.h>

#include "broker/store/rows.h"

/*  The columns of a job `j` that rp_sqlite_rows_read reads, with what is known of it as an open one `o`
    and as one that has ended `f`; either is NULL.  */
#define RP_SQLITE_JOB RP_SQLITE_TERMS RP_SQLITE_OPEN RP_SQLITE_FINAL
#define RP_SQLITE_TERMS                                                                            \
    "j.id, j.service, j.principal, j.key, j.digest, j.accepted, j.not_before, j.deadline,"         \
    " j.attempts, j.attempt_timeout, j.backoff, j.keep, j.flags, j.parent, length (j.body),"
#define RP_SQLITE_OPEN " o.due, o.attempt, o.started, o.worker,"
#define RP_SQLITE_FINAL                                                                            \
    " f.until, f.ended, f.status, f.code, f.attempt, f.dead, f.child, f.started, f.worker,"        \
    " f.text, length (f.body)"
/*  And those of its content.  */
#define RP_SQLITE_CONTENT ", j.headers, j.frames, j.body, f.headers, f.frames, f.body"
/*  Both, of a job that is open.  */
#define RP_SQLITE_WAITING                                                                          \
    RP_SQLITE_TERMS RP_SQLITE_OPEN                                                                 \
      " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"                         \
      " j.headers, j.frames, j.body, NULL, NULL, NULL"

/*  Adds the row at which a statement is, content: with that too. NULL when out of memory.  */
rp_store_row_t *rp_sqlite_rows_read (rp_store_rows_t *rows, sqlite3_stmt *statement, bool content);

/*  Adds, as the attempts of a job, those that a statement gives (number, started, ended, status,
    worker, text), before the one that it has. Returns SQLite's code: SQLITE_DONE.  */
int rp_sqlite_rows_read_attempts (
  rp_store_rows_t *rows, rp_store_row_t *row, sqlite3_stmt *statement);

/*  Adds a service (name, waiting, running, due). False when out of memory.  */
bool rp_sqlite_rows_read_service (rp_store_rows_t *rows, sqlite3_stmt *statement);

/*  The sizes of frames as they are kept: 4 bytes each, the least significant first. out has room for
    all.  */
void rp_sqlite_rows_put_sizes (const rp_store_span_t *frames, size_t count, uint8_t *out);

#endif
