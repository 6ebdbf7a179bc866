/*  Credentials: who is let in, and what the rules say, as read from the files at one moment.

    SPDX-License-Identifier: MPL-2.0

    Credentials never change once they are loaded: a reload makes new ones, and the old ones stay until
    nobody uses them. The server's thread and the ZAP thread share them.

    Thread-safety: hold and release may be called by any thread; everything else only reads.
*/

#ifndef RP_CREDENTIALS_H
#define RP_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/access/authorized.h"
#include "common/access/rules.h"
#include "common/io/certificate.h"

typedef struct rp_credentials rp_credentials_t;

typedef struct {
    const char *key_file;      /* the broker's secret certificate; NULL: nobody has a key */
    const char *next_key_file; /* that which will replace it; NULL: none */
    const char *authorized;    /* directory; NULL: `authorized` beside the key file */
    const char *rules;         /* file; NULL: no rules, so everything is allowed */
} rp_credentials_files_t;

/*  message: "FILE:LINE:COLUMN: what is wrong", or "FILE: …"; valid during the call.  */
typedef void (rp_credentials_error_fn) (const char *message, void *arg);

/*  Reads all files. today: seconds since 1970, UTC. NULL after error was called for each mistake. The
    caller holds the result.  */
rp_credentials_t *rp_credentials_load (
  const rp_credentials_files_t *files, int64_t today, rp_credentials_error_fn *error, void *arg);

/*  Counts one more user, and returns self; releases one, and nulls *self_p (NULL is allowed). The last
    one frees.  */
rp_credentials_t *rp_credentials_hold (rp_credentials_t *self);
void rp_credentials_release (rp_credentials_t **self_p);

/*  The broker's keys; NULL if it has none.  */
const rp_certificate_t *rp_credentials_own (const rp_credentials_t *self);

/*  The keys that will replace them, for the endpoint of those who know them already; NULL: none.  */
const rp_certificate_t *rp_credentials_next (const rp_credentials_t *self);

/*  The rules with the roles of the authorized keys; NULL: everything is allowed.  */
const rp_rules_t *rp_credentials_rules (const rp_credentials_t *self);

/*  The principal of a client's key; NULL if the key is not authorized. Takes the same time for every
    key.  */
const char *rp_credentials_principal (const rp_credentials_t *self, const uint8_t key[RP_KEY_SIZE]);

/*  The principal of a token (common/access/tokens.h) of the directory of authorized keys; NULL if nobody has
    it.  */
const char *rp_credentials_token (const rp_credentials_t *self, const char *token);

/*  The number of authorized keys, expired ones included; and each of them.  */
size_t rp_credentials_count (const rp_credentials_t *self);
const rp_authorized_key_t *rp_credentials_key (const rp_credentials_t *self, size_t index);

#endif
