/*  Serving: an application's threads take tasks, one by one or with handlers.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/wire/address.h"
#include "worker/worker_state.h"

/*  ---- Serving -------------------------------------------------------------------------------- */

static int s_make_channels (rp_worker_t *self)
{
    if (!self->context)
        self->context = rp_context_acquire ();
    if (!self->context)
        return errno == ENOMEM ? RP_NO_MEMORY : RP_SYSTEM;
    for (uint32_t index = 0; index < self->config.count; index++) {
        if (!self->channels[index])
            self->channels[index] = rp_channel_new (self->context, &self->keys);
        if (!self->channels[index])
            return RP_NO_MEMORY;
        if (self->endpoints[index] && rp_address_is_srv (self->endpoints[index]))
            rp_channel_want_records (self->channels[index], &self->records);
    }
    return RP_OK;
}

/*  With the lock held: makes what the first run or receive needs.  */
static int s_start (rp_worker_t *self)
{
    int status = rp_curve_complete (&self->keys);
    if (status == RP_OK)
        status = s_make_channels (self);
    if (status != RP_OK)
        return status;
    self->random = rp_clock_entropy ();
    self->config.seed = rp_clock_entropy ();
    self->config.threads = self->threads;
    if (!rp_worker_core_init (&self->core, &self->config))
        return RP_NO_MEMORY;
    rp_worker_core_set_ready (&self->core, self->ready, rp_clock_us ());
    self->started = true;
    return RP_OK;
}

/*  Takes the lock, and starts the worker at the first call. runs must be the same at every call.
    RP_OK: the lock is held.  */
static int s_enter (rp_worker_t *self, bool runs)
{
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    int status = RP_OK;
    if (!self->started) {
        status = s_start (self);
        if (status == RP_OK) {
            self->runs = runs;
            rp_pump_unlock (self->pump); // the first turn connects
            rp_pump_lock (self->pump);
        }
    }
    else if (self->runs != runs)
        status = RP_USAGE;
    if (status != RP_OK)
        rp_pump_unlock_idle (self->pump);
    return status;
}

/*  Releases the lock; with a turn, if works ended meanwhile whose replies are to be sent.  */
static void s_leave (rp_worker_t *self)
{
    if (rp_pump_is_inherited (self->pump))
        return; // the lock was not taken again
    if (rp_list_is_empty (&self->core.returned))
        rp_pump_unlock_idle (self->pump);
    else
        rp_pump_unlock (self->pump);
}

/*  With the lock held, except during the callback: tells the application of conversations that
    ended. False in a child that the callback forked; the lock is not held then.  */
static bool s_tell_ends (rp_worker_t *self)
{
    if (rp_list_is_empty (&self->core.ended))
        return true; // as nearly always
    for (uint64_t conversation; rp_worker_core_next_ended (&self->core, &conversation);) {
        if (!self->on_end)
            continue;
        rp_pump_unlock_idle (self->pump);
        self->on_end (conversation, self->on_end_arg);
        if (!rp_pump_lock (self->pump))
            return false;
    }
    return true;
}

/*  With the lock held: the next task, or why there is none. Waits until a time.  */
static int s_take (rp_worker_t *self, int64_t until, rp_task_t **task_p)
{
    for (bool waited = false;; waited = true) {
        if (!s_tell_ends (self))
            return RP_CLOSED;
        *task_p = (rp_task_t *) rp_worker_core_take (&self->core, self->now);
        if (*task_p)
            return RP_OK;
        int status;
        if (rp_worker_core_is_over (&self->core, &status))
            return status == RP_OK ? RP_CLOSED : status;
        if (waited && rp_clock_us () >= until)
            return RP_TIMED_OUT;
        if (rp_pump_wait (self->pump, until) != 0 && self->interruptible)
            return RP_INTERRUPTED;
    }
}

/*  Gives a task back for want of memory, so that another worker gets it.  */
static void s_give_back (rp_worker_t *self, rp_task_t **task_p)
{
    rp_task_t *task = *task_p;
    *task_p = NULL;
    if (!rp_pump_lock (self->pump))
        return;
    rp_worker_core_give_back (&self->core, &task->work, "the worker is out of memory");
    rp_pump_unlock (self->pump);
}

