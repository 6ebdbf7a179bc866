/*  Receive: from messages as they come to events for the core, one at a time.

    SPDX-License-Identifier: MPL-2.0

    Who sends is told by the routing id (and the listener), what protocol that is by the session, or
    by the first frames of somebody who has none. A message that means several events is as many
    calls: a bundle one for each message in it; a foreign peer's first message a HELLO, which its
    protocol does not have, and then what it said.

    REP workers never speak first, and are one session together. So what is known of them besides
    their messages becomes events here too: that there are more or fewer of them.

    Thread-safety: none.
*/

#ifndef RP_RECEIVE_H
#define RP_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "broker/core/dispatch.h"
#include "broker/log.h"
#include "broker/protocol/foreign.h"
#include "broker/transport/connections.h"
#include "broker/transport/listener.h"
#include "broker/transport/outbox.h"
#include "common/io/message.h"
#include "common/wire/limits.h"

/*  Frames over max_body by more than this are not even received: the connection is cut. Up to it
    the peer is told why it was refused.  */
#define RP_RECEIVE_SLACK (1u << 20)

/*  Who sent the message in hand.  */
typedef struct {
    rp_listener_t *listener;
    rp_session_id_t session; /* nobody: it has no session */
    const void *key;
    size_t size;
    uint8_t prefixed[RP_LISTENER_KEY_MAX]; /* where the key lies, if it has a prefix */
} rp_source_t;

typedef struct {
    rp_connections_t *connections; /* this and the next four are not owned */
    rp_foreign_t *foreign;
    rp_message_pool_t *pool;
    const rp_limits_t *limits;
    rp_log_t *log;
    zmq_msg_t routing_id; /* of the message in hand */
    rp_source_t source;
    rp_message_t *bundle; /* of which messages are still to come, from offset on */
    size_t offset;
    rp_message_t *greeted; /* whose HELLO was the last event, and which is the next one */
    rp_message_t
      *restarted;  /* whose former session's end was the last event, and which is the next */
    bool greeting; /* the last event was a HELLO of a foreign session that was begun for it */
    rp_foreign_message_t said;     /* what the foreign message in hand says */
    rp_foreign_session_t stand_in; /* for the session of somebody who has none */
    /*  The event that was given out.  */
    rp_event_t event;
    rp_head_t head;
    rp_sender_t sender;
} rp_receive_t;

typedef enum {
    RP_RECEIVE_NOTHING, /* there is none */
    RP_RECEIVE_EVENT,   /* `event`, from `sender`; valid until the next call */
    RP_RECEIVE_SKIPPED, /* a message that means nothing */
    RP_RECEIVE_FAILED,  /* errno says why */
} rp_receive_result_t;

/*  The largest message that is received whole, bytes.  */
size_t rp_receive_max_bytes (const rp_limits_t *limits);

void rp_receive_init (rp_receive_t *self);
void rp_receive_clear (rp_receive_t *self);

/*  Takes the next event that has come through a listener. What `sender` is to be given by ADMIT has
    been given to it before the next call.  */
rp_receive_result_t rp_receive_next (rp_receive_t *self, rp_listener_t *listener, int64_t now);

#endif
