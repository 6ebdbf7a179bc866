/*  The broker as its peers see it: one process, real sockets, raw peers.

    SPDX-License-Identifier: MPL-2.0
*/

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cursor.h"
#include "common/base/version.h"
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

static void s_assert_body (const test_peer_t *peer, const char *body)
{
    assert_int_equal (peer->body_size, strlen (body));
    assert_memory_equal (peer->body, body, strlen (body));
}

/*  ---- Greeting ---------------------------------------------------------------------------- */

static void s_welcome_says_what_was_agreed (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (s_endpoint);
    assert_int_equal (client->head.interval_ms, TEST_PEER_INTERVAL_MS);
    assert_int_equal (client->head.max_open, test_broker_limits ().client_open);
    assert_int_equal (client->head.key_size, 16);
    rp_header_t header;
    assert_true (
      rp_headers_find (client->head.headers, client->head.headers_size, "version", &header));
    assert_int_equal (header.value_size, strlen (RP_VERSION));
    assert_memory_equal (header.value, RP_VERSION, strlen (RP_VERSION));
    test_peer_destroy (&client);
}

static void s_who_does_not_say_hello_is_told_so (void **state)
{
    (void) state;
    test_peer_t *peer = test_peer_new (s_endpoint);
    test_client_request (peer, 1, "upper", "x");
    test_peer_expect_bye (peer, RP_INVALID);
    test_peer_destroy (&peer);
}

static void s_a_second_hello_ends_the_session (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (s_endpoint);
    test_peer_send (client, &(rp_head_t){.command = RP_COMMAND_HELLO}, NULL, 0);
    test_peer_expect_bye (client, RP_INVALID);
    test_client_request (client, 1, "upper", "x");
    test_peer_expect_bye (client, RP_INVALID);
    test_peer_destroy (&client);
}

static void s_a_peer_that_chose_its_routing_id_is_served (void **state)
{
    (void) state;
    char routing_id[200];
    memset (routing_id, 'r', sizeof routing_id);
    test_peer_t *peer = test_peer_new ("tcp://127.0.0.1:1");
    zmq_disconnect (peer->socket, "tcp://127.0.0.1:1");
    zmq_setsockopt (peer->socket, ZMQ_ROUTING_ID, routing_id, sizeof routing_id);
    assert_int_equal (zmq_connect (peer->socket, s_endpoint), 0);
    test_peer_send (peer, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 1000}, NULL, 0);
    test_peer_expect (peer, RP_COMMAND_WELCOME);
    assert_int_equal (test_client_count (peer, NULL, "clients"), 1);
    test_peer_destroy (&peer);
}

/*  ---- Requests ---------------------------------------------------------------------------- */

static void s_a_request_goes_to_a_worker_and_its_reply_comes_back (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 7, "upper", "hello");
    const rp_head_t *request = test_peer_expect (worker, RP_COMMAND_REQUEST);
    assert_int_equal (request->name_size, 5);
    assert_int_equal (request->attempt, 1);
    assert_in_range (request->deadline_ms, 1, 10000);
    s_assert_body (worker, "hello");
    test_worker_reply (worker, request->id, "HELLO");
    const rp_head_t *reply = test_peer_expect_reply (client, 7, RP_OK);
    assert_int_equal (reply->attempt, 1);
    s_assert_body (client, "HELLO");
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_frames_of_a_body_pass_as_they_are (void **state)
{
    (void) state;
    enum { BIG = 300000 };
    char *big = malloc (BIG);
    assert_non_null (big);
    memset (big, 'b', BIG);
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    char head[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 1,
                                    .deadline_ms = 10000,
                                    .attempts = 2, // so that the broker keeps it and sends a share
                                    .name = "upper",
                                    .name_size = 5},
      head, sizeof head);
    test_peer_send_frame (client, head, size, true);
    test_peer_send_frame (client, "", 0, true);
    test_peer_send_frame (client, big, BIG, true);
    test_peer_send_frame (client, "end", 3, false);

    test_peer_expect (worker, RP_COMMAND_REQUEST);
    assert_int_equal (worker->frame_count, 4);
    assert_int_equal (zmq_msg_size (&worker->frames[1]), 0);
    assert_int_equal (zmq_msg_size (&worker->frames[2]), BIG);
    assert_memory_equal (zmq_msg_data (&worker->frames[2]), big, BIG);
    assert_memory_equal (zmq_msg_data (&worker->frames[3]), "end", 3);

    // The worker is lost, and another worker gets the same request.
    test_peer_t *other = test_worker_new (s_endpoint, "upper", 10);
    test_peer_destroy (&worker);
    assert_int_equal (test_peer_expect (other, RP_COMMAND_REQUEST)->attempt, 2);
    assert_int_equal (other->frame_count, 4);
    assert_memory_equal (zmq_msg_data (&other->frames[2]), big, BIG);
    test_worker_reply (other, other->head.id, "done");
    assert_int_equal (test_peer_expect_reply (client, 1, RP_OK)->attempt, 2);
    free (big);
    test_peer_destroy (&client);
    test_peer_destroy (&other);
}

