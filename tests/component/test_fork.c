/*  Clients and workers in a process that forks: the child's calls end at once, and the parent is
    not disturbed.

    SPDX-License-Identifier: MPL-2.0

    A child reports by its exit status: 0, or the line of the check that failed.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <riposte/client.h>
#include <riposte/worker.h>

#include "client/client_state.h"
#include "tests/support/client_pair.h"
#include "tests/support/fake_broker.h"
#include "worker/worker_state.h"

enum { PATIENCE_S = 20 };

/*  A check in the child.  */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf (stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition);                \
            _exit (1);                                                                             \
        }                                                                                          \
    } while (0)

/*  Runs a function in a child, which an alarm ends if it hangs.  */
static void s_in_child (void (*function) (void *arg), void *arg)
{
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        alarm (PATIENCE_S);
        function (arg);
        _exit (0);
    }
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
}

/*  ---- Clients -------------------------------------------------------------------------------- */

static pid_t s_parent;

static void s_on_reply (rp_reply_t *reply, void *arg)
{
    (void) arg;
    CHECK (getpid () == s_parent);
    rp_reply_destroy (&reply);
}

static void s_use_client (void *arg)
{
    rp_client_t *client = *(rp_client_t **) arg;
    rp_reply_t *reply = NULL;
    rp_call_t *call = rp_call_new ("echo", "x", 1);
    char why[128];
    CHECK (rp_client_call (client, "echo", "x", 1, &reply) == RP_CLOSED && !reply);
    CHECK (rp_client_perform (client, &call, &reply) == RP_CLOSED && call && !reply);
    CHECK (rp_client_submit (client, &call, NULL) == RP_CLOSED && call);
    CHECK (rp_client_collect (client, 10000, &reply) == RP_CLOSED && !reply);
    CHECK (rp_client_connect (client, 10000) == RP_CLOSED);
    CHECK (rp_client_cancel (client, 1) == RP_CLOSED);
    CHECK (rp_client_set_timeout_ms (client, 1000) == RP_CLOSED);
    CHECK (rp_client_set_name (client, "child") == RP_CLOSED);
    CHECK (rp_client_fd (client) == -1);
    CHECK (rp_client_open (client) == 0);
    CHECK (strstr (rp_client_last_error (client, why, sizeof why), "make a new one"));
    rp_call_destroy (&call);
    rp_client_destroy (&client);
    CHECK (!client);
}

static void in_a_child_a_client_is_closed_and_the_parent_goes_on (void **state)
{
    (void) state;
    s_parent = getpid ();
    client_pair_t pair;
    pair_begin_connected (&pair);
    rp_head_t first = {.command = RP_COMMAND_REPLY, .id = pair.broker->head.id};
    rp_call_t *call = rp_call_new ("echo", "called back", 11);
    assert_int_equal (rp_call_set_callback (call, s_on_reply, NULL), RP_OK);
    assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);

    s_in_child (s_use_client, &pair.client);

    puppet_send (pair.broker, first, "reply", 5);
    pair_collect_status (pair.client, RP_OK);
    pair_submit (pair.client, "second");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST); // no BYE came before it
    puppet_reply (pair.broker, RP_OK, "again");
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

static void s_destroy_conversation_and_client (void *arg)
{
    rp_conversation_t *conversation = arg;
    rp_client_t *client = conversation->client;
    rp_reply_t *reply = NULL;
    CHECK (rp_conversation_call (conversation, "x", 1, &reply) == RP_CLOSED);
    rp_conversation_destroy (&conversation);
    rp_client_destroy (&client);
}

static void in_a_child_a_conversation_is_closed_too (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_conversation_t *conversation = rp_conversation_new (pair.client, "echo");
    assert_non_null (conversation);
    s_in_child (s_destroy_conversation_and_client, conversation);
    rp_conversation_destroy (&conversation);
    pair_end (&pair);
}

typedef struct {
    rp_pump_t *pump;
    sem_t held;
    sem_t release;
} s_holder_t;

static void *s_hold (void *arg)
{
    s_holder_t *self = arg;
    rp_pump_lock (self->pump);
    sem_post (&self->held);
    sem_wait (&self->release);
    rp_pump_unlock_idle (self->pump);
    return NULL;
}

/*  That thread does not exist in the child, so it never releases the lock there.  */
static void what_another_thread_held_when_fork_came_does_not_hang_the_child (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    s_holder_t holder = {.pump = pair.client->pump};
    assert_int_equal (sem_init (&holder.held, 0, 0) | sem_init (&holder.release, 0, 0), 0);
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_hold, &holder), 0);
    assert_int_equal (sem_wait (&holder.held), 0);
    s_in_child (s_use_client, &pair.client);
    sem_post (&holder.release);
    pthread_join (thread, NULL);
    puppet_reply (pair.broker, RP_OK, "reply");
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

