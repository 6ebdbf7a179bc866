/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/events.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

/*  The values of an event, in the order of JSON; those from S_PEER on may be absent.  */
typedef enum {
    S_TIME,
    S_LEVEL,
    S_TOPIC,
    S_PEER,
    S_PRINCIPAL,
    S_SERVICE,
    S_REQUEST_ID,
    S_TEXT,
    S_VALUES
} s_value_t;

static const char *const s_keys[S_VALUES] = {
  "time", "level", "topic", "peer", "principal", "service", "request_id", "text"};

typedef struct {
    rp_list_node_t node;
    uint64_t number;
    uint64_t more;
    size_t size;   /* of the whole block */
    char values[]; /* one after the other, each with its NUL */
} s_entry_t;

void rp_events_init (rp_events_t *self)
{
    rp_list_init (&self->list);
    self->last = 0;
    self->bytes = 0;
}

static void s_drop_first (rp_events_t *self)
{
    s_entry_t *entry = (s_entry_t *) rp_list_first (&self->list);
    rp_list_remove (&entry->node);
    self->bytes -= entry->size;
    free (entry);
}

void rp_events_clear (rp_events_t *self)
{
    while (self->list.ring.next && !rp_list_is_empty (&self->list))
        s_drop_first (self);
}

/*  Writes the values one after the other, and returns their size.  */
static size_t s_write_values (const rp_events_line_t *line, char *buffer)
{
    const char *const values[S_VALUES] = {line->time, line->level, line->topic, line->peer,
      line->principal, line->service, line->request_id, line->text};
    size_t size = 0;
    for (s_value_t value = 0; value < S_VALUES; value++) {
        const char *text = values[value] ? values[value] : "";
        size_t room = value == S_TEXT ? RP_EVENTS_TEXT_MAX : RP_EVENTS_VALUE_MAX;
        size_t length = value == S_TEXT ? line->size : strlen (text);
        size += rp_utf8_escape (text, length, buffer + size, room) + 1;
    }
    return size;
}

void rp_events_add (rp_events_t *self, const rp_events_line_t *line)
{
    char values[(S_VALUES - 1) * RP_EVENTS_VALUE_MAX + RP_EVENTS_TEXT_MAX];
    size_t size = s_write_values (line, values);
    s_entry_t *entry = malloc (sizeof *entry + size);
    self->last++;
    if (!entry)
        return;
    entry->number = self->last;
    entry->more = line->more;
    entry->size = sizeof *entry + size;
    memcpy (entry->values, values, size);
    rp_list_append (&self->list, &entry->node);
    self->bytes += entry->size;
    while (self->bytes > RP_EVENTS_BYTES)
        s_drop_first (self);
}

/*  ---- JSON ----------------------------------------------------------------------------------- */

static json_t *s_json (const s_entry_t *entry)
{
    json_t *object = json_pack ("{s:I}", "number", (json_int_t) entry->number);
    const char *text = entry->values;
    int failed = object ? 0 : -1;
    for (s_value_t value = 0; value < S_VALUES; value++, text += strlen (text) + 1) {
        if (value == S_TEXT && entry->more > 0)
            failed |= json_object_set_new (object, "more", json_integer ((json_int_t) entry->more));
        if (*text || value == S_TEXT)
            failed |= json_object_set_new (object, s_keys[value], json_string (text));
    }
    if (failed) {
        json_decref (object);
        return NULL;
    }
    return object;
}

/*  Returns the first of the latest events after `since`, at most `most`; NULL if there is none. *count:
    how many.  */
static const rp_list_node_t *s_find (
  const rp_events_t *self, uint64_t since, size_t most, size_t *count)
{
    const rp_list_node_t *first = NULL;
    const rp_list_node_t *node = &self->list.ring;
    for (*count = 0; *count < most; (*count)++) {
        node = node->previous;
        if (node == &self->list.ring || ((const s_entry_t *) node)->number <= since)
            break;
        first = node;
    }
    return first;
}

json_t *rp_events_json (const rp_events_t *self, uint64_t since, size_t most)
{
    if (since > self->last)
        since = self->last;
    size_t count;
    json_t *events = json_array ();
    int failed = events ? 0 : -1;
    for (const rp_list_node_t *node = s_find (self, since, most, &count); node;
         node = rp_list_next (&self->list, node))
        failed |= json_array_append_new (events, s_json ((const s_entry_t *) node));
    if (failed) {
        json_decref (events);
        return NULL;
    }
    return json_pack ("{s:o, s:I, s:I}", "events", events, "last", (json_int_t) self->last,
      "missed", (json_int_t) (self->last - since - count));
}
