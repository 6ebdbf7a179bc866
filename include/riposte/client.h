/*  Riposte: the client side.

    SPDX-License-Identifier: MPL-2.0

    A client holds one connection to one broker of a list, sends requests to named services over
    it, many at once if it likes, and gets exactly one reply object per request: with the worker's
    answer, or with the status that says what became of it. It reconnects by itself.

        rp_client_t *client = rp_client_new ("tcp://127.0.0.1:5555");
        rp_reply_t *reply = NULL;
        int rc = rp_client_call (client, "upper", "hello", 5, &reply);
        if (rc == RP_OK && rp_reply_status (reply) == RP_OK)
            fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);
        rp_reply_destroy (&reply);
        rp_client_destroy (&client);

    Threads: every function on a client, a call or a conversation may be used from several threads
    at once, except new, destroy and the setters, which want to be alone with their object. Replies
    belong to whoever got them.

    fork(): a client belongs to the process that made it. In a child, every function on it returns
    RP_CLOSED at once (rp_client_fd -1, rp_client_open 0), and rp_client_destroy frees it without a
    word to the broker and without running callbacks; the parent notices nothing. A child that wants
    to call makes a client of its own. The connection's descriptors stay open in the child until it
    ends or calls exec.

    A consuming function takes a pointer to a pointer (rp_call_t **call_p). On success *call_p is
    NULL afterwards; on failure it is untouched and still the caller's.
*/

#ifndef RIPOSTE_CLIENT_H
#define RIPOSTE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_client rp_client_t;
typedef struct rp_call rp_call_t;
typedef struct rp_reply rp_reply_t;
typedef struct rp_conversation rp_conversation_t;

/*  ---- The client ------------------------------------------------------------------------- */

/*  Creates a client for a comma-separated list of endpoints ("tcp://10.0.0.1:5555,tcp://…"; also
    ipc://). The first is tried first; when one fails, the next. A host name is looked up for each
    attempt, and its addresses, of IPv4 and IPv6, are tried like endpoints of the list; a name server
    that does not answer holds nobody up. Connects in the background, from the first submit or
    rp_client_connect on.
    Returns NULL with errno EINVAL (an endpoint that cannot be right) or ENOMEM, EMFILE.  */
RP_EXPORT rp_client_t *rp_client_new (const char *endpoints);

/*  Says BYE, ends the background thread and frees the client. Open requests are withdrawn: their
    callbacks run with RP_CANCELLED before this returns. Nulls *self_p; NULL is allowed.
    Conversations and replies must be destroyed before.  */
RP_EXPORT void rp_client_destroy (rp_client_t **self_p);

/*  Setters. To be called before the first submit or connect; RP_USAGE afterwards, or when the
    value is out of its range.

    timeout_ms      deadline of a request that does not state one: 1 to 86,400,000; default 5,000
    attempts        how many workers may be given a request that does not say: 1 to 10; default 1
    heartbeat_ms    interval proposed to the broker: 50 to 60,000; default 2,000
    max_open        requests open at once, more draw RP_FULL: 1 to 1,000,000; default 10,000
    retry_budget    retries allowed per 100 requests (see rp_call_set_attempts): 0 to 1,000; default 20
    name            what the broker's log shows for this client: up to 63 bytes; default HOST-PID
    interruptible   a signal that a handler caught in a waiting thread ends its wait with RP_INTERRUPTED, with
                    SA_RESTART or without; default false: waits go on, so that profilers and interval timers do
                    no harm. A signal just before a wait begins does not end it  */
RP_EXPORT int rp_client_set_timeout_ms (rp_client_t *self, uint32_t timeout_ms);
RP_EXPORT int rp_client_set_attempts (rp_client_t *self, uint8_t attempts);
RP_EXPORT int rp_client_set_heartbeat_ms (rp_client_t *self, uint32_t heartbeat_ms);
RP_EXPORT int rp_client_set_max_open (rp_client_t *self, uint32_t max_open);
RP_EXPORT int rp_client_set_retry_budget (rp_client_t *self, uint32_t percent);
RP_EXPORT int rp_client_set_name (rp_client_t *self, const char *name);
RP_EXPORT int rp_client_set_interruptible (rp_client_t *self, bool interruptible);

/*  Waits until a broker has welcomed this client. Not needed before a call: a request waits for the
    connection as long as its deadline allows. Every broker of a list is tried within the client's
    timeout: one that says nothing has half a second at first, or its share of the timeout if that
    is less. RP_OK; RP_NO_BROKER when timeout_ms passed; RP_DENIED, RP_INVALID when the broker
    refused this client for good (see rp_client_last_error); RP_INTERRUPTED (see
    rp_client_set_interruptible).  */
