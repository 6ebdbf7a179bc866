/*  Receive: turns the messages that come in through the listeners into events for the core, one at
    a time.

    SPDX-License-Identifier: MPL-2.0

    The routing id and the listener give the session; the session, or the first frames of a sender
    without one, gives the protocol. A message with several events takes as many calls: a bundle has
    one event for each of its messages; a foreign peer's first message has a HELLO, which its
    protocol lacks, and then its own event.

    The principal of a session is found with the message that begins it: by the key of its
    connection, or by the user of the process over ipc; otherwise it is "anonymous". A message is
    dropped, and its connection aborted, if its sender may not be here, or has chosen the routing id
    of another.

    REP workers never speak first, and are one session together. So a change of their number is an
    event too.

    Thread-safety: none.
*/

#ifndef RP_RECEIVE_H
#define RP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "broker/auth/admission.h"
#include "broker/core/dispatch.h"
#include "broker/log.h"
#include "broker/protocol/foreign.h"
#include "broker/transport/connections.h"
#include "broker/transport/listener.h"
#include "broker/transport/outbox.h"
#include "common/io/message.h"
#include "common/wire/limits.h"

/*  A message may be this much over max_body and still be received, so that its peer can be told why
    it is refused; over that, the connection is cut.  */
#define RP_RECEIVE_SLACK (1u << 20)

/*  The sender of the message in hand.  */
typedef struct {
    rp_listener_t *listener;
    rp_session_id_t session; /* 0: the sender has no session */
    const void *key;
    size_t size;
    uint8_t prefixed[RP_LISTENER_KEY_MAX]; /* holds the key, if it has a prefix */
} rp_source_t;

typedef struct {
    rp_connections_t *connections; /* this and the next five are not owned */
    rp_admission_t *admission;
    rp_foreign_t *foreign;
    rp_message_pool_t *pool;
    const rp_limits_t *limits;
    rp_log_t *log;
    zmq_msg_t routing_id; /* routing id of the message in hand */
    rp_source_t source;
    rp_message_t *bundle; /* bundle in hand; its next message is at offset */
    size_t offset;
    /*  the message that is the next event; the last event was the HELLO made for it  */
    rp_message_t *greeted;
    /*  the READY that is the next event; the last event ended its worker's former session  */
    rp_message_t *restarted;
    bool greeting;             /* the last event was the HELLO of a new foreign session */
    rp_foreign_message_t said; /* the foreign message in hand, as read */
    /*  takes the place of a foreign session for a sender without one  */
    rp_foreign_session_t stand_in;
    /*  The current event.  */
    rp_event_t event;
    rp_head_t head;
    rp_sender_t sender;
} rp_receive_t;

typedef enum {
    RP_RECEIVE_NOTHING, /* no event */
    RP_RECEIVE_EVENT,   /* `event`, from `sender`; valid until the next call */
    RP_RECEIVE_SKIPPED, /* a message without an event */
    RP_RECEIVE_FAILED,  /* with errno */
} rp_receive_result_t;

/*  The largest message that is received whole, bytes.  */
size_t rp_receive_max_bytes (const rp_limits_t *limits);

void rp_receive_init (rp_receive_t *self);
void rp_receive_clear (rp_receive_t *self);

/*  Takes the next event from a listener. Handle ADMIT, which may take `sender`'s foreign session,
    before the next call.  */
rp_receive_result_t rp_receive_next (rp_receive_t *self, rp_listener_t *listener, int64_t now);

#endif
