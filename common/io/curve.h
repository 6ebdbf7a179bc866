/*  The CURVE keys with which a client or a worker connects: its own pair, and the broker's public
    key.

    SPDX-License-Identifier: MPL-2.0

    With keys, each connection over tcp:// is encrypted, and both ends prove who they are; there is
    no connection without. An ipc:// endpoint never uses keys: the rights of its path protect it,
    and the broker knows the peer by its uid.

    Source: ZeroMQ RFC 26 (CurveZMQ).
    Thread-safety: none; each client and worker has keys of its own.
*/

#ifndef RP_CURVE_H
#define RP_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/io/certificate.h"

typedef struct {
    uint8_t public_key[RP_KEY_SIZE];
    uint8_t secret_key[RP_KEY_SIZE];
    uint8_t server_key[RP_KEY_SIZE];
    bool has_pair;
    bool has_server;
    bool is_made;                            /* the pair was made by rp_curve_complete */
    char problem[RP_CERTIFICATE_REASON_MAX]; /* why the last function failed, for people; "" */
} rp_curve_t;

/*  Takes the pair from a certificate file with a secret key. RP_OK; RP_USAGE with problem, and the
    keys stay as they were. Likewise the other setters.  */
int rp_curve_set_key_file (rp_curve_t *self, const char *path);

/*  Takes the broker's public key: 40 characters of Z85, or the path of a certificate file.  */
int rp_curve_set_server_key (rp_curve_t *self, const char *text);

/*  Takes all keys, each as 40 characters of Z85. The public key must belong to the secret key.  */
int rp_curve_set_keys (
  rp_curve_t *self, const char *public_key, const char *secret_key, const char *server_key);

/*  To be called before the first connection: makes a pair if only the broker's key is known. RP_OK;
    RP_USAGE with problem: a pair, and no broker's key; RP_SYSTEM: libzmq has no CURVE.  */
int rp_curve_complete (rp_curve_t *self);

/*  True if connections to this endpoint are to use the keys.  */
bool rp_curve_applies (const rp_curve_t *self, const char *endpoint);

/*  Overwrites all of it with zeros.  */
void rp_curve_forget (rp_curve_t *self);

#endif
