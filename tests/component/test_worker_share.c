/*  Workers of one service that have slots to spare: each gets as many requests as it can serve.

    SPDX-License-Identifier: MPL-2.0

    The tests compare what two workers did in the same time, so that other load on the machine does
    not matter.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include "tests/support/broker.h"

#define S_OPEN 64u

typedef struct {
    rp_worker_t *worker;
    pthread_t thread;
    long job_us;
    atomic_uint done;
    atomic_bool registered;
} s_worker_t;

static void s_handle (rp_task_t **task_p, void *arg)
{
    s_worker_t *self = arg;
    clock_nanosleep (CLOCK_MONOTONIC, 0,
      &(struct timespec){
        .tv_sec = self->job_us / 1000000, .tv_nsec = self->job_us % 1000000 * 1000},
      NULL);
    self->done++;
    rp_task_reply (task_p, NULL, 0);
}

static void s_notice (const char *text, void *arg)
{
    (void) text;
    s_worker_t *self = arg;
    self->registered = true;
}

static void *s_run (void *arg)
{
    s_worker_t *self = arg;
    rp_worker_run (self->worker, s_handle, self);
    return NULL;
}

static void s_start (s_worker_t *self, const test_broker_t *broker, long job_us)
{
    *self = (s_worker_t){.job_us = job_us};
    self->worker = rp_worker_new (test_broker_endpoint (broker), "work");
    assert_non_null (self->worker);
    assert_int_equal (rp_worker_set_slots (self->worker, 256), RP_OK);
    assert_int_equal (rp_worker_on_notice (self->worker, s_notice, self), RP_OK);
    assert_int_equal (pthread_create (&self->thread, NULL, s_run, self), 0);
}

static void s_stop (s_worker_t *self)
{
    rp_worker_drain (self->worker); // the requests that it holds are served first
    assert_int_equal (pthread_join (self->thread, NULL), 0);
    rp_worker_destroy (&self->worker);
}

static void s_submit (rp_client_t *client)
{
    rp_call_t *call = rp_call_new ("work", NULL, 0);
    assert_non_null (call);
    assert_int_equal (rp_call_set_timeout_ms (call, 60000), RP_OK);
    assert_int_equal (rp_call_set_wait_worker_ms (call, TEST_PATIENCE_MS), RP_OK);
    assert_int_equal (rp_client_submit (client, &call, NULL), RP_OK);
}

/*  Keeps S_OPEN requests open until this many more have been answered.  */
static void s_load (rp_client_t *client, unsigned count)
{
    while (rp_client_open (client) < S_OPEN)
        s_submit (client);
    for (unsigned answer = 0; answer < count; answer++) {
        rp_reply_t *reply = NULL;
        assert_int_equal (rp_client_collect (client, TEST_PATIENCE_MS, &reply), RP_OK);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        rp_reply_destroy (&reply);
        s_submit (client);
    }
}

/*  Returns how many requests a new worker serves while the other serves 100, once it is
    registered.  */
static unsigned s_join (s_worker_t *other, rp_client_t *client, const test_broker_t *broker)
{
    s_worker_t joins;
    s_start (&joins, broker, 1000);
    int64_t until = test_now_ms () + TEST_PATIENCE_MS;
    while (!joins.registered && test_now_ms () < until)
        s_load (client, 1);
    unsigned before = other->done;
    while (other->done < before + 100) // 100 requests take 100 ms
        s_load (client, 1);
    unsigned done = joins.done;
    s_stop (&joins);
    return done;
}

static void a_worker_that_joins_a_loaded_service_has_its_share_at_once (void **state)
{
    (void) state;
    test_broker_t *broker = test_broker_start ();
    rp_client_t *client = rp_client_new (test_broker_endpoint (broker));
    assert_non_null (client);
    s_worker_t first;
    s_start (&first, broker, 1000);
    s_load (client, 300);
    unsigned done = 0;
    // A busy machine may hold up one attempt, but not all of them.
    for (unsigned times = 0; times < 5 && done < 50; times++)
        done = s_join (&first, client, broker);
    assert_true (done >= 50);
    s_stop (&first);
    rp_client_destroy (&client);
    test_broker_stop (&broker);
}

static void a_slow_worker_has_little_and_gives_nobody_a_long_wait (void **state)
{
    (void) state;
    test_broker_t *broker = test_broker_start ();
    rp_client_t *client = rp_client_new (test_broker_endpoint (broker));
    assert_non_null (client);
    s_worker_t fast, slow;
    s_start (&slow, broker, 300000);
    s_start (&fast, broker, 1000);
    s_load (client, 1000);
    // The slow worker got two or three of a thousand requests, instead of an equal share.
    assert_true (slow.done >= 1 && slow.done * 20 < fast.done);
    unsigned before = slow.done, fast_before = fast.done;
    while (rp_client_open (client) > 0) {
        rp_reply_t *reply = NULL;
        assert_int_equal (rp_client_collect (client, TEST_PATIENCE_MS, &reply), RP_OK);
        rp_reply_destroy (&reply);
    }
    // It served the requests that it held, and a few while the rest of the queue was served.
    assert_true (slow.done - before <= 3 + (fast.done - fast_before) / 20);
    s_stop (&slow);
    s_stop (&fast);
    rp_client_destroy (&client);
    test_broker_stop (&broker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_worker_that_joins_a_loaded_service_has_its_share_at_once),
      cmocka_unit_test (a_slow_worker_has_little_and_gives_nobody_a_long_wait),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
