/*  The gateway in one process with a broker, a worker and HTTP peers in threads of their own: for the thread
    sanitizer, and for what only an end in the middle shows.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <riposte/worker.h>

#include "gateway/gateway.h"
#include "tests/support/broker.h"

#define S_PEERS 4
#define S_CALLS 50

typedef struct {
    test_broker_t *broker;
    rp_worker_t *worker;
    rp_gateway_t *gateway;
    pthread_t worker_thread;
    pthread_t gateway_thread;
    int signals[2]; /* a pipe in the place of a signalfd */
    int code;       /* of rp_gateway_run */
} s_world_t;

typedef struct {
    pthread_t thread;
    unsigned port;
    atomic_uint answers; /* with 200 */
    unsigned others;
    bool hangs_up; /* after every other request, without waiting for its answer */
    bool until_gone;
} s_peer_t;

static s_world_t s_world;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static void s_echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    (void) rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void *s_work (void *arg)
{
    (void) rp_worker_run (arg, s_echo, NULL);
    return NULL;
}

static void *s_pass_on (void *arg)
{
    s_world_t *world = arg;
    world->code = rp_gateway_run (world->gateway, world->signals[0]);
    return NULL;
}

static int s_connect (unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
      .sin_port = htons ((uint16_t) port),
      .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    struct timeval bound = {.tv_sec = TEST_PATIENCE_MS / 1000};
    int peer = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0)
        return -1;
    (void) setsockopt (peer, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    if (connect (peer, (struct sockaddr *) &address, sizeof address) == 0)
        return peer;
    close (peer);
    return -1;
}

/*  Calls the service on a connection of its own. Returns the status of the answer; 0: there was none.  */
static unsigned s_call (unsigned port, bool hang_up)
{
    static const char text[] =
      "POST /call/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    char answer[16] = "";
    int peer = s_connect (port);
    if (peer < 0)
        return 0;
    ssize_t got = 0;
    if (send (peer, text, sizeof text - 1, MSG_NOSIGNAL) == (ssize_t) sizeof text - 1 && !hang_up)
        got = recv (peer, answer, 12, MSG_WAITALL);
    close (peer);
    return got == 12 ? (unsigned) strtoul (answer + 9, NULL, 10) : 0;
}

static void *s_keep_calling (void *arg)
{
    s_peer_t *self = arg;
    unsigned status = 1;
    for (unsigned turn = 0; self->until_gone ? status != 0 : turn < S_CALLS; turn++) {
        if (self->hangs_up)
            (void) s_call (self->port, true);
        status = s_call (self->port, false);
        if (status == 200)
            self->answers++;
        else
            self->others++;
    }
    return NULL;
}

static int s_set_up (void **state)
{
    (void) state;
    s_world = (s_world_t){.broker = test_broker_start (), .code = -1};
    const char *endpoint = test_broker_endpoint (s_world.broker);
    assert_int_equal (pipe2 (s_world.signals, O_CLOEXEC | O_NONBLOCK), 0);
    assert_non_null (s_world.worker = rp_worker_new (endpoint, "echo"));
    assert_int_equal (pthread_create (&s_world.worker_thread, NULL, s_work, s_world.worker), 0);
    static rp_gateway_options_t options;
    options = (rp_gateway_options_t){.listen = "127.0.0.1:*",
      .server = endpoint,
      .timeout = TEST_PATIENCE_MS * 1000,
      .attempts = 1,
      .max_body = 1000000,
      .total_body = 10000000,
      .connections = 1000,
      .header_bytes = 32768,
      .idle = 60000000,
      .upload = 60000000,
      .conversations = 10,
      .conversation_idle = 60000000,
      .quiet = true};
    assert_non_null (s_world.gateway = rp_gateway_new (&options));
    assert_int_equal (pthread_create (&s_world.gateway_thread, NULL, s_pass_on, &s_world), 0);
    int64_t end = test_now_ms () + TEST_PATIENCE_MS;
    while (s_call (rp_gateway_port (s_world.gateway), false) != 200)
        assert_true (test_now_ms () < end); // the worker has joined
    return 0;
}

static void s_signal (uint32_t number)
{
    struct signalfd_siginfo info = {.ssi_signo = number};
    assert_int_equal (write (s_world.signals[1], &info, sizeof info), sizeof info);
}

static int s_tear_down (void **state)
{
    (void) state;
    rp_gateway_destroy (&s_world.gateway);
    rp_worker_stop (s_world.worker);
    assert_int_equal (pthread_join (s_world.worker_thread, NULL), 0);
    rp_worker_destroy (&s_world.worker);
    test_broker_stop (&s_world.broker);
    close (s_world.signals[0]);
    close (s_world.signals[1]);
    return 0;
}

static void s_start_peers (s_peer_t peers[S_PEERS], bool until_gone)
{
    for (int index = 0; index < S_PEERS; index++) {
        peers[index] = (s_peer_t){.port = rp_gateway_port (s_world.gateway),
          .hangs_up = index % 2,
          .until_gone = until_gone};
        assert_int_equal (
          pthread_create (&peers[index].thread, NULL, s_keep_calling, &peers[index]), 0);
    }
}

/*  ---- Tests ---------------------------------------------------------------------------------- */

static void every_call_is_answered_beside_peers_that_hang_up (void **state)
{
    (void) state;
    s_peer_t peers[S_PEERS];
    s_start_peers (peers, false);
    for (int index = 0; index < S_PEERS; index++) {
        assert_int_equal (pthread_join (peers[index].thread, NULL), 0);
        assert_int_equal (peers[index].answers, S_CALLS);
    }
    s_signal (SIGTERM);
    assert_int_equal (pthread_join (s_world.gateway_thread, NULL), 0);
    assert_int_equal (s_world.code, 0);
}

static void it_ends_in_the_middle_of_calls (void **state)
{
    (void) state;
    s_peer_t peers[S_PEERS];
    s_start_peers (peers, true);
    for (int index = 0; index < S_PEERS; index++)
        while (peers[index].answers == 0) // without calls the first signal ends it
            sched_yield ();
    s_signal (SIGTERM);
    s_signal (SIGTERM);
    assert_int_equal (pthread_join (s_world.gateway_thread, NULL), 0);
    assert_int_equal (s_world.code, 130);
    rp_gateway_destroy (&s_world.gateway);
    for (int index = 0; index < S_PEERS; index++)
        assert_int_equal (pthread_join (peers[index].thread, NULL), 0);
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (
        every_call_is_answered_beside_peers_that_hang_up, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (it_ends_in_the_middle_of_calls, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
