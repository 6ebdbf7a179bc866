/*  Events: what has happened of late at this broker, for people: workers that join, losses, denials, drains,
    reloads … These are lines of the log, kept up to a number of bytes whatever the log's level is, and
    numbered from 1.

    SPDX-License-Identifier: MPL-2.0

    Texts are escaped as in the log (common/base/utf8.h) and cut. The oldest events are dropped for new ones.
    Source: docs/OPERATIONS.md, "Events".
    Thread-safety: none; for the broker's thread.
*/

#ifndef RP_EVENTS_H
#define RP_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/list.h"

/*  What all events that are kept may take.  */
#define RP_EVENTS_BYTES ((size_t) 256 * 1024)
/*  Bytes at which a text is cut, and each other value.  */
#define RP_EVENTS_TEXT_MAX 2000u
#define RP_EVENTS_VALUE_MAX 400u
/*  How many events one answer has, if nothing is said, and at most.  */
#define RP_EVENTS_USUAL 100u
#define RP_EVENTS_MOST 1000u
/*  The largest number that one may ask with: JSON has it exactly everywhere.  */
#define RP_EVENTS_NUMBER_MAX ((size_t) 9007199254740991)

/*  All zeros is none, and needs no clearing.  */
typedef struct {
    rp_list_t list;
    uint64_t last; /* number of the latest event, kept or not; 0: none */
    size_t bytes;
} rp_events_t;

/*  An event as it comes; values that do not apply are NULL or "".  */
typedef struct {
    const char *time; /* RFC 3339 */
    const char *level;
    const char *topic;
    const char *peer;
    const char *principal;
    const char *service;
    const char *request_id;
    uint64_t more; /* events of this topic that were held back before this one */
    const char *text;
    size_t size;
} rp_events_line_t;

void rp_events_init (rp_events_t *self);
void rp_events_clear (rp_events_t *self);

/*  Keeps an event. Out of memory it is missing, and counts as missed.  */
void rp_events_add (rp_events_t *self, const rp_events_line_t *line);

/*  Returns {"events": [ ], "last", "missed"}: the latest events after number `since`, the oldest first, at
    most `most`; the number of the latest; and how many after `since` are not there. A `since` that is not
    reached yet is taken for the latest. NULL when out of memory.  */
json_t *rp_events_json (const rp_events_t *self, uint64_t since, size_t most);

#endif
