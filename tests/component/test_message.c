/*  SPDX-License-Identifier: MPL-2.0

    Messages over a real ROUTER and DEALER, in-process.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "common/io/context.h"
#include "common/io/message.h"
#include "common/io/socket.h"
#include "common/wire/bundle.h"
#include "common/wire/limits.h"

enum { BACKLOG = 2, BIG = 100000 };

typedef struct {
    void *context;
    void *router;
    void *dealer;
    rp_message_pool_t pool;
    unsigned char address[256];
    size_t address_size;
} s_world_t;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

/*  Waits, with a bound, until a socket has something to read.  */
static void s_await_input (void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    assert_int_equal (zmq_poll (&item, 1, 10000), 1);
}

static void s_send_frames (void *socket, uint32_t count, size_t size)
{
    char *bytes = calloc (1, size + 1);
    assert_non_null (bytes);
    for (uint32_t index = 0; index < count; index++) {
        bytes[0] = (char) ('a' + index % 26);
        assert_int_equal (
          zmq_send (socket, bytes, size, index + 1 < count ? ZMQ_SNDMORE : 0), (int) size);
    }
    free (bytes);
}

/*  Receives the ROUTER's envelope, as the broker does.  */
static void s_take_address (s_world_t *world)
{
    s_await_input (world->router);
    int size = zmq_recv (world->router, world->address, sizeof world->address, ZMQ_DONTWAIT);
    assert_in_range (size, 1, sizeof world->address);
    world->address_size = (size_t) size;
}

static rp_message_t *s_new (s_world_t *world, const char *text)
{
    rp_message_t *message = rp_message_new (&world->pool, strlen (text));
    assert_non_null (message);
    memcpy (zmq_msg_data (&message->first), text, strlen (text));
    return message;
}

/*  Returns a message of two frames, the second of BIG bytes, received from the DEALER.  */
static rp_message_t *s_receive_two (s_world_t *world)
{
    assert_int_equal (zmq_send (world->dealer, "head", 4, ZMQ_SNDMORE), 4);
    s_send_frames (world->dealer, 1, BIG);
    s_take_address (world);
    rp_message_t *message = NULL;
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, RP_FRAMES_MAX, SIZE_MAX, &message),
      RP_RECEIVED);
    assert_int_equal (message->count, 2);
    assert_int_equal (message->bytes, 4 + BIG);
    return message;
}

static void assert_frame (rp_message_t *message, uint32_t index, const char *text)
{
    zmq_msg_t *frame = rp_message_frame (message, index);
    assert_int_equal (zmq_msg_size (frame), strlen (text));
    assert_memory_equal (zmq_msg_data (frame), text, strlen (text));
}

static int s_set_up (void **state)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.pool.largest = 4;
    world.context = zmq_ctx_new ();
    world.router = rp_socket_router (world.context, -1, BACKLOG, NULL);
    world.dealer = rp_socket_dealer (world.context);
    assert_non_null (world.dealer);
    int one = 1; // with it the backlog is full soon: inproc adds both ends
    zmq_setsockopt (world.dealer, ZMQ_RCVHWM, &one, sizeof one);
    assert_int_equal (zmq_bind (world.router, "inproc://broker"), 0);
    assert_int_equal (zmq_connect (world.dealer, "inproc://broker"), 0);
    // The ROUTER knows a peer once the peer has sent something.
    s_send_frames (world.dealer, 1, 1);
    s_take_address (&world);
    rp_message_t *message = NULL;
    assert_int_equal (rp_message_receive (&world.pool, world.router, 1, 1, &message), RP_RECEIVED);
    rp_message_destroy (&world.pool, &message);
    *state = &world;
    return 0;
}

static int s_tear_down (void **state)
{
    s_world_t *world = *state;
    rp_message_pool_clear (&world->pool);
    rp_socket_close (world->dealer, NULL);
    rp_socket_close (world->router, NULL);
    return zmq_ctx_term (world->context);
}

/*  ---- Receiving ------------------------------------------------------------------------------ */

