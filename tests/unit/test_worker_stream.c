/*  SPDX-License-Identifier: MPL-2.0

    The worker's core: requests whose bodies come in parts.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/wire/headers.h"
#include "worker/worker_core.h"

#define S_NOW (INT64_C (1000) * 1000000)

static const char *const s_endpoints[] = {"tcp://127.0.0.1:1"};

/*  A core with a session, which holds one request, in the application's hands.  */
typedef struct {
    rp_worker_core_t core;
    rp_work_t work;
    rp_work_stream_t stream;
    rp_head_t hello;
    uint64_t granted; /* by the last GRANT that was ordered */
    unsigned grants;
} s_fixture_t;

static void s_take_orders (s_fixture_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));) {
        if (order->kind != RP_WORKER_SEND)
            continue;
        if (order->head.command == RP_COMMAND_HELLO)
            self->hello = order->head;
        if (order->head.command != RP_COMMAND_GRANT)
            continue;
        assert_int_equal (order->head.id, self->work.token);
        self->granted = order->head.granted;
        self->grants++;
    }
}

static uint16_t s_header (uint8_t *headers, const char *key, const char *value)
{
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, 64, key, value));
    return (uint16_t) size;
}

/*  flags: of the REQUEST; window: of the broker and of the client.  */
static void s_begin (s_fixture_t *self, uint16_t flags, const char *window)
{
    uint8_t headers[64];
    *self = (s_fixture_t){0};
    rp_worker_config_t config = {
      .endpoints = s_endpoints,
      .count = 1,
      .service = "upper",
      .name = "test",
      .slots = 2,
      .threads = 2,
      .heartbeat_ms = 1000,
      .streams = true,
    };
    assert_true (rp_worker_core_init (&self->core, &config));
    rp_worker_core_tick (&self->core, S_NOW, 7);
    rp_worker_core_connected (&self->core, 0, S_NOW);
    rp_head_t welcome = {
      .command = RP_COMMAND_WELCOME, .interval_ms = 1000, .window = 2, .headers = headers};
    welcome.headers_size = s_header (headers, RP_WELCOME_STREAM_WINDOW, window);
    rp_worker_core_message (&self->core, 0, &welcome, S_NOW, 7);
    rp_head_t request = {.command = RP_COMMAND_REQUEST,
      .id = 5,
      .deadline_ms = 5000,
      .attempt = 1,
      .attempts = 1,
      .flags = flags,
      .headers = headers};
    request.headers_size = s_header (headers, RP_STREAM_WINDOW, window);
    assert_true (rp_worker_core_request (&self->core, 0, &request, &self->work, NULL, S_NOW));
    rp_work_stream_begin (&self->stream, &request);
    self->work.stream = &self->stream;
    assert_ptr_equal (rp_worker_core_take (&self->core, S_NOW), &self->work);
    s_take_orders (self);
}

static void s_end (s_fixture_t *self)
{
    rp_worker_core_finish (&self->core, &self->work, RP_OK, S_NOW);
    rp_worker_core_clear (&self->core);
}

static size_t s_write (s_fixture_t *self, size_t size)
{
    rp_head_t head;
    size_t piece = rp_worker_core_write (&self->core, &self->work, size, &head, S_NOW);
    if (piece > 0) {
        assert_int_equal (head.command, RP_COMMAND_REPLY);
        assert_int_equal (head.flags, RP_FLAG_MORE);
        assert_int_equal (head.id, 5);
    }
    return piece;
}

static bool s_hear (s_fixture_t *self, rp_head_t head, uint64_t size)
{
    rp_work_t *work = rp_worker_core_part (&self->core, 0, &head, size, S_NOW);
    s_take_orders (self);
    assert_true (work == NULL || work == &self->work);
    return work != NULL;
}

static bool s_grant (s_fixture_t *self, uint64_t granted)
{
    return s_hear (self, (rp_head_t){.command = RP_COMMAND_GRANT, .id = 5, .granted = granted}, 0);
}

static bool s_part (s_fixture_t *self, uint64_t size, uint16_t flags)
{
    return s_hear (self, (rp_head_t){.command = RP_COMMAND_PART, .id = 5, .flags = flags}, size);
}

