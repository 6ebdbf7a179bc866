/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/greeting.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*  Where the mechanism's name begins in a greeting, and how many bytes it has, padded with
    zeros.  */
#define S_MECHANISM 12
#define S_MECHANISM_SIZE 20

/*  Longest literal IPv6 address with a zone.  */
#define S_HOST_MAX 96

static bool s_resolve (const char *endpoint, struct addrinfo **found)
{
    static const struct addrinfo hints = {
      .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    char host[S_HOST_MAX];
    const char *colon = strrchr (endpoint, ':');
    if (strncmp (endpoint, "tcp://", 6) != 0 || colon < endpoint + 6)
        return false;
    const char *at = endpoint + 6;
    size_t size = (size_t) (colon - at);
    bool bracketed = size > 2 && *at == '[';
    snprintf (host, sizeof host, "%.*s", (int) (bracketed ? size - 2 : size), at + bracketed);
    return getaddrinfo (host, colon + 1, &hints, found) == 0; // literals are not looked up
}

/*  A descriptor of epoll becomes readable when the socket can be written to, so that a loop that
    polls for reading only can wait for the connection.  */
static bool s_watch (const rp_greeting_t *self, int operation, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events};
    return epoll_ctl (self->descriptor, operation, descriptor, &event) == 0;
}

static bool s_watch_time (rp_greeting_t *self)
{
    static const struct itimerspec time = {
      .it_value = {.tv_sec = RP_GREETING_MS / 1000, .tv_nsec = RP_GREETING_MS % 1000 * 1000000L}};
    self->timer = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return self->timer >= 0 && timerfd_settime (self->timer, 0, &time, NULL) == 0
           && s_watch (self, EPOLL_CTL_ADD, self->timer, EPOLLIN);
}

static bool s_is_late (const rp_greeting_t *self)
{
    uint64_t count;
    return read (self->timer, &count, sizeof count) == sizeof count;
}

bool rp_greeting_begin (rp_greeting_t *self, const char *endpoint)
{
    *self = (rp_greeting_t){.socket = -1, .timer = -1, .descriptor = -1};
    struct addrinfo *found;
    if (!s_resolve (endpoint, &found))
        return false;
    self->socket =
      socket (found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    self->descriptor = epoll_create1 (EPOLL_CLOEXEC);
    bool begun =
      self->socket >= 0 && self->descriptor >= 0
      && (connect (self->socket, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS)
      && s_watch (self, EPOLL_CTL_ADD, self->socket, EPOLLOUT) && s_watch_time (self);
    freeaddrinfo (found);
    if (!begun)
        rp_greeting_end (self);
    return begun;
}

void rp_greeting_end (rp_greeting_t *self)
{
    if (self->socket >= 0)
        close (self->socket);
    if (self->timer >= 0)
        close (self->timer);
    if (self->descriptor >= 0)
        close (self->descriptor);
    self->socket = self->timer = self->descriptor = -1;
}

/*  Sends signature and version 3.0. False if the connection failed.  */
static bool s_say (rp_greeting_t *self)
{
    static const uint8_t words[] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3};
    ssize_t sent = send (self->socket, words, sizeof words, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return true;
    self->said = sent == sizeof words;
    return self->said && s_watch (self, EPOLL_CTL_MOD, self->socket, EPOLLIN);
}

static rp_greeting_result_t s_read (const rp_greeting_t *self)
{
    const char *name = (const char *) self->bytes + S_MECHANISM;
    if (self->bytes[0] != 0xff || self->bytes[9] != 0x7f || self->bytes[10] < 3)
        return RP_GREETING_NONE;
    if (strncmp (name, "NULL", S_MECHANISM_SIZE) == 0)
        return RP_GREETING_NULL;
    return strncmp (name, "CURVE", S_MECHANISM_SIZE) == 0 ? RP_GREETING_CURVE : RP_GREETING_OTHER;
}

static rp_greeting_result_t s_look (rp_greeting_t *self)
{
    if (s_is_late (self) || (!self->said && !s_say (self)))
        return RP_GREETING_NONE;
    if (!self->said)
        return RP_GREETING_WAITS;
    ssize_t came =
      recv (self->socket, self->bytes + self->size, sizeof self->bytes - self->size, 0);
    if (came < 0 && (errno == EAGAIN || errno == EINTR))
        return RP_GREETING_WAITS;
    if (came <= 0)
        return RP_GREETING_NONE;
    self->size += (size_t) came;
    return self->size < sizeof self->bytes ? RP_GREETING_WAITS : s_read (self);
}

rp_greeting_result_t rp_greeting_look (rp_greeting_t *self)
{
    rp_greeting_result_t result = self->socket < 0 ? RP_GREETING_NONE : s_look (self);
    if (result != RP_GREETING_WAITS)
        rp_greeting_end (self);
    return result;
}
