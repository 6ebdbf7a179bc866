/*  The log, written to real descriptors.

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/*  Returns what was written since the last call.  */
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

/*  Returns how many events are kept.  */
static size_t s_kept (const rp_log_t *log)
{
    json_t *answer = rp_events_json (&log->events, 0, RP_EVENTS_MOST);
    size_t count = json_array_size (json_object_get (answer, "events"));
    json_decref (answer);
    return count;
}

static void s_events_are_kept_whatever_the_level (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_ERROR);
    assert_true (rp_log_wants (&log, RP_LEVEL_INFO));
    assert_false (rp_log_wants (&log, RP_LEVEL_DEBUG));
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_WORKER, 0, "127.0.0.1:1", "joined");
    rp_log_write (&log, RP_LEVEL_DEBUG, RP_TOPIC_WORKER, 0, NULL, "looked at");
    assert_string_equal (s_read (&log), "");
    assert_int_equal (s_kept (&log), 1);
    rp_log_clear (&log);
}

static void s_lines_and_events_do_not_hold_each_other_back (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_ERROR);
    for (unsigned line = 0; line < 100 * RP_LOG_LIMIT_BURST; line++)
        rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "an event");
    assert_int_equal (s_kept (&log), RP_LOG_LIMIT_BURST);
    rp_log_write (&log, RP_LEVEL_ERROR, RP_TOPIC_BROKER, 0, NULL, "an error");
    assert_non_null (strstr (s_read (&log), "error an error\n"));
    rp_log_set_level (&log, RP_LEVEL_DEBUG);
    for (unsigned line = 0; line < 100 * RP_LOG_LIMIT_BURST; line++)
        rp_log_write (&log, RP_LEVEL_DEBUG, RP_TOPIC_LOST, 0, NULL, "a line");
    rp_log_write (&log, RP_LEVEL_WARNING, RP_TOPIC_LOST, 0, NULL, "an event");
    assert_int_equal (s_kept (&log), RP_LOG_LIMIT_BURST + 1);
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

    // The parent's stderr was the journal, which set this variable; ours is not.
    setenv ("JOURNAL_STREAM", "1:1", 1);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_write (&log, RP_LEVEL_WARNING, RP_TOPIC_BROKER, 0, NULL, "careful");
    assert_int_not_equal (s_read (&log)[0], '<');
    rp_log_clear (&log);
}

/*  A journal of this test, at a socket of its own.  */
typedef struct {
    char folder[32];
    char path[64];
    int descriptor;
    char datagram[RP_LOG_RECORD_MAX];
} s_journal_t;

static void s_open_journal (s_journal_t *self)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf (self->folder, sizeof self->folder, "/tmp/riposte-log-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    snprintf (self->path, sizeof self->path, "%s/socket", self->folder);
    snprintf (address.sun_path, sizeof address.sun_path, "%s", self->path);
    self->descriptor = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true (self->descriptor >= 0);
    assert_int_equal (bind (self->descriptor, (struct sockaddr *) &address, sizeof address), 0);
}

static const char *s_receive (s_journal_t *self)
{
    alarm (10);
    ssize_t size = recv (self->descriptor, self->datagram, sizeof self->datagram - 1, 0);
    alarm (0);
    assert_true (size >= 0);
    self->datagram[size] = '\0';
    return self->datagram;
}

static void s_close_journal (s_journal_t *self)
{
    close (self->descriptor);
    unlink (self->path);
    rmdir (self->folder);
}

/*  Makes the pipe what a service's stderr is.  */
static void s_make_pipe_the_journal (void)
{
    struct stat stat;
    char stream[64];
    assert_int_equal (fstat (s_pipe[1], &stat), 0);
    snprintf (stream, sizeof stream, "%ju:%ju", (uintmax_t) stat.st_dev, (uintmax_t) stat.st_ino);
    setenv ("JOURNAL_STREAM", stream, 1);
}