RP_EXPORT int rp_client_connect (rp_client_t *self, uint32_t timeout_ms);

/*  Returns why the last connection attempt failed or the last connection ended, for messages to
    people, of a list for each endpoint that failed since the last session; "" if none did. Copies
    at most size bytes, NUL-terminated, and returns buffer.  */
RP_EXPORT const char *rp_client_last_error (rp_client_t *self, char *buffer, size_t size);

/*  Returns the endpoint of the broker that this client is connected to, as its list names it; "" if
    there is none now. Copies at most size bytes, NUL-terminated, and returns buffer.  */
RP_EXPORT const char *rp_client_broker (rp_client_t *self, char *buffer, size_t size);

/*  Sends one request and waits for its end, with the client's defaults. body may be NULL when size
    is 0; it is copied.
    RP_OK: *reply_p is the reply, whatever its status, and the caller's to destroy.
    Otherwise *reply_p is NULL: RP_USAGE (service name), RP_FULL, RP_NO_MEMORY, RP_CLOSED,
    RP_INTERRUPTED (a signal arrived, of one who is interruptible; the request was cancelled).  */
RP_EXPORT int rp_client_call (
  rp_client_t *self, const char *service, const void *body, size_t size, rp_reply_t **reply_p);

/*  The same with a call that says more. RP_USAGE: it is of another client's conversation. After
    RP_INTERRUPTED it is the caller's again, and may be performed once more.  */
RP_EXPORT int rp_client_perform (rp_client_t *self, rp_call_t **call_p, rp_reply_t **reply_p);

/*  Submits a call and returns at once. Its end comes to rp_client_collect, or to its callback if it
    has one. *id (may be NULL) names it for rp_client_cancel; it is never 0.
    RP_OK and *call_p is NULL; otherwise *call_p is untouched: RP_USAGE (it is NULL, or of another
    client's conversation), RP_FULL, RP_NO_MEMORY, RP_CLOSED.  */
RP_EXPORT int rp_client_submit (rp_client_t *self, rp_call_t **call_p, uint64_t *id);

/*  Takes the next request that ended, in the order in which they ended; waits up to timeout_ms.
    RP_OK: *reply_p is the caller's. RP_TIMED_OUT, RP_INTERRUPTED: *reply_p is NULL.
    RP_CLOSED: nothing is open and nothing is left to collect.  */
RP_EXPORT int rp_client_collect (rp_client_t *self, uint32_t timeout_ms, rp_reply_t **reply_p);

/*  Asks for a request to be withdrawn. It still ends with exactly one status: RP_CANCELLED, or
    what was faster. RP_OK; RP_USAGE if nothing open has this id.  */
RP_EXPORT int rp_client_cancel (rp_client_t *self, uint64_t id);

/*  Returns a descriptor that is readable while rp_client_collect (self, 0, …) has something; for
    poll, epoll and event loops. It belongs to the client; only poll it. The first call moves all
    receiving to the background thread.  */
RP_EXPORT int rp_client_fd (rp_client_t *self);

/*  Number of requests submitted and not yet ended. One with a callback ends when its callback has
    returned, so 0 says that no callback runs or has still to run; inside its callback, a request is
    one of them.  */
RP_EXPORT size_t rp_client_open (rp_client_t *self);

/*  ---- A call ------------------------------------------------------------------------------ */

/*  Creates a request for a service, with a copy of the body.
    Returns NULL with errno EINVAL (service: 1 to 127 bytes, no control characters) or ENOMEM.  */
RP_EXPORT rp_call_t *rp_call_new (const char *service, const void *body, size_t size);

/*  Creates the next request of a conversation. The same errors.  */
RP_EXPORT rp_call_t *rp_call_new_in (
  rp_conversation_t *conversation, const void *body, size_t size);

/*  Frees a call that was not submitted. Nulls *self_p; NULL is allowed.  */
RP_EXPORT void rp_call_destroy (rp_call_t **self_p);

/*  Deadline, from submit, within 1 to 86,400,000 ms. A request has ended by then plus
    a grace of one second. RP_USAGE outside the range.  */
RP_EXPORT int rp_call_set_timeout_ms (rp_call_t *self, uint32_t timeout_ms);

/*  1 to 10. With 1 (at most once) it is given to one worker at most. With more (at least once) the
    broker redelivers it when a worker is lost, and the client submits it again, under a new id and
    with one attempt fewer, when the broker was lost, busy or draining: with backoff, within the
    deadline, and within the client's retry budget. Whatever the attempts: of a list, the next
    broker is asked at once when one is draining, or busy or without a worker and has nothing else
    of this client; these prove that nothing ran.  */
