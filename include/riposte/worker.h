/*  Riposte: the worker side.

    SPDX-License-Identifier: MPL-2.0

    A worker offers one service to every broker of a list, takes requests, at most as many at once
    as it has slots, and replies to each. It registers again by itself after a broker was lost.

        static void upper (rp_task_t **task_p, void *arg)
        {
            ...
            rp_task_reply (task_p, body, size);
        }

        rp_worker_t *worker = rp_worker_new ("tcp://127.0.0.1:5555", "upper");
        rp_worker_run (worker, upper, NULL);
        rp_worker_destroy (&worker);

    Heartbeats do not depend on the handler: it may run for minutes.

    Threads: a task belongs to one thread at a time, and may be replied to from any.
    rp_worker_receive may be called from several threads. rp_worker_drain and rp_worker_stop may be
    called from any thread, and from a signal handler. new, destroy and the setters want to be alone
    with their object.

    fork(): a worker and its tasks belong to the process that made them. In a child, every function
    on them returns RP_CLOSED at once (rp_worker_fd -1; drain and stop do nothing), and
    rp_worker_destroy frees the worker without a word to the brokers; the parent notices nothing. A
    handler that returns in a child ends it, for its thread is the only one there. A child that
    wants to serve makes a worker of its own.
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

/*  Creates a worker for one service and a comma-separated list of endpoints; the worker is
    registered with every broker of the list at once. A host name is looked up for each attempt to
    connect, and its addresses, of IPv4 and IPv6, are tried in turn: it stands for one broker.
    Connects from the first run or receive on.
    Returns NULL with errno EINVAL (endpoint or service name) or ENOMEM, EMFILE.  */
RP_EXPORT rp_worker_t *rp_worker_new (const char *endpoints, const char *service);

/*  Ends the worker now: BYE to every broker; open tasks must have been replied to or destroyed
    before. Nulls *self_p; NULL is allowed.  */
RP_EXPORT void rp_worker_destroy (rp_worker_t **self_p);

/*  Setters, before the first run or receive; RP_USAGE afterwards or when out of range.

    slots           requests held at once, per broker, at most: 1 to 4,096; default 1. With more slots
                    than it works on at once the rest wait in the worker, which saves a round trip per
                    request. How many do adapts to how fast they are taken: some hundred where each
                    takes microseconds, none where it takes more than some milliseconds. An application
                    that takes all that come, and replies later, gets as many as it has slots
    threads         handler threads of rp_worker_run: 1 to 256; default 1. With rp_worker_receive:
                    how many the application surely works on at once, so that it gets those without
                    adapting to it; one that looks for requests only now and then says how many it
                    wants to find
    heartbeat_ms    interval proposed to the brokers: 50 to 60,000; default 1,000. A worker that holds
                    nothing speaks after one and a half, and is lost after three all the same
    drain_ms        limit of rp_worker_drain and rp_worker_stop: 0 to 86,400,000; default 30,000
    name            what people see: up to 63 bytes; default HOST-PID
    declines        the application uses rp_task_decline, at any time: brokers keep what they give to
                    this worker until it is answered, for another one; default false: a broker may
                    keep nothing of the last attempt once the worker has answered something
    interruptible   a signal that a handler caught in a thread inside rp_worker_receive ends it with
                    RP_INTERRUPTED, with SA_RESTART or without; default false: it goes on waiting. A signal
                    handler that calls rp_worker_drain or rp_worker_stop needs it not  */
RP_EXPORT int rp_worker_set_slots (rp_worker_t *self, uint32_t slots);
RP_EXPORT int rp_worker_set_threads (rp_worker_t *self, uint32_t threads);
RP_EXPORT int rp_worker_set_heartbeat_ms (rp_worker_t *self, uint32_t heartbeat_ms);
RP_EXPORT int rp_worker_set_drain_ms (rp_worker_t *self, uint32_t drain_ms);
RP_EXPORT int rp_worker_set_name (rp_worker_t *self, const char *name);
RP_EXPORT int rp_worker_set_declines (rp_worker_t *self, bool declines);
RP_EXPORT int rp_worker_set_interruptible (rp_worker_t *self, bool interruptible);

/*  Called when a conversation has ended (its client ended it, went away, or idled too long), or
    the connection it came over was lost, so that state kept for it can be freed. Runs on a thread
    that is inside rp_worker_run or rp_worker_receive, never while a task of that conversation is
    out. conversation is what rp_task_conversation gave.  */
typedef void (rp_conversation_end_fn) (uint64_t conversation, void *arg);
RP_EXPORT int rp_worker_on_conversation_end (
  rp_worker_t *self, rp_conversation_end_fn *function, void *arg);

/*  Called when the connection to a broker changed, for logs: text is one line without a newline
    ("registered with tcp://…", "lost tcp://…: …, next try in 250 ms"). Runs on any of the worker's
    threads, with its lock held: it must return quickly and call nothing of this worker.  */
typedef void (rp_worker_notice_fn) (const char *text, void *arg);
RP_EXPORT int rp_worker_on_notice (rp_worker_t *self, rp_worker_notice_fn *function, void *arg);

/*  The handler takes the task and must end it with rp_task_reply or rp_task_fail, at once or later
    and from any thread. One that returns with the task still in hand (*task_p not NULL) ends it
    with RP_APP_ERROR "the handler gave no reply".  */
typedef void (rp_handler_fn) (rp_task_t **task_p, void *arg);

