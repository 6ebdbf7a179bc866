/*  A message: its frames as libzmq has them, received with a cap and sent whole or not at all.

    SPDX-License-Identifier: MPL-2.0

    The first frame is the head (and, with RP_FLAG_INLINE, the first body frame); the rest is body.
    Bodies move from receive to send without being copied. Messages come from a free list of their
    owner, so that the data path allocates nothing of its own.

    A message that came in a bundle lies in it until it is sent on: it has no frame of its own, and
    the bundle lives as long as any of its messages. Small messages are copied once, from bundle to
    bundle.

    Thread-safety: a message, and a free list, belong to one thread at a time.
*/

#ifndef RP_MESSAGE_H
#define RP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "common/wire/limits.h"

typedef struct rp_message rp_message_t;

struct rp_message {
    zmq_msg_t first;      /* not used while the message lies in a bundle */
    zmq_msg_t *rest;      /* frames 1 … count - 1; NULL when there are none */
    rp_message_t *bundle; /* in which its one frame lies, at `at`; or NULL */
    uint8_t *at;
    uint32_t count;  /* frames; 0 only in the free list */
    uint32_t shares; /* of a bundle: messages that lie in it, and 1 until all are taken out */
    size_t bytes;    /* of all frames */
    rp_message_t *next_free;
};

typedef struct {
    rp_message_t *head;
    size_t count;
    size_t largest;  /* more than this many are freed instead of kept */
    uint64_t copied; /* bytes of bodies copied from one message to another, or to a large reply */
} rp_message_pool_t;

/*  How a receive ended.  */
typedef enum {
    RP_RECEIVED,       /* a whole message */
    RP_RECEIVED_NONE,  /* nothing to receive now */
    RP_RECEIVED_BIG,   /* over the cap of frames or bytes: dropped, but for the first frame */
    RP_RECEIVED_ERROR, /* errno: ETERM, ENOTSOCK, ENOMEM … */
} rp_received_t;

/*  Gives every message of the free list back to the system.  */
void rp_message_pool_clear (rp_message_pool_t *self);

/*  Takes an empty message (one frame of size bytes, uninitialised). NULL when out of memory.  */
rp_message_t *rp_message_new (rp_message_pool_t *pool, size_t size);

/*  Closes the frames, puts the message back, nulls *self_p. NULL is allowed.  */
void rp_message_destroy (rp_message_pool_t *pool, rp_message_t **self_p);

/*  Receives one message without waiting, from a socket without an envelope (DEALER), or what
    follows the envelope of a ROUTER whose first frame was just received with more to come.
    At most max_frames frames and max_bytes bytes are kept. *self_p is set with RP_RECEIVED and
    RP_RECEIVED_BIG, NULL otherwise. With RP_RECEIVED_BIG its bytes tell which it was: more than
    max_bytes, or no more than that when the frames were too many.  */
rp_received_t rp_message_receive (rp_message_pool_t *pool,
  void *socket,
  uint32_t max_frames,
  size_t max_bytes,
  rp_message_t **self_p);

/*  Sends without waiting. address (may be NULL for a DEALER) goes first, as a frame of its own.
    0: sent, *self_p is NULL. -1: errno EAGAIN (full), EHOSTUNREACH (gone) and others; nothing was
    sent and *self_p is untouched.  */
int rp_message_send (rp_message_pool_t *pool,
  void *socket,
  const void *address,
  size_t address_size,
  rp_message_t **self_p);

/*  Takes the next message out of a bundle, which must be valid; *offset is 0 before the first.
    RP_RECEIVED; RP_RECEIVED_NONE at the end; RP_RECEIVED_ERROR when out of memory: it can be tried
    again. The bundle may be destroyed while messages lie in it.  */
rp_received_t rp_message_unbundle (
  rp_message_pool_t *pool, rp_message_t *bundle, size_t *offset, rp_message_t **self_p);

/*  Gives a message that lies in a bundle a frame of its own. False when out of memory, and nothing
    changed.  */
bool rp_message_leave_bundle (rp_message_pool_t *pool, rp_message_t *self);

/*  True if whoever keeps what it says is to copy it: it lies in a bundle, or is so small that what
    libzmq read it with is much more.  */
static inline bool rp_message_is_to_copy (const rp_message_t *self)
{
    return self->bundle || (self->count == 1 && self->bytes <= RP_INLINE_MAX);
}

/*  The first frame.  */
static inline uint8_t *rp_message_data (rp_message_t *self)
{
    return self->bundle ? self->at : zmq_msg_data (&self->first);
}

static inline size_t rp_message_size (rp_message_t *self)
{
    return self->bundle ? self->bytes : zmq_msg_size (&self->first);
}

/*  Makes a second message with the same content; large frames are shared, not copied. NULL when out
    of memory.  */
rp_message_t *rp_message_share (rp_message_pool_t *pool, rp_message_t *self);

/*  Puts the frames behind the first of other behind those of self, and destroys other. When that is
    more than RP_FRAMES_MAX frames, neighbours are put together until few are left, so that many
    small ones cost little to join. False when out of memory, and nothing changed.  */
bool rp_message_join (rp_message_pool_t *pool, rp_message_t *self, rp_message_t **other_p);

/*  Makes the first frame one that nobody else reads, so that its head may be patched in place.
    Copies it if it is shared. False when out of memory.  */
bool rp_message_own_head (rp_message_pool_t *pool, rp_message_t *self);

/*  Counts the copy of a first frame: what it has behind its head.  */
void rp_message_count_copy (rp_message_pool_t *pool, const uint8_t *data, size_t size);

/*  Gives a message of one frame more, empty ones. False when out of memory, and nothing
    changed.  */
bool rp_message_add_frames (rp_message_t *self, uint32_t count);

/*  Gives an empty frame that rp_message_add_frames added a copy of data. False when out of memory,
    and nothing changed.  */
bool rp_message_fill_frame (rp_message_t *self, uint32_t index, const void *data, size_t size);

/*  Frame number index, of a message that does not lie in a bundle.  */
zmq_msg_t *rp_message_frame (rp_message_t *self, uint32_t index);

#endif
