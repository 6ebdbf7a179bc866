/*  SPDX-License-Identifier: MPL-2.0  */

#include "tests/chaos/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__ ((noreturn)) static void s_refuse (
  const chaos_option_t *options, size_t count, const char *program)
{
    fprintf (stderr, "usage: %s", program);
    for (size_t index = 0; index < count; index++)
        fprintf (
          stderr, options[index].text ? " --%s VALUE" : " [--%s NUMBER]", options[index].name);
    fputc ('\n', stderr);
    exit (2);
}

void chaos_options (const chaos_option_t *options, size_t count, int argc, char **argv)
{
    for (int at = 1; at < argc; at += 2) {
        size_t index = 0;
        while (
          index < count
          && (strncmp (argv[at], "--", 2) != 0 || strcmp (argv[at] + 2, options[index].name) != 0))
            index++;
        if (index == count || at + 1 == argc)
            s_refuse (options, count, argv[0]);
        char *end = "";
        if (options[index].text)
            *options[index].text = argv[at + 1];
        else
            *options[index].number = (unsigned) strtoul (argv[at + 1], &end, 10);
        if (*end)
            s_refuse (options, count, argv[0]);
    }
    for (size_t index = 0; index < count; index++)
        if (options[index].text && !*options[index].text)
            s_refuse (options, count, argv[0]);
}
