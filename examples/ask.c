/*  The smallest client: sends one request and writes the reply.

    SPDX-License-Identifier: MPL-2.0

        cc ask.c -o ask $(pkg-config --cflags --libs riposte)
        ./ask echo hello
*/

#include <stdio.h>
#include <string.h>

#include <riposte/client.h>

int main (int argc, char **argv)
{
    if (argc != 3) {
        fprintf (stderr, "usage: ask SERVICE BODY\n");
        return rp_status_exit_code (RP_USAGE);
    }
    rp_client_t *client = rp_client_new ("tcp://127.0.0.1:5555");
    if (!client) {
        perror ("ask");
        return 1;
    }
    rp_reply_t *reply = NULL;
    int rc = rp_client_call (client, argv[1], argv[2], strlen (argv[2]), &reply);
    if (rc == RP_OK) { // a reply has come; its status says how the request ended
        rc = (int) rp_reply_status (reply);
        fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);
    }
    if (rc != RP_OK)
        fprintf (stderr, "ask: %s: %s\n", rp_strerror (rc), reply ? rp_reply_message (reply) : "");
    rp_reply_destroy (&reply);
    rp_client_destroy (&client);
    return rp_status_exit_code (rc);
}
