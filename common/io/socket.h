/*  Makes every libzmq socket of Riposte, so that socket options are set in one place; checks the
    form of endpoints; reads how many bytes went over a connection.

    SPDX-License-Identifier: MPL-2.0

    Source: zmq_setsockopt(3); docs/ARCHITECTURE.md, "Sockets", has the reason for each option.
    Thread-safety: as libzmq: a context from any thread, a socket from one thread at a time.
*/

#ifndef RP_SOCKET_H
#define RP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/curve.h"

/*  A connection whose handshake takes longer is aborted, ms: a silent one holds a descriptor.
    libzmq's own timer for this is set on a DEALER only (broker/transport/handshakes.h).  */
#define RP_SOCKET_HANDSHAKE_MS 3000

/*  Send buffer of a connection between two processes of one machine, bytes. Such a connection has
    no latency to hide, and with the system's buffer of several MiB a large body has left the
    processor's cache before the peer reads it (ADR 0011). Below 64 KiB, a segment of loopback,
    connections stall.  */
#define RP_SOCKET_LOCAL_SEND_BUFFER 262144

/*  How a socket of the broker asks its peers who they are: CURVE, with this secret key of 32 bytes,
    and ZAP asked under this domain.  */
typedef struct {
    const uint8_t *secret_key;
    const char *domain;
} rp_socket_security_t;

/*  Makes the broker's ROUTER: mandatory, no handover, with limits for backlog and frame size.
    max_frame: bytes; backlog: messages waiting for one peer; security: NULL: none. Returns NULL
    with errno (EMFILE, ETERM, ENOMEM …; ENOTSUP: libzmq lacks CURVE, or does not insist on
    ZAP).  */
void *rp_socket_router (
  void *context, int64_t max_frame, int backlog, const rp_socket_security_t *security);

/*  Makes the broker's DEALER for plain REP workers. Otherwise as rp_socket_router.  */
void *rp_socket_backend (
  void *context, int64_t max_frame, int backlog, const rp_socket_security_t *security);

/*  Makes a client's or worker's DEALER, not yet connected; it never reconnects by itself. Returns
    NULL with errno.  */
void *rp_socket_dealer (void *context);

/*  Makes a DEALER use CURVE, with these keys; to be called before it connects. 0, or -1 with errno
    (EINVAL: libzmq has no CURVE).  */
int rp_socket_use_curve (void *socket, const rp_curve_t *keys);

/*  Opens a PAIR that receives the monitor events of a socket (those in the mask, ZMQ_EVENT_…),
    under an inproc name made from number, which must be unique in the context. Returns NULL with
    errno.  */
void *rp_socket_monitor (void *context, void *socket, int events, uint64_t number);

/*  Takes the next event from a monitor without waiting. Returns the event; 0 if there is none.
    *value is a descriptor or an errno, see zmq_socket_monitor(3).  */
int rp_socket_next_event (void *monitor, uint32_t *value);

/*  Detaches a monitor made by rp_socket_monitor and closes both. Either may be NULL.  */
void rp_socket_close (void *socket, void *monitor);

/*  Sets the options that depend on the endpoint. To be called just before zmq_bind. 0, or -1 with
    errno.  */
int rp_socket_prepare (void *socket, const char *endpoint);

/*  Calls zmq_connect, once per socket, with the options that depend on the endpoint. 0, or -1 with
    errno.  */
int rp_socket_connect (void *socket, const char *endpoint);

/*  Sets the options of an accepted connection that depend on where the peer is. descriptor: from
    ZMQ_EVENT_ACCEPTED. If that connection has ended meanwhile, nothing happens, or another
    connection of this machine gets the options.  */
void rp_socket_accepted (int descriptor);

/*  The bytes of one connection so far.  */
typedef struct {
    uint64_t sent;     /* bytes; TCP only */
    uint64_t received; /* bytes; TCP only */
    bool counted;      /* sent and received are known */
    bool unread;       /* ipc only: the peer has not read all that was sent */
} rp_traffic_t;

/*  False if the descriptor cannot be inspected.  */
bool rp_socket_traffic (int descriptor, rp_traffic_t *traffic);

/*  True if an endpoint has a form that libzmq understands and this project uses: tcp://HOST:PORT or
    ipc://PATH. HOST is a name, an IPv4 address, or an IPv6 address in brackets; to bind, also the
    name of an interface, or * for all. PORT may be * to bind to a free one. Otherwise *reason is a
    clause that follows the endpoint ("has no port").  */
int rp_socket_endpoint_is_valid (const char *endpoint, size_t size, const char **reason);

/*  The same for an endpoint to connect to, which has no *, and may be srv:NAME, the name of SRV records.  */
int rp_socket_peer_endpoint_is_valid (const char *endpoint, size_t size, const char **reason);

/*  True if a valid endpoint is TCP on the loopback interface.  */
bool rp_socket_endpoint_is_loopback (const char *endpoint);

#endif
