/*  How many jobs have died of late, by service, within bounds.

    SPDX-License-Identifier: MPL-2.0
*/

#include "broker/jobs/job_deaths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE INT64_C (60000000)

static rp_job_deaths_t s_deaths;

static int s_set_up (void **state)
{
    (void) state;
    memset (&s_deaths, 0, sizeof s_deaths);
    return 0;
}

static void s_die (const char *service, int64_t now)
{
    rp_job_deaths_add (&s_deaths, service, strlen (service), now);
}

static void s_expect (const char *service, int64_t now, uint64_t count)
{
    assert_int_equal (rp_job_deaths_count (&s_deaths, service, strlen (service), now), count);
}

static void s_each_service_has_its_own (void **state)
{
    (void) state;
    s_expect ("a", 0, 0);
    s_die ("a", 0);
    s_die ("a", MINUTE);
    s_die ("ab", MINUTE);
    s_expect ("a", MINUTE, 2);
    s_expect ("ab", MINUTE, 1);
    s_expect ("abc", MINUTE, 0);
}

static void s_an_hour_later_they_do_not_count (void **state)
{
    (void) state;
    for (int64_t now = 100 * MINUTE; now < 400 * MINUTE; now += 10 * MINUTE) {
        s_die ("a", now);
        assert_in_range (
          rp_job_deaths_count (&s_deaths, "a", 1, now), now < 160 * MINUTE ? 1 : 6, 6);
    }
    s_expect ("a", 390 * MINUTE + 54 * MINUTE, 1);
    s_expect ("a", 390 * MINUTE + 60 * MINUTE, 0);
    s_die ("a", 1000 * MINUTE);
    s_expect ("a", 1000 * MINUTE, 1);
}

static void s_of_many_services_the_latest_are_known (void **state)
{
    (void) state;
    char name[16];
    for (unsigned index = 0; index < 2 * RP_JOB_DEATHS_SERVICES; index++) {
        snprintf (name, sizeof name, "s%u", index);
        s_die (name, (int64_t) index * MINUTE / 4);
    }
    int64_t now = RP_JOB_DEATHS_SERVICES / 2 * MINUTE;
    s_expect (name, now, 1);
    s_expect ("s0", now, 0);
    unsigned known = 0;
    for (size_t index = 0; index < RP_JOB_DEATHS_SERVICES; index++) {
        uint64_t count;
        const char *there = rp_job_deaths_at (&s_deaths, index, now, &count);
        assert_true (!there || (there[0] == 's' && count == 1));
        known += there != NULL;
    }
    assert_int_equal (known, RP_JOB_DEATHS_SERVICES);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup (s_each_service_has_its_own, s_set_up),
      cmocka_unit_test_setup (s_an_hour_later_they_do_not_count, s_set_up),
      cmocka_unit_test_setup (s_of_many_services_the_latest_are_known, s_set_up),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
