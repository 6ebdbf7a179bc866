/*  SPDX-License-Identifier: MPL-2.0

    Channels over real TCP on the loopback interface.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.h>

#include "common/io/channel.h"
#include "common/io/clock.h"
#include "common/io/socket.h"
#include "common/wire/bundle.h"

#define MS 1000
#define SECOND 1000000
/*  Longer than anything takes here, shorter than libzmq waits for a silent peer.  */
#define BOUND_US (10 * (int64_t) SECOND)

typedef struct {
    void *context;
    void *broker_context;
    void *router;
    rp_channel_t *channel;
    rp_message_pool_t pool;
    char endpoint[128];
    const char *reason;
    unsigned char address[256];
    size_t address_size;
} s_world_t;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static int s_set_up (void **state)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.context = zmq_ctx_new ();
    world.broker_context = zmq_ctx_new ();
    world.router = rp_socket_router (world.broker_context, 1 << 20, 1000, NULL);
    assert_non_null (world.router);
    assert_int_equal (zmq_bind (world.router, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof world.endpoint;
    assert_int_equal (zmq_getsockopt (world.router, ZMQ_LAST_ENDPOINT, world.endpoint, &size), 0);
    world.channel = rp_channel_new (world.context, NULL);
    assert_non_null (world.channel);
    *state = &world;
    return 0;
}

static void s_close_router (s_world_t *world)
{
    if (!world->router)
        return;
    rp_socket_close (world->router, NULL);
    world->router = NULL;
    assert_int_equal (zmq_ctx_term (world->broker_context), 0);
}

/*  Ends the context, which returns only if no message lingers.  */
static int s_tear_down (void **state)
{
    s_world_t *world = *state;
    rp_channel_destroy (&world->channel);
    assert_null (world->channel);
    rp_channel_destroy (&world->channel);
    rp_message_pool_clear (&world->pool);
    s_close_router (world);
    return zmq_ctx_term (world->context);
}

/*  Sleeps on the descriptors alone until one is readable, as a pump does. Returns false at the
    limit.  */
static bool s_sleep (s_world_t *world, int64_t limit)
{
    int descriptors[2];
    int count = rp_channel_descriptors (world->channel, descriptors);
    assert_in_range (count, 1, 2);
    struct pollfd polled[2];
    for (int index = 0; index < count; index++)
        polled[index] = (struct pollfd){.fd = descriptors[index], .events = POLLIN};
    int64_t left = limit - rp_clock_us ();
    return left > 0 && poll (polled, (nfds_t) count, (int) (left / MS) + 1) > 0;
}

/*  Returns the next change of state, or NOTHING after a bound.  */
static rp_channel_event_t s_await_event (s_world_t *world, int64_t bound)
{
    int64_t limit = rp_clock_us () + bound;
    for (;;) {
        rp_channel_event_t event = rp_channel_next_event (world->channel, &world->reason);
        if (event != RP_CHANNEL_NOTHING)
            return event;
        rp_message_t *message = NULL; // a receive that finds nothing arms the descriptor
        assert_int_equal (
          rp_channel_receive (world->channel, &world->pool, 1000, &message), RP_RECEIVED_NONE);
        if (!s_sleep (world, limit))
            return RP_CHANNEL_NOTHING;
    }
}

static rp_message_t *s_await_message (s_world_t *world)
{
    int64_t limit = rp_clock_us () + BOUND_US;
    for (;;) {
        rp_message_t *message = NULL;
        rp_received_t result = rp_channel_receive (world->channel, &world->pool, 1000, &message);
        if (result == RP_RECEIVED)
            return message;
        assert_int_equal (result, RP_RECEIVED_NONE);
        assert_true (rp_channel_is_armed (world->channel));
        // the monitor's descriptor is edge-triggered, too
        assert_int_equal (
          rp_channel_next_event (world->channel, &world->reason), RP_CHANNEL_NOTHING);
        if (!s_sleep (world, limit))
            fail_msg ("no message came");
    }
}

static void s_connect (s_world_t *world)
{
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_CONNECTED);
}

