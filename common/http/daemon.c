/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/http/daemon.h"

int rp_http_daemon_wait_ms (struct MHD_Daemon *daemon, int64_t due, int64_t now)
{
    MHD_UNSIGNED_LONG_LONG daemon_ms = 0;
    int64_t ms = due == INT64_MAX ? INT64_MAX : due <= now ? 0 : (due - now) / 1000 + 1;
    if (MHD_get_timeout (daemon, &daemon_ms) == MHD_YES && (int64_t) daemon_ms < ms)
        ms = (int64_t) daemon_ms;
    return ms == INT64_MAX ? -1 : ms > 60000 ? 60000 : (int) ms;
}

static unsigned s_connections (struct MHD_Daemon *daemon)
{
    return MHD_get_daemon_info (daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

bool rp_http_daemon_run (struct MHD_Daemon *daemon)
{
    unsigned before;
    do {
        before = s_connections (daemon);
        if (MHD_run (daemon) != MHD_YES)
            return false;
    } while (s_connections (daemon) < before);
    return true;
}

/*  At each run libmicrohttpd 0.9.75 first goes through all connections with a time limit of their own, for each of
    which it calls the handler; then it reads from those that are ready, as resumed ones always are. So a connection
    has a limit of its own from its resumption until the handler is called: no longer, since each run looks at all of
    them.  */
void rp_http_daemon_resume (struct MHD_Connection *connection, unsigned idle_s)
{
    (void) MHD_set_connection_option (connection, MHD_CONNECTION_OPTION_TIMEOUT, idle_s + 1);
    MHD_resume_connection (connection);
}

void rp_http_daemon_resumed (struct MHD_Connection *connection, unsigned idle_s)
{
    (void) MHD_set_connection_option (connection, MHD_CONNECTION_OPTION_TIMEOUT, idle_s);
}
