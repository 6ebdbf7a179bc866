/*  What the commands read: bodies, scripts, lines.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: none; for the main thread.
*/

#ifndef RP_INPUT_H
#define RP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/*  More than any broker takes (the largest that max_body may be), and so not worth reading.  */
#define RP_INPUT_MAX ((size_t) 1 << 30)

typedef struct {
    char *memory;
    size_t room;
    char *data;  /* what was read and not dropped; NULL if nothing ever was */
    size_t size; /* bytes of it */
} rp_input_t;

typedef enum {
    RP_INPUT_OK,
    RP_INPUT_END,         /* nothing more will come */
    RP_INPUT_FAILED,      /* errno says why */
    RP_INPUT_TOO_LARGE,   /* over RP_INPUT_MAX */
    RP_INPUT_INTERRUPTED, /* a signal came */
} rp_input_outcome_t;

/*  Reads a file, or standard input for "-", to its end. {0} before; to be freed in any case.  */
rp_input_outcome_t rp_input_read (rp_input_t *self, const char *path);

/*  Reads once from a descriptor, and blocks until there is something.  */
rp_input_outcome_t rp_input_fill (rp_input_t *self, int fd);

/*  Bytes of the first line, its newline included; 0 if no whole line is there yet.  */
size_t rp_input_line (const rp_input_t *self);

/*  Removes bytes from the front.  */
void rp_input_drop (rp_input_t *self, size_t size);

void rp_input_free (rp_input_t *self);

/*  What to tell: "No such file or directory".  */
const char *rp_input_reason (rp_input_outcome_t outcome);

#endif
