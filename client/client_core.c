/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/client_core.h"

#include <stdio.h>
#include <string.h>

#include "client/exchange.h"
#include "common/base/shuffle.h"
#include "common/base/units.h"
#include "common/wire/advice.h"
#include "common/wire/headers.h"

/*  Orders about the session, in the order in which they are carried out.  */
enum {
    S_ORDER_BYE = 1 << 0,
    S_ORDER_CLOSE_ORDERLY = 1 << 1,
    S_ORDER_CLOSE = 1 << 2,
    S_ORDER_OPEN = 1 << 3,
    S_ORDER_HELLO = 1 << 4,
    S_ORDER_HEARTBEAT = 1 << 5,
};

#define S_NEVER INT64_MAX

/*  Separates the reasons of two endpoints.  */
#define S_BETWEEN "; "

static rp_exchange_t *s_exchange (rp_list_node_t *node)
{
    return RP_CONTAINER (node, rp_exchange_t, node);
}

void rp_client_core_init (rp_client_core_t *self, const rp_client_config_t *config, uint64_t seed)
{
    *self = (rp_client_core_t){.config = *config, .random = seed, .next = S_NEVER};
    rp_deadlines_init (&self->timers);
    rp_list_init (&self->waiting);
    rp_list_init (&self->running);
    rp_list_init (&self->todo);
}

void rp_client_core_clear (rp_client_core_t *self)
{
    rp_deadlines_clear (&self->timers);
    rp_slots_clear (&self->slots);
}

void rp_client_core_start (rp_client_core_t *self, int64_t now)
{
    if (self->started || self->closed)
        return;
    self->started = true;
    self->next = now;
    self->budget += self->config.retry_percent ? RP_RETRY_RESERVE * 100 : 0;
    if (self->config.spread)
        rp_shuffle ((void *) self->config.endpoints, self->config.endpoint_count,
          sizeof *self->config.endpoints, rp_client_core_random (self));
    rp_link_init (&self->link, self->config.endpoints, self->config.endpoint_count,
      self->config.heartbeat_ms, RP_IDLE_TENTHS_CLIENT);
    self->link.within = (int64_t) self->config.timeout_ms * 1000;
}

int rp_client_core_submit (rp_client_core_t *self, rp_exchange_t *exchange, int64_t now)
{
    int rc = self->closed ? RP_CLOSED : rp_exchange_accept (self, exchange, now);
    if (rc != RP_OK)
        return rc;
    if (!self->started)
        rp_client_core_start (self, now);
    if (self->link.state == RP_LINK_UP)
        return RP_OK;
    if (self->link.state == RP_LINK_REFUSED)
        rp_exchange_finish (self, exchange, self->refusal, RP_END_REFUSED, now);
    else if (self->link.state != RP_LINK_REST)
        self->next = now; // the current attempt to connect may have less time now
    return RP_OK;
}

/*  ---- The session ---------------------------------------------------------------------------- */

/*  Each request that the broker had ends, or waits again, in order and in front of those not sent
    yet.  */
static void s_end_session (rp_client_core_t *self, int64_t now)
{
    self->draining = false;
    self->orders &= (unsigned) ~(S_ORDER_HELLO | S_ORDER_HEARTBEAT);
    self->next = now;
    rp_list_node_t *place = self->waiting.ring.next;
    for (rp_list_node_t *node; (node = rp_list_first (&self->running));)
        rp_exchange_lost (self, s_exchange (node), place, now);
}

/*  Removes the earlier reasons of an endpoint and of its addresses.  */
static void s_forget (rp_client_core_t *self, const char *endpoint)
{
    size_t size = strlen (endpoint);
    for (char *at = self->error; *at;) {
        char *end = strstr (at, S_BETWEEN);
        char *rest = end ? end + strlen (S_BETWEEN) : at + strlen (at);
        bool same = strncmp (at, endpoint, size) == 0
                    && (strncmp (at + size, ": ", 2) == 0 || at[size] == ' ');
        if (same)
            memmove (at, rest, strlen (rest) + 1);
        else
            at = rest;
    }
}

