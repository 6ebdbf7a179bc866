/*  Streams: the public functions for requests whose bodies come in parts, or which all workers answer.

    SPDX-License-Identifier: MPL-2.0

    A stream has one call, which becomes its reply in place. Parts that come are put into its list by the client's
    turn (client_turn.c); the application's read takes them out, and grants more. An answer to a call for all workers is
    kept in the list of the call, as the reply of a call of its own, which was never a request.
*/

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/client_state.h"
#include "common/base/units.h"
#include "common/io/clock.h"

#define S_WINDOW_MAX 1073741824u

/*  ---- The call ------------------------------------------------------------------------------- */

int rp_call_set_stream (rp_call_t *self, uint32_t window_bytes, uint32_t idle_ms)
{
    if ((window_bytes && window_bytes < RP_STREAM_WINDOW_MIN) || window_bytes > S_WINDOW_MAX
        || idle_ms > RP_DEADLINE_MAX_MS)
        return RP_USAGE;
    int rc = rp_call_put_number (self, RP_STREAM_IDLE, idle_ms);
    if (rc != RP_OK)
        return rc;
    self->window = window_bytes;
    self->streams = true;
    return RP_OK;
}

void rp_call_set_more (rp_call_t *self, bool more)
{
    self->more = more;
    self->streams |= more;
}

/*  ---- Begin and end -------------------------------------------------------------------------- */

static void s_free (rp_stream_t *self)
{
    if (self->event_fd >= 0)
        close (self->event_fd);
    free (self);
}

/*  Gives a call a stream. NULL when out of memory.  */
static rp_stream_t *s_new (rp_client_t *client, rp_call_t *call)
{
    rp_stream_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    if (!call->exchange.all) { // answers are not granted
        self->flows.window = self->stated = call->window ? call->window : RP_FLOW_WINDOW;
        self->flows.most = call->window ? call->window : RP_FLOW_WINDOW_MOST;
    }
    self->flows.writes = call->more;
    self->client = client;
    self->call = call;
    self->event_fd = -1;
    rp_list_init (&self->parts);
    call->exchange.stream = &self->flows;
    return self;
}

/*  The call has no stream any more.  */
static void s_detach (rp_stream_t *self)
{
    self->call->exchange.stream = NULL;
    s_free (self);
}

int rp_client_stream (rp_client_t *self, rp_call_t **call_p, rp_stream_t **stream_p)
{
    rp_call_t *call = *call_p;
    *stream_p = NULL;
    if (!call || call->callback || call->exchange.durable || call->exchange.keyed
        || call->exchange.hedged || (call->exchange.all && call->more))
        return RP_USAGE;
    int rc = RP_OK;
    if (call->exchange.all)
        call->exchange.attempts = 1; // each worker is asked once
    else
        rc =
          rp_call_put_number (call, RP_STREAM_WINDOW, call->window ? call->window : RP_FLOW_WINDOW);
    if (rc != RP_OK)
        return rc;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    rp_stream_t *stream = s_new (self, call);
    rc = stream ? rp_client_accept (self, call, true, rp_clock_us ()) : RP_NO_MEMORY;
    if (rc == RP_OK) {
        *stream_p = stream;
        *call_p = NULL;
    }
    else if (stream)
        s_detach (stream);
    rp_pump_unlock (self->pump);
    return rc;
}

/*  Takes the next answer of a worker. NULL: there is none now.  */
static rp_reply_t *s_next_answer (rp_call_t *call)
{
    rp_list_node_t *node = call->exchange.all ? rp_list_first (&call->answers) : NULL;
    if (!node)
        return NULL;
    rp_list_remove (node);
    return &RP_CONTAINER (node, rp_call_t, node)->reply;
}

/*  With the lock held: frees parts and answers, and ends the request if it is open. Its call is in nobody's hands then.  */
static void s_close (rp_stream_t *self)
{
    rp_client_t *client = self->client;
    if (!self->call->done)
        rp_client_core_abandon (&client->core, &self->call->exchange, rp_clock_us ());
    for (rp_reply_t *answer; (answer = s_next_answer (self->call));)
        rp_reply_destroy (&answer);
    rp_part_clear (&client->messages, &self->parts);
    rp_part_destroy (&client->messages, &self->reading);
}

/*  In a child of fork() an open request is the parent's, and the client's memory has it still; parts are in the memory
    of a lock that a thread of the parent may have held.  */
static void s_destroy_inherited (rp_stream_t *self)
{
    if (self->call->done)
        rp_call_free (self->call);
    else
        self->call->exchange.stream = NULL;
    s_free (self);
}

void rp_stream_destroy (rp_stream_t **self_p)
{
    if (!self_p || !*self_p)
        return;
    rp_stream_t *self = *self_p;
    *self_p = NULL;
    if (!rp_pump_lock (self->client->pump)) {
        s_destroy_inherited (self);
        return;
    }
    s_close (self);
    rp_pump_unlock (self->client->pump); // the turn takes the order that ends it
    rp_call_free (self->call);
    s_free (self);
}

