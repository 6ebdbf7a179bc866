/*  Keys of routing ids, and the number of REP workers, with events made by hand.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/io/socket.h"

/*  Time at which a handshake is done, µs.  */
#define S_LATER ((int64_t) RP_SOCKET_HANDSHAKE_MS * 1000)

static rp_listener_t s_listener (uint8_t number)
{
    rp_listener_kind_t kind = number == 0  ? RP_LISTENER_OPEN
                              : number % 2 ? RP_LISTENER_FRONT
                                           : RP_LISTENER_BACK;
    return (rp_listener_t){.kind = kind, .number = number};
}

/*  ---- Keys -------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[RP_LISTENER_KEY_MAX];
    size_t size;
} s_key_t;

static s_key_t s_key (uint8_t number, const void *routing_id, size_t size)
{
    uint8_t buffer[RP_LISTENER_KEY_MAX];
    rp_listener_t listener = s_listener (number);
    s_key_t key = {.size = size};
    const void *at = rp_listener_key (&listener, routing_id, &key.size, buffer);
    assert_true (key.size <= sizeof key.bytes);
    memcpy (key.bytes, at, key.size);
    return key;
}

static void s_goes_there_and_back (uint8_t number, const void *routing_id, size_t size)
{
    s_key_t key = s_key (number, routing_id, size);
    assert_int_equal (rp_listener_of_key (key.bytes, key.size), number);
    size_t back = key.size;
    const void *id = rp_listener_routing_id (key.bytes, &back);
    assert_int_equal (back, size);
    assert_memory_equal (id, routing_id, size);
}

static void s_a_key_leads_back_to_its_listener_and_routing_id (void **state)
{
    (void) state;
    uint8_t id[255];
    memset (id, 'i', sizeof id);
    for (size_t size = 1; size <= sizeof id; size++)
        for (uint8_t number = 0; number < RP_LISTENERS_MAX; number++)
            s_goes_there_and_back (number, id, size);
}

static void s_routing_ids_of_listener_0_are_their_own_keys (void **state)
{
    (void) state;
    static const uint8_t id[5] = {0, 1, 2, 3, 4};
    uint8_t buffer[RP_LISTENER_KEY_MAX];
    rp_listener_t listener = s_listener (0);
    size_t size = sizeof id;
    assert_ptr_equal (rp_listener_key (&listener, id, &size, buffer), id);
    assert_int_equal (size, sizeof id);
}

static void s_the_same_routing_id_has_another_key_at_each_listener (void **state)
{
    (void) state;
    static const uint8_t id[5] = {0, 1, 2, 3, 4};
    s_key_t keys[RP_LISTENERS_MAX];
    for (uint8_t number = 0; number < RP_LISTENERS_MAX; number++) {
        keys[number] = s_key (number, id, sizeof id);
        for (uint8_t other = 0; other < number; other++)
            assert_false (
              keys[other].size == keys[number].size
              && memcmp (keys[other].bytes, keys[number].bytes, keys[number].size) == 0);
    }
}

/*  A peer may choose a routing id that is a key of another listener, or that looks like one of a
    listener that does not exist.  */
static void s_a_routing_id_that_is_a_key_elsewhere_has_another_one (void **state)
{
    (void) state;
    for (unsigned number = 0; number <= UINT8_MAX; number++) {
        uint8_t id[255] = {0, 'g', 'a', 't', 'e', 0, 0};
        id[7] = (uint8_t) number;
        for (size_t size = 7; size <= sizeof id; size += 31) {
            s_goes_there_and_back (0, id, size);
            s_goes_there_and_back (1, id, size);
        }
    }
    s_key_t front = s_key (1, "abcde", 5);
    s_key_t hostile = s_key (0, front.bytes, front.size);
    assert_int_not_equal (hostile.size, front.size);
}

static void s_rep_workers_have_one_key_and_no_routing_id (void **state)
{
    (void) state;
    s_key_t key = s_key (2, NULL, 0);
    assert_int_equal (rp_listener_of_key (key.bytes, key.size), 2);
    size_t size = key.size;
    assert_null (rp_listener_routing_id (key.bytes, &size));
    assert_int_equal (size, 0);
}

/*  ---- REP peers --------------------------------------------------------------------------- */

/*  Connections by the number of their descriptor.  */
static rp_connection_t s_connections[100];

static void s_came (rp_listener_t *listener, int descriptor, int64_t now)
{
    s_connections[descriptor] = (rp_connection_t){.descriptor = descriptor, .accepted_at = now};
    rp_listener_came (listener, &s_connections[descriptor]);
}

static void s_a_worker_counts_from_its_handshake_until_it_goes (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    for (int round = 0; round < 3; round++) {
        s_came (&listener, 10, 0);
        assert_int_equal (listener.connected, 0);
        assert_true (rp_listener_shook_hands (&listener));
        assert_int_equal (listener.connected, 1);
        assert_true (rp_listener_went (&listener, &s_connections[10], 1));
        assert_int_equal (listener.connected, 0);
    }
    rp_listener_close (&listener, 0);
}

static void s_many_come_and_go_in_any_order (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    for (int descriptor = 0; descriptor < 100; descriptor++)
        s_came (&listener, descriptor, 0);
    for (int descriptor = 0; descriptor < 100; descriptor++)
        assert_true (rp_listener_shook_hands (&listener));
    assert_int_equal (listener.connected, 100);
    for (int descriptor = 99; descriptor >= 0; descriptor -= 2)
        assert_true (rp_listener_went (&listener, &s_connections[descriptor], 1));
    assert_int_equal (listener.connected, 50);
    rp_listener_close (&listener, 0);
}

