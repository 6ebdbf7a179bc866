/*  Simulator: the broker's core under random events from a seed, with the auditor after every step.

    SPDX-License-Identifier: MPL-2.0

    simulator SEED [COUNT [DIRECTORY]]   runs COUNT seeds (1), from SEED on. DIRECTORY: writes the
    histories of each there, for tests/history/check.py.
    simulator --bugs COUNT   runs seeds with each bug that the auditor knows until it is caught; COUNT seeds
    at most.

    A seed that fails is printed with its fault; run alone, it fails in the same way again.
    Exit code 0: no fault (--bugs: each was caught); 1: a fault; 2: wrong usage.
*/

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/simulator/record.h"
#include "tests/simulator/timeline.h"

/*  Steps of one seed: enough for every queue to fill and drain, and for sessions to begin and
    end.  */
#define S_STEPS_MIN 20u
#define S_STEPS_MAX 500u

static uint64_t s_seed;
static record_t s_record;
static audit_bug_t s_bug;

typedef struct {
    uint64_t random;
    record_t *record; /* NULL: none */
    audit_t *audit;
} s_simulation_t;

static void s_fail (const char *text)
{
    if (s_bug != AUDIT_BUG_NONE) {
        printf (" caught with seed %" PRIu64 ": %s\n", s_seed, text);
        fflush (stdout);
        _exit (0);
    }
    printf ("seed %" PRIu64 ": %s\nagain: simulator %" PRIu64 "\n", s_seed, text, s_seed);
    if (s_record.peers)
        record_end (&s_record); // saves the histories so far
    exit (1);
}

static unsigned s_draw (unsigned below, void *arg)
{
    s_simulation_t *self = arg;
    uint64_t value = self->random += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return (unsigned) ((value ^ (value >> 31)) % below);
}

static void s_before (const rp_event_t *event, void *arg)
{
    s_simulation_t *self = ((sequence_t *) arg)->arg;
    record_event (self->record, event);
}

static void s_observe (const rp_action_t *action, rp_payload_t *message, void *arg)
{
    s_simulation_t *self = arg;
    timeline_action (self->audit, action);
    if (self->record)
        record_action (self->record, action, message);
}

/*  With a bug, each sequence has what the bug is about, and not what would only make that rarer.  */
static void s_focus (sequence_t *self)
{
    self->streams = s_bug >= AUDIT_BUG_IGNORE_GRANT && s_bug <= AUDIT_BUG_NEVER_SILENT;
    self->hedging = s_bug >= AUDIT_BUG_KEEP_LOSER;
    if (s_bug <= AUDIT_BUG_AGE_AT_ONCE)
        self->prioritised = true;
    if (s_bug == AUDIT_BUG_IGNORE_CONCURRENCY || s_bug == AUDIT_BUG_IGNORE_RATE)
        self->throttled = true;
    else if (s_bug <= AUDIT_BUG_AGE_AT_ONCE)
        self->throttled = false;
}

static void s_run (const char *directory)
{
    static sequence_t sequence;
    // Gives neighbouring seeds different sequences.
    s_simulation_t self = {.random = s_seed * 0xd1342543de82ef95u};
    timeline_begin ();
    self.audit = &sequence.audit;
    sequence_begin (&sequence, s_draw, s_observe, &self, s_fail);
    audit_set_bug (&sequence.audit, s_bug);
    if (s_bug != AUDIT_BUG_NONE)
        s_focus (&sequence);
    if (directory) {
        if (!record_begin (&s_record, &sequence, directory, s_seed))
            s_fail (strerror (errno));
        self.record = &s_record;
        sequence.audit.before = s_before;
    }
    unsigned steps = S_STEPS_MIN + s_draw (S_STEPS_MAX - S_STEPS_MIN, &self);
    while (steps-- > 0)
        sequence_step (&sequence);
    // Ends all requests, so that each has its final status in the history.
    if (directory) {
        audit_tick (&sequence.audit, sequence.audit.now);
        audit_stop (&sequence.audit);
        audit_tick (&sequence.audit, sequence.audit.now);
        if (!record_end (&s_record))
            s_fail ("cannot write its history");
        self.record = NULL;
    }
    sequence_end (&sequence);
}

/*  Runs seeds with a bug until it is caught, in a process of its own, which ends there.  */
static bool s_is_caught (uint64_t most)
{
    fflush (stdout);
    pid_t child = fork ();
    if (child == 0) {
        for (s_seed = 1; s_seed <= most; s_seed++)
            s_run (NULL);
        printf (" not caught in %" PRIu64 " seeds\n", most);
        fflush (stdout);
        _exit (1);
    }
    int status = 0;
    if (child < 0 || waitpid (child, &status, 0) != child) {
        perror ("simulator");
        exit (2);
    }
    return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static int s_run_bugs (uint64_t most)
{
    static const char *const names[] = {"",
#define S_BUG_NAME(name, text) text,
      AUDIT_BUG_MAP (S_BUG_NAME)
#undef S_BUG_NAME
    };
    int missed = 0;
    for (s_bug = 1; s_bug < AUDIT_BUG_COUNT; s_bug++) {
        printf ("%s:", names[s_bug]);
        missed += !s_is_caught (most);
    }
    return missed > 0;
}

static bool s_number (const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull (text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

int main (int argc, char **argv)
{
    uint64_t first, count = 1;
    bool bugs = argc == 3 && strcmp (argv[1], "--bugs") == 0;
    if (argc < 2 || argc > 4 || (!bugs && !s_number (argv[1], &first))
        || (argc > 2 && !s_number (argv[2], &count))) {
        fprintf (
          stderr, "usage: simulator SEED [COUNT [DIRECTORY]]\n       simulator --bugs COUNT\n");
        return 2;
    }
    if (bugs)
        return s_run_bugs (count);
    clock_t begin = clock ();
    for (s_seed = first; s_seed - first < count; s_seed++)
        s_run (argc > 3 ? argv[3] : NULL);
    printf ("%" PRIu64 " seeds, nothing wrong, %.1f s\n", count,
      (double) (clock () - begin) / CLOCKS_PER_SEC);
    return 0;
}
