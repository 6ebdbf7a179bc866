/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/backlog.h"

#include <stdlib.h>

/*  The owner counts as one byte, so that the last byte taken off, by any thread, frees the
    backlog.  */
struct rp_backlog {
    atomic_size_t bytes;
    rp_backlog_total_t *total;
};

/*  The frame as it was before libzmq got it. libzmq hands it from thread to thread and orders that; the thread
    sanitizer does not see into libzmq, so backlog, written last and read first, orders it once more.  */
typedef struct {
    zmq_msg_t frame;
    size_t bytes;
    _Atomic (rp_backlog_t *) backlog;
} s_entry_t;

rp_backlog_t *rp_backlog_new (rp_backlog_total_t *total)
{
    rp_backlog_t *self = malloc (sizeof *self);
    if (!self)
        return NULL;
    atomic_init (&self->bytes, 1);
    self->total = total;
    return self;
}

static void s_take (rp_backlog_t *self, size_t bytes)
{
    if (atomic_fetch_sub_explicit (&self->bytes, bytes, memory_order_acq_rel) == bytes)
        free (self);
}

void rp_backlog_destroy (rp_backlog_t **self_p)
{
    if (*self_p)
        s_take (*self_p, 1);
    *self_p = NULL;
}

size_t rp_backlog_bytes (const rp_backlog_t *self)
{
    return atomic_load_explicit (&self->bytes, memory_order_relaxed) - 1;
}

static void s_done (void *data, void *hint)
{
    (void) data;
    s_entry_t *entry = hint;
    rp_backlog_t *backlog = atomic_load_explicit (&entry->backlog, memory_order_acquire);
    atomic_fetch_sub_explicit (backlog->total, entry->bytes, memory_order_relaxed);
    s_take (backlog, entry->bytes);
    zmq_msg_close (&entry->frame);
    free (entry);
}

bool rp_backlog_add (rp_backlog_t *self, zmq_msg_t *last, size_t bytes)
{
    s_entry_t *entry = malloc (sizeof *entry);
    if (!entry)
        return false;
    entry->bytes = bytes;
    zmq_msg_init (&entry->frame);
    zmq_msg_move (&entry->frame, last);
    atomic_store_explicit (&entry->backlog, self, memory_order_release);
    // Short frames lie in the zmq_msg_t itself, so the data given to libzmq is the entry's.
    zmq_msg_t made;
    size_t size = zmq_msg_size (&entry->frame);
    if (zmq_msg_init_data (&made, zmq_msg_data (&entry->frame), size, s_done, entry) != 0) {
        zmq_msg_move (last, &entry->frame);
        zmq_msg_close (&entry->frame);
        free (entry);
        return false;
    }
    atomic_fetch_add_explicit (&self->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit (self->total, bytes, memory_order_relaxed);
    zmq_msg_move (last, &made);
    zmq_msg_close (&made);
    return true;
}
