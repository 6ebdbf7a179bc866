/*  The environment of a child that runs one task.

    SPDX-License-Identifier: MPL-2.0

    The environment of this process, and RIPOSTE_SERVICE, RIPOSTE_ID, RIPOSTE_ATTEMPT,
    RIPOSTE_TIME_LEFT_MS, RIPOSTE_CONVERSATION, RIPOSTE_DURABLE (1 of a job, otherwise 0),
    RIPOSTE_KEY (empty if there is none), and RIPOSTE_HEADER_NAME for each header (upper case, "-"
    and "." as "_"; of equal names the last).
*/

#ifndef RP_ENVIRONMENT_H
#define RP_ENVIRONMENT_H

#include <riposte/worker.h>

/*  Ends with NULL. NULL when out of memory.  */
char **rp_environment_new (const rp_task_t *task);
void rp_environment_destroy (char ***self_p);

#endif
