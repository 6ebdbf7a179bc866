/*  Reads scripts of `riposte talk`: one conversation, with one request per line.

    SPDX-License-Identifier: MPL-2.0

        # Blank lines and lines that begin with # are skipped.
        POST /login user=${user:-ada}
        POST /note\n\ntwo more lines, one request

    A line is a request, byte for byte, except for

        \n \r \t \\ \$ \#    newline, return, tab, backslash, dollar, hash
        \xHH                 the byte with this hexadecimal number
        $NAME ${NAME}        the value of a variable; an error if it is not set
        ${NAME:-DEFAULT}     the same, or DEFAULT if it is not set

    Names are letters, digits and "_", and do not begin with a digit. Any other $ is a dollar. A
    value is inserted unchanged. The end of the line (\n or \r\n) is not part of the request.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_SCRIPT_H
#define RP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *name;
    size_t name_size;
    const char *value;
    bool used; /* set when a line used the variable */
} rp_script_variable_t;

typedef struct {
    rp_script_variable_t *items;
    size_t count;
} rp_script_variables_t;

typedef struct {
    char *body;
    size_t size;
} rp_script_request_t;

typedef enum {
    RP_SCRIPT_REQUEST,
    RP_SCRIPT_NOTHING, /* a blank line or a comment */
    RP_SCRIPT_WRONG,   /* reason says what is wrong */
    RP_SCRIPT_NO_MEMORY,
} rp_script_outcome_t;

/*  Bytes for the longest reason.  */
#define RP_SCRIPT_REASON_MAX 256u

/*  Splits "NAME=VALUE"; the variable points into text. False if text has another form.  */
bool rp_script_variable (const char *text, rp_script_variable_t *variable);

/*  Reads one line, with or without its end. With RP_SCRIPT_REQUEST the caller frees the body.
    reason holds RP_SCRIPT_REASON_MAX bytes.  */
rp_script_outcome_t rp_script_read_line (const char *line,
  size_t size,
  const rp_script_variables_t *variables,
  rp_script_request_t *request,
  char *reason);

typedef struct {
    rp_script_request_t *requests;
    size_t count;
    size_t room;
} rp_script_t;

/*  Reads a whole script into self, which is {0} before; free it in any case. RP_SCRIPT_REQUEST: the
    script is complete, and may have no request. Otherwise *line is the line with the error.  */
rp_script_outcome_t rp_script_read (rp_script_t *self,
  const char *text,
  size_t size,
  const rp_script_variables_t *variables,
  size_t *line,
  char *reason);

void rp_script_free (rp_script_t *self);

#endif
