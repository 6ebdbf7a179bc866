/*  Fuzzer of the client's core: bytes are read as a sequence of events, with anything that a broker
    may send.

    SPDX-License-Identifier: MPL-2.0

    After every event all orders are taken and checked against what CONTRACT promises a client: each
    request ends exactly once and in time; a request with a status that proves that nothing ran was
    never left with a broker; attempts = 1 is sent once, and so is a durable one without a key; an id
    is never used twice; a stream writes no more than it was granted and grants no more than its window beyond what
    was taken; nothing is sent without a session, and nothing durable to a broker without
    jobs.
*/

#include <string.h>

#include "client/client_core.h"
#include "common/wire/headers.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_EVENTS_MAX 600u
#define S_REQUESTS 24u
#define S_CONVERSATIONS 3u
#define S_MS 1000
#define S_SECOND 1000000
#define S_GRACE (RP_DEADLINE_GRACE_MS * S_MS)

typedef struct {
    rp_exchange_t exchange; /* first, so that an order's exchange is also its request */
    bool open;
    bool replied;        /* the last message ended the request */
    unsigned sent;       /* times sent, less those that unsent took back */
    unsigned unanswered; /* times sent without a reply */
    unsigned attempts;   /* attempts that its last head allowed */
    unsigned refused;    /* replies that prove that nothing ran: another broker may be asked */
    bool elsewhere;      /* the latest reply was one of those */
    int64_t deadline;
    rp_exchange_stream_t stream; /* of one that has a stream */
    uint64_t untaken; /* bytes of parts that came, and that the application has not taken */
    unsigned parts;   /* that they are of */
    uint64_t granted; /* as last said to the broker */
} s_request_t;

typedef struct {
    bytes_t bytes;
    rp_client_core_t core;
    s_request_t requests[S_REQUESTS];
    rp_client_conversation_t conversations[S_CONVERSATIONS];
    uint64_t last_id;
    uint64_t late[8]; /* ids of earlier requests */
    unsigned late_count;
    unsigned open;
    bool connection; /* a connection is open */
    bool greeted;    /* HELLO was sent over that connection */
    bool closed;
    int64_t now;
} s_world_t;

static unsigned s_draw (s_world_t *self, unsigned below)
{
    return bytes_draw (&self->bytes, below);
}

/*  Draws an open request, or any if none is open.  */
static s_request_t *s_draw_open (s_world_t *self)
{
    unsigned first = s_draw (self, S_REQUESTS);
    for (unsigned step = 0; step < S_REQUESTS; step++) {
        s_request_t *request = &self->requests[(first + step) % S_REQUESTS];
        if (request->open)
            return request;
    }
    return &self->requests[first];
}

/*  ---- Orders --------------------------------------------------------------------------------- */

/*  A grant says more than the one before, and lets the window be written beyond what was taken.  */
static void s_on_grant (s_world_t *self, const rp_head_t *head)
{
    for (unsigned index = 0; index < S_REQUESTS; index++) {
        s_request_t *request = &self->requests[index];
        const rp_flow_reader_t *reader = &request->stream.reader;
        if (!request->open || !request->exchange.stream || request->exchange.wire_id != head->id)
            continue;
        bytes_require (head->granted > request->granted, "a grant that says nothing");
        bytes_require (head->granted <= reader->taken + reader->window, "granted too much");
        request->granted = head->granted;
        return;
    }
    bytes_require (false, "a grant for what is no stream");
}

static void s_on_say (s_world_t *self, const rp_head_t *head)
{
    bytes_require (self->connection, "something is said without a connection");
    if (head->command == RP_COMMAND_HELLO) {
        bytes_require (!self->greeted, "a second HELLO");
        self->greeted = true;
        return;
    }
    bytes_require (self->greeted, "something is said before HELLO");
    bytes_require (head->command == RP_COMMAND_HEARTBEAT || head->command == RP_COMMAND_BYE
                     || head->command == RP_COMMAND_CANCEL || head->command == RP_COMMAND_GRANT,
      "a command that no client says");
    if (head->command == RP_COMMAND_CANCEL || head->command == RP_COMMAND_GRANT)
        bytes_require (
          head->id != 0 && head->id <= self->last_id, "a CANCEL or GRANT of what was never sent");
    if (head->command == RP_COMMAND_GRANT)
        s_on_grant (self, head);
}

