/*  A block of headers: opaque key-value pairs that travel with a request or a reply.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/PROTOCOL.md, section 3.3. Each pair is: key size (1 byte, 1 to 63), key
    (a-z 0-9 - _ .), value size (2 bytes, network order, 0 to 4096), value (no control characters).
    At most RP_HEADERS_COUNT_MAX pairs and RP_WIRE_HEADERS_MAX bytes. Keys may repeat.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_HEADERS_H
#define RP_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_HEADER_KEY_MAX 63u
#define RP_HEADER_VALUE_MAX 4096u
#define RP_HEADERS_COUNT_MAX 64u

typedef struct {
    const char *key; /* not NUL-terminated */
    const char *value;
    uint16_t value_size;
    uint8_t key_size;
} rp_header_t;

/*  True if the whole block is well-formed.  */
bool rp_headers_are_valid (const uint8_t *block, size_t size);

/*  Takes the pair at *offset of a valid block and moves *offset behind it. False at the end.  */
bool rp_headers_next (const uint8_t *block, size_t size, size_t *offset, rp_header_t *header);

/*  Finds the first pair with this key in a valid block. False if there is none.  */
bool rp_headers_find (const uint8_t *block, size_t size, const char *key, rp_header_t *header);

/*  Reads the first pair with this key as a number in decimal. Without one, *value stays. False if it is
    no number, or is over most, which is at most INT64_MAX.  */
bool rp_headers_number (
  const uint8_t *block, size_t size, const char *key, uint64_t most, uint64_t *value);

/*  Appends a pair to a block that holds *size of at most capacity bytes. False, and nothing
    changed, when the pair is not allowed or does not fit.  */
bool rp_headers_append (
  uint8_t *block, size_t *size, size_t capacity, const char *key, const char *value);

/*  Turns a valid block into strings, in place: each pair becomes key NUL value NUL and one unused
    byte. The block can no longer be read as a block.  */
void rp_headers_make_strings (uint8_t *block, size_t size);

/*  Takes the pair at *offset of such strings and moves *offset behind it. False at the end.  */
bool rp_headers_next_strings (
  const char *strings, size_t size, size_t *offset, const char **key, const char **value);

/*  The value of the first pair with this key among such strings, or NULL.  */
const char *rp_headers_find_string (const char *strings, size_t size, const char *key);

#endif