static void s_many_requests_in_flight_each_get_their_own_reply (void **state)
{
    (void) state;
    enum { COUNT = 5000, WINDOW = 64 };
    test_peer_t *worker = test_worker_new (s_endpoint, "echo", WINDOW);
    test_peer_t *client = test_client_new (s_endpoint);
    for (uint64_t id = 1; id <= COUNT; id++) {
        char body[20];
        snprintf (body, sizeof body, "%llu", (unsigned long long) id);
        test_client_request (client, id, "echo", body);
    }
    for (unsigned count = 0; count < COUNT; count++) {
        test_peer_expect (worker, RP_COMMAND_REQUEST);
        char body[20] = "";
        memcpy (body, worker->body, worker->body_size);
        test_worker_reply (worker, worker->head.id, body);
    }
    for (uint64_t id = 1; id <= COUNT; id++) {
        char body[20];
        snprintf (body, sizeof body, "%llu", (unsigned long long) id);
        test_peer_expect_reply (client, id, RP_OK);
        s_assert_body (client, body);
    }
    assert_int_equal (test_client_count (client, "finals", "OK"), COUNT);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_an_unknown_service_is_refused_with_a_suggestion (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 1, "uper", "x");
    const rp_head_t *reply = test_peer_expect_reply (client, 1, RP_NO_WORKER);
    rp_header_t hint;
    assert_true (rp_headers_find (reply->headers, reply->headers_size, "hint", &hint));
    assert_memory_equal (hint.value, "upper", 5);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_a_body_over_the_limit_is_refused_and_the_session_goes_on (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.max_body = 4096;
    test_broker_t *broker = test_broker_start_with (&limits);
    test_peer_t *client = test_client_new (test_broker_endpoint (broker));
    char body[4098];
    memset (body, 'x', sizeof body);
    body[4097] = '\0';
    test_client_request (client, 1, "upper", body);
    const rp_head_t *reply = test_peer_expect_reply (client, 1, RP_TOO_LARGE);
    assert_non_null (memmem (reply->text, reply->text_size, "max_body", 8));

    // Each frame is within the limit, but all together are over what is kept.
    char head[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 2,
                                    .deadline_ms = 1000,
                                    .attempts = 1,
                                    .name = "upper",
                                    .name_size = 5},
      head, sizeof head);
    char *frame = calloc (1, 1000000);
    assert_non_null (frame);
    test_peer_send_frame (client, head, size, true);
    test_peer_send_frame (client, frame, 1000000, true);
    test_peer_send_frame (client, frame, 1000000, false);
    free (frame);
    test_peer_expect_reply (client, 2, RP_TOO_LARGE);

    body[4096] = '\0'; // exactly the limit
    test_client_request (client, 3, "upper", body);
    test_peer_expect_reply (client, 3, RP_NO_WORKER);
    assert_int_equal (test_client_count (client, "counters", "too_large"), 2);
    test_peer_destroy (&client);
    test_broker_stop (&broker);
}

