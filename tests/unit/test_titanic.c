/*  Titanic's requests as native ones, and native answers as Titanic's.

    SPDX-License-Identifier: MPL-2.0

    Source: ZeroMQ RFC 9/TSP.
*/

#include "broker/protocol/titanic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <riposte/error.h>

#include "tests/support/frames.h"

static rp_titanic_request_t s_made;
static frames_t s_frames;

static int s_tear_down (void **state)
{
    (void) state;
    frames_free (&s_frames);
    s_frames = (frames_t){0};
    return 0;
}

/*  Reads a request for a service of Titanic's; frames of the text are its body.  */
static rp_head_t s_read (const char *service, const char *text)
{
    frames_free (&s_frames);
    s_frames = frames_of (text);
    rp_head_t head = {.command = RP_COMMAND_REQUEST,
      .id = 5,
      .attempts = 3,
      .name = service,
      .name_size = (uint8_t) strlen (service)};
    rp_titanic_read (&s_made, s_frames.frames, s_frames.count, 0, &head);
    assert_int_equal (head.id, 5);
    assert_int_equal (head.attempts, 3);
    return head;
}

static void s_expect_name (const rp_head_t *head, const char *name)
{
    assert_int_equal (head->name_size, strlen (name));
    assert_memory_equal (head->name, name, head->name_size);
}

static void s_expect_question (const rp_head_t *head, const char *name, const char *question)
{
    s_expect_name (head, name);
    assert_int_equal (head->flags, RP_FLAG_INLINE);
    assert_int_equal (s_made.body, s_frames.count);
    assert_int_equal (s_made.inlined_size, strlen (question));
    assert_memory_equal (s_made.inlined, question, s_made.inlined_size);
}

/*  ---- In ------------------------------------------------------------------------------------ */

static void s_a_request_is_a_job_of_the_service_that_it_names (void **state)
{
    (void) state;
    rp_head_t head = s_read ("titanic.request", "echo|one||two");
    s_expect_name (&head, "echo");
    assert_int_equal (head.flags, RP_FLAG_DURABLE);
    assert_int_equal (s_made.body, 1);
    assert_int_equal (s_made.inlined_size, 0);
    assert_int_equal (head.headers_size, 0);
}

static void s_a_request_that_names_no_service_stays_as_it_is (void **state)
{
    (void) state;
    char longer[129];
    memset (longer, 'x', 128);
    longer[128] = 0;
    const char *const bodies[] = {
      NULL, "|a", "a\nb|a", "mmi.service|a", "riposte.reload", "titanic.request|echo|a", longer};
    for (size_t index = 0; index < sizeof bodies / sizeof *bodies; index++) {
        rp_head_t head = s_read ("titanic.request", bodies[index]);
        s_expect_name (&head, "titanic.request");
        assert_int_equal (head.flags, RP_FLAG_DURABLE);
        assert_int_equal (s_made.body, 0);
        assert_int_equal (head.headers_size, 0);
    }
}

static void s_a_uuid_asks_for_its_job (void **state)
{
    (void) state;
    static const char question[] = "{\"id\":\"1311768467463790320\"}";
    const char *const uuids[] = {
      "0000000000000000123456789ABCDEF0", "0000000000000000123456789abcdef0|more"};
    for (int index = 0; index < 2; index++) {
        rp_head_t head = s_read ("titanic.reply", uuids[index]);
        s_expect_question (&head, "riposte.result", question);
        head = s_read ("titanic.close", uuids[index]);
        s_expect_question (&head, "riposte.remove", question);
    }
}

static void s_what_is_no_uuid_asks_for_no_job (void **state)
{
    (void) state;
    const char *const uuids[] = {NULL, "", "0000000000000000123456789ABCDEF",
      "0000000000000000123456789ABCDEF00", "0000000000000000123456789ABCDEFG",
      "0000000000000000123456789ABCDEF@", "000000000000000G0000000000000001",
      "00000000-0000-0000-0000-00000001", "0000000000000001000000000000000A",
      "10000000000000000000000000000001", "00000000000000008000000000000000",
      "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"};
    for (size_t index = 0; index < sizeof uuids / sizeof *uuids; index++) {
        rp_head_t head = s_read ("titanic.reply", uuids[index]);
        s_expect_question (&head, "riposte.result", "{\"id\":\"0\"}");
    }
}

/*  ---- Out ----------------------------------------------------------------------------------- */

static rp_titanic_answer_t s_write (const char *service, const rp_head_t *head)
{
    rp_titanic_answer_t answer;
    rp_titanic_write (&answer, service, strlen (service), head);
    return answer;
}

static void s_the_uuid_of_an_accepted_job_finds_it (void **state)
{
    (void) state;
    const uint64_t jobs[] = {1, 0xab, INT64_MAX};
    for (int index = 0; index < 3; index++) {
        rp_head_t head = {.command = RP_COMMAND_ACCEPTED, .job = jobs[index]};
        rp_titanic_answer_t answer = s_write ("titanic.request", &head);
        assert_string_equal (answer.status, "200");
        assert_int_equal (strlen (answer.uuid), RP_TITANIC_UUID);
        assert_false (answer.told || answer.body);
        char question[96];
        snprintf (question, sizeof question, "{\"id\":\"%llu\"}", (unsigned long long) jobs[index]);
        head = s_read ("titanic.reply", answer.uuid);
        s_expect_question (&head, "riposte.result", question);
    }
}

static void s_each_answer_has_its_status (void **state)
{
    (void) state;
    static const struct {
        const char *service;
        rp_status_t status;
        uint64_t job;
        const char *says;
        bool told;
        bool body;
    } cases[] = {
      {"titanic.request", RP_BUSY, 0, "500", true, false},
      {"titanic.request", RP_DRAINING, 0, "500", true, false},
      {"titanic.request", RP_INVALID, 0, "400", true, false},
      {"titanic.request", RP_DENIED, 0, "400", true, false},
      {"titanic.request", RP_TOO_LARGE, 0, "400", true, false},
      {"titanic.reply", RP_OK, 7, "200", false, true},
      {"titanic.reply", RP_OK, 0, "300", false, false},
      {"titanic.reply", RP_APP_ERROR, 0, "400", true, false},
      {"titanic.reply", RP_BUSY, 0, "500", true, false},
      {"titanic.reply", RP_APP_ERROR, 7, "500", true, true},
      {"titanic.reply", RP_WORKER_LOST, 7, "500", true, false},
      {"titanic.reply", RP_CANCELLED, 7, "500", true, false},
      {"titanic.close", RP_OK, 0, "200", false, false},
      {"titanic.close", RP_APP_ERROR, 0, "200", false, false},
      {"titanic.close", RP_BUSY, 0, "500", false, false},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        rp_head_t head = {.command = RP_COMMAND_REPLY,
          .status = (uint8_t) cases[index].status,
          .job = cases[index].job};
        rp_titanic_answer_t answer = s_write (cases[index].service, &head);
        assert_string_equal (answer.status, cases[index].says);
        assert_string_equal (answer.uuid, "");
        assert_int_equal (answer.told, cases[index].told);
        assert_int_equal (answer.body, cases[index].body);
    }
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_teardown (name, s_tear_down)
    const struct CMUnitTest tests[] = {
      S_TEST (s_a_request_is_a_job_of_the_service_that_it_names),
      S_TEST (s_a_request_that_names_no_service_stays_as_it_is),
      S_TEST (s_a_uuid_asks_for_its_job),
      S_TEST (s_what_is_no_uuid_asks_for_no_job),
      S_TEST (s_the_uuid_of_an_accepted_job_finds_it),
      S_TEST (s_each_answer_has_its_status),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
