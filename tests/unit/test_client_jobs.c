/*  SPDX-License-Identifier: MPL-2.0

    The client's core: durable requests, which a broker accepts as jobs, and others with keys.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

static void s_connect (client_world_t *world)
{
    static const uint8_t headers[] = "\x04jobs\x00\x01"
                                     "1\x07replays\x00\x01"
                                     "1";
    while (world->core.link.state != RP_LINK_CONNECTING)
        world_pass (world, MS);
    world_connect_only (world);
    world_hear (world, (rp_head_t){
                         .command = RP_COMMAND_WELCOME,
                         .interval_ms = 60000,
                         .max_open = 10,
                         .headers = headers,
                         .headers_size = sizeof headers - 1,
                       });
}

/*  A client with a session at a broker that keeps jobs.  */
static void s_begin (client_world_t *world, size_t endpoints)
{
    world_begin (world, endpoints);
    rp_client_core_start (&world->core, world->now);
    world_pass (world, 0);
    s_connect (world);
    world->trace[0] = '\0';
}

static void s_submit (client_world_t *world, int number, bool keyed)
{
    world->exchanges[number] = (rp_exchange_t){
      .size = 100, .timeout_ms = 30000, .attempts = 5, .durable = true, .keyed = keyed};
    assert_int_equal (
      rp_client_core_submit (&world->core, &world->exchanges[number], world->now), RP_OK);
    world_take_orders (world);
}

static bool s_accept (client_world_t *world, uint64_t id)
{
    return world_hear (world, (rp_head_t){.command = RP_COMMAND_ACCEPTED, .id = id, .job = 7});
}

static void a_durable_request_ends_when_it_is_accepted (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1, false);
    world_expect (&world, "r1*5>");
    assert_true (s_accept (&world, world.exchanges[1].wire_id));
    world_expect (&world, "r1=OK");
    assert_int_equal (world.exchanges[1].end, RP_END_REPLY);
    world_end (&world);
}

static void an_acceptance_that_nobody_waits_for_is_ignored (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    world_submit (&world, 1);
    assert_false (s_accept (&world, world.exchanges[1].wire_id));
    assert_int_equal (world.core.ignored, 1);
    assert_false (s_accept (&world, world.exchanges[1].wire_id + 1));
    assert_int_equal (world.core.late, 1);
    world_expect (&world, "r1>");
    world_reply (&world, 1, RP_OK);
    world_expect (&world, "r1=OK");
    world_end (&world);
}

static void it_is_not_sent_to_a_broker_that_keeps_no_jobs (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    s_submit (&world, 1, true);
    world_expect (&world, "r1=INVALID");
    assert_int_equal (world.exchanges[1].end, RP_END_NO_JOBS);
    world_end (&world);
}

/*  Submits an ordinary request with a key.  */
static void s_submit_keyed (client_world_t *world, int number, uint8_t attempts)
{
    world->exchanges[number] =
      (rp_exchange_t){.size = 100, .timeout_ms = 30000, .attempts = attempts, .keyed = true};
    assert_int_equal (
      rp_client_core_submit (&world->core, &world->exchanges[number], world->now), RP_OK);
    world_take_orders (world);
}

static void an_ordinary_request_says_that_it_has_a_key (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit_keyed (&world, 1, 1);
    s_submit_keyed (&world, 2, 1);
    world_submit (&world, 3);
    world_expect (&world, "r1^> r2^> r3>");
    for (int number = 1; number <= 3; number++)
        assert_true (world_hear (&world, (rp_head_t){.command = RP_COMMAND_REPLY,
                                           .flags = number > 1 ? RP_FLAG_REPLAYED : 0,
                                           .id = world.exchanges[number].wire_id}));
    assert_false (world.exchanges[1].replayed);
    assert_true (world.exchanges[2].replayed);
    assert_false (world.exchanges[3].replayed); // it has no key
    world_end (&world);
}

static void with_a_key_it_is_not_sent_to_a_broker_that_remembers_nothing (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    s_submit_keyed (&world, 1, 3);
    world_expect (&world, "r1=INVALID");
    assert_int_equal (world.exchanges[1].end, RP_END_NO_REPLAYS);
    world_end (&world);
}

