/*  SPDX-License-Identifier: MPL-2.0

    The client library against a broker that does what the test says: calls for all workers.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/wire/headers.h"
#include "tests/support/client_pair.h"

/*  A call for all in a thread of its own. enough: after so many answers the function returns false.  */
typedef struct {
    rp_client_t *client;
    rp_call_t *call;
    rp_reply_t *reply;
    int rc;
    unsigned enough;
    unsigned count;
    char heard[128];
    pthread_t thread;
    atomic_bool over;
} s_asker_t;

static bool s_hear (const rp_reply_t *answer, void *arg)
{
    s_asker_t *self = arg;
    size_t used = strlen (self->heard);
    snprintf (self->heard + used, sizeof self->heard - used, "%s:%s:%.*s ",
      rp_reply_worker (answer), rp_status_name ((int) rp_reply_status (answer)),
      (int) rp_reply_size (answer), (const char *) rp_reply_body (answer));
    return ++self->count != self->enough;
}

static bool s_part (const void *data, size_t size, void *arg)
{
    (void) data, (void) size, (void) arg;
    return true;
}

static void *s_perform (void *arg)
{
    s_asker_t *self = arg;
    self->rc = rp_client_perform_all (self->client, &self->call, s_hear, self, &self->reply);
    self->over = true;
    return NULL;
}

/*  Sends a reply with one header to the call with this id.  */
static void s_say (puppet_t *broker,
  uint64_t id,
  rp_head_t head,
  const char *key,
  const char *value,
  const char *body)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, key, value));
    head.command = RP_COMMAND_REPLY;
    head.id = id;
    head.attempt = 1;
    head.headers = headers;
    head.headers_size = (uint16_t) size;
    puppet_send (broker, head, body, strlen (body));
}

static rp_call_t *s_call_for_all (void)
{
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_quorum (call, 2), RP_OK);
    assert_int_equal (rp_call_set_attempts (call, 5), RP_OK);
    return call;
}

/*  Greets the client as a broker that has the header, and returns the id of its request; 0 if it has not the header.  */
static uint64_t s_greet (client_pair_t *pair, bool able)
{
    uint8_t headers[64];
    size_t size = 0;
    puppet_expect (pair->broker, RP_COMMAND_HELLO);
    assert_true (rp_headers_append (
      headers, &size, sizeof headers, able ? RP_WELCOME_ALL : "something-else", "1"));
    puppet_send (pair->broker,
      (rp_head_t){.command = RP_COMMAND_WELCOME,
        .interval_ms = 2000,
        .max_open = 1000,
        .headers = headers,
        .headers_size = (uint16_t) size},
      NULL, 0);
    if (!able)
        return 0;
    puppet_expect (pair->broker, RP_COMMAND_REQUEST);
    const rp_head_t *head = &pair->broker->head;
    rp_header_t header;
    assert_int_equal (head->flags & RP_FLAG_ALL, RP_FLAG_ALL);
    assert_int_equal (head->attempts, 1);
    assert_true (rp_headers_find (head->headers, head->headers_size, RP_ALL_QUORUM, &header));
    assert_int_equal (header.value_size, 1);
    return head->id;
}

/*  Begins a call, and greets its client. Returns as s_greet.  */
static uint64_t s_begin (client_pair_t *pair, s_asker_t *asker, unsigned enough, bool able)
{
    pair_begin (pair);
    *asker = (s_asker_t){.client = pair->client, .call = s_call_for_all (), .enough = enough};
    assert_int_equal (pthread_create (&asker->thread, NULL, s_perform, asker), 0);
    return s_greet (pair, able);
}

static rp_status_t s_end (client_pair_t *pair, s_asker_t *asker)
{
    pthread_join (asker->thread, NULL);
    assert_int_equal (asker->rc, RP_OK);
    assert_null (asker->call);
    rp_status_t status = rp_reply_status (asker->reply);
    rp_reply_destroy (&asker->reply);
    pair_end (pair);
    return status;
}

static const rp_head_t s_answer = {.flags = RP_FLAG_MORE};

static void answers_come_one_by_one_and_the_final_ends_them (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker;
    uint64_t id = s_begin (&pair, &asker, 0, true);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    s_say (pair.broker, id, (rp_head_t){.flags = RP_FLAG_MORE, .status = RP_WORKER_LOST},
      RP_REPLY_WORKER, "w2", "");
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w3", "Hello");
    s_say (pair.broker, id, (rp_head_t){.status = RP_OK}, RP_ALL_WORKERS, "3", "");
    pthread_join (asker.thread, NULL);
    assert_string_equal (asker.heard, "w1:OK:HELLO w2:WORKER_LOST: w3:OK:Hello ");
    assert_string_equal (rp_reply_header (asker.reply, "all-workers"), "3");
    assert_int_equal (rp_reply_status (asker.reply), RP_OK);
    rp_reply_destroy (&asker.reply);
    pair_end (&pair);
}

