/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/log_limit.h"

bool rp_log_limit_pass (rp_log_limit_t *self, int64_t now, uint64_t *held_back)
{
    int64_t refills = (now - self->refilled) / RP_LOG_LIMIT_INTERVAL_US;
    if (refills >= (int64_t) self->used) {
        self->used = 0;
        self->refilled = now;
    }
    else if (refills > 0) {
        self->used -= (uint32_t) refills;
        self->refilled += refills * RP_LOG_LIMIT_INTERVAL_US;
    }
    if (self->used == RP_LOG_LIMIT_BURST) {
        self->held_back++;
        return false;
    }
    self->used++;
    *held_back = self->held_back;
    self->held_back = 0;
    return true;
}
