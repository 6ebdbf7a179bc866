/*  Whether a command can be started, found out with one request at a time.

    SPDX-License-Identifier: MPL-2.0

    Pure. A command that cannot be started fails faster than others answer, so its worker would get
    most requests. After a failure the worker asks for none until a pause has passed; then one
    request tries the command, and a start opens all slots again. Time is in microseconds.

    Thread-safety: none.
*/

#ifndef RP_TRIAL_H
#define RP_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

/*  Pauses after failures in a row, us: the first, and the longest.  */
#define RP_TRIAL_FIRST 100000
#define RP_TRIAL_LARGEST 10000000

/*  Zero: nothing has failed.  */
typedef struct {
    uint32_t failures; /* in a row */
    int64_t again;     /* when the next try may be; 0: now */
} rp_trial_t;

/*  A start failed.  */
void rp_trial_failed (rp_trial_t *self, int64_t now, uint64_t random);

/*  A start went well.  */
void rp_trial_worked (rp_trial_t *self);

/*  True while nothing is to be started.  */
bool rp_trial_pauses (const rp_trial_t *self, int64_t now);

/*  How many of the slots may have a request: none, one that tries, or all.  */
uint32_t rp_trial_ready (const rp_trial_t *self, uint32_t slots, int64_t now);

#endif
