/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/protocol/dialect.h"

#include <string.h>

#include "common/base/check.h"
#include "common/base/cursor.h"
#include "common/wire/name.h"

/*  The words of the dialects, by their names in MDP 0.2. FINAL is REPLY in MDP 0.1.  */
typedef enum {
    S_READY,
    S_REQUEST,
    S_PARTIAL,
    S_FINAL,
    S_HEARTBEAT,
    S_DISCONNECT,
    S_WORDS, /* also: no word */
} s_word_t;

enum {
    S_HEADER_SIZE = 6,
    S_EMPTY = 1 << 0,   /* an empty frame comes first */
    S_NUMBER = 1 << 1,  /* the word's number follows the header, in a frame of its own */
    S_SERVICE = 1 << 2, /* to a client: the name of the service follows */
    S_PACKED = 1 << 3,  /* header, number and service share one frame */
};

typedef struct {
    const char *header; /* NULL: no header */
    uint8_t parts;
    uint8_t numbers[S_WORDS + 1]; /* 0: no such word */
} s_grammar_t;

/*  The grammar of each dialect: the client's side, then the worker's. Sources: 7/MDP and 18/MDP;
    for MAJORTOMO and PACKED their own brokers, clients and workers. Numbers are in the order
    S_READY, S_REQUEST, S_PARTIAL, S_FINAL, S_HEARTBEAT, S_DISCONNECT; where no number is sent, 1
    says that the word exists.  */
static const s_grammar_t s_grammars[RP_DIALECT_COUNT][2] = {
  [RP_DIALECT_MDP01] = {{"MDPC01", S_EMPTY | S_SERVICE, {0, 1, 0, 1, 0, 0}},
    {"MDPW01", S_EMPTY | S_NUMBER, {1, 2, 0, 3, 4, 5}}},
  [RP_DIALECT_MDP02] = {{"MDPC02", S_NUMBER | S_SERVICE, {0, 1, 2, 3, 0, 0}},
    {"MDPW02", S_NUMBER, {1, 2, 3, 4, 5, 6}}},
  [RP_DIALECT_MDP02_EMPTY] = {{"MDPC02", S_EMPTY | S_NUMBER | S_SERVICE, {0, 1, 2, 3, 0, 0}},
    {"MDPW02", S_EMPTY | S_NUMBER, {1, 2, 3, 4, 5, 6}}},
  [RP_DIALECT_MAJORTOMO] = {{"MDPC02", S_EMPTY | S_NUMBER, {0, 2, 3, 4, 0, 0}}},
  [RP_DIALECT_PACKED] = {{"MDPC02", S_PACKED | S_SERVICE, {0, 1, 2, 3, 0, 0}},
    {"MDPW02", S_PACKED, {1, 2, 3, 4, 5, 6}}},
  [RP_DIALECT_PLAIN] = {{NULL, S_EMPTY, {0, 1, 0, 1, 0, 0}}, {NULL, 0, {0, 1, 0, 1, 0, 0}}},
};

/*  A packed header: signature, message id, then texts (a length byte, then the text) and one-byte
    numbers: version, command, service. The message ids number the client's three commands and the
    worker's six in one sequence.  */
enum {
    S_PACKED_SIGNATURE = 0xaaa4,
    S_PACKED_ID = 2,
    S_PACKED_VERSION_SIZE = 3,
    S_PACKED_VERSION = 4,
    S_PACKED_NUMBER = S_PACKED_VERSION + S_HEADER_SIZE,
    S_PACKED_SERVICE_SIZE,
    S_PACKED_SERVICE,
    S_PACKED_WORKER_IDS = 3,
};

/*  ---- Frames -------------------------------------------------------------------------------- */

/*  Returns the number of the first empty frame; count if there is none.  */
static uint32_t s_first_empty (const rp_frame_t *frames, uint32_t count)
{
    uint32_t at = 0;
    while (at < count && frames[at].size != 0)
        at++;
    return at;
}

static bool s_envelope_fits (const rp_frame_t *frames, uint32_t count)
{
    size_t size = 0;
    for (uint32_t index = 0; index < count && size <= RP_ENVELOPE_BYTES_MAX; index++)
        size += frames[index].size;
    return count <= RP_ENVELOPE_FRAMES_MAX && size <= RP_ENVELOPE_BYTES_MAX;
}

