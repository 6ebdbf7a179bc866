/*  Riposte: the worker side.

    SPDX-License-Identifier: MPL-2.0

    A worker offers one service to every broker of a list. It takes requests, at most as many at
    once as it has slots, and replies to each. When a broker was lost, it registers again by itself.

        static void upper (rp_task_t **task_p, void *arg)
        {
            ...
            rp_task_reply (task_p, body, size);
        }

        rp_worker_t *worker = rp_worker_new ("tcp://127.0.0.1:5555", "upper");
        rp_worker_run (worker, upper, NULL);
        rp_worker_destroy (&worker);

    Heartbeats do not depend on the handler: it may run for minutes.

    Source: docs/CONTRACT.md (what each status says), docs/PROTOCOL.md, sections 5 and 6.

    Thread-safety: a task belongs to one thread at a time, and any thread may reply to it. Several
    threads may call rp_worker_receive. rp_worker_drain and rp_worker_stop may be called by any
    thread and by a signal handler. During new, destroy and the setters, no other thread may use the
    object.

    fork(): a worker and its tasks belong to the process that made them. In a child, every function
    on them returns RP_CLOSED at once (rp_worker_fd -1; drain and stop do nothing), and
    rp_worker_destroy frees the worker without sending anything; the parent is not disturbed. A
    handler that returns in a child ends the child, because its thread is the only one there. A
    child that wants to serve makes a worker of its own.
*/

#ifndef RIPOSTE_WORKER_H
#define RIPOSTE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <riposte/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_worker rp_worker_t;
typedef struct rp_task rp_task_t;

/*  Creates a worker for one service and a comma-separated list of endpoints. The worker registers
    with every broker of the list at once. A host name stands for one broker: it is looked up for
    each attempt to connect, and its IPv4 and IPv6 addresses are tried in turn. "srv:_riposte._tcp.example.org"
    names SRV records (RFC 2782): the worker registers with every broker that they name, and looks them up again
    every ten seconds, and when one of these brokers is lost. One that they name no more is left when it is lost.
    A worker has at most 16 brokers, of which such a name counts as one. The worker connects from the
    first run or receive on.

    Returns NULL with errno EINVAL (endpoint or service name), ENOMEM or EMFILE.  */
RP_EXPORT rp_worker_t *rp_worker_new (const char *endpoints, const char *service);

/*  Ends the worker at once, with BYE to every broker. Open tasks must have been ended before. Nulls
    *self_p; NULL is allowed.  */
RP_EXPORT void rp_worker_destroy (rp_worker_t **self_p);

/*  Setters, to be called before the first run or receive. RP_OK; RP_USAGE afterwards, or when the
    value is out of range.

    slots           most requests held at once, per broker: 1 to 4,096; default 1. Requests that the
                    worker does not yet work on wait in it, which saves a round trip for each. How
                    many wait adapts to their speed: some hundred that take microseconds, none that
                    take more than some milliseconds. An application that takes all requests at
                    once, and replies later, gets as many as it has slots
    threads         handler threads of rp_worker_run: 1 to 256; default 1. With rp_worker_receive:
                    how many requests the application works on at once; it gets at least these. An
                    application that receives only now and then sets how many it wants to find
    heartbeat_ms    interval proposed to the brokers: 50 to 60,000; default 1,000. An idle worker
                    sends a heartbeat every one and a half intervals, and is lost after three like
                    any other
    drain_ms        limit of rp_worker_drain and rp_worker_stop: 0 to 86,400,000; default 30,000
    name            shown to people: up to 63 bytes; default HOST-PID
    streams         true: the application writes replies in parts (rp_task_write), which then go out as they
                    are written, and reads requests whose bodies come in parts (rp_task_more), so brokers
                    may give it such. Default false: what it writes in parts goes out as one reply
    declines        true: the application may call rp_task_decline at any time, so brokers keep each
                    request until this worker has answered it, for another worker. Default false: of
                    a last attempt, a broker may keep nothing once the worker has answered a request
    interruptible   true: a signal handled in a thread inside rp_worker_receive ends the call
                    with RP_INTERRUPTED, with or without SA_RESTART. Default false: the call
                    goes on. A signal handler that calls rp_worker_drain or rp_worker_stop does
                    not need it  */
