/*  Fuzzer of the command line: words and an environment give options within their ranges, or one
    line that says what is wrong.

    SPDX-License-Identifier: MPL-2.0

    The bytes are words that end with a zero byte. The first goes into every variable of the
   environment, unless it is empty.
*/

#include <string.h>

#include "common/tool/options.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#define S_WORDS_MAX 90
#define S_LARGEST 86400000000

typedef struct {
    const char *server;
    rp_option_list_t header;
    int64_t timeout;
    uint64_t memory, count;
    int output;
    bool quiet;
} s_options_t;

static const char *const s_outputs[] = {"table", "json", "csv", NULL};

static const rp_option_t s_table[] = {
  {.name = "server",
    .letter = 's',
    .kind = RP_OPTION_STRING,
    .argument = "ENDPOINT",
    .environment = "SERVER",
    .offset = offsetof (s_options_t, server),
    .help = "where to"},
  {.name = "timeout",
    .letter = 't',
    .kind = RP_OPTION_DURATION,
    .argument = "DURATION",
    .environment = "TIMEOUT",
    .offset = offsetof (s_options_t, timeout),
    .smallest = 1000,
    .largest = S_LARGEST,
    .help = "how long"},
  {.name = "output",
    .letter = 'o',
    .kind = RP_OPTION_CHOICE,
    .argument = "FORMAT",
    .offset = offsetof (s_options_t, output),
    .choices = s_outputs,
    .help = "form of the answer"},
  {.name = "quiet",
    .letter = 'q',
    .kind = RP_OPTION_FLAG,
    .environment = "QUIET",
    .offset = offsetof (s_options_t, quiet),
    .help = "say less"},
  {.kind = RP_OPTION_HEADING, .help = "Options of call"},
  {.name = "header",
    .letter = 'H',
    .kind = RP_OPTION_LIST,
    .argument = "KEY:VALUE",
    .offset = offsetof (s_options_t, header),
    .commands = "call talk",
    .help = "a header"},
  {.name = "count",
    .kind = RP_OPTION_COUNT,
    .argument = "N",
    .environment = "COUNT",
    .offset = offsetof (s_options_t, count),
    .smallest = 1,
    .largest = 100,
    .commands = "call",
    .help = "how often"},
  {.name = "memory",
    .kind = RP_OPTION_SIZE,
    .argument = "SIZE",
    .offset = offsetof (s_options_t, memory),
    .help = "how much"},
};
static const rp_option_command_t s_commands[] = {
  {"call", "SERVICE [BODY]", "sends one request"}, {"talk", "SERVICE", "holds a conversation"}};
static const char *const s_usage[] = {"[OPTION]... COMMAND [ARG]...", NULL};
static const rp_program_t s_program = {
  .name = "riposte",
  .summary = "sends requests",
  .usage = s_usage,
  .options = s_table,
  .option_count = sizeof s_table / sizeof *s_table,
  .commands = s_commands,
  .command_count = sizeof s_commands / sizeof *s_commands,
};

static char *s_variable;

static char *s_lookup (const char *name)
{
    (void) name;
    return s_variable && *s_variable ? s_variable : NULL;
}

static int s_split (char *text, size_t size, char **words)
{
    int count = 0;
    for (size_t at = 0; at < size && count < S_WORDS_MAX; at += strlen (text + at) + 1)
        words[count++] = text + at;
    words[count] = NULL;
    return count;
}

static void s_check (const s_options_t *options, const rp_arguments_t *arguments)
{
    bytes_require (
      options->timeout >= 1000 && options->timeout <= S_LARGEST, "a duration out of its range");
    bytes_require (options->count >= 1 && options->count <= 100, "a count out of its range");
    bytes_require (options->output >= 0 && options->output < 3, "a choice that there is not");
    bytes_require (options->server != NULL, "no text");
    bytes_require (options->header.count <= RP_OPTION_LIST_MAX, "a list over its limit");
    for (size_t index = 0; index < options->header.count; index++)
        bytes_require (options->header.items[index] != NULL, "a gap in a list");
    bytes_require (arguments->command != NULL, "no command");
    bytes_require (arguments->items[arguments->count] == NULL, "words without an end");
    bytes_require (arguments->after_dashes <= arguments->count, "more behind -- than there are");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    char program[] = "riposte";
    char *words[S_WORDS_MAX + 2] = {program, NULL};
    char *text = malloc (size + 1);
    char *said = NULL;
    size_t said_size = 0;
    FILE *out = fopen ("/dev/null", "w");
    FILE *err = open_memstream (&said, &said_size);
    bytes_require (text && out && err, "out of memory");
    if (size > 0)
        memcpy (text, data, size);
    text[size] = '\0';
    int count = s_split (text, size, words + 1);
    // The first word is for the environment.
    s_variable = words[1];
    if (count > 0)
        memmove (words + 1, words + 2, (size_t) count * sizeof *words);
    else
        count = 1;

    s_options_t options = {.server = "here", .timeout = 5000000, .count = 1};
    rp_arguments_t arguments;
    int code =
      rp_options_parse (&s_program, count, words, s_lookup, &options, &arguments, out, err);
    fclose (out);
    fclose (err);
    if (code == RP_OPTIONS_GO_ON)
        s_check (&options, &arguments);
    else
        bytes_require (code == 0 || code == 2, "an exit code that there is not");
    bytes_require ((code == 2) == (said_size > 0), "wrong without a word, or a word for nothing");
    free (said);
    free (text);
    return 0;
}
