/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/settings_pages.h"

#include <string.h>

#include "common/tool/page.h"

#define S_INDENT 4

/*  Where settings are given, and which source counts.  */
static const char *const s_rules[] = {
  "In the file a section is a bare name on its line; what is in it stands below, indented by four "
  "spaces, as NAME = VALUE. A # begins a comment; a value with a # or with spaces at its ends is "
  "in "
  "quotes. In the environment a setting is the variable that stands beside it.",
  "An option beats the environment, which beats the file, which beats the default. Every mistake "
  "is "
  "told at once. A setting that is reloadable may be changed while the program runs (SIGHUP); of "
  "the others the program says that they need a restart.",
};
#define S_RULE_COUNT (sizeof s_rules / sizeof *s_rules)

/*  Returns the bytes of a path's section; 0 if it has none.  */
static size_t s_section (const char *path)
{
    const char *slash = strchr (path, '/');
    return slash ? (size_t) (slash - path) : 0;
}

/*  Returns the row's default for a page.  */
static const char *s_initial (const rp_setting_t *row, char buffer[RP_UNITS_TEXT_MAX])
{
    const char *text = rp_setting_default (row, buffer);
    return text ? text : "none";
}

/*  ---- --print-config ------------------------------------------------------------------------  */

static void s_print_value (
  const rp_setting_t *row, const void *values, int indent, const char *name, FILE *out)
{
    bool quoted = row->kind == RP_SETTING_TEXT || row->kind == RP_SETTING_LIST;
    const char *quote = quoted ? "\"" : "";
    char buffer[RP_SETTING_TEXT_MAX];
    const char *text;
    size_t count = 0;
    for (; (text = rp_setting_text (row, values, count, buffer)); count++)
        fprintf (out, "%*s%s = %s%s%s\n", indent, "", name, quote, text, quote);
    if (count == 0 && row->kind == RP_SETTING_LIST)
        fprintf (out, "%*s# %s = \"%s\"\n", indent, "", name, row->form);
    else if (count == 0)
        fprintf (out, "%*s%s = \"\"\n", indent, "", name);
}

static void s_print_row (const rp_settings_t *settings, size_t index, FILE *out)
{
    const rp_setting_t *row = &settings->table->rows[index];
    size_t section = s_section (row->path);
    int indent = section > 0 ? S_INDENT : 0;
    const char *name = section > 0 ? row->path + section + 1 : row->path;
    char range[RP_SETTING_REASON_MAX];
    char source[RP_SETTING_SOURCE_MAX];

    fprintf (out, "%*s# %s\n%*s# %s%s%s; source: %s\n", indent, "", row->why, indent, "",
      rp_setting_range (row, range), row->kind == RP_SETTING_LIST ? "; a line for each" : "",
      row->reloadable ? "; reloadable" : "",
      rp_setting_source_write (&settings->sources[index], row->path, source));
    s_print_value (row, settings->values, indent, name, out);
}

void rp_settings_print (const rp_settings_t *settings, FILE *out)
{
    const rp_setting_table_t *table = settings->table;
    fprintf (out, "# Settings of %s; it reads them with --config FILE.\n", table->program);
    const char *before = "";
    for (size_t index = 0; index < table->count; index++) {
        const char *path = table->rows[index].path;
        size_t section = s_section (path);
        fputc ('\n', out);
        if (section > 0 && strncmp (before, path, section + 1) != 0)
            fprintf (out, "%.*s\n", (int) section, path);
        s_print_row (settings, index, out);
        before = path;
    }
}

/*  ---- --help settings -----------------------------------------------------------------------  */

void rp_settings_help (const rp_setting_table_t *table, FILE *out)
{
    char number[RP_UNITS_TEXT_MAX];
    char range[RP_SETTING_REASON_MAX];
    char variable[RP_SETTING_VARIABLE_MAX];
    char help[1024];
    fprintf (
      out, "Settings of %s, in a file (--config FILE) or in the environment\n", table->program);
    for (size_t index = 0; index < S_RULE_COUNT; index++) {
        fputc ('\n', out);
        rp_page_wrap (out, s_rules[index], 0, 0);
    }
    fputc ('\n', out);
    for (size_t index = 0; index < table->count; index++) {
        const rp_setting_t *row = &table->rows[index];
        snprintf (help, sizeof help, "%s (%s; default: %s%s) [%s]", row->why,
          rp_setting_range (row, range), s_initial (row, number),
          row->reloadable ? "; reloadable" : "", rp_setting_variable (row->path, variable));
        rp_page_entry (out, row->path, help);
    }
}

/*  ---- The manual page (man(7)) --------------------------------------------------------------  */

static void s_man_row (const rp_setting_t *row, FILE *out)
{
    char number[RP_UNITS_TEXT_MAX];
    char range[RP_SETTING_REASON_MAX];
    char variable[RP_SETTING_VARIABLE_MAX];
    fputs (".TP\n", out);
    rp_page_bold (out, "", row->path);
    fputs (" = \\fI", out);
    rp_page_roff (out, rp_setting_range (row, range));
    fputs ("\\fR\n", out);
    rp_page_roff (out, row->why);
    fputs (" (default: ", out);
    rp_page_roff (out, s_initial (row, number));
    fputs (row->reloadable ? "; reloadable" : "", out);
    fputs ("; in the environment: ", out);
    rp_page_bold (out, "", rp_setting_variable (row->path, variable));
    fputs (").\n", out);
}

void rp_settings_man (const rp_setting_table_t *table, FILE *out)
{
    rp_page_title (out, table->program, ".cfg", 5);
    fputs ("settings of ", out);
    rp_page_roff (out, table->program);
    fputs ("\n.SH DESCRIPTION\n", out);
    for (size_t index = 0; index < S_RULE_COUNT; index++) {
        fputs (index == 0 ? "" : ".PP\n", out);
        rp_page_roff (out, s_rules[index]);
        fputc ('\n', out);
    }
    fputs (".SH SETTINGS\n", out);
    for (size_t index = 0; index < table->count; index++)
        s_man_row (&table->rows[index], out);
    fputs (".SH SEE ALSO\n", out);
    rp_page_bold (out, "", table->program);
    fputs ("(1)\n", out);
}
