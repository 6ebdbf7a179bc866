/*  The server: the loop between libzmq and the core.

    SPDX-License-Identifier: MPL-2.0

    One thread owns the socket and the core. It receives in batches until there is nothing more,
    ticks, and only then waits; so the cost of waiting is shared by all messages of a batch.

    Thread-safety: one thread at a time, but for rp_server_drain and rp_server_stop.
*/

#ifndef RP_SERVER_H
#define RP_SERVER_H

#include <stddef.h>

#include "broker/core/action.h"
#include "broker/core/limits.h"

/*  Messages received before the server looks at anything else that may be waiting: signals, broken
    connections, time. About a millisecond's work.  */
#define RP_SERVER_BATCH 1024u
/*  Messages that share one reading of the clock.  */
#define RP_SERVER_CLOCK_EVERY 16u
/*  How long the last replies and the BYEs may take to leave once the server has ended, ms.  */
#define RP_SERVER_LINGER_MS 500
typedef struct rp_server rp_server_t;

typedef struct {
    rp_limits_t limits;
    rp_level_t log_level;
    int log;     /* descriptor to log to */
    int history; /* descriptor to write the history to (broker/store/history.h); 0: none */
    const char
      *history_path; /* of its file, for SIGHUP; has to stay; NULL: it is never opened again */
    int
      signals; /* a signalfd: SIGHUP reloads; of others the first drains, the second ends; -1: none */
} rp_server_options_t;

/*  NULL with errno: ENOMEM, EMFILE.  */
rp_server_t *rp_server_new (const rp_server_options_t *options);

/*  Ends at the latest after RP_SERVER_LINGER_MS. Nulls *self_p; NULL is allowed.  */
void rp_server_destroy (rp_server_t **self_p);

/*  Binds one more endpoint. 0, or -1 with errno, which rp_endpoint_explain explains.  */
int rp_server_bind (rp_server_t *self, const char *endpoint);

/*  Opens and binds one side of a plain service: its front is for REQ clients, its back for REP
    workers. Each side once for a service. 0, or -1 with errno; EMFILE when there are too many.  */
typedef enum { RP_PLAIN_FRONT, RP_PLAIN_BACK } rp_plain_side_t;
int rp_server_bind_plain (
  rp_server_t *self, const char *service, rp_plain_side_t side, const char *endpoint);

/*  What was bound, in order, with the real port; NULL behind the last.  */
const char *rp_server_endpoint (const rp_server_t *self, size_t index);

/*  Serves until it was drained or stopped: 0. -1 when it could not go on, which the log says.  */
int rp_server_run (rp_server_t *self);

/*  Takes nothing new, and ends when what runs has finished or after the limit. Any thread.  */
void rp_server_drain (rp_server_t *self);

/*  Ends now; what runs ends with WORKER_LOST. Any thread.  */
void rp_server_stop (rp_server_t *self);

#endif
