/*  Grants in the place of foreign clients: over real backlogs, with messages that libzmq would hold.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/transport/grants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/heap.h"

#define WINDOW UINT64_C (262144)
#define HALF (WINDOW / 2)

enum { CLIENTS = 3 };

static rp_message_pool_t s_pool;
static rp_limits_t s_limits;
static rp_foreign_t s_foreign;
static rp_routes_t s_routes;
static rp_grants_t s_grants;
static rp_backlog_total_t s_total;
static rp_foreign_session_t *s_clients[CLIENTS];
static zmq_msg_t s_unwritten[CLIENTS]; /* what libzmq holds for each */
static int64_t s_now;
static int64_t s_due; /* the next look */

static rp_session_id_t s_id (unsigned client)
{
    return (rp_session_id_t){(UINT64_C (1) << 32) + client};
}

static int s_setup (void **state)
{
    (void) state;
    s_pool = (rp_message_pool_t){.largest = 10};
    s_limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    rp_foreign_init (&s_foreign, &s_pool, &s_limits, 7);
    rp_routes_init (&s_routes, 7);
    rp_grants_init (&s_grants, &s_foreign, &s_routes);
    s_now = 1000000;
    for (unsigned client = 0; client < CLIENTS; client++) {
        s_clients[client] = rp_foreign_begin (&s_foreign, RP_DIALECT_MDP02, false);
        assert_non_null (s_clients[client]);
        s_clients[client]->session = s_id (client);
        uint8_t key[5] = {(uint8_t) client};
        assert_true (rp_routes_add (&s_routes, s_id (client), key, sizeof key, false));
        zmq_msg_init (&s_unwritten[client]);
    }
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_foreign_clear (&s_foreign);
    for (unsigned client = 0; client < CLIENTS; client++)
        zmq_msg_close (&s_unwritten[client]);
    rp_routes_clear (&s_routes);
    rp_message_pool_clear (&s_pool);
    assert_int_equal (s_total, 0);
    return 0;
}

/*  ---- Vocabulary -------------------------------------------------------------------------- */

static uint64_t s_ask (unsigned client)
{
    uint64_t id =
      rp_envelopes_add (&s_foreign.envelopes, &s_clients[client]->envelopes, NULL, 0, "upper", 5);
    assert_int_not_equal (id, 0);
    return id;
}

/*  Sends a part, or the last one, whose cost is this.  */
static void s_send (unsigned client, uint64_t id, size_t cost, bool more)
{
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .id = id, .flags = RP_FLAG_INLINE | (more ? RP_FLAG_MORE : 0)};
    size_t size = rp_wire_size (&head), body = cost - RP_PART_COST;
    rp_message_t *native = rp_message_new (&s_pool, size + body);
    assert_non_null (native);
    rp_wire_encode (&head, rp_message_data (native), size);
    memset (rp_message_data (native) + size, 'x', body);
    rp_message_t *said = rp_foreign_translate (&s_foreign, s_clients[client], native);
    assert_non_null (said);
    rp_message_destroy (&s_pool, &said);
    rp_message_destroy (&s_pool, &native);
}

/*  The client does not read: so many bytes wait for it in libzmq.  */
static void s_stop (unsigned client, size_t bytes)
{
    rp_backlog_t *backlog = rp_routes_backlog (&s_routes, s_id (client), &s_total);
    assert_true (rp_backlog_add (backlog, &s_unwritten[client], bytes));
}

static void s_go_on (unsigned client)
{
    zmq_msg_close (&s_unwritten[client]);
    zmq_msg_init (&s_unwritten[client]);
}

/*  Looks, and takes the grants: of each client the latest, 0 if there was none. Returns their number.  */
static unsigned s_look (uint64_t granted[CLIENTS])
{
    rp_event_t event;
    rp_head_t head;
    unsigned count = 0;
    memset (granted, 0, CLIENTS * sizeof *granted);
    rp_grants_look (&s_grants, s_now);
    while (rp_grants_next (&s_grants, &event, &head)) {
        assert_int_equal (event.kind, RP_EVENT_MESSAGE);
        assert_int_equal (head.command, RP_COMMAND_GRANT);
        assert_ptr_equal (event.head, &head);
        granted[(uint32_t) event.session.v] = head.granted;
        count++;
    }
    s_due = rp_grants_due (&s_grants, s_now);
    return count;
}

