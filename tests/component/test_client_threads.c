/*  SPDX-License-Identifier: MPL-2.0

    One client and many threads, also for the thread sanitizer.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/client.h>

#include "tests/support/puppet_broker.h"

#define PATIENCE_MS PUPPET_PATIENCE_MS

enum { THREADS = 8, EACH = 150, HELD = 64 };

/*  ---- A broker in a thread: echoes, but holds "hold" until it is cancelled ------------------- */

typedef struct {
    puppet_t *puppet;
    pthread_t thread;
    atomic_bool stop;
    atomic_int held;
    atomic_int restart; /* not 0: the broker ends and starts again */
} s_broker_t;

static void s_answer (s_broker_t *self)
{
    puppet_t *puppet = self->puppet;
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = puppet->head.id};
    switch (puppet->head.command) {
        case RP_COMMAND_HELLO:
            puppet_welcome (puppet, "1000000", 100);
            break;
        case RP_COMMAND_REQUEST:
            if (strncmp (puppet->body, "hold", 4) == 0)
                self->held++;
            else
                puppet_send (puppet, reply, puppet->body, puppet->size);
            break;
        case RP_COMMAND_CANCEL:
            reply.status = RP_CANCELLED;
            puppet_send (puppet, reply, NULL, 0);
            break;
        default:
            break;
    }
}

static void *s_serve (void *arg)
{
    s_broker_t *self = arg;
    while (!self->stop) {
        if (self->restart) {
            puppet_stop (self->puppet);
            puppet_start (self->puppet);
            self->restart = 0;
        }
        if (puppet_receive (self->puppet, 1))
            s_answer (self);
    }
    return NULL;
}

typedef struct {
    s_broker_t broker;
    rp_client_t *client;
    atomic_int done;    /* requests that ended as expected */
    atomic_int unknown; /* requests that were lost with the broker */
    atomic_int callbacks;
    atomic_bool seen[THREADS * EACH];
} s_world_t;

static void s_begin (s_world_t *world)
{
    memset (world, 0, sizeof *world);
    world->broker.puppet = puppet_new ();
    world->client = rp_client_new (world->broker.puppet->endpoint);
    assert_non_null (world->client);
    rp_client_set_timeout_ms (world->client, 2 * PATIENCE_MS);
    assert_int_equal (pthread_create (&world->broker.thread, NULL, s_serve, &world->broker), 0);
}

static void s_end (s_world_t *world)
{
    rp_client_destroy (&world->client);
    world->broker.stop = true;
    pthread_join (world->broker.thread, NULL);
    puppet_destroy (&world->broker.puppet);
}

/*  Runs functions in threads, several of each, until all have returned.  */
typedef struct {
    s_world_t *world;
    int number;
    void (*function) (s_world_t *world, int number);
    pthread_t thread;
} s_job_t;

static void *s_work (void *arg)
{
    s_job_t *job = arg;
    job->function (job->world, job->number);
    return NULL;
}

static void s_start (
  s_job_t *jobs, int count, s_world_t *world, void (*function) (s_world_t *world, int number))
{
    for (int number = 0; number < count; number++) {
        jobs[number] = (s_job_t){.world = world, .number = number, .function = function};
        assert_int_equal (pthread_create (&jobs[number].thread, NULL, s_work, &jobs[number]), 0);
    }
}

static void s_join (s_job_t *jobs, int count)
{
    for (int number = 0; number < count; number++)
        pthread_join (jobs[number].thread, NULL);
}

/*  ---- What the threads do -------------------------------------------------------------------- */

static void s_call_many (s_world_t *world, int number)
{
    for (int round = 0; round < EACH; round++) {
        char body[32];
        int size = snprintf (body, sizeof body, "thread %d round %d", number, round);
        rp_reply_t *reply = NULL;
        if (rp_client_call (world->client, "echo", body, (size_t) size, &reply) != RP_OK)
            return;
        if (rp_reply_status (reply) == RP_UNKNOWN)
            world->unknown++;
        else if (rp_reply_status (reply) == RP_OK && rp_reply_size (reply) == (size_t) size
                 && memcmp (rp_reply_body (reply), body, (size_t) size) == 0)
            world->done++;
        rp_reply_destroy (&reply);
    }
}