RP_EXPORT int rp_worker_set_slots (rp_worker_t *self, uint32_t slots);
RP_EXPORT int rp_worker_set_threads (rp_worker_t *self, uint32_t threads);
RP_EXPORT int rp_worker_set_heartbeat_ms (rp_worker_t *self, uint32_t heartbeat_ms);
RP_EXPORT int rp_worker_set_drain_ms (rp_worker_t *self, uint32_t drain_ms);
RP_EXPORT int rp_worker_set_name (rp_worker_t *self, const char *name);
RP_EXPORT int rp_worker_set_streams (rp_worker_t *self, bool streams);
RP_EXPORT int rp_worker_set_declines (rp_worker_t *self, bool declines);
RP_EXPORT int rp_worker_set_interruptible (rp_worker_t *self, bool interruptible);

/*  Keys, for a broker that lets in only whose key it knows. They are used for each connection over
    tcp://, which is then encrypted, and stands only if the broker proves that it has the key that
    is given here. A connection over ipc:// uses no keys: the rights of its path protect it. Without
    any of these calls, no connection uses keys, and a broker with a key refuses this worker.

    To be called before the first run or receive. Strings are copied. The secret key stays in
    memory until the worker is destroyed, and is then overwritten.

    key_file     takes this worker's own pair of keys from a certificate file in CZMQ's format that
                 has a secret key (riposte keys new NAME makes NAME.key_secret). Others must not be
                 able to read the file
    server_key   takes the broker's public key: 40 characters of Z85, or the path of a certificate
                 file. All brokers of a list have the same key. Without key_file, the worker makes
                 a pair for itself, which the broker accepts only if it accepts every key
    keys         takes all three from memory, each as 40 characters of Z85; public_key must belong
                 to secret_key

    RP_OK; RP_USAGE, with the keys as they were: called too late, or a file or a key is wrong:
    rp_worker_last_error says what, and what to do. RP_CLOSED in a child of fork(). Later,
    run and receive return RP_USAGE if there is a key file and no key of the broker, and RP_SYSTEM
    if libzmq has no CURVE.

    A worker whose key a broker does not accept goes on trying, because the key may be authorized at
    any time; a notice says so once.  */
RP_EXPORT int rp_worker_set_key_file (rp_worker_t *self, const char *path);
RP_EXPORT int rp_worker_set_server_key (rp_worker_t *self, const char *key);
RP_EXPORT int rp_worker_set_keys (
  rp_worker_t *self, const char *public_key, const char *secret_key, const char *server_key);

/*  Sets a function to free the state of a conversation. It is called when the conversation has
    ended (its client ended it or left, or the idle limit passed) or its connection was lost. It
    runs on a thread inside rp_worker_run or rp_worker_receive, never while the application has a
    task of that conversation. conversation is the value of rp_task_conversation. Returns as the
    setters.  */
typedef void (rp_conversation_end_fn) (uint64_t conversation, void *arg);
RP_EXPORT int rp_worker_on_conversation_end (
  rp_worker_t *self, rp_conversation_end_fn *function, void *arg);

/*  Sets a function for logs, which is called when the connection to a broker changed: text is one
    line without a newline ("registered with tcp://…", "lost tcp://…: …, next try in 250 ms"). It
    runs on any of the worker's threads, with the worker's lock held: it must return quickly and
    call no function of this worker. Returns as the setters.  */
typedef void (rp_worker_notice_fn) (const char *text, void *arg);
RP_EXPORT int rp_worker_on_notice (rp_worker_t *self, rp_worker_notice_fn *function, void *arg);

/*  A handler takes the task and must end it with rp_task_reply or rp_task_fail, at once or later,
    on any thread. If it returns with the task not handed on (*task_p is not NULL), the task ends
    with RP_APP_ERROR "the handler gave no reply".  */
typedef void (rp_handler_fn) (rp_task_t **task_p, void *arg);

/*  Serves until drained or stopped, in threads of its own. The first thread has the caller's signal
    mask; the others have every signal blocked.

    RP_OK: drained or stopped. RP_TIMED_OUT: one second after the limit (drain_ms), handlers had not
    returned. rp_worker_last_error and a notice say how many and for how long; their threads are
    left behind, with the memory that they need, until they return. The worker may be destroyed, and
    the program may end. RP_DENIED, RP_INVALID: every broker refused the registration for good (see
    rp_worker_last_error). RP_USAGE: handler is NULL, another run goes on, or rp_worker_receive was
    used. RP_CLOSED; RP_NO_MEMORY; RP_SYSTEM.  */
RP_EXPORT int rp_worker_run (rp_worker_t *self, rp_handler_fn *handler, void *arg);

