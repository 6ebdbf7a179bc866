/*  The worker's turn: messages from the channels to the core, and its orders to the channels.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/base/random.h"
#include "common/base/uninitialized.h"
#include "common/io/clock.h"
#include "common/wire/bundle.h"
#include "common/wire/headers.h"
#include "worker/worker_state.h"

/*  The most messages taken from one channel in a pass, so that one broker cannot shut out the
    others; the most passes in a turn.  */
#define S_BUDGET 1024
#define S_PASSES 4

/*  ---- Sending -------------------------------------------------------------------------------- */

static void s_failed (rp_worker_t *self, uint32_t session, const char *reason)
{
    rp_worker_core_failed (&self->core, session, reason, self->now, rp_random (&self->random));
}

static void s_send_failed (rp_worker_t *self, uint32_t session)
{
    s_failed (self, session, errno == EAGAIN ? "the connection broke" : zmq_strerror (errno));
}

static void s_send_head (rp_worker_t *self, uint32_t session, const rp_head_t *head)
{
    if (rp_channel_send_head (self->channels[session], head) != 0)
        s_send_failed (self, session);
}

bool rp_worker_push (rp_worker_t *self, uint32_t session)
{
    rp_channel_t *channel = self->channels[session];
    int64_t now = rp_clock_us ();
    bool waits = !rp_list_is_empty (&self->core.ready) && now - self->answered < RP_WORKER_BUSY_US
                 && rp_channel_waiting (channel) < RP_WORKER_OUTBOX;
    self->answered = now;
    if (!waits)
        rp_channel_flush (channel);
    return !rp_channel_is_armed (channel);
}

void rp_worker_send (rp_worker_t *self, uint32_t session, rp_message_t **message_p)
{
    if (!*message_p) {
        s_failed (self, session, "out of memory"); // the broker gives its requests to others
        return;
    }
    if (rp_channel_send (self->channels[session], &self->messages, message_p) == 0)
        return;
    s_send_failed (self, session);
    rp_message_destroy (&self->messages, message_p);
}

void rp_worker_send_part (
  rp_worker_t *self, uint32_t session, rp_head_t *head, const void *data, size_t size)
{
    rp_channel_t *channel = self->channels[session];
    if (rp_part_send (channel, &self->messages, head, data, size) != 0)
        s_send_failed (self, session);
    else
        rp_channel_flush (channel);
}

static void s_open (rp_worker_t *self, uint32_t session)
{
    const char *where = rp_link_where (&self->core.sessions[session].link);
    const char *reason;
    if (rp_channel_open (self->channels[session], where, &reason) != 0)
        s_failed (self, session, reason);
    rp_pump_kick (self->pump); // a thread in poll may wait for the old descriptors
}

void rp_worker_obey (rp_worker_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));) {
        rp_channel_t *channel = self->channels[order->session];
        switch (order->kind) {
            case RP_WORKER_OPEN:
                s_open (self, order->session);
                break;
            case RP_WORKER_CLOSE:
                rp_channel_close (channel, RP_WORKER_LINGER_MS);
                break;
            case RP_WORKER_SEND:
                if (rp_channel_is_open (channel))
                    s_send_head (self, order->session, &order->head);
                break;
            case RP_WORKER_NOTICE:
                if (self->on_notice)
                    self->on_notice (order->notice, self->on_notice_arg);
                break;
        }
    }
}

/*  Sends replies for the works that ended in the core.  */
static void s_flush_returned (rp_worker_t *self)
{
    for (rp_work_t *work; (work = rp_worker_core_next_returned (&self->core)) != NULL;) {
        rp_task_t *task = (rp_task_t *) work;
        rp_head_t head = {
          .command = RP_COMMAND_REPLY,
          .id = work->token,
          .status = (uint8_t) work->status,
          .text = work->text,
          .text_size = (uint16_t) strlen (work->text),
        };
        if (rp_worker_core_finish (&self->core, work, work->status, self->now)) {
            s_send_head (self, work->session, &head);
            rp_worker_obey (self);
        }
        rp_task_free (&task);
    }
}

