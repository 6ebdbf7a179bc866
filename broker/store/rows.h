/*  Rows: the memory of a result's rows. Everything in them is freed at once.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: rows belong to one thread at a time.
*/

#ifndef RP_ROWS_H
#define RP_ROWS_H

#include "broker/core/store_op.h"

/*  NULL when out of memory.  */
rp_store_rows_t *rp_rows_new (void);

/*  NULL is allowed.  */
void rp_rows_destroy (rp_store_rows_t **self_p);

/*  Adds an empty row. It is valid until the next is added. NULL when out of memory.  */
rp_store_row_t *rp_rows_add_job (rp_store_rows_t *self);
rp_store_service_t *rp_rows_add_service (rp_store_rows_t *self);
rp_store_broker_t *rp_rows_add_broker (rp_store_rows_t *self);
rp_store_ended_t *rp_rows_add_ended (rp_store_rows_t *self);

/*  Takes zeroed memory that lives as long as the rows. NULL when out of memory.  */
void *rp_rows_room (rp_store_rows_t *self, size_t size);

/*  Returns how many bytes of such memory there are, with what is left of them. NULL is allowed.  */
size_t rp_rows_bytes (rp_store_rows_t *self);

/*  Copies bytes, with a NUL behind them, into *copy. False when out of memory.  */
bool rp_rows_copy (rp_store_rows_t *self, const void *data, size_t size, rp_store_span_t *copy);

#endif
