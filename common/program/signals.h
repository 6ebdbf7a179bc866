/*  The signals of a program: no signal that it does not use ends it by accident.

    SPDX-License-Identifier: MPL-2.0

    The signals that it uses come through a descriptor. The default action of most others ends the
    process and all its requests, so SIGUSR1, SIGUSR2, SIGALRM and others are ignored. SIGQUIT and
    SIGABRT still end the process with a core, because that is their purpose, and so do the signals
    of a fault.
*/

#ifndef RP_SIGNALS_H
#define RP_SIGNALS_H

#include <stddef.h>

/*  Blocks the given signals, and ignores all other signals of people and timers that would end the
    process, except those with a handler. A SIGHUP that is ignored already, as by nohup, stays
    ignored. To be called before any thread exists, because threads inherit what is blocked. Returns
    a signalfd, or -1 with errno.  */
int rp_signals_open (const int *numbers, size_t count);

#endif
