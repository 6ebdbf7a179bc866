/*  SRV records (RFC 2782): brokers that are found by the name of a service in the DNS. Reads an answer of
    a name server, and puts the brokers in the order in which they are tried.

    SPDX-License-Identifier: MPL-2.0

    An endpoint such as srv:_riposte._tcp.example.org names such records. Each has a priority, of which the
    lowest are tried first; a weight, its share among those of its priority; and a port. Who asks the name
    server is common/io/resolver.h.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_SRV_H
#define RP_SRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Records that are looked at; further ones are left out.  */
#define RP_SRV_MAX 32u
/*  Bytes of a host name in text, with its NUL (RFC 1035).  */
#define RP_SRV_HOST_MAX 256u
/*  The type of the records, and the class of those of the internet.  */
#define RP_SRV_TYPE 33
#define RP_SRV_CLASS 1

typedef struct {
    uint16_t priority;
    uint16_t weight;
    uint16_t port;
    char host[RP_SRV_HOST_MAX];
} rp_srv_record_t;

typedef struct {
    size_t count;
    rp_srv_record_t records[RP_SRV_MAX];
} rp_srv_t;

/*  Reads the answer of a name server. Leaves out records that name no host ("."), no port, or what cannot
    be a host. False if it is no well-formed message.  */
bool rp_srv_read (rp_srv_t *self, const uint8_t *message, size_t size);

/*  Puts the records in an order to be tried in: by priority, and among equal ones at random by weight.
    Where all have no weight, each order is as likely as another.  */
void rp_srv_order (rp_srv_t *self, uint64_t random);

#endif
