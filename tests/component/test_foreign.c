/*  Foreign messages as native ones, and native ones as foreign, with messages made by hand.

    SPDX-License-Identifier: MPL-2.0

    In text, frames are parted by bars (tests/support/frames.h).
*/

#include "broker/protocol/foreign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <riposte/error.h>

#include "broker/core/dispatch.h"
#include "common/wire/headers.h"
#include "tests/support/frames.h"

/*  The number in the client address "c-3132333435363738", as bytes.  */
#define S_TOKEN UINT64_C (0x3132333435363738)

static rp_message_pool_t s_pool;
static rp_limits_t s_limits;
static rp_foreign_t s_foreign;

static int s_setup (void **state)
{
    (void) state;
    s_pool = (rp_message_pool_t){.largest = 10};
    s_limits = (rp_limits_t) RP_LIMITS_DEFAULT;
    rp_foreign_init (&s_foreign, &s_pool, &s_limits, 7);
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    rp_foreign_clear (&s_foreign);
    rp_message_pool_clear (&s_pool);
    return 0;
}

/*  ---- Messages ---------------------------------------------------------------------------- */

static void s_set_frame (rp_message_t *message, uint32_t index, const void *data, size_t size)
{
    zmq_msg_t frame;
    assert_int_equal (zmq_msg_init_size (&frame, size), 0);
    if (size)
        memcpy (zmq_msg_data (&frame), data, size);
    zmq_msg_move (rp_message_frame (message, index), &frame);
    zmq_msg_close (&frame);
    message->bytes += size;
}

static rp_message_t *s_message (const frames_t *frames)
{
    rp_message_t *message = rp_message_new (&s_pool, 0);
    assert_non_null (message);
    if (frames->count > 1)
        assert_true (rp_message_add_frames (message, frames->count - 1));
    for (uint32_t index = 0; index < frames->count; index++)
        s_set_frame (message, index, frames->frames[index].data, frames->frames[index].size);
    return message;
}

/*  Makes a native message; body NULL: none. With RP_FLAG_INLINE the body's first frame follows the
    head.  */
static rp_message_t *s_native (const rp_head_t *head, const char *body)
{
    uint8_t first[RP_WIRE_HEAD_MAX + 64];
    frames_t frames = frames_of (body);
    size_t size = rp_wire_encode (head, first, sizeof first);
    assert_int_equal (size, rp_wire_size (head));
    uint32_t inlined = frames.count > 0 && head->flags & RP_FLAG_INLINE;
    if (inlined && frames.frames[0].size)
        memcpy (first + size, frames.frames[0].data, frames.frames[0].size);
    if (inlined)
        size += frames.frames[0].size;
    rp_message_t *message = rp_message_new (&s_pool, 0);
    assert_non_null (message);
    uint32_t rest = frames.count - inlined;
    if (rest > 0)
        assert_true (rp_message_add_frames (message, rest));
    s_set_frame (message, 0, first, size);
    for (uint32_t index = 0; index < rest; index++)
        s_set_frame (message, 1 + index, frames.frames[inlined + index].data,
          frames.frames[inlined + index].size);
    frames_free (&frames);
    return message;
}

/*  Checks that the frames from first on are those of the text.  */
static void s_expect_frames (rp_message_t *message, uint32_t first, const char *text)
{
    frames_t frames = frames_of (text);
    size_t bytes = 0;
    assert_int_equal (message->count - first, frames.count);
    for (uint32_t index = 0; index < message->count; index++)
        bytes += zmq_msg_size (rp_message_frame (message, index));
    assert_int_equal (message->bytes, bytes);
    for (uint32_t index = 0; index < frames.count; index++) {
        zmq_msg_t *frame = rp_message_frame (message, first + index);
        assert_int_equal (zmq_msg_size (frame), frames.frames[index].size);
        if (zmq_msg_size (frame))
            assert_memory_equal (
              zmq_msg_data (frame), frames.frames[index].data, frames.frames[index].size);
    }
    frames_free (&frames);
}

