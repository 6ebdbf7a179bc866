/*  The services that riposte-worker answers itself, without a child process: echo, upper, sleep,
    fail. They are for tests, demonstrations and measurements.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_BUILTIN_H
#define RP_BUILTIN_H

#include <riposte/worker.h>

#include "worker/program/worker_options.h"

/*  Serves until drained, stopped or refused. Returns the program's exit code.  */
int rp_builtin_run (const rp_worker_options_t *settings, rp_worker_t *worker, int signal_fd);

#endif
