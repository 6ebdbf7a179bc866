/*  A channel: one connection from a client or worker to one broker, for as long as it lasts.

    SPDX-License-Identifier: MPL-2.0

    Each attempt to connect makes a new DEALER, so that nothing queued for a broker that died is
    ever delivered to the one that came after it. libzmq's own reconnecting is off; common/link.h
    decides when and where to try again.

    Thread-safety: none; its owner's lock (common/io/pump.h) guards it.
*/

#ifndef RP_CHANNEL_H
#define RP_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/message.h"
#include "common/wire.h"

typedef struct rp_channel rp_channel_t;

typedef enum {
    RP_CHANNEL_NOTHING,
    RP_CHANNEL_CONNECTED, /* the ZMTP handshake succeeded: greet */
    RP_CHANNEL_FAILED,    /* could not connect, or the connection broke */
} rp_channel_event_t;

/*  Makes a closed channel on a libzmq context. NULL when out of memory.  */
rp_channel_t *rp_channel_new (void *context);
void rp_channel_destroy (rp_channel_t **self_p);

/*  Closes what was open and begins to connect. 0, or -1 with errno (EINVAL: bad endpoint).  */
int rp_channel_open (rp_channel_t *self, const char *endpoint);

/*  Closes; unsent messages get up to linger_ms, in libzmq's own time. Does not wait.  */
void rp_channel_close (rp_channel_t *self, int linger_ms);

bool rp_channel_is_open (const rp_channel_t *self);

/*  Takes the next change of state. reason (for FAILED) is a static clause for people. FAILED comes
    once; what had come before the connection broke can still be received until it is closed.  */
rp_channel_event_t rp_channel_next_event (rp_channel_t *self, const char **reason);

/*  Receives one message, without waiting; see rp_message_receive.  */
rp_received_t rp_channel_receive (
  rp_channel_t *self, rp_message_pool_t *pool, size_t max_bytes, rp_message_t **message_p);

/*  Sends a message whole; on -1 it is still the caller's. errno as zmq_msg_send; EAGAIN also when
    the connection does not stand.  */
int rp_channel_send (rp_channel_t *self, rp_message_pool_t *pool, rp_message_t **message_p);

/*  Encodes a head without a body and sends it. 0 or -1 with errno.  */
int rp_channel_send_head (rp_channel_t *self, const rp_head_t *head);

/*  True if the last thing that was done with an open channel was a receive that found nothing. If
    not, a message may be waiting that the descriptors will not tell of: a send may have taken its
    wake-up. To be asked before waiting (common/io/pump.h); true when closed.  */
bool rp_channel_is_armed (const rp_channel_t *self);

/*  The descriptor that becomes readable when rp_channel_next_event has something; -1 if closed.  */
int rp_channel_event_descriptor (const rp_channel_t *self);

/*  Fills in the descriptors that become readable when something happens; returns how many (0 when
    closed, otherwise 2).  */
int rp_channel_descriptors (const rp_channel_t *self, int *descriptors);

#endif
