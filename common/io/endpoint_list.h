/*  Splits the text that lists the endpoints of a client or worker.

    SPDX-License-Identifier: MPL-2.0

    It also has two things that both libraries need when a client or worker is made: the default
    name, and the text for one that a child of fork() has inherited.

    Thread-safety: functions of their arguments; any thread.
*/

#ifndef RP_ENDPOINT_LIST_H
#define RP_ENDPOINT_LIST_H

#include <stddef.h>

/*  Splits a comma-separated list of endpoints, in place, into at most `most` strings. Returns their
    number; 0 if there are more, or if one of them is not an endpoint to connect to.  */
size_t rp_endpoint_list_endpoints (char *text, const char **endpoints, size_t most);

/*  Writes the default name of a client or worker, HOST-PID, cut to size.  */
void rp_endpoint_list_name (char *name, size_t size);

/*  The error text for a client or worker that is used in a child of fork().  */
extern const char rp_endpoint_list_inherited[];

#endif
