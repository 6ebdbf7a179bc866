/*  Commands of a program by their names, which have one word ("call") or two ("keys new").

    SPDX-License-Identifier: MPL-2.0

    Commands with the same first word are a group, which has that word as its name.

    Thread-safety: pure functions of their arguments.
*/

#ifndef RP_OPTIONS_COMMANDS_H
#define RP_OPTIONS_COMMANDS_H

#include "common/tool/options.h"

/*  Finds the command that the first arguments name; items[count] need not exist. *words is how many
    of them are its name. NULL if there is none.  */
const rp_option_command_t *rp_option_command_find (
  const rp_program_t *program, char *const *items, size_t count, size_t *words);

/*  True if a group has this name. NULL is none.  */
bool rp_option_group_exists (const rp_program_t *program, const char *name);

/*  The size of the name of a command's group; 0 if it is in none.  */
size_t rp_option_group_size (const rp_option_command_t *command);

/*  True if the command is in the group; every command if group is NULL.  */
bool rp_option_is_in_group (const rp_option_command_t *command, const char *group);

/*  True if the option applies to the command (NULL: to any command of the group; with group NULL,
    to any). In the option's list a command of two words is written with a dash, "keys-new"; the
    name of a group stands for all of its commands.  */
bool rp_option_goes_with (
  const rp_option_t *option, const rp_option_command_t *command, const char *group);

/*  Returns the command, or the group, whose name is nearest to a word, if it is near enough. group:
    only commands of this group, by their second words; NULL: first words.  */
const rp_option_command_t *rp_option_command_nearest (
  const rp_program_t *program, const char *group, const char *word);

/*  The distance up to which a word of this size is taken for a mistyped one.  */
size_t rp_option_distance_limit (size_t size);

#endif
