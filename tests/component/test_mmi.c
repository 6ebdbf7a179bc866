/*  The broker's answers to mmi.*, as the client library gets them (8/MMI).

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <riposte/client.h>

#include "tests/support/broker.h"
#include "tests/support/peer.h"

static test_broker_t *s_broker;
static rp_client_t *s_client;

static int s_setup (void **state)
{
    (void) state;
    s_broker = test_broker_start ();
    s_client = rp_client_new (test_broker_endpoint (s_broker));
    return s_client ? 0 : -1;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_client_destroy (&s_client);
    test_broker_stop (&s_broker);
    return 0;
}

static test_peer_t *s_worker (const char *service)
{
    return test_worker_new (test_broker_endpoint (s_broker), service, 10);
}

static void s_expect (const char *service, const char *body, const char *answer)
{
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_call (s_client, service, body, strlen (body), &reply), RP_OK);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    assert_int_equal (rp_reply_size (reply), strlen (answer));
    assert_memory_equal (rp_reply_body (reply), answer, strlen (answer));
    rp_reply_destroy (&reply);
}

/*  Waits until the broker has noticed.  */
static void s_await (const char *service, const char *body, const char *answer)
{
    int64_t end = test_now_ms () + TEST_PATIENCE_MS;
    for (bool same = false; !same;) {
        assert_true (test_now_ms () < end);
        rp_reply_t *reply = NULL;
        assert_int_equal (rp_client_call (s_client, service, body, strlen (body), &reply), RP_OK);
        same = rp_reply_size (reply) == strlen (answer)
               && memcmp (rp_reply_body (reply), answer, strlen (answer)) == 0;
        rp_reply_destroy (&reply);
    }
}

static void s_a_service_is_there_while_it_has_a_worker (void **state)
{
    (void) state;
    s_expect ("mmi.service", "upper", "404");
    test_peer_t *worker = s_worker ("upper");
    s_expect ("mmi.service", "upper", "200");
    s_expect ("mmi.service", "uppe", "404");
    s_expect ("mmi.service", "", "404");
    test_peer_destroy (&worker); // as in a crash
    s_await ("mmi.service", "upper", "404");
}

static void s_a_service_is_not_there_when_its_busy_worker_died (void **state)
{
    (void) state;
    test_peer_t *worker = s_worker ("upper");
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    test_client_request (client, 1, "upper", "x");
    test_peer_expect (worker, RP_COMMAND_REQUEST);
    s_expect ("mmi.service", "upper", "200");
    test_peer_destroy (&worker);
    test_peer_expect_reply (client, 1, RP_WORKER_LOST);
    s_expect ("mmi.service", "upper", "404");
    test_peer_destroy (&client);
}

static void s_a_worker_that_drains_does_not_count (void **state)
{
    (void) state;
    test_peer_t *worker = s_worker ("upper");
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    test_client_request (client, 1, "upper", "x");
    uint64_t token = test_peer_expect (worker, RP_COMMAND_REQUEST)->id;
    test_peer_send (worker, &(rp_head_t){.command = RP_COMMAND_DRAIN}, NULL, 0);
    s_await ("mmi.service", "upper", "404");
    s_expect ("mmi.workers", "upper", "404");
    s_expect ("mmi.services", "", "");
    test_worker_reply (worker, token, "X");
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

static void s_workers_are_counted (void **state)
{
    (void) state;
    s_expect ("mmi.workers", "upper", "404");
    test_peer_t *first = s_worker ("upper");
    test_peer_t *second = s_worker ("upper");
    test_peer_t *other = s_worker ("lower");
    s_expect ("mmi.workers", "upper", "2");
    s_expect ("mmi.workers", "lower", "1");
    test_peer_destroy (&first);
    s_await ("mmi.workers", "upper", "1");
    test_peer_destroy (&second);
    test_peer_destroy (&other);
}

static void s_services_are_listed_by_name (void **state)
{
    (void) state;
    s_expect ("mmi.services", "", "");
    test_peer_t *first = s_worker ("upper");
    s_expect ("mmi.services", "", "upper\n");
    test_peer_t *second = s_worker ("upper");
    test_peer_t *other = s_worker ("two words");
    s_expect ("mmi.services", "", "upper\ntwo words\n");
    test_peer_destroy (&first);
    test_peer_destroy (&second);
    test_peer_destroy (&other);
}

static void s_what_is_not_implemented_says_so (void **state)
{
    (void) state;
    s_expect ("mmi.filter", "x", "501");
    s_expect ("mmi.", "", "501");
    s_expect ("mmi.serviceS", "upper", "501");
    s_expect ("mmi.service.upper", "upper", "501");
}

/*  The name is the body's first frame, inside the first frame of the message or in its own.  */
static void s_the_name_may_be_in_a_frame_of_its_own (void **state)
{
    (void) state;
    test_peer_t *worker = s_worker ("upper");
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    char head[RP_WIRE_HEAD_MAX];
    size_t size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                                    .id = 1,
                                    .deadline_ms = 1000,
                                    .attempts = 1,
                                    .name = "mmi.workers",
                                    .name_size = 11},
      head, sizeof head);
    test_peer_send_frame (client, head, size, true);
    test_peer_send_frame (client, "upper", 5, true);
    test_peer_send_frame (client, "more", 4, false);
    test_peer_expect_reply (client, 1, RP_OK);
    assert_int_equal (client->body_size, 1);
    assert_memory_equal (client->body, "1", 1);
    size = rp_wire_encode (&(rp_head_t){.command = RP_COMMAND_REQUEST,
                             .id = 2,
                             .deadline_ms = 1000,
                             .attempts = 1,
                             .name = "mmi.workers",
                             .name_size = 11},
      head, sizeof head);
    test_peer_send_frame (client, head, size, false); // without a body
    test_peer_expect_reply (client, 2, RP_OK);
    assert_memory_equal (client->body, "404", 3);
    assert_int_equal (test_client_count (client, "counters", "admin_requests"), 3);
    test_peer_destroy (&client);
    test_peer_destroy (&worker);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_service_is_there_while_it_has_a_worker),
      S_TEST (s_a_service_is_not_there_when_its_busy_worker_died),
      S_TEST (s_a_worker_that_drains_does_not_count),
      S_TEST (s_workers_are_counted),
      S_TEST (s_services_are_listed_by_name),
      S_TEST (s_what_is_not_implemented_says_so),
      S_TEST (s_the_name_may_be_in_a_frame_of_its_own),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
