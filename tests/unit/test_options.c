/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool/options.h"

typedef struct {
    const char *server;
    rp_option_list_t header;
    int64_t timeout;
    uint64_t memory;
    uint64_t count;
    int output;
    bool quiet;
    const char *folder;
    bool color;
} s_options_t;

static const char *const s_outputs[] = {"table", "json", "csv", NULL};

static const rp_option_t s_table[] = {
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT",
    .environment = "RIPOSTE_SERVER",
    .offset = offsetof (s_options_t, server),
    .help = "where to"},
  {.name = "timeout",
    .letter = 't',
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "RIPOSTE_TIMEOUT",
    .offset = offsetof (s_options_t, timeout),
    .smallest = 1000,
    .largest = 86400000000,
    .help = "how long"},
  {.name = "output",
    .letter = 'o',
    .kind = RP_OPTION_CHOICE,
    .argument = "FORMAT",
    .environment = "RIPOSTE_OUTPUT",
    .offset = offsetof (s_options_t, output),
    .choices = s_outputs,
    .help = "form of the answer"},
  {.name = "quiet",
    .letter = 'q',
    .kind = RP_OPTION_FLAG,
    .environment = "RIPOSTE_QUIET",
    .offset = offsetof (s_options_t, quiet),
    .help = "say less"},
  {.kind = RP_OPTION_HEADING, .help = "Options of call"},
  {.name = "header",
    .letter = 'H',
    .kind = RP_OPTION_LIST,
    .argument = "KEY:VALUE",
    .environment = "RIPOSTE_HEADER",
    .offset = offsetof (s_options_t, header),
    .commands = "call talk",
    .help = "a header"},
  {.name = "count",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "RIPOSTE_COUNT",
    .offset = offsetof (s_options_t, count),
    .smallest = 1,
    .largest = 100,
    .commands = "call",
    .help = "how often, with a text that is so long that it does not fit into one line of a "
            "terminal"},
  {.name = "dir",
    .kind = RP_OPTION_STRING,
    .argument = "DIR",
    .offset = offsetof (s_options_t, folder),
    .commands = "keys-new",
    .help = "where keys are"},
  {.name = "color",
    .kind = RP_OPTION_FLAG,
    .offset = offsetof (s_options_t, color),
    .commands = "keys",
    .help = "in colours"},
  {.name = "memory",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .offset = offsetof (s_options_t, memory),
    .help = "how much"},
};

static const rp_option_command_t s_commands[] = {
  {"call", "SERVICE [BODY]", "sends one request"},
  {"talk", "SERVICE", "holds a conversation"},
  {"keys new", "NAME", "makes a pair of keys"},
  {"keys revoke", "NAME", "takes a key out"},
  {"status", NULL, "tells how the broker is"},
};

static const char *const s_usage[] = {"[OPTION]... COMMAND [ARG]...", NULL};
static const char *const s_examples[] = {"riposte call upper hello", NULL};
static const char *const s_description[] = {
  ".Text that begins with a dot, and a back\\slash.", NULL};
static const rp_option_exit_t s_exits[] = {{8, "part of a batch failed"}};

static const rp_program_t s_cli = {
  .name = "riposte",
  .summary = "sends requests to workers",
  .usage = s_usage,
  .description = s_description,
  .options = s_table,
  .option_count = sizeof s_table / sizeof *s_table,
  .commands = s_commands,
  .command_count = sizeof s_commands / sizeof *s_commands,
  .examples = s_examples,
  .exits = s_exits,
  .exit_count = 1,
  .statuses = true,
};

/*  The same options in a program without commands.  */
static const rp_program_t s_worker = {
  .name = "riposte-worker",
  .summary = "runs any program as a worker",
  .usage = s_usage,
  .options = s_table,
  .option_count = sizeof s_table / sizeof *s_table,
};

