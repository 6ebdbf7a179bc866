/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/access/authorized.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/grow.h"

#define S_PATH_MAX 4096u
#define S_MESSAGE_MAX (S_PATH_MAX + RP_CERTIFICATE_REASON_MAX)
#define S_SUFFIX ".key"

struct rp_authorized {
    char *directory;
    rp_authorized_key_t *keys;
    size_t count;
    size_t capacity;
};

typedef struct {
    rp_authorized_t *list;
    const char *directory;
    int64_t today;
    rp_authorized_error_fn *error;
    void *arg;
    bool good;
} s_loader_t;

static void __attribute__ ((format (printf, 2, 3)))
s_complain (s_loader_t *self, const char *format, ...)
{
    char message[S_MESSAGE_MAX];
    va_list list;
    va_start (list, format);
    vsnprintf (message, sizeof message, format, list);
    va_end (list);
    self->good = false;
    self->error (message, self->arg);
}

static void s_no_memory (s_loader_t *self)
{
    s_complain (self, "%s: out of memory", self->directory);
}

/*  ---- Roles ---------------------------------------------------------------------------------  */

/*  Copies the next role of a list with commas to role. *at: where to go on. False at the end of the
    list. A role that is too long is cut to a size at which it is still too long for a valid
    name.  */
static bool s_next_role (const char **at, char role[RP_PRINCIPAL_MAX + 2])
{
    *at += strspn (*at, ", ");
    size_t size = strcspn (*at, ",");
    if (size == 0)
        return false;
    const char *begin = *at;
    *at += size;
    while (begin[size - 1] == ' ')
        size--;
    snprintf (role, RP_PRINCIPAL_MAX + 2, "%.*s", (int) size, begin);
    return true;
}

static bool s_roles_are_valid (const char *roles)
{
    char role[RP_PRINCIPAL_MAX + 2];
    for (const char *at = roles; s_next_role (&at, role);)
        if (!rp_principal_is_valid (role, strlen (role)))
            return false;
    return true;
}

bool rp_authorized_grant (
  const rp_authorized_t *self, rp_rules_t *rules, rp_authorized_error_fn *error, void *arg)
{
    s_loader_t loader = {.directory = self->directory, .error = error, .arg = arg, .good = true};
    for (size_t index = 0; index < self->count; index++) {
        const rp_authorized_key_t *key = &self->keys[index];
        char role[RP_PRINCIPAL_MAX + 2];
        for (const char *at = key->roles; !key->expired && s_next_role (&at, role);) {
            if (!rp_rules_has_role (rules, role))
                s_complain (&loader, "%s/%s: the rules have no role \"%s\"", self->directory,
                  key->file, role);
            else if (!rp_rules_grant (rules, key->principal, role)) {
                s_no_memory (&loader);
                return false;
            }
        }
    }
    return loader.good;
}

/*  ---- Finding a key -------------------------------------------------------------------------  */

/*  Compares each byte of each key, so that the time tells nothing about the keys.  */
static const rp_authorized_key_t *s_find (const rp_authorized_t *self, const uint8_t *key)
{
    const rp_authorized_key_t *found = NULL;
    for (size_t index = 0; index < self->count; index++) {
        unsigned difference = 0;
        for (size_t at = 0; at < RP_KEY_SIZE; at++)
            difference |= self->keys[index].key[at] ^ key[at];
        if (difference == 0)
            found = &self->keys[index];
    }
    return found;
}

const rp_authorized_key_t *rp_authorized_find (
  const rp_authorized_t *self, const uint8_t key[RP_KEY_SIZE])
{
    const rp_authorized_key_t *found = s_find (self, key);
    return found && !found->expired ? found : NULL;
}

size_t rp_authorized_count (const rp_authorized_t *self)
{
    return self->count;
}

const rp_authorized_key_t *rp_authorized_at (const rp_authorized_t *self, size_t index)
{
    return &self->keys[index];
}

int64_t rp_authorized_next_expiry (const rp_authorized_t *self)
{
    int64_t next = INT64_MAX;
    for (size_t index = 0; index < self->count; index++)
        if (!self->keys[index].expired && self->keys[index].expiry < next)
            next = self->keys[index].expiry;
    return next;
}

/*  ---- Reading a directory -------------------------------------------------------------------  */

