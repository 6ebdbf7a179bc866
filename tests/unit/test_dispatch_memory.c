/*  What a request costs while it waits, and where its payload is then.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/state.h"

/*  A request with a body of 40 bytes may take 200 bytes beside the body. The block of the body has
    64 bytes, of which 24 are malloc's and the compact body's; the index takes 22, the heap 16.  */
static void s_a_request_leaves_room_for_what_else_it_costs (void **state)
{
    (void) state;
    assert_in_range (sizeof (rp_request_t), 1, 200 - 24 - 22 - 16);
}

typedef struct {
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_session_id_t admitted;
    rp_token_t token;
    const rp_payload_t *sent;
} s_world_t;

static void s_event (
  s_world_t *world, rp_session_id_t peer, const rp_head_t *head, rp_payload_t *payload)
{
    rp_actions_reset (&world->actions);
    rp_dispatch_handle (world->core,
      &(rp_event_t){.kind = RP_EVENT_MESSAGE, .session = peer, .head = head, .payload = payload},
      1000, &world->actions);
    for (size_t index = 0; index < world->actions.count; index++) {
        const rp_action_t *action = &world->actions.list[index];
        if (action->kind == RP_ACTION_ADMIT)
            world->admitted = action->session;
        if (action->kind == RP_ACTION_SEND && action->token.v) {
            world->token = action->token;
            world->sent = action->payload;
        }
    }
}

static rp_session_id_t s_hello (s_world_t *world, bool worker)
{
    rp_head_t head = {.command = RP_COMMAND_HELLO, .interval_ms = 60000};
    if (worker)
        head = (rp_head_t){.command = RP_COMMAND_HELLO,
          .flags = RP_FLAG_WORKER,
          .interval_ms = 60000,
          .window = 1,
          .name = "upper",
          .name_size = 5};
    s_event (world, (rp_session_id_t){0}, &head, NULL);
    assert_null (rp_dispatch_kept (world->core));
    return world->admitted;
}

static void s_request (s_world_t *world, rp_session_id_t client, uint64_t id, rp_payload_t *payload)
{
    s_event (world, client,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = id,
        .deadline_ms = 5000,
        .attempts = 1,
        .name = "upper",
        .name_size = 5},
      payload);
}

static void s_what_is_put_in_the_place_of_a_payload_that_waits_goes_to_the_worker (void **state)
{
    (void) state;
    char one, two, small;
    rp_payload_t *first = (rp_payload_t *) (void *) &one;
    rp_payload_t *second = (rp_payload_t *) (void *) &two;
    rp_payload_t *instead = (rp_payload_t *) (void *) &small;
    s_world_t world = {.core = rp_dispatch_new (&(rp_dispatch_options_t){
                         .limits = RP_LIMITS_DEFAULT, .seed = 1, .version = "0", .now = 1000})};
    rp_actions_init (&world.actions);
    rp_session_id_t worker = s_hello (&world, true);
    rp_session_id_t client = s_hello (&world, false);

    s_request (&world, client, 1, first);
    assert_ptr_equal (world.sent, first);
    assert_null (rp_dispatch_kept (world.core)); // the payload is on its way to the worker

    s_request (&world, client, 2, second);
    rp_payload_t **kept = rp_dispatch_kept (world.core);
    assert_non_null (kept);
    assert_ptr_equal (*kept, second);
    *kept = instead;

    s_request (&world, client, 2, first); // refused: the id is open
    assert_null (rp_dispatch_kept (world.core));

    s_event (&world, worker,
      &(rp_head_t){.command = RP_COMMAND_REPLY, .id = world.token.v, .status = RP_OK}, NULL);
    assert_null (rp_dispatch_kept (world.core));
    assert_ptr_equal (world.sent, instead);
    rp_dispatch_destroy (&world.core, &world.actions);
    rp_actions_clear (&world.actions);
}

/*  The shell may keep a payload without what the core knows, such as the service's name.  */
static void s_a_delivery_says_the_name_of_the_service (void **state)
{
    (void) state;
    char one;
    s_world_t world = {.core = rp_dispatch_new (&(rp_dispatch_options_t){
                         .limits = RP_LIMITS_DEFAULT, .seed = 1, .version = "0", .now = 1000})};
    rp_actions_init (&world.actions);
    s_hello (&world, true);
    rp_session_id_t client = s_hello (&world, false);
    s_request (&world, client, 1, (rp_payload_t *) (void *) &one);
    assert_int_equal (world.actions.count, 1);
    const rp_head_t *head = &world.actions.list[0].head;
    assert_int_equal (head->name_size, 5);
    assert_memory_equal (head->name, "upper", 5);
    assert_int_equal (head->attempts, 1);
    rp_dispatch_destroy (&world.core, &world.actions);
    rp_actions_clear (&world.actions);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_a_request_leaves_room_for_what_else_it_costs),
      cmocka_unit_test (s_what_is_put_in_the_place_of_a_payload_that_waits_goes_to_the_worker),
      cmocka_unit_test (s_a_delivery_says_the_name_of_the_service),
    };
    return cmocka_run_group_tests_name ("dispatch_memory", tests, NULL, NULL);
}
