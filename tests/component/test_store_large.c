/*  The store of jobs with very many of them: 50,000; with RIPOSTE_LONG=1 a million.

    SPDX-License-Identifier: MPL-2.0

    The disk is one that syncs at once, so that its time is left out; and the bounds are of CPU time, which
    other work of the machine does not change.
*/

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <riposte/error.h>

#include "broker/store/page_sums.h"
#include "common/io/clock.h"
#include "tests/support/disk.h"
#include "tests/support/patience.h"
#include "tests/support/shelf.h"

#define S_BATCH 2000
#define S_SERVICES 50
#define S_BODY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/*  The longest that anybody may wait for one put while others are cleaned up, µs.  */
#define S_PAUSE_US (50000 * TEST_PATIENCE)
/*  The longest that it may take to open a store and list its services, and to load all jobs, µs.  */
#define S_LIST_US 500000
#define S_LOAD_US 4500000
/*  Jobs of a service that a broker loads at once.  */
#define S_PAGE 1000

static test_shelf_t s_shelf;
static test_shelf_t *const shelf = &s_shelf;

static int s_setup (void **state)
{
    (void) state;
    test_disk_reset ();
    test_shelf_init (shelf);
    shelf->settings.vfs = TEST_DISK;
    test_shelf_open (shelf);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_shelf_clear (shelf);
    return 0;
}

/*  CPU time of all threads, µs.  */
static int64_t s_cpu_us (void)
{
    struct timespec now;
    assert_int_equal (clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static unsigned s_count (void)
{
    return getenv ("RIPOSTE_LONG") ? 1000000 : 50000;
}

/*  Puts jobs for some services, and ends them if they are to be.  */
static void s_fill (unsigned count, bool ended)
{
    static uint64_t ids[S_BATCH];
    char name[16];
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    for (unsigned done = 0; done < count; done += S_BATCH) {
        for (unsigned index = 0; index < S_BATCH; index++) {
            snprintf (name, sizeof name, "service-%u", index % S_SERVICES);
            job.service = test_span (name);
            job.not_before = 1000 + done + index;
            test_shelf_submit (shelf, test_put (&job), S_BODY);
        }
        for (unsigned index = 0; index < S_BATCH; index++) {
            assert_true (test_shelf_take (shelf, &result));
            assert_int_equal (result.outcome, RP_STORED_SAFE);
            ids[index] = result.id;
        }
        for (unsigned index = 0; ended && index < S_BATCH; index++)
            test_shelf_submit (shelf, test_final (ids[index], RP_OK), S_BODY);
        for (unsigned index = 0; ended && index < S_BATCH; index++) {
            assert_true (test_shelf_take (shelf, &result));
            assert_int_equal (result.outcome, RP_STORED_SAFE);
        }
    }
}

static void test_cleaning_up_pauses_nobody (void **state)
{
    (void) state;
    unsigned count = s_count ();
    s_fill (count, true);
    test_shelf_close (shelf);
    sqlite3 *db;
    assert_int_equal (
      sqlite3_open_v2 (shelf->path, &db, SQLITE_OPEN_READWRITE, rp_page_sums_vfs (TEST_DISK)),
      SQLITE_OK);
    assert_int_equal (
      sqlite3_exec (
        db, "PRAGMA locking_mode = EXCLUSIVE; UPDATE finals SET until = id", NULL, NULL, NULL),
      SQLITE_OK);
    sqlite3_close (db);
    test_shelf_open (shelf);
    rp_store_job_t job = test_job ();
    rp_store_figures_t figures;
    int64_t worst = 0;
    int64_t worst_cpu = 0;
    unsigned puts = 0;
    int64_t begun = rp_clock_us ();
    do {
        int64_t before = rp_clock_us ();
        int64_t cpu = s_cpu_us ();
        test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), S_BODY);
        int64_t took = rp_clock_us () - before;
        cpu = s_cpu_us () - cpu;
        worst = took > worst ? took : worst;
        worst_cpu = cpu > worst_cpu ? cpu : worst_cpu;
        puts++;
        rp_store_figures (shelf->store, &figures);
    } while (figures.cleaned < count);
    print_message (
      "%u jobs cleaned up in %.1f s, beside %u puts: the slowest took %.1f ms, and %.1f ms "
      "of CPU time\n",
      count, (double) (rp_clock_us () - begun) / 1e6, puts, (double) worst / 1e3,
      (double) worst_cpu / 1e3);
    assert_true (worst_cpu < S_PAUSE_US);
}

