/*  SPDX-License-Identifier: MPL-2.0

    Questions between two threads, also for the thread sanitizer; and how much time answers may take.
*/

#include "broker/admin/asking.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000
#define SECOND INT64_C (1000000)

static int s_set_up (void **state)
{
    static rp_asking_t asking;
    *state = &asking;
    return rp_asking_init (&asking) ? 0 : -1;
}

static int s_tear_down (void **state)
{
    rp_asking_clear (*state);
    return 0;
}

static rp_asking_question_t *s_question (int64_t number)
{
    rp_asking_question_t *question =
      rp_asking_question_new ("events", 6, json_pack ("{s:I}", "since", (json_int_t) number));
    assert_non_null (question);
    return question;
}

static void s_ask (rp_asking_t *asking, unsigned count)
{
    for (unsigned index = 0; index < count; index++)
        assert_true (rp_asking_ask (asking, s_question (index)));
}

static bool s_is_readable (int descriptor)
{
    struct pollfd item = {.fd = descriptor, .events = POLLIN};
    return poll (&item, 1, 0) == 1;
}

/*  ---- Two threads ---------------------------------------------------------------------------- */

enum { QUESTIONS = 20000 };

/*  The broker's thread: answers with what was asked.  */
static void *s_own (void *arg)
{
    rp_asking_t *asking = arg;
    for (unsigned answered = 0; answered < QUESTIONS;) {
        struct pollfd item = {.fd = asking->asking, .events = POLLIN};
        if (poll (&item, 1, 10000) != 1)
            return arg; // the reader has lost a question
        rp_asking_question_t *question;
        while ((question = rp_asking_hear (asking, SECOND))) {
            question->answer = json_incref (question->params);
            rp_asking_tell (asking, SECOND, 0);
            answered++;
        }
    }
    return NULL;
}

static void s_each_question_comes_back_with_its_answer (void **state)
{
    rp_asking_t *asking = *state;
    pthread_t thread;
    assert_int_equal (pthread_create (&thread, NULL, s_own, asking), 0);
    int64_t asked = 0;
    for (int64_t taken = 0; taken < QUESTIONS;) {
        rp_asking_question_t *question;
        while (asked < QUESTIONS && asked - taken < RP_ASKING_MAX)
            assert_true (rp_asking_ask (asking, s_question (asked++)));
        struct pollfd item = {.fd = asking->told, .events = POLLIN};
        assert_int_equal (poll (&item, 1, 10000), 1);
        while ((question = rp_asking_take (asking))) {
            assert_int_equal (
              json_integer_value (json_object_get (question->answer, "since")), taken++);
            rp_asking_question_destroy (&question);
        }
    }
    void *lost;
    assert_int_equal (pthread_join (thread, &lost), 0);
    assert_null (lost);
}

/*  ---- Bounds --------------------------------------------------------------------------------- */

static void s_one_more_than_the_most_is_not_taken (void **state)
{
    rp_asking_t *asking = *state;
    s_ask (asking, RP_ASKING_MAX);
    rp_asking_question_t *more = s_question (0);
    assert_false (rp_asking_ask (asking, more));
    assert_non_null (rp_asking_hear (asking, 0));
    rp_asking_tell (asking, 0, 0);
    assert_false (rp_asking_ask (asking, more)); // its place is free once it was taken back
    rp_asking_question_t *taken = rp_asking_take (asking);
    rp_asking_question_destroy (&taken);
    assert_true (rp_asking_ask (asking, more));
}

static void s_questions_on_their_way_end_with_it (void **state)
{
    s_ask (*state, RP_ASKING_MAX);
    assert_non_null (rp_asking_hear (*state, 0));
    rp_asking_tell (*state, 0, 0); // the sanitizer finds what the tear-down leaves
}

