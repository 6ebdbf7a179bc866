/*  The store of jobs in PostgreSQL, when the connection, the server or another broker comes in between: what it
    tells is true.

    SPDX-License-Identifier: MPL-2.0

        postgres_faults URL SOCKET

    URL names an empty database, SOCKET is that of its server. test_backend.py starts both.
*/

#include "broker/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <riposte/error.h>
#include "tests/postgres/relay.h"
#include "tests/support/shelf.h"

static const char *s_socket;
static test_shelf_t s_shelf; /* over the relay */
static test_shelf_t *const shelf = &s_shelf;
static char s_url[256];

/*  Runs SQL beside the store.  */
static void s_sql (const char *sql)
{
    char command[1024];
    snprintf (command, sizeof command,
      "PGOPTIONS=-cclient_min_messages=error exec psql -q -v ON_ERROR_STOP=1 '%s' -c '%s'",
      getenv (TEST_SHELF_URL), sql);
    assert_int_equal (system (command), 0);
}

static int s_setup (void **state)
{
    (void) state;
    s_sql ("DROP FUNCTION IF EXISTS fails CASCADE"); // of a test that has failed
    test_shelf_init (shelf);
    snprintf (s_url, sizeof s_url, "%s&host=%s", shelf->settings.path, shelf->folder);
    test_relay_begin (shelf->folder, s_socket);
    shelf->settings.path = s_url;
    return 0;
}

static int s_teardown (void **state)
{
    (void) state;
    test_relay_set (TEST_RELAY_PASS);
    test_shelf_close (shelf);
    test_relay_end ();
    test_shelf_clear (shelf);
    return 0;
}

static void s_until_away (bool away)
{
    for (int turn = 0; turn < TEST_SHELF_MS && rp_store_is_away (shelf->store) != away; turn++)
        usleep (1000);
    assert_int_equal (rp_store_is_away (shelf->store), away);
}

/*  ---- Commits without an answer --------------------------------------------------------------- */

/*  Puts a job whose COMMIT meets the fault. True if what was told of it is what is in the store.  */
static bool s_tells_the_truth (test_relay_fault_t fault, rp_store_bug_t bug, bool *kept)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    shelf->settings.bug = bug;
    test_shelf_open (shelf);
    uint64_t before = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "before");
    test_relay_set (fault);
    test_shelf_submit (shelf, test_put (&job), "body");
    for (int turn = 0; turn < TEST_SHELF_MS && test_relay_get () == fault; turn++)
        usleep (1000);
    test_relay_set (TEST_RELAY_PASS);
    assert_true (test_shelf_take (shelf, &result));
    assert_true (result.outcome == RP_STORED_SAFE || result.outcome == RP_STORED_AWAY);
    bool told = result.outcome == RP_STORED_SAFE;
    s_until_away (false);
    // Ids are given in order, so it has this one if it is there.
    rp_stored_t found;
    *kept = test_shelf_find (shelf, before + 1, &found) != NULL;
    if (*kept)
        rp_stored_clear (&found);
    return told == *kept && (!told || result.id == before + 1);
}

static void test_a_commit_that_arrived_is_found_to_be_done (void **state)
{
    (void) state;
    bool kept;
    assert_true (s_tells_the_truth (TEST_RELAY_CUT_AFTER, RP_STORE_BUG_NONE, &kept));
    assert_true (kept);
    // It goes on from there.
    rp_store_job_t job = test_job ();
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "next"), 3);
}

static void test_a_commit_that_did_not_arrive_is_found_not_to_be_done (void **state)
{
    (void) state;
    bool kept;
    assert_true (s_tells_the_truth (TEST_RELAY_CUT_BEFORE, RP_STORE_BUG_NONE, &kept));
    assert_false (kept);
    rp_store_job_t job = test_job ();
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "next"), 2);
}

static void test_to_take_an_unknown_commit_for_failed_is_noticed (void **state)
{
    (void) state;
    bool kept;
    assert_false (s_tells_the_truth (TEST_RELAY_CUT_AFTER, RP_STORE_BUG_UNKNOWN_IS_NOT, &kept));
}

static void test_to_take_an_unknown_commit_for_done_is_noticed (void **state)
{
    (void) state;
    bool kept;
    assert_false (s_tells_the_truth (TEST_RELAY_CUT_BEFORE, RP_STORE_BUG_UNKNOWN_IS_DONE, &kept));
}

