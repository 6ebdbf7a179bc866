/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/trial.h"

#include "common/base/backoff.h"

void rp_trial_failed (rp_trial_t *self, int64_t now, uint64_t random)
{
    self->failures++;
    self->again = now + rp_backoff_us (self->failures, RP_TRIAL_FIRST, RP_TRIAL_LARGEST, random);
}

void rp_trial_worked (rp_trial_t *self)
{
    *self = (rp_trial_t){0};
}

bool rp_trial_pauses (const rp_trial_t *self, int64_t now)
{
    return now < self->again;
}

uint32_t rp_trial_ready (const rp_trial_t *self, uint32_t slots, int64_t now)
{
    if (rp_trial_pauses (self, now))
        return 0;
    return self->failures ? 1 : slots;
}