static void s_read (s_fixture_t *self)
{
    rp_worker_core_read (&self->core, &self->work, S_NOW);
    s_take_orders (self);
}

static void s_took (s_fixture_t *self, uint64_t size)
{
    rp_worker_core_took (&self->core, &self->work, size, S_NOW);
    s_take_orders (self);
}

static void a_worker_that_reads_parts_says_so (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 0, "1000");
    rp_header_t header;
    assert_true (
      rp_headers_find (self.core.hello, self.core.hello_size, RP_HELLO_STREAMS, &header));
    assert_ptr_equal (self.hello.headers, self.core.hello);
    s_end (&self);
}

static void a_reply_is_written_as_the_client_grants_it (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "1000");
    assert_true (self.stream.reads);
    assert_int_equal (s_write (&self, 5000), 436); // half of the window, less 64
    assert_int_equal (s_write (&self, 436), 436);
    assert_int_equal (s_write (&self, 1), 0);
    assert_false (s_grant (&self, 1000));
    assert_true (s_grant (&self, 1500));
    assert_int_equal (s_write (&self, 436), 436);
    assert_int_equal (s_write (&self, 1), 0);
    s_end (&self);
}

static void nothing_is_written_for_a_cancelled_request (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "1000");
    rp_worker_core_message (
      &self.core, 0, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = 5}, S_NOW, 7);
    assert_int_equal (s_write (&self, 1), 0);
    assert_true (self.work.cancelled);
    s_end (&self);
}

static void nothing_is_written_into_another_session (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM | RP_FLAG_MORE, "1000");
    rp_worker_core_failed (&self.core, 0, "it broke", S_NOW, 7);
    assert_int_equal (s_write (&self, 1), 0);
    s_read (&self);
    assert_int_equal (self.grants, 0);
    assert_false (s_grant (&self, 2000));
    s_end (&self);
}

static void a_grant_for_a_plain_request_is_ignored (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 0, "1000");
    assert_false (s_grant (&self, 2000));
    assert_false (s_part (&self, 1, 0));
    self.work.stream = NULL;
    assert_false (s_grant (&self, 2000));
    assert_int_equal (self.core.ignored, 3);
    s_end (&self);
}

static void a_request_is_read_to_its_end_and_granted_by_halves (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_MORE, "1000");
    assert_true (self.stream.more);
    assert_false (s_part (&self, 1, RP_FLAG_MORE)); // before it asked
    s_read (&self);
    s_read (&self);
    assert_int_equal (self.grants, 1);
    assert_int_equal (self.granted, 1000);
    assert_true (s_part (&self, 300, RP_FLAG_MORE));
    s_took (&self, 300);
    assert_int_equal (self.grants, 1);
    assert_true (s_part (&self, 300, RP_FLAG_MORE));
    s_took (&self, 300);
    assert_int_equal (self.granted, 1728);
    assert_false (s_part (&self, 1000, RP_FLAG_MORE)); // more than was granted
    s_end (&self);
}

static void the_last_part_needs_no_grant_and_nothing_follows_it (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_MORE, "1000");
    s_read (&self);
    assert_true (s_part (&self, 900, RP_FLAG_MORE));
    assert_true (s_part (&self, 900, 0));
    assert_true (self.stream.ended);
    assert_false (s_part (&self, 1, 0));
    s_took (&self, 900);
    s_took (&self, 900);
    assert_int_equal (self.grants, 1); // nobody writes any more
    s_end (&self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_worker_that_reads_parts_says_so),
      cmocka_unit_test (a_reply_is_written_as_the_client_grants_it),
      cmocka_unit_test (nothing_is_written_for_a_cancelled_request),
      cmocka_unit_test (nothing_is_written_into_another_session),
      cmocka_unit_test (a_grant_for_a_plain_request_is_ignored),
      cmocka_unit_test (a_request_is_read_to_its_end_and_granted_by_halves),
      cmocka_unit_test (the_last_part_needs_no_grant_and_nothing_follows_it),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