static void s_check_conversation (
  const s_world_t *self, const s_request_t *request, const rp_head_t *head)
{
    const rp_client_conversation_t *conversation = request->exchange.conversation;
    bytes_require (
      (conversation != NULL) == (head->conversation != 0), "a conversation from nowhere");
    if (!conversation)
        return;
    bytes_require (
      !conversation->over && head->conversation == conversation->key, "another's conversation");
    for (unsigned index = 0; index < S_CONVERSATIONS; index++)
        bytes_require (conversation == &self->conversations[index]
                         || conversation->key != self->conversations[index].key,
          "two conversations under one name");
    for (unsigned index = 0; head->flags & RP_FLAG_OPEN && index < S_REQUESTS; index++) {
        const s_request_t *other = &self->requests[index];
        bytes_require (other == request || other->exchange.conversation != conversation
                         || conversation->opener != &other->exchange,
          "two requests that begin one conversation");
    }
}

static void s_on_send (s_world_t *self, const rp_client_order_t *order)
{
    s_request_t *request = (s_request_t *) order->exchange;
    const rp_head_t *head = &order->head;
    bytes_require (
      self->connection && self->core.link.state == RP_LINK_UP, "sent without a session");
    bytes_require (request->open, "sent, and not open");
    bytes_require (self->now < request->deadline, "sent after its deadline");
    bytes_require (head->id == request->exchange.wire_id, "sent under another's id");
    bytes_require (
      head->attempts >= 1 && head->attempts <= request->exchange.attempts, "attempts from nowhere");
    const rp_exchange_t *exchange = &request->exchange;
    bool durable = head->flags & RP_FLAG_DURABLE;
    bytes_require (durable == exchange->durable && (!durable || self->core.keeps_jobs),
      "a durable request that is none, or that the broker does not know");
    bool keyed = head->flags & RP_FLAG_KEYED;
    bool streams = head->flags & RP_FLAG_STREAM;
    bytes_require (streams == (exchange->stream != NULL) && (!streams || self->core.streams),
      "a stream that is none, or that the broker does not know");
    bytes_require (!streams || !exchange->stream->passed, "sent again after a part");
    bytes_require (keyed == (exchange->keyed && !durable && !exchange->conversation)
                     && (!keyed || self->core.remembers),
      "a key that is not there, or that the broker does not know");
    bytes_require (request->sent == 0 || request->elsewhere || head->attempts < request->attempts
                     || (durable && exchange->keyed),
      "another attempt for nothing");
    bytes_require (!self->core.broker_open || self->core.running_count <= self->core.broker_open,
      "more than the broker takes");
    s_check_conversation (self, request, head);
    if (s_draw (self, 16) == 15) {
        rp_client_core_unsent (&self->core, &request->exchange, self->now);
        return;
    }
    bytes_require (
      head->id != request->exchange.id || request->sent == 0, "the same id for two attempts");
    request->granted = request->stream.reader.granted;
    request->untaken = request->parts = 0;
    request->sent++;
    request->unanswered++;
    request->attempts = head->attempts;
    request->elsewhere = false;
    bytes_require (request->sent <= (durable ? 1u : exchange->attempts) + request->refused
                     || (durable && exchange->keyed),
      "sent more often than allowed");
    if (head->id > self->last_id)
        self->last_id = head->id;
    self->late[self->late_count++ % 8] = head->id;
}

static void s_on_ended (s_world_t *self, s_request_t *request)
{
    const rp_exchange_t *exchange = &request->exchange;
    int status = (int) exchange->status;
    bytes_require (request->open, "ended twice");
    request->open = false;
    self->open--;
    bytes_require (rp_status_name (status)[0] != '?', "a status that there is not");
    bytes_require (exchange->ended >= exchange->submitted, "ended before it was submitted");
    if (exchange->end == RP_END_REPLY)
        bytes_require (request->replied, "a reply that never came");
    else
        bytes_require (status != RP_OK && status != RP_APP_ERROR, "an answer without a reply");
    if (request->unanswered) {
        bytes_require (!rp_status_is_safe_to_retry (status), "safe to retry, and with a broker");
        bytes_require (exchange->unseen || exchange->end == RP_END_REPLY,
          "it may have run, and says it did not");
    }
}

