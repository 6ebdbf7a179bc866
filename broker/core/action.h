/*  Actions: what the core wants done, as a list that the core appends to and the shell carries out
    in order.

    SPDX-License-Identifier: MPL-2.0

    The shell owns the list and empties it between events. Texts and header blocks of messages that
    the broker makes lie in the list's own buffer, or are static; they are valid until the list is
    emptied.
*/

#ifndef RP_ACTION_H
#define RP_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/store_op.h"
#include "common/wire/head.h"
#include "common/wire/ids.h"

typedef struct rp_trace_ended rp_trace_ended_t;

/*  A message of the shell, which the core passes on without looking into it.  */
typedef struct rp_payload rp_payload_t;

typedef enum {
    RP_ACTION_ADMIT, /* the sender of this event has the session from now on */
    RP_ACTION_SEND,  /* send head (and payload) to the session; 0: to the sender of this event */
    /*  unbind the session, which is over; keep: messages to it may still go out  */
    RP_ACTION_UNBIND,
    RP_ACTION_ABORT, /* unbind the session and abort its connection */
    RP_ACTION_DROP,  /* free payload */
    RP_ACTION_JOIN,  /* append the body of other to payload, which the core keeps; free other */
    RP_ACTION_ADMIN, /* answer a request for one of the broker's own services (head, payload) */
    RP_ACTION_JOB, /* make a job of a durable request (head, payload), answer or CANCEL one about jobs */
    /*  a request with an idempotency key (head, payload), or CANCEL of one that the core does not have  */
    RP_ACTION_REPLAY,
    /*  a request for all workers of a service (head, payload), or CANCEL of one that the core does not have  */
    RP_ACTION_SURVEY,
    /*  log a line: level, topic, head's text; name and key: service and request-id, or NULL, each with
        a NUL behind it  */
    RP_ACTION_LOG,
    RP_ACTION_HISTORY, /* write a journal record: note, token */
    /*  a request whose trace is exported has ended: export it, and free it. NULL: it is not known, since
        there was no memory  */
    RP_ACTION_EXPORT,
    RP_ACTION_STOP, /* every session has its BYE: end the broker */
    /*  of broker/jobs, START and WITHDRAW of broker/replay and broker/survey too:  */
    RP_ACTION_STORE, /* submit op to the store; payload, its body, comes back with the result */
    RP_ACTION_START, /* give the core an attempt, as its trusted client: payload, and of head id, attempt,
                        attempts and deadline_ms; for broker/replay only id and deadline_ms; for broker/survey
                        they and session, the worker; keep: there are more with this payload */
    RP_ACTION_WITHDRAW, /* cancel the attempt with head's id */
    RP_ACTION_BAR,      /* … : tell the core that no rule allows the request with head's id */
    RP_ACTION_ROWS /* answer a question of session with the result of the store in hand: asked */
} rp_action_kind_t;

/*  Log topics. Each has its own rate limit.  */
typedef enum {
    RP_TOPIC_BROKER,
    RP_TOPIC_CLIENT,
    RP_TOPIC_WORKER,
    RP_TOPIC_LOST,
    RP_TOPIC_REFUSED,
    RP_TOPIC_BAD,
    RP_TOPIC_HANDSHAKE,
    RP_TOPIC_UNANSWERED,
    RP_TOPIC_DENIED,
    RP_TOPIC_COUNT
} rp_topic_t;

typedef enum { RP_LEVEL_ERROR, RP_LEVEL_WARNING, RP_LEVEL_INFO, RP_LEVEL_DEBUG } rp_level_t;

/*  Journal records. Of a session: it began, its window changed, it takes no new requests, it ended.
    Of a request, by its client's session and id: accepted or refused; given to a worker; never left
    the broker, or never began at its worker; its worker's reply taken; its worker's place given
    back; its final status. Of a reply: it came too late.  */
