/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/wire/headers.h"

#include <string.h>

#include "common/base/cursor.h"
#include "common/base/uninitialized.h"

static bool s_key_is_valid (const char *key, size_t size)
{
    if (size == 0 || size > RP_HEADER_KEY_MAX)
        return false;
    for (size_t index = 0; index < size; index++) {
        char c = key[index];
        bool allowed =
          (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (!allowed)
            return false;
    }
    return true;
}

static bool s_value_is_valid (const char *value, size_t size)
{
    if (size > RP_HEADER_VALUE_MAX)
        return false;
    for (size_t index = 0; index < size; index++)
        if ((unsigned char) value[index] < 32 || value[index] == 127)
            return false;
    return true;
}

/*  Reads one pair within bounds, without checking key and value.  */
static bool s_read (const uint8_t *block, size_t size, size_t *offset, rp_header_t *header)
{
    size_t at = *offset;
    if (at >= size)
        return false;
    header->key_size = block[at++];
    if (size - at < (size_t) header->key_size + 2)
        return false;
    header->key = (const char *) block + at;
    at += header->key_size;
    header->value_size = rp_get_u16 (block + at);
    at += 2;
    if (size - at < header->value_size)
        return false;
    header->value = (const char *) block + at;
    *offset = at + header->value_size;
    return true;
}

bool rp_headers_are_valid (const uint8_t *block, size_t size)
{
    size_t offset = 0;
    size_t count = 0;
    rp_header_t header;
    while (offset < size) {
        if (++count > RP_HEADERS_COUNT_MAX || !s_read (block, size, &offset, &header)
            || !s_key_is_valid (header.key, header.key_size)
            || !s_value_is_valid (header.value, header.value_size))
            return false;
    }
    return true;
}

bool rp_headers_next (const uint8_t *block, size_t size, size_t *offset, rp_header_t *header)
{
    return s_read (block, size, offset, header);
}

bool rp_headers_find (const uint8_t *block, size_t size, const char *key, rp_header_t *header)
{
    size_t offset = 0;
    size_t key_size = strlen (key);
    while (s_read (block, size, &offset, header))
        if (header->key_size == key_size && memcmp (header->key, key, key_size) == 0)
            return true;
    return false;
}

bool rp_headers_number (
  const uint8_t *block, size_t size, const char *key, uint64_t most, uint64_t *value)
{
    rp_header_t header;
    if (!rp_headers_find (block, size, key, &header))
        return true;
    uint64_t number = 0;
    if (header.value_size == 0 || header.value_size > 19)
        return false;
    for (uint16_t index = 0; index < header.value_size; index++) {
        if (header.value[index] < '0' || header.value[index] > '9')
            return false;
        number = number * 10 + (uint64_t) (header.value[index] - '0');
    }
    *value = number;
    return number <= most;
}

bool rp_headers_append (
  uint8_t *block, size_t *size, size_t capacity, const char *key, const char *value)
{
    size_t key_size = strlen (key);
    size_t value_size = strlen (value);
    if (!s_key_is_valid (key, key_size) || !s_value_is_valid (value, value_size))
        return false;
    if (capacity - *size < 1 + key_size + 2 + value_size)
        return false;

    size_t count = 0;
    rp_header_t header;
    for (size_t offset = 0; s_read (block, *size, &offset, &header);)
        count++;
    if (count >= RP_HEADERS_COUNT_MAX)
        return false;

    uint8_t *at = block + *size;
    *at++ = (uint8_t) key_size;
    memcpy (at, key, key_size);
    at += key_size;
    rp_put_u16 (at, (uint16_t) value_size);
    memcpy (at + 2, value, value_size);
    *size += 1 + key_size + 2 + value_size;
    return true;
}

void rp_headers_make_strings (uint8_t *block, size_t size)
{
    RP_UNINITIALIZED rp_header_t header;
    for (size_t offset = 0, start = 0; s_read (block, size, &offset, &header); start = offset) {
        // The value is written over only after its place and size have been read.
        uint8_t *at = block + start;
        memmove (at, header.key, header.key_size);
        at[header.key_size] = '\0';
        at += header.key_size + 1;
        memmove (at, header.value, header.value_size);
        at[header.value_size] = '\0';
    }
}

bool rp_headers_next_strings (
  const char *strings, size_t size, size_t *offset, const char **key, const char **value)
{
    if (*offset >= size)
        return false;
    *key = strings + *offset;
    *value = *key + strlen (*key) + 1;
    *offset = (size_t) (*value - strings) + strlen (*value) + 2;
    return true;
}

const char *rp_headers_find_string (const char *strings, size_t size, const char *key)
{
    const char *found;
    const char *value;
    for (size_t offset = 0; rp_headers_next_strings (strings, size, &offset, &found, &value);)
        if (strcmp (found, key) == 0)
            return value;
    return NULL;
}
