/*  The worker's core with a name of SRV records: a session for each broker that they name.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/worker_core.h"

#define S_SECOND 1000000
#define S_COUNT 5

typedef struct {
    rp_worker_core_t core;
    int64_t now;
    char trace[2048];
} s_fixture_t;

/*  A broker of the list, a name, and room for three brokers that it names.  */
static const char *const s_endpoints[S_COUNT] = {
  "tcp://10.0.0.9:1", "srv:_riposte._tcp.a", NULL, NULL, NULL};

static void s_note (s_fixture_t *self, unsigned session, const char *what)
{
    size_t size = strlen (self->trace);
    snprintf (
      self->trace + size, sizeof self->trace - size, "%s%u%s", size > 0 ? " " : "", session, what);
}

static void s_take_orders (s_fixture_t *self)
{
    for (const rp_worker_order_t *order; (order = rp_worker_core_next_order (&self->core));)
        switch (order->kind) {
            case RP_WORKER_OPEN:
                s_note (self, order->session, ":open");
                break;
            case RP_WORKER_CLOSE:
                s_note (self, order->session, ":close");
                break;
            case RP_WORKER_SEND:
                break;
            case RP_WORKER_NOTICE:
                s_note (self, order->session, "!");
                strncat (self->trace, order->notice, strcspn (order->notice, " "));
                break;
        }
}

static void s_expect (s_fixture_t *self, const char *trace)
{
    s_take_orders (self);
    assert_string_equal (self->trace, trace);
    self->trace[0] = '\0';
}

static void s_pass (s_fixture_t *self, int64_t time)
{
    self->now += time;
    rp_worker_core_tick (&self->core, self->now, 7);
}

/*  The name has brokers with these letters: "ab" is tcp://a:1, tcp://b:1.  */
static void s_find (s_fixture_t *self, const char *letters)
{
    rp_srv_t records = {0};
    for (; *letters; letters++) {
        rp_srv_record_t *record = &records.records[records.count++];
        record->port = 1;
        record->host[0] = *letters;
    }
    rp_worker_core_found_records (&self->core, 1, &records, self->now, 7);
    s_pass (self, 0);
}

static void s_fail (s_fixture_t *self, uint32_t session)
{
    rp_worker_core_failed (&self->core, session, "refused", self->now, 7);
    s_pass (self, 0);
}

static void s_connect (s_fixture_t *self, uint32_t session)
{
    rp_worker_core_connected (&self->core, session, self->now);
}

static void s_welcome (s_fixture_t *self, uint32_t session)
{
    s_connect (self, session);
    rp_head_t head = {.command = RP_COMMAND_WELCOME, .interval_ms = 60000, .window = 1};
    rp_worker_core_message (&self->core, session, &head, self->now, 7);
}

static void s_refuse (s_fixture_t *self, uint32_t session)
{
    s_connect (self, session);
    rp_head_t head = {.command = RP_COMMAND_BYE, .status = RP_DENIED};
    rp_worker_core_message (&self->core, session, &head, self->now, 7);
}

/*  A worker with a session at the broker of the list, which looks the name up.  */
static s_fixture_t *s_make (void)
{
    s_fixture_t *self = calloc (1, sizeof *self);
    assert_non_null (self);
    self->now = 1000 * (int64_t) S_SECOND;
    rp_worker_config_t config = {
      .endpoints = s_endpoints,
      .count = S_COUNT,
      .service = "upper",
      .name = "test",
      .slots = 1,
      .threads = 1,
      .heartbeat_ms = 60000,
      .drain_us = 10 * S_SECOND,
      .seed = 42,
    };
    assert_true (rp_worker_core_init (&self->core, &config));
    s_pass (self, 0);
    s_welcome (self, 0);
    s_expect (self, "0:open 1:open 0!registered");
    return self;
}

/*  The same, registered with a and b.  */
static s_fixture_t *s_make_found (void)
{
    s_fixture_t *self = s_make ();
    s_find (self, "ab");
    s_welcome (self, 2);
    s_welcome (self, 3);
    s_expect (self, "2:open 3:open 2!registered 3!registered");
    return self;
}

static void s_free (s_fixture_t *self)
{
    rp_worker_core_clear (&self->core);
    free (self);
}

static void every_broker_of_the_records_has_a_session (void **state)
{
    (void) state;
    s_fixture_t *self = s_make ();
    s_find (self, "ab");
    s_expect (self, "2:open 3:open");
    assert_string_equal (rp_link_where (&self->core.sessions[2].link), "tcp://a:1");
    assert_string_equal (rp_link_where (&self->core.sessions[3].link), "tcp://b:1");
    s_free (self);
}

static void a_broker_that_is_added_to_the_records_is_found_within_ten_seconds (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_pass (self, 8 * (int64_t) S_SECOND);
    s_expect (self, "");
    s_pass (self, 2 * (int64_t) S_SECOND);
    s_expect (self, "1:open");
    s_find (self, "cba");
    s_expect (self, "4:open");
    assert_string_equal (rp_link_where (&self->core.sessions[4].link), "tcp://c:1");
    s_free (self);
}

