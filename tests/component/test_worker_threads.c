/*  The worker library with several threads; for the thread sanitizer, too.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/worker.h>

#include "tests/support/fake_broker.h"

#define S_WINDOW 16u
#define S_REQUESTS 2000u

typedef struct {
    rp_worker_t *worker;
    rp_handler_fn *handler;
    void *arg;
    pthread_t thread;
    int status;
} s_running_t;

static void *s_run (void *arg)
{
    s_running_t *self = arg;
    self->status = rp_worker_run (self->worker, self->handler, self->arg);
    return NULL;
}

static void s_start (s_running_t *self, rp_worker_t *worker, rp_handler_fn *handler, void *arg)
{
    *self = (s_running_t){.worker = worker, .handler = handler, .arg = arg};
    assert_int_equal (pthread_create (&self->thread, NULL, s_run, self), 0);
}

static int s_join (s_running_t *self)
{
    assert_int_equal (pthread_join (self->thread, NULL), 0);
    return self->status;
}

static rp_worker_t *s_new_worker (const fake_broker_t *broker, uint32_t threads)
{
    rp_worker_t *worker = rp_worker_new (broker->endpoint, "upper");
    assert_non_null (worker);
    assert_int_equal (rp_worker_set_slots (worker, S_WINDOW), RP_OK);
    assert_int_equal (rp_worker_set_threads (worker, threads), RP_OK);
    return worker;
}

/*  Keeps the window full, and checks that each token is answered exactly once.  */
static void s_exchange (fake_broker_t *broker, uint64_t count)
{
    unsigned char *answered = calloc (count + 1, 1);
    assert_non_null (answered);
    uint64_t sent = 0;
    while (sent < S_WINDOW && sent < count)
        fake_broker_request (broker, ++sent, "hi");
    for (uint64_t got = 0; got < count; got++) {
        const rp_head_t *head = fake_broker_expect (broker, RP_COMMAND_REPLY);
        assert_int_equal (head->status, RP_OK);
        assert_true (head->id >= 1 && head->id <= count);
        assert_int_equal (answered[head->id]++, 0);
        if (sent < count)
            fake_broker_request (broker, ++sent, "hi");
    }
    free (answered);
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    atomic_uint *inside = arg;
    atomic_fetch_add (inside, 1);
    sched_yield ();
    atomic_fetch_sub (inside, 1);
    rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void every_request_is_answered_once_by_one_of_several_threads (void **state)
{
    (void) state;
    atomic_uint inside = 0;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 4);
    s_running_t running;
    s_start (&running, worker, s_echo, &inside);
    fake_broker_welcome (broker, S_WINDOW);
    s_exchange (broker, S_REQUESTS);
    rp_worker_drain (worker);
    fake_broker_expect (broker, RP_COMMAND_DRAIN);
    fake_broker_bye (broker, RP_OK);
    assert_int_equal (s_join (&running), RP_OK);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

/*  Each handler waits until so many handlers are inside.  */
typedef struct {
    pthread_barrier_t barrier;
} s_meeting_t;

static void s_meet (rp_task_t **task_p, void *arg)
{
    s_meeting_t *meeting = arg;
    pthread_barrier_wait (&meeting->barrier);
    rp_task_reply (task_p, NULL, 0);
}

static void handlers_run_at_the_same_time (void **state)
{
    (void) state;
    s_meeting_t meeting;
    assert_int_equal (pthread_barrier_init (&meeting.barrier, NULL, 4), 0);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 4);
    s_running_t running;
    s_start (&running, worker, s_meet, &meeting);
    fake_broker_welcome (broker, S_WINDOW);
    for (uint64_t token = 1; token <= 8; token++)
        fake_broker_request (broker, token, "go");
    for (int count = 0; count < 8; count++)
        assert_int_equal (fake_broker_expect (broker, RP_COMMAND_REPLY)->status, RP_OK);
    rp_worker_stop (worker);
    assert_int_equal (s_join (&running), RP_OK);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
    pthread_barrier_destroy (&meeting.barrier);
}

