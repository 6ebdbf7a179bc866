/*  Fuzzer of the worker's core: bytes are read as a sequence of events, with anything that brokers
    may send and an application may do.

    SPDX-License-Identifier: MPL-2.0

    Checked: a work that is handed out is in time, not cancelled and within the window; each work
    ends once, and its reply goes to the session that it came from or nowhere; the application is
    told once of the end of each conversation that it has seen, when none of its requests is left;
    nothing is sent without a connection; a drain ends in time.
*/

#include <stdbool.h>
#include <string.h>

#include "tests/support/bytes.h"
#include "worker/worker_core.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_EVENTS_MAX 600u
#define S_SESSIONS 2u
#define S_WORKS 24u
#define S_CONVERSATIONS 4096u
#define S_MS 1000
#define S_SECOND 1000000
#define S_DRAIN (10 * (int64_t) S_SECOND)
#define S_RANDOM 7u

typedef enum { S_FREE, S_HERE, S_OUT } s_where_t;

typedef struct {
    rp_work_t work; /* first, so that a work is also its item */
    s_where_t where;
    uint32_t session;
    unsigned life; /* life of the session when the work came */
    uint64_t wire; /* conversation on the wire */
    uint64_t local;
    int64_t deadline;
    bool cancelled;
    rp_work_stream_t stream; /* of one with bodies in parts */
    uint64_t untaken;        /* bytes of parts that came, and that the application has not taken */
    unsigned parts;          /* that they are of */
    uint64_t granted;        /* as last said to the broker */
} s_item_t;

typedef struct {
    bytes_t bytes;
    rp_worker_core_t core;
    s_item_t items[S_WORKS];
    bool connection[S_SESSIONS];
    bool greeted[S_SESSIONS];
    unsigned life[S_SESSIONS];
    unsigned out;
    bool told[S_CONVERSATIONS]; /* the application was told of the end, by local number */
    bool seen[S_CONVERSATIONS];
    bool stopped;
    bool drains;
    int64_t drained; /* when a drain must be done */
    int64_t now;
} s_world_t;

static unsigned s_draw (s_world_t *self, unsigned below)
{
    return bytes_draw (&self->bytes, below);
}

static s_item_t *s_draw_item (s_world_t *self, s_where_t where)
{
    unsigned first = s_draw (self, S_WORKS);
    for (unsigned step = 0; step < S_WORKS; step++) {
        s_item_t *item = &self->items[(first + step) % S_WORKS];
        if (item->where == where)
            return item;
    }
    return NULL;
}

/*  ---- Orders --------------------------------------------------------------------------------- */

/*  A grant says more than the one before, and lets the window be written beyond what was taken.  */
static void s_on_grant (s_world_t *self, uint32_t session, const rp_head_t *head)
{
    for (unsigned index = 0; index < S_WORKS; index++) {
        s_item_t *item = &self->items[index];
        const rp_flow_reader_t *reader = &item->stream.reader;
        if (item->where == S_FREE || item->session != session || !item->work.stream
            || item->work.token != head->id || item->life != self->life[session])
            continue;
        bytes_require (head->granted > item->granted, "a grant that says nothing");
        bytes_require (head->granted <= reader->taken + reader->window, "granted too much");
        item->granted = head->granted;
        return;
    }
    bytes_require (false, "a grant for what is no stream");
}

static void s_on_send (s_world_t *self, uint32_t session, const rp_head_t *head)
{
    bytes_require (self->connection[session], "something is said without a connection");
    if (head->command == RP_COMMAND_HELLO) {
        bytes_require (!self->greeted[session], "a second HELLO");
        self->greeted[session] = true;
        return;
    }
    bytes_require (self->greeted[session], "something is said before HELLO");
    bytes_require (head->command == RP_COMMAND_HEARTBEAT || head->command == RP_COMMAND_BYE
                     || head->command == RP_COMMAND_DRAIN || head->command == RP_COMMAND_CREDIT
                     || head->command == RP_COMMAND_GRANT,
      "a command that no worker says unasked");
    if (head->command == RP_COMMAND_GRANT)
        s_on_grant (self, session, head);
}

