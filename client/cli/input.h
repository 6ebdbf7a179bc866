/*  Reads the input of the commands: bodies, scripts, lines.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the main thread.
*/

#ifndef RP_INPUT_H
#define RP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/*  The largest value of max_body; a larger input is not worth reading.  */
#define RP_INPUT_MAX ((size_t) 1 << 30)

typedef struct {
    char *memory;
    size_t room;
    char *data;  /* bytes read and not dropped; NULL before the first */
    size_t size; /* of data */
} rp_input_t;

typedef enum {
    RP_INPUT_OK,
    RP_INPUT_END,         /* the input has ended */
    RP_INPUT_FAILED,      /* errno says why */
    RP_INPUT_TOO_LARGE,   /* over RP_INPUT_MAX */
    RP_INPUT_INTERRUPTED, /* a signal came */
} rp_input_outcome_t;

/*  Reads a file, or standard input for "-", to its end. self is {0} before; free it in any
    case.  */
rp_input_outcome_t rp_input_read (rp_input_t *self, const char *path);

/*  Reads once from a descriptor; blocks until there is something to read.  */
rp_input_outcome_t rp_input_fill (rp_input_t *self, int fd);

/*  Returns the bytes of the first line with its newline; 0 if no line is complete.  */
size_t rp_input_line (const rp_input_t *self);

/*  Removes bytes from the front.  */
void rp_input_drop (rp_input_t *self, size_t size);

void rp_input_free (rp_input_t *self);

/*  Returns the reason for people: "No such file or directory".  */
const char *rp_input_reason (rp_input_outcome_t outcome);

#endif