/*  Adds a reason for people: the last of each endpoint, or of each of its addresses, with the
    newest at the end. Reasons from before the last session are removed. If there is no room for
    all, only the newest is kept.  */
static void s_remember (rp_client_core_t *self, const char *reason)
{
    char entry[RP_CLIENT_REASON_MAX];
    char label[RP_LINK_LABEL_MAX];
    if (self->error_sessions != self->sessions)
        self->error[0] = '\0';
    self->error_sessions = self->sessions;
    if (self->link.address == 0)
        s_forget (self, rp_link_endpoint (&self->link));
    size_t used = strlen (self->error);
    while (used >= strlen (S_BETWEEN)
           && strcmp (self->error + used - strlen (S_BETWEEN), S_BETWEEN) == 0)
        self->error[used -= strlen (S_BETWEEN)] = '\0'; // the entry behind it was removed
    snprintf (entry, sizeof entry, "%s: %s", rp_link_label (&self->link, label), reason);
    if (used + strlen (S_BETWEEN) + strlen (entry) >= sizeof self->error)
        used = 0;
    snprintf (self->error + used, sizeof self->error - used, "%s%s", used ? S_BETWEEN : "", entry);
}

/*  The connection is over; fail: the link's function for the cause. False: it was over before.  */
static bool s_over (rp_client_core_t *self,
  void (*fail) (rp_link_t *link, int64_t now, uint64_t random),
  const char *reason,
  int64_t now)
{
    if (self->closed || self->link.state < RP_LINK_CONNECTING || self->link.state > RP_LINK_UP)
        return false;
    s_remember (self, reason);
    self->absence = rp_link_absence (&self->link, now);
    fail (&self->link, now, rp_client_core_random (self));
    self->orders |= S_ORDER_CLOSE;
    s_end_session (self, now);
    return true;
}

void rp_client_core_failed (rp_client_core_t *self, const char *reason, int64_t now)
{
    (void) s_over (self, rp_link_failed, reason, now);
}

void rp_client_core_found (rp_client_core_t *self, const rp_addresses_t *found, int64_t now)
{
    rp_addresses_t order = *found;
    if (self->config.spread && !rp_address_is_srv (rp_link_endpoint (&self->link)))
        rp_shuffle (
          order.endpoints, order.count, sizeof *order.endpoints, rp_client_core_random (self));
    rp_link_found (&self->link, &order, now);
    self->next = now;
}

void rp_client_core_connected (rp_client_core_t *self, int64_t now)
{
    if (self->closed || self->link.state != RP_LINK_CONNECTING)
        return;
    rp_link_connected (&self->link, now);
    self->orders |= S_ORDER_HELLO;
    self->next = now;
}

static void s_finish_all (
  rp_client_core_t *self, rp_status_t status, rp_exchange_end_t end, int64_t now)
{
    for (uint32_t slot = 0; slot < self->slots.capacity; slot++) {
        rp_exchange_t *exchange = rp_slots_at (&self->slots, slot);
        if (exchange)
            rp_exchange_finish (self, exchange, status, end, now);
    }
}

void rp_client_core_denied (rp_client_core_t *self, const char *reason, int64_t now)
{
    if (!s_over (self, rp_link_denied, reason, now) || !rp_link_is_shut_out (&self->link))
        return;
    self->denials++;
    s_finish_all (self, RP_DENIED, RP_END_REFUSED, now);
}

/*  The broker refused this client: no waiting request will ever be sent.  */
static void s_refused (rp_client_core_t *self, rp_status_t status, int64_t now)
{
    self->refusal = status;
    rp_link_refused (&self->link);
    self->orders |= S_ORDER_CLOSE;
    s_end_session (self, now);
    s_finish_all (self, status, RP_END_REFUSED, now);
}

static void s_bye (rp_client_core_t *self, const rp_head_t *bye, int64_t now)
{
    char reason[256];
    bool greeting = self->link.state == RP_LINK_GREETING;
    bool refused = greeting && (bye->status == RP_DENIED || bye->status == RP_INVALID);
    snprintf (reason, sizeof reason, "the broker %s with %s%s%.*s",
      refused ? "refused" : "said BYE", rp_status_name (bye->status), bye->text_size ? ": " : "",
      (int) bye->text_size, bye->text_size ? bye->text : "");
    if (!refused) {
        rp_client_core_failed (self, reason, now);
        return;
    }
    s_remember (self, reason);
    s_refused (self, (rp_status_t) bye->status, now);
}

