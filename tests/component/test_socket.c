/*  SPDX-License-Identifier: MPL-2.0

    The sockets' options as libzmq has them, their monitors, and the form of endpoints.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <errno.h>
#include <sys/resource.h>
#include <zmq.h>

#include "common/io/socket.h"

static int s_option (void *socket, int name)
{
    int value = -12345;
    size_t size = sizeof value;
    assert_int_equal (zmq_getsockopt (socket, name, &value, &size), 0);
    return value;
}

/*  The options that protect against hostile peers are set on the socket itself.  */
static void sockets_have_their_options (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    void *router = rp_socket_router (context, 4321, 17, NULL);
    void *dealer = rp_socket_dealer (context);
    assert_non_null (router);
    assert_non_null (dealer);
    int64_t largest = 0;
    size_t size = sizeof largest;
    assert_int_equal (zmq_getsockopt (router, ZMQ_MAXMSGSIZE, &largest, &size), 0);
    assert_int_equal (largest, 4321);
    assert_int_equal (s_option (router, ZMQ_SNDHWM), 17);
    assert_int_equal (s_option (router, ZMQ_BACKLOG), 4096);
    assert_int_equal (
      s_option (router, ZMQ_HANDSHAKE_IVL), 0); // broker/transport/handshakes.h takes its place
    assert_int_equal (s_option (dealer, ZMQ_HANDSHAKE_IVL), 3000);
    void *const both[] = {router, dealer};
    for (size_t index = 0; index < 2; index++) {
        assert_int_equal (s_option (both[index], ZMQ_RCVHWM), 0);
        assert_int_equal (s_option (both[index], ZMQ_LINGER), 0);
        assert_int_equal (s_option (both[index], ZMQ_HEARTBEAT_IVL), 0); // libzmq#4364
        assert_int_equal (s_option (both[index], ZMQ_TCP_KEEPALIVE), 1);
        assert_int_equal (s_option (both[index], ZMQ_TCP_KEEPALIVE_IDLE), 15);
        assert_int_equal (s_option (both[index], ZMQ_TCP_KEEPALIVE_INTVL), 5);
        assert_int_equal (s_option (both[index], ZMQ_TCP_KEEPALIVE_CNT), 3);
        assert_int_equal (s_option (both[index], ZMQ_TCP_MAXRT), 20000);
    }
    rp_socket_close (router, NULL);
    rp_socket_close (dealer, NULL);
    zmq_ctx_term (context);
}

/*  The routing id that a ROUTER draws for its first peer.  */
static uint32_t s_first_id (void)
{
    void *context = zmq_ctx_new ();
    srand (1); // a known seed: libzmq's own, the time, can be guessed too
    void *router = rp_socket_router (context, -1, 10, NULL);
    void *dealer = rp_socket_dealer (context);
    assert_int_equal (zmq_bind (router, "inproc://ids"), 0);
    assert_int_equal (zmq_connect (dealer, "inproc://ids"), 0);
    assert_int_equal (zmq_send (dealer, "", 0, 0), 0);
    unsigned char id[5];
    assert_int_equal (zmq_recv (router, id, sizeof id, 0), sizeof id);
    rp_socket_close (dealer, NULL);
    rp_socket_close (router, NULL);
    zmq_ctx_term (context);
    uint32_t value;
    memcpy (&value, id + 1, sizeof value);
    return value;
}

static void routing_ids_do_not_follow_from_a_seed_that_a_peer_may_know (void **state)
{
    (void) state;
    uint32_t ids[4];
    for (size_t index = 0; index < 4; index++) {
        ids[index] = s_first_id ();
        for (size_t before = 0; before < index; before++)
            assert_int_not_equal (ids[index], ids[before]);
    }
}