/*  A program whose options set what a table of settings describes.  */
static const rp_option_t s_setters[] = {
  {.name = "level",
    .letter = 'l',
    .kind = RP_OPTION_SETTING,
    .argument = "LEVEL",
    .setting = "log/level",
    .choices = s_outputs,
    .help = "how much"},
  {.name = "set",
    .kind = RP_OPTION_SETTING,
    .argument = "NAME=VALUE",
    .environment = "RIPOSTE_SET",
    .setting = "log/",
    .help = "anything"},
};
static const rp_setting_t s_rows[] = {{.path = "log/level",
  .kind = RP_SETTING_CHOICE,
  .choices = s_outputs,
  .why = "how much the log tells"}};
static const rp_setting_table_t s_settings = {
  .program = "riposte-broker", .rows = s_rows, .count = 1};
static const rp_program_t s_broker = {
  .name = "riposte-broker",
  .summary = "has settings",
  .usage = s_usage,
  .options = s_setters,
  .option_count = sizeof s_setters / sizeof *s_setters,
  .settings = &s_settings,
};

/*  What a parse left behind.  */
typedef struct {
    s_options_t options;
    rp_arguments_t arguments;
    char *out;
    char *err;
} s_result_t;

static s_result_t s_result;
static const char *const *s_environment; /* NAME, value, …, NULL; NULL: nothing is set */

static char *s_lookup (const char *name)
{
    for (const char *const *at = s_environment; at && *at; at += 2)
        if (strcmp (*at, name) == 0)
            return (char *) (uintptr_t) at[1];
    return NULL;
}

#define S_ARGUMENTS_MAX 160
static char *s_argv[S_ARGUMENTS_MAX];

static int s_parse_array (const rp_program_t *program, int argc)
{
    free (s_result.out);
    free (s_result.err);
    s_result = (s_result_t){.options = {.server = "default", .timeout = 5000000, .count = 7}};
    size_t out_size;
    size_t err_size;
    FILE *out = open_memstream (&s_result.out, &out_size);
    FILE *err = open_memstream (&s_result.err, &err_size);
    assert_non_null (out);
    assert_non_null (err);
    s_argv[argc] = NULL;
    int code = rp_options_parse (
      program, argc, s_argv, s_lookup, &s_result.options, &s_result.arguments, out, err);
    fclose (out);
    fclose (err);
    return code;
}

/*  The words of a line are separated by single spaces.  */
static int s_parse (const rp_program_t *program, const char *line)
{
    static char words[1024];
    snprintf (words, sizeof words, "program %s", line);
    int argc = 0;
    for (char *word = strtok (words, " "); word; word = strtok (NULL, " "))
        s_argv[argc++] = word;
    return s_parse_array (program, argc);
}

static void s_refuses (const rp_program_t *program, const char *line, const char *message)
{
    assert_int_equal (s_parse (program, line), 2);
    assert_string_equal (s_result.err, message);
    assert_string_equal (s_result.out, "");
}

static int s_teardown (void **state)
{
    (void) state;
    s_environment = NULL;
    free (s_result.out);
    free (s_result.err);
    s_result = (s_result_t){0};
    return 0;
}

static void options_stand_before_or_after_the_command (void **state)
{
    (void) state;
    static const char *const lines[] = {
      "-s there --timeout 250ms -q --output=json call upper hello",
      "call upper hello -sthere --timeout=250ms -qojson",
      "call -q upper -s there --output json hello -t 250ms",
    };
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        assert_int_equal (s_parse (&s_cli, lines[index]), RP_OPTIONS_GO_ON);
        assert_string_equal (s_result.options.server, "there");
        assert_int_equal (s_result.options.timeout, 250000);
        assert_int_equal (s_result.options.output, 1);
        assert_true (s_result.options.quiet);
        assert_ptr_equal (s_result.arguments.command, &s_commands[0]);
        assert_int_equal (s_result.arguments.count, 2);
        assert_string_equal (s_result.arguments.items[0], "upper");
        assert_string_equal (s_result.arguments.items[1], "hello");
        assert_null (s_result.arguments.items[2]);
        assert_false (s_result.arguments.has_dashes);
        assert_string_equal (s_result.err, "");
    }
}

