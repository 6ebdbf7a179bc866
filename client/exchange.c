/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/exchange.h"

#include "common/base/backoff.h"
#include "common/base/random.h"
#include "common/base/units.h"

/*  The cost of one retry; each request earns config.retry_percent of it.  */
#define S_RETRY_COST INT64_C (100)

uint64_t rp_client_core_random (rp_client_core_t *core)
{
    return rp_random (&core->random);
}

/*  Allowed transitions: from row to column.  */
const bool rp_exchange_allowed[RP_EXCHANGE_STATE_COUNT][RP_EXCHANGE_STATE_COUNT] = {
  [RP_EXCHANGE_IDLE] = {[RP_EXCHANGE_WAITING] = true},
  [RP_EXCHANGE_WAITING] = {[RP_EXCHANGE_RUNNING] = true, [RP_EXCHANGE_ENDED] = true},
  [RP_EXCHANGE_PAUSED] = {[RP_EXCHANGE_WAITING] = true, [RP_EXCHANGE_ENDED] = true},
  [RP_EXCHANGE_RUNNING] =
    {[RP_EXCHANGE_WAITING] = true, [RP_EXCHANGE_PAUSED] = true, [RP_EXCHANGE_ENDED] = true},
  [RP_EXCHANGE_ENDED] = {[RP_EXCHANGE_IDLE] = true},
};

static void s_set_timer (rp_client_core_t *core, rp_exchange_t *exchange, int64_t due)
{
    rp_deadlines_set (&core->timers, &exchange->timer, due);
    if (due < core->next)
        core->next = due;
}

/*  Leaves the list of the current state, and the conversation's opener.  */
static void s_leave (rp_exchange_t *exchange)
{
    if (exchange->conversation && exchange->conversation->opener == exchange)
        exchange->conversation->opener = NULL;
    if (exchange->state != RP_EXCHANGE_PAUSED)
        rp_list_remove (&exchange->node);
}

static void s_wait (rp_client_core_t *core, rp_exchange_t *exchange, rp_list_node_t *place)
{
    rp_exchange_set_state (core, exchange, RP_EXCHANGE_WAITING);
    rp_list_insert_before (place, &exchange->node);
    s_set_timer (core, exchange, exchange->deadline);
}

void rp_exchange_finish (rp_client_core_t *core,
  rp_exchange_t *exchange,
  rp_status_t status,
  rp_exchange_end_t end,
  int64_t now)
{
    // The broker had the request, and its outcome is not known.
    if (exchange->state == RP_EXCHANGE_RUNNING && end != RP_END_REPLY)
        exchange->unseen = true;
    s_leave (exchange);
    // The status proves that the last id never ran; it proves nothing about an earlier id.
    if (exchange->unseen && rp_status_is_safe_to_retry ((int) status)) {
        status = RP_UNKNOWN;
        end = RP_END_LOST;
    }
    rp_exchange_set_state (core, exchange, RP_EXCHANGE_ENDED);
    exchange->status = status;
    exchange->end = end;
    exchange->ended = now;
    rp_deadlines_remove (&core->timers, &exchange->timer);
    rp_slots_give (&core->slots, exchange->id);
    core->open_count--;
    if (!exchange->todo.next)
        rp_list_append (&core->todo, &exchange->todo);
}

/*  ---- Trying again --------------------------------------------------------------------------- */

/*  The request goes out again, under a new id.  */
static void s_renew (rp_client_core_t *core, rp_exchange_t *exchange)
{
    if (!exchange->durable)
        exchange->attempts_left--;
    if (exchange->retries < UINT8_MAX)
        exchange->retries++;
    exchange->wire_id = rp_slots_renew (&core->slots, exchange->wire_id);
}

static bool s_take_retry (rp_client_core_t *core, rp_exchange_t *exchange)
{
    if (core->budget < S_RETRY_COST)
        return false;
    core->budget -= S_RETRY_COST;
    s_renew (core, exchange);
    return true;
}

/*  A lost job with a key is not charged to the budget: it runs once however often it is sent, and a
    new session, which is paced, sends it once.  */
static bool s_take_lost (rp_client_core_t *core, rp_exchange_t *exchange)
{
    if (!exchange->durable)
        return s_take_retry (core, exchange);
    s_renew (core, exchange);
    return true;
}

