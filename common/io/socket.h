/*  Every libzmq socket of Riposte is made here, so that its options are set in one place.

    SPDX-License-Identifier: MPL-2.0

    Source: zmq_setsockopt(3), and docs/ARCHITECTURE.md "Sockets" for the reason of each option.
    Thread-safety: as libzmq: a context from any thread, a socket from one at a time.
*/

#ifndef RP_SOCKET_H
#define RP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  A connection whose handshake is not done by then is cut, ms. A silent one holds a descriptor so
    long. libzmq's own timer for it is set on a DEALER only (broker/transport/handshakes.h).  */
#define RP_SOCKET_HANDSHAKE_MS 3000

/*  Of a connection between two processes of one machine, bytes. There nothing is under way, and the
    system's buffer of several MiB only sees to it that a large body is out of the processor's cache
    before the peer reads it (ADR 0011). Under 64 KiB, which is a segment of loopback, connections
    stall.  */
#define RP_SOCKET_LOCAL_SEND_BUFFER 262144

/*  The broker's ROUTER: mandatory, no handover, peers' backlog and largest frame bounded.
    max_frame: bytes; backlog: messages waiting for one peer.
    Returns NULL with errno (EMFILE, ETERM, ENOMEM …).  */
void *rp_socket_router (void *context, int64_t max_frame, int backlog);

/*  The broker's DEALER towards plain REP workers. Otherwise as rp_socket_router.  */
void *rp_socket_backend (void *context, int64_t max_frame, int backlog);

/*  A client's or worker's DEALER, not yet connected; it never reconnects by itself.
    Returns NULL with errno.  */
void *rp_socket_dealer (void *context);

/*  Opens a PAIR that receives a socket's monitor events (those of the mask, ZMQ_EVENT_…), under an
    inproc name made from the number, which must be unique in the context.
    Returns NULL with errno.  */
void *rp_socket_monitor (void *context, void *socket, int events, uint64_t number);

/*  Takes the next event from a monitor without waiting. Returns the event, 0 if there is none.
    *value is as zmq_socket_monitor(3) says: the descriptor or errno.  */
int rp_socket_next_event (void *monitor, uint32_t *value);

/*  Detaches a monitor made by rp_socket_monitor and closes both. Either may be NULL.  */
void rp_socket_close (void *socket, void *monitor);

/*  Sets what depends on the endpoint. To be called just before zmq_bind.
    0, or -1 with errno.  */
int rp_socket_prepare (void *socket, const char *endpoint);

/*  zmq_connect, for the first and only time, with what depends on the endpoint. 0, or -1 with
    errno.  */
int rp_socket_connect (void *socket, const char *endpoint);

/*  Sets what depends on where a peer is, once it has connected. descriptor: of ZMQ_EVENT_ACCEPTED.
    If its connection has ended meanwhile nothing happens, or another connection of this machine
    gets the same.  */
void rp_socket_accepted (int descriptor);

/*  What went over a connection so far.  */
typedef struct {
    uint64_t sent;     /* bytes; of TCP only */
    uint64_t received; /* bytes; of TCP only */
    bool counted;      /* these two are known */
    bool unread;       /* over ipc: the peer has not read all that was sent to it */
} rp_traffic_t;

/*  False if it cannot be seen.  */
bool rp_socket_traffic (int descriptor, rp_traffic_t *traffic);

/*  True if an endpoint has a form that libzmq understands and this project uses: tcp://HOST:PORT
    or ipc://PATH. HOST is a name, an IPv4 address, an IPv6 address in brackets, or, to bind to, the
    name of an interface or * for all of them; PORT may be * to bind to one that is free.
    *reason says what is wrong otherwise, as a clause that follows the endpoint ("has no port").  */
int rp_socket_endpoint_is_valid (const char *endpoint, size_t size, const char **reason);

/*  The same for an endpoint to connect to, which has no *.  */
int rp_socket_peer_endpoint_is_valid (const char *endpoint, size_t size, const char **reason);

/*  True if a valid endpoint is TCP on the loopback interface.  */
bool rp_socket_endpoint_is_loopback (const char *endpoint);

#endif
