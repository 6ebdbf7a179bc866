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

/*  Has such an event fail with an SQLSTATE, so many times; -1: until it is changed.  */
static void s_fail (const char *event, const char *state, int times)
{
    char sql[1024];
    snprintf (sql, sizeof sql,
      "DROP SEQUENCE IF EXISTS turns; CREATE SEQUENCE turns;"
      " CREATE OR REPLACE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
      " IF nextval ($$turns$$) <= %d OR %d < 0 THEN"
      " RAISE EXCEPTION USING ERRCODE = $$%s$$, MESSAGE = $$as told$$; END IF; RETURN NEW; END $f$;"
      " CREATE OR REPLACE TRIGGER fails BEFORE %s FOR EACH ROW"
      " EXECUTE FUNCTION fails ()",
      times, times, state, event);
    s_sql (sql);
}

static void s_fail_no_more (void)
{
    s_sql ("DROP FUNCTION fails CASCADE");
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

static void test_nobody_guesses_about_a_commit_while_no_epoch_is_given (void **state)
{
    (void) state;
    bool kept;
    s_fail ("UPDATE OF epoch ON riposte.brokers", "53100", 3);
    assert_true (s_tells_the_truth (TEST_RELAY_CUT_AFTER, RP_STORE_BUG_NONE, &kept));
    assert_true (kept);
    rp_store_job_t job = test_job ();
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "next"), 3);
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

static void test_what_asks_for_news_does_not_keep_others_waiting (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_relay_set (TEST_RELAY_CUT);
    test_shelf_submit (shelf, (rp_store_op_t){.kind = RP_STORE_SERVICES, .news = true}, NULL);
    test_shelf_submit (shelf, test_put (&job), "body");
    for (int turn = 0; turn < 2; turn++) {
        rp_stored_t result;
        assert_true (test_shelf_take (shelf, &result));
        assert_int_equal (result.outcome, RP_STORED_AWAY);
    }
    test_relay_set (TEST_RELAY_PASS);
    s_until_away (false);
}

/*  ---- Several brokers ------------------------------------------------------------------------ */

/*  Ends the lease of the broker that joined first.  */
static void s_end_lease (void)
{
    s_sql ("UPDATE riposte.brokers SET lease_until = now() WHERE id = 1");
}

static const rp_store_op_t s_begin = {.kind = RP_STORE_SERVICES};
static const rp_store_op_t s_hear = {.kind = RP_STORE_SERVICES, .news = true};

/*  Opens the store as one more broker.  */
static void s_join (test_shelf_t *other, rp_store_bug_t bug)
{
    *other = (test_shelf_t){.settings = {.path = getenv (TEST_SHELF_URL), .bug = bug}};
    test_shelf_open (other);
    test_shelf_want (other, RP_STORED_SAFE, s_begin, NULL);
}

/*  Returns how many jobs the news tells of.  */
static uint64_t s_count_news (test_shelf_t *self)
{
    rp_stored_t result = test_shelf_do (self, s_hear, NULL);
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    uint64_t jobs = 0;
    for (size_t index = 0; index < result.rows->service_count; index++)
        jobs += result.rows->services[index].waiting + result.rows->services[index].running;
    rp_stored_clear (&result);
    return jobs;
}

/*  Waits for news, and returns how many jobs it tells of; taken: of which brokers.  */
static uint64_t s_wait_news (test_shelf_t *self, char *taken)
{
    int turn = 0;
    while (!rp_store_take_news (self->store, taken) && turn++ < TEST_SHELF_MS)
        usleep (1000);
    assert_true (turn < TEST_SHELF_MS);
    return s_count_news (self);
}

/*  Returns how many jobs LOAD gives.  */
static size_t s_load (test_shelf_t *self)
{
    rp_stored_t result = test_shelf_do (self,
      (rp_store_op_t){.kind = RP_STORE_LOAD,
        .text = "s",
        .text_size = 1,
        .after = INT64_MIN,
        .before = RP_STORE_NEVER - 1},
      NULL);
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    size_t count = result.rows->count;
    rp_stored_clear (&result);
    return count;
}