/*  False if a worker may have state of the conversation, or parts or answers came or went: sent again, the request would
    meet another state, or another reply.  */
static bool s_may_move (const rp_exchange_t *exchange)
{
    if ((exchange->stream && exchange->stream->passed) || exchange->answered)
        return false;
    const rp_client_conversation_t *conversation = exchange->conversation;
    return !conversation
           || (!conversation->established && conversation->key == exchange->conversation_key);
}

void rp_exchange_lost (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_list_node_t *place, int64_t now)
{
    exchange->cancel = 0;
    exchange->unseen = true;
    if (!rp_exchange_may_repeat (exchange) || exchange->cancelled || !s_may_move (exchange))
        rp_exchange_finish (core, exchange, RP_UNKNOWN, RP_END_LOST, now);
    else if (!s_take_lost (core, exchange))
        rp_exchange_finish (core, exchange, RP_UNKNOWN, RP_END_BUDGET, now);
    else {
        s_leave (exchange);
        s_wait (core, exchange, place);
    }
}

/*  Pauses the request before another attempt. False if it may not be sent again.  */
static bool s_pause (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now)
{
    if (!rp_exchange_may_repeat (exchange) || exchange->cancelled)
        return false;
    int64_t pause = rp_backoff_us (exchange->retries + 1u, RP_RETRY_FIRST_MS * RP_US_PER_MS,
      RP_RETRY_LARGEST_MS * RP_US_PER_MS, rp_client_core_random (core));
    if (now + pause >= exchange->deadline || !s_take_retry (core, exchange))
        return false;
    s_leave (exchange);
    exchange->asked = 0;
    rp_exchange_set_state (core, exchange, RP_EXCHANGE_PAUSED);
    s_set_timer (core, exchange, now + pause);
    return true;
}

/*  Sends the request to the next broker of the list, if the reply proves that it did not run: no
    attempt is used up, and each broker is asked once. A broker that drains does not count as asked:
    it lets nobody in again, and may have been started anew before the next one drains. To go to the
    next broker ends the session with this one: while other requests run, that happens only because
    this broker drains, and only when they have ended. BUSY and NO_WORKER are charged to the retry
    budget, so that a crowd of rejected requests does not run in circles. True if the request waits
    for the next broker.  */
static bool s_ask_next (rp_client_core_t *core, rp_exchange_t *exchange, const rp_head_t *reply)
{
    bool draining = reply->status == RP_DRAINING;
    bool proven = draining || reply->status == RP_BUSY || reply->status == RP_NO_WORKER;
    bool another = (draining ? 1u : exchange->asked + 1u) < core->config.endpoint_count;
    if (!proven || !another || exchange->cancelled || !s_may_move (exchange))
        return false;
    if (!draining && (core->running_count > 1 || core->budget < S_RETRY_COST))
        return false;
    if (!draining) {
        core->budget -= S_RETRY_COST;
        exchange->asked++;
    }
    exchange->wire_id = rp_slots_renew (&core->slots, exchange->wire_id);
    s_leave (exchange);
    s_wait (core, exchange, core->waiting.ring.next);
    core->draining = true;
    return true;
}

/*  ---- The reply ------------------------------------------------------------------------------ */

/*  Updates the conversation from a reply, if it is still the one that the request was sent in.  */
static void s_teach_conversation (
  rp_client_conversation_t *conversation, const rp_exchange_t *exchange, const rp_head_t *reply)
{
    if (conversation->key != exchange->conversation_key)
        return;
    if (reply->status == RP_OK || reply->status == RP_APP_ERROR)
        conversation->established = true;
    if (reply->status == RP_CONVERSATION_LOST || reply->flags & RP_FLAG_LAST) {
        conversation->key = 0;
        conversation->established = false;
        conversation->opener = NULL;
    }
}

bool rp_exchange_replied (
  rp_client_core_t *core, rp_exchange_t *exchange, const rp_head_t *reply, int64_t now)
{
    exchange->cancel = 0;
    exchange->replayed = exchange->keyed && reply->flags & RP_FLAG_REPLAYED;
    if (exchange->conversation)
        s_teach_conversation (exchange->conversation, exchange, reply);
    if (s_ask_next (core, exchange, reply))
        return false;
    bool again = reply->status == RP_BUSY || reply->status == RP_DRAINING;
    if (again && s_pause (core, exchange, now))
        return false;
    rp_exchange_finish (core, exchange, (rp_status_t) reply->status, RP_END_REPLY, now);
    return exchange->end == RP_END_REPLY;
}

