/*  Clients: creates, configures and destroys them, submits requests and collects replies.

    SPDX-License-Identifier: MPL-2.0
*/

#include <riposte/client.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/client_state.h"
#include "common/base/units.h"
#include "common/io/clock.h"
#include "common/io/context.h"
#include "common/io/endpoint_list.h"
#include "common/wire/name.h"

#define S_MESSAGES_KEPT 1024u
#define S_MAX_OPEN 1000000u
#define S_RETRY_PERCENT_MAX 1000u

/*  ---- Create, set, destroy ------------------------------------------------------------------- */

static const rp_pump_owner_t s_owner = {
  .turn = rp_client_turn,
  .descriptors = rp_client_descriptors,
  .deliver = rp_client_deliver,
};

/*  Returns 0 or an errno.  */
static int s_make (rp_client_t *self, const char *endpoints)
{
    self->endpoint_text = strdup (endpoints);
    if (!self->endpoint_text)
        return ENOMEM;
    self->core.config.endpoint_count =
      rp_endpoint_list_endpoints (self->endpoint_text, self->endpoints, RP_CLIENT_ENDPOINTS_MAX);
    if (self->core.config.endpoint_count == 0)
        return EINVAL;
    self->context = rp_context_acquire ();
    if (!self->context)
        return errno;
    self->channel = rp_channel_new (self->context, &self->keys);
    if (!self->channel)
        return ENOMEM;
    self->pump = rp_pump_new (&s_owner, self);
    return self->pump ? 0 : errno;
}

static void s_free_rest (rp_client_t *self)
{
    if (self->event_fd >= 0)
        close (self->event_fd);
    rp_curve_forget (&self->keys);
    free (self->endpoint_text);
    free (self);
}

static void s_free (rp_client_t *self)
{
    rp_channel_destroy (&self->channel);
    rp_message_pool_clear (&self->messages);
    rp_client_core_clear (&self->core);
    rp_context_release (self->context);
    s_free_rest (self);
}

rp_client_t *rp_client_new (const char *endpoints)
{
    if (!endpoints) {
        errno = EINVAL;
        return NULL;
    }
    rp_client_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    rp_client_config_t config = {
      .endpoints = self->endpoints,
      .timeout_ms = 5000,
      .heartbeat_ms = 2000,
      .max_open = 10000,
      .retry_percent = 20,
    };
    rp_client_core_init (&self->core, &config, rp_clock_entropy ());
    rp_list_init (&self->ended);
    rp_list_init (&self->callbacks);
    self->messages.largest = S_MESSAGES_KEPT;
    self->timeout_ms = 5000;
    self->attempts = 1;
    self->event_fd = -1;
    rp_endpoint_list_name (self->name, sizeof self->name);

    int error = s_make (self, endpoints);
    if (error) {
        s_free (self);
        errno = error;
        return NULL;
    }
    return self;
}

static rp_call_t *s_pop (rp_list_t *list)
{
    rp_list_node_t *node = rp_list_first (list);
    if (!node)
        return NULL;
    rp_list_remove (node);
    return RP_CONTAINER (node, rp_call_t, node);
}

static void s_free_calls (rp_list_t *list)
{
    for (rp_call_t *call; (call = s_pop (list));)
        rp_call_free (call);
}

/*  In a child of fork(): ends every open request as cancelled, without callbacks and without
    sending anything. A call that a thread of the parent waits for belongs to that thread.  */
static void s_free_inherited (rp_client_t *self)
{
    int64_t now = rp_clock_us ();
    rp_client_core_close (&self->core, now);
    rp_client_order_t order;
    while (rp_client_core_may_order (&self->core)
           && rp_client_core_next_order (&self->core, &order, now)) {
        rp_call_t *call = (rp_call_t *) order.exchange;
        if (order.kind == RP_CLIENT_ENDED && !call->awaited)
            rp_call_free (call);
    }
    s_free_calls (&self->callbacks);
    s_free_calls (&self->ended);
    rp_channel_abandon (&self->channel);
    rp_message_pool_clear (&self->messages);
    rp_client_core_clear (&self->core);
}

/*  Threads and sockets are the parent's, so they are left alone. If a thread of the parent held the
    lock at fork(), all that the lock guards is left too.  */
static void s_destroy_inherited (rp_client_t *self)
{
    if (rp_pump_lock_inherited (self->pump)) {
        s_free_inherited (self);
        rp_pump_unlock_inherited (self->pump);
    }
    rp_pump_destroy (&self->pump);
    s_free_rest (self);
}

