/*  Tasks: the functions with which an application reads a request and learns of its cancellation,
    and the one that frees it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdlib.h>
#include <string.h>

#include "common/io/clock.h"
#include "common/wire/headers.h"
#include "worker/worker_state.h"

const char *rp_task_service (const rp_task_t *self)
{
    return self->worker->service;
}

const void *rp_task_body (const rp_task_t *self)
{
    return self->body;
}

size_t rp_task_size (const rp_task_t *self)
{
    return self->size;
}

void rp_task_each_header (const rp_task_t *self, rp_header_fn *function, void *arg)
{
    const char *key;
    const char *value;
    size_t offset = 0;
    while (rp_headers_next_strings (self->headers, self->headers_size, &offset, &key, &value))
        function (key, value, arg);
}

const char *rp_task_header (const rp_task_t *self, const char *wanted)
{
    return rp_headers_find_string (self->headers, self->headers_size, wanted);
}

const char *rp_task_key (const rp_task_t *self)
{
    return rp_task_header (self, RP_JOB_KEY);
}

bool rp_task_is_durable (const rp_task_t *self)
{
    const char *durable = rp_task_header (self, RP_JOB_DURABLE);
    return durable && strcmp (durable, "1") == 0;
}

uint32_t rp_task_time_left_ms (const rp_task_t *self)
{
    int64_t left = (self->work.deadline - rp_clock_us ()) / 1000;
    return left > 0 ? (uint32_t) left : 0;
}

uint32_t rp_task_attempt (const rp_task_t *self)
{
    return self->attempt;
}

uint64_t rp_task_conversation (const rp_task_t *self)
{
    return self->conversation;
}

uint64_t rp_task_id (const rp_task_t *self)
{
    return self->id;
}

bool rp_task_cancelled (const rp_task_t *self)
{
    return self->work.cancelled || rp_clock_us () >= self->work.deadline;
}

bool rp_task_join_frames (rp_task_t *self)
{
    uint32_t count = self->message->count;
    if (count == 2 && self->size == 0) {
        zmq_msg_t *frame = rp_message_frame (self->message, 1);
        self->body = zmq_msg_data (frame);
        self->size = zmq_msg_size (frame);
        return true;
    }
    size_t total = self->size;
    for (uint32_t index = 1; index < count; index++)
        total += zmq_msg_size (rp_message_frame (self->message, index));
    char *joined = malloc (total ? total : 1);
    if (!joined)
        return false;
    char *at = joined;
    if (self->size)
        memcpy (at, self->body, self->size);
    at += self->size;
    for (uint32_t index = 1; index < count; index++) {
        zmq_msg_t *frame = rp_message_frame (self->message, index);
        if (zmq_msg_size (frame))
            memcpy (at, zmq_msg_data (frame), zmq_msg_size (frame));
        at += zmq_msg_size (frame);
    }
    self->joined = joined;
    self->body = joined;
    self->size = total;
    return true;
}

bool rp_task_need_stream (rp_task_t *self)
{
    if (!self->stream && (self->stream = calloc (1, sizeof *self->stream)))
        rp_list_init (&self->stream->parts);
    return self->stream != NULL;
}

static void s_free_stream (rp_task_t *self)
{
    rp_message_pool_t *messages = &self->worker->messages;
    rp_part_clear (messages, &self->stream->parts);
    rp_part_destroy (messages, &self->stream->reading);
    free (self->stream->kept);
    free (self->stream);
    self->stream = NULL;
}

void rp_task_free (rp_task_t **self_p)
{
    rp_task_t *self = *self_p;
    rp_worker_t *worker = self->worker;
    *self_p = NULL;
    if (self->message)
        rp_message_destroy (&worker->messages, &self->message);
    if (self->joined)
        free (self->joined);
    self->joined = NULL;
    if (self->stream)
        s_free_stream (self);
    self->next_free = worker->free_tasks;
    worker->free_tasks = self;
}
