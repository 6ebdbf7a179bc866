/*  Connections that do not greet, on the real broker.

    SPDX-License-Identifier: MPL-2.0
*/

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zmq.h>

#include "common/io/channel.h"
#include "tests/support/broker.h"
#include "tests/support/peer.h"

#define S_GREETING_MS 200u
#define S_BOUND_MS 10000

static test_broker_t *s_broker;
static void *s_context;
static rp_channel_t *s_channel;

static int s_setup (void **state)
{
    (void) state;
    rp_limits_t limits = test_broker_limits ();
    limits.greeting = S_GREETING_MS;
    s_broker = test_broker_start_with (&limits);
    s_context = zmq_ctx_new ();
    s_channel = rp_channel_new (s_context);
    assert_non_null (s_channel);
    assert_int_equal (rp_channel_open (s_channel, test_broker_endpoint (s_broker)), 0);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_channel_destroy (&s_channel);
    test_broker_stop (&s_broker);
    return zmq_ctx_term (s_context);
}

static void s_expect (rp_channel_event_t expected)
{
    const char *reason;
    for (int64_t end = test_now_ms () + S_BOUND_MS; test_now_ms () < end;) {
        rp_channel_event_t event = rp_channel_next_event (s_channel, &reason);
        if (event != RP_CHANNEL_NOTHING) {
            assert_int_equal (event, expected);
            return;
        }
        struct pollfd event_fd = {
          .fd = rp_channel_event_descriptor (s_channel), .events = POLLIN};
        poll (&event_fd, 1, 100);
    }
    fail_msg ("no event within %d ms", S_BOUND_MS);
}

static void s_who_never_greets_is_cut_and_who_did_is_not (void **state)
{
    (void) state;
    test_peer_t *client = test_client_new (test_broker_endpoint (s_broker));
    int64_t begin = test_now_ms ();
    s_expect (RP_CHANNEL_CONNECTED);
    s_expect (RP_CHANNEL_FAILED);
    assert_true (test_now_ms () - begin >= S_GREETING_MS / 2);
    // It came before the stranger, whose time was over just now.
    test_client_request (client, 1, "riposte.ping", "still here");
    test_peer_expect_reply (client, 1, RP_OK);
    test_peer_destroy (&client);
}

static void s_whose_session_ended_has_to_greet_again_or_is_cut (void **state)
{
    (void) state;
    s_expect (RP_CHANNEL_CONNECTED);
    rp_head_t hello = {.command = RP_COMMAND_HELLO, .time = 60000};
    assert_int_equal (rp_channel_send_head (s_channel, &hello), 0);
    assert_int_equal (rp_channel_send_head (s_channel, &hello), 0); // a second one ends the session
    s_expect (RP_CHANNEL_FAILED);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (
        s_who_never_greets_is_cut_and_who_did_is_not, s_setup, s_teardown),
      cmocka_unit_test_setup_teardown (
        s_whose_session_ended_has_to_greet_again_or_is_cut, s_setup, s_teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
