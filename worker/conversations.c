/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/conversations.h"

#include <stdlib.h>

static uint64_t s_hash (const rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    return rp_hash_pair (session, wire, self->config.seed);
}

static rp_worker_talk_t *s_find (const rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    rp_table_cursor_t cursor;
    uint64_t hash = s_hash (self, session, wire);
    rp_worker_talk_t *talk = rp_table_first (&self->talks, hash, &cursor);
    while (talk && (talk->wire != wire || talk->session != session))
        talk = rp_table_next (&self->talks, hash, &cursor);
    return talk;
}

bool rp_talks_join (rp_worker_core_t *self, rp_work_t *work, uint64_t wire)
{
    rp_worker_talk_t *talk = s_find (self, work->session, wire);
    if (!talk) {
        talk = calloc (1, sizeof *talk);
        if (!talk || !rp_table_insert (&self->talks, s_hash (self, work->session, wire), talk)) {
            free (talk);
            return false;
        }
        talk->wire = wire;
        talk->local = ++self->last_local;
        talk->session = work->session;
        rp_list_append (&self->sessions[work->session].talks, &talk->node);
    }
    talk->works++;
    work->talk = talk;
    return true;
}

static void s_done (rp_worker_core_t *self, rp_worker_talk_t *talk)
{
    if (talk->seen)
        rp_list_append (&self->ended, &talk->node);
    else
        free (talk);
}

/*  No further request of it will come under this number.  */
static void s_end (rp_worker_core_t *self, rp_worker_talk_t *talk)
{
    rp_table_remove (&self->talks, s_hash (self, talk->session, talk->wire), talk);
    rp_list_remove (&talk->node);
    talk->over = true;
    if (talk->works == 0)
        s_done (self, talk);
}

void rp_talks_leave (rp_worker_core_t *self, rp_work_t *work, bool answers)
{
    rp_worker_talk_t *talk = work->talk;
    work->talk = NULL;
    talk->works--;
    if (answers)
        talk->answered = true;
    if (talk->works > 0)
        return;
    if (talk->over)
        s_done (self, talk);
    else if (!talk->answered)
        s_end (self, talk);
}

bool rp_talks_end (rp_worker_core_t *self, uint32_t session, uint64_t wire)
{
    rp_worker_talk_t *talk = s_find (self, session, wire);
    if (talk)
        s_end (self, talk);
    return talk != NULL;
}

void rp_talks_end_all (rp_worker_core_t *self, uint32_t session)
{
    rp_list_t *talks = &self->sessions[session].talks;
    for (rp_list_node_t *node; (node = rp_list_first (talks)) != NULL;)
        s_end (self, (rp_worker_talk_t *) node);
}

bool rp_talks_next_ended (rp_worker_core_t *self, uint64_t *conversation)
{
    rp_list_node_t *node = rp_list_first (&self->ended);
    if (!node)
        return false;
    rp_worker_talk_t *talk = (rp_worker_talk_t *) node;
    rp_list_remove (node);
    *conversation = talk->local;
    free (talk);
    return true;
}
