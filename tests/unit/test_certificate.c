/*  The text of certificates, as Riposte, CZMQ and pyzmq write it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/certificate.h"

/*  The example key pair of zmq_curve(7).  */
#define S_PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define S_SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define S_OTHER "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define S_CURVE "curve\n    public-key = \"" S_PUBLIC "\"\n"
#define S_PAIR S_CURVE "    secret-key = \"" S_SECRET "\"\n"

static rp_certificate_t s_certificate;
static char s_reason[RP_CERTIFICATE_REASON_MAX];

static bool s_parse (const char *text)
{
    // In a block of exactly this size the address sanitizer finds a read beyond the end.
    size_t size = strlen (text);
    char *copy = malloc (size > 0 ? size : 1);
    assert_non_null (copy);
    memcpy (copy, text, size);
    *s_reason = '\0';
    bool good = rp_certificate_parse (&s_certificate, copy, size, s_reason);
    free (copy);
    return good;
}

static void s_reads (const char *text)
{
    bool good = s_parse (text);
    assert_string_equal (s_reason, "");
    assert_true (good);
}

static void s_refuses (const char *text, const char *reason)
{
    static const rp_certificate_t empty;
    assert_false (s_parse (text));
    if (!strstr (s_reason, reason))
        fail_msg ("\"%s\" has no \"%s\"", s_reason, reason);
    assert_memory_equal (&s_certificate, &empty, sizeof empty);
}

static void s_public_key_is (const char *expected)
{
    char text[RP_KEY_TEXT];
    rp_key_format (s_certificate.public_key, text);
    assert_string_equal (text, expected);
}

static void a_public_certificate_is_read (void **state)
{
    (void) state;
    s_reads ("metadata\n"
             "    name = \"ada lovelace\"\n"
             "    principal = \"ada\"\n"
             "    role = \"caller,ops\"\n"
             "    created = \"2026-11-28T16:00:00Z\"\n"
             "    expires = \"2027-01-31\"\n" S_CURVE);
    s_public_key_is (S_PUBLIC);
    assert_false (s_certificate.has_secret);
    assert_string_equal (s_certificate.name, "ada lovelace");
    assert_string_equal (s_certificate.principal, "ada");
    assert_string_equal (s_certificate.roles, "caller,ops");
    assert_string_equal (s_certificate.created, "2026-11-28T16:00:00Z");
    assert_string_equal (s_certificate.expires, "2027-01-31");
}

static void a_secret_certificate_is_read_and_forgotten (void **state)
{
    static const uint8_t zeros[RP_KEY_SIZE];
    char text[RP_KEY_TEXT];
    (void) state;
    s_reads (S_PAIR);
    assert_true (s_certificate.has_secret);
    rp_key_format (s_certificate.secret_key, text);
    assert_string_equal (text, S_SECRET);
    rp_certificate_forget (&s_certificate);
    assert_false (s_certificate.has_secret);
    assert_memory_equal (s_certificate.secret_key, zeros, sizeof zeros);
    s_public_key_is (S_PUBLIC);
}

static void what_czmq_writes_is_read (void **state)
{
    (void) state;
    s_reads ("#   ****  Generated on 2026-11-28 16:16:02 by CZMQ  ****\n"
             "#   ZeroMQ CURVE **Secret** Certificate\n"
             "#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n"
             "\n"
             "metadata\n"
             "    name = \"ada lovelace\"\n"
             "    empty = \"\"\n"
             "    odd = \"x # \"y\"\"\n" S_PAIR);
    assert_string_equal (s_certificate.name, "ada lovelace");
    assert_true (s_certificate.has_secret);
}

static void what_pyzmq_writes_is_read (void **state)
{
    (void) state;
    s_reads ("#   ****  Generated on 2026-11-28 16:16:02.123456 by pyzmq  ****\n"
             "#   ZeroMQ CURVE **Secret** Certificate\n"
             "#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n"
             "\n"
             "metadata\n"
             "    principal = ada\n"
             "    role = a,b\n"
             "    e mail = ada@example.com\n"
             "    nothing = \n" S_PAIR);
    assert_string_equal (s_certificate.principal, "ada");
    assert_string_equal (s_certificate.roles, "a,b");
    s_reads ("metadata\ncurve\n    public-key = \"" S_OTHER "\"\n");
    s_public_key_is (S_OTHER);
}

static void other_sections_and_names_are_ignored (void **state)
{
    (void) state;
    s_reads ("metadata\n    email = \"a@b\"\n    more\n        principal = \"eve\"\n"
             "more\n    principal = \"eve\"\n    public-key = \"x\"\n" S_CURVE);
    assert_string_equal (s_certificate.principal, "");
}

static void a_text_without_a_key_is_no_certificate (void **state)
{
    (void) state;
    s_refuses ("", "no certificate");
    s_refuses ("metadata\n    name = \"ada\"\n", "riposte keys new");
    s_refuses ("-----BEGIN PRIVATE KEY-----\n", "no certificate");
    s_refuses ("public-key = \"" S_PUBLIC "\"\n", "no certificate");
}

static void a_key_that_is_none_is_refused_with_its_line (void **state)
{
    (void) state;
    s_refuses ("curve\n    public-key = \"abc\"\n", "line 2: the public key");
    s_refuses ("curve\n    public-key = \"" S_PUBLIC "0\"\n", "line 2: the public key");
    s_refuses ("curve\n    public-key\n", "line 2: the public key");
    s_refuses (S_CURVE "    secret-key = \"abc\"\n", "line 3: the secret key");
    // zcert writes this where there is no key.
    s_refuses ("curve\n    public-key = \"0000000000000000000000000000000000000000\"\n",
      "line 2: the public key");
}