static void s_obey (s_world_t *self)
{
    rp_client_order_t order;
    while (rp_client_core_next_order (&self->core, &order, self->now))
        switch (order.kind) {
            case RP_CLIENT_OPEN:
                bytes_require (!self->connection && !self->closed, "a second connection");
                bytes_require (order.endpoint[0] != '\0', "a connection to nowhere");
                self->connection = true;
                self->greeted = false;
                break;
            case RP_CLIENT_CLOSE:
                self->connection = false;
                break;
            case RP_CLIENT_SAY:
                s_on_say (self, &order.head);
                break;
            case RP_CLIENT_SEND:
                s_on_send (self, &order);
                break;
            case RP_CLIENT_ENDED:
                s_on_ended (self, (s_request_t *) order.exchange);
                break;
        }
}

static unsigned s_length (const rp_list_t *list)
{
    unsigned count = 0;
    for (const rp_list_node_t *node = rp_list_first (list); node; node = rp_list_next (list, node))
        count++;
    return count;
}

static void s_check (const s_world_t *self)
{
    const rp_client_core_t *core = &self->core;
    unsigned states[RP_EXCHANGE_ENDED + 1] = {0};
    for (unsigned index = 0; index < S_REQUESTS; index++) {
        const s_request_t *request = &self->requests[index];
        bytes_require (
          request->open == (request->exchange.state != RP_EXCHANGE_IDLE), "lost from sight");
        states[request->exchange.state]++;
    }
    bytes_require (states[RP_EXCHANGE_ENDED] == 0, "an end that nobody was told of");
    bytes_require (core->open_count == self->open, "the count of open requests");
    bytes_require (core->timers.count == self->open, "a request without a timer");
    bytes_require (core->running_count == states[RP_EXCHANGE_RUNNING], "the count of those sent");
    bytes_require (s_length (&core->running) == core->running_count, "the list of those sent");
    bytes_require (
      s_length (&core->waiting) == states[RP_EXCHANGE_WAITING], "the list of those that wait");
    bytes_require (core->link.state == RP_LINK_UP || core->running_count == 0,
      "with a broker that is not there");
    bytes_require (self->connection
                     == (core->link.state >= RP_LINK_CONNECTING && core->link.state <= RP_LINK_UP),
      "a connection that nobody wants, or none");
}

/*  ---- Events --------------------------------------------------------------------------------- */

static void s_submit (s_world_t *self)
{
    static const uint32_t timeouts[] = {0, 1, 20, 500, 3000, 3000, 60000, 60000};
    s_request_t *request = &self->requests[s_draw (self, S_REQUESTS)];
    unsigned conversation = s_draw (self, 2 * S_CONVERSATIONS);
    unsigned kind = s_draw (self, 8); // 4 and 5 are durable, and from 5 on they have keys
    rp_exchange_t made = {
      .size = s_draw (self, 200),
      .conversation =
        kind < 4 && conversation < S_CONVERSATIONS && !self->conversations[conversation].over
          ? &self->conversations[conversation]
          : NULL,
      .timeout_ms = timeouts[s_draw (self, 8)],
      .attempts = (uint8_t) (1 + kind % 4),
      .durable = kind == 4 || kind == 5,
      .keyed = kind >= 5,
    };
    if (request->open)
        return;
    *request =
      (s_request_t){.exchange = made, .deadline = self->now + (int64_t) made.timeout_ms * S_MS};
    request->stream = (rp_exchange_stream_t){.window = 300, .most = 2000, .writes = made.size & 1};
    if (kind == 2 || kind == 3)
        request->exchange.stream = &request->stream;
    bool full = self->open >= self->core.config.max_open;
    int rc = rp_client_core_submit (&self->core, &request->exchange, self->now);
    bytes_require (rc
                     == (self->closed ? RP_CLOSED
                         : full       ? RP_FULL
                                      : RP_OK),
      "taken, or refused, without reason");
    if (rc == RP_OK) {
        request->open = true;
        self->open++;
    }
}

