/*  SPDX-License-Identifier: MPL-2.0

    The client library against a scripted broker: requests whose bodies come in parts.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_state.h"
#include "common/wire/headers.h"
#include "tests/support/client_pair.h"

#define PATIENCE_MS PUPPET_PATIENCE_MS

/*  Expects HELLO, and answers as a broker that knows streams.  */
static void s_greet (client_pair_t *pair, const char *window, uint16_t flags)
{
    uint8_t headers[128];
    size_t size = 0;
    puppet_expect (pair->broker, RP_COMMAND_HELLO);
    assert_true (rp_headers_append (headers, &size, sizeof headers, "max-body", "1000000"));
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_WELCOME_STREAMS, "1"));
    assert_true (
      rp_headers_append (headers, &size, sizeof headers, RP_WELCOME_STREAM_WINDOW, window));
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_WELCOME,
        .flags = flags,
        .interval_ms = 30000,
        .max_open = 1000,
        .headers = headers,
        .headers_size = (uint16_t) size},
      NULL, 0);
}

/*  Begins a stream at such a broker, which has read its REQUEST.  */
static rp_stream_t *s_begin (client_pair_t *pair, uint32_t window, bool more)
{
    rp_stream_t *stream;
    pair_begin (pair);
    rp_call_t *call = rp_call_new ("log", "hello", 5);
    assert_int_equal (rp_call_set_stream (call, window, 2000), RP_OK);
    assert_int_equal (rp_call_set_attempts (call, 2), RP_OK);
    rp_call_set_more (call, more);
    assert_int_equal (rp_client_stream (pair->client, &call, &stream), RP_OK);
    assert_null (call);
    s_greet (pair, "65536", RP_FLAG_BUNDLES);
    puppet_expect (pair->broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair->broker->head.id, rp_stream_id (stream));
    return stream;
}

static void s_end (client_pair_t *pair, rp_stream_t **stream_p)
{
    rp_stream_destroy (stream_p);
    assert_null (*stream_p);
    pair_end (pair);
}

static void s_send_part (client_pair_t *pair, const rp_stream_t *stream, const char *body)
{
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = rp_stream_id (stream)},
      body, strlen (body));
}

static void s_send_reply (
  client_pair_t *pair, const rp_stream_t *stream, rp_status_t status, const char *body)
{
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .id = rp_stream_id (stream),
        .attempt = 1},
      body, strlen (body));
}

static void s_send_grant (client_pair_t *pair, const rp_stream_t *stream, uint64_t granted)
{
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_GRANT, .id = rp_stream_id (stream), .granted = granted},
      NULL, 0);
}

static void s_expect_read (rp_stream_t *stream, const char *body)
{
    const void *data;
    size_t size;
    assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_OK);
    assert_int_equal (size, strlen (body));
    assert_memory_equal (data, body, size);
}

static void s_expect_end (rp_stream_t *stream, rp_status_t status)
{
    const void *data;
    size_t size;
    assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_CLOSED);
    assert_null (data);
    assert_int_equal (size, 0);
    assert_int_equal (rp_reply_status (rp_stream_reply (stream)), status);
}

static void s_expect_header (const rp_head_t *head, const char *key, const char *value)
{
    rp_header_t header;
    assert_true (rp_headers_find (head->headers, head->headers_size, key, &header));
    assert_int_equal (header.value_size, strlen (value));
    assert_memory_equal (header.value, value, header.value_size);
}

static void a_stream_states_its_window_and_its_limit_of_silence (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    const rp_head_t *head = &pair.broker->head;
    assert_int_equal (head->flags, RP_FLAG_STREAM | RP_FLAG_INLINE);
    assert_in_range (head->deadline_ms, 86390000, 86400000);
    s_expect_header (head, RP_STREAM_WINDOW, "1000");
    s_expect_header (head, RP_STREAM_IDLE, "2000");
    s_end (&pair, &stream);
}

static void a_window_over_the_brokers_is_made_as_small_as_that (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 0, false); // 262144
    s_expect_header (&pair.broker->head, RP_STREAM_WINDOW, "65536");
    s_end (&pair, &stream);
}

