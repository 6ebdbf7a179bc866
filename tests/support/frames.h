/*  Makes the frames of a message from text.

    SPDX-License-Identifier: MPL-2.0

    In text, bars separate frames: "|MDPC01|echo|a" has four, of which the first is empty. Each lies
    in a block of exactly its size, so that a sanitizer finds a read beyond its end.
*/

#ifndef FRAMES_H
#define FRAMES_H

#include "broker/protocol/dialect.h"
#include "common/wire/limits.h"

typedef struct {
    rp_frame_t frames[RP_FRAMES_MAX];
    uint32_t count;
} frames_t;

/*  Returns a message; without any frame if text is NULL. Free it with frames_free.  */
frames_t frames_of (const char *text);

void frames_add (frames_t *self, const void *bytes, size_t size);
void frames_add_text (frames_t *self, const char *text);
void frames_free (frames_t *self);

#endif
