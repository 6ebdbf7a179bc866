/*  The worker's core, as traces: the events that it gets, and its orders.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/advice.h"
#include "common/wire/headers.h"
#include "worker/worker_core.h"

#define S_WORKS 16
#define S_MS 1000
#define S_SECOND 1000000

/*  A core with two endpoints, two slots, and the requests it was given.  */
typedef struct {
    rp_worker_core_t core;
    rp_work_t works[S_WORKS];
    size_t work_count;
    int64_t now;
    char trace[2048];
} s_fixture_t;

static const char *const s_endpoints[] = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2"};

static s_fixture_t *s_make (uint32_t endpoints)
{
    s_fixture_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->now = 1000 * (int64_t) S_SECOND;
    rp_worker_config_t config = {
      .endpoints = s_endpoints,
      .count = endpoints,
      .service = "upper",
      .name = "test",
      .slots = 2,
      .threads = 2,
      .heartbeat_ms = 1000,
      .drain_us = 10 * S_SECOND,
      .seed = 42,
    };
    assert_true (rp_worker_core_init (&self->core, &config));
    return self;
}

static void s_free (s_fixture_t *self)
{
    rp_worker_core_clear (&self->core);
    free (self);
}

static void s_note (s_fixture_t *self, const char *format, ...)
{
    va_list arguments;
    size_t size = strlen (self->trace);
    if (size > 0 && size + 1 < sizeof self->trace) {
        self->trace[size++] = ' ';
        self->trace[size] = '\0';
    }
    va_start (arguments, format);
    vsnprintf (self->trace + size, sizeof self->trace - size, format, arguments);
    va_end (arguments);
}

/*  Adds the orders to the trace, a notice as "!" and its first word.  */
static void s_take_orders (s_fixture_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));) {
        unsigned session = order->session;
        switch (order->kind) {
            case RP_WORKER_OPEN:
                s_note (self, "%u:open", session);
                break;
            case RP_WORKER_CLOSE:
                s_note (self, "%u:close", session);
                break;
            case RP_WORKER_SEND:
                s_note (self, "%u<%s", session, rp_command_name (order->head.command));
                if (order->head.command == RP_COMMAND_HEARTBEAT && order->head.interval_ms)
                    s_note (self, "in %u", (unsigned) order->head.interval_ms);
                break;
            case RP_WORKER_NOTICE:
                s_note (
                  self, "%u!%.*s", session, (int) strcspn (order->notice, " "), order->notice);
                break;
        }
    }
}

static void s_expect (s_fixture_t *self, const char *trace)
{
    s_take_orders (self);
    assert_string_equal (self->trace, trace);
    self->trace[0] = '\0';
}

static void s_tick (s_fixture_t *self)
{
    rp_worker_core_tick (&self->core, self->now, 7);
    s_take_orders (self);
}

static void s_pass (s_fixture_t *self, int64_t time)
{
    self->now += time;
    s_tick (self);
}

static void s_message (s_fixture_t *self, uint32_t session, rp_head_t head)
{
    rp_worker_core_message (&self->core, session, &head, self->now, 7);
    s_take_orders (self);
}

static void s_plain (s_fixture_t *self, uint32_t session, rp_command_t command)
{
    s_message (self, session, (rp_head_t){.command = (uint8_t) command});
}

static void s_welcome (s_fixture_t *self, uint32_t session, uint32_t window)
{
    uint8_t headers[64];
    size_t size = 0;
    assert_true (rp_headers_append (headers, &size, sizeof headers, "max-body", "5000"));
    s_message (self, session,
      (rp_head_t){
        .command = RP_COMMAND_WELCOME,
        .interval_ms = 1000,
        .window = window,
        .headers = headers,
        .headers_size = (uint16_t) size,
      });
}

static void s_bye (s_fixture_t *self, uint32_t session, rp_status_t status)
{
    s_message (self, session, (rp_head_t){.command = RP_COMMAND_BYE, .status = (uint8_t) status});
}