int rp_stream_cancel (rp_stream_t *self)
{
    return rp_client_cancel (self->client, rp_stream_id (self));
}

uint64_t rp_stream_id (const rp_stream_t *self)
{
    return self->call->exchange.id;
}

const rp_reply_t *rp_stream_reply (rp_stream_t *self)
{
    if (!rp_pump_lock (self->client->pump))
        return NULL;
    bool done = self->call->done;
    rp_pump_unlock_idle (self->client->pump);
    return done ? &self->call->reply : NULL;
}

int rp_stream_fd (rp_stream_t *self)
{
    rp_client_t *client = self->client;
    if (!rp_pump_lock (client->pump))
        return -1;
    if (self->event_fd < 0) {
        self->event_fd = eventfd (1, EFD_NONBLOCK | EFD_CLOEXEC); // what came already
        if (self->event_fd >= 0)
            rp_pump_set_background (client->pump);
    }
    int descriptor = self->event_fd;
    rp_pump_unlock (client->pump);
    return descriptor;
}

/*  ---- Reading -------------------------------------------------------------------------------- */

/*  What is read of a stream: a part, or an answer.  */
typedef struct {
    const void *data;
    size_t size;
    rp_reply_t *answer;
} s_taken_t;

/*  With the lock held: takes what is there. RP_TIMED_OUT if nothing is.  */
static int s_take (rp_stream_t *self, s_taken_t *taken)
{
    const rp_reply_t *reply = &self->call->reply;
    if (self->call->exchange.all) {
        taken->answer = s_next_answer (self->call);
        return taken->answer ? RP_OK : self->call->done ? RP_CLOSED : RP_TIMED_OUT;
    }
    rp_part_t *part = self->reading = rp_part_take (&self->parts);
    if (part) {
        taken->data = part->body;
        taken->size = part->size;
        rp_client_core_took (
          &self->client->core, &self->call->exchange, part->weight, rp_clock_us ());
        return RP_OK;
    }
    if (!self->call->done)
        return RP_TIMED_OUT;
    if (self->lost)
        return RP_NO_MEMORY;
    if (self->finished || reply->status != RP_OK || reply->size == 0)
        return RP_CLOSED;
    self->finished = true;
    taken->data = reply->body;
    taken->size = reply->size;
    return RP_OK;
}

static int s_read (rp_stream_t *self, uint32_t timeout_ms, s_taken_t *taken)
{
    rp_client_t *client = self->client;
    if (rp_pump_is_keeper (client->pump) && timeout_ms > 0)
        return RP_USAGE;
    if (!rp_pump_lock (client->pump))
        return RP_CLOSED;
    rp_part_destroy (&client->messages, &self->reading);
    int rc = s_take (self, taken);
    int64_t until = rc == RP_TIMED_OUT ? rp_clock_us () + timeout_ms * RP_US_PER_MS : 0;
    for (bool waited = false; rc == RP_TIMED_OUT; waited = true) {
        eventfd_t count;
        if (waited && rp_clock_us () >= until) {
            if (self->event_fd >= 0)
                (void) eventfd_read (self->event_fd, &count);
            break;
        }
        if (rp_client_wait_on (client, self->call, until) && !self->call->done) {
            rc = RP_INTERRUPTED;
            break;
        }
        rc = s_take (self, taken);
    }
    if (self->flows.grants)
        rp_pump_unlock (client->pump); // sends GRANT
    else
        rp_pump_unlock_idle (client->pump);
    return rc;
}

int rp_stream_read (rp_stream_t *self, uint32_t timeout_ms, const void **data, size_t *size)
{
    s_taken_t taken = {0};
    int rc = self->call->exchange.all ? RP_USAGE : s_read (self, timeout_ms, &taken);
    *data = taken.data;
    *size = taken.size;
    return rc;
}

int rp_stream_read_answer (rp_stream_t *self, uint32_t timeout_ms, rp_reply_t **answer_p)
{
    s_taken_t taken = {0};
    int rc = self->call->exchange.all ? s_read (self, timeout_ms, &taken) : RP_USAGE;
    *answer_p = taken.answer;
    return rc;
}

/*  ---- Writing -------------------------------------------------------------------------------- */

/*  With the lock held: sends a PART. Without it the body would have a hole, so a failure cancels the request. RP_OK
    also if the connection broke, which ends the request in any case.  */
static int s_send (rp_stream_t *self, rp_head_t *head, const void *data, size_t size, int64_t now)
{
    rp_client_t *client = self->client;
    if (rp_part_send (client->channel, &client->messages, head, data, size) == 0)
        return RP_OK;
    int reason = errno;
    rp_client_core_cancel (&client->core, self->call->exchange.id, now);
    return reason == ENOMEM ? RP_NO_MEMORY : RP_OK;
}

/*  With the lock held: writes what can be written now of the rest of a body, or (data is NULL) its end. RP_TIMED_OUT
    if more is left.  */
