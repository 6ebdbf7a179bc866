/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/io/clock.h"

/*  Descriptors of one slot: stdin, stdout, stderr. Two more are the loop's.  */
#define S_PER_SLOT 3u
#define S_OWN 2u
/*  poll takes an int; one more wake-up costs nothing.  */
#define S_WAIT_MAX_MS 60000

void rp_loop_say (const rp_worker_options_t *settings, const char *format, ...)
{
    if (settings->quiet)
        return;
    char line[1024];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (line, sizeof line, format, arguments);
    va_end (arguments);
    fprintf (stderr, "riposte-worker: \"%s\" %s\n", settings->service, line);
}

void rp_loop_refused (const rp_worker_options_t *settings, rp_worker_t *worker)
{
    char why[512];
    if (settings->quiet) // otherwise a notice has said it
        fprintf (stderr, "riposte-worker: cannot serve \"%s\": %s\n", settings->service,
          rp_worker_last_error (worker, why, sizeof why));
}

/*  ---- Ending tasks --------------------------------------------------------------------------- */

void rp_loop_abandon (rp_loop_t *loop, rp_task_t **task_p, const char *text)
{
    if (rp_task_abandon (task_p, text) == RP_NO_MEMORY)
        loop->broken = true; // this process ends, and the broker gives its requests to others
}

void rp_loop_decline (rp_loop_t *loop, rp_task_t **task_p, const char *text)
{
    if (rp_task_decline (task_p, text) == RP_NO_MEMORY)
        loop->broken = true;
    loop->ready = 0; // rp_task_decline has told the worker so
}

void rp_loop_complain (rp_loop_t *loop, const char *text)
{
    uint64_t held_back;
    if (!rp_log_limit_pass (&loop->limit, loop->now, &held_back))
        return;
    if (held_back > 0)
        rp_loop_say (loop->settings, "%s (%" PRIu64 " more like it)", text, held_back);
    else
        rp_loop_say (loop->settings, "%s", text);
}

void rp_loop_reply (rp_loop_t *loop, rp_slot_t *slot, const void *body, size_t size)
{
    if (rp_task_reply (&slot->task, body, size) == RP_NO_MEMORY)
        rp_loop_abandon (loop, &slot->task, "the worker is out of memory");
}

void rp_loop_fail (
  rp_loop_t *loop, rp_slot_t *slot, uint32_t code, const char *text, const void *body, size_t size)
{
    if (rp_task_fail (&slot->task, code, text, body, size) == RP_NO_MEMORY)
        rp_loop_abandon (loop, &slot->task, "the worker is out of memory");
}

void rp_loop_fail_or_retry (
  rp_loop_t *loop, rp_slot_t *slot, uint32_t code, const char *text, const void *body, size_t size)
{
    if (code != RP_LOOP_RETRY || !rp_task_is_durable (slot->task))
        rp_loop_fail (loop, slot, code, text, body, size);
    else if (rp_task_retry (&slot->task, text) == RP_NO_MEMORY)
        rp_loop_abandon (loop, &slot->task, "the worker is out of memory");
}

/*  True when nothing new begins.  */
static bool s_is_leaving (const rp_loop_t *loop)
{
    return loop->status != RP_TIMED_OUT || loop->signals > 1;
}

/*  ---- Tasks ---------------------------------------------------------------------------------- */

static rp_slot_t *s_find_slot (rp_loop_t *loop, const rp_task_t *task)
{
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        rp_slot_t *slot = &loop->slots[index];
        if (!slot->task && loop->runner->suits (loop, slot, task))
            return slot;
    }
    return NULL;
}

/*  Tells the worker how many requests can be begun. True if the pending tasks are to be given
    back.  */
static bool s_set_ready (rp_loop_t *loop)
{
    bool fails = false;
    uint32_t ready = loop->runner->ready (loop, &fails);
    if (ready != loop->ready)
        rp_worker_set_ready (loop->worker, ready);
    loop->ready = ready;
    return fails;
}

