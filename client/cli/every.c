/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/every.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/listing.h"
#include "common/io/clock.h"
#include "common/io/endpoint_list.h"
#include "common/io/resolver.h"
#include "common/wire/advice.h"

/*  Endpoints of one list, as the client library takes them.  */
#define S_ENDPOINTS_MAX 16u
/*  How long a signal may not be noticed.  */
#define S_SLICE_MS 200

typedef struct {
    const rp_cli_t *cli;
    rp_cli_t *brokers; /* each with its own client */
    size_t count;
    json_t *seen; /* the instances that were asked */
    int code;     /* the first that is not 0 */
} s_every_t;

static void s_note (s_every_t *self, int code)
{
    if (self->code == 0)
        self->code = code;
}

/*  Adds a broker, and begins to connect. endpoint: outlives self.  */
static void s_add (s_every_t *self, const char *endpoint)
{
    rp_cli_t *one = &self->brokers[self->count++];
    *one = *self->cli;
    one->options.server = endpoint;
    one->options.output = RP_OUTPUT_TABLE; // errors are lines, since others may answer
    int code = rp_cli_begin (one, 1);
    if (code == 0)
        (void) rp_client_connect (one->client, 0); // rp_cli_await says what is wrong
    else
        rp_client_destroy (&one->client);
    s_note (self, code);
}

/*  Waits until a name has been looked up, at most until that time. False, with the reason, if it has no
    address.  */
static bool s_look_up (
  rp_resolver_t *resolver, rp_lookup_t *lookup, int64_t until, rp_addresses_t *found, char *why)
{
    while (
      lookup && !rp_lookup_is_over (lookup) && rp_clock_us () < until && !rp_cli_interrupted ()) {
        struct pollfd item = {.fd = rp_lookup_descriptor (lookup), .events = POLLIN};
        (void) poll (&item, 1, S_SLICE_MS);
    }
    if (lookup && rp_lookup_is_over (lookup))
        return rp_resolver_take (resolver, &lookup, found, why);
    snprintf (why, RP_RESOLVER_TEXT_MAX, RP_REASON_UNANSWERED);
    return false;
}

/*  Adds each address of the name of an endpoint. addresses: outlive self.  */
static void s_add_name (s_every_t *self, const char *endpoint, rp_addresses_t *addresses)
{
    char why[RP_RESOLVER_TEXT_MAX];
    rp_resolver_t resolver = {0};
    rp_lookup_t *lookup = rp_resolver_begin (&resolver, endpoint);
    int64_t until = rp_clock_us () + self->cli->options.timeout;
    if (s_look_up (&resolver, lookup, until, addresses, why))
        for (size_t index = 0; index < addresses->count; index++)
            s_add (self, addresses->endpoints[index]);
    else {
        rp_error_t error = {.status = rp_cli_interrupted () ? RP_INTERRUPTED : RP_NO_BROKER,
          .why = why,
          .server = endpoint};
        rp_cli_tell_line (self->cli, "", &error);
        s_note (self, rp_cli_exit_code (error.status));
    }
    rp_resolver_clear (&resolver);
}

/*  Asks a broker that may be there, unless it was asked already.  */
static void s_ask (s_every_t *self, rp_cli_t *one, int64_t begun, rp_every_ask_fn *ask, void *arg)
{
    int code = rp_cli_await (one, begun);
    json_t *status = code == 0 ? rp_listing_ask_again (one, "riposte.status", &code) : NULL;
    const char *instance = json_string_value (json_object_get (status, "instance"));
    if (status && (!instance || !json_object_get (self->seen, instance))) {
        if (instance)
            rp_output_set (self->seen, instance, json_true ());
        code = ask (one, status, arg);
    }
    json_decref (status);
    s_note (self, code);
}

int rp_every_ask (rp_cli_t *self, rp_every_ask_fn *ask, void *arg)
{
    const char *endpoints[S_ENDPOINTS_MAX];
    int code = rp_cli_begin (self, 1); // says what is wrong with list or keys, and once
    if (code != 0)
        return code;
    s_every_t every = {.cli = self, .seen = json_object ()};
    every.brokers = calloc ((size_t) S_ENDPOINTS_MAX * RP_ADDRESSES_MAX, sizeof *every.brokers);
    rp_addresses_t *addresses = calloc (S_ENDPOINTS_MAX, sizeof *addresses);
    char *text = strdup (self->options.server);
    if (!every.seen || !every.brokers || !addresses || !text)
        rp_output_no_memory ();
    size_t count = rp_endpoint_list_endpoints (text, endpoints, S_ENDPOINTS_MAX);
    for (size_t index = 0; index < count; index++)
        if (rp_address_is_name (endpoints[index]))
            s_add_name (&every, endpoints[index], &addresses[index]);
        else
            s_add (&every, endpoints[index]);
    int64_t begun = rp_clock_us ();
    for (size_t index = 0; index < every.count; index++) {
        if (every.brokers[index].client && !rp_cli_interrupted ())
            s_ask (&every, &every.brokers[index], begun, ask, arg);
        rp_client_destroy (&every.brokers[index].client);
    }
    json_decref (every.seen);
    free (every.brokers);
    free (addresses);
    free (text);
    return rp_cli_interrupted () ? rp_status_exit_code (RP_INTERRUPTED) : every.code;
}

/*  ---- Lists ---------------------------------------------------------------------------------- */

typedef struct {
    const char *service;
    const char *list;
    json_t *items;
    bool answered; /* a broker has */
} s_listing_t;

static int s_ask_list (rp_cli_t *one, json_t *status, void *arg)
{
    (void) status;
    s_listing_t *self = arg;
    int code = 0;
    size_t index;
    json_t *item;
    json_t *answer = rp_listing_ask_again (one, self->service, &code);
    self->answered |= answer != NULL;
    json_array_foreach (json_object_get (answer, self->list), index, item)
    {
        rp_output_set (item, "broker", rp_output_text (one->options.server));
        if (json_array_append (self->items, item) != 0)
            rp_output_no_memory ();
    }
    json_decref (answer);
    return code;
}

json_t *rp_every_list (rp_cli_t *self, const char *service, const char *list, int *code)
{
    s_listing_t listing = {.service = service, .list = list, .items = json_array ()};
    if (!listing.items)
        rp_output_no_memory ();
    *code = rp_listing_check (self);
    if (*code == 0)
        *code = rp_every_ask (self, s_ask_list, &listing);
    if (!listing.answered) {
        json_decref (listing.items);
        return NULL;
    }
    return json_pack ("{s:o}", list, listing.items);
}
