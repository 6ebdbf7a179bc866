/*  How a worker's window follows what the application does with its requests.

    SPDX-License-Identifier: MPL-2.0

    A simple broker, half a round trip away, fills the window of a worker's core while there are
    requests; an application takes and answers them. Time is simulated.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "worker/worker_core.h"

#define S_MS 1000
#define S_SECOND 1000000
#define S_WORKS 256u
#define S_WAY 100 /* us, from the broker to the worker, by default */

static const char *const s_endpoints[] = {"tcp://127.0.0.1:1"};

typedef struct {
    rp_worker_core_t core;
    rp_work_t works[S_WORKS];
    bool used[S_WORKS];
    int64_t now;
    int64_t next;     /* when the core wants its tick */
    int64_t job;      /* us that a request takes */
    int64_t way;      /* us, from the broker to the worker */
    uint32_t at_once; /* requests that the application works on; 0: all there are */
    int64_t done_at[S_WORKS];
    int64_t first_done; /* no slot is done before */
    int64_t taken_at;   /* when a slow application took the latest request */
    int64_t taking;     /* us that a slow application needs to take a request */
    uint32_t window;    /* as the broker knows it */
    uint32_t time;
    uint32_t held; /* as the broker knows it */
    int64_t credit_at;
    rp_head_t credit; /* the credit that is on its way */
    unsigned credits;
    uint64_t token;
    uint64_t answered;
    bool load;
} s_world_t;

static void s_take_orders (s_world_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));) {
        if (order->kind != RP_WORKER_SEND)
            continue;
        if (order->head.command == RP_COMMAND_HELLO)
            self->window = order->head.window;
        if (order->head.command != RP_COMMAND_CREDIT)
            continue;
        self->credits++;
        self->credit = order->head;
        self->credit_at = self->now + self->way;
    }
}

static void s_tick (s_world_t *self)
{
    self->next = rp_worker_core_tick (&self->core, self->now, 7);
    assert_true (self->next > self->now); // otherwise its thread would never rest
    s_take_orders (self);
}

static void s_welcome (s_world_t *self)
{
    rp_head_t welcome = {
      .command = RP_COMMAND_WELCOME, .interval_ms = 60000, .window = self->window};
    rp_worker_core_message (&self->core, 0, &welcome, self->now, 7);
    s_take_orders (self);
}

static s_world_t *s_make_at (int64_t way, uint32_t slots, uint32_t threads, int64_t job)
{
    s_world_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->way = way;
    self->now = 1000 * (int64_t) S_SECOND;
    self->at_once = threads;
    self->job = job;
    self->load = true;
    rp_worker_config_t config = {.endpoints = s_endpoints,
      .count = 1,
      .service = "upper",
      .name = "test",
      .slots = slots,
      .threads = threads,
      .heartbeat_ms = 60000,
      .drain_us = 10 * S_SECOND,
      .seed = 42};
    assert_true (rp_worker_core_init (&self->core, &config));
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    s_take_orders (self);
    s_welcome (self);
    return self;
}

static s_world_t *s_make (uint32_t slots, uint32_t threads, int64_t job)
{
    return s_make_at (S_WAY, slots, threads, job);
}

static void s_free (s_world_t *self)
{
    rp_worker_core_clear (&self->core);
    free (self);
}

static void s_send (s_world_t *self)
{
    uint32_t slot = 0;
    while (self->used[slot])
        slot++;
    self->used[slot] = true;
    self->done_at[slot] = INT64_MAX;
    self->held++;
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = ++self->token,
      .deadline_ms = 600000,
      .attempt = 1,
      .attempts = 1};
    assert_true (
      rp_worker_core_request (&self->core, 0, &head, &self->works[slot], NULL, self->now));
    assert_int_equal (self->works[slot].state, RP_WORK_READY);
}

static void s_expect_done (s_world_t *self, int64_t at)
{
    if (at < self->first_done)
        self->first_done = at;
}

