/*  The outbox, on a real ROUTER, with actions made by hand.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "broker/transport/connections.h"
#include "common/io/socket.h"
#include "common/wire/bundle.h"
#include "common/wire/head.h"

static void *s_context;
static void *s_router;
static rp_connections_t s_peers;
static rp_message_pool_t s_pool;
static rp_outbox_t s_outbox;

#define BACKLOG 1000000u

static const rp_session_id_t s_one = {.v = UINT64_C (1) << 32};
static const rp_session_id_t s_two = {.v = UINT64_C (1) << 32 | 1};

static rp_journal_t s_journal;

static void s_write (rp_journal_t *journal)
{
    journal->written = journal->appended;
}

static int s_setup (void **state)
{
    (void) state;
    s_context = zmq_ctx_new ();
    s_router = rp_socket_router (s_context, 1000000, 100, NULL);
    assert_non_null (s_router);
    s_pool = (rp_message_pool_t){.largest = 10};
    rp_connections_init (&s_peers, &(rp_connections_options_t){.seed = 1});
    s_journal = (rp_journal_t){.write = s_write};
    rp_outbox_init (&s_outbox, s_router, &s_peers.routes, &s_pool, &s_journal, BACKLOG, BACKLOG);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_outbox_clear (&s_outbox);
    rp_connections_clear (&s_peers);
    rp_message_pool_clear (&s_pool);
    rp_socket_close (s_router, NULL);
    return zmq_ctx_term (s_context);
}

static void s_admit (rp_session_id_t peer, const char *routing_id, bool bundles)
{
    assert_true (
      rp_connections_bind (&s_peers, peer, routing_id, strlen (routing_id), NULL, bundles, 0));
}

/*  Carries out an action as the server does.  */
static void s_carry_out (rp_action_t action)
{
    if (action.kind == RP_ACTION_SEND) {
        rp_outbox_post (&s_outbox, &action);
        return;
    }
    rp_outbox_empty (&s_outbox);
    rp_connections_unbind (
      &s_peers, action.session, action.keep ? RP_UNBIND_TOLD : RP_UNBIND_LEFT, 0);
}

/*  Returns an encoded REQUEST, as if just received.  */
static rp_payload_t *s_request (void)
{
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1,
      .deadline_ms = 1,
      .attempts = 2,
      .name = "upper",
      .name_size = 5};
    rp_message_t *message = rp_message_new (&s_pool, rp_wire_size (&head));
    assert_non_null (message);
    rp_wire_encode (&head, zmq_msg_data (&message->first), rp_wire_size (&head));
    return rp_outbox_payload (message);
}

static void s_drop (rp_payload_t *payload)
{
    rp_outbox_drop (&s_outbox, payload);
}

static void s_a_request_that_cannot_be_sent_comes_back_with_its_token (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    rp_payload_t *request = s_request ();
    s_carry_out (
      (rp_action_t){.kind = RP_ACTION_SEND, .session = s_one, .token = {77}, .payload = request});
    rp_event_t event;
    assert_false (rp_outbox_next_event (&s_outbox, &event)); // the message waits in the outbox
    assert_true (rp_outbox_flush (&s_outbox));
    assert_false (rp_outbox_flush (&s_outbox));
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (event.kind, RP_EVENT_UNSENT);
    assert_int_equal (event.session.v, s_one.v);
    assert_int_equal (event.token.v, 77);
    assert_false (event.full);
    assert_ptr_equal (event.payload, request);
    assert_false (rp_outbox_next_event (&s_outbox, &event));
    s_drop (request);
}

