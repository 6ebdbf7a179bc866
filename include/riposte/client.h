/*  Riposte: the client side.

    SPDX-License-Identifier: MPL-2.0

    A client sends requests to named services through one broker of a list, many at once if it
    likes. It returns exactly one reply object per request, which has the worker's answer or the
    status that says what became of the request. It reconnects by itself.

        rp_client_t *client = rp_client_new ("tcp://127.0.0.1:5555");
        rp_reply_t *reply = NULL;
        int rc = rp_client_call (client, "upper", "hello", 5, &reply);
        if (rc == RP_OK && rp_reply_status (reply) == RP_OK)
            fwrite (rp_reply_body (reply), 1, rp_reply_size (reply), stdout);
        rp_reply_destroy (&reply);
        rp_client_destroy (&client);

    Source: docs/CONTRACT.md (what each status says), docs/PROTOCOL.md, sections 5 and 6.

    Thread-safety: several threads may use one client, call or conversation at once, except for new,
    destroy and the setters: during these, no other thread may use the object. A reply belongs to
    the thread that received it.

    fork(): a client belongs to the process that made it. In a child, every function on it returns
    RP_CLOSED at once (rp_client_fd -1, rp_client_open 0), and rp_client_destroy frees it without
    sending anything and without running callbacks; the parent is not disturbed. A child that wants
    to call makes a client of its own. The connection's descriptors stay open in the child until it
    ends or calls exec.

    A consuming function takes a pointer to a pointer (rp_call_t **call_p). On success *call_p is
    NULL afterwards; on failure *call_p is untouched, and the object is still the caller's.
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
typedef struct rp_stream rp_stream_t;

/*  ---- The client ------------------------------------------------------------------------- */

/*  Creates a client for a comma-separated list of endpoints ("tcp://10.0.0.1:5555,tcp://…"; also
    ipc://). They are tried in order; when one fails, the next. A host name is looked up for each
    attempt, and its IPv4 and IPv6 addresses are tried like endpoints of the list; the look-up
    blocks no thread of the application. "srv:_riposte._tcp.example.org" names SRV records (RFC 2782): hosts and
    ports of brokers, which are tried by priority and weight. The client connects in the background, from the first
    submit or rp_client_connect on.

    Returns NULL with errno EINVAL (an endpoint is not valid), ENOMEM or EMFILE.  */
RP_EXPORT rp_client_t *rp_client_new (const char *endpoints);

/*  Sends BYE, ends the background thread and frees the client. Open requests are cancelled: their
    callbacks run with RP_CANCELLED before this returns. Nulls *self_p; NULL is allowed.
    Conversations and replies must be destroyed before.  */
RP_EXPORT void rp_client_destroy (rp_client_t **self_p);

/*  Setters, to be called before the first submit or connect. RP_OK; RP_USAGE afterwards, or when
    the value is out of range.

    timeout_ms      deadline of a request without one of its own: 1 to 86,400,000; default 5,000
    attempts        deliveries of a request without a number of its own, unless it is durable: 1 to
                    10; default 1
    heartbeat_ms    interval proposed to the broker: 50 to 60,000; default 2,000
    max_open        requests open at once; one more returns RP_FULL: 1 to 1,000,000; default 10,000
    retry_budget    retries per 100 requests (see rp_call_set_attempts): 0 to 1,000; default 20
    name            shown in the broker's log: up to 63 bytes; default HOST-PID
    interruptible   true: a signal handled in a waiting thread ends the wait with
                    RP_INTERRUPTED, with or without SA_RESTART; a signal just before the wait
                    does not. Default false: waits go on, so that profilers and interval timers
                    do no harm
    spread          true: the endpoints of the list are tried in an order that this client draws at
                    random, and so are the addresses of a name, so that many clients share the brokers;
                    SRV records say themselves how they are shared.
                    Default false: in the order of the list, which has the first choice first  */
RP_EXPORT int rp_client_set_timeout_ms (rp_client_t *self, uint32_t timeout_ms);
RP_EXPORT int rp_client_set_attempts (rp_client_t *self, uint8_t attempts);
RP_EXPORT int rp_client_set_heartbeat_ms (rp_client_t *self, uint32_t heartbeat_ms);
RP_EXPORT int rp_client_set_max_open (rp_client_t *self, uint32_t max_open);
RP_EXPORT int rp_client_set_retry_budget (rp_client_t *self, uint32_t percent);
RP_EXPORT int rp_client_set_name (rp_client_t *self, const char *name);
RP_EXPORT int rp_client_set_interruptible (rp_client_t *self, bool interruptible);
RP_EXPORT int rp_client_set_spread (rp_client_t *self, bool spread);

