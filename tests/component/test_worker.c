/*  The worker library against a scripted broker.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <riposte/worker.h>

#include "common/wire/headers.h"
#include "tests/support/fake_broker.h"
#include "worker/worker_state.h"

#define S_PATIENCE_MS 10000u

static rp_worker_t *s_new_worker (const fake_broker_t *broker, uint32_t slots)
{
    rp_worker_t *worker = rp_worker_new (broker->endpoint, "upper");
    assert_non_null (worker);
    assert_int_equal (rp_worker_set_slots (worker, slots), RP_OK);
    return worker;
}

/*  Registers the worker: the first receive connects, and the library's background thread keeps the
    session.  */
static rp_worker_t *s_register (fake_broker_t *broker, uint32_t slots)
{
    rp_worker_t *worker = s_new_worker (broker, slots);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome (broker, slots);
    return worker;
}

static rp_task_t *s_receive (rp_worker_t *worker)
{
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, S_PATIENCE_MS, &task), RP_OK);
    assert_non_null (task);
    return task;
}

static void s_expect_body (const rp_task_t *task, const char *body, size_t size)
{
    assert_int_equal (rp_task_size (task), size);
    assert_memory_equal (rp_task_body (task), body, size);
}

static void s_end (fake_broker_t **broker_p, rp_worker_t **worker_p)
{
    rp_worker_destroy (worker_p);
    fake_broker_destroy (broker_p);
}

/*  ---- Tasks ---------------------------------------------------------------------------------- */

static void s_collect_header (const char *key, const char *value, void *arg)
{
    char *all = arg;
    strcat (all, key);
    strcat (all, "=");
    strcat (all, value);
    strcat (all, ";");
}

static void a_task_shows_what_the_client_sent (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    uint8_t headers[256];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, "traceparent", "00-ab"));
    assert_true (rp_headers_append (headers, &size, sizeof headers, "empty", ""));
    assert_true (rp_headers_append (headers, &size, sizeof headers, "k", "last"));
    fake_broker_send (broker,
      &(rp_head_t){
        .command = RP_COMMAND_REQUEST,
        .id = 77,
        .deadline_ms = 5000,
        .attempt = 2,
        .attempts = 3,
        .conversation = 9,
        .name = "upper",
        .name_size = 5,
        .headers = headers,
        .headers_size = (uint16_t) size,
      },
      "hello", 5);
    rp_task_t *task = s_receive (worker);
    s_expect_body (task, "hello", 5);
    assert_string_equal (rp_task_service (task), "upper");
    assert_string_equal (rp_task_header (task, "traceparent"), "00-ab");
    assert_string_equal (rp_task_header (task, "empty"), "");
    assert_string_equal (rp_task_header (task, "k"), "last");
    assert_null (rp_task_header (task, "absent"));
    char all[256] = "";
    rp_task_each_header (task, s_collect_header, all);
    assert_string_equal (all, "traceparent=00-ab;empty=;k=last;");
    assert_int_equal (rp_task_attempt (task), 2);
    assert_true (rp_task_time_left_ms (task) > 1000 && rp_task_time_left_ms (task) <= 5000);
    assert_true (rp_task_conversation (task) != 0);
    assert_true (rp_task_id (task) != 0);
    assert_false (rp_task_cancelled (task));

    assert_int_equal (rp_task_reply (&task, "HELLO", 5), RP_OK);
    assert_null (task);
    const rp_head_t *head = fake_broker_expect_reply (broker, 77, RP_OK);
    assert_int_equal (head->flags, RP_FLAG_INLINE);
    assert_memory_equal (broker->body, "HELLO", 5);
    s_end (&broker, &worker);
}

static void bodies_of_any_shape_arrive_whole (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 4);
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .id = 1,
      .deadline_ms = 5000,
      .attempt = 1,
      .attempts = 1,
      .name = "upper",
      .name_size = 5,
    };
    fake_broker_send (broker, &head, NULL, 0);
    rp_task_t *task = s_receive (worker);
    assert_non_null (rp_task_body (task));
    assert_int_equal (rp_task_size (task), 0);
    assert_null (rp_task_header (task, "any"));
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    assert_int_equal (fake_broker_expect_reply (broker, 1, RP_OK)->flags, 0);

    head.id = 2;
    fake_broker_send_frames (
      broker, &head, (const void *[]){"one", "", "two", "three"}, (size_t[]){3, 0, 3, 5}, 4);
    task = s_receive (worker);
    s_expect_body (task, "onetwothree", 11);
    assert_int_equal (rp_task_reply (&task, "x", 1), RP_OK);
    fake_broker_expect_reply (broker, 2, RP_OK);

    static char alone[100000];
    memset (alone, 'a', sizeof alone);
    for (size_t size = 5; size <= sizeof alone; size *= 20) {
        head.id = size;
        fake_broker_send_frames (broker, &head, (const void *[]){alone}, &size, 1);
        task = s_receive (worker);
        s_expect_body (task, alone, size);
        assert_int_equal (rp_task_reply (&task, "x", 1), RP_OK);
        fake_broker_expect_reply (broker, size, RP_OK);
    }
    s_end (&broker, &worker);
}

