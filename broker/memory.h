/*  Memory: how much this process may use.

    SPDX-License-Identifier: MPL-2.0

    Source: getrlimit(2), cgroups(7).
    Thread-safety: any thread.
*/

#ifndef RP_BROKER_MEMORY_H
#define RP_BROKER_MEMORY_H

#include <stdint.h>

/*  Bytes, by the least of RLIMIT_AS, RLIMIT_DATA and the limits of its control groups, as far as
    they can be read. UINT64_MAX if there is none.  */
uint64_t rp_memory_allowed (void);

#endif