static void a_message_keeps_its_frames (void **state)
{
    s_world_t *world = *state;
    s_send_frames (world->dealer, RP_FRAMES_MAX, 3);
    s_take_address (world);
    rp_message_t *message = NULL;
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, RP_FRAMES_MAX, SIZE_MAX, &message),
      RP_RECEIVED);
    assert_int_equal (message->count, RP_FRAMES_MAX);
    assert_int_equal (message->bytes, 3 * RP_FRAMES_MAX);
    for (uint32_t index = 0; index < RP_FRAMES_MAX; index++)
        assert_int_equal (
          *(char *) zmq_msg_data (rp_message_frame (message, index)), 'a' + index % 26);
    rp_message_destroy (&world->pool, &message);
    assert_null (message);
}

static void an_empty_socket_gives_nothing_and_does_not_wait (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = (rp_message_t *) world;
    assert_int_equal (
      rp_message_receive (&world->pool, world->dealer, 64, SIZE_MAX, &message), RP_RECEIVED_NONE);
    assert_null (message);
    assert_int_equal (world->pool.count, 1); // its message was given back
}

/*  Sends a message over a limit; it must be dropped, and the next one received whole.  */
static void s_try_big (
  s_world_t *world, uint32_t frames, size_t size, uint32_t max_frames, size_t max_bytes)
{
    s_send_frames (world->dealer, frames, size);
    assert_int_equal (zmq_send (world->dealer, "next", 4, 0), 4);
    s_take_address (world);
    rp_message_t *message = NULL;
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, max_frames, max_bytes, &message),
      RP_RECEIVED_BIG);
    assert_int_equal (message->count, 1);
    assert_int_equal (message->bytes > max_bytes, max_bytes != SIZE_MAX); // shows which limit
    assert_int_equal (zmq_msg_size (&message->first), size);
    assert_int_equal (*(char *) zmq_msg_data (&message->first), 'a');
    rp_message_destroy (&world->pool, &message);

    s_take_address (world);
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, max_frames, SIZE_MAX, &message),
      RP_RECEIVED);
    assert_frame (message, 0, "next");
    rp_message_destroy (&world->pool, &message);
}

static void a_message_over_a_cap_is_dropped_and_the_next_one_is_whole (void **state)
{
    s_world_t *world = *state;
    s_try_big (world, RP_FRAMES_MAX + 1, 1, RP_FRAMES_MAX, SIZE_MAX); // one frame too many
    s_try_big (world, 5000, 1, RP_FRAMES_MAX, SIZE_MAX);
    s_try_big (world, 5000, 1, 100000, SIZE_MAX); // RP_FRAMES_MAX holds even if more are allowed
    s_try_big (world, 2, 1, 1, SIZE_MAX);
    s_try_big (world, 1, 101, 64, 100); // the first frame alone is too large
    s_try_big (world, 5, 101, 64, 100);
    s_try_big (world, 5, 30, 64, 100); // too large in the middle
    s_try_big (world, 4, 30, 64, 119); // too large with the last frame
}

static void caps_are_inclusive (void **state)
{
    s_world_t *world = *state;
    s_send_frames (world->dealer, 4, 25);
    s_take_address (world);
    rp_message_t *message = NULL;
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, 4, 100, &message), RP_RECEIVED);
    rp_message_destroy (&world->pool, &message);
}

/*  ---- Sending -------------------------------------------------------------------------------- */

static void bodies_pass_through_without_being_copied (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = s_receive_two (world);
    const void *body = zmq_msg_data (rp_message_frame (message, 1));
    assert_int_equal (
      rp_message_send (&world->pool, world->router, world->address, world->address_size, &message),
      0);
    assert_null (message);

    s_await_input (world->dealer);
    assert_int_equal (
      rp_message_receive (&world->pool, world->dealer, 64, SIZE_MAX, &message), RP_RECEIVED);
    assert_frame (message, 0, "head");
    assert_ptr_equal (zmq_msg_data (rp_message_frame (message, 1)), body);
    rp_message_destroy (&world->pool, &message);
}

static void a_send_to_one_who_is_gone_leaves_the_message_whole (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = s_receive_two (world);
    rp_message_t *same = message;
    assert_int_equal (rp_message_send (&world->pool, world->router, "nobody", 6, &message), -1);
    assert_int_equal (errno, EHOSTUNREACH);
    assert_ptr_equal (message, same);
    assert_int_equal (message->count, 2);
    assert_frame (message, 0, "head");
    assert_int_equal (zmq_msg_size (rp_message_frame (message, 1)), BIG);
    // Nothing of it is left in the socket.
    assert_int_equal (
      rp_message_send (&world->pool, world->router, world->address, world->address_size, &message),
      0);
    s_await_input (world->dealer);
    assert_int_equal (
      rp_message_receive (&world->pool, world->dealer, 64, SIZE_MAX, &message), RP_RECEIVED);
    assert_int_equal (message->bytes, 4 + BIG);
    rp_message_destroy (&world->pool, &message);
}

