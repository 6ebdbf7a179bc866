/*  Tests of the broker's policy that read like traces.

    SPDX-License-Identifier: MPL-2.0

        hello_worker ("w1", "upper", 2);
        hello_client ("c1");
        request ("c1", "r1", "upper");
        expect ("w1<r1");
        reply ("w1", "r1", RP_OK);
        expect ("c1<r1:OK");

    Peers are named by the test; requests and conversations by a letter and a number, which is their
    id or key. What the core wants done is printed, in order and separated by spaces:

        w1<r1          request r1 goes to w1         w1<r1#2     … for the second time
        c1<r1:OK       its final status              c1<r1:part   part of its reply
        w1<cancel:r1
        w1<end:k1      conversation k1 is over       w1<beat     heartbeat
        w1<drain       w1<bye:OK   w1<welcome        x<bye:DENIED   to x, who has no session
        cut:w1         the connection is closed      admin:riposte.ping   stop

    Sessions that end, payloads that are dropped and log lines are not printed. The auditor
    (audit.h) looks over everything. One trace at a time: use trace_setup and trace_teardown.

    Peers of this harness agree on heartbeats a minute apart, so that time can pass without them;
    there is no grace for rejoining. Tests about those say otherwise.
*/

#ifndef TRACE_H
#define TRACE_H

#include "tests/support/audit.h"

/*  cmocka fixtures.  */
int trace_setup (void **state);
int trace_teardown (void **state);

/*  The limits of the core to be made; to be changed before the first event.  */
rp_limits_t *limits (void);

/*  ---- Events --------------------------------------------------------------------------------- */

/*  Greets and expects to be welcome.  */
void hello_client (const char *peer);
void hello_worker (const char *peer, const char *service, unsigned window);
/*  The same with a heartbeat interval of its own.  */
void hello_client_beating (const char *peer, unsigned interval_ms);
void hello_worker_beating (
  const char *peer, const char *service, unsigned window, unsigned interval_ms);
/*  Greets, whatever comes of it.  */
void hello (const char *peer, const rp_head_t *head);

/*  Greets as a session of another protocol, with its RP_TRAIT_…, and expects to be welcome.  */
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

/*  What a test wants to say about a request; zero means the default: 60 s, 1 attempt.  */
typedef struct {
    unsigned time_ms;
    unsigned attempts;
    unsigned wait_ms;
    size_t size;
    const char *conversation; /* with `open` it may begin it */
    bool open;
    bool overdue; /* its time is 0 */
    bool oversized;
} with_t;

void request (const char *client, const char *name, const char *service);
void request_with (const char *client, const char *name, const char *service, with_t with);
/*  In a conversation; the one that may begin it.  */
void open_in (const char *client, const char *name, const char *service, const char *conversation);
void next_in (const char *client, const char *name, const char *service, const char *conversation);

/*  The worker replies to its latest delivery of this request, held or not.  */
void reply (const char *worker, const char *name, rp_status_t status);
void reply_with (const char *worker, const char *name, const rp_head_t *head, bool oversized);
void reply_sized (
  const char *worker, const char *name, const rp_head_t *head, size_t size, bool oversized);
/*  The worker says that it never began it, and takes nothing more until it says CREDIT.  */
void give_back (const char *worker, const char *name);
/*  Part of a reply, of so many bytes (its head INLINE); the last one, which is the reply (and
    not).  */
void part (const char *worker, const char *name, size_t size);
void last_part (const char *worker, const char *name, size_t size);
/*  The worker replies with another one's token.  */
void reply_as (const char *worker, const char *other, const char *name, rp_status_t status);

void cancel (const char *client, const char *name);
void end (const char *client, const char *conversation);
void credit (const char *worker, unsigned window);
/*  The same, and a request takes so long there, us.  */
void credit_time (const char *worker, unsigned window, uint32_t time);
void heartbeat (const char *peer);
/*  HEARTBEAT that says when the next one comes.  */
void announce (const char *client, unsigned interval_ms);
void drain (const char *worker);
void bye (const char *peer);
/*  Any message; from a peer that never greeted, or whose session is over, it comes from nobody.  */
void message (const char *peer, const rp_head_t *head, size_t size);
void bad (const char *peer, rp_wire_error_t error);
void too_many_frames (const char *peer);

/*  A send failed: of this delivery, or (NULL) of something else.  */
void unsent (const char *peer, const char *name, bool full);
/*  A reply to a client that does not read could not be sent.  */
void unsent_reply (const char *client, rp_status_t status);
/*  The shell dropped a request.  */
void dropped (const char *client, const char *why);
void suspect (const char *peer);
void drain_broker (void);
void stop_broker (void);

/*  Time passes, with ticks when the core wants them; or with one tick at its end.  */
void pass (unsigned ms);
void stall (unsigned ms);
/*  Time passes, and the next tick is not yet due: events meet a core that has not noticed.  */
void slip (unsigned ms);
void tick (void);

/*  ---- What came of it ------------------------------------------------------------------------ */

/*  Everything since the last expect; "" is nothing.  */
void expect (const char *text);
#define NOTHING ""
/*  Lets go of it, where something else is what matters.  */
void forget (void);

/*  The REPLY that the client got last for this request; pointers are valid until the next one.  */
const rp_head_t *answer_to (const char *name);
/*  Bytes of its body.  */
size_t answer_size (const char *name);
/*  True if the text of that answer contains this.  */
bool answer_says (const char *name, const char *words);
/*  The latest delivery of a request, as the worker got it.  */
const rp_head_t *delivery_of (const char *name);
/*  The latest WELCOME or BYE.  */
const rp_head_t *last_greeting (void);

bool is_there (const char *peer);
const rp_stats_t *stats (void);
rp_dispatch_counts_t counts (void);
/*  Times the log got a line of this topic.  */
unsigned logged (rp_topic_t topic);
audit_t *audit (void);

#endif
