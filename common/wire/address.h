/*  Makes from an endpoint whose host is a name one endpoint for each address of that name.

    SPDX-License-Identifier: MPL-2.0

    libzmq is given addresses only: it would look names up in the thread that moves the messages of
    all sockets, and try a single address of each. So names are looked up elsewhere
    (common/io/resolver.h), and the link tries the endpoints made here one after the other
    (common/wire/link.h).

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_ADDRESS_H
#define RP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/*  Addresses of one name that are tried, at most; the system lists the best first.  */
#define RP_ADDRESSES_MAX 16u
/*  Bytes of the longest endpoint with an address: tcp://[, an IPv6 address with its zone, ]:, a
    port.  */
#define RP_ADDRESS_MAX 80u

typedef struct {
    size_t count;
    char endpoints[RP_ADDRESSES_MAX][RP_ADDRESS_MAX]; /* "tcp://127.0.0.1:5555" */
} rp_addresses_t;

/*  What an endpoint begins with that names SRV records: "srv:_riposte._tcp.example.org".  */
#define RP_ADDRESS_SRV "srv:"

/*  True if a valid endpoint names SRV records.  */
bool rp_address_is_srv (const char *endpoint);

/*  True if a valid endpoint has to be looked up: its host is a name, or it names SRV records. False for
    addresses, for * and for ipc.  */
bool rp_address_is_name (const char *endpoint);

/*  Returns where the host begins in a TCP endpoint; *size is its size.  */
const char *rp_address_host (const char *endpoint, size_t *size);

/*  Adds an endpoint with this address ("127.0.0.1", "fe80::1%eth0") and the port of the given
    endpoint. Leaves out an address that is there already, that is too long, or that is one too
    many.  */
void rp_addresses_add (rp_addresses_t *self, const char *endpoint, const char *address);

/*  Moves IPv4 addresses to the front; the order is otherwise kept.  */
void rp_addresses_ipv4_first (rp_addresses_t *self);

#endif
