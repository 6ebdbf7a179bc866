/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/admin.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <riposte/error.h>

#include "broker/admin/json.h"
#include "broker/admin/questions.h"
#include "common/wire/name.h"

/*  ---- Replies ------------------------------------------------------------------------------- */

/*  Makes a reply with room for a body of size bytes, at *body.  */
static rp_message_t *s_reply_with (
  const rp_admin_t *self, const rp_head_t *head, size_t size, char **body)
{
    size_t head_size = rp_wire_size (head);
    rp_message_t *reply = rp_message_new (self->pool, head_size + size);
    if (!reply)
        return NULL;
    char *data = zmq_msg_data (&reply->first);
    rp_wire_encode (head, data, head_size);
    *body = data + head_size;
    return reply;
}

static rp_message_t *s_reply (const rp_admin_t *self, uint64_t id, size_t size, char **body)
{
    const rp_head_t head = {
      .command = RP_COMMAND_REPLY, .status = RP_OK, .flags = RP_FLAG_INLINE, .id = id};
    return s_reply_with (self, &head, size, body);
}

static rp_message_t *s_json_reply (const rp_admin_t *self, uint64_t id, json_t *json)
{
    const size_t flags = RP_JSON_FLAGS;
    char *body;
    size_t size = json ? json_dumpb (json, NULL, 0, flags) : 0;
    rp_message_t *reply = size ? s_reply (self, id, size, &body) : NULL;
    if (reply && json_dumpb (json, body, size, flags) != size)
        rp_message_destroy (self->pool, &reply);
    json_decref (json);
    return reply;
}

static rp_message_t *s_text_reply (const rp_admin_t *self, uint64_t id, const char *text)
{
    char *body;
    size_t size = strlen (text);
    rp_message_t *reply = s_reply (self, id, size, &body);
    if (reply)
        memcpy (body, text, size);
    return reply;
}

/*  ---- mmi. ---------------------------------------------------------------------------------- */

/*  The number of workers that take new requests; MMI counts only these.  */
static uint32_t s_taking (const rp_service_info_t *info)
{
    return info->workers - info->draining;
}

/*  True if the client may learn whether a service has workers.  */
static bool s_may_see (
  const rp_admin_t *self, rp_session_id_t client, const char *name, size_t size)
{
    return rp_dispatch_allows (self->sources.core, client, RP_RULE_OBSERVE, NULL, 0)
           || rp_dispatch_allows (self->sources.core, client, RP_RULE_CALL, name, size);
}

/*  The first part of a request's body; *size is 0 if there is none.  */
static const char *s_body (const rp_head_t *head, rp_message_t *request, size_t *size)
{
    *size = 0;
    if (head->flags & RP_FLAG_INLINE) {
        *size = zmq_msg_size (&request->first) - head->size;
        return (const char *) zmq_msg_data (&request->first) + head->size;
    }
    if (request->count <= 1)
        return NULL;
    *size = zmq_msg_size (&request->rest[0]);
    return zmq_msg_data (&request->rest[0]);
}

/*  Counts them for the service that the body of a request names. A service that the client may not
    see has none.  */
static uint32_t s_count_taking (const rp_admin_t *self,
  rp_session_id_t client,
  const rp_head_t *head,
  rp_message_t *request,
  int64_t now)
{
    size_t size;
    const char *name = s_body (head, request, &size);
    rp_service_info_t info;
    if (self->sources.store && rp_name_is_titanic (name, size))
        return 1; // the broker itself
    if (size == 0 || !s_may_see (self, client, name, size)
        || !rp_dispatch_find_service (self->sources.core, now, name, size, &info))
        return 0;
    return s_taking (&info);
}

typedef struct {
    size_t size;
    char *at; /* NULL: only compute the size */
} s_names_t;

static void s_add_name (const rp_service_info_t *info, void *arg)
{
    s_names_t *names = arg;
    if (s_taking (info) == 0)
        return;
    size_t size = strlen (info->name);
    names->size += size + 1;
    if (!names->at)
        return;
    memcpy (names->at, info->name, size);
    names->at[size] = '\n'; // a separator, since names have no control characters
    names->at += size + 1;
}

static rp_message_t *s_mmi_services (const rp_admin_t *self, uint64_t id, int64_t now)
{
    s_names_t names = {0};
    rp_dispatch_each_service (self->sources.core, now, s_add_name, &names);
    rp_message_t *reply = s_reply (self, id, names.size, &names.at);
    if (reply)
        rp_dispatch_each_service (self->sources.core, now, s_add_name, &names);
    return reply;
}

static bool s_is (const rp_head_t *head, const char *name)
{
    return head->name_size == strlen (name) && memcmp (head->name, name, head->name_size) == 0;
}

static rp_message_t *s_mmi (const rp_admin_t *self,
  rp_session_id_t client,
  const rp_head_t *head,
  rp_message_t *request,
  int64_t now)
{
    if (s_is (head, "mmi.services"))
        return s_mmi_services (self, head->id, now);
    bool service = s_is (head, "mmi.service");
    if (!service && !s_is (head, "mmi.workers"))
        return s_text_reply (self, head->id, "501");
    uint32_t workers = s_count_taking (self, client, head, request, now);
    char text[16];
    snprintf (text, sizeof text, "%u", workers > 0 && service ? 200 : workers > 0 ? workers : 404);
    return s_text_reply (self, head->id, text);
}

/*  ---- riposte.reload ------------------------------------------------------------------------ */

bool rp_admin_is_reload (const rp_head_t *head)
{
    return s_is (head, "riposte.reload");
}

