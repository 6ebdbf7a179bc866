/*  SPDX-License-Identifier: MPL-2.0

    Channels with keys: what libzmq reports of each handshake that fails, and what the channel makes
    of it. The broker is a ROUTER with CURVE; a thread answers ZAP.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.h>

#include <riposte/error.h>

#include "common/io/channel.h"
#include "common/io/clock.h"
#include "common/io/socket.h"
#include "common/wire/advice.h"

#define BOUND_US INT64_C (10000000)

typedef struct {
    char public_key[RP_KEY_TEXT];
    char secret_key[RP_KEY_TEXT];
} s_pair_t;

typedef struct {
    void *context; /* the broker's */
    void *own;     /* the channel's */
    void *zap;
    pthread_t thread;
    const char *status; /* the answer of ZAP */
    void *router;
    rp_channel_t *channel;
    rp_curve_t keys;
    s_pair_t broker;
    s_pair_t client;
    char endpoint[128];
    const char *reason;
} s_world_t;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

/*  Answers each ZAP request with the status, until the context ends.  */
static void *s_answer (void *arg)
{
    s_world_t *world = arg;
    for (;;) {
        char frames[7][64] = {{0}};
        int sizes[7] = {0};
        int count = 0;
        int more = 1;
        size_t size = sizeof more;
        while (more && count < 7) {
            sizes[count] = zmq_recv (world->zap, frames[count], sizeof frames[count], 0);
            if (sizes[count++] < 0)
                return NULL;
            zmq_getsockopt (world->zap, ZMQ_RCVMORE, &more, &size);
        }
        zmq_send (world->zap, "1.0", 3, ZMQ_SNDMORE);
        zmq_send (world->zap, frames[1], (size_t) sizes[1], ZMQ_SNDMORE);
        zmq_send (world->zap, world->status, strlen (world->status), ZMQ_SNDMORE);
        zmq_send (world->zap, "", 0, ZMQ_SNDMORE);
        zmq_send (world->zap, "ada", 3, ZMQ_SNDMORE);
        zmq_send (world->zap, "", 0, 0);
    }
}

