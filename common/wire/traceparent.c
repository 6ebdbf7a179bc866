/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/traceparent.h"

#include <string.h>

#define S_TRACE 3u
#define S_SPAN (S_TRACE + RP_TRACEPARENT_TRACE_SIZE + 1)
#define S_FLAGS (S_SPAN + RP_TRACEPARENT_SPAN_SIZE + 1)
#define S_SIZE (S_FLAGS + 2)
#define S_SAMPLED 1

/*  Returns what a hexadecimal digit in lower case stands for; -1 if it is none.  */
static int s_digit (char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/*  True for digits; *any says whether one of them is not 0.  */
static bool s_are_digits (const char *text, size_t size, bool *any)
{
    *any = false;
    for (size_t index = 0; index < size; index++) {
        if (s_digit (text[index]) < 0)
            return false;
        *any |= text[index] != '0';
    }
    return true;
}

static bool s_is_id (const char *text, size_t size)
{
    bool any;
    return s_are_digits (text, size, &any) && any && text[size] == '-';
}

bool rp_traceparent_read (rp_traceparent_t *self, const char *value, size_t size)
{
    bool newer;
    if (size < S_SIZE || !s_are_digits (value, 2, &newer) || memcmp (value, "ff", 2) == 0
        || value[2] != '-' || (size > S_SIZE && (!newer || value[S_SIZE] != '-'))
        || !s_is_id (value + S_TRACE, RP_TRACEPARENT_TRACE_SIZE)
        || !s_is_id (value + S_SPAN, RP_TRACEPARENT_SPAN_SIZE) || s_digit (value[S_FLAGS]) < 0
        || s_digit (value[S_FLAGS + 1]) < 0)
        return false;
    memcpy (self->trace_id, value + S_TRACE, RP_TRACEPARENT_TRACE_SIZE);
    memcpy (self->span_id, value + S_SPAN, RP_TRACEPARENT_SPAN_SIZE);
    self->trace_id[RP_TRACEPARENT_TRACE_SIZE] = self->span_id[RP_TRACEPARENT_SPAN_SIZE] = '\0';
    self->sampled = s_digit (value[S_FLAGS + 1]) & S_SAMPLED;
    return true;
}
