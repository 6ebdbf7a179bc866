/*  The core and copies: requests for one worker only, which get a request for all workers to them.

    SPDX-License-Identifier: MPL-2.0

    What the core sends is a text: w1<a says that worker w1 got the request a, c<a:OK that its client has the final, and
    all<x:OK that the client of the copies has that of the copy x.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/dispatch.h"
#include "common/wire/limits.h"

struct rp_payload {
    char id;
};

#define S_PEERS 8u

static rp_dispatch_t *s_core;
static rp_limits_t s_limits;
static rp_terms_t s_terms;
static rp_actions_t s_actions;
static rp_session_id_t s_sessions[S_PEERS];
static const char *s_names[S_PEERS];
static unsigned s_peers;
static rp_token_t s_tokens[128]; /* by id */
static int64_t s_now;
static char s_seen[1024];

static const char *s_name (rp_session_id_t session)
{
    for (unsigned index = 0; index < s_peers; index++)
        if (s_sessions[index].v == session.v)
            return s_names[index];
    return "?";
}

static rp_session_id_t s_peer (const char *name)
{
    for (unsigned index = 0; index < s_peers; index++)
        if (strcmp (s_names[index], name) == 0)
            return s_sessions[index];
    fail_msg ("no peer %s", name);
    return (rp_session_id_t){0};
}

static void s_see (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
static void s_see (const char *format, ...)
{
    size_t used = strlen (s_seen);
    va_list arguments;
    va_start (arguments, format);
    if (used > 0)
        s_seen[used++] = ' ';
    vsnprintf (s_seen + used, sizeof s_seen - used, format, arguments);
    va_end (arguments);
}

static void s_carry_out (void)
{
    for (size_t index = 0; index < s_actions.count; index++) {
        const rp_action_t *action = &s_actions.list[index];
        const rp_head_t *head = &action->head;
        if (action->kind == RP_ACTION_ADMIT)
            s_sessions[s_peers] = action->session;
        else if (action->kind == RP_ACTION_SURVEY)
            s_see ("survey:%c", (int) head->id);
        else if (action->kind == RP_ACTION_SEND && head->command == RP_COMMAND_REPLY)
            s_see (
              "%s<%c:%s", s_name (action->session), (int) head->id, rp_status_name (head->status));
        else if (action->kind == RP_ACTION_SEND && action->token.v && action->payload) {
            s_see ("%s<%c", s_name (action->session), action->payload->id);
            s_tokens[(unsigned char) action->payload->id] = action->token;
        }
        if (action->kind != RP_ACTION_LOG && !action->keep)
            free (action->payload);
    }
    rp_actions_reset (&s_actions);
}

static void s_event (const rp_event_t *event)
{
    rp_dispatch_handle (s_core, event, s_now, &s_actions);
    s_carry_out ();
    (void) rp_dispatch_tick (s_core, s_now, &s_actions);
    s_carry_out ();
}

static void s_message (const char *peer, rp_session_id_t worker, const rp_head_t *head, size_t size)
{
    rp_payload_t *payload = NULL;
    if (size > 0 && (payload = calloc (1, sizeof *payload)))
        payload->id = (char) head->id;
    s_event (&(rp_event_t){.kind = RP_EVENT_MESSAGE,
      .session = s_peer (peer),
      .worker = worker,
      .head = head,
      .payload = payload,
      .size = size});
}

static void s_hello (const char *name, unsigned window, unsigned traits)
{
    s_event (&(rp_event_t){.kind = RP_EVENT_MESSAGE,
      .traits = (uint8_t) (RP_TRAIT_MUTE | traits),
      .head = &(rp_head_t){.command = RP_COMMAND_HELLO,
        .flags = *name == 'w' ? RP_FLAG_WORKER : 0,
        .interval_ms = RP_HEARTBEAT_MAX_MS,
        .window = window,
        .name = *name == 'w' ? "s" : NULL,
        .name_size = *name == 'w',
        .key = name,
        .key_size = (uint8_t) strlen (name)}});
    s_names[s_peers++] = name;
}

static rp_head_t s_request_head (char id, unsigned flags)
{
    return (rp_head_t){.command = RP_COMMAND_REQUEST,
      .flags = (uint16_t) flags,
      .id = (uint64_t) id,
      .deadline_ms = 60000,
      .attempts = 1,
      .name = "s",
      .name_size = 1};
}

static void s_request (const char *client, char id)
{
    rp_head_t head = s_request_head (id, 0);
    s_message (client, (rp_session_id_t){0}, &head, 10);
}

/*  A client asks all workers.  */
static void s_ask (const char *client, char id)
{
    rp_head_t head = s_request_head (id, RP_FLAG_ALL);
    s_message (client, (rp_session_id_t){0}, &head, 10);
}

static void s_copy_sized (const char *worker, char id, size_t size)
{
    rp_head_t head = s_request_head (id, RP_FLAG_ALL);
    s_message ("all", s_peer (worker), &head, size);
}

static void s_copy (const char *worker, char id)
{
    s_copy_sized (worker, id, 10);
}

/*  A request of conversation 1 of a client.  */
static void s_talk (const char *client, char id)
{
    rp_head_t head = s_request_head (id, RP_FLAG_OPEN);
    head.conversation = 1;
    s_message (client, (rp_session_id_t){0}, &head, 10);
}

static void s_reply (const char *worker, char id)
{
    rp_head_t head = {.command = RP_COMMAND_REPLY, .id = s_tokens[(unsigned char) id].v};
    s_message (worker, (rp_session_id_t){0}, &head, 10);
}

static void s_credit (const char *worker, unsigned window)
{
    s_message (worker, (rp_session_id_t){0},
      &(rp_head_t){.command = RP_COMMAND_CREDIT, .window = window}, 0);
}

static void s_cancel (const char *client, char id)
{
    s_message (client, (rp_session_id_t){0},
      &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = (uint64_t) id}, 0);
}

