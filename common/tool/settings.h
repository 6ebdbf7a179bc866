/*  The settings of a program, from one table.

    SPDX-License-Identifier: MPL-2.0

    A setting is a row: path, kind, range, default, reason. Everything about settings is read from
    the rows: the file (ZPL, common/base/zpl.h), the environment, options such as --limit, and the
    texts of common/tool/settings_pages.h (--print-config, --help settings, the manual page of
    section 5). A new setting is a new row; a new section is a row whose path begins with it.

        limits/max_body         "max_body" in the section "limits" of the file,
                                RIPOSTE_LIMITS_MAX_BODY in the environment

    Values lie in a structure of the program, each at its row's offset. A program initialises that
    structure with rp_settings_init; then a reader reads the file, the environment and the options,
    each of which overrides the one before; then the program compares values with each other. After
    an error the structure is not to be used. So a program that reads its settings again fills a new
    structure, and replaces the old one only if there was no error.

    The column reloadable says whether a running program takes a new value. With rp_setting_differs and
    rp_setting_copy a reload keeps the values of all other rows.

    Thread-safety: pure functions of their arguments, except for the callbacks and the stream.
*/

#ifndef RP_SETTINGS_H
#define RP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/units.h"

/*  The kind of a value: how it is stored and how it is written.  */
typedef enum {
    RP_SETTING_COUNT,  /* uint64_t: digits */
    RP_SETTING_BYTES,  /* uint64_t: 16MiB */
    RP_SETTING_TIME,   /* uint64_t, milliseconds: 250ms */
    RP_SETTING_CHOICE, /* int, the index in choices: one of them */
    RP_SETTING_TEXT,   /* char *, allocated; NULL: the text is empty */
    RP_SETTING_LIST,   /* the row's functions store several texts */
} rp_setting_kind_t;

/*  Rows of one table, at most.  */
#define RP_SETTINGS_MAX 64u
/*  Errors that one reader reports; one more line says that there are others.  */
#define RP_SETTINGS_ERRORS_MAX 50u
/*  Bytes for the reason why a value was refused, and for a range in words.  */
#define RP_SETTING_REASON_MAX 256u

/*  Bytes for the text of a TEXT or LIST; longer texts are refused.  */
#define RP_SETTING_TEXT_MAX 1024u

/*  How the texts of a LIST are stored. values is the program's structure.  */
typedef struct {
    /*  False if the text was refused: nothing changed, and reason is a clause that follows the
        text.  */
    bool (*add) (void *values, const char *text, char reason[RP_SETTING_REASON_MAX]);
    void (*clear) (void *values);
    /*  Returns text number index in the form that add takes, in buffer or elsewhere; NULL at the
        end.  */
    const char *(*at) (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX]);
} rp_setting_list_t;

/*  One row; members that do not apply stay 0.  */
typedef struct {
    const char *path; /* with at most one section: "limits/max_body" */
    rp_setting_kind_t kind;
    size_t offset;                       /* of the value; not used for LIST */
    uint64_t initial, smallest, largest; /* default and range of a number; default of CHOICE */
    const char *const *choices;          /* CHOICE: ends with NULL */
    const char *text;                    /* TEXT, LIST: default; NULL: none */
    const char *form;                    /* TEXT, LIST: for people, "SERVICE=FRONTEND,BACKEND" */
    const rp_setting_list_t *list;       /* LIST */
    bool reloadable;                     /* a running program takes a new value */
    const char *why;                     /* a clause, without a full stop */
} rp_setting_t;

typedef struct {
    const char *program; /* "riposte-broker" */
    const rp_setting_t *rows;
    size_t count; /* at most RP_SETTINGS_MAX */
    const char *const (
      *renamed)[2]; /* earlier paths, each with its new path, which the error for it names */
    size_t renamed_count;
} rp_setting_table_t;

/*  What an option or variable gives for a setting, or for a section.  */
typedef struct {
    const char *path;   /* "log/level"; or "limits/", and text is NAME=VALUE */
    const char *dashes; /* "--" before the name of an option, "" before the name of a variable */
    const char *name;
    const char *text;
} rp_setting_given_t;

/*  The source of a value.  */
typedef struct {
    const char *name;   /* of a file, option or variable; NULL: the row's own variable */
    const char *dashes; /* "--" before the name of an option, otherwise "" */
    size_t line;        /* in a file, from 1; otherwise 0 */
    size_t column;
    bool names_setting; /* the name alone shows which setting it is */
    unsigned round;     /* 0: the default. Sources that belong together have the same round */
} rp_setting_source_t;