/*  Brings one session up.  */
static void s_up (s_fixture_t *self, uint32_t session)
{
    rp_worker_core_connected (&self->core, session, self->now);
    s_take_orders (self);
    s_welcome (self, session, 2);
}

static s_fixture_t *s_make_up (uint32_t endpoints)
{
    s_fixture_t *self = s_make (endpoints);
    s_tick (self);
    for (uint32_t session = 0; session < endpoints; session++)
        s_up (self, session);
    self->trace[0] = '\0';
    return self;
}

static rp_work_t *s_request_in (
  s_fixture_t *self, uint32_t session, uint64_t token, uint64_t conversation)
{
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .id = token,
      .deadline_ms = 5000,
      .attempt = 1,
      .attempts = 1,
      .conversation = conversation,
    };
    rp_work_t *work = &self->works[self->work_count++];
    assert_true (rp_worker_core_request (&self->core, session, &head, work, NULL, self->now));
    return work;
}

static rp_work_t *s_request (s_fixture_t *self, uint32_t session, uint64_t token)
{
    return s_request_in (self, session, token, 0);
}

static void s_cancel (s_fixture_t *self, uint32_t session, uint64_t token)
{
    s_message (self, session, (rp_head_t){.command = RP_COMMAND_CANCEL, .id = token});
}

static void s_end (s_fixture_t *self, uint32_t session, uint64_t conversation)
{
    s_message (self, session, (rp_head_t){.command = RP_COMMAND_END, .conversation = conversation});
}

static rp_work_t *s_take (s_fixture_t *self)
{
    return rp_worker_core_take (&self->core, self->now);
}

static bool s_finish (s_fixture_t *self, rp_work_t *work)
{
    return rp_worker_core_finish (&self->core, work, RP_OK, self->now);
}

/*  Replies to what ended in the core, as a shell does: "r7 WORKER_LOST", or "r7 dropped".  */
static void s_flush (s_fixture_t *self)
{
    for (rp_work_t *work; (work = rp_worker_core_next_returned (&self->core)) != NULL;) {
        unsigned long long token = work->token;
        const char *status = rp_status_name ((int) work->status);
        if (rp_worker_core_finish (&self->core, work, work->status, self->now))
            s_note (self, "r%llu %s", token, status);
        else
            s_note (self, "r%llu dropped", token);
    }
}

/*  ---- Sessions ------------------------------------------------------------------------------- */

static void it_registers_with_every_broker_on_its_own (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (2);
    s_tick (self);
    s_expect (self, "0:open 1:open");
    s_up (self, 1);
    s_expect (self, "1<HELLO 1!registered");
    s_up (self, 0);
    s_expect (self, "0<HELLO 0!registered");
    s_free (self);
}

static void hello_says_who_it_is (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    s_tick (self);
    rp_worker_core_next_order (&self->core);
    rp_worker_core_connected (&self->core, 0, self->now);
    const rp_worker_order_t *order = rp_worker_core_next_order (&self->core);
    assert_non_null (order);
    assert_int_equal (order->head.command, RP_COMMAND_HELLO);
    assert_int_equal (order->head.flags, RP_FLAG_WORKER | RP_FLAG_BUNDLES);
    assert_int_equal (order->head.window, 2);
    assert_int_equal (order->head.interval_ms, 1000);
    assert_memory_equal (order->head.name, "upper", order->head.name_size);
    assert_memory_equal (order->head.key, "test", order->head.key_size);
    s_free (self);
}

static void a_lost_broker_is_tried_again_and_told_of_once (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_worker_core_failed (&self->core, 0, "connection reset", self->now, 7);
    s_expect (self, "0:close 0!lost");
    assert_string_equal (self->core.error, "tcp://127.0.0.1:1: connection reset");
    s_pass (self, 3 * S_SECOND);
    s_expect (self, "0:open");
    rp_worker_core_failed (&self->core, 0, "connection refused", self->now, 7);
    s_expect (self, "0:close");
    s_pass (self, 3 * S_SECOND);
    s_up (self, 0);
    s_expect (self, "0:open 0<HELLO 0!registered");
    s_free (self);
}

