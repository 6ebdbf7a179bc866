/*  Simulator of brokers that share a database: broker/store/membership with up to thousands of brokers and a database
    that takes its time, under random events from a seed.

    SPDX-License-Identifier: MPL-2.0

    simulator_membership SEED [COUNT]    runs COUNT seeds (1), from SEED on
    simulator_membership --bugs COUNT    runs seeds with each bug that it knows until one is caught; COUNT seeds at most
    simulator_membership --scale BROKERS [PROCESSORS]
                                         prints what so many brokers cost a database with so many processors (8), and
                                         how long the jobs of those that die wait for another broker

    Brokers renew their leases, look at each other, and take over, each with one transaction at a time, as
    broker/store/postgres.c does. Some die, some are frozen and woken, the database stands still, and its clock is set
    forward. A transaction
    waits for a processor, for locks of rows, and for the sync of its commit; the costs are those that bench/brokers
    measures. Promised is: what ends has one heir; who is well keeps its jobs; no broker that dies waits for long; and
    that brokers do not all try to take over the same one.

    Exit code 0: no fault (--bugs: each was caught); 1: a fault; 2: wrong usage.
*/

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/membership.h"

#define S_MS INT64_C (1000)
#define S_SECOND INT64_C (1000000)
#define S_BROKERS 2000u
#define S_ROWS (3u * S_BROKERS)
#define S_PROCESSORS 256u
#define S_NONE SIZE_MAX
/*  Brokers that try to take over the same one at once, at most.  */
#define S_TOGETHER 10u
/*  How long after the end of its lease the jobs of a broker are another's, if one is well and the database too, µs.  */
#define S_ADOPTED_US (3 * S_SECOND)

/*  What the parts of a transaction take of a processor, how long a commit waits for the disk, and the way there and back,
    µs. Measured by bench/brokers, rounded up.  */
#define S_RENEW_US 1000
#define S_LOOK_US 800
#define S_ROW_US 5 /* for each row that a look returns */
#define S_PART_US 500
#define S_SYNC_US 2000
#define S_WAY_US 300
/*  How long a transaction waits for a lock, µs.  */
#define S_LOCK_US 1000000

/*  name, what it does. Each is between the membership and the database.  */
#define S_BUG_MAP(X)                                                                               \
    X (NO_LEASE, "adopt-before-the-end")    /* the database does not look at the lease */          \
    X (NO_FENCE, "commit-without-epoch")    /* who has lost its jobs goes on */                    \
    X (ONE_LOOK, "adopt-at-first-look")     /* what has ended is taken over at once */             \
    X (TWO_LOOKS, "adopt-at-the-next-look") /* … when another look says so, however soon */      \
    X (DEAF, "never-adopt")                 /* nobody takes over */                                \
    X (SAME_FIRST, "all-begin-at-one")      /* all brokers take over in one order */               \
    X (GO_ON, "go-on-in-vain") /* a broker that finds others at work tries all the same */         \
    X (HASTY, "adopt-before-a-renewal") /* what has ended by a clock that was set has no second */

typedef enum {
#define S_BUG_ENUM(name, text) S_##name,
    S_BUG_MAP (S_BUG_ENUM)
#undef S_BUG_ENUM
      S_BUG_COUNT
} s_bug_t;

static const char *const s_bug_names[] = {
#define S_BUG_NAME(name, text) text,
  S_BUG_MAP (S_BUG_NAME)
#undef S_BUG_NAME
};

/*  What a broker does; each is over by an event.  */
typedef enum {
    S_IDLE,      /* until something is due */
    S_RENEW,     /* at a processor */
    S_HELD_UP,   /* by a take-over, which has the lock of its row */
    S_RENEWED,   /* the commit */
    S_LOOK,      /* at a processor */
    S_LOOKED,    /* the answer is on its way */
    S_BEGIN,     /* of a take-over, with the lease of its own */
    S_LOCK,      /* waits for the row of the other */
    S_TAKE,      /* writes it */
    S_COMMIT,    /* of the take-over */
    S_TAKEN,     /* the answer is on its way */
    S_ROLL_BACK, /* at a processor */
    S_JOIN,      /* at a processor */
} s_step_t;

