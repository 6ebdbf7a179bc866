/*  Dialects: what the protocols of others say, as a pure codec.

    SPDX-License-Identifier: MPL-2.0

    Foreign peers are peers that do not speak Riposte's own protocol. What they say is read into the
    terms of that protocol (READY is HELLO, DISCONNECT is BYE, PARTIAL is REPLY with RP_FLAG_MORE),
    and what is to be said to them is written from a native head. Who they are is not decided here:
    that is the session's, and the core does not know which dialect a session speaks.

    Frames are those after the routing id that a ROUTER puts before a message. A body passes through
    frame by frame; this codec says only where it begins.

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

/*  name, text for people. MAJORTOMO has the leading empty frame too, and its replies do not name
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

/*  name, sentence for people: what the peer sent was …  */
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

/*  What a foreign peer said. On an error, dialect and worker say what was understood of its kind
    (NATIVE: nothing was), so that it can be answered in its own terms.  */
typedef struct {
    rp_dialect_error_t error;
    rp_dialect_t dialect;
    bool worker;      /* the sender's side */
    uint8_t command;  /* rp_command_t: HELLO, REQUEST, REPLY, HEARTBEAT or BYE; 0 on an error */
    bool more;        /* REPLY: a PARTIAL; its FINAL follows */
    const char *name; /* HELLO, REQUEST: the service; points into a frame, not NUL-terminated */
    uint8_t name_size;
    uint64_t token;    /* REPLY: what rp_dialect_write gave as the client's address; 0: not one of
                          those, which names no request */
    uint32_t envelope; /* REQUEST: frames 0 … envelope - 1 are the return envelope */
    uint32_t body; /* REQUEST, REPLY: number of the first body frame, of which there is at least one
                          (in PACKED and in MDP replies alike), but for a REQUEST to the broker's
                          own services: body may be the number of frames then */
} rp_foreign_message_t;

/*  True if a message on the port that speaks all protocols is a native one, good or bad. The
    signature alone does not say so: the number with which a REQ socket marks a request
    (ZMQ_REQ_CORRELATE), or a routing id that a proxy has put into an envelope, may begin with the
    same two bytes. Only such a frame of 48 bytes or more is taken for a head.  */
bool rp_dialect_is_native (const rp_frame_t *frames, uint32_t count);

/*  Reads a message on the port that speaks MDP, both versions, and their dialects. frames does not
    hold a native message. Sets *foreign peer completely.

    Frames behind those that a command has are ignored, as by every earlier broker.  */
void rp_dialect_read (rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  Reads a message on a plain frontend: a REQUEST without a name (the listener knows it).
    Everything after the first empty frame is body.  */
void rp_dialect_read_plain_client (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  Reads a message on a plain backend: a REPLY.  */
void rp_dialect_read_plain_worker (
  rp_foreign_message_t *foreign, const rp_frame_t *frames, uint32_t count);

/*  The frames that go before a body (and, to a client, after its return envelope). Not to be
    copied: its frames point into it.  */
#define RP_PREFIX_FRAMES_MAX 6u
typedef struct {
    uint32_t count;
    rp_frame_t frames[RP_PREFIX_FRAMES_MAX]; /* in bytes, or static, or in head */
    uint8_t bytes[RP_WIRE_NAME_MAX + 32];
} rp_prefix_t;

/*  Writes what a native head says, for a foreign peer of this dialect on this side. Of the head:
    command; for REPLY (to a client) name is the service, RP_FLAG_MORE says PARTIAL; for REQUEST (to
    a worker) id is the token. False if the dialect has no word for it (WELCOME, CREDIT, heartbeats
    to a client, PARTIAL in MDP 0.1 …): then nothing is to be sent.  */
bool rp_dialect_write (
  rp_prefix_t *prefix, rp_dialect_t dialect, bool worker, const rp_head_t *head);

/*  "MDP 0.1" and the like, and a clause for an error. Static.  */
const char *rp_dialect_name (rp_dialect_t dialect);
const char *rp_dialect_error_text (rp_dialect_error_t error);

#endif
