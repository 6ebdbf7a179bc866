/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/program/bell.h"

#include <sys/eventfd.h>
#include <unistd.h>

int rp_bell_open (void)
{
    return eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void rp_bell_ring (int descriptor, uint64_t what)
{
    if (write (descriptor, &what, sizeof what) != (ssize_t) sizeof what)
        return;
}

uint64_t rp_bell_hear (int descriptor)
{
    uint64_t what;
    return read (descriptor, &what, sizeof what) == (ssize_t) sizeof what ? what : 0;
}
