/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"

#define S_START INT64_C (1000000000)
#define S_TEXT 65536u
#define S_COPY 2048u

/*  A head that outlives its event.  */
typedef struct {
    rp_head_t head;
    char text[RP_WIRE_TEXT_MAX + 1];
    uint8_t headers[S_COPY];
} s_copy_t;

typedef struct {
    rp_list_node_t node;
    char name[32];
    rp_session_id_t id;
} s_name_t;

/*  All deliveries so far.  */
typedef struct {
    rp_list_node_t node;
    rp_session_id_t worker;
    uint64_t request;
    rp_token_t token;
} s_token_t;

typedef struct {
    audit_t audit;
    bool started;
    rp_limits_t limits;
    char text[S_TEXT];
    size_t size;
    const char *sender; /* of the current event */
    rp_list_t names;
    rp_list_t tokens;
    s_copy_t answer;
    s_copy_t delivery;
    s_copy_t greeting;
    uint64_t answered;
    size_t answer_size;
    uint64_t delivered;
    unsigned logged[RP_TOPIC_COUNT];
    char last_logged[RP_WIRE_TEXT_MAX + 1];
    char joined_as[RP_PRINCIPAL_MAX + 1];
    unsigned exports;
    rp_trace_ended_t *exported; /* a copy */
    rp_rules_t *rules;          /* until the core is started */
} s_trace_t;

static s_trace_t *s_trace;

static void s_fail (const char *text)
{
    fail_msg ("%s; after \"%s\"", text, s_trace->text);
}

/*  ---- Names ---------------------------------------------------------------------------------- */

static rp_session_id_t s_peer (const char *name)
{
    for (rp_list_node_t *node = rp_list_first (&s_trace->names); node;
         node = rp_list_next (&s_trace->names, node)) {
        const s_name_t *known = RP_CONTAINER (node, s_name_t, node);
        if (strcmp (known->name, name) == 0)
            return known->id;
    }
    return (rp_session_id_t){0};
}

static const char *s_peer_name (rp_session_id_t id)
{
    for (rp_list_node_t *node = rp_list_first (&s_trace->names); node;
         node = rp_list_next (&s_trace->names, node)) {
        const s_name_t *known = RP_CONTAINER (node, s_name_t, node);
        if (known->id.v == id.v)
            return known->name;
    }
    return s_trace->sender;
}

static void s_name_peer (const char *name, rp_session_id_t id)
{
    s_name_t *known = calloc (1, sizeof *known);
    assert_non_null (known);
    snprintf (known->name, sizeof known->name, "%s", name);
    known->id = id;
    rp_list_prepend (&s_trace->names, &known->node);
}

static uint64_t s_number (const char *name)
{
    uint64_t number = strtoull (name + 1, NULL, 10);
    assert_true (number > 0);
    return number;
}

static rp_token_t s_token (const char *worker, const char *name)
{
    for (rp_list_node_t *node = rp_list_first (&s_trace->tokens); node;
         node = rp_list_next (&s_trace->tokens, node)) {
        const s_token_t *token = RP_CONTAINER (node, s_token_t, node);
        if (token->worker.v == s_peer (worker).v && token->request == s_number (name))
            return token->token;
    }
    fail_msg ("%s never got %s", worker, name);
    return (rp_token_t){0};
}

/*  ---- What the core wants done --------------------------------------------------------------- */

