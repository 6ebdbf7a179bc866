/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#include <zmq.h>

/*  Sockets at once: three per connection. The default, 1,023, is too few for a load program.  */
#define S_SOCKETS 30000

/*  zmq.h names this option in its draft part only; libzmq (4.3.4) takes it without drafts too.  */
#ifndef ZMQ_ZERO_COPY_RECV
#define ZMQ_ZERO_COPY_RECV 10
#endif

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t s_once = PTHREAD_ONCE_INIT;
static void *s_context;
static size_t s_shares;
static pid_t s_process;

void *rp_context_new (void)
{
    void *context = zmq_ctx_new ();
    // A libzmq without this option is slower, but works.
    if (context)
        zmq_ctx_set (context, ZMQ_ZERO_COPY_RECV, 0);
    return context;
}

static void s_before_fork (void)
{
    pthread_mutex_lock (&s_lock);
}

static void s_after_fork (void)
{
    pthread_mutex_unlock (&s_lock);
}

/*  In a child of fork(), the lock must not be held by a thread that does not exist there.  */
static void s_guard_forks (void)
{
    pthread_atfork (
      s_before_fork, s_after_fork, s_after_fork); // if this fails, only that protection is missing
}

void *rp_context_acquire (void)
{
    pthread_once (&s_once, s_guard_forks);
    pthread_mutex_lock (&s_lock);
    if (!s_context || s_process != getpid ()) {
        s_context = zmq_ctx_new ();
        s_process = getpid ();
        s_shares = 0;
        if (s_context) {
            zmq_ctx_set (s_context, ZMQ_BLOCKY, 0);
            zmq_ctx_set (s_context, ZMQ_MAX_SOCKETS, S_SOCKETS);
        }
    }
    if (s_context)
        s_shares++;
    void *context = s_context;
    pthread_mutex_unlock (&s_lock);
    return context;
}

void rp_context_release (void *context)
{
    if (!context)
        return;
    pthread_mutex_lock (&s_lock);
    // A child does not count its parent's shares: the threads that could end that context are not
    // there.
    bool last = context == s_context && s_process == getpid () && --s_shares == 0;
    if (last)
        s_context = NULL;
    pthread_mutex_unlock (&s_lock);
    if (last)
        while (zmq_ctx_term (context) != 0 && errno == EINTR)
            ;
}