static void s_obey (s_world_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));) {
        uint32_t session = order->session;
        bytes_require (session < S_SESSIONS, "a session that there is not");
        switch (order->kind) {
            case RP_WORKER_OPEN:
                bytes_require (!self->connection[session], "a second connection");
                self->connection[session] = true;
                self->greeted[session] = false;
                break;
            case RP_WORKER_CLOSE:
                self->connection[session] = false;
                self->life[session]++;
                break;
            case RP_WORKER_SEND:
                s_on_send (self, session, &order->head);
                break;
            case RP_WORKER_NOTICE:
                bytes_require (
                  order->notice[0] && !strchr (order->notice, '\n'), "a notice that is none");
                break;
        }
    }
}

/*  ---- Works ---------------------------------------------------------------------------------- */

static void s_finish (s_world_t *self, s_item_t *item, rp_status_t status)
{
    bool awaited = rp_worker_core_finish (&self->core, &item->work, status, self->now);
    bytes_require (awaited == (item->life == self->life[item->session]),
      "a reply to nobody, or none to somebody");
    if (item->where == S_OUT)
        self->out--;
    item->where = S_FREE;
}

static void s_take_returned (s_world_t *self)
{
    for (rp_work_t *work; (work = rp_worker_core_next_returned (&self->core));) {
        s_item_t *item = (s_item_t *) work;
        bytes_require (item->where == S_HERE, "returned, and not here");
        bytes_require (work->text && work->text[0], "returned without a word");
        bytes_require (work->status != RP_OK, "returned as if it had been done");
        s_finish (self, item, work->status);
    }
}

static void s_take_ended (s_world_t *self)
{
    for (uint64_t local; rp_worker_core_next_ended (&self->core, &local);) {
        bytes_require (
          local < S_CONVERSATIONS && self->seen[local], "the end of what nobody knows");
        bytes_require (!self->told[local], "the same end twice");
        self->told[local] = true;
        for (unsigned index = 0; index < S_WORKS; index++)
            bytes_require (self->items[index].where != S_OUT || self->items[index].local != local,
              "an end before the last request has ended");
    }
}

static void s_check_conversation (s_world_t *self, s_item_t *item)
{
    item->local = item->work.conversation ? item->work.conversation->local : 0;
    bytes_require ((item->local != 0) == (item->wire != 0), "a conversation from nowhere");
    if (item->local == 0)
        return;
    bytes_require (item->local < S_CONVERSATIONS && !self->told[item->local], "one that has ended");
    self->seen[item->local] = true;
    for (unsigned index = 0; index < S_WORKS; index++) {
        const s_item_t *other = &self->items[index];
        bool alike =
          other->session == item->session && other->wire == item->wire && other->life == item->life;
        if (other != item && other->where == S_OUT && other->local == item->local)
            bytes_require (alike, "two conversations in one");
    }
}

static void s_take (s_world_t *self)
{
    rp_work_t *work = rp_worker_core_take (&self->core, self->now);
    if (!work)
        return;
    s_item_t *item = (s_item_t *) work;
    bytes_require (item->where == S_HERE, "handed out twice");
    bytes_require (!self->stopped, "handed out after the stop");
    bytes_require (self->now < item->deadline, "handed out after its deadline");
    bytes_require (!item->cancelled, "handed out, and withdrawn");
    bytes_require (item->life == self->life[item->session], "handed out, and nobody waits for it");
    item->where = S_OUT;
    self->out++;
    s_check_conversation (self, item);
}

static void s_request (s_world_t *self, uint32_t session)
{
    static const uint32_t times[] = {0, 1, 100, 5000, 60000, 60000, 60000, 60000};
    s_item_t *item = s_draw_item (self, S_FREE);
    rp_head_t head = {
      .command = RP_COMMAND_REQUEST,
      .id = 1 + s_draw (self, 40),
      .deadline_ms = times[s_draw (self, 8)],
      .conversation = s_draw (self, 2) ? s_draw (self, 4) : 0,
    };
    static const uint8_t window[] = "\x0dstream-window\x00\x03"
                                    "300";
    bool streams = head.id % 3 == 0;
    if (streams) {
        head.flags = RP_FLAG_STREAM | RP_FLAG_MORE;
        head.headers = window;
        head.headers_size = sizeof window - 1;
    }
    const char *why_not = s_draw (self, 16) == 15 ? "not this one" : NULL;
    if (!item || self->core.last_local + 1 >= S_CONVERSATIONS)
        return;
    bool taken =
      rp_worker_core_request (&self->core, session, &head, &item->work, why_not, self->now);
    bytes_require (taken == (self->core.sessions[session].link.state == RP_LINK_UP),
      "a request without a session");
    if (!taken)
        return;
    if (streams) {
        rp_work_stream_begin (&item->stream, &head);
        item->work.stream = &item->stream;
    }
    item->untaken = item->granted = 0;
    item->parts = 0;
    item->where = S_HERE;
    item->session = session;
    item->life = self->life[session];
    item->wire = head.conversation;
    item->local = 0;
    item->deadline = self->now + (int64_t) head.deadline_ms * S_MS;
    item->cancelled = false;
}