static void a_name_is_trouble_once_all_its_addresses_were_tried (void **state)
{
    (void) state;
    static const char *const names[] = {"tcp://name:1"};
    rp_addresses_t found = {0};
    rp_addresses_add (&found, names[0], "10.0.0.1");
    rp_addresses_add (&found, names[0], "::1");
    s_fixture_t *self = s_make (1);
    self->core.sessions[0].link.endpoints = names;
    s_tick (self);
    rp_worker_core_found (&self->core, 0, &found, self->now);
    s_tick (self);
    s_expect (self, "0:open 0:open");
    assert_string_equal (rp_link_where (&self->core.sessions[0].link), "tcp://10.0.0.1:1");
    rp_worker_core_failed (&self->core, 0, "refused", self->now, 7);
    s_tick (self);
    s_expect (self, "0:close 0:open");
    assert_string_equal (rp_link_where (&self->core.sessions[0].link), "tcp://[::1]:1");
    s_pass (self, 500 * S_MS); // the second address does not answer
    s_expect (self, "0:close 0!cannot");
    assert_string_equal (self->core.error, "tcp://name:1 at [::1]: no answer");
    s_free (self);
}

static void a_silent_broker_is_lost_after_three_intervals (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    s_pass (self, 1000 * S_MS);
    s_expect (self, "0<HEARTBEAT");
    s_plain (self, 0, RP_COMMAND_HEARTBEAT);
    s_pass (self, 1000 * S_MS);
    s_pass (self, 1000 * S_MS);
    s_pass (self, 999 * S_MS);
    s_expect (self, "0<HEARTBEAT 0<HEARTBEAT");
    assert_false (work->cancelled);
    s_pass (self, 1 * S_MS);
    s_expect (self, "0:close 0!lost 0:open");
    assert_true (work->cancelled);
    assert_false (s_finish (self, work));
    s_free (self);
}

static void who_holds_nothing_speaks_less_often_but_loses_the_broker_as_soon (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_pass (self, 1000 * S_MS);
    s_expect (self, "0<HEARTBEAT in 1500");
    s_plain (self, 0, RP_COMMAND_HEARTBEAT);
    s_pass (self, 1499 * S_MS);
    s_expect (self, "");
    s_pass (self, 1 * S_MS);
    s_expect (self, "0<HEARTBEAT in 1500");
    s_pass (self, 1499 * S_MS);
    s_expect (self, "");
    s_pass (self, 1 * S_MS); // three agreed intervals after its last message
    s_expect (self, "0:close 0!lost 0:open");
    s_free (self);
}

static void what_it_holds_brings_the_interval_agreed_back (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_pass (self, 1000 * S_MS);
    s_expect (self, "0<HEARTBEAT in 1500");
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    s_pass (self, 1500 * S_MS);
    s_expect (self, "0<HEARTBEAT");
    s_plain (self, 0, RP_COMMAND_HEARTBEAT);
    s_pass (self, 1000 * S_MS);
    s_expect (self, "0<HEARTBEAT");
    s_free (self);
}

static void refused_everywhere_for_good_is_the_end (void **state)
{
    (void) state;
    int status = -1;
    s_fixture_t *self = s_make (2);
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    rp_worker_core_connected (&self->core, 1, self->now);
    s_bye (self, 0, RP_DENIED);
    assert_false (rp_worker_core_is_over (&self->core, &status));
    s_bye (self, 1, RP_DENIED);
    s_expect (self, "0:open 1:open 0<HELLO 1<HELLO 0:close 0!refused 1:close 1!refused");
    assert_true (rp_worker_core_is_over (&self->core, &status));
    assert_int_equal (status, RP_DENIED);
    s_pass (self, 60 * S_SECOND);
    s_expect (self, "");
    s_free (self);
}

static void a_busy_broker_is_tried_again (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    s_bye (self, 0, RP_BUSY);
    s_expect (self, "0:open 0<HELLO 0:close 0!cannot");
    s_pass (self, 3 * S_SECOND);
    s_expect (self, "0:open");
    s_free (self);
}

