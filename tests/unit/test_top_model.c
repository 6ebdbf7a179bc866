/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/cli/top_draw.h"
#include "client/cli/top_model.h"

#define S_SECOND INT64_C (1000000)
/*  A time at which a part of the last minute begins.  */
#define S_BEGIN (20 * RP_TOP_PART_US)

static void s_update (rp_top_t *top, const char *instance, const char *services, int64_t now)
{
    json_t *status = json_pack ("{s:s, s:s, s:I}", "version", "1.2", "instance", instance,
      "uptime_us", (json_int_t) S_SECOND);
    json_t *list = json_loads (services, 0, NULL);
    assert_non_null (list);
    json_t *answer = json_pack ("{s:o}", "services", list);
    assert_true (rp_top_update (top, status, answer, now));
    json_decref (status);
    json_decref (answer);
}

/*  Expects the names in this order: "b a c".  */
static void s_expect_order (const rp_top_t *top, const char *names)
{
    char found[256] = "";
    for (size_t index = 0; index < top->count; index++) {
        strcat (found, index > 0 ? " " : "");
        strcat (found, top->sorted[index]->name);
    }
    assert_string_equal (found, names);
}

static void rates_are_differences_divided_by_time (void **state)
{
    (void) state;
    rp_top_t top = {0};
    s_update (&top, "x", "[{\"name\": \"a\", \"requests\": 100, \"failed\": 1}]", S_BEGIN);
    assert_true (top.sorted[0]->rate < 0 && top.rate < 0);
    s_update (
      &top, "x", "[{\"name\": \"a\", \"requests\": 150, \"failed\": 6}]", S_BEGIN + S_SECOND / 2);
    assert_true (top.sorted[0]->rate == 100 && top.sorted[0]->failed_rate == 10);
    assert_true (top.rate == 100);
    rp_top_clear (&top);
}

static void a_service_that_is_new_has_a_rate (void **state)
{
    (void) state;
    rp_top_t top = {0};
    s_update (&top, "x", "[]", S_BEGIN);
    s_update (&top, "x", "[{\"name\": \"a\", \"requests\": 4}]", S_BEGIN + S_SECOND);
    assert_true (top.sorted[0]->rate == 4);
    s_update (&top, "x", "[{\"name\": \"a\", \"requests\": 2}]", S_BEGIN + 2 * S_SECOND);
    assert_true (top.sorted[0]->rate == 2); // it had gone, and has come back
    rp_top_clear (&top);
}

static void another_broker_has_no_rates_yet (void **state)
{
    (void) state;
    rp_top_t top = {0};
    s_update (&top, "x", "[{\"name\": \"a\", \"requests\": 1}]", S_BEGIN);
    s_update (&top, "y", "[{\"name\": \"a\", \"requests\": 9}, {\"name\": \"b\"}]", S_BEGIN + 1);
    assert_true (top.rows[0].rate < 0 && top.rows[1].rate < 0);
    s_update (&top, "y", "[{\"name\": \"a\", \"requests\": 9}]", S_BEGIN + S_SECOND);
    assert_true (top.rows[0].rate == 0);
    rp_top_clear (&top);
}

static const char s_three[] =
  "[{\"name\": \"c\", \"waiting\": 9, \"oldest_us\": 1, \"workers\": 2},"
  " {\"name\": \"a\", \"waiting\": 0, \"oldest_us\": 0, \"workers\": 2},"
  " {\"name\": \"b\", \"waiting\": 2, \"oldest_us\": 1000, \"workers\": 5}]";

static void the_worst_is_first (void **state)
{
    (void) state;
    rp_top_t top = {0};
    s_update (&top, "x", s_three, S_BEGIN);
    s_expect_order (&top, "b c a");
    assert_int_equal (rp_top_find (&top, "c"), 1);
    assert_int_equal (rp_top_find (&top, "d"), 3);
    rp_top_clear (&top);
}

static void rows_are_sorted_by_each_column_and_back (void **state)
{
    (void) state;
    rp_top_t top = {0};
    s_update (&top, "x", s_three, S_BEGIN);
    rp_top_sort (&top, RP_TOP_NAME, false);
    s_expect_order (&top, "a b c");
    rp_top_sort (&top, RP_TOP_NAME, true);
    s_expect_order (&top, "c b a");
    rp_top_sort (&top, RP_TOP_WAITING, false);
    s_expect_order (&top, "c b a");
    rp_top_sort (&top, RP_TOP_WAITING, true);
    s_expect_order (&top, "a b c");
    rp_top_sort (&top, RP_TOP_WORKERS, false);
    s_expect_order (&top, "b a c"); // equal rows by name
    s_update (&top, "x", s_three, S_BEGIN + S_SECOND);
    s_expect_order (&top, "b a c");
    rp_top_clear (&top);
}