#define s_expect(text)                                                                             \
    do {                                                                                           \
        assert_string_equal (s_seen, text);                                                        \
        s_seen[0] = '\0';                                                                          \
    } while (0)

static void s_begin (void)
{
    s_core = rp_dispatch_new (&(rp_dispatch_options_t){.limits = s_limits,
      .seed = 1,
      .instance = 2,
      .version = "0",
      .now = s_now,
      .terms = {&s_terms, s_terms.name_size},
      .surveys = true});
    assert_non_null (s_core);
    s_hello ("all", 0, RP_TRAIT_TRUSTED);
    s_hello ("c", 0, 0);
    s_seen[0] = '\0';
}

static int s_set_up (void **state)
{
    (void) state;
    s_limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    s_limits.rejoin_grace = 0;
    s_terms = (rp_terms_t){0};
    s_peers = 0;
    s_now = 1000000;
    s_seen[0] = '\0';
    rp_actions_init (&s_actions);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    rp_dispatch_destroy (&s_core, &s_actions);
    s_peers = 0;
    s_carry_out ();
    rp_actions_clear (&s_actions);
    return 0;
}

/*  ---- Turns ---------------------------------------------------------------------------------- */

static void s_a_free_place_is_given_to_a_copy_and_to_the_queue_in_turn (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_copy ("w1", 'C');
    s_request ("c", 'a');
    s_request ("c", 'b');
    s_expect ("w1<A");
    s_reply ("w1", 'A');
    s_expect ("all<A:OK w1<a");
    s_reply ("w1", 'a');
    s_expect ("c<a:OK w1<B");
    s_reply ("w1", 'B');
    s_expect ("all<B:OK w1<b");
    s_reply ("w1", 'b');
    s_expect ("c<b:OK w1<C");
    s_reply ("w1", 'C');
    s_expect ("all<C:OK");
}

static void s_places_that_come_at_once_are_given_in_turn (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 0, 0);
    for (char id = 'A'; id <= 'D'; id++)
        s_copy ("w1", id);
    for (char id = 'a'; id <= 'd'; id++)
        s_request ("c", id);
    s_credit ("w1", 5);
    s_expect ("w1<A w1<a w1<B w1<b w1<C");
    s_credit ("w1", 8);
    s_expect ("w1<c w1<D w1<d");
}