static void a_broker_that_allows_more_gets_the_window_that_was_wanted (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 0, false);
    puppet_stop (pair.broker);
    puppet_start (pair.broker);
    s_greet (&pair, "1048576", 0);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    s_expect_header (&pair.broker->head, RP_STREAM_WINDOW, "262144");
    s_end (&pair, &stream);
}

static void parts_are_read_in_order_and_the_reply_is_the_last (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    assert_null (rp_stream_reply (stream));
    s_send_part (&pair, stream, "one");
    s_send_part (&pair, stream, "two");
    s_send_reply (&pair, stream, RP_OK, "three");
    s_expect_read (stream, "one");
    s_expect_read (stream, "two");
    s_expect_read (stream, "three");
    s_expect_end (stream, RP_OK);
    s_expect_end (stream, RP_OK);
    s_end (&pair, &stream);
}

static void the_body_of_an_error_is_no_part (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    s_send_part (&pair, stream, "one");
    s_send_reply (&pair, stream, RP_APP_ERROR, "details");
    s_expect_read (stream, "one");
    s_expect_end (stream, RP_APP_ERROR);
    assert_memory_equal (rp_reply_body (rp_stream_reply (stream)), "details", 7);
    s_end (&pair, &stream);
}

static void large_parts_of_several_frames_are_read_whole (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 65536, false);
    static char half[10000];
    memset (half, 'x', sizeof half);
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .flags = RP_FLAG_MORE, .id = rp_stream_id (stream)};
    uint8_t frame[RP_WIRE_FIXED];
    for (int frames = 1; frames < 3; frames++) {
        rp_wire_encode (&head, frame, sizeof frame);
        puppet_send_frame (pair.broker, frame, sizeof frame, true, true);
        for (int sent = 0; sent < frames; sent++)
            puppet_send_frame (pair.broker, half, sizeof half, false, sent + 1 < frames);
        const void *data;
        size_t size;
        assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_OK);
        assert_int_equal (size, (size_t) frames * sizeof half);
        assert_memory_equal ((const char *) data + size - sizeof half, half, sizeof half);
    }
    s_end (&pair, &stream);
}

static void a_reader_grants_as_it_takes_parts_and_not_before (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 300, false);
    s_send_part (&pair, stream, "0123456789012345678901234567890123456789"); // 104
    s_send_part (&pair, stream, "0123456789012345678901234567890123456789");
    const void *data;
    size_t size;
    assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_OK);
    assert_false (puppet_receive (pair.broker, 50));
    assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_GRANT);
    assert_int_equal (pair.broker->head.id, rp_stream_id (stream));
    assert_int_equal (pair.broker->head.granted, 508);
    s_end (&pair, &stream);
}

static void the_headers_of_a_part_are_counted_too (void **state)
{
    (void) state;
    client_pair_t pair;
    uint8_t headers[64];
    size_t headers_size = 0;
    rp_stream_t *stream = s_begin (&pair, 300, false);
    assert_true (rp_headers_append (
      headers, &headers_size, sizeof headers, "key", "012345678901234567890123456789012"));
    assert_int_equal (headers_size, 39);
    puppet_send (pair.broker,
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .flags = RP_FLAG_MORE,
        .id = rp_stream_id (stream),
        .headers = headers,
        .headers_size = (uint16_t) headers_size},
      "012345678901234567890123456789012345678901234567", 48); // 151
    const void *data;
    size_t size;
    assert_int_equal (rp_stream_read (stream, PATIENCE_MS, &data, &size), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_GRANT);
    assert_int_equal (pair.broker->head.granted, 451);
    s_end (&pair, &stream);
}

static void a_broker_that_sends_more_than_was_granted_loses_the_request (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 100, false);
    s_send_part (&pair, stream, "0123456789");
    s_send_part (&pair, stream, "0123456789");
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    s_send_reply (&pair, stream, RP_CANCELLED, "");
    s_expect_read (stream, "0123456789");
    s_expect_end (stream, RP_UNKNOWN);
    assert_non_null (strstr (rp_reply_message (rp_stream_reply (stream)), "more than was granted"));
    s_end (&pair, &stream);
}

