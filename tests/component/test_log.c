/*  The log, on real descriptors.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int s_pipe[2];
static char s_text[65536];

static int s_setup (void **state)
{
    (void) state;
    return pipe2 (s_pipe, O_CLOEXEC);
}

static int s_teardown (void **state)
{
    (void) state;
    unsetenv ("JOURNAL_STREAM");
    return close (s_pipe[0]) | close (s_pipe[1]);
}

/*  What was written since the last call.  */
static const char *s_read (const rp_log_t *log)
{
    rp_writer_flush (log->writer, 10000);
    assert_int_equal (fcntl (s_pipe[0], F_SETFL, O_NONBLOCK), 0);
    ssize_t size = read (s_pipe[0], s_text, sizeof s_text - 1);
    s_text[size < 0 ? 0 : size] = '\0';
    return s_text;
}

static void s_a_line_has_time_level_source_and_text (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_WARNING, RP_TOPIC_BAD, 0, "127.0.0.1:40000", "sent %d frames", 65);
    const char *line = s_read (&log);
    int year, end = 0;
    assert_int_equal (sscanf (line, "%4d-%*2d-%*2dT%*2d:%*2d:%*d.%*3dZ %n", &year, &end), 1);
    assert_string_equal (line + end, "warning 127.0.0.1:40000: sent 65 frames\n");
    rp_log_clear (&log);
}

static void s_lines_below_the_level_are_left_out (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_WARNING);
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "not this");
    rp_log_write (&log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, 0, NULL, "this");
    assert_non_null (strstr (s_read (&log), "error this\n"));
    assert_null (strstr (s_text, "not"));
    rp_log_clear (&log);
}

static void s_each_topic_is_limited_by_itself (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    for (unsigned line = 0; line < RP_LOG_LIMIT_BURST + 5; line++)
        rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BAD, 0, NULL, "flood");
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_WORKER, 0, NULL, "joined");
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BAD, RP_LOG_LIMIT_INTERVAL_US, NULL, "flood");
    const char *text = s_read (&log);
    unsigned floods = 0;
    for (const char *at = text; (at = strstr (at, "flood")); at++)
        floods++;
    assert_int_equal (floods, RP_LOG_LIMIT_BURST + 1);
    assert_non_null (strstr (text, "joined\n"));
    assert_non_null (strstr (text, "flood (5 more like it)\n"));
    rp_log_clear (&log);
}

static void s_the_journal_gets_priorities_and_no_time (void **state)
{
    (void) state;
    struct stat stat;
    char stream[64];
    rp_log_t log;
    assert_int_equal (fstat (s_pipe[1], &stat), 0);
    snprintf (stream, sizeof stream, "%ju:%ju", (uintmax_t) stat.st_dev, (uintmax_t) stat.st_ino);
    setenv ("JOURNAL_STREAM", stream, 1);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_WARNING, RP_TOPIC_BROKER, 0, NULL, "careful");
    assert_string_equal (s_read (&log), "<4>warning careful\n");
    rp_log_clear (&log);

    // The variable of a parent whose stderr was the journal, when ours is not.
    setenv ("JOURNAL_STREAM", "1:1", 1);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_WARNING, RP_TOPIC_BROKER, 0, NULL, "careful");
    assert_int_not_equal (s_read (&log)[0], '<');
    rp_log_clear (&log);
}

static void s_names_are_escaped_and_stay_different (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "\"%s\" \"%s\" \"%s\" \"%s\"",
      "\xff", "\xc2\x9b", "\xe2\x80\xae", "\\xff");
    assert_non_null (
      strstr (s_read (&log), "\"\\xff\" \"\\xc2\\x9b\" \"\\xe2\\x80\\xae\" \"\\\\xff\"\n"));
    rp_log_clear (&log);
}

static void s_a_line_that_is_too_long_is_cut_and_still_ends (void **state)
{
    (void) state;
    rp_log_t log;
    char large[2 * RP_LOG_LINE_MAX];
    memset (large, 'x', sizeof large);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "%.*s", (int) sizeof large, large);
    const char *line = s_read (&log);
    assert_in_range (strlen (line), RP_LOG_LINE_MAX - 2, RP_LOG_LINE_MAX);
    assert_int_equal (line[strlen (line) - 1], '\n');
    rp_log_clear (&log);
}

/*  poll says that a terminal is ready when there is room for less than a line, and that a pipe is
    which another process fills between poll and write.  */
static void s_a_terminal_that_stops_holds_nobody_up (void **state)
{
    (void) state;
    int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt (master) != 0 || unlockpt (master) != 0) {
        print_message ("SKIPPED: there are no pseudo-terminals here\n");
        skip ();
    }
    int slave = open (ptsname (master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true (slave >= 0);
    rp_log_t log;
    rp_log_init (&log, slave, RP_LEVEL_INFO);
    alarm (10); // to stand still is to fail
    for (unsigned line = 0; line < 200; line++)
        rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER,
          (int64_t) line * RP_LOG_LIMIT_INTERVAL_US, NULL, "%01800u", line);
    rp_log_clear (&log);
    alarm (0);
    close (master); // ends the write that was left behind, which still has the other end
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_line_has_time_level_source_and_text),
      S_TEST (s_lines_below_the_level_are_left_out),
      S_TEST (s_each_topic_is_limited_by_itself),
      S_TEST (s_the_journal_gets_priorities_and_no_time),
      S_TEST (s_names_are_escaped_and_stay_different),
      S_TEST (s_a_line_that_is_too_long_is_cut_and_still_ends),
      S_TEST (s_a_terminal_that_stops_holds_nobody_up),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