static void behind_two_dashes_nothing_is_an_option (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_worker, "upper -q -- tr -s a-z -- --timeout"), RP_OPTIONS_GO_ON);
    assert_true (s_result.options.quiet);
    assert_string_equal (s_result.options.server, "default");
    assert_true (s_result.arguments.has_dashes);
    assert_int_equal (s_result.arguments.count, 6);
    assert_int_equal (s_result.arguments.after_dashes, 5);
    static const char *const items[] = {"upper", "tr", "-s", "a-z", "--", "--timeout"};
    for (size_t index = 0; index < 6; index++)
        assert_string_equal (s_result.arguments.items[index], items[index]);
    assert_null (s_result.arguments.items[6]);
}

static void two_dashes_at_the_end_are_seen_and_as_a_value_are_not (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_worker, "upper --"), RP_OPTIONS_GO_ON);
    assert_true (s_result.arguments.has_dashes);
    assert_int_equal (s_result.arguments.after_dashes, 0);
    assert_int_equal (s_result.arguments.count, 1);

    assert_int_equal (s_parse (&s_worker, "upper -s --"), RP_OPTIONS_GO_ON);
    assert_false (s_result.arguments.has_dashes);
    assert_string_equal (s_result.options.server, "--");

    assert_int_equal (s_parse (&s_worker, "-"), RP_OPTIONS_GO_ON);
    assert_string_equal (s_result.arguments.items[0], "-");
}

static void a_flag_beats_the_environment_which_beats_the_default (void **state)
{
    (void) state;
    static const char *const environment[] = {"RIPOSTE_SERVER", "variable", "RIPOSTE_TIMEOUT", "2s",
      "RIPOSTE_QUIET", "yes", "RIPOSTE_OUTPUT", "", "RIPOSTE_HEADER", "a:1", NULL};
    assert_int_equal (s_parse (&s_cli, "call x"), RP_OPTIONS_GO_ON);
    assert_string_equal (s_result.options.server, "default");
    assert_false (rp_options_given (&s_cli, &s_result.arguments, "server"));

    s_environment = environment;
    assert_int_equal (s_parse (&s_cli, "call x --timeout 3s -H b:2 -H c:3"), RP_OPTIONS_GO_ON);
    assert_string_equal (s_result.options.server, "variable");
    assert_true (rp_options_given (&s_cli, &s_result.arguments, "server"));
    assert_int_equal (s_result.options.timeout, 3000000);
    assert_true (s_result.options.quiet);
    assert_int_equal (s_result.options.output, 0);
    assert_false (rp_options_given (&s_cli, &s_result.arguments, "output"));
    assert_int_equal (s_result.options.header.count, 2);
    assert_string_equal (s_result.options.header.items[0], "b:2");

    assert_int_equal (s_parse (&s_cli, "call x"), RP_OPTIONS_GO_ON);
    assert_int_equal (s_result.options.header.count, 1);
    assert_string_equal (s_result.options.header.items[0], "a:1");
}

static void what_options_say_of_settings_is_kept_in_order_with_its_source (void **state)
{
    (void) state;
    static const char *const environment[] = {
      "RIPOSTE_SET", "level=json", "RIPOSTE_LOG_LEVEL", "not read here", NULL};
    s_environment = environment;
    assert_int_equal (s_parse (&s_broker, "--level=csv -l nonsense"), RP_OPTIONS_GO_ON);
    const rp_setting_given_t *given = s_result.arguments.settings;
    assert_int_equal (s_result.arguments.setting_count, 3);
    assert_string_equal (given[0].path, "log/level");
    assert_string_equal (given[0].dashes, "--");
    assert_string_equal (given[0].name, "level");
    assert_string_equal (given[0].text, "csv");
    assert_string_equal (given[1].text, "nonsense");
    assert_string_equal (given[2].path, "log/");
    assert_string_equal (given[2].dashes, "");
    assert_string_equal (given[2].name, "RIPOSTE_SET");
    assert_string_equal (given[2].text, "level=json");
    s_refuses (&s_broker, "--level", "riposte-broker: --level wants a value\n");
}

