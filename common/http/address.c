/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/http/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define S_HOST_MAX 255u

/*  Divides "HOST:PORT" or "[HOST]:PORT"; without a port *port is NULL. False if it has no such form.  */
static bool s_divide (const char *text, char host[S_HOST_MAX + 1], const char **port)
{
    const char *begin = *text == '[' ? text + 1 : text;
    size_t size = strcspn (begin, *text == '[' ? "]" : ":");
    const char *end = begin + size + (*text == '[' && begin[size] == ']');
    if (size > S_HOST_MAX || (*text == '[' && begin[size] != ']') || (*end && *end != ':'))
        return false;
    memcpy (host, begin, size);
    host[size] = '\0';
    *port = *end ? end + 1 : NULL;
    return true;
}

static bool s_parse_port (const char *text, in_port_t *port)
{
    char *end;
    unsigned long value = strcmp (text, "*") == 0 ? 0 : strtoul (text, &end, 10);
    if (strcmp (text, "*") != 0 && (*text < '0' || *text > '9' || *end || value > 65535))
        return false;
    *port = htons ((uint16_t) value);
    return true;
}

bool rp_http_address_parse (const char *text, rp_http_address_t *address, const char **reason)
{
    char host[S_HOST_MAX + 1];
    const char *port_text;
    in_port_t port;
    *address = (rp_http_address_t){0};
    *reason = "wants ADDRESS:PORT, such as 127.0.0.1:5580";
    if (!s_divide (text, host, &port_text))
        return false;
    *reason = "has no port; give ADDRESS:PORT, such as 127.0.0.1:5580";
    if (!port_text || !s_parse_port (port_text, &port))
        return false;
    const char *numeric = strcmp (host, "localhost") == 0 ? "127.0.0.1"
                          : strcmp (host, "*") == 0       ? "0.0.0.0"
                                                          : host;
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = port;
    if (inet_pton (AF_INET, numeric, &address->v4.sin_addr) == 1)
        return true;
    *address = (rp_http_address_t){0};
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = port;
    *reason = "has no numeric address; give one of this machine, localhost, or * for all";
    return inet_pton (AF_INET6, numeric, &address->v6.sin6_addr) == 1;
}

static bool s_is_loopback_v4 (const struct in_addr *address)
{
    return (ntohl (address->s_addr) >> 24) == 127;
}

bool rp_http_address_is_loopback (const rp_http_address_t *address)
{
    return address->any.sa_family == AF_INET ? s_is_loopback_v4 (&address->v4.sin_addr)
                                             : IN6_IS_ADDR_LOOPBACK (&address->v6.sin6_addr);
}

bool rp_http_host_is_local (const char *host)
{
    char name[S_HOST_MAX + 1];
    const char *port;
    struct in_addr v4;
    struct in6_addr v6;
    if (!s_divide (host, name, &port))
        return false;
    size_t size = strlen (name);
    if (strcasecmp (name, "localhost") == 0
        || (size > 10 && strcasecmp (name + size - 10, ".localhost") == 0))
        return true;
    if (inet_pton (AF_INET, name, &v4) == 1)
        return s_is_loopback_v4 (&v4);
    return inet_pton (AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK (&v6);
}

bool rp_http_host_is_address (const char *host)
{
    char name[S_HOST_MAX + 1];
    const char *port;
    struct in_addr v4;
    struct in6_addr v6;
    if (!s_divide (host, name, &port))
        return false;
    if (inet_pton (AF_INET, name, &v4) == 1)
        return v4.s_addr != INADDR_ANY;
    return inet_pton (AF_INET6, name, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED (&v6);
}

bool rp_http_host_is_listed (const char *host, const char *list)
{
    size_t size = strcspn (host, ":");
    for (const char *at = list; size > 0 && *at; at += *at == ',') {
        size_t entry = strcspn (at, ",");
        if (entry == size && strncasecmp (at, host, size) == 0)
            return true;
        at += entry;
    }
    return false;
}
