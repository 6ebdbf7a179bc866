/*  Streams: answers that go on (server-sent events), which tell their readers what is new until they leave.

    SPDX-License-Identifier: MPL-2.0

        event: overview  data: as /api/overview, twice a second at most, if it has changed
        event: event     data: an event (broker/admin/events.h); id: its number behind the broker's instance
        event: missed    data: {"missed": N}, how many events are missing here
        : a comment, when there was nothing else for 15 s

    With the header Last-Event-ID a reader goes on after that event; if it is another broker's (or one of
    before a restart), with the first that this one has kept. Without it, with the next to come.

    A stream gets something new only when its reader has taken everything before, so one that reads slowly
    gets less, and what is kept for it is one answer. Who takes nothing for long is cut (libmicrohttpd's
    timeout; sooner where there is little room for others), as is who has hung up, or whose token is no longer
    good.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    Thread-safety: for the thread of broker/admin/http.h.
*/

#ifndef RP_STREAMS_H
#define RP_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "broker/admin/asking.h"
#include "broker/admin/http_peers.h"
#include "broker/admin/snapshot.h"
#include "common/base/list.h"

/*  Streams at once, but at most a quarter of the connections.  */
#define RP_STREAMS_MAX 16u
/*  Time between two looks for what is new, µs, and until something is said though there is nothing new.  */
#define RP_STREAMS_TURN_US 500000
#define RP_STREAMS_SILENCE_US 15000000

typedef struct {
    rp_list_t list;
    unsigned count;
    rp_http_peers_t *peers; /* not owned */
    rp_asking_t *asking;    /* not owned */
    int64_t due;            /* when to ask for a snapshot; INT64_MAX: nobody listens */
    bool asked;             /* for a snapshot, which has not come yet */
    uint64_t edition;       /* counts the different texts of the overview */
    char *overview;         /* the latest one; NULL: none */
    bool open;              /* no token is wanted */
    bool ending;
} rp_streams_t;

void rp_streams_init (rp_streams_t *self, rp_http_peers_t *peers, rp_asking_t *asking, bool open);

/*  Frees what it has; no stream is left.  */
void rp_streams_clear (rp_streams_t *self);

/*  Answers a request with a stream; snapshot: the latest. 503 if there are too many.  */
enum MHD_Result rp_streams_open (
  rp_streams_t *self, struct MHD_Connection *connection, const rp_snapshot_t *snapshot);

/*  Returns true once when a snapshot has to be asked for, as of now.  */
bool rp_streams_want (rp_streams_t *self, int64_t now);

/*  When it wants one next; INT64_MAX: it does not.  */
int64_t rp_streams_due (const rp_streams_t *self);

/*  Tells what is new in a snapshot that has come.  */
void rp_streams_feed (rp_streams_t *self, const rp_snapshot_t *snapshot, int64_t now);

/*  Ends all streams; libmicrohttpd has to run once more.  */
void rp_streams_end (rp_streams_t *self);

#endif
