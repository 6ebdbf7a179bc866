/*  Endpoints to bind: binds them, explains a failure in words, and tells whether other
    machines can reach them.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_ENDPOINT_H
#define RP_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

/*  Enough for the text of rp_endpoint_explain.  */
#define RP_ENDPOINT_TEXT_MAX 512u

/*  Binds an endpoint. Returns the real endpoint (address and port), to be freed with free (). A
    host name is looked up, however long that takes, and the first of its addresses that this
    machine has is bound, IPv4 first. NULL with errno; EADDRINUSE also if another process listens on
    the ipc path, which libzmq would take away from it; ENODEV also if the name does not
    resolve.  */
char *rp_endpoint_bind (void *socket, const char *endpoint);

/*  True if only this machine can reach the endpoint: loopback addresses and ipc.  */
bool rp_endpoint_is_local (const char *endpoint);

/*  Writes to buffer, of RP_ENDPOINT_TEXT_MAX bytes, one line: what went wrong, why, and what to do.
    option: the option that sets the endpoint, "--bind". Returns buffer.  */
const char *rp_endpoint_explain (const char *endpoint, int error, const char *option, char *buffer);

#endif
