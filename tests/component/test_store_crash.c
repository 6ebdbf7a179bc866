/*  The store of jobs when its process is killed, its machine loses power, or its disk fails: what was
    reported SAFE is there, and what was refused is not.

    SPDX-License-Identifier: MPL-2.0

    With RIPOSTE_LONG=1 there are many more runs.
*/

#include "broker/store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <riposte/error.h>

#include "tests/support/disk.h"
#include "tests/support/shelf.h"

/*  Operations that wait at once in the child.  */
#define S_OPEN 64
#define S_BODY_MAX 6000
#define S_JOBS 200000

static test_shelf_t s_shelf;
static test_shelf_t *const shelf = &s_shelf;
static uint64_t s_random = 88172645463325252u;

static int s_setup (void **state)
{
    (void) state;
    test_disk_reset ();
    test_shelf_init (shelf);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_shelf_clear (shelf);
    return 0;
}

static uint64_t s_chance (uint64_t bound)
{
    s_random ^= s_random << 13;
    s_random ^= s_random >> 7;
    s_random ^= s_random << 17;
    return s_random % bound;
}

static unsigned s_runs (unsigned usual, unsigned large)
{
    return getenv ("RIPOSTE_LONG") ? large : usual;
}

/*  The body of a job, and of its reply, by its place in the child's work.  */
static rp_store_span_t s_body (uint64_t place)
{
    static char bytes[256 + S_BODY_MAX];
    if (bytes[0] == 0)
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (char) (1 + at * 37 % 251);
    return (rp_store_span_t){.data = bytes + place % 251, .size = place * 7919 % S_BODY_MAX};
}

/*  ---- The child -------------------------------------------------------------------------------- */

/*  What the child says of a result.  */
typedef struct {
    uint64_t place;
    uint64_t id;
    bool final;
} s_word_t;

static bool s_child_submit (uint64_t place, uint64_t id)
{
    rp_store_job_t job = test_job ();
    rp_store_op_t op = id ? test_final (id, RP_OK) : test_put (&job);
    op.number = ++shelf->number;
    op.code = (uint32_t) place;
    rp_store_span_t body = s_body (place);
    if (id == 0 && place % 3 == 0) {
        op.attempt = 1;
        op.worker = "w";
    }
    return rp_store_submit (
      shelf->store, &op, &body, 1, (void *) (uintptr_t) place); // the place comes back
}

/*  Puts jobs, ends them, and says each result that is SAFE, until it is killed. Nothing of cmocka's may
    be called.  */
static void s_child (int words)
{
    uint64_t place = 0;
    shelf->store = rp_store_open (&shelf->settings, shelf->text);
    if (!shelf->store)
        _exit (1);
    for (int index = 0; index < S_OPEN; index++)
        if (!s_child_submit (++place, 0))
            _exit (1);
    for (;;) {
        rp_stored_t result;
        if (!test_shelf_take (shelf, &result) || result.outcome != RP_STORED_SAFE)
            _exit (1);
        s_word_t word = {.place = (uint64_t) (uintptr_t) result.kept,
          .id = result.id,
          .final = result.kind == RP_STORE_FINAL};
        if (write (words, &word, sizeof word) != sizeof word)
            _exit (1);
        bool ends = !word.final && word.place % 8 != 0;
        if (!s_child_submit (ends ? word.place : ++place, ends ? word.id : 0))
            _exit (1);
    }
}

/*  ---- The parent ------------------------------------------------------------------------------- */

/*  What the child has said, by id.  */
typedef struct {
    uint64_t places[S_JOBS];
    bool finals[S_JOBS];
    uint64_t last;
} s_said_t;
static s_said_t s_said;

static void s_hear (const s_word_t *word)
{
    if (word->id >= S_JOBS)
        return;
    s_said.places[word->id] = word->place;
    s_said.finals[word->id] |= word->final;
    if (word->id > s_said.last)
        s_said.last = word->id;
}