RP_EXPORT int rp_call_set_attempts (rp_call_t *self, uint8_t attempts);

/*  How long the broker may hold the request while no worker offers the service; 0 (the default)
    ends it with RP_NO_WORKER at once.  */
RP_EXPORT int rp_call_set_wait_worker_ms (rp_call_t *self, uint32_t wait_ms);

/*  Adds a header. key: 1 to 63 bytes of a-z 0-9 - _ . ; value: up to 4,096 bytes without control
    characters. RP_USAGE, RP_NO_MEMORY, or RP_TOO_LARGE (8 KiB or 64 headers in all).  */
RP_EXPORT int rp_call_add_header (rp_call_t *self, const char *key, const char *value);

/*  Asks the worker to add its name to the reply (see rp_reply_worker). Off by default.  */
RP_EXPORT void rp_call_set_trace (rp_call_t *self, bool trace);

/*  The function gets the reply (its own to destroy) on the client's background thread. It must not
    block, and may submit; what waits (call, perform, collect, connect) is refused there with
    RP_USAGE, and the client must not be destroyed there. Calls with a callback never reach
    rp_client_collect.  */
typedef void (rp_callback_fn) (rp_reply_t *reply, void *arg);
RP_EXPORT int rp_call_set_callback (rp_call_t *self, rp_callback_fn *callback, void *arg);

/*  A pointer of the caller's own, given back by rp_reply_tag.  */
RP_EXPORT void rp_call_set_tag (rp_call_t *self, void *tag);

/*  ---- A reply ------------------------------------------------------------------------------ */

RP_EXPORT void rp_reply_destroy (rp_reply_t **self_p);
RP_EXPORT rp_status_t rp_reply_status (const rp_reply_t *self);
/*  What went wrong and what to do next, one line; "" with RP_OK.  */
RP_EXPORT const char *rp_reply_message (const rp_reply_t *self);
/*  The application's own number with RP_APP_ERROR (a command's exit status), otherwise 0.  */
RP_EXPORT uint32_t rp_reply_code (const rp_reply_t *self);
/*  The body; never NULL; valid until the reply is destroyed.  */
RP_EXPORT const void *rp_reply_body (const rp_reply_t *self);
RP_EXPORT size_t rp_reply_size (const rp_reply_t *self);
/*  The value of a header, NULL if it is absent; valid until the reply is destroyed.  */
RP_EXPORT const char *rp_reply_header (const rp_reply_t *self, const char *key);
/*  Calls back for each header, in order.  */
typedef void (rp_header_fn) (const char *key, const char *value, void *arg);
RP_EXPORT void rp_reply_each_header (const rp_reply_t *self, rp_header_fn *function, void *arg);
/*  The id that rp_client_submit gave.  */
RP_EXPORT uint64_t rp_reply_id (const rp_reply_t *self);
RP_EXPORT void *rp_reply_tag (const rp_reply_t *self);
/*  How many times a worker was given the request under its last id; 0 means never, under any. When
    a broker had it and did not say (RP_UNKNOWN, RP_CANCELLED by destroy), at least 1.  */
RP_EXPORT uint32_t rp_reply_attempts (const rp_reply_t *self);
/*  Time in the broker's queue, from dispatch to reply as the broker saw it, and from submit to
    end as the client saw it; microseconds. The first two are 0 when no broker said them.  */
RP_EXPORT uint32_t rp_reply_queue_us (const rp_reply_t *self);
RP_EXPORT uint32_t rp_reply_work_us (const rp_reply_t *self);
RP_EXPORT uint64_t rp_reply_total_us (const rp_reply_t *self);
/*  Name of the worker that replied, if the call asked for it (rp_call_set_trace); otherwise "".  */
RP_EXPORT const char *rp_reply_worker (const rp_reply_t *self);

/*  ---- A conversation ------------------------------------------------------------------------ */

/*  A conversation is a sequence of requests that go, one after the other and in order, to the
    worker that answered the first. It begins with its first request. When its worker is lost, the
    next request ends with RP_CONVERSATION_LOST, and the one after that begins anew.
    Returns NULL with errno EINVAL (service) or ENOMEM.  */
RP_EXPORT rp_conversation_t *rp_conversation_new (rp_client_t *client, const char *service);

/*  Ends the conversation: the broker forgets it and the worker is told. Nulls *self_p.  */
RP_EXPORT void rp_conversation_destroy (rp_conversation_t **self_p);

/*  As rp_client_call, within the conversation.  */
RP_EXPORT int rp_conversation_call (
  rp_conversation_t *self, const void *body, size_t size, rp_reply_t **reply_p);

#ifdef __cplusplus
}
#endif

#endif
