/*  ZAP: answers libzmq's questions whether a handshake may go on, in a thread of its own.

    SPDX-License-Identifier: MPL-2.0

    libzmq asks for each CURVE handshake and goes on only with an answer (ZAP_ENFORCE_DOMAIN). A key that
    is authorized is answered with its principal as User-Id, and with the key itself as the property
    RP_ZAP_KEY; both come with each message of the connection. libzmq puts them before the properties
    that a peer itself sent, so a peer cannot forge them; where nobody asked, it can.

    Source: ZeroMQ RFC 27 (ZAP), RFC 26 (CurveZMQ).
    Thread-safety: as stated.
*/

#ifndef RP_ZAP_H
#define RP_ZAP_H

#include <stdint.h>

#include "broker/auth/credentials.h"

/*  The domain of the listeners that anybody with a key may reach. That of a plain service's REP workers
    is RP_ZAP_SERVE and the service: they must be allowed to serve it.  */
#define RP_ZAP_DOMAIN "riposte"
#define RP_ZAP_SERVE "riposte:serve:"
/*  Properties of messages: the key of their sender, in Z85; its principal.  */
#define RP_ZAP_KEY "X-Riposte-Key"
#define RP_ZAP_USER "User-Id"

typedef struct rp_zap rp_zap_t;

/*  Handshakes answered so far.  */
typedef struct {
    uint64_t accepted;
    uint64_t refused;
} rp_zap_counts_t;

/*  Starts the thread, before any socket with a domain exists. credentials: held by the thread. NULL
    with errno.  */
rp_zap_t *rp_zap_new (void *context, rp_credentials_t *credentials);

/*  Ends the thread, after all sockets with a domain are closed. Nulls *self_p; NULL is allowed.  */
void rp_zap_destroy (rp_zap_t **self_p);

/*  Other credentials hold from the next handshake on. Any thread.  */
void rp_zap_change (rp_zap_t *self, rp_credentials_t *credentials);

/*  Any thread.  */
rp_zap_counts_t rp_zap_counts (const rp_zap_t *self);

#endif
