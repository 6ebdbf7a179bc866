/*  Bundles at the broker: raw peers that write and read them.

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

static test_broker_t *s_broker;
static const char *s_endpoint;
static bundle_t s_bundle;

static int s_setup (void **state)
{
    (void) state;
    s_broker = test_broker_start ();
    s_endpoint = test_broker_endpoint (s_broker);
    s_bundle.size = 0;
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_broker_stop (&s_broker);
    return 0;
}

/*  ---- Vocabulary -------------------------------------------------------------------------- */

static rp_head_t s_request (uint64_t id)
{
    return (rp_head_t){.command = RP_COMMAND_REQUEST,
      .id = id,
      .deadline_ms = 10000,
      .attempts = 1,
      .name = "upper",
      .name_size = 5};
}

static void s_add_requests (uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++)
        bundle_add_message (&s_bundle, s_request (id), "body");
}

/*  Sends the bundle, and begins the next.  */
static void s_send (test_peer_t *peer)
{
    test_peer_send_frame (peer, s_bundle.bytes, s_bundle.size, false);
    s_bundle.size = 0;
}

/*  Takes this many requests and answers each with its own body.  */
static void s_serve (test_peer_t *worker, unsigned count)
{
    for (; count > 0; count--) {
        test_peer_expect (worker, RP_COMMAND_REQUEST);
        assert_int_equal (worker->body_size, 4);
        assert_memory_equal (worker->body, "body", 4);
        test_worker_reply (worker, worker->head.id, "body");
    }
}

/*  ---- Good bundles ------------------------------------------------------------------------ */

static void s_bundles_are_agreed_on_in_the_greeting (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (s_endpoint);
    assert_int_equal (client->head.flags, 0);
    test_peer_t *other = test_client_new_with_bundles (s_endpoint);
    assert_int_equal (other->head.flags, RP_FLAG_BUNDLES);
    test_peer_t *worker = test_worker_new_with_bundles (s_endpoint, "upper", 1);
    assert_int_equal (worker->head.flags, RP_FLAG_BUNDLES);
    test_peer_destroy (&client);
    test_peer_destroy (&other);
    test_peer_destroy (&worker);
}