static void what_makes_no_sense_is_ignored_and_counted (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    s_tick (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    self->core.order_count = self->core.order_taken = 0;
    self->trace[0] = '\0';

    rp_head_t request = {.command = RP_COMMAND_REQUEST, .id = 1, .deadline_ms = 1, .attempts = 1};
    assert_false (
      rp_worker_core_request (&self->core, 0, &request, &self->works[0], NULL, self->now));
    s_cancel (self, 0, 1);
    s_end (self, 0, 1);
    assert_int_equal (self->core.ignored, 3);

    s_welcome (self, 0, 2);
    s_expect (self, "0!registered");
    s_welcome (self, 0, 2);
    s_plain (self, 0, RP_COMMAND_HELLO);
    s_plain (self, 0, RP_COMMAND_CREDIT);
    s_message (self, 0, (rp_head_t){.command = RP_COMMAND_REPLY, .id = 1});
    s_cancel (self, 0, 99);
    s_end (self, 0, 99);
    assert_int_equal (self->core.ignored, 9);
    s_expect (self, "");
    s_free (self);
}

static void welcome_says_how_large_a_body_may_be (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    assert_int_equal (self->core.sessions[0].max_body, 5000);
    s_free (self);
}

/*  ---- Requests ------------------------------------------------------------------------------- */

static void requests_are_handed_out_in_order (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (2);
    rp_work_t *one = s_request (self, 0, 1);
    rp_work_t *other = s_request (self, 1, 1);
    assert_ptr_equal (s_take (self), one);
    assert_ptr_equal (s_take (self), other);
    assert_null (s_take (self));
    assert_true (s_finish (self, other));
    assert_true (s_finish (self, one));
    s_free (self);
}

static void a_request_over_the_window_goes_back (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *first = s_request (self, 0, 1);
    s_request (self, 0, 2);
    s_request (self, 0, 3);
    s_flush (self);
    s_expect (self, "r3 WORKER_LOST");
    assert_ptr_equal (s_take (self), first);
    assert_true (s_finish (self, first));
    s_request (self, 0, 4);
    s_flush (self);
    s_expect (self, "");
    s_free (self);
}

static void a_request_with_an_id_that_is_held_goes_back (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_request (self, 0, 1);
    s_request (self, 0, 1);
    s_flush (self);
    s_expect (self, "r1 WORKER_LOST");
    s_free (self);
}

static void what_the_shell_holds_against_a_request_sends_it_back (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_head_t head = {.command = RP_COMMAND_REQUEST, .id = 5, .deadline_ms = 1000, .attempts = 1};
    assert_true (
      rp_worker_core_request (&self->core, 0, &head, &self->works[0], "too big", self->now));
    assert_null (s_take (self));
    s_flush (self);
    s_expect (self, "r5 WORKER_LOST");
    s_free (self);
}

static void cancel_sets_the_flag_and_the_reply_is_still_owed (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    s_cancel (self, 0, 1);
    assert_true (work->cancelled);
    assert_true (self->core.cancelled);
    s_flush (self);
    s_expect (self, "");
    assert_true (s_finish (self, work));
    s_free (self);
}

static void cancelled_before_it_began_it_is_never_handed_out (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_request (self, 0, 1);
    s_cancel (self, 0, 1);
    assert_null (s_take (self));
    s_flush (self);
    s_expect (self, "r1 APP_ERROR");
    s_free (self);
}

static void past_its_deadline_it_is_never_handed_out (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_request (self, 0, 1);
    self->now += 5 * S_SECOND;
    assert_null (s_take (self));
    s_flush (self);
    s_expect (self, "r1 APP_ERROR");
    s_free (self);
}

static void given_back_it_ends_as_lost (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_request (self, 0, 1);
    rp_worker_core_give_back (&self->core, s_take (self), "out of memory");
    s_flush (self);
    s_expect (self, "r1 WORKER_LOST");
    assert_int_equal (self->core.out, 0);
    s_free (self);
}

static void a_lost_session_takes_its_requests_with_it_and_no_others (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (2);
    rp_work_t *out = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), out);
    s_request (self, 0, 2);
    rp_work_t *other = s_request (self, 1, 1);
    rp_worker_core_failed (&self->core, 0, "reset", self->now, 7);
    s_take_orders (self);
    self->trace[0] = '\0';
    s_flush (self);
    s_expect (self, "r2 dropped");
    assert_true (out->cancelled);
    assert_false (other->cancelled);
    assert_ptr_equal (s_take (self), other);
    assert_true (s_finish (self, other));

    // A new session of the same endpoint does not want the old one's reply.
    s_pass (self, 3 * S_SECOND);
    s_up (self, 0);
    assert_false (s_finish (self, out));
    s_free (self);
}

