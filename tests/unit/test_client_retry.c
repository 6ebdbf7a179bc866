/*  SPDX-License-Identifier: MPL-2.0

    The client's core: trying again, and cancelling.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/client_world.h"

/*  ---- Trying again --------------------------------------------------------------------------- */

static void a_lost_broker_draws_another_attempt_under_a_new_id (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 2, NULL);
    world_submit_with (&world, 2, 2, NULL);
    uint64_t first = world.exchanges[1].wire_id;
    world_fail (&world);
    world_submit (&world, 3);
    world_connect (&world);
    world_expect (&world, "r1> r2> close open(a) HELLO r1> r2> r3>");
    assert_true (world.exchanges[1].wire_id != first);
    assert_true (world.exchanges[1].id == first);
    assert_int_equal (world.exchanges[1].attempts_left, 1);
    world_hear (&world, (rp_head_t){.command = RP_COMMAND_REPLY, .id = first});
    assert_int_equal (world.core.late, 1);
    world_reply (&world, 1, RP_OK);
    world_expect (&world, "r1=OK");
    world_fail (&world);
    world_expect (&world, "close r2=UNKNOWN r3=UNKNOWN");
    world_end (&world);
}

static void busy_is_tried_again_after_a_pause_while_attempts_are_left (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 3, NULL);
    assert_false (world_reply_with (&world, 1, RP_BUSY, 0));
    world_expect (&world, "r1>");
    world_pass (&world, RP_RETRY_FIRST_MS * MS / 2 - 1);
    world_expect (&world, "");
    world_pass (&world, RP_RETRY_FIRST_MS * MS / 2 + 1);
    world_expect (&world, "r1>");
    world_reply (&world, 1, RP_DRAINING);
    world_pass (&world, 2 * RP_RETRY_FIRST_MS * MS);
    world_expect (&world, "r1>");
    world_reply (&world, 1, RP_BUSY);
    world_expect (&world, "r1=BUSY");
    world_end (&world);
}

static void busy_ends_a_single_attempt (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    assert_true (world_reply_with (&world, 1, RP_BUSY, 0));
    world_expect (&world, "r1> r1=BUSY");
    world_end (&world);
}

static void busy_so_late_that_a_pause_would_pass_the_deadline_is_final (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world.exchanges[1] = (rp_exchange_t){.timeout_ms = 5, .attempts = 3};
    rp_client_core_submit (&world.core, &world.exchanges[1], world.now);
    world_expect (&world, "r1>");
    world_reply (&world, 1, RP_BUSY);
    world_expect (&world, "r1=BUSY");
    world_end (&world);
}

static void no_worker_is_not_tried_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 3, NULL);
    world_reply (&world, 1, RP_NO_WORKER);
    world_expect (&world, "r1> r1=NO_WORKER");
    world_end (&world);
}

static void what_proves_that_nothing_ran_is_asked_of_the_next_broker_at_once (void **state)
{
    (void) state;
    static const rp_status_t proofs[] = {RP_DRAINING, RP_BUSY, RP_NO_WORKER};
    for (size_t index = 0; index < 3; index++) {
        client_world_t world;
        world_begin_connected (&world, 2);
        world_submit (&world, 1);
        world_reply (&world, 1, proofs[index]);
        world_expect (&world, "r1> BYE close(orderly) open(b)");
        world_connect_only (&world);
        world_welcome (&world, 10);
        world_reply (&world, 1, RP_OK);
        world_expect (&world, "HELLO r1> r1=OK");
        world_end (&world);
    }
}

static void when_every_broker_has_been_asked_the_last_answer_stands (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 2);
    world_submit (&world, 1);
    world_reply (&world, 1, RP_NO_WORKER);
    world_connect (&world);
    world_reply (&world, 1, RP_NO_WORKER);
    world_expect (&world, "r1> BYE close(orderly) open(b) HELLO r1> r1=NO_WORKER");
    world_end (&world);
}

static void a_broker_that_drains_may_be_asked_again_once_it_is_back (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 2);
    world_submit (&world, 1);
    for (int restart = 0; restart < 3; restart++) {
        world_reply (&world, 1, RP_DRAINING);
        world.trace[0] = '\0';
        world_connect (&world);
        world_expect (&world, restart % 2 ? "open(a) HELLO r1>" : "open(b) HELLO r1>");
    }
    world_reply (&world, 1, RP_OK);
    world_expect (&world, "r1=OK");
    world_end (&world);
}

static void others_that_run_are_not_disturbed_by_one_without_a_worker (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 2);
    world_submit (&world, 1);
    world_submit (&world, 2);
    world_reply (&world, 2, RP_NO_WORKER);
    world_expect (&world, "r1> r2> r2=NO_WORKER");
    world_end (&world);
}

static void the_retry_budget_is_a_reserve_and_what_requests_earn (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    // Each of these requests earns a fifth of a retry: two retries, beside the ten in reserve.
    for (int number = 0; number < 10; number++)
        world_submit_with (&world, number, 10, NULL);
    unsigned sent = 0;
    for (int round = 0; round < 2; round++) {
        world_fail (&world);
        world_connect (&world);
    }
    for (const char *at = world.trace; (at = strchr (at, '>')); at++)
        sent++;
    assert_int_equal (sent, 10 + 12);
    for (int number = 0; number < 10; number++)
        if (world.exchanges[number].state == RP_EXCHANGE_IDLE) {
            assert_int_equal (world.exchanges[number].status, RP_UNKNOWN);
            assert_int_equal (world.exchanges[number].end, RP_END_BUDGET);
        }
    assert_int_equal (world.core.open_count, 2);
    world_end (&world);
}

