/*  The terminal of an interactive command: alternate screen, single keys, and signals.

    SPDX-License-Identifier: MPL-2.0

    The terminal is as it was before on every way out: an orderly end, SIGINT and SIGTERM, the
    signals of a fault, SIGTSTP until SIGCONT. Only SIGKILL leaves it as it is. There is one
    terminal, so there is no object.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_TERMINAL_H
#define RP_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/*  Returned by rp_terminal_key beside characters.  */
typedef enum {
    RP_KEY_NONE = 0,
    RP_KEY_ENTER = '\n',
    RP_KEY_ESCAPE = 0x1b,
    RP_KEY_UP = 0x100,
    RP_KEY_DOWN,
    RP_KEY_LEFT,
    RP_KEY_RIGHT,
    RP_KEY_PAGE_UP,
    RP_KEY_PAGE_DOWN,
    RP_KEY_OTHER,
    RP_KEY_END, /* the terminal has gone */
} rp_key_t;

/*  True if standard input and output are a terminal that understands sequences.  */
bool rp_terminal_is_there (void);

/*  Takes the terminal: standard input and output. SIGINT and SIGTERM keep the handlers that they
    have; a second one ends the program. False with errno.  */
bool rp_terminal_open (void);

/*  Gives it back. Does nothing if it is not taken. A signal handler may call it.  */
void rp_terminal_restore (void);

/*  Columns and lines; 80 and 24 if the terminal does not say.  */
void rp_terminal_size (size_t *width, size_t *height);

/*  Returns the next key that was pressed; RP_KEY_NONE if there is none. To be called when standard
    input is readable, until there is none.  */
int rp_terminal_key (void);

/*  Stops the program if SIGTSTP asked for that. Returns true if the picture is to be drawn again:
    the program goes on after a stop, or the size has changed. A signal ends a poll.  */
bool rp_terminal_take_signals (void);

/*  Writes all bytes to the terminal; gives up when a signal ends the write. False if not all are
    written.  */
bool rp_terminal_write (const char *bytes, size_t size);

#endif