/*  Sends HEARTBEAT and has the ROUTER receive it, so that the ROUTER knows the address.  */
static void s_introduce (s_world_t *world)
{
    rp_head_t head = {.command = RP_COMMAND_HEARTBEAT};
    assert_int_equal (rp_channel_send_head (world->channel, &head), 0);
    zmq_pollitem_t item = {.socket = world->router, .events = ZMQ_POLLIN};
    assert_int_equal (zmq_poll (&item, 1, (long) (BOUND_US / MS)), 1);
    int size = zmq_recv (world->router, world->address, sizeof world->address, ZMQ_DONTWAIT);
    assert_in_range (size, 1, sizeof world->address);
    world->address_size = (size_t) size;
    unsigned char frame[100];
    size = zmq_recv (world->router, frame, sizeof frame, ZMQ_DONTWAIT);
    assert_int_equal (rp_wire_decode (&head, frame, (size_t) size), RP_WIRE_ERROR_NONE);
    assert_int_equal (head.command, RP_COMMAND_HEARTBEAT);
}

static void s_router_says (s_world_t *world, const char *text)
{
    assert_int_equal (
      zmq_send (world->router, world->address, world->address_size, ZMQ_SNDMORE | ZMQ_DONTWAIT),
      (int) world->address_size);
    assert_int_equal (
      zmq_send (world->router, text, strlen (text), ZMQ_DONTWAIT), (int) strlen (text));
}

/*  Binds a plain TCP socket to a port of this machine; listens if asked to.  */
static int s_plain_socket (s_world_t *world, bool listening)
{
    int plain = socket (AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    assert_int_equal (bind (plain, (struct sockaddr *) &name, size), 0);
    if (listening)
        assert_int_equal (listen (plain, 5), 0);
    assert_int_equal (getsockname (plain, (struct sockaddr *) &name, &size), 0);
    snprintf (world->endpoint, sizeof world->endpoint, "tcp://127.0.0.1:%d", ntohs (name.sin_port));
    return plain;
}

/*  ---- Connecting ----------------------------------------------------------------------------- */

static void it_connects_and_says_so_once (void **state)
{
    s_world_t *world = *state;
    assert_false (rp_channel_is_open (world->channel));
    s_connect (world);
    assert_true (rp_channel_is_open (world->channel));
    assert_int_equal (s_await_event (world, 20 * MS), RP_CHANNEL_NOTHING);
}

static void a_refused_port_fails_soon (void **state)
{
    s_world_t *world = *state;
    int plain = s_plain_socket (world, false);
    int64_t begin = rp_clock_us ();
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
    assert_in_range (rp_clock_us () - begin, 0, 2 * SECOND);
    assert_string_equal (world->reason, "nothing listens there, or it cannot be reached");
    assert_int_equal (s_await_event (world, 20 * MS), RP_CHANNEL_NOTHING); // the event comes once
    close (plain);
}

static void a_path_that_does_not_exist_fails_soon (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (rp_channel_open (world->channel, "ipc:///nowhere/at/all", &world->reason), 0);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
}

static void a_peer_that_speaks_something_else_fails (void **state)
{
    s_world_t *world = *state;
    int plain = s_plain_socket (world, true);
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    int peer = accept (plain, NULL, NULL);
    assert_true (peer >= 0);
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_int_equal (send (peer, answer, sizeof answer - 1, MSG_NOSIGNAL), sizeof answer - 1);
    close (peer);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
    assert_string_equal (world->reason, "what listens there does not speak ZMTP, or hung up");
    close (plain);
}

static void an_endpoint_that_cannot_be_right_is_refused_at_once (void **state)
{
    s_world_t *world = *state;
    assert_int_equal (rp_channel_open (world->channel, "tcp://127.0.0.1:*", &world->reason), -1);
    assert_int_equal (errno, EINVAL);
    assert_false (rp_channel_is_open (world->channel));
}

/*  ---- Messages ------------------------------------------------------------------------------- */

static void messages_go_both_ways_and_the_descriptors_tell_of_each (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    for (int round = 0; round < 200; round++) {
        s_introduce (world);
        assert_false (rp_channel_is_armed (world->channel)); // the channel sent last
        s_router_says (world, "hello");
        rp_message_t *message = s_await_message (world);
        assert_int_equal (message->bytes, 5);
        rp_message_destroy (&world->pool, &message);
    }
}

static void nothing_is_sent_before_the_connection_stands_nor_after (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = rp_message_new (&world->pool, 5);
    rp_message_t *same = message;
    assert_int_equal (rp_channel_send (world->channel, &world->pool, &message), -1);
    assert_int_equal (errno, EAGAIN);
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    assert_int_equal (rp_channel_send (world->channel, &world->pool, &message), -1);
    assert_int_equal (errno, EAGAIN);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_CONNECTED);
    s_close_router (world);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
    assert_int_equal (rp_channel_send (world->channel, &world->pool, &message), -1);
    assert_ptr_equal (message, same);
    rp_message_destroy (&world->pool, &message);
}

