/*  The objects behind the public handles, shared by the files of the client library.

    SPDX-License-Identifier: MPL-2.0

    client.c creates, configures and serves a client; client_turn.c moves messages between core and
    channel; call.c builds requests; stream.c has requests whose bodies come in parts, or which all
    workers answer; all.c says of requests that they are for all; job.c sends durable ones and asks for their results; reply.c
    reads replies; conversation.c holds conversations; explain.c writes messages for people.

    Thread-safety: the pump's lock guards rp_client_t, except where a comment says otherwise.
*/

#ifndef RP_CLIENT_STATE_H
#define RP_CLIENT_STATE_H

#include <stdatomic.h>

#include <riposte/client.h>

#include "client/client_core.h"
#include "common/io/channel.h"
#include "common/io/curve.h"
#include "common/io/message.h"
#include "common/io/part.h"
#include "common/io/pump.h"

/*  Endpoints in one list; more are a mistake.  */
#define RP_CLIENT_ENDPOINTS_MAX 16u
/*  How long a connection that is being closed may take to send BYE, ms.  */
#define RP_CLIENT_LINGER_MS 200
/*  An application that submits again within this time, while results wait to be collected, will
    soon submit more, µs. A slower application gains nothing from waiting.  */
#define RP_CLIENT_BUSY_US 50
/*  Attempts of a job without a number of its own.  */
#define RP_JOB_ATTEMPTS 5u
/*  Bytes of requests that wait to be sent together, at most: with these, each costs little.  */
#define RP_CLIENT_OUTBOX 16384u

struct rp_reply {
    rp_status_t status;
    uint32_t code;
    uint32_t attempts;
    uint32_t queue_us;
    uint32_t work_us;
    uint64_t id;
    uint64_t job; /* the job that ACCEPTED named, or whose result this is; 0: none */
    uint64_t total_us;
    void *tag;
    const void *body;
    size_t size;
    const char *text;    /* in the first frame or own_text; NULL: none */
    const char *headers; /* in the first frame; for each: key NUL value NUL and one unused byte */
    size_t headers_size;
    unsigned frames; /* how many of first and second are in use */
    char *own_text;  /* from malloc, or NULL */
    char *joined;    /* a body of several frames, or a copied frame; from malloc, or NULL */
    zmq_msg_t
      first; /* text, headers and body point here, or into joined or the call's data. Not zeroed
                        for each call, nor is any later member */
    zmq_msg_t second;
};

/*  A call contains its reply, so that an accepted request always gets one.  */
struct rp_call {
    rp_exchange_t exchange; /* must be first: the core's pointer to it is cast to the call */
    rp_list_node_t node;    /* once ended: in the list for collect or for callbacks */
    rp_conversation_t *conversation;
    rp_callback_fn *callback;
    void *arg;
    void *tag;
    uint8_t *headers; /* a block of headers; NULL: none */
    uint16_t headers_size;
    uint8_t name_size;
    bool streams;    /* only to be submitted as a stream */
    bool more;       /* more of its body follows */
    uint32_t window; /* of a stream; 0: the default */
    bool awaited;    /* a thread waits for this call, or a stream has it */
    bool done;       /* that thread's wait is over */
    size_t capacity; /* bytes of data */
    rp_list_t
      answers; /* of all workers, that came and were not read: calls of which only the reply is in use */
    rp_reply_t reply;
    zmq_msg_t large; /* a body over RP_INLINE_MAX, while it may have to be sent; otherwise unused */
    /*  The service's name, then a body of up to RP_INLINE_MAX bytes; after the end, the frame of a
        small reply.  */
    char data[];
};

/*  Bytes in a call beyond those of the request: room for the head of a reply.  */
#define RP_CALL_SPARE 64u

/*  A stream has its call until both are freed.  */
struct rp_stream {
    rp_exchange_stream_t flows; /* first: the core's pointer to it is cast to the stream */
    rp_client_t *client;
    rp_call_t *call;
    rp_list_t parts;    /* that came and were not read */
    rp_part_t *reading; /* the part that the application has */
    uint64_t stated;    /* the window in the call's headers */
    int event_fd;       /* -1 until rp_stream_fd */
    bool lost;          /* there was no memory for a part */
    bool excess;        /* a part came that was not granted: it and those behind it are dropped */
    bool finished;      /* the body of the reply was read */
};

struct rp_conversation {
    rp_client_t *client;
    rp_client_conversation_t conversation;
    atomic_uint references; /* the owner's, and one for each call; not guarded by the lock */
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1];
};

