/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

#include <stddef.h>
#include <string.h>

#include "common/base/earlier.h"
#include "common/base/uninitialized.h"

/*  Returns what is known of the lease of a member: when it was seen first, and first to have ended.  */
static rp_membership_lease_t s_lease (
  const rp_membership_t *self, const rp_member_t *member, int64_t now)
{
    rp_membership_lease_t lease = {
      .id = member->id, .until = member->until, .seen = now, .ended = now};
    for (size_t place = 0; place < self->count; place++) {
        const rp_membership_lease_t *known = &self->leases[place];
        if (known->id != member->id || known->until != member->until)
            continue;
        lease.seen = known->seen;
        lease.ended = known->has_ended ? known->ended : now;
    }
    lease.has_ended = member->left <= 0;
    return lease;
}

void rp_membership_begin_look (rp_membership_t *self, int64_t now)
{
    self->looked = now;
    self->next = now + RP_MEMBERSHIP_LOOK_US;
}

/*  Draws how long after a lease the look is. The more brokers there are, the sooner one of them looks.  */
static int64_t s_spread (size_t others, uint64_t chance)
{
    size_t most = others < RP_MEMBERSHIP_OTHERS ? others : RP_MEMBERSHIP_OTHERS;
    return most > 0 ? (int64_t) (chance % (most * RP_MEMBERSHIP_SPREAD_US)) : 0;
}

void rp_membership_see (rp_membership_t *self,
  rp_member_t *members,
  size_t count,
  size_t others,
  int64_t now,
  uint64_t chance)
{
    RP_UNINITIALIZED rp_membership_t before;
    memcpy (&before, self, offsetof (rp_membership_t, leases) + self->count * sizeof *self->leases);
    int64_t spread = s_spread (others, chance);
    self->count = 0;
    self->next = now + RP_MEMBERSHIP_LOOK_US - (int64_t) ((chance >> 20) % RP_MEMBERSHIP_SHIFT_US);
    self->first = (size_t) (chance >> 40);
    self->tried = 0;
    for (size_t place = 0; place < count; place++) {
        rp_member_t *member = &members[place];
        rp_membership_lease_t lease = s_lease (&before, member, now);
        int64_t silent =
          rp_later (lease.seen + RP_MEMBERSHIP_SEEN_US, lease.ended + RP_MEMBERSHIP_SILENT_US)
          + 2 * self->took;
        int64_t due = lease.has_ended ? silent : now + member->left;
        member->silent = lease.has_ended && before.looked >= silent;
        if (member->holder != member->id)
            continue; // what it had taken over itself comes with its own holder
        if (self->count < RP_MEMBERSHIP_MEMBERS)
            self->leases[self->count++] = lease;
        if (due > now)
            self->next = rp_earlier (self->next, due + spread);
    }
}

size_t rp_membership_choose (
  rp_membership_t *self, const rp_member_t *members, size_t count, int64_t id)
{
    while (self->tried < count) {
        size_t place = (self->first + self->tried++) % count;
        const rp_member_t *member = &members[place];
        // What it had taken over itself comes with it.
        if (member->id != id && member->holder == member->id && (member->silent || member->ended))
            return place;
    }
    return count;
}

void rp_membership_give_way (rp_membership_t *self)
{
    self->tried = SIZE_MAX;
}