static void who_has_enough_cancels_it_and_hears_no_more (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker;
    uint64_t id = s_begin (&pair, &asker, 1, true);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w2", "late");
    s_say (pair.broker, id, (rp_head_t){.status = RP_CANCELLED}, RP_ALL_WORKERS, "3", "");
    assert_int_equal (s_end (&pair, &asker), RP_CANCELLED);
    assert_string_equal (asker.heard, "w1:OK:HELLO ");
}

static void once_answered_it_is_not_sent_again (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker;
    uint64_t id = s_begin (&pair, &asker, 0, true);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    s_say (pair.broker, id, (rp_head_t){.status = RP_BUSY}, RP_ALL_WORKERS, "3", "");
    assert_int_equal (s_end (&pair, &asker), RP_BUSY);
}

static void s_on_signal (int number)
{
    (void) number;
}

static void a_signal_interrupts_it_and_it_may_be_performed_again (void **state)
{
    (void) state;
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction (SIGUSR1, &action, NULL);
    client_pair_t pair;
    pair_begin (&pair);
    assert_int_equal (rp_client_set_interruptible (pair.client, true), RP_OK);
    s_asker_t asker = {.client = pair.client, .call = s_call_for_all ()};
    assert_int_equal (pthread_create (&asker.thread, NULL, s_perform, &asker), 0);
    uint64_t id = s_greet (&pair, true);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    // A signal just before the wait has no effect, so it is sent again.
    for (int tries = 0; tries < PUPPET_PATIENCE_MS && !asker.over; tries++) {
        pthread_kill (asker.thread, SIGUSR1);
        poll (NULL, 0, 1);
    }
    pthread_join (asker.thread, NULL);
    assert_int_equal (asker.rc, RP_INTERRUPTED);
    assert_null (asker.reply);
    assert_non_null (asker.call);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    asker.heard[0] = '\0';
    assert_int_equal (pthread_create (&asker.thread, NULL, s_perform, &asker), 0);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    id = pair.broker->head.id;
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w2", "Hello");
    s_say (pair.broker, id, (rp_head_t){.status = RP_OK}, RP_ALL_WORKERS, "1", "");
    assert_int_equal (s_end (&pair, &asker), RP_OK);
    assert_string_equal (asker.heard, "w2:OK:Hello ");
}

/*  Forks, and returns in the child that it has heard enough.  */
static bool s_hear_and_fork (const rp_reply_t *answer, void *arg)
{
    pid_t child = fork ();
    if (child == 0)
        return false;
    int status = -1;
    (void) s_hear (answer, arg);
    return waitpid (child, &status, 0) == child && status == 0;
}

static void *s_perform_with_a_child (void *arg)
{
    s_asker_t *self = arg;
    pid_t parent = getpid ();
    self->rc =
      rp_client_perform_all (self->client, &self->call, s_hear_and_fork, self, &self->reply);
    if (getpid () != parent)
        _exit (self->rc == RP_CLOSED && !self->call && !self->reply ? 0 : 1);
    return NULL;
}

static void in_a_child_of_its_function_it_is_over (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker = {.count = 0};
    pair_begin (&pair);
    asker.client = pair.client;
    asker.call = s_call_for_all ();
    assert_int_equal (pthread_create (&asker.thread, NULL, s_perform_with_a_child, &asker), 0);
    uint64_t id = s_greet (&pair, true);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w2", "Hello");
    s_say (pair.broker, id, (rp_head_t){.status = RP_OK}, RP_ALL_WORKERS, "2", "");
    assert_int_equal (s_end (&pair, &asker), RP_OK);
    assert_string_equal (asker.heard, "w1:OK:HELLO w2:OK:Hello ");
}

static void a_broker_that_cannot_is_not_asked (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker;
    (void) s_begin (&pair, &asker, 0, false);
    pthread_join (asker.thread, NULL);
    assert_int_equal (asker.rc, RP_OK);
    assert_int_equal (rp_reply_status (asker.reply), RP_INVALID);
    assert_non_null (strstr (rp_reply_message (asker.reply), "gives no request to all workers"));
    rp_reply_destroy (&asker.reply);
    pair_end (&pair);
}