/*  The number that WELCOME states under this name; 0: none.  */
static uint64_t s_read (const rp_head_t *welcome, const char *name)
{
    rp_header_t header;
    char text[RP_UNITS_TEXT_MAX];
    uint64_t value = 0;
    const char *reason = NULL;
    if (!rp_headers_find (welcome->headers, welcome->headers_size, name, &header)
        || header.value_size >= sizeof text)
        return 0;
    memcpy (text, header.value, header.value_size);
    text[header.value_size] = '\0';
    return rp_count_parse (text, &value, &reason) ? value : 0;
}

/*  True if WELCOME says so.  */
static bool s_has (const rp_head_t *welcome, const char *name)
{
    rp_header_t header;
    return rp_headers_find (welcome->headers, welcome->headers_size, name, &header)
           && header.value_size == 1 && header.value[0] == '1';
}

static void s_welcome (rp_client_core_t *self, const rp_head_t *welcome, int64_t now)
{
    if (!rp_link_welcomed (&self->link, welcome, now)) {
        rp_client_core_failed (self, "its WELCOME makes no sense", now);
        return;
    }
    self->sessions++;
    self->broker_open = welcome->max_open;
    self->max_body = s_read (welcome, "max-body");
    self->keeps_jobs = s_has (welcome, RP_WELCOME_JOBS);
    self->remembers = s_has (welcome, RP_WELCOME_REPLAYS);
    self->prioritises = s_has (welcome, RP_WELCOME_PRIORITIES);
    self->streams = s_has (welcome, RP_WELCOME_STREAMS);
    self->stream_window = s_read (welcome, RP_WELCOME_STREAM_WINDOW);
    self->hedges = s_has (welcome, RP_WELCOME_HEDGING);
    self->asks_all = s_has (welcome, RP_WELCOME_ALL);
    self->next = now;
}

/*  The broker drains. It keeps the requests that it has; all others wait for another broker of the
    list, if there is one.  */
static void s_drain (rp_client_core_t *self)
{
    self->draining = self->config.endpoint_count > 1;
}

static void s_move (rp_client_core_t *self, int64_t now)
{
    self->draining = false;
    s_remember (self, "it drains, or could not take a request");
    if (!rp_link_move (&self->link, now, rp_client_core_random (self)))
        return;
    self->orders |= S_ORDER_BYE | S_ORDER_CLOSE_ORDERLY;
    s_end_session (self, now);
}

static rp_exchange_t *s_reply (rp_client_core_t *self, const rp_head_t *reply, int64_t now)
{
    rp_exchange_t *exchange = rp_slots_at (&self->slots, reply->id);
    if (!exchange || exchange->wire_id != reply->id || exchange->state != RP_EXCHANGE_RUNNING) {
        self->late++;
        return NULL;
    }
    if (reply->flags & RP_FLAG_MORE) {
        bool taken = rp_exchange_part (exchange, reply);
        self->ignored += !taken;
        return taken ? exchange : NULL;
    }
    return rp_exchange_replied (self, exchange, reply, now) ? exchange : NULL;
}

static rp_exchange_t *s_accepted (rp_client_core_t *self, const rp_head_t *accepted, int64_t now)
{
    rp_exchange_t *exchange = rp_slots_at (&self->slots, accepted->id);
    if (!exchange || exchange->wire_id != accepted->id || exchange->state != RP_EXCHANGE_RUNNING) {
        self->late++;
        return NULL;
    }
    if (rp_exchange_accepted (self, exchange, now))
        return exchange;
    self->ignored++;
    return NULL;
}

static rp_exchange_t *s_granted (rp_client_core_t *self, const rp_head_t *grant)
{
    rp_exchange_t *exchange = rp_slots_at (&self->slots, grant->id);
    if (!exchange || exchange->wire_id != grant->id || exchange->state != RP_EXCHANGE_RUNNING) {
        self->late++;
        return NULL;
    }
    if (rp_exchange_granted (exchange, grant))
        return exchange;
    self->ignored++;
    return NULL;
}

