/*  The bodies that the broker copies, by its own counter: small ones, and no large one.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/broker.h"
#include "tests/support/peer.h"

#define MOST (1u << 20)

static test_broker_t *s_broker;
static char *s_large; /* of MOST bytes */

static int s_setup (void **state)
{
    (void) state;
    s_broker = test_broker_start ();
    s_large = malloc (MOST);
    assert_non_null (s_large);
    memset (s_large, 'x', MOST);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    free (s_large);
    test_broker_stop (&s_broker);
    return 0;
}

/*  Sends a head and a body in a frame of its own, as the libraries send large bodies.  */
static void s_send (test_peer_t *peer, const rp_head_t *head, size_t size)
{
    uint8_t encoded[RP_WIRE_HEAD_MAX];
    size_t head_size = rp_wire_encode (head, encoded, sizeof encoded);
    test_peer_send_frame (peer, encoded, head_size, true);
    test_peer_send_frame (peer, s_large, size, false);
}

static void s_request (test_peer_t *client, uint64_t id, size_t size)
{
    s_send (client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = id,
        .deadline_ms = 10000,
        .attempts = 3,
        .name = "upper",
        .name_size = 5},
      size);
}

/*  Takes a request and sends its body back.  */
static void s_serve (test_peer_t *worker, size_t size)
{
    const rp_head_t *request = test_peer_expect (worker, RP_COMMAND_REQUEST);
    assert_int_equal (worker->body_size, size);
    s_send (worker, &(rp_head_t){.command = RP_COMMAND_REPLY, .id = request->id}, size);
}

/*  The requests have attempts left, so that the broker keeps them; the second waits for the
    first.  */
static void large_bodies_pass_uncopied (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (test_broker_endpoint (s_broker), "upper", 1);
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    s_request (client, 1, 65536);
    s_request (client, 2, MOST);
    s_serve (worker, 65536);
    s_serve (worker, MOST);
    test_peer_expect_reply (client, 1, RP_OK);
    assert_int_equal (client->body_size, 65536);
    test_peer_expect_reply (client, 2, RP_OK);
    assert_int_equal (client->body_size, MOST);
    assert_int_equal (test_client_count (client, "counters", "copied_bytes"), 0);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void a_small_body_that_waits_is_copied_and_counted (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (test_broker_endpoint (s_broker), "upper", 1);
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    // Before its first answer a worker may give a request back, so its body is kept.
    test_client_request (client, 3, "upper", "");
    test_worker_reply (worker, test_peer_expect (worker, RP_COMMAND_REQUEST)->id, "");
    test_peer_expect_reply (client, 3, RP_OK);
    test_client_request (client, 1, "upper", "goes at once");
    test_client_request (client, 2, "upper", "waits");
    assert_int_equal (test_client_count (client, "counters", "copied_bytes"), 5);
    uint64_t token = test_peer_expect (worker, RP_COMMAND_REQUEST)->id;
    assert_int_equal (worker->body_size, 12);
    test_worker_reply (worker, token, "");
    token = test_peer_expect (worker, RP_COMMAND_REQUEST)->id;
    assert_int_equal (worker->body_size, 5);
    assert_memory_equal (worker->body, "waits", 5);
    test_worker_reply (worker, token, "");
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_expect_reply (client, 2, RP_OK);
    assert_int_equal (test_client_count (client, "counters", "copied_bytes"), 10);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (large_bodies_pass_uncopied, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (
        a_small_body_that_waits_is_copied_and_counted, s_setup, s_teardown),
    };
    return cmocka_run_group_tests_name ("copies", tests, NULL, NULL);
}
