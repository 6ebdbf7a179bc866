/*  SPDX-License-Identifier: MPL-2.0

    Bundles in the client library, against a broker that follows a script. Its heartbeats are a
    minute apart, so that only the rule under test sends the requests that wait.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io/clock.h"
#include "tests/support/client_pair.h"

/*  SOON_MS is longer than the library lets anything wait (RP_PUMP_IDLE_US), even on a busy machine,
    and far shorter than the time to the heartbeats and deadlines, which would send it too.  */
enum { SOON_MS = 1000, HAND = 200 };

/*  Connects, has one request answered, and then `count` more, whose results wait to be
    collected.  */
static void s_begin_with_results (client_pair_t *pair, unsigned count)
{
    pair_begin (pair);
    pair_submit (pair->client, "first");
    puppet_greet_with_bundles (pair->broker);
    puppet_expect (pair->broker, RP_COMMAND_REQUEST);
    puppet_reply (pair->broker, RP_OK, "first");
    pair_collect_status (pair->client, RP_OK);
    static bundle_t replies;
    replies.size = 0;
    for (unsigned index = 0; index < count; index++) {
        pair_submit (pair->client, "x");
        puppet_expect (pair->broker, RP_COMMAND_REQUEST);
        bundle_add_message (&replies,
          (rp_head_t){.command = RP_COMMAND_REPLY, .id = pair->broker->head.id, .attempt = 1}, "X");
    }
    if (count)
        puppet_send_bundle (pair->broker, &replies);
}

static void replies_of_a_bundle_are_collected_one_by_one (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, HAND);
    for (unsigned index = 0; index < HAND; index++) {
        rp_reply_t *reply = pair_collect (pair.client);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        assert_int_equal (rp_reply_size (reply), 1);
        assert_memory_equal (rp_reply_body (reply), "X", 1);
        rp_reply_destroy (&reply);
    }
    pair_end (&pair);
}

static void a_reply_outlives_its_bundle_and_its_client (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, 3);
    rp_reply_t *replies[3];
    for (unsigned index = 0; index < 3; index++)
        replies[index] = pair_collect (pair.client);
    pair_end (&pair);
    for (unsigned index = 0; index < 3; index++) {
        assert_memory_equal (rp_reply_body (replies[index]), "X", 1);
        rp_reply_destroy (&replies[index]);
    }
}

static void an_application_in_a_hot_loop_sends_bundles (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, HAND);
    unsigned before = pair.broker->received;
    for (unsigned index = 0; index < HAND; index++) {
        rp_reply_t *reply = pair_collect (pair.client);
        rp_reply_destroy (&reply);
        pair_submit (pair.client, "again");
    }
    for (unsigned index = 0; index < HAND; index++) {
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_string_equal (pair.broker->body, "again");
    }
    assert_in_range (pair.broker->received - before, 1, HAND / 2);
    pair_end (&pair);
}

static void what_is_held_goes_out_together_at_the_flush (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, 0);
    assert_true (rp_client_fd (pair.client) >= 0); // as an event loop would
    for (unsigned round = 0; round < 3; round++) {
        unsigned before = pair.broker->received;
        assert_int_equal (rp_client_hold (pair.client), RP_OK);
        for (unsigned index = 0; index < HAND; index++)
            pair_submit (pair.client, "held");
        assert_int_equal (rp_client_flush (pair.client), RP_OK);
        for (unsigned index = 0; index < HAND; index++) {
            puppet_expect (pair.broker, RP_COMMAND_REQUEST);
            assert_string_equal (pair.broker->body, "held");
        }
        assert_in_range (pair.broker->received - before, 1, HAND / 10);
    }
    unsigned before = pair.broker->received;
    pair_submit (pair.client, "alone");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->received, before + 1);
    pair_end (&pair);
}

static void a_lone_submit_goes_out_at_once (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, 0);
    for (unsigned round = 0; round < 20; round++) {
        unsigned before = pair.broker->received;
        pair_submit (pair.client, "alone");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->received, before + 1);
        assert_int_equal (pair.broker->unbundler.count, 0);
        puppet_reply (pair.broker, RP_OK, "x");
        pair_collect_status (pair.client, RP_OK);
    }
    pair_end (&pair);
}

/*  Without results that wait, the library cannot know that more requests follow.  */
static void a_burst_without_results_at_hand_goes_out_at_once (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, 0);
    for (unsigned index = 0; index < 10; index++)
        pair_submit (pair.client, "burst");
    for (unsigned index = 0; index < 10; index++)
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->unbundler.count, 0);
    pair_end (&pair);
}

/*  Submits a few requests while results wait, so that some requests wait too; then the application
    calls nothing.  */
static void s_submit_and_be_silent (client_pair_t *pair)
{
    enum { COUNT = 5 };
    for (unsigned index = 0; index < COUNT; index++)
        pair_submit (pair->client, "then silence");
    int64_t begin = rp_clock_us ();
    for (unsigned index = 0; index < COUNT; index++)
        if (!puppet_receive (pair->broker, SOON_MS))
            fail_msg ("request %u still waits", index);
    assert_in_range (rp_clock_us () - begin, 0, SOON_MS * 1000);
}

/*  Makes results wait: once one is collected, the others have come with it.  */
static void s_begin_at_hand (client_pair_t *pair)
{
    s_begin_with_results (pair, 10);
    pair_collect_status (pair->client, RP_OK);
}

static void what_waits_is_sent_soon_though_the_application_is_silent (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    s_submit_and_be_silent (&pair);
    pair_end (&pair);
}

