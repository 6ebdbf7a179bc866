/*  SPDX-License-Identifier: MPL-2.0

    The worker library against a scripted broker: requests whose bodies come in parts.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include <riposte/worker.h>

#include "common/wire/headers.h"
#include "tests/support/fake_broker.h"

#define S_PATIENCE_MS 10000u

typedef struct {
    fake_broker_t *broker;
    rp_worker_t *worker;
    rp_task_t *task;
} s_fixture_t;

/*  Registers a worker, which gets request 7 with these flags. window: of the client; NULL: none.  */
static void s_begin (s_fixture_t *self, uint16_t flags, const char *window)
{
    uint8_t headers[64];
    size_t size = 0;
    self->broker = fake_broker_new ();
    self->worker = rp_worker_new (self->broker->endpoint, "upper");
    assert_non_null (self->worker);
    assert_int_equal (rp_worker_set_streams (self->worker, true), RP_OK);
    assert_int_equal (rp_worker_receive (self->worker, 0, &self->task), RP_TIMED_OUT);
    fake_broker_welcome (self->broker, 1);
    if (window)
        assert_true (rp_headers_append (headers, &size, sizeof headers, RP_STREAM_WINDOW, window));
    fake_broker_send (self->broker,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .flags = flags,
        .id = 7,
        .deadline_ms = 60000,
        .attempt = 1,
        .attempts = 1,
        .name = "upper",
        .name_size = 5,
        .headers = headers,
        .headers_size = (uint16_t) size},
      "first", 5);
    assert_int_equal (rp_worker_receive (self->worker, S_PATIENCE_MS, &self->task), RP_OK);
}

static void s_end (s_fixture_t *self)
{
    if (self->task)
        rp_task_reply (&self->task, NULL, 0);
    rp_worker_destroy (&self->worker);
    fake_broker_destroy (&self->broker);
}

static void s_expect_part (s_fixture_t *self, const char *body)
{
    const rp_head_t *head = fake_broker_expect_reply (self->broker, 7, RP_OK);
    assert_int_equal (head->flags, RP_FLAG_MORE | RP_FLAG_INLINE);
    assert_int_equal (self->broker->body_size, strlen (body));
    assert_memory_equal (self->broker->body, body, strlen (body));
}

static void s_grant (s_fixture_t *self, uint64_t granted)
{
    fake_broker_send (self->broker,
      &(rp_head_t){.command = RP_COMMAND_GRANT, .id = 7, .granted = granted}, NULL, 0);
}

static void s_part (s_fixture_t *self, uint16_t flags, const char *body)
{
    fake_broker_send (self->broker,
      &(rp_head_t){.command = RP_COMMAND_PART, .id = 7, .flags = flags}, *body ? body : NULL,
      strlen (body));
}

static int s_write (s_fixture_t *self, const char *body, uint32_t timeout_ms)
{
    return rp_task_write (self->task, body, strlen (body), timeout_ms, NULL);
}

static void s_expect_read (s_fixture_t *self, const char *body)
{
    const void *data;
    size_t size;
    assert_int_equal (rp_task_read (self->task, S_PATIENCE_MS, &data, &size), RP_OK);
    assert_int_equal (size, strlen (body));
    assert_memory_equal (data, body, size);
}

static int s_read (s_fixture_t *self, uint32_t timeout_ms)
{
    const void *data = self;
    size_t size = 1;
    int rc = rp_task_read (self->task, timeout_ms, &data, &size);
    assert_true (rc == RP_OK || (!data && size == 0));
    return rc;
}

static void parts_go_out_at_once_and_the_reply_ends_them (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "1000");
    assert_true (rp_task_streams (self.task));
    assert_false (rp_task_more (self.task));
    assert_int_equal (s_write (&self, "one", 0), RP_OK);
    s_expect_part (&self, "one");
    assert_int_equal (s_write (&self, "two", 0), RP_OK);
    s_expect_part (&self, "two");
    assert_int_equal (rp_task_reply (&self.task, "three", 5), RP_OK);
    const rp_head_t *head = fake_broker_expect_reply (self.broker, 7, RP_OK);
    assert_int_equal (head->flags, RP_FLAG_INLINE);
    assert_memory_equal (self.broker->body, "three", 5);
    s_end (&self);
}