static void s_cancel (s_world_t *self, uint32_t session)
{
    s_item_t *item = &self->items[s_draw (self, S_WORKS)];
    rp_head_t head = {.command = RP_COMMAND_CANCEL, .id = 1 + s_draw (self, 40)};
    if (item->where != S_FREE && s_draw (self, 8))
        head.id = item->work.token;
    for (unsigned index = 0; index < S_WORKS; index++) {
        s_item_t *other = &self->items[index];
        if (other->where != S_FREE && other->work.is_held && other->session == session
            && other->work.token == head.id
            && self->core.sessions[session].link.state == RP_LINK_UP)
            other->cancelled = true;
    }
    rp_worker_core_message (&self->core, session, &head, self->now, S_RANDOM);
}

/*  ---- Streams -------------------------------------------------------------------------------- */

/*  Draws a work in the application's hands with bodies in parts; any item if there is none.  */
static s_item_t *s_draw_stream (s_world_t *self)
{
    unsigned first = s_draw (self, S_WORKS);
    for (unsigned step = 0; step < S_WORKS; step++) {
        s_item_t *item = &self->items[(first + step) % S_WORKS];
        if (item->where == S_OUT && item->work.stream)
            return item;
    }
    return &self->items[first];
}

/*  A part or a grant comes, mostly over the session of the work that it names.  */
static void s_hear_stream (s_world_t *self, uint32_t session)
{
    s_item_t *item = s_draw_stream (self);
    bool is_part = s_draw (self, 2);
    rp_head_t head = {
      .command = is_part ? RP_COMMAND_PART : RP_COMMAND_GRANT, .id = item->work.token};
    uint64_t size = s_draw (self, 200);
    if (head.id == 0)
        return;
    if (is_part)
        head.flags = s_draw (self, 16) ? RP_FLAG_MORE : 0;
    else
        head.granted = s_draw (self, 4) ? item->stream.writer.granted + size : 1 + size;
    if (s_draw (self, 8))
        session = item->session;
    bool was_over = item->stream.ended;
    rp_work_t *work = rp_worker_core_part (&self->core, session, &head, size, self->now);
    s_item_t *found = (s_item_t *) work;
    bytes_require (!work
                     || (work->stream == &found->stream && found->where != S_FREE
                         && found->session == session && work->token == head.id),
      "a part of another's body");
    if (!work || !is_part)
        return;
    bytes_require (found != item || !was_over, "a part behind the end of a body");
    const rp_flow_reader_t *reader = &found->stream.reader;
    bytes_require (found->granted > 0 && reader->came <= found->granted, "a part without a grant");
    if (head.flags & RP_FLAG_MORE) {
        found->untaken += size;
        found->parts++;
    }
}

/*  The application writes and reads one of its streams.  */
static void s_stream (s_world_t *self)
{
    s_item_t *item = s_draw_stream (self);
    if (item->where != S_OUT || !item->work.stream)
        return;
    rp_head_t head;
    const rp_flow_writer_t *writer = &item->stream.writer;
    size_t size =
      rp_worker_core_write (&self->core, &item->work, 1 + s_draw (self, 250), &head, self->now);
    bytes_require (size == 0
                     || (!item->cancelled && item->life == self->life[item->session]
                         && head.id == item->work.token && head.flags == RP_FLAG_MORE),
      "written for nobody");
    bytes_require (writer->written <= writer->granted, "written too much");
    if (s_draw (self, 2))
        rp_worker_core_read (&self->core, &item->work, self->now);
    for (unsigned left = s_draw (self, 3); left > 0 && item->parts > 0; left--) {
        uint64_t part = item->untaken / item->parts--;
        item->untaken -= part;
        rp_worker_core_took (&self->core, &item->work, part, self->now);
    }
}

