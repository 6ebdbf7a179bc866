/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/jobs/job_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const rp_store_secret_t s_secret = {.key = {0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f}};

static void s_the_order_is_that_of_xtea (void **state)
{
    (void) state;
    // The vector of XTEA that is in use: "ABCDEFGH" with this key.
    assert_int_equal (
      rp_job_id_tell (&s_secret, UINT64_C (0x4142434445464748)), UINT64_C (0x497df3d072612cb5));
}

static void s_what_is_told_leads_back_to_its_job (void **state)
{
    (void) state;
    const uint64_t numbers[] = {1, 2, 3, 1000, UINT64_C (1) << 40, INT64_MAX - 1, INT64_MAX};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        uint64_t told = rp_job_id_tell (&s_secret, numbers[index]);
        assert_true (told > 0 && told <= INT64_MAX);
        assert_int_equal (rp_job_id_read (&s_secret, told), numbers[index]);
    }
    for (uint64_t number = 1; number < 10000; number++)
        assert_int_equal (rp_job_id_read (&s_secret, rp_job_id_tell (&s_secret, number)), number);
}

static int s_compare (const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *) one, right = *(const uint64_t *) other;
    return left < right ? -1 : left > right;
}

static void s_what_is_told_is_told_of_one_job_and_is_spread_out (void **state)
{
    (void) state;
    enum { COUNT = 4096 };
    static uint64_t told[COUNT];
    for (uint64_t number = 1; number <= COUNT; number++)
        told[number - 1] = rp_job_id_tell (&s_secret, number);
    qsort (told, COUNT, sizeof *told, s_compare);
    for (size_t index = 1; index < COUNT; index++)
        assert_true (told[index] - told[index - 1] > 1000000);
}

static void s_jobs_from_before_the_secret_keep_their_numbers (void **state)
{
    (void) state;
    rp_store_secret_t secret = s_secret;
    secret.plain = 100;
    for (uint64_t number = 1; number <= 100; number++) {
        assert_int_equal (rp_job_id_tell (&secret, number), number);
        assert_int_equal (rp_job_id_read (&secret, number), number);
    }
    assert_true (rp_job_id_tell (&secret, 101) > 100);
    assert_int_equal (rp_job_id_read (&secret, rp_job_id_tell (&secret, 101)), 101);
    // What would be told as one of these is enciphered once more.
    secret.plain = INT64_MAX / 2;
    for (uint64_t number = secret.plain + 1; number < secret.plain + 1000; number++) {
        assert_true (rp_job_id_tell (&secret, number) > secret.plain);
        assert_int_equal (rp_job_id_read (&secret, rp_job_id_tell (&secret, number)), number);
    }
}

static void s_other_secrets_have_other_orders (void **state)
{
    (void) state;
    rp_store_secret_t secret = s_secret;
    for (unsigned bit = 0; bit < 128; bit++) {
        secret.key[bit / 32] ^= UINT32_C (1) << bit % 32;
        assert_int_not_equal (rp_job_id_tell (&secret, 1), rp_job_id_tell (&s_secret, 1));
        secret.key[bit / 32] ^= UINT32_C (1) << bit % 32;
    }
}

static void s_what_cannot_be_told_is_no_job (void **state)
{
    (void) state;
    assert_int_equal (rp_job_id_tell (&s_secret, 0), 0);
    assert_int_equal (rp_job_id_read (&s_secret, 0), 0);
    assert_int_equal (rp_job_id_read (&s_secret, UINT64_C (1) << 63), 0);
    assert_int_equal (rp_job_id_read (&s_secret, UINT64_MAX), 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (s_the_order_is_that_of_xtea),
      cmocka_unit_test (s_what_is_told_leads_back_to_its_job),
      cmocka_unit_test (s_what_is_told_is_told_of_one_job_and_is_spread_out),
      cmocka_unit_test (s_jobs_from_before_the_secret_keep_their_numbers),
      cmocka_unit_test (s_other_secrets_have_other_orders),
      cmocka_unit_test (s_what_cannot_be_told_is_no_job),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