typedef struct {
    rp_membership_t membership;
    size_t row;
    int64_t epoch;
    int64_t ahead; /* its clock, of the database's */
    s_step_t step;
    uint64_t event; /* the one that it waits for */
    bool alive;
    bool frozen;
    bool freezes; /* once it has looked */
    bool well;    /* it has renewed its lease since it joined or woke */
    size_t count;
    rp_member_t members[RP_MEMBERSHIP_MEMBERS];
    size_t place; /* of the one that it tries to take over */
    size_t others;
} s_broker_t;

typedef struct {
    int64_t epoch;
    int64_t until;   /* by the database's clock */
    int64_t renewed; /* by the simulator's, as all other times */
    int64_t died;    /* 0: its broker lives */
    size_t holder;   /* a row */
    size_t lock;     /* the broker that has it */
    unsigned tries;  /* brokers that try to take it over now */
} s_row_t;

typedef struct {
    int64_t at;
    uint64_t number;
    size_t broker;
} s_event_t;

typedef struct {
    unsigned brokers;
    unsigned processors;
    unsigned die;   /* at once; the seed decides if it is 0 */
    int64_t stands; /* so long the database stands still */
    int64_t
      late; /* brokers do what is due so late at most: their connection has other things to do */
} s_plan_t;

/*  What is counted.  */
typedef struct {
    uint64_t transactions;
    int64_t busy;    /* of all processors, µs */
    int64_t busiest; /* the same within a second, most */
    uint64_t taken;
    uint64_t vain;
    unsigned together;      /* brokers that have tried to take over the same one at once, most */
    int64_t waited[S_ROWS]; /* from the end of a lease to the take-over, in order of these */
    int64_t least;          /* that was left of the lease of a broker that is well */
} s_figures_t;

typedef struct {
    uint64_t seed;
    uint64_t random;
    int bug; /* -1: none */
    s_plan_t plan;
    int64_t now;
    int64_t jumped; /* the database's clock is so far ahead */
    int64_t stood;  /* the effects of a standstill are over */
    uint64_t events;
    size_t waiting;
    s_event_t heap[16 * S_BROKERS];
    int64_t free_at[S_PROCESSORS];
    size_t count;
    s_row_t rows[S_ROWS];
    s_figures_t figures;
    s_broker_t brokers[S_BROKERS];
} s_world_t;

static s_world_t s_self;
static bool s_quiet;

__attribute__ ((noreturn, format (printf, 1, 2))) static void s_fail (const char *format, ...)
{
    if (!s_quiet) {
        va_list arguments;
        va_start (arguments, format);
        printf ("seed %" PRIu64 ": ", s_self.seed);
        vprintf (format, arguments);
        printf ("\nagain: simulator_membership %" PRIu64 "\n", s_self.seed);
        va_end (arguments);
        exit (1);
    }
    _exit (1);
}

static uint64_t s_draw (uint64_t below)
{
    uint64_t value = s_self.random += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return (value ^ (value >> 31)) % below;
}

/*  ---- Events ---------------------------------------------------------------------------------- */

static bool s_is_before (const s_event_t *one, const s_event_t *other)
{
    return one->at < other->at || (one->at == other->at && one->number < other->number);
}

static void s_put (s_event_t event)
{
    if (s_self.waiting == sizeof s_self.heap / sizeof *s_self.heap)
        s_fail ("too many events");
    size_t place = s_self.waiting++;
    for (; place > 0 && s_is_before (&event, &s_self.heap[(place - 1) / 2]);
         place = (place - 1) / 2)
        s_self.heap[place] = s_self.heap[(place - 1) / 2];
    s_self.heap[place] = event;
}

static s_event_t s_take (void)
{
    s_event_t first = s_self.heap[0];
    s_event_t last = s_self.heap[--s_self.waiting];
    size_t place = 0;
    for (size_t child; (child = 2 * place + 1) < s_self.waiting; place = child) {
        if (child + 1 < s_self.waiting
            && s_is_before (&s_self.heap[child + 1], &s_self.heap[child]))
            child++;
        if (!s_is_before (&s_self.heap[child], &last))
            break;
        s_self.heap[place] = s_self.heap[child];
    }
    s_self.heap[place] = last;
    return first;
}

/*  The broker's step is over at a time; what it waited for before does not matter any more.  */
static void s_wait (s_broker_t *broker, s_step_t step, int64_t at)
{
    broker->step = step;
    broker->event = ++s_self.events;
    s_put ((s_event_t){at, broker->event, (size_t) (broker - s_self.brokers)});
}