/*  Keys, for a broker that lets in only whose key it knows. They are used for each connection over
    tcp://, which is then encrypted, and stands only if the broker proves that it has the key that
    is given here. A connection over ipc:// uses no keys: the rights of its path protect it. Without
    any of these calls, no connection uses keys, and a broker with a key refuses this client.

    To be called before the first submit or connect. Strings are copied. The secret key stays in
    memory until the client is destroyed, and is then overwritten.

    key_file     takes this client's own pair of keys from a certificate file in CZMQ's format that
                 has a secret key (riposte keys new NAME makes NAME.key_secret). Others must not be
                 able to read the file
    server_key   takes the broker's public key: 40 characters of Z85, or the path of a certificate
                 file. All brokers of a list have the same key. Without key_file, the client makes
                 a pair for itself, which the broker accepts only if it accepts every key
    keys         takes all three from memory, each as 40 characters of Z85; public_key must belong
                 to secret_key

    RP_OK; RP_USAGE, with the keys as they were: called too late, or a file or a key is wrong:
    rp_client_last_error says what, and what to do. RP_CLOSED in a child of fork(). Later,
    connect and submit return RP_USAGE if there is a key file and no key of the broker, and
    RP_SYSTEM if libzmq has no CURVE.

    While no broker of the list accepts the key, because it is unknown or was revoked, requests that
    wait end with RP_DENIED; the client goes on trying, and a new request waits for the next
    attempt.  */
RP_EXPORT int rp_client_set_key_file (rp_client_t *self, const char *path);
RP_EXPORT int rp_client_set_server_key (rp_client_t *self, const char *key);
RP_EXPORT int rp_client_set_keys (
  rp_client_t *self, const char *public_key, const char *secret_key, const char *server_key);

/*  Waits until a broker has welcomed this client. Not needed before a call: a request waits for the
    connection until its deadline. Every broker of a list is tried within the client's timeout: a
    silent broker gets half a second at first, or its share of the timeout if that is less.

    RP_OK; RP_NO_BROKER when timeout_ms passed; RP_DENIED, RP_INVALID when a broker refused this
    client for good; RP_DENIED also as soon as every broker of the list has refused its key, while
    the client goes on trying (see rp_client_last_error); RP_INTERRUPTED (see
    rp_client_set_interruptible); RP_USAGE in a callback, or with incomplete keys; RP_SYSTEM (see
    rp_client_set_keys); RP_CLOSED in a child of fork().  */
RP_EXPORT int rp_client_connect (rp_client_t *self, uint32_t timeout_ms);

/*  Returns, for messages to people, why the last connection attempt failed or the last connection
    ended; of a list, for each endpoint that failed since the last session. "" if none failed. If
    the last setter of a key failed, why.
    Copies at most size bytes, NUL-terminated, and returns buffer.  */
RP_EXPORT const char *rp_client_last_error (rp_client_t *self, char *buffer, size_t size);

/*  Returns the endpoint of the connected broker, as the client's list names it; "" if the client is
    not connected. Copies at most size bytes, NUL-terminated, and returns buffer.  */
RP_EXPORT const char *rp_client_broker (rp_client_t *self, char *buffer, size_t size);

/*  Sends one request with the client's defaults, and waits for its end. body is copied; it may be
    NULL when size is 0.

    RP_OK: *reply_p is the reply, whatever its status; the caller destroys it. Otherwise *reply_p is
    NULL: RP_USAGE (service name, or called in a callback), RP_FULL, RP_NO_MEMORY, RP_CLOSED,
    RP_INTERRUPTED (a signal came, see rp_client_set_interruptible; the request was cancelled).  */
RP_EXPORT int rp_client_call (
  rp_client_t *self, const char *service, const void *body, size_t size, rp_reply_t **reply_p);

/*  The same with a call that has options of its own. RP_OK: *call_p is NULL; otherwise the
    call is still the caller's, and may be performed again. RP_USAGE also when *call_p is NULL or
    belongs to another client's conversation.  */
