/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/zpl.h"

/*  What a text reads as, in one line: "section; path=value@line:column; !line:column message".  */
typedef struct {
    char text[4096];
    size_t used;
} s_trace_t;

static void __attribute__ ((format (printf, 2, 3)))
s_append (s_trace_t *self, const char *format, ...)
{
    va_list list;
    va_start (list, format);
    int size = vsnprintf (self->text + self->used, sizeof self->text - self->used, format, list);
    va_end (list);
    assert_true (size >= 0 && (size_t) size < sizeof self->text - self->used);
    self->used += (size_t) size;
}

static void s_item (const rp_zpl_item_t *item, void *arg)
{
    if (item->value)
        s_append (arg, "%s=%s@%zu:%zu; ", item->path, item->value, item->value_at.line,
          item->value_at.column);
    else
        s_append (arg, "%s@%zu:%zu; ", item->path, item->name_at.line, item->name_at.column);
}

static void s_error (rp_zpl_place_t place, const char *message, void *arg)
{
    s_append (arg, "!%zu:%zu %s; ", place.line, place.column, message);
}

typedef void (s_read_fn) (
  const char *text, size_t size, rp_zpl_item_fn *item, rp_zpl_error_fn *error, void *arg);

static void s_reads_by (s_read_fn *read, const char *text, size_t size, const char *expected)
{
    s_trace_t trace = {0};
    // In a block of exactly this size the address sanitizer finds a read beyond the end.
    char *copy = malloc (size + 1);
    assert_non_null (copy);
    memcpy (copy, text, size);
    copy = realloc (copy, size > 0 ? size : 1);
    assert_non_null (copy);
    read (copy, size, s_item, s_error, &trace);
    free (copy);
    assert_string_equal (trace.text, expected);
}

static void s_reads_sized (const char *text, size_t size, const char *expected)
{
    s_reads_by (rp_zpl_read, text, size, expected);
}

static void s_reads_named (const char *text, const char *expected)
{
    s_reads_by (rp_zpl_read_named, text, strlen (text), expected);
}

static void s_reads (const char *text, const char *expected)
{
    s_reads_sized (text, strlen (text), expected);
}

static void nothing_reads_as_nothing (void **state)
{
    (void) state;
    s_reads ("", "");
    s_reads ("\n\n   \n# a comment\n       # one more\n\r\n", "");
}

static void the_example_of_the_standard_reads_as_meant (void **state)
{
    (void) state;
    s_reads ("#   Notice that indentation is always 4 spaces, there are no tabs.\n"
             "#\n"
             "context\n"
             "    iothreads = 1\n"
             "    verbose = 1      #   Ask for a trace\n"
             "\n"
             "main\n"
             "    type = zqueue    #  ZMQ_DEVICE type\n"
             "    frontend\n"
             "        option\n"
             "            hwm = 1000\n"
             "        bind = 'inproc://addr1'\n"
             "        bind = ipc://addr2\n"
             "    backend\n"
             "        bind = inproc://addr3\n",
      "context@3:1; context/iothreads=1@4:17; context/verbose=1@5:15; main@7:1; "
      "main/type=zqueue@8:12; main/frontend@9:5; main/frontend/option@10:9; "
      "main/frontend/option/hwm=1000@11:19; main/frontend/bind=inproc://addr1@12:16; "
      "main/frontend/bind=ipc://addr2@13:16; main/backend@14:5; "
      "main/backend/bind=inproc://addr3@15:16; ");
}

static void spaces_around_a_value_do_not_count_and_those_inside_do (void **state)
{
    (void) state;
    s_reads ("a=1\nb   =   two words   \r\nc = 3", "a=1@1:3; b=two words@2:9; c=3@3:5; ");
}

static void quotes_keep_what_would_be_lost (void **state)
{
    (void) state;
    s_reads ("a = \" # 'x' \"\nb = ''  # empty\nc = 'say \"hi\"'#\nd = it's\n",
      "a= # 'x' @1:5; b=@2:5; c=say \"hi\"@3:5; d=it's@4:5; ");
}

static void every_mistake_is_told_with_its_place (void **state)
{
    (void) state;
    s_reads ("a =\n"
             "b = # none\n"
             "c = 'open\n"
             "d = 'x' y\n"
             "e = 1#2\n"
             "  f = 1\n"
             "\tg = 1\n"
             "h\t= 1\n"
             "i j\n"
             "= 1\n"
             "k! = 1\n"
             "l = a\tb\n"
             "m/n = 1\n"
             "fine = 1\n",
      "!1:4 a value is missing; an empty one is written \"\"; "
      "!2:5 a value is missing; an empty one is written \"\"; "
      "!3:5 a quote that is not closed on its line; "
      "!4:9 text behind the closing quote; "
      "!5:6 a # inside a value; put the value in quotes, or a space before the #; "
      "!6:3 indentation that is not a multiple of four spaces; "
      "!7:1 a tab; indent and separate with spaces; "
      "!8:2 a tab; indent and separate with spaces; "
      "!9:3 neither \"=\" nor the end of the line behind the name; "
      "!10:1 a character that no name has; "
      "!11:2 a character that no name has; "
      "!12:6 a control character in a value; "
      "!13:2 a character that no name has; "
      "fine=1@14:8; ");
}

