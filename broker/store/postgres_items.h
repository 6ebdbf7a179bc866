/*  Items: what a transaction of the backend for PostgreSQL consists of. An operation is sent as one or a few
    statements, and its result is read from their answers.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_POSTGRES_ITEMS_H
#define RP_POSTGRES_ITEMS_H

#include "broker/store/postgres_connection.h"

/*  Statements of one item at most.  */
#define RP_POSTGRES_STATEMENTS 5u

/*  Beside the operations: removes jobs whose time has passed, at most so many.  */
#define RP_POSTGRES_CLEAN RP_STORE_KIND_COUNT
#define RP_POSTGRES_CLEAN_JOBS 200u

typedef struct {
    unsigned kind; /* rp_store_kind_t, or CLEAN */
    rp_store_work_t work;
    rp_stored_t *result;
    uint64_t id;     /* PUT, RETRY: of the new job */
    int64_t now;     /* CLEAN */
    int64_t broker;  /* the number of this one */
    unsigned places; /* statements that were sent */
} rp_postgres_item_t;

/*  Sends the names of all statements to be prepared.  */
bool rp_postgres_items_prepare (rp_postgres_t *postgres);

/*  True if it changes something.  */
bool rp_postgres_item_writes (const rp_postgres_item_t *item);

/*  Sends it. False if the connection is lost, or without memory, with trouble.  */
bool rp_postgres_item_send (rp_postgres_t *postgres, rp_postgres_item_t *item);

/*  Reads the result; answers: of its statements, all DONE. False with trouble: without memory; or, with the outcome
    ABSENT, the answers contradict each other. Another transaction may have been committed between two of them,
    so that is to be run again, and only if it stays so is the store damaged.  */
bool rp_postgres_item_read (
  rp_postgres_t *postgres, const rp_postgres_item_t *item, PGresult *const *answers);

#endif