RP_EXPORT int rp_client_perform (rp_client_t *self, rp_call_t **call_p, rp_reply_t **reply_p);

/*  Submits a call and returns at once. Its reply goes to its callback, or else to
    rp_client_collect. *id (id may be NULL) identifies the request for rp_client_cancel; it is never
    0.

    RP_OK: *call_p is NULL. Otherwise *call_p is untouched: RP_USAGE (it is NULL, or belongs to
    another client's conversation), RP_FULL, RP_NO_MEMORY, RP_CLOSED.  */
RP_EXPORT int rp_client_submit (rp_client_t *self, rp_call_t **call_p, uint64_t *id);

/*  From hold to flush, requests that are submitted wait, to travel together: for an application that
    submits several at once, as an event loop does. A request may also go out before flush, and does
    when its body is large. RP_OK; RP_CLOSED in a child of fork().  */
RP_EXPORT int rp_client_hold (rp_client_t *self);
RP_EXPORT int rp_client_flush (rp_client_t *self);

/*  Takes the reply of the next request that ended, in the order in which they ended; waits up to
    timeout_ms.

    RP_OK: the caller owns *reply_p. Otherwise *reply_p is NULL: RP_TIMED_OUT; RP_INTERRUPTED;
    RP_CLOSED: no request is open and no reply is left; RP_USAGE: called in a callback, with a
    timeout.  */
RP_EXPORT int rp_client_collect (rp_client_t *self, uint32_t timeout_ms, rp_reply_t **reply_p);

/*  Cancels an open request. It still ends with exactly one status: RP_CANCELLED, or the status that
    came first. RP_OK; RP_USAGE if no open request has this id; RP_CLOSED.  */
RP_EXPORT int rp_client_cancel (rp_client_t *self, uint64_t id);

/*  Returns a descriptor that is readable while rp_client_collect (self, 0, …) has a reply, for
    poll, epoll and event loops; -1 with errno when none could be made. The descriptor is the
    client's: only poll it. The first call moves all receiving to the background thread.  */
RP_EXPORT int rp_client_fd (rp_client_t *self);

/*  Returns the number of requests submitted and not yet ended. A request with a callback ends when
    the callback returns: so 0 says that no callback is running or has still to run, and inside a
    callback its request is counted.  */
RP_EXPORT size_t rp_client_open (rp_client_t *self);

/*  ---- A call ------------------------------------------------------------------------------ */

/*  Creates a request for a service, with a copy of the body.
    Returns NULL with errno EINVAL (service: 1 to 127 bytes, no control characters) or ENOMEM.  */
RP_EXPORT rp_call_t *rp_call_new (const char *service, const void *body, size_t size);

/*  Creates the next request of a conversation. Returns and errors as rp_call_new.  */
RP_EXPORT rp_call_t *rp_call_new_in (
  rp_conversation_t *conversation, const void *body, size_t size);

/*  Frees a call that was not submitted. Nulls *self_p; NULL is allowed.  */
RP_EXPORT void rp_call_destroy (rp_call_t **self_p);

/*  Sets the deadline, from submit: 1 to 86,400,000 ms. The request ends at the latest one second
    (the grace) after it. RP_OK; RP_USAGE outside the range.  */
RP_EXPORT int rp_call_set_timeout_ms (rp_call_t *self, uint32_t timeout_ms);

/*  Sets how many attempts the request has: 1 to 10. RP_OK; RP_USAGE outside the range.

    1 (at most once): the request is given to one worker at most. More (at least once): the broker
    redelivers it when a worker is lost; when the broker was lost, busy or draining, the client
    submits it again, with a new id and one attempt fewer, with backoff, within the deadline and the
    client's retry budget.

    With any number: if a reply of one broker of a list proves that the request did not run, the
    client sends the request to the next broker at once. So it does when the broker drains; and when
    the broker is busy or has no worker, if it holds no other request of this client.  */
RP_EXPORT int rp_call_set_attempts (rp_call_t *self, uint8_t attempts);

/*  Sets the priority: 0 to 9, the highest; 4 if not set. It counts where requests wait for workers of
    one service: those of a higher priority are given out first, and clients take turns within one. A
    client that waits for its turn rises by one priority with each second (the broker's age_step), so
    that none waits for ever. A broker that knows no priorities treats all alike. RP_OK; RP_USAGE above
    9; of a durable call also what rp_call_add_header returns.  */