/*  ---- In and out --------------------------------------------------------------------------- */

/*  Checks that a foreign message becomes a native one with this body (NULL: none). Returns its
    id.  */
static uint64_t s_take (rp_foreign_session_t *session, const char *text, const char *body)
{
    frames_t said = frames_of (text);
    rp_foreign_message_t foreign;
    if (session->dialect != RP_DIALECT_PLAIN)
        rp_dialect_read (&foreign, said.frames, said.count);
    else if (session->worker)
        rp_dialect_read_plain_worker (&foreign, said.frames, said.count);
    else
        rp_dialect_read_plain_client (&foreign, said.frames, said.count);
    if (session->dialect == RP_DIALECT_PLAIN) {
        foreign.name = "echo";
        foreign.name_size = 4;
    }
    assert_int_equal (foreign.error, RP_DIALECT_ERROR_NONE);
    assert_int_equal (foreign.dialect, session->dialect);
    assert_int_equal (foreign.worker, session->worker);
    rp_message_t *message = s_message (&said);
    rp_head_t head;
    assert_true (rp_foreign_take (&s_foreign, session, &foreign, message, &head));
    frames_free (&said);
    assert_int_equal (head.command, foreign.command);
    assert_int_equal (head.size, rp_message_size (message));
    assert_int_equal (!!(head.flags & RP_FLAG_MORE), foreign.more);
    if (head.command == RP_COMMAND_REQUEST) {
        assert_int_equal (head.name_size, 4);
        assert_memory_equal (head.name, "echo", 4);
        assert_int_equal (head.deadline_ms, s_limits.foreign_deadline);
        assert_int_equal (head.attempts, s_limits.foreign_attempts);
    }
    s_expect_frames (message, 1, body);
    rp_message_destroy (&s_pool, &message);
    return head.id;
}

/*  Checks that a native message becomes these frames for a foreign peer; NULL: none, because the
    dialect has no message for it.  */
static void s_say (
  const rp_foreign_session_t *session, const rp_head_t *head, const char *body, const char *text)
{
    rp_message_t *native = s_native (head, body);
    rp_message_t *said = rp_foreign_translate (&s_foreign, session, native);
    int reason = errno;
    assert_int_equal (said != NULL, text != NULL);
    if (said)
        s_expect_frames (said, 0, text);
    else
        assert_int_equal (reason, 0);
    rp_message_destroy (&s_pool, &said);
    rp_message_destroy (&s_pool, &native);
}

static rp_foreign_session_t *s_begin (rp_dialect_t dialect, bool worker)
{
    rp_foreign_session_t *session = rp_foreign_begin (&s_foreign, dialect, worker);
    assert_non_null (session);
    return session;
}

static rp_head_t s_reply (uint64_t id, rp_status_t status, const char *text)
{
    return (rp_head_t){.command = RP_COMMAND_REPLY,
      .status = (uint8_t) status,
      .id = id,
      .text = text,
      .text_size = (uint16_t) strlen (text)};
}

/*  Takes a request for Titanic, and checks the native one's name and body. Returns its head, of which only
    what does not point anywhere may be used.  */
static rp_head_t s_take_titanic (
  rp_foreign_session_t *session, const char *text, const char *service, const char *body)
{
    frames_t said = frames_of (text);
    rp_foreign_message_t foreign;
    rp_dialect_read (&foreign, said.frames, said.count);
    rp_message_t *message = s_message (&said);
    rp_head_t head;
    assert_true (rp_foreign_take (&s_foreign, session, &foreign, message, &head));
    frames_free (&said);
    assert_int_equal (head.name_size, strlen (service));
    assert_memory_equal (head.name, service, head.name_size);
    if (head.flags & RP_FLAG_INLINE) {
        size_t size = rp_message_size (message) - head.size;
        assert_int_equal (size, strlen (body));
        assert_memory_equal (rp_message_data (message) + head.size, body, size);
        assert_int_equal (message->bytes, head.size + size);
        assert_int_equal (message->count, 1);
    }
    else {
        s_expect_frames (message, 1, body);
    }
    rp_message_destroy (&s_pool, &message);
    return head;
}

