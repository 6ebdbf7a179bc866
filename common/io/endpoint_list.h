/*  What a client and a worker are told when they are made: where the brokers are, and a name.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: functions of their arguments; any thread.
*/

#ifndef RP_ENDPOINT_LIST_H
#define RP_ENDPOINT_LIST_H

#include <stddef.h>

/*  Splits a comma-separated list of endpoints, where it lies, into at most `most` strings. Returns
    how many; 0 if there are more, or one cannot be connected to.  */
size_t rp_endpoint_list_endpoints (char *text, const char **endpoints, size_t most);

/*  Writes the name of a client or worker that was given none: HOST-PID, cut to size.  */
void rp_endpoint_list_name (char *name, size_t size);

/*  What to tell people who use a client or worker in a child of fork().  */
extern const char rp_endpoint_list_inherited[];

#endif
