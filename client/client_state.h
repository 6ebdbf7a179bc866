/*  What the files of the client library share: the objects behind the public handles.

    SPDX-License-Identifier: MPL-2.0

    client.c makes, sets and serves a client; client_turn.c moves messages between core and channel;
    call.c builds requests; reply.c reads replies; conversation.c; explain.c writes to people.
    Everything in rp_client_t but what is marked is guarded by the pump's lock.
*/

#ifndef RP_CLIENT_STATE_H
#define RP_CLIENT_STATE_H

#include <stdatomic.h>

#include <riposte/client.h>

#include "client/client_core.h"
#include "common/io/channel.h"
#include "common/io/message.h"
#include "common/io/pump.h"

/*  Endpoints in one list: more is a mistake.  */
#define RP_CLIENT_ENDPOINTS_MAX 16u
/*  How long a connection that is being closed may take to pass on BYE, ms.  */
#define RP_CLIENT_LINGER_MS 200
/*  An application that submits again within this time, with results at hand, is in a loop that will
    soon submit more, µs. A slower one gains nothing from waiting.  */
#define RP_CLIENT_BUSY_US 50
/*  Bytes of requests that wait for others at most: enough that each costs little.  */
#define RP_CLIENT_OUTBOX 16384u

struct rp_reply {
    rp_status_t status;
    uint32_t code;
    uint32_t attempts;
    uint32_t queue_us;
    uint32_t work_us;
    uint64_t id;
    uint64_t total_us;
    void *tag;
    const void *body;
    size_t size;
    const char *text;    /* NULL: none; in the first frame, or own_text */
    const char *headers; /* in the first frame: key NUL value NUL and one byte, for each */
    size_t headers_size;
    unsigned frames; /* of first and second, in use */
    char *own_text;  /* from malloc, or NULL */
    char *joined;    /* a body of several frames, as one, or a frame that lay in a bundle; from
                              malloc, or NULL */
    zmq_msg_t first; /* what text, headers and body point into, unless that is joined or the
                              call's data; from here on not zeroed for each call */
    zmq_msg_t second;
};

/*  A call holds the reply to come, so that a request that was accepted always gets one.  */
struct rp_call {
    rp_exchange_t exchange; /* first: the core knows a call by it */
    rp_list_node_t node;    /* ended, in the list for collect or for callbacks */
    rp_conversation_t *conversation;
    rp_callback_fn *callback;
    void *arg;
    void *tag;
    uint8_t *headers; /* block; NULL until the first */
    uint16_t headers_size;
    uint8_t name_size;
    bool awaited;    /* a thread waits for this one */
    bool done;       /* it need not any longer */
    size_t capacity; /* of data */
    rp_reply_t reply;
    zmq_msg_t
      large; /* a body over RP_INLINE_MAX, while it may have to be sent; otherwise not in use */
    char data
      []; /* the service's name, then a body of up to RP_INLINE_MAX bytes; once the call has ended,
                    a small reply's frame */
};

/*  Room in a call beside what the request takes: for the head of a reply.  */
#define RP_CALL_SPARE 64u

struct rp_conversation {
    rp_client_t *client;
    rp_client_conversation_t conversation;
    atomic_uint references; /* the owner's, and one of each call; not guarded by the lock */
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
    void *context;
    rp_pump_t *pump;

    rp_channel_t *channel;
    rp_message_pool_t messages;
    rp_client_core_t core;
    rp_list_t ended;     /* for collect, in the order in which they ended */
    rp_list_t callbacks; /* to be run */
    size_t uncollected;  /* submitted for collect, and not collected */
    int event_fd;        /* -1 until asked for; readable while ended is not empty */
    size_t undelivered;  /* in callbacks, and the one whose callback runs */
    bool delivering;     /* a callback runs */
    int64_t pushed;      /* when a request was submitted last */
};

/*  With the lock held: sends what the core has ordered. more: the application has results to
    collect, and is likely to submit again at once; while it does, what is small waits for what
    follows it, and whoever turns next sends it at the latest. True if the socket was used.  */
bool rp_client_push (rp_client_t *self, bool more, int64_t now);

/*  The pump's owner functions.  */
int64_t rp_client_turn (void *owner, int64_t now);
int rp_client_descriptors (void *owner, int *descriptors);
void rp_client_deliver (void *owner);

/*  Completes the head of a request. Returns the bytes of its one frame; 0 if it has more.  */
size_t rp_call_prepare (const rp_call_t *self, rp_head_t *head);
/*  Writes its first frame.  */
void rp_call_write (const rp_call_t *self, const rp_head_t *head, uint8_t *at);
/*  Its message. NULL when out of memory.  */
rp_message_t *rp_call_message (rp_call_t *self, const rp_head_t *head, rp_message_pool_t *messages);
/*  That was sent: what will not be sent again need not be kept.  */
void rp_call_sent (rp_call_t *self);

/*  Frees a call, whatever state it is in short of open.  */
void rp_call_free (rp_call_t *self);

/*  A call that ended becomes its reply: what it held of the request is freed.  */
rp_reply_t *rp_call_become_reply (rp_call_t *self);

void rp_reply_init (rp_reply_t *self);
/*  Frees what a reply holds.  */
void rp_reply_release (rp_reply_t *self);

/*  Copies the one frame of a REPLY whose head was decoded from it: where the request was, which is
    not needed any more, if it fits there. False when out of memory.  */
bool rp_reply_copy (rp_reply_t *self, const uint8_t *frame, size_t size, const rp_head_t *head);

/*  Takes the frames of a REPLY whose head was decoded from them. False when out of memory, and
    nothing was taken.  */
bool rp_reply_fill (rp_reply_t *self, rp_message_t *message, const rp_head_t *head);

void rp_conversation_release (rp_conversation_t *self);

/*  What goes wrong with the connection, for people; "" if nothing does.  */
const char *rp_explain_trouble (const rp_client_core_t *core);

/*  What to say of a call that the library itself ended; from malloc, NULL when out of memory.  */
char *rp_explain_end (const rp_client_core_t *core, const rp_call_t *call);

/*  What to say of a status when the broker said nothing. Static.  */
const char *rp_explain_status (rp_status_t status);

#endif
