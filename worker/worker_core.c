/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/worker_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/earlier.h"
#include "common/wire/advice.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"
#include "worker/conversations.h"
#include "worker/works.h"

/*  More orders than one event, or one tick, can leave for one session.  */
#define S_ORDERS_PER_SESSION 8u
/*  Bytes. No broker can be set to take a larger body, so a larger value in WELCOME is not
    believed.  */
#define S_BODY_LARGEST 1073741824u

static void s_begin_session (
  rp_worker_core_t *self, uint32_t index, const char *endpoint, uint32_t finder)
{
    rp_worker_session_t *session = &self->sessions[index];
    session->endpoint = endpoint;
    session->finder = finder;
    session->told = session->told_of_keys = false;
    rp_link_init (
      &session->link, &session->endpoint, 1, self->config.heartbeat_ms, RP_IDLE_TENTHS_WORKER);
}

bool rp_worker_core_init (rp_worker_core_t *self, const rp_worker_config_t *config)
{
    *self = (rp_worker_core_t){.config = *config};
    self->order_capacity = (size_t) config->count * S_ORDERS_PER_SESSION;
    self->sessions = calloc (config->count, sizeof *self->sessions);
    self->orders = calloc (self->order_capacity, sizeof *self->orders);
    if (!self->sessions || !self->orders) {
        free (self->sessions);
        free (self->orders);
        return false;
    }
    rp_window_control_init (&self->window_control, config->slots, config->threads);
    self->able = config->slots;
    if (config->declines)
        RP_CHECK (rp_headers_append (
          self->hello, &self->hello_size, sizeof self->hello, RP_HELLO_DECLINES, "1"));
    if (config->streams)
        RP_CHECK (rp_headers_append (
          self->hello, &self->hello_size, sizeof self->hello, RP_HELLO_STREAMS, "1"));
    rp_list_init (&self->ready);
    rp_list_init (&self->returned);
    rp_list_init (&self->ended);
    for (uint32_t index = 0; index < config->count; index++) {
        rp_worker_session_t *session = &self->sessions[index];
        rp_list_init (&session->held);
        rp_list_init (&session->conversations);
        s_begin_session (self, index, config->endpoints[index], index);
        if (!session->endpoint)
            rp_link_close (&session->link);
    }
    return true;
}

void rp_worker_core_clear (rp_worker_core_t *self)
{
    for (uint32_t index = 0; index < self->config.count; index++)
        rp_worker_conversations_end_all (self, index);
    for (uint64_t conversation; rp_worker_core_next_ended (self, &conversation);)
        ;
    rp_table_clear (&self->works);
    rp_table_clear (&self->conversations);
    free (self->sessions);
    free (self->orders);
    *self = (rp_worker_core_t){0};
}

/*  ---- Orders --------------------------------------------------------------------------------- */

static rp_worker_order_t *s_order (
  rp_worker_core_t *self, uint32_t session, rp_worker_order_kind_t kind)
{
    if (self->order_count == self->order_capacity)
        abort (); // our own mistake: the shell takes all orders after each event
    rp_worker_order_t *order = &self->orders[self->order_count++];
    order->kind = kind;
    order->session = session;
    return order;
}

static void s_send (rp_worker_core_t *self, uint32_t session, rp_head_t head)
{
    s_order (self, session, RP_WORKER_SEND)->head = head;
}

const rp_worker_order_t *rp_worker_core_next_order (rp_worker_core_t *self)
{
    if (self->order_taken < self->order_count)
        return &self->orders[self->order_taken++];
    self->order_taken = self->order_count = 0;
    return NULL;
}

/*  "lost tcp://…: why, next try in 250 ms". Reported once until the session stands again, and only
    when every address of a name was tried. Trouble with keys is reported once more behind another
    trouble: it does not pass by itself.  */
