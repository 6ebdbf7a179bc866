/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/link.h"

#include <stdio.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/check.h"
#include "common/base/units.h"
#include "common/wire/limits.h"

/*  Allowed transitions: from row to column.  */
static const bool s_allowed[RP_LINK_STATE_COUNT][RP_LINK_STATE_COUNT] = {
  [RP_LINK_REST] = {[RP_LINK_CONNECTING] = true, [RP_LINK_CLOSED] = true},
  [RP_LINK_CONNECTING] =
    {[RP_LINK_REST] = true, [RP_LINK_GREETING] = true, [RP_LINK_CLOSED] = true},
  [RP_LINK_GREETING] =
    {[RP_LINK_REST] = true, [RP_LINK_UP] = true, [RP_LINK_REFUSED] = true, [RP_LINK_CLOSED] = true},
  [RP_LINK_UP] = {[RP_LINK_REST] = true, [RP_LINK_CLOSED] = true},
  [RP_LINK_REFUSED] = {[RP_LINK_CLOSED] = true},
};

void rp_link_set_state (rp_link_t *self, rp_link_state_t state)
{
    RP_CHECK (s_allowed[self->state][state]);
    self->state = state;
}

void rp_link_init (rp_link_t *self,
  const char *const *endpoints,
  size_t count,
  uint32_t heartbeat_ms,
  uint32_t idle_tenths)
{
    memset (self, 0, sizeof *self); // in REST
    self->endpoints = endpoints;
    self->count = count;
    self->wanted = INT64_MAX;
    self->proposed_ms = heartbeat_ms;
    self->idle_tenths = idle_tenths;
}

const char *rp_link_endpoint (const rp_link_t *self)
{
    return self->endpoints[self->current];
}

const char *rp_link_where (const rp_link_t *self)
{
    return self->found.count ? self->found.endpoints[self->address] : rp_link_endpoint (self);
}

bool rp_link_looks_up (const rp_link_t *self)
{
    return self->state == RP_LINK_CONNECTING && self->found.count == 0
           && rp_address_is_name (rp_link_endpoint (self));
}

const char *rp_link_label (const rp_link_t *self, char *buffer)
{
    size_t size = 0;
    const char *address = "";
    if (self->found.count > 0 && rp_address_is_srv (rp_link_endpoint (self))) {
        address = rp_address_host (rp_link_where (self), &size);
        size = strlen (address); // with the port, which the name does not tell
    }
    else if (self->found.count > 1)
        address = rp_address_host (rp_link_where (self), &size);
    snprintf (buffer, RP_LINK_LABEL_MAX, "%s%s%.*s", rp_link_endpoint (self), size ? " at " : "",
      (int) size, address);
    return buffer;
}

static int64_t s_backoff (uint32_t failures, uint64_t random)
{
    return rp_backoff_us (
      failures, RP_BACKOFF_FIRST_MS * RP_US_PER_MS, RP_BACKOFF_LARGEST_MS * RP_US_PER_MS, random);
}

/*  The time for one endpoint when this many have not been tried: equal shares, with one share kept
    until all have been tried.  */
static int64_t s_share (int64_t time, size_t untried)
{
    int64_t least = RP_CONNECT_LEAST_MS * RP_US_PER_MS;
    int64_t share = time / (int64_t) (untried + 1);
    return share > least ? share : least;
}

/*  How long the current attempt to connect may take: RP_CONNECT_MS at most.

    With several endpoints or addresses, an attempt gets a share of that time in the first round, so
    that one that does not answer leaves time for the others, and twice as long in each later round.
    While a request waits for a session, the time left for it is shared too.  */
static int64_t s_connect_patience (const rp_link_t *self, int64_t now)
{
    int64_t most = RP_CONNECT_MS * RP_US_PER_MS;
    size_t more = self->found.count ? self->found.count - 1 : 0;
    size_t all = self->count + more;
    if (all < 2)
        return most;
    int64_t patience = most / (int64_t) all;
    if (patience > RP_CONNECT_FIRST_MS * RP_US_PER_MS)
        patience = RP_CONNECT_FIRST_MS * RP_US_PER_MS;
    if (self->within > 0 && patience > s_share (self->within, all))
        patience = s_share (self->within, all);
    for (uint32_t round = 0; round < self->failures && patience < most; round++)
        patience *= 2;
    if (patience > most)
        patience = most;
    bool hurry = self->tried < self->count && self->wanted < INT64_MAX && self->wanted > now;
    size_t untried = self->count - self->tried + more - self->address;
    int64_t share = hurry ? s_share (self->wanted - now, untried) : most;
    return patience < share ? patience : share;
}

