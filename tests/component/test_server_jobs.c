/*  What the server keeps of the core's actions for the jobs, until their turn.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/server_jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <riposte/error.h>

static rp_server_jobs_t s_jobs;

static int s_set_up (void **state)
{
    (void) state;
    rp_actions_init (&s_jobs.heard);
    return 0;
}

static int s_tear_down (void **state)
{
    (void) state;
    rp_actions_clear (&s_jobs.heard);
    return 0;
}

/*  The core's text is gone with its actions, the worker's name with its session.  */
static void s_the_end_of_an_attempt_is_kept_with_its_words (void **state)
{
    (void) state;
    char text[] = "the worker was lost", name[] = "w1";
    const rp_action_t action = {.kind = RP_ACTION_SEND,
      .head = {.command = RP_COMMAND_REPLY,
        .status = RP_WORKER_LOST,
        .id = 7,
        .text = text,
        .text_size = sizeof text - 1,
        .key = name}};
    rp_server_jobs_hear (&s_jobs, &action, NULL);
    memset (text, 'x', sizeof text - 1);
    memset (name, 'x', sizeof name - 1);
    const rp_head_t *head = &s_jobs.heard.list[0].head;
    assert_int_equal (head->text_size, sizeof text - 1);
    assert_memory_equal (head->text, "the worker was lost", sizeof text - 1);
    assert_string_equal (head->key, "w1");
}

static void s_without_room_it_is_kept_without_words (void **state)
{
    (void) state;
    static char text[RP_WIRE_TEXT_MAX];
    memset (text, 'x', sizeof text - 1);
    const rp_action_t action = {.kind = RP_ACTION_SEND,
      .head = {.command = RP_COMMAND_REPLY, .text = text, .text_size = sizeof text, .key = "w1"}};
    for (size_t index = 0; index < 100; index++)
        rp_server_jobs_hear (&s_jobs, &action, NULL);
    for (size_t index = 0; index < 100; index++) {
        const rp_head_t *head = &s_jobs.heard.list[index].head;
        assert_int_equal (head->text_size, strlen (head->text));
    }
    assert_int_equal (s_jobs.heard.list[99].head.text_size, 0);
    assert_string_equal (s_jobs.heard.list[99].head.key, "");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown (
        s_the_end_of_an_attempt_is_kept_with_its_words, s_set_up, s_tear_down),
      cmocka_unit_test_setup_teardown (
        s_without_room_it_is_kept_without_words, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
