/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool/settings.h"
#include "common/tool/settings_pages.h"

/*  A table with a row of each kind, and two sections.  */
typedef struct {
    uint64_t cups;
    uint64_t pot;
    uint64_t steep;
    int leaf;
    char *label;
    char friends[3][16];
    size_t friend_count;
} s_tea_t;

static bool s_add_friend (void *values, const char *text, char reason[RP_SETTING_REASON_MAX])
{
    s_tea_t *self = values;
    if (self->friend_count == 3 || strlen (text) >= 16) {
        snprintf (reason, RP_SETTING_REASON_MAX, "finds no chair");
        return false;
    }
    strcpy (self->friends[self->friend_count++], text);
    return true;
}

static void s_clear_friends (void *values)
{
    ((s_tea_t *) values)->friend_count = 0;
}

static const char *s_friend_at (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX])
{
    const s_tea_t *self = values;
    if (index >= self->friend_count)
        return NULL;
    strcpy (buffer, self->friends[index]);
    return buffer;
}

static const rp_setting_list_t s_friends = {s_add_friend, s_clear_friends, s_friend_at};
static const char *const s_leaves[] = {"green", "black", "mint", NULL};

static const rp_setting_t s_rows[] = {
  {.path = "friend",
    .kind = RP_SETTING_LIST,
    .list = &s_friends,
    .text = "alice",
    .form = "NAME",
    .why = "who comes"},
  {.path = "label",
    .kind = RP_SETTING_TEXT,
    .offset = offsetof (s_tea_t, label),
    .form = "TEXT",
    .why = "what is on the tin"},
  {.path = "brew/leaf",
    .kind = RP_SETTING_CHOICE,
    .offset = offsetof (s_tea_t, leaf),
    .initial = 1,
    .choices = s_leaves,
    .why = "what is in the pot"},
  {.path = "brew/steep",
    .kind = RP_SETTING_TIME,
    .offset = offsetof (s_tea_t, steep),
    .initial = 180000,
    .smallest = 1000,
    .largest = 600000,
    .why = "how long"},
  {.path = "size/pot",
    .kind = RP_SETTING_BYTES,
    .offset = offsetof (s_tea_t, pot),
    .initial = 2048,
    .smallest = 1024,
    .largest = 1048576,
    .why = "how much"},
  {.path = "size/cups",
    .kind = RP_SETTING_COUNT,
    .offset = offsetof (s_tea_t, cups),
    .initial = 4,
    .smallest = 1,
    .largest = 12,
    .reloadable = true,
    .why = "how many"},
};

static const char *const s_renamed[][2] = {{"size/mugs", "size/cups"}};
static const rp_setting_table_t s_table = {.program = "tea",
  .rows = s_rows,
  .count = sizeof s_rows / sizeof *s_rows,
  .renamed = s_renamed,
  .renamed_count = 1};

static s_tea_t s_tea;
static rp_settings_reader_t s_reader;
/*  Every message, a line each.  */
static char s_messages[16384];

static void s_collect (const char *message, void *arg)
{
    (void) arg;
    size_t used = strlen (s_messages);
    int size = snprintf (s_messages + used, sizeof s_messages - used, "%s\n", message);
    assert_true (size >= 0 && (size_t) size < sizeof s_messages - used);
}

static int s_begin (void **state)
{
    (void) state;
    s_messages[0] = '\0';
    s_tea = (s_tea_t){0};
    s_reader =
      (rp_settings_reader_t){.table = &s_table, .values = &s_tea, .error = s_collect, .arg = NULL};
    return rp_settings_init (&s_table, &s_tea) ? 0 : -1;
}

static int s_end (void **state)
{
    (void) state;
    rp_settings_clear (&s_table, &s_tea);
    return 0;
}

static void s_file (const char *text)
{
    rp_settings_read_file (&s_reader, text, strlen (text), "f");
}

static void s_option (const char *path, const char *name, const char *text)
{
    const rp_setting_given_t given = {path, "--", name, text};
    rp_settings_read_given (&s_reader, &given, 1);
}

/*  Checks the messages since the last call.  */
static void s_tells (const char *messages)
{
    assert_string_equal (s_messages, messages);
    s_messages[0] = '\0';
}