static void s_a_reply_nobody_asked_for_is_dropped_and_counted (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_worker_reply (worker, 12345, "x");
    test_client_await_count (client, "counters", "late_replies", 1);
    test_client_request (client, 1, "upper", "x");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    test_worker_reply (worker, worker->head.id, "X");
    test_peer_expect_reply (client, 1, RP_OK);
    test_worker_reply (worker, worker->head.id, "again");
    test_client_await_count (client, "counters", "late_replies", 2);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

/*  ---- Bad messages ------------------------------------------------------------------------ */

/*  A good REQUEST with some bytes overwritten.  */
typedef struct {
    const char *error; /* its counter in the group "bad" */
    size_t at;         /* where it is overwritten */
    size_t size;       /* how many bytes are overwritten */
    const char *bytes;
    size_t cut; /* if not 0: only this many bytes are sent */
    bool pending_gets_bye;
} s_bad_t;

static const s_bad_t s_bads[] = {
  {"NOT_NATIVE", 0, 2, "XX", 0, false},
  {"NOT_NATIVE", 0, 0, "", 1, false},
  {"VERSION", 2, 1, "\x02", 0, true},
  {"COMMAND", 3, 1, "\xc8", 0, true},
  {"TRUNCATED", 0, 0, "", 20, true},
  {"TRUNCATED", 0, 0, "", 50, true},
  {"SIZES", 36, 1, "\xff", 0, true},
  {"FLAGS", 6, 2, "\x00\x02", 0, true},
  {"FIELD", 35, 1, "\x0b", 0, true},
  {"FIELD", 8, 8, "\0\0\0\0\0\0\0\0", 0, true},
  {"NAME", 48, 1, "\n", 0, true},
  {"HEADERS", 48 + 5, 1, "\x00", 0, true},
};

static void s_send_bad (test_peer_t *peer, const s_bad_t *bad)
{
    uint8_t block[64];
    size_t block_size = 0;
    assert_true (rp_headers_append (block, &block_size, sizeof block, "key", "value"));
    char frame[200];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 1,
                                    .deadline_ms = 1000,
                                    .attempts = 1,
                                    .name = "upper",
                                    .name_size = 5,
                                    .headers = block,
                                    .headers_size = (uint16_t) block_size},
      frame, sizeof frame);
    memcpy (frame + bad->at, bad->bytes, bad->size);
    test_peer_send_frame (peer, frame, bad->cut ? bad->cut : size, false);
}

static void s_bad_heads_end_the_session_and_are_counted_by_kind (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    for (size_t index = 0; index < sizeof s_bads / sizeof *s_bads; index++) {
        int64_t before = test_client_count (observer, "bad", s_bads[index].error);
        test_peer_t *client = test_client_new (s_endpoint);
        s_send_bad (client, &s_bads[index]);
        test_peer_expect_bye (client, RP_INVALID);
        test_peer_destroy (&client);
        assert_int_equal (test_client_count (observer, "bad", s_bads[index].error), before + 1);
    }
    assert_int_equal (test_client_count (observer, NULL, "clients"), 1);
    test_peer_destroy (&observer);
}

static void s_bad_heads_of_pending_are_answered_or_dropped_and_counted (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    for (size_t index = 0; index < sizeof s_bads / sizeof *s_bads; index++) {
        int64_t before = test_client_count (observer, "bad", s_bads[index].error);
        test_peer_t *pending = test_peer_new (s_endpoint);
        s_send_bad (pending, &s_bads[index]);
        if (s_bads[index].pending_gets_bye)
            test_peer_expect_bye (pending, RP_INVALID);
        test_client_await_count (observer, "bad", s_bads[index].error, before + 1);
        // The next message shows that nothing came before it.
        test_peer_send (
          pending, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 1000}, NULL, 0);
        test_peer_expect (pending, RP_COMMAND_WELCOME);
        test_peer_destroy (&pending);
    }
    test_peer_destroy (&observer);
}

static void s_send_many_frames (test_peer_t *peer, unsigned count)
{
    char head[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 1,
                                    .deadline_ms = 1000,
                                    .attempts = 1,
                                    .name = "upper",
                                    .name_size = 5},
      head, sizeof head);
    test_peer_send_frame (peer, head, size, true);
    for (unsigned frame = 1; frame < count; frame++)
        test_peer_send_frame (peer, "x", 1, frame + 1 < count);
}

