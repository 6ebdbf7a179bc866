/*  Lines for people, to descriptors that stop taking them.

    SPDX-License-Identifier: MPL-2.0
*/

#include "common/io/writer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io/clock.h"

#define S_SECOND_US 1000000

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

/*  Reads on until the text has what is wanted.  */
static void s_read_until (const char *wanted)
{
    size_t size = strlen (s_text);
    int64_t end = rp_clock_us () + 10 * S_SECOND_US;
    assert_int_equal (fcntl (s_pipe[0], F_SETFL, O_NONBLOCK), 0);
    do {
        ssize_t more = read (s_pipe[0], s_text + size, sizeof s_text - 1 - size);
        size += more > 0 ? (size_t) more : 0;
        s_text[size] = '\0';
        usleep (more > 0 ? 0 : 1000);
    } while (!strstr (s_text, wanted) && rp_clock_us () < end);
    assert_non_null (strstr (s_text, wanted));
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

/*  Of all that starts with the prefix: the numbers behind it.  */
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
    rp_writer_flush (writer, 10000);
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
    assert_true (rp_clock_us () - begin < S_SECOND_US);
    rp_writer_destroy (&writer);
    assert_true (rp_clock_us () - begin < S_SECOND_US);
    close (master); // ends the write that was left behind, which still has the other end
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

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_lines_are_written_in_their_order),
      S_TEST (s_a_reader_that_stops_holds_nobody_up_and_hears_where_it_missed_how_much),
      S_TEST (s_a_terminal_that_has_room_for_less_than_a_line_holds_nobody_up),
      S_TEST (s_a_reader_that_is_gone_ends_nobody),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
