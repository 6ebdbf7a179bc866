/*  Fuzzes what a person gives as the id of a request, whose timeline is looked for: what was read is what the
    text says, and finding it among no requests finds none.

    SPDX-License-Identifier: MPL-2.0
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/trace.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    rp_trace_query_t query;
    // Both are allocated, so that reading or writing beyond them is found.
    char *text = malloc (size + 1);
    char *buffer = malloc (RP_TRACE_ID_SIZE + 1);
    RP_CHECK (text && buffer);
    if (size > 0)
        memcpy (text, data, size);
    text[size] = '\0';
    rp_trace_query_read (&query, text, buffer);
    size_t digits = strspn (text, "0123456789");
    RP_CHECK (query.request_id == text);
    RP_CHECK (!query.token || (digits > 0 && text[digits] == '\0'));
    const char *slash = strrchr (text, '/');
    if (query.by_client) {
        RP_CHECK (slash > text && query.token == 0);
        RP_CHECK (strspn (slash + 1, "0123456789") == strlen (slash + 1));
    }
    if (query.client)
        RP_CHECK (query.by_client && query.client == text && text + query.client_size == slash);
    if (query.trace_id) {
        RP_CHECK (query.trace_id == buffer);
        RP_CHECK (strlen (buffer) == RP_TRACE_ID_SIZE);
        RP_CHECK (strspn (buffer, "0123456789abcdef") == RP_TRACE_ID_SIZE);
        RP_CHECK (strstr (text, buffer));
    }
    free (buffer);
    free (text);
    return 0;
}
