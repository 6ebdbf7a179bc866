/*  Fuzzer of the dialects of foreign peers: bytes are read as a message.

    SPDX-License-Identifier: MPL-2.0

    The first byte chooses the port (all protocols, plain frontend, plain backend); then come
    frames, each a byte of size and as many bytes. The fields that are read must lie inside the
    message, and the answer that is written must be read as it was meant.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/protocol/dialect.h"
#include "common/wire/name.h"
#include "tests/support/frames.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_require (int condition, const char *what)
{
    if (condition)
        return;
    fprintf (stderr, "broken: %s\n", what);
    abort ();
}

static void s_split (frames_t *message, const uint8_t *data, size_t size)
{
    while (size > 0 && message->count < RP_FRAMES_MAX) {
        size_t frame = data[0] < size - 1 ? data[0] : size - 1;
        frames_add (message, data + 1, frame);
        data += 1 + frame;
        size -= 1 + frame;
    }
}

static int s_name_lies_in_a_frame (const rp_foreign_message_t *foreign, const frames_t *message)
{
    for (uint32_t index = 0; index < message->count; index++) {
        const char *from = message->frames[index].data;
        size_t size = message->frames[index].size;
        if (from && foreign->name >= from && foreign->name + foreign->name_size <= from + size)
            return 1;
    }
    return 0;
}

static void s_check_error (const rp_foreign_message_t *foreign)
{
    s_require (foreign->error < RP_DIALECT_ERROR_COUNT, "an error that there is not");
    s_require (rp_dialect_error_text (foreign->error)[0] != '?', "an error without a text");
    s_require (
      (foreign->error == RP_DIALECT_ERROR_UNKNOWN) == (foreign->dialect == RP_DIALECT_NATIVE),
      "an error whose dialect is wrong");
    s_require (foreign->command == 0 && !foreign->more && !foreign->name && foreign->name_size == 0
                 && foreign->token == 0 && foreign->envelope == 0 && foreign->body == 0,
      "an error with more than its kind");
}

static void s_check_request (const rp_foreign_message_t *foreign, const frames_t *message)
{
    size_t size = 0;
    s_require (!foreign->worker && foreign->token == 0, "a worker's request");
    bool own = foreign->name && rp_name_is_reserved (foreign->name, foreign->name_size);
    s_require (foreign->body < message->count + own, "a request without a body");
    s_require (foreign->envelope < message->count, "an envelope beyond the message");
    s_require (foreign->envelope <= RP_ENVELOPE_FRAMES_MAX, "an envelope of too many frames");
    for (uint32_t index = 0; index < foreign->envelope; index++) {
        s_require (message->frames[index].size > 0, "an empty frame in an envelope");
        size += message->frames[index].size;
    }
    s_require (size <= RP_ENVELOPE_BYTES_MAX, "an envelope of too many bytes");
}

static void s_check_foreign (const rp_foreign_message_t *foreign, const frames_t *message)
{
    bool named =
      foreign->command == RP_COMMAND_HELLO
      || (foreign->command == RP_COMMAND_REQUEST && foreign->dialect != RP_DIALECT_PLAIN);
    s_require (foreign->dialect != RP_DIALECT_NATIVE, "a native foreign message");
    s_require (foreign->dialect < RP_DIALECT_COUNT, "a dialect that there is not");
    s_require ((foreign->name != NULL) == named, "a name that is missing, or too many");
    if (named) {
        s_require (rp_name_is_valid (foreign->name, foreign->name_size), "a bad name");
        s_require (s_name_lies_in_a_frame (foreign, message), "a name outside the message");
    }
    switch (foreign->command) {
        case RP_COMMAND_REQUEST:
            s_check_request (foreign, message);
            return;
        case RP_COMMAND_REPLY:
            s_require (foreign->worker && foreign->body >= 2, "a client's reply");
            s_require (foreign->body < message->count, "a reply without a body");
            s_require (
              message->frames[foreign->body - 1].size == 0, "a reply without an empty frame");
            break;
        case RP_COMMAND_HELLO:
        case RP_COMMAND_HEARTBEAT:
        case RP_COMMAND_BYE:
            s_require (foreign->worker && foreign->body == 0, "a client that talks like a worker");
            break;
        default:
            s_require (0, "a command that foreign protocols do not have");
    }
    s_require (foreign->envelope == 0, "a worker's envelope");
    s_require (!foreign->more || foreign->command == RP_COMMAND_REPLY, "a part of nothing");
}

static void s_check_prefix (const rp_prefix_t *prefix, const rp_head_t *head)
{
    const uint8_t *from = prefix->bytes;
    s_require (prefix->count > 0 && prefix->count <= RP_PREFIX_FRAMES_MAX, "too many frames");
    for (uint32_t index = 0; index < prefix->count; index++) {
        const rp_frame_t *frame = &prefix->frames[index];
        const uint8_t *at = frame->data;
        if (at >= from && at < from + sizeof prefix->bytes)
            s_require (at + frame->size <= from + sizeof prefix->bytes, "a prefix too long");
        else
            s_require (frame->size == 0 || frame->data == head->name || frame->size == 6,
              "a frame from nowhere");
    }
}

/*  Writes a request to the worker that sent this reply; the same reply with that request's address
    must be read as before.  */
