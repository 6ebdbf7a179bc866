/*  Formats text for the pages of programs: in columns for a terminal, and for man(7).

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_PAGE_H
#define RP_PAGE_H

#include <stdio.h>

/*  Writes words up to the width of the page, and ends the line. column: where the line already
    stands; indent: where the next lines begin.  */
void rp_page_wrap (FILE *out, const char *text, size_t column, size_t indent);

/*  Writes a term at the left and its explanation at the right.  */
void rp_page_entry (FILE *out, const char *term, const char *help);

/*  Begins a page of man: its title, and the name that it explains. suffix: behind the program's
    name, such as ".cfg" or "".  */
void rp_page_title (FILE *out, const char *program, const char *suffix, int section);

/*  Writes text so that roff changes no character.  */
void rp_page_roff (FILE *out, const char *text);
/*  The same in bold, behind the text before.  */
void rp_page_bold (FILE *out, const char *before, const char *text);

#endif
