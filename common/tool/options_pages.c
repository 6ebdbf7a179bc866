/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/options_pages.h"

#include <string.h>

#include <riposte/error.h>

#include "common/base/version.h"
#include "common/tool/options_commands.h"
#include "common/tool/options_complete.h"
#include "common/tool/page.h"

/*  Exit codes are sorted by trying every number up to this.  */
#define S_EXIT_LARGEST 255

static const rp_option_t s_standard[RP_OPTION_STANDARD_COUNT] = {
  [RP_OPTION_STANDARD_HEADING] = {.kind = RP_OPTION_HEADING, .help = "Help"},
  [RP_OPTION_HELP] = {.name = "help",
    .letter = 'h',
    .kind = RP_OPTION_FLAG,
    .help = "print this and exit"},
  [RP_OPTION_VERSION] = {.name = "version",
    .letter = 'V',
    .kind = RP_OPTION_FLAG,
    .help = "print the version and exit"},
  [RP_OPTION_COMPLETIONS] = {.name = "completions",
    .kind = RP_OPTION_CHOICE,
    .argument = "SHELL",
    .choices = rp_option_shells,
    .help = "print completions for a shell (bash, zsh or fish) and exit"},
  [RP_OPTION_MAN] = {.name = "man",
    .kind = RP_OPTION_FLAG,
    .help = "print the manual page and exit"},
};

const rp_option_t *rp_option_at (const rp_program_t *program, size_t index)
{
    if (index < program->option_count)
        return &program->options[index];
    index -= program->option_count;
    return index < RP_OPTION_STANDARD_COUNT ? &s_standard[index] : NULL;
}

/*  Returns the variable with the same meaning as the option, or NULL.  */
static const char *s_variable (const rp_option_t *option, char buffer[RP_SETTING_VARIABLE_MAX])
{
    if (option->environment || option->kind != RP_OPTION_SETTING)
        return option->environment;
    return rp_setting_variable (option->setting, buffer);
}

/*  ---- Exit codes ----------------------------------------------------------------------------  */

typedef struct {
    int number;
    int code;
    const char *help;
} s_exit_t;

/*  This status and all after it are returned by functions; no program ends with them.  */
#define S_STATUS_OF_FUNCTIONS RP_USAGE

static const s_exit_t s_exits[] = {
#define S_EXIT(name, number, exit_code, text) {number, exit_code, #name ": " text},
  RP_STATUS_MAP (S_EXIT)
#undef S_EXIT
};

void rp_options_each_exit (const rp_program_t *program, rp_option_exit_fn *function, void *arg)
{
    for (int code = 0; code <= S_EXIT_LARGEST; code++) {
        if (code == 0 && !program->statuses)
            function (code, "all went well", arg);
        if (code == 2)
            function (code, "the command line is wrong", arg);
        for (size_t index = 0; index < sizeof s_exits / sizeof *s_exits; index++)
            if (program->statuses && s_exits[index].code == code
                && s_exits[index].number < S_STATUS_OF_FUNCTIONS)
                function (code, s_exits[index].help, arg);
        for (size_t index = 0; index < program->exit_count; index++)
            if (program->exits[index].code == code)
                function (code, program->exits[index].help, arg);
    }
}

/*  ---- --help --------------------------------------------------------------------------------  */

static void s_option_help (FILE *out, const rp_option_t *option)
{
    if (option->kind == RP_OPTION_HEADING) {
        fprintf (out, "\n%s:\n", option->help);
        return;
    }
    char term[128];
    char help[512];
    char buffer[RP_SETTING_VARIABLE_MAX];
    bool has_value = option->kind != RP_OPTION_FLAG;
    snprintf (term, sizeof term, "%c%c%s --%s%s%s", option->letter ? '-' : ' ',
      option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
      has_value ? " " : "", has_value ? option->argument : "");
    const char *variable = s_variable (option, buffer);
    snprintf (help, sizeof help, "%s%s%s%s", option->help, variable ? " [" : "",
      variable ? variable : "", variable ? "]" : "");
    rp_page_entry (out, term, help);
}

static void s_exit_help (int code, const char *help, void *arg)
{
    FILE *out = arg;
    fprintf (out, "  %3d  ", code);
    rp_page_wrap (out, help, 7, 7);
}

static void s_usage_help (
  const rp_program_t *program, const rp_option_command_t *command, const char *group, FILE *out)
{
    if (command) {
        fprintf (out, "usage: %s %s [OPTION]...%s%s\n\n", program->name, command->name,
          command->arguments ? " " : "", command->arguments ? command->arguments : "");
        rp_page_wrap (out, command->help, 0, 0);
        return;
    }
    if (group) {
        fprintf (out, "usage: %s %s COMMAND [ARGUMENT]... [OPTION]...\n", program->name, group);
        return;
    }
    for (size_t index = 0; program->usage[index]; index++)
        fprintf (out, "%s %s%s%s\n", index == 0 ? "usage:" : "      ", program->name,
          *program->usage[index] ? " " : "", program->usage[index]);
    fprintf (out, "\n%s %s\n", program->name, program->summary);
}