bool rp_exchange_accepted (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now)
{
    if (!exchange->durable)
        return false;
    exchange->cancel = 0;
    rp_exchange_finish (core, exchange, RP_OK, RP_END_REPLY, now);
    return true;
}

/*  ---- Parts ---------------------------------------------------------------------------------- */

bool rp_exchange_part (rp_exchange_t *exchange, const rp_head_t *head)
{
    if (exchange->all)
        return exchange->answered = true;
    if (!exchange->stream || head->status != RP_OK)
        return false;
    exchange->stream->passed = true;
    return true;
}

bool rp_exchange_granted (rp_exchange_t *exchange, const rp_head_t *head)
{
    return exchange->stream && exchange->stream->writes
           && rp_flow_granted (&exchange->stream->writer, head->granted);
}

void rp_client_core_took (
  rp_client_core_t *self, rp_exchange_t *exchange, uint64_t size, int64_t now)
{
    rp_exchange_stream_t *stream = exchange->stream;
    if (!rp_flow_took (&stream->reader, size, now) || exchange->state != RP_EXCHANGE_RUNNING)
        return;
    stream->grants = true;
    if (!exchange->todo.next)
        rp_list_append (&self->todo, &exchange->todo);
}

/*  Fills in the head of a PART. False if none may go now.  */
static bool s_write (
  rp_client_core_t *core, rp_exchange_t *exchange, bool last, rp_head_t *head, int64_t now)
{
    rp_exchange_stream_t *stream = exchange->stream;
    if (exchange->state != RP_EXCHANGE_RUNNING || exchange->cancelled || stream->writer.granted == 0
        || stream->written)
        return false;
    *head = (rp_head_t){
      .command = RP_COMMAND_PART, .flags = last ? 0 : RP_FLAG_MORE, .id = exchange->wire_id};
    stream->passed = true;
    stream->written = last;
    if (rp_link_said (&core->link, now))
        core->next = now;
    return true;
}

size_t rp_client_core_write (
  rp_client_core_t *self, rp_exchange_t *exchange, size_t size, rp_head_t *head, int64_t now)
{
    rp_flow_writer_t *writer = &exchange->stream->writer;
    size_t piece = rp_flow_piece (writer, size, self->max_body);
    if (piece == 0 || !s_write (self, exchange, false, head, now))
        return 0;
    rp_flow_wrote (writer, piece);
    return piece;
}

bool rp_client_core_write_end (
  rp_client_core_t *self, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    return s_write (self, exchange, true, head, now);
}

/*  ---- Time ----------------------------------------------------------------------------------- */

static void s_expire (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now)
{
    if (core->sessions > exchange->sessions_before)
        rp_exchange_finish (core, exchange, RP_EXPIRED, RP_END_HELD, now);
    else if (rp_link_is_shut_out (&core->link))
        rp_exchange_finish (core, exchange, RP_DENIED, RP_END_REFUSED, now);
    else
        rp_exchange_finish (core, exchange, RP_NO_BROKER, RP_END_UNREACHED, now);
}

void rp_exchange_timed (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now)
{
    int64_t last = exchange->deadline + RP_DEADLINE_GRACE_MS * RP_US_PER_MS;
    switch (exchange->state) {
        case RP_EXCHANGE_WAITING:
            s_expire (core, exchange, now);
            break;
        case RP_EXCHANGE_PAUSED:
            s_wait (core, exchange, &core->waiting.ring);
            break;
        case RP_EXCHANGE_RUNNING:
            // The timer was set to the deadline, so that sending did not have to move it.
            if (now < last) {
                s_set_timer (core, exchange, last);
                break;
            }
            exchange->cancel = exchange->wire_id;
            rp_exchange_finish (core, exchange, RP_UNKNOWN, RP_END_SILENT, now);
            break;
        case RP_EXCHANGE_IDLE:
        case RP_EXCHANGE_ENDED:
            break;
    }
}

/*  ---- Sending -------------------------------------------------------------------------------- */