static void test_nothing_is_told_of_a_commit_that_is_not_known (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_relay_set (TEST_RELAY_CUT_AFTER);
    test_shelf_submit (shelf, test_put (&job), "body");
    test_shelf_submit (shelf, test_put (&job), "body");
    s_until_away (true);
    rp_stored_t result;
    usleep (300000);
    assert_false (rp_store_take (shelf->store, &result));
    test_relay_set (TEST_RELAY_PASS);
    for (uint64_t number = 1; number <= 2; number++) {
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.number, number);
    }
    s_until_away (false);
}

static void test_closing_does_not_wait_for_a_server_that_is_gone (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_relay_set (TEST_RELAY_CUT_AFTER);
    test_shelf_submit (shelf, test_put (&job), "body");
    s_until_away (true);
    test_shelf_close (shelf);
    test_relay_set (TEST_RELAY_PASS);
    s_sql ("UPDATE riposte.brokers SET lease_until = now()");
    test_shelf_open (shelf);
    test_shelf_want_state (shelf, 1, RP_JOB_WAITING);
}

/*  ---- Away and back --------------------------------------------------------------------------- */

static void test_a_server_that_is_away_is_said_and_comes_back (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    rp_store_figures_t figures;
    test_shelf_open (shelf);
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_relay_set (TEST_RELAY_CUT);
    s_until_away (true); // nobody has asked for anything
    assert_true (rp_store_wait (shelf->store, TEST_SHELF_MS));
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    test_shelf_want (shelf, RP_STORED_AWAY, test_final (id, RP_OK), NULL);
    test_shelf_want (shelf, RP_STORED_AWAY, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    rp_store_figures (shelf->store, &figures);
    assert_true (figures.away);
    assert_string_not_equal (rp_store_trouble (shelf->store), "");
    test_relay_set (TEST_RELAY_PASS);
    s_until_away (false);
    test_shelf_want (shelf, RP_STORED_SAFE, test_final (id, RP_OK), NULL);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), id + 1);
    assert_string_equal (rp_store_trouble (shelf->store), "");
}

static void test_the_first_question_is_asked_until_there_is_an_answer (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_relay_set (TEST_RELAY_CUT);
    test_shelf_submit (shelf, (rp_store_op_t){.kind = RP_STORE_SERVICES}, NULL);
    s_until_away (true);
    test_relay_set (TEST_RELAY_PASS);
    rp_stored_t result;
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_int_equal (result.rows->service_count, 1);
    rp_stored_clear (&result);
}

/*  ---- Another broker -------------------------------------------------------------------------- */

/*  A second broker takes the store while the first one is held up. True if the first then tells that a job of its
    own is kept.  */
static bool s_commits_after_all (rp_store_bug_t bug)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    test_shelf_t other;
    shelf->settings.bug = bug;
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_relay_set (TEST_RELAY_HOLD);
    test_shelf_submit (shelf, test_put (&job), "late");
    s_sql ("UPDATE riposte.brokers SET lease_until = now()");
    other = (test_shelf_t){.settings = {.path = getenv (TEST_SHELF_URL)}};
    test_shelf_open (&other);
    test_shelf_want (&other, RP_STORED_SAFE, test_final (1, RP_OK), NULL);
    test_relay_set (TEST_RELAY_PASS);
    assert_true (test_shelf_take (shelf, &result));
    for (int turn = 0; turn < TEST_SHELF_MS && result.outcome == RP_STORED_AWAY; turn++) {
        usleep (1000); // its connection was ended; it tries again
        result = test_shelf_do (shelf, test_put (&job), "late");
    }
    bool committed = result.outcome == RP_STORED_SAFE;
    if (!committed) {
        assert_int_equal (result.outcome, RP_STORED_BROKEN);
        assert_non_null (strstr (rp_store_trouble (shelf->store), "another broker has taken"));
        rp_stored_t none;
        assert_null (test_shelf_find (&other, 2, &none));
    }
    test_shelf_want_state (&other, 1, RP_JOB_DONE);
    test_shelf_close (&other);
    return committed;
}

static void test_a_broker_that_lost_the_store_commits_nothing (void **state)
{
    (void) state;
    assert_false (s_commits_after_all (RP_STORE_BUG_NONE));
}

static void test_a_commit_without_a_look_at_the_epoch_is_noticed (void **state)
{
    (void) state;
    assert_true (s_commits_after_all (RP_STORE_BUG_NO_FENCE));
}