/*  The step takes so much of a processor of the database, and then so long.  */
static void s_work (s_broker_t *broker, s_step_t step, int64_t us, int64_t after)
{
    size_t first = 0;
    for (size_t place = 1; place < s_self.plan.processors; place++)
        if (s_self.free_at[place] < s_self.free_at[first])
            first = place;
    int64_t from = s_self.free_at[first] > s_self.now ? s_self.free_at[first] : s_self.now;
    s_self.free_at[first] = from + us;
    s_self.figures.busy += us;
    s_wait (broker, step, from + us + after);
}

/*  ---- The database ---------------------------------------------------------------------------- */

static int64_t s_database_clock (void)
{
    return s_self.now + s_self.jumped;
}

static s_row_t *s_row (const s_broker_t *broker)
{
    return &s_self.rows[broker->row];
}

/*  The one that it tries to take over.  */
static s_row_t *s_tried (const s_broker_t *broker)
{
    return &s_self.rows[broker->members[broker->place].id - 1];
}

static bool s_is_own (const s_broker_t *broker)
{
    return s_row (broker)->epoch == broker->epoch || s_self.bug == S_NO_FENCE;
}

/*  The statement of a transaction that renews the lease is committed.  */
static void s_renew (s_broker_t *broker)
{
    s_row_t *row = s_row (broker);
    int64_t left = row->until - s_database_clock ();
    if (row->holder != broker->row)
        s_fail ("broker %zu commits, and has lost its jobs", broker->row + 1);
    if (broker->well && left < s_self.figures.least)
        s_self.figures.least = left;
    row->until = s_database_clock () + RP_MEMBERSHIP_LEASE_US;
    row->renewed = s_self.now;
}

static void s_join (s_broker_t *broker)
{
    if (s_self.count == S_ROWS)
        s_fail ("brokers join again and again");
    broker->row = s_self.count++;
    broker->epoch = 1;
    broker->well = false;
    broker->membership.renewed = s_self.now + broker->ahead;
    s_self.rows[broker->row] = (s_row_t){.epoch = 1,
      .until = s_database_clock () + RP_MEMBERSHIP_LEASE_US,
      .renewed = s_self.now,
      .holder = broker->row,
      .lock = S_NONE};
}

static int s_by_until (const void *one, const void *other)
{
    int64_t before = ((const rp_member_t *) one)->until,
            after = ((const rp_member_t *) other)->until;
    return (before > after) - (before < after);
}

/*  What a look returns: the rows of those whose lease ends before the next one.  */
static void s_look (s_broker_t *broker)
{
    static rp_member_t found[S_ROWS];
    size_t count = 0;
    broker->others = 0;
    for (size_t place = 0; place < s_self.count; place++) {
        const s_row_t *row = &s_self.rows[place];
        if (row->holder != place || place == broker->row)
            continue;
        broker->others += broker->others < RP_MEMBERSHIP_OTHERS;
        int64_t left = row->until - s_database_clock ();
        if (left > RP_MEMBERSHIP_NEAR_US && s_self.bug != S_NO_LEASE)
            continue;
        found[count++] = (rp_member_t){.id = (int64_t) place + 1,
          .epoch = row->epoch,
          .holder = (int64_t) place + 1,
          .until = row->until,
          .left = s_self.bug == S_NO_LEASE ? 0 : left};
    }
    qsort (found, count, sizeof *found, s_by_until);
    broker->count = count < RP_MEMBERSHIP_MEMBERS ? count : RP_MEMBERSHIP_MEMBERS;
    memcpy (broker->members, found, broker->count * sizeof *found);
}

/*  The conditional update, which has the row's lock if it finds it.  */
static bool s_finds (const s_broker_t *broker)
{
    const rp_member_t *member = &broker->members[broker->place];
    const s_row_t *row = &s_self.rows[member->id - 1];
    return row->epoch == member->epoch && row->holder == (size_t) member->id - 1
           && ((row->until == member->until && row->until <= s_database_clock ())
               || s_self.bug == S_NO_LEASE);
}

