/*  Who is where, tried with real sockets.

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
    rp_connections_init (&s_peers, UINT64_C (0x123456789abcdef));
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_connections_clear (&s_peers);
    return 0;
}

/*  The id of a session by its number and how often that was used.  */
static rp_session_id_t s_peer (uint32_t number, uint32_t use)
{
    return (rp_session_id_t){((uint64_t) (2 * use + 1) << 32) | number};
}

static void s_bind (rp_session_id_t peer, const char *routing_id, int descriptor)
{
    rp_session_id_t displaced;
    assert_true (rp_connections_bind (
      &s_peers, peer, routing_id, strlen (routing_id), descriptor, false, &displaced));
    assert_int_equal (displaced.v, 0);
}

static uint64_t s_find (const char *routing_id)
{
    return rp_connections_by_routing_id (&s_peers, routing_id, strlen (routing_id)).v;
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
    assert_memory_equal (rp_connections_routing_id (&s_peers, s_peer (1, 0), &size), large, 200);
    assert_int_equal (size, 200);
    rp_connections_unbind (&s_peers, s_peer (1, 0));
    rp_connections_unbind (&s_peers, s_peer (1, 0));
    assert_int_equal (s_find (large), 0);
    assert_null (rp_connections_routing_id (&s_peers, s_peer (1, 0), &size));
    assert_int_equal (s_find ("one"), s_peer (0, 0).v);
}

static void s_a_number_that_is_used_again_does_not_answer_for_its_first_user (void **state)
{
    (void) state;
    s_bind (s_peer (5, 0), "one", -1);
    rp_connections_unbind (&s_peers, s_peer (5, 0));
    s_bind (s_peer (5, 1), "two", -1);
    assert_false (rp_connections_is_bound (&s_peers, s_peer (5, 0)));
    rp_connections_unbind (&s_peers, s_peer (5, 0));
    assert_true (rp_connections_is_bound (&s_peers, s_peer (5, 1)));
    assert_int_equal (s_find ("two"), s_peer (5, 1).v);
}

static void s_whether_it_reads_bundles_and_its_note_belong_to_a_session (void **state)
{
    (void) state;
    rp_session_id_t displaced;
    assert_true (rp_connections_bind (&s_peers, s_peer (5, 0), "one", 3, -1, true, &displaced));
    assert_true (rp_connections_bundles (&s_peers, s_peer (5, 0)));
    assert_int_equal (*rp_connections_mark (&s_peers, s_peer (5, 0)), 0);
    *rp_connections_mark (&s_peers, s_peer (5, 0)) = 7;
    assert_int_equal (*rp_connections_mark (&s_peers, s_peer (5, 0)), 7);
    rp_connections_unbind (&s_peers, s_peer (5, 0));
    assert_false (rp_connections_bundles (&s_peers, s_peer (5, 0)));
    assert_null (rp_connections_mark (&s_peers, s_peer (5, 0)));
    s_bind (s_peer (5, 1), "two", -1);
    assert_false (rp_connections_bundles (&s_peers, s_peer (5, 1)));
    assert_int_equal (*rp_connections_mark (&s_peers, s_peer (5, 1)), 0);
    assert_null (rp_connections_mark (&s_peers, s_peer (5, 0)));
    assert_false (rp_connections_bundles (&s_peers, (rp_session_id_t){0}));
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
        rp_connections_unbind (&s_peers, s_peer (number, 0));
    for (uint32_t number = 0; number < COUNT; number++) {
        snprintf (routing_id, sizeof routing_id, "%u", number);
        assert_int_equal (s_find (routing_id), number % 2 ? s_peer (number, 0).v : 0);
    }
}

static void s_who_was_on_a_descriptor_before_is_told (void **state)
{
    (void) state;
    rp_session_id_t displaced;
    s_bind (s_peer (0, 0), "one", 700);
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 700).v, s_peer (0, 0).v);
    assert_true (rp_connections_bind (&s_peers, s_peer (1, 0), "two", 3, 700, false, &displaced));
    assert_int_equal (displaced.v, s_peer (0, 0).v);
    rp_connections_unbind (&s_peers, s_peer (0, 0));
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 700).v, s_peer (1, 0).v);
    rp_connections_unbind (&s_peers, s_peer (1, 0));
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 700).v, 0);
    assert_int_equal (rp_connections_by_descriptor (&s_peers, -1).v, 0);
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 1 << 20).v, 0);
}

