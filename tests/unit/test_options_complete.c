/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool/options_complete.h"

static const char *const s_outputs[] = {"table", "json", NULL};
static const char *const s_usage[] = {"COMMAND [ARGUMENT…] [OPTION…]", NULL};
static const char *const s_worker_usage[] = {"[OPTION...] SERVICE -- COMMAND [ARGUMENT...]", NULL};

static const rp_option_t s_table[] = {
  {.kind = RP_OPTION_HEADING, .help = "For every command"},
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT[,…]",
    .help = "where to"},
  {.name = "context", .kind = RP_OPTION_STRING, .argument = "NAME", .help = "which"},
  {.name = "output",
    .letter = 'o',
    .kind = RP_OPTION_CHOICE,
    .argument = "FORMAT",
    .choices = s_outputs,
    .help = "form"},
  {.name = "quiet", .letter = 'q', .kind = RP_OPTION_FLAG, .help = "say less"},
  {.name = "key-file",
    .kind = RP_OPTION_STRING,
    .argument = "FILE",
    .commands = "call",
    .help = "own key"},
  {.name = "server-key",
    .kind = RP_OPTION_STRING,
    .argument = "KEY|FILE",
    .commands = "call",
    .help = "key"},
  {.name = "dir",
    .kind = RP_OPTION_STRING,
    .argument = "DIR",
    .commands = "keys",
    .help = "directory"},
};

static const rp_option_command_t s_commands[] = {
  {.name = "call", .arguments = "SERVICE [BODY|@FILE|-]", .help = "send"},
  {.name = "cancel", .arguments = "ID…", .help = "end jobs"},
  {.name = "drain", .arguments = "WORKER", .help = "end a worker"},
  {.name = "config", .arguments = "[diff]", .help = "settings"},
  {.name = "dead show", .arguments = "ID", .help = "show a dead job"},
  {.name = "dead purge", .arguments = "[ID|SERVICE]", .help = "remove"},
  {.name = "keys new", .arguments = "NAME", .help = "make a pair"},
  {.name = "store backup", .arguments = "FILE COPY", .help = "copy"},
};

static const rp_program_t s_cli = {.name = "riposte",
  .usage = s_usage,
  .options = s_table,
  .option_count = sizeof s_table / sizeof *s_table,
  .commands = s_commands,
  .command_count = sizeof s_commands / sizeof *s_commands};

static const rp_program_t s_worker = {
  .name = "riposte-worker", .usage = s_worker_usage, .options = s_table, .option_count = 5};

#define S_SERVICES ":ask\tservices\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms"
#define S_JOBS ":ask\tjobs\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms"
#define S_STANDARD                                                                                 \
    "--help\tprint this and exit\n--version\tprint the version and exit\n"                         \
    "--completions\tprint completions for a shell (bash, zsh or fish) and exit\n"                  \
    "--man\tprint the manual page and exit\n"

/*  Compares the candidates for a line, at whose end the cursor is.  */
static void s_check (const rp_program_t *program, const char *text, const char *expected)
{
    char copy[256];
    char *words[32];
    size_t count = 0;
    snprintf (copy, sizeof copy, "%s", text);
    for (char *rest = copy; rest;)
        words[count++] = strsep (&rest, " ");
    char *said = NULL;
    size_t size = 0;
    FILE *out = open_memstream (&said, &size);
    assert_non_null (out);
    rp_options_complete (program, words, count, out);
    fclose (out);
    assert_string_equal (said, expected);
    free (said);
}

static void the_first_word_is_a_command_or_a_group (void **state)
{
    (void) state;
    s_check (&s_cli, "",
      "call\tsend\ncancel\tend jobs\ndrain\tend a worker\nconfig\tsettings\ndead\nkeys\nstore\n");
    s_check (&s_cli, "dead ", "show\tshow a dead job\npurge\tremove\n");
    s_check (&s_cli, "-q -s tcp://a:1 dead p", "show\tshow a dead job\npurge\tremove\n");
    s_check (&s_cli, "none ", "");
}

static void arguments_are_asked_for_live (void **state)
{
    (void) state;
    s_check (&s_cli, "call ", S_SERVICES "\n");
    s_check (&s_cli, "cancel ", S_JOBS "\n");
    s_check (&s_cli, "cancel 1 2 3 ", S_JOBS "\n");
    s_check (&s_cli, "drain h", ":ask\tworkers\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms\n");
    s_check (
      &s_cli, "dead show ", ":ask\tdead\tlist\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms\n");
    s_check (&s_cli, "dead purge ",
      ":ask\tdead\tlist\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms\n" S_SERVICES "\n");
    s_check (&s_cli, "dead show 1 ", "");
}

