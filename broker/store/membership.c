/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/store/membership.h"

size_t rp_membership_choose (const rp_member_t *members, size_t count, size_t from, int64_t self)
{
    for (size_t place = from; place < count; place++) {
        const rp_member_t *member = &members[place];
        // What it had taken over itself comes with it.
        if (member->id != self && member->holder == member->id && (!member->valid || member->ended))
            return place;
    }
    return count;
}