/*  ---- Receiving ------------------------------------------------------------------------------ */

static rp_task_t *s_new_task (rp_worker_t *self)
{
    rp_task_t *task = self->free_tasks;
    if (task)
        self->free_tasks = task->next_free;
    else
        task = calloc (1, sizeof *task);
    if (task)
        task->worker = self;
    return task;
}

/*  The first frame of a message.  */
typedef struct {
    uint8_t *data;
    size_t size;
    rp_message_t *message; /* NULL: data has to be copied */
    const char *why_not;   /* why the request is refused, or NULL */
} s_frame_t;

/*  Makes room for the copy of a frame. A task keeps its room, so that most requests find
    enough.  */
static bool s_reserve (rp_task_t *task, const s_frame_t *frame)
{
    if (frame->message || frame->size <= task->copy_size)
        return true;
    uint8_t *copy = realloc (task->copy, frame->size);
    if (!copy)
        return false;
    task->copy = copy;
    task->copy_size = frame->size;
    return true;
}

static void s_fill_task (
  rp_worker_t *self, rp_task_t *task, const rp_head_t *head, s_frame_t *frame)
{
    uint8_t *at = frame->message ? frame->data : memcpy (task->copy, frame->data, frame->size);
    task->message = frame->message;
    frame->message = NULL;
    task->id = ++self->last_id;
    task->conversation = task->work.conversation ? task->work.conversation->local : 0;
    task->attempt = head->attempt;
    task->trace = (head->flags & RP_FLAG_TRACE) != 0;
    task->last = false;
    task->reply_headers_size = 0;
    task->headers_size = head->headers_size;
    if (task->stream) {
        rp_work_stream_begin (&task->stream->flows, head);
        task->work.stream = &task->stream->flows;
    }

    task->body = at + head->size;
    task->size = frame->size - head->size;
    task->headers = (char *) at + head->size - task->headers_size;
    rp_headers_make_strings (at + head->size - task->headers_size, task->headers_size);
}

static void s_on_request (
  rp_worker_t *self, uint32_t session, const rp_head_t *head, s_frame_t *frame)
{
    rp_task_t *task = s_new_task (self);
    bool streams = (head->flags & (RP_FLAG_STREAM | RP_FLAG_MORE)) != 0;
    if (!task || !s_reserve (task, frame) || (streams && !rp_task_need_stream (task))) {
        if (task)
            rp_task_free (&task);
        s_failed (self, session, "out of memory"); // the broker gives its requests to others
        return;
    }
    if (rp_worker_core_request (&self->core, session, head, &task->work, frame->why_not, self->now))
        s_fill_task (self, task, head, frame);
    else
        rp_task_free (&task);
}

/*  Takes a part of a request, or a GRANT.  */
static void s_on_part (rp_worker_t *self, uint32_t session, const rp_head_t *head, s_frame_t *frame)
{
    rp_message_t *message = frame->message;
    size_t size = (message ? message->bytes : frame->size) - head->size;
    rp_task_t *task =
      (rp_task_t *) rp_worker_core_part (&self->core, session, head, size, self->now);
    if (!task)
        return;
    self->flowed = true;
    rp_pump_notify_on (self->pump, task);
    bool is_part = head->command == RP_COMMAND_PART && (size > 0 || head->flags & RP_FLAG_MORE);
    if (is_part
        && !rp_part_add (
          &task->stream->parts, frame->data, frame->size, head, message ? &frame->message : NULL))
        s_failed (self, session, "out of memory"); // a body with a hole must not reach its end
}

