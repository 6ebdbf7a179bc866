/*  Calls for all workers of a service: the public functions.

    SPDX-License-Identifier: MPL-2.0

    An answer is kept as the reply of a call of its own, which was never a request.
*/

#include "client/client_state.h"
#include "common/io/clock.h"

/*  ---- The call ------------------------------------------------------------------------------- */

static void s_set (rp_call_t *self)
{
    if (!self->exchange.all)
        rp_list_init (&self->answers);
    self->exchange.all = self->streams = true;
}

int rp_call_set_all (rp_call_t *self)
{
    if (self->conversation)
        return RP_USAGE;
    s_set (self);
    return RP_OK;
}

static int s_set_goal (rp_call_t *self, const char *key, uint32_t count)
{
    if (self->conversation || count == 0 || count > RP_ALL_MOST)
        return RP_USAGE;
    int rc = rp_call_put_number (self, key, count);
    if (rc == RP_OK)
        s_set (self);
    return rc;
}

int rp_call_set_first (rp_call_t *self, uint32_t count)
{
    return s_set_goal (self, RP_ALL_FIRST, count);
}

int rp_call_set_quorum (rp_call_t *self, uint32_t count)
{
    return s_set_goal (self, RP_ALL_QUORUM, count);
}

/*  ---- Answers -------------------------------------------------------------------------------- */

static rp_call_t *s_next_answer (rp_call_t *call)
{
    rp_list_node_t *node = rp_list_first (&call->answers);
    if (!node)
        return NULL;
    rp_list_remove (node);
    return RP_CONTAINER (node, rp_call_t, node);
}

static void s_drop_answers (rp_call_t *call)
{
    for (rp_call_t *answer; (answer = s_next_answer (call));)
        rp_call_free (answer);
}

/*  ---- All of it ------------------------------------------------------------------------------ */

/*  With the lock held: waits for the next answer, of which *answer is NULL at the end. True if a signal ended the
    wait.  */
static bool s_wait (rp_client_t *self, rp_call_t *call, rp_call_t **answer)
{
    while (!(*answer = s_next_answer (call)) && !call->done)
        if (rp_client_wait_on (self, call, INT64_MAX) && !call->done)
            return true;
    return false;
}

/*  With the lock held: takes the call back after a signal.  */
static void s_abandon (rp_client_t *self, rp_call_t *call)
{
    rp_client_core_abandon (&self->core, &call->exchange, rp_clock_us ());
    rp_pump_unlock (self->pump);
    s_drop_answers (call);
    rp_reply_release (&call->reply);
    rp_reply_init (&call->reply);
}

/*  With the lock held, which it releases: calls the function with each answer until the call has ended.  */
static int s_run (rp_client_t *self, rp_call_t *call, rp_answer_fn *function, void *arg)
{
    bool enough = false;
    for (;;) {
        rp_call_t *answer;
        if (s_wait (self, call, &answer)) {
            s_abandon (self, call);
            return RP_INTERRUPTED;
        }
        if (!answer) {
            rp_pump_unlock_idle (self->pump);
            return RP_OK;
        }
        rp_pump_unlock_idle (self->pump);
        bool goes_on = enough || function (&answer->reply, arg);
        rp_call_free (answer);
        if (!rp_pump_lock (self->pump))
            return RP_CLOSED; // the function forked, and this is the child
        if (!goes_on) {
            enough = true;
            (void) rp_client_core_cancel (&self->core, call->exchange.id, rp_clock_us ());
        }
    }
}

int rp_client_perform_all (
  rp_client_t *self, rp_call_t **call_p, rp_answer_fn *function, void *arg, rp_reply_t **reply_p)
{
    rp_call_t *call = *call_p;
    *reply_p = NULL;
    if (!call || !function || !call->exchange.all || call->callback || call->exchange.durable
        || call->exchange.keyed || call->exchange.hedged || call->more
        || rp_pump_is_keeper (self->pump))
        return RP_USAGE;
    if (!rp_pump_lock (self->pump))
        return RP_CLOSED;
    call->exchange.attempts = 1; // each worker is asked once
    call->streams = false;
    int rc = rp_client_accept (self, call, true, rp_clock_us ());
    call->streams = true;
    if (rc != RP_OK) {
        rp_pump_unlock_idle (self->pump);
        return rc;
    }
    rc = s_run (self, call, function, arg);
    if (rc != RP_OK)
        return rc;
    *call_p = NULL;
    *reply_p = rp_call_become_reply (call);
    return RP_OK;
}