static void s_submit_many (s_world_t *world, int number)
{
    for (int round = 0; round < EACH; round++) {
        rp_call_t *call = rp_call_new ("echo", "x", 1);
        rp_call_set_tag (call, &world->seen[number * EACH + round]);
        if (rp_client_submit (world->client, &call, NULL) != RP_OK)
            rp_call_destroy (&call);
    }
}

static void s_collect_all (s_world_t *world, int number)
{
    (void) number;
    while (world->done < THREADS / 2 * EACH) {
        rp_reply_t *reply = NULL;
        if (rp_client_collect (world->client, 20, &reply) != RP_OK)
            continue;
        atomic_bool *seen = rp_reply_tag (reply);
        if (rp_reply_status (reply) == RP_OK && !atomic_exchange (seen, true))
            world->done++;
        rp_reply_destroy (&reply);
    }
}

static void s_poll_and_collect (s_world_t *world, int number)
{
    (void) number;
    struct pollfd item = {.fd = rp_client_fd (world->client), .events = POLLIN};
    while (world->done < THREADS / 2 * EACH && poll (&item, 1, PATIENCE_MS) == 1) {
        rp_reply_t *reply = NULL;
        while (rp_client_collect (world->client, 0, &reply) == RP_OK) {
            atomic_bool *seen = rp_reply_tag (reply);
            if (rp_reply_status (reply) == RP_OK && !atomic_exchange (seen, true))
                world->done++;
            rp_reply_destroy (&reply);
        }
    }
}

static void s_hold_and_cancel (s_world_t *world, int number)
{
    (void) number;
    for (int round = 0; round < HELD / THREADS; round++) {
        rp_call_t *call = rp_call_new ("echo", "hold", 4);
        uint64_t id = 0;
        if (rp_client_submit (world->client, &call, &id) == RP_OK)
            rp_client_cancel (world->client, id);
    }
}

static void s_called (rp_reply_t *reply, void *arg)
{
    s_world_t *world = arg;
    if (rp_reply_status (reply) == RP_OK)
        world->callbacks++;
    rp_reply_destroy (&reply);
}

static void s_submit_with_callbacks (s_world_t *world, int number)
{
    (void) number;
    for (int round = 0; round < EACH; round++) {
        rp_call_t *call = rp_call_new ("echo", "x", 1);
        rp_call_set_callback (call, s_called, world);
        if (rp_client_submit (world->client, &call, NULL) != RP_OK)
            rp_call_destroy (&call);
    }
}

/*  ---- The tests ------------------------------------------------------------------------------ */

static void threads_that_call_at_once_each_get_their_own_replies (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t jobs[THREADS];
    s_begin (&world);
    s_start (jobs, THREADS, &world, s_call_many);
    s_join (jobs, THREADS);
    assert_int_equal (world.done, THREADS * EACH);
    s_end (&world);
}

static void what_some_threads_submit_others_collect_each_once (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t submitters[THREADS];
    s_job_t collectors[THREADS];
    s_begin (&world);
    s_start (collectors, THREADS / 2, &world, s_collect_all);
    s_start (submitters, THREADS / 2, &world, s_submit_many);
    s_join (submitters, THREADS / 2);
    s_join (collectors, THREADS / 2);
    assert_int_equal (world.done, THREADS / 2 * EACH);
    assert_int_equal (rp_client_open (world.client), 0);
    s_end (&world);
}

static void an_event_loop_collects_while_others_submit (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t submitters[THREADS];
    s_job_t collector;
    s_begin (&world);
    s_start (&collector, 1, &world, s_poll_and_collect);
    s_start (submitters, THREADS / 2, &world, s_submit_many);
    s_join (submitters, THREADS / 2);
    s_join (&collector, 1);
    assert_int_equal (world.done, THREADS / 2 * EACH);
    s_end (&world);
}

