/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/io/clock.h"
#include "common/io/greeting.h"
#include "common/io/resolver.h"
#include "common/io/socket.h"
#include "common/wire/advice.h"
#include "common/wire/bundle.h"
#include "common/wire/limits.h"

#define S_EVENTS                                                                                   \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL                          \
      | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH                      \
      | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED)

/*  Longer than any literal address with a port; longer ones are no addresses.  */
#define S_ADDRESS_MAX 128u

/*  The status with which ZAP refuses a peer (ZeroMQ RFC 27).  */
#define S_DENIED 400u

struct rp_channel {
    void *context;
    const rp_curve_t *keys; /* NULL: none */
    rp_resolver_t resolver;
    rp_lookup_t *lookup; /* the look-up that is waited for; NULL: none */
    bool by_name;        /* opened with a host name and not closed yet */
    rp_addresses_t found;
    char why[RP_RESOLVER_TEXT_MAX];
    char path[sizeof ((struct sockaddr_un *) NULL)->sun_path]; /* of ipc; "" otherwise */
    void *socket;                                              /* NULL when closed */
    void *monitor;
    int descriptors[2];
    char address[S_ADDRESS_MAX]; /* of tcp; "" otherwise */
    rp_greeting_t greeting;
    bool greets;    /* the handshake ended without a reason; asks for the greeting */
    bool secure;    /* the connection uses the keys */
    bool connected; /* the handshake succeeded and nothing broke since */
    bool failed;
    bool armed;
    bool bundles;
    rp_message_t *bundle; /* the bundle being taken apart; NULL: none */
    uint8_t *bundle_data;
    size_t bundle_at;
    rp_message_pool_t *bundle_pool;
    uint8_t *outbox; /* the bundle being filled; RP_BUNDLE_MAX bytes */
    size_t outbox_size;
    size_t outbox_count;
};

rp_channel_t *rp_channel_new (void *context, const rp_curve_t *keys)
{
    rp_channel_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->context = context;
    self->keys = keys;
    return self;
}

void rp_channel_destroy (rp_channel_t **self_p)
{
    if (!*self_p)
        return;
    rp_channel_close (*self_p, 0);
    rp_resolver_clear (&(*self_p)->resolver);
    free ((*self_p)->outbox);
    free (*self_p);
    *self_p = NULL;
}

void rp_channel_abandon (rp_channel_t **self_p)
{
    if (!*self_p)
        return;
    (*self_p)->socket = NULL;
    (*self_p)->monitor = NULL;
    if ((*self_p)->bundle)
        rp_message_destroy ((*self_p)->bundle_pool, &(*self_p)->bundle);
    rp_channel_destroy (self_p);
}

static bool s_descriptor (void *socket, int *descriptor)
{
    size_t size = sizeof *descriptor;
    return zmq_getsockopt (socket, ZMQ_FD, descriptor, &size) == 0;
}

static int s_look_up (rp_channel_t *self, const char *endpoint)
{
    self->lookup = rp_resolver_begin (&self->resolver, endpoint);
    self->by_name = self->lookup != NULL;
    return self->by_name ? 0 : -1;
}

/*  Returns 0, or -1 with errno (EINVAL: bad endpoint).  */
static int s_connect (rp_channel_t *self, const char *endpoint)
{
    bool is_path = strncmp (endpoint, "ipc://", 6) == 0;
    snprintf (self->path, sizeof self->path, "%s", is_path ? endpoint + 6 : "");
    snprintf (self->address, sizeof self->address, "%s", is_path ? "" : endpoint);
    self->socket = rp_socket_dealer (self->context);
    if (!self->socket)
        return -1;
    self->secure = rp_curve_applies (self->keys, endpoint);
    if (self->secure && rp_socket_use_curve (self->socket, self->keys) != 0) {
        int error = errno;
        rp_channel_close (self, 0);
        errno = error;
        return -1;
    }
    // The number is random, so that it is unique among all channels of the context.
    self->monitor = rp_socket_monitor (self->context, self->socket, S_EVENTS, rp_clock_entropy ());
    if (self->monitor && rp_socket_connect (self->socket, endpoint) == 0
        && s_descriptor (self->socket, &self->descriptors[0])
        && s_descriptor (self->monitor, &self->descriptors[1]))
        return 0;
    int error = errno;
    rp_channel_close (self, 0);
    errno = error;
    return -1;
}

