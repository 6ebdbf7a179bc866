/*  Benchmark of the store of jobs: put and final of one job, with some numbers of jobs at once.

    SPDX-License-Identifier: MPL-2.0

    bench_store FOLDER|URL [SIZE [WAITING]]
        makes a store in a new folder in FOLDER, which is removed at the end; or takes an empty one in
        PostgreSQL, in which its jobs stay (syncs are those of the working directory's disk then). SIZE: bytes of a body and
        of a reply, 64 as it comes. WAITING: jobs that wait there meanwhile, 20,000
        at least. With more, a second store with 20,000 takes turns with it at the end, and the
        ratio of their rates is printed.

    Prints, for each number of jobs at once: jobs per second (PUT with the first attempt, then FINAL, each
    reported SAFE), transactions per second and operations in each, CPU time of the whole process for a
    job, and how long a job takes (median, p99). Before these, how long one job takes alone, in
    syncs: how long the same disk takes to write 4 KiB over others in a file and to sync them, in turn
    with the jobs.
*/

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/store/store.h"
#include "common/io/clock.h"

#define TURNS 500u
#define SYNC_PAGES 256u
#define RUN_US 2000000
#define IN_FLIGHT_MAX 4096u
#define SIZE_MAX_BYTES (1u << 24)
#define PATIENCE_MS 60000u
#define FILL_BATCH 2000u
#define PAIRS 8u
#define PAIRS_IN_FLIGHT 512u
/*  Jobs that are put first, so that the log has its size: a file that grows takes longer to sync.  */
#define WARM_UP 20000u

typedef struct {
    rp_store_t *store;
    uint64_t number;
    rp_store_span_t body;
    rp_store_job_t job;
} bench_t;

static void s_fail (const char *what)
{
    fprintf (stderr, "bench_store: %s\n", what);
    exit (1);
}

static int s_compare (const void *one, const void *other)
{
    int64_t a = *(const int64_t *) one;
    int64_t b = *(const int64_t *) other;
    return (a > b) - (a < b);
}

/*  A file that is written over and over, as the store's log is.  */
static int s_open_sync_file (const char *folder)
{
    static char pages[SYNC_PAGES * 4096];
    char path[256];
    snprintf (path, sizeof path, "%s/sync", folder);
    int file = open (path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 || write (file, pages, sizeof pages) != sizeof pages || fsync (file) != 0)
        s_fail (strerror (errno));
    unlink (path);
    return file;
}

/*  Returns how long a write of 4 KiB and its sync take, µs.  */
static int64_t s_sync (int file, unsigned turn)
{
    static char page[4096];
    int64_t begin = rp_clock_us ();
    memset (page, (int) turn, sizeof page);
    if (pwrite (file, page, sizeof page, (off_t) (turn % SYNC_PAGES) * 4096) != sizeof page
        || fdatasync (file) != 0)
        s_fail (strerror (errno));
    return rp_clock_us () - begin;
}

static void s_submit (bench_t *self, rp_store_op_t op, void *kept)
{
    op.number = ++self->number;
    if (!rp_store_submit (self->store, &op, &self->body, 1, kept))
        s_fail ("out of memory");
}

/*  kept: when the job was submitted.  */
static void s_put (bench_t *self, int64_t *begun)
{
    *begun = rp_clock_us ();
    s_submit (self,
      (rp_store_op_t){
        .kind = RP_STORE_PUT, .job = &self->job, .attempt = 1, .worker = "worker", .at = 1000},
      begun);
}

static void s_take (bench_t *self, rp_stored_t *result)
{
    while (!rp_store_take (self->store, result))
        if (!rp_store_wait (self->store, PATIENCE_MS))
            s_fail ("no result came");
    if (result->outcome != RP_STORED_SAFE)
        s_fail (rp_store_trouble (self->store));
}

static void s_fill (bench_t *self, uint64_t count)
{
    rp_stored_t result;
    uint64_t open = 0;
    for (uint64_t put = 0, taken = 0; taken < count;) {
        for (; put < count && open < FILL_BATCH; put++, open++)
            s_submit (self, (rp_store_op_t){.kind = RP_STORE_PUT, .job = &self->job}, NULL);
        s_take (self, &result);
        open--;
        taken++;
    }
}

/*  Runs one job at a time, and syncs in turn with them, since other users of the disk come and go.  */
static void s_run_alone (bench_t *self, const char *folder)
{
    static int64_t jobs[TURNS], syncs[TURNS];
    rp_stored_t result;
    int64_t begun;
    int file = s_open_sync_file (folder);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        s_put (self, &begun);
        s_take (self, &result);
        s_submit (self,
          (rp_store_op_t){
            .kind = RP_STORE_FINAL, .id = result.id, .attempt = 1, .until = RP_STORE_NEVER},
          NULL);
        s_take (self, &result);
        jobs[turn] = rp_clock_us () - begun;
        syncs[turn] = s_sync (file, turn);
    }
    close (file);
    qsort (jobs, TURNS, sizeof *jobs, s_compare);
    qsort (syncs, TURNS, sizeof *syncs, s_compare);
    double job = (double) jobs[TURNS / 2] / 1e3;
    double sync = (double) syncs[TURNS / 2] / 1e3;
    printf ("one job alone: %.2f ms, %.2f syncs of %.2f ms\n", job, job / sync, sync);
}

static double s_cpu_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

