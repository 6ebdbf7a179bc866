/*  The native protocol's head: the bytes before the body, as a pure codec.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, sections 3 (head) and 4 (commands). One layout serves every command:
    RP_WIRE_FIXED bytes in network byte order, then name, key, text and headers, whose sizes the
    fixed part states. The first frame of a message is the head, followed by the first body frame
    when RP_FLAG_INLINE is set.

    The fields that a broker changes in a message that it passes on (id, conversation, time, value,
    attempt, priority) have a fixed place and size: rp_wire_patch rewrites them in place, and the body is
    never copied.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_HEAD_H
#define RP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/limits.h"

#define RP_WIRE_SIGNATURE 0x5250u /* "RP" */
#define RP_WIRE_VERSION 1u
#define RP_WIRE_FIXED 48u

/*  The largest sizes of the head's variable parts, and of a whole head, in bytes.  */
#define RP_WIRE_NAME_MAX 127u
#define RP_WIRE_KEY_MAX 127u
#define RP_WIRE_TEXT_MAX 1024u
#define RP_WIRE_HEADERS_MAX 8192u
#define RP_WIRE_HEAD_MAX                                                                           \
    (RP_WIRE_FIXED + RP_WIRE_NAME_MAX + RP_WIRE_KEY_MAX + RP_WIRE_TEXT_MAX + RP_WIRE_HEADERS_MAX)

/*  Name and number; senders: c(lient), w(orker), b(roker); meaning.  */
#define RP_COMMAND_MAP(X)                                                                          \
    X (HELLO, 1)     /*  c w: role, version, heartbeat interval, window, name                   */ \
    X (WELCOME, 2)   /*  b:   the agreed interval, window and limits                            */ \
    X (REQUEST, 3)   /*  c b: a request to be answered                                          */ \
    X (REPLY, 4)     /*  w b: the final status of a request                                     */ \
    X (CANCEL, 5)    /*  c b: nobody waits for the request any more                             */ \
    X (CREDIT, 6)    /*  w:   a new window                                                      */ \
    X (HEARTBEAT, 7) /*  all: the sender is alive                                               */ \
    X (DRAIN, 8)     /*  all: the sender leaves: send it nothing new                            */ \
    X (BYE, 9)       /*  all: this session is over                                              */ \
    X (END, 10)      /*  c b: the conversation is over                                          */ \
    X (ACCEPTED, 11) /*  b:   the request is a job from now on, and on disk                     */ \
    X (PART, 12)     /*  c b: more of the body of a request                                     */ \
    X (GRANT, 13)    /*  all: how much of a body in parts its writer may have written           */

typedef enum {
#define RP_COMMAND_ENUM(name, number) RP_COMMAND_##name = number,
    RP_COMMAND_MAP (RP_COMMAND_ENUM)
#undef RP_COMMAND_ENUM
      RP_COMMAND_COUNT
} rp_command_t;

/*  Flags. A set bit that version 1 does not know is an error.  */
#define RP_FLAG_INLINE 0x0001u /* the first body frame follows the head in its frame */
#define RP_FLAG_WORKER 0x0002u /* HELLO: the sender is a worker; else a client */
#define RP_FLAG_OPEN 0x0004u   /* REQUEST: it may begin the conversation */
#define RP_FLAG_LAST 0x0008u   /* REPLY: the conversation ends with it */
#define RP_FLAG_TRACE 0x0010u  /* REQUEST: the worker adds its name to the reply */
#define RP_FLAG_MORE 0x0020u   /* REPLY, REQUEST, PART: more of this body follows */
#define RP_FLAG_BUNDLES                                                                            \
    0x0040u /* HELLO, WELCOME: the sender reads bundles (common/wire/bundle.h) */
#define RP_FLAG_DURABLE                                                                            \
    0x0080u /* REQUEST of a client: make it a job (docs/PROTOCOL.md, section 9) */
/*  REQUEST of a client: one execution for all with its idempotency key. REPLY to it: the result of another
    (docs/PROTOCOL.md, section 10).  */
#define RP_FLAG_KEYED 0x0100u
#define RP_FLAG_REPLAYED 0x0200u
/*  REQUEST: its client reads the reply in parts (docs/PROTOCOL.md, section 11).  */
#define RP_FLAG_STREAM 0x0400u
/*  REQUEST of a client: it may be given to a second worker when the first takes long (docs/PROTOCOL.md, section 12).  */
#define RP_FLAG_HEDGE 0x1000u
/*  REQUEST of a client: all workers of the service are to get it (docs/PROTOCOL.md, section 13).  */
#define RP_FLAG_ALL 0x0800u