/*  Lets time pass until the next look is due, and looks.  */
static unsigned s_look_when_due (uint64_t granted[CLIENTS])
{
    assert_int_equal (s_look (granted), 0); // it is too soon, but it hears of what was sent
    assert_true (s_due != INT64_MAX);
    s_now = s_due;
    return s_look (granted);
}

/*  ---- Tests ------------------------------------------------------------------------------- */

static void s_what_was_written_is_granted_anew (void **state)
{
    (void) state;
    uint64_t granted[CLIENTS];
    uint64_t id = s_ask (0);
    s_send (0, id, HALF, true);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_int_equal (granted[0], WINDOW + HALF);
    assert_int_equal (s_due, INT64_MAX);
    s_send (0, id, HALF, true);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_int_equal (granted[0], WINDOW + 2 * HALF);
}

static void s_less_than_half_of_a_window_is_not_worth_a_grant (void **state)
{
    (void) state;
    uint64_t granted[CLIENTS];
    uint64_t id = s_ask (0);
    s_send (0, id, HALF - 100, true);
    assert_false (rp_grants_owed (&s_grants));
    s_send (0, id, 100, true);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_int_equal (granted[0], WINDOW + HALF);
}

static void s_nothing_is_granted_while_the_client_does_not_read (void **state)
{
    (void) state;
    uint64_t granted[CLIENTS];
    uint64_t id = s_ask (0);
    s_send (0, id, HALF, true);
    s_stop (0, HALF);
    for (unsigned look = 0; look < 20; look++)
        assert_int_equal (s_look_when_due (granted), 0);
    s_send (0, id, HALF, true); // the rest of its window
    assert_int_equal (s_look_when_due (granted), 0);
    s_go_on (0);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_int_equal (granted[0], WINDOW + 2 * HALF);
}

static void s_a_client_that_has_stopped_holds_up_no_other (void **state)
{
    (void) state;
    uint64_t granted[CLIENTS];
    for (unsigned client = 0; client < CLIENTS; client++)
        s_send (client, s_ask (client), HALF, true);
    s_stop (1, HALF);
    assert_int_equal (s_look_when_due (granted), 2);
    assert_int_equal (granted[1], 0);
    s_go_on (1);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_int_equal (granted[1], WINDOW + HALF);
}

static void s_pauses_grow_while_nobody_reads_and_are_short_for_who_comes_anew (void **state)
{
    (void) state;
    uint64_t granted[CLIENTS];
    s_send (0, s_ask (0), HALF, true);
    s_stop (0, HALF);
    int64_t begun = s_now;
    for (unsigned look = 0; look < 100; look++)
        assert_int_equal (s_look_when_due (granted), 0);
    assert_in_range (s_now - begun, 80 * RP_GRANTS_PAUSE_MOST_US, 100 * RP_GRANTS_PAUSE_MOST_US);
    begun = s_now;
    s_send (1, s_ask (1), HALF, true);
    assert_int_equal (s_look_when_due (granted), 1);
    assert_in_range (s_now - begun, 1, RP_GRANTS_PAUSE_US);
}

static void s_what_has_ended_is_owed_nothing (void **state)
{
    (void) state;
    uint64_t one = s_ask (0);
    s_send (0, one, HALF, true);
    s_send (1, s_ask (1), HALF, true);
    s_send (0, one, 100, false);
    rp_foreign_end (&s_foreign, &s_clients[1]);
    assert_false (rp_grants_owed (&s_grants));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_what_was_written_is_granted_anew),
      S_TEST (s_less_than_half_of_a_window_is_not_worth_a_grant),
      S_TEST (s_nothing_is_granted_while_the_client_does_not_read),
      S_TEST (s_a_client_that_has_stopped_holds_up_no_other),
      S_TEST (s_pauses_grow_while_nobody_reads_and_are_short_for_who_comes_anew),
      S_TEST (s_what_has_ended_is_owed_nothing),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
