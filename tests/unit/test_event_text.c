/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/event_text.h"

/*  Writes an event in pieces of this size. Returns its text.  */
static const char *s_write (const void *data, size_t size, const char *name, size_t room)
{
    static char text[512];
    size_t used = 0;
    rp_event_text_t event;
    rp_event_text_begin (&event, data, size, name);
    for (size_t count; (count = rp_event_text_write (&event, text + used, room)) > 0;)
        used += count;
    text[used] = '\0';
    return text;
}

static void a_body_becomes_one_event (void **state)
{
    (void) state;
    static const struct {
        const char *body;
        size_t size;
        const char *name;
        const char *text;
    } cases[] = {
      {"one", 3, NULL, "data: one\n\n"},
      {"", 0, NULL, "data: \n\n"},
      {" a\n", 3, NULL, "data:  a\ndata: \n\n"},
      {"a\n\nb", 4, NULL, "data: a\ndata: \ndata: b\n\n"},
      {"\xc3\xa4", 2, NULL, "data: \xc3\xa4\n\n"},
      {"event: x", 8, NULL, "data: event: x\n\n"},
      {"{}", 2, "end", "event: end\ndata: {}\n\n"},
      // What would not come as it was is in base64 (RFC 4648, 10, with a byte that is no UTF-8 before).
      {"\xff", 1, NULL, "event: bytes\ndata: /w==\n\n"},
      {"\xff\xfe", 2, NULL, "event: bytes\ndata: //4=\n\n"},
      {"\xff\xfe\xfd", 3, NULL, "event: bytes\ndata: //79\n\n"},
      {"a\r\nb", 4, NULL, "event: bytes\ndata: YQ0KYg==\n\n"},
      {"\0", 1, NULL, "event: bytes\ndata: AA==\n\n"},
      {"\xc3", 1, NULL, "event: bytes\ndata: ww==\n\n"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++)
        for (size_t room = 1; room < 64; room++)
            assert_string_equal (
              s_write (cases[index].body, cases[index].size, cases[index].name, room),
              cases[index].text);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_body_becomes_one_event),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