void rp_client_destroy (rp_client_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    rp_client_t *self = *self_p;
    *self_p = NULL;
    if (!rp_pump_lock (self->pump)) {
        s_destroy_inherited (self);
        return;
    }
    rp_client_core_close (&self->core, rp_clock_us ());
    rp_pump_unlock (self->pump);

    rp_pump_lock (self->pump);
    while (self->delivering || !rp_list_is_empty (&self->callbacks))
        rp_pump_wait_on (self->pump, &self->callbacks, INT64_MAX);
    rp_pump_unlock_idle (self->pump);
    rp_pump_destroy (&self->pump);
    s_free_calls (&self->ended);
    s_free (self);
}

/*  Sets one value, if it is in range and the client has not started.  */
static int s_set (rp_client_t *self, uint32_t *place, uint32_t value, uint32_t least, uint32_t most)
{
    if (rp_pump_is_inherited (self->pump))
        return RP_CLOSED;
    if (self->core.started || value < least || value > most)
        return RP_USAGE;
    *place = value;
    return RP_OK;
}

int rp_client_set_timeout_ms (rp_client_t *self, uint32_t timeout_ms)
{
    int rc = s_set (self, &self->timeout_ms, timeout_ms, 1, RP_DEADLINE_MAX_MS);
    self->core.config.timeout_ms = self->timeout_ms;
    return rc;
}

int rp_client_set_attempts (rp_client_t *self, uint8_t attempts)
{
    uint32_t value = self->attempts;
    int rc = s_set (self, &value, attempts, 1, RP_ATTEMPTS_MAX);
    self->attempts = (uint8_t) value;
    return rc;
}

int rp_client_set_heartbeat_ms (rp_client_t *self, uint32_t heartbeat_ms)
{
    return s_set (self, &self->core.config.heartbeat_ms, heartbeat_ms, RP_HEARTBEAT_MIN_MS,
      RP_HEARTBEAT_MAX_MS);
}

int rp_client_set_max_open (rp_client_t *self, uint32_t max_open)
{
    return s_set (self, &self->core.config.max_open, max_open, 1, S_MAX_OPEN);
}

int rp_client_set_retry_budget (rp_client_t *self, uint32_t percent)
{
    return s_set (self, &self->core.config.retry_percent, percent, 0, S_RETRY_PERCENT_MAX);
}

int rp_client_set_name (rp_client_t *self, const char *name)
{
    size_t size = name ? strlen (name) : 0;
    if (rp_pump_is_inherited (self->pump))
        return RP_CLOSED;
    if (self->core.started || !name || size > RP_PEER_NAME_MAX || !rp_name_is_valid (name, size))
        return RP_USAGE;
    memcpy (self->name, name, size + 1);
    return RP_OK;
}

int rp_client_set_interruptible (rp_client_t *self, bool interruptible)
{
    uint32_t value = self->interruptible;
    int rc = s_set (self, &value, interruptible, 0, 1);
    self->interruptible = value != 0;
    return rc;
}

int rp_client_set_spread (rp_client_t *self, bool spread)
{
    uint32_t value = self->core.config.spread;
    int rc = s_set (self, &value, spread, 0, 1);
    self->core.config.spread = value != 0;
    return rc;
}

static int s_may_set (const rp_client_t *self)
{
    if (rp_pump_is_inherited (self->pump))
        return RP_CLOSED;
    return self->core.started ? RP_USAGE : RP_OK;
}

int rp_client_set_key_file (rp_client_t *self, const char *path)
{
    int rc = s_may_set (self);
    return rc == RP_OK ? rp_curve_set_key_file (&self->keys, path) : rc;
}

int rp_client_set_server_key (rp_client_t *self, const char *key)
{
    int rc = s_may_set (self);
    return rc == RP_OK ? rp_curve_set_server_key (&self->keys, key) : rc;
}

int rp_client_set_keys (
  rp_client_t *self, const char *public_key, const char *secret_key, const char *server_key)
{
    int rc = s_may_set (self);
    return rc == RP_OK ? rp_curve_set_keys (&self->keys, public_key, secret_key, server_key) : rc;
}

/*  ---- The connection ------------------------------------------------------------------------- */

/*  With the lock held: what the first submit or connect needs beside the core. RP_OK, RP_USAGE,
    RP_SYSTEM.  */
static int s_prepare (rp_client_t *self)
{
    return self->core.started ? RP_OK : rp_curve_complete (&self->keys);
}

