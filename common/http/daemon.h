/*  Daemon: what an own event loop around libmicrohttpd has to know.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: a daemon belongs to one thread.
*/

#ifndef RP_HTTP_DAEMON_H
#define RP_HTTP_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

/*  Milliseconds until the daemon has something to do, or the caller at the time due (µs; INT64_MAX: never), a
    minute at most; -1: nothing is.  */
int rp_http_daemon_wait_ms (struct MHD_Daemon *daemon, int64_t due, int64_t now);

/*  Lets the daemon do what there is to do. False if it cannot go on. When it has all connections that it may
    have, or no descriptor was left, libmicrohttpd does not listen again before the run after the one in which a
    connection has ended: without that run peers that wait would wait for ever.  */
bool rp_http_daemon_run (struct MHD_Daemon *daemon);

/*  Resumes a suspended connection, whose request is then answered before libmicrohttpd reads from it. It would read
    first otherwise, and end a connection whose peer has closed its sending half without a response. idle_s: seconds,
    the daemon's MHD_OPTION_CONNECTION_TIMEOUT.  */
void rp_http_daemon_resume (struct MHD_Connection *connection, unsigned idle_s);

/*  To be called by the handler of the requests, once it is called for a request that was resumed.  */
void rp_http_daemon_resumed (struct MHD_Connection *connection, unsigned idle_s);

#endif
