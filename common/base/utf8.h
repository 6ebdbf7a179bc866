/*  UTF-8 that others sent, and how it is shown so that it cannot pretend to be anything else.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_UTF8_H
#define RP_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Reads one character. Returns its bytes, 0 if they are not UTF-8. size is 1 or more.  */
size_t rp_utf8_decode (const void *data, size_t size, uint32_t *point);

/*  True for a character that steers a terminal or the direction of text: C0, DEL, C1, line
    separators, the bidirectional controls.  */
bool rp_utf8_is_control (uint32_t point);

/*  Copies text to a buffer of room bytes, 1 or more, so that it is safe to show and two different
    texts stay different: each byte of a control, of an invisible character, or that is not UTF-8
    becomes "\x9b", and a backslash "\\". What does not fit is cut, between two characters. Ends
    with NUL; returns the bytes before it.  */
size_t rp_utf8_escape (const void *data, size_t size, char *buffer, size_t room);

#endif