bool rp_client_wait_on (rp_client_t *self, const void *subject, int64_t until)
{
    return rp_pump_wait_on (self->pump, subject, until) != 0 && self->interruptible;
}

int rp_client_connect (rp_client_t *self, uint32_t timeout_ms)
{
    if (rp_pump_is_keeper (self->pump))
        return RP_USAGE;
    int64_t now = rp_clock_us ();
    int64_t until = now + timeout_ms * RP_US_PER_MS;
    int rc = RP_OK;
    bool waited = false;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    rc = s_prepare (self);
    if (rc == RP_OK)
        rp_client_core_start (&self->core, now);
    uint64_t denials = self->core.denials;
    while (rc == RP_OK && self->core.link.state != RP_LINK_UP) {
        if (self->core.link.state == RP_LINK_REFUSED)
            rc = (int) self->core.refusal;
        else if (self->core.denials != denials)
            rc = RP_DENIED;
        else if (waited && rp_clock_us () >= until)
            rc = rp_link_is_shut_out (&self->core.link) ? RP_DENIED : RP_NO_BROKER;
        else if (rp_client_wait_on (self, &self->core.link, until))
            rc = RP_INTERRUPTED;
        waited = true;
    }
    rp_pump_unlock_idle (self->pump);
    return rc;
}

const char *rp_client_last_error (rp_client_t *self, char *buffer, size_t size)
{
    if (!rp_pump_lock (self->pump)) {
        if (size > 0)
            snprintf (buffer, size, "%s", rp_endpoint_list_inherited);
        return buffer;
    }
    if (size > 0)
        snprintf (buffer, size, "%s",
          self->keys.problem[0] ? self->keys.problem : rp_explain_trouble (&self->core));
    rp_pump_unlock_idle (self->pump);
    return buffer;
}

const char *rp_client_broker (rp_client_t *self, char *buffer, size_t size)
{
    rp_pump_lock (self->pump);
    const rp_link_t *link = &self->core.link;
    if (size > 0)
        snprintf (buffer, size, "%s", link->state == RP_LINK_UP ? rp_link_endpoint (link) : "");
    rp_pump_unlock_idle (self->pump);
    return buffer;
}

/*  ---- Requests ------------------------------------------------------------------------------- */

int rp_client_accept (rp_client_t *self, rp_call_t *call, bool awaited, int64_t now)
{
    if (!call || (call->conversation && call->conversation->client != self)
        || (call->streams && !call->exchange.stream))
        return RP_USAGE;
    int rc = s_prepare (self);
    if (rc != RP_OK)
        return rc;
    if (!call->exchange.timeout_ms)
        call->exchange.timeout_ms =
          call->exchange.stream && !call->exchange.all ? RP_DEADLINE_MAX_MS : self->timeout_ms;
    if (!call->exchange.attempts)
        call->exchange.attempts = call->exchange.durable ? RP_JOB_ATTEMPTS : self->attempts;
    call->awaited = awaited;
    call->done = false;
    return rp_client_core_submit (&self->core, &call->exchange, now);
}

/*  Gives a call back to its caller after a signal ended the wait. Releases the lock.  */
static void s_abandon (rp_client_t *self, rp_call_t *call)
{
    rp_client_core_abandon (&self->core, &call->exchange, rp_clock_us ());
    rp_pump_unlock (self->pump);
    rp_reply_release (&call->reply);
    rp_reply_init (&call->reply);
}

int rp_client_perform (rp_client_t *self, rp_call_t **call_p, rp_reply_t **reply_p)
{
    rp_call_t *call = *call_p;
    *reply_p = NULL;
    if (rp_pump_is_keeper (self->pump))
        return RP_USAGE;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    int rc = rp_client_accept (self, call, true, rp_clock_us ());
    if (rc != RP_OK) {
        rp_pump_unlock_idle (self->pump);
        return rc;
    }
    while (!call->done)
        if (rp_client_wait_on (self, call, INT64_MAX) && !call->done) {
            s_abandon (self, call);
            return RP_INTERRUPTED;
        }
    rp_pump_unlock_idle (self->pump);
    *call_p = NULL;
    *reply_p = rp_call_become_reply (call);
    return RP_OK;
}

