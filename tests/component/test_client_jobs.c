/*  SPDX-License-Identifier: MPL-2.0

    The client library against a broker that does what the test says: jobs.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/wire/headers.h"
#include "tests/support/client_pair.h"

static void s_greet_with (puppet_t *broker, const char *name, const char *value)
{
    uint8_t headers[64];
    size_t size = 0;
    puppet_expect (broker, RP_COMMAND_HELLO);
    assert_true (rp_headers_append (headers, &size, sizeof headers, name, value));
    puppet_send (broker,
      (rp_head_t){.command = RP_COMMAND_WELCOME,
        .interval_ms = 2000,
        .max_open = 1000,
        .headers = headers,
        .headers_size = (uint16_t) size},
      NULL, 0);
}

static void s_greet (puppet_t *broker, const char *jobs)
{
    s_greet_with (broker, RP_WELCOME_JOBS, jobs);
}

/*  Accepts the latest request as a job.  */
static void s_accept (puppet_t *broker, uint64_t job, bool replayed)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_JOB_REPLAYED, "1"));
    puppet_send (broker,
      (rp_head_t){.command = RP_COMMAND_ACCEPTED,
        .id = broker->head.id,
        .job = job,
        .headers = headers,
        .headers_size = (uint16_t) (replayed ? size : 0)},
      NULL, 0);
}

static void s_expect_header (const puppet_t *broker, const char *key, const char *value)
{
    rp_header_t header;
    if (!value) {
        assert_false (
          rp_headers_find (broker->head.headers, broker->head.headers_size, key, &header));
        return;
    }
    assert_true (rp_headers_find (broker->head.headers, broker->head.headers_size, key, &header));
    assert_int_equal (header.value_size, strlen (value));
    assert_memory_equal (header.value, value, header.value_size);
}

static void a_durable_call_carries_its_terms (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_durable (call, true), RP_OK);
    assert_int_equal (rp_call_set_key (call, "first"), RP_OK);
    assert_int_equal (rp_call_add_header (call, "other", "yes"), RP_OK);
    assert_int_equal (rp_call_set_key (call, "order-4711"), RP_OK); // in its place
    assert_int_equal (rp_call_set_delay_ms (call, 250), RP_OK);
    assert_int_equal (rp_call_set_not_before (call, 1700000000000000), RP_OK);
    assert_int_equal (rp_call_set_job_deadline (call, 1800000000000000), RP_OK);
    assert_int_equal (rp_call_set_backoff_ms (call, 20), RP_OK);
    assert_int_equal (rp_call_set_attempt_timeout_ms (call, 7000), RP_OK);
    assert_int_equal (rp_call_set_keep_ms (call, UINT64_C (31622400000)), RP_OK);
    assert_int_equal (rp_call_set_priority (call, 9), RP_OK);
    assert_int_equal (rp_call_set_priority (call, 4), RP_OK); // the default is stated, too
    caller_t caller;
    caller_start (&caller, pair.client, call);

    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->head.flags, RP_FLAG_INLINE | RP_FLAG_DURABLE);
    assert_int_equal (pair.broker->head.attempts, 5);
    s_expect_header (pair.broker, "durable", "1");
    s_expect_header (pair.broker, "idempotency-key", "order-4711");
    s_expect_header (pair.broker, "other", "yes");
    s_expect_header (pair.broker, "job-delay", "250");
    s_expect_header (pair.broker, "job-not-before", "1700000000000000");
    s_expect_header (pair.broker, "job-deadline", "1800000000000000");
    s_expect_header (pair.broker, "job-backoff", "20");
    s_expect_header (pair.broker, "job-attempt", "7000");
    s_expect_header (pair.broker, "job-keep", "31622400000");
    s_expect_header (pair.broker, "job-priority", "4");
    s_accept (pair.broker, UINT64_C (9007199254740993), true);
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_OK);
    assert_true (rp_reply_job (reply) == UINT64_C (9007199254740993));
    assert_true (rp_reply_is_replayed (reply));
    assert_int_equal (rp_reply_size (reply), 0);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void a_priority_goes_to_a_broker_that_knows_priorities_only (void **state)
{
    (void) state;
    static const struct {
        const char *header;
        uint8_t stated;
    } brokers[] = {{RP_WELCOME_PRIORITIES, 10}, {"something-else", 0}};
    for (size_t index = 0; index < sizeof brokers / sizeof *brokers; index++) {
        client_pair_t pair;
        pair_begin (&pair);
        rp_call_t *call = rp_call_new ("upper", "hello", 5);
        assert_int_equal (rp_call_set_priority (call, 9), RP_OK);
        caller_t caller;
        caller_start (&caller, pair.client, call);
        s_greet_with (pair.broker, brokers[index].header, "1");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->head.priority, brokers[index].stated);
        puppet_send (pair.broker,
          (rp_head_t){.command = RP_COMMAND_REPLY, .id = pair.broker->head.id, .attempt = 1}, NULL,
          0);
        rp_reply_t *reply = caller_end (&caller);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        rp_reply_destroy (&reply);
        pair_end (&pair);
    }
}