/*  Its body had a frame of its own when it came, and is inline since it waited: the core does not know.  */
static void s_a_request_that_waited_and_comes_back_keeps_its_body (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    rp_payload_t *request = s_request ();
    rp_message_t *message = rp_outbox_message (request);
    assert_true (rp_message_add_frames (message, 1));
    assert_true (rp_message_fill_frame (message, 1, "the body", 8));
    rp_head_t head;
    assert_int_equal (rp_wire_decode (&head, rp_message_data (message), rp_message_size (message)),
      RP_WIRE_ERROR_NONE);
    rp_outbox_keep (&s_outbox, &head, &request);
    rp_action_t send = {.kind = RP_ACTION_SEND,
      .session = s_one,
      .token = {77},
      .payload = request,
      .head = {
        .command = RP_COMMAND_REQUEST, .id = 77, .attempts = 1, .name = "upper", .name_size = 5}};
    s_carry_out (send);
    assert_true (rp_outbox_flush (&s_outbox));
    rp_event_t event;
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (event.kind, RP_EVENT_UNSENT);
    send.payload = event.payload; // to another worker
    rp_outbox_post (&s_outbox, &send);
    message = s_outbox.waiting[0].message;
    assert_int_equal (rp_wire_decode (&head, rp_message_data (message), rp_message_size (message)),
      RP_WIRE_ERROR_NONE);
    assert_int_equal (head.flags, RP_FLAG_INLINE);
    assert_int_equal (rp_message_size (message) - head.size, 8);
    assert_memory_equal (rp_message_data (message) + head.size, "the body", 8);
    rp_outbox_flush (&s_outbox);
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    s_drop (event.payload);
}

static void s_a_request_that_was_kept_does_not_come_back (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    rp_payload_t *request = s_request ();
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = s_one, .token = {77}, .payload = request, .keep = true});
    rp_outbox_flush (&s_outbox);
    rp_event_t event;
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (event.token.v, 77);
    assert_null (event.payload);
    s_drop (request);
}

static void s_of_a_reply_that_cannot_be_sent_the_core_is_told_its_status (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    s_carry_out ((rp_action_t){.kind = RP_ACTION_SEND,
      .session = s_one,
      .head = {.command = RP_COMMAND_REPLY, .status = RP_APP_ERROR}});
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = s_one, .head = {.command = RP_COMMAND_HEARTBEAT}});
    rp_outbox_flush (&s_outbox);
    rp_event_t event;
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_true (event.reply);
    assert_int_equal (event.status, RP_APP_ERROR);
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_false (event.reply);
}

static void s_the_core_is_told_of_a_dropped_request_though_its_client_has_left (void **state)
{
    (void) state;
    s_admit (s_one, "one", false);
    rp_outbox_report_dropped (&s_outbox, s_one, "no memory");
    s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_one});
    rp_event_t event;
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (event.kind, RP_EVENT_DROPPED);
    assert_int_equal (event.session.v, s_one.v);
    assert_string_equal (event.why, "no memory");
}

static void s_what_concerned_a_session_ends_with_it (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = s_one, .token = {77}, .payload = s_request ()});
    s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_one});
    rp_event_t event;
    assert_false (rp_outbox_next_event (&s_outbox, &event));
    // A send after the session's end gives neither an event nor a leak.
    s_carry_out ((rp_action_t){.kind = RP_ACTION_SEND, .session = s_one, .payload = s_request ()});
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = s_one, .head = {.command = RP_COMMAND_HEARTBEAT}});
    rp_outbox_flush (&s_outbox);
    assert_false (rp_outbox_next_event (&s_outbox, &event));
}

/*  ---- The journal ----------------------------------------------------------------------------- */

static void s_nothing_leaves_before_the_journal_is_written (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", false);
    s_journal.appended = 7;
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = s_one, .head = {.command = RP_COMMAND_HEARTBEAT}});
    assert_int_equal (s_journal.written, 0); // the message waits in the outbox
    s_journal.appended = 8;
    rp_outbox_flush (&s_outbox);
    assert_int_equal (s_journal.written, 8);
    s_journal.appended = 9;
    rp_outbox_flush (&s_outbox);
    assert_int_equal (s_journal.written, 8); // nothing is left
    rp_outbox_answer (&s_outbox,
      &(rp_action_t){.kind = RP_ACTION_SEND, .head = {.command = RP_COMMAND_BYE}},
      &(rp_sender_t){.routing_id = "nobody", .size = 6});
    assert_int_equal (s_journal.written, 9);
}

/*  ---- Bundles -------------------------------------------------------------------------------- */

