/*  SPDX-License-Identifier: MPL-2.0  */

#include <riposte/worker.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/endpoint_list.h"
#include "common/wire/name.h"
#include "worker/worker_state.h"

#define S_MESSAGES_KEPT 1024u
#define S_THREADS_MAX 256u

/*  ---- Making and setting --------------------------------------------------------------------- */

static const rp_pump_owner_t s_owner = {
  .turn = rp_worker_turn,
  .descriptors = rp_worker_descriptors,
};

rp_worker_t *rp_worker_new (const char *endpoints, const char *service)
{
    if (!endpoints || !service || !rp_name_is_valid (service, strlen (service))) {
        errno = EINVAL;
        return NULL;
    }
    rp_worker_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->endpoint_text = strdup (endpoints);
    if (!self->endpoint_text) {
        free (self);
        errno = ENOMEM;
        return NULL;
    }
    memcpy (self->service, service, strlen (service) + 1);
    rp_endpoint_list_name (self->name, sizeof self->name);
    self->config = (rp_worker_config_t){
      .endpoints = self->endpoints,
      .service = self->service,
      .name = self->name,
      .slots = 1,
      .heartbeat_ms = 1000,
      .drain_us = 30000000,
    };
    self->threads = 1;
    self->event_fd = -1;
    self->messages.largest = S_MESSAGES_KEPT;

    self->config.count = (uint32_t) rp_endpoint_list_endpoints (
      self->endpoint_text, self->endpoints, RP_WORKER_ENDPOINTS_MAX);
    int error = self->config.count ? 0 : EINVAL;
    if (!error) {
        self->pump = rp_pump_new (&s_owner, self);
        error = self->pump ? 0 : errno;
    }
    if (error) {
        rp_worker_destroy (&self);
        errno = error;
    }
    return self;
}

static void s_stop_sessions (rp_worker_t *self)
{
    if (!rp_pump_lock (self->pump))
        return;
    if (self->started) {
        rp_worker_core_leave (&self->core);
        rp_worker_obey (self);
    }
    rp_pump_unlock (self->pump);
}

static void s_free_tasks (rp_worker_t *self)
{
    for (rp_work_t *work; (work = rp_worker_core_next_returned (&self->core)) != NULL;) {
        rp_task_t *task = (rp_task_t *) work;
        rp_task_free (&task);
    }
    for (rp_task_t *task; (task = self->free_tasks) != NULL;) {
        self->free_tasks = task->next_free;
        free (task->reply_headers);
        free (task->copy);
        free (task);
    }
}

static void s_free_contents (rp_worker_t *self, void (*free_channel) (rp_channel_t **channel_p))
{
    if (self->started) {
        s_free_tasks (self);
        rp_worker_core_clear (&self->core);
    }
    for (uint32_t index = 0; index < self->config.count; index++)
        free_channel (&self->channels[index]);
    rp_message_pool_clear (&self->messages);
}

/*  In a child of fork(): the threads and sockets are the parent's. What a thread was in the middle
    of when fork() came stays.  */
static void s_destroy_inherited (rp_worker_t *self)
{
    if (rp_pump_lock_inherited (self->pump)) {
        s_free_contents (self, rp_channel_abandon);
        rp_pump_unlock_inherited (self->pump);
    }
    rp_pump_destroy (&self->pump);
    if (self->event_fd >= 0)
        close (self->event_fd);
    free (self->endpoint_text);
    free (self);
}

void rp_worker_destroy (rp_worker_t **self_p)
{
    rp_worker_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_pump_t *pump = self->pump; // a copy, because the keeper uses self->pump until it has ended
    if (pump && rp_pump_is_inherited (pump)) {
        s_destroy_inherited (self);
        return;
    }
    if (pump)
        s_stop_sessions (self);
    rp_pump_destroy (&pump);
    s_free_contents (self, rp_channel_destroy);
    rp_context_release (self->context);
    if (self->event_fd >= 0)
        close (self->event_fd);
    free (self->endpoint_text);
    free (self);
}

