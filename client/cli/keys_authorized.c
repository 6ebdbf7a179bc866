/*  riposte keys authorize, revoke, list: the keys that a broker accepts.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/keys.h"
#include "client/cli/listing.h"
#include "common/io/disk.h"

/*  NAME.key, NAME.2.key, …: keys of one principal under one name, as while a key is rotated.  */
#define S_SAME_NAME_MAX 9

static bool s_has_expired (const rp_certificate_t *certificate)
{
    int64_t expiry;
    return !rp_certificate_expiry (certificate->expires, &expiry) || expiry <= time (NULL);
}

/*  ---- authorize -----------------------------------------------------------------------------  */

/*  Fills in the certificate that is written for the key in a file. Returns 0, or the exit code
    after an error was written.  */
static int s_compose (const rp_cli_t *cli, const char *file, rp_certificate_t *certificate)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t read;
    *certificate = (rp_certificate_t){0};
    if (!rp_keys_check_principal (cli) || !rp_keys_join_roles (cli, certificate->roles))
        return rp_status_exit_code (RP_USAGE);
    const char *expires = cli->options.expires ? cli->options.expires : "";
    snprintf (certificate->expires, sizeof certificate->expires, "%s", expires);
    int64_t unused;
    if (!rp_certificate_expiry (expires, &unused))
        return rp_cli_usage (
          "--expires wants a date such as 2027-01-31 (its first second, UTC) or a "
          "time such as 2027-01-31T18:30:00Z, not \"%s\"",
          expires);
    if (s_has_expired (certificate))
        return rp_cli_usage ("--expires: %s is over", expires);
    if (!rp_certificate_load (&read, file, reason))
        return rp_cli_fail ("%s", reason);
    memcpy (certificate->public_key, read.public_key, RP_KEY_SIZE);
    rp_certificate_forget (&read);
    snprintf (certificate->principal, sizeof certificate->principal, "%s", cli->options.principal);
    rp_keys_now (certificate->created);
    return 0;
}

static const rp_keys_file_t *s_find_file (const rp_keys_files_t *files, const char *name)
{
    for (size_t index = 0; index < files->count; index++)
        if (strcmp (files->items[index].file, name) == 0)
            return &files->items[index];
    return NULL;
}

/*  Finds the file for a key: the one that has it already, or a free name. False after an error was
    written: the name belongs to another principal.  */
static bool s_choose_file (const rp_keys_files_t *files,
  const char *directory,
  const char *name,
  const rp_certificate_t *certificate,
  char file[RP_KEYS_PATH_MAX])
{
    const rp_keys_file_t *same = rp_keys_files_find (files, certificate->public_key);
    if (same) {
        snprintf (file, RP_KEYS_PATH_MAX, "%s", same->file);
        return true;
    }
    const rp_keys_file_t *other = NULL;
    for (int number = 1; number <= S_SAME_NAME_MAX; number++) {
        char mark[8] = "";
        if (number > 1)
            snprintf (mark, sizeof mark, ".%d", number);
        snprintf (file, RP_KEYS_PATH_MAX, "%.200s%s%s", name, mark, RP_KEYS_PUBLIC);
        other = s_find_file (files, file);
        if (!other)
            return true;
        if (other->mistake || strcmp (other->certificate.principal, certificate->principal) != 0)
            break;
    }
    rp_cli_fail ("%s/%s: there is another key of %s under this name; take that out (riposte keys "
                 "revoke %s), or copy the file to another name",
      directory, file, other->mistake ? "nobody known" : other->certificate.principal, name);
    return false;
}

static void s_write_authorized (
  const rp_cli_t *cli, const rp_certificate_t *certificate, const char *path, bool is_new)
{
    char key[RP_KEY_TEXT];
    json_t *object = json_object ();
    rp_key_format (certificate->public_key, key);
    rp_output_set (object, "file", rp_output_text (path));
    rp_output_set (object, "public_key", json_string (key));
    rp_output_set (object, "principal", rp_output_text (certificate->principal));
    rp_output_set (object, "role", rp_output_text (certificate->roles));
    rp_output_set (object, "expires", rp_output_text (certificate->expires));
    rp_output_set (object, "new", json_boolean (is_new));
    if (rp_keys_write (cli, object) || cli->options.quiet)
        return;
    printf ("%s  %s  principal %s", path, key, certificate->principal);
    if (*certificate->roles != '\0')
        printf ("  role %s", certificate->roles);
    if (*certificate->expires != '\0')
        printf ("  expires %s", certificate->expires);
    puts (is_new ? "" : "  (it was authorized before; this is what is true now)");
}