/*  Returns which broker has a job, by what this one says.  */
static uint64_t s_elsewhere (test_shelf_t *self, uint64_t id)
{
    rp_stored_t result;
    const rp_store_row_t *row = test_shelf_find (self, id, &result);
    assert_non_null (row);
    uint64_t elsewhere = row->elsewhere;
    rp_stored_clear (&result);
    return elsewhere;
}

static void s_until_news (test_shelf_t *self)
{
    char taken[RP_STORE_TEXT];
    int turn = 0;
    while (!rp_store_take_news (self->store, taken) && turn++ < TEST_SHELF_MS)
        usleep (1000);
    assert_true (turn < TEST_SHELF_MS);
}

/*  Returns the job of which the news says that another broker has ended it; 0: of none.  */
static uint64_t s_take_ended (test_shelf_t *self)
{
    rp_stored_t result = test_shelf_do (self, s_hear, NULL);
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_true (result.rows->ended_count <= 1);
    uint64_t id = result.rows->ended_count > 0 ? result.rows->ended[0].id : 0;
    assert_true (id == 0 || result.rows->ended[0].service.size == 1);
    rp_stored_clear (&result);
    return id;
}

/*  Returns how many jobs of this broker ran when SERVICES told of them.  */
static size_t s_count_ran (test_shelf_t *self)
{
    rp_stored_t result = test_shelf_do (
      self, (rp_store_op_t){.kind = RP_STORE_LIST, .state = RP_JOB_RUNNING, .own = true}, NULL);
    assert_int_equal (result.outcome, RP_STORED_SAFE);
    assert_false (result.more);
    size_t count = result.rows->count;
    rp_stored_clear (&result);
    return count;
}

static void test_each_broker_has_the_jobs_that_it_accepted (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_t other;
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    uint64_t first = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_join (&other, RP_STORE_BUG_NONE);
    uint64_t second = test_shelf_want (&other, RP_STORED_SAFE, test_put (&job), "body");
    uint64_t third = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    assert_true (first != second && second != third);
    assert_int_equal (s_load (shelf), 2);
    assert_int_equal (s_load (&other), 1);
    assert_int_equal (s_elsewhere (shelf, second), 2);
    assert_int_equal (s_elsewhere (&other, first), 1);
    assert_int_equal (s_elsewhere (&other, second), 0);
    // Any broker may end one, and the other learns of it, once.
    rp_store_op_t end = test_final (first, RP_CANCELLED);
    end.other = true;
    test_shelf_want (&other, RP_STORED_SAFE, end, NULL);
    rp_stored_t result =
      test_shelf_do (shelf, (rp_store_op_t){.kind = RP_STORE_ATTEMPT, .id = first}, NULL);
    assert_int_equal (result.outcome, RP_STORED_ALREADY);
    assert_true (result.noted);
    s_until_news (shelf);
    assert_int_equal (s_take_ended (shelf), first);
    assert_int_equal (s_take_ended (shelf), 0);
    assert_int_equal (s_take_ended (&other), 0);
    test_shelf_want (&other, RP_STORED_ALREADY, end, NULL);
    test_shelf_close (&other);
}