static void s_enter_conversation (rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head)
{
    rp_client_conversation_t *conversation = exchange->conversation;
    if (conversation->key == 0)
        conversation->key = ++core->last_key;
    conversation->session = core->sessions;
    exchange->conversation_key = conversation->key;
    head->conversation = conversation->key;
    if (!conversation->established && !conversation->opener) {
        conversation->opener = exchange;
        head->flags |= RP_FLAG_OPEN;
    }
}

/*  True if the owner ended the conversation, or it was lost after this request was meant for
    it.  */
static bool s_conversation_is_over (const rp_exchange_t *exchange)
{
    const rp_client_conversation_t *conversation = exchange->conversation;
    return conversation->over
           || (exchange->conversation_key && exchange->conversation_key != conversation->key);
}

/*  Completes the head of a durable request. False if it ended instead.  */
static bool s_make_durable (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    if (!core->keeps_jobs) {
        rp_exchange_finish (core, exchange, RP_INVALID, RP_END_NO_JOBS, now);
        return false;
    }
    if (exchange->unseen && exchange->endpoint != core->link.current) {
        rp_exchange_finish (core, exchange, RP_UNKNOWN, RP_END_LOST, now);
        return false;
    }
    exchange->endpoint = (uint8_t) core->link.current;
    head->flags |= RP_FLAG_DURABLE;
    head->attempts = exchange->attempts;
    return true;
}

/*  The same of a request with a stream, which begins anew each time it is sent.  */
static bool s_make_stream (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    rp_exchange_stream_t *stream = exchange->stream;
    if (!core->streams) {
        rp_exchange_finish (core, exchange, RP_INVALID, RP_END_NO_STREAMS, now);
        return false;
    }
    rp_flow_begin (&stream->reader, rp_flow_window (stream->window, core->stream_window),
      rp_flow_window (stream->most, core->stream_window));
    stream->writer = (rp_flow_writer_t){0};
    head->flags |= (uint16_t) (RP_FLAG_STREAM | (stream->writes ? RP_FLAG_MORE : 0u));
    return true;
}

/*  The same of a request for all workers.  */
static bool s_make_all (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    if (!core->asks_all) {
        rp_exchange_finish (core, exchange, RP_INVALID, RP_END_NO_ALL, now);
        return false;
    }
    head->flags |= RP_FLAG_ALL;
    head->wait_ms = 0;
    return true;
}

/*  The same of a durable request, one with a key or a stream, one for all workers, or one that asks for a hedge. That is a preference: a
    broker that makes none gets the request without it; so does one that has it as its last attempt, after another was
    lost.  */
static bool s_make_special (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    if (exchange->all)
        return s_make_all (core, exchange, head, now);
    if (exchange->stream)
        return s_make_stream (core, exchange, head, now);
    bool again = exchange->attempts_left < exchange->attempts;
    if (exchange->hedged && core->hedges && !(again && exchange->attempts_left < 2))
        head->flags |= RP_FLAG_HEDGE;
    if (exchange->durable)
        return s_make_durable (core, exchange, head, now);
    if (!exchange->keyed)
        return true;
    if (!core->remembers) {
        rp_exchange_finish (core, exchange, RP_INVALID, RP_END_NO_REPLAYS, now);
        return false;
    }
    head->flags |= RP_FLAG_KEYED;
    return true;
}

bool rp_exchange_send (
  rp_client_core_t *core, rp_exchange_t *exchange, rp_head_t *head, int64_t now)
{
    if (now >= exchange->deadline) {
        s_expire (core, exchange, now);
        return false;
    }
    if (exchange->conversation && s_conversation_is_over (exchange)) {
        rp_exchange_finish (core, exchange, RP_CONVERSATION_LOST, RP_END_CONVERSATION_OVER, now);
        return false;
    }
    if (core->max_body && exchange->size > core->max_body) {
        rp_exchange_finish (core, exchange, RP_TOO_LARGE, RP_END_TOO_LARGE, now);
        return false;
    }
    int64_t left = (exchange->deadline - now) / RP_US_PER_MS;
    *head = (rp_head_t){
      .command = RP_COMMAND_REQUEST,
      .flags = exchange->trace ? RP_FLAG_TRACE : 0,
      .id = exchange->wire_id,
      .deadline_ms = left ? (uint32_t) left : 1,
      .wait_ms = exchange->wait_ms,
      .attempts = exchange->attempts_left,
      .priority = core->prioritises ? exchange->priority : 0,
    };
    if (exchange->conversation)
        s_enter_conversation (core, exchange, head);
    bool special =
      exchange->durable || exchange->keyed || exchange->stream || exchange->hedged || exchange->all;
    if (special && !s_make_special (core, exchange, head, now))
        return false;
    rp_list_remove (&exchange->node);
    rp_list_append (&core->running, &exchange->node);
    rp_exchange_set_state (core, exchange, RP_EXCHANGE_RUNNING);
    return true;
}

