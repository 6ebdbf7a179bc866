/*  Looks up the addresses of host names, and of SRV records, without making any thread of the owner wait.

    SPDX-License-Identifier: MPL-2.0

    getaddrinfo takes as long as the name servers do, half a minute if they are silent, and cannot
    be ended. So each look-up has a thread of its own, which nobody joins: if the result is no
    longer wanted, the thread ends by itself. A descriptor tells when a look-up is over.

    An endpoint has one look-up at a time: an owner that gives up and asks again gets the one that
    goes on, or its result. So a silent name server holds one thread per name, and a name that takes
    longer than an attempt to connect is still found.

    Of SRV records, which glibc's resolver looks up as it does names (adr 0035), the hosts are looked up in
    their turn, one after the other; their addresses come in the order in which the brokers are to be tried. Who wants
    all of the brokers, and not one, has the records themselves.

    In a child of fork(), look-ups are left as they are: their threads are the parent's.

    Thread-safety: none; its owner's lock guards it.
*/

#ifndef RP_RESOLVER_H
#define RP_RESOLVER_H

#include <stdbool.h>

#include "common/wire/address.h"
#include "common/wire/srv.h"

/*  Bytes for "host NAME does not resolve: why".  */
#define RP_RESOLVER_TEXT_MAX 384u

typedef struct rp_lookup rp_lookup_t;

/*  Zero it to begin with.  */
typedef struct {
    rp_lookup_t *lookups; /* look-ups that go on, or whose result was not taken */
    rp_srv_t *
      records; /* the owner's: where SRV records go, whose hosts are not looked up then; NULL: they are */
} rp_resolver_t;

/*  Begins to look up the name of an endpoint. NULL with errno (ENOMEM, EMFILE, EAGAIN).  */
rp_lookup_t *rp_resolver_begin (rp_resolver_t *self, const char *endpoint);

/*  Returns a descriptor that is readable when the look-up is over.  */
int rp_lookup_descriptor (const rp_lookup_t *self);
bool rp_lookup_is_over (const rp_lookup_t *self);

/*  Takes the result of a look-up that is over, and frees the look-up. False if there is no address:
    why, of RP_RESOLVER_TEXT_MAX bytes, then has the reason for people.  */
bool rp_resolver_take (
  rp_resolver_t *self, rp_lookup_t **lookup_p, rp_addresses_t *found, char *why);

/*  Gives up all look-ups. Does not wait.  */
void rp_resolver_clear (rp_resolver_t *self);

/*  Looks up the name of an endpoint in the calling thread, for as long as it takes. Result as
    rp_resolver_take.  */
bool rp_resolver_wait (const char *endpoint, rp_addresses_t *found, char *why);

#endif
