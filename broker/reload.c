/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/reload.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool rp_reload_credentials (const rp_config_t *config,
  rp_credentials_t **credentials,
  rp_credentials_error_fn *error,
  void *arg)
{
    const rp_credentials_files_t files = {.key_file = config->key_file,
      .next_key_file = config->next_key_file,
      .authorized = config->authorized,
      .rules = config->rules};
    *credentials = NULL;
    if (!files.key_file && !files.rules)
        return true;
    *credentials = rp_credentials_load (&files, (int64_t) time (NULL), error, arg);
    return *credentials != NULL;
}

/*  Adds a line. Out of memory leaves it out, but counts it.  */
static void s_add_line (const char *line, void *arg)
{
    rp_reload_lines_t *self = arg;
    size_t size = strlen (line);
    char *text = realloc (self->text, self->size + size + 2);
    self->count++;
    if (!text)
        return;
    memcpy (text + self->size, line, size);
    text[self->size + size] = '\n';
    text[self->size + size + 1] = '\0';
    self->text = text;
    self->size += size + 1;
}

void rp_reloaded_clear (rp_reloaded_t *self)
{
    free (self->problems.text);
    free (self->restart.text);
    *self = (rp_reloaded_t){0};
}

/*  True if the one has keys, or rules, and the other has not.  */
static bool s_switches_security (const rp_config_t *one, const rp_config_t *other)
{
    return !one->key_file != !other->key_file || !one->rules != !other->rules;
}

/*  Puts the values in force where a running broker cannot take the new ones.  */
static void s_keep (rp_config_t *fresh, const rp_config_t *running, rp_reloaded_t *result)
{
    static const char security[] = "security/";
    bool switches = s_switches_security (fresh, running);
    for (size_t index = 0; index < rp_config_table.count; index++) {
        const rp_setting_t *row = &rp_config_table.rows[index];
        bool kept =
          !row->reloadable || (switches && strncmp (row->path, security, sizeof security - 1) == 0);
        if (!kept || !rp_setting_differs (row, fresh, running))
            continue;
        s_add_line (row->path, &result->restart);
        fresh->origins[index] = running->origins[index];
        if (!rp_setting_copy (row, fresh, running))
            s_add_line ("out of memory", &result->problems);
    }
}

/*  The keys of the broker itself are in its sockets.  */
static void s_look_at_key (const rp_certificate_t *before,
  const rp_certificate_t *after,
  const char *path,
  rp_reloaded_t *result)
{
    bool named = result->restart.text && strstr (result->restart.text, path);
    if (before && after && !named
        && memcmp (before->secret_key, after->secret_key, sizeof before->secret_key) != 0)
        s_add_line (path, &result->restart);
}

/*  Reads everything that is to be in force. Mistakes of the keys and the rules are found even if there
    are others in the settings. False if anything is wrong.  */
static bool s_read (const rp_reload_t *self,
  rp_config_t *fresh,
  rp_credentials_t **credentials,
  rp_reloaded_t *result)
{
    rp_reload_lines_t *problems = &result->problems;
    const rp_config_t *files = self->config;
    if (rp_config_load (fresh, self->file, &self->sources, s_add_line, problems)) {
        s_keep (fresh, self->config, result);
        rp_config_check (fresh, s_add_line, problems);
        files = fresh;
    }
    if (!rp_reload_credentials (files, credentials, s_add_line, problems))
        return false;
    const rp_credentials_t *running = *self->credentials;
    if (running && *credentials) {
        s_look_at_key (rp_credentials_own (running), rp_credentials_own (*credentials),
          "security/key_file", result);
        s_look_at_key (rp_credentials_next (running), rp_credentials_next (*credentials),
          "security/next_key_file", result);
    }
    return problems->count == 0;
}

bool rp_reload_read (void *arg, rp_reloaded_t *result)
{
    const rp_reload_t *self = arg;
    rp_config_t fresh = {0};
    rp_credentials_t *credentials = NULL;
    *result = (rp_reloaded_t){0};
    if (!s_read (self, &fresh, &credentials, result)) {
        rp_config_clear (&fresh);
        rp_credentials_release (&credentials);
        return false;
    }
    rp_config_clear (self->config);
    *self->config = fresh;
    rp_credentials_release (self->credentials);
    *self->credentials = credentials;
    result->limits = fresh.limits;
    result->services = fresh.services;
    result->log_level = (rp_level_t) fresh.log_level;
    result->log_format = (rp_log_format_t) fresh.log_format;
    result->credentials = credentials;
    return true;
}