static void s_one_that_is_kept_holds_up_nobody (void **state)
{
    rp_asking_t *asking = *state;
    s_ask (asking, 2);
    rp_asking_question_t *kept = rp_asking_hear (asking, 0);
    rp_asking_keep (asking, 0, 0);
    rp_asking_question_t *other = rp_asking_hear (asking, 0);
    assert_true (kept && other && kept != other);
    rp_asking_tell (asking, 0, 0);
    assert_ptr_equal (rp_asking_take (asking), other);
    assert_null (rp_asking_take (asking));
    assert_true (rp_asking_due (asking) == INT64_MAX);
    rp_asking_tell_kept (asking, kept, 0, 0);
    assert_true (s_is_readable (asking->told));
    assert_ptr_equal (rp_asking_take (asking), kept);
    rp_asking_question_destroy (&kept);
    rp_asking_question_destroy (&other);
}

static void s_those_that_are_kept_count (void **state)
{
    rp_asking_t *asking = *state;
    rp_asking_question_t *kept[RP_ASKING_MAX];
    s_ask (asking, RP_ASKING_MAX);
    for (unsigned index = 0; index < RP_ASKING_MAX; index++) {
        kept[index] = rp_asking_hear (asking, 0);
        rp_asking_keep (asking, 0, 0);
    }
    rp_asking_question_t *more = s_question (0);
    assert_false (rp_asking_ask (asking, more));
    rp_asking_question_destroy (&more);
    for (unsigned index = 0; index < RP_ASKING_MAX; index++)
        rp_asking_tell_kept (
          asking, kept[index], 0, 0); // the sanitizer finds what the tear-down leaves
}

static void s_each_side_is_woken (void **state)
{
    rp_asking_t *asking = *state;
    assert_false (s_is_readable (asking->asking) || s_is_readable (asking->told));
    s_ask (asking, 1);
    assert_true (s_is_readable (asking->asking));
    assert_non_null (rp_asking_hear (asking, 0));
    rp_asking_tell (asking, 0, 0);
    assert_false (s_is_readable (asking->asking));
    assert_true (s_is_readable (asking->told));
    rp_asking_question_t *question = rp_asking_take (asking);
    rp_asking_question_destroy (&question);
    assert_null (rp_asking_take (asking));
    assert_false (s_is_readable (asking->told));
    assert_true (rp_asking_due (asking) == INT64_MAX);
}

/*  ---- Time ----------------------------------------------------------------------------------- */

/*  Answers from a time on whatever may be answered, each in so long, while somebody asks without end.
    Returns the time that answers took.  */
static int64_t s_flood (rp_asking_t *asking, int64_t from, int64_t for_us, int64_t each)
{
    int64_t spent = 0;
    int64_t now = from;
    while (now < from + for_us) {
        while (atomic_load (&asking->asked) - asking->taken < RP_ASKING_MAX)
            s_ask (asking, 1);
        if (rp_asking_hear (asking, now)) {
            rp_asking_tell (asking, now, each);
            now += each;
            spent += each;
        }
        else
            now = rp_asking_due (asking);
        rp_asking_question_t *question = rp_asking_take (asking);
        rp_asking_question_destroy (&question);
    }
    return spent;
}

static void s_a_flood_takes_no_more_than_its_share (void **state)
{
    static const int64_t each[] = {10, 100, 1 * MS, 20 * MS};
    int64_t from = SECOND;
    for (size_t index = 0; index < sizeof each / sizeof *each; index++, from += 20 * SECOND) {
        int64_t spent = s_flood (*state, from, 10 * SECOND, each[index]);
        int64_t share = 10 * SECOND / RP_ASKING_SHARE;
        assert_in_range (spent, share - each[index], share + RP_ASKING_SAVED_US + each[index]);
    }
}

static void s_a_few_questions_are_answered_at_once (void **state)
{
    s_ask (*state, 20);
    for (unsigned index = 0; index < 20; index++) {
        assert_non_null (rp_asking_hear (*state, SECOND + index));
        rp_asking_tell (*state, SECOND + index, 100);
    }
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_set_up, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_each_question_comes_back_with_its_answer),
      S_TEST (s_one_more_than_the_most_is_not_taken),
      S_TEST (s_questions_on_their_way_end_with_it),
      S_TEST (s_one_that_is_kept_holds_up_nobody),
      S_TEST (s_those_that_are_kept_count),
      S_TEST (s_each_side_is_woken),
      S_TEST (s_a_flood_takes_no_more_than_its_share),
      S_TEST (s_a_few_questions_are_answered_at_once),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
