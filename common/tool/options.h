/*  Reads the command line of a program, and writes its help, from one table.

    SPDX-License-Identifier: MPL-2.0

    A program describes itself in an rp_program_t. This table reads the command line and the
    environment, and makes --help, --version, the manual page (--man) and what shells complete
    (--completions SHELL, options_complete.h), so that all of them agree.

        typedef struct { const char *server; int64_t timeout; bool quiet; } s_options_t;

        static const rp_option_t s_table[] = {
          {.name = "server", .letter = 's', .kind = RP_OPTION_STRING, .argument = "ENDPOINT",
           .environment = "RIPOSTE_SERVER", .offset = offsetof (s_options_t, server),
           .help = "the broker to use"},
          ...
        };

        s_options_t options = {.server = "tcp://127.0.0.1:5555", .timeout = 5000000};
        rp_arguments_t arguments;
        int code = rp_options_parse (
          &s_program, argc, argv, getenv, &options, &arguments, stdout, stderr);
        if (code != RP_OPTIONS_GO_ON)
            return code;

    Options stand before or after the other arguments; after "--" nothing is an option. The name of
    an option cannot be abbreviated; the error for a part of a name shows the whole name. The
    command line overrides the environment, which overrides the values that the structure had
    before. Stored strings point into argv or the environment.

    Thread-safety: none (getopt_long has global state); meant for the start of main.
*/

#ifndef RP_OPTIONS_H
#define RP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/tool/settings.h"

typedef enum {
    RP_OPTION_HEADING,  /* not an option: help is the heading of the next options */
    RP_OPTION_FLAG,     /* stores a bool; environment: 1, yes, true, on or 0, no, false, off */
    RP_OPTION_STRING,   /* stores a const char * */
    RP_OPTION_LIST,     /* adds to an rp_option_list_t; the environment gives one item */
    RP_OPTION_DURATION, /* stores an int64_t, microseconds */
    RP_OPTION_SIZE,     /* stores a uint64_t, bytes */
    RP_OPTION_COUNT,    /* stores a uint64_t */
    RP_OPTION_CHOICE,   /* stores an int: the index in choices */
    RP_OPTION_SETTING,  /* stores nothing: adds to settings of rp_arguments_t; may be repeated */
} rp_option_kind_t;

#define RP_OPTION_LIST_MAX 64u

typedef struct {
    const char *items[RP_OPTION_LIST_MAX];
    size_t count;
} rp_option_list_t;

/*  One entry of the table; members that do not apply stay 0.  */
typedef struct {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    rp_option_kind_t kind;
    const char *argument;       /* placeholder; every kind but FLAG and HEADING needs one */
    const char *environment;    /* the variable for the same value; of a SETTING, an additional
                                   variable beside the setting's own */
    const char *help;           /* a clause, without a full stop */
    size_t offset;              /* of the member of the program's structure */
    uint64_t smallest, largest; /* range of DURATION (µs), SIZE, COUNT; largest 0: no bounds */
    const char *const *choices; /* CHOICE: ends with NULL; SETTING: for completions */
    const char *setting;        /* SETTING: its path, or a section with "/" at its end */
    const char *commands;       /* "call keys-new keys": applies to these commands, or groups of
                                   commands, only (options_commands.h); NULL: to all */
} rp_option_t;

/*  A command of a program that has several: its first argument ("call" of riposte), or its first
    two ("keys new"). Commands with the same first word are a group, and stand together in the
    table.  */
typedef struct {
    const char *name;
    const char *arguments; /* "SERVICE [BODY]"; NULL: none */
    const char *help;
} rp_option_command_t;

/*  An exit code in addition to those of RP_STATUS_MAP.  */
typedef struct {
    int code;
    const char *help;
} rp_option_exit_t;

/*  At most this many options and headings in one table.  */
#define RP_OPTIONS_MAX 96u

typedef struct {
    const char *name;
    const char *summary;            /* a clause: "sends requests to workers" */
    const char *const *usage;       /* lines of arguments behind the name; ends with NULL */
    const char *const *description; /* paragraphs for --man, ends with NULL; or NULL */
    const rp_option_t *options;
    size_t option_count;
    const rp_option_command_t *commands; /* NULL: the program has none */
    size_t command_count;
    const char *const *examples;   /* lines, ends with NULL; or NULL */
    const rp_option_exit_t *exits; /* more exit codes than 0 and 2, or NULL */
    size_t exit_count;
    bool statuses;                      /* the exit codes of RP_STATUS_MAP apply too */
    const rp_setting_table_t *settings; /* for --help settings and --man settings, or NULL */
} rp_program_t;

/*  The arguments that are no options, and which options were given.  */
typedef struct {
    const rp_option_command_t *command; /* NULL when the program has none */
    char **items;                       /* arguments behind the command; items[count] is NULL */
    size_t count;
    bool has_dashes;     /* "--" was given */
    size_t after_dashes; /* the number of items, the last ones, that stood behind "--" */
    /*  per option: set on the command line or by the environment; behind those of the program, the standard ones  */
    bool given[RP_OPTIONS_MAX + 8];
    rp_setting_given_t settings[RP_OPTION_LIST_MAX]; /* values that options give for settings */
    size_t setting_count;
} rp_arguments_t;

#define RP_OPTIONS_GO_ON (-1)

/*  Reads the command line. lookup is getenv, or a test's own function. Writes the text of --help
    and the other standard options to out, and an error as one line to err. Reorders argv. Returns
    RP_OPTIONS_GO_ON, or the exit code of the program: 0 (a text was written), 2 (usage), 1 (out
    cannot be written).  */
int rp_options_parse (const rp_program_t *program,
  int argc,
  char **argv,
  char *(*lookup) (const char *name),
  void *options,
  rp_arguments_t *arguments,
  FILE *out,
  FILE *err);

/*  True if the option of this name was given on the command line or by the environment.  */
bool rp_options_given (
  const rp_program_t *program, const rp_arguments_t *arguments, const char *name);

#endif
