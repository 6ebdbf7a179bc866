/*  The order is that of a block cipher of 64 bits, XTEA: each key is one of 2^128 permutations. A value that cannot be
    told is enciphered again, until one can; so what is left is a permutation too.

    SPDX-License-Identifier: MPL-2.0

    Source: Needham and Wheeler, "Tea extensions", 1997.
*/

#include "broker/jobs/job_id.h"

#define S_CYCLES 32u
#define S_DELTA 0x9e3779b9u

static uint64_t s_encipher (const uint32_t key[4], uint64_t block)
{
    uint32_t one = (uint32_t) (block >> 32), other = (uint32_t) block, sum = 0;
    for (unsigned cycle = 0; cycle < S_CYCLES; cycle++) {
        one += (((other << 4) ^ (other >> 5)) + other) ^ (sum + key[sum & 3]);
        sum += S_DELTA;
        other += (((one << 4) ^ (one >> 5)) + one) ^ (sum + key[(sum >> 11) & 3]);
    }
    return (uint64_t) one << 32 | other;
}

static uint64_t s_decipher (const uint32_t key[4], uint64_t block)
{
    uint32_t one = (uint32_t) (block >> 32), other = (uint32_t) block, sum = S_DELTA * S_CYCLES;
    for (unsigned cycle = 0; cycle < S_CYCLES; cycle++) {
        other -= (((one << 4) ^ (one >> 5)) + one) ^ (sum + key[(sum >> 11) & 3]);
        sum -= S_DELTA;
        one -= (((other << 4) ^ (other >> 5)) + other) ^ (sum + key[sum & 3]);
    }
    return (uint64_t) one << 32 | other;
}

/*  True of what belongs to the secret order: it is positive, and no number that is told as it is.  */
static bool s_is_ordered (const rp_store_secret_t *secret, uint64_t value)
{
    return value > secret->plain && value <= INT64_MAX;
}

uint64_t rp_job_id_tell (const rp_store_secret_t *secret, uint64_t number)
{
    if (!s_is_ordered (secret, number))
        return number;
    do
        number = s_encipher (secret->key, number);
    while (!s_is_ordered (secret, number));
    return number;
}

uint64_t rp_job_id_read (const rp_store_secret_t *secret, uint64_t told)
{
    if (!s_is_ordered (secret, told))
        return told <= INT64_MAX ? told : 0;
    do
        told = s_decipher (secret->key, told);
    while (!s_is_ordered (secret, told));
    return told;
}
