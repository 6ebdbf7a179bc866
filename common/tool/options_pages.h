/*  Writes --help and the manual page, from the table of common/tool/options.h.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_OPTIONS_PAGES_H
#define RP_OPTIONS_PAGES_H

#include "common/tool/options.h"

/*  The options that every program has; they are numbered after its own.  */
typedef enum {
    RP_OPTION_STANDARD_HEADING,
    RP_OPTION_HELP,
    RP_OPTION_VERSION,
    RP_OPTION_COMPLETIONS,
    RP_OPTION_MAN,
    RP_OPTION_STANDARD_COUNT
} rp_option_standard_t;

/*  Returns entry number index: the program's own entries, then the standard ones; NULL at the
    end.  */
const rp_option_t *rp_option_at (const rp_program_t *program, size_t index);

/*  command: the command that help is wanted for, or NULL; group: the group of commands, or
    NULL.  */
void rp_options_help (
  const rp_program_t *program, const rp_option_command_t *command, const char *group, FILE *out);
void rp_options_man (const rp_program_t *program, FILE *out);

/*  Calls the function for each exit code of the program, in ascending order.  */
typedef void (rp_option_exit_fn) (int code, const char *help, void *arg);
void rp_options_each_exit (const rp_program_t *program, rp_option_exit_fn *function, void *arg);

#endif
