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

/*  When this broker has last written, and looked.  */
typedef struct {
    int64_t renewed;
    int64_t looked;
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
    bool valid;     /* its lease has not ended, by the database's clock */
    bool ended;     /* its process was on this machine, and is gone: no lease need be waited for */
} rp_member_t;

/*  Returns the place of the next broker whose jobs `self` should take over, from `from` on; count: none.  */
size_t rp_membership_choose (const rp_member_t *members, size_t count, size_t from, int64_t self);

#endif
