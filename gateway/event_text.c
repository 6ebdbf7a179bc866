/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/event_text.h"

#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

bool rp_event_text_is_text (const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size;) {
        uint32_t point = bytes[at];
        size_t step = point < 0x80 ? 1 : rp_utf8_decode (bytes + at, size - at, &point);
        if (step == 0 || point == '\r' || point == '\0')
            return false;
        at += step;
    }
    return true;
}

static void s_pend (rp_event_text_t *self, const char *text)
{
    self->pending_size = (uint8_t) snprintf (self->pending, sizeof self->pending, "%s", text);
    self->pending_at = 0;
}

void rp_event_text_begin (rp_event_text_t *self, const void *data, size_t size, const char *name)
{
    char text[sizeof self->pending];
    *self =
      (rp_event_text_t){.data = data, .size = size, .is_text = rp_event_text_is_text (data, size)};
    if (!name && !self->is_text)
        name = "bytes";
    snprintf (text, sizeof text, "%s%.12s%sdata: ", name ? "event: " : "", name ? name : "",
      name ? "\n" : "");
    s_pend (self, text);
}

void rp_event_text_base64 (const uint8_t *data, size_t size, char text[4])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = (uint32_t) data[0] << 16 | (size > 1 ? (uint32_t) data[1] << 8 : 0)
                    | (size > 2 ? (uint32_t) data[2] : 0);
    for (unsigned index = 0; index < 4; index++)
        text[index] = index <= size ? digits[bits >> (18 - 6 * index) & 63] : '=';
}

/*  Takes what follows in the body. Returns true if that is *plain, false if it was put into pending.  */
static bool s_next (rp_event_text_t *self, char *plain)
{
    size_t left = self->size - self->at;
    if (self->is_text && self->data[self->at] != '\n') {
        *plain = (char) self->data[self->at++];
        return true;
    }
    if (self->is_text) {
        self->at++;
        s_pend (self, "\ndata: ");
        return false;
    }
    size_t count = left < 3 ? left : 3;
    rp_event_text_base64 (self->data + self->at, count, self->pending);
    self->at += count;
    self->pending_size = 4;
    self->pending_at = 0;
    return false;
}

size_t rp_event_text_write (rp_event_text_t *self, char *buffer, size_t most)
{
    size_t used = 0;
    while (used < most) {
        if (self->pending_at < self->pending_size)
            buffer[used++] = self->pending[self->pending_at++];
        else if (self->at < self->size)
            used += s_next (self, buffer + used);
        else if (!self->is_closed) {
            self->is_closed = true;
            s_pend (self, "\n\n");
        }
        else
            break;
    }
    return used;
}