/*  Connects a DEALER to the ROUTER under a name, with a session that may read bundles.  */
static void *s_connect (rp_session_id_t peer, const char *routing_id, bool bundles)
{
    void *dealer = rp_socket_dealer (s_context);
    assert_non_null (dealer);
    zmq_setsockopt (dealer, ZMQ_ROUTING_ID, routing_id, strlen (routing_id));
    assert_int_equal (zmq_connect (dealer, "inproc://outbox"), 0);
    // The ROUTER knows only peers that have sent something.
    assert_true (zmq_send (dealer, "", 0, 0) >= 0);
    char bytes[100];
    for (int frame = 0; frame < 2; frame++)
        assert_true (zmq_recv (s_router, bytes, sizeof bytes, 0) >= 0);
    s_admit (peer, routing_id, bundles);
    return dealer;
}

static int s_setup_bound (void **state)
{
    s_setup (state);
    return zmq_bind (s_router, "inproc://outbox");
}

/*  Sends a CANCEL, which tests know by its id.  */
static void s_send_small (rp_session_id_t peer, uint64_t id)
{
    s_carry_out ((rp_action_t){
      .kind = RP_ACTION_SEND, .session = peer, .head = {.command = RP_COMMAND_CANCEL, .id = id}});
}

/*  Sends a REPLY with a body of this size, in its only frame or in one after it.  */
static void s_send_reply (rp_session_id_t peer, uint64_t id, size_t size, bool alone)
{
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = id, .flags = alone ? 0 : RP_FLAG_INLINE};
    size_t head_size = rp_wire_size (&head);
    rp_message_t *message = rp_message_new (&s_pool, head_size + (alone ? 0 : size));
    assert_non_null (message);
    memset (rp_message_data (message), 'b', rp_message_size (message));
    rp_wire_encode (&head, rp_message_data (message), head_size);
    if (alone) {
        rp_message_t *body = rp_message_new (&s_pool, 0);
        zmq_msg_t *frame = malloc (sizeof *frame);
        assert_non_null (frame);
        assert_int_equal (zmq_msg_init_size (frame, size), 0);
        memset (zmq_msg_data (frame), 'b', size);
        body->rest = frame;
        body->count = 2;
        body->bytes = size;
        assert_true (rp_message_join (&s_pool, message, &body));
    }
    s_carry_out ((rp_action_t){.kind = RP_ACTION_SEND,
      .session = peer,
      .head = head,
      .payload = rp_outbox_payload (message)});
}

static uint64_t s_id (const void *data, size_t size)
{
    rp_head_t head;
    assert_int_equal (rp_wire_decode (&head, data, size), RP_WIRE_ERROR_NONE);
    return head.id;
}

/*  Expects a message with these ids: a bundle, or a single message for one id. Returns its
    frames.  */
static uint32_t s_expect_some (void *dealer, const uint64_t *ids, size_t count)
{
    rp_message_t *message;
    assert_int_equal (
      rp_message_receive (&s_pool, dealer, RP_FRAMES_MAX, SIZE_MAX, &message), RP_RECEIVED);
    uint8_t *data = rp_message_data (message);
    size_t size = rp_message_size (message);
    assert_int_equal (rp_bundle_is (data, size), count > 1);
    if (count == 1)
        assert_int_equal (s_id (data, size), ids[0]);
    else {
        assert_true (rp_bundle_is_valid (data, size));
        size_t offset = 0;
        size_t one_size = 0;
        for (size_t index = 0; index < count; index++) {
            const uint8_t *one = rp_bundle_next (data, size, &offset, &one_size);
            assert_non_null (one);
            assert_int_equal (s_id (one, one_size), ids[index]);
        }
        assert_null (rp_bundle_next (data, size, &offset, &one_size));
    }
    uint32_t frames = message->count;
    rp_message_destroy (&s_pool, &message);
    return frames;
}

static void s_expect_nothing (void *dealer)
{
    rp_message_t *message;
    assert_int_equal (
      rp_message_receive (&s_pool, dealer, RP_FRAMES_MAX, SIZE_MAX, &message), RP_RECEIVED_NONE);
}

