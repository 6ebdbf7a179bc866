/*  Connections: what the broker knows of one transport connection, from its accept to its end.

    SPDX-License-Identifier: MPL-2.0

    libzmq owns the socket and closes it at any time, and the kernel then gives its descriptor to
    the next connection. So the kernel's cookie of the socket is kept beside the descriptor, and a
    connection is only aborted while the socket behind its descriptor has that cookie.

    Thread-safety: none.
*/

#ifndef RP_CONNECTION_H
#define RP_CONNECTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/list.h"
#include "common/io/socket.h"
#include "common/wire/ids.h"

/*  Enough for any address as text, with its port.  */
#define RP_ADDRESS_TEXT_MAX 64u

/*  The address of a peer. Zero: not known.  */
typedef struct {
    struct in6_addr ip; /* IPv4 as mapped into IPv6 */
    in_port_t port;     /* network order */
    sa_family_t family; /* AF_INET6, AF_UNIX or AF_UNSPEC */
} rp_address_t;

/*  Writes an address to buffer, of RP_ADDRESS_TEXT_MAX bytes: "127.0.0.1:40312", "local" for ipc,
    "?" if not known. Returns buffer.  */
const char *rp_address_format (const rp_address_t *self, char *buffer);

#define RP_CONNECTION_KEY 32u

typedef struct rp_connection {
    int descriptor;
    uint8_t listener;        /* number of its listener */
    bool accepted;           /* the monitor has reported it; a message may be read before that */
    bool doubted;            /* the monitor has reported its end, or a predecessor's */
    bool heard;              /* a message has come over it */
    uint32_t undecided;      /* RP_LISTENER_BACK: its round (broker/transport/listener.h) */
    int64_t accepted_at;     /* µs */
    uint64_t cookie;         /* of the socket; 0: the socket was gone at the first look */
    rp_session_id_t session; /* the session on it; 0: none */
    rp_address_t address;
    /*  The principal of its peer; NULL: not known, as before its first message, or if messages over
        it seemed to come from two principals. Not owned; equal names have one address.  */
    const char *principal;
    uint8_t key[RP_CONNECTION_KEY]; /* over a secure listener, once the principal is known */
    uid_t user; /* of its peer's process; only if the family of its address is AF_UNIX */
    /*  While its handshake is under way (broker/transport/handshakes.h):  */
    rp_list_node_t handshake_node;
    int64_t look;            /* time of the next look, µs; also while it is unheard */
    int64_t handshake_until; /* µs */
    /*  While it has no session (broker/transport/pending.h):  */
    rp_list_node_t pending_node;
    int64_t pending_until; /* µs */
    /*  While its handshake is done and no message has come over it
        (broker/transport/unheard.h):  */
    rp_list_node_t unheard_node;
    rp_traffic_t traffic; /* at the last look */
    int64_t quiet_since;  /* µs */
    uint8_t unanswered;   /* looks in a row since bytes came and nothing was sent */
    bool spoke;           /* its bytes show that its peer has said something */
    /*  The number of errors in a row with the same reason:  */
    uint64_t error_reason;
    uint64_t error_count;
} rp_connection_t;

/*  Makes the connection of a descriptor. NULL when out of memory.  */
rp_connection_t *rp_connection_new (int descriptor, uint8_t listener);

/*  Frees a connection, which must be in no list any more. Nulls *self_p.  */
void rp_connection_destroy (rp_connection_t **self_p);

/*  True if the socket behind the descriptor is still this connection's.  */
bool rp_connection_stands (const rp_connection_t *self);

/*  Aborts the connection. False if its socket was gone.  */
bool rp_connection_abort (const rp_connection_t *self);

/*  Counts an error; reason is a hash of the error's text. Returns the number of errors in a row
    with this reason if it is a power of ten, and so to be logged; otherwise 0.  */
uint64_t rp_connection_count_error (rp_connection_t *self, uint64_t reason);

/*  The kernel's cookie of the socket behind a descriptor; 0 if there is none.  */
uint64_t rp_connection_cookie (int descriptor);

#endif
