/*  Finds peers that cannot be heard, from made-up counts of bytes.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/unheard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*  Bytes of the handshake of a DEALER without a routing id, and of the id's message.  */
enum { S_HANDSHAKE = 107, S_ID = 10 };

static rp_unheard_t s_unheard;
static rp_connection_t s_connection;

static int s_setup (void **state)
{
    (void) state;
    rp_unheard_init (&s_unheard);
    rp_unheard_saw_id (&s_unheard, 3);
    rp_unheard_saw_id (&s_unheard, S_ID);
    rp_unheard_saw_id (&s_unheard, 5);
    s_connection = (rp_connection_t){0};
    return 0;
}

/*  Begins with a connection that has received and sent so many bytes with its handshake.  */
static void s_begin_with (uint64_t received, uint64_t sent)
{
    rp_traffic_t traffic = {.counted = true, .sent = sent, .received = received};
    rp_unheard_begin (&s_unheard, &s_connection, &traffic, 0);
}

static void s_begin (uint64_t received)
{
    s_begin_with (received, S_HANDSHAKE);
}

static bool s_judge (unsigned second, uint64_t received, uint64_t sent)
{
    rp_traffic_t traffic = {.counted = true, .received = received, .sent = sent};
    return rp_unheard_judge (&s_connection, &traffic, (int64_t) second * RP_UNHEARD_LOOK_US);
}

static void who_has_said_nothing_is_left_alone (void **state)
{
    (void) state;
    s_begin (S_HANDSHAKE + S_ID);
    for (unsigned second = 1; second < 100; second++)
        assert_false (s_judge (second, S_HANDSHAKE + S_ID, S_HANDSHAKE));
}

static void who_said_something_at_once_is_to_go_when_it_was_quiet_for_two_seconds (void **state)
{
    (void) state;
    s_begin (S_HANDSHAKE + S_ID + 1);
    assert_false (s_judge (1, S_HANDSHAKE + S_ID + 1, S_HANDSHAKE));
    assert_true (s_judge (2, S_HANDSHAKE + S_ID + 1, S_HANDSHAKE));
}

static void heartbeats_of_libzmq_are_answered_and_say_nothing (void **state)
{
    (void) state;
    s_begin (S_HANDSHAKE + S_ID);
    for (unsigned second = 1; second < 100; second++)
        assert_false (s_judge (second, S_HANDSHAKE + S_ID + second * 9, S_HANDSHAKE + second * 7));
    // This look is between a PING and its PONG.
    assert_false (s_judge (100, S_HANDSHAKE + S_ID + 100 * 9, S_HANDSHAKE + 99 * 7));
    assert_false (s_judge (101, S_HANDSHAKE + S_ID + 101 * 9, S_HANDSHAKE + 101 * 7));
}

static void heartbeats_before_the_first_look_say_nothing_either (void **state)
{
    (void) state;
    for (unsigned on_its_way = 0; on_its_way < 2; on_its_way++) {
        s_begin_with (S_HANDSHAKE + S_ID + (3 + on_its_way) * 9, S_HANDSHAKE + 3 * 7);
        for (unsigned second = 1; second < 100; second++)
            assert_false (s_judge (
              second, S_HANDSHAKE + S_ID + (3 + second) * 9, S_HANDSHAKE + (3 + second) * 7));
    }
    // It said something beside them.
    s_begin_with (S_HANDSHAKE + S_ID + 4 * 9 + 1, S_HANDSHAKE + 3 * 7);
    assert_false (s_judge (1, S_HANDSHAKE + S_ID + 4 * 9 + 1, S_HANDSHAKE + 3 * 7));
    assert_true (s_judge (2, S_HANDSHAKE + S_ID + 4 * 9 + 1, S_HANDSHAKE + 3 * 7));
}

static void what_is_not_answered_was_said_whatever_the_length_of_the_id (void **state)
{
    (void) state;
    rp_unheard_init (&s_unheard);
    s_begin (S_HANDSHAKE + S_ID);
    assert_false (s_judge (1, S_HANDSHAKE + S_ID, S_HANDSHAKE));
    assert_false (s_judge (2, S_HANDSHAKE + S_ID + 13, S_HANDSHAKE));
    assert_true (s_judge (3, S_HANDSHAKE + S_ID + 13, S_HANDSHAKE));
}

static void a_large_first_message_that_still_comes_is_not_cut (void **state)
{
    (void) state;
    uint64_t received = S_HANDSHAKE + S_ID;
    unsigned second = 1;
    s_begin (received);
    for (; second < 20; second++)
        assert_false (s_judge (second, received += 2000, S_HANDSHAKE));
    assert_false (s_judge (second, received, S_HANDSHAKE));
    assert_true (s_judge (second + 1, received, S_HANDSHAKE));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup (name, s_setup)
    const struct CMUnitTest tests[] = {
      S_TEST (who_has_said_nothing_is_left_alone),
      S_TEST (who_said_something_at_once_is_to_go_when_it_was_quiet_for_two_seconds),
      S_TEST (heartbeats_of_libzmq_are_answered_and_say_nothing),
      S_TEST (heartbeats_before_the_first_look_say_nothing_either),
      S_TEST (what_is_not_answered_was_said_whatever_the_length_of_the_id),
      S_TEST (a_large_first_message_that_still_comes_is_not_cut),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
