/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/persistent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/table.h"
#include "common/io/clock.h"
#include "common/wire/headers.h"
#include "worker/program/exec.h"
#include "worker/program/framing.h"

/*  The process that holds a conversation.  */
typedef struct {
    uint64_t conversation;
    rp_slot_t *slot;
    uint64_t life;
    bool answered;
} s_home_t;

struct rp_persistent {
    rp_table_t homes;
    rp_framing_answer_t answer; /* too large for a stack */
};

rp_persistent_t *rp_persistent_new (void)
{
    rp_persistent_t *self = calloc (1, sizeof *self);
    if (self)
        rp_table_init (&self->homes);
    return self;
}

void rp_persistent_destroy (rp_persistent_t **self_p)
{
    rp_persistent_t *self = *self_p;
    if (!self)
        return;
    for (uint32_t slot = 0; self->homes.slots && slot <= self->homes.mask; slot++)
        free (self->homes.slots[slot].item);
    rp_table_clear (&self->homes);
    free (self);
    *self_p = NULL;
}

/*  Without a seed: this worker counts the numbers from 1, so no peer chooses them.  */
static uint64_t s_hash (uint64_t conversation)
{
    return rp_hash_pair (conversation, 0, 0);
}

static s_home_t *s_find_home (const rp_persistent_t *self, uint64_t conversation)
{
    rp_table_cursor_t cursor;
    s_home_t *home = rp_table_first (&self->homes, s_hash (conversation), &cursor);
    while (home && home->conversation != conversation)
        home = rp_table_next (&self->homes, s_hash (conversation), &cursor);
    return home;
}

/*  False when out of memory.  */
static bool s_settle (rp_persistent_t *self, uint64_t conversation, rp_slot_t *slot)
{
    if (conversation == 0 || s_find_home (self, conversation))
        return true;
    s_home_t *home = malloc (sizeof *home);
    if (!home || !rp_table_insert (&self->homes, s_hash (conversation), home)) {
        free (home);
        return false;
    }
    *home = (s_home_t){.conversation = conversation, .slot = slot, .life = slot->lives};
    return true;
}

/*  Gives back the task of a process that ends. The conversation ends with the state that the
    process kept; before its first answer there was none, and another process may begin it.  */
static void s_give_back (rp_loop_t *loop, rp_slot_t *slot, const char *text)
{
    const s_home_t *home = s_find_home (loop->state, rp_task_conversation (slot->task));
    if (home && home->answered)
        rp_task_end_conversation (slot->task);
    rp_loop_abandon (loop, &slot->task, text);
}

static bool s_is_ready (const rp_loop_t *loop, const rp_slot_t *slot)
{
    const rp_child_t *child = &slot->child;
    return child->pid != 0 && !child->kill_at && child->input >= 0
           && rp_life_is_offered (&slot->life, loop->now);
}

/*  *fails when no process can be kept alive. For a process that loads, or was ended for no fault of
    its own, the pending tasks wait.  */
static uint32_t s_ready (const rp_loop_t *loop, bool *fails)
{
    uint32_t ready = 0;
    bool failing = true;
    for (uint64_t index = 0; index < loop->settings->slots; index++) {
        ready += s_is_ready (loop, &loop->slots[index]);
        failing &= loop->slots[index].life.failures > 0;
    }
    *fails = ready == 0 && failing;
    return ready;
}

static bool s_suits (rp_loop_t *loop, const rp_slot_t *slot, const rp_task_t *task)
{
    if (!s_is_ready (loop, slot))
        return false;
    uint64_t conversation = rp_task_conversation (task);
    const s_home_t *home = conversation ? s_find_home (loop->state, conversation) : NULL;
    return !home || home->slot == slot;
}

static bool s_orphaned (rp_loop_t *loop, rp_task_t **task_p)
{
    uint64_t conversation = rp_task_conversation (*task_p);
    const s_home_t *home = conversation ? s_find_home (loop->state, conversation) : NULL;
    if (!home || home->life == home->slot->lives)
        return false;
    rp_task_end_conversation (*task_p);
    rp_loop_abandon (loop, task_p, "the process that held this conversation has ended");
    return true;
}

static void s_ended (rp_loop_t *loop, uint64_t conversation)
{
    rp_persistent_t *self = loop->state;
    s_home_t *home = s_find_home (self, conversation);
    if (!home)
        return;
    rp_slot_t *slot = home->slot;
    if (home->life == slot->lives && slot->child.input >= 0
        && !rp_buffer_print (&slot->input, "RP/1 END %" PRIu64 "\n\n", conversation))
        loop->broken = true;
    rp_table_remove (&self->homes, s_hash (conversation), home);
    free (home);
}

