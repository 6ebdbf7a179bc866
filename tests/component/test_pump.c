/*  SPDX-License-Identifier: MPL-2.0

    The pump, over a simple transport: bytes in a socket pair, so that the thread sanitizer sees
    everything. Each byte is the number of a waiter whose reply has come. Code on other threads uses
    RP_CHECK, because cmocka's assertions work only on the test's thread.
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/io/clock.h"
#include "common/io/pump.h"

#define MS 1000
#define SECOND 1000000

enum { WAITERS = 8 };

/*  Guarded by the lock, except the atomics.  */
typedef struct {
    rp_pump_t *pump;
    int near; /* the pump's end */
    int far;
    bool second;     /* others[0] is polled instead of near */
    int others[2];   /* a second pair, to change the descriptors to */
    int64_t period;  /* a turn wants the next one after this long; 0: never */
    int64_t asked;   /* when the last turn wanted the next one */
    int64_t late;    /* how late it came, the first time; -1: it has not yet */
    bool by_subject; /* notify each waiter alone */
    int replies[WAITERS];
    int undelivered;
    bool inside;
    atomic_int turns;
    atomic_int keeper_turns; /* turns on a thread that the test did not make */
    atomic_int delivered;
    atomic_int echoing;
    _Atomic (pthread_t) last; /* the thread of the latest turn */
} s_owner_t;

static _Thread_local bool s_is_mine; /* false on the pump's own thread */

/*  ---- Vocabulary ----------------------------------------------------------------------------- */

static int64_t s_turn (void *arg, int64_t now)
{
    s_owner_t *owner = arg;
    RP_CHECK (!owner->inside); // the lock is held
    owner->inside = true;
    atomic_fetch_add (&owner->turns, 1);
    atomic_store (&owner->last, pthread_self ());
    if (owner->asked && now >= owner->asked && owner->late < 0)
        owner->late = now - owner->asked;

    unsigned char numbers[64];
    ssize_t count =
      recv (owner->second ? owner->others[0] : owner->near, numbers, sizeof numbers, MSG_DONTWAIT);
    for (ssize_t index = 0; index < count; index++) {
        owner->replies[numbers[index]]++;
        owner->undelivered++;
        if (owner->by_subject)
            rp_pump_notify_on (owner->pump, &owner->replies[numbers[index]]);
    }
    if (count > 0 && !owner->by_subject)
        rp_pump_notify (owner->pump);
    if (owner->period && (!owner->asked || now >= owner->asked))
        owner->asked = now + owner->period;
    owner->inside = false;
    if (!s_is_mine)
        atomic_fetch_add (&owner->keeper_turns, 1); // only now, when earlier bytes are counted
    if (count == sizeof numbers)
        return now;
    return owner->period ? owner->asked : INT64_MAX;
}

static int s_descriptors (void *arg, int *descriptors)
{
    s_owner_t *owner = arg;
    descriptors[0] = owner->second ? owner->others[0] : owner->near;
    return 1;
}

static void s_deliver (void *arg)
{
    s_owner_t *owner = arg;
    RP_CHECK (!s_is_mine);
    rp_pump_lock (owner->pump); // would hang if the pump held the lock
    int count = owner->undelivered;
    owner->undelivered = 0;
    rp_pump_unlock_idle (owner->pump);
    atomic_fetch_add (&owner->delivered, count);
}

static void s_begin (s_owner_t *owner)
{
    static const rp_pump_owner_t functions = {s_turn, s_descriptors, s_deliver};
    s_is_mine = true;
    memset (owner, 0, sizeof *owner);
    int pair[2];
    owner->late = -1;
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, owner->others), 0);
    owner->near = pair[0];
    owner->far = pair[1];
    owner->pump = rp_pump_new (&functions, owner);
    assert_non_null (owner->pump);
}

static void s_end (s_owner_t *owner)
{
    rp_pump_destroy (&owner->pump);
    assert_null (owner->pump);
    rp_pump_destroy (&owner->pump);
    close (owner->near);
    close (owner->far);
    close (owner->others[0]);
    close (owner->others[1]);
}

static void s_touch (s_owner_t *owner)
{
    rp_pump_lock (owner->pump);
    rp_pump_unlock (owner->pump);
}

static void s_write (int descriptor, unsigned char number)
{
    RP_CHECK (send (descriptor, &number, 1, 0) == 1);
}

