/*  SPDX-License-Identifier: MPL-2.0

    Two things hold whenever the lock is free:

    - If a thread leads or waits, the descriptors are armed, and self->next is the owner's next
      turn: a thread that used a socket turns before it unlocks, and a thread that comes to wait or
      to lead turns first.
    - A thread watches: a leader polls, and gets a kick when its poll is out of date; or a follower
      has been appointed to lead; or the keeper is due in time. s_settle sees to that.

    A follower sleeps on a semaphore of its own, not on a condition variable: so it can be woken
    alone, and a signal ends its sleep, as it ends a poll.
*/

#include "common/io/pump.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/io/alarm.h"
#include "common/io/clock.h"
#include "common/io/process.h"

/*  One thread inside rp_pump_wait; it lives on that thread's stack.  */
typedef struct {
    rp_list_node_t node; /* first: a node is its waiter */
    const void *subject;
    sem_t bell;
    bool asleep; /* in sem_clockwait */
    bool rung;
    bool called; /* its subject changed */
} s_waiter_t;

struct rp_pump {
    rp_pump_owner_t functions;
    void *owner;
    unsigned process; /* the process in which the keeper runs */
    pthread_mutex_t lock;
    int kick;         /* eventfd: wakes the leader */
    rp_alarm_t alarm; /* the leader's */

    int64_t next;   /* when the owner's next turn is due */
    int64_t turned; /* when the last turn was; 0: never */

    rp_list_t waiters; /* the longest wait first */
    bool calls;        /* some waiters were called and not woken yet */

    /*  The thread that polls: a waiter, &keeper_leads for the keeper, or NULL. Its arguments to
        poll are kept here, to see whether they are out of date.  */
    const void *leader;
    bool polling;
    bool changed; /* another thread turned during the poll */
    int64_t leader_until;
    int descriptors[RP_PUMP_DESCRIPTORS_MAX];
    bool readable[RP_PUMP_DESCRIPTORS_MAX]; /* of the descriptors, since the last turn */
    int descriptor_count;

    pthread_t keeper;
    char keeper_leads;    /* its address stands for the keeper among the leaders */
    int keeper_alarm;     /* eventfd: wakes the keeper */
    int64_t keeper_until; /* when the keeper looks by itself; INT64_MIN: it is awake */
    bool background;
    bool undelivered; /* background: something changed since deliver ran */
    bool ending;
};

/*  ---- The lock and the turn ------------------------------------------------------------------ */

static void s_lock (rp_pump_t *self)
{
    RP_CHECK (pthread_mutex_lock (&self->lock) == 0);
}

static void s_unlock (rp_pump_t *self)
{
    RP_CHECK (pthread_mutex_unlock (&self->lock) == 0);
}

static void s_turn (rp_pump_t *self)
{
    int64_t now = rp_clock_us ();
    self->next = self->functions.turn (self->owner, now);
    self->turned = now;
    self->changed = true;
    memset (self->readable, 0, sizeof self->readable);
}

static void s_write (int descriptor)
{
    int saved = errno; // rp_pump_kick runs in signal handlers
    // Fails only if the counter is full; then the descriptor is readable already.
    if (eventfd_write (descriptor, 1) != 0)
        errno = saved;
}

/*  ---- Who watches when the lock is free ------------------------------------------------------ */

static void s_wake (rp_pump_t *self, s_waiter_t *waiter)
{
    if (self->leader == waiter && self->polling)
        s_write (self->kick);
    if (waiter->asleep && !waiter->rung) {
        waiter->rung = true;
        RP_CHECK (sem_post (&waiter->bell) == 0);
    }
}

static void __attribute__ ((noinline)) s_wake_called (rp_pump_t *self)
{
    self->calls = false;
    for (rp_list_node_t *node = rp_list_first (&self->waiters); node;
         node = rp_list_next (&self->waiters, node)) {
        s_waiter_t *waiter = (s_waiter_t *) node;
        if (waiter->called)
            s_wake (self, waiter);
    }
}

/*  True if the leader polls other descriptors than it should now. A number that was closed and
    opened again within one turn is not noticed: an owner that opens a descriptor has to kick.  */
static bool s_descriptors_differ (rp_pump_t *self)
{
    int descriptors[RP_PUMP_DESCRIPTORS_MAX];
    int count = self->functions.descriptors (self->owner, descriptors);
    return count != self->descriptor_count
           || memcmp (descriptors, self->descriptors, (size_t) count * sizeof *descriptors) != 0;
}

