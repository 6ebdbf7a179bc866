/*  libzmq contexts as Riposte wants them, and the one that all clients and workers of a process
    share.

    SPDX-License-Identifier: MPL-2.0

    A context brings two threads of its own. A program with a hundred clients would have two hundred
    of them, and they would spend their time waking each other; so there is one context, made with
    the first client or worker and ended with the last. It is the one piece of global state of the
    library.

    After fork(), a child gets a context of its own: its parent's threads are not in it. What it
    gives back of its parent's stays as it is.

    Thread-safety: any thread.
*/

#ifndef RP_CONTEXT_H
#define RP_CONTEXT_H

/*  A context for who keeps many messages, or has many connections: its sockets copy what they
    receive into memory of its own. zmq_ctx_term ends it. By itself libzmq lets messages lie in the
    8 KiB that it read, and takes new 8 KiB for the next: those stay as long as one message of them
    waits, and cost a page for each connection that said more than 33 bytes. NULL with errno
    (EMFILE, ENOMEM).  */
void *rp_context_new (void);

/*  Takes a share of the context that all share, which is as libzmq makes it. NULL with errno
    (EMFILE, ENOMEM).  */
void *rp_context_acquire (void);

/*  Gives a share back, after the sockets that were made with it were closed; the last one waits
    until they have flushed what their linger allows.  */
void rp_context_release (void *context);

#endif
