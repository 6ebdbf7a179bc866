/*  SPDX-License-Identifier: MPL-2.0

    The client's core: requests whose bodies come in parts.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/client_world.h"

typedef struct {
    client_world_t world;
    rp_exchange_stream_t stream; /* of r1 */
} s_fixture_t;

/*  WELCOME of a broker that knows streams, with windows up to 2,000 bytes and bodies up to 1,000.  */
static const uint8_t s_streams[] = "\x08max-body\x00\x04"
                                   "1000"
                                   "\x07streams\x00\x01"
                                   "1"
                                   "\x0dstream-window\x00\x04"
                                   "2000";

static void s_welcome (s_fixture_t *self)
{
    world_connect_only (&self->world);
    world_hear (&self->world, (rp_head_t){.command = RP_COMMAND_WELCOME,
                                .interval_ms = 2000,
                                .max_open = 10,
                                .headers = s_streams,
                                .headers_size = sizeof s_streams - 1});
    assert_int_equal (self->world.core.link.state, RP_LINK_UP);
    self->world.trace[0] = '\0';
}

/*  A client with a session with such a broker.  */
static void s_begin (s_fixture_t *self, size_t endpoints)
{
    world_begin (&self->world, endpoints);
    rp_client_core_start (&self->world.core, self->world.now);
    world_pass (&self->world, 0);
    s_welcome (self);
}

/*  Submits r1 with a stream.  */
static void s_submit (s_fixture_t *self, uint64_t window, bool writes, uint8_t attempts)
{
    client_world_t *world = &self->world;
    self->stream = (rp_exchange_stream_t){.window = window, .most = window, .writes = writes};
    world->exchanges[1] = (rp_exchange_t){
      .stream = &self->stream, .size = 100, .timeout_ms = 60000, .attempts = attempts};
    assert_int_equal (
      rp_client_core_submit (&world->core, &world->exchanges[1], world->now), RP_OK);
    world_take_orders (world);
}

/*  A part of r1 comes. True if it is for the application, which then takes it.  */
static bool s_part (s_fixture_t *self, uint64_t size)
{
    client_world_t *world = &self->world;
    if (!world_reply_with (world, 1, RP_OK, RP_FLAG_MORE))
        return false;
    assert_true (rp_flow_came (&self->stream.reader, size, world->now));
    rp_client_core_took (&world->core, &world->exchanges[1], size, world->now);
    world_take_orders (world);
    return true;
}

static bool s_grant (s_fixture_t *self, uint64_t granted)
{
    return world_hear (&self->world,
      (rp_head_t){
        .command = RP_COMMAND_GRANT, .id = self->world.exchanges[1].wire_id, .granted = granted});
}

static size_t s_write (s_fixture_t *self, size_t size)
{
    rp_head_t head;
    client_world_t *world = &self->world;
    size_t piece =
      rp_client_core_write (&world->core, &world->exchanges[1], size, &head, world->now);
    if (piece > 0) {
        assert_int_equal (head.command, RP_COMMAND_PART);
        assert_int_equal (head.flags, RP_FLAG_MORE);
        assert_int_equal (head.id, world->exchanges[1].wire_id);
    }
    return piece;
}

static bool s_write_end (s_fixture_t *self)
{
    rp_head_t head;
    client_world_t *world = &self->world;
    bool written = rp_client_core_write_end (&world->core, &world->exchanges[1], &head, world->now);
    if (written)
        assert_int_equal (head.flags, 0);
    return written;
}

static void parts_come_until_the_reply_and_are_granted_by_halves (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, false, 1);
    world_expect (&self.world, "r1~>");
    assert_true (s_part (&self, 300));
    world_expect (&self.world, "");
    assert_true (s_part (&self, 300)); // 728 were taken
    world_expect (&self.world, "GRANT(r1,1728)");
    assert_true (world_reply_with (&self.world, 1, RP_OK, 0));
    world_expect (&self.world, "r1=OK");
    world_end (&self.world);
}

static void the_window_is_at_most_what_the_broker_allows (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 262144, false, 1);
    assert_int_equal (self.stream.reader.window, 2000);
    assert_int_equal (self.stream.reader.granted, 2000);
    world_end (&self.world);
}

static void a_broker_that_knows_no_streams_is_not_asked (void **state)
{
    (void) state;
    s_fixture_t self;
    world_begin_connected (&self.world, 1);
    s_submit (&self, 1000, false, 1);
    world_expect (&self.world, "r1=INVALID");
    assert_int_equal (self.world.exchanges[1].end, RP_END_NO_STREAMS);
    world_end (&self.world);
}

