/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/exec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/units.h"
#include "common/io/clock.h"
#include "worker/program/environment.h"

const char *rp_exec_describe (int status, char *buffer, size_t size)
{
    const char *name = status > 128 ? sigabbrev_np (status - 128) : NULL;
    if (name)
        snprintf (buffer, size, "killed by SIG%s", name);
    else
        snprintf (buffer, size, "exit status %d", status);
    return buffer;
}

static bool s_suits (rp_loop_t *loop, const rp_slot_t *slot, const rp_task_t *task)
{
    (void) task;
    return slot->child.pid == 0 && !rp_trial_pauses (&loop->trial, loop->now);
}

/*  Keeps and reports why the command cannot be started, and begins a pause.  */
static void s_cannot_start (rp_loop_t *loop, const char *why)
{
    char line[512];
    rp_trial_failed (&loop->trial, loop->now, rp_clock_entropy ());
    snprintf (loop->why, sizeof loop->why, "cannot start %s: %s", loop->settings->command[0], why);
    snprintf (line, sizeof line, "%s; takes no requests, next try in %" PRId64 " ms", loop->why,
      (loop->trial.again - loop->now) / 1000);
    rp_loop_complain (loop, line);
}

static uint32_t s_ready (const rp_loop_t *loop, bool *fails)
{
    *fails = rp_trial_pauses (&loop->trial, loop->now);
    return rp_trial_ready (&loop->trial, (uint32_t) loop->settings->slots, loop->now);
}

static void s_close_input (rp_slot_t *slot)
{
    if (slot->child.input >= 0)
        close (slot->child.input);
    slot->child.input = -1;
}

/*  stdin has taken what there was: gives it the next parts of the body, or its end.  */
static void s_feed (rp_loop_t *loop, rp_slot_t *slot)
{
    while (slot->task && slot->child.input >= 0 && rp_buffer_size (&slot->input) == 0) {
        const void *data;
        size_t size;
        int rc = rp_task_more (slot->task) ? rp_task_read (slot->task, 0, &data, &size) : RP_CLOSED;
        if (rc == RP_CLOSED)
            s_close_input (slot);
        if (rc != RP_OK)
            return;
        if (!rp_buffer_append (&slot->input, data, size)) {
            loop->broken = true; // without it, the command would take half of a body for the whole
            return;
        }
        rp_child_write (&slot->child, &slot->input);
    }
}

/*  True if output is sent as it comes.  */
static bool s_streams (const rp_loop_t *loop, const rp_slot_t *slot)
{
    return loop->settings->stream && slot->task && rp_task_streams (slot->task);
}

/*  The rest of what was read is sent first: a part takes more room than its bytes, so not all of it may have gone.  */
static size_t s_room (const rp_loop_t *loop, const rp_slot_t *slot)
{
    if (!s_streams (loop, slot))
        return SIZE_MAX;
    size_t room = rp_task_room (slot->task);
    size_t rest = rp_buffer_size (&slot->output);
    return room > rest ? room - rest : 0;
}

/*  Sends what there is room for.  */
static void s_send_output (rp_loop_t *loop, rp_slot_t *slot)
{
    size_t size = rp_buffer_size (&slot->output);
    size_t written;
    if (size == 0 || slot->child.pid == 0 || !s_streams (loop, slot))
        return;
    (void) rp_task_write (slot->task, rp_buffer_data (&slot->output), size, 0, &written);
    rp_buffer_use (&slot->output, written);
}

/*  After a pause, looks for the command before it asks for a request, which a missing command would
    fail.  */
static void s_tick (rp_loop_t *loop, rp_slot_t *slot)
{
    bool due =
      loop->trial.failures > 0 && loop->ready == 0 && !rp_trial_pauses (&loop->trial, loop->now);
    if (due && slot->child.pid == 0 && !rp_child_is_found (loop->settings->command[0]))
        s_cannot_start (loop, "it is not there, or may not be run");
    if (loop->settings->stream && slot->child.pid != 0) {
        s_feed (loop, slot);        // a part may have come
        s_send_output (loop, slot); // or a grant
    }
}

static void s_begin (rp_loop_t *loop, rp_slot_t *slot)
{
    slot->broke = false;
    size_t size = rp_task_size (slot->task);
    char **environment = rp_environment_new (slot->task);
    if (!environment || !rp_buffer_append (&slot->input, rp_task_body (slot->task), size)) {
        rp_environment_destroy (&environment);
        rp_loop_abandon (loop, &slot->task, "the worker is out of memory");
        return;
    }
    int error = rp_child_spawn (&slot->child, loop->settings->command, environment);
    rp_environment_destroy (&environment);
    if (error) {
        s_cannot_start (loop, strerror (error));
        rp_buffer_use (&slot->input, size);
        rp_loop_decline (loop, &slot->task, loop->why);
        return;
    }
    rp_trial_worked (&loop->trial);
    rp_child_write (&slot->child, &slot->input);
    s_feed (loop, slot);
}

static void s_output (rp_loop_t *loop, rp_slot_t *slot, rp_child_read_t how)
{
    s_send_output (loop, slot);
    if (how != RP_CHILD_FULL)
        return;
    slot->broke = true;
    rp_child_close (&slot->child);
    rp_child_end (&slot->child, loop->now, loop->settings->kill_after);
}

/*  Ends a request whose command failed. A signal is no answer: of a job, another attempt is asked for.  */
static void s_failed (rp_loop_t *loop, rp_slot_t *slot, int status)
{
    char said[RP_CHILD_ERRORS_MAX];
    char how[64];
    char line[512];
    rp_exec_describe (status, how, sizeof how);
    rp_child_last_line (&slot->child, said, sizeof said);
    const char *text = said[0] ? said : how;
    snprintf (line, sizeof line, "request %" PRIu64 " failed: %s: %.300s", rp_task_id (slot->task),
      how, text);
    rp_loop_complain (loop, line);
    bool again = slot->child.signalled && rp_task_is_durable (slot->task);
    if (again) {
        snprintf (line, sizeof line, "%s%s%.300s", how, said[0] ? ": " : "", said);
        text = line;
    }
    rp_loop_fail_or_retry (loop, slot, again ? RP_LOOP_RETRY : (uint32_t) status, text,
      rp_buffer_data (&slot->output), rp_buffer_size (&slot->output));
}

static void s_exited (rp_loop_t *loop, rp_slot_t *slot, int status)
{
    char text[128];
    char limit[RP_UNITS_TEXT_MAX];
    const char *body = rp_buffer_data (&slot->output);
    size_t size = rp_buffer_size (&slot->output);
    uint32_t code = (uint32_t) status;
    slot->child.kill_at = 0;
    if (!slot->task)
        return;
    if (rp_task_cancelled (slot->task))
        rp_loop_fail (loop, slot, code, "cancelled", NULL, 0);
    else if (slot->broke) {
        snprintf (text, sizeof text, "its output is over the limit of %s",
          rp_size_format (limit, loop->settings->max_output));
        rp_loop_fail (loop, slot, code, text, NULL, 0);
    }
    else if (loop->signals > 1)
        rp_loop_abandon (loop, &slot->task, "the worker was stopped");
    else if (status == 0)
        rp_loop_reply (loop, slot, body, size);
    else
        s_failed (loop, slot, status);
}

const rp_runner_t rp_exec_runner = {
  .suits = s_suits,
  .begin = s_begin,
  .output = s_output,
  .room = s_room,
  .written = s_feed,
  .exited = s_exited,
  .ready = s_ready,
  .tick = s_tick,
};
