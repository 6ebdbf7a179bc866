/*  SPDX-License-Identifier: MPL-2.0

    Instants as text, as a table.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/program/instant.h"

static void rfc_3339_is_read (void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01T00:00:01z", 1000000},
      {"1970-01-01t01:00:00+01:00", 0},
      {"1969-12-31T19:00:00-05:00", 0},
      {"2027-01-31T18:30:00Z", INT64_C (1801420200000000)},
      {"2027-01-31T18:30:00.25Z", INT64_C (1801420200250000)},
      {"2027-01-31T18:30:00.000001Z", INT64_C (1801420200000001)},
      {"2027-01-31T18:30:00.000001999Z", INT64_C (1801420200000001)},
      {"2027-01-31T19:30:00.25+01:00", INT64_C (1801420200250000)},
      {"2027-01-31T13:00:00-05:30", INT64_C (1801420200000000)},
      {"2028-02-29T00:00:00Z", INT64_C (1835395200000000)},
      {"9999-12-31T23:59:59Z", INT64_C (253402300799000000)},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++) {
        int64_t us = -1;
        assert_true (rp_instant_parse (rows[index].text, &us));
        assert_true (us == rows[index].us);
    }
}

static void everything_else_is_refused (void **state)
{
    (void) state;
    static const char *const texts[] = {"", "now", "5m", "2027-01-31", "2027-01-31T18:30:00",
      "2027-01-31 18:30:00Z", "2027-1-31T18:30:00Z", "2027-02-29T00:00:00Z", "2027-04-31T00:00:00Z",
      "2027-00-10T00:00:00Z", "2027-13-10T00:00:00Z", "2027-01-00T00:00:00Z",
      "2027-01-31T24:00:00Z", "2027-01-31T18:60:00Z", "2027-01-31T18:30:60Z",
      "2027-01-31T18:30:00.Z", "2027-01-31T18:30:00.1234567890Z", "2027-01-31T18:30:00+1:00",
      "2027-01-31T18:30:00+24:00", "2027-01-31T18:30:00+01:60", "2027-01-31T18:30:00+01:00x",
      "2027-01-31T18:30:00ZZ", "1969-12-31T23:59:59Z", "2027-01-31T18:30"};
    for (size_t index = 0; index < sizeof texts / sizeof *texts; index++) {
        int64_t us = 7;
        assert_false (rp_instant_parse (texts[index], &us));
        assert_int_equal (us, 7);
    }
}

static void an_instant_is_written_in_utc_and_read_back (void **state)
{
    (void) state;
    char text[RP_INSTANT_TEXT_MAX];
    int64_t us = 0;
    assert_string_equal (rp_instant_format (text, sizeof text, INT64_C (1801420200250999)),
      "2027-01-31T18:30:00.250Z");
    assert_true (rp_instant_parse (text, &us));
    assert_true (us == INT64_C (1801420200250000));
    assert_string_equal (rp_instant_format (text, sizeof text, 0), "-");
    assert_string_equal (rp_instant_format (text, sizeof text, INT64_MIN), "-");
    rp_instant_format (text, sizeof text, INT64_MAX); // of the year 294247
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (rfc_3339_is_read),
      cmocka_unit_test (everything_else_is_refused),
      cmocka_unit_test (an_instant_is_written_in_utc_and_read_back),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
