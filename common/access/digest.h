/*  Digests: tells whether two texts of any length are the same, by SHA-256.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_DIGEST_H
#define RP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define RP_DIGEST_MAX 32u

typedef struct {
    const void *data;
    size_t size;
} rp_digest_part_t;

/*  Writes the first bytes, at most RP_DIGEST_MAX, of the digest of some parts. Where a part ends counts: other
    parts with the same bytes have another digest.  */
void rp_digest (const rp_digest_part_t *parts, size_t count, uint8_t *digest, size_t size);

#endif