static void s_rest (rp_link_t *self, int64_t due)
{
    self->current = (self->current + 1) % self->count;
    self->found.count = self->address = 0;
    rp_link_set_state (self, RP_LINK_REST);
    self->due = due;
}

void rp_link_found (rp_link_t *self, const rp_addresses_t *found, int64_t now)
{
    if (!rp_link_looks_up (self))
        return;
    self->found = *found;
    rp_link_set_state (self, RP_LINK_REST);
    self->due = now;
}

void rp_link_look_up_again (rp_link_t *self, int64_t due)
{
    self->tried = self->failures = 0;
    s_rest (self, due);
}

/*  Goes to the next address of the endpoint in use, without a pause. False if there is none.  */
static bool s_next_address (rp_link_t *self, int64_t now)
{
    if (self->address + 1 >= self->found.count)
        return false;
    self->address++;
    rp_link_set_state (self, RP_LINK_REST);
    self->due = now;
    return true;
}

static void s_fail (rp_link_t *self, int64_t now, uint64_t random)
{
    switch (self->state) {
        case RP_LINK_CONNECTING:
        case RP_LINK_GREETING:
            // The failure of one endpoint says nothing about the next, so there is a pause only
            // between rounds.
            if (s_next_address (self, now))
                break;
            if (++self->tried < self->count) {
                s_rest (self, now);
                break;
            }
            self->tried = 0;
            self->failures++;
            s_rest (self, now + s_backoff (self->failures, random));
            break;
        case RP_LINK_UP:
            // The first attempt comes at once. If the broker welcomes and drops the link again and
            // again, a growing pause begins with the second brief connection in a row.
            self->tried = 1;
            self->brief = now - self->since < self->interval ? self->brief + 1 : 0;
            s_rest (self, now + s_backoff (self->brief > 1 ? self->brief - 1 : 0, random));
            break;
        case RP_LINK_REST:
        case RP_LINK_REFUSED:
        case RP_LINK_CLOSED:
            break; // the connection was over before
    }
}

static uint64_t s_bit (const rp_link_t *self)
{
    return UINT64_C (1) << self->current % 64;
}

void rp_link_failed (rp_link_t *self, int64_t now, uint64_t random)
{
    bool connecting = self->state == RP_LINK_CONNECTING || self->state == RP_LINK_GREETING;
    // Only the first address of an endpoint clears its denial: one address whose broker denies the
    // key is enough, even if another address fails after it.
    if (connecting && self->address == 0)
        self->denied &= ~s_bit (self);
    s_fail (self, now, random);
}

void rp_link_denied (rp_link_t *self, int64_t now, uint64_t random)
{
    if (self->state == RP_LINK_CONNECTING)
        self->denied |= s_bit (self);
    s_fail (self, now, random);
}

bool rp_link_is_shut_out (const rp_link_t *self)
{
    uint64_t all = self->count < 64 ? (UINT64_C (1) << self->count) - 1 : UINT64_MAX;
    return self->count > 0 && (self->denied & all) == all;
}

/*  The interval that both sides use now.  */
static int64_t s_interval (const rp_link_t *self)
{
    int64_t most = RP_HEARTBEAT_MAX_MS * RP_US_PER_MS;
    int64_t slow = (int64_t) self->idle_tenths * self->interval / 10;
    return !self->slow ? self->interval : slow < most ? slow : most;
}

/*  How long the broker may be silent now.  */
static int64_t s_patience (const rp_link_t *self)
{
    int64_t agreed = (int64_t) RP_LIVENESS * self->interval;
    int64_t slow = (int64_t) RP_IDLE_LIVENESS * s_interval (self);
    return agreed > slow ? agreed : slow;
}

uint32_t rp_link_announced (const rp_link_t *self)
{
    return self->slow ? (uint32_t) (s_interval (self) / RP_US_PER_MS) : 0;
}

bool rp_link_beat (rp_link_t *self, int64_t now)
{
    self->prompted = self->state == RP_LINK_UP && now - self->said >= s_interval (self) / 2;
    return self->prompted;
}

static bool s_comes_late (const rp_link_t *self, int64_t now)
{
    return now > self->planned + self->interval / 2;
}

int64_t rp_link_absence (const rp_link_t *self, int64_t now)
{
    if (self->state != RP_LINK_UP)
        return 0;
    if (s_comes_late (self, now))
        return now - self->planned;
    return now - self->returned <= 2 * self->interval ? self->absent : 0;
}

/*  A call that comes much later than planned shows that this process stood still (it was stopped,
    or the machine slept). What the broker sent meanwhile is still to be read, so the broker gets
    one more interval before its silence counts.  */
static void s_forgive_own_absence (rp_link_t *self, int64_t now)
{
    if (!s_comes_late (self, now))
        return;
    self->absent = now - self->planned;
    self->returned = now;
    int64_t spared = now - (s_patience (self) - s_interval (self));
    if (self->heard < spared)
        self->heard = spared;
}