struct rp_client {
    /*  Constant from the first submit or connect on.  */
    char *endpoint_text;
    const char *endpoints[RP_CLIENT_ENDPOINTS_MAX];
    char name[RP_PEER_NAME_MAX + 1];
    uint32_t timeout_ms;
    uint8_t attempts;
    bool interruptible;
    rp_curve_t keys;
    void *context;
    rp_pump_t *pump;

    rp_channel_t *channel;
    rp_message_pool_t messages;
    rp_client_core_t core;
    rp_list_t ended;     /* for collect, in the order of their ends */
    rp_list_t callbacks; /* calls whose callback has to run */
    size_t uncollected;  /* submitted for collect and not collected */
    int event_fd;        /* readable while ended is not empty; -1 until rp_client_fd */
    size_t undelivered;  /* callbacks that have to run or are running */
    bool delivering;     /* a callback is running */
    int64_t pushed;      /* time of the last submit */
    bool holds;          /* from rp_client_hold to rp_client_flush */
};

/*  With the lock held: sends the core's orders. more: results wait to be collected, so the
    application will probably submit again at once; small requests then wait for the next ones, and
    the next turn sends them at the latest. True if the socket was used.  */
bool rp_client_push (rp_client_t *self, bool more, int64_t now);

/*  With the lock held: gives a call to the core. awaited: by a thread, or by a stream. Returns as
    rp_client_submit.  */
int rp_client_accept (rp_client_t *self, rp_call_t *call, bool awaited, int64_t now);

/*  With the lock held: waits. True if a signal came that has to end the wait.  */
bool rp_client_wait_on (rp_client_t *self, const void *subject, int64_t until);

/*  The pump's owner functions.  */
int64_t rp_client_turn (void *owner, int64_t now);
int rp_client_descriptors (void *owner, int *descriptors);
void rp_client_deliver (void *owner);

/*  Completes the head of a request. Returns the bytes of its frame; 0 if it has several frames.  */
size_t rp_call_prepare (const rp_call_t *self, rp_head_t *head);
/*  Writes the first frame of the request, of this size.  */
void rp_call_write (const rp_call_t *self, const rp_head_t *head, uint8_t *at, size_t size);
/*  Makes the message of the request. NULL when out of memory.  */
rp_message_t *rp_call_message (rp_call_t *self, const rp_head_t *head, rp_message_pool_t *messages);
/*  The request was sent: frees what is needed only to send it, if it will not be sent again.  */
void rp_call_sent (rp_call_t *self);

/*  Sets a header, in the place of one with the same key. Returns as rp_call_add_header.  */
int rp_call_put_header (rp_call_t *self, const char *key, const char *value);
int rp_call_put_number (rp_call_t *self, const char *key, uint64_t value);

/*  With the lock held: takes an answer of a worker to a call for all. False when out of memory.  */
bool rp_answer_take (rp_call_t *call,
  const uint8_t *frame,
  size_t size,
  const rp_head_t *head,
  rp_message_t *message,
  int64_t now);

/*  Frees a call that is not open.  */
void rp_call_free (rp_call_t *self);

/*  Turns an ended call into its reply, and frees what only the request needed.  */
rp_reply_t *rp_call_become_reply (rp_call_t *self);

void rp_reply_init (rp_reply_t *self);
/*  Frees what a reply owns.  */
void rp_reply_release (rp_reply_t *self);

/*  Copies the only frame of a REPLY, whose head was decoded from it; into the memory of the
    request, which is no longer needed, if it fits there. False when out of memory.  */
bool rp_reply_copy (rp_reply_t *self, const uint8_t *frame, size_t size, const rp_head_t *head);

/*  Takes the frames of a REPLY, whose head was decoded from them. False when out of memory, and no
    frame was taken.  */
bool rp_reply_fill (rp_reply_t *self, rp_message_t *message, const rp_head_t *head);

void rp_conversation_release (rp_conversation_t *self);

/*  Returns what is wrong with the connection, for people; "" if nothing is.  */
const char *rp_explain_trouble (const rp_client_core_t *core);

/*  Returns the message for a call that the library itself ended; from malloc, NULL when out of
    memory.  */
char *rp_explain_end (const rp_client_core_t *core, const rp_call_t *call);

/*  Says how a stream ended whose broker did not keep to its grant.  */
const char *rp_explain_excess (void);

/*  Returns the message for a status that came without a text from the broker. Static.  */
const char *rp_explain_status (rp_status_t status);

#endif
