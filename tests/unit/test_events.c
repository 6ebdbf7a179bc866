/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/admin/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int s_set_up (void **state)
{
    static rp_events_t events;
    rp_events_init (&events);
    *state = &events;
    return 0;
}

static int s_tear_down (void **state)
{
    rp_events_clear (*state);
    return 0;
}

static void s_add (rp_events_t *events, const char *text)
{
    rp_events_add (events, &(rp_events_line_t){.time = "2026-11-28T20:00:00.000Z",
                             .level = "info",
                             .topic = "worker",
                             .text = text,
                             .size = strlen (text)});
}

static void s_add_many (rp_events_t *events, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        s_add (events, "joined");
}

/*  Asks, and checks which numbers there are: first to last, both 0 for none.  */
static void s_expect (const rp_events_t *events,
  uint64_t since,
  size_t most,
  uint64_t first,
  uint64_t last,
  uint64_t missed)
{
    size_t index;
    json_t *event;
    json_t *answer = rp_events_json (events, since, most);
    const json_t *list = json_object_get (answer, "events");
    assert_int_equal (json_array_size (list), first ? last - first + 1 : 0);
    json_array_foreach (list, index, event)
      assert_int_equal (json_integer_value (json_object_get (event, "number")), first + index);
    assert_int_equal (json_integer_value (json_object_get (answer, "missed")), missed);
    assert_int_equal (json_integer_value (json_object_get (answer, "last")), events->last);
    json_decref (answer);
}

static void s_none_is_an_empty_answer (void **state)
{
    s_expect (*state, 0, 10, 0, 0, 0);
}

static void s_they_are_numbered_from_one (void **state)
{
    s_add_many (*state, 3);
    s_expect (*state, 0, 10, 1, 3, 0);
}

static void s_those_after_a_number_are_found (void **state)
{
    s_add_many (*state, 5);
    s_expect (*state, 3, 10, 4, 5, 0);
    s_expect (*state, 5, 10, 0, 0, 0);
    s_expect (*state, 99, 10, 0, 0, 0);
}

static void s_of_too_many_the_latest_are_found_and_the_others_are_missed (void **state)
{
    s_add_many (*state, 10);
    s_expect (*state, 2, 3, 8, 10, 5);
    s_expect (*state, 2, 0, 0, 0, 8);
}

static void s_what_is_kept_is_bounded_and_the_oldest_go (void **state)
{
    rp_events_t *events = *state;
    s_add_many (events, 100000);
    assert_in_range (events->bytes, RP_EVENTS_BYTES - 256, RP_EVENTS_BYTES);
    json_t *answer = rp_events_json (events, 0, 100000);
    json_int_t missed = json_integer_value (json_object_get (answer, "missed"));
    const json_t *list = json_object_get (answer, "events");
    assert_int_equal (missed + (json_int_t) json_array_size (list), 100000);
    assert_int_equal (
      json_integer_value (json_object_get (json_array_get (list, 0), "number")), missed + 1);
    json_decref (answer);
}

static void s_an_event_has_what_applies_to_it (void **state)
{
    rp_events_add (*state, &(rp_events_line_t){.time = "T",
                             .level = "warning",
                             .topic = "denied",
                             .peer = "127.0.0.1:1",
                             .principal = "ada",
                             .service = "",
                             .more = 7,
                             .text = "not allowed",
                             .size = 11});
    json_t *answer = rp_events_json (*state, 0, 1);
    char *text = json_dumps (json_array_get (json_object_get (answer, "events"), 0), JSON_COMPACT);
    assert_string_equal (text, "{\"number\":1,\"time\":\"T\",\"level\":\"warning\",\"topic\":"
                               "\"denied\",\"peer\":\"127.0.0.1:1\","
                               "\"principal\":\"ada\",\"more\":7,\"text\":\"not allowed\"}");
    free (text);
    json_decref (answer);
}

static void s_hostile_texts_are_escaped_and_cut (void **state)
{
    static char longest[100000];
    memset (longest, '\x1b', sizeof longest - 1);
    rp_events_add (*state, &(rp_events_line_t){.time = longest,
                             .level = longest,
                             .topic = longest,
                             .peer = longest,
                             .principal = longest,
                             .service = longest,
                             .request_id = "\xff",
                             .text = longest,
                             .size = sizeof longest - 1});
    json_t *answer = rp_events_json (*state, 0, 1);
    const json_t *event = json_array_get (json_object_get (answer, "events"), 0);
    assert_true (json_string_length (json_object_get (event, "text")) < RP_EVENTS_TEXT_MAX);
    assert_true (json_string_length (json_object_get (event, "peer")) < RP_EVENTS_VALUE_MAX);
    assert_string_equal (json_string_value (json_object_get (event, "request_id")), "\\xff");
    assert_null (strchr (json_string_value (json_object_get (event, "text")), '\x1b'));
    json_decref (answer);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_none_is_an_empty_answer),
      S_TEST (s_they_are_numbered_from_one),
      S_TEST (s_those_after_a_number_are_found),
      S_TEST (s_of_too_many_the_latest_are_found_and_the_others_are_missed),
      S_TEST (s_what_is_kept_is_bounded_and_the_oldest_go),
      S_TEST (s_an_event_has_what_applies_to_it),
      S_TEST (s_hostile_texts_are_escaped_and_cut),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