static uint32_t s_open (void)
{
    return rp_envelopes_count (&s_foreign.envelopes);
}

#define S_PACKED_CLIENT(number)                                                                    \
    "\xaa\xa4" number "\x06MDPC02" number "\x04"                                                   \
    "echo"
#define S_PACKED_WORKER(id, number) "\xaa\xa4" id "\x06MDPW02" number

/*  ---- Tests -------------------------------------------------------------------------------- */

static void s_each_client_gets_its_reply_as_it_asked (void **state)
{
    (void) state;
    static const struct {
        rp_dialect_t dialect;
        const char *request; /* after its return envelope, before the body */
        const char *reply;
    } clients[] = {
      {RP_DIALECT_MDP01, "|MDPC01|echo|", "|MDPC01|echo|"},
      {RP_DIALECT_MDP02_EMPTY, "|MDPC02|\1|echo|", "|MDPC02|\3|echo|"},
      {RP_DIALECT_MAJORTOMO, "|MDPC02|\2|echo|", "|MDPC02|\4|"},
      {RP_DIALECT_PLAIN, "|", "|"},
      {RP_DIALECT_MDP02, "MDPC02|\1|echo|", "MDPC02|\3|echo|"},
      {RP_DIALECT_PACKED, S_PACKED_CLIENT ("\1") "|", S_PACKED_CLIENT ("\3") "|"},
    };
    for (size_t index = 0; index < sizeof clients / sizeof *clients; index++)
        for (int way = 0; way < 4; way++) {
            bool has_envelope = way & 1 && clients[index].request[0] == '|';
            const char *envelope = has_envelope ? "one|two|" : "";
            const char *body = way & 2 ? "a||b" : ""; // a body's frames may be empty
            char request[128], reply[128];
            snprintf (request, sizeof request, "%s%s%s", envelope, clients[index].request, body);
            snprintf (reply, sizeof reply, "%s%s%s", envelope, clients[index].reply, body);
            rp_foreign_session_t *session = s_begin (clients[index].dialect, false);
            rp_head_t head = s_reply (s_take (session, request, body), RP_OK, "");
            assert_int_equal (s_open (), 1);
            s_say (session, &head, body, reply);
            assert_int_equal (s_open (), 0);
            s_say (session, &head, body, NULL); // the envelope was used for the first reply
            rp_foreign_end (&s_foreign, &session);
        }
}

static void s_each_worker_gets_requests_and_replies_in_its_words (void **state)
{
    (void) state;
    static const struct {
        rp_dialect_t dialect;
        const char *request;
        const char *reply;
        const char *heartbeat; /* NULL: the dialect has none */
    } workers[] = {
      {RP_DIALECT_MDP01, "|MDPW01|\2|", "|MDPW01|\3|", "|MDPW01|\4"},
      {RP_DIALECT_MDP02, "MDPW02|\2|", "MDPW02|\4|", "MDPW02|\5"},
      {RP_DIALECT_MDP02_EMPTY, "|MDPW02|\2|", "|MDPW02|\4|", "|MDPW02|\5"},
      {RP_DIALECT_PACKED, S_PACKED_WORKER ("\5", "\2") "|", S_PACKED_WORKER ("\7", "\4") "|",
        S_PACKED_WORKER ("\10", "\5")},
      {RP_DIALECT_PLAIN, "", "", NULL},
    };
    for (size_t index = 0; index < sizeof workers / sizeof *workers; index++)
        for (int way = 0; way < 2; way++) {
            const char *body = way ? "a||b" : "";
            char request[128], reply[128];
            snprintf (
              request, sizeof request, "%sc-3132333435363738||%s", workers[index].request, body);
            snprintf (reply, sizeof reply, "%sc-3132333435363738||%s", workers[index].reply, body);
            rp_foreign_session_t *session = s_begin (workers[index].dialect, true);
            rp_head_t head = {.command = RP_COMMAND_REQUEST,
              .id = S_TOKEN,
              .deadline_ms = 1000,
              .attempts = 1,
              .attempt = 1,
              .name = "echo",
              .name_size = 4};
            s_say (session, &head, body, request);
            assert_int_equal (s_take (session, reply, body), S_TOKEN);
            head = (rp_head_t){.command = RP_COMMAND_HEARTBEAT};
            s_say (session, &head, NULL, workers[index].heartbeat);
            head = (rp_head_t){.command = RP_COMMAND_WELCOME, .interval_ms = 1000, .window = 1};
            s_say (session, &head, NULL, NULL);
            rp_foreign_end (&s_foreign, &session);
        }
}