static void a_large_body_is_kept_for_a_call_that_may_be_given_back (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream;
    static char large[100000];
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("log", large, sizeof large);
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_OK);
    s_greet (&pair, "65536", 0);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_true (rp_pump_lock (pair.client->pump));
    size_t kept = zmq_msg_size (&stream->call->large);
    rp_pump_unlock (pair.client->pump);
    assert_int_equal (kept, sizeof large);
    s_end (&pair, &stream);
}

static void a_read_waits_no_longer_than_it_may (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    const void *data;
    size_t size;
    assert_int_equal (rp_stream_read (stream, 0, &data, &size), RP_TIMED_OUT);
    assert_int_equal (rp_stream_read (stream, 20, &data, &size), RP_TIMED_OUT);
    s_end (&pair, &stream);
}

static void destroying_an_open_stream_cancels_it (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    uint64_t id = rp_stream_id (stream);
    s_send_part (&pair, stream, "unread");
    rp_stream_destroy (&stream);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    assert_int_equal (pair.broker->head.id, id);
    assert_int_equal (rp_client_open (pair.client), 0);
    pair_end (&pair);
}

static void a_cancelled_stream_is_read_to_its_end (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    s_send_part (&pair, stream, "one");
    assert_int_equal (rp_stream_cancel (stream), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    s_send_reply (&pair, stream, RP_CANCELLED, "");
    s_expect_read (stream, "one");
    s_expect_end (stream, RP_CANCELLED);
    assert_int_equal (rp_stream_cancel (stream), RP_USAGE);
    s_end (&pair, &stream);
}

static void a_body_is_written_as_the_worker_grants_it (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, true);
    assert_int_equal (pair.broker->head.flags, RP_FLAG_STREAM | RP_FLAG_INLINE | RP_FLAG_MORE);
    size_t written;
    assert_int_equal (rp_stream_write (stream, "one", 3, 0, &written), RP_TIMED_OUT);
    assert_int_equal (written, 0);
    s_send_grant (&pair, stream, 200);
    assert_int_equal (rp_stream_write (stream, "one", 3, PATIENCE_MS, &written), RP_OK);
    assert_int_equal (written, 3);
    puppet_expect (pair.broker, RP_COMMAND_PART);
    assert_int_equal (pair.broker->head.flags, RP_FLAG_MORE | RP_FLAG_INLINE);
    assert_string_equal (pair.broker->body, "one");
    assert_int_equal (rp_stream_write (stream, "", 0, 0, NULL), RP_OK);
    assert_int_equal (rp_stream_write_end (stream, PATIENCE_MS), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_PART);
    assert_int_equal (pair.broker->head.flags, 0);
    assert_int_equal (rp_stream_write (stream, "two", 3, 0, NULL), RP_USAGE);
    s_send_reply (&pair, stream, RP_OK, "");
    s_expect_end (stream, RP_OK);
    s_end (&pair, &stream);
}

static void a_long_write_goes_in_pieces_and_says_how_much_went (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, true);
    static char body[30000];
    size_t written;
    s_send_grant (&pair, stream, 20000); // pieces of 9936
    memset (body, 'x', sizeof body);
    int rc = rp_stream_write (stream, body, sizeof body, PATIENCE_MS / 100, &written);
    assert_int_equal (rc, RP_TIMED_OUT);
    assert_int_equal (written, 2 * 9936);
    for (int part = 0; part < 2; part++) {
        puppet_expect (pair.broker, RP_COMMAND_PART);
        assert_int_equal (pair.broker->size, 9936);
    }
    s_send_grant (&pair, stream, 40000);
    assert_int_equal (
      rp_stream_write (stream, body, sizeof body - written, PATIENCE_MS, &written), RP_OK);
    s_end (&pair, &stream);
}

static void a_write_ends_when_the_request_does (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, true);
    s_send_reply (&pair, stream, RP_OK, "enough");
    assert_int_equal (rp_stream_write (stream, "one", 3, PATIENCE_MS, NULL), RP_CLOSED);
    assert_int_equal (rp_stream_write_end (stream, PATIENCE_MS), RP_CLOSED);
    s_expect_read (stream, "enough");
    s_end (&pair, &stream);
}

