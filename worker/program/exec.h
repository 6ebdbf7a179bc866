/*  A process per request: body on stdin, reply from stdout, exit status 0 or an error.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_EXEC_H
#define RP_EXEC_H

#include "worker/program/loop.h"

extern const rp_runner_t rp_exec_runner;

/*  How a process ended, for people: "exit status 3", "killed by SIGSEGV"; returns buffer.  */
const char *rp_exec_describe (int status, char *buffer, size_t size);

#endif