static void test_a_broker_that_is_not_heard_loses_its_jobs_to_one_other (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_t others[3];
    char taken[RP_STORE_TEXT];
    uint64_t jobs = 0;
    shelf->settings.endpoints = "tcp://10.0.0.1:5555";
    test_shelf_open (shelf);
    uint64_t waits = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    rp_store_op_t op = test_put (&job);
    op.attempt = 1;
    uint64_t ran = test_shelf_want (shelf, RP_STORED_SAFE, op, "body");
    for (size_t index = 0; index < 3; index++)
        s_join (&others[index], RP_STORE_BUG_NONE);
    test_relay_set (TEST_RELAY_HOLD);
    s_end_lease ();
    size_t who = 0;
    while (!rp_store_take_news (others[who].store, taken)) {
        usleep (1000);
        who = (who + 1) % 3;
    }
    assert_non_null (strstr (taken, "1 (tcp://10.0.0.1:5555 on "));
    rp_stored_t result = test_shelf_do (&others[who], s_hear, NULL);
    assert_int_equal (result.rows->service_count, 1);
    assert_int_equal (result.rows->services[0].waiting, 1);
    assert_int_equal (result.rows->services[0].running, 1);
    rp_stored_clear (&result);
    usleep (1500000); // the others look at it too, and have nothing
    for (size_t index = 0; index < 3; index++) {
        assert_int_equal (s_count_ran (&others[index]), index == who);
        assert_false (rp_store_take_news (others[index].store, taken));
        jobs += s_load (&others[index]);
        assert_int_equal (s_elsewhere (&others[index], waits) == 0, index == who);
    }
    assert_int_equal (jobs, 2);
    test_shelf_want (&others[who], RP_STORED_SAFE, test_final (ran, RP_OK), NULL);
    // It wakes, is told, and begins again with nothing.
    test_relay_set (TEST_RELAY_PASS);
    do // its connection was ended
        result = test_shelf_do (shelf, test_final (waits, RP_OK), NULL);
    while (result.outcome == RP_STORED_AWAY);
    assert_int_equal (result.outcome, RP_STORED_LOST);
    test_shelf_want (shelf, RP_STORED_LOST, test_put (&job), "body");
    test_shelf_want (shelf, RP_STORED_LOST, s_hear, NULL);
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    assert_int_equal (s_load (shelf), 0);
    uint64_t again = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    assert_true (again > ran);
    assert_int_equal (s_load (shelf), 1);
    // What was taken over goes on with whoever took it.
    test_shelf_close (&others[who]);
    uint64_t heard = 0;
    for (int turn = 0; turn < TEST_SHELF_MS && heard == 0; turn++) {
        for (size_t index = 0; index < 3; index++)
            if (index != who && rp_store_take_news (others[index].store, taken))
                heard = s_count_news (&others[index]);
        if (rp_store_take_news (shelf->store, taken))
            heard = s_count_news (shelf);
        usleep (1000);
    }
    assert_int_equal (heard, 1);
    for (size_t index = 0; index < 3; index++)
        if (index != who)
            test_shelf_close (&others[index]);
}

static void test_a_lease_begins_when_a_long_transaction_ends (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    s_sql (
      "DROP TABLE IF EXISTS noted; CREATE TABLE noted (at timestamptz);"
      " CREATE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
      " PERFORM pg_sleep (1); INSERT INTO noted VALUES (clock_timestamp ()); RETURN NEW; END $f$;"
      " CREATE TRIGGER fails BEFORE INSERT ON riposte.jobs FOR EACH ROW EXECUTE FUNCTION fails ()");
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_sql ("DO $$ BEGIN ASSERT (SELECT lease_until FROM riposte.brokers)"
           " >= (SELECT at + interval $d$5 s$d$ FROM noted); END $$");
}

