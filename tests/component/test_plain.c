/*  A plain service on the real broker, with peers at its endpoints that break the rules.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <zmq.h>

#include "tests/support/broker.h"
#include "tests/support/peer.h"

enum { S_FRONT = 1, S_BACK = 2, S_SOCKETS = 64 };

static test_broker_t *s_broker;
static test_peer_t *s_observer;
static void *s_context;
static void *s_sockets[S_SOCKETS];
static size_t s_socket_count;

static int s_setup (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.foreign_attempt = 200;
    s_broker = test_broker_start_plain (&limits, "svc");
    s_observer = test_client_new (test_broker_endpoint (s_broker));
    s_context = zmq_ctx_new ();
    s_socket_count = 0;
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    for (size_t index = 0; index < s_socket_count; index++)
        if (s_sockets[index])
            zmq_close (s_sockets[index]);
    zmq_ctx_term (s_context);
    test_peer_destroy (&s_observer);
    test_broker_stop (&s_broker);
    return 0;
}

/*  ---- Sockets ------------------------------------------------------------------------------ */

static void *s_new (int type)
{
    int patience = TEST_PATIENCE_MS, linger = 0;
    void *socket = zmq_socket (s_context, type);
    assert_non_null (socket);
    assert_true (s_socket_count < S_SOCKETS);
    s_sockets[s_socket_count++] = socket;
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt (socket, ZMQ_LINGER, &linger, sizeof linger);
    return socket;
}

static void s_connect (void *socket, size_t endpoint)
{
    assert_int_equal (zmq_connect (socket, test_broker_endpoint_at (s_broker, endpoint)), 0);
}

static void *s_socket_of (int type, size_t endpoint, const void *routing_id, size_t size)
{
    void *socket = s_new (type);
    if (size)
        assert_int_equal (zmq_setsockopt (socket, ZMQ_ROUTING_ID, routing_id, size), 0);
    s_connect (socket, endpoint);
    return socket;
}

static void *s_socket (int type, size_t endpoint)
{
    return s_socket_of (type, endpoint, NULL, 0);
}

static void s_close (void *socket)
{
    for (size_t index = 0; index < s_socket_count; index++)
        if (s_sockets[index] == socket)
            s_sockets[index] = NULL;
    zmq_close (socket);
}

/*  Frames as text, separated by bars.  */
static void s_send (void *socket, const char *text)
{
    for (;;) {
        size_t size = strcspn (text, "|");
        int flags = text[size] ? ZMQ_SNDMORE : 0;
        assert_int_equal (zmq_send (socket, text, size, flags), size);
        if (!flags)
            return;
        text += size + 1;
    }
}

static void s_expect (void *socket, const char *text)
{
    char got[1024] = "";
    size_t used = 0;
    int more = 1;
    for (size_t size = sizeof more; more; zmq_getsockopt (socket, ZMQ_RCVMORE, &more, &size)) {
        int length = zmq_recv (socket, got + used, sizeof got - used - 2, 0);
        if (length < 0)
            fail_msg ("nothing came, instead of %s", text);
        used += (size_t) length;
        got[used++] = '|';
    }
    got[used - 1] = '\0';
    assert_string_equal (got, text);
}

/*  ---- What the broker says ------------------------------------------------------------------ */

static int64_t s_count (const char *group, const char *name)
{
    return test_client_count (s_observer, group, name);
}

static int64_t s_foreign (const char *group, const char *name)
{
    json_t *status = test_client_status (s_observer);
    json_t *foreign = json_object_get (status, "foreign");
    json_t *number = json_object_get (json_object_get (foreign, group), name);
    assert_true (json_is_integer (number));
    int64_t value = json_integer_value (number);
    json_decref (status);
    return value;
}

static void s_await_workers (int64_t count)
{
    test_client_await_count (s_observer, NULL, "workers", count);
}

/*  Makes a REP worker that the broker knows.  */
static void *s_rep (void)
{
    int64_t joined = s_count ("counters", "workers_joined");
    void *rep = s_socket (ZMQ_REP, S_BACK);
    test_client_await_count (s_observer, "counters", "workers_joined", joined + 1);
    return rep;
}

/*  ---- Tests --------------------------------------------------------------------------------- */

static void s_a_service_is_there_while_a_worker_is_connected (void **state)
{
    (void) state;
    assert_int_equal (s_count (NULL, "workers"), 0);
    for (int round = 0; round < 3; round++) {
        void *rep = s_rep ();
        void *second = s_socket (ZMQ_REP, S_BACK);
        s_await_workers (1); // both are one session
        s_close (rep);
        s_close (second);
        s_await_workers (0);
    }
    assert_int_equal (s_foreign ("now", "PLAIN"), 0);
    assert_int_equal (s_foreign ("ever", "PLAIN"), s_count ("counters", "workers_joined"));
}

/*  Connects, and waits until it is refused. Each has a name of its own, since libzmq frees a name
    only some time after its socket was closed.  */
static void s_connect_wrong (int number)
{
    char event[256];
    char name[32];
    snprintf (name, sizeof name, "inproc://wrong-%d", number);
    void *wrong = s_new (ZMQ_PUSH);
    void *monitor = s_new (ZMQ_PAIR);
    assert_int_equal (zmq_socket_monitor (wrong, name, ZMQ_EVENT_DISCONNECTED), 0);
    assert_int_equal (zmq_connect (monitor, name), 0);
    s_connect (wrong, S_BACK);
    assert_true (zmq_recv (monitor, event, sizeof event, 0) > 0);
    s_close (monitor);
    s_close (wrong);
}

