/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/bundle.h"

#include "common/base/cursor.h"

bool rp_bundle_is (const void *data, size_t size)
{
    return size >= 2 && rp_get_u16 (data) == RP_BUNDLE_SIGNATURE;
}

bool rp_bundle_is_valid (const void *data, size_t size)
{
    const uint8_t *at = data;
    if (size <= RP_BUNDLE_HEAD || size > RP_BUNDLE_MAX || !rp_bundle_is (at, size)
        || at[2] != RP_BUNDLE_VERSION || at[3] != 0)
        return false;
    size_t offset = RP_BUNDLE_HEAD;
    while (offset < size) {
        if (size - offset < RP_BUNDLE_ENTRY_HEAD)
            return false;
        size_t message_size = rp_get_u32 (at + offset);
        offset += RP_BUNDLE_ENTRY_HEAD;
        if (message_size == 0 || message_size > size - offset)
            return false;
        offset += message_size;
    }
    return true;
}

uint8_t *rp_bundle_write_head (uint8_t *at)
{
    rp_put_u16 (at, RP_BUNDLE_SIGNATURE);
    at[2] = RP_BUNDLE_VERSION;
    at[3] = 0;
    return at + RP_BUNDLE_HEAD;
}

uint8_t *rp_bundle_write_entry_head (uint8_t *at, size_t message_size)
{
    rp_put_u32 (at, (uint32_t) message_size);
    return at + RP_BUNDLE_ENTRY_HEAD;
}
