/*  riposte keys lint: looks for mistakes in the directories of keys.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/input.h"
#include "client/cli/keys.h"
#include "client/cli/listing.h"
#include "client/cli/text.h"
#include "common/access/authorized.h"
#include "common/access/tokens.h"

typedef struct {
    const rp_cli_t *cli;
    json_t *problems; /* objects with file and problem */
} s_lint_t;

static void s_add (s_lint_t *self, const char *file, const char *problem)
{
    json_t *object = json_object ();
    rp_output_set (object, "file", rp_output_text (file));
    rp_output_set (object, "problem", rp_output_text (problem));
    if (json_array_append_new (self->problems, object) != 0)
        rp_output_no_memory ();
}

static void __attribute__ ((format (printf, 3, 4)))
s_report (s_lint_t *self, const char *file, const char *format, ...)
{
    char problem[RP_KEYS_PATH_MAX + 256];
    va_list list;
    va_start (list, format);
    vsnprintf (problem, sizeof problem, format, list);
    va_end (list);
    s_add (self, file, problem);
}

/*  Takes "PATH: what is wrong", and "PATH:LINE:COLUMN: what is wrong". The path may have a colon,
    but none with a blank behind it is likely.  */
static void s_take (const char *message, void *arg)
{
    const char *colon = strstr (message, ": ");
    char file[RP_KEYS_PATH_MAX];
    snprintf (file, sizeof file, "%.*s", colon ? (int) (colon - message) : 0, message);
    s_add (arg, file, colon ? colon + 2 : message);
}

/*  Others must not be able to put keys or rules there, or to take them away.  */
static void s_check_mode (s_lint_t *self, const char *path, mode_t refused)
{
    struct stat status;
    if (stat (path, &status) != 0) {
        if (errno != ENOENT)
            s_report (self, path, "%s", strerror (errno));
    }
    else if ((status.st_mode & refused & (S_IRGRP | S_IROTH)) != 0)
        s_report (self, path, "others can read it (mode %04o); chmod go= %s",
          (unsigned) status.st_mode & 07777, path);
    else if ((status.st_mode & refused) != 0)
        s_report (self, path, "others can change it (mode %04o); chmod go-w %s",
          (unsigned) status.st_mode & 07777, path);
}

/*  ---- Pairs ---------------------------------------------------------------------------------  */

/*  A public certificate in the directory of pairs, beside its secret one if that is there.  */
static void s_check_public (
  s_lint_t *self, const char *directory, const rp_keys_file_t *file, const rp_keys_files_t *secrets)
{
    char path[RP_KEYS_PATH_MAX];
    if (!rp_keys_path (path, directory, file->file, ""))
        return;
    if (file->mistake) {
        s_take (file->mistake, self);
        return;
    }
    s_check_mode (self, path, S_IWGRP | S_IWOTH);
    if (file->certificate.has_secret)
        s_report (self, path, "it has the secret key; a file to give away is NAME.key without it");
    size_t size = strlen (file->file);
    for (size_t index = 0; index < secrets->count; index++) {
        const rp_keys_file_t *secret = &secrets->items[index];
        if (strncmp (secret->file, file->file, size) == 0
            && strcmp (secret->file + size, "_secret") == 0 && !secret->mistake
            && memcmp (secret->certificate.public_key, file->certificate.public_key, RP_KEY_SIZE)
                 != 0)
            s_report (self, path, "its key is not that of %s", secret->file);
    }
}

static int s_check_pairs (s_lint_t *self, const char *directory)
{
    rp_keys_files_t secrets = {0};
    rp_keys_files_t publics = {0};
    char path[RP_KEYS_PATH_MAX];
    s_check_mode (self, directory, S_IWGRP | S_IWOTH);
    int code = rp_keys_files_read (&secrets, directory, RP_KEYS_SECRET);
    if (code == 0)
        code = rp_keys_files_read (&publics, directory, RP_KEYS_PUBLIC);
    for (size_t index = 0; index < secrets.count; index++) {
        const rp_keys_file_t *file = &secrets.items[index];
        if (!rp_keys_path (path, directory, file->file, ""))
            continue;
        const rp_keys_file_t *first = rp_keys_files_find (&secrets, file->certificate.public_key);
        if (file->mistake)
            s_take (file->mistake, self);
        else if (!file->certificate.has_secret)
            s_report (self, path, "it has no secret key");
        else if (first != file)
            s_report (self, path, "the same key as %s; a key has one owner: riposte keys new NAME",
              first->file);
    }
    for (size_t index = 0; index < publics.count; index++)
        s_check_public (self, directory, &publics.items[index], &secrets);
    rp_keys_files_free (&secrets);
    rp_keys_files_free (&publics);
    return code;
}

/*  ---- Authorized keys -----------------------------------------------------------------------  */

typedef struct {
    s_lint_t *lint;
    const char *file;
} s_rules_t;

/*  Takes "LINE:COLUMN: what is wrong".  */
static void s_take_rules (const char *message, void *arg)
{
    const s_rules_t *self = arg;
    const char *colon = strstr (message, ": ");
    char file[RP_KEYS_PATH_MAX + 64];
    snprintf (
      file, sizeof file, "%s:%.*s", self->file, colon ? (int) (colon - message) : 0, message);
    s_add (self->lint, file, colon ? colon + 2 : message);
}

