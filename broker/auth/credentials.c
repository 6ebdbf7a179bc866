/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/auth/credentials.h"

#include <errno.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/access/tokens.h"
#include "common/io/disk.h"

/*  The largest rules file, bytes.  */
#define S_RULES_MAX ((size_t) 1 << 20)

struct rp_credentials {
    atomic_uint users;
    bool has_own;
    rp_certificate_t own;
    bool has_next;
    rp_certificate_t next;
    rp_authorized_t *authorized; /* NULL: nobody has a key */
    rp_tokens_t *tokens;         /* of HTTP; NULL: there is no file of them */
    rp_rules_t *rules;
};

/*  The reading in hand.  */
typedef struct {
    rp_credentials_t *self;
    const char *file; /* being read */
    rp_credentials_error_fn *error;
    void *arg;
    unsigned errors;
} s_reading_t;

static void s_complain (const char *message, void *arg)
{
    s_reading_t *reading = arg;
    reading->errors++;
    reading->error (message, reading->arg);
}

/*  A mistake of the rules file, whose message begins with its place.  */
static void s_complain_of_rules (const char *message, void *arg)
{
    char text[1024];
    const s_reading_t *reading = arg;
    snprintf (text, sizeof text, "%.512s:%.500s", reading->file, message);
    s_complain (text, arg);
}

/*  Reads a whole file. NULL after a complaint.  */
static char *s_read_file (s_reading_t *reading, size_t *size)
{
    char message[1024];
    struct stat status;
    char *text = malloc (S_RULES_MAX + 1);
    ssize_t read = text ? rp_disk_read (reading->file, text, S_RULES_MAX + 1, &status) : -1;
    if (read >= 0) {
        *size = (size_t) read;
        return text;
    }
    snprintf (message, sizeof message, "%.512s: cannot be read: %s", reading->file,
      errno == EFBIG    ? "it is larger than rules can be"
      : errno == EINVAL ? "not a regular file"
                        : strerror (errno));
    s_complain (message, reading);
    free (text);
    return NULL;
}

static void s_read_rules (s_reading_t *reading, const char *path)
{
    size_t size;
    reading->file = path;
    char *text = s_read_file (reading, &size);
    if (text)
        reading->self->rules = rp_rules_read (text, size, s_complain_of_rules, reading);
    free (text);
}

/*  The directory `authorized` beside a file. NULL when out of memory.  */
static char *s_beside (const char *path)
{
    static const char name[] = "/authorized";
    char *copy = strdup (path);
    if (!copy)
        return NULL;
    const char *directory = dirname (copy);
    size_t size = strlen (directory) + sizeof name;
    char *beside = malloc (size);
    if (beside)
        snprintf (beside, size, "%s%s", directory, name);
    free (copy);
    return beside;
}

/*  Reads keys of the broker itself. False after a complaint.  */
static bool s_read_own (s_reading_t *reading, const char *path, rp_certificate_t *own)
{
    char reason[RP_CERTIFICATE_REASON_MAX];
    bool read = rp_certificate_load (own, path, reason);
    if (read && own->has_secret)
        return true;
    if (read)
        snprintf (reason, sizeof reason,
          "%.256s: holds a public key only; give the secret one, whose name ends with .key_secret",
          path);
    s_complain (reason, reading);
    return false;
}

/*  Reads the file of tokens in the directory of authorized keys, if there is one.  */
static void s_read_tokens (s_reading_t *reading, const char *directory)
{
    char path[4096];
    char reason[RP_TOKENS_REASON_MAX];
    int size = snprintf (path, sizeof path, "%s/%s", directory, RP_TOKENS_FILE);
    if (size >= (int) sizeof path || access (path, F_OK) != 0)
        return;
    reading->self->tokens = rp_tokens_load (path, reason);
    if (!reading->self->tokens)
        s_complain (reason, reading);
}

/*  Gives each principal the roles of its tokens, as those of its keys.  */
static void s_grant_tokens (s_reading_t *reading)
{
    const rp_credentials_t *self = reading->self;
    for (size_t index = 0; self->tokens && index < rp_tokens_count (self->tokens); index++) {
        const rp_token_holder_t *holder = rp_tokens_at (self->tokens, index);
        for (size_t role = 0; role < holder->role_count; role++) {
            char message[256];
            if (rp_rules_has_role (self->rules, holder->roles[role])) {
                if (!rp_rules_grant (self->rules, holder->principal, holder->roles[role]))
                    s_complain ("out of memory", reading);
                continue;
            }
            snprintf (message, sizeof message, "a token of \"%s\": the rules have no role \"%s\"",
              holder->principal, holder->roles[role]);
            s_complain (message, reading);
        }
    }
}

