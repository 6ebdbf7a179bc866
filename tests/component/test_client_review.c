/*  Faults that a hostile review of the client library found.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include <riposte/client.h>

#include "tests/support/client_pair.h"

enum { ROUNDS = 50, BURST = 3000 };

/*  ---- Who leads when the background thread takes over ---------------------------------------- */

static void *s_call_and_take_fd (void *arg)
{
    caller_t *self = arg;
    self->rc = rp_client_perform (self->client, &self->call, &self->reply);
    rp_client_fd (self->client);
    return NULL;
}

/*  A thread leaves, which makes the other one the leader, and at once moves receiving to the
    background thread.  */
static void s_one_round (void)
{
    client_pair_t pair;
    pair_begin_connected (&pair);
    puppet_reply (pair.broker, RP_OK, "first");
    pair_collect_status (pair.client, RP_OK);

    caller_t leader = {.client = pair.client, .call = rp_call_new ("echo", "leads", 5)};
    assert_int_equal (pthread_create (&leader.thread, NULL, s_call_and_take_fd, &leader), 0);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = pair.broker->head.id};
    caller_t follower;
    caller_start (&follower, pair.client, rp_call_new ("echo", "follows", 7));
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    uint64_t second = pair.broker->head.id;

    puppet_send (pair.broker, reply, NULL, 0);
    rp_reply_t *ended = caller_end (&leader);
    rp_reply_destroy (&ended);
    reply.id = second;
    puppet_send (pair.broker, reply, NULL, 0);
    ended = caller_end (&follower);
    assert_int_equal (rp_reply_status (ended), RP_OK);
    rp_reply_destroy (&ended);
    pair_end (&pair);
}

static void a_call_that_waits_ends_when_another_thread_asks_for_the_descriptor (void **state)
{
    (void) state;
    for (int round = 0; round < ROUNDS; round++)
        s_one_round ();
}

/*  ---- What attempts say ---------------------------------------------------------------------- */

static void s_keep_reply (rp_reply_t *reply, void *arg)
{
    *(rp_reply_t **) arg = reply;
}

/*  By docs/CONTRACT.md, CANCELLED with 0 attempts means that the request never ran.  */
static void a_request_that_a_broker_had_is_not_said_to_have_never_run (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    rp_reply_t *reply = NULL;
    rp_call_t *call = rp_call_new ("echo", "x", 1);
    assert_int_equal (rp_call_set_callback (call, s_keep_reply, &reply), RP_OK);
    assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    rp_client_destroy (&pair.client);
    assert_non_null (reply);
    assert_int_equal (rp_reply_status (reply), RP_CANCELLED);
    assert_int_not_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    puppet_destroy (&pair.broker);
}

static void one_that_was_never_sent_is_said_to_have_never_run (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    uint64_t id = pair_submit (pair.client, "x");
    assert_int_equal (rp_client_cancel (pair.client, id), RP_OK);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_CANCELLED);
    assert_int_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

/*  The request was submitted again after its broker was lost, and is withdrawn: it may have run at
    the first broker.  */