/*  False if the certificate is a mistake, which was reported.  */
static bool s_check (s_loader_t *self, const char *path, const rp_certificate_t *certificate)
{
    const char *principal = certificate->principal;
    const rp_authorized_key_t *same = s_find (self->list, certificate->public_key);
    if (certificate->has_secret)
        s_complain (self,
          "%s: a secret key, which nobody but its owner may have; put the public "
          "certificate here",
          path);
    else if (*principal == '\0')
        s_complain (self,
          "%s: it has no principal; remove the file, and: riposte keys authorize "
          "FILE --principal NAME",
          path);
    else if (!rp_principal_is_valid (principal, strlen (principal)))
        s_complain (self,
          "%s: its principal is not 1 to %u printable characters of ASCII without "
          "spaces, quotes and #",
          path, RP_PRINCIPAL_MAX);
    else if (rp_principal_is_keyless (principal))
        s_complain (self,
          "%s: its principal \"%s\" is who has no key; remove the file, and: riposte keys "
          "authorize FILE --principal NAME",
          path, principal);
    else if (!s_roles_are_valid (certificate->roles))
        s_complain (self,
          "%s: a role is not 1 to %u printable characters of ASCII without spaces, "
          "quotes and #",
          path, RP_PRINCIPAL_MAX);
    else if (same)
        s_complain (self, "%s: the same key as %s, of \"%s\"; remove one of the files", path,
          same->file, same->principal);
    else
        return true;
    return false;
}

static void s_add (s_loader_t *self, const char *name, const rp_certificate_t *certificate)
{
    rp_authorized_t *list = self->list;
    rp_authorized_key_t *keys =
      rp_grown (list->keys, &list->capacity, list->count, sizeof *list->keys);
    if (keys)
        list->keys = keys;
    rp_authorized_key_t key = {.roles = strdup (certificate->roles), .file = strdup (name)};
    if (!keys || !key.roles || !key.file) {
        free (key.roles);
        free (key.file);
        s_no_memory (self);
        return;
    }
    // What parsed as a certificate has an expiry that parses.
    key.expired =
      !rp_certificate_expiry (certificate->expires, &key.expiry) || key.expiry <= self->today;
    memcpy (key.key, certificate->public_key, RP_KEY_SIZE);
    snprintf (key.principal, sizeof key.principal, "%s", certificate->principal);
    list->keys[list->count++] = key;
}

static void s_load_file (s_loader_t *self, const char *name)
{
    char path[S_PATH_MAX];
    char reason[RP_CERTIFICATE_REASON_MAX];
    rp_certificate_t certificate;
    int size = snprintf (path, sizeof path, "%s/%s", self->directory, name);
    if (size < 0 || (size_t) size >= sizeof path) {
        s_complain (self, "%s: a path that is too long", self->directory);
        return;
    }
    if (!rp_certificate_load (&certificate, path, reason))
        s_complain (self, "%s", reason);
    else if (s_check (self, path, &certificate))
        s_add (self, name, &certificate);
    rp_certificate_forget (&certificate);
}

static int s_is_certificate (const struct dirent *entry)
{
    size_t size = strlen (entry->d_name);
    size_t suffix = strlen (S_SUFFIX);
    return entry->d_name[0] != '.' && size > suffix
           && strcmp (entry->d_name + size - suffix, S_SUFFIX) == 0;
}

static int s_compare (const struct dirent **a, const struct dirent **b)
{
    return strcmp ((*a)->d_name, (*b)->d_name);
}

rp_authorized_t *rp_authorized_load (
  const char *directory, int64_t today, rp_authorized_error_fn *error, void *arg)
{
    s_loader_t self = {
      .directory = directory, .today = today, .error = error, .arg = arg, .good = true};
    struct dirent **entries = NULL;
    self.list = calloc (1, sizeof *self.list);
    if (!self.list || !(self.list->directory = strdup (directory))) {
        s_no_memory (&self);
        rp_authorized_destroy (&self.list);
        return NULL;
    }
    int count = scandir (directory, &entries, s_is_certificate, s_compare);
    if (count < 0)
        s_complain (&self, "%s: %s%s", directory, strerror (errno),
          errno == ENOENT ? "; riposte keys authorize makes it" : "");
    for (int index = 0; index < count; index++) {
        s_load_file (&self, entries[index]->d_name);
        free (entries[index]);
    }
    free (entries);
    if (!self.good)
        rp_authorized_destroy (&self.list);
    return self.list;
}

void rp_authorized_destroy (rp_authorized_t **self_p)
{
    rp_authorized_t *self = *self_p;
    if (!self)
        return;
    for (size_t index = 0; index < self->count; index++) {
        free (self->keys[index].roles);
        free (self->keys[index].file);
    }
    free (self->keys);
    free (self->directory);
    free (self);
    *self_p = NULL;
}