/*  ---- Conversations -------------------------------------------------------------------------- */

static void s_expect_ended (s_fixture_t *self, uint64_t conversation)
{
    uint64_t ended = 0;
    if (conversation) {
        assert_true (rp_worker_core_next_ended (&self->core, &ended));
        assert_int_equal (ended, conversation);
    }
    assert_false (rp_worker_core_next_ended (&self->core, &ended));
}

/*  Has one request of a conversation answered; returns the application's number of the
    conversation.  */
static uint64_t s_exchange (s_fixture_t *self, uint32_t session, uint64_t token, uint64_t wire)
{
    rp_work_t *work = s_request_in (self, session, token, wire);
    assert_ptr_equal (s_take (self), work);
    uint64_t local = work->conversation->local;
    assert_true (s_finish (self, work));
    return local;
}

static void a_conversation_has_one_identity_until_it_ends (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (2);
    uint64_t first = s_exchange (self, 0, 1, 7);
    assert_int_equal (s_exchange (self, 0, 2, 7), first);
    assert_int_not_equal (s_exchange (self, 1, 1, 7), first);
    s_end (self, 0, 7);
    s_expect_ended (self, first);
    assert_int_not_equal (s_exchange (self, 0, 3, 7), first);
    s_free (self);
}

static void its_end_is_told_after_its_request_is_back (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    uint64_t conversation = s_exchange (self, 0, 1, 7);
    rp_work_t *work = s_request_in (self, 0, 2, 7);
    assert_ptr_equal (s_take (self), work);
    s_end (self, 0, 7);
    s_expect_ended (self, 0);
    assert_true (s_finish (self, work));
    s_expect_ended (self, conversation);
    s_free (self);
}

static void a_lost_session_ends_its_conversations (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    uint64_t idle = s_exchange (self, 0, 1, 7);
    rp_work_t *work = s_request_in (self, 0, 2, 8);
    assert_ptr_equal (s_take (self), work);
    uint64_t busy = work->conversation->local;
    rp_worker_core_failed (&self->core, 0, "reset", self->now, 7);
    s_expect_ended (self, idle);
    assert_false (s_finish (self, work));
    s_expect_ended (self, busy);
    s_free (self);
}

static void one_that_was_never_answered_ends_with_its_request (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request_in (self, 0, 1, 7);
    assert_ptr_equal (s_take (self), work);
    uint64_t conversation = work->conversation->local;
    assert_true (rp_worker_core_finish (&self->core, work, RP_WORKER_LOST, self->now));
    s_expect_ended (self, conversation);
    s_free (self);
}

static void a_reply_to_a_cancelled_request_keeps_its_conversation (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request_in (self, 0, 1, 7);
    assert_ptr_equal (s_take (self), work);
    uint64_t conversation = work->conversation->local;
    s_cancel (self, 0, 1);
    assert_true (s_finish (self, work));
    s_expect_ended (self, 0);
    assert_int_equal (s_exchange (self, 0, 2, 7), conversation);
    s_end (self, 0, 7);
    s_expect_ended (self, conversation);
    s_free (self);
}

static void one_that_the_application_never_saw_ends_unheard (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    s_request_in (self, 0, 1, 7);
    s_cancel (self, 0, 1);
    s_flush (self);
    assert_int_equal (self->core.conversations.count, 1);
    s_end (self, 0, 7);
    s_expect_ended (self, 0);
    assert_int_equal (self->core.conversations.count, 0);
    s_free (self);
}