static void s_trouble (rp_worker_core_t *self,
  uint32_t index,
  const char *what,
  const char *where,
  const char *why,
  int64_t now)
{
    rp_worker_session_t *session = &self->sessions[index];
    snprintf (self->error, sizeof self->error, "%s: %s", where, why);
    bool of_keys = rp_reason_is_of_keys (why);
    if ((of_keys ? session->told_of_keys : session->told) || session->link.address > 0)
        return;
    session->told = true;
    session->told_of_keys |= of_keys;
    const char *advice = of_keys ? rp_advice (why) : NULL;
    char next[48] = "";
    uint32_t pause = rp_link_retry_ms (&session->link, now);
    if (pause > 0)
        snprintf (next, sizeof next, ", next try in %u ms", (unsigned) pause);
    else if (session->link.state == RP_LINK_REST)
        snprintf (next, sizeof next, ", trying again");
    snprintf (s_order (self, index, RP_WORKER_NOTICE)->notice, RP_WORKER_NOTICE_MAX,
      "%s %s: %s%s%s%s", what, where, why, next, advice ? "; " : "", advice ? advice : "");
}

bool rp_worker_core_next_ended (rp_worker_core_t *self, uint64_t *conversation)
{
    return rp_worker_conversations_next_ended (self, conversation);
}

/*  ---- Sessions ------------------------------------------------------------------------------- */

/*  No reply to a request of this session can be delivered any more.  */
static void s_session_over (rp_worker_core_t *self, uint32_t index)
{
    rp_worker_works_end_all (self, index);
    rp_worker_conversations_end_all (self, index);
    self->sessions[index].epoch++;
}

static void s_close (rp_worker_core_t *self, uint32_t index)
{
    rp_link_close (&self->sessions[index].link);
    s_session_over (self, index);
    s_order (self, index, RP_WORKER_CLOSE);
}

static void s_left (rp_worker_core_t *self, uint32_t index)
{
    const rp_worker_session_t *session = &self->sessions[index];
    unsigned held = session->held_count;
    s_close (self, index);
    char *notice = s_order (self, index, RP_WORKER_NOTICE)->notice;
    snprintf (notice, RP_WORKER_NOTICE_MAX, "left %s", session->endpoint);
    if (held == 0)
        return;
    snprintf (notice, RP_WORKER_NOTICE_MAX,
      "left %s with %u request%s unanswered; the broker counts %s as lost", session->endpoint, held,
      held == 1 ? "" : "s", held == 1 ? "it" : "them");
    snprintf (self->error, sizeof self->error, "%s", notice);
}

/*  The window that window control asks for, or less if the application can take less.  */
static uint32_t s_window (const rp_worker_core_t *self)
{
    return self->window_control.window < self->able ? self->window_control.window : self->able;
}

void rp_worker_core_found (
  rp_worker_core_t *self, uint32_t index, const rp_addresses_t *found, int64_t now)
{
    rp_link_found (&self->sessions[index].link, found, now);
}

static char s_small (char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char) (letter - 'A' + 'a') : letter;
}

/*  True if these name the same broker. Some caches answer with names in other letters each time.  */
static bool s_is_same (const char *one, const char *other)
{
    for (; *one && s_small (*one) == s_small (*other); one++)
        other++;
    return s_small (*one) == s_small (*other);
}

/*  Returns the session with an endpoint; config.count: there is none. NULL: the first that there is room for.  */
static uint32_t s_find_session (const rp_worker_core_t *self, const char *endpoint)
{
    uint32_t index = 0;
    for (; index < self->config.count; index++) {
        const char *other = self->sessions[index].endpoint;
        if (endpoint && other ? s_is_same (endpoint, other) : endpoint == other)
            break;
    }
    return index;
}

static void s_write_place (char place[RP_WORKER_PLACE_MAX], const rp_srv_record_t *record)
{
    snprintf (place, RP_WORKER_PLACE_MAX, "tcp://%s:%u", record->host, (unsigned) record->port);
}

static bool s_is_named (const rp_srv_t *records, const char *endpoint)
{
    char place[RP_WORKER_PLACE_MAX];
    bool found = false;
    for (size_t index = 0; index < records->count && !found; index++) {
        s_write_place (place, &records->records[index]);
        found = s_is_same (place, endpoint);
    }
    return found;
}

/*  Ends the sessions that do not stand and whose record is gone.  */
static void s_leave_records (rp_worker_core_t *self, uint32_t finder, const rp_srv_t *records)
{
    for (uint32_t index = 0; index < self->config.count; index++) {
        rp_worker_session_t *session = &self->sessions[index];
        bool stands = session->link.state == RP_LINK_GREETING || session->link.state == RP_LINK_UP;
        if (!session->endpoint || index == finder || session->finder != finder || stands
            || s_is_named (records, session->endpoint))
            continue;
        s_close (self, index);
        session->endpoint = NULL;
    }
}