/*  The application takes what came of a stream, as one part or as all of them.  */
static void s_take_parts (s_world_t *self, s_request_t *request)
{
    for (unsigned left = s_draw (self, 4) ? 1 : request->parts; left > 0 && request->parts > 0;
         left--) {
        uint64_t size = request->untaken / request->parts;
        request->untaken -= size;
        request->parts--;
        rp_client_core_took (&self->core, &request->exchange, size, self->now);
    }
}

/*  The application writes a stream, at any time.  */
static void s_write (s_world_t *self, s_request_t *request)
{
    rp_head_t head;
    const rp_flow_writer_t *writer = &request->stream.writer;
    bool was_over = request->stream.written;
    while (rp_client_core_write (
      &self->core, &request->exchange, 1 + s_draw (self, 100), &head, self->now))
        bytes_require (!was_over && request->exchange.state == RP_EXCHANGE_RUNNING
                         && head.command == RP_COMMAND_PART && head.flags & RP_FLAG_MORE
                         && head.id == request->exchange.wire_id
                         && writer->written <= writer->granted,
          "written too much, or to nobody");
    if (s_draw (self, 4) == 3
        && rp_client_core_write_end (&self->core, &request->exchange, &head, self->now))
        bytes_require (!was_over && writer->granted > 0 && !(head.flags & RP_FLAG_MORE)
                         && head.id == request->exchange.wire_id,
          "a body that ends twice, or before a worker reads it");
}

/*  The application goes on with one of its streams.  */
static void s_stream (s_world_t *self)
{
    s_request_t *request = s_draw_open (self);
    if (!request->open || !request->exchange.stream)
        return;
    s_take_parts (self, request);
    if (request->stream.writes)
        s_write (self, request);
}

/*  A part or a grant came. A part that was not granted ends the request, as in the shell.  */
static void s_flow (s_world_t *self, s_request_t *request, const rp_head_t *came)
{
    bytes_require (request->open && request->exchange.stream, "a part for what is no stream");
    bytes_require (request->exchange.wire_id == came->id, "a part of another's body");
    if (came->command == RP_COMMAND_REPLY) {
        uint64_t size = s_draw (self, 100);
        if (!rp_flow_came (&request->stream.reader, size, self->now)) {
            rp_client_core_cancel (&self->core, request->exchange.id, self->now);
            return;
        }
        request->untaken += size;
        request->parts++;
        return;
    }
    bytes_require (request->stream.writes, "a grant for what is not written");
    s_write (self, request);
}

static void s_hear (s_world_t *self, rp_head_t head)
{
    rp_exchange_t *ended = rp_client_core_message (&self->core, &head, self->now);
    if (!ended)
        return;
    s_request_t *request = (s_request_t *) ended;
    if (head.flags & RP_FLAG_MORE || head.command == RP_COMMAND_GRANT) {
        s_flow (self, request, &head);
        return;
    }
    bytes_require (head.command == RP_COMMAND_REPLY
                     || (head.command == RP_COMMAND_ACCEPTED && request->exchange.durable),
      "ended by what is no answer");
    bytes_require (request->open, "ended by another's reply");
    bytes_require (request->exchange.wire_id == head.id, "ended by a reply to another id");
    request->replied = true;
}

static void s_welcome (s_world_t *self)
{
    static const uint32_t times[] = {500, 500, 500, 50, 60000, 0, 49, UINT32_MAX};
    static const char *const bodies[] = {"100", "1000", "0", "x", "99999999999999999999"};
    uint8_t headers[64];
    size_t size = 0;
    unsigned body = s_draw (self, 8);
    if (body < 5)
        (void) rp_headers_append (headers, &size, sizeof headers, "max-body", bodies[body]);
    if (body >= 5)
        (void) rp_headers_append (
          headers, &size, sizeof headers, RP_WELCOME_JOBS, body == 5 ? "2" : "1");
    s_hear (self, (rp_head_t){.command = RP_COMMAND_WELCOME,
                    .interval_ms = times[s_draw (self, 8)],
                    .max_open = s_draw (self, 8),
                    .headers = headers,
                    .headers_size = (uint16_t) size});
}

