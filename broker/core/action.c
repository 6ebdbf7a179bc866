/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/action.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/trace.h"
#include "common/base/check.h"
#include "common/wire/headers.h"

void rp_actions_init (rp_actions_t *self)
{
    self->list = NULL;
    self->capacity = 0;
    rp_actions_reset (self);
}

void rp_actions_clear (rp_actions_t *self)
{
    free (self->list);
    rp_actions_init (self);
}

/*  Adds an action to a list that is full; apart from the other way, which then saves no registers.  */
static __attribute__ ((noinline)) rp_action_t *s_add_growing (
  rp_actions_t *self, rp_action_kind_t kind, rp_session_id_t session)
{
    size_t capacity = self->capacity ? self->capacity * 2 : 64;
    rp_action_t *list = realloc (self->list, capacity * sizeof *list);
    RP_CHECK_MEMORY (list != NULL);
    self->list = list;
    self->capacity = capacity;
    return rp_actions_add (self, kind, session);
}

rp_action_t *rp_actions_add (rp_actions_t *self, rp_action_kind_t kind, rp_session_id_t session)
{
    if (self->count == self->capacity)
        return s_add_growing (self, kind, session);
    rp_action_t *action = &self->list[self->count++];
    *action = (rp_action_t){.kind = kind, .session = session};
    return action;
}

void rp_actions_drop (rp_actions_t *self, rp_payload_t *payload)
{
    if (payload)
        rp_actions_add (self, RP_ACTION_DROP, (rp_session_id_t){0})->payload = payload;
}

void *rp_actions_room (rp_actions_t *self, size_t size)
{
    if (size > sizeof self->text - self->text_used)
        return NULL;
    void *room = self->text + self->text_used;
    self->text_used += size;
    return room;
}

const char *rp_actions_format (rp_actions_t *self, const char *format, ...)
{
    size_t room = sizeof self->text - self->text_used;
    if (room < 2)
        return "";
    if (room > RP_WIRE_TEXT_MAX)
        room = RP_WIRE_TEXT_MAX;
    char *text = self->text + self->text_used;
    va_list arguments;
    va_start (arguments, format);
    int size = vsnprintf (text, room, format, arguments);
    va_end (arguments);
    if (size < 0)
        return "";
    self->text_used += (size_t) size < room ? (size_t) size + 1 : room;
    return text;
}

rp_action_t *rp_actions_log (
  rp_actions_t *self, rp_level_t level, rp_topic_t topic, rp_session_id_t session, const char *text)
{
    rp_action_t *action = rp_actions_add (self, RP_ACTION_LOG, session);
    action->level = level;
    action->topic = topic;
    action->head.text = text;
    action->head.text_size = (uint16_t) strlen (text);
    return action;
}

static const char *s_copy (rp_actions_t *self, const char *text, size_t size)
{
    char *copy = size > 0 ? rp_actions_room (self, size + 1) : NULL;
    if (copy) {
        memcpy (copy, text, size);
        copy[size] = '\0';
    }
    return copy;
}

void rp_actions_log_service (
  rp_actions_t *self, rp_action_t *line, const char *service, size_t size)
{
    line->head.name = s_copy (self, service, size);
    line->head.name_size = line->head.name ? (uint8_t) size : 0;
}

void rp_actions_log_request (rp_actions_t *self, rp_action_t *line, const rp_head_t *request)
{
    rp_header_t header;
    rp_actions_log_service (self, line, request->name, request->name_size);
    if (!rp_headers_find (request->headers, request->headers_size, RP_TRACE_REQUEST_ID, &header))
        return;
    size_t size = header.value_size;
    if (size > RP_TRACE_REQUEST_ID_MAX)
        size = RP_TRACE_REQUEST_ID_MAX;
    line->head.key = s_copy (self, header.value, size);
    line->head.key_size = line->head.key ? (uint8_t) size : 0;
}