/*  When the keeper has to look if no other thread does.  */
static int64_t s_keeper_due (const rp_pump_t *self)
{
    if (self->turned == 0)
        return INT64_MAX;
    if (self->background)
        return INT64_MIN;
    int64_t idle = self->turned + RP_PUMP_IDLE_US;
    return idle < self->next ? idle : self->next;
}

/*  No thread leads: appoints a follower as leader, or makes sure that the keeper comes.  */
static void __attribute__ ((noinline)) s_appoint (rp_pump_t *self)
{
    rp_list_node_t *node = self->background ? NULL : rp_list_first (&self->waiters);
    for (; node; node = rp_list_next (&self->waiters, node)) {
        s_waiter_t *waiter = (s_waiter_t *) node;
        if (waiter->asleep && !waiter->called) {
            self->leader = waiter;
            s_wake (self, waiter);
            return;
        }
    }
    if (self->keeper_until > s_keeper_due (self)) {
        self->keeper_until = INT64_MIN;
        s_write (self->keeper_alarm);
    }
}

/*  Another thread turned while the leader polls.  */
static void __attribute__ ((noinline)) s_correct_leader (rp_pump_t *self)
{
    self->changed = false;
    if (self->next < self->leader_until || s_descriptors_differ (self)
        || (self->background && self->undelivered))
        s_write (self->kick);
}

/*  Most often no thread leads or waits, and the keeper is due in time. What is rare is not inlined,
    so that this saves no registers.  */
static void s_settle (rp_pump_t *self)
{
    if (self->calls)
        s_wake_called (self);
    if (!self->leader) {
        if (!rp_list_is_empty (&self->waiters) || self->keeper_until > s_keeper_due (self))
            s_appoint (self);
    }
    else if (self->polling && self->changed)
        s_correct_leader (self);
}

static void s_release (rp_pump_t *self)
{
    s_settle (self);
    s_unlock (self);
}

/*  ---- Leading and following ------------------------------------------------------------------ */

static void s_drain (int descriptor)
{
    eventfd_t count;
    RP_CHECK (eventfd_read (descriptor, &count) == 0 || errno == EAGAIN);
}

/*  What a leader polls, before the owner's descriptors.  */
enum { S_KICK, S_ALARM, S_OWN, S_FIRST };

/*  As leader: waits for a readable descriptor, a kick, or the given time. own: -1, or a descriptor
    of the leader itself. The lock is released meanwhile, and another thread may lead afterwards. 0;
    -1 when a signal came.  */
static int s_lead (rp_pump_t *self, const void *leader, int own, int64_t until)
{
    struct pollfd polled[S_FIRST + RP_PUMP_DESCRIPTORS_MAX];
    self->leader = leader;
    self->polling = false; // the previous leader no longer counts
    self->leader_until = until < self->next ? until : self->next;
    self->descriptor_count = self->functions.descriptors (self->owner, self->descriptors);
    RP_CHECK (self->descriptor_count <= RP_PUMP_DESCRIPTORS_MAX);
    polled[S_KICK] = (struct pollfd){.fd = self->kick, .events = POLLIN};
    polled[S_ALARM] = (struct pollfd){.fd = self->alarm.descriptor, .events = POLLIN};
    polled[S_OWN] = (struct pollfd){.fd = own, .events = POLLIN}; // ignored if negative
    nfds_t count = S_FIRST;
    for (int index = 0; index < self->descriptor_count; index++)
        polled[count++] = (struct pollfd){.fd = self->descriptors[index], .events = POLLIN};

    struct timespec near;
    const struct timespec *timeout = rp_alarm_set (&self->alarm, self->leader_until, &near);
    s_settle (self); // polling is false now: this leader knows everything
    self->polling = true;
    self->changed = false;
    s_unlock (self);
    int rc = ppoll (polled, count, timeout, NULL);
    int reason = errno;
    s_lock (self);
    if (self->leader == leader) {
        self->polling = false;
        // The kick and the alarm of another leader are left to that leader.
        if (rc > 0 && polled[S_KICK].revents)
            s_drain (self->kick);
        if (rc > 0 && polled[S_ALARM].revents)
            rp_alarm_rang (&self->alarm);
        for (int index = 0; rc > 0 && index < self->descriptor_count; index++)
            self->readable[index] = polled[S_FIRST + index].revents != 0;
    }
    if (rc > 0 && polled[S_OWN].revents)
        s_drain (own);
    return rc == -1 && reason == EINTR ? -1 : 0;
}

/*  Sleeps until the waiter is called or appointed, or until the given time. The lock is released
    meanwhile. 0; -1 when a signal came.  */
