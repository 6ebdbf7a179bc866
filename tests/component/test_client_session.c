/*  SPDX-License-Identifier: MPL-2.0

    The client library against a broker that follows a script: connections, conversations.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/client_state.h"
#include "common/io/clock.h"
#include "tests/support/client_pair.h"

#define PATIENCE_MS PUPPET_PATIENCE_MS

/*  ---- The connection ------------------------------------------------------------------------- */

static void without_a_broker_the_message_says_where_and_why (void **state)
{
    (void) state;
    char endpoint[128];
    pair_dead_endpoint (endpoint, sizeof endpoint);
    rp_client_t *client = rp_client_new (endpoint);
    assert_int_equal (rp_client_set_timeout_ms (client, 300), RP_OK);
    rp_reply_t *reply = NULL;
    int64_t before = rp_clock_us ();
    assert_int_equal (rp_client_call (client, "echo", NULL, 0, &reply), RP_OK);
    assert_in_range (rp_clock_us () - before, 299000, 2000000);
    assert_int_equal (rp_reply_status (reply), RP_NO_BROKER);
    assert_non_null (strstr (rp_reply_message (reply), endpoint));
    assert_non_null (strstr (rp_reply_message (reply), "nothing listens there"));
    assert_int_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    char error[256];
    assert_non_null (strstr (rp_client_last_error (client, error, sizeof error), endpoint));
    assert_int_equal (rp_client_connect (client, 50), RP_NO_BROKER);
    rp_client_destroy (&client);
}

static void the_second_endpoint_serves_when_the_first_is_dead (void **state)
{
    (void) state;
    puppet_t *broker = puppet_new ();
    char endpoints[300];
    pair_dead_endpoint (endpoints, 128);
    strcat (endpoints, ",");
    strcat (endpoints, broker->endpoint);
    rp_client_t *client = rp_client_new (endpoints);
    pair_submit (client, "hello");
    puppet_greet (broker);
    puppet_expect (broker, RP_COMMAND_REQUEST);
    puppet_reply (broker, RP_OK, "");
    pair_collect_status (client, RP_OK);
    rp_client_destroy (&client);
    puppet_destroy (&broker);
}

static void a_refusal_ends_calls_at_once (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "hello");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    rp_head_t bye = {
      .command = RP_COMMAND_BYE, .status = RP_DENIED, .text = "not you", .text_size = 7};
    puppet_send (pair.broker, bye, NULL, 0);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_DENIED);
    assert_non_null (strstr (rp_reply_message (reply), "not you"));
    rp_reply_destroy (&reply);
    assert_int_equal (rp_client_connect (pair.client, PATIENCE_MS), RP_DENIED);
    pair_end (&pair);
}

static void a_broker_that_comes_back_gets_what_may_be_sent_again (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_client_set_attempts (pair.client, 2);
    uint64_t id = pair_submit (pair.client, "twice");
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->head.attempts, 2);
    rp_call_t *call = rp_call_new ("echo", "once", 4);
    rp_call_set_attempts (call, 1);
    assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);

    puppet_stop (pair.broker);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_UNKNOWN);
    assert_non_null (strstr (rp_reply_message (reply), "may have run"));
    rp_reply_destroy (&reply);
    puppet_start (pair.broker);
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_string_equal (pair.broker->body, "twice");
    assert_int_equal (pair.broker->head.attempts, 1);
    assert_true (pair.broker->head.id != id);
    puppet_reply (pair.broker, RP_OK, "");
    reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    assert_true (rp_reply_id (reply) == id);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

/*  Returns how many bytes of its large body an open call holds.  */
static size_t s_kept (client_pair_t *pair, rp_call_t *call)
{
    rp_pump_lock (pair->client->pump);
    size_t size = zmq_msg_size (&call->large);
    rp_pump_unlock_idle (pair->client->pump);
    return size;
}

static void a_large_body_is_kept_as_long_as_it_may_be_sent_again (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    static char large[100000];
    memset (large, 'x', sizeof large);
    rp_call_t *call = rp_call_new ("echo", large, sizeof large), *open = call;
    rp_call_set_attempts (call, 2);
    assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
    for (uint8_t left = 2; left > 0; left--) {
        puppet_greet (pair.broker);
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->head.attempts, left);
        assert_int_equal (pair.broker->size, sizeof large);
        assert_memory_equal (pair.broker->body, large, sizeof large);
        assert_int_equal (s_kept (&pair, open), left > 1 ? sizeof large : 0);
        puppet_stop (pair.broker);
        puppet_start (pair.broker);
    }
    pair_collect_status (pair.client, RP_UNKNOWN);
    pair_end (&pair);
}

static void what_came_before_the_connection_broke_still_counts (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    puppet_reply (pair.broker, RP_OK, "just in time");
    rp_head_t bye = {.command = RP_COMMAND_BYE, .status = RP_DRAINING};
    puppet_send (pair.broker, bye, NULL, 0);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    rp_reply_destroy (&reply);
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    pair_end (&pair);
}

static void heartbeats_go_on_while_the_application_does_something_else (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "hello");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    rp_head_t welcome = {.command = RP_COMMAND_WELCOME, .interval_ms = 300, .max_open = 10};
    puppet_send (pair.broker, welcome, NULL, 0);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    int heartbeats = 0;
    int64_t end = rp_clock_us () + PATIENCE_MS * 1000;
    while (heartbeats < 3 && rp_clock_us () < end) {
        uint8_t data[RP_WIRE_HEAD_MAX];
        rp_head_t head = {.command = RP_COMMAND_HEARTBEAT};
        puppet_send (pair.broker, head, NULL, 0);
        assert_true (zmq_recv (pair.broker->router, data, sizeof data, 0) > 0);
        int size = zmq_recv (pair.broker->router, data, sizeof data, 0);
        assert_int_equal (rp_wire_decode (&head, data, (size_t) size), RP_WIRE_ERROR_NONE);
        assert_int_equal (head.command, RP_COMMAND_HEARTBEAT);
        heartbeats++;
    }
    assert_int_equal (heartbeats, 3);
    pair_end (&pair);
}

