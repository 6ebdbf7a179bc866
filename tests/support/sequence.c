/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/sequence.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/heap.h"
#include "common/wire/headers.h"

static unsigned s_draw (sequence_t *self, unsigned below)
{
    return self->draw (below, self->arg);
}

static size_t s_count (const rp_list_t *list)
{
    size_t count = 0;
    for (rp_list_node_t *node = rp_list_first (list); node; node = rp_list_next (list, node))
        count++;
    return count;
}

static rp_list_node_t *s_draw_node (sequence_t *self, const rp_list_t *list)
{
    size_t count = s_count (list);
    if (count == 0)
        return NULL;
    unsigned skip = s_draw (self, (unsigned) count);
    rp_list_node_t *node = rp_list_first (list);
    while (skip-- > 0)
        node = rp_list_next (list, node);
    return node;
}

static audit_peer_t *s_draw_peer (sequence_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.peers);
    return node ? RP_CONTAINER (node, audit_peer_t, node) : NULL;
}

/*  Chooses a peer: mostly of the role that the event is for, sometimes of the other, or none.  */
static rp_session_id_t s_draw_role (sequence_t *self, bool worker)
{
    if (s_draw (self, 32) == 31)
        return (rp_session_id_t){s_draw (self, 2)};
    for (unsigned tries = 0; tries < 8; tries++) {
        audit_peer_t *peer = s_draw_peer (self);
        if (peer && peer->worker == worker)
            return peer->id;
    }
    audit_peer_t *peer = s_draw_peer (self);
    return (rp_session_id_t){peer ? peer->id.v : 0};
}

static void s_observe (const rp_action_t *action, rp_payload_t *message, void *arg)
{
    sequence_t *self = arg;
    if (action->kind == RP_ACTION_SEND && action->token.v)
        self->late[self->late_count++ % SEQUENCE_LATE] = action->token;
    if (self->observe)
        self->observe (action, message, self->arg);
}

/*  ---- Events --------------------------------------------------------------------------------- */

static const char *const s_services[] = {"a", "bb", "abc", "riposte.ping", "mmi.x"};
static const char *const s_own_names[] = {
  "riposte.ping", "riposte.status", "riposte.reload", "mmi.service"};

static void s_name (rp_head_t *head, const char *name)
{
    head->name = name;
    head->name_size = 0;
    while (name[head->name_size])
        head->name_size++;
}

/*  NULL: anonymous.  */
static const char *const s_principals[] = {"ada", "bob", NULL};

static void s_choose_principal (sequence_t *self)
{
    if (self->ruled)
        self->audit.principal = s_principals[s_draw (self, 3)];
}

/*  Names that clients give themselves: of the rules below, the first has one of its own, the others a longest one.  */
static const char *const s_client_names[] = {"web", "batch-1", "batch-22", "bat"};
static const char *const s_client_rules[] = {"web", "batch-*", "batch-2*", "*"};

static void s_hello (sequence_t *self, bool worker)
{
    s_choose_principal (self);
    static const unsigned intervals[] = {60000, 60000, 1000, 50, 0};
    rp_head_t head = {.command = RP_COMMAND_HELLO, .interval_ms = intervals[s_draw (self, 5)]};
    if (worker) {
        unsigned service = self->hedging ? 0 : s_draw (self, 16); // so that there is another worker
        head.flags = RP_FLAG_WORKER;
        head.window = s_draw (self, 64) == 63 ? 5000 : s_draw (self, 4);
        s_name (&head, s_services[self->weighed ? 0 : service < 14 ? service % 3 : service - 11]);
    }
    if (!worker && self->named) {
        head.key = s_client_names[s_draw (self, 4)];
        head.key_size = (uint8_t) strlen (head.key);
    }
    uint8_t headers[32];
    size_t size = 0;
    if (worker && self->streams && s_draw (self, 4))
        (void) rp_headers_append (headers, &size, sizeof headers, RP_HELLO_STREAMS, "1");
    head.headers = headers;
    head.headers_size = (uint16_t) size;
    audit_message (&self->audit, (rp_session_id_t){0}, &head, 0, s_draw (self, 64) == 63);
}

