/*  riposte bench: clients that speak Majordomo 0.1 (rfc.zeromq.org/spec/7).

    SPDX-License-Identifier: MPL-2.0

    One thread does all the work of a client. A REQ socket could have one request open; this DEALER
    can have many: it sends the empty frame itself, as REQ does, with a number in front of it that
    comes back with the reply. The protocol has no statuses: a request without an answer within
    --timeout is counted as UNKNOWN.
*/

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/bench.h"
#include "common/io/channel.h"
#include "common/io/clock.h"
#include "common/io/context.h"

#define S_PROTOCOL "MDPC01"
/*  An interrupt and an overdue request are seen this much later, µs.  */
#define S_SLICE_US 100000
#define S_REPLY_MAX ((size_t) 1 << 31)

/*  A slot for one request. The reply brings back its number, which contains the serial, so that a
    reply that comes too late is recognised.  */
typedef struct {
    int64_t start;
    uint32_t serial;
    bool open;
} s_place_t;

struct rp_bench_mdp {
    rp_curve_t keys;
    void *context;
    rp_channel_t *channel;
    rp_message_pool_t messages;
    s_place_t *places;
    uint32_t *spare; /* stack of free slots */
    uint32_t spare_count;
    uint32_t count;
    int64_t looked; /* when overdue requests were last looked for */
    bool broken;
};

/*  ---- Life ----------------------------------------------------------------------------------- */

/*  Waits until a descriptor is readable, at most until the given time.  */
static void s_wait (const rp_bench_mdp_t *self, int64_t until)
{
    int descriptors[2];
    struct pollfd items[2];
    int count = rp_channel_descriptors (self->channel, descriptors);
    for (int index = 0; index < count; index++)
        items[index] = (struct pollfd){.fd = descriptors[index], .events = POLLIN};
    int64_t left = until - rp_clock_us ();
    if (left <= 0)
        return;
    struct timespec time = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    (void) ppoll (items, (nfds_t) count, &time, NULL);
}

/*  RP_OK when the connection stands. Tries each address of a name.  */
static int s_connect (rp_bench_mdp_t *self, const rp_cli_options_t *options, const char **why)
{
    const rp_addresses_t *found = rp_channel_found (self->channel);
    size_t next = 0;
    bool opened = rp_channel_open (self->channel, options->server, why) == 0;
    int64_t until = rp_clock_us () + options->wait_broker;
    while (opened && !rp_cli_interrupted ()) {
        int64_t now = rp_clock_us ();
        rp_channel_event_t event = rp_channel_next_event (self->channel, why);
        switch (event) {
            case RP_CHANNEL_CONNECTED:
                return RP_OK;
            case RP_CHANNEL_FOUND:
            case RP_CHANNEL_FAILED:
            case RP_CHANNEL_DENIED:
                if (next == found->count)
                    return event == RP_CHANNEL_DENIED ? RP_DENIED : RP_NO_BROKER;
                opened = rp_channel_open (self->channel, found->endpoints[next++], why) == 0;
                continue;
            case RP_CHANNEL_NOTHING:
                break;
        }
        if (now >= until)
            return RP_NO_BROKER;
        s_wait (self, until - now > S_SLICE_US ? now + S_SLICE_US : until);
    }
    return opened ? RP_INTERRUPTED : RP_SYSTEM;
}

/*  Returns 0, or the exit code after an error was written.  */
static int s_take_keys (rp_curve_t *keys, const rp_cli_options_t *options)
{
    int rc = options->key_file ? rp_curve_set_key_file (keys, options->key_file) : RP_OK;
    if (rc == RP_OK && options->server_key)
        rc = rp_curve_set_server_key (keys, options->server_key);
    if (rc == RP_OK)
        rc = rp_curve_complete (keys);
    return rc == RP_OK ? 0 : rp_cli_usage ("%s", keys->problem);
}