/*  Tasks that the handler passes on to a thread of the application, which replies.  */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rp_task_t *tasks[S_WINDOW];
    size_t count;
    bool ending;
} s_desk_t;

static void s_pass_on (rp_task_t **task_p, void *arg)
{
    s_desk_t *desk = arg;
    pthread_mutex_lock (&desk->lock);
    desk->tasks[desk->count++] = *task_p;
    *task_p = NULL;
    pthread_cond_signal (&desk->changed);
    pthread_mutex_unlock (&desk->lock);
}

static void *s_answer_later (void *arg)
{
    s_desk_t *desk = arg;
    for (;;) {
        pthread_mutex_lock (&desk->lock);
        while (desk->count == 0 && !desk->ending)
            pthread_cond_wait (&desk->changed, &desk->lock);
        rp_task_t *task = desk->count ? desk->tasks[--desk->count] : NULL;
        pthread_mutex_unlock (&desk->lock);
        if (!task)
            return NULL;
        rp_task_reply (&task, rp_task_body (task), rp_task_size (task));
    }
}

static void a_task_may_be_answered_from_another_thread (void **state)
{
    (void) state;
    s_desk_t desk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 2);
    pthread_t answerer;
    assert_int_equal (pthread_create (&answerer, NULL, s_answer_later, &desk), 0);
    s_running_t running;
    s_start (&running, worker, s_pass_on, &desk);
    fake_broker_welcome (broker, S_WINDOW);
    s_exchange (broker, S_REQUESTS);
    rp_worker_stop (worker);
    assert_int_equal (s_join (&running), RP_OK);
    pthread_mutex_lock (&desk.lock);
    desk.ending = true;
    pthread_cond_signal (&desk.changed);
    pthread_mutex_unlock (&desk.lock);
    pthread_join (answerer, NULL);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

static void *s_receive_and_reply (void *arg)
{
    rp_worker_t *worker = arg;
    rp_task_t *task;
    int status;
    while ((status = rp_worker_receive (worker, 10000, &task)) == RP_OK)
        rp_task_reply (&task, rp_task_body (task), rp_task_size (task));
    return status == RP_CLOSED ? worker : NULL;
}

static void several_threads_may_receive (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    pthread_t threads[3];
    for (size_t index = 0; index < 3; index++)
        assert_int_equal (pthread_create (&threads[index], NULL, s_receive_and_reply, worker), 0);
    fake_broker_welcome (broker, S_WINDOW);
    s_exchange (broker, S_REQUESTS);
    rp_worker_stop (worker);
    for (size_t index = 0; index < 3; index++) {
        void *closed = NULL;
        assert_int_equal (pthread_join (threads[index], &closed), 0);
        assert_ptr_equal (closed, worker);
    }
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

static void s_until_cancelled (rp_task_t **task_p, void *arg)
{
    (void) arg;
    while (!rp_task_cancelled (*task_p))
        sched_yield ();
    rp_task_reply (task_p, NULL, 0);
}

static void a_handler_sees_cancellation_while_it_runs (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 2);
    s_running_t running;
    s_start (&running, worker, s_until_cancelled, NULL);
    fake_broker_welcome (broker, S_WINDOW);
    for (uint64_t token = 1; token <= 4; token++) {
        fake_broker_request (broker, token, "go");
        fake_broker_cancel (broker, token);
        fake_broker_expect_reply (broker, token, RP_APP_ERROR);
    }
    rp_worker_stop (worker);
    assert_int_equal (s_join (&running), RP_OK);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_request_is_answered_once_by_one_of_several_threads),
      cmocka_unit_test (handlers_run_at_the_same_time),
      cmocka_unit_test (a_task_may_be_answered_from_another_thread),
      cmocka_unit_test (several_threads_may_receive),
      cmocka_unit_test (a_handler_sees_cancellation_while_it_runs),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
