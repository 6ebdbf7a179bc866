/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/client_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *s_endpoints[] = {"a", "b"};

static void s_add (client_world_t *world, const char *format, ...)
{
    size_t used = strlen (world->trace);
    va_list arguments;
    va_start (arguments, format);
    if (used)
        world->trace[used++] = ' ';
    vsnprintf (world->trace + used, sizeof world->trace - used, format, arguments);
    va_end (arguments);
}

static int s_number (const client_world_t *world, const rp_exchange_t *exchange)
{
    return (int) (exchange - world->exchanges);
}

static void s_add_head (client_world_t *world, const rp_head_t *head)
{
    if (head->command == RP_COMMAND_HEARTBEAT && head->interval_ms) {
        s_add (world, "HEARTBEAT(%u)", (unsigned) head->interval_ms);
        return;
    }
    bool grants = head->command == RP_COMMAND_GRANT;
    if (!grants && head->command != RP_COMMAND_CANCEL) {
        s_add (world, "%s", rp_command_name (head->command));
        return;
    }
    for (int number = 0; number < CLIENT_WORLD_REQUESTS; number++)
        if (world->exchanges[number].wire_id == head->id && grants)
            s_add (world, "GRANT(r%d,%" PRIu64 ")", number, head->granted);
        else if (world->exchanges[number].wire_id == head->id)
            s_add (world, "CANCEL(r%d)", number);
}

void world_take_orders (client_world_t *world)
{
    rp_client_order_t order;
    while (rp_client_core_next_order (&world->core, &order, world->now))
        switch (order.kind) {
            case RP_CLIENT_OPEN:
                s_add (world, "open(%s)", order.endpoint);
                break;
            case RP_CLIENT_CLOSE:
                s_add (world, order.orderly ? "close(orderly)" : "close");
                break;
            case RP_CLIENT_SAY:
                s_add_head (world, &order.head);
                break;
            case RP_CLIENT_SEND:
                assert_int_equal (order.head.id, order.exchange->wire_id);
                if (order.head.conversation)
                    s_add (world, "r%d%sk%u>", s_number (world, order.exchange),
                      order.head.flags & RP_FLAG_OPEN ? "+" : ".",
                      (unsigned) order.head.conversation);
                else if (order.head.flags & RP_FLAG_STREAM)
                    s_add (world, order.head.flags & RP_FLAG_MORE ? "r%d~+>" : "r%d~>",
                      s_number (world, order.exchange));
                else if (order.head.flags & RP_FLAG_DURABLE)
                    s_add (world, "r%d*%u>", s_number (world, order.exchange),
                      (unsigned) order.head.attempts);
                else
                    s_add (world, order.head.flags & RP_FLAG_KEYED ? "r%d^>" : "r%d>",
                      s_number (world, order.exchange));
                break;
            case RP_CLIENT_ENDED:
                s_add (world, "r%d=%s", s_number (world, order.exchange),
                  rp_status_name ((int) order.exchange->status));
                break;
        }
}

/*  Lets time pass, and ticks whenever the core asked for it.  */
void world_pass (client_world_t *world, int64_t us)
{
    int64_t end = world->now + us;
    for (;;) {
        rp_client_core_tick (&world->core, world->now);
        world_take_orders (world);
        int64_t next = rp_client_core_tick (&world->core, world->now);
        if (next > end)
            break;
        assert_true (next > world->now);
        world->now = next;
    }
    world->now = end;
}

void world_expect (client_world_t *world, const char *trace)
{
    world_pass (world, 0);
    assert_string_equal (world->trace, trace);
    world->trace[0] = '\0';
}

void world_begin (client_world_t *world, size_t endpoints)
{
    memset (world, 0, sizeof *world);
    world->now = 100 * SECOND;
    rp_client_config_t config = {
      .endpoints = s_endpoints,
      .endpoint_count = endpoints,
      .heartbeat_ms = 2000,
      .max_open = 20,
      .retry_percent = 20,
    };
    rp_client_core_init (&world->core, &config, 1);
}

void world_end (client_world_t *world)
{
    rp_client_core_close (&world->core, world->now);
    world_take_orders (world);
    assert_int_equal (world->core.open_count, 0);
    assert_int_equal (world->core.timers.count, 0);
    rp_client_core_clear (&world->core);
}

void world_submit_with (
  client_world_t *world, int number, uint8_t attempts, rp_client_conversation_t *conversation)
{
    world->exchanges[number] = (rp_exchange_t){
      .size = 100, .timeout_ms = 5000, .attempts = attempts, .conversation = conversation};
    assert_int_equal (
      rp_client_core_submit (&world->core, &world->exchanges[number], world->now), RP_OK);
    world_take_orders (world);
}

void world_submit (client_world_t *world, int number)
{
    world_submit_with (world, number, 1, NULL);
}

bool world_hear (client_world_t *world, rp_head_t head)
{
    bool kept = rp_client_core_message (&world->core, &head, world->now) != NULL;
    world_take_orders (world);
    return kept;
}

bool world_reply_with (client_world_t *world, int number, rp_status_t status, uint16_t flags)
{
    return world_hear (world, (rp_head_t){
                                .command = RP_COMMAND_REPLY,
                                .id = world->exchanges[number].wire_id,
                                .status = (uint8_t) status,
                                .flags = flags,
                              });
}

void world_reply (client_world_t *world, int number, rp_status_t status)
{
    world_reply_with (world, number, status, 0);
}

void world_say (client_world_t *world, rp_command_t command)
{
    world_hear (world, (rp_head_t){.command = (uint8_t) command});
}

void world_bye (client_world_t *world, rp_status_t status, const char *text)
{
    world_hear (world, (rp_head_t){
                         .command = RP_COMMAND_BYE,
                         .status = (uint8_t) status,
                         .text = text,
                         .text_size = (uint16_t) strlen (text),
                       });
}

void world_fail (client_world_t *world)
{
    rp_client_core_failed (&world->core, "connection refused", world->now);
    world_take_orders (world);
}

bool world_cancel (client_world_t *world, int number)
{
    bool found = rp_client_core_cancel (&world->core, world->exchanges[number].id, world->now);
    world_take_orders (world);
    return found;
}

void world_connect_only (client_world_t *world)
{
    rp_client_core_connected (&world->core, world->now);
    world_take_orders (world);
}

void world_welcome (client_world_t *world, uint32_t open)
{
    static const uint8_t headers[] = "\x08max-body\x00\x04"
                                     "1000";
    world_hear (world, (rp_head_t){
                         .command = RP_COMMAND_WELCOME,
                         .interval_ms = 2000,
                         .max_open = open,
                         .headers = headers,
                         .headers_size = sizeof headers - 1,
                       });
}

/*  Brings the client from rest to a session, and ignores the trace meanwhile.  */
void world_connect (client_world_t *world)
{
    rp_client_core_start (&world->core, world->now);
    for (int tries = 0; tries < 100 && world->core.link.state != RP_LINK_CONNECTING; tries++)
        world_pass (world, 50 * MS);
    world_connect_only (world);
    world_welcome (world, 10);
    assert_int_equal (world->core.link.state, RP_LINK_UP);
}

void world_begin_connected (client_world_t *world, size_t endpoints)
{
    world_begin (world, endpoints);
    world_connect (world);
    world->trace[0] = '\0';
}
