/*  A connection to PostgreSQL, on which statements travel in pipelines: all that is sent is answered in one
    round trip. No call waits for an answer without end.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_POSTGRES_CONNECTION_H
#define RP_POSTGRES_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/backend.h"
#include "broker/store/libpq.h"

/*  How long the database may be silent while it is waited for, µs; and when it looks at all open jobs.  */
#define RP_POSTGRES_SILENT_US 10000000
#define RP_POSTGRES_SILENT_LONG_US 120000000

typedef struct {
    const rp_libpq_t *pq;
    PGconn *connection;
    int64_t silent_us; /* how long it may be silent */
    char state[8];     /* SQLSTATE of the latest error */
    char trouble[RP_STORE_TEXT];
} rp_postgres_t;

/*  What an answer means for the store.  */
typedef enum {
    RP_POSTGRES_DONE,
    RP_POSTGRES_AGAIN,  /* another transaction is in its way; roll back, and run the same again */
    RP_POSTGRES_FULL,   /* no space */
    RP_POSTGRES_FENCED, /* the statement that looks at the epoch has failed */
    RP_POSTGRES_WRONG,  /* it was refused; trouble says why */
    RP_POSTGRES_LOST,   /* there is no connection any more */
} rp_postgres_answer_t;

/*  Checks a URL by libpq's own rules, and that it has no password. False with text.  */
bool rp_postgres_check_url (const char *url, char *text);

/*  Connects, at most some seconds for each host. False with trouble.  */
bool rp_postgres_connect (rp_postgres_t *self, const char *url);
void rp_postgres_disconnect (rp_postgres_t *self);

/*  False if it is known, without asking, that the connection is gone.  */
bool rp_postgres_is_alive (rp_postgres_t *self);

/*  Values for the parameters of a statement, in their order: numbers of 8 bytes, bytes, or NULL. They must be
    valid until the statement is sent.  */
#define RP_POSTGRES_PARAMETERS 20
typedef struct {
    int count;
    bool are_numbers[RP_POSTGRES_PARAMETERS];
    const char *bytes[RP_POSTGRES_PARAMETERS]; /* NULL: a number, or NULL */
    int sizes[RP_POSTGRES_PARAMETERS];
    uint64_t numbers[RP_POSTGRES_PARAMETERS]; /* in network order */
} rp_postgres_values_t;

void rp_postgres_add_number (rp_postgres_values_t *self, int64_t value);
void rp_postgres_add_bytes (rp_postgres_values_t *self, const void *data, size_t size);
void rp_postgres_add_null (rp_postgres_values_t *self);

/*  Statements to prepare: name, and a letter for the type of each parameter, n for a number, b for bytes.  */
bool rp_postgres_prepare (
  rp_postgres_t *self, const char *name, const char *types, const char *sql);

/*  Sends a prepared statement; or one of SQL with text for parameters, which may be NULL. False if the connection
    is lost.  */
bool rp_postgres_send (rp_postgres_t *self, const char *name, const rp_postgres_values_t *values);
bool rp_postgres_send_sql (
  rp_postgres_t *self, const char *sql, int count, const char *const *values);

/*  Asks the database for the answers to what was sent: after an error it skips what follows until the next sync.
    What was sent since the last sync, and outside of BEGIN and COMMIT, is one transaction.  */
bool rp_postgres_sync (rp_postgres_t *self);

/*  Waits for the answer to the next statement. *result is the caller's to clear, and NULL if it is LOST. After
    the first that is not DONE, all until the sync are WRONG, and leave trouble as it is.  */
rp_postgres_answer_t rp_postgres_take (rp_postgres_t *self, PGresult **result);
/*  Waits for the answer to a sync.  */
bool rp_postgres_take_sync (rp_postgres_t *self);

/*  Runs one statement of SQL by itself, with its sync.  */
rp_postgres_answer_t rp_postgres_run (
  rp_postgres_t *self, const char *sql, int count, const char *const *values, PGresult **result);

/*  Reads a number, or bytes, of a result in binary form. NULL: 0, or of size 0.  */
int64_t rp_postgres_number (const rp_postgres_t *self, const PGresult *result, int row, int column);
rp_store_span_t rp_postgres_bytes (
  const rp_postgres_t *self, const PGresult *result, int row, int column);

#endif
