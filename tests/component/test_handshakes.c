/*  What the bytes of a connection tell about its handshake, and which connections are cut.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/handshakes.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { S_PATIENCE = 3 * RP_HANDSHAKES_LOOK_US };

static rp_handshake_state_t s_state (uint64_t sent, uint64_t received)
{
    return rp_handshake_state (
      &(rp_traffic_t){.counted = true, .sent = sent, .received = received});
}

static void s_who_says_nothing_or_too_little_is_not_done (void **state)
{
    (void) state;
    assert_int_equal (s_state (10, 0), RP_HANDSHAKE_OPEN);
    assert_int_equal (s_state (10, 1), RP_HANDSHAKE_OPEN);
    assert_int_equal (s_state (11, 10), RP_HANDSHAKE_OPEN);  // a signature
    assert_int_equal (s_state (14, 12), RP_HANDSHAKE_OPEN);  // ZMTP 2 without an identity
    assert_int_equal (s_state (64, 12), RP_HANDSHAKE_OPEN);  // ZMTP 3, half a greeting
    assert_int_equal (s_state (107, 64), RP_HANDSHAKE_OPEN); // no READY
    assert_int_equal (s_state (107, 90), RP_HANDSHAKE_OPEN);
    assert_int_equal (s_state (10, 78), RP_HANDSHAKE_NOISE); // GET / HTTP/1.1
}

static void s_peers_of_each_version_are_done_with_their_last_byte (void **state)
{
    (void) state;
    assert_int_equal (s_state (10, 2), RP_HANDSHAKE_OLD);
    assert_int_equal (s_state (14, 14), RP_HANDSHAKE_OLD);
    assert_int_equal (s_state (14, 40), RP_HANDSHAKE_OLD);
    assert_int_equal (s_state (107, 91), RP_HANDSHAKE_DONE);
    assert_int_equal (
      s_state (200, 40), RP_HANDSHAKE_DONE); // the broker has sent more than its handshake
}

static void s_over_ipc_it_counts_whether_the_greeting_was_read (void **state)
{
    (void) state;
    assert_int_equal (rp_handshake_state (&(rp_traffic_t){.unread = true}), RP_HANDSHAKE_OPEN);
    assert_int_equal (rp_handshake_state (&(rp_traffic_t){0}), RP_HANDSHAKE_DONE);
}

/*  ---- The line --------------------------------------------------------------------------- */

static rp_handshakes_t s_line;
static rp_connection_t *s_connection;
static int s_pair[2];

static int s_setup (void **state)
{
    (void) state;
    rp_handshakes_init (&s_line, S_PATIENCE);
    if (socketpair (AF_UNIX, SOCK_STREAM, 0, s_pair) != 0
        || send (s_pair[0], "greeting", 8, 0) != 8)
        return -1;
    s_connection = rp_connection_new (s_pair[0], 2);
    return s_connection ? 0 : -1;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_connection_destroy (&s_connection);
    close (s_pair[0]);
    return close (s_pair[1]);
}

static void s_nothing_until (int64_t now, int64_t expected)
{
    int64_t next;
    rp_handshake_state_t end;
    assert_null (rp_handshakes_look (&s_line, now, &end, &next));
    assert_int_equal (next, expected);
}

static void s_who_is_not_done_in_time_is_late (void **state)
{
    (void) state;
    rp_handshakes_add (&s_line, s_connection, 0);
    for (int64_t now = 0; now < S_PATIENCE; now += RP_HANDSHAKES_LOOK_US)
        s_nothing_until (now, now + RP_HANDSHAKES_LOOK_US);
    int64_t next;
    rp_handshake_state_t end;
    assert_ptr_equal (rp_handshakes_look (&s_line, S_PATIENCE, &end, &next), s_connection);
    assert_int_equal (end, RP_HANDSHAKE_LATE);
    s_nothing_until (S_PATIENCE, INT64_MAX);
}

