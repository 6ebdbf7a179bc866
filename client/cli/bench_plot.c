/*  riposte bench: draws the plot with gnuplot.

    SPDX-License-Identifier: MPL-2.0

    gnuplot reads its script and data from a pipe, and writes to a file that is already open. So no
    file name has to be quoted for gnuplot or for a shell.
*/

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/bench.h"

static const char s_script[] = "set terminal svg size 900,500 background 'white'\n"
                               "set encoding utf8\n"
                               "set key off\n"
                               "set grid\n"
                               "set logscale x\n"
                               "set xtics ('0%%' 1, '50%%' 2, '90%%' 10, '99%%' 100, '99.9%%' 1e3, "
                               "'99.99%%' 1e4, '99.999%%' 1e5,"
                               " '99.9999%%' 1e6, '99.99999%%' 1e7, '99.999999%%' 1e8)\n"
                               "set xlabel 'Percentile'\n"
                               "set ylabel 'Latency, µs'\n"
                               "set datafile commentschars '#V'\n"; // V begins the line of titles

/*  Starts gnuplot. Returns 0 or an errno.  */
static int s_spawn (pid_t *child, int in, int out, const char *argument)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init (&actions);
    if (error != 0)
        return error;
    char *const arguments[] = {"gnuplot", (char *) (uintptr_t) argument, NULL};
    error = posix_spawn_file_actions_adddup2 (&actions, in, STDIN_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2 (&actions, out, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawnp (child, *arguments, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy (&actions);
    return error;
}

/*  True if the child exited with 0.  */
static bool s_wait (pid_t child)
{
    int status = 0;
    while (waitpid (child, &status, 0) == -1)
        if (errno != EINTR)
            return false;
    return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

bool rp_bench_can_plot (void)
{
    pid_t child;
    int nothing = open ("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return false;
    int error = s_spawn (&child, nothing, nothing, "--version");
    close (nothing);
    return error == 0 && s_wait (child);
}

/*  In gnuplot's single quotes, only the quote itself is special.  */
static void s_write_quoted (FILE *out, const char *text)
{
    fputc ('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputc ('\'', out);
        fputc (*text, out);
    }
    fputc ('\'', out);
}

static void s_write_script (FILE *out, const char *title, const rp_histogram_t *times)
{
    uint64_t decades = 10;
    while (decades < times->count)
        decades *= 10;
    fputs (s_script, out);
    fputs ("set title ", out);
    s_write_quoted (out, title);
    fprintf (out,
      " noenhanced\nset xrange [1:%" PRIu64 "]\nset yrange [0:%" PRIu64 "]\n$times << end\n",
      decades, times->max + times->max / 20 + 1);
    rp_histogram_write (times, out);
    fputs ("end\n"
           "plot $times using 4:1 with linespoints linewidth 2 pointtype 7 pointsize 0.3\n",
      out);
}

/*  Returns 0 or an errno; ECHILD if gnuplot failed, after writing why.  */
static int s_draw (int file, const char *title, const rp_histogram_t *times)
{
    int ends[2];
    if (pipe2 (ends, O_CLOEXEC) != 0)
        return errno;
    pid_t child;
    int error = s_spawn (&child, ends[0], file, "-");
    close (ends[0]);
    FILE *script = fdopen (ends[1], "w");
    if (!script) {
        close (ends[1]);
        rp_output_no_memory ();
    }
    if (error == 0)
        s_write_script (script, title, times);
    fclose (script); // input that gnuplot did not read only matters if gnuplot failed
    return error != 0 || s_wait (child) ? error : ECHILD;
}

int rp_bench_plot (int file, const char *title, const rp_histogram_t *times)
{
    if (times->count == 0) {
        fputs ("riposte: there is nothing to plot: no request ended with OK\n", stderr);
        return 1;
    }
    int error = s_draw (file, title, times);
    if (error == 0)
        return 0;
    fprintf (stderr, "riposte: no plot: gnuplot failed (%s); take the data: --hdr FILE\n",
      error == ECHILD ? "see its message above" : strerror (error));
    return 1;
}