/*  ---- The process ---------------------------------------------------------------------------- */

/*  One line: what failed, and when the next process is started.  */
static void s_complain (rp_loop_t *loop, const rp_slot_t *slot, const char *what)
{
    char line[512];
    snprintf (loop->why, sizeof loop->why, "%.250s", what);
    snprintf (line, sizeof line, "%.400s, next start in %" PRId64 " ms", what,
      (slot->life.start_at - loop->now) / 1000);
    rp_loop_complain (loop, line);
}

static void s_start (rp_loop_t *loop, rp_slot_t *slot)
{
    slot->broke = false;
    slot->owed = 0;
    int error = rp_child_spawn (&slot->child, loop->settings->command, environ);
    if (!error) {
        rp_life_started (&slot->life, loop->now);
        return;
    }
    char text[256];
    snprintf (
      text, sizeof text, "cannot start %s: %s", loop->settings->command[0], strerror (error));
    rp_life_not_started (&slot->life, loop->now, rp_clock_entropy ());
    s_complain (loop, slot, text);
}

static void s_tick (rp_loop_t *loop, rp_slot_t *slot)
{
    if (slot->child.pid == 0) {
        if (rp_life_next (&slot->life, loop->now) <= loop->now)
            s_start (loop, slot);
        return;
    }
    if (slot->child.kill_at || !rp_life_is_late (&slot->life, loop->now))
        return;
    rp_loop_complain (loop, "its process did not get ready within --start-limit and is ended");
    rp_child_end (&slot->child, loop->now, loop->settings->kill_after);
}

static int64_t s_next (const rp_loop_t *loop, const rp_slot_t *slot)
{
    return rp_life_next (&slot->life, loop->now);
}

/*  A process that has not answered yet may still be loading, and would never come up if the
    deadline of each request ended it.  */
static bool s_outlives (rp_loop_t *loop, rp_slot_t *slot)
{
    if (slot->child.kill_at || !rp_life_outlives_request (&slot->life))
        return false;
    slot->owed = rp_task_id (slot->task);
    rp_task_end_conversation (slot->task);
    rp_loop_fail (loop, slot, 0, "cancelled", NULL, 0);
    return true;
}

static void s_exited (rp_loop_t *loop, rp_slot_t *slot, int status)
{
    char how[64];
    char said[256];
    char text[RP_WIRE_TEXT_MAX];
    bool cancelled = slot->task && rp_task_cancelled (slot->task);
    bool expected = cancelled;
    rp_exec_describe (status, how, sizeof how);
    rp_child_last_line (&slot->child, said, sizeof said);
    snprintf (text, sizeof text, "its process ended: %s%s%s", how, said[0] ? ": " : "", said);
    if (cancelled) {
        rp_task_end_conversation (slot->task);
        rp_loop_fail (loop, slot, 0, "cancelled", NULL, 0);
    }
    else if (slot->task)
        s_give_back (loop, slot, text);
    slot->lives++;
    slot->child.kill_at = 0;
    rp_life_ended (&slot->life, expected, loop->now, rp_clock_entropy ());
    // s_break has reported a process that broke the framing.
    if (loop->status == RP_TIMED_OUT && loop->signals < 2 && !expected && !slot->broke)
        s_complain (loop, slot, text);
}

/*  Ends a process that broke the framing: nothing that follows can be read.  */
static void s_break (rp_loop_t *loop, rp_slot_t *slot, const char *reason)
{
    rp_loop_say (loop->settings, "broke the framing and is killed: %s", reason);
    slot->broke = true;
    if (slot->task)
        s_give_back (loop, slot, reason);
    rp_child_close (&slot->child);
    rp_child_end (&slot->child, loop->now, 0);
}

/*  ---- Tasks ---------------------------------------------------------------------------------- */

typedef struct {
    rp_buffer_t *input;
    bool done;
} s_printer_t;

static void s_print_header (const char *key, const char *value, void *arg)
{
    s_printer_t *printer = arg;
    printer->done = printer->done && rp_buffer_print (printer->input, "%s: %s\n", key, value);
}

