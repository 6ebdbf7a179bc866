/*  Listeners: the sockets through which peers reach the broker.

    SPDX-License-Identifier: MPL-2.0

    Listener 0 is the ROUTER that speaks Riposte's own protocol and MDP. A plain service has two
    more: a ROUTER in front, for unmodified REQ or DEALER clients, and a DEALER at the back, for
    unmodified REP workers, which are one session together: a DEALER gives each request to the next
    of them, and does not say to which.

    Sessions are known by their routing id, which is unique in one ROUTER only. A key is a routing
    id that is unique among all listeners: those of listener 0 as they are, those of others behind a
    prefix with the listener's number. A peer may choose any routing id, also one that begins like a
    prefix; on listener 0 such a one gets a prefix too.

    How many REP workers are connected is known from what the monitor of their listener tells. It
    does not say whose handshake was done, and of a peer of the wrong type only that it came and
    went; so connections are undecided until as many handshakes were told of as there are undecided ones. Of peers older than
    ZMTP 3.0 it tells nothing: they count once somebody has looked at their connections
    (broker/transport/handshakes.h).

    Thread-safety: none.
*/

#ifndef RP_LISTENER_H
#define RP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "common/wire/head.h"
#include "common/wire/ids.h"

typedef enum { RP_LISTENER_OPEN, RP_LISTENER_FRONT, RP_LISTENER_BACK } rp_listener_kind_t;

/*  Listener 0 and two for each plain service.  */
#define RP_LISTENERS_MAX 33u
#define RP_LISTENER_PREFIX 8u
#define RP_LISTENER_KEY_MAX (RP_LISTENER_PREFIX + 255u)

typedef struct {
    rp_listener_kind_t kind;
    uint8_t number;
    bool monitor_unread; /* its descriptor tells nothing until it has been read to its end */
    bool recount; /* RP_LISTENER_BACK: its REP workers may be more or fewer, or have no session */
    void *socket;
    void *monitor;
    char service[RP_WIRE_NAME_MAX + 1]; /* of a plain one; "" for listener 0 */
    uint32_t connected;                 /* RP_LISTENER_BACK: REP peers, whose handshake is done */
    int64_t looked;     /* RP_LISTENER_BACK: when it was last seen to that they have one */
    uint32_t undecided; /* RP_LISTENER_BACK: of so many it is not known whether … */
    uint32_t ready;     /* … their handshake is done; of so many of these it is */
    uint32_t round;     /* the undecided are those that came in this one */
    int failure;        /* what the monitor told of the handshake of the one who goes next, or 0 */
    uint32_t failure_value; /* its errno or code */
    bool failed;            /* RP_LISTENER_BACK: a handshake, of the one who goes next */
} rp_listener_t;

/*  Opens the socket and its monitor. False with errno; self may be closed all the same.  */
bool rp_listener_open (rp_listener_t *self,
  void *context,
  rp_listener_kind_t kind,
  uint8_t number,
  const char *service,
  int64_t max_frame,
  int backlog);

void rp_listener_close (rp_listener_t *self, int linger_ms);

/*  What poll says of it is that it is to be asked; -1 if it is not open.  */
int rp_listener_descriptor (const rp_listener_t *self);
int rp_listener_monitor_descriptor (const rp_listener_t *self);

/*  What the monitor of RP_LISTENER_BACK tells: somebody came, somebody's handshake was done, or
    failed, somebody went. They keep `connected`; false if it stays as it is. now: µs.  */
void rp_listener_came (rp_listener_t *self, rp_connection_t *connection);
bool rp_listener_shook_hands (rp_listener_t *self);
void rp_listener_failed (rp_listener_t *self);
bool rp_listener_went (rp_listener_t *self, rp_connection_t *connection, int64_t now);

/*  Somebody has looked at a connection: its handshake is done. old: certainly of a peer older than
    ZMTP 3.0. Otherwise it is one if no handshake was told of that might be its. False if it does
    not count.  */
bool rp_listener_saw (rp_listener_t *self, rp_connection_t *connection, bool old);

/*  The key of a routing id, whose size becomes the key's: the routing id itself, or in buffer.
    RP_LISTENER_BACK has one key only, of an empty routing id.  */
const void *rp_listener_key (const rp_listener_t *self,
  const void *routing_id,
  size_t *size,
  uint8_t buffer[RP_LISTENER_KEY_MAX]);

/*  The number of the listener that a key belongs to.  */
uint8_t rp_listener_of_key (const void *key, size_t size);

/*  The routing id in a key. NULL if messages go without one (RP_LISTENER_BACK).  */
const void *rp_listener_routing_id (const void *key, size_t *size);

#endif