/*  The broker whose own row it is, if it is well.  */
static bool s_is_well (size_t row)
{
    for (size_t index = 0; index < s_self.plan.brokers; index++) {
        const s_broker_t *broker = &s_self.brokers[index];
        if (broker->row == row)
            return broker->alive && !broker->frozen && broker->well;
    }
    return false;
}

static void s_adopt (const s_broker_t *broker)
{
    size_t place = (size_t) broker->members[broker->place].id - 1;
    s_row_t *row = &s_self.rows[place];
    s_renew ((s_broker_t *) broker);
    if (s_is_well (place))
        s_fail ("broker %zu is well, and loses its jobs to %zu", place + 1, broker->row + 1);
    if (s_self.now - row->renewed < RP_MEMBERSHIP_SEEN_US)
        s_fail ("broker %zu loses its jobs too soon after a sign of life", place + 1);
    row->epoch++;
    for (size_t other = 0; other < s_self.count; other++)
        if (s_self.rows[other].holder == place)
            s_self.rows[other].holder = broker->row;
    s_self.figures.waited[s_self.figures.taken++] = s_database_clock () - row->until;
}

/*  ---- A broker -------------------------------------------------------------------------------- */

static int64_t s_clock (const s_broker_t *broker)
{
    return s_self.now + broker->ahead;
}

/*  Lets go of the row, and of whoever waits for it.  */
static void s_unlock (const s_broker_t *broker)
{
    size_t own = (size_t) (broker - s_self.brokers);
    s_row_t *row = s_tried (broker);
    row->tries--;
    if (row->lock != own)
        return;
    row->lock = S_NONE;
    for (size_t index = 0; index < s_self.plan.brokers; index++) {
        s_broker_t *other = &s_self.brokers[index];
        if (other->step == S_HELD_UP && s_row (other) == row)
            s_wait (other, S_RENEW, s_self.now);
        else if (other->step == S_LOCK && s_tried (other) == row)
            s_wait (other, S_BEGIN, s_self.now); // looks again
    }
}

/*  Does what is due, or waits until something is.  */
static void s_idle (s_broker_t *broker)
{
    int64_t now = s_clock (broker);
    if (rp_membership_renews (&broker->membership, now)) {
        broker->membership.renewed = now;
        s_work (broker, S_RENEW, S_RENEW_US, 0);
    }
    else if (rp_membership_looks (&broker->membership, now)) {
        rp_membership_begin_look (&broker->membership, now);
        s_work (broker, S_LOOK, S_LOOK_US, 0);
    }
    else {
        int64_t late = s_self.plan.late > 0 ? (int64_t) s_draw ((uint64_t) s_self.plan.late) : 0;
        s_wait (broker, S_IDLE, rp_membership_due (&broker->membership) - broker->ahead + late);
    }
}

/*  Tries to take over the next one that the membership chooses.  */
static void s_choose (s_broker_t *broker)
{
    int64_t id = (int64_t) broker->row + 1;
    broker->place = rp_membership_choose (&broker->membership, broker->members, broker->count, id);
    if (broker->place == broker->count || s_self.bug == S_DEAF) {
        s_idle (broker);
        return;
    }
    s_row_t *row = s_tried (broker);
    if (++row->tries > s_self.figures.together)
        s_self.figures.together = row->tries;
    s_work (broker, S_BEGIN, 2 * S_PART_US, 2 * S_WAY_US);
}

static void s_fence (s_broker_t *broker)
{
    s_work (broker, S_JOIN, S_RENEW_US, S_SYNC_US + S_WAY_US);
}

/*  Wants the row of the other.  */
static void s_lock (s_broker_t *broker)
{
    s_row_t *row = s_tried (broker);
    if (row->lock != S_NONE) {
        s_wait (broker, S_LOCK, s_self.now + S_LOCK_US);
        return;
    }
    bool found = s_is_own (broker) && s_finds (broker);
    if (found)
        row->lock = (size_t) (broker - s_self.brokers);
    s_work (broker, found ? S_TAKE : S_ROLL_BACK, S_PART_US, S_WAY_US);
}

static void s_end_renewal (s_broker_t *broker)
{
    if (s_row (broker)->lock != S_NONE) {
        s_wait (broker, S_HELD_UP, s_self.now + S_LOCK_US);
    }
    else if (s_is_own (broker)) {
        s_wait (broker, S_RENEWED, s_self.now + S_SYNC_US + S_WAY_US);
        s_renew (broker);
        broker->well = true;
    }
    else {
        s_fence (broker);
    }
}