/*  Returns the version of MDP that a header names, 1 or 2, and its side; 0 for any other frame.  */
static int s_version (const char *header, bool *worker)
{
    if (memcmp (header, "MDP", 3) != 0 || (header[3] != 'C' && header[3] != 'W') || header[4] != '0'
        || (header[5] != '1' && header[5] != '2'))
        return 0;
    *worker = header[3] == 'W';
    return header[5] - '0';
}

static int s_frame_version (const rp_frame_t *frame, bool *worker)
{
    return frame->size == S_HEADER_SIZE ? s_version (frame->data, worker) : 0;
}

/*  Returns the number in a frame; 0, which is no word's number, unless the frame is one byte.  */
static uint8_t s_frame_number (const rp_frame_t *frame)
{
    return frame->size == 1 ? *(const uint8_t *) frame->data : 0;
}

bool rp_dialect_is_native (const rp_frame_t *frames, uint32_t count)
{
    if (count == 0 || frames[0].size < 2 || rp_get_u16 (frames[0].data) != RP_WIRE_SIGNATURE)
        return false;
    if (frames[0].size >= RP_WIRE_FIXED)
        return true;
    // A frame shorter than a head is the first of an envelope if the rest of an envelope follows.
    uint32_t header = s_first_empty (frames, count) + 1;
    bool worker;
    return header >= count || s_frame_version (&frames[header], &worker) == 0;
}

/*  ---- Reading ------------------------------------------------------------------------------- */

static const s_grammar_t *s_grammar (const rp_foreign_message_t *foreign)
{
    return &s_grammars[foreign->dialect][foreign->worker];
}

/*  Sets an error, and keeps only dialect and side; not even these if the message is of no
    dialect.  */
static void s_finish (rp_foreign_message_t *foreign, rp_dialect_error_t error)
{
    if (error == RP_DIALECT_ERROR_UNKNOWN)
        *foreign = (rp_foreign_message_t){.error = error};
    else if (error != RP_DIALECT_ERROR_NONE)
        *foreign = (rp_foreign_message_t){
          .error = error, .dialect = foreign->dialect, .worker = foreign->worker};
}

static rp_dialect_error_t s_read_name (rp_foreign_message_t *foreign, const char *name, size_t size)
{
    if (!rp_name_is_valid (name, size))
        return RP_DIALECT_ERROR_NAME;
    foreign->name = name;
    foreign->name_size = (uint8_t) size;
    return RP_DIALECT_ERROR_NONE;
}

/*  The form of a token. Printable text, because workers in other languages keep an address as a C
    string. Not beginning with @ or a zero, which the guide's programs take for an address in
    hexadecimal or in bytes. Not a number, which PHP and Perl would reformat.  */
enum {
    S_TOKEN_DIGITS = 2 * sizeof (uint64_t),
    S_TOKEN_MARK = 2,
    S_TOKEN_SIZE = S_TOKEN_MARK + S_TOKEN_DIGITS,
};

static const char s_digits[] = "0123456789abcdef";

static void s_write_token (uint8_t *at, uint64_t token)
{
    memcpy (at, "c-", S_TOKEN_MARK);
    for (unsigned digit = S_TOKEN_SIZE; digit-- > S_TOKEN_MARK; token >>= 4)
        at[digit] = (uint8_t) s_digits[token & 15];
}

/*  Returns 0, which is no request's token, unless the frame is exactly what s_write_token
    writes.  */
static uint64_t s_read_token (const rp_frame_t *frame)
{
    const uint8_t *at = frame->data;
    uint64_t token = 0;
    if (frame->size != S_TOKEN_SIZE || memcmp (at, "c-", S_TOKEN_MARK) != 0)
        return 0;
    for (unsigned digit = S_TOKEN_MARK; digit < S_TOKEN_SIZE; digit++) {
        const char *found = memchr (s_digits, at[digit], S_TOKEN_DIGITS);
        if (!found)
            return 0;
        token = token << 4 | (uint64_t) (found - s_digits);
    }
    return token;
}

/*  Reads client address, an empty frame, body. The guide's PHP worker of MDP 0.1 omits the empty
    frame, and the guide's brokers accept that.  */