static void s_requests_of_a_bundle_are_served_in_order (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    s_add_requests (1, 3);
    s_send (client);
    s_serve (worker, 3);
    for (uint64_t id = 1; id <= 3; id++)
        test_peer_expect_reply (client, id, RP_OK);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_many_go_through_in_bundles_both_ways (void **state)
{
    (void) state;
    enum { BUNDLES = 20, EACH = 200 };
    test_peer_t *worker = test_worker_new_with_bundles (s_endpoint, "upper", 256);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    for (uint64_t bundle = 0; bundle < BUNDLES; bundle++) {
        s_add_requests (bundle * EACH + 1, (bundle + 1) * EACH);
        s_send (client);
    }
    for (unsigned count = 0; count < BUNDLES * EACH; count++) {
        test_peer_expect (worker, RP_COMMAND_REQUEST);
        bundle_add_message (&s_bundle,
          (rp_head_t){.command = RP_COMMAND_REPLY, .id = worker->head.id, .status = RP_OK}, "x");
        if (!worker->unbundler.open || count % EACH == EACH - 1)
            s_send (worker);
    }
    for (uint64_t id = 1; id <= BUNDLES * EACH; id++)
        test_peer_expect_reply (client, id, RP_OK);
    assert_true (worker->unbundler.count > 0);
    assert_true (client->unbundler.count > 0);
    assert_int_equal (test_client_count (client, "finals", "OK"), BUNDLES * EACH);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_who_did_not_say_bundles_gets_none (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    s_add_requests (1, 10);
    s_send (client);
    s_serve (worker, 10);
    for (uint64_t id = 1; id <= 10; id++)
        test_peer_expect_reply (client, id, RP_OK);
    assert_int_equal (worker->unbundler.count, 0);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

/*  The core keeps the request for a redelivery while the worker has it.  */
static void s_a_request_of_a_bundle_can_be_redelivered (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new_with_bundles (s_endpoint, "upper", 10);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    for (uint64_t id = 1; id <= 3; id++) {
        rp_head_t head = s_request (id);
        head.attempts = 2;
        bundle_add_message (&s_bundle, head, "body");
    }
    s_send (client);
    for (unsigned count = 0; count < 3; count++)
        test_peer_expect (worker, RP_COMMAND_REQUEST);
    test_peer_t *other = test_worker_new_with_bundles (s_endpoint, "upper", 10);
    test_peer_destroy (&worker);
    s_serve (other, 3);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal (test_peer_expect_reply (client, id, RP_OK)->attempt, 2);
    test_peer_destroy (&client);
    test_peer_destroy (&other);
}

static void s_a_request_that_waits_outlives_its_bundle (void **state)
{
    (void) state;
    enum { COUNT = 100 };
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    for (uint64_t id = 1; id <= COUNT; id++) {
        rp_head_t head = s_request (id);
        head.wait_ms = 10000;
        bundle_add_message (&s_bundle, head, "body");
    }
    s_send (client);
    test_client_await_count (client, "gauges", "waiting", COUNT);
    test_peer_t *worker = test_worker_new_with_bundles (s_endpoint, "upper", 10);
    s_serve (worker, COUNT);
    for (uint64_t id = 1; id <= COUNT; id++)
        test_peer_expect_reply (client, id, RP_OK);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_the_broker_answers_for_itself_in_a_bundle (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    rp_head_t ping = s_request (1);
    ping.name = "riposte.ping";
    ping.name_size = 12;
    bundle_add_message (&s_bundle, ping, "one");
    ping.id = 2;
    bundle_add_message (&s_bundle, ping, "two");
    s_send (client);
    for (uint64_t id = 1; id <= 2; id++) {
        test_peer_expect_reply (client, id, RP_OK);
        assert_int_equal (client->body_size, 3);
        assert_memory_equal (client->body, id == 1 ? "one" : "two", 3);
    }
    test_peer_destroy (&client);
}

/*  ---- Bad bundles ------------------------------------------------------------------------- */

/*  Sends bytes as a bundle from a session that may send bundles, and checks that the session
    ends.  */
static void s_try_bad (const void *bytes, size_t size, const char *error)
{
    test_peer_t *observer = test_client_new (s_endpoint);
    int64_t before = test_client_count (observer, "bad", error);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    test_peer_send_frame (client, bytes, size, false);
    test_peer_expect_bye (client, RP_INVALID);
    assert_int_equal (test_client_count (observer, "bad", error), before + 1);
    test_client_await_count (observer, NULL, "clients", 1);
    test_client_request (client, 1, "riposte.ping", ""); // its session is over
    test_peer_expect_bye (client, RP_INVALID);
    test_peer_destroy (&client);
    test_peer_destroy (&observer);
}

static void s_a_bundle_that_does_not_add_up_ends_the_session (void **state)
{
    (void) state;
    static const char *const bad[] = {
      "RB\1\0", "RB\1\0\0\0\0\0", "RB\1\0\0\0\0\2x", "RB\2\0\0\0\0\1x"};
    static const size_t sizes[] = {4, 8, 9, 9};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++)
        s_try_bad (bad[index], sizes[index], "BUNDLE");
    s_try_bad ("RB", 2, "BUNDLE");
    for (uint64_t id = 1; s_bundle.size <= RP_BUNDLE_MAX; id++)
        bundle_add_message (&s_bundle, s_request (id), "body");
    s_try_bad (s_bundle.bytes, s_bundle.size, "BUNDLE");
}

static void s_a_bundle_of_several_frames_ends_the_session (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    s_add_requests (1, 2);
    test_peer_send_frame (client, s_bundle.bytes, s_bundle.size, true);
    test_peer_send_frame (client, "", 0, false);
    test_peer_expect_bye (client, RP_INVALID);
    test_peer_destroy (&client);
}

static void s_a_bundle_in_a_bundle_ends_the_session (void **state)
{
    (void) state;
    bundle_t *inner = calloc (1, sizeof *inner);
    assert_non_null (inner);
    bundle_add_message (inner, s_request (1), "body");
    bundle_add (&s_bundle, inner->bytes, inner->size);
    free (inner);
    s_try_bad (s_bundle.bytes, s_bundle.size, "NOT_NATIVE");
}

static void s_who_did_not_say_bundles_must_not_send_one (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *client = test_client_new (s_endpoint);
    s_add_requests (1, 1);
    s_send (client);
    test_peer_expect_bye (client, RP_INVALID);
    assert_int_equal (test_client_count (observer, "bad", "BUNDLE"), 1);

    test_peer_t *pending = test_peer_new (s_endpoint);
    bundle_add_message (
      &s_bundle, (rp_head_t){.command = RP_COMMAND_HELLO, .flags = RP_FLAG_BUNDLES}, NULL);
    s_send (pending);
    test_peer_expect_bye (pending, RP_INVALID);
    assert_int_equal (test_client_count (observer, "bad", "BUNDLE"), 2);
    test_client_await_count (observer, NULL, "clients", 1);
    test_peer_destroy (&pending);
    test_peer_destroy (&client);
    test_peer_destroy (&observer);
}

static void s_what_came_before_a_bad_message_is_served_and_what_came_after_is_not (void **state)
{
    (void) state;
    test_peer_t *worker = test_worker_new (s_endpoint, "upper", 10);
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    rp_head_t unknown = s_request (1);
    unknown.name = "riposte.ping";
    unknown.name_size = 12;
    bundle_add_message (&s_bundle, unknown, "ping");
    bundle_add_message (&s_bundle, s_request (2), "body");
    bundle_add (&s_bundle, "RP\1\377", 4);
    bundle_add_message (&s_bundle, s_request (3), "body");
    s_send (client);
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_expect_bye (client, RP_INVALID);
    test_client_await_count (observer, "counters", "requests", 1);
    assert_int_equal (test_client_count (observer, "counters", "unknown_peers"), 0);
    test_client_await_count (observer, NULL, "clients", 1);
    test_peer_destroy (&client);
    test_peer_destroy (&observer);
    test_peer_destroy (&worker);
}

static void s_nothing_follows_a_bye_in_a_bundle (void **state)
{
    (void) state;
    test_peer_t *observer = test_client_new (s_endpoint);
    test_peer_t *client = test_client_new_with_bundles (s_endpoint);
    bundle_add_message (&s_bundle, (rp_head_t){.command = RP_COMMAND_BYE}, NULL);
    bundle_add_message (&s_bundle, s_request (1), "body");
    s_send (client);
    test_client_await_count (observer, NULL, "clients", 1);
    assert_int_equal (test_client_count (observer, "counters", "requests"), 0);
    assert_int_equal (test_client_count (observer, "counters", "unknown_peers"), 0);
    test_peer_destroy (&client);
    test_peer_destroy (&observer);
}

static void s_a_body_over_the_limit_in_a_bundle_is_refused_alone (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.max_body = 1024;
    test_broker_t *broker = test_broker_start_with (&limits);
    test_peer_t *client = test_client_new_with_bundles (test_broker_endpoint (broker));
    char body[1026];
    memset (body, 'x', sizeof body);
    body[1025] = '\0';
    bundle_add_message (&s_bundle, s_request (1), "body");
    bundle_add_message (&s_bundle, s_request (2), body);
    bundle_add_message (&s_bundle, s_request (3), body + 1);
    s_send (client);
    test_peer_expect_reply (client, 1, RP_NO_WORKER);
    test_peer_expect_reply (client, 2, RP_TOO_LARGE);
    test_peer_expect_reply (client, 3, RP_NO_WORKER);
    test_peer_destroy (&client);
    test_broker_stop (&broker);
}

/*  The bundles hold more heartbeats than the server handles between two readings of its clock.  */
static void s_bundles_full_of_small_messages_shut_nobody_out (void **state)
{
    (void) state;
    enum { BUNDLES = 200 };
    test_peer_t *flood = test_client_new_with_bundles (s_endpoint);
    test_peer_t *client = test_client_new (s_endpoint);
    while (s_bundle.size + RP_BUNDLE_ENTRY_HEAD + RP_WIRE_FIXED <= RP_BUNDLE_MAX)
        bundle_add_message (&s_bundle, (rp_head_t){.command = RP_COMMAND_HEARTBEAT}, NULL);
    for (unsigned count = 0; count < BUNDLES; count++)
        test_peer_send_frame (flood, s_bundle.bytes, s_bundle.size, false);
    test_client_request (client, 1, "riposte.ping", "");
    test_peer_expect_reply (client, 1, RP_OK);
    assert_int_equal (test_client_count (client, NULL, "clients"), 2);
    test_peer_destroy (&client);
    test_peer_destroy (&flood);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_bundles_are_agreed_on_in_the_greeting),
      S_TEST (s_requests_of_a_bundle_are_served_in_order),
      S_TEST (s_many_go_through_in_bundles_both_ways),
      S_TEST (s_who_did_not_say_bundles_gets_none),
      S_TEST (s_a_request_of_a_bundle_can_be_redelivered),
      S_TEST (s_a_request_that_waits_outlives_its_bundle),
      S_TEST (s_the_broker_answers_for_itself_in_a_bundle),
      S_TEST (s_a_bundle_that_does_not_add_up_ends_the_session),
      S_TEST (s_a_bundle_of_several_frames_ends_the_session),
      S_TEST (s_a_bundle_in_a_bundle_ends_the_session),
      S_TEST (s_who_did_not_say_bundles_must_not_send_one),
      S_TEST (s_what_came_before_a_bad_message_is_served_and_what_came_after_is_not),
      S_TEST (s_nothing_follows_a_bye_in_a_bundle),
      S_TEST (s_a_body_over_the_limit_in_a_bundle_is_refused_alone),
      S_TEST (s_bundles_full_of_small_messages_shut_nobody_out),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