static void an_inline_body_and_further_frames_are_joined (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .flags = RP_FLAG_INLINE,
      .id = 1,
      .deadline_ms = 5000,
      .attempt = 1,
      .attempts = 1,
      .name = "upper",
      .name_size = 5,
    };
    char first[256];
    size_t size = rp_wire_encode (&head, first, sizeof first);
    memcpy (first + size, "in", 2);
    assert_true (zmq_send (broker->socket, broker->peer.id, broker->peer.size, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (broker->socket, first, size + 2, ZMQ_SNDMORE) >= 0);
    assert_true (zmq_send (broker->socket, "line", 4, 0) >= 0);
    rp_task_t *task = s_receive (worker);
    s_expect_body (task, "inline", 6);
    assert_int_equal (rp_task_reply (&task, "x", 1), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK);
    s_end (&broker, &worker);
}

static void a_large_reply_travels_in_a_frame_of_its_own (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    static char large[RP_INLINE_MAX + 1];
    memset (large, 'x', sizeof large);
    for (size_t size = RP_INLINE_MAX; size <= RP_INLINE_MAX + 1; size++) {
        fake_broker_request (broker, size, "go");
        rp_task_t *task = s_receive (worker);
        assert_int_equal (rp_task_reply (&task, large, size), RP_OK);
        fake_broker_expect_reply (broker, size, RP_OK);
        assert_int_equal (broker->frame_count, size > RP_INLINE_MAX ? 2 : 1);
        assert_int_equal (broker->body_size, size);
        assert_memory_equal (broker->body, large, size);
    }
    s_end (&broker, &worker);
}

static uint64_t s_copied (rp_worker_t *worker)
{
    rp_pump_lock (worker->pump);
    uint64_t copied = worker->messages.copied;
    rp_pump_unlock_idle (worker->pump);
    return copied;
}

/*  The whole body is sent without a copy; a part of it is copied.  */
static void a_large_body_that_is_the_request_s_own_is_not_copied (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    static char large[100000];
    memset (large, 'x', sizeof large);
    for (size_t less = 0; less < 2; less++) {
        size_t size = sizeof large - less;
        fake_broker_send_frames (broker,
          &(rp_head_t){.command = RP_COMMAND_REQUEST,
            .id = 1 + less,
            .deadline_ms = 10000,
            .attempt = 1,
            .attempts = 1,
            .name = "upper",
            .name_size = 5},
          (const void *[]){large}, (size_t[]){sizeof large}, 1);
        rp_task_t *task = s_receive (worker);
        s_expect_body (task, large, sizeof large);
        assert_int_equal (rp_task_reply (&task, rp_task_body (task), size), RP_OK);
        fake_broker_expect_reply (broker, 1 + less, RP_OK);
        assert_int_equal (broker->body_size, size);
        assert_memory_equal (broker->body, large, size);
        assert_int_equal (s_copied (worker), less * size);
    }
    s_end (&broker, &worker);
}

static void a_reply_may_be_the_request_s_own_body (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    fake_broker_request (broker, 1, "echo");
    rp_task_t *task = s_receive (worker);
    assert_int_equal (rp_task_reply (&task, rp_task_body (task), rp_task_size (task)), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK);
    assert_memory_equal (broker->body, "echo", 4);
    s_end (&broker, &worker);
}

static void a_reply_over_the_broker_s_limit_becomes_an_error_that_says_so (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome_with (broker, 1, FAKE_BROKER_INTERVAL_MS, "5000");
    fake_broker_request (broker, 1, "go");
    task = s_receive (worker);
    char large[5001] = "";
    assert_int_equal (rp_task_reply (&task, large, sizeof large), RP_TOO_LARGE);
    assert_null (task);
    const rp_head_t *head = fake_broker_expect_reply (broker, 1, RP_APP_ERROR);
    char text[256];
    snprintf (text, sizeof text, "%.*s", (int) head->text_size, head->text);
    assert_non_null (strstr (text, "5000"));
    s_end (&broker, &worker);
}

