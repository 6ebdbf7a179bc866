/*  Endpoints to bind: what went wrong with one, in words, and who can reach it.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_ENDPOINT_H
#define RP_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

/*  Large enough for what rp_endpoint_explain writes.  */
#define RP_ENDPOINT_TEXT_MAX 512u

/*  Binds, and returns the real endpoint (its address and port), for free (). A host name is looked
    up, for as long as that takes, and its first address that this machine has is bound, IPv4 first.
    NULL with errno; EADDRINUSE also for an ipc path on which somebody listens, which libzmq would
    take away from him; ENODEV also for a name that does not resolve.  */
char *rp_endpoint_bind (void *socket, const char *endpoint);

/*  True if only this machine can reach it: loopback addresses and ipc.  */
bool rp_endpoint_is_local (const char *endpoint);

/*  Writes what went wrong, why, and what to do, in one line. option: which sets it, "--bind".
    Returns buffer, of RP_ENDPOINT_TEXT_MAX bytes.  */
const char *rp_endpoint_explain (const char *endpoint, int error, const char *option, char *buffer);

#endif
