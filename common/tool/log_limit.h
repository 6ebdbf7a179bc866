/*  Keeps one kind of log line from flooding the log: first a burst, then a bounded rate.

    SPDX-License-Identifier: MPL-2.0

    It is a token bucket that counts the lines it holds back; the next line that passes can say how
    many.

    Thread-safety: none.
*/

#ifndef RP_LOG_LIMIT_H
#define RP_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/*  Lines that pass at once: enough to see which peers come and go at a start.  */
#define RP_LOG_LIMIT_BURST 20u
/*  After that, one line per this many microseconds.  */
#define RP_LOG_LIMIT_INTERVAL_US 1000000

/*  All zeros is a new one.  */
typedef struct {
    int64_t refilled; /* the time up to which used tokens were given back */
    uint32_t used;
    uint64_t held_back;
} rp_log_limit_t;

/*  True if a line may be written now; then *held_back is the number of lines held back since the
    last line that passed.  */
bool rp_log_limit_pass (rp_log_limit_t *self, int64_t now, uint64_t *held_back);

#endif