static void each_setting_has_its_default (void **state)
{
    (void) state;
    assert_int_equal (s_tea.friend_count, 1);
    assert_string_equal (s_tea.friends[0], "alice");
    assert_null (s_tea.label);
    assert_int_equal (s_tea.leaf, 1);
    assert_int_equal (s_tea.steep, 180000);
    assert_int_equal (s_tea.pot, 2048);
    assert_int_equal (s_tea.cups, 4);
}

static void each_kind_is_read_in_its_unit (void **state)
{
    (void) state;
    s_file ("friend = bob\nfriend = carol\nlabel = \"Earl # Grey\"\nbrew\n    leaf = mint\n"
            "    steep = 1m30s\nsize\n    pot = 1.5KiB\n    cups = 12\n");
    s_tells ("");
    assert_int_equal (s_tea.friend_count, 2);
    assert_string_equal (s_tea.friends[1], "carol");
    assert_string_equal (s_tea.label, "Earl # Grey");
    assert_int_equal (s_tea.leaf, 2);
    assert_int_equal (s_tea.steep, 90000);
    assert_int_equal (s_tea.pot, 1536);
    assert_int_equal (s_tea.cups, 12);
}

static void each_kind_says_what_it_wants_instead (void **state)
{
    (void) state;
    s_file ("friend = \"a name that is too long\"\nbrew\n    leaf = rooibos\n    steep = 3\n"
            "size\n    pot = large\n    cups = a few\n");
    s_tells ("f:1:10: friend: \"a name that is too long\" finds no chair\n"
             "f:3:12: brew/leaf wants green, black or mint, not \"rooibos\"\n"
             "f:4:13: brew/steep wants a duration with a unit such as 250ms or 5s, not \"3\"\n"
             "f:6:11: size/pot wants a size such as 64KiB or 100B, not \"large\"\n"
             "f:7:12: size/cups wants a plain number such as 100, not \"a few\"\n");
    assert_int_equal (s_reader.errors, 5);
}

static void a_number_out_of_its_range_is_told_the_range_in_its_unit (void **state)
{
    (void) state;
    s_file ("brew\n    steep = 999ms\nsize\n    pot = 1\n    cups = 13\n");
    s_tells ("f:2:13: brew/steep wants 1s to 10m, not \"999ms\"\n"
             "f:4:11: size/pot wants 1KiB to 1MiB, not \"1\"\n"
             "f:5:12: size/cups wants 1 to 12, not \"13\"\n");
    s_option ("brew/steep", "steep", "1000001us");
    s_tells ("--steep wants a duration in whole milliseconds, not \"1000001us\"\n");
    s_file ("brew\n    steep = 1s\nsize\n    pot = 1MiB\n    cups = 1\n");
    s_tells ("");
}

