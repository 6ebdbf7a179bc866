/*  The two threads of the export of spans: the one that exports, and the broker's, which never waits for it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/admin/otlp.h"
#include "broker/admin/span_batches.h"
#include "broker/admin/span_queue.h"
#include "broker/core/trace_log.h"
#include "common/io/clock.h"

/*  An ended request without names; it has two spans.  */
static rp_trace_ended_t *s_ended (void)
{
    size_t strings = 8;
    rp_trace_tail_t tail = {.accepted = 1000, .dispatched = 2000};
    rp_trace_ended_t *ended = calloc (1, sizeof *ended + sizeof tail + strings);
    assert_non_null (ended);
    ended->size = sizeof tail + strings;
    ended->cell.kind = RP_TRACE_CELL_FULL;
    ended->cell.ended = 3000;
    ended->cell.given = true;
    memcpy (ended->tail, &tail, sizeof tail);
    return ended;
}

/*  Opens a port, at which nobody accepts; closed: which nobody has.  */
static int s_port (bool closed, char *url, size_t room)
{
    struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true (listener >= 0);
    assert_int_equal (bind (listener, (struct sockaddr *) &address, size), 0);
    assert_int_equal (getsockname (listener, (struct sockaddr *) &address, &size), 0);
    if (!closed)
        assert_int_equal (listen (listener, 16), 0);
    snprintf (url, room, "http://127.0.0.1:%u/v1/traces", ntohs (address.sin_port));
    return listener;
}

static void s_what_is_exported_is_taken_dropped_or_kept_and_nobody_waits (void **state)
{
    (void) state;
    for (int closed = 0; closed < 2; closed++) {
        char url[64];
        int listener = s_port (closed, url, sizeof url);
        rp_otlp_t *otlp = rp_otlp_new (url, "abc");
        assert_non_null (otlp);
        unsigned count = 3 * RP_SPAN_QUEUE_COUNT;
        int64_t longest = 0;
        for (unsigned index = 0; index < count; index++) {
            int64_t began = rp_clock_us ();
            rp_otlp_export (otlp, s_ended ());
            int64_t took = rp_clock_us () - began;
            longest = took > longest ? took : longest;
        }
        rp_otlp_export (otlp, NULL);
        assert_in_range (longest, 0, 900000); // a collector is waited for for seconds
        rp_otlp_counts_t counts = rp_otlp_counts (otlp);
        assert_int_equal (counts.exported, 0);
        assert_int_equal (counts.failed, 0);
        assert_in_range (counts.dropped, 2 * RP_SPAN_QUEUE_COUNT, 2 * count + 1);
        int64_t began = rp_clock_us ();
        uint64_t lost = rp_otlp_destroy (&otlp);
        assert_null (otlp);
        assert_in_range (rp_clock_us () - began, 0, 5 * RP_SPAN_END_US);
        assert_true (lost + counts.dropped >= 2 * count + 1);
        close (listener);
    }
}

static void s_news_wake_the_broker (void **state)
{
    (void) state;
    char url[64];
    int listener = s_port (true, url, sizeof url);
    rp_otlp_t *otlp = rp_otlp_new (url, "abc");
    assert_non_null (otlp);
    assert_null (rp_otlp_news (otlp));
    rp_otlp_export (otlp, s_ended ());
    struct pollfd descriptor = {.fd = rp_otlp_descriptor (otlp), .events = POLLIN};
    assert_int_equal (poll (&descriptor, 1, 60000), 1);
    rp_otlp_news_t *news = rp_otlp_news (otlp);
    assert_non_null (news);
    assert_false (news->works);
    assert_non_null (strstr (news->text, url));
    free (news);
    assert_null (rp_otlp_news (otlp));
    assert_int_equal (rp_otlp_destroy (&otlp), 2);
    close (listener);
}

static void s_an_exporter_without_spans_ends_at_once (void **state)
{
    (void) state;
    char url[64];
    int listener = s_port (false, url, sizeof url);
    rp_otlp_t *otlp = rp_otlp_new (url, "abc");
    assert_non_null (otlp);
    int64_t began = rp_clock_us ();
    assert_int_equal (rp_otlp_destroy (&otlp), 0);
    assert_in_range (rp_clock_us () - began, 0, RP_SPAN_END_US / 2);
    assert_int_equal (rp_otlp_destroy (&otlp), 0);
    close (listener);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_what_is_exported_is_taken_dropped_or_kept_and_nobody_waits),
      cmocka_unit_test (s_news_wake_the_broker),
      cmocka_unit_test (s_an_exporter_without_spans_ends_at_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
