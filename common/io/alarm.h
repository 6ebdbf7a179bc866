/*  An alarm lets a thread that polls wake up in time, without a timeout at each poll.

    SPDX-License-Identifier: MPL-2.0

    A poll with a timeout sets and removes a timer of the kernel, which costs some 2 µs while a
    request waits. A time that is far away hardly changes, and if it does, it moves later. So the
    alarm sets it once, on a descriptor that is polled with the others. The alarm may ring too
    early, and then the thread wakes up for nothing; it never rings too late.

    Thread-safety: none, but its descriptor may be polled by several threads.
*/

#ifndef RP_ALARM_H
#define RP_ALARM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    int descriptor; /* to be polled for reading; -1: none */
    int64_t due;    /* when it rings, µs on the monotonic clock; INT64_MAX: never */
} rp_alarm_t;

/*  False with errno (EMFILE, ENFILE, ENOMEM).  */
bool rp_alarm_init (rp_alarm_t *self);
void rp_alarm_close (rp_alarm_t *self);

/*  To be called before a poll that has to end at the given time. Returns the timeout for the poll,
    in *timeout, or NULL if the alarm will ring by then.  */
const struct timespec *rp_alarm_set (rp_alarm_t *self, int64_t until, struct timespec *timeout);

/*  The descriptor was readable.  */
void rp_alarm_rang (rp_alarm_t *self);

#endif
