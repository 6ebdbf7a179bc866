/*  Parts: responses whose body comes in parts, as the worker writes them.

    SPDX-License-Identifier: MPL-2.0

    Such an exchange has a stream of the client library. A part is read from it when the peer has taken the one before,
    so a slow peer makes its worker wait, and no other. libmicrohttpd asks for more of the body; when there is none, the
    exchange is suspended, and the descriptor of its stream, in an epoll of their own, says when to resume it.

    Source: docs/HTTP.md. Thread-safety: none.
*/

#ifndef RP_GATEWAY_PARTS_H
#define RP_GATEWAY_PARTS_H

#include "gateway/state.h"

/*  Bytes of a reply that its worker may write before its peer has read them.  */
#define RP_HTTP_PARTS_WINDOW ((size_t) 65536)

/*  Prepares the epoll of the streams. False with errno.  */
bool rp_http_parts_init (rp_gateway_t *gateway);

/*  True if the peer wants the reply in parts: as events, or as they are (Riposte-Stream: true).  */
bool rp_http_parts_are_wanted (const rp_http_exchange_t *self);

/*  Sets what the request's headers say of the stream. False with a fault for people.  */
bool rp_http_parts_set_terms (
  const rp_http_exchange_t *self, rp_call_t *call, char *fault, size_t size);

/*  Submits the call as a stream, and gives the exchange its parts. Returns as rp_client_stream; RP_BUSY: there are as many
    as there may be (option --streams); RP_SYSTEM: no descriptor is left.  */
int rp_http_parts_begin (rp_http_exchange_t *self, rp_call_t **call_p);

/*  Makes the response, if it is known what it is: a part has come, or the request has ended. code: of HTTP. Otherwise NULL,
    and *code is MHD_HTTP_PROCESSING: the exchange is suspended, and this is called again; or 0: out of memory.  */
struct MHD_Response *rp_http_parts_answer (rp_http_exchange_t *self, unsigned *code);

/*  The peer has hung up: cancels the request.  */
void rp_http_parts_cancel (rp_http_exchange_t *self);

/*  Frees the parts of an exchange, and cancels its request if that is open. It may have none.  */
void rp_http_parts_destroy (rp_http_exchange_t *self);

/*  Resumes the exchanges whose streams have news.  */
void rp_http_parts_take_news (rp_gateway_t *gateway);

/*  Sends something to peers of events that had nothing for long, so that what lies between does not take the connection
    for dead. Returns when the next one is due, µs, or now if it sends to one;
    INT64_MAX: none is.  */
int64_t rp_http_parts_break_silence (rp_gateway_t *gateway, int64_t now);

#endif
