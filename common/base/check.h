/*  RP_CHECK ends the process on a bug of our own, in release builds too.

    SPDX-License-Identifier: MPL-2.0

    Never use it for anything that a peer, a user or the system decides.
*/

#ifndef RP_CHECK_H
#define RP_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define RP_CHECK(condition)                                                                        \
    ((condition)                                                                                   \
        ? (void) 0                                                                                 \
        : (fprintf (stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition),      \
          abort ()))

#endif
