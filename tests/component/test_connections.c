/*  Which session is on which connection, tried with real sockets.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static rp_connections_t s_peers;

static int s_setup (void **state)
{
    (void) state;
    rp_connections_init (
      &s_peers, &(rp_connections_options_t){
                  .seed = UINT64_C (0x123456789abcdef), .handshake = 3000000, .pending = 1000000});
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_connections_clear (&s_peers);
    return 0;
}

/*  Makes the id of a session from its number and how often that number was used.  */
static rp_session_id_t s_peer (uint32_t number, uint32_t use)
{
    return (rp_session_id_t){((uint64_t) (2 * use + 1) << 32) | number};
}

/*  Returns the connection of a message by its descriptor; -1 stands for an unknown one.  */
static rp_connection_t *s_hear (int descriptor)
{
    return rp_connections_hear (&s_peers, descriptor, 0, NULL);
}

static void s_bind (rp_session_id_t peer, const char *routing_id, int descriptor)
{
    assert_true (rp_connections_bind (
      &s_peers, peer, routing_id, strlen (routing_id), s_hear (descriptor), false, 0));
}

/*  Returns the session on a descriptor.  */
static uint64_t s_on (int descriptor)
{
    const rp_connection_t *connection = rp_connections_at (&s_peers, descriptor);
    return connection ? connection->session.v : 0;
}

/*  Returns the next session that has lost its connection.  */
static uint64_t s_lost (void)
{
    rp_session_id_t session;
    return rp_connections_next_lost (&s_peers, &session) ? session.v : 0;
}

static uint64_t s_find (const char *routing_id)
{
    return rp_routes_find (&s_peers.routes, routing_id, strlen (routing_id)).v;
}

static void s_a_session_is_found_by_its_routing_id_until_it_is_over (void **state)
{
    (void) state;
    char large[201];
    memset (large, 'r', 200);
    large[200] = '\0';
    s_bind (s_peer (0, 0), "one", -1);
    s_bind (s_peer (1, 0), large, -1);
    assert_int_equal (s_find ("one"), s_peer (0, 0).v);
    assert_int_equal (s_find (large), s_peer (1, 0).v);
    assert_int_equal (s_find ("two"), 0);
    size_t size;
    assert_memory_equal (rp_routes_routing_id (&s_peers.routes, s_peer (1, 0), &size), large, 200);
    assert_int_equal (size, 200);
    rp_connections_unbind (&s_peers, s_peer (1, 0), RP_UNBIND_TOLD, 0);
    rp_connections_unbind (&s_peers, s_peer (1, 0), RP_UNBIND_TOLD, 0);
    assert_int_equal (s_find (large), 0);
    assert_null (rp_routes_routing_id (&s_peers.routes, s_peer (1, 0), &size));
    assert_int_equal (s_find ("one"), s_peer (0, 0).v);
}

static void s_a_number_that_is_used_again_does_not_answer_for_its_first_user (void **state)
{
    (void) state;
    s_bind (s_peer (5, 0), "one", -1);
    rp_connections_unbind (&s_peers, s_peer (5, 0), RP_UNBIND_TOLD, 0);
    s_bind (s_peer (5, 1), "two", -1);
    assert_false (rp_routes_has (&s_peers.routes, s_peer (5, 0)));
    rp_connections_unbind (&s_peers, s_peer (5, 0), RP_UNBIND_TOLD, 0);
    assert_true (rp_routes_has (&s_peers.routes, s_peer (5, 1)));
    assert_int_equal (s_find ("two"), s_peer (5, 1).v);
}

static void s_whether_it_reads_bundles_and_its_note_belong_to_a_session (void **state)
{
    (void) state;
    assert_true (rp_connections_bind (&s_peers, s_peer (5, 0), "one", 3, NULL, true, 0));
    assert_true (rp_routes_bundles (&s_peers.routes, s_peer (5, 0)));
    assert_int_equal (*rp_routes_mark (&s_peers.routes, s_peer (5, 0)), 0);
    *rp_routes_mark (&s_peers.routes, s_peer (5, 0)) = 7;
    assert_int_equal (*rp_routes_mark (&s_peers.routes, s_peer (5, 0)), 7);
    rp_connections_unbind (&s_peers, s_peer (5, 0), RP_UNBIND_TOLD, 0);
    assert_false (rp_routes_bundles (&s_peers.routes, s_peer (5, 0)));
    assert_null (rp_routes_mark (&s_peers.routes, s_peer (5, 0)));
    s_bind (s_peer (5, 1), "two", -1);
    assert_false (rp_routes_bundles (&s_peers.routes, s_peer (5, 1)));
    assert_int_equal (*rp_routes_mark (&s_peers.routes, s_peer (5, 1)), 0);
    assert_null (rp_routes_mark (&s_peers.routes, s_peer (5, 0)));
    assert_false (rp_routes_bundles (&s_peers.routes, (rp_session_id_t){0}));
}