static void requests_are_cancelled_while_others_call (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t callers[THREADS];
    s_job_t cancellers[THREADS];
    s_begin (&world);
    s_start (callers, THREADS, &world, s_call_many);
    s_start (cancellers, THREADS, &world, s_hold_and_cancel);
    s_join (cancellers, THREADS);
    for (int count = 0; count < HELD / THREADS * THREADS; count++) {
        rp_reply_t *reply = NULL;
        assert_int_equal (rp_client_collect (world.client, PATIENCE_MS, &reply), RP_OK);
        assert_int_equal (rp_reply_status (reply), RP_CANCELLED);
        rp_reply_destroy (&reply);
    }
    s_join (callers, THREADS);
    assert_int_equal (world.done, THREADS * EACH);
    s_end (&world);
}

static void callbacks_run_while_threads_call (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t callers[THREADS];
    s_job_t submitters[THREADS];
    s_begin (&world);
    s_start (callers, THREADS / 2, &world, s_call_many);
    s_start (submitters, THREADS / 2, &world, s_submit_with_callbacks);
    s_join (callers, THREADS / 2);
    s_join (submitters, THREADS / 2);
    for (int tries = 0; tries < PATIENCE_MS && world.callbacks < THREADS / 2 * EACH; tries++)
        poll (NULL, 0, 1);
    assert_int_equal (world.done, THREADS / 2 * EACH);
    assert_int_equal (world.callbacks, THREADS / 2 * EACH);
    s_end (&world);
}

static void every_call_ends_when_the_broker_is_restarted_meanwhile (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t callers[THREADS];
    s_begin (&world);
    s_start (callers, THREADS, &world, s_call_many);
    for (int restarts = 0; restarts < 3; restarts++) {
        int before = world.done;
        for (int tries = 0; tries < PATIENCE_MS && world.done < before + THREADS; tries++)
            poll (NULL, 0, 1);
        world.broker.restart = 1;
    }
    s_join (callers, THREADS);
    assert_int_equal (world.done + world.unknown, THREADS * EACH);
    assert_in_range (world.unknown, 0, 3 * THREADS);
    s_end (&world);
}

static void s_called_and_waits (rp_reply_t *reply, void *arg)
{
    s_world_t *world = arg;
    rp_reply_t *none;
    bool refused = rp_client_connect (world->client, 1000) == RP_USAGE
                   && rp_client_call (world->client, "echo", "", 0, &none) == RP_USAGE
                   && rp_client_collect (world->client, 1000, &none) == RP_USAGE;
    world->callbacks += refused ? 1 : 2;
    rp_reply_destroy (&reply);
}

static void waiting_in_a_callback_is_refused_instead_of_waiting_for_itself (void **state)
{
    (void) state;
    static s_world_t world;
    s_begin (&world);
    rp_call_t *call = rp_call_new ("echo", "", 0);
    assert_int_equal (rp_call_set_callback (call, s_called_and_waits, &world), RP_OK);
    assert_int_equal (rp_client_submit (world.client, &call, NULL), RP_OK);
    for (int tries = 0; tries < PATIENCE_MS && world.callbacks == 0; tries++)
        poll (NULL, 0, 1);
    assert_int_equal (world.callbacks, 1);
    s_end (&world);
}

static void destroying_ends_callbacks_that_are_under_way (void **state)
{
    (void) state;
    s_world_t world;
    s_job_t submitters[THREADS];
    s_begin (&world);
    s_start (submitters, THREADS, &world, s_submit_with_callbacks);
    s_join (submitters, THREADS);
    s_end (&world);
    assert_in_range (world.callbacks, 0, THREADS * EACH);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (threads_that_call_at_once_each_get_their_own_replies),
      cmocka_unit_test (what_some_threads_submit_others_collect_each_once),
      cmocka_unit_test (an_event_loop_collects_while_others_submit),
      cmocka_unit_test (requests_are_cancelled_while_others_call),
      cmocka_unit_test (callbacks_run_while_threads_call),
      cmocka_unit_test (every_call_ends_when_the_broker_is_restarted_meanwhile),
      cmocka_unit_test (waiting_in_a_callback_is_refused_instead_of_waiting_for_itself),
      cmocka_unit_test (destroying_ends_callbacks_that_are_under_way),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