RP_EXPORT int rp_call_set_priority (rp_call_t *self, uint8_t priority);

/*  Lets the broker give the request to a second worker when the first takes long: a hedge, for work
    that may run twice. The first answer is the reply; the other worker is cancelled. when: a time, as
    in "20ms" (1 ms to 24 h), or a percentile, as in "95%" or "99.9%": longer than so many of a hundred
    requests of the service that asked for hedges took (none are made before a hundred of them were
    answered). A hedge is an attempt, so the call needs two at least, or it ends with RP_INVALID, as a
    durable or keyed one does; a stream has none. The broker makes hedges of a stated share of a service's requests at
    most (its hedge_share), and none while requests wait; one that makes none treats the request like any other. The
    value is a header, `hedge`, which the worker sees. RP_OK; RP_USAGE if when is neither, or the call is in
    a conversation; also what rp_call_add_header returns.  */
RP_EXPORT int rp_call_set_hedge (rp_call_t *self, const char *when);

/*  For all workers of the service that take requests when the broker gets the call: each gets it once, or not at all,
    and answers for itself. rp_client_perform_all, or rp_client_stream and rp_stream_read_answer, have the answers; no other
    function takes such a call.
    Without a count it ends when all have ended: with RP_OK if all answered so.

    first   ends when so many have answered with RP_OK, or all there are, if they are fewer
    quorum  ends when so many have answered with RP_OK, or, with another status, as soon as they cannot any more; with
            RP_NO_WORKER if there are fewer workers, and none of them gets it

    The workers that have not answered then are cancelled. The call has one deadline; its attempts and its wait for a
    worker do not count, and each worker counts as a request in the broker's limits and quotas. It cannot be durable,
    keyed, hedged, a stream or in a conversation. Of first and quorum, only one may be set. count: 1 to 65,535.

    RP_OK; RP_USAGE (out of the range, or in a conversation); also what rp_call_add_header returns.  */
RP_EXPORT int rp_call_set_all (rp_call_t *self);
RP_EXPORT int rp_call_set_first (rp_call_t *self, uint32_t count);
RP_EXPORT int rp_call_set_quorum (rp_call_t *self, uint32_t count);

/*  Sets how long the broker may hold the request while no worker offers the service: up to
    86,400,000 ms; 0 (the default) ends it with RP_NO_WORKER at once. RP_OK; RP_USAGE outside the
    range.  */
RP_EXPORT int rp_call_set_wait_worker_ms (rp_call_t *self, uint32_t wait_ms);

/*  Adds a header. key: 1 to 63 bytes of a-z 0-9 - _ . ; value: up to 4,096 bytes without
    control characters. RP_OK; RP_USAGE, RP_NO_MEMORY, or RP_TOO_LARGE (over 8 KiB or 64 headers
    in all).  */
RP_EXPORT int rp_call_add_header (rp_call_t *self, const char *key, const char *value);

/*  Asks the worker to add its name to the reply (see rp_reply_worker). Off by default.  */
RP_EXPORT void rp_call_set_trace (rp_call_t *self, bool trace);

/*  Sets a callback, which gets the reply and must destroy it; rp_client_collect never returns this
    reply. The callback runs on the client's background thread and must not block. It may submit;
    the functions that wait (call, perform, collect, connect) return RP_USAGE there, and the client
    must not be destroyed there. RP_OK; RP_USAGE if callback is NULL.  */
typedef void (rp_callback_fn) (rp_reply_t *reply, void *arg);
RP_EXPORT int rp_call_set_callback (rp_call_t *self, rp_callback_fn *callback, void *arg);

/*  Sets a pointer of the caller's own, which rp_reply_tag returns.  */
RP_EXPORT void rp_call_set_tag (rp_call_t *self, void *tag);

/*  ---- A job: a call that outlives every process that touches it ------------------------------ */