/*  Sets frame->message to NULL if a task keeps the message.  */
static void s_on_frame (rp_worker_t *self, uint32_t session, s_frame_t *frame)
{
    RP_UNINITIALIZED rp_head_t head;
    rp_wire_error_t error = rp_wire_decode (&head, frame->data, frame->size);
    if (error == RP_WIRE_ERROR_NONE && head.command == RP_COMMAND_REQUEST) {
        s_on_request (self, session, &head, frame);
        return;
    }
    if (error == RP_WIRE_ERROR_NONE
        && (head.command == RP_COMMAND_PART || head.command == RP_COMMAND_GRANT)) {
        s_on_part (self, session, &head, frame);
        return;
    }
    if (error == RP_WIRE_ERROR_NONE && head.command == RP_COMMAND_WELCOME
        && head.flags & RP_FLAG_BUNDLES)
        rp_channel_set_bundles (self->channels[session]);
    if (error != RP_WIRE_ERROR_NONE)
        self->core.ignored++;
    else
        rp_worker_core_message (&self->core, session, &head, self->now, rp_random (&self->random));
}

/*  The task gets a copy where the message would hold too much memory: the first message of a bundle
    holds the whole bundle, a small message the 8 KiB with which it was read.  */
static void s_on_message (
  rp_worker_t *self, uint32_t session, rp_message_t **message_p, const char *why_not)
{
    rp_message_t *message = *message_p;
    s_frame_t frame = {
      .data = rp_message_data (message),
      .size = rp_message_size (message),
      .message = rp_message_is_to_copy (message) ? NULL : message,
      .why_not = why_not,
    };
    bool whole = frame.message != NULL;
    s_on_frame (self, session, &frame);
    if (whole)
        *message_p = frame.message;
    rp_message_destroy (&self->messages, message_p);
}

/*  Takes the next message of the bundle at hand. False if there is none.  */
static bool s_unbundle (rp_worker_t *self, uint32_t session)
{
    s_frame_t frame = {0};
    frame.data = rp_channel_unbundle (self->channels[session], &frame.size);
    if (frame.data)
        s_on_frame (self, session, &frame);
    return frame.data != NULL;
}

static void s_receive (rp_worker_t *self, uint32_t session)
{
    rp_channel_t *channel = self->channels[session];
    for (int budget = S_BUDGET; budget > 0 && rp_channel_is_open (channel); budget--) {
        size_t cap = RP_BUNDLE_MAX + (size_t) self->core.sessions[session].max_body;
        rp_message_t *message = NULL;
        if (!s_unbundle (self, session))
            switch (rp_channel_receive (channel, &self->messages, cap, &message)) {
                case RP_RECEIVED_NONE:
                    return;
                case RP_RECEIVED:
                    s_on_message (self, session, &message, NULL);
                    break;
                case RP_RECEIVED_BIG:
                    s_on_message (self, session, &message, "over the broker's own limit");
                    break;
                case RP_RECEIVED_ERROR:
                    s_failed (self, session, zmq_strerror (errno));
                    break;
            }
        if (self->core.order_count)
            rp_worker_obey (self);
    }
}

/*  Reading events costs a system call: while the connection stands, only when poll reports
    some.  */
static bool s_has_events (const rp_worker_t *self, uint32_t session)
{
    return self->core.sessions[session].link.state != RP_LINK_UP
           || rp_pump_is_readable (
             self->pump, rp_channel_event_descriptor (self->channels[session]));
}

/*  A channel that looks up SRV records is never opened for anything else.  */
static void s_found (rp_worker_t *self, uint32_t session)
{
    rp_channel_t *channel = self->channels[session];
    if (!rp_address_is_srv (self->core.sessions[session].endpoint)) {
        rp_worker_core_found (&self->core, session, rp_channel_found (channel), self->now);
        return;
    }
    rp_channel_close (channel, 0);
    rp_worker_core_found_records (
      &self->core, session, &self->records, self->now, rp_random (&self->random));
}