static void s_call_anew (void *arg)
{
    const char *endpoint = arg;
    rp_client_t *client = rp_client_new (endpoint);
    rp_reply_t *reply = NULL;
    CHECK (client);
    CHECK (rp_client_call (client, "echo", "child", 5, &reply) == RP_OK);
    CHECK (rp_reply_status (reply) == RP_OK);
    rp_reply_destroy (&reply);
    rp_client_destroy (&client);
}

static void *s_fork_and_call (void *arg)
{
    client_pair_t *pair = arg;
    s_in_child (s_call_anew, pair->broker->endpoint);
    return NULL;
}

static void a_child_makes_a_client_of_its_own (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    puppet_reply (pair.broker, RP_OK, "parent");
    pair_collect_status (pair.client, RP_OK);
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_fork_and_call, &pair), 0);
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_memory_equal (pair.broker->body, "child", 5);
    puppet_reply (pair.broker, RP_OK, "reply");
    puppet_expect (pair.broker, RP_COMMAND_BYE);
    pthread_join (thread, NULL);
    pair_end (&pair);
}

/*  ---- Workers -------------------------------------------------------------------------------- */

typedef struct {
    rp_worker_t *worker;
    rp_task_t *task;
} s_served_t;

static void s_handle (rp_task_t **task_p, void *arg)
{
    (void) arg;
    rp_task_reply (task_p, NULL, 0);
}

static void s_use_worker (void *arg)
{
    s_served_t served = *(s_served_t *) arg;
    rp_worker_t *worker = served.worker;
    rp_task_t *task = served.task;
    char why[128];
    CHECK (rp_task_reply (&task, "x", 1) == RP_CLOSED && !task);
    CHECK (rp_worker_receive (worker, 10000, &task) == RP_CLOSED && !task);
    CHECK (rp_worker_run (worker, s_handle, NULL) == RP_CLOSED);
    CHECK (rp_worker_fd (worker) == -1);
    CHECK (rp_worker_set_slots (worker, 2) == RP_CLOSED);
    CHECK (rp_worker_set_name (worker, "child") == RP_CLOSED);
    CHECK (strstr (rp_worker_last_error (worker, why, sizeof why), "make a new one"));
    rp_worker_drain (worker);
    rp_worker_stop (worker);
    rp_worker_destroy (&worker);
    CHECK (!worker);
}

static void in_a_child_a_worker_is_closed_and_the_parent_goes_on (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    s_served_t served = {.worker = rp_worker_new (broker->endpoint, "upper")};
    assert_int_equal (rp_worker_receive (served.worker, 0, &served.task), RP_TIMED_OUT);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 1, "hello");
    assert_int_equal (rp_worker_receive (served.worker, PATIENCE_S * 1000, &served.task), RP_OK);

    s_in_child (s_use_worker, &served);

    assert_int_equal (rp_task_reply (&served.task, "HELLO", 5), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK); // the one task that there is
    fake_broker_request (broker, 2, "again");
    assert_int_equal (rp_worker_receive (served.worker, PATIENCE_S * 1000, &served.task), RP_OK);
    assert_int_equal (rp_task_reply (&served.task, "AGAIN", 5), RP_OK);
    fake_broker_expect_reply (broker, 2, RP_OK);
    rp_worker_destroy (&served.worker);
    fake_broker_destroy (&broker);
}

/*  In the child, memory that only the stacks of the parent's other threads point to looks leaked.
    The leak sanitizer calls this function before it checks.  */
static bool s_is_child;
__attribute__ ((visibility ("default"))) int __lsan_is_turned_off (void);
int __lsan_is_turned_off (void)
{
    return s_is_child;
}

/*  Forks on a handler's thread; it also returns in the child, which has no other thread.  */
static void s_handle_and_fork (rp_task_t **task_p, void *arg)
{
    pid_t *child = arg;
    *child = fork ();
    s_is_child = *child == 0;
    if (*child == 0)
        alarm (PATIENCE_S);
    rp_task_reply (task_p, "done", 4);
}

static void *s_run (void *arg)
{
    void **both = arg;
    assert_int_equal (rp_worker_run (both[0], s_handle_and_fork, both[1]), RP_OK);
    return NULL;
}

static void a_handler_that_returns_in_a_child_ends_it (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = rp_worker_new (broker->endpoint, "upper");
    pid_t child = -1;
    void *both[] = {worker, &child};
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_run, both), 0);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 1, "fork");
    fake_broker_expect_reply (broker, 1, RP_OK);
    int status;
    assert_true (child > 0);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_int_equal (status, 0);
    rp_worker_stop (worker);
    pthread_join (thread, NULL);
    rp_worker_destroy (&worker);
    fake_broker_destroy (&broker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (in_a_child_a_client_is_closed_and_the_parent_goes_on),
      cmocka_unit_test (in_a_child_a_conversation_is_closed_too),
      cmocka_unit_test (what_another_thread_held_when_fork_came_does_not_hang_the_child),
      cmocka_unit_test (a_child_makes_a_client_of_its_own),
      cmocka_unit_test (in_a_child_a_worker_is_closed_and_the_parent_goes_on),
      cmocka_unit_test (a_handler_that_returns_in_a_child_ends_it),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