/*  HELLO of a foreign protocol: any traits, and perhaps a limit of attempts.  */
static void s_foreign (sequence_t *self)
{
    static const unsigned intervals[] = {60000, 60000, 1000, 50};
    static const uint32_t limits[] = {0, 1, 20, 700};
    s_choose_principal (self);
    bool worker = s_draw (self, 2);
    rp_head_t head = {.command = RP_COMMAND_HELLO, .interval_ms = intervals[s_draw (self, 4)]};
    if (worker) {
        head.flags = RP_FLAG_WORKER;
        head.window = s_draw (self, 4);
        s_name (&head, s_services[s_draw (self, 3)]);
    }
    unsigned traits = s_draw (self, 64);
    if (worker && self->ruled && s_draw (self, 8) == 7)
        traits |= RP_TRAIT_TRUSTED;
    audit_foreign (&self->audit, &head, (uint8_t) traits, limits[s_draw (self, 4)]);
}

/*  Lets the bodies of a request come in parts: its own, the reply's, or both; with a window that may be too
    small, or too large.  */
static void s_put_in_parts (sequence_t *self, rp_head_t *head, uint8_t *headers)
{
    static const uint16_t flags[] = {
      RP_FLAG_STREAM, RP_FLAG_STREAM, RP_FLAG_MORE, RP_FLAG_STREAM | RP_FLAG_MORE};
    char number[16];
    size_t size = 0;
    head->flags |= flags[s_draw (self, 4)];
    snprintf (number, sizeof number, "%u", 60 + s_draw (self, 950));
    (void) rp_headers_append (headers, &size, SEQUENCE_HEADERS, RP_STREAM_WINDOW, number);
    snprintf (number, sizeof number, "%u", s_draw (self, 100));
    if (s_draw (self, 4) == 3)
        (void) rp_headers_append (headers, &size, SEQUENCE_HEADERS, RP_STREAM_IDLE, number);
    head->headers = headers;
    head->headers_size = (uint16_t) size;
}

static void s_request (sequence_t *self)
{
    static const unsigned times[] = {0, 1, 20, 500, 3000, 60000, 60000, 60000};
    static const unsigned waits[] = {0, 0, 0, 10, 1000, 70000};
    // after 20 ms; a percentile is never known here
    static const uint8_t hedge[] = {5, 'h', 'e', 'd', 'g', 'e', 0, 2, '2', '0'};
    unsigned service = self->hedging ? 30 * (s_draw (self, 16) == 15) : s_draw (self, 32);
    unsigned talk = s_draw (self, 8);
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 1 + s_draw (self, 250),
      .conversation = talk < 4 ? 0 : talk - 3,
      .flags = (uint16_t) (talk >= 4 && s_draw (self, 4) ? RP_FLAG_OPEN : 0),
      .deadline_ms = times[s_draw (self, 8)],
      .wait_ms = waits[s_draw (self, 6)],
      .attempts = (uint8_t) (1 + s_draw (self, 3)),
      .priority = (uint8_t) (self->prioritised ? s_draw (self, RP_PRIORITY_MAX + 2) : 0)};
    uint8_t headers[SEQUENCE_HEADERS];
    if (self->streams && s_draw (self, 4))
        s_put_in_parts (self, &head, headers);
    if (self->hedging && head.conversation == 0 && s_draw (self, 4)
        && !(head.flags & (RP_FLAG_STREAM | RP_FLAG_MORE))) {
        head.flags |= RP_FLAG_HEDGE;
        head.headers = hedge;
        head.headers_size = s_draw (self, 32) ? sizeof hedge : 0;
        head.attempts = (uint8_t) (head.attempts + (s_draw (self, 4) > 0));
    }
    if (head.id % 32 == 0 && head.conversation == 0
        && !(head.flags & (RP_FLAG_STREAM | RP_FLAG_MORE | RP_FLAG_HEDGE)))
        head.flags |= RP_FLAG_ALL;
    if (self->ruled && service >= 30)
        s_name (&head, s_own_names[s_draw (self, 4)]);
    else
        s_name (&head, s_services[service < 30 ? service % 3 : service - 27]);
    audit_message (
      &self->audit, s_draw_role (self, false), &head, s_draw (self, 200), s_draw (self, 64) == 63);
}