/*  A broker that has a store (riposte-broker --store FILE) takes a durable call as a job: when it
    has said ACCEPTED, the job is on disk, and it will have exactly one final, whatever is killed
    meanwhile. The end of a durable call is its acceptance:

        RP_OK           rp_reply_job is the job's id, with which any process may ask for its final
                        (rp_client_result); the body is empty
        RP_UNKNOWN      the broker was lost, or did not answer in time: it may have the job. Send it
                        again with the same key; without a key, that may make a second job
        RP_KEY_MISMATCH the key was used with another body; the broker took nothing
        RP_INVALID      the broker keeps no jobs, or the terms make no sense
        any other       the broker took nothing, for the reason of the message

    The timeout of the call is for its acceptance only. Attempts are the job's, 5 if not set: an
    attempt fails when its worker is lost or asks for another (rp_task_retry), and the next follows
    after a pause. No worker has to be there. A job is at least once: give it a key, with which the
    worker can make what it does single (rp_task_key).

    With a key, the library sends the call again when the broker was lost before it answered, within
    the timeout and to the same endpoint: the key makes one job of all of them. It does not go to
    another broker of a list, which keeps other jobs.  */

/*  Makes the call durable, or an ordinary one again. RP_OK; RP_USAGE in a conversation;
    RP_TOO_LARGE, RP_NO_MEMORY as rp_call_add_header.  */
RP_EXPORT int rp_call_set_durable (rp_call_t *self, bool durable);

/*  Sets the idempotency key: 1 to 127 bytes without control characters. Calls of one principal to
    one service with the same key and the same body make one job, as long as that is kept: each gets
    its id.

    Ordinary calls with the same key and the same body get one result, while the first one still runs
    and as long as the broker remembers it: 10 minutes by default, less when its memory for results is
    full (replay_keep, replay_bytes), and never beyond its end. Only RP_OK and RP_APP_ERROR are
    remembered; after any other status the next call with the key runs anew. With another body a call
    ends with RP_KEY_MISMATCH. The worker gets the key (rp_task_key), and a deadline that is a day
    away, since others may come that wait longer; it is cancelled when nobody waits any more. A call
    that was lost with its broker ends with RP_UNKNOWN, as any other; to ask again with the same key is
    safe while the same broker runs.

    A broker that remembers no results ends an ordinary call with a key with RP_INVALID: it would run
    twice.
    RP_OK; RP_USAGE, also in a conversation; RP_TOO_LARGE, RP_NO_MEMORY as rp_call_add_header.  */
RP_EXPORT int rp_call_set_key (rp_call_t *self, const char *key);

/*  The terms of a job; they mean nothing to an ordinary call. Returns as rp_call_set_key.

    delay_ms            it does not begin before this time has passed: up to 366 days
    not_before          nor before this instant, in µs since 1970
    job_deadline        if no attempt has begun by this instant, the job ends with RP_EXPIRED
    backoff_ms          the pause after the first failed attempt, which then doubles, up to 5
                        minutes: 0 to 300,000; 1,000 if not set
    attempt_timeout_ms  an attempt that takes longer has failed: 1 to 86,400,000; if not set, it
                        may take a day
    keep_ms             how long the final is kept: up to 366 days; a day if not set  */
RP_EXPORT int rp_call_set_delay_ms (rp_call_t *self, uint64_t delay_ms);
RP_EXPORT int rp_call_set_not_before (rp_call_t *self, int64_t unix_us);
RP_EXPORT int rp_call_set_job_deadline (rp_call_t *self, int64_t unix_us);
RP_EXPORT int rp_call_set_backoff_ms (rp_call_t *self, uint32_t backoff_ms);
RP_EXPORT int rp_call_set_attempt_timeout_ms (rp_call_t *self, uint32_t timeout_ms);
RP_EXPORT int rp_call_set_keep_ms (rp_call_t *self, uint64_t keep_ms);

/*  Makes a call durable, sends it and waits until the broker has accepted the job.

    RP_OK: *id is the job's id; id may be NULL. A final status of a request (RP_UNKNOWN, RP_BUSY,
    RP_KEY_MISMATCH, …): it was not accepted, or that is not known, as above. In both cases *call_p
    is NULL. rp_client_perform with a durable call does the same, and returns the reply, with its
    message. Otherwise as rp_client_perform.  */
RP_EXPORT int rp_client_send (rp_client_t *self, rp_call_t **call_p, uint64_t *id);