static void a_closed_channel_has_nothing (void **state)
{
    s_world_t *world = *state;
    rp_message_t *message = NULL;
    int descriptors[2];
    s_connect (world);
    rp_channel_close (world->channel, 0);
    rp_channel_close (world->channel, 0);
    assert_false (rp_channel_is_open (world->channel));
    assert_int_equal (rp_channel_descriptors (world->channel, descriptors), 0);
    assert_int_equal (rp_channel_next_event (world->channel, &world->reason), RP_CHANNEL_NOTHING);
    assert_int_equal (
      rp_channel_receive (world->channel, &world->pool, 1000, &message), RP_RECEIVED_NONE);
    assert_true (rp_channel_is_armed (world->channel));
}

/*  ---- The end of a connection ---------------------------------------------------------------- */

static void it_fails_when_the_broker_closes (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    s_close_router (world);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
    assert_string_equal (world->reason, "the connection broke");
}

static void what_came_before_the_end_can_still_be_read (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    s_introduce (world);
    for (int round = 0; round < 100; round++)
        s_router_says (world, "reply");
    int linger = 1000;
    zmq_setsockopt (world->router, ZMQ_LINGER, &linger, sizeof linger);
    s_close_router (world);
    // The event comes first, though the messages came before it.
    int64_t limit = rp_clock_us () + BOUND_US;
    while (rp_channel_next_event (world->channel, &world->reason) == RP_CHANNEL_NOTHING)
        assert_true (s_sleep (world, limit));
    for (int round = 0; round < 100; round++) {
        rp_message_t *message = s_await_message (world);
        rp_message_destroy (&world->pool, &message);
    }
}

static void a_new_connection_carries_nothing_of_the_old_one (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    s_introduce (world);
    s_router_says (world, "for the first connection");
    s_connect (world); // on a new socket
    s_introduce (world);
    s_router_says (world, "for the second");
    rp_message_t *message = s_await_message (world);
    assert_int_equal (message->bytes, strlen ("for the second"));
    rp_message_destroy (&world->pool, &message);
}

/*  Closes with a long linger and ends the context, which must not take that long.  */
static void s_close_soon (s_world_t *world)
{
    int64_t begin = rp_clock_us ();
    rp_channel_close (world->channel, 8000);
    assert_int_equal (zmq_ctx_term (world->context), 0);
    assert_in_range (rp_clock_us () - begin, 0, 4 * SECOND);
    world->context = zmq_ctx_new ();
}

static void closing_before_the_connection_stands_does_not_linger (void **state)
{
    s_world_t *world = *state;
    int plain = s_plain_socket (world, true); // accepts the connection and never sends anything
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    s_close_soon (world);
    close (plain);
}

static void closing_after_the_connection_broke_does_not_linger (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    assert_int_equal (s_await_event (world, 0), RP_CHANNEL_NOTHING); // arms the descriptors
    s_close_router (world);
    assert_true (s_sleep (world, rp_clock_us () + BOUND_US));
    rp_head_t head = {.command = RP_COMMAND_HEARTBEAT};
    // The channel does not know of the end yet.
    assert_int_equal (rp_channel_send_head (world->channel, &head), 0);
    assert_int_equal (s_await_event (world, BOUND_US), RP_CHANNEL_FAILED);
    s_close_soon (world);
}

