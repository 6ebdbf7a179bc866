/*  A channel: one connection from a client or worker to one broker, for as long as it lasts.

    SPDX-License-Identifier: MPL-2.0

    Each attempt to connect makes a new DEALER, so that nothing queued for a broker that died is
    ever delivered to the one that came after it. libzmq's own reconnecting is off;
    common/wire/link.h decides when and where to try again. An endpoint with a host name is looked up
    first, in a thread of its own (common/io/resolver.h); the owner then opens one with an address.

    With a broker that reads bundles, small messages wait in an outbox until it is flushed, so that
    those of one moment go together. Order is kept: what does not fit goes behind what waits.

    Thread-safety: none; its owner's lock (common/io/pump.h) guards it.
*/

#ifndef RP_CHANNEL_H
#define RP_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/message.h"
#include "common/wire/address.h"
#include "common/wire/head.h"

typedef struct rp_channel rp_channel_t;

typedef enum {
    RP_CHANNEL_NOTHING,
    RP_CHANNEL_FOUND,     /* the name was looked up: rp_channel_found has its addresses */
    RP_CHANNEL_CONNECTED, /* the ZMTP handshake succeeded: greet */
    RP_CHANNEL_FAILED,    /* the name does not resolve, could not connect, or it broke */
} rp_channel_event_t;

/*  Makes a closed channel on a libzmq context. NULL when out of memory.  */
rp_channel_t *rp_channel_new (void *context);
void rp_channel_destroy (rp_channel_t **self_p);
/*  In a child of fork(): frees it and leaves its sockets alone, which are the parent's.  */
void rp_channel_abandon (rp_channel_t **self_p);

/*  Closes what was open and begins to connect, or to look up the endpoint's name. 0, or -1 with
    errno (EINVAL: bad endpoint) and *reason, a static clause for people.  */
int rp_channel_open (rp_channel_t *self, const char *endpoint, const char **reason);

/*  Closes; unsent messages get up to linger_ms, in libzmq's own time. Does not wait.  */
void rp_channel_close (rp_channel_t *self, int linger_ms);

bool rp_channel_is_open (const rp_channel_t *self);

/*  Takes the next change of state. reason (for FAILED) is a clause for people, until the next event.
    FAILED comes once; what had come before the connection broke can still be received until it is
    closed.  */
rp_channel_event_t rp_channel_next_event (rp_channel_t *self, const char **reason);

/*  What was found last.  */
const rp_addresses_t *rp_channel_found (const rp_channel_t *self);

/*  The broker reads bundles: from now on small messages wait for rp_channel_flush, until it is
    closed.  */
void rp_channel_set_bundles (rp_channel_t *self);

/*  Receives one message, without waiting; see rp_message_receive. Those of a bundle come one by
    one.  */
rp_received_t rp_channel_receive (
  rp_channel_t *self, rp_message_pool_t *pool, size_t max_bytes, rp_message_t **message_p);

/*  The next message of the bundle that was received last, where it lies: until the next call of any
    function of this channel, and the caller may write on it. NULL if there is none;
    rp_channel_receive has the next then. Costs less than a message for each.  */
uint8_t *rp_channel_unbundle (rp_channel_t *self, size_t *size);

/*  Whether a message of this size can go in a bundle.  */
bool rp_channel_bundles (const rp_channel_t *self, size_t size);

/*  Room in the outbox for one message of this size, to be filled at once; NULL if it has to be sent
    alone, or in no bundle.  */
uint8_t *rp_channel_room (rp_channel_t *self, size_t size);

/*  Bytes that wait in the outbox.  */
size_t rp_channel_waiting (const rp_channel_t *self);

/*  Sends what waits in the outbox. True if the socket was used. What cannot be sent now stays.  */
bool rp_channel_flush (rp_channel_t *self);

/*  Sends a message whole; on -1 it is still the caller's. errno as zmq_msg_send; EAGAIN also when
    the connection does not stand.  */
int rp_channel_send (rp_channel_t *self, rp_message_pool_t *pool, rp_message_t **message_p);

/*  Encodes a head without a body and sends it, or puts it into the outbox. 0 or -1 with errno.  */
int rp_channel_send_head (rp_channel_t *self, const rp_head_t *head);

/*  True if the last thing that was done with an open channel was a receive that found nothing. If
    not, a message may be waiting that the descriptors will not tell of: a send may have taken its
    wake-up. To be asked before waiting (common/io/pump.h); true when closed.  */
bool rp_channel_is_armed (const rp_channel_t *self);

/*  The descriptor that becomes readable when rp_channel_next_event has something; -1 if closed.  */
int rp_channel_event_descriptor (const rp_channel_t *self);

/*  Fills in the descriptors that become readable when something happens; returns how many (0 when
    closed, 1 while a name is looked up, otherwise 2).  */
int rp_channel_descriptors (const rp_channel_t *self, int *descriptors);

#endif