/*  Returns the rules, or NULL after what is wrong with them was reported.  */
static rp_rules_t *s_read_rules (s_lint_t *self, const char *file)
{
    rp_input_t input = {0};
    rp_input_outcome_t outcome = rp_input_read (&input, file);
    rp_rules_t *rules = NULL;
    s_rules_t arg = {self, file};
    if (outcome != RP_INPUT_OK)
        s_report (self, file, "%s", rp_input_reason (outcome));
    else
        rules = rp_rules_read (input.size > 0 ? input.data : "", input.size, s_take_rules, &arg);
    rp_input_free (&input);
    return rules;
}

/*  True if any role of a list with commas has rules.  */
static bool s_has_role (const rp_rules_t *rules, const char *roles)
{
    char role[RP_PRINCIPAL_MAX + 2];
    for (const char *at = roles; *at; at += strspn (at, ", ")) {
        size_t size = strcspn (at, ", ");
        snprintf (role, sizeof role, "%.*s", (int) size, at);
        if (rp_rules_has_role (rules, role))
            return true;
        at += size;
    }
    return false;
}

static void s_check_keys (
  s_lint_t *self, const char *directory, const rp_authorized_t *keys, rp_rules_t *rules)
{
    char path[RP_KEYS_PATH_MAX];
    for (size_t index = 0; index < rp_authorized_count (keys); index++) {
        const rp_authorized_key_t *key = rp_authorized_at (keys, index);
        if (!rp_keys_path (path, directory, key->file, ""))
            continue;
        s_check_mode (self, path, S_IWGRP | S_IWOTH);
        if (key->expired)
            s_report (self, path, "it has expired; riposte keys revoke it, or authorize it again");
        else if (rules && !rp_rules_has_principal (rules, key->principal)
                 && !s_has_role (rules, key->roles))
            s_report (
              self, path, "principal \"%s\" has no rules, so it may do nothing", key->principal);
    }
    if (rules)
        (void) rp_authorized_grant (keys, rules, s_take, self); // reports roles without rules
}

static void s_check_authorized (s_lint_t *self, const char *directory, const char *rules_file)
{
    char tokens[RP_KEYS_PATH_MAX];
    s_check_mode (self, directory, S_IWGRP | S_IWOTH);
    if (rp_keys_path (tokens, directory, RP_TOKENS_FILE, ""))
        s_check_mode (self, tokens, S_IRWXG | S_IRWXO);
    if (rules_file)
        s_check_mode (self, rules_file, S_IWGRP | S_IWOTH);
    rp_rules_t *rules = rules_file ? s_read_rules (self, rules_file) : NULL;
    rp_authorized_t *keys = rp_authorized_load (directory, time (NULL), s_take, self);
    if (keys)
        s_check_keys (self, directory, keys, rules);
    rp_authorized_destroy (&keys);
    rp_rules_destroy (&rules);
}

/*  ---- The command ---------------------------------------------------------------------------  */

static void s_write (s_lint_t *self, const char *directory, const char *authorized)
{
    static const rp_column_t columns[] = {
      {"FILE", RP_CELL_TEXT, "file", NULL},
      {"PROBLEM", RP_CELL_TEXT, "problem", NULL},
    };
    static const rp_listing_t listing = {.list = "problems", .columns = columns, .column_count = 2};
    size_t index;
    json_t *problem;
    if (self->cli->options.output != RP_OUTPUT_TABLE) {
        json_t *answer = json_object ();
        rp_output_set (answer, "problems", json_incref (self->problems));
        rp_listing_write (self->cli, &listing, answer);
        return;
    }
    json_array_foreach (self->problems, index, problem)
    {
        const char *text = json_string_value (json_object_get (problem, "problem"));
        char *visible = rp_text_visible (text, strlen (text));
        if (!visible)
            rp_output_no_memory ();
        printf ("%s: %s\n", json_string_value (json_object_get (problem, "file")), visible);
        free (visible);
    }
    if (json_array_size (self->problems) == 0)
        rp_keys_next (self->cli, "nothing wrong in %s and %s", directory, authorized);
}

int rp_cli_keys_lint (rp_cli_t *cli)
{
    char usual[RP_KEYS_PATH_MAX];
    if (cli->arguments.count > 0)
        return rp_cli_usage ("keys lint takes no argument, not \"%s\"", cli->arguments.items[0]);
    const char *directory = rp_keys_directory (cli);
    const char *authorized = directory ? rp_keys_authorized (cli) : NULL;
    if (!authorized || !rp_keys_path (usual, directory, "rules", ""))
        return rp_status_exit_code (RP_USAGE);
    const char *rules = cli->options.rules          ? cli->options.rules
                        : access (usual, F_OK) == 0 ? usual
                                                    : NULL;
    if (access (directory, F_OK) != 0 && access (authorized, F_OK) != 0)
        return rp_cli_fail (
          "%s: %s; name the directory of the keys: --dir DIR", directory, strerror (errno));
    s_lint_t self = {.cli = cli, .problems = json_array ()};
    if (!self.problems)
        rp_output_no_memory ();
    int code = s_check_pairs (&self, directory);
    // A machine that only has a client's keys authorizes nobody.
    if (code == 0 && (access (authorized, F_OK) == 0 || cli->options.from))
        s_check_authorized (&self, authorized, rules);
    if (code == 0) {
        s_write (&self, directory, authorized);
        code = json_array_size (self.problems) > 0 ? rp_status_exit_code (RP_SYSTEM) : 0;
    }
    json_decref (self.problems);
    return code;
}