static void s_what_is_for_one_session_goes_as_one_bundle_in_order (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    void *two = s_connect (s_two, "two", true);
    for (uint64_t id = 1; id <= 6; id++)
        s_send_small (id % 2 ? s_one : s_two, id);
    s_send_small (s_one, 8);
    s_expect_nothing (one);
    assert_true (rp_outbox_flush (&s_outbox));
    s_expect_some (one, (uint64_t[]){1, 3, 5, 8}, 4);
    s_expect_some (two, (uint64_t[]){2, 4, 6}, 3);
    // Later messages begin a new bundle.
    s_send_small (s_two, 9);
    rp_outbox_flush (&s_outbox);
    s_expect_some (two, (uint64_t[]){9}, 1);
    s_expect_nothing (one);
    rp_socket_close (one, NULL);
    rp_socket_close (two, NULL);
}

static void s_what_was_sent_on_the_way_is_told_by_the_next_flush (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    s_admit (s_two, "two", -1);
    rp_outbox_flush (&s_outbox);
    s_send_small (s_one, 1);
    s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_two});
    s_expect_some (one, (uint64_t[]){1}, 1);
    // The socket's notification may have been used up.
    assert_true (rp_outbox_flush (&s_outbox));
    assert_false (rp_outbox_flush (&s_outbox));
    rp_socket_close (one, NULL);
}

static void s_who_does_not_read_bundles_gets_single_messages (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", false);
    for (uint64_t id = 1; id <= 3; id++)
        s_send_small (s_one, id);
    rp_outbox_flush (&s_outbox);
    for (uint64_t id = 1; id <= 3; id++)
        s_expect_some (one, &id, 1);
    rp_socket_close (one, NULL);
}

static void s_what_is_large_or_has_several_frames_goes_alone_in_its_place (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    s_send_small (s_one, 1);
    s_send_small (s_one, 2);
    s_send_reply (s_one, 3, RP_BUNDLE_MESSAGE_MAX, false);
    s_send_reply (s_one, 4, 10, true);
    s_send_small (s_one, 5);
    s_send_reply (s_one, 6, RP_BUNDLE_MESSAGE_MAX - RP_WIRE_FIXED, false);
    rp_outbox_flush (&s_outbox);
    s_expect_some (one, (uint64_t[]){1, 2}, 2);
    assert_int_equal (s_expect_some (one, (uint64_t[]){3}, 1), 1);
    assert_int_equal (s_expect_some (one, (uint64_t[]){4}, 1), 2);
    s_expect_some (one, (uint64_t[]){5, 6}, 2);
    s_expect_nothing (one);
    rp_socket_close (one, NULL);
}

static void s_what_is_large_is_not_to_wait_for_the_end_of_a_batch (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    s_send_small (s_one, 1);
    s_send_reply (s_one, 2, RP_OUTBOX_LARGE - RP_WIRE_FIXED, false);
    assert_false (rp_outbox_is_urgent (&s_outbox));
    s_send_reply (s_one, 3, RP_OUTBOX_LARGE, true);
    assert_true (rp_outbox_is_urgent (&s_outbox));
    rp_outbox_empty (&s_outbox);
    assert_false (rp_outbox_is_urgent (&s_outbox));
    for (uint64_t id = 1; id <= 3; id++)
        s_expect_some (one, &id, 1);
    assert_true (rp_outbox_flush (&s_outbox)); // the socket's notification may have been used up
    assert_false (rp_outbox_flush (&s_outbox));
    rp_socket_close (one, NULL);
}

static void s_what_is_more_than_a_bundle_goes_in_several (void **state)
{
    (void) state;
    enum { SIZE = 3000, COUNT = 50 };
    void *one = s_connect (s_one, "one", true);
    for (uint64_t id = 1; id <= COUNT; id++)
        s_send_reply (s_one, id, SIZE, false);
    rp_outbox_flush (&s_outbox);
    size_t fit = (RP_BUNDLE_MAX - RP_BUNDLE_HEAD) / (RP_BUNDLE_ENTRY_HEAD + RP_WIRE_FIXED + SIZE);
    uint64_t ids[COUNT];
    for (size_t index = 0; index < COUNT; index++)
        ids[index] = index + 1;
    for (size_t index = 0; index < COUNT; index += fit)
        s_expect_some (one, ids + index, index + fit < COUNT ? fit : COUNT - index);
    s_expect_nothing (one);
    rp_socket_close (one, NULL);
}

