/*  How many times longer a bound on time is with a sanitizer, as PATIENCE of tests/system/support/programs.py.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef TEST_PATIENCE_H
#define TEST_PATIENCE_H

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TEST_PATIENCE 5
#else
#define TEST_PATIENCE 1
#endif

#endif