/*  A socket of the wrong type connects and goes, again and again, without any other event.  */
static void s_peers_of_the_wrong_type_change_nothing (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    s_came (&listener, 10, 0);
    rp_listener_shook_hands (&listener);
    for (int round = 0; round < 3; round++) {
        s_came (&listener, 11, 0);
        assert_false (rp_listener_went (&listener, &s_connections[11], 1));
        assert_int_equal (listener.connected, 1);
    }
    s_came (&listener, 11, 0);
    s_came (&listener, 12, 0);
    rp_listener_shook_hands (&listener); // the handshake of 12
    assert_int_equal (listener.connected, 2);
    assert_false (rp_listener_went (&listener, &s_connections[11], 1));
    assert_int_equal (listener.connected, 2);
    assert_true (rp_listener_went (&listener, &s_connections[12], 1));
    assert_true (rp_listener_went (&listener, &s_connections[10], 1));
    assert_int_equal (listener.connected, 0);
    rp_listener_close (&listener, 0);
}

static void s_a_failed_handshake_changes_nothing (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    s_came (&listener, 10, 0); // has sent nothing
    s_came (&listener, 11, 0);
    rp_listener_shook_hands (&listener);
    rp_listener_failed (&listener);
    assert_false (rp_listener_went (&listener, &s_connections[10], S_LATER + 1));
    assert_int_equal (listener.connected, 1);
    assert_true (rp_listener_went (&listener, &s_connections[11], S_LATER + 1));
    rp_listener_close (&listener, 0);
}

/*  Noise that looks like a peer of old ZMTP may stay for ever without a handshake.  */
static void s_a_worker_goes_while_noise_stays (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    s_came (&listener, 10, 0);
    for (int64_t now = 0; now < 5 * S_LATER; now += S_LATER) {
        s_came (&listener, 11, now);
        assert_true (rp_listener_shook_hands (&listener));
        assert_true (rp_listener_went (&listener, &s_connections[11], now + S_LATER));
        assert_int_equal (listener.connected, 0);
    }
    rp_listener_failed (&listener);
    assert_false (rp_listener_went (&listener, &s_connections[10], 9 * S_LATER));
    assert_int_equal (listener.connected, 0);
    rp_listener_close (&listener, 0);
}

static void s_what_was_taken_for_the_wrong_type_is_put_right (void **state)
{
    (void) state;
    for (int way = 0; way < 2; way++) {
        rp_listener_t listener = s_listener (2);
        s_came (&listener, 10, 0);
        s_came (&listener, 11, 0);
        rp_listener_shook_hands (&listener); // the handshake of 11
        rp_listener_went (&listener, &s_connections[11], 1);
        assert_int_equal (listener.connected, 1); // one too many, until 10 is known better
        if (way == 0) {
            assert_false (rp_listener_shook_hands (&listener));
            assert_int_equal (listener.connected, 1);
        }
        rp_listener_went (&listener, &s_connections[10], 2);
        assert_int_equal (listener.connected, 0);
        rp_listener_close (&listener, 0);
    }
}

static void s_an_old_peer_counts_once_it_was_seen (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    s_came (&listener, 10, 0);
    s_came (&listener, 11, 0);
    assert_true (rp_listener_saw (&listener, &s_connections[10], true));
    assert_false (rp_listener_saw (&listener, &s_connections[10], true));
    assert_int_equal (listener.connected, 1);
    rp_listener_shook_hands (&listener); // the handshake of 11
    assert_false (rp_listener_saw (&listener, &s_connections[11], false));
    assert_int_equal (listener.connected, 2);
    rp_listener_failed (&listener); // as libzmq reports for each old peer that goes
    assert_true (rp_listener_went (&listener, &s_connections[10], S_LATER + 1));
    assert_true (rp_listener_went (&listener, &s_connections[11], S_LATER + 1));
    assert_int_equal (listener.connected, 0);
    rp_listener_close (&listener, 0);
}

static void s_who_is_done_without_a_handshake_is_old (void **state)
{
    (void) state;
    rp_listener_t listener = s_listener (2);
    s_came (&listener, 10, 0);
    assert_true (rp_listener_saw (&listener, &s_connections[10], false));
    assert_int_equal (listener.connected, 1);
    assert_true (rp_listener_went (&listener, &s_connections[10], 1));
    assert_int_equal (listener.connected, 0);
    rp_listener_close (&listener, 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_key_leads_back_to_its_listener_and_routing_id),
      cmocka_unit_test (s_routing_ids_of_listener_0_are_their_own_keys),
      cmocka_unit_test (s_the_same_routing_id_has_another_key_at_each_listener),
      cmocka_unit_test (s_a_routing_id_that_is_a_key_elsewhere_has_another_one),
      cmocka_unit_test (s_rep_workers_have_one_key_and_no_routing_id),
      cmocka_unit_test (s_a_worker_counts_from_its_handshake_until_it_goes),
      cmocka_unit_test (s_many_come_and_go_in_any_order),
      cmocka_unit_test (s_peers_of_the_wrong_type_change_nothing),
      cmocka_unit_test (s_a_failed_handshake_changes_nothing),
      cmocka_unit_test (s_a_worker_goes_while_noise_stays),
      cmocka_unit_test (s_what_was_taken_for_the_wrong_type_is_put_right),
      cmocka_unit_test (s_an_old_peer_counts_once_it_was_seen),
      cmocka_unit_test (s_who_is_done_without_a_handshake_is_old),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