static void s_what_has_no_body_becomes_a_head_alone (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, true);
    s_take (session, "|MDPW01|\1|echo", NULL);
    s_take (session, "|MDPW01|\4", NULL);
    s_take (session, "|MDPW01|\5|with a frame too many", NULL);
}

static void s_an_inline_body_is_the_first_frame (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    rp_head_t head = s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_OK, "");
    head.flags = RP_FLAG_INLINE;
    s_say (session, &head, "in the head|b||", "|MDPC01|echo|in the head|b||");
    head.id = s_take (session, "|MDPC01|echo|a", "a");
    s_say (session, &head, "|b", "|MDPC01|echo||b"); // an empty one too
}

static void s_a_native_reply_without_body_has_an_empty_frame (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    rp_head_t head = s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_OK, "");
    s_say (session, &head, NULL, "|MDPC01|echo|");
    rp_foreign_session_t *worker = s_begin (RP_DIALECT_MDP02, true);
    head = (rp_head_t){.command = RP_COMMAND_REQUEST,
      .id = S_TOKEN,
      .deadline_ms = 1,
      .attempts = 1,
      .attempt = 1,
      .name = "echo",
      .name_size = 4};
    s_say (worker, &head, NULL, "MDPW02|\2|c-3132333435363738||");
}

static void s_an_error_is_told_only_to_who_wants_it (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    for (int wanted = 0; wanted < 2; wanted++) {
        s_limits.foreign_errors = (uint64_t) wanted;
        rp_head_t head =
          s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_NO_WORKER, "there is none");
        s_say (session, &head, NULL, wanted ? "|MDPC01|echo|NO_WORKER|there is none" : NULL);
        assert_int_equal (s_open (), 0); // either way the request has ended
    }
}

static void s_an_error_of_the_application_is_a_reply (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    rp_head_t head =
      s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_APP_ERROR, "no such file");
    s_say (session, &head, "details|more", "|MDPC01|echo|details|more");
    head = s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_APP_ERROR, "no such file");
    s_say (session, &head, NULL, "|MDPC01|echo|no such file");
    head = s_reply (s_take (session, "|MDPC01|echo|a", "a"), RP_APP_ERROR, "");
    s_say (session, &head, NULL, "|MDPC01|echo|");
}

static void s_a_part_keeps_the_envelope_and_the_last_uses_it_up (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP02, false);
    rp_head_t part = s_reply (s_take (session, "MDPC02|\1|echo|a", "a"), RP_OK, "");
    rp_head_t last = part;
    part.flags = RP_FLAG_MORE;
    s_say (session, &part, "1", "MDPC02|\2|echo|1");
    s_say (session, &part, "2", "MDPC02|\2|echo|2");
    assert_int_equal (s_open (), 1);
    s_say (session, &last, "3", "MDPC02|\3|echo|3");
    assert_int_equal (s_open (), 0);
    s_say (session, &part, "4", NULL);
}