static rp_dialect_error_t s_read_reply (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count, uint32_t at)
{
    if (count < at + 2)
        return RP_DIALECT_ERROR_FRAMES;
    bool separated = frames[at + 1].size == 0;
    foreign->token = s_read_token (&frames[at]);
    foreign->body = separated ? at + 2 : at + 1;
    bool may_miss = foreign->dialect == RP_DIALECT_MDP01 && foreign->token != 0;
    return foreign->body < count && (separated || may_miss) ? RP_DIALECT_ERROR_NONE
                                                            : RP_DIALECT_ERROR_FRAMES;
}

/*  Returns the word for a number from this side; S_WORDS if the number means nothing.  */
static s_word_t s_read_number (rp_foreign_message_t *foreign, uint8_t number)
{
    static const uint8_t commands[S_WORDS] = {[S_READY] = RP_COMMAND_HELLO,
      [S_REQUEST] = RP_COMMAND_REQUEST,
      [S_PARTIAL] = RP_COMMAND_REPLY,
      [S_FINAL] = RP_COMMAND_REPLY,
      [S_HEARTBEAT] = RP_COMMAND_HEARTBEAT,
      [S_DISCONNECT] = RP_COMMAND_BYE};
    s_word_t word = S_READY;
    while (word < S_WORDS && (number == 0 || s_grammar (foreign)->numbers[word] != number))
        word++;
    if (word == S_WORDS || foreign->worker != (word != S_REQUEST))
        return S_WORDS;
    foreign->command = commands[word];
    foreign->more = word == S_PARTIAL;
    return word;
}

/*  True unless the broker itself answers the request: 8/MMI (mmi.) needs no body. A worker is
    promised at least one frame.  */
static bool s_needs_body (const rp_foreign_message_t *foreign)
{
    return !rp_name_is_reserved (foreign->name, foreign->name_size);
}

/*  Reads number and service from a packed header. No byte may be missing or left over.  */
static rp_dialect_error_t s_read_packed_header (
  rp_foreign_message_t *foreign, const rp_frame_t *frame)
{
    const uint8_t *at = frame->data;
    foreign->dialect = RP_DIALECT_PACKED;
    foreign->worker = at[S_PACKED_VERSION + 3] == 'W';
    if (at[S_PACKED_VERSION_SIZE] != S_HEADER_SIZE || frame->size <= S_PACKED_NUMBER)
        return RP_DIALECT_ERROR_PACKED;
    if (s_version ((const char *) at + S_PACKED_VERSION, &foreign->worker) != 2)
        return RP_DIALECT_ERROR_UNKNOWN;
    uint8_t number = at[S_PACKED_NUMBER];
    if (at[S_PACKED_ID] != number + (foreign->worker ? S_PACKED_WORKER_IDS : 0))
        return RP_DIALECT_ERROR_PACKED;
    s_word_t word = s_read_number (foreign, number);
    if (word == S_WORDS)
        return RP_DIALECT_ERROR_COMMAND;
    if (word != S_READY && word != S_REQUEST)
        return frame->size == S_PACKED_SERVICE_SIZE ? RP_DIALECT_ERROR_NONE
                                                    : RP_DIALECT_ERROR_PACKED;
    if (frame->size < S_PACKED_SERVICE
        || frame->size != (size_t) S_PACKED_SERVICE + at[S_PACKED_SERVICE_SIZE])
        return RP_DIALECT_ERROR_PACKED;
    return s_read_name (foreign, (const char *) at + S_PACKED_SERVICE, at[S_PACKED_SERVICE_SIZE]);
}

/*  Checks the signature and the MDP at the place of the version: two bytes alone could be an
    envelope's.  */
static bool s_is_packed (const rp_frame_t *frame)
{
    return frame->size > S_PACKED_VERSION + 3 && rp_get_u16 (frame->data) == S_PACKED_SIGNATURE
           && memcmp ((const char *) frame->data + S_PACKED_VERSION, "MDP", 3) == 0;
}

static rp_dialect_error_t s_read_packed (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count)
{
    rp_dialect_error_t error = s_read_packed_header (foreign, &frames[0]);
    if (error != RP_DIALECT_ERROR_NONE)
        return error;
    if (foreign->command == RP_COMMAND_REPLY)
        return s_read_reply (foreign, frames, count, 1);
    if (foreign->command == RP_COMMAND_REQUEST) {
        foreign->body = 1;
        return count > 1 || !s_needs_body (foreign) ? RP_DIALECT_ERROR_NONE
                                                    : RP_DIALECT_ERROR_FRAMES;
    }
    return RP_DIALECT_ERROR_NONE;
}

