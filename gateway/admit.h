/*  Admit: decides by the headers of a request of HTTP whether it is passed on.

    SPDX-License-Identifier: MPL-2.0

    Source: RFC 9110, RFC 9112 (framing), RFC 6750 (Bearer); docs/HTTP.md.
    Thread-safety: none.
*/

#ifndef RP_GATEWAY_ADMIT_H
#define RP_GATEWAY_ADMIT_H

#include "gateway/state.h"

/*  Returns NULL, or why the request is refused; static. version: as in the request line.  */
const rp_refusal_t *rp_admit (const rp_http_exchange_t *self, const char *version);

/*  True if the refusal is to be sent before the body: where the body ends is in doubt, or the peer
    waits for leave to send it.  */
bool rp_admit_at_once (const rp_http_exchange_t *self);

extern const rp_refusal_t rp_refusal_draining;
extern const rp_refusal_t rp_refusal_too_large;
extern const rp_refusal_t rp_refusal_crowded; /* the bodies of all requests are too many bytes */
extern const rp_refusal_t rp_refusal_no_room; /* nor for this reply */
extern const rp_refusal_t rp_refusal_no_memory;

#endif