static void a_send_to_one_who_is_full_leaves_the_message_whole (void **state)
{
    s_world_t *world = *state;
    int sent = 0;
    rp_message_t *message = NULL;
    for (;; sent++) {
        assert_in_range (sent, 0, 1000);
        message = s_new (world, "hello");
        if (rp_message_send (
              &world->pool, world->router, world->address, world->address_size, &message)
            != 0)
            break;
    }
    assert_int_equal (errno, EAGAIN);
    assert_int_equal (sent, BACKLOG + 1);
    assert_frame (message, 0, "hello");
    rp_message_destroy (&world->pool, &message);
}

/*  ---- Content -------------------------------------------------------------------------------- */

static void a_shared_message_has_the_same_content_and_no_copy_of_large_frames (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = s_receive_two (world);
    rp_message_t *other = rp_message_share (&world->pool, message);
    assert_non_null (other);
    assert_int_equal (other->count, 2);
    assert_int_equal (other->bytes, message->bytes);
    assert_frame (other, 0, "head");
    assert_ptr_equal (
      zmq_msg_data (rp_message_frame (other, 1)), zmq_msg_data (rp_message_frame (message, 1)));
    rp_message_destroy (&world->pool, &message);
    assert_int_equal (*(char *) zmq_msg_data (rp_message_frame (other, 1)), 'a');
    rp_message_destroy (&world->pool, &other);
}

static void a_head_is_copied_before_it_is_changed_if_another_reads_it (void **state)
{
    s_world_t *world = *state;
    char text[101] = {0};
    memset (text, 'x', sizeof text - 1); // more than libzmq keeps inside a frame
    rp_message_t *message = s_new (world, text);
    void *own = zmq_msg_data (&message->first);
    assert_true (rp_message_own_head (&world->pool, message));
    // No other message shares it, so it is not copied.
    assert_ptr_equal (zmq_msg_data (&message->first), own);

    rp_message_t *other = rp_message_share (&world->pool, message);
    assert_non_null (other);
    assert_ptr_equal (zmq_msg_data (&other->first), own);
    assert_true (rp_message_own_head (&world->pool, other));
    memset (zmq_msg_data (&other->first), 'y', sizeof text - 1);
    assert_frame (message, 0, text);
    rp_message_destroy (&world->pool, &message);
    rp_message_destroy (&world->pool, &other);
}

static void the_free_list_keeps_a_few_and_gives_the_rest_back (void **state)
{
    s_world_t *world = *state;
    rp_message_t *messages[10];
    for (int index = 0; index < 10; index++)
        messages[index] = s_new (world, "");
    for (int index = 0; index < 10; index++) {
        rp_message_destroy (&world->pool, &messages[index]);
        rp_message_destroy (&world->pool, &messages[index]); // NULL by now
    }
    assert_int_equal (world->pool.count, 4);
    rp_message_t *message = s_new (world, "again");
    assert_int_equal (world->pool.count, 3);
    assert_int_equal (message->count, 1);
    rp_message_destroy (&world->pool, &message);
    rp_message_pool_clear (&world->pool);
    assert_int_equal (world->pool.count, 0);
    assert_null (world->pool.head);
}

/*  ---- Bundles -------------------------------------------------------------------------------- */

/*  Makes a bundle of these texts, as if just received.  */
static rp_message_t *s_new_bundle (s_world_t *world, const char *const *texts, size_t count)
{
    uint8_t bytes[1000];
    uint8_t *end = rp_bundle_write_head (bytes);
    for (size_t index = 0; index < count; index++) {
        end = rp_bundle_write_entry_head (end, strlen (texts[index]));
        memcpy (end, texts[index], strlen (texts[index]));
        end += strlen (texts[index]);
    }
    rp_message_t *bundle = rp_message_new (&world->pool, (size_t) (end - bytes));
    assert_non_null (bundle);
    memcpy (rp_message_data (bundle), bytes, (size_t) (end - bytes));
    assert_true (rp_bundle_is_valid (bytes, (size_t) (end - bytes)));
    return bundle;
}