/*  ---- Leaving -------------------------------------------------------------------------------- */

static void drain_ends_when_every_broker_said_bye (void **state)
{
    (void) state;
    int status = -1;
    s_fixture_t *self = s_make_up (2);
    rp_work_t *work = s_request (self, 0, 1);
    rp_worker_core_drain (&self->core, self->now);
    s_expect (self, "0<DRAIN 1<DRAIN");
    s_bye (self, 1, RP_OK);
    s_expect (self, "1:close 1!left");
    assert_ptr_equal (s_take (self), work);
    assert_false (rp_worker_core_is_over (&self->core, &status));
    assert_true (s_finish (self, work));
    s_bye (self, 0, RP_OK);
    s_expect (self, "0:close 0!left");
    assert_true (rp_worker_core_is_over (&self->core, &status));
    assert_int_equal (status, RP_OK);
    s_free (self);
}

static void drain_leaves_at_its_limit (void **state)
{
    (void) state;
    int status = -1;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    rp_worker_core_drain (&self->core, self->now);
    self->trace[0] = '\0';
    for (int second = 0; second < 9; second++) {
        s_plain (self, 0, RP_COMMAND_HEARTBEAT);
        self->now += S_SECOND;
        assert_true (rp_worker_core_tick (&self->core, self->now, 7) > self->now);
        s_take_orders (self);
        assert_null (strstr (self->trace, "BYE"));
    }
    self->trace[0] = '\0';
    s_pass (self, S_SECOND);
    s_expect (self, "0<BYE 0:close 0!left");
    assert_true (rp_worker_core_is_over (&self->core, &status));
    assert_true (work->cancelled);
    assert_false (s_finish (self, work));
    s_free (self);
}

static void drain_does_not_wait_for_a_broker_that_is_away (void **state)
{
    (void) state;
    int status = -1;
    s_fixture_t *self = s_make (2);
    s_tick (self);
    s_up (self, 0);
    self->trace[0] = '\0';
    rp_worker_core_drain (&self->core, self->now);
    s_expect (self, "0<DRAIN 1:close");
    rp_worker_core_failed (&self->core, 0, "reset", self->now, 7);
    s_expect (self, "0:close 0!lost");
    assert_true (rp_worker_core_is_over (&self->core, &status));
    s_pass (self, 3 * S_SECOND);
    s_expect (self, "");
    s_free (self);
}

static void stop_gives_back_what_has_not_begun_and_waits_for_what_has (void **state)
{
    (void) state;
    int status = -1;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    s_request (self, 0, 2);
    rp_worker_core_stop (&self->core);
    s_expect (self, "0<CREDIT");
    assert_null (s_take (self));
    assert_true (rp_worker_core_is_over (&self->core, &status));
    s_flush (self);
    s_request (self, 0, 3);
    s_flush (self);
    s_expect (self, "r2 WORKER_LOST r3 WORKER_LOST");
    s_tick (self);
    s_expect (self, "");
    assert_true (s_finish (self, work));
    s_tick (self);
    s_expect (self, "0<BYE 0:close 0!left");
    s_free (self);
}

static void stop_leaves_at_its_limit_and_gives_up_a_second_later (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    rp_worker_core_stop (&self->core);
    s_tick (self);
    self->trace[0] = '\0';
    for (int second = 0; second < 9; second++) {
        s_plain (self, 0, RP_COMMAND_HEARTBEAT);
        s_pass (self, S_SECOND);
        assert_null (strstr (self->trace, "BYE"));
    }
    self->trace[0] = '\0';
    self->now += S_SECOND;
    assert_true (rp_worker_core_tick (&self->core, self->now, 7) == self->now + RP_WORKER_GRACE_US);
    s_expect (self, "0<BYE 0:close 0!left");
    assert_non_null (strstr (self->core.error, "with 1 request unanswered"));
    assert_true (work->cancelled);
    assert_false (self->core.given_up);
    s_pass (self, RP_WORKER_GRACE_US);
    assert_true (self->core.given_up);
    assert_false (s_finish (self, work));
    s_free (self);
}

