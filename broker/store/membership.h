/*  Membership: what a broker that shares a database with others does about them, and when.

    SPDX-License-Identifier: MPL-2.0

    Each broker has a lease, which what it writes renews. One whose lease has ended may be frozen, cut off or gone, so
    another takes its jobs over: the database sees to it that exactly one does, and that the former one commits
    nothing more, so nothing here need be right for that. It decides who tries, and how soon.

    `now` only moves forward, and is this process's own. Whether a lease has ended is said by the database's clock
    alone, so no two machines need agree on the time. That clock may be set: so a lease that has ended must also have been
    seen for longer than it takes to renew it, by this process's clock.

    Source: docs/adr/0031-several-brokers-on-one-database.md, docs/adr/0055-a-lease-has-ended-when-it-was-seen-unrenewed.md.
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
/*  A look returns leases that end within so long; one that is renewed never does.  */
#define RP_MEMBERSHIP_NEAR "2 s"
#define RP_MEMBERSHIP_NEAR_US 2000000
/*  How long before a take-over the lease was seen to have ended at least, µs. When the database itself has stood still, all
    leases have ended, of those too that are about to renew theirs: so long they have for it.  */
#define RP_MEMBERSHIP_SILENT_US 1000000
/*  How long before it the lease was seen at all, µs. When the database's clock was set forward, all leases have ended, of
    those too that were renewed just before: so long they have for the next time. Of a broker that is gone a lease is seen
    before it ends, so this takes no longer than the other.  */
#define RP_MEMBERSHIP_SEEN_US 2500000
/*  Looks at a lease that ends are spread over so long, µs, for each other broker that is there, up to so many:
    brokers that all try to take over hinder each other.  */
#define RP_MEMBERSHIP_SPREAD_US 50000
#define RP_MEMBERSHIP_OTHERS 20u
/*  A look comes earlier by up to so long, µs: brokers that have all waited for the database go separate ways again.  */
#define RP_MEMBERSHIP_SHIFT_US 125000

/*  Brokers that are looked at at once; the others are when some of them are gone.  */
#define RP_MEMBERSHIP_MEMBERS 512u

/*  A lease of another broker: when it was seen first, and, has_ended, when first to have ended.  */
typedef struct {
    int64_t id;
    int64_t until;
    int64_t seen;
    int64_t ended;
    bool has_ended;
} rp_membership_lease_t;

/*  When this broker has last asked for its lease, has begun to look, and looks again; and which leases it has seen.  */
typedef struct {
    int64_t renewed;
    int64_t looked;
    int64_t next;
    int64_t took;     /* how long the latest commit did */
    size_t first;     /* the place of the one that is chosen first, of any number */
    size_t tried;     /* places that choose has passed since the latest look */
    uint64_t adopted; /* others whose jobs it has taken over */
    size_t count;
    rp_membership_lease_t leases[RP_MEMBERSHIP_MEMBERS];
} rp_membership_t;

static inline bool rp_membership_renews (const rp_membership_t *self, int64_t now)
{
    return now - self->renewed >= RP_MEMBERSHIP_RENEW_US;
}

static inline bool rp_membership_looks (const rp_membership_t *self, int64_t now)
{
    return now >= self->next;
}

/*  Returns when the next of the two is due.  */
static inline int64_t rp_membership_due (const rp_membership_t *self)
{
    int64_t renews = self->renewed + RP_MEMBERSHIP_RENEW_US;
    return renews < self->next ? renews : self->next;
}

/*  A broker as its row says.  */
typedef struct {
    int64_t id;
    int64_t epoch;
    int64_t holder; /* who has its jobs */
    int64_t until;  /* its lease, by the database's clock, µs */
    int64_t left;   /* of it, by that clock, µs; 0 or less: it has ended */
    bool silent;    /* it was seen to have ended for long enough */
    bool ended;     /* so it said, or its process is known to have: no lease need be waited for */
} rp_member_t;

/*  Begins a look, before the database is asked.  */
void rp_membership_begin_look (rp_membership_t *self, int64_t now);

/*  Ends a look, with what the database has answered: sets `silent` of members, and when to look again. That is once a
    second, but soon after a lease has ended, and soon after it has been silent. `others`: how many hold jobs, up to
    RP_MEMBERSHIP_OTHERS; `members` may leave out those whose lease is longer than RP_MEMBERSHIP_NEAR_US. `chance` is
    drawn at random. Of more than RP_MEMBERSHIP_MEMBERS, the rest are as if they were seen for the first time.

    Between the answer in which a lease had ended, and the question whose answer says so again, lies the time in which
    its broker would have renewed it. Two looks alone do not show that: the first may have waited for as long as the
    database stood still. Where commits take long, those of others do too: a lease that was asked for may be in the row only
    when it has ended, and the next one comes as much later. So twice the time of the own latest commit comes on top.  */
void rp_membership_see (rp_membership_t *self,
  rp_member_t *members,
  size_t count,
  size_t others,
  int64_t now,
  uint64_t chance);

/*  Returns the place of the next broker whose jobs this one, `id`, should take over, of those of the latest look; count:
    none. Each broker begins at a place drawn at random: when many are gone, those that are left share them.  */
size_t rp_membership_choose (
  rp_membership_t *self, const rp_member_t *members, size_t count, int64_t id);

/*  A take-over came to nothing, so others are at work, and what is known of the rest may be old: chooses none any more
    until the next look.  */
void rp_membership_give_way (rp_membership_t *self);

#endif
