/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/bundle.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <string.h>

void bundle_add (bundle_t *self, const void *message, size_t size)
{
    if (self->size == 0)
        self->size = (size_t) (rp_bundle_write_head (self->bytes) - self->bytes);
    assert_true (self->size + RP_BUNDLE_ENTRY_HEAD + size <= sizeof self->bytes);
    uint8_t *at = rp_bundle_write_entry_head (self->bytes + self->size, size);
    memcpy (at, message, size);
    self->size += RP_BUNDLE_ENTRY_HEAD + size;
}

void bundle_add_message (bundle_t *self, rp_head_t head, const char *body)
{
    uint8_t message[RP_BUNDLE_MAX];
    if (body)
        head.flags |= RP_FLAG_INLINE;
    size_t size = rp_wire_encode (&head, message, sizeof message);
    assert_true (size > 0);
    size_t body_size = body ? strlen (body) : 0;
    assert_true (size + body_size <= sizeof message);
    if (body_size)
        memcpy (message + size, body, body_size);
    bundle_add (self, message, size + body_size);
}

bool unbundle_next (unbundler_t *self, zmq_msg_t *frame)
{
    if (!self->open)
        return false;
    size_t size;
    const uint8_t *message = rp_bundle_next (
      zmq_msg_data (&self->frame), zmq_msg_size (&self->frame), &self->offset, &size);
    if (!message) {
        zmq_msg_close (&self->frame);
        self->open = false;
        return false;
    }
    zmq_msg_close (frame);
    assert_int_equal (zmq_msg_init_size (frame, size), 0);
    memcpy (zmq_msg_data (frame), message, size);
    return true;
}

void unbundle (unbundler_t *self, zmq_msg_t *frame)
{
    if (!rp_bundle_is (zmq_msg_data (frame), zmq_msg_size (frame)))
        return;
    assert_false (self->open);
    assert_true (rp_bundle_is_valid (zmq_msg_data (frame), zmq_msg_size (frame)));
    assert_false (zmq_msg_more (frame));
    zmq_msg_init (&self->frame);
    zmq_msg_move (&self->frame, frame);
    self->offset = 0;
    self->open = true;
    self->count++;
    assert_true (unbundle_next (self, frame));
}