static void s_read_keys (s_reading_t *reading, const rp_credentials_files_t *files, int64_t today)
{
    rp_credentials_t *self = reading->self;
    char reason[RP_CERTIFICATE_REASON_MAX];
    self->has_own = s_read_own (reading, files->key_file, &self->own);
    if (files->next_key_file)
        self->has_next = s_read_own (reading, files->next_key_file, &self->next);
    if (self->has_next
        && memcmp (self->own.public_key, self->next.public_key, sizeof self->own.public_key) == 0) {
        snprintf (reason, sizeof reason,
          "%.256s: is the key of security/key_file; make another one: riposte keys rotate",
          files->next_key_file);
        s_complain (reason, reading);
    }
    char *beside = files->authorized ? NULL : s_beside (files->key_file);
    const char *directory = files->authorized ? files->authorized : beside;
    if (directory)
        self->authorized = rp_authorized_load (directory, today, s_complain, reading);
    if (directory)
        s_read_tokens (reading, directory);
    else
        s_complain ("out of memory", reading);
    free (beside);
}

rp_credentials_t *rp_credentials_load (
  const rp_credentials_files_t *files, int64_t today, rp_credentials_error_fn *error, void *arg)
{
    rp_credentials_t *self = calloc (1, sizeof *self);
    if (!self) {
        error ("out of memory", arg);
        return NULL;
    }
    atomic_init (&self->users, 1);
    s_reading_t reading = {.self = self, .error = error, .arg = arg};
    if (files->key_file)
        s_read_keys (&reading, files, today);
    if (files->rules)
        s_read_rules (&reading, files->rules);
    else if (files->key_file) {
        s_complain (
          "security/rules is missing: with a key file nothing is allowed without rules; give "
          "a file (--rules FILE), see: riposte rules check --help",
          &reading);
    }
    if (reading.errors == 0 && self->authorized)
        (void) rp_authorized_grant (self->authorized, self->rules, s_complain, &reading);
    if (reading.errors == 0)
        s_grant_tokens (&reading);
    if (reading.errors > 0)
        rp_credentials_release (&self);
    return self;
}

rp_credentials_t *rp_credentials_hold (rp_credentials_t *self)
{
    atomic_fetch_add (&self->users, 1);
    return self;
}

void rp_credentials_release (rp_credentials_t **self_p)
{
    rp_credentials_t *self = *self_p;
    *self_p = NULL;
    if (!self || atomic_fetch_sub (&self->users, 1) > 1)
        return;
    rp_certificate_forget (&self->own);
    rp_certificate_forget (&self->next);
    rp_authorized_destroy (&self->authorized);
    rp_tokens_destroy (&self->tokens);
    rp_rules_destroy (&self->rules);
    free (self);
}

const rp_certificate_t *rp_credentials_own (const rp_credentials_t *self)
{
    return self->has_own ? &self->own : NULL;
}

const rp_certificate_t *rp_credentials_next (const rp_credentials_t *self)
{
    return self->has_next ? &self->next : NULL;
}

const rp_rules_t *rp_credentials_rules (const rp_credentials_t *self)
{
    return self->rules;
}

const char *rp_credentials_principal (const rp_credentials_t *self, const uint8_t key[RP_KEY_SIZE])
{
    const rp_authorized_key_t *found =
      self->authorized ? rp_authorized_find (self->authorized, key) : NULL;
    return found ? found->principal : NULL;
}

const rp_authorized_key_t *rp_credentials_key (const rp_credentials_t *self, size_t index)
{
    return rp_authorized_at (self->authorized, index);
}

const char *rp_credentials_token (const rp_credentials_t *self, const char *token)
{
    const rp_token_holder_t *holder = self->tokens ? rp_tokens_find (self->tokens, token) : NULL;
    return holder ? holder->principal : NULL;
}

size_t rp_credentials_count (const rp_credentials_t *self)
{
    return self->authorized ? rp_authorized_count (self->authorized) : 0;
}