static void a_reply_carries_headers_and_flags (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    assert_int_equal (rp_worker_set_name (worker, "bob"), RP_OK);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome (broker, 1);
    fake_broker_send (broker,
      &(rp_head_t){
        .command = RP_COMMAND_REQUEST,
        .flags = RP_FLAG_TRACE,
        .id = 1,
        .deadline_ms = 5000,
        .attempt = 1,
        .attempts = 1,
        .conversation = 4,
        .name = "upper",
        .name_size = 5,
      },
      NULL, 0);
    task = s_receive (worker);
    assert_int_equal (rp_task_add_header (task, "colour", "red"), RP_OK);
    assert_int_equal (rp_task_add_header (task, "Colour", "red"), RP_USAGE);
    rp_task_end_conversation (task);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    const rp_head_t *head = fake_broker_expect_reply (broker, 1, RP_OK);
    assert_int_equal (head->flags, RP_FLAG_LAST);
    rp_header_t header;
    assert_true (rp_headers_find (head->headers, head->headers_size, "colour", &header));
    assert_memory_equal (header.value, "red", 3);
    assert_true (rp_headers_find (head->headers, head->headers_size, "worker", &header));
    assert_memory_equal (header.value, "bob", 3);

    // The next task does not inherit these headers.
    fake_broker_request (broker, 2, "");
    task = s_receive (worker);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    head = fake_broker_expect_reply (broker, 2, RP_OK);
    assert_int_equal (head->headers_size, 0);
    assert_int_equal (head->flags, 0);
    s_end (&broker, &worker);
}

static void fail_and_abandon_say_why_in_one_line (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 2);
    fake_broker_request (broker, 1, "go");
    rp_task_t *task = s_receive (worker);
    assert_int_equal (rp_task_fail (&task, 42, "no\nluck", "why", 3), RP_OK);
    const rp_head_t *head = fake_broker_expect_reply (broker, 1, RP_APP_ERROR);
    assert_int_equal (head->code, 42);
    assert_int_equal (head->text_size, 7);
    assert_memory_equal (head->text, "no luck", 7);
    assert_memory_equal (broker->body, "why", 3);

    fake_broker_request (broker, 2, "go");
    task = s_receive (worker);
    char endless[3000];
    memset (endless, 'e', sizeof endless);
    memcpy (endless + RP_WIRE_TEXT_MAX - 1, "\xc3\xa9", 2); // é, across the limit
    endless[sizeof endless - 1] = '\0';
    assert_int_equal (rp_task_abandon (&task, endless), RP_OK);
    head = fake_broker_expect_reply (broker, 2, RP_WORKER_LOST);
    assert_int_equal (head->text_size, RP_WIRE_TEXT_MAX - 1);
    s_end (&broker, &worker);
}

static void s_request_job (
  fake_broker_t *broker, uint64_t token, const char *durable, const char *key)
{
    uint8_t headers[256];
    size_t size = 0;
    if (durable)
        assert_true (rp_headers_append (headers, &size, sizeof headers, "durable", durable));
    if (key)
        assert_true (rp_headers_append (headers, &size, sizeof headers, "idempotency-key", key));
    fake_broker_send (broker,
      &(rp_head_t){.command = RP_COMMAND_REQUEST,
        .id = token,
        .deadline_ms = 5000,
        .attempt = 1,
        .attempts = 5,
        .name = "upper",
        .name_size = 5,
        .headers = headers,
        .headers_size = (uint16_t) size},
      "hello", 5);
}

static void a_job_shows_its_key_and_may_be_retried (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    s_request_job (broker, 1, "1", "order-4711");
    rp_task_t *task = s_receive (worker);
    assert_true (rp_task_is_durable (task));
    assert_string_equal (rp_task_key (task), "order-4711");
    assert_int_equal (rp_task_retry (&task, "the mail server is away"), RP_OK);
    assert_null (task);
    const rp_head_t *head = fake_broker_expect_reply (broker, 1, RP_WORKER_LOST);
    assert_int_equal (head->lost, 0);
    assert_int_equal (head->text_size, strlen ("the mail server is away"));
    assert_memory_equal (head->text, "the mail server is away", head->text_size);

    s_request_job (broker, 2, "1", NULL);
    task = s_receive (worker);
    assert_true (rp_task_is_durable (task));
    assert_null (rp_task_key (task));
    assert_int_equal (rp_task_reply (&task, "", 0), RP_OK);

    const char *const others[] = {NULL, "0", "11"};
    for (uint64_t index = 0; index < 3; index++) {
        s_request_job (broker, 3 + index, others[index], "k");
        task = s_receive (worker);
        assert_false (rp_task_is_durable (task));
        assert_string_equal (rp_task_key (task), "k");
        assert_int_equal (rp_task_reply (&task, "", 0), RP_OK);
    }
    s_end (&broker, &worker);
}

