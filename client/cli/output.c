/*  SPDX-License-Identifier: MPL-2.0  */

#include "client/cli/output.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <riposte/error.h>

#include "client/cli/terminal.h"
#include "client/cli/text.h"
#include "common/program/writer.h"

/*  A narrower table is not readable.  */
#define S_WIDTH_MIN 60u
/*  Digits of a number that is not whole; more would be noise.  */
#define S_DIGITS 9

rp_colours_t rp_output_colours (int fd, bool refused)
{
    const char *no_color = getenv ("NO_COLOR");
    const char *term = getenv ("TERM");
    if (refused || (no_color && *no_color) || !term || strcmp (term, "dumb") == 0 || !isatty (fd))
        return (rp_colours_t){"", "", "", ""};
    return (rp_colours_t){"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"};
}

size_t rp_output_width (int fd, size_t fallback)
{
    struct winsize size;
    if (ioctl (fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return fallback;
    return size.ws_col < S_WIDTH_MIN ? S_WIDTH_MIN : size.ws_col;
}

void rp_output_no_memory (void)
{
    rp_terminal_restore ();
    fputs ("riposte: out of memory\n", stderr);
    rp_writer_flush_stderr ();
    _exit (rp_status_exit_code (RP_NO_MEMORY));
}

static void s_write (json_t *value, size_t flags)
{
    flags |= JSON_ENCODE_ANY | JSON_REAL_PRECISION (S_DIGITS);
    if (!value || (json_dumpf (value, stdout, flags) != 0 && !ferror (stdout)))
        rp_output_no_memory ();
    json_decref (value);
}

void rp_output_json (rp_output_t format, json_t *value)
{
    s_write (value, format == RP_OUTPUT_JSON ? JSON_INDENT (2) : JSON_COMPACT);
    putchar ('\n');
}

static bool s_has_begun;

bool rp_output_has_begun (void)
{
    return s_has_begun;
}

void rp_output_list_begin (rp_output_list_t *self, rp_output_t format)
{
    *self = (rp_output_list_t){.format = format};
    s_has_begun = true;
    if (format == RP_OUTPUT_JSON)
        putchar ('[');
}

void rp_output_list_add (rp_output_list_t *self, json_t *value)
{
    if (self->format == RP_OUTPUT_JSON) {
        fputs (self->count > 0 ? ",\n" : "\n", stdout);
        s_write (value, JSON_INDENT (2));
    }
    else {
        s_write (value, JSON_COMPACT);
        putchar ('\n');
    }
    self->count++;
    fflush (stdout);
}

void rp_output_list_end (rp_output_list_t *self)
{
    if (self->format == RP_OUTPUT_JSON)
        fputs (self->count > 0 ? "\n]\n" : "]\n", stdout);
}

json_t *rp_output_text (const char *text)
{
    json_t *value = json_string (text);
    if (value)
        return value;
    char *visible = rp_text_visible (text, strlen (text));
    value = visible ? json_string (visible) : NULL;
    free (visible);
    if (!value)
        rp_output_no_memory ();
    return value;
}

void rp_output_set (json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new (object, key, value) != 0)
        rp_output_no_memory ();
}

void rp_output_set_body (json_t *object, const void *data, size_t size)
{
    json_t *value = json_stringn (data, size); // NULL if it is not UTF-8
    if (value) {
        rp_output_set (object, "body", value);
        return;
    }
    char *encoded = rp_text_base64 (data, size);
    rp_output_set (object, "body_base64", encoded ? json_string (encoded) : NULL);
    free (encoded);
}

json_int_t rp_output_number (const json_t *object, const char *key)
{
    return json_integer_value (json_object_get (object, key)); // 0 for NULL and for other types
}

/*  True if standard output is a pipe without a reader.  */
static bool s_reader_is_gone (void)
{
    struct pollfd item = {.fd = STDOUT_FILENO};
    return poll (&item, 1, 0) == 1 && (item.revents & POLLERR) != 0;
}

int rp_output_finish (int code, int unwritten, bool (*interrupted) (void))
{
    if (fflush (stdout) == 0 && !ferror (stdout))
        return code;
    if (interrupted ()) // an interrupt ends a write
        return rp_status_exit_code (RP_INTERRUPTED);
    if (!s_reader_is_gone ())
        fputs ("riposte: cannot write all of the answer to standard output; is the disk full?\n",
          stderr);
    return unwritten;
}