void rp_link_wake (rp_link_t *self, int64_t now)
{
    s_forgive_own_absence (self, now);
    int64_t slow = s_interval (self);
    int64_t patience = s_patience (self);
    self->slow = false;
    self->planned = now + self->interval;
    // The longer interval is over, so its silence does not count; but the broker gets no more time
    // than it had before. A broker that has missed its turn gets two intervals, not three: then a
    // request that ended the idle time can still be sent to another broker in time.
    bool missed = now - self->heard > slow + slow / 4;
    int64_t woke = missed ? now - self->interval : now;
    int64_t spared = self->heard + patience - s_patience (self);
    self->woke = spared < woke ? spared : woke;
}

/*  Silence during the longer interval does not count.  */
static int64_t s_lost_at (const rp_link_t *self)
{
    int64_t since = self->heard > self->woke ? self->heard : self->woke;
    return since + s_patience (self);
}

static rp_link_order_t s_tick_up (rp_link_t *self, int64_t now, int64_t *next)
{
    s_forgive_own_absence (self, now);
    *next = now;
    if (now >= s_lost_at (self))
        return RP_LINK_LOST;
    bool due = self->prompted || now - self->said >= s_interval (self);
    if (due) {
        self->said = now; // even if the owner cannot send it: no second order at once
        self->slow = self->idle && (self->slow || now - self->heard < 2 * self->interval);
        self->prompted = false;
    }
    int64_t lost = s_lost_at (self);
    int64_t speak = self->said + s_interval (self);
    *next = self->planned = lost < speak ? lost : speak;
    return due ? RP_LINK_HEARTBEAT : RP_LINK_NOTHING;
}

rp_link_order_t rp_link_tick (rp_link_t *self, int64_t now, int64_t *next)
{
    switch (self->state) {
        case RP_LINK_REST:
            if (now < self->due)
                break;
            rp_link_set_state (self, RP_LINK_CONNECTING);
            self->opened = now;
            self->due = now + s_connect_patience (self, now);
            *next = self->due;
            return RP_LINK_OPEN;
        case RP_LINK_CONNECTING:
        case RP_LINK_GREETING:
            if (self->due > now + s_connect_patience (self, now))
                self->due = now + s_connect_patience (self, now); // an earlier deadline came
            *next = self->due;
            return now < self->due ? RP_LINK_NOTHING : RP_LINK_LOST;
        case RP_LINK_UP:
            return s_tick_up (self, now, next);
        case RP_LINK_REFUSED:
        case RP_LINK_CLOSED:
            *next = INT64_MAX;
            return RP_LINK_NOTHING;
    }
    *next = self->due;
    return RP_LINK_NOTHING;
}

void rp_link_connected (rp_link_t *self, int64_t now)
{
    if (self->state != RP_LINK_CONNECTING)
        return;
    rp_link_set_state (self, RP_LINK_GREETING);
    self->said = now;
    self->heard = now;
}

bool rp_link_welcomed (rp_link_t *self, const rp_head_t *welcome, int64_t now)
{
    if (self->state != RP_LINK_GREETING || welcome->command != RP_COMMAND_WELCOME
        || welcome->interval_ms < RP_HEARTBEAT_MIN_MS || welcome->interval_ms > RP_HEARTBEAT_MAX_MS)
        return false;
    rp_link_set_state (self, RP_LINK_UP);
    self->slow = self->prompted = false;
    self->woke = now;
    self->interval = welcome->interval_ms * RP_US_PER_MS;
    self->failures = 0;
    self->tried = 0;
    self->denied = 0;
    self->since = now;
    self->planned = now + self->interval;
    self->heard = now;
    return true;
}

void rp_link_refused (rp_link_t *self)
{
    if (self->state == RP_LINK_GREETING)
        rp_link_set_state (self, RP_LINK_REFUSED);
}

bool rp_link_move (rp_link_t *self, int64_t now, uint64_t random)
{
    bool connected = self->state == RP_LINK_GREETING || self->state == RP_LINK_UP;
    if (self->count < 2 || !connected)
        return false;
    rp_link_failed (self, now, random);
    return true;
}

void rp_link_close (rp_link_t *self)
{
    if (self->state != RP_LINK_CLOSED)
        rp_link_set_state (self, RP_LINK_CLOSED);
}

uint32_t rp_link_retry_ms (const rp_link_t *self, int64_t now)
{
    if (self->state != RP_LINK_REST || self->due <= now)
        return 0;
    return (uint32_t) ((self->due - now + RP_US_PER_MS - 1) / RP_US_PER_MS);
}
