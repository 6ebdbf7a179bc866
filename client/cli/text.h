/*  Formats text for people and for other programs: display width, escapes, quotes, encoding.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_TEXT_H
#define RP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*  Returns the columns of text on a terminal: UTF-8, with wide and combining characters. A byte
    that is not UTF-8 takes one column.  */
size_t rp_text_width (const char *text, size_t size);

/*  Returns the bytes of the longest prefix with at most width columns, without cutting a
    character.  */
size_t rp_text_fit (const char *text, size_t size, size_t width);

/*  Returns a copy that is safe to show, so that text from a peer cannot control a terminal: a
    control character or a byte that is not UTF-8 becomes "\x1b", a tab four blanks. The caller
    frees it; NULL when out of memory.  */
char *rp_text_visible (const void *data, size_t size);

/*  Returns the base64 (RFC 4648, with padding) of data. The caller frees it; NULL when out of
    memory.  */
char *rp_text_base64 (const void *data, size_t size);

/*  Writes one field of CSV (RFC 4180), in quotes if needed.  */
void rp_text_csv (FILE *out, const char *text, size_t size);

#endif
