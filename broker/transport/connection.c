/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static rp_address_t s_address (int descriptor)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    rp_address_t address = {.family = AF_UNSPEC};
    if (getpeername (descriptor, (struct sockaddr *) &storage, &size) != 0)
        return address;
    if (storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) &storage;
        address.family = AF_INET6;
        address.port = in->sin_port;
        address.ip.s6_addr[10] = address.ip.s6_addr[11] = 0xff;
        memcpy (&address.ip.s6_addr[12], &in->sin_addr, sizeof in->sin_addr);
    }
    else if (storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *) &storage;
        address.family = AF_INET6;
        address.port = in->sin6_port;
        address.ip = in->sin6_addr;
    }
    else {
        address.family = storage.ss_family;
    }
    return address;
}

/*  The user whose process connected; nobody's number if that is not known.  */
static uid_t s_user (int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt (descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.uid
                                                                               : (uid_t) -1;
}

const char *rp_address_format (const rp_address_t *self, char *buffer)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (self->family == AF_UNIX) {
        snprintf (buffer, RP_ADDRESS_TEXT_MAX, "local");
    }
    else if (self->family != AF_INET6) {
        snprintf (buffer, RP_ADDRESS_TEXT_MAX, "?");
    }
    else if (IN6_IS_ADDR_V4MAPPED (&self->ip)) {
        inet_ntop (AF_INET, &self->ip.s6_addr[12], ip, sizeof ip);
        snprintf (buffer, RP_ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs (self->port));
    }
    else {
        inet_ntop (AF_INET6, &self->ip, ip, sizeof ip);
        snprintf (buffer, RP_ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs (self->port));
    }
    return buffer;
}

uint64_t rp_connection_cookie (int descriptor)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt (descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

rp_connection_t *rp_connection_new (int descriptor, uint8_t listener)
{
    rp_connection_t *self = calloc (1, sizeof *self);
    if (!self)
        return NULL;
    self->descriptor = descriptor;
    self->listener = listener;
    self->cookie = rp_connection_cookie (descriptor);
    self->address = s_address (descriptor);
    self->user = self->address.family == AF_UNIX ? s_user (descriptor) : (uid_t) -1;
    return self;
}

void rp_connection_destroy (rp_connection_t **self_p)
{
    free (*self_p);
    *self_p = NULL;
}

bool rp_connection_stands (const rp_connection_t *self)
{
    return self->cookie != 0 && rp_connection_cookie (self->descriptor) == self->cookie;
}

/*  Works on a copy of the descriptor, which keeps its socket even if libzmq closes the original. If
    no descriptor is left for a copy, the original is used: to abort matters more than the moment in
    which the descriptor may be reused.  */
bool rp_connection_abort (const rp_connection_t *self)
{
    if (self->cookie == 0)
        return false;
    int copy = fcntl (self->descriptor, F_DUPFD_CLOEXEC, 0);
    int one = copy < 0 ? self->descriptor : copy;
    bool same = rp_connection_cookie (one) == self->cookie;
    if (same)
        shutdown (one, SHUT_RDWR);
    if (copy >= 0)
        close (copy);
    return same;
}

static bool s_is_power_of_ten (uint64_t count)
{
    while (count % 10 == 0)
        count /= 10;
    return count == 1;
}

uint64_t rp_connection_count_error (rp_connection_t *self, uint64_t reason)
{
    if (self->error_reason != reason)
        self->error_count = 0;
    self->error_reason = reason;
    self->error_count++;
    return s_is_power_of_ten (self->error_count) ? self->error_count : 0;
}
