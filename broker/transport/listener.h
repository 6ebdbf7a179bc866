/*  Listeners: the sockets through which peers reach the broker.

    SPDX-License-Identifier: MPL-2.0

    Listener 0 is the ROUTER that speaks Riposte's own protocol and MDP. CURVE holds for all
    endpoints of a socket; so if listener 0 speaks CURVE, ipc has a ROUTER of its own without. A
    plain service has two listeners more: in front a ROUTER for unmodified REQ or DEALER clients, at
    the back a DEALER for unmodified REP workers. The REP workers are one session together, because
    a DEALER gives each request to the next of them and does not tell to which.

    A session is found by its key, which is its routing id made unique among all listeners: on
    listener 0 the routing id as it is, on others behind a prefix with the listener's number. A
    routing id on listener 0 that looks like a prefix gets one too.

    The number of connected REP workers comes from the monitor of their listener. Its event for a
    finished handshake does not name the connection. So a connection is undecided when it comes, and
    each such event says only that one more of the undecided connections is ready. When as many are
    ready as are undecided, all of them are REP workers, and a new round begins. When an undecided
    connection ends, its age tells whether it was one of those ready: a peer of the wrong type goes
    at once, without an event. For peers older than ZMTP 3.0 there is no event either: they count
    once broker/transport/handshakes.h has looked at their connections.

    Thread-safety: none.
*/

#ifndef RP_LISTENER_H
#define RP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/transport/connection.h"
#include "common/io/socket.h"
#include "common/wire/head.h"
#include "common/wire/ids.h"

typedef enum { RP_LISTENER_OPEN, RP_LISTENER_FRONT, RP_LISTENER_BACK } rp_listener_kind_t;

/*  Listener 0, one without CURVE for ipc, one with the next key, and two for each plain service.  */
#define RP_LISTENERS_MAX 35u
#define RP_LISTENER_PREFIX 8u
/*  The longest routing id, bytes. libzmq lets no program set a longer one, but takes what a peer sends.  */
#define RP_LISTENER_ID_MAX 255u
#define RP_LISTENER_KEY_MAX (RP_LISTENER_PREFIX + RP_LISTENER_ID_MAX)

typedef struct {
    rp_listener_kind_t kind;
    uint8_t number;
    bool monitor_unread; /* not read to its end, so its descriptor does not show new events */
    /*  RP_LISTENER_BACK: the number of REP workers may have changed, or they lost their session  */
    bool recount;
    bool secure; /* its peers have shown a key */
    void *socket;
    void *monitor;
    char service[RP_WIRE_NAME_MAX + 1]; /* of a plain listener; "" for listener 0 */
    uint32_t connected;                 /* RP_LISTENER_BACK: REP workers whose handshake is done */
    uint32_t undecided;                 /* RP_LISTENER_BACK: connections of this round, see above */
    uint32_t ready; /* RP_LISTENER_BACK: how many of these have done their handshake */
    uint32_t round; /* the number of the round */
    /*  the monitor's event for a failed handshake; it is taken for that of the connection that ends
        next; 0: none  */
    int failure;
    uint32_t failure_value; /* its errno or code */
    /*  RP_LISTENER_BACK: the handshake of the connection that ends next has failed  */
    bool failed;
} rp_listener_t;

/*  Opens the socket and its monitor. security: NULL: none. False with errno; self may then still be
    closed.  */
bool rp_listener_open (rp_listener_t *self,
  void *context,
  rp_listener_kind_t kind,
  uint8_t number,
  const char *service,
  int64_t max_frame,
  int backlog,
  const rp_socket_security_t *security);

void rp_listener_close (rp_listener_t *self, int linger_ms);

/*  The descriptors to poll; -1 if not open. A readable one means only that the socket is to be
    asked.  */
int rp_listener_descriptor (const rp_listener_t *self);
int rp_listener_monitor_descriptor (const rp_listener_t *self);

/*  Events of RP_LISTENER_BACK's monitor: a connection came; a handshake was done; a handshake
    failed; a connection ended. They keep `connected`, and return whether it has changed. now:
    µs.  */
void rp_listener_came (rp_listener_t *self, rp_connection_t *connection);
bool rp_listener_shook_hands (rp_listener_t *self);
void rp_listener_failed (rp_listener_t *self);
bool rp_listener_went (rp_listener_t *self, rp_connection_t *connection, int64_t now);

/*  The handshake of a connection is seen to be done. old: its peer is certainly older than ZMTP
    3.0; otherwise it is taken for one if no reported handshake may be its. Returns whether
    `connected` has changed.  */
bool rp_listener_saw (rp_listener_t *self, rp_connection_t *connection, bool old);

/*  Returns the key of a routing id of up to RP_LISTENER_ID_MAX bytes: the routing id itself, or in buffer. *size becomes the key's.
    RP_LISTENER_BACK has one key, that of an empty routing id.  */
const void *rp_listener_key (const rp_listener_t *self,
  const void *routing_id,
  size_t *size,
  uint8_t buffer[RP_LISTENER_KEY_MAX]);

/*  Returns the number of the listener that a key belongs to.  */
uint8_t rp_listener_of_key (const void *key, size_t size);

/*  Returns the routing id in a key; NULL if messages go without one (RP_LISTENER_BACK).  */
const void *rp_listener_routing_id (const void *key, size_t *size);

/*  True if a peer chose the routing id. Those that libzmq makes are a zero byte and a number of
    four bytes, and each belongs to one connection only.  */
static inline bool rp_listener_id_is_chosen (const void *routing_id, size_t size)
{
    return size != 5 || *(const uint8_t *) routing_id != 0;
}

#endif
