/*  SPDX-License-Identifier: MPL-2.0

    Bundles in the worker library, against a broker that follows a script. Its heartbeats are a
    minute apart, so that only the rule under test sends the replies that wait.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <riposte/worker.h>

#include "common/io/clock.h"
#include "tests/support/fake_broker.h"

/*  SOON_MS is longer than the library lets anything wait (RP_PUMP_IDLE_US), even on a busy machine,
    and far shorter than the time to the heartbeat, which would send it too.  */
enum { PATIENCE_MS = 10000, SOON_MS = 1000, SLOTS = 400 };

typedef struct {
    fake_broker_t *broker;
    rp_worker_t *worker;
} s_world_t;

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static s_world_t s_begin (void)
{
    s_world_t world = {.broker = fake_broker_new ()};
    world.worker = rp_worker_new (world.broker->endpoint, "upper");
    assert_non_null (world.worker);
    assert_int_equal (rp_worker_set_slots (world.worker, SLOTS), RP_OK);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (world.worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome_with_bundles (world.broker, SLOTS);
    return world;
}

static void s_end (s_world_t *world)
{
    rp_worker_destroy (&world->worker);
    fake_broker_destroy (&world->broker);
}

/*  Sends a bundle of requests with tokens from first to last.  */
static void s_request (s_world_t *world, uint64_t first, uint64_t last)
{
    static bundle_t bundle;
    bundle.size = 0;
    for (uint64_t token = first; token <= last; token++)
        bundle_add_message (&bundle,
          (rp_head_t){.command = RP_COMMAND_REQUEST,
            .id = token,
            .deadline_ms = 60000,
            .attempt = 1,
            .attempts = 1,
            .name = "upper",
            .name_size = 5},
          "body");
    fake_broker_send_bundle (world->broker, &bundle);
}

static rp_task_t *s_receive (s_world_t *world)
{
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (world->worker, PATIENCE_MS, &task), RP_OK);
    assert_int_equal (rp_task_size (task), 4);
    assert_memory_equal (rp_task_body (task), "body", 4);
    return task;
}

static void s_serve (s_world_t *world, unsigned count)
{
    for (; count > 0; count--) {
        rp_task_t *task = s_receive (world);
        assert_int_equal (rp_task_reply (&task, "BODY", 4), RP_OK);
    }
}

/*  Expects replies with tokens from first to last, soon.  */
static void s_expect (s_world_t *world, uint64_t first, uint64_t last)
{
    int64_t begin = rp_clock_us ();
    for (uint64_t token = first; token <= last; token++)
        fake_broker_expect_reply (world->broker, token, RP_OK);
    assert_in_range (rp_clock_us () - begin, 0, SOON_MS * 1000);
}

/*  ---- Tests ---------------------------------------------------------------------------------- */

static void tasks_of_a_bundle_are_received_one_by_one (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    s_request (&world, 1, 3);
    rp_task_t *tasks[3];
    for (unsigned index = 0; index < 3; index++)
        tasks[index] = s_receive (&world);
    for (unsigned index = 3; index-- > 0;) // the bundle lives as long as any of them
        assert_int_equal (rp_task_reply (&tasks[index], "BODY", 4), RP_OK);
    for (uint64_t token = 3; token > 0; token--)
        fake_broker_expect_reply (world.broker, token, RP_OK);
    s_end (&world);
}

static void headers_of_tasks_in_a_bundle_are_their_own (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    static bundle_t bundle;
    bundle.size = 0;
    for (uint64_t token = 1; token <= 3; token++) {
        uint8_t headers[] = {1, 'k', 0, 2, 'v', (uint8_t) ('0' + token)};
        bundle_add_message (&bundle,
          (rp_head_t){.command = RP_COMMAND_REQUEST,
            .id = token,
            .deadline_ms = 60000,
            .attempt = 1,
            .attempts = 1,
            .name = "upper",
            .name_size = 5,
            .headers = headers,
            .headers_size = sizeof headers},
          "body");
    }
    fake_broker_send_bundle (world.broker, &bundle);
    rp_task_t *tasks[3];
    for (unsigned index = 0; index < 3; index++)
        tasks[index] = s_receive (&world);
    for (unsigned index = 0; index < 3; index++) {
        char value[] = {'v', (char) ('1' + index), '\0'};
        assert_string_equal (rp_task_header (tasks[index], "k"), value);
        assert_memory_equal (rp_task_body (tasks[index]), "body", 4);
        assert_int_equal (rp_task_reply (&tasks[index], NULL, 0), RP_OK);
    }
    s_expect (&world, 1, 3);
    s_end (&world);
}

static void a_worker_in_a_hot_loop_replies_in_bundles (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    s_request (&world, 1, SLOTS);
    unsigned before = world.broker->received;
    s_serve (&world, SLOTS);
    s_expect (&world, 1, SLOTS);
    assert_in_range (world.broker->received - before, 1, SLOTS / 2);
    s_end (&world);
}

static void a_lone_reply_goes_out_at_once (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    for (uint64_t token = 1; token <= 20; token++) {
        unsigned before = world.broker->received - world.broker->aside;
        s_request (&world, token, token);
        s_serve (&world, 1);
        s_expect (&world, token, token);
        assert_int_equal (world.broker->received - world.broker->aside, before + 1);
    }
    assert_int_equal (world.broker->unbundler.count, 0);
    s_end (&world);
}

