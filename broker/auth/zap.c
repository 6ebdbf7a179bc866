/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/auth/zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.h>

#include "common/base/check.h"

#define S_ENDPOINT "inproc://zeromq.zap.01"
/*  Frames of a request: version, request id, domain, address, routing id, mechanism, credentials (RFC
    27). CURVE has one frame of credentials.  */
#define S_FRAMES 7u
#define S_FRAME_MAX 255u

struct rp_zap {
    void *socket;
    int stop; /* an eventfd */
    pthread_t thread;
    pthread_mutex_t lock; /* of credentials */
    rp_credentials_t *credentials;
    atomic_uint_fast64_t accepted;
    atomic_uint_fast64_t refused;
};

typedef struct {
    size_t size;
    uint8_t data[S_FRAME_MAX + 1]; /* NUL-terminated */
} s_frame_t;

typedef struct {
    s_frame_t frames[S_FRAMES];
    size_t count;
    bool malformed; /* too many frames, or too large ones */
} s_request_t;

/*  What is answered.  */
typedef struct {
    const char *code;
    const char *text;
    char user[RP_PRINCIPAL_MAX + 1];
    uint8_t metadata[1 + sizeof RP_ZAP_KEY + 4 + RP_KEY_TEXT];
    size_t metadata_size;
} s_answer_t;

static bool s_is (const s_frame_t *frame, const char *text)
{
    return frame->size == strlen (text) && memcmp (frame->data, text, frame->size) == 0;
}

