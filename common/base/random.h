/*  Random numbers for jitter and for orders, which need no secrets. Pure: the state is the caller's, and
    its first value the seed.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_RANDOM_H
#define RP_RANDOM_H

#include <stdint.h>

/*  Returns 64 random bits (splitmix64).  */
static inline uint64_t rp_random (uint64_t *state)
{
    uint64_t word = *state += 0x9e3779b97f4a7c15u;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

#endif