void rp_worker_core_found_records (
  rp_worker_core_t *self, uint32_t index, const rp_srv_t *records, int64_t now, uint64_t random)
{
    rp_worker_session_t *finder = &self->sessions[index];
    if (!rp_link_looks_up (&finder->link))
        return;
    s_leave_records (self, index, records);
    for (size_t number = 0; number < records->count; number++) {
        char place[RP_WORKER_PLACE_MAX];
        s_write_place (place, &records->records[number]);
        uint32_t free = s_find_session (self, NULL);
        if (s_find_session (self, place) < self->config.count || free == self->config.count)
            continue;
        rp_worker_session_t *session = &self->sessions[free];
        memcpy (session->place, place, sizeof place);
        s_begin_session (self, free, session->place, index);
    }
    finder->has_found = true;
    finder->told = false;
    rp_link_look_up_again (
      &finder->link, now + RP_WORKER_RECORDS_US - (int64_t) (random % (RP_WORKER_RECORDS_US / 10)));
}

/*  A session of a record has failed: its broker may have another place, which the records tell.  */
static void s_look_up_soon (rp_worker_core_t *self, uint32_t index, int64_t now)
{
    rp_link_t *link = &self->sessions[self->sessions[index].finder].link;
    int64_t due = link->opened + RP_WORKER_RECORDS_LEAST_US;
    if (self->sessions[index].finder != index && link->state == RP_LINK_REST)
        link->due = rp_earlier (link->due, due > now ? due : now);
}

void rp_worker_core_connected (rp_worker_core_t *self, uint32_t index, int64_t now)
{
    rp_worker_session_t *session = &self->sessions[index];
    if (session->link.state != RP_LINK_CONNECTING)
        return;
    rp_link_connected (&session->link, now);
    session->window = s_window (self);
    s_send (self, index,
      (rp_head_t){
        .command = RP_COMMAND_HELLO,
        .flags = RP_FLAG_WORKER | RP_FLAG_BUNDLES,
        .interval_ms = session->link.proposed_ms,
        .window = session->window,
        .name = self->config.service,
        .name_size = (uint8_t) strlen (self->config.service),
        .key = self->config.name,
        .key_size = (uint8_t) strlen (self->config.name),
        .headers = self->hello,
        .headers_size = (uint16_t) self->hello_size,
      });
}

void rp_worker_core_failed (
  rp_worker_core_t *self, uint32_t index, const char *reason, int64_t now, uint64_t random)
{
    rp_worker_session_t *session = &self->sessions[index];
    rp_link_state_t state = session->link.state;
    if (state == RP_LINK_REST || state == RP_LINK_REFUSED || state == RP_LINK_CLOSED)
        return; // news of a connection that is over already
    char where[RP_LINK_LABEL_MAX];
    rp_link_label (&session->link, where);
    bool was_up = session->link.state == RP_LINK_UP;
    s_session_over (self, index);
    s_order (self, index, RP_WORKER_CLOSE);
    if (self->draining || self->stopping)
        rp_link_close (&session->link);
    else
        rp_link_failed (&session->link, now, random);
    s_look_up_soon (self, index, now);
    s_trouble (self, index, was_up ? "lost" : "cannot reach", where, reason, now);
}

static void s_bye (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, int64_t now, uint64_t random)
{
    rp_worker_session_t *session = &self->sessions[index];
    bool greeting = session->link.state == RP_LINK_GREETING;
    char why[RP_WORKER_NOTICE_MAX];
    if (head->text_size)
        snprintf (why, sizeof why, "%.*s", (int) head->text_size, head->text);
    else
        snprintf (why, sizeof why, "%s", rp_strerror (head->status));

    if (greeting && (head->status == RP_DENIED || head->status == RP_INVALID)) {
        rp_link_refused (&session->link);
        session->refusal = head->status;
        session->told = false;
        s_order (self, index, RP_WORKER_CLOSE);
        s_trouble (self, index, "refused by", session->endpoint, why, now);
    }
    else if (self->draining && head->status == RP_OK)
        s_left (self, index);
    else
        rp_worker_core_failed (self, index, why, now, random);
}

