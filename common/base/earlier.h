/*  The earlier and the later of two times.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_EARLIER_H
#define RP_EARLIER_H

#include <stdint.h>

static inline int64_t rp_earlier (int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static inline int64_t rp_later (int64_t one, int64_t other)
{
    return one > other ? one : other;
}

#endif
