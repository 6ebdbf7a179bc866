/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/puppet_broker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/wire/headers.h"

puppet_t *puppet_new (void)
{
    puppet_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->context = zmq_ctx_new ();
    strcpy (self->endpoint, "tcp://127.0.0.1:*");
    zmq_msg_init (&self->address);
    zmq_msg_init (&self->first);
    puppet_start (self);
    return self;
}

void puppet_destroy (puppet_t **self_p)
{
    puppet_t *self = *self_p;
    *self_p = NULL;
    puppet_stop (self);
    zmq_msg_close (&self->address);
    zmq_msg_close (&self->first);
    if (self->unbundler.open)
        zmq_msg_close (&self->unbundler.frame);
    free (self->body);
    zmq_ctx_term (self->context);
    free (self);
}

void puppet_start (puppet_t *self)
{
    self->router = zmq_socket (self->context, ZMQ_ROUTER);
    int value = 0;
    zmq_setsockopt (self->router, ZMQ_LINGER, &value, sizeof value);
    zmq_setsockopt (self->router, ZMQ_SNDHWM, &value, sizeof value);
    zmq_setsockopt (self->router, ZMQ_RCVHWM, &value, sizeof value);
    // libzmq frees the port only some time after a stop.
    int rc = -1;
    for (int tries = 0; tries < PUPPET_PATIENCE_MS && rc != 0; tries++) {
        rc = zmq_bind (self->router, self->endpoint);
        if (rc != 0)
            zmq_poll (NULL, 0, 1);
    }
    assert_int_equal (rc, 0);
    size_t size = sizeof self->endpoint;
    zmq_getsockopt (self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
}

void puppet_stop (puppet_t *self)
{
    if (self->router)
        zmq_close (self->router);
    self->router = NULL;
}

static void s_add_to_body (puppet_t *self, const void *data, size_t size)
{
    self->body = realloc (self->body, self->size + size + 1);
    assert_non_null (self->body);
    memcpy (self->body + self->size, data, size);
    self->size += size;
    self->body[self->size] = '\0';
}

static void s_receive_body (puppet_t *self)
{
    self->size = 0;
    self->frames = 0;
    s_add_to_body (self, (char *) zmq_msg_data (&self->first) + self->head.size,
      zmq_msg_size (&self->first) - self->head.size);
    for (bool more = zmq_msg_more (&self->first); more; self->frames++) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        assert_true (zmq_msg_recv (&frame, self->router, 0) >= 0);
        more = zmq_msg_more (&frame);
        s_add_to_body (self, zmq_msg_data (&frame), zmq_msg_size (&frame));
        zmq_msg_close (&frame);
    }
}

static bool s_receive_first (puppet_t *self, int timeout_ms)
{
    if (unbundle_next (&self->unbundler, &self->first))
        return true;
    zmq_pollitem_t item = {.socket = self->router, .events = ZMQ_POLLIN};
    if (zmq_poll (&item, 1, timeout_ms) < 1)
        return false;
    assert_true (zmq_msg_recv (&self->address, self->router, 0) >= 0);
    assert_true (zmq_msg_recv (&self->first, self->router, 0) >= 0);
    self->received++;
    unbundle (&self->unbundler, &self->first);
    return true;
}

bool puppet_receive (puppet_t *self, int timeout_ms)
{
    do {
        if (!s_receive_first (self, timeout_ms))
            return false;
        assert_int_equal (
          rp_wire_decode (&self->head, zmq_msg_data (&self->first), zmq_msg_size (&self->first)),
          RP_WIRE_ERROR_NONE);
        s_receive_body (self);
    } while (self->head.command == RP_COMMAND_HEARTBEAT);
    return true;
}

void puppet_expect (puppet_t *self, rp_command_t command)
{
    assert_true (puppet_receive (self, PUPPET_PATIENCE_MS));
    assert_string_equal (rp_command_name (self->head.command), rp_command_name ((int) command));
}

void puppet_send_frame (puppet_t *self, const void *data, size_t size, bool begins, bool more)
{
    if (begins) {
        zmq_msg_t address;
        zmq_msg_init (&address);
        zmq_msg_copy (&address, &self->address);
        assert_true (zmq_msg_send (&address, self->router, ZMQ_SNDMORE) >= 0);
    }
    assert_true (zmq_send (self->router, data, size, more ? ZMQ_SNDMORE : 0) >= 0);
}

void puppet_send (puppet_t *self, rp_head_t head, const void *body, size_t size)
{
    if (size)
        head.flags |= RP_FLAG_INLINE;
    size_t head_size = rp_wire_size (&head);
    char *data = malloc (head_size + size);
    assert_non_null (data);
    rp_wire_encode (&head, data, head_size);
    if (size)
        memcpy (data + head_size, body, size);
    puppet_send_frame (self, data, head_size + size, true, false);
    free (data);
}

static void s_welcome (
  puppet_t *self, const char *max_body, uint32_t open, uint32_t interval_ms, uint16_t flags)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, "max-body", max_body));
    rp_head_t welcome = {
      .command = RP_COMMAND_WELCOME,
      .flags = flags,
      .interval_ms = interval_ms,
      .max_open = open,
      .headers = headers,
      .headers_size = (uint16_t) size,
    };
    puppet_send (self, welcome, NULL, 0);
}

void puppet_welcome (puppet_t *self, const char *max_body, uint32_t open)
{
    s_welcome (self, max_body, open, 2000, 0);
}

void puppet_greet_with_bundles (puppet_t *self)
{
    puppet_expect (self, RP_COMMAND_HELLO);
    assert_true (self->head.flags & RP_FLAG_BUNDLES);
    s_welcome (self, "1000000", 1000, 60000, RP_FLAG_BUNDLES);
}

void puppet_send_bundle (puppet_t *self, const bundle_t *bundle)
{
    puppet_send_frame (self, bundle->bytes, bundle->size, true, false);
}

void puppet_greet (puppet_t *self)
{
    puppet_expect (self, RP_COMMAND_HELLO);
    puppet_welcome (self, "1000000", 1000);
}

void puppet_reply (puppet_t *self, rp_status_t status, const char *body)
{
    rp_head_t reply = {
      .command = RP_COMMAND_REPLY,
      .id = self->head.id,
      .status = (uint8_t) status,
      .attempt = status == RP_OK,
      .queue_us = 11,
      .work_us = 22,
    };
    puppet_send (self, reply, body, body ? strlen (body) : 0);
}
