/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S_FIRST_CAPACITY 4096u
/*  More than this is given back to the system when the buffer runs empty.  */
#define S_KEPT_CAPACITY 1048576u

void rp_buffer_clear (rp_buffer_t *self)
{
    free (self->bytes);
    *self = (rp_buffer_t){0};
}

bool rp_buffer_reserve (rp_buffer_t *self, size_t size)
{
    if (self->capacity - self->end >= size)
        return true;
    if (self->start > 0) {
        memmove (self->bytes, self->bytes + self->start, rp_buffer_size (self));
        self->end -= self->start;
        self->start = 0;
    }
    size_t capacity = self->capacity ? self->capacity : S_FIRST_CAPACITY;
    while (capacity - self->end < size)
        capacity *= 2;
    if (capacity == self->capacity)
        return true;
    char *bytes = realloc (self->bytes, capacity);
    if (!bytes)
        return false;
    self->bytes = bytes;
    self->capacity = capacity;
    return true;
}

bool rp_buffer_append (rp_buffer_t *self, const void *bytes, size_t size)
{
    if (!rp_buffer_reserve (self, size))
        return false;
    if (size > 0)
        memcpy (self->bytes + self->end, bytes, size);
    self->end += size;
    return true;
}

bool rp_buffer_print (rp_buffer_t *self, const char *format, ...)
{
    va_list arguments, again;
    va_start (arguments, format);
    va_copy (again, arguments);
    int size = vsnprintf (NULL, 0, format, arguments);
    va_end (arguments);
    bool done = size >= 0 && rp_buffer_reserve (self, (size_t) size + 1);
    if (done)
        self->end += (size_t) vsnprintf (self->bytes + self->end, (size_t) size + 1, format, again);
    va_end (again);
    return done;
}

void rp_buffer_use (rp_buffer_t *self, size_t size)
{
    self->start += size;
    if (self->start < self->end)
        return;
    self->start = self->end = 0;
    if (self->capacity > S_KEPT_CAPACITY)
        rp_buffer_clear (self);
}