/*  Asks for the final of a job, and waits for it up to wait_ms; any process that may use the
    principal of the sender may ask, as often as it likes, until the final is no longer kept. While
    it waits, a broker that goes away is asked again when it is back.

    RP_OK: *reply_p is the caller's. If rp_reply_job is the id, it is the final: status, code,
    message, headers and body are as the worker gave them, or the status says why there is no such
    reply (RP_EXPIRED, RP_CANCELLED, RP_WORKER_LOST after the last attempt, …). If rp_reply_job is 0,
    the question was not answered, and the job is as it was: RP_APP_ERROR (there is no such job, or
    it is another principal's), RP_INVALID (the broker keeps no jobs), RP_NO_BROKER, RP_DENIED, ….
    RP_TIMED_OUT: the job is not done yet; *reply_p is NULL, as with all of the following. RP_USAGE
    (id is 0, or called in a callback), RP_FULL, RP_NO_MEMORY, RP_CLOSED, RP_INTERRUPTED.  */
RP_EXPORT int rp_client_result (
  rp_client_t *self, uint64_t id, uint32_t wait_ms, rp_reply_t **reply_p);

/*  ---- A stream: bodies in parts -------------------------------------------------------------- */

/*  The reply of a stream comes in parts, as its worker writes them, for as long as the deadline allows;
    and the body of its request may be written in parts, at the same time. Parts keep their order. Only as
    much is under way as the reader has room for: a reader that stops makes its writer wait, and takes no
    memory but its window. The request is one request: one worker, one final status, cancelled as any.

        rp_call_t *call = rp_call_new ("log", "", 0);
        rp_stream_t *stream = NULL;
        const void *part;
        size_t size;
        int rc = rp_client_stream (client, &call, &stream);
        while (rc == RP_OK && (rc = rp_stream_read (stream, 86400000, &part, &size)) == RP_OK)
            fwrite (part, 1, size, stdout);
        if (rc == RP_CLOSED)
            puts (rp_reply_message (rp_stream_reply (stream)));
        rp_stream_destroy (&stream);

    A worker that writes no parts answers with one reply, whose body is then the only part. Once a part
    has come or gone, the request is sent to no other worker or broker: when those it has are lost, it ends
    with RP_WORKER_LOST or RP_UNKNOWN, whatever its attempts. A broker that knows no streams is not asked:
    the request ends with RP_INVALID. A stream is no job, and has neither idempotency key nor hedge.

    A client of several brokers leaves one that drains once nothing of it runs there, and what it submits until
    then waits in the client. So give streams that last long a client of their own: their end may be far away.

    Thread-safety: one thread may read a stream while another writes it. A stream must be destroyed before
    its client. In a child of fork(), its functions return RP_CLOSED, and rp_stream_destroy frees what the
    child has of it.  */

/*  Sets how a stream is read.

    window_bytes  what the worker may write before the application has read it; each part counts its
                  bytes and 64 more: 65 to 1,073,741,824. 0, the default: 262,144, which the library
                  lets grow up to 4,194,304 while the round trip is what holds the worker up. A
                  broker with a smaller limit (stream_window) gets that
    idle_ms       ends the request with RP_DEADLINE when a worker has had it for so long and neither
                  side passed anything on: up to 86,400,000; 0 (the default): never

    RP_OK; RP_USAGE outside the ranges; RP_TOO_LARGE, RP_NO_MEMORY as rp_call_add_header.  */
RP_EXPORT int rp_call_set_stream (rp_call_t *self, uint32_t window_bytes, uint32_t idle_ms);

/*  Says that more of the body follows: that of rp_call_new is its first part, and rp_stream_write and
    rp_stream_write_end send the rest. It is given to workers only that read parts.  */
RP_EXPORT void rp_call_set_more (rp_call_t *self, bool more);

/*  Submits a call as a stream, and returns at once. Its deadline is a day away, if the call has none of
    its own (rp_call_set_timeout_ms); it holds for the whole stream. So does that of a call for all workers
    (rp_call_set_all), which has the client's.

    RP_OK: *call_p is NULL, and the caller owns *stream_p. Otherwise *call_p is untouched and *stream_p is
    NULL: RP_USAGE (it is NULL, belongs to another client's conversation, is durable, or has a key, a hedge or
    a callback), RP_FULL, RP_NO_MEMORY, RP_CLOSED.  */
RP_EXPORT int rp_client_stream (rp_client_t *self, rp_call_t **call_p, rp_stream_t **stream_p);

/*  Performs a call as a stream: calls the function with each part, in the calling thread, and returns
    the reply that ended it. If the function returns false, the request is cancelled. data is valid until it
    returns. Returns as rp_client_perform; on RP_INTERRUPTED, parts may have come.  */