static void s_answer_reply (const rp_foreign_message_t *foreign, const frames_t *message)
{
    rp_prefix_t prefix;
    rp_head_t head = {.command = RP_COMMAND_REQUEST, .id = 0x0102030405060708u ^ foreign->token};
    s_require (
      rp_dialect_write (&prefix, foreign->dialect, true, &head), "a worker that gets no request");
    s_check_prefix (&prefix, &head);
    rp_frame_t frames[RP_FRAMES_MAX];
    memcpy (frames, message->frames, message->count * sizeof *frames);
    frames[foreign->body - 2] = prefix.frames[prefix.count - 2];
    rp_foreign_message_t again;
    if (foreign->dialect == RP_DIALECT_PLAIN)
        rp_dialect_read_plain_worker (&again, frames, message->count);
    else
        rp_dialect_read (&again, frames, message->count);
    s_require (again.error == RP_DIALECT_ERROR_NONE, "a token makes a good reply bad");
    s_require (again.token == head.id, "a token that does not come back");
    s_require (again.dialect == foreign->dialect && again.body == foreign->body
                 && again.more == foreign->more,
      "a token makes another reply");
}

/*  Writes a reply to this client. In MDP 0.1 a reply has the shape of a request.  */
static void s_answer_request (const rp_foreign_message_t *foreign)
{
    rp_head_t head = {
      .command = RP_COMMAND_REPLY, .name = foreign->name, .name_size = foreign->name_size};
    rp_prefix_t prefix;
    s_require (
      rp_dialect_write (&prefix, foreign->dialect, false, &head), "a client that gets no reply");
    s_check_prefix (&prefix, &head);
    if (foreign->dialect != RP_DIALECT_MDP01)
        return;
    rp_foreign_message_t again;
    prefix.frames[prefix.count] = (rp_frame_t){"a", 1};
    rp_dialect_read (&again, prefix.frames, prefix.count + 1);
    s_require (again.command == RP_COMMAND_REQUEST && again.name == foreign->name
                 && again.name_size == foreign->name_size,
      "a reply that does not name the service");
}

static void s_answer_worker (const rp_foreign_message_t *foreign)
{
    rp_head_t head = {.command = foreign->command};
    rp_prefix_t prefix;
    s_require (
      rp_dialect_write (&prefix, foreign->dialect, true, &head), "a worker that is told nothing");
    s_check_prefix (&prefix, &head);
    rp_foreign_message_t again;
    rp_dialect_read (&again, prefix.frames, prefix.count);
    s_require (again.error == RP_DIALECT_ERROR_NONE && again.dialect == foreign->dialect
                 && again.worker && again.command == foreign->command,
      "what was written is read differently");
}

static void s_run (unsigned port, const frames_t *message)
{
    rp_foreign_message_t foreign;
    memset (&foreign, 0xee, sizeof foreign);
    if (port == 0) {
        // A message that can be read as a foreign peer's may be taken for native only if its first
        // frame is as long as a native head.
        bool native = rp_dialect_is_native (message->frames, message->count);
        rp_dialect_read (&foreign, message->frames, message->count);
        s_require (!native || foreign.error != RP_DIALECT_ERROR_NONE
                     || message->frames[0].size >= RP_WIRE_FIXED,
          "a foreign message that is taken for native");
    }
    else if (port == 1)
        rp_dialect_read_plain_client (&foreign, message->frames, message->count);
    else
        rp_dialect_read_plain_worker (&foreign, message->frames, message->count);
    if (foreign.error != RP_DIALECT_ERROR_NONE) {
        s_check_error (&foreign);
        return;
    }
    s_require (port == 0 || foreign.dialect == RP_DIALECT_PLAIN, "a plain port that guesses");
    s_check_foreign (&foreign, message);
    if (foreign.command == RP_COMMAND_REPLY)
        s_answer_reply (&foreign, message);
    else if (foreign.command == RP_COMMAND_REQUEST)
        s_answer_request (&foreign);
    else if (foreign.command != RP_COMMAND_HELLO)
        s_answer_worker (&foreign);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    frames_t message = frames_of (NULL);
    s_split (&message, data + 1, size - 1);
    s_run (data[0] % 3, &message);
    frames_free (&message);
    return 0;
}
