/*  Admin: answers requests about the broker itself, as the services riposte.ping, riposte.status,
    riposte.services, riposte.workers, riposte.reload, the questions (broker/admin/questions.h) and mmi.*.

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
                  limits { of RP_BROKER_LIMIT_MAP },
                  jobs { of RP_JOBS_FIGURE_MAP, commits, cleaned, queued, file_bytes, full, reachable } or null,
                  security { on, keys }, handshakes { accepted, refused },
                  principals [ { name, sessions, workers, open, open_bytes, denied, over_quota, weight } ],
                  reload { count, failed, ok, problems [ ], needs_restart [ ] }
        services  services [ { name, workers, draining, window, held, waiting, waiting_bytes,
                  running, conversations, requests, ended, failed, oldest_us,
                  rate_per_s, failed_per_s (requests, of the last seconds; not integers),
                  p50_us, p99_us (of the total time; 0: none has ended) } ]
        workers   workers [ { name, service, address, state, draining, window, running, abandoned,
                  conversations, replies, age_us, silent_us, oldest_us, principal } ]
        reload    reloaded (true), needs_restart [ ]; if anything is wrong, APP_ERROR instead, with a
                  line of text for each mistake

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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/admin/snapshot.h"
#include "common/io/message.h"
#include "common/wire/head.h"

/*  Where the answers come from; owns none of it.  */
typedef struct {
    rp_snapshot_sources_t sources;
    rp_message_pool_t *pool;
} rp_admin_t;

/*  Makes the REPLY to a client's request for one of these services, and takes *request_p. NULL when
    out of memory.  */
rp_message_t *rp_admin_answer (const rp_admin_t *self,
  rp_session_id_t client,
  const rp_head_t *head,
  rp_message_t **request_p,
  int64_t now);

/*  True if the request is for riposte.reload, which rp_admin_answer_reload answers.  */
bool rp_admin_is_reload (const rp_head_t *head);

/*  True if it is for riposte.trace, which the jobs answer, too, if there are any.  */
bool rp_admin_is_trace (const rp_head_t *head);

/*  Makes the REPLY to the request with this id, after a reload. can: the broker can reload. NULL when out
    of memory.  */
rp_message_t *rp_admin_answer_reload (const rp_admin_t *self, uint64_t id, bool can);

#endif
