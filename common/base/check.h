/*  RP_CHECK ends the process on a bug of our own, in release builds too.
    RP_CHECK_MEMORY ends the broker where it has no memory and cannot go on without: what it has told, or
    is about to tell, would be wrong.

    SPDX-License-Identifier: MPL-2.0

    Never use RP_CHECK for anything that a peer, a user or the system decides.
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

#define RP_CHECK_MEMORY(condition)                                                                 \
    ((condition) ? (void) 0                                                                        \
                 : (fprintf (stderr,                                                               \
                      "%s:%d: out of memory: the limits allow more than there is; lower them, as " \
                      "docs/OPERATIONS.md, Memory, says\n",                                        \
                      __FILE__, __LINE__),                                                         \
                   abort ()))

#endif
