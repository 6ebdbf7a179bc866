/*  The server: the broker's main loop, which joins libzmq, the core and the other parts of the
    shell.

    SPDX-License-Identifier: MPL-2.0

    One thread owns the sockets and the core. It receives in batches until there is nothing more,
    lets the core do what is due, and only then waits; so the messages of a batch share the cost of
    a wait.

    Thread-safety: one thread at a time, but for rp_server_drain and rp_server_stop.
*/

#ifndef RP_SERVER_H
#define RP_SERVER_H

#include <stddef.h>

#include "broker/auth/credentials.h"
#include "broker/core/action.h"
#include "broker/core/limits.h"
#include "broker/log_lines.h"
#include "broker/reload.h"
#include "broker/store/store.h"

/*  Messages received before the server looks at signals, broken connections and the time: about a
    millisecond's work.  */
#define RP_SERVER_BATCH 1024u
/*  Messages that share one reading of the clock.  */
#define RP_SERVER_CLOCK_EVERY 16u
/*  How long the last replies and BYEs may take to leave after the server has ended, ms.  */
#define RP_SERVER_LINGER_MS 500
typedef struct rp_server rp_server_t;

typedef struct {
    rp_limits_t limits;
    rp_terms_list_t services; /* not owned */
    rp_level_t log_level;
    rp_log_format_t log_format;
    int log;     /* descriptor for the log, unless the format is journald */
    int history; /* descriptor for the history (broker/store/history.h); 0: none */
    /*  path of the history, for SIGHUP; NULL: it is never opened again  */
    const char *history_path;
    /*  URL of the collector to which spans of requests are sent (broker/admin/otlp.h); NULL: none  */
    const char *otlp;
    /*  a signalfd; -1: none. SIGHUP reloads; of other signals the first drains, the second stops  */
    int signals;
    /*  who may come in and do what; held by the server; NULL: security is off  */
    rp_credentials_t *credentials;
    rp_store_t *store;   /* of jobs; the server's from now on; NULL: it keeps none */
    unsigned io_threads; /* of libzmq; 0: one */
    int ipc_mode;        /* permissions of ipc sockets; 0 or less: by the umask */
    /*  reads everything again, on SIGHUP or for a request to riposte.reload; NULL: nothing can be read
        again  */
    rp_reload_fn *reload;
    void *reload_arg;
    rp_settings_t settings; /* to be shown; a reload may change them. table NULL: none */
} rp_server_options_t;

/*  Makes a server. NULL with errno: ENOMEM, EMFILE.  */
rp_server_t *rp_server_new (const rp_server_options_t *options);

/*  Destroys a server, within RP_SERVER_LINGER_MS. Nulls *self_p; NULL is allowed.  */
void rp_server_destroy (rp_server_t **self_p);

/*  Binds one more endpoint. 0, or -1 with errno, for rp_endpoint_explain.  */
int rp_server_bind (rp_server_t *self, const char *endpoint);

/*  The same with the key that will replace the broker's own; once.  */
int rp_server_bind_next (rp_server_t *self, const char *endpoint);

/*  Binds one side of a plain service: its front is for REQ clients, its back for REP workers. At
    most once per side. 0, or -1 with errno; EMFILE when there are too many.  */
typedef enum { RP_PLAIN_FRONT, RP_PLAIN_BACK } rp_plain_side_t;
int rp_server_bind_plain (
  rp_server_t *self, const char *service, rp_plain_side_t side, const char *endpoint);

/*  Serves metrics and pages of HTTP there: listen is ADDRESS:PORT; hosts, open: broker/admin/http.h. At
    most once. 0, or -1 with errno. The texts must outlive the server.  */
int rp_server_open_http (rp_server_t *self, const char *listen, const char *hosts, bool open);

/*  Returns the port of HTTP; 0: off.  */
unsigned rp_server_http_port (const rp_server_t *self);

/*  Returns a bound endpoint, with its real port, in the order of binding; NULL behind the last.  */
const char *rp_server_endpoint (const rp_server_t *self, size_t index);

/*  Logs each line of a text, without the blanks that it begins with: at level warning if it then
    begins with that word, otherwise at info.  */
void rp_server_log (rp_server_t *self, const char *text);

/*  Puts other credentials in force, which the server holds: who has lost the right to be here is cut, and
    rules apply to the next request. Security was on from the start, with the same key of the broker.  */
void rp_server_set_credentials (rp_server_t *self, rp_credentials_t *credentials, int64_t now);

/*  Serves until the server was drained or stopped: 0. -1 after an error, which is logged.  */
int rp_server_run (rp_server_t *self);

/*  Takes nothing new, and ends when all requests have ended, or at drain_limit. Any thread.  */
void rp_server_drain (rp_server_t *self);

/*  Ends now; running requests end with WORKER_LOST. Any thread.  */
void rp_server_stop (rp_server_t *self);

#endif
