/*  The lease of a broker on its jobs in a database of PostgreSQL that others may use too; every transaction of its
    proves that it still has them.

    SPDX-License-Identifier: MPL-2.0

    A broker that begins joins: it gets a number, and a row of its own, with an epoch. A transaction fails whose epoch is
    not the row's, and whoever takes a broker's jobs over adds one to it; so the former one commits nothing more,
    whatever it believes. The lease only says when to take over: not from a broker that shows signs of life. One
    that was killed on this machine is known to be dead at once.

    Thread-safety: none.

    Source: docs/adr/0031-several-brokers-on-one-database.md.
*/

#ifndef RP_POSTGRES_LEASE_H
#define RP_POSTGRES_LEASE_H

#include "broker/store/membership.h"
#include "broker/store/postgres_connection.h"

#define RP_POSTGRES_INSTANCE 33u
#define RP_POSTGRES_PROCESS 240u
/*  How people know a broker: number, endpoints, machine.  */
#define RP_POSTGRES_NAME 216u

typedef struct {
    int64_t id;                          /* of this broker; never given to another one */
    char instance[RP_POSTGRES_INSTANCE]; /* the same, drawn at random */
    char process[RP_POSTGRES_PROCESS];   /* where it runs, and since when */
    int64_t epoch;
    int64_t commits; /* that it has made, when the epoch was taken */
    bool gone;       /* FENCED: nobody knows any more how many */
} rp_postgres_lease_t;

/*  Joins the brokers of the store, as a new one without jobs. Trouble says what is wrong.  */
rp_postgres_answer_t rp_postgres_lease_join (
  rp_postgres_t *postgres, rp_postgres_lease_t *self, const char *endpoints);

/*  Takes a new epoch over a new connection: from now on nothing of the old one is committed, and what was, shows in
    `commits`. FENCED: another broker has taken over; `commits` is right too.  */
rp_postgres_answer_t rp_postgres_lease_take_again (
  rp_postgres_t *postgres, rp_postgres_lease_t *self);

/*  Looks at the other brokers, takes over the jobs of those that are gone, and appends their names to taken
    (RP_STORE_TEXT bytes): SERVICES tells of their jobs. FENCED: this broker's own have been taken over.  */
rp_postgres_answer_t rp_postgres_lease_adopt (rp_postgres_t *postgres,
  const rp_postgres_lease_t *self,
  rp_membership_t *membership,
  char *taken);

/*  Writes where this broker is to be found, for people.  */
rp_postgres_answer_t rp_postgres_lease_rename (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, const char *endpoints);

/*  Before SERVICES: has the lease last until that is answered, if it has jobs to tell of that were taken over. It looks at
    each of them, and its transaction renews the lease only as it ends, to what it is otherwise.  */
rp_postgres_answer_t rp_postgres_lease_lengthen (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self);

/*  Looks whether others have ended jobs that are this broker's: SERVICES tells of them.  */
rp_postgres_answer_t rp_postgres_lease_look_for_ended (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self, bool *any);

/*  Removes what is known of brokers that are long gone, and whose jobs have all ended, as their holders know.  */
rp_postgres_answer_t rp_postgres_lease_forget (
  rp_postgres_t *postgres, const rp_postgres_lease_t *self);

/*  Says in the row that this broker has ended, so that its jobs are taken over at once.  */
void rp_postgres_lease_end (rp_postgres_t *postgres, const rp_postgres_lease_t *self);

#endif
