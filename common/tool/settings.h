/*  The settings of a program, from one table.

    SPDX-License-Identifier: MPL-2.0

    A setting is a row: path, kind, range, default, reason. All that knows of settings reads the
    rows: the file (ZPL, common/tool/zpl.h), the environment, options such as --limit, and what is
    said about them (common/tool/settings_pages.h): --print-config, --help settings, the manual page
    of section 5. A new setting is a new row; a new section is a row whose path begins with it.

        limits/max_body         "max_body" in the section "limits" of the file,
                                RIPOSTE_LIMITS_MAX_BODY in the environment

    Values lie in a structure of the program, each at its row's offset. A program makes that
    structure with rp_settings_init, lets a reader read the file, then the environment, then options,
    each over the one before, and holds values against each other last. If the reader has told of an
    error, the structure is not to be used. So a program that reads its settings again makes a new
    structure, and takes it in place of the old one only if it is whole.

    There is no column that says whether a running program takes a new value, since none does: each
    setting is read at the start. Whoever adds a reload adds the column here.

    Thread-safety: pure functions of their arguments, but for the callbacks and the stream.
*/

#ifndef RP_SETTINGS_H
#define RP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/units.h"

/*  What the value is, how it is stored, and how it is written.  */
typedef enum {
    RP_SETTING_COUNT,  /* uint64_t: digits */
    RP_SETTING_BYTES,  /* uint64_t: 16MiB */
    RP_SETTING_TIME,   /* uint64_t, milliseconds: 250ms */
    RP_SETTING_CHOICE, /* int, the index in choices: one of them */
    RP_SETTING_TEXT,   /* char *, allocated; NULL: the text is empty */
    RP_SETTING_LIST,   /* whatever the row's functions make of several texts */
} rp_setting_kind_t;

/*  Rows of one table.  */
#define RP_SETTINGS_MAX 64u
/*  Errors that one reader tells; one more line says that there are others.  */
#define RP_SETTINGS_ERRORS_MAX 50u
/*  Large enough for why a value was refused, and for a range in words.  */
#define RP_SETTING_REASON_MAX 256u

/*  Large enough for any text of a TEXT or LIST; longer ones are refused.  */
#define RP_SETTING_TEXT_MAX 1024u

/*  What becomes of the texts of a LIST. values is the program's structure.  */
typedef struct {
    /*  False, with a clause in reason that follows the text, and nothing changed.  */
    bool (*add) (void *values, const char *text, char reason[RP_SETTING_REASON_MAX]);
    void (*clear) (void *values);
    /*  Text number index as add would take it, in buffer or elsewhere; NULL behind the last.  */
    const char *(*at) (const void *values, size_t index, char buffer[RP_SETTING_TEXT_MAX]);
} rp_setting_list_t;

/*  One row; leave out what does not apply.  */
typedef struct {
    const char *path; /* with at most one section: "limits/max_body" */
    rp_setting_kind_t kind;
    size_t offset;                       /* of the value, but for LIST */
    uint64_t initial, smallest, largest; /* default and range of a number; default of CHOICE */
    const char *const *choices;          /* CHOICE: ends with NULL */
    const char *text;                    /* TEXT, LIST: default; NULL: none */
    const char *form;                    /* TEXT, LIST: for people, "SERVICE=FRONTEND,BACKEND" */
    const rp_setting_list_t *list;       /* LIST */
    const char *why;                     /* a clause, without a full stop */
} rp_setting_t;

typedef struct {
    const char *program; /* "riposte-broker" */
    const rp_setting_t *rows;
    size_t count; /* at most RP_SETTINGS_MAX */
    const char *const (
      *renamed)[2]; /* paths of once, each with that of now; who uses one is told */
    size_t renamed_count;
} rp_setting_table_t;

/*  What an option says of a setting, or of one in a section.  */
typedef struct {
    const char *path;   /* "log/level"; or "limits/": then text is NAME=VALUE */
    const char *dashes; /* "--" before the name of an option, "" before that of a variable */
    const char *name;
    const char *text;
} rp_setting_given_t;

/*  Where a value comes from.  */
typedef struct {
    const char *name;   /* of a file, option or variable; NULL: the row's own variable */
    const char *dashes; /* "--" before the name of an option, otherwise "" */
    size_t line;        /* in a file, from 1; otherwise 0 */
    size_t column;
    bool names_setting; /* whoever reads the name knows which setting it is */
    unsigned round;     /* 0: the default holds. Sources that belong together have the same */
} rp_setting_source_t;

/*  Takes a message for people: one line without the newline, valid during the call.  */
typedef void (rp_setting_error_fn) (const char *message, void *arg);

/*  Of one structure of values. Set the first four members, zero the others.  */
typedef struct {
    const rp_setting_table_t *table;
    void *values;
    rp_setting_error_fn *error;
    void *arg;
    size_t errors;
    unsigned round;
    const char *file; /* being read, or NULL */
    rp_setting_source_t sources[RP_SETTINGS_MAX];
} rp_settings_reader_t;

/*  Sets every default in values, which are zeroed. False when out of memory; values may be cleared
    all the same.  */
bool rp_settings_init (const rp_setting_table_t *table, void *values);

/*  Frees what values hold.  */
void rp_settings_clear (const rp_setting_table_t *table, void *values);

/*  The three tell every mistake, not only the first. What the reader keeps of names stays the
    caller's, for as long as the reader is used.  */
void rp_settings_read_file (
  rp_settings_reader_t *self, const char *text, size_t size, const char *name);
/*  lookup is getenv, or a test's own.  */
void rp_settings_read_environment (rp_settings_reader_t *self, char *(*lookup) (const char *name));
/*  Those of variables first, since an option beats them.  */
void rp_settings_read_given (
  rp_settings_reader_t *self, const rp_setting_given_t *given, size_t count);

/*  Tells that two settings do not go together; points at the one that was said last, at the first if
    that was at once.  */
void rp_settings_complain_pair (
  rp_settings_reader_t *self, size_t one, size_t other, const char *format, ...)
  __attribute__ ((format (printf, 4, 5)));
/*  Tells an error of no setting.  */
void rp_settings_complain (rp_settings_reader_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/*  The number of a row; count if no row has this path.  */
size_t rp_settings_find (const rp_setting_table_t *table, const char *path);

/*  The value of a row that is a number.  */
uint64_t rp_setting_number (const rp_setting_t *row, const void *values);

/*  ---- For what is said about settings ------------------------------------------------------- */

/*  Writes a number as the row's kind has it, or a choice. Return buffer.  */
const char *rp_setting_write_number (
  const rp_setting_t *row, uint64_t value, char buffer[RP_UNITS_TEXT_MAX]);

/*  What the row takes, in words: "1KiB to 1GiB", "error, warning, info or debug". Return buffer.  */
const char *rp_setting_range (const rp_setting_t *row, char buffer[RP_SETTING_REASON_MAX]);

/*  The row's variable in the environment: RIPOSTE_LIMITS_MAX_BODY. Return buffer.  */
#define RP_SETTING_VARIABLE_MAX 64u
const char *rp_setting_variable (const char *path, char buffer[RP_SETTING_VARIABLE_MAX]);

#endif
