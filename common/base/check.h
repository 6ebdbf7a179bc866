/*  An always-on check for our own bugs. Never for anything that a peer, a user or the system
    decides.

    SPDX-License-Identifier: MPL-2.0
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
