/*  riposte bench: measures the rate and the latency of a service.

    SPDX-License-Identifier: MPL-2.0
*/

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/bench.h"

#define S_DURATION_US INT64_C (10000000)
#define S_WARMUP_US INT64_C (1000000)
#define S_INFLIGHT 8
/*  Bounds the memory when replies stay away. A request that waits for room is counted with its
    wait.  */
#define S_INFLIGHT_OPEN 10000

/*  The files for the result, beside standard output.  */
typedef struct {
    FILE *hdr; /* NULL: none */
    int plot;  /* -1: none */
} s_files_t;

/*  Finds out whether the options can be applied to calls. Returns 0, or the exit code after an error was
    written.  */
static int s_try_terms (const rp_cli_t *cli)
{
    rp_call_t *call = rp_call_new ("-", NULL, 0);
    if (!call)
        rp_output_no_memory ();
    int code = rp_cli_set_terms (cli, call);
    rp_call_destroy (&call);
    return code;
}

/*  Sets the options that were not given. Returns 0, or the exit code after an error was
    written.  */
static int s_complete (rp_cli_t *cli)
{
    rp_cli_options_t *options = &cli->options;
    if (cli->arguments.count > 1)
        return rp_cli_usage (
          "too many arguments from \"%s\" on; bench takes a service only", cli->arguments.items[1]);
    if (options->protocol != RP_BENCH_NATIVE && strchr (options->server, ','))
        return rp_cli_usage ("--protocol mdp01 goes with one --server, not with a list");
    if (options->count > 0 && options->duration > 0)
        return rp_cli_usage ("--count and --duration do not go together");
    size_t size = options->plot ? strlen (options->plot) : 0;
    if (options->plot && (size < 4 || strcmp (options->plot + size - 4, ".svg") != 0))
        return rp_cli_usage (
          "--plot draws an SVG and wants a file that ends with .svg, not \"%s\"", options->plot);
    if (options->plot && !rp_bench_can_plot ()) {
        fputs ("riposte: --plot needs gnuplot, which cannot be run; install it, or take the data: "
               "--hdr FILE\n",
          stderr);
        return rp_status_exit_code (RP_SYSTEM);
    }
    if (options->warmup < 0)
        options->warmup = options->count > 0 ? 0 : S_WARMUP_US;
    if (options->duration == 0)
        options->duration = S_DURATION_US;
    if (options->inflight == 0)
        options->inflight = options->rate > 0 ? S_INFLIGHT_OPEN : S_INFLIGHT;
    return s_try_terms (cli);
}

static int s_tell_unwritable (const char *path)
{
    return rp_cli_usage ("cannot write %s (%s)", path, strerror (errno));
}

/*  Opens the files before the run, so that it does not run in vain.  */
static int s_open_files (const rp_cli_t *cli, s_files_t *files)
{
    const rp_cli_options_t *options = &cli->options;
    if (options->hdr && !(files->hdr = fopen (options->hdr, "we")))
        return s_tell_unwritable (options->hdr);
    if (options->plot)
        files->plot = open (options->plot, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return options->plot && files->plot < 0 ? s_tell_unwritable (options->plot) : 0;
}

static void s_close_files (s_files_t *files)
{
    if (files->hdr)
        fclose (files->hdr);
    if (files->plot >= 0)
        close (files->plot);
}

static int s_write_hdr (FILE *file, const rp_histogram_t *times)
{
    rp_histogram_write (times, file);
    if (fflush (file) == 0)
        return 0;
    fprintf (stderr, "riposte: cannot write all of the file of --hdr (%s)\n", strerror (errno));
    return rp_status_exit_code (RP_SYSTEM);
}

/*  Returns 0, or the exit code when a file could not be written.  */
static int s_write_files (
  const rp_bench_t *self, const s_files_t *files, const rp_histogram_t *times)
{
    int code = files->hdr ? s_write_hdr (files->hdr, times) : 0;
    if (files->plot < 0)
        return code;
    char title[512];
    char load[64];
    if (self->rate > 0)
        snprintf (load, sizeof load, "%llu/s asked for", (unsigned long long) self->rate);
    else
        snprintf (load, sizeof load, "%u in flight each", self->inflight);
    snprintf (title, sizeof title, "%s: %zu clients, %s, %zu B", self->service, self->client_count,
      load, self->size);
    int plotted = rp_bench_plot (files->plot, title, times);
    return code != 0 ? code : plotted;
}

/*  Returns 0 when there is a result, or the exit code after an error was written.  */
static int s_measure (rp_bench_t *self)
{
    const rp_cli_options_t *options = &self->cli->options;
    int code = 0;
    if (options->warmup > 0)
        code = rp_bench_run (self, options->warmup, 0, "warms up");
    if (code == 0 && rp_cli_interrupted ()) {
        rp_error_t error = {.status = RP_INTERRUPTED, .why = "", .server = options->server};
        return rp_cli_tell (self->cli, &error);
    }
    return code != 0 ? code : rp_bench_run (self, options->duration, options->count, "measures");
}

/*  Runs, and writes the result, once the files are open.  */
static int s_run (rp_bench_t *self, const s_files_t *files)
{
    rp_cli_t *cli = self->cli;
    int code = 0;
    rp_bench_workers_t *workers = NULL;
    if (cli->options.workers > 0) {
        workers = rp_bench_workers_start (cli, self->service, cli->options.workers, &code);
        if (!workers)
            return code;
    }
    code = s_measure (self);
    rp_bench_disconnect (self);
    rp_bench_workers_stop (&workers);
    if (code != 0)
        return code;

    static rp_bench_counts_t counts;
    rp_bench_sum (self, &counts);
    rp_bench_report (self, &counts);
    code = s_write_files (self, files, &counts.times);
    if (rp_cli_interrupted ())
        return rp_status_exit_code (RP_INTERRUPTED);
    return rp_bench_failed (&counts) > 0 ? RP_CLI_EXIT_BATCH : code;
}

int rp_cli_bench (rp_cli_t *cli)
{
    const char *service = rp_cli_service (cli);
    int code = service ? s_complete (cli) : rp_status_exit_code (RP_USAGE);
    if (code != 0)
        return code;
    static rp_bench_t bench;
    s_files_t files = {.plot = -1};
    rp_bench_init (&bench, cli, service);
    code = rp_bench_connect (&bench);
    if (code == 0)
        code = s_open_files (cli, &files);
    if (code == 0)
        code = s_run (&bench, &files);
    s_close_files (&files);
    rp_bench_clear (&bench);
    return code;
}
