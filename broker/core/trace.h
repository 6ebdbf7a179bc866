/*  Traces: what happened to a request, as a timeline with times and reasons. Open requests are found in
    the core itself; ended ones are kept in two rings of bounded bytes (limit trace_bytes): one of
    ordinary ones, and one of those that failed, were redelivered or were slow, which thus stay longer.
    Refused requests, which were never accepted, are in neither.

    SPDX-License-Identifier: MPL-2.0

    A query walks over the rings (8 MiB: about a millisecond); nothing of it is on the way of a request.
    Times are those of the core's events, in microseconds.
    Thread-safety: none; one thread owns the core. Pointers are valid during the call.
*/

#ifndef RP_CORE_TRACE_H
#define RP_CORE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#include "common/wire/ids.h"

typedef struct rp_dispatch rp_dispatch_t;

/*  The headers of a request by which it is found, beside the broker's and the client's own ids.  */
#define RP_TRACE_REQUEST_ID "request-id"
#define RP_TRACE_PARENT "traceparent"
#define RP_TRACE_REQUEST_ID_MAX 127u
#define RP_TRACE_ID_SIZE 32u /* hexadecimal digits of a W3C trace id */

/*  Why a request waited: the reason that held when it began to wait.  */
typedef enum {
    RP_WAIT_NOT,       /* it went to a worker at once */
    RP_WAIT_BUSY,      /* no worker had room, or others were before it */
    RP_WAIT_NO_WORKER, /* the service had no worker */
    RP_WAIT_LINE,      /* another request of its conversation was before it */
    RP_WAIT_PINNED,    /* the one worker that may have it had no room */
} rp_wait_t;

typedef enum {
    RP_TRACE_ACCEPTED,
    RP_TRACE_WAITED,   /* until `at`, for `us`: wait, workers */
    RP_TRACE_GIVEN,    /* to worker: attempt */
    RP_TRACE_LOST,     /* by worker, after `us`: text says why */
    RP_TRACE_RETURNED, /* by worker, after `us`, which had not begun it: text says why */
    RP_TRACE_UNSENT,   /* it never reached worker */
    RP_TRACE_HEDGED, /* worker has had it for `us`, and still has it: text says what another one does */
    RP_TRACE_ENDED, /* status; after `us` at a worker, if it had it; text: the broker's reason */
    RP_TRACE_WAITS, /* open: it waits, since `us`: wait, workers */
    RP_TRACE_RUNS,  /* open: a worker has it, since `us` */
    /*  of jobs (broker/admin/job_trace)  */
    RP_TRACE_FAILED,  /* the attempt came to nothing, after `us`: text says why */
    RP_TRACE_DIED,    /* that was the last attempt */
    RP_TRACE_RETRIED, /* text: as which job */
    RP_TRACE_EVENT_COUNT
} rp_trace_kind_t;

/*  Names for people and for JSON: "accepted" …; "busy", "no_worker" …  */
const char *rp_trace_kind_name (rp_trace_kind_t kind);
const char *rp_wait_name (rp_wait_t wait);

/*  Members that do not apply are 0 or "".  */
typedef struct {
    rp_trace_kind_t kind;
    int64_t at;
    int64_t us;
    rp_wait_t wait;
    uint32_t workers; /* WAITED, WAITS: workers of the service then; 0: not known */
    uint8_t attempt;
    uint8_t status; /* ENDED: rp_status_t */
    const char *worker;
    const char *text;
} rp_trace_event_t;

/*  Parts of a body that were passed on, and the bytes in them.  */
typedef struct {
    uint64_t parts;
    uint64_t bytes;
} rp_trace_parts_t;

#define RP_TRACE_LOSSES_MAX 16u
#define RP_TRACE_EVENTS_MAX (RP_TRACE_LOSSES_MAX * 3 + 5)

typedef struct {
    rp_token_t token;        /* of the latest delivery; before the first, what it would have been */
    rp_session_id_t session; /* of the client */
    uint64_t client_id;      /* the client's id of the request */
    bool open;
    uint8_t status; /* once it has ended */
    uint8_t attempt;
    uint8_t attempts; /* 0: not known, of an ordinary one that has ended */
    int64_t accepted;
    int64_t ended;       /* open: now */
    uint32_t queue_us;   /* as in REPLY */
    uint32_t work_us;    /* as in REPLY; 0: no worker had it at the end */
    const char *service; /* names are NUL-terminated; "" where the broker has forgotten them */
    const char *client;
    const char *principal;
    const char *worker;     /* of the latest delivery */
    const char *request_id; /* "": it had none */
    const char *trace_id;
    const char *parent_id;  /* of an exported one: the parent's span; "" otherwise */
    rp_trace_parts_t reply; /* of streams; otherwise 0 */
    rp_trace_parts_t body;
    uint32_t omitted; /* losses beyond RP_TRACE_LOSSES_MAX, which are not in events */
    size_t count;
    rp_trace_event_t events[RP_TRACE_EVENTS_MAX];
} rp_trace_t;

/*  What to look for. A request matches if one of the members that are set does.  */
typedef struct {
    uint64_t token;          /* of any of its deliveries; 0: not set */
    bool by_client;          /* client_id, and session or client */
    rp_session_id_t session; /* 0: of any client, or of those with the name */
    const char *client;      /* a name; NULL: not set */
    size_t client_size;
    uint64_t client_id;
    const char
      *request_id; /* the value of the header, of which so much counts as is kept; NULL: not set */
    const char *trace_id; /* 32 hexadecimal digits, in lower case; NULL: not set */
} rp_trace_query_t;

/*  Reads what a person gives as the id of a request: a number is the broker's token, CLIENT/NUMBER a
    client's id, where CLIENT is its name or its session's number (0: any), 32 hexadecimal digits or a whole traceparent a trace id; and whatever it is, it may be
    the value of request-id. buffer, RP_TRACE_ID_SIZE + 1 bytes, and text must outlive the query. */
void rp_trace_query_read (rp_trace_query_t *query, const char *text, char *buffer);

typedef void (rp_trace_fn) (const rp_trace_t *trace, void *arg);

/*  An ended request by itself, without its core: what RP_ACTION_EXPORT hands out. Any thread may read it. */
typedef struct rp_trace_ended rp_trace_ended_t;

/*  Returns the bytes of memory that it takes.  */
size_t rp_trace_ended_size (const rp_trace_ended_t *self);

/*  Calls function once.  */
void rp_trace_ended_read (const rp_trace_ended_t *self, rp_trace_fn *function, void *arg);

/*  Calls function for each request that matches, open ones first, then the latest; at most `most`.
    Returns how many there were.  */
size_t rp_trace_find (const rp_dispatch_t *self,
  int64_t now,
  const rp_trace_query_t *query,
  size_t most,
  rp_trace_fn *function,
  void *arg);

/*  Calls function for the ended requests in the rings that took longest, the slowest first. service:
    NULL for all; "_other" finds ordinary ones of services without figures of their own. failed: only those that did not end with OK. At most `most`, which is at most
    RP_TRACE_SLOWEST_MAX. Returns how many there were.  */
#define RP_TRACE_SLOWEST_MAX 100u
size_t rp_trace_slowest (const rp_dispatch_t *self,
  const char *service,
  bool failed,
  size_t most,
  rp_trace_fn *function,
  void *arg);

/*  Calls function for the latest ended requests of a service (NULL: of all) that failed or were
    redelivered, the latest first.  */
size_t rp_trace_failures (
  const rp_dispatch_t *self, const char *service, size_t most, rp_trace_fn *function, void *arg);

#endif