rp_bench_mdp_t *rp_bench_mdp_new (const rp_cli_t *cli, uint32_t inflight, int *code)
{
    rp_bench_mdp_t *self = calloc (1, sizeof *self);
    if (!self)
        rp_output_no_memory ();
    self->count = self->spare_count = inflight;
    self->places = calloc (inflight, sizeof *self->places);
    self->spare = calloc (inflight, sizeof *self->spare);
    self->context = rp_context_acquire ();
    self->channel = self->context ? rp_channel_new (self->context, &self->keys) : NULL;
    if (!self->places || !self->spare || !self->channel)
        rp_output_no_memory ();
    self->messages.largest = inflight;
    for (uint32_t index = 0; index < inflight; index++)
        self->spare[index] = index;
    const char *why = "no answer";
    *code = s_take_keys (&self->keys, &cli->options);
    int rc = *code == 0 ? s_connect (self, &cli->options, &why) : RP_USAGE;
    if (rc == RP_OK)
        return self;
    rp_error_t error = {.status = rc, .why = why, .server = cli->options.server};
    if (*code == 0)
        *code = rp_cli_tell (cli, &error);
    rp_bench_mdp_destroy (&self);
    return NULL;
}

void rp_bench_mdp_destroy (rp_bench_mdp_t **self_p)
{
    rp_bench_mdp_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    rp_message_pool_clear (&self->messages);
    rp_channel_destroy (&self->channel);
    rp_context_release (self->context);
    rp_curve_forget (&self->keys);
    free (self->spare);
    free (self->places);
    free (self);
}

/*  ---- One request ---------------------------------------------------------------------------- */

static void s_fail (rp_bench_client_t *client, rp_status_t status, const char *why, int64_t now)
{
    rp_error_t error = {.status = (int) status,
      .service = client->bench->service,
      .why = why,
      .server = client->bench->cli->options.server,
      .next = "the protocol has no statuses; see: riposte services"};
    rp_bench_note_failure (client, &error, now);
}

static uint64_t s_number (const rp_bench_mdp_t *self, uint32_t place)
{
    return (uint64_t) self->places[place].serial << 32 | place;
}

static rp_message_t *s_message (rp_bench_mdp_t *self, const rp_bench_t *bench, uint64_t number)
{
    rp_message_t *message = rp_message_new (&self->messages, sizeof number);
    if (!message || !rp_message_add_frames (message, 4)
        || !rp_message_fill_frame (message, 2, S_PROTOCOL, strlen (S_PROTOCOL))
        || !rp_message_fill_frame (message, 3, bench->service, strlen (bench->service))
        || !rp_message_fill_frame (message, 4, bench->body, bench->size))
        rp_output_no_memory ();
    memcpy (rp_message_data (message), &number, sizeof number); // read by this client only
    return message;
}

/*  Sends a request. There must be a free slot.  */
static void s_send (rp_bench_client_t *client, int64_t start)
{
    rp_bench_mdp_t *self = client->mdp;
    uint32_t place = self->spare[--self->spare_count];
    s_place_t *at = &self->places[place];
    *at = (s_place_t){.start = start, .serial = at->serial + 1, .open = true};
    rp_message_t *message = s_message (self, client->bench, s_number (self, place));
    if (rp_channel_send (self->channel, &self->messages, &message) == 0)
        return;
    rp_message_destroy (&self->messages, &message);
    self->broken = true; // so that this request ends with all others
}

static void s_close (rp_bench_mdp_t *self, uint32_t place)
{
    self->places[place].open = false;
    self->spare[self->spare_count++] = place;
}

static void s_take (rp_bench_client_t *client, rp_message_t *message)
{
    rp_bench_mdp_t *self = client->mdp;
    uint64_t number;
    if (rp_message_size (message) != sizeof number)
        return;
    memcpy (&number, rp_message_data (message), sizeof number);
    uint32_t place = (uint32_t) number;
    if (place >= self->count || !self->places[place].open || s_number (self, place) != number)
        return;
    rp_bench_note_ok (client, self->places[place].start, rp_clock_us ());
    s_close (self, place);
}

