/*  The server's own state, which the files of the server share and nothing else sees.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none.
*/

#ifndef RP_SERVER_STATE_H
#define RP_SERVER_STATE_H

#include "broker/admin/admin.h"
#include "broker/admin/asking.h"
#include "broker/admin/http.h"
#include "broker/admin/otlp.h"
#include "broker/admin/publisher.h"
#include "broker/auth/admission.h"
#include "broker/core/dispatch.h"
#include "broker/log.h"
#include "broker/protocol/foreign.h"
#include "broker/receive.h"
#include "broker/server.h"
#include "broker/server_jobs.h"
#include "broker/server_replays.h"
#include "broker/server_surveys.h"
#include "broker/store/history.h"
#include "broker/transport/connections.h"
#include "broker/transport/grants.h"
#include "broker/transport/listeners.h"
#include "broker/transport/outbox.h"
#include "broker/watch.h"
#include "common/io/message.h"
#include "common/program/poller.h"

struct rp_server {
    void *context;
    rp_admission_t admission;
    rp_listeners_t listeners;
    size_t polled; /* how many of the listeners the poller knows */
    rp_dispatch_t *core;
    rp_actions_t actions;
    rp_connections_t connections;
    rp_watch_t watch;
    rp_foreign_t foreign;
    rp_message_pool_t pool;
    rp_receive_t receive;
    rp_outbox_t outbox;
    rp_grants_t grants;
    rp_admin_t admin;
    rp_server_jobs_t jobs;
    rp_server_replays_t replays;
    rp_server_surveys_t surveys;
    rp_publisher_t publisher;
    rp_compact_cache_t compact;
    rp_asking_t asking;
    rp_http_options_t http_options;
    rp_http_t *http;              /* NULL: off */
    rp_otlp_t *otlp;              /* NULL: no spans are exported */
    rp_poller_deadline_t publish; /* when to go on with a snapshot */
    rp_poller_deadline_t answer;  /* when the next question may be answered */
    rp_log_t log;
    rp_history_t history;
    char *history_path;   /* NULL: SIGHUP does not open it again */
    rp_reload_fn *reload; /* NULL: nothing can be read again */
    void *reload_arg;
    rp_snapshot_reloads_t reloads;
    uint64_t busy;         /* µs that the loop has worked so far */
    rp_spread_t turns;     /* µs that each of its turns took */
    rp_session_id_t asker; /* who asked for a reload with the event in hand; 0: nobody */
    uint64_t asked;        /* the id of that request */
    rp_poller_t poller;
    rp_poller_deadline_t tick;   /* when the core is due */
    rp_poller_deadline_t look;   /* when connections are due for a look */
    rp_poller_deadline_t revive; /* when to count REP workers again */
    rp_poller_deadline_t grant; /* when to look again whether foreign clients may be granted more */
    rp_poller_deadline_t relieve; /* when to look again for clients that do not read */
    int commands;                 /* an eventfd; -1: none */
    int signals;                  /* a signalfd, not owned; -1: none */
    rp_limits_t limits;
    unsigned signal_count;
    bool relieved; /* waits for the deadline relieve */
    bool ended;
    bool failed;
};

/*  Carries out the actions that the core has appended.  */
void rp_server_carry_out (rp_server_t *self, rp_sender_t *sender, int64_t now);

/*  Gives the core an event from a sender, and carries out the actions.  */
void rp_server_handle (
  rp_server_t *self, const rp_event_t *event, rp_sender_t *sender, int64_t now);

/*  Gives the core an event without a sender, and carries out the actions.  */
void rp_server_tell (rp_server_t *self, const rp_event_t *event, int64_t now);

/*  Ends the broker after an error that text says.  */
void rp_server_fail (rp_server_t *self, const char *text, int64_t now);

/*  Tells the sources of snapshots who is let in, as of now.  */
void rp_server_count_security (rp_server_t *self);

/*  On SIGHUP: opens the history again, reads settings, keys and rules again, and says in the log what
    became of it.  */
void rp_server_reload (rp_server_t *self, int64_t now);

/*  Reloads for the request of self->asker, and answers it.  */
void rp_server_reload_for_asker (rp_server_t *self, int64_t now);

#endif
