/*  riposte keys token: makes a token for HTTP.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/keys.h"
#include "common/access/tokens.h"
#include "common/io/disk.h"

static int s_complain (const char *directory)
{
    if (errno == EPERM)
        return rp_cli_fail ("%s/%s: others can read this file; chmod 600 %s/%s", directory,
          RP_TOKENS_FILE, directory, RP_TOKENS_FILE);
    return rp_cli_fail ("%s/%s: %s", directory, RP_TOKENS_FILE, strerror (errno));
}

static void s_write (
  const rp_cli_t *cli, const char *token, const char *directory, const char *roles)
{
    char path[RP_KEYS_PATH_MAX];
    snprintf (path, sizeof path, "%s/%s", directory, RP_TOKENS_FILE);
    json_t *object = json_object ();
    rp_output_set (object, "token", json_string (token));
    rp_output_set (object, "principal", rp_output_text (cli->options.principal));
    rp_output_set (object, "role", rp_output_text (roles));
    rp_output_set (object, "file", rp_output_text (path));
    if (rp_keys_write (cli, object))
        return;
    puts (token);
    rp_keys_next (cli, "this is the only time that it is shown; %s has its SHA-256", path);
}

int rp_cli_keys_token (rp_cli_t *cli)
{
    char token[RP_TOKEN_TEXT];
    char hash[RP_TOKEN_TEXT];
    char roles[RP_CERTIFICATE_VALUE_MAX + 1];
    char created[RP_CERTIFICATE_VALUE_MAX + 1];
    if (cli->arguments.count > 0)
        return rp_cli_usage ("keys token takes no argument, not \"%s\"", cli->arguments.items[0]);
    if (cli->options.roles.count == 0)
        return rp_cli_usage ("keys token wants --role ROLE: what may be done with it");
    if (!rp_keys_check_principal (cli) || !rp_keys_join_roles (cli, roles))
        return rp_status_exit_code (RP_USAGE);
    const char *directory = rp_keys_authorized (cli);
    if (!directory)
        return rp_status_exit_code (RP_USAGE);
    if (!rp_disk_make_directory (directory, RP_KEYS_AUTHORIZED_MODE))
        return rp_cli_fail ("%s: %s", directory, strerror (errno));
    if (!rp_token_new (token))
        return rp_cli_fail ("no random bytes: %s", strerror (errno));
    rp_token_hash (token, hash);
    rp_keys_now (created);
    const rp_token_entry_t entry = {.hash = hash,
      .principal = cli->options.principal,
      .roles = cli->options.roles.items,
      .role_count = cli->options.roles.count,
      .created = created};
    int code = rp_tokens_add (directory, &entry) ? 0 : s_complain (directory);
    if (code == 0)
        s_write (cli, token, directory, roles);
    explicit_bzero (token, sizeof token);
    return code;
}
