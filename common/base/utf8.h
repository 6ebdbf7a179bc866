/*  Reads UTF-8 from peers, and escapes it so that a text cannot look like another one.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_UTF8_H
#define RP_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  Reads one character. Returns its size in bytes; 0 if the bytes are not UTF-8. size: at least
    1.  */
size_t rp_utf8_decode (const void *data, size_t size, uint32_t *point);

/*  True for a character that controls a terminal or the direction of text: C0, DEL, C1, line
    separators, the bidirectional controls.  */
bool rp_utf8_is_control (uint32_t point);

/*  Copies text to a buffer of room bytes (at least 1), so that it is safe to show and two different
    texts stay different: each byte of a control character, of an invisible character or of what is
    not UTF-8 is written as an escape such as "\x9b", and a backslash as "\\". Text that does not
    fit is cut between two characters. Ends with NUL; returns the number of bytes before the
    NUL.  */
size_t rp_utf8_escape (const void *data, size_t size, char *buffer, size_t room);

#endif