static void a_cancelled_task_is_told_and_still_replied_to (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    struct pollfd descriptor = {.fd = rp_worker_fd (worker), .events = POLLIN};
    assert_true (descriptor.fd >= 0);
    fake_broker_request (broker, 1, "go");
    assert_int_equal (poll (&descriptor, 1, (int) S_PATIENCE_MS), 1);
    rp_task_t *task = s_receive (worker);
    rp_task_t *none;
    assert_int_equal (rp_worker_receive (worker, 0, &none), RP_TIMED_OUT);
    assert_int_equal (poll (&descriptor, 1, 0), 0);

    fake_broker_cancel (broker, 1);
    assert_int_equal (poll (&descriptor, 1, (int) S_PATIENCE_MS), 1);
    assert_int_equal (rp_worker_receive (worker, 0, &none), RP_TIMED_OUT);
    assert_true (rp_task_cancelled (task));
    assert_int_equal (rp_task_reply (&task, "late", 4), RP_CLOSED);
    assert_null (task);
    fake_broker_expect_reply (broker, 1, RP_APP_ERROR);
    assert_int_equal (broker->body_size, 0);
    s_end (&broker, &worker);
}

static void one_that_waits_is_cancelled_without_being_handed_out (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 2);
    fake_broker_request (broker, 1, "one");
    fake_broker_request (broker, 2, "two");
    fake_broker_cancel (broker, 2);
    fake_broker_expect_reply (broker, 2, RP_APP_ERROR);
    rp_task_t *task = s_receive (worker);
    s_expect_body (task, "one", 3);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK);
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    s_end (&broker, &worker);
}

static void a_request_over_the_window_goes_back_at_once (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    fake_broker_request (broker, 1, "one");
    fake_broker_request (broker, 2, "two");
    fake_broker_expect_reply (broker, 2, RP_WORKER_LOST);
    rp_task_t *task = s_receive (worker);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    s_end (&broker, &worker);
}

/*  ---- Connections ---------------------------------------------------------------------------- */

typedef struct {
    char text[4096];
} s_notices_t;

static void s_on_notice (const char *text, void *arg)
{
    s_notices_t *self = arg;
    size_t size = strlen (self->text);
    snprintf (self->text + size, sizeof self->text - size, "%s\n", text);
}

static void a_lost_connection_cancels_its_tasks_and_registers_again (void **state)
{
    (void) state;
    s_notices_t notices = {""};
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    assert_int_equal (rp_worker_on_notice (worker, s_on_notice, &notices), RP_OK);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 1, "go");
    task = s_receive (worker);
    fake_peer_t before = broker->peer;
    fake_broker_bye (broker, RP_DRAINING);
    fake_broker_welcome (broker, 1);
    assert_true (rp_task_cancelled (task));
    assert_true (
      before.size != broker->peer.size || memcmp (before.id, broker->peer.id, before.size) != 0);
    assert_int_equal (rp_task_reply (&task, "late", 4), RP_CLOSED);
    fake_broker_request (broker, 1, "again");
    task = s_receive (worker);
    s_expect_body (task, "again", 5);
    assert_int_equal (rp_task_reply (&task, "ok", 2), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK);
    rp_worker_destroy (&worker);
    assert_non_null (strstr (notices.text, "registered with tcp://"));
    assert_non_null (strstr (notices.text, "(1 slot)"));
    assert_non_null (strstr (notices.text, "lost tcp://"));
    fake_broker_destroy (&broker);
}

static void a_broker_that_refuses_ends_the_worker (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    rp_task_t *task;
    assert_int_equal (rp_worker_receive (worker, 0, &task), RP_TIMED_OUT);
    fake_broker_expect (broker, RP_COMMAND_HELLO);
    fake_broker_bye (broker, RP_DENIED);
    assert_int_equal (rp_worker_receive (worker, S_PATIENCE_MS, &task), RP_DENIED);
    char error[256];
    assert_non_null (strstr (rp_worker_last_error (worker, error, sizeof error), "not allowed"));
    s_end (&broker, &worker);
}