/*  Settings in force: the table, the structure of values, and for each row where its value came from.  */
typedef struct {
    const rp_setting_table_t *table;
    const void *values;
    const rp_setting_source_t *sources;
} rp_settings_t;

/*  Takes an error for people: one line without the newline, valid during the call.  */
typedef void (rp_setting_error_fn) (const char *message, void *arg);

/*  Reads into one structure of values. Set the first four members; the others are zero.  */
typedef struct {
    const rp_setting_table_t *table;
    void *values;
    rp_setting_error_fn *error;
    void *arg;
    size_t errors;
    unsigned round;
    const char *file; /* the file being read, or NULL */
    rp_setting_source_t sources[RP_SETTINGS_MAX];
} rp_settings_reader_t;

/*  Stores every default in values, which must be zeroed. False when out of memory; values may be
    cleared all the same.  */
bool rp_settings_init (const rp_setting_table_t *table, void *values);

/*  Frees the memory that values own.  */
void rp_settings_clear (const rp_setting_table_t *table, void *values);

/*  This function and the next two report every error, not only the first. The reader keeps pointers
    to names, which stay the caller's and must outlive the reader.  */
void rp_settings_read_file (
  rp_settings_reader_t *self, const char *text, size_t size, const char *name);
/*  lookup is getenv, or a test's own function.  */
void rp_settings_read_environment (rp_settings_reader_t *self, char *(*lookup) (const char *name));
/*  Entries from variables come first, because an option overrides a variable.  */
void rp_settings_read_given (
  rp_settings_reader_t *self, const rp_setting_given_t *given, size_t count);

/*  Reports that two settings contradict each other, at the place of the one that was read later; of
    two in one round, at the first.  */
void rp_settings_complain_pair (
  rp_settings_reader_t *self, size_t one, size_t other, const char *format, ...)
  __attribute__ ((format (printf, 4, 5)));
/*  Reports an error that belongs to no setting.  */
void rp_settings_complain (rp_settings_reader_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  Returns the number of the row with this path; table->count if there is none.  */
size_t rp_settings_find (const rp_setting_table_t *table, const char *path);

/*  Returns the value of a row whose kind is a number.  */
uint64_t rp_setting_number (const rp_setting_t *row, const void *values);

/*  True if the two structures have different values for the row.  */
bool rp_setting_differs (const rp_setting_t *row, const void *one, const void *other);

/*  Replaces the row's value in one structure by that of another. False when out of memory: the value is
    then empty.  */
bool rp_setting_copy (const rp_setting_t *row, void *to, const void *from);

/*  ---- For the texts about settings ---------------------------------------------------------- */

/*  Writes a number in the form of the row's kind, or a choice. Returns buffer.  */
const char *rp_setting_write_number (
  const rp_setting_t *row, uint64_t value, char buffer[RP_UNITS_TEXT_MAX]);

/*  Returns text number index of a row's value, as a file has it but without quotes: a LIST has several texts,
    a TEXT has none if it is empty, all others have one. NULL behind the last. The text is in buffer, or
    belongs to values.  */
const char *rp_setting_text (
  const rp_setting_t *row, const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX]);

/*  Returns the row's default in the same form; NULL if it has none.  */
const char *rp_setting_default (const rp_setting_t *row, char buffer[RP_UNITS_TEXT_MAX]);

/*  Writes where the value of the row with this path came from: "default", "file NAME:LINE", "environment
    VARIABLE" or "option --NAME". The name of a file may be cut; control characters in it become "?". Returns
    buffer.  */
#define RP_SETTING_SOURCE_MAX 1200u
const char *rp_setting_source_write (
  const rp_setting_source_t *source, const char *path, char buffer[RP_SETTING_SOURCE_MAX]);

/*  Writes the values that a row takes, in words: "1KiB to 1GiB", "error, warning, info or debug".
    Returns buffer.  */
const char *rp_setting_range (const rp_setting_t *row, char buffer[RP_SETTING_REASON_MAX]);

/*  Writes the row's variable in the environment: RIPOSTE_LIMITS_MAX_BODY. Returns buffer.  */
#define RP_SETTING_VARIABLE_MAX 64u
const char *rp_setting_variable (const char *path, char buffer[RP_SETTING_VARIABLE_MAX]);

#endif