static void s_thousands_of_frames_end_the_session_and_harm_nobody (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *client = test_client_new (s_endpoint);
    s_send_many_frames (client, RP_FRAMES_MAX);
    test_peer_expect_reply (client, 1, RP_NO_WORKER);
    s_send_many_frames (client, 5000);
    test_peer_expect_bye (client, RP_INVALID);
    assert_int_equal (test_client_count (observer, "counters", "too_many_frames"), 1);
    test_peer_destroy (&client);

    test_peer_t *pending = test_peer_new (s_endpoint);
    s_send_many_frames (pending, 5000);
    test_client_await_count (observer, "counters", "too_many_frames", 2);
    test_peer_destroy (&pending);
    test_peer_destroy (&observer);
}

static void s_an_empty_frame_is_not_of_this_protocol (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *pending = test_peer_new (s_endpoint);
    test_peer_send_frame (pending, "", 0, false); // the first empty message is ZMQ_PROBE_ROUTER's
    test_peer_send_frame (pending, "", 0, false);
    test_client_await_count (observer, "bad", "NOT_NATIVE", 1);
    test_peer_send_frame (pending, "", 0, true);
    test_peer_send_frame (pending, "", 0, false);
    test_client_await_count (observer, "bad", "NOT_NATIVE", 2);
    test_peer_destroy (&pending);
    test_peer_destroy (&observer);
}

static void s_a_frame_far_over_the_limit_cuts_only_its_own_connection (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.max_body = 4096;
    test_broker_t *broker = test_broker_start_with (&limits);
    test_peer_t *observer = test_client_new (test_broker_endpoint (broker));
    test_peer_t *client = test_client_new (test_broker_endpoint (broker));
    char *frame = calloc (1, 4000000);
    assert_non_null (frame);
    test_peer_send_frame (client, frame, 4000000, false);
    free (frame);
    test_client_await_count (observer, "counters", "clients_lost", 1);
    test_peer_destroy (&client);
    test_peer_destroy (&observer);
    test_broker_stop (&broker);
}

/*  ---- Peers that go away ------------------------------------------------------------------ */

static void s_a_client_that_is_gone_withdraws_its_requests (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 1, "upper", "x");
    uint64_t token = test_peer_expect (worker, RP_COMMAND_REQUEST)->id;
    test_peer_destroy (&client);
    assert_int_equal (test_peer_expect (worker, RP_COMMAND_CANCEL)->id, token);
    test_peer_destroy (&worker);
}

static void s_a_busy_worker_that_died_is_known_within_a_second (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 1, "upper", "x");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    int64_t died = test_now_ms ();
    test_peer_destroy (&worker);
    test_peer_expect_reply (client, 1, RP_WORKER_LOST);
    assert_in_range (test_now_ms () - died, 0, 1000);
    assert_int_equal (test_client_count (client, NULL, "workers"), 0);
    assert_int_equal (test_client_count (client, "counters", "workers_lost"), 1);
    test_peer_destroy (&client);
}

static void s_an_idle_worker_that_died_is_known_within_a_second (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    assert_int_equal (test_client_count (client, NULL, "workers"), 1);
    int64_t died = test_now_ms ();
    test_peer_destroy (&worker);
    test_client_await_count (client, NULL, "workers", 0);
    assert_in_range (test_now_ms () - died, 0, 1000);
    test_peer_destroy (&client);
}

/*  Many connect at once, so that descriptors are reused before the events of their first owners are
    read.  */
