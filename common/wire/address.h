/*  The addresses of an endpoint whose host is a name.

    SPDX-License-Identifier: MPL-2.0

    libzmq is given addresses only: it looks names up in the thread that moves the messages of all
    sockets, and tries one address of each. So names are looked up elsewhere (common/io/resolver.h),
    and an endpoint with a name becomes several with an address each.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_ADDRESS_H
#define RP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/*  Addresses of one name that are tried; the system names the best first.  */
#define RP_ADDRESSES_MAX 16u
/*  Bytes of an endpoint with an address: tcp://[, an IPv6 address with its zone, ]:, a port.  */
#define RP_ADDRESS_MAX 80u

typedef struct {
    size_t count;
    char endpoints[RP_ADDRESSES_MAX][RP_ADDRESS_MAX]; /* "tcp://127.0.0.1:5555" */
} rp_addresses_t;

/*  True if the host of a valid endpoint is a name. False for addresses, for * and for ipc.  */
bool rp_address_is_name (const char *endpoint);

/*  The host of a TCP endpoint, where it lies; its size.  */
const char *rp_address_host (const char *endpoint, size_t *size);

/*  Adds an endpoint with the port of that one and this address, "127.0.0.1" or "fe80::1%eth0". One
    that is there, that does not fit, or is one too many is left out.  */
void rp_addresses_add (rp_addresses_t *self, const char *endpoint, const char *address);

/*  Puts those of IPv4 first; otherwise their order stays.  */
void rp_addresses_ipv4_first (rp_addresses_t *self);

#endif
