/*  SPDX-License-Identifier: MPL-2.0

    What Prometheus reads: which format an Accept header wants, and what stands above the values in each.
*/

#include "broker/admin/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void openmetrics_is_for_who_wants_it_at_least_as_much_as_text (void **state)
{
    (void) state;
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
      {"application/openmetrics-text", true},
      {"application/openmetrics-text; version=1.0.0", true},
      {"Application/OpenMetrics-Text ;Version=1.0.0 ; Q=0.1", true},
      {"application/openmetrics-text;version=1.0.0,application/"
       "openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        true},
      {"text/plain;version=0.0.4;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5", true},
      {"text/plain;q=0.6,application/openmetrics-text;q=0.5", false},
      {"text/plain,application/openmetrics-text;version=1.0.0;q=0.9", false},
      {"application/openmetrics-text;version=0.0.1", false},
      {"application/openmetrics-text;version=0.0.1,text/plain;q=0.1", false},
      {"application/openmetrics-text;q=0", false},
      {"application/openmetrics-text;q=nan", false},
      {"application/openmetrics-text;q=", false},
      {"application/openmetrics-texts", false},
      {"text/plain;version=0.0.4", false},
      {"*/*", false},
      {"", false},
      {",;,=;q;", false},
    };
    for (size_t index = 0; index < sizeof rows / sizeof *rows; index++)
        if (rp_exposition_is_open (rows[index].accept) != rows[index].open)
            fail_msg ("Accept: %s", rows[index].accept);
}

static void s_assert_written (bool open, const char *wanted)
{
    rp_exposition_t page = {.open = open};
    size_t size;
    rp_exposition_single (&page, "a_seconds_total", "counter", "A.", 1);
    rp_exposition_single (&page, "b_bytes", "gauge", "B.", 2);
    rp_exposition_single (&page, "c", "gauge", "C.", 3);
    char *text = rp_exposition_finish (&page, &size);
    assert_string_equal (text, wanted);
    free (text);
}

static void openmetrics_has_units_no_total_above_counters_and_an_end (void **state)
{
    (void) state;
    s_assert_written (true,
      "# HELP a_seconds A.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n"
      "# HELP b_bytes B.\n# TYPE b_bytes gauge\n# UNIT b_bytes bytes\nb_bytes 2\n"
      "# HELP c C.\n# TYPE c gauge\nc 3\n# EOF\n");
}

static void text_has_the_name_of_the_values_above_them (void **state)
{
    (void) state;
    s_assert_written (false,
      "# HELP a_seconds_total A.\n# TYPE a_seconds_total counter\na_seconds_total 1\n"
      "# HELP b_bytes B.\n# TYPE b_bytes gauge\nb_bytes 2\n# HELP c C.\n# TYPE c gauge\nc 3\n");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (openmetrics_is_for_who_wants_it_at_least_as_much_as_text),
      cmocka_unit_test (openmetrics_has_units_no_total_above_counters_and_an_end),
      cmocka_unit_test (text_has_the_name_of_the_values_above_them),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
