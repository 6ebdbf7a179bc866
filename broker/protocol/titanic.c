/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/titanic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <riposte/error.h>

#include "common/wire/name.h"

typedef enum { S_REQUEST, S_REPLY, S_CLOSE } s_service_t;

/*  The names are titanic.request, titanic.reply and titanic.close.  */
static s_service_t s_service (const char *name, size_t size)
{
    return size == sizeof "titanic.request" - 1 ? S_REQUEST : name[8] == 'r' ? S_REPLY : S_CLOSE;
}

/*  ---- In ------------------------------------------------------------------------------------ */

/*  Returns the job of a UUID; 0, which is no job's, for what is none.  */
static uint64_t s_read_uuid (const rp_frame_t *frame)
{
    if (!frame || frame->size != RP_TITANIC_UUID)
        return 0;
    const char *digits = frame->data;
    uint64_t job = 0;
    for (unsigned index = 0; index < RP_TITANIC_UUID; index++) {
        char digit = digits[index];
        unsigned value;
        if (digit >= '0' && digit <= '9')
            value = (unsigned) (digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            value = (unsigned) ((digit | 0x20) - 'a') + 10;
        else
            return 0;
        if (job >> 60) // it has more than 64 bits
            return 0;
        job = job << 4 | value;
    }
    return job <= INT64_MAX ? job : 0;
}

static void s_write_uuid (uint64_t job, char uuid[RP_TITANIC_UUID + 1])
{
    snprintf (uuid, RP_TITANIC_UUID + 1, "%0*" PRIX64, (int) RP_TITANIC_UUID, job);
}

/*  Asks for the job of a UUID.  */
static void s_ask (rp_titanic_request_t *self, const rp_frame_t *uuid)
{
    self->inlined_size = (uint16_t) snprintf (
      self->inlined, sizeof self->inlined, "{\"id\":\"%" PRIu64 "\"}", s_read_uuid (uuid));
}

static void s_submit (rp_titanic_request_t *self, const rp_frame_t *service, rp_head_t *head)
{
    head->flags |= RP_FLAG_DURABLE;
    if (!service || !rp_name_is_valid (service->data, service->size)
        || rp_name_is_reserved (service->data, service->size)
        || rp_name_is_titanic (service->data, service->size))
        return;
    self->body++;
    head->name = service->data;
    head->name_size = (uint8_t) service->size;
}

void rp_titanic_read (rp_titanic_request_t *self,
  const rp_frame_t *frames,
  uint32_t count,
  uint32_t body,
  rp_head_t *head)
{
    static const char result[] = "riposte.result", removal[] = "riposte.remove";
    const rp_frame_t *first = body < count ? &frames[body] : NULL;
    s_service_t service = s_service (head->name, head->name_size);
    self->body = body;
    self->inlined_size = 0;
    if (service == S_REQUEST) {
        s_submit (self, first, head);
        return;
    }
    s_ask (self, first);
    self->body = count;
    head->flags |= RP_FLAG_INLINE;
    head->name = service == S_REPLY ? result : removal;
    head->name_size = sizeof result - 1;
}

_Static_assert(sizeof "riposte.result" == sizeof "riposte.remove", "either name has this size");

/*  ---- Out ----------------------------------------------------------------------------------- */

/*  What a request draws that made no job. The broker may take it later, or never will.  */
static const char *s_refusal (uint8_t status)
{
    return status == RP_BUSY || status == RP_DRAINING ? "500" : "400";
}

/*  A REPLY that carries a job's number is its final; another is about the question.  */
static const char *s_result (const rp_head_t *reply)
{
    if (reply->job)
        return reply->status == RP_OK ? "200" : "500";
    return reply->status == RP_OK ? "300" : reply->status == RP_APP_ERROR ? "400" : "500";
}

void rp_titanic_write (
  rp_titanic_answer_t *answer, const char *name, size_t name_size, const rp_head_t *head)
{
    *answer = (rp_titanic_answer_t){.status = "200"};
    s_service_t service = s_service (name, name_size);
    if (head->command == RP_COMMAND_ACCEPTED) {
        s_write_uuid (head->job, answer->uuid);
        return;
    }
    if (service == S_CLOSE) { // 200 also if the UUID is unknown; it is one frame
        if (head->status != RP_OK && head->status != RP_APP_ERROR)
            answer->status = "500";
        return;
    }
    answer->status = service == S_REQUEST ? s_refusal (head->status) : s_result (head);
    bool ok = service == S_REPLY && head->status == RP_OK;
    answer->told = !ok;
    answer->body =
      service == S_REPLY && head->job && (head->status == RP_OK || head->status == RP_APP_ERROR);
}
