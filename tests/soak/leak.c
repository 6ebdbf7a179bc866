/*  An example of a leak: preloaded into a broker (tests/soak/run.py --preload), it loses a block of
    memory with every message that is received.

    SPDX-License-Identifier: MPL-2.0
*/

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define S_BLOCK 1000u

static char *volatile s_last; // without it the compiler sees that the block is never used

__attribute__ ((visibility ("default"))) int zmq_msg_recv (zmq_msg_t *msg, void *socket, int flags)
{
    static int (*real) (zmq_msg_t *, void *, int);
    if (!real)
        *(void **) &real = dlsym (RTLD_NEXT, "zmq_msg_recv");
    int rc = real (msg, socket, flags);
    char *lost = rc >= 0 ? malloc (S_BLOCK) : NULL;
    if (lost)
        memset (lost, 1, S_BLOCK);
    s_last = lost;
    return rc;
}
