/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/conversations.h"

#include <stdlib.h>

static uint64_t s_hash (const rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    return rp_hash_pair (session, wire, self->config.seed);
}

static rp_worker_conversation_t *s_find (
  const rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    rp_table_cursor_t cursor;
    uint64_t hash = s_hash (self, session, wire);
    rp_worker_conversation_t *conversation = rp_table_first (&self->conversations, hash, &cursor);
    while (conversation && (conversation->wire != wire || conversation->session != session))
        conversation = rp_table_next (&self->conversations, hash, &cursor);
    return conversation;
}

bool rp_worker_conversations_join (rp_worker_core_t *self, rp_work_t *work, uint64_t wire)
{
    rp_worker_conversation_t *conversation = s_find (self, work->session, wire);
    if (!conversation) {
        conversation = calloc (1, sizeof *conversation);
        if (!conversation
            || !rp_table_insert (
              &self->conversations, s_hash (self, work->session, wire), conversation)) {
            free (conversation);
            return false;
        }
        conversation->wire = wire;
        conversation->local = ++self->last_local;
        conversation->session = work->session;
        rp_list_append (&self->sessions[work->session].conversations, &conversation->node);
    }
    conversation->works++;
    work->conversation = conversation;
    return true;
}

static void s_done (rp_worker_core_t *self, rp_worker_conversation_t *conversation)
{
    if (conversation->seen)
        rp_list_append (&self->ended, &conversation->node);
    else
        free (conversation);
}

/*  No further request of the conversation will come under this number.  */
static void s_end (rp_worker_core_t *self, rp_worker_conversation_t *conversation)
{
    rp_table_remove (
      &self->conversations, s_hash (self, conversation->session, conversation->wire), conversation);
    rp_list_remove (&conversation->node);
    conversation->over = true;
    if (conversation->works == 0)
        s_done (self, conversation);
}

void rp_worker_conversations_leave (rp_worker_core_t *self, rp_work_t *work, bool answers)
{
    rp_worker_conversation_t *conversation = work->conversation;
    work->conversation = NULL;
    conversation->works--;
    if (answers)
        conversation->answered = true;
    if (conversation->works > 0)
        return;
    if (conversation->over)
        s_done (self, conversation);
    else if (!conversation->answered)
        s_end (self, conversation);
}

bool rp_worker_conversations_end (rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    rp_worker_conversation_t *conversation = s_find (self, session, wire);
    if (conversation)
        s_end (self, conversation);
    return conversation != NULL;
}

void rp_worker_conversations_end_all (rp_worker_core_t *self, uint32_t session)
{
    rp_list_t *conversations = &self->sessions[session].conversations;
    for (rp_list_node_t *node; (node = rp_list_first (conversations)) != NULL;)
        s_end (self, (rp_worker_conversation_t *) node);
}

bool rp_worker_conversations_next_ended (rp_worker_core_t *self, uint64_t *number)
{
    rp_list_node_t *node = rp_list_first (&self->ended);
    if (!node)
        return false;
    rp_worker_conversation_t *conversation = (rp_worker_conversation_t *) node;
    rp_list_remove (node);
    *number = conversation->local;
    free (conversation);
    return true;
}