int rp_worker_receive (rp_worker_t *self, uint32_t timeout_ms, rp_task_t **task_p)
{
    *task_p = NULL;
    int status = s_enter (self, false);
    if (status != RP_OK)
        return status;
    status = s_take (self, rp_clock_us () + (int64_t) timeout_ms * 1000, task_p);
    if (status == RP_TIMED_OUT && self->signalled) {
        eventfd_t count;
        self->signalled = eventfd_read (self->event_fd, &count) != 0;
    }
    s_leave (self);
    if (status == RP_OK && !rp_task_join (*task_p)) {
        s_give_back (self, task_p);
        return RP_NO_MEMORY;
    }
    return status;
}

int rp_worker_fd (rp_worker_t *self)
{
    if (s_enter (self, false) != RP_OK)
        return -1;
    if (self->event_fd < 0) {
        self->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (self->event_fd >= 0)
            rp_pump_set_background (self->pump);
    }
    rp_pump_unlock (self->pump); // tasks that are here already make it readable
    return self->event_fd;
}

/*  ---- Handler threads ------------------------------------------------------------------------ */

/*  The loop of a handler thread. Returns why it ended.  */
static int s_serve (rp_hand_t *hand)
{
    rp_crew_t *crew = hand->crew;
    rp_worker_t *self = crew->worker;
    for (;;) {
        int status = s_enter (self, true);
        if (status != RP_OK)
            return status;
        rp_task_t *task;
        hand->task = 0;
        status = s_take (self, INT64_MAX, &task);
        if (status == RP_OK) {
            hand->task = task->id;
            hand->since = self->now;
        }
        s_leave (self);
        if (status == RP_INTERRUPTED)
            continue;
        if (status != RP_OK)
            return status;
        if (rp_task_join (task)) {
            crew->handler (&task, crew->arg);
            if (task)
                rp_task_fail (&task, 0, "the handler gave no reply", NULL, 0);
        }
        if (task)
            s_give_back (self, &task);
    }
}

/*  A thread that was left behind has returned. The last one frees the crew, and the worker if it
    was destroyed meanwhile.  */
static void s_come_late (rp_crew_t *crew)
{
    rp_worker_t *worker = crew->worker;
    bool last_of_crew = --crew->left == 0;
    bool last = --worker->left_behind == 0 && worker->abandoned;
    rp_pump_unlock_idle (worker->pump);
    if (last_of_crew) {
        sem_destroy (&crew->bell);
        free (crew);
    }
    if (last)
        rp_worker_destroy (&worker);
}

static void *s_thread (void *arg)
{
    rp_hand_t *hand = arg;
    rp_crew_t *crew = hand->crew;
    int status = s_serve (hand);
    if (!rp_pump_lock (crew->worker->pump))
        return NULL; // the handler forked, and this is the child, which ends with its only thread
    crew->status = status; // the same for all
    hand->ended = true;
    hand->task = 0;
    crew->running--;
    if (hand->left) {
        s_come_late (crew);
        return NULL;
    }
    sem_post (&crew->bell);
    rp_pump_unlock_idle (crew->worker->pump);
    return NULL;
}

/*  Starts handler threads: the first with the caller's signal mask, since it stands for the caller,
    the others with every signal blocked. errno says why fewer than count run.  */
static void s_start_threads (rp_crew_t *crew, uint32_t count)
{
    sigset_t all, before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, NULL, &before);
    while (crew->count < count) {
        rp_hand_t *hand = &crew->hands[crew->count];
        hand->crew = crew;
        errno = pthread_create (&hand->thread, NULL, s_thread, hand);
        if (errno != 0)
            break;
        crew->count++;
        pthread_sigmask (SIG_SETMASK, &all, NULL);
    }
    pthread_sigmask (SIG_SETMASK, &before, NULL);
}

/*  Counts the threads whose handler has not returned; *longest is the one that took its task
    first.  */
