/*  SPDX-License-Identifier: MPL-2.0

    The client library against a broker that does what the test says: requests and replies.
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
#include <stdlib.h>
#include <string.h>

#include "common/io/clock.h"
#include "common/wire/headers.h"
#include "tests/support/client_pair.h"

#define PATIENCE_MS PUPPET_PATIENCE_MS

/*  ---- Requests and replies ------------------------------------------------------------------- */

static void a_call_carries_what_was_set (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_timeout_ms (call, 7000), RP_OK);
    assert_int_equal (rp_call_set_attempts (call, 3), RP_OK);
    assert_int_equal (rp_call_set_wait_worker_ms (call, 1500), RP_OK);
    assert_int_equal (rp_call_add_header (call, "one", "1"), RP_OK);
    assert_int_equal (rp_call_add_header (call, "two", ""), RP_OK);
    rp_call_set_trace (call, true);
    rp_call_set_tag (call, &pair);
    caller_t caller;
    caller_start (&caller, pair.client, call);

    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    const rp_head_t *head = &pair.broker->head;
    assert_memory_equal (head->name, "upper", head->name_size);
    assert_in_range (head->deadline_ms, 1, 7000);
    assert_int_equal (head->wait_ms, 1500);
    assert_int_equal (head->attempts, 3);
    assert_int_equal (head->flags, RP_FLAG_INLINE | RP_FLAG_TRACE);
    assert_int_equal (head->conversation, 0);
    rp_header_t header;
    assert_true (rp_headers_find (head->headers, head->headers_size, "one", &header));
    assert_memory_equal (header.value, "1", header.value_size);
    assert_true (rp_headers_find (head->headers, head->headers_size, "two", &header));
    assert_string_equal (pair.broker->body, "hello");
    assert_int_equal (pair.broker->frames, 0);

    uint64_t id = head->id;
    puppet_reply (pair.broker, RP_OK, "HELLO");
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    assert_string_equal (rp_reply_message (reply), "");
    assert_int_equal (rp_reply_size (reply), 5);
    assert_memory_equal (rp_reply_body (reply), "HELLO", 5);
    assert_int_equal (rp_reply_attempts (reply), 1);
    assert_int_equal (rp_reply_queue_us (reply), 11);
    assert_int_equal (rp_reply_work_us (reply), 22);
    assert_true (rp_reply_total_us (reply) > 0);
    assert_true (rp_reply_id (reply) == id);
    assert_ptr_equal (rp_reply_tag (reply), &pair);
    assert_string_equal (rp_reply_worker (reply), "");
    assert_null (rp_reply_header (reply, "one"));
    rp_reply_destroy (&reply);
    assert_null (reply);
    pair_end (&pair);
}

static void s_collect_header (const char *key, const char *value, void *arg)
{
    char *all = arg;
    size_t size = strlen (all);
    snprintf (all + size, 256 - size, "%s=%s;", key, value);
}

static void a_reply_has_text_code_and_headers (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    uint8_t headers[256];
    size_t size = 0;
    rp_headers_append (headers, &size, sizeof headers, "kind", "text");
    rp_headers_append (headers, &size, sizeof headers, "empty", "");
    rp_headers_append (headers, &size, sizeof headers, "worker", "host-1");
    rp_head_t head = {
      .command = RP_COMMAND_REPLY,
      .id = pair.broker->head.id,
      .status = RP_APP_ERROR,
      .code = 42,
      .text = "no such user",
      .text_size = 12,
      .headers = headers,
      .headers_size = (uint16_t) size,
    };
    puppet_send (pair.broker, head, "details", 7);
    rp_reply_t *reply = pair_collect (pair.client);
    assert_int_equal (rp_reply_status (reply), RP_APP_ERROR);
    assert_string_equal (rp_reply_message (reply), "no such user");
    assert_int_equal (rp_reply_code (reply), 42);
    assert_string_equal (rp_reply_header (reply, "kind"), "text");
    assert_string_equal (rp_reply_header (reply, "empty"), "");
    assert_string_equal (rp_reply_worker (reply), "host-1");
    assert_null (rp_reply_header (reply, "king"));
    assert_int_equal (rp_reply_size (reply), 7);
    assert_memory_equal (rp_reply_body (reply), "details", 7);
    char all[256] = "";
    rp_reply_each_header (reply, s_collect_header, all);
    assert_string_equal (all, "kind=text;empty=;worker=host-1;");
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void every_status_without_a_text_gets_a_sentence (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    for (int status = RP_APP_ERROR; status <= RP_CONVERSATION_LOST; status++) {
        puppet_reply (pair.broker, (rp_status_t) status, NULL);
        rp_reply_t *reply = pair_collect (pair.client);
        assert_int_equal (rp_reply_status (reply), status);
        assert_true (strlen (rp_reply_message (reply)) > 10);
        assert_non_null (rp_reply_body (reply));
        assert_int_equal (rp_reply_size (reply), 0);
        rp_reply_destroy (&reply);
        pair_submit (pair.client, "next");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    }
    pair_end (&pair);
}

static void a_large_body_travels_in_a_frame_of_its_own (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    static const size_t sizes[] = {0, 1, 4096, 4097, 500000};
    for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        puppet_reply (pair.broker, RP_OK, "");
        pair_collect_status (pair.client, RP_OK);
        char *body = malloc (sizes[index] + 1);
        assert_non_null (body);
        memset (body, 'x', sizes[index]);
        body[sizes[index]] = '\0';
        pair_submit (pair.client, body);
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_string_equal (pair.broker->body, body);
        assert_int_equal (pair.broker->frames, sizes[index] > 4096);
        free (body);
    }
    pair_end (&pair);
}