static void closing_lets_what_was_sent_out (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    for (int round = 0; round < 1000; round++) {
        rp_message_t *message = rp_message_new (&world->pool, 100);
        assert_int_equal (rp_channel_send (world->channel, &world->pool, &message), 0);
    }
    rp_channel_close (world->channel, 5000);
    for (int round = 0; round < 1000; round++) {
        zmq_pollitem_t item = {.socket = world->router, .events = ZMQ_POLLIN};
        assert_int_equal (zmq_poll (&item, 1, (long) (BOUND_US / MS)), 1);
        unsigned char bytes[256];
        assert_true (zmq_recv (world->router, bytes, sizeof bytes, ZMQ_DONTWAIT) > 0);
        assert_int_equal (zmq_recv (world->router, bytes, sizeof bytes, ZMQ_DONTWAIT), 100);
    }
}

/*  ---- Bundles -------------------------------------------------------------------------------- */

/*  Sends CANCEL with this id, by which tests know the message.  */
static void s_say (s_world_t *world, uint64_t id)
{
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = id};
    assert_int_equal (rp_channel_send_head (world->channel, &head), 0);
}

static uint64_t s_id (const void *data, size_t size)
{
    rp_head_t head;
    assert_int_equal (rp_wire_decode (&head, data, size), RP_WIRE_ERROR_NONE);
    return head.id;
}

/*  Receives the first frame of the next message at the ROUTER, and drops the rest. Returns its
    size.  */
static size_t s_router_hears (s_world_t *world, unsigned char *frame, size_t capacity)
{
    zmq_pollitem_t item = {.socket = world->router, .events = ZMQ_POLLIN};
    assert_int_equal (zmq_poll (&item, 1, (long) (BOUND_US / MS)), 1);
    unsigned char address[256];
    assert_true (zmq_recv (world->router, address, sizeof address, ZMQ_DONTWAIT) > 0);
    int size = zmq_recv (world->router, frame, capacity, ZMQ_DONTWAIT);
    assert_in_range (size, 0, capacity);
    int more = 0;
    size_t more_size = sizeof more;
    unsigned char rest[256];
    while (zmq_getsockopt (world->router, ZMQ_RCVMORE, &more, &more_size) == 0 && more)
        assert_true (zmq_recv (world->router, rest, sizeof rest, ZMQ_DONTWAIT) >= 0);
    return (size_t) size;
}

static void s_router_hears_id (s_world_t *world, uint64_t id)
{
    unsigned char frame[256];
    assert_int_equal (s_id (frame, s_router_hears (world, frame, sizeof frame)), id);
}

/*  Checks that the next message at the ROUTER is a bundle of CANCELs with ids from first to
    last.  */
static void s_router_hears_bundle (s_world_t *world, uint64_t first, uint64_t last)
{
    static unsigned char frame[RP_BUNDLE_MAX];
    size_t size = s_router_hears (world, frame, sizeof frame);
    assert_true (rp_bundle_is_valid (frame, size));
    size_t offset = 0;
    size_t message_size = 0;
    for (uint64_t id = first; id <= last; id++) {
        const uint8_t *message = rp_bundle_next (frame, size, &offset, &message_size);
        assert_non_null (message);
        assert_int_equal (s_id (message, message_size), id);
    }
    assert_null (rp_bundle_next (frame, size, &offset, &message_size));
}

static void s_connect_with_bundles (s_world_t *world)
{
    s_connect (world);
    s_introduce (world);
    rp_channel_set_bundles (world->channel);
}

static void nothing_waits_for_a_broker_that_reads_no_bundles (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    assert_null (rp_channel_room (world->channel, 10));
    s_say (world, 1);
    assert_int_equal (rp_channel_waiting (world->channel), 0);
    s_router_hears_id (world, 1);
    assert_false (rp_channel_flush (world->channel));
}

static void what_waits_goes_together_when_it_is_flushed (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    for (uint64_t id = 1; id <= 5; id++)
        s_say (world, id);
    assert_true (rp_channel_waiting (world->channel) > 0);
    assert_true (rp_channel_flush (world->channel));
    assert_int_equal (rp_channel_waiting (world->channel), 0);
    assert_false (rp_channel_flush (world->channel)); // nothing is left: the socket is not used
    s_router_hears_bundle (world, 1, 5);
}