int rp_client_call (
  rp_client_t *self, const char *service, const void *body, size_t size, rp_reply_t **reply_p)
{
    *reply_p = NULL;
    rp_call_t *call = rp_call_new (service, body, size);
    if (!call)
        return errno == EINVAL ? RP_USAGE : RP_NO_MEMORY;
    int rc = rp_client_perform (self, &call, reply_p);
    rp_call_destroy (&call);
    return rc;
}

int rp_conversation_call (
  rp_conversation_t *self, const void *body, size_t size, rp_reply_t **reply_p)
{
    *reply_p = NULL;
    rp_call_t *call = rp_call_new_in (self, body, size);
    if (!call)
        return errno == EINVAL ? RP_USAGE : RP_NO_MEMORY;
    int rc = rp_client_perform (self->client, &call, reply_p);
    rp_call_destroy (&call);
    return rc;
}

/*  Sends what was submitted, unless it waits for more, and releases the lock.  */
static void s_unlock_submitted (rp_client_t *self, bool more, int64_t now)
{
    if (self->core.link.state != RP_LINK_UP)
        rp_pump_unlock (self->pump);
    else if (!self->holds && rp_client_push (self, more, now))
        rp_pump_unlock_sent (self->pump);
    else
        rp_pump_unlock_idle (self->pump);
}

int rp_client_submit (rp_client_t *self, rp_call_t **call_p, uint64_t *id)
{
    rp_call_t *call = *call_p;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    int64_t now = rp_clock_us ();
    int rc = rp_client_accept (self, call, false, now);
    if (rc != RP_OK) {
        rp_pump_unlock_idle (self->pump);
        return rc;
    }
    *call_p = NULL;
    if (id)
        *id = call->exchange.id;
    if (call->callback)
        rp_pump_set_background (self->pump);
    else
        self->uncollected++;
    s_unlock_submitted (self, !rp_list_is_empty (&self->ended), now);
    return RP_OK;
}

int rp_client_hold (rp_client_t *self)
{
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    self->holds = true;
    rp_pump_unlock_idle (self->pump);
    return RP_OK;
}

int rp_client_flush (rp_client_t *self)
{
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    self->holds = false;
    s_unlock_submitted (self, false, rp_clock_us ());
    return RP_OK;
}

/*  With the lock held: takes the next ended call; NULL if there is none.  */
static rp_call_t *s_take_ended (rp_client_t *self)
{
    rp_call_t *call = s_pop (&self->ended);
    if (!call)
        return NULL;
    self->uncollected--;
    eventfd_t count;
    if (rp_list_is_empty (&self->ended) && self->event_fd >= 0)
        eventfd_read (self->event_fd, &count);
    return call;
}

int rp_client_collect (rp_client_t *self, uint32_t timeout_ms, rp_reply_t **reply_p)
{
    *reply_p = NULL;
    if (rp_pump_is_keeper (self->pump) && timeout_ms > 0)
        return RP_USAGE;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    rp_call_t *call = s_take_ended (self);
    int64_t until = call ? 0 : rp_clock_us () + timeout_ms * RP_US_PER_MS;
    int rc = RP_OK;
    for (bool waited = false; !call && rc == RP_OK; waited = true) {
        if (self->uncollected == 0)
            rc = RP_CLOSED;
        else if (waited && rp_clock_us () >= until)
            rc = RP_TIMED_OUT;
        else if (rp_client_wait_on (self, &self->ended, until))
            rc = RP_INTERRUPTED;
        else
            call = s_take_ended (self);
    }
    rp_pump_unlock_idle (self->pump);
    if (call)
        *reply_p = rp_call_become_reply (call);
    return rc;
}

int rp_client_cancel (rp_client_t *self, uint64_t id)
{
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    bool found = rp_client_core_cancel (&self->core, id, rp_clock_us ());
    rp_pump_unlock (self->pump);
    return found ? RP_OK : RP_USAGE;
}

int rp_client_fd (rp_client_t *self)
{
    if (!rp_pump_lock (self->pump))
        return -1;
    if (self->event_fd < 0) {
        self->event_fd =
          eventfd (rp_list_is_empty (&self->ended) ? 0 : 1, EFD_NONBLOCK | EFD_CLOEXEC);
        if (self->event_fd >= 0)
            rp_pump_set_background (self->pump);
    }
    int descriptor = self->event_fd;
    rp_pump_unlock (self->pump);
    return descriptor;
}

size_t rp_client_open (rp_client_t *self)
{
    if (!rp_pump_lock (self->pump))
        return 0;
    size_t count = self->core.open_count + self->undelivered;
    rp_pump_unlock_idle (self->pump);
    return count;
}