/*  Reads what follows header and number, from frame at on.  */
static rp_dialect_error_t s_read_rest (rp_foreign_message_t *foreign,
  s_word_t word,
  const rp_frame_t *frames,
  uint32_t count,
  uint32_t at)
{
    if (word == S_PARTIAL || word == S_FINAL)
        return s_read_reply (foreign, frames, count, at);
    if (word != S_READY && word != S_REQUEST)
        return RP_DIALECT_ERROR_NONE;
    foreign->body = word == S_REQUEST ? at + 1 : 0;
    if (count <= at)
        return RP_DIALECT_ERROR_FRAMES;
    rp_dialect_error_t error = s_read_name (foreign, frames[at].data, frames[at].size);
    if (word == S_REQUEST && count == at + 1
        && (error != RP_DIALECT_ERROR_NONE || s_needs_body (foreign)))
        return RP_DIALECT_ERROR_FRAMES;
    return error;
}

/*  Reads a message whose header is in frame at. Before it come an envelope and an empty frame, or
    nothing.  */
static rp_dialect_error_t s_read_mdp (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count, uint32_t at)
{
    static const rp_dialect_t dialects[3][2] = {
      [1] = {RP_DIALECT_MDP01, RP_DIALECT_MDP01}, [2] = {RP_DIALECT_MDP02, RP_DIALECT_MDP02_EMPTY}};
    uint8_t number = at + 1 < count ? s_frame_number (&frames[at + 1]) : 0;
    int version = s_frame_version (&frames[at], &foreign->worker);
    if (version == 0)
        return RP_DIALECT_ERROR_UNKNOWN;
    foreign->dialect = dialects[version][at > 0];
    if (foreign->dialect == RP_DIALECT_MDP02_EMPTY && !foreign->worker
        && number == s_grammars[RP_DIALECT_MAJORTOMO][0].numbers[S_REQUEST])
        foreign->dialect = RP_DIALECT_MAJORTOMO;

    // A worker has no envelope: its routing id alone is its address.
    if (at == 0 ? version == 1 : foreign->worker && at > 1)
        return RP_DIALECT_ERROR_FRAMES;
    foreign->envelope = at > 0 ? at - 1 : 0;
    if (!s_envelope_fits (frames, foreign->envelope))
        return RP_DIALECT_ERROR_ENVELOPE;
    if (!(s_grammar (foreign)->parts & S_NUMBER))
        return s_read_rest (foreign, s_read_number (foreign, 1), frames, count, at + 1);
    if (at + 1 >= count)
        return RP_DIALECT_ERROR_FRAMES;
    s_word_t word = s_read_number (foreign, number);
    if (word == S_WORDS)
        return RP_DIALECT_ERROR_COMMAND;
    return s_read_rest (foreign, word, frames, count, at + 2);
}

void rp_dialect_read (rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count)
{
    bool worker;
    *foreign = (rp_foreign_message_t){0};
    rp_dialect_error_t error = RP_DIALECT_ERROR_UNKNOWN;
    if (count > 0 && s_is_packed (&frames[0]))
        error = s_read_packed (foreign, frames, count);
    else if (count > 0) {
        bool first = s_frame_version (&frames[0], &worker) != 0;
        uint32_t header = first ? 0 : s_first_empty (frames, count) + 1;
        if (header < count)
            error = s_read_mdp (foreign, frames, count, header);
    }
    s_finish (foreign, error);
}

void rp_dialect_read_plain_client (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count)
{
    uint32_t empty = s_first_empty (frames, count);
    *foreign = (rp_foreign_message_t){.dialect = RP_DIALECT_PLAIN,
      .command = RP_COMMAND_REQUEST,
      .envelope = empty,
      .body = empty + 1};
    rp_dialect_error_t error = RP_DIALECT_ERROR_NONE;
    if (foreign->body >= count)
        error = RP_DIALECT_ERROR_FRAMES;
    else if (!s_envelope_fits (frames, empty))
        error = RP_DIALECT_ERROR_ENVELOPE;
    s_finish (foreign, error);
}

