/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/output.h"

#define S_CHUNK 65536u

/*  Makes room for S_CHUNK bytes behind the data; reuses the room of dropped bytes first.  */
static void s_make_room (rp_input_t *self)
{
    if (self->size > 0)
        memmove (self->memory, self->data, self->size);
    if (self->room - self->size < S_CHUNK) {
        size_t room = 2 * (self->room + S_CHUNK);
        char *memory = realloc (self->memory, room);
        if (!memory)
            rp_output_no_memory ();
        self->memory = memory;
        self->room = room;
    }
    self->data = self->memory;
}

rp_input_outcome_t rp_input_fill (rp_input_t *self, int fd)
{
    if (self->size > RP_INPUT_MAX)
        return RP_INPUT_TOO_LARGE;
    s_make_room (self);
    ssize_t size = read (fd, self->data + self->size, S_CHUNK);
    if (size < 0)
        return errno == EINTR ? RP_INPUT_INTERRUPTED : RP_INPUT_FAILED;
    self->size += (size_t) size;
    return size > 0 ? RP_INPUT_OK : RP_INPUT_END;
}

rp_input_outcome_t rp_input_read (rp_input_t *self, const char *path)
{
    bool standard = strcmp (path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return RP_INPUT_FAILED;
    rp_input_outcome_t outcome;
    do
        outcome = rp_input_fill (self, fd);
    while (outcome == RP_INPUT_OK);
    int error = errno;
    if (!standard)
        close (fd);
    errno = error;
    return outcome == RP_INPUT_END ? RP_INPUT_OK : outcome;
}

size_t rp_input_line (const rp_input_t *self)
{
    const char *newline = self->size > 0 ? memchr (self->data, '\n', self->size) : NULL;
    return newline ? (size_t) (newline - self->data) + 1 : 0;
}

void rp_input_drop (rp_input_t *self, size_t size)
{
    self->data += size;
    self->size -= size;
}

void rp_input_free (rp_input_t *self)
{
    free (self->memory);
    *self = (rp_input_t){0};
}

const char *rp_input_reason (rp_input_outcome_t outcome)
{
    switch (outcome) {
        case RP_INPUT_TOO_LARGE:
            return "larger than any broker takes";
        case RP_INPUT_INTERRUPTED:
            return "interrupted";
        case RP_INPUT_FAILED:
            return strerror (errno);
        case RP_INPUT_OK:
        case RP_INPUT_END:
        default:
            return "it ended";
    }
}