static int s_write (rp_stream_t *self, const char *data, size_t size, size_t *written)
{
    rp_client_core_t *core = &self->client->core;
    rp_exchange_t *exchange = &self->call->exchange;
    rp_head_t head;
    if (self->call->done)
        return RP_CLOSED;
    int64_t now = rp_clock_us ();
    if (!data)
        return rp_client_core_write_end (core, exchange, &head, now)
                 ? s_send (self, &head, NULL, 0, now)
                 : RP_TIMED_OUT;
    while (*written < size) {
        size_t piece = rp_client_core_write (core, exchange, size - *written, &head, now);
        if (piece == 0)
            return RP_TIMED_OUT;
        int rc = s_send (self, &head, data + *written, piece, now);
        if (rc != RP_OK)
            return rc;
        *written += piece;
    }
    return RP_OK;
}

static int s_write_within (
  rp_stream_t *self, const char *data, size_t size, uint32_t timeout_ms, size_t *written)
{
    rp_client_t *client = self->client;
    if (!self->flows.writes || (rp_pump_is_keeper (client->pump) && timeout_ms > 0))
        return RP_USAGE;
    if (!rp_pump_lock (client->pump))
        return RP_CLOSED;
    int64_t until = rp_clock_us () + timeout_ms * RP_US_PER_MS;
    int rc = self->flows.written ? RP_USAGE : s_write (self, data, size, written);
    for (bool waited = false; rc == RP_TIMED_OUT; waited = true) {
        if (waited && rp_clock_us () >= until)
            break;
        if (rp_client_wait_on (client, self->call, until)) {
            rc = RP_INTERRUPTED;
            break;
        }
        rc = s_write (self, data, size, written);
    }
    rp_pump_unlock (client->pump); // sends what was written
    return rc;
}

int rp_stream_write (
  rp_stream_t *self, const void *data, size_t size, uint32_t timeout_ms, size_t *written)
{
    size_t own = 0;
    size_t *count = written ? written : &own;
    *count = 0;
    if (size == 0)
        return RP_OK;
    return data ? s_write_within (self, data, size, timeout_ms, count) : RP_USAGE;
}

int rp_stream_write_end (rp_stream_t *self, uint32_t timeout_ms)
{
    return s_write_within (self, NULL, 0, timeout_ms, NULL);
}

/*  ---- All of it -------------------------------------------------------------------------------- */

/*  A call that did not end is its caller's again.  */
static void s_reset (rp_call_t *call)
{
    call->done = false;
    rp_reply_release (&call->reply);
    rp_reply_init (&call->reply);
}

/*  A stream was read until a read returned rc: its call becomes the reply, or is its caller's again.  */
static int s_finish (rp_stream_t *stream, int rc, rp_call_t **call_p, rp_reply_t **reply_p)
{
    if (!rp_pump_lock (stream->client->pump)) {
        rp_stream_destroy (&stream);
        return RP_CLOSED; // the function forked, and this is the child
    }
    rp_call_t *call = stream->call;
    s_close (stream);
    rp_pump_unlock (stream->client->pump);
    if (rc == RP_CLOSED) {
        *reply_p = rp_call_become_reply (call);
        rc = RP_OK;
    }
    else
        s_reset (*call_p = call);
    s_detach (stream);
    return rc;
}

int rp_client_perform_parts (
  rp_client_t *self, rp_call_t **call_p, rp_part_fn *function, void *arg, rp_reply_t **reply_p)
{
    rp_stream_t *stream;
    const void *data;
    size_t size;
    *reply_p = NULL;
    if (!function || rp_pump_is_keeper (self->pump)
        || (*call_p && ((*call_p)->more || (*call_p)->exchange.all)))
        return RP_USAGE;
    int rc = rp_client_stream (self, call_p, &stream);
    if (rc != RP_OK)
        return rc;
    bool enough = false;
    do {
        rc = rp_stream_read (stream, RP_DEADLINE_MAX_MS, &data, &size);
        if (rc == RP_OK && !enough && !function (data, size, arg)) {
            enough = true;
            (void) rp_stream_cancel (stream); // fails if it has just ended
        }
    } while (rc == RP_OK || rc == RP_TIMED_OUT);
    return s_finish (stream, rc, call_p, reply_p);
}

int rp_client_perform_all (
  rp_client_t *self, rp_call_t **call_p, rp_answer_fn *function, void *arg, rp_reply_t **reply_p)
{
    rp_stream_t *stream;
    rp_reply_t *answer;
    *reply_p = NULL;
    if (!function || rp_pump_is_keeper (self->pump) || !*call_p || !(*call_p)->exchange.all)
        return RP_USAGE;
    int rc = rp_client_stream (self, call_p, &stream);
    if (rc != RP_OK)
        return rc;
    bool enough = false;
    do {
        rc = rp_stream_read_answer (stream, RP_DEADLINE_MAX_MS, &answer);
        if (rc == RP_OK && !enough && !function (answer, arg)) {
            enough = true;
            (void) rp_stream_cancel (stream); // fails if it has just ended
        }
        rp_reply_destroy (&answer);
    } while (rc == RP_OK || rc == RP_TIMED_OUT);
    return s_finish (stream, rc, call_p, reply_p);
}