/*  The value of lost in a worker's REPLY with WORKER_LOST: the request never began at this
    worker.  */
#define RP_LOST_UNBEGUN 1u
/*  Headers of a job's REQUEST: numbers in decimal, times in ms, instants in µs since 1970.  */
#define RP_JOB_KEY "idempotency-key"
#define RP_JOB_DURABLE "durable" /* its value is 1: for the worker, which does not see the flag */
#define RP_JOB_DELAY "job-delay"
#define RP_JOB_NOT_BEFORE "job-not-before"
#define RP_JOB_DEADLINE "job-deadline"
#define RP_JOB_BACKOFF "job-backoff"
#define RP_JOB_ATTEMPT "job-attempt"
#define RP_JOB_KEEP "job-keep"
#define RP_JOB_PRIORITY "job-priority"
/*  The header of ACCEPTED that says: the key has this job already. Its value is 1.  */
#define RP_JOB_REPLAYED "replayed"
/*  The header of WELCOME that says: this broker keeps jobs. Its value is 1.  */
#define RP_WELCOME_JOBS "jobs"
/*  The same: this broker remembers results by their keys.  */
#define RP_WELCOME_REPLAYS "replays"

/*  The same: REQUEST may state a priority.  */
#define RP_WELCOME_PRIORITIES "priorities"

/*  The header of WELCOME and of a worker's HELLO that says: this broker, this worker knows bodies in parts.
    Its value is 1.  */
#define RP_WELCOME_STREAMS "streams"
#define RP_HELLO_STREAMS "streams"
/*  A header of WELCOME: the largest number of bytes that may be granted beyond what was passed on.  */
#define RP_WELCOME_STREAM_WINDOW "stream-window"
/*  Headers of REQUEST with a body in parts, either way: bytes of the reply granted from the start, with STREAM; and
    the longest silence of both sides, ms, 0 or without it: none. In decimal.  */
#define RP_STREAM_WINDOW "stream-window"
#define RP_STREAM_IDLE "stream-idle"

/*  The same: REQUEST may ask for a hedge.  */
#define RP_WELCOME_HEDGING "hedging"
/*  The header of REQUEST that says when (common/wire/hedge.h).  */
#define RP_REQUEST_HEDGE "hedge"

/*  The same: REQUEST may be for all workers of a service.  */
#define RP_WELCOME_ALL "all"
/*  Headers of such a REQUEST: with how many OKs it ends, at most one of them; in decimal, 1 to RP_ALL_MOST. Without
    either it ends when all have.  */
#define RP_ALL_FIRST "all-first"
#define RP_ALL_QUORUM "all-quorum"
#define RP_ALL_MOST 65535u
/*  Headers of the REPLY that ends it: how many workers were asked, how many answered (OK, APP_ERROR), and what the
    requests to them ended with, as in "OK=2 WORKER_LOST=1".  */
#define RP_ALL_WORKERS "all-workers"
#define RP_ALL_ANSWERED "all-answered"
#define RP_ALL_STATUSES "all-statuses"
/*  The header of each answer that says whose it is.  */
#define RP_REPLY_WORKER "worker"

/*  The header of a worker's HELLO that says: this worker may send RP_LOST_UNBEGUN at any time.  */
#define RP_HELLO_DECLINES "declines"

/*  A decoded head. The pointers point into the decoded bytes (or, to encode, at bytes of the
    caller), are not NUL-terminated, and may be NULL when the size is 0.  */
typedef struct {
    uint8_t command;
    uint8_t status;  /* REPLY, BYE: an rp_status_t                                              */
    uint8_t attempt; /* REQUEST to a worker: 1, 2, …  REPLY: attempts made                      */
    uint8_t attempts; /* REQUEST: attempts allowed, 1 to RP_ATTEMPTS_MAX                         */
    uint8_t priority; /* REQUEST: 0 is none stated, otherwise the priority and 1 (RP_PRIORITY_…) */
    uint8_t name_size; /* REQUEST: service. HELLO of a worker: service                            */
    uint8_t key_size;  /* HELLO: the peer's name for people. REQUEST: reserved (idempotency), 0   */
    uint16_t flags;
    uint16_t text_size;
    uint16_t headers_size;
    union {
        uint32_t time;        /* the codec uses this name, all others one of the next             */
        uint32_t interval_ms; /* HELLO, WELCOME: between heartbeats. HEARTBEAT: until the next, or
                                 0: as agreed                                                     */
        uint32_t deadline_ms; /* REQUEST: time left until its deadline                            */
        uint32_t queue_us;    /* REPLY to a client: time in the queue                             */
        uint32_t takes_us;    /* CREDIT: time that one request takes in the worker                */
    };
    union {
        uint32_t value;    /* likewise                                                            */
        uint32_t window;   /* HELLO and CREDIT of a worker, WELCOME to it                         */
        uint32_t max_open; /* WELCOME to a client: requests it may have open at once              */
        uint32_t wait_ms;  /* REQUEST: how long to wait for a worker to appear                    */
        uint32_t work_us;  /* REPLY to a client: time from dispatch to reply                      */
        uint32_t lost;     /* REPLY of a worker with WORKER_LOST: RP_LOST_UNBEGUN, or 0           */
    };
    uint32_t code; /* REPLY: the application's number                                            */
    uint64_t id;   /* REQUEST, REPLY, CANCEL, PART, GRANT: the request                           */
    union {
        uint64_t conversation; /* REQUEST, END: 0 is none                                         */
        uint64_t
          job; /* ACCEPTED; REPLY to a client: it is the result of this job, or of this execution
                  with its key, 0: of the request */
        uint64_t granted; /* GRANT: bytes in all since the body began; 1 or more                  */
    };
    const char *name;
    const char *key;
    const char *text;
    const uint8_t *headers;
    uint32_t size; /* of the whole head; set by rp_wire_decode                                    */
} rp_head_t;

