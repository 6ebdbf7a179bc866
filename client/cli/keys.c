/*  riposte keys new, rotate, show: pairs of keys.

    SPDX-License-Identifier: MPL-2.0
*/

#include "client/cli/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/text.h"
#include "common/io/disk.h"

typedef struct {
    char public_file[RP_KEYS_PATH_MAX];
    char secret_file[RP_KEYS_PATH_MAX];
} s_pair_t;

/*  The files of the pair NAMEMARK; mark: "", ".old".  */
static bool s_name_pair (s_pair_t *pair, const char *directory, const char *name, const char *mark)
{
    char suffix[32];
    snprintf (suffix, sizeof suffix, "%s%s", mark, RP_KEYS_PUBLIC);
    if (!rp_keys_path (pair->public_file, directory, name, suffix))
        return false;
    snprintf (suffix, sizeof suffix, "%s%s", mark, RP_KEYS_SECRET);
    return rp_keys_path (pair->secret_file, directory, name, suffix);
}

/*  Makes a pair and its files. Returns 0, or the exit code after an error was written; then there
    are no new files.  */
static int s_make (rp_certificate_t *certificate, const char *name, const s_pair_t *pair)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    if (!rp_certificate_new (certificate))
        return rp_cli_fail ("this libzmq was built without CURVE; install Debian's libzmq5");
    snprintf (certificate->name, sizeof certificate->name, "%s", name);
    rp_keys_now (certificate->created);
    bool good = rp_certificate_save (certificate, pair->secret_file, true, reason);
    if (good && !rp_certificate_save (certificate, pair->public_file, false, reason)) {
        unlink (pair->secret_file);
        good = false;
    }
    rp_certificate_forget (certificate);
    return good ? 0 : rp_cli_fail ("%s", reason);
}

static json_t *s_pair_json (const rp_certificate_t *certificate, const s_pair_t *pair)
{
    char key[RP_KEY_TEXT];
    json_t *object = json_object ();
    rp_key_format (certificate->public_key, key);
    rp_output_set (object, "name", rp_output_text (certificate->name));
    rp_output_set (object, "public_key", json_string (key));
    rp_output_set (object, "file", rp_output_text (pair->public_file));
    rp_output_set (object, "secret_file", rp_output_text (pair->secret_file));
    rp_output_set (object, "created", json_string (certificate->created));
    return object;
}

static void s_write_pair (
  const rp_cli_t *cli, const rp_certificate_t *certificate, const s_pair_t *pair)
{
    char key[RP_KEY_TEXT];
    if (rp_keys_write (cli, s_pair_json (certificate, pair)) || cli->options.quiet)
        return;
    rp_key_format (certificate->public_key, key);
    printf ("%s  %s\n%s  secret, for its owner only\n", pair->public_file, key, pair->secret_file);
}

/*  Returns the directory and the argument NAME. False after an error was written; *code is the exit
    code.  */
static bool s_begin (const rp_cli_t *cli, const char **directory, const char **name, int *code)
{
    *code = rp_status_exit_code (RP_USAGE);
    *name = rp_keys_argument (cli, "the NAME of the pair");
    if (!*name || !rp_keys_check_name (*name))
        return false;
    *directory = rp_keys_directory (cli);
    return *directory != NULL;
}

int rp_cli_keys_new (rp_cli_t *cli)
{
    const char *directory;
    const char *name;
    int code;
    s_pair_t pair;
    rp_certificate_t certificate;
    if (!s_begin (cli, &directory, &name, &code))
        return code;
    if (!rp_disk_make_directory (directory, 0700))
        return rp_cli_fail ("%s: %s", directory, strerror (errno));
    if (!s_name_pair (&pair, directory, name, ""))
        return rp_status_exit_code (RP_USAGE);
    code = s_make (&certificate, name, &pair);
    if (code != 0)
        return code;
    s_write_pair (cli, &certificate, &pair);
    rp_keys_next (cli,
      "of a client or worker: riposte keys authorize %s --principal %s; of a broker: "
      "riposte-broker --key-file %s",
      pair.public_file, name, pair.secret_file);
    return 0;
}

/*  ---- rotate --------------------------------------------------------------------------------  */

/*  Gives a file a second name, which must be free. False after an error was written.  */
static bool s_keep (const char *file, const char *kept)
{
    if (link (file, kept) == 0)
        return true;
    if (errno == EEXIST)
        rp_cli_fail (
          "%s: an older key is still here; when nobody uses it any more, remove it and its "
          "other half",
          kept);
    else
        rp_cli_fail ("%s: %s", errno == ENOENT ? file : kept, strerror (errno));
    return false;
}

