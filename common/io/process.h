/*  Tells a process from the children that fork() made of it.

    SPDX-License-Identifier: MPL-2.0

    A child has its parent's memory and descriptors, and none of its threads. What lives by threads
    remembers the number of its process, and leaves alone what it was born with in another.

    Thread-safety: any thread; rp_process_number also in signal handlers.
*/

#ifndef RP_PROCESS_H
#define RP_PROCESS_H

#include <stdatomic.h>

/*  How many fork()s lie behind this process since rp_process_watch; read it with
    rp_process_number.  */
extern atomic_uint rp_process_forks;

/*  From now on fork() is noticed; children made without it (vfork, _Fork, clone) are not. 0 or an
    errno.  */
int rp_process_watch (void);

/*  The same for as long as the process is the same. A load: it may be asked at every call.  */
static inline unsigned rp_process_number (void)
{
    return atomic_load_explicit (&rp_process_forks, memory_order_relaxed);
}

#endif