/*  Reads a word; false when the child has ended.  */
static bool s_read (int words, s_word_t *word)
{
    ssize_t size;
    do
        size = read (words, word, sizeof *word);
    while (size < 0 && errno == EINTR);
    assert_true (size == 0 || size == sizeof *word);
    return size > 0;
}

/*  Lets a child work until it has said so many words, kills it, and hears the rest.  */
static void s_run_child (unsigned count)
{
    int words[2];
    s_word_t word;
    assert_int_equal (pipe (words), 0);
    pid_t child = fork ();
    assert_true (child >= 0);
    if (child == 0) {
        close (words[0]);
        s_child (words[1]);
    }
    close (words[1]);
    for (unsigned heard = 0; heard < count; heard++) {
        assert_true (s_read (words[0], &word)); // it does not end by itself
        s_hear (&word);
    }
    assert_int_equal (kill (child, SIGKILL), 0);
    while (s_read (words[0], &word))
        s_hear (&word);
    close (words[0]);
    int status;
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFSIGNALED (status));
}

static bool s_is_body (const rp_store_span_t *frames, size_t count, uint64_t place)
{
    rp_store_span_t body = s_body (place);
    return count == 1 && frames[0].size == body.size
           && memcmp (frames[0].data, body.data, body.size) == 0;
}

/*  Returns how many of the results that were said are not in the store; nothing may be wrong.  */
static unsigned s_count_lost (void)
{
    unsigned lost = 0;
    for (uint64_t id = 1; id <= s_said.last; id++) {
        rp_stored_t result;
        uint64_t place = s_said.places[id];
        if (place == 0)
            continue;
        const rp_store_row_t *row = test_shelf_find (shelf, id, &result);
        if (!row || !s_is_body (row->body, row->body_count, place)) {
            lost++; // or the id was given again
        }
        else if (s_said.finals[id]
                 && (row->state != RP_JOB_DONE || row->code != (uint32_t) place
                     || !s_is_body (row->reply, row->reply_count, place))) {
            lost++;
        }
        rp_stored_clear (&result);
    }
    return lost;
}

/*  Kills a child, then looks; the next child goes on with the same file.  */
static unsigned s_kill_and_count (unsigned runs, unsigned words)
{
    const rp_store_settings_t settings = shelf->settings;
    unsigned lost = 0;
    s_said = (s_said_t){.last = 0};
    for (unsigned run = 0; run < runs; run++) {
        test_disk.chance = 1 + s_chance (UINT64_MAX - 1);
        shelf->settings = settings;
        s_run_child ((unsigned) s_chance (words));
        shelf->settings = (rp_store_settings_t){.path = shelf->path};
        test_shelf_open (shelf);
        lost += s_count_lost ();
        test_shelf_close (shelf);
    }
    print_message ("%u kills, %" PRIu64 " jobs, %u results lost\n", runs, s_said.last, lost);
    return lost;
}

static void test_a_killed_process_loses_nothing (void **state)
{
    (void) state;
    assert_int_equal (s_kill_and_count (s_runs (6, 300), 1500), 0);
}

static void test_a_power_loss_loses_nothing (void **state)
{
    (void) state;
    shelf->settings.vfs = TEST_DISK;
    test_disk.forgetful = true;
    assert_int_equal (s_kill_and_count (s_runs (6, 500), 2000), 0);
}

/*  A broker that has been killed answers ordinary requests while its store takes in the log: that waits for
    the disk, so it is no part of the opening.  */
static void test_the_opening_after_a_kill_waits_for_no_sync (void **state)
{
    (void) state;
    s_said = (s_said_t){.last = 0};
    s_run_child (1000);
    shelf->settings.vfs = TEST_DISK;
    uint64_t calls = test_disk.calls;
    rp_backend_t *backend = rp_sqlite_open (&shelf->settings, shelf->text);
    assert_non_null (backend);
    assert_int_equal (test_disk.calls, calls);
    bool did = false;
    assert_int_equal (backend->functions->tidy (backend, true, &did), RP_BACKEND_OK);
    assert_true (did);
    assert_true (test_disk.syncs > 0);
    backend->functions->close (backend);
    shelf->settings.vfs = NULL;
    test_shelf_open (shelf);
    assert_int_equal (s_count_lost (), 0);
}