void rp_channel_want_records (rp_channel_t *self, rp_srv_t *records)
{
    self->resolver.records = records;
}

int rp_channel_open (rp_channel_t *self, const char *endpoint, const char **reason)
{
    rp_channel_close (self, 0);
    self->failed = false;
    self->armed = false;
    bool by_name = rp_address_is_name (endpoint);
    int rc = by_name ? s_look_up (self, endpoint) : s_connect (self, endpoint);
    if (rc != 0)
        *reason = errno == EMFILE || errno == ENFILE ? RP_REASON_DESCRIPTORS : zmq_strerror (errno);
    return rc;
}

void rp_channel_close (rp_channel_t *self, int linger_ms)
{
    self->lookup = NULL; // the look-up goes on: the next attempt may take its result
    self->by_name = false;
    if (self->greets)
        rp_greeting_end (&self->greeting);
    self->greets = false;
    if (!self->socket)
        return;
    rp_channel_flush (self);
    self->outbox_size = self->outbox_count = 0;
    self->bundles = false;
    if (self->bundle)
        rp_message_destroy (self->bundle_pool, &self->bundle);
    // Without a connection, the messages that are left will never be read.
    if (self->connected)
        (void) zmq_setsockopt (self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    rp_socket_close (self->socket, self->monitor);
    self->socket = NULL;
    self->monitor = NULL;
    self->connected = false;
}

bool rp_channel_is_open (const rp_channel_t *self)
{
    return self->socket || self->by_name;
}

/*  libzmq does not say why an endpoint could not be reached; for a path, the system does.  */
static const char *s_unreached (const char *path)
{
    bool is_file = *path && *path != '@';
    if (is_file && faccessat (AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno == EACCES)
        return RP_REASON_FORBIDDEN;
    return RP_REASON_UNREACHED;
}

#define S_NO_ZMTP "what listens there does not speak ZMTP, or hung up"

static bool s_is_denied (int event, uint32_t value)
{
    return event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && value == S_DENIED;
}

static const char *s_handshake_failure (const rp_channel_t *self, int event, uint32_t value)
{
    if (s_is_denied (event, value))
        return !self->secure         ? "it does not accept peers without a key"
               : self->keys->is_made ? RP_REASON_KEY_MADE
                                     : RP_REASON_KEY_DENIED;
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return "it could not check who this is; see its log";
    bool protocol = event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    if (protocol && value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        return self->secure ? RP_REASON_KEY_NEEDLESS : RP_REASON_KEY_MISSING;
    bool sealed = value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
                  || value == ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE;
    return self->secure && protocol && sealed ? RP_REASON_KEY_WRONG : S_NO_ZMTP;
}

/*  Says why a handshake ended without a reason, by the security mechanism in the greeting that was
    asked for afterwards.  */
static rp_channel_event_t s_greeted (rp_channel_t *self, const char **reason)
{
    rp_greeting_result_t result = rp_greeting_look (&self->greeting);
    if (result == RP_GREETING_WAITS)
        return RP_CHANNEL_NOTHING;
    self->greets = false;
    if (result == RP_GREETING_CURVE)
        *reason = self->secure ? RP_REASON_KEY_WRONG : RP_REASON_KEY_MISSING;
    else
        *reason = result == RP_GREETING_NULL && self->secure ? RP_REASON_KEY_NEEDLESS : S_NO_ZMTP;
    return RP_CHANNEL_FAILED;
}

static const char *s_failure (const rp_channel_t *self, int event, uint32_t value)
{
    switch (event) {
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return s_handshake_failure (self, event, value);
        case ZMQ_EVENT_DISCONNECTED:
            return self->connected ? "the connection broke" : "what listens there hung up";
        default:
            return s_unreached (self->path);
    }
}

const rp_addresses_t *rp_channel_found (const rp_channel_t *self)
{
    return &self->found;
}

static rp_channel_event_t s_looked_up (rp_channel_t *self, const char **reason)
{
    if (!rp_lookup_is_over (self->lookup))
        return RP_CHANNEL_NOTHING;
    if (rp_resolver_take (&self->resolver, &self->lookup, &self->found, self->why))
        return RP_CHANNEL_FOUND;
    *reason = self->why;
    return RP_CHANNEL_FAILED;
}

rp_channel_event_t rp_channel_next_event (rp_channel_t *self, const char **reason)
{
    uint32_t value;
    if (self->lookup)
        return s_looked_up (self, reason);
    if (self->greets)
        return s_greeted (self, reason);
    for (int event; self->socket && (event = rp_socket_next_event (self->monitor, &value)) != 0;) {
        if (self->failed)
            continue; // the end of one connection brings several events
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->connected = true;
            return RP_CHANNEL_CONNECTED;
        }
        *reason = s_failure (self, event, value);
        self->failed = true;
        self->connected = false;
        bool wordless = event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && value != EAGAIN;
        self->greets = wordless && rp_greeting_begin (&self->greeting, self->address);
        if (self->greets)
            return s_greeted (self, reason);
        return s_is_denied (event, value) ? RP_CHANNEL_DENIED : RP_CHANNEL_FAILED;
    }
    return RP_CHANNEL_NOTHING;
}

/*  Takes the next message of the current bundle, if there is one.  */
static rp_received_t s_unbundle (rp_channel_t *self, rp_message_t **message_p)
{
    if (!self->bundle)
        return RP_RECEIVED_NONE;
    rp_received_t result =
      rp_message_unbundle (self->bundle_pool, self->bundle, &self->bundle_at, message_p);
    if (result == RP_RECEIVED_NONE)
        rp_message_destroy (self->bundle_pool, &self->bundle);
    return result;
}

uint8_t *rp_channel_unbundle (rp_channel_t *self, size_t *size)
{
    if (!self->bundle)
        return NULL;
    uint8_t *at = rp_bundle_next (self->bundle_data, self->bundle->bytes, &self->bundle_at, size);
    if (!at)
        rp_message_destroy (self->bundle_pool, &self->bundle);
    return at;
}

rp_received_t rp_channel_receive (
  rp_channel_t *self, rp_message_pool_t *pool, size_t max_bytes, rp_message_t **message_p)
{
    *message_p = NULL;
    if (!self->socket)
        return RP_RECEIVED_NONE;
    rp_received_t result = s_unbundle (self, message_p);
    if (result != RP_RECEIVED_NONE)
        return result;
    result = rp_message_receive (pool, self->socket, RP_FRAMES_MAX, max_bytes, message_p);
    self->armed = result == RP_RECEIVED_NONE;
    if (result == RP_RECEIVED && (*message_p)->count == 1 // WELCOME may be the first in a bundle
        && rp_bundle_is_valid (rp_message_data (*message_p), rp_message_size (*message_p))) {
        self->bundle = *message_p;
        self->bundle_data = rp_message_data (self->bundle);
        self->bundle_at = 0;
        self->bundle_pool = pool;
        result = s_unbundle (self, message_p);
    }
    return result;
}

/*  Before the connection stands and after it broke, libzmq would keep a message and never send
    it.  */
static bool s_may_send (rp_channel_t *self)
{
    if (!self->connected)
        errno = EAGAIN;
    else
        self->armed = false;
    return self->connected;
}

static int s_send_frame (rp_channel_t *self, zmq_msg_t *frame)
{
    int rc;
    do
        rc = zmq_msg_send (frame, self->socket, ZMQ_DONTWAIT);
    while (rc == -1 && errno == EINTR);
    int reason = errno;
    zmq_msg_close (frame);
    errno = reason;
    return rc == -1 ? -1 : 0;
}

void rp_channel_set_bundles (rp_channel_t *self)
{
    if (!self->outbox)
        self->outbox = malloc (RP_BUNDLE_MAX);
    self->bundles = self->outbox != NULL; // without this memory, messages go one by one
}

size_t rp_channel_waiting (const rp_channel_t *self)
{
    return self->outbox_size;
}

bool rp_channel_flush (rp_channel_t *self)
{
    if (self->outbox_count == 0 || !s_may_send (self))
        return false;
    size_t skip = self->outbox_count > 1 ? 0 : RP_BUNDLE_HEAD + RP_BUNDLE_ENTRY_HEAD;
    size_t size = self->outbox_size - skip;
    zmq_msg_t frame;
    if (zmq_msg_init_size (&frame, size) != 0)
        return false;
    memcpy (zmq_msg_data (&frame), self->outbox + skip, size);
    if (s_send_frame (self, &frame) == 0)
        self->outbox_size = self->outbox_count = 0;
    return true;
}

bool rp_channel_bundles (const rp_channel_t *self, size_t size)
{
    return self->bundles && self->connected && size <= RP_BUNDLE_MESSAGE_MAX;
}

uint8_t *rp_channel_room (rp_channel_t *self, size_t size)
{
    if (!rp_channel_bundles (self, size))
        return NULL;
    if (self->outbox_size + RP_BUNDLE_ENTRY_HEAD + size > RP_BUNDLE_MAX)
        rp_channel_flush (self);
    if (self->outbox_size + RP_BUNDLE_ENTRY_HEAD + size > RP_BUNDLE_MAX)
        return NULL;
    if (self->outbox_count++ == 0) {
        rp_bundle_write_head (self->outbox);
        self->outbox_size = RP_BUNDLE_HEAD;
    }
    uint8_t *at = rp_bundle_write_entry_head (self->outbox + self->outbox_size, size);
    self->outbox_size += RP_BUNDLE_ENTRY_HEAD + size;
    return at;
}

/*  Sends the outbox first, to keep the order. False if that failed: then nothing can be sent.  */
static bool s_go_behind (rp_channel_t *self)
{
    rp_channel_flush (self);
    if (self->outbox_count > 0)
        errno = EAGAIN;
    return self->outbox_count == 0;
}

int rp_channel_send (rp_channel_t *self, rp_message_pool_t *pool, rp_message_t **message_p)
{
    if (!s_may_send (self) || !s_go_behind (self))
        return -1;
    return rp_message_send (pool, self->socket, NULL, 0, message_p);
}

int rp_channel_send_head (rp_channel_t *self, const rp_head_t *head)
{
    size_t size = rp_wire_size (head);
    uint8_t *room = rp_channel_room (self, size);
    if (room) {
        rp_wire_encode (head, room, size);
        return 0;
    }
    zmq_msg_t frame;
    if (!s_may_send (self) || !s_go_behind (self) || zmq_msg_init_size (&frame, size) != 0)
        return -1;
    if (rp_wire_encode (head, zmq_msg_data (&frame), size) == size)
        return s_send_frame (self, &frame);
    zmq_msg_close (&frame);
    errno = EMSGSIZE;
    return -1;
}

bool rp_channel_is_armed (const rp_channel_t *self)
{
    return !self->socket || (self->armed && !self->bundle);
}

int rp_channel_event_descriptor (const rp_channel_t *self)
{
    return self->socket ? self->descriptors[1] : -1;
}

int rp_channel_descriptors (const rp_channel_t *self, int *descriptors)
{
    if (self->greets) {
        descriptors[0] = self->greeting.descriptor;
        return 1;
    }
    if (self->socket) {
        descriptors[0] = self->descriptors[0];
        descriptors[1] = self->descriptors[1];
        return 2;
    }
    if (!self->lookup)
        return 0;
    descriptors[0] = rp_lookup_descriptor (self->lookup);
    return 1;
}
