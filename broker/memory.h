/*  Memory: tells how much of it this process may use.

    SPDX-License-Identifier: MPL-2.0

    Source: getrlimit(2), cgroups(7).
    Thread-safety: any thread.
*/

#ifndef RP_BROKER_MEMORY_H
#define RP_BROKER_MEMORY_H

#include <stdint.h>

/*  Returns the least of RLIMIT_AS, RLIMIT_DATA and the limits of the process's control groups, as
    far as they can be read, in bytes. UINT64_MAX if there is no limit.  */
uint64_t rp_memory_allowed (void);

#endif