/*  Sends several requests of one client for one service, so that shares show.  */
static void s_burst (sequence_t *self)
{
    rp_session_id_t client = s_draw_role (self, false);
    for (unsigned count = 1 + s_draw (self, 40); count > 0; count--) {
        rp_head_t head = {.command = RP_COMMAND_REQUEST,
          .id = 1000 + s_draw (self, 1000),
          .deadline_ms = 60000,
          .attempts = 1};
        s_name (&head, s_services[0]);
        audit_message (&self->audit, client, &head, 1, false);
    }
}

static void s_reply (sequence_t *self)
{
    static const uint8_t statuses[] = {
      RP_OK, RP_OK, RP_OK, RP_APP_ERROR, RP_WORKER_LOST, RP_WORKER_LOST, RP_OK, RP_BUSY};
    rp_head_t head = {.command = RP_COMMAND_REPLY};
    unsigned kind = s_draw (self, 16);
    head.status = statuses[s_draw (self, 64) == 63 ? 7 : s_draw (self, 7)];
    head.flags = s_draw (self, 8) == 7 ? RP_FLAG_LAST : 0;
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    rp_session_id_t sender = s_draw_role (self, true);
    if (kind < 13 && node) { // a request that it holds
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        head.id = delivery->token.v;
        sender = delivery->worker->id;
        if (head.status == RP_WORKER_LOST && kind % 4 == 0 && !delivery->begun)
            head.lost = RP_LOST_UNBEGUN;
    }
    else if (kind == 13 && node) { // a request that another one holds
        head.id = RP_CONTAINER (node, audit_delivery_t, node)->token.v;
    }
    else { // a request that it once held
        head.id = self->late[s_draw (self, SEQUENCE_LATE)].v;
    }
    if (head.id == 0)
        head.id = 77;
    audit_message (&self->audit, sender, &head, s_draw (self, 100), s_draw (self, 64) == 63);
}

/*  Sends a part of a reply, or a last part with a body that counts.  */
static void s_part (sequence_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    unsigned kind = s_draw (self, 16);
    size_t size = s_draw (self, 100);
    rp_head_t head = {.command = RP_COMMAND_REPLY,
      .flags = kind < 11 ? RP_FLAG_MORE : 0,
      .status = (uint8_t) (kind == 10 ? 1 + s_draw (self, RP_WORKER_LOST) : RP_OK),
      .id = self->late[s_draw (self, SEQUENCE_LATE)].v};
    rp_session_id_t sender = s_draw_role (self, true);
    if (node && kind < 15) {
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        head.id = delivery->token.v;
        sender = delivery->worker->id;
        // Of parts that nobody granted few are sent: each ends a session.
        if (head.flags & RP_FLAG_MORE && head.status == RP_OK
            && !(delivery->worker->traits & RP_TRAIT_PARTS) && s_draw (self, 16)
            && !(delivery->request
                 && audit_stream_passes (delivery->request, delivery->worker, &head, size)))
            return;
    }
    if (head.id == 0)
        head.id = 77;
    if (s_draw (self, 2))
        head.flags |= RP_FLAG_INLINE;
    audit_message (&self->audit, sender, &head, size, s_draw (self, 64) == 63);
}

/*  Returns a grant: mostly a little more than before, sometimes less, or far too much.  */
static uint64_t s_draw_grant (sequence_t *self, const audit_flow_t *flow)
{
    uint64_t step = s_draw (self, 200);
    switch (s_draw (self, 32)) {
        case 0:
            return flow->granted > step ? flow->granted - step : 1;
        case 1:
            return flow->granted + 10000 + (step << 56);
        case 2:
            return flow->granted + 1 + step;
        default: // what the limit allows
            step += flow->granted + RP_PART_COST;
            return step < flow->passed + SEQUENCE_GRANT ? step : flow->passed + SEQUENCE_GRANT;
    }
}

