/*  A broker without memory for a message: nobody is left without an answer, and nothing is done that nobody asked for.

    SPDX-License-Identifier: MPL-2.0
*/

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/broker.h"
#include "tests/support/peer.h"
#include "tests/support/shelf.h"

#define S_FILL 2000

static test_shelf_t s_shelf;
static test_broker_t *s_broker;
static test_peer_t *s_client;
static pthread_t s_self;
static int (*s_real) (zmq_msg_t *, size_t);
static atomic_size_t s_fails; /* a frame of so many bytes finds no memory; 0: none */

/*  Takes the place of libzmq's, for the broker's thread.  */
int zmq_msg_init_size (zmq_msg_t *frame, size_t size)
{
    if (size == atomic_load (&s_fails) && !pthread_equal (pthread_self (), s_self)) {
        errno = ENOMEM;
        return -1;
    }
    return s_real (frame, size);
}

static int s_set_up (void **state)
{
    (void) state;
    s_self = pthread_self ();
    atomic_store (&s_fails, 0);
    test_shelf_init (&s_shelf);
    test_shelf_open (&s_shelf);
    rp_store_job_t job = test_job ();
    uint64_t id = test_shelf_want (&s_shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_shelf_want (&s_shelf, RP_STORED_SAFE,
      (rp_store_op_t){.kind = RP_STORE_ATTEMPT, .id = id, .attempt = 1, .at = 2000}, NULL);
    rp_store_op_t op = test_final (id, RP_WORKER_LOST);
    op.attempt = 1;
    op.dead = true;
    test_shelf_want (&s_shelf, RP_STORED_SAFE, op, NULL);
    test_shelf_reopen (&s_shelf);
    s_broker = test_broker_start_store (&s_shelf.store);
    s_client = test_client_new_with_bundles (test_broker_endpoint (s_broker));
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    test_peer_destroy (&s_client);
    test_broker_stop (&s_broker);
    test_shelf_clear (&s_shelf);
    return 0;
}

/*  Sends a request in a bundle, for which the broker has no memory outside it.  */
static void s_send (rp_head_t head, const char *start)
{
    static bundle_t bundle;
    char body[S_FILL + 1];
    snprintf (body, sizeof body, "%-*s", S_FILL, start);
    head.command = RP_COMMAND_REQUEST;
    head.attempts = 1;
    head.deadline_ms = 10000;
    head.name_size = (uint8_t) strlen (head.name);
    bundle.size = 0;
    bundle_add_message (&bundle, head, body);
    atomic_store (&s_fails, rp_wire_size (&head) + S_FILL);
    test_peer_send_frame (s_client, bundle.bytes, bundle.size, false);
}

static void s_a_question_about_one_job_is_none_about_all (void **state)
{
    (void) state;
    s_send ((rp_head_t){.id = 1, .name = "riposte.dead.purge"}, "{\"id\":\"5\"}");
    test_peer_expect_reply (s_client, 1, RP_BUSY);
    test_client_request (s_client, 2, "riposte.dead.list", "{}");
    test_peer_expect_reply (s_client, 2, RP_OK);
    assert_non_null (memmem (s_client->body, s_client->body_size, "WORKER_LOST", 11));
}

static void s_a_question_for_a_trace_is_answered (void **state)
{
    (void) state;
    s_send ((rp_head_t){.id = 1, .name = "riposte.trace"}, "{\"id\":\"5\"}");
    test_peer_expect_reply (s_client, 1, RP_BUSY);
}

static void s_a_job_is_refused (void **state)
{
    (void) state;
    s_send ((rp_head_t){.id = 1, .name = "upper", .flags = RP_FLAG_DURABLE}, "x");
    test_peer_expect_reply (s_client, 1, RP_BUSY);
}

static void s_a_request_with_a_key_is_refused (void **state)
{
    (void) state;
    s_send ((rp_head_t){.id = 1, .name = "upper", .flags = RP_FLAG_KEYED}, "x");
    test_peer_expect_reply (s_client, 1, RP_BUSY);
}

#define S_TEST(function) cmocka_unit_test_setup_teardown (function, s_set_up, s_tear_down)

int main (void)
{
    *(void **) &s_real = dlsym (RTLD_NEXT, "zmq_msg_init_size");
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_question_about_one_job_is_none_about_all),
      S_TEST (s_a_question_for_a_trace_is_answered),
      S_TEST (s_a_job_is_refused),
      S_TEST (s_a_request_with_a_key_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
