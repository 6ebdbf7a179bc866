/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

#include "common/base/earlier.h"

/*  Returns since when the lease of a member was seen to have ended; now: for the first time.  */
static int64_t s_seen (const rp_membership_t *self, const rp_member_t *member, int64_t now)
{
    size_t place = 0;
    while (place < self->count
           && (self->ended[place].id != member->id || self->ended[place].until != member->until))
        place++;
    return place < self->count ? self->ended[place].seen : now;
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
    const rp_membership_t before = *self;
    int64_t spread = s_spread (others, chance);
    self->count = 0;
    self->next = now + RP_MEMBERSHIP_LOOK_US - (int64_t) ((chance >> 20) % RP_MEMBERSHIP_SHIFT_US);
    self->first = (size_t) (chance >> 40);
    self->tried = 0;
    for (size_t place = 0; place < count; place++) {
        rp_member_t *member = &members[place];
        int64_t seen = s_seen (&before, member, now);
        int64_t due = now + member->left;
        member->silent = member->left <= 0 && before.looked - seen >= rp_membership_silence (self);
        if (member->holder != member->id)
            continue; // what it had taken over itself comes with its own holder
        if (member->left <= 0) {
            due = seen + rp_membership_silence (self);
            if (self->count < RP_MEMBERSHIP_MEMBERS) {
                self->ended[self->count].id = member->id;
                self->ended[self->count].until = member->until;
                self->ended[self->count++].seen = seen;
            }
        }
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
