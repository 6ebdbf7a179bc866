/*  A process that stays and speaks the framing (framing.h), one per slot.

    SPDX-License-Identifier: MPL-2.0

    A conversation stays with the process that had its first request. Its state ends with that
    process: the next request is then given back and the conversation ended, so that the client
    begins anew instead of reaching a process without the state.
*/

#ifndef RP_PERSISTENT_H
#define RP_PERSISTENT_H

#include "worker/program/loop.h"

typedef struct rp_persistent rp_persistent_t;

extern const rp_runner_t rp_persistent_runner;

/*  What the runner keeps: the state of rp_loop_run. NULL when out of memory.  */
rp_persistent_t *rp_persistent_new (void);
void rp_persistent_destroy (rp_persistent_t **self_p);

#endif