static void options_that_set_something_are_bounded_in_number (void **state)
{
    (void) state;
    int argc = 0;
    s_argv[argc++] = (char *) "program";
    for (unsigned number = 0; number <= RP_OPTION_LIST_MAX; number++)
        s_argv[argc++] = (char *) "-lcsv";
    assert_int_equal (s_parse_array (&s_broker, argc), 2);
    assert_string_equal (
      s_result.err, "riposte-broker: --level: at most 64 options may set something\n");
}

static void the_pages_of_settings_are_asked_for_by_their_name (void **state)
{
    (void) state;
    static const char *const lines[] = {"--help settings", "settings -h", "--man settings"};
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        assert_int_equal (s_parse (&s_broker, lines[index]), 0);
        assert_non_null (strstr (s_result.out, "how much the log tells"));
        assert_non_null (strstr (s_result.out, "RIPOSTE_LOG_LEVEL"));
    }
    assert_int_equal (s_parse (&s_broker, "--help"), 0);
    assert_non_null (strstr (s_result.out, "how much [RIPOSTE_LOG_LEVEL]\n"));
    assert_non_null (strstr (s_result.out, "All settings: riposte-broker --help settings\n"));
    assert_int_equal (s_parse (&s_broker, "--man"), 0);
    assert_non_null (strstr (s_result.out, "\\fBriposte\\-broker\\fR.cfg(5)"));
    assert_int_equal (s_parse (&s_broker, "--completions bash"), 0);
    assert_non_null (strstr (s_result.out, "complete -F _riposte_broker riposte-broker\n"));
    assert_int_equal (s_parse (&s_broker, "--complete --level t"), 0);
    assert_string_equal (s_result.out, "table\njson\ncsv\n");
    // A program without settings has no such page.
    assert_int_equal (s_parse (&s_worker, "--help settings"), 0);
    assert_non_null (strstr (s_result.out, "Options:"));
    assert_null (strstr (s_result.out, "--help settings"));
}

static void help_may_stand_before_its_command (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_cli, "--help status"), 0);
    assert_non_null (strstr (s_result.out, "usage: riposte status"));
}

static void an_error_in_the_environment_names_the_variable (void **state)
{
    (void) state;
    static const char *const environment[] = {
      "RIPOSTE_TIMEOUT", "2", "RIPOSTE_COUNT", "x", "RIPOSTE_QUIET", "maybe", NULL};
    s_environment = environment;
    s_refuses (&s_cli, "status",
      "riposte: RIPOSTE_TIMEOUT wants a duration with a unit such as 250ms or 5s, "
      "not \"2\"\n");
    s_refuses (&s_cli, "status -t 2s", "riposte: RIPOSTE_QUIET wants 1 or 0, not \"maybe\"\n");
    // Neither a variable of another command matters, nor one that an option overrides.
    assert_int_equal (s_parse (&s_cli, "status -t 2s -q"), RP_OPTIONS_GO_ON);
}

static void a_wrong_command_line_draws_one_line_that_helps (void **state)
{
    (void) state;
    s_refuses (
      &s_cli, "call --tiemout 5s", "riposte: unknown option --tiemout (did you mean --timeout?)\n");
    s_refuses (&s_cli, "call --hlep", "riposte: unknown option --hlep (did you mean --help?)\n");
    s_refuses (
      &s_cli, "call --frobnicate=1", "riposte: unknown option --frobnicate; see: riposte --help\n");
    s_refuses (&s_cli, "--co 1 call", "riposte: --co may mean several options; write it out\n");
    s_refuses (&s_cli, "call -qx", "riposte: unknown option -x; see: riposte --help\n");
    s_refuses (&s_cli, "call --quiet=yes", "riposte: --quiet takes no value\n");
    s_refuses (&s_cli, "call --server", "riposte: --server wants a value\n");
    s_refuses (
      &s_cli, "call -t", "riposte: --timeout wants a duration with a unit such as 250ms or 5s\n");
    s_refuses (&s_cli, "call --timeout 5",
      "riposte: --timeout wants a duration with a unit such as 250ms or 5s, not \"5\"\n");
    s_refuses (&s_cli, "call --timeout 25h", "riposte: --timeout wants 1ms to 24h, not \"25h\"\n");
    s_refuses (&s_cli, "call --count 0", "riposte: --count wants 1 to 100, not \"0\"\n");
    s_refuses (&s_cli, "call --memory 5K",
      "riposte: --memory wants a size such as 64KiB or 100B, not \"5K\"\n");
    s_refuses (&s_cli, "call -o xml", "riposte: --output wants table, json or csv, not \"xml\"\n");
    s_refuses (
      &s_cli, "call -o x\n\033y", "riposte: --output wants table, json or csv, not \"x??y\"\n");
    s_refuses (
      &s_cli, "--completions csh", "riposte: --completions wants bash, zsh or fish, not \"csh\"\n");
    s_refuses (&s_cli, "status --count 5",
      "riposte: --count does not go with status; see: riposte status --help\n");
    s_refuses (&s_cli, "-q", "riposte: a command is missing; see: riposte --help\n");
    s_refuses (&s_cli, "tlak x", "riposte: unknown command \"tlak\" (did you mean \"talk\"?)\n");
    s_refuses (&s_cli, "dance", "riposte: unknown command \"dance\"; see: riposte --help\n");
}