static void s_finish (s_world_t *self)
{
    if (self->first_done > self->now)
        return;
    self->first_done = INT64_MAX;
    for (uint32_t slot = 0; slot < S_WORKS; slot++) {
        if (!self->used[slot])
            continue;
        if (self->done_at[slot] > self->now) {
            s_expect_done (self, self->done_at[slot]);
            continue;
        }
        assert_true (rp_worker_core_finish (&self->core, &self->works[slot], RP_OK, self->now));
        self->used[slot] = false;
        self->held--;
        self->answered++;
    }
}

/*  Takes requests. Returns true if the application asked and there was none.  */
static bool s_take (s_world_t *self)
{
    while (self->at_once == 0 || self->core.out < self->at_once) {
        if (self->now - self->taken_at < self->taking)
            return false;
        rp_work_t *work = rp_worker_core_take (&self->core, self->now);
        if (!work)
            return true;
        self->taken_at = self->now;
        self->done_at[work - self->works] = self->now + self->job;
        s_expect_done (self, self->now + self->job);
    }
    return false;
}

/*  Lets time pass. The broker sends once in a round trip, since a request can follow only the reply
    that made room for it.  */
static void s_pass (s_world_t *self, int64_t time)
{
    int64_t step = self->job < 2 * S_WAY ? 5 : S_WAY;
    for (int64_t end = self->now + time; self->now < end; self->now += step) {
        bool turn = self->now >= self->next;
        if (self->credit_at && self->now >= self->credit_at) {
            self->credit_at = 0;
            self->window = self->credit.window;
            self->time = self->credit.takes_us;
        }
        s_finish (self);
        if (self->now % (2 * self->way) == 0)
            for (; self->load && self->held < self->window; turn = true)
                s_send (self);
        if (turn)
            s_tick (self);
        if (s_take (self))
            s_tick (self);
    }
}

static void a_worker_of_short_jobs_is_never_idle_after_a_few_round_trips (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    assert_int_equal (self->window, 1);
    s_pass (self, 10 * 2 * S_WAY);
    assert_true (self->window >= 2 * S_WAY / 5);
    assert_true (self->credits <= 4);
    uint64_t before = self->answered;
    s_pass (self, 100 * S_MS);
    assert_int_equal (self->answered - before, 100 * S_MS / 5);
    s_free (self);
}

static void a_worker_of_long_jobs_holds_no_more_than_it_works_on (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 10 * S_SECOND);
    s_pass (self, 35 * S_SECOND);
    assert_int_equal (self->answered, 3);
    assert_int_equal (self->window, 1);
    assert_int_equal (self->held, 1);
    assert_true (self->time > 5 * S_SECOND && self->time < 20 * S_SECOND);
    assert_true (self->credits < 16);
    s_free (self);
}

/*  Replies to the requests that are done, which ends the span; then asks for more, and there is
    none.  */
static void s_answer_and_ask (s_world_t *self)
{
    s_finish (self);
    s_tick (self);
    self->now += 3;
    assert_true (s_take (self));
    s_tick (self);
}

static void a_long_job_that_was_answered_does_not_look_like_a_short_one (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 500 * S_MS);
    self->load = false;
    for (unsigned round = 0; round < 5; round++) {
        s_send (self);
        s_tick (self);
        assert_false (s_take (self));
        self->now += self->job;
        s_answer_and_ask (self);
        assert_int_equal (self->core.window_control.window, 1);
        assert_true (rp_window_control_time (&self->core.window_control) > 100 * S_MS);
        self->now += 100 * S_MS;
    }
    s_free (self);
}

static void a_thread_that_is_done_before_others_says_nothing_of_them (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 8, 500 * S_MS);
    self->load = false;
    for (unsigned job = 0; job < 8; job++)
        s_send (self);
    s_tick (self);
    assert_false (s_take (self));
    self->now += self->job;
    for (unsigned job = 1; job < 8; job++)
        self->done_at[job] += S_MS;
    s_answer_and_ask (self);
    assert_int_equal (self->core.window_control.window, 8);
    s_free (self);
}

