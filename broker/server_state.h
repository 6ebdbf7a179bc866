/*  What the files of the server share.

    SPDX-License-Identifier: MPL-2.0

    server.c is the loop, and all that is not a message; receive.c makes events of messages.
*/

#ifndef RP_SERVER_STATE_H
#define RP_SERVER_STATE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "broker/admin/admin.h"
#include "broker/core/dispatch.h"
#include "broker/log.h"
#include "broker/protocol/foreign.h"
#include "broker/server.h"
#include "broker/store/history.h"
#include "broker/transport/connections.h"
#include "broker/transport/handshakes.h"
#include "broker/transport/listener.h"
#include "broker/transport/outbox.h"
#include "broker/transport/pending.h"
#include "broker/transport/told.h"
#include "common/io/alarm.h"
#include "common/io/message.h"
#include "common/wire/bundle.h"

enum { RP_POLL_COMMANDS, RP_POLL_SIGNALS, RP_POLL_ALARM, RP_POLL_LISTENERS };

struct rp_server {
    void *context;
    rp_listener_t listeners[RP_LISTENERS_MAX];
    size_t listener_count;
    struct pollfd polled[RP_POLL_LISTENERS
                         + 2 * RP_LISTENERS_MAX]; /* of each listener its socket and monitor */
    rp_alarm_t alarm;
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_connections_t connections;
    rp_foreign_t foreign;
    rp_pending_t pending;
    rp_handshakes_t handshakes;
    rp_told_t told;
    int64_t relieved; /* when it was last looked for whom most waits */
    rp_message_pool_t pool;
    rp_outbox_t outbox;
    rp_admin_t admin;
    rp_log_t log;
    rp_history_t history;
    const char *history_path; /* NULL: it is never opened again */
    zmq_msg_t routing_id;     /* of the message in hand */
    char **endpoints;
    size_t endpoint_count;
    rp_limits_t limits;
    int descriptor_limit; /* connections with a higher descriptor are cut */
    unsigned signal_count;
    unsigned taken; /* messages in this batch */
    bool ended;
    bool failed;
};

/*  The largest message that is received whole, bytes.  */
static inline size_t rp_server_max_bytes (const rp_server_t *self)
{
    return (size_t) self->limits.max_body + RP_BUNDLE_MAX + RP_SERVER_SLACK;
}

/*  Gives an event of this sender's to the core, and does what it says.  */
void rp_server_handle (
  rp_server_t *self, const rp_event_t *event, rp_sender_t *sender, int64_t now);

/*  Gives the core an event that nobody sent.  */
void rp_server_tell (rp_server_t *self, const rp_event_t *event, int64_t now);

/*  Logs what the server cannot go on without, and ends it. errno says why.  */
void rp_server_fail (rp_server_t *self, const char *what, int64_t now);

/*  Receives and handles one message. False when there is none.  */
bool rp_server_receive (rp_server_t *self, rp_listener_t *listener, int64_t now);

/*  Reads what the monitor of a listener tells.  */
void rp_server_read_monitor (rp_server_t *self, rp_listener_t *listener, int64_t now);

/*  A session of REP workers may end while they are connected (a DEALER that did not know them yet
    takes nothing); they never speak first, so it is begun for them again. Returns when to look
    again.  */
int64_t rp_server_revive_rep (rp_server_t *self, int64_t now);

/*  The REP workers of a plain service may have become more or fewer, or have lost their
    session.  */
void rp_server_count_rep (rp_server_t *self, rp_listener_t *listener, int64_t now);

#endif
