/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/address.h"

#include <stdio.h>
#include <string.h>

#define S_TCP "tcp://"

static bool s_is_ipv4 (const char *endpoint)
{
    return endpoint[strlen (S_TCP)] != '[';
}

const char *rp_address_host (const char *endpoint, size_t *size)
{
    const char *host = endpoint + strlen (S_TCP);
    const char *colon = strrchr (host, ':');
    *size = colon ? (size_t) (colon - host) : strlen (host);
    return host;
}

/*  True for four numbers with dots between them. The system reads other forms ("127.1"), as it
    reads names.  */
static bool s_is_dotted (const char *host, size_t size)
{
    size_t numbers = 1, digits = 0;
    unsigned value = 0;
    for (size_t index = 0; index < size; index++)
        if (host[index] >= '0' && host[index] <= '9') {
            value = value * 10 + (unsigned) (host[index] - '0');
            if (++digits > 3 || value > 255)
                return false;
        }
        else if (host[index] == '.' && digits > 0) {
            numbers++;
            digits = value = 0;
        }
        else
            return false;
    return numbers == 4 && digits > 0;
}

bool rp_address_is_srv (const char *endpoint)
{
    return strncmp (endpoint, RP_ADDRESS_SRV, strlen (RP_ADDRESS_SRV)) == 0;
}

bool rp_address_is_name (const char *endpoint)
{
    if (rp_address_is_srv (endpoint))
        return true;
    if (strncmp (endpoint, S_TCP, strlen (S_TCP)) != 0)
        return false;
    size_t size;
    const char *host = rp_address_host (endpoint, &size);
    return *host != '[' && *host != '*' && !s_is_dotted (host, size);
}

void rp_addresses_add (rp_addresses_t *self, const char *endpoint, const char *address)
{
    if (self->count == RP_ADDRESSES_MAX)
        return;
    const char *port = strrchr (endpoint, ':');
    bool ipv6 = strchr (address, ':') != NULL;
    char *place = self->endpoints[self->count];
    int size = snprintf (place, RP_ADDRESS_MAX, S_TCP "%s%s%s%s", ipv6 ? "[" : "", address,
      ipv6 ? "]" : "", port ? port : "");
    if (size < 0 || (size_t) size >= RP_ADDRESS_MAX)
        return;
    for (size_t index = 0; index < self->count; index++)
        if (strcmp (self->endpoints[index], place) == 0)
            return;
    self->count++;
}

void rp_addresses_ipv4_first (rp_addresses_t *self)
{
    rp_addresses_t sorted = {0};
    for (int ipv4 = 1; ipv4 >= 0; ipv4--)
        for (size_t index = 0; index < self->count; index++)
            if (s_is_ipv4 (self->endpoints[index]) == (bool) ipv4)
                memcpy (sorted.endpoints[sorted.count++], self->endpoints[index], RP_ADDRESS_MAX);
    *self = sorted;
}