rp_exchange_t *rp_client_core_message (rp_client_core_t *self, const rp_head_t *head, int64_t now)
{
    bool up = self->link.state == RP_LINK_UP;
    bool greeting = self->link.state == RP_LINK_GREETING;
    if (up || greeting)
        rp_link_heard (&self->link, now);

    if (up && head->command == RP_COMMAND_REPLY)
        return s_reply (self, head, now);
    if (up && head->command == RP_COMMAND_ACCEPTED)
        return s_accepted (self, head, now);
    if (up && head->command == RP_COMMAND_HEARTBEAT) {
        if (rp_link_beat (&self->link, now))
            self->next = now;
        return NULL;
    }
    if (up && head->command == RP_COMMAND_GRANT)
        return s_granted (self, head);
    if (greeting && head->command == RP_COMMAND_WELCOME)
        s_welcome (self, head, now);
    else if ((up || greeting) && head->command == RP_COMMAND_BYE)
        s_bye (self, head, now);
    else if (up && head->command == RP_COMMAND_DRAIN)
        s_drain (self);
    else
        self->ignored++;
    return NULL;
}

/*  ---- Time ----------------------------------------------------------------------------------- */

static void s_fell_silent (rp_client_core_t *self, int64_t now)
{
    char reason[96];
    const char *missed = "no connection";
    if (self->link.state == RP_LINK_GREETING)
        missed = "connected, but no WELCOME came";
    else if (rp_link_looks_up (&self->link))
        missed = RP_REASON_UNANSWERED;
    if (self->link.state == RP_LINK_UP)
        snprintf (reason, sizeof reason, "the broker said nothing for too long");
    else
        snprintf (reason, sizeof reason, "%s within %u ms", missed,
          (unsigned) ((now - self->link.opened) / 1000));
    rp_client_core_failed (self, reason, now);
}

/*  Ticks the link. Returns when the next tick is due.  */
static int64_t s_tick_link (rp_client_core_t *self, int64_t now)
{
    self->link.idle = self->running_count == 0;
    rp_list_node_t *oldest = rp_list_first (&self->waiting);
    self->link.wanted = oldest ? s_exchange (oldest)->deadline : S_NEVER;
    for (;;) {
        int64_t next = S_NEVER;
        switch (rp_link_tick (&self->link, now, &next)) {
            case RP_LINK_OPEN:
                self->orders |= S_ORDER_OPEN;
                break;
            case RP_LINK_LOST:
                s_fell_silent (self, now);
                break;
            case RP_LINK_HEARTBEAT:
                self->orders |= S_ORDER_HEARTBEAT;
                break;
            case RP_LINK_NOTHING:
                return next;
        }
    }
}

int64_t rp_client_core_tick (rp_client_core_t *self, int64_t now)
{
    if (now < self->next)
        return self->next;
    int64_t link_next = self->started && !self->closed ? s_tick_link (self, now) : S_NEVER;

    rp_deadline_t *first;
    while ((first = rp_deadlines_first (&self->timers)) && first->due <= now)
        rp_exchange_timed (self, RP_CONTAINER (first, rp_exchange_t, timer), now);

    self->next = link_next;
    if (first && first->due < self->next)
        self->next = first->due;
    if (self->blocked_until > now && self->blocked_until < self->next)
        self->next = self->blocked_until;
    return self->next;
}

void rp_client_core_close (rp_client_core_t *self, int64_t now)
{
    if (self->closed)
        return;
    self->closed = true;
    bool greeted = self->link.state == RP_LINK_GREETING || self->link.state == RP_LINK_UP;
    self->orders = S_ORDER_CLOSE_ORDERLY | (greeted ? S_ORDER_BYE : 0u);
    s_finish_all (self, RP_CANCELLED, RP_END_WITHDRAWN, now);
    rp_link_close (&self->link);
}

/*  ---- Orders --------------------------------------------------------------------------------- */

static void s_said (rp_client_core_t *self, int64_t now)
{
    if (rp_link_said (&self->link, now))
        self->next = now;
}

