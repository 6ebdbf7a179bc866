/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/options_complete.h"

#include <string.h>

#include "common/tool/options_commands.h"
#include "common/tool/options_pages.h"

/*  Arguments that count: the words of a command, and those behind it.  */
#define S_ITEMS_MAX 8u

/*  What an argument or an option's value may be, by the word that stands for it in the table.  */
typedef struct {
    const char *word;
    const char *group; /* for commands of this group only; NULL: for all */
    const char *line;
} s_source_t;

/*  The first row that fits counts. An answer that takes longer than a person waits for is of no use.  */
#define S_ASK(words) ":ask\t" words "\t-o\tcsv\t--timeout\t1s\t--wait-broker\t300ms"

static const s_source_t s_sources[] = {
  {"SERVICE", NULL, S_ASK ("services")},
  {"A,B", NULL, S_ASK ("services")},
  {"WORKER", NULL, S_ASK ("workers")},
  {"ID", "dead", S_ASK ("dead\tlist")},
  {"ID", NULL, S_ASK ("jobs")},
  {"NAME", "context", ":ask\tcontext\tlist\t-o\tcsv"},
  {"FILE", NULL, ":files"},
  {"@FILE", NULL, NULL},
  {"SCRIPT", NULL, ":files"},
  {"FILE.svg", NULL, ":files"},
  {"COPY", NULL, ":files"},
  {"DIR", NULL, ":directories"},
  {"DIRECTORY", NULL, ":directories"},
  {"COMMAND", NULL, ":commands"},
};

/*  The line so far.  */
typedef struct {
    const rp_program_t *program;
    char *items[S_ITEMS_MAX + 1]; /* arguments that are no options; the first ones */
    size_t count;
    const rp_option_t *open; /* the option whose value is being written, or NULL */
    bool dashes;             /* "--" was there */
    const char
      *reach[2 * RP_OPTION_LIST_MAX]; /* options that say which broker is meant, and their values */
    size_t reach_count;
} s_line_t;

/*  ---- The words before the last one -----------------------------------------------------------  */

static const rp_option_t *s_find (const rp_program_t *program, const char *word)
{
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (program, index)); index++) {
        if (option->kind == RP_OPTION_HEADING)
            continue;
        bool is_name = word[1] == '-' && strcmp (word + 2, option->name) == 0;
        if (is_name || (option->letter && word[1] == option->letter && word[2] == '\0'))
            return option;
    }
    return NULL;
}

/*  True of an option that every question to the same broker needs, too.  */
static bool s_reaches (const rp_option_t *option)
{
    static const char *const names[] = {"server", "key-file", "server-key", "context"};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (strcmp (option->name, names[index]) == 0)
            return true;
    return false;
}

/*  A tab or an end of line in a value would be read as something else.  */
static void s_add_reach (s_line_t *self, const rp_option_t *option, const char *value)
{
    if (self->reach_count + 2 > sizeof self->reach / sizeof *self->reach || strchr (value, '\t')
        || strchr (value, '\n'))
        return;
    self->reach[self->reach_count++] = option->name;
    self->reach[self->reach_count++] = value;
}

static void s_read (s_line_t *self, char *const *words, size_t count)
{
    for (size_t at = 0; at + 1 < count && !self->dashes; at++) {
        const char *word = words[at];
        if (strcmp (word, "--") == 0)
            self->dashes = true;
        else if (word[0] != '-' || word[1] == '\0') {
            if (self->count < S_ITEMS_MAX)
                self->items[self->count++] = words[at];
        }
        else {
            const rp_option_t *option = s_find (self->program, word);
            if (!option || option->kind == RP_OPTION_FLAG)
                continue; // a flag, or --name=value
            if (++at + 1 >= count)
                self->open = option;
            else if (s_reaches (option))
                s_add_reach (self, option, words[at]);
        }
    }
}

/*  ---- Candidates ------------------------------------------------------------------------------  */

static void s_write_source (const s_line_t *self, const s_source_t *source, FILE *out)
{
    if (!source->line)
        return;
    fputs (source->line, out);
    if (strncmp (source->line, ":ask", 4) == 0 && strncmp (source->line, ":ask\tcontext", 12) != 0)
        for (size_t index = 0; index < self->reach_count; index += 2)
            fprintf (out, "\t--%s\t%s", self->reach[index], self->reach[index + 1]);
    fputc ('\n', out);
}

