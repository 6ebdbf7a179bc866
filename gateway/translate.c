/*  SPDX-License-Identifier: MPL-2.0  */

#include "gateway/translate.h"

#include <stdio.h>
#include <string.h>

#include "common/base/units.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"

/*  ---- Resources ------------------------------------------------------------------------------ */

#define S_PARTS_MAX 3u
/*  A name of 127 bytes, each as %XX, fits.  */
#define S_PART_MAX (3u * RP_WIRE_NAME_MAX)
/*  The digits of the largest id of a job.  */
#define S_JOB_DIGITS 19u

static int s_digit (char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*  Decodes one part of a path (RFC 3986, 2.1). False if it is malformed, too long or has a NUL.  */
static bool s_decode (const char *part, size_t size, char *text, size_t text_size)
{
    size_t used = 0;
    for (size_t at = 0; at < size; at++) {
        char c = part[at];
        if (c == '%') {
            int high = at + 2 < size ? s_digit (part[at + 1]) : -1;
            int low = at + 2 < size ? s_digit (part[at + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char) (high << 4 | low);
            at += 2;
        }
        if (c == '\0' || used + 1 >= text_size)
            return false;
        text[used++] = c;
    }
    text[used] = '\0';
    return true;
}

typedef struct {
    const char *at;
    size_t size;
} s_part_t;

/*  Divides a path at its slashes. Returns the number of parts; S_PARTS_MAX + 1 for too many.  */
static size_t s_divide (const char *path, s_part_t parts[S_PARTS_MAX])
{
    size_t count = 0;
    while (*path == '/') {
        size_t size = strcspn (path + 1, "/");
        if (count == S_PARTS_MAX)
            return S_PARTS_MAX + 1;
        parts[count++] = (s_part_t){path + 1, size};
        path += 1 + size;
    }
    return *path ? S_PARTS_MAX + 1 : count;
}

typedef struct {
    rp_resource_kind_t kind;
    const char *method;
    const char *part;
    size_t count;
} s_row_t;

static const s_row_t s_rows[] = {
#define S_ROW(name, method, part, count) {RP_RESOURCE_##name, method, part, count},
  RP_RESOURCE_MAP (S_ROW)
#undef S_ROW
};

static bool s_is (const s_part_t *part, const char *word)
{
    return part->size == strlen (word) && memcmp (part->at, word, part->size) == 0;
}

static bool s_is_id (const s_part_t *part)
{
    if (part->size != RP_CONVERSATION_ID)
        return false;
    for (size_t index = 0; index < part->size; index++)
        if (s_digit (part->at[index]) < 0)
            return false;
    return true;
}

/*  Reads the id of a job: digits without a zero before them, so that a job has one path.  */
static bool s_read_job (const s_part_t *part, uint64_t *job)
{
    if (part->size == 0 || part->size > S_JOB_DIGITS || *part->at == '0')
        return false;
    *job = 0;
    for (size_t at = 0; at < part->size; at++) {
        if (part->at[at] < '0' || part->at[at] > '9')
            return false;
        *job = *job * 10 + (uint64_t) (part->at[at] - '0');
    }
    return true;
}

/*  Reads what stands behind the first part. False if nothing can have that name.  */
static bool s_read_names (
  rp_resource_t *resource, const s_row_t *row, const s_part_t *parts, size_t count)
{
    if (row->kind == RP_RESOURCE_JOB_RESULT || row->kind == RP_RESOURCE_JOB_CANCEL)
        return s_read_job (&parts[1], &resource->job);
    if (count > 1
        && (!s_decode (parts[1].at, parts[1].size, resource->service, sizeof resource->service)
            || !rp_name_is_valid (resource->service, strlen (resource->service))))
        return false;
    if (count > 2 && !s_is_id (&parts[2]))
        return false;
    if (count > 2)
        memcpy (resource->id, parts[2].at, RP_CONVERSATION_ID);
    return true;
}

static const char *s_allowed (const s_row_t *row)
{
    if (strcmp (row->part, "jobs") == 0)
        return "GET, POST, DELETE";
    return row->count == 2 ? "POST, DELETE" : row->method;
}

void rp_resource_find (rp_resource_t *resource, const char *method, const char *path)
{
    *resource = (rp_resource_t){.kind = RP_RESOURCE_NONE};
    s_part_t parts[S_PARTS_MAX];
    size_t count = s_divide (path, parts);
    if (count == 0 || count > S_PARTS_MAX)
        return;
    if (strcmp (method, "HEAD") == 0)
        method = "GET";
    for (size_t index = 0; index < sizeof s_rows / sizeof *s_rows; index++) {
        const s_row_t *row = &s_rows[index];
        if (row->count + 1 != count || !s_is (&parts[0], row->part))
            continue;
        if (strcmp (row->method, method) != 0) {
            resource->kind = RP_RESOURCE_WRONG_METHOD;
            resource->allow = s_allowed (row);
            continue;
        }
        resource->allow = NULL;
        resource->kind = s_read_names (resource, row, parts, count) ? row->kind : RP_RESOURCE_NONE;
        return;
    }
}

/*  Unreserved characters (RFC 3986, 2.3) stand for themselves.  */
static bool s_is_unreserved (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '.' || c == '_' || c == '~';
}

void rp_resource_write_conversation (const char *service, const char *id, char *path, size_t size)
{
    char name[S_PART_MAX + 1];
    size_t used = 0;
    for (; *service && used + 3 < sizeof name; service++)
        if (s_is_unreserved (*service))
            name[used++] = *service;
        else
            used += (size_t) snprintf (name + used, 4, "%%%02X", (unsigned char) *service);
    name[used] = '\0';
    snprintf (path, size, "/conversations/%s/%s", name, id);
}

/*  ---- Statuses ------------------------------------------------------------------------------- */

unsigned rp_http_status (int status)
{
    switch (status) {
        case RP_OK:
            return 200;
        case RP_APP_ERROR:
        case RP_KEY_MISMATCH:
            return 422;
        case RP_NO_WORKER:
        case RP_DRAINING:
        case RP_NO_BROKER:
            return 503;
        case RP_BUSY:
        case RP_FULL:
            return 429;
        case RP_DENIED:
            return 403;
        case RP_INVALID:
        case RP_USAGE:
            return 400;
        case RP_TOO_LARGE:
            return 413;
        case RP_EXPIRED:
        case RP_DEADLINE:
            return 504;
        case RP_CANCELLED:
            return 499;
        case RP_WORKER_LOST:
        case RP_UNKNOWN:
            return 502;
        case RP_CONVERSATION_LOST:
            return 410;
        default:
            return 500;
    }
}

const char *rp_http_retry_after (int status)
{
    unsigned code = rp_http_status (status);
    return code == 429 || code == 503 ? "1" : NULL;
}

static char s_lower (char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

/*  True if the text begins with the prefix, which is in lower case; case does not count.  */
static bool s_begins (const char *text, const char *prefix)
{
    while (*prefix && s_lower (*text) == *prefix)
        text++, prefix++;
    return *prefix == '\0';
}

/*  ---- Values of headers ---------------------------------------------------------------------- */

bool rp_timeout_parse (const char *text, uint32_t *ms, const char **reason)
{
    int64_t us;
    if (!rp_duration_parse (text, &us, reason))
        return false;
    if (us < 1000 || us > (int64_t) RP_DEADLINE_MAX_MS * 1000) {
        *reason = "wants 1ms to 24h";
        return false;
    }
    *ms = (uint32_t) (us / 1000);
    return true;
}

bool rp_attempts_parse (const char *text, uint8_t *attempts, const char **reason)
{
    uint64_t count;
    if (!rp_count_parse (text, &count, reason))
        return false;
    if (count < 1 || count > RP_ATTEMPTS_MAX) {
        *reason = "wants 1 to 10";
        return false;
    }
    *attempts = (uint8_t) count;
    return true;
}

bool rp_priority_parse (const char *text, uint8_t *priority, const char **reason)
{
    uint64_t value;
    if (!rp_count_parse (text, &value, reason))
        return false;
    if (value > RP_PRIORITY_MAX) {
        *reason = "wants 0 to 9";
        return false;
    }
    *priority = (uint8_t) value;
    return true;
}

bool rp_workers_parse (const char *text, uint32_t *count, const char **reason)
{
    uint64_t value;
    if (!rp_count_parse (text, &value, reason))
        return false;
    if (value < 1 || value > RP_ALL_MOST) {
        *reason = "wants 1 to 65535";
        return false;
    }
    *count = (uint32_t) value;
    return true;
}

bool rp_bearer_parse (const char *value, char token[RP_TOKEN_TEXT])
{
    static const char scheme[] = "bearer ";
    if (!s_begins (value, scheme))
        return false;
    value += sizeof scheme - 1;
    value += strspn (value, " ");
    size_t size = strspn (value, "0123456789abcdef");
    if (size != RP_TOKEN_TEXT - 1 || value[size] != '\0')
        return false;
    memcpy (token, value, size + 1);
    return true;
}

/*  True if the parameters of a range, up to its comma, have the weight 0.  */
static bool s_is_refused (const char *text)
{
    for (; *text && *text != ','; text++) {
        if (*text != ';')
            continue;
        const char *weight = text + 1 + strspn (text + 1, " \t");
        if (!s_begins (weight, "q=0"))
            continue;
        weight += strlen ("q=0");
        weight += *weight == '.' ? 1 + strspn (weight + 1, "0") : 0;
        return *weight == '\0' || strchr (" \t,;", *weight);
    }
    return false;
}

bool rp_accept_has_events (const char *text)
{
    static const char type[] = "text/event-stream";
    while (*text) {
        text += strspn (text, " \t,");
        const char *rest = text + sizeof type - 1;
        if (s_begins (text, type) && (*rest == '\0' || strchr (" \t,;", *rest))
            && !s_is_refused (rest))
            return true;
        text += strcspn (text, ",");
    }
    return false;
}

/*  Copies what a quoted string says (RFC 9651, 3.3.3). False if it is malformed.  */
static bool s_unquote (const char *text, char *key, size_t size)
{
    size_t used = 0;
    for (text++; *text != '"'; text++) {
        if (*text == '\\' && *++text != '"' && *text != '\\')
            return false;
        if (*text < ' ' || *text > '~' || used + 1 >= size)
            return false;
        key[used++] = *text;
    }
    key[used] = '\0';
    return text[1] == '\0';
}

bool rp_idempotency_key_parse (
  const char *text, char key[RP_IDEMPOTENCY_KEY_TEXT], const char **reason)
{
    *reason = "wants 1 to 127 bytes, in quotes or without";
    key[0] = '\0';
    size_t size = strlen (text);
    if (*text == '"')
        return s_unquote (text, key, RP_IDEMPOTENCY_KEY_TEXT) && key[0] != '\0';
    if (size == 0 || size >= RP_IDEMPOTENCY_KEY_TEXT)
        return false;
    for (size_t at = 0; at < size; at++)
        if ((unsigned char) text[at] < ' ' || text[at] == 127)
            return false;
    memcpy (key, text, size + 1);
    return true;
}

/*  Reads "= 30", or "=\"30\"". False if it is neither.  */
static bool s_seconds (const char *text, unsigned *seconds)
{
    text += strspn (text, " \t");
    if (*text != '=')
        return false;
    text += 1 + strspn (text + 1, " \t");
    bool quoted = *text == '"';
    text += quoted;
    size_t digits = strspn (text, "0123456789");
    if (digits == 0 || (quoted && text[digits] != '"'))
        return false;
    const char *rest = text + digits + quoted;
    rest += strspn (rest, " \t");
    if (*rest != '\0' && *rest != ',' && *rest != ';')
        return false;
    *seconds = 0;
    for (; digits > 0 && *seconds < RP_PREFER_WAIT_MAX; digits--, text++)
        *seconds = *seconds * 10 + (unsigned) (*text - '0');
    if (*seconds > RP_PREFER_WAIT_MAX)
        *seconds = RP_PREFER_WAIT_MAX;
    return true;
}

bool rp_prefer_wait_parse (const char *text, unsigned *seconds)
{
    static const char name[] = "wait";
    while (*text) {
        text += strspn (text, " \t,");
        if (s_begins (text, name) && s_seconds (text + sizeof name - 1, seconds))
            return true;
        text += strcspn (text, ",");
    }
    return false;
}

/*  ---- Names of headers ----------------------------------------------------------------------- */

static const char s_prefix[] = "riposte-header-";

/*  Headers with a name of their own on both sides.  */
static const struct {
    const char *name;
    const char *key;
} s_own[] = {
  {"content-type", "content-type"},
  {"traceparent", "traceparent"},
  {"tracestate", "tracestate"},
  {"x-request-id", "request-id"},
};

const char *rp_header_key (const char *name, char *buffer)
{
    for (size_t index = 0; index < sizeof s_own / sizeof *s_own; index++)
        if (s_begins (name, s_own[index].name) && strlen (name) == strlen (s_own[index].name))
            return s_own[index].key;
    size_t skip = sizeof s_prefix - 1;
    size_t size = strlen (name);
    if (size <= skip || size - skip > RP_HEADER_KEY_MAX || !s_begins (name, s_prefix))
        return NULL;
    for (size_t at = skip; at <= size; at++)
        buffer[at - skip] = s_lower (name[at]);
    return buffer;
}

const char *rp_header_name (const char *key, char *buffer, size_t size)
{
    for (size_t index = 0; index < sizeof s_own / sizeof *s_own; index++)
        if (strcmp (key, s_own[index].key) == 0)
            return s_own[index].name;
    snprintf (buffer, size, "%s%s", s_prefix, key);
    return buffer;
}