static void a_hedge_is_asked_of_a_broker_that_makes_hedges_only (void **state)
{
    (void) state;
    static const struct {
        const char *header;
        uint16_t flags;
    } brokers[] = {{RP_WELCOME_HEDGING, RP_FLAG_HEDGE}, {"something-else", 0}};
    for (size_t index = 0; index < sizeof brokers / sizeof *brokers; index++) {
        client_pair_t pair;
        pair_begin (&pair);
        rp_call_t *call = rp_call_new ("upper", "hello", 5);
        assert_int_equal (rp_call_set_attempts (call, 2), RP_OK);
        assert_int_equal (rp_call_set_hedge (call, "95%"), RP_OK);
        assert_int_equal (rp_call_set_hedge (call, "1.5s"), RP_OK); // the last one counts
        caller_t caller;
        caller_start (&caller, pair.client, call);
        s_greet_with (pair.broker, brokers[index].header, "1");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->head.flags & RP_FLAG_HEDGE, brokers[index].flags);
        s_expect_header (pair.broker, RP_REQUEST_HEDGE, "1500");
        puppet_send (pair.broker,
          (rp_head_t){.command = RP_COMMAND_REPLY, .id = pair.broker->head.id, .attempt = 1}, NULL,
          0);
        rp_reply_t *reply = caller_end (&caller);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        rp_reply_destroy (&reply);
        pair_end (&pair);
    }
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    static const char *const wrong[] = {"", "0", "95", "100%", "0%", "soon", "25h", "10us"};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++)
        assert_int_equal (rp_call_set_hedge (call, wrong[index]), RP_USAGE);
    assert_int_equal (rp_call_set_hedge (call, NULL), RP_USAGE);
    rp_call_destroy (&call);
}

static void a_job_that_had_its_priority_before_it_was_one_states_it (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_priority (call, 0), RP_OK);
    assert_int_equal (rp_call_set_durable (call, true), RP_OK);
    caller_t caller;
    caller_start (&caller, pair.client, call);
    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->head.priority, 0);
    s_expect_header (pair.broker, "job-priority", "0");
    s_accept (pair.broker, 17, false);
    rp_reply_t *reply = caller_end (&caller);
    assert_true (rp_reply_job (reply) == 17);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void terms_outside_their_range_are_refused (void **state)
{
    (void) state;
    char longest[129];
    memset (longest, 'k', sizeof longest);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    longest[128] = '\0';
    assert_int_equal (rp_call_set_key (call, longest), RP_USAGE);
    longest[127] = '\0';
    assert_int_equal (rp_call_set_key (call, longest), RP_OK);
    assert_int_equal (rp_call_set_key (call, NULL), RP_USAGE);
    assert_int_equal (rp_call_set_key (call, ""), RP_USAGE);
    assert_int_equal (rp_call_set_key (call, "a\nb"), RP_USAGE);
    assert_int_equal (rp_call_set_delay_ms (call, UINT64_C (31622400001)), RP_USAGE);
    assert_int_equal (rp_call_set_not_before (call, -1), RP_USAGE);
    assert_int_equal (rp_call_set_job_deadline (call, 0), RP_USAGE);
    assert_int_equal (rp_call_set_backoff_ms (call, 300001), RP_USAGE);
    assert_int_equal (rp_call_set_attempt_timeout_ms (call, 0), RP_USAGE);
    assert_int_equal (rp_call_set_keep_ms (call, UINT64_C (31622400001)), RP_USAGE);
    assert_int_equal (rp_call_set_priority (call, 10), RP_USAGE);
    rp_call_destroy (&call);

    client_pair_t pair;
    pair_begin (&pair);
    rp_conversation_t *conversation = rp_conversation_new (pair.client, "upper");
    call = rp_call_new_in (conversation, "hello", 5);
    assert_int_equal (rp_call_set_key (call, "order-17"), RP_USAGE);
    assert_int_equal (rp_call_set_durable (call, true), RP_USAGE);
    assert_int_equal (rp_client_send (pair.client, &call, NULL), RP_USAGE);
    rp_call_destroy (&call);
    rp_conversation_destroy (&conversation);
    pair_end (&pair);
}