static void stop_during_a_drain_keeps_the_drain_s_limit (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    assert_ptr_equal (s_take (self), work);
    rp_worker_core_drain (&self->core, self->now);
    for (int second = 0; second < 9; second++) {
        s_plain (self, 0, RP_COMMAND_HEARTBEAT);
        s_pass (self, S_SECOND);
    }
    rp_worker_core_stop (&self->core);
    s_tick (self);
    self->trace[0] = '\0';
    s_pass (self, S_SECOND);
    s_expect (self, "0<BYE 0:close 0!left");
    assert_false (s_finish (self, work));
    s_free (self);
}

/*  A handler may have answered and not returned, which only its thread knows.  */
static void it_gives_up_even_if_nothing_was_out (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_worker_core_stop (&self->core);
    s_tick (self);
    s_expect (self, "0<CREDIT 0<BYE 0:close 0!left");
    assert_false (self->core.given_up);
    s_pass (self, 10 * S_SECOND);
    s_pass (self, RP_WORKER_GRACE_US);
    assert_true (self->core.given_up);
    s_expect (self, "");
    s_free (self);
}

static void a_draining_broker_is_come_back_to_after_its_bye (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_work_t *work = s_request (self, 0, 1);
    s_plain (self, 0, RP_COMMAND_DRAIN);
    assert_ptr_equal (s_take (self), work);
    assert_true (s_finish (self, work));
    s_expect (self, "");
    s_bye (self, 0, RP_DRAINING);
    s_expect (self, "0:close 0!lost");
    s_pass (self, 3 * S_SECOND);
    s_expect (self, "0:open");
    s_free (self);
}

/*  ---- What the application can take ---------------------------------------------------------- */

static const rp_worker_order_t *s_credit_ordered (s_fixture_t *self)
{
    const rp_worker_order_t *order = rp_worker_core_next_order (&self->core);
    assert_non_null (order);
    assert_int_equal (order->kind, RP_WORKER_SEND);
    return order;
}

static void an_application_that_is_not_ready_closes_the_window (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_up (1);
    rp_worker_core_set_ready (&self->core, 0, self->now);
    const rp_worker_order_t *order = s_credit_ordered (self);
    assert_int_equal (order->head.command, RP_COMMAND_CREDIT);
    assert_int_equal (order->head.window, 0);
    self->trace[0] = '\0';
    rp_worker_core_set_ready (&self->core, 0, self->now);
    s_expect (self, ""); // nothing has changed
    rp_worker_core_set_ready (&self->core, 1, self->now);
    assert_int_equal (s_credit_ordered (self)->head.window, 1);
    rp_worker_core_set_ready (&self->core, 100, self->now);
    assert_int_equal (s_credit_ordered (self)->head.window, 2); // no more than its slots
    s_free (self);
}

static void one_that_is_not_ready_yet_greets_with_a_closed_window (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    rp_worker_core_set_ready (&self->core, 0, self->now);
    rp_worker_core_tick (&self->core, self->now, 7);
    s_take_orders (self);
    rp_worker_core_connected (&self->core, 0, self->now);
    const rp_worker_order_t *order = s_credit_ordered (self);
    assert_int_equal (order->head.command, RP_COMMAND_HELLO);
    assert_int_equal (order->head.window, 0);
    s_welcome (self, 0, 0);
    self->trace[0] = '\0';
    rp_worker_core_set_ready (&self->core, 2, self->now);
    assert_int_equal (s_credit_ordered (self)->head.window, 2);
    s_free (self);
}

/*  ---- Keys ----------------------------------------------------------------------------------- */

static void a_worker_whose_key_is_denied_goes_on_trying_and_says_so_once (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    s_tick (self);
    s_expect (self, "0:open");
    for (int attempt = 0; attempt < 3; attempt++) {
        rp_worker_core_failed (&self->core, 0, RP_REASON_KEY_DENIED, self->now, 7);
        s_expect (self, attempt == 0 ? "0:close 0!cannot" : "0:close");
        s_pass (self, 2 * S_SECOND);
        s_expect (self, "0:open");
    }
    int status;
    assert_false (rp_worker_core_is_over (&self->core, &status));
    s_up (self, 0);
    s_expect (self, "0<HELLO 0!registered");
    s_free (self);
}

