/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/transport/endpoint.h"

static bool s_is_ipc (const char *endpoint)
{
    return strncmp (endpoint, "ipc://", 6) == 0;
}

/*  key: NULL: no CURVE.  */
static rp_listener_t *s_open (
  rp_listeners_t *self, rp_listener_kind_t kind, const char *service, const uint8_t *key)
{
    char domain[255];
    const rp_listeners_options_t *options = &self->options;
    if (self->count == RP_LISTENERS_MAX) {
        errno = EMFILE;
        return NULL;
    }
    bool back = kind == RP_LISTENER_BACK;
    snprintf (domain, sizeof domain, "%s%s", back ? options->serve_domain : options->domain,
      back ? service : "");
    const rp_socket_security_t security = {.secret_key = key, .domain = domain};
    rp_listener_t *listener = &self->list[self->count];
    uint8_t number = (uint8_t) self->count++; // counted even if it fails, so that it is closed
    return rp_listener_open (listener, options->context, kind, number, service, options->max_frame,
             options->backlog, key ? &security : NULL)
             ? listener
             : NULL;
}

bool rp_listeners_init (rp_listeners_t *self, const rp_listeners_options_t *options)
{
    *self = (rp_listeners_t){.options = *options};
    return s_open (self, RP_LISTENER_OPEN, "", options->secret_key) != NULL;
}

void rp_listeners_clear (rp_listeners_t *self, int linger_ms)
{
    for (size_t index = 0; index < self->count; index++)
        rp_listener_close (&self->list[index], linger_ms);
    for (size_t index = 0; index < self->endpoint_count; index++)
        free (self->endpoints[index]);
    free (self->endpoints);
    self->endpoints = NULL;
    self->endpoint_count = self->count = 0;
}

/*  Binds with the permissions that ipc sockets are to have: there is no moment with others.  */
static char *s_bind_with_mode (
  const rp_listeners_t *self, const rp_listener_t *listener, const char *endpoint)
{
    if (!s_is_ipc (endpoint) || self->options.ipc_mode < 0)
        return rp_endpoint_bind (listener->socket, endpoint);
    mode_t before = umask ((mode_t) ~self->options.ipc_mode & 0777);
    char *real = rp_endpoint_bind (listener->socket, endpoint);
    int reason = errno;
    umask (before);
    errno = reason;
    return real;
}

static int s_bind (rp_listeners_t *self, const rp_listener_t *listener, const char *endpoint)
{
    char **grown = realloc (self->endpoints, (self->endpoint_count + 1) * sizeof *self->endpoints);
    if (!grown)
        return -1;
    self->endpoints = grown;
    char *real = s_bind_with_mode (self, listener, endpoint);
    if (!real)
        return -1;
    self->endpoints[self->endpoint_count++] = real;
    return 0;
}

/*  Binds on a listener beside listener 0, which is opened if *number is 0. key: NULL: no CURVE.  */
static int s_bind_beside (
  rp_listeners_t *self, uint8_t *number, const uint8_t *key, const char *endpoint)
{
    if (*number == 0) {
        const rp_listener_t *listener = s_open (self, RP_LISTENER_OPEN, "", key);
        if (!listener)
            return -1;
        *number = listener->number;
    }
    return s_bind (self, &self->list[*number], endpoint);
}

int rp_listeners_bind (rp_listeners_t *self, const char *endpoint)
{
    if (self->list[0].secure && s_is_ipc (endpoint))
        return s_bind_beside (self, &self->ipc, NULL, endpoint);
    return s_bind (self, &self->list[0], endpoint);
}

int rp_listeners_bind_next (rp_listeners_t *self, const char *endpoint)
{
    return s_bind_beside (self, &self->next, self->options.next_secret_key, endpoint);
}

int rp_listeners_bind_plain (
  rp_listeners_t *self, const char *service, rp_listener_kind_t kind, const char *endpoint)
{
    const uint8_t *key = s_is_ipc (endpoint) ? NULL : self->options.secret_key;
    const rp_listener_t *listener = s_open (self, kind, service, key);
    return listener ? s_bind (self, listener, endpoint) : -1;
}

const char *rp_listeners_endpoint (const rp_listeners_t *self, size_t index)
{
    return index < self->endpoint_count ? self->endpoints[index] : NULL;
}
