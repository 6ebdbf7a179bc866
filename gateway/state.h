/*  State: what the parts of the gateway share. For the files of this folder only.

    SPDX-License-Identifier: MPL-2.0

    A peer is one connection of HTTP. An exchange is one request on it, from its headers until its
    response was sent. While its request to the service is open, an exchange is suspended:
    libmicrohttpd does not look at its connection, which therefore never ends meanwhile.

    Thread-safety: none; one thread has all of it.
*/

#ifndef RP_GATEWAY_STATE_H
#define RP_GATEWAY_STATE_H

#include <microhttpd.h>
#include <riposte/client.h>

#include "common/access/tokens.h"
#include "common/base/list.h"
#include "gateway/gateway.h"
#include "gateway/held.h"
#include "gateway/translate.h"

typedef struct rp_http_exchange rp_http_exchange_t;
typedef struct rp_http_parts rp_http_parts_t; /* gateway/parts.h */

/*  While the peer has to act (send a request, read a response) it is in `awaited`.  */
typedef struct {
    rp_list_node_t node;
    rp_list_node_t gone; /* in the list `gone` from its hanging up until libmicrohttpd was told */
    int64_t since;       /* µs */
    int descriptor;
    bool has_hung_up;         /* it has closed the connection, or its sending half */
    rp_http_exchange_t *open; /* its suspended exchange; NULL: none */
} rp_http_peer_t;

/*  Why a request of HTTP is not passed on.  */
typedef struct {
    unsigned code; /* of HTTP */
    int status;    /* of Riposte; 0: only HTTP has one, and title is its name */
    const char *title;
    const char *detail;
} rp_refusal_t;

struct rp_http_exchange {
    rp_list_node_t node; /* in `suspended` while its request is open */
    rp_gateway_t *gateway;
    struct MHD_Connection *connection; /* NULL: has ended */
    rp_http_peer_t *peer;
    const rp_refusal_t *refusal; /* NULL: none; its body is dropped */
    rp_resource_t resource;
    char *body;
    size_t size;
    size_t capacity;
    size_t counted;    /* bytes of bodies that count for its gateway */
    bool is_submitted; /* its request was given to the client */
    bool is_keyed; /* with an idempotency key: its peer may hang up, and ask for the reply again */
    bool wants_parts; /* its reply is to come in parts */
    bool wants_all;   /* … which are what all workers of the service answer */
    bool
      has_begun; /* its response, of parts: libmicrohttpd asks for the body, and no more for a response */
    rp_http_parts_t *parts; /* NULL: its request was not submitted as a stream */
    uint64_t id; /* of the request to the service while it is open; 0: none, or it has parts */
    rp_reply_t *reply;                    /* has come, and is not sent yet */
    char held_id[RP_CONVERSATION_ID + 1]; /* of its conversation; "": none */
    bool is_waiting;                      /* it prefers to wait for the final of a job */
    unsigned wait;                        /* seconds, if so */
    int64_t wait_until;                   /* likewise, µs */
};

struct rp_gateway {
    const rp_gateway_options_t *options;
    rp_client_t *client;
    struct MHD_Daemon *daemon;
    rp_tokens_t *tokens; /* NULL: everybody may call */
    rp_held_all_t held;
    rp_list_t awaited;   /* peers, the longest first */
    rp_list_t suspended; /* exchanges */
    rp_list_t gone;      /* peers */
    rp_list_t silent;    /* parts whose peers have nothing to read, the longest first */
    unsigned idle_s;     /* option --idle in whole seconds, as libmicrohttpd has it */
    int epoll;
    int news; /* an epoll: which streams have something */
    int signals;
    uint64_t streams;
    uint64_t open;  /* requests to services, but for streams */
    uint64_t busy;  /* exchanges that were submitted and have not ended */
    uint64_t bytes; /* of bodies in memory */
    unsigned signal_count;
    bool loopback; /* it listens there */
    bool ending;
};

/*  A header of the request; NULL: it has none of this name.  */
static inline const char *rp_http_header (const rp_http_exchange_t *self, const char *name)
{
    return MHD_lookup_connection_value (self->connection, MHD_HEADER_KIND, name);
}

#endif