static int s_follow (rp_pump_t *self, s_waiter_t *waiter, int64_t until)
{
    struct timespec at = rp_clock_timespec (until);
    waiter->asleep = true;
    waiter->rung = false;
    s_release (self);
    int rc = sem_clockwait (&waiter->bell, CLOCK_MONOTONIC, &at);
    int reason = errno;
    s_lock (self);
    waiter->asleep = false;
    if (rc != 0 && waiter->rung)
        sem_trywait (&waiter->bell); // the bell rang in the meantime
    return rc != 0 && reason == EINTR ? -1 : 0;
}

static bool s_may_lead (const rp_pump_t *self, const s_waiter_t *waiter)
{
    return !self->background
           && (!self->leader || self->leader == waiter || self->leader == &self->keeper_leads);
}

int rp_pump_wait_on (rp_pump_t *self, const void *subject, int64_t until)
{
    s_waiter_t me = {.subject = subject};
    RP_CHECK (sem_init (&me.bell, 0, 0) == 0);
    rp_list_append (&self->waiters, &me.node);
    s_turn (self);
    int rc = 0;
    while (rc == 0 && !me.called && rp_clock_us () < until)
        if (s_may_lead (self, &me)) {
            // The keeper may still poll, and its poll may be out of date when this thread leaves.
            if (self->leader == &self->keeper_leads)
                self->keeper_until = INT64_MAX;
            rc = s_lead (self, &me, -1, until);
            s_turn (self);
        }
        else {
            if (self->leader == &me)
                self->leader = NULL; // background mode began: the keeper leads from now on
            rc = s_follow (self, &me, until);
        }
    if (self->leader == &me)
        self->leader = NULL; // the caller's unlock, or its next wait, finds the next leader
    rp_list_remove (&me.node);
    RP_CHECK (sem_destroy (&me.bell) == 0);
    if (rc != 0)
        errno = EINTR; // the turn may have changed errno
    return rc;
}

int rp_pump_wait (rp_pump_t *self, int64_t until)
{
    return rp_pump_wait_on (self, NULL, until);
}

/*  ---- The keeper ----------------------------------------------------------------------------- */

/*  Runs callbacks until there is nothing new to deliver. The lock is released meanwhile; the keeper
    stays the leader, so that callbacks run on this thread only.  */
static void s_deliver (rp_pump_t *self)
{
    while (self->background && self->undelivered) {
        self->undelivered = false;
        if (!self->functions.deliver)
            return;
        s_release (self);
        self->functions.deliver (self->owner);
        if (rp_pump_is_inherited (self))
            pthread_exit (
              NULL); // a callback forked, and returned in the child, where nothing is left to do
        s_lock (self);
    }
}

/*  Leads until a waiter takes over.  */
static void s_keeper_lead (rp_pump_t *self)
{
    self->leader = &self->keeper_leads;
    self->polling = false;
    s_turn (self); // a thread may have sent without a turn
    while (self->leader == &self->keeper_leads && !self->ending) {
        s_deliver (self);
        s_lead (self, &self->keeper_leads, self->keeper_alarm, INT64_MAX);
        if (self->leader == &self->keeper_leads) {
            s_turn (self);
            self->undelivered = true;
        }
    }
    self->keeper_until = INT64_MIN;
}

/*  Lets other threads lead. If one has led without a turn since the keeper last looked, its wait is
    long, and the keeper sleeps until it leaves.  */
static void s_keeper_sleep (rp_pump_t *self, int64_t *seen)
{
    int64_t until = s_keeper_due (self);
    if (self->leader)
        until = self->turned == *seen ? INT64_MAX : rp_clock_us () + RP_PUMP_IDLE_US;
    *seen = self->turned;
    self->keeper_until = until;
    s_unlock (self);
    struct pollfd alarm = {.fd = self->keeper_alarm, .events = POLLIN};
    int64_t now = rp_clock_us ();
    struct timespec left = rp_clock_timespec (until > now ? until - now : 0);
    (void) ppoll (&alarm, 1, until == INT64_MAX ? NULL : &left, NULL);
    s_lock (self);
    self->keeper_until = INT64_MIN;
    s_drain (self->keeper_alarm);
}

static void *s_keep (void *argument)
{
    rp_pump_t *self = argument;
    int64_t seen = 0;
    s_lock (self);
    while (!self->ending)
        if (!self->leader && rp_clock_us () >= s_keeper_due (self))
            s_keeper_lead (self);
        else
            s_keeper_sleep (self, &seen);
    s_unlock (self);
    return NULL;
}

/*  ---- The rest of the interface -------------------------------------------------------------- */

/*  Starts the keeper with every signal blocked: signals are for the application's threads. 0 or an
    errno.  */
static int s_start_keeper (rp_pump_t *self)
{
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    int rc = pthread_sigmask (SIG_SETMASK, &all, &before);
    if (rc != 0)
        return rc;
    rc = pthread_create (&self->keeper, NULL, s_keep, self);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    return rc;
}

