/*  SPDX-License-Identifier: MPL-2.0  */

#include "broker/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/units.h"
#include "common/io/socket.h"
#include "common/tool/zpl.h"
#include "common/wire/limits.h"
#include "common/wire/name.h"

#define S_MESSAGE_MAX 2048u
#define S_US_PER_MS 1000u
#define S_SUGGESTION_DISTANCE 2u

/*  ---- What there is to set ------------------------------------------------------------------  */

typedef enum { S_COUNT, S_BYTES, S_TIME } s_kind_t;

typedef struct {
    const char *path;
    const char *name;
    const char *why;
    uint64_t smallest;
    uint64_t largest;
    size_t offset; /* in rp_limits_t */
    s_kind_t kind;
} s_limit_t;

static const s_limit_t s_limits[] = {
#define S_LIMIT(kind, name, value, smallest, largest, why)                                         \
    {"limits/" #name, #name, why, smallest, largest, offsetof (rp_limits_t, name), S_##kind},
  RP_BROKER_LIMIT_MAP (S_LIMIT)
#undef S_LIMIT
};
#define S_LIMIT_COUNT (sizeof s_limits / sizeof *s_limits)

typedef enum {
#define S_INDEX(kind, name, value, smallest, largest, why) S_LIMIT_##name,
    RP_BROKER_LIMIT_MAP (S_INDEX)
#undef S_INDEX
} s_limit_index_t;

/*  Every other path. A section's name alone is one too.  */
#define S_BIND "bind"
#define S_PLAIN "plain"
#define S_LOG "log"
#define S_LOG_LEVEL "log/level"
#define S_LIMITS "limits"
static const char *const s_others[] = {S_BIND, S_PLAIN, S_LOG, S_LOG_LEVEL, S_LIMITS};
#define S_OTHER_COUNT (sizeof s_others / sizeof *s_others)

/*  By rp_level_t.  */
static const char *const s_levels[] = {"error", "warning", "info", "debug"};
#define S_LEVEL_COUNT (sizeof s_levels / sizeof *s_levels)

static uint64_t *s_value_of (rp_limits_t *limits, const s_limit_t *limit)
{
    return (uint64_t *) (void *) ((char *) limits + limit->offset);
}

/*  Writes a limit's value as the file has it. buffer: RP_UNITS_TEXT_MAX bytes.  */
static const char *s_write_value (char *buffer, s_kind_t kind, uint64_t value)
{
    if (kind == S_TIME)
        return rp_duration_write (buffer, (int64_t) (value * S_US_PER_MS));
    if (kind == S_BYTES)
        return rp_size_write (buffer, value);
    snprintf (buffer, RP_UNITS_TEXT_MAX, "%" PRIu64, value);
    return buffer;
}

bool rp_config_level (const char *name, rp_level_t *level)
{
    for (size_t index = 0; index < S_LEVEL_COUNT; index++)
        if (strcmp (s_levels[index], name) == 0) {
            *level = (rp_level_t) index;
            return true;
        }
    return false;
}

/*  ---- The settings --------------------------------------------------------------------------  */

bool rp_config_init (rp_config_t *self)
{
    const char *reason;
    *self = (rp_config_t){.limits = RP_LIMITS_DEFAULT, .log_level = RP_LEVEL_INFO};
    return rp_config_add_bind (self, RP_CONFIG_BIND_DEFAULT, &reason);
}

void rp_config_clear_bind (rp_config_t *self)
{
    for (size_t index = 0; index < self->bind_count; index++)
        free (self->bind[index]);
    self->bind_count = 0;
}

void rp_config_clear (rp_config_t *self)
{
    rp_config_clear_bind (self);
    rp_config_clear_plain (self);
}

bool rp_config_add_bind (rp_config_t *self, const char *endpoint, const char **reason)
{
    if (!rp_socket_endpoint_is_valid (endpoint, strlen (endpoint), reason))
        return false;
    if (strchr (endpoint, '"')) {
        *reason = "has a quote"; // the file could not say it
        return false;
    }
    if (self->bind_count == RP_CONFIG_BIND_MAX) {
        *reason = "is one endpoint too many";
        return false;
    }
    for (size_t index = 0; index < self->bind_count; index++)
        if (strcmp (self->bind[index], endpoint) == 0) {
            *reason = "is there already";
            return false;
        }
    char *copy = strdup (endpoint);
    if (!copy) {
        *reason = "does not fit into memory";
        return false;
    }
    self->bind[self->bind_count++] = copy;
    return true;
}

void rp_config_clear_plain (rp_config_t *self)
{
    for (size_t index = 0; index < self->plain_count; index++)
        free (self->plain[index].service);
    self->plain_count = 0;
}

/*  What is wrong with one; NULL if nothing is. *part is what it is wrong with.  */
static const char *s_plain_fault (
  const rp_config_t *self, const rp_config_plain_t *plain, const char **part)
{
    const char *reason;
    size_t size = strlen (plain->service);
    *part = "its service";
    if (!rp_name_is_valid (plain->service, size))
        return "has no good name: 1 to 127 bytes without control characters";
    if (rp_name_is_reserved (plain->service, size))
        return "has a name that belongs to the broker, as all that begin with riposte. or mmi. do";
    for (size_t index = 0; index < self->plain_count; index++)
        if (strcmp (self->plain[index].service, plain->service) == 0)
            return "is there already";
    *part = "its frontend";
    if (!rp_socket_endpoint_is_valid (plain->front, strlen (plain->front), &reason))
        return reason;
    *part = "its backend";
    if (!rp_socket_endpoint_is_valid (plain->back, strlen (plain->back), &reason))
        return reason;
    *part = "it";
    return self->plain_count == RP_CONFIG_PLAIN_MAX ? "is one plain service too many" : NULL;
}

bool rp_config_add_plain (rp_config_t *self, const char *text, char reason[RP_CONFIG_REASON_MAX])
{
    const char *equals = strchr (text, '=');
    const char *comma = equals ? strchr (equals, ',') : NULL;
    const char *form = !comma || strchr (comma + 1, ',') ? "wants SERVICE=FRONTEND,BACKEND"
                       : strchr (text, '"')              ? "has a quote"
                                                         : NULL;
    char *copy = form ? NULL : strdup (text);
    if (!copy) {
        snprintf (reason, RP_CONFIG_REASON_MAX, "%s", form ? form : "does not fit into memory");
        return false;
    }
    copy[equals - text] = copy[comma - text] = '\0';
    rp_config_plain_t plain = {
      .service = copy, .front = copy + (equals - text) + 1, .back = copy + (comma - text) + 1};
    const char *part;
    const char *fault = s_plain_fault (self, &plain, &part);
    if (fault) {
        snprintf (reason, RP_CONFIG_REASON_MAX, "cannot be: %s %s", part, fault);
        free (copy);
        return false;
    }
    self->plain[self->plain_count++] = plain;
    return true;
}

/*  ---- Reading -------------------------------------------------------------------------------  */

typedef struct {
    rp_config_t config; /* what was read so far */
    bool has_bind;
    bool has_plain;
    rp_zpl_place_t limits_at[S_LIMIT_COUNT]; /* line 0: not set in this text */
    rp_zpl_place_t log_level_at;
    const char *name;
    rp_config_error_fn *error;
    void *arg;
    size_t errors;
} s_reader_t;

static void __attribute__ ((format (printf, 3, 4)))
s_complain (s_reader_t *self, rp_zpl_place_t place, const char *format, ...)
{
    char message[S_MESSAGE_MAX];
    if (self->errors++ > RP_CONFIG_ERRORS_MAX)
        return;
    if (self->errors > RP_CONFIG_ERRORS_MAX) {
        snprintf (
          message, sizeof message, "%s: more is wrong; correct what is above first", self->name);
        self->error (message, self->arg);
        return;
    }
    int size =
      snprintf (message, sizeof message, "%.1024s:%zu:%zu: ", self->name, place.line, place.column);
    if (size < 0)
        return;
    va_list list;
    va_start (list, format);
    vsnprintf (message + size, sizeof message - (size_t) size, format, list);
    va_end (list);
    self->error (message, self->arg);
}

static void s_take_error (rp_zpl_place_t place, const char *message, void *arg)
{
    s_complain (arg, place, "%s", message);
}

/*  Settings that had another name once: who still uses it is told the new one.  */
static const char *const s_renamed[][2] = {
  {"limits/strangers", "limits/pending_connections"},
  {"limits/greeting", "limits/pending_timeout"},
  {"limits/peer_backlog", "limits/connection_backlog"},
  {"limits/peer_backlog_bytes", "limits/connection_backlog_bytes"},
  {"limits/guest_deadline", "limits/foreign_deadline"},
  {"limits/guest_attempts", "limits/foreign_attempts"},
  {"limits/guest_attempt", "limits/foreign_attempt"},
  {"limits/guest_errors", "limits/foreign_errors"},
  {"limits/guest_window", "limits/foreign_window"},
  {"limits/guest_heartbeat", "limits/foreign_heartbeat"},
};

/*  The name that a setting has now; NULL if it was never another.  */
static const char *s_new_name (const char *path)
{
    for (size_t index = 0; index < sizeof s_renamed / sizeof *s_renamed; index++) {
        if (strcmp (path, s_renamed[index][0]) == 0)
            return s_renamed[index][1];
    }
    return NULL;
}

static void s_complain_unknown (s_reader_t *self, const rp_zpl_item_t *item)
{
    const char *renamed = s_new_name (item->path);
    if (renamed) {
        s_complain (self, item->name_at, "%s is called %s now", item->path, renamed);
        return;
    }
    const char *nearest = NULL;
    size_t best = S_SUGGESTION_DISTANCE + 1;
    for (size_t index = 0; index < S_OTHER_COUNT + S_LIMIT_COUNT; index++) {
        const char *path =
          index < S_OTHER_COUNT ? s_others[index] : s_limits[index - S_OTHER_COUNT].path;
        size_t distance =
          rp_name_distance (item->path, strlen (item->path), path, strlen (path), best - 1);
        if (distance < best) {
            best = distance;
            nearest = path;
        }
    }
    if (nearest)
        s_complain (
          self, item->name_at, "unknown setting %s (did you mean %s?)", item->path, nearest);
    else
        s_complain (self, item->name_at, "unknown setting %s; see: riposte-broker --print-config",
          item->path);
}

/*  False after it has told that the setting was set before; otherwise it counts as set now.  */
static bool s_mark (s_reader_t *self, const rp_zpl_item_t *item, rp_zpl_place_t *at)
{
    if (at->line != 0) {
        s_complain (self, item->name_at, "%s was set before, in line %zu", item->path, at->line);
        return false;
    }
    *at = item->value_at;
    return true;
}

static void s_take_limit (s_reader_t *self, const rp_zpl_item_t *item, size_t index)
{
    const s_limit_t *limit = &s_limits[index];
    const char *reason = NULL;
    uint64_t value = 0;
    int64_t duration = 0;
    bool parsed;
    if (!s_mark (self, item, &self->limits_at[index]))
        return;
    if (limit->kind == S_TIME) {
        parsed = rp_duration_parse (item->value, &duration, &reason);
        value = (uint64_t) duration / S_US_PER_MS;
        if (parsed && (uint64_t) duration % S_US_PER_MS != 0) {
            parsed = false;
            reason = "wants a duration in whole milliseconds";
        }
    }
    else if (limit->kind == S_BYTES)
        parsed = rp_size_parse (item->value, &value, &reason);
    else
        parsed = rp_count_parse (item->value, &value, &reason);
    if (!parsed) {
        s_complain (self, item->value_at, "%s %s, not \"%s\"", item->path, reason, item->value);
        return;
    }
    if (value < limit->smallest || value > limit->largest) {
        char low[RP_UNITS_TEXT_MAX];
        char high[RP_UNITS_TEXT_MAX];
        s_complain (self, item->value_at, "%s wants %s to %s, not \"%s\"", item->path,
          s_write_value (low, limit->kind, limit->smallest),
          s_write_value (high, limit->kind, limit->largest), item->value);
        return;
    }
    *s_value_of (&self->config.limits, limit) = value;
}

static void s_take_bind (s_reader_t *self, const rp_zpl_item_t *item)
{
    const char *reason;
    self->has_bind = true;
    if (!rp_config_add_bind (&self->config, item->value, &reason))
        s_complain (self, item->value_at, "bind: \"%s\" %s", item->value, reason);
}

static void s_take_plain (s_reader_t *self, const rp_zpl_item_t *item)
{
    char reason[RP_CONFIG_REASON_MAX];
    self->has_plain = true;
    if (!rp_config_add_plain (&self->config, item->value, reason))
        s_complain (self, item->value_at, "plain: \"%s\" %s", item->value, reason);
}

static void s_take_log_level (s_reader_t *self, const rp_zpl_item_t *item)
{
    if (s_mark (self, item, &self->log_level_at)
        && !rp_config_level (item->value, &self->config.log_level))
        s_complain (self, item->value_at,
          "log/level wants error, warning, info or debug, not \"%s\"", item->value);
}

static void s_take_item (const rp_zpl_item_t *item, void *arg)
{
    s_reader_t *self = arg;
    bool is_section = strcmp (item->path, S_LOG) == 0 || strcmp (item->path, S_LIMITS) == 0;
    size_t limit = 0;
    while (limit < S_LIMIT_COUNT && strcmp (item->path, s_limits[limit].path) != 0)
        limit++;
    bool is_bind = strcmp (item->path, S_BIND) == 0;
    bool is_plain = strcmp (item->path, S_PLAIN) == 0;
    bool is_level = strcmp (item->path, S_LOG_LEVEL) == 0;

    if (is_section && item->value)
        s_complain (self, item->value_at, "%s is a section and takes no value", item->path);
    else if ((is_bind || is_plain || is_level || limit < S_LIMIT_COUNT) && !item->value)
        s_complain (self, item->name_at, "%s wants a value", item->path);
    else if (is_bind)
        s_take_bind (self, item);
    else if (is_plain)
        s_take_plain (self, item);
    else if (is_level)
        s_take_log_level (self, item);
    else if (limit < S_LIMIT_COUNT)
        s_take_limit (self, item, limit);
    else if (!is_section)
        s_complain_unknown (self, item);
}

/*  Where to point when two settings do not go together: at the first of them that the text
    sets.  */
static rp_zpl_place_t s_place_of_pair (const s_reader_t *self, size_t one, size_t other)
{
    if (self->limits_at[one].line != 0)
        return self->limits_at[one];
    if (self->limits_at[other].line != 0)
        return self->limits_at[other];
    return (rp_zpl_place_t){1, 1};
}

static void s_check_order (s_reader_t *self, size_t small, size_t large)
{
    uint64_t low = *s_value_of (&self->config.limits, &s_limits[small]);
    uint64_t high = *s_value_of (&self->config.limits, &s_limits[large]);
    char low_text[RP_UNITS_TEXT_MAX];
    char high_text[RP_UNITS_TEXT_MAX];
    if (low > high)
        s_complain (self, s_place_of_pair (self, small, large),
          "%s (%s) must not be more than %s (%s)", s_limits[small].path,
          s_write_value (low_text, s_limits[small].kind, low), s_limits[large].path,
          s_write_value (high_text, s_limits[large].kind, high));
}

/*  What clients have not read may take half of total_queue_bytes; then whoever has most of it is
    cut off. A limit that lets one client have more than that would promise what is not kept.  */
static void s_check_half (s_reader_t *self, size_t part)
{
    const s_limit_t *whole = &s_limits[S_LIMIT_total_queue_bytes];
    uint64_t value = *s_value_of (&self->config.limits, &s_limits[part]);
    uint64_t total = self->config.limits.total_queue_bytes;
    char value_text[RP_UNITS_TEXT_MAX];
    char total_text[RP_UNITS_TEXT_MAX];
    if (value > total / 2)
        s_complain (self, s_place_of_pair (self, part, S_LIMIT_total_queue_bytes),
          "%s (%s) must not be more than half of %s (%s): beyond it clients are cut off",
          s_limits[part].path, s_write_value (value_text, S_BYTES, value), whole->path,
          s_write_value (total_text, S_BYTES, total));
}

static void s_check_together (s_reader_t *self)
{
    s_check_order (self, S_LIMIT_heartbeat_min, S_LIMIT_heartbeat_max);
    s_check_order (self, S_LIMIT_service_queue, S_LIMIT_total_queue);
    s_check_order (self, S_LIMIT_service_queue_bytes, S_LIMIT_total_queue_bytes);
    s_check_half (self, S_LIMIT_max_body);
    s_check_half (self, S_LIMIT_connection_backlog_bytes);
    uint64_t grace = self->config.limits.rejoin_grace;
    char pause[RP_UNITS_TEXT_MAX];
    if (grace != 0 && grace <= RP_BACKOFF_LARGEST_MS)
        s_complain (self, s_place_of_pair (self, S_LIMIT_rejoin_grace, S_LIMIT_rejoin_grace),
          "limits/rejoin_grace wants 0 or more than %s, the longest pause of a worker "
          "that reconnects",
          s_write_value (pause, S_TIME, RP_BACKOFF_LARGEST_MS));
}

bool rp_config_read (rp_config_t *self,
  const char *text,
  size_t size,
  const char *name,
  rp_config_error_fn *error,
  void *arg)
{
    s_reader_t reader = {.name = name, .error = error, .arg = arg};
    reader.config.limits = self->limits;
    reader.config.log_level = self->log_level;
    rp_zpl_read (text, size, s_take_item, s_take_error, &reader);
    // Values that could not be read are not worth comparing.
    if (reader.errors == 0)
        s_check_together (&reader);
    if (reader.errors > 0) {
        rp_config_clear (&reader.config);
        return false;
    }
    self->limits = reader.config.limits;
    self->log_level = reader.config.log_level;
    if (reader.has_bind) {
        rp_config_clear_bind (self);
        memcpy (self->bind, reader.config.bind, sizeof self->bind);
        self->bind_count = reader.config.bind_count;
    }
    if (reader.has_plain) {
        rp_config_clear_plain (self);
        memcpy (self->plain, reader.config.plain, sizeof self->plain);
        self->plain_count = reader.config.plain_count;
    }
    return true;
}

bool rp_config_load (rp_config_t *self, const char *path, rp_config_error_fn *error, void *arg)
{
    char message[S_MESSAGE_MAX];
    char *text = NULL;
    bool good = false;
    FILE *file = fopen (path, "rb");
    if (file)
        text = malloc (RP_CONFIG_FILE_MAX + 1);
    size_t size = text ? fread (text, 1, RP_CONFIG_FILE_MAX + 1, file) : 0;
    if (!text || ferror (file)) {
        snprintf (message, sizeof message, "%s: cannot be read: %s", path, strerror (errno));
        error (message, arg);
    }
    else if (size > RP_CONFIG_FILE_MAX) {
        snprintf (message, sizeof message, "%s: larger than a configuration file can be", path);
        error (message, arg);
    }
    else
        good = rp_config_read (self, text, size, path, error, arg);
    free (text);
    if (file)
        fclose (file);
    return good;
}

/*  ---- Printing ------------------------------------------------------------------------------  */

bool rp_config_print (const rp_config_t *self, FILE *file)
{
    fputs ("# Settings of riposte-broker; it reads them with --config FILE.\n"
           "\n"
           "# Where to listen: tcp://ADDRESS:PORT or ipc://PATH; a line for each.\n",
      file);
    for (size_t index = 0; index < self->bind_count; index++)
        fprintf (file, "bind = \"%s\"\n", self->bind[index]);
    fputs (
      "\n"
      "# Services for plain REQ clients and REP workers, with endpoints of their own; a line for\n"
      "# each: plain = \"SERVICE=FRONTEND,BACKEND\"\n",
      file);
    for (size_t index = 0; index < self->plain_count; index++)
        fprintf (file, "plain = \"%s=%s,%s\"\n", self->plain[index].service,
          self->plain[index].front, self->plain[index].back);
    fprintf (file,
      "\n"
      "log\n"
      "    # How much the log tells: error, warning, info or debug.\n"
      "    level = %s\n"
      "\n"
      "limits\n",
      s_levels[self->log_level]);

    rp_limits_t limits = self->limits;
    for (size_t index = 0; index < S_LIMIT_COUNT; index++) {
        const s_limit_t *limit = &s_limits[index];
        char low[RP_UNITS_TEXT_MAX];
        char high[RP_UNITS_TEXT_MAX];
        char value[RP_UNITS_TEXT_MAX];
        fprintf (file, "%s    # %s\n    # %s to %s\n    %s = %s\n", index == 0 ? "" : "\n",
          limit->why, s_write_value (low, limit->kind, limit->smallest),
          s_write_value (high, limit->kind, limit->largest), limit->name,
          s_write_value (value, limit->kind, *s_value_of (&limits, limit)));
    }
    return fflush (file) == 0 && !ferror (file);
}
