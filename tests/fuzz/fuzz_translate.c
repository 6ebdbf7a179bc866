/*  Fuzzes the parts of HTTP that the gateway reads itself: a path with its method, the values of
    headers, a Host, an address, a file of tokens. What was read can be written and is read again.

    SPDX-License-Identifier: MPL-2.0

    The first byte chooses the method; the text after it is read as each of these.
*/

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/access/tokens.h"
#include "common/base/check.h"
#include "common/http/address.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"
#include "gateway/event_text.h"
#include "gateway/translate.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_try_path (const char *method, const char *path)
{
    rp_resource_t resource;
    rp_resource_t again;
    char written[3 * RP_WIRE_NAME_MAX + 64];
    rp_resource_find (&resource, method, path);
    RP_CHECK ((resource.kind == RP_RESOURCE_WRONG_METHOD) == (resource.allow != NULL));
    if (resource.kind > RP_RESOURCE_END)
        return;
    RP_CHECK (rp_name_is_valid (resource.service, strlen (resource.service)));
    if (*resource.id == '\0')
        memset (resource.id, 'a', RP_CONVERSATION_ID);
    rp_resource_write_conversation (resource.service, resource.id, written, sizeof written);
    rp_resource_find (&again, "POST", written);
    RP_CHECK (again.kind == RP_RESOURCE_CONTINUE);
    RP_CHECK (strcmp (again.service, resource.service) == 0 && strcmp (again.id, resource.id) == 0);
}

static void s_try_values (const char *text)
{
    const char *reason = NULL;
    uint32_t ms = 0;
    uint8_t attempts = 0;
    char token[RP_TOKEN_TEXT];
    char key[RP_HEADER_KEY_MAX + 1];
    char name[128];
    if (rp_timeout_parse (text, &ms, &reason))
        RP_CHECK (ms >= 1 && ms <= RP_DEADLINE_MAX_MS);
    else
        RP_CHECK (reason);
    if (rp_attempts_parse (text, &attempts, &reason))
        RP_CHECK (attempts >= 1 && attempts <= RP_ATTEMPTS_MAX);
    uint32_t workers = 0;
    if (rp_workers_parse (text, &workers, &reason))
        RP_CHECK (workers >= 1 && workers <= RP_ALL_MOST);
    char idempotency_key[RP_IDEMPOTENCY_KEY_TEXT];
    unsigned seconds = 0;
    if (rp_idempotency_key_parse (text, idempotency_key, &reason)) {
        size_t size = strlen (idempotency_key);
        RP_CHECK (size > 0 && size < sizeof idempotency_key);
    }
    if (rp_prefer_wait_parse (text, &seconds))
        RP_CHECK (seconds <= RP_PREFER_WAIT_MAX);
    if (rp_bearer_parse (text, token))
        RP_CHECK (strspn (token, "0123456789abcdef") == RP_TOKEN_TEXT - 1);
    const char *found = rp_header_key (text, key);
    if (found) {
        char second[RP_HEADER_KEY_MAX + 1];
        const char *same = rp_header_key (rp_header_name (found, name, sizeof name), second);
        RP_CHECK (same && strcmp (same, found) == 0);
    }
}

/*  What is written of an event does not depend on the room for it, and has no line but the body's.  */
static void s_try_event (const uint8_t *data, size_t size, size_t room)
{
    char whole[64];
    char pieces[64];
    rp_event_text_t event;
    size = size < 4 ? size : 4; // of each byte, "\ndata: "
    rp_event_text_begin (&event, data, size, NULL);
    size_t used = rp_event_text_write (&event, whole, sizeof whole);
    RP_CHECK (used < sizeof whole && rp_event_text_write (&event, pieces, 1) == 0);
    rp_event_text_begin (&event, data, size, NULL);
    size_t sum = 0;
    for (size_t count; (count = rp_event_text_write (&event, pieces + sum, 1 + room % 8)) > 0;)
        sum += count;
    RP_CHECK (sum == used && memcmp (pieces, whole, used) == 0);
    RP_CHECK (memcmp (whole + used - 2, "\n\n", 2) == 0 && !memchr (whole, '\r', used));
}

static void s_try_addresses (const char *text)
{
    rp_http_address_t address;
    const char *reason = NULL;
    if (rp_http_address_parse (text, &address, &reason))
        (void) rp_http_address_is_loopback (&address);
    else
        RP_CHECK (reason && *reason);
    (void) rp_http_host_is_local (text);
    (void) rp_http_host_is_address (text);
    bool plain = *text && !strpbrk (text, ",:");
    RP_CHECK (rp_http_host_is_listed (text, text) == plain || !plain);
    (void) rp_http_host_is_listed ("broker:80", text);
    RP_CHECK (!rp_http_host_is_listed ("", text));
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"POST", "GET", "HEAD", "DELETE", "PUT"};
    if (size == 0)
        return 0;
    const char *method = methods[data[0] % (sizeof methods / sizeof *methods)];
    char *text = malloc (size);
    RP_CHECK (text);
    memcpy (text, data + 1, size - 1);
    text[size - 1] = '\0';
    s_try_path (method, text);
    s_try_values (text);
    s_try_addresses (text);
    s_try_event (data + 1, size - 1, data[0]);
    (void) rp_accept_has_events (text);
    char token_reason[RP_TOKENS_REASON_MAX] = "";
    rp_tokens_t *tokens = rp_tokens_read (text, size - 1, token_reason);
    RP_CHECK (tokens || token_reason[0]);
    rp_tokens_destroy (&tokens);
    free (text);
    return 0;
}
