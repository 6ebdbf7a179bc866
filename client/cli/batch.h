/*  Many requests to one service, several at a time, their replies written in order.

    SPDX-License-Identifier: MPL-2.0

    At most --parallel requests are open or have a reply that is not written yet: a slow one holds
    back those behind it, which is what keeps both the order and the memory.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_BATCH_H
#define RP_BATCH_H

#include "client/cli/cli.h"

/*  Sends body --count times; or, if it is NULL, a request for each line of standard input, the
    line's newline included. Returns the exit code.  */
int rp_cli_batch (rp_cli_t *cli, const char *service, const void *body, size_t size);

#endif