/*  Runs jobs, so many at once. Returns how many a second.  */
static double s_run (bench_t *self, unsigned in_flight)
{
    static int64_t begun[IN_FLIGHT_MAX];
    static rp_spread_t took;
    rp_store_figures_t before, after;
    rp_stored_t result;
    uint64_t jobs = 0;
    took = (rp_spread_t){.sum = 0};
    rp_store_figures (self->store, &before);
    double cpu = s_cpu_us ();
    int64_t begin = rp_clock_us ();
    int64_t now = begin;
    for (unsigned index = 0; index < in_flight; index++)
        s_put (self, &begun[index]);
    for (unsigned open = in_flight; open > 0;) {
        s_take (self, &result);
        if (result.kind == RP_STORE_PUT) {
            s_submit (self,
              (rp_store_op_t){
                .kind = RP_STORE_FINAL, .id = result.id, .attempt = 1, .until = RP_STORE_NEVER},
              result.kept);
            continue;
        }
        now = rp_clock_us ();
        rp_spread_add (&took, (uint32_t) (now - *(int64_t *) result.kept));
        jobs++;
        if (now - begin < RUN_US)
            s_put (self, result.kept);
        else
            open--;
    }
    double seconds = (double) (now - begin) / 1e6;
    cpu = s_cpu_us () - cpu;
    rp_store_figures (self->store, &after);
    double commits = (double) (after.commits - before.commits);
    printf ("%7u %10.0f %10.0f %10.1f %10.1f %10.2f %10.2f\n", in_flight, (double) jobs / seconds,
      commits / seconds, 2 * (double) jobs / commits, cpu / (double) jobs,
      rp_spread_quantile (&took, 50000) / 1e3, rp_spread_quantile (&took, 99000) / 1e3);
    fflush (stdout);
    return (double) jobs / seconds;
}

static bench_t s_open (const char *path, const char *body, size_t size, uint64_t waiting)
{
    char text[RP_STORE_TEXT];
    bench_t self = {.body = {.data = body, .size = size},
      .job = {.service = {.data = "service", .size = 7},
        .principal = {.data = "anonymous", .size = 9},
        .accepted = 1000,
        .deadline = RP_STORE_NEVER,
        .attempts = 5}};
    self.store = rp_store_open (&(rp_store_settings_t){.path = path}, text);
    if (!self.store)
        s_fail (text);
    s_fill (&self, waiting);
    return self;
}

static int s_compare_ratios (const void *one, const void *other)
{
    double a = *(const double *) one;
    double b = *(const double *) other;
    return (a > b) - (a < b);
}

/*  The rate with many waiting, in parts of that with few: both in turn, the first one last in the next pair.  */
static void s_run_pairs (bench_t *many, bench_t *few)
{
    double ratios[PAIRS];
    printf ("in turn with a store of %u waiting, whose are lines 2 and 3 of each four:\n", WARM_UP);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        double first = s_run (pair % 2 ? few : many, PAIRS_IN_FLIGHT);
        double second = s_run (pair % 2 ? many : few, PAIRS_IN_FLIGHT);
        ratios[pair] = pair % 2 ? second / first : first / second;
    }
    qsort (ratios, PAIRS, sizeof *ratios, s_compare_ratios);
    printf ("jobs/s, of that store's: %.2f (%u pairs, %.2f to %.2f)\n",
      (ratios[PAIRS / 2 - 1] + ratios[PAIRS / 2]) / 2, PAIRS, ratios[0], ratios[PAIRS - 1]);
}

int main (int argc, char **argv)
{
    static char body[SIZE_MAX_BYTES];
    char folder[200];
    char path[512];
    char few_path[256];
    unsigned long size = argc > 2 ? strtoul (argv[2], NULL, 10) : 64;
    unsigned long waiting = argc > 3 ? strtoul (argv[3], NULL, 10) : 0;
    if (argc < 2 || size > sizeof body) {
        fprintf (stderr, "usage: bench_store FOLDER|URL [SIZE [WAITING]]\n");
        return 2;
    }
    bool in_postgres = rp_postgres_is_url (argv[1]);
    snprintf (folder, sizeof folder, "%s/bench-store-XXXXXX", in_postgres ? "." : argv[1]);
    if (!mkdtemp (folder))
        s_fail (strerror (errno));
    if (in_postgres)
        snprintf (path, sizeof path, "%s", argv[1]);
    else
        snprintf (path, sizeof path, "%s/jobs.db", folder);
    snprintf (few_path, sizeof few_path, "%s/few.db", folder);
    if (waiting < WARM_UP)
        waiting = WARM_UP;
    bench_t self = s_open (path, body, size, waiting);
    printf ("%lu B, %lu waiting\n", size, waiting);
    s_run_alone (&self, folder);
    printf ("at once     jobs/s  commits/s ops/commit  CPU us/job     p50 ms     p99 ms\n");
    for (unsigned in_flight = 1; in_flight <= IN_FLIGHT_MAX; in_flight *= 8)
        s_run (&self, in_flight);
    rp_store_figures_t figures;
    rp_store_figures (self.store, &figures);
    printf ("checkpoints: %" PRIu64 ", p50 %.1f ms, p99 %.1f ms\n",
      rp_spread_count (&figures.checkpoint_us),
      rp_spread_quantile (&figures.checkpoint_us, 50000) / 1e3,
      rp_spread_quantile (&figures.checkpoint_us, 99000) / 1e3);
    if (waiting > WARM_UP) {
        bench_t few = s_open (few_path, body, size, WARM_UP);
        s_run_pairs (&self, &few);
        rp_store_close (&few.store);
        unlink (few_path);
    }
    rp_store_close (&self.store);
    if (!in_postgres)
        unlink (path);
    rmdir (folder);
    return 0;
}
