/*  The command lines of the programs of a chaos run: options, each with a value.

    SPDX-License-Identifier: MPL-2.0
*/

#ifndef RIPOSTE_CHAOS_OPTIONS_H
#define RIPOSTE_CHAOS_OPTIONS_H

#include <stddef.h>

/*  --name VALUE: a text, which must be given, or a number, which has a default.  */
typedef struct {
    const char *name;
    const char **text;
    unsigned *number;
} chaos_option_t;

/*  Reads the command line; ends the process with exit code 2 if it is wrong.  */
void chaos_options (const chaos_option_t *options, size_t count, int argc, char **argv);

#endif
