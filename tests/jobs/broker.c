/*  A broker on a disk that forgets what was not synced when the process is killed, as at a power loss.

    SPDX-License-Identifier: MPL-2.0

    Called as: jobs_broker FILE ENDPOINT SEED [unsynced]. With "unsynced" the store syncs nothing, so that
    jobs must be lost.
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/server.h"
#include "tests/support/disk.h"

int main (int argc, char **argv)
{
    if (argc < 4 || (argc > 4 && strcmp (argv[4], "unsynced") != 0)) {
        fputs ("usage: jobs_broker FILE ENDPOINT SEED [unsynced]\n", stderr);
        return 2;
    }
    test_disk_reset ();
    test_disk.forgetful = true;
    test_disk.chance = strtoull (argv[3], NULL, 10) | 1u;
    char trouble[RP_STORE_TEXT];
    rp_store_t *store = rp_store_open (
      &(rp_store_settings_t){.path = argv[1], .vfs = TEST_DISK, .unsynced = argc > 4}, trouble);
    if (!store) {
        fprintf (stderr, "%s\n", trouble);
        return 1;
    }
    const rp_limits_t limits = RP_LIMITS_DEFAULT;
    rp_server_t *server = rp_server_new (&(rp_server_options_t){.limits = limits,
      .log_level = RP_LEVEL_INFO,
      .log = STDERR_FILENO,
      .store = store,
      .signals = -1});
    int code = 1;
    if (server && rp_server_bind (server, argv[2]) == 0)
        code = rp_server_run (server) == 0 ? 0 : 1;
    rp_server_destroy (&server);
    return code;
}
