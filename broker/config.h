/*  The settings of a broker: their table, how they are read, and the checks of one against another.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/OPERATIONS.md. The file is ZPL (common/base/zpl.h):

        bind = "tcp://127.0.0.1:5555"       # may be repeated
        plain = "hello=tcp://127.0.0.1:5559,tcp://127.0.0.1:5560"   # likewise
        service = "resize: concurrency=4 rate=100"                  # likewise (broker/core/terms.h)
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
#include "broker/core/terms.h"
#include "broker/log_lines.h"
#include "common/tool/settings.h"

#define RP_CONFIG_BIND_DEFAULT "tcp://127.0.0.1:5555"
#define RP_CONFIG_BIND_MAX 16u
#define RP_CONFIG_PLAIN_MAX 16u
#define RP_CONFIG_SERVICES_MAX 1000u
/*  The largest file, bytes.  */
#define RP_CONFIG_FILE_MAX (1u << 20)

/*  Names of levels, by rp_level_t; NULL behind the last.  */
extern const char *const rp_config_levels[];
/*  Names of the log's formats, by rp_log_format_t; NULL behind the last.  */
extern const char *const rp_config_formats[];

/*  kind, member, path, default, from, to, applies, why. from and to: the range of a COUNT, BYTES or TIME
    (milliseconds); the choices of a CHOICE, and 0; the form of a TEXT, for people, and 0. applies: as in
    RP_BROKER_LIMIT_MAP  */
#define RP_CONFIG_MAP(X)                                                                           \
    X (TEXT, history, "history", NULL, "FILE", 0, RESTART,                                         \
      "append a line there for each thing that happens to a request")                              \
    X (TEXT, store, "store", NULL, "FILE, postgresql://HOST/DATABASE or none", 0, RESTART,         \
      "keep jobs there: requests that outlive this broker; without it: none")                      \
    X (TEXT, ports_file, "ports_file", NULL, "FILE", 0, RESTART,                                   \
      "once ready, write the real endpoints there, one per line")                                  \
    X (TEXT, http, "http", NULL, "ADDRESS:PORT or off", 0, RESTART,                                \
      "metrics and pages are read there; without it: 127.0.0.1:5580, if that is free")             \
    X (TEXT, http_hosts, "http_hosts", NULL, "NAME[,NAME...]", 0, RESTART,                         \
      "names of hosts that requests of HTTP may ask for, beside addresses and localhost")          \
    X (COUNT, http_open, "http_open", 0, 0, 1, RESTART,                                            \
      "1: metrics and pages want no token, though peers want a key")                               \
    X (TEXT, otlp, "otlp", NULL, "URL or off", 0, RESTART,                                         \
      "send spans of requests with a sampled traceparent there: http://HOST:4318/v1/traces")       \
    X (COUNT, io_threads, "io_threads", 1, 1, 64, RESTART,                                         \
      "threads that move bytes between sockets and connections; CURVE is paid for there")          \
    X (TEXT, key_file, "security/key_file", NULL, "FILE", 0, RESTART,                              \
      "the broker's secret key; with it every tcp endpoint speaks CURVE")                          \
    X (TEXT, next_key_file, "security/next_key_file", NULL, "FILE", 0, RESTART,                    \
      "the key that will replace it, for those who know it already; with next_bind")               \
    X (TEXT, next_bind, "security/next_bind", NULL, "tcp://ADDRESS:PORT", 0, RESTART,              \
      "listen there with the next key")                                                            \
    X (TEXT, authorized, "security/authorized", NULL, "DIRECTORY", 0, RELOAD,                      \
      "public keys of those who may come in; without it: authorized, beside the key file")         \
    X (TEXT, rules, "security/rules", NULL, "FILE", 0, RELOAD,                                     \
      "who may do what; without it: everything")                                                   \
    X (COUNT, insecure, "security/insecure", 0, 0, 1, RESTART,                                     \
      "1: listen without a key where other machines reach it")                                     \
    X (TEXT, ipc_mode, "security/ipc_mode", NULL, "OCTAL", 0, RESTART,                             \
      "permissions of ipc sockets, such as 0660; without it: by the umask")                        \
    X (CHOICE, log_level, "log/level", RP_LEVEL_INFO, rp_config_levels, 0, RELOAD,                 \
      "log this and worse")                                                                        \
    X (CHOICE, log_format, "log/format", RP_LOG_AUTO, rp_config_formats, 0, RELOAD,                \
      "how a line is written; auto: journald if stderr is the systemd journal, otherwise text")

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
    rp_terms_list_t services; /* terms of services */
#define RP_CONFIG_MEMBER(kind, member, path, value, from, to, applies, why)                        \
    RP_CONFIG_TYPE_##kind member;
    RP_CONFIG_MAP (RP_CONFIG_MEMBER)
#undef RP_CONFIG_MEMBER
    rp_limits_t limits;
    rp_setting_source_t origins[RP_SETTINGS_MAX]; /* where each value came from, by row */
} rp_config_t;

/*  The table: bind, plain, service, RP_CONFIG_MAP, and RP_BROKER_LIMIT_MAP as the section "limits".  */
extern const rp_setting_table_t rp_config_table;

/*  Where settings are read from, the weakest source first. A member that does not apply is
    NULL. Settings that were read keep pointers to the names.  */
typedef struct {
    const char *name; /* name of the file, for messages */
    const char *text; /* text of the file; NULL: none */
    size_t size;
    char *(*lookup) (const char *name); /* getenv, or a test's own */
    const rp_setting_given_t *given;    /* settings given as options */
    size_t given_count;
} rp_config_sources_t;

/*  Returns the URL to which spans are sent; NULL: none are.  */
const char *rp_config_otlp (const rp_config_t *self);

/*  Returns the permissions that ipc_mode says; -1 if it is not set, or no octal number of three digits,
    with or without a leading 0.  */
int rp_config_ipc_mode (const rp_config_t *self);

/*  Sets all defaults, RP_CONFIG_BIND_DEFAULT included. False when out of memory; self may then
    still be cleared.  */
bool rp_config_init (rp_config_t *self);

/*  Frees what self holds.  */
void rp_config_clear (rp_config_t *self);

/*  Makes the settings from defaults and sources, then checks them against each other. False if
    anything is wrong: error was called at least once, and self is unchanged.  */
bool rp_config_read (
  rp_config_t *self, const rp_config_sources_t *sources, rp_setting_error_fn *error, void *arg);

/*  Checks settings against each other, as rp_config_read does; error is called for each mistake.  */
void rp_config_check (const rp_config_t *self, rp_setting_error_fn *error, void *arg);

/*  As rp_config_read, but reads the file at path; NULL: none.  */
bool rp_config_load (rp_config_t *self,
  const char *path,
  const rp_config_sources_t *sources,
  rp_setting_error_fn *error,
  void *arg);

/*  Returns the settings as the table has them, for as long as self is.  */
rp_settings_t rp_config_settings (const rp_config_t *self);

/*  Writes a file that reads back as the same settings, each with its reason, range and source. False if it
    could not be written.  */
bool rp_config_print (const rp_config_t *self, FILE *file);

#endif