static void a_stream_without_more_cannot_be_written (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, false);
    assert_int_equal (rp_stream_write (stream, "one", 3, 0, NULL), RP_USAGE);
    assert_int_equal (rp_stream_write_end (stream, 0), RP_USAGE);
    s_end (&pair, &stream);
}

static bool s_is_readable (int descriptor, int timeout_ms)
{
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    return poll (&entry, 1, timeout_ms) == 1;
}

static void the_descriptor_tells_of_parts_grants_and_the_end (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream = s_begin (&pair, 1000, true);
    const void *data;
    size_t size;
    int descriptor = rp_stream_fd (stream);
    assert_true (descriptor >= 0);
    assert_int_equal (rp_stream_read (stream, 0, &data, &size), RP_TIMED_OUT);
    assert_false (s_is_readable (descriptor, 0));
    s_send_part (&pair, stream, "one");
    assert_true (s_is_readable (descriptor, PATIENCE_MS));
    s_expect_read (stream, "one");
    assert_int_equal (rp_stream_read (stream, 0, &data, &size), RP_TIMED_OUT);
    assert_false (s_is_readable (descriptor, 0));
    s_send_grant (&pair, stream, 200);
    assert_true (s_is_readable (descriptor, PATIENCE_MS));
    assert_int_equal (rp_stream_read (stream, 0, &data, &size), RP_TIMED_OUT);
    s_send_reply (&pair, stream, RP_OK, "");
    assert_true (s_is_readable (descriptor, PATIENCE_MS));
    s_expect_end (stream, RP_OK);
    s_end (&pair, &stream);
}

static void what_cannot_be_a_stream_is_refused_and_stays_a_call (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("log", "", 0);
    assert_int_equal (rp_call_set_stream (call, 64, 0), RP_USAGE);
    assert_int_equal (rp_call_set_stream (call, 1073741825, 0), RP_USAGE);
    assert_int_equal (rp_call_set_stream (call, 0, 86400001), RP_USAGE);
    assert_int_equal (rp_call_set_key (call, "k"), RP_OK);
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_USAGE);
    assert_null (stream);
    assert_non_null (call);
    rp_call_destroy (&call);
    call = rp_call_new ("log", "", 0);
    assert_int_equal (rp_call_set_hedge (call, "20ms"), RP_OK);
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_USAGE);
    rp_call_destroy (&call);
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_USAGE);
    pair_end (&pair);
}

static void a_call_that_is_a_stream_is_not_submitted_otherwise (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_reply_t *reply;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("log", "", 0);
    assert_int_equal (rp_call_set_stream (call, 0, 0), RP_OK);
    assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_USAGE);
    assert_int_equal (rp_client_perform (pair.client, &call, &reply), RP_USAGE);
    rp_call_destroy (&call);
    pair_end (&pair);
}

static void a_broker_that_knows_no_streams_is_named (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("log", "", 0);
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_OK);
    puppet_greet (pair.broker);
    s_expect_end (stream, RP_INVALID);
    const char *message = rp_reply_message (rp_stream_reply (stream));
    assert_non_null (strstr (message, "knows no streams"));
    assert_non_null (strstr (message, pair.broker->endpoint));
    s_end (&pair, &stream);
}

/*  ---- All of it ------------------------------------------------------------------------------ */

typedef struct {
    char all[64];
    int enough; /* after so many parts */
} s_parts_t;

static bool s_on_part (const void *data, size_t size, void *arg)
{
    s_parts_t *parts = arg;
    strncat (parts->all, data, size);
    return --parts->enough != 0;
}

typedef struct {
    rp_client_t *client;
    s_parts_t parts;
    rp_reply_t *reply;
    int rc;
    pthread_t thread;
} s_performer_t;

static void *s_perform (void *arg)
{
    s_performer_t *self = arg;
    rp_call_t *call = rp_call_new ("log", "", 0);
    self->rc = rp_client_perform_parts (self->client, &call, s_on_part, &self->parts, &self->reply);
    return NULL;
}