/*  Waits for the descriptor, and takes an answer with this status.  */
static void s_expect_answer (rp_stream_t *stream, rp_status_t status)
{
    struct pollfd wait = {.fd = rp_stream_fd (stream), .events = POLLIN};
    rp_reply_t *answer;
    int rc;
    while ((rc = rp_stream_read_answer (stream, 0, &answer)) == RP_TIMED_OUT)
        assert_int_equal (poll (&wait, 1, PUPPET_PATIENCE_MS), 1);
    assert_int_equal (rc, RP_OK);
    assert_int_equal (rp_reply_status (answer), status);
    rp_reply_destroy (&answer);
}

static void as_a_stream_it_has_its_answers_one_by_one_without_a_wait (void **state)
{
    (void) state;
    client_pair_t pair;
    rp_stream_t *stream, *dropped;
    const void *data;
    size_t size;
    rp_reply_t *answer;
    pair_begin (&pair);
    rp_call_t *call = s_call_for_all ();
    assert_int_equal (rp_client_stream (pair.client, &call, &stream), RP_OK);
    assert_true (rp_stream_fd (stream) >= 0);
    uint64_t id = s_greet (&pair, true);
    assert_int_equal (rp_stream_read_answer (stream, 0, &answer), RP_TIMED_OUT);
    assert_null (answer);
    s_say (pair.broker, id, s_answer, RP_REPLY_WORKER, "w1", "HELLO");
    s_expect_answer (stream, RP_OK);
    s_say (pair.broker, id, (rp_head_t){.flags = RP_FLAG_MORE, .status = RP_WORKER_LOST},
      RP_REPLY_WORKER, "w2", "");
    s_say (pair.broker, id, (rp_head_t){.status = RP_APP_ERROR}, RP_ALL_WORKERS, "2", "");
    s_expect_answer (stream, RP_WORKER_LOST);
    assert_int_equal (rp_stream_read_answer (stream, PUPPET_PATIENCE_MS, &answer), RP_CLOSED);
    assert_int_equal (rp_reply_status (rp_stream_reply (stream)), RP_APP_ERROR);
    assert_int_equal (rp_stream_read (stream, 0, &data, &size), RP_USAGE);
    rp_stream_destroy (&stream);

    call = s_call_for_all ();
    assert_int_equal (rp_client_stream (pair.client, &call, &dropped), RP_OK);
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    s_say (pair.broker, rp_stream_id (dropped), s_answer, RP_REPLY_WORKER, "w1", "unread");
    struct pollfd wait = {.fd = rp_stream_fd (dropped), .events = POLLIN};
    assert_int_equal (poll (&wait, 1, PUPPET_PATIENCE_MS), 1);
    rp_stream_destroy (&dropped);
    puppet_expect (pair.broker, RP_COMMAND_CANCEL);
    pair_end (&pair);
}

static void what_cannot_be_is_wrong_usage (void **state)
{
    (void) state;
    client_pair_t pair;
    s_asker_t asker = {.count = 0};
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    rp_reply_t *reply = NULL;
    uint64_t id;
    assert_int_equal (
      rp_client_perform_all (pair.client, &call, s_hear, &asker, &reply), RP_USAGE); // not for all
    assert_int_equal (rp_call_set_first (call, 0), RP_USAGE);
    assert_int_equal (rp_call_set_quorum (call, 65536), RP_USAGE);
    assert_int_equal (rp_call_set_all (call), RP_OK);
    assert_int_equal (rp_client_submit (pair.client, &call, &id), RP_USAGE);
    assert_int_equal (rp_client_perform (pair.client, &call, &reply), RP_USAGE);
    assert_int_equal (rp_client_perform_all (pair.client, &call, NULL, NULL, &reply), RP_USAGE);
    assert_int_equal (rp_client_perform_parts (pair.client, &call, s_part, NULL, &reply), RP_USAGE);
    assert_int_equal (rp_call_set_key (call, "k"), RP_OK);
    assert_int_equal (rp_client_perform_all (pair.client, &call, s_hear, &asker, &reply), RP_USAGE);
    rp_call_destroy (&call);
    pair_end (&pair);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (answers_come_one_by_one_and_the_final_ends_them),
      cmocka_unit_test (who_has_enough_cancels_it_and_hears_no_more),
      cmocka_unit_test (once_answered_it_is_not_sent_again),
      cmocka_unit_test (a_signal_interrupts_it_and_it_may_be_performed_again),
      cmocka_unit_test (in_a_child_of_its_function_it_is_over),
      cmocka_unit_test (a_broker_that_cannot_is_not_asked),
      cmocka_unit_test (as_a_stream_it_has_its_answers_one_by_one_without_a_wait),
      cmocka_unit_test (what_cannot_be_is_wrong_usage),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