static void a_text_that_a_file_could_not_say_is_refused (void **state)
{
    (void) state;
    char longer[RP_SETTING_TEXT_MAX + 1];
    memset (longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    s_option ("label", "label", "a \"good\" one");
    s_option ("label", "label", "two\nlines");
    s_tells ("--label: \"a \"good\" one\" has a quote\n"
             "--label: \"two?lines\" has a control character\n");
    s_option ("label", "label", longer);
    assert_non_null (strstr (s_messages, "is too long\n"));
    assert_null (s_tea.label);
    longer[sizeof longer - 2] = '\0';
    s_messages[0] = '\0';
    s_option ("label", "label", longer);
    s_tells ("");
    assert_string_equal (s_tea.label, longer);
    s_option ("label", "label", "");
    assert_null (s_tea.label);
}

static void what_is_unknown_is_told_with_what_is_near (void **state)
{
    (void) state;
    s_file (
      "frend = bob\nbrow\nsiz\nsize\n    cup = 3\n    mugs = 3\n    saucers = 3\nfrobnicate\n");
    s_tells ("f:1:1: unknown setting frend (did you mean friend?)\n"
             "f:2:1: unknown setting brow (did you mean brew?)\n"
             "f:3:1: unknown setting siz (did you mean size?)\n"
             "f:5:5: unknown setting size/cup (did you mean size/cups?)\n"
             "f:6:5: size/mugs is called size/cups now\n"
             "f:7:5: unknown setting size/saucers; see: tea --print-config\n"
             "f:8:1: unknown setting frobnicate; see: tea --print-config\n");
    s_option ("size/", "size", "cup=3");
    s_option ("size/", "size", "mugs=3");
    s_option ("size/", "size", "=3");
    s_option ("size/", "size", "cups");
    s_tells ("--size: unknown setting size/cup (did you mean size/cups?)\n"
             "--size: size/mugs is called size/cups now\n"
             "--size: unknown setting size/; see: tea --print-config\n"
             "--size wants NAME=VALUE, not \"cups\"; see: tea --help settings\n");
}

static void a_section_takes_no_value_and_a_setting_wants_one (void **state)
{
    (void) state;
    s_file ("size = 3\nfriend\nlabel\n");
    s_tells ("f:1:8: size is a section and takes no value\n"
             "f:2:1: friend wants a value\n"
             "f:3:1: label wants a value\n");
}

static void a_setting_stands_once_in_a_file_and_the_last_option_counts (void **state)
{
    (void) state;
    s_file ("size\n    cups = 3\n    cups = 3\n    pot = big\n    pot = 2KiB\n");
    s_tells ("f:3:5: size/cups was set before, in line 2\n"
             "f:4:11: size/pot wants a size such as 64KiB or 100B, not \"big\"\n"
             "f:5:5: size/pot was set before, in line 4\n");
    const rp_setting_given_t given[] = {
      {"size/", "--", "size", "cups=5"}, {"size/cups", "--", "cups", "6"}};
    rp_settings_read_given (&s_reader, given, 2);
    s_tells ("");
    assert_int_equal (s_tea.cups, 6);
}

static char *s_lookup (const char *name)
{
    if (strcmp (name, "RIPOSTE_SIZE_CUPS") == 0)
        return (char *) "7";
    if (strcmp (name, "RIPOSTE_BREW_LEAF") == 0)
        return (char *) "cocoa";
    return strcmp (name, "RIPOSTE_FRIEND") == 0 ? (char *) "dora" : (char *) "";
}

static void each_setting_has_a_variable_and_an_empty_one_says_nothing (void **state)
{
    (void) state;
    s_file ("friend = bob\nlabel = x\nsize\n    cups = 6\n");
    rp_settings_read_environment (&s_reader, s_lookup);
    s_tells ("RIPOSTE_BREW_LEAF wants green, black or mint, not \"cocoa\"\n");
    assert_int_equal (s_tea.cups, 7);
    assert_int_equal (s_tea.friend_count, 1);
    assert_string_equal (s_tea.friends[0], "dora");
    assert_string_equal (s_tea.label, "x");
}

static void an_option_beats_the_variable_of_another_that_sets_the_same (void **state)
{
    (void) state;
    const rp_setting_given_t given[] = {{"size/", "--", "size", "cups=5"},
      {"friend", "--", "friend", "eve"}, {"friend", "--", "friend", "faythe"},
      {"friend", "", "RIPOSTE_VISITOR", "grace"}, {"size/cups", "", "RIPOSTE_CUPS", "8"}};
    rp_settings_read_given (&s_reader, given, sizeof given / sizeof *given);
    s_tells ("");
    assert_int_equal (s_tea.cups, 5);
    assert_int_equal (s_tea.friend_count, 2);
    assert_string_equal (s_tea.friends[0], "eve");
    s_option ("size/cups", "cups", "13");
    rp_settings_read_given (
      &s_reader, &(rp_setting_given_t){"size/cups", "", "RIPOSTE_CUPS", "13"}, 1);
    s_tells ("--cups wants 1 to 12, not \"13\"\nRIPOSTE_CUPS wants 1 to 12, not \"13\"\n");
}

static void two_that_do_not_go_together_are_told_at_the_one_said_last (void **state)
{
    (void) state;
    size_t pot = rp_settings_find (&s_table, "size/pot");
    size_t cups = rp_settings_find (&s_table, "size/cups");
    rp_settings_complain_pair (&s_reader, pot, cups, "%s", "spills");
    s_tells ("spills\n");
    s_file ("size\n    cups = 3\n");
    rp_settings_complain_pair (&s_reader, pot, cups, "%s", "spills");
    s_tells ("f:2:12: spills\n");
    s_file ("size\n    cups = 3\n    pot = 1MiB\n");
    rp_settings_complain_pair (&s_reader, pot, cups, "%s", "spills");
    s_tells ("f:3:11: spills\n");
    rp_settings_read_environment (&s_reader, s_lookup);
    s_messages[0] = '\0';
    rp_settings_complain_pair (&s_reader, pot, cups, "%s", "spills");
    s_tells ("RIPOSTE_SIZE_CUPS: spills\n");
    s_option ("size/", "size", "pot=1MiB");
    rp_settings_complain_pair (&s_reader, pot, cups, "%s", "spills");
    s_tells ("--size: spills\n");
}

/*  Returns the page that a function writes.  */
static char *s_page (void (*function) (const rp_setting_table_t *, FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream (&text, &size);
    assert_non_null (file);
    function (&s_table, file);
    fclose (file);
    return text;
}

static void s_print (const rp_setting_table_t *table, FILE *out)
{
    const rp_settings_t settings = {.table = table, .values = &s_tea, .sources = s_reader.sources};
    rp_settings_print (&settings, out);
}

static void the_printed_file_has_each_setting_with_reason_range_and_source (void **state)
{
    (void) state;
    s_file ("friend = bob\nfriend = \"the queen\"\nsize\n    pot = 1025\n");
    char *text = s_page (s_print);
    assert_string_equal (text,
      "# Settings of tea; it reads them with --config FILE.\n"
      "\n# who comes\n# NAME; a line for each; source: file f:2\n"
      "friend = \"bob\"\nfriend = \"the queen\"\n"
      "\n# what is on the tin\n# TEXT; source: default\nlabel = \"\"\n"
      "\nbrew\n    # what is in the pot\n"
      "    # green, black or mint; source: default\n    leaf = black\n"
      "\n    # how long\n    # 1s to 10m; source: default\n    steep = 3m\n"
      "\nsize\n    # how much\n    # 1KiB to 1MiB; source: file f:4\n"
      "    pot = 1025B\n"
      "\n    # how many\n    # 1 to 12; reloadable; source: default\n"
      "    cups = 4\n");
    free (text);
    s_clear_friends (&s_tea);
    text = s_page (s_print);
    assert_non_null (
      strstr (text, "# NAME; a line for each; source: file f:2\n# friend = \"NAME\"\n\n"));
    free (text);
}

static void the_pages_have_each_setting_with_range_default_and_variable (void **state)
{
    (void) state;
    char *help = s_page (rp_settings_help);
    char *man = s_page (rp_settings_man);
    assert_non_null (
      strstr (help, "\n  friend                      who comes (NAME; default: alice) "
                    "[RIPOSTE_FRIEND]\n"));
    assert_non_null (
      strstr (help, "\n  size/pot                    how much (1KiB to 1MiB; default: "
                    "2KiB)\n                              [RIPOSTE_SIZE_POT]\n"));
    assert_non_null (strstr (help, "(TEXT; default: none)"));
    assert_non_null (strstr (help, "how many (1 to 12; default: 4; reloadable)"));
    assert_non_null (strstr (man, "how many (default: 4; reloadable; in the environment: "));
    assert_non_null (strstr (man, ".TH \"tea.cfg\" 5 "));
    assert_non_null (strstr (man, ".TP\n\\fBbrew/leaf\\fR = \\fIgreen, black or mint\\fR\n"
                                  "what is in the pot (default: black; in the environment: "
                                  "\\fBRIPOSTE_BREW_LEAF\\fR).\n"));
    for (size_t index = 0; index < s_table.count; index++) {
        assert_non_null (strstr (help, s_rows[index].path));
        assert_non_null (strstr (man, s_rows[index].path));
    }
    free (man);
    free (help);
}

static void two_structures_differ_in_the_rows_whose_values_do_and_a_copy_ends_that (void **state)
{
    (void) state;
    s_tea_t other = {0};
    assert_true (rp_settings_init (&s_table, &other));
    for (size_t index = 0; index < s_table.count; index++)
        assert_false (rp_setting_differs (&s_rows[index], &s_tea, &other));
    s_file ("friend = alice\nfriend = bob\nlabel = tin\nbrew\n    leaf = mint\n    steep = 1m\n"
            "size\n    pot = 1KiB\n    cups = 2\n");
    s_tells ("");
    for (size_t index = 0; index < s_table.count; index++) {
        assert_true (rp_setting_differs (&s_rows[index], &s_tea, &other));
        assert_true (rp_setting_copy (&s_rows[index], &other, &s_tea));
        assert_false (rp_setting_differs (&s_rows[index], &s_tea, &other));
    }
    assert_string_equal (other.friends[1], "bob");
    assert_string_equal (other.label, "tin");
    assert_ptr_not_equal (other.label, s_tea.label);
    rp_settings_clear (&s_table, &other);
}

/*  Checks where the value of the setting with this path came from.  */
static void s_is_from (const char *path, const char *source)
{
    char text[RP_SETTING_SOURCE_MAX];
    size_t row = rp_settings_find (&s_table, path);
    assert_string_equal (rp_setting_source_write (&s_reader.sources[row], path, text), source);
}

static void each_value_says_where_it_came_from (void **state)
{
    (void) state;
    const rp_setting_given_t variable = {"size/", "", "TEA_SIZE", "pot=1MiB"};
    s_file ("label = tin\nsize\n    cups = 2\n    pot = 2KiB\n");
    s_is_from ("label", "file f:1");
    s_is_from ("size/pot", "file f:4");
    s_is_from ("brew/leaf", "default");
    rp_settings_read_environment (&s_reader, s_lookup);
    s_is_from ("size/cups", "environment RIPOSTE_SIZE_CUPS");
    rp_settings_read_given (&s_reader, &variable, 1);
    s_is_from ("size/pot", "environment TEA_SIZE");
    s_option ("size/", "size", "pot=1KiB");
    s_is_from ("size/pot", "option --size");
}

static void the_source_of_a_value_is_one_line_of_bounded_size (void **state)
{
    (void) state;
    char longer[RP_SETTING_SOURCE_MAX + 1];
    char text[RP_SETTING_SOURCE_MAX];
    memset (longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    longer[1] = '\n';
    const rp_setting_source_t source = {.name = longer, .line = 7, .round = 1};
    rp_setting_source_write (&source, "label", text);
    assert_int_equal (strlen (text), strlen ("file :7") + 1024);
    assert_non_null (strstr (text, "file x?xxx"));
    assert_string_equal (text + strlen (text) - 3, "x:7");
}

static void a_value_and_a_default_are_written_as_a_file_has_them (void **state)
{
    (void) state;
    static const char *const values[] = {"bob", NULL, "black", "90s", "1536B", "4"};
    static const char *const defaults[] = {"alice", NULL, "black", "3m", "2KiB", "4"};
    s_file ("friend = bob\nfriend = carol\nbrew\n    steep = 90s\nsize\n    pot = 1.5KiB\n");
    for (size_t index = 0; index < s_table.count; index++) {
        const rp_setting_t *row = &s_rows[index];
        char buffer[RP_SETTING_TEXT_MAX];
        const char *value = rp_setting_text (row, &s_tea, 0, buffer);
        assert_string_equal (value ? value : "none", values[index] ? values[index] : "none");
        value = rp_setting_default (row, buffer);
        assert_string_equal (value ? value : "none", defaults[index] ? defaults[index] : "none");
        value = rp_setting_text (row, &s_tea, 1, buffer);
        assert_string_equal (value ? value : "none", index == 0 ? "carol" : "none");
        assert_null (rp_setting_text (row, &s_tea, 2, buffer));
    }
}

#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_begin, s_end)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (each_setting_has_its_default),
      S_TEST (each_kind_is_read_in_its_unit),
      S_TEST (each_kind_says_what_it_wants_instead),
      S_TEST (a_number_out_of_its_range_is_told_the_range_in_its_unit),
      S_TEST (a_text_that_a_file_could_not_say_is_refused),
      S_TEST (what_is_unknown_is_told_with_what_is_near),
      S_TEST (a_section_takes_no_value_and_a_setting_wants_one),
      S_TEST (a_setting_stands_once_in_a_file_and_the_last_option_counts),
      S_TEST (each_setting_has_a_variable_and_an_empty_one_says_nothing),
      S_TEST (an_option_beats_the_variable_of_another_that_sets_the_same),
      S_TEST (two_that_do_not_go_together_are_told_at_the_one_said_last),
      S_TEST (the_printed_file_has_each_setting_with_reason_range_and_source),
      S_TEST (each_value_says_where_it_came_from),
      S_TEST (the_source_of_a_value_is_one_line_of_bounded_size),
      S_TEST (a_value_and_a_default_are_written_as_a_file_has_them),
      S_TEST (the_pages_have_each_setting_with_range_default_and_variable),
      S_TEST (two_structures_differ_in_the_rows_whose_values_do_and_a_copy_ends_that),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