/*  Serves until drained or stopped, in threads of its own, of which the first has the caller's
    signal mask and the others have every signal blocked. RP_OK then; RP_TIMED_OUT when handlers had
    not returned a second after the limit (drain_ms): rp_worker_last_error and a notice say how many
    and for how long, and their threads are left behind, with what memory of the worker they need,
    until they return; the worker may be destroyed, and the program may end. RP_DENIED, RP_INVALID
    when every broker refused the registration for good (see rp_worker_last_error); RP_USAGE when
    another run goes on; RP_NO_MEMORY; RP_SYSTEM.  */
RP_EXPORT int rp_worker_run (rp_worker_t *self, rp_handler_fn *handler, void *arg);

/*  Takes the next task, waits up to timeout_ms. RP_OK: *task_p is the caller's. RP_TIMED_OUT;
    RP_INTERRUPTED (a signal, if interruptible); RP_CLOSED (drained or stopped); RP_DENIED,
    RP_INVALID as above.  */
RP_EXPORT int rp_worker_receive (rp_worker_t *self, uint32_t timeout_ms, rp_task_t **task_p);

/*  Says how many requests the application can take from now on: 0 closes the window, so that no
    more come (but what is on its way, and what follows in conversations, which waits at the
    broker); the number of slots, or more, opens it again. Any time, any thread. The default is all
    slots.  */
RP_EXPORT void rp_worker_set_ready (rp_worker_t *self, uint32_t ready);

/*  Returns a descriptor that is readable when rp_worker_receive (self, 0, …) has something to say
    or a task was cancelled. Clear it by calling rp_worker_receive until RP_TIMED_OUT.  */
RP_EXPORT int rp_worker_fd (rp_worker_t *self);

/*  No new requests, except in conversations that are here; ends when those have. When drain_ms
    passed, it says BYE whatever is not answered: that is lost to the broker, and rp_task_cancelled.
    Async-signal-safe.  */
RP_EXPORT void rp_worker_drain (rp_worker_t *self);

/*  Hands nothing more out; ends as soon as the handlers that run have returned, and at the limit as
    rp_worker_drain does, counted from whichever came first. Async-signal-safe.  */
RP_EXPORT void rp_worker_stop (rp_worker_t *self);

/*  Why registration failed or a connection ended, for people. Returns buffer.  */
RP_EXPORT const char *rp_worker_last_error (rp_worker_t *self, char *buffer, size_t size);

/*  ---- A task: one attempt of one request, in this worker's hands ---------------------------- */

RP_EXPORT const char *rp_task_service (const rp_task_t *self);
/*  Never NULL; valid until the task ends.  */
RP_EXPORT const void *rp_task_body (const rp_task_t *self);
RP_EXPORT size_t rp_task_size (const rp_task_t *self);
RP_EXPORT const char *rp_task_header (const rp_task_t *self, const char *key);
/*  Calls back for each header, in order.  */
typedef void (rp_header_fn) (const char *key, const char *value, void *arg);
RP_EXPORT void rp_task_each_header (const rp_task_t *self, rp_header_fn *function, void *arg);
/*  Milliseconds until the deadline; 0 when it has passed.  */
RP_EXPORT uint32_t rp_task_time_left_ms (const rp_task_t *self);
/*  1 for the first delivery; more says that a worker before this one may have begun it.  */
RP_EXPORT uint32_t rp_task_attempt (const rp_task_t *self);
/*  Identity of the conversation at this worker; 0 if there is none.  */
RP_EXPORT uint64_t rp_task_conversation (const rp_task_t *self);
/*  An id for logs, unique at this worker.  */
RP_EXPORT uint64_t rp_task_id (const rp_task_t *self);
/*  True when nobody waits for the reply any more: cancelled, past its deadline, or its broker was
    lost. A long handler looks now and then. Any thread.  */
RP_EXPORT bool rp_task_cancelled (const rp_task_t *self);

/*  Adds a header to the reply to come; limits and errors as rp_call_add_header.  */
RP_EXPORT int rp_task_add_header (rp_task_t *self, const char *key, const char *value);
/*  With this reply the conversation is over; the client's next request begins anew.  */
RP_EXPORT void rp_task_end_conversation (rp_task_t *self);

/*  Ends the task with a reply and frees it; *task_p is NULL afterwards. The body is copied, unless
    it is what rp_task_body gave and over 4 KiB: then it is passed on, if it came in one frame.
    RP_OK: handed on. RP_CLOSED: nobody waits for it any more; it was dropped. RP_TOO_LARGE: over
    the broker's limit; an APP_ERROR that says so was sent instead. RP_USAGE (*task_p is NULL, or
    body is and size is not), RP_NO_MEMORY: *task_p is untouched.  */
RP_EXPORT int rp_task_reply (rp_task_t **task_p, const void *body, size_t size);

/*  Ends the task with RP_APP_ERROR: code is the application's own number, message one line for
    people (cut at 1,024 bytes), body may be NULL. The rest as rp_task_reply.  */
RP_EXPORT int rp_task_fail (
  rp_task_t **task_p, uint32_t code, const char *message, const void *body, size_t size);

/*  Gives the attempt back as lost, when what ran it died: the broker redelivers it if attempts are
    left, to another worker first, and otherwise ends it with RP_WORKER_LOST.  */
RP_EXPORT int rp_task_abandon (rp_task_t **task_p, const char *message);

/*  Gives back a request that never began here: nothing of it may have run. It is not charged an
    attempt, and goes to another worker, or ends with RP_NO_WORKER if there is none, or the broker
    kept nothing of it (rp_worker_set_declines). Whoever cannot
    begin one request cannot begin the next, so this closes the window, as rp_worker_set_ready
    (worker, 0): say how many you can take again when you can. The rest as rp_task_reply.  */
RP_EXPORT int rp_task_decline (rp_task_t **task_p, const char *message);

#ifdef __cplusplus
}
#endif

#endif