/*  That a power loss can be seen: without syncs there is loss. A file that is refused, because what is
    left of it is damaged, is all lost.  */
static void test_without_syncs_a_power_loss_loses_jobs (void **state)
{
    (void) state;
    shelf->settings.vfs = TEST_DISK;
    shelf->settings.unsynced = true;
    test_disk.forgetful = true;
    s_said = (s_said_t){.last = 0};
    s_run_child (2000);
    const rp_store_settings_t plain = {.path = shelf->path};
    shelf->store = rp_store_open (&plain, shelf->text);
    unsigned lost = 0;
    if (shelf->store) {
        for (uint64_t id = 1; id <= s_said.last; id++) {
            rp_stored_t result =
              test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
            lost += s_said.places[id] != 0 && result.outcome != RP_STORED_SAFE;
            rp_stored_clear (&result);
        }
    }
    else {
        print_message ("%s\n", shelf->text);
        lost = (unsigned) s_said.last;
    }
    print_message ("%u of %" PRIu64 " jobs lost\n", lost, s_said.last);
    assert_true (lost > 0);
}

/*  ---- Faults ----------------------------------------------------------------------------------- */

#define S_ROUNDS 25
#define S_ROUND 20
#define S_COUNT (S_ROUNDS * S_ROUND)

/*  A job of the run with faults: what came of it.  */
typedef struct {
    uint64_t id;
    rp_stored_outcome_t put;
    rp_stored_outcome_t final;
    bool ended; /* a FINAL was submitted */
} s_fate_t;

static s_fate_t s_fates[S_COUNT + 1];

static void s_submit_body (rp_store_op_t op, uint64_t place)
{
    rp_store_span_t body = s_body (place);
    op.number = ++shelf->number;
    assert_true (rp_store_submit (shelf->store, &op, &body, 1, NULL));
}

/*  Puts jobs, and then ends those that were taken: a thousand operations in all. False when the store
    is broken.  */
static bool s_work (void)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    for (unsigned round = 0; round < S_ROUNDS; round++) {
        s_fate_t *fates = &s_fates[1 + round * S_ROUND];
        for (unsigned index = 0; index < S_ROUND; index++)
            s_submit_body (test_put (&job), 1 + round * S_ROUND + index);
        for (unsigned index = 0; index < S_ROUND; index++) {
            assert_true (test_shelf_take (shelf, &result));
            fates[index].put = result.outcome;
            fates[index].id = result.id;
        }
        for (unsigned index = 0; index < S_ROUND; index++) {
            fates[index].ended = fates[index].put == RP_STORED_SAFE;
            if (fates[index].ended)
                s_submit_body (test_final (fates[index].id, RP_OK), 1 + round * S_ROUND + index);
        }
        for (unsigned index = 0; index < S_ROUND; index++) {
            if (!fates[index].ended)
                continue;
            assert_true (test_shelf_take (shelf, &result));
            fates[index].final = result.outcome;
        }
        if (fates[0].put == RP_STORED_BROKEN)
            return false;
    }
    return true;
}