/*  A take-over has ended.  */
static void s_end_try (s_broker_t *broker, bool done)
{
    s_self.figures.transactions++;
    s_self.figures.vain += !done;
    if (!done && s_self.bug != S_GO_ON)
        rp_membership_give_way (&broker->membership);
    s_choose (broker);
}

static void s_see (s_broker_t *broker)
{
    s_self.figures.transactions++;
    if (s_self.bug == S_HASTY)
        broker->membership.took = -RP_MEMBERSHIP_SEEN_US / 2;
    if (s_self.bug == S_TWO_LOOKS)
        broker->membership.looked = INT64_MAX / 2;
    rp_membership_see (&broker->membership, broker->members, broker->count, broker->others,
      s_clock (broker), s_draw (UINT64_MAX));
    if (s_self.bug == S_ONE_LOOK)
        for (size_t place = 0; place < broker->count; place++)
            broker->members[place].silent = broker->members[place].left <= 0;
    if (s_self.bug == S_TWO_LOOKS && broker->count > 0)
        broker->membership.next = s_clock (broker);
    if (s_self.bug == S_SAME_FIRST)
        broker->membership.first = 0;
    s_choose (broker);
}

static void s_end_adoption (s_broker_t *broker)
{
    bool own = s_is_own (broker);
    if (own)
        s_adopt (broker);
    s_unlock (broker);
    if (own)
        s_wait (broker, S_TAKEN, s_self.now + S_WAY_US);
    else
        s_fence (broker);
}

/*  Whatever transaction it is in ends, and commits nothing.  */
static void s_break (s_broker_t *broker)
{
    if (broker->step >= S_BEGIN && broker->step <= S_ROLL_BACK && broker->step != S_TAKEN)
        s_unlock (broker);
    broker->event = 0;
    broker->step = S_IDLE;
    broker->well = false;
}

static void s_freeze (s_broker_t *broker)
{
    if (broker->step >= S_BEGIN && broker->step <= S_ROLL_BACK)
        s_break (broker); // the database ends a transaction that says no more
    broker->frozen = true;
    broker->freezes = false;
    broker->well = false;
}

/*  The end of a broker's step.  */
static void s_go_on (s_broker_t *broker)
{
    switch (broker->step) {
        case S_IDLE:
            s_idle (broker);
            break;
        case S_HELD_UP:
        case S_RENEW:
            s_end_renewal (broker);
            break;
        case S_RENEWED:
            s_self.figures.transactions++;
            broker->membership.took = s_clock (broker) - broker->membership.renewed;
            s_idle (broker);
            break;
        case S_LOOK:
            s_look (broker);
            s_work (broker, S_LOOKED, (int64_t) broker->count * S_ROW_US, S_WAY_US);
            break;
        case S_LOOKED:
            if (broker->freezes)
                s_freeze (broker);
            else
                s_see (broker);
            break;
        case S_BEGIN:
            s_lock (broker);
            break;
        case S_LOCK: // for too long
            s_work (broker, S_ROLL_BACK, S_PART_US, S_WAY_US);
            break;
        case S_TAKE:
            s_work (broker, S_COMMIT, 2 * S_PART_US, S_SYNC_US + S_WAY_US);
            break;
        case S_COMMIT:
            s_end_adoption (broker);
            break;
        case S_TAKEN:
            s_end_try (broker, true);
            break;
        case S_ROLL_BACK:
            s_unlock (broker);
            s_end_try (broker, false);
            break;
        case S_JOIN:
            s_self.figures.transactions++;
            s_join (broker);
            s_idle (broker);
            break;
    }
}

static void s_kill (s_broker_t *broker)
{
    s_break (broker);
    broker->alive = broker->frozen = false;
    s_row (broker)->died = s_self.now;
}

/*  ---- A seed ---------------------------------------------------------------------------------- */

/*  Runs until a time.  */
static void s_run_until (int64_t at)
{
    while (s_self.waiting > 0 && s_self.heap[0].at <= at) {
        s_event_t event = s_take ();
        s_broker_t *broker = &s_self.brokers[event.broker];
        s_self.now = event.at;
        if (broker->event == event.number && broker->alive && !broker->frozen)
            s_go_on (broker);
    }
    s_self.now = at;
}

