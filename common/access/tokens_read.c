/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/access/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/grow.h"
#include "common/base/zpl.h"
#include "common/io/disk.h"

struct rp_tokens {
    rp_token_holder_t *holders;
    size_t count;
    size_t capacity;
};

typedef struct {
    rp_tokens_t *tokens;
    char *reason;
    bool good;
} s_reader_t;

static void s_complain (rp_zpl_place_t place, const char *message, void *arg)
{
    s_reader_t *self = arg;
    if (self->good) // the first mistake is told of
        snprintf (
          self->reason, RP_TOKENS_REASON_MAX, "%zu:%zu: %s", place.line, place.column, message);
    self->good = false;
}

/*  ---- The lines of a token ------------------------------------------------------------------  */

static bool s_is_hash (const char *text)
{
    size_t size = strspn (text, "0123456789abcdef");
    return size == RP_TOKEN_TEXT - 1 && text[size] == '\0';
}

static void s_take_token (s_reader_t *self, const rp_zpl_item_t *item)
{
    rp_tokens_t *tokens = self->tokens;
    if (!s_is_hash (item->value)) {
        s_complain (item->value_at, "a token is its SHA-256, 64 of 0-9 a-f", self);
        return;
    }
    rp_token_holder_t *grown =
      rp_grown (tokens->holders, &tokens->capacity, tokens->count, sizeof *grown);
    if (!grown) {
        s_complain (item->name_at, "out of memory", self);
        return;
    }
    tokens->holders = grown;
    rp_token_holder_t *holder = &tokens->holders[tokens->count++];
    *holder = (rp_token_holder_t){0};
    memcpy (holder->hash, item->value, sizeof holder->hash);
}

static void s_take_name (s_reader_t *self, const rp_zpl_item_t *item, rp_token_holder_t *holder)
{
    size_t size = strlen (item->value);
    bool is_role = strcmp (item->path, "token/role") == 0;
    if (!rp_principal_is_valid (item->value, size))
        s_complain (item->value_at,
          "a name is 1 to 63 printable characters of ASCII without spaces and quotes", self);
    else if (is_role && holder->role_count == RP_TOKEN_ROLES_MAX)
        s_complain (item->name_at, "a token has at most 16 roles", self);
    else
        memcpy (
          is_role ? holder->roles[holder->role_count++] : holder->principal, item->value, size + 1);
}

static void s_take (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    if (!self->good)
        return;
    if (!item->value)
        s_complain (item->name_at, "wants a value", self);
    else if (strcmp (item->path, "token") == 0)
        s_take_token (self, item);
    else if (strcmp (item->path, "token/principal") == 0 || strcmp (item->path, "token/role") == 0)
        s_take_name (self, item, &self->tokens->holders[self->tokens->count - 1]);
    else if (strcmp (item->path, "token/created") != 0)
        s_complain (item->name_at, "is not token, principal, role or created", self);
}

rp_tokens_t *rp_tokens_read (const char *text, size_t size, char reason[RP_TOKENS_REASON_MAX])
{
    s_reader_t reader = {
      .tokens = calloc (1, sizeof *reader.tokens), .reason = reason, .good = true};
    if (!reader.tokens) {
        snprintf (reason, RP_TOKENS_REASON_MAX, "out of memory");
        return NULL;
    }
    rp_zpl_read_named (text, size, s_take, s_complain, &reader);
    for (size_t index = 0; reader.good && index < reader.tokens->count; index++)
        if (reader.tokens->holders[index].principal[0] == '\0') {
            snprintf (reason, RP_TOKENS_REASON_MAX, "token %.8s… has no principal",
              reader.tokens->holders[index].hash);
            reader.good = false;
        }
    if (!reader.good)
        rp_tokens_destroy (&reader.tokens);
    return reader.tokens;
}

/*  ---- Files ---------------------------------------------------------------------------------  */

rp_tokens_t *rp_tokens_load (const char *path, char reason[RP_TOKENS_REASON_MAX])
{
    struct stat status = {0};
    rp_tokens_t *tokens = NULL;
    char why[RP_TOKENS_REASON_MAX / 2] = "out of memory";
    char *text = malloc (RP_TOKENS_FILE_MAX + 1);
    ssize_t size = text ? rp_disk_read (path, text, RP_TOKENS_FILE_MAX + 1, &status) : -1;
    if (text && size < 0)
        snprintf (why, sizeof why, "%s", strerror (errno));
    else if (text && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        snprintf (why, sizeof why, "others can read this file; chmod 600 it");
    else if (text) {
        char mistake[RP_TOKENS_REASON_MAX];
        tokens = rp_tokens_read (text, (size_t) size, mistake);
        if (!tokens)
            snprintf (why, sizeof why, "%.200s", mistake);
    }
    free (text);
    if (!tokens)
        snprintf (reason, RP_TOKENS_REASON_MAX, "%.200s: %s", path, why);
    return tokens;
}

void rp_tokens_destroy (rp_tokens_t **self_p)
{
    if (*self_p)
        free ((*self_p)->holders);
    free (*self_p);
    *self_p = NULL;
}

/*  ---- Asking --------------------------------------------------------------------------------  */

size_t rp_tokens_count (const rp_tokens_t *self)
{
    return self->count;
}

const rp_token_holder_t *rp_tokens_at (const rp_tokens_t *self, size_t index)
{
    return &self->holders[index];
}

const rp_token_holder_t *rp_tokens_find (const rp_tokens_t *self, const char *token)
{
    char hash[RP_TOKEN_TEXT];
    const rp_token_holder_t *found = NULL;
    rp_token_hash (token, hash);
    for (size_t index = 0; index < self->count; index++) {
        unsigned difference = 0;
        for (size_t at = 0; at < sizeof hash; at++)
            difference |= (unsigned) (self->holders[index].hash[at] ^ hash[at]);
        if (difference == 0)
            found = &self->holders[index];
    }
    return found;
}

bool rp_token_has_role (const rp_token_holder_t *holder, const char *role)
{
    for (size_t index = 0; index < holder->role_count; index++)
        if (strcmp (holder->roles[index], role) == 0)
            return true;
    return false;
}
