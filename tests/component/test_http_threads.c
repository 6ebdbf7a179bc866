/*  SPDX-License-Identifier: MPL-2.0

    The thread of HTTP beside a broker's thread that this test plays: one that answers late, or never. Also
    for the thread sanitizer.
*/

#include "broker/admin/http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/version.h"
#include "common/io/clock.h"

/*  Longer than anything takes here.  */
#define BOUND_MS 20000

typedef struct {
    rp_dispatch_t *core;
    rp_routes_t routes;
    rp_foreign_t foreign;
    rp_events_t events;
    rp_snapshot_reloads_t reloads;
    uint64_t zero;
    rp_spread_t turns;
    rp_compact_cache_t figures;
    rp_snapshot_sources_t sources;
    rp_publisher_t publisher;
    rp_asking_t asking;
    rp_http_options_t options;
    rp_http_t *http;
} s_world_t;

static int s_set_up (void **state)
{
    static s_world_t world;
    memset (&world, 0, sizeof world);
    world.core = rp_dispatch_new (
      &(rp_dispatch_options_t){.instance = 1, .version = RP_VERSION, .now = rp_clock_us ()});
    rp_events_init (&world.events);
    world.sources = (rp_snapshot_sources_t){.core = world.core,
      .routes = &world.routes,
      .foreign = &world.foreign,
      .copied = &world.zero,
      .busy = &world.zero,
      .turns = &world.turns,
      .reloads = &world.reloads,
      .events = &world.events,
      .figures = &world.figures};
    assert_true (rp_publisher_init (&world.publisher) && rp_asking_init (&world.asking));
    world.options = (rp_http_options_t){
      .listen = "127.0.0.1:0", .publisher = &world.publisher, .asking = &world.asking};
    world.http = rp_http_new (&world.options);
    assert_non_null (world.http);
    *state = &world;
    return 0;
}

static int s_tear_down (void **state)
{
    s_world_t *world = *state;
    rp_actions_t actions;
    rp_http_destroy (&world->http);
    rp_publisher_clear (&world->publisher);
    rp_compact_cache_clear (&world->figures);
    rp_asking_clear (&world->asking);
    rp_events_clear (&world->events);
    rp_actions_init (&actions);
    rp_dispatch_destroy (&world->core, &actions);
    rp_actions_clear (&actions);
    return 0;
}

/*  ---- The broker's thread -------------------------------------------------------------------- */

/*  Waits until something is asked.  */
static void s_await (int descriptor)
{
    struct pollfd item = {.fd = descriptor, .events = POLLIN};
    assert_int_equal (poll (&item, 1, BOUND_MS), 1);
}

/*  Hears what is asked. Returns when the snapshot may go on, INT64_MAX: none is wanted.  */
static int64_t s_hear (s_world_t *world)
{
    s_await (world->publisher.asked);
    rp_publisher_hear (&world->publisher, false, rp_clock_us ());
    return rp_publisher_go_on (&world->publisher, &world->sources, rp_clock_us ());
}

/*  Publishes when it is asked to.  */
static void s_publish_asked (s_world_t *world)
{
    world->publisher.due = INT64_MIN; // no pause after the one before
    int64_t due = s_hear (world);
    while (world->publisher.taking || world->publisher.wanted) {
        due = rp_publisher_go_on (&world->publisher, &world->sources, due);
        assert_true (due > 0);
    }
}

/*  Answers a question when it is asked.  */
static void s_answer (s_world_t *world)
{
    rp_asking_question_t *question;
    while (!(question = rp_asking_hear (&world->asking, rp_clock_us ())))
        s_await (world->asking.asking);
    question->answer = rp_question_answer (&world->sources, question->name, strlen (question->name),
      question->params, 0, question->wrong);
    rp_asking_tell (&world->asking, rp_clock_us (), 0);
}

/*  ---- Readers -------------------------------------------------------------------------------- */

