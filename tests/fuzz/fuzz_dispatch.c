/*  Fuzzer of the broker's core: bytes are read as a sequence of events.

    SPDX-License-Identifier: MPL-2.0

    The first bytes choose small limits, so that they are hit; then each event takes a byte for its
    kind and a few for its details. After every event the auditor (tests/support/audit.h) checks
    what must hold. Any sequence is allowed: replies that are late or forged, sends that fail,
    clocks that jump.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/heap.h"
#include "tests/support/audit.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_EVENTS_MAX 600u

typedef struct {
    const uint8_t *at;
    size_t left;
    audit_t audit;
    rp_token_t late[16]; /* tokens of deliveries past and present */
    unsigned late_count;
} s_fuzz_t;

static void s_fail (const char *text)
{
    fprintf (stderr, "broken: %s\n", text);
    abort ();
}

/*  A number below this, from the input; 0 when that is used up.  */
static unsigned s_draw (s_fuzz_t *self, unsigned below)
{
    if (self->left == 0)
        return 0;
    self->left--;
    return *self->at++ % below;
}

static size_t s_count (const rp_list_t *list)
{
    size_t count = 0;
    for (rp_list_node_t *node = rp_list_first (list); node; node = rp_list_next (list, node))
        count++;
    return count;
}

static rp_list_node_t *s_draw_node (s_fuzz_t *self, const rp_list_t *list)
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

static audit_peer_t *s_draw_peer (s_fuzz_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.peers);
    return node ? RP_CONTAINER (node, audit_peer_t, node) : NULL;
}

/*  Mostly of the role that the event is for; sometimes of the other, or nobody.  */
static rp_peer_id_t s_draw_role (s_fuzz_t *self, bool worker)
{
    if (s_draw (self, 32) == 31)
        return (rp_peer_id_t) {s_draw (self, 2)};
    for (unsigned tries = 0; tries < 8; tries++) {
        audit_peer_t *peer = s_draw_peer (self);
        if (peer && peer->worker == worker)
            return peer->id;
    }
    audit_peer_t *peer = s_draw_peer (self);
    return (rp_peer_id_t) {peer ? peer->id.v : 0};
}

static void s_remember (const rp_action_t *action, rp_payload_t *message, void *arg)
{
    s_fuzz_t *self = arg;
    (void) message;
    if (action->kind == RP_ACTION_SEND && action->token.v)
        self->late[self->late_count++ % 16] = action->token;
}

/*  ---- Events --------------------------------------------------------------------------------- */

static const char *const s_services[] = {"a", "bb", "abc", "riposte.ping", "mmi.x"};

static void s_name (rp_head_t *head, const char *name)
{
    head->name = name;
    head->name_size = 0;
    while (name[head->name_size])
        head->name_size++;
}

static void s_hello (s_fuzz_t *self, bool worker)
{
    static const unsigned intervals[] = {60000, 60000, 1000, 50, 0};
    rp_head_t head = {.command = RP_COMMAND_HELLO, .time = intervals[s_draw (self, 5)]};
    if (worker) {
        unsigned service = s_draw (self, 16);
        head.flags = RP_FLAG_WORKER;
        head.value = s_draw (self, 64) == 63 ? 5000 : s_draw (self, 4);
        s_name (&head, s_services[service < 14 ? service % 3 : service - 11]);
    }
    audit_message (&self->audit, (rp_peer_id_t) {0}, &head, 0, s_draw (self, 64) == 63);
}

static void s_request (s_fuzz_t *self)
{
    static const unsigned times[] = {0, 1, 20, 500, 3000, 60000, 60000, 60000};
    static const unsigned waits[] = {0, 0, 0, 10, 1000, 70000};
    unsigned service = s_draw (self, 32);
    unsigned talk = s_draw (self, 8);
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .id = 1 + s_draw (self, 250),
      .conversation = talk < 4 ? 0 : talk - 3,
      .flags = (uint16_t) (talk >= 4 && s_draw (self, 4) ? RP_FLAG_OPEN : 0),
      .time = times[s_draw (self, 8)],
      .value = waits[s_draw (self, 6)],
      .attempts = (uint8_t) (1 + s_draw (self, 3))};
    s_name (&head, s_services[service < 30 ? service % 3 : service - 27]);
    audit_message (
      &self->audit, s_draw_role (self, false), &head, s_draw (self, 200), s_draw (self, 64) == 63);
}

static void s_reply (s_fuzz_t *self)
{
    static const uint8_t statuses[] = {
      RP_OK, RP_OK, RP_OK, RP_APP_ERROR, RP_WORKER_LOST, RP_WORKER_LOST, RP_OK, RP_BUSY};
    rp_head_t head = {.command = RP_COMMAND_REPLY};
    unsigned kind = s_draw (self, 16);
    head.status = statuses[s_draw (self, 64) == 63 ? 7 : s_draw (self, 7)];
    head.flags = s_draw (self, 8) == 7 ? RP_FLAG_LAST : 0;
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    rp_peer_id_t sender = s_draw_role (self, true);
    if (kind < 13 && node) { // what it holds
        const audit_delivery_t *delivery = RP_CONTAINER (node, audit_delivery_t, node);
        head.id = delivery->token.v;
        sender = delivery->worker->id;
    } else if (kind == 13 && node) { // what another holds
        head.id = RP_CONTAINER (node, audit_delivery_t, node)->token.v;
    } else { // what it held once
        head.id = self->late[s_draw (self, 16)].v;
    }
    if (head.id == 0)
        head.id = 77;
    audit_message (&self->audit, sender, &head, s_draw (self, 100), s_draw (self, 64) == 63);
}