/*  So long nothing is done by the database. If that comes again before all have renewed their leases, or just after its
    clock was set, a broker may lose its jobs that is well.  */
static void s_stand_still (int64_t us)
{
    for (size_t index = 0; s_self.now < s_self.stood && index < s_self.plan.brokers; index++)
        s_self.brokers[index].well = false;
    s_self.stood = s_self.now + us + RP_MEMBERSHIP_LEASE_US;
    for (size_t place = 0; place < s_self.plan.processors; place++)
        s_self.free_at[place] =
          (s_self.free_at[place] > s_self.now ? s_self.free_at[place] : s_self.now) + us;
}

/*  Sets the database's clock forward.  */
static void s_set_clock (int64_t us)
{
    s_self.jumped += us;
    if (s_self.stood < s_self.now + RP_MEMBERSHIP_SEEN_US)
        s_self.stood = s_self.now + RP_MEMBERSHIP_SEEN_US;
}

static void s_begin (uint64_t seed, int bug, s_plan_t plan)
{
    memset (&s_self, 0, offsetof (s_world_t, brokers)); // of these, what is used
    memset (s_self.brokers, 0, plan.brokers * sizeof *s_self.brokers);
    s_self.seed = seed;
    s_self.random = seed * 0xd1342543de82ef95u;
    s_self.bug = bug;
    s_self.plan = plan;
    s_self.figures.least = RP_MEMBERSHIP_LEASE_US;
    for (size_t index = 0; index < plan.brokers; index++) {
        s_broker_t *broker = &s_self.brokers[index];
        broker->ahead = (int64_t) s_draw (UINT64_C (7200000000));
        broker->alive = true;
        s_join (broker);
        broker->membership.next = s_clock (broker) + (int64_t) s_draw (RP_MEMBERSHIP_LOOK_US);
        broker->membership.renewed -= (int64_t) s_draw (RP_MEMBERSHIP_RENEW_US);
        s_idle (broker);
    }
}

/*  So many die at once, which is not more than all but one.  */
static void s_kill_some (unsigned count)
{
    for (; count > 0; count--) {
        size_t index = s_draw (s_self.plan.brokers);
        while (!s_self.brokers[index].alive)
            index = (index + 1) % s_self.plan.brokers;
        s_kill (&s_self.brokers[index]);
    }
}

static unsigned s_orphans (void)
{
    unsigned count = 0;
    for (size_t place = 0; place < s_self.count; place++)
        count += s_self.rows[place].died && s_self.rows[place].holder == place;
    return count;
}

/*  It goes on with what it did, which may be long out of date.  */
static void s_wake (s_broker_t *broker)
{
    broker->frozen = false;
    s_wait (broker, broker->step, s_self.now);
}

static void s_disturb (void)
{
    s_broker_t *broker = &s_self.brokers[s_draw (s_self.plan.brokers)];
    uint64_t what = s_draw (11);
    if (what == 10)
        s_set_clock ((int64_t) s_draw (3600 * S_SECOND));
    else if (what == 0)
        s_stand_still ((int64_t) s_draw (2 * RP_MEMBERSHIP_LEASE_US));
    else if (broker->frozen)
        s_wake (broker);
    else if (broker->alive && what < 3)
        s_kill (broker);
    else if (broker->alive && what < 6)
        s_freeze (broker);
    else
        broker->freezes = true;
}

/*  Few brokers, and much happens to them; one is well in the end, and has what the others have left.  */
static void s_run_troubled (uint64_t seed, int bug)
{
    s_self.random = seed;
    s_plan_t plan = {.brokers = 2 + (unsigned) s_draw (12),
      .processors = 1 + (unsigned) s_draw (4),
      .late = S_SECOND / 2};
    s_begin (seed, bug, plan);
    for (unsigned time = 40; time > 0; time--) {
        s_run_until (s_self.now + (int64_t) s_draw (3 * S_SECOND));
        s_disturb ();
    }
    s_broker_t *last = &s_self.brokers[s_draw (plan.brokers)];
    if (!last->alive) { // as a new one
        last->alive = true;
        s_join (last);
        s_idle (last);
    }
    last->freezes = false;
    if (last->frozen)
        s_wake (last);
    for (size_t index = 0; index < plan.brokers; index++)
        if (&s_self.brokers[index] != last && s_self.brokers[index].alive)
            s_kill (&s_self.brokers[index]);
    for (size_t place = 0; place < plan.processors; place++)
        if (s_self.free_at[place] > s_self.now)
            s_run_until (s_self.free_at[place]);
    s_run_until (s_self.now + S_SECOND); // it knows its own row
    s_run_until (s_self.now + RP_MEMBERSHIP_LEASE_US + S_ADOPTED_US);
    for (size_t place = 0; place < s_self.count; place++)
        if (s_self.rows[place].holder != last->row)
            s_fail ("the jobs of broker %zu are still nobody's", place + 1);
}