static void threads_are_all_given_work (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 8, 300 * S_MS);
    s_pass (self, 3 * S_SECOND);
    assert_true (self->window >= 8 && self->window < 16);
    assert_true (self->answered >= 64);
    s_free (self);
}

static void jobs_of_milliseconds_have_a_window_of_a_few (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 1900); // with a short wait before the next request
    s_pass (self, 2 * S_SECOND);
    assert_true (self->window >= 2 && self->window <= 6);
    assert_true (self->time > 1 * S_MS && self->time < 4 * S_MS);
    s_free (self);
}

static void the_window_shrinks_when_jobs_turn_slow_and_grows_again (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    s_pass (self, 200 * S_MS);
    assert_true (self->window >= 2 * S_WAY / 5);
    self->load = false;
    s_pass (self, 100 * S_MS);
    self->load = true;
    self->job = 400 * S_MS;
    s_pass (self, 50 * S_MS);
    assert_int_equal (self->window, 1);
    assert_true (self->time >= 10 * S_MS);
    s_pass (self, 110 * (int64_t) S_SECOND); // until the requests that it held are done
    assert_int_equal (self->held, 1);
    assert_true (self->time > 200 * S_MS);
    self->job = 5;
    s_pass (self, 600 * S_MS);
    assert_true (self->window >= 2 * S_WAY / 5);
    assert_true (self->time < 100);
    s_free (self);
}

static void an_application_that_answers_later_has_its_whole_window (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 0, 50 * S_MS);
    s_pass (self, 10 * S_MS);
    assert_int_equal (self->window, 256);
    s_pass (self, 2 * S_SECOND);
    assert_int_equal (self->window, 256);
    assert_true (self->credits < 16);
    s_free (self);
}

static void an_application_that_takes_slowly_and_answers_later_has_what_it_takes (void **state)
{
    (void) state;
    s_world_t *self = s_make (64, 0, 200 * S_MS);
    self->taking = 1 * S_MS;
    s_pass (self, 3 * S_SECOND);
    assert_int_equal (self->window, 64);
    assert_true (self->core.out > 50);
    s_free (self);
}

static void at_full_speed_there_is_no_credit (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    s_pass (self, 500 * S_MS);
    unsigned before = self->credits;
    s_pass (self, 2 * S_SECOND);
    assert_true (self->answered > 100000);
    assert_int_equal (self->credits, before);
    s_free (self);
}

static void a_long_job_keeps_nobody_awake (void **state)
{
    (void) state;
    int64_t now = S_SECOND;
    rp_window_control_t window_control = {
      .slots = 4, .threads = 1, .window = 1, .work_us = 10 * S_SECOND, .active = now};
    for (unsigned round = 0; round < 10; round++) {
        now += S_SECOND / 2;
        rp_window_control_tick (&window_control, (rp_window_control_view_t){.out = 1}, now);
        assert_true (rp_window_control_next (&window_control) > now);
    }
}

static void an_application_that_asks_for_more_while_it_has_some_does_not_say_what_a_job_takes (
  void **state)
{
    (void) state;
    s_world_t *self = s_make (8, 8, 300 * S_MS);
    self->at_once = 16;
    s_pass (self, 5 * (int64_t) S_SECOND);
    assert_int_equal (self->window, 8);
    assert_int_equal (self->time, 0);
    s_free (self);
}

static void far_from_the_broker_the_window_covers_the_way (void **state)
{
    (void) state;
    s_world_t *self = s_make_at (25 * S_MS, 256, 1, S_MS);
    s_pass (self, 5 * (int64_t) S_SECOND);
    uint64_t before = self->answered;
    s_pass (self, S_SECOND);
    assert_true (self->answered - before > 300); // a window of 4, sent every 50 ms, would give 80
    s_free (self);
}

static void without_load_there_is_no_credit (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    self->load = false;
    s_pass (self, 5 * S_SECOND);
    assert_int_equal (self->credits, 0);
    assert_int_equal (self->window, 1);
    s_free (self);
}

