/*  HELLOs of all kinds, and parts of replies, sent as events of trace.c.

    SPDX-License-Identifier: MPL-2.0
*/

#include "tests/support/trace.h"

#include <stdio.h>
#include <string.h>

#include "common/wire/headers.h"

void hello_foreign_client (const char *peer, uint8_t traits, unsigned interval_ms)
{
    hello_foreign (peer, &(rp_head_t){.interval_ms = interval_ms}, traits, 0);
}

void hello_foreign_worker (const char *peer, const char *service, foreign_t foreign)
{
    hello_foreign (peer,
      &(rp_head_t){.flags = RP_FLAG_WORKER,
        .interval_ms = foreign.interval_ms ? foreign.interval_ms : RP_HEARTBEAT_MAX_MS,
        .window = foreign.window ? foreign.window : 1,
        .name = service,
        .name_size = (uint8_t) strlen (service)},
      foreign.traits, foreign.attempt_limit_ms);
}

void hello_client_beating (const char *peer, unsigned interval_ms)
{
    hello_foreign_client (peer, 0, interval_ms);
}

void hello_worker_beating (
  const char *peer, const char *service, unsigned window, unsigned interval_ms)
{
    hello_foreign (peer,
      &(rp_head_t){.flags = RP_FLAG_WORKER,
        .interval_ms = interval_ms,
        .window = window,
        .name = service,
        .name_size = (uint8_t) strlen (service)},
      0, 0);
}

void hello_client (const char *peer)
{
    hello_client_beating (peer, RP_HEARTBEAT_MAX_MS);
}

void hello_worker (const char *peer, const char *service, unsigned window)
{
    hello_worker_beating (peer, service, window, RP_HEARTBEAT_MAX_MS);
}

void hello_streaming_worker (const char *peer, const char *service, unsigned window)
{
    uint8_t headers[32];
    size_t size = 0;
    (void) rp_headers_append (headers, &size, sizeof headers, RP_HELLO_STREAMS, "1");
    hello_foreign (peer,
      &(rp_head_t){.flags = RP_FLAG_WORKER,
        .interval_ms = RP_HEARTBEAT_MAX_MS,
        .window = window,
        .name = service,
        .name_size = (uint8_t) strlen (service),
        .headers = headers,
        .headers_size = (uint16_t) size},
      0, 0);
}

void reply_with (const char *worker, const char *name, const rp_head_t *head, bool oversized)
{
    reply_sized (worker, name, head, 0, oversized);
}

void part (const char *worker, const char *name, size_t size)
{
    reply_sized (worker, name, &(rp_head_t){.flags = RP_FLAG_MORE | RP_FLAG_INLINE}, size, false);
}

void last_part (const char *worker, const char *name, size_t size)
{
    reply_sized (worker, name, &(rp_head_t){0}, size, false);
}

void as (const char *principal)
{
    audit ()->principal = principal;
}

static void s_find_principal (const rp_principal_info_t *info, void *arg)
{
    rp_principal_info_t *found = arg;
    if (strcmp (info->name, found->name) == 0)
        *found = *info;
}

rp_principal_info_t principal (const char *name)
{
    rp_principal_info_t info = {.name = name};
    rp_dispatch_each_principal (audit ()->core, s_find_principal, &info);
    return info;
}
