/*  Lines for people, to descriptors that stop taking them.

    SPDX-License-Identifier: MPL-2.0
*/

#include "common/program/writer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io/clock.h"
#include "tests/support/patience.h"

#define S_SECOND_US 1000000
#define S_HELD_UP_US (S_SECOND_US * TEST_PATIENCE)
#define S_FLUSH_MS 20

static int s_pipe[2];
static char s_text[4 * RP_WRITER_QUEUE];

static int s_setup (void **state)
{
    (void) state;
    s_text[0] = '\0';
    return pipe2 (s_pipe, O_CLOEXEC);
}

static int s_teardown (void **state)
{
    (void) state;
    return (s_pipe[0] >= 0 ? close (s_pipe[0]) : 0) | close (s_pipe[1]);
}

/*  Appends to the text what can be read now. Returns false if there is nothing.  */
static bool s_read (void)
{
    size_t size = strlen (s_text);
    assert_int_equal (fcntl (s_pipe[0], F_SETFL, O_NONBLOCK), 0);
    ssize_t more = read (s_pipe[0], s_text + size, sizeof s_text - 1 - size);
    s_text[size + (more > 0 ? (size_t) more : 0)] = '\0';
    return more > 0;
}

/*  Reads until the text contains what is wanted.  */
static void s_read_until (const char *wanted)
{
    int64_t end = rp_clock_us () + 10 * S_SECOND_US;
    do
        usleep (s_read () ? 0 : 1000);
    while (!strstr (s_text, wanted) && rp_clock_us () < end);
    assert_non_null (strstr (s_text, wanted));
}

/*  Reads until the queue is empty, which shows when a flush does not use up its time.  */
static void s_read_until_flushed (const rp_writer_t *writer)
{
    int64_t begin;
    do {
        s_read ();
        begin = rp_clock_us ();
        rp_writer_flush (writer, S_FLUSH_MS);
    } while (rp_clock_us () - begin >= S_FLUSH_MS * 1000);
}

static void s_put (rp_writer_t *writer, const char *line)
{
    rp_writer_put (writer, line, strlen (line));
}

static void s_lines_are_written_in_their_order (void **state)
{
    (void) state;
    rp_writer_t *writer = rp_writer_new (s_pipe[1]);
    s_put (writer, "one\n");
    s_put (writer, "two\n");
    rp_writer_destroy (&writer);
    assert_null (writer);
    s_read_until ("two\n");
    assert_string_equal (s_text, "one\ntwo\n");
}

/*  Returns the sum of the numbers that follow the prefix in the text.  */
static int s_sum (const char *prefix)
{
    int sum = 0;
    for (const char *at = s_text; (at = strstr (at, prefix)); at++)
        sum += atoi (at + strlen (prefix));
    return sum;
}

static void s_a_reader_that_stops_holds_nobody_up_and_hears_where_it_missed_how_much (void **state)
{
    (void) state;
    enum { LINES = 4000 };
    rp_writer_t *writer = rp_writer_new (s_pipe[1]);
    char line[128];
    for (int number = 0; number < LINES; number++) { // far more than pipe and queue hold
        snprintf (line, sizeof line, "line 1 of %099d\n", number);
        s_put (writer, line);
    }
    s_read_until ("line 1");
    s_read_until_flushed (writer);
    s_put (writer, "back\n");
    s_read_until ("back\n");
    assert_true (s_sum ("(") > 0);
    assert_int_equal (s_sum ("line ") + s_sum ("("), LINES);
    rp_writer_destroy (&writer);
}

