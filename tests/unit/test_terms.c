/*  Terms of services: what a setting says, and what is no setting.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/core/terms.h"

static void s_what_is_read_is_written_again (void **state)
{
    (void) state;
    static const char *const texts[][2] = {
      {"resize: concurrency=4", NULL},
      {"resize: concurrency=4 rate=100 queue=1000 deadline=2500ms attempts=3", NULL},
      {"a: b: rate=1", NULL}, // the name may have a colon
      {"a:  queue=7   attempts=10 ", "a: queue=7 attempts=10"},
      {"a: attempts=1 concurrency=2", "a: concurrency=2 attempts=1"},
      {"a: deadline=24h", "a: deadline=86400000ms"},
      {"a: queue=10 overload=drop_oldest admission=on", NULL},
      {"a: overload=lifo admission=off", NULL},
      {"a: overload=refuse", NULL},
    };
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        rp_terms_t terms;
        char reason[256] = "", text[RP_TERMS_TEXT_MAX];
        if (!rp_terms_parse (&terms, texts[index][0], reason, sizeof reason))
            fail_msg ("%s: %s", texts[index][0], reason);
        assert_string_equal (
          rp_terms_write (&terms, true, text), texts[index][1] ? texts[index][1] : texts[index][0]);
    }
}

static void s_what_makes_no_sense_is_refused_with_the_reason (void **state)
{
    (void) state;
    static const char *const texts[][2] = {
      {"", "wants SERVICE: TERM=VALUE [TERM=VALUE...]"},
      {"resize", "wants SERVICE: TERM=VALUE [TERM=VALUE...]"},
      {"resize: ", "says nothing of the service"},
      {": rate=1", "has no good name: 1 to 127 bytes without control characters"},
      {"riposte.ping: rate=1",
        "has a name that belongs to the broker, as all that begin with riposte. or mmi. do"},
      {"a: rate",
        "has \"rate\", but wants concurrency, rate, queue, deadline, attempts, overload or "
        "admission, each with =VALUE"},
      {"a: speed=1",
        "has \"speed\", but wants concurrency, rate, queue, deadline, attempts, overload "
        "or admission, each with =VALUE"},
      {"a: overload=fifo", "wants overload=refuse, drop_oldest or lifo"},
      {"a: admission=1", "wants admission=on or off"},
      {"a: admission=on overload=lifo",
        "has overload=lifo and admission=on, but what is refused does not wait; choose one"},
      {"a: rate=0", "wants rate=1 to 1000000"},
      {"a: rate=-1", "wants rate=1 to 1000000"},
      {"a: rate=1000001", "wants rate=1 to 1000000"},
      {"a: rate=", "wants rate=1 to 1000000"},
      {"a: attempts=11", "wants attempts=1 to 10"},
      {"a: deadline=0s", "wants deadline=1ms to 24h"},
      {"a: deadline=25h", "wants deadline=1ms to 24h"},
      {"a: deadline=5", "wants deadline=1ms to 24h"},
      {"a: rate=1 rate=2", "has rate twice"},
    };
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        rp_terms_t terms;
        char reason[256] = "";
        assert_false (rp_terms_parse (&terms, texts[index][0], reason, sizeof reason));
        assert_string_equal (reason, texts[index][1]);
    }
}

static void s_a_text_that_is_too_long_is_refused (void **state)
{
    (void) state;
    char text[1200], reason[256];
    rp_terms_t terms;
    memset (text, 'n', sizeof text);
    memcpy (text + 128, ": rate=1", 9);
    assert_false (rp_terms_parse (&terms, text, reason, sizeof reason));
    memcpy (text + 127, ": rate=1", 9);
    assert_true (rp_terms_parse (&terms, text, reason, sizeof reason));
    memset (text, ' ', sizeof text);
    memcpy (text, "a: rate=1", 9);
    text[sizeof text - 1] = '\0';
    assert_false (rp_terms_parse (&terms, text, reason, sizeof reason));
}

static void s_terms_are_found_by_the_name (void **state)
{
    (void) state;
    rp_terms_t terms[2];
    char reason[256];
    assert_true (rp_terms_parse (&terms[0], "a: rate=1", reason, sizeof reason));
    assert_true (rp_terms_parse (&terms[1], "ab: queue=1", reason, sizeof reason));
    rp_terms_list_t list = {terms, 2};
    assert_ptr_equal (rp_terms_find (&list, "a", 1), &terms[0]);
    assert_ptr_equal (rp_terms_find (&list, "ab", 2), &terms[1]);
    assert_null (rp_terms_find (&list, "abc", 3));
    assert_true (
      rp_terms_throttle (&terms[0]) && !rp_terms_throttle (&terms[1]) && !rp_terms_throttle (NULL));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_is_read_is_written_again),
      cmocka_unit_test (s_what_makes_no_sense_is_refused_with_the_reason),
      cmocka_unit_test (s_a_text_that_is_too_long_is_refused),
      cmocka_unit_test (s_terms_are_found_by_the_name),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