static void one_that_waits_alone_goes_as_it_is (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    s_say (world, 1);
    assert_true (rp_channel_flush (world->channel));
    s_router_hears_id (world, 1);
}

static void what_waits_leaves_the_descriptors_armed_until_it_is_sent (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    assert_int_equal (s_await_event (world, 0), RP_CHANNEL_NOTHING);
    assert_true (rp_channel_is_armed (world->channel));
    s_say (world, 1);
    assert_true (rp_channel_is_armed (world->channel));
    rp_channel_flush (world->channel);
    assert_false (rp_channel_is_armed (world->channel));
}

static void what_goes_alone_goes_behind_what_waits (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    s_say (world, 1);
    s_say (world, 2);
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = 3};
    rp_message_t *message = rp_message_new (&world->pool, rp_wire_size (&head));
    rp_wire_encode (&head, rp_message_data (message), rp_message_size (message));
    assert_int_equal (rp_channel_send (world->channel, &world->pool, &message), 0);
    s_say (world, 4);
    s_say (world, 5);
    assert_null (rp_channel_room (world->channel, RP_BUNDLE_MESSAGE_MAX + 1));
    assert_non_null (rp_channel_room (world->channel, RP_BUNDLE_MESSAGE_MAX));
    rp_channel_flush (world->channel);
    s_router_hears_bundle (world, 1, 2);
    s_router_hears_id (world, 3);
    static unsigned char frame[RP_BUNDLE_MAX];
    size_t size = s_router_hears (world, frame, sizeof frame);
    size_t offset = 0;
    size_t message_size = 0;
    for (uint64_t id = 4; id <= 5; id++) {
        const uint8_t *at = rp_bundle_next (frame, size, &offset, &message_size);
        assert_int_equal (s_id (at, message_size), id);
    }
    assert_non_null (rp_bundle_next (frame, size, &offset, &message_size));
    assert_int_equal (message_size, RP_BUNDLE_MESSAGE_MAX);
}

static void an_outbox_that_is_full_goes_by_itself (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    enum { SIZE = 1000, COUNT = 200 };
    for (unsigned count = 0; count < COUNT; count++) {
        uint8_t *room = rp_channel_room (world->channel, SIZE);
        assert_non_null (room);
        memset (room, (int) count, SIZE);
    }
    rp_channel_flush (world->channel);
    static unsigned char frame[RP_BUNDLE_MAX];
    for (unsigned count = 0; count < COUNT;) {
        size_t size = s_router_hears (world, frame, sizeof frame);
        assert_true (rp_bundle_is_valid (frame, size));
        size_t offset = 0;
        size_t message_size;
        for (const uint8_t *at; (at = rp_bundle_next (frame, size, &offset, &message_size));) {
            assert_int_equal (message_size, SIZE);
            assert_int_equal (*at, count++);
        }
    }
}

/*  The first message too, which may be WELCOME.  */
static void messages_of_a_bundle_come_one_by_one (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    s_introduce (world);
    static const char bundle[] = "RB\1\0\0\0\0\3one\0\0\0\3two";
    assert_true (zmq_send (world->router, world->address, world->address_size, ZMQ_SNDMORE) > 0);
    assert_true (zmq_send (world->router, bundle, sizeof bundle - 1, 0) > 0);
    s_router_says (world, "three");
    rp_message_t *messages[3];
    messages[0] = s_await_message (world);
    assert_false (rp_channel_is_armed (world->channel)); // the bundle has more messages
    for (int index = 1; index < 3; index++)
        messages[index] = s_await_message (world);
    const char *const texts[] = {"one", "two", "three"};
    for (int index = 0; index < 3; index++) {
        assert_int_equal (rp_message_size (messages[index]), strlen (texts[index]));
        assert_memory_equal (
          rp_message_data (messages[index]), texts[index], strlen (texts[index]));
        rp_message_destroy (&world->pool, &messages[index]);
    }
}