static void a_lost_request_with_a_key_is_sent_again_within_its_attempts (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit_keyed (&world, 1, 2);
    for (int times = 0; times < 2; times++) {
        world_fail (&world);
        if (times == 0)
            s_connect (&world);
    }
    world_expect (&world, "r1^> close open(a) HELLO r1^> close r1=UNKNOWN");
    world_end (&world);
}

static void without_a_key_a_lost_broker_leaves_it_unknown (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1, false);
    world_fail (&world);
    world_expect (&world, "r1*5> close r1=UNKNOWN open(a)");
    assert_int_equal (world.exchanges[1].end, RP_END_LOST);
    world_end (&world);
}

static void with_a_key_it_is_sent_again_with_all_attempts_and_without_a_budget (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    world.core.budget = 0;
    world.core.config.retry_percent = 0;
    s_submit (&world, 1, true);
    uint64_t first = world.exchanges[1].wire_id;
    for (int times = 0; times < 3; times++) {
        world_fail (&world);
        s_connect (&world);
    }
    world_expect (&world, "r1*5> close open(a) HELLO r1*5> close open(a) HELLO r1*5> close open(a) "
                          "HELLO r1*5>");
    assert_true (world.exchanges[1].wire_id != first);
    assert_false (s_accept (&world, first));
    assert_true (s_accept (&world, world.exchanges[1].wire_id));
    world_expect (&world, "r1=OK");
    world_end (&world);
}

static void with_a_key_it_is_unknown_only_at_its_deadline (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1, true);
    world_fail (&world);
    assert_int_equal (world.core.open_count, 1);
    world.trace[0] = '\0';
    rp_exchange_t *exchange = &world.exchanges[1];
    for (int times = 0; times < 60 && exchange->state != RP_EXCHANGE_IDLE; times++) {
        world_pass (&world, SECOND);
        world_fail (&world);
    }
    assert_int_equal (exchange->status, RP_UNKNOWN);
    assert_in_range (exchange->ended - exchange->submitted, 30 * SECOND, 31 * SECOND);
    world_end (&world);
}

static void another_endpoint_has_other_jobs (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 2);
    s_submit (&world, 1, true);
    world_fail (&world); // the next attempt is at b
    s_connect (&world);
    world_expect (&world, "r1*5> close open(b) HELLO r1=UNKNOWN");
    world_end (&world);
}

static void what_was_not_taken_goes_to_another_endpoint (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 2);
    s_submit (&world, 1, false);
    world_reply (&world, 1, RP_DRAINING);
    s_connect (&world);
    world_expect (&world, "r1*5> BYE close(orderly) open(b) HELLO r1*5>");
    assert_true (s_accept (&world, world.exchanges[1].wire_id));
    world_expect (&world, "r1=OK");
    world_end (&world);
}

static void a_full_store_is_asked_again_with_a_key_only (void **state)
{
    (void) state;
    client_world_t world;
    s_begin (&world, 1);
    s_submit (&world, 1, false);
    s_submit (&world, 2, true);
    world_reply (&world, 1, RP_BUSY);
    world_reply (&world, 2, RP_BUSY);
    world_expect (&world, "r1*5> r2*5> r1=BUSY");
    world_pass (&world, 2 * RP_RETRY_FIRST_MS * MS);
    world_expect (&world, "r2*5>");
    world_reply (&world, 2, RP_KEY_MISMATCH);
    world_expect (&world, "r2=KEY_MISMATCH");
    world_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_durable_request_ends_when_it_is_accepted),
      cmocka_unit_test (an_acceptance_that_nobody_waits_for_is_ignored),
      cmocka_unit_test (it_is_not_sent_to_a_broker_that_keeps_no_jobs),
      cmocka_unit_test (an_ordinary_request_says_that_it_has_a_key),
      cmocka_unit_test (with_a_key_it_is_not_sent_to_a_broker_that_remembers_nothing),
      cmocka_unit_test (a_lost_request_with_a_key_is_sent_again_within_its_attempts),
      cmocka_unit_test (without_a_key_a_lost_broker_leaves_it_unknown),
      cmocka_unit_test (with_a_key_it_is_sent_again_with_all_attempts_and_without_a_budget),
      cmocka_unit_test (with_a_key_it_is_unknown_only_at_its_deadline),
      cmocka_unit_test (another_endpoint_has_other_jobs),
      cmocka_unit_test (what_was_not_taken_goes_to_another_endpoint),
      cmocka_unit_test (a_full_store_is_asked_again_with_a_key_only),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
