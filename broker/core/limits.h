/*  The limits of one broker: name, unit, default, range and reason.

    SPDX-License-Identifier: MPL-2.0

    A new limit is a row of RP_BROKER_LIMIT_MAP. The structure, the table of settings
    (broker/config.c) and `riposte status` are made from that map.
*/

#ifndef RP_BROKER_LIMITS_H
#define RP_BROKER_LIMITS_H

#include <stdint.h>

/*  kind, name, default, smallest, largest, applies, why kinds: COUNT (a number), BYTES, TIME
    (milliseconds) applies: RELOAD, a running broker takes a new value; RESTART, it does not,
    because sockets, pools or the start depend on it  */
#define RP_BROKER_LIMIT_MAP(X)                                                                     \
    X (BYTES, max_body, 16777216, 1024, 1073741824, RESTART,                                       \
      "largest body of a request or reply, all frames together")                                   \
    X (COUNT, max_clients, 100000, 1, 1000000, RESTART,                                            \
      "clients connected at once; more draw BUSY")                                                 \
    X (COUNT, max_workers, 10000, 1, 1000000, RESTART,                                             \
      "workers registered at once; more draw BUSY")                                                \
    X (COUNT, max_services, 10000, 1, 1000000, RESTART,                                            \
      "names that workers offer or requests wait for, as many again for jobs; a flood stops here") \
    X (COUNT, max_conversations, 100000, 1, 10000000, RESTART, "conversations open at once")       \
    X (COUNT, client_conversations, 1000, 1, 10000000, RELOAD,                                     \
      "conversations one client may have open; more draw BUSY")                                    \
    X (COUNT, client_open, 10000, 1, 1000000, RELOAD,                                              \
      "requests one client may have open, and questions about jobs beside them; more draw BUSY, "  \
      "so one client cannot fill the broker")                                                      \
    X (COUNT, service_queue, 100000, 1, 100000000, RELOAD,                                         \
      "requests that may wait for one service")                                                    \
    X (BYTES, service_queue_bytes, 268435456, 1024, 1099511627776, RELOAD,                         \
      "bytes that may wait for one service; a larger body that has to wait draws TOO_LARGE")       \
    X (BYTES, stream_window, 1048576, 65, 1073741824, RESTART,                                     \
      "bytes that the reader of a body in parts may grant beyond what was passed on to it")        \
    X (TIME, age_step, 1000, 1, 86400000, RELOAD,                                                  \
      "a client that waits this long for its turn at a service rises by one priority, so that "    \
      "none waits for ever; 9 is the highest")                                                     \
    X (COUNT, total_queue, 1000000, 1, 100000000, RESTART, "requests open in the whole broker")    \
    X (BYTES, total_queue_bytes, 1073741824, 1024, 1099511627776, RELOAD,                          \
      "bytes of all open requests, and of replies that wait for clients to read them; keep it "    \
      "below the memory the process may use")                                                      \
    X (COUNT, connection_backlog, 262144, 64, 1000000, RESTART,                                    \
      "messages that may wait for one peer to read them; a peer that falls behind is cut off")     \
    X (BYTES, connection_backlog_bytes, 67108864, 65536, 1099511627776, RELOAD,                    \
      "bytes of replies and parts of bodies that may wait for one peer which does not read them; " \
      "it is cut off then. One message may, of any size")                                          \
    X (                                                                                            \
      TIME, heartbeat_min, 50, 50, 60000, RELOAD, "shortest heartbeat interval granted to a peer") \
    X (TIME, heartbeat_max, 60000, 50, 60000, RELOAD,                                              \
      "longest heartbeat interval granted to a peer")                                              \
    X (COUNT, pending_connections, 1000, 0, 1000000, RELOAD,                                       \
      "connections without a session that are left alone; beyond it the oldest are closed after "  \
      "pending_timeout")                                                                           \
    X (TIME, pending_timeout, 10000, 100, 600000, RELOAD,                                          \
      "how long a connection may be without a session when there are more than "                   \
      "pending_connections")                                                                       \
    X (TIME, rejoin_grace, 3000, 0, 600000, RESTART,                                               \
      "after a start, requests for unknown services wait this long for workers to come back")      \
    X (TIME, service_linger, 3000, 0, 3600000, RELOAD,                                             \
      "how long requests wait for a service that has just lost its last worker")                   \
    X (TIME, conversation_idle, 600000, 100, 86400000, RELOAD,                                     \
      "a conversation without a request for this long has ended")                                  \
    X (COUNT, hedge_share, 5, 0, 100, RELOAD,                                                      \
      "hedges of a service for each hundred of its requests, at most; 0: none is made")            \
    X (TIME, drain_limit, 30000, 0, 86400000, RELOAD,                                              \
      "how long SIGTERM waits for running requests before they end with WORKER_LOST")              \
    X (TIME, foreign_deadline, 60000, 100, 86400000, RELOAD,                                       \
      "how long a request whose protocol states no deadline (MDP, REQ) may wait; while a worker "  \
      "has it, its time stands still")                                                             \
    X (COUNT, foreign_attempts, 3, 1, 10, RELOAD,                                                  \
      "attempts of a request whose protocol states none: its client cannot be told of a loss")     \
    X (COUNT, foreign_errors, 0, 0, 1, RELOAD,                                                     \
      "what a client without statuses gets when its request fails: 0 nothing, 1 a reply that "     \
      "says why")                                                                                  \
    X (BYTES, foreign_open_bytes, 268435456, 1024, 1099511627776, RELOAD,                          \
      "what a client that is told of no bound (MDP, REQ) may have open, 512 bytes a request "      \
      "beside its body; client_open and service_queue do not count its requests")                  \
    X (COUNT, foreign_window, 1, 1, 4096, RELOAD,                                                  \
      "requests at once for a worker that states no window (MDP)")                                 \
    X (TIME, foreign_heartbeat, 2500, 50, 60000, RELOAD,                                           \
      "first heartbeat interval towards a worker that states none (MDP); its own is learned")      \
    X (TIME, foreign_attempt, 20000, 10, 86400000, RELOAD,                                         \
      "how long one attempt at a plain REP worker may take; then the request goes to another")     \
    X (TIME, mdp_attempt, 0, 0, 86400000, RELOAD,                                                  \
      "the same of a Majordomo worker; 0: as long as it lives")                                    \
    X (COUNT, jobs, 10000000, 0, 1000000000, RESTART,                                              \
      "jobs without a final in the store; more draw BUSY")                                         \
    X (BYTES, replay_bytes, 67108864, 0, 1099511627776, RESTART,                                   \
      "memory for results of ordinary requests, by idempotency key; 0: none is remembered, and "   \
      "requests with a key are refused")                                                           \
    X (TIME, replay_keep, 600000, 0, 86400000, RELOAD,                                             \
      "how long a result is remembered by its key, so that asking again gives the same")           \
    X (BYTES, trace_bytes, 8388608, 0, 1099511627776, RESTART,                                     \
      "memory for the traces of requests that have ended; 0: "                                     \
      "nothing is kept")                                                                           \
    X (TIME, slow, 0, 0, 86400000, RELOAD,                                                         \
      "requests that take longer are kept as slow ones are; 0: only those over the p99 of their "  \
      "service")

