/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/io/clock.h"

/*  A time nearer than this is a timeout, not an alarm: it changes with nearly every poll.  */
#define S_NEAR_US 20000

bool rp_alarm_init (rp_alarm_t *self)
{
    *self = (rp_alarm_t){
      .descriptor = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), .due = INT64_MAX};
    return self->descriptor >= 0;
}

void rp_alarm_close (rp_alarm_t *self)
{
    if (self->descriptor >= 0)
        close (self->descriptor);
    self->descriptor = -1;
}

const struct timespec *rp_alarm_set (rp_alarm_t *self, int64_t until, struct timespec *timeout)
{
    if (until == INT64_MAX)
        return NULL;
    int64_t left = until - rp_clock_us ();
    *timeout = rp_clock_timespec (left > 0 ? left : 0);
    if (left < S_NEAR_US)
        return timeout;
    if (self->due > until) {
        struct itimerspec when = {.it_value = *timeout};
        if (timerfd_settime (self->descriptor, 0, &when, NULL) != 0)
            return timeout;
        self->due = until;
    }
    return NULL;
}

void rp_alarm_rang (rp_alarm_t *self)
{
    uint64_t times;
    RP_CHECK (
      read (self->descriptor, &times, sizeof times) == (ssize_t) sizeof times || errno == EAGAIN);
    self->due = INT64_MAX;
}
