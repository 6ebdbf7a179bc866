/*  The settings of a broker: their table, and what they hold together.

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
    page follow (common/tool/settings.h); tests/arch/documents.py asks for the row in the documents.

    Every mistake is reported, in a file as "FILE:LINE:COLUMN: message", not only the first.

    Thread-safety: none. Only rp_config_load touches the disk.
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
/*  Bytes of a file.  */
#define RP_CONFIG_FILE_MAX (1u << 20)

/*  By rp_level_t; ends with NULL.  */
extern const char *const rp_config_levels[];

/*  kind, member, path, default, from, to, why
    from and to: the range of a COUNT, BYTES or TIME (milliseconds); the choices of a CHOICE, and 0;
    what a TEXT is, for people, and 0  */
#define RP_CONFIG_MAP(X)                                                                           \
    X (TEXT, history, "history", NULL, "FILE", 0,                                                  \
      "append a line there for each thing that happens to a request")                              \
    X (TEXT, ports_file, "ports_file", NULL, "FILE", 0,                                            \
      "once ready, write the real endpoints there, one per line")                                  \
    X (CHOICE, log_level, "log/level", RP_LEVEL_INFO, rp_config_levels, 0, "log this and worse")

/*  A service with endpoints of its own, for plain REQ clients and for plain REP workers.  */
typedef struct {
    char *service; /* the three are one allocation */
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

/*  What settings are read from, the weakest first. Leave out what does not apply.  */
typedef struct {
    const char *name; /* of the file, for messages */
    const char *text; /* of the file; NULL: there is none */
    size_t size;
    char *(*lookup) (const char *name); /* getenv, or a test's own */
    const rp_setting_given_t *given;    /* options */
    size_t given_count;
} rp_config_sources_t;

/*  Sets every default, RP_CONFIG_BIND_DEFAULT among them. False when out of memory; self may be
    cleared all the same.  */
bool rp_config_init (rp_config_t *self);

/*  Frees what self holds.  */
void rp_config_clear (rp_config_t *self);

/*  Makes the settings anew, from the defaults and the sources, and holds them against each other
    when all of them are known. False if anything is wrong: error was called at least once, and self
    is unchanged.  */
bool rp_config_read (
  rp_config_t *self, const rp_config_sources_t *sources, rp_setting_error_fn *error, void *arg);

/*  The same, with a file that is to be read; path NULL: none.  */
bool rp_config_load (rp_config_t *self,
  const char *path,
  const rp_config_sources_t *sources,
  rp_setting_error_fn *error,
  void *arg);

/*  Writes a file that reads back to the same settings, with every key, its reason and its range.
    False if it could not be written.  */
bool rp_config_print (const rp_config_t *self, FILE *file);

#endif
