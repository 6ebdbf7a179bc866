/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/works.h"

#include "worker/conversations.h"

/*  From row to column: allowed.  */
const bool rp_work_allowed[RP_WORK_STATE_COUNT][RP_WORK_STATE_COUNT] = {
  [RP_WORK_IDLE] = {[RP_WORK_READY] = true, [RP_WORK_RETURNED] = true},
  [RP_WORK_READY] = {[RP_WORK_OUT] = true, [RP_WORK_RETURNED] = true},
  [RP_WORK_OUT] = {[RP_WORK_RETURNED] = true, [RP_WORK_IDLE] = true},
  [RP_WORK_RETURNED] = {[RP_WORK_IDLE] = true},
};

static rp_work_t *s_work_of_held (rp_list_node_t *node)
{
    return (rp_work_t *) ((char *) node - offsetof (rp_work_t, held));
}

static uint64_t s_hash (const rp_worker_core_t *self, uint32_t session, uint64_t token)
{
    return rp_hash_pair (session, token, self->config.seed);
}

static rp_work_t *s_find (
  const rp_worker_core_t *self, uint64_t hash, uint32_t session, uint64_t token)
{
    rp_table_cursor_t cursor;
    rp_work_t *work = rp_table_first (&self->works, hash, &cursor);
    while (work && (work->token != token || work->session != session))
        work = rp_table_next (&self->works, hash, &cursor);
    return work;
}

void rp_worker_works_return (
  rp_worker_core_t *self, rp_work_t *work, rp_status_t status, const char *text)
{
    rp_work_set_state (self, work, RP_WORK_RETURNED);
    work->status = status;
    work->text = text;
    rp_list_append (&self->returned, &work->queue);
}

static void s_release (rp_worker_core_t *self, rp_work_t *work)
{
    if (!work->is_held)
        return;
    rp_table_remove (&self->works, work->hash, work);
    rp_list_remove (&work->held);
    self->sessions[work->session].held_count--;
    work->is_held = false;
}

/*  Takes a place in the window. NULL, or why the request is refused.  */
static const char *s_hold (rp_worker_core_t *self, rp_worker_session_t *session, rp_work_t *work)
{
    if (self->stopping)
        return "the worker stops";
    if (session->held_count >= session->slots)
        return "over the window of this worker";
    work->hash = s_hash (self, work->session, work->token);
    if (s_find (self, work->hash, work->session, work->token))
        return "this worker holds a request with this id";
    if (!rp_table_insert (&self->works, work->hash, work))
        return "the worker is out of memory";
    rp_list_append (&session->held, &work->held);
    session->held_count++;
    self->window_control.full |= session->held_count >= session->window;
    work->is_held = true;
    return NULL;
}

bool rp_worker_core_request (rp_worker_core_t *self,
  uint32_t index,
  const rp_head_t *head,
  rp_work_t *work,
  const char *why_not,
  int64_t now)
{
    rp_worker_session_t *session = &self->sessions[index];
    rp_link_heard (&session->link, now);
    if (session->link.state != RP_LINK_UP) {
        self->ignored++;
        return false;
    }
    *work = (rp_work_t){
      .token = head->id,
      .epoch = session->epoch,
      .deadline = now + (int64_t) head->deadline_ms * 1000,
      .session = index,
    };
    if (!why_not)
        why_not = s_hold (self, session, work);
    if (!why_not && head->conversation
        && !rp_worker_conversations_join (self, work, head->conversation)) {
        s_release (self, work);
        why_not = "the worker is out of memory";
    }
    if (why_not) {
        rp_worker_works_return (self, work, RP_WORKER_LOST, why_not);
        return true;
    }
    rp_work_set_state (self, work, RP_WORK_READY);
    rp_list_append (&self->ready, &work->queue);
    return true;
}

rp_work_t *rp_worker_core_take (rp_worker_core_t *self, int64_t now)
{
    for (rp_list_node_t *node; (node = rp_list_first (&self->ready)) != NULL;) {
        rp_work_t *work = (rp_work_t *) node;
        rp_list_remove (node);
        if (now >= work->deadline) {
            rp_worker_works_return (
              self, work, RP_APP_ERROR, "its deadline passed before it began");
            continue;
        }
        rp_work_set_state (self, work, RP_WORK_OUT);
        if (work->conversation)
            work->conversation->seen = true;
        rp_window_control_took (&self->window_control, self->out);
        return work;
    }
    self->window_control.hungry = true;
    return NULL;
}

void rp_worker_core_give_back (rp_worker_core_t *self, rp_work_t *work, const char *text)
{
    rp_worker_works_return (self, work, RP_WORKER_LOST, text);
}

rp_work_t *rp_worker_core_next_returned (rp_worker_core_t *self)
{
    rp_list_node_t *node = rp_list_first (&self->returned);
    if (node)
        rp_list_remove (node);
    return (rp_work_t *) node;
}

bool rp_worker_core_finish (
  rp_worker_core_t *self, rp_work_t *work, rp_status_t status, int64_t now)
{
    rp_worker_session_t *session = &self->sessions[work->session];
    bool alive = work->epoch == session->epoch && session->link.state == RP_LINK_UP;
    rp_work_set_state (self, work, RP_WORK_IDLE);
    s_release (self, work);
    // The reply binds the conversation to this worker even if its request has ended.
    if (work->conversation)
        rp_worker_conversations_leave (self, work, alive && status != RP_WORKER_LOST);
    if (alive)
        rp_link_said (&session->link, now);
    return alive;
}

/*  A ready work returns with this status and text; one that is out learns that it is cancelled.  */
static void s_cancel (rp_worker_core_t *self, rp_work_t *work, rp_status_t status, const char *text)
{
    work->cancelled = true;
    if (work->state == RP_WORK_READY) {
        rp_list_remove (&work->queue);
        rp_worker_works_return (self, work, status, text);
    }
    else if (work->state == RP_WORK_OUT)
        self->cancelled = true;
}

rp_work_t *rp_worker_works_find (const rp_worker_core_t *self, uint32_t session, uint64_t token)
{
    return s_find (self, s_hash (self, session, token), session, token);
}

bool rp_worker_works_cancel (rp_worker_core_t *self, uint32_t session, uint64_t token)
{
    rp_work_t *work = rp_worker_works_find (self, session, token);
    if (work)
        s_cancel (self, work, RP_APP_ERROR, "cancelled before it began");
    return work != NULL;
}

void rp_worker_works_end_all (rp_worker_core_t *self, uint32_t session)
{
    rp_list_t *held = &self->sessions[session].held;
    for (rp_list_node_t *node; (node = rp_list_first (held)) != NULL;) {
        rp_work_t *work = s_work_of_held (node);
        s_release (self, work);
        s_cancel (self, work, RP_WORKER_LOST, "the connection was lost");
    }
}
