/*  The log's formats, with names that peers chose.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/log_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/utf8.h"

#define S_TIME "2026-01-02T03:04:05.678Z"

/*  A control character, C1 alone and as UTF-8, what is not UTF-8, a quote, a newline, a right-to-left
    override, a backslash, what would end a value.  */
#define S_HOSTILE "a\x01\x9b\xc2\x9b\xff\"\nMESSAGE=b\xe2\x80\xae\\ \r=,}"
#define S_ESCAPED "a\\x01\\x9b\\xc2\\x9b\\xff\"\\x0aMESSAGE=b\\xe2\\x80\\xae\\\\ \\x0d=,}"

#define S_BEHIND 16
static char s_buffer[RP_LOG_RECORD_MAX + S_BEHIND]; // what is behind stays as it is

/*  Returns the line with its end, as a string.  */
static const char *s_write (const rp_log_line_t *line, rp_log_format_t format)
{
    memset (s_buffer, '#', sizeof s_buffer);
    size_t size = rp_log_line_write (line, format, s_buffer);
    assert_in_range (size, 1, RP_LOG_RECORD_MAX);
    for (size_t at = RP_LOG_RECORD_MAX; at < sizeof s_buffer; at++)
        assert_int_equal (s_buffer[at], '#');
    assert_int_equal (s_buffer[size - 1], format == RP_LOG_JOURNALD ? '\0' : '\n');
    s_buffer[size] = '\0';
    assert_int_equal (strlen (s_buffer), format == RP_LOG_JOURNALD ? size - 1 : size);
    return s_buffer;
}

static rp_log_line_t s_line (const char *text)
{
    return (rp_log_line_t){.level = RP_LEVEL_WARNING,
      .topic = RP_TOPIC_LOST,
      .time = S_TIME,
      .text = text,
      .size = strlen (text)};
}

static rp_log_line_t s_full (void)
{
    rp_log_line_t line = s_line ("it is lost");
    line.about = (rp_log_about_t){
      .peer = "127.0.0.1:40000", .principal = "ada", .service = "echo 2", .request_id = "order=17"};
    line.more = 5;
    return line;
}

static rp_log_line_t s_hostile (void)
{
    rp_log_line_t line = s_line (S_HOSTILE);
    line.about =
      (rp_log_about_t){.principal = S_HOSTILE, .service = S_HOSTILE, .request_id = S_HOSTILE};
    return line;
}

/*  Every value is as long as it can be, and of characters whose escapes are the longest.  */
static rp_log_line_t s_huge (char character)
{
    static char text[RP_LOG_LINE_MAX];
    memset (text, character, sizeof text - 1);
    rp_log_line_t line = s_line (text);
    line.about =
      (rp_log_about_t){.peer = text, .principal = text, .service = text, .request_id = text};
    line.more = INT64_MAX;
    return line;
}