static void a_command_may_have_two_words (void **state)
{
    (void) state;
    static const char *const lines[] = {"keys new ada --dir K --color",
      "--dir K keys --color new ada", "keys --dir=K new --color ada"};
    for (size_t index = 0; index < sizeof lines / sizeof *lines; index++) {
        assert_int_equal (s_parse (&s_cli, lines[index]), RP_OPTIONS_GO_ON);
        assert_ptr_equal (s_result.arguments.command, &s_commands[2]);
        assert_int_equal (s_result.arguments.count, 1);
        assert_string_equal (s_result.arguments.items[0], "ada");
        assert_string_equal (s_result.options.folder, "K");
        assert_true (s_result.options.color);
    }
    assert_int_equal (s_parse (&s_cli, "keys new -- --dir"), RP_OPTIONS_GO_ON);
    assert_int_equal (s_result.arguments.after_dashes, 1);
    assert_int_equal (s_parse (&s_cli, "call new"), RP_OPTIONS_GO_ON);
    assert_ptr_equal (s_result.arguments.command, &s_commands[0]);
}

static void a_wrong_command_of_two_words_draws_one_line_that_helps (void **state)
{
    (void) state;
    s_refuses (
      &s_cli, "keys", "riposte: a command is missing behind keys; see: riposte keys --help\n");
    s_refuses (
      &s_cli, "keys nwe x", "riposte: unknown command \"keys nwe\" (did you mean \"keys new\"?)\n");
    s_refuses (
      &s_cli, "keys dance", "riposte: unknown command \"keys dance\"; see: riposte keys --help\n");
    s_refuses (&s_cli, "kesy new", "riposte: unknown command \"kesy\" (did you mean \"keys\"?)\n");
    s_refuses (&s_cli, "key new", "riposte: unknown command \"key\" (did you mean \"keys\"?)\n");
    s_refuses (&s_cli, "new", "riposte: unknown command \"new\"; see: riposte --help\n");
    s_refuses (&s_cli, "keys revoke ada --dir K",
      "riposte: --dir does not go with keys revoke; see: riposte keys revoke --help\n");
    s_refuses (&s_cli, "call x --color",
      "riposte: --color does not go with call; see: riposte call --help\n");
}

static void an_abbreviated_option_is_refused_and_the_whole_one_named (void **state)
{
    (void) state;
    s_refuses (
      &s_worker, "--mem 7000", "riposte-worker: unknown option --mem (did you mean --memory?)\n");
    s_refuses (&s_worker, "-q upper --serve=there",
      "riposte-worker: unknown option --serve (did you mean --server?)\n");
    s_refuses (
      &s_cli, "call --serve", "riposte: unknown option --serve (did you mean --server?)\n");
    s_refuses (
      &s_cli, "call --quie=yes", "riposte: unknown option --quie (did you mean --quiet?)\n");
    s_refuses (
      &s_cli, "call -qs there x --he", "riposte: --he may mean several options; write it out\n");
    s_refuses (&s_cli, "--vers", "riposte: unknown option --vers (did you mean --version?)\n");
    // A value may look like an option; what follows -- is neither option nor value.
    assert_int_equal (s_parse (&s_cli, "call --server --mem -t 2s"), RP_OPTIONS_GO_ON);
    assert_string_equal (s_result.options.server, "--mem");
    assert_int_equal (s_parse (&s_cli, "call -s --timeou x -- --mem"), RP_OPTIONS_GO_ON);
    assert_string_equal (s_result.options.server, "--timeou");
}

