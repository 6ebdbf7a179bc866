/*  Columns: what a database found becomes rows of a result, whichever database it is.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_COLUMNS_H
#define RP_COLUMNS_H

#include "broker/store/rows.h"

/*  The columns of a job `j` that rp_columns_read_job reads, with what is known of it as an open one `o`
    and as one that has ended `f`; either is NULL.  */
#define RP_COLUMNS_JOB RP_COLUMNS_TERMS RP_COLUMNS_OPEN RP_COLUMNS_FINAL
#define RP_COLUMNS_TERMS                                                                           \
    "j.id, j.service, j.principal, j.key, j.digest, j.accepted, j.not_before, j.deadline,"         \
    " j.attempts, j.attempt_timeout, j.backoff, j.keep, j.flags, j.parent, length (j.body),"
#define RP_COLUMNS_OPEN " o.due, o.attempt, o.started, o.worker,"
#define RP_COLUMNS_FINAL                                                                           \
    " f.until, f.ended, f.status, f.code, f.attempt, f.dead, f.child, f.started, f.worker,"        \
    " f.text, length (f.body)"
/*  And those of its content.  */
#define RP_COLUMNS_CONTENT ", j.headers, j.frames, j.body, f.headers, f.frames, f.body"
/*  Both, of a job that is open.  */
#define RP_COLUMNS_WAITING                                                                         \
    RP_COLUMNS_TERMS RP_COLUMNS_OPEN                                                               \
      " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"                         \
      " j.headers, j.frames, j.body, NULL, NULL, NULL"

/*  Places of columns that are looked at before a row is made.  */
#define RP_COLUMN_ID 0
#define RP_COLUMN_SERVICE 1
#define RP_COLUMN_BODY_BYTES 14
#define RP_COLUMN_DUE 15
#define RP_COLUMN_OPEN_STARTED 17
#define RP_COLUMN_DEAD 24
#define RP_COLUMN_HEADERS 30

typedef struct rp_columns rp_columns_t;

/*  A row of a database: the beginning of whatever else its functions need.  */
struct rp_columns {
    bool (*is_null) (const rp_columns_t *self, int column);
    int64_t (*number) (const rp_columns_t *self, int column);        /* NULL: 0 */
    rp_store_span_t (*bytes) (const rp_columns_t *self, int column); /* NULL: of size 0 */
};

/*  Adds the row, content: with that too. NULL when out of memory.  */
rp_store_row_t *rp_columns_read_job (
  rp_store_rows_t *rows, const rp_columns_t *columns, bool content);

/*  Attempts of a job while they are read.  */
typedef struct {
    rp_store_attempt_t *list;
    size_t count;
    size_t room;
} rp_columns_attempts_t;

/*  Adds an attempt (number, started, ended, status, worker, text). False when out of memory.  */
bool rp_columns_read_attempt (rp_store_rows_t *rows,
  const rp_store_row_t *row,
  const rp_columns_t *columns,
  rp_columns_attempts_t *attempts);

/*  Gives the attempts to the job, before the one that it has.  */
void rp_columns_set_attempts (rp_store_row_t *row, rp_columns_attempts_t *attempts);

/*  Adds a service (name, waiting, running, due). False when out of memory.  */
bool rp_columns_read_service (rp_store_rows_t *rows, const rp_columns_t *columns);

/*  ---- Bodies ---------------------------------------------------------------------------------- */

/*  Frames as they are kept: one lies where it is; several are joined, with their sizes beside.  */
typedef struct {
    uint8_t *joined; /* sizes, 4 bytes each, the least significant first; then bytes; NULL: none */
    size_t sizes;
    const void *data; /* NULL: there is no frame */
    size_t size;
} rp_columns_body_t;

/*  The frames must outlive it. joined is the caller's to free. False when out of memory.  */
bool rp_columns_join (rp_columns_body_t *self, const rp_store_span_t *frames, size_t count);

#endif