/*  Performs a call in a thread; the broker has its REQUEST.  */
static void s_start (client_pair_t *pair, s_performer_t *self, int enough)
{
    pair_begin (pair);
    *self = (s_performer_t){.client = pair->client, .parts.enough = enough};
    assert_int_equal (pthread_create (&self->thread, NULL, s_perform, self), 0);
    s_greet (pair, "65536", 0);
    puppet_expect (pair->broker, RP_COMMAND_REQUEST);
}

static void s_send (client_pair_t *pair, uint16_t flags, rp_status_t status, const char *body)
{
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .flags = flags,
        .id = pair->broker->head.id},
      body, strlen (body));
}

static void a_function_gets_each_part_and_then_there_is_the_reply (void **state)
{
    (void) state;
    client_pair_t pair;
    s_performer_t performer;
    s_start (&pair, &performer, 100);
    s_send (&pair, RP_FLAG_MORE, RP_OK, "one ");
    s_send (&pair, RP_FLAG_MORE, RP_OK, "two ");
    s_send (&pair, 0, RP_OK, "three");
    pthread_join (performer.thread, NULL);
    assert_int_equal (performer.rc, RP_OK);
    assert_string_equal (performer.parts.all, "one two three");
    assert_int_equal (rp_reply_status (performer.reply), RP_OK);
    rp_reply_destroy (&performer.reply);
    pair_end (&pair);
}

static void a_function_that_has_enough_cancels_the_request (void **state)
{
    (void) state;
    client_pair_t pair;
    s_performer_t performer;
    s_start (&pair, &performer, 1);
    s_send (&pair, RP_FLAG_MORE, RP_OK, "one ");
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    s_send (&pair, RP_FLAG_MORE, RP_OK, "two ");
    s_send (&pair, 0, RP_CANCELLED, "");
    pthread_join (performer.thread, NULL);
    assert_int_equal (performer.rc, RP_OK);
    assert_string_equal (performer.parts.all, "one ");
    assert_int_equal (rp_reply_status (performer.reply), RP_CANCELLED);
    rp_reply_destroy (&performer.reply);
    pair_end (&pair);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_stream_states_its_window_and_its_limit_of_silence),
      cmocka_unit_test (a_window_over_the_brokers_is_made_as_small_as_that),
      cmocka_unit_test (a_broker_that_allows_more_gets_the_window_that_was_wanted),
      cmocka_unit_test (parts_are_read_in_order_and_the_reply_is_the_last),
      cmocka_unit_test (the_body_of_an_error_is_no_part),
      cmocka_unit_test (large_parts_of_several_frames_are_read_whole),
      cmocka_unit_test (a_reader_grants_as_it_takes_parts_and_not_before),
      cmocka_unit_test (the_headers_of_a_part_are_counted_too),
      cmocka_unit_test (a_broker_that_sends_more_than_was_granted_loses_the_request),
      cmocka_unit_test (a_large_body_is_kept_for_a_call_that_may_be_given_back),
      cmocka_unit_test (a_read_waits_no_longer_than_it_may),
      cmocka_unit_test (destroying_an_open_stream_cancels_it),
      cmocka_unit_test (a_cancelled_stream_is_read_to_its_end),
      cmocka_unit_test (a_body_is_written_as_the_worker_grants_it),
      cmocka_unit_test (a_long_write_goes_in_pieces_and_says_how_much_went),
      cmocka_unit_test (a_write_ends_when_the_request_does),
      cmocka_unit_test (a_stream_without_more_cannot_be_written),
      cmocka_unit_test (the_descriptor_tells_of_parts_grants_and_the_end),
      cmocka_unit_test (what_cannot_be_a_stream_is_refused_and_stays_a_call),
      cmocka_unit_test (a_call_that_is_a_stream_is_not_submitted_otherwise),
      cmocka_unit_test (a_broker_that_knows_no_streams_is_named),
      cmocka_unit_test (a_function_gets_each_part_and_then_there_is_the_reply),
      cmocka_unit_test (a_function_that_has_enough_cancels_the_request),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