static json_t *s_parse (const rp_log_line_t *line)
{
    json_error_t error;
    json_t *object = json_loads (s_write (line, RP_LOG_JSON), JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg ("%s: %s", error.text, s_buffer);
    return object;
}

static void text_has_time_level_peer_sentence_and_count (void **state)
{
    (void) state;
    rp_log_line_t line = s_full ();
    assert_string_equal (s_write (&line, RP_LOG_TEXT),
      S_TIME " warning 127.0.0.1:40000: it is lost (5 more like it)\n");
    line.color = true;
    line.about.peer = NULL;
    line.more = 0;
    assert_string_equal (
      s_write (&line, RP_LOG_TEXT), S_TIME " \033[33mwarning\033[0m it is lost\n");
    line.color = false;
    line.time = "";
    assert_string_equal (s_write (&line, RP_LOG_TEXT), "<4>warning it is lost\n");
}

static void logfmt_quotes_only_what_needs_it (void **state)
{
    (void) state;
    rp_log_line_t line = s_full ();
    assert_string_equal (s_write (&line, RP_LOG_LOGFMT),
      "time=" S_TIME " level=warning topic=lost peer=127.0.0.1:40000 principal=ada "
      "service=\"echo 2\" request_id=\"order=17\" more=5 message=\"it is lost\"\n");
}

static void json_is_an_object_whose_count_is_a_number (void **state)
{
    (void) state;
    rp_log_line_t line = s_full ();
    assert_string_equal (s_write (&line, RP_LOG_JSON),
      "{\"time\":\"" S_TIME "\",\"level\":\"warning\",\"topic\":\"lost\","
      "\"peer\":\"127.0.0.1:40000\",\"principal\":\"ada\",\"service\":\"echo 2\","
      "\"request_id\":\"order=17\",\"more\":5,\"message\":\"it is lost\"}\n");
}

static void the_journal_gets_the_sentence_and_fields (void **state)
{
    (void) state;
    rp_log_line_t line = s_full ();
    assert_string_equal (s_write (&line, RP_LOG_JOURNALD),
      "MESSAGE=127.0.0.1:40000: it is lost (5 more like it)\n"
      "SYSLOG_IDENTIFIER=riposte-broker\nPRIORITY=4\nRIPOSTE_TOPIC=lost\n"
      "RIPOSTE_PEER=127.0.0.1:40000\nRIPOSTE_PRINCIPAL=ada\nRIPOSTE_SERVICE=echo 2\n"
      "RIPOSTE_REQUEST_ID=order=17\nRIPOSTE_MORE=5\n");
}

static void what_does_not_apply_has_no_key (void **state)
{
    (void) state;
    rp_log_line_t line = s_line ("");
    line.about.service = "";
    assert_string_equal (
      s_write (&line, RP_LOG_LOGFMT), "time=" S_TIME " level=warning topic=lost message=\"\"\n");
    assert_string_equal (s_write (&line, RP_LOG_JSON),
      "{\"time\":\"" S_TIME "\",\"level\":\"warning\",\"topic\":\"lost\",\"message\":\"\"}\n");
    assert_string_equal (s_write (&line, RP_LOG_JOURNALD),
      "MESSAGE=\nSYSLOG_IDENTIFIER=riposte-broker\nPRIORITY=4\nRIPOSTE_TOPIC=lost\n");
}

static void every_level_and_topic_has_its_word (void **state)
{
    (void) state;
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    static const char *const topics[] = {
      "broker", "client", "worker", "lost", "refused", "bad", "handshake", "unanswered", "denied"};
    static const char priorities[] = "3467";
    char part[64];
    for (unsigned topic = 0; topic < RP_TOPIC_COUNT; topic++) {
        rp_log_line_t line = s_line ("x");
        line.topic = (rp_topic_t) topic;
        line.level = (rp_level_t) (topic % 4);
        snprintf (part, sizeof part, " level=%s topic=%s ", levels[topic % 4], topics[topic]);
        assert_non_null (strstr (s_write (&line, RP_LOG_LOGFMT), part));
        snprintf (part, sizeof part, "\nPRIORITY=%c\n", priorities[topic % 4]);
        assert_non_null (strstr (s_write (&line, RP_LOG_JOURNALD), part));
    }
}

static void a_hostile_name_has_one_text_in_json_whatever_it_is (void **state)
{
    (void) state;
    rp_log_line_t line = s_hostile ();
    json_t *object = s_parse (&line);
    static const char *const keys[] = {"principal", "service", "request_id", "message"};
    for (size_t index = 0; index < sizeof keys / sizeof *keys; index++)
        assert_string_equal (json_string_value (json_object_get (object, keys[index])), S_ESCAPED);
    json_decref (object);
}

static void a_hostile_name_ends_no_logfmt_value_and_no_line (void **state)
{
    (void) state;
    rp_log_line_t line = s_line (S_HOSTILE);
    assert_string_equal (s_write (&line, RP_LOG_LOGFMT),
      "time=" S_TIME
      " level=warning topic=lost message=\"a\\\\x01\\\\x9b\\\\xc2\\\\x9b\\\\xff\\\"\\\\x0a"
      "MESSAGE=b\\\\xe2\\\\x80\\\\xae\\\\\\\\ \\\\x0d=,}\"\n");
    line = s_hostile ();
    line.about.principal = "back\\slash";
    assert_non_null (strstr (s_write (&line, RP_LOG_LOGFMT), " principal=\"back\\\\\\\\slash\" "));
}

static void a_hostile_name_makes_no_field_of_the_journal (void **state)
{
    (void) state;
    rp_log_line_t line = s_hostile ();
    assert_string_equal (s_write (&line, RP_LOG_JOURNALD),
      "MESSAGE=" S_ESCAPED "\nSYSLOG_IDENTIFIER=riposte-broker\nPRIORITY=4\nRIPOSTE_TOPIC=lost\n"
      "RIPOSTE_PRINCIPAL=" S_ESCAPED "\nRIPOSTE_SERVICE=" S_ESCAPED
      "\nRIPOSTE_REQUEST_ID=" S_ESCAPED "\n");
}

static void no_format_lets_a_control_through (void **state)
{
    (void) state;
    rp_log_line_t line = s_hostile ();
    for (rp_log_format_t format = RP_LOG_TEXT; format <= RP_LOG_JOURNALD; format++) {
        const char *text = s_write (&line, format);
        for (size_t at = 0, length; text[at]; at += length) {
            uint32_t point;
            length = rp_utf8_decode (text + at, strlen (text + at), &point);
            assert_int_not_equal (length, 0);
            assert_true (point == '\n' || !rp_utf8_is_control (point));
        }
    }
}

static void a_line_that_is_too_long_is_cut_and_well_formed (void **state)
{
    (void) state;
    static const char characters[] = {'x', '"', '\\', '\x01', '\xff'};
    for (size_t index = 0; index < sizeof characters; index++) {
        rp_log_line_t line = s_huge (characters[index]);
        json_t *object = s_parse (&line);
        assert_int_equal (json_object_size (object), 9);
        assert_in_range (
          json_string_length (json_object_get (object, "message")), 900, RP_LOG_MESSAGE_MAX);
        assert_in_range (
          json_string_length (json_object_get (object, "service")), 190, RP_LOG_VALUE_MAX);
        json_decref (object);
        const char *text = s_write (&line, RP_LOG_LOGFMT);
        assert_non_null (strstr (text, " message="));
        text = s_write (&line, RP_LOG_JOURNALD);
        assert_non_null (strstr (text, "\nRIPOSTE_MORE=9223372036854775807\n"));
        text = s_write (&line, RP_LOG_TEXT);
        assert_in_range (strlen (text), RP_LOG_LINE_MAX - 8, RP_LOG_LINE_MAX);
    }
}

static void a_cut_is_between_two_characters (void **state)
{
    (void) state;
    char name[1001];
    for (size_t shift = 0; shift < 3; shift++) {
        memset (name, 'x', shift);
        for (size_t at = shift; at + 3 < sizeof name; at += 3)
            memcpy (name + at, "\xe2\x82\xac", 4);
        rp_log_line_t line = s_line ("x");
        line.about.service = name;
        json_decref (s_parse (&line));
    }
}

static void a_line_of_text_is_cut_between_two_characters (void **state)
{
    (void) state;
    static char text[RP_LOG_LINE_MAX + 10];
    for (size_t shift = 0; shift < 3; shift++) {
        uint32_t point;
        memset (text, 'x', shift);
        for (size_t at = shift; at + 3 < sizeof text; at += 3)
            memcpy (text + at, "\xe2\x82\xac", 4);
        rp_log_line_t line = s_line (text);
        const char *written = s_write (&line, RP_LOG_TEXT);
        size_t size = strlen (written);
        assert_in_range (size, RP_LOG_LINE_MAX - 8, RP_LOG_LINE_MAX);
        for (size_t at = 0, length; at < size; at += length) {
            length = rp_utf8_decode (written + at, size - at, &point);
            assert_int_not_equal (length, 0);
            assert_true (length > 1 || (unsigned char) written[at] < 0x80);
        }
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (text_has_time_level_peer_sentence_and_count),
      cmocka_unit_test (logfmt_quotes_only_what_needs_it),
      cmocka_unit_test (json_is_an_object_whose_count_is_a_number),
      cmocka_unit_test (the_journal_gets_the_sentence_and_fields),
      cmocka_unit_test (what_does_not_apply_has_no_key),
      cmocka_unit_test (every_level_and_topic_has_its_word),
      cmocka_unit_test (a_hostile_name_has_one_text_in_json_whatever_it_is),
      cmocka_unit_test (a_hostile_name_ends_no_logfmt_value_and_no_line),
      cmocka_unit_test (a_hostile_name_makes_no_field_of_the_journal),
      cmocka_unit_test (no_format_lets_a_control_through),
      cmocka_unit_test (a_line_that_is_too_long_is_cut_and_well_formed),
      cmocka_unit_test (a_cut_is_between_two_characters),
      cmocka_unit_test (a_line_of_text_is_cut_between_two_characters),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