/*  By then the background thread polls, and does not know of new requests.  */
static void what_waits_is_sent_soon_though_the_background_thread_leads (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    for (unsigned round = 0; round < 5; round++) {
        usleep (100000); // the background thread steps in after 20 ms
        s_submit_and_be_silent (&pair);
    }
    pair_end (&pair);
}

static void what_waits_is_sent_soon_though_another_thread_leads (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    caller_t caller;
    rp_call_t *call = rp_call_new ("echo", "waits", 5);
    caller_start (&caller, pair.client, call);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_string_equal (pair.broker->body, "waits");
    rp_head_t reply = {.command = RP_COMMAND_REPLY, .id = pair.broker->head.id, .attempt = 1};
    for (unsigned round = 0; round < 5; round++) {
        usleep (50000); // the background thread polls by now
        s_submit_and_be_silent (&pair);
    }
    puppet_send (pair.broker, reply, NULL, 0);
    rp_reply_t *ended = caller_end (&caller);
    rp_reply_destroy (&ended);
    pair_end (&pair);
}

static void what_waits_is_sent_soon_in_background_mode (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    assert_true (rp_client_fd (pair.client) >= 0);
    for (unsigned round = 0; round < 5; round++) {
        usleep (50000);
        s_submit_and_be_silent (&pair);
    }
    pair_end (&pair);
}

static void order_is_kept_between_small_and_large (void **state)
{
    (void) state;
    enum { SIZE = 10000 };
    client_pair_t pair;
    s_begin_at_hand (&pair);
    char *body = calloc (1, SIZE);
    assert_non_null (body);
    for (unsigned index = 0; index < 30; index++) {
        body[0] = (char) index;
        rp_call_t *call = rp_call_new ("echo", body, index % 3 == 2 ? SIZE : 1);
        assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
    }
    for (unsigned index = 0; index < 30; index++) {
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->body[0], index);
        assert_int_equal (pair.broker->size, index % 3 == 2 ? SIZE : 1);
    }
    free (body);
    pair_end (&pair);
}

static void a_cancel_goes_behind_its_request (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    pair_submit (pair.client, "a");
    uint64_t id = pair_submit (pair.client, "b");
    assert_int_equal (rp_client_cancel (pair.client, id), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    uint64_t sent = pair.broker->head.id;
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    assert_true (pair.broker->head.id == sent);
    pair_end (&pair);
}

static void closing_sends_what_waits_and_then_bye (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_at_hand (&pair);
    for (unsigned index = 0; index < 3; index++)
        pair_submit (pair.client, "last words");
    rp_client_destroy (&pair.client);
    for (unsigned index = 0; index < 3; index++)
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    while (puppet_receive (pair.broker, SOON_MS) && pair.broker->head.command != RP_COMMAND_BYE)
        assert_int_equal (pair.broker->head.command, RP_COMMAND_CANCEL);
    assert_int_equal (pair.broker->head.command, RP_COMMAND_BYE);
    puppet_destroy (&pair.broker);
}

static void welcome_may_come_in_a_bundle (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "first");
    puppet_expect (pair.broker, RP_COMMAND_HELLO);
    static bundle_t bundle;
    bundle.size = 0;
    bundle_add_message (&bundle,
      (rp_head_t){.command = RP_COMMAND_WELCOME,
        .flags = RP_FLAG_BUNDLES,
        .interval_ms = 60000,
        .max_open = 10},
      NULL);
    bundle_add_message (&bundle, (rp_head_t){.command = RP_COMMAND_HEARTBEAT}, NULL);
    puppet_send_bundle (pair.broker, &bundle);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_reply (pair.broker, RP_OK, NULL);
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

static void a_bundle_that_does_not_add_up_is_ignored (void **state)
{
    (void) state;
    client_pair_t pair;
    s_begin_with_results (&pair, 0);
    pair_submit (pair.client, "x");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_send_frame (pair.broker, "RB\1\0\0\0\0\2x", 9, true, false);
    puppet_send_frame (pair.broker, "RB\1\0", 4, true, false);
    puppet_send_frame (pair.broker, "RB\1\0\0\0\0\1x", 9, true, false);
    puppet_reply (pair.broker, RP_OK, "x");
    pair_collect_status (pair.client, RP_OK);
    pair_end (&pair);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (replies_of_a_bundle_are_collected_one_by_one),
      cmocka_unit_test (a_reply_outlives_its_bundle_and_its_client),
      cmocka_unit_test (an_application_in_a_hot_loop_sends_bundles),
      cmocka_unit_test (what_is_held_goes_out_together_at_the_flush),
      cmocka_unit_test (a_lone_submit_goes_out_at_once),
      cmocka_unit_test (a_burst_without_results_at_hand_goes_out_at_once),
      cmocka_unit_test (what_waits_is_sent_soon_though_the_application_is_silent),
      cmocka_unit_test (what_waits_is_sent_soon_though_the_background_thread_leads),
      cmocka_unit_test (what_waits_is_sent_soon_though_another_thread_leads),
      cmocka_unit_test (what_waits_is_sent_soon_in_background_mode),
      cmocka_unit_test (order_is_kept_between_small_and_large),
      cmocka_unit_test (a_cancel_goes_behind_its_request),
      cmocka_unit_test (closing_sends_what_waits_and_then_bye),
      cmocka_unit_test (welcome_may_come_in_a_bundle),
      cmocka_unit_test (a_bundle_that_does_not_add_up_is_ignored),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