static void a_list_is_bounded (void **state)
{
    (void) state;
    s_argv[0] = (char *) (uintptr_t) "program";
    s_argv[1] = (char *) (uintptr_t) "call";
    int argc = 2;
    for (; argc < 2 + (int) RP_OPTION_LIST_MAX; argc++)
        s_argv[argc] = (char *) (uintptr_t) "-Hk:v";
    assert_int_equal (s_parse_array (&s_cli, argc), RP_OPTIONS_GO_ON);
    assert_int_equal (s_result.options.header.count, RP_OPTION_LIST_MAX);

    s_argv[1] = (char *) (uintptr_t) "call"; // the parse has reordered the array
    for (int index = 2; index <= argc; index++)
        s_argv[index] = (char *) (uintptr_t) "-Hk:v";
    assert_int_equal (s_parse_array (&s_cli, argc + 1), 2);
    assert_string_equal (s_result.err, "riposte: --header may be given at most 64 times\n");
}

static void nothing_at_all_is_no_error_without_commands (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_worker, ""), RP_OPTIONS_GO_ON);
    assert_int_equal (s_result.arguments.count, 0);
    assert_null (s_result.arguments.items[0]);
    assert_int_equal (s_parse_array (&s_worker, 0), RP_OPTIONS_GO_ON);
    assert_int_equal (s_result.arguments.count, 0);
}

static void help_shows_every_option_command_and_exit_code (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_cli, "--help"), 0);
    assert_string_equal (s_result.err, "");
    static const char *const parts[] = {
      "usage: riposte [OPTION]... COMMAND [ARG]...\n",
      "\nriposte sends requests to workers\n",
      "\n  call SERVICE [BODY]         sends one request\n",
      "\n  -s, --server ENDPOINT       where to [RIPOSTE_SERVER]\n",
      "\nOptions of call:\n",
      ("\n      --count N               how often, with a text that is so long that it\n"
       "                              does not fit into one line of a terminal\n"
       "                              [RIPOSTE_COUNT]\n"),
      ("\nHelp:\n  -h, --help                  print this and exit\n"
       "  -V, --version               print the version and exit\n"),
      "\n    4  NO_WORKER: no worker offers the service\n",
      "\n    8  part of a batch failed\n    9  WORKER_LOST",
      "\n  riposte call upper hello\n",
    };
    for (size_t index = 0; index < sizeof parts / sizeof *parts; index++)
        if (!strstr (s_result.out, parts[index]))
            fail_msg ("missing: %s\nin: %s", parts[index], s_result.out);
}

static void help_of_a_command_shows_what_goes_with_it (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_cli, "talk --help"), 0);
    assert_non_null (strstr (s_result.out, "usage: riposte talk [OPTION]... SERVICE\n"));
    assert_non_null (strstr (s_result.out, "--header"));
    assert_null (strstr (s_result.out, "--count"));
}