static void s_each_worker_gives_its_own_places_in_turn (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_hello ("w2", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w2", 'B');
    s_copy ("w1", 'C');
    s_copy ("w2", 'D');
    s_request ("c", 'a');
    s_request ("c", 'b');
    s_expect ("w1<A w2<B");
    s_reply ("w1", 'A');
    s_reply ("w2", 'B');
    s_expect ("all<A:OK w1<a all<B:OK w2<b");
    s_reply ("w2", 'b');
    s_reply ("w1", 'a');
    s_expect ("c<b:OK w2<D c<a:OK w1<C");
}

static void s_copies_have_all_places_while_nothing_is_queued (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_copy ("w1", 'C');
    s_reply ("w1", 'A');
    s_reply ("w1", 'B');
    s_expect ("w1<A all<A:OK w1<B all<B:OK w1<C");
}

static void s_a_place_that_the_queue_does_not_need_any_more_goes_to_a_copy (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_hello ("w2", 0, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_request ("c", 'a');
    s_cancel ("c", 'a');
    s_expect ("w1<A c<a:CANCELLED");
    s_request ("c", 'b');
    s_now += 70000000;
    s_reply ("w1", 'A'); // all that waited is late, so nothing goes out
    assert_null (strstr (s_seen, "w1<B"));
    assert_null (strstr (s_seen, "w1<b"));
    s_seen[0] = '\0';
    s_copy ("w1", 'C');
    s_request ("c", 'c');
    s_copy ("w1", 'D');
    s_reply ("w1", 'C');
    s_reply ("w1", 'c');
    s_expect ("w1<C all<C:OK w1<c c<c:OK w1<D");
}

static void s_without_copies_that_wait_a_request_goes_by_no_turn (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_cancel ("all", 'B');
    s_request ("c", 'a');
    s_expect ("w1<A all<B:CANCELLED");
    s_reply ("w1", 'A');
    s_reply ("w1", 'a');
    s_request ("c", 'b');
    s_expect ("all<A:OK w1<a c<a:OK w1<b");
}

static void s_a_request_goes_at_once_to_a_worker_that_no_copy_waits_for (void **state)
{
    (void) state;
    s_limits.service_queue = 1;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B'); // the queue is full now
    s_hello ("w2", 1, 0);
    s_seen[0] = '\0';
    s_request ("c", 'a');
    s_expect ("w2<a");
}

static void s_what_waits_for_a_conversation_goes_before_copies_and_the_queue (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_talk ("c", 'x');
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_reply ("w1", 'x');
    s_request ("c", 'a');
    s_talk ("c", 'y');
    s_expect ("w1<x c<x:OK w1<A");
    s_reply ("w1", 'A');
    s_reply ("w1", 'y');
    s_reply ("w1", 'a');
    s_expect ("all<A:OK w1<y c<y:OK w1<a c<a:OK w1<B");
}

static void s_a_worker_that_leaves_ends_its_copies_and_its_turns (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_request ("c", 'a');
    s_expect ("w1<A");
    s_message ("w1", (rp_session_id_t){0}, &(rp_head_t){.command = RP_COMMAND_BYE}, 0);
    s_expect ("all<A:WORKER_LOST all<B:NO_WORKER");
    s_hello ("w2", 0, 0);
    s_credit ("w2", 1);
    s_expect ("w2<a");
}

static void s_places_that_terms_let_a_service_give_are_given_in_turn (void **state)
{
    (void) state;
    s_terms = (rp_terms_t){.concurrency = 1, .name = "s", .name_size = 1};
    s_begin ();
    s_hello ("w1", 9, 0);
    s_hello ("w2", 9, 0);
    s_copy ("w1", 'A');
    s_copy ("w1", 'B');
    s_copy ("w2", 'C');
    s_copy ("w2", 'D');
    s_request ("c", 'a');
    s_request ("c", 'b');
    s_expect ("w1<A");
    s_reply ("w1", 'A');
    assert_non_null (strstr (s_seen, "<a"));
    s_reply (strstr (s_seen, "w1<a") ? "w1" : "w2", 'a');
    assert_non_null (strstr (s_seen, "w2<C"));
    s_seen[0] = '\0';
    s_reply ("w2", 'C');
    assert_non_null (strstr (s_seen, "<b"));
    s_reply (strstr (s_seen, "w1<b") ? "w1" : "w2", 'b');
    s_reply ("w1", 'B');
    assert_non_null (strstr (s_seen, "w1<B all<B:OK w2<D"));
}

static void s_weights_share_what_copies_leave (void **state)
{
    (void) state;
    static rp_rules_t *rules;
    static const char text[] =
      "principal = \"anonymous\"\n    call = \"*\"\n    serve = \"*\"\n    weight = 2\n";
    rules = rp_rules_read (text, sizeof text - 1, NULL, NULL);
    assert_non_null (rules);
    s_begin ();
    s_event (&(rp_event_t){.kind = RP_EVENT_RULES, .rules = rules});
    s_hello ("w1", 1, 0);
    s_seen[0] = '\0';
    for (char id = 'A'; id <= 'C'; id++)
        s_copy ("w1", id);
    s_request ("c", 'a');
    s_request ("c", 'b');
    s_reply ("w1", 'A');
    s_reply ("w1", 'a');
    s_reply ("w1", 'B');
    s_reply ("w1", 'b');
    s_expect ("w1<A all<A:OK w1<a c<a:OK w1<B all<B:OK w1<b c<b:OK w1<C");
    s_event (&(rp_event_t){.kind = RP_EVENT_RULES, .rules = NULL});
    rp_rules_destroy (&rules);
}

/*  ---- Ids and sizes -------------------------------------------------------------------------- */

static void s_an_id_that_a_request_for_all_has_is_refused (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_hello ("d", 0, 0);
    s_seen[0] = '\0';
    s_ask ("c", 'a');
    s_request ("c", 'a');
    s_ask ("c", 'a');
    s_expect ("survey:a c<a:INVALID c<a:INVALID");
    s_request ("d", 'a'); // another client's
    s_expect ("w1<a");
    s_request ("c", 'b'); // another id
    rp_dispatch_survey_over (s_core, s_peer ("c"), 'a');
    s_reply ("w1", 'a');
    s_reply ("w1", 'b');
    s_request ("c", 'a');
    s_expect ("d<a:OK w1<b c<b:OK w1<a");
}

static void s_a_request_for_all_with_an_id_that_is_open_is_refused (void **state)
{
    (void) state;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_request ("c", 'a');
    s_ask ("c", 'a');
    s_expect ("w1<a c<a:INVALID");
    s_reply ("w1", 'a');
    s_ask ("c", 'a');
    s_expect ("c<a:OK survey:a");
}

static void s_a_client_that_asks_all_has_its_limit_of_open_requests (void **state)
{
    (void) state;
    s_limits.client_open = 1;
    s_begin ();
    s_hello ("w1", 9, 0);
    s_ask ("c", 'a');
    s_request ("c", 'b');
    s_request ("c", 'd');
    s_expect ("survey:a w1<b c<d:BUSY");
}

static void s_ids_of_a_client_that_left_are_free (void **state)
{
    (void) state;
    s_begin ();
    s_ask ("c", 'a');
    s_ask ("c", 'b');
    s_expect ("survey:a survey:b");
    s_message ("c", (rp_session_id_t){0}, &(rp_head_t){.command = RP_COMMAND_BYE}, 0);
    rp_dispatch_survey_over (s_core, s_peer ("c"), 'a'); // it is not there any more
}

static void s_a_copy_that_can_never_wait_is_too_large (void **state)
{
    (void) state;
    s_limits.service_queue_bytes = 1024;
    s_begin ();
    s_hello ("w1", 1, 0);
    s_copy_sized ("w1", 'A', 1025); // it need not wait
    s_copy_sized ("w1", 'B', 1025);
    s_copy_sized ("w1", 'C', 600);
    s_copy_sized ("w1", 'D', 600);
    s_expect ("w1<A all<B:TOO_LARGE all<D:BUSY");
    assert_int_equal (rp_dispatch_stats (s_core)->too_large, 1);
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_free_place_is_given_to_a_copy_and_to_the_queue_in_turn),
      S_TEST (s_places_that_come_at_once_are_given_in_turn),
      S_TEST (s_each_worker_gives_its_own_places_in_turn),
      S_TEST (s_copies_have_all_places_while_nothing_is_queued),
      S_TEST (s_a_place_that_the_queue_does_not_need_any_more_goes_to_a_copy),
      S_TEST (s_without_copies_that_wait_a_request_goes_by_no_turn),
      S_TEST (s_a_request_goes_at_once_to_a_worker_that_no_copy_waits_for),
      S_TEST (s_what_waits_for_a_conversation_goes_before_copies_and_the_queue),
      S_TEST (s_a_worker_that_leaves_ends_its_copies_and_its_turns),
      S_TEST (s_places_that_terms_let_a_service_give_are_given_in_turn),
      S_TEST (s_weights_share_what_copies_leave),
      S_TEST (s_an_id_that_a_request_for_all_has_is_refused),
      S_TEST (s_a_request_for_all_with_an_id_that_is_open_is_refused),
      S_TEST (s_a_client_that_asks_all_has_its_limit_of_open_requests),
      S_TEST (s_ids_of_a_client_that_left_are_free),
      S_TEST (s_a_copy_that_can_never_wait_is_too_large),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
