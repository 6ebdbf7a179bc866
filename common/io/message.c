/*  SPDX-License-Identifier: MPL-2.0

    On the wake-up of a socket: its descriptor is edge-triggered, and a receive that found nothing
    is what arms it. libzmq looks into its mailbox only now and then on the way of a send or of a
    receive that succeeds, but always before it says EAGAIN.
*/

#include "common/io/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

/*  Above this a copy costs more than what libzmq's buffer wastes, bytes.  */
#define S_COMPACT_MAX 4096u

static int s_receive (zmq_msg_t *frame, void *socket)
{
    int rc;
    do
        rc = zmq_msg_recv (frame, socket, ZMQ_DONTWAIT);
    while (rc == -1 && errno == EINTR);
    return rc;
}

static int s_send (zmq_msg_t *frame, void *socket, bool more)
{
    int rc;
    do
        rc = zmq_msg_send (frame, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (rc == -1 && errno == EINTR);
    return rc;
}

static void s_close_frames (zmq_msg_t *frames, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++)
        zmq_msg_close (&frames[index]);
}

/*  Reads what is left of a message, and returns how many bytes that was. libzmq hands out whole
    messages only, so it is all there.  */
static size_t s_drain (void *socket)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    size_t bytes = 0;
    bool more = true;
    while (more && s_receive (&frame, socket) != -1) {
        bytes += zmq_msg_size (&frame);
        more = zmq_msg_more (&frame);
    }
    zmq_msg_close (&frame);
    return bytes;
}

/*  ---- The free list -------------------------------------------------------------------------- */

/*  A message with an empty first frame.  */
static rp_message_t *s_take (rp_message_pool_t *pool)
{
    rp_message_t *self = pool->head;
    if (self) {
        pool->head = self->next_free;
        pool->count--;
    }
    else if (!(self = malloc (sizeof *self)))
        return NULL;
    zmq_msg_init (&self->first);
    self->rest = NULL;
    self->count = 1;
    self->bytes = 0;
    self->next_free = NULL;
    return self;
}

void rp_message_pool_clear (rp_message_pool_t *self)
{
    while (self->head) {
        rp_message_t *message = self->head;
        self->head = message->next_free;
        free (message);
    }
    self->count = 0;
}

rp_message_t *rp_message_new (rp_message_pool_t *pool, size_t size)
{
    rp_message_t *self = s_take (pool);
    if (self && zmq_msg_init_size (&self->first, size) != 0) {
        zmq_msg_init (&self->first); // what a failed init leaves behind must not be closed
        rp_message_destroy (pool, &self);
    }
    if (self)
        self->bytes = size;
    return self;
}

void rp_message_destroy (rp_message_pool_t *pool, rp_message_t **self_p)
{
    rp_message_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    zmq_msg_close (&self->first);
    s_close_frames (self->rest, self->count - 1);
    free (self->rest);
    if (pool->count >= pool->largest) {
        free (self);
        return;
    }
    self->rest = NULL;
    self->count = 0;
    self->next_free = pool->head;
    pool->head = self;
    pool->count++;
}

/*  ---- Receive and send ----------------------------------------------------------------------- */

/*  Moves frames that were received on the stack to the message. They fit in one allocation, whose
    size is known only now.  */
static bool s_keep_rest (rp_message_t *self, zmq_msg_t *frames, uint32_t count)
{
    self->rest = malloc (count * sizeof *self->rest);
    if (!self->rest)
        return false;
    for (uint32_t index = 0; index < count; index++) {
        zmq_msg_init (&self->rest[index]);
        zmq_msg_move (&self->rest[index], &frames[index]);
    }
    self->count = 1 + count;
    return true;
}

/*  Receives the frames after the first.  */
static rp_received_t s_receive_rest (
  rp_message_t *self, void *socket, uint32_t max_frames, size_t max_bytes)
{
    zmq_msg_t frames[RP_FRAMES_MAX];
    uint32_t count = 0;
    size_t bytes = self->bytes;
    rp_received_t result = RP_RECEIVED;
    for (bool more = true; more && result == RP_RECEIVED;) {
        if (1 + count == max_frames) {
            s_drain (socket);
            result = RP_RECEIVED_BIG;
            break;
        }
        zmq_msg_t *frame = &frames[count++];
        zmq_msg_init (frame);
        if (s_receive (frame, socket) == -1) {
            result = RP_RECEIVED_ERROR;
            break;
        }
        more = zmq_msg_more (frame);
        bytes += zmq_msg_size (frame);
        if (bytes > max_bytes) {
            if (more)
                bytes += s_drain (socket);
            result = RP_RECEIVED_BIG;
        }
    }
    if (result == RP_RECEIVED && !s_keep_rest (self, frames, count)) {
        result = RP_RECEIVED_ERROR;
        errno = ENOMEM;
    }
    int reason = errno;
    s_close_frames (frames, count);
    errno = reason;
    self->bytes = bytes;
    return result;
}

