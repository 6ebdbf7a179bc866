/*  Gateway: takes requests of HTTP, and has them answered through the client library.

    SPDX-License-Identifier: MPL-2.0

    One thread and one client of the broker: a request of HTTP is suspended while its request to the
    service is open, so its number costs no threads. A peer that hangs up has its request cancelled, unless that
    has an idempotency key: then it may ask again.

    Source: docs/HTTP.md. Thread-safety: none.
*/

#ifndef RP_GATEWAY_H
#define RP_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *listen;     /* ADDRESS:PORT */
    const char *server;     /* the brokers */
    bool spread;            /* begin with a random one of them */
    const char *key_file;   /* NULL: none */
    const char *server_key; /* NULL: none */
    const char *context;    /* for the program: a name of riposte context; NULL: that in use */
    const char *tokens;     /* file of tokens; NULL: whoever reaches it may call */
    int64_t timeout;        /* deadline of a request without one of its own, µs */
    uint64_t attempts;      /* likewise */
    uint64_t max_body;      /* bytes */
    uint64_t total_body;    /* of all requests and replies in memory, bytes */
    uint64_t connections;
    uint64_t streams;          /* replies in parts at once */
    uint64_t per_address;      /* connections of one address; 0: no limit */
    uint64_t header_bytes;     /* request line and headers */
    int64_t idle;              /* a connection without a byte is closed after this, µs */
    int64_t upload;            /* the most for headers, for a body, and to read a response, µs */
    uint64_t conversations;    /* open at once */
    int64_t conversation_idle; /* a conversation without a request ends after this, µs */
    bool insecure;             /* listen beyond the loopback interface */
    bool quiet;
    bool verbose; /* a line for each request */
} rp_gateway_options_t;

typedef struct rp_gateway rp_gateway_t;

/*  Makes a gateway, which listens. options: not copied. NULL, after an error line on stderr.  */
rp_gateway_t *rp_gateway_new (const rp_gateway_options_t *options);

/*  Returns the port that it listens at.  */
unsigned rp_gateway_port (const rp_gateway_t *self);

/*  Serves until a signal comes (signals: a signalfd): takes no more connections, and waits until open
    requests have ended and their responses were read; a second signal ends it at once. SIGHUP reads
    the tokens anew. Returns the exit code.  */
int rp_gateway_run (rp_gateway_t *self, int signals);

/*  Cancels what is open. Nulls *self_p; NULL is allowed.  */
void rp_gateway_destroy (rp_gateway_t **self_p);

#endif