static void s_thousands_of_sessions_come_and_go (void **state)
{
    (void) state;
    enum { COUNT = 5000 };
    char routing_id[16];
    for (uint32_t number = 0; number < COUNT; number++) {
        snprintf (routing_id, sizeof routing_id, "%u", number);
        s_bind (s_peer (number, 0), routing_id, -1);
    }
    for (uint32_t number = 0; number < COUNT; number += 2)
        rp_connections_unbind (&s_peers, s_peer (number, 0), RP_UNBIND_TOLD, 0);
    for (uint32_t number = 0; number < COUNT; number++) {
        snprintf (routing_id, sizeof routing_id, "%u", number);
        assert_int_equal (s_find (routing_id), number % 2 ? s_peer (number, 0).v : 0);
    }
}

/*  Makes two connected sockets; the broker's end gets this descriptor.  */
static void s_pair_at (int descriptor, int pair[2])
{
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal (dup2 (pair[0], descriptor), descriptor);
    close (pair[0]);
    pair[0] = descriptor;
}

static void s_who_was_on_a_descriptor_before_is_told (void **state)
{
    (void) state;
    int first[2], second[2];
    s_pair_at (700, first);
    s_bind (s_peer (0, 0), "one", 700);
    assert_int_equal (s_on (700), s_peer (0, 0).v);
    assert_int_equal (s_lost (), 0);
    s_pair_at (700, second);
    s_bind (s_peer (1, 0), "two", 700);
    assert_int_equal (s_lost (), s_peer (0, 0).v);
    assert_int_equal (s_lost (), 0);
    rp_connections_unbind (&s_peers, s_peer (0, 0), RP_UNBIND_TOLD, 0);
    assert_int_equal (s_on (700), s_peer (1, 0).v);
    rp_connections_unbind (&s_peers, s_peer (1, 0), RP_UNBIND_TOLD, 0);
    assert_int_equal (s_on (700), 0);
    assert_int_equal (s_on (-1), 0);
    assert_int_equal (s_on (1 << 20), 0);
    close (700);
    close (first[1]);
    close (second[1]);
}

