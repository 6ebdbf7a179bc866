/*  A relay between a store and a server of PostgreSQL, over Unix sockets, that breaks connections where a test
    wants it.

    SPDX-License-Identifier: MPL-2.0

    Functions fail the running cmocka test when something is wrong.
*/

#ifndef TEST_RELAY_H
#define TEST_RELAY_H

typedef enum {
    TEST_RELAY_PASS,
    TEST_RELAY_HOLD,        /* nothing passes; connections stand */
    TEST_RELAY_HOLD_BEFORE, /* the next COMMIT does not arrive; then HOLD */
    TEST_RELAY_CUT,         /* connections are broken, and new ones too */
    TEST_RELAY_CUT_BEFORE, /* the connection is broken with the next COMMIT, which does not arrive; then PASS */
    TEST_RELAY_CUT_AFTER, /* the next COMMIT arrives, its answer does not; then CUT */
} test_relay_fault_t;

/*  Begins to relay from `.s.PGSQL.5432` in folder to the socket at target.  */
void test_relay_begin (const char *folder, const char *target);
void test_relay_end (void);
void test_relay_set (test_relay_fault_t fault);

/*  The fault that is in force.  */
test_relay_fault_t test_relay_get (void);

#endif
