/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/fake_broker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/wire/headers.h"

/*  Bound for everything that must happen, ms.  */
#define S_PATIENCE_MS 10000

fake_broker_t *fake_broker_new (void)
{
    fake_broker_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->context = zmq_ctx_new ();
    self->socket = zmq_socket (self->context, ZMQ_ROUTER);
    assert_non_null (self->socket);
    int on = 1;
    int off = 0;
    assert_int_equal (zmq_setsockopt (self->socket, ZMQ_ROUTER_MANDATORY, &on, sizeof on), 0);
    assert_int_equal (zmq_setsockopt (self->socket, ZMQ_LINGER, &off, sizeof off), 0);
    assert_int_equal (zmq_bind (self->socket, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof self->endpoint;
    assert_int_equal (zmq_getsockopt (self->socket, ZMQ_LAST_ENDPOINT, self->endpoint, &size), 0);
    return self;
}

static void s_forget (fake_broker_t *self)
{
    for (size_t index = 0; index < self->frame_count; index++)
        zmq_msg_close (&self->frames[index]);
    self->frame_count = 0;
}

void fake_broker_destroy (fake_broker_t **self_p)
{
    fake_broker_t *self = *self_p;
    s_forget (self);
    if (self->unbundler.open)
        zmq_msg_close (&self->unbundler.frame);
    assert_int_equal (zmq_close (self->socket), 0);
    assert_int_equal (zmq_ctx_term (self->context), 0);
    free (self);
    *self_p = NULL;
}

/*  Returns false if nothing came.  */
static bool s_receive_frames (fake_broker_t *self, long wait_ms)
{
    if (self->frame_count == 1 && unbundle_next (&self->unbundler, &self->frames[0]))
        return true;
    zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
    if (zmq_poll (&item, 1, wait_ms) <= 0)
        return false;
    s_forget (self);
    int size = zmq_recv (self->socket, self->peer.id, sizeof self->peer.id, 0);
    assert_true (size > 0);
    self->peer.size = (size_t) size;
    bool more = true;
    while (more) {
        assert_true (self->frame_count < RP_FRAMES_MAX);
        zmq_msg_t *frame = &self->frames[self->frame_count++];
        zmq_msg_init (frame);
        assert_true (zmq_msg_recv (frame, self->socket, 0) >= 0);
        more = zmq_msg_more (frame);
    }
    self->received++;
    unbundle (&self->unbundler, &self->frames[0]);
    return true;
}

static bool s_receive (fake_broker_t *self, long wait_ms)
{
    if (!s_receive_frames (self, wait_ms))
        return false;
    zmq_msg_t *first = &self->frames[0];
    assert_int_equal (
      rp_wire_decode (&self->head, zmq_msg_data (first), zmq_msg_size (first)), RP_WIRE_ERROR_NONE);
    self->body = (const char *) zmq_msg_data (first) + self->head.size;
    self->body_size = zmq_msg_size (first) - self->head.size;
    if (!(self->head.flags & RP_FLAG_INLINE) && self->frame_count > 1) {
        self->body = zmq_msg_data (&self->frames[1]);
        self->body_size = zmq_msg_size (&self->frames[1]);
    }
    return true;
}

/*  Messages that may come at any time: a worker may change its window, and 0 stops requests.  */
static bool s_is_aside (const rp_head_t *head, rp_command_t command)
{
    if (head->command == RP_COMMAND_CREDIT)
        return head->window > 0;
    return head->command == RP_COMMAND_HEARTBEAT && command != RP_COMMAND_HEARTBEAT;
}

const rp_head_t *fake_broker_expect (fake_broker_t *self, rp_command_t command)
{
    for (;; self->aside++) {
        if (!s_receive (self, S_PATIENCE_MS))
            fail_msg ("no %s came", rp_command_name ((int) command));
        if (!s_is_aside (&self->head, command))
            break;
    }
    assert_string_equal (rp_command_name (self->head.command), rp_command_name ((int) command));
    return &self->head;
}

const rp_head_t *fake_broker_expect_reply (fake_broker_t *self, uint64_t token, rp_status_t status)
{
    const rp_head_t *head = fake_broker_expect (self, RP_COMMAND_REPLY);
    assert_int_equal (head->id, token);
    assert_string_equal (rp_status_name (head->status), rp_status_name ((int) status));
    return head;
}

void fake_broker_send_frames (fake_broker_t *self,
  const rp_head_t *head,
  const void *const *frames,
  const size_t *sizes,
  size_t count)
{
    uint8_t encoded[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (head, encoded, sizeof encoded);
    assert_true (size > 0);
    assert_true (zmq_send (self->socket, self->peer.id, self->peer.size, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (self->socket, encoded, size, count ? ZMQ_SNDMORE : 0) >= 0);
    for (size_t index = 0; index < count; index++)
        assert_true (
          zmq_send (self->socket, frames[index], sizes[index], index + 1 < count ? ZMQ_SNDMORE : 0)
          >= 0);
}

void fake_broker_send (fake_broker_t *self, const rp_head_t *head, const void *body, size_t size)
{
    rp_head_t sent = *head;
    if (body)
        sent.flags |= RP_FLAG_INLINE;
    size_t head_size = rp_wire_size (&sent);
    uint8_t *frame = malloc (head_size + size);
    assert_non_null (frame);
    assert_int_equal (rp_wire_encode (&sent, frame, head_size), head_size);
    if (size > 0)
        memcpy (frame + head_size, body, size);
    assert_true (zmq_send (self->socket, self->peer.id, self->peer.size, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (self->socket, frame, head_size + size, 0) >= 0);
    free (frame);
}

static void s_welcome (
  fake_broker_t *self, uint32_t window, uint32_t interval_ms, const char *max_body, uint16_t flags)
{
    fake_broker_expect (self, RP_COMMAND_HELLO);
    uint8_t headers[128];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, "max-body", max_body));
    fake_broker_send (self,
      &(rp_head_t){
        .command = RP_COMMAND_WELCOME,
        .flags = flags,
        .interval_ms = interval_ms,
        .window = window,
        .headers = headers,
        .headers_size = (uint16_t) size,
      },
      NULL, 0);
}

void fake_broker_welcome_with (
  fake_broker_t *self, uint32_t window, uint32_t interval_ms, const char *max_body)
{
    s_welcome (self, window, interval_ms, max_body, 0);
}

void fake_broker_welcome_with_bundles (fake_broker_t *self, uint32_t window)
{
    s_welcome (self, window, 60000, "1000000", RP_FLAG_BUNDLES);
    assert_true (self->head.flags & RP_FLAG_BUNDLES);
}

void fake_broker_send_bundle (fake_broker_t *self, const bundle_t *bundle)
{
    assert_true (zmq_send (self->socket, self->peer.id, self->peer.size, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (self->socket, bundle->bytes, bundle->size, 0) >= 0);
}

void fake_broker_welcome (fake_broker_t *self, uint32_t window)
{
    fake_broker_welcome_with (self, window, FAKE_BROKER_INTERVAL_MS, "1000000");
}

void fake_broker_request_in (
  fake_broker_t *self, uint64_t token, uint64_t conversation, const char *body)
{
    fake_broker_send (self,
      &(rp_head_t){
        .command = RP_COMMAND_REQUEST,
        .id = token,
        .deadline_ms = 10000,
        .attempt = 1,
        .attempts = 1,
        .conversation = conversation,
        .name = "upper",
        .name_size = 5,
      },
      body, strlen (body));
}

void fake_broker_request (fake_broker_t *self, uint64_t token, const char *body)
{
    fake_broker_request_in (self, token, 0, body);
}

void fake_broker_cancel (fake_broker_t *self, uint64_t token)
{
    fake_broker_send (self, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = token}, NULL, 0);
}

void fake_broker_end (fake_broker_t *self, uint64_t conversation)
{
    fake_broker_send (
      self, &(rp_head_t){.command = RP_COMMAND_END, .conversation = conversation}, NULL, 0);
}

void fake_broker_bye (fake_broker_t *self, rp_status_t status)
{
    fake_broker_send (
      self, &(rp_head_t){.command = RP_COMMAND_BYE, .status = (uint8_t) status}, NULL, 0);
}
