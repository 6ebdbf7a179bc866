/*  Sends many requests to one service, several at a time, and writes their replies in order.

    SPDX-License-Identifier: MPL-2.0

    At most --parallel requests are open or have a reply that is not written yet. So a slow request
    holds back those behind it, which keeps the order and bounds the memory.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_BATCH_H
#define RP_BATCH_H

#include "client/cli/cli.h"

/*  Sends body --count times; or, if body is NULL, one request for each line of standard input, with
    its newline. Returns the exit code.  */
int rp_cli_batch (rp_cli_t *cli, const char *service, const void *body, size_t size);

#endif