static void what_makes_no_sense_is_ignored (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    uint64_t id = pair.broker->head.id;
    static const char garbage[] = "this is no message";
    puppet_send_frame (pair.broker, garbage, sizeof garbage, true, false);
    puppet_send_frame (pair.broker, "", 0, true, true);
    puppet_send_frame (pair.broker, garbage, sizeof garbage, false, false);
    for (int frame = 0; frame < 100; frame++)
        puppet_send_frame (pair.broker, garbage, sizeof garbage, frame == 0, frame < 99);
    rp_head_t foreign = {.command = RP_COMMAND_REPLY, .id = id + 1};
    puppet_send (pair.broker, foreign, "not asked for", 13);
    rp_head_t wrong = {.command = RP_COMMAND_CREDIT, .window = 7};
    puppet_send (pair.broker, wrong, NULL, 0);
    puppet_reply (pair.broker, RP_OK, "fine");
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

static void a_body_over_the_limit_is_refused_here_and_names_it (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "123456789012345678901234567890");
    pair_submit (pair.client, "short");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    puppet_welcome (pair.broker, "16", 10);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_TOO_LARGE);
    assert_non_null (strstr (rp_reply_message (reply), "16 B"));
    rp_reply_destroy (&reply);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_string_equal (pair.broker->body, "short");
    pair_end (&pair);
}

static void more_than_the_broker_lets_a_client_have_open_waits_here (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "1");
    pair_submit (pair.client, "2");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    puppet_welcome (pair.broker, "1000", 1);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_false (puppet_receive (pair.broker, 50));
    puppet_reply (pair.broker, RP_OK, "");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_string_equal (pair.broker->body, "2");
    pair_end (&pair);
}

/*  ---- Conversations -------------------------------------------------------------------------- */

static rp_call_t *s_call_in (rp_conversation_t *conversation)
{
    return rp_call_new_in (conversation, "x", 1);
}

static void a_conversation_is_opened_kept_and_ended (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_conversation_t *conversation = rp_conversation_new (pair.client, "site");
    assert_non_null (conversation);
    caller_t caller;
    caller_start (&caller, pair.client, s_call_in (conversation));
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    uint64_t key = pair.broker->head.conversation;
    assert_true (key != 0);
    assert_true (pair.broker->head.flags & RP_FLAG_OPEN);
    puppet_reply (pair.broker, RP_OK, "");
    rp_reply_t *reply = caller_end (&caller);
    rp_reply_destroy (&reply);

    caller_start (&caller, pair.client, s_call_in (conversation));
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_true (pair.broker->head.conversation == key);
    assert_false (pair.broker->head.flags & RP_FLAG_OPEN);
    puppet_reply (pair.broker, RP_CONVERSATION_LOST, NULL);
    reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_CONVERSATION_LOST);
    rp_reply_destroy (&reply);

    caller_start (&caller, pair.client, s_call_in (conversation));
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_true (pair.broker->head.conversation != key);
    assert_true (pair.broker->head.flags & RP_FLAG_OPEN);
    key = pair.broker->head.conversation;
    puppet_reply (pair.broker, RP_OK, "");
    reply = caller_end (&caller);
    rp_reply_destroy (&reply);

    rp_conversation_destroy (&conversation);
    assert_null (conversation);
    puppet_expect (pair.broker, RP_COMMAND_END);
    assert_true (pair.broker->head.conversation == key);
    pair_end (&pair);
}

static void a_conversation_may_be_destroyed_while_its_requests_are_open (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_conversation_t *conversation = rp_conversation_new (pair.client, "site");
    rp_call_t *first = s_call_in (conversation);
    rp_call_t *unused = s_call_in (conversation);
    assert_int_equal (rp_client_submit (pair.client, &first, NULL), RP_OK);
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    uint64_t id = pair.broker->head.id;
    rp_conversation_destroy (&conversation);
    rp_call_destroy (&unused);
    puppet_expect (pair.broker, RP_COMMAND_END);
    pair.broker->head.id = id;
    puppet_reply (pair.broker, RP_OK, "");
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (without_a_broker_the_message_says_where_and_why),
      cmocka_unit_test (the_second_endpoint_serves_when_the_first_is_dead),
      cmocka_unit_test (a_refusal_ends_calls_at_once),
      cmocka_unit_test (a_broker_that_comes_back_gets_what_may_be_sent_again),
      cmocka_unit_test (a_large_body_is_kept_as_long_as_it_may_be_sent_again),
      cmocka_unit_test (what_came_before_the_connection_broke_still_counts),
      cmocka_unit_test (heartbeats_go_on_while_the_application_does_something_else),
      cmocka_unit_test (what_makes_no_sense_is_ignored),
      cmocka_unit_test (a_body_over_the_limit_is_refused_here_and_names_it),
      cmocka_unit_test (more_than_the_broker_lets_a_client_have_open_waits_here),
      cmocka_unit_test (a_conversation_is_opened_kept_and_ended),
      cmocka_unit_test (a_conversation_may_be_destroyed_while_its_requests_are_open),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