static void a_line_belongs_to_the_section_above_it_or_is_wrong (void **state)
{
    (void) state;
    s_reads ("    a = 1\n", "!1:5 indented without a section above it; ");
    s_reads ("a = 1\n    b = 2\n", "a=1@1:5; !2:5 indented without a section above it; ");
    s_reads ("a\n        b = 2\n    c = 3\nd = 4\n    e = 5\n",
      "a@1:1; !2:9 indented without a section above it; a/c=3@3:9; d=4@4:5; "
      "!5:5 indented without a section above it; ");
}

static void what_is_inside_a_wrong_section_is_left_out_with_it (void **state)
{
    (void) state;
    s_reads ("a b\n    c = 1\n        d = 2\ne\n    f! \n        g = 1\n    h = 3\n",
      "!1:3 neither \"=\" nor the end of the line behind the name; e@4:1; "
      "!5:6 a character that no name has; e/h=3@7:9; ");
}

static void zeros_in_the_text_are_mistakes (void **state)
{
    (void) state;
    s_reads_sized ("a\0 = 1\nb = \0\n", 13,
      "!1:2 a character that no name has; !2:5 a control character in a value; ");
    s_reads_sized ("\0", 1, "!1:1 a character that no name has; ");
}

static void sizes_are_bounded (void **state)
{
    (void) state;
    char text[2048];
    char value[RP_ZPL_VALUE_MAX + 2];
    memset (value, 'x', sizeof value);
    value[RP_ZPL_VALUE_MAX] = '\0';
    snprintf (text, sizeof text, "a = %s\n", value);
    char expected[2048];
    snprintf (expected, sizeof expected, "a=%s@1:5; ", value);
    s_reads (text, expected);
    snprintf (text, sizeof text, "a = x%s\n", value);
    s_reads (text, "!1:5 a value that is too long; ");

    value[RP_ZPL_PATH_MAX] = '\0';
    snprintf (text, sizeof text, "%s = 1\n", value);
    s_reads (text, "!1:1 a name that is too long; ");

    s_trace_t deep = {0};
    for (int depth = 0; depth <= (int) RP_ZPL_DEPTH_MAX; depth++)
        s_append (&deep, "%*sa\n", depth * 4, "");
    s_reads (deep.text, "a@1:1; a/a@2:5; a/a/a@3:9; a/a/a/a@4:13; a/a/a/a/a@5:17; "
                        "a/a/a/a/a/a@6:21; a/a/a/a/a/a/a@7:25; a/a/a/a/a/a/a/a@8:29; "
                        "!9:33 sections nested too deep; ");
}

static void a_named_section_is_a_value_with_lines_inside (void **state)
{
    (void) state;
    s_reads_named ("role = 'a'\n    call = x\n    call = y\nrole = b\n\nlog\n    level = 1\n",
      "role=a@1:8; role/call=x@2:12; role/call=y@3:12; role=b@4:8; log@6:1; log/level=1@7:13; ");
    s_reads_named ("a = 1\n    b = 2\n        c = 3\n    d = 4\n",
      "a=1@1:5; a/b=2@2:9; a/b/c=3@3:13; a/d=4@4:9; ");
    s_reads_named ("a = 1\n        b = 2\n", "a=1@1:5; !2:9 indented without a section above it; ");
}

static void what_is_inside_a_wrong_named_section_is_left_out_with_it (void **state)
{
    (void) state;
    s_reads_named ("role = 'a\n    call = x\nrole =\n    call = y\nrole = b\n    call = z\n",
      "!1:8 a quote that is not closed on its line; !3:7 a value is missing; an empty one is "
      "written "
      "\"\"; role=b@5:8; role/call=z@6:12; ");
}

static void named_sections_are_bounded_in_depth (void **state)
{
    (void) state;
    s_trace_t deep = {0};
    s_trace_t path = {0};
    s_trace_t expected = {0};
    for (int depth = 0; depth <= (int) RP_ZPL_DEPTH_MAX; depth++) {
        s_append (&deep, "%*sa=1\n", depth * 4, "");
        s_append (&path, depth > 0 ? "/a" : "a");
        s_append (&expected, "%s=1@%d:%d; ", path.text, depth + 1, depth * 4 + 3);
    }
    s_append (&deep, "%*sa=1\n", (int) (RP_ZPL_DEPTH_MAX + 1) * 4, "");
    s_append (&expected, "!10:37 indented without a section above it; ");
    s_reads_named (deep.text, expected.text);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (nothing_reads_as_nothing),
      cmocka_unit_test (the_example_of_the_standard_reads_as_meant),
      cmocka_unit_test (spaces_around_a_value_do_not_count_and_those_inside_do),
      cmocka_unit_test (quotes_keep_what_would_be_lost),
      cmocka_unit_test (every_mistake_is_told_with_its_place),
      cmocka_unit_test (a_line_belongs_to_the_section_above_it_or_is_wrong),
      cmocka_unit_test (what_is_inside_a_wrong_section_is_left_out_with_it),
      cmocka_unit_test (zeros_in_the_text_are_mistakes),
      cmocka_unit_test (sizes_are_bounded),
      cmocka_unit_test (a_named_section_is_a_value_with_lines_inside),
      cmocka_unit_test (what_is_inside_a_wrong_named_section_is_left_out_with_it),
      cmocka_unit_test (named_sections_are_bounded_in_depth),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
