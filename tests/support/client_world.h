/*  The client's core in a simulated world, as traces: events go in, and the orders come out as one
    line.

    SPDX-License-Identifier: MPL-2.0

        open(a) close close(orderly) HELLO HEARTBEAT BYE CANCEL(r1)
        r1>           request r1 is sent
        r1+k1>        the same, in conversation 1, with the flag OPEN; r1.k1> without it
        r1*5>         the same, durable, with five attempts
        r1~>          the same, with a stream; r1~+> if more of its body follows
        GRANT(r1,90)  bytes of r1's reply that may have been written in all
        r1=OK         request r1 ended

    Every function fails the running cmocka test when something is wrong.
*/

#ifndef TEST_CLIENT_WORLD_H
#define TEST_CLIENT_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/client_core.h"

#define MS 1000
#define SECOND 1000000

enum { CLIENT_WORLD_REQUESTS = 32 };

typedef struct {
    rp_client_core_t core;
    rp_exchange_t exchanges[CLIENT_WORLD_REQUESTS];
    rp_client_conversation_t conversation;
    int64_t now;
    char trace[2048];
} client_world_t;

/*  A client at rest, with one endpoint, a, or two, a and b; 20 requests open, retries 20 %.  */
void world_begin (client_world_t *world, size_t endpoints);
/*  The same, with a session: 10 requests open, bodies of 1000 bytes.  */
void world_begin_connected (client_world_t *world, size_t endpoints);
/*  Closes the client, and checks that nothing is left.  */
void world_end (client_world_t *world);

/*  Adds the pending orders to the trace.  */
void world_take_orders (client_world_t *world);
/*  Lets time pass, and ticks whenever the core asked for it.  */
void world_pass (client_world_t *world, int64_t us);
/*  Checks the trace since the last call.  */
void world_expect (client_world_t *world, const char *trace);

/*  Submits request number, of 100 bytes and 5 seconds.  */
void world_submit (client_world_t *world, int number);
void world_submit_with (
  client_world_t *world, int number, uint8_t attempts, rp_client_conversation_t *conversation);
bool world_cancel (client_world_t *world, int number);

/*  A message from the broker. Returns true if it ended a request.  */
bool world_hear (client_world_t *world, rp_head_t head);
bool world_reply_with (client_world_t *world, int number, rp_status_t status, uint16_t flags);
void world_reply (client_world_t *world, int number, rp_status_t status);
void world_say (client_world_t *world, rp_command_t command);
void world_bye (client_world_t *world, rp_status_t status, const char *text);
void world_welcome (client_world_t *world, uint32_t open);

/*  The connection is up; it broke, or could not be made.  */
void world_connect_only (client_world_t *world);
void world_fail (client_world_t *world);
/*  Brings the client from rest to a session, and ignores the trace meanwhile.  */
void world_connect (client_world_t *world);

#endif