/*  RP_OK before the start.  */
static int s_may_set (const rp_worker_t *self)
{
    if (rp_pump_is_inherited (self->pump))
        return RP_CLOSED;
    return self->started ? RP_USAGE : RP_OK;
}

/*  One setter: in range, and before the start.  */
static int s_set (rp_worker_t *self, uint32_t *place, uint32_t value, uint32_t least, uint32_t most)
{
    int status = s_may_set (self);
    if (status != RP_OK || value < least || value > most)
        return status == RP_OK ? RP_USAGE : status;
    *place = value;
    return RP_OK;
}

int rp_worker_set_slots (rp_worker_t *self, uint32_t slots)
{
    return s_set (self, &self->config.slots, slots, 1, RP_WINDOW_MAX);
}

int rp_worker_set_threads (rp_worker_t *self, uint32_t threads)
{
    return s_set (self, &self->threads, threads, 1, S_THREADS_MAX);
}

int rp_worker_set_heartbeat_ms (rp_worker_t *self, uint32_t heartbeat_ms)
{
    return s_set (
      self, &self->config.heartbeat_ms, heartbeat_ms, RP_HEARTBEAT_MIN_MS, RP_HEARTBEAT_MAX_MS);
}

int rp_worker_set_drain_ms (rp_worker_t *self, uint32_t drain_ms)
{
    int status = s_may_set (self);
    if (status != RP_OK || drain_ms > RP_DEADLINE_MAX_MS)
        return status == RP_OK ? RP_USAGE : status;
    self->config.drain_us = (int64_t) drain_ms * 1000;
    return RP_OK;
}

int rp_worker_set_name (rp_worker_t *self, const char *name)
{
    size_t size = name ? strlen (name) : 0;
    int status = s_may_set (self);
    if (status != RP_OK)
        return status;
    if (!name || size > RP_PEER_NAME_MAX || !rp_name_is_valid (name, size))
        return RP_USAGE;
    memcpy (self->name, name, size + 1);
    return RP_OK;
}

int rp_worker_set_interruptible (rp_worker_t *self, bool interruptible)
{
    int status = s_may_set (self);
    if (status == RP_OK)
        self->interruptible = interruptible;
    return status;
}

int rp_worker_on_conversation_end (rp_worker_t *self, rp_conversation_end_fn *function, void *arg)
{
    int status = s_may_set (self);
    if (status == RP_OK) {
        self->on_end = function;
        self->on_end_arg = arg;
    }
    return status;
}

int rp_worker_on_notice (rp_worker_t *self, rp_worker_notice_fn *function, void *arg)
{
    int status = s_may_set (self);
    if (status == RP_OK) {
        self->on_notice = function;
        self->on_notice_arg = arg;
    }
    return status;
}

/*  ---- Serving -------------------------------------------------------------------------------- */

static int s_make_channels (rp_worker_t *self)
{
    if (!self->context)
        self->context = rp_context_acquire ();
    if (!self->context)
        return errno == ENOMEM ? RP_NO_MEMORY : RP_SYSTEM;
    for (uint32_t index = 0; index < self->config.count; index++) {
        if (!self->channels[index])
            self->channels[index] = rp_channel_new (self->context);
        if (!self->channels[index])
            return RP_NO_MEMORY;
    }
    return RP_OK;
}

/*  With the lock held: makes what the first run or receive needs.  */
static int s_start (rp_worker_t *self)
{
    int status = s_make_channels (self);
    if (status != RP_OK)
        return status;
    self->random = rp_clock_entropy ();
    self->config.seed = rp_clock_entropy ();
    self->config.threads = self->threads;
    if (!rp_worker_core_init (&self->core, &self->config))
        return RP_NO_MEMORY;
    self->started = true;
    return RP_OK;
}

/*  Takes the lock, in a mode that must not change. RP_OK: the lock is held.  */
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

/*  Leaves the lock. Works that ended while taking the next want their replies sent by a turn.  */
static void s_leave (rp_worker_t *self)
{
    if (rp_pump_is_inherited (self->pump))
        return; // it was not taken again
    if (rp_list_is_empty (&self->core.returned))
        rp_pump_unlock_idle (self->pump);
    else
        rp_pump_unlock (self->pump);
}

