/*  Asks the broker about jobs.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the main thread.
*/

#ifndef RP_JOB_QUESTION_H
#define RP_JOB_QUESTION_H

#include <jansson.h>

#include "client/cli/cli.h"

/*  True if it is the id of a job.  */
bool rp_job_id_is_valid (const char *text);

/*  Returns an argument that is the id of a job. NULL after an error was written.  */
const char *rp_job_id (const rp_cli_t *self, size_t index);

/*  Sends a question and returns the reply; wait_us: what its broker may take longer than others. The
    parameters are an object; takes over the reference. NULL after an error was written, or a signal:
    *code is the exit code.  */
rp_reply_t *rp_job_question (
  rp_cli_t *self, const char *service, json_t *params, int64_t wait_us, int *code);

/*  Makes an error of a reply that is no answer, about a job, or about several (NULL).  */
rp_error_t rp_job_error (
  const rp_cli_t *self, const rp_reply_t *reply, const char *service, const char *job);

/*  Asks and returns the answer, an object. NULL after an error was written: *code is the exit
    code.  */
json_t *rp_job_ask (
  rp_cli_t *self, const char *service, json_t *params, const char *job, int *code);

#endif