int rp_cli_keys_authorize (rp_cli_t *cli)
{
    char name[RP_KEYS_PATH_MAX];
    char file[RP_KEYS_PATH_MAX];
    char path[RP_KEYS_PATH_MAX];
    char text[RP_CERTIFICATE_TEXT_MAX];
    rp_certificate_t certificate;
    rp_keys_files_t files = {0};
    const char *from = rp_keys_argument (cli, "the FILE of the public key");
    int code = from ? s_compose (cli, from, &certificate) : rp_status_exit_code (RP_USAGE);
    const char *directory = code == 0 ? rp_keys_authorized (cli) : NULL;
    if (code == 0 && !directory)
        code = rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    rp_keys_name_of (name, from);
    if (!rp_keys_check_name (name))
        return rp_status_exit_code (RP_USAGE);
    snprintf (certificate.name, sizeof certificate.name, "%.*s", (int) RP_CERTIFICATE_VALUE_MAX,
      name); // rp_keys_check_name has bounded it
    if (!rp_disk_make_directory (directory, RP_KEYS_AUTHORIZED_MODE))
        return rp_cli_fail ("%s: %s", directory, strerror (errno));
    code = rp_keys_files_read (&files, directory, RP_KEYS_PUBLIC);
    if (code == 0 && !s_choose_file (&files, directory, name, &certificate, file))
        code = rp_status_exit_code (RP_SYSTEM);
    if (code == 0 && !rp_keys_path (path, directory, file, ""))
        code = rp_status_exit_code (RP_USAGE);
    bool is_new = code == 0 && !s_find_file (&files, file);
    rp_keys_files_free (&files);
    if (code != 0)
        return code;
    size_t size = rp_certificate_format (&certificate, false, text);
    if (size == 0 || !(is_new ? rp_disk_create : rp_disk_replace) (path, 0644, text, size))
        return rp_cli_fail ("%s: %s", path, size == 0 ? "cannot be written" : strerror (errno));
    s_write_authorized (cli, &certificate, path, is_new);
    rp_keys_next (cli, "a broker that runs takes it when it reads its keys again: riposte reload");
    return 0;
}

/*  ---- revoke --------------------------------------------------------------------------------  */

/*  True if the argument of revoke names this file: NAME or NAME.key of the directory, or a
    certificate elsewhere with the same key.  */
static bool s_is_meant (
  const rp_keys_file_t *file, const char *name, const rp_certificate_t *certificate)
{
    if (certificate)
        return !file->mistake
               && memcmp (file->certificate.public_key, certificate->public_key, RP_KEY_SIZE) == 0;
    size_t size = strlen (name);
    return strncmp (file->file, name, size) == 0 && strcmp (file->file + size, RP_KEYS_PUBLIC) == 0;
}

static int s_complain_none (const rp_keys_files_t *files, const char *directory, const char *name)
{
    for (size_t index = 0; index < files->count; index++)
        if (strcmp (files->items[index].certificate.principal, name) == 0)
            return rp_cli_fail ("%s: no key \"%s\"; principal \"%s\" has %s", directory, name, name,
              files->items[index].file);
    return rp_cli_fail ("%s: no key \"%s\"; list them: riposte keys list", directory, name);
}

/*  Removes the files that are meant. Returns 0, or the exit code after an error was written.  */
static int s_remove (const rp_keys_files_t *files,
  const char *directory,
  const char *name,
  const rp_certificate_t *certificate,
  json_t *removed)
{
    char path[RP_KEYS_PATH_MAX] = "";
    for (size_t index = 0; index < files->count; index++) {
        if (!s_is_meant (&files->items[index], name, certificate))
            continue;
        if (!rp_keys_path (path, directory, files->items[index].file, ""))
            return rp_status_exit_code (RP_USAGE);
        if (unlink (path) != 0)
            return rp_cli_fail ("%s: %s", path, strerror (errno));
        if (json_array_append_new (removed, rp_output_text (path)) != 0)
            rp_output_no_memory ();
    }
    if (*path == '\0')
        return s_complain_none (files, directory, name);
    return rp_disk_sync_directory (path) ? 0 : rp_cli_fail ("%s: %s", path, strerror (errno));
}