/*  Tells the application of conversations that ended. The lock is held, and released meanwhile.
    False, and it is not held any more, if the application forked and this is the child.  */
static bool s_tell_ends (rp_worker_t *self)
{
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

/*  For want of memory: a worker that has more may try.  */
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

typedef struct {
    rp_worker_t *worker;
    rp_handler_fn *handler;
    void *arg;
} s_server_t;

/*  The loop of a handler thread.  */
static int s_serve (const s_server_t *server)
{
    rp_worker_t *self = server->worker;
    for (;;) {
        int status = s_enter (self, true);
        if (status != RP_OK)
            return status;
        rp_task_t *task;
        status = s_take (self, INT64_MAX, &task);
        s_leave (self);
        if (status == RP_INTERRUPTED)
            continue;
        if (status != RP_OK)
            return status;
        if (rp_task_join (task)) {
            server->handler (&task, server->arg);
            if (task)
                rp_task_fail (&task, 0, "the handler gave no reply", NULL, 0);
        }
        if (task)
            s_give_back (self, &task);
    }
}

static void *s_thread (void *arg)
{
    s_serve (arg); // every thread ends for the same reason; rp_worker_run returns it
    return NULL;
}

/*  Starts handler threads with every signal blocked, so that signals reach the application's own.
    Returns how many run; errno says why not all do.  */
static uint32_t s_start_threads (s_server_t *server, pthread_t *threads, uint32_t count)
{
    sigset_t all, before;
    sigfillset (&all);
    pthread_sigmask (SIG_SETMASK, &all, &before);
    uint32_t running = 0;
    while (
      running < count && (errno = pthread_create (&threads[running], NULL, s_thread, server)) == 0)
        running++;
    pthread_sigmask (SIG_SETMASK, &before, NULL);
    return running;
}

int rp_worker_run (rp_worker_t *self, rp_handler_fn *handler, void *arg)
{
    if (!handler)
        return RP_USAGE;
    int status = s_enter (self, true);
    if (status != RP_OK)
        return status;
    rp_pump_unlock_idle (self->pump);

    s_server_t server = {.worker = self, .handler = handler, .arg = arg};
    pthread_t threads[S_THREADS_MAX];
    uint32_t extra = self->threads - 1;
    uint32_t running = s_start_threads (&server, threads, extra);
    int error = errno;
    if (running < extra)
        rp_worker_stop (self);
    status = s_serve (&server);
    if (rp_pump_is_inherited (self->pump))
        return RP_CLOSED; // a handler forked, and this is the child: the other threads are not here
    for (uint32_t index = 0; index < running; index++)
        pthread_join (threads[index], NULL);
    if (running < extra) {
        errno = error;
        return RP_SYSTEM;
    }
    return status == RP_CLOSED ? RP_OK : status;
}

/*  ---- From anywhere -------------------------------------------------------------------------- */

int rp_worker_fd (rp_worker_t *self)
{
    if (s_enter (self, false) != RP_OK)
        return -1;
    if (self->event_fd < 0) {
        self->event_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (self->event_fd >= 0)
            rp_pump_set_background (self->pump);
    }
    rp_pump_unlock (self->pump); // what is here already makes it readable
    return self->event_fd;
}

void rp_worker_drain (rp_worker_t *self)
{
    int none = RP_WORKER_COMMAND_NONE;
    atomic_compare_exchange_strong (&self->command, &none, RP_WORKER_COMMAND_DRAIN);
    rp_pump_kick (self->pump);
}

void rp_worker_stop (rp_worker_t *self)
{
    self->command = RP_WORKER_COMMAND_STOP;
    rp_pump_kick (self->pump);
}

const char *rp_worker_last_error (rp_worker_t *self, char *buffer, size_t size)
{
    if (!rp_pump_lock (self->pump)) {
        if (size > 0)
            snprintf (buffer, size, "%s", rp_endpoint_list_inherited);
        return buffer;
    }
    if (size > 0)
        snprintf (buffer, size, "%s", self->core.error);
    rp_pump_unlock_idle (self->pump);
    return buffer;
}