static void a_client_that_reads_no_parts_gets_them_joined (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 0, NULL);
    assert_false (rp_task_streams (self.task));
    assert_int_equal (s_write (&self, "one ", 0), RP_OK);
    assert_int_equal (s_write (&self, "two ", 0), RP_OK);
    assert_int_equal (rp_task_reply (&self.task, "three", 5), RP_OK);
    fake_broker_expect_reply (self.broker, 7, RP_OK);
    assert_int_equal (self.broker->body_size, 13);
    assert_memory_equal (self.broker->body, "one two three", 13);
    s_end (&self);
}

static void what_was_kept_is_dropped_with_an_error (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, 0, NULL);
    assert_int_equal (s_write (&self, "one ", 0), RP_OK);
    assert_int_equal (rp_task_fail (&self.task, 3, "no", "details", 7), RP_OK);
    fake_broker_expect_reply (self.broker, 7, RP_APP_ERROR);
    assert_int_equal (self.broker->body_size, 7);
    s_end (&self);
}

static void joined_parts_are_no_larger_than_a_body (void **state)
{
    (void) state;
    s_fixture_t self;
    static char body[600000];
    s_begin (&self, 0, NULL);
    assert_int_equal (rp_task_write (self.task, body, sizeof body, 0, NULL), RP_OK);
    assert_int_equal (rp_task_room (self.task), 400000);
    assert_int_equal (rp_task_write (self.task, body, sizeof body, 0, NULL), RP_TOO_LARGE);
    s_end (&self);
}

static void where_a_new_session_allows_less_than_was_kept_there_is_no_room (void **state)
{
    (void) state;
    s_fixture_t self;
    static char body[600000];
    s_begin (&self, 0, NULL);
    assert_true (rp_worker_fd (self.worker) >= 0); // it receives in the background
    assert_int_equal (rp_task_write (self.task, body, sizeof body, 0, NULL), RP_OK);
    fake_broker_bye (self.broker, RP_DRAINING);
    fake_broker_welcome_with (self.broker, 1, 2000, "1000");
    for (unsigned waited = 0; waited < S_PATIENCE_MS && rp_task_room (self.task) == 400000;
         waited++)
        poll (NULL, 0, 1);
    assert_int_equal (rp_task_room (self.task), 0);
    s_end (&self);
}

static void a_write_waits_for_the_grant (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "140");
    assert_int_equal (rp_task_room (self.task), 76);
    assert_int_equal (s_write (&self, "one", 0), RP_OK);
    assert_int_equal (s_write (&self, "two", 0), RP_OK);
    assert_int_equal (rp_task_room (self.task), 0);
    assert_int_equal (s_write (&self, "three", 0), RP_TIMED_OUT);
    assert_int_equal (s_write (&self, "three", 20), RP_TIMED_OUT);
    s_grant (&self, 240);
    assert_int_equal (s_write (&self, "three", S_PATIENCE_MS), RP_OK);
    s_expect_part (&self, "one");
    s_expect_part (&self, "two");
    s_expect_part (&self, "three");
    s_end (&self);
}

static void a_long_write_goes_in_pieces (void **state)
{
    (void) state;
    s_fixture_t self;
    static char body[50000];
    size_t written;
    s_begin (&self, RP_FLAG_STREAM, "40000");
    int rc = rp_task_write (self.task, body, sizeof body, 20, &written);
    assert_int_equal (rc, RP_TIMED_OUT);
    assert_int_equal (written, 2 * 19936);
    for (int part = 0; part < 2; part++) {
        const rp_head_t *head = fake_broker_expect_reply (self.broker, 7, RP_OK);
        assert_int_equal (head->flags, RP_FLAG_MORE);
        assert_int_equal (self.broker->body_size, 19936);
    }
    s_end (&self);
}

/*  A write in a thread of its own.  */
typedef struct {
    s_fixture_t *fixture;
    int rc;
} s_writer_t;

static void *s_write_there (void *arg)
{
    s_writer_t *self = arg;
    self->rc = s_write (self->fixture, "one", S_PATIENCE_MS);
    return NULL;
}

