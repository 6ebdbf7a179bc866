/*  The limits of one broker: name, unit, default, range and reason.

    SPDX-License-Identifier: MPL-2.0

    A new limit is a row of RP_BROKER_LIMIT_MAP. The structure, the table of settings
    (broker/config.c) and `riposte status` are made from that map.
*/

#ifndef RP_BROKER_LIMITS_H
#define RP_BROKER_LIMITS_H

#include <stdint.h>

/*  kind, name, default, smallest, largest, why
    kinds: COUNT (a number), BYTES, TIME (milliseconds)  */
#define RP_BROKER_LIMIT_MAP(X)                                                                     \
    X (BYTES, max_body, 16777216, 1024, 1073741824,                                                \
      "largest body of a request or reply, all frames together")                                   \
    X (COUNT, max_clients, 100000, 1, 1000000, "clients connected at once; more draw BUSY")        \
    X (COUNT, max_workers, 10000, 1, 1000000, "workers registered at once; more draw BUSY")        \
    X (COUNT, max_services, 10000, 1, 1000000,                                                     \
      "names that workers offer or requests wait for; a flood of names stops here")                \
    X (COUNT, max_conversations, 100000, 1, 10000000, "conversations open at once")                \
    X (COUNT, client_conversations, 1000, 1, 10000000,                                             \
      "conversations one client may have open; more draw BUSY")                                    \
    X (COUNT, client_open, 10000, 1, 1000000,                                                      \
      "requests one client may have open; more draw BUSY, so one client cannot fill the broker")   \
    X (COUNT, service_queue, 100000, 1, 100000000, "requests that may wait for one service")       \
    X (BYTES, service_queue_bytes, 268435456, 1024, 1099511627776,                                 \
      "bytes that may wait for one service; a larger body that has to wait draws TOO_LARGE")       \
    X (COUNT, total_queue, 1000000, 1, 100000000, "requests open in the whole broker")             \
    X (BYTES, total_queue_bytes, 1073741824, 1024, 1099511627776,                                  \
      "bytes of all open requests, and of replies that wait for clients to read them; keep it "    \
      "below the memory the process may use")                                                      \
    X (COUNT, connection_backlog, 262144, 64, 1000000,                                             \
      "messages that may wait for one peer to read them; a peer that falls behind is cut off")     \
    X (BYTES, connection_backlog_bytes, 67108864, 65536, 1099511627776,                            \
      "bytes of replies that may wait for one client to read them; otherwise as "                  \
      "connection_backlog. One message may, of any size")                                          \
    X (TIME, heartbeat_min, 50, 50, 60000, "shortest heartbeat interval granted to a peer")        \
    X (TIME, heartbeat_max, 60000, 50, 60000, "longest heartbeat interval granted to a peer")      \
    X (COUNT, pending_connections, 1000, 0, 1000000,                                               \
      "connections without a session that are left alone; beyond it the oldest are closed after "  \
      "pending_timeout")                                                                           \
    X (TIME, pending_timeout, 10000, 100, 600000,                                                  \
      "how long a connection may be without a session when there are more than "                   \
      "pending_connections")                                                                       \
    X (TIME, rejoin_grace, 3000, 0, 600000,                                                        \
      "after a start, requests for unknown services wait this long for workers to come back")      \
    X (TIME, service_linger, 3000, 0, 3600000,                                                     \
      "how long requests wait for a service that has just lost its last worker")                   \
    X (TIME, conversation_idle, 600000, 100, 86400000,                                             \
      "a conversation without a request for this long has ended")                                  \
    X (TIME, drain_limit, 30000, 0, 86400000,                                                      \
      "how long SIGTERM waits for running requests before they end with WORKER_LOST")              \
    X (TIME, foreign_deadline, 60000, 100, 86400000,                                               \
      "how long a request whose protocol states no deadline (MDP, REQ) may wait; while a worker "  \
      "has it, its time stands still")                                                             \
    X (COUNT, foreign_attempts, 3, 1, 10,                                                          \
      "attempts of a request whose protocol states none: its client cannot be told of a loss")     \
    X (COUNT, foreign_errors, 0, 0, 1,                                                             \
      "what a client without statuses gets when its request fails: 0 nothing, 1 a reply that "     \
      "says why")                                                                                  \
    X (BYTES, foreign_open_bytes, 268435456, 1024, 1099511627776,                                  \
      "what a client that is told of no bound (MDP, REQ) may have open, 512 bytes a request "      \
      "beside its body; client_open and service_queue do not count its requests")                  \
    X (COUNT, foreign_window, 1, 1, 4096,                                                          \
      "requests at once for a worker that states no window (MDP)")                                 \
    X (TIME, foreign_heartbeat, 2500, 50, 60000,                                                   \
      "first heartbeat interval towards a worker that states none (MDP); its own is learned")      \
    X (TIME, foreign_attempt, 20000, 10, 86400000,                                                 \
      "how long one attempt at a plain REP worker may take; then the request goes to another")     \
    X (TIME, mdp_attempt, 0, 0, 86400000, "the same of a Majordomo worker; 0: as long as it lives")

typedef struct {
#define RP_BROKER_LIMIT_FIELD(kind, name, value, smallest, largest, why) uint64_t name;
    RP_BROKER_LIMIT_MAP (RP_BROKER_LIMIT_FIELD)
#undef RP_BROKER_LIMIT_FIELD
} rp_limits_t;

/*  An initializer with every default.  */
#define RP_LIMITS_DEFAULT_FIELD(kind, name, value, smallest, largest, why) .name = (value),
#define RP_LIMITS_DEFAULT                                                                          \
    {                                                                                              \
        RP_BROKER_LIMIT_MAP (RP_LIMITS_DEFAULT_FIELD)                                              \
    }

#endif