/*  Which jobs of a service come next.  */
static rp_store_op_t s_load_op (const rp_store_service_t *service, uint16_t rows)
{
    return (rp_store_op_t){.kind = RP_STORE_LOAD,
      .text = service->service.data,
      .text_size = (uint16_t) service->service.size,
      .before = RP_STORE_NEVER,
      .rows = rows};
}

/*  Takes what a LOAD brought, and moves the operation behind it. Returns whether there is more.  */
static bool s_take_loaded (rp_store_op_t *op, size_t *loaded)
{
    rp_stored_t rows;
    assert_true (test_shelf_take (shelf, &rows));
    assert_int_equal (rows.outcome, RP_STORED_SAFE);
    const rp_store_row_t *last = &rows.rows->jobs[rows.rows->count - 1];
    *loaded += rows.rows->count;
    op->after = last->due;
    op->id = last->id;
    bool more = rows.more;
    rp_stored_clear (&rows);
    return more;
}

/*  Loads everything, one service after the other: of each page of the file one row is wanted.  */
static size_t s_load_each (const rp_store_rows_t *services)
{
    size_t loaded = 0;
    for (size_t index = 0; index < services->service_count; index++) {
        rp_store_op_t op = s_load_op (&services->services[index], 0);
        do
            test_shelf_submit (shelf, op, NULL);
        while (s_take_loaded (&op, &loaded));
    }
    return loaded;
}

/*  Loads everything as a broker does: all services in turn, some jobs each.  */
static size_t s_load_in_turn (const rp_store_rows_t *services)
{
    rp_store_op_t ops[S_SERVICES];
    size_t loaded = 0;
    size_t left = services->service_count;
    for (size_t index = 0; index < left; index++)
        ops[index] = s_load_op (&services->services[index], S_PAGE);
    while (left > 0) {
        size_t going = left;
        left = 0;
        for (size_t index = 0; index < going; index++)
            test_shelf_submit (shelf, ops[index], NULL);
        for (size_t index = 0; index < going; index++)
            if (s_take_loaded (&ops[index], &loaded))
                ops[left++] = ops[index];
    }
    return loaded;
}

static void s_want_loaded (
  const char *how, size_t (*load) (const rp_store_rows_t *), const rp_store_rows_t *services)
{
    int64_t begun = rp_clock_us ();
    int64_t cpu = s_cpu_us ();
    size_t loaded = load (services);
    cpu = s_cpu_us () - cpu;
    print_message ("%zu jobs loaded, %s, in %.2f s; %.2f s of CPU time\n", loaded, how,
      (double) (rp_clock_us () - begun) / 1e6, (double) cpu / 1e6);
    assert_int_equal (loaded, s_count ());
    assert_true (cpu < S_LOAD_US);
}

static void test_open_jobs_are_listed_and_loaded_in_time (void **state)
{
    (void) state;
    unsigned count = s_count ();
    s_fill (count, false);
    test_shelf_close (shelf);
    int64_t cpu = s_cpu_us ();
    int64_t begun = rp_clock_us ();
    test_shelf_open (shelf);
    int64_t opened = rp_clock_us ();
    rp_stored_t services = test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_SERVICES}, NULL);
    int64_t listed = rp_clock_us ();
    cpu = s_cpu_us () - cpu;
    uint64_t waiting = 0;
    assert_int_equal (services.rows->service_count, S_SERVICES);
    for (size_t index = 0; index < services.rows->service_count; index++)
        waiting += services.rows->services[index].waiting;
    print_message (
      "%u open jobs: opened in %.1f ms, listed by service in %.1f ms; %.2f s of CPU time\n", count,
      (double) (opened - begun) / 1e3, (double) (listed - opened) / 1e3, (double) cpu / 1e6);
    assert_int_equal (waiting, count);
    assert_true (cpu < S_LIST_US);
    s_want_loaded ("one service after the other", s_load_each, services.rows);
    s_want_loaded ("all services in turn", s_load_in_turn, services.rows);
    rp_stored_clear (&services);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (test_cleaning_up_pauses_nobody),
      S_TEST (test_open_jobs_are_listed_and_loaded_in_time),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
