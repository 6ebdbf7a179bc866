/*  The broker's counters and gauges. At any moment, accepted requests = sum of finals + waiting +
    running. Counters never go down: a monitoring system would take that for a start of the broker.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RP_STATS_H
#define RP_STATS_H

#include <stdint.h>

#include <riposte/error.h>

#include "common/wire/head.h"

#define RP_FINAL_COUNT (RP_STATUS_LAST + 1)

/*  name, what it counts  */
#define RP_COUNTER_MAP(X)                                                                          \
    X (requests, "requests received, refused ones included")                                       \
    X (deliveries, "requests given to a worker, redeliveries and unbegun ones included")           \
    X (redeliveries, "requests given to another worker, after one was lost or beside it")          \
    X (hedges, "of redeliveries, those to a second worker while the first still had the request")  \
    X (                                                                                            \
      hedges_withheld, "hedges that were not made because the share of their service was used up") \
    X (late_replies, "replies that nobody asked for, or not any more")                             \
    X (streams, "requests accepted with a body in parts, or a reply that may come in parts")       \
    X (parts, "parts of bodies passed on, either way")                                             \
    X (part_bytes, "bytes of these parts")                                                         \
    X (late_parts, "PARTs and GRANTs for a request that is over or unknown")                       \
    X (unbegun, "requests that a worker gave back because it could not begin them")                \
    X (overdue_attempts, "deliveries that were not answered within their worker's limit")          \
    X (cancels, "CANCELs for an open request")                                                     \
    X (unknown_cancels, "CANCELs and ENDs for a request or conversation that is not open")         \
    X (admin_requests, "requests for the broker's own services, not in requests")                  \
    X (durable_requests, "requests passed on to be jobs, not in requests; their attempts are")     \
    X (keyed_requests,                                                                             \
      "requests with a key, not in requests; their executions are, one for each key")              \
    X (survey_requests,                                                                            \
      "requests for all workers of a service, not in requests; their copies are, one for each")    \
    X (clients_joined, "client sessions begun")                                                    \
    X (workers_joined, "worker sessions begun")                                                    \
    X (clients_lost, "client sessions that ended without BYE")                                     \
    X (clients_unread, "foreign clients whose connection ended with replies unread")               \
    X (workers_lost, "worker sessions that ended without BYE")                                     \
    X (hellos_refused, "HELLOs answered with BYE")                                                 \
    X (denied, "requests and workers that no rule allows")                                         \
    X (over_quota, "requests and HELLOs over a quota of their principal")                          \
    X (unknown_peers, "messages from peers without a session")                                     \
    X (protocol_errors, "sessions that ended because the peer broke the protocol")                 \
    X (too_many_frames, "messages with more frames than allowed")                                  \
    X (too_large, "messages with a body over the limit")                                           \
    X (probes, "heartbeats sent because a connection looked broken")                               \
    X (dropped, "waiting requests that made room for others (overload=drop_oldest)")               \
    X (put_first, "requests put first, since they would have waited too long (overload=lifo)")     \
    X (not_admitted, "requests refused or ended, since they would have been late (admission=on)")  \
    X (conversations, "conversations begun")                                                       \
    X (conversations_lost, "conversations that ended because their worker was lost")

typedef struct {
#define RP_COUNTER_FIELD(name, text) uint64_t name;
    RP_COUNTER_MAP (RP_COUNTER_FIELD)
#undef RP_COUNTER_FIELD
    uint64_t final[RP_FINAL_COUNT];      /* by status */
    uint64_t unanswered[RP_FINAL_COUNT]; /* by status: the client is not told */
    uint64_t bad[RP_WIRE_ERROR_COUNT];   /* malformed messages by kind */
    /*  gauges  */
    uint64_t waiting;
    uint64_t waiting_bytes;
    uint64_t running;
    uint64_t abandoned; /* ended for the client, still with a worker */
    uint64_t open_bytes;
    uint64_t granted_bytes; /* by readers of streams, and not used by a part yet */
    uint64_t backlog_bytes; /* what clients have not read yet, as the shell last reported */
} rp_stats_t;

#endif
