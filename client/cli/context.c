/*  riposte context: keeps named sets of brokers, keys and a timeout; and the set that a command
    uses.

    SPDX-License-Identifier: MPL-2.0

    A value of the command line overrides one of the environment, which overrides one of the
    context.
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/grid.h"
#include "client/cli/text.h"
#include "common/base/units.h"
#include "common/io/certificate.h"
#include "common/io/curve.h"
#include "common/program/contexts.h"
#include "common/wire/limits.h"

/*  Some 200 KiB; the values of the options point into it until the end of the program.  */
static rp_contexts_t s_contexts;

/*  Reads the file. Returns 0, or the exit code after an error was written.  */
static int s_load (void)
{
    char why[RP_CONTEXTS_REASON_MAX];
    return rp_contexts_load (&s_contexts, why) ? 0 : rp_cli_usage ("%s", why);
}

static int s_save (const rp_cli_t *cli)
{
    char why[RP_CONTEXTS_REASON_MAX];
    if (rp_contexts_save (&s_contexts, why))
        return 0;
    rp_error_t error = {.status = RP_SYSTEM, .why = why, .server = cli->options.server};
    return rp_cli_tell (cli, &error);
}

static int s_tell_unknown (const char *name)
{
    return rp_cli_usage ("there is no context \"%s\"; see: riposte context list", name);
}

/*  Returns the only argument. NULL after an error was written.  */
static const char *s_name (const rp_cli_t *cli)
{
    const char *name = cli->arguments.count == 1 ? cli->arguments.items[0] : NULL;
    if (name && rp_context_name_is_valid (name))
        return name;
    rp_cli_usage ("%s wants one NAME, of letters, digits, - _ and .", cli->arguments.command->name);
    return NULL;
}

/*  ---- The context of a command --------------------------------------------------------------- */

static int s_take_timeout (rp_cli_t *cli, const rp_named_context_t *item)
{
    const char *text = item->values[RP_CONTEXT_TIMEOUT];
    const char *reason = "wants 1ms to 24h";
    int64_t value = 0;
    if (!*text || rp_options_given (cli->program, &cli->arguments, "timeout"))
        return 0;
    if (!rp_duration_parse (text, &value, &reason) || value < 1000
        || value > (int64_t) RP_DEADLINE_MAX_MS * 1000)
        return rp_cli_usage (
          "the timeout of context \"%s\" %s, not \"%s\"", item->name, reason, text);
    cli->options.timeout = value;
    return 0;
}

int rp_cli_take_context (rp_cli_t *cli)
{
    rp_cli_options_t *options = &cli->options;
    const char **places[] = {[RP_CONTEXT_SERVER] = &options->server,
      [RP_CONTEXT_KEY_FILE] = &options->key_file,
      [RP_CONTEXT_SERVER_KEY] = &options->server_key};
    int code = s_load ();
    const char *name = options->context ? options->context : s_contexts.use;
    if (code != 0 || !*name)
        return code;
    const rp_named_context_t *item = rp_contexts_find (&s_contexts, name);
    if (!item)
        return s_tell_unknown (name);
    for (size_t index = 0; index < sizeof places / sizeof *places; index++)
        if (item->values[index][0]
            && !rp_options_given (cli->program, &cli->arguments, rp_context_value_names[index]))
            *places[index] = item->values[index];
    if (!rp_options_given (cli->program, &cli->arguments, "spread"))
        options->spread = rp_context_flag (item, RP_CONTEXT_SPREAD);
    return s_take_timeout (cli, item);
}

/*  ---- Adding, choosing, removing ------------------------------------------------------------- */

/*  Stores a value, if its option was given. A path is made absolute: the context is used from
    anywhere. Returns 0, or the exit code after an error was written.  */
static int s_put (
  const rp_cli_t *cli, rp_named_context_t *item, rp_context_value_t value, const char *text)
{
    const char *name = rp_context_value_names[value];
    if (!rp_options_given (cli->program, &cli->arguments, name))
        return 0;
    uint8_t key[RP_KEY_SIZE];
    bool is_path =
      value == RP_CONTEXT_KEY_FILE || (value == RP_CONTEXT_SERVER_KEY && !rp_key_parse (key, text));
    char *path = is_path ? realpath (text, NULL) : NULL;
    if (is_path && !path)
        return rp_cli_usage ("--%s: %s cannot be found: %s", name, text, strerror (errno));
    const char *kept = path ? path : text;
    bool valid = rp_context_value_is_valid (kept);
    if (valid)
        snprintf (item->values[value], sizeof item->values[value], "%s", kept);
    free (path);
    return valid ? 0
                 : rp_cli_usage ("--%s: quotes, control characters and more than 1023 bytes "
                                 "cannot be in a context",
                   name);
}

/*  Reads the keys as a client would. Returns 0, or the exit code after an error was written.  */
static int s_check_keys (const rp_named_context_t *item)
{
    rp_curve_t keys = {0};
    const char *key_file = item->values[RP_CONTEXT_KEY_FILE];
    const char *server_key = item->values[RP_CONTEXT_SERVER_KEY];
    int rc = *key_file ? rp_curve_set_key_file (&keys, key_file) : RP_OK;
    if (rc == RP_OK && *server_key)
        rc = rp_curve_set_server_key (&keys, server_key);
    if (rc == RP_OK)
        rc = rp_curve_complete (&keys);
    int code = rc == RP_OK ? 0 : rp_cli_usage ("%s", keys.problem);
    rp_curve_forget (&keys);
    return code;
}