static void help_of_two_words_is_of_the_command_or_of_its_group (void **state)
{
    (void) state;
    static const char *const of_command[] = {"keys new --help", "--help keys new"};
    for (size_t index = 0; index < 2; index++) {
        assert_int_equal (s_parse (&s_cli, of_command[index]), 0);
        assert_non_null (strstr (s_result.out, "usage: riposte keys new [OPTION]... NAME\n"));
        assert_non_null (strstr (s_result.out, "--dir"));
        assert_non_null (strstr (s_result.out, "--color"));
        assert_null (strstr (s_result.out, "--header"));
    }
    assert_int_equal (s_parse (&s_cli, "keys revoke --help"), 0);
    assert_null (strstr (s_result.out, "--dir"));
    assert_non_null (strstr (s_result.out, "--color"));
    static const char *const of_group[] = {"keys --help", "--help keys", "keys dance --help"};
    for (size_t index = 0; index < 3; index++) {
        assert_int_equal (s_parse (&s_cli, of_group[index]), 0);
        assert_non_null (strstr (s_result.out, "usage: riposte keys COMMAND"));
        assert_non_null (strstr (s_result.out, "\n  keys revoke NAME "));
        assert_non_null (strstr (s_result.out, "--dir"));
        assert_non_null (strstr (s_result.out, "--color"));
        assert_null (strstr (s_result.out, "status"));
        assert_null (strstr (s_result.out, "--header"));
    }
}

static void version_is_name_and_number (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_cli, "call -V"), 0);
    assert_int_equal (strncmp (s_result.out, "riposte 0.", 10), 0);
}

static void an_answer_that_cannot_be_written_is_an_error (void **state)
{
    (void) state;
    char *arguments[] = {(char *) (uintptr_t) "program", (char *) (uintptr_t) "--help", NULL};
    char *text = NULL;
    size_t size;
    FILE *err = open_memstream (&text, &size);
    FILE *full = fopen ("/dev/full", "w");
    assert_non_null (err);
    assert_non_null (full);
    s_options_t options = {0};
    rp_arguments_t rest;
    assert_int_equal (
      rp_options_parse (&s_cli, 2, arguments, s_lookup, &options, &rest, full, err), 1);
    fclose (full);
    fclose (err);
    assert_string_equal (text, "riposte: cannot write the answer\n");
    free (text);
}

static void the_manual_page_comes_from_the_same_table (void **state)
{
    (void) state;
    assert_int_equal (s_parse (&s_cli, "--man"), 0);
    static const char *const man[] = {
      ".TH \"riposte\" 1 ",
      "riposte \\- sends requests to workers\n",
      "\n\\&.Text that begins with a dot, and a back\\eslash.\n",
      "\\fB\\-s\\fR, \\fB\\-\\-server\\fR \\fIENDPOINT\\fR\n",
      ".SS Options of call\n",
      ".TP\n\\fB8\\fR\npart of a batch failed.\n",
    };
    for (size_t index = 0; index < sizeof man / sizeof *man; index++)
        if (!strstr (s_result.out, man[index]))
            fail_msg ("missing: %s\nin: %s", man[index], s_result.out);
}

#define S_TEST(name) cmocka_unit_test_teardown (name, s_teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
      S_TEST (options_stand_before_or_after_the_command),
      S_TEST (behind_two_dashes_nothing_is_an_option),
      S_TEST (two_dashes_at_the_end_are_seen_and_as_a_value_are_not),
      S_TEST (a_flag_beats_the_environment_which_beats_the_default),
      S_TEST (an_error_in_the_environment_names_the_variable),
      S_TEST (a_wrong_command_line_draws_one_line_that_helps),
      S_TEST (a_command_may_have_two_words),
      S_TEST (a_wrong_command_of_two_words_draws_one_line_that_helps),
      S_TEST (help_of_two_words_is_of_the_command_or_of_its_group),
      S_TEST (an_abbreviated_option_is_refused_and_the_whole_one_named),
      S_TEST (a_list_is_bounded),
      S_TEST (nothing_at_all_is_no_error_without_commands),
      S_TEST (help_shows_every_option_command_and_exit_code),
      S_TEST (help_of_a_command_shows_what_goes_with_it),
      S_TEST (version_is_name_and_number),
      S_TEST (an_answer_that_cannot_be_written_is_an_error),
      S_TEST (the_manual_page_comes_from_the_same_table),
      S_TEST (what_options_say_of_settings_is_kept_in_order_with_its_source),
      S_TEST (options_that_set_something_are_bounded_in_number),
      S_TEST (the_pages_of_settings_are_asked_for_by_their_name),
      S_TEST (help_may_stand_before_its_command),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