/*  Draws a request: mostly one with a body in parts that a worker has; granted: and of which it has granted some.
    NULL if there is none at all.  */
static audit_request_t *s_draw_stream (sequence_t *self, bool granted)
{
    audit_request_t *request = NULL;
    for (unsigned tries = 0; tries < 12; tries++) {
        rp_list_node_t *node = s_draw_node (self, &self->audit.requests);
        request = node ? RP_CONTAINER (node, audit_request_t, node) : NULL;
        if (!request
            || (granted ? request->body.granted > 0
                        : request->delivery && (request->stream || request->more)))
            break;
    }
    return request;
}

/*  A worker that holds a request, or its client, grants more of what it reads.  */
static void s_grant (sequence_t *self)
{
    audit_request_t *request = s_draw_stream (self, false);
    rp_head_t head = {.command = RP_COMMAND_GRANT, .id = 99, .granted = 1 + s_draw (self, 400)};
    bool strict = s_draw (self, 16);
    rp_session_id_t sender = s_draw_role (self, s_draw (self, 2));
    if (request && request->delivery && (request->more || !strict) && s_draw (self, 2)) {
        head.id = request->delivery->token.v;
        head.granted = s_draw_grant (self, &request->body);
        sender = request->delivery->worker->id;
    }
    else if (request && (request->stream || !strict)) {
        head.id = request->id;
        head.granted = s_draw_grant (self, &request->reply);
        sender = request->client->id;
    }
    audit_message (&self->audit, sender, &head, s_draw (self, 128) == 127, false);
}

/*  Sends a PART of a request: mostly what its worker has granted.  */
static void s_body_part (sequence_t *self)
{
    audit_request_t *request = s_draw_stream (self, true);
    rp_head_t head = {.command = RP_COMMAND_PART,
      .flags = (uint16_t) ((s_draw (self, 8) ? RP_FLAG_MORE : 0)
                           | (s_draw (self, 2) ? RP_FLAG_INLINE : 0)),
      .id = 99};
    rp_session_id_t sender = s_draw_role (self, false);
    size_t size = s_draw (self, 100);
    bool strict = s_draw (self, 16) && !(request && request->body.over && s_draw (self, 4) == 3);
    uint64_t left = request ? request->body.granted - request->body.passed : 0;
    if (request && (!strict || (request->more && left >= RP_PART_COST && !request->body.over))) {
        head.id = request->id;
        sender = request->client->id;
        if (strict && rp_wire_part_cost (size) > left)
            size = left - RP_PART_COST;
        if (request->body.over) // it costs nothing, so the end alone forbids it
            head.flags &= (uint16_t) ~RP_FLAG_MORE;
    }
    audit_message (&self->audit, sender, &head, size, s_draw (self, 64) == 63);
}

static void s_cancel (sequence_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.requests);
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = 99};
    rp_session_id_t sender = s_draw_role (self, false);
    if (node && s_draw (self, 16) < 15) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        head.id = request->id;
        sender = request->client->id;
    }
    audit_message (&self->audit, sender, &head, 0, false);
}

/*  Any of the small commands, from a peer that may not be allowed to send it.  */
static void s_small (sequence_t *self)
{
    static const uint8_t commands[] = {RP_COMMAND_CREDIT, RP_COMMAND_CREDIT, RP_COMMAND_CREDIT,
      RP_COMMAND_END, RP_COMMAND_END, RP_COMMAND_HEARTBEAT, RP_COMMAND_DRAIN, RP_COMMAND_BYE,
      RP_COMMAND_WELCOME, RP_COMMAND_HELLO};
    static const uint32_t times[] = {0, 1, 40, 100, 3000, 10000000, UINT32_MAX, 64};
    rp_head_t head = {.command = commands[s_draw (self, s_draw (self, 32) == 31 ? 10 : 7)]};
    bool worker = s_draw (self, 2);
    switch (head.command) {
        case RP_COMMAND_CREDIT:
            head.window = s_draw (self, 64) == 63 ? 4097 : s_draw (self, 5);
            head.takes_us = times[s_draw (self, 8)];
            worker = true;
            break;
        case RP_COMMAND_END:
            head.conversation = 1 + s_draw (self, 5);
            worker = false;
            break;
        case RP_COMMAND_HEARTBEAT:
            head.interval_ms = s_draw (self, 2) ? 0 : 1u << s_draw (self, 16);
            break;
        default:
            break;
    }
    audit_message (
      &self->audit, s_draw_role (self, worker), &head, s_draw (self, 128) == 127, false);
}