static bool s_say (
  rp_client_core_t *self, rp_client_order_t *order, const rp_head_t *head, int64_t now)
{
    *order = (rp_client_order_t){.kind = RP_CLIENT_SAY, .head = *head};
    s_said (self, now);
    return true;
}

static bool __attribute__ ((noinline))
s_session_order (rp_client_core_t *self, rp_client_order_t *order, int64_t now)
{
    unsigned first = self->orders & -self->orders;
    self->orders &= ~first;
    switch (first) {
        case S_ORDER_BYE:
            return s_say (self, order, &(rp_head_t){.command = RP_COMMAND_BYE}, now);
        case S_ORDER_CLOSE_ORDERLY:
        case S_ORDER_CLOSE:
            *order = (rp_client_order_t){
              .kind = RP_CLIENT_CLOSE, .orderly = first == S_ORDER_CLOSE_ORDERLY};
            return true;
        case S_ORDER_OPEN:
            *order =
              (rp_client_order_t){.kind = RP_CLIENT_OPEN, .endpoint = rp_link_where (&self->link)};
            return true;
        case S_ORDER_HELLO:
            return s_say (self, order,
              &(rp_head_t){.command = RP_COMMAND_HELLO,
                .flags = RP_FLAG_BUNDLES,
                .interval_ms = self->link.proposed_ms},
              now);
        default:
            *order = (rp_client_order_t){.kind = RP_CLIENT_SAY,
              .head = {
                .command = RP_COMMAND_HEARTBEAT, .interval_ms = rp_link_announced (&self->link)}};
            return true;
    }
}

/*  True if GRANT is to be sent; it is then.  */
static bool s_grants (const rp_client_core_t *self, rp_exchange_t *exchange)
{
    if (!exchange->stream || !exchange->stream->grants)
        return false;
    exchange->stream->grants = false;
    return exchange->state == RP_EXCHANGE_RUNNING && self->link.state == RP_LINK_UP;
}

/*  Takes the next order about a single request: CANCEL or GRANT first, then ENDED.  */
static bool s_todo_order (rp_client_core_t *self, rp_client_order_t *order, int64_t now)
{
    for (rp_list_node_t *node; (node = rp_list_first (&self->todo));) {
        rp_exchange_t *exchange = RP_CONTAINER (node, rp_exchange_t, todo);
        uint64_t cancel = exchange->cancel;
        exchange->cancel = 0;
        if (cancel && self->link.state == RP_LINK_UP)
            return s_say (
              self, order, &(rp_head_t){.command = RP_COMMAND_CANCEL, .id = cancel}, now);
        if (s_grants (self, exchange))
            return s_say (self, order,
              &(rp_head_t){.command = RP_COMMAND_GRANT,
                .id = exchange->wire_id,
                .granted = exchange->stream->reader.granted},
              now);
        rp_list_remove (node);
        if (exchange->state == RP_EXCHANGE_ENDED) {
            rp_exchange_set_state (self, exchange, RP_EXCHANGE_IDLE);
            order->kind = RP_CLIENT_ENDED;
            order->exchange = exchange;
            return true;
        }
    }
    return false;
}

static bool s_may_send (const rp_client_core_t *self, int64_t now)
{
    return self->link.state == RP_LINK_UP && !self->draining && now >= self->blocked_until
           && (!self->broker_open || self->running_count < self->broker_open);
}

bool rp_client_core_next_order (rp_client_core_t *self, rp_client_order_t *order, int64_t now)
{
    if (self->draining && self->running_count == 0 && self->link.state == RP_LINK_UP)
        s_move (self, now);
    if (self->orders)
        return s_session_order (self, order, now);
    for (;;) {
        if (s_todo_order (self, order, now))
            return true;
        rp_list_node_t *node = rp_list_first (&self->waiting);
        if (!node || !s_may_send (self, now))
            return false;
        if (rp_exchange_send (self, s_exchange (node), &order->head, now)) {
            order->kind = RP_CLIENT_SEND;
            order->exchange = s_exchange (node);
            s_said (self, now);
            return true;
        }
    }
}