static void a_slow_worker_without_work_is_worth_another_try (void **state)
{
    (void) state;
    s_world_t *self = s_make (16, 1, 300 * S_MS);
    s_pass (self, 1 * S_SECOND);
    assert_true (self->time > 100 * S_MS);
    self->load = false;
    s_pass (self, 400 * S_MS);
    assert_int_equal (self->held, 0);
    assert_true (self->time > 100 * S_MS);
    s_pass (self, 1100 * S_MS);
    assert_int_equal (self->time, 0);
    unsigned before = self->credits;
    s_pass (self, 3 * S_SECOND);
    assert_int_equal (self->credits, before);
    s_free (self);
}

static void the_window_never_exceeds_the_slots (void **state)
{
    (void) state;
    s_world_t *self = s_make (3, 8, 5);
    assert_int_equal (self->window, 3);
    s_pass (self, 100 * S_MS);
    assert_int_equal (self->window, 3);
    s_free (self);
}

static void a_worker_that_drains_says_nothing_more_of_its_window (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    rp_worker_core_drain (&self->core, self->now);
    s_take_orders (self);
    s_pass (self, 100 * S_MS);
    assert_true (self->answered > 100);
    assert_int_equal (self->credits, 0);
    s_free (self);
}

static void a_broker_that_comes_back_is_told_what_is_known (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 1, 5);
    s_pass (self, 200 * S_MS);
    self->load = false;
    s_pass (self, 10 * S_MS);
    rp_worker_core_failed (&self->core, 0, "gone", self->now, 7);
    s_take_orders (self);
    self->window = 0;
    self->now += 5 * S_SECOND;
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    s_take_orders (self);
    assert_true (self->window >= 2 * S_WAY / 5);
    unsigned before = self->credits;
    s_welcome (self);
    assert_int_equal (self->credits, before + 1);
    assert_int_equal (self->credit.window, self->window);
    assert_true (self->credit.takes_us > 0);
    s_free (self);
}

static void a_broker_that_grants_less_is_not_asked_for_more (void **state)
{
    (void) state;
    s_world_t *self = s_make (256, 4, 5);
    rp_worker_core_failed (&self->core, 0, "gone", self->now, 7);
    self->now += 5 * S_SECOND;
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    s_take_orders (self);
    assert_int_equal (self->window, 4);
    self->window = 2;
    s_welcome (self);
    s_pass (self, 200 * S_MS);
    assert_int_equal (self->window, 2);
    s_free (self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_worker_of_short_jobs_is_never_idle_after_a_few_round_trips),
      cmocka_unit_test (a_worker_of_long_jobs_holds_no_more_than_it_works_on),
      cmocka_unit_test (a_long_job_that_was_answered_does_not_look_like_a_short_one),
      cmocka_unit_test (a_thread_that_is_done_before_others_says_nothing_of_them),
      cmocka_unit_test (threads_are_all_given_work),
      cmocka_unit_test (jobs_of_milliseconds_have_a_window_of_a_few),
      cmocka_unit_test (the_window_shrinks_when_jobs_turn_slow_and_grows_again),
      cmocka_unit_test (an_application_that_answers_later_has_its_whole_window),
      cmocka_unit_test (an_application_that_takes_slowly_and_answers_later_has_what_it_takes),
      cmocka_unit_test (at_full_speed_there_is_no_credit),
      cmocka_unit_test (a_long_job_keeps_nobody_awake),
      cmocka_unit_test (
        an_application_that_asks_for_more_while_it_has_some_does_not_say_what_a_job_takes),
      cmocka_unit_test (far_from_the_broker_the_window_covers_the_way),
      cmocka_unit_test (without_load_there_is_no_credit),
      cmocka_unit_test (a_slow_worker_without_work_is_worth_another_try),
      cmocka_unit_test (the_window_never_exceeds_the_slots),
      cmocka_unit_test (a_worker_that_drains_says_nothing_more_of_its_window),
      cmocka_unit_test (a_broker_that_comes_back_is_told_what_is_known),
      cmocka_unit_test (a_broker_that_grants_less_is_not_asked_for_more),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