static void replies_go_to_the_broker_that_asked (void **state)
{
    (void) state;
    fake_broker_t *one = fake_broker_new ();
    fake_broker_t *other = fake_broker_new ();
    char endpoints[300];
    snprintf (endpoints, sizeof endpoints, "%s,%s", one->endpoint, other->endpoint);
    rp_worker_t *worker = rp_worker_new (endpoints, "upper");
    assert_non_null (worker);
    rp_task_t *first, *second;
    assert_int_equal (rp_worker_receive (worker, 0, &first), RP_TIMED_OUT);
    fake_broker_welcome (one, 1);
    fake_broker_welcome (other, 1);
    fake_broker_request (one, 5, "one");
    first = s_receive (worker);
    fake_broker_request (other, 5, "other");
    second = s_receive (worker);
    assert_true (rp_task_id (first) != rp_task_id (second));
    assert_int_equal (rp_task_reply (&second, "2", 1), RP_OK);
    assert_int_equal (rp_task_reply (&first, "1", 1), RP_OK);
    fake_broker_expect_reply (one, 5, RP_OK);
    assert_memory_equal (one->body, "1", 1);
    fake_broker_expect_reply (other, 5, RP_OK);
    assert_memory_equal (other->body, "2", 1);
    fake_broker_destroy (&other);
    s_end (&one, &worker);
}

static void rubbish_is_ignored (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    static const char *const rubbish[] = {"", "x", "RP", "RP\1\3", "RP\2\3aaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t index = 0; index < sizeof rubbish / sizeof rubbish[0]; index++) {
        assert_true (
          zmq_send (broker->socket, broker->peer.id, broker->peer.size, ZMQ_SNDMORE) >= 0);
        assert_true (zmq_send (broker->socket, rubbish[index], strlen (rubbish[index]), 0) >= 0);
    }
    fake_broker_send (
      broker, &(rp_head_t){.command = RP_COMMAND_WELCOME, .interval_ms = 1}, NULL, 0);
    fake_broker_cancel (broker, 99);
    fake_broker_end (broker, 99);
    fake_broker_request (broker, 1, "go");
    rp_task_t *task = s_receive (worker);
    assert_int_equal (rp_task_reply (&task, NULL, 0), RP_OK);
    fake_broker_expect_reply (broker, 1, RP_OK);
    s_end (&broker, &worker);
}

/*  ---- Handlers ------------------------------------------------------------------------------- */

/*  A worker that runs in a thread.  */
typedef struct {
    rp_worker_t *worker;
    rp_handler_fn *handler;
    void *arg;
    pthread_t thread;
    int status;
} s_running_t;

static void *s_run (void *arg)
{
    s_running_t *self = arg;
    self->status = rp_worker_run (self->worker, self->handler, self->arg);
    return NULL;
}

static void s_start (s_running_t *self, rp_worker_t *worker, rp_handler_fn *handler, void *arg)
{
    *self = (s_running_t){.worker = worker, .handler = handler, .arg = arg};
    assert_int_equal (pthread_create (&self->thread, NULL, s_run, self), 0);
}

static int s_join (s_running_t *self)
{
    assert_int_equal (pthread_join (self->thread, NULL), 0);
    return self->status;
}

static void s_echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

static void s_forget (rp_task_t **task_p, void *arg)
{
    (void) task_p;
    (void) arg;
}

static void a_handler_serves_until_drained (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 4);
    s_running_t running;
    s_start (&running, worker, s_echo, NULL);
    fake_broker_welcome (broker, 4);
    for (uint64_t token = 1; token <= 4; token++)
        fake_broker_request (broker, token, "hi");
    for (uint64_t token = 1; token <= 4; token++) {
        fake_broker_expect_reply (broker, token, RP_OK);
        assert_memory_equal (broker->body, "hi", 2);
    }
    rp_worker_drain (worker);
    fake_broker_expect (broker, RP_COMMAND_DRAIN);
    fake_broker_request (broker, 5, "crossed");
    fake_broker_expect_reply (broker, 5, RP_OK);
    fake_broker_bye (broker, RP_OK);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

static void a_handler_that_gives_no_reply_fails_the_request (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    s_running_t running;
    s_start (&running, worker, s_forget, NULL);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 1, "hi");
    const rp_head_t *head = fake_broker_expect_reply (broker, 1, RP_APP_ERROR);
    assert_memory_equal (head->text, "the handler gave no reply", head->text_size);
    rp_worker_stop (worker);
    fake_broker_expect (broker, RP_COMMAND_CREDIT);
    fake_broker_expect (broker, RP_COMMAND_BYE);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

typedef struct {
    sem_t begun;
    sem_t go_on;
    sem_t returned;
} s_listener_t;

static void s_open_listener (s_listener_t *self)
{
    assert_int_equal (sem_init (&self->begun, 0, 0), 0);
    assert_int_equal (sem_init (&self->go_on, 0, 0), 0);
    assert_int_equal (sem_init (&self->returned, 0, 0), 0);
}

static void s_wait (sem_t *semaphore)
{
    while (sem_wait (semaphore) != 0)
        assert_int_equal (errno, EINTR);
}

