/*  riposte keys: what its commands share. Finds and reads the files of keys, checks names and
    options, and writes the answers.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/keys.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/text.h"
#include "common/access/rules.h"
#include "common/base/grow.h"

/*  ---- Directories and names -----------------------------------------------------------------  */

const char *rp_keys_directory (const rp_cli_t *cli)
{
    static char path[RP_KEYS_PATH_MAX];
    const char *folder = getenv ("XDG_CONFIG_HOME");
    const char *inner = "riposte";
    if (cli->options.keys_dir)
        return cli->options.keys_dir;
    if (geteuid () == 0)
        return "/etc/riposte";
    if (!folder || *folder != '/') {
        folder = getenv ("HOME");
        inner = ".config/riposte";
    }
    if (folder && *folder == '/'
        && (size_t) snprintf (path, sizeof path, "%s/%s", folder, inner) < sizeof path)
        return path;
    rp_cli_usage ("HOME does not name a directory; name the keys' one: --dir DIR");
    return NULL;
}

const char *rp_keys_authorized (const rp_cli_t *cli)
{
    static char path[RP_KEYS_PATH_MAX];
    const char *given = cli->options.keys_into ? cli->options.keys_into : cli->options.from;
    const char *directory = given ? NULL : rp_keys_directory (cli);
    if (given)
        return given;
    return directory && rp_keys_path (path, directory, "authorized", "") ? path : NULL;
}

bool rp_keys_path (
  char path[RP_KEYS_PATH_MAX], const char *directory, const char *name, const char *suffix)
{
    int size = snprintf (path, RP_KEYS_PATH_MAX, "%s/%s%s", directory, name, suffix);
    if (size >= 0 && (size_t) size < RP_KEYS_PATH_MAX)
        return true;
    rp_cli_usage ("a path is longer than %u bytes", RP_KEYS_PATH_MAX - 1);
    return false;
}

static bool s_ends_with (const char *text, const char *end)
{
    size_t size = strlen (text);
    size_t length = strlen (end);
    return size > length && strcmp (text + size - length, end) == 0;
}

bool rp_keys_check_name (const char *name)
{
    bool is_file = s_ends_with (name, RP_KEYS_PUBLIC) || s_ends_with (name, RP_KEYS_SECRET);
    if (rp_principal_is_valid (name, strlen (name)) && !strchr (name, '/') && *name != '.'
        && *name != '-' && !is_file)
        return true;
    rp_cli_usage (
      "the NAME of a pair is 1 to %u printable characters without spaces, quotes, # and /, "
      "does not begin with . or -, and has no %s at its end, unlike \"%s\"",
      RP_PRINCIPAL_MAX, RP_KEYS_PUBLIC, name);
    return false;
}

void rp_keys_name_of (char name[RP_KEYS_PATH_MAX], const char *path)
{
    const char *slash = strrchr (path, '/');
    snprintf (name, RP_KEYS_PATH_MAX, "%s", slash ? slash + 1 : path);
    if (s_ends_with (name, RP_KEYS_SECRET))
        name[strlen (name) - strlen (RP_KEYS_SECRET)] = '\0';
    else if (s_ends_with (name, RP_KEYS_PUBLIC))
        name[strlen (name) - strlen (RP_KEYS_PUBLIC)] = '\0';
}

/*  ---- Arguments -----------------------------------------------------------------------------  */

const char *rp_keys_argument (const rp_cli_t *cli, const char *what)
{
    const rp_arguments_t *arguments = &cli->arguments;
    const char *command = arguments->command->name;
    if (arguments->count == 1)
        return arguments->items[0];
    if (arguments->count == 0)
        rp_cli_usage ("%s is missing; see: riposte %s --help", what, command);
    else
        rp_cli_usage ("%s takes one argument, not \"%s\" too", command, arguments->items[1]);
    return NULL;
}

bool rp_keys_join_roles (const rp_cli_t *cli, char roles[RP_CERTIFICATE_VALUE_MAX + 1])
{
    const rp_option_list_t *list = &cli->options.roles;
    size_t used = 0;
    *roles = '\0';
    for (size_t index = 0; index < list->count; index++) {
        const char *role = list->items[index];
        if (!rp_principal_is_valid (role, strlen (role)) || strchr (role, ',')) {
            rp_cli_usage ("--role wants 1 to %u printable characters without spaces, quotes, # and "
                          "commas, not \"%s\"",
              RP_PRINCIPAL_MAX, role);
            return false;
        }
        int size = snprintf (
          roles + used, RP_CERTIFICATE_VALUE_MAX + 1 - used, "%s%s", used > 0 ? "," : "", role);
        used += size > 0 ? (size_t) size : 0;
        if (used > RP_CERTIFICATE_VALUE_MAX) {
            rp_cli_usage ("--role: all roles together are over %u bytes; make one role of them in "
                          "the rules",
              RP_CERTIFICATE_VALUE_MAX);
            return false;
        }
    }
    return true;
}

