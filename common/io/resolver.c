/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io/clock.h"
#include "common/wire/advice.h"

/*  A result that nobody has taken for so long, µs, is dropped, and the name is looked up again.
    Longer than the pause between two attempts, so that the next attempt finds the result of a slow
    look-up.  */
#define S_FRESH_US 10000000

/*  Bytes of the longest answer of a name server.  */
#define S_ANSWER_MAX 65535u

/*  Bytes of a host name with its NUL; longer names do not resolve.  */
#define S_HOST_MAX 256

/*  The resolver and the thread share it; the last of the two frees it.  */
struct rp_lookup {
    rp_lookup_t *next; /* the resolver's */
    atomic_uint references;
    atomic_bool over; /* found and why have been written */
    bool done;
    int64_t ended;
    bool is_of_records; /* they are wanted, not the addresses of their hosts */
    rp_addresses_t found;
    rp_srv_t records;
    char why[RP_RESOLVER_TEXT_MAX];
    int descriptor; /* eventfd */
    char endpoint[];
};

/*  ---- In any thread -------------------------------------------------------------------------- */

static void s_add (rp_addresses_t *found, const char *endpoint, const struct addrinfo *info)
{
    char address[NI_MAXHOST];
    if (getnameinfo (
          info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST)
        == 0)
        rp_addresses_add (found, endpoint, address);
}

/*  Looks up the host of tcp://HOST:PORT, and adds its addresses.  */
static bool s_look_up_host (const char *endpoint, rp_addresses_t *found, char *why)
{
    // Both families: an address that this machine cannot reach is refused at once, and the next is
    // tried.
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char host[S_HOST_MAX];
    size_t size;
    const char *at = rp_address_host (endpoint, &size);
    snprintf (host, sizeof host, "%.*s", (int) size, at);
    int code = getaddrinfo (host, NULL, &hints, &list);
    int reason = errno;
    for (const struct addrinfo *info = list; code == 0 && info; info = info->ai_next)
        s_add (found, endpoint, info);
    if (code == 0)
        freeaddrinfo (list);
    if (found->count > 0)
        return true;
    snprintf (why, RP_RESOLVER_TEXT_MAX, "host %s " RP_REASON_UNRESOLVED ": %s", host,
      code == EAI_SYSTEM ? strerror (reason) : gai_strerror (code ? code : EAI_NONAME));
    return false;
}

/*  Says why a name has no SRV records.  */
static const char *s_srv_reason (int code)
{
    switch (code) {
        case HOST_NOT_FOUND:
            return "there is no such name";
        case TRY_AGAIN:
            return RP_REASON_UNANSWERED;
        case NO_DATA:
            return "it has no SRV record that names a host";
        default:
            return "the name server refuses, or its answer makes no sense";
    }
}

/*  Asks the name servers for SRV records. Returns 0, or why there are none, as h_errno has it.  */
static int s_ask_srv (const char *name, rp_srv_t *srv)
{
    struct __res_state state;
    memset (&state, 0, sizeof state);
    uint8_t *answer = malloc (S_ANSWER_MAX);
    if (!answer || res_ninit (&state) != 0) {
        free (answer);
        return NO_RECOVERY;
    }
    int size = res_nsearch (&state, name, RP_SRV_CLASS, RP_SRV_TYPE, answer, S_ANSWER_MAX);
    int code = state.res_h_errno;
    res_nclose (&state);
    bool read = size >= 0 && size <= (int) S_ANSWER_MAX && rp_srv_read (srv, answer, (size_t) size);
    free (answer);
    if (size < 0)
        return code == NETDB_INTERNAL ? TRY_AGAIN : code;
    return !read ? NO_RECOVERY : srv->count == 0 ? NO_DATA : 0;
}

/*  Finds the records of a name, and puts them in order.  */
static bool s_find_records (const char *endpoint, rp_srv_t *srv, char *why)
{
    const char *name = endpoint + strlen (RP_ADDRESS_SRV);
    int code = s_ask_srv (name, srv);
    if (code != 0) {
        snprintf (why, RP_RESOLVER_TEXT_MAX, "%.253s " RP_REASON_UNRESOLVED ": %s", name,
          s_srv_reason (code));
        return false;
    }
    rp_srv_order (srv, rp_clock_entropy ());
    return true;
}

/*  Finds the brokers that SRV records name.  */
static bool s_look_up_srv (const char *endpoint, rp_addresses_t *found, char *why)
{
    rp_srv_t srv;
    if (!s_find_records (endpoint, &srv, why))
        return false;
    for (size_t index = 0; index < srv.count; index++) {
        char host[RP_SRV_HOST_MAX + sizeof "tcp://:65535"];
        const rp_srv_record_t *record = &srv.records[index];
        snprintf (host, sizeof host, "tcp://%s:%u", record->host, (unsigned) record->port);
        (void) s_look_up_host (host, found, why); // why: of the last one, if none has an address
    }
    return found->count > 0;
}