rp_received_t rp_message_receive (
  rp_message_pool_t *pool,
  void *socket,
  uint32_t max_frames,
  size_t max_bytes,
  rp_message_t **self_p)
{
    *self_p = NULL;
    rp_message_t *self = s_take (pool);
    if (!self) {
        s_drain (socket); // a ROUTER's envelope has been read: the rest must not pass for another
        errno = ENOMEM;
        return RP_RECEIVED_ERROR;
    }
    rp_received_t result = RP_RECEIVED;
    if (s_receive (&self->first, socket) == -1)
        result = errno == EAGAIN ? RP_RECEIVED_NONE : RP_RECEIVED_ERROR;
    else {
        self->bytes = zmq_msg_size (&self->first);
        bool more = zmq_msg_more (&self->first);
        if (self->bytes > max_bytes) {
            if (more)
                self->bytes += s_drain (socket);
            result = RP_RECEIVED_BIG;
        }
        else if (more)
            result = s_receive_rest (
              self, socket, max_frames < RP_FRAMES_MAX ? max_frames : RP_FRAMES_MAX, max_bytes);
    }
    if (result == RP_RECEIVED || result == RP_RECEIVED_BIG)
        *self_p = self;
    else {
        int reason = errno;
        rp_message_destroy (pool, &self);
        errno = reason;
    }
    return result;
}

static int s_send_address (void *socket, const void *address, size_t size)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size (&frame, size) != 0)
        return -1;
    memcpy (zmq_msg_data (&frame), address, size);
    int rc = s_send (&frame, socket, true);
    int reason = errno;
    zmq_msg_close (&frame);
    errno = reason;
    return rc;
}

int rp_message_send (
  rp_message_pool_t *pool,
  void *socket,
  const void *address,
  size_t address_size,
  rp_message_t **self_p)
{
    rp_message_t *self = *self_p;
    if (address && s_send_address (socket, address, address_size) == -1)
        return -1;
    if (s_send (&self->first, socket, self->count > 1) == -1 && !address)
        return -1;
    // libzmq decides about a message at its first frame. A later frame fails only if the connection
    // breaks just now; the message is then lost with it, like any that was queued, and the frames
    // that follow still have to be handed over, so that libzmq sees its end.
    for (uint32_t index = 1; index < self->count; index++)
        s_send (rp_message_frame (self, index), socket, index + 1 < self->count);
    rp_message_destroy (pool, self_p);
    return 0;
}

/*  ---- Content -------------------------------------------------------------------------------- */

rp_message_t *rp_message_share (rp_message_pool_t *pool, rp_message_t *self)
{
    rp_message_t *other = s_take (pool);
    if (!other)
        return NULL;
    uint32_t rest = self->count - 1;
    if (rest && !(other->rest = malloc (rest * sizeof *other->rest))) {
        rp_message_destroy (pool, &other);
        return NULL;
    }
    other->count = self->count;
    other->bytes = self->bytes;
    for (uint32_t index = 1; index < self->count; index++)
        zmq_msg_init (rp_message_frame (other, index));
    for (uint32_t index = 0; index < self->count; index++)
        if (zmq_msg_copy (rp_message_frame (other, index), rp_message_frame (self, index)) != 0) {
            rp_message_destroy (pool, &other);
            break;
        }
    return other;
}

/*  Replaces the first frame by a copy in memory of its own.  */
static bool s_copy_head (rp_message_t *self)
{
    zmq_msg_t copy;
    size_t size = zmq_msg_size (&self->first);
    if (zmq_msg_init_size (&copy, size) != 0)
        return false;
    memcpy (zmq_msg_data (&copy), zmq_msg_data (&self->first), size);
    zmq_msg_move (&self->first, &copy);
    zmq_msg_close (&copy);
    return true;
}

bool rp_message_own_head (rp_message_t *self)
{
    return !zmq_msg_get (&self->first, ZMQ_SHARED) || s_copy_head (self);
}

void rp_message_compact (rp_message_t *self)
{
    if (zmq_msg_size (&self->first) <= S_COMPACT_MAX)
        (void) s_copy_head (self);
}

zmq_msg_t *rp_message_frame (rp_message_t *self, uint32_t index)
{
    return index == 0 ? &self->first : &self->rest[index - 1];
}
