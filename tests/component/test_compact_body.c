/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/compact_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/transport/outbox.h"
#include "common/wire/headers.h"

static rp_message_pool_t s_pool = {.largest = 10};

/*  Returns a REQUEST with one header, as if received: with its body in the first frame (INLINE), in
    a frame of its own, or without a body (NULL).  */
static rp_message_t *s_came (rp_head_t *head, const char *body, bool inlined)
{
    static uint8_t headers[64];
    size_t headers_size = 0;
    assert_true (rp_headers_append (headers, &headers_size, sizeof headers, "trace", "a-value"));
    rp_head_t said = {.command = RP_COMMAND_REQUEST,
      .flags = (uint16_t) (RP_FLAG_TRACE | (body && inlined ? RP_FLAG_INLINE : 0)),
      .id = 5,
      .deadline_ms = 1000,
      .attempts = 2,
      .name = "upper",
      .name_size = 5,
      .headers = headers,
      .headers_size = (uint16_t) headers_size};
    size_t size = rp_wire_size (&said);
    size_t body_size = body ? strlen (body) : 0;
    rp_message_t *message = rp_message_new (&s_pool, size + (inlined ? body_size : 0));
    assert_non_null (message);
    rp_wire_encode (&said, rp_message_data (message), size);
    if (body && inlined) {
        memcpy (rp_message_data (message) + size, body, body_size);
    }
    else if (body) {
        assert_true (rp_message_add_frames (message, 1));
        zmq_msg_t *frame = rp_message_frame (message, 1);
        assert_int_equal (zmq_msg_init_size (frame, body_size), 0);
        memcpy (zmq_msg_data (frame), body, body_size);
        message->bytes += body_size;
    }
    assert_int_equal (rp_wire_decode (head, rp_message_data (message), rp_message_size (message)),
      RP_WIRE_ERROR_NONE);
    return message;
}

/*  The head of a delivery, as the core orders it.  */
static const rp_head_t s_delivery = {.command = RP_COMMAND_REQUEST,
  .flags = RP_FLAG_TRACE,
  .id = 77,
  .deadline_ms = 900,
  .attempt = 1,
  .attempts = 2,
  .name = "upper",
  .name_size = 5};

static void s_assert_delivery (rp_message_t *message, const char *body)
{
    rp_head_t head;
    rp_header_t header;
    assert_non_null (message);
    assert_int_equal (message->count, 1);
    assert_int_equal (message->bytes, rp_message_size (message));
    assert_int_equal (
      rp_wire_decode (&head, rp_message_data (message), message->bytes), RP_WIRE_ERROR_NONE);
    assert_int_equal (head.id, 77);
    assert_int_equal (head.deadline_ms, 900);
    assert_int_equal (head.attempt, 1);
    assert_int_equal (head.attempts, 2);
    assert_int_equal (head.flags, RP_FLAG_TRACE | (body ? RP_FLAG_INLINE : 0));
    assert_memory_equal (head.name, "upper", 5);
    assert_true (rp_headers_find (head.headers, head.headers_size, "trace", &header));
    assert_memory_equal (header.value, "a-value", 7);
    assert_int_equal (message->bytes - head.size, body ? strlen (body) : 0);
    if (body)
        assert_memory_equal (rp_message_data (message) + head.size, body, strlen (body));
}

static void s_pack_and_open (const char *body, bool inlined)
{
    rp_head_t head;
    rp_message_t *message = s_came (&head, body, inlined);
    rp_compact_body_t *compact = rp_compact_body_new (&s_pool, &head, message);
    assert_non_null (compact);
    rp_message_destroy (&s_pool, &message);
    for (unsigned attempt = 0; attempt < 2; attempt++) { // it can be opened twice
        message = rp_compact_body_open (compact, &s_pool, &s_delivery);
        s_assert_delivery (message, body);
        rp_message_destroy (&s_pool, &message);
    }
    rp_compact_body_destroy (&compact);
    assert_null (compact);
}

static void s_headers_and_body_come_out_as_they_went_in (void **state)
{
    (void) state;
    s_pack_and_open ("a body in the first frame", true);
    s_pack_and_open ("a body in a frame of its own", false);
    s_pack_and_open (NULL, false);
    s_pack_and_open ("", true); // an empty body differs from no body
}

static void s_what_is_large_or_has_several_frames_of_body_is_not_packed (void **state)
{
    (void) state;
    char large[5000];
    memset (large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    rp_head_t head;
    rp_message_t *message = s_came (&head, large, false);
    assert_null (rp_compact_body_new (&s_pool, &head, message));
    rp_message_destroy (&s_pool, &message);

    message = s_came (&head, "one", true);
    assert_true (rp_message_add_frames (message, 1));
    assert_null (rp_compact_body_new (&s_pool, &head, message));
    rp_message_destroy (&s_pool, &message);
}

/*  The core passes on a compact body like any payload.  */
static void s_the_outbox_takes_a_compact_for_the_message_that_it_was (void **state)
{
    (void) state;
    rp_routes_t routes;
    rp_outbox_t outbox;
    rp_routes_init (&routes, 1);
    rp_outbox_init (&outbox, NULL, &routes, &s_pool, NULL, SIZE_MAX, SIZE_MAX);
    rp_head_t head;
    rp_payload_t *payload = rp_outbox_payload (s_came (&head, "body", true));
    rp_outbox_keep (&outbox, &head, &payload);
    rp_action_t send = {.kind = RP_ACTION_SEND,
      .session = {5},
      .token = {77},
      .payload = payload,
      .keep = true,
      .head = s_delivery};
    rp_outbox_post (&outbox, &send);
    s_assert_delivery (outbox.waiting[0].message, "body");
    send.keep = false; // the second send does not keep it
    rp_outbox_post (&outbox, &send);
    s_assert_delivery (outbox.waiting[1].message, "body");

    payload = rp_outbox_payload (s_came (&head, "body", true));
    rp_outbox_keep (&outbox, &head, &payload);
    rp_outbox_drop (&outbox, payload);
    rp_outbox_clear (&outbox);
    rp_routes_clear (&routes);
}

static int s_clear (void **state)
{
    (void) state;
    rp_message_pool_clear (&s_pool);
    return 0;
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_headers_and_body_come_out_as_they_went_in),
      cmocka_unit_test (s_what_is_large_or_has_several_frames_of_body_is_not_packed),
      cmocka_unit_test (s_the_outbox_takes_a_compact_for_the_message_that_it_was),
    };
    return cmocka_run_group_tests_name ("compact_body", tests, NULL, s_clear);
}