static void s_an_outbox_that_is_full_keeps_the_order (void **state)
{
    (void) state;
    enum { COUNT = 2 * RP_OUTBOX_OUTBOX + 10 };
    void *one = s_connect (s_one, "one", true);
    uint64_t ids[COUNT];
    for (size_t index = 0; index < COUNT; index++)
        s_send_small (s_one, ids[index] = index + 1);
    rp_outbox_flush (&s_outbox);
    for (size_t index = 0; index < COUNT; index += RP_OUTBOX_OUTBOX)
        s_expect_some (
          one, ids + index, COUNT - index < RP_OUTBOX_OUTBOX ? COUNT - index : RP_OUTBOX_OUTBOX);
    rp_socket_close (one, NULL);
}

static void s_what_must_not_come_later_goes_before_a_session_ends (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    s_send_small (s_one, 1);
    s_send_small (s_one, 2);
    s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_one});
    s_expect_some (one, (uint64_t[]){1, 2}, 2);
    s_send_small (s_one, 3);
    assert_true (rp_outbox_flush (&s_outbox));
    s_expect_nothing (one);
    rp_socket_close (one, NULL);
}

/*  The requests came in a bundle, and the session cannot get anything.  */
static void s_each_of_a_bundle_that_cannot_be_sent_is_reported_in_order (void **state)
{
    (void) state;
    enum { COUNT = 4 };
    s_admit (s_one, "nobody", true);
    rp_message_t *request = rp_outbox_message (s_request ());
    size_t size = rp_message_size (request);
    rp_message_t *bundle =
      rp_message_new (&s_pool, RP_BUNDLE_HEAD + COUNT * (RP_BUNDLE_ENTRY_HEAD + size));
    uint8_t *at = rp_bundle_write_head (rp_message_data (bundle));
    for (unsigned count = 0; count < COUNT; count++) {
        at = rp_bundle_write_entry_head (at, size);
        memcpy (at, rp_message_data (request), size);
        at += size;
    }
    rp_message_destroy (&s_pool, &request);
    rp_payload_t *requests[COUNT];
    size_t offset = 0;
    for (unsigned count = 0; count < COUNT; count++) {
        rp_message_t *message;
        assert_int_equal (rp_message_unbundle (&s_pool, bundle, &offset, &message), RP_RECEIVED);
        requests[count] = rp_outbox_payload (message);
        s_carry_out ((rp_action_t){.kind = RP_ACTION_SEND,
          .session = s_one,
          .token = {count + 1},
          .head = {.command = RP_COMMAND_REQUEST, .id = count + 1, .attempts = 2},
          .payload = requests[count],
          .keep = count == 1});
    }
    rp_message_destroy (&s_pool, &bundle);
    rp_outbox_flush (&s_outbox);
    for (unsigned count = 0; count < COUNT; count++) {
        rp_event_t event;
        assert_true (rp_outbox_next_event (&s_outbox, &event));
        assert_int_equal (event.kind, RP_EVENT_UNSENT);
        assert_int_equal (event.session.v, s_one.v);
        assert_int_equal (event.token.v, count + 1);
        assert_false (event.full);
        assert_ptr_equal (event.payload, count == 1 ? NULL : requests[count]);
        // The request waits again, but must not keep the bundle that it came in.
        assert_null (rp_outbox_message (requests[count])->bundle);
        s_drop (requests[count]);
    }
    rp_event_t event;
    assert_false (rp_outbox_next_event (&s_outbox, &event));
}

/*  ---- What waits is bounded in bytes --------------------------------------------------------- */

#define LARGE (BACKLOG / 3 - 1000)

static size_t s_large (uint64_t id)
{
    s_send_reply (s_one, id, LARGE, true);
    rp_outbox_flush (&s_outbox);
    return rp_outbox_backlog (&s_outbox);
}