static void a_question_goes_to_the_broker_that_the_line_names (void **state)
{
    (void) state;
    s_check (&s_cli, "-s tcp://a:1 call --key-file K -q ",
      S_SERVICES "\t--server\ttcp://a:1\t--key-file\tK\n");
    s_check (&s_cli, "call -s a\tb ", S_SERVICES "\n"); // it would be two words
    s_check (&s_cli, "--context prod call ", S_SERVICES "\t--context\tprod\n");
}

static void other_arguments_are_files_words_or_nothing (void **state)
{
    (void) state;
    s_check (&s_cli, "call upper ", "");
    s_check (&s_cli, "config ", "diff\n");
    s_check (&s_cli, "keys new ", "");
    s_check (&s_cli, "store backup ", ":files\n");
    s_check (&s_cli, "store backup a ", ":files\n");
    s_check (&s_cli, "store backup a b ", "");
}

static void options_are_those_of_the_command (void **state)
{
    (void) state;
    s_check (&s_cli, "keys new -",
      "--server\twhere to\n--context\twhich\n--output\tform\n--quiet\tsay less\n"
      "--dir\tdirectory\n" S_STANDARD);
    s_check (&s_cli, "config x --q",
      "--server\twhere to\n--context\twhich\n--output\tform\n--quiet\tsay less\n" S_STANDARD);
}

static void values_are_choices_files_or_directories (void **state)
{
    (void) state;
    s_check (&s_cli, "call -o ", "table\njson\n");
    s_check (&s_cli, "--output j", "table\njson\n");
    s_check (&s_cli, "--key-file ", ":files\n");
    s_check (&s_cli, "--server-key ", ":files\n");
    s_check (&s_cli, "--dir ", ":directories\n");
    s_check (&s_cli, "-s ", "");
    s_check (&s_cli, "--context ", ":ask\tcontext\tlist\t-o\tcsv\n");
    s_check (&s_cli, "--completions ", "bash\nzsh\nfish\n");
}

static void behind_two_dashes_is_the_workers_command (void **state)
{
    (void) state;
    s_check (&s_worker, "", S_SERVICES "\n");
    s_check (&s_worker, "-s tcp://a:1 up", S_SERVICES "\t--server\ttcp://a:1\n");
    s_check (&s_worker, "upper -- t", ":commands\n");
    s_check (&s_worker, "upper -- tr -", ":commands\n");
    s_check (&s_cli, "call upper -- -", "");
}

static void a_line_of_any_length_is_read (void **state)
{
    (void) state;
    s_check (
      &s_cli, "cancel 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 ", S_JOBS "\n");
    rp_options_complete (&s_cli, NULL, 0, stderr);
}

static void a_script_names_the_program_in_every_shell (void **state)
{
    (void) state;
    static const char *const lines[] = {
      "\ncomplete -F _riposte_worker riposte-worker\n",
      "#compdef riposte-worker\n",
      "\ncomplete -c riposte-worker -f -k -a '(__riposte_worker_complete)'\n",
    };
    for (size_t index = 0; rp_option_shells[index]; index++) {
        char *said = NULL;
        size_t size = 0;
        FILE *out = open_memstream (&said, &size);
        assert_non_null (out);
        assert_true (rp_options_script (&s_worker, rp_option_shells[index], out));
        fclose (out);
        assert_non_null (strstr (said, lines[index]));
        free (said);
    }
    assert_false (rp_options_script (&s_worker, "csh", stderr));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_first_word_is_a_command_or_a_group),
      cmocka_unit_test (arguments_are_asked_for_live),
      cmocka_unit_test (a_question_goes_to_the_broker_that_the_line_names),
      cmocka_unit_test (other_arguments_are_files_words_or_nothing),
      cmocka_unit_test (options_are_those_of_the_command),
      cmocka_unit_test (values_are_choices_files_or_directories),
      cmocka_unit_test (behind_two_dashes_is_the_workers_command),
      cmocka_unit_test (a_line_of_any_length_is_read),
      cmocka_unit_test (a_script_names_the_program_in_every_shell),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
