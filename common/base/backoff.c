/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/base/backoff.h"

int64_t rp_backoff_us (uint32_t failures, int64_t first, int64_t largest, uint64_t random)
{
    if (failures == 0 || first <= 0)
        return 0;
    int64_t whole = first;
    for (uint32_t doubled = 1; doubled < failures && whole < largest; doubled++)
        whole = whole > largest / 2 ? largest : whole * 2;
    if (whole > largest)
        whole = largest;
    int64_t half = whole / 2;
    return half + (int64_t) (random % (uint64_t) (whole - half + 1));
}