static void one_whose_record_is_gone_is_kept_while_it_stands_and_not_come_back_to (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_pass (self, 10 * (int64_t) S_SECOND);
    s_find (self, "b");
    s_expect (self, "1:open");
    assert_int_equal (self->core.sessions[2].link.state, RP_LINK_UP);
    s_fail (self, 2);
    s_expect (self, "2:close 2!lost 2:open");
    s_pass (self, S_SECOND);
    s_expect (self, "1:open");
    s_find (self, "b");
    s_expect (self, "2:close");
    s_pass (self, 5 * (int64_t) S_SECOND);
    s_expect (self, "");
    s_free (self);
}

static void a_broker_that_is_lost_has_the_records_looked_up_but_not_all_the_time (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_fail (self, 2);
    s_expect (self, "2:close 2!lost 2:open");
    s_pass (self, S_SECOND / 2);
    s_expect (self, "");
    s_pass (self, S_SECOND / 2);
    s_expect (self, "1:open");
    s_find (self, "cb"); // the broker of a is c now
    s_expect (self, "2:close 2:open");
    assert_string_equal (rp_link_where (&self->core.sessions[2].link), "tcp://c:1");
    s_free (self);
}

static void records_that_there_is_no_room_for_are_left_out_until_there_is (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_pass (self, 10 * (int64_t) S_SECOND);
    s_find (self, "abcdef");
    s_expect (self, "1:open 4:open");
    s_fail (self, 2);
    s_expect (self, "2:close 2!lost 2:open");
    s_pass (self, S_SECOND);
    s_find (self, "bcdef");
    s_expect (self, "1:open 2:close 2:open");
    assert_string_equal (rp_link_where (&self->core.sessions[2].link), "tcp://d:1");
    s_free (self);
}

static void a_broker_that_the_list_names_too_has_one_session (void **state)
{
    (void) state;
    s_fixture_t *self = s_make ();
    rp_srv_t records = {.count = 1, .records = {{.port = 1, .host = "10.0.0.9"}}};
    rp_worker_core_found_records (&self->core, 1, &records, self->now, 7);
    s_pass (self, S_SECOND);
    s_expect (self, "");
    s_free (self);
}

static void a_broker_whose_name_comes_in_other_letters_is_the_same (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_pass (self, 10 * (int64_t) S_SECOND);
    s_find (self, "AB");
    s_expect (self, "1:open");
    s_fail (self, 2);
    s_pass (self, S_SECOND);
    s_expect (self, "2:close 2!lost 2:open 1:open");
    s_find (self, "Ab");
    s_expect (self, "");
    s_free (self);
}

static void a_name_that_is_not_found_is_told_and_the_brokers_that_were_stay (void **state)
{
    (void) state;
    s_fixture_t *self = s_make_found ();
    s_pass (self, 10 * (int64_t) S_SECOND);
    s_fail (self, 1);
    s_expect (self, "1:open 1:close 1!cannot");
    assert_string_equal (self->core.error, "srv:_riposte._tcp.a: refused");
    s_pass (self, S_SECOND);
    s_expect (self, "1:open");
    assert_int_equal (self->core.sessions[2].link.state, RP_LINK_UP);
    s_free (self);
}

static void the_worker_is_over_when_all_brokers_refuse_it (void **state)
{
    (void) state;
    int status;
    s_fixture_t *self = s_make ();
    rp_head_t head = {.command = RP_COMMAND_BYE};
    rp_worker_core_message (&self->core, 0, &head, self->now, 7); // that of the list comes back
    rp_worker_core_tick (&self->core, self->now, 7);
    s_refuse (self, 0);
    assert_false (rp_worker_core_is_over (&self->core, &status)); // the name is not found yet
    s_find (self, "ab");
    s_refuse (self, 2);
    assert_false (rp_worker_core_is_over (&self->core, &status));
    s_refuse (self, 3);
    assert_true (rp_worker_core_is_over (&self->core, &status));
    assert_int_equal (status, RP_DENIED);
    s_free (self);
}

static void a_drain_ends_the_looking_up (void **state)
{
    (void) state;
    int status;
    s_fixture_t *self = s_make_found ();
    rp_worker_core_drain (&self->core, self->now);
    s_expect (self, "1:close");
    rp_head_t head = {.command = RP_COMMAND_BYE};
    for (uint32_t session = 0; session < 4; session++)
        if (session != 1)
            rp_worker_core_message (&self->core, session, &head, self->now, 7);
    s_expect (self, "0:close 0!left 2:close 2!left 3:close 3!left");
    assert_true (rp_worker_core_is_over (&self->core, &status));
    assert_int_equal (status, RP_OK);
    s_free (self);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (every_broker_of_the_records_has_a_session),
      cmocka_unit_test (a_broker_that_is_added_to_the_records_is_found_within_ten_seconds),
      cmocka_unit_test (one_whose_record_is_gone_is_kept_while_it_stands_and_not_come_back_to),
      cmocka_unit_test (a_broker_that_is_lost_has_the_records_looked_up_but_not_all_the_time),
      cmocka_unit_test (records_that_there_is_no_room_for_are_left_out_until_there_is),
      cmocka_unit_test (a_broker_that_the_list_names_too_has_one_session),
      cmocka_unit_test (a_broker_whose_name_comes_in_other_letters_is_the_same),
      cmocka_unit_test (a_name_that_is_not_found_is_told_and_the_brokers_that_were_stay),
      cmocka_unit_test (the_worker_is_over_when_all_brokers_refuse_it),
      cmocka_unit_test (a_drain_ends_the_looking_up),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
