/*  A user's program: it has the installed headers and libriposte, and nothing else of Riposte.

    SPDX-License-Identifier: MPL-2.0
*/

#include <riposte/client.h>
#include <riposte/error.h>
#include <riposte/worker.h>

#include <stdio.h>
#include <string.h>

int main (void)
{
    rp_client_t *client = rp_client_new ("tcp://127.0.0.1:1");
    rp_worker_t *worker = rp_worker_new ("tcp://127.0.0.1:1", "upper");
    int rc = !client || !worker || strcmp (rp_status_name (RP_NO_WORKER), "NO_WORKER") != 0;
    rp_worker_destroy (&worker);
    rp_client_destroy (&client);
    puts (rc == 0 ? "linked" : "failed");
    return rc;
}
