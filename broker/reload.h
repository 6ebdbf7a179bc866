/*  Reload: reads the settings, the keys and the rules again while the broker runs.

    SPDX-License-Identifier: MPL-2.0

    Everything is read from the sources of the start and checked before anything changes: the result is
    whole, or there is none. A setting that a running broker cannot take (the column reloadable of its
    row) keeps its value, and so does everything about security where a reload would switch it on or off;
    the result names such settings.

    Thread-safety: none. It reads the disk.
*/

#ifndef RP_RELOAD_H
#define RP_RELOAD_H

#include <stdbool.h>

#include "broker/auth/credentials.h"
#include "broker/config.h"

/*  Lines of text, each with its newline.  */
typedef struct {
    char *text; /* NULL: none */
    size_t size;
    unsigned count; /* those included for which there was no memory */
} rp_reload_lines_t;

/*  What a reload read. The one who asked clears it.  */
typedef struct {
    rp_limits_t limits;
    rp_terms_list_t services; /* of the settings in force, until the next reload */
    rp_level_t log_level;
    rp_log_format_t log_format;
    rp_credentials_t
      *credentials; /* held by the reader until the next reload; NULL: security is off */
    rp_reload_lines_t problems; /* what is wrong: then the rest of the result is not set */
    rp_reload_lines_t restart;  /* paths of settings whose new values need a restart */
} rp_reloaded_t;

/*  Reads everything again. False if anything is wrong: then nothing has changed.  */
typedef bool (rp_reload_fn) (void *arg, rp_reloaded_t *result);

/*  The sources, and what is in force. The members are the caller's; set them before the first
    reload.  */
typedef struct {
    const char *file; /* of settings; NULL: none */
    rp_config_sources_t sources;
    rp_config_t *config;            /* in force; a reload replaces it */
    rp_credentials_t **credentials; /* in force, held; NULL: security is off; likewise */
} rp_reload_t;

/*  A rp_reload_fn; arg: rp_reload_t.  */
bool rp_reload_read (void *arg, rp_reloaded_t *result);

/*  Frees the texts.  */
void rp_reloaded_clear (rp_reloaded_t *self);

/*  Reads keys and rules, if the settings name any: *credentials is held by the caller, or NULL. False
    after error was called for each mistake.  */
bool rp_reload_credentials (const rp_config_t *config,
  rp_credentials_t **credentials,
  rp_credentials_error_fn *error,
  void *arg);

#endif