static void s_print (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
static void s_print (const char *format, ...)
{
    size_t room = sizeof s_trace->text - s_trace->size;
    if (s_trace->size > 0 && room > 1) {
        s_trace->text[s_trace->size++] = ' ';
        room--;
    }
    va_list arguments;
    va_start (arguments, format);
    int size = vsnprintf (s_trace->text + s_trace->size, room, format, arguments);
    va_end (arguments);
    assert_true (size >= 0 && (size_t) size < room);
    s_trace->size += (size_t) size;
}

static void s_keep (s_copy_t *copy, const rp_head_t *head)
{
    copy->head = *head;
    assert_true (head->headers_size <= sizeof copy->headers);
    if (head->text_size)
        memcpy (copy->text, head->text, head->text_size);
    if (head->headers_size)
        memcpy (copy->headers, head->headers, head->headers_size);
    copy->text[head->text_size] = 0;
    copy->head.text = copy->text;
    copy->head.headers = copy->headers;
}

static void s_print_request (const char *peer, const rp_action_t *action, rp_payload_t *payload)
{
    s_token_t *token = calloc (1, sizeof *token);
    assert_non_null (token);
    *token = (s_token_t){
      .worker = action->session, .request = payload->request->id, .token = action->token};
    rp_list_prepend (&s_trace->tokens, &token->node);
    s_keep (&s_trace->delivery, &action->head);
    s_trace->delivered = payload->request->id;
    if (action->head.attempt > 1)
        s_print (
          "%s<r%llu#%u", peer, (unsigned long long) payload->request->id, action->head.attempt);
    else
        s_print ("%s<r%llu", peer, (unsigned long long) payload->request->id);
}

static uint64_t s_request_of (uint64_t token)
{
    for (rp_list_node_t *node = rp_list_first (&s_trace->tokens); node;
         node = rp_list_next (&s_trace->tokens, node)) {
        const s_token_t *known = RP_CONTAINER (node, s_token_t, node);
        if (known->token.v == token)
            return known->request;
    }
    return 0;
}

static uint64_t s_key_of (uint64_t number)
{
    const rp_list_t *list = &s_trace->audit.conversations;
    for (rp_list_node_t *node = rp_list_first (list); node; node = rp_list_next (list, node)) {
        const audit_conversation_t *known = RP_CONTAINER (node, audit_conversation_t, node);
        if (known->number == number)
            return known->key;
    }
    return 0;
}

static void s_print_send (const rp_action_t *action, rp_payload_t *payload)
{
    const rp_head_t *head = &action->head;
    const char *peer = s_peer_name (action->session);
    switch (head->command) {
        case RP_COMMAND_WELCOME:
            s_keep (&s_trace->greeting, head);
            s_print ("%s<welcome", peer);
            break;
        case RP_COMMAND_REQUEST:
            s_print_request (peer, action, payload);
            break;
        case RP_COMMAND_REPLY:
            s_keep (&s_trace->answer, head);
            s_trace->answered = head->id;
            s_trace->answer_size = payload ? payload->body : 0;
            s_print ("%s<r%llu:%s", peer, (unsigned long long) head->id,
              head->flags & RP_FLAG_MORE ? "part" : rp_status_name (head->status));
            break;
        case RP_COMMAND_CANCEL:
            s_print ("%s<cancel:r%llu", peer, (unsigned long long) s_request_of (head->id));
            break;
        case RP_COMMAND_END:
            s_print ("%s<end:k%llu", peer, (unsigned long long) s_key_of (head->conversation));
            break;
        case RP_COMMAND_PART:
            s_print ("%s<r%llu:%s", peer, (unsigned long long) s_request_of (head->id),
              head->flags & RP_FLAG_MORE ? "more" : "end");
            break;
        case RP_COMMAND_GRANT: {
            uint64_t request = s_request_of (head->id);
            s_print ("%s<r%llu:grant=%llu", peer,
              (unsigned long long) (request ? request : head->id),
              (unsigned long long) head->granted);
            break;
        }
        case RP_COMMAND_HEARTBEAT:
            s_print ("%s<beat", peer);
            break;
        case RP_COMMAND_DRAIN:
            s_print ("%s<drain", peer);
            break;
        case RP_COMMAND_BYE:
            s_keep (&s_trace->greeting, head);
            s_print ("%s<bye:%s", peer, rp_status_name (head->status));
            break;
        default:
            s_print ("%s<%s", peer, rp_command_name (head->command));
    }
}

static void s_keep_export (const rp_trace_ended_t *ended)
{
    s_trace->exports++;
    free (s_trace->exported);
    s_trace->exported = NULL;
    if (!ended)
        return;
    s_trace->exported = malloc (rp_trace_ended_size (ended));
    assert_non_null (s_trace->exported);
    memcpy (s_trace->exported, ended, rp_trace_ended_size (ended));
}

static void s_observe (const rp_action_t *action, rp_payload_t *payload, void *arg)
{
    (void) arg;
    switch (action->kind) {
        case RP_ACTION_ADMIT:
            s_name_peer (s_trace->sender, action->session);
            break;
        case RP_ACTION_SEND:
            s_print_send (action, payload);
            break;
        case RP_ACTION_ABORT:
            s_print ("cut:%s", s_peer_name (action->session));
            break;
        case RP_ACTION_ADMIN:
            s_print ("admin:%.*s", action->head.name_size, action->head.name);
            break;
        case RP_ACTION_JOB:
            s_print ("job:%.*s", action->head.name_size, action->head.name);
            break;
        case RP_ACTION_SURVEY:
            s_print ("survey:%s:%.*s", rp_command_name (action->head.command),
              action->head.name_size, action->head.name);
            break;
        case RP_ACTION_REPLAY:
            s_print ("replay:%s:%.*s", rp_command_name (action->head.command),
              action->head.name_size, action->head.name);
            break;
        case RP_ACTION_STORE: // only jobs have these
        case RP_ACTION_START:
        case RP_ACTION_WITHDRAW:
        case RP_ACTION_BAR:
        case RP_ACTION_ROWS:
            assert_true (false);
            break;
        case RP_ACTION_STOP:
            s_print ("stop");
            break;
        case RP_ACTION_LOG:
            assert_true (action->topic < RP_TOPIC_COUNT && action->head.text_size > 0);
            s_trace->logged[action->topic]++;
            snprintf (s_trace->last_logged, sizeof s_trace->last_logged, "%.*s",
              action->head.text_size, action->head.text);
            break;
        case RP_ACTION_HISTORY:
            if (action->note.kind == RP_RECORD_JOIN)
                snprintf (
                  s_trace->joined_as, sizeof s_trace->joined_as, "%s", action->note.principal);
            break;
        case RP_ACTION_EXPORT:
            s_keep_export (action->ended);
            break;
        case RP_ACTION_UNBIND:
        case RP_ACTION_DROP:
        case RP_ACTION_JOIN:
            break;
    }
}

/*  ---- Fixtures ------------------------------------------------------------------------------- */

int trace_setup (void **state)
{
    (void) state;
    s_trace = calloc (1, sizeof *s_trace);
    if (!s_trace)
        return -1;
    s_trace->limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    s_trace->limits.rejoin_grace = 0;
    rp_list_init (&s_trace->names);
    rp_list_init (&s_trace->tokens);
    return 0;
}

int trace_teardown (void **state)
{
    (void) state;
    if (s_trace->started)
        audit_clear (&s_trace->audit);
    rp_list_node_t *node;
    while ((node = rp_list_first (&s_trace->names))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, s_name_t, node));
    }
    while ((node = rp_list_first (&s_trace->tokens))) {
        rp_list_remove (node);
        free (RP_CONTAINER (node, s_token_t, node));
    }
    rp_rules_destroy (&s_trace->rules);
    free (s_trace->exported);
    free (s_trace);
    s_trace = NULL;
    return 0;
}

