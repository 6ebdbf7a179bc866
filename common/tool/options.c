/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/units.h"
#include "common/base/version.h"
#include "common/tool/options_commands.h"
#include "common/tool/options_complete.h"
#include "common/tool/options_pages.h"
#include "common/tool/settings_pages.h"
#include "common/wire/name.h"

/*  The value of getopt_long for entry number 0; above every letter.  */
#define S_FIRST_VALUE 256
/*  The value of getopt_long for an argument that is no option.  */
#define S_POSITIONAL 1
/*  Longer messages are cut.  */
#define S_MESSAGE_MAX 1024u

typedef struct {
    const rp_program_t *program;
    void *options;
    rp_arguments_t *arguments;
    FILE *err;
} s_parser_t;

/*  Reports an error, in one line whatever the arguments contain. Returns the exit code.  */
static int __attribute__ ((format (printf, 2, 3)))
s_complain (const s_parser_t *self, const char *format, ...)
{
    char message[S_MESSAGE_MAX];
    va_list list;
    va_start (list, format);
    vsnprintf (message, sizeof message, format, list);
    va_end (list);
    for (char *at = message; *at; at++)
        if ((unsigned char) *at < 32 || *at == 127)
            *at = '?';
    fprintf (self->err, "%s: %s\n", self->program->name, message);
    return 2;
}

/*  ---- Storing a value -----------------------------------------------------------------------  */

static bool s_parse_flag (const char *text, bool *value, const char **reason)
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true", "off", "on"};
    for (size_t index = 0; index < sizeof words / sizeof *words; index++)
        if (strcmp (text, words[index]) == 0) {
            *value = index % 2 == 1;
            return true;
        }
    *reason = "wants 1 or 0";
    return false;
}

static int s_complain_range (
  const s_parser_t *self, const rp_option_t *option, const char *source, const char *text)
{
    char low[RP_UNITS_TEXT_MAX];
    char high[RP_UNITS_TEXT_MAX];
    if (option->kind == RP_OPTION_DURATION) {
        rp_duration_write (low, (int64_t) option->smallest);
        rp_duration_write (high, (int64_t) option->largest);
    }
    else if (option->kind == RP_OPTION_SIZE) {
        rp_size_write (low, option->smallest);
        rp_size_write (high, option->largest);
    }
    else {
        snprintf (low, sizeof low, "%llu", (unsigned long long) option->smallest);
        snprintf (high, sizeof high, "%llu", (unsigned long long) option->largest);
    }
    return s_complain (self, "%s wants %s to %s, not \"%s\"", source, low, high, text);
}

static int s_store_number (
  const s_parser_t *self, const rp_option_t *option, const char *source, const char *text)
{
    char *at = (char *) self->options + option->offset;
    const char *reason = NULL;
    int64_t duration = 0;
    uint64_t number = 0;
    bool parsed;
    if (option->kind == RP_OPTION_DURATION) {
        parsed = rp_duration_parse (text, &duration, &reason);
        number = (uint64_t) duration;
    }
    else if (option->kind == RP_OPTION_SIZE)
        parsed = rp_size_parse (text, &number, &reason);
    else
        parsed = rp_count_parse (text, &number, &reason);
    if (!parsed)
        return s_complain (self, "%s %s, not \"%s\"", source, reason, text);
    if (option->largest != 0 && (number < option->smallest || number > option->largest))
        return s_complain_range (self, option, source, text);
    if (option->kind == RP_OPTION_DURATION)
        *(int64_t *) (void *) at = duration;
    else
        *(uint64_t *) (void *) at = number;
    return RP_OPTIONS_GO_ON;
}

static int s_store_choice (
  const s_parser_t *self, const rp_option_t *option, const char *source, const char *text)
{
    char list[256] = "";
    size_t used = 0;
    for (int index = 0; option->choices[index]; index++) {
        if (strcmp (option->choices[index], text) == 0) {
            *(int *) (void *) ((char *) self->options + option->offset) = index;
            return RP_OPTIONS_GO_ON;
        }
        const char *joint = index == 0 ? "" : option->choices[index + 1] ? ", " : " or ";
        int size =
          snprintf (list + used, sizeof list - used, "%s%s", joint, option->choices[index]);
        RP_CHECK (size >= 0 && (size_t) size < sizeof list - used); // choices are few and short
        used += (size_t) size;
    }
    return s_complain (self, "%s wants %s, not \"%s\"", source, list, text);
}

