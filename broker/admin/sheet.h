/*  Sheet: a text that grows while it is written. It is for texts of very many lines, such as metrics, for which
    printf into a stream takes ten times as long.

    SPDX-License-Identifier: MPL-2.0

    A failure (out of memory) stays: what is written afterwards is dropped, and rp_sheet_finish says so.
    Thread-safety: none.
*/

#ifndef RP_SHEET_H
#define RP_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*  All zeros is an empty sheet.  */
typedef struct {
    char *bytes; /* room for `room` of them; NULL: none yet, or it has failed */
    size_t size;
    size_t room;
    bool failed;
} rp_sheet_t;

/*  Makes room for more bytes. Returns where they go; NULL if it has failed.  */
char *rp_sheet_reserve (rp_sheet_t *self, size_t size);

static inline void rp_sheet_write (rp_sheet_t *self, const char *bytes, size_t size)
{
    char *at = self->room - self->size >= size && size > 0 ? self->bytes + self->size
                                                           : rp_sheet_reserve (self, size);
    if (!at)
        return;
    memcpy (at, bytes, size);
    self->size += size;
}

/*  Writes a text that ends with NUL.  */
static inline void rp_sheet_text (rp_sheet_t *self, const char *text)
{
    rp_sheet_write (self, text, strlen (text));
}

/*  Writes a decimal number.  */
void rp_sheet_number (rp_sheet_t *self, uint64_t number);

/*  Writes microseconds as seconds with six places.  */
void rp_sheet_seconds (rp_sheet_t *self, uint64_t micros);

/*  As printf.  */
void rp_sheet_print (rp_sheet_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  Returns the text for free (), and its size without the NUL at its end; NULL if anything was lost. The sheet is
    empty afterwards.  */
char *rp_sheet_finish (rp_sheet_t *self, size_t *size);

#endif
