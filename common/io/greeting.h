/*  Finds out which security mechanism a peer speaks, by its ZMTP greeting, after a handshake that
    ended without a reason.

    SPDX-License-Identifier: MPL-2.0

    When one side of a ZMTP connection has CURVE and the other has not, the side that notices first
    closes the connection, mostly before its own greeting is out; so libzmq tells the other side no
    more than that the connection ended (three times in four, with libzmq 4.3.4 on loopback). It
    tells no more about a wrong key. A ZMTP peer sends its whole greeting, which names its
    mechanism, in answer to signature and version alone. So this connects once more, sends these 11
    bytes, reads the 64 bytes of the greeting, and hangs up.

    Source: ZeroMQ RFC 23 (ZMTP 3.0), greeting.
    Thread-safety: none.
*/

#ifndef RP_GREETING_H
#define RP_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_GREETING_SIZE 64u
/*  How long the greeting may take, ms: two round trips around the world, and time to spare.  */
#define RP_GREETING_MS 1000

typedef enum {
    RP_GREETING_WAITS, /* ask again when the descriptor is readable */
    RP_GREETING_NONE,  /* no greeting of ZMTP 3 came */
    RP_GREETING_NULL,  /* it has no security */
    RP_GREETING_CURVE, /* it wants keys */
    RP_GREETING_OTHER, /* another mechanism */
} rp_greeting_result_t;

typedef struct {
    int socket;     /* -1: not under way */
    int timer;      /* -1: not under way */
    int descriptor; /* readable when rp_greeting_look has something to do */
    bool said;
    size_t size;
    uint8_t bytes[RP_GREETING_SIZE];
} rp_greeting_t;

/*  Begins to connect. endpoint: tcp:// with a literal address. False if that failed: then nothing
    is under way.  */
bool rp_greeting_begin (rp_greeting_t *self, const char *endpoint);

/*  Sends and receives what it can without waiting; NONE when RP_GREETING_MS have passed. After any
    result but WAITS, nothing is under way.  */
rp_greeting_result_t rp_greeting_look (rp_greeting_t *self);

/*  Ends it; does nothing if it is not under way.  */
void rp_greeting_end (rp_greeting_t *self);

#endif