/*  Otherwise another one takes them over meanwhile, which takes as long, and so on.  */
static void test_a_lease_lasts_while_many_jobs_that_were_taken_over_are_counted (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_sql (
      "DROP TABLE IF EXISTS noted; CREATE TABLE noted (left_over interval);"
      " CREATE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO noted"
      " SELECT max (lease_until) - clock_timestamp () FROM riposte.brokers; RETURN NULL; END $f$;"
      " CREATE TRIGGER fails BEFORE DELETE ON riposte.ended FOR EACH STATEMENT EXECUTE FUNCTION"
      " fails ()");
    test_shelf_reopen (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    s_sql ("DO $$ BEGIN ASSERT (SELECT min (left_over) > interval $d$1 min$d$ FROM noted); END $$");
    s_sql ("DO $$ BEGIN ASSERT (SELECT max (lease_until) FROM riposte.brokers)"
           " < now () + interval $d$6 s$d$; END $$");
}

/*  While one is frozen that has nearly committed a key, another is given the same; a third would see if the other
    stood still for it.  */
static void test_a_frozen_broker_does_not_cost_another_one_its_lease (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_t other, third;
    job.key = test_span ("k");
    test_shelf_open (shelf);
    s_join (&other, RP_STORE_BUG_NONE);
    s_join (&third, RP_STORE_BUG_NONE);
    test_relay_set (TEST_RELAY_HOLD_BEFORE);
    test_shelf_submit (shelf, test_put (&job), "body");
    for (int turn = 0; turn < TEST_SHELF_MS && test_relay_get () != TEST_RELAY_HOLD; turn++)
        usleep (1000);
    test_shelf_want (&other, RP_STORED_SAFE, test_put (&job), "body");
    s_sql ("DO $$ BEGIN ASSERT (SELECT holder FROM riposte.brokers WHERE id = 2) = 2; END $$");
    test_relay_set (TEST_RELAY_PASS);
    test_shelf_close (&other);
    test_shelf_close (&third);
}

/*  A second broker takes over while the first one is held up. True if the first then tells that a job of its own is
    kept.  */
static bool s_commits_after_all (rp_store_bug_t bug)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    test_shelf_t other;
    char taken[RP_STORE_TEXT];
    shelf->settings.bug = bug;
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_relay_set (TEST_RELAY_HOLD);
    test_shelf_submit (shelf, test_put (&job), "late");
    s_join (&other, RP_STORE_BUG_NONE);
    s_end_lease ();
    assert_int_equal (s_wait_news (&other, taken), 1);
    test_shelf_want (&other, RP_STORED_SAFE, test_final (1, RP_OK), NULL);
    test_relay_set (TEST_RELAY_PASS);
    assert_true (test_shelf_take (shelf, &result));
    for (int turn = 0; turn < TEST_SHELF_MS && result.outcome == RP_STORED_AWAY; turn++) {
        usleep (1000); // its connection was ended; it tries again
        result = test_shelf_do (shelf, test_put (&job), "late");
    }
    bool committed = result.outcome == RP_STORED_SAFE;
    if (!committed) {
        assert_int_equal (result.outcome, RP_STORED_LOST);
        assert_non_null (strstr (rp_store_trouble (shelf->store), "another broker has taken"));
        rp_stored_t none;
        assert_null (test_shelf_find (&other, 2, &none));
    }
    test_shelf_want_state (&other, 1, RP_JOB_DONE);
    test_shelf_close (&other);
    return committed;
}

static void test_a_broker_that_lost_its_jobs_commits_nothing (void **state)
{
    (void) state;
    assert_false (s_commits_after_all (RP_STORE_BUG_NONE));
}

static void test_a_commit_without_a_look_at_the_epoch_is_noticed (void **state)
{
    (void) state;
    assert_true (s_commits_after_all (RP_STORE_BUG_NO_FENCE));
}

/*  Another broker takes over while it is not known what became of a commit; returns the outcome.  */
static rp_stored_outcome_t s_outcome_after_loss (test_relay_fault_t fault)
{
    rp_store_job_t job = test_job ();
    rp_stored_t result, found;
    test_shelf_t other;
    char taken[RP_STORE_TEXT];
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "before");
    test_relay_set (fault);
    test_shelf_submit (shelf, test_put (&job), "body");
    for (int turn = 0; turn < TEST_SHELF_MS && test_relay_get () == fault; turn++)
        usleep (1000);
    test_relay_set (TEST_RELAY_CUT);
    s_join (&other, RP_STORE_BUG_NONE);
    s_end_lease ();
    uint64_t jobs = s_wait_news (&other, taken);
    test_relay_set (TEST_RELAY_PASS);
    assert_true (test_shelf_take (shelf, &result));
    bool kept = test_shelf_find (&other, 2, &found) != NULL;
    assert_int_equal (jobs, kept ? 2 : 1);
    if (kept)
        rp_stored_clear (&found);
    assert_int_equal (kept, result.outcome == RP_STORED_SAFE);
    test_shelf_want (shelf, RP_STORED_LOST, test_put (&job), "next");
    test_shelf_close (&other);
    return result.outcome;
}

