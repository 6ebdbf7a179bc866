/*  A channel: one connection of a client or worker to one broker, from opening to end.

    SPDX-License-Identifier: MPL-2.0

    Each attempt to connect makes a new DEALER, so that nothing queued for a broker that died is
    delivered to its successor. libzmq's own reconnecting is off; common/wire/link.h decides when
    and where to try again. If the endpoint has a host name, the channel only looks it up, in a
    thread of its own (common/io/resolver.h); the owner then opens the channel again with an
    address.

    What libzmq 4.3.4 reports of a handshake that fails, by the event of the DEALER's monitor and
    its value, and what it means here; tried in tests/component/test_curve.c:

        FAILED_AUTH 400       the broker does not accept the key: unknown, or revoked
        FAILED_AUTH 500       the broker could not look the key up
        FAILED_PROTOCOL 0x11000002 (mechanism mismatch)   one side has CURVE, and the other has not
        FAILED_PROTOCOL 0x11000001, 0x10000003            what came was sealed with another key
        FAILED_NO_DETAIL EPIPE    the other side closed the connection: this side knows another key
                              than the broker has; or one side has CURVE and the other noticed first
                              (three times in four); or the broker did not want to say why
                              (ZAP 300); or it is no broker at all. So the channel asks for its
                              greeting (common/io/greeting.h), which tells the first two from the
                              others
        FAILED_NO_DETAIL EAGAIN   nothing came within libzmq's own time for a handshake, 3 s

    A connection that the broker cuts later, for example because the key was revoked, is
    DISCONNECTED, and the next attempt tells why.

    If the broker reads bundles, small messages wait in an outbox until it is flushed, so that the
    messages of one turn travel together. The order is kept: a message that does not fit is sent
    after those that wait.

    Thread-safety: none; its owner's lock (common/io/pump.h) guards it.
*/

#ifndef RP_CHANNEL_H
#define RP_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/curve.h"
#include "common/io/message.h"
#include "common/wire/address.h"
#include "common/wire/head.h"
#include "common/wire/srv.h"

typedef struct rp_channel rp_channel_t;

typedef enum {
    RP_CHANNEL_NOTHING,
    RP_CHANNEL_FOUND,     /* the name was looked up: see rp_channel_found */
    RP_CHANNEL_CONNECTED, /* the ZMTP handshake succeeded: send HELLO */
    RP_CHANNEL_FAILED,    /* the look-up or the attempt failed, or the connection broke */
    RP_CHANNEL_DENIED,    /* the same: the broker does not accept this side's key */
} rp_channel_event_t;

/*  Makes a closed channel on a libzmq context. keys: of each connection; they outlive the channel;
    NULL: none. NULL when out of memory.  */
rp_channel_t *rp_channel_new (void *context, const rp_curve_t *keys);
void rp_channel_destroy (rp_channel_t **self_p);
/*  In a child of fork(): frees the channel and leaves the sockets alone, which belong to the
    parent.  */
void rp_channel_abandon (rp_channel_t **self_p);

/*  Has the channel look up SRV records, but not their hosts: with FOUND they are in `records`, which is the owner's and
    outlives the channel, and there are no addresses.  */
void rp_channel_want_records (rp_channel_t *self, rp_srv_t *records);

/*  Closes the channel first, then begins to connect, or to look up the endpoint's name. 0, or -1
    with errno (EINVAL: bad endpoint) and *reason, a static clause for people.  */
int rp_channel_open (rp_channel_t *self, const char *endpoint, const char **reason);

/*  Closes the channel. libzmq may take up to linger_ms to send what waits; this does not wait for
    it.  */
void rp_channel_close (rp_channel_t *self, int linger_ms);

bool rp_channel_is_open (const rp_channel_t *self);

/*  Takes the next change of state. With FAILED and DENIED, reason is a clause for people, valid
    until the next event. Either comes once for each attempt; messages that came before can be
    received until the channel is closed.  */
rp_channel_event_t rp_channel_next_event (rp_channel_t *self, const char **reason);

/*  The addresses of the last look-up.  */
const rp_addresses_t *rp_channel_found (const rp_channel_t *self);

/*  The broker reads bundles: until the channel is closed, small messages wait for
    rp_channel_flush.  */
void rp_channel_set_bundles (rp_channel_t *self);

/*  Receives one message, without waiting; see rp_message_receive. The messages of a bundle come one
    by one.  */
rp_received_t rp_channel_receive (
  rp_channel_t *self, rp_message_pool_t *pool, size_t max_bytes, rp_message_t **message_p);

/*  Returns the next message of the bundle received last, in place: valid until the next call on
    this channel, and the caller may write to it. NULL if there is none; then rp_channel_receive has
    the next message. Costs less than an rp_message_t each.  */
uint8_t *rp_channel_unbundle (rp_channel_t *self, size_t *size);

/*  True if a message of this size can travel in a bundle.  */
bool rp_channel_bundles (const rp_channel_t *self, size_t size);

/*  Returns room in the outbox for one message of this size, which the caller fills at once; NULL if
    the message cannot travel in a bundle.  */
uint8_t *rp_channel_room (rp_channel_t *self, size_t size);

/*  Bytes that wait in the outbox.  */
size_t rp_channel_waiting (const rp_channel_t *self);

/*  Sends the outbox; a message that cannot be sent now stays there. True if the socket was
    used.  */
bool rp_channel_flush (rp_channel_t *self);

/*  Sends a whole message. On -1 the message is still the caller's; errno as zmq_msg_send, and
    EAGAIN also when the connection does not stand.  */
int rp_channel_send (rp_channel_t *self, rp_message_pool_t *pool, rp_message_t **message_p);

/*  Encodes a head without a body, and sends it or puts it into the outbox. 0, or -1 with errno.  */
int rp_channel_send_head (rp_channel_t *self, const rp_head_t *head);

/*  True if the channel is closed, or if its last operation was a receive that found nothing.
    Otherwise a message may be there without its descriptor becoming readable: a send may have taken
    the wake-up. To be asked before waiting (common/io/pump.h).  */
bool rp_channel_is_armed (const rp_channel_t *self);

/*  The descriptor that becomes readable when rp_channel_next_event has something; -1 when
    closed.  */
int rp_channel_event_descriptor (const rp_channel_t *self);

/*  Writes the descriptors that become readable when something happens. Returns how many: 0 when
    closed, 1 during a look-up or while a greeting is asked for, otherwise 2.  */
int rp_channel_descriptors (const rp_channel_t *self, int *descriptors);

#endif