static void a_pair_that_does_not_belong_together_is_refused (void **state)
{
    (void) state;
    s_refuses ("curve\n    public-key = \"" S_OTHER "\"\n    secret-key = \"" S_SECRET "\"\n",
      "does not belong");
}

static void a_mistake_in_a_line_that_matters_is_refused (void **state)
{
    (void) state;
    s_refuses ("metadata\n    expires = 2027-01-31#x\n" S_CURVE, "line 2: a # inside a value");
    s_refuses ("metadata\n   expires = \"2027-01-31\"\n" S_CURVE, "line 2: indentation");
    s_refuses ("metadata\n\texpires = \"2027-01-31\"\n" S_CURVE, "line 2: a tab");
    s_refuses ("metadata\n    principal = \"a\"b\"\n" S_CURVE, "line 2: text behind");
    s_refuses ("metadata {\n" S_CURVE, "line 1: neither");
}

static void a_line_that_is_there_twice_is_refused (void **state)
{
    (void) state;
    s_refuses ("metadata\n    role = \"a\"\n    role = \"b\"\n" S_CURVE, "line 3: a line that is");
    s_refuses (S_CURVE "    public-key = \"" S_OTHER "\"\n", "line 3: a line that is");
}

static void a_value_may_have_255_bytes (void **state)
{
    char text[512];
    char value[RP_CERTIFICATE_VALUE_MAX + 2];
    (void) state;
    memset (value, 'x', sizeof value);
    value[RP_CERTIFICATE_VALUE_MAX] = '\0';
    snprintf (text, sizeof text, "metadata\n    name = \"%s\"\n%s", value, S_CURVE);
    s_reads (text);
    assert_string_equal (s_certificate.name, value);
    value[RP_CERTIFICATE_VALUE_MAX] = 'x';
    value[RP_CERTIFICATE_VALUE_MAX + 1] = '\0';
    snprintf (text, sizeof text, "metadata\n    name = \"%s\"\n%s", value, S_CURVE);
    s_refuses (text, "line 2: a value of more than 255 bytes");
}

static void expiry_is_a_date_or_a_time (void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } cases[] = {
      {"", INT64_MAX},
      {"2027-01-31", 1801353600},
      {"2027-01-31T18:30:00Z", 1801420200},
      {"2024-02-29", 1709164800},
      {"2027-02-29", -1},
      {"2027-13-01", -1},
      {"2027-1-31", -1},
      {"2027-01-31 ", -1},
      {" 2027-01-31", -1},
      {"2027-01-31T18:30:00", -1},
      {"2027-01-31T18:30:00+01:00", -1},
      {"2027-01-31T24:30:00Z", -1},
      {"1960-01-01", -1},
      {"never", -1},
      {"0", -1},
    };
    (void) state;
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        int64_t seconds = 0;
        bool good = rp_certificate_expiry (cases[index].text, &seconds);
        if (good != (cases[index].seconds != -1) || (good && seconds != cases[index].seconds))
            fail_msg ("\"%s\": %s, %lld", cases[index].text, good ? "good" : "refused",
              (long long) seconds);
    }
    s_refuses ("metadata\n    expires = \"never\"\n" S_CURVE, "line 2: expires is neither");
}

static void z85_is_read_and_written (void **state)
{
    uint8_t key[RP_KEY_SIZE] = {7};
    uint8_t before[RP_KEY_SIZE];
    char text[RP_KEY_TEXT];
    (void) state;
    assert_true (rp_key_parse (key, S_PUBLIC));
    rp_key_format (key, text);
    assert_string_equal (text, S_PUBLIC);
    memcpy (before, key, sizeof key);
    static const char *const none[] = {"", "abc", S_PUBLIC "x", "\"" S_PUBLIC,
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI ", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\x80",
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\"", "########################################",
      "0000000000000000000000000000000000000000"};
    for (size_t index = 0; index < sizeof none / sizeof *none; index++)
        if (rp_key_parse (key, none[index]))
            fail_msg ("\"%s\" is taken", none[index]);
    assert_memory_equal (key, before, sizeof key);
}

static void new_pairs_are_pairs_and_differ (void **state)
{
    rp_certificate_t first;
    rp_certificate_t second;
    (void) state;
    assert_true (rp_certificate_new (&first));
    assert_true (rp_certificate_new (&second));
    assert_true (first.has_secret);
    assert_memory_not_equal (first.public_key, second.public_key, RP_KEY_SIZE);
    assert_memory_not_equal (first.secret_key, second.secret_key, RP_KEY_SIZE);
    assert_string_equal (first.principal, "");
    char text[512];
    char public_text[RP_KEY_TEXT];
    char secret_text[RP_KEY_TEXT];
    rp_key_format (first.public_key, public_text);
    rp_key_format (first.secret_key, secret_text);
    snprintf (text, sizeof text, "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
      public_text, secret_text);
    s_reads (text);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_public_certificate_is_read),
      cmocka_unit_test (a_secret_certificate_is_read_and_forgotten),
      cmocka_unit_test (what_czmq_writes_is_read),
      cmocka_unit_test (what_pyzmq_writes_is_read),
      cmocka_unit_test (other_sections_and_names_are_ignored),
      cmocka_unit_test (a_text_without_a_key_is_no_certificate),
      cmocka_unit_test (a_key_that_is_none_is_refused_with_its_line),
      cmocka_unit_test (a_pair_that_does_not_belong_together_is_refused),
      cmocka_unit_test (a_mistake_in_a_line_that_matters_is_refused),
      cmocka_unit_test (a_line_that_is_there_twice_is_refused),
      cmocka_unit_test (a_value_may_have_255_bytes),
      cmocka_unit_test (expiry_is_a_date_or_a_time),
      cmocka_unit_test (z85_is_read_and_written),
      cmocka_unit_test (new_pairs_are_pairs_and_differ),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