static int s_by_time (const void *one, const void *other)
{
    int64_t before = *(const int64_t *) one, after = *(const int64_t *) other;
    return (before > after) - (before < after);
}

static int64_t s_waited (unsigned percent)
{
    return s_self.figures.waited[(s_self.figures.taken - 1) * percent / 100];
}

static void s_sort_waited (void)
{
    qsort (s_self.figures.waited, s_self.figures.taken, sizeof *s_self.figures.waited, s_by_time);
}

/*  One broker takes over a hundred in a second; what is gone is shared by those that are left, who do not hinder each other.  */
static void s_check_figures (s_plan_t plan)
{
    const s_figures_t *figures = &s_self.figures;
    int64_t bound = S_ADOPTED_US + plan.die / (plan.brokers - plan.die) * 20 * S_MS;
    s_sort_waited ();
    if (s_waited (100) > bound)
        s_fail (
          "the jobs of a broker are nobody's for %" PRId64 " us after its lease", s_waited (100));
    if (figures->together > S_TOGETHER)
        s_fail ("%u brokers try to take over the same one", figures->together);
    if (figures->vain > plan.die + S_TOGETHER)
        s_fail ("%" PRIu64 " tries to take over %u come to nothing", figures->vain, plan.die);
    if (figures->least < 2 * S_SECOND)
        s_fail ("a broker that is well has a lease of %" PRId64 " us left", figures->least);
}

/*  Many brokers, of which many die at once, after the database stood still for some time or not at all.  */
static void s_run_many (uint64_t seed, int bug, s_plan_t plan)
{
    s_begin (seed, bug, plan);
    s_run_until (10 * S_SECOND);
    if (plan.stands) {
        s_stand_still (plan.stands);
        s_run_until (s_self.now + plan.stands + 5 * S_SECOND);
        s_self.figures.least = RP_MEMBERSHIP_LEASE_US;
    }
    s_kill_some (plan.die);
    for (unsigned second = 0; s_orphans () > 0 && second < 60; second++) {
        int64_t busy = s_self.figures.busy;
        s_run_until (s_self.now + S_SECOND);
        if (s_self.figures.busy - busy > s_self.figures.busiest)
            s_self.figures.busiest = s_self.figures.busy - busy;
    }
    if (s_orphans () > 0)
        s_fail ("%u of %u are still nobody's", s_orphans (), plan.die);
    s_check_figures (plan);
}

/*  ---- At scale -------------------------------------------------------------------------------- */

/*  What brokers that are well cost, and what they cost when some have died.  */
static void s_print_row (s_plan_t plan)
{
    s_begin (1, -1, plan);
    s_run_until (10 * S_SECOND);
    s_figures_t before = s_self.figures;
    s_run_until (20 * S_SECOND);
    double rate = (double) (s_self.figures.transactions - before.transactions) / 10;
    double busy = (double) (s_self.figures.busy - before.busy) / (10 * S_SECOND);
    s_run_many (1, -1, plan);
    printf ("| %u | %u | %s | %.0f | %.2f | %.2f | %.2f | %.2f | %" PRIu64 " | %u | %.1f |\n",
      plan.brokers, plan.die, plan.stands ? "yes" : "no", rate, busy,
      (double) s_self.figures.busiest / S_SECOND, (double) s_waited (50) / S_SECOND,
      (double) s_waited (100) / S_SECOND, s_self.figures.vain, s_self.figures.together,
      (double) s_self.figures.least / S_SECOND);
}

