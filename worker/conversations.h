/*  The conversations of a worker: from the first request of each until its end.

    SPDX-License-Identifier: MPL-2.0

    Pure; the part of worker/worker_core.h that keeps them. A conversation is known from its first
    request until the broker says END or its session is over; a conversation in which this
    worker has never answered ends with its request, because the broker may have given it to
    another worker meanwhile. The application is told of the end when no request of the
    conversation is left here.

    Thread-safety: none.
*/

#ifndef RP_CONVERSATIONS_H
#define RP_CONVERSATIONS_H

#include "worker/worker_core.h"

/*  Sets work->conversation to the conversation with this number. False when out of memory.  */
bool rp_worker_conversations_join (rp_worker_core_t *self, rp_work_t *work, uint64_t wire);

/*  The work leaves its conversation; answers: the broker gets a reply to it.  */
void rp_worker_conversations_leave (rp_worker_core_t *self, rp_work_t *work, bool answers);

/*  END came. False if the number is not known.  */
bool rp_worker_conversations_end (rp_worker_core_t *self, uint32_t session, uint64_t wire);

/*  The session is over.  */
void rp_worker_conversations_end_all (rp_worker_core_t *self, uint32_t session);

/*  Takes and frees the next ended conversation that the application knows. False if there is
    none.  */
bool rp_worker_conversations_next_ended (rp_worker_core_t *self, uint64_t *number);

#endif
