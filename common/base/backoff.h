/*  Exponential backoff with jitter. Pure: randomness is an argument.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_BACKOFF_H
#define RP_BACKOFF_H

#include <stdint.h>

/*  Pause in microseconds before attempt number `failures` + 1, drawn from [whole / 2, whole], where
    whole = first × 2^(failures - 1), at most largest. 0 when failures is 0. first, largest: µs.  */
int64_t rp_backoff_us (uint32_t failures, int64_t first, int64_t largest, uint64_t random);

#endif