typedef bool (rp_part_fn) (const void *data, size_t size, void *arg);
RP_EXPORT int rp_client_perform_parts (
  rp_client_t *self, rp_call_t **call_p, rp_part_fn *function, void *arg, rp_reply_t **reply_p);

/*  Performs a call for all workers (rp_call_set_all): calls the function, in the calling thread, with what each worker
    ended with, as it comes, and returns the reply that ends the call. An answer is a reply with a status, a body,
    and the worker's name (rp_reply_worker); one that the broker gives for a worker that was lost, or never got the call,
    has another status than RP_OK and RP_APP_ERROR. It is valid until the function returns. If the function returns
    false, the call is cancelled, and the function is not called again.

    The reply has no body, and these headers: `all-workers`, how many were asked, `all-answered`, how many answered
    with RP_OK or RP_APP_ERROR, and `all-statuses`, as in "OK=2 WORKER_LOST=1". They are missing if no worker was asked.
    If not as many as wanted answered RP_OK, its status is RP_APP_ERROR when no worker was lost, RP_DEADLINE when the
    time was up, and otherwise RP_WORKER_LOST; or, when no worker was given the call, what kept it from all.

    Returns as rp_client_perform; RP_USAGE also for a call that is not for all; on RP_INTERRUPTED, answers may have
    come.  */
typedef bool (rp_answer_fn) (const rp_reply_t *answer, void *arg);
RP_EXPORT int rp_client_perform_all (
  rp_client_t *self, rp_call_t **call_p, rp_answer_fn *function, void *arg, rp_reply_t **reply_p);

/*  Takes the next part; waits up to timeout_ms. The body of a reply with RP_OK is the last part, if it is
    not empty.

    RP_OK: *data and *size are the part, valid until the next read or destroy. Otherwise they are NULL
    and 0: RP_CLOSED: the stream has ended, and rp_stream_reply says how; RP_TIMED_OUT; RP_INTERRUPTED;
    RP_NO_MEMORY (a part was lost: the request is cancelled); RP_USAGE: in a callback, with a timeout.  */
RP_EXPORT int rp_stream_read (
  rp_stream_t *self, uint32_t timeout_ms, const void **data, size_t *size);

/*  The same of a call for all workers: takes the next answer, as rp_client_perform_all has them. RP_OK: the caller owns
    *answer_p. Otherwise it is NULL; RP_USAGE also if the call is for one worker, as rp_stream_read returns it for one that
    is for all. What was not taken is in memory.  */
RP_EXPORT int rp_stream_read_answer (rp_stream_t *self, uint32_t timeout_ms, rp_reply_t **answer_p);

/*  Writes more of the request's body; waits up to timeout_ms until the worker has room for it. A write of
    at most half of the worker's window is one part, if the broker takes such a body; a longer one becomes
    several. A write of nothing does nothing.

    RP_OK: sent. RP_TIMED_OUT, RP_INTERRUPTED: *written (may be NULL) says how many bytes were sent, 0 if
    the write is at most half of the window. RP_CLOSED: the request has ended. RP_USAGE: the call had no
    rp_call_set_more, the body has ended, or in a callback, with a timeout. RP_NO_MEMORY.  */
RP_EXPORT int rp_stream_write (
  rp_stream_t *self, const void *data, size_t size, uint32_t timeout_ms, size_t *written);

/*  Ends the request's body. Waits up to timeout_ms until a worker has begun to read. Returns as
    rp_stream_write.  */
RP_EXPORT int rp_stream_write_end (rp_stream_t *self, uint32_t timeout_ms);

/*  Returns a descriptor that is readable when rp_stream_read (self, 0, …) or rp_stream_read_answer has a result, or there is
    more room to write; -1 with errno when none could be made. To clear it, call that function until
    RP_TIMED_OUT. The descriptor is the stream's: only poll it. The first call moves all receiving of the
    client to its background thread.  */
RP_EXPORT int rp_stream_fd (rp_stream_t *self);

/*  The id of the request, for logs; never 0.  */
RP_EXPORT uint64_t rp_stream_id (const rp_stream_t *self);

/*  Cancels the request. Parts that came before can still be read; then it ends with RP_CANCELLED, or with
    the status that came first. RP_OK; RP_USAGE if it has ended; RP_CLOSED.  */
