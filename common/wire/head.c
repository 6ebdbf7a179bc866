/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/head.h"

#include <stdalign.h>
#include <string.h>

#include <riposte/error.h>

#include "common/base/cursor.h"
#include "common/wire/headers.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"

/*  Offsets in the fixed part (docs/PROTOCOL.md, section 3.1).  */
enum {
    AT_SIGNATURE = 0,
    AT_VERSION = 2,
    AT_COMMAND = 3,
    AT_HEAD_SIZE = 4,
    AT_FLAGS = 6,
    AT_ID = 8,
    AT_CONVERSATION = 16,
    AT_TIME = 24,
    AT_VALUE = 28,
    AT_STATUS = 32,
    AT_ATTEMPT = 33,
    AT_ATTEMPTS = 34,
    AT_PRIORITY = 35,
    AT_NAME_SIZE = 36,
    AT_KEY_SIZE = 37,
    AT_TEXT_SIZE = 38,
    AT_HEADERS_SIZE = 40,
    AT_RESERVED = 42,
    AT_CODE = 44,
};

/*  The bytes of the fixed part that a command's fields use; all others must be zero. Compared in
    words, so that a head of many fields costs as little as a head of few.  */
#define S_BYTES(at, size) [(at)...(at) + (size) -1] = 0xff
#define S_ALWAYS S_BYTES (AT_SIGNATURE, AT_ID)
#define S_ID S_BYTES (AT_ID, 8)
#define S_CONVERSATION S_BYTES (AT_CONVERSATION, 8)
#define S_TIME S_BYTES (AT_TIME, 4)
#define S_VALUE S_BYTES (AT_VALUE, 4)
#define S_STATUS S_BYTES (AT_STATUS, 1)
#define S_ATTEMPTS S_BYTES (AT_ATTEMPT, 2)
#define S_PRIORITY S_BYTES (AT_PRIORITY, 1)
#define S_NAME S_BYTES (AT_NAME_SIZE, 1)
#define S_KEY S_BYTES (AT_KEY_SIZE, 1)
#define S_TEXT S_BYTES (AT_TEXT_SIZE, 2)
#define S_HEADERS S_BYTES (AT_HEADERS_SIZE, 2)
#define S_CODE S_BYTES (AT_CODE, 4)
#define S_WORDS (RP_WIRE_FIXED / sizeof (uint64_t))

typedef struct {
    alignas (uint64_t) uint8_t bytes[RP_WIRE_FIXED];
    uint16_t flags;
} s_shape_t;

static const s_shape_t s_shapes[RP_COMMAND_COUNT] = {
  [RP_COMMAND_HELLO] = {{S_ALWAYS, S_TIME, S_VALUE, S_NAME, S_KEY, S_HEADERS},
    RP_FLAG_WORKER | RP_FLAG_BUNDLES},
  [RP_COMMAND_WELCOME] = {{S_ALWAYS, S_TIME, S_VALUE, S_KEY, S_HEADERS}, RP_FLAG_BUNDLES},
  [RP_COMMAND_REQUEST] = {{S_ALWAYS, S_ID, S_CONVERSATION, S_TIME, S_VALUE, S_ATTEMPTS, S_PRIORITY,
                            S_NAME, S_HEADERS},
    RP_FLAG_INLINE | RP_FLAG_OPEN | RP_FLAG_TRACE | RP_FLAG_MORE | RP_FLAG_DURABLE | RP_FLAG_KEYED
      | RP_FLAG_STREAM | RP_FLAG_HEDGE | RP_FLAG_ALL},
  [RP_COMMAND_REPLY] = {{S_ALWAYS, S_ID, S_CONVERSATION, S_TIME, S_VALUE, S_STATUS, S_ATTEMPTS,
                          S_TEXT, S_HEADERS, S_CODE},
    RP_FLAG_INLINE | RP_FLAG_LAST | RP_FLAG_MORE | RP_FLAG_REPLAYED},
  [RP_COMMAND_CANCEL] = {{S_ALWAYS, S_ID}, 0},
  [RP_COMMAND_CREDIT] = {{S_ALWAYS, S_TIME, S_VALUE}, 0},
  [RP_COMMAND_HEARTBEAT] = {{S_ALWAYS, S_TIME}, 0},
  [RP_COMMAND_DRAIN] = {{S_ALWAYS}, 0},
  [RP_COMMAND_BYE] = {{S_ALWAYS, S_STATUS, S_TEXT}, 0},
  [RP_COMMAND_END] = {{S_ALWAYS, S_CONVERSATION}, 0},
  [RP_COMMAND_ACCEPTED] = {{S_ALWAYS, S_ID, S_CONVERSATION, S_HEADERS}, 0},
  [RP_COMMAND_PART] = {{S_ALWAYS, S_ID}, RP_FLAG_INLINE | RP_FLAG_MORE},
  [RP_COMMAND_GRANT] = {{S_ALWAYS, S_ID, S_CONVERSATION}, 0},
};

