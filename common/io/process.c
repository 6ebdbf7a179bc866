/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/io/process.h"

#include <pthread.h>

atomic_uint rp_process_forks;

static pthread_once_t s_once = PTHREAD_ONCE_INIT;
static int s_error;

static void s_forked (void)
{
    atomic_fetch_add_explicit (&rp_process_forks, 1, memory_order_relaxed);
}

static void s_watch (void)
{
    s_error = pthread_atfork (NULL, NULL, s_forked);
}

int rp_process_watch (void)
{
    pthread_once (&s_once, s_watch);
    return s_error;
}