/*  The reader of settings reports what is wrong with the text.  */
static int s_store_setting (
  const s_parser_t *self, const rp_option_t *option, const char *source, const char *text)
{
    rp_arguments_t *arguments = self->arguments;
    if (arguments->setting_count == RP_OPTION_LIST_MAX)
        return s_complain (
          self, "%s: at most %u options may set something", source, RP_OPTION_LIST_MAX);
    bool is_variable = source == option->environment;
    arguments->settings[arguments->setting_count++] = (rp_setting_given_t){.path = option->setting,
      .dashes = is_variable ? "" : "--",
      .name = is_variable ? source : option->name,
      .text = text};
    return RP_OPTIONS_GO_ON;
}

/*  Stores the text that source ("--timeout", "RIPOSTE_TIMEOUT") gave.  */
static int s_store (
  const s_parser_t *self, const rp_option_t *option, const char *source, const char *text)
{
    void *at = (char *) self->options + option->offset;
    const char *reason = NULL;
    rp_option_list_t *list = at;
    switch (option->kind) {
        case RP_OPTION_FLAG:
            if (!s_parse_flag (text, at, &reason))
                return s_complain (self, "%s %s, not \"%s\"", source, reason, text);
            return RP_OPTIONS_GO_ON;
        case RP_OPTION_STRING:
            *(const char **) at = text;
            return RP_OPTIONS_GO_ON;
        case RP_OPTION_LIST:
            if (list->count == RP_OPTION_LIST_MAX)
                return s_complain (
                  self, "%s may be given at most %u times", source, RP_OPTION_LIST_MAX);
            list->items[list->count++] = text;
            return RP_OPTIONS_GO_ON;
        case RP_OPTION_SETTING:
            return s_store_setting (self, option, source, text);
        case RP_OPTION_CHOICE:
            return s_store_choice (self, option, source, text);
        case RP_OPTION_DURATION:
        case RP_OPTION_SIZE:
        case RP_OPTION_COUNT:
            return s_store_number (self, option, source, text);
        case RP_OPTION_HEADING:
        default:
            RP_CHECK (false);
            return 2;
    }
}

/*  ---- What getopt_long found ----------------------------------------------------------------  */

/*  Returns the only option that begins with these bytes; NULL if none or several do, and *count is
    their number.  */
static const rp_option_t *s_find_prefixed (
  const rp_program_t *program, const char *name, size_t size, size_t *count)
{
    const rp_option_t *found = NULL;
    const rp_option_t *option;
    *count = 0;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++)
        if (option->kind != RP_OPTION_HEADING && strncmp (option->name, name, size) == 0) {
            found = option;
            ++*count;
        }
    return *count == 1 ? found : NULL;
}

static const rp_option_t *s_find_nearest (
  const rp_program_t *program, const char *name, size_t size)
{
    size_t best = rp_option_distance_limit (size) + 1;
    const rp_option_t *nearest = NULL;
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++) {
        if (option->kind == RP_OPTION_HEADING)
            continue;
        size_t distance =
          rp_name_distance (name, size, option->name, strlen (option->name), best - 1);
        if (distance < best) {
            best = distance;
            nearest = option;
        }
    }
    return nearest;
}

static int s_complain_unknown (const s_parser_t *self, const char *token)
{
    const char *name = token + 2;
    size_t size = strcspn (name, "=");
    size_t prefixed;
    const rp_option_t *meant = s_find_prefixed (self->program, name, size, &prefixed);
    if (prefixed > 1)
        return s_complain (self, "--%.*s may mean several options; write it out", (int) size, name);
    if (!meant)
        meant = s_find_nearest (self->program, name, size);
    if (meant)
        return s_complain (
          self, "unknown option --%.*s (did you mean --%s?)", (int) size, name, meant->name);
    return s_complain (
      self, "unknown option --%.*s; see: %s --help", (int) size, name, self->program->name);
}

/*  True for "--name" and "--name=value" where no option has exactly this name. getopt_long would
    accept an abbreviation, so a mistyped option could set another one.  */
static bool s_is_unknown (const rp_program_t *program, const char *token)
{
    if (strncmp (token, "--", 2) != 0 || token[2] == '\0')
        return false;
    const char *name = token + 2;
    size_t size = strcspn (name, "=");
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++)
        if (option->kind != RP_OPTION_HEADING && strlen (option->name) == size
            && memcmp (option->name, name, size) == 0)
            return false;
    return true;
}

static const char *s_wanted (const rp_option_t *option)
{
    const char *reason = "wants a value";
    int64_t duration;
    uint64_t number;
    if (option->kind == RP_OPTION_DURATION)
        (void) rp_duration_parse ("", &duration, &reason);
    else if (option->kind == RP_OPTION_SIZE)
        (void) rp_size_parse ("", &number, &reason);
    else if (option->kind == RP_OPTION_COUNT)
        (void) rp_count_parse ("", &number, &reason);
    return reason;
}

