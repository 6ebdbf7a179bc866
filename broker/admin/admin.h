/*  Admin: answers requests about the broker itself, as the services riposte.ping, riposte.status,
    riposte.services, riposte.workers and mmi.*.

    SPDX-License-Identifier: MPL-2.0

    ping returns the body of the request. The others return a JSON object. Its members are named as
    in broker/core/dispatch.h and stats.h; counts and times are numbers (µs where the name ends in
    _us):

        status    version, pid, uptime_us, instance, endpoints [ ], draining,
                  clients, workers, services, conversations,
                  gauges { waiting, waiting_bytes, running, abandoned, open_bytes, backlog_bytes },
                  counters { of RP_COUNTER_MAP, and copied_bytes },
                  finals { by name of the status }, unanswered { likewise },
                  bad { by name of the wire error },
                  foreign { now { sessions by name of the dialect }, ever { likewise },
                  envelopes, envelope_bytes, bad { by name of the dialect error } },
                  limits { of RP_BROKER_LIMIT_MAP }
        services  services [ { name, workers, draining, window, held, waiting, waiting_bytes,
                  running, conversations, requests, ended, failed, oldest_us } ]
        workers   workers [ { name, service, address, state, draining, window, running, abandoned,
                  conversations, replies, age_us, silent_us, oldest_us } ]

    mmi.* answers with text, and counts only workers that take new requests (8/MMI, which has the
    first; the others are Riposte's own):

        mmi.service   body: name of a service. 200 if it has workers, 404 if not
        mmi.workers   body: name of a service. The number of its workers; 404 if none
        mmi.services  the names of all services with workers, each followed by a newline
        mmi. and anything else: 501

    Not for the data path: an answer allocates, and takes about 1 µs per service or worker.
    Thread-safety: none.
*/

#ifndef RP_ADMIN_H
#define RP_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "broker/core/dispatch.h"
#include "broker/protocol/foreign.h"
#include "broker/transport/routes.h"
#include "common/io/message.h"
#include "common/wire/head.h"

/*  Where the answers come from; owns none of it.  */
typedef struct {
    const rp_dispatch_t *core;
    const rp_routes_t *routes;
    const rp_foreign_t *foreign;
    rp_message_pool_t *pool;
    char *const *endpoints;
    size_t endpoint_count;
    int64_t started; /* µs, on the clock of the core */
} rp_admin_t;

/*  Makes the REPLY to a request for one of these services, and takes *request_p. NULL when out of
    memory.  */
rp_message_t *rp_admin_answer (
  const rp_admin_t *self, const rp_head_t *head, rp_message_t **request_p, int64_t now);

#endif
