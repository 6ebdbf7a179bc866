/*  Completes a command line in a shell: what may stand where the cursor is, by the table of common/tool/options.h.

    SPDX-License-Identifier: MPL-2.0

    The scripts of --completions (bash, zsh, fish) ask the program itself, with --complete as its first argument and behind
    it the words of the line up to the cursor, the last of which is being written and may be "". The answer has a line for
    each candidate, with a tab and an explanation behind it if there is one; the shell leaves out those that do not begin
    with what is written. A line that begins with a colon says where there are more:

        :files              names of files
        :directories        names of directories
        :commands           programs, and names of files
        :ask TAB WORD ...   the first column of what "riposte WORD ..." writes: services, workers, jobs, contexts. The
                            words have the broker and the keys that the line names

    Thread-safety: pure functions of their arguments, except for the stream.
*/

#ifndef RP_OPTIONS_COMPLETE_H
#define RP_OPTIONS_COMPLETE_H

#include "common/tool/options.h"

/*  The first argument that asks for candidates.  */
#define RP_OPTIONS_COMPLETE "--complete"

/*  Writes the candidates for the last of these words.  */
void rp_options_complete (const rp_program_t *program, char *const *words, size_t count, FILE *out);

/*  The shells for which there is a script; ends with NULL.  */
extern const char *const rp_option_shells[];

/*  Writes the script for a shell. Returns false if there is none.  */
bool rp_options_script (const rp_program_t *program, const char *shell, FILE *out);

#endif