bool rp_keys_check_principal (const rp_cli_t *cli)
{
    const char *principal = cli->options.principal;
    const char *command = cli->arguments.command->name;
    if (!principal)
        rp_cli_usage ("%s wants --principal NAME: who it is that has the key", command);
    else if (!rp_principal_is_valid (principal, strlen (principal)))
        rp_cli_usage (
          "--principal wants 1 to %u printable characters without spaces, quotes and #, "
          "not \"%s\"",
          RP_PRINCIPAL_MAX, principal);
    else if (rp_principal_is_keyless (principal))
        rp_cli_usage ("--principal: \"%s\" is who has no key; choose another name", principal);
    else
        return true;
    return false;
}

void rp_keys_now (char text[RP_CERTIFICATE_VALUE_MAX + 1])
{
    time_t now = time (NULL);
    struct tm parts;
    if (!gmtime_r (&now, &parts)
        || strftime (text, RP_CERTIFICATE_VALUE_MAX + 1, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        *text = '\0';
}

/*  ---- Output --------------------------------------------------------------------------------  */

static void s_write_csv (json_t *object)
{
    const char *key;
    json_t *value;
    const char *joint = "";
    json_object_foreach (object, key, value)
    {
        printf ("%s%s", joint, key);
        joint = ",";
    }
    joint = "\n";
    json_object_foreach (object, key, value)
    {
        fputs (joint, stdout);
        joint = ",";
        if (json_is_string (value))
            rp_text_csv (stdout, json_string_value (value), json_string_length (value));
        else if (json_is_boolean (value))
            fputs (json_is_true (value) ? "true" : "false", stdout);
    }
    putchar ('\n');
}

bool rp_keys_write (const rp_cli_t *cli, json_t *object)
{
    bool is_table = cli->options.output == RP_OUTPUT_TABLE;
    if (rp_cli_writes_json (cli))
        rp_output_json ((rp_output_t) cli->options.output, json_incref (object));
    else if (!is_table)
        s_write_csv (object);
    json_decref (object);
    return !is_table;
}

void rp_keys_next (const rp_cli_t *cli, const char *format, ...)
{
    if (cli->options.quiet || cli->options.output != RP_OUTPUT_TABLE)
        return;
    va_list list;
    va_start (list, format);
    vfprintf (stderr, format, list);
    va_end (list);
    fputc ('\n', stderr);
}

/*  ---- The files of a directory --------------------------------------------------------------  */

static int s_is_visible (const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int s_compare (const struct dirent **a, const struct dirent **b)
{
    return strcmp ((*a)->d_name, (*b)->d_name);
}

/*  Returns false after an error was written.  */
static bool s_read_file (rp_keys_files_t *files, const char *directory, const char *name)
{
    char path[RP_KEYS_PATH_MAX];
    char reason[RP_CERTIFICATE_REASON_MAX];
    if (!rp_keys_path (path, directory, name, ""))
        return false;
    rp_keys_file_t *items =
      rp_grown (files->items, &files->capacity, files->count, sizeof *files->items);
    if (!items)
        rp_output_no_memory ();
    files->items = items;
    rp_keys_file_t *file = &items[files->count++];
    file->file = strdup (name);
    bool good = rp_certificate_load (&file->certificate, path, reason);
    file->mistake = good ? NULL : strdup (reason);
    if (!file->file || (!good && !file->mistake))
        rp_output_no_memory ();
    explicit_bzero (file->certificate.secret_key, RP_KEY_SIZE);
    return true;
}

int rp_keys_files_read (rp_keys_files_t *files, const char *directory, const char *suffix)
{
    struct dirent **entries = NULL;
    *files = (rp_keys_files_t){0};
    int count = scandir (directory, &entries, s_is_visible, s_compare);
    if (count < 0 && errno == ENOENT)
        return 0;
    if (count < 0)
        return rp_cli_fail ("%s: %s", directory, strerror (errno));
    bool good = true;
    for (int index = 0; index < count; index++) {
        if (good && s_ends_with (entries[index]->d_name, suffix))
            good = s_read_file (files, directory, entries[index]->d_name);
        free (entries[index]);
    }
    free (entries);
    return good ? 0 : rp_status_exit_code (RP_USAGE);
}

void rp_keys_files_free (rp_keys_files_t *files)
{
    for (size_t index = 0; index < files->count; index++) {
        free (files->items[index].file);
        free (files->items[index].mistake);
    }
    free (files->items);
    *files = (rp_keys_files_t){0};
}

const rp_keys_file_t *rp_keys_files_find (
  const rp_keys_files_t *files, const uint8_t key[RP_KEY_SIZE])
{
    for (size_t index = 0; index < files->count; index++)
        if (!files->items[index].mistake
            && memcmp (files->items[index].certificate.public_key, key, RP_KEY_SIZE) == 0)
            return &files->items[index];
    return NULL;
}