static void trouble_with_a_key_is_told_behind_another_trouble (void **state)
{
    (void) state;
    s_fixture_t *self = s_make (1);
    s_tick (self);
    rp_worker_core_failed (&self->core, 0, RP_REASON_UNREACHED, self->now, 7);
    s_expect (self, "0:open 0:close 0!cannot");
    s_pass (self, 2 * S_SECOND);
    rp_worker_core_failed (&self->core, 0, RP_REASON_KEY_MISSING, self->now, 7);
    s_expect (self, "0:open 0:close 0!cannot");
    s_pass (self, 2 * S_SECOND);
    rp_worker_core_failed (&self->core, 0, RP_REASON_UNREACHED, self->now, 7);
    s_expect (self, "0:open 0:close");
    s_free (self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_application_that_is_not_ready_closes_the_window),
      cmocka_unit_test (one_that_is_not_ready_yet_greets_with_a_closed_window),
      cmocka_unit_test (it_registers_with_every_broker_on_its_own),
      cmocka_unit_test (hello_says_who_it_is),
      cmocka_unit_test (a_lost_broker_is_tried_again_and_told_of_once),
      cmocka_unit_test (a_name_is_trouble_once_all_its_addresses_were_tried),
      cmocka_unit_test (a_silent_broker_is_lost_after_three_intervals),
      cmocka_unit_test (who_holds_nothing_speaks_less_often_but_loses_the_broker_as_soon),
      cmocka_unit_test (what_it_holds_brings_the_interval_agreed_back),
      cmocka_unit_test (refused_everywhere_for_good_is_the_end),
      cmocka_unit_test (a_busy_broker_is_tried_again),
      cmocka_unit_test (what_makes_no_sense_is_ignored_and_counted),
      cmocka_unit_test (welcome_says_how_large_a_body_may_be),
      cmocka_unit_test (requests_are_handed_out_in_order),
      cmocka_unit_test (a_request_over_the_window_goes_back),
      cmocka_unit_test (a_request_with_an_id_that_is_held_goes_back),
      cmocka_unit_test (what_the_shell_holds_against_a_request_sends_it_back),
      cmocka_unit_test (cancel_sets_the_flag_and_the_reply_is_still_owed),
      cmocka_unit_test (cancelled_before_it_began_it_is_never_handed_out),
      cmocka_unit_test (past_its_deadline_it_is_never_handed_out),
      cmocka_unit_test (given_back_it_ends_as_lost),
      cmocka_unit_test (a_lost_session_takes_its_requests_with_it_and_no_others),
      cmocka_unit_test (a_conversation_has_one_identity_until_it_ends),
      cmocka_unit_test (its_end_is_told_after_its_request_is_back),
      cmocka_unit_test (a_lost_session_ends_its_conversations),
      cmocka_unit_test (one_that_was_never_answered_ends_with_its_request),
      cmocka_unit_test (a_reply_to_a_cancelled_request_keeps_its_conversation),
      cmocka_unit_test (one_that_the_application_never_saw_ends_unheard),
      cmocka_unit_test (drain_ends_when_every_broker_said_bye),
      cmocka_unit_test (drain_leaves_at_its_limit),
      cmocka_unit_test (drain_does_not_wait_for_a_broker_that_is_away),
      cmocka_unit_test (stop_gives_back_what_has_not_begun_and_waits_for_what_has),
      cmocka_unit_test (stop_leaves_at_its_limit_and_gives_up_a_second_later),
      cmocka_unit_test (stop_during_a_drain_keeps_the_drain_s_limit),
      cmocka_unit_test (it_gives_up_even_if_nothing_was_out),
      cmocka_unit_test (a_draining_broker_is_come_back_to_after_its_bye),
      cmocka_unit_test (a_worker_whose_key_is_denied_goes_on_trying_and_says_so_once),
      cmocka_unit_test (trouble_with_a_key_is_told_behind_another_trouble),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