static void s_a_terminal_that_has_room_for_less_than_a_line_holds_nobody_up (void **state)
{
    (void) state;
    char line[2000];
    memset (line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt (master) != 0 || unlockpt (master) != 0) {
        print_message ("SKIPPED: there are no pseudo-terminals here\n");
        skip ();
    }
    int slave = open (ptsname (master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true (slave >= 0);
    rp_writer_t *writer = rp_writer_new (slave);
    int64_t begin = rp_clock_us ();
    for (int number = 0; number < 200; number++)
        rp_writer_put (writer, line, sizeof line);
    assert_true (rp_clock_us () - begin < S_HELD_UP_US);
    rp_writer_destroy (&writer);
    assert_true (rp_clock_us () - begin < S_HELD_UP_US);
    close (master); // ends the write that was left behind, which still holds the terminal
}

static void s_a_reader_that_is_gone_ends_nobody (void **state)
{
    (void) state;
    rp_writer_t *writer = rp_writer_new (s_pipe[1]);
    close (s_pipe[0]);
    s_pipe[0] = -1;
    s_put (writer, "to nobody\n");
    rp_writer_flush (writer, 10000);
    s_put (writer, "to nobody\n");
    rp_writer_destroy (&writer);
}

static size_t s_tell_gap (void *arg, uint64_t lost, char buffer[RP_WRITER_GAP_MAX])
{
    int size = snprintf (buffer, RP_WRITER_GAP_MAX, "%s%u\n", (const char *) arg, (unsigned) lost);
    return (size_t) size;
}

static void s_a_line_about_missing_ones_is_written_by_the_function_for_it (void **state)
{
    (void) state;
    rp_writer_t *writer = rp_writer_new (s_pipe[1]);
    rp_writer_set_gap (writer, s_tell_gap, "missing=");
    for (int number = 0; number < 4000; number++)
        s_put (writer, "line 1 of a text that is so long that four thousand fill pipe and queue\n");
    s_read_until ("line 1");
    s_read_until_flushed (writer);
    s_put (writer, "back\n");
    s_read_until ("back\n");
    assert_int_equal (s_sum ("line ") + s_sum ("missing="), 4000);
    assert_null (strstr (s_text, "("));
    rp_writer_destroy (&writer);
}

/*  Binds a socket for datagrams at a path.  */
static int s_bind (const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
    int descriptor = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true (descriptor >= 0);
    unlink (path);
    assert_int_equal (bind (descriptor, (struct sockaddr *) &address, sizeof address), 0);
    return descriptor;
}

static void s_takes (int descriptor, const char *datagram)
{
    char text[64] = "";
    assert_int_equal (recv (descriptor, text, sizeof text - 1, 0), strlen (datagram));
    assert_string_equal (text, datagram);
}

static void s_each_line_is_a_datagram_also_after_the_receiver_started_again (void **state)
{
    (void) state;
    char folder[] = "/tmp/riposte-writer-XXXXXX", path[64];
    assert_non_null (mkdtemp (folder));
    snprintf (path, sizeof path, "%s/socket", folder);
    rp_writer_t *writer = rp_writer_new_datagrams (path);
    assert_non_null (writer);
    rp_writer_put (writer, "no socket", sizeof "no socket");
    rp_writer_flush (writer, 10000);

    alarm (10); // to stand still is to fail
    int receiver = s_bind (path);
    rp_writer_put (writer, "a=1\nb=2\n", sizeof "a=1\nb=2\n");
    rp_writer_put (writer, "three", sizeof "three");
    s_takes (receiver, "a=1\nb=2\n");
    s_takes (receiver, "three");
    close (receiver);
    rp_writer_put (writer, "nobody", sizeof "nobody");
    rp_writer_flush (writer, 10000);
    receiver = s_bind (path);
    rp_writer_put (writer, "four", sizeof "four");
    s_takes (receiver, "four");
    alarm (0);
    rp_writer_destroy (&writer);
    close (receiver);
    unlink (path);
    rmdir (folder);
}

static void s_a_receiver_of_datagrams_that_stops_holds_nobody_up (void **state)
{
    (void) state;
    char folder[] = "/tmp/riposte-writer-XXXXXX", path[64], line[RP_WRITER_QUEUE / 16];
    assert_non_null (mkdtemp (folder));
    snprintf (path, sizeof path, "%s/socket", folder);
    int receiver = s_bind (path);
    rp_writer_t *writer = rp_writer_new_datagrams (path);
    memset (line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    int64_t begin = rp_clock_us ();
    for (int number = 0; number < 4000; number++)
        rp_writer_put (writer, line, sizeof line);
    rp_writer_destroy (&writer);
    assert_true (rp_clock_us () - begin < S_HELD_UP_US);
    close (receiver); // ends the send that was left behind
    unlink (path);
    rmdir (folder);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_lines_are_written_in_their_order),
      S_TEST (s_a_reader_that_stops_holds_nobody_up_and_hears_where_it_missed_how_much),
      S_TEST (s_a_terminal_that_has_room_for_less_than_a_line_holds_nobody_up),
      S_TEST (s_a_reader_that_is_gone_ends_nobody),
      S_TEST (s_a_line_about_missing_ones_is_written_by_the_function_for_it),
      S_TEST (s_each_line_is_a_datagram_also_after_the_receiver_started_again),
      S_TEST (s_a_receiver_of_datagrams_that_stops_holds_nobody_up),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
