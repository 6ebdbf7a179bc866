/*  Terms of service: what a broker's settings say of one service, by its name.

    SPDX-License-Identifier: MPL-2.0

    One setting has the terms of one service:  resize: concurrency=4 rate=100 queue=1000

    A term is a row of RP_TERM_MAP. Thread-safety: pure functions of their arguments.
*/

#ifndef RP_TERMS_H
#define RP_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/head.h"

/*  kind (COUNT, TIME in ms, or the list of words of which it is one), name, largest; the smallest is 1, which
    is the first word.

        concurrency   requests that its workers have at once, all together
        rate          requests given to its workers in a second; a burst of one second is allowed
        queue         requests that may wait for it, instead of the limit service_queue
        deadline      of requests whose protocol states none, instead of foreign_deadline
        attempts      likewise, instead of foreign_attempts
        overload      what a queue does that is full, or cannot be served in time
        admission     whether a request is refused that would wait past its deadline  */
#define RP_TERM_MAP(X)                                                                             \
    X (COUNT, concurrency, 1000000)                                                                \
    X (COUNT, rate, 1000000)                                                                       \
    X (COUNT, queue, 100000000)                                                                    \
    X (TIME, deadline, 86400000)                                                                   \
    X (COUNT, attempts, 10)                                                                        \
    X (OVERLOAD, overload, RP_OVERLOAD_LIFO)                                                       \
    X (SWITCH, admission, RP_SWITCH_ON)

typedef enum {
    RP_OVERLOAD_REFUSE = 1,  /* a full queue refuses; the default */
    RP_OVERLOAD_DROP_OLDEST, /* a full queue ends the request that has waited longest */
    RP_OVERLOAD_LIFO, /* what would wait past its deadline at the end of the queue goes first */
} rp_overload_t;

typedef enum { RP_SWITCH_OFF = 1, RP_SWITCH_ON } rp_switch_t;

/*  0: not set.  */
typedef struct {
#define RP_TERM_FIELD(kind, name, largest) uint64_t name;
    RP_TERM_MAP (RP_TERM_FIELD)
#undef RP_TERM_FIELD
    uint8_t name_size;
    char name[RP_WIRE_NAME_MAX + 1]; /* of the service */
} rp_terms_t;

/*  Terms of several services. The owner frees list.  */
typedef struct {
    rp_terms_t *list;
    size_t count;
} rp_terms_list_t;

/*  Bytes for the text of any terms.  */
#define RP_TERMS_TEXT_MAX 512u

/*  Reads "SERVICE: TERM=VALUE …". False if it cannot be: reason is a clause that follows the text.  */
bool rp_terms_parse (rp_terms_t *self, const char *text, char *reason, size_t reason_size);

/*  Writes the terms in the form that rp_terms_parse takes; without the name: only the terms. Returns
    text.  */
const char *rp_terms_write (const rp_terms_t *self, bool name, char text[RP_TERMS_TEXT_MAX]);

/*  Finds the terms of a service; NULL if there are none.  */
const rp_terms_t *rp_terms_find (const rp_terms_list_t *self, const char *name, size_t size);

/*  True if requests may have to wait though a worker has room.  */
static inline bool rp_terms_throttle (const rp_terms_t *self)
{
    return self && (self->concurrency || self->rate);
}

static inline bool rp_terms_admit (const rp_terms_t *self)
{
    return self && self->admission == RP_SWITCH_ON;
}

static inline bool rp_terms_overload (const rp_terms_t *self, rp_overload_t overload)
{
    return self && self->overload == overload;
}

/*  True if the terms say what becomes of requests that cannot be served in time.  */
static inline bool rp_terms_sheds (const rp_terms_t *self)
{
    return rp_terms_admit (self) || (self && self->overload > RP_OVERLOAD_REFUSE);
}

/*  True if it is estimated how long a request would wait.  */
static inline bool rp_terms_estimate (const rp_terms_t *self)
{
    return rp_terms_admit (self) || rp_terms_overload (self, RP_OVERLOAD_LIFO);
}

#endif
