/*  Bodies in parts: the functions with which an application writes a reply and reads a request part by part.

    SPDX-License-Identifier: MPL-2.0

    Parts of a request are put into the task by the worker's turn (worker_turn.c). For a client that reads no parts, what
    is written is kept in the task, and goes with its reply (answer.c).
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/clock.h"
#include "common/base/units.h"
#include "worker/worker_state.h"

bool rp_task_streams (const rp_task_t *self)
{
    return self->work.stream && self->work.stream->reads;
}

bool rp_task_more (const rp_task_t *self)
{
    return self->work.stream && self->work.stream->more;
}

/*  ---- Waiting -------------------------------------------------------------------------------- */

/*  With the lock held: what a function that waits does, until it returns anything but RP_TIMED_OUT, or the time
    is over.  */
typedef struct {
    rp_task_t *task;
    const char *data; /* to write */
    size_t size;
    size_t done;
    const void *part; /* that was read */
    size_t part_size;
} s_step_t;

/*  With the lock held: calls a step until it does not have to wait, or the time is over.  */
static int s_repeat (s_step_t *step, int (*function) (s_step_t *step), uint32_t timeout_ms)
{
    rp_task_t *task = step->task;
    rp_worker_t *worker = task->worker;
    int64_t until = rp_clock_us () + timeout_ms * RP_US_PER_MS;
    if (until > task->work.deadline)
        until = task->work.deadline;
    for (bool waited = false;; waited = true) {
        int rc = rp_task_cancelled (task) ? RP_CANCELLED : function (step);
        if (rc != RP_TIMED_OUT || (waited && rp_clock_us () >= until))
            return rc;
        worker->streaming++;
        int interrupted = rp_pump_wait_on (worker->pump, task, until);
        worker->streaming--;
        if (interrupted != 0 && worker->interruptible)
            return RP_INTERRUPTED;
    }
}

/*  ---- Writing -------------------------------------------------------------------------------- */

/*  Keeps a part for a client that reads none.  */
static int s_keep (rp_task_t *self, const void *data, size_t size)
{
    if (!rp_task_need_stream (self))
        return RP_NO_MEMORY;
    rp_task_stream_t *stream = self->stream;
    uint64_t most = self->worker->core.sessions[self->work.session].max_body;
    if (size > most || stream->kept_size > most - size)
        return RP_TOO_LARGE;
    size_t needed = stream->kept_size + size;
    if (needed > stream->kept_capacity) {
        size_t capacity = needed < stream->kept_capacity * 2 ? stream->kept_capacity * 2 : needed;
        char *kept = realloc (stream->kept, capacity);
        if (!kept)
            return RP_NO_MEMORY;
        stream->kept = kept;
        stream->kept_capacity = capacity;
    }
    memcpy (stream->kept + stream->kept_size, data, size);
    stream->kept_size = needed;
    return RP_OK;
}

/*  Sends what can be sent now. A send that fails ends the session, and so cancels the task.  */
static int s_write (s_step_t *step)
{
    rp_task_t *task = step->task;
    rp_worker_t *worker = task->worker;
    uint32_t session = task->work.session;
    rp_head_t head;
    while (step->done < step->size) {
        size_t piece = rp_worker_core_write (
          &worker->core, &task->work, step->size - step->done, &head, rp_clock_us ());
        if (piece == 0)
            return task->work.cancelled ? RP_CANCELLED : RP_TIMED_OUT;
        rp_worker_send_part (worker, session, &head, step->data + step->done, piece);
        step->done += piece;
    }
    return task->work.cancelled ? RP_CANCELLED : RP_OK;
}

int rp_task_write (
  rp_task_t *self, const void *data, size_t size, uint32_t timeout_ms, size_t *written)
{
    s_step_t step = {.task = self, .data = data, .size = size};
    if (written)
        *written = 0;
    if (!data && size)
        return RP_USAGE;
    if (size == 0)
        return RP_OK;
    if (!rp_pump_lock (self->worker->pump))
        return RP_CLOSED;
    int rc;
    if (rp_task_streams (self))
        rc = s_repeat (&step, s_write, timeout_ms);
    else
        rc = rp_task_cancelled (self) ? RP_CANCELLED : s_keep (self, data, size);
    if (rc == RP_OK)
        step.done = size;
    if (written)
        *written = step.done;
    rp_pump_unlock_sent (self->worker->pump);
    return rc;
}

size_t rp_task_room (rp_task_t *self)
{
    if (!rp_pump_lock (self->worker->pump))
        return 0;
    uint64_t most = self->worker->core.sessions[self->work.session].max_body;
    uint64_t kept = self->stream ? self->stream->kept_size : 0;
    uint64_t room = kept < most ? most - kept : 0; // a new session may allow less
    if (rp_task_streams (self))
        room = rp_flow_room (&self->work.stream->writer);
    rp_pump_unlock_idle (self->worker->pump);
    return (size_t) room;
}

/*  ---- Reading -------------------------------------------------------------------------------- */

static int s_read (s_step_t *step)
{
    rp_task_t *task = step->task;
    rp_worker_t *worker = task->worker;
    rp_task_stream_t *stream = task->stream;
    int64_t now = rp_clock_us ();
    rp_worker_core_read (&worker->core, &task->work, now);
    stream->reading = rp_part_take (&stream->parts);
    if (stream->reading)
        rp_worker_core_took (&worker->core, &task->work, stream->reading->weight, now);
    rp_worker_obey (worker); // GRANT
    if (!stream->reading)
        return stream->flows.ended ? RP_CLOSED : RP_TIMED_OUT;
    step->part = stream->reading->body;
    step->part_size = stream->reading->size;
    return RP_OK;
}

int rp_task_read (rp_task_t *self, uint32_t timeout_ms, const void **data, size_t *size)
{
    s_step_t step = {.task = self};
    *data = NULL;
    *size = 0;
    if (!rp_pump_lock (self->worker->pump))
        return RP_CLOSED;
    int rc = RP_CLOSED;
    if (rp_task_more (self)) {
        rp_part_destroy (&self->worker->messages, &self->stream->reading);
        rc = s_repeat (&step, s_read, timeout_ms);
    }
    rp_pump_unlock (self->worker->pump); // sends GRANT
    *data = step.part;
    *size = step.part_size;
    return rc;
}