#define RP_RECORD_MAP(X)                                                                           \
    X (JOIN, "join")                                                                               \
    X (WINDOW, "window")                                                                           \
    X (DRAIN, "drain")                                                                             \
    X (LEAVE, "leave")                                                                             \
    X (ACCEPT, "accept")                                                                           \
    X (REFUSE, "refuse")                                                                           \
    X (DISPATCH, "dispatch")                                                                       \
    X (UNSENT, "unsent")                                                                           \
    X (ANSWER, "answer")                                                                           \
    X (FREE, "free")                                                                               \
    X (FINAL, "final")                                                                             \
    X (LATE, "late")

typedef enum {
#define RP_RECORD_ENUM(name, text) RP_RECORD_##name,
    RP_RECORD_MAP (RP_RECORD_ENUM)
#undef RP_RECORD_ENUM
} rp_record_kind_t;

/*  A field that does not apply is 0 or NULL.  */
typedef struct {
    rp_record_kind_t kind;
    uint8_t status;
    uint8_t attempt;
    uint8_t attempts;
    uint32_t window;
    uint64_t id;
    uint64_t conversation;
    int64_t deadline;
    rp_session_id_t worker;
    const char *name;
    const char *service;
    uint64_t parts; /* FINAL: of the reply, passed on before; and their bytes */
    uint64_t part_bytes;
    const char *principal; /* JOIN; valid during the call that appended the action */
} rp_record_t;

typedef struct {
    rp_action_kind_t kind;
    bool keep; /* SEND: the core keeps payload for another delivery, so send a shared copy */
    rp_level_t level;
    rp_topic_t topic;
    rp_session_id_t session;
    union {                      // keeps an action at 128 bytes, two cache lines
        rp_token_t token;        /* SEND of a REQUEST: comes back with RP_EVENT_UNSENT; HISTORY */
        rp_payload_t *other;     /* JOIN */
        rp_trace_ended_t *ended; /* EXPORT; one block of malloc */
        const char *principal;   /* JOB, once the shell has heard it; NULL: anonymous */
    };
    rp_payload_t *payload;
    union {
        /*  With a payload: the values that rp_wire_patch writes over its head. Without: the head to
            encode.  */
        rp_head_t head;
        rp_record_t note; /* HISTORY */
        rp_store_op_t op; /* STORE */
        struct {
            uint64_t id; /* of the client's request */
            int what;    /* rp_jobs_what_t */
        } asked;         /* ROWS */
    };
} rp_action_t;

#define RP_ACTIONS_TEXT 16384u

typedef struct {
    rp_action_t *list;
    size_t count;
    size_t capacity;
    size_t text_used;
    char text[RP_ACTIONS_TEXT];
} rp_actions_t;

void rp_actions_init (rp_actions_t *self);
void rp_actions_clear (rp_actions_t *self);

/*  Empties the list but keeps its memory.  */
static inline void rp_actions_reset (rp_actions_t *self)
{
    self->count = 0;
    self->text_used = 0;
}

/*  Appends an action with kind and session, otherwise zero. Out of memory ends the process: a
    broker that cannot state its decisions cannot go on. The list stops growing early in its
    life.  */
rp_action_t *rp_actions_add (rp_actions_t *self, rp_action_kind_t kind, rp_session_id_t session);

/*  Appends a DROP of a payload; nothing if it is NULL.  */
void rp_actions_drop (rp_actions_t *self, rp_payload_t *payload);

/*  Takes size bytes of the list's buffer; NULL when fewer are left.  */
void *rp_actions_room (rp_actions_t *self, size_t size);

/*  Formats a text into the list's buffer. The text is cut to RP_WIRE_TEXT_MAX and to what is left
    of the buffer; "" if nothing is.  */
const char *rp_actions_format (rp_actions_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  Appends a log line; text is already formatted. The line is valid until the next action.  */
rp_action_t *rp_actions_log (rp_actions_t *self,
  rp_level_t level,
  rp_topic_t topic,
  rp_session_id_t session,
  const char *text);

/*  Says which service a line of the log is about. The name is copied; without room in the buffer the
    line goes without it.  */
void rp_actions_log_service (
  rp_actions_t *self, rp_action_t *line, const char *service, size_t size);

/*  Says which request a line is about: its service, and the value of its header request-id.  */
void rp_actions_log_request (rp_actions_t *self, rp_action_t *line, const rp_head_t *request);

#endif
