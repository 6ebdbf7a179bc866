/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/access/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <sha2.h>

#include "common/io/disk.h"

#define S_PATH_MAX 4096u

bool rp_token_new (char token[RP_TOKEN_TEXT])
{
    uint8_t bytes[(RP_TOKEN_TEXT - 1) / 2];
    if (getrandom (bytes, sizeof bytes, 0) != (ssize_t) sizeof bytes)
        return false;
    for (size_t index = 0; index < sizeof bytes; index++)
        snprintf (token + 2 * index, 3, "%02x", bytes[index]);
    explicit_bzero (bytes, sizeof bytes);
    return true;
}

void rp_token_hash (const char *token, char hash[RP_TOKEN_TEXT])
{
    _Static_assert(RP_TOKEN_TEXT == SHA256_DIGEST_STRING_LENGTH, "SHA-256 as hex");
    // Allocates only when it is given no place for the text.
    (void) SHA256Data ((const uint8_t *) token, strlen (token), hash);
}

static bool s_write_entry (const rp_token_entry_t *entry, FILE *file)
{
    fprintf (file, "token = \"%s\"\n    principal = \"%s\"\n", entry->hash, entry->principal);
    for (size_t index = 0; index < entry->role_count; index++)
        fprintf (file, "    role = \"%s\"\n", entry->roles[index]);
    fprintf (file, "    created = \"%s\"\n", entry->created);
    return ferror (file) == 0;
}

/*  Reads the file and replaces it by the same with an entry more.  */
static bool s_replace (const char *path, char *text, const rp_token_entry_t *entry)
{
    struct stat status = {0};
    ssize_t size = rp_disk_read (path, text, RP_TOKENS_FILE_MAX, &status);
    if (size < 0 && errno != ENOENT)
        return false;
    if (size >= 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        errno = EPERM;
        return false;
    }
    size_t used = size > 0 ? (size_t) size : 0;
    if (used > 0 && text[used - 1] != '\n' && used < RP_TOKENS_FILE_MAX)
        text[used++] = '\n';
    FILE *file = fmemopen (text + used, RP_TOKENS_FILE_MAX - used, "w");
    if (!file)
        return false;
    setbuf (file, NULL); // so that ferror tells when there is no room
    bool good = s_write_entry (entry, file);
    long more = ftell (file);
    good &= fclose (file) == 0;
    if (!good || more <= 0) {
        errno = EFBIG;
        return false;
    }
    return rp_disk_replace (path, 0600, text, used + (size_t) more);
}

bool rp_tokens_add (const char *directory, const rp_token_entry_t *entry)
{
    char path[S_PATH_MAX];
    int length = snprintf (path, sizeof path, "%s/%s", directory, RP_TOKENS_FILE);
    if (length < 0 || (size_t) length >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    char *text = malloc (RP_TOKENS_FILE_MAX);
    int lock = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = text && lock >= 0 && flock (lock, LOCK_EX) == 0 && s_replace (path, text, entry);
    int error = errno;
    free (text);
    if (lock >= 0)
        close (lock);
    errno = error;
    return good;
}
