/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/strangers.h"

#include <stdbool.h>
#include <stdlib.h>

void rp_strangers_init (rp_strangers_t *self, int64_t patience)
{
    *self = (rp_strangers_t) {.patience = patience};
}

void rp_strangers_clear (rp_strangers_t *self)
{
    free (self->line);
    rp_strangers_init (self, self->patience);
}

static rp_stranger_t *s_at (rp_strangers_t *self, size_t index)
{
    return &self->line[(self->first + index) & (self->capacity - 1)];
}

static bool s_grow (rp_strangers_t *self)
{
    size_t capacity = self->capacity ? self->capacity * 2 : 64;
    rp_stranger_t *line = malloc (capacity * sizeof *line);
    if (!line)
        return false;
    for (size_t index = 0; index < self->count; index++)
        line[index] = *s_at (self, index);
    free (self->line);
    self->line = line;
    self->capacity = capacity;
    self->first = 0;
    return true;
}

void rp_strangers_add (rp_strangers_t *self, int descriptor, int64_t now)
{
    uint64_t cookie = rp_peers_cookie (descriptor);
    if (cookie == 0 || (self->count == self->capacity && !s_grow (self)))
        return;
    self->count++;
    *s_at (self, self->count - 1) = (rp_stranger_t) {
      .until = now + self->patience, .cookie = cookie, .descriptor = descriptor};
}

size_t rp_strangers_tick (
  rp_strangers_t *self, const rp_peers_t *peers, int64_t now, int64_t *next)
{
    size_t cut = 0;
    while (self->count > 0 && s_at (self, 0)->until <= now) {
        const rp_stranger_t *stranger = s_at (self, 0);
        if (rp_peers_by_descriptor (peers, stranger->descriptor).v == 0
            && rp_peers_cut_socket (stranger->descriptor, stranger->cookie))
            cut++;
        self->first = (self->first + 1) & (self->capacity - 1);
        self->count--;
    }
    *next = self->count > 0 ? s_at (self, 0)->until : INT64_MAX;
    return cut;
}
