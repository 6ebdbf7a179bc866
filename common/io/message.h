/*  A message: libzmq frames, received up to a limit, and sent whole or not at all.

    SPDX-License-Identifier: MPL-2.0

    The first frame is the head (with RP_FLAG_INLINE, followed by the first body frame); the others
    are body. Bodies are not copied between receive and send. Messages come from a free list of
    their owner, so that the data path allocates no memory of its own.

    A message that came in a bundle lies in that bundle until it is sent on, without a frame of its
    own; the bundle lives as long as any of its messages. So small messages are copied once, from
    bundle to bundle.

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
    zmq_msg_t first;      /* unused while the message lies in a bundle */
    zmq_msg_t *rest;      /* frames 1 … count - 1; NULL: none */
    rp_message_t *bundle; /* the bundle that holds its one frame, at `at`; or NULL */
    uint8_t *at;
    uint32_t count;  /* frames; 0 only in the free list */
    uint32_t shares; /* bundle: messages in it, plus 1 until all are taken out */
    size_t bytes;    /* of all frames */
    rp_message_t *next_free;
};

typedef struct {
    rp_message_t *head;
    size_t count;
    size_t largest;  /* messages beyond this number are freed */
    uint64_t copied; /* bytes of bodies copied from one message to another, or to a large reply */
} rp_message_pool_t;

/*  The result of a receive.  */
typedef enum {
    RP_RECEIVED,       /* a whole message */
    RP_RECEIVED_NONE,  /* nothing to receive now */
    RP_RECEIVED_BIG,   /* over the limit of frames or bytes: all but the first frame is dropped */
    RP_RECEIVED_ERROR, /* errno: ETERM, ENOTSOCK, ENOMEM … */
} rp_received_t;

/*  Frees every message of the free list.  */
void rp_message_pool_clear (rp_message_pool_t *self);

/*  Takes an empty message (one frame of size bytes, uninitialised). NULL when out of memory.  */
rp_message_t *rp_message_new (rp_message_pool_t *pool, size_t size);

/*  Closes the frames, puts the message back, nulls *self_p. NULL is allowed.  */
void rp_message_destroy (rp_message_pool_t *pool, rp_message_t **self_p);

/*  Receives one message without waiting: from a DEALER, or from a ROUTER whose address frame was
    just received, with more to come.

    *self_p is set with RP_RECEIVED and RP_RECEIVED_BIG, otherwise NULL. At most max_frames frames
    and max_bytes bytes are kept. With RP_RECEIVED_BIG, self->bytes is over max_bytes if that limit
    was broken; otherwise there were too many frames.  */
rp_received_t rp_message_receive (rp_message_pool_t *pool,
  void *socket,
  uint32_t max_frames,
  size_t max_bytes,
  rp_message_t **self_p);

/*  Sends without waiting. address (NULL for a DEALER) goes first, as a frame of its own.

    Returns 0 (sent, *self_p is NULL) or -1: nothing was sent and *self_p is untouched; errno is
    EAGAIN (full), EHOSTUNREACH (gone) or another.  */
int rp_message_send (rp_message_pool_t *pool,
  void *socket,
  const void *address,
  size_t address_size,
  rp_message_t **self_p);

/*  Takes the next message out of a valid bundle; *offset is 0 before the first. RP_RECEIVED;
    RP_RECEIVED_NONE at the end; RP_RECEIVED_ERROR when out of memory, and the call may be repeated.
    The bundle may be destroyed while messages lie in it.  */
rp_received_t rp_message_unbundle (
  rp_message_pool_t *pool, rp_message_t *bundle, size_t *offset, rp_message_t **self_p);

/*  Gives a message that lies in a bundle a frame of its own. False when out of memory, and nothing
    changed.  */
bool rp_message_leave_bundle (rp_message_pool_t *pool, rp_message_t *self);

/*  True if content to be kept should be copied: the message lies in a bundle, or it is so small
    that libzmq's buffer for it is much larger.  */
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

/*  Appends the frames of other, without its first, to self, and destroys other. Beyond
    RP_FRAMES_MAX frames, neighbours are merged into few, so that many small frames cost little to
    join. False when out of memory, and nothing changed.  */
bool rp_message_join (rp_message_pool_t *pool, rp_message_t *self, rp_message_t **other_p);

/*  Makes sure that no other message shares the first frame, so that its head may be patched in
    place; copies a shared frame. False when out of memory.  */
bool rp_message_own_head (rp_message_pool_t *pool, rp_message_t *self);

/*  Adds the bytes behind the head of a copied first frame to pool->copied.  */
void rp_message_count_copy (rp_message_pool_t *pool, const uint8_t *data, size_t size);

/*  Adds count empty frames to a message of one frame. False when out of memory, and nothing
    changed.  */
bool rp_message_add_frames (rp_message_t *self, uint32_t count);

/*  Copies data into an empty frame that rp_message_add_frames added. False when out of memory, and
    nothing changed.  */
bool rp_message_fill_frame (rp_message_t *self, uint32_t index, const void *data, size_t size);

/*  Returns frame number index of a message that does not lie in a bundle.  */
zmq_msg_t *rp_message_frame (rp_message_t *self, uint32_t index);

#endif
