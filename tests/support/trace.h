/*  Tests of the broker's core that read like traces.

    SPDX-License-Identifier: MPL-2.0

        hello_worker ("w1", "upper", 2);
        hello_client ("c1");
        request ("c1", "r1", "upper");
        expect ("w1<r1");
        reply ("w1", "r1", RP_OK);
        expect ("c1<r1:OK");

    The test names peers, and names requests and conversations by a letter and a number, which is
    their id or key. The core's actions are printed in order, separated by spaces:

        w1<r1          request r1 goes to w1         w1<r1#2     … for the second time
        c1<r1:OK       its final status              c1<r1:part   part of its reply
        w1<r1:more     a PART of its body            w1<r1:end    the last one
        w1<r1:grant=9  a GRANT of its client         c1<r1:grant=9   of its worker
        w1<cancel:r1
        w1<end:k1      conversation k1 is over       w1<beat     heartbeat
        w1<drain       w1<bye:OK   w1<welcome        x<bye:DENIED   to x, which has no session
        cut:w1         the connection is closed      admin:riposte.ping   stop

    Sessions that end, payloads that are dropped and log lines are not printed. The auditor
    (audit.h) checks everything. There is one trace at a time: use trace_setup and trace_teardown.

    Peers of this harness agree on heartbeats a minute apart, so that time can pass without them;
    there is no rejoin grace. Tests of these set other values.
*/

#ifndef TRACE_H
#define TRACE_H

#include "broker/core/trace.h"
#include "tests/support/audit.h"

/*  cmocka fixtures.  */
int trace_setup (void **state);
int trace_teardown (void **state);

/*  The limits of the core, which may be changed before the first event.  */
rp_limits_t *limits (void);

/*  ---- Access --------------------------------------------------------------------------------- */

/*  Sets the text of a rules file, or NULL for none: from the start, if nothing has happened yet,
    otherwise from now on.  */
void rules (const char *text);
/*  Sets the terms of a service, as in the setting; NULL: no service has any.  */
void terms (const char *text);
/*  HELLOs from now on come from connections of this principal; NULL: of no principal.  */
void as (const char *principal);
/*  Revokes the key of this peer.  */
void revoke (const char *peer);
/*  Returns the figures of a principal; all zero if there is none.  */
rp_principal_info_t principal (const char *name);

/*  ---- Events --------------------------------------------------------------------------------- */

/*  Sends HELLO and expects WELCOME.  */
void hello_client (const char *peer);
void hello_worker (const char *peer, const char *service, unsigned window);
/*  The same with a heartbeat interval of its own.  */
void hello_client_beating (const char *peer, unsigned interval_ms);
void hello_worker_beating (
  const char *peer, const char *service, unsigned window, unsigned interval_ms);
/*  The same of a worker that knows bodies in parts.  */
void hello_streaming_worker (const char *peer, const char *service, unsigned window);
/*  Sends HELLO, and expects no particular answer.  */
void hello (const char *peer, const rp_head_t *head);

/*  Sends HELLO as a session of a foreign protocol, with its RP_TRAIT_…, and expects WELCOME.  */
void hello_foreign (
  const char *peer, const rp_head_t *head, uint8_t traits, unsigned attempt_limit_ms);
void hello_foreign_client (const char *peer, uint8_t traits, unsigned interval_ms);
typedef struct {
    uint8_t traits;
    unsigned window;      /* 0: 1 */
    unsigned interval_ms; /* 0: a minute */
    unsigned attempt_limit_ms;
} foreign_t;
void hello_foreign_worker (const char *peer, const char *service, foreign_t foreign);

/*  The details of a request; zero means the default: 60 s, 1 attempt.  */
typedef struct {
    unsigned time_ms;
    unsigned attempts;
    unsigned wait_ms;
    size_t size;
    const char *conversation; /* with `open` the request may begin it */
    bool open;
    bool overdue; /* its time is 0 */
    /*  its priority and 1, as in the head; 0: none is stated  */
    unsigned priority;
    bool oversized;
    size_t window; /* STREAM, and this stream-window; 0: without */
    unsigned idle_ms;
    bool more;
    const char *hedge; /* the value of its header hedge; NULL: it asks for none */
} with_t;