RP_EXPORT int rp_stream_cancel (rp_stream_t *self);

/*  The reply that ended the stream; NULL before. It is the stream's, valid until destroy.  */
RP_EXPORT const rp_reply_t *rp_stream_reply (rp_stream_t *self);

/*  Frees the stream. An open request is cancelled, without waiting for its end. Nulls *self_p; NULL is
    allowed.  */
RP_EXPORT void rp_stream_destroy (rp_stream_t **self_p);

/*  ---- A reply ------------------------------------------------------------------------------ */

/*  Frees a reply and nulls *self_p; NULL is allowed.  */
RP_EXPORT void rp_reply_destroy (rp_reply_t **self_p);
/*  The request's final status.  */
RP_EXPORT rp_status_t rp_reply_status (const rp_reply_t *self);
/*  What went wrong and what to do next, in one line; "" with RP_OK.  */
RP_EXPORT const char *rp_reply_message (const rp_reply_t *self);
/*  The application's own number with RP_APP_ERROR (a command's exit status); otherwise 0.  */
RP_EXPORT uint32_t rp_reply_code (const rp_reply_t *self);
/*  The body; never NULL; valid until the reply is destroyed.  */
RP_EXPORT const void *rp_reply_body (const rp_reply_t *self);
RP_EXPORT size_t rp_reply_size (const rp_reply_t *self);
/*  The value of a header; NULL if it is absent; valid until the reply is destroyed.  */
RP_EXPORT const char *rp_reply_header (const rp_reply_t *self, const char *key);
/*  Calls the function for each header, in order.  */
typedef void (rp_header_fn) (const char *key, const char *value, void *arg);
RP_EXPORT void rp_reply_each_header (const rp_reply_t *self, rp_header_fn *function, void *arg);
/*  The id that rp_client_submit returned.  */
RP_EXPORT uint64_t rp_reply_id (const rp_reply_t *self);
RP_EXPORT void *rp_reply_tag (const rp_reply_t *self);
/*  How many times a worker was given the request under its last id; 0 means: never, under any id.
    At least 1 if a broker had the request and its outcome is not known (RP_UNKNOWN, or RP_CANCELLED
    by destroy).  */
RP_EXPORT uint32_t rp_reply_attempts (const rp_reply_t *self);
/*  Microseconds: in the broker's queue and from dispatch to reply, both as the broker measured them
    (0 if no broker did); and from submit to end, as the client measured it.  */
RP_EXPORT uint32_t rp_reply_queue_us (const rp_reply_t *self);
RP_EXPORT uint32_t rp_reply_work_us (const rp_reply_t *self);
RP_EXPORT uint64_t rp_reply_total_us (const rp_reply_t *self);
/*  Name of the worker that replied, if the call asked for it (rp_call_set_trace) or was for all workers; otherwise "".  */
RP_EXPORT const char *rp_reply_worker (const rp_reply_t *self);

/*  The id of the job: of a durable call that was accepted, or whose final this is
    (rp_client_result). Of an ordinary call with a key: the number of the execution whose result this
    is. Otherwise 0. Not to be mixed up with rp_reply_id, which ends with the client.  */
RP_EXPORT uint64_t rp_reply_job (const rp_reply_t *self);
/*  True of a durable call whose key had its job already: the reply names that job. True of an ordinary
    call that got the result of another with its key.  */
RP_EXPORT bool rp_reply_is_replayed (const rp_reply_t *self);

/*  ---- A conversation ------------------------------------------------------------------------ */

/*  Creates a conversation: requests that go, one after the other and in order, to the worker that
    answered the first. The first request begins it. When its worker is lost, the next request ends
    with RP_CONVERSATION_LOST, and the request after that begins the conversation anew.

    Returns NULL with errno EINVAL (service) or ENOMEM.  */
RP_EXPORT rp_conversation_t *rp_conversation_new (rp_client_t *client, const char *service);

/*  Ends the conversation, at the broker and at the worker, and frees it. Nulls *self_p; NULL is
    allowed.  */
RP_EXPORT void rp_conversation_destroy (rp_conversation_t **self_p);

/*  As rp_client_call, in the conversation.  */
RP_EXPORT int rp_conversation_call (
  rp_conversation_t *self, const void *body, size_t size, rp_reply_t **reply_p);

#ifdef __cplusplus
}
#endif

#endif