/*  Returns the number of the entry for a value of getopt_long.  */
static size_t s_entry (const rp_program_t *program, int value)
{
    if (value >= S_FIRST_VALUE)
        return (size_t) (value - S_FIRST_VALUE);
    const rp_option_t *option;
    size_t index = 0;
    while ((option = rp_option_at (program, index)) && option->letter != (char) value)
        index++;
    return index;
}

static int s_complain_getopt (const s_parser_t *self, int found)
{
    const rp_option_t *option = rp_option_at (self->program, s_entry (self->program, optopt));
    if (!option)
        return s_complain (self, "unknown option -%c; see: %s --help", optopt, self->program->name);
    if (found == '?')
        return s_complain (self, "--%s takes no value", option->name);
    return s_complain (self, "--%s %s", option->name, s_wanted (option));
}

static int s_take (const s_parser_t *self, size_t entry)
{
    const rp_option_t *option = rp_option_at (self->program, entry);
    char source[64];
    snprintf (source, sizeof source, "--%s", option->name);
    self->arguments->given[entry] = true;
    return s_store (self, option, source, option->kind == RP_OPTION_FLAG ? "1" : optarg);
}

/*  Returns the exit code after a text was written.  */
static int s_said (const s_parser_t *self, FILE *out)
{
    if (fflush (out) == 0 && !ferror (out))
        return 0;
    s_complain (self, "cannot write the answer");
    return 1;
}

/*  Writes what --help and the other standard options ask for. items: the arguments before it that
    are no options, or the arguments behind it.  */
static int s_say (
  const s_parser_t *self, size_t standard, char *const *items, size_t count, FILE *out)
{
    const rp_program_t *program = self->program;
    size_t words;
    const rp_option_command_t *command = rp_option_command_find (program, items, count, &words);
    const char *group = count > 0 && !command ? items[0] : NULL;
    bool settings = program->settings && count > 0 && strcmp (items[0], "settings") == 0;
    if (standard == RP_OPTION_COMPLETIONS)
        return rp_options_script (program, optarg, out)
                 ? s_said (self, out)
                 : s_complain (self, "--completions wants bash, zsh or fish, not \"%s\"", optarg);
    if (standard == RP_OPTION_HELP && settings)
        rp_settings_help (program->settings, out);
    else if (standard == RP_OPTION_HELP)
        rp_options_help (
          program, command, rp_option_group_exists (program, group) ? group : NULL, out);
    else if (standard == RP_OPTION_VERSION)
        fprintf (out, "%s %s\n", program->name, RP_VERSION);
    else if (settings)
        rp_settings_man (program->settings, out);
    else
        rp_options_man (program, out);
    return s_said (self, out);
}

/*  ---- The whole command line ----------------------------------------------------------------  */

/*  Fills in the tables for getopt_long. letters has two bytes and three for every entry.  */
static void s_describe (const rp_program_t *program, struct option *longs, char *letters)
{
    *letters++ = '-'; // arguments that are no options come in order, as S_POSITIONAL
    *letters++ = ':'; // tells a missing value from an unknown option, and keeps getopt_long quiet
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++) {
        if (option->kind == RP_OPTION_HEADING)
            continue;
        bool has_value = option->kind != RP_OPTION_FLAG;
        *longs++ = (struct option){.name = option->name,
          .has_arg = has_value ? required_argument : no_argument,
          .val = S_FIRST_VALUE + (int) index};
        if (option->letter) {
            *letters++ = option->letter;
            if (has_value)
                *letters++ = ':';
        }
    }
    *longs = (struct option){0};
    *letters = '\0';
}

/*  Reads the options, and moves all other arguments to argv[1] and on.  */
static int s_read_line (const s_parser_t *self, int argc, char **argv, FILE *out)
{
    struct option longs[RP_OPTIONS_MAX + RP_OPTION_STANDARD_COUNT + 1];
    char letters[2 + 2 * (RP_OPTIONS_MAX + RP_OPTION_STANDARD_COUNT) + 1];
    rp_arguments_t *arguments = self->arguments;
    s_describe (self->program, longs, letters);

    optind = 0; // makes getopt_long start anew
    int before;
    for (;;) {
        before = optind > 0 ? optind : 1;
        if (before < argc && s_is_unknown (self->program, argv[before]))
            return s_complain_unknown (self, argv[before]);
        int found = getopt_long (argc, argv, letters, longs, NULL);
        if (found == -1)
            break;
        if (found == S_POSITIONAL) {
            argv[1 + arguments->count++] = optarg;
            continue;
        }
        if (found == '?' || found == ':')
            return s_complain_getopt (self, found);
        size_t entry = s_entry (self->program, found);
        if (entry >= self->program->option_count)
            return s_say (self, entry - self->program->option_count,
              argv + (arguments->count > 0 ? 1 : optind),
              arguments->count > 0 ? arguments->count : (size_t) (argc - optind), out);
        int code = s_take (self, entry);
        if (code != RP_OPTIONS_GO_ON)
            return code;
    }
    arguments->has_dashes = optind > before;
    for (; optind < argc; arguments->after_dashes++)
        argv[1 + arguments->count++] = argv[optind++];
    arguments->items = argc > 0 ? argv + 1 : argv;
    arguments->items[arguments->count] = NULL;
    return RP_OPTIONS_GO_ON;
}