static void a_bundle_that_does_not_add_up_comes_as_it_is (void **state)
{
    s_world_t *world = *state;
    s_connect (world);
    s_introduce (world);
    s_router_says (world, "RB but no bundle");
    rp_message_t *message = s_await_message (world);
    assert_int_equal (message->bytes, strlen ("RB but no bundle"));
    rp_message_destroy (&world->pool, &message);
}

static void closing_sends_what_waits (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    s_say (world, 1);
    s_say (world, 2);
    rp_channel_close (world->channel, 5000);
    assert_int_equal (rp_channel_waiting (world->channel), 0);
    s_router_hears_bundle (world, 1, 2);
}

static void a_new_connection_begins_without_bundles_and_with_nothing_that_waited (void **state)
{
    s_world_t *world = *state;
    s_connect_with_bundles (world);
    static const char bundle[] = "RB\1\0\0\0\0\3one\0\0\0\3two";
    assert_true (zmq_send (world->router, world->address, world->address_size, ZMQ_SNDMORE) > 0);
    assert_true (zmq_send (world->router, bundle, sizeof bundle - 1, 0) > 0);
    rp_message_t *message = s_await_message (world); // the second one stays in the bundle
    rp_message_destroy (&world->pool, &message);
    s_say (world, 1);
    s_close_router (world);
    int64_t limit = rp_clock_us () + BOUND_US;
    while (rp_channel_next_event (world->channel, &world->reason) != RP_CHANNEL_FAILED)
        assert_true (rp_clock_us () < limit);
    assert_true (rp_channel_waiting (world->channel) > 0);
    assert_false (rp_channel_flush (world->channel));

    world->broker_context = zmq_ctx_new ();
    world->router = rp_socket_router (world->broker_context, 1 << 20, 1000, NULL);
    assert_int_equal (zmq_bind (world->router, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof world->endpoint;
    zmq_getsockopt (world->router, ZMQ_LAST_ENDPOINT, world->endpoint, &size);
    s_connect (world);
    assert_int_equal (rp_channel_waiting (world->channel), 0);
    s_introduce (world);
    assert_int_equal (rp_channel_waiting (world->channel), 0);
    s_router_says (world, "three");
    message = s_await_message (world);
    assert_int_equal (message->bytes, strlen ("three"));
    rp_message_destroy (&world->pool, &message);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      CHANNEL_TEST (it_connects_and_says_so_once),
      CHANNEL_TEST (a_refused_port_fails_soon),
      CHANNEL_TEST (a_path_that_does_not_exist_fails_soon),
      CHANNEL_TEST (a_peer_that_speaks_something_else_fails),
      CHANNEL_TEST (an_endpoint_that_cannot_be_right_is_refused_at_once),
      CHANNEL_TEST (messages_go_both_ways_and_the_descriptors_tell_of_each),
      CHANNEL_TEST (nothing_is_sent_before_the_connection_stands_nor_after),
      CHANNEL_TEST (a_closed_channel_has_nothing),
      CHANNEL_TEST (it_fails_when_the_broker_closes),
      CHANNEL_TEST (what_came_before_the_end_can_still_be_read),
      CHANNEL_TEST (a_new_connection_carries_nothing_of_the_old_one),
      CHANNEL_TEST (closing_before_the_connection_stands_does_not_linger),
      CHANNEL_TEST (closing_after_the_connection_broke_does_not_linger),
      CHANNEL_TEST (closing_lets_what_was_sent_out),
      CHANNEL_TEST (nothing_waits_for_a_broker_that_reads_no_bundles),
      CHANNEL_TEST (what_waits_goes_together_when_it_is_flushed),
      CHANNEL_TEST (one_that_waits_alone_goes_as_it_is),
      CHANNEL_TEST (what_waits_leaves_the_descriptors_armed_until_it_is_sent),
      CHANNEL_TEST (what_goes_alone_goes_behind_what_waits),
      CHANNEL_TEST (an_outbox_that_is_full_goes_by_itself),
      CHANNEL_TEST (messages_of_a_bundle_come_one_by_one),
      CHANNEL_TEST (a_bundle_that_does_not_add_up_comes_as_it_is),
      CHANNEL_TEST (closing_sends_what_waits),
      CHANNEL_TEST (a_new_connection_begins_without_bundles_and_with_nothing_that_waited),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
