/*  Signals of a program: those that mean something to it come through a descriptor, and no other
    one that people or timers send ends it by chance.

    SPDX-License-Identifier: MPL-2.0

    The default action of most signals is the end of the process, and of the requests in it. So
    SIGUSR1, SIGUSR2, SIGALRM and their kind are ignored. SIGQUIT and SIGABRT still end the process
    with a core, because that is what they are sent for, and so do signals of a fault.
*/

#ifndef RP_SIGNALS_H
#define RP_SIGNALS_H

#include <stddef.h>

/*  Blocks some signals and ignores all others that mean nothing here and would end the process;
    those that have a handler keep it. SIGHUP that is ignored already, as by nohup, stays so. To be
    called before there are any threads, which inherit what is blocked. Returns a signalfd, or -1
    with errno.  */
int rp_signals_open (const int *numbers, size_t count);

#endif