static void s_bind (s_world_t *world, bool secure)
{
    int on = 1;
    world->router = rp_socket_router (world->context, 1 << 20, 1000, NULL);
    assert_non_null (world->router);
    if (secure) {
        assert_int_equal (zmq_setsockopt (world->router, ZMQ_CURVE_SERVER, &on, sizeof on), 0);
        assert_int_equal (
          zmq_setsockopt (world->router, ZMQ_CURVE_SECRETKEY, world->broker.secret_key, 41), 0);
        assert_int_equal (zmq_setsockopt (world->router, ZMQ_ZAP_DOMAIN, "riposte", 7), 0);
    }
    assert_int_equal (zmq_bind (world->router, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof world->endpoint;
    assert_int_equal (zmq_getsockopt (world->router, ZMQ_LAST_ENDPOINT, world->endpoint, &size), 0);
}

static int s_set_up (void **state)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.context = zmq_ctx_new ();
    world.own = zmq_ctx_new ();
    world.status = "200";
    world.zap = zmq_socket (world.context, ZMQ_REP);
    assert_int_equal (zmq_bind (world.zap, "inproc://zeromq.zap.01"), 0);
    assert_int_equal (pthread_create (&world.thread, NULL, s_answer, &world), 0);
    assert_int_equal (zmq_curve_keypair (world.broker.public_key, world.broker.secret_key), 0);
    assert_int_equal (zmq_curve_keypair (world.client.public_key, world.client.secret_key), 0);
    world.channel = rp_channel_new (world.own, &world.keys);
    *state = &world;
    return 0;
}

static int s_tear_down (void **state)
{
    s_world_t *world = *state;
    rp_channel_destroy (&world->channel);
    rp_socket_close (world->router, NULL);
    assert_int_equal (zmq_ctx_shutdown (world->context), 0);
    pthread_join (world->thread, NULL);
    rp_socket_close (world->zap, NULL);
    assert_int_equal (zmq_ctx_term (world->context), 0);
    return zmq_ctx_term (world->own);
}

static void s_take_keys (s_world_t *world, const char *server)
{
    assert_int_equal (
      rp_curve_set_keys (&world->keys, world->client.public_key, world->client.secret_key, server),
      RP_OK);
    assert_int_equal (rp_curve_complete (&world->keys), RP_OK);
}

static rp_channel_event_t s_open (s_world_t *world)
{
    int64_t limit = rp_clock_us () + BOUND_US;
    assert_int_equal (rp_channel_open (world->channel, world->endpoint, &world->reason), 0);
    for (;;) {
        rp_channel_event_t event = rp_channel_next_event (world->channel, &world->reason);
        if (event != RP_CHANNEL_NOTHING || rp_clock_us () > limit)
            return event;
        int descriptors[2];
        struct pollfd polled[2];
        int count = rp_channel_descriptors (world->channel, descriptors);
        for (int index = 0; index < count; index++)
            polled[index] = (struct pollfd){.fd = descriptors[index], .events = POLLIN};
        (void) poll (polled, (nfds_t) count, 1000);
    }
}

/*  ---- Handshakes ----------------------------------------------------------------------------- */

static void a_key_that_is_authorized_gets_in (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    s_take_keys (world, world->broker.public_key);
    assert_int_equal (s_open (world), RP_CHANNEL_CONNECTED);
}

static void a_key_that_is_not_is_denied (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    s_take_keys (world, world->broker.public_key);
    world->status = "400";
    assert_int_equal (s_open (world), RP_CHANNEL_DENIED);
    assert_string_equal (world->reason, RP_REASON_KEY_DENIED);
}

static void a_key_that_was_made_here_is_called_so (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    assert_int_equal (rp_curve_set_server_key (&world->keys, world->broker.public_key), RP_OK);
    assert_int_equal (rp_curve_complete (&world->keys), RP_OK);
    world->status = "400";
    assert_int_equal (s_open (world), RP_CHANNEL_DENIED);
    assert_string_equal (world->reason, RP_REASON_KEY_MADE);
}

static void a_broker_that_cannot_look_a_key_up_has_not_denied_it (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    s_take_keys (world, world->broker.public_key);
    world->status = "500";
    assert_int_equal (s_open (world), RP_CHANNEL_FAILED);
    assert_false (rp_reason_is_of_keys (world->reason));
}

/*  Which side first notices that the mechanisms differ is chance, and so is libzmq's report.  */
#define S_TIMES 30

static void another_key_than_the_brokers_fails_at_once (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    s_take_keys (world, world->client.public_key);
    int64_t begin = rp_clock_us ();
    assert_int_equal (s_open (world), RP_CHANNEL_FAILED);
    assert_string_equal (world->reason, RP_REASON_KEY_WRONG);
    assert_true (rp_clock_us () - begin < RP_SOCKET_HANDSHAKE_MS * INT64_C (1000));
}

static void no_key_at_a_broker_with_one_is_said_to_be_missing (void **state)
{
    s_world_t *world = *state;
    s_bind (world, true);
    for (int time = 0; time < S_TIMES; time++) {
        assert_int_equal (s_open (world), RP_CHANNEL_FAILED);
        assert_string_equal (world->reason, RP_REASON_KEY_MISSING);
    }
}

static void a_key_at_a_broker_without_one_never_talks_in_the_clear (void **state)
{
    s_world_t *world = *state;
    s_bind (world, false);
    s_take_keys (world, world->broker.public_key);
    for (int time = 0; time < S_TIMES; time++) {
        assert_int_equal (s_open (world), RP_CHANNEL_FAILED);
        assert_string_equal (world->reason, RP_REASON_KEY_NEEDLESS);
    }
}

/*  Closes each connection as soon as something was read from it.  */
static void *s_hang_up (void *arg)
{
    const int *listener = arg;
    char byte;
    for (int peer; (peer = accept (*listener, NULL, NULL)) >= 0; close (peer))
        (void) recv (peer, &byte, 1, 0);
    return NULL;
}

static void what_hangs_up_twice_is_no_broker (void **state)
{
    s_world_t *world = *state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    pthread_t thread;
    int listener = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (bind (listener, (struct sockaddr *) &name, size), 0);
    assert_int_equal (listen (listener, 8), 0);
    assert_int_equal (getsockname (listener, (struct sockaddr *) &name, &size), 0);
    assert_int_equal (pthread_create (&thread, NULL, s_hang_up, &listener), 0);
    snprintf (world->endpoint, sizeof world->endpoint, "tcp://127.0.0.1:%u",
      (unsigned) ntohs (name.sin_port));
    s_take_keys (world, world->broker.public_key);
    assert_int_equal (s_open (world), RP_CHANNEL_FAILED);
    assert_false (rp_reason_is_of_keys (world->reason));
    assert_int_equal (shutdown (listener, SHUT_RDWR), 0);
    pthread_join (thread, NULL);
    close (listener);
}

static void keys_are_not_used_over_ipc (void **state)
{
    s_world_t *world = *state;
    world->router = rp_socket_router (world->context, 1 << 20, 1000, NULL);
    assert_int_equal (zmq_bind (world->router, "ipc://*"), 0);
    size_t size = sizeof world->endpoint;
    assert_int_equal (zmq_getsockopt (world->router, ZMQ_LAST_ENDPOINT, world->endpoint, &size), 0);
    s_take_keys (world, world->broker.public_key);
    assert_int_equal (s_open (world), RP_CHANNEL_CONNECTED);
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static void keys_from_memory_have_to_be_a_pair (void **state)
{
    const s_world_t *world = *state;
    rp_curve_t keys = {0};
    const char *server = world->broker.public_key;
    assert_int_equal (
      rp_curve_set_keys (&keys, server, world->client.secret_key, server), RP_USAGE);
    assert_non_null (strstr (keys.problem, "give a pair"));
    assert_int_equal (
      rp_curve_set_keys (&keys, "short", world->client.secret_key, server), RP_USAGE);
    assert_non_null (strstr (keys.problem, "40 characters"));
    assert_int_equal (rp_curve_set_keys (&keys, NULL, NULL, NULL), RP_USAGE);
    assert_false (keys.has_pair);
    assert_false (keys.has_server);
    assert_int_equal (rp_curve_complete (&keys), RP_OK); // having no keys at all is allowed
    assert_false (rp_curve_applies (&keys, "tcp://127.0.0.1:1"));
}

static void a_pair_without_the_brokers_key_is_no_start (void **state)
{
    const s_world_t *world = *state;
    rp_curve_t keys = {.has_pair = true};
    assert_int_equal (rp_curve_complete (&keys), RP_USAGE);
    assert_non_null (strstr (keys.problem, "--server-key"));
    assert_int_equal (rp_curve_set_server_key (&keys, world->broker.public_key), RP_OK);
    assert_string_equal (keys.problem, "");
    assert_int_equal (rp_curve_complete (&keys), RP_OK);
    assert_false (keys.is_made);
}

static void forgotten_keys_leave_nothing (void **state)
{
    s_world_t *world = *state;
    static const rp_curve_t nothing;
    s_take_keys (world, world->broker.public_key);
    rp_curve_forget (&world->keys);
    assert_memory_equal (&world->keys, &nothing, sizeof nothing);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (a_key_that_is_authorized_gets_in),
      S_TEST (a_key_that_is_not_is_denied),
      S_TEST (a_key_that_was_made_here_is_called_so),
      S_TEST (a_broker_that_cannot_look_a_key_up_has_not_denied_it),
      S_TEST (another_key_than_the_brokers_fails_at_once),
      S_TEST (no_key_at_a_broker_with_one_is_said_to_be_missing),
      S_TEST (a_key_at_a_broker_without_one_never_talks_in_the_clear),
      S_TEST (what_hangs_up_twice_is_no_broker),
      S_TEST (keys_are_not_used_over_ipc),
      S_TEST (keys_from_memory_have_to_be_a_pair),
      S_TEST (a_pair_without_the_brokers_key_is_no_start),
      S_TEST (forgotten_keys_leave_nothing),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
