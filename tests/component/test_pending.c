/*  Connections that never send a HELLO, on the real broker.

    SPDX-License-Identifier: MPL-2.0
*/

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zmq.h>

#include <sys/socket.h>
#include <unistd.h>

#include "broker/transport/pending.h"
#include "common/io/channel.h"
#include "tests/support/broker.h"
#include "tests/support/peer.h"

#define S_GREETING_MS 200u
#define S_BOUND_MS 10000

static test_broker_t *s_broker;
static void *s_context;
static rp_channel_t *s_channel;

static int s_start (uint64_t pending)
{
    rp_limits_t limits = test_broker_limits ();
    limits.pending_timeout = S_GREETING_MS;
    limits.pending_connections = pending;
    s_broker = test_broker_start_with (&limits);
    s_context = zmq_ctx_new ();
    s_channel = rp_channel_new (s_context, NULL);
    assert_non_null (s_channel);
    const char *reason;
    assert_int_equal (rp_channel_open (s_channel, test_broker_endpoint (s_broker), &reason), 0);
    return 0;
}

static int s_setup (void **state)
{
    (void) state;
    return s_start (0);
}

static int s_setup_few (void **state)
{
    (void) state;
    return s_start (1);
}

static int s_teardown (void **state)
{
    (void) state;
    rp_channel_destroy (&s_channel);
    test_broker_stop (&s_broker);
    return zmq_ctx_term (s_context);
}

static void s_expect (rp_channel_event_t expected)
{
    const char *reason;
    for (int64_t end = test_now_ms () + S_BOUND_MS; test_now_ms () < end;) {
        rp_channel_event_t event = rp_channel_next_event (s_channel, &reason);
        if (event != RP_CHANNEL_NOTHING) {
            assert_int_equal (event, expected);
            return;
        }
        struct pollfd event_fd = {.fd = rp_channel_event_descriptor (s_channel), .events = POLLIN};
        poll (&event_fd, 1, 100);
    }
    fail_msg ("no event within %d ms", S_BOUND_MS);
}

static void s_who_never_greets_is_cut_and_who_did_is_not (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    int64_t begin = test_now_ms ();
    s_expect (RP_CHANNEL_CONNECTED);
    s_expect (RP_CHANNEL_FAILED);
    assert_true (test_now_ms () - begin >= S_GREETING_MS / 2);
    // This client came before the pending connection whose time has just ended.
    test_client_request (client, 1, "riposte.ping", "still here");
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_destroy (&client);
}

static void s_whose_session_ended_has_to_greet_again_or_is_cut (void **state)
{
    (void) state;
    s_expect (RP_CHANNEL_CONNECTED);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .interval_ms = 60000};
    assert_int_equal (rp_channel_send_head (s_channel, &hello), 0);
    assert_int_equal (rp_channel_send_head (s_channel, &hello), 0); // a second one ends the session
    s_expect (RP_CHANNEL_FAILED);
}

/*  A second one is over the number that is left alone, so the first is cut when its time ends.  */
static void s_who_never_greets_is_left_alone_among_few (void **state)
{
    (void) state;
    const char *reason;
    s_expect (RP_CHANNEL_CONNECTED);
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    for (int64_t end = test_now_ms () + 2 * S_GREETING_MS; test_now_ms () < end;) {
        test_client_request (client, 1, "riposte.ping", "are you there?");
        test_peer_expect_reply (client, 1, RP_OK);
    }
    assert_int_equal (rp_channel_next_event (s_channel, &reason), RP_CHANNEL_NOTHING);
    test_peer_t *second = test_peer_new (test_broker_endpoint (s_broker));
    s_expect (RP_CHANNEL_FAILED);
    test_peer_destroy (&second);
    test_peer_destroy (&client);
}

/*  ---- By themselves ------------------------------------------------------------------------- */

enum { S_PATIENCE = 100, S_MANY = 5 };

static rp_pending_t s_pending;
static rp_connection_t *s_connections[S_MANY];
static int s_pairs[S_MANY][2];

static int s_setup_pairs (void **state)
{
    (void) state;
    for (int index = 0; index < S_MANY; index++)
        if (socketpair (AF_UNIX, SOCK_STREAM, 0, s_pairs[index]) != 0
            || !(s_connections[index] = rp_connection_new (s_pairs[index][0], 0)))
            return -1;
    return 0;
}

static int s_teardown_pairs (void **state)
{
    (void) state;
    for (int index = 0; index < S_MANY; index++) {
        rp_connection_destroy (&s_connections[index]);
        close (s_pairs[index][0]);
        close (s_pairs[index][1]);
    }
    return 0;
}

