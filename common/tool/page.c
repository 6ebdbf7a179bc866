/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/page.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/base/version.h"

/*  Columns of --help: where explanations begin, and the width of the page.  */
#define S_INDENT 30u
#define S_WIDTH 80u

/*  Returns the columns of a text: bytes that continue a UTF-8 character take none.  */
static size_t s_columns (const char *text, size_t size)
{
    size_t columns = 0;
    for (size_t index = 0; index < size; index++)
        columns += ((unsigned char) text[index] & 0xc0) != 0x80;
    return columns;
}

void rp_page_wrap (FILE *out, const char *text, size_t column, size_t indent)
{
    bool first = true;
    while (*text) {
        size_t size = strcspn (text, " ");
        size_t columns = s_columns (text, size);
        if (!first && column + 1 + columns > S_WIDTH) {
            fprintf (out, "\n%*s", (int) indent, "");
            column = indent;
        }
        else if (!first) {
            fputc (' ', out);
            column++;
        }
        fwrite (text, 1, size, out);
        column += columns;
        first = false;
        text += size;
        text += strspn (text, " ");
    }
    fputc ('\n', out);
}

void rp_page_entry (FILE *out, const char *term, const char *help)
{
    size_t columns = s_columns (term, strlen (term)) + 2;
    fprintf (out, "  %s", term);
    if (columns + 2 > S_INDENT) {
        fputc ('\n', out);
        columns = 0;
    }
    fprintf (out, "%*s", (int) (S_INDENT - columns), "");
    rp_page_wrap (out, help, S_INDENT, S_INDENT);
}

void rp_page_roff (FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs ("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs ("\\e", out);
        else if (*text == '-')
            fputs ("\\-", out);
        else
            fputc (*text, out);
    }
}

void rp_page_bold (FILE *out, const char *before, const char *text)
{
    fputs ("\\fB", out);
    rp_page_roff (out, before);
    rp_page_roff (out, text);
    fputs ("\\fR", out);
}

void rp_page_title (FILE *out, const char *program, const char *suffix, int section)
{
    fputs (".TH \"", out);
    rp_page_roff (out, program);
    fprintf (out, "%s\" %d \"%s\" \"riposte %s\" \"Riposte\"\n.SH NAME\n", suffix, section,
      RP_VERSION_DATE, RP_VERSION);
    rp_page_roff (out, program);
    fprintf (out, "%s \\- ", suffix);
}
