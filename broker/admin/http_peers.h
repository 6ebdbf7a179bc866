/*  HTTP peers: the connections of the broker's HTTP. Whoever lets itself be waited for keeps nobody out: while
    there are nearly as many connections as there may be, those are closed on which nothing has come to an end
    for longest, be it a request that does not come, or an answer that is not read.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: for the thread of broker/admin/http.h.
*/

#ifndef RP_HTTP_PEERS_H
#define RP_HTTP_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "common/base/list.h"

/*  Connections at once, but at most a twentieth of the descriptors, of which the broker's own listeners leave
    a tenth; more wait until there is room.  */
#define RP_HTTP_PEERS_MAX 256u
/*  One in so many is kept free, if others have been idle for RP_HTTP_PEERS_GRACE_US, µs: longer than a
    request waits for the broker.  */
#define RP_HTTP_PEERS_FREE 16u
#define RP_HTTP_PEERS_GRACE_US 3000000
/*  Bytes of all answers together that are being read, beyond the first; it is 13 KiB a service in /metrics.  */
#define RP_HTTP_PEERS_BYTES ((size_t) 64 << 20)

typedef struct {
    rp_list_t by_progress; /* the longest idle first */
    unsigned count;
    unsigned most;
    size_t bytes; /* of answers that are being read */
} rp_http_peers_t;

void rp_http_peers_init (rp_http_peers_t *self);

/*  The MHD_NotifyConnectionCallback; arg: the peers.  */
void rp_http_peers_on_connection (void *arg,
  struct MHD_Connection *connection,
  void **context,
  enum MHD_ConnectionNotificationCode what);

/*  Notes that a request has come, or that its answer was read or given up.  */
void rp_http_peers_progress (rp_http_peers_t *self, struct MHD_Connection *connection);

/*  False if there is no room for the bytes of an answer; those that have not read for RP_HTTP_PEERS_GRACE_US are
    closed then.  */
bool rp_http_peers_has_room (struct MHD_Connection *connection, size_t bytes);

/*  Counts the bytes of an answer until it was read. False if there is no room, as above.  */
bool rp_http_peers_hold (struct MHD_Connection *connection, size_t bytes);

/*  Closes connections if there are too many. Returns when to call again, µs; INT64_MAX: not before there is
    another one.  */
int64_t rp_http_peers_make_room (rp_http_peers_t *self, int64_t now);

#endif