static void s_whose_connection_is_closed_is_told_unless_its_session_is_over (void **state)
{
    (void) state;
    int first[2], second[2];
    s_pair_at (700, first);
    s_pair_at (701, second);
    s_bind (s_peer (0, 0), "one", 700);
    s_bind (s_peer (1, 0), "two", 701);
    rp_connections_close (&s_peers, rp_connections_at (&s_peers, 700));
    rp_connections_close (&s_peers, rp_connections_at (&s_peers, 701));
    assert_null (rp_connections_at (&s_peers, 700));
    assert_true (rp_routes_has (&s_peers.routes, s_peer (0, 0)));
    assert_false (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    rp_connections_unbind (&s_peers, s_peer (1, 0), RP_UNBIND_TOLD, 0);
    assert_int_equal (s_lost (), s_peer (0, 0).v);
    assert_int_equal (s_lost (), 0);
    close (700);
    close (701);
    close (first[1]);
    close (second[1]);
}

static void s_a_message_may_be_read_before_the_news_of_its_connection (void **state)
{
    (void) state;
    bool first;
    int pair[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    rp_connection_t *heard = rp_connections_hear (&s_peers, pair[0], 0, &first);
    assert_true (first);
    assert_ptr_equal (rp_connections_accept (&s_peers, pair[0], 0, true, false, 1), heard);
    assert_ptr_equal (rp_connections_hear (&s_peers, pair[0], 0, &first), heard);
    assert_false (first);
    assert_int_equal (s_peers.pending.count, 1);
    assert_false (rp_handshakes_has (heard)); // a connection that has sent a message is done
    assert_true (rp_connections_bind (&s_peers, s_peer (0, 0), "one", 3, heard, false, 2));
    assert_int_equal (s_peers.pending.count, 0);
    rp_connections_unbind (&s_peers, s_peer (0, 0), RP_UNBIND_TOLD, 3);
    assert_int_equal (s_peers.pending.count, 1);
    rp_connections_close (&s_peers, heard);
    assert_int_equal (s_peers.pending.count, 0);
    close (pair[0]);
    close (pair[1]);
}

/*  The monitor may report an end when the descriptor already belongs to another connection.  */
static void s_the_end_of_a_predecessor_does_not_end_a_connection_that_stands (void **state)
{
    (void) state;
    int pair[2];
    s_pair_at (700, pair);
    s_bind (s_peer (0, 0), "one", 700);
    rp_connection_t *connection = rp_connections_at (&s_peers, 700);
    assert_ptr_equal (rp_connections_accept (&s_peers, 700, 0, true, false, 1), connection);
    rp_connections_disconnect (&s_peers, connection);
    assert_int_equal (s_lost (), s_peer (0, 0).v); // the core must ask whether it is alive
    assert_ptr_equal (rp_connections_at (&s_peers, 700), connection);
    assert_true (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    assert_ptr_equal (rp_connections_accept (&s_peers, 700, 0, true, false, 2), connection);
    // A late event of the predecessor.
    assert_null (rp_connections_accept (&s_peers, 700, 0, true, false, 3));
    assert_int_equal (s_on (700), s_peer (0, 0).v);
    close (700);
    rp_connections_disconnect (&s_peers, connection);
    assert_null (rp_connections_at (&s_peers, 700));
    close (pair[1]);
}

static unsigned s_ends;

static void s_ended (void *arg, rp_connection_t *connection)
{
    (void) arg;
    (void) connection;
    s_ends++;
}

static void s_each_end_of_an_accepted_connection_is_told_once (void **state)
{
    (void) state;
    int first[2], second[2];
    s_ends = 0;
    s_peers.ended = s_ended;
    s_pair_at (700, first);
    assert_non_null (rp_connections_accept (&s_peers, 700, 0, false, false, 1));
    s_pair_at (700, second);
    assert_non_null (s_hear (700)); // the first connection's end was not read yet
    assert_int_equal (s_ends, 1);
    close (700);
    rp_connections_disconnect (&s_peers, rp_connections_at (&s_peers, 700));
    assert_int_equal (s_ends, 1); // the second was never accepted
    close (first[1]);
    close (second[1]);
}

static void s_an_error_of_a_connection_is_told_at_each_power_of_ten (void **state)
{
    (void) state;
    rp_connection_t connection = {.descriptor = 7};
    unsigned lines = 0;
    for (uint64_t count = 1; count <= 1000; count++) {
        uint64_t said = rp_connection_count_error (&connection, 1);
        assert_true (said == 0 || said == count);
        lines += said != 0;
    }
    assert_int_equal (lines, 4);
    assert_int_equal (rp_connection_count_error (&connection, 2), 1); // another reason counts anew
    assert_int_equal (rp_connection_count_error (&connection, 2), 0);
    rp_connection_t other = {.descriptor = 8};
    assert_int_equal (rp_connection_count_error (&other, 2), 1);
}

/*  Returns whether the other end of a pair was shut down.  */
static bool s_is_cut (int other_end)
{
    char byte;
    return recv (other_end, &byte, 1, MSG_DONTWAIT) == 0;
}

static void s_a_cut_breaks_the_connection_and_leaves_the_descriptor (void **state)
{
    (void) state;
    int pair[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    s_bind (s_peer (0, 0), "one", pair[0]);
    (void) rp_connection_abort (rp_routes_connection (&s_peers.routes, s_peer (0, 0)));
    assert_true (s_is_cut (pair[1]));
    assert_int_equal (close (pair[0]), 0);
    close (pair[1]);
}

static void s_a_cut_never_hits_who_got_the_descriptor_later (void **state)
{
    (void) state;
    int first[2], second[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, first), 0);
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, second), 0);
    s_bind (s_peer (0, 0), "one", first[0]);
    assert_int_equal (dup2 (second[0], first[0]), first[0]);
    (void) rp_connection_abort (rp_routes_connection (&s_peers.routes, s_peer (0, 0)));
    assert_false (s_is_cut (second[1]));
    close (first[0]);
    (void) rp_connection_abort (
      rp_routes_connection (&s_peers.routes, s_peer (0, 0))); // the connection has already gone
    close (first[1]);
    close (second[0]);
    close (second[1]);
}

static void s_a_session_stands_while_its_connection_does (void **state)
{
    (void) state;
    int pair[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    s_bind (s_peer (0, 0), "one", pair[0]);
    s_bind (s_peer (1, 0), "two", -1); // without a descriptor nothing is known
    assert_true (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    assert_true (rp_routes_stands (&s_peers.routes, s_peer (1, 0)));
    assert_int_equal (close (pair[0]), 0);
    assert_false (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    rp_connections_unbind (&s_peers, s_peer (0, 0), RP_UNBIND_TOLD, 0);
    // A message may be read after its connection has gone.
    s_bind (s_peer (2, 0), "three", pair[0]);
    assert_false (rp_routes_stands (&s_peers.routes, s_peer (2, 0)));
    close (pair[1]);
}

static void s_who_comes_back_on_the_same_descriptor_stands (void **state)
{
    (void) state;
    int first[2], second[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, first), 0);
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, second), 0);
    s_bind (s_peer (0, 0), "one", first[0]);
    assert_int_equal (dup2 (second[0], first[0]), first[0]);
    assert_false (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    rp_connections_move (&s_peers, s_peer (0, 0), s_hear (first[0]), 0);
    assert_int_equal (s_lost (), 0);
    assert_true (rp_routes_stands (&s_peers.routes, s_peer (0, 0)));
    assert_int_equal (s_on (first[0]), s_peer (0, 0).v);
    (void) rp_connection_abort (rp_routes_connection (&s_peers.routes, s_peer (0, 0)));
    assert_true (s_is_cut (second[1]));
    close (first[0]);
    close (first[1]);
    close (second[0]);
    close (second[1]);
}

/*  Connects to a listener on the loopback address of a family; returns the accepted end.  */
static int s_accept (int family, int *client, char *expected)
{
    struct sockaddr_storage storage = {.ss_family = (sa_family_t) family};
    if (family == AF_INET6)
        ((struct sockaddr_in6 *) &storage)->sin6_addr = in6addr_loopback;
    else
        ((struct sockaddr_in *) &storage)->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    socklen_t size =
      family == AF_INET6 ? sizeof (struct sockaddr_in6) : sizeof (struct sockaddr_in);
    struct sockaddr *address = (struct sockaddr *) &storage;
    int listener = socket (family, SOCK_STREAM, 0);
    if (bind (listener, address, size) != 0) {
        close (listener);
        return -1; // a machine may have no IPv6
    }
    assert_int_equal (listen (listener, 1), 0);
    assert_int_equal (getsockname (listener, address, &size), 0);
    *client = socket (family, SOCK_STREAM, 0);
    assert_int_equal (connect (*client, address, size), 0);
    int accepted = accept (listener, NULL, NULL);
    close (listener);
    assert_int_equal (getsockname (*client, address, &size), 0);
    if (family == AF_INET6)
        sprintf (expected, "[::1]:%u", ntohs (((struct sockaddr_in6 *) &storage)->sin6_port));
    else
        sprintf (expected, "127.0.0.1:%u", ntohs (((struct sockaddr_in *) &storage)->sin_port));
    return accepted;
}

static void s_an_address_is_told_even_after_the_connection_is_gone (void **state)
{
    (void) state;
    char expected[RP_ADDRESS_TEXT_MAX], text[RP_ADDRESS_TEXT_MAX];
    int families[] = {AF_INET, AF_INET6};
    for (uint32_t index = 0; index < 2; index++) {
        int client;
        int accepted = s_accept (families[index], &client, expected);
        if (accepted < 0)
            continue;
        s_bind (s_peer (index, 0), index ? "six" : "four", accepted);
        assert_string_equal (
          rp_address_format (&rp_connections_at (&s_peers, accepted)->address, text), expected);
        close (accepted);
        close (client);
        rp_connections_unbind (&s_peers, s_peer (index, 0), RP_UNBIND_TOLD, 0);
        assert_string_equal (
          rp_routes_address (&s_peers.routes, s_peer (index, 0), text), expected);
    }
    int pair[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_string_equal (rp_address_format (&s_hear (pair[0])->address, text), "local");
    close (pair[0]);
    close (pair[1]);
    assert_string_equal (rp_routes_address (&s_peers.routes, s_peer (9, 9), text), "?");
}

static void s_who_was_on_the_descriptor_that_a_session_moves_to_is_told (void **state)
{
    (void) state;
    int pairs[3][2];
    for (int index = 0; index < 3; index++)
        s_pair_at (700 + index, pairs[index]);
    s_bind (s_peer (0, 0), "one", 700);
    s_bind (s_peer (1, 0), "two", 701);
    rp_connections_move (&s_peers, s_peer (0, 0), s_hear (700), 0);
    rp_connections_move (&s_peers, s_peer (0, 0), s_hear (702), 0);
    assert_int_equal (s_on (700), 0);
    assert_int_equal (s_lost (), 0);
    rp_connections_move (&s_peers, s_peer (0, 0), s_hear (701), 0);
    assert_int_equal (s_lost (), s_peer (1, 0).v);
    assert_int_equal (s_on (701), s_peer (0, 0).v);
    rp_connections_unbind (&s_peers, s_peer (1, 0), RP_UNBIND_TOLD, 0);
    assert_int_equal (s_on (701), s_peer (0, 0).v);
    for (int index = 0; index < 3; index++) {
        close (700 + index);
        close (pairs[index][1]);
    }
}

static void s_bind_number (rp_session_id_t peer, uint8_t number, int descriptor)
{
    const uint8_t routing_id[] = {0, 0xff, 0xff, 0xff, number};
    assert_true (rp_connections_bind (
      &s_peers, peer, routing_id, sizeof routing_id, s_hear (descriptor), false, 0));
}

/*  libzmq reads its peers in turn, so the last message of one that is gone may come after the first of the one that
    has its descriptor now. It cannot have two routing ids; those that libzmq makes are numbered.  */
static void s_a_late_message_of_a_predecessor_takes_no_connection (void **state)
{
    (void) state;
    int pair[2];
    s_pair_at (40, pair);
    s_bind_number (s_peer (1, 0), 8, 40);
    s_bind_number (s_peer (2, 0), 7, 40);
    assert_int_equal (s_on (40), s_peer (1, 0).v);
    assert_int_equal (s_lost (), s_peer (2, 0).v);
    assert_int_equal (s_lost (), 0);
    rp_connections_move (&s_peers, s_peer (2, 0), s_hear (40), 0);
    assert_int_equal (s_on (40), s_peer (1, 0).v);
    assert_int_equal (s_lost (), 0);
    s_bind_number (s_peer (3, 0), 9, 40); // it was the predecessor, and was read first
    assert_int_equal (s_on (40), s_peer (3, 0).v);
    assert_int_equal (s_lost (), s_peer (1, 0).v);
    close (pair[0]);
    close (pair[1]);
}

/*  A routing id of 255 bytes, after the bytes that the broker puts before it.  */
static void s_the_longest_routing_id_is_found (void **state)
{
    (void) state;
    uint8_t key[263];
    size_t size;
    memset (key, 'k', sizeof key);
    assert_true (rp_connections_bind (&s_peers, s_peer (0, 0), key, sizeof key, NULL, false, 0));
    assert_int_equal (rp_routes_find (&s_peers.routes, key, sizeof key).v, s_peer (0, 0).v);
    assert_memory_equal (
      rp_routes_routing_id (&s_peers.routes, s_peer (0, 0), &size), key, sizeof key);
    assert_int_equal (size, sizeof key);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_session_is_found_by_its_routing_id_until_it_is_over),
      S_TEST (s_a_number_that_is_used_again_does_not_answer_for_its_first_user),
      S_TEST (s_whether_it_reads_bundles_and_its_note_belong_to_a_session),
      S_TEST (s_thousands_of_sessions_come_and_go),
      S_TEST (s_who_was_on_a_descriptor_before_is_told),
      S_TEST (s_whose_connection_is_closed_is_told_unless_its_session_is_over),
      S_TEST (s_a_message_may_be_read_before_the_news_of_its_connection),
      S_TEST (s_the_end_of_a_predecessor_does_not_end_a_connection_that_stands),
      S_TEST (s_each_end_of_an_accepted_connection_is_told_once),
      S_TEST (s_an_error_of_a_connection_is_told_at_each_power_of_ten),
      S_TEST (s_who_was_on_the_descriptor_that_a_session_moves_to_is_told),
      S_TEST (s_a_late_message_of_a_predecessor_takes_no_connection),
      S_TEST (s_the_longest_routing_id_is_found),
      S_TEST (s_a_cut_breaks_the_connection_and_leaves_the_descriptor),
      S_TEST (s_a_cut_never_hits_who_got_the_descriptor_later),
      S_TEST (s_a_session_stands_while_its_connection_does),
      S_TEST (s_who_comes_back_on_the_same_descriptor_stands),
      S_TEST (s_an_address_is_told_even_after_the_connection_is_gone),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