/*  Takes the next task; waits up to timeout_ms.

    RP_OK: the caller owns *task_p. Otherwise *task_p is NULL: RP_TIMED_OUT; RP_INTERRUPTED (a
    signal, if interruptible); RP_CLOSED (drained or stopped); RP_DENIED, RP_INVALID as
    rp_worker_run; RP_USAGE (rp_worker_run was used); RP_NO_MEMORY; RP_SYSTEM.  */
RP_EXPORT int rp_worker_receive (rp_worker_t *self, uint32_t timeout_ms, rp_task_t **task_p);

/*  Sets how many requests the application can take from now on. 0 closes the window: no more
    requests come, except those on their way; requests of conversations wait at the broker. The
    number of slots, or more, opens it again. The default is all slots. At any time, by any
    thread.  */
RP_EXPORT void rp_worker_set_ready (rp_worker_t *self, uint32_t ready);

/*  Returns a descriptor that is readable when rp_worker_receive (self, 0, …) has a result or a task
    was cancelled; -1 when none could be made. To clear it, call rp_worker_receive until
    RP_TIMED_OUT. The descriptor is the worker's: only poll it.  */
RP_EXPORT int rp_worker_fd (rp_worker_t *self);

/*  Takes no new requests, except in its open conversations, and ends when these have ended. When
    drain_ms has passed, the worker sends BYE whatever is unanswered: the broker counts those
    requests as lost, and rp_task_cancelled is true. Async-signal-safe.  */
RP_EXPORT void rp_worker_drain (rp_worker_t *self);

/*  Hands out no more tasks, and ends when the running handlers have returned; at the latest like
    rp_worker_drain, drain_ms after the first of both calls. Async-signal-safe.  */
RP_EXPORT void rp_worker_stop (rp_worker_t *self);

/*  Returns why registration failed or a connection ended, for people; if the last setter of a key
    failed, why. Copies at most size bytes,
    NUL-terminated, and returns buffer.  */
RP_EXPORT const char *rp_worker_last_error (rp_worker_t *self, char *buffer, size_t size);

/*  ---- A task: one attempt of one request, held by this worker
    -----------------------------------  */

/*  The service for which the request is: that of the worker.  */
RP_EXPORT const char *rp_task_service (const rp_task_t *self);
/*  The body; never NULL; valid until the task ends.  */
RP_EXPORT const void *rp_task_body (const rp_task_t *self);
RP_EXPORT size_t rp_task_size (const rp_task_t *self);
/*  The value of a header; NULL if it is absent; valid until the task ends.  */
RP_EXPORT const char *rp_task_header (const rp_task_t *self, const char *key);
/*  Calls the function for each header, in order.  */
typedef void (rp_header_fn) (const char *key, const char *value, void *arg);
RP_EXPORT void rp_task_each_header (const rp_task_t *self, rp_header_fn *function, void *arg);
/*  Milliseconds until the deadline; 0 when it has passed.  */
RP_EXPORT uint32_t rp_task_time_left_ms (const rp_task_t *self);
/*  1 for the first delivery. More: an earlier worker may have begun the request.  */
RP_EXPORT uint32_t rp_task_attempt (const rp_task_t *self);
/*  The idempotency key of its sender (rp_call_set_key); NULL if it has none. Every attempt of the
    request has it, so a worker that notes it with what it does can tell what was done before.
    Valid until the task ends.  */
RP_EXPORT const char *rp_task_key (const rp_task_t *self);
/*  True of a job: rp_task_retry then gives it another attempt after a pause, and nobody may wait
    for the reply now.  */
RP_EXPORT bool rp_task_is_durable (const rp_task_t *self);
/*  Identifies the conversation at this worker; 0: none.  */
RP_EXPORT uint64_t rp_task_conversation (const rp_task_t *self);
/*  An id for logs, unique in this worker.  */
RP_EXPORT uint64_t rp_task_id (const rp_task_t *self);
/*  True when the reply is no longer wanted: the request was cancelled, its deadline has passed, or
    its broker was lost. A long handler asks from time to time. Any thread.  */
RP_EXPORT bool rp_task_cancelled (const rp_task_t *self);

/*  Adds a header to the reply; limits and errors as rp_call_add_header.  */
RP_EXPORT int rp_task_add_header (rp_task_t *self, const char *key, const char *value);
/*  Makes the conversation end with this reply; the client's next request begins it anew.  */
RP_EXPORT void rp_task_end_conversation (rp_task_t *self);

/*  ---- Bodies in parts. One thread may read a task while another writes it; both have returned before the
    task is ended.  */