/*  Begins the tasks that can begin, oldest first; ends those that are cancelled or can never
    begin.  */
static void s_dispatch (rp_loop_t *loop)
{
    size_t kept = 0;
    bool fails = s_set_ready (loop);
    for (size_t index = 0; index < loop->pending_count; index++) {
        rp_task_t *task = loop->pending[index];
        rp_slot_t *slot = NULL;
        if (s_is_leaving (loop))
            rp_loop_abandon (loop, &task, "the worker stopped before it began");
        else if (rp_task_cancelled (task)) {
            if (rp_task_fail (&task, 0, "cancelled before it began", NULL, 0) == RP_NO_MEMORY)
                loop->broken = true;
        }
        else if (loop->runner->orphaned && loop->runner->orphaned (loop, &task))
            task = NULL;
        else if ((slot = s_find_slot (loop, task)) != NULL) {
            slot->task = task;
            task = NULL;
            loop->runner->begin (loop, slot);
            fails = s_set_ready (loop);
        }
        else if (fails)
            rp_loop_decline (loop, &task, loop->why);
        if (task)
            loop->pending[kept++] = task;
    }
    loop->pending_count = kept;
}

/*  Takes every task that the worker has.  */
static void s_receive (rp_loop_t *loop)
{
    while (loop->status == RP_TIMED_OUT) {
        rp_task_t *task;
        int status = rp_worker_receive (loop->worker, 0, &task);
        if (status == RP_TIMED_OUT)
            return;
        if (status == RP_OK && loop->pending_count < loop->pending_capacity)
            loop->pending[loop->pending_count++] = task;
        else if (status == RP_OK)
            rp_loop_abandon (loop, &task, "over the window of this worker");
        else if (status != RP_INTERRUPTED && status != RP_NO_MEMORY)
            loop->status = status;
    }
}

static void s_conversation_ended (uint64_t conversation, void *arg)
{
    rp_loop_t *loop = arg;
    if (loop->runner->ended)
        loop->runner->ended (loop, conversation);
}

/*  ---- Children ------------------------------------------------------------------------------- */

static size_t s_room (const rp_loop_t *loop, const rp_slot_t *slot)
{
    return loop->runner->room ? loop->runner->room (loop, slot) : SIZE_MAX;
}

/*  room: SIZE_MAX for all that there is.  */
static void s_read_output (rp_loop_t *loop, rp_slot_t *slot, size_t room)
{
    size_t limit = loop->output_limit + loop->runner->output_extra;
    rp_child_read_t how = room == SIZE_MAX ? rp_child_read (&slot->child, &slot->output, limit)
                                           : rp_child_read_some (&slot->child, &slot->output, room);
    loop->runner->output (loop, slot, how);
}

static void s_reap (rp_loop_t *loop)
{
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        rp_slot_t *slot = &loop->slots[index];
        int status = rp_child_reap (&slot->child);
        if (status < 0)
            continue;
        if (slot->child.output >= 0)
            s_read_output (loop, slot, SIZE_MAX);
        rp_child_read_errors (&slot->child, loop->settings->verbose);
        rp_child_close (&slot->child);
        loop->runner->exited (loop, slot, status);
        rp_buffer_use (&slot->input, rp_buffer_size (&slot->input));
        rp_buffer_use (&slot->output, rp_buffer_size (&slot->output));
    }
}

/*  Starts, ends or kills the slot's child when that is due.  */
static void s_tick_slot (rp_loop_t *loop, rp_slot_t *slot)
{
    rp_child_t *child = &slot->child;
    bool leaving = s_is_leaving (loop);
    if (child->pid == 0) {
        if (!leaving && loop->runner->tick)
            loop->runner->tick (loop, slot);
        return;
    }
    if (loop->runner->tick)
        loop->runner->tick (loop, slot);
    bool lets_go = slot->task && !leaving && rp_task_cancelled (slot->task);
    if (lets_go && loop->runner->outlives && loop->runner->outlives (loop, slot))
        return;
    bool unwanted = slot->task ? loop->signals > 1 || rp_task_cancelled (slot->task) : leaving;
    if (leaving && !slot->task)
        rp_child_close (child);
    if (unwanted)
        rp_child_end (child, loop->now, loop->settings->kill_after);
    if (child->kill_at && child->kill_at <= loop->now)
        rp_child_kill (child);
}