static void s_cancel (s_fuzz_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.requests);
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = 99};
    rp_peer_id_t sender = s_draw_role (self, false);
    if (node && s_draw (self, 16) < 15) {
        const audit_request_t *request = RP_CONTAINER (node, audit_request_t, node);
        head.id = request->id;
        sender = request->client->id;
    }
    audit_message (&self->audit, sender, &head, 0, false);
}

/*  Any of the small commands, from a peer for whom it may be out of place.  */
static void s_small (s_fuzz_t *self)
{
    static const uint8_t commands[] = {
      RP_COMMAND_CREDIT, RP_COMMAND_CREDIT, RP_COMMAND_CREDIT, RP_COMMAND_END, RP_COMMAND_END,
      RP_COMMAND_HEARTBEAT, RP_COMMAND_DRAIN, RP_COMMAND_BYE, RP_COMMAND_WELCOME,
      RP_COMMAND_HELLO};
    rp_head_t head = {.command = commands[s_draw (self, s_draw (self, 32) == 31 ? 10 : 7)]};
    bool worker = s_draw (self, 2);
    switch (head.command) {
        case RP_COMMAND_CREDIT:
            head.value = s_draw (self, 64) == 63 ? 4097 : s_draw (self, 5);
            worker = true;
            break;
        case RP_COMMAND_END:
            head.conversation = 1 + s_draw (self, 5);
            worker = false;
            break;
        default:
            break;
    }
    audit_message (
      &self->audit, s_draw_role (self, worker), &head, s_draw (self, 128) == 127, false);
}

static void s_bye (s_fuzz_t *self)
{
    rp_head_t head = {.command = RP_COMMAND_BYE};
    audit_message (&self->audit, s_draw_role (self, s_draw (self, 2)), &head, 0, false);
}

static void s_bad (s_fuzz_t *self)
{
    unsigned error = 1 + s_draw (self, RP_WIRE_ERROR_COUNT - 1);
    audit_bad (
      &self->audit, s_draw_role (self, s_draw (self, 2)), (rp_wire_error_t) error,
      s_draw (self, 8) == 7);
}

static void s_unsent (s_fuzz_t *self)
{
    rp_list_node_t *node = s_draw_node (self, &self->audit.deliveries);
    bool full = s_draw (self, 2);
    audit_delivery_t *delivery = node ? RP_CONTAINER (node, audit_delivery_t, node) : NULL;
    if (delivery && s_draw (self, 8))
        audit_unsent (&self->audit, delivery->worker->id, delivery, full);
    else
        audit_unsent (&self->audit, s_draw_role (self, s_draw (self, 2)), NULL, full);
}

static void s_time (s_fuzz_t *self)
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
            if (to > self->audit.now + 5000000) // hours of heartbeats teach nothing
                to = self->audit.now + 5000000;
            audit_pass (&self->audit, to);
            break;
    }
}

/*  Whoever listens says that it is there, so that sessions last.  */
static void s_heartbeats (s_fuzz_t *self)
{
    rp_peer_id_t ids[64];
    unsigned count = 0;
    for (rp_list_node_t *node = rp_list_first (&self->audit.peers); node && count < 64;
         node = rp_list_next (&self->audit.peers, node))
        ids[count++] = RP_CONTAINER (node, audit_peer_t, node)->id;
    for (unsigned index = 0; index < count; index++)
        if (audit_find_peer (&self->audit, ids[index]))
            audit_message (
              &self->audit, ids[index], &(rp_head_t) {.command = RP_COMMAND_HEARTBEAT}, 0, false);
}

static void s_step (s_fuzz_t *self)
{
    unsigned kind = s_draw (self, 128);
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

static rp_limits_t s_draw_limits (s_fuzz_t *self)
{
    rp_limits_t limits = RP_LIMITS_DEFAULT;
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
    limits.drain_limit = s_draw (self, 2) ? 1000 : 0;
    return limits;
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    s_fuzz_t fuzz = {.at = data, .left = size};
    rp_limits_t limits = s_draw_limits (&fuzz);
    audit_init (&fuzz.audit, &limits, 1000000000, s_fail);
    fuzz.audit.observe = s_remember;
    fuzz.audit.arg = &fuzz;
    for (unsigned event = 0; event < S_EVENTS_MAX && fuzz.left > 0; event++) {
        s_step (&fuzz);
        if (s_draw (&fuzz, 4)) // the shell ticks after each batch of events
            audit_tick (&fuzz.audit, fuzz.audit.now);
    }
    audit_clear (&fuzz.audit);
    return 0;
}