static void s_who_has_spoken_is_done_whatever_its_bytes_say (void **state)
{
    (void) state;
    rp_handshakes_add (&s_line, s_connection, 0);
    s_connection->heard = true;
    int64_t next;
    rp_handshake_state_t end;
    assert_ptr_equal (rp_handshakes_look (&s_line, S_PATIENCE, &end, &next), s_connection);
    assert_int_equal (end, RP_HANDSHAKE_DONE);
}

static void s_who_is_done_is_told_once (void **state)
{
    (void) state;
    char bytes[8];
    rp_handshakes_add (&s_line, s_connection, 0);
    assert_int_equal (recv (s_pair[1], bytes, sizeof bytes, 0), 8);
    int64_t next;
    rp_handshake_state_t end;
    assert_ptr_equal (
      rp_handshakes_look (&s_line, RP_HANDSHAKES_LOOK_US, &end, &next), s_connection);
    assert_int_equal (end, RP_HANDSHAKE_DONE);
    s_nothing_until (RP_HANDSHAKES_LOOK_US, INT64_MAX);
}

static void s_who_has_a_session_or_is_gone_is_not_looked_at (void **state)
{
    (void) state;
    rp_handshakes_add (&s_line, s_connection, 0);
    assert_true (rp_handshakes_has (s_connection));
    assert_true (rp_handshakes_remove (s_connection));
    assert_false (rp_handshakes_remove (s_connection));
    assert_false (rp_handshakes_has (s_connection));
    s_nothing_until (S_PATIENCE, INT64_MAX);
}

/*  A TCP connection that sent more than an identity of ZMTP 1, while a session may have begun on
    it.  */
static rp_handshake_state_t s_end_of_noise (int64_t spoke)
{
    struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket (AF_INET, SOCK_STREAM, 0), peer = socket (AF_INET, SOCK_STREAM, 0);
    assert_int_equal (bind (listener, (struct sockaddr *) &address, size), 0);
    assert_int_equal (getsockname (listener, (struct sockaddr *) &address, &size), 0);
    assert_int_equal (listen (listener, 1), 0);
    assert_int_equal (connect (peer, (struct sockaddr *) &address, size), 0);
    int accepted = accept (listener, NULL, NULL);
    char bytes[10];
    assert_int_equal (send (accepted, "signature!", 10, 0), 10);
    assert_int_equal (recv (peer, bytes, sizeof bytes, MSG_WAITALL), 10);
    assert_int_equal (send (peer, "GET / HTTP", 10, 0), 10);
    assert_int_equal (recv (accepted, bytes, sizeof bytes, MSG_WAITALL), 10);
    rp_connection_t *connection = rp_connection_new (accepted, 1);
    assert_non_null (connection);
    rp_handshakes_add (&s_line, connection, 1000);
    rp_handshakes_spoke (&s_line, 0, 2000); // of another connection
    rp_handshakes_spoke (&s_line, 1, spoke);
    int64_t next;
    rp_handshake_state_t end;
    assert_ptr_equal (rp_handshakes_look (&s_line, 1000 + S_PATIENCE, &end, &next), connection);
    rp_connection_destroy (&connection);
    close (peer);
    close (accepted);
    close (listener);
    return end;
}

static void s_noise_is_late_unless_it_may_have_begun_a_session (void **state)
{
    (void) state;
    assert_int_equal (s_end_of_noise (999), RP_HANDSHAKE_LATE);
    assert_int_equal (s_end_of_noise (2000), RP_HANDSHAKE_DONE);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_who_says_nothing_or_too_little_is_not_done),
      cmocka_unit_test (s_peers_of_each_version_are_done_with_their_last_byte),
      cmocka_unit_test (s_over_ipc_it_counts_whether_the_greeting_was_read),
      S_TEST (s_who_is_not_done_in_time_is_late),
      S_TEST (s_who_is_done_is_told_once),
      S_TEST (s_who_has_spoken_is_done_whatever_its_bytes_say),
      S_TEST (s_who_has_a_session_or_is_gone_is_not_looked_at),
      S_TEST (s_noise_is_late_unless_it_may_have_begun_a_session),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