/*  Receives one request, however malformed. False if there is none.  */
static bool s_receive (void *socket, s_request_t *request)
{
    *request = (s_request_t){0};
    bool more = true;
    while (more) {
        zmq_msg_t message;
        zmq_msg_init (&message);
        if (zmq_msg_recv (&message, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close (&message);
            return false;
        }
        size_t size = zmq_msg_size (&message);
        more = zmq_msg_more (&message);
        if (request->count == S_FRAMES || size > S_FRAME_MAX) {
            request->malformed = true;
        }
        else {
            s_frame_t *frame = &request->frames[request->count++];
            memcpy (frame->data, zmq_msg_data (&message), size);
            frame->size = size;
        }
        zmq_msg_close (&message);
    }
    return true;
}

/*  Writes one property as libzmq reads them: sizes of one and four bytes.  */
static void s_add_property (s_answer_t *answer, const char *name, const char *value)
{
    uint8_t *at = answer->metadata;
    size_t name_size = strlen (name);
    size_t value_size = strlen (value);
    *at++ = (uint8_t) name_size;
    memcpy (at, name, name_size);
    at += name_size;
    memset (at, 0, 3);
    at[3] = (uint8_t) value_size;
    memcpy (at + 4, value, value_size);
    answer->metadata_size = (size_t) (at + 4 + value_size - answer->metadata);
}

/*  True if the key may come in through this domain. The credentials must be locked.  */
static bool s_may_enter (const rp_zap_t *self, const char *domain, const char *principal)
{
    size_t serve = strlen (RP_ZAP_SERVE);
    if (strcmp (domain, RP_ZAP_DOMAIN) == 0)
        return true;
    const rp_rules_t *rules = rp_credentials_rules (self->credentials);
    return strncmp (domain, RP_ZAP_SERVE, serve) == 0 && rules
           && rp_rules_allow (
             rules, principal, RP_RULE_SERVE, domain + serve, strlen (domain + serve));
}

static void s_decide (rp_zap_t *self, const s_request_t *request, s_answer_t *answer)
{
    const s_frame_t *frames = request->frames;
    *answer = (s_answer_t){.code = "400", .text = "not authorized"};
    if (request->malformed || request->count != S_FRAMES || !s_is (&frames[0], "1.0")
        || !s_is (&frames[5], "CURVE") || frames[6].size != RP_KEY_SIZE)
        return;
    char key[RP_KEY_TEXT];
    rp_key_format (frames[6].data, key);
    RP_CHECK (pthread_mutex_lock (&self->lock) == 0);
    const char *principal = rp_credentials_principal (self->credentials, frames[6].data);
    if (principal && s_may_enter (self, (const char *) frames[2].data, principal)) {
        answer->code = "200";
        answer->text = "OK";
        strcpy (answer->user, principal);
        s_add_property (answer, RP_ZAP_KEY, key);
    }
    RP_CHECK (pthread_mutex_unlock (&self->lock) == 0);
}

/*  Sends the answer. libzmq, which asked in this process, takes it; if it cannot, the handshake does not
    go on.  */
static void s_answer (void *socket, const s_request_t *request, const s_answer_t *answer)
{
    const struct {
        const void *data;
        size_t size;
    } frames[] = {
      {"1.0", 3},
      {request->frames[1].data, request->count > 1 ? request->frames[1].size : 0},
      {answer->code, 3},
      {answer->text, strlen (answer->text)},
      {answer->user, strlen (answer->user)},
      {answer->metadata, answer->metadata_size},
    };
    const size_t count = sizeof frames / sizeof *frames;
    for (size_t index = 0; index < count; index++)
        if (zmq_send (socket, frames[index].data, frames[index].size,
              ZMQ_DONTWAIT | (index + 1 < count ? ZMQ_SNDMORE : 0))
            < 0)
            return;
}

static void s_serve (rp_zap_t *self)
{
    s_request_t request;
    while (s_receive (self->socket, &request)) {
        s_answer_t answer;
        s_decide (self, &request, &answer);
        s_answer (self->socket, &request, &answer);
        atomic_fetch_add (*answer.code == '2' ? &self->accepted : &self->refused, 1);
    }
}

static void *s_run (void *arg)
{
    rp_zap_t *self = arg;
    zmq_pollitem_t items[] = {
      {.socket = self->socket, .events = ZMQ_POLLIN}, {.fd = self->stop, .events = ZMQ_POLLIN}};
    while (!(items[1].revents & ZMQ_POLLIN)) {
        if (zmq_poll (items, 2, -1) < 0 && errno != EINTR)
            break; // the context ends
        s_serve (self);
    }
    zmq_close (self->socket);
    return NULL;
}

/*  Starts the thread with every signal blocked: signals are for the server's thread.  */
static int s_start (rp_zap_t *self)
{
    sigset_t all;
    sigset_t before;
    sigfillset (&all);
    int rc = pthread_sigmask (SIG_SETMASK, &all, &before);
    if (rc != 0)
        return rc;
    rc = pthread_create (&self->thread, NULL, s_run, self);
    RP_CHECK (pthread_sigmask (SIG_SETMASK, &before, NULL) == 0);
    return rc;
}

rp_zap_t *rp_zap_new (void *context, rp_credentials_t *credentials)
{
    static const int no_linger = 0;
    rp_zap_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->stop = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->socket = self->stop < 0 ? NULL : zmq_socket (context, ZMQ_REP);
    bool bound = self->socket
                 && zmq_setsockopt (self->socket, ZMQ_LINGER, &no_linger, sizeof no_linger) == 0
                 && zmq_bind (self->socket, S_ENDPOINT) == 0;
    int reason = errno;
    self->credentials = rp_credentials_hold (credentials);
    if (bound) {
        RP_CHECK (pthread_mutex_init (&self->lock, NULL) == 0);
        reason = s_start (self);
        if (reason == 0)
            return self;
    }
    if (self->socket)
        zmq_close (self->socket);
    if (self->stop >= 0)
        close (self->stop);
    rp_credentials_release (&self->credentials);
    free (self);
    errno = reason;
    return NULL;
}

void rp_zap_destroy (rp_zap_t **self_p)
{
    rp_zap_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    uint64_t one = 1;
    RP_CHECK (write (self->stop, &one, sizeof one) == (ssize_t) sizeof one);
    RP_CHECK (pthread_join (self->thread, NULL) == 0);
    RP_CHECK (pthread_mutex_destroy (&self->lock) == 0);
    close (self->stop);
    rp_credentials_release (&self->credentials);
    free (self);
}

void rp_zap_change (rp_zap_t *self, rp_credentials_t *credentials)
{
    RP_CHECK (pthread_mutex_lock (&self->lock) == 0);
    rp_credentials_t *before = self->credentials;
    self->credentials = rp_credentials_hold (credentials);
    RP_CHECK (pthread_mutex_unlock (&self->lock) == 0);
    rp_credentials_release (&before);
}

rp_zap_counts_t rp_zap_counts (const rp_zap_t *self)
{
    return (rp_zap_counts_t){
      .accepted = atomic_load (&self->accepted), .refused = atomic_load (&self->refused)};
}