static void s_write_removed (const rp_cli_t *cli, json_t *removed)
{
    size_t index;
    json_t *path;
    json_t *object = json_object ();
    rp_output_set (object, "revoked", json_incref (removed));
    if (rp_cli_writes_json (cli)) {
        rp_output_json ((rp_output_t) cli->options.output, object);
        return;
    }
    json_decref (object);
    if (cli->options.output == RP_OUTPUT_CSV)
        puts ("revoked");
    if (cli->options.output == RP_OUTPUT_CSV || !cli->options.quiet)
        json_array_foreach (removed, index, path) puts (json_string_value (path));
    rp_keys_next (cli, "a broker that runs cuts its sessions when it reads its keys again: riposte "
                       "reload");
}

int rp_cli_keys_revoke (rp_cli_t *cli)
{
    char name[RP_KEYS_PATH_MAX];
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t certificate;
    rp_keys_files_t files = {0};
    const char *what = rp_keys_argument (cli, "the NAME or the FILE of the key");
    const char *directory = what ? rp_keys_authorized (cli) : NULL;
    if (!directory)
        return rp_status_exit_code (RP_USAGE);
    bool is_path = strchr (what, '/') != NULL;
    rp_keys_name_of (name, what);
    if (is_path && !rp_certificate_load (&certificate, what, reason))
        return rp_cli_fail ("%s", reason);
    if (is_path)
        rp_certificate_forget (&certificate);
    json_t *removed = json_array ();
    if (!removed)
        rp_output_no_memory ();
    int code = rp_keys_files_read (&files, directory, RP_KEYS_PUBLIC);
    if (code == 0)
        code = s_remove (&files, directory, name, is_path ? &certificate : NULL, removed);
    if (code == 0)
        s_write_removed (cli, removed);
    json_decref (removed);
    rp_keys_files_free (&files);
    return code;
}

/*  ---- list ----------------------------------------------------------------------------------  */

static json_t *s_key_json (const rp_keys_file_t *file)
{
    char name[RP_KEYS_PATH_MAX];
    char key[RP_KEY_TEXT] = "";
    const rp_certificate_t *certificate = &file->certificate;
    json_t *object = json_object ();
    rp_keys_name_of (name, file->file);
    if (!file->mistake)
        rp_key_format (certificate->public_key, key);
    rp_output_set (object, "name", rp_output_text (name));
    rp_output_set (object, "principal", rp_output_text (certificate->principal));
    rp_output_set (object, "role", rp_output_text (certificate->roles));
    rp_output_set (object, "created", rp_output_text (certificate->created));
    rp_output_set (object, "expires", rp_output_text (certificate->expires));
    rp_output_set (object, "state",
      json_string (file->mistake                 ? "mistake"
                   : s_has_expired (certificate) ? "expired"
                                                 : "authorized"));
    rp_output_set (object, "public_key", json_string (key));
    rp_output_set (object, "mistake", rp_output_text (file->mistake ? file->mistake : ""));
    return object;
}

int rp_cli_keys_list (rp_cli_t *cli)
{
    static const rp_column_t columns[] = {
      {"NAME", RP_CELL_TEXT, "name", NULL},
      {"PRINCIPAL", RP_CELL_TEXT, "principal", NULL},
      {"ROLE", RP_CELL_TEXT, "role", NULL},
      {"EXPIRES", RP_CELL_TEXT, "expires", NULL},
      {"STATE", RP_CELL_TEXT, "state", NULL},
      {"KEY", RP_CELL_TEXT, "public_key", NULL},
    };
    static const rp_listing_t listing = {.list = "keys",
      .empty = "no keys: nobody is authorized; riposte keys authorize FILE --principal NAME",
      .columns = columns,
      .column_count = sizeof columns / sizeof *columns};
    rp_keys_files_t files = {0};
    if (cli->arguments.count > 0)
        return rp_cli_usage ("keys list takes no argument, not \"%s\"", cli->arguments.items[0]);
    const char *directory = rp_keys_authorized (cli);
    int code = directory ? rp_keys_files_read (&files, directory, RP_KEYS_PUBLIC)
                         : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    json_t *answer = json_object ();
    json_t *keys = json_array ();
    for (size_t index = 0; index < files.count; index++) {
        if (json_array_append_new (keys, s_key_json (&files.items[index])) != 0)
            rp_output_no_memory ();
        if (files.items[index].mistake) {
            if (!rp_cli_writes_json (cli))
                fprintf (stderr, "riposte: %s\n", files.items[index].mistake);
            code = rp_status_exit_code (RP_SYSTEM);
        }
    }
    rp_output_set (answer, "keys", keys);
    rp_listing_write (cli, &listing, answer);
    rp_keys_files_free (&files);
    return code;
}
