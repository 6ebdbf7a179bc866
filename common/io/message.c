/*  SPDX-License-Identifier: MPL-2.0

    The wake-up of a socket: its descriptor is edge-triggered, and only a receive that found nothing
    arms it. A send, or a receive that succeeds, makes libzmq look into its mailbox only now and
    then; before it returns EAGAIN it always looks.
*/

#include "common/io/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/uninitialized.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"
#include "common/wire/limits.h"

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

/*  Reads the rest of a message, and returns its size in bytes. It is all there, because libzmq
    hands out whole messages only.  */
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

/*  Takes a message whose first frame is not initialised.  */
static rp_message_t *s_take_bare (rp_message_pool_t *pool)
{
    rp_message_t *self = pool->head;
    if (self) {
        pool->head = self->next_free;
        pool->count--;
    }
    else if (!(self = malloc (sizeof *self)))
        return NULL;
    self->rest = NULL;
    self->bundle = NULL;
    self->count = 1;
    self->shares = 1;
    self->bytes = 0;
    self->next_free = NULL;
    return self;
}

/*  Takes a message with an empty first frame.  */
static rp_message_t *s_take (rp_message_pool_t *pool)
{
    rp_message_t *self = s_take_bare (pool);
    if (self)
        zmq_msg_init (&self->first);
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
        zmq_msg_init (&self->first); // a frame whose init failed must not be closed
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
    if (--self->shares > 0)
        return; // messages still lie in this bundle
    if (self->bundle)
        rp_message_destroy (pool, &self->bundle); // the bundle has the only frame
    else {
        zmq_msg_close (&self->first);
        s_close_frames (self->rest, self->count - 1);
        free (self->rest);
    }
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

/*  Moves received frames from the stack into the message, in one allocation: only now is their
    number known.  */
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
    RP_UNINITIALIZED zmq_msg_t frames[RP_FOREIGN_FRAMES_MAX];
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

rp_received_t rp_message_receive (rp_message_pool_t *pool,
  void *socket,
  uint32_t max_frames,
  size_t max_bytes,
  rp_message_t **self_p)
{
    *self_p = NULL;
    rp_message_t *self = s_take (pool);
    if (!self) {
        // After a ROUTER's envelope: the rest must not be taken for another envelope.
        s_drain (socket);
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
            result = s_receive_rest (self, socket,
              max_frames < RP_FOREIGN_FRAMES_MAX ? max_frames : RP_FOREIGN_FRAMES_MAX, max_bytes);
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

int rp_message_send (rp_message_pool_t *pool,
  void *socket,
  const void *address,
  size_t address_size,
  rp_message_t **self_p)
{
    rp_message_t *self = *self_p;
    if (!rp_message_leave_bundle (pool, self)) {
        errno = ENOMEM;
        return -1;
    }
    if (address && s_send_address (socket, address, address_size) == -1)
        return -1;
    if (s_send (&self->first, socket, self->count > 1) == -1 && !address)
        return -1;
    // libzmq decides about a message at its first frame. A later frame fails only if the connection
    // breaks at this moment; then the message is lost like any queued one, and the other frames
    // must still be handed over, so that libzmq sees the end of the message.
    for (uint32_t index = 1; index < self->count; index++)
        s_send (rp_message_frame (self, index), socket, index + 1 < self->count);
    rp_message_destroy (pool, self_p);
    return 0;
}

/*  ---- Content -------------------------------------------------------------------------------- */

rp_received_t rp_message_unbundle (
  rp_message_pool_t *pool, rp_message_t *bundle, size_t *offset, rp_message_t **self_p)
{
    *self_p = NULL;
    size_t next = *offset;
    size_t size;
    uint8_t *at = rp_bundle_next (rp_message_data (bundle), bundle->bytes, &next, &size);
    if (!at)
        return RP_RECEIVED_NONE;
    rp_message_t *self = s_take_bare (pool);
    if (!self) {
        errno = ENOMEM;
        return RP_RECEIVED_ERROR;
    }
    *offset = next;
    self->bundle = bundle;
    bundle->shares++;
    self->at = at;
    self->bytes = size;
    *self_p = self;
    return RP_RECEIVED;
}

void rp_message_count_copy (rp_message_pool_t *pool, const uint8_t *data, size_t size)
{
    size_t head = size < RP_WIRE_FIXED ? size : rp_wire_head_size (data);
    if (size > head)
        pool->copied += size - head;
}

bool rp_message_leave_bundle (rp_message_pool_t *pool, rp_message_t *self)
{
    if (!self->bundle)
        return true;
    if (zmq_msg_init_size (&self->first, self->bytes) != 0)
        return false;
    memcpy (zmq_msg_data (&self->first), self->at, self->bytes);
    rp_message_count_copy (pool, self->at, self->bytes);
    rp_message_destroy (pool, &self->bundle);
    return true;
}

/*  Afterwards the new message lies in the bundle, and self has a frame of its own: self is the one
    that is kept, and must not keep the bundle.  */
static rp_message_t *s_share_bundle (rp_message_pool_t *pool, rp_message_t *self)
{
    rp_message_t *other = s_take_bare (pool);
    if (!other)
        return NULL;
    other->bundle = self->bundle;
    other->bundle->shares++;
    other->at = self->at;
    other->bytes = self->bytes;
    if (!rp_message_leave_bundle (pool, self))
        rp_message_destroy (pool, &other);
    return other;
}

rp_message_t *rp_message_share (rp_message_pool_t *pool, rp_message_t *self)
{
    if (self->bundle)
        return s_share_bundle (pool, self);
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

/*  Frames that one join can have.  */
#define S_PARTS_MAX (2 * RP_FRAMES_MAX)

/*  Makes one frame of the parts from first up to end. False when out of memory.  */
static bool s_merge (
  rp_message_pool_t *pool, zmq_msg_t *merged, zmq_msg_t *const *parts, uint32_t first, uint32_t end)
{
    size_t size = 0;
    for (uint32_t index = first; index < end; index++)
        size += zmq_msg_size (parts[index]);
    zmq_msg_t made;
    if (zmq_msg_init_size (&made, size) != 0)
        return false;
    uint8_t *at = zmq_msg_data (&made);
    for (uint32_t index = first; index < end; index++) {
        size_t part = zmq_msg_size (parts[index]);
        if (part)
            memcpy (at, zmq_msg_data (parts[index]), part);
        at += part;
    }
    pool->copied += size;
    zmq_msg_move (merged, &made);
    zmq_msg_close (&made);
    return true;
}

/*  Groups neighbours until each group has more than twice the bytes of the next, so that there are
    few groups of any size. Writes the end of each group to ends, and returns their number. A frame
    that is joined again and again is copied only when its group grows by half.  */
static uint32_t s_group (zmq_msg_t *const *parts, uint32_t count, uint32_t *ends)
{
    size_t sizes[S_PARTS_MAX];
    uint32_t groups = 0;
    for (uint32_t index = 0; index < count; index++) {
        size_t size = zmq_msg_size (parts[index]);
        while (groups > 0 && sizes[groups - 1] <= 2 * size)
            size += sizes[--groups];
        sizes[groups] = size;
        ends[groups++] = index + 1;
    }
    return groups;
}

/*  Makes one frame of each group. A group of a single part is moved, once nothing can fail any
    more. NULL when out of memory, and nothing changed.  */
static zmq_msg_t *s_regroup (
  rp_message_pool_t *pool, zmq_msg_t *const *parts, const uint32_t *ends, uint32_t groups)
{
    zmq_msg_t *frames = malloc ((groups ? groups : 1) * sizeof *frames);
    if (!frames)
        return NULL;
    for (uint32_t group = 0, first = 0; group < groups; first = ends[group++]) {
        zmq_msg_init (&frames[group]);
        if (ends[group] - first > 1 && !s_merge (pool, &frames[group], parts, first, ends[group])) {
            s_close_frames (frames, group);
            free (frames);
            return NULL;
        }
    }
    for (uint32_t group = 0, first = 0; group < groups; first = ends[group++])
        if (ends[group] - first == 1)
            zmq_msg_move (&frames[group], parts[first]);
    return frames;
}

bool rp_message_join (rp_message_pool_t *pool, rp_message_t *self, rp_message_t **other_p)
{
    rp_message_t *other = *other_p;
    if (!rp_message_leave_bundle (pool, self)) // a message in a bundle has one frame
        return false;
    zmq_msg_t *parts[S_PARTS_MAX];
    uint32_t ends[S_PARTS_MAX];
    uint32_t count = 0;
    for (uint32_t index = 1; index < self->count; index++)
        parts[count++] = rp_message_frame (self, index);
    for (uint32_t index = 1; index < other->count; index++)
        parts[count++] = rp_message_frame (other, index);
    uint32_t kept = count;
    for (uint32_t index = 0; index < count; index++)
        ends[index] = index + 1;
    if (count >= RP_FRAMES_MAX)
        kept = s_group (parts, count, ends);
    zmq_msg_t *frames = s_regroup (pool, parts, ends, kept);
    if (!frames)
        return false;
    self->bytes += other->bytes - rp_message_size (other);
    s_close_frames (self->rest, self->count - 1);
    free (self->rest);
    self->rest = frames;
    self->count = 1 + kept;
    rp_message_destroy (pool, other_p);
    return true;
}

bool rp_message_own_head (rp_message_pool_t *pool, rp_message_t *self)
{
    if (self->bundle || !zmq_msg_get (&self->first, ZMQ_SHARED))
        return true;
    zmq_msg_t copy;
    size_t size = zmq_msg_size (&self->first);
    if (zmq_msg_init_size (&copy, size) != 0)
        return false;
    if (size)
        memcpy (zmq_msg_data (&copy), zmq_msg_data (&self->first), size);
    zmq_msg_move (&self->first, &copy);
    zmq_msg_close (&copy);
    rp_message_count_copy (pool, zmq_msg_data (&self->first), size);
    return true;
}

bool rp_message_add_frames (rp_message_t *self, uint32_t count)
{
    self->rest = malloc (count * sizeof *self->rest);
    if (!self->rest)
        return false;
    for (uint32_t index = 0; index < count; index++)
        zmq_msg_init (&self->rest[index]);
    self->count = 1 + count;
    return true;
}

bool rp_message_fill_frame (rp_message_t *self, uint32_t index, const void *data, size_t size)
{
    zmq_msg_t *frame = rp_message_frame (self, index);
    if (zmq_msg_init_size (frame, size) != 0) {
        zmq_msg_init (frame);
        return false;
    }
    if (size > 0)
        memcpy (zmq_msg_data (frame), data, size);
    self->bytes += size;
    return true;
}

zmq_msg_t *rp_message_frame (rp_message_t *self, uint32_t index)
{
    return index == 0 ? &self->first : &self->rest[index - 1];
}