static void s_bye (sequence_t *self)
{
    rp_head_t head = {.command = RP_COMMAND_BYE};
    audit_message (&self->audit, s_draw_role (self, s_draw (self, 2)), &head, 0, false);
}

static void s_bad (sequence_t *self)
{
    unsigned error = 1 + s_draw (self, RP_WIRE_ERROR_COUNT - 1);
    audit_bad (&self->audit, s_draw_role (self, s_draw (self, 2)), (rp_wire_error_t) error,
      s_draw (self, 8) == 7);
}

static void s_unsent (sequence_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    bool full = s_draw (self, 2);
    audit_delivery_t *delivery = node ? RP_CONTAINER (node, audit_delivery_t, node) : NULL;
    if (delivery && !delivery->begun && s_draw (self, 8))
        audit_unsent (&self->audit, delivery->worker->id, delivery, full);
    else
        audit_unsent (&self->audit, s_draw_role (self, s_draw (self, 2)), NULL, full);
}

static void s_time (sequence_t *self)
{
    static const int64_t steps[] = {0, 1000, 1000, 5000, 60000, 700000, 3000000, 200000000};
    int64_t to = self->audit.now + steps[s_draw (self, 8)];
    switch (s_draw (self, 4)) {
        case 0: // events come before the tick
            self->audit.now = to;
            break;
        case 1: // one tick, however late
            audit_tick (&self->audit, to);
            break;
        default:
            if (to > self->audit.now + 5000000) // hours of heartbeats show nothing new
                to = self->audit.now + 5000000;
            audit_pass (&self->audit, to);
            break;
    }
}

/*  Each peer that listens sends a sign of life, so that sessions last.  */
static void s_heartbeats (sequence_t *self)
{
    rp_session_id_t ids[64];
    unsigned count = 0;
    for (rp_list_node_t *node = rp_list_first (&self->audit.peers); node && count < 64;
         node = rp_list_next (&self->audit.peers, node))
        ids[count++] = RP_CONTAINER (node, audit_peer_t, node)->id;
    for (unsigned index = 0; index < count; index++)
        if (audit_find_peer (&self->audit, ids[index]))
            audit_message (
              &self->audit, ids[index], &(rp_head_t){.command = RP_COMMAND_HEARTBEAT}, 0, false);
}

/*  ---- Rules ---------------------------------------------------------------------------------- */

#define S_RULES_TEXT 2048u

static void s_append (char *text, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
static void s_append (char *text, const char *format, ...)
{
    size_t used = strlen (text);
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text + used, S_RULES_TEXT - used, format, arguments);
    va_end (arguments);
}

static void s_mistake (const char *message, void *arg)
{
    sequence_t *self = arg;
    self->audit.fail (message);
}

/*  Draws the lines of a principal: three rules files of four have a given permission, and few have
    one for all services.  */
