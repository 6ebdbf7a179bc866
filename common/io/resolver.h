/*  Looks up the addresses of host names, so that nobody waits for it.

    SPDX-License-Identifier: MPL-2.0

    getaddrinfo takes as long as the name servers do, half a minute if they are silent, and cannot be
    ended. So each look-up has a thread, whose end no one waits for: a look-up that nobody wants any
    more is left to it. A descriptor says when a look-up is over.

    There is one look-up of an endpoint at a time: who leaves one and comes back finds it going on,
    or its result. Thus a silent name server holds one thread for each name, and a name that takes
    longer than an attempt to connect is found all the same.

    In a child of fork() what was being looked up stays as it is: its thread is the parent's.

    Thread-safety: none; its owner's lock guards it.
*/

#ifndef RP_RESOLVER_H
#define RP_RESOLVER_H

#include <stdbool.h>

#include "common/wire/address.h"

/*  Bytes for "host NAME does not resolve: why".  */
#define RP_RESOLVER_TEXT_MAX 384u

typedef struct rp_lookup rp_lookup_t;

/*  Zero it to begin with.  */
typedef struct {
    rp_lookup_t *lookups; /* that go on, or whose results were not taken */
} rp_resolver_t;

/*  Begins to look up the name of an endpoint. NULL with errno (ENOMEM, EMFILE, EAGAIN).  */
rp_lookup_t *rp_resolver_begin (rp_resolver_t *self, const char *endpoint);

/*  Readable when it is over.  */
int rp_lookup_descriptor (const rp_lookup_t *self);
bool rp_lookup_is_over (const rp_lookup_t *self);

/*  Takes the result of a look-up that is over, which is freed. False if there is none; why, of
    RP_RESOLVER_TEXT_MAX bytes, says so to people then.  */
bool rp_resolver_take (
  rp_resolver_t *self, rp_lookup_t **lookup_p, rp_addresses_t *found, char *why);

/*  Leaves all that goes on. Does not wait.  */
void rp_resolver_clear (rp_resolver_t *self);

/*  Looks up the name of an endpoint in the caller's thread, for as long as it takes. As
    rp_resolver_take.  */
bool rp_resolver_wait (const char *endpoint, rp_addresses_t *found, char *why);

#endif
