/*  What a program says about itself: the texts that common/tool/options.h makes out of the table.

    SPDX-License-Identifier: MPL-2.0

    Thread-safety: pure functions of their arguments, but for the stream.
*/

#ifndef RP_OPTIONS_PAGES_H
#define RP_OPTIONS_PAGES_H

#include "common/tool/options.h"

/*  The options that every program has, behind its own in one numbering.  */
typedef enum {
    RP_OPTION_STANDARD_HEADING,
    RP_OPTION_HELP,
    RP_OPTION_VERSION,
    RP_OPTION_COMPLETIONS,
    RP_OPTION_MAN,
    RP_OPTION_STANDARD_COUNT
} rp_option_standard_t;

/*  Entry number index: the program's own, then the standard ones. NULL behind the last.  */
const rp_option_t *rp_option_at (const rp_program_t *program, size_t index);

/*  True if the option goes with the command (NULL: any command).  */
bool rp_option_goes_with (const rp_option_t *option, const rp_option_command_t *command);

/*  command: NULL, or the one that help was asked for.  */
void rp_options_help (const rp_program_t *program, const rp_option_command_t *command, FILE *out);
void rp_options_man (const rp_program_t *program, FILE *out);
void rp_options_bash (const rp_program_t *program, FILE *out);

/*  Calls back for each exit code of the program and what it means, ascending.  */
typedef void (rp_option_exit_fn) (int code, const char *help, void *arg);
void rp_options_each_exit (const rp_program_t *program, rp_option_exit_fn *function, void *arg);

#endif