static void test_a_commit_is_found_out_about_after_the_jobs_were_lost (void **state)
{
    (void) state;
    assert_int_equal (s_outcome_after_loss (TEST_RELAY_CUT_AFTER), RP_STORED_SAFE);
}

static void test_a_commit_that_did_not_arrive_is_lost_with_the_jobs (void **state)
{
    (void) state;
    assert_int_equal (s_outcome_after_loss (TEST_RELAY_CUT_BEFORE), RP_STORED_LOST);
}

static void test_a_new_beginning_that_is_lost_at_once_is_begun_again (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_sql ("UPDATE riposte.brokers SET epoch = epoch + 1");
    test_shelf_want (shelf, RP_STORED_LOST, test_put (&job), "body");
    // The next row is taken over while it adopts what the first one left.
    s_sql ("UPDATE riposte.brokers SET lease_until = lease_until - interval $$1 minute$$;"
           " CREATE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
           " NEW.epoch := 7; RETURN NEW; END $f$;"
           " CREATE TRIGGER fails BEFORE INSERT ON riposte.brokers FOR EACH ROW WHEN (NEW.id = 2)"
           " EXECUTE FUNCTION fails ()");
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_sql ("DO $$ BEGIN ASSERT (SELECT max (id) FROM riposte.brokers) = 3; END $$");
}

static void test_a_broker_ends_when_nobody_knows_what_it_has_committed (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    test_shelf_open (shelf);
    test_relay_set (TEST_RELAY_CUT_AFTER);
    test_shelf_submit (shelf, test_put (&job), "body");
    s_until_away (true);
    s_sql ("DELETE FROM riposte.brokers");
    test_relay_set (TEST_RELAY_PASS);
    assert_true (test_shelf_take (shelf, &result));
    assert_int_equal (result.outcome, RP_STORED_BROKEN);
    assert_non_null (strstr (rp_store_trouble (shelf->store), "away for so long"));
}

static void test_brokers_that_are_long_gone_are_forgotten_once_their_jobs_have_ended (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    test_shelf_reopen (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    test_shelf_reopen (shelf);
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    assert_int_equal (s_load (shelf), 1);
    s_sql (
      "UPDATE riposte.brokers SET lease_until = lease_until - interval $$2 hours$$ WHERE id < 3");
    test_shelf_reopen (shelf); // forgets the second
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    assert_int_equal (s_load (shelf), 1);
    s_sql ("DO $$ BEGIN ASSERT (SELECT string_agg (id::text, $d$ $d$ ORDER BY id)"
           " FROM riposte.brokers) = $d$1 3 4$d$; END $$");
    // Nor is one before whoever has its jobs knows that the last of them has ended.
    rp_store_op_t end = test_final (id, RP_OK);
    end.other = true;
    test_shelf_want (shelf, RP_STORED_SAFE, end, NULL);
    test_shelf_reopen (shelf);
    s_sql ("DO $$ BEGIN ASSERT (SELECT min (id) FROM riposte.brokers) = 1; END $$");
    test_shelf_want (shelf, RP_STORED_SAFE, s_begin, NULL);
    test_shelf_reopen (shelf);
    s_sql ("DO $$ BEGIN ASSERT (SELECT min (id) FROM riposte.brokers) = 3; END $$");
}

/*  ---- What a server says ---------------------------------------------------------------------- */

static void test_a_transaction_that_conflicts_is_run_again (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    s_fail ("INSERT ON riposte.jobs", "40001", 3);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), 1);
    s_fail ("INSERT ON riposte.jobs", "40001", -1);
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    s_fail_no_more ();
    s_until_away (false);
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), 2);
}