static void s_expect_full (void)
{
    rp_event_t event;
    assert_true (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (event.kind, RP_EVENT_UNSENT);
    assert_int_equal (event.session.v, s_one.v);
    assert_true (event.full);
    assert_false (rp_outbox_next_event (&s_outbox, &event));
}

static void s_who_has_too_many_bytes_waiting_is_full_until_it_reads (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    size_t each = s_large (1);
    assert_in_range (each, LARGE, LARGE + RP_WIRE_HEAD_MAX);
    assert_int_equal (s_large (2), 2 * each);
    assert_int_equal (s_large (3), 3 * each);
    assert_int_equal (s_large (4), 3 * each);
    s_expect_full ();
    s_expect_some (one, (uint64_t[]){1}, 1);
    assert_int_equal (rp_outbox_backlog (&s_outbox), 2 * each);
    assert_int_equal (s_large (5), 3 * each);
    s_expect_some (one, (uint64_t[]){2}, 1);
    s_expect_some (one, (uint64_t[]){3}, 1);
    s_expect_some (one, (uint64_t[]){5}, 1);
    assert_int_equal (rp_outbox_backlog (&s_outbox), 0);
    rp_socket_close (one, NULL);
}

static void s_one_message_may_wait_whatever_its_size (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    s_send_reply (s_one, 1, 2 * BACKLOG, true);
    rp_outbox_flush (&s_outbox);
    s_large (2);
    s_expect_full ();
    assert_int_equal (s_expect_some (one, (uint64_t[]){1}, 1), 2);
    rp_socket_close (one, NULL);
}

static void s_a_session_that_exceeds_its_limit_is_told_of_and_may_have_more (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    rp_outbox_set_backlog (&s_outbox, LARGE / 2, BACKLOG);
    s_large (1);
    assert_false (s_outbox.exceeded); // one message may wait
    s_large (2);
    assert_true (s_outbox.exceeded);
    rp_routes_waits_t waits;
    int64_t now = 0;
    while (rp_routes_find_stalled (&s_peers.routes, false, LARGE / 2, now, &waits).v != s_one.v)
        assert_in_range (now += RP_READING_LOOK_US, 1, RP_READING_WINDOW_US);
    assert_int_equal (now, RP_READING_WINDOW_US);
    assert_true (waits.exceeds);
    assert_int_equal (waits.total, rp_outbox_backlog (&s_outbox));
    rp_routes_find_stalled (&s_peers.routes, false, BACKLOG, now, &waits);
    assert_false (waits.exceeds);
    s_large (3);
    s_large (4);
    s_expect_full ();
    rp_socket_close (one, NULL);
}

static void s_bundles_count_for_what_is_in_them (void **state)
{
    (void) state;
    enum { SIZE = 3000 };
    void *one = s_connect (s_one, "one", true);
    rp_event_t event;
    uint64_t sent = 0;
    while (!rp_outbox_next_event (&s_outbox, &event)) {
        assert_in_range (sent * SIZE, 0, BACKLOG);
        for (unsigned count = 0; count < RP_OUTBOX_OUTBOX / 2; count++)
            s_send_reply (s_one, ++sent, SIZE, false);
        rp_outbox_flush (&s_outbox);
    }
    assert_true (event.full);
    assert_in_range (rp_outbox_backlog (&s_outbox), BACKLOG - RP_BUNDLE_MAX, BACKLOG);
    rp_socket_close (one, NULL);
}

/*  The core limits these requests itself.  */
static void s_requests_to_a_worker_are_not_bounded_here (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    for (uint64_t token = 1; token <= 2 * BACKLOG / LARGE; token++) {
        rp_message_t *message = rp_message_new (&s_pool, LARGE);
        rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST, .flags = RP_FLAG_INLINE},
          rp_message_data (message), RP_WIRE_FIXED);
        s_carry_out ((rp_action_t){.kind = RP_ACTION_SEND,
          .session = s_one,
          .token = {token},
          .head = {.command = RP_COMMAND_REQUEST, .flags = RP_FLAG_INLINE, .id = token},
          .payload = rp_outbox_payload (message)});
    }
    rp_outbox_flush (&s_outbox);
    rp_event_t event;
    assert_false (rp_outbox_next_event (&s_outbox, &event));
    assert_int_equal (rp_outbox_backlog (&s_outbox), 0);
    rp_socket_close (one, NULL);
}