static void body_frames_of_a_reply_are_one_body (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    for (int frames = 0; frames < 8; frames++) {
        uint8_t data[128];
        rp_head_t head = {
          .command = RP_COMMAND_REPLY,
          .id = pair.broker->head.id,
          .flags = frames & 1 ? RP_FLAG_INLINE : 0,
        };
        size_t size = rp_wire_encode (&head, data, sizeof data);
        char expected[32] = "";
        if (frames & 1) {
            data[size++] = '0';
            strcat (expected, "0");
        }
        puppet_send_frame (pair.broker, data, size, true, frames / 2 > 0);
        for (int frame = 1; frame <= frames / 2; frame++) {
            char text[] = {'a', (char) ('0' + frame), '\0'};
            strcat (expected, text);
            puppet_send_frame (pair.broker, text, 2, false, frame < frames / 2);
        }
        rp_reply_t *reply = pair_collect (pair.client);
        assert_int_equal (rp_reply_size (reply), strlen (expected));
        assert_memory_equal (rp_reply_body (reply), expected, strlen (expected));
        rp_reply_destroy (&reply);
        pair_submit (pair.client, "next");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    }
    pair_end (&pair);
}

static void replies_are_collected_in_the_order_in_which_they_ended (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    uint64_t first = pair.broker->head.id;
    uint64_t second = pair_submit (pair.client, "second");
    assert_int_equal (rp_client_open (pair.client), 2);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_true (pair.broker->head.id == second);
    puppet_reply (pair.broker, RP_OK, "2");
    pair.broker->head.id = first;
    puppet_reply (pair.broker, RP_OK, "1");
    rp_reply_t *reply = pair_collect (pair.client);
    assert_memory_equal (rp_reply_body (reply), "2", 1);
    assert_true (rp_reply_id (reply) == second);
    rp_reply_destroy (&reply);
    reply = pair_collect (pair.client);
    assert_memory_equal (rp_reply_body (reply), "1", 1);
    rp_reply_destroy (&reply);
    assert_int_equal (rp_client_open (pair.client), 0);
    assert_int_equal (rp_client_collect (pair.client, PATIENCE_MS, &reply), RP_CLOSED);
    assert_null (reply);
    pair_end (&pair);
}

static void collecting_waits_as_long_as_it_was_told (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_collect (pair.client, 0, &reply), RP_TIMED_OUT);
    int64_t before = rp_clock_us ();
    assert_int_equal (rp_client_collect (pair.client, 100, &reply), RP_TIMED_OUT);
    assert_in_range (rp_clock_us () - before, 99000, 2000000);
    assert_null (reply);
    pair_end (&pair);
}

typedef struct {
    pthread_t thread;
    rp_status_t status;
    rp_client_t *client;
    atomic_int count;
} s_called_t;

static void s_callback (rp_reply_t *reply, void *arg)
{
    s_called_t *called = arg;
    called->thread = pthread_self ();
    called->status = rp_reply_status (reply);
    rp_reply_destroy (&reply);
    if (called->count++ == 0 && called->client)
        pair_submit (called->client, "from a callback");
}

static void s_submit_with_callback (rp_client_t *client, s_called_t *called)
{
    rp_call_t *call = rp_call_new ("echo", "x", 1);
    assert_int_equal (rp_call_set_callback (call, s_callback, called), RP_OK);
    assert_int_equal (rp_client_submit (client, &call, NULL), RP_OK);
}