static void s_peers_that_come_and_go_in_crowds_leave_nothing_behind (void **state)
{
    (void) state;
    enum { ROUNDS = 5, CROWD = 30 };
    test_peer_t *observer = test_client_new (s_endpoint);
    for (unsigned round = 0; round < ROUNDS; round++) {
        test_peer_t *crowd[CROWD];
        for (size_t index = 0; index < CROWD; index++)
            crowd[index] = test_worker_new (s_endpoint, "crowd", 1);
        for (size_t index = 0; index < CROWD; index++)
            test_peer_destroy (&crowd[index]);
    }
    int64_t died = test_now_ms ();
    test_client_await_count (observer, NULL, "workers", 0);
    assert_in_range (test_now_ms () - died, 0, 1000);
    assert_int_equal (test_client_count (observer, "counters", "workers_joined"), ROUNDS * CROWD);
    test_peer_destroy (&observer);
}

static void s_a_silent_peer_is_lost_after_three_intervals (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *silent = test_peer_new (s_endpoint);
    int64_t joined = test_now_ms ();
    test_peer_send (silent, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 100}, NULL, 0);
    test_peer_expect (silent, RP_COMMAND_WELCOME);
    test_peer_expect (silent, RP_COMMAND_HEARTBEAT);
    test_client_await_count (observer, NULL, "clients", 1);
    assert_in_range (test_now_ms () - joined, 300, 2000);
    assert_int_equal (test_client_count (observer, "counters", "clients_lost"), 1);
    test_peer_destroy (&silent);
    test_peer_destroy (&observer);
}

static void s_a_peer_that_does_not_read_is_cut_and_the_others_go_on (void **state)
{
    (void) state;
    enum { REQUESTS = 3000, BODY = 32768 };
    rp_limits_t limits = test_broker_limits ();
    limits.connection_backlog = 64;
    test_broker_t *broker = test_broker_start_with (&limits);
    test_peer_t *observer = test_client_new (test_broker_endpoint (broker));
    test_peer_t *deaf = test_peer_new ("tcp://127.0.0.1:1");
    zmq_disconnect (deaf->socket, "tcp://127.0.0.1:1");
    int few = 1;
    zmq_setsockopt (deaf->socket, ZMQ_RCVHWM, &few, sizeof few);
    assert_int_equal (zmq_connect (deaf->socket, test_broker_endpoint (broker)), 0);
    test_peer_send (deaf, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 30000}, NULL, 0);
    char *body = malloc (BODY + 1);
    assert_non_null (body);
    memset (body, 'p', BODY);
    body[BODY] = '\0';
    int at_once = 0; // once the peer is cut, a send must not wait
    zmq_setsockopt (deaf->socket, ZMQ_SNDTIMEO, &at_once, sizeof at_once);
    char frame[RP_WIRE_HEAD_MAX + BODY];
    for (uint64_t id = 1; id <= REQUESTS; id++) {
        size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                        .flags = RP_FLAG_INLINE,
                                        .id = id,
                                        .deadline_ms = 10000,
                                        .attempts = 1,
                                        .name = "riposte.ping",
                                        .name_size = 12},
          frame, sizeof frame);
        memcpy (frame + size, body, BODY);
        while (zmq_send (deaf->socket, frame, size + BODY, 0) < 0) {
            assert_int_equal (errno, EAGAIN);
            if (test_client_count (observer, "counters", "clients_lost") > 0)
                goto lost;
        }
    }
lost:
    test_client_await_count (observer, "counters", "clients_lost", 1);
    assert_int_equal (test_client_count (observer, NULL, "clients"), 1);
    free (body);
    test_peer_destroy (&deaf);
    test_peer_destroy (&observer);
    test_broker_stop (&broker);
}

/*  Connects without sending anything, and waits until the broker has accepted and sent its
    greeting.  */
