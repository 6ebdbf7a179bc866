/*  Asks every broker of the list (--all), where other commands ask the first that answers.

    SPDX-License-Identifier: MPL-2.0

    A name is asked at each of its addresses. A broker that is reached in two ways is asked once. One that
    does not answer is told of on standard error, and the others are asked all the same.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_EVERY_H
#define RP_EVERY_H

#include <jansson.h>

#include "client/cli/cli.h"

/*  Asks one broker. one: the program as if it knew that broker only, connected; its options.server is the
    broker's endpoint, and its errors are lines. Returns the exit code.  */
typedef int (rp_every_ask_fn) (rp_cli_t *one, json_t *status, void *arg);

/*  Asks each broker. status: the broker's answer to riposte.status, from which it is known. Returns 0, or the
    exit code of the first broker that did not answer, or whose ask failed.  */
int rp_every_ask (rp_cli_t *self, rp_every_ask_fn *ask, void *arg);

/*  Asks each broker for a list ("riposte.workers", "workers"), and returns the items of all, each with its
    broker's endpoint as `broker`, as an object with that list. *code is as of rp_every_ask. NULL if none
    has answered.  */
json_t *rp_every_list (rp_cli_t *self, const char *service, const char *list, int *code);

#endif