/*  Checks which window a request states; 0: it has no STREAM.  */
static void s_expect_window (rp_dialect_t dialect, const char *text, uint64_t expected)
{
    rp_foreign_session_t *session = s_begin (dialect, false);
    frames_t said = frames_of (text);
    rp_foreign_message_t foreign;
    rp_dialect_read (&foreign, said.frames, said.count);
    rp_message_t *message = s_message (&said);
    rp_head_t head;
    uint64_t window = 0;
    assert_true (rp_foreign_take (&s_foreign, session, &foreign, message, &head));
    assert_true (rp_headers_number (
      head.headers, head.headers_size, RP_STREAM_WINDOW, s_limits.stream_window, &window));
    assert_int_equal (window, expected);
    assert_int_equal (head.flags, window ? RP_FLAG_STREAM : 0);
    rp_message_destroy (&s_pool, &message);
    frames_free (&said);
}

static void s_a_client_that_takes_parts_reads_them_in_a_window_that_the_limits_allow (void **state)
{
    (void) state;
    s_expect_window (RP_DIALECT_MDP01, "|MDPC01|echo|a", 0);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 262144);
    s_expect_window (RP_DIALECT_PACKED, S_PACKED_CLIENT ("\1") "|a", 262144);
    rp_foreign_clear (&s_foreign);
    s_limits.stream_window = 1000;
    rp_foreign_init (&s_foreign, &s_pool, &s_limits, 7);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 1000);
    rp_foreign_clear (&s_foreign);
    s_limits.stream_window = 1048576;
    s_limits.connection_backlog_bytes = 65536;
    rp_foreign_init (&s_foreign, &s_pool, &s_limits, 7);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 8192);
    rp_foreign_clear (&s_foreign);
    s_limits.connection_backlog = 64;
    rp_foreign_init (&s_foreign, &s_pool, &s_limits, 7);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 2048);
}

static void s_the_window_follows_limits_that_change (void **state)
{
    (void) state;
    s_limits.connection_backlog_bytes = 65536;
    rp_foreign_fit (&s_foreign);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 8192);
    s_limits.connection_backlog_bytes = 67108864;
    rp_foreign_fit (&s_foreign);
    s_expect_window (RP_DIALECT_MDP02, "MDPC02|\1|echo|a", 262144);
}

static void s_a_part_from_a_worker_says_so (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP02, true);
    assert_int_equal (s_take (session, "MDPW02|\3|c-3132333435363738||1", "1"), S_TOKEN);
    assert_int_equal (s_take (session, "MDPW02|\4|c-3132333435363738||2", "2"), S_TOKEN);
}

static void s_an_address_that_is_no_token_names_no_request (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_PLAIN, true);
    assert_int_equal (
      s_take (session, "c-736f6d65626f6479||a", "a"), UINT64_C (0x736f6d65626f6479));
    assert_int_equal (s_take (session, "some||a", "a"), 0);
}

static void s_requests_for_titanic_are_about_jobs_where_there_are_any (void **state)
{
    (void) state;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    rp_head_t head =
      s_take_titanic (session, "|MDPC01|titanic.request|echo|a||b", "titanic.request", "echo|a||b");
    assert_int_equal (
      head.flags & RP_FLAG_DURABLE, 0); // without a store it is a name like any other
    s_foreign.titanic = true;
    head = s_take_titanic (session, "|MDPC01|titanic.request|echo|a||b", "echo", "a||b");
    assert_int_not_equal (head.flags & RP_FLAG_DURABLE, 0);
    static const char uuid[] = "0000000000000000000000000000004D";
    static const char question[] = "{\"id\":\"77\"}";
    char text[128];
    snprintf (text, sizeof text, "|MDPC01|titanic.request|200|%s", uuid);
    uint32_t open = s_open ();
    s_say (
      session, &(rp_head_t){.command = RP_COMMAND_ACCEPTED, .id = head.id, .job = 77}, NULL, text);
    assert_int_equal (s_open (), open - 1);

    snprintf (text, sizeof text, "|MDPC01|titanic.reply|%s", uuid);
    head = s_reply (s_take_titanic (session, text, "riposte.result", question).id, RP_OK, "");
    head.job = 77;
    s_say (session, &head, "A||B", "|MDPC01|titanic.reply|200|A||B");
    head = s_reply (s_take_titanic (session, text, "riposte.result", question).id, RP_OK, "");
    s_say (session, &head, "{}", "|MDPC01|titanic.reply|300");
    assert_int_equal (s_open (), open - 1);
}