/*  Holds what is in the file against what was said. Where it was BROKEN, both may be.  */
static void s_check_fates (void)
{
    size_t taken = 0;
    bool broken = false;
    for (unsigned place = 1; place <= S_COUNT; place++) {
        const s_fate_t *fate = &s_fates[place];
        rp_stored_t result;
        broken |= fate->put == RP_STORED_BROKEN;
        if (fate->id == 0 || fate->put != RP_STORED_SAFE)
            continue; // also what was not submitted any more
        taken++;
        const rp_store_row_t *row = test_shelf_find (shelf, fate->id, &result);
        assert_non_null (row);
        assert_true (s_is_body (row->body, row->body_count, place));
        broken |= fate->ended && fate->final == RP_STORED_BROKEN;
        if (fate->ended && fate->final == RP_STORED_SAFE) {
            assert_int_equal (row->state, RP_JOB_DONE);
            assert_true (s_is_body (row->reply, row->reply_count, place));
        }
        else if (!fate->ended || fate->final == RP_STORED_FULL) {
            assert_int_equal (row->state, RP_JOB_WAITING);
        }
        rp_stored_clear (&result);
    }
    if (broken)
        return;
    rp_stored_t result = test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_LIST}, NULL);
    assert_int_equal (result.rows->count, taken); // what was FULL is not there
    rp_stored_clear (&result);
}

/*  One run in which a call fails. Returns how many calls there were.  */
static uint64_t s_run_with_fault (uint64_t fails, test_disk_fault_t fault, unsigned outcomes[])
{
    test_disk_reset ();
    test_disk.fails = fails;
    test_disk.fault = fault;
    test_disk.forgetful = fault == TEST_DISK_LOST;
    memset (s_fates, 0, sizeof s_fates);
    shelf->settings.vfs = TEST_DISK;
    shelf->number = 0;
    shelf->store = rp_store_open (&shelf->settings, shelf->text);
    bool whole = shelf->store && s_work ();
    outcomes[!shelf->store ? 0 : whole ? 1 : 2]++;
    if (!shelf->store)
        assert_string_not_equal (shelf->text, "");
    rp_store_close (&shelf->store);
    uint64_t calls = test_disk.calls;
    test_disk.fails = 0;
    test_disk.forgetful = false; // and no real syncs, which take most of the time
    test_shelf_open (shelf);
    s_check_fates ();
    test_shelf_clear (shelf);
    test_shelf_init (shelf);
    return calls;
}

static void test_no_fault_of_the_disk_is_told_wrongly (void **state)
{
    (void) state;
    unsigned outcomes[3] = {0};
    uint64_t calls = s_run_with_fault (0, TEST_DISK_EIO, outcomes);
    uint64_t step = s_runs (151, 1);
    unsigned runs = 0;
    for (test_disk_fault_t fault = TEST_DISK_EIO; fault < TEST_DISK_FAULTS; fault++)
        for (uint64_t fails = 1 + s_chance (step); fails <= calls; fails += step, runs++)
            (void) s_run_with_fault (fails, fault, outcomes);
    print_message ("%u runs, of %" PRIu64 " calls each: %u not opened, %u went on, %u broken\n",
      runs, calls, outcomes[0], outcomes[1], outcomes[2]);
    assert_true (outcomes[2] > 0);
    assert_true (outcomes[1] > 1);
}

/*  SQLite alone would go on, begin the log anew, and lose what the disk has not written.  */
static void test_a_failed_checkpoint_ends_the_store (void **state)
{
    (void) state;
    shelf->settings.vfs = TEST_DISK;
    test_disk.forgetful = true;
    test_disk.fault = TEST_DISK_LOST;
    memset (s_fates, 0, sizeof s_fates);
    test_shelf_open (shelf);
    test_disk.fails_checkpoint = test_disk.checkpoint_syncs + 1;
    assert_false (s_work ());
    rp_store_figures_t figures;
    rp_store_figures (shelf->store, &figures);
    assert_true (figures.broken);
    assert_true (figures.outcomes[RP_STORED_SAFE] > 100);
    test_shelf_reopen (shelf);
    s_check_fates ();
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (test_a_killed_process_loses_nothing),
      S_TEST (test_a_power_loss_loses_nothing),
      S_TEST (test_the_opening_after_a_kill_waits_for_no_sync),
      S_TEST (test_without_syncs_a_power_loss_loses_jobs),
      S_TEST (test_no_fault_of_the_disk_is_told_wrongly),
      S_TEST (test_a_failed_checkpoint_ends_the_store),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
