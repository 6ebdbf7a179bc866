/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/told.h"

#include <stdlib.h>

#include "common/base/grow.h"

void rp_told_clear (rp_told_t *self)
{
    free (self->by_descriptor);
    *self = (rp_told_t){0};
}

static bool s_is_power_of_ten (uint64_t count)
{
    while (count % 10 == 0)
        count /= 10;
    return count == 1;
}

uint64_t rp_told_count (rp_told_t *self, int descriptor, uint64_t cookie, uint64_t reason)
{
    rp_told_one_t *grown = descriptor < 0 ? NULL
                                          : rp_grown (self->by_descriptor, &self->descriptor_count,
                                            (size_t) descriptor, sizeof *grown);
    if (!grown)
        return 1;
    self->by_descriptor = grown;
    rp_told_one_t *one = &grown[descriptor];
    if (one->cookie != cookie || one->reason != reason)
        *one = (rp_told_one_t){.cookie = cookie, .reason = reason};
    one->count++;
    return s_is_power_of_ten (one->count) ? one->count : 0;
}