static void s_what_waits_for_a_session_that_is_gone_goes_with_its_connection (void **state)
{
    (void) state;
    void *one = s_connect (s_one, "one", true);
    size_t each = s_large (1);
    s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_one});
    assert_int_equal (rp_outbox_backlog (&s_outbox), each);
    rp_socket_close (one, NULL);
    rp_socket_close (s_router, NULL);
    s_router = NULL;
    assert_int_equal (zmq_ctx_term (s_context), 0);
    s_context = zmq_ctx_new ();
    assert_int_equal (rp_outbox_backlog (&s_outbox), 0);
}

/*  Otherwise it could greet again on the same connection, and have as many bytes waiting again.  */
static void s_who_leaves_with_something_unread_is_cut_but_not_who_was_told_to_leave (void **state)
{
    (void) state;
    for (int closed = 0; closed < 2; closed++) {
        int ends[2];
        char byte;
        assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        void *one = s_connect (s_one, closed ? "two" : "one", true);
        rp_connections_move (&s_peers, s_one, rp_connections_hear (&s_peers, ends[0], 0, NULL), 0);
        s_large (1);
        s_carry_out ((rp_action_t){.kind = RP_ACTION_UNBIND, .session = s_one, .keep = closed});
        ssize_t got = recv (ends[1], &byte, 1, 0);
        assert_int_equal (got, closed ? -1 : 0);
        rp_socket_close (one, NULL);
        close (ends[0]);
        close (ends[1]);
    }
}

int main (void)
{
#define S_BOUND_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup_bound, s_teardown)
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_that_cannot_be_sent_comes_back_with_its_token),
      S_TEST (s_a_request_that_waited_and_comes_back_keeps_its_body),
      S_TEST (s_a_request_that_was_kept_does_not_come_back),
      S_TEST (s_of_a_reply_that_cannot_be_sent_the_core_is_told_its_status),
      S_TEST (s_the_core_is_told_of_a_dropped_request_though_its_client_has_left),
      S_TEST (s_what_concerned_a_session_ends_with_it),
      S_TEST (s_nothing_leaves_before_the_journal_is_written),
      S_BOUND_TEST (s_what_is_for_one_session_goes_as_one_bundle_in_order),
      S_BOUND_TEST (s_what_was_sent_on_the_way_is_told_by_the_next_flush),
      S_BOUND_TEST (s_who_does_not_read_bundles_gets_single_messages),
      S_BOUND_TEST (s_what_is_large_or_has_several_frames_goes_alone_in_its_place),
      S_BOUND_TEST (s_what_is_large_is_not_to_wait_for_the_end_of_a_batch),
      S_BOUND_TEST (s_what_is_more_than_a_bundle_goes_in_several),
      S_BOUND_TEST (s_an_outbox_that_is_full_keeps_the_order),
      S_BOUND_TEST (s_what_must_not_come_later_goes_before_a_session_ends),
      S_TEST (s_each_of_a_bundle_that_cannot_be_sent_is_reported_in_order),
      S_BOUND_TEST (s_who_has_too_many_bytes_waiting_is_full_until_it_reads),
      S_BOUND_TEST (s_one_message_may_wait_whatever_its_size),
      S_BOUND_TEST (s_a_session_that_exceeds_its_limit_is_told_of_and_may_have_more),
      S_BOUND_TEST (s_bundles_count_for_what_is_in_them),
      S_BOUND_TEST (s_requests_to_a_worker_are_not_bounded_here),
      S_BOUND_TEST (s_what_waits_for_a_session_that_is_gone_goes_with_its_connection),
      S_BOUND_TEST (s_who_leaves_with_something_unread_is_cut_but_not_who_was_told_to_leave),
    };
#undef S_TEST
#undef S_BOUND_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