bool rp_resolver_wait (const char *endpoint, rp_addresses_t *found, char *why)
{
    *found = (rp_addresses_t){0};
    return rp_address_is_srv (endpoint) ? s_look_up_srv (endpoint, found, why)
                                        : s_look_up_host (endpoint, found, why);
}

static void s_release (rp_lookup_t *self)
{
    if (atomic_fetch_sub (&self->references, 1) > 1)
        return;
    close (self->descriptor);
    free (self);
}

static void *s_look_up (void *argument)
{
    rp_lookup_t *self = argument;
    self->done = self->is_of_records ? s_find_records (self->endpoint, &self->records, self->why)
                                     : rp_resolver_wait (self->endpoint, &self->found, self->why);
    self->ended = rp_clock_us ();
    atomic_store (&self->over, true);
    (void) eventfd_write (self->descriptor, 1); // cannot fail: the counter was 0
    s_release (self);
    return NULL;
}

/*  ---- In the owner's thread ------------------------------------------------------------------ */

/*  Starts the thread with every signal blocked: signals are for the application's threads. 0 or an
    errno.  */
static int s_start (rp_lookup_t *self)
{
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all;
    sigset_t before;
    int rc = pthread_attr_init (&detached);
    if (rc != 0)
        return rc;
    sigfillset (&all);
    rc = pthread_attr_setdetachstate (&detached, PTHREAD_CREATE_DETACHED);
    if (rc == 0)
        rc = pthread_sigmask (SIG_SETMASK, &all, &before);
    if (rc == 0) {
        rc = pthread_create (&thread, &detached, s_look_up, self);
        pthread_sigmask (SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy (&detached);
    return rc;
}

static void s_leave (rp_resolver_t *self, rp_lookup_t *lookup)
{
    rp_lookup_t **place = &self->lookups;
    while (*place != lookup)
        place = &(*place)->next;
    *place = lookup->next;
    s_release (lookup);
}

/*  Finds the look-up of an endpoint that goes on, or has ended recently. Drops those that have ended before, of names
    too that nobody comes back to: brokers of SRV records come and go.  */
static rp_lookup_t *s_find (rp_resolver_t *self, const char *endpoint)
{
    rp_lookup_t *found = NULL;
    int64_t now = rp_clock_us ();
    for (rp_lookup_t *lookup = self->lookups, *next; lookup; lookup = next) {
        next = lookup->next;
        if (rp_lookup_is_over (lookup) && now - lookup->ended >= S_FRESH_US)
            s_leave (self, lookup);
        else if (strcmp (lookup->endpoint, endpoint) == 0)
            found = lookup;
    }
    return found;
}

rp_lookup_t *rp_resolver_begin (rp_resolver_t *self, const char *endpoint)
{
    rp_lookup_t *lookup = s_find (self, endpoint);
    if (lookup)
        return lookup;
    size_t size = strlen (endpoint) + 1;
    lookup = calloc (1, sizeof *lookup + size);
    if (!lookup)
        return NULL;
    memcpy (lookup->endpoint, endpoint, size);
    lookup->is_of_records = self->records && rp_address_is_srv (endpoint);
    lookup->descriptor = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_init (&lookup->references, 2);
    int error = lookup->descriptor >= 0 ? s_start (lookup) : errno;
    if (error) {
        if (lookup->descriptor >= 0)
            close (lookup->descriptor);
        free (lookup);
        errno = error;
        return NULL;
    }
    lookup->next = self->lookups;
    self->lookups = lookup;
    return lookup;
}

int rp_lookup_descriptor (const rp_lookup_t *self)
{
    return self->descriptor;
}

bool rp_lookup_is_over (const rp_lookup_t *self)
{
    return atomic_load (&self->over);
}

bool rp_resolver_take (
  rp_resolver_t *self, rp_lookup_t **lookup_p, rp_addresses_t *found, char *why)
{
    rp_lookup_t *lookup = *lookup_p;
    *lookup_p = NULL;
    bool done = lookup->done;
    *found = lookup->found;
    if (lookup->is_of_records)
        *self->records = lookup->records;
    memcpy (why, lookup->why, sizeof lookup->why);
    s_leave (self, lookup);
    return done;
}

void rp_resolver_clear (rp_resolver_t *self)
{
    while (self->lookups)
        s_leave (self, self->lookups);
}