/*  Tells the broker the window, and how long a request takes.  */
static void s_credit (rp_worker_core_t *self, uint32_t index, int64_t now)
{
    rp_worker_session_t *session = &self->sessions[index];
    uint32_t window = s_window (self);
    session->window = window < session->slots ? window : session->slots;
    s_send (self, index,
      (rp_head_t){.command = RP_COMMAND_CREDIT,
        .takes_us = rp_window_control_time (&self->window_control),
        .window = session->window});
    rp_link_said (&session->link, now);
}

/*  The number of bytes in this header, at most S_BODY_LARGEST; that if there is none.  */
static uint64_t s_read_bytes (const rp_head_t *head, const char *name)
{
    rp_header_t header;
    if (!rp_headers_find (head->headers, head->headers_size, name, &header))
        return S_BODY_LARGEST;
    uint64_t value = 0;
    for (uint16_t index = 0; index < header.value_size; index++) {
        char digit = header.value[index];
        if (digit < '0' || digit > '9' || value > S_BODY_LARGEST)
            return S_BODY_LARGEST;
        value = value * 10 + (uint64_t) (digit - '0');
    }
    return value < S_BODY_LARGEST ? value : S_BODY_LARGEST;
}

static void s_welcome (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, int64_t now, uint64_t random)
{
    rp_worker_session_t *session = &self->sessions[index];
    if (!rp_link_welcomed (&session->link, head, now)) {
        rp_worker_core_failed (self, index, "its greeting makes no sense", now, random);
        return;
    }
    session->max_body = s_read_bytes (head, "max-body");
    session->stream_window = s_read_bytes (head, RP_WELCOME_STREAM_WINDOW);
    // A broker that grants less than the window asked for has a limit of its own: ask for no more.
    uint32_t asked = session->window;
    session->slots = head->window < asked ? head->window : self->config.slots;
    session->window = head->window;
    session->told = session->told_of_keys = false;
    snprintf (s_order (self, index, RP_WORKER_NOTICE)->notice, RP_WORKER_NOTICE_MAX,
      "registered with %s (%u slot%s)", session->endpoint, (unsigned) session->slots,
      session->slots == 1 ? "" : "s");
    if (asked != s_window (self) || rp_window_control_time (&self->window_control))
        s_credit (self, index, now);
}

void rp_worker_core_set_ready (rp_worker_core_t *self, uint32_t ready, int64_t now)
{
    self->able = ready;
    if (self->stopping)
        return;
    for (uint32_t index = 0; index < self->config.count; index++) {
        const rp_worker_session_t *session = &self->sessions[index];
        uint32_t window = s_window (self);
        window = window < session->slots ? window : session->slots;
        if (session->link.state == RP_LINK_UP && session->window != window)
            s_credit (self, index, now);
    }
}

void rp_worker_core_message (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, int64_t now, uint64_t random)
{
    rp_worker_session_t *session = &self->sessions[index];
    rp_link_state_t state = session->link.state;
    rp_link_heard (&session->link, now);
    bool greets = state == RP_LINK_GREETING;
    bool up = state == RP_LINK_UP;

    if (head->command == RP_COMMAND_WELCOME && greets)
        s_welcome (self, index, head, now, random);
    else if (head->command == RP_COMMAND_BYE && (greets || up))
        s_bye (self, index, head, now, random);
    else if (head->command == RP_COMMAND_CANCEL && up) {
        if (!rp_worker_works_cancel (self, index, head->id))
            self->ignored++; // its reply and this crossed
    }
    else if (head->command == RP_COMMAND_END && up) {
        if (!rp_worker_conversations_end (self, index, head->conversation))
            self->ignored++;
    }
    else if (head->command == RP_COMMAND_DRAIN && up)
        ; // no new request will come; the broker's BYE ends the session
    else if (head->command == RP_COMMAND_HEARTBEAT)
        (void) rp_link_beat (&session->link, now);
    else
        self->ignored++;
}

/*  ---- Bodies in parts ------------------------------------------------------------------------ */

void rp_work_stream_begin (rp_work_stream_t *self, const rp_head_t *request)
{
    *self = (rp_work_stream_t){
      .reads = (request->flags & RP_FLAG_STREAM) != 0,
      .more = (request->flags & RP_FLAG_MORE) != 0,
    };
    if (self->reads)
        rp_flow_granted (&self->writer, s_read_bytes (request, RP_STREAM_WINDOW));
}