static int64_t s_deadline (const rp_loop_t *loop, const rp_task_t *task)
{
    return loop->now + ((int64_t) rp_task_time_left_ms (task) + 1) * 1000;
}

/*  When a slot is due next.  */
static int64_t s_next_of_slot (const rp_loop_t *loop, const rp_slot_t *slot)
{
    const rp_child_t *child = &slot->child;
    int64_t own = loop->runner->next ? loop->runner->next (loop, slot) : INT64_MAX;
    if (child->pid == 0)
        return s_is_leaving (loop) ? INT64_MAX : own;
    if (child->kill_at)
        return child->killed ? INT64_MAX : child->kill_at;
    int64_t deadline = slot->task ? s_deadline (loop, slot->task) : INT64_MAX;
    return own < deadline ? own : deadline;
}

static int64_t s_next (const rp_loop_t *loop)
{
    int64_t earliest = loop->trial.again > loop->now ? loop->trial.again : INT64_MAX;
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        int64_t next = s_next_of_slot (loop, &loop->slots[index]);
        earliest = next < earliest ? next : earliest;
    }
    for (size_t index = 0; index < loop->pending_count; index++) {
        int64_t next = s_deadline (loop, loop->pending[index]);
        earliest = next < earliest ? next : earliest;
    }
    return earliest;
}

/*  ---- The loop ------------------------------------------------------------------------------- */

static void s_signals (rp_loop_t *loop)
{
    struct signalfd_siginfo info;
    bool child = false;
    while (read (loop->signal_fd, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            child = true;
            continue;
        }
        loop->signals++;
        if (loop->signals == 1) {
            rp_loop_say (loop->settings, "is draining; once more to stop now");
            rp_worker_drain (loop->worker);
        }
        else
            rp_worker_stop (loop->worker);
    }
    if (child)
        s_reap (loop);
}

static void s_set_poll (struct pollfd *entry, int descriptor, short events)
{
    *entry = (struct pollfd){.fd = descriptor, .events = events};
}

static void s_fill_poll (const rp_loop_t *loop, struct pollfd *entries)
{
    s_set_poll (&entries[0], loop->signal_fd, POLLIN);
    s_set_poll (&entries[1], loop->status == RP_TIMED_OUT ? loop->worker_fd : -1, POLLIN);
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        const rp_slot_t *slot = &loop->slots[index];
        struct pollfd *own = &entries[S_OWN + S_PER_SLOT * index];
        bool writes = rp_buffer_size (&slot->input) > 0;
        s_set_poll (&own[0], writes ? slot->child.input : -1, POLLOUT);
        s_set_poll (&own[1], s_room (loop, slot) ? slot->child.output : -1, POLLIN);
        s_set_poll (&own[2], slot->child.errors, POLLIN);
    }
}

static void s_serve_slots (rp_loop_t *loop, const struct pollfd *entries)
{
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        rp_slot_t *slot = &loop->slots[index];
        const struct pollfd *own = &entries[S_OWN + S_PER_SLOT * index];
        if (own[0].revents) {
            rp_child_write (&slot->child, &slot->input);
            if (rp_buffer_size (&slot->input) == 0)
                loop->runner->written (loop, slot);
        }
        if (own[2].revents)
            rp_child_read_errors (&slot->child, loop->settings->verbose);
        if (own[1].revents && slot->child.output >= 0)
            s_read_output (loop, slot, s_room (loop, slot));
    }
}

