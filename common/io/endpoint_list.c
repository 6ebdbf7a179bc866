/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/endpoint_list.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io/socket.h"

const char rp_endpoint_list_inherited[] =
  "it belongs to the process that made it, of which this is a child; make a new one here";

size_t rp_endpoint_list_endpoints (char *text, const char **endpoints, size_t most)
{
    size_t count = 0;
    for (char *at = text, *rest = at; rest; at = rest) {
        rest = strchr (at, ',');
        if (rest)
            *rest++ = '\0';
        const char *reason;
        if (count == most || !rp_socket_peer_endpoint_is_valid (at, strlen (at), &reason))
            return 0;
        endpoints[count++] = at;
    }
    return count;
}

void rp_endpoint_list_name (char *name, size_t size)
{
    char host[40] = "";
    if (gethostname (host, sizeof host) != 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    snprintf (name, size, "%s-%d", host, (int) getpid ());
}