static void a_budget_of_nothing_forbids_retries (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world.core.config.retry_percent = 0;
    world_connect (&world);
    world_submit_with (&world, 1, 3, NULL);
    world_reply (&world, 1, RP_BUSY);
    world_expect (&world, "open(a) HELLO r1> r1=BUSY");
    world_end (&world);
}

static void after_a_lost_attempt_nothing_claims_that_it_never_ran (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 2, NULL);
    world_submit_with (&world, 2, 2, NULL);
    world_fail (&world);
    world_connect (&world);
    world.trace[0] = '\0';
    assert_false (world_reply_with (&world, 1, RP_NO_WORKER, 0));
    assert_true (world_reply_with (&world, 2, RP_WORKER_LOST, 0));
    world_expect (&world, "r1=UNKNOWN r2=WORKER_LOST");
    world_end (&world);
}

static void a_retry_that_finds_no_broker_until_the_deadline_is_unknown (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 2, NULL);
    world_fail (&world);
    world_pass (&world, 5 * SECOND);
    assert_int_equal (world.exchanges[1].status, RP_UNKNOWN);
    assert_int_equal (world.core.open_count, 0);
    world_end (&world);
}

/*  ---- Cancelling ----------------------------------------------------------------------------- */

static void cancelling_what_was_not_sent_ends_it_at_once (void **state)
{
    (void) state;
    client_world_t world;
    world_begin (&world, 1);
    world_submit (&world, 1);
    assert_true (world_cancel (&world, 1));
    world_expect (&world, "r1=CANCELLED open(a)");
    assert_false (world_cancel (&world, 1));
    world_end (&world);
}

static void cancelling_what_runs_waits_for_what_was_faster (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_submit_with (&world, 2, 3, NULL);
    assert_true (world_cancel (&world, 1));
    assert_true (world_cancel (&world, 1));
    assert_true (world_cancel (&world, 2));
    world_expect (&world, "r1> r2> CANCEL(r1) CANCEL(r2)");
    world_reply (&world, 1, RP_OK);
    world_reply (&world, 2, RP_CANCELLED);
    world_expect (&world, "r1=OK r2=CANCELLED");
    world_end (&world);
}

static void a_cancelled_request_is_not_tried_again (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 3, NULL);
    world_submit_with (&world, 2, 3, NULL);
    world_cancel (&world, 1);
    world_cancel (&world, 2);
    world_reply (&world, 1, RP_BUSY);
    world_fail (&world);
    world_expect (&world, "r1> r2> CANCEL(r1) CANCEL(r2) r1=BUSY close r2=UNKNOWN open(a)");
    world_end (&world);
}

static void an_id_of_a_retry_still_cancels_by_its_first_name (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit_with (&world, 1, 3, NULL);
    uint64_t id = world.exchanges[1].id;
    world_reply (&world, 1, RP_BUSY);
    assert_false (rp_client_core_cancel (&world.core, world.exchanges[1].wire_id, world.now));
    assert_true (rp_client_core_cancel (&world.core, id, world.now));
    world_expect (&world, "r1> r1=CANCELLED");
    world_end (&world);
}

static void an_abandoned_request_ends_at_once_and_the_broker_is_told (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    rp_client_core_abandon (&world.core, &world.exchanges[1], world.now);
    world_expect (&world, "r1> CANCEL(r1) r1=CANCELLED");
    world_reply (&world, 1, RP_CANCELLED);
    world_expect (&world, "");
    world_end (&world);
}

static void closing_says_bye_and_ends_everything_with_cancelled (void **state)
{
    (void) state;
    client_world_t world;
    world_begin_connected (&world, 1);
    world_submit (&world, 1);
    world_submit_with (&world, 2, 3, NULL);
    world_reply (&world, 2, RP_BUSY);
    rp_client_core_close (&world.core, world.now);
    world_expect (&world, "r1> r2> BYE close(orderly) r1=CANCELLED r2=CANCELLED");
    rp_exchange_t one = {.timeout_ms = 1000, .attempts = 1};
    assert_int_equal (rp_client_core_submit (&world.core, &one, world.now), RP_CLOSED);
    world_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_lost_broker_draws_another_attempt_under_a_new_id),
      cmocka_unit_test (busy_is_tried_again_after_a_pause_while_attempts_are_left),
      cmocka_unit_test (busy_ends_a_single_attempt),
      cmocka_unit_test (busy_so_late_that_a_pause_would_pass_the_deadline_is_final),
      cmocka_unit_test (no_worker_is_not_tried_again),
      cmocka_unit_test (what_proves_that_nothing_ran_is_asked_of_the_next_broker_at_once),
      cmocka_unit_test (when_every_broker_has_been_asked_the_last_answer_stands),
      cmocka_unit_test (a_broker_that_drains_may_be_asked_again_once_it_is_back),
      cmocka_unit_test (others_that_run_are_not_disturbed_by_one_without_a_worker),
      cmocka_unit_test (the_retry_budget_is_a_reserve_and_what_requests_earn),
      cmocka_unit_test (a_budget_of_nothing_forbids_retries),
      cmocka_unit_test (after_a_lost_attempt_nothing_claims_that_it_never_ran),
      cmocka_unit_test (a_retry_that_finds_no_broker_until_the_deadline_is_unknown),
      cmocka_unit_test (cancelling_what_was_not_sent_ends_it_at_once),
      cmocka_unit_test (cancelling_what_runs_waits_for_what_was_faster),
      cmocka_unit_test (a_cancelled_request_is_not_tried_again),
      cmocka_unit_test (an_id_of_a_retry_still_cancels_by_its_first_name),
      cmocka_unit_test (an_abandoned_request_ends_at_once_and_the_broker_is_told),
      cmocka_unit_test (closing_says_bye_and_ends_everything_with_cancelled),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
