/*  An alarm: how long a thread that polls may sleep, without telling the kernel at each poll.

    SPDX-License-Identifier: MPL-2.0

    A poll with a timeout sets a timer of the kernel's and takes it back, which costs some 2 µs,
    most of it while somebody waits for an answer. Times that are far away hardly change, and then
    later; so they are set once, on a descriptor that is polled with the others. It may ring too
    soon, and then somebody looks for nothing; never too late.

    Thread-safety: none, but its descriptor may be polled by several threads.
*/

#ifndef RP_ALARM_H
#define RP_ALARM_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    int descriptor; /* to be polled for reading; -1: there is none */
    int64_t due;    /* when it rings, µs on the monotonic clock; INT64_MAX: never */
} rp_alarm_t;

/*  False with errno (EMFILE, ENFILE, ENOMEM).  */
bool rp_alarm_init (rp_alarm_t *self);
void rp_alarm_close (rp_alarm_t *self);

/*  Before a poll that is to end at the given time: returns the timeout to poll with, in *timeout,
    or NULL if the alarm rings by then.  */
const struct timespec *rp_alarm_set (rp_alarm_t *self, int64_t until, struct timespec *timeout);

/*  It was found readable.  */
void rp_alarm_rang (rp_alarm_t *self);

#endif
