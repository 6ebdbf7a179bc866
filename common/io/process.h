/*  Tells a process from its children made by fork().

    SPDX-License-Identifier: MPL-2.0

    A child has its parent's memory and descriptors, but none of its threads. So an object with
    threads keeps the number of its process; where rp_process_number differs, the object was
    inherited, and is left alone.

    Thread-safety: any thread; rp_process_number also in signal handlers.
*/

#ifndef RP_PROCESS_H
#define RP_PROCESS_H

#include <stdatomic.h>

/*  The number of fork()s between the process that called rp_process_watch and this one; read it
    with rp_process_number.  */
extern atomic_uint rp_process_forks;

/*  From now on fork() is counted; other ways to make a child (vfork, _Fork, clone) are not. 0 or an
    errno.  */
int rp_process_watch (void);

/*  Returns a number that stays the same within one process. It costs one load, so any call may
    ask.  */
static inline unsigned rp_process_number (void)
{
    return atomic_load_explicit (&rp_process_forks, memory_order_relaxed);
}

#endif