/*  Replies to a few requests, so that some replies wait, then takes the next task and is slow with
    it.  */
static void s_reply_and_be_slow (s_world_t *world, uint64_t first)
{
    enum { COUNT = 5 };
    s_serve (world, COUNT);
    rp_task_t *slow = s_receive (world);
    s_expect (world, first, first + COUNT - 1);
    assert_int_equal (rp_task_reply (&slow, "BODY", 4), RP_OK);
    s_expect (world, first + COUNT, first + COUNT);
}

static void a_reply_does_not_wait_long_for_a_slow_handler (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    s_request (&world, 1, 10);
    s_reply_and_be_slow (&world, 1);
    s_end (&world);
}

/*  By then the background thread polls, and does not know of new replies.  */
static void a_reply_does_not_wait_long_though_the_background_thread_leads (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    s_request (&world, 1, SLOTS);
    rp_task_t *task = s_receive (&world);
    usleep (100000); // the background thread steps in after 20 ms
    assert_int_equal (rp_task_reply (&task, "BODY", 4), RP_OK);
    s_expect (&world, 1, 1);
    for (unsigned round = 0; round < 5; round++) {
        usleep (100000);
        s_reply_and_be_slow (&world, 2 + round * 6);
    }
    s_end (&world);
}

static void a_reply_does_not_wait_long_in_background_mode (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    assert_true (rp_worker_fd (world.worker) >= 0);
    s_request (&world, 1, SLOTS);
    for (unsigned round = 0; round < 5; round++) {
        s_reply_and_be_slow (&world, 1 + round * 6);
        usleep (50000);
    }
    s_end (&world);
}

static void large_replies_keep_their_place (void **state)
{
    (void) state;
    enum { SIZE = 10000, COUNT = 30 };
    s_world_t world = s_begin ();
    s_request (&world, 1, COUNT + 5);
    char *body = calloc (1, SIZE);
    assert_non_null (body);
    for (unsigned index = 0; index < COUNT; index++) {
        rp_task_t *task = s_receive (&world);
        assert_int_equal (rp_task_reply (&task, body, index % 3 == 2 ? SIZE : 1), RP_OK);
    }
    for (unsigned index = 0; index < COUNT; index++) {
        fake_broker_expect_reply (world.broker, index + 1, RP_OK);
        assert_int_equal (world.broker->body_size, index % 3 == 2 ? SIZE : 1);
    }
    free (body);
    s_end (&world);
}

static void last_replies_and_bye_arrive (void **state)
{
    (void) state;
    s_world_t world = s_begin ();
    s_request (&world, 1, 10);
    s_serve (&world, 5);
    rp_worker_destroy (&world.worker);
    for (uint64_t token = 1; token <= 5; token++)
        fake_broker_expect_reply (world.broker, token, RP_OK);
    fake_broker_expect (world.broker, RP_COMMAND_BYE);
    fake_broker_destroy (&world.broker);
}

static void s_handle (rp_task_t **task, void *arg)
{
    (void) arg;
    rp_task_reply (task, "BODY", 4);
}

typedef struct {
    rp_worker_t *worker;
    int status;
} s_runner_t;

static void *s_run (void *arg)
{
    s_runner_t *runner = arg;
    runner->status = rp_worker_run (runner->worker, s_handle, NULL);
    return NULL;
}

/*  Several threads answer tasks of the same bundles.  */
static void handler_threads_share_bundles (void **state)
{
    (void) state;
    enum { THREADS = 4, ROUNDS = 20 };
    s_world_t world = {.broker = fake_broker_new ()};
    world.worker = rp_worker_new (world.broker->endpoint, "upper");
    assert_int_equal (rp_worker_set_slots (world.worker, SLOTS), RP_OK);
    assert_int_equal (rp_worker_set_threads (world.worker, THREADS), RP_OK);
    s_runner_t runner = {.worker = world.worker};
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_run, &runner), 0);
    fake_broker_welcome_with_bundles (world.broker, SLOTS);
    bool *seen = calloc (ROUNDS * SLOTS + 1, sizeof *seen);
    assert_non_null (seen);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        s_request (&world, round * SLOTS + 1, (round + 1) * SLOTS);
        for (unsigned count = 0; count < SLOTS; count++) {
            uint64_t token = fake_broker_expect (world.broker, RP_COMMAND_REPLY)->id;
            assert_in_range (token, round * SLOTS + 1, (round + 1) * SLOTS);
            assert_false (seen[token]);
            seen[token] = true;
        }
    }
    free (seen);
    rp_worker_stop (world.worker);
    pthread_join (thread, NULL);
    assert_int_equal (runner.status, RP_OK);
    s_end (&world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (tasks_of_a_bundle_are_received_one_by_one),
      cmocka_unit_test (headers_of_tasks_in_a_bundle_are_their_own),
      cmocka_unit_test (a_worker_in_a_hot_loop_replies_in_bundles),
      cmocka_unit_test (a_lone_reply_goes_out_at_once),
      cmocka_unit_test (a_reply_does_not_wait_long_for_a_slow_handler),
      cmocka_unit_test (a_reply_does_not_wait_long_though_the_background_thread_leads),
      cmocka_unit_test (a_reply_does_not_wait_long_in_background_mode),
      cmocka_unit_test (large_replies_keep_their_place),
      cmocka_unit_test (last_replies_and_bye_arrive),
      cmocka_unit_test (handler_threads_share_bundles),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