static void s_sockets_of_the_wrong_type_do_not_drive_workers_away (void **state)
{
    (void) state;
    void *rep = s_rep ();
    for (int round = 0; round < 5; round++) {
        s_connect_wrong (round);
        void *req = s_socket (ZMQ_REQ, S_FRONT);
        s_send (req, "a");
        s_expect (rep, "a");
        s_send (rep, "b");
        s_expect (req, "b");
        s_close (req);
        assert_int_equal (s_count (NULL, "workers"), 1);
    }
    assert_int_equal (s_count ("counters", "workers_joined"), 1);
}

/*  The worker's reply is lost and its request is tried again. All others go on.  */
static void s_a_reply_that_cannot_be_read_does_not_end_the_session (void **state)
{
    (void) state;
    void *rep = s_rep ();
    void *req = s_socket (ZMQ_REQ, S_FRONT);
    s_send (req, "a");
    s_expect (rep, "a");
    for (unsigned frame = 0; frame < RP_FRAMES_MAX; frame++)
        assert_int_equal (zmq_send (rep, "", 0, ZMQ_SNDMORE), 0);
    s_send (rep, "b");
    s_expect (rep, "a"); // the second attempt
    s_send (rep, "b");
    s_expect (req, "b");
    assert_int_equal (s_count ("counters", "workers_joined"), 1);
    assert_int_equal (s_count ("counters", "too_many_frames"), 1);
}

/*  A DEALER at the back may send anything.  */
static void s_nonsense_from_a_worker_is_dropped_and_counted (void **state)
{
    (void) state;
    int64_t joined = s_count ("counters", "workers_joined");
    void *dealer = s_socket (ZMQ_DEALER, S_BACK);
    test_client_await_count (s_observer, "counters", "workers_joined", joined + 1);
    s_send (dealer, "MDPW01");
    s_send (dealer, "a reply||to nobody");
    test_client_await_count (s_observer, "counters", "late_replies", 1);
    assert_int_equal (s_foreign ("bad", "FRAMES"), 1);
    void *req = s_socket (ZMQ_REQ, S_FRONT);
    s_send (req, "a");
    char token[18];
    assert_int_equal (zmq_recv (dealer, token, sizeof token, 0), sizeof token);
    s_expect (dealer, "|a");
    zmq_send (dealer, token, sizeof token, ZMQ_SNDMORE);
    s_send (dealer, "|b|c");
    s_expect (req, "b|c");
}

static void s_a_client_with_the_longest_routing_id_has_one_session (void **state)
{
    (void) state;
    char id[255];
    memset (id, 'i', sizeof id);
    void *rep = s_rep ();
    void *req = s_socket_of (ZMQ_REQ, S_FRONT, id, sizeof id);
    for (int round = 0; round < 3; round++) {
        s_send (req, "a");
        s_expect (rep, "a");
        s_send (rep, "b");
        s_expect (req, "b");
    }
    assert_int_equal (s_foreign ("now", "PLAIN"), 2);
}

/*  The routing ids look like the broker's own keys of sessions at other listeners.  */
static void s_a_routing_id_leads_to_nobody_else (void **state)
{
    (void) state;
    static const char there[13] = "\0gate\0\0\1abcde";
    static const char nowhere[13] = "\0gate\0\0\xff"
                                    "abcde";
    void *rep = s_rep ();
    void *req = s_socket_of (ZMQ_REQ, S_FRONT, "abcde", 5);
    s_send (req, "a");
    s_expect (rep, "a");
    void *hostile[2] = {s_socket_of (ZMQ_DEALER, 0, there, sizeof there),
      s_socket_of (ZMQ_DEALER, 0, nowhere, sizeof nowhere)};
    for (int index = 0; index < 2; index++) {
        s_send (hostile[index], "|MDPC01|mmi.service|svc");
        s_expect (hostile[index], "|MDPC01|mmi.service|200");
    }
    s_send (rep, "b");
    s_expect (req, "b");
    assert_int_equal (s_foreign ("now", "MDP01"), 2);
}

/*  With the same routing id it is the same client, on another connection.  */
static void s_a_client_that_comes_back_is_served (void **state)
{
    (void) state;
    void *rep = s_rep ();
    for (int round = 0; round < 5; round++) {
        void *req = s_socket_of (ZMQ_REQ, S_FRONT, "me", 2);
        s_send (req, "a");
        s_expect (rep, "a");
        s_send (rep, "b");
        s_expect (req, "b");
        s_close (req);
        test_client_await_count (s_observer, NULL, "clients", 1); // only the observer
    }
    assert_int_equal (s_foreign ("now", "PLAIN"), 1);
}

static void s_envelopes_are_told_and_go_with_their_client (void **state)
{
    (void) state;
    void *req = s_socket (ZMQ_REQ, S_FRONT);
    s_send (req, "nobody is there");
    test_client_await_count (s_observer, "foreign", "envelopes", 1);
    assert_true (s_count ("foreign", "envelope_bytes") > 0);
    s_close (req);
    test_client_await_count (s_observer, "foreign", "envelopes", 0);
    assert_int_equal (s_count ("foreign", "envelope_bytes"), 0);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_service_is_there_while_a_worker_is_connected),
      S_TEST (s_sockets_of_the_wrong_type_do_not_drive_workers_away),
      S_TEST (s_a_reply_that_cannot_be_read_does_not_end_the_session),
      S_TEST (s_nonsense_from_a_worker_is_dropped_and_counted),
      S_TEST (s_a_client_with_the_longest_routing_id_has_one_session),
      S_TEST (s_a_routing_id_leads_to_nobody_else),
      S_TEST (s_a_client_that_comes_back_is_served),
      S_TEST (s_envelopes_are_told_and_go_with_their_client),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
