/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/signals.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

/*  Signals from people, timers and limits. SIGPIPE and SIGXFSZ (a file is over the limit of its
    size) are ignored because the write reports both.  */
static const int s_strays[] = {
  SIGHUP,
  SIGUSR1,
  SIGUSR2,
  SIGALRM,
  SIGVTALRM,
  SIGPROF,
  SIGPOLL,
  SIGPWR,
  SIGSTKFLT,
  SIGPIPE,
  SIGXFSZ,
};

static bool s_has_action (int number, void (*action) (int))
{
    struct sigaction now;
    return sigaction (number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO)
           && now.sa_handler == action;
}

/*  Ignores a signal, unless a profiler set a handler before main.  */
static void s_ignore (int number)
{
    if (s_has_action (number, SIG_DFL))
        signal (number, SIG_IGN);
}

int rp_signals_open (const int *numbers, size_t count)
{
    sigset_t set;
    sigemptyset (&set);
    for (size_t index = 0; index < count; index++)
        // A blocked signal is queued even if it is ignored, so it must stay out of the set.
        if (numbers[index] != SIGHUP || !s_has_action (SIGHUP, SIG_IGN))
            sigaddset (&set, numbers[index]);
    if (sigprocmask (SIG_BLOCK, &set, NULL) != 0)
        return -1;
    for (size_t index = 0; index < sizeof s_strays / sizeof *s_strays; index++)
        if (sigismember (&set, s_strays[index]) == 0)
            s_ignore (s_strays[index]);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        s_ignore (number);
    return signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