bool rp_admin_is_trace (const rp_head_t *head)
{
    return s_is (head, "riposte.trace");
}

rp_message_t *rp_admin_answer_reload (const rp_admin_t *self, uint64_t id, bool can)
{
    const rp_snapshot_reloads_t *reloads = self->sources.reloads;
    if (can && reloads->ok)
        return s_json_reply (self, id,
          json_pack (
            "{s:b, s:o}", "reloaded", 1, "needs_restart", rp_json_lines (reloads->restart)));
    const char *text = !can                ? "this broker has nothing to read again\n"
                       : reloads->problems ? reloads->problems
                                           : "the broker has no memory to say what is wrong\n";
    size_t size = strlen (text);
    size_t first = strcspn (text, "\n");
    const rp_head_t head = {.command = RP_COMMAND_REPLY,
      .status = RP_APP_ERROR,
      .flags = RP_FLAG_INLINE,
      .id = id,
      .text = text,
      .text_size = (uint16_t) (first < RP_WIRE_TEXT_MAX ? first : RP_WIRE_TEXT_MAX)};
    char *body;
    rp_message_t *reply = s_reply_with (self, &head, size, &body);
    if (reply)
        memcpy (body, text, size);
    return reply;
}

/*  ---- Questions ----------------------------------------------------------------------------- */

/*  The part of a service's name behind "riposte.".  */
static const char *s_question (const rp_head_t *head, size_t *size)
{
    static const char prefix[] = "riposte.";
    size_t skip = sizeof prefix - 1;
    if (head->name_size < skip || memcmp (head->name, prefix, skip) != 0)
        return NULL;
    *size = head->name_size - skip;
    return head->name + skip;
}

static rp_message_t *s_refuse (const rp_admin_t *self, uint64_t id, const char *text)
{
    const rp_head_t head = {.command = RP_COMMAND_REPLY,
      .status = RP_APP_ERROR,
      .flags = RP_FLAG_INLINE,
      .id = id,
      .text = text,
      .text_size = (uint16_t) strlen (text)};
    char *body;
    return s_reply_with (self, &head, 0, &body);
}

/*  The longest name of a service, escaped, and more. A body may be a thousand times as large, and the broker
    would do nothing else for seconds while it read an object of so many members.  */
#define S_PARAMS_MAX 8192u

static rp_message_t *s_answer_question (const rp_admin_t *self,
  const rp_head_t *head,
  rp_message_t *request,
  const char *name,
  size_t size,
  int64_t now)
{
    char wrong[RP_QUESTION_WRONG_MAX];
    size_t text_size;
    const char *text = s_body (head, request, &text_size);
    if (text_size > S_PARAMS_MAX)
        return s_refuse (self, head->id, "the parameters are over 8 KiB");
    json_t *answer =
      rp_question_answer_text (&self->sources, name, size, text, text_size, now, wrong);
    if (answer)
        return s_json_reply (self, head->id, answer);
    return wrong[0] ? s_refuse (self, head->id, wrong) : NULL;
}

/*  ---- riposte.ping -------------------------------------------------------------------------- */

/*  Turns the request into its reply: a new head, the same body.  */
static rp_message_t *s_ping (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t **request_p)
{
    rp_message_t *request = *request_p;
    rp_head_t reply = {.command = RP_COMMAND_REPLY,
      .status = RP_OK,
      .flags = head->flags & RP_FLAG_INLINE,
      .id = head->id};
    size_t head_size = rp_wire_size (&reply);
    size_t body_size = zmq_msg_size (&request->first) - head->size;
    zmq_msg_t first;
    if (zmq_msg_init_size (&first, head_size + body_size) != 0) {
        rp_message_destroy (self->pool, request_p);
        return NULL;
    }
    char *data = zmq_msg_data (&first);
    rp_wire_encode (&reply, data, head_size);
    memcpy (
      data + head_size, (const char *) zmq_msg_data (&request->first) + head->size, body_size);
    request->bytes = request->bytes - head->size + head_size;
    (void) zmq_msg_move (&request->first, &first); // cannot fail: both messages are valid
    (void) zmq_msg_close (&first);
    *request_p = NULL;
    return request;
}

rp_message_t *rp_admin_answer (const rp_admin_t *self,
  rp_session_id_t client,
  const rp_head_t *head,
  rp_message_t **request_p,
  int64_t now)
{
    static const struct {
        const char *name;
        json_t *(*make) (const rp_snapshot_t *snapshot);
    } services[] = {
      {"riposte.status", rp_json_status},
      {"riposte.services", rp_json_services},
      {"riposte.workers", rp_json_workers},
    };
    if (s_is (head, "riposte.ping"))
        return s_ping (self, head, request_p);
    rp_message_t *reply = NULL;
    for (size_t index = 0; index < sizeof services / sizeof *services; index++)
        if (s_is (head, services[index].name)) {
            rp_snapshot_t *snapshot = rp_snapshot_take (&self->sources, false, now);
            if (snapshot)
                reply = s_json_reply (self, head->id, services[index].make (snapshot));
            rp_snapshot_destroy (&snapshot);
        }
    size_t size = 0;
    const char *question = s_question (head, &size);
    if (question && rp_question_is (question, size))
        reply = s_answer_question (self, head, *request_p, question, size, now);
    if (memcmp (head->name, "mmi.", 4) == 0) // names of the broker's own are at least this long
        reply = s_mmi (self, client, head, *request_p, now);
    rp_message_destroy (self->pool, request_p);
    return reply;
}
