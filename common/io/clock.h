/*  The clock and the source of randomness for the shells; pure parts get both as arguments.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_CLOCK_H
#define RP_CLOCK_H

#include <stdint.h>
#include <time.h>

/*  Microseconds on CLOCK_MONOTONIC: the wall clock may jump, this does not. Any thread.  */
int64_t rp_clock_us (void);

/*  Microseconds since 1970 by the wall clock, which may jump. Any thread.  */
int64_t rp_clock_wall_us (void);

/*  64 unpredictable bits from the kernel (getrandom). Any thread.  */
uint64_t rp_clock_entropy (void);

/*  Converts a time or a duration for system calls. us: not negative.  */
static inline struct timespec rp_clock_timespec (int64_t us)
{
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

#endif