/*  rp_client_send or rp_client_result in a thread of its own.  */
typedef struct {
    rp_client_t *client;
    rp_call_t *call; /* NULL: result of id */
    uint64_t id;
    uint32_t wait_ms;
    rp_reply_t *reply;
    int rc;
    pthread_t thread;
} s_asker_t;

static void *s_run (void *arg)
{
    s_asker_t *self = arg;
    if (self->call)
        self->rc = rp_client_send (self->client, &self->call, &self->id);
    else
        self->rc = rp_client_result (self->client, self->id, self->wait_ms, &self->reply);
    return NULL;
}

static void s_start (s_asker_t *self)
{
    assert_int_equal (pthread_create (&self->thread, NULL, s_run, self), 0);
}

static int s_end (s_asker_t *self)
{
    assert_int_equal (pthread_join (self->thread, NULL), 0);
    return self->rc;
}

static void send_gives_the_id_of_the_job (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_asker_t asker = {.client = pair.client, .call = rp_call_new ("upper", "hello", 5)};
    assert_int_equal (rp_call_set_attempts (asker.call, 2), RP_OK);
    s_start (&asker);
    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->head.attempts, 2);
    s_accept (pair.broker, 42, false);
    assert_int_equal (s_end (&asker), RP_OK);
    assert_int_equal (asker.id, 42);
    assert_null (asker.call);
    pair_end (&pair);
}

static void send_says_why_a_job_was_not_accepted (void **state)
{
    (void) state;
    static const rp_status_t reasons[] = {
      RP_BUSY, RP_KEY_MISMATCH, RP_INVALID, RP_DENIED, RP_DRAINING, RP_TOO_LARGE};
    client_pair_t pair;
    pair_begin (&pair);
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++) {
        s_asker_t asker = {.client = pair.client, .call = rp_call_new ("upper", "hello", 5)};
        s_start (&asker);
        if (index == 0)
            s_greet (pair.broker, "1");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        puppet_reply (pair.broker, reasons[index], NULL);
        assert_int_equal (s_end (&asker), reasons[index]);
        assert_int_equal (asker.id, 0);
        assert_null (asker.call);
    }
    pair_end (&pair);
}

static void a_large_body_with_a_key_is_sent_again_whole (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    char body[20000];
    memset (body, 'b', sizeof body);
    s_asker_t asker = {.client = pair.client, .call = rp_call_new ("upper", body, sizeof body)};
    assert_int_equal (rp_call_set_timeout_ms (asker.call, PUPPET_PATIENCE_MS), RP_OK);
    assert_int_equal (rp_call_set_key (asker.call, "k"), RP_OK);
    s_start (&asker);
    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_stop (pair.broker);
    puppet_start (pair.broker);
    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    assert_int_equal (pair.broker->size, sizeof body);
    assert_memory_equal (pair.broker->body, body, sizeof body);
    s_expect_header (pair.broker, "idempotency-key", "k");
    s_accept (pair.broker, 3, true);
    assert_int_equal (s_end (&asker), RP_OK);
    assert_int_equal (asker.id, 3);
    pair_end (&pair);
}

static void a_broker_without_jobs_is_sent_nothing (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_durable (call, true), RP_OK);
    caller_t caller;
    caller_start (&caller, pair.client, call);
    puppet_greet (pair.broker);
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_INVALID);
    assert_non_null (strstr (rp_reply_message (reply), "keeps no jobs"));
    assert_non_null (strstr (rp_reply_message (reply), "riposte-broker --store FILE"));
    assert_int_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

/*  ---- Ordinary calls with a key -------------------------------------------------------------- */

static rp_call_t *s_keyed (void)
{
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_key (call, "order-17"), RP_OK);
    return call;
}

