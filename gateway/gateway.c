/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/http/address.h"
#include "common/http/daemon.h"
#include "common/io/clock.h"
#include "gateway/exchange.h"
#include "gateway/open.h"
#include "gateway/parts.h"
#include "gateway/peers.h"
#include "gateway/state.h"

/*  How long the end waits for the next reply to what it has cancelled: a question about a job takes a second.  */
#define S_LAST_MS 2000u
#define S_EVENTS 64

/*  ---- The loop ------------------------------------------------------------------------------- */

static void s_collect (rp_gateway_t *self)
{
    rp_reply_t *reply;
    int64_t now = rp_clock_us ();
    while (rp_client_collect (self->client, 0, &reply) == RP_OK)
        rp_http_exchange_take (rp_reply_tag (reply), reply, now);
}

/*  Takes no more connections; each response ends its own.  */
static void s_drain (rp_gateway_t *self)
{
    MHD_socket listening = MHD_quiesce_daemon (self->daemon);
    if (listening != MHD_INVALID_SOCKET)
        close (listening);
    if (!self->options->quiet)
        fprintf (stderr, "riposte-http: draining: %llu requests are open\n",
          (unsigned long long) (self->open + self->streams));
}

/*  Reads the file of tokens. False after an error line; the tokens are as they were.  */
static bool s_load_tokens (rp_gateway_t *self)
{
    char reason[RP_TOKENS_REASON_MAX];
    rp_tokens_t *tokens = rp_tokens_load (self->options->tokens, reason);
    if (!tokens) {
        fprintf (stderr, "riposte-http: %s\n", reason);
        return false;
    }
    rp_tokens_destroy (&self->tokens);
    self->tokens = tokens;
    return true;
}

static void s_hang_up (rp_gateway_t *self, rp_http_peer_t *peer)
{
    rp_http_exchange_t *open = rp_http_peer_hang_up (self, peer);
    if (open)
        rp_http_exchange_cancel (open);
}

static void s_read_signals (rp_gateway_t *self)
{
    struct signalfd_siginfo info;
    while (read (self->signals, &info, sizeof info) == (ssize_t) sizeof info)
        if (info.ssi_signo != SIGHUP) {
            if (self->signal_count++ == 0)
                s_drain (self);
        }
        else if (self->options->tokens && s_load_tokens (self) && !self->options->quiet)
            fprintf (
              stderr, "riposte-http: %zu tokens are known\n", rp_tokens_count (self->tokens));
}

static bool s_goes_on (const rp_gateway_t *self)
{
    return self->signal_count == 0 || (self->signal_count == 1 && self->busy > 0);
}

int rp_gateway_run (rp_gateway_t *self, int signals)
{
    struct epoll_event events[S_EVENTS];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &self->signals};
    self->signals = signals;
    if (epoll_ctl (self->epoll, EPOLL_CTL_ADD, signals, &event) != 0)
        return rp_status_exit_code (RP_SYSTEM);
    while (s_goes_on (self)) {
        int64_t now = rp_clock_us ();
        int64_t due = rp_http_peers_close_late (self, now);
        int64_t idle = rp_held_expire (&self->held, self->options->conversation_idle, now);
        int64_t silent = rp_http_parts_break_silence (self, now);
        due = silent < due ? silent : due;
        int count = epoll_wait (self->epoll, events, S_EVENTS,
          rp_http_daemon_wait_ms (self->daemon, idle < due ? idle : due, now));
        // Peers before the daemon, which frees them.
        for (int index = 0; index < count; index++) {
            void *what = events[index].data.ptr;
            if (what == &self->signals)
                s_read_signals (self);
            else if (what == &self->news)
                rp_http_parts_take_news (self);
            else if (what != self->daemon && what != self->client)
                s_hang_up (self, what);
        }
        s_collect (self);
        (void) rp_client_hold (self->client);
        if (!rp_http_daemon_run (self->daemon)) {
            fputs ("riposte-http: libmicrohttpd cannot go on\n", stderr);
            return rp_status_exit_code (RP_SYSTEM);
        }
        if (rp_client_flush (self->client) != RP_OK)
            return rp_status_exit_code (RP_SYSTEM);
        rp_http_peers_end_gone (self);
    }
    return self->signal_count > 1 ? 130 : 0;
}

/*  ---- Making --------------------------------------------------------------------------------- */

static void s_say (void *arg, const char *format, va_list arguments)
{
    const rp_gateway_t *self = arg;
    if (self->options->verbose)
        vfprintf (stderr, format, arguments);
}

/*  libmicrohttpd would decode the path as a whole, and a service's name may have a slash.  */
static size_t s_leave_path (void *arg, struct MHD_Connection *connection, char *text)
{
    (void) arg;
    (void) connection;
    return strlen (text);
}