rp_limits_t *limits (void)
{
    assert_false (s_trace->started);
    return &s_trace->limits;
}

audit_t *audit (void)
{
    if (!s_trace->started) {
        audit_init (&s_trace->audit, &s_trace->limits, &s_trace->rules, S_START, s_fail);
        s_trace->audit.observe = s_observe;
        s_trace->started = true;
    }
    return &s_trace->audit;
}

/*  ---- Access --------------------------------------------------------------------------------- */

static void s_mistake (const char *text, void *arg)
{
    (void) arg;
    fail_msg ("rules:%s", text);
}

void rules (const char *text)
{
    rp_rules_t *read = text ? rp_rules_read (text, strlen (text), s_mistake, NULL) : NULL;
    assert_true (read != NULL || !text);
    if (s_trace->started)
        audit_change_rules (&s_trace->audit, &read);
    else
        s_trace->rules = read;
}

void terms (const char *text)
{
    static rp_terms_t parsed; // what the core has points to it
    char reason[256];
    if (text && !rp_terms_parse (&parsed, text, reason, sizeof reason))
        fail_msg ("terms: \"%s\" %s", text, reason);
    audit_change_terms (audit (), (rp_terms_list_t){&parsed, text ? 1 : 0});
}

void revoke (const char *peer)
{
    audit_revoke (audit (), s_peer (peer));
}

/*  ---- Events --------------------------------------------------------------------------------- */

void message (const char *peer, const rp_head_t *head, size_t size)
{
    audit_t *self = audit ();
    rp_session_id_t id = s_peer (peer);
    s_trace->sender = peer;
    audit_message (self, audit_find_peer (self, id) ? id : (rp_session_id_t){0}, head, size, false);
}

static void s_hello (
  const char *peer, const rp_head_t *head, uint8_t traits, unsigned attempt_limit_ms)
{
    rp_head_t named = *head;
    named.command = RP_COMMAND_HELLO;
    named.key = peer;
    named.key_size = (uint8_t) strlen (peer);
    audit_t *self = audit ();
    s_trace->sender = peer;
    audit_foreign (self, &named, traits, attempt_limit_ms);
}

void hello (const char *peer, const rp_head_t *head)
{
    s_hello (peer, head, 0, 0);
}