/*  Waits for a counter that other threads raise; fails after ten seconds.  */
static void s_await (atomic_int *counter, int value)
{
    int64_t limit = rp_clock_us () + 10 * SECOND;
    while (atomic_load (counter) < value) {
        if (rp_clock_us () > limit)
            fail_msg ("waited in vain for %d, it is %d", value, atomic_load (counter));
        usleep (100);
    }
}

/*  A thread that waits until its number has come `count` times.  */
typedef struct {
    s_owner_t *owner;
    unsigned char number;
    int count;
    bool sends;    /* sends a byte for each */
    int64_t limit; /* µs for all together */
    int got;
    int error;
    int64_t took;
    atomic_int ready;
    pthread_t thread;
} s_waiter_t;

static void *s_wait (void *arg)
{
    s_waiter_t *waiter = arg;
    s_owner_t *owner = waiter->owner;
    s_is_mine = true;
    int64_t begin = rp_clock_us ();
    int64_t until = begin + waiter->limit;
    rp_pump_lock (owner->pump);
    while (waiter->got < waiter->count && waiter->error == 0 && rp_clock_us () < until) {
        if (waiter->sends)
            s_write (owner->near, waiter->number);
        atomic_store (&waiter->ready, 1);
        while (owner->replies[waiter->number] == 0 && waiter->error == 0 && rp_clock_us () < until)
            if (rp_pump_wait_on (owner->pump, &owner->replies[waiter->number], until) != 0)
                waiter->error = errno;
        if (owner->replies[waiter->number]) {
            owner->replies[waiter->number]--;
            waiter->got++;
        }
        rp_pump_unlock_idle (owner->pump);
        rp_pump_lock (owner->pump);
    }
    rp_pump_unlock_idle (owner->pump);
    waiter->took = rp_clock_us () - begin;
    return NULL;
}

static void s_start (s_owner_t *owner, s_waiter_t *waiter, unsigned char number)
{
    waiter->owner = owner;
    waiter->number = number;
    if (!waiter->count)
        waiter->count = 1;
    if (!waiter->limit)
        waiter->limit = 60 * SECOND;
    assert_int_equal (pthread_create (&waiter->thread, NULL, s_wait, waiter), 0);
    s_await (&waiter->ready, 1);
    rp_pump_lock (owner->pump); // the waiter has released the lock, so it leads or follows
    rp_pump_unlock_idle (owner->pump);
}

/*  The waiter must have been notified, instead of looking when its time was up.  */
static void s_join (s_waiter_t *waiter)
{
    assert_int_equal (pthread_join (waiter->thread, NULL), 0);
    if (waiter->got == waiter->count)
        assert_in_range (waiter->took, 0, waiter->limit / 2);
}

/*  The broker at the far end: sends each byte back.  */
static void *s_echo (void *arg)
{
    s_owner_t *owner = arg;
    unsigned char bytes[64];
    atomic_store (&owner->echoing, 1);
    for (ssize_t count; (count = recv (owner->far, bytes, sizeof bytes, 0)) > 0;)
        if (send (owner->far, bytes, (size_t) count, MSG_NOSIGNAL) != count)
            break;
    return NULL;
}

static int s_set_up (void **state)
{
    static s_owner_t owner;
    s_begin (&owner);
    *state = &owner;
    return 0;
}

static int s_tear_down (void **state)
{
    s_end (*state);
    return 0;
}

/*  ---- Waiting threads ------------------------------------------------------------------------ */

static void s_exchange (s_owner_t *owner, bool by_subject, bool background)
{
    owner->by_subject = by_subject;
    if (background) {
        rp_pump_lock (owner->pump);
        rp_pump_set_background (owner->pump);
        rp_pump_unlock (owner->pump);
    }
    pthread_t echo;
    assert_int_equal (pthread_create (&echo, NULL, s_echo, owner), 0);
    s_waiter_t waiters[WAITERS] = {0};
    for (unsigned char number = 0; number < WAITERS; number++) {
        waiters[number].count = 1000;
        waiters[number].sends = true;
        s_start (owner, &waiters[number], number);
    }
    for (int number = 0; number < WAITERS; number++) {
        s_join (&waiters[number]);
        assert_int_equal (waiters[number].got, 1000);
        assert_int_equal (waiters[number].error, 0);
    }
    shutdown (owner->far, SHUT_RDWR);
    pthread_join (echo, NULL);
}

