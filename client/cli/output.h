/*  Writes the answers of the commands: as table, json, jsonl or csv, and in colours.

    SPDX-License-Identifier: MPL-2.0

    Answers go to standard output, everything else to standard error. No function checks each write:
    the stream keeps its error, and rp_output_finish reports it once.

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

/*  Returns colours for a descriptor: on a terminal that has them, unless refused is true or
    NO_COLOR is set.  */
rp_colours_t rp_output_colours (int fd, bool refused);

/*  Returns the columns of the terminal at fd; fallback if fd is no terminal.  */
size_t rp_output_width (int fd, size_t fallback);

/*  Ends the program with one line and exit code 1. Commands need little memory; code for the case
    that it is missing would not be worth its lines.  */
_Noreturn void rp_output_no_memory (void);

/*  Writes one value and a newline: indented for RP_OUTPUT_JSON, otherwise on one line. Takes over
    the reference; NULL means that there was no memory for the value.  */
void rp_output_json (rp_output_t format, json_t *value);

/*  A list that is written item by item: a JSON array, or a line each.  */
typedef struct {
    rp_output_t format;
    size_t count;
} rp_output_list_t;

void rp_output_list_begin (rp_output_list_t *self, rp_output_t format);
/*  Takes over the reference, as rp_output_json.  */
void rp_output_list_add (rp_output_list_t *self, json_t *value);
void rp_output_list_end (rp_output_list_t *self);

/*  Returns a JSON string; bytes that are not UTF-8 become "\xHH". Never NULL.  */
json_t *rp_output_text (const char *text);

/*  Sets object.key. Takes over the reference, as rp_output_json.  */
void rp_output_set (json_t *object, const char *key, json_t *value);

/*  Sets object.body to data as a string, or object.body_base64 if data is not UTF-8.  */
void rp_output_set_body (json_t *object, const void *data, size_t size);

/*  True once a list was begun.  */
bool rp_output_has_begun (void);

/*  The number at key; 0 if there is none.  */
json_int_t rp_output_number (const json_t *object, const char *key);

/*  Flushes standard output. Returns code; or unwritten, with one line on standard error, if something could
    not be written. If the reader has closed its pipe, without that line. If a signal ended the
    write, the code for that signal, without a line.  */
int rp_output_finish (int code, int unwritten, bool (*interrupted) (void));

#endif
