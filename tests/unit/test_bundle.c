/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*  A bundle that is being written, in a block larger than the largest bundle.  */
typedef struct {
    uint8_t bytes[2 * RP_BUNDLE_MAX];
    size_t size;
} s_bundle_t;

static void s_begin (s_bundle_t *self)
{
    self->size = (size_t) (rp_bundle_write_head (self->bytes) - self->bytes);
}

static void s_add (s_bundle_t *self, const void *message, size_t size)
{
    uint8_t *at = rp_bundle_write_entry_head (self->bytes + self->size, size);
    if (size)
        memcpy (at, message, size);
    self->size = (size_t) (at - self->bytes) + size;
}

/*  Checks a copy in a block of exactly this size, so that a sanitizer finds a read beyond its
    end.  */
static bool s_is_valid (const void *bytes, size_t size)
{
    uint8_t *copy = malloc (size ? size : 1);
    assert_non_null (copy);
    if (size)
        memcpy (copy, bytes, size);
    bool valid = rp_bundle_is_valid (copy, size);
    free (copy);
    return valid;
}

static void s_what_was_written_is_read (void **state)
{
    (void) state;
    static s_bundle_t bundle;
    const char *const messages[] = {"a", "second", "the third, which is longer"};
    s_begin (&bundle);
    for (size_t index = 0; index < 3; index++)
        s_add (&bundle, messages[index], strlen (messages[index]));
    assert_true (rp_bundle_is (bundle.bytes, bundle.size));
    assert_true (s_is_valid (bundle.bytes, bundle.size));
    size_t offset = 0;
    size_t size;
    for (size_t index = 0; index < 3; index++) {
        const uint8_t *message = rp_bundle_next (bundle.bytes, bundle.size, &offset, &size);
        assert_non_null (message);
        assert_int_equal (size, strlen (messages[index]));
        assert_memory_equal (message, messages[index], size);
    }
    assert_null (rp_bundle_next (bundle.bytes, bundle.size, &offset, &size));
    assert_null (rp_bundle_next (bundle.bytes, bundle.size, &offset, &size)); // and stays there
    assert_int_equal (offset, bundle.size);
}

/*  docs/PROTOCOL.md, section 2.1  */
static void s_its_bytes_are_those_of_the_protocol (void **state)
{
    (void) state;
    static s_bundle_t bundle;
    static const uint8_t bytes[] = {'R', 'B', 1, 0, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 1, 'x'};
    s_begin (&bundle);
    s_add (&bundle, "hi", 2);
    s_add (&bundle, "x", 1);
    assert_int_equal (bundle.size, sizeof bytes);
    assert_memory_equal (bundle.bytes, bytes, sizeof bytes);
}

static void s_only_the_signature_makes_it_one (void **state)
{
    (void) state;
    assert_true (rp_bundle_is ("RB", 2));
    assert_true (rp_bundle_is ("RBanything", 10));
    assert_false (rp_bundle_is ("R", 1));
    assert_false (rp_bundle_is ("", 0));
    assert_false (rp_bundle_is (NULL, 0));
    assert_false (rp_bundle_is ("RP\1\1", 4));
    assert_false (rp_bundle_is ("BR\1\0", 4));
}

#define S_REFUSED(text) assert_false (s_is_valid (text, sizeof text - 1))

static void s_what_does_not_add_up_is_refused (void **state)
{
    (void) state;
    S_REFUSED ("");
    S_REFUSED ("RB\1");
    S_REFUSED ("RB\1\0");         // nothing in it
    S_REFUSED ("RB\1\0\0\0\0");   // a size cut short
    S_REFUSED ("RB\1\0\0\0\0\1"); // a message cut short
    S_REFUSED ("RB\1\0\0\0\0\2x");
    S_REFUSED ("RB\1\0\0\0\0\0"); // an empty message
    S_REFUSED ("RB\1\0\0\0\0\1x\0\0\0\0");
    S_REFUSED ("RB\1\0\0\0\0\1xx"); // trailing bytes
    S_REFUSED ("RB\1\0\0\0\0\1x\0\0\0");
    S_REFUSED ("RB\1\0\0\0\0\1x\0\0\0\2x"); // the second size is too large
    S_REFUSED ("RB\1\0\377\377\377\377x");  // sizes that might wrap around
    S_REFUSED ("RB\1\0\0\0\0\1x\377\377\377\373\0\0\0");
    S_REFUSED ("RB\0\0\0\0\0\1x"); // other versions
    S_REFUSED ("RB\2\0\0\0\0\1x");
    S_REFUSED ("RB\1\1\0\0\0\1x"); // a reserved byte that is not 0
    S_REFUSED ("RP\1\0\0\0\0\1x");
    assert_true (s_is_valid ("RB\1\0\0\0\0\1x", 9));
}

static void s_the_limit_is_inclusive (void **state)
{
    (void) state;
    static s_bundle_t bundle;
    static const uint8_t zeros[RP_BUNDLE_MAX];
    s_begin (&bundle);
    s_add (&bundle, zeros, RP_BUNDLE_MAX - RP_BUNDLE_HEAD - RP_BUNDLE_ENTRY_HEAD);
    assert_int_equal (bundle.size, RP_BUNDLE_MAX);
    assert_true (s_is_valid (bundle.bytes, bundle.size));
    s_begin (&bundle);
    s_add (&bundle, zeros, RP_BUNDLE_MAX - RP_BUNDLE_HEAD - RP_BUNDLE_ENTRY_HEAD + 1);
    assert_false (s_is_valid (bundle.bytes, bundle.size));
}

static void s_it_holds_as_many_as_fit (void **state)
{
    (void) state;
    static s_bundle_t bundle;
    size_t count = 0;
    for (s_begin (&bundle); bundle.size + RP_BUNDLE_ENTRY_HEAD + 1 <= RP_BUNDLE_MAX; count++)
        s_add (&bundle, "x", 1);
    assert_true (s_is_valid (bundle.bytes, bundle.size));
    size_t offset = 0;
    size_t size;
    size_t found = 0;
    for (; rp_bundle_next (bundle.bytes, bundle.size, &offset, &size); found++)
        assert_int_equal (size, 1);
    assert_int_equal (found, count);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_was_written_is_read),
      cmocka_unit_test (s_its_bytes_are_those_of_the_protocol),
      cmocka_unit_test (s_only_the_signature_makes_it_one),
      cmocka_unit_test (s_what_does_not_add_up_is_refused),
      cmocka_unit_test (s_the_limit_is_inclusive),
      cmocka_unit_test (s_it_holds_as_many_as_fit),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
