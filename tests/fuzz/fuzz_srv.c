/*  Fuzzer of the answers of name servers: what is read names hosts and ports, and an order keeps all of it.

    SPDX-License-Identifier: MPL-2.0
*/

#include <string.h>

#include "common/wire/srv.h"
#include "tests/support/bytes.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void s_check (const rp_srv_record_t *record)
{
    size_t size = strnlen (record->host, sizeof record->host);
    bytes_require (size > 0 && size < sizeof record->host, "a host without an end");
    bytes_require (record->port > 0, "no port");
    for (size_t index = 0; index < size; index++)
        bytes_require (record->host[index] > ' ' && record->host[index] < 127, "no host has that");
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    rp_srv_t srv;
    if (!rp_srv_read (&srv, data, size)) {
        bytes_require (srv.count == 0, "malformed, and with records");
        return 0;
    }
    bytes_require (srv.count <= RP_SRV_MAX, "more records than there is room for");
    unsigned ports = 0;
    for (size_t index = 0; index < srv.count; index++) {
        s_check (&srv.records[index]);
        ports += srv.records[index].port;
    }
    rp_srv_order (&srv, size);
    for (size_t index = 0; index < srv.count; index++) {
        s_check (&srv.records[index]);
        ports -= srv.records[index].port;
        bytes_require (
          index == 0 || srv.records[index - 1].priority <= srv.records[index].priority, "no order");
    }
    bytes_require (ports == 0, "another list");
    return 0;
}
