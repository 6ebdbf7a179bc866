/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/support/client_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

void pair_begin (client_pair_t *pair)
{
    pair->broker = puppet_new ();
    pair->client = rp_client_new (pair->broker->endpoint);
    assert_non_null (pair->client);
}

void pair_end (client_pair_t *pair)
{
    rp_client_destroy (&pair->client);
    puppet_destroy (&pair->broker);
}

uint64_t pair_submit (rp_client_t *client, const char *body)
{
    rp_call_t *call = rp_call_new ("echo", body, strlen (body));
    assert_non_null (call);
    uint64_t id = 0;
    assert_int_equal (rp_client_submit (client, &call, &id), RP_OK);
    assert_null (call);
    assert_true (id != 0);
    return id;
}

rp_reply_t *pair_collect (rp_client_t *client)
{
    rp_reply_t *reply = NULL;
    assert_int_equal (rp_client_collect (client, PUPPET_PATIENCE_MS, &reply), RP_OK);
    return reply;
}

void pair_collect_status (rp_client_t *client, rp_status_t status)
{
    rp_reply_t *reply = pair_collect (client);
    assert_string_equal (
      rp_status_name ((int) rp_reply_status (reply)), rp_status_name ((int) status));
    rp_reply_destroy (&reply);
}

void pair_begin_connected (client_pair_t *pair)
{
    pair_begin (pair);
    pair_submit (pair->client, "first");
    puppet_greet (pair->broker);
    puppet_expect (pair->broker, RP_COMMAND_REQUEST);
}

static void *s_perform (void *arg)
{
    caller_t *self = arg;
    self->rc = rp_client_perform (self->client, &self->call, &self->reply);
    self->over = true;
    return NULL;
}

void caller_start (caller_t *self, rp_client_t *client, rp_call_t *call)
{
    assert_non_null (call);
    *self = (caller_t){.client = client, .call = call};
    assert_int_equal (pthread_create (&self->thread, NULL, s_perform, self), 0);
}

rp_reply_t *caller_end (caller_t *self)
{
    pthread_join (self->thread, NULL);
    assert_int_equal (self->rc, RP_OK);
    assert_null (self->call);
    return self->reply;
}

void pair_dead_endpoint (char *endpoint, size_t size)
{
    puppet_t *broker = puppet_new ();
    snprintf (endpoint, size, "%s", broker->endpoint);
    puppet_destroy (&broker);
}