static void s_draw_principal (sequence_t *self, char *text, const char *name)
{
    static const char *const services[] = {"a", "bb", "abc", "*"};
    static const char *const quotas[] = {"sessions", "open", "open_bytes", "rate"};
    static const unsigned most[] = {8, 12, 200, 8};
    s_append (text, "principal = \"%s\"\n", name);
    for (unsigned index = 0; index < 8; index++) {
        unsigned chance = s_draw (self, 16);
        bool all = index % 4 == 3;
        if (all ? chance == 15 : chance < 12 || (self->weighed && index % 4 == 0))
            s_append (text, "    %s = \"%s\"\n", index < 4 ? "call" : "serve", services[index % 4]);
    }
    unsigned more = s_draw (self, 64);
    s_append (text, "%s%s", more & 1 ? "    observe = 1\n" : "", more & 2 ? "    admin = 1\n" : "");
    for (unsigned index = 0; index < 4; index++)
        if (more >> 2 >> index & 1 && !self->weighed)
            s_append (text, "    %s = %u\n", quotas[index],
              1 + s_draw (self, most[index]) * (index == 2 ? 5 : 1));
    if (self->weighed && !(self->named && s_draw (self, 4)))
        s_append (text, "    weight = %u\n", 1 + s_draw (self, 10));
}

/*  Draws the weights of clients by their names; a name may have none.  */
static void s_draw_names (sequence_t *self, char *text)
{
    for (unsigned index = 0; index < 4; index++)
        if (s_draw (self, 4))
            s_append (text, "client = \"%s\"\n    weight = %u\n", s_client_rules[index],
              1 + s_draw (self, 10));
}

static rp_rules_t *s_draw_rules (sequence_t *self)
{
    char text[S_RULES_TEXT] = "";
    for (unsigned index = 0; index < 3; index++)
        if (s_draw (self, 16) < 15)
            s_draw_principal (
              self, text, s_principals[index] ? s_principals[index] : RP_PRINCIPAL_ANONYMOUS);
    if (self->named)
        s_draw_names (self, text);
    rp_rules_t *rules = rp_rules_read (text, strlen (text), s_mistake, self);
    if (!rules)
        abort ();
    return rules;
}

/*  Changes the rules, or takes them away for a while; or revokes a key.  */
static void s_change (sequence_t *self)
{
    if (s_draw (self, 2)) {
        audit_revoke (&self->audit, s_draw_role (self, s_draw (self, 2)));
        return;
    }
    rp_rules_t *rules = s_draw (self, 16) == 15 ? NULL : s_draw_rules (self);
    audit_change_rules (&self->audit, &rules);
}

/*  ---- Terms ---------------------------------------------------------------------------------- */

/*  Draws terms of a service, or none.  */
static void s_change_terms (sequence_t *self)
{
    static const char service[] = "bb";
    self->terms = (rp_terms_t){.name_size = sizeof service - 1};
    memcpy (self->terms.name, service, sizeof service);
    unsigned which = s_draw (self, 16);
    self->terms.concurrency = which & 1 ? 1 + s_draw (self, 3) : 0;
    self->terms.rate = which & 2 ? 1 + s_draw (self, 20) : 0;
    self->terms.queue = which & 4 ? 1 + s_draw (self, 10) : 0;
    self->terms.deadline = which & 4 ? 1 + s_draw (self, 1000) : 0;
    self->terms.attempts = which & 4 ? 1 + s_draw (self, 3) : 0;
    self->terms.overload = which & 8 ? s_draw (self, RP_OVERLOAD_LIFO + 1) : 0;
    if (which & 8 && self->terms.overload != RP_OVERLOAD_LIFO)
        self->terms.admission = s_draw (self, RP_SWITCH_ON + 1);
    audit_change_terms (&self->audit, (rp_terms_list_t){&self->terms, which ? 1 : 0});
}

/*  ---- All of it ------------------------------------------------------------------------------ */