static void s_the_format_journald_sends_datagrams_and_nothing_to_the_descriptor (void **state)
{
    (void) state;
    s_journal_t journal;
    rp_log_t log;
    s_open_journal (&journal);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_set_format (&log, RP_LOG_JOURNALD, journal.path, 0);
    const rp_log_about_t about = {
      .peer = "127.0.0.1:1", .service = "a\nPRIORITY=0", .principal = "ada"};
    rp_log_write_about (&log, RP_LEVEL_WARNING, RP_TOPIC_LOST, 0, &about, "lost");
    assert_string_equal (s_receive (&journal),
      "MESSAGE=127.0.0.1:1: "
      "lost\nSYSLOG_IDENTIFIER=riposte-broker\nPRIORITY=4\nRIPOSTE_TOPIC=lost\n"
      "RIPOSTE_PEER=127.0.0.1:1\nRIPOSTE_PRINCIPAL=ada\nRIPOSTE_SERVICE=a\\x0aPRIORITY=0\n");
    assert_string_equal (s_read (&log), "");
    rp_log_set_format (&log, RP_LOG_JSON, journal.path, 0);
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "here again");
    assert_non_null (strstr (s_read (&log), "\"message\":\"here again\"}\n"));
    rp_log_clear (&log);
    s_close_journal (&journal);
}

static void s_auto_is_journald_only_if_the_descriptor_is_the_journal (void **state)
{
    (void) state;
    s_journal_t journal;
    rp_log_t log;
    s_open_journal (&journal);
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_set_format (&log, RP_LOG_AUTO, journal.path, 0);
    assert_int_equal (log.format, RP_LOG_TEXT);
    rp_log_clear (&log);

    s_make_pipe_the_journal ();
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_set_format (&log, RP_LOG_AUTO, journal.path, 0);
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "hello");
    assert_non_null (strstr (s_receive (&journal), "MESSAGE=hello\n"));
    s_close_journal (&journal);
    rp_log_set_format (&log, RP_LOG_AUTO, journal.path, 0); // the journal is gone
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER, 0, NULL, "hello");
    assert_string_equal (s_read (&log), "<6>info hello\n");
    rp_log_clear (&log);
}

static void s_without_a_journal_the_format_journald_is_text_and_says_so (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_set_format (&log, RP_LOG_JOURNALD, "/nowhere/socket", 0);
    assert_non_null (strstr (s_read (&log),
      "error cannot reach the journal at /nowhere/socket: No such file or directory; "));
    rp_log_clear (&log);
}

static void s_lines_held_back_are_a_number_of_their_own (void **state)
{
    (void) state;
    rp_log_t log;
    rp_log_init (&log, s_pipe[1], RP_LEVEL_INFO);
    rp_log_set_format (&log, RP_LOG_LOGFMT, RP_LOG_JOURNAL, 0);
    for (unsigned line = 0; line < RP_LOG_LIMIT_BURST + 5; line++)
        rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BAD, 0, NULL, "flood");
    rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BAD, RP_LOG_LIMIT_INTERVAL_US, NULL, "flood");
    assert_non_null (strstr (s_read (&log), " topic=bad more=5 message=flood\n"));
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

/*  poll reports a terminal with room for less than a line as ready, and also a pipe that another
    process fills before the write.  */
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
    alarm (10); // the test fails if a write blocks
    for (unsigned line = 0; line < 200; line++)
        rp_log_write (&log, RP_LEVEL_INFO, RP_TOPIC_BROKER,
          (int64_t) line * RP_LOG_LIMIT_INTERVAL_US, NULL, "%01800u", line);
    rp_log_clear (&log);
    alarm (0);
    close (master); // ends the write that was left behind, which still holds the terminal
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_line_has_time_level_source_and_text),
      S_TEST (s_lines_below_the_level_are_left_out),
      S_TEST (s_each_topic_is_limited_by_itself),
      S_TEST (s_events_are_kept_whatever_the_level),
      S_TEST (s_lines_and_events_do_not_hold_each_other_back),
      S_TEST (s_the_journal_gets_priorities_and_no_time),
      S_TEST (s_the_format_journald_sends_datagrams_and_nothing_to_the_descriptor),
      S_TEST (s_auto_is_journald_only_if_the_descriptor_is_the_journal),
      S_TEST (s_without_a_journal_the_format_journald_is_text_and_says_so),
      S_TEST (s_lines_held_back_are_a_number_of_their_own),
      S_TEST (s_names_are_escaped_and_stay_different),
      S_TEST (s_a_line_that_is_too_long_is_cut_and_still_ends),
      S_TEST (s_a_terminal_that_stops_holds_nobody_up),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