/*  The first arguments name no command.  */
static int s_complain_command (const s_parser_t *self)
{
    const rp_program_t *program = self->program;
    char **items = self->arguments->items;
    bool is_group = rp_option_group_exists (program, items[0]);
    const char *group = is_group ? items[0] : NULL;
    const char *word = is_group ? items[1] : items[0];
    if (!word)
        return s_complain (
          self, "a command is missing behind %s; see: %s %s --help", group, program->name, group);
    const rp_option_command_t *nearest = rp_option_command_nearest (program, group, word);
    const char *first = group ? group : "";
    const char *joint = group ? " " : "";
    if (!nearest)
        return s_complain (self, "unknown command \"%s%s%s\"; see: %s %s%s--help", first, joint,
          word, program->name, first, joint);
    int size = (int) (group ? strlen (nearest->name) : strcspn (nearest->name, " "));
    return s_complain (self, "unknown command \"%s%s%s\" (did you mean \"%.*s\"?)", first, joint,
      word, size, nearest->name);
}

static int s_take_command (const s_parser_t *self)
{
    rp_arguments_t *arguments = self->arguments;
    size_t words;
    if (arguments->count == 0)
        return s_complain (self, "a command is missing; see: %s --help", self->program->name);
    arguments->command =
      rp_option_command_find (self->program, arguments->items, arguments->count, &words);
    if (!arguments->command)
        return s_complain_command (self);
    arguments->items += words;
    arguments->count -= words;
    if (arguments->after_dashes > arguments->count)
        arguments->after_dashes = arguments->count;
    return RP_OPTIONS_GO_ON;
}

/*  Refuses options that do not apply to the command. Reads from the environment the options that
    apply and are not on the command line.  */
static int s_complete (const s_parser_t *self, char *(*lookup) (const char *name))
{
    rp_arguments_t *arguments = self->arguments;
    for (size_t index = 0; index < self->program->option_count; index++) {
        const rp_option_t *option = &self->program->options[index];
        if (!rp_option_goes_with (option, arguments->command, NULL)) {
            if (arguments->given[index])
                return s_complain (self, "--%s does not go with %s; see: %s %s --help",
                  option->name, arguments->command->name, self->program->name,
                  arguments->command->name);
            continue;
        }
        if (arguments->given[index] || !option->environment)
            continue;
        const char *text = lookup (option->environment);
        if (!text || *text == '\0')
            continue;
        int code = s_store (self, option, option->environment, text);
        if (code != RP_OPTIONS_GO_ON)
            return code;
        arguments->given[index] = true;
    }
    return RP_OPTIONS_GO_ON;
}

int rp_options_parse (const rp_program_t *program,
  int argc,
  char **argv,
  char *(*lookup) (const char *name),
  void *options,
  rp_arguments_t *arguments,
  FILE *out,
  FILE *err)
{
    RP_CHECK (program->option_count <= RP_OPTIONS_MAX);
    *arguments = (rp_arguments_t){0};
    s_parser_t self = {.program = program, .options = options, .arguments = arguments, .err = err};
    if (argc > 1 && strcmp (argv[1], RP_OPTIONS_COMPLETE) == 0) {
        rp_options_complete (program, argv + 2, (size_t) argc - 2, out);
        return s_said (&self, out);
    }
    int code = s_read_line (&self, argc, argv, out);
    if (code == RP_OPTIONS_GO_ON && program->commands)
        code = s_take_command (&self);
    if (code == RP_OPTIONS_GO_ON)
        code = s_complete (&self, lookup);
    return code;
}

bool rp_options_given (
  const rp_program_t *program, const rp_arguments_t *arguments, const char *name)
{
    for (size_t index = 0; index < program->option_count; index++)
        if (program->options[index].kind != RP_OPTION_HEADING
            && strcmp (program->options[index].name, name) == 0)
            return arguments->given[index];
    return false;
}
