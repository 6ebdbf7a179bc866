/*  The lease on a store in PostgreSQL: one process has the store, and every transaction of its proves that it
    still does.

    SPDX-License-Identifier: MPL-2.0

    A broker that begins takes a new epoch. A transaction fails whose epoch is not the store's, so whoever had it
    before commits nothing more, whatever it believes. The lease only says when to take it: not from a broker that
    shows signs of life. One that was killed on this machine is known to be dead at once.

    Thread-safety: none.

    Source: docs/adr/0030-jobs-in-postgresql.md.
*/

#ifndef RP_POSTGRES_LEASE_H
#define RP_POSTGRES_LEASE_H

#include "broker/store/postgres_connection.h"

/*  The row of the broker that the jobs belong to.  */
#define RP_POSTGRES_BROKER 1

#define RP_POSTGRES_INSTANCE 33u
#define RP_POSTGRES_PROCESS 240u

typedef struct {
    char instance[RP_POSTGRES_INSTANCE]; /* this process, drawn at random */
    char process[RP_POSTGRES_PROCESS];   /* where it runs, and since when */
    int64_t epoch;
    int64_t commits; /* of the store, when the epoch was taken */
    int64_t last;    /* the last id that was given, likewise */
} rp_postgres_lease_t;

/*  Takes the store. Waits for a lease to end that nobody renews; false with text if somebody does.  */
bool rp_postgres_lease_take (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *endpoints, char *text);

/*  Takes a new epoch over a new connection: from now on nothing of the old one is committed, and what was, shows in
    `commits`. FENCED with trouble: another process has the store.  */
rp_postgres_answer_t rp_postgres_lease_take_again (
  rp_postgres_t *postgres, rp_postgres_lease_t *self);

/*  Ends the lease, so that the next broker does not wait.  */
void rp_postgres_lease_end (rp_postgres_t *postgres, const rp_postgres_lease_t *self);

#endif