/*  What rp_wire_decode found wrong. The broker has a counter for each.  */
#define RP_WIRE_ERROR_MAP(X)                                                                       \
    X (NONE, "nothing")                                                                            \
    X (NOT_NATIVE, "not the signature of this protocol")                                           \
    X (VERSION, "a protocol version other than 1")                                                 \
    X (COMMAND, "an unknown command")                                                              \
    X (TRUNCATED, "a head shorter than it says")                                                   \
    X (SIZES, "sizes in the head that do not add up or are over their limit")                      \
    X (FLAGS, "a flag that this command does not have")                                            \
    X (FIELD, "a field that this command does not have, or a value out of its range")              \
    X (NAME, "a name that is missing, or has control characters")                                  \
    X (HEADERS, "a header block that is malformed")                                                \
    X (BUNDLE, "a bundle that does not add up, or was not agreed on")                              \
    X (FOREIGN, "not what its own protocol allows")

typedef enum {
#define RP_WIRE_ERROR_ENUM(name, text) RP_WIRE_ERROR_##name,
    RP_WIRE_ERROR_MAP (RP_WIRE_ERROR_ENUM)
#undef RP_WIRE_ERROR_ENUM
      RP_WIRE_ERROR_COUNT
} rp_wire_error_t;

/*  Decodes the head at the front of size bytes. Checks everything that does not depend on the
    sender: signature, version, command, sizes, which fields the command may carry, names and
    headers. On RP_WIRE_ERROR_NONE *head is complete; if RP_FLAG_INLINE is set, the first body frame
    is at data + head->size. On an error *head holds command and id, or 0 where they could not be
    read.  */
rp_wire_error_t rp_wire_decode (rp_head_t *head, const void *data, size_t size);

/*  Bytes that rp_wire_encode will write for this head.  */
static inline size_t rp_wire_size (const rp_head_t *head)
{
    return (size_t) RP_WIRE_FIXED + head->name_size + head->key_size + head->text_size
           + head->headers_size;
}

/*  The priority of a request, 0 to RP_PRIORITY_MAX; and how a head states it.  */
static inline unsigned rp_wire_priority (const rp_head_t *head)
{
    return (head->priority ? head->priority : RP_PRIORITY_DEFAULT + 1) - 1;
}

static inline uint8_t rp_wire_stated_priority (unsigned priority)
{
    return (uint8_t) (priority == RP_PRIORITY_DEFAULT ? 0 : priority + 1);
}

/*  What a part takes of a grant, bytes. size: of its body and headers.  */
static inline uint64_t rp_wire_part_cost (uint64_t size)
{
    return size + RP_PART_COST;
}

/*  Encodes a head, which must be one that rp_wire_decode accepts, into at least rp_wire_size bytes.
    Returns the bytes written; 0 when capacity is too small.  */
size_t rp_wire_encode (const rp_head_t *head, void *data, size_t capacity);

/*  Returns the size that an encoded head states; data has at least RP_WIRE_FIXED bytes.  */
size_t rp_wire_head_size (const void *data);

/*  Rewrites id, conversation, time, value, status, attempt, attempts, priority and flags of an encoded
    head in place. data holds a head that was decoded before.  */
void rp_wire_patch (void *data, const rp_head_t *head);

/*  Returns a static string such as "HELLO"; "?" for an unknown number.  */
const char *rp_command_name (int command);

/*  Returns a clause for people, a static string.  */
const char *rp_wire_error_text (rp_wire_error_t error);

#endif
