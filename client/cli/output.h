/*  What the commands write: table, json, jsonl or csv, and colours.

    SPDX-License-Identifier: MPL-2.0

    Answers go to standard output, all else to standard error. Nothing here checks each write: the
    stream remembers, and rp_output_finish tells once.

    Thread-safety: none; for the main thread.
*/

#ifndef RP_OUTPUT_H
#define RP_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum { RP_OUTPUT_TABLE, RP_OUTPUT_JSON, RP_OUTPUT_JSONL, RP_OUTPUT_CSV } rp_output_t;

/*  Terminal sequences, or "" where colours are off.  */
typedef struct {
    const char *bold, *dim, *red, *reset;
} rp_colours_t;

/*  Colours for a descriptor: on a terminal that has them, unless refused is true or the environment
    has NO_COLOR.  */
rp_colours_t rp_output_colours (int fd, bool refused);

/*  Columns of the terminal at fd; fallback if it is none.  */
size_t rp_output_width (int fd, size_t fallback);

/*  Ends the program: one line, exit code 1. What a command needs is small; when that is missing,
    nothing it could do instead is worth its code.  */
_Noreturn void rp_output_no_memory (void);

/*  Writes one value and a newline: indented for RP_OUTPUT_JSON, else on one line. Takes over the
    reference; NULL stands for a value for which there was no memory.  */
void rp_output_json (rp_output_t format, json_t *value);

/*  A list whose items appear as they come: a JSON array, or a line each.  */
typedef struct {
    rp_output_t format;
    size_t count;
} rp_output_list_t;

void rp_output_list_begin (rp_output_list_t *self, rp_output_t format);
/*  Takes over the reference, as above.  */
void rp_output_list_add (rp_output_list_t *self, json_t *value);
void rp_output_list_end (rp_output_list_t *self);

/*  Returns a string; what is not UTF-8 in it becomes "\xHH". Never NULL.  */
json_t *rp_output_text (const char *text);

/*  Sets object.key, and takes over the reference, as above.  */
void rp_output_set (json_t *object, const char *key, json_t *value);

/*  Sets object.body to data as a string, or object.body_base64 where data is not UTF-8.  */
void rp_output_set_body (json_t *object, const void *data, size_t size);

/*  True once a list was begun.  */
bool rp_output_has_begun (void);

/*  The number at key; 0 if there is none.  */
json_int_t rp_output_number (const json_t *object, const char *key);

/*  Flushes standard output. Returns code, or 1 after one line on standard error if something could
    not be written. A reader that has closed its pipe is no news to it: then no line. Nor is a
    signal, which ends a write that waits for a reader: then the code for that.  */
int rp_output_finish (int code, bool (*interrupted) (void));

#endif
