/*  A byte buffer: bytes are added at the end and consumed from the front. It holds what a child
    process has still to read, and what it has written.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_BUFFER_H
#define RP_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *bytes; /* capacity of them */
    size_t capacity;
    size_t start; /* used up before this */
    size_t end;
} rp_buffer_t;

void rp_buffer_clear (rp_buffer_t *self);

static inline size_t rp_buffer_size (const rp_buffer_t *self)
{
    return self->end - self->start;
}

/*  Never NULL.  */
static inline const char *rp_buffer_data (const rp_buffer_t *self)
{
    return self->bytes ? self->bytes + self->start : "";
}

/*  Makes room for size bytes at bytes + end. False when out of memory.  */
bool rp_buffer_reserve (rp_buffer_t *self, size_t size);

/*  False when out of memory; nothing was appended then.  */
bool rp_buffer_append (rp_buffer_t *self, const void *bytes, size_t size);

/*  Appends text; as printf.  */
bool rp_buffer_print (rp_buffer_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  Drops size bytes at the front.  */
void rp_buffer_use (rp_buffer_t *self, size_t size);

#endif