static void a_callback_gets_its_reply_and_collect_does_not (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_called_t called = {.client = pair.client};
    s_submit_with_callback (pair.client, &called);
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_collect (pair.client, 0, &reply), RP_CLOSED);
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_reply (pair.broker, RP_OK, "y");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_string_equal (pair.broker->body, "from a callback");
    puppet_reply (pair.broker, RP_OK, "z");
    pair_collect_status (pair.client, RP_OK);
    assert_int_equal (called.count, 1);
    assert_int_equal (called.status, RP_OK);
    assert_false (pthread_equal (called.thread, pthread_self ()));
    pair_end (&pair);
}

static void the_descriptor_is_readable_while_there_is_something_to_collect (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    struct pollfd item = {.fd = rp_client_fd (pair.client), .events = POLLIN};
    assert_true (item.fd >= 0);
    assert_int_equal (rp_client_fd (pair.client), item.fd);
    assert_int_equal (poll (&item, 1, 0), 0);
    puppet_reply (pair.broker, RP_OK, "1");
    assert_int_equal (poll (&item, 1, PATIENCE_MS), 1);
    assert_int_equal (poll (&item, 1, 0), 1);
    pair_collect_status (pair.client, RP_OK);
    assert_int_equal (poll (&item, 1, 0), 0);
    pair_end (&pair);
}

/*  ---- Cancelling and signals ----------------------------------------------------------------- */