static void each_of_many_waiting_threads_gets_its_own_replies (void **state)
{
    s_exchange (*state, false, false);
}

static void the_same_when_each_is_woken_alone (void **state)
{
    s_exchange (*state, true, false);
}

static void the_same_in_background_mode (void **state)
{
    s_exchange (*state, true, true);
}

static void a_waiter_that_follows_leads_when_the_leader_leaves (void **state)
{
    s_owner_t *owner = *state;
    owner->by_subject = true;
    s_waiter_t first = {0};
    s_waiter_t second = {0};
    s_start (owner, &first, 1);
    s_start (owner, &second, 2);
    s_write (owner->far, 1);
    s_join (&first);
    assert_int_equal (first.got, 1);
    s_write (owner->far, 2);
    s_join (&second);
    assert_int_equal (second.got, 1);
    assert_true (pthread_equal (atomic_load (&owner->last), second.thread));
    assert_int_equal (atomic_load (&owner->keeper_turns), 0);
}

static void waiters_are_woken_when_another_thread_changes_what_they_wait_for (void **state)
{
    s_owner_t *owner = *state;
    s_waiter_t leader = {0};
    s_waiter_t follower = {0};
    s_start (owner, &leader, 1);
    s_start (owner, &follower, 2);
    rp_pump_lock (owner->pump);
    owner->replies[1] = 1; // no descriptor shows this
    owner->replies[2] = 1;
    rp_pump_notify (owner->pump);
    rp_pump_unlock_idle (owner->pump);
    s_join (&leader);
    s_join (&follower);
    assert_int_equal (leader.got + follower.got, 2);
}

static void sending_turns_only_when_somebody_leads_or_waits (void **state)
{
    s_owner_t *owner = *state;
    owner->by_subject = true;
    rp_pump_lock (owner->pump);
    rp_pump_unlock_sent (owner->pump);
    assert_int_equal (atomic_load (&owner->turns), 0);

    rp_pump_lock (owner->pump); // no other thread waits, so this one leads
    s_write (owner->far, 1);
    s_waiter_t follower = {0};
    follower.owner = owner;
    follower.count = 1;
    follower.limit = 60 * SECOND;
    follower.number = 2;
    assert_int_equal (pthread_create (&follower.thread, NULL, s_wait, &follower), 0);
    while (owner->replies[1] == 0 || !atomic_load (&follower.ready))
        rp_pump_wait_on (owner->pump, &owner->replies[1], rp_clock_us () + 10 * MS);
    int before = atomic_load (&owner->turns);
    rp_pump_unlock_sent (owner->pump); // the follower now becomes the leader
    assert_in_range (atomic_load (&owner->turns) - before, 1, 3);
    s_write (owner->far, 2);
    s_join (&follower);
    assert_int_equal (follower.got, 1);
}

static void waiting_ends_at_the_time_given (void **state)
{
    s_owner_t *owner = *state;
    s_waiter_t waiters[2] = {{.limit = 30 * MS}, {.limit = 60 * MS}};
    s_start (owner, &waiters[0], 0); // leads
    s_start (owner, &waiters[1], 1); // follows
    for (int index = 0; index < 2; index++) {
        s_join (&waiters[index]);
        assert_int_equal (waiters[index].error, 0);
        assert_in_range (waiters[index].took, waiters[index].limit, 5 * SECOND);
    }
    rp_pump_lock (owner->pump);
    // The limit is long past: one turn, then it returns.
    assert_int_equal (rp_pump_wait (owner->pump, 0), 0);
    rp_pump_unlock_idle (owner->pump);
}

static void s_on_signal (int number)
{
    (void) number;
}

static void a_signal_ends_the_wait_of_a_leader_and_of_a_follower (void **state)
{
    s_owner_t *owner = *state;
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction (SIGUSR1, &action, NULL);
    s_waiter_t waiters[2] = {0};
    s_start (owner, &waiters[0], 0);
    s_start (owner, &waiters[1], 1);
    for (int index = 1; index >= 0; index--) {
        // The thread may not sleep yet, so the signal is sent until it has ended.
        while (pthread_tryjoin_np (waiters[index].thread, NULL) == EBUSY) {
            pthread_kill (waiters[index].thread, SIGUSR1);
            usleep (1000);
        }
        assert_int_equal (waiters[index].error, EINTR);
    }
}

