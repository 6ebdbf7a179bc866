/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/shelf.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/store/upkeep.h"

/*  Makes an empty store of the database.  */
static void s_empty (const char *url)
{
    char command[1024];
    char text[RP_STORE_TEXT];
    if (!rp_upkeep_init (url, text))
        fail_msg ("%s", text);
    snprintf (command, sizeof command,
      "exec psql -q '%s' -c 'DELETE FROM riposte.jobs; DELETE FROM riposte.open;"
      " DELETE FROM riposte.attempts; DELETE FROM riposte.finals; DELETE FROM riposte.keys;"
      " DELETE FROM riposte.brokers; UPDATE riposte.counters SET joined = 0, ids = 0'",
      url);
    assert_int_equal (system (command), 0);
}

void test_shelf_init (test_shelf_t *self)
{
    *self = (test_shelf_t){.store = NULL};
    snprintf (self->folder, sizeof self->folder, "/tmp/riposte-store-XXXXXX");
    assert_non_null (mkdtemp (self->folder));
    snprintf (self->path, sizeof self->path, "%s/jobs.db", self->folder);
    const char *url = getenv (TEST_SHELF_URL);
    self->in_postgres = url != NULL;
    self->settings.path = url ? url : self->path;
    if (url)
        s_empty (url);
}

void test_shelf_only_in_a_file (const test_shelf_t *self)
{
    if (self->in_postgres)
        skip ();
}

void test_shelf_clear (test_shelf_t *self)
{
    rp_store_close (&self->store);
    DIR *folder = opendir (self->folder);
    assert_non_null (folder);
    for (struct dirent *entry = readdir (folder); entry; entry = readdir (folder))
        if (entry->d_name[0] != '.')
            assert_int_equal (unlinkat (dirfd (folder), entry->d_name, 0), 0);
    closedir (folder);
    assert_int_equal (rmdir (self->folder), 0);
}

void test_shelf_open (test_shelf_t *self)
{
    self->number = 0;
    self->store = rp_store_open (&self->settings, self->text);
    if (!self->store)
        fail_msg ("%s", self->text);
}

void test_shelf_close (test_shelf_t *self)
{
    rp_store_close (&self->store);
    assert_null (self->store);
}

void test_shelf_reopen (test_shelf_t *self)
{
    test_shelf_close (self);
    test_shelf_open (self);
}

rp_store_span_t test_span (const char *text)
{
    return (rp_store_span_t){.data = text, .size = strlen (text)};
}

rp_store_job_t test_job (void)
{
    return (rp_store_job_t){.service = test_span ("s"),
      .principal = test_span ("p"),
      .accepted = 1000,
      .deadline = RP_STORE_NEVER,
      .attempts = 5,
      .keep_ms = 1000};
}

void test_shelf_submit (test_shelf_t *self, rp_store_op_t op, const char *body)
{
    rp_store_span_t frame = body ? test_span (body) : (rp_store_span_t){NULL, 0};
    op.number = ++self->number;
    // The body outlives the result: tests give constants.
    assert_true (rp_store_submit (self->store, &op, &frame, body ? 1 : 0, NULL));
}

bool test_shelf_take (test_shelf_t *self, rp_stored_t *result)
{
    while (!rp_store_take (self->store, result))
        if (!rp_store_wait (self->store, TEST_SHELF_MS))
            return false;
    return true;
}

rp_stored_t test_shelf_do (test_shelf_t *self, rp_store_op_t op, const char *body)
{
    rp_stored_t result;
    test_shelf_submit (self, op, body);
    assert_true (test_shelf_take (self, &result));
    assert_int_equal (result.number, self->number);
    assert_int_equal (result.kind, op.kind);
    return result;
}

uint64_t test_shelf_want (
  test_shelf_t *self, rp_stored_outcome_t outcome, rp_store_op_t op, const char *body)
{
    rp_stored_t result = test_shelf_do (self, op, body);
    if (result.outcome != outcome)
        fail_msg ("operation %u came out as %u, not %u: %s", op.kind, result.outcome, outcome,
          rp_store_trouble (self->store));
    rp_stored_clear (&result);
    return result.id;
}

rp_store_op_t test_put (const rp_store_job_t *job)
{
    return (rp_store_op_t){.kind = RP_STORE_PUT, .job = job};
}

rp_store_op_t test_final (uint64_t id, uint8_t status)
{
    return (rp_store_op_t){
      .kind = RP_STORE_FINAL, .id = id, .status = status, .at = 5000, .until = RP_STORE_NEVER};
}

rp_store_row_t *test_shelf_find (test_shelf_t *self, uint64_t id, rp_stored_t *result)
{
    *result = test_shelf_do (self, (rp_store_op_t){.kind = RP_STORE_FIND, .id = id}, NULL);
    if (result->outcome == RP_STORED_ABSENT) {
        assert_null (result->rows);
        return NULL;
    }
    assert_int_equal (result->outcome, RP_STORED_SAFE);
    assert_int_equal (result->rows->count, 1);
    assert_int_equal (result->rows->jobs[0].id, id);
    return &result->rows->jobs[0];
}

void test_shelf_want_state (test_shelf_t *self, uint64_t id, rp_job_state_t state)
{
    rp_stored_t result;
    rp_store_row_t *row = test_shelf_find (self, id, &result);
    assert_non_null (row);
    assert_int_equal (row->state, state);
    rp_stored_clear (&result);
}