/*  Whatever foreign_errors is.  */
static void s_titanic_never_keeps_silent (void **state)
{
    (void) state;
    s_foreign.titanic = true;
    s_limits.foreign_errors = 0;
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP02, false);
    rp_head_t head =
      s_reply (s_take_titanic (session, "MDPC02|\1|titanic.request|echo|a", "echo", "a").id,
        RP_BUSY, "full");
    s_say (session, &head, NULL, "MDPC02|\3|titanic.request|500|BUSY|full");
    assert_int_equal (s_open (), 0);
}

static void s_the_end_of_a_session_drops_its_envelopes (void **state)
{
    (void) state;
    rp_foreign_session_t *one = s_begin (RP_DIALECT_MDP01, false);
    rp_foreign_session_t *two = s_begin (RP_DIALECT_MDP01, false);
    rp_head_t gone = s_reply (s_take (one, "x||MDPC01|echo|a", "a"), RP_OK, "");
    rp_head_t kept = s_reply (s_take (two, "y||MDPC01|echo|a", "a"), RP_OK, "");
    s_take (one, "x||MDPC01|echo|a", "a");
    assert_int_equal (s_open (), 3);
    rp_foreign_end (&s_foreign, &one);
    assert_null (one);
    assert_int_equal (s_open (), 1);
    s_say (two, &gone, "b", NULL);
    s_say (two, &kept, "b", "y||MDPC01|echo|b");
    assert_int_equal (rp_envelopes_bytes (&s_foreign.envelopes), 0);
}

/*  The reply has an envelope of eight frames.  */
static void s_a_reply_of_as_many_frames_as_there_can_be_passes (void **state)
{
    (void) state;
    enum { BEFORE = 8 + 3, BODY = RP_FRAMES_MAX - 1 };
    char body[2 * BODY] = "";
    for (unsigned frame = 0; frame < BODY; frame++)
        strcat (body, frame ? "|b" : "b");
    rp_foreign_session_t *session = s_begin (RP_DIALECT_MDP01, false);
    uint64_t id = s_take (session, "1|2|3|4|5|6|7|8||MDPC01|echo|a", "a");
    rp_head_t head = s_reply (id, RP_OK, "");
    rp_message_t *whole = s_native (&head, body);
    assert_int_equal (whole->count, RP_FRAMES_MAX);
    rp_message_t *said = rp_foreign_translate (&s_foreign, session, whole);
    assert_non_null (said);
    assert_int_equal (said->count, BEFORE + BODY);
    for (uint32_t frame = BEFORE; frame < said->count; frame++)
        assert_int_equal (zmq_msg_size (rp_message_frame (said, frame)), 1);
    rp_message_destroy (&s_pool, &said);
    rp_message_destroy (&s_pool, &whole);
}