void request (const char *client, const char *name, const char *service);
void request_with (const char *client, const char *name, const char *service, with_t with);
/*  Sends a request in a conversation; open_in may begin it.  */
void open_in (const char *client, const char *name, const char *service, const char *conversation);
void next_in (const char *client, const char *name, const char *service, const char *conversation);

/*  The worker replies to the request's latest delivery, whether it holds it or not.  */
void reply (const char *worker, const char *name, rp_status_t status);
void reply_with (const char *worker, const char *name, const rp_head_t *head, bool oversized);
void reply_sized (
  const char *worker, const char *name, const rp_head_t *head, size_t size, bool oversized);
/*  The worker gives the request back unbegun, and takes none until its next CREDIT.  */
void give_back (const char *worker, const char *name);
/*  Sends a part of a reply with so many bytes (its head INLINE); last_part sends the last one,
    which is the reply.  */
void part (const char *worker, const char *name, size_t size);
void last_part (const char *worker, const char *name, size_t size);
/*  The client sends a PART of a request with so many bytes; end_body the last one.  */
void body_part (const char *client, const char *name, size_t size);
void end_body (const char *client, const char *name, size_t size);
/*  The client grants so many bytes of the reply in all; the worker, of the request.  */
void grant (const char *client, const char *name, uint64_t bytes);
void grant_body (const char *worker, const char *name, uint64_t bytes);
/*  The worker replies with the token of another worker.  */
void reply_as (const char *worker, const char *other, const char *name, rp_status_t status);

void cancel (const char *client, const char *name);
void end (const char *client, const char *conversation);
void credit (const char *worker, unsigned window);
/*  The same, and says how long a request takes there, us.  */
void credit_time (const char *worker, unsigned window, uint32_t time);
void heartbeat (const char *peer);
/*  Sends a HEARTBEAT that tells when the next one comes.  */
void announce (const char *client, unsigned interval_ms);
void drain (const char *worker);
void bye (const char *peer);
/*  Sends any message; it has no sender if the peer never sent HELLO or its session is over.  */
void message (const char *peer, const rp_head_t *head, size_t size);
void bad (const char *peer, rp_wire_error_t error);
void too_many_frames (const char *peer);

/*  A send failed: this delivery's, or (NULL) another message's.  */
void unsent (const char *peer, const char *name, bool full);
/*  A reply to a client that does not read could not be sent.  */
void unsent_reply (const char *client, rp_status_t status);
/*  The shell dropped a request.  */
void dropped (const char *client, const char *why);
void suspect (const char *peer);
void drain_broker (void);
void stop_broker (void);

/*  Lets time pass, with ticks when the core wants them; or with one tick at its end.  */
void pass (unsigned ms);
void stall (unsigned ms);
/*  Lets time pass without a tick, so that the next event meets a core with the old time.  */
void slip (unsigned ms);
void tick (void);

/*  ---- What came of it ------------------------------------------------------------------------ */

/*  Checks the whole trace since the last expect; "" means that nothing came.  */
void expect (const char *text);
#define NOTHING ""
/*  Discards the trace so far, where the test is about what follows.  */
void forget (void);

/*  Returns the latest REPLY to the client for this request; pointers are valid until the next
    one.  */
const rp_head_t *answer_to (const char *name);
/*  Returns the size of its body.  */
size_t answer_size (const char *name);
/*  Returns whether the text of that answer contains this.  */
bool answer_says (const char *name, const char *words);
/*  Returns the latest delivery of a request, as the worker got it.  */
const rp_head_t *delivery_of (const char *name);
/*  Returns the latest WELCOME or BYE.  */
const rp_head_t *last_greeting (void);

/*  Returns how many requests were handed out for the export of spans, and the latest; NULL if none was, or
    there was no memory.  */
unsigned export_count (void);
const rp_trace_ended_t *last_export (void);

bool is_there (const char *peer);
const rp_stats_t *stats (void);
rp_dispatch_counts_t counts (void);
/*  Returns how many log lines had this topic; and the latest line of all.  */
unsigned logged (rp_topic_t topic);
const char *last_logged (void);
/*  Returns the principal in the latest JOIN of the history.  */
const char *joined_as (void);
audit_t *audit (void);

#endif
