/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

static bool s_had_ended (const rp_membership_t *self, const rp_member_t *member)
{
    size_t place = 0;
    while (place < self->count
           && (self->ended[place].id != member->id || self->ended[place].until != member->until))
        place++;
    return place < self->count;
}

void rp_membership_see (rp_membership_t *self, rp_member_t *members, size_t count)
{
    for (size_t place = 0; place < count; place++)
        members[place].silent = !members[place].valid && s_had_ended (self, &members[place]);
    self->count = 0;
    for (size_t place = 0; place < count && self->count < RP_MEMBERSHIP_MEMBERS; place++)
        if (!members[place].valid && members[place].holder == members[place].id) {
            self->ended[self->count].id = members[place].id;
            self->ended[self->count++].until = members[place].until;
        }
}

size_t rp_membership_choose (const rp_member_t *members, size_t count, size_t from, int64_t self)
{
    for (size_t place = from; place < count; place++) {
        const rp_member_t *member = &members[place];
        // What it had taken over itself comes with it.
        if (member->id != self && member->holder == member->id && (member->silent || member->ended))
            return place;
    }
    return count;
}