static void s_long (rp_task_t **task_p, void *arg)
{
    s_listener_t *listener = arg;
    sem_post (&listener->begun);
    s_wait (&listener->go_on);
    rp_task_reply (task_p, "done", 4);
    sem_post (&listener->returned);
}

static void heartbeats_go_on_while_a_handler_runs (void **state)
{
    (void) state;
    s_listener_t listener;
    s_open_listener (&listener);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    s_running_t running;
    s_start (&running, worker, s_long, &listener);
    fake_broker_welcome_with (broker, 1, 500, "5000");
    fake_broker_request (broker, 1, "go");
    s_wait (&listener.begun);
    for (int beat = 0; beat < 3; beat++) {
        fake_broker_expect (broker, RP_COMMAND_HEARTBEAT);
        fake_broker_send (broker, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT}, NULL, 0);
    }
    sem_post (&listener.go_on);
    fake_broker_expect_reply (broker, 1, RP_OK);
    rp_worker_stop (worker);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

static void stop_waits_for_the_handler_and_gives_back_the_rest (void **state)
{
    (void) state;
    s_listener_t listener;
    s_open_listener (&listener);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 2);
    s_running_t running;
    s_start (&running, worker, s_long, &listener);
    fake_broker_welcome (broker, 2);
    fake_broker_request (broker, 1, "runs");
    s_wait (&listener.begun);
    fake_broker_request (broker, 2, "waits");
    rp_worker_stop (worker);
    fake_broker_expect (broker, RP_COMMAND_CREDIT);
    fake_broker_expect_reply (broker, 2, RP_WORKER_LOST);
    sem_post (&listener.go_on);
    fake_broker_expect_reply (broker, 1, RP_OK);
    fake_broker_expect (broker, RP_COMMAND_BYE);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

static void s_remember_notice (const char *text, void *arg)
{
    snprintf (arg, RP_WORKER_NOTICE_MAX, "%s", text);
}

/*  Ends a worker whose handler does not return by itself; end is rp_worker_drain or
    rp_worker_stop.  */
static void s_leave_a_handler_behind (void (*end) (rp_worker_t *worker))
{
    s_listener_t listener;
    char notice[RP_WORKER_NOTICE_MAX] = "";
    char error[RP_WORKER_NOTICE_MAX];
    s_open_listener (&listener);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 2);
    assert_int_equal (rp_worker_set_threads (worker, 2), RP_OK);
    assert_int_equal (rp_worker_set_drain_ms (worker, 50), RP_OK);
    assert_int_equal (rp_worker_on_notice (worker, s_remember_notice, notice), RP_OK);
    s_running_t running;
    s_start (&running, worker, s_long, &listener);
    fake_broker_welcome (broker, 2);
    fake_broker_request (broker, 1, "hangs");
    s_wait (&listener.begun);
    end (worker);
    for (fake_broker_expect (broker, end == rp_worker_stop ? RP_COMMAND_CREDIT : RP_COMMAND_DRAIN);
         broker->head.command != RP_COMMAND_BYE;)
        fake_broker_expect (broker, RP_COMMAND_BYE);
    assert_int_equal (s_join (&running), RP_TIMED_OUT);
    rp_worker_last_error (worker, error, sizeof error);
    assert_non_null (
      strstr (error, "left behind 1 handler that did not return; it has request 1, for 1 s"));
    assert_string_equal (notice, error);
    rp_worker_destroy (&worker); // does not wait; the handler may still use its task
    sem_post (&listener.go_on);
    s_wait (&listener.returned);
    fake_broker_destroy (&broker);
}

static void drain_leaves_a_handler_behind_that_does_not_return (void **state)
{
    (void) state;
    s_leave_a_handler_behind (rp_worker_drain);
}

static void stop_says_bye_and_leaves_a_handler_behind_that_does_not_return (void **state)
{
    (void) state;
    s_leave_a_handler_behind (rp_worker_stop);
}

