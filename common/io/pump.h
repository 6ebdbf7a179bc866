/*  The pump: decides which thread runs a client or worker that several threads use.

    SPDX-License-Identifier: MPL-2.0

    A client or worker has one lock, one pure core and a few sockets; the thread that holds the lock
    may use them. There is no thread between application and socket: an application thread that has
    to wait becomes the leader. It polls the descriptors without the lock, then takes the lock and
    turns: it receives what came, ticks the core, and sends. Other waiting threads are followers,
    each asleep on a semaphore of its own. Compared with a dedicated I/O thread, this saves two
    wake-ups per message, which cost more than libzmq itself.

    When no other thread leads, a keeper thread does, so that heartbeats, timeouts, callbacks and
    cancellations do not depend on the application's calls. To stay out of the way of a busy
    application, it steps in only when there was no turn for RP_PUMP_IDLE_US. In background mode
    (rp_pump_set_background) the keeper always leads and all other threads follow.

    The rule: a thread that used a socket under the lock turns before it unlocks, because using a
    socket may take the wake-up that the leader waits for (the descriptor of a libzmq socket is
    edge-triggered). rp_pump_unlock does that; rp_pump_unlock_sent leaves the turn to the next
    leader if there is no leader now.

    Cost: a lock and an unlock per call; a follower's wake-up only if another thread received its
    result. Alternative: a thread that owns the socket, with queues to and from it; simpler, but two
    more context switches per request.

    Thread-safety: every function except new and destroy may be called from any thread.
*/

#ifndef RP_PUMP_H
#define RP_PUMP_H

#include <stdbool.h>
#include <stdint.h>

/*  The keeper does nothing for a pump whose last turn is less than this many microseconds ago.  */
#define RP_PUMP_IDLE_US 20000
#define RP_PUMP_DESCRIPTORS_MAX 64

typedef struct rp_pump rp_pump_t;

/*  The owner's functions; all are called with the lock held, except deliver.  */
typedef struct {
    /*  Receives all there is, ticks, sends; must not wait. Returns the latest time for the next
        turn, in microseconds on the monotonic clock. Its last operation on a socket must be a
        receive that found nothing (see rp_channel_is_armed); otherwise it returns now. Not called
        before the first rp_pump_unlock or rp_pump_wait.  */
    int64_t (*turn) (void *owner, int64_t now);
    /*  Writes the descriptors to poll for reading; returns how many, at most
        RP_PUMP_DESCRIPTORS_MAX.  */
    int (*descriptors) (void *owner, int *descriptors);
    /*  Runs callbacks WITHOUT the lock: only on the keeper, in background mode, after each turn of
        the keeper and after each notify. May be NULL.  */
    void (*deliver) (void *owner);
} rp_pump_owner_t;

/*  Starts the keeper thread, with every signal blocked in it. The functions and owner must outlive
    the pump. NULL with errno (ENOMEM, EMFILE, EAGAIN).  */
rp_pump_t *rp_pump_new (const rp_pump_owner_t *functions, void *owner);

/*  Ends the keeper. No thread may be inside any other function, except deliver. Nulls *self_p when
    the keeper has ended; NULL is allowed. In a child of fork(), only frees.  */
void rp_pump_destroy (rp_pump_t **self_p);

/*  Takes the lock. False, without the lock, in a child of fork(): there the pump never runs again,
    because its threads are not there and its descriptors are also the parent's.  */
bool rp_pump_lock (rp_pump_t *self);

/*  True in a child of fork() that was made after the pump.  */
bool rp_pump_is_inherited (const rp_pump_t *self);

/*  In such a child: takes the lock if it was free at fork(), so that what it guards is
    consistent; release it with rp_pump_unlock_inherited. False: a thread of the parent held the
    lock at fork().  */
bool rp_pump_lock_inherited (rp_pump_t *self);
void rp_pump_unlock_inherited (rp_pump_t *self);

/*  Turns, wakes the threads that were notified, and releases the lock.  */
void rp_pump_unlock (rp_pump_t *self);

/*  Releases the lock without a turn: only if no socket was used under it.  */
void rp_pump_unlock_idle (rp_pump_t *self);

/*  Releases the lock after a send, if no other socket operation came after it. Turns only if a
    thread leads or waits, because the send may have taken the wake-up that it waits for;
    otherwise the next leader turns before it polls. That saves a busy thread system calls for
    each message.  */
void rp_pump_unlock_sent (rp_pump_t *self);

/*  In a turn: true if the last poll before it found this descriptor readable.  */
bool rp_pump_is_readable (const rp_pump_t *self, int descriptor);

/*  With the lock held: turns, then waits until rp_pump_notify is called, by that turn or later, or
    until the given time; returns with the lock held. The caller checks its condition in a loop. 0;
    -1 with errno EINTR when a signal arrived in this thread.  */
int rp_pump_wait (rp_pump_t *self, int64_t until);

/*  The same for one subject, any address: waits for rp_pump_notify_on with this subject, or for
    rp_pump_notify. So several threads with subjects of their own are not all woken for each
    result.  */
int rp_pump_wait_on (rp_pump_t *self, const void *subject, int64_t until);

/*  With the lock held: wakes every waiting thread, because a condition changed.  */
void rp_pump_notify (rp_pump_t *self);

/*  With the lock held: wakes only the threads that wait on this subject.  */
void rp_pump_notify_on (rp_pump_t *self, const void *subject);

/*  True on the keeper, where callbacks run: to wait there would never end.  */
bool rp_pump_is_keeper (const rp_pump_t *self);

/*  Makes the leader turn at once, or the keeper within RP_PUMP_IDLE_US if no thread leads.
    Async-signal-safe; takes no lock.  */
void rp_pump_kick (rp_pump_t *self);

/*  With the lock held: the keeper always leads from now on.  */
void rp_pump_set_background (rp_pump_t *self);

#endif
