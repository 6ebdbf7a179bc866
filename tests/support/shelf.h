/*  A store in a folder of the test, with words for what is done to it.

    SPDX-License-Identifier: MPL-2.0

    Functions fail the running cmocka test when something is wrong, but for those that a test's child
    process calls too.
*/

#ifndef TEST_SHELF_H
#define TEST_SHELF_H

#include "broker/store/store.h"

/*  Bound for everything that must happen, ms.  */
#define TEST_SHELF_MS 30000

/*  The environment's variable that names a database: the store is in PostgreSQL then.  */
#define TEST_SHELF_URL "RIPOSTE_TEST_POSTGRES"

typedef struct {
    bool in_postgres;
    char folder[64];
    char path[96];
    rp_store_settings_t settings;
    rp_store_t *store;
    uint64_t number; /* of the last operation */
    char text[RP_STORE_TEXT];
} test_shelf_t;

/*  Makes the folder. The store is opened by test_shelf_open.  */
void test_shelf_init (test_shelf_t *self);

/*  Skips the test if the store is in PostgreSQL.  */
void test_shelf_only_in_a_file (const test_shelf_t *self);

/*  Closes the store, removes the folder.  */
void test_shelf_clear (test_shelf_t *self);

void test_shelf_open (test_shelf_t *self);
void test_shelf_close (test_shelf_t *self);

/*  Closes and opens.  */
void test_shelf_reopen (test_shelf_t *self);

/*  A job for the service "s" of the principal "p", accepted at time 1000.  */
rp_store_job_t test_job (void);
rp_store_span_t test_span (const char *text);

/*  Submits without waiting; numbers the operation.  */
void test_shelf_submit (test_shelf_t *self, rp_store_op_t op, const char *body);

/*  Waits for the next result and takes it. False if none comes.  */
bool test_shelf_take (test_shelf_t *self, rp_stored_t *result);

/*  Submits and takes the result. Its rows are the caller's.  */
rp_stored_t test_shelf_do (test_shelf_t *self, rp_store_op_t op, const char *body);

/*  The same, wants this outcome, frees the rows, and returns the id.  */
uint64_t test_shelf_want (
  test_shelf_t *self, rp_stored_outcome_t outcome, rp_store_op_t op, const char *body);

/*  Operations. put: body may be NULL.  */
rp_store_op_t test_put (const rp_store_job_t *job);
rp_store_op_t test_final (uint64_t id, uint8_t status);

/*  Finds a job; the rows are the caller's. NULL if it is absent.  */
rp_store_row_t *test_shelf_find (test_shelf_t *self, uint64_t id, rp_stored_t *result);

/*  Wants the job to be in this state.  */
void test_shelf_want_state (test_shelf_t *self, uint64_t id, rp_job_state_t state);

#endif