static void s_remove (const s_pair_t *pair)
{
    unlink (pair->secret_file);
    unlink (pair->public_file);
}

/*  Puts the new pair in the place of the current one, which becomes the old one. At each moment
    there is a whole secret file under NAME.key_secret, and no key is lost. False after an error was
    written.  */
static bool s_swap (const s_pair_t *current, const s_pair_t *fresh, const s_pair_t *old)
{
    if (!s_keep (current->secret_file, old->secret_file)) {
        s_remove (fresh);
        return false;
    }
    if (!s_keep (current->public_file, old->public_file)) {
        unlink (old->secret_file);
        s_remove (fresh);
        return false;
    }
    const char *file = current->secret_file;
    bool good = rename (fresh->secret_file, file) == 0;
    if (good) {
        file = current->public_file;
        good = rename (fresh->public_file, file) == 0 && rp_disk_sync_directory (file);
    }
    if (!good)
        rp_cli_fail (
          "%s: %s; see which of its files are there, and which keys they have: riposte keys "
          "show FILE",
          file, strerror (errno));
    return good;
}

int rp_cli_keys_rotate (rp_cli_t *cli)
{
    const char *directory;
    const char *name;
    int code;
    s_pair_t pairs[3]; // current, fresh, old
    static const char *const marks[] = {"", ".fresh", ".old"};
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t certificate;
    if (!s_begin (cli, &directory, &name, &code))
        return code;
    for (size_t index = 0; index < 3; index++)
        if (!s_name_pair (&pairs[index], directory, name, marks[index]))
            return code;
    bool good = rp_certificate_load (&certificate, pairs[0].secret_file, reason);
    rp_certificate_forget (&certificate);
    if (!good)
        return rp_cli_fail ("%s", reason);
    code = s_make (&certificate, name, &pairs[1]);
    if (code != 0)
        return code;
    if (!s_swap (&pairs[0], &pairs[1], &pairs[2]))
        return rp_status_exit_code (RP_SYSTEM);
    s_write_pair (cli, &certificate, &pairs[0]);
    rp_keys_next (cli,
      "nothing is authorized yet. Of a client or worker: riposte keys authorize %s --principal "
      "NAME, "
      "then riposte reload; when the new key is in use: riposte keys revoke %s. Of a broker: "
      "start it with --key-file %s --next-key-file %s --next-bind tcp://ADDRESS:PORT; move clients "
      "and "
      "workers to that port with --server-key %s; then start it with the new key alone",
      pairs[0].public_file, pairs[2].public_file, pairs[2].secret_file, pairs[0].secret_file,
      pairs[0].public_file);
    return 0;
}

/*  ---- show ----------------------------------------------------------------------------------  */

int rp_cli_keys_show (rp_cli_t *cli)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    char key[RP_KEY_TEXT];
    rp_certificate_t certificate;
    const char *file = rp_keys_argument (cli, "the FILE of the certificate");
    if (!file)
        return rp_status_exit_code (RP_USAGE);
    if (!rp_certificate_load (&certificate, file, reason))
        return rp_cli_fail ("%s", reason);
    bool has_secret = certificate.has_secret;
    rp_certificate_forget (&certificate);
    rp_key_format (certificate.public_key, key);
    const struct {
        const char *name;
        const char *value;
    } fields[] = {{"file", file}, {"name", certificate.name}, {"public_key", key},
      {"principal", certificate.principal}, {"role", certificate.roles},
      {"created", certificate.created}, {"expires", certificate.expires}};
    json_t *object = json_object ();
    for (size_t index = 0; index < sizeof fields / sizeof *fields; index++)
        rp_output_set (object, fields[index].name, rp_output_text (fields[index].value));
    rp_output_set (object, "secret", json_boolean (has_secret));
    if (rp_keys_write (cli, object))
        return 0;
    for (size_t index = 0; index < sizeof fields / sizeof *fields; index++) {
        char *text = rp_text_visible (fields[index].value, strlen (fields[index].value));
        if (!text)
            rp_output_no_memory ();
        if (*text != '\0')
            printf ("%-10s  %s\n", fields[index].name, text);
        free (text);
    }
    printf ("%-10s  %s\n", "secret", has_secret ? "yes, and not shown" : "no");
    return 0;
}
