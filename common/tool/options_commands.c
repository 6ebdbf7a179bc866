/*  SPDX-License-Identifier: MPL-2.0  */

#include "common/tool/options_commands.h"

#include <string.h>

#include "common/wire/name.h"

/*  Most mistakes in typing are one or two letters.  */
#define S_DISTANCE_MAX 2u

size_t rp_option_distance_limit (size_t size)
{
    return size < 4 ? 1 : S_DISTANCE_MAX;
}

size_t rp_option_group_size (const rp_option_command_t *command)
{
    size_t size = strcspn (command->name, " ");
    return command->name[size] == '\0' ? 0 : size;
}

bool rp_option_is_in_group (const rp_option_command_t *command, const char *group)
{
    if (!group)
        return true;
    size_t size = rp_option_group_size (command);
    return size > 0 && strlen (group) == size && memcmp (group, command->name, size) == 0;
}

bool rp_option_group_exists (const rp_program_t *program, const char *name)
{
    for (size_t index = 0; name && index < program->command_count; index++)
        if (rp_option_is_in_group (&program->commands[index], name))
            return true;
    return false;
}

const rp_option_command_t *rp_option_command_find (
  const rp_program_t *program, char *const *items, size_t count, size_t *words)
{
    for (size_t index = 0; index < program->command_count && count > 0; index++) {
        const rp_option_command_t *command = &program->commands[index];
        size_t size = rp_option_group_size (command);
        *words = size > 0 ? 2 : 1;
        if (size == 0 ? strcmp (command->name, items[0]) == 0
                      : count > 1 && rp_option_is_in_group (command, items[0])
                          && strcmp (command->name + size + 1, items[1]) == 0)
            return command;
    }
    return NULL;
}

/*  True if a word of an option's list is the command ("keys-new") or its group ("keys").  */
static bool s_is_word_for (const rp_option_command_t *command, const char *word, size_t size)
{
    size_t group = rp_option_group_size (command);
    if (group > 0 && size == group)
        return memcmp (word, command->name, size) == 0;
    if (size != strlen (command->name))
        return false;
    for (size_t at = 0; at < size; at++)
        if (word[at] != (command->name[at] == ' ' ? '-' : command->name[at]))
            return false;
    return true;
}

/*  True if a word of an option's list is the group, or one of its commands.  */
static bool s_is_word_in (const char *group, const char *word, size_t size)
{
    size_t length = strlen (group);
    return size >= length && memcmp (word, group, length) == 0
           && (size == length || word[length] == '-');
}

bool rp_option_goes_with (
  const rp_option_t *option, const rp_option_command_t *command, const char *group)
{
    if (!option->commands || (!command && !group))
        return true;
    for (const char *at = option->commands; *at; at += strspn (at, " ")) {
        size_t size = strcspn (at, " ");
        if (command ? s_is_word_for (command, at, size) : s_is_word_in (group, at, size))
            return true;
        at += size;
    }
    return false;
}

const rp_option_command_t *rp_option_command_nearest (
  const rp_program_t *program, const char *group, const char *word)
{
    size_t best = rp_option_distance_limit (strlen (word)) + 1;
    const rp_option_command_t *nearest = NULL;
    for (size_t index = 0; index < program->command_count; index++) {
        const rp_option_command_t *command = &program->commands[index];
        const char *name = command->name;
        if (group) {
            if (!rp_option_is_in_group (command, group))
                continue;
            name += strlen (group) + 1;
        }
        size_t distance =
          rp_name_distance (word, strlen (word), name, strcspn (name, " "), best - 1);
        if (distance < best) {
            best = distance;
            nearest = command;
        }
    }
    return nearest;
}