/*  True if every byte that is not zero belongs to a field of the shape.  */
static bool s_fields_fit (const uint8_t *fixed, const s_shape_t *shape)
{
    uint64_t stray = 0;
    for (size_t word = 0; word < S_WORDS; word++) {
        uint64_t head;
        uint64_t mask;
        memcpy (&head, fixed + word * sizeof head, sizeof head);
        memcpy (&mask, shape->bytes + word * sizeof mask, sizeof mask);
        stray |= head & ~mask;
    }
    return stray == 0;
}

static bool s_text_is_clean (const char *text, size_t size)
{
    for (size_t index = 0; index < size; index++)
        if (((unsigned char) text[index] < 32 && text[index] != '\t') || text[index] == 127)
            return false;
    return true;
}

/*  True if the request's flags contradict each other, or its conversation.  */
static bool s_flags_clash (const rp_head_t *head)
{
    unsigned kept = head->flags & (RP_FLAG_DURABLE | RP_FLAG_KEYED | RP_FLAG_HEDGE | RP_FLAG_ALL);
    if (head->conversation == 0 ? head->flags & RP_FLAG_OPEN : kept)
        return true;
    return kept && head->flags & (RP_FLAG_STREAM | RP_FLAG_MORE);
}

/*  Checks the ranges that hold for one command only.  */
static rp_wire_error_t s_check_command (const rp_head_t *head)
{
    bool worker = (head->flags & RP_FLAG_WORKER) != 0;
    switch (head->command) {
        case RP_COMMAND_HELLO:
            if (worker ? !rp_name_is_valid (head->name, head->name_size) : head->name_size != 0)
                return RP_WIRE_ERROR_NAME;
            if (head->key_size > RP_PEER_NAME_MAX || !s_text_is_clean (head->key, head->key_size))
                return RP_WIRE_ERROR_NAME;
            if (!worker && head->window != 0)
                return RP_WIRE_ERROR_FIELD;
            return RP_WIRE_ERROR_NONE;
        case RP_COMMAND_REQUEST:
            if (!rp_name_is_valid (head->name, head->name_size))
                return RP_WIRE_ERROR_NAME;
            if (head->id == 0 || head->attempts == 0 || head->attempts > RP_ATTEMPTS_MAX
                || head->priority > RP_PRIORITY_MAX + 1 || head->deadline_ms > RP_DEADLINE_MAX_MS
                || head->wait_ms > RP_DEADLINE_MAX_MS || s_flags_clash (head))
                return RP_WIRE_ERROR_FIELD;
            return RP_WIRE_ERROR_NONE;
        case RP_COMMAND_REPLY:
            if (head->id == 0 || head->status > RP_STATUS_LAST || head->attempts != 0)
                return RP_WIRE_ERROR_FIELD;
            if (!s_text_is_clean (head->text, head->text_size))
                return RP_WIRE_ERROR_NAME;
            return RP_WIRE_ERROR_NONE;
        case RP_COMMAND_BYE:
            if (!s_text_is_clean (head->text, head->text_size))
                return RP_WIRE_ERROR_NAME;
            return head->status > RP_STATUS_LAST ? RP_WIRE_ERROR_FIELD : RP_WIRE_ERROR_NONE;
        case RP_COMMAND_CANCEL:
        case RP_COMMAND_PART:
            return head->id == 0 ? RP_WIRE_ERROR_FIELD : RP_WIRE_ERROR_NONE;
        case RP_COMMAND_HEARTBEAT:
            return head->interval_ms > RP_HEARTBEAT_MAX_MS ? RP_WIRE_ERROR_FIELD
                                                           : RP_WIRE_ERROR_NONE;
        case RP_COMMAND_ACCEPTED:
        case RP_COMMAND_GRANT:
            return head->id == 0 || head->conversation == 0 ? RP_WIRE_ERROR_FIELD
                                                            : RP_WIRE_ERROR_NONE;
        case RP_COMMAND_END:
            return head->conversation == 0 ? RP_WIRE_ERROR_FIELD : RP_WIRE_ERROR_NONE;
        default:
            return RP_WIRE_ERROR_NONE;
    }
}

