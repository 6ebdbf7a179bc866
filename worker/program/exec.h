/*  The runner that starts a process for each request: body on stdin, reply from stdout, and an
    error for any exit status but 0. It also says in words how a process ended, for this runner and
    persistent.c.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the loop's thread.
*/

#ifndef RP_EXEC_H
#define RP_EXEC_H

#include "worker/program/loop.h"

extern const rp_runner_t rp_exec_runner;

/*  How a process ended, for people: "exit status 3", "killed by SIGSEGV"; returns buffer.  */
const char *rp_exec_describe (int status, char *buffer, size_t size);

#endif
