/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void rp_notify (const char *state)
{
    const char *path = getenv ("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (*path != '/' && *path != '@') || strlen (path) >= sizeof address.sun_path)
        return;
    size_t size = strlen (path);
    memcpy (address.sun_path, path, size);
    if (*path == '@') // an abstract socket
        address.sun_path[0] = '\0';
    int descriptor = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    // If this datagram is lost, the manager uses its own time limit.
    (void) sendto (descriptor, state, strlen (state), MSG_NOSIGNAL,
      (const struct sockaddr *) &address,
      (socklen_t) (offsetof (struct sockaddr_un, sun_path) + size));
    close (descriptor);
}