static void parts_of_a_request_without_a_stream_are_ignored (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    world_submit (&self.world, 1);
    assert_false (world_reply_with (&self.world, 1, RP_OK, RP_FLAG_MORE));
    assert_false (s_grant (&self, 1000));
    assert_int_equal (self.world.core.ignored, 2);
    world_expect (&self.world, "r1>");
    world_end (&self.world);
}

static void parts_after_the_end_are_late (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, true, 1);
    world_reply (&self.world, 1, RP_OK);
    assert_false (world_reply_with (&self.world, 1, RP_OK, RP_FLAG_MORE));
    assert_false (s_grant (&self, 1000));
    assert_int_equal (self.world.core.late, 2);
    world_end (&self.world);
}

static void a_part_that_is_taken_after_the_end_grants_nothing (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, false, 1);
    world_reply_with (&self.world, 1, RP_OK, RP_FLAG_MORE);
    world_reply (&self.world, 1, RP_OK);
    rp_client_core_took (&self.world.core, &self.world.exchanges[1], 900, self.world.now);
    world_expect (&self.world, "r1~> r1=OK");
    world_end (&self.world);
}

static void after_a_part_a_request_is_not_sent_again (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, false, 3);
    assert_true (s_part (&self, 10));
    world_fail (&self.world);
    assert_int_equal (self.world.exchanges[1].status, RP_UNKNOWN);
    assert_int_equal (self.world.exchanges[1].end, RP_END_LOST);
    world_end (&self.world);
}

static void before_a_part_it_is_sent_again_and_begins_anew (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, true, 3);
    assert_true (s_grant (&self, 500));
    world_fail (&self.world);
    world_pass (&self.world, 100 * MS);
    s_welcome (&self);
    world_expect (&self.world, "");
    assert_int_equal (self.world.exchanges[1].state, RP_EXCHANGE_RUNNING);
    assert_int_equal (self.stream.writer.granted, 0);
    assert_int_equal (self.stream.reader.granted, 1000);
    world_end (&self.world);
}

static void a_body_is_written_as_the_worker_grants_it (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, true, 1);
    world_expect (&self.world, "r1~+>");
    assert_int_equal (s_write (&self, 10), 0);
    assert_false (s_write_end (&self));
    assert_true (s_grant (&self, 300));
    assert_int_equal (s_write (&self, 1000), 86); // half of the window, and 64 for the part
    assert_int_equal (s_write (&self, 10), 10);
    assert_int_equal (s_write (&self, 86), 0);
    assert_true (s_grant (&self, 1000));
    assert_int_equal (s_write (&self, 86), 86);
    assert_true (s_write_end (&self));
    assert_int_equal (s_write (&self, 10), 0);
    assert_false (s_write_end (&self));
    world_end (&self.world);
}

static void after_a_written_part_a_request_is_not_sent_again (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, true, 3);
    s_grant (&self, 300);
    assert_int_equal (s_write (&self, 10), 10);
    world_fail (&self.world);
    assert_int_equal (self.world.exchanges[1].status, RP_UNKNOWN);
    assert_int_equal (s_write (&self, 10), 0);
    world_end (&self.world);
}

static void a_cancelled_stream_writes_no_more_and_ends_once (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 1);
    s_submit (&self, 1000, true, 1);
    s_grant (&self, 300);
    world_reply_with (&self.world, 1, RP_OK, RP_FLAG_MORE);
    rp_client_core_took (&self.world.core, &self.world.exchanges[1], 900, self.world.now);
    assert_true (world_cancel (&self.world, 1)); // with a GRANT that has still to go
    assert_int_equal (s_write (&self, 10), 0);
    world_reply (&self.world, 1, RP_CANCELLED);
    world_expect (&self.world, "r1~+> CANCEL(r1) GRANT(r1,1964) r1=CANCELLED");
    world_end (&self.world);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (parts_come_until_the_reply_and_are_granted_by_halves),
      cmocka_unit_test (the_window_is_at_most_what_the_broker_allows),
      cmocka_unit_test (a_broker_that_knows_no_streams_is_not_asked),
      cmocka_unit_test (parts_of_a_request_without_a_stream_are_ignored),
      cmocka_unit_test (parts_after_the_end_are_late),
      cmocka_unit_test (a_part_that_is_taken_after_the_end_grants_nothing),
      cmocka_unit_test (after_a_part_a_request_is_not_sent_again),
      cmocka_unit_test (before_a_part_it_is_sent_again_and_begins_anew),
      cmocka_unit_test (a_body_is_written_as_the_worker_grants_it),
      cmocka_unit_test (after_a_written_part_a_request_is_not_sent_again),
      cmocka_unit_test (a_cancelled_stream_writes_no_more_and_ends_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