static void assert_message (rp_message_t *message, const char *text)
{
    assert_int_equal (message->count, 1);
    assert_int_equal (message->bytes, strlen (text));
    assert_int_equal (rp_message_size (message), strlen (text));
    assert_memory_equal (rp_message_data (message), text, strlen (text));
}

/*  Takes all messages out of a bundle of three and destroys it.  */
static void s_unbundle_three (s_world_t *world, rp_message_t **messages)
{
    static const char *const texts[] = {"one", "the second", "3"};
    rp_message_t *bundle = s_new_bundle (world, texts, 3);
    size_t offset = 0;
    for (size_t index = 0; index < 3; index++) {
        assert_int_equal (
          rp_message_unbundle (&world->pool, bundle, &offset, &messages[index]), RP_RECEIVED);
        assert_message (messages[index], texts[index]);
    }
    rp_message_t *none = bundle;
    assert_int_equal (rp_message_unbundle (&world->pool, bundle, &offset, &none), RP_RECEIVED_NONE);
    assert_null (none);
    rp_message_destroy (&world->pool, &bundle);
    assert_null (bundle);
}

static void a_bundle_lives_as_long_as_any_of_its_messages (void **state)
{
    s_world_t *world = *state;
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    for (size_t order = 0; order < sizeof orders / sizeof *orders; order++) {
        rp_message_t *messages[3];
        s_unbundle_three (world, messages);
        rp_message_t *bundle = messages[0]->bundle;
        for (int index = 0; index < 3; index++) {
            assert_int_equal (bundle->shares, 3 - index);
            rp_message_destroy (&world->pool, &messages[orders[order][index]]);
        }
        assert_int_equal (world->pool.count, 4); // three messages and the bundle
    }
}

static void a_bundle_may_go_before_it_was_taken_apart (void **state)
{
    s_world_t *world = *state;
    static const char *const texts[] = {"one", "two"};
    rp_message_t *bundle = s_new_bundle (world, texts, 2);
    size_t offset = 0;
    rp_message_t *message;
    assert_int_equal (rp_message_unbundle (&world->pool, bundle, &offset, &message), RP_RECEIVED);
    rp_message_destroy (&world->pool, &bundle);
    assert_message (message, "one");
    rp_message_destroy (&world->pool, &message);
}

static void a_message_that_leaves_its_bundle_has_a_frame_of_its_own (void **state)
{
    s_world_t *world = *state;
    rp_message_t *messages[3];
    s_unbundle_three (world, messages);
    const uint8_t *at = rp_message_data (messages[1]);
    assert_true (rp_message_leave_bundle (&world->pool, messages[1]));
    assert_null (messages[1]->bundle);
    assert_message (messages[1], "the second");
    assert_frame (messages[1], 0, "the second");
    assert_ptr_not_equal (rp_message_data (messages[1]), at);
    assert_true (rp_message_leave_bundle (&world->pool, messages[1])); // it has left already
    assert_int_equal (messages[0]->bundle->shares, 2);
    assert_true (rp_message_leave_bundle (&world->pool, messages[0]));
    assert_null (messages[0]->bundle);
    assert_message (messages[0], "one");
    for (int index = 0; index < 3; index++)
        rp_message_destroy (&world->pool, &messages[index]);
}

#define S_NEIGHBOURS 64
#define S_FRAME_HEAD 2u // bytes before a short frame on the wire, RFC 23

/*  Its memory is not libzmq's buffer of 8 KiB, which would stay as long as one of its messages
    waits.  */