/*  True if a message came.  */
static bool s_receive (rp_bench_client_t *client)
{
    rp_bench_mdp_t *self = client->mdp;
    bool came = false;
    for (rp_received_t received = RP_RECEIVED; received != RP_RECEIVED_NONE; came = true) {
        rp_message_t *message = NULL;
        received = rp_channel_receive (self->channel, &self->messages, S_REPLY_MAX, &message);
        if (received == RP_RECEIVED)
            s_take (client, message);
        rp_message_destroy (&self->messages, &message);
        self->broken = self->broken || received == RP_RECEIVED_ERROR;
        if (received == RP_RECEIVED_NONE || self->broken)
            break;
    }
    return came;
}

/*  Ends the requests that have waited too long; all of them if the connection broke.  */
static void s_end_overdue (rp_bench_client_t *client, int64_t now)
{
    rp_bench_mdp_t *self = client->mdp;
    const char *reason;
    self->broken =
      self->broken || rp_channel_next_event (self->channel, &reason) == RP_CHANNEL_FAILED;
    int64_t oldest = now - client->bench->cli->options.timeout;
    for (uint32_t place = 0; place < self->count; place++) {
        s_place_t *at = &self->places[place];
        if (!at->open || (!self->broken && at->start > oldest))
            continue;
        s_fail (client, RP_UNKNOWN,
          self->broken ? "the connection broke" : "no answer within --timeout", now);
        s_close (self, place);
    }
    self->looked = now;
}

/*  ---- The loop ------------------------------------------------------------------------------- */

/*  Sends the requests that are due and have room. Returns when the next is due: now, if there was
    no room; INT64_MAX if there is none.  */
static int64_t s_send_open (rp_bench_client_t *client, uint64_t *number)
{
    rp_bench_t *bench = client->bench;
    for (;; *number += bench->client_count) {
        int64_t now = rp_clock_us ();
        int64_t due = rp_bench_due (bench, *number);
        if (due >= bench->end || (bench->count > 0 && *number >= bench->count))
            return INT64_MAX;
        if (due > now)
            return due;
        if (client->mdp->spare_count > 0)
            s_send (client, due);
        else if (rp_bench_is_too_late (bench, now))
            client->counts.unsent++;
        else
            return now;
    }
}

static int64_t s_send_closed (rp_bench_client_t *client)
{
    int64_t now = rp_clock_us ();
    for (; client->mdp->spare_count > 0; now = rp_clock_us ()) {
        if (!rp_bench_may_begin (client->bench, now))
            return INT64_MAX;
        s_send (client, now);
    }
    return now;
}

void *rp_bench_mdp_run (void *arg)
{
    rp_bench_client_t *client = arg;
    rp_bench_t *bench = client->bench;
    rp_bench_mdp_t *self = client->mdp;
    uint64_t number = client->number;
    int64_t due = rp_bench_sleep (bench, bench->begin);
    if (self->broken) // in the previous phase: a request of this one cannot be sent
        s_fail (client, RP_NO_BROKER, "the connection broke", due);
    while (!rp_bench_stops (bench)) {
        if (due != INT64_MAX && !self->broken)
            due = bench->rate > 0 ? s_send_open (client, &number) : s_send_closed (client);
        bool came = s_receive (client);
        int64_t now = rp_clock_us ();
        if (self->broken || now - self->looked >= S_SLICE_US)
            s_end_overdue (client, now);
        bool more = due != INT64_MAX && !self->broken;
        if (!more && self->spare_count == self->count)
            break;
        if (!came)
            s_wait (self, due > now && due < now + S_SLICE_US ? due : now + S_SLICE_US);
    }
    sem_post (&bench->over);
    return NULL;
}
