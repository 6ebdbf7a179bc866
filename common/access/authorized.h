/*  Authorized keys: the public certificates of a directory, each with its principal and roles.

    SPDX-License-Identifier: MPL-2.0

    The directory holds files NAME.key (common/io/certificate.h), whose metadata has a principal;
    other names, and those that begin with a dot, are ignored. A file that cannot be read, a key
    that is there twice, a secret key, or a certificate without a principal is a mistake, and all
    mistakes are reported. A key past its `expires` is not an error: it is not authorized.

    Thread-safety: what nobody changes any more may be read by any thread. Only rp_authorized_load
    reads the disk.
*/

#ifndef RP_AUTHORIZED_H
#define RP_AUTHORIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/access/rules.h"
#include "common/io/certificate.h"

typedef struct {
    uint8_t key[RP_KEY_SIZE];
    char principal[RP_PRINCIPAL_MAX + 1];
    char *roles;    /* with commas; "" if none */
    char *file;     /* name in the directory */
    int64_t expiry; /* seconds since 1970, UTC; INT64_MAX: never */
    bool expired;
} rp_authorized_key_t;

typedef struct rp_authorized rp_authorized_t;

/*  message: "PATH: what is wrong"; valid during the call.  */
typedef void (rp_authorized_error_fn) (const char *message, void *arg);

/*  Reads a directory. today: seconds since 1970, UTC, to compare with `expires`. NULL after error
    was called at least once.  */
rp_authorized_t *rp_authorized_load (
  const char *directory, int64_t today, rp_authorized_error_fn *error, void *arg);

/*  Frees it. Nulls *self_p; NULL is allowed.  */
void rp_authorized_destroy (rp_authorized_t **self_p);

/*  Finds a key; NULL if it is not authorized, or has expired. Takes constant time for a given
    number of keys.  */
const rp_authorized_key_t *rp_authorized_find (
  const rp_authorized_t *self, const uint8_t key[RP_KEY_SIZE]);

size_t rp_authorized_count (const rp_authorized_t *self);
const rp_authorized_key_t *rp_authorized_at (const rp_authorized_t *self, size_t index);

/*  The moment at which the next key that has not expired does, in seconds since 1970, UTC;
    INT64_MAX if none will.  */
int64_t rp_authorized_next_expiry (const rp_authorized_t *self);

/*  Gives each principal the roles of those of its keys that have not expired. error is called for a
    role that the rules do not name. False if it was, or when out of memory.  */
bool rp_authorized_grant (
  const rp_authorized_t *self, rp_rules_t *rules, rp_authorized_error_fn *error, void *arg);

#endif