/*  True if the part belongs to the body that this worker asked for.  */
static bool s_takes (rp_work_stream_t *stream, const rp_head_t *part, uint64_t size, int64_t now)
{
    if (!stream->more || stream->ended || stream->reader.window == 0)
        return false;
    stream->ended = !(part->flags & RP_FLAG_MORE);
    return stream->ended || rp_flow_came (&stream->reader, size, now);
}

rp_work_t *rp_worker_core_part (
  rp_worker_core_t *self, uint32_t index, const rp_head_t *head, uint64_t size, int64_t now)
{
    rp_worker_session_t *session = &self->sessions[index];
    rp_link_heard (&session->link, now);
    rp_work_t *work =
      session->link.state == RP_LINK_UP ? rp_worker_works_find (self, index, head->id) : NULL;
    rp_work_stream_t *stream = work ? work->stream : NULL;
    bool granted = head->command == RP_COMMAND_GRANT;
    if (stream
        && (granted ? stream->reads && rp_flow_granted (&stream->writer, head->granted)
                    : s_takes (stream, head, size, now)))
        return work;
    self->ignored++; // our reply and this crossed
    return NULL;
}

/*  True if the broker still has the request of a work.  */
static bool s_is_wanted (const rp_worker_core_t *self, const rp_work_t *work)
{
    const rp_worker_session_t *session = &self->sessions[work->session];
    return !work->cancelled && work->epoch == session->epoch && session->link.state == RP_LINK_UP;
}

size_t rp_worker_core_write (
  rp_worker_core_t *self, rp_work_t *work, size_t size, rp_head_t *head, int64_t now)
{
    rp_worker_session_t *session = &self->sessions[work->session];
    rp_flow_writer_t *writer = &work->stream->writer;
    size_t piece = s_is_wanted (self, work) ? rp_flow_piece (writer, size, session->max_body) : 0;
    if (piece == 0)
        return 0;
    rp_flow_wrote (writer, piece);
    *head = (rp_head_t){.command = RP_COMMAND_REPLY, .id = work->token, .flags = RP_FLAG_MORE};
    rp_link_said (&session->link, now);
    return piece;
}

static void s_grant (rp_worker_core_t *self, const rp_work_t *work, int64_t now)
{
    s_send (self, work->session,
      (rp_head_t){
        .command = RP_COMMAND_GRANT, .id = work->token, .granted = work->stream->reader.granted});
    rp_link_said (&self->sessions[work->session].link, now);
}

void rp_worker_core_read (rp_worker_core_t *self, rp_work_t *work, int64_t now)
{
    rp_flow_reader_t *reader = &work->stream->reader;
    if (reader->window || !s_is_wanted (self, work))
        return;
    uint64_t limit = self->sessions[work->session].stream_window;
    rp_flow_begin (
      reader, rp_flow_window (RP_FLOW_WINDOW, limit), rp_flow_window (RP_FLOW_WINDOW_MOST, limit));
    s_grant (self, work, now);
}

void rp_worker_core_took (rp_worker_core_t *self, rp_work_t *work, uint64_t size, int64_t now)
{
    rp_work_stream_t *stream = work->stream;
    if (rp_flow_took (&stream->reader, size, now) && !stream->ended && s_is_wanted (self, work))
        s_grant (self, work, now);
}

/*  ---- Leaving and time ----------------------------------------------------------------------- */

void rp_worker_core_drain (rp_worker_core_t *self, int64_t now)
{
    if (self->draining)
        return;
    self->draining = true;
    self->drain_until = now + self->config.drain_us;
    for (uint32_t index = 0; index < self->config.count; index++) {
        rp_link_state_t state = self->sessions[index].link.state;
        if (state == RP_LINK_UP) {
            s_send (self, index, (rp_head_t){.command = RP_COMMAND_DRAIN});
            rp_link_said (&self->sessions[index].link, now);
        }
        else if (state != RP_LINK_REFUSED && state != RP_LINK_CLOSED)
            s_close (self, index);
    }
}

void rp_worker_core_stop (rp_worker_core_t *self)
{
    if (self->stopping)
        return;
    self->stopping = true;
    for (rp_list_node_t *node; (node = rp_list_first (&self->ready)) != NULL;) {
        rp_list_remove (node);
        rp_worker_works_return (
          self, (rp_work_t *) node, RP_WORKER_LOST, "the worker stopped before it began");
    }
    for (uint32_t index = 0; index < self->config.count; index++)
        if (self->sessions[index].link.state == RP_LINK_UP)
            s_send (self, index, (rp_head_t){.command = RP_COMMAND_CREDIT, .window = 0});
}

