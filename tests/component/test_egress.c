/*  Egress, on a real ROUTER, with actions made by hand.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/egress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/io/socket.h"
#include "common/wire.h"

static void *s_context;
static void *s_router;
static rp_peers_t s_peers;
static rp_message_pool_t s_pool;
static rp_egress_t s_egress;

static const rp_peer_id_t s_one = {.v = UINT64_C (1) << 32};
static const rp_peer_id_t s_two = {.v = UINT64_C (1) << 32 | 1};

static int s_setup (void **state)
{
    (void) state;
    s_context = zmq_ctx_new ();
    s_router = rp_socket_router (s_context, 1000000, 100);
    assert_non_null (s_router);
    s_pool = (rp_message_pool_t) {.largest = 10};
    rp_peers_init (&s_peers, 1);
    rp_egress_init (&s_egress, s_router, &s_peers, &s_pool);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_egress_clear (&s_egress);
    rp_peers_clear (&s_peers);
    rp_message_pool_clear (&s_pool);
    rp_socket_close (s_router, NULL);
    return zmq_ctx_term (s_context);
}

static void s_admit (rp_peer_id_t peer, const char *routing_id, int descriptor)
{
    rp_egress_carry_out (
      &s_egress, &(rp_action_t) {.kind = RP_ACTION_ADMIT, .peer = peer},
      &(rp_sender_t) {
        .routing_id = routing_id, .size = strlen (routing_id), .descriptor = descriptor});
}

static void s_carry_out (rp_action_t action)
{
    rp_egress_carry_out (&s_egress, &action, &(rp_sender_t) {.descriptor = -1});
}

/*  An encoded REQUEST, as if it had just been received.  */
static rp_payload_t *s_request (void)
{
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST, .id = 1, .time = 1, .attempts = 2, .name = "upper",
      .name_size = 5};
    rp_message_t *message = rp_message_new (&s_pool, rp_wire_size (&head));
    assert_non_null (message);
    rp_wire_encode (&head, zmq_msg_data (&message->first), rp_wire_size (&head));
    return rp_egress_payload (message);
}

static void s_drop (rp_payload_t *payload)
{
    s_carry_out ((rp_action_t) {.kind = RP_ACTION_DROP, .payload = payload});
}

static void s_a_request_that_cannot_be_sent_comes_back_with_its_token (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", -1);
    rp_payload_t *request = s_request ();
    s_carry_out ((rp_action_t) {
      .kind = RP_ACTION_SEND, .peer = s_one, .token = {77}, .payload = request});
    rp_event_t event;
    assert_false (rp_egress_next_event (&s_egress, &event)); // it waits in the outbox
    assert_true (rp_egress_flush (&s_egress));
    assert_false (rp_egress_flush (&s_egress));
    assert_true (rp_egress_next_event (&s_egress, &event));
    assert_int_equal (event.kind, RP_EVENT_UNSENT);
    assert_int_equal (event.peer.v, s_one.v);
    assert_int_equal (event.token.v, 77);
    assert_false (event.full);
    assert_ptr_equal (event.payload, request);
    assert_false (rp_egress_next_event (&s_egress, &event));
    s_drop (request);
}

static void s_a_request_that_was_kept_does_not_come_back (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", -1);
    rp_payload_t *request = s_request ();
    s_carry_out ((rp_action_t) {
      .kind = RP_ACTION_SEND, .peer = s_one, .token = {77}, .payload = request, .keep = true});
    rp_egress_flush (&s_egress);
    rp_event_t event;
    assert_true (rp_egress_next_event (&s_egress, &event));
    assert_int_equal (event.token.v, 77);
    assert_null (event.payload);
    s_drop (request);
}

static void s_what_concerned_a_session_ends_with_it (void **state)
{
    (void) state;
    s_admit (s_one, "nobody is connected", -1);
    s_carry_out ((rp_action_t) {
      .kind = RP_ACTION_SEND, .peer = s_one, .token = {77}, .payload = s_request ()});
    s_carry_out ((rp_action_t) {.kind = RP_ACTION_FORGET, .peer = s_one});
    rp_event_t event;
    assert_false (rp_egress_next_event (&s_egress, &event));
    // Sent after its end: neither an event nor a leak.
    s_carry_out ((rp_action_t) {.kind = RP_ACTION_SEND, .peer = s_one, .payload = s_request ()});
    s_carry_out ((rp_action_t) {
      .kind = RP_ACTION_SEND, .peer = s_one, .head = {.command = RP_COMMAND_HEARTBEAT}});
    rp_egress_flush (&s_egress);
    assert_false (rp_egress_next_event (&s_egress, &event));
}

static void s_whose_descriptor_has_a_new_owner_is_suspect (void **state)
{
    (void) state;
    rp_event_t event;
    s_admit (s_one, "one", 700);
    assert_false (rp_egress_next_event (&s_egress, &event));
    s_admit (s_two, "two", 700);
    assert_true (rp_egress_next_event (&s_egress, &event));
    assert_int_equal (event.kind, RP_EVENT_SUSPECT);
    assert_int_equal (event.peer.v, s_one.v);
    assert_false (rp_egress_next_event (&s_egress, &event));
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_that_cannot_be_sent_comes_back_with_its_token),
      S_TEST (s_a_request_that_was_kept_does_not_come_back),
      S_TEST (s_what_concerned_a_session_ends_with_it),
      S_TEST (s_whose_descriptor_has_a_new_owner_is_suspect),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