static void a_withdrawn_retry_is_not_said_to_have_never_run (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    puppet_reply (pair.broker, RP_OK, NULL);
    pair_collect_status (pair.client, RP_OK);
    rp_call_t *call = rp_call_new ("echo", "x", 1);
    assert_int_equal (rp_call_set_attempts (call, 2), RP_OK);
    uint64_t id = 0;
    assert_int_equal (rp_client_submit (pair.client, &call, &id), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_stop (pair.broker);
    puppet_start (pair.broker);
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    rp_head_t answer = {
      .command = RP_COMMAND_REPLY, .id = pair.broker->head.id, .status = RP_CANCELLED};
    assert_int_equal (rp_client_cancel (pair.client, id), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    puppet_send (pair.broker, answer, NULL, 0);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_CANCELLED);
    assert_int_not_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

/*  ---- The end of a connection ---------------------------------------------------------------- */

typedef struct {
    sem_t begun;
    sem_t may_end;
} s_listener_t;

/*  Blocks the background thread, and so all that the client receives.  */
static void s_hold (rp_reply_t *reply, void *arg)
{
    s_listener_t *listener = arg;
    rp_reply_destroy (&reply);
    sem_post (&listener->begun);
    sem_wait (&listener->may_end);
}

static void s_submit_held (rp_client_t *client, s_listener_t *listener)
{
    assert_int_equal (sem_init (&listener->begun, 0, 0), 0);
    assert_int_equal (sem_init (&listener->may_end, 0, 0), 0);
    rp_call_t *call = rp_call_new ("echo", "hold", 4);
    assert_int_equal (rp_call_set_callback (call, s_hold, listener), RP_OK);
    assert_int_equal (rp_client_submit (client, &call, NULL), RP_OK);
}

/*  There are more replies than the client takes in one turn.  */
static void replies_that_came_before_the_connection_broke_are_all_read (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_listener_t listener;
    s_submit_held (pair.client, &listener);
    for (int index = 0; index < BURST; index++)
        pair_submit (pair.client, "x");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    puppet_welcome (pair.broker, "1000000", BURST + 1);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = pair.broker->head.id};
    static uint64_t ids[BURST];
    for (int index = 0; index < BURST; index++) {
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        ids[index] = pair.broker->head.id;
    }
    puppet_send (pair.broker, reply, NULL, 0);
    sem_wait (&listener.begun);
    for (int index = 0; index < BURST; index++) {
        reply.id = ids[index];
        puppet_send (pair.broker, reply, NULL, 0);
    }
    int linger = PUPPET_PATIENCE_MS;
    zmq_setsockopt (pair.broker->router, ZMQ_LINGER, &linger, sizeof linger);
    puppet_destroy (&pair.broker); // returns once all replies are sent
    // One I/O thread serves both clients: once it serves this one, it has seen the other's end.
    client_pair_t other;
    pair_begin_connected (&other);
    pair_end (&other);
    sem_post (&listener.may_end);
    // Not rp_client_collect, which would receive: the background thread has to find the end and the
    // replies.
    for (int tries = 0; tries < PUPPET_PATIENCE_MS && rp_client_open (pair.client) > 0; tries++)
        zmq_poll (NULL, 0, 1);
    for (int index = 0; index < BURST; index++)
        pair_collect_status (pair.client, RP_OK);
    rp_client_destroy (&pair.client);
    sem_destroy (&listener.begun);
    sem_destroy (&listener.may_end);
}

/*  ---- What the broker says of itself --------------------------------------------------------- */

/*  The reply is a list of many workers, from a broker with a low limit for bodies.  */
static void a_reply_over_the_limit_for_bodies_is_taken (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "x");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    puppet_welcome (pair.broker, "1024", 10);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    static char list[100000];
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = pair.broker->head.id};
    puppet_send (pair.broker, reply, list, sizeof list);
    rp_reply_t *ended = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (ended), RP_OK);
    assert_int_equal (rp_reply_size (ended), sizeof list);
    rp_reply_destroy (&ended);
    pair_end (&pair);
}

/*  ---- Misuse --------------------------------------------------------------------------------- */

static void misuse_is_refused (void **state)
{
    (void) state;
    rp_client_t *client = rp_client_new ("tcp://127.0.0.1:1");
    assert_int_equal (rp_client_set_name (client, NULL), RP_USAGE);
    rp_call_t *none = rp_call_new ("line\nbreak", NULL, 0);
    assert_null (none);
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_submit (client, &none, NULL), RP_USAGE);
    assert_int_equal (rp_client_perform (client, &none, &reply), RP_USAGE);
    assert_null (reply);
    rp_call_t *call = rp_call_new ("echo", NULL, 0);
    assert_int_equal (rp_call_add_header (call, NULL, "x"), RP_USAGE);
    assert_int_equal (rp_call_add_header (call, "x", NULL), RP_USAGE);
    rp_call_destroy (&call);
    errno = 0;
    assert_null (rp_conversation_new (NULL, "echo"));
    assert_int_equal (errno, EINVAL);
    errno = 0;
    assert_null (rp_call_new_in (NULL, NULL, 0));
    assert_int_equal (errno, EINVAL);
    rp_client_destroy (&client);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_call_that_waits_ends_when_another_thread_asks_for_the_descriptor),
      cmocka_unit_test (a_request_that_a_broker_had_is_not_said_to_have_never_run),
      cmocka_unit_test (one_that_was_never_sent_is_said_to_have_never_run),
      cmocka_unit_test (a_withdrawn_retry_is_not_said_to_have_never_run),
      cmocka_unit_test (replies_that_came_before_the_connection_broke_are_all_read),
      cmocka_unit_test (a_reply_over_the_limit_for_bodies_is_taken),
      cmocka_unit_test (misuse_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