static int s_init_lock (rp_pump_t *self)
{
    pthread_mutexattr_t kind;
    int rc = pthread_mutexattr_init (&kind);
    if (rc != 0)
        return rc;
    // Adaptive: the lock is held for a microsecond, less than it takes to sleep and wake up.
    rc = pthread_mutexattr_settype (&kind, PTHREAD_MUTEX_ADAPTIVE_NP);
    if (rc == 0)
        rc = pthread_mutex_init (&self->lock, &kind);
    pthread_mutexattr_destroy (&kind);
    return rc;
}

static void s_free (rp_pump_t *self)
{
    if (self->kick >= 0)
        close (self->kick);
    if (self->keeper_alarm >= 0)
        close (self->keeper_alarm);
    rp_alarm_close (&self->alarm);
    free (self);
}

rp_pump_t *rp_pump_new (const rp_pump_owner_t *functions, void *owner)
{
    rp_pump_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->functions = *functions;
    self->owner = owner;
    self->next = INT64_MAX;
    self->keeper_until = INT64_MIN;
    rp_list_init (&self->waiters);
    self->kick = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->keeper_alarm = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool made = rp_alarm_init (&self->alarm) && self->kick >= 0 && self->keeper_alarm >= 0;
    int rc = made ? rp_process_watch () : errno;
    self->process = rp_process_number ();
    if (rc == 0)
        rc = s_init_lock (self);
    if (rc == 0) {
        rc = s_start_keeper (self);
        if (rc == 0)
            return self;
        pthread_mutex_destroy (&self->lock);
    }
    s_free (self);
    errno = rc;
    return NULL;
}

void rp_pump_destroy (rp_pump_t **self_p)
{
    rp_pump_t *self = *self_p;
    if (!self)
        return;
    if (rp_pump_is_inherited (self)) {
        *self_p = NULL;
        s_free (self); // a thread that does not exist here may hold the lock
        return;
    }
    s_lock (self);
    self->ending = true;
    s_write (self->keeper_alarm);
    s_unlock (self);
    RP_CHECK (pthread_join (self->keeper, NULL) == 0);
    *self_p = NULL; // not earlier: the keeper may be in the owner's functions
    pthread_mutex_destroy (&self->lock);
    s_free (self);
}

bool rp_pump_is_inherited (const rp_pump_t *self)
{
    return self->process != rp_process_number ();
}

bool rp_pump_lock_inherited (rp_pump_t *self)
{
    return pthread_mutex_trylock (&self->lock) == 0;
}

void rp_pump_unlock_inherited (rp_pump_t *self)
{
    s_unlock (self);
}

bool rp_pump_lock (rp_pump_t *self)
{
    if (rp_pump_is_inherited (self))
        return false;
    s_lock (self);
    return true;
}

void rp_pump_unlock (rp_pump_t *self)
{
    s_turn (self);
    s_release (self);
}

void rp_pump_unlock_idle (rp_pump_t *self)
{
    s_release (self);
}

void rp_pump_unlock_sent (rp_pump_t *self)
{
    // A follower that is appointed now would poll without a turn before.
    if (self->leader || !rp_list_is_empty (&self->waiters))
        s_turn (self);
    s_release (self);
}

bool rp_pump_is_readable (const rp_pump_t *self, int descriptor)
{
    for (int index = 0; index < self->descriptor_count; index++)
        if (self->descriptors[index] == descriptor && self->readable[index])
            return true;
    return false;
}

static void s_notify (rp_pump_t *self, bool everyone, const void *subject)
{
    for (rp_list_node_t *node = rp_list_first (&self->waiters); node;
         node = rp_list_next (&self->waiters, node)) {
        s_waiter_t *waiter = (s_waiter_t *) node;
        if (everyone || waiter->subject == subject)
            waiter->called = self->calls = true;
    }
    self->undelivered = true;
    self->changed = true;
}

void rp_pump_notify (rp_pump_t *self)
{
    s_notify (self, true, NULL);
}

void rp_pump_notify_on (rp_pump_t *self, const void *subject)
{
    s_notify (self, false, subject);
}

bool rp_pump_is_keeper (const rp_pump_t *self)
{
    return pthread_equal (pthread_self (), self->keeper) != 0;
}

void rp_pump_kick (rp_pump_t *self)
{
    if (!rp_pump_is_inherited (self)) // in a child this would wake the parent
        s_write (self->kick);
}

void rp_pump_set_background (rp_pump_t *self)
{
    self->background = true;
    self->undelivered = true;
    self->changed = true;
}