static void s_event (sequence_t *self)
{
    if (self->ruled && s_draw (self, 32) == 31) {
        s_change (self);
        return;
    }
    unsigned shared = self->weighed ? s_draw (self, 16) : 0;
    if (shared >= 4) {
        if (shared == 4)
            s_hello (self, s_draw (self, 2));
        else if (shared < 7)
            s_burst (self);
        else
            s_reply (self);
        return;
    }
    if (self->throttled && s_draw (self, 32) == 31) {
        s_change_terms (self);
        return;
    }
    unsigned stream = self->streams ? s_draw (self, 16) : 0;
    if (stream >= 8) {
        if (stream < 10)
            s_grant (self);
        else if (stream < 13)
            s_body_part (self);
        else
            s_part (self);
        return;
    }
    unsigned kind = s_draw (self, 256);
    if (kind >= 240) {
        s_part (self);
        return;
    }
    if (kind >= 232) {
        s_foreign (self);
        return;
    }
    kind %= 128;
    if (kind < 8)
        s_hello (self, false);
    else if (kind < 20)
        s_hello (self, true);
    else if (kind < 56)
        s_request (self);
    else if (kind < 84)
        s_reply (self);
    else if (kind < 90)
        s_cancel (self);
    else if (kind < 100)
        s_small (self);
    else if (kind < 103)
        s_bye (self);
    else if (kind < 104)
        s_bad (self);
    else if (kind < 108)
        s_unsent (self);
    else if (kind < 111)
        audit_suspect (&self->audit, s_draw_role (self, s_draw (self, 2)));
    else if (kind < 124)
        s_time (self);
    else if (kind < 126)
        s_heartbeats (self);
    else if (kind < 127 && s_draw (self, 16) == 15)
        audit_drain (&self->audit);
    else if (s_draw (self, 64) == 63)
        audit_stop (&self->audit);
}

static rp_limits_t s_draw_limits (sequence_t *self)
{
    rp_limits_t limits = RP_LIMITS_DEFAULT;
    limits.max_body = 250; // for parts, whose sum the core limits
    limits.max_clients = 1 + s_draw (self, 6);
    limits.max_workers = 1 + s_draw (self, 8);
    limits.max_services = 1 + s_draw (self, 4);
    limits.max_conversations = 1 + s_draw (self, 8);
    limits.client_open = 1 + s_draw (self, 20);
    limits.service_queue = 1 + s_draw (self, 20);
    limits.service_queue_bytes = 50 + 10 * s_draw (self, 200);
    limits.total_queue = 1 + s_draw (self, 40);
    limits.total_queue_bytes = 50 + 20 * s_draw (self, 200);
    limits.rejoin_grace = s_draw (self, 4) == 3 ? 1000 : 0;
    limits.service_linger = s_draw (self, 2) ? 500 : 0;
    limits.conversation_idle = s_draw (self, 2) ? 400 : 600000;
    unsigned last = s_draw (self, 4);
    limits.drain_limit = last % 2 ? 1000 : 0;
    self->ruled = last / 2;
    self->weighed = self->ruled && s_draw (self, 2);
    self->named = self->weighed && s_draw (self, 2);
    if (self->weighed) // otherwise no two clients have requests waiting for long
        limits.client_open = limits.service_queue = limits.total_queue =
          limits.service_queue_bytes = limits.total_queue_bytes = 4000;
    static const uint32_t steps[] = {1, 50, 1000};
    limits.age_step = steps[s_draw (self, 3)];
    self->prioritised = s_draw (self, 2);
    self->throttled = s_draw (self, 2);
    self->streams = s_draw (self, 2);
    limits.stream_window = SEQUENCE_GRANT;
    static const uint32_t shares[] = {0, 5, 50, 100};
    limits.hedge_share = shares[s_draw (self, 4)];
    self->hedging = s_draw (self, 4) == 3;
    return limits;
}

void sequence_begin (sequence_t *self,
  sequence_draw_fn *draw,
  audit_observe_fn *observe,
  void *arg,
  audit_fail_fn *fail)
{
    *self = (sequence_t){.draw = draw, .observe = observe, .arg = arg};
    rp_limits_t limits = s_draw_limits (self);
    rp_rules_t *rules = self->ruled ? s_draw_rules (self) : NULL;
    audit_init (&self->audit, &limits, &rules, 1000000000, fail);
    self->audit.observe = s_observe;
    self->audit.arg = self;
}

void sequence_step (sequence_t *self)
{
    s_event (self);
    if (s_draw (self, 4)) // the shell ticks after each batch of events
        audit_tick (&self->audit, self->audit.now);
}

void sequence_end (sequence_t *self)
{
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->audit.peers)))
        audit_revoke (&self->audit, RP_CONTAINER (node, audit_peer_t, node)->id);
    audit_clear (&self->audit);
}
