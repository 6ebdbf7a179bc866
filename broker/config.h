/*  The settings of a broker, and their file.

    SPDX-License-Identifier: MPL-2.0

    Source: docs/OPERATIONS.md. The file is ZPL (common/tool/zpl.h):

        bind = "tcp://127.0.0.1:5555"       # may be repeated
        plain = "hello=tcp://127.0.0.1:5559,tcp://127.0.0.1:5560"   # likewise
        log
            level = info
        limits                              # RP_BROKER_LIMIT_MAP of broker/core/limits.h
            max_body = 16MiB
            heartbeat_min = 50ms

    Every mistake in it is reported, as "FILE:LINE:COLUMN: message", not only the first.

    Thread-safety: none. Only rp_config_load touches the disk.
*/

#ifndef RP_CONFIG_H
#define RP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/core/action.h"
#include "broker/core/limits.h"

#define RP_CONFIG_BIND_DEFAULT "tcp://127.0.0.1:5555"
#define RP_CONFIG_BIND_MAX 16u
#define RP_CONFIG_PLAIN_MAX 16u
/*  Errors reported of one file; one more line says that there are others.  */
#define RP_CONFIG_ERRORS_MAX 50u
/*  Bytes of a file.  */
#define RP_CONFIG_FILE_MAX (1u << 20)

/*  Large enough for why a setting was refused.  */
#define RP_CONFIG_REASON_MAX 256u

/*  A service with endpoints of its own, for plain REQ clients and for plain REP workers.  */
typedef struct {
    char *service; /* the three are one allocation */
    const char *front;
    const char *back;
} rp_config_plain_t;

typedef struct {
    char *bind[RP_CONFIG_BIND_MAX];
    size_t bind_count;
    rp_config_plain_t plain[RP_CONFIG_PLAIN_MAX];
    size_t plain_count;
    rp_limits_t limits;
    rp_level_t log_level;
} rp_config_t;

/*  Takes a message for people: one line without the newline, valid during the call.  */
typedef void (rp_config_error_fn) (const char *message, void *arg);

/*  Sets every default, RP_CONFIG_BIND_DEFAULT among them. False when out of memory; self may be
    cleared all the same.  */
bool rp_config_init (rp_config_t *self);

/*  Frees what self holds.  */
void rp_config_clear (rp_config_t *self);

/*  Adds an endpoint to listen on. False, and nothing changed, with a static *reason: it cannot be
    one, or is there already, or there are too many, or out of memory.  */
bool rp_config_add_bind (rp_config_t *self, const char *endpoint, const char **reason);

/*  Forgets every endpoint.  */
void rp_config_clear_bind (rp_config_t *self);

/*  Adds a plain service, as SERVICE=FRONTEND,BACKEND. False, and nothing changed, with a clause in
    reason that follows the text: its form, its name or an endpoint is wrong, or the service is
    there already, or there are too many, or out of memory.  */
bool rp_config_add_plain (rp_config_t *self, const char *text, char reason[RP_CONFIG_REASON_MAX]);

/*  Forgets every plain service.  */
void rp_config_clear_plain (rp_config_t *self);

/*  Reads settings from text, over those that self has; endpoints replace those it has, plain
    services likewise. name is the file's, for messages. False if anything is wrong: error was
    called at least once, and self is unchanged.  */
bool rp_config_read (rp_config_t *self,
  const char *text,
  size_t size,
  const char *name,
  rp_config_error_fn *error,
  void *arg);

/*  The same from a file.  */
bool rp_config_load (rp_config_t *self, const char *path, rp_config_error_fn *error, void *arg);

/*  Writes a file that reads back to the same settings, with every key, its reason and its range.
    False if it could not be written.  */
bool rp_config_print (const rp_config_t *self, FILE *file);

/*  The number of a level by its name; false if there is none.  */
bool rp_config_level (const char *name, rp_level_t *level);

#endif