static void drain_says_bye_at_its_limit (void **state)
{
    (void) state;
    s_listener_t listener;
    s_open_listener (&listener);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    assert_int_equal (rp_worker_set_drain_ms (worker, 50), RP_OK);
    s_running_t running;
    s_start (&running, worker, s_long, &listener);
    fake_broker_welcome (broker, 1);
    fake_broker_request (broker, 1, "runs");
    s_wait (&listener.begun);
    rp_worker_drain (worker);
    fake_broker_expect (broker, RP_COMMAND_DRAIN);
    fake_broker_expect (broker, RP_COMMAND_BYE);
    sem_post (&listener.go_on);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

typedef struct {
    sem_t ended;
    uint64_t conversation;
} s_ending_t;

static void s_on_end (uint64_t conversation, void *arg)
{
    s_ending_t *ending = arg;
    ending->conversation = conversation;
    sem_post (&ending->ended);
}

static void s_tell_conversation (rp_task_t **task_p, void *arg)
{
    (void) arg;
    char text[32];
    int size =
      snprintf (text, sizeof text, "%llu", (unsigned long long) rp_task_conversation (*task_p));
    rp_task_reply (task_p, text, (size_t) size);
}

static void the_end_of_a_conversation_is_told (void **state)
{
    (void) state;
    s_ending_t ending = {.conversation = 0};
    assert_int_equal (sem_init (&ending.ended, 0, 0), 0);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    assert_int_equal (rp_worker_on_conversation_end (worker, s_on_end, &ending), RP_OK);
    s_running_t running;
    s_start (&running, worker, s_tell_conversation, NULL);
    fake_broker_welcome (broker, 1);
    for (uint64_t wire = 7; wire < 9; wire++) {
        fake_broker_request_in (broker, wire, wire, "go");
        fake_broker_expect_reply (broker, wire, RP_OK);
        uint64_t conversation = strtoull (broker->body, NULL, 10);
        assert_true (conversation != 0);
        if (wire == 7)
            fake_broker_end (broker, wire);
        else
            fake_broker_bye (broker, RP_DRAINING); // the session is over
        s_wait (&ending.ended);
        assert_int_equal (ending.conversation, conversation);
    }
    rp_worker_stop (worker);
    assert_int_equal (s_join (&running), RP_OK);
    s_end (&broker, &worker);
}

/*  ---- Use ------------------------------------------------------------------------------------ */

static void wrong_arguments_are_refused (void **state)
{
    (void) state;
    static const char *const endpoints[] = {
      "",
      "nonsense",
      "tcp://",
      "udp://127.0.0.1:1",
      "tcp://127.0.0.1:5555,",
      ",tcp://127.0.0.1:5555",
    };
    for (size_t index = 0; index < sizeof endpoints / sizeof endpoints[0]; index++) {
        errno = 0;
        assert_null (rp_worker_new (endpoints[index], "upper"));
        assert_int_equal (errno, EINVAL);
    }
    assert_null (rp_worker_new ("tcp://127.0.0.1:5555", ""));
    assert_null (rp_worker_new ("tcp://127.0.0.1:5555", "a\nb"));

    rp_worker_t *worker = rp_worker_new ("tcp://127.0.0.1:5555", "upper");
    assert_non_null (worker);
    assert_int_equal (rp_worker_set_slots (worker, 0), RP_USAGE);
    assert_int_equal (rp_worker_set_slots (worker, 4097), RP_USAGE);
    assert_int_equal (rp_worker_set_threads (worker, 257), RP_USAGE);
    assert_int_equal (rp_worker_set_heartbeat_ms (worker, 49), RP_USAGE);
    assert_int_equal (rp_worker_set_drain_ms (worker, 86400001), RP_USAGE);
    assert_int_equal (rp_worker_set_name (worker, ""), RP_USAGE);
    assert_int_equal (rp_worker_run (worker, NULL, NULL), RP_USAGE);
    rp_worker_destroy (&worker);
    assert_null (worker);
    rp_worker_destroy (&worker);
}

static void once_started_it_keeps_its_settings_and_its_mode (void **state)
{
    (void) state;
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    assert_int_equal (rp_worker_set_slots (worker, 2), RP_USAGE);
    assert_int_equal (rp_worker_set_name (worker, "late"), RP_USAGE);
    assert_int_equal (rp_worker_on_notice (worker, s_on_notice, NULL), RP_USAGE);
    assert_int_equal (rp_worker_run (worker, s_echo, NULL), RP_USAGE);
    s_end (&broker, &worker);
}

static void drained_before_it_began_it_ends_at_once (void **state)
{
    (void) state;
    rp_worker_t *worker = rp_worker_new ("tcp://127.0.0.1:1", "upper");
    assert_non_null (worker);
    rp_worker_drain (worker);
    assert_int_equal (rp_worker_run (worker, s_echo, NULL), RP_OK);
    rp_worker_destroy (&worker);
}

static rp_worker_t *s_signalled; // signal handlers have no argument

static void s_on_signal (int number)
{
    (void) number;
    rp_worker_stop (s_signalled);
}

static void s_do_nothing (int number)
{
    (void) number;
}

typedef struct {
    pthread_t target;
    pthread_t thread;
    atomic_bool enough;
} s_sender_t;

static void *s_send_signals (void *arg)
{
    // Sends the signal again and again, because the first may come before the target waits.
    s_sender_t *self = arg;
    while (!self->enough && pthread_kill (self->target, SIGUSR1) == 0)
        poll (NULL, 0, 5);
    return NULL;
}

static void s_start_signals (s_sender_t *self)
{
    self->target = pthread_self ();
    self->enough = false;
    assert_int_equal (pthread_create (&self->thread, NULL, s_send_signals, self), 0);
}

static void s_end_signals (s_sender_t *self)
{
    self->enough = true;
    pthread_join (self->thread, NULL);
}

/*  Profilers and interval timers send signals to any thread that runs.  */
static void a_signal_that_nobody_asked_for_does_not_end_receive (void **state)
{
    (void) state;
    struct sigaction action = {.sa_handler = s_do_nothing, .sa_flags = SA_RESTART};
    assert_int_equal (sigaction (SIGUSR1, &action, NULL), 0);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_register (broker, 1);
    s_sender_t sender;
    rp_task_t *task;
    s_start_signals (&sender);
    assert_int_equal (rp_worker_receive (worker, 200, &task), RP_TIMED_OUT);
    s_end_signals (&sender);
    s_end (&broker, &worker);
}

static void a_signal_interrupts_receive_and_may_stop_run (void **state)
{
    (void) state;
    struct sigaction action = {.sa_handler = s_do_nothing};
    assert_int_equal (sigaction (SIGUSR1, &action, NULL), 0);
    fake_broker_t *broker = fake_broker_new ();
    rp_worker_t *worker = s_new_worker (broker, 1);
    assert_int_equal (rp_worker_set_interruptible (worker, true), RP_OK);
    s_sender_t sender;
    rp_task_t *task;
    s_start_signals (&sender);
    assert_int_equal (rp_worker_receive (worker, S_PATIENCE_MS, &task), RP_INTERRUPTED);
    s_end_signals (&sender);
    rp_worker_destroy (&worker);

    action.sa_handler = s_on_signal;
    assert_int_equal (sigaction (SIGUSR1, &action, NULL), 0);
    s_signalled = worker = s_new_worker (broker, 1);
    s_start_signals (&sender);
    assert_int_equal (rp_worker_run (worker, s_echo, NULL), RP_OK);
    s_end_signals (&sender);
    s_end (&broker, &worker);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_task_shows_what_the_client_sent),
      cmocka_unit_test (bodies_of_any_shape_arrive_whole),
      cmocka_unit_test (an_inline_body_and_further_frames_are_joined),
      cmocka_unit_test (a_large_reply_travels_in_a_frame_of_its_own),
      cmocka_unit_test (a_large_body_that_is_the_request_s_own_is_not_copied),
      cmocka_unit_test (a_reply_may_be_the_request_s_own_body),
      cmocka_unit_test (a_reply_over_the_broker_s_limit_becomes_an_error_that_says_so),
      cmocka_unit_test (a_reply_carries_headers_and_flags),
      cmocka_unit_test (fail_and_abandon_say_why_in_one_line),
      cmocka_unit_test (a_job_shows_its_key_and_may_be_retried),
      cmocka_unit_test (a_cancelled_task_is_told_and_still_replied_to),
      cmocka_unit_test (one_that_waits_is_cancelled_without_being_handed_out),
      cmocka_unit_test (a_request_over_the_window_goes_back_at_once),
      cmocka_unit_test (a_lost_connection_cancels_its_tasks_and_registers_again),
      cmocka_unit_test (a_broker_that_refuses_ends_the_worker),
      cmocka_unit_test (replies_go_to_the_broker_that_asked),
      cmocka_unit_test (rubbish_is_ignored),
      cmocka_unit_test (a_handler_serves_until_drained),
      cmocka_unit_test (a_handler_that_gives_no_reply_fails_the_request),
      cmocka_unit_test (heartbeats_go_on_while_a_handler_runs),
      cmocka_unit_test (stop_waits_for_the_handler_and_gives_back_the_rest),
      cmocka_unit_test (drain_says_bye_at_its_limit),
      cmocka_unit_test (drain_leaves_a_handler_behind_that_does_not_return),
      cmocka_unit_test (stop_says_bye_and_leaves_a_handler_behind_that_does_not_return),
      cmocka_unit_test (the_end_of_a_conversation_is_told),
      cmocka_unit_test (wrong_arguments_are_refused),
      cmocka_unit_test (once_started_it_keeps_its_settings_and_its_mode),
      cmocka_unit_test (drained_before_it_began_it_ends_at_once),
      cmocka_unit_test (a_signal_that_nobody_asked_for_does_not_end_receive),
      cmocka_unit_test (a_signal_interrupts_receive_and_may_stop_run),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