static void an_ordinary_call_with_a_key_learns_whose_result_it_gets (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    caller_t caller;
    for (unsigned number = 0; number < 2; number++) {
        caller_start (&caller, pair.client, s_keyed ());
        if (number == 0)
            s_greet_with (pair.broker, RP_WELCOME_REPLAYS, "1");
        puppet_expect (pair.broker, RP_COMMAND_REQUEST);
        assert_int_equal (pair.broker->head.flags, RP_FLAG_INLINE | RP_FLAG_KEYED);
        s_expect_header (pair.broker, "idempotency-key", "order-17");
        puppet_send (pair.broker,
          (rp_head_t){.command = RP_COMMAND_REPLY,
            .flags = number ? RP_FLAG_REPLAYED : 0,
            .id = pair.broker->head.id,
            .job = 77},
          NULL, 0);
        rp_reply_t *reply = caller_end (&caller);
        assert_int_equal (rp_reply_status (reply), RP_OK);
        assert_int_equal (rp_reply_is_replayed (reply), number == 1);
        assert_int_equal (rp_reply_job (reply), 77);
        rp_reply_destroy (&reply);
    }
    pair_end (&pair);
}

static void a_broker_that_remembers_nothing_is_sent_nothing (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    caller_t caller;
    caller_start (&caller, pair.client, s_keyed ());
    puppet_greet (pair.broker);
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_INVALID);
    assert_non_null (strstr (rp_reply_message (reply), "remembers no results by their keys"));
    assert_int_equal (rp_reply_attempts (reply), 0);
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

static void a_lost_job_without_a_key_says_what_to_do (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    rp_call_t *call = rp_call_new ("upper", "hello", 5);
    assert_int_equal (rp_call_set_durable (call, true), RP_OK);
    caller_t caller;
    caller_start (&caller, pair.client, call);
    s_greet (pair.broker, "1");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_stop (pair.broker);
    rp_reply_t *reply = caller_end (&caller);
    assert_int_equal (rp_reply_status (reply), RP_UNKNOWN);
    assert_int_equal (rp_reply_job (reply), 0);
    assert_non_null (strstr (rp_reply_message (reply), "it may have the job"));
    assert_non_null (strstr (rp_reply_message (reply), "key"));
    rp_reply_destroy (&reply);
    pair_end (&pair);
}

/*  ---- Results -------------------------------------------------------------------------------- */

static void s_expect_question (puppet_t *broker, const char *begin)
{
    puppet_expect (broker, RP_COMMAND_REQUEST);
    assert_int_equal (broker->head.name_size, strlen ("riposte.result"));
    assert_memory_equal (broker->head.name, "riposte.result", broker->head.name_size);
    assert_memory_equal (broker->body, begin, strlen (begin));
}

/*  The worker's reply has a header that has another meaning in ACCEPTED.  */
static void s_give_final (puppet_t *broker, uint64_t job, rp_status_t status, const char *body)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, RP_JOB_REPLAYED, "1"));
    puppet_send (broker,
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .id = broker->head.id,
        .job = job,
        .status = (uint8_t) status,
        .code = 7,
        .headers = headers,
        .headers_size = (uint16_t) size,
        .attempt = 2},
      body, strlen (body));
}

static void a_result_is_the_final_of_the_job (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_asker_t asker = {.client = pair.client, .id = UINT64_C (9007199254740993)};
    s_start (&asker);
    puppet_greet (pair.broker);
    s_expect_question (pair.broker, "{\"id\":\"9007199254740993\",\"wait_ms\":0}");
    s_give_final (pair.broker, asker.id, RP_APP_ERROR, "no");
    assert_int_equal (s_end (&asker), RP_OK);
    assert_true (rp_reply_job (asker.reply) == asker.id);
    assert_int_equal (rp_reply_status (asker.reply), RP_APP_ERROR);
    assert_int_equal (rp_reply_code (asker.reply), 7);
    assert_int_equal (rp_reply_attempts (asker.reply), 2);
    assert_memory_equal (rp_reply_body (asker.reply), "no", 2);
    assert_false (rp_reply_is_replayed (asker.reply));
    rp_reply_destroy (&asker.reply);
    pair_end (&pair);
}

static void a_job_that_is_not_done_is_asked_for_until_the_time_has_passed (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_asker_t asker = {.client = pair.client, .id = 5, .wait_ms = 150};
    s_start (&asker);
    puppet_greet (pair.broker);
    s_expect_question (pair.broker, "{\"id\":\"5\",\"wait_ms\":1");
    puppet_reply (pair.broker, RP_OK, "{\"state\":\"waiting\"}");
    puppet_expect (pair.broker, RP_COMMAND_REQUEST);
    puppet_reply (pair.broker, RP_OK, "{\"state\":\"waiting\"}");
    while (puppet_receive (pair.broker, 300)) // at most one more, with no time left
        if (pair.broker->head.command == RP_COMMAND_REQUEST)
            puppet_reply (pair.broker, RP_OK, "{\"state\":\"waiting\"}");
    assert_int_equal (s_end (&asker), RP_TIMED_OUT);
    assert_null (asker.reply);
    pair_end (&pair);
}