static struct MHD_Daemon *s_listen (rp_gateway_t *self, const rp_http_address_t *address)
{
    const rp_gateway_options_t *options = self->options;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address->any.sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon (flags, 0, NULL, NULL, rp_http_exchange_on_request, self,
      MHD_OPTION_EXTERNAL_LOGGER, s_say, self, MHD_OPTION_SOCK_ADDR, &address->any,
      MHD_OPTION_NOTIFY_COMPLETED, rp_http_exchange_on_completed, self,
      MHD_OPTION_NOTIFY_CONNECTION, rp_http_peer_on_connection, self, MHD_OPTION_UNESCAPE_CALLBACK,
      s_leave_path, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned) options->connections,
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned) options->per_address,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) options->header_bytes,
      MHD_OPTION_CONNECTION_TIMEOUT, self->idle_s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_END);
}

/*  Adds what the loop waits for: the daemon and the client.  */
static bool s_watch (rp_gateway_t *self)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event daemon = {.events = EPOLLIN, .data.ptr = self->daemon};
    struct epoll_event client = {.events = EPOLLIN, .data.ptr = self->client};
    int descriptor = rp_client_fd (self->client);
    return info && descriptor >= 0
           && epoll_ctl (self->epoll, EPOLL_CTL_ADD, info->epoll_fd, &daemon) == 0
           && epoll_ctl (self->epoll, EPOLL_CTL_ADD, descriptor, &client) == 0;
}

static int s_set_keys (rp_client_t *client, const rp_gateway_options_t *options)
{
    int rc = options->key_file ? rp_client_set_key_file (client, options->key_file) : RP_OK;
    if (rc == RP_OK && options->server_key)
        rc = rp_client_set_server_key (client, options->server_key);
    return rc;
}

/*  Makes the client, which begins to connect. False after an error line.  */
static bool s_make_client (rp_gateway_t *self)
{
    char why[512] = "";
    const rp_gateway_options_t *options = self->options;
    self->client = rp_client_new (options->server);
    if (!self->client) {
        fprintf (stderr, "riposte-http: --server \"%s\": %s\n", options->server,
          errno == EINVAL ? "wants endpoints such as tcp://127.0.0.1:5555, with commas between them"
                          : strerror (errno));
        return false;
    }
    // Each connection has one request open at most.
    int rc = rp_client_set_max_open (self->client, (uint32_t) options->connections);
    if (rc == RP_OK)
        rc = rp_client_set_spread (self->client, options->spread);
    if (rc == RP_OK)
        rc = s_set_keys (self->client, options);
    if (rc == RP_OK)
        rc = rp_client_connect (self->client, 1); // /readyz tells when it is
    if (rc == RP_OK || rc == RP_NO_BROKER || rc == RP_DENIED)
        return true;
    (void) rp_client_last_error (self->client, why, sizeof why);
    fprintf (stderr, "riposte-http: %s\n", *why ? why : rp_strerror (rc));
    return false;
}

/*  False after an error line.  */
static bool s_make (rp_gateway_t *self, const rp_http_address_t *address)
{
    const rp_gateway_options_t *options = self->options;
    if ((options->tokens && !s_load_tokens (self)) || !s_make_client (self))
        return false;
    self->epoll = epoll_create1 (EPOLL_CLOEXEC);
    if (self->epoll >= 0 && rp_http_parts_init (self) && (self->daemon = s_listen (self, address))
        && s_watch (self))
        return true;
    fprintf (stderr, "riposte-http: cannot listen at %s: %s; give another address: --listen\n",
      options->listen, strerror (errno));
    return false;
}

rp_gateway_t *rp_gateway_new (const rp_gateway_options_t *options)
{
    rp_http_address_t address;
    const char *reason;
    if (!rp_http_address_parse (options->listen, &address, &reason)) {
        fprintf (stderr, "riposte-http: --listen \"%s\" %s\n", options->listen, reason);
        return NULL;
    }
    rp_gateway_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->options = options;
    self->idle_s = (unsigned) (options->idle / 1000000);
    self->epoll = self->news = self->signals = -1;
    self->loopback = rp_http_address_is_loopback (&address);
    rp_list_init (&self->awaited);
    rp_list_init (&self->suspended);
    rp_list_init (&self->gone);
    rp_held_init (&self->held, options->conversations);
    if (s_make (self, &address))
        return self;
    rp_gateway_destroy (&self);
    return NULL;
}

unsigned rp_gateway_port (const rp_gateway_t *self)
{
    const union MHD_DaemonInfo *info =
      MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void rp_gateway_destroy (rp_gateway_t **self_p)
{
    rp_gateway_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    // libmicrohttpd cannot stop while connections are suspended.
    self->ending = true;
    rp_list_node_t *node;
    while ((node = rp_list_first (&self->suspended)))
        rp_http_exchange_resume ((rp_http_exchange_t *) node);
    if (self->daemon) {
        (void) MHD_run (self->daemon);
        MHD_stop_daemon (self->daemon); // which ends every exchange, and so cancels what is open
    }
    rp_reply_t *reply;
    while (self->open > 0 && rp_client_collect (self->client, S_LAST_MS, &reply) == RP_OK)
        rp_http_exchange_take (rp_reply_tag (reply), reply, 0);
    rp_held_clear (&self->held);
    rp_client_destroy (&self->client);
    rp_tokens_destroy (&self->tokens);
    if (self->news >= 0)
        close (self->news);
    if (self->epoll >= 0)
        close (self->epoll);
    free (self);
}
