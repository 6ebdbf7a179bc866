/*  Makes libzmq contexts, among them the one that all clients and workers of a process share.

    SPDX-License-Identifier: MPL-2.0

    A context has two threads of its own. A program with a hundred clients would have two hundred of
    them, which would spend their time waking each other; so there is one context, made with the
    first client or worker and ended with the last. It is the only global state of the library.

    After fork(), a child makes a context of its own, because its parent's threads do not exist in
    it. Releasing a share of the parent's context changes nothing there.

    Thread-safety: any thread.
*/

#ifndef RP_CONTEXT_H
#define RP_CONTEXT_H

/*  Makes a context for a program that keeps many messages or has many connections: its sockets copy
    received messages into memory of their own. By default libzmq leaves messages in the 8 KiB that
    it read, and takes new 8 KiB for the next read: each stays as long as one of its messages is
    kept, and costs a page for each connection that sent more than 33 bytes. zmq_ctx_term ends the
    context. NULL with errno (EMFILE, ENOMEM).  */
void *rp_context_new (void);

/*  Takes a share of the shared context, which has libzmq's default for received messages. NULL with
    errno (EMFILE, ENOMEM).  */
void *rp_context_acquire (void);

/*  Gives a share back, after its sockets were closed. Giving back the last share waits until these
    sockets have sent what their linger allows.  */
void rp_context_release (void *context);

#endif