static void what_is_received_has_memory_of_its_own_size (void **state)
{
    (void) state;
    void *context = rp_context_new ();
    void *from = zmq_socket (context, ZMQ_PAIR);
    void *to = zmq_socket (context, ZMQ_PAIR);
    assert_int_equal (zmq_bind (from, "tcp://127.0.0.1:*"), 0);
    char endpoint[64];
    size_t size = sizeof endpoint;
    assert_int_equal (zmq_getsockopt (from, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    assert_int_equal (zmq_connect (to, endpoint), 0);
    static const char text[] = "more than the 33 bytes that fit into a zmq_msg_t";
    zmq_msg_t frames[S_NEIGHBOURS];
    for (int index = 0; index < S_NEIGHBOURS; index++)
        assert_int_equal (zmq_send (from, text, sizeof text, 0), sizeof text);
    for (int index = 0; index < S_NEIGHBOURS; index++) {
        zmq_msg_init (&frames[index]);
        assert_int_equal (zmq_msg_recv (&frames[index], to, 0), sizeof text);
    }
    for (int index = 1; index < S_NEIGHBOURS; index++) {
        const char *before = zmq_msg_data (&frames[index - 1]);
        const char *at = zmq_msg_data (&frames[index]);
        assert_ptr_not_equal (at, before + sizeof text + S_FRAME_HEAD);
    }
    for (int index = 0; index < S_NEIGHBOURS; index++)
        zmq_msg_close (&frames[index]);
    zmq_close (from);
    zmq_close (to);
    zmq_ctx_term (context);
}

static void of_a_shared_message_the_one_that_was_there_leaves_the_bundle (void **state)
{
    s_world_t *world = *state;
    rp_message_t *messages[3];
    s_unbundle_three (world, messages);
    rp_message_t *kept = messages[1];
    rp_message_t *sent = rp_message_share (&world->pool, kept);
    assert_non_null (sent);
    assert_null (kept->bundle);
    assert_non_null (sent->bundle);
    // A message that is sent may be changed in place.
    const uint8_t *at = rp_message_data (sent);
    assert_true (rp_message_own_head (&world->pool, sent));
    assert_ptr_equal (rp_message_data (sent), at);
    memset (rp_message_data (sent), 'x', rp_message_size (sent));
    assert_message (kept, "the second");
    assert_message (messages[0], "one");
    assert_message (messages[2], "3");
    rp_message_destroy (&world->pool, &sent);
    for (int index = 0; index < 3; index++)
        rp_message_destroy (&world->pool, &messages[index]);
}

static void a_message_that_lies_in_a_bundle_is_sent_alone (void **state)
{
    s_world_t *world = *state;
    rp_message_t *messages[3];
    s_unbundle_three (world, messages);
    assert_int_equal (rp_message_send (&world->pool, world->router, "nobody", 6, &messages[1]), -1);
    assert_message (messages[1], "the second");
    assert_int_equal (rp_message_send (&world->pool, world->router, world->address,
                        world->address_size, &messages[1]),
      0);
    assert_null (messages[1]);
    s_await_input (world->dealer);
    rp_message_t *message;
    assert_int_equal (
      rp_message_receive (&world->pool, world->dealer, 64, SIZE_MAX, &message), RP_RECEIVED);
    assert_message (message, "the second");
    assert_message (messages[2], "3");
    rp_message_destroy (&world->pool, &message);
    rp_message_destroy (&world->pool, &messages[0]);
    rp_message_destroy (&world->pool, &messages[2]);
}

/*  ---- Joining -------------------------------------------------------------------------------- */

/*  Returns a message of this many frames of two bytes, received from the DEALER.  */
static rp_message_t *s_receive_frames (s_world_t *world, uint32_t count)
{
    s_send_frames (world->dealer, count, 2);
    s_take_address (world);
    rp_message_t *message = NULL;
    assert_int_equal (
      rp_message_receive (&world->pool, world->router, RP_FRAMES_MAX, SIZE_MAX, &message),
      RP_RECEIVED);
    return message;
}

/*  Writes the first byte of each frame of the body to text: letter n for frame n of a message.  */
static void s_read_body (rp_message_t *message, char *text)
{
    for (uint32_t index = 1; index < message->count; index++) {
        zmq_msg_t *frame = rp_message_frame (message, index);
        const char *data = zmq_msg_data (frame);
        for (size_t at = 0; at < zmq_msg_size (frame); at += 2)
            *text++ = data[at];
    }
    *text = '\0';
}

/*  Joins two messages; returns the frames of the result.  */
static uint32_t s_try_join (s_world_t *world, uint32_t first, uint32_t second)
{
    rp_message_t *self = s_receive_frames (world, first);
    rp_message_t *other = s_receive_frames (world, second);
    char wanted[2 * RP_FRAMES_MAX + 1], found[2 * RP_FRAMES_MAX + 1];
    s_read_body (self, wanted);
    s_read_body (other, wanted + first - 1);
    assert_true (rp_message_join (&world->pool, self, &other));
    assert_null (other);
    assert_int_equal (self->bytes, 2 * (first + second - 1));
    s_read_body (self, found);
    assert_string_equal (found, wanted);
    uint32_t joined = self->count;
    rp_message_destroy (&world->pool, &self);
    return joined;
}

static void joined_messages_have_the_body_of_both (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (s_try_join (world, 1, 1), 1);
    assert_int_equal (s_try_join (world, 2, 1), 2);
    assert_int_equal (s_try_join (world, 3, 4), 6);
    assert_int_equal (s_try_join (world, RP_FRAMES_MAX, 1), RP_FRAMES_MAX);
    assert_int_equal (s_try_join (world, RP_FRAMES_MAX - 1, 2), RP_FRAMES_MAX);
}

static void what_would_be_too_many_frames_is_put_together (void **state)
{
    s_world_t *world = *state;
    assert_in_range (s_try_join (world, RP_FRAMES_MAX, 2), 2, RP_FRAMES_MAX);
    assert_in_range (s_try_join (world, RP_FRAMES_MAX, RP_FRAMES_MAX), 2, RP_FRAMES_MAX);
}

/*  Each join must not copy the body so far: that would take minutes instead of seconds.  */
static void a_body_of_very_many_parts_is_joined_in_time (void **state)
{
    enum { PART = 1024, PARTS = 16384 };
    s_world_t *world = *state;
    rp_message_t *self = rp_message_new (&world->pool, 10);
    for (uint32_t part = 0; part < PARTS; part++) {
        rp_message_t *other = rp_message_new (&world->pool, 10);
        assert_true (rp_message_add_frames (other, 1));
        zmq_msg_init_size (rp_message_frame (other, 1), PART);
        other->bytes += PART;
        assert_true (rp_message_join (&world->pool, self, &other));
    }
    assert_int_equal (self->bytes, 10 + PART * PARTS);
    rp_message_destroy (&world->pool, &self);
}

static void messages_that_lie_in_a_bundle_can_be_joined (void **state)
{
    s_world_t *world = *state;
    rp_message_t *messages[3];
    s_unbundle_three (world, messages);
    rp_message_t *body = s_receive_frames (world, 3);
    // The second has no body to add.
    assert_true (rp_message_join (&world->pool, messages[0], &messages[1]));
    assert_message (messages[0], "one");
    assert_true (rp_message_join (&world->pool, messages[0], &body));
    assert_int_equal (messages[0]->bytes, 3 + 4);
    assert_int_equal (rp_message_size (messages[0]), 3);
    assert_frame (messages[0], 0, "one");
    assert_true (rp_message_join (&world->pool, messages[0], &messages[2]));
    assert_int_equal (messages[0]->bytes, 3 + 4);
    assert_int_equal (messages[0]->count, 3);
    rp_message_destroy (&world->pool, &messages[0]);
}

#define BUNDLE_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (a_message_keeps_its_frames, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        an_empty_socket_gives_nothing_and_does_not_wait, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        a_message_over_a_cap_is_dropped_and_the_next_one_is_whole, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (caps_are_inclusive, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        bodies_pass_through_without_being_copied, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        a_send_to_one_who_is_gone_leaves_the_message_whole, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        a_send_to_one_who_is_full_leaves_the_message_whole, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        a_shared_message_has_the_same_content_and_no_copy_of_large_frames, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        a_head_is_copied_before_it_is_changed_if_another_reads_it, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        the_free_list_keeps_a_few_and_gives_the_rest_back, s_set_up, s_tear_down),
      BUNDLE_TEST (a_bundle_lives_as_long_as_any_of_its_messages),
      BUNDLE_TEST (a_bundle_may_go_before_it_was_taken_apart),
      BUNDLE_TEST (a_message_that_leaves_its_bundle_has_a_frame_of_its_own),
      cmocka_unit_test (what_is_received_has_memory_of_its_own_size),
      BUNDLE_TEST (of_a_shared_message_the_one_that_was_there_leaves_the_bundle),
      BUNDLE_TEST (a_message_that_lies_in_a_bundle_is_sent_alone),
      BUNDLE_TEST (joined_messages_have_the_body_of_both),
      BUNDLE_TEST (what_would_be_too_many_frames_is_put_together),
      BUNDLE_TEST (a_body_of_very_many_parts_is_joined_in_time),
      BUNDLE_TEST (messages_that_lie_in_a_bundle_can_be_joined),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