static void test_a_store_that_a_broker_has_is_refused (void **state)
{
    (void) state;
    char text[RP_STORE_TEXT];
    shelf->settings.endpoints = "tcp://10.0.0.1:5555";
    test_shelf_open (shelf);
    assert_null (rp_store_open (&(rp_store_settings_t){.path = getenv (TEST_SHELF_URL)}, text));
    assert_non_null (strstr (text, "in use by another broker, at tcp://10.0.0.1:5555 on "));
}

/*  ---- What a server says ---------------------------------------------------------------------- */

/*  Has inserts into the table fail with an SQLSTATE, so many times; -1: until it is changed.  */
static void s_fail (const char *table, const char *state, int times)
{
    char sql[1024];
    snprintf (sql, sizeof sql,
      "DROP SEQUENCE IF EXISTS turns; CREATE SEQUENCE turns;"
      " CREATE OR REPLACE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
      " IF nextval ($$turns$$) <= %d OR %d < 0 THEN"
      " RAISE EXCEPTION USING ERRCODE = $$%s$$, MESSAGE = $$as told$$; END IF; RETURN NEW; END $f$;"
      " CREATE OR REPLACE TRIGGER fails BEFORE INSERT ON riposte.%s FOR EACH ROW"
      " EXECUTE FUNCTION fails ()",
      times, times, state, table);
    s_sql (sql);
}

static void s_fail_no_more (const char *table)
{
    char sql[128];
    snprintf (sql, sizeof sql, "DROP TRIGGER fails ON riposte.%s", table);
    s_sql (sql);
}

static void test_a_transaction_that_conflicts_is_run_again (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    s_fail ("jobs", "40001", 3);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), 1);
    s_fail ("jobs", "40001", -1);
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    s_fail_no_more ("jobs");
    s_until_away (false);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), 2);
}

static void test_a_full_disk_takes_ends_but_no_jobs (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    test_shelf_open (shelf);
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_fail ("jobs", "53100", -1);
    test_shelf_submit (shelf, test_put (&job), "body");
    test_shelf_submit (shelf, test_final (id, RP_OK), NULL);
    test_shelf_submit (shelf, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    const rp_stored_outcome_t outcomes[] = {RP_STORED_FULL, RP_STORED_SAFE, RP_STORED_SAFE};
    for (size_t index = 0; index < 3; index++) {
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.outcome, outcomes[index]);
    }
    assert_int_equal (result.rows->jobs[0].state, RP_JOB_DONE);
    rp_stored_clear (&result);
    assert_false (rp_store_is_away (shelf->store));
    s_fail_no_more ("jobs");
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), id + 1);
}

static void test_a_statement_that_is_refused_is_not_taken_for_done (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    s_fail ("open", "P0001", -1);
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    assert_non_null (strstr (rp_store_trouble (shelf->store), "as told"));
    s_fail_no_more ("open");
    s_until_away (false);
    rp_stored_t none;
    assert_null (test_shelf_find (shelf, 1, &none));
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), 1);
}

int main (int argc, char **argv)
{
    if (argc != 3) {
        fprintf (stderr, "usage: postgres_faults URL SOCKET\n");
        return 2;
    }
    setenv (TEST_SHELF_URL, argv[1], 1);
    s_socket = argv[2];
#define S_TEST(name) cmocka_unit_test_setup_teardown (name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
      S_TEST (test_a_commit_that_arrived_is_found_to_be_done),
      S_TEST (test_a_commit_that_did_not_arrive_is_found_not_to_be_done),
      S_TEST (test_to_take_an_unknown_commit_for_failed_is_noticed),
      S_TEST (test_to_take_an_unknown_commit_for_done_is_noticed),
      S_TEST (test_nothing_is_told_of_a_commit_that_is_not_known),
      S_TEST (test_closing_does_not_wait_for_a_server_that_is_gone),
      S_TEST (test_a_server_that_is_away_is_said_and_comes_back),
      S_TEST (test_the_first_question_is_asked_until_there_is_an_answer),
      S_TEST (test_a_broker_that_lost_the_store_commits_nothing),
      S_TEST (test_a_commit_without_a_look_at_the_epoch_is_noticed),
      S_TEST (test_a_store_that_a_broker_has_is_refused),
      S_TEST (test_a_transaction_that_conflicts_is_run_again),
      S_TEST (test_a_full_disk_takes_ends_but_no_jobs),
      S_TEST (test_a_statement_that_is_refused_is_not_taken_for_done),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