static bool s_is_cut (int index)
{
    char byte;
    return recv (s_pairs[index][1], &byte, 1, MSG_DONTWAIT) == 0;
}

/*  All connections come, one after another, from 0 on.  */
static void s_let_them_come (uint64_t left_alone)
{
    rp_pending_init (&s_pending, S_PATIENCE, left_alone);
    for (int index = 0; index < S_MANY; index++)
        rp_pending_add (&s_pending, s_connections[index], index);
}

static size_t s_tick (int64_t now, int64_t expected_next)
{
    int64_t next;
    size_t cut = rp_pending_tick (&s_pending, now, &next);
    assert_int_equal (next, expected_next);
    return cut;
}

static void s_the_oldest_are_cut_when_there_are_too_many (void **state)
{
    (void) state;
    s_let_them_come (3);
    assert_int_equal (s_tick (S_PATIENCE - 1, S_PATIENCE), 0);
    assert_int_equal (s_tick (S_PATIENCE, S_PATIENCE + 1), 1);
    assert_true (s_is_cut (0));
    assert_int_equal (s_tick (S_PATIENCE + 4, INT64_MAX), 1);
    assert_true (s_is_cut (1));
    for (int index = 2; index < S_MANY; index++)
        assert_false (s_is_cut (index)); // their time has ended, but there are few
}

static void s_a_changed_limit_holds_for_those_that_wait (void **state)
{
    (void) state;
    s_let_them_come (S_MANY);
    rp_pending_change (&s_pending, S_PATIENCE / 2, 3, S_MANY);
    assert_int_equal (s_tick (S_MANY + S_PATIENCE / 2 - 1, S_MANY + S_PATIENCE / 2), 0);
    assert_int_equal (s_tick (S_MANY + S_PATIENCE / 2, INT64_MAX), 2);
    assert_true (s_is_cut (0) && s_is_cut (1));
    rp_pending_change (&s_pending, 2 * S_PATIENCE, 2, S_PATIENCE);
    assert_int_equal (s_tick (S_PATIENCE, INT64_MAX), 1);
}

static void s_who_has_a_session_or_is_gone_does_not_count (void **state)
{
    (void) state;
    s_let_them_come (3);
    rp_pending_remove (&s_pending, s_connections[4]);
    rp_pending_remove (&s_pending, s_connections[1]);
    rp_pending_remove (&s_pending, s_connections[1]);
    assert_int_equal (s_tick (S_PATIENCE + 4, INT64_MAX), 0);
    rp_pending_add (&s_pending, s_connections[4], S_PATIENCE + 4); // as when its session has ended
    assert_int_equal (s_tick (S_PATIENCE + 4, INT64_MAX), 1);
    assert_true (s_is_cut (0));
}

static void s_who_comes_again_on_a_descriptor_counts_once_and_anew (void **state)
{
    (void) state;
    s_let_them_come (0);
    rp_pending_add (&s_pending, s_connections[0], S_PATIENCE);
    assert_int_equal (s_pending.count, S_MANY);
    assert_int_equal (s_tick (S_PATIENCE + 4, 2 * S_PATIENCE), S_MANY - 1);
    assert_false (s_is_cut (0));
}

/*  A connection whose end was not read yet may have lost its descriptor to another.  */
static void s_who_got_the_descriptor_of_another_is_not_cut (void **state)
{
    (void) state;
    int other[2];
    s_let_them_come (0);
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, other), 0);
    assert_int_equal (dup2 (other[0], s_pairs[2][0]), s_pairs[2][0]);
    assert_int_equal (s_tick (S_PATIENCE + 4, INT64_MAX), S_MANY - 1);
    char byte;
    assert_int_equal (recv (other[1], &byte, 1, MSG_DONTWAIT), -1);
    close (other[0]);
    close (other[1]);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup_pairs, s_teardown_pairs)
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (
        s_who_never_greets_is_cut_and_who_did_is_not, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (
        s_whose_session_ended_has_to_greet_again_or_is_cut, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (
        s_who_never_greets_is_left_alone_among_few, s_setup_few, s_teardown),
      S_TEST (s_the_oldest_are_cut_when_there_are_too_many),
      S_TEST (s_a_changed_limit_holds_for_those_that_wait),
      S_TEST (s_who_has_a_session_or_is_gone_does_not_count),
      S_TEST (s_who_comes_again_on_a_descriptor_counts_once_and_anew),
      S_TEST (s_who_got_the_descriptor_of_another_is_not_cut),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