static int s_connect_mute (const char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    address.sin_port = htons ((uint16_t) atoi (strrchr (endpoint, ':') + 1));
    int descriptor = socket (AF_INET, SOCK_STREAM, 0);
    assert_true (descriptor >= 0);
    struct timeval patience = {.tv_sec = TEST_PATIENCE_MS / 1000};
    setsockopt (descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal (connect (descriptor, (struct sockaddr *) &address, sizeof address), 0);
    char byte;
    (void) recv (descriptor, &byte, 1, 0); // it may also be cut before the greeting
    return descriptor;
}

/*  Reads until the other side has closed; returns false if that takes too long.  */
static bool s_await_close (int descriptor)
{
    char bytes[256];
    ssize_t size;
    while ((size = recv (descriptor, bytes, sizeof bytes, 0)) > 0)
        continue;
    return size == 0 || errno == ECONNRESET;
}

/*  Returns the broker's end of a connection: the socket of this process whose peer is the
    descriptor.  */
static int s_other_end (int descriptor)
{
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    assert_int_equal (getsockname (descriptor, (struct sockaddr *) &own, &size), 0);
    for (int other = 3; other < 1000; other++) {
        struct sockaddr_in peer = {0};
        size = sizeof peer;
        if (getpeername (other, (struct sockaddr *) &peer, &size) == 0 && peer.sin_family == AF_INET
            && peer.sin_port == own.sin_port)
            return other;
    }
    fail_msg ("no other end");
    return -1;
}

static void s_a_connection_from_this_machine_sends_through_a_small_buffer (void **state)
{
    (void) state;
    int client = s_connect_mute (s_endpoint);
    int broker = s_other_end (client);
    int bytes = 0;
    int64_t end = test_now_ms () + TEST_PATIENCE_MS;
    while (bytes != 2 * 262144 && test_now_ms () < end) { // Linux doubles the value that is set
        socklen_t size = sizeof bytes;
        assert_int_equal (getsockopt (broker, SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
    }
    assert_int_equal (bytes, 2 * 262144);
    close (client);
}

static void s_connections_beyond_nine_tenths_of_the_descriptors_are_cut (void **state)
{
    (void) state;
    enum { DESCRIPTORS = 400, CAP = DESCRIPTORS - DESCRIPTORS / 10 };
    struct rlimit saved, limit;
    assert_int_equal (getrlimit (RLIMIT_NOFILE, &saved), 0);
    limit = saved;
    limit.rlim_cur = DESCRIPTORS;
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &limit), 0);
    test_broker_t *broker = test_broker_start ();
    const char *endpoint = test_broker_endpoint (broker);
    test_peer_t *client = test_client_new (endpoint);
    int taken[DESCRIPTORS];
    unsigned count = 0;
    do // uses up most descriptors at once
        assert_true ((taken[count] = dup (STDERR_FILENO)) >= 0);
    while (taken[count++] < CAP - 10);
    int last;
    do // each connection takes two: ours, and then the broker's
        last = taken[count++] = s_connect_mute (endpoint);
    while (last < CAP);
    int64_t began = test_now_ms ();
    assert_true (s_await_close (last));
    assert_in_range (test_now_ms () - began, 0, 1500); // not only after the handshake's time limit
    assert_int_equal (test_client_count (client, NULL, "clients"), 1);
    while (count > 0)
        close (taken[--count]);
    test_peer_t *other = test_client_new (endpoint);
    test_peer_destroy (&other);
    test_peer_destroy (&client);
    test_broker_stop (&broker);
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &saved), 0);
}

/*  ---- The broker goes away ---------------------------------------------------------------- */

