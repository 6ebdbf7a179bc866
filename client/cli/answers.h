/*  Writes the replies of `riposte call`, one after the other; and of `riposte send` the ids of the
    jobs.

    SPDX-License-Identifier: MPL-2.0

    As a table (the default) a reply is its body, byte for byte, and nothing else; a job is its id on
    a line. Of several jobs, one that was not accepted is "-", so that each input has its line.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_ANSWERS_H
#define RP_ANSWERS_H

#include "client/cli/cli.h"

#define RP_ANSWERS_STATUSES 128

typedef struct {
    const rp_cli_t *cli;
    const char *service;
    bool several; /* a numbered list; otherwise a single object */
    rp_output_list_t list;
    uint64_t ended;
    uint64_t failed;
    uint64_t by_status[RP_ANSWERS_STATUSES];
} rp_answers_t;

void rp_answers_begin (rp_answers_t *self, const rp_cli_t *cli, const char *service, bool several);

/*  Writes the next reply (not NULL).  */
void rp_answers_add (rp_answers_t *self, const rp_reply_t *reply);

/*  Ends the list, and writes to standard error how many requests failed.  */
void rp_answers_end (rp_answers_t *self);

#endif
