/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/core/action.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

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

rp_action_t *rp_actions_add (rp_actions_t *self, rp_action_kind_t kind, rp_session_id_t session)
{
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? self->capacity * 2 : 64;
        rp_action_t *list = realloc (self->list, capacity * sizeof *list);
        RP_CHECK (list != NULL);
        self->list = list;
        self->capacity = capacity;
    }
    rp_action_t *action = &self->list[self->count++];
    memset (action, 0, sizeof *action);
    action->kind = kind;
    action->session = session;
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

void rp_actions_log (
  rp_actions_t *self, rp_level_t level, rp_topic_t topic, rp_session_id_t session, const char *text)
{
    rp_action_t *action = rp_actions_add (self, RP_ACTION_LOG, session);
    action->level = level;
    action->topic = topic;
    action->head.text = text;
    action->head.text_size = (uint16_t) strlen (text);
}
