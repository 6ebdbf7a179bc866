/*  SPDX-License-Identifier: MPL-2.0  */

#include "worker/program/framing.h"

#include <string.h>

#include "common/wire/headers.h"

/*  What is left of a line.  */
typedef struct {
    const char *at;
    const char *end;
} s_line_t;

static bool s_word (s_line_t *line, const char *word)
{
    size_t size = strlen (word);
    if ((size_t) (line->end - line->at) < size || memcmp (line->at, word, size) != 0)
        return false;
    line->at += size;
    return true;
}

/*  A space and a decimal number of at most largest.  */
static bool s_number (s_line_t *line, uint64_t largest, uint64_t *number)
{
    if (!s_word (line, " ") || line->at == line->end)
        return false;
    uint64_t value = 0;
    const char *first = line->at;
    for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
        uint64_t digit = (uint64_t) (*line->at - '0');
        if (value > (largest - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return line->at > first;
}

static const char *s_parse_first (s_line_t line, size_t max_body, rp_framing_answer_t *answer)
{
    uint64_t number = 0;
    if (!s_word (&line, "RP/1 "))
        return "its answer does not begin with \"RP/1 \"";
    answer->ready = s_word (&line, "READY");
    if (answer->ready)
        return line.at == line.end ? NULL : "the first line of its answer has something more";
    answer->ok = s_word (&line, "OK");
    if (!answer->ok && !s_word (&line, "ERROR"))
        return "its answer is neither OK nor ERROR";
    if (!s_number (&line, UINT64_MAX, &answer->id))
        return "its answer has no id";
    if (!s_number (&line, SIZE_MAX, &number))
        return "its answer has no size";
    if (number > max_body)
        return "its answer is over the limit on output";
    answer->body_size = (size_t) number;
    if (line.at == line.end)
        return NULL;
    if (answer->ok || !s_number (&line, UINT32_MAX, &number))
        return "the first line of its answer has something more";
    answer->code = (uint32_t) number;
    if (line.at < line.end && !s_word (&line, " "))
        return "the first line of its answer has something more";
    answer->message = line.at;
    answer->message_size = (size_t) (line.end - line.at);
    return NULL;
}

static const char *s_parse_header (s_line_t line, rp_framing_answer_t *answer)
{
    char key[RP_HEADER_KEY_MAX + 1];
    char value[RP_HEADER_VALUE_MAX + 1];
    const char *colon = memchr (line.at, ':', (size_t) (line.end - line.at));
    if (!colon)
        return "a header of its answer has no colon";
    size_t key_size = (size_t) (colon - line.at);
    const char *start = colon + 1;
    while (start < line.end && *start == ' ')
        start++;
    size_t value_size = (size_t) (line.end - start);
    if (key_size >= sizeof key || value_size >= sizeof value
        || memchr (line.at, '\0', (size_t) (line.end - line.at)))
        return "a header of its answer is not allowed";
    memcpy (key, line.at, key_size);
    key[key_size] = '\0';
    memcpy (value, start, value_size);
    value[value_size] = '\0';
    if (!rp_headers_append (
          answer->headers, &answer->headers_size, sizeof answer->headers, key, value))
        return "a header of its answer is not allowed";
    return NULL;
}

rp_framing_result_t rp_framing_parse (
  const char *data, size_t size, size_t max_body, rp_framing_answer_t *answer)
{
    answer->id = 0;
    answer->ready = answer->ok = false;
    answer->body_size = 0;
    answer->code = 0;
    answer->message = "";
    answer->message_size = 0;
    answer->headers_size = 0;
    answer->reason = NULL;

    size_t at = 0;
    for (bool first = true;; first = false) {
        size_t window = size < RP_FRAMING_HEAD_MAX ? size : RP_FRAMING_HEAD_MAX;
        const char *newline = at < window ? memchr (data + at, '\n', window - at) : NULL;
        if (!newline && size >= RP_FRAMING_HEAD_MAX) {
            answer->reason = "the head of its answer is too long";
            return RP_FRAMING_BROKEN;
        }
        if (!newline)
            return RP_FRAMING_MORE;
        s_line_t line = {data + at, newline};
        at = (size_t) (newline - data) + 1;
        if (first)
            answer->reason = s_parse_first (line, max_body, answer);
        else if (line.at == line.end)
            break;
        else
            answer->reason = s_parse_header (line, answer);
        if (answer->reason)
            return RP_FRAMING_BROKEN;
    }
    answer->body = data + at;
    answer->size = at + answer->body_size;
    return size - at >= answer->body_size ? RP_FRAMING_ANSWER : RP_FRAMING_MORE;
}