/*  ---- The keeper ----------------------------------------------------------------------------- */

static void nothing_is_turned_before_the_first_use (void **state)
{
    s_owner_t *owner = *state;
    rp_pump_lock (owner->pump);
    rp_pump_unlock_idle (owner->pump);
    usleep (3 * RP_PUMP_IDLE_US);
    assert_int_equal (atomic_load (&owner->turns), 0);
}

static void the_keeper_leads_when_nobody_does (void **state)
{
    s_owner_t *owner = *state;
    s_touch (owner);
    for (int round = 1; round <= 3; round++) {
        int before = atomic_load (&owner->keeper_turns);
        s_write (owner->far, 0);
        s_await (&owner->keeper_turns, before + 1);
    }
    rp_pump_lock (owner->pump);
    assert_int_equal (owner->replies[0], 3);
    rp_pump_unlock_idle (owner->pump);
}

static void the_keeper_keeps_the_time_that_a_turn_asked_for (void **state)
{
    (void) state;
    int64_t late = INT64_MAX; // the best of ten rounds, as this machine may be busy
    for (int round = 0; round < 10; round++) {
        s_owner_t owner;
        s_begin (&owner);
        owner.period = 5 * MS; // shorter than the pause after which the keeper steps in
        s_touch (&owner);
        s_await (&owner.keeper_turns, 1);
        rp_pump_lock (owner.pump);
        late = owner.late < late ? owner.late : late;
        rp_pump_unlock_idle (owner.pump);
        s_end (&owner);
    }
    assert_in_range (late, 0, RP_PUMP_IDLE_US / 4);
}

static void a_leader_learns_that_another_thread_has_made_the_time_nearer (void **state)
{
    s_owner_t *owner = *state;
    owner->period = 3600 * (int64_t) SECOND;
    s_touch (owner);
    s_write (owner->far, 0);
    s_await (&owner->keeper_turns, 1); // the keeper leads, for an hour
    rp_pump_lock (owner->pump);
    owner->period = 5 * MS;
    owner->asked = 0;
    rp_pump_unlock (owner->pump);
    s_await (&owner->keeper_turns, 10);
}

static void a_waiter_takes_the_lead_from_the_keeper_and_gives_it_back (void **state)
{
    s_owner_t *owner = *state;
    owner->period = 3600 * (int64_t) SECOND;
    s_touch (owner);
    s_write (owner->far, 0);
    s_await (&owner->keeper_turns, 1); // the keeper leads
    rp_pump_lock (owner->pump);
    assert_int_equal (rp_pump_wait (owner->pump, rp_clock_us () + 50 * MS), 0);
    assert_true (pthread_equal (atomic_load (&owner->last), pthread_self ()));
    // The timeout with which the keeper began its poll is too long now.
    owner->period = 30 * MS;
    owner->asked = 0;
    rp_pump_unlock (owner->pump);
    int before = atomic_load (&owner->keeper_turns);
    s_await (&owner->keeper_turns, before + 3);
}

static void the_keeper_stays_out_of_the_way_of_a_busy_application (void **state)
{
    s_owner_t *owner = *state;
    pthread_t echo;
    assert_int_equal (pthread_create (&echo, NULL, s_echo, owner), 0);
    s_await (&owner->echoing, 1);
    s_waiter_t waiter = {.count = 3000, .sends = true};
    s_start (owner, &waiter, 0);
    s_join (&waiter);
    assert_int_equal (waiter.got, 3000);
    // The keeper may step in when the machine ran no thread for a while, but not for each exchange.
    assert_in_range (atomic_load (&owner->keeper_turns), 0, 500);
    shutdown (owner->far, SHUT_RDWR);
    pthread_join (echo, NULL);
}

/*  Fails if a thread turns or wakes up without a reason while this runs.  */
static void s_idle (s_owner_t *owner, bool waiting)
{
    struct rusage before;
    struct rusage after;
    int turns = atomic_load (&owner->turns);
    getrusage (RUSAGE_SELF, &before);
    if (waiting) {
        rp_pump_lock (owner->pump);
        rp_pump_wait (owner->pump, rp_clock_us () + 500 * MS);
        rp_pump_unlock_idle (owner->pump);
    }
    else
        usleep (500 * MS);
    getrusage (RUSAGE_SELF, &after);
    assert_in_range (atomic_load (&owner->turns) - turns, 0, 5);
    assert_in_range (after.ru_nvcsw - before.ru_nvcsw, 0, 12);
}

