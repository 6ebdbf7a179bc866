/*  SPDX-License-Identifier: MPL-2.0  */

#include <stdlib.h>
#include <string.h>

#include "broker/jobs/jobs_state.h"
#include "common/base/check.h"

/*  ---- Asking the store ----------------------------------------------------------------------- */

rp_store_op_t *rp_jobs_store (
  rp_jobs_t *self, rp_store_kind_t kind, rp_payload_t *body, rp_jobs_pending_t pending)
{
    if (self->pending_count == self->pending_capacity) {
        size_t capacity = self->pending_capacity ? self->pending_capacity * 2 : 64;
        rp_jobs_pending_t *ring = malloc (capacity * sizeof *ring);
        RP_CHECK_MEMORY (ring != NULL);
        for (size_t index = 0; index < self->pending_count; index++)
            ring[index] =
              self->pending[(self->pending_first + index) & (self->pending_capacity - 1)];
        free (self->pending);
        self->pending = ring;
        self->pending_first = 0;
        self->pending_capacity = capacity;
    }
    size_t last = (self->pending_first + self->pending_count++) & (self->pending_capacity - 1);
    pending.kind = kind;
    self->pending[last] = pending;
    rp_action_t *action = rp_actions_add (self->actions, RP_ACTION_STORE, (rp_session_id_t){0});
    action->payload = body;
    action->op.kind = (uint8_t) kind;
    action->op.number = ++self->number;
    return &action->op;
}

uint64_t rp_job_handle (const rp_job_t *job)
{
    return rp_pool_handle (&job->pooled);
}

/*  ---- Telling clients ------------------------------------------------------------------------ */

void rp_jobs_reply (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_status_t status, const char *text)
{
    rp_actions_add (self->actions, RP_ACTION_SEND, session)->head =
      (rp_head_t){.command = RP_COMMAND_REPLY,
        .status = (uint8_t) status,
        .id = request,
        .text = text,
        .text_size = (uint16_t) strlen (text)};
}

void rp_jobs_refuse (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, rp_status_t status, const char *text)
{
    self->figures.refused++;
    rp_jobs_reply (self, session, request, status, text);
}

void rp_jobs_accept (
  rp_jobs_t *self, rp_session_id_t session, uint64_t request, uint64_t job, bool replayed)
{
    static const uint8_t mark[] = "\x08replayed\0\0011"; // key size, key, value size, value
    rp_actions_add (self->actions, RP_ACTION_SEND, session)->head =
      (rp_head_t){.command = RP_COMMAND_ACCEPTED,
        .id = request,
        .job = job,
        .headers = replayed ? mark : NULL,
        .headers_size = replayed ? sizeof mark - 1 : 0};
    self->figures.accepted += !replayed;
    self->figures.replayed += replayed;
}

static rp_store_span_t s_copy (char *room, rp_store_span_t span)
{
    memcpy (room, span.data, span.size);
    return (rp_store_span_t){room, span.size};
}

void rp_jobs_refuse_or_replay (rp_jobs_t *self,
  rp_session_id_t session,
  uint64_t request,
  const rp_store_job_t *job,
  const char *refusal)
{
    bool fits = job->key.size > 0 && job->service.size <= RP_WIRE_NAME_MAX;
    rp_jobs_look_t *look = fits ? rp_pool_take (&self->looks_at_keys) : NULL;
    if (!look) {
        rp_jobs_refuse (self, session, request, RP_BUSY, refusal);
        return;
    }
    look->refusal = refusal;
    look->job = (rp_store_job_t){.service = s_copy (look->service, job->service),
      .principal = s_copy (look->principal, job->principal),
      .key = s_copy (look->key, job->key)};
    memcpy (look->job.digest, job->digest, RP_STORE_DIGEST);
    rp_store_op_t *op = rp_jobs_store (self, RP_STORE_KEY, NULL,
      (rp_jobs_pending_t){
        .look = rp_pool_handle (&look->pooled), .session = session, .request = request});
    op->job = &look->job;
}
