/*  Bells: one thread wakes another by an eventfd, which the other polls.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: any thread may ring, and hear.
*/

#ifndef RP_BELL_H
#define RP_BELL_H

#include <stdint.h>

/*  Makes an eventfd, which does not block; the caller closes it. -1 with errno.  */
int rp_bell_open (void);

/*  Rings: descriptor becomes readable. what, not 0, is added to what was rung before. Fails only if the
    eventfd is full, and so readable anyway.  */
void rp_bell_ring (int descriptor, uint64_t what);

/*  Returns what was rung since the last time, added up; 0: nothing was.  */
uint64_t rp_bell_hear (int descriptor);

#endif