/*  Writes what the alternatives of a placeholder ("BODY|@FILE|-") stand for.  */
static void s_write_placeholder (
  const s_line_t *self, const char *text, size_t size, const char *group, FILE *out)
{
    while (size > 0) {
        size_t width = strcspn (text, "|");
        width = width < size ? width : size;
        if (*text >= 'a' && *text <= 'z') // a word that is meant as it stands, such as "diff"
            fprintf (out, "%.*s\n", (int) width, text);
        for (size_t index = 0; index < sizeof s_sources / sizeof *s_sources; index++) {
            const s_source_t *source = &s_sources[index];
            if (strlen (source->word) != width || memcmp (source->word, text, width) != 0
                || (source->group
                    && (!group || strncmp (group, source->group, strlen (source->group)) != 0)))
                continue;
            s_write_source (self, source, out);
            break;
        }
        text += width < size ? width + 1 : width;
        size -= width < size ? width + 1 : width;
    }
}

static void s_write_value (const s_line_t *self, const rp_option_t *option, FILE *out)
{
    for (size_t index = 0; option->choices && option->choices[index]; index++)
        fprintf (out, "%s\n", option->choices[index]);
    if (option->choices)
        return;
    const char *group = strcmp (option->name, "context") == 0 ? "context" : NULL;
    s_write_placeholder (self, option->argument, strlen (option->argument), group, out);
}

/*  Writes what argument number index may be, by a text such as "SERVICE [BODY|@FILE|-]" or "ID…".  */
static void s_write_argument (
  const s_line_t *self, const char *text, size_t index, const char *group, FILE *out)
{
    static const char more[] = "…";
    for (; text && *text; text += strspn (text, " ")) {
        const char *word = text;
        size_t size = strcspn (word, " ");
        text += size;
        if (size > 2 && *word == '[' && word[size - 1] == ']') {
            word++;
            size -= 2;
        }
        bool repeats =
          size >= strlen (more) && memcmp (word + size - strlen (more), more, strlen (more)) == 0;
        size -= repeats ? strlen (more) : 0;
        if (size > 6 && memcmp (word, "OPTION", 6) == 0)
            continue;
        if (index == 0 || (repeats && *text == '\0')) {
            s_write_placeholder (self, word, size, group, out);
            return;
        }
        index--;
    }
}

static void s_write_options (const s_line_t *self, const rp_option_command_t *command, FILE *out)
{
    const char *group =
      !command && self->count > 0 && rp_option_group_exists (self->program, self->items[0])
        ? self->items[0]
        : NULL;
    const rp_option_t *option;
    for (size_t index = 0; (option = rp_option_at (self->program, index)); index++)
        if (option->kind != RP_OPTION_HEADING && rp_option_goes_with (option, command, group))
            fprintf (out, "--%s\t%s\n", option->name, option->help);
}

/*  Writes the commands, or behind the name of a group those of the group.  */
static void s_write_commands (const s_line_t *self, FILE *out)
{
    const rp_program_t *program = self->program;
    const char *before = "";
    for (size_t index = 0; index < program->command_count; index++) {
        const rp_option_command_t *command = &program->commands[index];
        size_t group = rp_option_group_size (command);
        if (self->count == 1 && group > 0 && rp_option_is_in_group (command, self->items[0]))
            fprintf (out, "%s\t%s\n", command->name + group + 1, command->help);
        if (self->count > 0)
            continue;
        if (group == 0)
            fprintf (out, "%s\t%s\n", command->name, command->help);
        else if (strncmp (before, command->name, group + 1) != 0)
            fprintf (out, "%.*s\n", (int) group, command->name);
        before = command->name;
    }
}

void rp_options_complete (const rp_program_t *program, char *const *words, size_t count, FILE *out)
{
    if (count == 0)
        return;
    s_line_t line = {.program = program};
    s_read (&line, words, count);
    size_t used = 0;
    const rp_option_command_t *command =
      rp_option_command_find (program, line.items, line.count, &used);
    if (line.open)
        s_write_value (&line, line.open, out);
    else if (line.dashes)
        fputs (program->commands ? "" : ":commands\n", out);
    else if (words[count - 1][0] == '-')
        s_write_options (&line, command, out);
    else if (program->commands && !command)
        s_write_commands (&line, out);
    else if (command)
        s_write_argument (&line, command->arguments, line.count - used, command->name, out);
    else
        s_write_argument (&line, program->usage[0], line.count, NULL, out);
}
