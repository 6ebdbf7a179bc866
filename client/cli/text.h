/*  Text for people and for other programs: display width, quoting, encoding.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, but for the stream.
*/

#ifndef RP_TEXT_H
#define RP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*  Columns that text takes on a terminal: UTF-8, wide and combining characters counted as such.
    Bytes that are not UTF-8 take one column each.  */
size_t rp_text_width (const char *text, size_t size);

/*  Bytes of the longest prefix that takes at most width columns; never cuts a character.  */
size_t rp_text_fit (const char *text, size_t size, size_t width);

/*  Returns a copy that is safe to show: a control character or a byte that is not UTF-8 becomes
    "\x1b", a tab four blanks. What a peer sent must not steer a terminal. The caller frees it; NULL
    when out of memory.  */
char *rp_text_visible (const void *data, size_t size);

/*  Returns the base64 (RFC 4648, with padding) of data. The caller frees it; NULL when out of
    memory.  */
char *rp_text_base64 (const void *data, size_t size);

/*  Writes one field of CSV (RFC 4180), in quotes where it needs them.  */
void rp_text_csv (FILE *out, const char *text, size_t size);

#endif