void rp_dialect_read_plain_worker (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count)
{
    *foreign = (rp_foreign_message_t){
      .dialect = RP_DIALECT_PLAIN, .worker = true, .command = RP_COMMAND_REPLY};
    s_finish (foreign, s_read_reply (foreign, frames, count, 0));
}

/*  ---- Writing ------------------------------------------------------------------------------- */

static void s_put (rp_prefix_t *prefix, const void *data, size_t size)
{
    prefix->frames[prefix->count++] = (rp_frame_t){data, size};
}

/*  Returns the word for a native head to this side; S_WORDS if MDP has none.  */
static s_word_t s_word_for (const rp_head_t *head, bool worker)
{
    if (head->command == RP_COMMAND_REPLY && !worker)
        return head->flags & RP_FLAG_MORE ? S_PARTIAL : S_FINAL;
    if (!worker)
        return S_WORDS;
    switch (head->command) {
        case RP_COMMAND_REQUEST:
            return S_REQUEST;
        case RP_COMMAND_HEARTBEAT:
            return S_HEARTBEAT;
        case RP_COMMAND_BYE:
            return S_DISCONNECT;
        default:
            return S_WORDS;
    }
}

static void s_put_packed (
  rp_prefix_t *prefix, uint8_t *at, const char *header, uint8_t number, const rp_head_t *service)
{
    rp_put_u16 (at, S_PACKED_SIGNATURE);
    at[S_PACKED_ID] = (uint8_t) (service ? number : number + S_PACKED_WORKER_IDS);
    at[S_PACKED_VERSION_SIZE] = S_HEADER_SIZE;
    memcpy (at + S_PACKED_VERSION, header, S_HEADER_SIZE);
    at[S_PACKED_NUMBER] = number;
    size_t size = S_PACKED_SERVICE_SIZE;
    if (service) {
        at[S_PACKED_SERVICE_SIZE] = service->name_size;
        size = S_PACKED_SERVICE;
        if (service->name_size)
            memcpy (at + size, service->name, service->name_size);
        size += service->name_size;
    }
    s_put (prefix, at, size);
}

bool rp_dialect_write (
  rp_prefix_t *prefix, rp_dialect_t dialect, bool worker, const rp_head_t *head)
{
    const s_grammar_t *grammar = &s_grammars[dialect][worker];
    s_word_t word = s_word_for (head, worker);
    uint8_t number = grammar->numbers[word];
    uint8_t *token = prefix->bytes;
    uint8_t *rest = token + S_TOKEN_SIZE;
    prefix->count = 0;
    if (number == 0)
        return false;
    RP_CHECK (worker || head->name_size <= RP_WIRE_NAME_MAX);

    if (grammar->parts & S_EMPTY)
        s_put (prefix, NULL, 0);
    if (grammar->parts & S_PACKED)
        s_put_packed (prefix, rest, grammar->header, number, worker ? NULL : head);
    else if (grammar->header)
        s_put (prefix, grammar->header, S_HEADER_SIZE);
    if (grammar->parts & S_NUMBER) {
        *rest = number;
        s_put (prefix, rest, 1);
    }
    if ((grammar->parts & (S_SERVICE | S_PACKED)) == S_SERVICE)
        s_put (prefix, head->name, head->name_size);
    if (word == S_REQUEST) {
        s_write_token (token, head->id);
        s_put (prefix, token, S_TOKEN_SIZE);
        s_put (prefix, NULL, 0);
    }
    return true;
}

/*  ---- Texts --------------------------------------------------------------------------------- */

const char *rp_dialect_name (rp_dialect_t dialect)
{
    static const char *const names[] = {
#define S_NAME(name, text) [RP_DIALECT_##name] = text,
      RP_DIALECT_MAP (S_NAME)
#undef S_NAME
    };
    return (unsigned) dialect < RP_DIALECT_COUNT ? names[dialect] : "?";
}

const char *rp_dialect_error_text (rp_dialect_error_t error)
{
    static const char *const texts[] = {
#define S_TEXT(name, text) [RP_DIALECT_ERROR_##name] = text,
      RP_DIALECT_ERROR_MAP (S_TEXT)
#undef S_TEXT
    };
    return (unsigned) error < RP_DIALECT_ERROR_COUNT ? texts[error] : "?";
}