/*  ---- Events --------------------------------------------------------------------------------- */

static void s_small (s_world_t *self, uint32_t session)
{
    static const uint8_t commands[] = {RP_COMMAND_HEARTBEAT, RP_COMMAND_END, RP_COMMAND_END,
      RP_COMMAND_DRAIN, RP_COMMAND_BYE, RP_COMMAND_HELLO, RP_COMMAND_REPLY, RP_COMMAND_CREDIT};
    static const uint8_t statuses[] = {RP_OK, RP_DENIED, RP_INVALID, RP_BUSY};
    rp_head_t head = {.command = commands[s_draw (self, 8)],
      .status = statuses[s_draw (self, 16) == 15 ? s_draw (self, 4) : 0],
      .conversation = 1 + s_draw (self, 4),
      .text = "because",
      .text_size = s_draw (self, 2) ? 7 : 0};
    rp_worker_core_message (&self->core, session, &head, self->now, S_RANDOM);
}

static void s_welcome (s_world_t *self, uint32_t session)
{
    static const uint32_t times[] = {500, 500, 500, 50, 60000, 0, 49, UINT32_MAX};
    rp_head_t head = {.command = RP_COMMAND_WELCOME,
      .interval_ms = times[s_draw (self, 8)],
      .window = s_draw (self, 10)};
    rp_worker_core_message (&self->core, session, &head, self->now, S_RANDOM);
}

static void s_tick (s_world_t *self)
{
    int64_t next = rp_worker_core_tick (&self->core, self->now, S_RANDOM);
    s_obey (self);
    s_take_returned (self);
    int status;
    bytes_require (next > self->now || self->stopped, "time stands still");
    bytes_require (
      !self->drains || self->now < self->drained || rp_worker_core_is_over (&self->core, &status),
      "a drain without an end");
}

static void s_pass (s_world_t *self)
{
    static const int64_t steps[] = {0, S_MS, 20 * S_MS, 200 * S_MS, S_SECOND, 2 * S_SECOND,
      5 * S_SECOND, 100 * (int64_t) S_SECOND};
    self->now += steps[s_draw (self, 8)];
    if (s_draw (self, 4))
        s_tick (self);
}

static void s_application (s_world_t *self)
{
    static const rp_status_t statuses[] = {RP_OK, RP_OK, RP_APP_ERROR, RP_WORKER_LOST};
    s_item_t *item = s_draw_item (self, S_OUT);
    unsigned what = s_draw (self, 8);
    if (!item)
        return;
    if (what < 7) {
        s_finish (self, item, statuses[s_draw (self, 4)]);
        return;
    }
    rp_worker_core_give_back (&self->core, &item->work, "it cannot");
    item->where = S_HERE;
    self->out--;
}

static void s_leave (s_world_t *self)
{
    unsigned kind = s_draw (self, 64);
    if (kind < 4) {
        rp_worker_core_drain (&self->core, self->now);
        if (!self->drains)
            self->drained = self->now + S_DRAIN;
        self->drains = true;
    }
    else if (kind == 4) {
        rp_worker_core_stop (&self->core);
        self->stopped = true;
    }
    else if (kind == 5)
        rp_worker_core_leave (&self->core);
}

/*  Completes what was begun: a name is resolved, or a connection is open.  */
static void s_connect (s_world_t *self, uint32_t session)
{
    static const char *const addresses[] = {"10.0.0.1", "::1", "10.0.0.2"};
    const rp_link_t *link = &self->core.sessions[session].link;
    rp_addresses_t found = {0};
    if (!rp_link_looks_up (link)) {
        rp_worker_core_connected (&self->core, session, self->now);
        return;
    }
    for (unsigned count = 1 + s_draw (self, 3); found.count < count;)
        rp_addresses_add (&found, rp_link_endpoint (link), addresses[found.count]);
    self->connection[session] = false; // it was only a name so far
    rp_worker_core_found (&self->core, session, &found, self->now);
}