/*  ---- Begin ---------------------------------------------------------------------------------- */

static void s_prepare (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now)
{
    exchange->submitted = now;
    exchange->deadline = now + exchange->timeout_ms * RP_US_PER_MS;
    exchange->attempts_left = exchange->attempts;
    if (exchange->durable)
        exchange->attempts_left = exchange->keyed ? 2 : 1;
    exchange->replayed = false;
    exchange->retries = 0;
    exchange->asked = 0;
    exchange->cancelled = false;
    exchange->answered = false;
    exchange->unseen = false;
    exchange->cancel = 0;
    exchange->todo = (rp_list_node_t){0};
    const rp_client_conversation_t *conversation = exchange->conversation;
    exchange->conversation_key = conversation && conversation->established ? conversation->key : 0;
    bool up = self->link.state == RP_LINK_UP;
    exchange->sessions_before = up ? self->sessions - 1 : self->sessions;
}

int rp_exchange_accept (rp_client_core_t *core, rp_exchange_t *exchange, int64_t now)
{
    if (core->open_count >= core->config.max_open)
        return RP_FULL;
    if (!rp_slots_reserve (&core->slots))
        return RP_NO_MEMORY;
    s_prepare (core, exchange, now);
    if (!rp_deadlines_add (&core->timers, &exchange->timer, exchange->deadline))
        return RP_NO_MEMORY;

    if (exchange->deadline < core->next)
        core->next = exchange->deadline;
    exchange->id = exchange->wire_id = rp_slots_take (&core->slots, exchange);
    rp_exchange_set_state (core, exchange, RP_EXCHANGE_WAITING);
    rp_list_append (&core->waiting, &exchange->node);
    core->open_count++;
    core->budget += core->config.retry_percent;
    if (core->budget > RP_RETRY_CAP * S_RETRY_COST)
        core->budget = RP_RETRY_CAP * S_RETRY_COST;
    return RP_OK;
}

/*  ---- The shell and one request -------------------------------------------------------------- */

void rp_client_core_unsent (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now)
{
    s_leave (exchange);
    s_wait (self, exchange, self->waiting.ring.next);
    self->blocked_until = now + RP_SEND_PAUSE_US;
    if (self->blocked_until < self->next)
        self->next = self->blocked_until;
}

bool rp_client_core_cancel (rp_client_core_t *self, uint64_t id, int64_t now)
{
    rp_exchange_t *exchange = rp_slots_at (&self->slots, id);
    if (!exchange || exchange->id != id)
        return false;
    if (exchange->state != RP_EXCHANGE_RUNNING)
        rp_exchange_finish (self, exchange, RP_CANCELLED, RP_END_WITHDRAWN, now);
    else if (!exchange->cancelled) {
        exchange->cancelled = true;
        exchange->cancel = exchange->wire_id;
        if (!exchange->todo.next)
            rp_list_append (&self->todo, &exchange->todo);
    }
    return true;
}

void rp_client_core_abandon (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now)
{
    if (exchange->state == RP_EXCHANGE_RUNNING)
        exchange->cancel = exchange->wire_id;
    rp_exchange_finish (self, exchange, RP_CANCELLED, RP_END_WITHDRAWN, now);
}

bool rp_client_core_end_conversation (
  rp_client_core_t *self, rp_client_conversation_t *conversation, rp_head_t *head, int64_t now)
{
    conversation->over = true;
    if (!conversation->key || conversation->session != self->sessions
        || self->link.state != RP_LINK_UP)
        return false;
    *head = (rp_head_t){.command = RP_COMMAND_END, .conversation = conversation->key};
    if (rp_link_said (&self->link, now))
        self->next = now;
    return true;
}