static void the_longest_question_is_a_minute (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_asker_t asker = {.client = pair.client, .id = 5, .wait_ms = UINT32_MAX};
    s_start (&asker);
    puppet_greet (pair.broker);
    s_expect_question (pair.broker, "{\"id\":\"5\",\"wait_ms\":60000}");
    assert_in_range (pair.broker->head.deadline_ms, 60000, 65000);
    s_give_final (pair.broker, 5, RP_OK, "done");
    assert_int_equal (s_end (&asker), RP_OK);
    assert_string_equal (rp_reply_header (asker.reply, "replayed"), "1");
    assert_false (rp_reply_is_replayed (asker.reply));
    rp_reply_destroy (&asker.reply);
    pair_end (&pair);
}

static void a_broker_that_comes_back_is_asked_again (void **state)
{
    (void) state;
    client_pair_t pair;
    pair_begin (&pair);
    s_asker_t asker = {.client = pair.client, .id = 5, .wait_ms = PUPPET_PATIENCE_MS};
    s_start (&asker);
    puppet_greet (pair.broker);
    s_expect_question (pair.broker, "{\"id\":\"5\",");
    puppet_stop (pair.broker);
    puppet_start (pair.broker);
    puppet_greet (pair.broker);
    s_expect_question (pair.broker, "{\"id\":\"5\",");
    puppet_reply (pair.broker, RP_BUSY, NULL);
    s_expect_question (pair.broker, "{\"id\":\"5\",");
    s_give_final (pair.broker, 5, RP_OK, "done");
    assert_int_equal (s_end (&asker), RP_OK);
    assert_memory_equal (rp_reply_body (asker.reply), "done", 4);
    rp_reply_destroy (&asker.reply);
    pair_end (&pair);
}

static void a_question_that_was_refused_is_no_final (void **state)
{
    (void) state;
    static const rp_status_t reasons[] = {RP_APP_ERROR, RP_DENIED, RP_NO_WORKER};
    client_pair_t pair;
    pair_begin (&pair);
    for (size_t index = 0; index < sizeof reasons / sizeof *reasons; index++) {
        s_asker_t asker = {.client = pair.client, .id = 5, .wait_ms = 1000};
        s_start (&asker);
        if (index == 0)
            puppet_greet (pair.broker);
        s_expect_question (pair.broker, "{\"id\":\"5\",");
        puppet_reply (pair.broker, reasons[index], NULL);
        assert_int_equal (s_end (&asker), RP_OK);
        assert_int_equal (rp_reply_status (asker.reply), reasons[index]);
        assert_int_equal (rp_reply_job (asker.reply), 0);
        rp_reply_destroy (&asker.reply);
    }
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_result (pair.client, 0, 0, &reply), RP_USAGE);
    pair_end (&pair);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_durable_call_carries_its_terms),
      cmocka_unit_test (a_priority_goes_to_a_broker_that_knows_priorities_only),
      cmocka_unit_test (a_hedge_is_asked_of_a_broker_that_makes_hedges_only),
      cmocka_unit_test (a_job_that_had_its_priority_before_it_was_one_states_it),
      cmocka_unit_test (terms_outside_their_range_are_refused),
      cmocka_unit_test (send_gives_the_id_of_the_job),
      cmocka_unit_test (send_says_why_a_job_was_not_accepted),
      cmocka_unit_test (a_large_body_with_a_key_is_sent_again_whole),
      cmocka_unit_test (a_broker_without_jobs_is_sent_nothing),
      cmocka_unit_test (an_ordinary_call_with_a_key_learns_whose_result_it_gets),
      cmocka_unit_test (a_broker_that_remembers_nothing_is_sent_nothing),
      cmocka_unit_test (a_lost_job_without_a_key_says_what_to_do),
      cmocka_unit_test (a_result_is_the_final_of_the_job),
      cmocka_unit_test (a_job_that_is_not_done_is_asked_for_until_the_time_has_passed),
      cmocka_unit_test (the_longest_question_is_a_minute),
      cmocka_unit_test (a_broker_that_comes_back_is_asked_again),
      cmocka_unit_test (a_question_that_was_refused_is_no_final),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