/*  Leads from any state to a session: random events seldom reach a second one.  */
static void s_meet (s_world_t *self, uint32_t session)
{
    self->now += 300 * S_MS;
    for (unsigned step = 0; step < 2; step++) {
        s_tick (self);
        s_connect (self, session);
        s_obey (self);
    }
    static const uint8_t limit[] = "\x0dstream-window\x00\x03"
                                   "300";
    rp_head_t head = {.command = RP_COMMAND_WELCOME,
      .interval_ms = 500,
      .window = 4,
      .headers = limit,
      .headers_size = sizeof limit - 1};
    rp_worker_core_message (&self->core, session, &head, self->now, S_RANDOM);
}

static void s_event (s_world_t *self)
{
    unsigned kind = s_draw (self, 128);
    uint32_t session = s_draw (self, S_SESSIONS);
    if (kind < 34)
        s_request (self, session);
    else if (kind < 39)
        s_connect (self, session);
    else if (kind < 45)
        s_welcome (self, session);
    else if (kind < 54)
        s_meet (self, session);
    else if (kind < 74)
        s_take (self);
    else if (kind < 88)
        s_application (self);
    else if (kind < 94)
        s_cancel (self, session);
    else if (kind < 98)
        s_hear_stream (self, session);
    else if (kind < 106)
        s_small (self, session);
    else if (kind < 109)
        rp_worker_core_failed (&self->core, session, "it broke", self->now, S_RANDOM);
    else if (kind < 117)
        s_pass (self);
    else if (kind < 126)
        s_stream (self);
    else
        s_leave (self);
    s_obey (self);
    if (s_draw (self, 4))
        s_take_returned (self);
    if (s_draw (self, 4))
        s_take_ended (self);
}

static void s_check (const s_world_t *self)
{
    bytes_require (self->core.out == self->out, "the count of those handed out");
    for (uint32_t session = 0; session < S_SESSIONS; session++) {
        const rp_worker_session_t *at = &self->core.sessions[session];
        uint32_t held = 0;
        for (unsigned index = 0; index < S_WORKS; index++) {
            const s_item_t *item = &self->items[index];
            held += item->where != S_FREE && item->session == session && item->work.is_held;
        }
        bytes_require (at->held_count == held && held <= at->slots, "more than its slots");
        bytes_require (at->link.state == RP_LINK_UP || held == 0, "held for nobody");
        bytes_require (self->connection[session]
                         == (at->link.state >= RP_LINK_CONNECTING && at->link.state <= RP_LINK_UP),
          "a connection that nobody wants, or none");
    }
}

/*  Ends everything: replies to all that is out; nothing may be left then.  */
static void s_end (s_world_t *self)
{
    rp_worker_core_stop (&self->core);
    self->stopped = true;
    s_obey (self);
    for (unsigned index = 0; index < S_WORKS; index++)
        if (self->items[index].where == S_OUT)
            s_finish (self, &self->items[index], RP_OK);
    s_take_returned (self);
    s_tick (self);
    s_take_ended (self);
    s_check (self);
    for (unsigned index = 0; index < S_WORKS; index++)
        bytes_require (self->items[index].where == S_FREE, "a work that was forgotten");
    for (uint64_t local = 1; local < S_CONVERSATIONS; local++)
        bytes_require (self->seen[local] == self->told[local], "an end that nobody was told of");
    rp_worker_core_clear (&self->core);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const char *const endpoints[] = {"a", "tcp://b:1"};
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.bytes = (bytes_t){data, size};
    world.now = 1000 * (int64_t) S_SECOND;
    rp_worker_config_t config = {
      .endpoints = endpoints,
      .count = S_SESSIONS,
      .service = "upper",
      .name = "test",
      .slots = 1 + s_draw (&world, 6),
      .heartbeat_ms = 500,
      .drain_us = S_DRAIN,
      .seed = 42,
    };
    if (!rp_worker_core_init (&world.core, &config))
        return 0;
    for (unsigned event = 0; event < S_EVENTS_MAX && world.bytes.left > 0; event++) {
        s_event (&world);
        s_check (&world);
    }
    s_end (&world);
    return 0;
}