int rp_cli_context_add (rp_cli_t *cli)
{
    const char *name = s_name (cli);
    char timeout[RP_UNITS_TEXT_MAX];
    const rp_cli_options_t *options = &cli->options;
    int code = name ? s_load () : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    if (rp_contexts_find (&s_contexts, name))
        return rp_cli_usage (
          "there is a context \"%s\"; remove it first: riposte context remove %s", name, name);
    rp_named_context_t *item = rp_contexts_add (&s_contexts, name);
    if (!item)
        return rp_cli_usage ("there are %u contexts; remove one first", RP_CONTEXTS_MAX);
    const char *const values[] = {[RP_CONTEXT_SERVER] = options->server,
      [RP_CONTEXT_KEY_FILE] = options->key_file,
      [RP_CONTEXT_SERVER_KEY] = options->server_key,
      [RP_CONTEXT_TIMEOUT] = rp_duration_write (timeout, options->timeout),
      [RP_CONTEXT_SPREAD] = options->spread ? RP_CONTEXT_YES : "no"};
    for (size_t index = 0; index < RP_CONTEXT_VALUES && code == 0; index++)
        code = s_put (cli, item, (rp_context_value_t) index, values[index]);
    if (code == 0)
        code = s_check_keys (item);
    return code == 0 ? s_save (cli) : code;
}

int rp_cli_context_use (rp_cli_t *cli)
{
    const char *name = s_name (cli);
    int code = name ? s_load () : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    if (!rp_contexts_find (&s_contexts, name))
        return s_tell_unknown (name);
    snprintf (s_contexts.use, sizeof s_contexts.use, "%s", name);
    return s_save (cli);
}

int rp_cli_context_remove (rp_cli_t *cli)
{
    const char *name = s_name (cli);
    int code = name ? s_load () : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    rp_named_context_t *item = rp_contexts_find (&s_contexts, name);
    if (!item)
        return s_tell_unknown (name);
    rp_contexts_remove (&s_contexts, item);
    return s_save (cli);
}

/*  ---- Showing -------------------------------------------------------------------------------- */

static json_t *s_json (const rp_named_context_t *item)
{
    json_t *object = json_object ();
    rp_output_set (object, "name", rp_output_text (item->name));
    rp_output_set (object, "used", json_boolean (strcmp (s_contexts.use, item->name) == 0));
    for (size_t index = 0; index < RP_CONTEXT_VALUES; index++)
        if (item->values[index][0])
            rp_output_set (
              object, rp_context_value_names[index], rp_output_text (item->values[index]));
    return object;
}

static void s_print_grid (const rp_cli_t *cli)
{
    static const char *const titles[] = {"", "NAME", "SERVER", "KEY FILE", "TIMEOUT"};
    static const bool right[sizeof titles / sizeof *titles];
    rp_grid_t *grid = rp_grid_new (titles, right, sizeof titles / sizeof *titles);
    bool whole = grid != NULL;
    for (size_t index = 0; index < s_contexts.count && whole; index++) {
        const rp_named_context_t *item = &s_contexts.items[index];
        const char *cells[sizeof titles / sizeof *titles] = {
          strcmp (s_contexts.use, item->name) == 0 ? "*" : "", item->name,
          item->values[RP_CONTEXT_SERVER], item->values[RP_CONTEXT_KEY_FILE],
          item->values[RP_CONTEXT_TIMEOUT]};
        for (size_t cell = 2; cell < sizeof titles / sizeof *titles; cell++)
            cells[cell] = *cells[cell] ? cells[cell] : "-";
        whole = rp_grid_add (grid, cells);
    }
    if (!whole)
        rp_output_no_memory ();
    rp_grid_print (grid, stdout, cli->out.bold, cli->out.reset);
    rp_grid_destroy (&grid);
}

int rp_cli_context_list (rp_cli_t *cli)
{
    if (cli->arguments.count > 0)
        return rp_cli_usage ("context list takes no argument");
    int code = s_load ();
    if (code != 0)
        return code;
    if (rp_cli_writes_json (cli)) {
        rp_output_list_t list;
        rp_output_list_begin (&list, (rp_output_t) cli->options.output);
        for (size_t index = 0; index < s_contexts.count; index++)
            rp_output_list_add (&list, s_json (&s_contexts.items[index]));
        rp_output_list_end (&list);
    }
    else if (s_contexts.count > 0)
        s_print_grid (cli);
    else if (!cli->options.quiet)
        fputs ("no contexts; make one: riposte context add NAME -s ENDPOINT\n", stderr);
    return 0;
}

int rp_cli_context_show (rp_cli_t *cli)
{
    bool named = cli->arguments.count > 0;
    const char *name = named ? s_name (cli) : "";
    int code = name ? s_load () : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    if (!named)
        name = s_contexts.use;
    if (!*name)
        return rp_cli_usage ("no context is in use; choose one: riposte context use NAME");
    const rp_named_context_t *item = rp_contexts_find (&s_contexts, name);
    if (!item)
        return s_tell_unknown (name);
    if (rp_cli_writes_json (cli)) {
        rp_output_json ((rp_output_t) cli->options.output, s_json (item));
        return 0;
    }
    printf ("name = %s\n", item->name);
    for (size_t index = 0; index < RP_CONTEXT_VALUES; index++)
        if (item->values[index][0])
            printf ("%s = %s\n", rp_context_value_names[index], item->values[index]);
    return 0;
}
