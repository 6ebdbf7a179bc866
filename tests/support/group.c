/*  The end of a test program of cmocka: one that failed says nothing of what it leaves behind.

    SPDX-License-Identifier: MPL-2.0
*/

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/*  The linker puts the one in place of the other (--wrap).  */
int __real__cmocka_run_group_tests (
  const char *, const struct CMUnitTest *, size_t, CMFixtureFunction, CMFixtureFunction);
int __wrap__cmocka_run_group_tests (
  const char *, const struct CMUnitTest *, size_t, CMFixtureFunction, CMFixtureFunction);

/*  Runs the tests of a program. A failed assertion jumps out of its test, past all that would have been freed and
    joined, so after one the process ends without the reports that a sanitizer makes at an exit: of leaks, of threads.  */
int __wrap__cmocka_run_group_tests (const char *name,
  const struct CMUnitTest *tests,
  size_t count,
  CMFixtureFunction setup,
  CMFixtureFunction teardown)
{
    int failed = __real__cmocka_run_group_tests (name, tests, count, setup, teardown);
    if (failed != 0) {
        (void) fflush (NULL);
        _exit (1);
    }
    return failed;
}
