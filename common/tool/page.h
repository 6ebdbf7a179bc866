/*  What the pages of programs are written with: columns for a terminal, and man(7).

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, but for the stream.
*/

#ifndef RP_PAGE_H
#define RP_PAGE_H

#include <stdio.h>

/*  Writes words up to the width of a terminal, and ends the line; column is where the line stands,
    indent where the next ones begin.  */
void rp_page_wrap (FILE *out, const char *text, size_t column, size_t indent);

/*  A term at the left and what it means at the right.  */
void rp_page_entry (FILE *out, const char *term, const char *help);

/*  Writes text so that roff takes every character as itself.  */
void rp_page_roff (FILE *out, const char *text);
/*  The same, bold; before stands in front of it.  */
void rp_page_bold (FILE *out, const char *before, const char *text);

#endif
