/*  Backlog: how many bytes libzmq has been given for one peer and has not written yet.

    SPDX-License-Identifier: MPL-2.0

    libzmq bounds what waits for a peer in messages, of whatever size, and tells nobody how much
    that is. But it says when it is done with a frame whose memory is not its own: written, or
    dropped with the connection. So one frame of each message that counts is handed over like that.

    Thread-safety: libzmq calls back from any of its threads, at any time until its context has
    ended; everything else belongs to one thread.
*/

#ifndef RP_BACKLOG_H
#define RP_BACKLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

typedef struct rp_backlog rp_backlog_t;

/*  Of all peers together; outlives the context.  */
typedef atomic_size_t rp_backlog_total_t;

/*  NULL when out of memory.  */
rp_backlog_t *rp_backlog_new (rp_backlog_total_t *total);

/*  The peer is gone; what still waits for it goes on counting in the total. NULL is allowed.  */
void rp_backlog_destroy (rp_backlog_t **self_p);

/*  Bytes that wait.  */
size_t rp_backlog_bytes (const rp_backlog_t *self);

/*  Lets a message of that many bytes (1 or more) count, whose last frame this is and which is about
    to be sent. False when out of memory, and nothing changed.  */
bool rp_backlog_add (rp_backlog_t *self, zmq_msg_t *last, size_t bytes);

#endif