void rp_worker_core_leave (rp_worker_core_t *self)
{
    for (uint32_t index = 0; index < self->config.count; index++) {
        rp_link_state_t state = self->sessions[index].link.state;
        if (state == RP_LINK_REFUSED || state == RP_LINK_CLOSED)
            continue;
        if (state != RP_LINK_UP) {
            s_close (self, index);
            continue;
        }
        s_send (self, index, (rp_head_t){.command = RP_COMMAND_BYE, .status = RP_OK});
        s_left (self, index);
    }
}

static const char *s_silence (const rp_link_t *link)
{
    if (rp_link_looks_up (link))
        return RP_REASON_UNANSWERED;
    return link->state == RP_LINK_UP ? "no sign of life" : "no answer";
}

static int64_t s_tick_session (rp_worker_core_t *self, uint32_t index, int64_t now, uint64_t random)
{
    rp_worker_session_t *session = &self->sessions[index];
    int64_t next = INT64_MAX;
    session->link.idle = session->held_count == 0;
    for (;;) {
        switch (rp_link_tick (&session->link, now, &next)) {
            case RP_LINK_NOTHING:
                return next;
            case RP_LINK_OPEN:
                s_order (self, index, RP_WORKER_OPEN);
                return next;
            case RP_LINK_LOST:
                rp_worker_core_failed (self, index, s_silence (&session->link), now, random);
                break;
            case RP_LINK_HEARTBEAT:
                s_send (self, index,
                  (rp_head_t){.command = RP_COMMAND_HEARTBEAT,
                    .interval_ms = rp_link_announced (&session->link)});
                break;
        }
    }
}

/*  Tells all brokers when the window changes. A worker that drains or stops asks for no other.  */
static int64_t s_tick_window_control (rp_worker_core_t *self, int64_t now)
{
    bool waiting = !rp_list_is_empty (&self->ready);
    bool spent = false;
    for (uint32_t index = 0; !waiting && index < self->config.count; index++) {
        const rp_worker_session_t *session = &self->sessions[index];
        spent |= session->held_count > 0 && session->held_count >= session->window;
    }
    rp_window_control_view_t view = {.waiting = waiting, .spent = spent, .out = self->out};
    if (rp_window_control_tick (&self->window_control, view, now))
        for (uint32_t index = 0; index < self->config.count; index++)
            if (self->sessions[index].link.state == RP_LINK_UP)
                s_credit (self, index, now);
    return rp_window_control_next (&self->window_control);
}

/*  While draining or stopping: leaves when nothing is left to do, or at the limit. Returns when to
    look again.  */
static int64_t s_tick_limit (rp_worker_core_t *self, int64_t now)
{
    if (self->drain_until == 0)
        self->drain_until = now + self->config.drain_us;
    bool late = now >= self->drain_until;
    if (late || (self->stopping && self->out == 0 && rp_list_is_empty (&self->returned)))
        rp_worker_core_leave (self);
    if (!late)
        return self->drain_until;
    int64_t end = self->drain_until + RP_WORKER_GRACE_US;
    self->given_up = now >= end;
    return self->given_up ? INT64_MAX : end;
}

int64_t rp_worker_core_tick (rp_worker_core_t *self, int64_t now, uint64_t random)
{
    bool leaving = self->draining || self->stopping;
    int64_t earliest = leaving ? s_tick_limit (self, now) : s_tick_window_control (self, now);
    for (uint32_t index = 0; index < self->config.count; index++) {
        int64_t next = s_tick_session (self, index, now, random);
        if (next < earliest)
            earliest = next;
    }
    return earliest;
}

bool rp_worker_core_is_over (const rp_worker_core_t *self, int *status)
{
    bool leaving = self->draining || self->stopping;
    *status = RP_OK;
    if (self->stopping)
        return true;
    for (uint32_t index = 0; index < self->config.count; index++) {
        const rp_worker_session_t *session = &self->sessions[index];
        if (session->link.state == RP_LINK_REFUSED) {
            if (!leaving)
                *status = (int) session->refusal;
        }
        else if (session->link.state != RP_LINK_CLOSED && !session->has_found)
            return false;
    }
    return true;
}
