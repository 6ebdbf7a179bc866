/*  Memory: tells how much of it this process may use, and reserves no more than that.

    SPDX-License-Identifier: MPL-2.0

    Source: getrlimit(2), cgroups(7), mallopt(3).
    Thread-safety: any thread, but for rp_memory_reserve_little.
*/

#ifndef RP_BROKER_MEMORY_H
#define RP_BROKER_MEMORY_H

#include <stdint.h>

/*  Returns the least of RLIMIT_AS, RLIMIT_DATA and the limits of the process's control groups, as
    far as they can be read, in bytes. UINT64_MAX if there is no limit.  */
uint64_t rp_memory_allowed (void);

/*  Makes all threads share one arena of malloc if the address space has a limit (RLIMIT_AS): glibc reserves
    64 MiB for each arena, and what is reserved counts, though little of it be used. Without a limit nothing
    changes, since threads with arenas of their own wait for nobody. Call it before the first thread.  */
void rp_memory_reserve_little (void);

#endif
