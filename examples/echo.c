/*  The smallest worker: replies with what it was sent.

    SPDX-License-Identifier: MPL-2.0

        cc echo.c -o echo $(pkg-config --cflags --libs riposte)
        ./echo tcp://127.0.0.1:5555
*/

#include <stdio.h>

#include <riposte/worker.h>

static void echo (rp_task_t **task_p, void *arg)
{
    (void) arg;
    // Not RP_OK if the request has ended meanwhile; a worker can do nothing about that.
    (void) rp_task_reply (task_p, rp_task_body (*task_p), rp_task_size (*task_p));
}

int main (int argc, char **argv)
{
    rp_worker_t *worker = rp_worker_new (argc > 1 ? argv[1] : "tcp://127.0.0.1:5555", "echo");
    if (!worker) {
        perror ("echo");
        return 1;
    }
    int rc = rp_worker_run (worker, echo, NULL);
    if (rc != RP_OK)
        fprintf (stderr, "echo: %s\n", rp_strerror (rc));
    rp_worker_destroy (&worker);
    return rp_status_exit_code (rc);
}
