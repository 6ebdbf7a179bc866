/*  Event text: writes a body as a server-sent event, piece by piece, so that a long one needs no copy.

    SPDX-License-Identifier: MPL-2.0

    An event is lines of UTF-8, whose ends may be CR, LF or both, and its reader makes LF of each. So a body that
    has CR, NUL, or is not UTF-8 would not come as it was: it becomes an event "bytes", in base64.

    Source: HTML Living Standard, 9.2 (server-sent events); RFC 4648, 4; docs/HTTP.md.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_EVENT_TEXT_H
#define RP_EVENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *data; /* the caller's */
    size_t size;
    size_t at; /* what was taken of data */
    bool is_text;
    bool is_closed;   /* its end is in pending, or was written */
    char pending[32]; /* to be written before what follows in data */
    uint8_t pending_size;
    uint8_t pending_at;
} rp_event_text_t;

/*  True if a body comes as it was as the text of an event.  */
bool rp_event_text_is_text (const void *data, size_t size);

/*  Begins an event with this body, which must stay until it was written. name: of at most 12 bytes, for a body that
    is text; NULL: none is stated, and a body that is no text is named "bytes".  */
void rp_event_text_begin (rp_event_text_t *self, const void *data, size_t size, const char *name);

/*  Writes up to `most` bytes of what is left of the event. Returns how many; 0: all of it was written.  */
size_t rp_event_text_write (rp_event_text_t *self, char *buffer, size_t most);

/*  Writes 1 to 3 bytes as 4 characters of base64.  */
void rp_event_text_base64 (const uint8_t *data, size_t size, char text[4]);

#endif