static void an_idle_pump_costs_no_time (void **state)
{
    s_owner_t *owner = *state;
    s_touch (owner);
    s_idle (owner, true);  // the keeper looks after a while, and lets the leader lead
    s_idle (owner, false); // the keeper leads
    s_idle (owner, true);
    rp_pump_kick (owner->pump);
    s_idle (owner, true);
}

/*  ---- Kicks, descriptors, callbacks ---------------------------------------------------------- */

static void a_kick_makes_a_waiting_leader_turn (void **state)
{
    s_owner_t *owner = *state;
    s_waiter_t waiter = {0};
    s_start (owner, &waiter, 0);
    for (int round = 0; round < 100; round++) {
        int before = atomic_load (&owner->turns);
        rp_pump_kick (owner->pump);
        s_await (&owner->turns, before + 1);
    }
    assert_true (pthread_equal (atomic_load (&owner->last), waiter.thread));
    s_write (owner->far, 0);
    s_join (&waiter);
}

static void a_kick_makes_the_keeper_turn_when_nobody_waits (void **state)
{
    s_owner_t *owner = *state;
    s_touch (owner);
    for (int round = 0; round < 100; round++) {
        int before = atomic_load (&owner->keeper_turns);
        rp_pump_kick (owner->pump);
        s_await (&owner->keeper_turns, before + 1);
    }
}

static void a_leader_notices_that_another_thread_changed_the_descriptors (void **state)
{
    s_owner_t *owner = *state;
    s_waiter_t waiter = {0};
    s_start (owner, &waiter, 0);
    rp_pump_lock (owner->pump);
    owner->second = true;
    rp_pump_unlock (owner->pump);
    s_write (owner->others[1], 0);
    s_join (&waiter);
    assert_int_equal (waiter.got, 1);
}

static void callbacks_run_on_the_keeper_without_the_lock (void **state)
{
    s_owner_t *owner = *state;
    s_waiter_t waiter = {.count = 50};
    s_start (owner, &waiter, 0); // this waiter leads until the mode changes
    rp_pump_lock (owner->pump);
    rp_pump_set_background (owner->pump);
    rp_pump_unlock (owner->pump);
    for (int index = 0; index < 50; index++)
        s_write (owner->far, 0);
    s_join (&waiter);
    assert_int_equal (waiter.got, 50);
    s_await (&owner->delivered, 50);
    // Also for replies that another thread's turn received.
    for (int index = 0; index < 50; index++) {
        rp_pump_lock (owner->pump);
        s_write (owner->far, 0);
        rp_pump_unlock (owner->pump);
        s_await (&owner->delivered, 51 + index);
    }
}

#define PUMP_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)

int main (void)
{
    const struct CMUnitTest tests[] = {
      PUMP_TEST (each_of_many_waiting_threads_gets_its_own_replies),
      PUMP_TEST (the_same_when_each_is_woken_alone),
      PUMP_TEST (the_same_in_background_mode),
      PUMP_TEST (a_waiter_that_follows_leads_when_the_leader_leaves),
      PUMP_TEST (waiters_are_woken_when_another_thread_changes_what_they_wait_for),
      PUMP_TEST (sending_turns_only_when_somebody_leads_or_waits),
      PUMP_TEST (waiting_ends_at_the_time_given),
      PUMP_TEST (a_signal_ends_the_wait_of_a_leader_and_of_a_follower),
      PUMP_TEST (nothing_is_turned_before_the_first_use),
      PUMP_TEST (the_keeper_leads_when_nobody_does),
      PUMP_TEST (the_keeper_keeps_the_time_that_a_turn_asked_for),
      PUMP_TEST (a_leader_learns_that_another_thread_has_made_the_time_nearer),
      PUMP_TEST (a_waiter_takes_the_lead_from_the_keeper_and_gives_it_back),
      PUMP_TEST (the_keeper_stays_out_of_the_way_of_a_busy_application),
      PUMP_TEST (an_idle_pump_costs_no_time),
      PUMP_TEST (a_kick_makes_a_waiting_leader_turn),
      PUMP_TEST (a_kick_makes_the_keeper_turn_when_nobody_waits),
      PUMP_TEST (a_leader_notices_that_another_thread_changed_the_descriptors),
      PUMP_TEST (callbacks_run_on_the_keeper_without_the_lock),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