static int s_ask (const s_world_t *world, const char *path)
{
    char text[256];
    struct sockaddr_in address = {.sin_family = AF_INET,
      .sin_port = htons ((uint16_t) rp_http_port (world->http)),
      .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    int reader = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal (connect (reader, (struct sockaddr *) &address, sizeof address), 0);
    int size = snprintf (text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    assert_int_equal (write (reader, text, (size_t) size), size);
    return reader;
}

/*  Reads until the text has come, or the connection ends: then false.  */
static bool s_reads (int reader, const char *text)
{
    char got[65536] = "";
    size_t size = 0;
    while (!strstr (got, text)) {
        s_await (reader);
        ssize_t more = read (reader, got + size, sizeof got - 1 - size);
        if (more <= 0)
            return false;
        size += (size_t) more;
        got[size] = '\0';
    }
    return true;
}

/*  Reads the time of the processor that the metrics say, which would be another one in a text written anew.  */
static double s_read_cpu (int reader)
{
    static const char name[] = "\nprocess_cpu_seconds_total ";
    char got[65536] = "";
    size_t size = 0;
    const char *at;
    while (!(at = strstr (got, name)) || !strchr (at + 1, '\n')) {
        s_await (reader);
        ssize_t more = read (reader, got + size, sizeof got - 1 - size);
        assert_true (more > 0);
        size += (size_t) more;
        got[size] = '\0';
    }
    return strtod (at + sizeof name - 1, NULL);
}

static void s_who_reads_the_metrics_of_one_snapshot_shares_their_text (void **state)
{
    s_world_t *world = *state;
    int one = s_ask (world, "/metrics");
    int other = s_ask (world, "/metrics");
    s_await (world->publisher.asked);
    s_publish_asked (world);
    double first = s_read_cpu (one);
    assert_true (s_read_cpu (other) == first);
    usleep (260000); // until that snapshot is too old
    int later = s_ask (world, "/metrics");
    s_publish_asked (world);
    assert_true (s_read_cpu (later) > first);
    close (one);
    close (other);
    close (later);
}

static void s_the_loop_is_ready_until_it_drains (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/readyz");
    assert_true (s_hear (world) == INT64_MAX); // it asks for no snapshot
    assert_true (s_reads (reader, " 200 "));
    close (reader);
    rp_publisher_hear (&world->publisher, true, rp_clock_us ());
    reader = s_ask (world, "/readyz");
    assert_true (s_reads (reader, " 503 "));
    close (reader);
}

static void s_the_loop_lives_without_a_snapshot (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/livez");
    assert_true (s_hear (world) == INT64_MAX);
    assert_true (s_reads (reader, " 200 "));
    close (reader);
}

static void s_a_loop_that_does_not_turn_does_not_live (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/livez");
    assert_true (s_reads (reader, " 503 "));
    close (reader);
}

static void s_a_question_is_answered (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/api/events");
    s_publish_asked (world);
    s_answer (world);
    assert_true (s_reads (reader, "{\"events\":[]"));
    close (reader);
}

/*  libmicrohttpd would look at the idle connection first.  */
static void s_who_has_closed_the_sending_half_is_answered_beside_an_idle_connection (void **state)
{
    s_world_t *world = *state;
    int idle = s_ask (world, "/nothing");
    assert_true (s_reads (idle, " 404 "));
    int reader = s_ask (world, "/metrics");
    assert_int_equal (shutdown (reader, SHUT_WR), 0);
    s_publish_asked (world);
    assert_true (s_reads (reader, " 200 "));
    close (reader);
    reader = s_ask (world, "/api/events");
    assert_int_equal (shutdown (reader, SHUT_WR), 0);
    s_answer (world);
    assert_true (s_reads (reader, "{\"events\":[]"));
    close (reader);
    close (idle);
}

static void s_a_question_that_nobody_answers_is_unavailable (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/api/events");
    s_publish_asked (world);
    assert_true (s_reads (reader, " 503 "));
    close (reader);
}

static void s_an_answer_that_comes_too_late_is_nobodys (void **state)
{
    s_world_t *world = *state;
    int late = s_ask (world, "/api/events");
    s_publish_asked (world);
    assert_true (s_reads (late, " 503 "));
    int next = s_ask (world, "/api/events?since=1");
    s_answer (world);
    s_publish_asked (world);
    s_answer (world);
    assert_true (s_reads (next, "{\"events\":[]"));
    close (late);
    close (next);
}

static void s_too_many_questions_are_refused_at_once (void **state)
{
    s_world_t *world = *state;
    struct pollfd readers[RP_ASKING_MAX + 1];
    for (unsigned index = 0; index <= RP_ASKING_MAX; index++)
        readers[index] = (struct pollfd){.fd = s_ask (world, "/api/events"), .events = POLLIN};
    s_publish_asked (world);
    assert_int_equal (poll (readers, RP_ASKING_MAX + 1, BOUND_MS), 1); // which, is not said
    for (unsigned index = 0; index < RP_ASKING_MAX; index++)
        s_answer (world);
    for (unsigned index = 0; index <= RP_ASKING_MAX; index++) {
        assert_true (s_reads (readers[index].fd, readers[index].revents ? " 503 " : " 200 "));
        close (readers[index].fd);
    }
}

static void s_it_ends_while_questions_are_on_their_way (void **state)
{
    s_world_t *world = *state;
    int readers[8];
    for (unsigned index = 0; index < 8; index++)
        readers[index] = s_ask (world, "/api/events");
    s_publish_asked (world);
    for (unsigned index = 0; index < 4; index++)
        s_answer (world);
    rp_http_destroy (&world->http);
    for (unsigned index = 0; index < 8; index++)
        close (readers[index]);
}

static void s_it_ends_while_requests_wait_for_a_snapshot (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/api/events");
    s_await (world->publisher.asked);
    rp_http_destroy (&world->http);
    close (reader);
}

static void s_it_ends_while_a_stream_waits_for_events (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/events");
    s_publish_asked (world);
    assert_true (s_reads (reader, "text/event-stream"));
    rp_events_add (&world->events, &(rp_events_line_t){.text = "something", .size = 9});
    s_publish_asked (world);
    s_await (world->asking.asking); // it asks which event that is
    rp_http_destroy (&world->http);
    while (s_reads (reader, "nothing has this"))
        continue;
    close (reader);
}

static void s_a_reader_may_leave_before_its_answer (void **state)
{
    s_world_t *world = *state;
    int reader = s_ask (world, "/events");
    s_publish_asked (world);
    s_publish_asked (world); // the stream's own
    assert_true (s_reads (reader, "event: overview"));
    rp_events_add (&world->events, &(rp_events_line_t){.text = "something", .size = 9});
    s_publish_asked (world);
    s_await (world->asking.asking);
    close (reader);
    s_publish_asked (world); // the stream sees that its reader has left
    s_answer (world);
    int next = s_ask (world, "/livez");
    assert_true (s_reads (next, " 200 "));
    close (next);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_who_reads_the_metrics_of_one_snapshot_shares_their_text),
      S_TEST (s_the_loop_is_ready_until_it_drains),
      S_TEST (s_the_loop_lives_without_a_snapshot),
      S_TEST (s_a_loop_that_does_not_turn_does_not_live),
      S_TEST (s_a_question_is_answered),
      S_TEST (s_who_has_closed_the_sending_half_is_answered_beside_an_idle_connection),
      S_TEST (s_a_question_that_nobody_answers_is_unavailable),
      S_TEST (s_an_answer_that_comes_too_late_is_nobodys),
      S_TEST (s_too_many_questions_are_refused_at_once),
      S_TEST (s_it_ends_while_questions_are_on_their_way),
      S_TEST (s_it_ends_while_requests_wait_for_a_snapshot),
      S_TEST (s_it_ends_while_a_stream_waits_for_events),
      S_TEST (s_a_reader_may_leave_before_its_answer),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