/*  Removes "PEER<welcome" from the text.  */
static void s_expect_welcome (const char *peer)
{
    char welcome[64];
    snprintf (welcome, sizeof welcome, "%s<welcome", peer);
    char *at = strstr (s_trace->text, welcome);
    if (!at)
        fail_msg ("%s is not welcome: \"%s\"", peer, s_trace->text);
    size_t size = strlen (welcome);
    if (at > s_trace->text) {
        at--;
        size++;
    }
    else if (at[size] == ' ') {
        size++;
    }
    memmove (at, at + size, strlen (at + size) + 1);
    s_trace->size -= size;
}

void hello_foreign (
  const char *peer, const rp_head_t *head, uint8_t traits, unsigned attempt_limit_ms)
{
    s_hello (peer, head, traits, attempt_limit_ms);
    s_expect_welcome (peer);
}

/*  Appends a header with a number, unless that is 0.  */
static void s_state (uint8_t *headers, size_t *size, const char *key, size_t number)
{
    char text[24];
    snprintf (text, sizeof text, "%zu", number);
    if (number)
        assert_true (rp_headers_append (headers, size, S_COPY, key, text));
}

void request_with (const char *client, const char *name, const char *service, with_t with)
{
    uint8_t headers[S_COPY];
    size_t size = 0;
    s_state (headers, &size, RP_STREAM_WINDOW, with.window);
    s_state (headers, &size, RP_STREAM_IDLE, with.idle_ms);
    if (with.hedge)
        assert_true (
          rp_headers_append (headers, &size, sizeof headers, RP_REQUEST_HEDGE, with.hedge));
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .flags = (uint16_t) ((with.open ? RP_FLAG_OPEN : 0) | (with.window ? RP_FLAG_STREAM : 0)
                           | (with.more ? RP_FLAG_MORE : 0) | (with.hedge ? RP_FLAG_HEDGE : 0)),
      .headers = headers,
      .headers_size = (uint16_t) size,
      .id = s_number (name),
      .conversation = with.conversation ? s_number (with.conversation) : 0,
      .deadline_ms = with.overdue   ? 0
                     : with.time_ms ? with.time_ms
                                    : 60000,
      .wait_ms = with.wait_ms,
      .attempts = (uint8_t) (with.attempts ? with.attempts : 1),
      .priority = (uint8_t) with.priority,
      .name = service,
      .name_size = (uint8_t) strlen (service)};
    if (with.oversized) {
        s_trace->sender = client;
        audit_message (audit (), s_peer (client), &head, with.size, true);
    }
    else {
        message (client, &head, with.size);
    }
}

void request (const char *client, const char *name, const char *service)
{
    request_with (client, name, service, (with_t){0});
}

void open_in (const char *client, const char *name, const char *service, const char *conversation)
{
    request_with (client, name, service, (with_t){.conversation = conversation, .open = true});
}

void next_in (const char *client, const char *name, const char *service, const char *conversation)
{
    request_with (client, name, service, (with_t){.conversation = conversation});
}

void reply_sized (
  const char *worker, const char *name, const rp_head_t *head, size_t size, bool oversized)
{
    rp_head_t reply_head = *head;
    reply_head.command = RP_COMMAND_REPLY;
    if (reply_head.id == 0)
        reply_head.id = s_token (worker, name).v;
    s_trace->sender = worker;
    audit_message (audit (), s_peer (worker), &reply_head, size, oversized);
}

void reply (const char *worker, const char *name, rp_status_t status)
{
    reply_with (worker, name, &(rp_head_t){.status = (uint8_t) status}, false);
}

void give_back (const char *worker, const char *name)
{
    reply_with (
      worker, name, &(rp_head_t){.status = RP_WORKER_LOST, .lost = RP_LOST_UNBEGUN}, false);
}

void reply_as (const char *worker, const char *other, const char *name, rp_status_t status)
{
    reply_with (
      worker, name, &(rp_head_t){.status = (uint8_t) status, .id = s_token (other, name).v}, false);
}

void body_part (const char *client, const char *name, size_t size)
{
    message (client,
      &(rp_head_t){
        .command = RP_COMMAND_PART, .flags = RP_FLAG_INLINE | RP_FLAG_MORE, .id = s_number (name)},
      size);
}

void end_body (const char *client, const char *name, size_t size)
{
    message (client,
      &(rp_head_t){.command = RP_COMMAND_PART, .flags = RP_FLAG_INLINE, .id = s_number (name)},
      size);
}

void grant (const char *client, const char *name, uint64_t bytes)
{
    message (client,
      &(rp_head_t){.command = RP_COMMAND_GRANT, .id = s_number (name), .granted = bytes}, 0);
}

void grant_body (const char *worker, const char *name, uint64_t bytes)
{
    message (worker,
      &(rp_head_t){.command = RP_COMMAND_GRANT, .id = s_token (worker, name).v, .granted = bytes},
      0);
}

