/*  Job ids: the numbers by which people and peers know jobs. The store counts its jobs; what is told of that
    number is its place in a secret order, so that nobody guesses the job of another.

    SPDX-License-Identifier: MPL-2.0

    A number and what is told belong together one to one, for the life of a store, and nothing is kept of any
    of them. What is told has at most 63 bits, so that it is a positive number everywhere.

    Source: docs/adr/0019-ids-of-jobs-are-not-counted.md.
    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_JOB_ID_H
#define RP_JOB_ID_H

#include <stdint.h>

#include "broker/core/store_op.h"

/*  Returns what is told of a job with this number; 0 of 0. The number is below 2^63.  */
uint64_t rp_job_id_tell (const rp_store_secret_t *secret, uint64_t number);

/*  Returns the number of the job of which this is told; 0 if it cannot be any.  */
uint64_t rp_job_id_read (const rp_store_secret_t *secret, uint64_t told);

#endif