static void s_a_drain_finishes_what_runs_refuses_what_comes_and_ends (void **state)
{
    (void) state;
    test_broker_t *broker = test_broker_start ();
    test_peer_t *worker = test_worker_new (test_broker_endpoint (broker), "upper", 1);
    test_peer_t *client = test_client_new (test_broker_endpoint (broker));
    test_client_request (client, 1, "upper", "running");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    test_client_request (client, 2, "upper", "waiting");
    assert_int_equal (test_client_count (client, "gauges", "waiting"), 1);

    test_broker_drain (broker);
    test_peer_expect (client, RP_COMMAND_DRAIN);
    test_peer_expect_reply (client, 2, RP_DRAINING);
    test_client_request (client, 3, "upper", "new");
    test_peer_expect_reply (client, 3, RP_DRAINING);
    test_peer_t *late = test_peer_new (test_broker_endpoint (broker));
    test_peer_send (late, &(rp_head_t){.command = RP_COMMAND_HELLO, .interval_ms = 1000}, NULL, 0);
    test_peer_expect_bye (late, RP_DRAINING);

    uint64_t token = worker->head.id;
    test_peer_expect (worker, RP_COMMAND_DRAIN);
    enum { LARGE = 6000000 }; // so large that it is still on its way when the broker has ended
    char *large = malloc (LARGE + 1);
    assert_non_null (large);
    memset (large, 'd', LARGE);
    large[LARGE] = '\0';
    test_worker_reply (worker, token, large);
    free (large);
    test_broker_expect_end (broker);
    test_broker_stop (&broker); // closes its sockets, which must not lose the last messages
    test_peer_expect_reply (client, 1, RP_OK);
    assert_int_equal (client->body_size, LARGE);
    test_peer_expect_bye (client, RP_DRAINING);
    test_peer_expect_bye (worker, RP_DRAINING);
    test_peer_destroy (&late);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_the_drain_limit_ends_what_runs_too_long (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.drain_limit = 100;
    test_broker_t *broker = test_broker_start_with (&limits);
    test_peer_t *worker = test_worker_new (test_broker_endpoint (broker), "upper", 1);
    test_peer_t *client = test_client_new (test_broker_endpoint (broker));
    test_client_request (client, 1, "upper", "endless");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    test_broker_drain (broker);
    test_peer_expect (client, RP_COMMAND_DRAIN);
    test_peer_expect_reply (client, 1, RP_WORKER_LOST);
    test_peer_expect_bye (client, RP_DRAINING);
    test_broker_expect_end (broker);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
    test_broker_stop (&broker);
}

static void s_told_to_end_now_it_does_and_says_so_to_everybody (void **state)
{
    (void) state;
    test_broker_t *broker = test_broker_start ();
    test_peer_t *worker = test_worker_new (test_broker_endpoint (broker), "upper", 1);
    test_peer_t *client = test_client_new (test_broker_endpoint (broker));
    test_client_request (client, 1, "upper", "endless");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    test_broker_drain (broker);
    test_broker_end_now (broker);
    test_broker_expect_end (broker);
    test_broker_stop (&broker);
    test_peer_expect (client, RP_COMMAND_DRAIN);
    test_peer_expect_reply (client, 1, RP_WORKER_LOST);
    test_peer_expect_bye (client, RP_DRAINING);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

/*  ---- What people see --------------------------------------------------------------------- */

static json_t *s_ask (test_peer_t *client, const char *service)
{
    test_client_request (client, 1, service, "");
    test_peer_expect_reply (client, 1, RP_OK);
    json_t *answer = json_loadb (client->body, client->body_size, 0, NULL);
    assert_non_null (answer);
    return answer;
}

static void s_assert_number (json_t *object, const char *name, int64_t value)
{
    json_t *number = json_object_get (object, name);
    assert_true (json_is_integer (number));
    assert_int_equal (json_integer_value (number), value);
}

static void s_services_and_workers_tell_what_is_running (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 5, "upper", "x");
    test_peer_expect (worker, RP_COMMAND_REQUEST);

    json_t *answer = s_ask (client, "riposte.services");
    json_t *services = json_object_get (answer, "services");
    assert_int_equal (json_array_size (services), 1);
    json_t *service = json_array_get (services, 0);
    assert_string_equal (json_string_value (json_object_get (service, "name")), "upper");
    s_assert_number (service, "workers", 1);
    s_assert_number (service, "window", 10);
    s_assert_number (service, "running", 1);
    json_decref (answer);

    answer = s_ask (client, "riposte.workers");
    json_t *workers = json_object_get (answer, "workers");
    assert_int_equal (json_array_size (workers), 1);
    json_t *row = json_array_get (workers, 0);
    assert_string_equal (json_string_value (json_object_get (row, "service")), "upper");
    assert_string_equal (json_string_value (json_object_get (row, "name")), "worker");
    const char *address = json_string_value (json_object_get (row, "address"));
    assert_int_equal (strncmp (address, "127.0.0.1:", 10), 0);
    assert_true (atoi (address + 10) > 0);
    s_assert_number (row, "running", 1);
    json_decref (answer);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_status_tells_who_the_broker_is (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (s_endpoint);
    char instance[17] = "";
    memcpy (instance, client->head.key, client->head.key_size);
    json_t *status = test_client_status (client);
    assert_string_equal (json_string_value (json_object_get (status, "version")), RP_VERSION);
    assert_string_equal (json_string_value (json_object_get (status, "instance")), instance);
    json_t *endpoints = json_object_get (status, "endpoints");
    assert_int_equal (json_array_size (endpoints), 1);
    assert_string_equal (json_string_value (json_array_get (endpoints, 0)), s_endpoint);
    assert_true (json_is_false (json_object_get (status, "draining")));
    s_assert_number (json_object_get (status, "limits"), "max_body", 16777216);
    s_assert_number (json_object_get (status, "counters"), "clients_joined", 1);
    s_assert_number (json_object_get (status, "finals"), "CONVERSATION_LOST", 0);
    json_decref (status);
    test_peer_destroy (&client);
}

static void s_ping_returns_every_frame_of_the_body (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (s_endpoint);
    test_client_request (client, 1, "riposte.ping", "pong?");
    test_peer_expect_reply (client, 1, RP_OK);
    s_assert_body (client, "pong?");

    char head[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 2,
                                    .deadline_ms = 1000,
                                    .attempts = 1,
                                    .name = "riposte.ping",
                                    .name_size = 12},
      head, sizeof head);
    test_peer_send_frame (client, head, size, true);
    test_peer_send_frame (client, "one", 3, true);
    test_peer_send_frame (client, "two", 3, false);
    test_peer_expect_reply (client, 2, RP_OK);
    assert_int_equal (client->frame_count, 3);
    assert_memory_equal (zmq_msg_data (&client->frames[1]), "one", 3);
    assert_memory_equal (zmq_msg_data (&client->frames[2]), "two", 3);
    test_peer_destroy (&client);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_welcome_says_what_was_agreed),
      S_TEST (s_who_does_not_say_hello_is_told_so),
      S_TEST (s_a_second_hello_ends_the_session),
      S_TEST (s_a_peer_that_chose_its_routing_id_is_served),
      S_TEST (s_a_request_goes_to_a_worker_and_its_reply_comes_back),
      S_TEST (s_frames_of_a_body_pass_as_they_are),
      S_TEST (s_many_requests_in_flight_each_get_their_own_reply),
      S_TEST (s_an_unknown_service_is_refused_with_a_suggestion),
      S_TEST (s_a_body_over_the_limit_is_refused_and_the_session_goes_on),
      S_TEST (s_a_reply_nobody_asked_for_is_dropped_and_counted),
      S_TEST (s_bad_heads_end_the_session_and_are_counted_by_kind),
      S_TEST (s_bad_heads_of_pending_are_answered_or_dropped_and_counted),
      S_TEST (s_thousands_of_frames_end_the_session_and_harm_nobody),
      S_TEST (s_an_empty_frame_is_not_of_this_protocol),
      S_TEST (s_a_frame_far_over_the_limit_cuts_only_its_own_connection),
      S_TEST (s_a_client_that_is_gone_withdraws_its_requests),
      S_TEST (s_a_busy_worker_that_died_is_known_within_a_second),
      S_TEST (s_an_idle_worker_that_died_is_known_within_a_second),
      S_TEST (s_peers_that_come_and_go_in_crowds_leave_nothing_behind),
      S_TEST (s_a_silent_peer_is_lost_after_three_intervals),
      S_TEST (s_a_peer_that_does_not_read_is_cut_and_the_others_go_on),
      S_TEST (s_services_and_workers_tell_what_is_running),
      S_TEST (s_status_tells_who_the_broker_is),
      S_TEST (s_ping_returns_every_frame_of_the_body),
      S_TEST (s_a_connection_from_this_machine_sends_through_a_small_buffer),
      cmocka_unit_test (s_connections_beyond_nine_tenths_of_the_descriptors_are_cut),
      cmocka_unit_test (s_a_drain_finishes_what_runs_refuses_what_comes_and_ends),
      cmocka_unit_test (s_the_drain_limit_ends_what_runs_too_long),
      cmocka_unit_test (s_told_to_end_now_it_does_and_says_so_to_everybody),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