/*  Writes a part of the reply; waits up to timeout_ms until the client has room for it. The part goes out
    at once, and rp_task_reply ends the reply, with a last part. A client that reads no parts gets them
    joined, and so does each client of a worker without rp_worker_set_streams (rp_task_streams): they are
    kept here until rp_task_reply, and dropped by any other end. A write of at most half of
    the client's window is one part, if the broker takes such a body; a longer one becomes several. A write
    of nothing does nothing.

    RP_OK: written. RP_TIMED_OUT, RP_INTERRUPTED: *written (may be NULL) says how many bytes were sent, 0 if
    the write is at most half of the window. RP_CANCELLED: nothing more is wanted (rp_task_cancelled): end
    the task. RP_TOO_LARGE: the joined parts would be over the broker's limit. RP_CLOSED in a child of
    fork(). RP_USAGE (data is NULL and size is not 0), RP_NO_MEMORY.  */
RP_EXPORT int rp_task_write (
  rp_task_t *self, const void *data, size_t size, uint32_t timeout_ms, size_t *written);

/*  Returns how many bytes rp_task_write writes at once, without waiting; 0: the client's window is full.
    rp_worker_fd becomes readable when there is more room.  */
RP_EXPORT size_t rp_task_room (rp_task_t *self);

/*  True if the client reads the reply in parts.  */
RP_EXPORT bool rp_task_streams (const rp_task_t *self);

/*  True if the request's body is not over with rp_task_body: rp_task_read has the rest. Only of a worker
    that said so (rp_worker_set_streams).  */
RP_EXPORT bool rp_task_more (const rp_task_t *self);

/*  Takes the next part of the request's body, after rp_task_body; waits up to timeout_ms. The first call asks
    the client for it; from then on the request is given to no other worker.

    RP_OK: *data and *size are the part, valid until the next read or the task's end. Otherwise they are
    NULL and 0: RP_CLOSED: the body is over; RP_TIMED_OUT; RP_INTERRUPTED; RP_CANCELLED: as rp_task_write.
    rp_worker_fd becomes readable when a part has come.  */
RP_EXPORT int rp_task_read (rp_task_t *self, uint32_t timeout_ms, const void **data, size_t *size);

/*  Ends the task with a reply and frees it; *task_p is NULL afterwards. body is copied; but a body
    over 4 KiB that rp_task_body returned is passed on, if it came in one frame.

    RP_OK: handed on. RP_CLOSED: the reply was no longer wanted, and was dropped. RP_TOO_LARGE: over
    the broker's limit; an APP_ERROR that says so was sent instead. RP_USAGE (*task_p is NULL, or
    body is NULL and size is not 0), RP_NO_MEMORY: *task_p is untouched.  */
RP_EXPORT int rp_task_reply (rp_task_t **task_p, const void *body, size_t size);

/*  Ends the task with RP_APP_ERROR. code: the application's own number; message: one line for
    people, cut at 1,024 bytes; body may be NULL. Otherwise as rp_task_reply.  */
RP_EXPORT int rp_task_fail (
  rp_task_t **task_p, uint32_t code, const char *message, const void *body, size_t size);

/*  Gives the attempt back as lost, because the program that ran it died: if attempts are left, the
    broker redelivers the request, to another worker first; otherwise it ends with RP_WORKER_LOST.
    Otherwise as rp_task_reply.  */
RP_EXPORT int rp_task_abandon (rp_task_t **task_p, const char *message);

/*  Asks for another attempt, because this one failed for a reason that may pass: message says which,
    cut at 1,024 bytes. The next attempt of a job (rp_task_is_durable) follows after its pause, at
    this worker or another; after the last the job is dead, and kept for people to look at. An
    ordinary request is given to another worker at once if attempts are left; otherwise it ends with
    RP_WORKER_LOST. Otherwise as rp_task_reply.  */
RP_EXPORT int rp_task_retry (rp_task_t **task_p, const char *message);

/*  Gives back a request that has not begun: no part of it may have run. It is not charged an
    attempt, and goes to another worker; it ends with RP_NO_WORKER if there is none, or if the
    broker no longer keeps the request (see rp_worker_set_declines).

    A worker that cannot begin one request cannot begin the next, so this closes the window, as
    rp_worker_set_ready (worker, 0) does: call rp_worker_set_ready when the worker can take requests
    again. Otherwise as rp_task_reply.  */
RP_EXPORT int rp_task_decline (rp_task_t **task_p, const char *message);

#ifdef __cplusplus
}
#endif

#endif