/*  True if the other end of a pair was shut down.  */
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
    rp_connections_abort (&s_peers, s_peer (0, 0));
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
    rp_connections_abort (&s_peers, s_peer (0, 0));
    assert_false (s_is_cut (second[1]));
    close (first[0]);
    rp_connections_abort (&s_peers, s_peer (0, 0)); // nothing is there any more
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
    s_bind (s_peer (1, 0), "two", -1); // on no descriptor: nothing is known
    assert_true (rp_connections_stands (&s_peers, s_peer (0, 0)));
    assert_true (rp_connections_stands (&s_peers, s_peer (1, 0)));
    assert_int_equal (close (pair[0]), 0);
    assert_false (rp_connections_stands (&s_peers, s_peer (0, 0)));
    rp_connections_unbind (&s_peers, s_peer (0, 0));
    // What it said may be read only when its connection has gone.
    s_bind (s_peer (2, 0), "three", pair[0]);
    assert_false (rp_connections_stands (&s_peers, s_peer (2, 0)));
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
    assert_false (rp_connections_stands (&s_peers, s_peer (0, 0)));
    assert_int_equal (rp_connections_move (&s_peers, s_peer (0, 0), first[0]).v, 0);
    assert_true (rp_connections_stands (&s_peers, s_peer (0, 0)));
    assert_int_equal (rp_connections_by_descriptor (&s_peers, first[0]).v, s_peer (0, 0).v);
    rp_connections_abort (&s_peers, s_peer (0, 0));
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
        return -1; // a machine without IPv6
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
    char expected[RP_CONNECTIONS_TEXT_MAX], text[RP_CONNECTIONS_TEXT_MAX];
    int families[] = {AF_INET, AF_INET6};
    for (uint32_t index = 0; index < 2; index++) {
        int client;
        int accepted = s_accept (families[index], &client, expected);
        if (accepted < 0)
            continue;
        s_bind (s_peer (index, 0), index ? "six" : "four", accepted);
        assert_string_equal (rp_connections_descriptor_address (accepted, text), expected);
        close (accepted);
        close (client);
        rp_connections_unbind (&s_peers, s_peer (index, 0));
        assert_string_equal (rp_connections_address (&s_peers, s_peer (index, 0), text), expected);
    }
    int pair[2];
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_string_equal (rp_connections_descriptor_address (pair[0], text), "local");
    close (pair[0]);
    close (pair[1]);
    assert_string_equal (rp_connections_address (&s_peers, s_peer (9, 9), text), "?");
}

static void s_who_was_on_the_descriptor_that_a_session_moves_to_is_told (void **state)
{
    (void) state;
    s_bind (s_peer (0, 0), "one", 700);
    s_bind (s_peer (1, 0), "two", 701);
    assert_int_equal (rp_connections_move (&s_peers, s_peer (0, 0), 700).v, 0);
    assert_int_equal (rp_connections_move (&s_peers, s_peer (0, 0), 702).v, 0);
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 700).v, 0);
    assert_int_equal (rp_connections_move (&s_peers, s_peer (0, 0), 701).v, s_peer (1, 0).v);
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 701).v, s_peer (0, 0).v);
    rp_connections_unbind (&s_peers, s_peer (1, 0));
    assert_int_equal (rp_connections_by_descriptor (&s_peers, 701).v, s_peer (0, 0).v);
}

/*  A routing id of 255 bytes, behind what the broker puts before it.  */
static void s_the_longest_routing_id_is_found (void **state)
{
    (void) state;
    uint8_t key[263];
    size_t size;
    rp_session_id_t displaced;
    memset (key, 'k', sizeof key);
    assert_true (
      rp_connections_bind (&s_peers, s_peer (0, 0), key, sizeof key, -1, false, &displaced));
    assert_int_equal (rp_connections_by_routing_id (&s_peers, key, sizeof key).v, s_peer (0, 0).v);
    assert_memory_equal (
      rp_connections_routing_id (&s_peers, s_peer (0, 0), &size), key, sizeof key);
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
      S_TEST (s_who_was_on_the_descriptor_that_a_session_moves_to_is_told),
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