static void the_last_minute_keeps_the_most_of_each_part (void **state)
{
    (void) state;
    rp_top_t top = {0};
    const uint64_t *parts;
    s_update (&top, "x", "[{\"name\": \"a\", \"waiting\": 3}]", S_BEGIN);
    s_update (&top, "x", "[{\"name\": \"a\", \"waiting\": 8}]", S_BEGIN + S_SECOND);
    s_update (&top, "x", "[{\"name\": \"a\", \"waiting\": 1}]", S_BEGIN + 2 * S_SECOND);
    parts = top.rows[0].parts;
    assert_int_equal (parts[RP_TOP_PARTS - 1], 8);
    assert_true (parts[RP_TOP_PARTS - 2] == RP_TOP_NOTHING);
    s_update (&top, "x", "[{\"name\": \"a\", \"waiting\": 1}]", S_BEGIN + RP_TOP_PART_US);
    parts = top.rows[0].parts;
    assert_int_equal (parts[RP_TOP_PARTS - 2], 8);
    assert_int_equal (parts[RP_TOP_PARTS - 1], 1);
    s_update (&top, "x", "[{\"name\": \"a\", \"waiting\": 5}]", S_BEGIN + 4 * RP_TOP_PART_US);
    parts = top.rows[0].parts; // nobody asked in two parts
    assert_int_equal (parts[RP_TOP_PARTS - 2], 1);
    assert_int_equal (parts[RP_TOP_PARTS - 5], 8);
    assert_int_equal (parts[RP_TOP_PARTS - 1], 5);
    s_update (&top, "x", "[{\"name\": \"a\"}]", S_BEGIN + 100 * RP_TOP_PART_US);
    assert_int_equal (top.rows[0].parts[0], 5);
    assert_int_equal (top.rows[0].parts[RP_TOP_PARTS - 1], 0);
    rp_top_clear (&top);
}

/*  ---- Drawing ------------------------------------------------------------------------------- */

static const rp_colours_t s_none = {"", "", "", ""};

/*  Draws into buffer, as lines without the sequences that clear the rest of a line.  */
static void s_draw (const rp_top_t *top, const rp_top_view_t *view, char *buffer, size_t size)
{
    memset (buffer, 0, size);
    FILE *out = fmemopen (buffer, size, "w");
    assert_non_null (out);
    rp_top_draw (top, view, out);
    fclose (out);
}

static size_t s_lines (const char *text)
{
    size_t lines = 1;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void a_picture_has_the_size_of_the_terminal (void **state)
{
    (void) state;
    static char buffer[65536];
    rp_top_t top = {0};
    s_update (&top, "x", s_three, S_BEGIN);
    for (size_t width = 1; width < 150; width += 7)
        for (size_t height = 1; height < 12; height++) {
            rp_top_view_t view = {
              .width = width, .height = height, .server = "tcp://a:1", .colours = s_none};
            s_draw (&top, &view, buffer, sizeof buffer);
            assert_int_equal (s_lines (buffer), height);
        }
    rp_top_clear (&top);
}

static void a_long_name_is_cut_and_a_selected_row_is_marked (void **state)
{
    (void) state;
    static char buffer[65536];
    char name[260];
    rp_top_t top = {0};
    memset (name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    json_t *list = json_pack ("[{s:s}, {s:s}]", "name", name, "name", "日本");
    char *text = json_dumps (list, 0);
    s_update (&top, "x", text, S_BEGIN);
    rp_top_view_t view = {
      .width = 80, .height = 10, .selected = 1, .server = "tcp://a:1", .colours = s_none};
    s_draw (&top, &view, buffer, sizeof buffer);
    assert_null (strstr (buffer, "nnnnnnnnnnnnnnnnnnnn"));
    assert_non_null (strstr (buffer, "nnn…"));
    assert_non_null (strstr (buffer, "> 日本"));
    free (text);
    json_decref (list);
    rp_top_clear (&top);
}

static void the_selected_row_is_always_in_sight (void **state)
{
    (void) state;
    static char buffer[65536];
    rp_top_t top = {0};
    json_t *list = json_array ();
    for (int index = 0; index < 30; index++)
        json_array_append_new (list, json_pack ("{s:o}", "name", json_sprintf ("s%02d", index)));
    char *text = json_dumps (list, 0);
    s_update (&top, "x", text, S_BEGIN);
    rp_top_view_t view = {
      .width = 80, .height = 10, .selected = 29, .server = "tcp://a:1", .colours = s_none};
    s_draw (&top, &view, buffer, sizeof buffer);
    assert_non_null (strstr (buffer, "> s29"));
    assert_null (strstr (buffer, "s05"));
    free (text);
    json_decref (list);
    rp_top_clear (&top);
}

static void a_problem_is_in_the_top_line (void **state)
{
    (void) state;
    static char buffer[65536];
    rp_top_t top = {0};
    rp_top_view_t view = {.width = 80,
      .height = 5,
      .server = "tcp://a:1",
      .problem = "no answer for 3 s",
      .colours = s_none};
    s_draw (&top, &view, buffer, sizeof buffer);
    assert_true (strcspn (buffer, "\n") > (size_t) (strstr (buffer, "no answer for 3 s") - buffer));
    rp_top_clear (&top);
}

static void a_queue_is_drawn_from_empty_to_its_most (void **state)
{
    (void) state;
    char text[RP_TOP_SPARKS_MAX];
    rp_top_row_t row = {.name = NULL};
    for (size_t part = 0; part < RP_TOP_PARTS; part++)
        row.parts[part] = part < 9 ? RP_TOP_NOTHING : 0;
    assert_string_equal (rp_top_sparks (&row, text), "         ▁▁▁");
    row.parts[10] = 1;
    row.parts[11] = 1000;
    assert_string_equal (rp_top_sparks (&row, text), "         ▁▂█");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (rates_are_differences_divided_by_time),
      cmocka_unit_test (a_service_that_is_new_has_a_rate),
      cmocka_unit_test (another_broker_has_no_rates_yet),
      cmocka_unit_test (the_worst_is_first),
      cmocka_unit_test (rows_are_sorted_by_each_column_and_back),
      cmocka_unit_test (the_last_minute_keeps_the_most_of_each_part),
      cmocka_unit_test (a_picture_has_the_size_of_the_terminal),
      cmocka_unit_test (a_long_name_is_cut_and_a_selected_row_is_marked),
      cmocka_unit_test (the_selected_row_is_always_in_sight),
      cmocka_unit_test (a_problem_is_in_the_top_line),
      cmocka_unit_test (a_queue_is_drawn_from_empty_to_its_most),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