static void s_begin (rp_loop_t *loop, rp_slot_t *slot)
{
    const rp_task_t *task = slot->task;
    size_t size = rp_task_size (task);
    s_printer_t printer = {.input = &slot->input};
    printer.done =
      s_settle (loop->state, rp_task_conversation (task), slot)
      && rp_buffer_print (&slot->input,
        "RP/1 REQUEST %" PRIu64 " %zu %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", rp_task_id (task),
        size, rp_task_time_left_ms (task), rp_task_attempt (task), rp_task_conversation (task));
    rp_task_each_header (task, s_print_header, &printer);
    if (!printer.done || !rp_buffer_append (&slot->input, "\n", 1)
        || !rp_buffer_append (&slot->input, rp_task_body (task), size)) {
        s_break (loop, slot, "the worker is out of memory");
        return;
    }
    rp_life_given (&slot->life, loop->now);
    rp_child_write (&slot->child, &slot->input);
}

static void s_add_headers (rp_task_t *task, const rp_framing_answer_t *answer)
{
    rp_header_t header;
    for (size_t offset = 0;
         rp_headers_next (answer->headers, answer->headers_size, &offset, &header);) {
        char key[RP_HEADER_KEY_MAX + 1];
        char value[RP_HEADER_VALUE_MAX + 1];
        memcpy (key, header.key, header.key_size);
        key[header.key_size] = '\0';
        memcpy (value, header.value, header.value_size);
        value[header.value_size] = '\0';
        rp_task_add_header (task, key, value); // the framing has checked it
    }
}

static void s_answer (rp_loop_t *loop, rp_slot_t *slot, const rp_framing_answer_t *answer)
{
    s_home_t *home = s_find_home (loop->state, rp_task_conversation (slot->task));
    if (home)
        home->answered = true;
    s_add_headers (slot->task, answer);
    if (answer->ok)
        rp_loop_reply (loop, slot, answer->body, answer->body_size);
    else {
        char text[RP_WIRE_TEXT_MAX + 1];
        snprintf (text, sizeof text, "%.*s", (int) answer->message_size, answer->message);
        rp_loop_fail_or_retry (loop, slot, answer->code, text[0] ? text : "the service said ERROR",
          answer->body, answer->body_size);
    }
    rp_life_answered (&slot->life);
}

/*  Takes READY, or the answer that the process owed. False if it is neither.  */
static bool s_aside (rp_slot_t *slot, const rp_framing_answer_t *answer)
{
    if (answer->ready) {
        rp_life_said_ready (&slot->life);
        return true;
    }
    if (slot->owed == 0 || answer->id != slot->owed)
        return false;
    slot->owed = 0;
    rp_life_answered (&slot->life);
    return true;
}

static void s_output (rp_loop_t *loop, rp_slot_t *slot, rp_child_read_t how)
{
    rp_persistent_t *self = loop->state;
    for (;;) {
        size_t size = rp_buffer_size (&slot->output);
        if (size == 0 || slot->child.kill_at)
            break;
        rp_framing_result_t result = rp_framing_parse (
          rp_buffer_data (&slot->output), size, loop->output_limit, &self->answer);
        if (result == RP_FRAMING_MORE)
            break;
        if (result == RP_FRAMING_BROKEN)
            s_break (loop, slot, self->answer.reason);
        else if (s_aside (slot, &self->answer)) {
            rp_buffer_use (&slot->output, self->answer.size);
            continue;
        }
        else if (!slot->task || self->answer.id != rp_task_id (slot->task))
            s_break (loop, slot, "it answered what it was not asked");
        else {
            s_answer (loop, slot, &self->answer);
            rp_buffer_use (&slot->output, self->answer.size);
            continue;
        }
        return;
    }
    // The process will not answer any more, or its output is more than can be kept.
    if (how == RP_CHILD_END)
        rp_child_end (&slot->child, loop->now, loop->settings->kill_after);
    else if (how == RP_CHILD_FULL && !slot->child.kill_at)
        s_break (loop, slot, "it said more than the limit on output");
}

static void s_written (rp_loop_t *loop, rp_slot_t *slot)
{
    // A process that does not read its requests cannot serve.
    if (slot->child.input < 0)
        rp_child_end (&slot->child, loop->now, loop->settings->kill_after);
}

const rp_runner_t rp_persistent_runner = {
  .suits = s_suits,
  .begin = s_begin,
  .output = s_output,
  .written = s_written,
  .exited = s_exited,
  .ready = s_ready,
  .tick = s_tick,
  .outlives = s_outlives,
  .next = s_next,
  .orphaned = s_orphaned,
  .ended = s_ended,
  .output_extra = RP_FRAMING_HEAD_MAX,
};
