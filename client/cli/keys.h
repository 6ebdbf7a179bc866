/*  riposte keys: what its commands share.

    SPDX-License-Identifier: MPL-2.0

    There are two directories: one of pairs (NAME.key and NAME.key_secret, --dir), and in it, or
    elsewhere, one of authorized public certificates (--into, --from). No command needs a broker.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_KEYS_H
#define RP_KEYS_H

#include "client/cli/cli.h"
#include "common/io/certificate.h"

#define RP_KEYS_PATH_MAX 4096u
#define RP_KEYS_PUBLIC ".key"
#define RP_KEYS_SECRET ".key_secret"
/*  The mode of a new directory of authorized keys: a broker that runs as another user has to read
    it, and a secret file in it has a mode of its own.  */
#define RP_KEYS_AUTHORIZED_MODE 0755

/*  The directory of pairs, and that of authorized keys: as the options say, or the usual ones. NULL
    after an error was written. The text is static.  */
const char *rp_keys_directory (const rp_cli_t *cli);
const char *rp_keys_authorized (const rp_cli_t *cli);

/*  Writes DIRECTORY/NAMESUFFIX. False after an error was written: the path is too long.  */
bool rp_keys_path (
  char path[RP_KEYS_PATH_MAX], const char *directory, const char *name, const char *suffix);

/*  True if the name of a pair is one that files can have. False after an error was written.  */
bool rp_keys_check_name (const char *name);

/*  Copies the name in a path, without folder, ".key" and ".key_secret".  */
void rp_keys_name_of (char name[RP_KEYS_PATH_MAX], const char *path);

/*  The only argument of a command; NULL after an error was written. what: "the NAME of the
    pair".  */
const char *rp_keys_argument (const rp_cli_t *cli, const char *what);

/*  Joins the roles of --role with commas. False after an error was written: one is no name, or they
    are too long together.  */
bool rp_keys_join_roles (const rp_cli_t *cli, char roles[RP_CERTIFICATE_VALUE_MAX + 1]);

/*  True if the value of --principal is a valid name. False after an error was written.  */
bool rp_keys_check_principal (const rp_cli_t *cli);

/*  Now, as certificates write it.  */
void rp_keys_now (char text[RP_CERTIFICATE_VALUE_MAX + 1]);

/*  Writes an object, unless the format is a table. Returns false for a table, and writes nothing.
    Takes over the reference.  */
bool rp_keys_write (const rp_cli_t *cli, json_t *object);

/*  Writes the next step for people to standard error, if they read there.  */
void rp_keys_next (const rp_cli_t *cli, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  ---- The files of a directory ------------------------------------------------------------  */

typedef struct {
    char *file;                   /* name in the directory */
    rp_certificate_t certificate; /* the secret key is not kept, has_secret is */
    char *mistake;                /* NULL: it was read */
} rp_keys_file_t;

typedef struct {
    rp_keys_file_t *items; /* by name */
    size_t count;
    size_t capacity;
} rp_keys_files_t;

/*  Reads all files with this suffix. A directory that is not there is empty. Returns 0, or the exit
    code after an error was written. Free files in any case.  */
int rp_keys_files_read (rp_keys_files_t *files, const char *directory, const char *suffix);
void rp_keys_files_free (rp_keys_files_t *files);

/*  The file with this public key, NULL if there is none.  */
const rp_keys_file_t *rp_keys_files_find (
  const rp_keys_files_t *files, const uint8_t key[RP_KEY_SIZE]);

#endif
