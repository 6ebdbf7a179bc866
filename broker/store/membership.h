/*  Membership: what a broker that shares a database with others does about them, and when.

    SPDX-License-Identifier: MPL-2.0

    Each broker has a lease, which what it writes renews. One whose lease has ended may be frozen, cut off or gone, so
    another takes its jobs over: the database sees to it that exactly one does, and that the former one commits
    nothing more, so nothing here need be right for that. It decides who tries, and how soon.

    `now` only moves forward, and is this process's own. Whether a lease has ended is said by the database's clock
    alone, so no two machines need agree on the time.

    Source: docs/adr/0031-several-brokers-on-one-database.md.
    Pure: reads no clock, socket or disk. Thread-safety: none.
*/

#ifndef RP_MEMBERSHIP_H
#define RP_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  How long a broker has its jobs after its latest sign of life, s; a lease is renewed when nothing has been written
    for so long, and others are looked at so often, µs.  */
#define RP_MEMBERSHIP_LEASE "5 s"
#define RP_MEMBERSHIP_LEASE_US 5000000
#define RP_MEMBERSHIP_RENEW_US 1000000
#define RP_MEMBERSHIP_LOOK_US 1000000

/*  Brokers that are looked at at once; the others are when some of them are gone.  */
#define RP_MEMBERSHIP_MEMBERS 256u

/*  When this broker has last asked for its lease, and looked; and which leases had ended then.  */
typedef struct {
    int64_t renewed;
    int64_t looked;
    size_t count;
    struct {
        int64_t id;
        int64_t until;
    } ended[RP_MEMBERSHIP_MEMBERS];
} rp_membership_t;

static inline bool rp_membership_renews (const rp_membership_t *self, int64_t now)
{
    return now - self->renewed >= RP_MEMBERSHIP_RENEW_US;
}

static inline bool rp_membership_looks (const rp_membership_t *self, int64_t now)
{
    return now - self->looked >= RP_MEMBERSHIP_LOOK_US;
}

/*  A broker as its row says.  */
typedef struct {
    int64_t id;
    int64_t epoch;
    int64_t holder; /* who has its jobs */
    int64_t until;  /* its lease, by the database's clock, µs */
    bool valid;     /* that has not ended, by that clock */
    bool silent;    /* it had ended already at the look before */
    bool ended;     /* so it said, or its process is known to have: no lease need be waited for */
} rp_member_t;

/*  Notes which leases have ended, and sets `silent` of those that had at the look before. One look is not enough: when
    the database itself has stood still, all leases have ended, of those too that are about to renew theirs. Of
    more than RP_MEMBERSHIP_MEMBERS, the rest are as if they were seen for the first time.  */
void rp_membership_see (rp_membership_t *self, rp_member_t *members, size_t count);

/*  Returns the place of the next broker whose jobs `self` should take over, from `from` on; count: none.  */
size_t rp_membership_choose (const rp_member_t *members, size_t count, size_t from, int64_t self);

#endif