void cancel (const char *client, const char *name)
{
    message (client, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = s_number (name)}, 0);
}

void end (const char *client, const char *conversation)
{
    message (
      client, &(rp_head_t){.command = RP_COMMAND_END, .conversation = s_number (conversation)}, 0);
}

void credit (const char *worker, unsigned window)
{
    credit_time (worker, window, 0);
}

void credit_time (const char *worker, unsigned window, uint32_t time)
{
    message (
      worker, &(rp_head_t){.command = RP_COMMAND_CREDIT, .takes_us = time, .window = window}, 0);
}

void heartbeat (const char *peer)
{
    message (peer, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT}, 0);
}

void announce (const char *client, unsigned interval_ms)
{
    message (client, &(rp_head_t){.command = RP_COMMAND_HEARTBEAT, .interval_ms = interval_ms}, 0);
}

void drain (const char *worker)
{
    message (worker, &(rp_head_t){.command = RP_COMMAND_DRAIN}, 0);
}

void bye (const char *peer)
{
    message (peer, &(rp_head_t){.command = RP_COMMAND_BYE}, 0);
}

void bad (const char *peer, rp_wire_error_t error)
{
    audit_t *self = audit ();
    rp_session_id_t id = s_peer (peer);
    s_trace->sender = peer;
    audit_bad (self, audit_find_peer (self, id) ? id : (rp_session_id_t){0}, error, false);
}

void too_many_frames (const char *peer)
{
    audit_t *self = audit ();
    rp_session_id_t id = s_peer (peer);
    s_trace->sender = peer;
    audit_bad (
      self, audit_find_peer (self, id) ? id : (rp_session_id_t){0}, RP_WIRE_ERROR_NONE, true);
}

void unsent (const char *peer, const char *name, bool full)
{
    audit_delivery_t *delivery = NULL;
    if (name) {
        delivery = audit_find_delivery (audit (), s_token (peer, name));
        assert_non_null (delivery);
    }
    audit_unsent (audit (), s_peer (peer), delivery, full);
}

void unsent_reply (const char *client, rp_status_t status)
{
    audit_unsent_reply (audit (), s_peer (client), status);
}

void dropped (const char *client, const char *why)
{
    audit_dropped (audit (), s_peer (client), why);
}

void suspect (const char *peer)
{
    audit_suspect (audit (), s_peer (peer));
}

void drain_broker (void)
{
    audit_drain (audit ());
}

void stop_broker (void)
{
    audit_stop (audit ());
}

void pass (unsigned ms)
{
    audit_pass (audit (), audit ()->now + (int64_t) ms * 1000);
}

void stall (unsigned ms)
{
    audit_tick (audit (), audit ()->now + (int64_t) ms * 1000);
}

void slip (unsigned ms)
{
    audit ()->now += (int64_t) ms * 1000;
}

void tick (void)
{
    audit_tick (audit (), audit ()->now);
}

/*  ---- What came of it ------------------------------------------------------------------------ */

void expect (const char *text)
{
    audit ();
    assert_string_equal (s_trace->text, text);
    s_trace->size = 0;
    s_trace->text[0] = 0;
}

void forget (void)
{
    s_trace->size = 0;
    s_trace->text[0] = 0;
}

const rp_head_t *answer_to (const char *name)
{
    assert_int_equal (s_trace->answered, s_number (name));
    return &s_trace->answer.head;
}

size_t answer_size (const char *name)
{
    assert_int_equal (s_trace->answered, s_number (name));
    return s_trace->answer_size;
}

bool answer_says (const char *name, const char *words)
{
    return strstr (answer_to (name)->text, words) != NULL;
}

const rp_head_t *delivery_of (const char *name)
{
    assert_int_equal (s_trace->delivered, s_number (name));
    return &s_trace->delivery.head;
}

const rp_head_t *last_greeting (void)
{
    return &s_trace->greeting.head;
}

bool is_there (const char *peer)
{
    return audit_find_peer (audit (), s_peer (peer)) != NULL;
}

const rp_stats_t *stats (void)
{
    return rp_dispatch_stats (audit ()->core);
}

rp_dispatch_counts_t counts (void)
{
    return rp_dispatch_counts (audit ()->core);
}

unsigned logged (rp_topic_t topic)
{
    return s_trace->logged[topic];
}

const char *last_logged (void)
{
    return s_trace->last_logged;
}

unsigned export_count (void)
{
    return s_trace->exports;
}

const rp_trace_ended_t *last_export (void)
{
    return s_trace->exported;
}

const char *joined_as (void)
{
    return s_trace->joined_as;
}