/*  Has a key be there, of a job that is not, until so many transactions have met it.  */
static void s_leave_key (int turns)
{
    char sql[1024];
    snprintf (sql, sizeof sql,
      "DROP SEQUENCE IF EXISTS turns; CREATE SEQUENCE turns;"
      " INSERT INTO riposte.keys VALUES ($$k$$, $$s$$, $$p$$, 999);"
      " CREATE FUNCTION fails () RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
      " IF nextval ($$turns$$) > %d THEN DELETE FROM riposte.keys WHERE job = 999; END IF;"
      " RETURN NEW; END $f$;"
      " CREATE TRIGGER fails BEFORE INSERT ON riposte.keys FOR EACH ROW EXECUTE FUNCTION fails ()",
      turns);
    s_sql (sql);
}

static void test_a_key_whose_job_has_just_been_removed_is_no_damage (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.key = test_span ("k");
    test_shelf_open (shelf);
    s_leave_key (1);
    test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
}

static void test_a_key_that_stays_without_its_job_is_damage (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    job.key = test_span ("k");
    test_shelf_open (shelf);
    s_leave_key (1000);
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    assert_non_null (strstr (rp_store_trouble (shelf->store), "riposte store check"));
}

static void test_a_full_disk_takes_ends_but_no_jobs (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    rp_stored_t result;
    test_shelf_open (shelf);
    uint64_t id = test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body");
    s_fail ("INSERT ON riposte.jobs", "53100", -1);
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
    s_fail_no_more ();
    assert_int_equal (test_shelf_want (shelf, RP_STORED_SAFE, test_put (&job), "body"), id + 1);
}

static void test_a_statement_that_is_refused_is_not_taken_for_done (void **state)
{
    (void) state;
    rp_store_job_t job = test_job ();
    test_shelf_open (shelf);
    s_fail ("INSERT ON riposte.open", "P0001", -1);
    test_shelf_want (shelf, RP_STORED_AWAY, test_put (&job), "body");
    assert_non_null (strstr (rp_store_trouble (shelf->store), "as told"));
    s_fail_no_more ();
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
      S_TEST (test_nobody_guesses_about_a_commit_while_no_epoch_is_given),
      S_TEST (test_to_take_an_unknown_commit_for_failed_is_noticed),
      S_TEST (test_to_take_an_unknown_commit_for_done_is_noticed),
      S_TEST (test_nothing_is_told_of_a_commit_that_is_not_known),
      S_TEST (test_closing_does_not_wait_for_a_server_that_is_gone),
      S_TEST (test_a_server_that_is_away_is_said_and_comes_back),
      S_TEST (test_the_first_question_is_asked_until_there_is_an_answer),
      S_TEST (test_what_asks_for_news_does_not_keep_others_waiting),
      S_TEST (test_each_broker_has_the_jobs_that_it_accepted),
      S_TEST (test_a_broker_that_is_not_heard_loses_its_jobs_to_one_other),
      S_TEST (test_a_lease_begins_when_a_long_transaction_ends),
      S_TEST (test_a_lease_lasts_while_many_jobs_that_were_taken_over_are_counted),
      S_TEST (test_a_frozen_broker_does_not_cost_another_one_its_lease),
      S_TEST (test_a_broker_that_lost_its_jobs_commits_nothing),
      S_TEST (test_a_commit_without_a_look_at_the_epoch_is_noticed),
      S_TEST (test_a_commit_is_found_out_about_after_the_jobs_were_lost),
      S_TEST (test_a_commit_that_did_not_arrive_is_lost_with_the_jobs),
      S_TEST (test_a_new_beginning_that_is_lost_at_once_is_begun_again),
      S_TEST (test_a_broker_ends_when_nobody_knows_what_it_has_committed),
      S_TEST (test_brokers_that_are_long_gone_are_forgotten_once_their_jobs_have_ended),
      S_TEST (test_a_transaction_that_conflicts_is_run_again),
      S_TEST (test_a_key_whose_job_has_just_been_removed_is_no_damage),
      S_TEST (test_a_key_that_stays_without_its_job_is_damage),
      S_TEST (test_a_full_disk_takes_ends_but_no_jobs),
      S_TEST (test_a_statement_that_is_refused_is_not_taken_for_done),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
