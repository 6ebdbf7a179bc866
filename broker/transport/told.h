/*  What was said in the log of each connection, so that one that errs again and again does not fill
    it.

    SPDX-License-Identifier: MPL-2.0

    Of one reason a connection's first, 10th, 100th … error has a line, with the count. A descriptor
    is used again, so the kernel's cookie says whether the connection is still the same.

    Cost: 24 bytes for each descriptor. Thread-safety: none.
*/

#ifndef RP_TOLD_H
#define RP_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t cookie;
    uint64_t count;
    uint64_t reason;
} rp_told_one_t;

/*  Zero is an empty one.  */
typedef struct {
    rp_told_one_t *by_descriptor;
    size_t descriptor_count;
} rp_told_t;

void rp_told_clear (rp_told_t *self);

/*  Returns how often this connection has now erred for this reason (a hash of it), 0 if it need not
    be said. Always 1 for a connection that is not known (descriptor under 0), and without
    memory.  */
uint64_t rp_told_count (rp_told_t *self, int descriptor, uint64_t cookie, uint64_t reason);

#endif
