/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/frames.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

frames_t frames_of (const char *text)
{
    frames_t self = {.count = 0};
    if (text)
        frames_add_text (&self, text);
    return self;
}

void frames_add (frames_t *self, const void *bytes, size_t size)
{
    void *copy = NULL;
    if (size > 0) {
        copy = malloc (size);
        RP_CHECK (copy);
        memcpy (copy, bytes, size);
    }
    RP_CHECK (self->count < RP_FRAMES_MAX);
    self->frames[self->count++] = (rp_frame_t){copy, size};
}

void frames_add_text (frames_t *self, const char *text)
{
    for (;;) {
        size_t size = strcspn (text, "|");
        frames_add (self, text, size);
        if (!text[size])
            return;
        text += size + 1;
    }
}

void frames_free (frames_t *self)
{
    for (uint32_t index = 0; index < self->count; index++)
        free ((void *) (uintptr_t) self->frames[index].data);
    self->count = 0;
}
