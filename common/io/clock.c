/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/clock.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

int64_t rp_clock_us (void)
{
    struct timespec now;
    if (clock_gettime (CLOCK_MONOTONIC, &now) != 0)
        abort (); // cannot happen on Linux; a wrong clock would break every deadline
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t rp_clock_wall_us (void)
{
    struct timespec now;
    if (clock_gettime (CLOCK_REALTIME, &now) != 0)
        abort (); // as above
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t rp_clock_entropy (void)
{
    uint64_t value = 0;
    if (getrandom (&value, sizeof value, 0) != (ssize_t) sizeof value)
        abort (); // requests of up to 256 bytes are never cut short once the pool is ready
    return value;
}