static void s_read_fixed (rp_head_t *head, const uint8_t *at)
{
    head->command = at[AT_COMMAND];
    head->size = rp_get_u16 (at + AT_HEAD_SIZE);
    head->flags = rp_get_u16 (at + AT_FLAGS);
    head->id = rp_get_u64 (at + AT_ID);
    head->conversation = rp_get_u64 (at + AT_CONVERSATION);
    head->time = rp_get_u32 (at + AT_TIME);
    head->value = rp_get_u32 (at + AT_VALUE);
    head->status = at[AT_STATUS];
    head->attempt = at[AT_ATTEMPT];
    head->attempts = at[AT_ATTEMPTS];
    head->priority = at[AT_PRIORITY];
    head->name_size = at[AT_NAME_SIZE];
    head->key_size = at[AT_KEY_SIZE];
    head->text_size = rp_get_u16 (at + AT_TEXT_SIZE);
    head->headers_size = rp_get_u16 (at + AT_HEADERS_SIZE);
    head->code = rp_get_u32 (at + AT_CODE);
    head->name = head->key = head->text = NULL;
    head->headers = NULL;
}

/*  Checks signature, version and command.  */
static rp_wire_error_t s_check_front (const uint8_t *at, size_t size)
{
    if (size < 4)
        return size >= 2 && rp_get_u16 (at) == RP_WIRE_SIGNATURE ? RP_WIRE_ERROR_TRUNCATED
                                                                 : RP_WIRE_ERROR_NOT_NATIVE;
    if (rp_get_u16 (at + AT_SIGNATURE) != RP_WIRE_SIGNATURE)
        return RP_WIRE_ERROR_NOT_NATIVE;
    if (at[AT_VERSION] != RP_WIRE_VERSION)
        return RP_WIRE_ERROR_VERSION;
    if (at[AT_COMMAND] == 0 || at[AT_COMMAND] >= RP_COMMAND_COUNT)
        return RP_WIRE_ERROR_COMMAND;
    return size < RP_WIRE_FIXED ? RP_WIRE_ERROR_TRUNCATED : RP_WIRE_ERROR_NONE;
}