static void s_reply (s_world_t *self)
{
    static const uint8_t statuses[] = {RP_OK, RP_OK, RP_BUSY, RP_DRAINING, RP_CONVERSATION_LOST};
    s_request_t *request = s_draw_open (self);
    unsigned kind = s_draw (self, 8);
    unsigned status = s_draw (self, 20);
    if (request->open && request->exchange.stream && status < 14)
        status = 17 + status % 2; // a stream has many of these before its end
    bool accepts = status == 19;
    rp_head_t head = {.command = accepts ? RP_COMMAND_ACCEPTED : RP_COMMAND_REPLY,
      .id = kind < 6 ? request->exchange.wire_id : self->late[s_draw (self, 8)],
      .status = accepts      ? RP_OK
                : status < 5 ? statuses[status]
                             : (uint8_t) (status % (RP_STATUS_LAST + 1)),
      .flags = s_draw (self, 8) == 7 ? RP_FLAG_LAST : 0};
    if (status == 18)
        head = (rp_head_t){.command = RP_COMMAND_GRANT, .id = head.id, .granted = 1 + kind * 40};
    else if (status == 17) {
        head.flags = RP_FLAG_MORE;
        head.status = kind ? RP_OK : RP_BUSY;
    }
    for (unsigned index = 0; index < S_REQUESTS; index++) {
        s_request_t *other = &self->requests[index];
        bool answered = other->open && other->exchange.state == RP_EXCHANGE_RUNNING
                        && other->exchange.wire_id == head.id && other->unanswered
                        && self->core.link.state == RP_LINK_UP && status != 17 && status != 18
                        && (!accepts || other->exchange.durable);
        bool proven =
          head.status == RP_BUSY || head.status == RP_DRAINING || head.status == RP_NO_WORKER;
        if (answered)
            other->unanswered--;
        if (answered && proven && self->core.config.endpoint_count > 1) {
            other->refused++;
            other->elsewhere = true;
        }
    }
    s_hear (self, head);
}

static void s_small (s_world_t *self)
{
    static const uint8_t commands[] = {RP_COMMAND_HEARTBEAT, RP_COMMAND_DRAIN, RP_COMMAND_BYE,
      RP_COMMAND_HELLO, RP_COMMAND_REQUEST, RP_COMMAND_CANCEL, RP_COMMAND_CREDIT, RP_COMMAND_END};
    static const uint8_t statuses[] = {RP_OK, RP_DENIED, RP_INVALID, RP_BUSY};
    s_hear (self, (rp_head_t){.command = commands[s_draw (self, 8)],
                    .status = statuses[s_draw (self, 16) == 15 ? s_draw (self, 4) : 0],
                    .text = "because",
                    .text_size = 7});
}

static void s_end_conversation (s_world_t *self)
{
    rp_client_conversation_t *conversation = &self->conversations[s_draw (self, S_CONVERSATIONS)];
    rp_head_t head;
    bool used = false;
    for (unsigned index = 0; index < S_REQUESTS; index++)
        used = used
               || (self->requests[index].open
                   && self->requests[index].exchange.conversation == conversation);
    if (conversation->over && !used)
        *conversation = (rp_client_conversation_t){0};
    else if (!conversation->over
             && rp_client_core_end_conversation (&self->core, conversation, &head, self->now))
        bytes_require (
          self->core.link.state == RP_LINK_UP && head.conversation != 0, "an END to nobody");
}

static void s_tick (s_world_t *self)
{
    rp_client_core_tick (&self->core, self->now);
    s_obey (self);
    int64_t next = rp_client_core_tick (&self->core, self->now);
    s_obey (self);
    bytes_require (next > self->now, "time stands still");
    for (unsigned index = 0; index < S_REQUESTS; index++) {
        const s_request_t *request = &self->requests[index];
        if (!request->open)
            continue;
        bytes_require (self->now < request->deadline + S_GRACE, "open after its deadline");
        bytes_require (
          request->exchange.state == RP_EXCHANGE_RUNNING || self->now < request->deadline,
          "still here after its deadline");
    }
}