static void s_take_events (rp_worker_t *self, uint32_t session)
{
    const char *reason = NULL;
    for (;;) {
        switch (rp_channel_next_event (self->channels[session], &reason)) {
            case RP_CHANNEL_NOTHING:
                return;
            case RP_CHANNEL_FOUND:
                s_found (self, session);
                break;
            case RP_CHANNEL_CONNECTED:
                rp_worker_core_connected (&self->core, session, self->now);
                break;
            case RP_CHANNEL_FAILED:
            case RP_CHANNEL_DENIED: // the key may be authorized at any time, so this goes on trying
                s_receive (self, session); // first what came before the end: a BYE says more
                if (rp_channel_is_open (self->channels[session]))
                    s_failed (self, session, reason);
                break;
        }
        rp_worker_obey (self);
    }
}

/*  ---- The turn ------------------------------------------------------------------------------- */

/*  Wakes the threads that wait for a task, an end or a cancellation.  */
static void s_announce (rp_worker_t *self)
{
    int status;
    bool something = !rp_list_is_empty (&self->core.ready) || !rp_list_is_empty (&self->core.ended)
                     || rp_worker_core_is_over (&self->core, &status);
    if (something)
        rp_pump_notify (self->pump);
    bool news = something || self->core.cancelled || self->flowed;
    if (self->event_fd >= 0 && !self->signalled && news)
        self->signalled = eventfd_write (self->event_fd, 1) == 0;
    if (self->core.cancelled && self->streaming)
        rp_pump_notify (self->pump);
    self->core.cancelled = self->flowed = false;
    if (self->core.given_up && self->crew)
        sem_post (&self->crew->bell);
}

static void s_flush (rp_worker_t *self)
{
    for (uint32_t session = 0; session < self->config.count; session++)
        rp_channel_flush (self->channels[session]);
}

/*  Receives, ticks and sends once. Returns when to be called again.  */
static int64_t s_pass (rp_worker_t *self)
{
    for (uint32_t session = 0; session < self->config.count; session++) {
        if (s_has_events (self, session))
            s_take_events (self, session);
        s_receive (self, session);
    }
    s_flush_returned (self);
    int64_t next = rp_worker_core_tick (&self->core, self->now, rp_random (&self->random));
    rp_worker_obey (self);
    s_flush_returned (self);
    s_flush (self);
    return next;
}

/*  True if the descriptors will report whatever comes.  */
static bool s_all_armed (const rp_worker_t *self)
{
    for (uint32_t session = 0; session < self->config.count; session++)
        if (!rp_channel_is_armed (self->channels[session]))
            return false;
    return true;
}

int64_t rp_worker_turn (void *owner, int64_t now)
{
    rp_worker_t *self = owner;
    if (!self->started)
        return INT64_MAX;
    self->now = now;
    int command = self->command;
    if (command == RP_WORKER_COMMAND_STOP)
        rp_worker_core_stop (&self->core);
    else if (command == RP_WORKER_COMMAND_DRAIN)
        rp_worker_core_drain (&self->core, now);
    rp_worker_obey (self);
    s_flush (self);

    // Sending may consume the wake-up for a message that came meanwhile, so another pass looks for
    // it.
    int64_t next = s_pass (self);
    for (int pass = 1; pass < S_PASSES && !s_all_armed (self); pass++)
        next = s_pass (self);
    s_announce (self);
    // The next reply may wait (rp_worker_push) without the thread that polls by then knowing of it.
    bool may_wait = !rp_list_is_empty (&self->core.ready) && now - self->answered < RP_PUMP_IDLE_US;
    if (may_wait && next > now + RP_PUMP_IDLE_US)
        next = now + RP_PUMP_IDLE_US;
    return s_all_armed (self) ? next : now;
}

int rp_worker_descriptors (void *owner, int *descriptors)
{
    rp_worker_t *self = owner;
    int count = 0;
    if (!self->started)
        return 0;
    for (uint32_t session = 0; session < self->config.count; session++)
        count += rp_channel_descriptors (self->channels[session], descriptors + count);
    return count;
}
