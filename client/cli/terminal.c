/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/*  The rest of a key's sequence comes with its beginning, or this much later, ms.  */
#define S_REST_MS 25

/*  Alternate screen, without a cursor and without lines that wrap; and back.  */
static const char s_enter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
static const char s_leave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/*  Signals that end the program; it is to leave the terminal in order.  */
static const int s_fatal[] = {
  SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
#define S_FATAL (sizeof s_fatal / sizeof *s_fatal)

static struct termios s_before;
static struct sigaction s_actions[S_FATAL]; /* that the signals had before */
static volatile sig_atomic_t s_taken;
static volatile sig_atomic_t s_stop;
static volatile sig_atomic_t s_redraw;
static volatile sig_atomic_t s_ended;

/*  Keys that were read and not yet taken.  */
static unsigned char s_bytes[64];
static size_t s_used;
static size_t s_count;

bool rp_terminal_is_there (void)
{
    const char *term = getenv ("TERM");
    return isatty (STDIN_FILENO) && isatty (STDOUT_FILENO) && term && *term
           && strcmp (term, "dumb") != 0;
}

bool rp_terminal_write (const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write (STDOUT_FILENO, bytes, size);
        if (written < 0)
            return false;
        bytes += written;
        size -= (size_t) written;
    }
    return true;
}

void rp_terminal_restore (void)
{
    if (!s_taken)
        return;
    s_taken = 0;
    (void) rp_terminal_write (s_leave, sizeof s_leave - 1);
    (void) tcsetattr (STDIN_FILENO, TCSANOW, &s_before);
}

static bool s_take (void)
{
    struct termios raw = s_before;
    raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
    raw.c_iflag |= ICRNL;
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr (STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    s_taken = 1;
    return rp_terminal_write (s_enter, sizeof s_enter - 1);
}

/*  ---- Signals ------------------------------------------------------------------------------- */

/*  The first SIGINT or SIGTERM goes to its handler of before, which asks for an orderly end. All
    others end the program here.  */
static void s_end (int number)
{
    size_t index = 0;
    while (s_fatal[index] != number)
        index++;
    const struct sigaction *before = &s_actions[index];
    bool handled = before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN;
    if ((number == SIGINT || number == SIGTERM) && handled && !s_ended) {
        s_ended = 1;
        before->sa_handler (number);
        return;
    }
    rp_terminal_restore ();
    if (handled && number != SIGINT && number != SIGTERM)
        before->sa_handler (number); // of SIGABRT: lines that wait are written
    (void) signal (number, SIG_DFL);
    (void) raise (number);
}

static void s_note (int number)
{
    if (number == SIGTSTP)
        s_stop = 1;
    else
        s_redraw = 1;
}

static void s_catch (int number, void (*handler) (int), struct sigaction *before)
{
    struct sigaction action = {.sa_handler = handler}; // no SA_RESTART: it ends a poll
    sigemptyset (&action.sa_mask);
    (void) sigaction (number, &action, before);
}

bool rp_terminal_take_signals (void)
{
    if (s_stop) {
        s_stop = 0;
        rp_terminal_restore ();
        s_catch (SIGTSTP, SIG_DFL, NULL);
        (void) raise (SIGTSTP); // returns after SIGCONT
        s_catch (SIGTSTP, s_note, NULL);
        s_redraw = 1;
    }
    if (!s_redraw)
        return false;
    s_redraw = 0;
    (void) s_take (); // after SIGCONT, the shell has had the terminal
    return true;
}

bool rp_terminal_open (void)
{
    struct sigaction ignored;
    if (tcgetattr (STDIN_FILENO, &s_before) != 0)
        return false;
    for (size_t index = 0; index < S_FATAL; index++) {
        s_catch (s_fatal[index], s_end, &s_actions[index]);
        if (s_actions[index].sa_handler == SIG_IGN) // such as SIGHUP under nohup
            (void) sigaction (s_fatal[index], &s_actions[index], NULL);
    }
    s_catch (SIGTSTP, s_note, &ignored);
    if (ignored.sa_handler == SIG_IGN) // a shell without job control
        (void) sigaction (SIGTSTP, &ignored, NULL);
    s_catch (SIGCONT, s_note, NULL);
    s_catch (SIGWINCH, s_note, NULL);
    return atexit (rp_terminal_restore) == 0 && s_take ();
}

void rp_terminal_size (size_t *width, size_t *height)
{
    struct winsize size = {0};
    bool known =
      ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *width = known ? size.ws_col : 80;
    *height = known ? size.ws_row : 24;
}

/*  ---- Keys ---------------------------------------------------------------------------------- */

/*  Reads more bytes. False if there are none.  */
static bool s_fill (void)
{
    errno = 0;
    ssize_t size = read (STDIN_FILENO, s_bytes, sizeof s_bytes);
    s_used = 0;
    s_count = size > 0 ? (size_t) size : 0;
    return size > 0;
}

/*  Returns the next byte of a sequence; -1 if it has ended.  */
static int s_next (void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (s_used == s_count && (poll (&input, 1, S_REST_MS) != 1 || !s_fill ()))
        return -1;
    return s_bytes[s_used++];
}

/*  Reads "[A", "OA", "[5~" behind an escape.  */
static int s_read_sequence (void)
{
    int first = s_next ();
    if (first < 0)
        return RP_KEY_ESCAPE;
    if (first != '[' && first != 'O')
        return RP_KEY_OTHER;
    int number = 0;
    int byte = s_next ();
    for (; (byte >= '0' && byte <= '9') || byte == ';'; byte = s_next ())
        number = byte == ';' || number > 99 ? 100 : number * 10 + byte - '0';
    switch (byte) {
        case 'A':
            return RP_KEY_UP;
        case 'B':
            return RP_KEY_DOWN;
        case 'C':
            return RP_KEY_RIGHT;
        case 'D':
            return RP_KEY_LEFT;
        case '~':
            return number == 5 ? RP_KEY_PAGE_UP : number == 6 ? RP_KEY_PAGE_DOWN : RP_KEY_OTHER;
        default:
            return RP_KEY_OTHER;
    }
}

int rp_terminal_key (void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (s_used == s_count) {
        if (poll (&input, 1, 0) != 1)
            return RP_KEY_NONE;
        if (!s_fill ()) // readable without bytes: it has hung up
            return errno == EINTR ? RP_KEY_NONE : RP_KEY_END;
    }
    int byte = s_bytes[s_used++];
    return byte == 0x1b ? s_read_sequence () : byte;
}