static void s_pass (s_world_t *self)
{
    static const int64_t steps[] = {
      0, S_MS, 20 * S_MS, 200 * S_MS, S_SECOND, 2 * S_SECOND, 5 * S_SECOND, 100 * S_SECOND};
    self->now += steps[s_draw (self, 8)];
    if (s_draw (self, 4))
        s_tick (self);
}

/*  Completes what was begun: a name is resolved, or a connection is open.  */
static void s_connect (s_world_t *self)
{
    static const char *const addresses[] = {"10.0.0.1", "::1", "10.0.0.2"};
    rp_addresses_t found = {0};
    if (!rp_link_looks_up (&self->core.link)) {
        rp_client_core_connected (&self->core, self->now);
        return;
    }
    for (unsigned count = 1 + s_draw (self, 3); found.count < count;)
        rp_addresses_add (&found, rp_link_endpoint (&self->core.link), addresses[found.count]);
    self->connection = false; // it was only a name so far
    rp_client_core_found (&self->core, &found, self->now);
}

/*  Leads from any state to a session: random events seldom reach a second one.  */
static void s_meet (s_world_t *self)
{
    self->now += 300 * S_MS;
    for (unsigned step = 0; step < 2; step++) {
        s_tick (self);
        s_connect (self);
        s_obey (self);
    }
    static const uint8_t keeps[] = "\x04jobs\x00\x01"
                                   "1\x07replays\x00\x01"
                                   "1\x07streams\x00\x01"
                                   "1\x0dstream-window\x00\x03"
                                   "250";
    s_hear (self, (rp_head_t){.command = RP_COMMAND_WELCOME,
                    .interval_ms = 500,
                    .max_open = 4,
                    .headers = keeps,
                    .headers_size = sizeof keeps - 1});
}

static void s_event (s_world_t *self)
{
    unsigned kind = s_draw (self, 128);
    if (kind < 36)
        s_submit (self);
    else if (kind < 42)
        s_connect (self);
    else if (kind < 50)
        s_welcome (self);
    else if (kind < 60)
        s_meet (self);
    else if (kind < 84)
        s_reply (self);
    else if (kind < 92)
        s_small (self);
    else if (kind < 96)
        rp_client_core_failed (&self->core, "it broke", self->now);
    else if (kind < 102) {
        uint64_t id = s_draw (self, 8) ? s_draw_open (self)->exchange.id : self->late[0];
        (void) rp_client_core_cancel (&self->core, id, self->now);
    }
    else if (kind < 105) {
        s_request_t *request = s_draw_open (self);
        if (request->open)
            rp_client_core_abandon (&self->core, &request->exchange, self->now);
    }
    else if (kind < 109)
        s_end_conversation (self);
    else if (kind < 120)
        s_pass (self);
    else if (kind < 127)
        s_stream (self);
    else if (s_draw (self, 16) == 15) {
        rp_client_core_close (&self->core, self->now);
        self->closed = true;
    }
    else
        rp_client_core_start (&self->core, self->now);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const char *endpoints[] = {"a", "tcp://b:1"};
    static const uint32_t retries[] = {20, 0, 100, 20};
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.bytes = (bytes_t){data, size};
    world.now = 100 * (int64_t) S_SECOND;
    rp_client_config_t config = {
      .endpoints = endpoints,
      .endpoint_count = 1 + s_draw (&world, 2),
      .heartbeat_ms = 500,
      .max_open = 1 + s_draw (&world, S_REQUESTS),
      .retry_percent = retries[s_draw (&world, 4)],
    };
    rp_client_core_init (&world.core, &config, 1);
    for (unsigned event = 0; event < S_EVENTS_MAX && world.bytes.left > 0; event++) {
        s_event (&world);
        s_obey (&world);
        s_check (&world);
    }
    rp_client_core_close (&world.core, world.now);
    world.closed = true;
    s_obey (&world);
    s_check (&world);
    bytes_require (world.open == 0, "open after the end");
    rp_client_core_clear (&world.core);
    return 0;
}