static bool s_is_done (const rp_loop_t *loop)
{
    if (loop->status == RP_TIMED_OUT || loop->pending_count > 0)
        return false;
    for (uint64_t index = 0; index < loop->settings->slots; index++)
        if (loop->slots[index].task || loop->slots[index].child.pid)
            return false;
    return true;
}

/*  How long poll may wait.  */
static int s_wait_ms (int64_t next, int64_t now)
{
    if (next == INT64_MAX)
        return -1;
    int64_t wait = next <= now ? 0 : (next - now + 999) / 1000;
    return wait < S_WAIT_MAX_MS ? (int) wait : S_WAIT_MAX_MS;
}

static void s_serve (rp_loop_t *loop, struct pollfd *entries)
{
    nfds_t count = (nfds_t) (S_OWN + S_PER_SLOT * loop->settings->slots);
    loop->now = rp_clock_us ();
    s_set_ready (loop);
    s_receive (loop);
    while (!loop->broken) {
        loop->now = rp_clock_us ();
        for (uint64_t index = 0; index < loop->settings->slots; index++)
            s_tick_slot (loop, &loop->slots[index]);
        s_dispatch (loop);
        if (s_is_done (loop))
            return;
        s_fill_poll (loop, entries);
        int ready = poll (entries, count, s_wait_ms (s_next (loop), loop->now));
        if (ready < 0 && errno != EINTR) {
            loop->broken = true;
            return;
        }
        loop->now = rp_clock_us ();
        s_receive (loop);
        if (ready <= 0)
            continue;
        s_serve_slots (loop, entries);
        s_signals (loop);
    }
}

static int s_exit_code (rp_loop_t *loop)
{
    if (loop->broken) {
        fprintf (stderr, "riposte-worker: out of memory or descriptors; try fewer --slots\n");
        return rp_status_exit_code (RP_SYSTEM);
    }
    if (loop->signals > 1)
        return rp_status_exit_code (RP_INTERRUPTED);
    if (loop->status != RP_CLOSED)
        rp_loop_refused (loop->settings, loop->worker);
    return loop->status == RP_CLOSED ? 0 : rp_status_exit_code (loop->status);
}

static void s_free (rp_loop_t *loop)
{
    for (uint64_t index = 0; loop->slots && index < loop->settings->slots; index++) {
        rp_slot_t *slot = &loop->slots[index];
        rp_child_kill (&slot->child);
        rp_child_close (&slot->child);
        rp_buffer_clear (&slot->input);
        rp_buffer_clear (&slot->output);
    }
    free (loop->slots);
    free (loop->pending);
}

int rp_loop_run (const rp_worker_options_t *settings,
  const rp_runner_t *runner,
  void *state,
  rp_worker_t *worker,
  size_t brokers,
  int signal_fd)
{
    size_t slots = (size_t) settings->slots;
    rp_loop_t loop = {
      .settings = settings,
      .runner = runner,
      .state = state,
      .worker = worker,
      .slots = calloc (slots, sizeof *loop.slots),
      .pending = calloc (slots * brokers, sizeof *loop.pending),
      .pending_capacity = slots * brokers,
      .output_limit = (size_t) settings->max_output,
      .ready = UINT32_MAX,
      .signal_fd = signal_fd,
      .status = RP_TIMED_OUT,
    };
    struct pollfd *entries = calloc (S_OWN + S_PER_SLOT * slots, sizeof *entries);
    loop.broken = !loop.slots || !loop.pending || !entries
                  || rp_worker_on_conversation_end (worker, s_conversation_ended, &loop) != RP_OK
                  || (loop.worker_fd = rp_worker_fd (worker)) < 0;
    if (!loop.broken) {
        for (size_t index = 0; index < slots; index++) {
            rp_child_init (&loop.slots[index].child);
            rp_life_init (&loop.slots[index].life, settings->wait_ready, settings->start_limit);
        }
        s_serve (&loop, entries);
    }
    int code = s_exit_code (&loop);
    s_free (&loop);
    free (entries);
    return code;
}
