/*  riposte store: checks the file of a broker's jobs, copies it, or makes it small. A broker may have it open
    only for a copy. Makes the tables of a store in PostgreSQL, and checks them.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdio.h>
#include <string.h>

#include "broker/store/upkeep.h"
#include "client/cli/cli.h"

/*  Writes what was found or done. Returns the exit code.  */
static int s_tell (const rp_cli_t *cli, const char *file, bool good, const char *text)
{
    if (!good)
        return rp_cli_fail ("%s", text);
    if (rp_cli_writes_json (cli)) {
        bool is_url = strstr (file, "://") != NULL;
        json_t *object = json_object ();
        rp_output_set (object, is_url ? "url" : "file", rp_output_text (file));
        rp_output_set (object, "result", rp_output_text (text));
        rp_output_json ((rp_output_t) cli->options.output, object);
    }
    else if (!cli->options.quiet)
        printf ("%s\n", text);
    return 0;
}

/*  The arguments are so many; otherwise an error is written.  */
static bool s_has (const rp_cli_t *cli, size_t count, const char *wanted, int *code)
{
    if (cli->arguments.count == count)
        return true;
    *code = rp_cli_usage ("%s", wanted);
    return false;
}

int rp_cli_store_check (rp_cli_t *cli)
{
    int code;
    if (!s_has (
          cli, 1, "store check takes the file of a store, or the URL of one in PostgreSQL", &code))
        return code;
    char text[RP_STORE_TEXT];
    const char *file = cli->arguments.items[0];
    bool good = rp_upkeep_check (file, text);
    return s_tell (cli, file, good, text);
}

int rp_cli_store_backup (rp_cli_t *cli)
{
    int code;
    if (!s_has (cli, 2, "store backup takes the file of a store, and the file to make", &code))
        return code;
    char text[RP_STORE_TEXT];
    const char *file = cli->arguments.items[0];
    bool good = rp_upkeep_backup (file, cli->arguments.items[1], text);
    return s_tell (cli, file, good, text);
}

int rp_cli_store_compact (rp_cli_t *cli)
{
    int code;
    if (!s_has (cli, 1, "store compact takes the file of a store", &code))
        return code;
    char text[RP_STORE_TEXT];
    const char *file = cli->arguments.items[0];
    bool good = rp_upkeep_compact (file, text);
    return s_tell (cli, file, good, text);
}

int rp_cli_store_init (rp_cli_t *cli)
{
    int code;
    if (!s_has (cli, 1, "store init takes the URL of a database of PostgreSQL", &code))
        return code;
    char text[RP_STORE_TEXT];
    const char *url = cli->arguments.items[0];
    bool good = rp_upkeep_init (url, text);
    return s_tell (cli, url, good, text);
}

int rp_cli_store_migrate (rp_cli_t *cli)
{
    int code;
    if (!s_has (cli, 1, "store migrate takes the URL of a store in PostgreSQL", &code))
        return code;
    char text[RP_STORE_TEXT];
    const char *url = cli->arguments.items[0];
    bool good = rp_upkeep_migrate (url, text);
    return s_tell (cli, url, good, text);
}
