/*  Open exchanges: the bytes that one has counted, and its connection, which libmicrohttpd does not look at while the
    exchange waits for its service.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_GATEWAY_OPEN_H
#define RP_GATEWAY_OPEN_H

#include "gateway/state.h"

/*  Has libmicrohttpd not look at the exchange's connection until it is resumed.  */
void rp_http_exchange_suspend (rp_http_exchange_t *self);

/*  Lets libmicrohttpd go on with a suspended exchange.  */
void rp_http_exchange_resume (rp_http_exchange_t *self);

/*  Counts so many bytes of bodies for the exchange. False if others have bytes, and there is no room for more than
    it has (option --total-body): then nothing is changed.  */
bool rp_http_exchange_count (rp_http_exchange_t *self, size_t bytes);

/*  Likewise, whatever others have: for bytes that are there already, or that it gives back.  */
void rp_http_exchange_recount (rp_http_exchange_t *self, size_t bytes);

#endif