static void s_print_scale (unsigned brokers, unsigned processors)
{
    static const unsigned dies[] = {1, 10, 100, 500, 999};
    printf ("| Brokers | Die at once | After a standstill | Transactions a second | Processors "
            "busy | Most | Adopted "
            "after its lease, median, s | Last, s | Tries in vain | At one, most | Least left of a "
            "lease, s |\n"
            "|---|---|---|---|---|---|---|---|---|---|\n");
    for (unsigned stands = 0; stands < 2; stands++)
        for (size_t index = 0; index < sizeof dies / sizeof *dies && dies[index] < brokers; index++)
            s_print_row ((s_plan_t){.brokers = brokers,
              .processors = processors,
              .die = dies[index],
              .stands = stands * 8 * S_SECOND});
}

/*  ---- Command line ---------------------------------------------------------------------------- */

static void s_run (uint64_t seed, int bug)
{
    s_run_troubled (seed, bug);
    s_self.random = seed;
    s_plan_t plan = {.brokers = 2 + (unsigned) s_draw (100), .processors = 2};
    plan.die = 1 + (unsigned) s_draw (plan.brokers - 1);
    plan.stands = s_draw (2) ? 8 * S_SECOND : 0;
    if (bug == S_SAME_FIRST) // which bites when there are many
        plan = (s_plan_t){.brokers = 1000, .processors = 8, .die = 500, .stands = 8 * S_SECOND};
    s_run_many (seed, bug, plan);
}

/*  Runs a seed with a bug in a process of its own, which ends where it is caught: by a check here, or by a broken
    invariant.  */
static bool s_is_caught (uint64_t seed, int bug)
{
    fflush (stdout);
    pid_t child = fork ();
    if (child == 0) {
        s_quiet = true;
        if (!freopen ("/dev/null", "w", stderr))
            _exit (0);
        s_run (seed, bug);
        _exit (0);
    }
    int status = 0;
    if (child < 0 || waitpid (child, &status, 0) != child) {
        perror ("simulator_membership");
        exit (2);
    }
    return !WIFEXITED (status) || WEXITSTATUS (status) != 0;
}

/*  Runs seeds with each bug until one is caught. Returns how many are not.  */
static unsigned s_run_bugs (uint64_t most)
{
    unsigned missed = 0;
    for (int bug = 0; bug < S_BUG_COUNT; bug++) {
        uint64_t seed = 1;
        while (seed <= most && !s_is_caught (seed, bug))
            seed++;
        if (seed > most) {
            printf ("%s: not caught in %" PRIu64 " seeds\n", s_bug_names[bug], most);
            missed++;
        }
        else {
            printf ("%s: caught with seed %" PRIu64 "\n", s_bug_names[bug], seed);
        }
    }
    return missed;
}

static bool s_number (const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull (text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/*  Reads the words of --scale. False: they are wrong.  */
static bool s_read_scale (int argc, char **argv, uint64_t *brokers, uint64_t *processors)
{
    *processors = 8;
    return s_number (argv[2], brokers) && (argc == 3 || s_number (argv[3], processors))
           && *brokers >= 2 && *brokers <= S_BROKERS && *processors >= 1
           && *processors <= S_PROCESSORS;
}

int main (int argc, char **argv)
{
    uint64_t first, count = 1;
    bool bugs = argc == 3 && strcmp (argv[1], "--bugs") == 0;
    bool scale = (argc == 3 || argc == 4) && strcmp (argv[1], "--scale") == 0;
    if (scale && s_read_scale (argc, argv, &first, &count)) {
        s_print_scale ((unsigned) first, (unsigned) count);
        return 0;
    }
    if (scale || argc < 2 || argc > 3 || (!bugs && !s_number (argv[1], &first))
        || (argc > 2 && !s_number (argv[2], &count))) {
        fprintf (stderr, "usage: simulator_membership SEED [COUNT]\n"
                         "       simulator_membership --bugs COUNT\n"
                         "       simulator_membership --scale BROKERS [PROCESSORS]\n");
        return 2;
    }
    if (bugs)
        return s_run_bugs (count) > 0;
    clock_t begin = clock ();
    for (uint64_t seed = first; seed - first < count; seed++)
        s_run (seed, -1);
    printf ("%" PRIu64 " seeds, nothing wrong, %.1f s\n", count,
      (double) (clock () - begin) / CLOCKS_PER_SEC);
    return 0;
}
