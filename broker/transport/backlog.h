/*  A backlog counts the bytes that libzmq holds for one peer and has not written yet.

    SPDX-License-Identifier: MPL-2.0

    libzmq bounds the messages that wait for a peer by number, whatever their size, and does not
    tell how many bytes wait. But it calls back when it is done with a frame whose memory is not its
    own: when the frame was written, or dropped with the connection. So one frame of each message is
    handed over in that way.

    Thread-safety: libzmq calls back from any of its threads, at any time until its context has
    ended; all other calls come from one thread.
*/

#ifndef RP_BACKLOG_H
#define RP_BACKLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

typedef struct rp_backlog rp_backlog_t;

/*  Bytes of all peers together; outlives the context.  */
typedef atomic_size_t rp_backlog_total_t;

/*  NULL when out of memory.  */
rp_backlog_t *rp_backlog_new (rp_backlog_total_t *total);

/*  The peer is gone; bytes that still wait for it go on counting in the total. NULL is allowed.  */
void rp_backlog_destroy (rp_backlog_t **self_p);

/*  Bytes that wait for the peer.  */
size_t rp_backlog_bytes (const rp_backlog_t *self);

/*  Counts a message of this many bytes (at least 1), which is about to be sent; last is its last
    frame. False when out of memory, and nothing changed.  */
bool rp_backlog_add (rp_backlog_t *self, zmq_msg_t *last, size_t bytes);

#endif
