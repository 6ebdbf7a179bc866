/*  Tokens: how programs without a key, such as browsers, say who they are over HTTP.

    SPDX-License-Identifier: MPL-2.0

    A token is 32 random bytes as 64 characters of hex. It is shown once; the file "tokens" in the
    directory of authorized keys has only its SHA-256 (of the 64 characters), so that nobody can
    take a token from the file. The file is ZPL (common/base/zpl.h, rp_zpl_read_named), mode 0600:

        token = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            principal = "dashboard"
            role = "observer"
            created = "2026-11-28T16:00:00Z"

    Thread-safety: functions of their arguments and the disk.
*/

#ifndef RP_TOKENS_H
#define RP_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/access/rules.h"

/*  A token, and a SHA-256, as hex with a NUL.  */
#define RP_TOKEN_TEXT 65u
#define RP_TOKENS_FILE "tokens"
/*  Largest file of tokens, bytes.  */
#define RP_TOKENS_FILE_MAX 1048576u

/*  Makes a new token. False with errno.  */
bool rp_token_new (char token[RP_TOKEN_TEXT]);

/*  Writes the SHA-256 of a token's text.  */
void rp_token_hash (const char *token, char hash[RP_TOKEN_TEXT]);

typedef struct {
    const char *hash;
    const char *principal;    /* a valid one (common/access/rules.h) */
    const char *const *roles; /* likewise */
    size_t role_count;
    const char *created; /* ISO 8601, UTC */
} rp_token_entry_t;

/*  Adds an entry to the file of a directory, which is replaced whole; of two that add at the same
    time the second waits. False with errno: EPERM if others can read the file, EFBIG if it would be
    too large.  */
bool rp_tokens_add (const char *directory, const rp_token_entry_t *entry);

/*  ---- Reading -----------------------------------------------------------------------------  */

#define RP_TOKENS_REASON_MAX 512u
#define RP_TOKEN_ROLES_MAX 16u

/*  Who has a token.  */
typedef struct {
    char hash[RP_TOKEN_TEXT];
    char principal[RP_PRINCIPAL_MAX + 1];
    char roles[RP_TOKEN_ROLES_MAX][RP_PRINCIPAL_MAX + 1];
    size_t role_count;
} rp_token_holder_t;

typedef struct rp_tokens rp_tokens_t;

/*  Reads the text of a file. NULL with a reason for people ("3:5: …").  */
rp_tokens_t *rp_tokens_read (const char *text, size_t size, char reason[RP_TOKENS_REASON_MAX]);

/*  Reads a file, which only its owner may be able to read. NULL with a reason that names the file.  */
rp_tokens_t *rp_tokens_load (const char *path, char reason[RP_TOKENS_REASON_MAX]);

/*  Nulls *self_p; NULL is allowed.  */
void rp_tokens_destroy (rp_tokens_t **self_p);

size_t rp_tokens_count (const rp_tokens_t *self);
const rp_token_holder_t *rp_tokens_at (const rp_tokens_t *self, size_t index);

/*  Finds who has a token: RP_TOKEN_TEXT - 1 bytes of hex. NULL if nobody has it. The time that this
    takes tells nothing about the tokens.  */
const rp_token_holder_t *rp_tokens_find (const rp_tokens_t *self, const char *token);

bool rp_token_has_role (const rp_token_holder_t *holder, const char *role);

#endif
