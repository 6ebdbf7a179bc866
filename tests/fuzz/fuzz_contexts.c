/*  Fuzzes the file of contexts: any text ends in contexts that can be written and read again, or in
    a reason.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/program/contexts.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static rp_contexts_t s_contexts;
static rp_contexts_t s_again;

static void s_compare (const rp_named_context_t *one, const rp_named_context_t *other)
{
    RP_CHECK (strcmp (one->name, other->name) == 0);
    for (size_t value = 0; value < RP_CONTEXT_VALUES; value++)
        RP_CHECK (strcmp (one->values[value], other->values[value]) == 0);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    char reason[RP_CONTEXTS_REASON_MAX];
    if (!rp_contexts_parse (&s_contexts, (const char *) data, size, reason)) {
        RP_CHECK (*reason != '\0' && !strchr (reason, '\n'));
        return 0;
    }
    size_t length = 0;
    char *text = rp_contexts_format (&s_contexts, &length);
    RP_CHECK (text != NULL);
    RP_CHECK (rp_contexts_parse (&s_again, text, length, reason));
    RP_CHECK (s_contexts.count == s_again.count && strcmp (s_contexts.use, s_again.use) == 0);
    for (size_t index = 0; index < s_contexts.count; index++)
        s_compare (&s_contexts.items[index], &s_again.items[index]);
    free (text);
    return 0;
}