static void s_the_hello_of_a_foreign_says_what_its_protocol_leaves_open (void **state)
{
    (void) state;
    rp_head_t head;
    rp_foreign_message_t foreign = {
      .dialect = RP_DIALECT_MDP01, .worker = true, .name = "echo", .name_size = 4};
    rp_foreign_hello (&s_foreign, &foreign, &head);
    assert_int_equal (head.flags, RP_FLAG_WORKER);
    assert_int_equal (head.window, s_limits.foreign_window);
    assert_int_equal (head.interval_ms, s_limits.foreign_heartbeat);
    assert_int_equal (head.name_size, 4);
    assert_int_equal (head.key_size, strlen ("MDP 0.1"));
    foreign = (rp_foreign_message_t){.dialect = RP_DIALECT_MDP02};
    rp_foreign_hello (&s_foreign, &foreign, &head);
    assert_int_equal (head.flags, 0);
    assert_int_equal (head.name_size, 0);
    assert_int_equal (rp_foreign_traits (&s_foreign, &foreign),
      RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS | RP_TRAIT_PARTS);
    foreign.dialect = RP_DIALECT_MDP01;
    assert_int_equal (rp_foreign_traits (&s_foreign, &foreign),
      RP_TRAIT_MUTE | RP_TRAIT_UNTIMED | RP_TRAIT_WORDLESS);
    foreign.worker = true;
    assert_int_equal (
      rp_foreign_traits (&s_foreign, &foreign), RP_TRAIT_BUSY_MUTE | RP_TRAIT_LEARN);
    foreign.dialect = RP_DIALECT_MDP02;
    assert_int_equal (rp_foreign_traits (&s_foreign, &foreign),
      RP_TRAIT_BUSY_MUTE | RP_TRAIT_LEARN | RP_TRAIT_PARTS);
    foreign.dialect = RP_DIALECT_PLAIN;
    assert_int_equal (rp_foreign_traits (&s_foreign, &foreign), RP_TRAIT_MUTE);
}

static void s_sessions_are_counted_now_and_ever (void **state)
{
    (void) state;
    rp_foreign_session_t *one = s_begin (RP_DIALECT_MDP01, false);
    rp_foreign_session_t *two = s_begin (RP_DIALECT_MDP01, true);
    rp_foreign_change (&s_foreign, one, RP_DIALECT_MDP02, true);
    assert_true (one->worker);
    assert_int_equal (one->dialect, RP_DIALECT_MDP02);
    assert_int_equal (s_foreign.there[RP_DIALECT_MDP01], 1);
    assert_int_equal (s_foreign.there[RP_DIALECT_MDP02], 1);
    assert_int_equal (s_foreign.workers[RP_DIALECT_MDP01], 1);
    assert_int_equal (s_foreign.workers[RP_DIALECT_MDP02], 1);
    rp_foreign_end (&s_foreign, &one);
    rp_foreign_end (&s_foreign, &two);
    assert_int_equal (s_foreign.there[RP_DIALECT_MDP01], 0);
    assert_int_equal (s_foreign.there[RP_DIALECT_MDP02], 0);
    assert_int_equal (s_foreign.workers[RP_DIALECT_MDP02], 0);
    assert_int_equal (s_foreign.joined[RP_DIALECT_MDP01], 2);
}

int main (void)
{
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (s_each_client_gets_its_reply_as_it_asked),
      S_TEST (s_each_worker_gets_requests_and_replies_in_its_words),
      S_TEST (s_what_has_no_body_becomes_a_head_alone),
      S_TEST (s_an_inline_body_is_the_first_frame),
      S_TEST (s_a_native_reply_without_body_has_an_empty_frame),
      S_TEST (s_an_error_is_told_only_to_who_wants_it),
      S_TEST (s_an_error_of_the_application_is_a_reply),
      S_TEST (s_a_part_keeps_the_envelope_and_the_last_uses_it_up),
      S_TEST (s_a_client_that_takes_parts_reads_them_in_a_window_that_the_limits_allow),
      S_TEST (s_the_window_follows_limits_that_change),
      S_TEST (s_a_part_from_a_worker_says_so),
      S_TEST (s_an_address_that_is_no_token_names_no_request),
      S_TEST (s_requests_for_titanic_are_about_jobs_where_there_are_any),
      S_TEST (s_titanic_never_keeps_silent),
      S_TEST (s_the_end_of_a_session_drops_its_envelopes),
      S_TEST (s_a_reply_of_as_many_frames_as_there_can_be_passes),
      S_TEST (s_the_hello_of_a_foreign_says_what_its_protocol_leaves_open),
      S_TEST (s_sessions_are_counted_now_and_ever),
    };
#undef S_TEST
    return cmocka_run_group_tests (tests, NULL, NULL);
}
