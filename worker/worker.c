/*  Workers: creates, configures, drains, stops and destroys them, and tells their last error.

    SPDX-License-Identifier: MPL-2.0
*/

#include <riposte/worker.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/endpoint_list.h"
#include "common/wire/address.h"
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
    self->ready = UINT32_MAX;
    self->event_fd = -1;
    self->messages.largest = S_MESSAGES_KEPT;

    self->config.count = (uint32_t) rp_endpoint_list_endpoints (
      self->endpoint_text, self->endpoints, RP_WORKER_ENDPOINTS_MAX);
    int error = self->config.count ? 0 : EINVAL;
    for (uint32_t index = 0; index < self->config.count; index++)
        if (self->endpoints[index] && rp_address_is_srv (self->endpoints[index]))
            self->config.count = RP_WORKER_ENDPOINTS_MAX; // the rest is for brokers that are found
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

/*  True if handler threads that were left behind still run: the last of them frees the worker.  */
static bool s_abandon (rp_worker_t *self)
{
    rp_pump_lock (self->pump);
    bool abandoned = self->left_behind > 0;
    void *context = self->context;
    self->abandoned = abandoned;
    if (abandoned)
        self->context = NULL;
    rp_pump_unlock_idle (self->pump);
    if (abandoned)
        rp_context_release (context); // its sockets are closed; BYE goes out now
    return abandoned;
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

static void s_free_rest (rp_worker_t *self)
{
    if (self->event_fd >= 0)
        close (self->event_fd);
    rp_curve_forget (&self->keys);
    free (self->endpoint_text);
    free (self);
}

/*  In a child of fork(): the threads and sockets belong to the parent. What a thread was changing
    at the time of fork() cannot be freed.  */
static void s_destroy_inherited (rp_worker_t *self)
{
    if (rp_pump_lock_inherited (self->pump)) {
        s_free_contents (self, rp_channel_abandon);
        rp_pump_unlock_inherited (self->pump);
    }
    rp_pump_destroy (&self->pump);
    s_free_rest (self);
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
    if (pump && s_abandon (self))
        return;
    rp_pump_destroy (&pump);
    s_free_contents (self, rp_channel_destroy);
    rp_context_release (self->context);
    s_free_rest (self);
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

int rp_worker_set_streams (rp_worker_t *self, bool streams)
{
    int status = s_may_set (self);
    if (status == RP_OK)
        self->config.streams = streams;
    return status;
}

int rp_worker_set_declines (rp_worker_t *self, bool declines)
{
    int status = s_may_set (self);
    if (status == RP_OK)
        self->config.declines = declines;
    return status;
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

int rp_worker_set_key_file (rp_worker_t *self, const char *path)
{
    int status = s_may_set (self);
    return status == RP_OK ? rp_curve_set_key_file (&self->keys, path) : status;
}

int rp_worker_set_server_key (rp_worker_t *self, const char *key)
{
    int status = s_may_set (self);
    return status == RP_OK ? rp_curve_set_server_key (&self->keys, key) : status;
}

int rp_worker_set_keys (
  rp_worker_t *self, const char *public_key, const char *secret_key, const char *server_key)
{
    int status = s_may_set (self);
    if (status != RP_OK)
        return status;
    return rp_curve_set_keys (&self->keys, public_key, secret_key, server_key);
}

/*  ---- From anywhere -------------------------------------------------------------------------- */

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

void rp_worker_set_ready (rp_worker_t *self, uint32_t ready)
{
    rp_pump_lock (self->pump);
    self->ready = ready;
    if (self->started) {
        rp_worker_core_set_ready (&self->core, ready, rp_clock_us ());
        rp_worker_obey (self);
    }
    rp_pump_unlock (self->pump);
}

const char *rp_worker_last_error (rp_worker_t *self, char *buffer, size_t size)
{
    if (!rp_pump_lock (self->pump)) {
        if (size > 0)
            snprintf (buffer, size, "%s", rp_endpoint_list_inherited);
        return buffer;
    }
    if (size > 0)
        snprintf (
          buffer, size, "%s", self->keys.problem[0] ? self->keys.problem : self->core.error);
    rp_pump_unlock_idle (self->pump);
    return buffer;
}
