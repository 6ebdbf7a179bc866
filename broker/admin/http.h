/*  HTTP: what people and monitoring systems read of a broker, in a thread of its own.

    SPDX-License-Identifier: MPL-2.0

        GET /                                the dashboard, a page for browsers (broker/admin/dashboard.h)
        GET /metrics                         Prometheus (broker/admin/prometheus.h)
        GET /livez                           200 if the broker's loop answers within 2 s; otherwise 503
        GET /readyz                          200 if it takes requests; otherwise 503, with the reason
        GET /api/status, services, workers   as riposte.status, services, workers (broker/admin/admin.h)
        GET /api/overview, service?name=N    what the dashboard shows (broker/admin/overview.h)
        GET /api/NAME                        other questions (broker/admin/http_questions.h)
        POST /api/dead/retry, purge          what changes something, the same way
        GET /events                          what is new, as it comes (broker/admin/streams.h)

    A request waits, suspended, until the broker has published a snapshot that is fresh enough, or has answered
    its question: 2 s at most, then the answer is 503. /livez and /readyz are open to
    everyone who reaches the port, and the dashboard without data; all else is open where nobody needs a key;
    otherwise it wants a token whose principal has `observe` (common/access/tokens.h), and what changes something, or
    shows a body, one with `admin`; without keys, it has to come from this machine. A Host header that is no
    address, nor a name of the loopback interface or of the list, is refused (DNS rebinding).

    Source: docs/METRICS.md.
    Thread-safety: functions are for the thread that made it.
*/

#ifndef RP_HTTP_H
#define RP_HTTP_H

#include <stdbool.h>

#include "broker/admin/asking.h"
#include "broker/admin/publisher.h"

typedef struct rp_http rp_http_t;

typedef struct {
    const char *listen;        /* ADDRESS:PORT */
    const char *hosts;         /* further names of hosts, with commas; NULL: none */
    bool open;                 /* no token is wanted, though security is on */
    rp_publisher_t *publisher; /* not owned */
    rp_asking_t *asking;       /* not owned */
} rp_http_options_t;

/*  Listens, and starts the thread. NULL with errno (EADDRINUSE, EACCES, EINVAL …). options: not copied,
    and to outlive it.  */
rp_http_t *rp_http_new (const rp_http_options_t *options);

/*  Returns the port that it listens at.  */
unsigned rp_http_port (const rp_http_t *self);

/*  Ends the thread, and every connection. Nulls *self_p; NULL is allowed.  */
void rp_http_destroy (rp_http_t **self_p);

#endif
