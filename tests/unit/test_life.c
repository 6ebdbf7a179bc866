/*  The life of a persistent process: when it is started, when it may have a request; and when a
    command is tried again.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/program/life.h"
#include "worker/program/trial.h"

#define S_SECOND 1000000
#define S_NOW (1000 * (int64_t) S_SECOND)

/*  ---- A process that stays ------------------------------------------------------------------- */

static void a_process_that_says_nothing_is_offered_when_it_has_lived_for_a_while (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, false, 60 * S_SECOND);
    assert_int_equal (rp_life_next (&life, S_NOW), 0); // started at once
    rp_life_started (&life, S_NOW);
    assert_false (rp_life_is_offered (&life, S_NOW));
    assert_int_equal (rp_life_next (&life, S_NOW), S_NOW + RP_LIFE_SETTLE);
    assert_true (rp_life_is_offered (&life, S_NOW + RP_LIFE_SETTLE));
    // It has no request, so it cannot be late.
    assert_int_equal (rp_life_next (&life, S_NOW + RP_LIFE_SETTLE), RP_LIFE_NEVER);
    assert_false (rp_life_is_late (&life, S_NOW + 3600 * (int64_t) S_SECOND));
}

static void a_program_that_ends_at_once_is_never_offered (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, false, 0);
    int64_t now = S_NOW;
    for (int round = 0; round < 50; round++) {
        rp_life_started (&life, now);
        now += RP_LIFE_SETTLE / 2;
        assert_false (rp_life_is_offered (&life, now));
        rp_life_ended (&life, false, now, 0);
        assert_false (rp_life_is_offered (&life, now));
        assert_true (life.start_at > now && life.start_at <= now + RP_LIFE_PAUSE_LARGEST);
        now = life.start_at;
    }
    assert_true (life.start_at - now <= RP_LIFE_PAUSE_LARGEST);
    assert_int_equal (life.failures, 50);
}

static void one_that_fails_again_and_again_has_to_live_longer_before_it_is_offered (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, false, 0);
    rp_life_started (&life, S_NOW);
    rp_life_given (&life, S_NOW + RP_LIFE_SETTLE);
    rp_life_ended (&life, false, S_NOW + RP_LIFE_SETTLE, 0);
    rp_life_started (&life, S_NOW);
    assert_false (rp_life_is_offered (&life, S_NOW + RP_LIFE_SETTLE));
    assert_true (rp_life_is_offered (&life, S_NOW + 2 * RP_LIFE_SETTLE));
    rp_life_answered (&life);
    rp_life_ended (&life, true, S_NOW, 0);
    assert_int_equal (life.start_at, S_NOW); // it did not fail: started again at once
    rp_life_started (&life, S_NOW);
    assert_true (rp_life_is_offered (&life, S_NOW)); // its program has served before
}

static void one_that_announces_itself_is_offered_when_it_says_that_it_is_ready (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, true, 60 * S_SECOND);
    rp_life_started (&life, S_NOW);
    assert_false (rp_life_is_offered (&life, S_NOW + 59 * S_SECOND));
    assert_false (rp_life_is_late (&life, S_NOW + 59 * S_SECOND));
    rp_life_said_ready (&life);
    assert_true (rp_life_is_offered (&life, S_NOW + 59 * S_SECOND));
    assert_false (rp_life_is_late (&life, S_NOW + 3600 * (int64_t) S_SECOND));
}

static void one_that_does_not_get_ready_is_late_after_the_limit (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, true, 60 * S_SECOND);
    rp_life_started (&life, S_NOW);
    assert_int_equal (rp_life_next (&life, S_NOW), S_NOW + 60 * S_SECOND);
    assert_true (rp_life_is_late (&life, S_NOW + 60 * S_SECOND));
    rp_life_init (&life, true, 0); // no limit
    rp_life_started (&life, S_NOW);
    assert_false (rp_life_is_late (&life, S_NOW + 86400 * (int64_t) S_SECOND));
}

static void one_that_may_still_load_outlives_its_first_request_and_owes_the_answer (void **state)
{
    (void) state;
    rp_life_t life;
    rp_life_init (&life, false, 60 * S_SECOND);
    rp_life_started (&life, S_NOW);
    rp_life_given (&life, S_NOW + S_SECOND);
    assert_true (rp_life_outlives_request (&life));
    assert_false (rp_life_is_offered (&life, S_NOW + 10 * S_SECOND));
    rp_life_said_ready (&life);
    assert_false (rp_life_is_offered (&life, S_NOW + 10 * S_SECOND)); // it has not answered
    assert_false (rp_life_is_late (&life, S_NOW + 60 * S_SECOND));
    assert_true (rp_life_is_late (&life, S_NOW + 61 * S_SECOND));
    rp_life_answered (&life);
    assert_true (rp_life_is_offered (&life, S_NOW + 10 * S_SECOND));
    assert_false (rp_life_outlives_request (&life)); // the next request ends it
}

/*  ---- A command ------------------------------------------------------------------------------ */

static void a_command_that_cannot_be_started_closes_everything_for_growing_pauses (void **state)
{
    (void) state;
    rp_trial_t trial = {0};
    assert_int_equal (rp_trial_ready (&trial, 4, S_NOW), 4);
    int64_t pause = 0;
    for (int round = 0; round < 8; round++) {
        rp_trial_failed (&trial, S_NOW, 0);
        assert_true (trial.again - S_NOW > pause || pause >= RP_TRIAL_LARGEST / 2);
        pause = trial.again - S_NOW;
        assert_int_equal (rp_trial_ready (&trial, 4, trial.again - 1), 0);
    }
    assert_true (pause <= RP_TRIAL_LARGEST);
}

static void after_the_pause_one_request_tries_and_a_start_opens_everything (void **state)
{
    (void) state;
    rp_trial_t trial = {0};
    rp_trial_failed (&trial, S_NOW, 0);
    assert_int_equal (rp_trial_ready (&trial, 4, trial.again), 1);
    rp_trial_worked (&trial);
    assert_int_equal (rp_trial_ready (&trial, 4, S_NOW), 4);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_process_that_says_nothing_is_offered_when_it_has_lived_for_a_while),
      cmocka_unit_test (a_program_that_ends_at_once_is_never_offered),
      cmocka_unit_test (one_that_fails_again_and_again_has_to_live_longer_before_it_is_offered),
      cmocka_unit_test (one_that_announces_itself_is_offered_when_it_says_that_it_is_ready),
      cmocka_unit_test (one_that_does_not_get_ready_is_late_after_the_limit),
      cmocka_unit_test (one_that_may_still_load_outlives_its_first_request_and_owes_the_answer),
      cmocka_unit_test (a_command_that_cannot_be_started_closes_everything_for_growing_pauses),
      cmocka_unit_test (after_the_pause_one_request_tries_and_a_start_opens_everything),
    };
    return cmocka_run_group_tests_name ("life", tests, NULL, NULL);
}
