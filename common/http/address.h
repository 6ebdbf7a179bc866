/*  Where a program listens for HTTP, and which names of hosts it answers to.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_HTTP_ADDRESS_H
#define RP_HTTP_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} rp_http_address_t;

/*  Reads "127.0.0.1:5580", "[::1]:5580", "localhost:5580" or "*:5580" (every IPv4 address). Port 0 or *
    is any free one. False with a reason for people that follows the text ("has no port").  */
bool rp_http_address_parse (const char *text, rp_http_address_t *address, const char **reason);

bool rp_http_address_is_loopback (const rp_http_address_t *address);

/*  True if the value of a Host header names this machine itself: localhost, a name below it, an address
    of the loopback interface; with a port or without.  */
bool rp_http_host_is_local (const char *host);

/*  True if the value of a Host header is an address, with a port or without: no name that could lead
    elsewhere another time (DNS rebinding). Not that of "any".  */
bool rp_http_host_is_address (const char *host);

/*  True if a list of names with commas has the host, of any case; its port does not count.  */
bool rp_http_host_is_listed (const char *host, const char *list);

#endif
