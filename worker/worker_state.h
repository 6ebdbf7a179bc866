/*  What the files of the worker library share: the objects behind the public handles.

    SPDX-License-Identifier: MPL-2.0

    worker.c creates, configures and destroys a worker; serve.c hands tasks to the application's
    threads; stream.c has the functions for bodies in parts; task.c has the functions with which they read a task, answer.c those with which they
    end it; worker_turn.c moves messages between the core and the channels. The pump's lock guards
    everything in rp_worker_t but what is marked.
*/

#ifndef RP_WORKER_STATE_H
#define RP_WORKER_STATE_H

#include <pthread.h>
#include <semaphore.h>

#include <riposte/worker.h>

#include "common/io/channel.h"
#include "common/io/curve.h"
#include "common/io/message.h"
#include "common/io/part.h"
#include "common/io/pump.h"
#include "worker/worker_core.h"

/*  Brokers one worker serves at once; each takes two of the pump's descriptors. A name of SRV records counts as one.  */
#define RP_WORKER_ENDPOINTS_MAX 16u
/*  How long a closing connection may take to pass on its last replies, ms.  */
#define RP_WORKER_LINGER_MS 1000
/*  µs. An application that answers twice within this time, with more tasks at hand, will soon
    answer again, so its reply waits for the next.  */
#define RP_WORKER_BUSY_US 50
/*  The most bytes of replies that wait for others.  */
#define RP_WORKER_OUTBOX 16384u

/*  What a signal handler or another thread asked for.  */
typedef enum {
    RP_WORKER_COMMAND_NONE,
    RP_WORKER_COMMAND_DRAIN,
    RP_WORKER_COMMAND_STOP,
} rp_worker_command_t;

/*  What a task has for bodies in parts; most have none.  */
typedef struct {
    rp_work_stream_t flows;
    rp_list_t parts;    /* of the request, that came and were not read */
    rp_part_t *reading; /* the part that the application has */
    char *kept;         /* parts of the reply, for a client that reads none */
    size_t kept_size;
    size_t kept_capacity;
} rp_task_stream_t;

struct rp_task {
    rp_work_t work; /* first, so that the core's pointer is the task's */
    rp_worker_t *worker;
    rp_task_t *next_free;
    rp_message_t *message; /* NULL if it came in a bundle: then copy has it */
    uint8_t *copy;         /* copy_size bytes; kept for the next request */
    size_t copy_size;
    uint64_t id;
    uint64_t conversation; /* ours */
    const void *body;      /* the part in the head's frame; all of it after rp_task_join */
    size_t size;
    void *joined;  /* body of several frames, as one; NULL if it was one */
    char *headers; /* in the message or the copy, made strings */
    size_t headers_size;
    rp_task_stream_t *stream; /* NULL: none */
    uint8_t *reply_headers;   /* NULL until the first; RP_WIRE_HEADERS_MAX bytes */
    size_t reply_headers_size;
    uint8_t attempt;
    bool trace;
    bool last;
};

/*  One handler thread of rp_worker_run. Guarded by the lock, except thread.  */
typedef struct {
    struct rp_crew *crew;
    pthread_t thread;
    uint64_t task; /* id of the task whose handler has not returned; 0: none */
    int64_t since;
    bool ended;
    bool left; /* left behind: not joined */
} rp_hand_t;

/*  The handler threads of one rp_worker_run, which waits for them up to a limit.  */
typedef struct rp_crew {
    rp_worker_t *worker;
    rp_handler_fn *handler;
    void *arg;
    sem_t bell;       /* a thread has ended, or it is time to give up */
    uint32_t count;   /* hands that were started */
    uint32_t running; /* that have not ended */
    uint32_t left;    /* left behind; the last one frees the crew */
    int status;       /* why they end */
    rp_hand_t hands[];
} rp_crew_t;

struct rp_worker {
    /*  Set before the first run or receive, constant from then on.  */
    char *endpoint_text;
    const char *endpoints[RP_WORKER_ENDPOINTS_MAX];
    char service[RP_WIRE_NAME_MAX + 1];
    char name[RP_PEER_NAME_MAX + 1];
    rp_worker_config_t config;
    uint32_t threads;
    bool interruptible;
    uint32_t ready; /* as the application said last */
    rp_conversation_end_fn *on_end;
    void *on_end_arg;
    rp_worker_notice_fn *on_notice;
    void *on_notice_arg;
    rp_curve_t keys;
    rp_pump_t *pump;

    atomic_int command; /* rp_worker_command_t; written by anyone */

    bool started;
    bool runs;            /* rp_worker_run; otherwise rp_worker_receive */
    rp_crew_t *crew;      /* inside rp_worker_run */
    uint32_t left_behind; /* handler threads that rp_worker_run did not wait for */
    bool abandoned;       /* destroyed with threads left behind: the last one frees it */
    bool signalled;
    int event_fd; /* -1 until asked for */
    void *context;
    rp_channel_t *channels[RP_WORKER_ENDPOINTS_MAX];
    rp_srv_t records; /* that a channel has just found */
    rp_worker_core_t core;
    rp_message_pool_t messages;
    rp_task_t *free_tasks;
    bool flowed;        /* a part or a grant came since the last turn */
    uint32_t streaming; /* threads that wait for parts or grants */
    uint64_t last_id;
    uint64_t random;
    int64_t now;      /* of the last turn */
    int64_t answered; /* when the application answered a task last */
};

/*  The pump's owner functions.  */
int64_t rp_worker_turn (void *owner, int64_t now);
int rp_worker_descriptors (void *owner, int *descriptors);

/*  With the lock held: carries out the core's orders.  */
void rp_worker_obey (rp_worker_t *self);

/*  With the lock held: sends what waits in a session's outbox, unless another reply is likely to
    follow at once: then the next turn sends it at the latest. True if the socket was used.  */
bool rp_worker_push (rp_worker_t *self, uint32_t session);

/*  With the lock held: sends a part at once. The session is lost if that fails.  */
void rp_worker_send_part (
  rp_worker_t *self, uint32_t session, rp_head_t *head, const void *data, size_t size);

/*  With the lock held: sends a message over a session, and takes it. The session is lost if that
    fails, or if there was no memory for the message (NULL).  */
void rp_worker_send (rp_worker_t *self, uint32_t session, rp_message_t **message_p);

/*  Gives a task what it needs for bodies in parts, unless it has it. False when out of memory. Needs no lock if
    the task is the caller's.  */
bool rp_task_need_stream (rp_task_t *self);

/*  With the lock held: puts an ended task into the list of free ones.  */
void rp_task_free (rp_task_t **self_p);

/*  Joins the frames of a task's body. False when out of memory. Needs no lock.  */
bool rp_task_join_frames (rp_task_t *self);

/*  The same, before the application gets a task; most are one frame.  */
static inline bool rp_task_join (rp_task_t *self)
{
    return !self->message || self->message->count == 1 || rp_task_join_frames (self);
}

#endif