static void cancel_ends_a_write_that_waits (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "66");
    assert_int_equal (s_write (&self, "1", 0), RP_OK);
    s_writer_t writer = {.fixture = &self};
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_write_there, &writer), 0);
    fake_broker_cancel (self.broker, 7);
    pthread_join (thread, NULL);
    assert_int_equal (writer.rc, RP_CANCELLED);
    assert_int_equal (s_write (&self, "one", S_PATIENCE_MS), RP_CANCELLED);
    assert_int_equal (s_read (&self, S_PATIENCE_MS), RP_CLOSED); // there never was more
    s_end (&self);
}

static void the_end_of_the_session_ends_a_write_that_waits (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_STREAM, "66");
    s_writer_t writer = {.fixture = &self};
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_write_there, &writer), 0);
    fake_broker_bye (self.broker, RP_OK);
    pthread_join (thread, NULL);
    assert_int_equal (writer.rc, RP_CANCELLED);
    s_end (&self);
}

static void a_request_is_read_part_by_part (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_MORE, NULL);
    assert_true (rp_task_more (self.task));
    assert_int_equal (s_read (&self, 0), RP_TIMED_OUT);
    assert_int_equal (fake_broker_expect (self.broker, RP_COMMAND_GRANT)->granted, 262144);
    s_part (&self, RP_FLAG_MORE, "one");
    s_part (&self, RP_FLAG_MORE, "two");
    s_part (&self, 0, "three");
    s_expect_read (&self, "one");
    s_expect_read (&self, "two");
    s_expect_read (&self, "three");
    assert_int_equal (s_read (&self, S_PATIENCE_MS), RP_CLOSED);
    s_end (&self);
}

static void a_body_may_end_without_another_part (void **state)
{
    (void) state;
    s_fixture_t self;
    s_begin (&self, RP_FLAG_MORE, NULL);
    assert_int_equal (s_read (&self, 0), RP_TIMED_OUT);
    fake_broker_expect (self.broker, RP_COMMAND_GRANT);
    s_part (&self, 0, "");
    assert_int_equal (s_read (&self, S_PATIENCE_MS), RP_CLOSED);
    s_end (&self);
}

static void the_descriptor_tells_of_parts_and_grants (void **state)
{
    (void) state;
    s_fixture_t self;
    rp_task_t *none;
    s_begin (&self, RP_FLAG_MORE | RP_FLAG_STREAM, "140");
    struct pollfd entry = {.fd = rp_worker_fd (self.worker), .events = POLLIN};
    assert_int_equal (rp_worker_receive (self.worker, 0, &none), RP_TIMED_OUT);
    assert_int_equal (s_read (&self, 0), RP_TIMED_OUT);
    fake_broker_expect (self.broker, RP_COMMAND_GRANT);
    assert_int_equal (poll (&entry, 1, 0), 0);
    s_part (&self, RP_FLAG_MORE, "one");
    assert_int_equal (poll (&entry, 1, S_PATIENCE_MS), 1);
    s_expect_read (&self, "one");
    assert_int_equal (rp_worker_receive (self.worker, 0, &none), RP_TIMED_OUT);
    assert_int_equal (poll (&entry, 1, 0), 0);
    s_grant (&self, 200);
    assert_int_equal (poll (&entry, 1, S_PATIENCE_MS), 1);
    s_end (&self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (parts_go_out_at_once_and_the_reply_ends_them),
      cmocka_unit_test (a_client_that_reads_no_parts_gets_them_joined),
      cmocka_unit_test (what_was_kept_is_dropped_with_an_error),
      cmocka_unit_test (joined_parts_are_no_larger_than_a_body),
      cmocka_unit_test (where_a_new_session_allows_less_than_was_kept_there_is_no_room),
      cmocka_unit_test (a_write_waits_for_the_grant),
      cmocka_unit_test (a_long_write_goes_in_pieces),
      cmocka_unit_test (cancel_ends_a_write_that_waits),
      cmocka_unit_test (the_end_of_the_session_ends_a_write_that_waits),
      cmocka_unit_test (a_request_is_read_part_by_part),
      cmocka_unit_test (a_body_may_end_without_another_part),
      cmocka_unit_test (the_descriptor_tells_of_parts_and_grants),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
