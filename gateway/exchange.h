/*  Exchange: one request of HTTP, which becomes a request to a service, and its response.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_GATEWAY_EXCHANGE_H
#define RP_GATEWAY_EXCHANGE_H

#include "gateway/state.h"

/*  The MHD_AccessHandlerCallback: called with the headers, with each piece of the body, at the end of
    the request, and after a resume again as at the end. arg: the gateway.  */
enum MHD_Result rp_http_exchange_on_request (void *arg,
  struct MHD_Connection *connection,
  const char *path,
  const char *method,
  const char *version,
  const char *data,
  size_t *size,
  void **context);

/*  The MHD_RequestCompletedCallback: the response was sent, or the connection has ended. arg: the
    gateway.  */
void rp_http_exchange_on_completed (void *arg,
  struct MHD_Connection *connection,
  void **context,
  enum MHD_RequestTerminationCode how);

/*  The request to the service has ended with this reply, which the exchange takes.  */
void rp_http_exchange_take (rp_http_exchange_t *self, rp_reply_t *reply, int64_t now);

/*  The peer has hung up: cancels the request to the service, unless that has an idempotency key, with which the peer may
    ask again.  */
void rp_http_exchange_cancel (rp_http_exchange_t *self);

#endif