static void a_cancelled_request_ends_with_what_the_broker_says (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    uint64_t id = pair.broker->head.id;
    assert_int_equal (rp_client_cancel (pair.client, id), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    assert_true (pair.broker->head.id == id);
    puppet_reply (pair.broker, RP_CANCELLED, NULL);
    pair_collect_status (pair.client, RP_CANCELLED);
    assert_int_equal (rp_client_cancel (pair.client, id), RP_USAGE);
    pair_end (&pair);
}

/*  A callback that waits until it is told to return.  */
typedef struct {
    sem_t begun;
    sem_t go_on;
    atomic_int returned;
} s_slow_t;

static void s_slow_callback (rp_reply_t *reply, void *arg)
{
    s_slow_t *self = arg;
    rp_reply_destroy (&reply);
    sem_post (&self->begun);
    sem_wait (&self->go_on);
    self->returned++;
}

static void a_request_is_open_until_its_callback_has_returned (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin_connected (&pair);
    puppet_reply (pair.broker, RP_OK, "first");
    pair_collect_status (pair.client, RP_OK);
    s_slow_t slow = {.returned = 0};
    assert_int_equal (sem_init (&slow.begun, 0, 0) | sem_init (&slow.go_on, 0, 0), 0);
    for (int number = 0; number < 2; number++) {
        rp_call_t *call = rp_call_new ("echo", "x", 1);
        assert_int_equal (rp_call_set_callback (call, s_slow_callback, &slow), RP_OK);
        assert_int_equal (rp_client_submit (pair.client, &call, NULL), RP_OK);
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        puppet_reply (pair.broker, RP_OK, "reply");
    }
    // One callback runs, the other has ended or soon will.
    assert_int_equal (sem_wait (&slow.begun), 0);
    assert_int_equal (rp_client_open (pair.client), 2);
    sem_post (&slow.go_on);
    assert_int_equal (sem_wait (&slow.begun), 0);
    assert_int_equal (rp_client_open (pair.client), 1);
    sem_post (&slow.go_on);
    for (int tries = 0; tries < PATIENCE_MS && rp_client_open (pair.client) > 0; tries++)
        poll (NULL, 0, 1);
    assert_int_equal (slow.returned, 2);
    pair_end (&pair);
}

static atomic_int s_signals;

static void s_count_signal (int number)
{
    (void) number;
    s_signals++;
}

/*  Sends signals to a thread until so many were sent, or the thread has ended.  */
static void s_signal_often (caller_t *caller, int times)
{
    for (int tries = 0; tries < PATIENCE_MS && s_signals < times && !caller->over; tries++) {
        pthread_kill (caller->thread, SIGUSR1);
        poll (NULL, 0, 1);
    }
}

/*  Profilers and interval timers send signals to any thread that runs.  */
static void a_signal_that_nobody_asked_for_does_not_end_a_call (void **state)
{
    (void) state;
    struct sigaction action = {.sa_handler = s_count_signal, .sa_flags = SA_RESTART};
    sigaction (SIGUSR1, &action, NULL);
    client_pair_t pair;
    pair_begin (&pair);
    s_signals = 0;
    caller_t caller;
    caller_start (&caller, pair.client, rp_call_new ("echo", "long", 4));
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    caller_t second; // one thread leads, the other follows
    caller_start (&second, pair.client, rp_call_new ("echo", "long", 4));
    puppet_send (
      pair.broker, (rp_head_t){.command = RP_COMMAND_HEARTBEAT}, NULL, 0); // wakes both once
    s_signal_often (&caller, 20);
    s_signal_often (&second, 40);
    assert_false (caller.over || second.over);
    puppet_reply (pair.broker, RP_OK, "first");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_reply (pair.broker, RP_OK, "second");
    rp_reply_t *reply = caller_end (&caller);
    rp_reply_destroy (&reply);
    reply = caller_end (&second);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void *s_wait_in_vain (void *arg)
{
    caller_t *self = arg;
    self->rc = rp_client_connect (self->client, 300);
    if (self->rc == RP_NO_BROKER)
        self->rc = rp_client_collect (self->client, 300, &self->reply);
    self->over = true;
    return NULL;
}

static void nor_a_connect_or_a_collect_before_its_time (void **state)
{
    (void) state;
    struct sigaction action = {.sa_handler = s_count_signal, .sa_flags = SA_RESTART};
    sigaction (SIGUSR1, &action, NULL);
    client_pair_t pair;
    pair_begin (&pair);
    pair_submit (pair.client, "never answered");
    caller_t caller = {.client = pair.client};
    assert_int_equal (pthread_create (&caller.thread, NULL, s_wait_in_vain, &caller), 0);
    s_signals = 0;
    s_signal_often (&caller, PATIENCE_MS);
    pthread_join (caller.thread, NULL);
    assert_int_equal (caller.rc, RP_TIMED_OUT);
    pair_end (&pair);
}

static void s_interrupt_and_send_again (const void *body, size_t size)
{
    struct sigaction action = {.sa_handler = s_count_signal};
    sigaction (SIGUSR1, &action, NULL);
    client_pair_t pair;
    pair_begin (&pair);
    assert_int_equal (rp_client_set_interruptible (pair.client, true), RP_OK);
    caller_t caller;
    caller_start (&caller, pair.client, rp_call_new ("echo", body, size));
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    uint64_t id = pair.broker->head.id;
    // A signal just before the wait has no effect, so it is sent again.
    for (int tries = 0; tries < PATIENCE_MS && !caller.over; tries++) {
        pthread_kill (caller.thread, SIGUSR1);
        poll (NULL, 0, 1);
    }
    pthread_join (caller.thread, NULL);
    assert_int_equal (caller.rc, RP_INTERRUPTED);
    assert_null (caller.reply);
    assert_non_null (caller.call);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    assert_true (pair.broker->head.id == id);
    assert_int_equal (rp_client_open (pair.client), 0);

    rp_call_t *call = caller.call;
    caller_start (&caller, pair.client, call);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->size, size);
    assert_memory_equal (pair.broker->body, body, size);
    assert_true (pair.broker->head.id != id);
    puppet_reply (pair.broker, RP_OK, "");
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void a_signal_interrupts_a_call_which_stays_the_callers (void **state)
{
    (void) state;
    s_interrupt_and_send_again ("again", 5);
}

static void with_a_large_body_too (void **state)
{
    (void) state;
    char body[20000];
    memset (body, 'b', sizeof body);
    s_interrupt_and_send_again (body, sizeof body);
}

/*  ---- The end -------------------------------------------------------------------------------- */

static void destroying_says_bye_and_cancels_what_is_open (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_called_t called = {0};
    s_submit_with_callback (pair.client, &called);
    pair_submit (pair.client, "never collected");
    puppet_greet (pair.broker);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    rp_client_destroy (&pair.client);
    assert_null (pair.client);
    assert_int_equal (called.count, 1);
    assert_int_equal (called.status, RP_CANCELLED);
    puppet_expect (pair.broker, RP_COMMAND_BYE);
    rp_client_destroy (&pair.client);
    puppet_destroy (&pair.broker);
}

static void destroying_does_not_wait_for_a_broker_that_is_not_there (void **state)
{
    (void) state;
    char endpoint[128];
    pair_dead_endpoint (endpoint, sizeof endpoint);
    for (int started = 0; started < 2; started++) {
        rp_client_t *client = rp_client_new (endpoint);
        if (started)
            pair_submit (client, "x");
        int64_t before = rp_clock_us ();
        rp_client_destroy (&client);
        assert_in_range (rp_clock_us () - before, 0, 1000000);
    }
}

static void wrong_arguments_are_refused (void **state)
{
    (void) state;
    static const char *const endpoints[] = {"", "tcp://127.0.0.1", "127.0.0.1:5555", "inproc://x",
      "tcp://*:5555", "tcp://127.0.0.1:5555,", ",tcp://127.0.0.1:5555"};
    for (size_t index = 0; index < sizeof endpoints / sizeof *endpoints; index++) {
        errno = 0;
        assert_null (rp_client_new (endpoints[index]));
        assert_int_equal (errno, EINVAL);
    }
    errno = 0;
    assert_null (rp_client_new (NULL));
    assert_int_equal (errno, EINVAL);
    assert_null (rp_call_new ("", "x", 1));
    assert_null (rp_call_new ("a\nb", "x", 1));
    assert_null (rp_call_new (NULL, "x", 1));
    assert_null (rp_call_new ("echo", NULL, 1));

    rp_client_t *client = rp_client_new ("tcp://127.0.0.1:1");
    assert_non_null (client);
    assert_int_equal (rp_client_set_timeout_ms (client, 0), RP_USAGE);
    assert_int_equal (rp_client_set_timeout_ms (client, 86400001), RP_USAGE);
    assert_int_equal (rp_client_set_attempts (client, 0), RP_USAGE);
    assert_int_equal (rp_client_set_attempts (client, 11), RP_USAGE);
    assert_int_equal (rp_client_set_heartbeat_ms (client, 49), RP_USAGE);
    assert_int_equal (rp_client_set_max_open (client, 1000001), RP_USAGE);
    assert_int_equal (rp_client_set_retry_budget (client, 1001), RP_USAGE);
    assert_int_equal (rp_client_set_name (client, ""), RP_USAGE);
    assert_int_equal (rp_client_set_name (client, "me"), RP_OK);
    assert_int_equal (rp_client_set_max_open (client, 1), RP_OK);
    assert_null (rp_conversation_new (client, ""));
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_call (client, "", NULL, 0, &reply), RP_USAGE);

    pair_submit (client, "x");
    assert_int_equal (rp_client_set_timeout_ms (client, 100), RP_USAGE);
    assert_int_equal (rp_client_set_name (client, "me"), RP_USAGE);
    rp_call_t *call = rp_call_new ("echo", "x", 1);
    assert_int_equal (rp_client_submit (client, &call, NULL), RP_FULL);
    assert_non_null (call);
    assert_int_equal (rp_call_set_timeout_ms (call, 0), RP_USAGE);
    assert_int_equal (rp_call_set_attempts (call, 11), RP_USAGE);
    assert_int_equal (rp_call_set_callback (call, NULL, NULL), RP_USAGE);
    assert_int_equal (rp_call_add_header (call, "Upper", "x"), RP_USAGE);
    assert_int_equal (rp_call_add_header (call, "", "x"), RP_USAGE);
    assert_int_equal (rp_call_add_header (call, "a", "x\ny"), RP_USAGE);
    char value[4097];
    memset (value, 'v', sizeof value);
    value[4096] = '\0';
    assert_int_equal (rp_call_add_header (call, "a", value), RP_OK);
    assert_int_equal (rp_call_add_header (call, "a", value), RP_TOO_LARGE);
    rp_call_destroy (&call);
    rp_call_destroy (&call);
    rp_client_destroy (&client);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_call_carries_what_was_set),
      cmocka_unit_test (a_reply_has_text_code_and_headers),
      cmocka_unit_test (every_status_without_a_text_gets_a_sentence),
      cmocka_unit_test (a_large_body_travels_in_a_frame_of_its_own),
      cmocka_unit_test (body_frames_of_a_reply_are_one_body),
      cmocka_unit_test (replies_are_collected_in_the_order_in_which_they_ended),
      cmocka_unit_test (collecting_waits_as_long_as_it_was_told),
      cmocka_unit_test (a_callback_gets_its_reply_and_collect_does_not),
      cmocka_unit_test (the_descriptor_is_readable_while_there_is_something_to_collect),
      cmocka_unit_test (a_cancelled_request_ends_with_what_the_broker_says),
      cmocka_unit_test (a_request_is_open_until_its_callback_has_returned),
      cmocka_unit_test (a_signal_that_nobody_asked_for_does_not_end_a_call),
      cmocka_unit_test (nor_a_connect_or_a_collect_before_its_time),
      cmocka_unit_test (a_signal_interrupts_a_call_which_stays_the_callers),
      cmocka_unit_test (with_a_large_body_too),
      cmocka_unit_test (destroying_says_bye_and_cancels_what_is_open),
      cmocka_unit_test (destroying_does_not_wait_for_a_broker_that_is_not_there),
      cmocka_unit_test (wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
