/*  Bodies in parts through the real broker, by raw peers: bytes, frames and bundles. The rules are in
    tests/unit/test_dispatch_streams.c.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/wire/headers.h"
#include "tests/support/broker.h"
#include "tests/support/peer.h"

static test_broker_t *s_broker;
static const char *s_endpoint;

static int s_setup (void **state)
{
    (void) state;
    s_broker = test_broker_start ();
    s_endpoint = test_broker_endpoint (s_broker);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_broker_stop (&s_broker);
    return 0;
}

/*  ---- Vocabulary -------------------------------------------------------------------------- */

/*  Sends request 1 with these flags and this window, and returns its token.  */
static uint64_t s_begin (
  test_peer_t *client, test_peer_t *worker, uint16_t flags, const char *window)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_STREAM_WINDOW, window));
    test_peer_send (client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .flags = flags,
        .id = 1,
        .deadline_ms = 10000,
        .attempts = 1,
        .name = "upper",
        .name_size = 5,
        .headers = headers,
        .headers_size = (uint16_t) size},
      "first", 5);
    const rp_head_t *request = test_peer_expect (worker, RP_COMMAND_REQUEST);
    assert_int_equal (request->flags & (RP_FLAG_STREAM | RP_FLAG_MORE), flags);
    return request->id;
}

static void s_part (test_peer_t *worker, uint64_t token, const char *text)
{
    test_peer_send (worker,
      &(rp_head_t){.command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = token}, text,
      strlen (text));
}

static void s_expect_text (test_peer_t *peer, rp_command_t command, bool more, const char *text)
{
    const rp_head_t *head = test_peer_expect (peer, command);
    assert_int_equal ((head->flags & RP_FLAG_MORE) != 0, more);
    assert_int_equal (peer->body_size, strlen (text));
    assert_memory_equal (peer->body, text, peer->body_size);
}

static void s_grant (test_peer_t *peer, uint64_t id, uint64_t bytes)
{
    test_peer_send (
      peer, &(rp_head_t){.command = RP_COMMAND_GRANT, .id = id, .granted = bytes}, NULL, 0);
}

/*  ---- Tests ------------------------------------------------------------------------------- */

static void s_both_bodies_pass_byte_for_byte (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, 0);
    test_peer_t *client = test_client_new (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM | RP_FLAG_MORE, "1000");
    s_grant (worker, token, 1000);
    assert_int_equal (test_peer_expect (client, RP_COMMAND_GRANT)->granted, 1000);
    test_peer_send (client,
      &(rp_head_t){.command = RP_COMMAND_PART, .flags = RP_FLAG_MORE, .id = 1}, "second", 6);
    test_peer_send (client, &(rp_head_t){.command = RP_COMMAND_PART, .id = 1}, "third", 5);
    s_expect_text (worker, RP_COMMAND_PART, true, "second");
    s_expect_text (worker, RP_COMMAND_PART, false, "third");
    assert_true (worker->head.id == token);
    s_part (worker, token, "FIRST");
    s_part (worker, token, "");
    test_worker_reply (worker, token, "LAST");
    s_expect_text (client, RP_COMMAND_REPLY, true, "FIRST");
    s_expect_text (client, RP_COMMAND_REPLY, true, "");
    s_expect_text (client, RP_COMMAND_REPLY, false, "LAST");
    assert_int_equal (client->head.id, 1);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

/*  A part whose body is in frames of its own.  */
static void s_frames_of_a_part_stay_as_they_are (void **state)
{
    (void) state;
    enum { SIZE = 200000 };
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, 0);
    test_peer_t *client = test_client_new (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM, "1048576");
    uint8_t head[RP_WIRE_HEAD_MAX];
    size_t size =
      rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = token},
        head, sizeof head);
    char *body = malloc (SIZE);
    assert_non_null (body);
    for (size_t index = 0; index < SIZE; index++)
        body[index] = (char) (index * 7);
    for (unsigned count = 0; count < 3; count++) {
        test_peer_send_frame (worker, head, size, true);
        test_peer_send_frame (worker, body, SIZE, true);
        test_peer_send_frame (worker, "end", 3, false);
    }
    for (unsigned count = 0; count < 3; count++) {
        test_peer_expect (client, RP_COMMAND_REPLY);
        assert_int_equal (client->frame_count, 3);
        assert_int_equal (client->body_size, SIZE);
        assert_memory_equal (client->body, body, SIZE);
    }
    free (body);
    test_worker_reply (worker, token, "");
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_many_small_parts_travel_in_bundles (void **state)
{
    (void) state;
    enum { PARTS = 100 };
    static bundle_t bundle;
    bundle.size = 0;
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, RP_FLAG_BUNDLES);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM, "1048576");
    for (unsigned count = 0; count < PARTS; count++)
        bundle_add_message (&bundle,
          (rp_head_t){.command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = token}, "part");
    test_peer_send_frame (worker, bundle.bytes, bundle.size, false);
    for (unsigned count = 0; count < PARTS; count++)
        s_expect_text (client, RP_COMMAND_REPLY, true, "part");
    assert_true (client->unbundler.count > 0);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_who_stops_reading_delays_nobody_else (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, 0);
    test_peer_t *client = test_client_new (s_endpoint);
    test_peer_t *other = test_client_new (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM, "1000");
    s_part (worker, token, "unread");
    for (uint64_t id = 1; id <= 10; id++) {
        test_client_request (other, id, "upper", "x");
        test_worker_reply (worker, test_peer_expect (worker, RP_COMMAND_REQUEST)->id, "X");
        test_peer_expect_reply (other, id, RP_OK);
    }
    s_grant (client, 1, 1500);
    test_peer_expect (worker, RP_COMMAND_GRANT);
    test_worker_reply (worker, token, "end");
    s_expect_text (client, RP_COMMAND_REPLY, true, "unread");
    s_expect_text (client, RP_COMMAND_REPLY, false, "end");
    test_peer_destroy (&other);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_a_client_that_is_gone_cancels_its_stream (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, 0);
    test_peer_t *client = test_client_new (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM, "1000");
    s_part (worker, token, "part");
    s_expect_text (client, RP_COMMAND_REPLY, true, "part");
    test_peer_destroy (&client);
    assert_true (test_peer_expect (worker, RP_COMMAND_CANCEL)->id == token);
    test_peer_destroy (&worker);
}

static void s_a_worker_that_dies_in_a_stream_leaves_what_it_wrote (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new_with_streams (s_endpoint, 0);
    test_peer_t *client = test_client_new (s_endpoint);
    uint64_t token = s_begin (client, worker, RP_FLAG_STREAM, "1000");
    s_part (worker, token, "part");
    s_expect_text (client, RP_COMMAND_REPLY, true, "part");
    test_peer_destroy (&worker);
    const rp_head_t *final = test_peer_expect_reply (client, 1, RP_WORKER_LOST);
    static const char words[] = "; 4 bytes of the reply had been passed on";
    assert_true (final->text_size > sizeof words);
    assert_memory_equal (
      final->text + final->text_size - (sizeof words - 1), words, sizeof words - 1);
    test_peer_destroy (&client);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_both_bodies_pass_byte_for_byte),
      S_TEST (s_frames_of_a_part_stay_as_they_are),
      S_TEST (s_many_small_parts_travel_in_bundles),
      S_TEST (s_who_stops_reading_delays_nobody_else),
      S_TEST (s_a_client_that_is_gone_cancels_its_stream),
      S_TEST (s_a_worker_that_dies_in_a_stream_leaves_what_it_wrote),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
