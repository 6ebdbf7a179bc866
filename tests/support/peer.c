/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/peer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"

#include "tests/support/broker.h"

/*  The id of the helpers' own requests, which differs from those that tests choose.  */
#define S_STATUS_ID UINT64_C (0xfeedfacecafe)

test_peer_t *test_peer_new (const char *endpoint)
{
    test_peer_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    for (size_t index = 0; index < RP_FRAMES_MAX; index++)
        zmq_msg_init (&self->frames[index]);
    self->context = zmq_ctx_new ();
    assert_non_null (self->context);
    self->socket = zmq_socket (self->context, ZMQ_DEALER);
    assert_non_null (self->socket);
    int linger = 0, timeout = TEST_PATIENCE_MS;
    zmq_setsockopt (self->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt (self->socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt (self->socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    assert_int_equal (zmq_connect (self->socket, endpoint), 0);
    return self;
}

void test_peer_destroy (test_peer_t **self_p)
{
    test_peer_t *self = *self_p;
    *self_p = NULL;
    for (size_t index = 0; index < RP_FRAMES_MAX; index++)
        zmq_msg_close (&self->frames[index]);
    if (self->unbundler.open)
        zmq_msg_close (&self->unbundler.frame);
    zmq_close (self->socket);
    zmq_ctx_term (self->context);
    free (self);
}

void test_peer_send_frame (test_peer_t *self, const void *data, size_t size, bool more)
{
    int sent = zmq_send (self->socket, data, size, more ? ZMQ_SNDMORE : 0);
    assert_int_equal (sent, (int) size);
}

void test_peer_send (test_peer_t *self, const rp_head_t *head, const void *body, size_t size)
{
    rp_head_t whole = *head;
    if (body)
        whole.flags |= RP_FLAG_INLINE;
    size_t head_size = rp_wire_size (&whole);
    char *frame = malloc (head_size + size);
    assert_non_null (frame);
    assert_int_equal (rp_wire_encode (&whole, frame, head_size), head_size);
    if (body)
        memcpy (frame + head_size, body, size);
    test_peer_send_frame (self, frame, head_size + (body ? size : 0), false);
    free (frame);
}

static void s_receive_frames (test_peer_t *self)
{
    self->frame_count = 1;
    if (unbundle_next (&self->unbundler, &self->frames[0]))
        return;
    self->frame_count = 0;
    zmq_msg_t *frame;
    do {
        assert_in_range (self->frame_count, 0, RP_FRAMES_MAX - 1);
        frame = &self->frames[self->frame_count++];
        if (zmq_msg_recv (frame, self->socket, 0) < 0)
            fail_msg ("nothing came: %s", zmq_strerror (errno));
    } while (zmq_msg_more (frame));
    unbundle (&self->unbundler, &self->frames[0]);
}

/*  Receives a whole message, and checks that its head is well-formed.  */
static void s_receive (test_peer_t *self)
{
    s_receive_frames (self);
    zmq_msg_t *first = &self->frames[0];
    assert_int_equal (
      rp_wire_decode (&self->head, zmq_msg_data (first), zmq_msg_size (first)), RP_WIRE_ERROR_NONE);
    self->body = "";
    self->body_size = 0;
    if (self->head.flags & RP_FLAG_INLINE) {
        self->body = (const char *) zmq_msg_data (first) + self->head.size;
        self->body_size = zmq_msg_size (first) - self->head.size;
    }
    else if (self->frame_count > 1) {
        self->body = zmq_msg_data (&self->frames[1]);
        self->body_size = zmq_msg_size (&self->frames[1]);
    }
}

const rp_head_t *test_peer_expect (test_peer_t *self, rp_command_t command)
{
    do
        s_receive (self);
    while (self->head.command == RP_COMMAND_HEARTBEAT && command != RP_COMMAND_HEARTBEAT);
    if (self->head.command != command)
        fail_msg ("%s came instead of %s: %s %.*s", rp_command_name (self->head.command),
          rp_command_name ((int) command), rp_status_name (self->head.status),
          (int) self->head.text_size, self->head.text);
    return &self->head;
}

const rp_head_t *test_peer_expect_reply (test_peer_t *self, uint64_t id, rp_status_t status)
{
    const rp_head_t *head = test_peer_expect (self, RP_COMMAND_REPLY);
    assert_int_equal (head->id, id);
    if (head->status != status)
        fail_msg ("status %s instead of %s: %.*s", rp_status_name (head->status),
          rp_status_name ((int) status), (int) head->text_size, head->text);
    return head;
}

void test_peer_expect_bye (test_peer_t *self, rp_status_t status)
{
    const rp_head_t *head = test_peer_expect (self, RP_COMMAND_BYE);
    assert_string_equal (rp_status_name (head->status), rp_status_name ((int) status));
}

static test_peer_t *s_greet (const char *endpoint, rp_head_t hello)
{
    test_peer_t *self = test_peer_new (endpoint);
    hello.command = RP_COMMAND_HELLO;
    hello.interval_ms = TEST_PEER_INTERVAL_MS;
    test_peer_send (self, &hello, NULL, 0);
    test_peer_expect (self, RP_COMMAND_WELCOME);
    return self;
}

test_peer_t *test_client_new (const char *endpoint)
{
    return s_greet (endpoint, (rp_head_t){.key = "client", .key_size = 6});
}

test_peer_t *test_client_new_with_bundles (const char *endpoint)
{
    return s_greet (
      endpoint, (rp_head_t){.flags = RP_FLAG_BUNDLES, .key = "client", .key_size = 6});
}

static test_peer_t *s_greet_worker (
  const char *endpoint, const char *service, uint32_t window, uint16_t flags)
{
    return s_greet (endpoint, (rp_head_t){.flags = (uint16_t) (RP_FLAG_WORKER | flags),
                                .key = "worker",
                                .key_size = 6,
                                .name = service,
                                .name_size = (uint8_t) strlen (service),
                                .window = window});
}

test_peer_t *test_worker_new (const char *endpoint, const char *service, uint32_t window)
{
    return s_greet_worker (endpoint, service, window, 0);
}

test_peer_t *test_worker_new_with_bundles (
  const char *endpoint, const char *service, uint32_t window)
{
    return s_greet_worker (endpoint, service, window, RP_FLAG_BUNDLES);
}

test_peer_t *test_worker_new_with_streams (const char *endpoint, uint16_t flags)
{
    uint8_t headers[32];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_HELLO_STREAMS, "1"));
    return s_greet (endpoint, (rp_head_t){.flags = (uint16_t) (RP_FLAG_WORKER | flags),
                                .name = "upper",
                                .name_size = 5,
                                .window = 10,
                                .headers = headers,
                                .headers_size = (uint16_t) size});
}

void test_client_request (test_peer_t *self, uint64_t id, const char *service, const char *body)
{
    test_peer_send (self,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = id,
        .deadline_ms = 10000,
        .attempts = 1,
        .name = service,
        .name_size = (uint8_t) strlen (service)},
      body, strlen (body));
}

void test_worker_reply (test_peer_t *self, uint64_t token, const char *body)
{
    test_peer_send (self, &(rp_head_t){.command = RP_COMMAND_REPLY, .id = token, .status = RP_OK},
      body, strlen (body));
}

json_t *test_client_status (test_peer_t *self)
{
    test_client_request (self, S_STATUS_ID, "riposte.status", "");
    test_peer_expect_reply (self, S_STATUS_ID, RP_OK);
    json_t *status = json_loadb (self->body, self->body_size, 0, NULL);
    assert_non_null (status);
    return status;
}

int64_t test_client_count (test_peer_t *self, const char *group, const char *name)
{
    json_t *status = test_client_status (self);
    json_t *number = json_object_get (group ? json_object_get (status, group) : status, name);
    assert_true (json_is_integer (number));
    int64_t value = json_integer_value (number);
    json_decref (status);
    return value;
}

void test_client_await_count (test_peer_t *self, const char *group, const char *name, int64_t value)
{
    int64_t until = test_now_ms () + TEST_PATIENCE_MS;
    int64_t found;
    while ((found = test_client_count (self, group, name)) != value)
        if (test_now_ms () > until)
            fail_msg ("%s is %lld and not %lld", name, (long long) found, (long long) value);
}
