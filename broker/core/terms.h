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

/*  kind (COUNT, or TIME in ms), name, largest; the smallest is 1.

        concurrency   requests that its workers have at once, all together
        rate          requests given to its workers in a second; a burst of one second is allowed
        queue         requests that may wait for it, instead of the limit service_queue
        deadline      of requests whose protocol states none, instead of foreign_deadline
        attempts      likewise, instead of foreign_attempts  */
#define RP_TERM_MAP(X)                                                                             \
    X (COUNT, concurrency, 1000000)                                                                \
    X (COUNT, rate, 1000000)                                                                       \
    X (COUNT, queue, 100000000)                                                                    \
    X (TIME, deadline, 86400000)                                                                   \
    X (COUNT, attempts, 10)

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

#endif