static void a_monitor_tells_of_connections_and_is_detached (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    for (uint64_t number = 1; number <= 2; number++) {
        void *router = rp_socket_router (context, -1, 10, NULL);
        void *monitor = rp_socket_monitor (context, router, ZMQ_EVENT_ACCEPTED, number);
        assert_non_null (monitor);
        uint32_t value = 0;
        assert_int_equal (rp_socket_next_event (monitor, &value), 0);
        assert_int_equal (zmq_bind (router, "tcp://127.0.0.1:*"), 0);
        char endpoint[100];
        size_t size = sizeof endpoint;
        assert_int_equal (zmq_getsockopt (router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
        void *dealer = rp_socket_dealer (context);
        assert_int_equal (zmq_connect (dealer, endpoint), 0);
        zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
        assert_int_equal (zmq_poll (&item, 1, 10000), 1);
        assert_int_equal (rp_socket_next_event (monitor, &value), ZMQ_EVENT_ACCEPTED);
        assert_in_range (value, 3, 10000); // a descriptor
        assert_int_equal (rp_socket_next_event (monitor, &value), 0);
        rp_socket_close (dealer, NULL);
        rp_socket_close (router, monitor);
    }
    rp_socket_close (NULL, NULL);
    zmq_ctx_term (context);
}

/*  ---- Endpoints ------------------------------------------------------------------------------ */

static void assert_form (const char *endpoint, bool bind, bool peer)
{
    const char *reason = NULL;
    if (rp_socket_endpoint_is_valid (endpoint, strlen (endpoint), &reason) != bind)
        fail_msg ("to bind: %s %s", endpoint, reason ? reason : "is valid");
    assert_int_equal (reason == NULL, bind);
    if (rp_socket_peer_endpoint_is_valid (endpoint, strlen (endpoint), &reason) != peer)
        fail_msg ("to connect: %s %s", endpoint, reason ? reason : "is valid");
    assert_int_equal (reason == NULL, peer);
}

static void endpoints_are_checked (void **state)
{
    (void) state;
    static const char *const good[] = {
      "tcp://127.0.0.1:5555",
      "tcp://localhost:1",
      "tcp://broker-1.example.org:65535",
      "tcp://[::1]:5555",
      "tcp://eth0:5555",
      "tcp://[fe80::1%eth0]:5555",
      "ipc:///run/riposte",
      "ipc://@abstract",
    };
    static const char *const for_bind[] = {
      "tcp://*:5555",
      "tcp://127.0.0.1:*",
      "tcp://*:*",
      "tcp://127.0.0.1:0",
      "tcp://[::]:*",
    };
    static const char *const bad[] = {
      "",
      "tcp",
      "tcp://",
      "tcp://host",
      "tcp://host:",
      "tcp://:5555",
      "tcp://host:99999",
      "tcp://host:65536",
      "tcp://host:18446744073709551617",
      "tcp://host:-1",
      "tcp://host:5a",
      "tcp://host: 55",
      "tcp://ho st:5555",
      "tcp://host;tcp:5555",
      "tcp://::1:5555",
      "tcp://[::1]",
      "tcp://[::1:5555",
      "tcp://[]:5555",
      "tcp://[::1]x:5555",
      "tcp://[localhost]:5555",
      "tcp://[1:2]:5555",
      "tcp://[%eth0]:5555",
      "tcp://a\x01:5555",
      "ipc://",
      "udp://127.0.0.1:5555",
      "inproc://x",
      "TCP://127.0.0.1:5555",
      "127.0.0.1:5555",
      "tcp://\xc3\xa4:5555",
      "ipc:///tmp/a\nb",
      "tcp://**:5555",
    };
    for (size_t index = 0; index < sizeof good / sizeof *good; index++)
        assert_form (good[index], true, true);
    for (size_t index = 0; index < sizeof for_bind / sizeof *for_bind; index++)
        assert_form (for_bind[index], true, false);
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++)
        assert_form (bad[index], false, false);
    assert_form ("srv:_riposte._tcp.example.org", false, true);
    assert_form ("srv:", false, false);
    assert_form ("srv:_riposte._tcp.example.org:5555", false, false);
    const char *reason;
    assert_false (rp_socket_endpoint_is_valid ("tcp://a\0b:5555", 14, &reason));
    char path[200] = "ipc://";
    memset (path + 6, 'x', 107);
    assert_form (path, true, true);
    path[6 + 107] = 'x';
    assert_form (path, false, false);
}

/*  libzmq binds and shows endpoints whose form is allowed.  */
static void an_ipv6_address_can_be_bound_and_an_ipv4_address_is_shown_as_one (void **state)
{
    (void) state;
    void *context = zmq_ctx_new ();
    void *router = rp_socket_router (context, -1, 10, NULL);
    char endpoint[100];
    size_t size = sizeof endpoint;
    assert_int_equal (rp_socket_prepare (router, "tcp://[::1]:*"), 0);
    if (zmq_bind (router, "tcp://[::1]:*") == 0) { // a machine may have no IPv6
        assert_int_equal (zmq_getsockopt (router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
        assert_memory_equal (endpoint, "tcp://[::1]:", 12);
    }
    assert_int_equal (rp_socket_prepare (router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal (zmq_bind (router, "tcp://127.0.0.1:*"), 0);
    size = sizeof endpoint;
    assert_int_equal (zmq_getsockopt (router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    assert_memory_equal (endpoint, "tcp://127.0.0.1:", 16);
    rp_socket_close (router, NULL);
    zmq_ctx_term (context);
}

/*  ---- The send buffer ------------------------------------------------------------------------ */

#define S_LOCAL 262144

static void a_socket_to_this_machine_sends_through_a_small_buffer_and_no_other (void **state)
{
    (void) state;
    static const struct {
        const char *endpoint;
        int size;
    } cases[] = {
      {"tcp://127.0.0.1:5555", S_LOCAL},
      {"tcp://localhost:5555", S_LOCAL},
      {"tcp://[::1]:5555", S_LOCAL},
      {"tcp://192.0.2.7:5555", -1},
      {"tcp://12.7.0.1:5555", -1},
      {"tcp://[2001:db8::1]:5555", -1},
      {"ipc:///tmp/127.0.0.1", -1},
    };
    void *context = zmq_ctx_new ();
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        void *dealer = rp_socket_dealer (context);
        assert_int_equal (rp_socket_connect (dealer, cases[index].endpoint), 0);
        if (s_option (dealer, ZMQ_SNDBUF) != cases[index].size)
            fail_msg ("%s: %d", cases[index].endpoint, s_option (dealer, ZMQ_SNDBUF));
        rp_socket_close (dealer, NULL);
    }
    zmq_ctx_term (context);
}

static struct sockaddr_in s_loopback (const char *address)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    assert_int_equal (inet_pton (AF_INET, address, &name.sin_addr), 1);
    return name;
}

/*  Reads the send buffer of a connection from this address, before and after it is set.  */
static void s_accept_from (const char *address, int *before, int *after)
{
    struct sockaddr_in name = s_loopback ("127.0.0.1");
    socklen_t size = sizeof name;
    int listener = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (bind (listener, (struct sockaddr *) &name, size), 0);
    assert_int_equal (listen (listener, 1), 0);
    assert_int_equal (getsockname (listener, (struct sockaddr *) &name, &size), 0);
    struct sockaddr_in from = s_loopback (address);
    int client = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (bind (client, (struct sockaddr *) &from, sizeof from), 0);
    assert_int_equal (connect (client, (struct sockaddr *) &name, sizeof name), 0);
    int accepted = accept (listener, NULL, NULL);
    socklen_t int_size = sizeof *before;
    assert_int_equal (getsockopt (accepted, SOL_SOCKET, SO_SNDBUF, before, &int_size), 0);
    rp_socket_accepted (accepted);
    assert_int_equal (getsockopt (accepted, SOL_SOCKET, SO_SNDBUF, after, &int_size), 0);
    close (accepted);
    close (client);
    close (listener);
    rp_socket_accepted (accepted); // the connection is closed by now
}

/*  Seen from 127.0.0.1, 127.0.0.2 counts as another machine.  */
static void a_connection_from_this_machine_gets_a_small_send_buffer_and_no_other (void **state)
{
    (void) state;
    int before = 0;
    int after = 0;
    s_accept_from ("127.0.0.1", &before, &after);
    assert_int_equal (after, 2 * S_LOCAL); // Linux doubles the value that is set
    s_accept_from ("127.0.0.2", &before, &after);
    assert_int_equal (after, before);
    assert_int_not_equal (before, 2 * S_LOCAL);
}

static void too_few_descriptors_are_an_error_and_not_the_end (void **state)
{
    (void) state;
    struct rlimit before;
    assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
    int next = dup (0);
    assert_true (next >= 0);
    close (next);
    for (int left = 0; left <= 40; left++) {
        struct rlimit few = {.rlim_cur = (rlim_t) (next + left), .rlim_max = before.rlim_max};
        assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
        errno = 0;
        void *context = zmq_ctx_new ();
        void *socket = context ? rp_socket_dealer (context) : NULL;
        int reason = errno;
        if (socket)
            rp_socket_close (socket, NULL);
        if (context)
            zmq_ctx_term (context);
        assert_true (socket ? left > 5 : reason == EMFILE);
    }
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
}

/*  A broker there cannot be reached from other machines, so it needs no key.  */
static void only_addresses_of_this_machine_are_loopback (void **state)
{
    static const char *const own[] = {
      "tcp://127.0.0.1:5555", "tcp://127.1.2.3:*", "tcp://localhost:5555", "tcp://[::1]:5555"};
    static const char *const others[] = {"tcp://127.example.org:5555", "tcp://127.0.0.1.de:5555",
      "tcp://localhost.example.org:5555", "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555",
      "tcp://[::ffff:127.0.0.1]:5555", "tcp://10.127.0.1:5555", "ipc://127.0.0.1:5"};
    (void) state;
    for (size_t index = 0; index < sizeof own / sizeof *own; index++)
        assert_true (rp_socket_endpoint_is_loopback (own[index]));
    for (size_t index = 0; index < sizeof others / sizeof *others; index++)
        assert_false (rp_socket_endpoint_is_loopback (others[index]));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (too_few_descriptors_are_an_error_and_not_the_end),
      cmocka_unit_test (sockets_have_their_options),
      cmocka_unit_test (routing_ids_do_not_follow_from_a_seed_that_a_peer_may_know),
      cmocka_unit_test (a_monitor_tells_of_connections_and_is_detached),
      cmocka_unit_test (endpoints_are_checked),
      cmocka_unit_test (an_ipv6_address_can_be_bound_and_an_ipv4_address_is_shown_as_one),
      cmocka_unit_test (a_socket_to_this_machine_sends_through_a_small_buffer_and_no_other),
      cmocka_unit_test (a_connection_from_this_machine_gets_a_small_send_buffer_and_no_other),
      cmocka_unit_test (only_addresses_of_this_machine_are_loopback),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
