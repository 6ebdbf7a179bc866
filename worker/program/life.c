/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/life.h"

#include "common/base/backoff.h"
#include "common/base/check.h"

/*  From row to column: allowed.  */
static const bool s_allowed[RP_LIFE_STATE_COUNT][RP_LIFE_STATE_COUNT] = {
  [RP_LIFE_REST] = {[RP_LIFE_LOADING] = true},
  [RP_LIFE_LOADING] = {[RP_LIFE_REST] = true, [RP_LIFE_TRIED] = true, [RP_LIFE_READY] = true},
  [RP_LIFE_TRIED] = {[RP_LIFE_REST] = true, [RP_LIFE_OWES] = true, [RP_LIFE_READY] = true},
  [RP_LIFE_OWES] = {[RP_LIFE_REST] = true, [RP_LIFE_READY] = true},
  [RP_LIFE_READY] = {[RP_LIFE_REST] = true},
};

void rp_life_set_state (rp_life_t *self, rp_life_state_t state)
{
    RP_CHECK (s_allowed[self->state][state]);
    self->state = state;
}

void rp_life_init (rp_life_t *self, bool announces, int64_t limit)
{
    *self = (rp_life_t){.announces = announces, .limit = limit};
}

static int64_t s_late_at (const rp_life_t *self, int64_t now)
{
    return self->limit > 0 ? now + self->limit : RP_LIFE_NEVER;
}

/*  How long a process that does not announce itself has to live before its first request: after
    failures, as long as the pause before it.  */
static int64_t s_settle (const rp_life_t *self)
{
    if (self->failures == 0)
        return self->proven ? 0 : RP_LIFE_SETTLE;
    int64_t settle = RP_LIFE_SETTLE;
    for (uint32_t failure = 0; failure < self->failures && settle < RP_LIFE_PAUSE_LARGEST;
         failure++)
        settle *= 2;
    return settle < RP_LIFE_PAUSE_LARGEST ? settle : RP_LIFE_PAUSE_LARGEST;
}

void rp_life_started (rp_life_t *self, int64_t now)
{
    rp_life_set_state (self, RP_LIFE_LOADING);
    self->start_at = RP_LIFE_NEVER;
    self->offer_at = self->announces ? RP_LIFE_NEVER : now + s_settle (self);
    // A process that does not announce itself is not late before it has a request to answer.
    self->late_at = self->announces ? s_late_at (self, now) : RP_LIFE_NEVER;
}

static void s_pause (rp_life_t *self, int64_t now, uint64_t random)
{
    self->start_at =
      now + rp_backoff_us (self->failures, RP_LIFE_PAUSE_FIRST, RP_LIFE_PAUSE_LARGEST, random);
}

void rp_life_not_started (rp_life_t *self, int64_t now, uint64_t random)
{
    self->failures++;
    s_pause (self, now, random);
}

void rp_life_ended (rp_life_t *self, bool expected, int64_t now, uint64_t random)
{
    rp_life_set_state (self, RP_LIFE_REST);
    self->failures += !expected;
    s_pause (self, now, random);
}

void rp_life_said_ready (rp_life_t *self)
{
    // A process that owes an answer gives it first, or it would be taken for the answer to the
    // next.
    if (self->state == RP_LIFE_LOADING || self->state == RP_LIFE_TRIED)
        rp_life_set_state (self, RP_LIFE_READY);
}

void rp_life_given (rp_life_t *self, int64_t now)
{
    if (self->state != RP_LIFE_LOADING)
        return;
    rp_life_set_state (self, RP_LIFE_TRIED);
    self->late_at = s_late_at (self, now);
}

void rp_life_answered (rp_life_t *self)
{
    if (self->state != RP_LIFE_READY)
        rp_life_set_state (self, RP_LIFE_READY);
    self->failures = 0;
    self->proven = true;
}

bool rp_life_outlives_request (rp_life_t *self)
{
    if (self->state != RP_LIFE_TRIED)
        return false;
    rp_life_set_state (self, RP_LIFE_OWES);
    return true;
}

bool rp_life_is_offered (const rp_life_t *self, int64_t now)
{
    return self->state == RP_LIFE_READY || self->state == RP_LIFE_TRIED
           || (self->state == RP_LIFE_LOADING && now >= self->offer_at);
}

bool rp_life_is_late (const rp_life_t *self, int64_t now)
{
    bool loads =
      self->state == RP_LIFE_LOADING || self->state == RP_LIFE_TRIED || self->state == RP_LIFE_OWES;
    return loads && now >= self->late_at;
}

int64_t rp_life_next (const rp_life_t *self, int64_t now)
{
    switch (self->state) {
        case RP_LIFE_REST:
            return self->start_at;
        case RP_LIFE_LOADING:
            return now < self->offer_at && self->offer_at < self->late_at ? self->offer_at
                                                                          : self->late_at;
        case RP_LIFE_TRIED:
        case RP_LIFE_OWES:
            return self->late_at;
        case RP_LIFE_READY:
            break;
    }
    return RP_LIFE_NEVER;
}