rp_wire_error_t rp_wire_decode (rp_head_t *head, const void *data, size_t size)
{
    const uint8_t *at = data;
    rp_wire_error_t error = s_check_front (at, size);
    if (error != RP_WIRE_ERROR_NONE) {
        memset (head, 0, sizeof *head);
        return error;
    }
    s_read_fixed (head, at);
    if (head->size > size)
        return RP_WIRE_ERROR_TRUNCATED;
    if (head->size != rp_wire_size (head) || head->name_size > RP_WIRE_NAME_MAX
        || head->key_size > RP_WIRE_KEY_MAX || head->text_size > RP_WIRE_TEXT_MAX
        || head->headers_size > RP_WIRE_HEADERS_MAX)
        return RP_WIRE_ERROR_SIZES;

    const s_shape_t *shape = &s_shapes[head->command];
    if (head->flags & ~shape->flags)
        return RP_WIRE_ERROR_FLAGS;
    if (!(head->flags & RP_FLAG_INLINE) && size > head->size)
        return RP_WIRE_ERROR_SIZES;
    if (!s_fields_fit (at, shape))
        return RP_WIRE_ERROR_FIELD;

    at += RP_WIRE_FIXED;
    head->name = (const char *) at;
    at += head->name_size;
    head->key = (const char *) at;
    at += head->key_size;
    head->text = (const char *) at;
    at += head->text_size;
    head->headers = at;
    if (head->headers_size && !rp_headers_are_valid (head->headers, head->headers_size))
        return RP_WIRE_ERROR_HEADERS;
    return s_check_command (head);
}

size_t rp_wire_head_size (const void *data)
{
    return rp_get_u16 ((const uint8_t *) data + AT_HEAD_SIZE);
}

void rp_wire_patch (void *data, const rp_head_t *head)
{
    uint8_t *at = data;
    const uint8_t small[] = {head->status, head->attempt, head->attempts, head->priority};
    memcpy (at + AT_STATUS, small, sizeof small);
    rp_put_u16 (at + AT_FLAGS, head->flags);
    rp_put_u64 (at + AT_ID, head->id);
    rp_put_u64 (at + AT_CONVERSATION, head->conversation);
    rp_put_u32 (at + AT_TIME, head->time);
    rp_put_u32 (at + AT_VALUE, head->value);
}

static uint8_t *s_append (uint8_t *at, const void *bytes, size_t size)
{
    if (size)
        memcpy (at, bytes, size);
    return at + size;
}

size_t rp_wire_encode (const rp_head_t *head, void *data, size_t capacity)
{
    size_t size = rp_wire_size (head);
    if (size > capacity || size > RP_WIRE_HEAD_MAX)
        return 0;
    uint8_t *at = data;
    rp_put_u16 (at + AT_SIGNATURE, RP_WIRE_SIGNATURE);
    at[AT_VERSION] = RP_WIRE_VERSION;
    at[AT_COMMAND] = head->command;
    rp_put_u16 (at + AT_HEAD_SIZE, (uint16_t) size);
    rp_wire_patch (at, head);
    at[AT_NAME_SIZE] = head->name_size;
    at[AT_KEY_SIZE] = head->key_size;
    rp_put_u16 (at + AT_TEXT_SIZE, head->text_size);
    rp_put_u16 (at + AT_HEADERS_SIZE, head->headers_size);
    rp_put_u16 (at + AT_RESERVED, 0);
    rp_put_u32 (at + AT_CODE, head->code);
    at += RP_WIRE_FIXED;
    at = s_append (at, head->name, head->name_size);
    at = s_append (at, head->key, head->key_size);
    at = s_append (at, head->text, head->text_size);
    s_append (at, head->headers, head->headers_size);
    return size;
}

const char *rp_command_name (int command)
{
    static const char *const names[] = {
#define S_COMMAND_NAME(name, number) [number] = #name,
      RP_COMMAND_MAP (S_COMMAND_NAME)
#undef S_COMMAND_NAME
    };
    return command > 0 && command < RP_COMMAND_COUNT ? names[command] : "?";
}

const char *rp_wire_error_text (rp_wire_error_t error)
{
    static const char *const texts[] = {
#define S_ERROR_TEXT(name, text) [RP_WIRE_ERROR_##name] = text,
      RP_WIRE_ERROR_MAP (S_ERROR_TEXT)
#undef S_ERROR_TEXT
    };
    return (unsigned) error < RP_WIRE_ERROR_COUNT ? texts[error] : "?";
}
