/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/transport/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/io/resolver.h"
#include "common/io/socket.h"
#include "common/wire/address.h"

#define S_IPC "ipc://"

static bool s_begins (const char *text, const char *start)
{
    return strncmp (text, start, strlen (start)) == 0;
}

/*  True if the path exists and is no socket; libzmq would delete it and bind.  */
static bool s_is_taken (const char *path)
{
    struct stat found;
    return *path != '@' && lstat (path, &found) == 0 && !S_ISSOCK (found.st_mode);
}

/*  True if a process listens on the ipc path; libzmq would delete the path and bind.  */
static bool s_is_listening (const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen (path) >= sizeof address.sun_path)
        return false;
    strcpy (address.sun_path, path);
    int probe = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return false;
    bool listening = connect (probe, (struct sockaddr *) &address, sizeof address) == 0
                     || errno == EAGAIN; // the backlog of a listening socket is full
    close (probe);
    return listening;
}

/*  Binds an address. 0, or -1 with errno.  */
static int s_bind_address (void *socket, const char *endpoint)
{
    return rp_socket_prepare (socket, endpoint) == 0 ? zmq_bind (socket, endpoint) : -1;
}

/*  Binds the first address of a name that this machine has. If the port of that address is in use,
    the next address is not tried: a peer that connects to the name could reach either broker.  */
static int s_bind_name (void *socket, const char *endpoint)
{
    char why[RP_RESOLVER_TEXT_MAX];
    rp_addresses_t found;
    int error = ENODEV;
    if (rp_resolver_wait (endpoint, &found, why))
        rp_addresses_ipv4_first (&found);
    for (size_t index = 0; index < found.count; index++) {
        if (s_bind_address (socket, found.endpoints[index]) == 0)
            return 0;
        error = errno;
        if (error != EADDRNOTAVAIL && error != EAFNOSUPPORT)
            break;
    }
    errno = error;
    return -1;
}

/*  Binds an endpoint. libzmq itself takes names of interfaces, and sets ENODEV for other names.  */
static int s_bind (void *socket, const char *endpoint)
{
    int rc = s_bind_address (socket, endpoint);
    if (rc == 0 || errno != ENODEV || !rp_address_is_name (endpoint))
        return rc;
    return s_bind_name (socket, endpoint);
}

char *rp_endpoint_bind (void *socket, const char *endpoint)
{
    if (s_begins (endpoint, S_IPC) && s_is_taken (endpoint + strlen (S_IPC))) {
        errno = EEXIST;
        return NULL;
    }
    if (s_begins (endpoint, S_IPC) && s_is_listening (endpoint + strlen (S_IPC))) {
        errno = EADDRINUSE;
        return NULL;
    }
    if (s_bind (socket, endpoint) != 0)
        return NULL;
    char real[RP_ENDPOINT_TEXT_MAX];
    size_t size = sizeof real;
    return strdup (zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, real, &size) == 0 ? real : endpoint);
}

bool rp_endpoint_is_local (const char *endpoint)
{
    return s_begins (endpoint, S_IPC) || rp_socket_endpoint_is_loopback (endpoint);
}

static void s_explain_no_address (const char *endpoint, int error, char *buffer)
{
    size_t size;
    const char *host = rp_address_host (endpoint, &size);
    if (error == ENODEV && rp_address_is_name (endpoint))
        snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
          "cannot bind %s: %.*s is no interface of this machine, and no name that resolves; see: "
          "ip "
          "addr, and: getent hosts %.*s",
          endpoint, (int) size, host, (int) size, host);
    else
        snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
          "cannot bind %s: this machine does not have that address; see which it has with: ip "
          "addr, "
          "or use 127.0.0.1 or 0.0.0.0",
          endpoint);
}

const char *rp_endpoint_explain (const char *endpoint, int error, const char *option, char *buffer)
{
    const char *colon = strrchr (endpoint, ':');
    const char *port = colon ? colon + 1 : "";
    switch (error) {
        case EADDRINUSE:
            if (s_begins (endpoint, S_IPC))
                snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
                  "cannot bind %s: another process listens there, perhaps another riposte-broker; "
                  "stop "
                  "it, or choose another path with %s",
                  endpoint, option);
            else
                snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
                  "cannot bind %s: the port is in use, perhaps by another riposte-broker; see who "
                  "holds it with: ss -ltnp 'sport = :%s', or choose another with %s",
                  endpoint, port, option);
            break;
        case EEXIST:
            snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
              "cannot bind %s: a file that is not a socket is there; remove it, or choose another "
              "path with %s",
              endpoint, option);
            break;
        case EADDRNOTAVAIL:
        case ENODEV:
            s_explain_no_address (endpoint, error, buffer);
            break;
        case EACCES:
            snprintf (buffer, RP_ENDPOINT_TEXT_MAX,
              "cannot bind %s: not permitted; ports below 1024 and other users' directories need "
              "more rights; choose another with %s",
              endpoint, option);
            break;
        default:
            snprintf (buffer, RP_ENDPOINT_TEXT_MAX, "cannot bind %s: %s; choose another with %s",
              endpoint, zmq_strerror (error), option);
    }
    return buffer;
}