static void s_commands_help (const rp_program_t *program, const char *group, FILE *out)
{
    fputs ("\nCommands:\n", out);
    for (size_t index = 0; index < program->command_count; index++) {
        const rp_option_command_t *one = &program->commands[index];
        char term[128];
        if (!rp_option_is_in_group (one, group))
            continue;
        snprintf (term, sizeof term, "%s%s%s", one->name, one->arguments ? " " : "",
          one->arguments ? one->arguments : "");
        rp_page_entry (out, term, one->help);
    }
}

void rp_options_help (
  const rp_program_t *program, const rp_option_command_t *command, const char *group, FILE *out)
{
    s_usage_help (program, command, group, out);
    if (program->commands && !command)
        s_commands_help (program, group, out);

    if (program->option_count == 0 || program->options[0].kind != RP_OPTION_HEADING)
        fputs ("\nOptions:\n", out);
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++)
        if (rp_option_goes_with (option, command, group))
            s_option_help (out, option);
    if (command || group) {
        fprintf (out, "\nAll commands and exit codes: %s --help\n", program->name);
        return;
    }
    if (program->settings)
        fprintf (out, "\nAll settings: %s --help settings\n", program->name);

    fputs ("\nExit codes:\n", out);
    rp_options_each_exit (program, s_exit_help, out);
    if (program->examples) {
        fputs ("\nExamples:\n", out);
        for (size_t index = 0; program->examples[index]; index++)
            fprintf (out, "  %s\n", program->examples[index]);
    }
}

/*  ---- The manual page (man(7)) --------------------------------------------------------------  */

static void s_option_man (FILE *out, const rp_option_t *option)
{
    char buffer[RP_SETTING_VARIABLE_MAX];
    if (option->kind == RP_OPTION_HEADING) {
        fputs (".SS ", out);
        rp_page_roff (out, option->help);
        fputc ('\n', out);
        return;
    }
    fputs (".TP\n", out);
    if (option->letter) {
        rp_page_bold (out, "-", (const char[]){option->letter, '\0'});
        fputs (", ", out);
    }
    rp_page_bold (out, "--", option->name);
    if (option->kind != RP_OPTION_FLAG) {
        fputs (" \\fI", out);
        rp_page_roff (out, option->argument);
        fputs ("\\fR", out);
    }
    fputc ('\n', out);
    rp_page_roff (out, option->help);
    const char *variable = s_variable (option, buffer);
    if (variable) {
        fputs (" (in the environment: ", out);
        rp_page_bold (out, "", variable);
        fputc (')', out);
    }
    fputs (".\n", out);
}

static void s_exit_man (int code, const char *help, void *arg)
{
    FILE *out = arg;
    fprintf (out, ".TP\n\\fB%d\\fR\n", code);
    rp_page_roff (out, help);
    fputs (".\n", out);
}

static void s_synopsis_man (const rp_program_t *program, FILE *out)
{
    fputs (".SH SYNOPSIS\n", out);
    for (size_t index = 0; program->usage[index]; index++) {
        if (index > 0)
            fputs (".br\n", out);
        rp_page_bold (out, "", program->name);
        fputc (' ', out);
        rp_page_roff (out, program->usage[index]);
        fputc ('\n', out);
    }
    if (program->description)
        fputs (".SH DESCRIPTION\n", out);
    for (size_t index = 0; program->description && program->description[index]; index++) {
        fputs (index == 0 ? "" : ".PP\n", out);
        rp_page_roff (out, program->description[index]);
        fputc ('\n', out);
    }
    if (program->commands)
        fputs (".SH COMMANDS\n", out);
    for (size_t index = 0; index < program->command_count; index++) {
        const rp_option_command_t *command = &program->commands[index];
        fputs (".TP\n", out);
        rp_page_bold (out, "", command->name);
        if (command->arguments) {
            fputc (' ', out);
            rp_page_roff (out, command->arguments);
        }
        fputc ('\n', out);
        rp_page_roff (out, command->help);
        fputs (".\n", out);
    }
}

void rp_options_man (const rp_program_t *program, FILE *out)
{
    rp_page_title (out, program->name, "", 1);
    rp_page_roff (out, program->summary);
    fputc ('\n', out);
    s_synopsis_man (program, out);

    fputs (".SH OPTIONS\nOptions stand before or after the other arguments; behind "
           "\\fB\\-\\-\\fR nothing is an option. "
           "An option beats its variable in the environment.\n",
      out);
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++)
        s_option_man (out, option);

    fputs (".SH EXIT STATUS\n", out);
    rp_options_each_exit (program, s_exit_man, out);
    if (program->examples) {
        fputs (".SH EXAMPLES\n.nf\n", out);
        for (size_t index = 0; program->examples[index]; index++) {
            rp_page_roff (out, program->examples[index]);
            fputc ('\n', out);
        }
        fputs (".fi\n", out);
    }
    if (program->settings) {
        fputs (".SH SEE ALSO\n", out);
        rp_page_bold (out, "", program->settings->program);
        fputs (".cfg(5)\n", out);
    }
}