static uint32_t s_count_busy (const rp_crew_t *crew, const rp_hand_t **longest)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < crew->count; index++) {
        const rp_hand_t *hand = &crew->hands[index];
        if (hand->task == 0)
            continue;
        if (count++ == 0 || hand->since < (*longest)->since)
            *longest = hand;
    }
    return count;
}

/*  With the lock held: says what will be left behind.  */
static void s_tell_left (rp_worker_t *self, uint32_t count, const rp_hand_t *longest)
{
    char *text = self->core.error;
    snprintf (text, sizeof self->core.error,
      "left behind %u handler%s that did not return; %s has request %llu, for %lld s",
      (unsigned) count, count == 1 ? "" : "s", count == 1 ? "it" : "the longest",
      (unsigned long long) longest->task, (long long) ((self->now - longest->since) / 1000000));
    if (self->on_notice)
        self->on_notice (text, self->on_notice_arg);
}

/*  Waits until every thread has ended, or the rest must be left behind. Returns how many are left;
    they keep the crew's memory.  */
static uint32_t s_wait_threads (rp_crew_t *crew)
{
    rp_worker_t *self = crew->worker;
    const rp_hand_t *longest = NULL;
    uint32_t busy = 0;
    rp_pump_lock (self->pump);
    while (crew->running > 0) {
        busy = s_count_busy (crew, &longest);
        if (self->core.given_up && busy == crew->running)
            break;
        rp_pump_unlock_idle (self->pump);
        sem_wait (&crew->bell); // a signal only repeats the check
        rp_pump_lock (self->pump);
    }
    crew->left = crew->running;
    self->left_behind += crew->left;
    for (uint32_t index = 0; index < crew->count; index++)
        crew->hands[index].left = !crew->hands[index].ended;
    if (crew->left > 0)
        s_tell_left (self, crew->left, longest);
    self->crew = NULL;
    return crew->left;
}

/*  Returns what rp_worker_run does. The lock is held, and released.  */
static int s_close (rp_crew_t *crew, uint32_t left)
{
    rp_worker_t *self = crew->worker;
    int status = left > 0 ? RP_TIMED_OUT : crew->status == RP_CLOSED ? RP_OK : crew->status;
    for (uint32_t index = 0; index < crew->count; index++)
        if (crew->hands[index].left)
            pthread_detach (crew->hands[index].thread);
    rp_pump_unlock_idle (self->pump);
    for (uint32_t index = 0; index < crew->count; index++)
        if (!crew->hands[index].left)
            pthread_join (crew->hands[index].thread, NULL);
    if (left == 0) {
        sem_destroy (&crew->bell);
        free (crew);
    }
    return status;
}

static rp_crew_t *s_new_crew (rp_worker_t *worker, rp_handler_fn *handler, void *arg)
{
    rp_crew_t *crew = calloc (1, sizeof *crew + worker->threads * sizeof *crew->hands);
    if (!crew)
        return NULL;
    crew->worker = worker;
    crew->handler = handler;
    crew->arg = arg;
    crew->status = RP_OK;
    crew->running = worker->threads;
    if (sem_init (&crew->bell, 0, 0) == 0)
        return crew;
    free (crew);
    return NULL;
}

int rp_worker_run (rp_worker_t *self, rp_handler_fn *handler, void *arg)
{
    if (!handler)
        return RP_USAGE;
    int status = s_enter (self, true);
    if (status != RP_OK)
        return status;
    rp_crew_t *crew = self->crew ? NULL : s_new_crew (self, handler, arg);
    status = self->crew ? RP_USAGE : RP_NO_MEMORY;
    if (crew)
        self->crew = crew;
    rp_pump_unlock_idle (self->pump);
    if (!crew)
        return status;

    s_start_threads (crew, self->threads);
    int error = errno;
    uint32_t missing = self->threads - crew->count;
    if (missing > 0) {
        rp_pump_lock (self->pump);
        crew->running -= missing;
        rp_pump_unlock_idle (self->pump);
        rp_worker_stop (self);
    }
    status = s_close (crew, s_wait_threads (crew));
    if (missing == 0)
        return status;
    errno = error;
    return RP_SYSTEM;
}
