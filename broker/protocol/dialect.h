/*  Dialects: reads the messages of foreign protocols into native terms, and writes them from native
    heads. A pure codec.

    SPDX-License-Identifier: MPL-2.0

    READY is read as HELLO, DISCONNECT as BYE, PARTIAL as REPLY with RP_FLAG_MORE. Which dialect a
    session speaks is kept with the session (broker/protocol/foreign.h); the core does not know it.

    Frames are those behind the routing id that a ROUTER puts before a message. A body passes
    through unchanged; the codec says only at which frame it begins.

    Source: ZeroMQ RFC 7/MDP, 18/MDP, 8/MMI, 28/REQREP; docs/INTEROP.md.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_DIALECT_H
#define RP_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/head.h"

typedef struct {
    const void *data; /* may be NULL when size is 0 */
    size_t size;
} rp_frame_t;

/*  name, text for people. MAJORTOMO also has the leading empty frame, and its replies do not name
    the service; only clients speak it.  */
#define RP_DIALECT_MAP(X)                                                                          \
    X (NATIVE, "riposte")                                                                          \
    X (MDP01, "MDP 0.1")                                                                           \
    X (MDP02, "MDP 0.2")                                                                           \
    X (MDP02_EMPTY, "MDP 0.2 with a leading empty frame")            /* majortomo's workers */     \
    X (MAJORTOMO, "MDP 0.2 with the worker's numbers in the client") /* majortomo's clients */     \
    X (PACKED, "MDP 0.2 with a packed header")                       /* zeromq/majordomo master */ \
    X (PLAIN, "REQ/REP")

typedef enum {
#define RP_DIALECT_ENUM(name, text) RP_DIALECT_##name,
    RP_DIALECT_MAP (RP_DIALECT_ENUM)
#undef RP_DIALECT_ENUM
      RP_DIALECT_COUNT
} rp_dialect_t;

/*  name, end of the sentence "what the peer sent was …"  */
#define RP_DIALECT_ERROR_MAP(X)                                                                    \
    X (NONE, "nothing")                                                                            \
    X (UNKNOWN, "of no protocol that this broker speaks")                                          \
    X (FRAMES, "without the frames that its command has")                                          \
    X (COMMAND, "an unknown command")                                                              \
    X (NAME, "a service name that is empty, too long or has control characters")                   \
    X (ENVELOPE, "a return envelope of more than 8 frames or 1024 bytes")                          \
    X (PACKED, "a packed header that does not add up")

typedef enum {
#define RP_DIALECT_ERROR_ENUM(name, text) RP_DIALECT_ERROR_##name,
    RP_DIALECT_ERROR_MAP (RP_DIALECT_ERROR_ENUM)
#undef RP_DIALECT_ERROR_ENUM
      RP_DIALECT_ERROR_COUNT
} rp_dialect_error_t;

/*  A client's return envelope: the frames before the first empty one.  */
#define RP_ENVELOPE_FRAMES_MAX 8u
#define RP_ENVELOPE_BYTES_MAX 1024u

/*  A foreign message as it was read. On an error, dialect and worker say what was recognized
    (NATIVE: nothing), so that the answer can be in the peer's own words.  */
typedef struct {
    rp_dialect_error_t error;
    rp_dialect_t dialect;
    bool worker;      /* the sender is a worker */
    uint8_t command;  /* rp_command_t: HELLO, REQUEST, REPLY, HEARTBEAT or BYE; 0 on an error */
    bool more;        /* REPLY: a PARTIAL; its FINAL follows */
    const char *name; /* HELLO, REQUEST: the service; points into a frame, not NUL-terminated */
    uint8_t name_size;
    /*  REPLY: the client's address that rp_dialect_write gave; 0: not such an address  */
    uint64_t token;
    uint32_t envelope; /* REQUEST: frames 0 … envelope - 1 are the return envelope */
    /*  REQUEST, REPLY: number of the first body frame. There is at least one body frame, but for a
        REQUEST to one of the broker's own services: then body may be the number of frames  */
    uint32_t body;
} rp_foreign_message_t;

/*  True if a message on the port that speaks all protocols is native, well-formed or not. The
    signature alone is no proof: the number with which a REQ socket marks a request
    (ZMQ_REQ_CORRELATE), or a routing id that a proxy has put into an envelope, may begin with the
    same two bytes. A frame of 48 bytes or more counts as a head; a shorter one too, unless the rest
    of an envelope and a header of MDP follow it.  */
bool rp_dialect_is_native (const rp_frame_t *frames, uint32_t count);

/*  Reads a message in a dialect of MDP, of either version; it must not be native. Sets *foreign
    completely. Frames behind those of the command are ignored, as earlier brokers do.  */
void rp_dialect_read (rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  Reads a REQUEST from a plain listener's front. The listener, not the message, names the service;
    everything after the first empty frame is body.  */
void rp_dialect_read_plain_client (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  Reads a REPLY from a plain listener's back.  */
void rp_dialect_read_plain_worker (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  The frames that go before a body (and, to a client, behind its return envelope). Do not copy it:
    its frames point into it.  */
#define RP_PREFIX_FRAMES_MAX 6u
typedef struct {
    uint32_t count;
    /*  point into bytes, into static data, or into the head  */
    rp_frame_t frames[RP_PREFIX_FRAMES_MAX];
    uint8_t bytes[RP_WIRE_NAME_MAX + 32];
} rp_prefix_t;

/*  Writes a native head as a prefix for a foreign peer of this dialect and side. It uses the head's
    command; of a REPLY (to a client) name as the service and RP_FLAG_MORE as PARTIAL; of a REQUEST
    (to a worker) id as the token. False if the dialect has no word for the head (WELCOME, CREDIT,
    heartbeats to a client, PARTIAL in MDP 0.1 …): then send nothing.  */
bool rp_dialect_write (
  rp_prefix_t *prefix, rp_dialect_t dialect, bool worker, const rp_head_t *head);

/*  Names of dialects ("MDP 0.1"), and clauses for errors. Static.  */
const char *rp_dialect_name (rp_dialect_t dialect);
const char *rp_dialect_error_text (rp_dialect_error_t error);

#endif
