/*  The settings of a broker: their table, how they are read, and the checks of one against another.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/OPERATIONS.md. The file is ZPL (common/tool/zpl.h):

        bind = "tcp://127.0.0.1:5555"       # may be repeated
        plain = "hello=tcp://127.0.0.1:5559,tcp://127.0.0.1:5560"   # likewise
        log
            level = info
        limits                              # RP_BROKER_LIMIT_MAP of broker/core/limits.h
            max_body = 16MiB
            heartbeat_min = 50ms

    A new setting is a row of RP_CONFIG_MAP, a new limit a row of RP_BROKER_LIMIT_MAP. The member of
    rp_config_t, the file, the environment, --limit, --print-config, --help settings and the manual
    page follow from it (common/tool/settings.h); tests/arch/documents.py requires the row in the
    documents.

    All mistakes are reported, not only the first; those in a file as "FILE:LINE:COLUMN: message".

    Thread-safety: none. Only rp_config_load reads the disk.
*/

#ifndef RP_CONFIG_H
#define RP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/core/action.h"
#include "broker/core/limits.h"
#include "common/tool/settings.h"

#define RP_CONFIG_BIND_DEFAULT "tcp://127.0.0.1:5555"
#define RP_CONFIG_BIND_MAX 16u
#define RP_CONFIG_PLAIN_MAX 16u
/*  The largest file, bytes.  */
#define RP_CONFIG_FILE_MAX (1u << 20)

/*  Names of levels, by rp_level_t; NULL behind the last.  */
extern const char *const rp_config_levels[];

/*  kind, member, path, default, from, to, why. from and to: the range of a COUNT, BYTES or TIME
    (milliseconds); the choices of a CHOICE, and 0; the form of a TEXT, for people, and 0  */
#define RP_CONFIG_MAP(X)                                                                           \
    X (TEXT, history, "history", NULL, "FILE", 0,                                                  \
      "append a line there for each thing that happens to a request")                              \
    X (TEXT, ports_file, "ports_file", NULL, "FILE", 0,                                            \
      "once ready, write the real endpoints there, one per line")                                  \
    X (CHOICE, log_level, "log/level", RP_LEVEL_INFO, rp_config_levels, 0, "log this and worse")

/*  A plain service: its front is for REQ clients, its back for REP workers.  */
typedef struct {
    char *service; /* one allocation for all three */
    const char *front;
    const char *back;
} rp_config_plain_t;

#define RP_CONFIG_TYPE_COUNT uint64_t
#define RP_CONFIG_TYPE_BYTES uint64_t
#define RP_CONFIG_TYPE_TIME uint64_t
#define RP_CONFIG_TYPE_CHOICE int
#define RP_CONFIG_TYPE_TEXT char *

typedef struct {
    char *bind[RP_CONFIG_BIND_MAX];
    size_t bind_count;
    rp_config_plain_t plain[RP_CONFIG_PLAIN_MAX];
    size_t plain_count;
#define RP_CONFIG_MEMBER(kind, member, path, value, from, to, why) RP_CONFIG_TYPE_##kind member;
    RP_CONFIG_MAP (RP_CONFIG_MEMBER)
#undef RP_CONFIG_MEMBER
    rp_limits_t limits;
} rp_config_t;

/*  The table: bind, plain, RP_CONFIG_MAP, and RP_BROKER_LIMIT_MAP as the section "limits".  */
extern const rp_setting_table_t rp_config_table;

/*  Where settings are read from, the weakest source first. A member that does not apply is
    NULL.  */
typedef struct {
    const char *name; /* name of the file, for messages */
    const char *text; /* text of the file; NULL: none */
    size_t size;
    char *(*lookup) (const char *name); /* getenv, or a test's own */
    const rp_setting_given_t *given;    /* settings given as options */
    size_t given_count;
} rp_config_sources_t;

/*  Sets all defaults, RP_CONFIG_BIND_DEFAULT included. False when out of memory; self may then
    still be cleared.  */
bool rp_config_init (rp_config_t *self);

/*  Frees what self holds.  */
void rp_config_clear (rp_config_t *self);

/*  Makes the settings from defaults and sources, then checks them against each other. False if
    anything is wrong: error was called at least once, and self is unchanged.  */
bool rp_config_read (
  rp_config_t *self, const rp_config_sources_t *sources, rp_setting_error_fn *error, void *arg);

/*  As rp_config_read, but reads the file at path; NULL: none.  */
bool rp_config_load (rp_config_t *self,
  const char *path,
  const rp_config_sources_t *sources,
  rp_setting_error_fn *error,
  void *arg);

/*  Writes a file that reads back as the same settings, each with its reason and range. False if it
    could not be written.  */
bool rp_config_print (const rp_config_t *self, FILE *file);

#endif