typedef struct {
#define RP_BROKER_LIMIT_FIELD(kind, name, value, smallest, largest, applies, why) uint64_t name;
    RP_BROKER_LIMIT_MAP (RP_BROKER_LIMIT_FIELD)
#undef RP_BROKER_LIMIT_FIELD
} rp_limits_t;

/*  Takes the values that a running broker can take; the others stay.  */
static inline void rp_limits_take (rp_limits_t *self, const rp_limits_t *fresh)
{
#define RP_LIMITS_RELOAD(name) self->name = fresh->name;
#define RP_LIMITS_RESTART(name)
#define RP_LIMITS_TAKE(kind, name, value, smallest, largest, applies, why)                         \
    RP_LIMITS_##applies (name)
    RP_BROKER_LIMIT_MAP (RP_LIMITS_TAKE)
#undef RP_LIMITS_TAKE
#undef RP_LIMITS_RESTART
#undef RP_LIMITS_RELOAD
}

/*  Bytes of replies that may wait to be read: for all clients, before one that does not read is cut off; for one, even
    if it reads.  */
static inline uint64_t rp_limits_unread_most (const rp_limits_t *self)
{
    return self->total_queue_bytes / 2;
}

/*  An initializer with every default.  */
#define RP_LIMITS_DEFAULT_FIELD(kind, name, value, smallest, largest, applies, why) .name = (value),
#define RP_LIMITS_DEFAULT                                                                          \
    {                                                                                              \
        RP_BROKER_LIMIT_MAP (RP_LIMITS_DEFAULT_FIELD)                                              \
    }

#endif
