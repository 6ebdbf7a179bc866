/*  Puts a short list in a random order. Pure: randomness is an argument.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_SHUFFLE_H
#define RP_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/*  More items have more orders than there are values of `random`.  */
#define RP_SHUFFLE_MAX 20u

/*  Shuffles `count` items of `size` bytes, at most RP_SHUFFLE_MAX, in place. Each order is as likely
    as another if random is 64 fresh random bits.  */
void rp_shuffle (void *items, size_t count, size_t size, uint64_t random);

#endif
