/*  The pump: who turns the crank of a client or worker that several threads use.

    SPDX-License-Identifier: MPL-2.0

    A client or worker has one lock, one pure core and a few sockets. Whoever holds the lock may use
    them. There is no thread between the application and the socket: an application thread that has
    to wait becomes the leader, polls the descriptors without the lock, then takes the lock and
    turns (receives what came, ticks the core, sends); other waiters follow, each asleep on a
    semaphore of its own. That saves two wake-ups per message over a dedicated I/O thread, which is
    more than libzmq's own cost.

    A keeper thread leads when nobody else does, so that heartbeats, timeouts, callbacks and
    cancellations do not depend on the application calling. It steps in only when nobody has turned
    for RP_PUMP_IDLE_US, so that it stays out of the way of a busy application; in background mode
    (rp_pump_set_background) it always leads and everyone else follows.

    Rule that makes it right: whoever has used a socket under the lock turns before it unlocks,
    because using a socket may take the wake-up that the leader waits for (the descriptor of a
    libzmq socket is edge-triggered). rp_pump_unlock does that; rp_pump_unlock_sent leaves it to the
    next leader when there is none now.

    Cost: a lock and an unlock per call; a wake-up of a follower only if its result came through
    another thread. Alternative: a thread that owns the socket and queues to and from it; simpler,
    at two more context switches per request.

    Thread-safety: every function but new and destroy may be called from any thread.
*/

#ifndef RP_PUMP_H
#define RP_PUMP_H

#include <stdbool.h>
#include <stdint.h>

/*  The keeper leaves a pump alone that was turned less than this many microseconds ago.  */
#define RP_PUMP_IDLE_US 20000
#define RP_PUMP_DESCRIPTORS_MAX 64

typedef struct rp_pump rp_pump_t;

/*  What the pump needs from its owner; all are called with the lock held.  */
typedef struct {
    /*  Receives everything there is, ticks, sends. Returns when it wants to be called again at the
        latest, in microseconds on the monotonic clock. Must not wait. If the last thing that it did
        with a socket was not a receive that found nothing (see rp_channel_is_armed), it must do
        that before it returns, or return now. Not called before the first rp_pump_unlock or
        rp_pump_wait.  */
    int64_t (*turn) (void *owner, int64_t now);
    /*  Fills in the descriptors to poll for reading; returns how many, at most
        RP_PUMP_DESCRIPTORS_MAX.  */
    int (*descriptors) (void *owner, int *descriptors);
    /*  Runs on the keeper only, in background mode, after a turn of the keeper's or a notify of
        anyone's, WITHOUT the lock: callbacks. May be NULL.  */
    void (*deliver) (void *owner);
} rp_pump_owner_t;

/*  Starts the keeper thread, with every signal blocked in it. The functions and owner must outlive
    the pump. NULL with errno (ENOMEM, EMFILE, EAGAIN).  */
rp_pump_t *rp_pump_new (const rp_pump_owner_t *functions, void *owner);

/*  Ends the keeper. Nobody may be inside any other function, but deliver. Nulls *self_p when the
    keeper has ended; NULL is allowed. In a child of fork(), only frees.  */
void rp_pump_destroy (rp_pump_t **self_p);

/*  Takes the lock. False, and nothing was taken, in a child of fork(): there the pump stands still
    for good, because its threads are the parent's, and what it would wake or send through is the
    parent's too.  */
bool rp_pump_lock (rp_pump_t *self);

/*  True in a child of fork() that was made after the pump.  */
bool rp_pump_is_inherited (const rp_pump_t *self);

/*  In such a child: takes the lock if it was free when fork() came, and what it guards is whole
    then; it must be released by rp_pump_unlock_inherited. False: a thread that is not here was in
    the middle of it.  */
bool rp_pump_lock_inherited (rp_pump_t *self);
void rp_pump_unlock_inherited (rp_pump_t *self);

/*  Turns, wakes whom it concerns, and releases the lock.  */
void rp_pump_unlock (rp_pump_t *self);

/*  Releases the lock without a turn: only if no socket was touched since it was taken.  */
void rp_pump_unlock_idle (rp_pump_t *self);

/*  Releases the lock after something was sent and nothing else was done with a socket. Turns only
    if somebody leads or waits, because the sending may have taken the wake-up that is waited for;
    otherwise whoever leads next turns before it polls. That saves system calls for each message of
    a busy thread.  */
void rp_pump_unlock_sent (rp_pump_t *self);

/*  In a turn: whether the poll before it, if any, found this descriptor readable.  */
bool rp_pump_is_readable (const rp_pump_t *self, int descriptor);

/*  With the lock held: turns, then waits until rp_pump_notify is called, by that turn or later, or
    until the time given, and returns with the lock held. The caller checks its condition in a loop.
    0; -1 with errno EINTR when a signal arrived in this thread.  */
int rp_pump_wait (rp_pump_t *self, int64_t until);

/*  The same for one subject, any address: waits for rp_pump_notify_on with it, or rp_pump_notify.
    With several threads waiting, each for its own, it saves waking all of them for each.  */
int rp_pump_wait_on (rp_pump_t *self, const void *subject, int64_t until);

/*  With the lock held: wakes every waiter, because a condition changed.  */
void rp_pump_notify (rp_pump_t *self);

/*  With the lock held: wakes only those who wait on this subject.  */
void rp_pump_notify_on (rp_pump_t *self, const void *subject);

/*  True on the keeper, where callbacks run: whoever waits there waits for himself.  */
bool rp_pump_is_keeper (const rp_pump_t *self);

/*  Makes the leader turn at once, or the keeper within RP_PUMP_IDLE_US if nobody leads.
    Async-signal-safe; takes no lock.  */
void rp_pump_kick (rp_pump_t *self);

/*  With the lock held: from now on the keeper leads all the time.  */
void rp_pump_set_background (rp_pump_t *self);

#endif
