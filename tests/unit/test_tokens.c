/*  SPDX-License-Identifier: MPL-2.0  */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/access/tokens.h"

static void a_token_that_was_added_is_found_with_its_roles (void **state)
{
    (void) state;
    char directory[] = "/tmp/riposte-tokens-XXXXXX";
    char path[64];
    char token[2][RP_TOKEN_TEXT];
    char hash[RP_TOKEN_TEXT];
    char reason[RP_TOKENS_REASON_MAX];
    static const char *const roles[] = {"observer", "call"};
    static const char *const names[] = {"ada", "eve"};
    assert_non_null (mkdtemp (directory));
    snprintf (path, sizeof path, "%s/%s", directory, RP_TOKENS_FILE);
    for (size_t index = 0; index < 2; index++) {
        assert_true (rp_token_new (token[index]));
        rp_token_hash (token[index], hash);
        const rp_token_entry_t entry = {.hash = hash,
          .principal = names[index],
          .roles = roles,
          .role_count = index + 1,
          .created = "2026-11-28T16:00:00Z"};
        assert_true (rp_tokens_add (directory, &entry));
    }
    rp_tokens_t *tokens = rp_tokens_load (path, reason);
    assert_non_null (tokens);
    assert_int_equal (rp_tokens_count (tokens), 2);
    const rp_token_holder_t *ada = rp_tokens_find (tokens, token[0]);
    const rp_token_holder_t *eve = rp_tokens_find (tokens, token[1]);
    assert_string_equal (ada->principal, "ada");
    assert_string_equal (eve->principal, "eve");
    assert_true (rp_token_has_role (ada, "observer") && !rp_token_has_role (ada, "call"));
    assert_true (rp_token_has_role (eve, "observer") && rp_token_has_role (eve, "call"));
    token[0][0] = token[0][0] == '0' ? '1' : '0';
    assert_null (rp_tokens_find (tokens, token[0]));
    rp_token_hash (token[1], hash);
    assert_null (
      rp_tokens_find (tokens, hash)); // a hash, which is all that the file has, is no token
    rp_tokens_destroy (&tokens);
    assert_int_equal (chmod (path, 0640), 0);
    assert_null (rp_tokens_load (path, reason));
    assert_non_null (strstr (reason, "chmod 600"));
    unlink (path);
    rmdir (directory);
    assert_null (rp_tokens_load (path, reason));
    assert_non_null (strstr (reason, path));
}

#define S_HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void a_mistake_in_a_file_of_tokens_is_told_with_its_place (void **state)
{
    (void) state;
    static const char *const bad[][2] = {
      {"token = \"x\"\n", "1:9: a token is its SHA-256"},
      {"token\n", "1:1: wants a value"},
      {"token = \"" S_HASH "\"\n", "token 9f86d081… has no principal"},
      {"token = \"" S_HASH "\"\n    principal = \"a b\"\n", "2:17: a name is"},
      {"token = \"" S_HASH "\"\n    role = \"\"\n", "2:12: a name is"},
      {"token = \"" S_HASH "\"\n    colour = red\n", "2:5: is not token,"},
      {"principal = \"ada\"\n", "1:1: is not token,"},
      {"\ttoken = x\n", "1:1: "},
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        char reason[RP_TOKENS_REASON_MAX] = "";
        assert_null (rp_tokens_read (bad[index][0], strlen (bad[index][0]), reason));
        assert_int_equal (strncmp (reason, bad[index][1], strlen (bad[index][1])), 0);
    }
}

static void a_token_has_sixteen_roles_and_not_one_more (void **state)
{
    (void) state;
    char text[1024] = "token = " S_HASH "\n    principal = ada\n";
    char reason[RP_TOKENS_REASON_MAX] = "";
    for (unsigned count = 1; count <= 17; count++) {
        strcat (text, "    role = r\n");
        rp_tokens_t *tokens = rp_tokens_read (text, strlen (text), reason);
        assert_int_equal (tokens != NULL, count <= 16);
        rp_tokens_destroy (&tokens);
    }
    rp_tokens_t *none = rp_tokens_read ("", 0, reason);
    assert_int_equal (rp_tokens_count (none), 0);
    rp_tokens_destroy (&none);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_token_that_was_added_is_found_with_its_roles),
      cmocka_unit_test (a_mistake_in_a_file_of_tokens_is_told_with_its_place),
      cmocka_unit_test (a_token_has_sixteen_roles_and_not_one_more),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
