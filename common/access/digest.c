/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/access/digest.h"

#include <string.h>
#include <sys/types.h>

#include <sha2.h>

void rp_digest (const rp_digest_part_t *parts, size_t count, uint8_t *digest, size_t size)
{
    SHA2_CTX context;
    uint8_t whole[SHA256_DIGEST_LENGTH];
    SHA256Init (&context);
    for (size_t index = 0; index < count; index++) {
        uint64_t length = parts[index].size;
        uint8_t prefix[8];
        for (size_t at = 0; at < sizeof prefix; at++)
            prefix[at] = (uint8_t) (length >> (56 - 8 * at));
        SHA256Update (&context, prefix, sizeof prefix);
        if (length)
            SHA256Update (&context, parts[index].data, parts[index].size);
    }
    SHA256Final (whole, &context);
    memcpy (digest, whole, size);
}
