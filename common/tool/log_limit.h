/*  Keeps one kind of log line from flooding the log: a burst, then a bounded rate.

    SPDX-License-Identifier: MPL-2.0

    A token bucket. What it holds back it counts, and the next line that passes can say how many.
    Thread-safety: none.
*/

#ifndef RP_LOG_LIMIT_H
#define RP_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*  Lines of one kind that pass at once: enough to see who comes and goes at a start.  */
#define RP_LOG_LIMIT_BURST 20u
/*  After that, one line per this many microseconds.  */
#define RP_LOG_LIMIT_INTERVAL_US 1000000

/*  Zero is a fresh one.  */
typedef struct {
    int64_t refilled; /* up to when the tokens in use have been given back */
    uint32_t used;
    uint64_t held_back;
} rp_log_limit_t;

/*  True if a line may be written now; then *held_back is how many were not since the last one that
    was.  */
bool rp_log_limit_pass (rp_log_limit_t *self, int64_t now, uint64_t *held_back);

#endif
