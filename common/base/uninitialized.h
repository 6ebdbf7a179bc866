/*  RP_UNINITIALIZED marks a local variable of a hot function that is not to be zeroed first.

    SPDX-License-Identifier: MPL-2.0

    The programs are compiled with -ftrivial-auto-var-init=zero (cmake/RiposteFlags.cmake), which
    zeroes every local variable that has no value yet. Use this only for a buffer or struct whose
    zeroing was seen in bench/instructions or in a profile, and of which nothing is read that was
    not written before.
*/

#ifndef RP_UNINITIALIZED_H
#define RP_UNINITIALIZED_H

#ifdef __has_attribute
#if __has_attribute(uninitialized)
#define RP_UNINITIALIZED __attribute__ ((uninitialized))
#endif
#endif
#ifndef RP_UNINITIALIZED
#define RP_UNINITIALIZED
#endif

#endif
